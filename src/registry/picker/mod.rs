//! Picking from a live view: handles for threads, calls that report what became of them, and what all of them share.
//!
//! Decides nothing: [`balance`](super::balance) does, under one lock that is taken when something changes. Here clocks are
//! read.

mod tally;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{debug, warn};

pub use self::tally::PickStats;
use self::tally::{Tallies, Tally};
use crate::registry::Instance;
use crate::registry::balance::{
    Balance, Balancing, Chooser, Load, Member, PassedOver, Reason, Roster, Rosters, Sticky, hash,
};
use crate::registry::limits::PICKS_PER_PROBE;
use crate::registry::prober;
use crate::registry::rng::SplitMix64;
use crate::registry::services::{Seen, Source};

/// What the pickers of one view share.
#[derive(Debug)]
pub(in crate::registry) struct Shared {
    balance: Balance,
    /// The zero of the clock of milliseconds.
    origin: Instant,
    rosters: Mutex<Rosters>,
    /// Moves when the roster differs for another reason than a new set.
    generation: AtomicU64,
    /// Calls under way, for bounded loads only.
    in_flight: AtomicU64,
    /// What keys are bound to; a lock of its own, which is held for two searches.
    sticky: Mutex<Sticky>,
    seeds: Mutex<SplitMix64>,
    /// What was picked, and what became of it.
    tallies: Tallies,
    /// What probes suspects, if anything is to.
    prober: Option<Prober>,
}

/// Where the task that probes suspects runs, while there are any.
#[derive(Debug)]
struct Prober {
    runtime: Handle,
    seen: watch::Receiver<Seen>,
    is_running: AtomicBool,
}

impl Shared {
    pub(in crate::registry) fn new(balancing: Balancing) -> Self {
        let mut seeds = SplitMix64::new(balancing.seed_or(crate::client::seed));
        Self {
            balance: balancing.balance(),
            origin: now(),
            sticky: Mutex::new(Sticky::new(seeds.next_u64())),
            seeds: Mutex::new(seeds),
            rosters: Mutex::new(Rosters::new(balancing)),
            generation: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            tallies: Tallies::default(),
            prober: None,
        }
    }

    /// Has suspects probed by a task on `runtime`.
    pub(in crate::registry) fn probed_on(mut self, runtime: Handle, seen: watch::Receiver<Seen>) -> Self {
        self.prober = Some(Prober { runtime, seen, is_running: AtomicBool::new(false) });
        self
    }

    /// There is a suspect: somebody is to probe it.
    fn probe(self: &Arc<Self>) {
        let Some(prober) = self.prober.as_ref().filter(|_| !planted!("registry_prober_off")) else { return };
        if !prober.is_running.swap(true, Ordering::AcqRel) {
            prober.runtime.spawn(prober::run(Arc::downgrade(self), prober.seen.clone()));
        }
    }

    /// The prober has nothing to do. Says whether it may go, for a suspect may have come since it looked.
    pub(in crate::registry) fn rests(&self, has_suspects: impl Fn() -> bool) -> bool {
        let Some(prober) = &self.prober else { return true };
        prober.is_running.store(false, Ordering::Release);
        !has_suspects() || prober.is_running.swap(true, Ordering::AcqRel)
    }

