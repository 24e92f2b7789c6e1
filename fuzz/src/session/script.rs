//! From bytes to steps.

use std::borrow::Cow;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use menagerie::session::{Address, Auth, Config, Credentials, Loss, Request, Server, WatchKind, WatchWish};
use menagerie_jute::{
    Acl, AddWatchMode, AddWatchRequest, CheckVersionRequest, ConnectResponse, CreateMode, CreateRequest,
    DeleteRequest, Encode, ErrorCode, ErrorResponse, EventType, ExistsRequest, GetChildren2Request,
    GetDataRequest, GetEphemeralsRequest, MultiRequest, MultiResponse, Op, OpCode, OpResult, ReplyHeader,
    SetDataRequest, SyncRequest, WatcherEvent, Xid,
};

use super::world::{SECRET, World};
use crate::wire::{encoded, framed};

const SESSION_ID: i64 = 0x0100_0000_0000_0042;

/// Watched, written and told of.
const PATHS: [&str; 8] = ["/", "/a", "/a/b", "/a/b/c", "/ab", "", "/a/", "/d\u{e9}"];

/// What operations are answered with, OK first.
const ERRORS: [ErrorCode; 16] = [
    ErrorCode::OK,
    ErrorCode::NO_NODE,
    ErrorCode::UNIMPLEMENTED,
    ErrorCode::BAD_VERSION,
    ErrorCode::NO_AUTH,
    ErrorCode::AUTH_FAILED,
    ErrorCode::SESSION_EXPIRED,
    ErrorCode::SESSION_MOVED,
    ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
    ErrorCode::NOT_READ_ONLY,
    ErrorCode::THROTTLED_OP,
    ErrorCode::NODE_EXISTS,
    ErrorCode::NO_WATCHER,
    ErrorCode::MARSHALLING_ERROR,
    ErrorCode(-4711),
    ErrorCode(4711),
];

const LOSSES: [Loss; 4] = [Loss::Closed, Loss::Network, Loss::Refused, Loss::NotFound];

/// A configuration.
pub(super) fn config(script: &mut Unstructured<'_>) -> Result<Config> {
    let [flags, sizes, seed]: [u8; 3] = script.arbitrary()?;
    let mut config = Config::new(servers(flags & 3), seed.into());
    config.read_only = flags & 4 != 0;
    let session = Credentials { session_id: SESSION_ID, password: Bytes::from_static(SECRET), last_zxid: 0 };
    config.credentials = (flags & 8 != 0).then_some(session);
    config.last_zxid = if flags & 16 != 0 { 99 } else { 0 };
    if flags & 32 != 0 {
        config.auth = vec![Auth { scheme: "digest".into(), auth: Bytes::from_static(SECRET) }];
    }
    config.timeout = Duration::from_millis([9_000, 9_000, 1, 3_000_000_000][usize::from(flags >> 6)]);
    config.places = [16, 4, 1, 400][usize::from(sizes & 3)];
    config.inbound_frame_len_bytes = [4 << 20, 256, 4_096, 20][usize::from(sizes >> 2 & 3)];
    config.outbound_frame_len_bytes = [1_048_575, 128][usize::from(sizes >> 4 & 1)];
    Ok(config)
}

fn servers(count: u8) -> Vec<Server> {
    let hosts = ["a", "b", "::1"].into_iter().take(if count == 0 { 3 } else { count.into() });
    hosts.map(|host| Server { host: host.into(), port: 2181 }).collect()
}

/// One step. An error means that the script ends within it.
pub(super) fn step(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    match script.arbitrary::<u8>()? % 32 {
        0..=3 => advance(world),
        4 => answer_all(world),
        5..=8 => submit(world, script)?,
        9 => cancel(world, script.arbitrary()?),
        10 => world.pass(Duration::from_millis(script.arbitrary::<u16>()?.into())),
        11 => jump(world, script.arbitrary()?),
        12 => resolve(world, script.arbitrary()?),
        13 => dial(world, script.arbitrary()?),
        14 => world.write(script.arbitrary::<u8>()?.into()),
        15 => world.write(usize::MAX),
        16 => handshake(world, script)?,
        17..=19 => answer(world, script)?,
        20 => notify(world, script)?,
        21 => raw(world, script)?,
        22 => world.cut(LOSSES[usize::from(script.arbitrary::<u8>()? % 4)]),
        23 => add_auth(world, script.arbitrary()?),
        24 => unwatch(world, script.arbitrary()?),
        25 => lease(world, script.arbitrary()?),
        26 => set_servers(world, script.arbitrary()?),
        27 => close(world),
        28 => flood(world, script.arbitrary()?),
        29 => stale(world, script.arbitrary()?),
        30 => watch_much(world, script.arbitrary()?),
        _ => look(world),
    }
    Ok(())
}

