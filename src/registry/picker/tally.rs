//! What was picked, and what became of it, in numbers. A picker counts for itself, so that no pick writes where others do.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was picked from a view in one way of balancing, and what became of it: see
/// [`ServiceStats::picks`](crate::registry::ServiceStats::picks). All pickers count, also those that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PickStats {
    /// Picks and attempts that found an instance.
    pub picked: u64,
    /// Picks and attempts that found nobody.
    pub empty: u64,
    /// Picks among them that let a call through to a suspect.
    pub probes: u64,
    /// Calls that were reported to have succeeded.
    pub succeeded: u64,
    /// Calls that were reported to have failed.
    pub failed: u64,
    /// How often an instance became a suspect.
    pub suspected: u64,
    /// How often an instance was ejected.
    pub ejected: u64,
}

/// The numbers of one picker. Only its picker writes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    picked: AtomicU64,
    empty: AtomicU64,
}

/// The numbers of all pickers, and those that are rare enough to be shared.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pickers: Mutex<Pickers>,
    pub(super) probes: AtomicU64,
    pub(super) succeeded: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) suspected: AtomicU64,
    pub(super) ejected: AtomicU64,
}

#[derive(Debug, Default)]
struct Pickers {
    present: Vec<Arc<Tally>>,
    /// What those counted that are gone.
    past: PickStats,
}

impl Tally {
    /// One writer: a load and a store are cheaper than a count that others may interrupt.
    #[inline]
    pub(super) fn count(&self, found: bool) {
        let counter = if found { &self.picked } else { &self.empty };
        counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

impl PickStats {
    fn add(&mut self, tally: &Tally) {
        self.picked += tally.picked.load(Relaxed);
        self.empty += tally.empty.load(Relaxed);
    }
}

impl Tallies {
    fn lock(&self) -> MutexGuard<'_, Pickers> {
        self.pickers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        self.lock().present.push(Arc::clone(&tally));
        tally
    }

    /// The picker is gone; what it counted stays.
    pub(super) fn end(&self, tally: &Arc<Tally>) {
        let mut pickers = self.lock();
        pickers.present.retain(|each| !Arc::ptr_eq(each, tally));
        if !planted!("picks_forgotten") {
            pickers.past.add(tally);
        }
    }

    pub(super) fn sum(&self) -> PickStats {
        let pickers = self.lock();
        let mut sum = pickers.past;
        pickers.present.iter().for_each(|tally| sum.add(tally));
        drop(pickers);
        PickStats {
            probes: self.probes.load(Relaxed),
            succeeded: self.succeeded.load(Relaxed),
            failed: self.failed.load(Relaxed),
            suspected: self.suspected.load(Relaxed),
            ejected: self.ejected.load(Relaxed),
            ..sum
        }
    }
}
