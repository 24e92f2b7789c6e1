//! Heartbeats, silence, the loss of contact, and the lease.

use std::time::Duration;

use super::rig::{Rig, SESSION_ID, config, get, request};
use crate::jute::{ErrorCode, ErrorResponse, MultiHeader, OpCode, Xid};
use crate::session::{Cause, Config, Event, Fate, Loss, State};

const T: Duration = Duration::from_secs(9);

#[test]
fn an_idle_connection_is_pinged_every_third_of_the_timeout() {
    let mut rig = Rig::connected();
    for _ in 0..10 {
        rig.millis(2_999);
        assert!(rig.take_bytes().is_empty());
        rig.millis(1);
        let ping = rig.one_sent();
        assert_eq!((ping.xid, ping.op), (Xid::PING, OpCode::PING));
        rig.reply(Xid::PING, 1, &());
    }
    assert_eq!((rig.session.state(), rig.session.stats().pings), (State::Connected, 10));
    assert_eq!(rig.session.last_zxid(), 0, "a ping's answer moved lastZxid");
}

#[test]
fn a_busy_connection_needs_no_pings() {
    let mut rig = Rig::connected();
    for token in 1..=20 {
        rig.millis(2_000);
        rig.get(token);
        let xid = rig.one_sent().xid;
        rig.reply(xid, 1, &());
    }
    assert_eq!(rig.session.stats().pings, 0);
}

#[test]
fn pings_are_never_more_than_ten_seconds_apart() {
    let mut rig = Rig::new(Config { timeout: Duration::from_secs(600), ..config() });
    rig.accept();
    rig.grant(600_000, SESSION_ID);
    rig.millis(10_000);
    assert_eq!(rig.one_sent().op, OpCode::PING);
}

#[test]
fn absurd_timeouts_make_no_busy_loop() {
    for millis in [1, 2, 30, i32::MAX] {
        let mut rig = Rig::new(config());
        rig.accept();
        rig.grant(millis, SESSION_ID);
        rig.millis(1_000);
        assert!(rig.session.stats().pings <= 100, "{} pings", rig.session.stats().pings);
    }
}

#[test]
fn silence_of_two_thirds_of_the_timeout_costs_the_connection() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.sent();
    rig.millis(5_999);
    assert_eq!(rig.session.state(), State::Connected);
    rig.millis(1);
    assert_eq!(rig.count(&Event::Disconnected { loss: Loss::Silence }), 1);
    assert_eq!(
        (rig.fate(1), rig.cause(1)),
        (Some(Fate::Unknown), Some(Cause::ConnectionLost(Loss::Silence)))
    );
    assert_eq!(rig.hung_up.len(), 1);
}

#[test]
fn if_we_were_late_one_more_read_comes_before_the_verdict() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.sent();
    rig.now += Duration::from_secs(8);
    rig.session.handle_timeout(rig.now);
    rig.drain();
    assert_eq!(rig.session.state(), State::Connected);
    rig.reply(Xid(1), 1, &());
    rig.millis(5_000);
    assert_eq!(rig.session.state(), State::Connected);

    rig.now += Duration::from_secs(8);
    rig.session.handle_timeout(rig.now);
    rig.millis(200);
    assert_ne!(rig.session.state(), State::Connected, "the reprieve has no end");
}

#[test]
fn input_found_late_is_heard_before_the_silence_is_judged() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.sent();
    rig.now += Duration::from_secs(8);
    rig.reply(Xid(1), 1, &());
    assert_eq!((rig.session.state(), rig.done.len()), (State::Connected, 1));
}

