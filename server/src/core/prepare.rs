//! From a request to the change that it comes to: every check that the real server makes, in its order.
//!
//! Nothing is changed here. A request that does not pass comes to [`Change::Refused`], which takes a number of the log as any other.
//! Sources: `PrepRequestProcessor`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::acl;
use super::multi;
use super::path;
use super::rules::{Like, Rules};
use super::stage::{Stage, Staged, next_version};
use super::tree::Tree;
use super::txn::{Acls, Change, Creation, Kind};
use crate::jute::{
    Acl, CheckVersionRequest, CreateMode, CreateRequest, CreateTtlRequest, DeleteRequest, ErrorCode, Id,
    OpCode, Perms, RequestBody, SetAclRequest, SetDataRequest, Ustring,
};

/// The longest time to live, in milliseconds: 40 bits.
const LONGEST_TTL_MILLIS: i64 = (1 << 40) - 1;

/// The lists of one request are no longer together, in bytes on the wire. A mebibyte's frame gets there only by `auth`.
const MOST_ACL_LEN_BYTES: usize = 16 << 20;

/// Who asks.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The session, which must be open in the tree.
    pub session: i64,
    /// The connection's identities.
    pub ids: &'a [Id],
}

/// Without the hashes in its identities.
impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, ids } = self;
        f.debug_struct("Caller").field("session", session).field("ids", &ids.len()).finish()
    }
}

/// What a write request comes to.
///
/// Requests that are no writes, and `check` outside a multi, come to `Unimplemented`. A request that did not decode comes
/// to `Refused(MarshallingError)` if its operation is a create or a multi; that is for the caller to say. So are sessions' begin
/// and end, which are no requests.
#[must_use]
pub fn prepare(tree: &Tree, rules: &Rules, caller: Caller<'_>, body: &RequestBody) -> Change {
    let mut stage = Stage::new(tree, rules, caller);
    let change = match body {
        RequestBody::Create(request) => stage.create(&Wish::top(OpCode::CREATE, request)),
        RequestBody::Create2(request) => stage.create(&Wish::top(OpCode::CREATE2, request)),
        RequestBody::CreateContainer(request) => stage.create(&Wish::top(OpCode::CREATE_CONTAINER, request)),
        RequestBody::CreateTtl(request) => stage.create(&Wish::with_ttl(request)),
        RequestBody::Delete(request) => stage.delete(request),
        RequestBody::SetData(request) => stage.set_data(request),
        RequestBody::SetAcl(request) => stage.set_acl(request),
        RequestBody::Multi(request) => return multi::prepare(stage, request),
        RequestBody::Reconfig(_) if !rules.reconfig_enabled => Err(ErrorCode::RECONFIG_DISABLED),
        _ => Err(ErrorCode::UNIMPLEMENTED),
    };
    change.unwrap_or_else(Change::Refused)
}

/// A create of any kind.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    op: OpCode,
    path: &'a Ustring,
    data: Option<&'a Bytes>,
    acl: Option<&'a [Acl]>,
    flags: CreateMode,
    ttl_millis: i64,
    /// Inside a multi the flags alone say whether it is a container, and op 1 makes one.
    in_multi: bool,
}

impl<'a> Wish<'a> {
    pub(super) fn top(op: OpCode, request: &'a CreateRequest) -> Self {
        Self {
            op,
            path: &request.path,
            data: request.data.as_ref(),
            acl: request.acl.as_deref(),
            flags: request.flags,
            ttl_millis: -1,
            in_multi: false,
        }
    }

    pub(super) fn with_ttl(request: &'a CreateTtlRequest) -> Self {
        Self {
            op: OpCode::CREATE_TTL,
            path: &request.path,
            data: request.data.as_ref(),
            acl: request.acl.as_deref(),
            flags: request.flags,
            ttl_millis: request.ttl,
            in_multi: false,
        }
    }

    pub(super) fn in_multi(self) -> Self {
        Self { in_multi: true, ..self }
    }

