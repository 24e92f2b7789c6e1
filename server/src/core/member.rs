//! The core as one member of an ensemble. What takes a place in the log leaves it as a [`Proposal`], the connection's later
//! requests wait behind it, and it happens when the log brings it back (`CommitProcessor`).
//!
//! Who leads, how the log is kept and when sessions expire is for whoever connects the members; this module knows of none.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use super::connection::{ConnectionId, Stage};
use super::log::{Refusal, What, Why};
use super::machine::Core;
use super::requests::Outcome;
use super::txn::{Change, Txn};
use crate::jute::{ErrorCode, Id, OpCode, ReplyBody, RequestBody, RequestHeader, SyncResponse, Ustring, Xid};

/// Which proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProposalId {
    /// Where the request came in.
    pub connection: ConnectionId,
    number: u64,
}

/// What a member asks of its leader.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Comes back with the answer.
    pub id: ProposalId,
    /// The session that asks, or that is to begin.
    pub session: i64,
    /// The identities of the connection.
    pub ids: Vec<Id>,
    /// The request's number; 0 for handshakes.
    pub xid: Xid,
    /// What is asked.
    pub wish: Wish,
}

/// What a member can ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A session; answered by its entry of the log.
    Open {
        /// As granted, in milliseconds.
        timeout_millis: i32,
    },
    /// Whether the session lives, which moves to this member then; answered by [`Core::handle_attached`].
    Attach {
        /// As granted, in milliseconds.
        timeout_millis: i32,
    },
    /// The session's end; answered by its entry of the log.
    Close,
    /// A write; answered by its entry of the log.
    Write(RequestBody),
    /// All that the leader has done so far; answered by [`Core::handle_synced`].
    Sync,
}

/// What a core has beside the rest while it is a member.
#[derive(Debug, Default)]
pub(super) struct Member {
    proposals: VecDeque<Proposal>,
    /// Sessions heard of since they were last asked for.
    pub(super) touched: BTreeSet<i64>,
    last: u64,
}

/// A request that waits on its connection. The first is always one that the leader was asked for.
#[derive(Debug)]
pub(super) enum Pending {
    /// The leader was asked.
    Asked { number: u64, what: Asked },
    /// It waits for those before it.
    Here(Bytes),
}

#[derive(Debug)]
pub(super) enum Asked {
    /// A handshake.
    Greeting { session: i64, timeout_millis: i32, asked_read_only: Option<bool> },
    /// A request, and the path that a sync gives back.
    Request { session: i64, header: RequestHeader, path: Ustring },
}

impl Core {
    /// Makes a fresh core a member. Sessions' time and reaping are the leader's from here on.
    #[must_use]
    pub fn into_member(mut self) -> Self {
        self.member = Some(Box::default());
        self
    }

    /// The next thing to ask the leader.
    pub fn poll_proposal(&mut self) -> Option<Proposal> {
        self.member.as_mut()?.proposals.pop_front()
    }

    /// The sessions heard of since the last call: the leader wants to know.
    pub fn take_touched(&mut self) -> BTreeSet<i64> {
        self.member.as_mut().map(|member| std::mem::take(&mut member.touched)).unwrap_or_default()
    }

    /// The next entry of the log came, and with it perhaps the answer to a proposal of this member.
    pub fn handle_committed(&mut self, txn: &Txn, origin: Option<ProposalId>, now: Instant) {
        self.set_now(now);
        self.zxid = txn.zxid;
        let applied = self.tree.apply(txn);
        self.tell(txn.zxid, &applied.events);
        let mut other = None;
        match txn.change {
            Change::OpenSession { timeout_millis } => {
                self.sessions.learn(txn.session, timeout_millis, self.now)
            }
            Change::CloseSession => {
                let ended = self.sessions.close(txn.session);
                other = ended.and_then(|session| session.connection);
            }
            _ => {}
        }
        if let Some((id, asked)) =
            origin.and_then(|origin| Some((origin.connection, self.take_asked(origin)?)))
        {
            other = other.filter(|connection| *connection != id);
            let (err, body) = applied.answer.into_reply();
            self.answer_asked(id, asked, Outcome { err, zxid: txn.zxid, body, then: None });
        }
        if let Some(connection) = other {
            self.close(connection, Why::SessionExpired);
        }
    }

    /// The leader says whether a session lives: then it is this member's now, with this timeout in milliseconds.
    pub fn handle_attached(&mut self, origin: ProposalId, granted: Option<i32>, now: Instant) {
        self.set_now(now);
        let Some(Asked::Greeting { session, asked_read_only, .. }) = self.take_asked(origin) else { return };
        match granted {
            Some(timeout_millis) => {
                self.sessions.learn(session, timeout_millis, self.now);
                self.take_up_session(origin.connection, session, timeout_millis, asked_read_only);
                self.work(origin.connection);
            }
            None => self.refuse_session(origin.connection, session, asked_read_only),
        }
    }

