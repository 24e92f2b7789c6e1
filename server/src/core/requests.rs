//! What becomes of a request: understood or not, spoiled by a test or not, executed and answered.

use bytes::Bytes;

use super::answer::Answer;
use super::connection::{ConnectionId, Hold};
use super::faults::Fault;
use super::limits::millis;
use super::log::{self, Request, What, Why};
use super::machine::Core;
use super::prepare::{Caller, prepare};
use super::txn::{Change, Txn};
use super::{Access, Like, authenticate};
use crate::jute::{
    AuthPacket, DecodeErrorKind, ErrorCode, OpCode, Reader, ReplyBody, ReplyHeader, RequestBody,
    RequestHeader, SetSaslResponse,
};

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) err: ErrorCode,
    pub(super) zxid: i64,
    pub(super) body: ReplyBody,
    /// The connection is closed behind the answer.
    pub(super) then: Option<Why>,
}

impl Outcome {
    pub(super) fn new(zxid: i64, result: Result<ReplyBody, ErrorCode>) -> Self {
        let (err, body) = match result {
            Ok(body) => (ErrorCode::OK, body),
            Err(code) => (code, ReplyBody::Empty),
        };
        Self { err, zxid, body, then: None }
    }

    fn closing(self, why: Why) -> Self {
        Self { then: Some(why), ..self }
    }
}

impl Core {
    pub(super) fn handle_request(&mut self, id: ConnectionId, session: i64, frame: Bytes) {
        if self.member.is_some() {
            let header = Reader::new(frame.clone()).record::<RequestHeader>();
            if header.is_ok_and(|header| self.waits_here(id, header.op, &frame)) {
                return;
            }
        }
        self.handle_turn(id, session, frame);
    }

