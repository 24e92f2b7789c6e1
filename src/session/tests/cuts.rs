//! Small cases, all of them: a connection that ends at every byte, and input that is cut at every byte.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::rig::{PASSWORD, Rig, SESSION_ID, config, frame, get, request};
use crate::jute::{Decode, ErrorCode, OpCode, SetWatches, SetWatches2, Writer, Xid};
use crate::limits;
use crate::session::{Auth, Config, ConnId, Fate, Loss, Request, State, WatchKind};

const LOSSES: [Loss; 2] = [Loss::Closed, Loss::Network];

/// Lets the next connection come up, and the transport take so many bytes of what is written then. How many there were.
fn come_up_and_write(rig: &mut Rig, most: usize) -> usize {
    while rig.lookups.is_empty() {
        rig.millis(50);
    }
    let conn = rig.resolve();
    rig.dials.clear();
    rig.session.handle_connected(rig.now, conn);
    rig.conn = Some(conn);
    rig.forget_input();
    rig.drain();
    write(rig, conn, most)
}

fn write(rig: &mut Rig, conn: ConnId, most: usize) -> usize {
    let mut out = Writer::new();
    assert_eq!(rig.session.poll_transmit(&mut out), Some(conn));
    rig.session.handle_written(rig.now, conn, out.len().min(most));
    rig.drain();
    out.len()
}

fn lose(rig: &mut Rig, loss: Loss) {
    let conn = rig.conn.take().expect("a connection");
    rig.session.handle_connection_lost(rig.now, conn, loss);
    rig.drain();
}

/// With a session that was granted before, or without one; with a request that waits.
fn seeking(with_session: bool) -> Rig {
    let mut rig = if with_session { Rig::connected() } else { Rig::new(config()) };
    if with_session {
        rig.cut();
    }
    rig.get(1);
    rig
}

fn still_seeking(rig: &mut Rig, with_session: bool) {
    let state = if with_session { State::Disconnected } else { State::Connecting };
    assert_eq!((rig.session.state(), rig.outcome(1)), (state, None));
    let asked = rig.accept_next();
    let id = if with_session { SESSION_ID } else { 0 };
    let password = if with_session { PASSWORD } else { &[0; 16] };
    assert_eq!((asked.session_id, asked.passwd.as_deref()), (id, Some(password)));
    rig.grant(9_000, SESSION_ID);
    assert_eq!((rig.session.state(), rig.one_sent().op), (State::Connected, OpCode::GET_DATA));
}

#[test]
fn a_handshake_that_ends_at_any_byte_of_its_request_changes_nothing() {
    for (with_session, loss) in [false, true].into_iter().flat_map(|with| LOSSES.map(|loss| (with, loss))) {
        let mut cut = 0;
        loop {
            let mut rig = seeking(with_session);
            let len = come_up_and_write(&mut rig, cut);
            lose(&mut rig, loss);
            still_seeking(&mut rig, with_session);
            if cut == len {
                break;
            }
            cut += 1;
        }
        assert_eq!(cut, 4 + 45, "all of a ConnectRequest");
    }
}

#[test]
fn a_handshake_that_ends_at_any_byte_of_its_answer_adopts_nothing() {
    for (with_session, loss) in [false, true].into_iter().flat_map(|with| LOSSES.map(|loss| (with, loss))) {
        let whole = Rig::new(config()).handshake_answer(9_000, SESSION_ID);
        assert_eq!(whole.len(), 4 + 37);
        for cut in 0..whole.len() {
            let mut rig = seeking(with_session);
            rig.accept_next();
            rig.feed(&whole[..cut]);
            lose(&mut rig, loss);
            still_seeking(&mut rig, with_session);
        }
    }
}

#[test]
fn a_reply_cut_at_any_byte_is_no_reply_and_the_others_keep_their_fates() {
    for in_flight in 1..=64_u32 {
        let mut replies = vec![1, in_flight.div_ceil(2), in_flight];
        replies.dedup();
        for cut_reply in replies {
            let len = reply_to(1).len();
            for cut in 0..=len {
                let rest = usize::try_from(cut_reply - 1).unwrap() * len + cut;
                one_cut(in_flight, rest);
            }
        }
    }
}

fn ask_for(rig: &mut Rig, tokens: std::ops::RangeInclusive<u32>) {
    for token in tokens {
        rig.get(token);
    }
}

