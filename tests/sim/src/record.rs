//! The history of a run: what clients asked and heard, as they knew it, for the checker that knows nothing of the log.
//!
//! The judge holds answers against the log; the checker of `menagerie_history` holds them against each other: linearizable
//! writes, each session's order, reads that never go back, and the bounds of `sync`. Lines are noted as the run goes and
//! become a history at its end, when it is known which session each operation was of. Watches are left to the judge, and so
//! is the root, which no client creates.

use std::collections::BTreeMap;

use bytes::Bytes;
use menagerie::session::{Cause, End, Fate, Outcome, RequestError, Session, State as Stands};
use menagerie_history::{Answer, History, Op, OpId, Outcome as Known, Stat, Value};
use menagerie_jute::{
    CreateMode, CreateRequest, ErrorCode, Op as Step, OpCode, OpResult, Reader, ReplyBody, RequestBody,
    Stat as WireStat, Ustring,
};
use menagerie_server::core::Change;

use crate::agenda::Time;
use crate::ensemble::{Role, Token};
use crate::world::World;

/// The leader, where it deletes what nobody asked it to.
const REAPER: i64 = i64::MAX;

/// One thing that became known.
#[derive(Debug)]
enum Line {
    Began(Token, Op, bool),
    Back(Token, Known),
    Reaped(String, i64),
    Ended((usize, u64), bool),
    Doubt(bool),
}

/// What is noted of a run.
#[derive(Debug, Default)]
pub(crate) struct Record {
    lines: Vec<(Time, Line)>,
    /// The number of each client's so-manieth session.
    ids: BTreeMap<(usize, u64), i64>,
    doubt: bool,
}

impl World {
    /// A request is about to be handed in.
    pub(crate) fn note_asked(&mut self, token: Token, body: &RequestBody) {
        let request = &self.ledger[token as usize];
        let in_order = request.pipelined && request.deadline.is_none();
        if let Some(op) = asked(body) {
            self.record.lines.push((self.now, Line::Began(token, op, in_order)));
        }
    }

    /// It was not taken.
    pub(crate) fn note_rejected(&mut self, token: Token) {
        self.record.lines.push((self.now, Line::Back(token, Known::NotSent)));
    }

    /// A request came back. What a client says that was told nonsense is not taken down: those may have been done.
    pub(crate) fn note_back(&mut self, client: usize, token: Token, outcome: &Outcome) {
        let request = &self.ledger[token as usize];
        if self.clients[client].wild || (request.cancelled && request.pipelined) {
            return;
        }
        if let Some(known) = known(request.op, outcome) {
            self.record.lines.push((self.now, Line::Back(token, known)));
        }
    }

    /// A client is connected: what it sends is of the session that the member means, even if the client was told nonsense.
    pub(crate) fn note_session(&mut self, client: usize) {
        let Some(wire) = self.clients[client].wire else { return };
        let session = self.wires[wire].session;
        if session != 0 {
            self.record.ids.insert((client, self.clients[client].serial), session);
        }
    }

    /// A session is over for its client.
    pub(crate) fn note_end(&mut self, client: usize, end: End) {
        let one = &self.clients[client];
        let certain = end == End::Closed && !one.wild && one.id != 0;
        self.record.lines.push((self.now, Line::Ended((client, one.serial), certain)));
    }

    /// A client's process is gone: its session may end when nobody hears of it.
    pub(crate) fn note_vanished(&mut self, client: usize) {
        let serial = self.clients[client].serial;
        self.record.lines.push((self.now, Line::Ended((client, serial), false)));
    }

    /// The leader deleted a container or what had outlived its time.
    pub(crate) fn note_reaped(&mut self, change: &Change, zxid: i64) {
        if let Change::Delete { path } = change {
            self.record.lines.push((self.now, Line::Reaped(path.to_string(), zxid)));
        }
    }

