//! Looking for a server, and the handshake.

use std::time::Duration;

use bytes::Bytes;

use super::rig::{PASSWORD, Rig, SESSION_ID, config, frame, get, request, servers};
use crate::jute::{ConnectResponse, ErrorCode, OpCode, Xid};
use crate::limits;
use crate::session::{Address, Auth, Config, Credentials, End, Event, Fate, Loss, State, Violation};

#[test]
fn the_first_handshake_asks_for_a_new_session() {
    let mut rig = Rig::new(config());
    let asked = rig.accept();
    assert_eq!((asked.session_id, asked.last_zxid_seen, asked.time_out), (0, 0, 9_000));
    assert_eq!(asked.passwd, Some(Bytes::from_static(&[0; 16])));
    assert_eq!(asked.read_only, Some(false));
    assert_eq!(rig.session.state(), State::Connecting);
    rig.grant(6_000, SESSION_ID);
    assert_eq!(rig.session.state(), State::Connected);
    assert_eq!(rig.session.timeout(), Duration::from_secs(6));
}

#[test]
fn the_same_timeout_is_asked_for_again_whatever_was_granted() {
    let mut rig = Rig::new(config());
    rig.accept();
    rig.grant(2_000, SESSION_ID);
    rig.cut();
    let asked = rig.accept_next();
    assert_eq!((asked.session_id, asked.time_out), (SESSION_ID, 9_000));
    assert_eq!(asked.passwd, Some(Bytes::from_static(PASSWORD)));
}

#[test]
fn nothing_is_written_between_the_handshake_and_its_answer() {
    let mut rig = Rig::new(Config {
        auth: vec![Auth { scheme: "digest".into(), auth: Bytes::from_static(b"u:p") }],
        ..config()
    });
    rig.get(1);
    rig.accept();
    rig.get(2);
    assert!(rig.take_bytes().is_empty());
    rig.grant(9_000, SESSION_ID);
    let ops: Vec<_> = rig.sent().into_iter().map(|sent| sent.op).collect();
    assert_eq!(ops, [OpCode::AUTH, OpCode::GET_DATA, OpCode::GET_DATA]);
}

#[test]
fn a_pass_tries_two_servers_at_once_the_others_as_the_pace_allows_and_then_comes_a_pause() {
    let mut rig = Rig::new(config());
    let mut tried = Vec::new();
    for attempt in 0..3 {
        if attempt == 2 {
            assert!(rig.lookups.is_empty(), "a third dial within a second");
            rig.millis(999);
            assert!(rig.lookups.is_empty(), "a third dial within a second");
            rig.pass(limits::DIAL_WINDOW / 4);
        }
        let (_, server) = rig.lookups.back().cloned().unwrap();
        tried.push(server.host);
        let conn = rig.resolve();
        rig.dials.clear();
        rig.session.handle_dial_failed(rig.now, conn, Loss::Refused);
        rig.drain();
    }
    tried.sort();
    assert_eq!(tried, ["a", "b", "c"]);
    assert!(rig.lookups.is_empty());
    rig.millis(100);
    assert_eq!(rig.lookups.len(), 1);
}

#[test]
fn an_unreachable_ensemble_is_dialled_less_and_less() {
    let mut rig = Rig::new(config());
    let mut dials = 0;
    let until = rig.now + Duration::from_secs(30);
    while rig.now < until {
        while !rig.lookups.is_empty() {
            let conn = rig.resolve();
            dials += 1;
            rig.dials.clear();
            rig.session.handle_dial_failed(rig.now, conn, Loss::Refused);
            rig.drain();
        }
        rig.millis(10);
    }
    assert!((30..200).contains(&dials), "{dials} dials in 30 s");
    assert_eq!(rig.session.state(), State::Connecting);
}

