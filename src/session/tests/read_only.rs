//! Sessions on read-only servers, and the search for a better one.

use std::time::{Duration, Instant};

use super::connecting::answer;
use super::rig::{Rig, SESSION_ID, config, get, request};
use crate::jute::{OpCode, Xid};
use crate::limits;
use crate::session::{Address, Cause, Config, ConnId, End, Event, Fate, Loss, Server, State, WatchKind};

/// Connected to a read-only server, with a session begun there.
fn provisional() -> Rig {
    let mut rig = Rig::new(Config { read_only: true, ..config() });
    assert_eq!(rig.accept().read_only, Some(true));
    rig.feed(&answer(9_000, SESSION_ID, Some(true)));
    assert_eq!(rig.session.state(), State::ConnectedReadOnly);
    rig
}

/// Connected to a read-only server, with a session that began elsewhere.
fn real() -> Rig {
    let mut rig = Rig::new(Config { read_only: true, ..config() });
    rig.accept();
    rig.grant(9_000, SESSION_ID);
    rig.cut();
    rig.accept_next();
    rig.feed(&answer(9_000, SESSION_ID, Some(true)));
    assert_eq!(rig.session.state(), State::ConnectedReadOnly);
    rig
}

/// Waits for the next probe. The server says something now and then, so that the connection stays.
fn next_probe(rig: &mut Rig) -> (ConnId, Server) {
    for _ in 0..10_000 {
        if let Some((dial, _)) = rig.lookups.pop_front() {
            rig.session.handle_resolved(rig.now, dial, Ok(vec![Address::Name]));
            rig.drain();
        }
        if let Some((conn, server, _)) = rig.probes.pop() {
            return (conn, server);
        }
        assert_eq!(rig.session.state(), State::ConnectedReadOnly);
        rig.millis(20);
        keep_alive(rig);
    }
    panic!("no probe");
}

/// Waits for the search's first look-up.
fn await_lookup(rig: &mut Rig) {
    rig.pass(limits::PROBE_PAUSE_MIN);
    assert!(!rig.lookups.is_empty(), "nobody searches");
}

fn keep_alive(rig: &mut Rig) {
    if rig.sent().iter().any(|sent| sent.xid == Xid::PING) {
        rig.reply(Xid::PING, 1, &());
    }
}

fn answer_probe(rig: &mut Rig, conn: ConnId, word: &[u8]) {
    rig.session.handle_probe(rig.now, conn, word);
    rig.drain();
}

/// The session has found a server, and the spread goes by.
fn move_over(rig: &mut Rig) {
    rig.pass(limits::MOVE_SPREAD);
}

#[test]
fn servers_are_asked_one_at_a_time_and_less_and_less_often() {
    let mut rig = provisional();
    let (mut asked, mut at) = (Vec::new(), Vec::<Instant>::new());
    for _ in 0..12 {
        let (conn, server) = next_probe(&mut rig);
        assert!(rig.probes.is_empty(), "two probes at once");
        at.push(rig.now);
        asked.push(server.host);
        answer_probe(&mut rig, conn, b"ro");
    }
    assert!(
        asked.windows(3).all(|three| three[0] != three[1] && three[1] != three[2] && three[0] != three[2])
    );
    let pauses: Vec<_> = at.windows(2).map(|two| two[1] - two[0]).collect();
    let ceiling =
        |doublings: u32| (limits::PROBE_PAUSE_MIN * 2_u32.pow(doublings)).min(limits::PROBE_PAUSE_MAX);
    for (pause, doublings) in pauses.iter().zip(1..) {
        // Rare as they are, they keep the pace of all dials.
        let least = (ceiling(doublings) / 2).max(limits::DIAL_WINDOW);
        let most = ceiling(doublings).max(limits::DIAL_WINDOW) + Duration::from_millis(40);
        assert!((least..=most).contains(pause), "{pause:?} is not within {least:?} and {most:?}");
    }
    assert!(pauses.last().unwrap() >= &(limits::PROBE_PAUSE_MAX / 2), "it never comes to rest");
    assert_eq!(rig.session.stats().probes, 12);
}

#[test]
fn a_session_that_began_elsewhere_moves_and_lives_on() {
    let mut rig = real();
    rig.watch(OpCode::GET_DATA, WatchKind::Data, "/a", 1);
    let xid = rig.sent().last().unwrap().xid;
    rig.reply(xid, 50, &());
    let (conn, found) = next_probe(&mut rig);
    answer_probe(&mut rig, conn, b"rw");
    assert_eq!(rig.session.state(), State::ConnectedReadOnly, "it moves later than at once");
    move_over(&mut rig);
    assert_eq!(rig.count(&Event::Disconnected { loss: Loss::ReadWriteFound }), 1);
    rig.millis(100);
    let (dialled, server) = rig.dials.pop_back().expect("its address is known and dialled without a look-up");
    assert_eq!(server, found);
    rig.session.handle_connected(rig.now, dialled);
    rig.conn = Some(dialled);
    rig.forget_input();
    rig.drain();
    rig.take_bytes();
    rig.grant(9_000, SESSION_ID);
    assert_eq!(rig.session.state(), State::Connected);
    assert!(rig.sent().iter().any(|sent| sent.op == OpCode::SET_WATCHES), "its watches come along");
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Ended(_))));
    let probes = rig.session.stats().probes;
    rig.millis(5_000);
    assert_eq!(rig.session.stats().probes, probes, "it searches on");
}