    /// Whether somebody leads who may have been deposed.
    pub(crate) fn note_doubt(&mut self) {
        let stale = self.ensemble.members.iter().enumerate().any(|(member, one)| {
            matches!(one.role, Role::Leading(_))
                && (self.ensemble.leader != Some(member) || !self.ensemble.has_quorum())
        });
        if std::mem::replace(&mut self.record.doubt, stale) != stale {
            self.record.lines.push((self.now, Line::Doubt(stale)));
        }
    }

    /// Checks the history.
    pub(crate) fn judge_history(&mut self) {
        // Who heard garbage may look for servers for ever, and never hear that its session is over.
        for client in 0..self.clients.len() {
            let state = self.clients[client].session.as_ref().map(Session::state);
            if state.is_some_and(|state| !matches!(state, Stands::Connected | Stands::Ended(_))) {
                self.note_vanished(client);
            }
        }
        let history = self.history();
        let report = history.check();
        let figures = report.figures;
        self.census.checked += (figures.answered + figures.unknown + figures.not_sent) as u64;
        self.census.syncs += figures.syncs as u64;
        self.census.undecided += figures.undecided as u64;
        if !report.violations.is_empty() {
            self.fail(format!("the history cannot be: {report}"));
        }
    }

    fn history(&mut self) -> History {
        let Record { lines, ids, .. } = std::mem::take(&mut self.record);
        let mut history = History::new();
        let mut ops: BTreeMap<Token, OpId> = BTreeMap::new();
        // One that no server ever knew has a number that no server gives.
        let id_of = |client: usize, serial: u64| {
            let nobody = i64::MIN + i64::try_from(client << 32).unwrap_or(0);
            ids.get(&(client, serial)).copied().unwrap_or(nobody + i64::try_from(serial).unwrap_or(0))
        };
        for (at, line) in lines {
            match line {
                Line::Began(token, op, in_order) => {
                    let request = &self.ledger[token as usize];
                    let id = id_of(request.client, request.serial);
                    let op = if in_order { history.sent(at, id, op) } else { history.invoked(at, id, op) };
                    ops.insert(token, op);
                }
                Line::Back(token, known) => {
                    if let Some(op) = ops.get(&token) {
                        history.completed(at, *op, known);
                    }
                }
                Line::Reaped(path, zxid) => {
                    let op = history.invoked(at, REAPER, Op::delete(path, -1));
                    history.completed(at, op, Known::done_at(zxid, Answer::Done));
                }
                Line::Ended((client, serial), certain) => history.ended(at, id_of(client, serial), certain),
                Line::Doubt(true) => history.leader_in_doubt(at),
                Line::Doubt(false) => history.leader_certain(at),
            }
        }
        history
    }
}

/// What a history calls a request; nothing for what it does not know.
fn asked(body: &RequestBody) -> Option<Op> {
    let op = match body {
        RequestBody::GetData(read) => Op::get(read.path.as_str()),
        RequestBody::Exists(read) => Op::exists(read.path.as_str()),
        RequestBody::GetChildren2(read) => Op::children(read.path.as_str()),
        RequestBody::Sync(_) => return Some(Op::Sync),
        RequestBody::SetData(set) => Op::set(set.path.as_str(), value(set.data.as_ref()), set.version),
        RequestBody::Delete(delete) => Op::delete(delete.path.as_str(), delete.version),
        RequestBody::Create(create) | RequestBody::Create2(create) | RequestBody::CreateContainer(create) => {
            created(create)
        }
        RequestBody::CreateTtl(create) => Op::create(create.path.as_str(), value(create.data.as_ref())),
        RequestBody::Multi(multi) => {
            return multi.ops.iter().map(|one| step(&one.op)).collect::<Option<Vec<Op>>>().map(Op::Multi);
        }
        _ => return None,
    };
    (op.path() != Some("/")).then_some(op)
}

