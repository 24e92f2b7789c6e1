//! When a view reads: what events have marked waits here, so that a thousand views of one service do not all read at
//! once, and so that an instance that comes and goes does not keep them busy.
//!
//! Pure: time is an argument, chance is a seed. It knows names and no znodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::registry::limits::{
    CHANGE_SPREAD_MOST, FLAP_QUIET, FLAP_TURNS, FLAPS_WATCHED, HOLD_BACK_PERCENT, HOLD_DOWN,
    RESYNC_SPREAD_MOST, SPREAD_EACH, SPREAD_FROM,
};
use crate::registry::rng::SplitMix64;

/// When a view reads and what it holds back. The default is what [`limits`](crate::registry::limits) says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pace {
    /// Views of fewer instances than this read at once.
    pub spread_from: usize,
    /// By so much the window, in which a view draws the moment at which it reads, grows with every instance.
    pub spread_each: Duration,
    /// The longest window after a change.
    pub change_spread_most: Duration,
    /// The longest window before everything is read again, after a reconnect or a gap.
    pub resync_spread_most: Duration,
    /// The least time between two reads of an instance that comes and goes: a change of it, also its end, shows at most
    /// so much later. Zero holds nothing down.
    pub hold_down: Duration,
    /// Of how many percent of a set the loss is held back, when it shows after a gap, for one session timeout. 100 and
    /// more holds nothing back.
    pub hold_back_percent: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            spread_from: SPREAD_FROM,
            spread_each: SPREAD_EACH,
            change_spread_most: CHANGE_SPREAD_MOST,
            resync_spread_most: RESYNC_SPREAD_MOST,
            hold_down: HOLD_DOWN,
            hold_back_percent: HOLD_BACK_PERCENT,
        }
    }
}

impl Pace {
    /// The window in which the view of so many instances reads after a change: `instances * spread_each`, at most
    /// `change_spread_most`, and none below `spread_from` instances.
    #[must_use]
    pub fn change_window(&self, instances: usize) -> Duration {
        self.window(instances, self.change_spread_most)
    }

    /// The same for reading everything again.
    #[must_use]
    pub fn resync_window(&self, instances: usize) -> Duration {
        self.window(instances, self.resync_spread_most)
    }

    fn window(&self, instances: usize, most: Duration) -> Duration {
        if instances < self.spread_from {
            return Duration::ZERO;
        }
        self.spread_each.saturating_mul(u32::try_from(instances).unwrap_or(u32::MAX)).min(most)
    }
}

/// Holds names, the list, or everything until they are to be read.
#[derive(Debug)]
pub(super) struct Gate {
    pace: Pace,
    rng: SplitMix64,
    list: bool,
    names: Vec<Arc<str>>,
    /// Whether everything waits.
    resync: bool,
    due: Option<Instant>,
    /// What was left to wait when the connection went.
    left: Option<Duration>,
    flaps: BTreeMap<Arc<str>, Flap>,
    /// By the moment at which they are read.
    held_down: BTreeSet<(Instant, Arc<str>)>,
    held_down_seen: u64,
}

/// How often a name was read because of an event.
#[derive(Clone, Copy, Debug)]
struct Flap {
    last: Instant,
    turns: u32,
}

impl Gate {
    pub(super) fn new(pace: Pace, seed: u64) -> Self {
        Self {
            pace,
            rng: SplitMix64::new(seed),
            list: false,
            names: Vec::new(),
            resync: false,
            due: None,
            left: None,
            flaps: BTreeMap::new(),
            held_down: BTreeSet::new(),
            held_down_seen: 0,
        }
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(super) fn hold(&mut self, name: &Arc<str>) {
        self.names.push(Arc::clone(name));
    }

    pub(super) fn hold_list(&mut self) {
        self.list = true;
    }

    /// Everything is to be read: whatever waits already waits with it. A moment that was drawn for another such reading
    /// stands, or gaps in a row would put it off for ever.
    pub(super) fn hold_all(&mut self) {
        self.list = true;
        if !self.resync {
            self.due = None;
            self.resync = true;
        }
    }

    pub(super) fn holds_list(&self) -> bool {
        self.list
    }

    /// No reads until the next connection, which waits for what is left: all others whose connection went at the same
    /// moment have drawn their own.
    pub(super) fn on_disconnected(&mut self, now: Instant) {
        if let Some(due) = self.due.take().filter(|_| self.resync) {
            self.left = Some(due.saturating_duration_since(now));
        }
    }

    /// The names to read now, in the view of so many instances.
    pub(super) fn release(&mut self, now: Instant, instances: usize) -> Vec<Arc<str>> {
        if self.due.is_none() && (self.resync || self.list || !self.names.is_empty()) {
            let window = if self.resync {
                self.pace.resync_window(instances)
            } else {
                self.pace.change_window(instances)
            };
            let window = if planted!("registry_herd") { Duration::ZERO } else { window };
            let span = self.left.take().unwrap_or_else(|| self.rng.span(window));
            self.due = Some(now + span);
        }
        let mut names = Vec::new();
        if self.due.is_some_and(|due| due <= now) {
            self.open(now, &mut names);
        }
        while self.held_down.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, name)) = self.held_down.pop_first() else { break };
            if let Some(flap) = self.flaps.get_mut(&name) {
                flap.last = now;
            }
            names.push(name);
        }
        names
    }

    fn open(&mut self, now: Instant, names: &mut Vec<Arc<str>>) {
        (self.due, self.left, self.list) = (None, None, false);
        let waited = std::mem::take(&mut self.names);
        if std::mem::take(&mut self.resync) {
            names.extend(std::mem::take(&mut self.held_down).into_iter().map(|(_, name)| name));
            return names.extend(waited);
        }
        for name in waited {
            match self.turn(&name, now) {
                None => names.push(name),
                Some(until) => {
                    self.held_down_seen += 1;
                    self.held_down.insert((until, name));
                }
            }
        }
    }

    /// An event has marked `name`: until when it waits, if it is one that comes and goes.
    fn turn(&mut self, name: &Arc<str>, now: Instant) -> Option<Instant> {
        if self.pace.hold_down.is_zero() || planted!("registry_no_hold_down") {
            return None;
        }
        if self.flaps.len() >= FLAPS_WATCHED {
            self.flaps.clear();
        }
        let flap = self.flaps.entry(Arc::clone(name)).or_insert(Flap { last: now, turns: 0 });
        if flap.last + FLAP_QUIET < now {
            flap.turns = 0;
        }
        let until = flap.last + self.pace.hold_down;
        if flap.turns >= FLAP_TURNS && until > now {
            return Some(until);
        }
        *flap = Flap { last: now, turns: flap.turns.saturating_add(1) };
        None
    }

    /// When something is to be read next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.held_down.first().map(|(until, _)| *until)).min()
    }

    /// How many names are held down now, and how often one was.
    pub(super) fn held_down(&self) -> (usize, u64) {
        (self.held_down.len(), self.held_down_seen)
    }
}
