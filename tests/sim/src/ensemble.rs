//! The ensemble: one log, the members that take it in, and the leader that keeps it and the time of the sessions.
//!
//! Elections and acknowledgements are not played out: who leads and what survives is drawn, within what the protocol allows.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use menagerie_jute::Id;
use menagerie_server::core::{ConnectionId, Core, Proposal, ProposalId, Rules, Txn, Wish};

use crate::agenda::{MILLI, Time};

/// A request of a client's, by its place in the ledger.
pub type Token = u32;

/// Followers and leaders that hear nothing of each other give up after so many ticks.
pub const SYNC_LIMIT_TICKS: u64 = 5;

/// One entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it says.
    pub txn: Txn,
    /// Where it was asked for.
    pub origin: Option<(usize, ProposalId)>,
}

/// What a member is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its process is gone.
    Down,
    /// It has no leader and serves nobody.
    Looking,
    /// It has no leader and serves readers.
    ReadOnly,
    /// It follows the leader of that epoch.
    Following(i64),
    /// It leads that epoch, or thinks so.
    Leading(i64),
}

/// What a leader says to a member.
#[derive(Debug, Clone, Copy)]
pub enum Word {
    /// The entry of that place in the log is committed.
    Commit(usize),
    /// Whether a session lives.
    Attached(ProposalId, Option<i32>),
    /// The answer to a sync.
    Synced(ProposalId),
}

/// One server.
#[derive(Debug)]
pub struct Member {
    /// The server itself.
    pub core: Core,
    /// What it is doing.
    pub role: Role,
    /// Entries of the log taken in.
    pub applied: usize,
    /// What its leader said, and when it arrives.
    pub inbox: VecDeque<(Time, Word)>,
    /// What it asked its leader, and when it arrives.
    pub outbox: VecDeque<(Time, Proposal)>,
    /// Cut off from the other members by so many faults.
    pub cut: u32,
    /// How often it was cut off.
    pub cuts: u64,
    /// Since when it looks for a leader, counted.
    pub looks: u64,
    /// Held down by so many faults.
    pub down: u32,
    /// Its port is closed.
    pub refuses: u32,
    /// Dials are not answered.
    pub swallows: u32,
    /// The log comes later by this.
    pub lag: Time,
    /// Its connections.
    pub wires: BTreeMap<ConnectionId, usize>,
    /// When it is to be called next.
    pub armed: Time,
    /// How far its wall clock is from the true time.
    pub clock_millis: i64,
}

/// A proposal at the leader.
#[derive(Debug)]
pub struct Queued {
    /// When it has its quorum.
    pub due: Time,
    /// The member that asked and what it calls it; none for the leader's own.
    pub origin: Option<(usize, ProposalId)>,
    /// The session that asks, or that begins or ends.
    pub session: i64,
    /// Who asks.
    pub ids: Vec<Id>,
    /// What.
    pub wish: Wish,
    /// The client's request in it.
    pub token: Option<Token>,
    /// The session belonged to another member when it came.
    pub fenced: bool,
    /// Others than the leader may have it.
    pub replicated: bool,
}

impl Default for Queued {
    fn default() -> Self {
        Self {
            due: 0,
            origin: None,
            session: 0,
            ids: Vec::new(),
            wish: Wish::Sync,
            token: None,
            fenced: false,
            replicated: false,
        }
    }
}

/// A session, as the leader knows it.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// As granted.
    pub timeout: Time,
    /// When it expires if it is not heard of.
    pub due: Time,
    /// The member that it is connected to.
    pub owner: Option<usize>,
    /// Its end is proposed.
    pub ending: bool,
}

/// All of it.
#[derive(Debug)]
pub struct Ensemble {
    /// The members.
    pub members: Vec<Member>,
    /// What is committed.
    pub log: Vec<Entry>,
    /// Which leader, counted; it stands in the upper half of every zxid.
    pub epoch: i64,
    /// The leader that a quorum follows or last followed.
    pub leader: Option<usize>,
    /// What the leader has taken and has no quorum yet.
    pub queue: VecDeque<Queued>,
    /// The same of a leader that has no quorum any more: lost as it steps down.
    pub last_due: Time,
    /// The sessions, as the leader knows them.
    pub tracked: BTreeMap<i64, Tracked>,
    /// How requests are judged.
    pub rules: Rules,
    /// The unit of time.
    pub tick: Time,
    /// An election is on its way.
    pub electing: bool,
}

impl Ensemble {
    /// How many make a quorum.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Whether the leader and those who follow it and hear of it are a quorum.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        let Some(leader) = self.leader else { return false };
        if self.members[leader].cut > 0 || self.members[leader].role != Role::Leading(self.epoch) {
            return false;
        }
        let follows = |member: &&Member| member.cut == 0 && member.role == Role::Following(self.epoch);
        self.members.iter().filter(follows).count() + 1 >= self.majority()
    }

    /// The end of a session heard of now, rounded as the leader does.
    #[must_use]
    pub fn due(&self, now: Time, timeout: Time) -> Time {
        ((now + timeout) / self.tick + 1) * self.tick
    }

    /// How long members bear silence of each other.
    #[must_use]
    pub fn patience(&self) -> Time {
        self.tick * SYNC_LIMIT_TICKS
    }
}

/// A duration in the run's unit.
#[must_use]
pub fn micros(duration: Duration) -> Time {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / MILLI) * MILLI
}
