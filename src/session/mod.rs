//! The session: what ZooKeeper's rules make of time, frames and wishes.
//!
//! This module does no I/O. It knows no tokio, no clock, no random source and no names service: time is an argument,
//! chance is a seed, and looking up, dialling and hanging up are outputs. That makes every one of its decisions
//! repeatable, and lets whole ensembles run in one thread under virtual time.
//!
//! [`Session`] documents the contract. The drivers around it (the tokio one in `client`, the one in the tests) decide
//! nothing.

mod abilities;
mod action;
mod chance;
mod config;
mod connect;
mod contention;
mod ending;
mod error;
mod flow;
mod id;
mod lease;
mod link;
mod pace;
mod queue;
mod race;
mod rebalance;
mod replies;
mod request;
mod search;
mod servers;
mod time;
mod watches;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use action::{Action, Event};
pub use config::{Auth, Config, Credentials};
pub use error::{Cause, End, Fate, Loss, RequestError, Violation};
pub use id::{Address, ConnId, DialId, LeaseId, RequestId, Server, WatcherId};
pub use pace::Pace;
pub use request::{Notice, Outcome, Rejected, Reply, Request, WatchKind, WatchWish};

use crate::jute::Writer;
use crate::limits;
use abilities::Abilities;
use chance::Chance;
use contention::Contention;
use lease::{Held, Leases};
use link::Link;
use queue::Waiting;
use search::Search;
use servers::Servers;
use watches::WatchTable;

/// One ZooKeeper session, from the first attempt to connect to its end. `T` is whatever the caller wants back with an
/// answer; each token comes back exactly once.
///
/// The methods are of four kinds:
///
/// * **getters** tell where the session stands;
/// * **facts** (`handle_*`) say what happened outside. Each names the look-up or connection it is about; facts about
///   things that are over are ignored. Every fact first does what has become due. Times never go backwards;
/// * **wishes** ([`submit`](Self::submit), [`cancel`](Self::cancel), [`close`](Self::close) and the like) say what the
///   caller wants;
/// * **outputs** (`poll_*`) say what is to be done. After any number of facts and wishes, take
///   [`poll_actions`](Self::poll_actions) and do them in order, take [`poll_transmit`](Self::poll_transmit), write it and
///   say so with [`handle_written`](Self::handle_written), and call [`handle_timeout`](Self::handle_timeout) at
///   [`poll_timeout`](Self::poll_timeout). A call too early or too often does no harm.
///
/// A request is first *waiting*: encoded, without an xid. A cancel takes it out, and its fate is not sent. It is
/// *committed* as its frame enters the connection's buffer, which is at once when there is a connection; from then on it
/// goes out whatever the caller does, and a cancel leaves a tombstone that swallows the answer. It is *sent* once
/// `handle_written` covers its first byte. When the connection goes, sent requests have an unknown fate, committed ones
/// that no byte left of were not sent, and waiting ones go on waiting (those of a pipeline fail as not sent).
#[derive(Debug)]
pub struct Session<T> {
    config: Config,
    servers: Servers,
    pace: Pace,
    /// Addresses dialled, those dialled last at the end.
    dialled: VecDeque<Address>,
    chance: Chance,
    link: Link<T>,
    /// For a read-write server, while the link leads to a read-only one.
    search: Search,
    life: Life,
    waiting: VecDeque<Waiting<T>>,
    watches: WatchTable,
    leases: Leases,
    auth: Vec<Credential<T>>,
    abilities: Abilities,
    contention: Contention,
    actions: VecDeque<Action<T>>,
    /// Frames that will not go out.
    debris: Vec<Writer>,
    places: u32,
    freed: u32,
    last_id: u64,
    last_zxid: i64,
    /// No deadline of a request lies before this.
    no_deadline_before: Option<Instant>,
    /// Since when, contact being lost, whole passes have ended in closes before the handshake.
    behind_since: Option<Instant>,
    /// In this pass the session is offered without the last transaction seen, to hear whether the ensemble knows it.
    asks: bool,
    /// Set once the caller wants to close: when waiting for the server's word ends.
    closing: Option<Instant>,
    stats: Stats,
}