fn reply_to(number: u32) -> Bytes {
    frame(Xid(number.try_into().unwrap()), i64::from(number), ErrorCode::OK, &get("/body"))
}

/// So many in flight, one more committed of which no byte leaves, one that needs solitude, and two behind it; then so
/// many bytes of replies arrive, and the connection goes.
fn one_cut(in_flight: u32, arriving: usize) {
    let mut rig = Rig::connected();
    ask_for(&mut rig, 1..=in_flight);
    rig.take_bytes();
    let waiting = [100, 101, 102];
    rig.get(99);
    rig.submit(request(OpCode::WHO_AM_I, &()), waiting[0]);
    rig.get(waiting[1]);
    rig.submit(Request { pipelined: false, ..request(OpCode::EXISTS, &get("/a")) }, waiting[2]);
    let replies: Vec<u8> = (1..=in_flight).flat_map(reply_to).collect();
    rig.feed(&replies[..arriving]);
    lose(&mut rig, LOSSES[arriving % 2]);
    let answered = u32::try_from(arriving / reply_to(1).len()).unwrap();
    for token in 1..=in_flight {
        let fate = (token > answered).then_some(Fate::Unknown);
        assert!(rig.outcome(token).is_some());
        assert_eq!(rig.fate(token), fate, "{token} of {in_flight}, {answered} answered");
    }
    assert_eq!(rig.fate(99), Some(Fate::NotSent));
    assert!(waiting.iter().all(|&token| rig.outcome(token).is_none()));
    let complete: Vec<_> = rig.done.iter().map(|(token, _)| *token).collect();
    assert!(complete.is_sorted(), "{complete:?}");
    rig.connect();
    let mut ops = vec![rig.one_sent().op];
    rig.reply(Xid(1), 100, &());
    ops.extend(rig.sent().iter().map(|sent| sent.op));
    assert_eq!(ops, [OpCode::WHO_AM_I, OpCode::GET_DATA, OpCode::EXISTS]);
}

#[test]
fn a_break_at_any_byte_of_the_credentials_presents_them_again() {
    let auth = |secret: &'static str| Auth { scheme: "digest".into(), auth: Bytes::from(secret) };
    for loss in LOSSES {
        let mut cut = 0;
        loop {
            let mut rig = Rig::new(Config { auth: vec![auth("u:1"), auth("v:2")], ..config() });
            rig.connect();
            rig.take_bytes();
            rig.cut();
            rig.get(1);
            come_up_and_write(&mut rig, usize::MAX);
            rig.grant(9_000, SESSION_ID);
            let conn = rig.conn.unwrap();
            let len = write(&mut rig, conn, cut);
            lose(&mut rig, loss);
            assert_eq!(rig.session.state(), State::Disconnected);
            // The request behind them was committed; whoever awaits it asks again.
            let fate = if cut > auths_len() { Fate::Unknown } else { Fate::NotSent };
            assert_eq!(rig.fate(1), Some(fate), "{cut} bytes written");
            rig.get(2);
            rig.connect();
            let sent = rig.sent();
            let ops: Vec<_> = sent.iter().map(|sent| sent.op).collect();
            assert_eq!(ops, [OpCode::AUTH, OpCode::AUTH, OpCode::GET_DATA], "after {cut} bytes");
            rig.reply(Xid::AUTH, 0, &());
            rig.reply(Xid::AUTH, 0, &());
            rig.reply(Xid(1), 1, &());
            assert!(rig.outcome(2).unwrap().is_ok());
            if cut == len {
                break;
            }
            cut += 1;
        }
        assert!(cut > auths_len());
    }
}

/// Two auth packets: length, header, type, scheme and secret each.
fn auths_len() -> usize {
    2 * (4 + 8 + 4 + (4 + "digest".len()) + (4 + "u:1".len()))
}

#[test]
fn a_break_anywhere_among_the_batches_of_watches_repeats_all_with_the_old_zxid() {
    // Between two batches, within one, and behind one that is not answered.
    for (answered, written) in (0..3).flat_map(|answered| {
        [0, 1, 40, 5_000, 131_000, 140_000, usize::MAX].map(|written| (answered, written))
    }) {
        let mut rig = watching_much();
        rig.connect();
        let conn = rig.conn.unwrap();
        for xid in 1..=answered {
            // A batch may be in the buffer behind the one before it.
            rig.take_bytes();
            rig.reply(Xid(xid), 5_000, &());
        }
        let mut out = Writer::new();
        if rig.session.poll_transmit(&mut out).is_some() {
            rig.session.handle_written(rig.now, conn, out.len().min(written));
            rig.drain();
        }
        rig.cut();
        assert_eq!(rig.notices, [], "a gap before the watches are back");
        rig.connect();
        let batches = all_batches(&mut rig);
        assert_eq!(
            batches,
            all_batches(&mut reconnected()),
            "{answered} answered, {written} bytes of the next"
        );
        assert_eq!(rig.notices.len(), 2, "one gap for each lasting watch");
    }
}

