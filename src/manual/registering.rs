//! Registering: what a standing wish does by itself, what it tells its owner, and how to leave without a failed call.
//!
//! # A standing wish
//!
//! [`register`](crate::registry::Registration::register) yields a handle, [`Registered`](crate::registry::Registered), and as long as it lives the
//! registry keeps the instance registered. There is nothing to refresh, to repeat or to watch.
//!
//! | what happens | what the registry does | what it writes |
//! |---|---|---|
//! | the connection breaks and comes back in the same session | looks whether the leaf is as wished | nothing |
//! | the session was lost and is taken up again after all | the same | nothing |
//! | the session expires | registers anew under the next, at a moment drawn from one second | all its znodes, in one transaction |
//! | somebody deletes the leaf, or sets other data | repairs it: at once, and with growing pauses if it goes on | that znode |
//! | a leaf of ours is still there, of a session that is over | takes it over, so that no reader sees none | delete and create in one transaction |
//! | somebody else's leaf is in the place | leaves it: a *conflict*. It registers the moment that one goes | nothing |
//! | an answer is lost | reads behind a `sync` what came of it | what is still missing |
//! | ZooKeeper refuses | tries again with pauses of 0.1 s up to 30 s, and says why in the [`status`](crate::registry::Registered::status) | |
//!
//! [`reconcile`](crate::registry::reconcile) holds the rules, and the table that says whose a leaf is.
//!
//! # Several znodes
//!
//! Some registrations are more than a leaf: Dubbo's applications describe their interfaces beside it
//! ([`Layout::further`](crate::registry::layout::Layout::further)), a Dubbo provider may be a consumer too, and a service of go-micro's may have several nodes
//! ([`ZooKeeper::register_all`](crate::registry::ZooKeeper::register_all)). All of them come in one transaction. If that is refused, each is written alone, what
//! stands beside first, so that one which cannot be had keeps no other back. Each is kept by the same rules; what other registrations need too
//! is never taken back.
//!
//! # Updates
//!
//! [`update`](crate::registry::Registered::update) says what is wished from now on, and returns at once; `registered().await` waits for it. An
//! update that changes nothing writes nothing. Of several before ZooKeeper hears of them the last one is written, once. Where the leaf's name says what
//! has changed (Dubbo's interfaces, the address in the plain layout), the new leaf is created and the old one deleted in one transaction. If that
//! is refused, the old one stays until the new one is there.
//!
//! # What the owner hears
//!
//! [`events`](crate::registry::Registered::events) yields the [`status`](crate::registry::RegistrationStatus) at every change: the latest, with counters that
//! only grow, so that nothing which passed between two looks is missed.
//!
//! | event | how it shows | what to do |
//! |---|---|---|
//! | registered | [`Registered`](crate::registry::RegistrationState::Registered) | nothing |
//! | lost | `losses` has grown; `last_loss` says [how](crate::registry::reconcile::Loss): expired, deleted, changed, taken | nothing: it is being repaired. Deletions that go on come from a program that should not |
//! | restored | `Registered` again | nothing |
//! | conflict | [`Conflict`](crate::registry::RegistrationState::Conflict); the log names the path | see below |
//! | refused | `refusal` is set, the state is `Pending` | `NoAuth`: the credentials, or the ACL of the directory. `BadArguments`: the payload is too large |
//! | withdrawn | [`Withdrawn`](crate::registry::RegistrationState::Withdrawn) | nothing: it was deregistered, or wants no calls in a layout without a word for that |
//! | ended | [`Ended`](crate::registry::RegistrationState::Ended) | the client was closed, or must not follow its session: register with another client |
//!
//! A connection that is away is no event here: the state is what was last known. [`Client::status`](crate::Client::status) tells of connections.
//!
//! A conflict names its [kind](crate::registry::reconcile::ConflictKind). *Foreign*: two instances want one place; give one another id or address. *Twin*: two
//! processes run with one id, mostly a copied configuration; end one. *KeptPersistent*: a program that never removes its leaf registers this
//! instance too, and `keep_persistent` was chosen. Whoever waits is registered the moment the other goes.
//!
//! # Leaving
//!
//! | how | what readers see | when it is ready |
//! |---|---|---|
//! | [`drain`](crate::registry::Registered::drain) | the status draining, or no leaf where the layout knows none; no leaf after the grace | when it is gone |
//! | [`deregister`](crate::registry::Registered::deregister) | no leaf | when it is gone, through an outage too |
//! | dropping the handle | no leaf | at once; it goes in the background |
//! | [`close`](crate::registry::Registry::close) | no leaf | when the server has confirmed the end of the session |
//! | the process dies | no leaf | after the session timeout |
//!
//! The wish ends first, so nothing registers the instance again. That its leaf is gone already is success. What was dropped is removed after an outage too,
//! however long it was, as long as the client has other handles; without any it keeps the client for
//! [`DROPPED_PATIENCE`](crate::registry::limits::DROPPED_PATIENCE) more, and then the leaf goes with its session. With the runtime all of
//! this ends where it stands: nothing is written any more, and the session ends by its timeout. So a `main` that returns should have awaited `deregister`,
//! `drain` or `close`.
//!
//! The grace is how long readers may go on calling: 5 s where they watch, 10 s for Dubbo's, 20 s for Finagle's, 40 s for Spring's load balancer. It is the layout's
//! ([`drain_grace`](crate::registry::layout::Layout::drain_grace)) unless [`drain_for`](crate::registry::Registered::drain_for) says another. While ZooKeeper is away a drain
//! waits for the grace twice, and then for ZooKeeper: bound it by a timeout. Dropping it, at whatever moment, is as dropping the handle.
//!
//! # SIGTERM
//!
//! Orchestrators send SIGTERM and, some time later, SIGKILL: 30 s in Kubernetes, which is shorter than Spring's grace. With the feature `signal`,
//! `registry::terminated()` is a future of SIGTERM or ctrl-c:
//!
//! ```ignore
//! let terminated = registry::terminated()?; // before anything else: it is caught from here on
//! // connect, register, serve
//! terminated.await;
//! registered.drain().await?;
//! registry.close().await?;
//! ```
//!
//! `examples/drained-service/main.rs` is a whole program. Without it, catch the signal as you do and await `drain`.
