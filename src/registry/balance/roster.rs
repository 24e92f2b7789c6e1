//! The pool and what goes with it, as it stands between two changes, for all pickers of a view.

use std::sync::Arc;
use std::time::Instant;

use super::health::{Health, PassedOver};
use super::load::Load;
use super::pool::{Member, Pool};
use super::ring::Ring;
use super::{Balance, Balancing};
use crate::registry::model::Instance;
use crate::registry::view::Set;

/// What a picker works with until something changes.
#[derive(Debug, Default)]
pub(in crate::registry) struct Roster {
    pub(in crate::registry) pool: Arc<Pool>,
    pub(in crate::registry) ring: Option<RingRoster>,
    /// When it is out of date by itself.
    pub(in crate::registry) due: Option<Instant>,
}

/// The ring of all that are up, of which some are passed over.
#[derive(Debug)]
pub(in crate::registry) struct RingRoster {
    ring: Arc<Ring>,
    open: Vec<bool>,
    /// Those of all that are open.
    points: u64,
}

impl RingRoster {
    pub(in crate::registry) fn owner(&self, hash: u64) -> Option<&Arc<Member>> {
        self.ring.find(hash, |at, _| self.is_open(at))
    }

    pub(in crate::registry) fn owner_with_room(&self, hash: u64, in_flight: u64) -> Option<&Arc<Member>> {
        self.ring.find_bounded(hash, in_flight, self.points, |at| self.is_open(at))
    }

    fn is_open(&self, at: usize) -> bool {
        self.open.get(at).copied().unwrap_or_default() || planted!("balance_ring_of_all")
    }
}

/// Makes a [`Roster`] of every set, and of what is told of calls. Pure; one for all pickers, behind their lock.
#[derive(Debug, Default)]
pub(in crate::registry) struct Rosters {
    balancing: Balancing,
    health: Health,
    /// What the present one was made of; `None` before the first set.
    made_of: Option<Arc<Set>>,
    ring: Arc<Ring>,
    present: Arc<Roster>,
}

impl Rosters {
    pub(in crate::registry) fn new(balancing: Balancing) -> Self {
        Self { balancing, ..Self::default() }
    }

    /// The roster of this set at `now`, and whether it differs from the last one.
    pub(in crate::registry) fn renew(&mut self, set: Option<Arc<Set>>, now: Instant) -> (Arc<Roster>, bool) {
        let Some(set) = set else { return (Arc::clone(&self.present), false) };
        let is_other = !self.made_of.as_ref().is_some_and(|made_of| Arc::ptr_eq(made_of, &set));
        if is_other {
            self.health.renew(&set, &self.balancing, now);
            self.made_of = Some(set);
            if self.balancing.balance == Balance::ConsistentHash {
                self.ring = Arc::new(self.ring.with(&self.health.all().0));
            }
        }
        let is_due = self.present.due.is_some_and(|due| due <= now);
        let is_back = is_due && self.health.advance(now);
        if is_other || is_due || is_back {
            self.make(now);
        }
        (Arc::clone(&self.present), is_other || is_due || is_back)
    }

    fn make(&mut self, now: Instant) {
        let pool = Arc::new(self.health.pool(&self.balancing, now));
        let due = self.health.due(&self.balancing, now);
        let ring = (self.balancing.balance == Balance::ConsistentHash).then(|| self.ring_roster(&pool));
        self.present = Arc::new(Roster { pool, ring, due });
    }

    fn ring_roster(&self, pool: &Pool) -> RingRoster {
        let ring = Arc::clone(&self.ring);
        let (_, open) = self.health.all();
        let points = ring.points_of(|at| open.get(at).copied().unwrap_or_default());
        if points > 0 {
            return RingRoster { ring, open, points };
        }
        // All that are left weigh nothing, beside others that do: they weigh the same.
        let ring = Arc::new(Ring::new(pool.members()));
        let (open, points) = (vec![true; pool.len()], ring.points_of(|_| true));
        RingRoster { ring, open, points }
    }

    /// A call to the instance with this load failed. Says whether the roster differs by that.
    pub(in crate::registry) fn failed(&mut self, load: &Arc<Load>, now: Instant) -> bool {
        let is_changed = self.health.failed(load, &self.balancing, now);
        if is_changed {
            self.make(now);
        }
        is_changed
    }

    /// A call to the instance with this load succeeded, as was waited for. Says whether the roster differs by that.
    pub(in crate::registry) fn succeeded(&mut self, load: &Arc<Load>, now: Instant) -> bool {
        let is_changed = self.health.succeeded(load);
        if is_changed {
            self.make(now);
        }
        is_changed
    }

    /// Who is passed over while others are left.
    pub(in crate::registry) fn passed_over(&self) -> Vec<PassedOver> {
        self.health.passed_over()
    }

    /// Whether the instance with this load is.
    pub(in crate::registry) fn reason(&self, load: &Arc<Load>) -> Option<PassedOver> {
        self.health.reason(load)
    }

    /// The load of an instance that was picked.
    pub(in crate::registry) fn load_of(&self, instance: &Instance) -> Option<Arc<Load>> {
        self.health.load_of(instance)
    }

    /// A suspect to probe, if the time has come.
    pub(in crate::registry) fn probe(&mut self, now: Instant) -> Option<Arc<Member>> {
        self.health.probe(now)
    }

    /// When the next suspect may be probed.
    pub(in crate::registry) fn probe_at(&self) -> Option<Instant> {
        self.health.probe_at()
    }
}