/// The natural next thing.
fn advance(world: &mut World) {
    if world.lookup.is_some() {
        world.resolve(Ok(vec![Address::Name]));
    } else if !world.dialled.is_empty() {
        world.dial(0, Ok(()));
    } else if world.probed.is_some() {
        world.probe(b"rw");
    } else if let Some(peer) = &world.peer {
        if !peer.answered {
            world.write(usize::MAX);
            grant(world, 9_000, session_id(world), Some(SECRET), Some(false), usize::MAX);
        } else if peer.asked.is_empty() {
            world.write(usize::MAX);
        } else {
            world.answer(ErrorCode::OK, Bytes::from_static(b"body"), usize::MAX);
        }
    } else if let Some(at) = world.session.poll_timeout() {
        world.now = world.now.max(at);
        world.time_out();
    }
}

fn answer_all(world: &mut World) {
    world.write(usize::MAX);
    for _ in 0..500 {
        let lease =
            Bytes::from_static(&[0, 0, 0, 13, 0, 0, 0, 0, 0, 255, 255, 255, 255, 1, 255, 255, 255, 255]);
        if !world.peer.as_ref().is_some_and(|peer| peer.answered)
            || !world.answer(ErrorCode::OK, lease, usize::MAX)
        {
            return;
        }
        world.write(usize::MAX);
    }
}

/// Any request, with or without a watch, a deadline, a place in a pipeline.
fn submit(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [shape, flags]: [u8; 2] = script.arbitrary()?;
    let deadline = match flags >> 1 & 3 {
        0 | 1 => None,
        2 => Some(world.now + Duration::from_millis(script.arbitrary::<u16>()?.into())),
        _ => Some(world.now),
    };
    let path = PATHS[usize::from(flags >> 5)];
    send(world, shape, path, flags & 1 != 0, deadline, [1, 3][usize::from(flags >> 3 & 1)]);
    Ok(())
}

fn send(
    world: &mut World,
    shape: u8,
    watched: &str,
    pipelined: bool,
    deadline: Option<std::time::Instant>,
    places: u32,
) {
    let (op, kind) = operation(shape);
    let token = world.open(op);
    if let Some(entry) = world.ledger.token(token) {
        entry.deadline = deadline;
        entry.watch = kind.map(|kind| (kind, watched.to_owned()));
    }
    let path = format!("/p#{token:08x}");
    let body = body(shape, op, &path, kind);
    let watch = kind.map(|kind| WatchWish { kind, path: watched });
    world.submit(token, Request { op, body: &*body, watch, deadline, places, pipelined });
}

fn operation(shape: u8) -> (OpCode, Option<WatchKind>) {
    match shape % 18 {
        0 => (OpCode::EXISTS, None),
        1 => (OpCode::GET_DATA, None),
        2 => (OpCode::CREATE2, None),
        3 | 4 => (OpCode::CREATE, None),
        5 => (OpCode::SET_DATA, None),
        6 => (OpCode::DELETE, None),
        7 => (OpCode::SYNC, None),
        8 => (OpCode::MULTI, None),
        9 => (OpCode::GET_EPHEMERALS, None),
        10 => (OpCode::WHO_AM_I, None),
        11 | 12 => (OpCode::EXISTS, Some(WatchKind::Data)),
        13 => (OpCode::GET_DATA, Some(WatchKind::Data)),
        14 => (OpCode::GET_CHILDREN2, Some(WatchKind::Child)),
        15 | 16 => (OpCode::ADD_WATCH, Some(WatchKind::Persistent)),
        _ => (OpCode::ADD_WATCH, Some(WatchKind::Recursive)),
    }
}