#[test]
fn a_session_begun_there_ends_and_the_next_begins_at_the_server_that_was_found() {
    let mut rig = provisional();
    rig.get(1);
    rig.sent();
    let watcher = rig.watch(OpCode::GET_DATA, WatchKind::Data, "/a", 2).watcher();
    let xid = rig.sent().last().unwrap().xid;
    rig.reply(Xid(1), 50, &());
    rig.reply(xid, 50, &());
    rig.get(3);
    let under_way = rig.one_sent().xid;
    let (conn, found) = next_probe(&mut rig);
    answer_probe(&mut rig, conn, b"rw");
    move_over(&mut rig);
    assert_eq!(rig.session.state(), State::ConnectedReadOnly, "it does not wait for what is under way");
    rig.get(4);
    assert!(rig.sent().iter().all(|sent| sent.xid == Xid::PING));
    rig.reply(under_way, 50, &());
    assert!(rig.outcome(3).unwrap().is_ok());
    assert_eq!(rig.session.state(), State::Ended(End::Expired));
    assert_eq!(rig.count(&Event::Ended(End::Expired)), 1);
    assert_eq!((rig.fate(4), rig.cause(4)), (Some(Fate::NotSent), Some(Cause::SessionEnded(End::Expired))));
    assert!(rig.notices.iter().any(|(id, _)| *id == watcher.0), "its watch ends without a word");
    let heading = rig.session.heading().cloned();
    assert_eq!(heading, Some((found.clone(), Address::Name)));

    let mut next = Rig::new(Config { read_only: true, first: heading, ..config() });
    assert!(next.lookups.is_empty());
    assert_eq!(next.dials.back().unwrap().1, found);
    let dialled = next.dials.pop_back().unwrap().0;
    next.session.handle_connected(next.now, dialled);
    next.conn = Some(dialled);
    let asked = next.take_bytes();
    assert_eq!(asked[4 + 16..4 + 24], [0; 8], "an id that nobody knows is asked for");
    next.grant(9_000, SESSION_ID + 1);
    assert_eq!(next.session.state(), State::Connected);
}

#[test]
fn only_rw_means_read_write() {
    for word in [&b"ro"[..], b"null", b"isro", b"", b"r", b"rwx", b"RW", b"\0\0\0\x25"] {
        let mut rig = provisional();
        let (conn, _) = next_probe(&mut rig);
        answer_probe(&mut rig, conn, word);
        move_over(&mut rig);
        assert_eq!(rig.session.state(), State::ConnectedReadOnly, "{word:?}");
    }
}

#[test]
fn a_server_that_says_nothing_is_hung_up_on_and_the_session_goes_on() {
    let mut rig = provisional();
    let (silent, _) = next_probe(&mut rig);
    rig.get(1);
    let xid = rig.sent().last().unwrap().xid;
    rig.reply(xid, 50, &());
    assert!(rig.outcome(1).unwrap().is_ok(), "a probe holds a request up");
    rig.pass(limits::PROBE_TIMEOUT);
    assert_eq!(rig.hung_up, [silent]);
    answer_probe(&mut rig, silent, b"rw");
    move_over(&mut rig);
    assert_eq!(rig.session.state(), State::ConnectedReadOnly, "an answer to what is over was taken");
    next_probe(&mut rig);
}

#[test]
fn a_hanging_resolver_ends_no_search() {
    let mut rig = provisional();
    await_lookup(&mut rig);
    let (hanging, server) = rig.lookups.pop_back().unwrap();
    let (_, other) = next_probe(&mut rig);
    assert_ne!(server, other);
    rig.session.handle_resolved(rig.now, hanging, Ok(vec![Address::Name]));
    rig.drain();
    assert!(rig.probes.is_empty());
}

#[test]
fn every_other_address_of_a_name_is_asked() {
    let mut rig = Rig::new(Config { read_only: true, ..config() });
    let ip = |last: u8| Address::Ip(([10, 0, 0, last], 2181).into());
    let (dial, _) = rig.lookups.pop_back().unwrap();
    rig.session.handle_resolved(rig.now, dial, Ok(vec![ip(1)]));
    rig.drain();
    let conn = rig.dials.pop_back().unwrap().0;
    rig.session.handle_connected(rig.now, conn);
    rig.conn = Some(conn);
    rig.drain();
    rig.take_bytes();
    rig.feed(&answer(9_000, SESSION_ID, Some(true)));
    await_lookup(&mut rig);
    let (dial, _) = rig.lookups.pop_back().unwrap();
    rig.session.handle_resolved(rig.now, dial, Ok(vec![ip(1), ip(2), ip(3)]));
    rig.drain();
    let mut asked = Vec::new();
    for _ in 0..2 {
        rig.pass(limits::DIAL_WINDOW);
        let (conn, _, address) = rig.probes.pop().expect("it is the next one's turn");
        asked.push(address);
        answer_probe(&mut rig, conn, b"ro");
    }
    assert_eq!(asked, [ip(2), ip(3)]);
}