    fn rosters(&self) -> MutexGuard<'_, Rosters> {
        self.rosters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seed(&self) -> u64 {
        self.seeds.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    /// Milliseconds since the origin, modulo 2^32.
    fn ms(&self, now: Instant) -> u32 {
        let millis = now.saturating_duration_since(self.origin).as_millis();
        u32::try_from(millis & u128::from(u32::MAX)).unwrap_or_default()
    }

    /// Lets all pickers look again.
    fn changed(&self) {
        if planted!("balance_reports_unheard") {
            return;
        }
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn bounds_loads(&self) -> bool {
        self.balance == Balance::ConsistentHash
    }

    fn failed(self: &Arc<Self>, load: &Arc<Load>, now: Instant) {
        let mut rosters = self.rosters();
        let is_changed = rosters.failed(load, now);
        let passed_over = if is_changed { rosters.reason(load) } else { None };
        drop(rosters);
        if let Some(PassedOver { instance, reason, .. }) = passed_over {
            let (service, id, address) = (&instance.service, &instance.id, &instance.address);
            match reason {
                // As often as calls fail here and succeed there.
                Reason::Suspect { .. } => {
                    self.tallies.suspected.fetch_add(1, Ordering::Relaxed);
                    debug!(target: "menagerie::picks", %service, %id, %address, "a call failed: a suspect");
                }
                Reason::Ejected { until } => {
                    self.tallies.ejected.fetch_add(1, Ordering::Relaxed);
                    let span = until.saturating_duration_since(now);
                    warn!(target: "menagerie::picks", %service, %id, %address, ?span, "calls fail: ejected");
                }
            }
        }
        if is_changed {
            self.changed();
            self.probe();
        }
    }

    fn succeeded(&self, load: &Arc<Load>, now: Instant) {
        let mut rosters = self.rosters();
        let passed_over = rosters.reason(load);
        let is_changed = rosters.succeeded(load, now);
        drop(rosters);
        if let Some(PassedOver { instance, .. }) = passed_over.filter(|_| is_changed) {
            let (service, id, address) = (&instance.service, &instance.id, &instance.address);
            debug!(target: "menagerie::picks", %service, %id, %address, "a suspect works: trusted again");
        }
        if is_changed {
            self.changed();
        }
    }

    /// Who is passed over.
    pub(in crate::registry) fn passed_over(&self) -> Vec<PassedOver> {
        self.rosters().passed_over()
    }

    /// What was picked, and what became of it.
    pub(in crate::registry) fn pick_stats(&self) -> PickStats {
        self.tallies.sum()
    }

    /// A caller says what became of a call.
    pub(in crate::registry) fn told(&self, succeeded: bool) {
        let tallies = &self.tallies;
        if succeeded { &tallies.succeeded } else { &tallies.failed }.fetch_add(1, Ordering::Relaxed);
    }

    /// A call to an instance that was picked as such failed.
    pub(in crate::registry) fn report_failure(self: &Arc<Self>, instance: &Instance) {
        let load = self.rosters().load_of(instance);
        if let Some(load) = load {
            self.failed(&load, now());
        }
    }

    /// A call to an instance that was picked as such succeeded.
    pub(in crate::registry) fn report_success(&self, instance: &Instance) {
        let load = self.rosters().load_of(instance);
        if let Some(load) = load.filter(|load| load.worked()) {
            self.succeeded(&load, now());
        }
    }
}

/// Picks instances of a service on one thread: made by [`Services::picker`](super::Services::picker).
///
/// As long as nothing changes a pick touches nothing that other threads write: it looks at two counters, of the view
/// and of what is known of failures, and at nothing else of theirs. When one of them has moved it takes the new state
/// over, under a short lock. All pickers of a view share what they know of failures and load; a clone draws other
/// numbers.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), menagerie::registry::Error> {
/// use menagerie::registry::{self, Balance};
///
/// let registry = registry::connect("static:time=10.0.0.1:80,10.0.0.2:80").await?;
/// let services = registry.discover("time").await?.balanced(Balance::RoundRobin);
/// let mut picker = services.picker();
/// std::thread::spawn(move || {
///     let first = picker.pick().map(|instance| instance.address.clone());
///     assert_ne!(first, picker.pick().map(|instance| instance.address.clone()));
/// });
/// # Ok(())
/// # }
/// ```
pub struct Picker {
    seen: watch::Receiver<Seen>,
    /// The view is over, and its last set taken over.
    is_over: bool,
    shared: Arc<Shared>,
    /// What keeps the view going.
    source: Arc<Source>,
    generation: u64,
    roster: Arc<Roster>,
    /// When the next suspect may be probed.
    probe_at: Option<Instant>,
    picks_since_probe: u32,
    probe: Option<Arc<Member>>,
    chooser: Chooser,
    tally: Arc<Tally>,
}

impl Clone for Picker {
    fn clone(&self) -> Self {
        Self::new(self.seen.clone(), Arc::clone(&self.shared), Arc::clone(&self.source))
    }
}

impl Drop for Picker {
    fn drop(&mut self) {
        self.shared.tallies.end(&self.tally);
    }
}

impl Picker {
    pub(in crate::registry) fn new(
        mut seen: watch::Receiver<Seen>,
        shared: Arc<Shared>,
        source: Arc<Source>,
    ) -> Self {
        seen.mark_changed();
        let chooser = Chooser::new(shared.balance, shared.seed());
        let (roster, probe_at, probe) = (Arc::default(), None, None);
        let picks_since_probe = PICKS_PER_PROBE;
        let (is_over, generation) = (false, 0);
        let tally = shared.tallies.begin();
        Self {
            seen,
            is_over,
            shared,
            source,
            generation,
            roster,
            probe_at,
            picks_since_probe,
            probe,
            chooser,
            tally,
        }
    }

    /// An instance for the next call, or `None` if there is none that wants calls. Borrowed: cloning it is for those who
    /// keep it.
    ///
    /// Suspects and ejected instances are passed over while others are left; now and then a pick is the probe of a suspect.
    #[inline]
    pub fn pick(&mut self) -> Option<&Arc<Instance>> {
        self.member().map(|member| member.instance())
    }

    /// An instance for a call that belongs to `key`. Only [`Balance::ConsistentHash`] and [`Balance::Sticky`] heed it;
    /// they send no probes on a key's behalf.
    pub fn pick_for(&mut self, key: impl AsRef<[u8]>) -> Option<&Arc<Instance>> {
        self.member_for(key.as_ref(), false).map(|member| member.instance())
    }

    /// As [`pick`](Self::pick), as a call that begins now and reports what becomes of it.
    pub fn attempt(&mut self) -> Option<Attempt> {
        let member = Arc::clone(self.member()?);
        Some(Attempt::begin(member, &self.shared))
    }

    /// As [`pick_for`](Self::pick_for), as a call that begins now. With [`Balance::ConsistentHash`] an instance that has
    /// more than [`BOUND_PERCENT`](super::limits::BOUND_PERCENT) of its share of all attempts under way is passed over
    /// for the next one on the ring.
    pub fn attempt_for(&mut self, key: impl AsRef<[u8]>) -> Option<Attempt> {
        let member = Arc::clone(self.member_for(key.as_ref(), true)?);
        Some(Attempt::begin(member, &self.shared))
    }

    fn member_for(&mut self, key: &[u8], has_room: bool) -> Option<&Arc<Member>> {
        match self.shared.balance {
            Balance::ConsistentHash => {
                self.look();
                let in_flight = || self.shared.in_flight.load(Ordering::Relaxed);
                let owner = self.roster.ring.as_ref().and_then(|ring| {
                    if has_room {
                        ring.owner_with_room(hash(key), in_flight())
                    } else {
                        ring.owner(hash(key))
                    }
                });
                self.tally.count(owner.is_some());
                owner
            }
            Balance::Sticky => {
                self.look();
                let bound = self.bound(key);
                self.tally.count(bound.is_some());
                bound
            }
            _ => self.member(),
        }
    }

    /// The instance that a sticky key is bound to.
    fn bound(&self, key: &[u8]) -> Option<&Arc<Member>> {
        let mut sticky = self.shared.sticky.lock().unwrap_or_else(PoisonError::into_inner);
        sticky.pick_for(&self.roster.pool, hash(key))
    }

    #[inline]
    fn member(&mut self) -> Option<&Arc<Member>> {
        self.look();
        if planted!("balance_pick_allocates") {
            drop(std::hint::black_box(Box::new(0)));
        }
        if planted!("balance_pick_locks") {
            drop(self.shared.rosters());
        }
        self.picks_since_probe = self.picks_since_probe.saturating_add(1);
        if self.probe_at.is_some() && self.may_probe() && self.finds_probe() {
            self.tally.count(true);
            return self.probe.as_ref();
        }
        let picked = self.chooser.pick(&self.roster);
        self.tally.count(picked.is_some());
        picked
    }

    /// Takes over what has changed.
    #[inline]
    fn look(&mut self) {
        let is_new = match self.seen.has_changed() {
            Ok(is_new) => is_new && !planted!("balance_set_unseen"),
            Err(_) => !self.is_over,
        };
        let is_moved = self.generation != self.shared.generation.load(Ordering::Acquire);
        if is_new || is_moved || self.roster.due.is_some_and(|due| due <= now()) {
            self.renew();
        }
    }

    #[cold]
    fn renew(&mut self) {
        let mut rosters = self.shared.rosters();
        self.is_over = self.seen.has_changed().is_err();
        // Read under the lock, so that the sets come to it in their order.
        let set = self.seen.borrow_and_update().set.clone();
        let (roster, is_other) = rosters.renew(set, now());
        if is_other {
            self.shared.changed();
        }
        self.generation = self.shared.generation.load(Ordering::Acquire);
        self.probe_at = rosters.probe_at();
        drop(rosters);
        if !Arc::ptr_eq(&self.roster, &roster) {
            self.chooser.renew(&roster);
            self.roster = roster;
        }
    }

    fn may_probe(&self) -> bool {
        self.picks_since_probe > PICKS_PER_PROBE || planted!("balance_probes_unbounded")
    }

    /// Whether a suspect's time for a probe has come.
    #[cold]
    fn finds_probe(&mut self) -> bool {
        let now = now();
        if self.probe_at.is_none_or(|at| now < at) {
            return false;
        }
        let mut rosters = self.shared.rosters();
        self.probe = rosters.probe(now);
        self.probe_at = rosters.probe_at();
        drop(rosters);
        let found = self.probe.is_some();
        self.shared.tallies.probes.fetch_add(u64::from(found), Ordering::Relaxed);
        self.picks_since_probe = if found { 0 } else { self.picks_since_probe };
        found
    }
}

/// A call to an instance, from [`Services::attempt`](super::Services::attempt) or [`Picker::attempt`] on.
///
/// It counts as under way until it is dropped. Say what became of it: [`succeeded`](Self::succeeded), or
/// [`failed`](Self::failed) as calls to dead or broken processes fail. Dropped without a word, cancelled for instance,
/// it counts as neither.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), menagerie::registry::Error> {
/// use menagerie::registry::{self, Balance};
///
/// # async fn ask(_: &registry::Address) -> Result<(), std::io::Error> { Ok(()) }
/// let registry = registry::connect("static:time=10.0.0.1:80,10.0.0.2:80").await?;
/// let services = registry.discover("time").await?.balanced(Balance::LeastLoaded);
/// let Some(attempt) = services.attempt() else { return Ok(()) };
/// match ask(&attempt.instance().address).await {
///     Ok(()) => attempt.succeeded(),
///     Err(_) => attempt.failed(),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "an attempt is under way until it is dropped"]
pub struct Attempt {
    member: Arc<Member>,
    shared: Arc<Shared>,
    began: Instant,
}

impl Attempt {
    fn begin(member: Arc<Member>, shared: &Arc<Shared>) -> Self {
        member.load().begin();
        if shared.bounds_loads() {
            shared.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        Self { member, shared: Arc::clone(shared), began: now() }
    }

    /// Whom to call.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        self.member.instance()
    }

    /// The instance answered, and its answer says that it works. An answer such as "not found" does.
    pub fn succeeded(self) {
        let now = now();
        let took = now.saturating_duration_since(self.began);
        self.shared.told(true);
        if self.member.load().succeeded(took, self.shared.ms(now)) {
            self.shared.succeeded(self.member.load(), now);
        }
    }

    /// The call was refused, unreachable, timed out, or answered as only a broken instance answers.
    pub fn failed(self) {
        let now = now();
        let took = now.saturating_duration_since(self.began);
        self.shared.told(false);
        self.member.load().failed(took, self.shared.ms(now));
        self.shared.failed(self.member.load(), now);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if planted!("balance_attempt_never_ends") {
            return;
        }
        self.member.load().end();
        if self.shared.bounds_loads() {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// By tokio's clock, which tests may hold.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl fmt::Debug for Picker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picker").field("chooser", &self.chooser).finish_non_exhaustive()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("instance", self.instance()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
