//! The judgement: every promise that can be held against the log, at every step and at the end.

use std::sync::Arc;

use menagerie::session::{
    Cause, End, Fate, Loss, Notice, Outcome, RequestError, State as Stands, WatchKind, WatcherId,
};
use menagerie_jute::{ErrorCode, EventType, OpCode, Reader, ReplyBody, Ustring};
use menagerie_server::core::{Change, Txn};

use crate::census::State;
use crate::ensemble::Token;
use crate::ledger::Watched;
use crate::model::{Happened, parent};
use crate::world::World;

impl World {
    /// A request came to the log.
    pub(crate) fn judge_logged(&mut self, token: Token, txn: &Txn) {
        let refusal = match &txn.change {
            Change::Refused(code) => Some(*code),
            Change::RefusedMulti(_) => Some(ErrorCode::RUNTIME_INCONSISTENCY),
            _ => None,
        };
        let request = &mut self.ledger[token as usize];
        if request.logged.replace((txn.zxid, refusal)).is_some() {
            return self.fail(format!("t{token} is in the log twice"));
        }
        if request.fate == Some(Fate::NotSent) {
            return self.fail(format!("t{token} was not sent, and is in the log"));
        }
        let (client, serial) = (request.client, request.serial);
        if refusal == Some(ErrorCode::SESSION_MOVED) || self.clients[client].serial != serial {
            return;
        }
        // What was left on a connection that its client gave up may come when the session is over, and is refused.
        if token < self.clients[client].last_logged && !self.model.is_alive(txn.session) {
            return;
        }
        if token < self.clients[client].last_logged {
            return self.fail(format!("t{token} is in the log behind t{}", self.clients[client].last_logged));
        }
        self.clients[client].last_logged = token;
        self.clients[client].holes.retain(|hole| *hole != token);
        if self.ledger[token as usize].pipelined {
            self.judge_prefix(client, token);
        }
    }

    /// What a pipeline did is a prefix of what it sent: nothing before it is missing that it did not know of.
    fn judge_prefix(&mut self, client: usize, token: Token) {
        let submitted = self.ledger[token as usize].submitted;
        let missing = self.clients[client].holes.iter().copied().find(|hole| {
            let earlier = &self.ledger[*hole as usize];
            let was_known = earlier.back > 0 && earlier.back < submitted;
            let taken_back =
                earlier.fate == Some(Fate::NotSent) && (earlier.cancelled || earlier.deadline.is_some());
            *hole < token && !was_known && !taken_back
        });
        if let Some(missing) = missing {
            self.fail(format!("t{token} of a pipeline is in the log, and t{missing} before it is not"));
        }
    }

    /// The leader ends a session by its time.
    pub(crate) fn judge_expiry(&mut self, session: i64) {
        if self.killed.contains(&session) {
            return;
        }
        let now = self.instant();
        for client in 0..self.clients.len() {
            let one = &self.clients[client];
            let lease = one.session.as_ref().and_then(menagerie::session::Session::lease_until);
            if one.id == session && !one.wild && lease.is_some_and(|until| until > now) {
                self.fail(format!(
                    "client {client} trusts its lease, and its session {session:#x} has expired"
                ));
            }
        }
    }

    /// A token came back.
    pub(crate) fn complete(&mut self, client: usize, token: Token, outcome: &Outcome) {
        self.mix(&[20, u64::from(token), u64::from(outcome.is_ok())]);
        if self.trace.is_on() {
            let short =
                outcome.as_ref().map_or_else(ToString::to_string, |reply| format!("{:#x}", reply.zxid));
            self.line(format!("c{client}    t{token} -> {short}"));
        }
        let step = self.step;
        let serial = self.clients[client].serial;
        let Some(request) = self.ledger.get_mut(token as usize) else {
            return self.fail(format!("t{token} came back, which nobody handed in"));
        };
        if request.back > 0 || request.client != client || request.serial != serial {
            return self.fail(format!("t{token} came back twice, or to another"));
        }
        request.back = step;
        request.fate = outcome.as_ref().err().map(|error| error.fate);
        self.note_back(client, token, outcome);
        self.clients[client].out_now.retain(|out| *out != token);
        let answered =
            outcome.as_ref().map_or_else(|error| matches!(error.cause, Cause::Server(_)), |_| true);
        if answered {
            self.census.completed += 1;
        } else {
            self.census.failed += 1;
        }
        if let Err(error) = outcome {
            self.judge_fate(client, token, *error);
        }
        if self.clients[client].wild || self.request(token).op == OpCode::AUTH {
            return;
        }
        let is_answer = !matches!(outcome, Err(RequestError { fate: Fate::NotSent | Fate::Unknown, .. }));
        if is_answer {
            self.judge_answer(client, token, outcome);
        }
    }

