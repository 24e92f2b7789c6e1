//! How often a client dials, whatever its servers do.

use std::time::{Duration, Instant};

use super::connecting::answer;
use super::rig::{Rig, SESSION_ID, config, servers};
use crate::limits;
use crate::session::{Address, Config, Loss, State};

/// What becomes of a dial.
#[derive(Debug, Clone, Copy)]
enum Fortune {
    Refused,
    ClosedAtOnce,
    Swallowed,
    /// Accepted, and cut so many milliseconds later.
    Flapping(u64),
}

/// Fails if more dials and probes lie within one window than may.
fn assert_paced(dials: &[Instant], window: Duration, what: &str) {
    for first in dials {
        let within = dials.iter().filter(|dial| *dial >= first && **dial < *first + window).count();
        assert!(within <= limits::DIALS_A_WINDOW, "{within} dials within {window:?}: {what}");
    }
}

/// Dials for so long, and yields when.
fn dial(rig: &mut Rig, addresses: u8, fortune: impl Fn(usize) -> Fortune, time: Duration) -> Vec<Instant> {
    let (until, mut dials) = (rig.now + time, Vec::new());
    let mut cut_at: Option<Instant> = None;
    let mut seen = rig.addresses.len();
    while rig.now < until {
        if let Some((dial, _)) = rig.lookups.pop_front() {
            let found = (0..addresses).map(|last| Address::Ip(([10, 0, 0, last], 2181).into())).collect();
            rig.session.handle_resolved(rig.now, dial, Ok(found));
            rig.drain();
        }
        while seen < rig.addresses.len() {
            let (conn, _) = rig.addresses[seen];
            seen += 1;
            dials.push(rig.now);
            let fortune = fortune(seen);
            match fortune {
                Fortune::Swallowed => {}
                Fortune::Refused => rig.session.handle_dial_failed(rig.now, conn, Loss::Refused),
                Fortune::ClosedAtOnce | Fortune::Flapping(_) => {
                    rig.dials.clear();
                    rig.session.handle_connected(rig.now, conn);
                    rig.conn = Some(conn);
                    rig.forget_input();
                    rig.take_bytes();
                }
            }
            rig.drain();
            match fortune {
                Fortune::ClosedAtOnce => rig.cut(),
                Fortune::Flapping(millis) => {
                    rig.grant(9_000, SESSION_ID);
                    cut_at = Some(rig.now + Duration::from_millis(millis));
                }
                _ => {}
            }
        }
        if cut_at.is_some_and(|at| at <= rig.now) {
            cut_at = None;
            if rig.conn.is_some() {
                rig.cut();
            }
        }
        rig.millis(5);
    }
    dials
}

#[test]
fn whatever_becomes_of_its_dials_a_client_dials_at_most_twice_in_any_second() {
    let fortunes = [
        Fortune::Refused,
        Fortune::ClosedAtOnce,
        Fortune::Swallowed,
        Fortune::Flapping(0),
        Fortune::Flapping(300),
    ];
    for names in [&["a"][..], &["a", "b"], &["a", "b", "c"], &["a", "b", "c", "d", "e"]] {
        for addresses in [1, 2, 3, 16] {
            for (number, fortune) in fortunes.into_iter().enumerate() {
                let mut rig = Rig::new(Config { servers: servers(names), ..config() });
                let what = format!("{names:?} of {addresses}, {fortune:?}");
                let dials = dial(&mut rig, addresses, |_| fortune, Duration::from_secs(20));
                assert_paced(&dials, limits::DIAL_WINDOW, &what);
                assert!(dials.len() >= 3, "{what}: it gives up: {} dials", dials.len());
                let mut mixed = Rig::new(Config { servers: servers(names), ..config() });
                let any = |dial: usize| fortunes[(number + dial * dial) % fortunes.len()];
                let dials = dial(&mut mixed, addresses, any, Duration::from_secs(20));
                assert_paced(&dials, limits::DIAL_WINDOW, &what);
            }
        }
    }
}

