//! What certainly happened to each path: changes with their zxids, from what was answered and what was seen, and the writes
//! whose zxid is still to be found.

use super::{Findings, Rule, digest::Digest};
use crate::record::{Answer, Entry, EventKind, Mode, Op, OpId, Outcome, Session, Stat, Zxid};
use std::collections::BTreeMap;

/// One change of a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It came, with this owner.
    Create(Session),
    /// Its data was set, if it had this version.
    Set(i32),
    /// It went, if it had this version.
    Delete(i32),
    /// Nothing, if it has this version.
    Check(i32),
}

/// What a transaction did to one path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fact {
    /// The write that did it, if that is known.
    pub(crate) by: Option<OpId>,
    pub(crate) changes: Vec<Change>,
    /// The stat that was seen behind it: only its zxids, version and owner count.
    pub(crate) seen: Option<Stat>,
    /// A line that shows it.
    pub(crate) line: usize,
}

/// Who may have made a change whose zxid is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Write(OpId),
    End(Session),
}

/// A write, or a session's end, that is to be placed among the facts.
#[derive(Debug, Clone)]
pub(crate) struct Float {
    pub(crate) source: Source,
    pub(crate) changes: Vec<Change>,
    /// It was done; otherwise it may have been.
    pub(crate) certain: bool,
    pub(crate) lo: Zxid,
    pub(crate) hi: Zxid,
    pub(crate) invoked: usize,
    pub(crate) completed: usize,
}

/// All there is about one path.
#[derive(Debug, Default)]
pub(crate) struct PathFacts {
    pub(crate) facts: BTreeMap<Zxid, Fact>,
    pub(crate) floats: Vec<Float>,
}

impl PathFacts {
    /// The facts behind this zxid.
    pub(crate) fn next(&self, zxid: Zxid) -> Option<(Zxid, &Fact)> {
        self.facts.range(zxid.saturating_add(1)..).next().map(|(zxid, fact)| (*zxid, fact))
    }
}

/// The facts of all paths.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) paths: BTreeMap<String, PathFacts>,
}

/// The change that a step makes, and the path that it is known to make it to.
fn change_of(step: &Op, answer: Option<&Answer>, session: Session) -> Option<(String, Change)> {
    let change = match step {
        Op::Create { mode, .. } => Change::Create(if mode.ephemeral { session } else { 0 }),
        Op::Set { version, .. } => Change::Set(*version),
        Op::Delete { version, .. } => Change::Delete(*version),
        Op::Check { version, .. } => Change::Check(*version),
        _ => return None,
    };
    let path = match (step, answer) {
        (_, Some(Answer::Created(path, _))) => path.clone(),
        (Op::Create { mode: Mode { sequential: true, .. }, .. }, _) => return None,
        (step, _) => step.path()?.to_owned(),
    };
    Some((path, change))
}

/// Whether `path` may be what a creation of `prefix` became.
pub(crate) fn is_numbered(path: &str, prefix: &str) -> bool {
    let digits = path.strip_prefix(prefix).unwrap_or_default();
    digits.len() >= 10 && digits.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit())
}

impl Facts {
    pub(crate) fn gather(digest: &mut Digest<'_>, found: &mut Findings) -> Self {
        let mut facts = Self::default();
        let created = attribute(digest, found);
        facts.add_writes(digest, &created);
        facts.add_stats(digest, found);
        facts.add_events(digest, found);
        digest.find_bounds();
        facts.add_floats(digest);
        facts.add_ends(digest);
        facts
    }

    fn at(&mut self, path: &str) -> &mut PathFacts {
        if !self.paths.contains_key(path) {
            self.paths.insert(path.to_owned(), PathFacts::default());
        }
        self.paths.entry(path.to_owned()).or_default()
    }

