//! A session on one side, a scripted server on the other, and a clock that moves when it is told to.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use crate::jute::{
    ConnectRequest, ConnectResponse, Encode, ErrorCode, EventType, GetDataRequest, KeeperState, OpCode,
    Reader, ReplyHeader, RequestHeader, Ustring, WatcherEvent, Writer, Xid,
};
use crate::session::{
    Action, Address, Cause, Config, ConnId, DialId, Event, Fate, Loss, Notice, Outcome, Rejected, Request,
    RequestId, Server, Session, WatchKind, WatchWish,
};

/// The one moment that everything else is counted from.
#[expect(clippy::disallowed_methods, reason = "tests need one moment to count from")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

pub(super) const SESSION_ID: i64 = 0x0100_0000_0000_0042;
pub(super) const PASSWORD: &[u8] = b"sixteen secrets!";

/// One frame that the session wrote.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) xid: Xid,
    pub(super) op: OpCode,
    pub(super) body: Bytes,
    pub(super) len_bytes: usize,
}

pub(super) struct Rig {
    pub(super) session: Session<u32>,
    pub(super) now: Instant,
    pub(super) started: Instant,
    /// Look-ups and dials that wait for an answer.
    pub(super) lookups: VecDeque<(DialId, Server)>,
    pub(super) dials: VecDeque<(ConnId, Server)>,
    /// Where every dial led.
    pub(super) addresses: Vec<(ConnId, Address)>,
    /// Probes that wait for an answer.
    pub(super) probes: Vec<(ConnId, Server, Address)>,
    pub(super) conn: Option<ConnId>,
    pub(super) hung_up: Vec<ConnId>,
    pub(super) done: Vec<(u32, Outcome)>,
    pub(super) notices: Vec<(u64, Notice)>,
    pub(super) events: Vec<Event>,
    /// Everything in the order in which it came out: `done 1`, `notice 2`, `event`.
    pub(super) order: Vec<String>,
    input: BytesMut,
    unparsed: BytesMut,
}

pub(super) fn servers(names: &[&str]) -> Vec<Server> {
    names.iter().map(|name| Server { host: (*name).into(), port: 2181 }).collect()
}

pub(super) fn config() -> Config {
    Config { timeout: Duration::from_secs(9), ..Config::new(servers(&["a", "b", "c"]), 7) }
}

impl Rig {
    pub(super) fn new(config: Config) -> Self {
        let now = epoch();
        let session = Session::new(config, now);
        let mut rig = Self {
            session,
            now,
            started: now,
            lookups: VecDeque::new(),
            dials: VecDeque::new(),
            addresses: Vec::new(),
            probes: Vec::new(),
            conn: None,
            hung_up: Vec::new(),
            done: Vec::new(),
            notices: Vec::new(),
            events: Vec::new(),
            order: Vec::new(),
            input: BytesMut::new(),
            unparsed: BytesMut::new(),
        };
        rig.drain();
        rig
    }

    /// A session that is connected.
    pub(super) fn connected() -> Self {
        let mut rig = Self::new(config());
        rig.connect();
        rig
    }

