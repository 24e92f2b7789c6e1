//! What servers answer that is odd, wrong, or not for us: one small case each.

use std::time::Duration;

use bytes::Bytes;

use super::rig::{PASSWORD, Rig, SESSION_ID, config, frame, get, notification, request};
use crate::jute::{
    ConnectResponse, ErrorCode, EventType, KeeperState, OpCode, Ustring, WatcherEvent, Writer, Xid,
};
use crate::session::{Auth, Cause, Config, End, Event, Fate, Loss, Notice, State, Violation, WatchKind};

fn granting(time_out: i32, session_id: i64, passwd: Option<Bytes>) -> ConnectResponse {
    ConnectResponse { protocol_version: 0, time_out, session_id, passwd, read_only: Some(false) }
}

fn ask_for(rig: &mut Rig, tokens: std::ops::RangeInclusive<u32>) {
    for token in tokens {
        rig.get(token);
    }
}

fn password() -> Option<Bytes> {
    Some(Bytes::from_static(PASSWORD))
}

#[test]
fn an_answer_without_time_is_a_refusal_whatever_else_it_says() {
    let zeroes = || Some(Bytes::from_static(&[0; 16]));
    for (time_out, id, passwd) in
        [(0, 0, zeroes()), (-1, SESSION_ID, password()), (i32::MIN, 0, None), (0, SESSION_ID, password())]
    {
        let mut new = Rig::new(config());
        new.accept();
        new.answer_handshake(&granting(time_out, id, passwd.clone()));
        assert_eq!((new.session.state(), new.hung_up.len()), (State::Connecting, 1));
        assert_eq!(new.accept_next().session_id, 0, "it begins anew elsewhere");
        let mut old = Rig::connected();
        old.cut();
        old.accept_next();
        old.answer_handshake(&granting(time_out, id, passwd));
        assert_eq!(old.session.state(), State::Ended(End::Expired));
        assert_eq!(old.count(&Event::Ended(End::Expired)), 1);
    }
}

#[test]
fn servers_that_accept_and_hang_up_are_named_and_dialled_less_and_less() {
    for with_session in [false, true] {
        let mut rig = if with_session { Rig::connected() } else { Rig::new(config()) };
        if with_session {
            rig.cut();
        }
        let (until, mut accepted) = (rig.now + Duration::from_secs(30), 0);
        while rig.now < until {
            match rig.lookups.is_empty() {
                true => rig.millis(10),
                false => {
                    rig.accept();
                    rig.cut();
                    accepted += 1;
                }
            }
        }
        assert!((20..200).contains(&accepted), "{accepted} connections in 30 s");
        let named =
            |event: &&Event| matches!(event, Event::AttemptFailed { loss: Loss::ClosedBeforeHandshake, .. });
        assert_eq!(rig.events.iter().filter(named).count(), accepted);
    }
}

#[test]
fn a_close_right_behind_a_servers_farewell_ends_at_once_and_does_not_claim_the_servers_word() {
    let mut rig = Rig::connected();
    rig.submit(request(OpCode::WHO_AM_I, &()), 1);
    let xid = rig.one_sent().xid;
    rig.refuse(xid, -1, ErrorCode::UNIMPLEMENTED);
    assert_eq!(rig.cause(1), Some(Cause::Server(ErrorCode::UNIMPLEMENTED)));
    // The server has closed behind that answer: nothing that is written now would be read.
    rig.session.close(rig.now);
    rig.drain();
    assert_eq!(rig.session.state(), State::Ended(End::ClosedUnconfirmed));
    rig.pass(Duration::from_secs(60));
    assert!(rig.lookups.is_empty() && rig.session.is_drained());
}

