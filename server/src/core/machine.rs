//! The core itself: its contract, what it holds, and how facts come in and output goes out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::connection::{Connection, ConnectionId, Stage, Transmit};
use super::faults::Faults;
use super::limits::{Limits, millis};
use super::log::{Entry, Log, What, Why};
use super::member::Member;
use super::sessions::Sessions;
use super::watches::Watches;
use super::words::Allowed;
use super::{Like, Rules, Tree};
use crate::jute::{LENGTH_LEN_BYTES, split_frame};

/// No timer is further away.
const A_YEAR_MILLIS: u64 = 365 * 24 * 3_600_000;

/// Requests of one connection that are executed at once. More would make the others wait: the core is used by one at a time.
const TURN: usize = 64;

/// What is large to say took long to find: an answer of so many bytes and more counts as many requests, one for every
/// [`HEAVY_SHARE_LEN_BYTES`] of it.
const HEAVY_LEN_BYTES: usize = 512;
const HEAVY_SHARE_LEN_BYTES: usize = 32;

/// What a core begins with.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// What it imitates.
    pub rules: Rules,
    /// What it bears.
    pub limits: Limits,
    /// What passwords of sessions are made from: who knows it can take up any session.
    pub seed: u64,
    /// First byte of every session's id.
    pub server_id: u8,
    /// Serves readers that ask for it, and nobody else.
    pub read_only: bool,
    /// Which four-letter words it answers (`4lw.commands.whitelist`).
    pub words: Allowed,
    /// The port that `conf` tells.
    pub client_port: u16,
    /// How often containers and znodes with a time to live are looked at (`znode.container.checkIntervalMs`).
    pub reap_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            limits: Limits::default(),
            seed: 0,
            server_id: 1,
            read_only: false,
            words: Allowed::all(),
            client_port: 2181,
            reap_interval: Duration::from_secs(60),
        }
    }
}

/// Without the seed.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rules, limits, server_id, read_only, client_port, .. } = self;
        f.debug_struct("Config")
            .field("rules", rules)
            .field("limits", limits)
            .field("server_id", server_id)
            .field("read_only", read_only)
            .field("client_port", client_port)
            .finish_non_exhaustive()
    }
}

/// A ZooKeeper server without sockets: any number of connections, the sessions behind them, and one tree.
///
/// The methods are of four kinds:
///
/// * **getters** tell what there is;
/// * **facts** ([`accept`](Self::accept), `handle_*`) say what happened outside. Each names its connection; facts about connections
///   that are gone are ignored. `now` never goes backwards;
/// * **wishes** of tests ([`expire`](Self::expire), [`plan`](Self::plan) and the like) say what is to happen;
/// * **outputs** (`poll_*`) say what is to be done. After any number of facts and wishes, ask [`poll_ready`](Self::poll_ready) which
///   connections there is something to do for, and [`poll_transmit`](Self::poll_transmit) what; write it and say so with
///   [`handle_written`](Self::handle_written); read from a connection while [`wants_input`](Self::wants_input); and call
///   [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout). A call too early or too often does no harm.
///
/// A request is executed as it comes in, in the order of the calls: its events are in the buffers of its watchers, and its answer in
/// that of its connection, when `handle_input` returns. Of one connection 64 requests are executed at once; while it
/// [`has_work`](Self::has_work) left, call `handle_input` without bytes.
pub struct Core {
    pub(super) rules: Rules,
    pub(super) limits: Limits,
    pub(super) words: Allowed,
    pub(super) client_port: u16,
    pub(super) tree: Tree,
    pub(super) zxid: i64,
    pub(super) sessions: Sessions,
    pub(super) watches: Watches,
    pub(super) faults: Faults,
    pub(super) log: Log,
    pub(super) totals: Totals,
    pub(super) read_only: bool,
    /// One of an ensemble: then the log is the leader's.
    pub(super) member: Option<Box<Member>>,
    /// Stopped: sessions' time stands still.
    pub(super) stopped: bool,
    /// Milliseconds since the core began, by the last fact.
    pub(super) now: u64,
    started: Instant,
    started_unix: i64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    addresses: BTreeMap<IpAddr, usize>,
    ready: VecDeque<ConnectionId>,
    /// When a connection is to be looked at: it says nothing, or something is held back on it.
    timers: BTreeSet<(u64, ConnectionId)>,
    reap_interval: u64,
    reap_at: u64,
}

