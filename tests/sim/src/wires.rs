//! The network: connections as TCP has them. Bytes arrive late, in any parts, in order or not at all; whoever closes is heard
//! behind what was sent, unless something resets the connection.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use menagerie::session::{ConnId, Loss};
use menagerie_jute::{
    ConnectRequest, ConnectResponse, ErrorCode, OpCode, Reader, ReplyHeader, RequestHeader, Xid,
};
use menagerie_server::core::{ConnectionId, Proposal, Transmit};

use crate::agenda::{Event, MILLI, Time, Way};
use crate::ensemble::{Role, Token};
use crate::world::World;

/// Bytes under way, above which the sender's transport takes no more.
const WINDOW: usize = 64 << 10;

/// Something on its way.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    Close,
    Reset,
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) pieces: VecDeque<(Time, Piece)>,
    pub(crate) len: usize,
    pub(crate) stalled: u32,
    last: Time,
}

/// One frame of a client's on a wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) xid: Xid,
    pub(crate) op: OpCode,
    pub(crate) token: Option<Token>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) client: usize,
    pub(crate) serial: u64,
    pub(crate) conn: ConnId,
    pub(crate) member: usize,
    /// The member's end; none before it is accepted and after it is closed.
    pub(crate) server: Option<ConnectionId>,
    /// The client's end.
    pub(crate) open: bool,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    /// Bytes that the client's transport took.
    pub(crate) taken: u64,
    /// Bytes that the session wrote, whether or not they were taken.
    pub(crate) written: u64,
    /// The handshake's answer has arrived.
    pub(crate) greeted: bool,
    /// Ordinary requests that have no answer yet, in order.
    pub(crate) asked: VecDeque<Frame>,
    /// Requests by number, for what the member proposes.
    pub(crate) tokens: Vec<Option<Token>>,
    /// What the transport has not taken.
    pub(crate) rest: Bytes,
    /// What came and is no whole frame yet, for the ledger.
    unread: BytesMut,
    /// Something was said on it that no server says.
    pub(crate) garbled: bool,
    /// The session that the member said it is of, whatever became of that word.
    pub(crate) session: i64,
    /// Bytes sent to the client, and those that it read.
    sent_down: u64,
    read_down: u64,
    /// Where an answer out of its turn ends among them; 0: there is none.
    misnumbered: u64,
    /// SetWatches under way.
    pub(crate) batches: u32,
    /// The client's end, if its client is a process outside.
    pub(crate) outside: Option<crate::registry::ends::Shared>,
}

impl Wire {
    pub(crate) fn new(client: usize, serial: u64, conn: ConnId, member: usize) -> Self {
        Self {
            client,
            serial,
            conn,
            member,
            server: None,
            open: true,
            up: Pipe::default(),
            down: Pipe::default(),
            taken: 0,
            written: 0,
            greeted: false,
            asked: VecDeque::new(),
            tokens: Vec::new(),
            rest: Bytes::new(),
            unread: BytesMut::new(),
            garbled: false,
            session: 0,
            sent_down: 0,
            read_down: 0,
            misnumbered: 0,
            batches: 0,
            outside: None,
        }
    }

    fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

impl World {
    /// One way through the network, for a client.
    pub(crate) fn latency(&mut self, client: usize) -> Time {
        let (least, most) = self.plan.latency;
        self.chance.between(least, most) + self.clients[client].slow
    }

    pub(crate) fn send(&mut self, wire: usize, way: Way, piece: Piece) {
        let latency = self.latency(self.wires[wire].client);
        let now = self.now;
        let pipe = self.wires[wire].pipe(way);
        let at = pipe.last.max(now + latency);
        pipe.last = at;
        if let Piece::Bytes(bytes) = &piece {
            pipe.len += bytes.len();
        }
        pipe.pieces.push_back((at, piece));
        self.agenda.at(at, Event::Deliver(wire, way));
    }

