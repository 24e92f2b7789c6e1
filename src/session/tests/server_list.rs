//! Server lists that change at run time.

use std::time::Duration;

use super::connecting::answer;
use super::rig::{Rig, SESSION_ID, config, get, request, servers};
use crate::jute::OpCode;
use crate::limits;
use crate::session::{Config, End, Event, Fate, Loss, Request, State, WatchKind};

/// Connected, by this seed.
fn connected(seed: u64) -> Rig {
    let mut rig = Rig::new(Config { seed, ..config() });
    rig.connect();
    rig
}

fn change(rig: &mut Rig, names: &[&str]) {
    rig.session.set_servers(rig.now, servers(names));
    rig.drain();
}

/// Pearson's statistic against an even spread.
fn chi_square(counts: &[u32]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum()
}

fn count(hosts: impl Iterator<Item = String>, names: &[&str]) -> Vec<u32> {
    let mut counts = vec![0; names.len()];
    for host in hosts {
        counts[names.iter().position(|name| *name == host).unwrap()] += 1;
    }
    counts
}

#[test]
fn clients_are_spread_evenly_over_the_first_servers_that_they_dial() {
    let hosts = (0..5_000).map(|seed| Rig::new(Config { seed, ..config() }).lookups[0].1.host.clone());
    let counts = count(hosts, &["a", "b", "c"]);
    // The 99.9th percentile for 2 degrees of freedom is 13.8.
    assert!(chi_square(&counts) < 13.8, "{counts:?}");
    assert!(counts.iter().all(|&count| (1_500..=1_833).contains(&count)), "{counts:?}");
}

#[test]
fn when_the_list_grows_as_many_move_as_spreads_all_evenly_and_their_sessions_live_on() {
    let names = ["a", "b", "c", "d", "e"];
    let mut moved = 0;
    let hosts = (0..2_000).map(|seed| {
        let mut rig = connected(seed);
        change(&mut rig, &names);
        if rig.session.state() == State::Connected {
            return rig.session.server().unwrap().host.clone();
        }
        moved += 1;
        assert_eq!(rig.count(&Event::Disconnected { loss: Loss::Rebalanced }), 1);
        rig.millis(100);
        let to = rig.lookups.back().unwrap().1.host.clone();
        assert_eq!(rig.accept().session_id, SESSION_ID);
        rig.grant(9_000, SESSION_ID);
        assert_eq!(rig.session.server().unwrap().host, to);
        to
    });
    let counts = count(hosts, &names);
    // The 99.9th percentile for 4 degrees of freedom is 18.5; four standard deviations of the moves are 88.
    assert!(chi_square(&counts) < 18.5, "{counts:?}");
    assert!((712..=888).contains(&moved), "{moved} of 2,000 moved, 800 should");
}

#[test]
fn when_the_list_shrinks_only_those_move_whose_server_is_gone() {
    let hosts = (0..2_000).map(|seed| {
        let mut rig = connected(seed);
        let before = rig.session.server().unwrap().host.clone();
        change(&mut rig, &["a", "b"]);
        assert_eq!(rig.session.state() == State::Connected, before != "c");
        if before != "c" {
            return before;
        }
        assert_eq!(rig.count(&Event::Disconnected { loss: Loss::Removed }), 1);
        rig.millis(100);
        rig.lookups.back().unwrap().1.host.clone()
    });
    let counts = count(hosts, &["a", "b"]);
    // The 99.9th percentile for 1 degree of freedom is 10.8.
    assert!(chi_square(&counts) < 10.8, "{counts:?}");
}

#[test]
fn the_same_servers_again_change_nothing() {
    for seed in 0..50 {
        let mut rig = connected(seed);
        change(&mut rig, &["c", "a", "b"]);
        assert_eq!(rig.session.state(), State::Connected);
    }
    let mut down = Rig::connected();
    down.cut();
    change(&mut down, &["b", "c", "a"]);
    assert!(down.lookups.is_empty(), "the pause is cut short");
}

