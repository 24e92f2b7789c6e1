//! What occurred: figures of one run, and of many.

use std::collections::BTreeMap;
use std::fmt;

use crate::agenda::{SECOND, Time};
use crate::plan::Fault;

/// States that are seldom reached and must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// A request completed with unknown fate.
    UnknownFate,
    /// One of unknown fate was found in the log.
    UnknownApplied,
    /// One of unknown fate never came to the log.
    UnknownNotApplied,
    /// Contact was lost for 4/3 of the timeout.
    Lost,
    /// A lost session was taken up again.
    LostThenReattached,
    /// A session expired at the leader.
    ExpiredByLeader,
    /// A client was told that its session had expired.
    Expired,
    /// A connection went between two batches of watches.
    CutBetweenBatches,
    /// A client was connected to a read-only member.
    ReadOnly,
    /// A client went from a read-only member to one that writes, by a new session: the one begun there is known nowhere else,
    /// and those that others know are refused there.
    ReadOnlyThenReadWrite,
    /// A probe found a member that writes, and the session begun at a read-only one was left for it.
    WriterFound,
    /// A probe of a member had a wrong answer, or none.
    ProbeMisled,
    /// Most members were gone.
    NoQuorum,
    /// A leader was followed by another.
    LeaderChange,
    /// A deposed leader answered a sync.
    SyncByDeposed,
    /// A member closed on a client that was ahead of it.
    ZxidAhead,
    /// A write came through a connection whose session had moved.
    SessionMoved,
    /// A session went on at another member.
    Moved,
    /// A write survived the leader that had taken it.
    SurvivedLeader,
    /// Writes went with the leader that had taken them.
    LostWithLeader,
    /// A watch fired as it was set again.
    CaughtUp,
    /// A lasting watch had a gap.
    Gap,
    /// A lease was held and ran out or was renewed until the end.
    Leased,
    /// A session was closed with the server's word.
    Closed,
    /// A session was closed without it.
    ClosedUnconfirmed,
    /// A session was resumed by another process.
    Resumed,
    /// A server broke the protocol.
    Violation,
    /// A request was cancelled on its way.
    CancelledOnItsWay,
    /// A request's deadline passed on its way.
    DeadlineOnItsWay,
    /// A pipeline was cut in two.
    PipelineCut,
}

/// All of them.
pub const STATES: [State; 30] = [
    State::UnknownFate,
    State::UnknownApplied,
    State::UnknownNotApplied,
    State::Lost,
    State::LostThenReattached,
    State::ExpiredByLeader,
    State::Expired,
    State::CutBetweenBatches,
    State::ReadOnly,
    State::ReadOnlyThenReadWrite,
    State::WriterFound,
    State::ProbeMisled,
    State::NoQuorum,
    State::LeaderChange,
    State::SyncByDeposed,
    State::ZxidAhead,
    State::SessionMoved,
    State::Moved,
    State::SurvivedLeader,
    State::LostWithLeader,
    State::CaughtUp,
    State::Gap,
    State::Leased,
    State::Closed,
    State::ClosedUnconfirmed,
    State::Resumed,
    State::Violation,
    State::CancelledOnItsWay,
    State::DeadlineOnItsWay,
    State::PipelineCut,
];

/// Figures of one run.
#[derive(Debug, Default, Clone)]
pub struct Census {
    /// How long it was, in the run's own time.
    pub simulated: Time,
    /// Members and clients.
    pub members: usize,
    /// Clients.
    pub clients: usize,
    /// Requests answered, with success or refused.
    pub completed: u64,
    /// Requests that came back without an answer.
    pub failed: u64,
    /// Open connections that a fault hit.
    pub hits: u64,
    /// Events told to watchers.
    pub events: u64,
    /// Entries of the log.
    pub entries: u64,
    /// Connections accepted.
    pub connects: u64,
    /// Operations whose history was checked.
    pub checked: u64,
    /// Of them, syncs that were held to their bound.
    pub syncs: u64,
    /// Paths of a history that nothing is said of.
    pub undecided: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Rare states by how often.
    pub states: BTreeMap<State, u64>,
    /// What everything that happened comes to.
    pub hash: u64,
}

