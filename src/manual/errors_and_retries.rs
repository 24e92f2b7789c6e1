//! Errors and retries: what became of a request, what is repeated by itself, and what you may repeat.
//!
//! # Four fates
//!
//! Most clients report a lost connection as "connection loss", and leave open whether the write was done. Retrying it may do it
//! twice; not retrying may lose it. Here every [`Error`](crate::client::Error) says which it is:
//!
//! | [`fate`](crate::client::Error::fate) | means | so |
//! |---|---|---|
//! | [`NotSent`](crate::session::Fate::NotSent) | not one byte left; it had no effect and never will | repeat as you like |
//! | [`Refused`](crate::session::Fate::Refused) | the server answered that it did not do it | look at the code |
//! | [`Unknown`](crate::session::Fate::Unknown) | it left, the answer did not come: perhaps done, perhaps *still to be* done | find out, below |
//! | [`Applied`](crate::session::Fate::Applied) | the server did it; only the answer could not be kept | do not repeat |
//!
//! A fate is never a guess: where it is not certain that nothing left, it is *unknown*. So it is of a transaction whose answer
//! could not be kept, since a refused one is answered in the same way. One byte of a frame in the socket is
//! enough for that, though the server will not act on a part.
//!
//! An error also says whose doing it was ([`who`](crate::client::Error::who)), the server's
//! [`code`](crate::client::Error::code), the [`path`](crate::client::Error::path), and the
//! [`cause`](crate::client::Error::cause). The usual questions are methods:
//!
//! ```no_run
//! # async fn ask(zk: menagerie::Client) {
//! use menagerie::jute::ErrorCode;
//!
//! match zk.set("/config", "v2").version(7).await {
//!     Ok(stat) => println!("done, version {}", stat.version),
//!     Err(error) if error.code() == Some(ErrorCode::BAD_VERSION) => println!("somebody was faster"),
//!     Err(error) if error.is_session_lost() => println!("start over: {error}"),
//!     Err(error) if error.may_have_applied() => println!("find out: {error}"),
//!     Err(error) if error.is_retryable() => println!("later: {error}"),
//!     Err(error) => println!("{error}"),
//! }
//! # }
//! ```
//!
//! # What is repeated by itself
//!
//! *Awaiting* a call is an operation that somebody waits for. It is repeated while its fate is *not sent*, and, if it is a
//! read, also when it is *unknown*: a read changes nothing. All tries together stay within one deadline, 30 s unless
//! [`timeout`](crate::client::Call::timeout) or
//! [`request_timeout`](crate::client::Builder::request_timeout) says otherwise, and within the session they began under. A write
//! of unknown fate is never repeated behind your back.
//!
//! [`send`](crate::client::Call::send) is a pipeline: the request is on its way when the method returns, in the order of the
//! calls. Nothing of it is ever repeated, because a repeat would come behind the requests after it. When the connection goes, the
//! ones that left are *unknown* and all behind them *not sent*, also those that were still waiting for a connection; so what
//! was applied is a prefix of what you had sent by then, and you can go on from where it ended. What you send behind the loss is a
//! pipeline of its own, also if you have not looked at the answers yet: one that must not come without those before it belongs
//! into a transaction, or names the version that they leave.
//!
//! A server's refusal is never retried. Only `ThrottledOp` and `ReconfigInProgress` are
//! [`is_retryable`](crate::client::Error::is_retryable) among the codes.
//!
//! # Finding out
//!
//! After an *unknown* the write may still be on its way: the server that you lost may pass it to the leader even now. Reading
//! at once proves nothing. What does is a `sync` on the next connection of the *same* session and then the read: by then the
//! leader has fenced the old connection off, and what was not done then never will be. That is what the following do; they
//! fail when the session has ended meanwhile.
//!
//! **Set and delete**: [`settle_set`](crate::Client::settle_set) and [`settle_delete`](crate::Client::settle_delete).
//!
//! ```no_run
//! # async fn settle(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! use menagerie::client::Settled;
//! use menagerie::session::Fate;
//!
//! let (_, before) = zk.get("/config").await?;
//! match zk.set("/config", "v2").version(before.version).await {
//!     Err(lost) if lost.fate() == Fate::Unknown => match zk.settle_set(lost, &before, b"v2").await? {
//!         Settled::Inferred => println!("it looks as our write would have left it"),
//!         Settled::NotApplied => println!("not done, and it never will be"),
//!         _ => println!("somebody else wrote since: nobody can tell"),
//!     },
//!     other => println!("version {}", other?.version),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Inferred`](crate::client::Settled::Inferred) is the right word: had another client written the same bytes over the same
//! version, it would look the same. If that matters, put something of your own into the data.
//!
//! **A znode of fixed name**: create it again. `NodeExists` then means that it is there; read its `ephemeral_owner` or data to
//! see whose it is.
//!
//! **A sequential znode** is the dangerous one: a second try makes a second znode, and a lock recipe then waits for its own
//! first, which nobody knows of. [`protected`](crate::client::CreateCall::protected) puts a random mark in front of the
//! name, in Curator's form, so that after a lost answer the client can look for it. What it finds counts only if it belongs to this
//! session or to none: the one of a dying session is about to vanish (CURATOR-498). If it is not there, the error stays
//! *unknown*.
//!
//! **A transaction**: let it carry a `check` or a versioned step that would fail the second time. Then repeating is safe.
//!
//! # Dropped futures
//!
//! Dropping the future of an awaited call cancels it. If it was waiting, it never goes out. If it is on its way, it stays there: the
//! server does it or not, the answer is swallowed, and no later reply is mistaken for it. So a `select!` or a timeout
//! around a *write* leaves you without its fate; the call's own [`timeout`](crate::client::Call::timeout) does tell it:
//!
//! ```no_run
//! # async fn timeouts(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! use std::time::Duration;
//!
//! // On time-out: an error of fate not sent or unknown.
//! zk.set("/config", "v2").timeout(Duration::from_secs(2)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Dropping what [`send`](crate::client::Call::send) returned does not take the request back. Calls of several steps
//! (`parents`, `protected`, [`delete_recursive`](crate::Client::delete_recursive)) may be dropped between two of them, and what was done
//! stays done.
//!
//! # Bounds
//!
//! 10,000 short requests, or 64 MiB, may wait or be under way. Beyond that, awaited calls wait in line and `send` yields
//! `QueueFull`; [`ready`](crate::Client::ready) waits for a place and reserves it for
//! [`send_in`](crate::client::Call::send_in). Without a bound, a client whose server is slow grows until it dies, or comes back
//! after an outage with more requests than the server survives.
//!
//! ```no_run
//! # async fn steady(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! let mut replies = Vec::new();
//! for n in 0..50_000 {
//!     let place = zk.ready().await?; // free again as soon as a reply is read from the socket
//!     replies.push(zk.set("/n", n.to_string()).send_in(place));
//! }
//! for reply in replies {
//!     reply.await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A **request** over the outbound limit fails at the call with
//! [`RequestTooLarge`](crate::session::Cause::RequestTooLarge). Sent, it would make the server hang up, and take everything
//! else on the connection along.
//!
//! A **reply** over the inbound limit fails its own request with [`ReplyTooLarge`](crate::session::Cause::ReplyTooLarge) and is thrown
//! away as it arrives; its neighbours go on. Clients that drop the connection there, and report connection loss, make
//! their callers ask for the same list for ever. Children lists grow that large with tens of thousands of names; raise
//! [`inbound_limit`](crate::client::Builder::inbound_limit), or, better, spread the children.
//!
//! # Operations that the server does not know
//!
//! A server that does not know an operation answers `Unimplemented` and closes the connection. So an operation that a server has not
//! yet answered goes out alone, with nothing in flight to be lost, and the refusal is remembered for that server. `create` falls back
//! to the older operation by itself.
//!
//! # Errors that end the session
//!
//! [`is_session_lost`](crate::client::Error::is_session_lost) says that everything of the session is over, and
//! [`session_end`](crate::client::Error::session_end) how. After `Expired` a following handle goes on with the next session: ask
//! again if the question still makes sense. After `AuthFailed` the client has ended, for the credentials would be
//! refused again; so it has after `Closed` and `ClosedUnconfirmed`.