#[test]
fn a_byte_a_second_is_no_sign_of_life_but_a_large_reply_is() {
    let mut drip = Rig::connected();
    drip.get(1);
    drip.sent();
    for _ in 0..20 {
        drip.feed(&[0]);
        drip.millis(1_000);
    }
    assert_ne!(drip.session.state(), State::Connected);

    let mut slow = Rig::connected();
    slow.get(1);
    slow.sent();
    slow.feed(&1_000_016_i32.to_be_bytes());
    slow.feed(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    for _ in 0..20 {
        slow.millis(3_000);
        slow.feed(&vec![0; 50_000]);
    }
    assert!(slow.outcome(1).unwrap().is_ok());
}

#[test]
fn contact_is_lost_at_four_thirds_and_the_session_is_offered_once_more() {
    let mut rig = Rig::connected();
    rig.cut();
    rig.get(1);
    rig.millis(11_999);
    assert_eq!((rig.session.state(), rig.outcome(1)), (State::Disconnected, None));
    rig.millis(1);
    assert_eq!((rig.session.state(), rig.count(&Event::Lost)), (State::Lost, 1));
    assert_eq!((rig.cause(1), rig.fate(1)), (Some(Cause::SessionLost), Some(Fate::NotSent)));
    rig.millis(60_000);
    assert_eq!(rig.count(&Event::Lost), 1);
    rig.lookups.drain(..rig.lookups.len() - 1);
    assert_eq!(rig.accept_next().session_id, SESSION_ID);
    rig.grant(9_000, SESSION_ID);
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn no_lease_without_writes() {
    let mut rig = Rig::connected();
    for token in 1..=20 {
        rig.millis(1_000);
        rig.get(token);
        let xid = rig.sent().iter().find(|sent| sent.op == OpCode::GET_DATA).unwrap().xid;
        rig.reply(xid, 1, &());
        rig.reply(Xid::PING, 1, &());
    }
    assert_eq!(rig.session.lease_until(), None);
}

#[test]
fn the_lease_runs_from_the_sending_of_the_last_but_one_write() {
    let mut rig = Rig::connected();
    let mut sent_at = Vec::new();
    for token in 1..=2 {
        rig.submit(request(OpCode::SET_DATA, &get("/a")), token);
        sent_at.push(rig.now);
        let xid = rig.sent().last().unwrap().xid;
        rig.millis(2_900);
        rig.reply(xid, 10, &());
        rig.millis(100);
    }
    assert_eq!(rig.session.lease_until(), Some(sent_at[0] + T));
}

#[test]
fn a_refused_write_is_proof_too_unless_the_member_refused_it_alone() {
    for (err, proves) in [
        (ErrorCode::NO_NODE, true),
        (ErrorCode::BAD_VERSION, true),
        (ErrorCode::NOT_READ_ONLY, false),
        (ErrorCode::THROTTLED_OP, false),
    ] {
        let mut rig = Rig::connected();
        for token in 1..=2 {
            rig.submit(request(OpCode::SET_DATA, &get("/a")), token);
            let xid = rig.sent().last().unwrap().xid;
            rig.refuse(xid, 10, err);
            rig.millis(3_000);
        }
        assert_eq!(rig.session.lease_until().is_some(), proves, "{err}");
    }
}

#[test]
fn a_held_lease_is_renewed_by_a_write_that_changes_nothing() {
    let mut rig = Rig::connected();
    rig.session.hold_lease(rig.now, "/lock/n-1", 0);
    for round in 0..5 {
        let check = rig.sent().into_iter().find(|sent| sent.op == OpCode::MULTI).expect("no renewal");
        assert!(check.body.windows(9).any(|window| window == b"/lock/n-1"));
        rig.reply(check.xid, 10 + round, &MultiHeader { op: OpCode::CHECK, done: false, err: ErrorCode::OK });
        rig.millis(3_000);
    }
    assert!(rig.session.lease_until().unwrap() > rig.now);
}

#[test]
fn a_refused_renewal_is_told_and_ends_the_renewals() {
    let mut rig = Rig::connected();
    let lease = rig.session.hold_lease(rig.now, "/lock/n-1", 0);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 10, &Failed(ErrorCode::NO_NODE));
    assert_eq!(rig.count(&Event::LeaseRefused { lease, code: ErrorCode::NO_NODE }), 1);
    rig.millis(3_000);
    assert!(rig.sent().iter().all(|sent| sent.op == OpCode::PING));
}

#[test]
fn a_lease_is_renewed_after_a_reconnect_and_not_while_apart() {
    let mut rig = Rig::connected();
    rig.session.hold_lease(rig.now, "/lock/n-1", 0);
    rig.sent();
    rig.cut();
    rig.millis(3_500);
    rig.lookups.clear();
    // The next attempt may be a pause away.
    while rig.lookups.is_empty() {
        rig.millis(10);
    }
    rig.connect();
    assert!(rig.sent().iter().any(|sent| sent.op == OpCode::MULTI));
}

struct Failed(ErrorCode);

impl crate::jute::Encode for Failed {
    fn encode(&self, out: &mut crate::jute::Writer) {
        MultiHeader { op: OpCode::ERROR, done: false, err: self.0 }.encode(out);
        ErrorResponse { err: self.0 }.encode(out);
        MultiHeader::END.encode(out);
    }
}