fn created(create: &CreateRequest) -> Op {
    let flags = create.flags;
    let ephemeral = matches!(flags, CreateMode::EPHEMERAL | CreateMode::EPHEMERAL_SEQUENTIAL);
    let sequential = matches!(flags, CreateMode::PERSISTENT_SEQUENTIAL | CreateMode::EPHEMERAL_SEQUENTIAL);
    Op::create_with(create.path.as_str(), value(create.data.as_ref()), ephemeral, sequential)
}

fn step(step: &Step) -> Option<Op> {
    match step {
        Step::Create(create) => Some(created(create)),
        Step::SetData(set) => Some(Op::set(set.path.as_str(), value(set.data.as_ref()), set.version)),
        Step::Delete(delete) => Some(Op::delete(delete.path.as_str(), delete.version)),
        _ => None,
    }
}

/// The number that stands for data: its first eight bytes; 0 for none.
fn value(data: Option<&Bytes>) -> Value {
    data.and_then(|data| data.first_chunk::<8>()).map_or(0, |first| u64::from_be_bytes(*first))
}

/// What a history calls an outcome; nothing for an answer that shows nothing.
fn known(op: OpCode, outcome: &Outcome) -> Option<Known> {
    match outcome {
        Ok(reply) => {
            let body = ReplyBody::decode(op, &mut Reader::new(reply.body.clone())).ok()?;
            answered(body, reply.zxid)
        }
        Err(RequestError { cause: Cause::Server(ErrorCode::NO_NODE), .. }) if op == OpCode::EXISTS => {
            Some(Known::done(Answer::Stat(None)))
        }
        Err(RequestError { cause: Cause::Server(code), .. }) => Some(Known::Refused(code.0)),
        Err(RequestError { fate: Fate::NotSent, .. }) => Some(Known::NotSent),
        Err(_) => Some(Known::Unknown),
    }
}

fn answered(body: ReplyBody, zxid: i64) -> Option<Known> {
    let answer = match body {
        ReplyBody::GetData(read) => Answer::Data(value(read.data.as_ref()), stat(&read.stat)),
        ReplyBody::Exists(read) => Answer::Stat(Some(stat(&read.stat))),
        ReplyBody::GetChildren2(read) => {
            let names = read.children.unwrap_or_default();
            Answer::Children(names.iter().map(ToString::to_string).collect(), stat(&read.stat))
        }
        ReplyBody::SetData(set) => Answer::Stat(Some(stat(&set.stat))),
        ReplyBody::Create(create) => Answer::Created(text(&create.path), None),
        ReplyBody::Create2(create) | ReplyBody::CreateContainer(create) | ReplyBody::CreateTtl(create) => {
            Answer::Created(text(&create.path), Some(stat(&create.stat)))
        }
        ReplyBody::Multi(multi) => {
            let cause = multi.results.iter().map(|one| one.err);
            let is_cause =
                |code: &ErrorCode| ![ErrorCode::OK, ErrorCode::RUNTIME_INCONSISTENCY].contains(code);
            if let Some(code) = cause.into_iter().find(is_cause) {
                return Some(Known::Refused(code.0));
            }
            Answer::Multi(multi.results.iter().map(|one| result(&one.result)).collect())
        }
        _ => Answer::Done,
    };
    Some(Known::done_at(zxid, answer))
}

fn result(result: &OpResult) -> Answer {
    match result {
        OpResult::Create(create) => Answer::Created(text(&create.path), None),
        OpResult::SetData(set) => Answer::Stat(Some(stat(&set.stat))),
        _ => Answer::Done,
    }
}

fn text(path: &Ustring) -> String {
    path.to_string()
}

fn stat(stat: &WireStat) -> Stat {
    Stat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        pzxid: stat.pzxid,
        version: stat.version,
        cversion: stat.cversion,
        // Containers and what has a time to live are marked there, below 0.
        owner: stat.ephemeral_owner.max(0),
    }
}
