//! Callers that are not inside the client's runtime, or in none at all, and times that are out of all bounds.

use std::future::IntoFuture;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use menagerie::Client;
use menagerie::jute::OpCode;
use menagerie::session::{Cause, Fate, Loss};
use menagerie_server::Server;

use crate::support::connected;

/// An executor that knows no tokio.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// An address where nobody listens.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn on_a_thread_of_its_own_a_client_needs_no_runtime_around_it() {
    let builder = Client::builder(&closed_port()).unwrap().on_own_thread();
    let error = block_on(builder.clone().connect_timeout(SHORT * 20).connect()).unwrap_err();
    assert!(matches!(error.attempts(), [(_, Loss::Refused)]), "{error}");
    let client = builder.request_timeout(SHORT).places(1).connect_lazy().unwrap();
    let held = client.get("/a").timeout(SHORT * 2).send();
    let in_line = block_on(client.get("/b").into_future()).unwrap_err();
    assert_eq!((in_line.cause(), in_line.fate()), (Some(Cause::Deadline), Fate::NotSent));
    assert_eq!(block_on(held).unwrap_err().cause(), Some(Cause::Deadline));
    let read = block_on(client.get("/a").into_future()).unwrap_err();
    assert_eq!((read.cause(), read.fate()), (Some(Cause::Deadline), Fate::NotSent));
    let created = block_on(client.create("/a/b").parents().into_future()).unwrap_err();
    assert_eq!((created.cause(), created.fate()), (Some(Cause::Deadline), Fate::NotSent));
    // A verdict on credentials does not come either, and nobody waits for it for ever.
    let verdict = block_on(client.add_auth("digest", "user:pass")).unwrap_err();
    assert_eq!(verdict.cause(), Some(Cause::Deadline));
    block_on(client.close()).unwrap();
}

/// The timeout of a session whose owner is kept busy for longer.
const T: Duration = Duration::from_millis(1_500);

#[test]
fn a_task_that_blocks_its_runtime_costs_no_session_on_a_thread_of_its_own() {
    let elsewhere =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server =
        elsewhere.block_on(Server::builder().tick(T / 10).session_timeouts(T / 10, T * 10).start()).unwrap();
    let one_thread = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one_thread.block_on(async {
        let builder = Client::builder(&server.local_addr().to_string()).unwrap().session_timeout(T);
        let client = builder.on_own_thread().connect().await.unwrap();
        client.create("/mine").ephemeral().await.unwrap();
        let before = client.status();
        assert_eq!(before.timeout, T);
        // Nothing else runs on this runtime meanwhile, and the server ends whoever says nothing for so long.
        std::thread::sleep(T * 2);
        assert_eq!(server.sessions().len(), 1, "the session is gone");
        assert_eq!(client.get("/mine").await.unwrap().1.ephemeral_owner, before.session_id.unwrap());
        assert_eq!(client.status().session_id, before.session_id);
        client.close().await.unwrap();
    });
    elsewhere.block_on(server.stop()).unwrap();
}

#[test]
fn when_its_runtime_goes_callers_elsewhere_are_told() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let builder = Client::builder(&closed_port()).unwrap().on_runtime(runtime.handle().clone());
    let client = builder.places(1).connect_lazy().unwrap();
    let held = client.get("/a").send();
    let mut in_line = Box::pin(client.get("/b").into_future());
    assert!(in_line.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    runtime.shutdown_background();
    for error in [block_on(held).unwrap_err(), block_on(in_line).unwrap_err()] {
        assert!(error.is_session_lost(), "{error}");
    }
    assert!(block_on(client.get("/c").into_future()).unwrap_err().is_session_lost());
    assert!(block_on(client.get("/c").send()).unwrap_err().is_session_lost());
    assert!(block_on(client.close()).is_err());
}

#[tokio::test(start_paused = true)]
async fn the_longest_of_times_is_no_overflow() {
    let (client, mut server) = connected().await;
    let get = client.get("/a").timeout(Duration::MAX).send();
    server.expect(OpCode::GET_DATA, "/a").await;
    server.reply_data("a").await;
    assert_eq!(get.await.unwrap().0, "a");
    let (read, ()) = tokio::join!(client.sync("/a").timeout(Duration::MAX).get("/a"), async {
        server.expect(OpCode::SYNC, "/a").await;
        server.expect(OpCode::GET_DATA, "/a").await;
        server.reply(&menagerie::jute::SyncResponse { path: "/a".into() }).await;
        server.reply_data("b").await;
    });
    assert_eq!(read.unwrap().0, "b");
}