/// One-shot watches for two batches, and lasting ones for two; the connection is gone.
fn watching_much() -> Rig {
    let mut rig = Rig::connected();
    let mut token = 1_000;
    let mut arm = |rig: &mut Rig, op, kind, path: &str| {
        token += 1;
        rig.watch(op, kind, path, token);
        let sent = rig.sent().pop().unwrap();
        rig.reply(sent.xid, 7, &());
    };
    for index in 0..2 {
        arm(&mut rig, OpCode::GET_DATA, WatchKind::Data, &path(index));
        arm(&mut rig, OpCode::GET_CHILDREN2, WatchKind::Child, &path(index));
        arm(&mut rig, OpCode::ADD_WATCH, WatchKind::Persistent, &path(index + 10));
    }
    rig.cut();
    rig
}

fn reconnected() -> Rig {
    let mut rig = watching_much();
    rig.connect();
    rig
}

/// Long: two of them fill a batch.
fn path(index: usize) -> String {
    format!("/{index}{}", "x".repeat(limits::BATCH_LEN_BYTES / 2 - 100))
}

/// Answers all batches, and yields what they set, each with the zxid it is relative to.
fn all_batches(rig: &mut Rig) -> Vec<(i64, Vec<String>)> {
    let (mut batches, mut unanswered) = (Vec::new(), VecDeque::new());
    loop {
        if unanswered.is_empty() {
            unanswered.extend(rig.sent());
        }
        let Some(batch) = unanswered.pop_front() else { return batches };
        let (zxid, lists) = if batch.op == OpCode::SET_WATCHES {
            let all = SetWatches::decode_exact(batch.body.clone()).unwrap();
            (all.relative_zxid, vec![all.data_watches, all.exist_watches, all.child_watches])
        } else {
            let all = SetWatches2::decode_exact(batch.body.clone()).unwrap();
            (all.relative_zxid, vec![all.persistent_watches, all.persistent_recursive_watches])
        };
        assert_eq!(zxid, 7, "relative to what was seen before the break");
        let paths = lists.into_iter().flatten().flatten();
        batches.push((zxid, paths.map(|path| path.to_string()).collect()));
        rig.reply(batch.xid, 9_000, &());
    }
}

/// One answer of a recorded conversation, and what was asked for it.
struct Recorded {
    op: OpCode,
    watched: Option<(WatchKind, String)>,
    payload: Vec<u8>,
}

/// What real servers answered, connection by connection, without the handshakes.
fn recorded() -> Vec<Vec<Recorded>> {
    let mut conversations = Vec::new();
    let mut current = serde_json::Value::Null;
    let mut asked = std::collections::BTreeMap::new();
    for line in include_str!("../../../jute/tests/golden/frames.jsonl").lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let connection = serde_json::json!([json["server"], json["client"], json["conn"], json["setup"]]);
        if connection != current {
            conversations.push(Vec::new());
            (current, asked) = (connection, std::collections::BTreeMap::new());
        }
        let op = OpCode::from_name(json["op"].as_str().unwrap()).unwrap_or(OpCode::GET_DATA);
        let xid = json["fields"]["header"]["xid"].as_i64();
        if json["dir"] == "request" {
            let body = &json["fields"]["body"];
            let path = (body["watch"] == true).then(|| body["path"].as_str().unwrap_or_default().to_owned());
            asked.insert(xid, path);
        } else if json["op"] != "connect" {
            let path = asked.remove(&xid).flatten();
            let hex = json["hex"].as_str().unwrap();
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let payload = (0..hex.len()).step_by(2).map(byte).collect();
            conversations.last_mut().unwrap().push(Recorded {
                op,
                watched: path.and_then(|path| kind(op, path)),
                payload,
            });
        }
    }
    conversations.retain(|answers| !answers.is_empty());
    conversations
}

fn kind(op: OpCode, path: String) -> Option<(WatchKind, String)> {
    match op {
        OpCode::GET_DATA | OpCode::EXISTS => Some((WatchKind::Data, path)),
        OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 => Some((WatchKind::Child, path)),
        _ => None,
    }
}

