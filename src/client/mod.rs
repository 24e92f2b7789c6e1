//! The client: handles, operations and the task behind them.
//!
//! This module knows tokio, sockets and the public API. What ZooKeeper's rules make of frames and time is the
//! [`session`](crate::session)'s to decide; where bytes mean what, [`jute`](crate::jute)'s.

mod acls;
mod admin;
mod builder;
mod children;
mod connect_string;
mod create;
mod driver;
mod engine;
mod error;
mod follow;
mod hub;
mod metrics;
mod multi;
mod nodes;
mod plain_text;
mod sleep;
mod standing;
mod stats;
mod transport;
mod tree;
mod watch;
mod watch_buffer;
mod watched;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use acls::{GetAcl, SetAcl, WhoAmI};
pub use admin::{CONFIG_NODE, CountDescendants, GetConfig, GetConfigWatched, GetEphemerals, Reconfig, Sync};
pub use builder::Builder;
pub use children::{Children, GetChildren, GetChildrenWatched};
pub use connect_string::{ConnectString, ConnectStringError, DEFAULT_PORT};
pub use create::{Create, CreateCall, Created};
pub use engine::{Answer, Call, Execute, Operation, Sent};
pub use error::{Error, Who};
pub use follow::OnExpiry;
pub use hub::Status;
pub use metrics::{Metric, MetricKind, prometheus};
pub use multi::{Multi, MultiRead, ReadResult, ReadStep, StepResult, Transaction, TransactionCreate};
pub use nodes::{Delete, Exists, ExistsWatched, Get, GetWatched, Set};
pub use stats::{BUCKETS, OperationStats, Stats};
pub use transport::{Dialling, Io, Transport};
pub use tree::Settled;
pub use watch::{AddWatch, Changed, SetWatch, SettingWatch, Watch, WatchCall, WatchEvent, Watcher};
pub use watched::{Watchable, Watched};

#[doc(hidden)]
pub use builder::fix_seeds;
pub(crate) use builder::seed;
use engine::abandoned;
pub(crate) use error::Kind;
use hub::Hub;
use tokio::sync::{SemaphorePermit, oneshot};

use crate::jute::{Decode, Joined, OpCode, Reader};
use crate::path;
use crate::session::{Cause, Credentials, End, Fate, LeaseId, Outcome, Reply, RequestError, Server, State};

/// A handle on a ZooKeeper client. Cheap to clone; all clones share one session, whose order of requests is the order of
/// calls.
///
/// When the last handle goes, the session is closed as if by [`close`](Self::close), but nobody hears of it. By default a
/// handle *follows*: when the session expires, a new one takes its place, and requests of the old one end with it.
/// [`session`](Self::session) yields a handle that is *pinned* to the present session and fails for ever after its end.
#[derive(Clone)]
pub struct Client {
    hub: Arc<Hub>,
    /// `None` for one that the client does not live on for.
    _guard: Option<Arc<Guard>>,
    /// Empty for none.
    chroot: Arc<str>,
    /// The session it is bound to; `None` follows.
    pinned: Option<u64>,
}

/// Lives as long as any handle.
struct Guard(Arc<Hub>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.close(None);
    }
}

impl Client {
    /// Connects to an ensemble and waits for the first session: `zk1:2181,zk2:2181/chroot`, or a
    /// `zk://user:password@host/chroot?session_timeout=10s`. [`Builder`] has all the options.
    ///
    /// Dropping the future gives up and closes.
    ///
    /// # Errors
    /// What is wrong with the connect string; no session within 30 s, with what each host had to say; wrong credentials;
    /// no tokio runtime.
    pub async fn connect(connect_string: &str) -> Result<Self, Error> {
        Builder::new(connect_string)?.connect().await
    }

    /// As [`connect`](Self::connect), but yields a client at once; requests wait for the connection within their
    /// deadlines.
    ///
    /// # Errors
    /// What is wrong with the connect string; no tokio runtime.
    pub fn connect_lazy(connect_string: &str) -> Result<Self, Error> {
        Builder::new(connect_string)?.connect_lazy()
    }

