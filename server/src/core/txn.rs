//! What a write comes to once it is checked: the entries of the log, and what applying one makes known.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::jute::{Acl, ErrorCode, EventType};

/// The entries of an access control list, shared by every znode that has the same.
pub type Acls = Arc<[Acl]>;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txn {
    /// Its number; each entry has the next.
    pub zxid: i64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub time: i64,
    /// The session it was made for; 0 for the server's own (reaping).
    pub session: i64,
    /// What it does.
    pub change: Change,
}

/// What an entry of the log does. Everything that could be refused has been checked.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// A session begins.
    OpenSession {
        /// As negotiated, in milliseconds.
        timeout_millis: i32,
    },
    /// The session of the entry ends, closed or expired; its ephemerals go.
    CloseSession,
    /// A znode comes.
    Create(Creation),
    /// A znode goes.
    Delete {
        /// Full path.
        path: Arc<str>,
    },
    /// A znode's data is set.
    SetData {
        /// Full path.
        path: Arc<str>,
        /// Null is kept as null.
        data: Option<Bytes>,
        /// The version that it has from now on.
        version: i32,
    },
    /// A znode's access control list is set.
    SetAcl {
        /// Full path.
        path: Arc<str>,
        /// As it is from now on.
        acl: Acls,
        /// The version of the list from now on.
        aversion: i32,
    },
    /// A version was found right; only inside a multi.
    Check,
    /// Several of the above under one number.
    Multi(Vec<Change>),
    /// A write that was refused: it takes its number and does nothing.
    Refused(ErrorCode),
    /// A multi that was refused: a result for each of its operations.
    RefusedMulti(Vec<ErrorCode>),
}

/// A znode to come.
#[derive(Clone, PartialEq, Eq)]
pub struct Creation {
    /// Full path, with its number if it is sequential.
    pub path: Arc<str>,
    /// Null is kept as null.
    pub data: Option<Bytes>,
    /// Who may do what.
    pub acl: Acls,
    /// What kind of znode.
    pub kind: Kind,
    /// Whether the answer carries the znode's Stat: create2 and its kin.
    pub with_stat: bool,
}

/// What kind a znode is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Stays.
    #[default]
    Persistent,
    /// Goes with the session that made it.
    Ephemeral {
        /// That session.
        owner: i64,
    },
    /// Goes once its last child is gone.
    Container,
    /// Goes when it has no children and its data was not set for so long.
    Ttl {
        /// In milliseconds.
        millis: i64,
    },
}

impl Kind {
    /// The session that it goes with.
    #[must_use]
    pub fn owner(self) -> Option<i64> {
        match self {
            Self::Ephemeral { owner } => Some(owner),
            Self::Persistent | Self::Container | Self::Ttl { .. } => None,
        }
    }
}

/// Something that watches may be waiting for. Events come in the order in which their watchers hear of them.
#[derive(Clone, PartialEq, Eq)]
pub struct TreeEvent {
    /// Created, deleted or data changed. What it means for the parent's children follows from it.
    pub event_type: EventType,
    /// The znode.
    pub path: Arc<str>,
    /// Who may read the znode: nobody else hears of it. Of a deleted one, as it was.
    pub acl: Acls,
    /// Who may read its parent, whose children changed; `None` if they did not.
    pub parent_acl: Option<Acls>,
}

/// Without data and lists: there are secrets among both.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = |data: &Option<Bytes>| data.as_ref().map(Bytes::len);
        match self {
            Self::OpenSession { timeout_millis } => write!(f, "OpenSession({timeout_millis} ms)"),
            Self::CloseSession => f.write_str("CloseSession"),
            Self::Create(creation) => fmt::Debug::fmt(creation, f),
            Self::Delete { path } => write!(f, "Delete({path:?})"),
            Self::SetData { path, data, version } => {
                write!(f, "SetData({path:?}, {:?} bytes, version {version})", len(data))
            }
            Self::SetAcl { path, acl, aversion } => {
                write!(f, "SetAcl({path:?}, {} entries, version {aversion})", acl.len())
            }
            Self::Check => f.write_str("Check"),
            Self::Multi(changes) => f.debug_tuple("Multi").field(changes).finish(),
            Self::Refused(code) => f.debug_tuple("Refused").field(code).finish(),
            Self::RefusedMulti(codes) => f.debug_tuple("RefusedMulti").field(codes).finish(),
        }
    }
}

/// Without data and list.
impl fmt::Debug for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, data, acl, kind, with_stat } = self;
        f.debug_struct("Creation")
            .field("path", path)
            .field("data_len", &data.as_ref().map(Bytes::len))
            .field("acl_len", &acl.len())
            .field("kind", kind)
            .field("with_stat", with_stat)
            .finish()
    }
}

/// Without the lists.
impl fmt::Debug for TreeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeEvent({}, {:?})", self.event_type, self.path)
    }
}
