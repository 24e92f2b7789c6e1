//! Wakers, and the destructors of values, are the caller's code: whatever they do, they run under no lock of the client.
//!
//! Here they all call back into it. If one did run under its lock, the scenario would hang; a watchdog outside sees that.

use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use menagerie::Client;
use menagerie::jute::{ErrorCode, ErrorResponse, EventType, OpCode, SetDataResponse};
use menagerie::limits;
use menagerie::registry::{Discovery, Instance, Memory, Registration};
use menagerie::session::{Cause, End, Fate, State};
use tokio::runtime::{Builder as Runtime, Runtime as Running};

use crate::support::{Server, connected_as, pipe, poll_once, scripted, settle, soon, stat};

/// Longer than the scenario takes on any machine, and than no deadlock lasts.
const PATIENCE: Duration = Duration::from_secs(30);

/// What calls back, and how often it did.
#[derive(Clone)]
struct Nosy {
    client: Client,
    calls: Arc<AtomicUsize>,
}

impl Nosy {
    fn call(&self) {
        let _ =
            (self.client.stats(), self.client.status(), self.client.credentials(), self.client.lease_until());
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// The future, with a waker that calls back whenever it is woken and when it is dropped.
    fn ask<F: IntoFuture>(&self, future: F) -> Asking<F::IntoFuture> {
        Asking { nosy: self.clone(), future: Box::pin(future.into_future()) }
    }

    /// A value long enough to travel as a segment of its own, which calls back when nobody holds it any more.
    fn value(&self) -> Bytes {
        Bytes::from_owner(Value { nosy: self.clone(), bytes: vec![b'v'; limits::SPILL_LEN_BYTES + 1] })
    }
}

struct Asking<F> {
    nosy: Nosy,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Asking<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let waker = Waker::from(Arc::new(CallsBack { nosy: self.nosy.clone(), inner: cx.waker().clone() }));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

struct CallsBack {
    nosy: Nosy,
    inner: Waker,
}

impl Wake for CallsBack {
    fn wake(self: Arc<Self>) {
        self.nosy.call();
        self.inner.wake_by_ref();
    }
}

impl Drop for CallsBack {
    fn drop(&mut self) {
        self.nosy.call();
    }
}

struct Value {
    nosy: Nosy,
    bytes: Vec<u8>,
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.nosy.call();
    }
}

/// Runs on a thread of its own, and fails if it does not come back.
fn watched<F: Future<Output = usize> + 'static>(runtime: Running, scenario: fn() -> F) {
    let (done, ends) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let calls = runtime.block_on(scenario());
        runtime.shutdown_background();
        let _ = done.send(calls);
    });
    match ends.recv_timeout(PATIENCE) {
        Ok(calls) => assert!(calls > 0, "nothing called back"),
        // It panicked: let that be what is told.
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(thread.join().unwrap_err()),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a callback runs under the client's lock"),
    }
}

fn on_each_runtime<F: Future<Output = usize> + 'static>(scenario: fn() -> F) {
    watched(Runtime::new_current_thread().enable_all().build().unwrap(), scenario);
    watched(Runtime::new_multi_thread().worker_threads(3).enable_all().build().unwrap(), scenario);
}

const PLACES: u32 = 8;

async fn nosy() -> (Nosy, Server) {
    let (client, server) = connected_as(|builder| builder.places(PLACES)).await;
    (Nosy { client, calls: Arc::default() }, server)
}

