//! Watches: who hears of what, in which order, and until when.

use menagerie_server::jute::*;
use menagerie_server::{Like, Server};

use crate::support::{Peer, greeting};

#[tokio::test(start_paused = true)]
async fn an_event_comes_before_the_answer_to_what_caused_it() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    peer.create("/a", CreateMode::PERSISTENT).await;
    peer.get("/a", true).await;
    assert_eq!(peer.set("/a", "y").await, ErrorCode::OK);
    assert_eq!(peer.events.len(), 1, "it was there before the answer");
    assert_eq!(peer.set("/a", "z").await, ErrorCode::OK);
    assert_eq!(peer.heard().await, ["NodeDataChanged /a"], "once");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_told_once_to_who_watches_data_and_children() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    peer.create("/a", CreateMode::PERSISTENT).await;
    peer.get("/a", true).await;
    peer.err(OpCode::GET_CHILDREN, &GetChildrenRequest { path: "/a", watch: true }).await;
    peer.err(OpCode::GET_CHILDREN2, &GetChildren2Request { path: "/", watch: true }).await;
    peer.err(OpCode::DELETE, &DeleteRequest { path: "/a", version: -1 }).await;
    assert_eq!(peer.heard().await, ["NodeDeleted /a", "NodeChildrenChanged /"]);
    assert_eq!(server.watches(), []);
}

#[tokio::test(start_paused = true)]
async fn lasting_watches_hear_everything_until_removed() {
    let server = Server::start().await.unwrap();
    let mut watcher = Peer::new(&server).await;
    let mut writer = Peer::new(&server).await;
    let add = |path, mode| AddWatchRequest { path, mode };
    watcher.err(OpCode::ADD_WATCH, &add("/a", AddWatchMode::PERSISTENT)).await;
    watcher.err(OpCode::ADD_WATCH, &add("/r", AddWatchMode::PERSISTENT_RECURSIVE)).await;
    for path in ["/a", "/a/b", "/r", "/r/s"] {
        writer.create(path, CreateMode::PERSISTENT).await;
    }
    assert_eq!(
        watcher.heard().await,
        ["NodeCreated /a", "NodeChildrenChanged /a", "NodeCreated /r", "NodeCreated /r/s"]
    );
    let remove = |path, kind| RemoveWatchesRequest { path, watcher_type: kind };
    for (path, kind, err) in [
        ("/a", WatcherType::DATA, ErrorCode::NO_WATCHER),
        ("/a", WatcherType::PERSISTENT, ErrorCode::OK),
        ("/r", WatcherType::ANY, ErrorCode::OK),
        ("/r", WatcherType::ANY, ErrorCode::NO_WATCHER),
        ("/r", WatcherType(9), ErrorCode::MARSHALLING_ERROR),
    ] {
        assert_eq!(watcher.err(OpCode::REMOVE_WATCHES, &remove(path, kind)).await, err, "{path} {kind}");
    }
    writer.set("/a", "y").await;
    writer.set("/r/s", "y").await;
    assert_eq!(watcher.heard().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn restored_watches_catch_up_before_the_answer() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    for path in ["/changed", "/same", "/appeared"] {
        peer.create(path, CreateMode::PERSISTENT).await;
    }
    let zxid = peer.ping().await.unwrap().header.zxid;
    peer.set("/changed", "y").await;
    let paths = |paths: &[&str]| Some(paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
    let set = SetWatches2 {
        relative_zxid: zxid,
        data_watches: paths(&["/changed", "/same", "/gone"]),
        exist_watches: paths(&["/appeared", "/later"]),
        child_watches: paths(&["/same", "/gone"]),
        persistent_watches: paths(&["/p"]),
        persistent_recursive_watches: paths(&["/r"]),
    };
    let reply = peer.call(OpCode::SET_WATCHES2, &set).await.unwrap();
    assert_eq!((reply.header.err, reply.body), (ErrorCode::OK, ReplyBody::Empty));
    let events = std::mem::take(&mut peer.events);
    let events: Vec<_> = events.iter().map(|event| format!("{} {}", event.event_type, event.path)).collect();
    assert_eq!(
        events,
        ["NodeDataChanged /changed", "NodeDeleted /gone", "NodeCreated /appeared", "NodeDeleted /gone"]
    );
    let watched: Vec<_> = server.watches().iter().map(|watch| watch.path.to_string()).collect();
    assert_eq!(watched, ["/later", "/p", "/r", "/same"]);
}

#[tokio::test(start_paused = true)]
async fn notifications_carry_a_number_from_3_9_on() {
    for (like, zxid) in [(Like::V3_8, -1), (Like::V3_9, 3)] {
        let server = Server::builder().like(like).start().await.unwrap();
        let mut peer = Peer::new(&server).await;
        peer.create("/a", CreateMode::PERSISTENT).await;
        peer.get("/a", true).await;
        peer.send(OpCode::SET_DATA, &crate::support::setting("/a", "y")).await;
        let header = Reply::decode(peer.frame().await.unwrap(), OpCode::SET_DATA).unwrap().header;
        assert_eq!((header.xid, header.zxid), (Xid::NOTIFICATION, zxid), "as {like:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_not_read_does_not_hear() {
    let server = Server::start().await.unwrap();
    let mut writer = Peer::new(&server).await;
    let mut stranger = Peer::greeted(&server, &greeting(10_000)).await.unwrap();
    let watch = AddWatchRequest { path: "/", mode: AddWatchMode::PERSISTENT_RECURSIVE };
    stranger.err(OpCode::ADD_WATCH, &watch).await;
    let packet =
        AuthPacket { auth_type: 0, scheme: "digest".into(), auth: Some(bytes::Bytes::from_static(b"a:b")) };
    writer.call(OpCode::AUTH, &packet).await.unwrap();
    let private = CreateRequest {
        path: "/private",
        data: None,
        acl: Some(Acl::CREATOR_ALL.into()),
        flags: CreateMode::PERSISTENT,
    };
    assert_eq!(writer.err(OpCode::CREATE, &private).await, ErrorCode::OK);
    writer.create("/public", CreateMode::PERSISTENT).await;
    assert_eq!(stranger.heard().await, ["NodeCreated /public"]);
}

#[tokio::test(start_paused = true)]
async fn watches_go_with_their_connection() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    peer.exists("/a", true).await;
    assert_eq!(server.watches().len(), 1);
    server.kill_connections();
    assert_eq!(server.watches(), []);
}
