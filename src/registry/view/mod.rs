//! The live view of one service: what is registered, as last read, and what to read next.
//!
//! An event only marks a path as dirty; what a znode holds is always read. A child is removed when a read that was begun
//! after its last event finds no node, so a takeover, which fires NodeDeleted and NodeCreated of one transaction, is seen as
//! an update at most. After a gap or a reconnect everything is read again and the outcome published as one step; until then,
//! and while apart, the last good set stays.
//!
//! The view is pure: it knows no client, no clock and no watch modes. Its shell keeps a watch on the directory and its
//! children, runs the reads it is given and hands in what came of them.

mod chunks;
mod set;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use menagerie_jute::{ErrorCode, EventType};
use thiserror::Error;

use self::chunks::ChunkSize;
pub use self::set::{Change, Entry, Set, Updated};
use super::layout::{Found, Layout, LayoutError, LeafStat, ReadError};
use super::limits::{CHUNK_REQUEST_LEN_BYTES, READS_IN_FLIGHT};
use super::model::Instance;
use super::read_failure::ReadFailure;

/// One service's instances, kept up to date by reads that it asks for.
///
/// - Facts: [`on_connected`](Self::on_connected), [`on_disconnected`](Self::on_disconnected),
///   [`on_gap`](Self::on_gap), [`on_event`](Self::on_event), [`on_children`](Self::on_children),
///   [`on_data`](Self::on_data).
/// - Wish: [`retry`](Self::retry).
/// - Outputs: [`next_read`](Self::next_read) until it gives none, then [`poll_change`](Self::poll_change), after every fact.
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
    /// Whether the children differ from the published set.
    changed: bool,
    current: Option<Arc<Set>>,
    announced: Option<Arc<Set>>,
    invalid_seen: u64,
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
struct Child {
    /// The newest mark: something may have changed then.
    dirty: Option<u64>,
    queued: bool,
    asked: bool,
    /// Whether a resync waits for it.
    owed: bool,
    /// The most paths of a read that may include it: halved with every read that was too large.
    share: usize,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Unread,
    Instance(Arc<Instance>),
    Invalid(InvalidReason),
}

#[derive(Debug)]
struct InFlight {
    begun: u64,
    /// The children it reads; none if it reads their list.
    names: Vec<Arc<str>>,
}

/// Names a read, so that its answer finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(u64);

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The names of a znode's children, answered by [`View::on_children`].
    Children {
        /// Names the read.
        id: ReadId,
        /// The directory.
        path: String,
    },
    /// The data and stat of these znodes by one multiRead, answered by [`View::on_data`]. A single one is read by getData.
    Data {
        /// Names the read.
        id: ReadId,
        /// The znodes; never empty.
        paths: Vec<String>,
    },
}

/// What came of one path of a [`Read::Data`].
pub type Item = Result<(Bytes, LeafStat), ErrorCode>;

/// A child that stands for no instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its name as the server sent it. It may hold anything: print it escaped.
    pub leaf: Arc<str>,
    /// Why.
    pub reason: InvalidReason,
}

/// Why a child stands for no instance.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidReason {
    /// The layout does not recognise it.
    #[error(transparent)]
    Malformed(#[from] ReadError),
    /// Its ACL does not let us read it.
    #[error("its ACL does not let us read it")]
    NoAuth,
    /// Alone it is larger than a reply may be.
    #[error("it is larger than a reply may be")]
    TooLarge,
    /// Reading it failed, and it has never been read. It is read again.
    #[error("reading it failed: {0}")]
    Refused(ErrorCode),
    /// Its name is none that a child can have.
    #[error("its name is none that a child can have")]
    Name,
}

impl View {
    /// A view of `service` in `layout`. Nothing is read before [`on_connected`](Self::on_connected).
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if the layout has no directory for that name.
    pub fn new(layout: Arc<dyn Layout>, service: &str) -> Result<Self, LayoutError> {
        let dir = layout.service_dir(service)?;
        Ok(Self {
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
            changed: false,
            current: None,
            announced: None,
            invalid_seen: 0,
        })
    }

    /// The directory to watch.
    #[must_use]
    pub fn dir(&self) -> &str {
        &self.dir
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
        self.children.iter().filter_map(|(leaf, child)| match &child.held {
            Held::Invalid(reason) => Some(Invalid { leaf: Arc::clone(leaf), reason: reason.clone() }),
            _ => None,
        })
    }

    /// How often a child was found to stand for no instance, since the beginning.
    #[must_use]
    pub fn invalid_seen(&self) -> u64 {
        self.invalid_seen
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
        for read in std::mem::take(&mut self.in_flight).into_values() {
            for name in &read.names {
                self.requeue(name);
            }
        }
    }