    /// A request whose turn it is.
    pub(super) fn handle_turn(&mut self, id: ConnectionId, session: i64, frame: Bytes) {
        let mut reader = Reader::new(frame);
        let Ok(header) = reader.record::<RequestHeader>() else { return self.close(id, Why::BadFrame) };
        match self.sessions.get(session) {
            Some(known) if !known.moved => {}
            Some(_) => return self.close(id, Why::SessionMoved),
            None => return self.close(id, Why::SessionExpired),
        }
        if !self.has_authenticated(id) && !matches!(header.op, OpCode::AUTH | OpCode::SASL) {
            let refused = Err(ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
            let outcome = Outcome::new(0, refused).closing(Why::AuthFailed);
            return self.answer(id, session, header, &RequestBody::Empty, outcome, None);
        }
        if !self.knows(header.op) {
            let outcome = Outcome::new(-1, Err(ErrorCode::UNIMPLEMENTED)).closing(Why::Unimplemented);
            return self.answer(id, session, header, &RequestBody::Empty, outcome, None);
        }
        let body = match RequestBody::decode(header.op, &mut reader) {
            Ok(_) if reader.remaining() > 0 && planted!("server_trailing_refused") => {
                return self.close(id, Why::BadFrame);
            }
            Ok(body) => body,
            // The real server reads these outside of the pipeline, where what does not decode costs the connection.
            Err(_) if matches!(header.op, OpCode::AUTH | OpCode::SASL) => {
                return self.close(id, Why::BadFrame);
            }
            Err(error) => {
                let outcome = self.misread(session, header.op, &error.kind);
                return self.answer(id, session, header, &RequestBody::Empty, outcome, None);
            }
        };
        let fault = if self.faults.is_empty() {
            None
        } else {
            self.faults.take(header.op, session, &log::paths(&body))
        };
        let outcome = match fault {
            Some(Fault::CutBefore) => {
                self.log_request(id, session, header, &body, (ErrorCode::CONNECTION_LOSS, self.zxid), fault);
                return self.close(id, Why::Test);
            }
            Some(Fault::Fail(code)) => Outcome::new(self.zxid, Err(code)),
            _ if self.is_for_leader(header.op) => {
                return self.ask_for_request(id, session, header, body);
            }
            _ => self.execute(id, session, header, &body),
        };
        self.answer(id, session, header, &body, outcome, fault);
    }

    /// Whether the connection has an identity of a scheme that the server insists on, if it does.
    fn has_authenticated(&self, id: ConnectionId) -> bool {
        let schemes = &self.rules.required_schemes;
        let is_required = |scheme: &str| schemes.iter().any(|required| required == scheme);
        let mut ids = self.connection(id).into_iter().flat_map(|connection| &connection.ids);
        schemes.is_empty()
            || planted!("server_anybody_may_ask")
            || ids.any(|id| is_required(id.scheme.as_str()))
    }

    /// Whether the imitated server knows the operation, and lets a client send it: not those that it sends itself, and no check
    /// outside of a multi.
    fn knows(&self, op: OpCode) -> bool {
        let like = if self.rules.like == Like::Keeper { Like::V3_9 } else { self.rules.like };
        let since = match op.0 {
            1..=9 | 11 | 12 | 14 | 100..=102 | -11 => Like::V3_4,
            15..=19 | 21 => Like::V3_5,
            22 | 103..=107 => Like::V3_8,
            13 | 20 | -10 if planted!("server_internal_ops_taken") => Like::V3_4,
            _ => return false,
        };
        like >= since
    }

    /// The answer to a request whose body is not what its operation needs. The connection stays. Up to 3.8 a write has its number in
    /// the log by then, from 3.9 only a multi has. The real server reads text that is no UTF-8 with replacement characters, which no path may have.
    fn misread(&mut self, session: i64, op: OpCode, kind: &DecodeErrorKind) -> Outcome {
        let is_text = matches!(kind, DecodeErrorKind::BadUtf8);
        if self.read_only && self.is_refused_here(op) {
            return Outcome::new(self.zxid, Err(ErrorCode::NOT_READ_ONLY));
        }
        let takes_zxid = match op {
            OpCode::MULTI => true,
            OpCode::RECONFIG => false,
            _ => op.is_write() && (is_text || self.rules.like < Like::V3_9),
        };
        if takes_zxid && self.member.is_none() && !planted!("server_misread_is_free") {
            let code = if is_text && op != OpCode::MULTI {
                ErrorCode::BAD_ARGUMENTS
            } else {
                ErrorCode::MARSHALLING_ERROR
            };
            let (zxid, _) = self.commit(session, Change::Refused(code));
            return Outcome::new(zxid, Err(code));
        }
        let is_read = matches!(
            op,
            OpCode::EXISTS
                | OpCode::GET_DATA
                | OpCode::GET_ACL
                | OpCode::GET_CHILDREN
                | OpCode::GET_CHILDREN2
        );
        let code = if is_text && is_read { ErrorCode::NO_NODE } else { ErrorCode::MARSHALLING_ERROR };
        Outcome::new(self.zxid, Err(code))
    }

    /// What a read-only server does not do.
    fn is_refused_here(&self, op: OpCode) -> bool {
        matches!(op, OpCode::SYNC) || op.is_write() && op != OpCode::CLOSE_SESSION
    }

    fn execute(
        &mut self,
        id: ConnectionId,
        session: i64,
        header: RequestHeader,
        body: &RequestBody,
    ) -> Outcome {
        if self.read_only && self.is_refused_here(header.op) {
            return Outcome::new(self.zxid, Err(ErrorCode::NOT_READ_ONLY));
        }
        match body {
            RequestBody::Auth(packet) => self.authenticate(id, packet),
            RequestBody::Sasl(_) => Outcome::new(0, Ok(ReplyBody::Sasl(SetSaslResponse { token: None }))),
            _ if header.op == OpCode::CLOSE_SESSION => {
                let zxid = self.end_session(session);
                Outcome::new(zxid, Ok(ReplyBody::Empty)).closing(Why::SessionClosed)
            }
            _ if header.op.is_write() => self.write(id, session, body),
            _ => {
                let result = self.read(id, session, header.op, body);
                Outcome::new(self.zxid, result)
            }
        }
    }

    fn write(&mut self, id: ConnectionId, session: i64, body: &RequestBody) -> Outcome {
        let Some(connection) = self.connection(id) else {
            return Outcome::new(0, Err(ErrorCode::SYSTEM_ERROR));
        };
        let caller = Caller { session, ids: &connection.ids };
        let change = prepare(&self.tree, &self.rules, caller, body);
        let (zxid, answer) = self.commit(session, change);
        let (err, body) = answer.into_reply();
        Outcome { err, zxid, body, then: None }
    }

    /// Gives a change the next number, takes it into the tree and tells its events.
    pub(super) fn commit(&mut self, session: i64, change: Change) -> (i64, Answer) {
        let is_free = matches!(change, Change::Refused(_)) && planted!("server_failures_are_free");
        self.zxid = if is_free { self.zxid } else { self.zxid.wrapping_add(1) };
        let zxid = self.zxid;
        let applied = self.tree.take_in(Txn { zxid, time: self.unix_millis(), session, change });
        if !applied.events.is_empty() {
            self.tell(zxid, &applied.events);
        }
        (zxid, applied.answer)
    }

    fn authenticate(&mut self, id: ConnectionId, packet: &AuthPacket) -> Outcome {
        let credentials = packet.auth.as_deref().unwrap_or_default();
        let most = self.limits.identities_len;
        let Some(added) = authenticate(&self.rules, packet.scheme.as_str(), credentials) else {
            self.totals.refused_auth += 1;
            return Outcome::new(0, Err(ErrorCode::AUTH_FAILED)).closing(Why::AuthFailed);
        };
        if let Some(connection) = self.connection_mut(id) {
            for one in added {
                if !connection.identify(one, most) {
                    self.totals.refused_auth += 1;
                    return Outcome::new(0, Err(ErrorCode::AUTH_FAILED)).closing(Why::AuthFailed);
                }
            }
        }
        let zxid = if planted!("server_auth_tells_zxid") { self.zxid } else { 0 };
        Outcome::new(zxid, Ok(ReplyBody::Empty))
    }

    pub(super) fn answer(
        &mut self,
        id: ConnectionId,
        session: i64,
        header: RequestHeader,
        body: &RequestBody,
        outcome: Outcome,
        fault: Option<Fault>,
    ) {
        let Outcome { err, zxid, body: reply, then } = outcome;
        self.log_request(id, session, header, body, (err, zxid), fault);
        if fault == Some(Fault::CutAfter) {
            return self.close(id, Why::Test);
        }
        let hold = self.hold(fault);
        self.totals.sent += 1;
        let now = self.now;
        let Some(connection) = self.connection_mut(id) else { return };
        connection.reply(ReplyHeader { xid: header.xid, zxid, err }, &reply, hold);
        connection.tally.last_op = header.op;
        connection.tally.last_xid = if header.xid.0 < 0 { connection.tally.last_xid } else { header.xid };
        connection.tally.last_zxid = zxid;
        connection.tally.last_reply = now;
        self.wait_for(id, hold);
        self.wake(id);
        match then {
            Some(_) if planted!("server_stays_open") => {}
            Some(why) => self.close(id, why),
            None => {}
        }
    }

    fn log_request(
        &mut self,
        id: ConnectionId,
        session: i64,
        header: RequestHeader,
        body: &RequestBody,
        (err, zxid): (ErrorCode, i64),
        fault: Option<Fault>,
    ) {
        if self.log.is_off() {
            return;
        }
        let path = log::path(body).map_or_else(String::new, |path| log::kept(path.as_str()));
        let request =
            Request { xid: header.xid, op: header.op, path, details: log::details(body), err, zxid, fault };
        self.note(Some(id), session, What::Request(request));
    }

    /// When something may go out that a test spoils so.
    pub(super) fn hold(&self, fault: Option<Fault>) -> Hold {
        match fault {
            Some(Fault::Delay(delay)) => Hold::Until(self.now.saturating_add(millis(delay))),
            Some(Fault::Withhold) => Hold::Until(u64::MAX),
            _ => Hold::No,
        }
    }

    pub(super) fn wait_for(&mut self, id: ConnectionId, hold: Hold) {
        if let Hold::Until(until) = hold {
            self.set_timer(until, id);
        }
    }

    /// The tree as the connection sees it.
    pub(super) fn access(&self, id: ConnectionId) -> Access<'_> {
        let ids = self.connection(id).map(|connection| connection.ids.as_slice()).unwrap_or_default();
        Access { rules: &self.rules, ids }
    }
}
