//! What is recorded. Nothing here judges.

use std::fmt;

/// A session, by the id that the server gave it.
pub type Session = i64;

/// A transaction of the ensemble.
pub type Zxid = i64;

/// What stands for a znode's data: the number of the write it came from, 0 for none.
pub type Value = u64;

/// A watch, numbered by the recorder.
pub type WatchId = u64;

/// The wire's code for a znode that is not there.
pub const NO_NODE: i32 = -101;
/// The wire's code for a version that is another.
pub const BAD_VERSION: i32 = -103;
/// The wire's code for a znode that is there already.
pub const NODE_EXISTS: i32 = -110;
/// The wire's code for a znode that has children.
pub const NOT_EMPTY: i32 = -111;

/// An operation of the history, numbered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub(crate) usize);

/// What kind of znode is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mode {
    /// It goes with its session.
    pub ephemeral: bool,
    /// The server puts digits behind the name.
    pub sequential: bool,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Create a znode.
    Create {
        /// Its path; of a sequential one, what comes before the digits.
        path: String,
        /// Its data.
        value: Value,
        /// Its kind.
        mode: Mode,
    },
    /// Replace data.
    Set {
        /// Of which znode.
        path: String,
        /// The new data.
        value: Value,
        /// If it has this version; -1 for any.
        version: i32,
    },
    /// Delete a znode.
    Delete {
        /// Which.
        path: String,
        /// If it has this version; -1 for any.
        version: i32,
    },
    /// Demand a version; only in a transaction.
    Check {
        /// Of which znode.
        path: String,
        /// The version; -1 for any.
        version: i32,
    },
    /// All of these or none.
    Multi(Vec<Op>),
    /// Read data and stat, and perhaps set a one-shot watch.
    Get {
        /// Of which znode.
        path: String,
        /// The watch.
        watch: Option<WatchId>,
    },
    /// Read the stat, and perhaps set a one-shot watch.
    Exists {
        /// Of which znode.
        path: String,
        /// The watch.
        watch: Option<WatchId>,
    },
    /// List children, and perhaps set a one-shot watch.
    Children {
        /// Of which znode.
        path: String,
        /// The watch.
        watch: Option<WatchId>,
    },
    /// Set a lasting watch.
    Watch {
        /// On which znode.
        path: String,
        /// On everything below it too.
        recursive: bool,
        /// The watch.
        watch: WatchId,
    },
    /// Bring the member up to date.
    Sync,
    /// End the session.
    Close,
}

/// A znode's stat, as far as it is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// The transaction that created it.
    pub czxid: Zxid,
    /// The transaction that last set its data.
    pub mzxid: Zxid,
    /// The transaction that last changed its children.
    pub pzxid: Zxid,
    /// How often its data was set.
    pub version: i32,
    /// How often its children changed.
    pub cversion: i32,
    /// The session it goes with; 0 for none.
    pub owner: Session,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing but success: of deletes, checks, syncs, watches and closes.
    Done,
    /// A znode was created: its whole path, and its stat if the server told it.
    Created(String, Option<Stat>),
    /// The stat of a set or of an exists; `None` for a znode that is not there.
    Stat(Option<Stat>),
    /// Data and stat.
    Data(Value, Stat),
    /// The names of the children, and the stat of their parent.
    Children(Vec<String>, Stat),
    /// Of each step of a transaction.
    Multi(Vec<Answer>),
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done {
        /// What was answered.
        answer: Answer,
        /// The reply header's zxid, if it is known: a write's own, or the last that the member had when it read.
        zxid: Option<Zxid>,
    },
    /// The server refused it, with this code, and did nothing.
    Refused(i32),
    /// It never left.
    NotSent,
    /// It may have been done, and may still be.
    Unknown,
}

/// What a watch tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A znode was created.
    Created,
    /// A znode was deleted.
    Deleted,
    /// Its data was set.
    Data,
    /// A child came or went.
    Children,
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Invoked { op: OpId, session: Session, pipelined: bool, what: Op },
    Completed { op: OpId, outcome: Outcome },
    Event { session: Session, watch: WatchId, kind: EventKind, path: String, zxid: Option<Zxid> },
    Gap { session: Session, watch: WatchId },
    Ended { session: Session, certain: bool },
    Doubt(bool),
}

/// The record of one run: lines in the order in which they became true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub(crate) lines: Vec<(u64, Entry)>,
    pub(crate) ops: usize,
}

impl History {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An operation is about to be asked, and may be repeated by the client.
    pub fn invoked(&mut self, at: u64, session: Session, what: Op) -> OpId {
        self.begin(at, session, false, what)
    }

    /// An operation of a pipeline is about to be asked: it goes out once, in the order of these calls.
    pub fn sent(&mut self, at: u64, session: Session, what: Op) -> OpId {
        self.begin(at, session, true, what)
    }

