//! At which points of history an answer about a path is true. Where something of the path is not known, every point counts
//! at which it may be true: a checker must not cry wolf.

use super::facts::{Change, Fact, Float, PathFacts};
use crate::record::{Stat, Zxid};

/// What is asked of a path at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is not there.
    Absent,
    /// It is there.
    Present,
    /// It is there, in another version.
    NotVersion(i32),
}

/// Whether a change takes away, brings, or alters.
fn removes(float: &Float) -> bool {
    float.changes.iter().any(|change| matches!(change, Change::Delete(_)))
}

fn brings(float: &Float) -> bool {
    float.changes.iter().any(|change| matches!(change, Change::Create(_)))
}

fn alters(float: &Float) -> bool {
    float.changes.iter().any(|change| !matches!(change, Change::Check(_)))
}

/// Whether the znode is there behind a fact, if that is certain: of what nobody is known to have done, a part may be all
/// that was told.
pub(crate) fn is_there(fact: &Fact) -> Option<bool> {
    if fact.seen.is_some() {
        return Some(true);
    }
    fact.by?;
    let last = fact.changes.iter().rfind(|change| !matches!(change, Change::Check(_)));
    Some(matches!(last, Some(Change::Create(_) | Change::Set(_))))
}

impl PathFacts {
    /// Behind the last point at which the znode is as `stat` says.
    pub(crate) fn end_of(&self, stat: &Stat) -> Zxid {
        let changes = |fact: &Fact| fact.changes.iter().any(|change| !matches!(change, Change::Check(_)));
        let mut behind = self.facts.range(stat.mzxid.saturating_add(1)..);
        let next = behind.find(|(_, fact)| changes(fact)).map_or(Zxid::MAX, |(zxid, _)| *zxid);
        let floats = self.floats.iter().filter(|float| {
            float.certain && alters(float) && float.lo >= stat.mzxid && !self.is_end_of_another(float, stat)
        });
        floats.map(|float| float.hi).fold(next, Zxid::min)
    }

    fn is_end_of_another(&self, float: &Float, stat: &Stat) -> bool {
        matches!(float.source, super::facts::Source::End(owner) if owner != stat.owner)
    }

    /// The first point from `base` on, and before `hi`, at which the claim may be true.
    pub(crate) fn first(&self, claim: Claim, base: Zxid, hi: Zxid) -> Option<Zxid> {
        // The stretch that `base` lies in, and those behind it.
        let from = self.facts.range(..=base).next_back().map_or(0, |(zxid, _)| *zxid);
        let facts = self.facts.range(from..).map(|(zxid, fact)| (*zxid, Some(fact)));
        let beginning = (from == 0 && !self.facts.contains_key(&0)).then_some((0, None));
        for (start, fact) in beginning.into_iter().chain(facts) {
            if start >= hi {
                return None;
            }
            let end = self.next(start).map_or(Zxid::MAX, |(zxid, _)| zxid);
            let point = self.first_between(claim, fact, start, end, base);
            if let Some(point) = point.filter(|point| *point < hi) {
                return Some(point);
            }
        }
        None
    }

    /// The first point of one stretch between two facts.
    fn first_between(
        &self,
        claim: Claim,
        fact: Option<&Fact>,
        start: Zxid,
        end: Zxid,
        base: Zxid,
    ) -> Option<Zxid> {
        let there = fact.map_or(Some(false), is_there);
        let version = fact.and_then(|fact| fact.seen).map(|seen| seen.version);
        let at_once = match claim {
            Claim::Absent => there != Some(true),
            Claim::Present => there != Some(false),
            Claim::NotVersion(not) => there != Some(false) && version != Some(not),
        };
        let makes_true = |float: &Float| match claim {
            Claim::Absent => removes(float),
            Claim::Present => brings(float),
            Claim::NotVersion(_) => alters(float),
        };
        if at_once {
            // Until something that is certain makes it false, unless something may make it true again.
            let makes_false = |float: &Float| match claim {
                Claim::Absent => brings(float),
                _ => removes(float) && matches!(float.source, super::facts::Source::Write(_)),
            };
            let again = self.floats.iter().any(makes_true);
            let ends = self
                .floats
                .iter()
                .filter(|float| !again && float.certain && float.lo >= start && makes_false(float));
            let end = ends.map(|float| float.hi).fold(end, Zxid::min);
            return Some(base.max(start)).filter(|point| *point < end);
        }
        let points = self.floats.iter().filter(|float| makes_true(float)).filter_map(|float| {
            let point = base.max(start.max(float.lo).checked_add(1)?);
            let first = start.max(float.lo).checked_add(1)?;
            (first < end.min(float.hi) && point < end).then_some(point)
        });
        points.min()
    }
}