    /// What kind of znode, if operation, flags and time to live agree. Stricter than the real server, which makes something of
    /// a container's operation without its flag, and of the flag without the operation.
    fn kind(&self, rules: &Rules, session: i64) -> Result<Kind, ErrorCode> {
        let is_ttl_op = self.op == OpCode::CREATE_TTL;
        if !is_known(rules.like, self.flags) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let is_container_op = if self.in_multi { !is_ttl_op } else { self.op == OpCode::CREATE_CONTAINER };
        let is_plain_op = !is_ttl_op && (self.in_multi || !is_container_op);
        match self.flags {
            CreateMode::PERSISTENT_WITH_TTL | CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL => {
                if !rules.extended_types {
                    return Err(ErrorCode::UNIMPLEMENTED);
                }
                let fits = is_ttl_op && (1..=LONGEST_TTL_MILLIS).contains(&self.ttl_millis);
                if fits { Ok(Kind::Ttl { millis: self.ttl_millis }) } else { Err(ErrorCode::BAD_ARGUMENTS) }
            }
            CreateMode::CONTAINER if is_container_op => Ok(Kind::Container),
            CreateMode::EPHEMERAL | CreateMode::EPHEMERAL_SEQUENTIAL if is_plain_op => {
                Ok(Kind::Ephemeral { owner: session })
            }
            CreateMode::PERSISTENT | CreateMode::PERSISTENT_SEQUENTIAL if is_plain_op => Ok(Kind::Persistent),
            _ => Err(ErrorCode::BAD_ARGUMENTS),
        }
    }

    fn is_sequential(&self) -> bool {
        matches!(
            self.flags,
            CreateMode::PERSISTENT_SEQUENTIAL
                | CreateMode::EPHEMERAL_SEQUENTIAL
                | CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL
        )
    }

    /// Whether the Stat is answered. Before 3.8.2 create2 in a multi was answered as create.
    fn with_stat(&self, like: Like, kind: Kind) -> bool {
        let is_create2 = self.op == OpCode::CREATE2 && (!self.in_multi || like >= Like::V3_9);
        is_create2 || matches!(kind, Kind::Container | Kind::Ttl { .. })
    }
}

/// Whether that server knows these flags at all.
pub(super) fn is_known(like: Like, flags: CreateMode) -> bool {
    let last = if like == Like::V3_4 {
        CreateMode::EPHEMERAL_SEQUENTIAL
    } else {
        CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL
    };
    (CreateMode::PERSISTENT..=last).contains(&flags)
}

