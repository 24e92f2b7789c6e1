//! How sessions end, and znodes that end by themselves.

use super::log::{What, Why};
use super::machine::Core;
use super::txn::Change;
use super::{due_for_reaping, prepare_reaping};

impl Core {
    /// The session is over: its ephemerals go under one number, which is returned. Its connection stays for whoever called.
    pub(super) fn end_session(&mut self, session: i64) -> i64 {
        let Some(ended) = self.sessions.close(session) else { return self.zxid };
        if ended.local { self.zxid } else { self.commit(session, Change::CloseSession).0 }
    }

    /// The session's time is over, or a test says so. Its client hears nothing but the end of its connection.
    pub(super) fn expire_session(&mut self, session: i64) -> bool {
        let Some(known) = self.sessions.get(session) else { return false };
        let connection = known.connection;
        self.note(connection, session, What::Expired);
        if planted!("server_expiry_leaves_nodes") {
            self.sessions.close(session);
        } else {
            self.end_session(session);
        }
        if let Some(connection) = connection {
            self.close(connection, Why::SessionExpired);
        }
        true
    }

    /// Deletes containers and znodes with a time to live whose time has come, each under a number of its own.
    pub(super) fn reap(&mut self) {
        if self.read_only || self.stopped || self.member.is_some() || planted!("server_never_reaps") {
            return;
        }
        for path in due_for_reaping(&self.tree, &self.rules, self.unix_millis()) {
            let change = prepare_reaping(&self.tree, &path);
            self.commit(0, change);
        }
    }
}
