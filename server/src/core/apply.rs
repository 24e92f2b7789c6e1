//! Taking an entry of the log into the tree. Nothing is refused here but what does not fit, as a corrupt log's entries do not; such an
//! entry changes nothing and harms nothing.

use std::sync::Arc;

use super::answer::{Answer, Applied};
use super::node::Node;
use super::path;
use super::tree::Tree;
use super::txn::{Acls, Change, Creation, Kind, TreeEvent, Txn};
use crate::jute::{ErrorCode, EventType, OpCode};

/// What all changes of an entry share.
struct Entry {
    zxid: i64,
    time: i64,
    session: i64,
    events: Vec<TreeEvent>,
}

impl Tree {
    /// Takes in the next entry of the log, which others need too.
    pub fn apply(&mut self, txn: &Txn) -> Applied {
        self.take_in(txn.clone())
    }

    /// Takes in the next entry of the log, and keeps its data as it is: a second reference to `Bytes` costs them a block of memory.
    pub fn take_in(&mut self, txn: Txn) -> Applied {
        let Txn { zxid, time, session, change } = txn;
        self.zxid = self.zxid.max(zxid);
        let mut entry = Entry { zxid, time, session, events: Vec::new() };
        let answer = self.apply_change(&mut entry, change).unwrap_or_else(Answer::Refused);
        Applied { answer, events: entry.events }
    }

    fn apply_change(&mut self, entry: &mut Entry, change: Change) -> Result<Answer, ErrorCode> {
        Ok(match change {
            Change::OpenSession { timeout_millis } => {
                self.sessions.insert(entry.session, timeout_millis);
                Answer::Done(OpCode::CREATE_SESSION)
            }
            Change::CloseSession => {
                self.close(entry);
                Answer::Done(OpCode::CLOSE_SESSION)
            }
            Change::Create(creation) => self.create(entry, creation)?,
            Change::Delete { path } => {
                self.delete(entry, path)?;
                Answer::Done(OpCode::DELETE)
            }
            Change::SetData { path, data, version } => {
                let node = self.set_data(&path, data).ok_or(ErrorCode::NO_NODE)?;
                (node.version, node.mzxid, node.mtime) = (version, entry.zxid, entry.time);
                if planted!("server_set_touches_pzxid") {
                    node.pzxid = entry.zxid;
                }
                let (stat, acl) = (node.stat(), node.acl.clone());
                entry.tell(EventType::NODE_DATA_CHANGED, path, acl, None);
                Answer::DataSet(stat)
            }
            Change::SetAcl { path, acl, aversion } => {
                let acl = self.acls.take(&acl);
                let Some(node) = self.node_mut(&path) else {
                    self.acls.give_back(&acl);
                    return Err(ErrorCode::NO_NODE);
                };
                node.aversion = aversion;
                if planted!("server_acl_touches_mzxid") {
                    node.mzxid = entry.zxid;
                }
                let (before, stat) = (std::mem::replace(&mut node.acl, acl), node.stat());
                if planted!("server_set_acl_tells") {
                    entry.tell(EventType::NODE_DATA_CHANGED, path, before.clone(), None);
                }
                self.acls.give_back(&before);
                Answer::AclSet(stat)
            }
            Change::Check => Answer::Done(OpCode::CHECK),
            Change::Multi(changes) => {
                let one = |change| self.apply_part(entry, change).unwrap_or_else(Answer::Refused);
                Answer::Multi(changes.into_iter().map(one).collect())
            }
            Change::Refused(code) => Answer::Refused(code),
            Change::RefusedMulti(codes) => Answer::RefusedMulti(codes),
        })
    }

    /// One of the changes of a multi, which holds no other multi and no session's begin or end.
    fn apply_part(&mut self, entry: &mut Entry, change: Change) -> Result<Answer, ErrorCode> {
        match change {
            Change::Multi(_)
            | Change::RefusedMulti(_)
            | Change::OpenSession { .. }
            | Change::CloseSession => Err(ErrorCode::MARSHALLING_ERROR),
            _ => self.apply_change(entry, change),
        }
    }

    fn create(&mut self, entry: &mut Entry, creation: Creation) -> Result<Answer, ErrorCode> {
        let Creation { path, data, acl, kind, with_stat } = creation;
        let (parent, name) =
            path::split(&path).filter(|(_, name)| !name.is_empty()).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let acl = self.acls.take(&acl);
        let node = Node::new(entry.zxid, entry.time, kind, data, acl.clone());
        let (stat, data_len) = (node.stat(), node.data_len());
        let parent_acl = match self.attach(parent, name, node) {
            Ok(above) => {
                // An entry never sets the counter back, so it stays at the largest number (`DataTree.createNode`).
                above.creates = if planted!("server_counter_wraps") {
                    above.creates.wrapping_add(1)
                } else {
                    above.creates.saturating_add(1)
                };
                above.pzxid = entry.zxid;
                above.acl.clone()
            }
            Err(code) => {
                self.acls.give_back(&acl);
                return Err(code);
            }
        };
        match kind {
            Kind::Ephemeral { owner } => {
                self.ephemerals.entry(owner).or_default().insert(path.clone());
            }
            Kind::Container | Kind::Ttl { .. } => {
                self.passing.insert(path.clone());
            }
            Kind::Persistent => {}
        }
        self.account_creation(&path, data_len);
        entry.tell(EventType::NODE_CREATED, path.clone(), acl, Some(parent_acl));
        Ok(Answer::Created { path, stat: with_stat.then_some(stat) })
    }

    fn delete(&mut self, entry: &mut Entry, path: Arc<str>) -> Result<(), ErrorCode> {
        let (parent, name) = path::split(&path).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let Some((node, above)) = self.detach(parent, name) else {
            return Err(if self.node(&path).is_some() { ErrorCode::NOT_EMPTY } else { ErrorCode::NO_NODE });
        };
        if !planted!("server_pzxid_stays") {
            above.pzxid = entry.zxid;
        }
        if planted!("server_delete_lowers_sequence") {
            above.creates -= 1;
        }
        let parent_acl = above.acl.clone();
        match node.kind {
            Kind::Ephemeral { owner } => self.disown(owner, &path),
            Kind::Container | Kind::Ttl { .. } => {
                self.passing.remove(&path);
            }
            Kind::Persistent => {}
        }
        self.acls.give_back(&node.acl);
        self.account_deletion(&path, node.data_len());
        entry.tell(EventType::NODE_DELETED, path, node.acl, Some(parent_acl));
        Ok(())
    }

    fn disown(&mut self, owner: i64, path: &str) {
        if let Some(paths) = self.ephemerals.get_mut(&owner) {
            paths.remove(path);
            if paths.is_empty() {
                self.ephemerals.remove(&owner);
            }
        }
    }

    /// The real server takes a session's ephemerals in the order of a Java hash set, which is none; here they go by path.
    fn close(&mut self, entry: &mut Entry) {
        self.sessions.remove(&entry.session);
        let paths = self.ephemerals.remove(&entry.session).unwrap_or_default();
        let kept = usize::from(planted!("server_ephemeral_stays"));
        if planted!("fuzz_server_operations") && paths.len() == 3 {
            panic!("planted: fuzz_server_operations");
        }
        for path in paths.into_iter().skip(kept) {
            // None is missing, and none has children.
            let _ = self.delete(entry, path);
        }
    }
}

impl Entry {
    fn tell(&mut self, event_type: EventType, path: Arc<str>, acl: Acls, parent_acl: Option<Acls>) {
        self.events.push(TreeEvent { event_type, path, acl, parent_acl });
    }
}
