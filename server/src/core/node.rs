//! One znode as it is kept: what of its Stat cannot be derived, its data, and its children by name.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::name::Name;
use super::txn::{Acls, Kind};
use crate::jute::Stat;

/// Where a node stands in the tree's slab.
pub(super) type Index = u32;

/// A znode. It does not know its name or its parent: the way to it does.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) czxid: i64,
    pub(super) mzxid: i64,
    pub(super) pzxid: i64,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    pub(super) aversion: i32,
    /// How many children were ever created: the number of the next sequential one.
    pub(super) creates: i32,
    /// Null is not empty.
    pub(super) data: Option<Bytes>,
    pub(super) acl: Acls,
    pub(super) kind: Kind,
    pub(super) children: BTreeMap<Name, Index>,
}

/// Without what it holds, and whom its list names: there are secrets among both.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("stat", &self.stat()).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Node {
    /// A znode made by that transaction.
    pub(super) fn new(zxid: i64, time: i64, kind: Kind, data: Option<Bytes>, acl: Acls) -> Self {
        Self {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            aversion: 0,
            creates: 0,
            data,
            acl,
            kind,
            children: BTreeMap::new(),
        }
    }

    pub(super) fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }

    /// As the wire shows it: `cversion` counts creates and deletes, and only an ephemeral has an owner.
    pub(super) fn stat(&self) -> Stat {
        let num_children = wire_count(self.children.len());
        let doubled = if planted!("server_cversion_not_doubled") { 1 } else { 2 };
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.creates.wrapping_mul(doubled).wrapping_sub(num_children),
            aversion: self.aversion,
            ephemeral_owner: self.kind.owner().unwrap_or(match self.kind {
                Kind::Container if planted!("server_container_shows") => i64::MIN,
                _ => 0,
            }),
            data_length: wire_count(self.data_len()),
            num_children,
            pzxid: self.pzxid,
        }
    }
}

/// A length as a jute `int`.
pub(super) fn wire_count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A znode of a [`Tree`](super::Tree), to be looked at.
#[derive(Debug, Clone, Copy)]
pub struct Znode<'a>(pub(super) &'a Node);

impl<'a> Znode<'a> {
    /// Its Stat, as the wire shows it.
    #[must_use]
    pub fn stat(self) -> Stat {
        self.0.stat()
    }

    /// Its data; null is not empty.
    #[must_use]
    pub fn data(self) -> Option<&'a Bytes> {
        self.0.data.as_ref()
    }

    /// Who may do what.
    #[must_use]
    pub fn acl(self) -> &'a Acls {
        &self.0.acl
    }

    /// What kind it is of.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.0.kind
    }

    /// How many children were ever created in it: the number of the next sequential one.
    #[must_use]
    pub fn creates(self) -> i32 {
        self.0.creates
    }

    /// The names of its children, sorted.
    pub fn children(self) -> impl ExactSizeIterator<Item = &'a str> {
        self.0.children.keys().map(Name::as_str)
    }
}
