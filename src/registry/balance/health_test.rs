//! Who is trusted with calls, under virtual time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::tests::zero;
use super::*;
use crate::registry::limits::{EJECT_CONSECUTIVE, EJECT_WINDOW, PROBE_FIRST, PROBE_MOST};
use crate::registry::model::{Instance, Lifetime, Status};
use crate::registry::view::{Entry, Set};

const SECOND: Duration = Duration::from_secs(1);

/// Rosters at a moment, and the set they were last told.
struct Rig {
    rosters: Rosters,
    now: Instant,
    set: Arc<Set>,
}

fn instance(id: usize) -> Instance {
    Instance::new("s", format!("i{id:04}"), "h:1".parse().unwrap())
}

fn set(instances: impl IntoIterator<Item = Instance>) -> Arc<Set> {
    let entry =
        |instance: Instance| Entry { leaf: instance.id.as_str().into(), instance: Arc::new(instance) };
    Arc::new(Set::from_sorted(instances.into_iter().map(entry).collect()))
}

fn persistent(id: usize) -> Instance {
    let mut instance = instance(id);
    instance.lifetime = Lifetime::Persistent;
    instance
}

impl Rig {
    fn new(balancing: impl Into<Balancing>, instances: impl IntoIterator<Item = Instance>) -> Self {
        let mut rig = Self { rosters: Rosters::new(balancing.into()), now: zero(), set: Arc::default() };
        rig.see(instances);
        rig
    }

    fn see(&mut self, instances: impl IntoIterator<Item = Instance>) {
        self.set = set(instances);
        self.roster();
    }

    fn roster(&mut self) -> Arc<Roster> {
        self.rosters.renew(Some(Arc::clone(&self.set)), self.now).0
    }

    fn after(&mut self, passed: Duration) -> &mut Self {
        self.now += passed;
        self
    }

    /// Who can be picked, by number.
    fn pool(&mut self) -> Vec<usize> {
        let roster = self.roster();
        roster.pool.members().iter().map(|member| place(member)).collect()
    }

    /// What share of the calls each that can be picked gets, in percent of the greatest.
    fn shares(&mut self) -> Vec<u64> {
        let roster = self.roster();
        let most = roster.pool.shares().iter().max().copied().unwrap_or(1);
        roster.pool.shares().iter().map(|share| (share * 100 + most / 2) / most).collect()
    }

    fn load(&self, id: usize) -> Arc<Load> {
        self.rosters.load_of(&instance(id)).unwrap()
    }

    fn fail(&mut self, id: usize, times: u32) {
        let load = self.load(id);
        (0..times).for_each(|_| {
            self.rosters.failed(&load, self.now);
        });
    }

    fn succeed(&mut self, id: usize, times: u32) {
        let load = self.load(id);
        for _ in 0..times {
            if load.worked() {
                self.rosters.succeeded(&load, self.now);
            }
        }
    }

    fn probe(&mut self) -> Option<usize> {
        self.rosters.probe(self.now).map(|member| place(&member))
    }
}

fn place(member: &Member) -> usize {
    member.instance().id[1..].parse().unwrap()
}

#[test]
fn what_wants_no_calls_gets_none() {
    let mut instances: Vec<_> = (0..5).map(instance).collect();
    instances[1].status = Status::Draining;
    instances[3].status = Status::OutOfService;
    let mut rig = Rig::new(Balance::Random, instances.clone());
    assert_eq!(rig.pool(), [0, 2, 4]);
    rig.see(instances[1..4].iter().filter(|instance| instance.status != Status::Up).cloned());
    assert!(rig.pool().is_empty(), "rather nobody than one that wants no calls");
}

#[test]
fn only_what_the_filter_lets_through_is_picked() {
    let mut instances: Vec<_> = (0..4).map(instance).collect();
    instances[2].version = "2".into();
    let second = Balancing::new(Balance::Random).filter(Filter::new().version("2"));
    assert_eq!(Rig::new(second.clone(), instances.clone()).pool(), [2]);
    assert!(Rig::new(second, instances[..2].to_vec()).pool().is_empty());
}

