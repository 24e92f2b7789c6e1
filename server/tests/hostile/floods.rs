//! Much of the same: requests that nobody reads the answers of, words, sessions, credentials, watches.

use std::time::Duration;

use bytes::Bytes;
use menagerie_server::jute::*;
use menagerie_server::{Limits, Server};
use tokio::io::AsyncWriteExt;

use crate::support::{PATIENCE, Peer, asking, creation, greeting, silent};

const PIPELINED: i32 = 100_000;

/// Whoever asks a hundred thousand times before it reads gets every answer once it does, in order.
#[tokio::test]
async fn a_hundred_thousand_requests_at_once_are_all_answered() {
    let server = Server::start().await.unwrap();
    let peer = Peer::new(&server).await;
    let (mut reading, mut writing) = tokio::io::split(peer.stream);
    let asks = tokio::spawn(async move {
        for xid in 1..=PIPELINED {
            let request = asking(xid, OpCode::EXISTS, &ExistsRequest { path: "/", watch: false });
            writing.write_all(&request).await.unwrap();
        }
        writing
    });
    // It does not read before the server has stopped reading: what is sent no longer becomes more.
    let mut before = 0;
    while before == 0 || server.zxid() == 0 {
        before = server.requests().len();
        tokio::task::yield_now().await;
    }
    let mut buffer = bytes::BytesMut::new();
    for xid in 1..=PIPELINED {
        let frame = loop {
            if let Some(frame) = split_frame(&mut buffer, 1 << 20).unwrap() {
                break frame;
            }
            let read = tokio::io::AsyncReadExt::read_buf(&mut reading, &mut buffer);
            assert_ne!(tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap(), 0);
        };
        let reply = Reply::decode(frame, OpCode::EXISTS).unwrap();
        assert_eq!((reply.header.xid, reply.header.err), (Xid(xid), ErrorCode::OK));
    }
    asks.await.unwrap();
}

/// Four-letter words, known and unknown, from one connection after the other: each is answered or closed, and nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_words_is_answered_and_leaves_nothing() {
    let server = Server::start().await.unwrap();
    let address = server.local_addr();
    let mut watcher = Peer::new(&server).await;
    for at in 0..100 {
        let path = format!("/{at}");
        watcher.create(&path, CreateMode::EPHEMERAL).await;
        watcher.call(OpCode::GET_DATA, &GetDataRequest { path: path.as_str(), watch: true }).await;
    }
    let flood = |number: usize| async move {
        for at in 0..200 {
            let word = ["ruok", "mntr", "cons", "dump", "wchp", "wchc", "stat", "rude"][(at + number) % 8];
            let mut peer = silent(address).await;
            peer.say(word.as_bytes()).await;
            if word == "rude" {
                continue;
            }
            assert_ne!(peer.rest().await, "", "{word}");
        }
    };
    let floods: Vec<_> = (0..8).map(|number| tokio::spawn(flood(number))).collect();
    for flood in floods {
        tokio::time::timeout(PATIENCE, flood).await.unwrap().unwrap();
    }
    assert!(watcher.is_served().await);
    let only_it = async {
        loop {
            let mut peer = silent(address).await;
            peer.say(b"srvr").await;
            let text = String::from_utf8(peer.rest().await.to_vec()).unwrap();
            // It, and whoever asks.
            if text.contains("\nConnections: 2\n") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, only_it).await.expect("connections are left");
}

/// It was dropped, but its task waited for it to take what it never took: the connection stayed, and all that was written for it.
#[tokio::test(start_paused = true)]
async fn a_dropped_watcher_that_reads_nothing_is_gone() {
    let mut limits = Limits::default();
    (limits.output_mark, limits.output_max) = (64 << 10, 256 << 10);
    let server = Server::builder().limits(limits).start().await.unwrap();
    let mut slow = Peer::here(&server).await;
    let mut writer = Peer::here(&server).await;
    let watch = AddWatchRequest { path: "/", mode: AddWatchMode::PERSISTENT_RECURSIVE };
    assert_eq!(slow.err(OpCode::ADD_WATCH, &watch).await, ErrorCode::OK);
    assert_eq!(writer.create("/a", CreateMode::PERSISTENT).await, ErrorCode::OK);
    let set = SetDataRequest { path: "/a", data: None, version: -1 };
    while !server.watches().is_empty() {
        assert_eq!(writer.err(OpCode::SET_DATA, &set).await, ErrorCode::OK);
    }
    let ping = asking(-2, OpCode::PING, &());
    let until_gone = async {
        while slow.stream.write_all(&ping).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_gone).await.expect("nobody is at the other end");
}

/// The same over TCP, many at once: whoever reads is told of every change, and served all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_do_not_keep_the_others_from_their_events() {
    const SLOW: usize = 40;
    const SETS: usize = 2_000;
    let mut limits = Limits::default();
    limits.output_max = 64 << 10;
    let server = Server::builder().limits(limits).start().await.unwrap();
    let mut writer = Peer::new(&server).await;
    assert_eq!(writer.create("/a", CreateMode::PERSISTENT).await, ErrorCode::OK);
    let watch = AddWatchRequest { path: "/a", mode: AddWatchMode::PERSISTENT };
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut peer = Peer::new(&server).await;
        assert_eq!(peer.err(OpCode::ADD_WATCH, &watch).await, ErrorCode::OK);
        slow.push(peer);
    }
    let mut quick = Peer::new(&server).await;
    assert_eq!(quick.err(OpCode::ADD_WATCH, &watch).await, ErrorCode::OK);
    let reader = tokio::spawn(async move {
        for _ in 0..SETS {
            quick.frame().await.expect("an event");
        }
    });
    let set = SetDataRequest { path: "/a", data: None, version: -1 };
    for _ in 0..SETS {
        assert_eq!(writer.err(OpCode::SET_DATA, &set).await, ErrorCode::OK);
    }
    tokio::time::timeout(PATIENCE, reader).await.unwrap().unwrap();
}

