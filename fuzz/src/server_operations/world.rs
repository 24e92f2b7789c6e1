//! The core, the sessions that speak to it, and the model beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use menagerie_jute::{
    ConnectRequest, ConnectResponse, Decode, Encode, ErrorCode, OpCode, Reply, ReplyBody, ReplyHeader,
    RequestHeader, Xid,
};
use menagerie_server::core::{Config, ConnectionId, Core, Kind, Transmit};

use super::changes::Write;
use super::model::{End, Model};
use super::reads::Read;
use super::script;
use crate::wire::framed;

const SESSIONS: usize = 3;
/// As negotiated: the least that is granted, two ticks.
const TIMEOUT: Duration = Duration::from_secs(4);
const TICK: Duration = Duration::from_secs(2);
/// Time goes by in steps of this.
const STEP: Duration = Duration::from_secs(1);
const REAP: Duration = Duration::from_secs(10);
const BEGAN_UNIX_MILLIS: i64 = 1_700_000_000_000;

struct Session {
    id: i64,
    passwd: Option<Bytes>,
    connection: Option<ConnectionId>,
    input: BytesMut,
    xid: i32,
    /// When the server heard of it last.
    touched: Instant,
    /// The greatest zxid that it was told.
    seen: i64,
}

pub(super) struct World {
    core: Core,
    model: Model,
    sessions: [Option<Session>; SESSIONS],
    now: Instant,
    began: Instant,
    reap_at: Instant,
    port: u16,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "virtual time needs one moment to count from")]
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let mut config = Config::default();
        config.reap_interval = REAP;
        let core = Core::new(config, now, BEGAN_UNIX_MILLIS);
        let model = Model::new(BEGAN_UNIX_MILLIS);
        Self { core, model, sessions: [None, None, None], now, began: now, reap_at: now + REAP, port: 0 }
    }

    /// The session in that place, begun or taken up if it has no connection. Its id.
    pub(super) fn session(&mut self, at: usize) -> (usize, i64) {
        let at = at % SESSIONS;
        match &self.sessions[at] {
            Some(Session { id, connection: Some(_), .. }) => return (at, *id),
            Some(_) => self.connect(at),
            None => self.connect(at),
        }
        (at, self.sessions[at].as_ref().unwrap().id)
    }

    /// A new connection in that place; the one before it is cut off by the server.
    pub(super) fn connect(&mut self, at: usize) {
        self.port = self.port.wrapping_add(1);
        let known = self.sessions[at].take();
        let (session_id, passwd) =
            known.as_ref().map_or((0, None), |session| (session.id, session.passwd.clone()));
        let request = ConnectRequest { session_id, passwd, time_out: 1, ..ConnectRequest::default() };
        let id = self.core.accept(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), self.now);
        self.core.handle_input(id, &framed(&[&request]), self.now);
        let frame = self.output(id).split_off(4).freeze();
        let response = ConnectResponse::decode_exact(frame).unwrap();
        assert_eq!(response.time_out, 4_000);
        match &known {
            Some(session) => {
                assert_eq!(response.session_id, session.id, "its session is gone");
                assert_eq!(response.passwd, session.passwd);
                if let Some(before) = session.connection {
                    assert!(self.is_hung_up(before), "two connections for one session");
                }
            }
            None => self.model.zxid += 1,
        }
        let seen = known.as_ref().map_or(self.model.zxid, |session| session.seen);
        self.model.watchers.insert(response.session_id, Default::default());
        self.sessions[at] = Some(Session {
            id: response.session_id,
            passwd: response.passwd,
            connection: Some(id),
            input: BytesMut::new(),
            xid: 0,
            touched: self.now,
            seen,
        });
    }

    /// The connection is gone; its session lives on for a while.
    pub(super) fn cut(&mut self, at: usize) {
        let Some(session) = &mut self.sessions[at % SESSIONS] else { return };
        if let Some(id) = session.connection.take() {
            self.model.watchers.remove(&session.id);
            session.input.clear();
            self.core.handle_closed(id, self.now);
        }
    }

    /// Everything that waits for a connection; it leaves.
    fn output(&mut self, id: ConnectionId) -> BytesMut {
        let mut bytes = BytesMut::new();
        while let Transmit::Write(mut output) = self.core.poll_transmit(id) {
            let len = output.remaining();
            bytes.extend_from_slice(&output.copy_to_bytes(len));
            self.core.handle_written(id, len, self.now);
        }
        bytes
    }

    fn is_hung_up(&mut self, id: ConnectionId) -> bool {
        self.output(id);
        matches!(self.core.poll_transmit(id), Transmit::HangUp)
    }

    pub(super) fn write(&mut self, at: usize, write: &Write) {
        let (at, id) = self.session(at);
        let (op, body) = script::write_body(write);
        let (err, answer) = self.model.write(id, write);
        self.call(at, op, &body, err, &answer);
    }

    pub(super) fn read(&mut self, at: usize, read: &Read) {
        let (at, id) = self.session(at);
        let (op, body) = script::read_body(read);
        let result = self.model.read(id, read);
        let (err, answer) = result.map_or_else(|err| (err, ReplyBody::Empty), |body| (ErrorCode::OK, body));
        self.call(at, op, &body, err, &answer);
    }

    /// The last zxid that a session was told of.
    pub(super) fn seen(&mut self, at: usize) -> i64 {
        self.sessions[at % SESSIONS].as_ref().map_or(0, |session| session.seen)
    }

    fn call(&mut self, at: usize, op: OpCode, body: &dyn Encode, err: ErrorCode, answer: &ReplyBody) {
        let session = self.sessions[at].as_mut().unwrap();
        session.touched = self.now;
        session.xid += 1;
        let xid = if op == OpCode::PING { Xid::PING } else { Xid(session.xid) };
        let frame = framed(&[&RequestHeader { xid, op }, &body]);
        self.core.handle_input(session.connection.unwrap(), &frame, self.now);
        let reply = self.listen(at, op).expect("an answer");
        let header = ReplyHeader { xid, zxid: self.model.zxid, err };
        assert_eq!((reply.header, &reply.body), (header, answer), "{op}");
        self.listen_all();
    }

    /// Holds what one session hears against what it must hear; the answer in it, if there is one.
    fn listen(&mut self, at: usize, op: OpCode) -> Option<Reply> {
        let id = self.sessions[at].as_ref()?.connection?;
        let bytes = self.output(id);
        let session = self.sessions[at].as_mut()?;
        session.input.extend_from_slice(&bytes);
        let mut answer = None;
        while session.input.len() >= 4 {
            let len = session.input.get_i32() as usize;
            let reply = Reply::decode(session.input.split_to(len).freeze(), op).unwrap();
            session.seen = session.seen.max(reply.header.zxid);
            let watcher = self.model.watchers.get_mut(&session.id).unwrap();
            if let ReplyBody::Notification(event) = reply.body {
                assert!(answer.is_none(), "an event behind the answer: {event:?}");
                let heard = (event.event_type, event.path.as_str().to_owned(), reply.header.zxid);
                assert_eq!(Some(heard), watcher.heard.pop_front());
            } else {
                assert!(answer.is_none(), "two answers");
                answer = Some(reply);
            }
        }
        let watcher = self.model.watchers.get(&session.id);
        assert!(watcher.is_none_or(|watcher| watcher.heard.is_empty()), "not told: {watcher:?}");
        answer
    }

    fn listen_all(&mut self) {
        for at in 0..SESSIONS {
            assert!(self.listen(at, OpCode::PING).is_none(), "an answer to nothing");
        }
        while self.core.poll_ready().is_some() {}
    }

    /// A session ends by its own wish.
    pub(super) fn close(&mut self, at: usize) {
        let (at, id) = self.session(at);
        self.model.end(id);
        self.call(at, OpCode::CLOSE_SESSION, &(), ErrorCode::OK, &ReplyBody::Empty);
        self.forget(at);
    }

    /// A session ends by a test's wish.
    pub(super) fn expire(&mut self, at: usize) {
        let Some(id) = self.sessions[at % SESSIONS].as_ref().map(|session| session.id) else { return };
        assert!(self.core.expire(id, self.now));
        self.ended(at % SESSIONS);
        assert!(!self.core.expire(id, self.now));
    }

    /// The server ended it: whoever is left hears of it.
    fn ended(&mut self, at: usize) {
        let Some(id) = self.sessions[at].as_ref().map(|session| session.id) else { return };
        self.model.end(id);
        self.listen_all();
        self.forget(at);
    }

    fn forget(&mut self, at: usize) {
        let Some(session) = self.sessions[at].take() else { return };
        self.model.watchers.remove(&session.id);
        if let Some(connection) = session.connection {
            assert!(self.is_hung_up(connection), "its connection stays open");
        }
    }

    /// Seconds go by. Those of `idle` say nothing, nor do those without a connection; the others ping.
    pub(super) fn pass(&mut self, seconds: u32, idle: u8) {
        for _ in 0..seconds {
            self.now += STEP;
            self.model.time += 1_000;
            for at in (0..SESSIONS).filter(|at| idle >> at & 1 == 0) {
                if self.sessions[at].as_ref().is_some_and(|session| session.connection.is_some()) {
                    self.read(at, &Read::Ping);
                }
            }
            self.core.handle_timeout(self.now);
            self.expect_expiries();
            if self.reap_at <= self.now {
                self.reap_at = self.now + REAP;
                self.model.reap();
            }
            self.listen_all();
            assert_eq!(self.core.zxid(), self.model.zxid, "after {:?}", self.now - self.began);
        }
    }

    /// Between its timeout and a tick more, a session that was silent is over, and no other is.
    fn expect_expiries(&mut self) {
        let live: Vec<_> = self.core.sessions().iter().map(|session| session.id).collect();
        let mut order: Vec<_> = (0..SESSIONS).collect();
        order.sort_by_key(|at| self.sessions[*at].as_ref().map(|session| session.id));
        let mut over = Vec::new();
        for at in order {
            let Some(session) = &self.sessions[at] else { continue };
            let silent = self.now - session.touched;
            if live.contains(&session.id) {
                assert!(silent < TIMEOUT + TICK, "silent for {silent:?}, and alive");
            } else {
                assert!(silent >= TIMEOUT, "over after {silent:?}");
                over.push(at);
            }
        }
        // What the later one hears of the earlier one's end is in its buffer before its own comes.
        for at in &over {
            let id = self.sessions[*at].as_ref().map_or(0, |session| session.id);
            self.model.end(id);
            self.drop_watches_of(*at);
        }
        for at in over {
            self.listen(at, OpCode::PING);
            self.forget(at);
        }
    }

    /// It heard of its own end, and hears of nothing behind it.
    fn drop_watches_of(&mut self, at: usize) {
        let id = self.sessions[at].as_ref().map_or(0, |session| session.id);
        if let Some(watcher) = self.model.watchers.get_mut(&id) {
            watcher.watches.clear();
        }
    }

    /// What must hold between any two steps.
    pub(super) fn check(&self, deeply: bool) {
        assert_eq!(self.core.zxid(), self.model.zxid);
        if deeply {
            self.check_tree();
            self.check_watches();
        }
    }

    fn check_tree(&self) {
        let tree = self.core.tree();
        let mut count = 0;
        for (path, znode) in tree.walk() {
            count += 1;
            let model = self.model.znodes.get(&*path).unwrap_or_else(|| panic!("{path} should not be"));
            assert_eq!(znode.stat(), self.model.stat(&path), "{path}");
            assert_eq!(znode.data(), model.data.as_ref(), "{path}");
            assert_eq!(znode.creates(), model.creates, "{path}");
            assert_eq!(znode.kind() == Kind::Container, model.end == End::Emptied, "{path}");
        }
        assert_eq!(count, self.model.znodes.len(), "a znode is missing");
        self.check_counts();
        for session in self.core.sessions() {
            let owned: Vec<_> = session.ephemerals.iter().map(|path| path.to_string()).collect();
            let of = |(path, znode): (&String, &super::model::Znode)| {
                (znode.stat.ephemeral_owner == session.id).then(|| path.clone())
            };
            assert_eq!(owned, self.model.znodes.iter().filter_map(of).collect::<Vec<_>>());
        }
    }

    /// What the tree counts along.
    fn check_counts(&self) {
        let (tree, znodes) = (self.core.tree(), &self.model.znodes);
        assert!(tree.zxid() <= self.model.zxid);
        assert_eq!(tree.node_count(), znodes.len() + 1, "the root counts twice");
        let len = |(path, znode): (&String, &super::model::Znode)| {
            path.len() + znode.data.as_ref().map_or(0, Bytes::len)
        };
        assert_eq!(tree.approximate_data_size(), znodes.iter().map(len).sum::<usize>());
        let sessions: Vec<_> = self.core.sessions().iter().map(|session| session.id).collect();
        assert_eq!(tree.sessions().map(|(id, _)| id).collect::<Vec<_>>(), sessions);
        let owned: usize = tree.owners().map(|(_, paths)| paths.len()).sum();
        assert_eq!(owned, znodes.values().filter(|znode| znode.stat.ephemeral_owner != 0).count());
    }

    fn check_watches(&self) {
        let mut seen = Vec::new();
        for watch in self.core.watches() {
            let all = [watch.data, watch.child, watch.persistent, watch.recursive];
            let bits = all.iter().zip(0..).fold(0_u8, |bits, (set, at)| bits | u8::from(*set) << at);
            seen.push((watch.session, watch.path.to_string(), bits));
        }
        seen.sort();
        let of = |(session, watcher): (&i64, &super::model::Watcher)| -> Vec<_> {
            watcher.watches.iter().map(|(path, bits)| (*session, path.clone(), *bits)).collect()
        };
        let mut expected: Vec<_> = self.model.watchers.iter().flat_map(of).collect();
        expected.sort();
        assert_eq!(seen, expected);
    }

    /// Everybody leaves, and nothing of theirs is left.
    pub(super) fn finish(&mut self) {
        self.check(true);
        self.pass(7, u8::MAX);
        assert_eq!(self.core.sessions(), []);
        self.check(true);
        assert_eq!(self.core.tree().ephemerals_count(), 0);
        assert_eq!(self.core.connections_count(), 0);
    }
}
