//! The writes of one path, in the order of their zxids: do they make sense, and do those without a zxid fit between?
//!
//! A depth-first search in the manner of Wing and Gong, with Lowe's memory of dead ends. The known zxids leave it little to
//! choose: facts come in their order, and a float only where its bounds allow and where it helps.

use super::{
    Findings, Rule,
    digest::Digest,
    facts::{Change, Fact, Float, PathFacts, Source},
};
use crate::record::{Session, Zxid};
use std::collections::BTreeSet;

/// Steps of a search before it is given up.
const PATIENCE: usize = 300_000;

/// A znode as the search sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    /// `None` if a float made it.
    czxid: Option<Zxid>,
    version: i32,
    owner: Session,
}

/// How far the search is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Facts behind us.
    facts: usize,
    /// Floats that were used, a bit each.
    used: Vec<u64>,
    node: Option<Node>,
    /// The zxid that has passed.
    past: Zxid,
}

impl Place {
    fn has(&self, float: usize) -> bool {
        self.used.get(float / 64).is_some_and(|word| word >> (float % 64) & 1 == 1)
    }

    fn with(&self, float: usize) -> Vec<u64> {
        let mut used = self.used.clone();
        if let Some(word) = used.get_mut(float / 64) {
            *word |= 1 << (float % 64);
        }
        used
    }
}

struct Search<'p> {
    facts: Vec<(Zxid, &'p Fact)>,
    floats: &'p [Float],
}

/// What a change makes of a node; `Err` if it cannot be.
fn apply(node: Option<Node>, change: Change, zxid: Option<Zxid>) -> Result<Option<Node>, ()> {
    let fits = |node: Node, version: i32| version == -1 || version == node.version;
    match (change, node) {
        (Change::Create(owner), None) => Ok(Some(Node { czxid: zxid, version: 0, owner })),
        (Change::Set(version), Some(node)) if fits(node, version) => {
            Ok(Some(Node { version: node.version.wrapping_add(1), ..node }))
        }
        (Change::Delete(version), Some(node)) if fits(node, version) => Ok(None),
        (Change::Check(version), Some(node)) if fits(node, version) => Ok(Some(node)),
        _ => Err(()),
    }
}

fn apply_all(node: Option<Node>, changes: &[Change], zxid: Option<Zxid>) -> Result<Option<Node>, ()> {
    changes.iter().try_fold(node, |node, change| apply(node, *change, zxid))
}

impl Search<'_> {
    fn next_zxid(&self, place: &Place) -> Zxid {
        self.facts.get(place.facts).map_or(Zxid::MAX, |(zxid, _)| *zxid)
    }

    /// The next fact by itself.
    fn take_fact(&self, place: &Place) -> Option<Place> {
        let (zxid, fact) = self.facts.get(place.facts)?;
        if fact.by.is_none() || self.is_one_missing(place, *zxid, None) {
            return None;
        }
        let node = apply_all(place.node, &fact.changes, Some(*zxid)).ok()?;
        self.arrive(place, node, place.used.clone())
    }

    /// The next fact, nobody's so far, as the doing of a float.
    fn take_fact_by(&self, place: &Place, index: usize, float: &Float) -> Option<Place> {
        let (zxid, fact) = self.facts.get(place.facts).filter(|(_, fact)| fact.by.is_none())?;
        let kind = |change: &Change| std::mem::discriminant(change);
        let does =
            fact.changes.iter().all(|seen| float.changes.iter().any(|change| kind(seen) == kind(change)));
        if !does || *zxid <= float.lo || *zxid >= float.hi || self.is_one_missing(place, *zxid, Some(index)) {
            return None;
        }
        let node = match float.source {
            Source::End(owner) if place.node.is_some_and(|node| node.owner != owner) => return None,
            _ => apply_all(place.node, &float.changes, Some(*zxid)).ok()?,
        };
        self.arrive(place, node, place.with(index))
    }

    /// The place behind a fact, if what was seen there agrees.
    fn arrive(&self, place: &Place, node: Option<Node>, used: Vec<u64>) -> Option<Place> {
        let (zxid, fact) = self.facts.get(place.facts)?;
        if let Some(seen) = fact.seen {
            let node = node?;
            let same = (node.czxid, node.version, node.owner) == (Some(seen.czxid), seen.version, seen.owner);
            if !same {
                return None;
            }
        }
        Some(Place { facts: place.facts + 1, used, node, past: *zxid })
    }

    /// A float between two facts.
    fn take_float(&self, place: &Place, index: usize, float: &Float) -> Option<Place> {
        let past = place.past.max(float.lo).checked_add(1)?;
        if past >= float.hi.min(self.next_zxid(place)) || self.overtakes(place, float) {
            return None;
        }
        let node = match float.source {
            Source::End(owner) if place.node.is_none_or(|node| node.owner != owner) => place.node,
            _ => apply_all(place.node, &float.changes, None).ok()?,
        };
        Some(Place { facts: place.facts, used: place.with(index), node, past })
    }

    /// Whether something that was done before this float began is still to be placed.
    fn overtakes(&self, place: &Place, float: &Float) -> bool {
        let mut all = self.floats.iter().enumerate();
        all.any(|(other, each)| each.certain && !place.has(other) && each.completed < float.invoked)
    }

    /// Whether a float that is certain would be left behind by going on to `zxid`.
    fn is_one_missing(&self, place: &Place, zxid: Zxid, besides: Option<usize>) -> bool {
        let mut all = self.floats.iter().enumerate();
        all.any(|(index, float)| {
            float.certain && float.hi <= zxid && !place.has(index) && Some(index) != besides
        })
    }

    fn is_end(&self, place: &Place) -> bool {
        place.facts == self.facts.len()
            && self.floats.iter().enumerate().all(|(index, float)| !float.certain || place.has(index))
    }

    /// All that may come next but the next fact by itself.
    fn others(&self, place: &Place) -> Vec<Place> {
        let floats = || self.floats.iter().enumerate().filter(|(index, _)| !place.has(*index));
        let by = floats().filter_map(|(index, float)| self.take_fact_by(place, index, float));
        let between = floats().filter_map(|(index, float)| self.take_float(place, index, float));
        let mut next: Vec<_> = by.chain(between).collect();
        // The first is taken from the end.
        next.reverse();
        next
    }

    /// The facts that can be explained, of all, and whether the end was reached; `None` if patience ran out.
    fn run(&self) -> Option<Result<(), Place>> {
        let used = vec![0; self.floats.len().div_ceil(64)];
        let start = Place { facts: 0, used, node: None, past: 0 };
        let mut deepest = start.clone();
        let mut dead = BTreeSet::new();
        // Each place with what is still to be tried from there; `None` before the first look beyond the fact.
        let mut trail: Vec<(Place, Option<Vec<Place>>)> = vec![(start, None)];
        let mut fresh = true;
        for _ in 0..PATIENCE {
            let Some((place, others)) = trail.last_mut() else { return Some(Err(deepest)) };
            if fresh {
                if self.is_end(place) {
                    return Some(Ok(()));
                }
                if place.facts > deepest.facts {
                    deepest = place.clone();
                }
                if let Some(next) = self.take_fact(place) {
                    trail.push((next, None));
                    continue;
                }
            }
            let next = others.get_or_insert_with(|| self.others(place)).pop();
            match next.filter(|next| !dead.contains(next)) {
                Some(next) => {
                    trail.push((next, None));
                    fresh = true;
                }
                None if others.as_ref().is_some_and(|others| !others.is_empty()) => fresh = false,
                None => {
                    if let Some((place, _)) = trail.pop() {
                        dead.insert(place);
                    }
                    fresh = false;
                }
            }
        }
        None
    }
}

