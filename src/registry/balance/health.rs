//! Who is trusted with calls: instances as they come and go, suspects and their probes, and those that are ejected.
//!
//! Three tiers. *Trusted* instances get the calls. *Ejected* ones, whose calls failed although their registration
//! stands, get some only when nobody is trusted. *Suspects* come last: persistent instances that failed, whose process
//! may have died long ago without anybody taking the leaf away; one call at a time probes whether they are back. Pure:
//! time is an argument.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Balancing;
use super::load::Load;
use super::outliers::Record;
use super::pool::{Member, Pool};
use super::shares::{Zoned, warmed, zone_first};
use crate::registry::limits::{EJECT_WINDOW, PROBE_FIRST, PROBE_MOST, WARM_UP_STEPS};
use crate::registry::model::{Instance, Lifetime, Status};
use crate::registry::view::Set;

/// The instances that are up and meet the filter, and what speaks against each.
#[derive(Debug, Default)]
pub(in crate::registry) struct Health {
    slots: Vec<Slot>,
    /// Whether a set was taken over before: those of the first are no newcomers.
    is_begun: bool,
    /// When success rates are compared next.
    window_ends: Option<Instant>,
}

#[derive(Debug)]
struct Slot {
    member: Arc<Member>,
    /// When it came; `None` if it was there from the start.
    came: Option<Instant>,
    suspect: Option<Suspect>,
    ejected_until: Option<Instant>,
    /// It is back from an ejection, and the next failure counts.
    on_trial: bool,
    record: Record,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    probe_at: Instant,
    pause: Duration,
}

/// An instance that is up and is passed over while others are left.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PassedOver {
    /// Which one.
    pub instance: Arc<Instance>,
    /// For what.
    pub reason: Reason,
}

/// Why an instance is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is persistent and failed: its process may have died long ago.
    Suspect {
        /// When a call may be let through to see.
        probe_at: Instant,
    },
    /// Its calls failed, although its registration stands.
    Ejected {
        /// When it is back.
        until: Instant,
    },
}

/// The less, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    Trusted,
    Ejected,
    Suspect,
}

impl Slot {
    fn new(leaf: &Arc<str>, instance: &Arc<Instance>, came: Option<Instant>) -> Self {
        let (leaf, instance) = (Arc::clone(leaf), Arc::clone(instance));
        let member = Arc::new(Member { leaf, instance, load: Arc::default() });
        let (suspect, ejected_until, record) = (None, None, Record::default());
        Self { member, came, suspect, ejected_until, on_trial: false, record }
    }

    /// The slot after its instance was read as `instance`; `None` if that is another one.
    fn renewed(mut self, instance: &Arc<Instance>) -> Option<Self> {
        let old = &self.member.instance;
        if old.id != instance.id || old.address != instance.address {
            return None;
        }
        if !Arc::ptr_eq(old, instance) {
            if old != instance {
                // Somebody wrote it anew, so somebody lives.
                self.suspect = None;
            }
            self.member = Arc::new(Member { instance: Arc::clone(instance), ..Member::clone(&self.member) });
        }
        Some(self)
    }

    fn tier(&self) -> Tier {
        match self {
            Self { suspect: Some(_), .. } => Tier::Suspect,
            Self { ejected_until: Some(_), .. } => Tier::Ejected,
            _ => Tier::Trusted,
        }
    }

    fn reason(&self) -> Option<Reason> {
        if planted!("balance_passed_over_untold") {
            return None;
        }
        let ejected = self.ejected_until.map(|until| Reason::Ejected { until });
        self.suspect.map(|suspect| Reason::Suspect { probe_at: suspect.probe_at }).or(ejected)
    }

    /// Somebody waits for a success, or not.
    fn mark(&self) {
        self.member.load.set_on_trial(self.on_trial || self.suspect.is_some());
    }

    fn suspect(&mut self, now: Instant) -> bool {
        let pause = self.suspect.map_or(PROBE_FIRST, |suspect| (suspect.pause * 2).min(PROBE_MOST));
        let is_new = self.suspect.is_none();
        self.suspect = Some(Suspect { probe_at: now + pause, pause });
        is_new
    }
}

impl Health {
    /// Takes a set over. An instance on the leaf of one with the same id and address is that one.
    pub(in crate::registry) fn renew(&mut self, set: &Set, balancing: &Balancing, now: Instant) {
        let came = self.is_begun.then_some(now);
        let mut olds = std::mem::take(&mut self.slots).into_iter().peekable();
        for entry in set.entries() {
            while olds.next_if(|old| old.member.leaf < entry.leaf).is_some() {}
            let old = olds.next_if(|old| old.member.leaf == entry.leaf);
            let is_up = entry.instance.status == Status::Up || planted!("balance_drained_picked");
            if is_up && balancing.filter.matches(&entry.instance) {
                let same = old.and_then(|old| old.renewed(&entry.instance));
                let slot = same.unwrap_or_else(|| Slot::new(&entry.leaf, &entry.instance, came));
                slot.mark();
                self.slots.push(slot);
            }
        }
        self.is_begun = true;
    }

