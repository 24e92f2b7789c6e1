//! Sessions that expire, are lost, are followed, and are taken up elsewhere.

use std::future::IntoFuture;
use std::time::Duration;

use bytes::Bytes;
use menagerie::client::{Builder, OnExpiry, Transport, WatchEvent};
use menagerie::jute::{
    ErrorCode, ErrorResponse, MultiResponse, OpCode, OpResult, RequestBody, SetDataResponse,
};
use menagerie::session::{Cause, Credentials, End, Fate, Server as Host, State};
use menagerie_server::Server;
use tokio::time::Instant;

use crate::support::{PASSWORD, SESSION, connected, connected_as, poll_once, scripted, settle, soon, stat};

#[tokio::test(start_paused = true)]
async fn of_two_clients_of_one_session_the_one_that_began_it_keeps_it() {
    let server = Server::start().await.unwrap();
    let builder = || {
        let connector = server.connector();
        let host = Host { host: String::from("embedded"), port: 2181 };
        let transport = Transport::custom(move |_host, _port| connector.connect());
        Builder::servers(vec![host]).transport(transport).session_timeout(Duration::from_secs(9))
    };
    let began = builder().seed(1).connect().await.unwrap();
    began.create("/mine").ephemeral().await.unwrap();
    let owner = began.status().session_id;
    let resumed = builder().seed(2).resume(began.credentials().unwrap()).connect().await.unwrap();
    let begun = Instant::now();
    let mut seen = resumed.status();
    while !matches!(seen.state, State::Ended(_)) {
        assert!(begun.elapsed() < Duration::from_secs(300), "for ever: {seen:?} {:?}", began.status());
        seen = soon(resumed.status_change(&seen)).await;
    }
    assert_eq!((seen.state, seen.epoch), (State::Ended(End::Contended), 1));
    assert_eq!(resumed.get("/mine").await.unwrap_err().session_end(), Some(End::Contended));
    assert_eq!(began.get("/mine").await.unwrap().1.ephemeral_owner, owner.unwrap());
    let disconnects = began.status().disconnects;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let now = began.status();
    assert_eq!((now.state, now.epoch, now.session_id), (State::Connected, 1, owner));
    assert_eq!(now.disconnects, disconnects, "nobody takes it away any more");
}

