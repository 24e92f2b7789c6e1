//! The tree of znodes: a slab of nodes, each with its children by name. It knows no connection, no clock and no wire.
//!
//! It changes by [`take_in`](Tree::take_in) only, which [`apply`](Tree::apply) is a form of. Everything that can be seen of it is
//! ordered by name or number, so two trees that took the same entries in show the same.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::acl::Pool;
use super::name::Name;
use super::node::{Index, Node, Znode};
use super::path::{self, CONFIG, QUOTA, ROOT};
use super::rules::Like;
use super::txn::{Acls, Kind};
use crate::jute::{Acl, ErrorCode};

/// All znodes, and the sessions that the log knows.
#[derive(Debug, Clone)]
pub struct Tree {
    /// By index; holes are listed in `free`.
    slab: Vec<Option<Node>>,
    free: Vec<Index>,
    pub(super) acls: Pool,
    pub(super) zxid: i64,
    pub(super) sessions: BTreeMap<i64, i32>,
    pub(super) ephemerals: BTreeMap<i64, BTreeSet<Arc<str>>>,
    /// Containers and znodes with a time to live.
    pub(super) passing: BTreeSet<Arc<str>>,
    /// Paths that a quota holds for.
    pub(super) limited: BTreeSet<Arc<str>>,
    /// Bytes of all paths and all data.
    size_bytes: usize,
    root: Index,
}

impl Tree {
    /// The tree of a fresh server.
    #[must_use]
    pub fn new(like: Like) -> Self {
        let open: Acls = Arc::from(Acl::OPEN);
        let mut tree = Self {
            slab: Vec::new(),
            free: Vec::new(),
            acls: Pool::default(),
            zxid: 0,
            sessions: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            passing: BTreeSet::new(),
            limited: BTreeSet::new(),
            size_bytes: ROOT.len(),
            root: 0,
        };
        let root = tree.first_node(&open);
        tree.root = tree.next_index();
        tree.keep(root);
        let mut first = vec!["/zookeeper", QUOTA];
        first.extend((like != Like::V3_4).then_some(CONFIG));
        for path in first {
            let mut node = tree.first_node(&open);
            if path == CONFIG {
                tree.acls.give_back(&node.acl);
                node.acl = tree.acls.take(&Arc::from(Acl::READ));
                node.aversion = -1;
            }
            let (parent, name) = path::split(path).unwrap_or_default();
            // Neither is the parent missing nor the name taken.
            let _ = tree.attach(parent, name, node);
        }
        tree
    }

    /// A znode that was there before the first transaction.
    fn first_node(&mut self, acl: &Acls) -> Node {
        Node::new(0, 0, Kind::Persistent, Some(Bytes::new()), self.acls.take(acl))
    }

    /// Number of the last entry taken in.
    #[must_use]
    pub fn zxid(&self) -> i64 {
        self.zxid
    }

