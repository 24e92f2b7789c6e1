//! Testing with a ZooKeeper in the same process.
//!
//! The crate `menagerie-server` is a ZooKeeper-compatible server: one node, in memory, for tests and development. It needs no JVM and no
//! Docker, is there in a millisecond, and does on demand what a real one does once a month. It is not for production; for that
//! there is Apache ZooKeeper.
//!
//! # The first test
//!
//! ```
//! use menagerie::Client;
//! use menagerie_server::Server;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start().await?; // port 0, and held from here on: two servers never fight for one
//! let zk = Client::connect(&server.connect_string()).await?;
//! zk.create("/config").data("v1").await?;
//! assert_eq!(server.tree().last().map(|node| &*node.path), Some("/zookeeper/quota"));
//! # Ok(())
//! # }
//! ```
//!
//! Every test may have a server of its own: it costs less than the test. It is gone when it is dropped; when that happens in
//! a panic, it prints what happened last, request by request.
//!
//! # Time that takes no time
//!
//! Under tokio's paused clock (`#[tokio::test(start_paused = true)]`, feature `test-util`) time jumps to whatever is due next
//! once everybody waits. A session that expires after 30 s expires in microseconds. Sockets do not know that clock, so take streams without one:
//!
//! ```
//! use std::io;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use std::time::Duration;
//! use menagerie::client::{Builder, Transport};
//! use menagerie_server::Server;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start().await?;
//! let (connector, is_cut) = (server.connector(), Arc::new(AtomicBool::new(false)));
//! let cut = is_cut.clone();
//! let transport = Transport::custom(move |_host, _port| {
//!     let dial = connector.connect();
//!     let is_cut = is_cut.load(Ordering::Relaxed);
//!     async move { if is_cut { Err(io::ErrorKind::ConnectionRefused.into()) } else { dial.await } }
//! });
//! let zk = Builder::new("embedded")?
//!     .transport(transport)
//!     .session_timeout(Duration::from_secs(30))
//!     .connect()
//!     .await?;
//! let mut now = zk.status();
//! let first = now.epoch;
//!
//! cut.store(true, Ordering::Relaxed); // a cable is pulled
//! server.kill_connections();
//! tokio::time::sleep(Duration::from_secs(60)).await; // a minute goes by: microseconds
//! assert_eq!(server.sessions(), [], "the server gave the session up");
//! cut.store(false, Ordering::Relaxed);
//!
//! while now.epoch == first || now.session_id.is_none() {
//!     now = zk.status_change(&now).await; // the client follows with a new one
//! }
//! # Ok(())
//! # }
//! ```
//!
//! TCP works under a paused clock only where client and server share one single-threaded runtime, and even there a clock that jumps while bytes are in the
//! kernel can make a timeout of something that was on its way.
//!
//! # What can go wrong
//!
//! | wish | how |
//! |---|---|
//! | the session expires | `server.expire(id)`: its ephemerals go, watches fire, the connection is closed, and the client learns of it when it comes back |
//! | the connection goes, the session stays | `kill_connections()`, `kill_connection(id)` |
//! | the network swallows everything | `pause()`, `pause_session(id)`, for the connections that there are; `resume()` |
//! | the request is lost | `cut_before(Matcher::op(OpCode::SET_DATA).path("/a"))` |
//! | the write happens and its answer is lost | `cut_after(..)` |
//! | the server is slow | `delay(.., duration)`, `withhold(..)`, `release()`; also of notifications: `Matcher::event()` |
//! | an operation fails | `fail(.., ErrorCode::NO_AUTH)` |
//! | the server restarts | `stop().await`, `restart().await`: the same port, all data, all sessions |
//! | the quorum is lost | `set_read_only(true)`; where that is not configured, `set_serving(false)`: taken, and closed at the handshake |
//! | a member of another release takes over | `imitate(Like::V3_5)` |
//! | another server took the session | `move_session(id)` |
//! | a backup was restored | `set_zxid(n)`: clients that have seen more are not served |
//!
//! A `Matcher` picks by operation, path, subtree and session, spares the first few (`after`) and holds for a number of times (`times`, `always`);
//! without a number it happens once. What happened can be asked: `requests()` (decoded, with what was answered, without data and credentials),
//! `log()`, `sessions()`, `watches()`, `tree()`.
//!
//! ```
//! use menagerie::Client;
//! use menagerie_server::{Matcher, Server, jute::OpCode};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start().await?;
//! let zk = Client::connect(&server.connect_string()).await?;
//! zk.create("/counter").data("1").await?;
//!
//! server.cut_after(Matcher::op(OpCode::SET_DATA).path("/counter"));
//! let lost = zk.set("/counter", "2").await.unwrap_err();
//! assert!(lost.may_have_applied());
//! assert_eq!(zk.get("/counter").await?.0, "2", "it did happen");
//!
//! let sets = server.requests().iter().filter(|request| request.op == OpCode::SET_DATA).count();
//! assert_eq!(sets, 1, "and nobody repeated it");
//! # Ok(())
//! # }
//! ```
//!
//! # Other languages, older servers
//!
//! `zooctl server --listen 127.0.0.1:0` runs it as a program; the first line of its output says where it listens. `--version-like`, or
//! `Server::builder().like(..)`, imitates Apache ZooKeeper 3.4, 3.5, 3.8, 3.9, or ClickHouse Keeper, where they differ: which operations
//! there are, what a notification carries, what a re-attach is answered. An imitation shows that a program copes with those differences; it
//! is no proof that it works on that server.
//!
//! # Beside other harnesses
//!
//! | | `menagerie-server` | Curator's `TestingServer` | kazoo's `KazooTestHarness` |
//! |---|---|---|---|
//! | what runs | a server in this process | the real server in this JVM | the real server in JVMs of its own |
//! | needs | nothing | a JVM, ZooKeeper and Curator on the class path | Java, and an unpacked ZooKeeper named by the environment |
//! | ports | held from the start | picked, then bound: a race that its base class meets by a second try | counted up from a fixed one |
//! | expiring a session | at the server: ephemerals go, others see it | told to the client only; the server keeps session and ephemerals | told to the client only |
//! | losing an answer, delaying, failing one operation | by matcher | by hooks in the client | by patching the client |
//! | time | a paused clock | real, scaled by a factor for slow machines | real |
//! | an ensemble | no: one node | `TestingCluster` | yes |
//! | is it the real thing | no: held against it by a conformance suite and a differential fuzzer | yes | yes |
//!
//! Where the real thing matters (elections, lag between members, disks), test on Apache ZooKeeper as well.