    fn is_blocked(&self, wire: usize, way: Way) -> bool {
        let wire = &self.wires[wire];
        let path = &self.paths[wire.client * self.plan.members + wire.member];
        match way {
            Way::Up => wire.up.stalled > 0 || path.up > 0,
            Way::Down => wire.down.stalled > 0 || path.down > 0 || self.clients[wire.client].paused > 0,
        }
    }

    /// What is due on a wire arrives.
    pub(crate) fn deliver(&mut self, wire: usize, way: Way) {
        while !self.is_blocked(wire, way) {
            let now = self.now;
            if way == Way::Up && !self.takes_input(wire) {
                return;
            }
            let pipe = self.wires[wire].pipe(way);
            if pipe.pieces.front().is_none_or(|(at, _)| *at > now) {
                return;
            }
            let Some((_, piece)) = pipe.pieces.pop_front() else { return };
            let piece = self.first_part(wire, way, piece);
            match way {
                Way::Up => self.arrive_up(wire, piece),
                Way::Down => self.arrive_down(wire, piece),
            }
        }
    }

    /// Bytes may arrive in parts.
    fn first_part(&mut self, wire: usize, way: Way, piece: Piece) -> Piece {
        let Piece::Bytes(mut bytes) = piece else { return piece };
        if bytes.len() > 1 && self.chance.percent(self.plan.segments) {
            let len = 1 + self.chance.index(bytes.len() - 1);
            let first = bytes.split_to(len);
            let at = self.now + self.chance.between(0, 3 * MILLI);
            let pipe = self.wires[wire].pipe(way);
            pipe.pieces.push_front((at, Piece::Bytes(bytes)));
            pipe.len -= first.len();
            self.agenda.at(at, Event::Deliver(wire, way));
            return Piece::Bytes(first);
        }
        self.wires[wire].pipe(way).len -= bytes.len();
        Piece::Bytes(bytes)
    }

    fn takes_input(&self, wire: usize) -> bool {
        let wire = &self.wires[wire];
        match wire.server {
            Some(id) if wire.up.pieces.front().is_some_and(|(_, piece)| matches!(piece, Piece::Bytes(_))) => {
                self.ensemble.members[wire.member].core.wants_input(id)
            }
            _ => true,
        }
    }

    fn arrive_up(&mut self, wire: usize, piece: Piece) {
        let (member, server) = (self.wires[wire].member, self.wires[wire].server);
        let now = self.instant();
        self.mix(&[1, wire as u64]);
        let core = &mut self.ensemble.members[member].core;
        match (piece, server) {
            (Piece::Bytes(bytes), Some(id)) => {
                core.handle_input(id, &bytes, now);
                while core.has_work(id) {
                    core.handle_input(id, &[], now);
                }
            }
            // Nobody is there any more: what is under way to the client is lost with the reset.
            (Piece::Bytes(_), None) if self.wires[wire].open => {
                self.wires[wire].down.pieces.clear();
                self.wires[wire].down.len = 0;
                self.send(wire, Way::Down, Piece::Reset);
            }
            (Piece::Close | Piece::Reset, Some(id)) => {
                core.handle_closed(id, now);
                self.ensemble.members[member].wires.remove(&id);
                self.wires[wire].server = None;
            }
            _ => {}
        }
        self.flush_member(member);
    }

    fn arrive_down(&mut self, wire: usize, piece: Piece) {
        if !self.wires[wire].open {
            return;
        }
        let client = self.wires[wire].client;
        match piece {
            Piece::Bytes(bytes) => {
                self.mix(&[2, wire as u64, bytes.len() as u64]);
                let greeted = self.wires[wire].greeted;
                self.overhear(wire, &bytes);
                self.client_reads(client, wire, &bytes);
                self.judge_order(wire, bytes.len());
                if !greeted
                    && self.wires[wire].greeted
                    && self.plan.apart
                    && !self.healed
                    && self.chance.percent(15)
                {
                    self.census.hits += 1;
                    self.reset(wire);
                }
            }
            Piece::Close => self.client_loses(client, wire, Loss::Closed),
            Piece::Reset => self.client_loses(client, wire, Loss::Network),
        }
    }