/// Where the session stands, whatever becomes of its connections.
#[derive(Debug)]
enum Life {
    /// No server has accepted it yet.
    New,
    /// It has an id.
    Established(Established),
    /// It is over.
    Ended(End),
}

#[derive(Debug)]
struct Established {
    credentials: Credentials,
    /// As negotiated.
    timeout: Duration,
    /// Begun on a read-only server: no other server knows it.
    provisional: bool,
    /// The last sign of life from any server.
    heard: Instant,
    /// 4/3 of the timeout went by without one.
    lost: bool,
}

/// An `addauth`, and who waits for its verdict.
#[derive(Debug)]
struct Credential<T> {
    auth: Auth,
    token: Option<T>,
    /// Bytes of it left for a server that never answered.
    sent: bool,
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No server has accepted it yet.
    Connecting,
    /// Connected to a server that takes writes.
    Connected,
    /// Connected to a read-only server.
    ConnectedReadOnly,
    /// Not connected; the session probably lives.
    Disconnected,
    /// Not connected for 4/3 of the timeout; the session may live.
    Lost,
    /// Over.
    Ended(End),
}

/// Counters. They only grow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that were accepted.
    pub connects: u64,
    /// Addresses dialled.
    pub dials: u64,
    /// Addresses asked whether they take writes, from a read-only server.
    pub probes: u64,
    /// Connections dropped because the peer broke the protocol.
    pub violations: u64,
    /// Replies to pings and the like that nobody asked for.
    pub ignored_replies: u64,
    /// Watch events that nobody waits for, or of an unknown kind.
    pub ignored_events: u64,
    /// Watch events whose path is not UTF-8.
    pub garbled_events: u64,
    /// Replies over the limit that were thrown away.
    pub oversize_replies: u64,
    /// `SetWatches` frames sent.
    pub watch_batches: u64,
    /// Pings sent.
    pub pings: u64,
}

