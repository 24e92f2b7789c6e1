//! S, second half: how requests are read, answered and refused.

use bytes::Bytes;
use menagerie_conformance::{
    Body, Row, Session, Setup, Target, Wire, connect_request, create_request,
    jute::{
        Acl, AddWatchMode, AuthPacket, CreateMode, DeleteRequest, Encode, ErrorCode, ExistsRequest,
        GetAclRequest, GetDataRequest, GetDataResponse, Op, OpCode, SetDataRequest, SetWatches, Ustring,
    },
    record_frame, request_frame,
};
use std::{net::TcpStream, time::Duration};

const ONE_OUTSTANDING: Setup = Setup { name: "one-outstanding", outstanding_limit: Some(1), ..Setup::PLAIN };

const ONE_MEBIBYTE_QUEUED: Setup = Setup { name: "queue", output_max: Some(1 << 20), ..Setup::PLAIN };

pub(crate) const ROWS: &[Row] = &[
    Row::new("S23", "requests are answered in order, under the xids they came with", order_and_xids),
    Row::new("S24", "the special xids: ping -2, auth -4, setWatches -8, notification -1", special_xids),
    Row::new("S25", "the answer to a ping: xid -2, the last zxid, no body", ping).alone(),
    Row::new("S26", "the answer to auth: a header, with zxid 0", auth),
    Row::new("S27", "an unknown operation: UNIMPLEMENTED, then the end", unknown_operation),
    Row::new("S28", "operations that no client may send", internal_operations)
        .stricter("all of them are refused: UNIMPLEMENTED, then the end; Apache lets some through")
        .differs("ZOOKEEPER-2623: check by itself is never answered before 3.8.5, and refused since 3.9.3"),
    Row::new("S29", "a body that does not decode: MARSHALLINGERROR, and the connection stays", undecodable),
    Row::new("S30", "a header that does not decode: the end", short_header),
    Row::new("S31", "bytes behind a request's body are ignored", trailing_bytes),
    Row::new("S32", "errors have no body", errors_have_no_body),
    Row::new("S33", "too many outstanding requests: read later, not refused", outstanding_requests)
        .on(&ONE_OUTSTANDING)
        .alone(),
    Row::new("S34", "what is queued for a client that does not read", slow_reader)
        .on(&ONE_MEBIBYTE_QUEUED)
        .stricter("bytes queued for a connection are bounded, and a connection over the bound is dropped; Apache's are not"),
    Row::new("S35", "replies may be longer than a request may be", long_reply),
    Row::new("S36", "a server that does not serve yet accepts and hangs up", not_yet_running),
];

fn order_and_xids(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    let xids = [0, -77, 5, 5, i32::MAX, i32::MIN, 1];
    let create = create_request(&path, b"0", CreateMode::PERSISTENT, Acl::OPEN);
    let mut frames = request_frame(9, OpCode::CREATE, &create).to_vec();
    for (count, xid) in xids.iter().enumerate() {
        let data = Some(Bytes::from(count.to_string()));
        let set = SetDataRequest { path: path.as_str(), data, version: -1 };
        frames.extend(request_frame(*xid, OpCode::SET_DATA, &set));
        let get = GetDataRequest { path: path.as_str(), watch: false };
        frames.extend(request_frame(*xid, OpCode::GET_DATA, &get));
    }
    session.wire.send_raw(&frames);
    assert_eq!(session.answer().header.xid.0, 9);
    for (count, xid) in xids.iter().enumerate() {
        let set = session.answer();
        assert_eq!((set.header.xid.0, set.code()), (*xid, ErrorCode::OK));
        let got = session.answer();
        assert_eq!(got.header.xid.0, *xid);
        assert!(got.header.zxid >= set.header.zxid);
        let got: GetDataResponse = got.read().unwrap();
        assert_eq!(got.data.as_deref(), Some(count.to_string().as_bytes()));
    }
}