#[test]
fn the_search_ends_with_the_connection_the_session_and_the_wish_to_close() {
    let mut cut = real();
    let (conn, _) = next_probe(&mut cut);
    cut.cut();
    assert!(cut.hung_up.contains(&conn));
    answer_probe(&mut cut, conn, b"rw");
    assert_eq!(cut.session.state(), State::Disconnected);

    let mut closed = provisional();
    let (conn, _) = next_probe(&mut closed);
    closed.session.close(closed.now);
    closed.drain();
    closed.pass(limits::PROBE_TIMEOUT);
    assert!(closed.hung_up.contains(&conn));
    closed.millis(3_000);
    assert!(closed.probes.is_empty() && closed.lookups.is_empty());
    assert_eq!(closed.count(&Event::Ended(End::Closed)), 0);
}

#[test]
fn whoever_moved_in_vain_is_in_no_hurry_the_next_time() {
    let mut rig = provisional();
    let (conn, _) = next_probe(&mut rig);
    answer_probe(&mut rig, conn, b"rw");
    move_over(&mut rig);
    let first = rig.session.heading().cloned();
    let mut next = Rig::new(Config { read_only: true, first, ..config() });
    let conn = next.dials.pop_back().unwrap().0;
    next.session.handle_dial_failed(next.now, conn, Loss::Refused);
    next.drain();
    next.accept();
    next.feed(&answer(9_000, SESSION_ID + 1, Some(true)));
    let begun = next.now;
    next_probe(&mut next);
    assert!(next.now - begun >= limits::PROBE_PAUSE_MAX / 2, "sessions end one after the other");
}

#[test]
fn a_found_server_that_is_no_longer_listed_is_left_alone() {
    let mut rig = provisional();
    let (conn, found) = next_probe(&mut rig);
    answer_probe(&mut rig, conn, b"rw");
    let rest = config().servers.into_iter().filter(|server| *server != found).collect::<Vec<_>>();
    let here = rig.session.server().cloned().unwrap();
    rig.session.set_servers(rig.now, rest);
    rig.drain();
    move_over(&mut rig);
    if here == found {
        assert_eq!(rig.session.state(), State::Ended(End::Expired));
    } else {
        assert_eq!(rig.session.state(), State::ConnectedReadOnly);
    }
}

#[test]
fn clients_that_found_a_server_do_not_all_move_at_once() {
    let mut moved = Vec::new();
    for seed in 0..200 {
        let mut rig = Rig::new(Config { read_only: true, seed, ..config() });
        rig.accept();
        rig.feed(&answer(9_000, SESSION_ID, Some(true)));
        let (conn, _) = next_probe(&mut rig);
        answer_probe(&mut rig, conn, b"rw");
        let found = rig.now;
        for _ in 0..200 {
            if rig.session.state() == State::ConnectedReadOnly {
                rig.millis(10);
            }
        }
        moved.push((rig.now - found).as_millis() / 100);
    }
    for tenth in 0..10 {
        let count = moved.iter().filter(|&&moved| moved == tenth).count();
        assert!((5..=40).contains(&count), "{count} of 200 in the {tenth}th tenth of a second");
    }
}

#[test]
fn a_read_only_server_that_closes_on_a_real_session_does_not_end_it() {
    let mut rig = Rig::new(Config { read_only: true, ..config() });
    rig.accept();
    rig.grant(9_000, SESSION_ID);
    rig.cut();
    for _ in 0..5 {
        assert_eq!(rig.accept_next().session_id, SESSION_ID, "downgraded");
        rig.cut();
    }
    assert_eq!(rig.session.state(), State::Disconnected);
}

#[test]
fn the_end_of_the_quorums_absence_ends_a_session_begun_without_it() {
    let mut rig = provisional();
    rig.submit(request(OpCode::GET_DATA, &get("/a")), 1);
    rig.cut();
    assert_eq!(rig.session.state(), State::Ended(End::Expired));
    assert_eq!(rig.session.heading(), None);
    assert_eq!(rig.fate(1), Some(Fate::NotSent));
}

#[test]
fn on_a_read_write_server_nobody_searches() {
    let mut rig = Rig::connected();
    for _ in 0..100 {
        rig.millis(1_000);
        keep_alive(&mut rig);
    }
    assert_eq!((rig.session.stats().probes, rig.lookups.len()), (0, 0));
    assert_eq!(rig.session.state(), State::Connected);
}
