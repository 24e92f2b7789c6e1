//! S, first half: the handshake, and how sessions live and end.

use bytes::Bytes;
use menagerie_conformance::{
    Body, Row, Session, Setup, Target, Wire, connect_request, create_request,
    jute::{
        Acl, ConnectRequest, CreateMode, DeleteRequest, ErrorCode, EventType, GetDataRequest, OpCode, Perms,
        SetWatches,
    },
    record_frame, request_frame,
};
use std::time::{Duration, Instant};

const THREE_CONNECTIONS: Setup = Setup { name: "three-connections", max_client_cnxns: 3, ..Setup::PLAIN };
const THREE_SERVERS: Setup = Setup { name: "three-servers", nodes: 3, ..Setup::PLAIN };

pub(crate) const ROWS: &[Row] = &[
    Row::new("S1", "a new session: id, 16 bytes of password, readOnly if asked", new_session),
    Row::new("S2", "the timeout is clamped to 2 to 20 ticks", timeout_clamp),
    Row::new("S3", "a new session may come with any password", any_password_begins),
    Row::new("S4", "an unknown session is refused with zeros, then the end", unknown_session),
    Row::new("S5", "a wrong password is refused likewise, and the session lives", wrong_password),
    Row::new("S6", "what a wrong password does to the session's connection", wrong_password_and_connection)
        .stricter(
            "the password is checked before the session's connection is touched; Apache hangs up on it first",
        ),
    Row::new(
        "S7",
        "a re-attach keeps id and password, renegotiates, and takes the connection over",
        reattach,
    ),
    Row::new("S8", "a client that has seen the future is hung up on without a word", zxid_of_the_future),
    Row::new("S9", "the protocol version of the handshake is ignored", protocol_version),
    Row::new("S10", "requests behind the handshake wait for the session, in order", pipelined_handshake),
    Row::new("S11", "malformed first frames and lengths out of bounds: the end, without a reply", bad_frames),
    Row::new("S12", "session ids: the server's number, the time, a counter", session_ids).alone(),
    Row::new("S13", "whether who sees an id can compute the password", password_from_id)
        .stricter("the password cannot be computed from the id; Apache's is java.util.Random of it"),
    Row::new("S14", "traffic keeps a session; silence ends it within a tick of its timeout", expiry_time)
        .slow(),
    Row::new("S15", "expiry: one transaction, watches fire, the connection ends", expiry).slow(),
    Row::new("S16", "a closed socket does not end the session", cut_connection).slow(),
    Row::new(
        "S17",
        "closeSession: answered, then the end; ephemerals are gone, later frames dropped",
        close_session,
    ),
    Row::new("S18", "a closed or expired session never comes back", no_return).slow(),
    Row::new("S19", "watches and credentials belong to the connection", connection_state),
    Row::new(
        "S20",
        "a session's beginning and end take a zxid each; reads and their like none",
        zxids_of_sessions,
    )
    .alone(),
    Row::new(
        "S21",
        "a request on a connection that lost its session: the end, without effect",
        moved_session,
    )
    .on(&THREE_SERVERS),
    Row::new("S22", "one connection too many of an address is accepted and hung up on", too_many_connections)
        .on(&THREE_CONNECTIONS)
        .alone(),
];

/// The answer to `request` must be the refusal, and then the end.
#[track_caller]
fn expect_refusal(t: &Target<'_>, request: &ConnectRequest) {
    let mut wire = t.dial();
    let response = wire.handshake(request).unwrap();
    assert_eq!((response.protocol_version, response.time_out, response.session_id), (0, 0, 0));
    assert_eq!(response.passwd.as_deref(), Some(&[0; 16][..]));
    assert_eq!(response.read_only, request.read_only.map(|_| false));
    wire.expect_eof();
}

fn reattached(t: &Target<'_>, request: &ConnectRequest) -> Session {
    Session::open(t.dial(), request).unwrap()
}

fn new_session(t: &Target<'_>) {
    for (read_only, length) in [(Some(false), 37), (Some(true), 37), (None, 36)] {
        let mut wire = t.dial();
        wire.send_record(&ConnectRequest { read_only, ..connect_request(4_000) });
        let frame = wire.frame();
        assert_eq!(frame.len(), length, "{read_only:?}");
    }
    let mut wire = t.dial();
    let response = wire.handshake(&connect_request(4_000)).unwrap();
    assert_eq!((response.protocol_version, response.time_out), (0, 4_000));
    assert_ne!(response.session_id, 0);
    assert_eq!(response.passwd.unwrap().len(), 16);
    assert_eq!(response.read_only, Some(false));
}

