//! Requests: what is understood, refused, and in which order it is answered.

use std::time::Duration;

use bytes::Bytes;
use menagerie_server::jute::*;
use menagerie_server::{Like, Server};

use crate::support::{Bare, Peer, creation, framed, setting};

#[tokio::test(start_paused = true)]
async fn a_pipeline_is_answered_in_order_and_reads_see_the_writes_before_them() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    peer.create("/a", CreateMode::PERSISTENT).await;
    for data in ["1", "2", "3"] {
        peer.send(OpCode::SET_DATA, &setting("/a", data)).await;
        peer.send(OpCode::GET_DATA, &GetDataRequest { path: "/a", watch: false }).await;
    }
    for data in ["1", "2", "3"] {
        let set = peer.answer().await.unwrap();
        let ReplyBody::GetData(got) = peer.answer().await.unwrap().body else { panic!("no data") };
        assert_eq!(got.data.as_deref(), Some(data.as_bytes()));
        assert_eq!(got.stat.mzxid, set.header.zxid);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_takes_a_number_and_has_no_body() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    let reply = peer.call(OpCode::SET_DATA, &setting("/none", "x")).await.unwrap();
    assert_eq!(reply.header, ReplyHeader { xid: Xid(1), zxid: 2, err: ErrorCode::NO_NODE });
    assert_eq!(reply.body, ReplyBody::Empty);
    assert_eq!(peer.ping().await.unwrap().header.zxid, 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_decode_is_an_error_and_no_end() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    let zxid = peer.ping().await.unwrap().header.zxid;
    assert_eq!(peer.err(OpCode::GET_DATA, &Bare(b"\x07")).await, ErrorCode::MARSHALLING_ERROR);
    assert_eq!(peer.ping().await.unwrap().header.zxid, zxid, "a read is free");
    assert_eq!(peer.err(OpCode::CREATE, &Bare(b"\x07")).await, ErrorCode::MARSHALLING_ERROR);
    assert_eq!(peer.ping().await.unwrap().header.zxid, zxid + 1, "a write is not");
    let trailing = Bare(b"\0\0\0\x01/\0behind");
    assert_eq!(peer.err(OpCode::GET_DATA, &trailing).await, ErrorCode::OK);
}

#[tokio::test(start_paused = true)]
async fn operations_that_are_none_end_the_connection() {
    for op in [0, 13, 20, -10, -1, 99, i32::MIN] {
        let server = Server::start().await.unwrap();
        let mut peer = Peer::new(&server).await;
        let check = CheckVersionRequest { path: "/", version: -1 };
        let reply = peer.call(OpCode(op), &check).await.unwrap();
        assert_eq!((reply.header.err, reply.header.zxid), (ErrorCode::UNIMPLEMENTED, -1), "{op}");
        assert_eq!(peer.frame().await, None, "{op}");
        assert_eq!(server.sessions().len(), 1, "the session lives");
    }
}

#[tokio::test(start_paused = true)]
async fn old_servers_do_not_know_new_operations() {
    for (like, op, known) in [
        (Like::V3_4, OpCode::CREATE2, false),
        (Like::V3_5, OpCode::CREATE2, true),
        (Like::V3_5, OpCode::WHO_AM_I, false),
        (Like::V3_8, OpCode::WHO_AM_I, true),
        (Like::Keeper, OpCode::WHO_AM_I, true),
    ] {
        let server = Server::builder().like(like).start().await.unwrap();
        let mut peer = Peer::new(&server).await;
        let reply = peer.call(op, &creation("/a", CreateMode::PERSISTENT)).await.unwrap();
        assert_eq!(reply.header.err == ErrorCode::OK, known, "{op} as {like:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_none_end_the_connection() {
    for bytes in [&[0xff, 0xff, 0xff, 0xff][..], &[0, 16, 0, 0], &[0, 0, 0, 4, 0, 0, 0, 1]] {
        let server = Server::start().await.unwrap();
        let mut peer = Peer::new(&server).await;
        peer.raw(bytes).await;
        assert_eq!(peer.frame().await, None, "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_may_come_byte_by_byte() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    for byte in framed(&RequestHeader { xid: Xid::PING, op: OpCode::PING }) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        peer.raw(&[byte]).await;
    }
    assert_eq!(Reply::decode(peer.frame().await.unwrap(), OpCode::PING).unwrap().header.xid, Xid::PING);
}

#[tokio::test(start_paused = true)]
async fn credentials_add_up_and_bad_ones_end_the_connection() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    let packet = |scheme: &str, auth: &'static str| AuthPacket {
        auth_type: 0,
        scheme: scheme.into(),
        auth: Some(Bytes::from_static(auth.as_bytes())),
    };
    for auth in ["alice:secret", "bob:hunter2", "alice:secret"] {
        let reply = peer.call(OpCode::AUTH, &packet("digest", auth)).await.unwrap();
        assert_eq!((reply.header.err, reply.header.zxid), (ErrorCode::OK, 0));
    }
    let shown = format!("{server:?}");
    assert!(!shown.contains("alice") && !shown.contains("Qt7E="), "{shown}");
    let ReplyBody::WhoAmI(who) = peer.call(OpCode::WHO_AM_I, &()).await.unwrap().body else {
        panic!("nobody")
    };
    let mut users: Vec<_> = who.client_info.unwrap().iter().map(|id| id.user.to_string()).collect();
    users.sort();
    assert_eq!(users, ["127.0.0.1", "alice", "bob"]);

    assert_eq!(peer.err(OpCode::AUTH, &packet("kerberos", "x")).await, ErrorCode::AUTH_FAILED);
    assert_eq!(peer.frame().await, None);
    let shown = format!("{}{:?}{:?}{:?}", server.trace(), server.log(), server.requests(), server);
    for secret in ["secret", "hunter2", "aYXlLOpEooaV1cRAvUL1fp9Qt7E="] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(server.trace().contains("auth digest"), "{}", server.trace());
}

#[tokio::test(start_paused = true)]
async fn several_reads_in_one_fail_one_by_one() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    let read = |path| MultiOp::from(Op::GetData(GetDataRequest { path, watch: true }));
    let multi = MultiRequest { ops: vec![read("/"), read("/none")], end: MultiHeader::END };
    let ReplyBody::MultiRead(found) = peer.call(OpCode::MULTI_READ, &multi).await.unwrap().body else {
        panic!("no results")
    };
    assert_eq!(found.results[0].err, ErrorCode::OK);
    assert_eq!(found.results[1].result, OpResult::Error(ErrorResponse { err: ErrorCode::NO_NODE }));
    assert_eq!(server.watches(), [], "none watches");
}

#[tokio::test(start_paused = true)]
async fn containers_are_reaped_in_time() {
    let server = Server::builder().reap_interval(Duration::from_secs(5)).start().await.unwrap();
    let mut peer = Peer::greeted(&server, &crate::support::greeting(40_000)).await.unwrap();
    peer.err(OpCode::CREATE_CONTAINER, &creation("/box", CreateMode::CONTAINER)).await;
    peer.create("/box/thing", CreateMode::PERSISTENT).await;
    peer.err(OpCode::DELETE, &DeleteRequest { path: "/box/thing", version: -1 }).await;
    assert!(peer.exists("/box", true).await);
    let event = peer.event().await;
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NODE_DELETED, "/box"));
}
