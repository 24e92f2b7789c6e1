//! What was asked, and what is known of it: one entry a request, from the wish to the answer.

use std::sync::Arc;

use menagerie::session::{Fate, RequestId, WatchKind};
use menagerie_jute::{ErrorCode, OpCode};

use crate::agenda::Time;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose.
    pub client: usize,
    /// Of which of the client's sessions, counted.
    pub serial: u64,
    /// What is asked.
    pub op: OpCode,
    /// About what.
    pub path: Arc<str>,
    /// The watch that it sets.
    pub watch: Option<WatchKind>,
    /// What the session calls it.
    pub id: Option<RequestId>,
    /// One of a pipeline.
    pub pipelined: bool,
    /// When the caller stops waiting.
    pub deadline: Option<Time>,
    /// When it was submitted, and when it came back, counted in steps.
    pub submitted: u64,
    /// 0 while it is out.
    pub back: u64,
    /// The caller gave it up.
    pub cancelled: bool,
    /// Its wire, and where its first byte stands there.
    pub frame: Option<(usize, u64)>,
    /// What the server answered, as it was overheard.
    pub answer: Option<(ErrorCode, i64)>,
    /// Its entry in the log, and whether that did nothing.
    pub logged: Option<(i64, Option<ErrorCode>)>,
    /// What the caller was told, if it was no answer.
    pub fate: Option<Fate>,
    /// Its process is gone: nobody waits.
    pub abandoned: bool,
}

impl Request {
    /// Whether it has a place in the log.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.op.is_write()
    }
}

/// A watcher, as its client knows it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// What kind.
    pub kind: WatchKind,
    /// Where.
    pub path: Arc<str>,
    /// The entry of the log behind which it listens.
    pub armed: i64,
    /// The entry of the log up to which everything it should have heard was checked.
    pub checked: i64,
    /// Events heard since.
    pub heard: usize,
    /// The wire that it was checked on.
    pub wire: usize,
    /// It had a gap, and what it should hear is not known before the next answer.
    pub floating: bool,
}
