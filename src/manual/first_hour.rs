//! The first hour: connecting, reading, writing, watching, shutting down.
//!
//! # Connecting
//!
//! ```no_run
//! # async fn first() -> Result<(), menagerie::client::Error> {
//! use menagerie::Client;
//!
//! let zk = Client::connect("zk1:2181,zk2:2181,zk3:2181/app").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Name every server of the ensemble: the client tries them in an order drawn anew by each process, and looks their names up
//! again at every attempt. The port is 2181 where none is written; an IPv6 address stands in brackets, `[::1]:2181`. What
//! follows the first slash is the *chroot*: every path of this client lies below it, and the rest of the tree is out of its
//! sight. It is not created by itself; [`ensure_chroot`](crate::Client::ensure_chroot) does that.
//!
//! [`connect`](crate::Client::connect) returns with the first session, or after 30 s with an error that names what each host
//! had to say. A typing error in the connect string is an error before anything is dialled. If your program is to start while
//! ZooKeeper is down, take [`connect_lazy`](crate::Client::connect_lazy): it returns at once, and requests wait for the
//! session within their own deadlines. A URL works too, and carries options; so does the environment:
//!
//! ```no_run
//! # async fn others() -> Result<(), menagerie::client::Error> {
//! use std::time::Duration;
//! use menagerie::Client;
//!
//! let from_url = Client::connect("zk://user:password@zk1,zk2/app?session_timeout=6s").await?;
//! let from_env = Client::from_env().await?; // MENAGERIE_CONNECT, MENAGERIE_AUTH, ..
//! let by_hand = Client::builder("zk1,zk2/app")?
//!     .session_timeout(Duration::from_secs(6))
//!     .auth("digest", "user:password")
//!     .connect()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`](crate::Client) is a handle. Clone it freely: all clones share one session, one connection and one order of
//! requests. A second session is a second `connect`; one for each process is the usual number. Libraries best take
//! `impl Into<Client>`, so that `zk`, `&zk` and a handle below a [`chroot`](crate::Client::chroot) all fit.
//!
//! # Reading and writing
//!
//! ```no_run
//! # async fn nodes(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! zk.create("/config").data("v1").await?;
//! let (data, stat) = zk.get("/config").await?;
//! zk.set("/config", "v2").version(stat.version).await?; // BadVersion if somebody was faster
//!
//! let task = zk.create("/tasks/t-").sequential().parents().await?;
//! assert!(task.path.starts_with("/tasks/t-0"));
//! if let Some(stat) = zk.exists(&task.path).await? {
//!     println!("created by transaction {}", stat.czxid);
//! }
//! let (names, _) = zk.children("/tasks").await?;
//! for name in &names {
//!     println!("{name}");
//! }
//! zk.transaction().check("/config", 1).delete(&task.path).commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is sent before a call is awaited or [sent](crate::client::Call::send). Paths are checked at the call, by the rules of
//! the Java client. A write without `version` overwrites whatever is there; with one it is ZooKeeper's compare and set, and
//! that is what you want whenever two processes write.
//!
//! A read is answered by the server that you are connected to, which may be a little behind the others. Within one session
//! you always see your own writes, and time never runs backwards. To see what *another* process wrote and told you about, read
//! behind a sync:
//!
//! ```no_run
//! # async fn fresh(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! let (data, stat) = zk.sync("/config").get("/config").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Many at once
//!
//! Awaiting one call after the other costs a round trip each. Reads that belong together go as one
//! ([`get_many`](crate::Client::get_many), from 3.6 on); writes that must succeed or fail together are a
//! [`transaction`](crate::Client::transaction); and anything can be put on its way first and awaited later:
//!
//! ```no_run
//! # async fn pipeline(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! let sent: Vec<_> = (0..100).map(|n| zk.set(format!("/n/{n}"), "x").send()).collect();
//! for reply in sent {
//!     let stat = reply.await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! See [`errors_and_retries`](super::errors_and_retries) for what differs between awaiting and sending.
//!
//! # Watching
//!
//! ```no_run
//! # async fn watching(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! use menagerie::client::WatchEvent;
//!
//! let (data, stat, changed) = zk.get("/config").watch().await?; // one event, then it is over
//! let mut below = zk.watch("/tasks").recursive().await?; // all events, from 3.6 on
//! while let Some(event) = below.next().await {
//!     match event {
//!         WatchEvent::Event { event_type, path, .. } => println!("{event_type} {path}"),
//!         WatchEvent::Gap => println!("read /tasks again"),
//!         WatchEvent::SessionEnded(end) => println!("no more: {end}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`watches`](super::watches) says which to take, and what a gap asks of you.
//!
//! # Shutting down
//!
//! [`close`](crate::Client::close) ends the session and returns with the server's word for it: your ephemerals are gone, and
//! the others know. It waits 5 s at most. Dropping the last handle closes as well, but in the background, and a program
//! that leaves its runtime at once may leave before the request does; then the ephemerals live until the session times out.
//!
//! # When it does not work
//!
//! | what you see | what it mostly is |
//! |---|---|
//! | no session within 30 s, `connection refused` at each host | nobody listens there: wrong port, or ZooKeeper is down |
//! | `closed before the handshake` at each host | the ensemble has no quorum; or it was wiped and is behind this client |
//! | `protocol violation: frame of 1213486160 bytes` | the peer speaks HTTP: that number reads `HTTP` |
//! | `connecting took too long` | a firewall that swallows packets, or the host is gone |
//! | every path is `NoNode` | the chroot does not exist: [`ensure_chroot`](crate::Client::ensure_chroot) |
//! | the session ends with `authentication failed` | a scheme that the server does not know, or credentials it refuses |
//! | `there is no tokio runtime here` | `connect` was called outside `#[tokio::main]`; see [`on_own_thread`](crate::client::Builder::on_own_thread) |
//!
//! The client reports through `tracing`: every connection, its loss with the reason, every failed attempt. Counters and latencies
//! stand in [`stats`](crate::Client::stats).
