//! The two stages of a request, and what is known of it when something goes wrong.

use std::time::Duration;

use bytes::Bytes;

use super::rig::{Rig, config, frame, get, request};
use crate::jute::{Encode, ErrorCode, EventType, OpCode, SetDataRequest, Writer, Xid};
use crate::limits;
use crate::session::{Auth, Cause, Config, End, Event, Fate, Loss, Request, State, Violation};

#[test]
fn replies_complete_in_order_with_their_bodies() {
    let mut rig = Rig::connected();
    for token in 1..=3 {
        rig.get(token);
    }
    let xids: Vec<_> = rig.sent().iter().map(|sent| sent.xid).collect();
    assert_eq!(xids, [Xid(1), Xid(2), Xid(3)]);
    let mut bytes = Vec::new();
    for (xid, body) in xids.iter().zip([10, 20, 30]) {
        bytes.extend_from_slice(&frame(*xid, 5, ErrorCode::OK, &Number(body)));
    }
    rig.feed(&bytes);
    for (token, body) in [(1, 10), (2, 20), (3, 30_i32)] {
        let reply = rig.outcome(token).unwrap().as_ref().unwrap();
        assert_eq!((reply.zxid, &reply.body[..]), (5, &body.to_be_bytes()[..]));
    }
    assert_eq!(rig.order[rig.order.len() - 3..], ["done 1", "done 2", "done 3"]);
    assert_eq!(rig.session.last_zxid(), 5);
}

#[test]
fn an_error_is_refused_and_its_body_ignored() {
    let mut rig = Rig::connected();
    rig.get(1);
    let xid = rig.one_sent().xid;
    rig.feed(&frame(xid, 5, ErrorCode(-999), &Number(1)));
    assert_eq!((rig.cause(1), rig.fate(1)), (Some(Cause::Server(ErrorCode(-999))), Some(Fate::Refused)));
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn what_left_is_unknown_and_what_did_not_leave_was_not_sent() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.get(2);
    let mut out = Writer::new();
    let conn = rig.session.poll_transmit(&mut out).unwrap();
    let first_len = out.len() / 2;
    rig.session.handle_written(rig.now, conn, first_len);
    rig.get(3);
    rig.cut();
    let lost = Some(Cause::ConnectionLost(Loss::Closed));
    assert_eq!((rig.fate(1), rig.cause(1)), (Some(Fate::Unknown), lost));
    assert_eq!((rig.fate(2), rig.cause(2)), (Some(Fate::NotSent), lost));
    assert_eq!((rig.fate(3), rig.cause(3)), (Some(Fate::NotSent), lost));
}

#[test]
fn one_byte_of_a_frame_is_enough_to_have_been_sent() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.get(2);
    let mut out = Writer::new();
    let conn = rig.session.poll_transmit(&mut out).unwrap();
    rig.session.handle_written(rig.now, conn, out.len() / 2 + 1);
    rig.cut();
    assert_eq!((rig.fate(1), rig.fate(2)), (Some(Fate::Unknown), Some(Fate::Unknown)));
}

#[test]
fn what_waits_goes_on_waiting_but_a_pipeline_fails() {
    let mut rig = Rig::connected();
    rig.submit(request(OpCode::WHO_AM_I, &()), 1);
    rig.submit(request(OpCode::GET_DATA, &get("/waits")), 2);
    rig.submit(Request { pipelined: true, ..request(OpCode::GET_DATA, &get("/pipelined")) }, 3);
    rig.cut();
    assert_eq!((rig.fate(1), rig.outcome(2), rig.fate(3)), (Some(Fate::NotSent), None, Some(Fate::NotSent)));
    rig.connect();
    assert_eq!(rig.one_sent().op, OpCode::GET_DATA);
}

#[test]
fn a_cancelled_request_that_waits_never_goes_out() {
    let mut rig = Rig::new(config());
    let id = rig.get(1);
    rig.get(2);
    rig.session.cancel(rig.now, id);
    rig.drain();
    assert_eq!((rig.cause(1), rig.fate(1)), (Some(Cause::Cancelled), Some(Fate::NotSent)));
    rig.connect();
    assert_eq!(rig.sent().len(), 1);
    rig.reply(Xid(1), 1, &());
    assert!(rig.outcome(2).unwrap().is_ok());
}