    /// Enters what the member answered in the ledger, before the session sees it.
    fn overhear(&mut self, wire: usize, bytes: &Bytes) {
        let one = &mut self.wires[wire];
        if one.garbled {
            return;
        }
        one.unread.extend_from_slice(bytes);
        loop {
            let one = &mut self.wires[wire];
            let Some(length) = one.unread.first_chunk::<4>() else { return };
            let len = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            if one.unread.len() < 4 + len {
                return;
            }
            one.unread.advance(4);
            let frame = one.unread.split_to(len).freeze();
            if !std::mem::replace(&mut one.greeted, true) {
                continue;
            }
            let Ok(header) = Reader::new(frame).record::<ReplyHeader>() else { continue };
            if header.xid.is_ordinary() {
                self.overhear_reply(wire, header);
            }
        }
    }

    fn overhear_reply(&mut self, wire: usize, header: ReplyHeader) {
        let one = &mut self.wires[wire];
        let Some(frame) = one.asked.pop_front().filter(|frame| frame.xid == header.xid) else {
            return self.fail(format!("the server answers {:?}, which nobody asked", header.xid));
        };
        let client = one.client;
        if matches!(frame.op, OpCode::SET_WATCHES | OpCode::SET_WATCHES2) {
            one.batches = one.batches.saturating_sub(1);
        } else {
            self.clients[client].answered_zxid = self.clients[client].answered_zxid.max(header.zxid);
        }
        if let Some(token) = frame.token {
            self.ledger[token as usize].answer = Some((header.err, header.zxid));
        }
        if header.err == ErrorCode::OK || header.zxid > 0 {
            self.mix(&[3, header.zxid.unsigned_abs()]);
        }
    }

    /// A session wrote: whole frames, which its transport may take in parts.
    pub(crate) fn client_writes(&mut self, wire: usize, bytes: Bytes) {
        self.read_frames(wire, &bytes);
        self.wires[wire].rest = bytes;
        self.take_more(wire);
    }

    /// The transport takes what there is room for.
    pub(crate) fn take_more(&mut self, wire: usize) {
        if !self.wires[wire].open || self.wires[wire].rest.is_empty() {
            return;
        }
        let room = WINDOW.saturating_sub(self.wires[wire].up.len);
        let mut len = self.wires[wire].rest.len().min(room);
        if len > 0 && self.chance.percent(self.plan.partial_writes) {
            len = self.chance.index(len + 1);
        }
        if len < self.wires[wire].rest.len() {
            let wait = self.chance.between(MILLI, 30 * MILLI);
            self.agenda.at(self.now + wait, Event::TakeMore(wire));
        }
        if len > 0 {
            let one = &mut self.wires[wire];
            let bytes = one.rest.split_to(len);
            one.taken += len as u64;
            self.send(wire, Way::Up, Piece::Bytes(bytes));
            self.client_wrote(wire, len);
        }
    }

    /// Tells the frames apart that a session wrote, and whose requests they are.
    fn read_frames(&mut self, wire: usize, bytes: &Bytes) {
        let mut rest = bytes.clone();
        while let Some(length) = rest.first_chunk::<4>().map(|length| i32::from_be_bytes(*length)) {
            let len = usize::try_from(length).unwrap_or(usize::MAX);
            if rest.len() < 4 + len {
                return self.fail(String::from("a session wrote a part of a frame"));
            }
            let frame = rest.split_to(4 + len).slice(4..);
            let start = self.wires[wire].written;
            self.wires[wire].written += 4 + len as u64;
            if start == 0 {
                if Reader::new(frame).record::<ConnectRequest>().is_err() {
                    self.fail(String::from("no ConnectRequest comes first"));
                }
                continue;
            }
            if !self.wires[wire].greeted && !self.wires[wire].garbled {
                return self.fail(String::from("something was written before the handshake was answered"));
            }
            let Ok(header) = Reader::new(frame.clone()).record::<RequestHeader>() else {
                return self.fail(String::from("a frame without a header"));
            };
            if header.xid.is_ordinary() {
                self.note_frame(wire, header, &frame.slice(8..), start);
            }
        }
    }

