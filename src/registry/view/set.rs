//! The instances of a service at one moment, and what differs between two moments.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::registry::model::Instance;

/// All instances of a service as last read. Immutable: a change makes a new set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    entries: Vec<Entry>,
}

/// An instance and the leaf it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The leaf's name in its directory.
    pub leaf: Arc<str>,
    /// The instance.
    pub instance: Arc<Instance>,
}

/// The step from one set to a later one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The set after the step.
    pub set: Arc<Set>,
    /// Instances on leaves that were not in the set before.
    pub added: Vec<Arc<Instance>>,
    /// Instances on leaves that are not in the set any more.
    pub removed: Vec<Arc<Instance>>,
    /// Instances that differ on the same leaf.
    pub updated: Vec<Updated>,
}

/// An instance before and after a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// Before.
    pub old: Arc<Instance>,
    /// After.
    pub new: Arc<Instance>,
}

impl Set {
    /// `entries` in the order of their leaves, each leaf once.
    pub(in crate::registry) fn from_sorted(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The instances and their leaves, in the order of the leaves' names.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The instances, in the order of the leaves' names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Instance>> {
        self.entries.iter().map(|entry| &entry.instance)
    }

    /// How many instances there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Change {
    /// The step from `old` to `new`.
    #[must_use]
    pub fn between(old: &Set, new: Arc<Set>) -> Self {
        let (mut added, mut removed, mut updated) = (Vec::new(), Vec::new(), Vec::new());
        let (mut olds, mut news) = (old.entries.iter().peekable(), new.entries.iter().peekable());
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.leaf.cmp(&new.leaf),
            };
            let gone = if order.is_le() { olds.next() } else { None };
            let come = if order.is_ge() { news.next() } else { None };
            match (gone, come) {
                (Some(gone), None) => removed.push(Arc::clone(&gone.instance)),
                (None, Some(come)) => added.push(Arc::clone(&come.instance)),
                (Some(gone), Some(come))
                    if !Arc::ptr_eq(&gone.instance, &come.instance) && gone.instance != come.instance =>
                {
                    updated
                        .push(Updated { old: Arc::clone(&gone.instance), new: Arc::clone(&come.instance) });
                }
                _ => {}
            }
        }
        Self { set: new, added, removed, updated }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.updated.is_empty()
    }
}
