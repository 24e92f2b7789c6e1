//! The core as a member: what takes a place in the log waits for it, and what is behind waits too.

use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::core::{Change, Config, ConnectionId, Core, Proposal, Transmit, Txn, Wish};
use crate::jute::{
    Acl, ConnectRequest, CreateMode, CreateRequest, Encode, ErrorCode, GetDataRequest, OpCode, Reader,
    ReplyHeader, RequestHeader, Ustring, Writer, Xid,
};

#[expect(clippy::disallowed_methods, reason = "tests need one moment to count from")]
fn member() -> (Core, ConnectionId, Instant) {
    let now = Instant::now();
    let mut core = Core::new(Config::default(), now, 1_700_000_000_000).into_member();
    let id = core.accept(([127, 0, 0, 1], 1).into(), now);
    (core, id, now)
}

fn frame(parts: &[&dyn Encode]) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    parts.iter().for_each(|part| part.encode(&mut out));
    out.close(frame);
    out.into_bytes()
}

fn request(xid: i32, op: OpCode, body: &dyn Encode) -> Bytes {
    frame(&[&RequestHeader { xid: Xid(xid), op }, body])
}

/// The headers of the frames that wait to be written.
fn replies(core: &mut Core, id: ConnectionId, now: Instant) -> Vec<ReplyHeader> {
    let mut headers = Vec::new();
    if let Transmit::Write(writer) = core.poll_transmit(id) {
        let mut bytes = writer.into_bytes();
        core.handle_written(id, bytes.len(), now);
        while bytes.len() > 4 {
            let len = usize::try_from(bytes.get_i32()).unwrap();
            headers.push(Reader::new(bytes.split_to(len)).record().unwrap());
        }
    }
    headers
}

fn open(core: &mut Core, id: ConnectionId, now: Instant) -> i64 {
    let asked = ConnectRequest { time_out: 10_000, passwd: Some(Bytes::new()), ..ConnectRequest::default() };
    core.handle_input(id, &frame(&[&asked]), now);
    let Proposal { id: origin, session, wish, .. } = core.poll_proposal().unwrap();
    assert!(matches!(wish, Wish::Open { .. }) && replies(core, id, now).is_empty());
    let txn = Txn { zxid: 1, time: 0, session, change: Change::OpenSession { timeout_millis: 10_000 } };
    core.handle_committed(&txn, Some(origin), now);
    assert_eq!(replies(core, id, now).len(), 1);
    session
}

#[test]
fn a_read_behind_a_write_waits_for_the_log_and_later_writes_do_not() {
    let (mut core, id, now) = member();
    let session = open(&mut core, id, now);
    let create = |path: &str| CreateRequest {
        path: Ustring::from(path),
        data: None,
        acl: Some(Acl::OPEN.into()),
        flags: CreateMode::PERSISTENT,
    };
    core.handle_input(id, &request(1, OpCode::CREATE, &create("/a")), now);
    core.handle_input(id, &request(2, OpCode::GET_DATA, &GetDataRequest { path: "/a", watch: false }), now);
    core.handle_input(id, &request(3, OpCode::CREATE, &create("/b")), now);
    let asked: Vec<Proposal> = std::iter::from_fn(|| core.poll_proposal()).collect();
    assert_eq!(asked.iter().map(|one| one.xid.0).collect::<Vec<_>>(), [1, 3]);
    assert!(replies(&mut core, id, now).is_empty());
    for (zxid, one) in (2..).zip(&asked) {
        let change = Change::Refused(ErrorCode::NODE_EXISTS);
        core.handle_committed(&Txn { zxid, time: 0, session, change }, Some(one.id), now);
        let xids: Vec<i32> = replies(&mut core, id, now).iter().map(|header| header.xid.0).collect();
        assert_eq!(xids, if zxid == 2 { vec![1, 2] } else { vec![3] });
    }
}

#[test]
fn a_write_of_a_session_that_moved_costs_the_connection() {
    let (mut core, id, now) = member();
    let session = open(&mut core, id, now);
    core.handle_input(id, &request(1, OpCode::SYNC, &crate::jute::SyncRequest { path: "/" }), now);
    let sync = core.poll_proposal().unwrap();
    core.handle_synced(sync.id, now);
    assert_eq!(replies(&mut core, id, now).len(), 1);
    core.handle_input(id, &request(2, OpCode::CLOSE_SESSION, &()), now);
    let close = core.poll_proposal().unwrap();
    let change = Change::Refused(ErrorCode::SESSION_MOVED);
    core.handle_committed(&Txn { zxid: 2, time: 0, session, change }, Some(close.id), now);
    assert!(matches!(core.poll_transmit(id), Transmit::HangUp));
}