fn timeout_clamp(t: &Target<'_>) {
    for (wished, granted) in [(1, 1_000), (0, 1_000), (-5, 1_000), (4_321, 4_321), (1_000_000_000, 10_000)] {
        assert_eq!(t.session_of(wished).timeout_ms, granted, "for {wished}");
    }
}

fn any_password_begins(t: &Target<'_>) {
    let long = Bytes::from(vec![7; 100]);
    for passwd in [None, Some(Bytes::new()), Some(Bytes::from_static(b"short")), Some(long)] {
        let request = ConnectRequest { passwd: passwd.clone(), ..connect_request(4_000) };
        let mut session = Session::open(t.dial(), &request).unwrap();
        assert_eq!(session.password.len(), 16, "for {passwd:?}");
        session.exists("/", false).unwrap();
    }
}

fn unknown_session(t: &Target<'_>) {
    for (session_id, password) in [(0x1234_5678_9abc, &[1; 16][..]), (-1, &[0; 16]), (i64::MIN, b"")] {
        let passwd = Some(Bytes::copy_from_slice(password));
        expect_refusal(t, &ConnectRequest { session_id, passwd, ..connect_request(4_000) });
    }
    let read_only = None;
    expect_refusal(t, &ConnectRequest { session_id: 99, read_only, ..connect_request(4_000) });
}

fn wrong_password(t: &Target<'_>) {
    let mut session = t.session();
    session.create_as(&t.path("mine"), b"", CreateMode::EPHEMERAL).unwrap();
    let (id, right) = (session.id, session.cut());
    for wrong in [&[0; 16][..], b"", b"0123456789abcdef"] {
        expect_refusal(t, &ConnectRequest { passwd: Some(Bytes::from_static(wrong)), ..right.clone() });
    }
    expect_refusal(t, &ConnectRequest { passwd: None, ..right.clone() });
    let mut again = reattached(t, &right);
    assert_eq!(again.id, id);
    assert_eq!(again.exists(&t.path("mine"), false).unwrap().ephemeral_owner, id);
}

fn wrong_password_and_connection(t: &Target<'_>) {
    let mut session = t.session();
    let right = session.reattach_request();
    expect_refusal(t, &ConnectRequest { passwd: Some(Bytes::from_static(&[9; 16])), ..right.clone() });
    if t.is_stricter() {
        session.exists("/", false).unwrap();
    } else {
        session.expect_eof();
        assert_eq!(reattached(t, &right).id, right.session_id);
    }
}

fn reattach(t: &Target<'_>) {
    let mut first = t.session_of(5_000);
    let wish = ConnectRequest { time_out: 2_000, ..first.reattach_request() };
    let mut second = reattached(t, &wish);
    assert_eq!((second.id, &second.password), (first.id, &first.password));
    assert_eq!((first.timeout_ms, second.timeout_ms), (5_000, 2_000));
    first.expect_eof();
    second.create_as(&t.path("mine"), b"", CreateMode::EPHEMERAL).unwrap();
    assert_eq!(second.exists(&t.path("mine"), false).unwrap().ephemeral_owner, first.id);
    // From a connection that is gone, too, and with the readOnly byte left out.
    let wish = ConnectRequest { time_out: 100_000, read_only: None, ..second.cut() };
    let third = reattached(t, &wish);
    assert_eq!((third.id, third.timeout_ms), (first.id, 10_000));
}

fn zxid_of_the_future(t: &Target<'_>) {
    let mut session = t.session();
    let now = session.ping().header.zxid;
    for last_zxid_seen in [now + 1_000_000, i64::MAX] {
        let mut wire = t.dial();
        assert_eq!(wire.handshake(&ConnectRequest { last_zxid_seen, ..connect_request(4_000) }), None);
        let mut wire = t.dial();
        assert_eq!(wire.handshake(&ConnectRequest { last_zxid_seen, ..session.reattach_request() }), None);
    }
    // The session and its connection have not noticed.
    session.exists("/", false).unwrap();
    // Seen as much as the server has is not too much.
    let seen = ConnectRequest { last_zxid_seen: now, ..connect_request(4_000) };
    assert!(Session::open(t.dial(), &seen).is_some());
}