/// Asks for these answers, and yields their bytes: with our own xids, since the session counts by itself.
fn ask(rig: &mut Rig, answers: &[Recorded]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut token = 0;
    for answer in answers {
        let mut payload = answer.payload.clone();
        let xid = Xid(i32::from_be_bytes(*payload.first_chunk().unwrap()));
        if xid.is_ordinary() {
            token += 1;
            // What would go out alone asks as something that every server knows.
            let op = if answer.op.0 < OpCode::CREATE2.0 { answer.op } else { OpCode::GET_DATA };
            let watch = answer.watched.as_ref().filter(|_| op == answer.op);
            let watch = watch.map(|(kind, path)| crate::session::WatchWish { kind: *kind, path });
            rig.submit(Request { watch, ..request(op, &get("/a")) }, token);
            payload[..4].copy_from_slice(&i32::try_from(token).unwrap().to_be_bytes());
        }
        bytes.extend_from_slice(&i32::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&payload);
    }
    rig.take_bytes();
    bytes
}

/// All that came out of a session.
fn told(rig: &Rig) -> impl PartialEq + std::fmt::Debug + use<> {
    let whole = (rig.order.clone(), rig.done.clone(), rig.notices.clone(), rig.events.clone());
    (whole, rig.session.state(), rig.session.last_zxid(), rig.session.stats())
}

fn heard(answers: &[Recorded], pieces: impl Fn(&[u8]) -> Vec<usize>) -> Rig {
    let mut rig = Rig::connected();
    let bytes = ask(&mut rig, answers);
    let mut rest = &bytes[..];
    for len in pieces(&bytes) {
        let (piece, after) = rest.split_at(len.min(rest.len()));
        rig.feed(piece);
        rest = after;
    }
    rig.feed(rest);
    rig
}

#[test]
fn recorded_conversations_mean_the_same_however_they_are_cut() {
    let conversations = recorded();
    let frames: usize = conversations.iter().map(Vec::len).sum();
    assert!(frames > 300, "{frames} recorded answers");
    for answers in &conversations {
        let whole = told(&heard(answers, |_| Vec::new()));
        for size in [1, 2, 3, 7, 64] {
            let cut = heard(answers, |bytes| vec![size; bytes.len() / size]);
            assert_eq!(told(&cut), whole, "in pieces of {size}");
        }
        for window in answers.chunks(4) {
            let whole = told(&heard(window, |_| Vec::new()));
            let len = ask(&mut Rig::connected(), window).len();
            for at in 1..len {
                assert_eq!(told(&heard(window, |_| vec![at])), whole, "cut at {at}");
            }
        }
    }
}

#[test]
fn recorded_conversations_that_end_anywhere_have_told_what_had_arrived() {
    for window in recorded().iter().flat_map(|answers| answers.chunks(4)) {
        let whole = heard(window, |_| Vec::new());
        let len = ask(&mut Rig::connected(), window).len();
        for end in 0..len {
            let mut rig = Rig::connected();
            let bytes = ask(&mut rig, window);
            rig.feed(&bytes[..end]);
            let (before, notices) = (rig.done.len(), rig.notices.len());
            assert_eq!(rig.done[..before], whole.done[..before], "{end} bytes arrived");
            assert_eq!(rig.notices[..notices], whole.notices[..notices]);
            if rig.conn.is_some() {
                lose(&mut rig, Loss::Network);
            }
            let unanswered = &rig.done[before..];
            assert!(
                unanswered
                    .iter()
                    .all(|(_, outcome)| { outcome.as_ref().is_err_and(|error| error.fate == Fate::Unknown) })
            );
        }
    }
}

#[test]
fn every_length_that_no_reply_has_costs_the_connection() {
    for length in 0..16_i32 {
        let mut rig = Rig::connected();
        rig.get(1);
        rig.take_bytes();
        let mut bytes = BytesMut::from(&length.to_be_bytes()[..]);
        bytes.extend_from_slice(&[0; 16][..length.try_into().unwrap()]);
        for piece in bytes.chunks(5) {
            rig.feed(piece);
        }
        assert_eq!(
            (rig.session.state(), rig.fate(1)),
            (State::Disconnected, Some(Fate::Unknown)),
            "{length}"
        );
        assert_eq!(rig.hung_up.len(), 1);
    }
}
