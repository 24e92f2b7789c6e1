//! What probably exists: enough for the generator to make up operations that succeed. It is corrected by every answer, and decides
//! nothing about right and wrong.

use crate::{
    call::{At, Call},
    side::Item,
};
use menagerie_jute::{
    Acl, CreateMode, ErrorCode, EventType, OpCode, OpResult, Perms, Reply, ReplyBody, Stat, Ustring,
    WatcherType,
};
use std::collections::{BTreeMap, BTreeSet};

/// User names and passwords, and the ids that `digest` makes of them.
pub const USERS: [(&str, &str); 3] = [
    ("u0:p0", "u0:kn4sLJzXfp7KZRbZugmnVcIMGpM="),
    ("u1:p1", "u1:fpT/y03U+EjItKZOSLGvjnJlyng="),
    ("u2:p2", "u2:o9NxcCGDPOlcV7JVhmKHOf5ctVE="),
];
/// Who may do all.
pub const SUPER: &str = "super:secret";

/// A znode.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its list.
    pub acl: Vec<Acl>,
    /// Version of the data.
    pub version: i32,
    /// Version of the list.
    pub aversion: i32,
    /// The place of the session that it goes with.
    pub owner: Option<usize>,
}

/// A session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Whether it was opened and not closed.
    pub alive: bool,
    /// Whether it has a connection.
    pub attached: bool,
    /// Ids of its connection by `digest`.
    pub users: BTreeSet<&'static str>,
    /// Whether it may do all.
    pub is_super: bool,
    /// What its connection watches.
    pub watches: Vec<(At, WatcherType)>,
}

/// What probably exists.
#[derive(Debug)]
pub struct Model {
    /// Znodes by their path below the base, which is empty.
    pub nodes: BTreeMap<String, Node>,
    /// Places for sessions.
    pub sessions: Vec<Session>,
    /// The length of the base path.
    pub base_len: usize,
    /// What was taken out ahead of the answer.
    removed: BTreeMap<String, Node>,
}

impl Default for Node {
    fn default() -> Self {
        Self { acl: Acl::OPEN.to_vec(), version: 0, aversion: 0, owner: None }
    }
}