#[test]
fn whoever_moves_takes_its_watches_along() {
    let mut rig = Rig::connected();
    rig.watch(OpCode::GET_DATA, WatchKind::Data, "/a", 1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 50, &());
    change(&mut rig, &["x", "y"]);
    rig.connect();
    assert!(rig.sent().iter().any(|sent| sent.op == OpCode::SET_WATCHES));
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn a_move_that_fails_tries_the_new_servers_then_the_old_and_then_pauses() {
    for seed in 0..20 {
        let mut rig = connected(seed);
        change(&mut rig, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        if rig.session.state() == State::Connected {
            continue;
        }
        rig.millis(100);
        let mut tried = Vec::new();
        while tried.len() < 9 {
            let Some((_, server)) = rig.lookups.back().cloned() else {
                rig.millis(50);
                continue;
            };
            tried.push(server.host);
            let conn = rig.resolve();
            rig.dials.clear();
            rig.session.handle_dial_failed(rig.now, conn, Loss::Refused);
            rig.drain();
        }
        let (mut newer, mut older) = (tried[..6].to_vec(), tried[6..].to_vec());
        newer.sort();
        older.sort();
        assert_eq!((newer.concat().as_str(), older.concat().as_str()), ("defghi", "abc"));
        rig.connect();
        assert_eq!(rig.session.state(), State::Connected);
    }
}

#[test]
fn a_list_that_changes_twice_before_the_move_is_done_counts_from_where_the_client_was_going() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let hosts = (0..2_000).map(|seed| {
        let mut rig = connected(seed);
        change(&mut rig, &names[..5]);
        change(&mut rig, &names);
        if rig.session.state() != State::Connected {
            rig.millis(100);
            rig.connect();
        }
        rig.session.server().unwrap().host.clone()
    });
    let counts = count(hosts, &names);
    // The 99.9th percentile for 7 degrees of freedom is 24.3.
    assert!(chi_square(&counts) < 24.3, "{counts:?}");
}

#[test]
fn a_session_that_nobody_else_knows_is_not_moved_for_balance() {
    for seed in 0..50 {
        let mut rig = Rig::new(Config { read_only: true, seed, ..config() });
        rig.accept();
        rig.feed(&answer(9_000, SESSION_ID, Some(true)));
        change(&mut rig, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        assert_eq!(rig.session.state(), State::ConnectedReadOnly);
    }
}

#[test]
fn a_session_that_is_closing_waits_for_its_servers_word_whatever_the_list() {
    for seed in 0..50 {
        let mut rig = connected(seed);
        rig.session.close(rig.now);
        change(&mut rig, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        assert_eq!(rig.session.state(), State::Connected);
    }
}

#[test]
fn a_move_by_choice_fails_no_request() {
    let mut rig = Rig::connected();
    let under_way = (1..=3)
        .map(|token| {
            rig.get(token);
            rig.one_sent().xid
        })
        .collect::<Vec<_>>();
    change(&mut rig, &["x", "y"]);
    for (pipelined, token) in [(false, 4), (true, 5)] {
        rig.submit(Request { pipelined, ..request(OpCode::SET_DATA, &get("/a")) }, token);
    }
    assert!(rig.sent().is_empty(), "the connection is being left, and takes on more");
    for xid in under_way {
        assert_eq!(rig.session.state(), State::Connected);
        rig.reply(xid, 10, &());
    }
    assert_eq!(rig.count(&Event::Disconnected { loss: Loss::Removed }), 1);
    rig.connect();
    assert_eq!(rig.sent().iter().map(|sent| sent.op).collect::<Vec<_>>(), [OpCode::SET_DATA; 2]);
    assert!(rig.done.iter().all(|(_, outcome)| outcome.is_ok()), "{:?}", rig.done);
}

#[test]
fn a_server_that_is_slow_to_answer_is_left_after_a_while() {
    let mut rig = Rig::connected();
    rig.submit(request(OpCode::SET_DATA, &get("/a")), 1);
    rig.sent();
    change(&mut rig, &["x", "y"]);
    rig.pass(limits::LEAVE_WAIT / 2);
    change(&mut rig, &["x", "y", "z"]);
    rig.pass(limits::LEAVE_WAIT / 2 - Duration::from_millis(1));
    assert_eq!(rig.session.state(), State::Connected);
    rig.millis(1);
    assert_eq!(rig.fate(1), Some(Fate::Unknown));
    assert_eq!(rig.count(&Event::Disconnected { loss: Loss::Removed }), 1);
    assert_eq!(rig.accept_next().session_id, SESSION_ID);
}

#[test]
fn a_server_that_is_listed_again_before_it_was_left_is_kept() {
    let mut rig = Rig::connected();
    rig.get(1);
    let xid = rig.one_sent().xid;
    change(&mut rig, &["x"]);
    rig.get(2);
    let here = rig.session.server().unwrap().host.clone();
    change(&mut rig, &[&here]);
    assert_eq!(rig.one_sent().op, OpCode::GET_DATA, "what waited goes on");
    rig.reply(xid, 10, &());
    rig.pass(limits::LEAVE_WAIT);
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn close_goes_out_on_a_connection_that_is_being_left() {
    let mut rig = Rig::connected();
    rig.get(1);
    let under_way = rig.one_sent().xid;
    change(&mut rig, &["x"]);
    rig.session.close(rig.now);
    let close = rig.one_sent();
    assert_eq!(close.op, OpCode::CLOSE_SESSION);
    rig.reply(under_way, 10, &());
    rig.reply(close.xid, 10, &());
    assert_eq!(rig.session.state(), State::Ended(End::Closed));
}