#[test]
fn passwords_of_odd_lengths_are_offered_again_as_they_are() {
    for len in [0, 1, 15, 16, 17, 64] {
        let mut rig = Rig::new(config());
        rig.accept();
        let passwd = Bytes::from(vec![7; len]);
        rig.answer_handshake(&granting(9_000, SESSION_ID, Some(passwd.clone())));
        assert_eq!(rig.session.state(), State::Connected, "{len} bytes");
        rig.cut();
        assert_eq!(rig.accept_next().passwd, Some(passwd));
    }
    let mut rig = Rig::new(config());
    rig.accept();
    rig.answer_handshake(&granting(9_000, SESSION_ID, None));
    rig.cut();
    assert_eq!(rig.accept_next().passwd, Some(Bytes::new()), "null is told apart nowhere");
    for len in [65, 300, 1 << 20] {
        let mut rig = Rig::new(config());
        rig.accept();
        rig.answer_handshake(&granting(9_000, SESSION_ID, Some(Bytes::from(vec![7; len]))));
        assert_eq!((rig.session.state(), rig.hung_up.len()), (State::Connecting, 1), "{len} bytes");
    }
    // A length of -5, which no encoder writes.
    let mut rig = Rig::new(config());
    rig.accept();
    let mut bytes = rig.handshake_answer(9_000, SESSION_ID);
    bytes[20..24].copy_from_slice(&(-5_i32).to_be_bytes());
    rig.feed(&bytes);
    assert_eq!((rig.session.state(), rig.session.stats().violations), (State::Connecting, 1));
}

#[test]
fn reserved_xids_that_mean_nothing_cost_the_connection() {
    for xid in [-3, -5, -77, i32::MIN, 0] {
        for asked in [false, true] {
            let mut rig = Rig::connected();
            if asked {
                rig.get(1);
                rig.take_bytes();
            }
            rig.reply(Xid(xid), 1, &());
            assert_eq!(
                (rig.session.state(), rig.session.stats().violations),
                (State::Disconnected, 1),
                "{xid}"
            );
            assert_eq!(rig.fate(1), asked.then_some(Fate::Unknown));
        }
    }
}

#[test]
fn a_refusal_of_credentials_that_nobody_presented_ends_the_session_all_the_same() {
    let mut rig = Rig::connected();
    rig.refuse(Xid::AUTH, 0, ErrorCode::AUTH_FAILED);
    assert_eq!(rig.session.state(), State::Ended(End::AuthFailed));
    assert_eq!(rig.count(&Event::Ended(End::AuthFailed)), 1);
}

#[test]
fn codes_that_nobody_knows_are_told_as_they_are() {
    for code in [-999, 5, i32::MIN, i32::MAX] {
        let mut rig = Rig::connected();
        rig.get(1);
        let xid = rig.one_sent().xid;
        rig.refuse(xid, 1, ErrorCode(code));
        assert_eq!(rig.cause(1), Some(Cause::Server(ErrorCode(code))));
        assert_eq!(rig.session.state(), State::Connected);
    }
}

fn event_in(state: KeeperState, event_type: EventType, path: &str) -> Bytes {
    let event = WatcherEvent { event_type, state, path: Ustring::from(path) };
    frame(Xid::NOTIFICATION, -1, ErrorCode::OK, &event)
}

#[test]
fn unknown_types_and_states_of_events_harm_nothing() {
    let mut rig = Rig::connected();
    let id = rig.watch(OpCode::GET_DATA, WatchKind::Data, "/a", 1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 1, &());
    for event_type in [-1, 0, 5, 99, i32::MIN, i32::MAX] {
        rig.feed(&event_in(KeeperState::SYNC_CONNECTED, EventType(event_type), "/a"));
    }
    assert_eq!((rig.notices.len(), rig.session.stats().ignored_events), (0, 6));
    // The state is the session's own business; the event counts.
    rig.feed(&event_in(KeeperState(4711), EventType::NODE_DATA_CHANGED, "/a"));
    assert_eq!(rig.notices.len(), 1);
    assert_eq!((rig.notices[0].0, rig.session.state()), (id.0, State::Connected));
}

#[test]
fn a_notification_may_be_longer_than_known_but_not_shorter() {
    let mut rig = Rig::connected();
    let id = rig.watch(OpCode::GET_DATA, WatchKind::Data, "/a", 1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 1, &());
    let whole = notification(EventType::NODE_DATA_CHANGED, "/a");
    let mut longer = whole.to_vec();
    longer.extend_from_slice(b"of a later version");
    let len = i32::try_from(longer.len() - 4).unwrap();
    longer[..4].copy_from_slice(&len.to_be_bytes());
    rig.feed(&longer);
    assert!(matches!(&rig.notices[..], [(watcher, Notice::Event { .. })] if *watcher == id.0));
    for cut in 1..=12 {
        let mut rig = Rig::connected();
        let mut shorter = whole[..whole.len() - cut].to_vec();
        let len = i32::try_from(shorter.len() - 4).unwrap();
        shorter[..4].copy_from_slice(&len.to_be_bytes());
        rig.feed(&shorter);
        let loss = Loss::Violation(Violation::Malformed);
        assert_eq!(rig.count(&Event::Disconnected { loss }), 1, "{cut} bytes short");
    }
}