impl<T> Session<T> {
    /// A session that begins to look for a server at once.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let mut chance = Chance::new(config.seed);
        let servers = Servers::new(config.servers.clone(), config.first.clone(), &mut chance);
        let search = Search::new(config.first.is_some());
        let life = match &config.credentials {
            None => Life::New,
            Some(credentials) => Life::Established(Established {
                credentials: credentials.clone(),
                timeout: config.timeout,
                provisional: false,
                heard: now,
                lost: false,
            }),
        };
        let auth = config
            .auth
            .iter()
            .map(|auth| Credential { auth: auth.clone(), token: None, sent: false })
            .collect();
        let resumed = config.credentials.as_ref().map_or(0, |credentials| credentials.last_zxid);
        let resumed = if planted!("session_resumes_at_zero") { 0 } else { resumed };
        let mut session = Self {
            last_zxid: config.last_zxid.max(resumed),
            pace: config.pace,
            dialled: VecDeque::new(),
            config,
            servers,
            chance,
            link: Link::Down { retry_at: None },
            search,
            life,
            waiting: VecDeque::new(),
            watches: WatchTable::default(),
            leases: Leases::default(),
            auth,
            abilities: Abilities::default(),
            contention: Contention::default(),
            actions: VecDeque::new(),
            debris: Vec::new(),
            places: 0,
            freed: 0,
            last_id: 0,
            no_deadline_before: None,
            behind_since: None,
            asks: false,
            closing: None,
            stats: Stats::default(),
        };
        session.try_next(now);
        session
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        match (&self.life, &self.link) {
            (Life::Ended(end), _) => State::Ended(*end),
            (_, Link::Up(connection)) if connection.read_only => State::ConnectedReadOnly,
            (_, Link::Up(_)) => State::Connected,
            (Life::Established(established), _) if established.lost => State::Lost,
            (Life::Established(_), _) => State::Disconnected,
            (Life::New, _) => State::Connecting,
        }
    }

    /// The negotiated session timeout; before the first connect, the one wished for.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match &self.life {
            Life::Established(established) => established.timeout,
            Life::New | Life::Ended(_) => self.config.timeout,
        }
    }

    /// What it takes to go on with this session elsewhere, as of now; `None` before it begins and after it ended.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        match &self.life {
            Life::Established(established) => {
                Some(Credentials { last_zxid: self.last_zxid, ..established.credentials.clone() })
            }
            Life::New | Life::Ended(_) => None,
        }
    }

    /// The last transaction seen. 0 once the session ended in an ensemble that is behind it: then the ensemble was restored or
    /// wiped, and the next session must not ask for what is gone.
    #[must_use]
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Until when the ensemble certainly has not given this session up: what locks and leaders may trust. `None` before
    /// two writes a third of the timeout apart were answered, and after the end.
    #[must_use]
    pub fn lease_until(&self) -> Option<Instant> {
        match &self.life {
            Life::Established(established) => self.leases.until(established.timeout),
            Life::New | Life::Ended(_) => None,
        }
    }

    /// The server it is connected to.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        match &self.link {
            Link::Up(connection) => Some(&connection.server),
            _ => None,
        }
    }

    /// Where a session that ended for a read-write server was going: the [`Config::first`] of the next.
    #[must_use]
    pub fn heading(&self) -> Option<&(Server, Address)> {
        self.servers.first()
    }

    /// When it last dialled: the [`Config::pace`] of the session that takes its place.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Requests waiting or under way, tombstones included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let committed = match &self.link {
            Link::Up(connection) => connection.pending.len(),
            _ => 0,
        };
        self.waiting.len() + committed
    }

    /// Whether the session has ended and every output was taken.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        matches!(self.life, Life::Ended(_)) && self.actions.is_empty()
    }

    /// Places that requests have given back since the last call.
    pub fn take_freed(&mut self) -> u32 {
        std::mem::take(&mut self.freed)
    }

    /// Frames that will not go out. They share long values with their callers, whose destructors may do anything: drop them
    /// where that does no harm.
    pub fn take_debris(&mut self) -> Vec<Writer> {
        std::mem::take(&mut self.debris)
    }

    /// Presents credentials on this connection and every later one. The token comes back with the server's verdict.
    ///
    /// # Errors
    /// The session has ended or is closing, or holds [`limits::CREDENTIALS`] already.
    pub fn add_auth(&mut self, now: Instant, auth: Auth, token: T) -> Result<(), Rejected<T>> {
        if let Some(end) = self.refuses() {
            return Err(Rejected {
                token,
                error: RequestError { cause: Cause::SessionEnded(end), fate: Fate::NotSent },
            });
        }
        // Places in the list never change: answers on their way refer to them.
        let index = match self.auth.iter_mut().position(|known| known.auth == auth && known.token.is_none()) {
            Some(index) => index,
            None if self.auth.len() >= limits::CREDENTIALS => {
                let error = RequestError { cause: Cause::QueueFull, fate: Fate::NotSent };
                return Err(Rejected { token, error });
            }
            None => {
                self.auth.push(Credential { auth, token: None, sent: false });
                self.auth.len() - 1
            }
        };
        if let Some(credential) = self.auth.get_mut(index) {
            credential.token = Some(token);
            credential.sent = false;
        }
        self.present_auth(now, index);
        Ok(())
    }

    /// Nobody listens to this watcher any more. The server's watch is taken back lazily, when the last watcher of its
    /// path goes.
    pub fn unwatch(&mut self, now: Instant, watcher: WatcherId) {
        if self.watches.remove(watcher) {
            self.pump(now);
        }
    }

    /// Keeps [`lease_until`](Self::lease_until) in the future while the znode is there in this version: a multi with one
    /// check goes out every third of the timeout, a quorum write that changes nothing.
    pub fn hold_lease(&mut self, now: Instant, path: &str, version: i32) -> LeaseId {
        let lease = LeaseId(self.next_id());
        self.leases.hold(now, lease, Held { path: path.into(), version });
        self.pump(now);
        lease
    }

    /// Stops renewing a lease.
    pub fn release_lease(&mut self, lease: LeaseId) {
        self.leases.release(lease);
    }

    /// Puts another server list in place. A connection to a server that is no longer named is dropped; so is, if the list
    /// grew, as many a connection as spreads all clients evenly again, by chance (ZOOKEEPER-1355). The session goes on
    /// elsewhere, and what is under way is answered first unless that takes longer than [`limits::LEAVE_WAIT`]. A session that
    /// no other server knows stays if it may. The same servers again change nothing.
    pub fn set_servers(&mut self, now: Instant, servers: Vec<Server>) {
        let current = match &self.link {
            Link::Up(connection) => Some(connection.server.clone()),
            Link::Resolving { attempt, .. }
            | Link::Dialling { attempt, .. }
            | Link::Handshaking { attempt, .. } => Some(attempt.server.clone()),
            Link::Down { .. } => None,
            Link::Off => return,
        };
        if self.servers.are(&servers) {
            return;
        }
        let moves = self.servers.replace(servers, current.as_ref(), &mut self.chance);
        let listed = current.is_some_and(|server| self.servers.contains(&server));
        let settled = self.closing.is_some() || (listed && (!moves || self.is_provisional()));
        match &self.link {
            Link::Up(_) if settled => {
                self.servers.arrived();
                self.stay(now);
            }
            Link::Up(_) if !listed => self.leave(now, Loss::Removed),
            Link::Up(_) => self.leave(now, Loss::Rebalanced),
            _ if listed && !moves => {}
            _ => {
                self.hang_up();
                self.try_next(now);
            }
        }
    }

    /// Ends the session behind everything submitted so far: nothing more is taken, `closeSession` goes out last, and the
    /// session ends with the server's answer or [`limits::CLOSE_WAIT`] later. Without a
    /// connection it ends at once.
    pub fn close(&mut self, now: Instant) {
        if self.closing.is_some() || matches!(self.life, Life::Ended(_)) {
            return;
        }
        match (&self.life, &mut self.link) {
            (_, Link::Up(connection)) => {
                connection.leaving = None;
                self.submit_close(now);
            }
            (Life::New, _) => self.end(End::Closed),
            _ => self.end(End::ClosedUnconfirmed),
        }
    }

    /// Moves everything that is to be written into `into`, which must be empty, and names the connection it is for.
    pub fn poll_transmit(&mut self, into: &mut Writer) -> Option<ConnId> {
        let (conn, out) = match &mut self.link {
            Link::Up(connection) => (connection.conn, &mut connection.out),
            Link::Handshaking { conn, out, .. } => (*conn, out),
            _ => return None,
        };
        if out.is_empty() {
            return None;
        }
        std::mem::swap(out, into);
        Some(conn)
    }

    /// The next output.
    pub fn poll_action(&mut self) -> Option<Action<T>> {
        self.actions.pop_front()
    }

    /// All outputs, appended to `into`.
    pub fn poll_actions(&mut self, into: &mut VecDeque<Action<T>>) {
        if into.is_empty() {
            std::mem::swap(&mut self.actions, into);
        } else {
            into.append(&mut self.actions);
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whether the session was begun on a read-only server, and is known nowhere else.
    fn is_provisional(&self) -> bool {
        matches!(&self.life, Life::Established(established) if established.provisional)
    }

    /// The end that new wishes run into, if there is one.
    fn refuses(&self) -> Option<End> {
        match self.life {
            Life::Ended(end) => Some(end),
            _ if self.closing.is_some() => Some(End::Closed),
            _ => None,
        }
    }

    fn complete(&mut self, token: T, cause: Cause, fate: Fate) {
        let outcome = Err(RequestError { cause, fate });
        self.actions.push_back(Action::Complete { token, outcome });
    }

    fn free(&mut self, places: u32) {
        self.places = self.places.saturating_sub(places);
        self.freed = self.freed.saturating_add(places);
    }
}