/// The path of the parent.
#[must_use]
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Model {
    /// Only the base, and places without sessions.
    #[must_use]
    pub fn new(slots: usize, base_len: usize) -> Self {
        let nodes = BTreeMap::from([(String::new(), Node::default())]);
        let sessions = (0..slots).map(|_| Session::default()).collect();
        Self { nodes, sessions, base_len, removed: BTreeMap::new() }
    }

    /// Whether a session may do that at a znode.
    #[must_use]
    pub fn may(&self, slot: usize, path: &str, perms: Perms) -> bool {
        let (Some(session), Some(node)) = (self.sessions.get(slot), self.nodes.get(path)) else {
            return false;
        };
        session.is_super
            || node.acl.iter().any(|acl| {
                let known = match acl.id.scheme.as_str() {
                    "world" => true,
                    "ip" => acl.id.id.as_str().starts_with("127."),
                    _ => session.users.contains(acl.id.id.as_str()),
                };
                known && acl.perms.0 & perms.0 != 0
            })
    }

    /// Whether a znode has children.
    #[must_use]
    pub fn has_children(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        self.nodes.range(prefix.clone()..).next().is_some_and(|(next, _)| next.starts_with(&prefix))
    }

    fn insert(&mut self, slot: usize, path: &str, acl: Option<&Vec<Acl>>, flags: CreateMode) {
        let acl = acl.map_or_else(|| Acl::OPEN.to_vec(), |acl| self.expanded(slot, acl));
        let ephemeral = matches!(flags, CreateMode::EPHEMERAL | CreateMode::EPHEMERAL_SEQUENTIAL);
        let node = Node { acl, owner: ephemeral.then_some(slot), ..Node::default() };
        self.nodes.insert(path.to_owned(), node);
    }

    fn expanded(&self, slot: usize, acl: &[Acl]) -> Vec<Acl> {
        let mut all = Vec::new();
        for entry in acl {
            if entry.id.scheme == "auth" {
                let users = self.sessions.get(slot).map(|session| session.users.clone()).unwrap_or_default();
                all.extend(users.into_iter().map(|user| Acl::new(entry.perms, "digest", user)));
            } else {
                all.push(entry.clone());
            }
        }
        all
    }

    fn remove(&mut self, path: &str) {
        if let Some(node) = self.nodes.remove(path) {
            self.removed.insert(path.to_owned(), node);
        }
    }

    fn restore(&mut self, path: &str) {
        let node = self.removed.remove(path).unwrap_or_default();
        self.nodes.entry(path.to_owned()).or_insert(node);
    }

    /// Takes a request for done, before its answer is there.
    pub fn assume(&mut self, slot: usize, call: &Call) {
        match call {
            Call::Create { at: At::Below(path), acl, flags, .. } if !is_sequential(*flags) => {
                self.insert(slot, path, acl.as_ref(), *flags);
            }
            Call::Versioned { op: OpCode::DELETE, at: At::Below(path), .. } => self.remove(path),
            Call::SetData { at: At::Below(path), .. } => {
                if let Some(node) = self.nodes.get_mut(path) {
                    node.version += 1;
                }
            }
            Call::SetAcl { at: At::Below(path), acl: Some(acl), .. } => self.set_acl(slot, path, acl),
            Call::Multi { calls, .. } => calls.iter().for_each(|call| self.assume(slot, call)),
            _ => {}
        }
    }

    fn set_acl(&mut self, slot: usize, path: &str, acl: &[Acl]) {
        let acl = self.expanded(slot, acl);
        if let Some(node) = self.nodes.get_mut(path) {
            node.acl = acl;
            node.aversion += 1;
        }
    }

    /// Corrects itself by what a request's answer says.
    pub fn learn(&mut self, slot: usize, call: &Call, reply: &Reply) {
        let err = reply.header.err;
        if let (Call::Multi { op: OpCode::MULTI, calls }, ReplyBody::Multi(answer)) = (call, &reply.body) {
            let done = answer.results.iter().all(|result| result.err == ErrorCode::OK)
                && !answer.results.iter().any(|result| matches!(result.result, OpResult::Error(_)));
            for (call, result) in calls.iter().zip(&answer.results) {
                let (path, stat) = of_result(&result.result);
                let code = if done { ErrorCode::OK } else { result.err };
                // Behind the failed one nothing is known of any; in front of it all is undone.
                self.learn_one(slot, call, if done { code } else { undone(code) }, path, stat);
            }
            return;
        }
        let (path, stat) = of_body(&reply.body);
        self.learn_one(slot, call, err, path, stat);
    }

    fn learn_one(
        &mut self,
        slot: usize,
        call: &Call,
        err: ErrorCode,
        made: Option<&Ustring>,
        stat: Option<&Stat>,
    ) {
        let Some(path) = target(call) else { return };
        match (call, err) {
            (Call::Create { acl, flags, .. }, ErrorCode::OK) => {
                let made =
                    made.and_then(|made| made.as_str().get(self.base_len..)).unwrap_or(path).to_owned();
                self.insert(slot, &made, acl.as_ref(), *flags);
            }
            (Call::Create { .. }, ErrorCode::NODE_EXISTS) => self.restore(path),
            (Call::Create { flags, .. }, _) if !is_sequential(*flags) => {
                self.nodes.remove(path);
            }
            (Call::Versioned { op: OpCode::DELETE, .. }, ErrorCode::OK) | (_, ErrorCode::NO_NODE) => {
                self.nodes.remove(path);
            }
            (Call::Versioned { op: OpCode::DELETE, .. }, _) => self.restore(path),
            (Call::SetAcl { acl: Some(acl), .. }, ErrorCode::OK) => self.set_acl(slot, path, acl),
            (Call::Watches { op: OpCode::REMOVE_WATCHES, at, .. }, _) => {
                if let Some(session) = self.sessions.get_mut(slot) {
                    session.watches.retain(|(watched, _)| watched != at);
                }
            }
            _ => {}
        }
        self.learn_watch(slot, call, err);
        if let (Some(stat), Some(node)) = (stat, self.nodes.get_mut(path)) {
            (node.version, node.aversion) = (stat.version, stat.aversion);
        }
    }

    fn learn_watch(&mut self, slot: usize, call: &Call, err: ErrorCode) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        match call {
            Call::Read { op: OpCode::EXISTS, at, watch: true } => {
                session.watches.push((at.clone(), WatcherType::DATA));
            }
            Call::Read { op, at, watch: true } if err == ErrorCode::OK => {
                let kind = if *op == OpCode::GET_DATA { WatcherType::DATA } else { WatcherType::CHILDREN };
                session.watches.push((at.clone(), kind));
            }
            Call::AddWatch { at, .. } if err == ErrorCode::OK => {
                session.watches.push((at.clone(), WatcherType::ANY));
            }
            _ => {}
        }
    }

    /// Takes notice of what a session was told.
    pub fn notice(&mut self, slot: usize, items: &[Item]) {
        let base_len = self.base_len;
        let Some(session) = self.sessions.get_mut(slot) else { return };
        for item in items {
            let Item::Reply(Reply { body: ReplyBody::Notification(event), .. }, _) = item else { continue };
            let Some(path) = event.path.as_str().get(base_len..) else { continue };
            session.watches.retain(|(at, kind)| {
                let fired = match *kind {
                    WatcherType::DATA => event.event_type != EventType::NODE_CHILDREN_CHANGED,
                    WatcherType::CHILDREN => {
                        matches!(event.event_type, EventType::NODE_CHILDREN_CHANGED | EventType::NODE_DELETED)
                    }
                    _ => false,
                };
                !fired || at.below() != Some(path)
            });
        }
    }

    /// A session has shown credentials.
    pub fn identify(&mut self, slot: usize, text: &str) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        session.is_super |= text == SUPER;
        session.users.extend(USERS.iter().filter(|(known, _)| *known == text).map(|(_, id)| *id));
    }

    /// A session has ended.
    pub fn end(&mut self, slot: usize) {
        self.nodes.retain(|_, node| node.owner != Some(slot));
        if let Some(session) = self.sessions.get_mut(slot) {
            *session = Session::default();
        }
    }

    /// A connection has ended.
    pub fn detach(&mut self, slot: usize) {
        if let Some(session) = self.sessions.get_mut(slot) {
            *session = Session { alive: session.alive, ..Session::default() };
        }
    }
}

