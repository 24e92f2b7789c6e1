//! What a view knows of one child of its directory.

use std::sync::Arc;

use super::read::InvalidReason;
use crate::registry::layout::Rule;
use crate::registry::model::Instance;

#[derive(Debug)]
pub(super) struct Child {
    /// The newest mark: something may have changed then.
    pub(super) dirty: Option<u64>,
    pub(super) queued: bool,
    pub(super) asked: bool,
    /// Whether a resync waits for it.
    pub(super) owed: bool,
    /// The most paths of a read that may include it: halved with every read that was too large.
    pub(super) share: usize,
    pub(super) held: Held,
}

#[derive(Debug)]
pub(super) enum Held {
    Unread,
    Instance(Arc<Instance>),
    /// It stands for none, and says something of those that do.
    Rule(Arc<Rule>),
    /// In a box: children are many, and most are none.
    Invalid(Box<InvalidReason>),
}

impl Held {
    pub(super) fn invalid(reason: impl Into<InvalidReason>) -> Self {
        Self::Invalid(Box::new(reason.into()))
    }

    /// Whether it was told by what the child holds.
    pub(super) fn has_data(&self) -> bool {
        match self {
            Self::Unread => false,
            Self::Instance(_) | Self::Rule(_) => true,
            Self::Invalid(reason) => matches!(**reason, InvalidReason::Malformed(_)),
        }
    }
}

/// Why a child is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// All views of the service have heard the same at this moment: it waits at the gate.
    ByEvent,
    /// Another read told of it: it follows at once.
    ByRead,
}

impl Child {
    pub(super) fn unread() -> Self {
        Self { dirty: None, queued: false, asked: false, owed: false, share: usize::MAX, held: Held::Unread }
    }

    pub(super) fn instance(&self) -> Option<&Arc<Instance>> {
        if let Held::Instance(instance) = &self.held { Some(instance) } else { None }
    }
}

impl Held {
    /// Whether the set differs with it.
    pub(super) fn shows(&self) -> bool {
        matches!(self, Self::Instance(_) | Self::Rule(_))
    }
}
