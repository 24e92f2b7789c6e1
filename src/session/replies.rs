//! From bytes to answers: cutting frames, matching replies to requests in order, handing out watch events.

use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use super::link::{Connection, Link};
use super::queue::{Batch, Committed, Owner};
use super::watches::Occurrence;
use super::{
    Action, Cause, ConnId, End, Event, Fate, LeaseId, Life, Loss, Reply, Session, Violation, WatchKind,
};
use crate::jute::{DecodeErrorKind, ErrorCode, MultiHeader, OpCode, Reader, ReplyHeader, WatcherEvent, Xid};
use crate::limits;

/// Length of the frame's length and of a reply header.
const HEADERS_LEN_BYTES: usize = 4 + 16;

/// What the front of the input is.
enum Front {
    /// Whole frames, so many bytes of them.
    Frames(usize),
    /// A reply over the limit, of so many bytes; its header is there.
    Oversize(usize),
    /// Not enough of anything.
    Incomplete,
}

impl<T> Session<T> {
    /// Takes input off the front of `input`: whole frames, at most one batch of them. True if there may be more to do
    /// before reading on.
    pub fn handle_input(&mut self, now: Instant, conn: ConnId, input: &mut BytesMut) -> bool {
        self.run_timers_but_silence(now);
        match &mut self.link {
            Link::Handshaking { conn: current, .. } if *current == conn => self.handshake_input(now, input),
            Link::Up(connection) if connection.conn == conn => match self.replies_input(now, input) {
                Ok(more) => more,
                Err(violation) => {
                    self.stats.violations += 1;
                    self.lose(now, Loss::Violation(violation));
                    false
                }
            },
            _ => {
                input.clear();
                false
            }
        }
    }

    fn replies_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<bool, Violation> {
        let limit = self.config.inbound_frame_len_bytes;
        let Link::Up(connection) = &mut self.link else { return Ok(false) };
        let discarded = connection.inbound.discard.min(input.len());
        if discarded > 0 {
            input.advance(discarded);
            connection.inbound.discard -= discarded;
            connection.inbound.credited = 0;
            self.heard(now);
            return Ok(!input.is_empty());
        }
        match front(input, limit)? {
            Front::Incomplete => {
                // A large reply on a slow line is a sign of life as long as it gets on.
                if input.len() >= connection.inbound.credited + limits::PROGRESS_LEN_BYTES {
                    connection.inbound.credited = input.len();
                    self.heard(now);
                }
                Ok(false)
            }
            Front::Oversize(len) => {
                connection.inbound.discard = 4 + len - HEADERS_LEN_BYTES;
                connection.inbound.credited = 0;
                self.heard(now);
                input.advance(4);
                let header = input.split_to(HEADERS_LEN_BYTES - 4).freeze();
                self.oversize_reply(now, header, len, limit)?;
                self.pump(now);
                Ok(true)
            }
            Front::Frames(len) => {
                connection.inbound.credited = 0;
                self.heard(now);
                self.frames(now, &input.split_to(len).freeze())?;
                self.pump(now);
                Ok(!input.is_empty())
            }
        }
    }

    fn heard(&mut self, now: Instant) {
        if let Link::Up(connection) = &mut self.link {
            connection.heard = now;
            connection.served = true;
            connection.reprieve = None;
        }
        if let Life::Established(established) = &mut self.life {
            established.heard = now;
        }
    }