impl Census {
    /// A rare state was reached.
    pub fn reach(&mut self, state: State) {
        *self.states.entry(state).or_default() += 1;
    }

    /// Whether the run is long and hard enough to be counted.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.simulated >= 30 * SECOND
            && self.members >= 3
            && self.clients >= 3
            && self.completed >= 50
            && self.hits >= 2
    }
}

/// Figures of many runs.
#[derive(Debug, Default)]
pub struct Totals {
    seeds: u64,
    small: u64,
    simulated: u64,
    all: Census,
    seconds: Vec<u64>,
    completed: Vec<u64>,
    hits: Vec<u64>,
    reached: BTreeMap<State, u64>,
    /// Seeds that found something.
    pub violations: u64,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, run: &Census) {
        if !run.counts() {
            self.small += 1;
            return;
        }
        self.seeds += 1;
        self.simulated += run.simulated;
        self.seconds.push(run.simulated / SECOND);
        self.completed.push(run.completed);
        self.hits.push(run.hits);
        self.all.completed += run.completed;
        self.all.failed += run.failed;
        self.all.events += run.events;
        self.all.entries += run.entries;
        self.all.connects += run.connects;
        self.all.steps += run.steps;
        self.all.checked += run.checked;
        self.all.syncs += run.syncs;
        self.all.undecided += run.undecided;
        for (fault, count) in &run.faults {
            *self.all.faults.entry(*fault).or_default() += count;
        }
        for (state, count) in &run.states {
            *self.all.states.entry(*state).or_default() += count;
            *self.reached.entry(*state).or_default() += 1;
        }
    }

    /// Adds the runs of another thread.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.small += other.small;
        self.simulated += other.simulated;
        self.violations += other.violations;
        self.seconds.extend(other.seconds);
        self.completed.extend(other.completed);
        self.hits.extend(other.hits);
        self.all.completed += other.all.completed;
        self.all.failed += other.all.failed;
        self.all.events += other.all.events;
        self.all.entries += other.all.entries;
        self.all.connects += other.all.connects;
        self.all.steps += other.all.steps;
        self.all.checked += other.all.checked;
        self.all.syncs += other.all.syncs;
        self.all.undecided += other.all.undecided;
        for (fault, count) in other.all.faults {
            *self.all.faults.entry(fault).or_default() += count;
        }
        for (state, count) in other.all.states {
            *self.all.states.entry(state).or_default() += count;
        }
        for (state, count) in other.reached {
            *self.reached.entry(state).or_default() += count;
        }
    }

    /// Simulated seconds in all.
    #[must_use]
    pub fn simulated_seconds(&self) -> u64 {
        self.simulated / SECOND
    }

    /// States that less than a thousandth of the seeds reached.
    #[must_use]
    pub fn missing(&self) -> Vec<State> {
        let rare = |state: &State| self.reached.get(state).copied().unwrap_or(0) * 1_000 < self.seeds.max(1);
        STATES.into_iter().filter(rare).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated / SECOND / 360;
        write!(
            f,
            "seeds {} (too small to count: {}), simulated hours {}.{}, ",
            self.seeds,
            self.small,
            hours / 10,
            hours % 10
        )?;
        write!(f, "medians of a seed: seconds {}, ", median(&self.seconds))?;
        write!(f, "operations completed {}, ", median(&self.completed))?;
        write!(f, "faults that hit an open connection {}; ", median(&self.hits))?;
        let all = &self.all;
        write!(f, "operations completed {}, without answer {}, ", all.completed, all.failed)?;
        write!(f, "events {}, log entries {}, connects {}; ", all.events, all.entries, all.connects)?;
        write!(f, "operations history-checked {}, ", all.checked)?;
        write!(f, "syncs held to their bound {}, paths undecided {}; ", all.syncs, all.undecided)?;
        write!(f, "violations {}; faults:", self.violations)?;
        for (fault, count) in &all.faults {
            write!(f, " {fault:?} {count}")?;
        }
        f.write_str("; states (seeds that reached them):")?;
        for state in STATES {
            write!(f, " {state:?} {}", self.reached.get(&state).unwrap_or(&0))?;
        }
        Ok(())
    }
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}