    /// Writes whose zxid is known.
    fn add_writes(&mut self, digest: &Digest<'_>, created: &BTreeMap<OpId, String>) {
        for op in digest.ops.iter().filter(|op| op.what.is_write()) {
            let Some(zxid) = op.zxid else { continue };
            for (step, answer) in op.steps() {
                let change = change_of(step, answer, op.session);
                let change = change.or_else(|| {
                    let path = created.get(&op.id)?.clone();
                    let answer = Answer::Created(path, None);
                    change_of(step, Some(&answer), op.session)
                });
                let Some((path, change)) = change else { continue };
                let fact = self.at(&path).facts.entry(zxid).or_default();
                (fact.by, fact.line) = (Some(op.id), op.invoked);
                fact.changes.push(change);
            }
        }
    }

    /// What stats bear witness of.
    fn add_stats(&mut self, digest: &Digest<'_>, found: &mut Findings) {
        for op in &digest.ops {
            for (path, stat) in op.shown() {
                let Some(stat) = stat.filter(|stat| stat.czxid > 0) else { continue };
                self.add_stat(digest, path, stat, op.completed, found);
            }
        }
    }

    fn add_stat(&mut self, digest: &Digest<'_>, path: &str, stat: Stat, line: usize, found: &mut Findings) {
        let facts = &mut self.at(path).facts;
        if stat.czxid != stat.mzxid {
            let creation = facts.entry(stat.czxid).or_insert_with(|| Fact { line, ..Fact::default() });
            if creation.changes.is_empty() {
                creation.changes.push(Change::Create(stat.owner));
            }
        }
        let last = facts.entry(stat.mzxid).or_insert_with(|| Fact { line, ..Fact::default() });
        if last.changes.is_empty() {
            let set = Change::Set(-1);
            last.changes.push(if stat.czxid == stat.mzxid { Change::Create(stat.owner) } else { set });
        }
        let agrees =
            |seen: &Stat| (seen.czxid, seen.version, seen.owner) == (stat.czxid, stat.version, stat.owner);
        match &last.seen {
            Some(seen) if !agrees(seen) => {
                let what = format!("{path} at {:#x} was seen as {seen:?} and as {stat:?}", stat.mzxid);
                found.add(Rule::Register, what, [line, last.line]);
            }
            _ => last.seen = Some(stat),
        }
        let began = last.by.map(|by| &digest.ops[by.0]).filter(|by| by.invoked > line);
        if let Some(by) = began {
            let what = format!("{path} was seen as {} made it, before that was asked", by.id);
            found.add(Rule::Order, what, [line, by.invoked]);
        }
    }

    /// What events bear witness of, where they tell their zxid.
    fn add_events(&mut self, digest: &Digest<'_>, found: &mut Findings) {
        for (line, (_, entry)) in digest.history.lines.iter().enumerate() {
            let Entry::Event { kind, path, zxid: Some(zxid), .. } = entry else { continue };
            let change = match kind {
                EventKind::Created => Change::Create(0),
                EventKind::Deleted => Change::Delete(-1),
                EventKind::Data => Change::Set(-1),
                EventKind::Children => continue,
            };
            let fact = self.at(path).facts.entry(*zxid).or_insert_with(|| Fact { line, ..Fact::default() });
            let same = |known: &Change| std::mem::discriminant(known) == std::mem::discriminant(&change);
            // Whose doing it was may still be found: a transaction that deletes and creates tells of both.
            if fact.changes.is_empty() || fact.by.is_none() && !fact.changes.iter().any(same) {
                fact.changes.push(change);
            } else if !fact.changes.iter().any(same) {
                let what =
                    format!("an event tells {kind:?} of {path} at {zxid:#x}, which was {:?}", fact.changes);
                found.add(Rule::Watch, what, [line, fact.line]);
            }
        }
    }

    fn add_floats(&mut self, digest: &Digest<'_>) {
        for op in digest.ops.iter().filter(|op| op.what.is_write() && op.zxid.is_none()) {
            if !op.is_done() && !op.is_unknown() {
                continue;
            }
            let mut floats: BTreeMap<String, Vec<Change>> = BTreeMap::new();
            for (step, answer) in op.steps() {
                if let Some((path, change)) = change_of(step, answer, op.session) {
                    floats.entry(path).or_default().push(change);
                }
            }
            for (path, changes) in floats {
                self.at(&path).floats.push(Float {
                    source: Source::Write(op.id),
                    changes,
                    certain: op.is_done(),
                    lo: op.lo,
                    hi: op.hi,
                    invoked: op.invoked,
                    completed: op.completed,
                });
            }
        }
    }

