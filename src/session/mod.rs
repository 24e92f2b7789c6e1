//! The session state machine.

mod action;
mod config;
mod error;
mod id;
mod request;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;

pub use action::{Action, Event};
pub use config::{Auth, Config, Credentials};
pub use error::{Cause, End, Fate, Loss, RequestError, Violation};
pub use id::{Address, ConnId, DialId, LeaseId, RequestId, Server, WatcherId};
pub use request::{Notice, Outcome, Rejected, Reply, Request, WatchKind, WatchWish};

use crate::jute::Writer;

/// stub
#[derive(Debug)]
pub struct Session<T>(std::marker::PhantomData<T>);

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never connected yet.
    Connecting,
    /// Connected to a server that takes writes.
    Connected,
    /// Connected to a read-only server.
    ConnectedReadOnly,
    /// The connection went; the session probably lives.
    Disconnected,
    /// No contact for 4/3 of the timeout.
    Lost,
    /// Over.
    Ended(End),
}

impl<T> Session<T> {
    /// new
    pub fn new(config: Config, now: Instant) -> Self { let _ = (config, now); todo!() }
    // A. getters
    /// state
    pub fn state(&self) -> State { todo!() }
    /// negotiated (before the first connect: the wished) timeout
    pub fn timeout(&self) -> Duration { todo!() }
    /// id and password, once there is a session
    pub fn credentials(&self) -> Option<Credentials> { todo!() }
    /// last zxid seen
    pub fn last_zxid(&self) -> i64 { todo!() }
    /// lease
    pub fn lease_until(&self) -> Option<Instant> { todo!() }
    /// ended and nothing left to do
    pub fn is_drained(&self) -> bool { todo!() }
    /// places freed since the last call
    pub fn take_freed(&mut self) -> u32 { todo!() }
    // B. facts
    /// fact
    pub fn handle_resolved(&mut self, now: Instant, dial: DialId, found: Result<Vec<Address>, Loss>) { let _ = (now, dial, found); todo!() }
    /// fact
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId) { let _ = (now, conn); todo!() }
    /// fact
    pub fn handle_dial_failed(&mut self, now: Instant, conn: ConnId, loss: Loss) { let _ = (now, conn, loss); todo!() }
    /// fact: consumes whole frames, at most one batch; true: call again before reading more
    pub fn handle_input(&mut self, now: Instant, conn: ConnId, input: &mut BytesMut) -> bool { let _ = (now, conn, input); todo!() }
    /// fact
    pub fn handle_written(&mut self, now: Instant, conn: ConnId, len_bytes: usize) { let _ = (now, conn, len_bytes); todo!() }
    /// fact
    pub fn handle_connection_lost(&mut self, now: Instant, conn: ConnId, loss: Loss) { let _ = (now, conn, loss); todo!() }
    /// fact
    pub fn handle_timeout(&mut self, now: Instant) { let _ = now; todo!() }
    // C. wishes
    /// wish
    pub fn submit(&mut self, now: Instant, request: Request<'_>, token: T) -> Result<RequestId, Rejected<T>> { let _ = (now, request, token); todo!() }
    /// wish
    pub fn cancel(&mut self, now: Instant, request: RequestId) { let _ = (now, request); todo!() }
    /// wish: credentials for this and every later connection; the token comes back with the server's verdict
    pub fn add_auth(&mut self, now: Instant, auth: Auth, token: T) -> Result<(), Rejected<T>> { let _ = (now, auth, token); todo!() }
    /// wish: nobody listens to this watcher any more
    pub fn unwatch(&mut self, now: Instant, watcher: WatcherId) { let _ = (now, watcher); todo!() }
    /// wish: renew the lease with multi[check(path, version)] every third of the timeout
    pub fn hold_lease(&mut self, now: Instant, path: &str, version: i32) -> LeaseId { let _ = (now, path, version); todo!() }
    /// wish
    pub fn release_lease(&mut self, now: Instant, lease: LeaseId) { let _ = (now, lease); todo!() }
    /// wish
    pub fn set_servers(&mut self, now: Instant, servers: Vec<Server>) { let _ = (now, servers); todo!() }
    /// wish: close the session behind everything submitted so far
    pub fn close(&mut self, now: Instant) { let _ = now; todo!() }
    // D. outputs
    /// moves everything to be written into the empty `into`
    pub fn poll_transmit(&mut self, into: &mut Writer) -> Option<ConnId> { let _ = into; todo!() }
    /// next output
    pub fn poll_action(&mut self) -> Option<Action<T>> { todo!() }
    /// all outputs: swaps or appends them into `into`
    pub fn poll_actions(&mut self, into: &mut VecDeque<Action<T>>) { let _ = into; todo!() }
    /// when to call handle_timeout
    pub fn poll_timeout(&self) -> Option<Instant> { todo!() }
}
