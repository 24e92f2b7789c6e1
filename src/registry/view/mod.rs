//! The live view of one service: what is registered, as last read, and what to read next.
//!
//! An event only marks a path as dirty; what a znode holds is always read. A child is removed when a read that was begun
//! after its last event finds no node, so a takeover, which fires NodeDeleted and NodeCreated of one transaction, is seen as
//! an update at most. After a gap or a reconnect everything is read again and the outcome published as one step; until then,
//! and while apart, the last good set stays. When it reads, and what it does not believe at once, [`Pace`] says.
//!
//! The view is pure: it knows no client, no clock, no chance and no watch modes. Its shell keeps a watch on the directory and its
//! children, runs the reads it is given and hands in what came of them.

mod child;
mod chunks;
mod hold_back;
mod list;
mod pace;
mod read;
mod rules;
mod set;
mod stats;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use menagerie_jute::{ErrorCode, EventType};

use self::child::{Child, Held, Marked};
use self::chunks::ChunkSize;
use self::hold_back::HoldBack;
use self::pace::Gate;
pub use self::pace::Pace;
use self::read::is_child_name;
pub use self::read::{Invalid, InvalidReason, Item, Read, ReadId};
use self::rules::Beside;
pub use self::set::{Change, Entry, Set, Updated};
pub use self::stats::ViewStats;
use super::layout::{Found, Layout, LayoutError};
use super::limits::{CHUNK_REQUEST_LEN_BYTES, READS_IN_FLIGHT};
use super::metadata::Metadata;
use super::read_failure::ReadFailure;

/// One service's instances, kept up to date by reads that it asks for.
///
/// - Facts: [`on_connected`](Self::on_connected), [`on_disconnected`](Self::on_disconnected),
///   [`on_gap`](Self::on_gap), [`on_event`](Self::on_event), [`on_children`](Self::on_children),
///   [`on_data`](Self::on_data), [`on_rules`](Self::on_rules).
/// - Wish: [`retry`](Self::retry).
/// - Outputs: [`next_read`](Self::next_read) until it gives none, then [`poll_change`](Self::poll_change) and
///   [`poll_timeout`](Self::poll_timeout), after every fact and at the time that was asked for.
///
/// Events come before the replies to reads that the server answered after them, as ZooKeeper sends them.
#[derive(Debug)]
pub struct View {
    layout: Arc<dyn Layout>,
    service: String,
    dir: String,
    connected: bool,
    /// Set by a failure that would only be repeated at once.
    paused: bool,
    last_failure: Option<ReadFailure>,
    stale_since: Option<Instant>,
    /// Orders events and the beginnings of reads.
    clock: u64,
    /// The newest mark on the list of children.
    list_dirty: Option<u64>,
    list_asked: bool,
    children: BTreeMap<Arc<str>, Child>,
    /// Children to read, each at most once.
    queue: VecDeque<Arc<str>>,
    in_flight: BTreeMap<ReadId, InFlight>,
    chunk: ChunkSize,
    resync: Option<Resync>,
    gate: Gate,
    hold_back: HoldBack,
    /// Rules that stand in a directory of their own.
    beside: Beside,
    /// Whether the children differ from the published set.
    changed: bool,
    current: Option<Arc<Set>>,
    announced: Option<Arc<Set>>,
    /// Of the instance that was read last.
    last_metadata: Metadata,
    invalid_seen: u64,
    /// Moves with every child that begins or ceases to stand for no instance.
    invalid_version: u64,
    events: u64,
    gaps: u64,
    reads: u64,
}

/// Everything is to be read again before anything is published.
#[derive(Debug)]
struct Resync {
    /// When it began.
    mark: u64,
    /// How many children it waits for.
    owed: usize,
}

#[derive(Debug)]
struct InFlight {
    begun: u64,
    /// The children it reads; none if it reads their list.
    names: Vec<Arc<str>>,
}

impl View {
    /// A view of `service` in `layout`. Nothing is read before [`on_connected`](Self::on_connected). What is drawn by lot
    /// is drawn from `seed`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if the layout has no directory for that name.
    pub fn new(layout: Arc<dyn Layout>, service: &str, pace: Pace, seed: u64) -> Result<Self, LayoutError> {
        let dir = layout.service_dir(service)?;
        let beside = Beside::new(layout.rules_dir(service)?);
        Ok(Self {
            beside,
            layout,
            service: service.to_owned(),
            dir,
            connected: false,
            paused: false,
            last_failure: None,
            stale_since: None,
            clock: 0,
            list_dirty: None,
            list_asked: false,
            children: BTreeMap::new(),
            queue: VecDeque::new(),
            in_flight: BTreeMap::new(),
            chunk: ChunkSize::new(),
            resync: None,
            hold_back: HoldBack::new(pace.hold_back_percent),
            gate: Gate::new(pace, seed),
            changed: false,
            current: None,
            announced: None,
            last_metadata: Metadata::new(),
            invalid_seen: 0,
            invalid_version: 0,
            events: 0,
            gaps: 0,
            reads: 0,
        })
    }

