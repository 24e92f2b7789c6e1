//! The first frame of a connection: a session, the one it had before, or none.

use bytes::Bytes;

use super::Like;
use super::connection::{ConnectionId, Stage};
use super::log::{Refusal, What, Why};
use super::machine::Core;
use super::member::Wish;
use super::sessions::Password;
use super::txn::Change;
use crate::jute::{ConnectRequest, ConnectResponse, Encode, OpCode, Reader};

/// Length of every password.
pub(super) const PASSWORD_LEN_BYTES: usize = 16;

impl Core {
    /// The order of decisions is that of the real server (`ZooKeeperServer.processConnectRequest`), but for the password, which is
    /// looked at before the session's other connection is closed: otherwise anyone who knows an id could cut its owner off.
    pub(super) fn handle_connect(&mut self, id: ConnectionId, frame: Bytes) {
        if self.stopped && !planted!("server_serves_unready") {
            return self.refuse(id, Refusal::NotServing);
        }
        let Ok(request) = Reader::new(frame).record::<ConnectRequest>() else {
            return self.refuse(id, Refusal::Malformed);
        };
        if self.read_only && request.read_only != Some(true) {
            return self.refuse(id, Refusal::ReadOnly);
        }
        if request.last_zxid_seen > self.zxid && !planted!("server_zxid_ahead_taken") {
            return self.refuse(id, Refusal::Behind);
        }
        let limits = &self.limits;
        let (least, most) = (limits.min_timeout_millis(), limits.max_timeout_millis());
        let timeout_millis = if planted!("server_timeout_unclamped") {
            request.time_out.max(1)
        } else {
            request.time_out.clamp(least, most)
        };
        if self.member.is_some() && !self.read_only {
            return self.ask_leader(id, &request, timeout_millis);
        }
        if request.session_id == 0 {
            return self.begin_session(id, timeout_millis, request.read_only);
        }
        let known = self.sessions.get(request.session_id);
        if self.read_only && known.is_some_and(|session| !session.local) {
            return self.refuse(id, Refusal::ReadOnly);
        }
        let offered = request.passwd.as_deref().unwrap_or_default();
        if known.is_some_and(|session| session.password.is(offered)) {
            return self.take_up_session(id, request.session_id, timeout_millis, request.read_only);
        }
        if planted!("server_password_checked_late") {
            if let Some(other) = known.and_then(|session| session.connection) {
                self.close(other, Why::SessionMoved);
            }
        }
        if self.rules.like == Like::Keeper {
            return self.begin_session(id, timeout_millis, request.read_only);
        }
        self.refuse_session(id, request.session_id, request.read_only);
    }

    /// As a member: passwords are made from ids, so each can check them; whether a session lives is for the leader to say.
    fn ask_leader(&mut self, id: ConnectionId, request: &ConnectRequest, timeout_millis: i32) {
        let (session, asked) = (request.session_id, request.read_only);
        if session == 0 {
            let session = self.sessions.reserve();
            return self.ask_for_session(id, session, timeout_millis, asked, Wish::Open { timeout_millis });
        }
        if !self.sessions.password(session).is(request.passwd.as_deref().unwrap_or_default()) {
            return self.refuse_session(id, session, asked);
        }
        if let Some(other) = self.sessions.get(session).and_then(|known| known.connection) {
            self.close(other, Why::SessionMoved);
        }
        self.ask_for_session(id, session, timeout_millis, asked, Wish::Attach { timeout_millis });
    }

    fn begin_session(&mut self, id: ConnectionId, timeout_millis: i32, asked: Option<bool>) {
        let (session, password) = self.sessions.open(timeout_millis, self.read_only, self.now);
        if !self.read_only {
            self.commit(session, Change::OpenSession { timeout_millis });
        }
        self.greet_with(id, session, timeout_millis, asked, password);
        self.note(Some(id), session, What::Opened { timeout_millis });
    }

    pub(super) fn take_up_session(
        &mut self,
        id: ConnectionId,
        session: i64,
        timeout_millis: i32,
        asked: Option<bool>,
    ) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        known.timeout_millis = timeout_millis;
        known.moved = false;
        let (password, other) = (known.password, known.connection);
        if let Some(other) = other.filter(|_| !planted!("server_reattach_leaves_connection")) {
            self.close(other, Why::SessionMoved);
        }
        self.sessions.touch(session, self.now);
        self.greet_with(id, session, timeout_millis, asked, password);
        self.note(Some(id), session, What::Attached);
    }

    /// The connection speaks for this session from here on, which is there.
    pub(super) fn greet_session(
        &mut self,
        id: ConnectionId,
        session: i64,
        timeout_millis: i32,
        asked: Option<bool>,
    ) {
        let password = self.sessions.password(session);
        self.greet_with(id, session, timeout_millis, asked, password);
    }

    fn greet_with(
        &mut self,
        id: ConnectionId,
        session: i64,
        timeout_millis: i32,
        asked: Option<bool>,
        password: Password,
    ) {
        self.attach(id, session);
        self.welcome(id, session, password, timeout_millis, asked);
    }

    fn attach(&mut self, id: ConnectionId, session: i64) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.connection = Some(id);
        }
        if let Some(connection) = self.connection_mut(id) {
            connection.stage = Stage::Session(session);
            connection.due = None;
            connection.tally.last_op = OpCode::CREATE_SESSION;
        }
    }

    /// The session is the client's. Who did not ask whether the server is read-only is not told.
    fn welcome(
        &mut self,
        id: ConnectionId,
        session_id: i64,
        password: Password,
        time_out: i32,
        asked: Option<bool>,
    ) {
        let passwd = Some(Bytes::copy_from_slice(&password.0));
        let read_only = asked.map(|_| self.read_only);
        self.greet(id, &ConnectResponse { protocol_version: 0, time_out, session_id, passwd, read_only });
    }

    pub(super) fn greet(&mut self, id: ConnectionId, response: &ConnectResponse) {
        self.totals.sent += 1;
        let Some(connection) = self.connection_mut(id) else { return };
        connection.frame(super::connection::Hold::No, |out| {
            let frame = out.frame();
            response.encode(out);
            out.close(frame);
        });
        self.wake(id);
    }

    /// No session, and not a byte of an answer: the client tries another server.
    fn refuse(&mut self, id: ConnectionId, refusal: Refusal) {
        self.note(Some(id), 0, What::Refused(refusal));
        self.close(id, Why::Refused);
    }
}
