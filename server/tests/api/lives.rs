//! What outlives what: the server, its port, the runtimes of its connections.

use std::future::Future;
use std::net::TcpListener;
use std::task::{Context, Poll, Waker};

use menagerie_server::{Server, What, Why};
use tokio::runtime::{Builder, Runtime};

use crate::support::Peer;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What a future comes to at once, where there is no runtime.
fn without_a_runtime<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

#[tokio::test]
async fn nobody_takes_the_port_of_a_stopped_server() {
    let server = Server::start().await.unwrap();
    let address = server.local_addr();
    server.stop().await.unwrap();
    assert!(TcpListener::bind(address).is_err());
    server.stop().await.unwrap();
    server.restart().await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    server.restart().await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_ok());
}

/// Tests with a runtime each that share a server must not use up what one address may have.
#[test]
fn a_runtime_that_ends_takes_its_connections_along() {
    let own = runtime();
    let server = own.block_on(Server::start()).unwrap();
    let one = runtime();
    let peer = one.block_on(Peer::new(&server));
    drop(one);
    assert_eq!(server.kill_connections(), 0, "{}", server.trace());
    assert!(server.log().iter().any(|entry| entry.what == What::Closed(Why::Peer)));
    let sessions = server.sessions();
    assert_eq!(
        sessions.iter().map(|session| session.id).collect::<Vec<_>>(),
        [peer.id()],
        "it may come back"
    );
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    assert!(without_a_runtime(Server::start()).is_err());
    let own = runtime();
    let server = own.block_on(Server::start()).unwrap();
    assert!(without_a_runtime(server.connector().connect()).is_err());
    assert_eq!(server.kill_connections(), 0);
}

#[test]
fn a_server_outlives_its_runtime_without_harm() {
    let own = runtime();
    let server = own.block_on(Server::start()).unwrap();
    let connector = server.connector();
    drop(own);
    assert!(!server.expire(1));
    drop(server);
    assert!(runtime().block_on(connector.connect()).is_err());
}
