//! Each session's own order: where in history its answers may lie, so that it never goes back; what a sync brings; what
//! was done of a pipeline. And across sessions, that zxids agree with time.

use super::{
    Findings, Rule,
    digest::{Digest, Operation},
    facts::{Change, Facts, Source},
    timeline::Claim,
};
use crate::record::{BAD_VERSION, Entry, NO_NODE, NODE_EXISTS, Op, Outcome, Session, Stat, Zxid};
use std::collections::BTreeMap;

/// A point that a session has reached, and what took it there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    zxid: Zxid,
    /// The line of the operation or event.
    line: usize,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    #[default]
    Read,
    Write,
    Sync,
}

/// How far a session is.
#[derive(Debug, Default)]
struct Progress {
    /// Through what has completed.
    done: Point,
    /// Through what was sent in a pipeline.
    piped: Point,
    /// The last line before which everything done is to be seen.
    synced_done: usize,
    synced_piped: usize,
}

pub(crate) fn check(digest: &Digest<'_>, facts: &Facts, found: &mut Findings) {
    let mut sweep = Sweep {
        digest,
        facts,
        found,
        progress: BTreeMap::new(),
        points: vec![Point::default(); digest.ops.len()],
        latest: Point::default(),
    };
    for (line, (_, entry)) in digest.history.lines.iter().enumerate() {
        match entry {
            Entry::Invoked { op, .. } => sweep.begin(&digest.ops[op.0]),
            Entry::Completed { op, .. } => sweep.complete(&digest.ops[op.0]),
            Entry::Event { session, zxid: Some(zxid), .. } => {
                let done = &mut sweep.progress.entry(*session).or_default().done;
                *done = (*done).max(Point { zxid: *zxid, line, cause: Cause::Read });
            }
            _ => {}
        }
    }
    pipelines(digest, found);
    own_deletes(digest, facts, found);
}

struct Sweep<'d, 'h> {
    digest: &'d Digest<'h>,
    facts: &'d Facts,
    found: &'d mut Findings,
    progress: BTreeMap<Session, Progress>,
    /// Where each operation lies, at the earliest.
    points: Vec<Point>,
    /// The greatest zxid of a write that was done.
    latest: Point,
}

impl Sweep<'_, '_> {
    fn begin(&mut self, op: &Operation<'_>) {
        let progress = self.progress.entry(op.session).or_default();
        let base = progress.done.max(progress.piped);
        let synced = progress.synced_done.max(progress.synced_piped);
        let point = self.place(op, base, synced);
        if let Some(slot) = self.points.get_mut(op.id.0) {
            *slot = point;
        }
        if op.pipelined && (op.is_done() || matches!(op.outcome, Outcome::Refused(_))) {
            let bound = self.sync_line(op);
            let progress = self.progress.entry(op.session).or_default();
            progress.piped = progress.piped.max(point);
            progress.synced_piped = progress.synced_piped.max(bound);
        }
        if op.is_done() && op.what.is_write() {
            self.in_time(op);
        }
    }

    fn complete(&mut self, op: &Operation<'_>) {
        let bound = self.sync_line(op);
        let point = self.points.get(op.id.0).copied().unwrap_or_default();
        let progress = self.progress.entry(op.session).or_default();
        progress.done = progress.done.max(point);
        progress.synced_done = progress.synced_done.max(bound);
        if let Some(zxid) = op.zxid.filter(|_| op.is_done()) {
            self.latest = self.latest.max(Point { zxid, line: op.completed, cause: Cause::Write });
        }
    }

    /// The line before which everything done is seen behind this sync.
    fn sync_line(&self, op: &Operation<'_>) -> usize {
        let bound = matches!(op.what, Op::Sync) && op.is_done() && !self.digest.is_doubtful(op);
        if bound { op.invoked } else { 0 }
    }

    /// Zxids agree with time.
    fn in_time(&mut self, op: &Operation<'_>) {
        let Some(zxid) = op.zxid else { return };
        if zxid <= op.lo {
            let what =
                format!("{} was done at {zxid:#x}, and {:#x} was heard of before it was asked", op.id, op.lo);
            self.found.add(Rule::Order, what, [self.latest.line, op.invoked, op.completed]);
        }
    }