#[tokio::test(start_paused = true)]
async fn nothing_crosses_from_an_expired_session_into_the_next() {
    let (client, mut server) = connected_as(|builder| builder.auth("digest", "u:p")).await;
    server.expect_auth("digest", "u:p").await;
    server.answer_auth(ErrorCode::OK).await;
    let pinned = client.session();
    let (watcher, ()) = tokio::join!(client.watch("/s"), async {
        server.expect(OpCode::ADD_WATCH, "/s").await;
        server.reply(&ErrorResponse { err: ErrorCode::OK }).await;
    });
    let mut watcher = watcher.unwrap();
    let watched = client.get("/w").watch().send();
    server.expect_gets(&["/w"]).await;
    server.reply_data("v").await;
    let (_, _, changed) = soon(watched).await.unwrap();
    let sent = client.set("/sent", "x").send();
    server.expect(OpCode::SET_DATA, "/sent").await;
    server.cut();
    settle().await;
    let mut read = Box::pin(client.get("/waiting").into_future());
    assert!(poll_once(&mut read).await.is_pending());
    assert_eq!(server.expire().await.session_id, SESSION);
    assert_eq!(soon(sent).await.unwrap_err().fate(), Fate::Unknown);
    let error = soon(read).await.unwrap_err();
    assert_eq!((error.session_end(), error.fate()), (Some(End::Expired), Fate::NotSent));
    assert_eq!(soon(changed).await, WatchEvent::SessionEnded(End::Expired));
    // The next session: it remembers what was seen, and presents the credentials again.
    let renewing = tokio::spawn(async move { watcher.next().await });
    let request = server.accept().await;
    assert_eq!((request.session_id, request.last_zxid_seen), (0, server.zxid));
    server.expect_auth("digest", "u:p").await;
    server.expect(OpCode::ADD_WATCH, "/s").await;
    server.reply(&ErrorResponse { err: ErrorCode::OK }).await;
    assert_eq!(soon(renewing).await.unwrap(), Some(WatchEvent::Gap));
    let status = client.status();
    assert_eq!((status.epoch, status.session_id, status.state), (2, Some(SESSION + 1), State::Connected));
    settle().await;
    let read = client.get("/next").send();
    loop {
        let request = server.next().await.unwrap();
        if request.header.op == OpCode::GET_DATA {
            break;
        }
        server.reply(&()).await;
    }
    server.reply_data("v").await;
    assert_eq!(soon(read).await.unwrap().0, "v");
    // The pinned handle stays behind for ever.
    assert_eq!(pinned.state(), State::Ended(End::Expired));
    assert_eq!((pinned.credentials(), pinned.lease_until()), (None, None));
    for error in [pinned.get("/x").await.unwrap_err(), pinned.get("/x").send().await.unwrap_err()] {
        assert_eq!((error.session_end(), error.fate()), (Some(End::Expired), Fate::NotSent));
    }
    assert!(pinned.add_auth("digest", "x:y").await.unwrap_err().is_session_lost());
    let _lease = pinned.hold_lease("/lock", 0);
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_in_line_for_a_place_does_not_cross_either() {
    let (client, mut server) = connected_as(|builder| builder.places(1)).await;
    let sent = client.set("/sent", "x").send();
    let mut queued = Box::pin(client.set("/queued", "x").into_future());
    assert!(poll_once(&mut queued).await.is_pending());
    server.expect(OpCode::SET_DATA, "/sent").await;
    server.cut();
    server.expire().await;
    server.accept().await;
    assert_eq!(soon(sent).await.unwrap_err().fate(), Fate::Unknown);
    let error = soon(queued).await.unwrap_err();
    assert_eq!((error.session_end(), error.fate()), (Some(End::Expired), Fate::NotSent));
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_to_stop_ends_with_its_session() {
    let (client, mut server) = connected_as(|builder| builder.on_expiry(OnExpiry::Stop)).await;
    server.cut();
    server.expire().await;
    settle().await;
    assert_eq!(client.state(), State::Ended(End::Expired));
    assert_eq!(client.get("/a").await.unwrap_err().session_end(), Some(End::Expired));
    assert!(client.ready().await.is_err());
    soon(client.close()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_end_the_client() {
    let (client, mut server) = connected().await;
    let (verdict, ()) = tokio::join!(client.add_auth("digest", "u:wrong"), async {
        server.expect_auth("digest", "u:wrong").await;
        server.answer_auth(ErrorCode::AUTH_FAILED).await;
    });
    assert_eq!(verdict.unwrap_err().code(), Some(ErrorCode::AUTH_FAILED));
    settle().await;
    assert_eq!(client.state(), State::Ended(End::AuthFailed));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_taken_up_from_its_credentials() {
    let credentials =
        Credentials { session_id: 77, password: Bytes::from_static(b"of another here!"), last_zxid: 99 };
    let (builder, mut server) = scripted();
    let resumed = builder.resume(credentials.clone());
    let (client, request) = tokio::join!(resumed.connect(), server.accept());
    let client = client.unwrap();
    assert_eq!((request.session_id, request.passwd), (77, Some(credentials.password)));
    assert_eq!(request.last_zxid_seen, 99, "servers that lag must not take the session up");
    assert_eq!(client.status().session_id, Some(77));
    let exported = client.credentials().unwrap();
    assert_eq!((exported.session_id, &*exported.password), (77, PASSWORD));
}

#[tokio::test(start_paused = true)]
async fn lost_contact_completes_what_waits_and_the_session_lives_on() {
    let (client, mut server) = connected().await;
    let watched = client.get("/w").watch().send();
    server.expect_gets(&["/w"]).await;
    server.reply_data("v").await;
    let (_, _, changed) = soon(watched).await.unwrap();
    let started = Instant::now();
    server.cut();
    settle().await;
    let piped = client.set("/piped", "x").send();
    let error = soon(piped).await.unwrap_err();
    assert_eq!((error.cause(), error.fate()), (Some(Cause::SessionLost), Fate::NotSent));
    assert!(started.elapsed().abs_diff(Duration::from_secs(12)) < Duration::from_millis(10));
    assert_eq!(client.state(), State::Lost);
    assert_eq!(soon(changed).await, WatchEvent::Gap);
    let mut write = Box::pin(client.set("/awaited", "x").into_future());
    assert!(poll_once(&mut write).await.is_pending());
    while server.accept().await.session_id != SESSION {}
    settle().await;
    // Attempts that timed out may stand in front of the one that lives.
    while client.state() != State::Connected {
        server.accept().await;
        settle().await;
    }
    server.expect(OpCode::SET_DATA, "/awaited").await;
    server.reply(&SetDataResponse { stat: stat() }).await;
    soon(write).await.unwrap();
    assert_eq!((client.status().epoch, client.status().session_id), (1, Some(SESSION)));
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_is_renewed_by_checks_until_it_is_dropped() {
    let (client, mut server) = connected_as(|builder| builder.chroot("/app")).await;
    assert_eq!(client.lease_until(), None);
    let lease = client.hold_lease("/lock", 3);
    let mut first = None;
    for _ in 0..3 {
        let RequestBody::Multi(multi) = server.expect(OpCode::MULTI, "").await else { panic!() };
        assert!(format!("{:?}", multi.ops).contains("/app/lock"), "{multi:?}");
        first = first.or(Some(Instant::now()));
        server.reply(&MultiResponse::new([OpResult::Check])).await;
        settle().await;
    }
    let until = client.lease_until().unwrap();
    assert!(until > first.unwrap().into_std() + Duration::from_secs(9));
    drop(lease);
    let quiet = tokio::time::timeout(Duration::from_secs(10), server.next()).await;
    assert!(quiet.is_err(), "{quiet:?} after the lease was let go");
}