impl Stage<'_> {
    pub(super) fn create(&mut self, wish: &Wish<'_>) -> Result<Change, ErrorCode> {
        let kind = wish.kind(self.rules, self.caller.session)?;
        self.session()?;
        let asked = text(wish.path)?;
        let (parent_path, _) = path::split(asked).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let acl = self.fixed_up(wish.acl)?;
        let mut parent = self.look(parent_path)?;
        self.allow(&parent, Perms::CREATE)?;
        let path: Arc<str> = if wish.is_sequential() {
            let number = if planted!("server_sequence_from_children") {
                wire_len(parent.children)
            } else {
                parent.creates
            };
            Arc::from(format!("{asked}{number:010}"))
        } else {
            Arc::from(asked)
        };
        if parent.is_ephemeral && planted!("server_ephemeral_parent_first") {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        if !path::is_valid(&path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        if self.look(&path).is_ok() {
            return Err(ErrorCode::NODE_EXISTS);
        }
        if parent.is_ephemeral {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        let data_len = wish.data.map_or(0, Bytes::len);
        if self.rules.enforce_quota {
            self.tree.check_quota(&path, 1, i64::from(wire_len(data_len)))?;
        }
        if self.changed.is_some() {
            parent.creates = parent.creates.wrapping_add(1);
            parent.children = parent.children.saturating_add(1);
            self.put(parent_path, Some(parent));
            let is_ephemeral = kind.owner().is_some();
            let staged = Staged {
                version: 0,
                aversion: 0,
                creates: 0,
                children: 0,
                is_ephemeral,
                data_len,
                acl: acl.clone(),
            };
            self.put(&path, Some(staged));
        }
        let with_stat = wish.with_stat(self.rules.like, kind);
        Ok(Change::Create(Creation { path, data: own(wish.data), acl, kind, with_stat }))
    }

    pub(super) fn delete(&mut self, request: &DeleteRequest) -> Result<Change, ErrorCode> {
        self.session()?;
        let path = text(&request.path)?;
        let (parent_path, _) = path::split(path).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        if is_special(self.rules.like, path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let mut parent = self.look(parent_path)?;
        self.allow(&parent, Perms::DELETE)?;
        let node = self.look(path)?;
        if planted!("server_own_acl_guards") {
            self.allow(&node, Perms::DELETE)?;
        }
        let version = next_version(node.version, request.version);
        let is_empty = if node.children == 0 { Ok(()) } else { Err(ErrorCode::NOT_EMPTY) };
        if planted!("server_not_empty_first") {
            is_empty?;
        }
        version?;
        is_empty?;
        parent.children = parent.children.saturating_sub(1);
        self.put(parent_path, Some(parent));
        self.put(path, None);
        Ok(Change::Delete { path: Arc::from(path) })
    }

    pub(super) fn set_data(&mut self, request: &SetDataRequest) -> Result<Change, ErrorCode> {
        self.session()?;
        let path = valid(&request.path)?;
        let mut node = self.look(path)?;
        let version = next_version(node.version, request.version);
        if planted!("server_version_before_auth") {
            version?;
        }
        self.allow(&node, Perms::WRITE)?;
        let data_len = request.data.as_ref().map_or(0, Bytes::len);
        if planted!("server_quota_after_version") {
            version?;
        }
        if self.rules.enforce_quota {
            let more = i64::from(wire_len(data_len)) - i64::from(wire_len(node.data_len));
            self.tree.check_quota(path, 0, more)?;
        }
        let version = version?;
        (node.version, node.data_len) = (version, data_len);
        self.put(path, Some(node));
        Ok(Change::SetData { path: Arc::from(path), data: own(request.data.as_ref()), version })
    }

    fn set_acl(&mut self, request: &SetAclRequest) -> Result<Change, ErrorCode> {
        self.session()?;
        let path = valid(&request.path)?;
        let acl = self.fixed_up(request.acl.as_deref())?;
        let node = self.look(path)?;
        self.allow(&node, Perms::ADMIN)?;
        let aversion = next_version(node.aversion, request.version)?;
        Ok(Change::SetAcl { path: Arc::from(path), acl, aversion })
    }

    pub(super) fn check(&self, request: &CheckVersionRequest) -> Result<Change, ErrorCode> {
        self.session()?;
        let node = self.look(valid(&request.path)?)?;
        self.allow(&node, Perms::READ)?;
        next_version(node.version, request.version)?;
        Ok(Change::Check)
    }

    /// The lists of a multi are bounded together: each may name `auth`, which stands for many.
    fn fixed_up(&mut self, acl: Option<&[Acl]>) -> Result<Acls, ErrorCode> {
        let acl = acl::fixed_up(acl, self.caller.ids)?;
        self.acl_len = self.acl_len.saturating_add(acl::wire_len(&acl));
        if self.acl_len > MOST_ACL_LEN_BYTES && !planted!("server_lists_unbounded") {
            return Err(ErrorCode::INVALID_ACL);
        }
        Ok(self.tree.acls.find(Acls::from(acl)))
    }
}

/// The real server fails over a null path before it has checked anything.
fn text(path: &Ustring) -> Result<&str, ErrorCode> {
    path.text().ok_or(ErrorCode::MARSHALLING_ERROR)
}

/// Here null is an invalid path like any other.
fn valid(path: &Ustring) -> Result<&str, ErrorCode> {
    path.text().filter(|path| path::is_valid(path)).ok_or(ErrorCode::BAD_ARGUMENTS)
}

/// What cannot be deleted.
pub(super) fn is_special(like: Like, path: &str) -> bool {
    matches!(path, path::ROOT | "/zookeeper")
        || path == path::QUOTA && !planted!("server_quota_deletable")
        || path == path::CONFIG && like != Like::V3_4
}

/// A copy that does not hold on to the frame it came in.
fn own(data: Option<&Bytes>) -> Option<Bytes> {
    if planted!("server_null_is_empty") {
        return Some(Bytes::copy_from_slice(data.map(Bytes::as_ref).unwrap_or_default()));
    }
    data.map(|data| Bytes::copy_from_slice(data))
}

fn wire_len(len: usize) -> i32 {
    super::node::wire_count(len)
}
