//! How much the server does for one before it looks at another, counted by its log: no clock decides these.
//!
//! Everything is on one thread. What is sent is in the server's sockets before the server may look, and a test is back from
//! [`tokio::task::yield_now`] after each pass of the runtime over its tasks.

use std::io::Write;
use std::net::TcpStream;

use menagerie_server::core::What;
use menagerie_server::jute::*;
use menagerie_server::{Limits, Server};

use crate::support::{PATIENCE, asking, creation, framed, greeting};

/// A peer that waits for nothing and reads nothing.
struct Loud(TcpStream);

impl Loud {
    /// With a session.
    async fn new(server: &Server) -> Self {
        let before = server.sessions().len();
        let mut loud = Self(TcpStream::connect(server.local_addr()).unwrap());
        loud.say(&framed(&[&greeting()]));
        until(|| server.sessions().len() > before).await;
        loud
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let passes = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, passes).await.expect("it comes to that");
}

/// One that remembers all that happens here.
async fn server() -> Server {
    let mut limits = Limits::default();
    (limits.log, limits.connections_per_address) = (1 << 16, 0);
    Server::builder().limits(limits).start().await.unwrap()
}

/// How many of another's requests come before the request of somebody who asks once the first of them are done.
async fn asked_before(server: &Server, flood: &[u8], op: OpCode) -> usize {
    let mut many = Loud::new(server).await;
    let mut other = Loud::new(server).await;
    server.clear_log();
    many.say(flood);
    until(|| !server.requests().is_empty()).await;
    other.say(&asking(1, OpCode::EXISTS, &ExistsRequest { path: "/", watch: false }));
    let is_other = |request: &menagerie_server::Request| request.op == OpCode::EXISTS;
    until(|| server.requests().iter().any(is_other)).await;
    let requests = server.requests();
    assert!(requests.iter().all(|request| is_other(request) || request.op == op));
    requests.iter().take_while(|request| !is_other(request)).count()
}

/// Between two turns of one connection the runtime looks at all sockets.
#[tokio::test]
async fn whoever_comes_meanwhile_is_next_but_one() {
    let server = server().await;
    let flood = asking(-2, OpCode::PING, &()).repeat(4_000);
    let before = asked_before(&server, &flood, OpCode::PING).await;
    assert!(before <= 2 * 64, "{before} requests of another came before it");
}

/// Answers that take long to put together count as many requests.
#[tokio::test]
async fn large_answers_make_short_turns() {
    let server = server().await;
    let mut owner = Loud::new(&server).await;
    for at in 0..200 {
        owner.say(&asking(1, OpCode::CREATE, &creation(&format!("/{at}"), CreateMode::EPHEMERAL)));
    }
    until(|| server.with_tree(|tree| tree.znode("/199").is_some())).await;
    let request = GetChildrenRequest { path: "/", watch: false };
    let flood = asking(1, OpCode::GET_CHILDREN, &request).repeat(1_000);
    let before = asked_before(&server, &flood, OpCode::GET_CHILDREN).await;
    assert!(before <= 2 * 8, "{before} requests of another came before it");
}

/// However many connections wait to be accepted, those that are here have their turn after each.
#[tokio::test]
async fn connections_come_one_at_a_time() {
    let server = server().await;
    let mut here = Loud::new(&server).await;
    server.clear_log();
    let connect = |_| TcpStream::connect(server.local_addr()).unwrap();
    let waiting: Vec<_> = (0..100).map(connect).collect();
    let connected = || {
        let log = server.log();
        log.iter().filter(|entry| matches!(entry.what, What::Connected(_))).count()
    };
    until(|| connected() > 0).await;
    here.say(&asking(1, OpCode::EXISTS, &ExistsRequest { path: "/", watch: false }));
    until(|| !server.requests().is_empty()).await;
    let before = server.log().iter().take_while(|entry| !matches!(entry.what, What::Request(_))).count();
    assert!(before <= 8, "{before} connections came before it");
    until(|| connected() == waiting.len()).await;
}