    /// The directory to watch.
    #[must_use]
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// The directory of rules to watch and list, if there is one: [`on_rules`](Self::on_rules).
    #[must_use]
    pub fn rules_dir(&self) -> Option<&str> {
        self.beside.dir.as_deref()
    }

    /// The last good set: none until the first complete one.
    #[must_use]
    pub fn set(&self) -> Option<&Arc<Set>> {
        self.current.as_ref()
    }

    /// Since when the set may be out of date because ZooKeeper was away; `None` while it is not.
    #[must_use]
    pub fn stale_since(&self) -> Option<Instant> {
        self.stale_since
    }

    /// Why a read last failed, until one succeeds: the list of children, or any read for another reason than its size.
    /// The view then waits for [`retry`](Self::retry) or the next connection.
    #[must_use]
    pub fn last_failure(&self) -> Option<ReadFailure> {
        self.last_failure
    }

    /// Whether reads wait for [`retry`](Self::retry).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The children that stand for no instance now.
    pub fn invalid(&self) -> impl Iterator<Item = Invalid> {
        let among = self.children.iter().filter_map(|(leaf, child)| match &child.held {
            Held::Invalid(reason) => Some(Invalid { leaf: Arc::clone(leaf), reason: (**reason).clone() }),
            _ => None,
        });
        among.chain(self.beside.invalid.iter().cloned())
    }

    /// How often a child was found to stand for no instance, since the beginning.
    #[must_use]
    pub fn invalid_seen(&self) -> u64 {
        self.invalid_seen
    }

    /// Differs from an earlier one if [`invalid`](Self::invalid) may differ.
    #[must_use]
    pub fn invalid_version(&self) -> u64 {
        self.invalid_version
    }

    /// When and what the view reads.
    #[must_use]
    pub fn pace(&self) -> &Pace {
        self.gate.pace()
    }

    /// How long the session lives without contact, as negotiated: for so long a sudden loss is held back.
    pub fn set_session_timeout(&mut self, timeout: Duration) {
        self.hold_back.set_session_timeout(timeout);
    }

    /// A session serves us, the same or a new one: everything is read again.
    pub fn on_connected(&mut self) {
        self.connected = true;
        self.on_gap();
    }

    /// The connection is gone, and with it all reads in flight. The set stays, stale since `now`.
    pub fn on_disconnected(&mut self, now: Instant) {
        self.connected = false;
        self.stale_since.get_or_insert(now);
        self.list_asked = false;
        self.gate.on_disconnected(now);
        for read in std::mem::take(&mut self.in_flight).into_values() {
            for name in &read.names {
                self.requeue(name, read.begun);
            }
        }
    }

    /// Events may have been missed: everything is read again.
    pub fn on_gap(&mut self) {
        self.paused = false;
        self.clock += 1;
        self.gaps += u64::from(self.current.is_some());
        self.list_dirty = Some(self.clock);
        self.gate.hold_all();
        self.hold_back.on_gap(self.current.as_ref());
        for name in std::mem::take(&mut self.queue) {
            self.gate.hold(&name);
        }
        self.resync = Some(Resync { mark: self.clock, owed: 0 });
        let names: Vec<Arc<str>> = self.children.keys().cloned().collect();
        for name in names {
            self.mark(&name, Marked::ByEvent);
            if let Some(child) = self.children.get_mut(&name) {
                child.owed = false;
            }
            self.owe(&name);
        }
    }

    /// Lets the resync wait for a child that is still to be read.
    fn owe(&mut self, name: &str) {
        let (Some(resync), Some(child)) = (&mut self.resync, self.children.get_mut(name)) else { return };
        if child.dirty.is_some() && !child.owed {
            child.owed = true;
            resync.owed += 1;
        }
    }

    /// A watch fired for `path`. Paths elsewhere are ignored.
    pub fn on_event(&mut self, path: &str, kind: EventType) {
        let Some(below) = path.strip_prefix(self.dir.as_str()) else { return };
        self.events += 1;
        match below.strip_prefix('/') {
            None if below.is_empty() && kind != EventType::NODE_DATA_CHANGED => {
                self.clock += 1;
                self.list_dirty = Some(self.clock);
                self.gate.hold_list();
            }
            Some(name) if is_child_name(name) => self.on_child_event(name, kind),
            _ => {}
        }
    }

