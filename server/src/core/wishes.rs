//! What tests may do to a server, and what they may ask of it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use super::connection::ConnectionId;
use super::faults::{Fault, Matcher};
use super::log::{Entry, What, Why};
use super::machine::Core;
use super::rules::Like;
use super::watches::{Kind, Watches};

/// A session, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionView {
    /// Its id.
    pub id: i64,
    /// As negotiated, in milliseconds.
    pub timeout_millis: i32,
    /// The connection that speaks for it, if there is one.
    pub connection: Option<ConnectionId>,
    /// The paths of its ephemerals, sorted.
    pub ephemerals: Vec<Arc<str>>,
}

/// A watch, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchView {
    /// What is watched.
    pub path: Arc<str>,
    /// Whose it is.
    pub session: i64,
    /// One event of the znode.
    pub data: bool,
    /// One event of its children.
    pub child: bool,
    /// All events of both.
    pub persistent: bool,
    /// All events of it and what is below.
    pub recursive: bool,
}

impl Core {
    /// Ends a session as if its time were over; false if there is none.
    pub fn expire(&mut self, session: i64, now: Instant) -> bool {
        self.set_now(now);
        self.expire_session(session)
    }

    /// Closes all connections, or that of one session, without a word; what waits for them is lost. Says how many.
    pub fn kill(&mut self, session: Option<i64>, now: Instant) -> usize {
        self.set_now(now);
        let ids = self.of_session(session);
        self.note(None, session.unwrap_or(0), What::Test("kill"));
        ids.iter().for_each(|id| self.drop_connection(*id, Why::Test));
        ids.len()
    }

    /// Reads nothing from the connections that there are, or from that of one session, and writes nothing to them, until `resume`.
    /// Sessions' time goes on.
    pub fn pause(&mut self, session: Option<i64>, now: Instant) -> usize {
        self.set_paused(session, true, now)
    }

    /// Lets paused connections go on.
    pub fn resume(&mut self, session: Option<i64>, now: Instant) -> usize {
        self.set_paused(session, false, now)
    }

    fn set_paused(&mut self, session: Option<i64>, paused: bool, now: Instant) -> usize {
        self.set_now(now);
        self.note(None, session.unwrap_or(0), What::Test(if paused { "pause" } else { "resume" }));
        let ids = self.of_session(session);
        for id in &ids {
            if let Some(connection) = self.connection_mut(*id) {
                connection.paused = paused;
            }
            self.work(*id);
            self.wake(*id);
        }
        ids.len()
    }

    fn of_session(&self, session: Option<i64>) -> Vec<ConnectionId> {
        let wanted = self
            .connections()
            .filter(|(_, connection)| session.is_none_or(|session| connection.session() == Some(session)));
        wanted.map(|(id, _)| id).collect()
    }

    /// Has something go wrong.
    pub fn plan(&mut self, matcher: Matcher, fault: Fault) {
        self.faults.plan(matcher, fault);
    }