#[test]
fn a_persistent_instance_that_failed_is_passed_over_while_others_are_left() {
    let mut rig = Rig::new(Balance::Random, (0..3).map(persistent));
    rig.fail(0, 1);
    assert_eq!(rig.pool(), [1, 2]);
    rig.fail(1, 1);
    rig.fail(2, 1);
    assert_eq!(rig.pool(), [0, 1, 2], "better a suspect than nobody");
    assert_eq!(rig.after(SECOND * 60).probe(), None, "and then every pick is a probe");
    rig.succeed(1, 1);
    assert_eq!(rig.pool(), [1]);
    rig.see([persistent(0), instance(3)]);
    assert_eq!(rig.pool(), [3]);
    let moved = Instance { address: "h:9".parse().unwrap(), ..persistent(0) };
    rig.see([moved, instance(3)]);
    assert_eq!(rig.pool(), [0, 3], "one that came back at another address is another one");
    rig.fail(3, 1);
    assert_eq!(rig.pool(), [0, 3], "a session's instance is no suspect");
}

#[test]
fn an_instance_is_found_whatever_its_leaf_is_called() {
    let entry = |(leaf, id): (&str, usize)| Entry { leaf: leaf.into(), instance: Arc::new(persistent(id)) };
    let set = Set::from_sorted([("a", 1), ("i0001", 2), ("z", 0)].into_iter().map(entry).collect());
    let mut rig = Rig::new(Balance::Random, []);
    rig.set = Arc::new(set);
    rig.roster();
    rig.fail(1, 1);
    assert_eq!(rig.pool(), [2, 0]);
    assert!(rig.rosters.load_of(&instance(7)).is_none());
}

#[test]
fn a_suspect_that_is_registered_anew_is_trusted_again() {
    let mut rig = Rig::new(Balance::Random, (0..2).map(persistent));
    rig.fail(0, 3);
    rig.see((0..2).map(persistent));
    assert_eq!(rig.pool(), [1], "read again, and not written");
    let mut written = persistent(0);
    written.metadata.insert("started", "again");
    rig.see([written, persistent(1)]);
    assert_eq!(rig.pool(), [0, 1]);
}

#[test]
fn a_suspect_is_probed_after_pauses_by_one_call_at_a_time() {
    let mut rig = Rig::new(Balance::Random, (0..3).map(persistent));
    rig.fail(0, 1);
    assert_eq!(rig.probe(), None, "not yet");
    assert_eq!(rig.after(PROBE_FIRST).probe(), Some(0));
    assert_eq!(rig.probe(), None, "one is under way");
    assert_eq!(rig.rosters.probe_at(), Some(rig.now + PROBE_FIRST), "in case nothing is heard of it");
    for _ in 0..5 {
        rig.fail(0, 1);
    }
    assert_eq!(rig.rosters.probe_at(), Some(rig.now + PROBE_MOST));
    rig.fail(1, 1);
    assert_eq!(rig.after(PROBE_MOST).probe(), Some(1), "the one that waits longest");
    assert_eq!((rig.probe(), rig.probe()), (Some(0), None));
    rig.succeed(0, 1);
    assert_eq!(rig.pool(), [0, 2]);
    rig.succeed(1, 1);
    assert_eq!((rig.pool(), rig.rosters.probe_at()), (vec![0, 1, 2], None));
}

#[test]
fn failures_in_a_row_eject_for_a_while_and_a_failure_on_trial_ejects_at_once() {
    let mut rig = Rig::new(Balance::Random, (0..4).map(instance));
    rig.fail(0, EJECT_CONSECUTIVE - 1);
    rig.succeed(0, 1);
    rig.fail(0, EJECT_CONSECUTIVE - 1);
    assert_eq!(rig.pool(), [0, 1, 2, 3], "not in a row");
    rig.fail(0, 1);
    assert_eq!(rig.pool(), [1, 2, 3]);
    rig.succeed(0, 1);
    assert_eq!(rig.pool(), [1, 2, 3], "an answer that was under way proves nothing");
    rig.after(SECOND * 2);
    assert_eq!(rig.pool(), [0, 1, 2, 3]);
    rig.fail(0, 1);
    rig.after(SECOND * 3);
    assert_eq!(rig.pool(), [1, 2, 3], "twice as long");
    rig.after(SECOND);
    assert_eq!(rig.pool(), [0, 1, 2, 3]);
    rig.succeed(0, 1);
    rig.fail(0, 1);
    assert_eq!(rig.pool(), [0, 1, 2, 3], "the trial is over");
}

