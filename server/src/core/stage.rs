//! The tree as it will be once what is being prepared has happened: a multi's operations see those before them, and if one
//! fails nothing of it stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::acl::Access;
use super::path::ROOT;
use super::prepare::Caller;
use super::rules::Rules;
use super::tree::Tree;
use super::txn::Acls;
use crate::jute::{ErrorCode, Perms};

/// A tree that stays as it is, and what became of some znodes on top of it.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) tree: &'a Tree,
    pub(super) rules: &'a Rules,
    pub(super) caller: Caller<'a>,
    /// By path: as they are now, or `None` if they are gone. Nobody looks after a single operation, so it keeps nothing.
    pub(super) changed: Option<BTreeMap<Arc<str>, Option<Staged>>>,
    /// Bytes of all access control lists in it.
    pub(super) acl_len: usize,
}

/// What checks need to know about a znode.
#[derive(Debug, Clone)]
pub(super) struct Staged {
    pub(super) version: i32,
    pub(super) aversion: i32,
    pub(super) creates: i32,
    pub(super) children: usize,
    pub(super) is_ephemeral: bool,
    pub(super) data_len: usize,
    pub(super) acl: Acls,
}

impl<'a> Stage<'a> {
    pub(super) fn new(tree: &'a Tree, rules: &'a Rules, caller: Caller<'a>) -> Self {
        Self { tree, rules, caller, changed: None, acl_len: 0 }
    }

    /// A znode as it is now.
    ///
    /// # Errors
    /// `NoNode`.
    pub(super) fn look(&self, path: &str) -> Result<Staged, ErrorCode> {
        let path = if path.is_empty() { ROOT } else { path };
        if let Some(staged) = self.changed.as_ref().and_then(|changed| changed.get(path)) {
            return staged.clone().ok_or(ErrorCode::NO_NODE);
        }
        let node = self.tree.node(path).ok_or(ErrorCode::NO_NODE)?;
        Ok(Staged {
            version: node.version,
            aversion: node.aversion,
            creates: node.creates,
            children: node.children.len(),
            is_ephemeral: node.kind.owner().is_some(),
            data_len: node.data_len(),
            acl: node.acl.clone(),
        })
    }

    /// From now on a znode is so, or gone.
    pub(super) fn put(&mut self, path: &str, staged: Option<Staged>) {
        if planted!("server_multi_blind") {
            return;
        }
        if let Some(changed) = &mut self.changed {
            let path = if path.is_empty() { ROOT } else { path };
            changed.insert(Arc::from(path), staged);
        }
    }

    /// # Errors
    /// `NoAuth` if the caller has none of the needed permissions.
    pub(super) fn allow(&self, staged: &Staged, needed: Perms) -> Result<(), ErrorCode> {
        let access = Access { rules: self.rules, ids: self.caller.ids };
        if access.allows(&staged.acl, needed) { Ok(()) } else { Err(ErrorCode::NO_AUTH) }
    }

    /// # Errors
    /// `SessionExpired` if the caller's session is not one.
    pub(super) fn session(&self) -> Result<(), ErrorCode> {
        self.tree.session(self.caller.session).map(|_| ()).ok_or(ErrorCode::SESSION_EXPIRED)
    }
}

/// The version after this one, if this one is as expected; -1 expects any.
///
/// # Errors
/// `BadVersion`.
pub(super) fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BAD_VERSION);
    }
    Ok(if planted!("server_version_saturates") { current.saturating_add(1) } else { current.wrapping_add(1) })
}
