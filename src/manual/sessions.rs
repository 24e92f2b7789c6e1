//! Sessions: when they begin and end, what ends with them, and what may be trusted meanwhile.
//!
//! A session is a promise between one client and the whole ensemble. Ephemeral znodes and watches belong to it. It outlives
//! connections: when one goes, the client takes the session to another server, and as long as it gets there within the
//! *session timeout*, nothing is lost. Only the ensemble's leader can end a session for silence, and the client hears of it
//! only when it is back. Everything odd about ZooKeeper's sessions follows from that last sentence.
//!
//! # The states
//!
//! ```text
//!              connect                       a server accepts
//!                 |            +-------------------------------------------+
//!                 v            v                                           |
//!            Connecting --> Connected                                      |
//!                           ConnectedReadOnly --- connection goes ---> Disconnected
//!                              ^    |                                      |
//!        the same session      |    |                       nothing heard for 4/3 of the timeout
//!        accepted after all    |    |                                      |
//!                              +----|------------------------------------ Lost
//!                                   |                                      |
//!                   close, or credentials refused             the ensemble says: expired
//!                                   |                                      |
//!                                   v                                      v
//!                     Ended(Closed, ClosedUnconfirmed,              Ended(Expired), or for a
//!                 AuthFailed, Contended)                             following handle: Connecting
//! ```
//!
//! A disconnected session may also be told at once that it has expired, without passing through Lost; and it may be closed
//! from any state. [`status`](crate::Client::status) tells where a handle stands, and
//! [`status_change`](crate::Client::status_change) waits for the next change. States that pass between two looks coalesce, but
//! [`Status::epoch`](crate::client::Status::epoch) counts sessions and
//! [`Status::disconnects`](crate::client::Status::disconnects) counts lost connections, so neither can be missed:
//!
//! ```no_run
//! # async fn states(zk: menagerie::Client) {
//! let mut seen = zk.status();
//! loop {
//!     let now = zk.status_change(&seen).await;
//!     if now.epoch != seen.epoch {
//!         println!("another session: every ephemeral of the old one is gone, or going");
//!     }
//!     println!("{:?}", now.state);
//!     if matches!(now.state, menagerie::session::State::Ended(_)) {
//!         return;
//!     }
//!     seen = now;
//! }
//! # }
//! ```
//!
//! # Disconnected is not expired
//!
//! *Disconnected* says only that this client cannot hear a server. Its ephemerals are still there, and others go on
//! using them. Requests wait for the next connection within their deadlines.
//!
//! *Lost* says that nothing was heard of any server for 4/3 of the timeout. By its own clock the ensemble may have ended the
//! session by now, so the client stops pretending: what waits completes as *not sent* (awaited calls try on until
//! their deadlines), and every watch gets a gap. But the session is not declared dead. A new leader gives every
//! session its full timeout again, so after an outage of the ensemble most sessions are still accepted; ending them all on
//! the client's side turns one outage into a storm of new sessions and new ephemerals. So the old session is offered
//! once more at the next contact, and the ensemble decides. The Java client, since ZOOKEEPER-4508, ends it by itself
//! at the same moment; before that release it waited for a server's word for ever.
//!
//! *Expired* is the ensemble's word, and nothing else counts as that word. An ensemble that was restored or wiped does not give it by
//! itself: its servers accept a client's connection and close before the handshake if it has seen later transactions than they
//! have. Clients that miss this offer their old transaction number for ever and never connect again. But servers without a leader close
//! in the same way, and the next leader may well keep the session. So when, after contact was lost, every server of the
//! list has closed like that for one and a half timeouts (10 s at least), the client offers the session once to each without the
//! number. An ensemble that is behind answers now, and if it does not know the session, that has expired, and the next one begins afresh.
//! One without a leader goes on closing, and is waited for, however long that takes. If the session is known after
//! all, it is not taken up in that way, or reads could go back in time: the client hangs up and offers it with its number again.
//!
//! # Following and pinned handles
//!
//! By default a handle *follows*: after an expiry it goes on with a new session. That is right for reads, for writes that stand
//! alone, and for lasting watches, which are set again and yield a gap. It is wrong for anything that means *this* session: if you
//! created an ephemeral lock and then write under it, the write must not happen under the session after it. Some clients
//! replace a session without a word, and locks that were not told of the change have had two holders (CURATOR-206, CURATOR-604).
//!
//! So no request crosses: one submitted under a session ends with it. And [`session`](crate::Client::session) yields a handle that is
//! *pinned*: it fails for ever after its session's end.
//!
//! ```no_run
//! # async fn pinned(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! let this = zk.session();
//! this.create("/leader").data("me").ephemeral().await?;
//! this.set("/log", "written by the leader").await?; // under the same session, or an error
//! # Ok(())
//! # }
//! ```
//!
//! With [`OnExpiry::Stop`](crate::client::OnExpiry::Stop) the client ends with its first session, as the Java client does.
//!
//! # What a lock holder may trust
//!
//! Being connected proves nothing. A follower that is cut off from its leader goes on answering pings and reads for a while, and
//! meanwhile the leader may end your session and give your lock away. A write is different: it is answered by a quorum.
//!
//! [`lease_until`](crate::Client::lease_until) is the time until which the ensemble certainly has not ended this session: the
//! sending of the last but one answered write of the session, plus the timeout, where the two writes lie a third of the
//! timeout apart. (The last but one, because followers report their sessions to the leader once a tick: the last
//! write may not have refreshed the session yet.) It is `None` until two such writes were answered. Nobody who holds
//! a lock or leads should act after it.
//!
//! Reads do not move it. [`hold_lease`](crate::Client::hold_lease) does, by a write that changes nothing, every third of the
//! timeout, for as long as the guard lives and the znode is there in that version:
//!
//! ```no_run
//! # async fn lease(zk: menagerie::Client) -> Result<(), menagerie::client::Error> {
//! let this = zk.session();
//! let lock = this.create("/lock").ephemeral().await?;
//! let lease = this.hold_lease(&lock.path, 0);
//! // before each step that only the holder may take:
//! # let now = std::time::Instant::now();
//! let mine = this.lease_until().is_some_and(|until| now < until);
//! # Ok(())
//! # }
//! ```
//!
//! If the server refuses a renewal, because the znode is gone or was changed, renewing ends and a warning is logged;
//! [`lease_until`](crate::Client::lease_until) then runs out unless other writes move it.
//!
//! A machine that sleeps (a laptop, a suspended virtual machine) wakes up with a clock that stood still, which would make a lease of
//! yesterday look fresh. So whenever you ask for the lease, and whenever one of its own timers goes off, the client looks at how
//! far the wall clock has come meanwhile. If that is half a second more than it should be, what was proved before is older by
//! as much, the lease is renewed, the server is asked for a sign of life, to be given within a third of the timeout, and a warning
//! is logged. A wall clock that is set forward looks the same, and costs no more than that. So ask for the lease before each step,
//! and keep none over a sleep.
//!
//! What no client can do: stop a program that is itself stopped between the look at the clock and the step. Where that matters,
//! let the step itself be checked: put `check(lock, version)` into the same
//! [`transaction`](crate::Client::transaction), or hand `czxid` as a fencing token to whatever you write to.
//!
//! # Keeping the session alive
//!
//! An idle connection is pinged every third of the timeout, and at least every 10 s. A connection on which nothing was heard
//! for two thirds of the timeout is given up, which leaves a third to reach another server. (Clients that send pings and
//! never look for the answers hang on a dead connection until TCP notices.) If it is this process that was late, because
//! the machine was busy, the socket is read once more before that verdict.
//!
//! Pings come from the client's task. A task of yours that blocks a single-thread runtime for a session timeout costs the
//! session; [`on_own_thread`](crate::client::Builder::on_own_thread) puts the client out of its reach.
//!
//! The timeout that you ask for is asked for at every connect. The server grants what lies within its own bounds (by default 2
//! to 20 ticks of 2 s), and [`Status::timeout`](crate::client::Status::timeout) says what it granted. Clients that ask for what
//! they were granted last time see it only ever shrink.
//!
//! # Handing a session over
//!
//! [`credentials`](crate::Client::credentials) are all it takes to attach to a session from another process, with
//! [`Builder::resume`](crate::client::Builder::resume): id, password, and the last transaction seen, three plain fields to
//! store as you like. The last keeps reads from going back in time: a server that is behind it does not take the session up.
//! Ephemerals come along; watches and authentication belong to connections and do not. Whoever holds the password holds the
//! session, so it never shows in logs or `Debug` output.
//!
//! One at a time: each attach makes the server close the other's connection, so two clients of one session take it from each other.
//! No server says so. After four connections in a row that served and were closed by the server, each within a session timeout
//! of the one before and without any failed attempt in between, both clients log a warning and come back less and less often (a third
//! of the timeout apart at most, or the session would be at risk if it is the server that is broken). After ten, the one that
//! *resumed* the session leaves it to the other: it ends as [`Contended`](crate::session::End::Contended), does not close the session,
//! and no new one follows, since who resumes a session wants that one. The client that began it never ends for this reason.
//! (Two members of an ensemble close the other's connection only when that one writes: until then neither can know.)
//!
//! # Read-only servers
//!
//! With [`read_only(true)`](crate::client::Builder::read_only) a server that has lost its quorum will do, if it is configured to
//! serve reads. The state is then `ConnectedReadOnly`, and writes are refused with `NotReadOnly`.
//!
//! While it lasts the client looks for a better server: it asks the servers of its list in turn, each over a connection beside
//! its own, whether they take writes (the four-letter word `isro`). The first pause before that is 100 ms, never less than a
//! second behind another dial, and each is twice as long as the one before, up to a minute, the latter half of it drawn at random. What comes in the meantime is
//! answered as ever. As soon as one says `rw`, the client goes there, at a moment drawn from the next second, since every
//! client of the member found the same. What that means depends on where the session began:
//!
//! | | begun on a read-write server | begun on a read-only server |
//! |---|---|---|
//! | is known to | the ensemble | this member alone: it is *provisional* |
//! | at the move | the same session goes on there, as after any lost connection | it ends as `Expired`, and a new one begins there (with [`OnExpiry::Stop`](crate::client::OnExpiry::Stop): the client ends) |
//! | requests under way | are answered first, for up to 2 s; then *unknown* | the same |
//! | requests submitted meanwhile | wait, and go out there | `SessionEnded`, *not sent*: none crosses into the new session |
//! | one-shot watches | set again; they fire if there was a change | `SessionEnded` |
//! | lasting watches | set again, then a gap | set again under the new session, then a gap |
//! | pinned handles | go on | fail for ever |
//!
//! A provisional session also ends when its connection does: members close their readers' connections when the quorum is
//! back. The Java client makes no such difference: it changes the session's id under the caller. A member without a quorum
//! never takes up a session of the ensemble; a client that has one stays disconnected until the quorum is back.
//!
//! Servers that do not answer `isro` are not found that way (it must be on their white list, where it is by default once
//! read-only mode is enabled). If the server found does not take the session after all, and the next one ends up on a
//! read-only member again, its search begins with the longest pause.
//!
//! # Changing the server list
//!
//! [`set_servers`](crate::Client::set_servers) puts another list in place at run time. The client leaves a server that is
//! no longer named. So that old and new servers carry the same load although no client knows of another, each decides by
//! chance, with the odds of ZOOKEEPER-1355, where s servers become t:
//!
//! | the list | my server is still named | it is not |
//! |---|---|---|
//! | grew | move to a new one with a chance of 1 - s/t, else stay | move to a new one |
//! | did not grow | stay | move: to one of the *o* old ones that are left with a chance of o (s - t) / (t (s - o)), else to a new one |
//!
//! If none of the kind drawn can be reached, the others are tried. The session, its ephemerals and its watches go along. What
//! is under way is answered first, unless that takes longer than 2 s, and what is submitted meanwhile waits: so a move by
//! choice fails no request of a server that answers. The same servers again, in any order, change nothing. A provisional session stays
//! at its server if that is still named, since it would not outlive a move; a session that is closing stays too.
//!
//! # Several addresses for one name
//!
//! Every attempt looks its name up anew. If there are several addresses, the families take turns, and each is dialled a
//! quarter of a second after the one before while that goes on, four at a time; the first connection that stands is taken, and the others
//! are given up (RFC 8305). So a network in which all of IPv6 leads nowhere costs a quarter of a second. A refusal brings
//! the next address at once. All of it stays within the one attempt's time. For a name service of your own see
//! [`Transport::tcp_resolved`](crate::client::Transport::tcp_resolved).