    /// A client in the making.
    ///
    /// # Errors
    /// What is wrong with the connect string.
    pub fn builder(connect_string: &str) -> Result<Builder, Error> {
        Builder::new(connect_string)
    }

    /// Connects as the environment says; see [`Builder::from_env`].
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn from_env() -> Result<Self, Error> {
        Builder::from_env()?.connect().await
    }

    /// A handle that does not count: the client closes with its last other one.
    #[cfg(feature = "registry")]
    pub(crate) fn uncounted(&self) -> Self {
        Self { _guard: None, ..self.clone() }
    }

    /// A handle whose paths lie below `root`, on the same session. The root is not created by itself; see
    /// [`ensure_chroot`](Self::ensure_chroot).
    ///
    /// # Errors
    /// The root is not a path.
    pub fn chroot(&self, root: &str) -> Result<Self, Error> {
        path::validate(root).map_err(Error::new)?;
        let chroot = if root == "/" { self.chroot.clone() } else { format!("{}{root}", self.chroot).into() };
        Ok(Self { chroot, ..self.clone() })
    }

    /// The path that this handle's paths lie below; `/` if it sees everything.
    #[must_use]
    pub fn root(&self) -> &str {
        if self.chroot.is_empty() { "/" } else { &self.chroot }
    }

    /// Creates the chroot where it is missing, persistent and open.
    ///
    /// # Errors
    /// `NoAuth`, and what any request may meet.
    pub async fn ensure_chroot(&self) -> Result<(), Error> {
        if self.chroot.is_empty() {
            return Ok(());
        }
        let whole = Self { chroot: "".into(), ..self.clone() };
        let last = path::join(&self.chroot, "x");
        Box::pin(whole.ensure_parents(&last)).await
    }

    /// A handle pinned to the present session: it fails for ever after the session's end, so that nothing that belongs
    /// to one session is done under another.
    #[must_use]
    pub fn session(&self) -> Self {
        let epoch = self.pinned.unwrap_or_else(|| self.hub.lock().epoch);
        Self { pinned: Some(epoch), ..self.clone() }
    }

    /// Where the client stands. For a pinned handle, the state is that of its session.
    #[must_use]
    pub fn status(&self) -> Status {
        self.seen(self.hub.status.get())
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.status().state
    }

    fn seen(&self, status: Status) -> Status {
        match self.pinned {
            Some(epoch) if epoch != status.epoch => {
                Status { state: State::Ended(End::Expired), epoch, session_id: None, ..status }
            }
            _ => status,
        }
    }

    /// Waits until the client stands otherwise than in `seen`, and yields how.
    ///
    /// Cancel safe. States that pass between two calls coalesce into the last; `epoch` and `disconnects` tell of those.
    /// Nothing comes after [`State::Ended`]: waiting on from there is waiting for ever.
    pub async fn status_change(&self, seen: &Status) -> Status {
        let mut receiver = self.hub.status.subscribe();
        loop {
            let current = self.seen(receiver.get());
            if current != *seen {
                return current;
            }
            receiver.changed().await;
        }
    }

    /// Until when the ensemble certainly has not given this session up; see
    /// [`Session::lease_until`](crate::session::Session::lease_until). Locks and leaders trust nothing after it. To be asked for
    /// before each step: a sleep of the machine shortens it, and a moment that was noted down before does not know of that.
    #[must_use]
    pub fn lease_until(&self) -> Option<Instant> {
        self.hub.lease_until(self.pinned)
    }

    /// Keeps the lease in the future while the znode is there in this version, until the guard is dropped: by a write that
    /// changes nothing, every third of the session timeout, and only under the present session.
    ///
    /// A renewal that the server refuses, because the znode is gone, was changed, or was never a path, ends the renewals, and
    /// [`Lease::is_refused`] tells of it; [`lease_until`](Self::lease_until) runs out unless other writes prolong it.
    ///
    /// On a handle whose session is over it is refused at once: the next session's lease is not this one's.
    pub fn hold_lease(&self, path: &str, version: i32) -> Lease {
        let whole = full_path(&self.chroot, path);
        let held = self.hub.with_session(|core, now| {
            let refused = core.refuses(self.pinned).is_some() && !planted!("client_lease_unfenced");
            (!refused).then(|| (core.session.hold_lease(now, &whole, version), core.epoch))
        });
        Lease { hub: self.hub.clone(), held }
    }

