//! From a connect string to a session, and its end.

use std::io;
use std::time::Duration;

use menagerie::Client;
use menagerie::client::{Builder, Io, Transport, Who};
use menagerie::jute::{ErrorCode, OpCode, RequestBody};
use menagerie::session::{End, Fate, Loss, State};
use tokio::time::{Instant, timeout};

use crate::support::{PASSWORD, SESSION, connected, pipe, poll_once, scripted, settle, soon};

#[tokio::test(start_paused = true)]
async fn nothing_follows_the_handshake_before_its_answer() {
    let (builder, mut server) = scripted();
    let client = builder.auth("digest", "u:p").connect_lazy().unwrap();
    let (first, second) = (client.get("/a").send(), client.set("/b", "x").send());
    let request = server.hear().await;
    assert_eq!((request.session_id, request.last_zxid_seen, request.time_out), (0, 0, 9_000));
    server.expect_nothing().await;
    server.grant(SESSION).await;
    server.expect_auth("digest", "u:p").await;
    server.expect(OpCode::GET_DATA, "/a").await;
    server.expect(OpCode::SET_DATA, "/b").await;
    server.answer_auth(ErrorCode::OK).await;
    server.reply_data("v").await;
    assert_eq!(soon(first).await.unwrap().0, "v");
    server.refuse(ErrorCode::NO_NODE).await;
    assert_eq!(soon(second).await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
}

#[tokio::test(start_paused = true)]
async fn after_a_reconnect_come_credentials_then_watches_then_requests() {
    let (builder, mut server) = scripted();
    let accept = async {
        server.accept().await;
        server.expect_auth("digest", "u:p").await;
        server.answer_auth(ErrorCode::OK).await;
    };
    let (client, ()) = tokio::join!(builder.auth("digest", "u:p").connect(), accept);
    let client = client.expect("connect waits for the verdict on its credentials");
    let watched = client.get("/w").watch().send();
    server.expect(OpCode::GET_DATA, "/w").await;
    server.reply_data("v").await;
    let (_, _, changed) = soon(watched).await.unwrap();
    server.cut();
    settle().await;
    let mut read = Box::pin(client.get("/a").into_future());
    assert!(poll_once(&mut read).await.is_pending());
    let request = server.accept().await;
    assert_eq!((request.session_id, request.passwd.as_deref()), (SESSION, Some(PASSWORD)));
    assert_eq!(request.last_zxid_seen, server.zxid);
    server.expect_auth("digest", "u:p").await;
    let RequestBody::SetWatches(watches) = server.expect(OpCode::SET_WATCHES, "").await else { panic!() };
    assert_eq!(watches.data_watches.unwrap(), ["/w"]);
    server.expect(OpCode::GET_DATA, "/a").await;
    drop(changed);
}

#[tokio::test(start_paused = true)]
async fn connect_gives_up_at_its_deadline_with_the_last_word_of_each_host() {
    let transport = Transport::custom(|host, _| {
        let kind = if host == "refuses" { io::ErrorKind::ConnectionRefused } else { io::ErrorKind::Other };
        Box::pin(async move { Err::<Box<dyn Io>, _>(kind.into()) })
    });
    let builder = Builder::new("refuses:1,fails:2").unwrap().transport(transport);
    let started = Instant::now();
    let error = builder.connect_timeout(Duration::from_secs(3)).connect().await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    let said: Vec<_> = error.attempts().iter().map(|(host, loss)| (host.to_string(), *loss)).collect();
    assert_eq!(said, [("fails:2".to_owned(), Loss::Network), ("refuses:1".to_owned(), Loss::Refused)]);
    assert_eq!((error.who(), error.fate()), (Who::Network, Fate::NotSent));
    assert!(error.is_retryable());
    for said in ["refuses:1: connection refused", "fails:2: network error"] {
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_named_as_slow() {
    let (builder, mut server) = scripted();
    let connecting = tokio::spawn(builder.connect_timeout(Duration::from_secs(20)).connect());
    server.hear().await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!(error.attempts()[0].1, Loss::ConnectTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_refused_or_foreign_handshake_is_named() {
    let http: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let refusal: &[u8] = &[&[0, 0, 0, 16][..], &[0; 16]].concat();
    for (said, expected) in [(http, "protocol violation"), (refusal, "handshake refused")] {
        let (builder, mut server) = scripted();
        let connecting = tokio::spawn(builder.connect_timeout(Duration::from_millis(50)).connect());
        server.hear().await;
        server.send(said).await;
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lazy_client_is_there_at_once() {
    let (builder, mut server) = scripted();
    let client = builder.connect_lazy().unwrap();
    assert_eq!((client.state(), client.status().session_id), (State::Connecting, None));
    let before = client.status();
    server.accept().await;
    let after = soon(client.status_change(&before)).await;
    assert_eq!((after.state, after.session_id, after.epoch), (State::Connected, Some(SESSION), 1));
    assert_eq!(after.timeout, Duration::from_secs(9));
}

#[test]
fn outside_a_runtime_connecting_is_a_named_error() {
    let (builder, _server) = scripted();
    let error = builder.connect_lazy().unwrap_err();
    assert!(error.is_no_runtime());
    assert_eq!((error.who(), error.fate()), (Who::Caller, Fate::NotSent));
}

#[tokio::test(start_paused = true)]
async fn dropping_connect_hangs_up() {
    let (builder, mut server) = scripted();
    let mut connecting = Box::pin(builder.connect());
    assert!(poll_once(&mut connecting).await.is_pending());
    server.hear().await;
    drop(connecting);
    assert_eq!(server.next().await, None);
}

#[test]
fn a_client_may_live_on_a_thread_of_its_own_or_on_a_given_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let homes: [Box<dyn FnOnce(Builder) -> Builder>; 2] = [
        Box::new(Builder::on_own_thread),
        Box::new({
            let handle = other.handle().clone();
            move |builder| builder.on_runtime(handle)
        }),
    ];
    for home in homes {
        let (builder, mut server) = scripted();
        // Outside every runtime: the client has its own.
        let client = home(builder).connect_lazy().unwrap();
        runtime.block_on(async {
            let read = client.get("/a").send();
            server.accept().await;
            server.expect(OpCode::GET_DATA, "/a").await;
            server.reply_data("v").await;
            assert_eq!(soon(read).await.unwrap().0, "v");
            let (closed, ()) = tokio::join!(client.close(), server.expect_close());
            closed.unwrap();
        });
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_of_a_url_are_presented_and_its_chroot_is_in_front() {
    let (transport, mut server) = pipe(1 << 16);
    let url = "zk://user:pa%3ass@zk/app?session_timeout=4s";
    let client = Client::builder(url).unwrap().transport(transport).connect_lazy().unwrap();
    assert_eq!(server.accept().await.time_out, 4_000);
    server.expect_auth("digest", "user:pa:ss").await;
    let _read = client.get("/x").send();
    server.expect(OpCode::GET_DATA, "/app/x").await;
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_the_server_behind_everything_sent() {
    let (client, mut server) = connected().await;
    let write = client.set("/a", "x").send();
    let mut closing = Box::pin(client.close());
    assert!(poll_once(&mut closing).await.is_pending());
    server.expect(OpCode::SET_DATA, "/a").await;
    server.expect(OpCode::CLOSE_SESSION, "").await;
    server.refuse(ErrorCode::NO_NODE).await;
    assert_eq!(soon(write).await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
    assert!(poll_once(&mut closing).await.is_pending());
    server.reply(&()).await;
    soon(closing).await.unwrap();
    assert_eq!(client.state(), State::Ended(End::Closed));
    let error = client.get("/a").await.unwrap_err();
    assert_eq!((error.session_end(), error.fate()), (Some(End::Closed), Fate::NotSent));
    assert!(error.is_session_lost());
}

#[tokio::test(start_paused = true)]
async fn close_without_an_answer_says_so() {
    let (client, mut server) = connected().await;
    let (closed, ()) = tokio::join!(client.close(), async {
        server.expect(OpCode::CLOSE_SESSION, "").await;
        server.cut();
    });
    assert_eq!(closed.unwrap_err().session_end(), Some(End::ClosedUnconfirmed));

    let (client, _server) = connected().await;
    let started = Instant::now();
    let error = timeout(Duration::from_secs(6), client.close()).await.unwrap().unwrap_err();
    assert_eq!(error.session_end(), Some(End::ClosedUnconfirmed));
    assert_eq!(started.elapsed(), menagerie::limits::CLOSE_WAIT);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_the_session() {
    let (client, mut server) = connected().await;
    let clone = client.chroot("/app").unwrap().session();
    drop(client);
    server.expect_nothing().await;
    drop(clone);
    server.expect_close().await;
}

#[test]
fn when_the_runtime_goes_everything_that_waits_resolves() {
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (builder, mut server) = scripted();
    let client = builder.places(3).on_runtime(home.handle().clone()).connect_lazy().unwrap();
    runtime.block_on(async {
        server.accept().await;
        let watching = client.get("/w").watch().send();
        server.expect(OpCode::GET_DATA, "/w").await;
        server.reply_data("v").await;
        let (_, _, changed) = soon(watching).await.unwrap();
        let sent = [(); 3].map(|()| client.set("/a", "x").send());
        let mut queued = Box::pin(client.get("/b").into_future());
        assert!(poll_once(&mut queued).await.is_pending());
        let mut authenticating = Box::pin(client.add_auth("digest", "u:p"));
        assert!(poll_once(&mut authenticating).await.is_pending());
        home.shutdown_background();
        for write in sent {
            let error = soon(write).await.unwrap_err();
            assert_eq!((error.fate(), error.is_session_lost()), (Fate::Unknown, true));
        }
        assert!(soon(queued).await.unwrap_err().is_session_lost());
        assert!(soon(authenticating).await.unwrap_err().is_session_lost());
        assert_eq!(soon(changed).await, menagerie::client::WatchEvent::SessionEnded(End::ClosedUnconfirmed));
        assert!(soon(client.ready()).await.is_err());
        assert!(client.get("/a").await.unwrap_err().is_session_lost());
        assert!(soon(client.close()).await.is_err());
    });
}