#[test]
fn what_comes_behind_the_answer_to_close_is_heard_by_nobody() {
    let mut rig = Rig::connected();
    rig.session.close(rig.now);
    let xid = rig.one_sent().xid;
    let conn = rig.conn.unwrap();
    let mut bytes = frame(xid, 2, ErrorCode::OK, &()).to_vec();
    bytes.extend_from_slice(&frame(xid, 2, ErrorCode::OK, &()));
    bytes.extend_from_slice(&notification(EventType::NODE_CREATED, "/late"));
    bytes.extend_from_slice(&[0xff; 7]);
    rig.feed(&bytes);
    assert_eq!(rig.session.state(), State::Ended(End::Closed));
    let mut late = bytes::BytesMut::from(&bytes[..]);
    assert!(!rig.session.handle_input(rig.now, conn, &mut late));
    rig.drain();
    assert_eq!((rig.count(&Event::Ended(End::Closed)), rig.session.stats().violations), (1, 0));
}

#[test]
fn an_answer_that_comes_twice_costs_the_connection_and_answers_nobody_else() {
    for others in [0, 3] {
        let mut rig = Rig::connected();
        ask_for(&mut rig, 1..=1 + others);
        rig.take_bytes();
        rig.reply(Xid(1), 1, &());
        rig.reply(Xid(1), 1, &());
        assert!(rig.outcome(1).unwrap().is_ok());
        assert_eq!((rig.session.state(), rig.session.stats().violations), (State::Disconnected, 1));
        assert!((2..=1 + others).all(|token| rig.fate(token) == Some(Fate::Unknown)));
    }
}

#[test]
fn an_oversize_answer_to_a_multi_does_not_say_whether_it_was_done() {
    for (op, fate) in [(OpCode::SET_DATA, Fate::Applied), (OpCode::MULTI, Fate::Unknown)] {
        let mut rig = Rig::new(Config { inbound_frame_len_bytes: 100, ..config() });
        rig.connect();
        rig.submit(request(op, &get("/a")), 1);
        let xid = rig.one_sent().xid;
        rig.reply(xid, 1, &get(&"/long".repeat(40)));
        assert!(matches!(rig.cause(1), Some(Cause::ReplyTooLarge { limit: 100, .. })));
        assert_eq!(rig.fate(1), Some(fate), "{op:?}");
    }
}

#[test]
fn credentials_refused_at_a_later_connection_end_the_session_once() {
    let auth = Auth { scheme: "digest".into(), auth: Bytes::from_static(b"u:p") };
    let mut rig = Rig::new(Config { auth: vec![auth], ..config() });
    rig.connect();
    rig.take_bytes();
    rig.reply(Xid::AUTH, 0, &());
    rig.cut();
    rig.get(1);
    rig.connect();
    rig.take_bytes();
    rig.refuse(Xid::AUTH, 0, ErrorCode::AUTH_FAILED);
    assert_eq!(rig.count(&Event::Ended(End::AuthFailed)), 1);
    assert_eq!(rig.cause(1), Some(Cause::SessionEnded(End::AuthFailed)));
    rig.millis(60_000);
    assert!(rig.lookups.is_empty(), "wrong credentials are not tried again");
}

#[test]
fn credentials_are_presented_once_a_connection_whenever_they_were_added() {
    let add = |rig: &mut Rig, token| {
        let auth = Auth { scheme: "digest".into(), auth: Bytes::from(format!("u:{token}")) };
        rig.session.add_auth(rig.now, auth, token).unwrap();
        rig.drain();
    };
    let mut rig = Rig::connected();
    add(&mut rig, 1);
    rig.cut();
    add(&mut rig, 2);
    rig.accept_next();
    add(&mut rig, 3);
    assert!(rig.take_bytes().is_empty(), "nothing goes out before the answer");
    rig.grant(9_000, SESSION_ID);
    add(&mut rig, 4);
    for added in [4, 4] {
        let sent = rig.sent();
        assert!(sent.iter().all(|sent| sent.op == OpCode::AUTH));
        let ends: Vec<_> = sent.iter().filter_map(|sent| sent.body.last().copied()).collect();
        assert_eq!(ends, b"1234"[..added], "each once, in the order they were added");
        rig.cut();
        rig.connect();
    }
    rig.take_bytes();
    (1..=4).for_each(|_| rig.reply(Xid::AUTH, 0, &()));
    assert!((1..=4).all(|token| rig.outcome(token).is_some_and(Result::is_ok)));
}

