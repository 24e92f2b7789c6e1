//! What happens when: an ordered list of things to come. What falls on the same moment happens in the order in which it was put down.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use menagerie::session::{ConnId, DialId};

/// Microseconds since the run began.
pub type Time = u64;

/// Microseconds in a millisecond.
pub const MILLI: Time = 1_000;
/// Microseconds in a second.
pub const SECOND: Time = 1_000_000;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From a client to a member.
    Up,
    /// From a member to a client.
    Down,
}

/// What becomes of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// The member says what it is.
    True,
    /// It says that it writes, whatever it is.
    Boasts,
    /// It says what no server says, or nothing before it closes.
    Nonsense,
    /// Nobody is there.
    Nobody,
}

/// Something to come. Each names what it is about; what is over by then is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A client's next timer is due.
    ClientTimer(usize),
    /// A client does something.
    ClientActs(usize),
    /// A look-up of a client's session, the so-manieth of its, is answered.
    Resolved(usize, u64, DialId),
    /// A dial of a client's session is answered.
    Dialled(usize, u64, ConnId),
    /// A dial of a process outside is answered, on that wire.
    DialledOutside(usize),
    /// A probe of a member by a client's session is answered.
    Probed(usize, u64, ConnId, usize, Probe),
    /// Bytes of a wire arrive.
    Deliver(usize, Way),
    /// A transport that took a part takes more.
    TakeMore(usize),
    /// A member's next timer is due.
    MemberTimer(usize),
    /// A word from its leader arrives at a member.
    FromLeader(usize),
    /// A word of a member arrives at its leader.
    ToLeader(usize),
    /// The leader's oldest proposal has its quorum.
    Quorum,
    /// Half a tick of the ensemble's.
    Tick,
    /// A member that was cut off at that count gives its leader up.
    GivesUp(usize, u64),
    /// Members without a leader look for one.
    Election,
    /// A member that is not serving joins the leader.
    Joins(usize),
    /// A member that found no quorum for long serves readers.
    GoesReadOnly(usize, u64),
    /// The next fault.
    Fault,
    /// A fault ends.
    FaultEnds(usize),
    /// No more faults.
    Heal,
}

/// The list.
#[derive(Debug, Default)]
pub struct Agenda {
    heap: BinaryHeap<Reverse<(Time, u64, Event)>>,
    count: u64,
}

impl Agenda {
    /// Puts something down.
    pub fn at(&mut self, time: Time, event: Event) {
        self.count += 1;
        self.heap.push(Reverse((time, self.count, event)));
    }

    /// When the next thing is.
    #[must_use]
    pub fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((time, _, _))| *time)
    }

    /// The next thing.
    pub fn pop(&mut self) -> Option<(Time, Event)> {
        self.heap.pop().map(|Reverse((time, _, event))| (time, event))
    }
}