fn protocol_version(t: &Target<'_>) {
    for protocol_version in [7, -1, i32::MAX] {
        let mut wire = t.dial();
        let response =
            wire.handshake(&ConnectRequest { protocol_version, ..connect_request(4_000) }).unwrap();
        assert_eq!(response.protocol_version, 0);
        Session::on(wire, &response).exists("/", false).unwrap();
    }
}

fn pipelined_handshake(t: &Target<'_>) {
    let path = t.path("first");
    let mut pipelined = Vec::new();
    pipelined.extend(record_frame(&connect_request(4_000)));
    let create = create_request(&path, b"x", CreateMode::EPHEMERAL, Acl::OPEN);
    pipelined.extend(request_frame(1, OpCode::CREATE, &create));
    let get = GetDataRequest { path: path.as_str(), watch: false };
    pipelined.extend(request_frame(2, OpCode::GET_DATA, &get));
    let mut wire = t.dial();
    wire.send_raw(&pipelined);
    let response = wire.connect_response().unwrap();
    let mut session = Session::on(wire, &response);
    let created = session.answer();
    assert_eq!((created.header.xid.0, created.code()), (1, ErrorCode::OK));
    let got = session.answer();
    assert_eq!((got.header.xid.0, got.code()), (2, ErrorCode::OK));
    assert_eq!(session.exists(&path, false).unwrap().ephemeral_owner, response.session_id);
}

fn bad_frames(t: &Target<'_>) {
    let hang_up = |wire: &mut Wire, bytes: &[u8]| {
        wire.send_raw(bytes);
        wire.expect_eof();
    };
    let lengths = [-1_i32, i32::MIN, 0x10_0000, i32::MAX];
    for length in lengths {
        hang_up(&mut t.dial(), &length.to_be_bytes());
    }
    // A handshake that ends too early, or whose password claims more than there is.
    hang_up(&mut t.dial(), &[0, 0, 0, 4, 0, 0, 0, 0]);
    hang_up(&mut t.dial(), &[0, 0, 0, 0]);
    let mut claims_too_much = vec![0, 0, 0, 28];
    claims_too_much.extend([0; 24]);
    claims_too_much.extend(1_000_i32.to_be_bytes());
    hang_up(&mut t.dial(), &claims_too_much);
    for length in lengths {
        let mut session = t.session_of(1_000);
        session.abandon();
        hang_up(&mut session.wire, &length.to_be_bytes());
    }
}

fn session_ids(t: &Target<'_>) {
    let sessions: Vec<_> = (0..3).map(|_| t.session()).collect();
    let first = sessions[0].id;
    assert_eq!([sessions[1].id, sessions[2].id], [first + 1, first + 2]);
    // A server without an id of its own counts as number 1.
    assert_eq!(first >> 56, 1, "{first:#x}");
    assert_ne!((first >> 16) & 0xff_ffff_ffff, 0, "no time in {first:#x}");
    // The counter began at 0 when the server did. That it skips i64::MIN, which marks containers, nobody lives to see.
    assert!(first & 0xffff < 0x1000, "{first:#x}");
}

/// What `java.util.Random` makes of a seed: 16 bytes, each int's lowest byte first.
fn java_random(seed: i64) -> Vec<u8> {
    let mask = (1 << 48) - 1;
    let mut state = (seed ^ 0x5_deec_e66d) & mask;
    let mut bytes = Vec::new();
    for _ in 0..4 {
        state = state.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & mask;
        bytes.extend(&(state >> 16).to_le_bytes()[..4]);
    }
    bytes
}

fn password_from_id(t: &Target<'_>) {
    let session = t.session();
    let computed = java_random(session.id ^ 0xb341_5c00);
    assert_eq!(computed == session.password, !t.is_stricter());
    let other = t.session();
    assert_ne!(session.password, other.password);
    let id = &session.id.to_be_bytes()[..];
    assert!(!session.password.windows(8).any(|part| part == id), "the id stands in the password");
}

