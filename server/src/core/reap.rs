//! Znodes that go by themselves: containers that were used and are empty, and what outlived its time (`ContainerManager`).

use std::sync::Arc;

use super::path;
use super::prepare::is_special;
use super::rules::{Like, Rules};
use super::tree::Tree;
use super::txn::{Change, Kind};
use crate::jute::ErrorCode;

/// The paths to reap now, sorted. Each becomes an entry of its own, by [`prepare_reaping`].
#[must_use]
pub fn due_for_reaping(tree: &Tree, rules: &Rules, now_millis: i64) -> Vec<Arc<str>> {
    let is_due = |path: &&Arc<str>| {
        let Some(node) = tree.node(path).filter(|node| node.children.is_empty()) else { return false };
        let idle_millis = now_millis.saturating_sub(node.mtime);
        match node.kind {
            Kind::Container if node.creates > 0 || planted!("server_reaps_unused") => true,
            Kind::Container => rules.max_never_used_millis > 0 && idle_millis > rules.max_never_used_millis,
            Kind::Ttl { millis } => idle_millis > millis,
            Kind::Persistent | Kind::Ephemeral { .. } => false,
        }
    };
    tree.passing.iter().filter(is_due).cloned().collect()
}

/// What reaping a path comes to: it may have got a child since it was seen to be due. No list is asked.
#[must_use]
pub fn prepare_reaping(tree: &Tree, path: &str) -> Change {
    let Some(node) = tree.node(path).filter(|_| path::split(path).is_some()) else {
        return Change::Refused(ErrorCode::NO_NODE);
    };
    match node.kind {
        _ if !node.children.is_empty() => Change::Refused(ErrorCode::NOT_EMPTY),
        Kind::Container | Kind::Ttl { .. } if !is_special(Like::V3_9, path) => {
            Change::Delete { path: Arc::from(path) }
        }
        _ => Change::Refused(ErrorCode::BAD_VERSION),
    }
}