    /// Lets those back in whose ejection is over. Says whether there were any.
    pub(in crate::registry) fn advance(&mut self, now: Instant) -> bool {
        let mut is_changed = false;
        for slot in &mut self.slots {
            if slot.ejected_until.is_some_and(|until| until <= now) {
                slot.ejected_until = None;
                slot.on_trial = true;
                slot.mark();
                is_changed = true;
            }
        }
        is_changed
    }

    /// A call to the instance with this load failed. Says whether somebody else is to be picked from now on.
    pub(in crate::registry) fn failed(
        &mut self,
        load: &Arc<Load>,
        balancing: &Balancing,
        now: Instant,
    ) -> bool {
        // Whose time is over is back, whether somebody has picked since or not.
        let is_back = self.advance(now);
        let is_changed = self.compare_rates(balancing, now) || is_back;
        let failures = load.count_failure();
        let is_it = |slot: &Slot| Arc::ptr_eq(&slot.member.load, load);
        let Some(at) = self.slots.iter().position(is_it) else { return is_changed };
        let Some(slot) = self.slots.get_mut(at) else { return is_changed };
        let is_persistent = slot.member.instance.lifetime == Lifetime::Persistent;
        if is_persistent && !planted!("balance_no_suspects") {
            let is_new = slot.suspect(now);
            slot.mark();
            return is_new || is_changed;
        }
        let is_enough = balancing.outliers.is_enough(failures) || slot.on_trial;
        let is_ejected = is_enough && self.eject(at, balancing, now);
        is_changed || is_ejected
    }

    /// A call to the instance with this load succeeded, as was waited for. Says whether it is trusted by that.
    pub(in crate::registry) fn succeeded(&mut self, load: &Arc<Load>) -> bool {
        let is_it = |slot: &&mut Slot| Arc::ptr_eq(&slot.member.load, load);
        let Some(slot) = self.slots.iter_mut().find(is_it) else { return false };
        slot.on_trial = false;
        let was_suspect = slot.suspect.take().is_some();
        slot.mark();
        was_suspect
    }

    /// Ejects a slot, unless too many are. Says whether it was.
    fn eject(&mut self, at: usize, balancing: &Balancing, now: Instant) -> bool {
        let count = |tier| self.slots.iter().filter(|slot| slot.tier() == tier).count();
        let (trusted, ejected) = (count(Tier::Trusted), count(Tier::Ejected));
        let Some(slot) = self.slots.get_mut(at) else { return false };
        let may = slot.tier() == Tier::Trusted && balancing.outliers.may_eject(ejected, trusted + ejected);
        if may {
            slot.ejected_until = Some(slot.record.eject(balancing.outliers, now));
            slot.on_trial = false;
            slot.member.load.forget_consecutive();
            slot.mark();
        }
        may
    }

    /// At the end of a window, ejects those whose success rate is an outlier. Only failures can make one, so it is asked
    /// when there is one.
    fn compare_rates(&mut self, balancing: &Balancing, now: Instant) -> bool {
        if !balancing.outliers.is_by_success_rate() || self.window_ends.is_some_and(|ends| now < ends) {
            return false;
        }
        let is_first = self.window_ends.replace(now + EJECT_WINDOW).is_none();
        let rates: Vec<_> = self.slots.iter().map(|slot| slot.member.load.take_window()).collect();
        if is_first {
            return false;
        }
        let sum = |of: fn(&(u32, u32)) -> u32| rates.iter().map(|rate| u64::from(of(rate))).sum::<u64>();
        let (good, bad) = (sum(|rate| rate.0), sum(|rate| rate.1));
        let mut is_changed = false;
        for (at, own) in rates.iter().enumerate() {
            let others = (good - u64::from(own.0), bad - u64::from(own.1));
            if balancing.outliers.is_outlier(*own, others) {
                is_changed |= self.eject(at, balancing, now);
            }
        }
        is_changed
    }

    /// A suspect whose time for a probe has come; the next one comes after a pause. Nobody if suspects are all there is.
    pub(in crate::registry) fn probe(&mut self, now: Instant) -> Option<Arc<Member>> {
        if self.best_tier() == Some(Tier::Suspect) || planted!("balance_no_probes") {
            return None;
        }
        let due = |slot: &&mut Slot| slot.suspect.is_some_and(|suspect| suspect.probe_at <= now);
        let earliest = |slot: &&mut Slot| slot.suspect.map(|suspect| suspect.probe_at);
        let slot = self.slots.iter_mut().filter(due).min_by_key(earliest)?;
        let suspect = slot.suspect.as_mut()?;
        suspect.probe_at = now + suspect.pause;
        Some(Arc::clone(&slot.member))
    }