    fn note_frame(&mut self, wire: usize, header: RequestHeader, body: &Bytes, start: u64) {
        let token = self.claim_frame(wire, header, body, start);
        let one = &mut self.wires[wire];
        let expected = one.tokens.len() + 1;
        if usize::try_from(header.xid.0).ok() != Some(expected) {
            return self.fail(format!("request {} is numbered {}", expected, header.xid.0));
        }
        one.tokens.push(token);
        one.asked.push_back(Frame { xid: header.xid, op: header.op, token });
        if matches!(header.op, OpCode::SET_WATCHES | OpCode::SET_WATCHES2) {
            one.batches += 1;
        }
    }

    /// The request of a client's that a member proposes.
    pub(crate) fn token_of(&self, member: usize, proposal: &Proposal) -> Option<Token> {
        let wire = *self.ensemble.members[member].wires.get(&proposal.id.connection)?;
        let index = usize::try_from(proposal.xid.0).ok()?.checked_sub(1)?;
        self.wires[wire].tokens.get(index).copied().flatten()
    }

    /// Does what a member's server wants done.
    pub(crate) fn flush_member(&mut self, member: usize) {
        let now = self.instant();
        loop {
            if let Some(id) = self.ensemble.members[member].core.poll_ready() {
                self.flush_connection(member, id, now);
            } else if let Some(proposal) = self.ensemble.members[member].core.poll_proposal() {
                self.propose(member, proposal);
            } else {
                break;
            }
        }
        if matches!(self.ensemble.members[member].role, Role::Leading(_))
            && self.ensemble.leader == Some(member)
        {
            for session in self.ensemble.members[member].core.take_touched() {
                self.touch(session);
            }
        }
        let due = self.time_of(self.ensemble.members[member].core.poll_timeout()).max(self.now + 1);
        let one = &mut self.ensemble.members[member];
        if one.armed <= self.now || due < one.armed {
            one.armed = due;
            self.agenda.at(due, Event::MemberTimer(member));
        }
    }

    fn flush_connection(&mut self, member: usize, id: ConnectionId, now: std::time::Instant) {
        let wire = self.ensemble.members[member].wires.get(&id).copied();
        loop {
            match self.ensemble.members[member].core.poll_transmit(id) {
                Transmit::Wait => break,
                Transmit::Write(writer) => {
                    let bytes = writer.into_bytes();
                    self.ensemble.members[member].core.handle_written(id, bytes.len(), now);
                    if let Some(wire) = wire {
                        if self.wires[wire].sent_down == 0 {
                            self.wires[wire].session = session_of(&bytes);
                        }
                        let bytes = self.garble(wire, bytes);
                        self.wires[wire].sent_down += bytes.len() as u64;
                        self.send(wire, Way::Down, Piece::Bytes(bytes));
                    }
                }
                Transmit::HangUp => {
                    self.ensemble.members[member].wires.remove(&id);
                    if let Some(wire) = wire {
                        self.wires[wire].server = None;
                        self.send(wire, Way::Down, Piece::Close);
                        self.note_hang_up(wire);
                    }
                    return;
                }
            }
        }
        if let Some(wire) = wire.filter(|wire| !self.wires[*wire].up.pieces.is_empty()) {
            self.agenda.at(self.now, Event::Deliver(wire, Way::Up));
        }
    }

