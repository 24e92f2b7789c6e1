//! A client: one session after the other, each driven as the tokio driver does it, and nothing decided here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use menagerie::session::{
    Action, Address, Config, ConnId, Credentials, DialId, End, Fate, LeaseId, Loss, Server, Session,
    WatcherId,
};
use menagerie_jute::{OpCode, RequestHeader, Writer};

use crate::agenda::{Event, MILLI, SECOND, Time, Way};
use crate::census::State;
use crate::chance::Chance;
use crate::ensemble::{Role, Token, micros};
use crate::ledger::Watched;
use crate::plan::Plan;
use crate::wires::{Piece, Wire};
use crate::world::{World, host};

/// Timer calls of one client in one second, above which it spins.
const TIMERS_A_SECOND: u32 = 2_000;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) session: Option<Session<Token>>,
    /// Its sessions, counted.
    pub(crate) serial: u64,
    pub(crate) wire: Option<usize>,
    input: BytesMut,
    out: Writer,
    armed: Time,
    timers: (Time, u32),
    dials: VecDeque<Time>,
    /// Stands still, by so many faults; what came meanwhile.
    pub(crate) paused: u32,
    deferred: Vec<Event>,
    pub(crate) slow: Time,
    pub(crate) names_hang: u32,
    pub(crate) names_fail: u32,
    pub(crate) names_move: u32,
    pub(crate) garbage: u32,
    /// What it asks for.
    pub(crate) timeout: Time,
    pub(crate) read_only: bool,
    /// Requests that no frame has carried yet, in order.
    pub(crate) unframed: VecDeque<Token>,
    pub(crate) out_now: VecDeque<Token>,
    pub(crate) watchers: BTreeMap<WatcherId, Watched>,
    /// The latest that an answer to a caller or a lease told, as it was overheard.
    pub(crate) answered_zxid: i64,
    pub(crate) seen_zxid: i64,
    last_zxid: i64,
    /// The session's number; 0 for none.
    pub(crate) id: i64,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) is_connected: bool,
    /// Its last session, this one or the one before, was served by a member that serves readers only.
    pub(crate) was_read_only: bool,
    pub(crate) is_lost: bool,
    pub(crate) closing: bool,
    pub(crate) ended: Option<End>,
    /// It was told what no server says: its words prove nothing any more.
    pub(crate) wild: bool,
    pub(crate) leases: Vec<LeaseId>,
    /// Writes of pipelines that are not in the log.
    pub(crate) holes: Vec<Token>,
    pub(crate) last_logged: Token,
    pub(crate) pipelines: bool,
    /// It only reads, which a member does that is cut off: nothing that waits for the leader stands before it.
    pub(crate) only_reads: bool,
    pub(crate) many_watches: bool,
}

impl Client {
    pub(crate) fn new(plan: &Plan, chance: &mut Chance) -> Self {
        let tick = micros(plan.tick);
        Self {
            session: None,
            serial: 0,
            wire: None,
            input: BytesMut::new(),
            out: Writer::new(),
            armed: Time::MAX,
            timers: (0, 0),
            dials: VecDeque::new(),
            paused: 0,
            deferred: Vec::new(),
            slow: 0,
            names_hang: 0,
            names_fail: 0,
            names_move: 0,
            garbage: 0,
            timeout: tick * chance.between(2, if plan.apart { 3 } else { 8 }),
            read_only: plan.read_only && chance.percent(70),
            unframed: VecDeque::new(),
            out_now: VecDeque::new(),
            watchers: BTreeMap::new(),
            answered_zxid: 0,
            seen_zxid: 0,
            last_zxid: 0,
            id: 0,
            credentials: None,
            is_connected: false,
            was_read_only: false,
            is_lost: false,
            closing: false,
            ended: None,
            wild: false,
            leases: Vec::new(),
            holes: Vec::new(),
            last_logged: 0,
            pipelines: chance.percent(plan.pipelines),
            only_reads: plan.apart && chance.percent(40),
            many_watches: plan.long_paths && chance.percent(30),
        }
    }
}

