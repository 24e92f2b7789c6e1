//! What a registry goes through seldom, and must.

use std::collections::BTreeMap;
use std::fmt;

use crate::agenda::{SECOND, Time};
use crate::census::Census;

/// States that are seldom reached and must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rare {
    /// A registration found another instance's leaf in its place.
    ForeignConflict,
    /// A registration found that a living twin has taken its leaf.
    TwinConflict,
    /// A leaf of another session was taken over in one transaction.
    Takeover,
    /// A registration in conflict came to stand.
    ConflictResolved,
    /// A registration stood again in a new session.
    BackAfterExpiry,
    /// A leaf that others deleted came back in the same session.
    BackAfterDeletion,
    /// A view was stale and fresh again.
    StaleThenFresh,
    /// The directory of a view went and came back.
    RootGoneAndBack,
}

/// All of them.
pub const RARE: [Rare; 8] = [
    Rare::ForeignConflict,
    Rare::TwinConflict,
    Rare::Takeover,
    Rare::ConflictResolved,
    Rare::BackAfterExpiry,
    Rare::BackAfterDeletion,
    Rare::StaleThenFresh,
    Rare::RootGoneAndBack,
];

/// Figures of one run.
#[derive(Debug, Default, Clone)]
pub struct Figures {
    /// What was reached, how often.
    pub reached: BTreeMap<Rare, u64>,
    /// Sets that views published.
    pub sets: u64,
    /// How long behind the last fault everything was as wished.
    pub settled: Time,
}

/// Figures of many runs.
#[derive(Debug, Default)]
pub struct Sums {
    seeds: u64,
    reached: BTreeMap<Rare, u64>,
    sets: u64,
    entries: u64,
    simulated: Time,
    longest: Time,
}

impl Sums {
    /// Adds a run.
    pub fn add(&mut self, census: &Census, figures: &Figures) {
        self.seeds += 1;
        self.sets += figures.sets;
        self.entries += census.entries;
        self.simulated += census.simulated;
        self.longest = self.longest.max(figures.settled);
        for rare in figures.reached.keys() {
            *self.reached.entry(*rare).or_default() += 1;
        }
    }

    /// States that less than a thousandth of the seeds reached.
    #[must_use]
    pub fn missing(&self) -> Vec<Rare> {
        let few = |rare: &Rare| self.reached.get(rare).copied().unwrap_or(0) * 1_000 < self.seeds.max(1);
        RARE.into_iter().filter(few).collect()
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated / SECOND / 3_600;
        write!(f, "registry seeds {}, simulated hours {hours}, log entries {}, ", self.seeds, self.entries)?;
        write!(f, "sets published {}, longest settling {} s; ", self.sets, self.longest / SECOND)?;
        f.write_str("states (seeds that reached them):")?;
        for rare in RARE {
            write!(f, " {rare:?} {}", self.reached.get(&rare).unwrap_or(&0))?;
        }
        Ok(())
    }
}
