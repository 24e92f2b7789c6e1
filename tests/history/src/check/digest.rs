//! The record, put in order: each operation with both its ends, and the zxids between which it was done.

use super::{Figures, Findings, Rule};
use crate::record::{Answer, Entry, History, Op, OpId, Outcome, Session, Stat, Value, WatchId, Zxid};
use std::collections::BTreeMap;

/// One operation, from both its lines.
#[derive(Debug, Clone)]
pub(crate) struct Operation<'h> {
    pub(crate) id: OpId,
    pub(crate) session: Session,
    pub(crate) pipelined: bool,
    pub(crate) what: &'h Op,
    pub(crate) outcome: &'h Outcome,
    /// The line of its beginning.
    pub(crate) invoked: usize,
    /// The line of its end; behind all lines if there is none.
    pub(crate) completed: usize,
    /// A write's own zxid, where it was told or found out.
    pub(crate) zxid: Option<Zxid>,
    /// It was done later than this.
    pub(crate) lo: Zxid,
    /// And earlier than this.
    pub(crate) hi: Zxid,
}

/// How a session ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionEnd {
    pub(crate) certain: bool,
    pub(crate) line: usize,
    pub(crate) lo: Zxid,
    pub(crate) hi: Zxid,
}

/// The record in order.
#[derive(Debug)]
pub(crate) struct Digest<'h> {
    pub(crate) history: &'h History,
    pub(crate) ops: Vec<Operation<'h>>,
    /// Which step of which write has this value.
    pub(crate) writers: BTreeMap<Value, (OpId, usize)>,
    pub(crate) ends: BTreeMap<Session, SessionEnd>,
    /// The operation that set a watch.
    pub(crate) watches: BTreeMap<WatchId, OpId>,
    /// From line to line, a leader may not know that it is none.
    pub(crate) doubts: Vec<(usize, usize)>,
}

static UNKNOWN: Outcome = Outcome::Unknown;

impl Operation<'_> {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. })
    }

    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown)
    }

    pub(crate) fn answer(&self) -> Option<&Answer> {
        match self.outcome {
            Outcome::Done { answer, .. } => Some(answer),
            _ => None,
        }
    }

    /// Whether this one comes before `other` in the order of their session.
    pub(crate) fn comes_before(&self, other: &Operation<'_>) -> bool {
        self.completed < other.invoked || (self.pipelined && self.invoked < other.invoked)
    }

    /// Each step with its answer, if there is one.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Op, Option<&Answer>)> {
        let answers = match self.answer() {
            Some(Answer::Multi(answers)) => answers.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        self.what.steps().iter().enumerate().map(move |(index, step)| (step, answers.get(index)))
    }

    /// The states of znodes that its answer shows: path, and stat if it is there.
    pub(crate) fn shown(&self) -> Vec<(&str, Option<Stat>)> {
        if let (Outcome::Refused(crate::record::NO_NODE), Op::Get { path, .. } | Op::Children { path, .. }) =
            (self.outcome, self.what)
        {
            return vec![(path, None)];
        }
        let shown = self.steps().filter_map(|(step, answer)| match (step, answer?) {
            (_, Answer::Created(path, stat)) => Some((path.as_str(), Some((*stat)?))),
            (step, Answer::Stat(stat)) => Some((step.path()?, *stat)),
            (step, Answer::Data(_, stat) | Answer::Children(_, stat)) => Some((step.path()?, Some(*stat))),
            (Op::Delete { path, .. }, Answer::Done) => Some((path.as_str(), None)),
            _ => None,
        });
        shown.collect()
    }

    /// The greatest zxid that its answer bears witness of.
    fn witnessed(&self) -> Zxid {
        let header = match self.outcome {
            Outcome::Done { zxid, .. } => zxid.unwrap_or(0),
            _ => 0,
        };
        let shown = self.shown().into_iter().filter_map(|(_, stat)| stat);
        let stats = shown.map(|stat| stat.czxid.max(stat.mzxid).max(stat.pzxid));
        let own = self.zxid.filter(|_| self.is_done()).unwrap_or(0);
        stats.max().unwrap_or(0).max(header).max(own)
    }

    /// The zxids that a write's answer tells of itself.
    fn told_zxids(&self) -> Vec<Zxid> {
        let header = match self.outcome {
            Outcome::Done { zxid, .. } => *zxid,
            _ => None,
        };
        let steps = self.steps().filter_map(|(_, answer)| match answer? {
            Answer::Created(_, Some(stat)) => Some(stat.czxid),
            Answer::Stat(Some(stat)) => Some(stat.mzxid),
            _ => None,
        });
        header.into_iter().chain(steps).collect()
    }
}