/// How much there is: znodes and buffers hold data, and credentials are among them.
impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("zxid", &self.zxid)
            .field("read_only", &self.read_only)
            .field("connections", &self.connections_count())
            .field("sessions", &self.sessions.len())
            .field("watches", &self.watches.len())
            .field("znodes", &self.tree.node_count())
            .finish_non_exhaustive()
    }
}

/// Where a connection stands; the generation tells it from those before it.
#[derive(Debug)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// Counters since the begin or the last `srst`.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) refused_auth: u64,
}

impl Core {
    /// A fresh server. `now` and `unix_millis` are the same moment: from here on time is `now`'s alone.
    #[must_use]
    pub fn new(config: Config, now: Instant, unix_millis: i64) -> Self {
        let Config { rules, limits, seed, server_id, read_only, words, client_port, reap_interval } = config;
        let reap_interval = millis(reap_interval).max(1);
        Self {
            tree: Tree::new(rules.like),
            zxid: 0,
            sessions: Sessions::new(seed, server_id, unix_millis, limits.tick_millis()),
            watches: Watches::new(rules.like >= Like::V3_9),
            faults: Faults::default(),
            log: Log::new(limits.log),
            totals: Totals::default(),
            read_only,
            member: None,
            stopped: false,
            now: 0,
            started: now,
            started_unix: unix_millis,
            slots: Vec::new(),
            free: Vec::new(),
            addresses: BTreeMap::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            reap_interval,
            reap_at: reap_interval,
            rules,
            limits,
            words,
            client_port,
        }
    }

    /// A connection came.
    pub fn accept(&mut self, peer: SocketAddr, now: Instant) -> ConnectionId {
        self.set_now(now);
        let limits = &self.limits;
        let of_address = *self.addresses.get(&peer.ip()).unwrap_or(&0);
        let too_many = (limits.connections_per_address > 0 && of_address >= limits.connections_per_address)
            || (limits.connections > 0 && self.connections_count() >= limits.connections);
        let greeting = millis(limits.greeting).max(1);
        let due = (self.now.saturating_add(greeting) / greeting).saturating_add(1).saturating_mul(greeting);
        *self.addresses.entry(peer.ip()).or_default() += 1;
        let id = self.place(Connection::new(peer, self.unix_millis(), due));
        self.timers.insert((due, id));
        self.note(Some(id), 0, What::Connected(peer));
        if too_many && !planted!("server_connections_unlimited") {
            self.close(id, Why::TooMany);
        }
        id
    }

    /// Bytes came in, or the connection [`has_work`](Self::has_work) left.
    pub fn handle_input(&mut self, id: ConnectionId, input: &[u8], now: Instant) {
        self.set_now(now);
        if let Some(connection) = self.connection_mut(id) {
            if connection.stage != Stage::Ending {
                connection.input.extend_from_slice(input);
            }
            self.work(id);
        }
    }

    /// The peer closed the connection, or it broke.
    pub fn handle_closed(&mut self, id: ConnectionId, now: Instant) {
        self.set_now(now);
        if self.connection(id).is_some() {
            self.detach(id, Why::Peer);
            self.remove(id);
        }
    }

    /// So many bytes of what was taken by [`poll_transmit`](Self::poll_transmit) have left.
    pub fn handle_written(&mut self, id: ConnectionId, len: usize, now: Instant) {
        self.set_now(now);
        let Some(connection) = self.connection_mut(id) else { return };
        connection.written(len);
        let is_over = connection.stage == Stage::Ending && connection.is_drained();
        if is_over {
            self.wake(id);
        } else {
            self.work(id);
        }
    }