    /// Works through whole frames, which are slices of one chunk.
    fn frames(&mut self, now: Instant, chunk: &Bytes) -> Result<(), Violation> {
        let mut at = 0;
        while let Some(length) = chunk.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            let len = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            let end = (at + 4 + len).min(chunk.len());
            let mut reader = Reader::new(chunk.slice(at + 4..end));
            let header = reader.record::<ReplyHeader>().map_err(|_| Violation::Malformed)?;
            self.frame(now, header, &mut reader)?;
            if !matches!(self.link, Link::Up(_)) {
                break;
            }
            at = end;
        }
        Ok(())
    }

    fn frame(&mut self, now: Instant, header: ReplyHeader, reader: &mut Reader) -> Result<(), Violation> {
        match header.xid {
            Xid::NOTIFICATION => self.notification(header.zxid, reader),
            Xid::PING => {
                self.ponged();
                Ok(())
            }
            Xid::AUTH => {
                self.auth_reply(header.err);
                Ok(())
            }
            Xid::SET_WATCHES => {
                self.stats.ignored_replies += 1;
                Ok(())
            }
            _ => {
                let committed = self.take_answered(&header)?;
                self.answered(now, header, reader.rest(), committed);
                Ok(())
            }
        }
    }

    fn ponged(&mut self) {
        match &mut self.link {
            Link::Up(connection) if connection.pings > 0 => connection.pings -= 1,
            _ => self.stats.ignored_replies += 1,
        }
    }

    /// The request that this reply is for: the one at the head of the queue, or the peer is out of its mind
    /// (`ClientCnxn.readResponse`).
    fn take_answered(&mut self, header: &ReplyHeader) -> Result<Committed<T>, Violation> {
        let Link::Up(connection) = &mut self.link else { return Err(Violation::Unsolicited) };
        match connection.pending.front() {
            None => Err(Violation::Unsolicited),
            // Nothing of it has left yet: nobody can have done it.
            Some(front) if front.start >= connection.written && !planted!("session_answered_unasked") => {
                Err(Violation::Unsolicited)
            }
            Some(front) if front.xid != header.xid && !planted!("session_order_unchecked") => {
                Err(Violation::OutOfOrder)
            }
            Some(_) => connection.pending.pop_front().ok_or(Violation::Unsolicited),
        }
    }

    fn answered(&mut self, now: Instant, header: ReplyHeader, body: Bytes, committed: Committed<T>) {
        self.learn(&header, &committed);
        let Committed { id, op, entry, .. } = committed;
        self.free(entry.places);
        let exists = header.err == ErrorCode::OK;
        if let Some(arming) = &entry.arming {
            // `exists` on a missing znode sets a watch; every other error sets none (`ZooKeeper.WatchRegistration`).
            let missing =
                arming.kind == WatchKind::Data && op == OpCode::EXISTS && header.err == ErrorCode::NO_NODE;
            if exists || missing {
                let listener = matches!(entry.owner, Owner::Caller(_)).then(|| id.watcher());
                self.watches.armed(arming, listener, exists);
            } else {
                self.watches.not_armed(arming);
            }
        }
        match entry.owner {
            Owner::Caller(token) if exists => {
                let outcome = Ok(Reply { zxid: header.zxid, body });
                self.actions.push_back(Action::Complete { token, outcome });
            }
            Owner::Caller(token) => self.complete(token, Cause::Server(header.err), Fate::Refused),
            Owner::Tombstone => {}
            Owner::Restore(batch) => self.restored(header.err, &batch),
            Owner::Removal => self.removed(),
            Owner::Lease(lease) => self.renewed(lease, header.err, body),
            Owner::Close => return self.end(End::Closed),
        }
        if header.err == ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH {
            self.end(End::AuthFailed);
        }
        if is_farewell(&header) && !planted!("session_stays_after_farewell") {
            // The server closes behind this answer: what is written now would be lost with its fate unknown.
            self.lose(now, Loss::UnknownOperation);
        }
    }

    /// What any reply teaches: the last zxid, what the server can do, and whether a quorum stood behind it.
    fn learn(&mut self, header: &ReplyHeader, committed: &Committed<T>) {
        // Not from the answers to SetWatches: if the connection goes between two batches, the watches of the second must
        // still be compared with what was seen before the first.
        let restores =
            matches!(committed.entry.owner, Owner::Restore(_)) && !planted!("session_zxid_from_batches");
        if header.zxid > 0 && !restores {
            self.last_zxid = self.last_zxid.max(header.zxid);
        }
        let Link::Up(connection) = &mut self.link else { return };
        // Also where it was known: an older server may have taken the place of a newer one.
        let answers = !is_farewell(header);
        let forgets = !answers && planted!("session_refusals_forgotten");
        if (std::mem::take(&mut connection.alone) || !answers) && !forgets {
            self.abilities.learn(&connection.server, connection.address, committed.op, answers);
        }
        let is_write = committed.op.is_write() || planted!("session_lease_from_reads");
        if is_write && header.zxid > 0 && is_from_quorum(header.err) {
            let timeout = self.timeout();
            self.leases.proved(committed.at, timeout);
        }
    }

    fn restored(&mut self, err: ErrorCode, batch: &Batch) {
        let notice = self.lasting_notice();
        let actions = &mut self.actions;
        if err != ErrorCode::OK {
            self.watches.refused(&batch.paths, |watcher, notice| {
                actions.push_back(Action::Notify { watcher, notice });
            });
        } else if batch.last && !planted!("session_gap_swallowed") {
            // Persistent watches do not catch up (`DataTree.setWatches`): whatever happened while apart is unknown.
            let tell = |watcher, notice| actions.push_back(Action::Notify { watcher, notice });
            self.watches.tell_lasting(&notice, tell);
        }
    }

    fn removed(&mut self) {
        if let Link::Up(connection) = &mut self.link {
            connection.removals = connection.removals.saturating_sub(1);
        }
    }

    fn renewed(&mut self, lease: LeaseId, err: ErrorCode, body: Bytes) {
        let first = Reader::new(body)
            .record::<MultiHeader>()
            .map_or(ErrorCode::MARSHALLING_ERROR, |header| header.err);
        let code = if err == ErrorCode::OK { first } else { err };
        if code != ErrorCode::OK && is_from_quorum(code) {
            self.leases.release(lease);
            self.actions.push_back(Action::Event(Event::LeaseRefused { lease, code }));
        }
    }

    fn auth_reply(&mut self, err: ErrorCode) {
        let Link::Up(connection) = &mut self.link else { return };
        let index = connection.auth_pending.pop_front().map(|(index, _)| index);
        if index.is_none() {
            self.stats.ignored_replies += 1;
        }
        let token =
            index.and_then(|index| self.auth.get_mut(index)).and_then(|credential| credential.token.take());
        match (token, err) {
            (Some(token), ErrorCode::OK) => {
                let outcome = Ok(Reply { zxid: 0, body: Bytes::new() });
                self.actions.push_back(Action::Complete { token, outcome });
            }
            (Some(token), _) => self.complete(token, Cause::Server(err), Fate::Refused),
            (None, _) => {}
        }
        if err == ErrorCode::AUTH_FAILED {
            self.end(End::AuthFailed);
        }
    }

    fn notification(&mut self, zxid: i64, reader: &mut Reader) -> Result<(), Violation> {
        let event = match reader.record::<WatcherEvent>() {
            Ok(event) => event,
            Err(error) if error.kind == DecodeErrorKind::BadUtf8 => {
                self.stats.garbled_events += 1;
                return Ok(());
            }
            Err(_) => return Err(Violation::Malformed),
        };
        if planted!("session_zxid_from_events") {
            self.last_zxid = self.last_zxid.max(zxid);
        }
        let occurrence = Occurrence { event_type: event.event_type, path: event.path, zxid };
        let actions = &mut self.actions;
        let heard = self.watches.dispatch(&occurrence, |watcher, notice| {
            actions.push_back(Action::Notify { watcher, notice });
        });
        self.stats.ignored_events += u64::from(!heard);
        Ok(())
    }

    /// A reply over the limit is matched by its header; its body is thrown away as it arrives. It fails the one request
    /// that asked for it, and its neighbours go on.
    fn oversize_reply(
        &mut self,
        now: Instant,
        header: Bytes,
        len: usize,
        limit: usize,
    ) -> Result<(), Violation> {
        let header = Reader::new(header).record::<ReplyHeader>().map_err(|_| Violation::Malformed)?;
        if !header.xid.is_ordinary() {
            return Err(Violation::FrameLength(i32::try_from(len).unwrap_or(i32::MAX)));
        }
        self.stats.oversize_replies += 1;
        let mut committed = self.take_answered(&header)?;
        // An error needs no body: it is told, and sets its watch, like any other.
        let token = if header.err == ErrorCode::OK { committed.entry.bury() } else { None };
        if let Some(token) = token {
            // A multi that was refused is answered without an error as well: its body says so.
            let told = committed.op != OpCode::MULTI || planted!("session_multi_fate_guessed");
            let fate = if told { Fate::Applied } else { Fate::Unknown };
            self.complete(token, Cause::ReplyTooLarge { len, limit }, fate);
        }
        self.answered(now, header, Bytes::new(), committed);
        Ok(())
    }

    /// The transport took so many more bytes.
    pub fn handle_written(&mut self, now: Instant, conn: ConnId, len_bytes: usize) {
        // Before the timers: if one of them drops the connection, what left with these bytes was sent.
        match &mut self.link {
            Link::Handshaking { conn: current, written, .. } if *current == conn => {
                *written += len_bytes as u64;
            }
            Link::Up(connection) if connection.conn == conn => {
                connection.written += len_bytes as u64;
                connection.wrote = now;
            }
            _ => {}
        }
        self.run_timers(now);
        if matches!(&self.link, Link::Up(connection) if connection.conn == conn && connection.restore.is_some())
        {
            self.pump(now);
        }
    }
}