fn body<'a>(shape: u8, op: OpCode, path: &'a str, kind: Option<WatchKind>) -> Box<dyn Encode + 'a> {
    let watch = kind.is_some();
    let acl = || Some(Cow::Borrowed(Acl::OPEN));
    // One of them is long enough to travel beside the buffer.
    let data = |len: usize| Some(Bytes::from(vec![b'.'; len]));
    match op {
        OpCode::EXISTS => Box::new(ExistsRequest { path, watch }),
        OpCode::GET_DATA => Box::new(GetDataRequest { path, watch }),
        OpCode::GET_CHILDREN2 => Box::new(GetChildren2Request { path, watch }),
        OpCode::CREATE | OpCode::CREATE2 => {
            let data = data(if shape % 18 == 4 { 20_000 } else { 3 });
            Box::new(CreateRequest { path, data, acl: acl(), flags: CreateMode(0) })
        }
        OpCode::SET_DATA => Box::new(SetDataRequest { path, data: data(100), version: -1 }),
        OpCode::DELETE => Box::new(DeleteRequest { path, version: -1 }),
        OpCode::GET_EPHEMERALS => Box::new(GetEphemeralsRequest { prefix_path: path }),
        OpCode::MULTI => Box::new(MultiRequest::new([Op::Check(CheckVersionRequest { path, version: 1 })])),
        OpCode::ADD_WATCH => {
            let mode = AddWatchMode(i32::from(kind == Some(WatchKind::Recursive)));
            Box::new(AddWatchRequest { path, mode })
        }
        _ => Box::new(SyncRequest { path }),
    }
}

fn cancel(world: &mut World, which: u8) {
    let Some(&id) = world.ids.iter().rev().nth(which.into()) else { return };
    world.ledger.cancel(id);
    world.session.cancel(world.now, id);
    world.settle();
}

/// The clock jumps; the timer goes off late, or a fact comes first.
fn jump(world: &mut World, how: u16) {
    world.now += Duration::from_millis(u64::from(how >> 1) * 10);
    if how & 1 != 0 {
        world.time_out();
    }
}

fn resolve(world: &mut World, how: u8) {
    let address = |n: u8| Address::Ip(([10, 0, 0, n], 2181).into());
    world.resolve(match how % 4 {
        0 => Err(LOSSES[usize::from(how >> 2) % 4]),
        1 => Ok(Vec::new()),
        _ => Ok((0..how >> 2).map(address).collect()),
    });
}

fn dial(world: &mut World, how: u8) {
    if world.probed.is_some() {
        return world.probe([&b"rw"[..], b"ro", b"null", b""][usize::from(how >> 2) % 4]);
    }
    let which = usize::from(how >> 4);
    match how % 4 {
        0 => world.dial(which, Err(LOSSES[usize::from(how >> 2) % 4])),
        1 => {
            if let Some(conn) = world.take_dialled(which) {
                world.session.handle_connection_lost(world.now, conn, Loss::Network);
                world.settle();
            }
        }
        _ => world.dial(which, Ok(())),
    }
}

/// The id that an honest server answers.
fn session_id(world: &World) -> i64 {
    world.session.credentials().map_or(SESSION_ID, |known| known.session_id)
}

fn grant(
    world: &mut World,
    millis: i32,
    session_id: i64,
    passwd: Option<&'static [u8]>,
    read_only: Option<bool>,
    segment: usize,
) {
    let passwd = passwd.map(Bytes::from_static);
    let response = ConnectResponse { protocol_version: 0, time_out: millis, session_id, passwd, read_only };
    if let Some(peer) = world.peer.as_mut().filter(|peer| !peer.answered) {
        peer.answered = true;
        world.feed(&framed(&[&response]), segment);
    }
}

fn handshake(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let how: u8 = script.arbitrary()?;
    let segment = if how & 0x80 == 0 { usize::MAX } else { 3 };
    let id = session_id(world);
    match how % 12 {
        0 | 1 => grant(world, 9_000, id, Some(SECRET), Some(false), segment),
        2 => grant(world, 9_000, id, Some(SECRET), Some(true), segment),
        3 => grant(world, script.arbitrary()?, id, Some(SECRET), None, segment),
        4 => grant(world, i32::from(script.arbitrary::<u8>()?), id, Some(SECRET), None, segment),
        5 => grant(world, 9_000, id + 1, Some(SECRET), Some(false), segment),
        6 => grant(world, 0, 0, Some(&[0; 16]), Some(false), segment),
        7 => grant(world, 9_000, id, None, Some(false), segment),
        8 => grant(world, 9_000, id, Some(&[7; 100]), Some(false), segment),
        9 => world.feed_wild(&framed(&[&ReplyHeader::default()]), segment),
        10 => world.feed_wild(&i32::MAX.to_be_bytes(), segment),
        _ => world.feed_wild(&framed(&[&ErrorResponse { err: ErrorCode(1) }]), segment),
    }
    Ok(())
}

