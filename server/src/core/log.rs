//! What happened, bounded, for tests to ask and for people to read. No credentials and no data are in it.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::connection::ConnectionId;
use super::faults::Fault;
use crate::jute::{CreateMode, ErrorCode, EventType, Op, OpCode, RequestBody, Ustring, Xid};

/// Operations of one multi that the log keeps.
const OPS_KEPT: usize = 64;

/// Bytes of all texts that the log keeps.
const TEXT_KEPT_BYTES: usize = 4 << 20;

/// Bytes of a path that the log keeps.
const PATH_KEPT_BYTES: usize = 1_024;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, since the server began.
    pub at: Duration,
    /// Where; `None` for what no connection did.
    pub connection: Option<ConnectionId>,
    /// Whose; 0 without a session.
    pub session: i64,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A connection came.
    Connected(SocketAddr),
    /// A session began.
    Opened {
        /// As negotiated, in milliseconds.
        timeout_millis: i32,
    },
    /// A connection took up its session.
    Attached,
    /// A handshake ended without a session.
    Refused(Refusal),
    /// A request, and what it came to.
    Request(Request),
    /// An event was sent to so many watchers.
    Event {
        /// What kind.
        event_type: EventType,
        /// Of which znode.
        path: String,
        /// How many connections heard of it.
        watchers: usize,
    },
    /// A four-letter word.
    Word(&'static str),
    /// A session was over by its time, or by a test's wish.
    Expired,
    /// A connection was closed by the server or was gone.
    Closed(Why),
    /// A test did something to the server.
    Test(&'static str),
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The server is there and does not serve.
    NotServing,
    /// The first frame is no ConnectRequest.
    Malformed,
    /// The server is read-only, and the client did not say that this will do.
    ReadOnly,
    /// The client has seen a later zxid than the server.
    Behind,
    /// The session is unknown, over, or the password is another one.
    Session,
}

/// Why a connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The peer closed it, or it broke.
    Peer,
    /// Its session was closed by its client.
    SessionClosed,
    /// Its session expired.
    SessionExpired,
    /// Its session is spoken for by another connection, or moved.
    SessionMoved,
    /// The handshake was refused.
    Refused,
    /// A frame has a negative length, one over the limit, or no header.
    BadFrame,
    /// An operation that the server does not know.
    Unimplemented,
    /// Credentials were refused.
    AuthFailed,
    /// More connections than allowed.
    TooMany,
    /// The peer does not read, and too much waits for it; or it watches too much.
    Backlog,
    /// It asked for more in one answer than any may hold.
    TooLarge,
    /// No session in time.
    Silent,
    /// A four-letter word was answered.
    Answered,
    /// A test wished it.
    Test,
    /// The server stopped or changed its mode.
    Stopped,
}

/// A request as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub xid: Xid,
    /// What it asks for.
    pub op: OpCode,
    /// The path that it is about; empty if there is none.
    pub path: String,
    /// What else it says.
    pub details: Details,
    /// What was answered.
    pub err: ErrorCode,
    /// The zxid of the answer.
    pub zxid: i64,
    /// What a test did to it.
    pub fault: Option<Fault>,
}

/// What a request says beside its path, without data and credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Extra {
    /// Nothing.
    #[default]
    None,
    /// A read, and whether it watches.
    Watch(bool),
    /// A version that must be right.
    Version(i32),
    /// The kind of znode, as its flags say.
    Mode(CreateMode),
    /// The kind of watch.
    Kind(i32),
    /// So many paths.
    Paths(usize),
}

/// Beside the path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// A number or a flag.
    pub extra: Extra,
    /// Length of the data that it carries.
    pub data_len: Option<usize>,
    /// The operations of a multi or multiRead with their paths; the first 64 of them.
    pub ops: Vec<(OpCode, String)>,
}

/// The last entries, oldest first.
#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    most: usize,
    /// Bytes of the texts in them.
    len_bytes: usize,
}

