//! Callers that are not inside the client's runtime, or in none at all, and times that are out of all bounds.

use std::future::IntoFuture;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use menagerie::Client;
use menagerie::jute::OpCode;
use menagerie::session::{Cause, Fate, Loss};

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
