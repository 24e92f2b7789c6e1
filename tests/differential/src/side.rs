//! One server's half of an episode: its sessions and connections, and what came from them under the names of `masks`.

use crate::{
    call::{Call, Frame, Offer},
    masks::{Mask, Names},
    wire::{Connection, Incoming},
};
use bytes::Bytes;
use menagerie_ensemble::Version;
use menagerie_jute::{ConnectRequest, ErrorCode, OpCode, Reply, ReplyBody, ReplyHeader, Xid};
use std::{fmt, io, net::SocketAddr};

/// Something that a server said.
#[derive(Clone, PartialEq, Eq)]
pub enum Item {
    /// It answered, or notified.
    Reply(Reply, usize),
    /// It granted a session.
    Session {
        /// Which, by its name.
        session: i64,
        /// The timeout granted.
        timeout_millis: i32,
        /// How long the password is.
        password_len: usize,
        /// Whether it said that it is read-only.
        read_only: Option<bool>,
    },
    /// It refused a session in words.
    Refused,
    /// It hung up.
    Closed,
    /// It said nothing, where something was due.
    Silence,
    /// It said what does not decode.
    Undecodable(Bytes),
}

/// A place for one session after the other.
#[derive(Debug, Default)]
struct Slot {
    session: i64,
    password: Option<Bytes>,
    connection: Option<Connection>,
    xid: Xid,
    /// Whether it was closed.
    ended: bool,
}

/// One server's half of an episode.
#[derive(Debug)]
pub struct Side {
    server: SocketAddr,
    base: String,
    start: i64,
    names: Names,
    slots: Vec<Slot>,
    control: Connection,
    control_xid: Xid,
    last_zxid: i64,
}

/// The timeout of the session that looks after the episode.
const CONTROL_TIMEOUT_MILLIS: i32 = 60_000;

impl Side {
    /// Opens a session that may do all, and makes the base with it.
    ///
    /// # Errors
    /// When the server does not play along.
    pub fn begin(server: SocketAddr, version: Version, base: &str, slots: usize) -> io::Result<Self> {
        let mut control = Connection::dial(server)?;
        let request = ConnectRequest {
            time_out: CONTROL_TIMEOUT_MILLIS,
            passwd: Some(Bytes::from_static(&[0; 16])),
            ..Default::default()
        };
        let granted = control.handshake(&request)?;
        granted.filter(|granted| granted.time_out > 0).ok_or_else(|| io::Error::other("no session"))?;
        let mut side = Self {
            server,
            base: base.to_owned(),
            start: 0,
            names: Names::new(version, 0),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            control,
            control_xid: Xid::default(),
            last_zxid: 0,
        };
        let auth = Call::Auth { scheme: "digest".to_owned(), text: "super:secret".to_owned() };
        let made = side.look_after(&[auth, crate::generate::base()])?;
        let Some(Item::Reply(Reply { header: ReplyHeader { zxid, err: ErrorCode::OK, .. }, .. }, _)) =
            made.get(1)
        else {
            return Err(io::Error::other(format!("the base was not made: {made:?}")));
        };
        side.start = zxid - 1;
        side.names = Names::new(version, side.start);
        Ok(side)
    }