fn special_xids(t: &Target<'_>) {
    let path = t.base().to_owned();
    let mut session = t.session();
    assert_eq!(session.ping().header.xid.0, -2);
    session.auth("digest", b"a:b").unwrap();
    let child_watches = Some(vec![path.as_str()]);
    session.set_watches(&SetWatches { relative_zxid: i64::MAX, child_watches, ..SetWatches::default() });
    session.create(&t.path("child"), b"").unwrap();
    assert_eq!(session.events().len(), 1, "a frame of xid -1 in front of the reply");
}

fn ping(t: &Target<'_>) {
    let mut session = t.session();
    let before = session.ping().header.zxid;
    let path = t.path("n");
    session.create(&path, b"").unwrap();
    let created = session.zxid;
    assert!(created > before);
    let ping = session.ping();
    assert_eq!((ping.header.xid.0, ping.header.zxid, ping.header.err), (-2, created, ErrorCode::OK));
    assert_eq!(ping.body.len(), 0);
    let mut other = t.session();
    other.set(&path, b"", -1).unwrap();
    assert_eq!(session.ping().header.zxid, other.zxid);
}

fn auth(t: &Target<'_>) {
    let mut session = t.session();
    session.create(&t.path("n"), b"").unwrap();
    let packet = AuthPacket {
        auth_type: 0,
        scheme: Ustring::from("digest"),
        auth: Some(Bytes::from_static(b"user:secret")),
    };
    let answer = session.call_as(-4, OpCode::AUTH, &packet);
    assert_eq!((answer.header.zxid, answer.header.err), (0, ErrorCode::OK));
    assert_eq!(answer.body.len(), 0);
}

fn expect_unimplemented_and_end(session: &mut Session, op: OpCode, body: &[u8]) {
    let answer = session.call(op, &Body(body));
    assert_eq!(answer.nothing(), Err(ErrorCode::UNIMPLEMENTED), "for {op}");
    session.expect_eof();
}

fn unknown_operation(t: &Target<'_>) {
    for op in [10, 23, 99, 108, 1_000, -2, i32::MIN] {
        expect_unimplemented_and_end(&mut t.session(), OpCode(op), b"");
    }
}

fn internal_operations(t: &Target<'_>) {
    // A server for this row: some of these leave traces in what a real one writes down.
    let own = t.start(&Setup::PLAIN);
    let session = || Session::open(Wire::dial(own.addr()), &connect_request(4_000)).unwrap();
    let (open_session, check) = (&[0, 0, 0x10, 0][..], &[0, 0, 0, 1, b'/', 0xff, 0xff, 0xff, 0xff][..]);
    for op in [OpCode::NOTIFICATION, OpCode::ERROR] {
        expect_unimplemented_and_end(&mut session(), op, b"");
    }
    if t.is_stricter() {
        expect_unimplemented_and_end(&mut session(), OpCode::CREATE_SESSION, open_session);
        expect_unimplemented_and_end(&mut session(), OpCode::DELETE_CONTAINER, b"\0\0\0\x02/q");
        expect_unimplemented_and_end(&mut session(), OpCode::CHECK, check);
    } else {
        internal_operations_of_apache(t, session, open_session, check);
    }
}

/// What the real ones do with what only they themselves should ask for.
fn internal_operations_of_apache(
    t: &Target<'_>,
    session: impl Fn() -> Session,
    open_session: &[u8],
    check: &[u8],
) {
    // Answered as a handshake is, in the middle of a conversation.
    let mut session_within = session();
    session_within.wire.send_request(1, OpCode::CREATE_SESSION, &Body(open_session));
    let response = session_within.wire.connect_response().unwrap();
    assert_eq!(response.session_id, session_within.id);
    // Done as if the server itself had asked for it; up to 3.8 the length counts as part of the path.
    let mut reaper = session();
    let reaped = reaper.call(OpCode::DELETE_CONTAINER, &Body(b"\0\0\0\x02/q")).nothing();
    assert_eq!(reaped, Err(if t.since_3_9() { ErrorCode::NO_NODE } else { ErrorCode::BAD_ARGUMENTS }));
    assert!(reaper.exists("/", false).is_ok());
    let mut checker = session();
    if t.since_3_9() {
        expect_unimplemented_and_end(&mut checker, OpCode::CHECK, check);
    } else {
        checker.send(OpCode::CHECK, &Body(check));
        assert!(checker.wire.is_silent_for(Duration::from_millis(500)));
        checker.abandon();
    }
}

