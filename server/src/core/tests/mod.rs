//! What the tree and its checks promise, rule by rule. The rules' names are those of the tests.

mod access;
mod creating;
mod foreign;
mod member;
mod model;
mod multi;
mod quotas;
mod reaping;
mod seeing;
mod writing;

use bytes::Bytes;

use super::{Access, Answer, Applied, Caller, Change, Like, Rules, Tree, Txn, prepare, prepare_reaping};
use crate::jute::*;

/// A tree, and sessions 1 and 2 that write to it, both by the same connection's identities.
struct World {
    tree: Tree,
    rules: Rules,
    ids: Vec<Id>,
    time: i64,
    /// Of the entry before.
    applied: Applied,
}

/// What a write comes to, made short: the path, or the code.
type Short = Result<String, ErrorCode>;

impl World {
    fn new() -> Self {
        Self::with(Rules::default())
    }

    fn like(like: Like) -> Self {
        Self::with(Rules { like, ..Rules::default() })
    }

    fn with(rules: Rules) -> Self {
        let tree = Tree::new(rules.like);
        let applied = Applied { answer: Answer::Multi(Vec::new()), events: Vec::new() };
        let mut world = Self { tree, rules, ids: Vec::new(), time: 1000, applied };
        for session in [1, 2] {
            world.append(session, Change::OpenSession { timeout_millis: 4000 });
        }
        world
    }

    /// Takes in the next entry of the log.
    fn append(&mut self, session: i64, change: Change) -> Answer {
        let txn = Txn { zxid: self.tree.zxid() + 1, time: self.time, session, change };
        self.applied = self.tree.apply(&txn);
        self.applied.answer.clone()
    }

    fn write_as(&mut self, session: i64, body: &RequestBody) -> Answer {
        let caller = Caller { session, ids: &self.ids };
        let change = prepare(&self.tree, &self.rules, caller, body);
        self.append(session, change)
    }

    fn write(&mut self, body: &RequestBody) -> Answer {
        self.write_as(1, body)
    }

    fn create(&mut self, path: &str, mode: CreateMode) -> Short {
        short(self.write(&RequestBody::Create(create(path, mode))))
    }

    /// Creates a persistent znode that must come to be.
    fn made(&mut self, path: &str) {
        assert_eq!(self.create(path, CreateMode::PERSISTENT), Ok(path.to_owned()));
    }

    fn delete(&mut self, path: &str, version: i32) -> Short {
        short(self.write(&RequestBody::Delete(DeleteRequest { path: path.into(), version })))
    }

    fn set(&mut self, path: &str, data: &str, version: i32) -> Short {
        short(self.write(&set(path, data, version)))
    }

    fn set_acl(&mut self, path: &str, acl: &[Acl], version: i32) -> Short {
        let acl = Some(acl.to_vec().into());
        short(self.write(&RequestBody::SetAcl(SetAclRequest { path: path.into(), acl, version })))
    }

    fn multi(&mut self, ops: impl IntoIterator<Item = Op>) -> Answer {
        self.write(&RequestBody::Multi(MultiRequest::new(ops)))
    }

    fn reap(&mut self, path: &str) -> Short {
        let change = prepare_reaping(&self.tree, path);
        short(self.append(0, change))
    }

    fn stat(&self, path: &str) -> Stat {
        self.tree.znode(path).unwrap().stat()
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8(self.tree.znode(path).unwrap().data().unwrap().to_vec()).unwrap()
    }

    fn access(&self) -> Access<'_> {
        Access { rules: &self.rules, ids: &self.ids }
    }

    /// The last entry's events, made short.
    fn events(&self) -> Vec<(EventType, &str)> {
        self.applied.events.iter().map(|event| (event.event_type, &*event.path)).collect()
    }
}

fn short(answer: Answer) -> Short {
    match answer {
        Answer::Created { path, .. } => Ok(path.to_string()),
        Answer::Refused(code) => Err(code),
        _ => Ok(String::new()),
    }
}

fn create(path: &str, flags: CreateMode) -> CreateRequest {
    let (path, data) = (path.into(), Some(Bytes::from_static(b"x")));
    CreateRequest { path, data, acl: Some(Acl::OPEN.into()), flags }
}

fn create_ttl(path: &str, flags: CreateMode, ttl: i64) -> CreateTtlRequest {
    let CreateRequest { path, data, acl, .. } = create(path, flags);
    CreateTtlRequest { path, data, acl, flags, ttl }
}

fn set_request(path: &str, data: &str, version: i32) -> SetDataRequest {
    SetDataRequest { path: path.into(), data: Some(Bytes::copy_from_slice(data.as_bytes())), version }
}

fn set(path: &str, data: &str, version: i32) -> RequestBody {
    RequestBody::SetData(set_request(path, data, version))
}

fn delete(path: &str, version: i32) -> Op {
    Op::Delete(DeleteRequest { path: path.into(), version })
}

fn check(path: &str, version: i32) -> Op {
    Op::Check(CheckVersionRequest { path: path.into(), version })
}