impl Log {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), most, len_bytes: 0 }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        if self.most == 0 {
            return;
        }
        self.len_bytes += entry.len_bytes();
        self.entries.push_back(entry);
        while self.entries.len() > self.most || self.len_bytes > TEXT_KEPT_BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.len_bytes = self.len_bytes.saturating_sub(oldest.len_bytes());
        }
    }

    /// Whether it keeps nothing.
    pub(super) fn is_off(&self) -> bool {
        self.most == 0
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.len_bytes = 0;
    }
}

/// A path of a request, cut to what the log keeps.
pub(super) fn kept(path: &str) -> String {
    let most = if planted!("server_log_keeps_paths_whole") { usize::MAX } else { PATH_KEPT_BYTES };
    let mut end = path.len().min(most);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    path.get(..end).unwrap_or_default().to_owned()
}

/// The paths that a request is about.
pub(super) fn paths(body: &RequestBody) -> Vec<&str> {
    match body {
        RequestBody::Multi(multi) | RequestBody::MultiRead(multi) => {
            multi.ops.iter().filter_map(|op| op_path(&op.op)).map(Ustring::as_str).collect()
        }
        one => path(one).into_iter().map(Ustring::as_str).collect(),
    }
}

/// The path that a request is about, if it is about one.
pub(super) fn path(body: &RequestBody) -> Option<&Ustring> {
    Some(match body {
        RequestBody::Create(create) | RequestBody::Create2(create) | RequestBody::CreateContainer(create) => {
            &create.path
        }
        RequestBody::CreateTtl(create) => &create.path,
        RequestBody::Delete(delete) => &delete.path,
        RequestBody::Exists(read) => &read.path,
        RequestBody::GetData(read) => &read.path,
        RequestBody::SetData(set) => &set.path,
        RequestBody::GetAcl(read) => &read.path,
        RequestBody::SetAcl(set) => &set.path,
        RequestBody::GetChildren(read) => &read.path,
        RequestBody::GetChildren2(read) => &read.path,
        RequestBody::Sync(sync) => &sync.path,
        RequestBody::CheckWatches(watch) => &watch.path,
        RequestBody::RemoveWatches(watch) => &watch.path,
        RequestBody::AddWatch(watch) => &watch.path,
        RequestBody::GetEphemerals(read) => &read.prefix_path,
        RequestBody::GetAllChildrenNumber(read) => &read.path,
        // Which scheme, not what is presented.
        RequestBody::Auth(packet) => &packet.scheme,
        _ => return None,
    })
}

fn op_path(op: &Op) -> Option<&Ustring> {
    Some(match op {
        Op::Create(create) | Op::Create2(create) | Op::CreateContainer(create) => &create.path,
        Op::CreateTtl(create) => &create.path,
        Op::Delete(delete) => &delete.path,
        Op::SetData(set) => &set.path,
        Op::Check(check) => &check.path,
        Op::GetChildren(read) => &read.path,
        Op::GetData(read) => &read.path,
        _ => return None,
    })
}

pub(super) fn details(body: &RequestBody) -> Details {
    Details { extra: extra(body), data_len: data_len(body), ops: ops(body) }
}

fn extra(body: &RequestBody) -> Extra {
    let count = |list: &Option<Vec<Ustring>>| list.as_ref().map_or(0, Vec::len);
    match body {
        RequestBody::Exists(read) => Extra::Watch(read.watch),
        RequestBody::GetData(read) => Extra::Watch(read.watch),
        RequestBody::GetChildren(read) => Extra::Watch(read.watch),
        RequestBody::GetChildren2(read) => Extra::Watch(read.watch),
        RequestBody::Delete(delete) => Extra::Version(delete.version),
        RequestBody::SetData(set) => Extra::Version(set.version),
        RequestBody::SetAcl(set) => Extra::Version(set.version),
        RequestBody::Create(create) | RequestBody::Create2(create) | RequestBody::CreateContainer(create) => {
            Extra::Mode(create.flags)
        }
        RequestBody::CreateTtl(create) => Extra::Mode(create.flags),
        RequestBody::AddWatch(watch) => Extra::Kind(watch.mode.0),
        RequestBody::CheckWatches(watch) => Extra::Kind(watch.watcher_type.0),
        RequestBody::RemoveWatches(watch) => Extra::Kind(watch.watcher_type.0),
        RequestBody::SetWatches(set) => {
            Extra::Paths(count(&set.data_watches) + count(&set.exist_watches) + count(&set.child_watches))
        }
        RequestBody::SetWatches2(set) => Extra::Paths(
            count(&set.data_watches)
                + count(&set.exist_watches)
                + count(&set.child_watches)
                + count(&set.persistent_watches)
                + count(&set.persistent_recursive_watches),
        ),
        _ => Extra::None,
    }
}