#[test]
fn who_was_frozen_holds_no_lease_and_learns_of_the_end_before_anything_else() {
    let mut rig = Rig::connected();
    for token in 1..=2 {
        rig.submit(request(OpCode::SET_DATA, &get("/a")), token);
        let xid = rig.sent().last().unwrap().xid;
        rig.reply(xid, 10, &());
        rig.millis(3_000);
    }
    rig.take_bytes();
    assert!(rig.session.lease_until().unwrap() > rig.now);
    rig.now += Duration::from_secs(60);
    assert!(rig.session.lease_until().unwrap() < rig.now, "over before a timer went off");
    // One read comes before the verdict; nothing is there to be read.
    rig.get(3);
    rig.millis(101);
    assert_eq!((rig.session.state(), rig.outcome(3).is_some()), (State::Lost, true));
    rig.get(4);
    rig.accept_next();
    assert!(rig.take_bytes().is_empty());
    rig.grant(0, 0);
    assert_eq!(rig.session.state(), State::Ended(End::Expired));
    assert_eq!((rig.fate(4), rig.count(&Event::Ended(End::Expired))), (Some(Fate::NotSent), 1));
}

#[test]
fn a_peer_that_reads_nothing_is_silent_too() {
    let mut rig = Rig::connected();
    ask_for(&mut rig, 1..=3);
    let mut out = Writer::new();
    assert!(rig.session.poll_transmit(&mut out).is_some());
    // The transport takes nothing: no ping gets out, and none is heaped up.
    rig.millis(5_999);
    assert_eq!(rig.session.state(), State::Connected);
    rig.millis(1);
    assert_eq!(rig.count(&Event::Disconnected { loss: Loss::Silence }), 1);
    assert!((1..=3).all(|token| rig.fate(token) == Some(Fate::NotSent)));
    assert!(rig.session.stats().pings <= 2, "{} pings", rig.session.stats().pings);
}

#[test]
fn a_slow_answer_to_every_ping_is_no_silence() {
    let mut rig = Rig::connected();
    let until = rig.now + Duration::from_secs(600);
    let mut coming = std::collections::VecDeque::new();
    while rig.now < until {
        coming.extend(rig.sent().iter().map(|_| rig.now + Duration::from_millis(2_900)));
        rig.millis(50);
        while coming.front().is_some_and(|&at| at <= rig.now) {
            coming.pop_front();
            rig.reply(Xid::PING, 1, &());
        }
    }
    assert_eq!((rig.session.state(), rig.session.stats().connects), (State::Connected, 1));
}

#[test]
fn a_hundred_thousand_requests_come_back_once_each_at_the_end() {
    const MANY: u32 = 100_000;
    let mut rig = Rig::new(Config { places: MANY, ..config() });
    rig.connect();
    ask_for(&mut rig, 0..=MANY / 2 - 1);
    rig.take_bytes();
    rig.cut();
    ask_for(&mut rig, MANY / 2..=MANY - 1);
    rig.accept_next();
    rig.grant(0, 0);
    assert_eq!(rig.session.state(), State::Ended(End::Expired));
    let mut back: Vec<_> = rig.done.iter().map(|(token, _)| *token).collect();
    back.sort_unstable();
    assert!(back.into_iter().eq(0..MANY), "each token once");
    let ended = Cause::SessionEnded(End::Expired);
    let expired =
        rig.done.iter().filter(|(_, outcome)| outcome.as_ref().is_err_and(|error| error.cause == ended));
    assert_eq!(expired.count(), 50_000, "those that waited");
    assert_eq!((rig.session.in_flight(), rig.session.take_freed()), (0, MANY));
    let rejected = rig.try_submit(request(OpCode::GET_DATA, &get("/a")), MANY).unwrap_err();
    assert_eq!(rejected.error.cause, ended);
}