    fn judge_fate(&mut self, client: usize, token: Token, error: RequestError) {
        let request = &self.ledger[token as usize];
        let began = request.frame.is_some_and(|(wire, start)| self.wires[wire].taken > start);
        let gave_up = matches!(error.cause, Cause::Cancelled | Cause::Deadline);
        let wrong = match error.fate {
            Fate::NotSent => began || request.logged.is_some(),
            // Committed is enough, and that is before the transport takes it.
            Fate::Unknown if gave_up => false,
            Fate::Unknown => !began && request.op != OpCode::AUTH,
            Fate::Refused => !matches!(error.cause, Cause::Server(_)),
            Fate::Applied => !matches!(error.cause, Cause::ReplyTooLarge { .. }),
        };
        if wrong && !self.clients[client].wild {
            return self.fail(format!("t{token}: {error}, and that is not true"));
        }
        let state = match (error.fate, error.cause) {
            (Fate::Unknown, Cause::Cancelled) => State::CancelledOnItsWay,
            (Fate::Unknown, Cause::Deadline) => State::DeadlineOnItsWay,
            (Fate::Unknown, _) => State::UnknownFate,
            (Fate::NotSent, Cause::ConnectionLost(_)) if request.pipelined => State::PipelineCut,
            _ => return,
        };
        self.census.reach(state);
    }

    /// An answer is what the server said, in its turn, and shows nothing that is not so.
    fn judge_answer(&mut self, client: usize, token: Token, outcome: &Outcome) {
        let request = &self.ledger[token as usize];
        let Some((err, zxid)) = request.answer else {
            // A server known not to know an operation is not asked again.
            if !matches!(outcome, Err(RequestError { cause: Cause::Server(ErrorCode::UNIMPLEMENTED), .. })) {
                self.fail(format!("t{token} has an answer that no server gave"));
            }
            return;
        };
        let told = match outcome {
            Ok(reply) => (ErrorCode::OK, reply.zxid),
            Err(RequestError { cause: Cause::Server(code), .. }) => (*code, zxid),
            Err(_) => (err, zxid),
        };
        if told != (err, zxid) {
            return self.fail(format!("t{token}: the server said {err:?} {zxid:#x}, told is {told:?}"));
        }
        let Some((wire, _)) = request.frame else { return };
        if zxid <= 0 {
            return;
        }
        if zxid < self.clients[client].seen_zxid {
            let seen = self.clients[client].seen_zxid;
            return self.fail(format!("t{token} goes back in time: {zxid:#x} behind {seen:#x}"));
        }
        self.clients[client].seen_zxid = zxid;
        self.judge_write(token, err, zxid);
        self.judge_watches(client, wire, zxid);
        self.judge_body(client, token, zxid, outcome);
        self.register(client, token, wire, zxid, err);
    }

    /// A write that was answered is in the log, under that number, with that result.
    fn judge_write(&mut self, token: Token, err: ErrorCode, zxid: i64) {
        let request = &self.ledger[token as usize];
        if !request.is_write() || err == ErrorCode::NOT_READ_ONLY {
            return;
        }
        let told = match request.logged {
            Some((logged, Some(code))) if request.op != OpCode::MULTI => logged == zxid && code == err,
            Some((logged, _)) => logged == zxid && err == ErrorCode::OK,
            None => false,
        };
        if !told {
            let logged = request.logged;
            self.fail(format!("t{token}: told {err:?} {zxid:#x}, and the log says {logged:?}"));
        }
    }

    /// What is read is as the log says.
    fn judge_body(&mut self, client: usize, token: Token, zxid: i64, outcome: &Outcome) {
        let request = &self.ledger[token as usize];
        let (op, path) = (request.op, request.path.clone());
        let state = self.model.state_at(&path, zxid);
        let wrong = match outcome {
            Err(RequestError { cause: Cause::Server(ErrorCode::NO_NODE), .. }) => {
                let reads = matches!(op, OpCode::GET_DATA | OpCode::EXISTS | OpCode::GET_CHILDREN2);
                reads && state.is_some()
            }
            Ok(reply) => match ReplyBody::decode(op, &mut Reader::new(reply.body.clone())) {
                Ok(ReplyBody::GetData(read)) => state.is_none_or(|state| {
                    (state.mzxid, state.version) != (read.stat.mzxid, read.stat.version)
                        || state.data != read.data
                }),
                Ok(ReplyBody::Exists(read)) => state.is_none_or(|state| {
                    (state.czxid, state.mzxid, state.pzxid)
                        != (read.stat.czxid, read.stat.mzxid, read.stat.pzxid)
                }),
                Ok(ReplyBody::GetChildren2(read)) => {
                    let names = read.children.unwrap_or_default();
                    let expected = self.model.children_at(&path, zxid);
                    state.is_none()
                        || names.len() != expected.len()
                        || names.iter().any(|name| !expected.contains(name.as_str()))
                }
                Ok(_) => false,
                Err(_) => true,
            },
            Err(_) => false,
        };
        if wrong {
            self.fail(format!(
                "client {client}: t{token}, {op:?} {path} at {zxid:#x}, is not what the log says: {outcome:?}"
            ));
        }
    }