fn data_len(body: &RequestBody) -> Option<usize> {
    let data = match body {
        RequestBody::Create(create) | RequestBody::Create2(create) | RequestBody::CreateContainer(create) => {
            &create.data
        }
        RequestBody::CreateTtl(create) => &create.data,
        RequestBody::SetData(set) => &set.data,
        _ => return None,
    };
    data.as_ref().map(bytes::Bytes::len)
}

fn ops(body: &RequestBody) -> Vec<(OpCode, String)> {
    let (RequestBody::Multi(multi) | RequestBody::MultiRead(multi)) = body else { return Vec::new() };
    let named = |op: &Op| (op.op(), kept(op_path(op).map_or("", Ustring::as_str)));
    multi.ops.iter().take(OPS_KEPT).map(|op| named(&op.op)).collect()
}

impl Entry {
    /// Bytes of the texts in it.
    fn len_bytes(&self) -> usize {
        match &self.what {
            What::Request(request) => {
                request.path.len() + request.details.ops.iter().map(|(_, path)| path.len()).sum::<usize>()
            }
            What::Event { path, .. } => path.len(),
            _ => 0,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} ", self.at.as_secs_f64())?;
        match self.connection {
            Some(connection) => write!(f, "{connection:<7} ", connection = connection.to_string())?,
            None => f.write_str("-       ")?,
        }
        if self.session != 0 {
            write!(f, "{:#x} ", self.session)?;
        }
        match &self.what {
            What::Connected(peer) => write!(f, "connected from {peer}"),
            What::Opened { timeout_millis } => write!(f, "session begins, timeout {timeout_millis} ms"),
            What::Attached => f.write_str("session taken up"),
            What::Refused(refusal) => write!(f, "refused: {refusal:?}"),
            What::Request(request) => fmt::Display::fmt(request, f),
            What::Event { event_type, path, watchers } => {
                write!(f, "event {event_type} {} to {watchers}", path.escape_debug())
            }
            What::Word(word) => write!(f, "word {word}"),
            What::Expired => f.write_str("session expired"),
            What::Closed(why) => write!(f, "closed: {why:?}"),
            What::Test(what) => write!(f, "test: {what}"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {}", self.xid.0, self.op)?;
        if !self.path.is_empty() {
            write!(f, " {}", self.path.escape_debug())?;
        }
        match self.details.extra {
            Extra::None => {}
            Extra::Watch(watch) => f.write_str(if watch { " watching" } else { "" })?,
            Extra::Version(version) => write!(f, " at version {version}")?,
            Extra::Mode(mode) => write!(f, " {mode}")?,
            Extra::Kind(kind) => write!(f, " of kind {kind}")?,
            Extra::Paths(count) => write!(f, " of {count} paths")?,
        }
        if let Some(len) = self.details.data_len {
            write!(f, " {len} B")?;
        }
        for (op, path) in &self.details.ops {
            write!(f, " [{op} {}]", path.escape_debug())?;
        }
        write!(f, " -> {} zxid {:#x}", self.err, self.zxid)?;
        match self.fault {
            Some(fault) => write!(f, " ({fault:?})"),
            None => Ok(()),
        }
    }
}
