//! The session with everything around it: a transport, a peer, look-ups and dials, and a clock that moves by hand.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use menagerie::limits;
use menagerie::session::{
    Action, Address, Config, ConnId, DialId, LeaseId, Loss, Request, RequestId, Session, State,
};
use menagerie_jute::{EventType, OpCode, Writer, Xid};

use super::ledger::{Answer, Ledger, Token};
use super::peer::Peer;
use crate::wire::framed;

/// What stands in every secret, and nowhere else.
pub(super) const SECRET: &[u8] = b"hunter2hunter2zz";

pub(super) struct World {
    pub(super) session: Session<u32>,
    pub(super) config: Config,
    pub(super) now: Instant,
    pub(super) ledger: Ledger,
    pub(super) lookup: Option<DialId>,
    /// Addresses being dialled, the oldest first.
    pub(super) dialled: Vec<ConnId>,
    /// An address being asked whether it takes writes.
    pub(super) probed: Option<ConnId>,
    pub(super) peer: Option<Peer>,
    /// A look-up and a connection that are over.
    pub(super) stale: (Option<DialId>, Option<ConnId>),
    pub(super) ids: Vec<RequestId>,
    pub(super) leases: Vec<LeaseId>,
    pub(super) zxid: i64,
    /// The token whose credential was presented last.
    pub(super) last_auth: Option<u32>,
    connections: u64,
    /// Costly steps that it may still take.
    budget: u32,
    /// Whether paths are in it that take long to print.
    pub(super) bulky: bool,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "virtual time needs one moment to count from")]
    pub(super) fn new(config: Config) -> Self {
        let now = Instant::now();
        let mut world = Self {
            session: Session::new(config.clone(), now),
            config,
            now,
            ledger: Ledger::default(),
            lookup: None,
            dialled: Vec::new(),
            probed: None,
            peer: None,
            stale: (None, None),
            ids: Vec::new(),
            leases: Vec::new(),
            zxid: 100,
            last_auth: None,
            connections: 0,
            budget: 5,
            bulky: false,
        };
        world.settle();
        world
    }

    /// Whether another step may take as long as a hundred others: a few reach everything that many would.
    pub(super) fn affords(&mut self) -> bool {
        let affords = self.budget > 0;
        self.budget = self.budget.saturating_sub(1);
        affords
    }

    /// Takes every output. Called after every fact and wish.
    pub(super) fn settle(&mut self) {
        let mut out = Writer::new();
        while let Some(conn) = self.session.poll_transmit(&mut out) {
            let bytes = out.copy_to_bytes(out.remaining());
            let peer = self.peer.as_mut().filter(|peer| peer.conn == conn).expect("output for no connection");
            peer.take(&bytes, &mut self.ledger);
        }
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Resolve { dial, .. } => self.stale.0 = self.lookup.replace(dial),
                Action::Dial { conn, .. } => self.dialled.push(conn),
                Action::Probe { conn, .. } => {
                    assert_eq!(self.session.state(), State::ConnectedReadOnly, "a search for what there is");
                    assert!(self.probed.replace(conn).is_none(), "two probes at once");
                }
                Action::HangUp { conn } => self.hung_up(conn),
                Action::Complete { token, outcome } => self.ledger.complete(self.now, token, &outcome),
                Action::Notify { watcher, notice } => self.ledger.notify(watcher, &notice),
                Action::Event(event) => self.ledger.event(&event),
                other => panic!("an output that nobody knows: {other:?}"),
            }
        }
        let freed = self.session.take_freed();
        self.ledger.places_freed += u64::from(freed);
    }

    fn hung_up(&mut self, conn: ConnId) {
        assert!(!self.ledger.ended, "a hang-up behind the end");
        self.stale.1 = Some(conn);
        self.dialled.retain(|dialled| *dialled != conn);
        if self.probed == Some(conn) {
            self.probed = None;
        }
        if self.peer.as_ref().is_some_and(|peer| peer.conn == conn) {
            self.peer = None;
        }
    }

    /// What must hold between any two steps.
    pub(super) fn check(&mut self) {
        let ended = matches!(self.session.state(), State::Ended(_));
        assert_eq!(ended, self.ledger.ended, "the end is not told");
        assert_eq!(ended, self.session.is_drained());
        assert!(!(ended && self.session.poll_timeout().is_some()), "a timer behind the end");
        let out =
            self.ledger.places_taken.checked_sub(self.ledger.places_freed).expect("freed, but not taken");
        assert!(out <= u64::from(self.config.places), "{out} places are taken");
        let own = self.peer.as_ref().map_or(0, |peer| peer.own(self.ledger.wild)) + 1;
        let in_flight = self.session.in_flight();
        assert!(in_flight <= self.config.places as usize + own, "{in_flight} in flight, {own} its own");
        assert!(self.dialled.len() <= limits::DIALS_AT_ONCE, "too many dials at once");
        assert!(self.dialled.is_empty() || self.peer.is_none(), "a dial beside a connection");
        let up = matches!(self.session.state(), State::Connected | State::ConnectedReadOnly);
        assert_eq!(up, self.session.server().is_some());
        assert!(!up || self.peer.as_ref().is_some_and(|peer| peer.answered || self.ledger.wild));
        let farthest = self.now + self.session.timeout();
        assert!(self.session.lease_until().is_none_or(|until| until <= farthest), "a lease over its timeout");
    }

    /// Closes, and everything comes back.
    pub(super) fn finish(&mut self) {
        self.session.close(self.now);
        self.settle();
        self.pass(limits::CLOSE_WAIT + Duration::from_millis(1));
        self.check();
        self.ledger.assert_closed();
        assert!(self.session.is_drained() && self.session.credentials().is_none());
        assert_eq!((self.session.in_flight(), self.session.poll_timeout()), (0, None));
        self.assert_secrets_kept();
    }

    pub(super) fn assert_secrets_kept(&self) {
        if self.bulky {
            return;
        }
        let shown = format!("{:?}", self.session);
        let bytes = format!("{SECRET:?}");
        for secret in [std::str::from_utf8(SECRET).unwrap(), bytes.trim_matches(['[', ']'])] {
            assert!(!shown.contains(secret), "a secret is printed");
        }
    }

    /// Lets time go by, timer after timer.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        // Pings come every 10 ms at most, deadlines every millisecond, leases every third of a timeout of at least one.
        let most = 64 + 8 * time.as_millis();
        let mut steps = 0;
        while let Some(at) = self.session.poll_timeout().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.time_out();
            steps += 1;
            assert!(steps <= most, "timers do not come to rest: {steps} in {time:?}");
        }
        self.now = until;
    }

    /// The timer goes off, in time or late.
    pub(super) fn time_out(&mut self) {
        self.session.handle_timeout(self.now);
        let next = self.session.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "a timer in the past after it was handled");
        self.settle();
    }

    pub(super) fn resolve(&mut self, found: Result<Vec<Address>, Loss>) {
        if let Some(dial) = self.lookup.take() {
            self.session.handle_resolved(self.now, dial, found);
            self.stale.0 = Some(dial);
            self.settle();
        }
    }

    /// One of the dials under way comes to its end.
    pub(super) fn dial(&mut self, which: usize, comes: Result<(), Loss>) {
        let Some(conn) = self.take_dialled(which) else { return };
        match comes {
            Ok(()) => {
                self.connections += 1;
                self.ledger.new_connection();
                self.peer = Some(Peer::new(conn, self.connections));
                self.session.handle_connected(self.now, conn);
            }
            Err(loss) => self.session.handle_dial_failed(self.now, conn, loss),
        }
        self.settle();
    }

    pub(super) fn take_dialled(&mut self, which: usize) -> Option<ConnId> {
        let count = self.dialled.len();
        (count > 0).then(|| self.dialled.remove(which % count))
    }

    /// The address that was probed says something, or nothing.
    pub(super) fn probe(&mut self, answer: &[u8]) {
        if let Some(conn) = self.probed.take() {
            self.session.handle_probe(self.now, conn, answer);
            self.stale.1 = Some(conn);
            self.settle();
        }
    }

    /// So many bytes arrive at the peer, if there are so many.
    pub(super) fn write(&mut self, most: usize) {
        let Some(peer) = &mut self.peer else { return };
        let len = peer.backlog().min(most);
        let conn = peer.conn;
        peer.arrive(len, &mut self.ledger);
        self.session.handle_written(self.now, conn, len);
        self.settle();
    }

    pub(super) fn cut(&mut self, loss: Loss) {
        if let Some(peer) = self.peer.take() {
            self.stale.1 = Some(peer.conn);
            self.session.handle_connection_lost(self.now, peer.conn, loss);
            self.settle();
        }
    }

    /// Bytes come in from the peer, in segments. True if all of them were taken, and the connection is still there.
    pub(super) fn feed(&mut self, bytes: &[u8], segment: usize) -> bool {
        let Some(number) = self.peer.as_ref().map(|peer| peer.number) else { return false };
        for piece in bytes.chunks(segment.max(1)) {
            let Some(peer) = self.peer.as_mut().filter(|peer| peer.number == number) else { return false };
            let (conn, mut input) = (peer.conn, std::mem::take(&mut peer.input));
            input.extend_from_slice(piece);
            while self.one_input(conn, &mut input) {}
            self.settle();
            match self.peer.as_mut().filter(|peer| peer.number == number) {
                Some(peer) => peer.input = input,
                None => return false,
            }
        }
        self.peer.as_ref().is_some_and(|peer| peer.input.is_empty())
    }

    fn one_input(&mut self, conn: ConnId, input: &mut BytesMut) -> bool {
        let before = input.len();
        let first = input.first_chunk::<4>().map_or(0, |length| i32::from_be_bytes(*length));
        let oversize = self.session.stats().oversize_replies;
        let more = self.session.handle_input(self.now, conn, input);
        let taken = before - input.len();
        assert!(!more || taken > 0, "asks for more and takes nothing");
        // A frame may be longer than a batch, and what is thrown away is no work.
        let one_frame = usize::try_from(first).is_ok_and(|first| taken == first + 4);
        let gone = input.is_empty() && !more;
        if !gone && oversize == 0 && self.session.stats().oversize_replies == 0 {
            assert!(taken <= limits::BATCH_LEN_BYTES || one_frame, "{taken} bytes worked on at once");
        }
        more
    }

    /// The peer says something that no server says.
    pub(super) fn feed_wild(&mut self, bytes: &[u8], segment: usize) {
        self.ledger.note_wild(true);
        self.feed(bytes, segment);
    }

    /// Answers what the peer was asked first.
    pub(super) fn answer(&mut self, err: menagerie_jute::ErrorCode, body: Bytes, segment: usize) -> bool {
        let Some(asked) = self.peer.as_mut().and_then(|peer| peer.asked.pop_front()) else { return false };
        self.zxid += 1;
        let reserved = !asked.xid.is_ordinary();
        // A server that does not know an operation says so with zxid -1.
        let unknown = err == menagerie_jute::ErrorCode::UNIMPLEMENTED;
        let zxid = if reserved {
            0
        } else if unknown {
            -1
        } else {
            self.zxid
        };
        let body = if reserved { Bytes::new() } else { body };
        if let Some(entry) = asked.token.and_then(|token| self.ledger.token(token)) {
            entry.answer = Some(Answer { err, zxid, body: body.clone() });
        }
        let header = menagerie_jute::ReplyHeader { xid: asked.xid, zxid, err };
        let mut bytes = Writer::new();
        let frame = bytes.frame();
        menagerie_jute::Encode::encode(&header, &mut bytes);
        bytes.raw(&body);
        bytes.close(frame);
        self.feed(&bytes.into_bytes(), segment);
        true
    }

    /// A watch event, which everybody whom it concerns must hear of.
    pub(super) fn happen(&mut self, event_type: EventType, path: &str, zxid: i64, segment: usize) {
        let event = menagerie_jute::WatcherEvent {
            event_type,
            state: menagerie_jute::KeeperState::SYNC_CONNECTED,
            path: path.into(),
        };
        let header =
            menagerie_jute::ReplyHeader { xid: Xid::NOTIFICATION, zxid, err: menagerie_jute::ErrorCode::OK };
        let fresh = self.peer.as_ref().is_some_and(|peer| peer.input.is_empty());
        let up = self.session.server().is_some();
        self.ledger.note_wild(!up);
        let concerned = self.ledger.concerned(event_type, path);
        let taken = self.feed(&framed(&[&header, &event]), segment);
        if up && fresh && taken && !self.ledger.wild {
            self.ledger.assert_told(&concerned);
        }
    }

    /// Hands a request in.
    pub(super) fn submit(&mut self, token: u32, request: Request<'_>) {
        let places = u64::from(request.places);
        match self.session.submit(self.now, request, token) {
            Ok(id) => {
                self.ledger.places_taken += places;
                self.ids.push(id);
                if let Some(entry) = self.ledger.token(token) {
                    entry.id = Some(id);
                }
            }
            Err(rejected) => self.ledger.rejected(token, &rejected),
        }
        self.settle();
    }

    /// A token that is going to be handed in.
    pub(super) fn open(&mut self, op: OpCode) -> u32 {
        self.ledger.open(Token { op, ..Token::default() })
    }
}