    /// What it takes to go on with this session elsewhere ([`Builder::resume`]), as of now; `None` before it begins and after
    /// it ended. Keep it secret: it is the session. It names the last transaction seen, so export it when you hand the session
    /// over and not long before.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        let core = self.hub.lock();
        if core.refuses(self.pinned).is_some() { None } else { core.session.credentials() }
    }

    /// Puts another server list in place, for this and every later session. A connection to a server that is no longer
    /// named is dropped; so is, if the list grew, one that is left to others for the sake of an even load, by chance
    /// (ZOOKEEPER-1355). The session moves on, once what is under way was answered, or after
    /// [`limits::LEAVE_WAIT`](crate::limits::LEAVE_WAIT). The same servers again change nothing.
    ///
    /// # Errors
    /// The list is empty.
    pub fn set_servers(&self, servers: Vec<Server>) -> Result<(), Error> {
        if servers.is_empty() {
            return Err(Error::new(ConnectStringError::NoHost));
        }
        self.hub.with_session(|core, now| {
            core.servers.clone_from(&servers);
            core.session.set_servers(now, servers);
        });
        Ok(())
    }

    /// The server that the session is connected to.
    #[must_use]
    pub fn server(&self) -> Option<Server> {
        let core = self.hub.lock();
        if core.refuses(self.pinned).is_some() { None } else { core.session.server().cloned() }
    }

    /// The near end of the present or last connection: the address from which this process reaches ZooKeeper. `None` for
    /// transports without one, and before the first.
    #[must_use]
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        self.hub.lock().ends.map(|ends| ends.near)
    }

    /// Counters, and latencies by operation.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (session, in_flight) = {
            let core = self.hub.lock();
            (core.session.stats(), core.session.in_flight())
        };
        Stats { session, in_flight, operations: self.hub.counters.operations() }
    }

    /// Waits for a place, in line with all others who wait for one, and reserves it: [`Call::send_in`] then finds it.
    ///
    /// Cancel safe; dropping the place gives it back.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn ready(&self) -> Result<Place<'_>, Error> {
        let permit = self.hub.places.acquire().await.map_err(|_| self.ended_error())?;
        Ok(Place { hub: &self.hub, permit })
    }

    fn ended_error(&self) -> Error {
        let end = self.hub.lock().over.unwrap_or(End::Closed);
        Error::new(RequestError { cause: Cause::SessionEnded(end), fate: Fate::NotSent })
    }

    /// Ends the session behind everything submitted so far, and waits for the server's word: with it, the session's
    /// ephemerals are gone.
    ///
    /// It ends the session for every handle. On a pinned one whose session is over already it does nothing: the session
    /// that followed is not this handle's to end.
    ///
    /// Dropping the future does not take the close back.
    ///
    /// # Errors
    /// The server's word did not come ([`End::ClosedUnconfirmed`]): ephemerals may live until the session times out. Without a
    /// connection there is nobody to give it, and the session ends at once in this way: also right behind the refusal of an
    /// operation that an older server does not know, since it closes the connection with that answer. Who must have its ephemerals
    /// gone deletes them, or waits for [`State::Connected`] before it closes.
    pub async fn close(&self) -> Result<(), Error> {
        let mut status = self.hub.status.subscribe();
        if !self.hub.close(self.pinned) {
            return Ok(());
        }
        loop {
            match status.get().state {
                State::Ended(End::ClosedUnconfirmed) => return Err(self.ended_error()),
                State::Ended(_) => return Ok(()),
                _ => {}
            }
            status.changed().await;
        }
    }

    /// Waits for the first session, and for the verdicts on the credentials it began with.
    async fn first_session(
        &self,
        waited: Duration,
        verdicts: Vec<oneshot::Receiver<Outcome>>,
    ) -> Result<(), Error> {
        let accepted = async {
            self.connected().await?;
            for verdict in verdicts {
                let outcome = verdict.await.unwrap_or_else(|_| Err(abandoned()));
                outcome.map_err(|error| Error::new(error).at(OpCode::AUTH, ""))?;
            }
            Ok(())
        };
        match self.hub.before(self.hub.deadline(Some(waited)), accepted).await {
            Some(result) => result,
            None => {
                let core = self.hub.lock();
                let attempts = core.attempts.iter().map(|(server, loss)| (server.clone(), *loss)).collect();
                Err(Error::new(Kind::NotConnected { waited, attempts }))
            }
        }
    }

    /// Waits until this handle's session is connected.
    async fn connected(&self) -> Result<(), Error> {
        let mut status = self.hub.status.subscribe();
        loop {
            let seen = self.seen(status.get());
            match seen.state {
                State::Connected | State::ConnectedReadOnly => return Ok(()),
                State::Ended(_) => return Err(self.ended_error()),
                _ => {}
            }
            status.changed().await;
        }
    }

    /// Waits until this handle's session is connected, or the deadline.
    async fn when_connected(&self, deadline: Instant) -> Result<(), Error> {
        let late = RequestError { cause: Cause::Deadline, fate: Fate::NotSent };
        self.hub.before(deadline, self.connected()).await.unwrap_or(Err(Error::new(late)))
    }

    /// Whether another session comes after this one.
    fn follows(&self) -> bool {
        self.pinned.is_none() && self.hub.lock().over.is_none()
    }

    /// Waits for a session after this one, or for the end of all; yields the last there is.
    async fn session_after(&self, epoch: u64) -> u64 {
        let mut status = self.hub.status.subscribe();
        loop {
            let current = status.get().epoch;
            if current > epoch || self.hub.lock().over.is_some() {
                return current;
            }
            status.changed().await;
        }
    }
}