    /// When the next suspect may be probed.
    pub(in crate::registry) fn probe_at(&self) -> Option<Instant> {
        if self.best_tier() == Some(Tier::Suspect) {
            return None;
        }
        self.slots.iter().filter_map(|slot| slot.suspect.map(|suspect| suspect.probe_at)).min()
    }

    /// When the pool is to be made anew by itself.
    pub(in crate::registry) fn due(&self, balancing: &Balancing, now: Instant) -> Option<Instant> {
        let back = self.slots.iter().filter_map(|slot| slot.ejected_until).min();
        let warms = |slot: &Slot| age(slot, now) < balancing.warm_up;
        let step = (balancing.warm_up / WARM_UP_STEPS).max(Duration::from_millis(1));
        let warmer = self.slots.iter().any(warms).then(|| now + step);
        [back, warmer].into_iter().flatten().min()
    }

    fn best_tier(&self) -> Option<Tier> {
        self.slots.iter().map(Slot::tier).min()
    }

    /// Who can be picked now, with their shares.
    pub(in crate::registry) fn pool(&self, balancing: &Balancing, now: Instant) -> Pool {
        let best = self.best_tier();
        let weight =
            |slot: &Slot| if balancing.balance.heeds_weights() { slot.member.instance.weight } else { 1 };
        let zoned = |slot: &Slot| Zoned {
            zone: None,
            share: warmed(weight(slot), age(slot, now), balancing.warm_up),
            can_be_picked: Some(slot.tier()) == best,
        };
        let mut all: Vec<_> = self.slots.iter().map(zoned).collect();
        let can_share = |zoned: &Zoned<'_>| zoned.can_be_picked && zoned.share > 0;
        if !all.iter().any(can_share) {
            // All weigh nothing: then they weigh the same.
            all.iter_mut().for_each(|zoned| zoned.share = 1);
        }
        let shares = match &balancing.zone {
            None => all.iter().map(|zoned| zoned.share).collect(),
            Some(local) => {
                let zones = self.slots.iter().map(|slot| slot.member.instance.zone.as_deref());
                all.iter_mut().zip(zones).for_each(|(zoned, zone)| zoned.zone = zone);
                zone_first(&all, local)
            }
        };
        let picked = self.slots.iter().zip(shares).filter(|(slot, _)| Some(slot.tier()) == best);
        let (members, shares) = picked.map(|(slot, share)| (Arc::clone(&slot.member), share)).unzip();
        Pool::new(members, shares)
    }

    /// All that are up, and whether each can be picked.
    pub(in crate::registry) fn all(&self) -> (Vec<Arc<Member>>, Vec<bool>) {
        let best = self.best_tier();
        let all = self.slots.iter().map(|slot| (Arc::clone(&slot.member), Some(slot.tier()) == best));
        all.unzip()
    }

    /// Who is up and does not get its share of calls, or gets it for want of others.
    pub(in crate::registry) fn passed_over(&self) -> Vec<PassedOver> {
        let instance = |slot: &Slot| Arc::clone(&slot.member.instance);
        let passed = |slot: &Slot| Some(PassedOver { instance: instance(slot), reason: slot.reason()? });
        self.slots.iter().filter_map(passed).collect()
    }

    /// The same of one instance.
    pub(in crate::registry) fn reason(&self, load: &Arc<Load>) -> Option<PassedOver> {
        let slot = self.slots.iter().find(|slot| Arc::ptr_eq(&slot.member.load, load))?;
        Some(PassedOver { instance: Arc::clone(&slot.member.instance), reason: slot.reason()? })
    }

    /// The load of an instance that was picked, or is equal to one that was.
    pub(in crate::registry) fn load_of(&self, instance: &Instance) -> Option<Arc<Load>> {
        let is_it = |slot: &&Slot| {
            let own = &*slot.member.instance;
            std::ptr::eq(own, instance) || (own.id == instance.id && own.address == instance.address)
        };
        // Most layouts name the leaf by the id.
        let guess = self.slots.binary_search_by(|slot| (*slot.member.leaf).cmp(&instance.id)).ok();
        let guessed = guess.and_then(|at| self.slots.get(at)).filter(is_it);
        let slot = guessed.or_else(|| self.slots.iter().find(is_it))?;
        Some(Arc::clone(&slot.member.load))
    }
}

/// For how long an instance has been there. Those of the first set were there before.
fn age(slot: &Slot, now: Instant) -> Duration {
    slot.came.map_or(Duration::MAX, |came| now.saturating_duration_since(came))
}
