//! What tests may do to a running server, and what they may ask of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::Server;
use crate::core::{Entry, Fault, Like, Matcher, Request, SessionView, Tree, WatchView, What};
use crate::jute::{Acl, ErrorCode, Stat};

/// Entries that a panic shows.
const TRACED: usize = 200;

/// A znode, as it was when it was looked at.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeView {
    /// Full path.
    pub path: Arc<str>,
    /// Null is not empty.
    pub data: Option<Bytes>,
    /// Its Stat.
    pub stat: Stat,
    /// Who may do what.
    pub acl: Arc<[Acl]>,
}

/// Without what it holds, and whom its list names: there are secrets among both.
impl fmt::Debug for NodeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, data, stat, acl } = self;
        if planted!("server_debug_shows_data") {
            return write!(f, "{:?}", data.as_deref());
        }
        f.debug_struct("NodeView")
            .field("path", path)
            .field("data_len", &data.as_ref().map(Bytes::len))
            .field("stat", stat)
            .field("acl_len", &acl.len())
            .finish()
    }
}

impl Server {
    /// Ends a session as if its time were over: its ephemerals go, watches fire, its connection is closed, and its client learns
    /// of it when it comes back. False if there is no such session.
    pub fn expire(&self, session: i64) -> bool {
        self.hub.with(|core, now| core.expire(session, now))
    }

    /// Closes all connections, and says how many. Sessions stay until their time is over.
    pub fn kill_connections(&self) -> usize {
        self.hub.with(|core, now| core.kill(None, now))
    }

    /// Closes a session's connection; false if it has none.
    pub fn kill_connection(&self, session: i64) -> bool {
        self.hub.with(|core, now| core.kill(Some(session), now)) > 0
    }

    /// Reads nothing from the connections that there are now and writes nothing to them, as if the network were gone, until
    /// [`resume`](Self::resume). Sessions' time goes on.
    pub fn pause(&self) {
        self.hub.with(|core, now| core.pause(None, now));
    }

    /// As [`pause`](Self::pause), for the connection of one session; false if it has none.
    pub fn pause_session(&self, session: i64) -> bool {
        self.hub.with(|core, now| core.pause(Some(session), now)) > 0
    }

    /// Lets all paused connections go on.
    pub fn resume(&self) {
        self.hub.with(|core, now| core.resume(None, now));
    }

    /// Closes the connection in place of executing what matches.
    pub fn cut_before(&self, matcher: Matcher) {
        self.plan(matcher, Fault::CutBefore);
    }

    /// Executes what matches and closes the connection in place of an answer: the write that happened, and nobody said so.
    pub fn cut_after(&self, matcher: Matcher) {
        self.plan(matcher, Fault::CutAfter);
    }

    /// Answers what matches with this error, without executing it. `OK` is answered without a body, which few clients can read.
    pub fn fail(&self, matcher: Matcher, code: ErrorCode) {
        self.plan(matcher, Fault::Fail(code));
    }

    /// Sends the answer to what matches, or the notification that does, so much later. What comes behind it on its connection waits
    /// with it.
    pub fn delay(&self, matcher: Matcher, delay: Duration) {
        self.plan(matcher, Fault::Delay(delay));
    }

    /// Holds the answer to what matches back, or the notification that does, until [`release`](Self::release). What comes behind it
    /// on its connection waits with it.
    pub fn withhold(&self, matcher: Matcher) {
        self.plan(matcher, Fault::Withhold);
    }

    /// Lets out everything that is held back.
    pub fn release(&self) {
        self.hub.with(|core, now| core.release(now));
    }

    /// Has something go wrong. To notifications nothing can happen but [`Fault::Delay`] and [`Fault::Withhold`]: a plan of another kind
    /// is used up by them and does nothing.
    pub fn plan(&self, matcher: Matcher, fault: Fault) {
        self.hub.with(|core, _| core.plan(matcher, fault));
    }

    /// How many plans are still to happen.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.hub.with(|core, _| core.planned())
    }

    /// Forgets all plans that are still to happen.
    pub fn forget_plans(&self) {
        self.hub.with(|core, _| core.forget_plans());
    }

    /// Serves readers only, or writers again. All connections are closed, as at a member of an ensemble that loses or finds its
    /// quorum; while it is read-only no session of before expires.
    pub fn set_read_only(&self, read_only: bool) {
        self.hub.with(|core, now| core.set_read_only(read_only, now));
    }

    /// Is there and does not serve, as a member of an ensemble without a quorum: connections are taken and closed at their
    /// handshake, four-letter words say so, and the sessions' time stands still; or serves again.
    pub fn set_serving(&self, serving: bool) {
        self.hub.with(|core, now| if serving { core.restart(now) } else { core.stop(now) });
    }

    /// Behaves like another server from here on, with all data and sessions. All connections are closed, as when the member that
    /// they were at gives way to one of another release.
    pub fn imitate(&self, like: Like) {
        self.hub.with(|core, now| core.imitate(like, now));
    }

    /// Pretends that another server has the session now: its next request closes its connection, and it may come back. False if
    /// there is no such session.
    pub fn move_session(&self, session: i64) -> bool {
        self.hub.with(|core, now| core.move_session(session, now))
    }

    /// Number of the last transaction.
    #[must_use]
    pub fn zxid(&self) -> i64 {
        self.hub.with(|core, _| core.zxid())
    }

    /// Sets the number of the last transaction, as when an old backup was restored: clients that have seen more are not served when
    /// they come back.
    pub fn set_zxid(&self, zxid: i64) {
        self.hub.with(|core, now| core.set_zxid(zxid, now));
    }

    /// Pretends that a znode's data was set `version` times, and `creates` children were created below it: what comes behind the
    /// largest version and the largest number of a sequential znode can be tried. False if the znode is not there.
    pub fn age(&self, path: &str, version: i32, creates: i32) -> bool {
        self.hub.with(|core, now| core.age(path, version, creates, now))
    }

    /// The requests that came last, oldest first, with what was answered. No data and no credentials are in it.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let request = |entry: Entry| match entry.what {
            What::Request(request) => Some(request),
            _ => None,
        };
        self.log().into_iter().filter_map(request).collect()
    }

    /// Everything that happened last, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.hub.with(|core, _| core.log().cloned().collect())
    }

    /// Forgets what happened, so that the next [`requests`](Self::requests) shows what comes from here on.
    pub fn clear_log(&self) {
        self.hub.with(|core, _| core.clear_log());
    }

    /// What happened last, a line each, as a panic shows it.
    #[must_use]
    pub fn trace(&self) -> String {
        self.hub.with(|core, _| core.trace(TRACED))
    }

    /// The sessions, by id.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionView> {
        self.hub.with(|core, _| core.sessions())
    }

    /// The watches, by path.
    #[must_use]
    pub fn watches(&self) -> Vec<WatchView> {
        self.hub.with(|core, _| core.watches())
    }

    /// All znodes, each before what is below it.
    #[must_use]
    pub fn tree(&self) -> Vec<NodeView> {
        self.with_tree(|tree| {
            let view = |(path, znode): (Arc<str>, crate::core::Znode<'_>)| NodeView {
                path,
                data: znode.data().cloned(),
                stat: znode.stat(),
                acl: znode.acl().clone(),
            };
            tree.walk().map(view).collect()
        })
    }

    /// Looks at the tree where it is; the server waits meanwhile. Whoever asks the server for anything else in there waits for ever.
    pub fn with_tree<R>(&self, look: impl FnOnce(&Tree) -> R) -> R {
        self.hub.with(|core, _| look(core.tree()))
    }
}