#[test]
fn a_cancelled_request_that_is_committed_leaves_a_tombstone() {
    let mut rig = Rig::connected();
    let id = rig.get(1);
    rig.get(2);
    rig.session.cancel(rig.now, id);
    rig.session.cancel(rig.now, id);
    rig.drain();
    assert_eq!((rig.cause(1), rig.fate(1)), (Some(Cause::Cancelled), Some(Fate::Unknown)));
    assert_eq!(rig.sent().len(), 2, "a committed frame goes out whatever the caller does");
    assert_eq!(rig.session.take_freed(), 0, "its place is taken until the answer is read");
    rig.reply(Xid(1), 1, &());
    rig.reply(Xid(2), 2, &());
    assert!(rig.outcome(2).unwrap().is_ok());
    assert_eq!(rig.session.take_freed(), 2);
}

#[test]
fn deadlines_pass_in_both_stages() {
    let mut rig = Rig::connected();
    let soon = Some(rig.now + Duration::from_millis(500));
    let late = Some(rig.now + Duration::from_secs(5));
    rig.submit(Request { deadline: late, ..request(OpCode::GET_DATA, &get("/late")) }, 1);
    rig.submit(Request { deadline: soon, ..request(OpCode::GET_DATA, &get("/soon")) }, 2);
    rig.submit(Request { deadline: soon, ..request(OpCode::WHO_AM_I, &()) }, 3);
    rig.sent();
    rig.millis(499);
    assert!(rig.done.is_empty());
    rig.millis(2);
    assert_eq!((rig.outcome(1), rig.fate(2), rig.fate(3)), (None, Some(Fate::Unknown), Some(Fate::NotSent)));
    assert_eq!(rig.cause(2), Some(Cause::Deadline));
    rig.reply(Xid(1), 1, &());
    rig.reply(Xid(2), 1, &());
    assert!(rig.outcome(1).unwrap().is_ok());
    assert_eq!(rig.done.len(), 3);
}

#[test]
fn every_place_is_counted_and_given_back() {
    let mut rig = Rig::new(Config { places: 3, ..config() });
    rig.get(1);
    rig.submit(Request { places: 2, ..request(OpCode::GET_DATA, &get("/big")) }, 2);
    let rejected = rig.try_submit(request(OpCode::GET_DATA, &get("/a")), 3).unwrap_err();
    assert_eq!((rejected.token, rejected.error.cause), (3, Cause::QueueFull));
    rig.connect();
    rig.sent();
    rig.reply(Xid(1), 1, &());
    assert_eq!(rig.session.take_freed(), 1);
    rig.get(4);
    rig.cut();
    assert_eq!(rig.session.take_freed(), 3);
    assert_eq!(rig.session.in_flight(), 0);
}

#[test]
fn a_request_over_the_limit_is_refused_here() {
    let mut rig = Rig::connected();
    let data = Bytes::from(vec![0; limits::OUTBOUND_FRAME_LEN_BYTES]);
    let body = SetDataRequest { path: "/a", data: Some(data), version: -1 };
    let rejected = rig.try_submit(request(OpCode::SET_DATA, &body), 1).unwrap_err();
    assert!(matches!(
        rejected.error.cause,
        Cause::RequestTooLarge { limit: limits::OUTBOUND_FRAME_LEN_BYTES, .. }
    ));
    assert!(rig.take_bytes().is_empty());
    rig.get(2);
    assert_eq!(rig.one_sent().xid, Xid(1), "a refused request took an xid");
}

#[test]
fn the_largest_request_a_server_takes_goes_out() {
    let mut rig = Rig::connected();
    let fits = limits::OUTBOUND_FRAME_LEN_BYTES - 20 - "/a".len();
    let body = SetDataRequest { path: "/a", data: Some(Bytes::from(vec![0; fits])), version: -1 };
    rig.submit(request(OpCode::SET_DATA, &body), 1);
    assert_eq!(rig.one_sent().len_bytes, limits::OUTBOUND_FRAME_LEN_BYTES);
}

#[test]
fn a_reply_over_the_limit_fails_its_request_and_nobody_else() {
    let mut rig = Rig::new(Config { inbound_frame_len_bytes: 1_000, ..config() });
    rig.connect();
    for token in 1..=3 {
        rig.get(token);
    }
    rig.sent();
    let mut bytes = frame(Xid(1), 1, ErrorCode::OK, &Number(1)).to_vec();
    bytes.extend_from_slice(&frame(Xid(2), 1, ErrorCode::OK, &Zeroes(5_000)));
    bytes.extend_from_slice(&frame(Xid(3), 1, ErrorCode::OK, &Number(3)));
    for piece in bytes.chunks(7) {
        rig.feed(piece);
    }
    assert!(rig.outcome(1).unwrap().is_ok() && rig.outcome(3).unwrap().is_ok());
    assert_eq!(rig.cause(2), Some(Cause::ReplyTooLarge { len: 5_016, limit: 1_000 }));
    assert_eq!(rig.fate(2), Some(Fate::Applied));
    assert_eq!(rig.session.stats().oversize_replies, 1);
}

