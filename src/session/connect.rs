//! From nothing to a connection that is up: whose turn it is, how long it may take, and the handshake.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use super::link::{Attempt, Connection, Inbound, Link, Restore};
use super::pace;
use super::servers::Verdict;
use super::watches::List;
use super::{
    Action, Address, ConnId, Credentials, DialId, End, Established, Event, Life, Loss, Server, Session,
    Violation,
};
use crate::jute::{ConnectRequest, ConnectResponse, Encode, Reader, Writer, Xid};
use crate::limits;

/// A server that has no session to give, or is not to talk to writers, may answer with a reply header instead of a
/// ConnectResponse (`ReadOnlyRequestProcessor`): this long.
const REPLY_HEADER_LEN_BYTES: usize = 16;

/// No answer to a handshake is longer.
const ANSWER_LEN_BYTES: usize = 20 + limits::PASSWORD_LEN_BYTES + 1 + 256;

impl<T> Session<T> {
    /// The name was looked up, or was not found.
    pub fn handle_resolved(&mut self, now: Instant, dial: DialId, found: Result<Vec<Address>, Loss>) {
        self.run_timers(now);
        match &self.link {
            Link::Resolving { dial: current, attempt } if *current == dial => {
                let attempt = attempt.clone();
                match found {
                    Err(loss) => self.attempt_failed(now, attempt.server, loss),
                    Ok(addresses) => self.begin_race(now, attempt, addresses),
                }
            }
            _ => self.probe_resolved(now, dial, found),
        }
    }

    /// The address did not answer, or refused.
    pub fn handle_dial_failed(&mut self, now: Instant, conn: ConnId, loss: Loss) {
        self.run_timers(now);
        self.dial_failed(now, conn, loss);
    }