    /// What a member sends is spoiled on its way, if that is wished for.
    fn garble(&mut self, wire: usize, bytes: Bytes) -> Bytes {
        let client = self.wires[wire].client;
        if self.clients[client].garbage == 0 || self.clients[client].wire != Some(wire) || bytes.is_empty() {
            return bytes;
        }
        self.clients[client].garbage -= 1;
        self.clients[client].wild = true;
        let first = !std::mem::replace(&mut self.wires[wire].garbled, true);
        let mut spoiled = bytes.to_vec();
        let which = self.chance.below(6);
        if which == 5 && first && self.misnumber(wire, &mut spoiled) {
            return Bytes::from(spoiled);
        }
        match which {
            0 => {
                let at = self.chance.index(spoiled.len());
                spoiled[at] ^= 1 << self.chance.below(8);
            }
            1 => spoiled.extend_from_slice(&bytes),
            2 => spoiled.truncate(self.chance.index(bytes.len())),
            3 => {
                let at = self.chance.index(spoiled.len());
                spoiled.insert(at, 0);
            }
            _ => {
                let noise = self.chance.between(1, 200);
                spoiled.extend((0..noise).map(|_| self.chance.draw().to_be_bytes()[0]));
            }
        }
        Bytes::from(spoiled)
    }

    /// An answer is to another request than the one whose turn it is: whoever reads that must not believe what comes.
    fn misnumber(&mut self, wire: usize, bytes: &mut [u8]) -> bool {
        let client = self.wires[wire].client;
        if !self.clients[client].is_connected || self.wires[wire].sent_down == 0 {
            return false;
        }
        let mut at = 0;
        while let Some((length, header)) =
            bytes.get(at..at + 8).and_then(|next| next.split_first_chunk::<4>())
        {
            let len = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            let xid = header.first_chunk::<4>().map_or(0, |xid| i32::from_be_bytes(*xid));
            if len < 16 || at + 4 + len > bytes.len() {
                return false;
            }
            if xid > 0 {
                bytes[at + 4..at + 8].copy_from_slice(&(xid + 1).to_be_bytes());
                self.wires[wire].misnumbered = self.wires[wire].sent_down + (at + 4 + len) as u64;
                return true;
            }
            at += 4 + len;
        }
        false
    }

    /// A connection over which an answer out of its turn was read is given up.
    fn judge_order(&mut self, wire: usize, len: usize) {
        let one = &mut self.wires[wire];
        let before = one.read_down;
        one.read_down += len as u64;
        let (client, read) = (one.client, before < one.misnumbered && one.misnumbered <= one.read_down);
        if read && self.clients[client].wire == Some(wire) {
            self.fail(format!("client {client} goes on with a server that answers out of turn"));
        }
    }

    /// A dial reaches a member's port.
    pub(crate) fn accept(&mut self, wire: usize) {
        let member = self.wires[wire].member;
        let now = self.instant();
        let client = self.wires[wire].client;
        let host = u8::try_from(client % 250).unwrap_or(0) + 1;
        let id = self.ensemble.members[member].core.accept(([10, 0, 0, host], 1_000).into(), now);
        self.wires[wire].server = Some(id);
        self.ensemble.members[member].wires.insert(id, wire);
        self.flush_member(member);
    }

    /// Something between resets a connection, for both ends.
    pub(crate) fn reset(&mut self, wire: usize) {
        if !self.wires[wire].open {
            return;
        }
        let one = &mut self.wires[wire];
        for pipe in [&mut one.up, &mut one.down] {
            let keep = self.chance.index(pipe.pieces.len() + 1);
            while pipe.pieces.len() > keep {
                if let Some((_, Piece::Bytes(bytes))) = pipe.pieces.pop_back() {
                    pipe.len -= bytes.len();
                }
            }
        }
        self.send(wire, Way::Up, Piece::Reset);
        self.send(wire, Way::Down, Piece::Reset);
    }
}

/// The session that a handshake's answer grants; 0 for none.
fn session_of(bytes: &Bytes) -> i64 {
    let answer = Reader::new(bytes.slice(4.min(bytes.len())..)).record::<ConnectResponse>();
    answer.map_or(0, |answer| answer.session_id)
}
