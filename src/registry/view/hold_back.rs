//! The sudden loss of much of a set after a gap: held back for one session timeout.
//!
//! An ensemble that was restarted, restored or wiped may come back before those who register with it do, and what it
//! has then is not what there is. By the end of one session timeout whoever lives is registered again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::set::{Entry, Set};
use crate::limits::SESSION_TIMEOUT;
use crate::registry::limits::HOLD_BACK_FROM;

/// What was known before a gap, and what of it is kept although it is not registered now.
#[derive(Debug)]
pub(super) struct HoldBack {
    percent: u32,
    session_timeout: Duration,
    guard: Option<Guard>,
    seen: u64,
}

#[derive(Debug)]
struct Guard {
    before: Arc<Set>,
    /// Until everything has been read again there is no end.
    until: Option<Instant>,
    kept: usize,
}

impl HoldBack {
    pub(super) fn new(percent: u32) -> Self {
        Self { percent, session_timeout: SESSION_TIMEOUT, guard: None, seen: 0 }
    }

    pub(super) fn set_session_timeout(&mut self, timeout: Duration) {
        self.session_timeout = timeout;
    }

    /// Events may have been missed, or the ensemble may be another than before.
    pub(super) fn on_gap(&mut self, current: Option<&Arc<Set>>) {
        match (&mut self.guard, current) {
            (Some(guard), _) => guard.until = None,
            (None, Some(set)) if self.percent < 100 && !set.is_empty() => {
                self.guard = Some(Guard { before: Arc::clone(set), until: None, kept: 0 });
            }
            _ => {}
        }
    }

    /// The entries of `current` that are kept although they are not registered. What a reading of everything finds missing is
    /// kept however few they are; of what goes later one by one, a few are believed.
    pub(super) fn keep(&mut self, current: &Set, is_registered: impl Fn(&str) -> bool) -> Vec<Entry> {
        let Some(guard) = &mut self.guard else { return Vec::new() };
        let missing = |entry: &&Entry| !is_registered(&entry.leaf);
        let lost = guard.before.entries().iter().filter(missing).count();
        let share = guard.before.len().saturating_mul(usize::try_from(self.percent).unwrap_or(usize::MAX));
        // What is kept is kept to the end, or those who come back would drive out those who are about to.
        let is_first = guard.until.is_none();
        let many = is_first || lost >= HOLD_BACK_FROM;
        let much = guard.kept > 0 || many && lost.saturating_mul(100) > share;
        let much = much && !planted!("registry_no_hold_back");
        let kept: Vec<Entry> =
            if much { current.entries().iter().filter(missing).cloned().collect() } else { Vec::new() };
        self.seen += u64::from(guard.kept == 0 && !kept.is_empty());
        guard.kept = kept.len();
        kept
    }

    /// Everything has been read again: the time runs from the first call on. True if it has just ended, and with it
    /// the keeping of something.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let Some(guard) = &mut self.guard else { return false };
        let until = *guard.until.get_or_insert(now + self.session_timeout);
        if now < until || planted!("registry_held_back_for_ever") {
            return false;
        }
        self.guard.take().is_some_and(|guard| guard.kept > 0)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.guard.as_ref()?.until
    }

    /// How many instances are kept now, and how often some were.
    pub(super) fn held_back(&self) -> (usize, u64) {
        (self.guard.as_ref().map_or(0, |guard| guard.kept), self.seen)
    }
}
