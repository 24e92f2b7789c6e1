//! Picking from live views: handles, attempts, probes, on a clock that the tests hold.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::registry::balance::Filter;
use crate::registry::limits::{EJECT_CONSECUTIVE, EJECT_FIRST, PROBE_FIRST};
use crate::registry::{Discovery, Instance, Memory, Registered, Registration, Services, connect};

async fn registered(registry: &Memory, ids: std::ops::Range<u16>) -> Vec<Registered> {
    let mut all = Vec::new();
    for port in ids {
        let builder = Instance::builder("s").id(format!("i{port:04}")).host("h").port(port);
        all.push(registry.register(builder).await.unwrap());
    }
    all
}

async fn listed(balance: Balance) -> Services {
    let registry = connect("static:s=h:1,h:2,h:3").await.unwrap();
    registry.discover("s").await.unwrap().balanced(balance)
}

fn ports(picker: &mut Picker, picks: usize) -> Vec<u16> {
    (0..picks).filter_map(|_| picker.pick().map(|instance| instance.address.port())).collect()
}

#[tokio::test(start_paused = true)]
async fn every_handle_follows_the_view_to_its_end() {
    let registry = Memory::new();
    let services = registry.discover("s").await.unwrap().balanced(Balance::RoundRobin);
    let (mut one, mut other) = (services.picker(), services.picker());
    assert!(one.pick().is_none() && services.pick().is_none() && services.attempt().is_none());
    let mut all = registered(&registry, 1..4).await;
    assert_eq!(ports(&mut one, 3).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3]));
    assert_eq!(ports(&mut other.clone(), 3).len(), 3);
    drop(all.remove(0));
    for picker in [&mut one, &mut other] {
        assert_eq!(ports(picker, 4).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([2, 3]));
    }
    drop((services, registry));
    assert_eq!(ports(&mut one, 4).len(), 4, "a picker keeps the view");
    drop(all);
    assert!(one.pick().is_none() && other.pick().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_last_set_of_a_view_that_ended_is_picked_from() {
    let entry = crate::registry::view::Entry {
        leaf: "a".into(),
        instance: Arc::new(Instance::new("s", "a", "h:1".parse().unwrap())),
    };
    let set = Arc::new(crate::registry::view::Set::from_sorted(vec![entry]));
    let (sender, receiver) = watch::channel(Seen::default());
    let services = Services::new("s", receiver, Source::Owner { _owner: Arc::new(()) });
    let mut picker = services.picker();
    assert!(picker.pick().is_none());
    sender.send_modify(|seen| seen.set = Some(set));
    drop(sender);
    assert_eq!(ports(&mut picker, 2), [1, 1]);
    assert_eq!(services.pick().map(|instance| instance.address.port()), Some(1));
}

#[tokio::test(start_paused = true)]
async fn pickers_share_what_attempts_report() {
    let registry = Memory::new();
    let _all = registered(&registry, 1..4).await;
    let services = registry.discover("s").await.unwrap();
    let (mut one, mut other) = (services.picker(), services.picker());
    let mut failures = 0;
    while failures < EJECT_CONSECUTIVE {
        let attempt = one.attempt().unwrap();
        if attempt.instance().address.port() == 2 {
            attempt.failed();
            failures += 1;
        }
    }
    assert!(!ports(&mut other, 200).contains(&2));
    let passed = services.passed_over();
    assert_eq!(passed.iter().map(|each| each.instance.address.port()).collect::<Vec<_>>(), [2]);
    assert_eq!(passed[0].reason, Reason::Ejected { until: now() + EJECT_FIRST });
    assert!((0..200).all(|_| services.pick().unwrap().address.port() != 2));
    tokio::time::advance(EJECT_FIRST).await;
    assert!(ports(&mut other, 200).contains(&2), "it is back by itself");
    let fresh = services.balanced(Balance::Random);
    assert!((0..200).any(|_| fresh.pick().unwrap().address.port() == 2));
}

#[tokio::test(start_paused = true)]
async fn a_dead_leaf_is_probed_now_and_then_and_a_success_brings_it_back() {
    let services = listed(Balance::RoundRobin).await;
    let mut picker = services.picker();
    let dead = services.pick().unwrap();
    services.report_failure(&dead);
    let port = dead.address.port();
    assert_eq!(services.passed_over()[0].reason, Reason::Suspect { probe_at: now() + PROBE_FIRST });
    assert!(!ports(&mut picker, 1000).contains(&port));
    tokio::time::advance(PROBE_FIRST).await;
    let probes = ports(&mut picker, 1000).into_iter().filter(|picked| *picked == port).count();
    assert_eq!(probes, 1);
    let mut probed = 0;
    for _ in 0..1000 {
        tokio::time::advance(Duration::from_millis(100)).await;
        let attempt = services.attempt().unwrap();
        if attempt.instance().address.port() == port {
            attempt.failed();
            probed += 1;
        } else {
            attempt.succeeded();
        }
    }
    assert!((40..=50).contains(&probed), "{probed} probes in 100 seconds and 1000 calls");
    services.report_success(&dead);
    assert!(services.passed_over().is_empty());
    assert!(ports(&mut picker, 3).contains(&port));
}

/// Ten calls a second to three persistent instances, as the Go demo's; one is dead for a minute.
#[tokio::test(start_paused = true)]
async fn one_that_died_and_came_back_is_called_within_three_seconds() {
    let services = listed(Balance::Random).await;
    let (begin, minute) = (now(), Duration::from_secs(60));
    let (mut failed, mut back) = (Vec::new(), None);
    while back.is_none() {
        tokio::time::advance(Duration::from_millis(100)).await;
        let attempt = services.attempt().unwrap();
        let passed = now() - begin;
        match attempt.instance().address.port() {
            2 if passed < minute => {
                attempt.failed();
                failed.push(passed);
            }
            2 => {
                attempt.succeeded();
                back = Some(passed - minute);
            }
            _ => attempt.succeeded(),
        }
    }
    assert!(back < Some(Duration::from_secs(3)), "{back:?}");
    assert!((20..32).contains(&failed.len()), "{} probes in a minute", failed.len());
    let paused = failed.windows(2).skip(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(2));
    assert!(paused, "{failed:?}");
}

#[test]
fn handles_and_attempts_go_where_they_are_needed() {
    fn is_sent<T: Send + Sync + 'static>() {}
    fn is_cloned<T: Clone>() {}
    is_sent::<Picker>();
    is_cloned::<Picker>();
    is_sent::<Attempt>();
}

#[tokio::test]
async fn picks_wait_for_nobody() {
    for balance in
        [Balance::Random, Balance::RoundRobin, Balance::Weighted, Balance::ConsistentHash, Balance::Sticky]
    {
        let services = listed(balance).await;
        let mut picker = services.picker();
        assert!(picker.pick().is_some());
        let shared = Arc::clone(&picker.shared);
        let held = (shared.rosters(), shared.sticky.lock().unwrap());
        let (said, heard) = std::sync::mpsc::channel();
        let picks = move || {
            let by_key =
                |picker: &mut Picker| balance != Balance::ConsistentHash || picker.pick_for("k").is_some();
            said.send((0..1000).all(|_| picker.pick().is_some() && by_key(&mut picker)))
        };
        let thread = std::thread::spawn(picks);
        let all = heard.recv_timeout(Duration::from_secs(20));
        drop(held);
        assert_eq!(all, Ok(true), "{balance:?}");
        thread.join().unwrap().unwrap();
    }
}

/// Two threads pick while instances come and go: they pick nobody who was gone before, and end with the last set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_pick_while_the_set_changes() {
    let registry = Memory::new();
    let mut all = registered(&registry, 1..20).await;
    for balance in [Balance::Weighted, Balance::LeastLoaded, Balance::ConsistentHash, Balance::Sticky] {
        let services = registry.discover("s").await.unwrap().balanced(balance);
        let stop = Arc::new(AtomicBool::new(false));
        let start = |mut picker: Picker| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    match (picker.attempt(), picker.attempt_for("key")) {
                        (Some(one), Some(other)) if one.instance().address.port() % 2 == 0 => {
                            one.failed();
                            other.succeeded();
                        }
                        (one, other) => assert!(one.is_some() && other.is_some()),
                    }
                }
                (0..500)
                    .filter_map(|_| picker.pick().map(|picked| picked.address.port()))
                    .collect::<BTreeSet<_>>()
            })
        };
        let threads = [start(services.picker()), start(services.picker())];
        for port in 0..200 {
            all.remove(0).deregister().await.unwrap();
            all.extend(registered(&registry, 1000 + port..1001 + port).await);
        }
        let left: BTreeSet<u16> = all.iter().map(|one| one.instance().address.port()).collect();
        stop.store(true, Ordering::Release);
        for thread in threads {
            let picked = thread.join().unwrap();
            assert!(!picked.is_empty() && picked.is_subset(&left), "{balance:?}: {picked:?} of {left:?}");
        }
        drop(services);
        all.clear();
        all.extend(registered(&registry, 1..20).await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_latency_of_attempts_and_their_number_decide_between_two() {
    let services = listed(Balance::LeastLoaded).await;
    let mut picker = services.picker();
    let mut counts = [0; 4];
    for _ in 0..300 {
        let attempt = picker.attempt().unwrap();
        let port = attempt.instance().address.port();
        counts[usize::from(port)] += 1;
        tokio::time::advance(Duration::from_millis(if port == 2 { 200 } else { 5 })).await;
        attempt.succeeded();
    }
    assert!(counts[2] < 20 && counts[1] > 50 && counts[3] > 50, "{counts:?}");
    let services = listed(Balance::LeastLoaded).await;
    let attempts: Vec<_> = (0..300).map(|_| services.attempt().unwrap()).collect();
    let of = |port| attempts.iter().filter(|attempt| attempt.instance().address.port() == port).count();
    assert!([of(1), of(2), of(3)].iter().all(|count| (80..120).contains(count)));
    // Dropped without a word, they are over and nothing else.
    drop(attempts);
    let load = services.attempt().unwrap().member.load().clone();
    assert_eq!((load.in_flight(), load.latency(0)), (0, None));
}

#[tokio::test(start_paused = true)]
async fn keys_have_an_owner_that_all_handles_agree_on() {
    let (one, other) = (listed(Balance::ConsistentHash).await, listed(Balance::ConsistentHash).await);
    let mut picker = one.picker();
    for key in 0..100u32 {
        let key = key.to_le_bytes();
        let owner = other.pick_for(key).unwrap();
        assert_eq!(picker.pick_for(key), Some(&owner));
        assert_eq!(one.attempt_for(key).unwrap().instance(), &owner, "nothing else is under way");
    }
    let attempts: Vec<_> = (0..90).map(|_| one.attempt_for("hot").unwrap()).collect();
    let hottest = one.pick_for("hot").unwrap();
    let carried = attempts.iter().filter(|attempt| *attempt.instance() == hottest).count();
    assert!((30..=38).contains(&carried), "{carried} of 90, a third and a quarter of it at most");
    drop(attempts);
    assert_eq!(picker.shared.in_flight.load(Ordering::Relaxed), 0);
    let random = listed(Balance::Random).await;
    assert!(random.pick_for("key").is_some() && random.attempt_for("key").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_sticky_view_stays_with_its_instance_and_with_one_for_each_key() {
    let registry = Memory::new();
    let mut all = registered(&registry, 1..4).await;
    let services = registry.discover("s").await.unwrap().balanced(Balance::Sticky);
    let mut picker = services.picker();
    let chosen = picker.pick().unwrap().clone();
    let by_key: Vec<_> = (0..50u8).map(|key| services.pick_for([key]).unwrap()).collect();
    all.extend(registered(&registry, 10..20).await);
    assert!((0..50).all(|_| picker.pick() == Some(&chosen)));
    assert!((0..50u8).all(|key| picker.pick_for([key]) == Some(&by_key[usize::from(key)])));
    all.retain(|registered| registered.instance().id != chosen.id);
    let next = picker.pick().unwrap().clone();
    assert!(next != chosen && (0..50).all(|_| picker.pick() == Some(&next)));
    for (key, before) in (0..50u8).zip(&by_key) {
        assert_eq!(picker.pick_for([key]) == Some(before), *before != chosen);
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_makes_pickers_repeat_and_differ_from_each_other() {
    let balancing = Balancing::new(Balance::Random).seed(7);
    let services = listed(Balance::Random).await;
    let draw = || {
        let services = services.balanced(balancing.clone());
        let mut picker = services.picker();
        let mut clone = picker.clone();
        (ports(&mut picker, 100), ports(&mut clone, 100))
    };
    let (one, other) = draw();
    assert_ne!(one, other, "a clone draws other numbers");
    assert_eq!((one, other), draw());
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_warms_up_in_every_handle() {
    let registry = Memory::new();
    let mut all = registered(&registry, 1..3).await;
    let warm = Balancing::new(Balance::Weighted).warm_up(Duration::from_secs(60));
    let services = registry.discover("s").await.unwrap().balanced(warm);
    let mut picker = services.picker();
    assert!(picker.pick().is_some());
    all.extend(registered(&registry, 3..4).await);
    let share = |picker: &mut Picker| ports(picker, 2000).into_iter().filter(|port| *port == 3).count();
    let shares: Vec<_> = [0, 20, 20, 20].map(Duration::from_secs).into();
    let mut seen = Vec::new();
    for passed in shares {
        tokio::time::advance(passed).await;
        seen.push(share(&mut picker));
    }
    assert!(seen.is_sorted() && seen[0] < 60 && (650..=680).contains(&seen[3]), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn everything_that_was_picked_is_counted_also_by_those_that_are_gone() {
    for balance in [Balance::Random, Balance::ConsistentHash, Balance::Sticky] {
        let services = listed(balance).await;
        let mut one = services.picker();
        let mut other = one.clone();
        for _ in 0..10 {
            assert!(one.pick().is_some() && other.pick_for("k").is_some() && services.pick().is_some());
        }
        one.attempt().unwrap().succeeded();
        other.attempt_for("k").unwrap().failed();
        drop(services.attempt_for("k").unwrap());
        drop((one, other));
        let picks = services.stats().picks;
        assert_eq!((picks.picked, picks.empty), (33, 0), "{balance:?}");
        assert_eq!((picks.succeeded, picks.failed, picks.suspected, picks.probes), (1, 1, 1, 0));
        tokio::time::sleep(PROBE_FIRST).await;
        (0..100).for_each(|_| drop(services.attempt()));
        assert_eq!(services.stats().picks.probes, 1, "{balance:?}");
        let empty = services.balanced(Balancing::new(balance).filter(Filter::new().tag("none")));
        assert!(empty.pick().is_none() && empty.pick_for("k").is_none());
        assert_eq!((empty.stats().picks.picked, empty.stats().picks.empty), (0, 2), "a fresh mind");
    }
}