    /// How many plans are still to happen.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.faults.len()
    }

    /// Forgets all plans that are still to happen.
    pub fn forget_plans(&mut self) {
        self.faults.clear();
    }

    /// Lets out everything that is held back.
    pub fn release(&mut self, now: Instant) {
        self.set_now(now);
        let ids = self.of_session(None);
        for id in ids {
            if let Some(connection) = self.connection_mut(id) {
                connection.release(u64::MAX);
            }
            self.work(id);
            self.wake(id);
        }
    }

    /// Serves readers only from here on, or writers again. All connections are closed, as at a member of an ensemble that loses
    /// or finds its quorum. While it is read-only no session's time runs out.
    pub fn set_read_only(&mut self, read_only: bool, now: Instant) {
        self.set_now(now);
        if self.read_only == read_only {
            return;
        }
        self.note(None, 0, What::Test(if read_only { "read-only" } else { "read-write" }));
        self.close_all();
        self.read_only = read_only;
        if !read_only {
            let local: Vec<_> = self.sessions.iter().filter(|(_, one)| one.local).map(|(id, _)| id).collect();
            for id in local {
                self.sessions.close(id);
            }
            self.sessions.touch_all(self.now);
        }
    }

    /// Behaves like another server from here on. All connections are closed, as when the member they were at gives way to one of
    /// another release. The tree stays as it is.
    pub fn imitate(&mut self, like: Like, now: Instant) {
        self.set_now(now);
        self.note(None, 0, What::Test("imitate"));
        self.close_all();
        self.rules.like = like;
        self.watches = Watches::new(like >= Like::V3_9);
    }

    /// Pretends that another server has the session now: its next request closes its connection, and it may come back. False if
    /// there is none.
    pub fn move_session(&mut self, session: i64, now: Instant) -> bool {
        self.set_now(now);
        self.note(None, session, What::Test("move session"));
        self.sessions.get_mut(session).is_some_and(|session| {
            session.moved = true;
            true
        })
    }

    /// Sets the number of the last transaction, as when an old backup was restored: who has seen more is not served.
    pub fn set_zxid(&mut self, zxid: i64, now: Instant) {
        self.set_now(now);
        self.note(None, 0, What::Test("set zxid"));
        self.zxid = zxid;
    }

    /// Pretends that a znode's data was set, and children were created below it, so often. False if it is not there.
    pub fn age(&mut self, path: &str, version: i32, creates: i32, now: Instant) -> bool {
        self.set_now(now);
        self.note(None, 0, What::Test("age"));
        let node = self.tree.node_mut(path);
        node.map(|node| (node.version, node.creates) = (version, creates)).is_some()
    }

    /// Closes all connections, as a server that stops. Sessions' time stands still until [`restart`](Self::restart).
    pub fn stop(&mut self, now: Instant) {
        self.set_now(now);
        self.stopped = true;
        self.note(None, 0, What::Test("stop"));
        self.close_all();
    }

    /// Goes on after a stop. Every session has its whole timeout from here on.
    pub fn restart(&mut self, now: Instant) {
        self.set_now(now);
        self.stopped = false;
        self.note(None, 0, What::Test("restart"));
        self.sessions.touch_all(self.now);
    }

    fn close_all(&mut self) {
        for id in self.of_session(None) {
            self.drop_connection(id, Why::Stopped);
        }
    }

    /// What happened last, oldest first; as much as [`Limits::log`](super::Limits::log) says.
    pub fn log(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.log.iter()
    }

    /// Forgets what happened.
    pub fn clear_log(&mut self) {
        self.log.clear();
    }

    /// The sessions, by id.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        let view = |(id, session): (i64, &super::sessions::Session)| SessionView {
            id,
            timeout_millis: session.timeout_millis,
            connection: session.connection,
            ephemerals: self.tree.ephemerals(id).cloned().collect(),
        };
        self.sessions.iter().map(view).collect()
    }

    /// The watches, by path.
    #[must_use]
    pub fn watches(&self) -> Vec<WatchView> {
        let view = |(path, id, kinds): (&Arc<str>, ConnectionId, Vec<Kind>)| WatchView {
            path: path.clone(),
            session: self.connection(id).and_then(super::connection::Connection::session).unwrap_or(0),
            data: kinds.contains(&Kind::Data),
            child: kinds.contains(&Kind::Child),
            persistent: kinds.contains(&Kind::Persistent),
            recursive: kinds.contains(&Kind::Recursive),
        };
        self.watches.iter().map(view).collect()
    }

    /// The last `most` entries of the log, a line each, for people.
    #[must_use]
    pub fn trace(&self, most: usize) -> String {
        let skipped = self.log.iter().len().saturating_sub(most);
        let mut text = format!("the server's last {} entries:\n", self.log.iter().len() - skipped);
        for entry in self.log.iter().skip(skipped) {
            let _ = writeln!(text, "{entry}");
        }
        text
    }
}
