//! Lists of children, against what is known of the children; and the numbers of sequential ones.

use super::{
    Findings, Rule,
    digest::{Digest, Operation},
    facts::{Change, Facts, PathFacts, Source, is_numbered},
    sessions::parent,
    timeline::is_there,
};
use crate::record::{Answer, Mode, Op, Stat, Zxid};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(digest: &Digest<'_>, facts: &Facts, found: &mut Findings) {
    let mut below: BTreeMap<&str, Vec<Child<'_>>> = BTreeMap::new();
    for (path, known) in &facts.paths {
        let name = path.rsplit('/').next().unwrap_or_default();
        below.entry(parent(path)).or_default().push(Child { name, known, gone: gone(known) });
    }
    // Lists at one point are one list.
    let mut seen: BTreeMap<(&str, Zxid, Zxid), (BTreeSet<&str>, usize)> = BTreeMap::new();
    for op in &digest.ops {
        let (Op::Children { path, .. }, Some(Answer::Children(names, stat))) = (op.what, op.answer()) else {
            continue;
        };
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        match seen.get(&(path.as_str(), stat.czxid, stat.pzxid)) {
            Some((same, _)) if *same == names => {}
            Some((_, line)) => {
                let what = format!("{path} has different children at {:#x}", stat.pzxid);
                found.add(Rule::Children, what, [*line, op.completed]);
            }
            None => {
                let known = below.get(path.as_str()).map(Vec::as_slice).unwrap_or_default();
                compare(digest, op, path, &names, stat, (facts.paths.get(path), known), found);
                seen.insert((path, stat.czxid, stat.pzxid), (names, op.completed));
            }
        }
    }
}

/// What is known of a child, and from when on it is gone for good.
struct Child<'f> {
    name: &'f str,
    known: &'f PathFacts,
    gone: Zxid,
}

/// From when on a znode that was created once, and deleted, is certainly gone.
fn gone(known: &PathFacts) -> Zxid {
    let creates = |change: &Change| matches!(change, Change::Create(_));
    let deletes = |change: &Change| matches!(change, Change::Delete(_));
    let mut facts = known.facts.iter();
    let (Some((zxid, fact)), None) = (facts.next(), facts.next()) else { return Zxid::MAX };
    let again = known.floats.iter().any(|float| float.changes.iter().any(creates));
    if again || !fact.changes.iter().all(creates) {
        return Zxid::MAX;
    }
    let deleted = known.floats.iter().filter(|float| {
        let write = matches!(float.source, Source::Write(_));
        write && float.certain && float.lo >= *zxid && float.changes.iter().all(deletes)
    });
    deleted.map(|float| float.hi).min().unwrap_or(Zxid::MAX)
}

