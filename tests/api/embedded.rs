//! The client against the embedded server, on streams without sockets and under a paused clock: what a user's tests look like.

use std::future::Future;
use std::time::Duration;

use menagerie::Client;
use menagerie::client::{Builder, Io, Transport, WatchEvent};
use menagerie::jute::{ErrorCode, EventType, OpCode};
use menagerie::session::{Fate, Server as Host};
use menagerie_server::{Matcher, Server};

fn transport(server: &Server) -> Transport {
    let connector = server.connector();
    Transport::custom(move |_host, _port| {
        let dial = connector.connect();
        Box::pin(async move { Ok(Box::new(dial.await?) as Box<dyn Io>) })
    })
}

async fn client(server: &Server) -> Client {
    let host = Host { host: String::from("embedded"), port: 2181 };
    Builder::servers(vec![host]).transport(transport(server)).connect().await.expect("a session")
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), what).await.expect("in time")
}

#[tokio::test(start_paused = true)]
async fn a_client_works_without_sockets() {
    let server = Server::start().await.unwrap();
    let zk = client(&server).await;
    zk.create("/services/web").data("v1").parents().await.unwrap();
    let (data, stat, changed) = zk.get("/services/web").watch().await.unwrap();
    assert_eq!((&*data, stat.version), (&b"v1"[..], 0));
    zk.set("/services/web", "v2").await.unwrap();
    let WatchEvent::Event { event_type, path, .. } = soon(changed).await else { panic!("no event") };
    assert_eq!((event_type, &*path), (EventType::NODE_DATA_CHANGED, "/services/web"));
    let refused = zk.transaction().check("/services/web", 7).delete("/services/web").commit().await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::BAD_VERSION));
    soon(zk.close()).await.unwrap();
    assert_eq!(server.sessions(), []);
}

#[tokio::test(start_paused = true)]
async fn a_session_expires_for_real_and_the_client_follows_with_a_new_one() {
    let server = Server::start().await.unwrap();
    let zk = client(&server).await;
    zk.create("/mine").ephemeral().await.unwrap();
    let before = zk.status();
    server.expire(before.session_id.unwrap());
    let mut seen = before;
    while seen.session_id.is_none() || seen.session_id == before.session_id {
        seen = soon(zk.status_change(&seen)).await;
    }
    assert_eq!(zk.get("/mine").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_happened_and_was_not_answered_has_an_unknown_fate() {
    let server = Server::start().await.unwrap();
    let zk = client(&server).await;
    zk.create("/a").data("x").await.unwrap();
    server.cut_after(Matcher::op(OpCode::SET_DATA).path("/a"));
    assert_eq!(zk.set("/a", "y").await.unwrap_err().fate(), Fate::Unknown);
    assert_eq!(zk.get("/a").await.unwrap().0, "y", "it did happen");
}

#[tokio::test(start_paused = true)]
async fn a_restart_loses_nothing() {
    let server = Server::start().await.unwrap();
    let zk = client(&server).await;
    zk.create("/mine").ephemeral().await.unwrap();
    let session = zk.status().session_id;
    server.stop().await.unwrap();
    server.restart().await.unwrap();
    assert!(zk.exists("/mine").await.unwrap().is_some());
    assert_eq!(zk.status().session_id, session);
}
