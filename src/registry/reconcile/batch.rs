//! Steps of several places as the operations of one request.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Step;
use crate::registry::layout::{Leaf, LeafMode, ParentMode};

/// Writes that are done together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// One for each place.
    pub writes: Vec<Write>,
}

/// What is written to one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The place.
    pub path: String,
    /// The znode as wished.
    pub leaf: Leaf,
    /// The step, one that writes.
    pub step: Step,
}

/// One operation of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Creates a directory.
    CreateDir {
        /// Its path.
        path: String,
        /// Its mode.
        mode: ParentMode,
    },
    /// Creates a znode.
    Create {
        /// Its path.
        path: String,
        /// Its data.
        data: Bytes,
        /// Its mode.
        mode: LeafMode,
    },
    /// Sets data, if that has this version.
    Set {
        /// The path.
        path: String,
        /// The data.
        data: Bytes,
        /// The version to replace.
        version: i32,
    },
    /// Deletes a znode, if it has this version.
    Delete {
        /// The path.
        path: String,
        /// The version to delete.
        version: i32,
    },
}

impl Batch {
    /// Its operations in their order. A directory that two places lack is made once.
    #[must_use]
    pub fn ops(&self) -> Vec<Op> {
        self.traced().into_iter().map(|(_, op)| op).collect()
    }

    /// Which write an operation belongs to, and which of that write's own operations it is; both counted from 0.
    pub(super) fn origin(&self, op: usize) -> (usize, usize) {
        self.traced().into_iter().nth(op).map_or((0, 0), |(origin, _)| origin)
    }

    fn traced(&self) -> Vec<((usize, usize), Op)> {
        let mut made = BTreeSet::new();
        let mut ops = Vec::new();
        for (at, write) in self.writes.iter().enumerate() {
            for (nth, op) in write.ops().into_iter().enumerate() {
                let again = matches!(&op, Op::CreateDir { path, .. } if !made.insert(path.clone()));
                if !again {
                    ops.push(((at, nth), op));
                }
            }
        }
        ops
    }

    pub(super) fn makes_containers(&self) -> bool {
        self.ops().iter().any(|op| matches!(op, Op::CreateDir { mode: ParentMode::Container, .. }))
    }

    /// Whether it makes every directory above one of its leaves. If one is missing still, it is above the root.
    #[must_use]
    pub fn makes_all_parents(&self) -> bool {
        self.writes.iter().any(|write| match &write.step {
            Step::Create { parents } => parents.len() == write.leaf.ancestors().len(),
            _ => false,
        })
    }
}

impl Write {
    fn ops(&self) -> Vec<Op> {
        let path = self.path.clone();
        let Leaf { data, mode, parents: parent_mode, .. } = self.leaf.clone();
        match &self.step {
            Step::Create { parents } => {
                let dirs = parents.iter().map(|path| Op::CreateDir { path: path.clone(), mode: parent_mode });
                dirs.chain([Op::Create { path, data, mode }]).collect()
            }
            Step::TakeOver { version } | Step::ReplacePersistent { version } => {
                vec![Op::Delete { path: path.clone(), version: *version }, Op::Create { path, data, mode }]
            }
            Step::SetData { version, data } => vec![Op::Set { path, data: data.clone(), version: *version }],
            Step::Delete { version } => vec![Op::Delete { path, version: *version }],
            _ => Vec::new(),
        }
    }
}