    /// A znode; the root also by the empty path.
    #[must_use]
    pub fn znode(&self, path: &str) -> Option<Znode<'_>> {
        self.node(path).map(Znode)
    }

    /// Ids and timeouts in milliseconds of the sessions that began and have not ended, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (i64, i32)> {
        self.sessions.iter().map(|(&id, &timeout_millis)| (id, timeout_millis))
    }

    /// Timeout in milliseconds of a session that began and has not ended.
    #[must_use]
    pub fn session(&self, id: i64) -> Option<i32> {
        self.sessions.get(&id).copied()
    }

    /// Full paths of a session's ephemerals, sorted.
    pub fn ephemerals(&self, session: i64) -> impl Iterator<Item = &Arc<str>> {
        self.ephemerals.get(&session).into_iter().flatten()
    }

    /// The sessions that have ephemerals, by id, each with its paths, sorted.
    pub fn owners(&self) -> impl ExactSizeIterator<Item = (i64, impl ExactSizeIterator<Item = &Arc<str>>)> {
        self.ephemerals.iter().map(|(&id, paths)| (id, paths.iter()))
    }

    /// How many ephemerals there are.
    #[must_use]
    pub fn ephemerals_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// How many znodes there are, as the real server counts: the root has two names there, and counts twice.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.slab.len().saturating_sub(self.free.len()).saturating_add(1)
    }

    /// Bytes of all paths and all data (`zk_approximate_data_size`).
    #[must_use]
    pub fn approximate_data_size(&self) -> usize {
        self.size_bytes
    }

    /// Every znode with its full path: each before its children, those by name.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        self.walk_from(ROOT)
    }

    /// How many znodes are below a path, at any depth.
    pub(super) fn count_below(&self, path: &str) -> usize {
        self.walk_indices(path).count().saturating_sub(1)
    }

    /// How many znodes are at a path and below, and the bytes of their data.
    pub(super) fn weigh(&self, path: &str) -> (i64, i64) {
        let long = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let nodes = self.walk_indices(path).filter_map(|index| self.at(index));
        nodes.fold((0, 0), |(count, bytes), node| (count + 1, long(node.data_len()).saturating_add(bytes)))
    }

    /// The indices of what is at a path and below, in no stated order.
    fn walk_indices(&self, path: &str) -> impl Iterator<Item = Index> {
        let mut todo: Vec<Index> = self.index(path).into_iter().collect();
        std::iter::from_fn(move || {
            let index = todo.pop()?;
            todo.extend(self.at(index).into_iter().flat_map(|node| node.children.values()));
            Some(index)
        })
    }

    fn walk_from(&self, path: &str) -> Walk<'_> {
        let root = self.index(path).map(|index| (index, Arc::from(path)));
        Walk { tree: self, todo: root.into_iter().collect() }
    }

    pub(super) fn node(&self, path: &str) -> Option<&Node> {
        self.index(path).and_then(|index| self.at(index))
    }

    pub(super) fn node_mut(&mut self, path: &str) -> Option<&mut Node> {
        let index = self.index(path)?;
        self.at_mut(index)
    }

    /// Replaces a znode's data and nothing of its Stat but the length; no quota counts it.
    pub(super) fn replace_data(&mut self, path: &str, data: Option<Bytes>) -> Option<&mut Node> {
        let index = self.index(path)?;
        self.replace_data_at(index, data)
    }

    /// Replaces a znode's data, and counts it.
    pub(super) fn set_data(&mut self, path: &str, data: Option<Bytes>) -> Option<&mut Node> {
        let index = self.index(path)?;
        self.account_data(path, self.at(index)?.data_len(), data.as_ref().map_or(0, Bytes::len));
        self.replace_data_at(index, data)
    }

    fn replace_data_at(&mut self, index: Index, data: Option<Bytes>) -> Option<&mut Node> {
        let node = self.slab.get_mut(usize::try_from(index).ok()?)?.as_mut()?;
        self.size_bytes = self.size_bytes.saturating_sub(node.data_len());
        node.data = data;
        self.size_bytes = self.size_bytes.saturating_add(node.data_len());
        Some(node)
    }

    /// Puts a node below its parent, which is returned.
    ///
    /// # Errors
    /// `NoNode` without a parent, `NodeExists` if the name is taken.
    pub(super) fn attach(&mut self, parent: &str, name: &str, node: Node) -> Result<&mut Node, ErrorCode> {
        let above = self.index(parent).ok_or(ErrorCode::NO_NODE)?;
        let index = self.next_index();
        match self.at_mut(above).ok_or(ErrorCode::NO_NODE)?.children.entry(Name::from(name)) {
            Entry::Occupied(_) => return Err(ErrorCode::NODE_EXISTS),
            Entry::Vacant(place) => place.insert(index),
        };
        self.size_bytes = self.size_bytes.saturating_add(parent.len() + 1 + name.len() + node.data_len());
        self.keep(node);
        self.at_mut(above).ok_or(ErrorCode::NO_NODE)
    }

    /// Takes a childless node out; the parent that it had comes with it.
    pub(super) fn detach(&mut self, parent: &str, name: &str) -> Option<(Node, &mut Node)> {
        let above = self.index(parent)?;
        let (own_name, index) = self.at_mut(above)?.children.remove_entry(name.as_bytes())?;
        if self.at(index).is_some_and(|node| !node.children.is_empty()) {
            self.at_mut(above)?.children.insert(own_name, index);
            return None;
        }
        let node = self.slot(index)?.take()?;
        self.free.push(index);
        self.size_bytes = self.size_bytes.saturating_sub(parent.len() + 1 + name.len() + node.data_len());
        Some((node, self.at_mut(above)?))
    }

    /// Where the next node will stand that is kept.
    fn next_index(&self) -> Index {
        let end = || Index::try_from(self.slab.len()).unwrap_or(Index::MAX);
        self.free.last().copied().unwrap_or_else(end)
    }

    /// Keeps a node at [`next_index`](Self::next_index).
    fn keep(&mut self, node: Node) {
        if let Some(index) = self.free.pop() {
            if let Some(slot) = self.slot(index) {
                *slot = Some(node);
            }
            return;
        }
        // By a quarter: doubling would leave half of a large slab empty.
        if self.slab.len() == self.slab.capacity() {
            self.slab.reserve_exact(self.slab.len() / 4 + 16);
        }
        self.slab.push(Some(node));
    }

    fn index(&self, path: &str) -> Option<Index> {
        if matches!(path, "" | ROOT) {
            return Some(self.root);
        }
        let mut names = path.strip_prefix('/')?.split('/');
        names.try_fold(self.root, |above, name| self.at(above)?.children.get(name.as_bytes()).copied())
    }

    fn at(&self, index: Index) -> Option<&Node> {
        self.slab.get(usize::try_from(index).ok()?)?.as_ref()
    }

    fn at_mut(&mut self, index: Index) -> Option<&mut Node> {
        self.slot(index)?.as_mut()
    }

    fn slot(&mut self, index: Index) -> Option<&mut Option<Node>> {
        self.slab.get_mut(usize::try_from(index).ok()?)
    }
}

/// Every znode with its full path: [`Tree::walk`].
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    tree: &'a Tree,
    todo: Vec<(Index, Arc<str>)>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = (Arc<str>, Znode<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (index, path) = self.todo.pop()?;
        let node = self.tree.at(index)?;
        let above = if &*path == ROOT { "" } else { &*path };
        let below = node
            .children
            .iter()
            .rev()
            .map(|(name, &index)| (index, Arc::from(format!("{above}/{}", name.as_str()))));
        self.todo.extend(below);
        Some((path, Znode(node)))
    }
}