/// From the last word of a session of one second to the news that its ephemeral is gone: at least and at most. Before that, it is
/// kept alive for a while.
fn silence(t: &Target<'_>, watcher: &mut Session, name: &str, kept: Duration) -> (Duration, Duration) {
    let path = t.path(name);
    let mut session = t.session_of(1_000);
    session.create_as(&path, b"", CreateMode::EPHEMERAL).unwrap();
    watcher.exists(&path, true).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < kept {
        session.ping();
        std::thread::sleep(Duration::from_millis(100));
    }
    let sent = Instant::now();
    session.ping();
    let answered = Instant::now();
    session.abandon();
    let event = watcher.event();
    let told = Instant::now();
    assert_eq!(event.what(), (EventType::NODE_DELETED, path.as_str()));
    (told - sent, told - answered)
}

fn expiry_time(t: &Target<'_>) {
    let mut watcher = t.session();
    // How late a busy machine is says nothing about the server: one good time of several will do.
    let mut late = Vec::new();
    for attempt in 0..6 {
        let kept = Duration::from_millis(if attempt == 0 { 1_800 } else { 0 });
        let (at_least, at_most) = silence(t, &mut watcher, &format!("n{attempt}"), kept);
        assert!(at_least >= Duration::from_millis(1_000), "gone after {at_least:?}");
        if at_most <= Duration::from_millis(1_750) {
            break;
        }
        late.push(at_most);
    }
    assert!(late.len() < 6, "gone only after {late:?}");
}

fn expiry(t: &Target<'_>) {
    let mut watcher = t.session();
    let parents = [t.path("a"), t.path("b")];
    let mut session = t.session_of(1_000);
    for parent in &parents {
        watcher.create(parent, b"").unwrap();
        session.create_as(&format!("{parent}/mine"), b"", CreateMode::EPHEMERAL).unwrap();
        watcher.get(&format!("{parent}/mine"), true).unwrap();
        watcher.children(parent, true).unwrap();
    }
    session.expect_eof();
    let mut told: Vec<_> = (0..4).map(|_| watcher.event()).map(|event| (event.kind, event.path)).collect();
    told.sort();
    let wanted = [EventType::NODE_DELETED, EventType::NODE_CHILDREN_CHANGED].iter().flat_map(|kind| {
        let mine = if *kind == EventType::NODE_DELETED { "/mine" } else { "" };
        parents.iter().map(move |parent| (*kind, format!("{parent}{mine}")))
    });
    assert_eq!(told, wanted.collect::<Vec<_>>());
    let stats = parents.map(|parent| watcher.exists(&parent, false).unwrap());
    assert_eq!(stats[0].num_children, 0);
    assert_eq!(stats[0].pzxid, stats[1].pzxid, "two transactions");
    assert!(stats[0].pzxid > stats[0].czxid);
}

fn cut_connection(t: &Target<'_>) {
    let mut watcher = t.session();
    let path = t.path("mine");
    let mut session = t.session_of(1_500);
    session.create_as(&path, b"", CreateMode::EPHEMERAL).unwrap();
    watcher.exists(&path, true).unwrap();
    let cut = Instant::now();
    session.cut();
    assert_eq!(watcher.event().what(), (EventType::NODE_DELETED, path.as_str()));
    let gone = cut.elapsed();
    // The last traffic was a little before the cut.
    assert!(gone > Duration::from_millis(1_300), "gone {gone:?} after the cut");
}

fn close_session(t: &Target<'_>) {
    let mut witness = t.session();
    let (mine, late) = (t.path("mine"), t.path("late"));
    let mut session = t.session();
    session.create_as(&mine, b"", CreateMode::EPHEMERAL).unwrap();
    let create = create_request(&late, b"", CreateMode::PERSISTENT, Acl::OPEN);
    let mut frames = request_frame(77, OpCode::CLOSE_SESSION, &Body(b"")).to_vec();
    frames.extend(request_frame(78, OpCode::CREATE, &create));
    session.wire.send_raw(&frames);
    let closed = session.answer();
    assert_eq!((closed.header.xid.0, closed.nothing()), (77, Ok(())));
    assert_eq!(witness.exists(&mine, false), Err(ErrorCode::NO_NODE));
    session.abandon();
    // The frame behind it is dropped, or refused if the server is quick to read and slow to hang up.
    if let Some(late) = session.next_answer() {
        assert_eq!((late.header.xid.0, late.nothing()), (78, Err(ErrorCode::SESSION_EXPIRED)));
        session.expect_eof();
    }
    assert_eq!(witness.exists(&late, false), Err(ErrorCode::NO_NODE));
}