/// The peer answers the first thing it was asked, well or badly.
fn answer(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [how, size]: [u8; 2] = script.arbitrary()?;
    let err = ERRORS[usize::from(how & 15)];
    let filler = |len: usize| Bytes::from(vec![b'.'; len]);
    let limit = world.config.inbound_frame_len_bytes;
    let result = |result: OpResult| encoded(&MultiResponse::new([result]));
    match how >> 4 & 7 {
        0 | 1 => world.answer(err, Bytes::new(), usize::MAX),
        2 => world.answer(err, filler(size.into()), usize::MAX),
        3 => world.answer(err, filler(40), size.into()),
        4 if limit <= 4_096 => world.answer(err, filler(limit + usize::from(size)), usize::MAX),
        4 | 5 => world.answer(err, filler(limit.min(4_096) * 2), 64 + usize::from(size) * 8),
        6 if size & 1 == 0 => world.answer(ErrorCode::OK, result(OpResult::Check), usize::MAX),
        6 => world.answer(ErrorCode::OK, result(OpResult::Error(ErrorResponse { err })), usize::MAX),
        _ => answer_wrongly(world, err, size),
    };
    Ok(())
}

/// An answer to something else than what was asked first.
fn answer_wrongly(world: &mut World, err: ErrorCode, by: u8) -> bool {
    let Some(peer) = &world.peer else { return false };
    let first = peer.asked.front().map(|asked| asked.xid).filter(|xid| xid.is_ordinary());
    let xid = Xid(first.map_or(1, |xid| xid.0).wrapping_add(i32::from(by) - 3));
    let plain = !world.ledger.wild && peer.input.is_empty() && xid.is_ordinary();
    let out_of_order = plain && first.is_some_and(|first| first != xid);
    let number = peer.number;
    world.feed_wild(&framed(&[&ReplyHeader { xid, zxid: 1, err }]), usize::MAX);
    let still_there = world.peer.as_ref().is_some_and(|peer| peer.number == number);
    assert!(!(out_of_order && still_there), "an answer out of order is taken");
    true
}

fn notify(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [what, place]: [u8; 2] = script.arbitrary()?;
    let event_type = EventType([1, 2, 3, 4, 3, 4, -1, 99][usize::from(what & 7)]);
    let path = PATHS[usize::from(place & 7)];
    let zxid = if what & 8 == 0 { -1 } else { i64::MAX };
    let segment = if what & 16 == 0 { usize::MAX } else { usize::from(place >> 3) };
    if place & 0x80 != 0 && path != "/" {
        world.happen(event_type, &format!("{path}/below"), zxid, segment);
    } else {
        world.happen(event_type, path, zxid, segment);
    }
    Ok(())
}

/// More at once than is worked on at once.
fn flood(world: &mut World, what: u8) {
    if !world.affords() {
        return;
    }
    world.ledger.note_wild(world.session.server().is_none());
    let event = WatcherEvent {
        event_type: EventType(i32::from(what & 7)),
        state: Default::default(),
        path: "/a".into(),
    };
    let one = framed(&[&ReplyHeader { xid: Xid::NOTIFICATION, zxid: -1, err: ErrorCode::OK }, &event]);
    let count = menagerie::limits::BATCH_LEN_BYTES / one.len() + usize::from(what);
    world.feed(&one.repeat(count), usize::MAX);
}

/// What no server says, and the little that one says without being asked.
fn raw(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [how, size]: [u8; 2] = script.arbitrary()?;
    let header = |xid: Xid| ReplyHeader { xid, zxid: 0, err: ErrorCode(i32::from(size & 1) * -115) };
    match how % 8 {
        0 => {
            let len = usize::from(size).min(script.len());
            world.feed_wild(script.bytes(len)?, usize::MAX);
        }
        1 => {
            let length: i32 = script.arbitrary()?;
            let bytes = [&length.to_be_bytes()[..], &[0; 30]].concat();
            world.feed_wild(&bytes, usize::from(size));
        }
        // A reply of 5 MiB, of which only so much ever comes.
        2 => {
            let first =
                world.peer.as_ref().and_then(|peer| peer.asked.front()).map_or(Xid(1), |asked| asked.xid);
            let part = vec![0; usize::from(size) << 8];
            let bytes = [&(5_i32 << 20).to_be_bytes()[..], &encoded(&header(first)), &part].concat();
            world.feed_wild(&bytes, usize::MAX);
        }
        // A whole frame that is slow to come.
        3 => {
            let length = 1_i32 << 20;
            world.feed_wild(&[&length.to_be_bytes()[..], &vec![0; usize::from(size) << 8]].concat(), 5_000);
        }
        4 => world.feed_wild(&framed(&[&header(Xid::SET_WATCHES)]), usize::MAX),
        5 => world.feed_wild(&framed(&[&header(Xid::AUTH)]), usize::MAX),
        6 => world.feed_wild(&framed(&[&header(Xid::PING)]), usize::MAX),
        // An event whose path is not UTF-8, or is cut off.
        _ => {
            let path: &[u8] = if size & 2 == 0 { b"\0\0\0\x02\xc0\xaf" } else { b"\0\0\0\x02/" };
            let bytes = [&encoded(&header(Xid::NOTIFICATION)), &[0, 0, 0, 1, 0, 0, 0, 3][..], path].concat();
            let length = i32::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
            world.feed_wild(&[&length[..], &bytes].concat(), usize::MAX);
        }
    }
    Ok(())
}