    /// The path below which the episode works.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The highest zxid heard of, counted from the episode's start.
    #[must_use]
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Whether a place has a connection.
    #[must_use]
    pub fn is_connected(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.connection.is_some())
    }

    /// Whether a place had a session granted, dead or alive.
    #[must_use]
    pub fn has_session(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.session != 0)
    }

    fn is_ended(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.ended)
    }

    /// A new session takes the place.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn connect(&mut self, slot: usize, timeout_millis: i32) -> io::Result<Vec<Item>> {
        let Some(place) = self.slots.get_mut(slot) else { return Ok(Vec::new()) };
        *place = Slot::default();
        let request = ConnectRequest {
            time_out: timeout_millis,
            passwd: Some(Bytes::from_static(&[0; 16])),
            read_only: (timeout_millis % 2 == 0).then_some(true),
            ..Default::default()
        };
        self.shake_hands(slot, &request)
    }

    /// The place's session comes back.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn attach(&mut self, slot: usize, offer: Offer) -> io::Result<Vec<Item>> {
        let Some(place) = self.slots.get(slot) else { return Ok(Vec::new()) };
        let passwd = match offer {
            Offer::WrongPassword => Some(Bytes::from_static(&[7; 16])),
            Offer::Right | Offer::ZxidAhead => place.password.clone(),
        };
        let ahead = if offer == Offer::ZxidAhead { 1 << 30 } else { 0 };
        let request = ConnectRequest {
            last_zxid_seen: self.start + self.last_zxid + ahead,
            time_out: CONTROL_TIMEOUT_MILLIS,
            session_id: place.session,
            passwd,
            read_only: Some(false),
            ..Default::default()
        };
        self.shake_hands(slot, &request)
    }

    fn shake_hands(&mut self, slot: usize, request: &ConnectRequest) -> io::Result<Vec<Item>> {
        let mut connection = Connection::dial(self.server)?;
        let answer = connection.handshake(request)?;
        let mut items = Vec::new();
        let Some(place) = self.slots.get_mut(slot) else { return Ok(items) };
        match answer {
            None => items.push(Item::Closed),
            Some(refused) if refused.time_out <= 0 => {
                items.push(Item::Refused);
                connection.hang_up();
                place.connection = None;
            }
            Some(granted) => {
                self.names.meet(granted.session_id);
                items.push(Item::Session {
                    session: self.names.session(granted.session_id),
                    timeout_millis: granted.time_out,
                    password_len: granted.passwd.as_ref().map_or(0, Bytes::len),
                    read_only: granted.read_only,
                });
                place.session = granted.session_id;
                place.password = granted.passwd;
                // One that is taken over has ended by now.
                if let Some(mut old) = place.connection.replace(connection) {
                    items.push(match old.receive()? {
                        Incoming::Closed => Item::Closed,
                        Incoming::Frame(frame) => Item::Undecodable(frame),
                        Incoming::Silence => Item::Silence,
                    });
                }
            }
        }
        Ok(items)
    }

    /// The place's connection ends, and the server knows.
    pub fn hang_up(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot).and_then(|slot| slot.connection.take()) {
            connection.hang_up();
        }
    }

    /// Sends requests of one session.
    pub fn send(&mut self, slot: usize, calls: &[Call]) {
        let frame = Frame { base: &self.base, start: self.start };
        let Some(place) = self.slots.get_mut(slot) else { return };
        let Some(connection) = &mut place.connection else { return };
        let mut xid = place.xid;
        for call in calls {
            xid = xid.next();
            call.encode(call.xid(xid), &frame, &mut connection.out);
        }
        connection.flush();
    }

    /// What came up to the last answer; behind a request that ends the connection, up to that end.
    ///
    /// # Errors
    /// When the stream makes no sense.
    pub fn collect(&mut self, slot: usize, calls: &[Call]) -> io::Result<Vec<Item>> {
        let Some(place) = self.slots.get_mut(slot) else { return Ok(Vec::new()) };
        let Some(connection) = &mut place.connection else { return Ok(Vec::new()) };
        let (mut items, mut alive) = (Vec::new(), true);
        for call in calls {
            place.xid = place.xid.next();
            alive = alive && until_reply(connection, &mut self.names, call.op(), &mut items)?;
        }
        let ends = calls.last().is_some_and(|call| may_end(call, &items));
        if alive && ends {
            match connection.receive()? {
                Incoming::Closed => items.push(Item::Closed),
                Incoming::Silence => items.push(Item::Silence),
                Incoming::Frame(frame) => items.push(Item::Undecodable(frame)),
            }
        }
        if !alive || ends {
            place.connection = None;
            place.ended |= calls.last().is_some_and(|call| call.op() == OpCode::CLOSE_SESSION);
        }
        self.note_zxids(&items);
        if calls.iter().any(|call| call.op() == OpCode::CLOSE_SESSION) {
            self.sort_events(&mut items);
        }
        Ok(items)
    }

    /// Sends a ping on every connection but that of `but`.
    pub fn send_fences(&mut self, but: usize) {
        let calls = [Call::Bare { op: OpCode::PING }];
        for slot in (0..self.slots.len()).filter(|slot| *slot != but) {
            self.send(slot, &calls);
        }
    }

    /// What came on every other connection up to the answer to the ping.
    ///
    /// # Errors
    /// As [`collect`](Self::collect).
    pub fn collect_fences(&mut self, but: usize, sorted: bool) -> io::Result<Vec<(usize, Vec<Item>)>> {
        let calls = [Call::Bare { op: OpCode::PING }];
        let mut all = Vec::new();
        for slot in (0..self.slots.len()).filter(|slot| *slot != but) {
            if self.is_connected(slot) {
                let mut items = self.collect(slot, &calls)?;
                if sorted {
                    self.sort_events(&mut items);
                }
                all.push((slot, items));
            }
        }
        Ok(all)
    }

    /// Requests of the session that looks after the episode.
    ///
    /// # Errors
    /// When the stream makes no sense.
    pub fn look_after(&mut self, calls: &[Call]) -> io::Result<Vec<Item>> {
        let frame = Frame { base: &self.base, start: self.start };
        let mut items = Vec::new();
        for call in calls {
            self.control_xid = self.control_xid.next();
            call.encode(call.xid(self.control_xid), &frame, &mut self.control.out);
        }
        self.control.flush();
        for call in calls {
            until_reply(&mut self.control, &mut self.names, call.op(), &mut items)?;
        }
        Ok(items)
    }

    /// Ends all sessions, also those that have no connection, so that nothing happens later.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn end_sessions(&mut self) -> io::Result<()> {
        (0..self.slots.len()).try_for_each(|slot| self.end_session(slot))
    }

    /// Ends the session of a place, if it has not ended.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn end_session(&mut self, slot: usize) -> io::Result<()> {
        if !self.is_connected(slot) && self.has_session(slot) && !self.is_ended(slot) {
            self.attach(slot, Offer::Right)?;
        }
        let close = [Call::Bare { op: OpCode::CLOSE_SESSION }];
        self.send(slot, &close);
        self.collect(slot, &close).map(drop)
    }

    fn note_zxids(&mut self, items: &[Item]) {
        for item in items {
            if let Item::Reply(reply, _) = item {
                self.last_zxid = self.last_zxid.max(reply.header.zxid);
            }
        }
    }

    fn sort_events(&self, items: &mut [Item]) {
        let is_event =
            |item: &Item| matches!(item, Item::Reply(reply, _) if reply.header.xid == Xid::NOTIFICATION);
        if !self.names.has(Mask::EventsOfAnEnd) {
            return;
        }
        for run in items.chunk_by_mut(|one, other| is_event(one) && is_event(other)) {
            run.sort_by_key(|item| format!("{item:?}"));
        }
    }
}