impl World {
    /// Begins a session, or goes on with one.
    pub(crate) fn start_session(&mut self, client: usize, credentials: Option<Credentials>) {
        let seed = self.chance.draw();
        let servers =
            (0..self.plan.members).map(|member| Server { host: host(member), port: 2181 }).collect();
        let now = self.instant();
        let one = &mut self.clients[client];
        let resumes = credentials.is_some();
        let mut config = Config::new(servers, seed);
        config.timeout = Duration::from_micros(one.timeout);
        config.read_only = one.read_only;
        // Another process knows the credentials and nothing else.
        config.last_zxid = if one.wild || resumes { 0 } else { one.last_zxid };
        config.places = 2_000;
        match one.session.as_ref().filter(|_| !resumes) {
            Some(before) => {
                config.pace = before.pace();
                config.first = before.heading().cloned();
            }
            None => one.dials.clear(),
        }
        one.last_zxid = config.last_zxid.max(credentials.as_ref().map_or(0, |known| known.last_zxid));
        one.id = credentials.as_ref().map_or(0, |known| known.session_id);
        one.seen_zxid = one.last_zxid;
        one.answered_zxid = one.last_zxid;
        config.credentials = credentials;
        // Those of a session that heard nonsense are no good.
        one.credentials = None;
        one.serial += 1;
        one.wild = false;
        one.garbage = 0;
        (one.is_connected, one.is_lost, one.closing, one.ended) = (false, false, false, None);
        one.unframed.clear();
        one.out_now.clear();
        one.watchers.clear();
        one.leases.clear();
        one.holes.clear();
        one.last_logged = 0;
        one.armed = Time::MAX;
        one.session = Some(Session::new(config, now));
        self.line(format!("c{client}    a session {}", if resumes { "goes on" } else { "is to begin" }));
        if resumes {
            self.census.reach(State::Resumed);
        }
        self.settle(client);
    }

    /// The client's process is gone without a word; its connections close.
    pub(crate) fn abandon_session(&mut self, client: usize) {
        self.note_vanished(client);
        let wires: Vec<usize> = self.open_wires(client);
        for wire in wires {
            self.close_wire(wire);
        }
        let serial = self.clients[client].serial;
        for request in self.ledger.iter_mut().rev() {
            if request.client == client && request.serial == serial {
                request.abandoned = true;
            }
        }
        let one = &mut self.clients[client];
        // Whoever comes next has seen nothing yet.
        one.last_zxid = 0;
        one.session = None;
        one.wire = None;
        one.is_connected = false;
    }

    fn open_wires(&self, client: usize) -> Vec<usize> {
        let of_client = |(index, wire): (usize, &Wire)| (wire.open && wire.client == client).then_some(index);
        // The latest are the last.
        self.wires.iter().enumerate().rev().take(64).filter_map(of_client).collect()
    }

    pub(crate) fn close_wire(&mut self, wire: usize) {
        if std::mem::replace(&mut self.wires[wire].open, false) {
            self.wires[wire].rest = Bytes::new();
            self.wires[wire].down.pieces.clear();
            if self.wires[wire].batches > 0 {
                self.census.reach(State::CutBetweenBatches);
            }
            self.send(wire, Way::Up, Piece::Close);
        }
    }

    /// Runs whatever is wanted of a client while it does not stand still.
    pub(crate) fn is_still(&mut self, client: usize, event: Event) -> bool {
        let still = self.clients[client].paused > 0;
        if still {
            self.clients[client].deferred.push(event);
        }
        still
    }

    pub(crate) fn wake_client(&mut self, client: usize) {
        self.clients[client].paused -= 1;
        if self.clients[client].paused == 0 {
            for event in std::mem::take(&mut self.clients[client].deferred) {
                self.agenda.at(self.now, event);
            }
        }
    }

    pub(crate) fn client_timer(&mut self, client: usize) {
        if self.is_still(client, Event::ClientTimer(client)) || self.clients[client].armed > self.now {
            return;
        }
        self.clients[client].armed = Time::MAX;
        let now = self.instant();
        self.mix(&[10, client as u64]);
        let second = self.now / SECOND;
        let one = &mut self.clients[client];
        one.timers = if one.timers.0 == second { (second, one.timers.1 + 1) } else { (second, 1) };
        let spins = one.timers.1 > TIMERS_A_SECOND;
        let Some(session) = &mut one.session else { return };
        session.handle_timeout(now);
        let past = session.poll_timeout().is_some_and(|at| at <= now);
        if spins {
            self.fail(format!("client {client} spins"));
        } else if past {
            self.fail(format!("client {client} has a timer in the past behind its handling"));
        }
        self.settle(client);
    }

    pub(crate) fn resolved(&mut self, client: usize, serial: u64, dial: DialId) {
        if self.clients[client].serial != serial
            || self.is_still(client, Event::Resolved(client, serial, dial))
        {
            return;
        }
        let (now, one) = (self.instant(), &self.clients[client]);
        let found = if one.names_fail > 0 {
            Err(Loss::NotFound)
        } else if one.names_move > 0 {
            // The first is an address where nobody is any more.
            Ok(vec![Address::Ip(([10, 9, 9, 9], 2181).into()), Address::Name])
        } else {
            Ok(vec![Address::Name])
        };
        if let Some(session) = &mut self.clients[client].session {
            session.handle_resolved(now, dial, found);
        }
        self.settle(client);
    }

