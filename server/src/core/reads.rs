//! Reads of the tree by a connection: what it may see.
//!
//! Paths are not validated: one that is none finds nothing.

use bytes::Bytes;

use super::acl::Access;
use super::node::{Znode, wire_count};
use super::rules::Like;
use super::tree::Tree;
use crate::jute::{Acl, ErrorCode, Perms, Stat, Ustring};

/// The tree as one connection sees it.
#[derive(Debug, Clone, Copy)]
pub struct Reads<'a> {
    tree: &'a Tree,
    access: Access<'a>,
}

impl Tree {
    /// The tree as a connection with that access sees it.
    #[must_use]
    pub fn reads<'a>(&'a self, access: Access<'a>) -> Reads<'a> {
        Reads { tree: self, access }
    }
}

impl<'a> Reads<'a> {
    /// Stat of a znode.
    ///
    /// # Errors
    /// `BadArguments` for a path with NUL, `NoAuth` as 3.9 (older ones do not ask), `NoNode`.
    pub fn exists(self, path: &str) -> Result<Stat, ErrorCode> {
        if path.contains('\0') {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let znode = self.tree.znode(path).ok_or(ErrorCode::NO_NODE)?;
        if self.access.rules.like == Like::V3_9 {
            self.allow(znode, Perms::READ)?;
        }
        Ok(znode.stat())
    }

    /// Data and Stat of a znode.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn data(self, path: &str) -> Result<(Option<Bytes>, Stat), ErrorCode> {
        let znode = self.readable(path)?;
        Ok((znode.data().cloned(), znode.stat()))
    }

    /// Names of a znode's children, sorted, and its Stat.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn children(self, path: &str) -> Result<(Vec<Ustring>, Stat), ErrorCode> {
        let znode = self.readable(path)?;
        Ok((znode.children().map(Ustring::from).collect(), znode.stat()))
    }

    /// How many znodes are below a znode, at any depth. The root counts as below its other name, the empty path, as in the
    /// real server.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn all_children_number(self, path: &str) -> Result<i32, ErrorCode> {
        self.readable(path)?;
        Ok(wire_count(self.tree.count_below(path) + usize::from(path.is_empty())))
    }

    /// Access control list and Stat of a znode. Who may not set the list does not see the hashes in it.
    ///
    /// # Errors
    /// `NoNode`, and `NoAuth` with neither READ nor ADMIN.
    pub fn acl(self, path: &str) -> Result<(Vec<Acl>, Stat), ErrorCode> {
        let znode = self.tree.znode(path).ok_or(ErrorCode::NO_NODE)?;
        self.allow(znode, Perms::READ | Perms::ADMIN)?;
        let shows_all = planted!("server_hashes_shown") || self.access.allows(znode.acl(), Perms::ADMIN);
        let shown = |entry: &Acl| if shows_all { entry.clone() } else { super::acl::masked(entry) };
        Ok((znode.acl().iter().map(shown).collect(), znode.stat()))
    }

    /// Full paths of a session's ephemerals that begin with `prefix`, as text: `/a` also finds `/ab`. Blank and `/` find all.
    #[must_use]
    pub fn ephemerals(self, session: i64, prefix: &str) -> Vec<Ustring> {
        // Java's `trim` takes every control character for space, and no other than the plain one.
        let is_all = matches!(prefix.trim_matches(|character| character <= ' '), "" | "/");
        let prefix = if is_all { "" } else { prefix };
        let paths = self.tree.ephemerals(session).filter(|path| path.starts_with(prefix));
        paths.map(|path| Ustring::from(&**path)).collect()
    }

    fn readable(self, path: &str) -> Result<Znode<'a>, ErrorCode> {
        let znode = self.tree.znode(path).ok_or(ErrorCode::NO_NODE)?;
        self.allow(znode, Perms::READ)?;
        Ok(znode)
    }

    /// Any of the needed permissions is enough.
    fn allow(self, znode: Znode<'_>, needed: Perms) -> Result<(), ErrorCode> {
        if self.access.allows(znode.acl(), needed) { Ok(()) } else { Err(ErrorCode::NO_AUTH) }
    }
}