fn no_return(t: &Target<'_>) {
    let session = t.session();
    let closed = session.reattach_request();
    session.close();
    expect_refusal(t, &closed);
    let mut witness = t.session();
    let path = t.path("mine");
    let mut session = t.session_of(1_000);
    session.create_as(&path, b"", CreateMode::EPHEMERAL).unwrap();
    witness.exists(&path, true).unwrap();
    let expired = session.reattach_request();
    session.expect_eof();
    witness.event();
    // Behind this write the expiry is through: before that, a connection that asks for the session goes down with it.
    witness.set(t.base(), b"", -1).unwrap();
    expect_refusal(t, &expired);
}

fn connection_state(t: &Target<'_>) {
    let mut writer = t.session();
    let path = t.path("watched");
    writer.create(&path, b"").unwrap();
    let mut session = t.session();
    session.auth("digest", b"user:secret").unwrap();
    session.get(&path, true).unwrap();
    let mine = Acl::new(Perms::ALL, "auth", "");
    let creators = std::slice::from_ref(&mine);
    session.create_acl(&t.path("private"), b"", CreateMode::PERSISTENT, creators).unwrap();
    session.get(&t.path("private"), false).unwrap();

    let mut session = reattached(t, &session.cut());
    assert_eq!(session.get(&t.path("private"), false), Err(ErrorCode::NO_AUTH));
    let made = session.create_acl(&t.path("other"), b"", CreateMode::PERSISTENT, creators);
    assert_eq!(made, Err(ErrorCode::INVALID_ACL));
    writer.set(&path, b"x", -1).unwrap();
    assert_eq!(session.get(&path, false).unwrap().0.as_deref(), Some(&b"x"[..]));
    assert_eq!(session.events_by_now(), []);
}

fn zxids_of_sessions(t: &Target<'_>) {
    let mut first = t.session();
    let path = t.path("x");
    first.create(&path, b"").unwrap();
    let before = first.ping().header.zxid;
    let second = t.session();
    assert_eq!(first.ping().header.zxid, before + 1);
    second.close();
    assert_eq!(first.ping().header.zxid, before + 2);
    first.get(&path, true).unwrap();
    first.children("/", false).unwrap();
    first.exists(&t.path("none"), false).unwrap_err();
    first.acl(&path).unwrap();
    first.auth("digest", b"a:b").unwrap();
    first.set_watches(&SetWatches {
        relative_zxid: before,
        data_watches: Some(vec![path.as_str()]),
        ..SetWatches::default()
    });
    first.sync("/").unwrap();
    assert_eq!(first.ping().header.zxid, before + 2);
    // Nor does a session that is taken up again.
    let mut first = reattached(t, &first.cut());
    assert_eq!(first.ping().header.zxid, before + 2);
}

fn moved_session(t: &Target<'_>) {
    let servers = t.addrs();
    let mut old = Session::open(Wire::dial(servers[0]), &connect_request(10_000)).unwrap();
    let path = t.path("node");
    old.create(&path, b"").unwrap();
    let mut new = Session::open(Wire::dial(servers[servers.len() - 1]), &old.reattach_request()).unwrap();
    assert_eq!(new.id, old.id);
    new.set(&path, b"new", -1).unwrap();
    // Where both connections are at one server, it has hung up already.
    old.send(OpCode::DELETE, &DeleteRequest { path: path.as_str(), version: -1 });
    old.expect_eof();
    assert_eq!(new.sync(&path).unwrap(), path);
    assert_eq!(new.get(&path, false).unwrap().0.as_deref(), Some(&b"new"[..]));
}

fn too_many_connections(t: &Target<'_>) {
    let mut sessions: Vec<_> = (0..3).map(|_| t.session()).collect();
    let mut fourth = t.dial();
    assert_eq!(fourth.handshake(&connect_request(4_000)), None);
    for session in &mut sessions {
        session.exists("/", false).unwrap();
    }
    sessions.pop().unwrap().close();
    t.eventually("place for another connection", Duration::from_secs(10), || {
        Session::open(t.dial(), &connect_request(4_000))
    });
}
