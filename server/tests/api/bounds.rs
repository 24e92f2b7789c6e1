//! What one connection can make the server hold.

use std::time::Duration;

use bytes::Bytes;
use menagerie_server::jute::*;
use menagerie_server::{Limits, Matcher, Server};

use crate::support::{Peer, framed};

fn limits() -> Limits {
    let mut limits = Limits::default();
    (limits.output_mark, limits.output_max) = (64 << 10, 256 << 10);
    limits
}

/// Whoever asks and never reads is not read from any more.
#[tokio::test(start_paused = true)]
async fn requests_stop_at_the_mark() {
    let server = Server::builder().limits(limits()).start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    let data = Bytes::from(vec![7; 32 << 10]);
    let create = CreateRequest {
        path: "/big",
        data: Some(data.clone()),
        acl: Some(Acl::OPEN.into()),
        flags: CreateMode::PERSISTENT,
    };
    peer.err(OpCode::CREATE, &create).await;
    server.clear_log();
    let mut asked = 0;
    loop {
        let header = RequestHeader { xid: Xid(100), op: OpCode::GET_DATA };
        let mut out = Writer::new();
        let frame = out.frame();
        header.encode(&mut out);
        GetDataRequest { path: "/big", watch: false }.encode(&mut out);
        out.close(frame);
        let request = out.into_bytes();
        if tokio::time::timeout(Duration::from_millis(100), peer.raw(&request)).await.is_err() {
            break;
        }
        asked += 1;
        assert!(asked < 100_000, "it goes on reading");
    }
    let executed = server.requests().len();
    assert!(executed < 8, "{executed} answers wait");
    let first = Reply::decode(peer.frame().await.unwrap(), OpCode::GET_DATA).unwrap();
    assert!(matches!(first.body, ReplyBody::GetData(found) if found.data == Some(data)));
}

/// The server stops reading from a connection with so many answers outstanding.
#[tokio::test(start_paused = true)]
async fn requests_stop_at_so_many_outstanding() {
    let mut limits = limits();
    limits.outstanding = 5;
    let server = Server::builder().limits(limits).start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    server.withhold(Matcher::any());
    for _ in 0..20 {
        peer.send(OpCode::PING, &()).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.requests().len(), 5);
    server.release();
    for _ in 0..20 {
        assert!(peer.answer().await.is_some());
    }
}

/// A pipeline is executed in turns, between which others have theirs.
#[tokio::test(start_paused = true)]
async fn whoever_asks_much_makes_nobody_wait() {
    let server = Server::start().await.unwrap();
    let mut flood = Peer::new(&server).await;
    let mut other = Peer::new(&server).await;
    server.clear_log();
    let ping = framed(&RequestHeader { xid: Xid::PING, op: OpCode::PING });
    flood.raw(&ping.repeat(2_000)).await;
    other.send(OpCode::EXISTS, &ExistsRequest { path: "/", watch: false }).await;
    other.answer().await.unwrap();
    let before = server.requests().iter().take_while(|request| request.op == OpCode::PING).count();
    assert!(before < 1_000, "{before} of another came before it");
    for _ in 0..2_000 {
        flood.frame().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn no_duration_is_too_long() {
    let mut limits = limits();
    (limits.tick, limits.greeting) = (Duration::MAX, Duration::MAX);
    let server = Server::builder().limits(limits).reap_interval(Duration::MAX).start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    server.delay(Matcher::any(), Duration::from_millis(u64::MAX - 1));
    peer.send(OpCode::PING, &()).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    server.release();
    assert!(peer.answer().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn connections_have_a_limit_in_all() {
    let mut limits = limits();
    (limits.connections, limits.connections_per_address) = (3, 0);
    let server = Server::builder().limits(limits).start().await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(Peer::new(&server).await);
    }
    assert!(Peer::greeted(&server, &crate::support::greeting(10_000)).await.is_none());
}

/// Whoever watches and never reads is dropped, and nobody else is.
#[tokio::test(start_paused = true)]
async fn a_slow_watcher_is_dropped() {
    let server = Server::builder().limits(limits()).start().await.unwrap();
    let mut slow = Peer::new(&server).await;
    let mut writer = Peer::new(&server).await;
    let watch = AddWatchRequest { path: "/", mode: AddWatchMode::PERSISTENT_RECURSIVE };
    slow.err(OpCode::ADD_WATCH, &watch).await;
    writer.create("/a", CreateMode::PERSISTENT).await;
    let mut sets = 0;
    while !server.watches().is_empty() {
        assert_eq!(writer.set("/a", "y").await, ErrorCode::OK);
        sets += 1;
        assert!(sets < 20_000, "it goes on queueing");
    }
    assert!(sets > 256 * 1024 / 64, "{sets} is too soon");
    assert_eq!(server.sessions().len(), 2, "the session lives");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_of_too_many_paths_is_dropped() {
    let mut limits = limits();
    limits.watched_len = 400;
    let server = Server::builder().limits(limits).start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    let long = format!("/{}", "x".repeat(60));
    assert!(!peer.exists(&long, true).await);
    assert!(!peer.exists(&long, true).await, "the same path counts once");
    let other = format!("/{}", "y".repeat(60));
    assert!(peer.call(OpCode::EXISTS, &ExistsRequest { path: &*other, watch: true }).await.is_none());
    assert_eq!(server.watches(), []);

    let mut peer = Peer::new(&server).await;
    let paths = (0..10).map(|at| format!("/{at}{long}")).collect();
    let set =
        SetWatches { relative_zxid: 0, data_watches: None, exist_watches: Some(paths), child_watches: None };
    assert!(peer.call(OpCode::SET_WATCHES, &set).await.is_none());
    assert_eq!(server.watches(), [], "also those behind the one that was too many");
}

/// A length alone makes nobody wait for its bytes with memory in hand, and a frame over the limit is no frame.
#[tokio::test(start_paused = true)]
async fn a_frame_has_a_limit() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    let request =
        |len: usize| SetDataRequest { path: "/a", data: Some(Bytes::from(vec![7; len])), version: -1 };
    peer.create("/a", CreateMode::PERSISTENT).await;
    let overhead = 8 + 4 + 2 + 4 + 4;
    assert_eq!(peer.err(OpCode::SET_DATA, &request(0xf_ffff - overhead)).await, ErrorCode::OK);
    peer.raw(&framed(&Raw2(request(0x10_0000 - overhead)))).await;
    assert_eq!(peer.frame().await, None);
}

struct Raw2(SetDataRequest<&'static str>);

impl Encode for Raw2 {
    fn encode(&self, out: &mut Writer) {
        RequestHeader { xid: Xid(7), op: OpCode::SET_DATA }.encode(out);
        self.0.encode(out);
    }
}