#[test]
fn replies_out_of_order_cost_the_connection_and_nothing_is_mistaken() {
    for (xid, violation) in [(Xid(2), Violation::OutOfOrder), (Xid(-3), Violation::OutOfOrder)] {
        let mut rig = Rig::connected();
        rig.get(1);
        rig.get(2);
        rig.sent();
        rig.reply(xid, 1, &());
        let lost = Some(Cause::ConnectionLost(Loss::Violation(violation)));
        assert_eq!((rig.cause(1), rig.cause(2)), (lost, lost));
        assert_eq!(rig.fate(1), Some(Fate::Unknown));
        assert_eq!((rig.hung_up.len(), rig.session.stats().violations), (1, 1));
        rig.connect();
        assert_eq!(rig.session.state(), State::Connected);
    }
}

#[test]
fn a_reply_to_nothing_costs_the_connection() {
    let mut rig = Rig::connected();
    rig.reply(Xid(1), 1, &());
    let loss = Loss::Violation(Violation::Unsolicited);
    assert_eq!(rig.count(&Event::Disconnected { loss }), 1);
}

/// What has not left was done by nobody, whatever comes.
#[test]
fn a_reply_to_what_was_not_sent_yet_costs_the_connection_and_the_request_was_not_sent() {
    for body_len in [8, 5_000] {
        let mut rig = Rig::new(Config { inbound_frame_len_bytes: 1_000, ..config() });
        rig.connect();
        rig.get(1);
        rig.reply(Xid(1), 1, &Zeroes(body_len));
        let loss = Loss::Violation(Violation::Unsolicited);
        assert_eq!((rig.fate(1), rig.cause(1)), (Some(Fate::NotSent), Some(Cause::ConnectionLost(loss))));
    }
}

#[test]
fn unasked_pings_and_watch_answers_are_counted_and_ignored() {
    let mut rig = Rig::connected();
    rig.reply(Xid::PING, 1, &());
    rig.reply(Xid::SET_WATCHES, 1, &());
    rig.reply(Xid::AUTH, 0, &());
    assert_eq!((rig.session.state(), rig.session.stats().ignored_replies), (State::Connected, 3));
    assert_eq!(rig.session.last_zxid(), 0, "lastZxid moved on what is not an ordinary reply");
}

#[test]
fn last_zxid_does_not_move_on_events() {
    // Several events of one multi share its zxid; moving on the first would lose the others at a reconnect.
    let mut rig = Rig::connected();
    rig.feed(&super::rig::notification_at(50, EventType::NODE_CREATED, "/a"));
    assert_eq!(rig.session.last_zxid(), 0);
}

#[test]
fn last_zxid_never_goes_back() {
    let mut rig = Rig::connected();
    for (token, zxid) in [(1, 9), (2, 3), (3, 0), (4, -1), (5, i64::MIN)] {
        rig.get(token);
        let xid = rig.one_sent().xid;
        rig.reply(xid, zxid, &());
    }
    assert_eq!(rig.session.last_zxid(), 9);
}

#[test]
fn an_operation_not_known_to_be_known_goes_out_alone() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.submit(request(OpCode::CREATE2, &()), 2);
    rig.get(3);
    assert_eq!(rig.one_sent().op, OpCode::GET_DATA);
    rig.reply(Xid(1), 1, &());
    assert_eq!(rig.one_sent().op, OpCode::CREATE2);
    rig.reply(Xid(2), 1, &());
    assert_eq!(rig.one_sent().op, OpCode::GET_DATA);
    rig.reply(Xid(3), 1, &());
    rig.submit(request(OpCode::CREATE2, &()), 4);
    rig.get(5);
    assert_eq!(rig.sent().len(), 2, "it was answered: it needs no solitude any more");
}

#[test]
fn an_unknown_operation_is_remembered_and_never_tried_there_again() {
    let mut rig = Rig::new(Config { servers: super::rig::servers(&["only"]), ..config() });
    rig.connect();
    rig.submit(request(OpCode::WHO_AM_I, &()), 1);
    let xid = rig.one_sent().xid;
    rig.refuse(xid, -1, ErrorCode::UNIMPLEMENTED);
    assert_eq!(rig.cause(1), Some(Cause::Server(ErrorCode::UNIMPLEMENTED)));
    rig.connect();
    rig.submit(request(OpCode::WHO_AM_I, &()), 2);
    assert!(rig.take_bytes().is_empty());
    assert_eq!(
        (rig.cause(2), rig.fate(2)),
        (Some(Cause::Server(ErrorCode::UNIMPLEMENTED)), Some(Fate::Refused))
    );
}