#[test]
fn at_most_a_share_is_ejected_and_never_the_last() {
    let mut rig = Rig::new(Balance::Random, (0..4).map(instance));
    (0..4).for_each(|id| rig.fail(id, 50));
    assert_eq!(rig.pool(), [2, 3]);
    rig.see([instance(0)]);
    assert_eq!(rig.pool(), [0], "the rest is gone");
    let mut rig = Rig::new(Balance::Random, [instance(0)]);
    rig.fail(0, 100);
    assert_eq!(rig.pool(), [0]);
    let mut rig = Rig::new(Balance::Random, [persistent(0), instance(1)]);
    rig.fail(0, 1);
    rig.fail(1, 100);
    assert_eq!(rig.pool(), [1], "rather one that fails at times than one that is dead");
    let mut rig = Rig::new(Balancing::new(Balance::Random).outliers(Outliers::off()), (0..4).map(instance));
    rig.fail(0, 1000);
    assert_eq!(rig.pool(), [0, 1, 2, 3]);
}

#[test]
fn a_success_rate_far_below_the_others_ejects() {
    let mut rig = Rig::new(Balance::Random, (0..4).map(instance));
    let mix = |rig: &mut Rig, id: usize, good: u32, bad: u32| {
        for _ in 0..10 {
            rig.fail(id, bad);
            rig.succeed(id, good);
        }
    };
    rig.fail(0, 1);
    rig.succeed(0, 1);
    for _ in 0..2 {
        rig.after(EJECT_WINDOW);
        (0..3).for_each(|id| mix(&mut rig, id, 9, 1));
        mix(&mut rig, 3, 5, 4);
    }
    rig.after(EJECT_WINDOW).fail(0, 1);
    assert_eq!(rig.pool(), [0, 1, 2], "55 of 100 where the others have 90");
    let mut rig = Rig::new(Balance::Random, (0..4).map(instance));
    for _ in 0..3 {
        (0..4).for_each(|id| mix(&mut rig, id, 1, 2));
        rig.after(EJECT_WINDOW).fail(0, 1);
    }
    assert_eq!(rig.pool(), [0, 1, 2, 3], "it is the same everywhere");
}

#[test]
fn a_new_instance_warms_up_and_those_of_the_first_set_are_warm() {
    let mut rig = Rig::new(Balancing::new(Balance::Random).warm_up(SECOND * 100), (0..2).map(instance));
    assert_eq!(rig.shares(), [100, 100]);
    rig.after(SECOND);
    let mut later = instance(2);
    later.registered_at_ms = Some(1);
    rig.see([instance(0), instance(1), later.clone()]);
    assert_eq!(rig.shares(), [100, 100, 5], "whatever it says when it came");
    assert_eq!(rig.after(SECOND * 50).shares(), [100, 100, 50]);
    rig.see([instance(0), instance(1), later]);
    assert_eq!(rig.shares(), [100, 100, 50], "read again");
    assert_eq!(rig.after(SECOND * 50).shares(), [100, 100, 100]);
    assert_eq!(rig.roster().due, None, "nothing is left to wait for");
    rig.see([instance(0), instance(1)]);
    rig.see([instance(0), instance(1), instance(2)]);
    assert_eq!(rig.shares(), [100, 100, 5], "it was away");
}

#[test]
fn weights_count_where_they_are_asked_for() {
    let weighted = |id, weight| Instance { weight, ..instance(id) };
    let instances = [weighted(0, 4), weighted(1, 0), weighted(2, 2)];
    assert_eq!(Rig::new(Balance::Random, instances.clone()).shares(), [100, 100, 100]);
    assert_eq!(Rig::new(Balance::RoundRobin, instances.clone()).shares(), [100, 100, 100]);
    assert_eq!(Rig::new(Balance::Weighted, instances.clone()).shares(), [100, 0, 50]);
    assert_eq!(Rig::new(Balance::LeastLoaded, instances.clone()).shares(), [100, 0, 50]);
    let mut rig = Rig::new(Balance::Weighted, instances);
    rig.fail(0, 100);
    assert_eq!(rig.shares(), [0, 100]);
    rig.see([weighted(1, 0)]);
    assert_eq!(rig.shares(), [100], "all that are left weigh nothing");
}

#[test]
fn a_zone_keeps_its_calls_until_too_many_of_it_fail() {
    let zoned = |id, zone: &str| Instance { zone: Some(zone.into()), ..instance(id) };
    let instances: Vec<_> = (0..8).map(|id| zoned(id, if id < 4 { "here" } else { "there" })).collect();
    let mut rig = Rig::new(Balancing::new(Balance::Random).zone_first("here"), instances);
    assert_eq!(rig.shares(), [100, 100, 100, 100, 0, 0, 0, 0]);
    rig.fail(0, EJECT_CONSECUTIVE);
    assert_eq!(rig.shares(), [100, 100, 100, 0, 0, 0, 0], "three of four are enough");
    rig.fail(1, EJECT_CONSECUTIVE);
    assert_eq!(rig.shares(), [100, 100, 20, 20, 20, 20], "two bear five sevenths");
    rig.see((4..8).map(|id| zoned(id, "there")));
    assert_eq!(rig.shares(), [100; 4]);
}

