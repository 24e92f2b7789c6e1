//! A client's life as a whole: what it holds, what it gives back, and what ends it.

use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use menagerie::client::{Builder, Client, Transport, WatchEvent};
use menagerie::jute::{OpCode, RequestBody};
use menagerie::registry::layout::Plain;
use menagerie::registry::{Discovery, Instance, Registration, Registry, ZooKeeper};
use menagerie::session::{Cause, End, Fate, Server as Host, State};
use menagerie_server::Server as Embedded;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::support::{connected, pipe, pipe_through, poll_once, scripted, settle, soon};

#[tokio::test(start_paused = true)]
async fn closing_again_and_from_everywhere_is_one_close() {
    let (client, mut server) = connected().await;
    let both = async { tokio::join!(client.close(), client.close()) };
    let ((first, second), ()) = tokio::join!(both, server.expect_close());
    assert!(first.is_ok() && second.is_ok());
    soon(client.close()).await.unwrap();
    assert_eq!(client.state(), State::Ended(End::Closed));

    // From what waits for a watch, as it is told of the end.
    let (client, mut server) = connected().await;
    let watching = client.get("/a").watch().send();
    server.expect(OpCode::GET_DATA, "/a").await;
    server.reply_data("v").await;
    let (_, _, changed) = soon(watching).await.unwrap();
    let closes_too = async {
        let told = changed.await;
        client.close().await.map(|()| told)
    };
    let ((), told, closed) = tokio::join!(server.expect_close(), closes_too, client.close());
    assert_eq!(told.unwrap(), WatchEvent::SessionEnded(End::Closed));
    closed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_holds_back_what_is_submitted() {
    let (transport, mut server) = pipe(256);
    let builder = scripted().0.transport(transport).places(50);
    let (client, _) = tokio::join!(builder.connect(), server.accept());
    let client = client.unwrap();
    let sent: Vec<_> = (0..200).map(|_| client.set("/a", "x").send()).collect();
    let mut awaited = Box::pin(client.set("/a", "x").timeout(Duration::from_secs(1)).into_future());
    assert!(poll_once(&mut awaited).await.is_pending());
    assert_eq!(client.stats().in_flight, 50);
    settle().await;
    let mut refused = 0;
    for (index, sent) in sent.into_iter().enumerate() {
        let mut sent = Box::pin(sent);
        if let Poll::Ready(outcome) = poll_once(&mut sent).await {
            let error = outcome.unwrap_err();
            assert_eq!((error.cause(), error.fate()), (Some(Cause::QueueFull), Fate::NotSent), "{index}");
            refused += 1;
        }
    }
    assert_eq!(refused, 150);
    let error = soon(awaited).await.unwrap_err();
    assert_eq!((error.cause(), error.fate()), (Some(Cause::Deadline), Fate::NotSent));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_reconnects_leave_no_task_and_no_connection_behind() {
    let open = Arc::new(AtomicUsize::new(0));
    let counted = open.clone();
    let (transport, mut server) = pipe_through(1 << 16, move |near| Box::new(Counted::new(near, &counted)));
    let client = scripted().0.transport(transport).connect_lazy().unwrap();
    server.accept().await;
    settle().await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    for _ in 0..10_000 {
        server.cut();
        server.accept().await;
    }
    let mut seen = client.status();
    while seen.state != State::Connected {
        seen = soon(client.status_change(&seen)).await;
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    assert_eq!((open.load(Ordering::Relaxed), client.status().disconnects), (1, 10_000));
    assert_eq!(client.stats().in_flight, 0);
    drop(client);
    server.expect_close().await;
    settle().await;
    assert_eq!((open.load(Ordering::Relaxed), Handle::current().metrics().num_alive_tasks()), (0, 0));
}

/// A connection that counts how many of its kind are open.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl Counted {
    fn new(inner: DuplexStream, open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(inner, open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_out_of_descriptors_is_waited_for_with_pauses() {
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    let server = Embedded::start().await.unwrap();
    let connector = server.connector();
    let (dials, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let counted = dials.clone();
    let transport = Transport::custom(move |_, _| {
        let dial = counted.fetch_add(1, Ordering::Relaxed);
        let refused = started.elapsed() < Duration::from_secs(20);
        let connecting = connector.connect();
        async move {
            match refused {
                true => Err(io::Error::from_raw_os_error([EMFILE, ENOBUFS][dial % 2])),
                false => connecting.await,
            }
        }
    });
    let host = Host { host: String::from("embedded"), port: 2181 };
    let client = Builder::servers(vec![host]).transport(transport).connect().await.unwrap();
    let dialled = dials.load(Ordering::Relaxed);
    assert!((5..150).contains(&dialled), "{dialled} dials in {:?}", started.elapsed());
    client.create("/a").await.unwrap();
}

/// A connection that panics at the third read behind the handshake.
struct Panics(DuplexStream, usize);

impl AsyncRead for Panics {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        self.1 += usize::from(read.is_ready());
        assert!(self.1 < 3, "a fault in the transport");
        read
    }
}

impl AsyncWrite for Panics {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_connections_task_ends_the_client_aloud() {
    let (transport, mut server) = pipe_through(1 << 16, |near| Box::new(Panics(near, 0)));
    let client = scripted().0.transport(transport).places(2).connect_lazy().unwrap();
    server.accept().await;
    let watching = client.get("/w").watch().send();
    server.expect(OpCode::GET_DATA, "/w").await;
    server.reply_data("v").await;
    let (_, _, changed) = soon(watching).await.unwrap();
    let write = client.set("/a", "x").send();
    let read = client.get("/a").send();
    let mut in_line = Box::pin(client.get("/b").into_future());
    assert!(poll_once(&mut in_line).await.is_pending());
    server.expect(OpCode::SET_DATA, "/a").await;
    server.expect(OpCode::GET_DATA, "/a").await;
    server.reply(&()).await;
    let error = soon(write).await.unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    assert!(soon(read).await.unwrap_err().is_session_lost());
    assert!(soon(in_line).await.unwrap_err().is_session_lost());
    assert_eq!(soon(changed).await, WatchEvent::SessionEnded(End::ClosedUnconfirmed));
    assert!(matches!(client.state(), State::Ended(_)));
    assert!(soon(client.get("/c").into_future()).await.unwrap_err().is_session_lost());
    assert!(soon(client.close()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_on_one_client_are_served_in_the_order_of_their_requests() {
    let (client, mut server) = connected().await;
    let tasks: Vec<_> = (0..1_000)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.get(format!("/{number}")).await.map(|(data, _)| data) })
        })
        .collect();
    let mut asked = Vec::new();
    for _ in 0..1_000 {
        let RequestBody::GetData(get) = server.next().await.unwrap().body else { panic!("not a read") };
        asked.push(get.path.as_str().to_owned());
        server.reply_data("v").await;
    }
    for task in tasks {
        assert_eq!(soon(task).await.unwrap().unwrap(), "v");
    }
    // One thread polls tasks in the order in which they were spawned.
    assert!(asked.iter().enumerate().all(|(number, path)| *path == format!("/{number}")));
}

#[tokio::test(start_paused = true)]
async fn shutting_down_withdraws_what_is_registered_and_closes_the_session() {
    let server = Embedded::start().await.unwrap();
    let connector = server.connector();
    let transport = Transport::custom(move |_, _| connector.connect());
    let host = Host { host: String::from("embedded"), port: 2181 };
    let client: Client = Builder::servers(vec![host]).transport(transport).connect().await.unwrap();
    let registry = ZooKeeper::new(&client, Plain::new());
    let mut registered = Vec::new();
    for port in 1..=3 {
        let wish = Instance::builder("time").host("10.0.0.1").port(port);
        let one = soon(registry.register(wish)).await.unwrap();
        soon(one.registered()).await.unwrap();
        registered.push(one);
    }
    assert_eq!(soon(registry.discover("time")).await.unwrap().snapshot().len(), 3);
    let begun = Instant::now();
    for one in registered {
        soon(one.deregister()).await.unwrap();
    }
    let left =
        |server: &Embedded| server.tree().iter().filter(|node| node.path.starts_with("/go_servers/")).count();
    assert_eq!(left(&server), 0, "withdrawn before the session closes");
    soon(registry.close()).await.unwrap();
    assert_eq!((server.sessions().len(), left(&server)), (0, 0));
    assert!(begun.elapsed() < Duration::from_secs(5));
}