#[test]
fn nothing_is_committed_to_a_connection_that_the_server_is_closing() {
    let mut rig = Rig::connected();
    rig.submit(request(OpCode::CREATE2, &()), 1);
    rig.submit(request(OpCode::SET_DATA, &()), 2);
    let xid = rig.one_sent().xid;
    rig.refuse(xid, -1, ErrorCode::UNIMPLEMENTED);
    // What the caller does about it, before the close is seen.
    rig.submit(request(OpCode::CREATE, &()), 3);
    assert!(rig.take_bytes().is_empty(), "its fate would be unknown");
    assert_eq!((rig.hung_up.len(), rig.session.state()), (1, State::Disconnected));
    assert_eq!(rig.events.last(), Some(&Event::Disconnected { loss: Loss::UnknownOperation }));
    rig.connect();
    let sent: Vec<_> = rig.sent().into_iter().map(|sent| sent.op).collect();
    assert_eq!(sent, [OpCode::SET_DATA, OpCode::CREATE]);
    assert!(rig.outcome(2).is_none() && rig.outcome(3).is_none());
}

#[test]
fn an_older_server_in_a_newer_ones_place_is_believed() {
    let mut rig = Rig::new(Config { servers: super::rig::servers(&["only"]), ..config() });
    rig.connect();
    rig.submit(request(OpCode::CREATE2, &()), 1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 1, &());
    rig.cut();
    rig.connect();
    rig.submit(request(OpCode::CREATE2, &()), 2);
    let xid = rig.one_sent().xid;
    rig.refuse(xid, -1, ErrorCode::UNIMPLEMENTED);
    rig.connect();
    rig.submit(request(OpCode::CREATE2, &()), 3);
    assert!(rig.take_bytes().is_empty(), "every create would cost a connection");
    assert_eq!(rig.fate(3), Some(Fate::Refused));
}

