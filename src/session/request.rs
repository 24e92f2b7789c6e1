//! What is asked, and what comes back.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use super::{End, RequestError};
use crate::jute::{Encode, EventType, OpCode, Ustring};

/// One request, encoded as it is submitted.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The operation.
    pub op: OpCode,
    /// Its record. Where the record has a watch flag, it is set exactly if `watch` is; the session may clear it again.
    pub body: &'a dyn Encode,
    /// The watch that the reply sets.
    pub watch: Option<WatchWish<'a>>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// How many of the session's places it takes: [`limits::places`](crate::limits::places) of its length.
    pub places: u32,
    /// Whether it belongs to a pipeline: then a loss fails it even if it was still waiting, so that what was applied is
    /// a prefix of what was sent before the loss.
    pub pipelined: bool,
}

/// A watch to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchWish<'a> {
    /// Its kind.
    pub kind: WatchKind,
    /// The whole path on the server.
    pub path: &'a str,
}

/// What a watch listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchKind {
    /// Once: the znode is created, deleted or its data set. Set by `getData` and `exists`.
    Data,
    /// Once: a child comes or goes, or the znode is deleted. Set by `getChildren` and `getChildren2`.
    Child,
    /// Until removed: all of the above, of this znode. Set by `addWatch`.
    Persistent,
    /// Until removed: creation, deletion and data of this znode and all below it. Set by `addWatch`.
    Recursive,
}

/// An answer without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The last transaction applied when the server answered; for a write, the write's own.
    pub zxid: i64,
    /// The response record, undecoded: a slice of the input it came in.
    pub body: Bytes,
}

/// How a request ended: with an answer, or with its cause and fate.
pub type Outcome = Result<Reply, RequestError>;

/// A request that was not taken: the token comes straight back.
#[derive(Debug)]
pub struct Rejected<T> {
    /// The caller's token.
    pub token: T,
    /// Why.
    pub error: RequestError,
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The watched thing happened.
    Event {
        /// What.
        event_type: EventType,
        /// The whole path on the server.
        path: Ustring,
        /// The transaction, where the server tells it (from 3.9 on, and not when it re-arms); else -1.
        zxid: i64,
    },
    /// Events may be missing here: read again. A one-shot watch ends with it, a persistent one goes on.
    Gap,
    /// Events may be missing, and none comes from here on: this server refuses lasting watches (before 3.6). The next server that
    /// takes it again is told by a [`Gap`](Self::Gap).
    NotWatched,
    /// The session ended and the watch with it.
    Ended(End),
}

impl WatchKind {
    /// Whether the watch goes with its first event.
    #[must_use]
    pub fn is_one_shot(self) -> bool {
        matches!(self, Self::Data | Self::Child)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("op", &self.op)
            .field("watch", &self.watch)
            .field("deadline", &self.deadline)
            .field("pipelined", &self.pipelined)
            .finish_non_exhaustive()
    }
}
