//! What a seed draws before it begins: which faults there are at all, then how often, and the shape of everything else.

use std::time::Duration;

use menagerie_server::core::Like;

use crate::agenda::{MILLI, SECOND, Time};
use crate::chance::Chance;

/// Everything that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A connection is reset; what is under way is lost.
    Reset,
    /// A connection is closed by something between, behind what is under way.
    Close,
    /// A connection stands still both ways, and nobody closes it.
    Stall,
    /// Requests of a client do not reach a member.
    LosesRequests,
    /// Answers of a member do not reach a client.
    LosesAnswers,
    /// A client reaches nobody.
    CutOff,
    /// A client reaches nobody for longer than its session lives.
    CutOffLong,
    /// A member's port is closed.
    Refuse,
    /// Dials of a member are never answered.
    Swallow,
    /// A client's network is slow.
    Slow,
    /// Look-ups of a client are never answered.
    NamesHang,
    /// Look-ups of a client find nothing.
    NamesFail,
    /// Look-ups of a client find addresses where nobody is, too.
    NamesMove,
    /// A client's process stands still.
    Pause,
    /// A member takes the log in late.
    Lag,
    /// A member dies and comes back.
    Crash,
    /// The leader dies and comes back.
    LeaderCrash,
    /// All members die and come back.
    AllCrash,
    /// A member is cut off from the others.
    Isolate,
    /// The leader is cut off from the others.
    IsolateLeader,
    /// Most members are gone.
    NoQuorum,
    /// The leader ends a session before its time.
    Expire,
    /// A member stops reading.
    Throttle,
    /// A connection carries what no server says.
    Garbage,
    /// A member's wall clock jumps.
    ClockJumps,
}

/// All of them.
pub const FAULTS: [Fault; 25] = [
    Fault::Reset,
    Fault::Close,
    Fault::Stall,
    Fault::LosesRequests,
    Fault::LosesAnswers,
    Fault::CutOff,
    Fault::CutOffLong,
    Fault::Refuse,
    Fault::Swallow,
    Fault::Slow,
    Fault::NamesHang,
    Fault::NamesFail,
    Fault::NamesMove,
    Fault::Pause,
    Fault::Lag,
    Fault::Crash,
    Fault::LeaderCrash,
    Fault::AllCrash,
    Fault::Isolate,
    Fault::IsolateLeader,
    Fault::NoQuorum,
    Fault::Expire,
    Fault::Throttle,
    Fault::Garbage,
    Fault::ClockJumps,
];

/// What a seed draws.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Members of the ensemble.
    pub members: usize,
    /// Clients.
    pub clients: usize,
    /// The ensemble's unit of time.
    pub tick: Duration,
    /// How long the faults go on.
    pub active: Time,
    /// The faults there are, and how often each.
    pub faults: Vec<(u64, Fault)>,
    /// From one fault to the next, on average.
    pub fault_gap: Time,
    /// From one deed of a client to the next, on average.
    pub deed_gap: Time,
    /// One way through the network, at least and at most.
    pub latency: (Time, Time),
    /// From member to member, at least and at most.
    pub member_latency: (Time, Time),
    /// Of a hundred pieces, how many arrive in parts.
    pub segments: u64,
    /// Of a hundred writes, how many are taken in parts.
    pub partial_writes: u64,
    /// Timers are late by up to this.
    pub lateness: Time,
    /// Members without a quorum serve readers.
    pub read_only: bool,
    /// Znodes have many names, so that watches need several batches.
    pub long_paths: bool,
    /// Of a hundred clients, how many take part in long pipelines.
    pub pipelines: u64,
    /// Members are cut off for long while their clients, whose sessions are short, hold leases, read and sync.
    pub apart: bool,
    /// Which server the members are like.
    pub like: Like,
}

/// Of a hundred seeds, those in which members are apart for long.
const APART: u64 = 15;

/// The faults of those.
const FAULTS_APART: [(u64, Fault); 8] = [
    (8, Fault::Isolate),
    (3, Fault::IsolateLeader),
    (4, Fault::Reset),
    (2, Fault::Refuse),
    (2, Fault::LosesAnswers),
    (1, Fault::CutOffLong),
    (1, Fault::Lag),
    (1, Fault::Garbage),
];

impl Plan {
    /// Draws one.
    #[must_use]
    pub fn draw(chance: &mut Chance) -> Self {
        let mut faults = Vec::new();
        for fault in FAULTS {
            if chance.percent(40) {
                faults.push((chance.between(1, 10), fault));
            }
        }
        // A run without any fault that hits a connection would prove little.
        faults.push((chance.between(2, 8), Fault::Reset));
        let fast = chance.percent(70);
        let latency = if fast { (100, 2 * MILLI) } else { (5 * MILLI, 80 * MILLI) };
        let members_far = chance.percent(20);
        let plan = Self {
            members: if chance.percent(85) { 3 } else { 5 },
            clients: usize::try_from(chance.between(3, 8)).unwrap_or(3),
            tick: Duration::from_millis(
                chance.weighted(&[(2, 500), (3, 1_000), (2, 2_000)]).unwrap_or(1_000),
            ),
            active: chance.between(90, 200) * SECOND,
            faults,
            fault_gap: chance.between(500, 8_000) * MILLI,
            deed_gap: chance.between(100, 1_500) * MILLI,
            latency,
            member_latency: if members_far { (10 * MILLI, 60 * MILLI) } else { (200, 3 * MILLI) },
            segments: chance.weighted(&[(3, 0), (2, 10), (1, 60)]).unwrap_or(0),
            partial_writes: chance.weighted(&[(2, 0), (2, 10), (1, 40)]).unwrap_or(0),
            lateness: chance.weighted(&[(3, 0), (2, 5 * MILLI), (1, 60 * MILLI)]).unwrap_or(0),
            read_only: chance.percent(40),
            long_paths: chance.percent(8),
            pipelines: chance.between(0, 60),
            apart: false,
            like: chance.weighted(&[(3, Like::V3_9), (1, Like::V3_8)]).unwrap_or_default(),
        };
        if chance.percent(APART) { plan.apart(chance) } else { plan }
    }

    fn apart(self, chance: &mut Chance) -> Self {
        Self {
            faults: FAULTS_APART.to_vec(),
            fault_gap: chance.between(2_000, 8_000) * MILLI,
            deed_gap: chance.between(50, 300) * MILLI,
            read_only: chance.percent(70),
            apart: true,
            ..self
        }
    }
}