    /// Takes all actions out and sorts them.
    pub(super) fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Resolve { dial, server } => self.lookups.push_back((dial, server)),
                Action::Dial { conn, server, address } => {
                    self.dials.push_back((conn, server));
                    self.addresses.push((conn, address));
                }
                Action::Probe { conn, server, address } => self.probes.push((conn, server, address)),
                Action::HangUp { conn } => {
                    self.hung_up.push(conn);
                    self.dials.retain(|(dialled, _)| *dialled != conn);
                    self.probes.retain(|(probed, _, _)| *probed != conn);
                    if self.conn == Some(conn) {
                        self.conn = None;
                    }
                }
                Action::Complete { token, outcome } => {
                    self.order.push(format!("done {token}"));
                    self.done.push((token, outcome));
                }
                Action::Notify { watcher, notice } => {
                    self.order.push(format!("notice {}", watcher.0));
                    self.notices.push((watcher.0, notice));
                }
                Action::Event(event) => {
                    self.order.push("event".into());
                    self.events.push(event);
                }
            }
        }
    }

    /// Moves the clock, stopping at every timer on the way.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..100_000 {
            match self.session.poll_timeout() {
                Some(at) if at <= until => {
                    self.now = self.now.max(at);
                    self.session.handle_timeout(self.now);
                    let next = self.session.poll_timeout();
                    assert!(
                        next.is_none_or(|next| next > self.now),
                        "a timer in the past after it was handled"
                    );
                    self.drain();
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("the session's timers do not come to rest");
    }

    pub(super) fn millis(&mut self, millis: u64) {
        self.pass(Duration::from_millis(millis));
    }

    /// Answers the look-up that waits, and yields the connection that is dialled then.
    pub(super) fn resolve(&mut self) -> ConnId {
        let (dial, _) = self.lookups.pop_back().expect("a look-up waits");
        self.lookups.clear();
        self.session.handle_resolved(self.now, dial, Ok(vec![Address::Name]));
        self.drain();
        self.dials.back().expect("an address is dialled").0
    }

    /// Lets the dialled connection come up; the handshake request is what the session then writes.
    pub(super) fn accept(&mut self) -> ConnectRequest {
        let conn = self.resolve();
        self.dials.clear();
        self.session.handle_connected(self.now, conn);
        self.conn = Some(conn);
        self.forget_input();
        self.drain();
        let bytes = self.take_bytes();
        let mut reader = Reader::new(bytes.slice(4..));
        let request = reader.record().expect("a ConnectRequest");
        assert_eq!(reader.remaining(), 0, "nothing may stand behind a handshake that has no answer yet");
        request
    }

    /// A new connection begins with no input.
    pub(super) fn forget_input(&mut self) {
        self.input.clear();
        self.unparsed.clear();
    }

    /// Waits for the next attempt if there is none, and accepts it.
    pub(super) fn accept_next(&mut self) -> ConnectRequest {
        for _ in 0..100 {
            if !self.lookups.is_empty() {
                return self.accept();
            }
            self.millis(200);
        }
        panic!("no further attempt");
    }

    pub(super) fn connect(&mut self) {
        self.accept_next();
        self.grant(9_000, SESSION_ID);
    }

    pub(super) fn grant(&mut self, millis: i32, session_id: i64) {
        self.answer_handshake(&ConnectResponse {
            protocol_version: 0,
            time_out: millis,
            session_id,
            passwd: Some(Bytes::from_static(PASSWORD)),
            read_only: Some(false),
        });
    }

    /// The answer that grants a session, in a buffer of its own.
    pub(super) fn handshake_answer(&self, millis: i32, session_id: i64) -> BytesMut {
        let mut out = Writer::new();
        let frame = out.frame();
        let passwd = Some(Bytes::from_static(PASSWORD));
        let read_only = Some(false);
        ConnectResponse { protocol_version: 0, time_out: millis, session_id, passwd, read_only }
            .encode(&mut out);
        out.close(frame);
        BytesMut::from(&out.into_bytes()[..])
    }

    pub(super) fn answer_handshake(&mut self, response: &ConnectResponse) {
        let mut out = Writer::new();
        let frame = out.frame();
        response.encode(&mut out);
        out.close(frame);
        self.feed(&out.into_bytes());
    }

    /// Everything that the session wants written, written.
    pub(super) fn take_bytes(&mut self) -> Bytes {
        let mut all = BytesMut::new();
        let mut out = Writer::new();
        while let Some(conn) = self.session.poll_transmit(&mut out) {
            let len = out.remaining();
            all.extend_from_slice(&out.copy_to_bytes(len));
            self.session.handle_written(self.now, conn, len);
            self.drain();
        }
        all.freeze()
    }

    /// The frames that the session wrote since the last look.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let bytes = self.take_bytes();
        self.unparsed.extend_from_slice(&bytes);
        let mut frames = Vec::new();
        while let Some(length) = self.unparsed.first_chunk::<4>() {
            let len = usize::try_from(i32::from_be_bytes(*length)).unwrap();
            self.unparsed.advance(4);
            let frame = self.unparsed.split_to(len).freeze();
            let mut reader = Reader::new(frame);
            let header: RequestHeader = reader.record().unwrap();
            frames.push(Sent { xid: header.xid, op: header.op, body: reader.rest(), len_bytes: len });
        }
        frames
    }

    pub(super) fn one_sent(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// Gives the session bytes of the present connection.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let Some(conn) = self.conn else { return };
        self.input.extend_from_slice(bytes);
        while self.session.handle_input(self.now, conn, &mut self.input) {}
        self.drain();
    }

    pub(super) fn reply(&mut self, xid: Xid, zxid: i64, body: &dyn Encode) {
        self.feed(&frame(xid, zxid, ErrorCode::OK, body));
    }

    pub(super) fn refuse(&mut self, xid: Xid, zxid: i64, err: ErrorCode) {
        self.feed(&frame(xid, zxid, err, &()));
    }

    pub(super) fn notify(&mut self, event_type: EventType, path: &str) {
        self.feed(&notification(event_type, path));
    }

    pub(super) fn cut(&mut self) {
        let conn = self.conn.take().expect("a connection");
        self.session.handle_connection_lost(self.now, conn, Loss::Closed);
        self.drain();
    }

    pub(super) fn get(&mut self, token: u32) -> RequestId {
        self.try_submit(request(OpCode::GET_DATA, &get("/a")), token).unwrap()
    }

    pub(super) fn submit(&mut self, request: Request<'_>, token: u32) -> RequestId {
        self.try_submit(request, token).unwrap()
    }

    pub(super) fn try_submit(
        &mut self,
        request: Request<'_>,
        token: u32,
    ) -> Result<RequestId, Rejected<u32>> {
        let result = self.session.submit(self.now, request, token);
        self.drain();
        result
    }

    pub(super) fn watch(&mut self, op: OpCode, kind: WatchKind, path: &str, token: u32) -> RequestId {
        let persistent = crate::jute::AddWatchRequest {
            path,
            mode: crate::jute::AddWatchMode(i32::from(kind == WatchKind::Recursive)),
        };
        let once = GetDataRequest { path, watch: true };
        let body: &dyn Encode = if kind.is_one_shot() { &once } else { &persistent };
        let wish = WatchWish { kind, path };
        self.submit(Request { watch: Some(wish), ..request(op, body) }, token)
    }

    /// The outcome of this token; `None` if it is still out. Fails if it came back twice.
    pub(super) fn outcome(&self, token: u32) -> Option<&Outcome> {
        let mut found = self.done.iter().filter(|(done, _)| *done == token);
        let first = found.next();
        assert!(found.next().is_none(), "token {token} came back twice");
        first.map(|(_, outcome)| outcome)
    }

    pub(super) fn fate(&self, token: u32) -> Option<Fate> {
        self.outcome(token).and_then(|outcome| outcome.as_ref().err()).map(|error| error.fate)
    }

    pub(super) fn cause(&self, token: u32) -> Option<Cause> {
        self.outcome(token).and_then(|outcome| outcome.as_ref().err()).map(|error| error.cause)
    }

    pub(super) fn count(&self, wanted: &Event) -> usize {
        self.events.iter().filter(|event| *event == wanted).count()
    }
}

pub(super) fn get(path: &str) -> GetDataRequest<&str> {
    GetDataRequest { path, watch: false }
}

pub(super) fn request(op: OpCode, body: &dyn Encode) -> Request<'_> {
    Request { op, body, watch: None, deadline: None, places: 1, pipelined: false }
}

pub(super) fn frame(xid: Xid, zxid: i64, err: ErrorCode, body: &dyn Encode) -> Bytes {
    let mut out = Writer::new();
    let open = out.frame();
    ReplyHeader { xid, zxid, err }.encode(&mut out);
    body.encode(&mut out);
    out.close(open);
    out.into_bytes()
}

pub(super) fn notification(event_type: EventType, path: &str) -> Bytes {
    notification_at(-1, event_type, path)
}

pub(super) fn notification_at(zxid: i64, event_type: EventType, path: &str) -> Bytes {
    let event = WatcherEvent { event_type, state: KeeperState::SYNC_CONNECTED, path: Ustring::from(path) };
    frame(Xid::NOTIFICATION, zxid, ErrorCode::OK, &event)
}