    /// An answer set a watch.
    fn register(&mut self, client: usize, token: Token, wire: usize, zxid: i64, err: ErrorCode) {
        let request = &self.ledger[token as usize];
        let (Some(kind), Some(id)) = (request.watch, request.id) else { return };
        let missing = request.op == OpCode::EXISTS && err == ErrorCode::NO_NODE;
        if err != ErrorCode::OK && !missing {
            return;
        }
        let watched = Watched {
            kind,
            path: request.path.clone(),
            armed: zxid,
            checked: zxid,
            heard: 0,
            wire,
            floating: false,
        };
        self.clients[client].watchers.insert(id.watcher(), watched);
    }

    /// Nothing that an answer shows is news to a watcher.
    fn judge_watches(&mut self, client: usize, wire: usize, zxid: i64) {
        let mut wrong = None;
        let mut watchers = std::mem::take(&mut self.clients[client].watchers);
        for (id, watched) in &mut watchers {
            let same_wire = watched.wire == wire;
            if let Some(what) = self.missed(watched, same_wire, zxid) {
                wrong = Some(format!(
                    "client {client}: {id:?}, {:?} of {} set at {:#x}, {what} up to {zxid:#x} (checked {:#x}, heard {})",
                    watched.kind, watched.path, watched.armed, watched.checked, watched.heard
                ));
            }
            (watched.checked, watched.heard, watched.wire, watched.floating) = (zxid, 0, wire, false);
        }
        self.clients[client].watchers = watchers;
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
    }

    fn missed(&self, watched: &Watched, same_wire: bool, zxid: i64) -> Option<String> {
        if watched.checked == zxid && same_wire {
            return None;
        }
        let events = self.model.events_between(watched.checked, zxid);
        let due = events.iter().filter_map(|event| told_as(watched, event));
        if watched.kind.is_one_shot() {
            if same_wire {
                let mut due = due;
                return due.next().map(|event| format!("was not told of {event:?}"));
            }
            return self.differs(watched, zxid).then(|| String::from("was not told as it was set again"));
        }
        if watched.floating {
            return None;
        }
        if !same_wire {
            return Some(String::from("had no gap"));
        }
        let due = due.count();
        (due != watched.heard).then(|| format!("should have heard of {due} events"))
    }

    /// Whether what a one-shot watch is about is another than it was.
    fn differs(&self, watched: &Watched, zxid: i64) -> bool {
        let before = self.model.state_at(&watched.path, watched.checked);
        let after = self.model.state_at(&watched.path, zxid);
        match (before, after) {
            (None, None) => false,
            (Some(before), Some(after)) if watched.kind == WatchKind::Data => before.mzxid != after.mzxid,
            (Some(before), Some(after)) => before.pzxid != after.pzxid,
            _ => true,
        }
    }

    /// A watcher was told something.
    pub(crate) fn notify(&mut self, client: usize, watcher: WatcherId, notice: &Notice) {
        self.mix(&[21, client as u64]);
        if self.trace.is_on() {
            self.line(format!("c{client}    {watcher:?} hears {notice:?}"));
        }
        self.census.events += 1;
        if self.clients[client].wild {
            return;
        }
        let Some(watched) = self.clients[client].watchers.get(&watcher).cloned() else {
            return self.fail(format!("client {client}: {watcher:?} hears {notice:?}, and does not listen"));
        };
        match notice {
            Notice::Event { event_type, path, zxid } => {
                self.judge_event(client, watcher, &watched, *event_type, path, *zxid);
            }
            // Not watched at this server is as good as a gap.
            Notice::Gap | Notice::NotWatched if !watched.kind.is_one_shot() => {
                self.census.reach(State::Gap);
                if let Some(watched) = self.clients[client].watchers.get_mut(&watcher) {
                    watched.floating = true;
                }
            }
            _ => {}
        }
        if watched.kind.is_one_shot() || matches!(notice, Notice::Ended(_)) {
            self.clients[client].watchers.remove(&watcher);
        }
    }