/// A reserved place: see [`Client::ready`].
#[must_use = "dropping it gives the place back"]
#[derive(Debug)]
pub struct Place<'a> {
    hub: &'a Hub,
    permit: SemaphorePermit<'a>,
}

/// A lease being held: see [`Client::hold_lease`].
#[must_use = "dropping it lets the lease go"]
pub struct Lease {
    hub: Arc<Hub>,
    /// The lease and the session it belongs to; `None` if that was over from the beginning.
    held: Option<(LeaseId, u64)>,
}

impl Lease {
    /// Whether the server refused to renew it: what it rests on is gone, or another's. True too once its session has ended.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let core = self.hub.lock();
        self.held.is_none_or(|(id, epoch)| core.refuses(Some(epoch)).is_some() || core.refused.contains(&id))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some((id, epoch)) = self.held else { return };
        let mut core = self.hub.lock();
        if core.epoch == epoch {
            core.refused.remove(&id);
            core.session.release_lease(id);
        }
    }
}

impl From<&Client> for Client {
    fn from(client: &Client) -> Self {
        client.clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Client");
        out.field("root", &self.root()).field("pinned", &self.pinned).field("state", &self.state());
        out.finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("held", &self.held).finish_non_exhaustive()
    }
}

/// A path as the server knows it.
fn under<'a>(chroot: &'a str, path: &'a str) -> Joined<'a> {
    match (chroot, path) {
        ("", _) => Joined(path, ""),
        (_, "/") => Joined(chroot, ""),
        _ => Joined(chroot, path),
    }
}

fn full_path(chroot: &str, path: &str) -> String {
    let Joined(head, tail) = under(chroot, path);
    format!("{head}{tail}")
}

impl Answer<'_> {
    /// The reply.
    fn reply(self) -> Result<Reply, Error> {
        self.outcome.map_err(Error::new)
    }

    /// The reply's record; what follows it is for newer clients.
    fn record<R: Decode>(self) -> Result<R, Error> {
        let mut reader = Reader::new(self.reply()?.body);
        reader.record().map_err(|error| Error::new(Kind::Garbled(error)))
    }

    /// Whether the answer set the watch that was asked for.
    fn sets_watch(&self) -> bool {
        use crate::jute::ErrorCode;
        matches!(self.outcome, Ok(_) | Err(RequestError { cause: Cause::Server(ErrorCode::NO_NODE), .. }))
    }
}