fn undecodable(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    session.create(&path, b"").unwrap();
    let claims_too_much = [0, 0, 1, 0, b'/'];
    let ops = [
        OpCode::EXISTS,
        OpCode::GET_DATA,
        OpCode::GET_CHILDREN,
        OpCode::GET_CHILDREN2,
        OpCode::GET_ACL,
        OpCode::CREATE,
        OpCode::CREATE2,
        OpCode::DELETE,
        OpCode::SET_DATA,
        OpCode::SET_ACL,
        OpCode::SYNC,
        OpCode::ADD_WATCH,
        OpCode::REMOVE_WATCHES,
        OpCode::MULTI,
    ];
    for op in ops {
        for body in [&claims_too_much[..], &[0, 0], b""] {
            let answer = session.call(op, &Body(body));
            assert_eq!(answer.nothing(), Err(ErrorCode::MARSHALLING_ERROR), "for {op} {body:?}");
        }
    }
    assert_eq!(session.get(&path, false).unwrap().1.version, 0);
    // Credentials are read before there is a request, so there is nobody to answer.
    for op in [OpCode::AUTH, OpCode::SASL] {
        let mut session = t.session();
        session.send(op, &Body(&claims_too_much));
        session.expect_eof();
    }
}

fn short_header(t: &Target<'_>) {
    for length in 0..8_u8 {
        let mut session = t.session();
        session.wire.send_frame(&vec![0; usize::from(length)]);
        session.expect_eof();
    }
}

fn trailing_bytes(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    let behind = |session: &mut Session, op, body: &dyn Encode| {
        let mut bytes = record_frame(body)[4..].to_vec();
        bytes.extend([0xff; 100]);
        let answer = session.call(op, &Body(&bytes));
        assert_eq!(answer.code(), ErrorCode::OK, "for {op}");
    };
    let create = create_request(&path, b"", CreateMode::PERSISTENT, Acl::OPEN);
    behind(&mut session, OpCode::CREATE, &create);
    behind(&mut session, OpCode::EXISTS, &ExistsRequest { path: path.as_str(), watch: false });
    behind(&mut session, OpCode::GET_ACL, &GetAclRequest { path: path.as_str() });
    behind(&mut session, OpCode::DELETE, &DeleteRequest { path: path.as_str(), version: 0 });
    session.call_as(-2, OpCode::PING, &Body(&[0xff; 100])).nothing().unwrap();
}

fn errors_have_no_body(t: &Target<'_>) {
    let mut session = t.session();
    let none = t.path("none");
    let path = none.as_str();
    let create = create_request(t.base(), b"", CreateMode::PERSISTENT, Acl::OPEN);
    let requests: [(OpCode, Bytes); 7] = [
        (OpCode::CREATE, record_frame(&create)),
        (OpCode::CREATE2, record_frame(&create)),
        (OpCode::DELETE, record_frame(&DeleteRequest { path, version: -1 })),
        (OpCode::GET_DATA, record_frame(&GetDataRequest { path, watch: false })),
        (OpCode::EXISTS, record_frame(&ExistsRequest { path, watch: false })),
        (OpCode::GET_ACL, record_frame(&GetAclRequest { path })),
        (OpCode::SET_DATA, record_frame(&SetDataRequest { path, data: None, version: -1 })),
    ];
    for (op, frame) in requests {
        let answer = session.call(op, &Body(&frame[4..]));
        assert_ne!(answer.code(), ErrorCode::OK, "for {op}");
        assert_eq!(answer.body.len(), 0, "for {op}");
    }
}