/// Whether the server hangs up behind the answer: to a goodbye, to wrong credentials, to what it does not know.
fn may_end(call: &Call, items: &[Item]) -> bool {
    let Some(Item::Reply(reply, _)) = items.last() else { return false };
    let unknown = call.op().name().is_none() && reply.header.err == ErrorCode::UNIMPLEMENTED;
    call.op() == OpCode::CLOSE_SESSION || reply.header.err == ErrorCode::AUTH_FAILED || unknown
}

/// Takes notifications and at last the reply; false when it did not come.
fn until_reply(
    connection: &mut Connection,
    names: &mut Names,
    op: OpCode,
    items: &mut Vec<Item>,
) -> io::Result<bool> {
    loop {
        let item = match connection.receive()? {
            Incoming::Frame(frame) => decoded(frame, op, names),
            Incoming::Closed => Item::Closed,
            Incoming::Silence => Item::Silence,
        };
        let event = matches!(&item, Item::Reply(reply, _) if reply.header.xid == Xid::NOTIFICATION);
        let answered = matches!(&item, Item::Reply(..) | Item::Undecodable(_));
        items.push(item);
        if !event {
            return Ok(answered);
        }
    }
}

fn decoded(frame: Bytes, op: OpCode, names: &mut Names) -> Item {
    match Reply::decode_lenient(frame.clone(), op) {
        Ok((mut reply, rest)) => {
            let behind_error = reply.header.err != ErrorCode::OK && names.has(Mask::BehindErrors);
            names.rename(&mut reply);
            Item::Reply(reply, if behind_error { 0 } else { rest.len() })
        }
        Err(_) => Item::Undecodable(frame),
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(Reply { header, body: ReplyBody::Notification(event) }, _) => {
                write!(
                    f,
                    "event {} {:?} state {} zxid {}",
                    event.event_type, event.path, event.state, header.zxid
                )
            }
            Self::Reply(Reply { header, body }, rest) => {
                write!(f, "reply xid {} zxid {} err {} {body:?}", header.xid, header.zxid, header.err)?;
                if *rest > 0 { write!(f, " and {rest} more bytes") } else { Ok(()) }
            }
            Self::Session { session, timeout_millis, password_len, read_only } => {
                write!(
                    f,
                    "session {session}, {timeout_millis} ms, password of {password_len}, read-only {read_only:?}"
                )
            }
            Self::Refused => f.write_str("refused"),
            Self::Closed => f.write_str("closed"),
            Self::Silence => f.write_str("silence"),
            Self::Undecodable(bytes) => write!(f, "undecodable {bytes:02x?}"),
        }
    }
}