fn compare(
    digest: &Digest<'_>,
    op: &Operation<'_>,
    path: &str,
    names: &BTreeSet<&str>,
    stat: &Stat,
    (parents, known): (Option<&PathFacts>, &[Child<'_>]),
    found: &mut Findings,
) {
    let at = stat.pzxid;
    // One of unknown fate may have made a child that another of the same number is known to have made at another time.
    let may_be_unknown =
        |name: &str| numbered(digest, path, name, |op| op.is_unknown() && op.zxid.is_none() && op.lo < at);
    // Most are long gone, and not listed.
    for Child { name, known: child, gone } in
        known.iter().filter(|child| at < child.gone || names.contains(child.name))
    {
        let there = if at < *gone { certainly(child, at) } else { Some(false) };
        let excused =
            || names.contains(name) && !is_given(digest, parents, child, stat.czxid) && may_be_unknown(name);
        if there.is_some_and(|there| there != names.contains(name)) && !excused() {
            let is = if names.contains(name) { "lists" } else { "does not list" };
            let what = format!("{} {is} {path}/{name} at {at:#x}", op.id);
            let fact = child.facts.range(..=at).next_back().or(child.facts.iter().next());
            let lines: Vec<_> =
                fact.map(|(_, fact)| fact.line).into_iter().chain([op.invoked, op.completed]).collect();
            found.add(Rule::Children, what, lines);
        }
    }
    let strange = names.iter().filter(|name| known.binary_search_by_key(name, |child| &child.name).is_err());
    for name in strange {
        let is_known = numbered(digest, path, name, |op| op.is_done() || op.is_unknown());
        if !is_known {
            let what = format!("{} lists {name} below {path}, which nobody created", op.id);
            found.add(Rule::Children, what, [op.invoked, op.completed]);
        }
    }
}

/// Whether a sequential creation is known to have been given this number below the parent that was created at `czxid`: no other
/// has it there, for numbers count up as long as the parent lives. One that was created again begins anew.
fn is_given(digest: &Digest<'_>, parents: Option<&PathFacts>, child: &PathFacts, czxid: Zxid) -> bool {
    let creates = |change: &Change| matches!(change, Change::Create(_));
    // Up to here the parent is certainly the same.
    let again = parents.map_or(Zxid::MAX, |parents| {
        let mut later = parents.facts.range(czxid.saturating_add(1)..);
        let fact = later.find(|(_, fact)| fact.changes.iter().any(creates));
        let floats = parents.floats.iter().filter(|one| one.hi > czxid && one.changes.iter().any(creates));
        let float = floats.map(|float| float.lo.max(czxid).saturating_add(1)).min();
        fact.map_or(Zxid::MAX, |(zxid, _)| *zxid).min(float.unwrap_or(Zxid::MAX))
    });
    child.facts.range(czxid..again).any(|(_, fact)| {
        let is_sequential =
            |step: &Op| matches!(step, Op::Create { mode: Mode { sequential: true, .. }, .. });
        fact.by.is_some_and(|by| digest.ops[by.0].what.steps().iter().any(is_sequential))
            && fact.changes.iter().any(creates)
    })
}

/// Whether one of these operations may have made this child, as a sequential znode that was given its number.
fn numbered(digest: &Digest<'_>, path: &str, name: &str, which: impl Fn(&Operation<'_>) -> bool) -> bool {
    let whole = format!("{}/{name}", path.trim_end_matches('/'));
    digest.ops.iter().filter(|op| which(op)).any(|op| {
        op.what.steps().iter().any(|step| {
            matches!(step, Op::Create { path, mode: Mode { sequential: true, .. }, .. } if is_numbered(&whole, path))
        })
    })
}

/// Whether the child is there at this point, if that is certain.
fn certainly(child: &PathFacts, at: Zxid) -> Option<bool> {
    let last = child.facts.range(..=at).next_back();
    let start = last.map_or(0, |(zxid, _)| *zxid);
    let end = child.next(at).map_or(Zxid::MAX, |(zxid, _)| zxid);
    let there = last.map_or(Some(false), |(_, fact)| is_there(fact))?;
    let turns = |change: &Change| match change {
        Change::Create(_) => !there,
        Change::Delete(_) => there,
        _ => false,
    };
    let maybe = child
        .floats
        .iter()
        .any(|float| float.changes.iter().any(turns) && float.lo < end && float.hi > start && float.lo < at);
    (!maybe).then_some(there)
}

/// The numbers of sequential znodes.
pub(crate) fn sequences(digest: &Digest<'_>, facts: &Facts, found: &mut Findings) {
    let mut below: BTreeMap<&str, Vec<(i64, &Operation<'_>)>> = BTreeMap::new();
    for op in digest.ops.iter().filter(|op| op.is_done()) {
        for (step, answer) in op.steps() {
            let (
                Op::Create { path: prefix, mode: Mode { sequential: true, .. }, .. },
                Some(Answer::Created(path, _)),
            ) = (step, answer)
            else {
                continue;
            };
            let number = path.strip_prefix(prefix.as_str()).filter(|_| is_numbered(path, prefix));
            match number.and_then(|digits| digits.parse().ok()) {
                Some(number) => below.entry(parent(path)).or_default().push((number, op)),
                None => {
                    let what = format!("{} asked for {prefix} and digits, and got {path}", op.id);
                    found.add(Rule::Sequence, what, [op.invoked, op.completed]);
                }
            }
        }
    }
    for (path, created) in below {
        let creations = facts.paths.get(path).map_or(0, |known| {
            let made = |change: &&Change| matches!(change, Change::Create(_));
            let facts = known.facts.values().flat_map(|fact| &fact.changes).filter(made).count();
            facts + known.floats.iter().flat_map(|float| &float.changes).filter(made).count()
        });
        // A parent that was made again begins to count again.
        if creations <= 1 {
            count_up(path, created, found);
        }
    }
}

fn count_up(parent: &str, mut created: Vec<(i64, &Operation<'_>)>, found: &mut Findings) {
    created.sort_by_key(|(number, op)| (*number, op.id));
    for pair in created.windows(2) {
        let [(first, one), (second, two)] = pair else { continue };
        let lines = [one.invoked, one.completed, two.invoked, two.completed];
        // Two of one transaction have one zxid and different numbers.
        let backwards = one.zxid.zip(two.zxid).is_some_and(|(one, two)| one > two);
        if first == second {
            found.add(Rule::Sequence, format!("{parent} gave the number {first} twice"), lines);
        } else if backwards || two.completed < one.invoked {
            found.add(Rule::Sequence, format!("{parent} gave {second} before {first}"), lines);
        }
    }
}