    /// Events may have been missed: everything is read again.
    pub fn on_gap(&mut self) {
        self.paused = false;
        self.clock += 1;
        self.list_dirty = Some(self.clock);
        self.resync = Some(Resync { mark: self.clock, owed: 0 });
        let names: Vec<Arc<str>> = self.children.keys().cloned().collect();
        for name in names {
            self.mark(&name);
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
        match below.strip_prefix('/') {
            None if below.is_empty() && kind != EventType::NODE_DATA_CHANGED => {
                self.clock += 1;
                self.list_dirty = Some(self.clock);
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
        if self.children.contains_key(name) || kind != EventType::NODE_DELETED {
            self.mark(&Arc::from(name));
        }
    }

    /// Tries again what was refused. The shell calls it after a pause of its choice.
    pub fn retry(&mut self) {
        self.paused = false;
    }

    /// What to read next, if anything can be read now.
    pub fn next_read(&mut self) -> Option<Read> {
        if !self.connected || self.paused || self.in_flight.len() >= READS_IN_FLIGHT {
            return None;
        }
        if self.list_dirty.is_some() && !self.list_asked {
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

    fn begin(&mut self, names: Vec<Arc<str>>) -> ReadId {
        self.clock += 1;
        let id = ReadId(self.clock);
        self.in_flight.insert(id, InFlight { begun: self.clock, names });
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

    /// The answer to [`Read::Children`]. No node is an answer too: no children.
    pub fn on_children<N: AsRef<str>>(
        &mut self,
        id: ReadId,
        names: Result<impl IntoIterator<Item = N>, ReadFailure>,
    ) {
        let Some(read) = self.in_flight.remove(&id) else { return };
        self.list_asked = false;
        match names {
            Ok(names) => {
                self.listed(read.begun, names.into_iter().map(|name| Arc::from(name.as_ref())).collect())
            }
            Err(ReadFailure::Refused(ErrorCode::NO_NODE)) => self.listed(read.begun, Vec::new()),
            Err(failure) => self.pause(failure),
        }
        self.publish();
    }

    fn listed(&mut self, begun: u64, mut names: Vec<Arc<str>>) {
        self.last_failure = None;
        self.list_dirty = self.list_dirty.filter(|mark| *mark > begun);
        names.sort_unstable();
        names.dedup();
        let missing = |name: &&Arc<str>| names.binary_search(name).is_err();
        let gone: Vec<Arc<str>> = self.children.keys().filter(missing).cloned().collect();
        let resync = self.resync.as_ref().is_some_and(|resync| begun > resync.mark);
        for name in names {
            if !self.children.contains_key(&name) {
                self.mark(&name);
            }
            if resync {
                self.owe(&name);
            }
        }
        // Missing in a list is a reason to look, not to remove: it may be older than what is known.
        for name in gone {
            if is_child_name(&name) { self.mark(&name) } else { self.remove(&name) }
        }
    }

    /// The answer to [`Read::Data`]: one item a path, in their order, and the bytes of the reply.
    pub fn on_data(&mut self, id: ReadId, reply: Result<(Vec<Item>, usize), ReadFailure>) {
        let Some(read) = self.in_flight.remove(&id) else { return };
        let paths = read.names.len();
        match reply {
            Ok((items, len_bytes)) => {
                self.chunk.on_reply(paths, len_bytes);
                self.last_failure = None;
                let short = items.len() < paths;
                for (name, item) in read.names.iter().zip(items) {
                    self.found(name, read.begun, item);
                }
                if short {
                    self.pause(ReadFailure::Refused(ErrorCode::API_ERROR));
                }
            }
            Err(ReadFailure::TooLarge) => self.too_large(&read),
            Err(failure) => self.pause(failure),
        }
        for name in &read.names {
            self.requeue(name);
        }
        self.publish();
    }

    fn found(&mut self, name: &Arc<str>, begun: u64, item: Item) {
        match item {
            Ok((data, stat)) => {
                let found = Found { name, data: &data, stat };
                let held = match self.layout.read(&self.service, &found) {
                    Ok(instance) => Held::Instance(Arc::new(instance)),
                    Err(error) => Held::Invalid(error.into()),
                };
                self.settle(name, begun, Some(held));
                if let Some(child) = self.children.get_mut(name) {
                    child.share = usize::MAX;
                }
            }
            Err(ErrorCode::NO_NODE) => {
                let hasty = planted!("registry_early_no_node");
                let clean = |child: &Child| hasty || child.dirty.is_none_or(|mark| mark <= begun);
                if self.children.get(name).is_some_and(clean) {
                    self.remove(name);
                }
            }
            Err(ErrorCode::NO_AUTH) => self.settle(name, begun, Some(Held::Invalid(InvalidReason::NoAuth))),
            Err(code) => {
                // What was read before stays; what never was is listed, so that the others need not wait for it.
                let unread = self.children.get(name).is_some_and(|child| matches!(child.held, Held::Unread));
                let held = unread.then_some(Held::Invalid(InvalidReason::Refused(code)));
                self.settle(name, begun, held);
                self.mark(name);
                self.pause(ReadFailure::Refused(code));
            }
        }
    }

    fn too_large(&mut self, read: &InFlight) {
        let paths = read.names.len();
        self.chunk.on_too_large(paths);
        if let [name] = &read.names[..] {
            self.settle(name, read.begun, Some(Held::Invalid(InvalidReason::TooLarge)));
        }
        for name in &read.names {
            if let Some(child) = self.children.get_mut(name) {
                child.share = (paths / 2).max(1);
            }
        }
    }

    /// A read begun at `begun` has told what a child holds, or that what it holds shall stay.
    fn settle(&mut self, name: &str, begun: u64, held: Option<Held>) {
        let Some(child) = self.children.get_mut(name) else { return };
        child.dirty = child.dirty.filter(|mark| *mark > begun);
        if let Some(resync) = self.resync.as_mut().filter(|resync| child.owed && begun > resync.mark) {
            child.owed = false;
            resync.owed -= 1;
        }
        let Some(held) = held else { return };
        match (&child.held, &held) {
            // The same instance keeps its place in memory, which makes sets cheap to compare.
            (Held::Instance(old), Held::Instance(new)) if old == new => return,
            (Held::Invalid(old), Held::Invalid(new)) if old == new => return,
            (_, Held::Invalid(_)) => self.invalid_seen += 1,
            _ => {}
        }
        self.changed |= matches!((&child.held, &held), (Held::Instance(_), _) | (_, Held::Instance(_)));
        child.held = held;
    }

    fn remove(&mut self, name: &str) {
        let Some(child) = self.children.remove(name) else { return };
        if let Some(resync) = self.resync.as_mut().filter(|_| child.owed) {
            resync.owed -= 1;
        }
        self.changed |= matches!(child.held, Held::Instance(_));
    }

    /// Something may have changed at a child, known or not.
    fn mark(&mut self, name: &Arc<str>) {
        self.clock += 1;
        let child = self.children.entry(Arc::clone(name)).or_insert_with(|| Child {
            dirty: None,
            queued: false,
            asked: false,
            owed: false,
            share: usize::MAX,
            held: Held::Unread,
        });
        if !is_child_name(name) {
            self.invalid_seen += u64::from(matches!(child.held, Held::Unread));
            child.held = Held::Invalid(InvalidReason::Name);
            return;
        }
        child.dirty = Some(self.clock);
        if !child.queued && !child.asked {
            child.queued = true;
            self.queue.push_back(Arc::clone(name));
        }
    }

    /// A read of the child is over: it is read again if it is still dirty.
    fn requeue(&mut self, name: &Arc<str>) {
        let Some(child) = self.children.get_mut(name).filter(|child| child.asked) else { return };
        child.asked = false;
        if child.dirty.is_some() && !child.queued {
            child.queued = true;
            self.queue.push_back(Arc::clone(name));
        }
    }

    fn pause(&mut self, failure: ReadFailure) {
        self.paused = true;
        self.last_failure = Some(failure);
    }

    /// Makes the set of what is known, unless it is known in part only.
    fn publish(&mut self) {
        if let Some(resync) = &self.resync {
            let listed = self.list_dirty.is_none_or(|mark| mark > resync.mark);
            if !listed || resync.owed > 0 && !planted!("registry_partial_set") {
                return;
            }
            self.resync = None;
            self.stale_since = self.stale_since.filter(|_| !self.connected);
        }
        if std::mem::take(&mut self.changed) || self.current.is_none() {
            let entry = |(leaf, child): (&Arc<str>, &Child)| match &child.held {
                Held::Instance(instance) => {
                    Some(Entry { leaf: Arc::clone(leaf), instance: Arc::clone(instance) })
                }
                _ => None,
            };
            self.current = Some(Arc::new(Set::from_sorted(self.children.iter().filter_map(entry).collect())));
        }
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

/// Servers send no others, but a path made of such a name would lead elsewhere.
fn is_child_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/')
}

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod tests;
