//! What there is: znodes by path, counted the plain way, and who waits for which of them.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use menagerie_jute::{ErrorCode, EventType, Perms, Stat};

/// How a path is watched: a bit each.
pub(super) const DATA: u8 = 1;
pub(super) const CHILD: u8 = 2;
pub(super) const PERSISTENT: u8 = 4;
pub(super) const RECURSIVE: u8 = 8;

/// How a znode ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Never,
    Emptied,
    Idle(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Znode {
    /// All but the number of children and the length.
    pub(super) stat: Stat,
    pub(super) data: Option<Bytes>,
    pub(super) creates: i32,
    pub(super) perms: Perms,
    pub(super) end: End,
}

/// Something that happened to a znode, and who may hear of it.
#[derive(Debug, Clone)]
pub(super) struct Change {
    event: EventType,
    path: String,
    perms: Perms,
    parent_perms: Perms,
}

/// What a connection must hear, in this order.
pub(super) type Heard = (EventType, String, i64);

#[derive(Debug, Clone, Default)]
pub(super) struct Watcher {
    pub(super) watches: BTreeMap<String, u8>,
    pub(super) heard: VecDeque<Heard>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) znodes: BTreeMap<String, Znode>,
    pub(super) zxid: i64,
    pub(super) time: i64,
    /// By session, those that have a connection.
    pub(super) watchers: BTreeMap<i64, Watcher>,
    /// Of the transaction that is being made.
    pub(super) changes: Vec<Change>,
}

pub(super) fn require(holds: bool, otherwise: ErrorCode) -> Result<(), ErrorCode> {
    if holds { Ok(()) } else { Err(otherwise) }
}

pub(super) fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        Some(at) if at > 0 => &path[..at],
        _ => "/",
    }
}

pub(super) fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap()
}

impl Model {
    pub(super) fn new(time: i64) -> Self {
        let znode = |cversion, aversion, perms| Znode {
            stat: Stat { cversion, aversion, ..Stat::default() },
            data: Some(Bytes::new()),
            creates: 0,
            perms,
            end: End::Never,
        };
        let znodes = [
            ("/", znode(-1, 0, Perms::ALL)),
            ("/zookeeper", znode(-2, 0, Perms::ALL)),
            ("/zookeeper/quota", znode(0, 0, Perms::ALL)),
            ("/zookeeper/config", znode(0, -1, Perms::READ)),
        ];
        let znodes = znodes.map(|(path, znode)| (path.to_owned(), znode)).into();
        Self { znodes, zxid: 0, time, watchers: BTreeMap::new(), changes: Vec::new() }
    }

    pub(super) fn find(&self, path: &str, needed: Perms) -> Result<&Znode, ErrorCode> {
        let znode = self.znodes.get(path).ok_or(ErrorCode::NO_NODE)?;
        require(znode.perms.0 & needed.0 != 0, ErrorCode::NO_AUTH)?;
        Ok(znode)
    }

    pub(super) fn at(&mut self, path: &str) -> &mut Znode {
        self.znodes.get_mut(path).unwrap()
    }

    /// Names of the children, sorted.
    pub(super) fn names(&self, parent: &str) -> Vec<&str> {
        let is_child = |path: &&String| path.len() > 1 && parent_of(path) == parent;
        let mut names: Vec<_> =
            self.znodes.keys().filter(is_child).filter_map(|path| path.rsplit('/').next()).collect();
        names.sort_unstable();
        names
    }

    /// As the wire shows it.
    pub(super) fn stat(&self, path: &str) -> Stat {
        let znode = &self.znodes[path];
        let data_length = int(znode.data.as_ref().map_or(0, Bytes::len));
        Stat { num_children: int(self.names(path).len()), data_length, ..znode.stat }
    }

    /// A change that will be told of once the transaction is done.
    pub(super) fn note(&mut self, event: EventType, path: &str, perms: Perms) {
        let parent_perms = self.znodes.get(parent_of(path)).map_or(Perms(0), |parent| parent.perms);
        self.changes.push(Change { event, path: path.to_owned(), perms, parent_perms });
    }

    /// Tells of the transaction's changes.
    pub(super) fn tell(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            for watcher in self.watchers.values_mut() {
                watcher.hear(&change, self.zxid);
            }
        }
    }
}

impl Watcher {
    fn bits(&self, path: &str) -> u8 {
        self.watches.get(path).copied().unwrap_or(0)
    }

    /// Forgets some of the ways in which a path is watched, and says whether there were any.
    pub(super) fn clear(&mut self, path: &str, bits: u8) -> bool {
        let before = self.bits(path);
        self.watches.insert(path.to_owned(), before & !bits);
        self.watches.retain(|_, bits| *bits != 0);
        before & bits != 0
    }

    pub(super) fn add(&mut self, path: &str, bits: u8) {
        *self.watches.entry(path.to_owned()).or_default() |= bits;
    }

    fn hear(&mut self, change: &Change, zxid: i64) {
        let Change { event, path, perms, parent_perms } = change;
        let mut above = vec![path.as_str()];
        while let Some(last) = above.last().filter(|last| **last != "/") {
            above.push(parent_of(last));
        }
        let is_above = above.iter().any(|path| self.bits(path) & RECURSIVE != 0);
        let mut hears = self.bits(path) & (DATA | PERSISTENT) != 0 || is_above;
        self.clear(path, DATA);
        if *event == EventType::NODE_DELETED {
            hears |= self.bits(path) & (CHILD | PERSISTENT) != 0;
            self.clear(path, CHILD);
        }
        if hears && perms.contains(Perms::READ) {
            self.heard.push_back((*event, path.clone(), zxid));
        }
        if *event == EventType::NODE_DATA_CHANGED {
            return;
        }
        let parent = parent_of(path);
        let hears = self.bits(parent) & (CHILD | PERSISTENT) != 0;
        self.clear(parent, CHILD);
        if hears && parent_perms.contains(Perms::READ) {
            self.heard.push_back((EventType::NODE_CHILDREN_CHANGED, parent.to_owned(), zxid));
        }
    }
}