    /// At most two dials, probes among them, lie within any second, or any third of the session timeout, if that is shorter.
    pub(crate) fn judge_pace(&mut self, client: usize) {
        let (now, one) = (self.now, &mut self.clients[client]);
        let timeout = one.session.as_ref().map_or(Duration::ZERO, Session::timeout);
        let window = SECOND.min(micros(timeout) / 3);
        one.dials.retain(|at| at + window > now);
        one.dials.push_back(now);
        if one.dials.len() > 2 {
            self.fail(format!("client {client} dials a third time within {window} us"));
        }
    }

    fn dial(&mut self, client: usize, conn: ConnId, server: &Server, address: Address) {
        self.judge_pace(client);
        let serial = self.clients[client].serial;
        if address != Address::Name {
            return; // Nobody answers there.
        }
        let member = (0..self.plan.members).find(|member| host(*member) == server.host).unwrap_or(0);
        self.wires.push(Wire::new(client, serial, conn, member));
        let latency = self.latency(client) * 2;
        self.agenda.at(self.now + latency, Event::Dialled(client, serial, conn));
    }

    pub(crate) fn dialled(&mut self, client: usize, serial: u64, conn: ConnId) {
        if self.clients[client].serial != serial
            || self.is_still(client, Event::Dialled(client, serial, conn))
        {
            return;
        }
        let Some(wire) = self.wire_of(client, conn).filter(|wire| self.wires[*wire].open) else { return };
        let member = self.wires[wire].member;
        let path = self.paths[client * self.plan.members + member];
        let one = &self.ensemble.members[member];
        let refuses = one.role == Role::Down || one.refuses > 0;
        if path.up > 0 || path.down > 0 || one.swallows > 0 {
            return;
        }
        let now = self.instant();
        self.mix(&[11, client as u64, member as u64]);
        if refuses {
            self.wires[wire].open = false;
            if let Some(session) = &mut self.clients[client].session {
                session.handle_dial_failed(now, conn, Loss::Refused);
            }
        } else {
            self.accept(wire);
            self.clients[client].wire = Some(wire);
            self.clients[client].input.clear();
            if let Some(session) = &mut self.clients[client].session {
                session.handle_connected(now, conn);
            }
        }
        self.settle(client);
    }

    fn wire_of(&self, client: usize, conn: ConnId) -> Option<usize> {
        let serial = self.clients[client].serial;
        let is_it = |wire: &Wire| wire.client == client && wire.serial == serial && wire.conn == conn;
        self.wires.iter().rposition(is_it)
    }

    pub(crate) fn client_reads(&mut self, client: usize, wire: usize, bytes: &Bytes) {
        if let Some(end) = &self.wires[wire].outside {
            return crate::registry::ends::arrive(end, bytes);
        }
        if self.clients[client].wire != Some(wire) {
            return;
        }
        let now = self.instant();
        let conn = self.wires[wire].conn;
        self.clients[client].input.extend_from_slice(bytes);
        loop {
            let one = &mut self.clients[client];
            let Some(session) = &mut one.session else { return };
            let more = session.handle_input(now, conn, &mut one.input);
            self.settle(client);
            if !more || self.violation.is_some() {
                return;
            }
        }
    }

    pub(crate) fn client_loses(&mut self, client: usize, wire: usize, loss: Loss) {
        if self.wires[wire].outside.is_some() {
            return self.loses_outside(client, wire, loss);
        }
        let (now, conn) = (self.instant(), self.wires[wire].conn);
        self.wires[wire].open = false;
        self.wires[wire].rest = Bytes::new();
        if self.wires[wire].batches > 0 {
            self.census.reach(State::CutBetweenBatches);
        }
        if self.wires[wire].serial != self.clients[client].serial {
            return;
        }
        self.leave_wire(client, wire);
        if let Some(session) = &mut self.clients[client].session {
            session.handle_connection_lost(now, conn, loss);
        }
        self.settle(client);
    }

    /// What was committed to the connection and did not leave never will.
    fn leave_wire(&mut self, client: usize, wire: usize) {
        if self.clients[client].wire == Some(wire) {
            self.clients[client].wire = None;
            let ledger = &self.ledger;
            self.clients[client].unframed.retain(|token| ledger[*token as usize].back == 0);
        }
    }

    pub(crate) fn client_wrote(&mut self, wire: usize, len: usize) {
        let (now, one) = (self.instant(), &self.wires[wire]);
        let (client, conn) = (one.client, one.conn);
        if one.serial != self.clients[client].serial {
            return;
        }
        if let Some(session) = &mut self.clients[client].session {
            session.handle_written(now, conn, len);
        }
    }