    fn judge_event(
        &mut self,
        client: usize,
        watcher: WatcherId,
        watched: &Watched,
        event_type: EventType,
        path: &Ustring,
        zxid: i64,
    ) {
        // What one-shot watches of a path missed is told as they are set again, to all who watch it.
        let again = self.clients[client].wire != Some(watched.wire);
        let caused = if watched.kind.is_one_shot() || again {
            let events = self.model.events_between(watched.armed, self.model.zxid);
            events.iter().any(|event| told_as(watched, event).is_some())
        } else {
            let told = (event_type, path.as_str());
            // Servers before 3.9 do not say when it was; the order is the same.
            let until = if zxid < 0 { self.model.zxid } else { zxid };
            let is_then = |at: i64| zxid < 0 || at == zxid;
            let events = self.model.events_between(watched.checked, until);
            let mut due =
                events.iter().filter_map(|event| told_as(watched, event).map(|told| (told, event.zxid)));
            if watched.floating {
                due.any(|((what, path), at)| (what, &*path) == told && is_then(at))
            } else {
                due.nth(watched.heard).is_some_and(|((what, path), at)| (what, &*path) == told && is_then(at))
            }
        };
        if !caused {
            return self.fail(format!(
                "client {client}: {watcher:?}, {:?} of {}, hears of {event_type:?} {path:?} at {zxid:#x} out of turn (checked {:#x}, heard {})",
                watched.kind, watched.path, watched.checked, watched.heard
            ));
        }
        if zxid < 0 && again {
            self.census.reach(State::CaughtUp);
        }
        if let Some(watched) = self.clients[client].watchers.get_mut(&watcher) {
            watched.heard += usize::from(!watched.floating && !again);
        }
    }

    /// Something happened to a session.
    pub(crate) fn session_event(&mut self, client: usize, event: &menagerie::session::Event) {
        use menagerie::session::Event;
        self.line(format!("c{client}    {event:?}"));
        self.mix(&[22, client as u64]);
        if self.clients[client].ended.is_some() {
            return self.fail(format!("client {client}: {event:?} behind the end"));
        }
        match event {
            Event::Connected { session_id, timeout, read_only, reattached, .. } => {
                self.census.connects += 1;
                let one = &mut self.clients[client];
                let twice = std::mem::replace(&mut one.is_connected, true);
                let was_lost = std::mem::replace(&mut one.is_lost, false);
                let another = *reattached && one.id != *session_id && !one.wild;
                one.id = *session_id;
                let _ = timeout;
                self.note_session(client);
                if twice || another {
                    return self.fail(format!("client {client} is connected twice, or as another"));
                }
                let was_read_only = std::mem::replace(&mut self.clients[client].was_read_only, *read_only);
                if *read_only {
                    self.census.reach(State::ReadOnly);
                } else if was_read_only {
                    self.census.reach(State::ReadOnlyThenReadWrite);
                }
                if was_lost {
                    self.census.reach(State::LostThenReattached);
                }
            }
            Event::Disconnected { loss } => {
                if matches!(loss, Loss::Violation(_)) {
                    self.census.reach(State::Violation);
                    if !self.clients[client].wild {
                        self.fail(format!("client {client} complains of the server: {loss:?}"));
                    }
                }
                if matches!(loss, Loss::ReadWriteFound) {
                    self.census.reach(State::WriterFound);
                }
                if !std::mem::replace(&mut self.clients[client].is_connected, false) {
                    self.fail(format!("client {client} is disconnected, and was not connected"));
                }
            }
            Event::Lost => {
                self.census.reach(State::Lost);
                let one = &mut self.clients[client];
                if one.is_connected || std::mem::replace(&mut one.is_lost, true) {
                    self.fail(format!("client {client} is lost twice, or while connected"));
                }
            }
            Event::Ended(end) => self.session_ended(client, *end),
            _ => {}
        }
    }

