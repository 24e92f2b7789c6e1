//! Who watches what: the local watchers of each path, and what the server holds for this connection.
//!
//! Before 3.9 the watch modes of one path overwrite each other on the server (ZOOKEEPER-4466). So each path has at most
//! one lasting mode there, the strongest wished for, and weaker ones are served from its events. One-shot watches on a
//! path without a lasting mode are the server's own.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::{Notice, WatchKind, WatcherId};
use crate::jute::{EventType, Ustring};

/// All watchers of a session.
#[derive(Debug, Default)]
pub(super) struct WatchTable {
    paths: BTreeMap<Arc<str>, PathWatches>,
    watchers: BTreeMap<WatcherId, (Arc<str>, List)>,
    recursive: usize,
    /// Paths that the server watches for nobody, oldest first.
    abandoned: VecDeque<Arc<str>>,
}

/// The lists of `SetWatches2`, in the order in which the server works through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Data,
    Exist,
    Child,
    Persistent,
    Recursive,
}

pub(super) const LISTS: [List; 5] = [List::Data, List::Exist, List::Child, List::Persistent, List::Recursive];

/// The watchers of one path, a list each, and what the server holds.
#[derive(Debug, Default)]
struct PathWatches {
    lists: [Vec<WatcherId>; 5],
    wire: Wire,
    /// Requests on their way that set a watch here.
    arming: u32,
    abandoned: bool,
}

/// What the server holds for this connection on one path.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Wire {
    data: bool,
    child: bool,
    /// As asked for: what goes out from here on is behind it.
    lasting: Option<Lasting>,
    /// As answered: what comes in until then is of the mode before.
    answered: Option<Lasting>,
}

/// A mode that outlives its events, the weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lasting {
    Persistent,
    Recursive,
}

/// How a request that sets a watch must go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    /// With its watch flag as it is.
    Keep,
    /// Without: the lasting mode of the path serves it.
    Clear,
    /// `addWatch` with this mode.
    Mode(Lasting),
}

/// A watch on its way: what its reply registers.
#[derive(Debug, Clone)]
pub(super) struct Arming {
    pub(super) kind: WatchKind,
    pub(super) path: Arc<str>,
    /// The mode that it goes out with.
    mode: Option<Lasting>,
}

impl Arming {
    pub(super) fn new(kind: WatchKind, path: Arc<str>) -> Self {
        Self { kind, path, mode: None }
    }
}

impl List {
    fn of(kind: WatchKind, exists: bool) -> Self {
        match kind {
            WatchKind::Data if exists => Self::Data,
            WatchKind::Data => Self::Exist,
            WatchKind::Child => Self::Child,
            WatchKind::Persistent => Self::Persistent,
            WatchKind::Recursive => Self::Recursive,
        }
    }

    pub(super) fn is_one_shot(self) -> bool {
        matches!(self, Self::Data | Self::Exist | Self::Child)
    }
}

impl Lasting {
    /// The mode's number in `AddWatchRequest`.
    pub(super) fn code(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Recursive => 1,
        }
    }
}

impl Wire {
    /// Whether the events that come in now are those of the recursive mode: a child's own instead of its parent's.
    fn children_come_one_by_one(self) -> bool {
        let mode = if planted!("session_mode_before_answer") { self.lasting } else { self.answered };
        mode == Some(Lasting::Recursive)
    }

    fn holds_anything(self) -> bool {
        self.data || self.child || self.lasting.is_some()
    }
}

impl PathWatches {
    fn list(&self, list: List) -> &Vec<WatcherId> {
        let [data, exist, child, persistent, recursive] = &self.lists;
        match list {
            List::Data => data,
            List::Exist => exist,
            List::Child => child,
            List::Persistent => persistent,
            List::Recursive => recursive,
        }
    }

    fn list_mut(&mut self, list: List) -> &mut Vec<WatcherId> {
        let [data, exist, child, persistent, recursive] = &mut self.lists;
        match list {
            List::Data => data,
            List::Exist => exist,
            List::Child => child,
            List::Persistent => persistent,
            List::Recursive => recursive,
        }
    }

    fn has_watchers(&self) -> bool {
        self.lists.iter().any(|list| !list.is_empty())
    }

    fn is_idle(&self) -> bool {
        !self.has_watchers() && self.arming == 0 && !self.wire.holds_anything()
    }
}

impl WatchTable {
    /// A request that sets a watch enters the connection's buffer: from here on the server's order is fixed.
    pub(super) fn arm(&mut self, arming: &mut Arming) -> Flag {
        let entry = self.paths.entry(arming.path.clone()).or_default();
        entry.arming += 1;
        let wished = match arming.kind {
            WatchKind::Persistent => Lasting::Persistent,
            WatchKind::Recursive => Lasting::Recursive,
            one_shot => {
                if entry.wire.lasting.is_some() {
                    return Flag::Clear;
                }
                entry.wire.data |= one_shot == WatchKind::Data;
                entry.wire.child |= one_shot == WatchKind::Child;
                return Flag::Keep;
            }
        };
        let strongest = entry.wire.lasting.max(Some(wished)).unwrap_or(wished);
        entry.wire.lasting = Some(strongest);
        arming.mode = Some(strongest);
        Flag::Mode(strongest)
    }