    /// The earliest point at which the answer may be true, behind everything that came before in the session.
    fn place(&mut self, op: &Operation<'_>, base: Point, synced: usize) -> Point {
        let line = op.completed;
        match op.outcome {
            Outcome::Done { zxid, .. } if op.what.is_write() => self.place_write(op, base, *zxid),
            Outcome::Done { zxid, .. } => {
                let point = match op.what {
                    Op::Sync if !self.digest.is_doubtful(op) && self.latest.zxid > base.zxid => {
                        Point { zxid: self.latest.zxid, line, cause: Cause::Sync }
                    }
                    _ => self.place_read(op, base, synced),
                };
                self.place_header(op, point, *zxid)
            }
            Outcome::Refused(code) => self.place_refusal(op, base, *code),
            Outcome::NotSent | Outcome::Unknown => base,
        }
    }

    fn place_write(&mut self, op: &Operation<'_>, base: Point, header: Option<Zxid>) -> Point {
        let Some(zxid) = op.zxid.or(header) else {
            return base.max(Point {
                zxid: op.lo.saturating_add(1),
                line: op.completed,
                cause: Cause::Write,
            });
        };
        if zxid <= base.zxid {
            let rule = if base.cause == Cause::Write { Rule::Fifo } else { Rule::Reads };
            let what =
                format!("{} was done at {zxid:#x}; its session was at {:#x} already", op.id, base.zxid);
            self.found.add(rule, what, [base.line, op.invoked, op.completed]);
        }
        base.max(Point { zxid, line: op.completed, cause: Cause::Write })
    }

    /// A reply header tells where the member was.
    fn place_header(&mut self, op: &Operation<'_>, at_least: Point, header: Option<Zxid>) -> Point {
        let Some(zxid) = header.filter(|zxid| *zxid > 0) else { return at_least };
        if zxid < at_least.zxid {
            let rule = if at_least.cause == Cause::Sync { Rule::Sync } else { Rule::Reads };
            let what = format!("{} was answered at {zxid:#x}, not at {:#x} or later", op.id, at_least.zxid);
            self.found.add(rule, what, [at_least.line, op.invoked, op.completed]);
        }
        at_least.max(Point { zxid, line: op.completed, cause: Cause::Read })
    }

    fn place_read(&mut self, op: &Operation<'_>, base: Point, synced: usize) -> Point {
        let Some(path) = op.what.path() else { return base };
        let Some((_, shown)) = op.shown().pop() else { return base };
        let Some(known) = self.facts.paths.get(path) else { return base };
        let Some(stat) = shown else {
            return match known.first(Claim::Absent, base.zxid, op.hi) {
                Some(zxid) if zxid > base.zxid => Point { zxid, line: op.completed, cause: Cause::Read },
                Some(_) => base,
                None => {
                    self.not_true(op, base, None, "not there");
                    base
                }
            };
        };
        let from = stat.czxid.max(stat.mzxid).max(stat.pzxid);
        let end = known.end_of(&stat).min(op.hi);
        let unseen = known.floats.iter().find(|float| {
            let alters = float.changes.iter().any(|change| !matches!(change, Change::Check(_)));
            let write = matches!(float.source, Source::Write(_));
            write && alters && float.certain && float.completed < synced && float.lo >= stat.mzxid
        });
        if let Some(float) = unseen {
            let what = format!("{} of {path} is behind a sync, and does not see what was done before", op.id);
            self.found.add(
                Rule::Sync,
                what,
                [float.invoked, float.completed, synced, op.invoked, op.completed],
            );
        } else if base.zxid >= end || from >= op.hi {
            self.not_true(op, base, Some(stat), &format!("as at {:#x}", stat.mzxid));
        }
        base.max(Point { zxid: from, line: op.completed, cause: Cause::Read })
    }

    fn not_true(&mut self, op: &Operation<'_>, base: Point, stat: Option<Stat>, seen: &str) {
        let path = op.what.path().unwrap_or_default();
        let known = self.facts.paths.get(path);
        let before = known.and_then(|known| known.facts.range(..=base.zxid).next_back());
        let ephemeral = match stat {
            // Nothing replaced it: it should have gone with its session.
            Some(stat) => {
                let next = known.and_then(|known| known.next(stat.mzxid));
                stat.owner != 0 && next.is_none_or(|(zxid, _)| zxid > base.zxid)
            }
            None => before.and_then(|(_, fact)| fact.seen).is_some_and(|seen| seen.owner != 0),
        };
        let rule = match base.cause {
            _ if ephemeral => Rule::Ephemeral,
            Cause::Sync => Rule::Sync,
            _ => Rule::Reads,
        };
        let what = format!(
            "{} saw {path} {seen}; its session was at {:#x}, and from there to {:#x} that is never so",
            op.id, base.zxid, op.hi
        );
        let next = known.and_then(|known| known.next(stat.map_or(base.zxid, |stat| stat.mzxid)));
        let facts = before.map(|(_, fact)| fact.line).into_iter().chain(next.map(|(_, fact)| fact.line));
        let lines: Vec<_> = facts.chain([base.line, op.invoked, op.completed]).collect();
        self.found.add(rule, what, lines);
    }