/// Presents a new credential, or the last one once more.
fn add_auth(world: &mut World, how: u8) {
    let token = world.open(OpCode::AUTH);
    let again = world.last_auth.filter(|_| how & 1 != 0);
    for each in again.into_iter().chain(again.map(|_| token)) {
        if let Some(entry) = world.ledger.token(each) {
            entry.ambiguous = true;
        }
    }
    let marker = format!("#{:08x}", again.unwrap_or(token));
    let auth = Bytes::from([SECRET, marker.as_bytes()].concat());
    let scheme = "digest".to_owned();
    match world.session.add_auth(world.now, Auth { scheme, auth }, token) {
        Ok(()) => world.last_auth = Some(again.unwrap_or(token)),
        Err(rejected) => world.ledger.rejected(token, &rejected),
    }
    world.settle();
}

fn unwatch(world: &mut World, which: u8) {
    let Some(&id) = world.ids.iter().rev().nth(which.into()) else { return };
    world.ledger.unwatch(id.watcher());
    world.session.unwatch(world.now, id.watcher());
    world.settle();
}

fn lease(world: &mut World, how: u8) {
    if how & 3 == 0 {
        if let Some(lease) = world.leases.pop() {
            world.session.release_lease(lease);
        }
    } else if world.leases.len() < 8 {
        let lease = world.session.hold_lease(world.now, PATHS[usize::from(how >> 5)], 3);
        world.leases.push(lease);
    }
    world.settle();
}

fn set_servers(world: &mut World, how: u8) {
    let list = if how % 8 == 7 { Vec::new() } else { servers(how & 3) };
    world.session.set_servers(world.now, list);
    world.settle();
}

fn close(world: &mut World) {
    world.session.close(world.now);
    world.settle();
}

/// Facts about what is over.
fn stale(world: &mut World, how: u8) {
    if let (Some(dial), 0) = (world.stale.0, how % 7) {
        world.session.handle_resolved(world.now, dial, Ok(vec![Address::Name]));
    }
    if let Some(conn) = world.stale.1 {
        let mut input = framed(&[&ReplyHeader { xid: Xid(1), ..ReplyHeader::default() }]).into();
        match how % 7 {
            6 => world.session.handle_probe(world.now, conn, b"rw"),
            1 => world.session.handle_connected(world.now, conn),
            2 => world.session.handle_dial_failed(world.now, conn, Loss::Refused),
            3 => world.session.handle_connection_lost(world.now, conn, Loss::Closed),
            4 => world.session.handle_written(world.now, conn, 1 << 20),
            5 => assert!(!world.session.handle_input(world.now, conn, &mut input)),
            _ => {}
        }
    }
    world.settle();
}

/// Watches on paths so long that they fill more than one batch of `SetWatches`.
fn watch_much(world: &mut World, how: u8) {
    if !world.affords() {
        return;
    }
    world.bulky = true;
    let shape = [13, 11, 14, 15][usize::from(how >> 3 & 3)];
    for index in how & 7..(how & 7) + 4 {
        send(world, shape, &format!("/long{index}/{}", "x".repeat(40_000)), false, None, 1);
    }
    answer_all(world);
}

/// What a caller may ask at any time.
fn look(world: &mut World) {
    if !world.affords() {
        return;
    }
    world.assert_secrets_kept();
    let credentials = world.session.credentials();
    assert!(!format!("{credentials:?} {:?}", world.config).contains("hunter2"));
    assert!(world.session.stats().connects <= world.session.stats().dials);
    assert!(world.session.last_zxid() <= world.zxid.max(99) || world.ledger.wild_ever);
}