    /// Does everything that a client's session wants done.
    pub(crate) fn settle(&mut self, client: usize) {
        while self.violation.is_none() {
            let Some(session) = &mut self.clients[client].session else { return };
            if let Some(action) = session.poll_action() {
                self.act(client, action);
                continue;
            }
            if !self.transmit(client) {
                break;
            }
        }
        self.judge_session(client);
        self.arm(client);
    }

    fn transmit(&mut self, client: usize) -> bool {
        if self.clients[client].wire.is_some_and(|wire| !self.wires[wire].rest.is_empty()) {
            return false;
        }
        let one = &mut self.clients[client];
        let Some(session) = &mut one.session else { return false };
        let Some(conn) = session.poll_transmit(&mut one.out) else { return false };
        let bytes = std::mem::take(&mut one.out).into_bytes();
        match self.wire_of(client, conn) {
            Some(wire) => self.client_writes(wire, bytes),
            None => self.fail(String::from("bytes for a connection that nobody dialled")),
        }
        true
    }

    fn act(&mut self, client: usize, action: Action<Token>) {
        match action {
            Action::Resolve { .. } if self.clients[client].names_hang > 0 => {}
            Action::Resolve { dial, .. } => {
                let serial = self.clients[client].serial;
                let wait = self.chance.between(100, 5 * MILLI);
                self.agenda.at(self.now + wait, Event::Resolved(client, serial, dial));
            }
            Action::Dial { conn, server, address } => self.dial(client, conn, &server, address),
            Action::HangUp { conn } => {
                if let Some(wire) = self.wire_of(client, conn) {
                    self.close_wire(wire);
                    self.leave_wire(client, wire);
                }
            }
            Action::Complete { token, outcome } => self.complete(client, token, &outcome),
            Action::Notify { watcher, notice } => self.notify(client, watcher, &notice),
            Action::Event(event) => self.session_event(client, &event),
            Action::Probe { conn, server, address } => self.probe(client, conn, &server, address),
            // An output of a later day: it is left undone, as a driver may be slow to do it.
            _ => {}
        }
    }

    fn arm(&mut self, client: usize) {
        let Some(at) = self.clients[client].session.as_ref().and_then(Session::poll_timeout) else { return };
        let late = self.chance_of_lateness();
        let at = self.time_of(at).max(self.now) + late;
        let one = &mut self.clients[client];
        if at < one.armed {
            one.armed = at;
            self.agenda.at(at, Event::ClientTimer(client));
        }
    }

    fn chance_of_lateness(&mut self) -> Time {
        if self.plan.lateness == 0 { 0 } else { self.chance.below(self.plan.lateness) }
    }

    /// Remembers where a session stands: its last zxid goes up only.
    pub(crate) fn note_zxid(&mut self, client: usize) {
        let one = &mut self.clients[client];
        let Some(session) = &one.session else { return };
        let zxid = session.last_zxid();
        let before = std::mem::replace(&mut one.last_zxid, zxid);
        let credentials = session.credentials();
        if credentials.is_some() {
            one.credentials = credentials;
        }
        if zxid < before && one.ended.is_none() {
            self.fail(format!("client {client}: last zxid goes from {before:#x} to {zxid:#x}"));
        } else if zxid > self.clients[client].answered_zxid && !self.clients[client].wild {
            self.fail(format!("client {client}: last zxid {zxid:#x} comes from no answer"));
        } else if zxid > self.model.zxid.max(self.ensemble.epoch << 32) && !self.clients[client].wild {
            self.fail(format!("client {client} has seen {zxid:#x}, which is not in the log yet"));
        }
    }

    /// Whose a frame is: the first request that has none yet, or the session's own.
    pub(crate) fn claim_frame(
        &mut self,
        wire: usize,
        header: RequestHeader,
        body: &Bytes,
        start: u64,
    ) -> Option<Token> {
        let own = match header.op {
            OpCode::SET_WATCHES | OpCode::SET_WATCHES2 | OpCode::REMOVE_WATCHES | OpCode::CLOSE_SESSION => {
                true
            }
            // A lease is renewed by a multi that begins with a check, and callers here never begin so.
            OpCode::MULTI => body.clone().get_i32() == OpCode::CHECK.0,
            _ => false,
        };
        if own {
            return None;
        }
        let client = self.wires[wire].client;
        while let Some(token) = self.clients[client].unframed.pop_front() {
            // One that was given up behind its commitment goes out all the same.
            let request = &self.ledger[token as usize];
            if request.back > 0 && request.fate != Some(Fate::Unknown) {
                continue;
            }
            if self.ledger[token as usize].op != header.op {
                self.fail(format!("t{token} should be next on the wire, not {:?}", header.op));
            }
            self.ledger[token as usize].frame = Some((wire, start));
            return Some(token);
        }
        self.fail(format!("{:?} on the wire, which nobody asked for", header.op));
        None
    }
}
