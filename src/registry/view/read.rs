//! What a view asks to be read, and what may be wrong with what it finds.

use std::sync::Arc;

use bytes::Bytes;
use menagerie_jute::ErrorCode;
use thiserror::Error;

use crate::registry::layout::{LeafStat, ReadError};

/// Names a read, so that its answer finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub(super) u64);

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The names of a znode's children, answered by [`View::on_children`](super::View::on_children).
    Children {
        /// Names the read.
        id: ReadId,
        /// The directory.
        path: String,
    },
    /// The data and stat of these znodes by one multiRead, answered by [`View::on_data`](super::View::on_data). A single one is read by getData.
    Data {
        /// Names the read.
        id: ReadId,
        /// The znodes; never empty.
        paths: Vec<String>,
    },
}

/// What came of one path of a [`Read::Data`].
pub type Item = Result<(Bytes, LeafStat), ErrorCode>;

/// A child that stands for no instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its name as the server sent it. It may hold anything: print it escaped.
    pub leaf: Arc<str>,
    /// Why.
    pub reason: InvalidReason,
}

/// Why a child stands for no instance.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidReason {
    /// The layout does not recognise it.
    #[error(transparent)]
    Malformed(#[from] ReadError),
    /// Its ACL does not let us read it.
    #[error("its ACL does not let us read it")]
    NoAuth,
    /// Alone it is larger than a reply may be.
    #[error("it is larger than a reply may be")]
    TooLarge,
    /// Reading it failed, and it has never been read. It is read again.
    #[error("reading it failed: {0}")]
    Refused(ErrorCode),
    /// It would be one rule more than [`RULES`](crate::registry::limits::RULES).
    #[error("there are more rules than are applied")]
    TooMany,
    /// Its name is none that a child can have.
    #[error("its name is none that a child can have")]
    Name,
}

/// Servers send no others, but a path made of such a name would lead elsewhere.
pub(super) fn is_child_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/')
}