impl<T> Connection<T> {
    /// Whether any byte of what begins at this place of the stream left.
    pub(super) fn was_sent(&self, start: u64) -> bool {
        start < self.written && !planted!("session_fate_guessed")
    }
}

/// Whether the server closes the connection behind this answer: it does not know the operation, and says so with zxid -1
/// (`UnimplementedRequestProcessor`). The same error with a real zxid means a feature that is switched off.
fn is_farewell(header: &ReplyHeader) -> bool {
    header.err == ErrorCode::UNIMPLEMENTED && header.zxid == -1
}

/// Errors that the leader's quorum stands behind, and not the member alone.
fn is_from_quorum(err: ErrorCode) -> bool {
    !matches!(
        err,
        ErrorCode::NOT_READ_ONLY
            | ErrorCode::THROTTLED_OP
            | ErrorCode::UNIMPLEMENTED
            | ErrorCode::MARSHALLING_ERROR
            | ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH
            | ErrorCode::SESSION_MOVED
            | ErrorCode::SESSION_EXPIRED
            | ErrorCode::AUTH_FAILED
    )
}

/// Looks at the lengths in front: how many bytes of whole frames there are, up to one batch.
fn front(input: &[u8], limit: usize) -> Result<Front, Violation> {
    let mut whole = 0;
    while let Some(length) = input.get(whole..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = i32::from_be_bytes(*length);
        let len = match usize::try_from(length) {
            Ok(len) if len <= limits::DISCARDED_FRAME_LEN_BYTES => len,
            _ if whole > 0 => break,
            _ => return Err(Violation::FrameLength(length)),
        };
        if len > limit && whole == 0 && input.len() >= HEADERS_LEN_BYTES {
            return Ok(Front::Oversize(len));
        }
        let end = whole + 4 + len;
        if len > limit || end > input.len() || (whole > 0 && end > limits::BATCH_LEN_BYTES) {
            break;
        }
        whole = end;
    }
    Ok(if whole == 0 { Front::Incomplete } else { Front::Frames(whole) })
}