impl<'h> Digest<'h> {
    pub(crate) fn new(history: &'h History, found: &mut Findings) -> Self {
        let mut digest = Digest {
            history,
            ops: Vec::with_capacity(history.ops),
            writers: BTreeMap::new(),
            ends: BTreeMap::new(),
            watches: BTreeMap::new(),
            doubts: Vec::new(),
        };
        digest.join_lines(found);
        digest.find_values(found);
        digest.find_zxids(found);
        digest
    }

    fn join_lines(&mut self, found: &mut Findings) {
        let behind = self.history.lines.len();
        for (line, (_, entry)) in self.history.lines.iter().enumerate() {
            match entry {
                Entry::Invoked { op, session, pipelined, what } => self.ops.push(Operation {
                    id: *op,
                    session: *session,
                    pipelined: *pipelined,
                    what,
                    outcome: &UNKNOWN,
                    invoked: line,
                    completed: behind,
                    zxid: None,
                    lo: 0,
                    hi: Zxid::MAX,
                }),
                Entry::Completed { op, outcome } => match self.ops.get_mut(op.0) {
                    Some(known) if known.completed == behind => {
                        (known.completed, known.outcome) = (line, outcome);
                    }
                    _ => found.add(Rule::Form, format!("{op} completes and was not under way"), [line]),
                },
                Entry::Ended { session, certain } => self.end(*session, *certain, line),
                Entry::Doubt(true) => self.doubts.push((line, behind)),
                Entry::Doubt(false) => {
                    if let Some((_, until)) = self.doubts.last_mut() {
                        *until = line.min(*until);
                    }
                }
                Entry::Event { .. } | Entry::Gap { .. } => {}
            }
        }
        let closes: Vec<_> = self.ops.iter().filter(|op| matches!(op.what, Op::Close)).collect();
        let closes: Vec<_> = closes.iter().filter(|op| op.is_done() || op.is_unknown()).collect();
        let closes: Vec<_> = closes.iter().map(|op| (op.session, op.is_done(), op.completed)).collect();
        closes.into_iter().for_each(|(session, done, line)| self.end(session, done, line));
    }

    fn end(&mut self, session: Session, certain: bool, line: usize) {
        let end = SessionEnd { certain, line, lo: 0, hi: Zxid::MAX };
        let known = self.ends.entry(session).or_insert(end);
        if certain && (!known.certain || line < known.line) {
            *known = end;
        }
    }

    fn find_values(&mut self, found: &mut Findings) {
        for op in &self.ops {
            for (index, step) in op.what.steps().iter().enumerate() {
                match step {
                    Op::Create { value, .. } | Op::Set { value, .. } if *value != 0 => {
                        if let Some((other, _)) = self.writers.insert(*value, (op.id, index)) {
                            let lines = [op.invoked, self.ops[other.0].invoked];
                            found.add(Rule::Form, format!("two writes have the value {value}"), lines);
                        }
                    }
                    Op::Get { watch: Some(watch), .. }
                    | Op::Exists { watch: Some(watch), .. }
                    | Op::Children { watch: Some(watch), .. }
                    | Op::Watch { watch, .. } => drop(self.watches.insert(*watch, op.id)),
                    _ => {}
                }
            }
        }
    }