    /// The request was answered. `registers` is the watcher it sets now, if its answer sets one and somebody listens;
    /// `exists` is whether the znode was there.
    pub(super) fn armed(&mut self, arming: &Arming, registers: Option<WatcherId>, exists: bool) {
        let Some(entry) = self.paths.get_mut(&arming.path) else { return };
        entry.arming = entry.arming.saturating_sub(1);
        if exists {
            entry.wire.answered = entry.wire.answered.max(arming.mode);
        }
        if let Some(watcher) = registers {
            let list = List::of(arming.kind, exists);
            entry.list_mut(list).push(watcher);
            self.watchers.insert(watcher, (arming.path.clone(), list));
            self.recursive += usize::from(list == List::Recursive);
        }
        self.tidy(&arming.path.clone());
    }

    /// The request was refused in a way that sets no watch.
    pub(super) fn not_armed(&mut self, arming: &Arming) {
        if let Some(entry) = self.paths.get_mut(&arming.path) {
            let others = entry.arming > 1 || entry.has_watchers();
            match arming.kind {
                _ if others => {}
                WatchKind::Data => entry.wire.data = false,
                WatchKind::Child => entry.wire.child = false,
                WatchKind::Persistent | WatchKind::Recursive => {
                    (entry.wire.lasting, entry.wire.answered) = (None, None);
                }
            }
        }
        self.armed(arming, None, false);
    }

    /// Nobody listens to this watcher any more. True if it was known.
    pub(super) fn remove(&mut self, watcher: WatcherId) -> bool {
        let Some((path, list)) = self.watchers.remove(&watcher) else { return false };
        if let Some(entry) = self.paths.get_mut(&path) {
            entry.list_mut(list).retain(|&other| other != watcher);
            self.recursive -= usize::from(list == List::Recursive);
        }
        self.tidy(&path);
        true
    }

    /// Forgets the path if nothing is left of it, or notes that the server watches it for nobody.
    fn tidy(&mut self, path: &Arc<str>) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        if entry.is_idle() {
            self.paths.remove(path);
        } else if !entry.has_watchers() && entry.arming == 0 && !entry.abandoned {
            entry.abandoned = true;
            self.abandoned.push_back(path.clone());
        }
    }

    /// The next path to take back from the server; `eager` also takes one-shot watches, which may still fire and go by
    /// themselves.
    pub(super) fn next_abandoned(&mut self, eager: bool) -> Option<Arc<str>> {
        for _ in 0..self.abandoned.len() {
            let path = self.abandoned.pop_front()?;
            let Some(entry) = self.paths.get_mut(&path) else { continue };
            if entry.has_watchers() || entry.arming > 0 {
                entry.abandoned = false;
                continue;
            }
            if eager || entry.wire.lasting.is_some() {
                entry.wire = Wire::default();
                self.paths.remove(&path);
                return Some(path);
            }
            self.abandoned.push_back(path);
        }
        None
    }

    pub(super) fn abandoned(&self) -> usize {
        self.abandoned.len()
    }

    /// The connection went, and all that the server held with it. Requests on their way set nothing.
    pub(super) fn disconnected(&mut self) {
        if planted!("session_watches_forgotten") {
            *self = Self::default();
        }
        self.abandoned.clear();
        self.paths.retain(|_, entry| {
            entry.wire = Wire::default();
            entry.arming = 0;
            entry.abandoned = false;
            entry.has_watchers()
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Paths of one list behind `after`, in order.
    pub(super) fn paths_of(&self, list: List, after: Option<Arc<str>>) -> impl Iterator<Item = &Arc<str>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.paths.range::<Arc<str>, _>((start, Bound::Unbounded));
        range.filter(move |(_, entry)| !entry.list(list).is_empty()).map(|(path, _)| path)
    }

    /// `SetWatches` names this path in this list: the server will hold it again.
    pub(super) fn rearm(&mut self, list: List, path: &Arc<str>) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        match list {
            List::Data | List::Exist => entry.wire.data = true,
            List::Child => entry.wire.child = true,
            List::Persistent => entry.wire.lasting = entry.wire.lasting.max(Some(Lasting::Persistent)),
            List::Recursive => entry.wire.lasting = Some(Lasting::Recursive),
        }
        // Lasting watchers have a gap until all is set again.
        entry.wire.answered = entry.wire.lasting;
    }

    /// Tells all lasting watchers.
    pub(super) fn tell_lasting(&self, notice: &Notice, mut notify: impl FnMut(WatcherId, Notice)) {
        for (&watcher, (_, list)) in &self.watchers {
            if !list.is_one_shot() {
                notify(watcher, notice.clone());
            }
        }
    }

    /// Tells the watchers of these paths that the server did not take them; one-shot ones end with it.
    pub(super) fn refused(&mut self, paths: &[(List, Arc<str>)], mut notify: impl FnMut(WatcherId, Notice)) {
        for (list, path) in paths {
            let Some(entry) = self.paths.get_mut(path) else { continue };
            if list.is_one_shot() {
                for watcher in std::mem::take(entry.list_mut(*list)) {
                    self.watchers.remove(&watcher);
                    notify(watcher, Notice::Gap);
                }
                self.tidy(path);
            } else {
                (entry.wire.lasting, entry.wire.answered) = (None, None);
                entry.list(*list).iter().for_each(|&watcher| notify(watcher, Notice::NotWatched));
            }
        }
    }

    /// Tells every watcher that events may be missing; one-shot ones end with it.
    pub(super) fn gap_all(&mut self, mut notify: impl FnMut(WatcherId, Notice)) {
        self.watchers.iter().for_each(|(&watcher, _)| notify(watcher, Notice::Gap));
        self.watchers.retain(|_, (_, list)| !list.is_one_shot());
        self.paths.retain(|_, entry| {
            for list in [List::Data, List::Exist, List::Child] {
                entry.list_mut(list).clear();
            }
            !entry.is_idle()
        });
    }

    /// Ends every watcher.
    pub(super) fn end(&mut self, notice: &Notice, mut notify: impl FnMut(WatcherId, Notice)) {
        let table = std::mem::take(self);
        table.watchers.into_keys().for_each(|watcher| notify(watcher, notice.clone()));
    }
}