/// Checks one path. False if the search was given up.
pub(crate) fn check(digest: &Digest<'_>, path: &str, known: &PathFacts, found: &mut Findings) -> bool {
    let facts: Vec<_> = known.facts.iter().map(|(zxid, fact)| (*zxid, fact)).collect();
    let search = Search { facts, floats: &known.floats };
    match search.run() {
        None => false,
        Some(Ok(())) => true,
        Some(Err(deepest)) => {
            explain(digest, path, &search, &deepest, found);
            true
        }
    }
}

fn explain(digest: &Digest<'_>, path: &str, search: &Search<'_>, at: &Place, found: &mut Findings) {
    let before = at.facts.checked_sub(1).and_then(|index| search.facts.get(index));
    let next = search.facts.get(at.facts);
    let owner = at.node.map_or(0, |node| node.owner);
    let goes = |(_, fact): &&(Zxid, &Fact)| {
        fact.changes.iter().any(|change| matches!(change, Change::Create(_) | Change::Delete(_)))
    };
    let ephemeral = owner != 0 && (next.is_none() || next.filter(goes).is_some());
    let rule = if ephemeral { Rule::Ephemeral } else { Rule::Register };
    let state = match at.node {
        None => String::from("not there"),
        Some(node) => format!("there in version {}, owner {:#x}", node.version, node.owner),
    };
    let what = match next {
        Some((zxid, fact)) => {
            let seen = fact.seen.map(|seen| format!(", seen as {seen:?}")).unwrap_or_default();
            let what =
                format!("{path} is {state} at {:#x}; then comes {:?} at {zxid:#x}", at.past, fact.changes);
            format!("{what}{seen}, which does not fit, whatever of unknown outcome is put between")
        }
        None => format!("{path} is {state} at {:#x}; what was done besides does not fit anywhere", at.past),
    };
    let mut lines: Vec<_> = before.into_iter().chain(next).map(|(_, fact)| fact.line).collect();
    let writers = before.into_iter().chain(next).filter_map(|(_, fact)| fact.by);
    lines.extend(writers.map(|by| digest.ops[by.0].completed));
    let next_zxid = search.next_zxid(at);
    let near = search
        .floats
        .iter()
        .enumerate()
        .filter(|(index, float)| !at.has(*index) && float.lo < next_zxid && float.hi > at.past);
    for (_, float) in near.take(6) {
        lines.extend([float.invoked, float.completed]);
    }
    found.add(rule, what, lines);
}