#[test]
fn a_client_that_finds_nobody_does_not_dial_all_the_time() {
    let mut rig = Rig::connected();
    rig.cut();
    let dials = dial(&mut rig, 1, |_| Fortune::Refused, Duration::from_secs(120));
    assert!((40..150).contains(&dials.len()), "{} dials in two minutes", dials.len());
}

#[test]
fn behind_a_loss_the_next_two_servers_are_dialled_at_once() {
    let mut rig = Rig::connected();
    rig.millis(2_000);
    let lost = rig.now;
    rig.cut();
    let dials = dial(&mut rig, 1, |_| Fortune::Refused, Duration::from_secs(3));
    assert!(dials[1] - lost <= limits::REJOIN_SPREAD + Duration::from_millis(10), "{:?}", dials[1] - lost);
    let third = dials[2] - lost;
    assert!(third <= limits::DIAL_WINDOW * 3 / 2, "the third server comes {third:?} behind the loss");
}

#[test]
fn a_session_too_short_to_wait_for_a_second_dials_more_often() {
    let timeout = Duration::from_millis(900);
    let mut rig = Rig::new(Config { timeout, ..config() });
    let dials = dial(&mut rig, 1, |_| Fortune::Refused, Duration::from_secs(5));
    assert_paced(&dials, timeout / 3, "a third of the timeout");
    assert!(dials[2] - dials[0] < timeout / 2, "it would not live to see the third server");
}

#[test]
fn the_session_that_takes_anothers_place_keeps_its_pace() {
    let mut old = Rig::connected();
    let mut dials = vec![old.now];
    old.cut();
    dials.extend(dial(&mut old, 1, |_| Fortune::Refused, Duration::from_millis(100)));
    assert_eq!(dials.len(), 2);
    let mut next = Rig::new(Config { pace: old.session.pace(), ..config() });
    // Two rigs, one clock.
    next.now = old.now;
    dials.extend(dial(&mut next, 1, |_| Fortune::Refused, Duration::from_secs(5)));
    assert_paced(&dials, limits::DIAL_WINDOW, "two sessions, one behind the other");
}

#[test]
fn a_probe_waits_for_its_turn_and_no_dial_waits_for_a_probe() {
    let mut rig = Rig::new(Config { read_only: true, ..config() });
    let dialled = rig.now;
    rig.accept();
    rig.grant(9_000, SESSION_ID);
    rig.cut();
    rig.accept_next();
    let reattached = rig.now;
    rig.feed(&answer(9_000, SESSION_ID, Some(true)));
    assert_eq!(rig.session.state(), State::ConnectedReadOnly);
    let mut probed = Vec::new();
    while probed.len() < 3 {
        if let Some((dial, _)) = rig.lookups.pop_front() {
            rig.session.handle_resolved(rig.now, dial, Ok(vec![Address::Name]));
            rig.drain();
        }
        if let Some((conn, _, _)) = rig.probes.pop() {
            probed.push(rig.now);
            rig.session.handle_probe(rig.now, conn, b"ro");
            rig.drain();
        }
        if probed.len() < 3 {
            rig.millis(5);
        }
    }
    let all = [&[dialled, reattached][..], &probed].concat();
    assert_paced(&all, limits::DIAL_WINDOW, "probes");
    assert!(all[1..].windows(2).all(|two| two[1] - two[0] >= limits::DIAL_WINDOW), "probes are hasty");
    let lost = rig.now;
    rig.cut();
    let dials = dial(&mut rig, 1, |_| Fortune::Refused, Duration::from_secs(3));
    let first = dials[0] - lost;
    assert!(first < limits::DIAL_WINDOW / 2, "it waits {first:?} for a probe");
    let all = [&[*probed.last().unwrap()], &dials[..]].concat();
    assert_paced(&all, limits::DIAL_WINDOW, "probes and dials");
}