    fn on_child_event(&mut self, name: &str, kind: EventType) {
        if planted!("registry_remove_on_event") && kind == EventType::NODE_DELETED {
            self.remove(name);
            return self.publish();
        }
        if planted!("registry_changes_unread") && kind == EventType::NODE_DATA_CHANGED {
            return;
        }
        if self.children.contains_key(name) || kind != EventType::NODE_DELETED {
            self.mark(&Arc::from(name), Marked::ByEvent);
        }
    }

    /// Tries again what was refused. The shell calls it after a pause of its choice.
    pub fn retry(&mut self) {
        self.paused = false;
    }

    /// What to read next, if anything is to be read now.
    pub fn next_read(&mut self, now: Instant) -> Option<Read> {
        self.tick(now);
        if !self.connected || self.paused || self.in_flight.len() >= READS_IN_FLIGHT {
            return None;
        }
        if self.list_dirty.is_some() && !self.list_asked && !self.gate.holds_list() {
            self.list_asked = true;
            let id = self.begin(Vec::new());
            return Some(Read::Children { id, path: self.dir.clone() });
        }
        let names = self.next_chunk();
        if names.is_empty() {
            return None;
        }
        let paths = names.iter().map(|name| format!("{}/{name}", self.dir)).collect();
        Some(Read::Data { id: self.begin(names), paths })
    }

    /// Lets out what has waited long enough.
    fn tick(&mut self, now: Instant) {
        if !self.connected {
            return;
        }
        let instances = self.current.as_ref().map_or(0, |set| set.len());
        self.queue.extend(self.gate.release(now, instances));
        if self.resync.is_none() && self.hold_back.tick(now) {
            self.changed = true;
            self.publish();
        }
        if self.hold_back.held_back().0 > 0 {
            self.stale_since.get_or_insert(now);
        }
    }