    /// Does what has become due: sessions expire, silent connections are closed, what was held back goes out, znodes are reaped.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.set_now(now);
        while let Some((due, id)) = self.timers.first().copied().filter(|(due, _)| *due <= self.now) {
            self.timers.remove(&(due, id));
            self.look_at(id);
        }
        if self.time_runs() {
            for session in self.sessions.overdue(self.now) {
                self.expire_session(session);
            }
        }
        if self.reap_at <= self.now {
            self.reap_at = self.now.saturating_add(self.reap_interval);
            self.reap();
        }
    }

    /// A connection that there is output for, or that is to be closed.
    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        let id = self.ready.pop_front()?;
        if let Some(connection) = self.connection_mut(id) {
            connection.queued = false;
        }
        Some(id)
    }

    /// What to do with a connection.
    pub fn poll_transmit(&mut self, id: ConnectionId) -> Transmit {
        let Some(connection) = self.connection_mut(id) else { return Transmit::HangUp };
        if connection.paused {
            Transmit::Wait
        } else if connection.has_output() {
            Transmit::Write(connection.take_output())
        } else if connection.stage == Stage::Ending && connection.is_drained() {
            self.remove(id);
            Transmit::HangUp
        } else {
            Transmit::Wait
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let sessions = self.sessions.next_due().filter(|_| self.time_runs());
        let connections = self.timers.first().map(|(due, _)| *due);
        let due = [sessions, connections].into_iter().flatten().fold(self.reap_at, u64::min);
        // Far enough, and no limit of anyone's clock.
        let wait = due.saturating_sub(self.now).min(A_YEAR_MILLIS);
        self.started + Duration::from_millis(self.now) + Duration::from_millis(wait)
    }

    /// Whether to read from a connection: not while it has more to take than it takes.
    #[must_use]
    pub fn wants_input(&self, id: ConnectionId) -> bool {
        self.connection(id).is_some_and(|connection| self.may_work(connection) && !connection.is_behind)
    }

    /// Whether requests of a connection that are here already wait for the next turn.
    #[must_use]
    pub fn has_work(&self, id: ConnectionId) -> bool {
        self.connection(id).is_some_and(|connection| self.may_work(connection) && connection.is_behind)
    }

    /// Whether there is such a connection still.
    #[must_use]
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.connection(id).is_some()
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections_count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Number of the last transaction.
    #[must_use]
    pub fn zxid(&self) -> i64 {
        self.zxid
    }

    /// The znodes.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Whether it serves readers only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether sessions expire: only a server that takes writes can end them.
    fn time_runs(&self) -> bool {
        !self.read_only && !self.stopped && self.member.is_none()
    }

    fn may_work(&self, connection: &Connection) -> bool {
        let limits = &self.limits;
        let backlog = connection.unwritten() > limits.output_mark && !planted!("server_reads_on");
        let outstanding = connection.held().max(connection.pending.len());
        let behind = outstanding >= limits.outstanding && !planted!("server_outstanding_unlimited");
        let greets = connection.stage == Stage::Greeting && !connection.pending.is_empty();
        connection.stage != Stage::Ending && !connection.paused && !backlog && !behind && !greets
    }

    /// Handles whole frames until there are none, the connection has enough to take, or its turn is over.
    pub(super) fn work(&mut self, id: ConnectionId) {
        let mut touched = false;
        let mut left = if planted!("server_turns_unbounded") { usize::MAX } else { TURN };
        self.set_behind(id, false);
        while let Some(connection) = self.connection(id).filter(|connection| self.may_work(connection)) {
            let unwritten = connection.unwritten();
            if left == 0 {
                self.set_behind(id, true);
                self.wake(id);
                return;
            }
            left -= 1;
            if connection.stage == Stage::Greeting && connection.input.len() >= LENGTH_LEN_BYTES {
                if let Some(word) = connection.input.get(..LENGTH_LEN_BYTES).and_then(super::words::known) {
                    self.answer_word(id, word);
                    return;
                }
            }
            let frame_len = self.limits.frame_len + usize::from(planted!("server_frame_limit"));
            let Some(connection) = self.connection_mut(id) else { return };
            match split_frame(&mut connection.input, frame_len) {
                Ok(Some(frame)) => {
                    if let Some(session) = connection.session().filter(|_| !touched) {
                        touched = true;
                        self.touch(session);
                    }
                    self.handle_frame(id, frame);
                    let after = self.connection(id).map_or(0, Connection::unwritten);
                    left = left.saturating_sub(weight(after.saturating_sub(unwritten)));
                }
                Ok(None) => break,
                Err(_) => self.close(id, Why::BadFrame),
            }
        }
        if let Some(connection) = self.connection_mut(id).filter(|connection| connection.input.is_empty()) {
            connection.input = bytes::BytesMut::new();
        }
    }

    fn touch(&mut self, session: i64) {
        match &mut self.member {
            Some(member) => {
                member.touched.insert(session);
            }
            None => self.sessions.touch(session, self.now),
        }
    }

    fn set_behind(&mut self, id: ConnectionId, is_behind: bool) {
        if let Some(connection) = self.connection_mut(id) {
            connection.is_behind = is_behind;
        }
    }

    fn handle_frame(&mut self, id: ConnectionId, frame: bytes::Bytes) {
        self.totals.received += 1;
        let Some(connection) = self.connection_mut(id) else { return };
        connection.tally.received += 1;
        match connection.stage {
            Stage::Greeting => self.handle_connect(id, frame),
            Stage::Session(session) => self.handle_request(id, session, frame),
            Stage::Ending => {}
        }
    }

    /// Something is due on a connection.
    fn look_at(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(connection) = self.connection_mut(id) else { return };
        connection.release(now);
        let next = connection.next_release().filter(|until| *until != u64::MAX);
        let over = connection.due.is_some_and(|due| due <= now) && !planted!("server_half_open_stays");
        if let Some(next) = next {
            self.timers.insert((next, id));
        }
        self.wake(id);
        if over {
            self.drop_connection(id, Why::Silent);
        } else {
            self.work(id);
        }
    }

    /// Closes a connection once what waits for it has left; until then nothing more is read from it.
    pub(super) fn close(&mut self, id: ConnectionId, why: Why) {
        self.detach(id, why);
        let now = self.now;
        let patience = millis(self.limits.greeting);
        let Some(connection) = self.connection_mut(id) else { return };
        connection.input = bytes::BytesMut::new();
        connection.pending.clear();
        connection.paused = false;
        let due = connection.forget_withheld().max(now).saturating_add(patience);
        connection.due = Some(due);
        self.timers.insert((due, id));
        self.wake(id);
    }

    /// Closes a connection at once; what waits for it is lost.
    pub(super) fn drop_connection(&mut self, id: ConnectionId, why: Why) {
        self.detach(id, why);
        self.remove(id);
    }

    /// Takes its session, its watches and its right to speak from a connection.
    fn detach(&mut self, id: ConnectionId, why: Why) {
        let Some(connection) = self.connection_mut(id) else { return };
        if connection.stage == Stage::Ending {
            return;
        }
        let session = connection.session();
        connection.stage = Stage::Ending;
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(session)) {
            session.connection = session.connection.filter(|current| *current != id);
        }
        self.watches.forget(id);
        self.note(Some(id), session.unwrap_or(0), What::Closed(why));
    }

    fn place(&mut self, connection: Connection) -> ConnectionId {
        let connection = Some(Box::new(connection));
        if let Some(index) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(index as usize) {
                slot.connection = connection;
                return ConnectionId::new(index, slot.generation);
            }
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: 0, connection });
        ConnectionId::new(index, 0)
    }

    fn remove(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get_mut(id.index()) else { return };
        if slot.generation != id.generation() {
            return;
        }
        let Some(connection) = slot.connection.take() else { return };
        slot.generation = slot.generation.wrapping_add(1);
        self.free.extend(u32::try_from(id.index()));
        let address = connection.peer.ip();
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
        if !connection.queued {
            self.ready.push_back(id);
        }
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        let slot = self.slots.get(id.index()).filter(|slot| slot.generation == id.generation())?;
        slot.connection.as_deref()
    }

    pub(super) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation())?;
        slot.connection.as_deref_mut()
    }

    /// All connections.
    pub(super) fn connections(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            Some((ConnectionId::new(index, slot.generation), slot.connection.as_deref()?))
        })
    }

    /// Puts a connection in the line of those that the driver looks at.
    pub(super) fn wake(&mut self, id: ConnectionId) {
        let Some(connection) = self.connection_mut(id) else { return };
        if !std::mem::replace(&mut connection.queued, true) {
            self.ready.push_back(id);
        }
    }

    /// Has a connection looked at then.
    pub(super) fn set_timer(&mut self, due: u64, id: ConnectionId) {
        if due != u64::MAX {
            self.timers.insert((due, id));
        }
    }

    pub(super) fn note(&mut self, connection: Option<ConnectionId>, session: i64, what: What) {
        let at = Duration::from_millis(self.now);
        self.log.push(Entry { at, connection, session, what });
    }

    pub(super) fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(millis(now.saturating_duration_since(self.started)));
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn unix_millis(&self) -> i64 {
        self.started_unix.saturating_add_unsigned(self.now)
    }
}

/// As how many requests more than one a request counts, by the length of its answer.
fn weight(len_bytes: usize) -> usize {
    let is_heavy = len_bytes >= HEAVY_LEN_BYTES && !planted!("server_turns_unweighed");
    if is_heavy { len_bytes / HEAVY_SHARE_LEN_BYTES } else { 0 }
}