/// An error that says that a create did not happen, and a delete neither.
fn undone(code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::OK { ErrorCode::RUNTIME_INCONSISTENCY } else { code }
}

/// Whether the name gets a number.
#[must_use]
pub fn is_sequential(flags: CreateMode) -> bool {
    matches!(
        flags,
        CreateMode::PERSISTENT_SEQUENTIAL
            | CreateMode::EPHEMERAL_SEQUENTIAL
            | CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL
    )
}

fn target(call: &Call) -> Option<&str> {
    match call {
        Call::Create { at, .. }
        | Call::Versioned { at, .. }
        | Call::SetData { at, .. }
        | Call::SetAcl { at, .. }
        | Call::Read { at, .. }
        | Call::Watches { at, .. }
        | Call::AddWatch { at, .. } => at.below(),
        Call::Path { op: OpCode::GET_ACL | OpCode::GET_ALL_CHILDREN_NUMBER, at } => at.below(),
        _ => None,
    }
}

fn of_body(body: &ReplyBody) -> (Option<&Ustring>, Option<&Stat>) {
    match body {
        ReplyBody::Create(body) => (Some(&body.path), None),
        ReplyBody::Create2(body) | ReplyBody::CreateContainer(body) | ReplyBody::CreateTtl(body) => {
            (Some(&body.path), Some(&body.stat))
        }
        ReplyBody::Exists(body) => (None, Some(&body.stat)),
        ReplyBody::GetData(body) => (None, Some(&body.stat)),
        ReplyBody::SetData(body) => (None, Some(&body.stat)),
        ReplyBody::SetAcl(body) => (None, Some(&body.stat)),
        ReplyBody::GetAcl(body) => (None, Some(&body.stat)),
        ReplyBody::GetChildren2(body) => (None, Some(&body.stat)),
        _ => (None, None),
    }
}

fn of_result(result: &OpResult) -> (Option<&Ustring>, Option<&Stat>) {
    match result {
        OpResult::Create(body) => (Some(&body.path), None),
        OpResult::Create2(body) => (Some(&body.path), Some(&body.stat)),
        OpResult::SetData(body) => (None, Some(&body.stat)),
        _ => (None, None),
    }
}