#[test]
fn the_ring_passes_over_whom_the_pool_does() {
    let mut rig = Rig::new(Balance::ConsistentHash, (0..5).map(instance));
    let owners = |rig: &mut Rig| -> Vec<usize> {
        let roster = rig.roster();
        let ring = roster.ring.as_ref().unwrap();
        (0..500u64).map(|key| place(ring.owner(hash(&key.to_le_bytes())).unwrap())).collect()
    };
    let before = owners(&mut rig);
    rig.fail(2, EJECT_CONSECUTIVE);
    let meanwhile = owners(&mut rig);
    assert!(!meanwhile.contains(&2));
    assert!(before.iter().zip(&meanwhile).all(|(was, is)| was == is || *was == 2));
    rig.after(SECOND * 10);
    assert_eq!(owners(&mut rig), before);
    let weighted = |id, weight| Instance { weight, ..instance(id) };
    let mut rig = Rig::new(Balance::ConsistentHash, [weighted(0, 0), weighted(1, 3)]);
    assert!(owners(&mut rig).iter().all(|owner| *owner == 1));
    rig.fail(1, EJECT_CONSECUTIVE);
    assert!(owners(&mut rig).iter().all(|owner| *owner == 0), "weight nothing is better than nobody");
}

/// What may happen to a view and its calls.
#[derive(Clone, Debug)]
enum Step {
    See(Vec<(bool, bool, u8)>),
    Fail(usize, u32),
    Succeed(usize, u32),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let instances = proptest::collection::vec((any::<bool>(), any::<bool>(), 0..4u8), 0..8);
    prop_oneof![
        1 => instances.prop_map(Step::See),
        4 => (0..8usize, 1..8u32).prop_map(|(id, times)| Step::Fail(id, times)),
        2 => (0..8usize, 1..30u32).prop_map(|(id, times)| Step::Succeed(id, times)),
        2 => (0..20_000u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever happens: somebody is picked exactly while somebody is up, and only who is up; a probe is of one that is
    /// not in the pool; and the roster is not looked at in vain.
    #[test]
    fn somebody_is_picked_while_somebody_is_up(
        steps in proptest::collection::vec(step(), 1..60),
        balance in prop_oneof![Just(Balance::Weighted), Just(Balance::ConsistentHash), Just(Balance::Random)],
    ) {
        let balancing = Balancing::new(balance).zone_first("a").warm_up(SECOND * 5);
        let mut rig = Rig::new(balancing, []);
        let (mut up, mut present) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::See(kinds) => {
                    let made = kinds.iter().enumerate().map(|(id, (is_up, ends, kind))| Instance {
                        status: if *is_up { Status::Up } else { Status::Draining },
                        lifetime: if *ends { Lifetime::Session } else { Lifetime::Persistent },
                        weight: u32::from(*kind),
                        zone: Some(["a", "b"][usize::from(*kind) % 2].into()),
                        ..instance(id)
                    });
                    let made: Vec<_> = made.collect();
                    up = (0..made.len()).filter(|id| made[*id].status == Status::Up).collect();
                    present = up.clone();
                    rig.see(made);
                }
                Step::Fail(id, times) if present.contains(&id) => rig.fail(id, times),
                Step::Succeed(id, times) if present.contains(&id) => rig.succeed(id, times),
                Step::Pass(millis) => drop(rig.after(Duration::from_millis(millis)).roster()),
                _ => {}
            }
            let pool = rig.pool();
            prop_assert_eq!(pool.is_empty(), up.is_empty());
            prop_assert!(pool.iter().all(|id| up.contains(id)));
            prop_assert!(up.is_empty() || rig.shares().iter().any(|share| *share > 0));
            let roster = rig.roster();
            prop_assert!(roster.due.is_none_or(|due| due > rig.now));
            if let Some(ring) = &roster.ring {
                prop_assert_eq!(ring.owner(7).is_some(), !up.is_empty());
                prop_assert!(ring.owner(7).is_none_or(|owner| pool.contains(&place(owner))));
            }
            if let Some(probed) = rig.probe() {
                prop_assert!(up.contains(&probed) && !pool.contains(&probed));
            }
        }
    }
}