    /// A refusal is decided by the leader, which knows of everything that was done.
    fn place_refusal(&mut self, op: &Operation<'_>, base: Point, code: i32) -> Point {
        let claim = match (op.what, code) {
            (Op::Multi(_), _) => return base,
            (_, NO_NODE) => Claim::Absent,
            (Op::Create { .. }, NODE_EXISTS) => Claim::Present,
            (Op::Set { version, .. } | Op::Delete { version, .. }, BAD_VERSION) => {
                Claim::NotVersion(*version)
            }
            _ => return base,
        };
        let path = op.what.path().unwrap_or_default();
        // A creation fails for want of its parent.
        let about = match op.what {
            Op::Create { .. } if claim == Claim::Absent => parent(path),
            _ => path,
        };
        let Some(known) = self.facts.paths.get(about) else { return base };
        let from = if op.what.is_write() { base.zxid.max(op.lo) } else { base.zxid };
        match known.first(claim, from, op.hi) {
            Some(zxid) => base.max(Point { zxid, line: op.completed, cause: Cause::Read }),
            None if op.what.is_write() => {
                let what = format!(
                    "{} was refused with {code}, which is true of {about} nowhere from {from:#x} to {:#x}",
                    op.id, op.hi
                );
                let next = known.next(from).map(|(_, fact)| fact.line);
                let before = known.facts.range(..=from).next_back().map(|(_, fact)| fact.line);
                let lines: Vec<_> =
                    before.into_iter().chain(next).chain([op.invoked, op.completed]).collect();
                self.found.add(Rule::Refusal, what, lines);
                base
            }
            None => {
                self.not_true(op, base, None, "not there");
                base
            }
        }
    }
}

pub(crate) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

/// Nothing of a pipeline is done behind what was lost; and no session writes behind its end.
fn pipelines(digest: &Digest<'_>, found: &mut Findings) {
    let behind = digest.history.lines.len();
    let mut holes: BTreeMap<Session, &Operation<'_>> = BTreeMap::new();
    for op in digest.ops.iter().filter(|op| op.pipelined) {
        if let Some(hole) = holes.get(&op.session).filter(|hole| op.is_done() && op.invoked < hole.completed)
        {
            let what = format!("{} was done, and {} ahead of it in the pipeline was lost", op.id, hole.id);
            found.add(Rule::Fifo, what, [hole.invoked, hole.completed, op.invoked, op.completed]);
        }
        // What nobody waited for has no end.
        let lost = matches!(op.outcome, Outcome::NotSent | Outcome::Unknown) && op.completed < behind;
        if lost && holes.get(&op.session).is_none_or(|hole| hole.completed < op.completed) {
            holes.insert(op.session, op);
        }
    }
    for op in digest.ops.iter().filter(|op| op.what.is_write() && op.is_done()) {
        let end = digest.ends.get(&op.session).filter(|end| end.certain);
        if let Some(end) = end.filter(|end| end.line < op.invoked) {
            let what = format!("{} was done under a session that had ended", op.id);
            found.add(Rule::Ephemeral, what, [end.line, op.invoked, op.completed]);
        }
    }
}

/// A session sees its own writes, also those whose zxid nobody told.
fn own_deletes(digest: &Digest<'_>, facts: &Facts, found: &mut Findings) {
    let mut by_path: BTreeMap<(&str, Session), Vec<&Operation<'_>>> = BTreeMap::new();
    for (path, known) in &facts.paths {
        for float in known.floats.iter().filter(|float| float.certain) {
            if let Source::Write(id) = float.source {
                let op = &digest.ops[id.0];
                by_path.entry((path, op.session)).or_default().push(op);
            }
        }
    }
    for read in digest.ops.iter().filter(|op| !op.what.is_write()) {
        for (path, stat) in read.shown() {
            let Some(stat) = stat else { continue };
            let own = by_path.get(&(path, read.session)).into_iter().flatten();
            if let Some(write) =
                own.into_iter().find(|write| write.lo >= stat.mzxid && write.comes_before(read))
            {
                let what = format!("{} does not see {} of its own session", read.id, write.id);
                found.add(Rule::Reads, what, [write.invoked, write.completed, read.invoked, read.completed]);
            }
        }
    }
}