fn outstanding_requests(t: &Target<'_>) {
    const REQUESTS: i32 = 3_000;
    let path = t.path("n");
    let mut session = t.session();
    session.create(&path, b"").unwrap();
    let stream = session.wire.stream().try_clone().unwrap();
    let mut writer = MustWrite(stream);
    let frames: Vec<u8> = (1..=REQUESTS)
        .flat_map(|xid| {
            let data = Some(Bytes::from_static(b"x"));
            let set = SetDataRequest { path: path.as_str(), data, version: -1 };
            request_frame(xid, OpCode::SET_DATA, &set)
        })
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write(&frames));
        for xid in 1..=REQUESTS {
            let answer = session.answer();
            assert_eq!((answer.header.xid.0, answer.code()), (xid, ErrorCode::OK));
            if xid % 250 == 0 {
                let words = t.word("mntr");
                let line = words.lines().find_map(|line| line.strip_prefix("zk_outstanding_requests\t"));
                let outstanding: i64 = line.unwrap().parse().unwrap();
                assert!(outstanding <= 4, "{outstanding} requests are outstanding");
            }
        }
    });
    assert_eq!(session.exists(&path, false).unwrap().version, REQUESTS);
}

/// Writes in a thread of its own: the server may read only as fast as its answers are read.
struct MustWrite(TcpStream);

impl MustWrite {
    fn write(&mut self, bytes: &[u8]) {
        std::io::Write::write_all(&mut self.0, bytes).unwrap();
    }
}

/// A watcher that does not read while 14 MB of events are made for it: more than two systems' buffers and the bound of ours.
fn slow_reader(t: &Target<'_>) {
    const ROUNDS: i32 = 28;
    const EVENTS: i32 = 500;
    let path = t.path(&"x".repeat(1_000));
    let mut writer = t.session();
    writer.create(&path, b"").unwrap();
    let mut watcher = t.session();
    watcher.add_watch(&path, AddWatchMode::PERSISTENT_RECURSIVE).unwrap();
    for _ in 0..ROUNDS {
        let set = SetDataRequest { path: path.as_str().into(), data: None, version: -1 };
        let results = writer.multi((0..EVENTS).map(|_| Op::SetData(set.clone()))).unwrap();
        assert_eq!(results.len(), usize::try_from(EVENTS).unwrap());
        watcher.wire.send_request(-2, OpCode::PING, &Body(b""));
    }
    assert_eq!(writer.exists(&path, false).unwrap().version, ROUNDS * EVENTS, "the writer does not suffer");
    let mut told = 0;
    while told < ROUNDS * EVENTS {
        let Some(frame) = watcher.wire.next_or_torn() else { break };
        told += i32::from(frame.starts_with(&[0xff; 4]));
    }
    if t.is_stricter() {
        watcher.abandon();
        assert!(told < ROUNDS * EVENTS, "the queue has no bound");
    } else {
        assert_eq!(told, ROUNDS * EVENTS);
    }
}

fn long_reply(t: &Target<'_>) {
    const CHILDREN: usize = 1_200;
    let mut session = t.session();
    for round in 0..CHILDREN / 100 {
        let ops = (0..100).map(|n| {
            let path = t.path(&format!("{:0>1000}", round * 100 + n));
            Op::Create(create_request(&path, b"", CreateMode::PERSISTENT, Acl::OPEN))
        });
        assert_eq!(session.multi(ops).unwrap().len(), 100);
    }
    let children = session.children(t.base(), false).unwrap();
    assert_eq!(children.len(), CHILDREN);
    assert!(children.iter().all(|name| name.len() == 1_000));
}

fn not_yet_running(t: &Target<'_>) {
    let idle = t.start_not_serving();
    let mut wire = t.eventually("port", Duration::from_secs(20), || {
        TcpStream::connect(idle.addr()).ok().map(|_| Wire::dial(idle.addr()))
    });
    assert_eq!(wire.handshake(&connect_request(4_000)), None);
}