impl Nosy {
    fn count(self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn answers() -> usize {
    let (nosy, mut server) = nosy().await;
    let client = &nosy.client;
    for _ in 0..20 {
        // All but one place are taken, so that the write, which needs several, waits in line for them.
        let reads: Vec<_> = (1..PLACES).map(|_| client.get("/a").send()).collect();
        let write = client.clone();
        let (value, asks) = (nosy.value(), nosy.clone());
        let write = tokio::spawn(async move { asks.ask(write.set("/b", value)).await });
        let reads: Vec<_> = reads.into_iter().map(|read| tokio::spawn(nosy.ask(read))).collect();
        for _ in 1..PLACES {
            server.expect(OpCode::GET_DATA, "/a").await;
        }
        for _ in 1..PLACES {
            server.reply_data("v").await;
        }
        server.expect(OpCode::SET_DATA, "/b").await;
        server.reply(&SetDataResponse { stat: stat() }).await;
        for read in reads {
            read.await.unwrap().unwrap();
        }
        write.await.unwrap().unwrap();
    }
    nosy.count()
}

async fn watches() -> usize {
    let (nosy, mut server) = nosy().await;
    let (set, ()) = tokio::join!(nosy.ask(nosy.client.watch("/w")), async {
        server.expect(OpCode::ADD_WATCH, "/w").await;
        server.reply(&ErrorResponse { err: ErrorCode::OK }).await;
    });
    let mut watcher = set.unwrap();
    for _ in 0..50 {
        let (read, ()) = tokio::join!(nosy.ask(nosy.client.get("/w").watch()), async {
            server.expect(OpCode::GET_DATA, "/w").await;
            server.reply_data("v").await;
        });
        let (_, _, changed) = read.unwrap();
        let changed = tokio::spawn(nosy.ask(changed));
        // Its waker changes from poll to poll, and each one that is replaced calls back.
        let mut next = pin!(watcher.next());
        for _ in 0..3 {
            let mut once = Box::pin(nosy.ask(next.as_mut()));
            assert!(poll_once(&mut once).await.is_pending());
        }
        server.notify(EventType::NODE_DATA_CHANGED, "/w").await;
        nosy.ask(next).await.unwrap();
        changed.await.unwrap();
    }
    nosy.count()
}

/// Requests end in every way but an answer, and the client is the last to hold their values.
async fn losses() -> usize {
    // Less than one value: what does not go into the pipe stays in the driver's hands, and what comes behind it in the
    // session's.
    let (transport, mut server) = pipe(4 << 10);
    let client = scripted().0.transport(transport).places(4 * PLACES).connect_lazy().unwrap();
    let nosy = Nosy { client, calls: Arc::default() };
    for _ in 0..5 {
        server.accept().await;
        is(&nosy.client, |state| state == State::Connected).await;
        let client = &nosy.client;
        drop(client.set("/sent", nosy.value()).send());
        settle().await;
        drop(client.set("/committed", nosy.value()).send());
        let mut cancelled = Box::pin(client.set("/cancelled", nosy.value()).into_future());
        assert!(poll_once(&mut cancelled).await.is_pending());
        drop(cancelled);
        server.cut();
        is(client, |state| state != State::Connected).await;
        drop(client.set("/late", nosy.value()).timeout(Duration::from_millis(5)).send());
        let late = nosy.ask(client.get("/late").timeout(Duration::from_millis(10))).await.unwrap_err();
        assert_eq!((late.cause(), late.fate()), (Some(Cause::Deadline), Fate::NotSent));
        let waiting = tokio::spawn(nosy.ask(client.get("/waiting").send()));
        drop(client.set("/waiting", nosy.value()).send());
        server.expire().await;
        let expired = waiting.await.unwrap().unwrap_err();
        assert_eq!((expired.session_end(), expired.fate()), (Some(End::Expired), Fate::NotSent));
    }
    nosy.count()
}

async fn is(client: &Client, wanted: fn(State) -> bool) {
    let mut seen = client.status();
    while !wanted(seen.state) {
        seen = soon(client.status_change(&seen)).await;
    }
}

#[test]
fn wakers_of_answers_run_under_no_lock() {
    on_each_runtime(answers);
}

#[test]
fn wakers_of_watches_run_under_no_lock() {
    on_each_runtime(watches);
}

#[test]
fn destructors_of_values_run_under_no_lock() {
    on_each_runtime(losses);
}

/// A waker of a view in memory that looks at the registry, and registers with it.
async fn views() -> usize {
    struct Looks(Memory, AtomicUsize);
    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            drop(self.0.discover("time"));
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let registry = Memory::new();
    let mut changes = registry.discover("time").await.unwrap().changes();
    changes.next().await.unwrap();
    let looks = Arc::new(Looks(registry.clone(), AtomicUsize::new(0)));
    for port in 1..5 {
        let mut next = Box::pin(changes.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(&Waker::from(looks.clone()))).is_pending());
        let instance = Instance::builder("time").id("a").host("10.0.0.1").port(port);
        drop(registry.register(instance).await.unwrap());
        // It came and went, which is no change.
        let kept = registry.register(Instance::builder("time").host("10.0.0.1").port(port)).await.unwrap();
        assert_eq!(next.as_mut().await.unwrap().added.len(), 1);
        drop((next, kept));
        assert_eq!(changes.next().await.unwrap().removed.len(), 1);
    }
    looks.1.load(Ordering::Relaxed)
}

#[test]
fn wakers_of_views_in_memory_run_under_no_lock() {
    on_each_runtime(views);
}
