//! Requests as large as a frame allows, and answers that are larger.

use bytes::Bytes;
use menagerie_server::jute::*;
use menagerie_server::{Limits, Server, What, Why};

use crate::support::{Peer, creation};

/// Writes as many as fit.
#[tokio::test(start_paused = true)]
async fn a_multi_of_a_hundred_thousand_operations_is_one_transaction() {
    const OPS: usize = 100_000;
    let mut limits = Limits::default();
    limits.frame_len = 8 << 20;
    let server = Server::builder().limits(limits).start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    let create = |at: usize| {
        Op::Create(CreateRequest {
            path: Ustring::from(format!("/{at}")),
            data: None,
            acl: Some(Acl::OPEN.into()),
            flags: CreateMode::PERSISTENT,
        })
    };
    let failing = Op::Check(CheckVersionRequest { path: "/none".into(), version: -1 });
    let multi = MultiRequest::new((0..OPS).map(create).chain([failing]));
    let Some(Reply { body: ReplyBody::Multi(results), header }) = peer.call(OpCode::MULTI, &multi).await
    else {
        panic!("no answer")
    };
    let last = OpResult::Error(ErrorResponse { err: ErrorCode::NO_NODE });
    assert_eq!((results.results.len(), &results.results[OPS].result), (OPS + 1, &last));
    assert_eq!(header.zxid, 2);
    assert_eq!(server.with_tree(|tree| tree.node_count()), 5, "nothing of it stays");

    let multi = MultiRequest::new((0..OPS).map(create));
    let Some(Reply { body: ReplyBody::Multi(results), .. }) = peer.call(OpCode::MULTI, &multi).await else {
        panic!("no answer")
    };
    assert!(results.results.iter().all(|each| matches!(each.result, OpResult::Create(_))));
    assert_eq!(server.with_tree(|tree| tree.node_count()), 5 + OPS);

    let children = peer.call(OpCode::GET_CHILDREN2, &GetChildren2Request { path: "/", watch: true }).await;
    let Some(Reply { body: ReplyBody::GetChildren2(found), .. }) = children else { panic!("no answer") };
    assert_eq!(found.children.map(|names| names.len()), Some(OPS + 1), "however wide");
    assert_eq!(server.requests().last().map(|request| request.op), Some(OpCode::GET_CHILDREN2));
}

/// Each read of a multiRead may be answered by a mebibyte, and fifty thousand reads fit in a frame: an answer of fifty gigabytes
/// was begun.
#[tokio::test(start_paused = true)]
async fn an_answer_that_multiplies_what_is_there_is_not_begun() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    let create =
        CreateRequest { data: Some(Bytes::from(vec![7; 100_000])), ..creation("/a", CreateMode::PERSISTENT) };
    assert_eq!(peer.err(OpCode::CREATE, &create).await, ErrorCode::OK);
    let read = || -> Op { Op::GetData(GetDataRequest { path: "/a".into(), watch: false }) };
    let few = MultiRequest::new(std::iter::repeat_with(read).take(100));
    assert!(peer.call(OpCode::MULTI_READ, &few).await.is_some());
    let many = MultiRequest::new(std::iter::repeat_with(read).take(20_000));
    assert!(peer.call(OpCode::MULTI_READ, &many).await.is_none());
    let is_why = |entry: &menagerie_server::Entry| entry.what == What::Closed(Why::TooLarge);
    assert!(server.log().iter().any(is_why));

    // Names as well as data.
    let mut peer = Peer::here(&server).await;
    for at in 0..2_000 {
        peer.create(&format!("/a/a-rather-long-name-of-a-child-{at}"), CreateMode::PERSISTENT).await;
    }
    let read = || -> Op { Op::GetChildren(GetChildrenRequest { path: "/a".into(), watch: false }) };
    let many = MultiRequest::new(std::iter::repeat_with(read).take(20_000));
    assert!(peer.call(OpCode::MULTI_READ, &many).await.is_none());
    assert!(Peer::here(&server).await.is_served().await);
}

/// Nothing goes down a path by calling itself.
#[tokio::test(start_paused = true)]
async fn a_path_may_be_as_deep_as_it_likes() {
    const DEPTH: usize = 3_000;
    let server = Server::start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    let watch = AddWatchRequest { path: "/", mode: AddWatchMode::PERSISTENT_RECURSIVE };
    assert_eq!(peer.err(OpCode::ADD_WATCH, &watch).await, ErrorCode::OK);
    let mut path = String::new();
    for _ in 0..DEPTH {
        path.push_str("/d");
        assert_eq!(peer.create(&path, CreateMode::PERSISTENT).await, ErrorCode::OK);
    }
    let count = GetAllChildrenNumberRequest { path: "/d" };
    let Some(reply) = peer.call(OpCode::GET_ALL_CHILDREN_NUMBER, &count).await else { panic!("no answer") };
    let below = GetAllChildrenNumberResponse { total_number: i32::try_from(DEPTH).unwrap() - 1 };
    assert_eq!(reply.body, ReplyBody::GetAllChildrenNumber(below));
    assert_eq!(server.tree().len(), 4 + DEPTH);
    // As long as a frame allows, and nowhere.
    let nowhere = "/x".repeat(500_000);
    assert_eq!(peer.create(&nowhere, CreateMode::PERSISTENT).await, ErrorCode::NO_NODE);
    let exists = ExistsRequest { path: nowhere.as_str(), watch: true };
    assert_eq!(peer.err(OpCode::EXISTS, &exists).await, ErrorCode::NO_NODE);
    assert!(server.trace().len() < 500_000, "the log cuts what is long");
    assert!(server.trace().contains("/x/x"));
}

/// Names one below the other may not be what a path is made of, and bytes may be no text.
#[tokio::test(start_paused = true)]
async fn paths_that_are_none_are_refused() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    for path in
        ["", "a", "//", "/a//b", "/.", "/..", "/a/", "/\0", "/\u{1}", "/\u{7f}", "/\u{f8ff}", "/\u{ffff}"]
    {
        let err = peer.create(path, CreateMode::PERSISTENT).await;
        assert!(matches!(err, ErrorCode::BAD_ARGUMENTS | ErrorCode::NO_NODE), "{path:?}: {err}");
    }
    let mut out = Writer::new();
    out.buffer(Some(&[b'/', 0xff, 0xfe]));
    out.bool(false);
    assert_eq!(peer.err(OpCode::EXISTS, &RequestBody::Raw(Raw(out.into_bytes()))).await, ErrorCode::NO_NODE);
    for lie in [i32::MAX, -2, i32::MIN] {
        let mut out = Writer::new();
        out.int(lie);
        let body = RequestBody::Raw(Raw(out.into_bytes()));
        assert_eq!(peer.err(OpCode::CREATE, &body).await, ErrorCode::MARSHALLING_ERROR, "{lie}");
    }
    assert_eq!(server.with_tree(|tree| tree.node_count()), 5);
}
