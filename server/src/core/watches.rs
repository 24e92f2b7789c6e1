//! Who watches what: the two tables of the real server, data and child, in one.
//!
//! Watches belong to a connection. This module knows paths and connections, and nothing of znodes, ACLs or frames: it is asked
//! who is to be told, and forgets the one-shot watches that this fires.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::connection::ConnectionId;
use crate::jute::{EventType, WatcherType};

/// What a watched path costs beside its text, about.
const PATH_COST_BYTES: usize = 192;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One event of the znode.
    Data,
    /// One event of its children.
    Child,
    /// All events of the znode and its children.
    Persistent,
    /// All events of the znode and of what is below it, but none of children.
    Recursive,
}

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Data,
    Child,
}

/// How one connection watches one path: a bit for each mode in each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Modes(u8);

impl Modes {
    const DATA: u8 = 1;
    const DATA_PERSISTENT: u8 = 1 << 1;
    const DATA_RECURSIVE: u8 = 1 << 2;
    const CHILD: u8 = 1 << 3;
    const CHILD_PERSISTENT: u8 = 1 << 4;
    const CHILD_RECURSIVE: u8 = 1 << 5;
    const PERSISTENT: u8 = Self::DATA_PERSISTENT | Self::CHILD_PERSISTENT;
    const RECURSIVE: u8 = Self::DATA_RECURSIVE | Self::CHILD_RECURSIVE;
    const IN_DATA: u8 = Self::DATA | Self::DATA_PERSISTENT | Self::DATA_RECURSIVE;
    const IN_CHILD: u8 = Self::CHILD | Self::CHILD_PERSISTENT | Self::CHILD_RECURSIVE;

    fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    fn table(table: Table) -> u8 {
        match table {
            Table::Data => Self::IN_DATA,
            Table::Child => Self::IN_CHILD,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Watcher {
    connection: ConnectionId,
    modes: Modes,
}

/// The watches of all connections.
#[derive(Debug)]
pub(super) struct Watches {
    /// Watchers of a path in the order of their connections.
    paths: BTreeMap<Arc<str>, Vec<Watcher>>,
    held: BTreeMap<ConnectionId, Held>,
    /// Whether the modes of one path stand side by side, as from 3.9; before, the last one wins in each table.
    apart: bool,
    /// Entries with a recursive mode: without any, nobody looks at ancestors.
    recursive: usize,
    in_data: usize,
    in_child: usize,
}

#[derive(Debug, Default)]
struct Held {
    paths: BTreeSet<Arc<str>>,
    len_bytes: usize,
}

impl Watches {
    pub(super) fn new(apart: bool) -> Self {
        Self { paths: BTreeMap::new(), held: BTreeMap::new(), apart, recursive: 0, in_data: 0, in_child: 0 }
    }

    /// Adds a watch, and says how many bytes all watches of the connection cost now, about.
    pub(super) fn add(&mut self, connection: ConnectionId, path: &str, kind: Kind) -> usize {
        let key = match self.paths.get_key_value(path) {
            Some((key, _)) => key.clone(),
            None => Arc::from(path),
        };
        let (set, clear) = match (kind, self.apart) {
            (Kind::Data, true) => (Modes::DATA, 0),
            (Kind::Child, true) => (Modes::CHILD, 0),
            (Kind::Persistent, true) => (Modes::PERSISTENT, 0),
            (Kind::Recursive, true) => (Modes::DATA_RECURSIVE, 0),
            (Kind::Data, false) => (Modes::DATA, Modes::IN_DATA),
            (Kind::Child, false) => (Modes::CHILD, Modes::IN_CHILD),
            (Kind::Persistent, false) => (Modes::PERSISTENT, u8::MAX),
            (Kind::Recursive, false) => (Modes::RECURSIVE, u8::MAX),
        };
        let clear = if planted!("server_watch_modes_clash") { Modes::IN_DATA } else { clear };
        let watchers = self.paths.entry(key.clone()).or_default();
        let at = watchers.binary_search_by_key(&connection, |watcher| watcher.connection);
        let before = at.ok().and_then(|at| watchers.get(at)).map_or(Modes(0), |watcher| watcher.modes);
        let modes = Modes(before.0 & !clear | set);
        match at {
            Ok(at) => watchers.iter_mut().skip(at).take(1).for_each(|watcher| watcher.modes = modes),
            Err(at) => watchers.insert(at, Watcher { connection, modes }),
        }
        self.count(before, modes);
        let held = self.held.entry(connection).or_default();
        if held.paths.insert(key) {
            held.len_bytes += path.len() + PATH_COST_BYTES;
        }
        held.len_bytes
    }

    /// The connections that hear of `event` on `path` from this table, in order, each once. One-shot watches that fire are gone.
    pub(super) fn fire(&mut self, table: Table, event: EventType, path: &str) -> Vec<ConnectionId> {
        let children = event == EventType::NODE_CHILDREN_CHANGED;
        let recursive = match table {
            Table::Data => Modes::DATA_RECURSIVE,
            Table::Child => Modes::CHILD_RECURSIVE,
        };
        let hearing = Modes::table(table) & if children { !recursive } else { u8::MAX };
        let mut told = self.fire_here(path, hearing, Modes::table(table) & (Modes::DATA | Modes::CHILD));
        if self.recursive == 0 || children {
            return told;
        }
        let here = told.len();
        for ancestor in ancestors(path) {
            let watchers = self.paths.get(ancestor).map(Vec::as_slice).unwrap_or_default();
            let hearing = watchers.iter().filter(|watcher| watcher.modes.has(recursive));
            told.extend(hearing.map(|watcher| watcher.connection));
        }
        if told.len() > here && !planted!("server_watch_event_twice") {
            told.sort_unstable();
            told.dedup();
        }
        told
    }

    fn fire_here(&mut self, path: &str, hearing: u8, once: u8) -> Vec<ConnectionId> {
        let mut told = Vec::new();
        let Some(watchers) = self.paths.get_mut(path) else { return told };
        let mut changed = Vec::new();
        watchers.retain_mut(|watcher| {
            let before = watcher.modes;
            if before.has(hearing) {
                told.push(watcher.connection);
                if !planted!("server_watch_stays") {
                    watcher.modes = Modes(before.0 & !once);
                }
            }
            if watcher.modes != before {
                changed.push((watcher.connection, before, watcher.modes));
            }
            watcher.modes != Modes(0)
        });
        if watchers.is_empty() {
            self.paths.remove(path);
        }
        for (connection, before, after) in changed {
            self.count(before, after);
            if after == Modes(0) {
                self.let_go(connection, path);
            }
        }
        told
    }

    /// Whether the connection has a watch of that kind; before 3.9, whether anyone has. `None` for a type that is none.
    pub(super) fn has(&self, connection: ConnectionId, path: &str, kind: WatcherType) -> Option<bool> {
        let bits = self.bits(kind)?;
        let watchers = self.paths.get(path).map(Vec::as_slice).unwrap_or_default();
        let mut asked = watchers.iter().filter(|watcher| watcher.connection == connection || !self.apart);
        Some(asked.any(|watcher| watcher.modes.has(bits)))
    }

    /// Removes the connection's watches of that kind, and says whether there were any. `None` for a type that is none.
    pub(super) fn remove(&mut self, connection: ConnectionId, path: &str, kind: WatcherType) -> Option<bool> {
        let bits = self.bits(kind)?;
        Some(self.clear(connection, path, bits))
    }

    /// What is to be looked for. Before 3.9 a type means a table, whatever the mode in it.
    fn bits(&self, kind: WatcherType) -> Option<u8> {
        Some(match (kind, self.apart) {
            (WatcherType::CHILDREN, true) => Modes::CHILD,
            (WatcherType::DATA, true) => Modes::DATA,
            (WatcherType::PERSISTENT, true) => Modes::PERSISTENT,
            (WatcherType::PERSISTENT_RECURSIVE, true) => Modes::RECURSIVE,
            (WatcherType::CHILDREN, false) => Modes::IN_CHILD,
            (WatcherType::DATA, false) => Modes::IN_DATA,
            (WatcherType::ANY, _) => u8::MAX,
            _ => return None,
        })
    }

    fn clear(&mut self, connection: ConnectionId, path: &str, bits: u8) -> bool {
        let Some(watchers) = self.paths.get_mut(path) else { return false };
        let Ok(at) = watchers.binary_search_by_key(&connection, |watcher| watcher.connection) else {
            return false;
        };
        let Some(watcher) = watchers.get_mut(at) else { return false };
        let before = watcher.modes;
        let after = Modes(before.0 & !bits);
        watcher.modes = after;
        if after == Modes(0) {
            watchers.remove(at);
            if watchers.is_empty() {
                self.paths.remove(path);
            }
            self.let_go(connection, path);
        }
        self.count(before, after);
        before != after
    }

    /// The connection is gone, and all its watches.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        let Some(held) = self.held.remove(&connection) else { return };
        if planted!("server_watch_outlives_connection") {
            return;
        }
        for path in held.paths {
            self.clear(connection, &path, u8::MAX);
        }
    }

    fn let_go(&mut self, connection: ConnectionId, path: &str) {
        if let Some(held) = self.held.get_mut(&connection) {
            if held.paths.remove(path) {
                held.len_bytes = held.len_bytes.saturating_sub(path.len() + PATH_COST_BYTES);
            }
            if held.paths.is_empty() {
                self.held.remove(&connection);
            }
        }
    }

    fn count(&mut self, before: Modes, after: Modes) {
        let counters = [
            (&mut self.recursive, Modes::RECURSIVE),
            (&mut self.in_data, Modes::IN_DATA),
            (&mut self.in_child, Modes::IN_CHILD),
        ];
        for (counter, bits) in counters {
            match (before.has(bits), after.has(bits)) {
                (false, true) => *counter += 1,
                (true, false) => *counter = counter.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Entries in both tables.
    pub(super) fn len(&self) -> usize {
        self.in_data + self.in_child
    }

    /// Of the data table alone, which is all that `wchs` counts: connections, paths, watches.
    pub(super) fn data_totals(&self) -> (usize, usize, usize) {
        let mut connections = BTreeSet::new();
        let mut paths = 0;
        for watchers in self.paths.values() {
            let hearing = watchers.iter().filter(|watcher| watcher.modes.has(Modes::IN_DATA));
            connections.extend(hearing.clone().map(|watcher| watcher.connection));
            paths += usize::from(hearing.count() > 0);
        }
        (connections.len(), paths, self.in_data)
    }

    /// Every path, who watches it, and how, path by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, ConnectionId, Vec<Kind>)> {
        self.paths.iter().flat_map(|(path, watchers)| {
            watchers.iter().map(move |watcher| (path, watcher.connection, watcher.modes.kinds()))
        })
    }

    /// The paths of the data table with the connections that watch them.
    pub(super) fn in_data(&self) -> impl Iterator<Item = (&Arc<str>, ConnectionId)> {
        self.paths.iter().flat_map(|(path, watchers)| {
            let hearing = watchers.iter().filter(|watcher| watcher.modes.has(Modes::IN_DATA));
            hearing.map(move |watcher| (path, watcher.connection))
        })
    }
}

impl Modes {
    fn kinds(self) -> Vec<Kind> {
        let all = [
            (Kind::Data, Self::DATA),
            (Kind::Child, Self::CHILD),
            (Kind::Persistent, Self::PERSISTENT),
            (Kind::Recursive, Self::RECURSIVE),
        ];
        all.into_iter().filter(|(_, bits)| self.has(*bits)).map(|(kind, _)| kind).collect()
    }
}

/// The paths above `path`, the nearest first: of `/a/b` these are `/a` and `/`.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |path| parent(path))
}

/// The path above `path`; the root has none.
pub(super) fn parent(path: &str) -> Option<&str> {
    let (above, name) = path.rsplit_once('/')?;
    match (above, name) {
        ("", "") => None,
        ("", _) => Some("/"),
        (above, _) => Some(above),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u32) -> ConnectionId {
        ConnectionId::new(index, 0)
    }

    const CREATED: EventType = EventType::NODE_CREATED;
    const CHANGED: EventType = EventType::NODE_DATA_CHANGED;
    const CHILDREN: EventType = EventType::NODE_CHILDREN_CHANGED;

    #[test]
    fn one_shot_watches_fire_once_and_leave_nothing() {
        let mut watches = Watches::new(true);
        watches.add(id(2), "/a", Kind::Data);
        watches.add(id(1), "/a", Kind::Data);
        watches.add(id(1), "/a", Kind::Data);
        assert_eq!(watches.len(), 2);
        assert_eq!(watches.fire(Table::Data, CHANGED, "/a"), [id(1), id(2)]);
        assert_eq!(watches.fire(Table::Data, CHANGED, "/a"), []);
        assert_eq!((watches.len(), watches.paths.len(), watches.held.len()), (0, 0, 0));
    }

    #[test]
    fn recursive_watches_hear_of_what_is_below_but_not_of_children() {
        let mut watches = Watches::new(true);
        watches.add(id(1), "/", Kind::Recursive);
        watches.add(id(1), "/a", Kind::Recursive);
        watches.add(id(1), "/a/b", Kind::Data);
        assert_eq!(watches.fire(Table::Data, CREATED, "/a/b"), [id(1)], "one event");
        assert_eq!(watches.fire(Table::Data, CREATED, "/a/b"), [id(1)], "and again");
        assert_eq!(watches.fire(Table::Child, CHILDREN, "/a"), []);
        assert_eq!(watches.fire(Table::Data, CREATED, "/ab"), [id(1)], "from the root");
        assert_eq!(watches.remove(id(1), "/", WatcherType::PERSISTENT_RECURSIVE), Some(true));
        assert_eq!(watches.fire(Table::Data, CREATED, "/ab"), []);
    }

    #[test]
    fn modes_stand_side_by_side_from_3_9_and_overwrite_each_other_before() {
        for (apart, left) in [(true, vec![id(1)]), (false, vec![])] {
            let mut watches = Watches::new(apart);
            watches.add(id(1), "/a", Kind::Persistent);
            watches.add(id(1), "/a", Kind::Data);
            assert_eq!(watches.fire(Table::Data, CHANGED, "/a"), [id(1)]);
            assert_eq!(watches.fire(Table::Data, CHANGED, "/a"), left, "apart: {apart}");
            assert_eq!(watches.fire(Table::Child, CHILDREN, "/a"), [id(1)], "children go on");
        }
    }

    #[test]
    fn removal_knows_kinds_from_3_9_and_tables_before() {
        let mut watches = Watches::new(true);
        watches.add(id(1), "/a", Kind::Persistent);
        assert_eq!(watches.remove(id(1), "/a", WatcherType::DATA), Some(false));
        assert_eq!(watches.has(id(2), "/a", WatcherType::ANY), Some(false));
        assert_eq!(watches.remove(id(1), "/a", WatcherType::PERSISTENT), Some(true));
        assert_eq!(watches.remove(id(1), "/a", WatcherType(9)), None);

        let mut watches = Watches::new(false);
        watches.add(id(1), "/a", Kind::Persistent);
        assert_eq!(watches.has(id(2), "/a", WatcherType::ANY), Some(true), "anyone's");
        assert_eq!(watches.remove(id(1), "/a", WatcherType::DATA), Some(true));
        assert_eq!(watches.fire(Table::Child, CHILDREN, "/a"), [id(1)], "half of it is left");
        assert_eq!(watches.has(id(1), "/a", WatcherType::PERSISTENT), None);
    }

    #[test]
    fn watches_go_with_their_connection() {
        let mut watches = Watches::new(true);
        assert_eq!(watches.add(id(1), "/a", Kind::Child), 2 + PATH_COST_BYTES);
        assert_eq!(watches.add(id(1), "/abc", Kind::Data), 6 + 2 * PATH_COST_BYTES);
        watches.add(id(2), "/a", Kind::Recursive);
        watches.forget(id(1));
        assert_eq!((watches.len(), watches.paths.len(), watches.held.len()), (1, 1, 1));
        watches.forget(id(2));
        assert_eq!((watches.len(), watches.recursive), (0, 0));
    }

    #[test]
    fn ancestors_end_at_the_root() {
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert_eq!(ancestors("/").count(), 0);
        assert_eq!(ancestors("a").count(), 0);
    }
}