    /// When [`next_read`](Self::next_read) is to be asked again, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timeouts = [self.gate.poll_timeout(), self.hold_back.poll_timeout()];
        timeouts.into_iter().flatten().min().filter(|_| self.connected)
    }

    fn begin(&mut self, names: Vec<Arc<str>>) -> ReadId {
        self.clock += 1;
        let id = ReadId(self.clock);
        self.in_flight.insert(id, InFlight { begun: self.clock, names });
        self.reads += 1;
        id
    }

    fn next_chunk(&mut self) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        let (mut room, mut len_bytes) = (self.chunk.paths(), 0);
        while names.len() < room {
            let Some(name) = self.queue.front() else { break };
            let path_len_bytes = self.dir.len() + name.len();
            // Gone since it was queued.
            let Some(child) = self.children.get_mut(name).filter(|child| child.queued) else {
                self.queue.pop_front();
                continue;
            };
            let full = child.share <= names.len() || len_bytes + path_len_bytes > CHUNK_REQUEST_LEN_BYTES;
            if full && !names.is_empty() {
                break;
            }
            (child.queued, child.asked) = (false, true);
            room = room.min(child.share);
            len_bytes += path_len_bytes;
            names.extend(self.queue.pop_front());
        }
        names
    }

    /// The answer to [`Read::Data`]: one item a path, in their order, and the bytes of the reply.
    pub fn on_data(&mut self, id: ReadId, reply: Result<(Vec<Item>, usize), ReadFailure>) {
        let Some(mut read) = self.in_flight.remove(&id) else { return };
        let paths = read.names.len();
        match reply {
            Ok((items, len_bytes)) => {
                self.chunk.on_reply(paths, len_bytes);
                self.last_failure = None;
                if items.len() < paths {
                    self.pause(ReadFailure::Refused(ErrorCode::API_ERROR));
                }
                let mut items = items.into_iter();
                let mut over =
                    |name: &Arc<str>| items.next().is_some_and(|item| self.found(name, read.begun, item));
                read.names.retain(|name| !over(name));
            }
            Err(ReadFailure::TooLarge) => self.too_large(&read),
            Err(failure) => self.pause(failure),
        }
        for name in &read.names {
            self.requeue(name, read.begun);
        }
        self.publish();
    }

    /// What a read found in place of a child. Says whether nothing more is to be done about it.
    fn found(&mut self, name: &Arc<str>, begun: u64, item: Item) -> bool {
        match item {
            Ok((data, stat)) => {
                let found = Found { name, data: &data, stat };
                let held = self.hold(&found);
                if matches!(held, Held::Invalid(_)) && planted!("registry_malformed_fails") {
                    self.pause(ReadFailure::Refused(ErrorCode::MARSHALLING_ERROR));
                    return false;
                }
                self.settle(name, begun, Some(held))
            }
            Err(ErrorCode::NO_NODE) => {
                let hasty = planted!("registry_early_no_node");
                let clean = |child: &Child| hasty || child.dirty.is_none_or(|mark| mark <= begun);
                if self.children.get(name).is_some_and(clean) {
                    self.remove(name);
                }
                false
            }
            Err(ErrorCode::NO_AUTH) => self.settle(name, begun, Some(Held::invalid(InvalidReason::NoAuth))),
            Err(code) => {
                // What was read before stays; what never was is listed, so that the others need not wait for it.
                let unread = self.children.get(name).is_some_and(|child| matches!(child.held, Held::Unread));
                let held = unread.then_some(Held::invalid(InvalidReason::Refused(code)));
                self.settle(name, begun, held);
                self.mark(name, Marked::ByRead);
                self.pause(ReadFailure::Refused(code));
                false
            }
        }
    }

    fn too_large(&mut self, read: &InFlight) {
        let paths = read.names.len();
        self.chunk.on_too_large(paths);
        if let [name] = &read.names[..] {
            self.settle(name, read.begun, Some(Held::invalid(InvalidReason::TooLarge)));
        }
        for name in &read.names {
            if let Some(child) = self.children.get_mut(name) {
                child.share = (paths / 2).max(1);
            }
        }
    }

    /// A read begun at `begun` has told what a child holds, or that what it holds shall stay. Says whether the read is over
    /// for the child, and no other is due.
    fn settle(&mut self, name: &str, begun: u64, held: Option<Held>) -> bool {
        let Some(child) = self.children.get_mut(name) else { return true };
        child.dirty = child.dirty.filter(|mark| *mark > begun);
        let is_over = child.dirty.is_none();
        child.asked &= !is_over;
        if held.as_ref().is_some_and(Held::has_data) {
            child.share = usize::MAX;
        }
        if let Some(resync) = self.resync.as_mut().filter(|resync| child.owed && begun > resync.mark) {
            child.owed = false;
            resync.owed -= 1;
        }
        let Some(held) = held else { return is_over };
        match (&child.held, &held) {
            // The same instance keeps its place in memory, which makes sets cheap to compare.
            (Held::Instance(old), Held::Instance(new)) if old == new => return is_over,
            (Held::Invalid(old), Held::Invalid(new)) if old == new => return is_over,
            (Held::Rule(old), Held::Rule(new)) if old == new => return is_over,
            (_, Held::Invalid(_)) => self.invalid_seen += 1,
            _ => {}
        }
        let held_invalid = |held: &Held| matches!(held, Held::Invalid(_));
        self.invalid_version += u64::from(held_invalid(&child.held) || held_invalid(&held));
        self.changed |= child.held.shows() || held.shows();
        child.held = held;
        is_over
    }

    fn remove(&mut self, name: &str) {
        let Some(child) = self.children.remove(name) else { return };
        if let Some(resync) = self.resync.as_mut().filter(|_| child.owed) {
            resync.owed -= 1;
        }
        self.invalid_version += u64::from(matches!(child.held, Held::Invalid(_)));
        self.changed |= child.held.shows();
    }

    /// Something may have changed at a child, known or not.
    fn mark(&mut self, name: &Arc<str>, by: Marked) {
        self.clock += 1;
        let child = self.children.entry(Arc::clone(name)).or_insert_with(Child::unread);
        if !is_child_name(name) {
            self.invalid_seen += u64::from(matches!(child.held, Held::Unread));
            self.invalid_version += 1;
            child.held = Held::invalid(InvalidReason::Name);
            return;
        }
        child.dirty = Some(self.clock);
        if !child.queued && !child.asked {
            child.queued = true;
            match by {
                Marked::ByRead => self.queue.push_back(Arc::clone(name)),
                Marked::ByEvent => self.gate.hold(name),
            }
        }
    }

    /// A read of the child is over: it is read again if it is still dirty, at once unless an event made it so.
    fn requeue(&mut self, name: &Arc<str>, begun: u64) {
        let Some(child) = self.children.get_mut(name).filter(|child| child.asked) else { return };
        child.asked = false;
        let Some(mark) = child.dirty.filter(|_| !child.queued) else { return };
        child.queued = true;
        if mark > begun && self.resync.is_none() {
            self.gate.hold(name);
        } else {
            self.queue.push_back(Arc::clone(name));
        }
    }

    fn pause(&mut self, failure: ReadFailure) {
        self.paused = true;
        self.last_failure = Some(failure);
    }

    /// The step from the set that was last polled to the current one. The first is the step from nothing to the first
    /// complete set, even if that is empty; later ones are never empty. What happens between two polls is one step.
    pub fn poll_change(&mut self) -> Option<Change> {
        let current = self.current.as_ref()?;
        let first = self.announced.is_none();
        let before = self.announced.replace(Arc::clone(current)).unwrap_or_default();
        if Arc::ptr_eq(&before, current) {
            return None;
        }
        let change = Change::between(&before, Arc::clone(current));
        Some(change).filter(|change| first || !change.is_empty())
    }
}

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod pace_test;
#[cfg(test)]
mod tests;