    fn find_zxids(&mut self, found: &mut Findings) {
        for op in self.ops.iter_mut().filter(|op| op.what.is_write() && op.is_done()) {
            let told = op.told_zxids();
            op.zxid = told.first().copied();
            if told.iter().any(|zxid| Some(*zxid) != op.zxid) {
                let lines = [op.invoked, op.completed];
                found.add(Rule::Multi, format!("{} has several zxids: {told:?}", op.id), lines);
            }
        }
    }

    /// Sets between which zxids each operation was done, from those that are known.
    pub(crate) fn find_bounds(&mut self) {
        let mut seen = 0;
        let mut last_of: BTreeMap<Session, Zxid> = BTreeMap::new();
        for (_, entry) in &self.history.lines {
            match entry {
                Entry::Invoked { op, .. } => self.ops[op.0].lo = seen,
                Entry::Completed { op, .. } => seen = seen.max(self.ops[op.0].witnessed()),
                Entry::Event { zxid: Some(zxid), .. } => seen = seen.max(*zxid),
                _ => {}
            }
        }
        let mut next = Zxid::MAX;
        let mut next_of: BTreeMap<Session, Zxid> = BTreeMap::new();
        for (line, (_, entry)) in self.history.lines.iter().enumerate().rev() {
            match entry {
                Entry::Invoked { op, session, .. } => {
                    if let Some(zxid) = self.ops[op.0].zxid {
                        next = next.min(zxid);
                        let of = next_of.entry(*session).or_insert(Zxid::MAX);
                        *of = (*of).min(zxid);
                        let last = last_of.entry(*session).or_insert(0);
                        *last = (*last).max(zxid);
                    }
                }
                Entry::Completed { op, .. } => {
                    let op = &mut self.ops[op.0];
                    let of = next_of.get(&op.session).copied().unwrap_or(Zxid::MAX);
                    op.hi = if op.is_unknown() { of } else { next };
                }
                Entry::Ended { session, certain: true } => self.bound_end(*session, line, next),
                _ => {}
            }
            let closed = self.history.lines.get(line).and_then(|(_, entry)| match entry {
                Entry::Completed { op, .. } => {
                    Some(&self.ops[op.0]).filter(|op| matches!(op.what, Op::Close))
                }
                _ => None,
            });
            if let Some(session) = closed.filter(|op| op.is_done()).map(|op| op.session) {
                self.bound_end(session, line, next);
            }
        }
        for (session, end) in &mut self.ends {
            end.lo = last_of.get(session).copied().unwrap_or(0);
        }
        for op in self.ops.iter_mut().filter(|op| op.is_unknown()) {
            op.hi = self.ends.get(&op.session).map_or(op.hi, |end| op.hi.min(end.hi));
        }
    }

    fn bound_end(&mut self, session: Session, line: usize, next: Zxid) {
        if let Some(end) = self.ends.get_mut(&session).filter(|end| end.line == line) {
            end.hi = next;
        }
    }

    /// Whether a leader may not have known, at some moment of this operation, that it was none.
    pub(crate) fn is_doubtful(&self, op: &Operation<'_>) -> bool {
        self.doubts.iter().any(|(from, until)| op.invoked < *until && *from < op.completed)
    }

    pub(crate) fn figures(&self) -> Figures {
        let count = |wanted: &dyn Fn(&Operation<'_>) -> bool| self.ops.iter().filter(|op| wanted(op)).count();
        let mut sessions: Vec<_> = self.ops.iter().map(|op| op.session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        let is_event = |(_, entry): &&(u64, Entry)| matches!(entry, Entry::Event { .. });
        Figures {
            answered: count(&|op| op.is_done() || matches!(op.outcome, Outcome::Refused(_))),
            writes: count(&|op| op.is_done() && op.what.is_write()),
            reads: count(&|op| op.is_done() && !op.what.is_write()),
            unknown: count(&|op| op.is_unknown() && op.what.is_write()),
            unknown_seen: count(&|op| op.is_unknown() && op.what.is_write() && op.zxid.is_some()),
            not_sent: count(&|op| matches!(op.outcome, Outcome::NotSent)),
            events: self.history.lines.iter().filter(is_event).count(),
            sessions: sessions.len(),
            ..Figures::default()
        }
    }
}