    fn session_ended(&mut self, client: usize, end: End) {
        self.note_end(client, end);
        let one = &mut self.clients[client];
        one.ended = Some(end);
        one.is_connected = false;
        let (id, wild, provisional) = (one.id, one.wild, self.ensemble.tracked.contains_key(&one.id));
        match end {
            End::Expired => {
                self.census.reach(State::Expired);
                let last = self
                    .wires
                    .iter()
                    .rfind(|wire| wire.client == client && wire.serial == self.clients[client].serial);
                let told = last.is_some_and(|wire| wire.greeted);
                // A server that answers garbage may say anything.
                let garbled = !told && last.is_some_and(|wire| wire.garbled);
                if garbled || (told && self.refused.contains(&id)) {
                    return self.judge_all_back(client);
                }
                if !told {
                    self.fail(format!("client {client} gives {id:#x} up on nobody's word"));
                }
                if id != 0
                    && !wild
                    && provisional
                    && self.model.is_alive(id)
                    && !self.ensemble.tracked[&id].ending
                {
                    self.fail(format!("client {client} takes {id:#x} for expired, which lives"));
                }
            }
            End::Closed => {
                self.census.reach(State::Closed);
                if id != 0 && !wild && self.model.is_alive(id) {
                    self.fail(format!("client {client}: {id:#x} is closed, and lives"));
                }
            }
            End::ClosedUnconfirmed => self.census.reach(State::ClosedUnconfirmed),
            _ => {}
        }
        self.judge_all_back(client);
    }

    /// Everything came back, and every watcher knows that it is over.
    fn judge_all_back(&mut self, client: usize) {
        let serial = self.clients[client].serial;
        let out = self.clients[client].out_now.front().copied();
        if let Some(token) = out.filter(|token| self.request(*token).serial == serial) {
            return self.fail(format!("client {client} has ended, and t{token} never came back"));
        }
        if !self.clients[client].wild && !self.clients[client].watchers.is_empty() {
            self.fail(format!("client {client} has ended, and a watcher was not told"));
        }
    }

    /// What holds of a session at every step.
    pub(crate) fn judge_session(&mut self, client: usize) {
        self.note_zxid(client);
        let Some(session) = &self.clients[client].session else { return };
        // Requests of callers and tombstones, and a few of its own.
        if session.in_flight() > 2_000 + 64 {
            self.fail(format!("client {client} has {} requests under way", session.in_flight()));
        }
    }

    /// A member closed a connection.
    pub(crate) fn note_hang_up(&mut self, wire: usize) {
        let one = &self.wires[wire];
        let client = &self.clients[one.client];
        let member = &self.ensemble.members[one.member];
        if !one.greeted && one.serial == client.serial && client.seen_zxid > member.core.zxid() {
            self.census.reach(State::ZxidAhead);
        }
    }

    /// All is well again: everybody is connected or over, nothing waits, and every tree is as the log says.
    pub(crate) fn judge_healed(&mut self) {
        for client in 0..self.clients.len() {
            let Some(session) = self.clients[client].session.as_ref().filter(|_| !self.clients[client].wild)
            else {
                continue;
            };
            let state = session.state();
            let waits = session.in_flight();
            if !matches!(state, Stands::Connected | Stands::Ended(_)) {
                return self.fail(format!("client {client} is {state:?} long behind the last fault"));
            }
            let out = self.clients[client].out_now.len();
            // Renewals of leases never cease.
            if waits > self.clients[client].leases.len() || out > 0 {
                return self.fail(format!(
                    "client {client} waits for {waits} answers, {out} of callers, behind the last fault"
                ));
            }
            let alive = self.model.is_alive(self.clients[client].id);
            if state == Stands::Connected && !alive && !self.clients[client].wild {
                return self.fail(format!("client {client} is connected, and its session is over"));
            }
        }
        for member in 0..self.ensemble.members.len() {
            // What is on its way this moment is taken for taken in.
            self.catch_up(member);
            let tree = self.ensemble.members[member].core.tree();
            if let Some(what) = self.model.difference(tree) {
                return self.fail(format!("the tree of member {member}: {what}"));
            }
        }
    }
}

/// What a watcher is told of an event, if it is told.
fn told_as(watched: &Watched, event: &Happened) -> Option<(EventType, Arc<str>)> {
    let here = event.path == watched.path;
    let below = || parent(&event.path) == Some(&*watched.path) && event.what != EventType::NODE_DATA_CHANGED;
    let children = || (EventType::NODE_CHILDREN_CHANGED, watched.path.clone());
    let itself = || (event.what, event.path.clone());
    match watched.kind {
        WatchKind::Data => here.then(itself),
        WatchKind::Child if here && event.what == EventType::NODE_DELETED => Some(itself()),
        WatchKind::Child => below().then(children),
        WatchKind::Persistent if here => Some(itself()),
        WatchKind::Persistent => below().then(children),
        WatchKind::Recursive => {
            let inside = event.path.strip_prefix(&*watched.path).is_some_and(|rest| rest.starts_with('/'));
            (here || inside || &*watched.path == "/").then(itself)
        }
    }
}
