//! Sessions: how they begin, are taken up again, and end.

use std::time::Duration;

use menagerie_server::jute::*;
use menagerie_server::{Like, Server};
use tokio::time::Instant;

use crate::support::{Peer, creation, framed, greeting, resuming, silent};

#[tokio::test(start_paused = true)]
async fn a_session_has_an_id_a_password_and_a_timeout_within_bounds() {
    let server = Server::builder().tick(Duration::from_millis(500)).start().await.unwrap();
    for (wished, granted) in [(1, 1_000), (6_000, 6_000), (i32::MAX, 10_000), (-5, 1_000)] {
        let peer = Peer::greeted(&server, &greeting(wished)).await.unwrap();
        assert_eq!(peer.session.time_out, granted, "for {wished}");
        assert_eq!(peer.id().to_be_bytes()[0], 1);
        assert_eq!(peer.session.passwd.as_ref().map(|it| it.len()), Some(16));
        assert_eq!(peer.session.read_only, Some(false));
    }
    let old = ConnectRequest { read_only: None, ..greeting(6_000) };
    assert_eq!(Peer::greeted(&server, &old).await.unwrap().session.read_only, None, "not asked, not told");
    assert_eq!(server.zxid(), 5, "each took a number");
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_expires_in_its_time_and_its_ephemerals_go() {
    let server = Server::start().await.unwrap();
    let mut watcher = Peer::greeted(&server, &greeting(40_000)).await.unwrap();
    let mut owner = Peer::greeted(&server, &greeting(30_000)).await.unwrap();
    assert_eq!(owner.create("/mine", CreateMode::EPHEMERAL).await, ErrorCode::OK);
    assert!(watcher.exists("/mine", true).await);

    let began = Instant::now();
    let event = watcher.event().await;
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NODE_DELETED, "/mine"));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(30) && took <= Duration::from_secs(32), "took {took:?}");
    assert_eq!(owner.frame().await, None, "not a word, only the end");
    assert_eq!(server.sessions().len(), 1);
    assert!(!server.tree().iter().any(|node| &*node.path == "/mine"));

    let again = Peer::greeted(&server, &resuming(&owner.session)).await.unwrap();
    assert_eq!((again.session.time_out, again.id()), (0, 0), "refused");
    assert_eq!(again.session.passwd.as_deref(), Some(&[0; 16][..]));
}

#[tokio::test(start_paused = true)]
async fn whoever_pings_lives() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::greeted(&server, &greeting(4_000)).await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(peer.ping().await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_moves_to_the_connection_that_takes_it_up_and_leaves_its_watches() {
    let server = Server::start().await.unwrap();
    let mut first = Peer::new(&server).await;
    first.create("/a", CreateMode::PERSISTENT).await;
    first.get("/a", true).await;
    let mut second = Peer::greeted(&server, &resuming(&first.session)).await.unwrap();
    assert_eq!(second.session, first.session);
    assert_eq!(first.frame().await, None);
    assert_eq!(server.watches(), []);
    second.set("/a", "y").await;
    assert_eq!(second.heard().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_neither_takes_the_session_nor_cuts_its_owner_off() {
    let server = Server::start().await.unwrap();
    let mut owner = Peer::new(&server).await;
    let id = owner.id().to_be_bytes();
    for guess in [vec![], vec![0; 16], vec![7; 15], [id, id].concat()] {
        let thief = ConnectRequest { passwd: Some(guess.into()), ..resuming(&owner.session) };
        let mut thief = Peer::greeted(&server, &thief).await.unwrap();
        assert_eq!((thief.session.time_out, thief.id()), (0, 0));
        assert_eq!(thief.frame().await, None);
    }
    assert!(owner.ping().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn passwords_follow_from_the_seed_and_from_nothing_else() {
    let password = async |seed| {
        let server = Server::builder().seed(seed).start().await.unwrap();
        Peer::new(&server).await.session.passwd.unwrap()
    };
    assert_ne!(password(1).await, password(2).await);
}

#[tokio::test(start_paused = true)]
async fn who_has_seen_more_than_the_server_is_not_served() {
    let server = Server::start().await.unwrap();
    let ahead = ConnectRequest { last_zxid_seen: 1, ..greeting(10_000) };
    assert!(Peer::greeted(&server, &ahead).await.is_none());
    Peer::new(&server).await;
    assert!(Peer::greeted(&server, &ahead).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_comes_behind_a_greeting_is_answered_in_order() {
    let server = Server::start().await.unwrap();
    let mut peer = silent(&server.connector()).await;
    let ping = framed(&RequestHeader { xid: Xid::PING, op: OpCode::PING });
    peer.raw(&[framed(&greeting(10_000)), ping.clone(), ping].concat()).await;
    assert!(ConnectResponse::decode_exact(peer.frame().await.unwrap()).is_ok());
    for _ in 0..2 {
        let reply = Reply::decode(peer.frame().await.unwrap(), OpCode::PING).unwrap();
        assert_eq!((reply.header.xid, reply.header.zxid), (Xid::PING, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_is_answered_and_nothing_behind_it_happens() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    peer.create("/mine", CreateMode::EPHEMERAL).await;
    peer.send(OpCode::CLOSE_SESSION, &()).await;
    peer.send(OpCode::CREATE, &creation("/late", CreateMode::PERSISTENT)).await;
    let reply = peer.answer().await.unwrap();
    assert_eq!((reply.header.err, reply.header.zxid), (ErrorCode::OK, 3));
    assert_eq!(peer.frame().await, None);
    let tree = server.tree();
    assert!(!tree.iter().any(|node| ["/mine", "/late"].contains(&&*node.path)));
    assert_eq!(server.sessions(), []);
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_is_hung_up_on() {
    let server = Server::start().await.unwrap();
    let mut peer = silent(&server.connector()).await;
    let began = Instant::now();
    assert_eq!(peer.frame().await, None);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(10) && took <= Duration::from_secs(21), "took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn keeper_gives_a_new_session_in_place_of_a_refused_one() {
    let server = Server::builder().like(Like::Keeper).start().await.unwrap();
    let peer = Peer::new(&server).await;
    let unknown = ConnectRequest { session_id: 77, ..resuming(&peer.session) };
    let other = Peer::greeted(&server, &unknown).await.unwrap();
    assert_eq!((other.session.time_out, other.id()), (10_000, peer.id() + 1));
}

#[tokio::test(start_paused = true)]
async fn one_address_has_so_many_connections_and_no_more() {
    let mut limits = menagerie_server::Limits::default();
    limits.connections_per_address = 2;
    let server = Server::builder().limits(limits).start().await.unwrap();
    let first = Peer::new(&server).await;
    let _second = Peer::new(&server).await;
    assert!(Peer::greeted(&server, &greeting(10_000)).await.is_none());
    drop(first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(Peer::greeted(&server, &greeting(10_000)).await.is_some());
}