/// A watch event on its way to the watchers.
#[derive(Debug)]
pub(super) struct Occurrence {
    pub(super) event_type: EventType,
    pub(super) path: Ustring,
    pub(super) zxid: i64,
}

impl WatchTable {
    /// Hands an event from the server to everybody it concerns (`ZKWatchManager.materialize`). False if nobody was
    /// there to hear it.
    pub(super) fn dispatch(&mut self, event: &Occurrence, mut notify: impl FnMut(WatcherId, Notice)) -> bool {
        let mut heard = false;
        let mut tell = |watcher: WatcherId, event_type: EventType, path: &Ustring| {
            heard = true;
            notify(watcher, Notice::Event { event_type, path: path.clone(), zxid: event.zxid });
        };
        let path = event.path.as_str();
        let event_type = event.event_type;
        let (fired, child_fired): (&[List], bool) = match event_type {
            EventType::NODE_CREATED | EventType::NODE_DATA_CHANGED => (&[List::Data, List::Exist], false),
            EventType::NODE_DELETED => (&[List::Data, List::Exist, List::Child], true),
            EventType::NODE_CHILDREN_CHANGED => (&[List::Child], true),
            _ => return false,
        };
        let is_child_event = event_type == EventType::NODE_CHILDREN_CHANGED;
        for watcher in self.fire(path, fired, !is_child_event, child_fired) {
            tell(watcher, event_type, &event.path);
        }
        if let Some(entry) = self.paths.get(path) {
            // Under a recursive mode child events are made here, from those of the children; the server's own, which a
            // one-shot watch may have asked for, would come twice.
            let from_children = is_child_event && entry.wire.children_come_one_by_one();
            if !from_children {
                entry.list(List::Persistent).iter().for_each(|&id| tell(id, event_type, &event.path));
            }
        }
        if !is_child_event {
            self.tell_recursive(path, |id| tell(id, event_type, &event.path));
        }
        if matches!(event_type, EventType::NODE_CREATED | EventType::NODE_DELETED) {
            self.tell_parent(path, |id, parent| tell(id, EventType::NODE_CHILDREN_CHANGED, parent));
        }
        heard
    }

    /// Takes the one-shot watchers of these lists: they go with the event.
    fn fire(&mut self, path: &str, lists: &[List], data_table: bool, child_table: bool) -> Vec<WatcherId> {
        let Some((key, _)) = self.paths.get_key_value(path) else { return Vec::new() };
        let key = key.clone();
        let Some(entry) = self.paths.get_mut(path) else { return Vec::new() };
        entry.wire.data &= !data_table;
        entry.wire.child &= !child_table;
        let mut fired = Vec::new();
        for &list in lists {
            fired.append(entry.list_mut(list));
        }
        for watcher in &fired {
            self.watchers.remove(watcher);
        }
        self.tidy(&key);
        fired
    }

    /// The recursive watchers of the path and of everything above it.
    fn tell_recursive(&self, path: &str, mut tell: impl FnMut(WatcherId)) {
        if self.recursive == 0 {
            return;
        }
        let mut next = Some(path);
        while let Some(at) = next {
            if let Some(entry) = self.paths.get(at) {
                entry.list(List::Recursive).iter().for_each(|&id| tell(id));
            }
            next = parent(at);
        }
    }

    /// The child watchers of the parent that are served from its recursive mode.
    fn tell_parent(&mut self, path: &str, mut tell: impl FnMut(WatcherId, &Ustring)) {
        let Some(parent) = parent(path) else { return };
        let Some(entry) = self.paths.get(parent) else { return };
        if !entry.wire.children_come_one_by_one() {
            return;
        }
        let name = Ustring::from(parent);
        let persistent = entry.list(List::Persistent).clone();
        let once = self.fire(parent, &[List::Child], false, false);
        once.into_iter().chain(persistent).for_each(|id| tell(id, &name));
    }
}

/// The path one level up; `None` above the root.
fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}