#[test]
fn one_bad_name_spoils_nothing() {
    let mut rig = Rig::new(config());
    let (dial, _) = rig.lookups.pop_back().unwrap();
    rig.session.handle_resolved(rig.now, dial, Err(Loss::NotFound));
    rig.drain();
    rig.accept();
    rig.grant(9_000, SESSION_ID);
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn an_empty_answer_of_the_resolver_counts_as_not_found() {
    let mut rig = Rig::new(config());
    let (dial, server) = rig.lookups.pop_back().unwrap();
    rig.session.handle_resolved(rig.now, dial, Ok(Vec::new()));
    rig.drain();
    assert_eq!(rig.events, [Event::AttemptFailed { server, loss: Loss::NotFound }]);
}

#[test]
fn a_late_timer_gives_up_the_whole_attempt_and_not_address_by_address() {
    let mut rig = Rig::new(config());
    let (dial, _) = rig.lookups.pop_back().unwrap();
    let addresses = (1..=9).map(|port| Address::Ip(([127, 0, 0, 1], port).into())).collect();
    rig.session.handle_resolved(rig.now, dial, Ok(addresses));
    rig.now += Duration::from_secs(3_600);
    rig.session.handle_timeout(rig.now);
    assert!(rig.session.poll_timeout().unwrap() > rig.now, "a timer is due that was just handled");
    rig.drain();
    assert_eq!((rig.session.stats().dials, rig.lookups.len()), (1, 1), "on to the next server");
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_left_for_the_next() {
    let mut rig = Rig::new(config());
    rig.accept();
    rig.millis(3_001);
    assert!(matches!(rig.events[..], [Event::AttemptFailed { loss: Loss::ConnectTimeout, .. }]));
    assert_eq!((rig.hung_up.len(), rig.lookups.len()), (1, 1));
}

#[test]
fn a_hanging_resolver_is_left_for_the_next_server() {
    let mut rig = Rig::new(config());
    let (hanging, _) = rig.lookups.pop_back().unwrap();
    rig.millis(3_001);
    assert_eq!(rig.lookups.len(), 1);
    rig.session.handle_resolved(rig.now, hanging, Ok(vec![Address::Name]));
    rig.drain();
    assert!(rig.dials.is_empty(), "an answer to a question that is over was taken");
}

#[test]
fn refusals_lead_on_and_do_not_end_a_session_that_never_was() {
    let mut rig = Rig::new(config());
    rig.accept();
    rig.feed(&frame(Xid(0), 5, ErrorCode::NOT_READ_ONLY, &()));
    assert!(matches!(rig.events[..], [Event::AttemptFailed { loss: Loss::HandshakeRefused, .. }]));
    rig.accept();
    rig.grant(0, 0);
    assert_eq!(rig.events.len(), 2);
    assert_eq!(rig.session.state(), State::Connecting);
    assert_eq!(rig.hung_up.len(), 2);
}

#[test]
fn a_peer_that_speaks_http_is_refused_before_anything_is_allocated() {
    let mut rig = Rig::new(config());
    rig.accept();
    rig.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let violation = Violation::FrameLength(0x4854_5450);
    assert!(
        matches!(rig.events[..], [Event::AttemptFailed { loss: Loss::Violation(v), .. }] if v == violation)
    );
}

#[test]
fn the_answer_is_the_same_in_any_segments() {
    for size in 1..=41 {
        let mut rig = Rig::new(config());
        rig.accept();
        let mut bytes = answer(9_000, SESSION_ID, Some(false));
        bytes.extend_from_slice(&super::rig::notification(crate::jute::EventType::NODE_CREATED, "/x"));
        for piece in bytes.chunks(size) {
            rig.feed(piece);
        }
        assert_eq!(rig.session.state(), State::Connected);
        assert_eq!(rig.session.stats().ignored_events, 1);
    }
}

#[test]
fn an_answer_without_the_last_byte_is_one_from_a_writer() {
    let mut rig = Rig::new(config());
    rig.accept();
    rig.feed(&answer(9_000, SESSION_ID, None));
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn an_expired_session_ends_once_and_nothing_is_dialled_after() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.cut();
    rig.accept_next();
    rig.grant(0, 0);
    assert_eq!(rig.count(&Event::Ended(End::Expired)), 1);
    assert_eq!(rig.session.state(), State::Ended(End::Expired));
    rig.millis(60_000);
    assert!(rig.lookups.is_empty() && rig.session.is_drained());
    assert_eq!(rig.session.poll_timeout(), None);
    let rejected = rig.try_submit(request(OpCode::GET_DATA, &get("/a")), 2).unwrap_err();
    assert_eq!((rejected.token, rejected.error.fate), (2, Fate::NotSent));
}

#[test]
fn another_session_in_place_of_ours_means_ours_has_expired() {
    let mut rig = Rig::connected();
    rig.cut();
    rig.accept_next();
    rig.grant(9_000, SESSION_ID + 1);
    assert_eq!(rig.session.state(), State::Ended(End::Expired));
    assert_eq!(rig.hung_up.len(), 2);
}

/// Found by the simulation: a session that lived was taken for expired.
#[test]
fn a_server_that_serves_readers_only_cannot_end_a_session() {
    let mut rig = Rig::connected();
    rig.cut();
    rig.accept_next();
    rig.answer_handshake(&ConnectResponse { read_only: Some(true), ..ConnectResponse::default() });
    assert_eq!(rig.session.state(), State::Disconnected);
    rig.connect();
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn exported_credentials_attach_again() {
    let rig = Rig::connected();
    let credentials = rig.session.credentials().unwrap();
    let mut rig = Rig::new(Config { credentials: Some(credentials), last_zxid: 9, ..config() });
    let asked = rig.accept();
    assert_eq!((asked.session_id, asked.last_zxid_seen), (SESSION_ID, 9));
    assert_eq!(asked.passwd, Some(Bytes::from_static(PASSWORD)));
}

#[test]
fn a_resumed_session_does_not_go_back_in_time() {
    let mut rig = Rig::connected();
    rig.get(1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 77, &());
    let credentials = rig.session.credentials().unwrap();
    assert_eq!(credentials.last_zxid, 77);
    let mut rig = Rig::new(Config { credentials: Some(credentials), ..config() });
    assert_eq!(
        rig.accept().last_zxid_seen,
        77,
        "a server that lags would answer reads that are older than what was seen"
    );
    rig.grant(9_000, SESSION_ID);
    assert_eq!(rig.session.credentials().unwrap().last_zxid, 77);
}

#[test]
fn a_password_does_not_keep_the_handshakes_read_buffer_alive() {
    let mut rig = Rig::new(config());
    rig.accept_next();
    let mut answer = rig.handshake_answer(9_000, SESSION_ID);
    let conn = rig.conn.unwrap();
    while rig.session.handle_input(rig.now, conn, &mut answer) {}
    assert!(rig.session.credentials().is_some());
    let whole = answer.capacity();
    assert!(answer.try_reclaim(whole + 1), "something still holds a slice of the buffer");
}

#[test]
fn secrets_do_not_show() {
    let credentials = Credentials { session_id: 1, password: Bytes::from_static(b"hidden"), last_zxid: 0 };
    let auth = Auth { scheme: "digest".into(), auth: Bytes::from_static(b"hidden") };
    let config = Config { credentials: Some(credentials), auth: vec![auth], ..config() };
    let mut rig = Rig::new(config.clone());
    let mut shown = format!("{config:?} {:?}", rig.session);
    rig.accept();
    rig.grant(9_000, 1);
    rig.submit(request(OpCode::GET_DATA, &get("hidden")), 1);
    shown += &format!("{:?}", rig.session);
    assert!(!shown.contains("hidden"), "{shown}");
}

fn one_that_has_seen_77() -> Rig {
    let mut rig = Rig::connected();
    rig.get(1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 77, &());
    rig.cut();
    rig
}

/// The last transaction of the next offer, which names the session.
fn offered(rig: &mut Rig) -> i64 {
    assert!(rig.now < rig.started + Duration::from_secs(600), "for ever");
    let offer = rig.accept_next();
    assert_eq!(offer.session_id, SESSION_ID);
    offer.last_zxid_seen
}

#[test]
fn an_ensemble_without_a_leader_is_waited_for_however_long_it_closes() {
    let mut rig = one_that_has_seen_77();
    let mut offers = [0, 0];
    while rig.now < rig.started + Duration::from_secs(500) {
        offers[usize::from(offered(&mut rig) == 0)] += 1;
        rig.cut();
    }
    let [with, without] = offers;
    assert!(without >= 3 && without * 2 < with, "{with} offers with, {without} without a zxid");
    while offered(&mut rig) == 0 {
        rig.cut();
    }
    rig.grant(9_000, SESSION_ID);
    assert_eq!((rig.session.state(), rig.session.last_zxid()), (State::Connected, 77));
    assert_eq!(rig.count(&Event::Ended(End::Expired)), 0);
}

#[test]
fn a_session_that_is_known_behind_what_it_has_seen_is_not_taken_up_and_ends_when_it_has_expired() {
    let mut rig = one_that_has_seen_77();
    let mut asked = Vec::new();
    while rig.session.state() != State::Ended(End::Expired) {
        if offered(&mut rig) != 0 {
            rig.cut();
            continue;
        }
        // A server ends a session that was offered and not kept in its timeout, and a tick.
        let expired = asked.last().is_some_and(|&last| rig.now >= last + Duration::from_secs(9 + 2));
        asked.push(rig.now);
        if expired {
            rig.grant(0, 0)
        } else {
            rig.grant(9_000, SESSION_ID)
        }
        assert_ne!(rig.session.state(), State::Connected, "reads go back in time");
    }
    assert_eq!((asked.len(), rig.session.last_zxid()), (2, 0));
}

#[test]
fn a_restored_ensemble_is_asked_for_the_session_in_the_end_and_the_next_starts_afresh() {
    let mut rig = one_that_has_seen_77();
    while rig.session.state() != State::Ended(End::Expired) {
        assert_eq!(rig.session.last_zxid(), 77);
        if offered(&mut rig) == 0 { rig.grant(0, 0) } else { rig.cut() }
    }
    assert!(
        rig.now >= rig.started + Duration::from_secs(12 + 10),
        "ended while servers may just have been starting"
    );
    assert_eq!(rig.session.last_zxid(), 0);
}

#[test]
fn servers_that_start_close_too_and_that_ends_no_session() {
    let mut rig = Rig::connected();
    rig.get(1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 77, &());
    rig.cut();
    rig.millis(12_100);
    assert_eq!(rig.session.state(), State::Lost);
    rig.lookups.drain(..rig.lookups.len() - 1);
    for _ in 0..6 {
        rig.accept_next();
        rig.cut();
    }
    rig.connect();
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn no_quorum_behind_one_server_of_three_is_no_reason_to_end() {
    let mut rig = Rig::connected();
    rig.get(1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 77, &());
    rig.cut();
    for round in 0..300 {
        if rig.lookups.is_empty() {
            rig.millis(200);
            continue;
        }
        if round % 3 == 0 {
            let conn = rig.resolve();
            rig.dials.clear();
            rig.session.handle_dial_failed(rig.now, conn, Loss::Refused);
            rig.drain();
        } else {
            rig.accept();
            rig.cut();
        }
    }
    assert_eq!(rig.session.state(), State::Lost);
}

#[test]
fn a_connection_that_never_lives_for_a_ping_is_backed_off_from() {
    let mut rig = Rig::connected();
    let begun = rig.now;
    let mut connects = 0;
    while rig.now < begun + Duration::from_secs(60) {
        if rig.conn.is_some() {
            rig.millis(50);
            rig.cut();
        }
        if rig.lookups.is_empty() {
            rig.millis(50);
        } else {
            rig.connect();
            connects += 1;
        }
    }
    assert!((10..150).contains(&connects), "{connects} connections in a minute");
}

#[test]
fn a_session_begun_on_a_read_only_server_ends_with_its_connection() {
    let mut rig = Rig::new(Config { read_only: true, ..config() });
    assert_eq!(rig.accept().read_only, Some(true));
    rig.feed(&answer(9_000, SESSION_ID, Some(true)));
    assert_eq!(rig.session.state(), State::ConnectedReadOnly);
    rig.cut();
    assert_eq!(rig.session.state(), State::Ended(End::Expired));
}

#[test]
fn a_removed_server_is_left_and_a_kept_one_is_not() {
    let mut rig = Rig::connected();
    let current = rig.session.server().cloned().unwrap();
    rig.session.set_servers(rig.now, vec![current]);
    rig.drain();
    assert_eq!(rig.session.state(), State::Connected);
    rig.session.set_servers(rig.now, servers(&["elsewhere"]));
    rig.drain();
    assert_eq!(rig.session.state(), State::Disconnected);
    rig.millis(200);
    assert_eq!(rig.lookups.back().unwrap().1.host, "elsewhere");
}

pub(super) fn answer(millis: i32, session_id: i64, read_only: Option<bool>) -> Vec<u8> {
    let response = ConnectResponse {
        protocol_version: 0,
        time_out: millis,
        session_id,
        passwd: Some(Bytes::from_static(PASSWORD)),
        read_only,
    };
    let mut out = crate::jute::Writer::new();
    let frame = out.frame();
    crate::jute::Encode::encode(&response, &mut out);
    out.close(frame);
    out.into_bytes().to_vec()
}
