//! Watches: which to take, what each promises, and what a gap asks of you.
//!
//! # Two families
//!
//! | | one-shot | lasting |
//! |---|---|---|
//! | set by | [`get`](crate::Client::get), [`exists`](crate::Client::exists), [`children`](crate::Client::children) with `.watch()` | [`watch`](crate::Client::watch), with `.recursive()` for all below |
//! | yields | [`Changed`](crate::client::Changed), a future of one event | [`Watcher`](crate::client::Watcher), a stream |
//! | servers | all | from 3.6 on |
//! | after a reconnect | fires if there was a change meanwhile | one [`Gap`](crate::client::WatchEvent::Gap) |
//!
//! A read with `.watch()` sets its watch in the same step as it reads, so there is no moment between the two. Which events
//! resolve it:
//!
//! | read | resolves at |
//! |---|---|
//! | `get` | data set, znode deleted |
//! | `exists` | znode created, data set, znode deleted |
//! | `children` | a child created or deleted (not its data, not grandchildren), the znode deleted |
//!
//! A read that fails sets no watch, with one exception, which is what `exists` is for: it sets one on a znode that is not there.
//! Clients that register a watch on any answer leave waiters behind that nobody will ever wake.
//!
//! A lasting watch tells creation, deletion, data and (without `.recursive()`) changes of children of its path. A recursive one
//! tells creation, deletion and data of the path and everything below; that a child list changed shows as the creation or
//! deletion itself.
//!
//! # An event is a reason to read
//!
//! An event says that something happened, not what the data is now. Between a one-shot event and the next read any number of
//! changes can pass; you see the last. So write loops that read:
//!
//! ```no_run
//! # async fn config(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! loop {
//!     let (data, stat, changed) = zk.get("/config").watch().await?;
//!     println!("version {}: {data:?}", stat.version);
//!     changed.await; // an event, a gap, or the session's end: each is a reason to read again
//! }
//! # }
//! ```
//!
//! An event reaches its watcher's buffer before any later reply completes: if a read shows you a change, the event about it is
//! there already. Your own writes fire your own watches, and the event comes before the write's answer.
//!
//! # What happens to watches when the connection goes
//!
//! The server holds watches for a connection, so a new one has to be told of them all. The client does that first, ahead of
//! your requests, and names the last transaction that it saw before the break; the server compares that with each znode. What
//! follows is the promise, and its limits.
//!
//! **One-shot watches**: if the znode's existence, data or children changed meanwhile, the watch fires now. If it was created
//! *and* deleted while you were away, an `exists` watch does not fire: there is nothing left to compare.
//!
//! **Lasting watches**: the server sets them again and says nothing of what was missed (ZOOKEEPER-1416 chose so, and
//! ZOOKEEPER-4655 discusses why transaction numbers do not repair it). So the stream yields a
//! [`Gap`](crate::client::WatchEvent::Gap) after every reconnect, *always*, whether or not anything happened. Treat it as "anything
//! may have happened": read again. Several clients set lasting watches again without such a mark, or not at all, and
//! their users believe a cache that stands still.
//!
//! **A long list of watches** is the classical way to lose them all. A list over 1 MiB exceeds what a server accepts as one
//! packet, the server hangs up, and the client tries the same again until the session has expired (ZOOKEEPER-706). Here the list goes
//! in batches of at most 128 KiB, made one at a time, with request numbers of their own and one transaction number for all; if the
//! connection goes in between, everything is sent again with the *old* number. If a server refuses a batch, its
//! watches become gaps instead of a reconnect loop.
//!
//! **When the next server is too old for lasting watches** (before 3.6; ensembles are replaced one by one), they yield
//! [`NotWatched`](crate::client::WatchEvent::NotWatched): read again, and do not wait for events, or set one-shot watches, as the
//! registry's views do. At the next server that takes them they yield a gap and go on.
//!
//! **When the session expires**, one-shot watches resolve with
//! [`SessionEnded`](crate::client::WatchEvent::SessionEnded). Lasting ones of a following handle are set again under the
//! next session and yield a gap; those of a pinned handle yield `SessionEnded` and end. When nothing was heard for 4/3 of
//! the timeout (*Lost*), every watch gets a gap, and a one-shot watch is over with it. No waiter waits for ever.
//!
//! # When the reader is slow
//!
//! A watcher's buffer holds 1,024 unread events. What comes after becomes one gap, and the connection never waits for a reader.
//! Other clients block their network loop there, drop events silently, or let memory grow.
//!
//! # So: a loop over a lasting watch
//!
//! ```no_run
//! # async fn tree(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! use menagerie::client::WatchEvent;
//!
//! let mut events = zk.watch("/services").recursive().await?; // first the watch,
//! read_all(&zk).await?; // then the first read: nothing falls between
//! while let Some(event) = events.next().await {
//!     match event {
//!         WatchEvent::Event { path, .. } => read_one(&zk, &path).await?,
//!         WatchEvent::Gap | WatchEvent::NotWatched => read_all(&zk).await?,
//!         _ => break,
//!     }
//! }
//! # Ok(())
//! # }
//! # async fn read_all(zk: &menagerie::Client) -> Result<(), menagerie::client::Error> { Ok(()) }
//! # async fn read_one(zk: &menagerie::Client, path: &str) -> Result<(), menagerie::client::Error> { Ok(()) }
//! ```
//!
//! # Several watches on one path
//!
//! Before 3.9, servers keep one mode per path and connection: a `get` with a watch turns a lasting watch on the same path
//! into a one-shot, and a recursive one swallows a pending child watch (ZOOKEEPER-4466). Removing one may remove the others
//! (ZOOKEEPER-4471, ZOOKEEPER-4472). The client therefore holds one lasting mode per path on the server, the strongest
//! that anyone wished for, and serves the weaker ones from its events. You can combine them freely, on every release.
//!
//! Two events of one transaction carry the same transaction number (from 3.9 on, when events carry one at all). Nothing here
//! leaves one out for looking like a repeat.
//!
//! # Taking a watch back
//!
//! Dropping a [`Changed`](crate::client::Changed) or a [`Watcher`](crate::client::Watcher) takes it back. The server is asked to
//! forget lazily, when the last local watcher of the path is gone. Servers before 3.5 cannot forget; so on a server that has not yet
//! shown to be newer, one-shot watches are left to fire, and the client swallows the event. Your ends of the watch are silent
//! at once in either case.
//!
//! # What no client can promise
//!
//! - **Created and deleted while apart**: see above. If you need to know, let the writer leave a trace: a sequential child, a
//!   counter in the data.
//! - **Events that the session may not see.** A server leaves out an event for a znode that the session may not read
//!   (from 3.8.4 and 3.9.2 on, and in patched older packages: CVE-2024-23944). Take the permission away and the watch falls
//!   silent, without a gap. A cache over znodes with changing ACLs should read again from time to time.
//! - **Intermediate states.** Reads after events see the latest, not each.
//! - **Order between sessions.** Another client may see a change before your event arrives.