#[test]
fn a_feature_that_is_switched_off_is_not_an_unknown_operation() {
    let mut rig = Rig::connected();
    rig.submit(request(OpCode::CREATE_TTL, &()), 1);
    let xid = rig.one_sent().xid;
    rig.refuse(xid, 12, ErrorCode::UNIMPLEMENTED);
    rig.submit(request(OpCode::CREATE_TTL, &()), 2);
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn credentials_come_first_on_every_connection_and_the_verdict_comes_back() {
    let mut rig = Rig::connected();
    rig.get(1);
    let auth = Auth { scheme: "digest".into(), auth: Bytes::from_static(b"u:p") };
    rig.session.add_auth(rig.now, auth.clone(), 2).unwrap();
    rig.session.add_auth(rig.now, Auth { scheme: "other".into(), ..auth }, 3).unwrap();
    assert_eq!(rig.sent().len(), 3);
    rig.reply(Xid::AUTH, 0, &());
    assert!(rig.outcome(2).unwrap().is_ok(), "an auth reply may overtake");
    rig.cut();
    assert_eq!(rig.outcome(3), None, "it is presented again, and its verdict is still to come");
    rig.get(4);
    rig.connect();
    let ops: Vec<_> = rig.sent().iter().map(|sent| sent.op).collect();
    assert_eq!(ops, [OpCode::AUTH, OpCode::AUTH, OpCode::GET_DATA]);
    rig.reply(Xid::AUTH, 0, &());
    rig.reply(Xid::AUTH, 0, &());
    assert!(rig.outcome(3).unwrap().is_ok());
}

#[test]
fn refused_credentials_end_the_session() {
    let mut rig = Rig::connected();
    rig.get(1);
    let auth = Auth { scheme: "digest".into(), auth: Bytes::from_static(b"u:wrong") };
    rig.session.add_auth(rig.now, auth, 2).unwrap();
    rig.sent();
    rig.refuse(Xid::AUTH, 0, ErrorCode::AUTH_FAILED);
    assert_eq!(rig.session.state(), State::Ended(End::AuthFailed));
    assert_eq!(rig.cause(2), Some(Cause::Server(ErrorCode::AUTH_FAILED)));
    assert_eq!(
        (rig.cause(1), rig.fate(1)),
        (Some(Cause::SessionEnded(End::AuthFailed)), Some(Fate::Unknown))
    );
    rig.millis(60_000);
    assert!(rig.lookups.is_empty(), "wrong credentials are not tried again");
}

#[test]
fn a_credential_that_left_is_not_said_to_be_unsent_when_the_session_ends() {
    let auth = |scheme: &str| Auth { scheme: scheme.into(), auth: Bytes::from_static(b"u:p") };
    let mut rig = Rig::connected();
    rig.session.add_auth(rig.now, auth("sent"), 1).unwrap();
    rig.sent();
    rig.session.add_auth(rig.now, auth("not written"), 2).unwrap();
    rig.cut();
    rig.session.add_auth(rig.now, auth("not connected"), 3).unwrap();
    rig.session.close(rig.now);
    rig.drain();
    let fates = [1, 2, 3].map(|token| rig.fate(token));
    assert_eq!(fates, [Some(Fate::Unknown), Some(Fate::NotSent), Some(Fate::NotSent)]);
}

#[test]
fn bytes_that_left_count_as_sent_even_if_the_word_of_it_comes_behind_a_verdict() {
    let mut rig = Rig::connected();
    rig.get(1);
    let mut out = Writer::new();
    let conn = rig.session.poll_transmit(&mut out).unwrap();
    rig.now += Duration::from_secs(60);
    rig.session.handle_timeout(rig.now);
    rig.now += Duration::from_secs(1);
    rig.session.handle_written(rig.now, conn, out.len());
    rig.drain();
    let lost = Some(Cause::ConnectionLost(Loss::Silence));
    assert_eq!((rig.cause(1), rig.fate(1)), (lost, Some(Fate::Unknown)));
}

#[test]
fn an_oversize_reply_that_ends_the_session_completes_before_the_end() {
    let mut rig = Rig::new(Config { inbound_frame_len_bytes: 100, ..config() });
    rig.connect();
    rig.get(1);
    let asked = rig.one_sent();
    let err = ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH;
    rig.feed(&frame(asked.xid, 1, err, &get(&"/long".repeat(40))));
    assert_eq!((rig.cause(1), rig.fate(1)), (Some(Cause::Server(err)), Some(Fate::Refused)));
    assert_eq!(rig.session.state(), State::Ended(End::AuthFailed));
    assert_eq!(rig.order.last().map(String::as_str), Some("event"), "{:?}", rig.order);
}

#[test]
fn a_server_that_wants_sasl_ends_the_session() {
    let mut rig = Rig::connected();
    rig.get(1);
    let xid = rig.one_sent().xid;
    rig.refuse(xid, 0, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
    assert_eq!(rig.session.state(), State::Ended(End::AuthFailed));
}

#[test]
fn close_goes_out_behind_what_was_submitted_and_waits_for_the_word() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.session.close(rig.now);
    rig.session.close(rig.now);
    let rejected = rig.try_submit(request(OpCode::GET_DATA, &get("/a")), 2).unwrap_err();
    assert_eq!(rejected.error.cause, Cause::SessionEnded(End::Closed));
    let ops: Vec<_> = rig.sent().iter().map(|sent| sent.op).collect();
    assert_eq!(ops, [OpCode::GET_DATA, OpCode::CLOSE_SESSION]);
    rig.reply(Xid(1), 1, &());
    assert!(rig.outcome(1).unwrap().is_ok());
    rig.reply(Xid(2), 2, &());
    assert_eq!(rig.session.state(), State::Ended(End::Closed));
    assert_eq!(rig.hung_up.len(), 1);
    assert!(rig.session.is_drained());
}

#[test]
fn close_without_an_answer_is_unconfirmed() {
    let mut cut = Rig::connected();
    cut.session.close(cut.now);
    cut.sent();
    cut.cut();
    let mut silent = Rig::connected();
    silent.session.close(silent.now);
    silent.pass(limits::CLOSE_WAIT);
    let mut apart = Rig::connected();
    apart.cut();
    apart.session.close(apart.now);
    for rig in [cut, silent, apart] {
        assert_eq!(rig.session.state(), State::Ended(End::ClosedUnconfirmed));
    }
    let mut new = Rig::new(config());
    new.get(1);
    new.session.close(new.now);
    new.drain();
    assert_eq!((new.session.state(), new.fate(1)), (State::Ended(End::Closed), Some(Fate::NotSent)));
}

struct Number(i32);

impl Encode for Number {
    fn encode(&self, out: &mut Writer) {
        out.int(self.0);
    }
}

struct Zeroes(usize);

impl Encode for Zeroes {
    fn encode(&self, out: &mut Writer) {
        out.raw(&vec![0; self.0]);
    }
}