/// Each credential is kept as long as its connection lives, and every check of a list looks at all of them.
#[tokio::test(start_paused = true)]
async fn credentials_without_end_are_refused() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    let auth = |text: String| AuthPacket { auth_type: 0, scheme: "digest".into(), auth: Some(text.into()) };
    for at in 0..100_000 {
        if peer.err(OpCode::AUTH, &auth(format!("user-{at}:p"))).await == ErrorCode::AUTH_FAILED {
            assert!((100..2_000).contains(&at), "{at} identities");
            assert_eq!(peer.rest().await, "");
            break;
        }
        assert!(at < 10_000, "it goes on taking them");
    }
    let mut peer = Peer::here(&server).await;
    let long = auth("u".repeat(500_000));
    assert_eq!(peer.err(OpCode::AUTH, &long).await, ErrorCode::AUTH_FAILED, "one that is too long");
    assert!(Peer::here(&server).await.is_served().await);
}

/// `auth` in a list stands for all identities of the connection, and can stand there once for each set of permissions.
#[tokio::test(start_paused = true)]
async fn a_list_of_auth_entries_does_not_multiply_without_end() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    let auth = AuthPacket { auth_type: 0, scheme: "digest".into(), auth: Some("u".repeat(60_000).into()) };
    assert_eq!(peer.err(OpCode::AUTH, &auth).await, ErrorCode::OK);
    let acl: Vec<_> = (0..40_000).map(|perms| Acl::new(Perms(perms), "auth", "")).collect();
    let create = CreateRequest { acl: Some(acl.into()), ..creation("/a", CreateMode::PERSISTENT) };
    assert_eq!(peer.err(OpCode::CREATE, &create).await, ErrorCode::INVALID_ACL);
    let one = |at: i32| {
        let acl: Vec<_> = (0..60).map(|perms| Acl::new(Perms(at * 60 + perms), "auth", "")).collect();
        Op::Create(CreateRequest {
            path: Ustring::from(format!("/{at}")),
            data: None,
            acl: Some(acl.into()),
            flags: CreateMode::PERSISTENT,
        })
    };
    let multi = MultiRequest::new((0..100).map(one));
    let Some(Reply { body: ReplyBody::Multi(results), .. }) = peer.call(OpCode::MULTI, &multi).await else {
        panic!("no answer")
    };
    let refused = OpResult::Error(ErrorResponse { err: ErrorCode::INVALID_ACL });
    assert!(results.results.iter().any(|each| each.result == refused));
    assert!(server.with_tree(|tree| tree.znode("/0").is_none()));
}

/// Sessions have no bound, as at the real server. Whoever leaves them behind has them until their time is over.
#[tokio::test(start_paused = true)]
async fn sessions_that_are_left_behind_are_gone_after_their_time() {
    let server = Server::start().await.unwrap();
    for _ in 0..3_000 {
        let mut peer = Peer::here(&server).await;
        peer.create("/e-", CreateMode::EPHEMERAL_SEQUENTIAL).await;
    }
    assert_eq!(server.sessions().len(), 3_000);
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(server.sessions(), []);
    assert_eq!(server.with_tree(menagerie_server::core::Tree::ephemerals_count), 0);
}

/// Containers and znodes with a time to live, tens of thousands due at once.
#[tokio::test(start_paused = true)]
async fn what_ends_by_itself_ends_however_much_there_is() {
    const EACH: i32 = 10_000;
    let server = Server::start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    for at in 0..EACH {
        let path = format!("/t{at}");
        let create = CreateTtlRequest {
            path: path.as_str(),
            data: None,
            acl: Some(Acl::OPEN.into()),
            flags: CreateMode::PERSISTENT_WITH_TTL,
            ttl: 1,
        };
        assert_eq!(peer.err(OpCode::CREATE_TTL, &create).await, ErrorCode::OK);
    }
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(peer.is_served().await);
    }
    assert_eq!(server.with_tree(menagerie_server::core::Tree::node_count), 5);
}

/// Lists of watches that were never set, again and again.
#[tokio::test(start_paused = true)]
async fn watches_are_set_again_without_growing() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    let paths: Vec<_> = (0..5_000).map(|at| Ustring::from(format!("/none/{at}"))).collect();
    let set =
        SetWatches { relative_zxid: 0, data_watches: None, exist_watches: Some(paths), child_watches: None };
    for _ in 0..20 {
        assert_eq!(peer.err(OpCode::SET_WATCHES, &set).await, ErrorCode::OK);
    }
    assert_eq!(server.watches().len(), 5_000);
    drop(peer);
    let gone = async {
        while !server.watches().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("they go with their connection");
}

/// An unknown operation, a stand-alone check, one that only servers use: an answer, and the end.
#[tokio::test]
async fn operations_that_no_client_sends_end_the_connection() {
    let server = Server::start().await.unwrap();
    for op in [OpCode(10), OpCode(13), OpCode(20), OpCode(-10), OpCode(-1), OpCode(9_999), OpCode(i32::MIN)] {
        let mut peer = Peer::new(&server).await;
        let reply = peer.call(op, &RequestBody::Raw(Raw(Bytes::from_static(&[7; 40])))).await;
        assert_eq!(reply.unwrap().header.err, ErrorCode::UNIMPLEMENTED, "{op}");
        assert_eq!(peer.rest().await, "");
    }
    assert!(silent(server.local_addr()).await.greeted(&greeting()).await.is_some());
}