    /// Everything that the leader had done when the sync reached it has been taken in.
    pub fn handle_synced(&mut self, origin: ProposalId, now: Instant) {
        self.set_now(now);
        let Some(asked) = self.take_asked(origin) else { return };
        let path = match &asked {
            Asked::Request { path, .. } => path.clone(),
            Asked::Greeting { .. } => return,
        };
        let outcome = Outcome::new(self.zxid, Ok(ReplyBody::Sync(SyncResponse { path })));
        self.answer_asked(origin.connection, asked, outcome);
    }

    /// Whether the leader is asked for this.
    pub(super) fn is_for_leader(&self, op: OpCode) -> bool {
        self.member.is_some() && !self.read_only && (op.is_write() || op == OpCode::SYNC)
    }

    /// Whether a request waits for those before it. A write is for the leader at once all the same.
    pub(super) fn waits_here(&mut self, id: ConnectionId, op: OpCode, frame: &Bytes) -> bool {
        if self.member.is_none() || self.is_for_leader(op) || op == OpCode::AUTH {
            return false;
        }
        let Some(connection) = self.connection_mut(id) else { return false };
        if connection.pending.is_empty() || planted!("server_reads_overtake") {
            return false;
        }
        connection.pending.push_back(Pending::Here(frame.clone()));
        true
    }

    pub(super) fn ask_for_session(
        &mut self,
        id: ConnectionId,
        session: i64,
        timeout_millis: i32,
        asked_read_only: Option<bool>,
        wish: Wish,
    ) {
        self.ask(id, session, Xid(0), wish, Asked::Greeting { session, timeout_millis, asked_read_only });
    }

    pub(super) fn ask_for_request(
        &mut self,
        id: ConnectionId,
        session: i64,
        header: RequestHeader,
        body: RequestBody,
    ) {
        let (wish, path) = match body {
            RequestBody::Sync(sync) => (Wish::Sync, sync.path),
            _ if header.op == OpCode::CLOSE_SESSION => (Wish::Close, Ustring::NULL),
            body => (Wish::Write(body), Ustring::NULL),
        };
        self.ask(id, session, header.xid, wish, Asked::Request { session, header, path });
    }

    fn ask(&mut self, id: ConnectionId, session: i64, xid: Xid, wish: Wish, what: Asked) {
        let ids = self.connection(id).map(|connection| connection.ids.clone()).unwrap_or_default();
        let Some(member) = &mut self.member else { return };
        member.last += 1;
        let number = member.last;
        let id = ProposalId { connection: id, number };
        member.proposals.push_back(Proposal { id, session, ids, xid, wish });
        if let Some(connection) = self.connection_mut(id.connection) {
            connection.pending.push_back(Pending::Asked { number, what });
        }
    }

    /// The request that a proposal was made for, if its connection still waits for it.
    fn take_asked(&mut self, origin: ProposalId) -> Option<Asked> {
        let connection = self.connection_mut(origin.connection)?;
        if connection.stage == Stage::Ending {
            return None;
        }
        match connection.pending.front()? {
            Pending::Asked { number, .. } if *number == origin.number => {}
            _ => return None,
        }
        match connection.pending.pop_front()? {
            Pending::Asked { what, .. } => Some(what),
            Pending::Here(_) => None,
        }
    }

    fn answer_asked(&mut self, id: ConnectionId, asked: Asked, outcome: Outcome) {
        match asked {
            Asked::Greeting { session, timeout_millis, asked_read_only } => {
                self.greet_session(id, session, timeout_millis, asked_read_only);
                self.note(Some(id), session, What::Opened { timeout_millis });
            }
            Asked::Request { session, header, .. } => {
                // Never on the wire: the connection is what is wrong.
                if outcome.err == ErrorCode::SESSION_MOVED {
                    return self.close(id, Why::SessionMoved);
                }
                let then = (header.op == OpCode::CLOSE_SESSION).then_some(Why::SessionClosed);
                let outcome = Outcome { then, ..outcome };
                self.answer(id, session, header, &RequestBody::Empty, outcome, None);
            }
        }
        self.go_on(id);
    }

    /// What waited behind an answered request.
    fn go_on(&mut self, id: ConnectionId) {
        while let Some(connection) = self.connection_mut(id).filter(|one| one.stage != Stage::Ending) {
            let Some(session) = connection.session() else { break };
            match connection.pending.front() {
                Some(Pending::Here(_)) => {}
                Some(Pending::Asked { .. }) | None => break,
            }
            if let Some(Pending::Here(frame)) = connection.pending.pop_front() {
                self.handle_turn(id, session, frame);
            }
        }
        self.work(id);
    }

    /// The session is over, or never was: an answer that says so, and the end.
    pub(super) fn refuse_session(&mut self, id: ConnectionId, session: i64, asked_read_only: Option<bool>) {
        let passwd = Some(Bytes::from_static(&[0; super::handshake::PASSWORD_LEN_BYTES]));
        let read_only = asked_read_only.map(|_| self.read_only);
        self.greet(id, &crate::jute::ConnectResponse { passwd, read_only, ..Default::default() });
        self.note(Some(id), session, What::Refused(Refusal::Session));
        self.close(id, Why::Refused);
    }
}