    /// The connection stands; now the handshake goes out, and nothing behind it. Other addresses of the same name that are
    /// being dialled are given up.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId) {
        self.run_timers(now);
        let Link::Dialling { race, attempt } = &mut self.link else { return };
        let Some(address) = race.take(conn) else { return };
        let attempt = attempt.clone();
        if !planted!("session_losers_kept") {
            self.hang_up();
        }
        let mut out = Writer::with_spill(limits::SPILL_LEN_BYTES);
        let frame = out.frame();
        self.connect_request().encode(&mut out);
        out.close(frame);
        if planted!("session_writes_behind_the_handshake") {
            let frame = out.frame();
            self.connect_request().encode(&mut out);
            out.close(frame);
        }
        let enqueued = out.len() as u64;
        self.link = Link::Handshaking { conn, address, out, enqueued, written: 0, attempt };
    }

    /// Takes the next server's turn: now, or as soon as the pace of dials allows.
    pub(super) fn try_next(&mut self, now: Instant) {
        if self.free_to_dial_at().is_none_or(|at| at <= now) {
            return self.begin_attempt(now);
        }
        // Many clients wait for the same moment.
        let spread = self.chance.up_to(pace::window(self.timeout()) / 4);
        self.try_later(now, spread);
    }

    /// Takes the next server's turn after a pause, which begins when another dial is allowed.
    pub(super) fn try_later(&mut self, now: Instant, pause: Duration) {
        let free = self.free_to_dial_at().unwrap_or(now).max(now);
        self.link = Link::Down { retry_at: Some(free + pause) };
    }

    /// A third of the timeout, and while there is a session to save no more than two thirds of what it has left: a short outage
    /// must not become an expiry by waiting.
    pub(super) fn longest_pause(&self, now: Instant) -> Duration {
        let third = self.timeout() / 3;
        match self.left(now) {
            Some(left) if !left.is_zero() && !planted!("session_pause_outlives_it") => {
                third.min(left * 2 / 3)
            }
            _ => third,
        }
    }

    /// Before which moment nothing may be dialled, if there is one.
    pub(super) fn free_to_dial_at(&self) -> Option<Instant> {
        self.pace.free_at(pace::window(self.timeout()))
    }

    /// Takes the next server's turn now.
    pub(super) fn begin_attempt(&mut self, now: Instant) {
        let Some((server, address)) = self.servers.next(&mut self.chance) else {
            self.link = Link::Down { retry_at: None };
            return;
        };
        let attempt = Attempt { server: server.clone(), until: now + self.attempt_budget() };
        if let Some(address) = address {
            return self.begin_race(now, attempt, vec![address]);
        }
        let dial = DialId(self.next_id());
        self.link = Link::Resolving { dial, attempt };
        self.actions.push_back(Action::Resolve { dial, server });
    }

    /// How long one attempt may take. With a live session all servers share a third of its timeout: what the read
    /// deadline left of it.
    fn attempt_budget(&self) -> Duration {
        let hosts = u32::try_from(self.servers.len()).unwrap_or(u32::MAX).max(1);
        match &self.life {
            Life::Established(established) => {
                (established.timeout / 3 / hosts).max(limits::CONNECT_ATTEMPT_MIN)
            }
            Life::New | Life::Ended(_) => (self.config.timeout / hosts).max(limits::CONNECT_ATTEMPT_MIN),
        }
    }

    /// The attempt at this server failed: on to the next, as soon as may be within a pass, after a pause behind it.
    pub(super) fn attempt_failed(&mut self, now: Instant, server: Server, loss: Loss) {
        self.link = Link::Down { retry_at: None };
        self.actions.push_back(Action::Event(Event::AttemptFailed { server, loss }));
        self.contention.forget();
        if self.closing.is_some() {
            return self.end(End::ClosedUnconfirmed);
        }
        match self.servers.attempt_failed(loss) {
            Verdict::GoOn => self.try_next(now),
            Verdict::PassFailed { all_behind } => {
                self.consider_asking(now, all_behind);
                let pause = self.servers.backoff(self.longest_pause(now), &mut self.chance);
                self.try_later(now, pause);
            }
        }
    }

    /// All servers close on the handshake, long after contact was lost. Either they have no leader, and the next one will take
    /// the session up; or the ensemble was restored or wiped, is behind this client, and would close on it for ever.
    /// That looks the same, so once in a while a pass offers the session as if nothing had been seen yet: an
    /// ensemble that is behind says now whether it knows the session, and one without a leader goes on closing.
    fn consider_asking(&mut self, now: Instant, all_behind: bool) {
        let asked = std::mem::take(&mut self.asks);
        if !all_behind || !self.is_lost() || self.last_zxid == 0 {
            self.behind_since = None;
            return;
        }
        if asked {
            self.behind_since = Some(now);
        }
        let since = *self.behind_since.get_or_insert(now);
        self.asks = !planted!("session_never_asks")
            && now >= since + (self.timeout() * 3 / 2).max(limits::BEHIND_MIN);
    }

    /// Whether the server owes no answer.
    fn is_unasked(&self) -> bool {
        matches!(&self.link, Link::Up(up) if up.pending.is_empty() && up.auth_pending.is_empty())
    }

    fn is_lost(&self) -> bool {
        matches!(&self.life, Life::Established(established) if established.lost)
    }

    fn connect_request(&self) -> ConnectRequest {
        let (session_id, passwd) = match &self.life {
            Life::Established(known) => (known.credentials.session_id, known.credentials.password.clone()),
            Life::New | Life::Ended(_) => (0, Bytes::from_static(&[0; 16])),
        };
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: if self.asks { 0 } else { self.last_zxid },
            // The wish, every time: repeating what was negotiated would let it only ever shrink.
            time_out: i32::try_from(self.config.timeout.as_millis()).unwrap_or(i32::MAX),
            session_id,
            passwd: Some(passwd),
            read_only: Some(self.config.read_only),
        }
    }

    /// Input while the handshake is out. True if more input may be worked on.
    pub(super) fn handshake_input(&mut self, now: Instant, input: &mut BytesMut) -> bool {
        let Some(length) = input.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes)) else {
            return false;
        };
        let len = match usize::try_from(length) {
            Ok(len) if len <= ANSWER_LEN_BYTES => len,
            _ => {
                self.handshake_failed(now, Loss::Violation(Violation::FrameLength(length)));
                return false;
            }
        };
        if input.len() < 4 + len {
            return false;
        }
        input.advance(4);
        let answer = input.split_to(len).freeze();
        if len == REPLY_HEADER_LEN_BYTES {
            self.handshake_failed(now, Loss::HandshakeRefused);
            return false;
        }
        match Reader::new(answer).record::<ConnectResponse>() {
            Ok(response) if response.passwd.as_ref().map_or(0, Bytes::len) <= limits::PASSWORD_LEN_BYTES => {
                self.handshake_answered(now, response)
            }
            _ => {
                self.handshake_failed(now, Loss::Violation(Violation::NotAHandshake));
                false
            }
        }
    }

    /// The handshake did not lead to a session.
    pub(super) fn handshake_failed(&mut self, now: Instant, loss: Loss) {
        let Link::Handshaking { attempt, .. } = &self.link else { return };
        let server = attempt.server.clone();
        self.stats.violations += u64::from(matches!(loss, Loss::Violation(_)));
        self.hang_up();
        self.attempt_failed(now, server, loss);
    }

    fn handshake_answered(&mut self, now: Instant, response: ConnectResponse) -> bool {
        let known = match &self.life {
            Life::Established(established) => Some(established.credentials.session_id),
            Life::New | Life::Ended(_) => None,
        };
        let granted = u64::try_from(response.time_out).ok().filter(|&millis| millis > 0);
        match (granted, known) {
            (None, None) => {
                self.handshake_failed(now, Loss::HandshakeRefused);
                false
            }
            // A server that serves readers only may not know yet of a session that lives: it is the others' to say.
            (None, Some(_)) if response.read_only == Some(true) && !planted!("session_believes_readers") => {
                self.handshake_failed(now, Loss::HandshakeRefused);
                false
            }
            // Refused, or another session in place of ours (ClickHouse Keeper): ours is over either way.
            (None, Some(_)) => self.session_expired(),
            (Some(_), Some(id)) if id != response.session_id && !planted!("session_other_taken_for_ours") => {
                self.session_expired()
            }
            // It knows the session, and may be behind what it has seen: reads would go back in time. Whether it is shows when the
            // session is offered as it is.
            (Some(_), Some(_)) if self.asks && !planted!("session_taken_up_behind") => {
                (self.asks, self.behind_since) = (false, Some(now));
                self.handshake_failed(now, Loss::ClosedBeforeHandshake);
                false
            }
            (Some(millis), known) => {
                self.establish(now, Duration::from_millis(millis), &response, known.is_some());
                true
            }
        }
    }

    fn session_expired(&mut self) -> bool {
        self.end(End::Expired);
        if self.asks {
            // The next session must not ask for what is gone.
            self.last_zxid = 0;
        }
        false
    }

    fn establish(&mut self, now: Instant, timeout: Duration, response: &ConnectResponse, reattached: bool) {
        let Link::Handshaking { conn, address, out, enqueued, written, attempt } =
            std::mem::replace(&mut self.link, Link::Off)
        else {
            return;
        };
        let read_only = response.read_only.unwrap_or(false);
        let credentials = Credentials {
            session_id: response.session_id,
            // A password of its own: a slice would keep the handshake's read buffer alive as long as the session.
            password: own_password(response),
            last_zxid: self.last_zxid,
        };
        let session_id = credentials.session_id;
        let known_elsewhere = matches!(&self.life, Life::Established(known) if !known.provisional);
        self.life = Life::Established(Established {
            credentials,
            timeout,
            provisional: read_only && !known_elsewhere,
            heard: now,
            lost: false,
        });
        self.stats.connects += 1;
        (self.asks, self.behind_since) = (false, None);
        self.servers.arrived();
        let server = attempt.server;
        self.actions.push_back(Action::Event(Event::Connected {
            server: server.clone(),
            session_id,
            timeout,
            read_only,
            reattached,
        }));
        let restore = Restore { zxid: self.last_zxid, list: List::Data, after: None };
        self.link = Link::Up(Box::new(Connection {
            conn,
            server,
            address,
            read_only,
            out,
            enqueued,
            written,
            pending: VecDeque::new(),
            auth_pending: VecDeque::new(),
            xid: Xid(0),
            inbound: Inbound::default(),
            restore: (!self.watches.is_empty()).then_some(restore),
            alone: false,
            served: false,
            removals: 0,
            pings: 0,
            since: now,
            heard: now,
            wrote: now,
            leaving: None,
            reprieve: None,
        }));
        let presented = if reattached && planted!("session_auth_forgotten") { 0 } else { self.auth.len() };
        for index in 0..presented {
            self.present_auth(now, index);
        }
        self.pump(now);
        if self.contention.suspects() && self.is_unasked() {
            self.ping(now);
        }
        self.begin_search(now, read_only);
    }
}

fn own_password(response: &ConnectResponse) -> Bytes {
    match &response.passwd {
        Some(password) if planted!("session_password_is_a_slice") => password.clone(),
        password => Bytes::copy_from_slice(password.as_deref().unwrap_or_default()),
    }
}