    fn begin(&mut self, at: u64, session: Session, pipelined: bool, what: Op) -> OpId {
        let op = OpId(self.ops);
        self.ops += 1;
        self.lines.push((at, Entry::Invoked { op, session, pipelined, what }));
        op
    }

    /// The outcome of an operation is known.
    pub fn completed(&mut self, at: u64, op: OpId, outcome: Outcome) {
        self.lines.push((at, Entry::Completed { op, outcome }));
    }

    /// A watch tells of a change; the zxid where the server tells it.
    pub fn event(
        &mut self,
        at: u64,
        session: Session,
        watch: WatchId,
        kind: EventKind,
        path: impl Into<String>,
        zxid: Option<Zxid>,
    ) {
        self.lines.push((at, Entry::Event { session, watch, kind, path: path.into(), zxid }));
    }

    /// A watch says that it may have missed something.
    pub fn gap(&mut self, at: u64, session: Session, watch: WatchId) {
        self.lines.push((at, Entry::Gap { session, watch }));
    }

    /// A session has ended: certainly, by the server's word, or perhaps.
    pub fn ended(&mut self, at: u64, session: Session, certain: bool) {
        self.lines.push((at, Entry::Ended { session, certain }));
    }

    /// From now on a leader may be deposed and not know it.
    pub fn leader_in_doubt(&mut self, at: u64) {
        self.lines.push((at, Entry::Doubt(true)));
    }

    /// There is one leader and everybody knows it.
    pub fn leader_certain(&mut self, at: u64) {
        self.lines.push((at, Entry::Doubt(false)));
    }

    /// All operations with their outcomes, in the order of their beginnings.
    pub fn operations(&self) -> impl Iterator<Item = (OpId, Session, &Op, Option<&Outcome>)> {
        let mut outcomes = vec![None; self.ops];
        for (_, entry) in &self.lines {
            if let Entry::Completed { op, outcome } = entry {
                outcomes[op.0] = Some(outcome);
            }
        }
        self.lines.iter().filter_map(move |(_, entry)| match entry {
            Entry::Invoked { op, session, what, .. } => Some((*op, *session, what, outcomes[op.0])),
            _ => None,
        })
    }

    /// The outcome of an operation, to plant a violation.
    pub fn outcome_mut(&mut self, wanted: OpId) -> Option<&mut Outcome> {
        self.lines.iter_mut().find_map(|(_, entry)| match entry {
            Entry::Completed { op, outcome } if *op == wanted => Some(outcome),
            _ => None,
        })
    }

    /// Takes out every word of watches, to plant a violation.
    pub fn silence_watches(&mut self) {
        self.lines.retain(|(_, entry)| !matches!(entry, Entry::Event { .. } | Entry::Gap { .. }));
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl Op {
    /// A plain znode.
    pub fn create(path: impl Into<String>, value: Value) -> Self {
        Self::Create { path: path.into(), value, mode: Mode::default() }
    }

    /// A znode of this kind.
    pub fn create_with(path: impl Into<String>, value: Value, ephemeral: bool, sequential: bool) -> Self {
        Self::Create { path: path.into(), value, mode: Mode { ephemeral, sequential } }
    }

    /// New data.
    pub fn set(path: impl Into<String>, value: Value, version: i32) -> Self {
        Self::Set { path: path.into(), value, version }
    }

    /// A znode less.
    pub fn delete(path: impl Into<String>, version: i32) -> Self {
        Self::Delete { path: path.into(), version }
    }

    /// A read without a watch.
    pub fn get(path: impl Into<String>) -> Self {
        Self::Get { path: path.into(), watch: None }
    }

    /// A look without a watch.
    pub fn exists(path: impl Into<String>) -> Self {
        Self::Exists { path: path.into(), watch: None }
    }

    /// A list without a watch.
    pub fn children(path: impl Into<String>) -> Self {
        Self::Children { path: path.into(), watch: None }
    }

    /// Whether it changes znodes.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Set { .. } | Self::Delete { .. } | Self::Multi(_))
    }

    /// The steps of a transaction, or itself.
    pub(crate) fn steps(&self) -> &[Op] {
        match self {
            Self::Multi(steps) => steps,
            one => std::slice::from_ref(one),
        }
    }

    /// The path it is about; of a transaction, none.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Create { path, .. }
            | Self::Set { path, .. }
            | Self::Delete { path, .. }
            | Self::Check { path, .. }
            | Self::Get { path, .. }
            | Self::Exists { path, .. }
            | Self::Children { path, .. }
            | Self::Watch { path, .. } => Some(path),
            Self::Multi(_) | Self::Sync | Self::Close => None,
        }
    }
}

impl Outcome {
    /// Done; the reply header's zxid is not known.
    #[must_use]
    pub fn done(answer: Answer) -> Self {
        Self::Done { answer, zxid: None }
    }

    /// Done, with the reply header's zxid.
    #[must_use]
    pub fn done_at(zxid: Zxid, answer: Answer) -> Self {
        Self::Done { answer, zxid: Some(zxid) }
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