    /// The ends of sessions, for the paths that may be theirs.
    fn add_ends(&mut self, digest: &Digest<'_>) {
        for path in self.paths.values_mut() {
            let of_facts = path.facts.values().flat_map(|fact| &fact.changes);
            let changes = of_facts.chain(path.floats.iter().flat_map(|float| &float.changes));
            let mut owners: Vec<_> = changes
                .filter_map(|change| match change {
                    Change::Create(owner) if *owner != 0 => Some(*owner),
                    _ => None,
                })
                .collect();
            owners.extend(path.facts.values().filter_map(|fact| Some(fact.seen?.owner)));
            owners.sort_unstable();
            owners.dedup();
            for owner in owners {
                let Some(end) = digest.ends.get(&owner) else { continue };
                path.floats.push(Float {
                    source: Source::End(owner),
                    changes: vec![Change::Delete(-1)],
                    certain: end.certain,
                    lo: end.lo,
                    hi: end.hi,
                    invoked: 0,
                    completed: end.line,
                });
            }
        }
    }
}

/// Finds the writes that values come from, and gives zxids to those that were not told theirs. Yields the paths that
/// sequential creations of unknown outcome turn out to have made.
fn attribute(digest: &mut Digest<'_>, found: &mut Findings) -> BTreeMap<OpId, String> {
    let mut seen = Vec::new();
    for op in &digest.ops {
        if let (Op::Get { path, .. }, Some(Answer::Data(value, stat))) = (op.what, op.answer()) {
            if *value != 0 {
                seen.push((path.as_str(), *value, *stat, op.completed));
            }
        }
    }
    let mut created: BTreeMap<OpId, String> = BTreeMap::new();
    for (path, value, stat, line) in seen {
        let Some((id, index)) = digest.writers.get(&value).copied() else {
            found.add(Rule::Fate, format!("{path} has the value {value}, which nobody wrote"), [line]);
            continue;
        };
        let writer = &digest.ops[id.0];
        let lines = [line, writer.invoked, writer.completed];
        if let Some(wrong) = wrong_writer(writer.what, writer.outcome, index, path) {
            found.add(Rule::Fate, format!("{path} has the value {value} of {id}, {wrong}"), lines);
            continue;
        }
        let elsewhere = created.get(&id).filter(|known| *known != path);
        match (writer.zxid, elsewhere) {
            (Some(zxid), None) if zxid == stat.mzxid => {}
            (Some(zxid), _) => {
                let several = writer.what.steps().len() > 1;
                let rule = if several { Rule::Multi } else { Rule::Fate };
                let what = format!("{id} was done at {zxid:#x}, and again at {:#x} on {path}", stat.mzxid);
                found.add(rule, what, lines);
            }
            (None, _) => digest.ops[id.0].zxid = Some(stat.mzxid),
        }
        if let Some(Op::Create { mode: Mode { sequential: true, .. }, .. }) =
            digest.ops[id.0].what.steps().get(index)
        {
            created.insert(id, path.to_owned());
        }
    }
    created
}

/// Why a write cannot be where a value comes from.
fn wrong_writer(what: &Op, outcome: &Outcome, index: usize, path: &str) -> Option<String> {
    let step = what.steps().get(index)?;
    let right = match step {
        Op::Create { path: prefix, mode: Mode { sequential: true, .. }, .. } => is_numbered(path, prefix),
        step => step.path() == Some(path),
    };
    match outcome {
        Outcome::Refused(code) => Some(format!("which was refused with {code}")),
        Outcome::NotSent => Some(String::from("which was not sent")),
        _ if !right => Some(String::from("which wrote elsewhere")),
        _ => None,
    }
}
