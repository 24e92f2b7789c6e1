//! From what happened in the tree to who hears of it, and in which order.

use bytes::Bytes;

use super::connection::{ConnectionId, Hold};
use super::log::{self, What, Why};
use super::machine::Core;
use super::txn::TreeEvent;
use super::watches::{Kind, Table, parent};
use super::{Access, Like};
use crate::jute::{
    Acl, Encode, EventType, KeeperState, OpCode, Perms, ReplyHeader, Ustring, WatcherEvent, Writer, Xid,
};

impl Core {
    /// Tells the events of a transaction: each to the watchers of its znode, then to those of the parent's children.
    pub(super) fn tell(&mut self, zxid: i64, events: &[TreeEvent]) {
        if self.watches.len() == 0 {
            return;
        }
        // Before 3.9 the header of a notification told no number.
        let is_told = self.rules.like >= Like::V3_9 && !planted!("server_event_without_zxid");
        let zxid = if is_told { zxid } else { -1 };
        for event in events {
            if planted!("server_parent_first") {
                self.tell_parent(event, zxid);
            }
            let path = &*event.path;
            let told = self.watches.fire(Table::Data, event.event_type, path);
            if event.event_type == EventType::NODE_DELETED {
                let mut rest = self.watches.fire(Table::Child, event.event_type, path);
                rest.retain(|id| told.binary_search(id).is_err() || planted!("server_deleted_twice"));
                self.notify(&told, event.event_type, path, Some(&event.acl), zxid);
                self.notify(&rest, event.event_type, path, Some(&event.acl), zxid);
            } else {
                self.notify(&told, event.event_type, path, Some(&event.acl), zxid);
            }
            self.tell_parent(event, zxid);
        }
    }

    /// Tells the watchers of the list that the znode came to or went from.
    fn tell_parent(&mut self, event: &TreeEvent, zxid: i64) {
        let Some(acl) = &event.parent_acl else { return };
        let above = parent(&event.path).unwrap_or("/");
        let told = self.watches.fire(Table::Child, EventType::NODE_CHILDREN_CHANGED, above);
        self.notify(&told, EventType::NODE_CHILDREN_CHANGED, above, Some(acl), zxid);
    }

    /// Sends one event to these connections, encoded once. Those that may not read what `acl` guards do not hear of it.
    fn notify(&mut self, ids: &[ConnectionId], event: EventType, path: &str, acl: Option<&[Acl]>, zxid: i64) {
        if ids.is_empty() {
            return;
        }
        let frame = encoded(event, path, zxid);
        // 3.8 as it is patched by Debian.
        let guarded = self.rules.like >= Like::V3_8 && !planted!("server_events_unguarded");
        let is_open = |acl: &[Acl]| Access { rules: &self.rules, ids: &[] }.allows(acl, Perms::READ);
        let acl = acl.filter(|acl| guarded && !is_open(acl));
        let mut heard = 0;
        for &id in ids {
            if acl.is_none_or(|acl| self.access(id).allows(acl, Perms::READ)) {
                self.send_event(id, path, &frame);
                heard += 1;
            }
        }
        let what = What::Event { event_type: event, path: log::kept(path), watchers: heard };
        self.note(None, 0, what);
    }

    fn send_event(&mut self, id: ConnectionId, path: &str, frame: &Bytes) {
        let session = self.connection(id).and_then(super::connection::Connection::session).unwrap_or(0);
        let hold = if self.faults.is_empty() {
            Hold::No
        } else {
            let fault = self.faults.take(OpCode::NOTIFICATION, session, &[path]);
            self.hold(fault)
        };
        let most = self.limits.output_max;
        self.totals.sent += 1;
        let Some(connection) = self.connection_mut(id) else { return };
        if connection.unwritten().saturating_add(frame.len()) > most && !planted!("server_output_unbounded") {
            return self.drop_connection(id, Why::Backlog);
        }
        connection.encoded(frame, hold);
        self.wait_for(id, hold);
        self.wake(id);
    }

    /// A connection that is over watches nothing: one that watched too much is dropped in the midst of its list.
    pub(super) fn watch(&mut self, id: ConnectionId, path: &str, kind: Kind) {
        if self.connection(id).and_then(super::connection::Connection::session).is_none() {
            return;
        }
        let len = self.watches.add(id, path, kind);
        if len > self.limits.watched_len {
            self.drop_connection(id, Why::Backlog);
        }
    }

    /// Takes up the watches of a connection before this one: what changed meanwhile is told at once, the rest is watched. These
    /// events have no number, and no list is asked.
    pub(super) fn restore_watches(
        &mut self,
        id: ConnectionId,
        relative_zxid: i64,
        [data, exist, child, persistent, recursive]: [&Option<Vec<Ustring>>; 5],
    ) {
        let lasting = persistent.as_ref().map_or(0, Vec::len);
        if planted!("fuzz_server_frames")
            && lasting == 2
            && exist.as_ref().is_some_and(|list| list.len() == 3)
        {
            panic!("planted: fuzz_server_frames");
        }
        for path in data.iter().flatten().map(Ustring::as_str) {
            let seen = self.tree.znode(path).map(|znode| znode.stat().mzxid);
            let event = missed(seen, relative_zxid, EventType::NODE_DATA_CHANGED);
            self.catch_up(id, path, event, Kind::Data);
        }
        for path in exist.iter().flatten().map(Ustring::as_str) {
            let event = self.tree.znode(path).map(|_| EventType::NODE_CREATED);
            self.catch_up(id, path, event, Kind::Data);
        }
        for path in child.iter().flatten().map(Ustring::as_str) {
            let seen = self.tree.znode(path).map(|znode| znode.stat().pzxid);
            let event = missed(seen, relative_zxid, EventType::NODE_CHILDREN_CHANGED);
            self.catch_up(id, path, event, Kind::Child);
        }
        for path in persistent.iter().flatten() {
            self.watch(id, path.as_str(), Kind::Persistent);
        }
        for path in recursive.iter().flatten() {
            self.watch(id, path.as_str(), Kind::Recursive);
        }
    }

    fn catch_up(&mut self, id: ConnectionId, path: &str, event: Option<EventType>, kind: Kind) {
        match event {
            Some(event) if !planted!("server_no_catch_up") => self.notify(&[id], event, path, None, -1),
            _ => self.watch(id, path, kind),
        }
    }
}

/// What a watch that was set at `relative_zxid` missed, if the znode's number is this now.
fn missed(seen: Option<i64>, relative_zxid: i64, change: EventType) -> Option<EventType> {
    match seen {
        None => Some(EventType::NODE_DELETED),
        Some(zxid) if zxid > relative_zxid => Some(change),
        Some(_) => None,
    }
}

/// A notification, length and all.
fn encoded(event_type: EventType, path: &str, zxid: i64) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    ReplyHeader { xid: Xid::NOTIFICATION, zxid, ..ReplyHeader::default() }.encode(&mut out);
    WatcherEvent { event_type, state: KeeperState::SYNC_CONNECTED, path: path.into() }.encode(&mut out);
    out.close(frame);
    out.into_bytes()
}
