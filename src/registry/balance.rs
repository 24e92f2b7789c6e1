//! Which instance gets the next call.
//!
//! A [`Pool`] is what can be picked from, made of a set and the [`Suspects`] whenever one of them changes; picking from it
//! takes constant time. Strategies are pure: chance is a seed, and what became of a call is told to the suspects by
//! the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::address::Address;
use super::model::{Instance, Lifetime, Status};
use super::rng::SplitMix64;

/// Instances to pick from: those that want calls, the suspects among them only if there is nothing else.
///
/// An instance that is draining or out of service is never in it.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    instances: Vec<Arc<Instance>>,
}

impl Pool {
    /// The pool of a set's instances.
    pub fn new<'a>(instances: impl IntoIterator<Item = &'a Arc<Instance>>, suspects: &Suspects) -> Self {
        let up = instances.into_iter().filter(|instance| instance.status == Status::Up);
        let (suspected, trusted): (Vec<_>, Vec<_>) =
            up.cloned().partition(|instance| suspects.contains(instance));
        Self { instances: if trusted.is_empty() { suspected } else { trusted } }
    }

    /// The instances that can be picked.
    #[must_use]
    pub fn instances(&self) -> &[Arc<Instance>] {
        &self.instances
    }
}

/// Persistent instances that failed and have not been seen to work since.
///
/// A persistent registration outlives its process: go-micro's plugin and the Go demo never remove their dead. One that
/// fails is passed over while others are left. An instance that ends with its session needs no suspicion: ZooKeeper
/// removes it.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    failures: BTreeMap<Key, u32>,
}

/// An instance that came back at another address is another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    service: String,
    id: String,
    address: Address,
}

impl Key {
    fn of(instance: &Instance) -> Self {
        let Instance { service, id, address, .. } = instance;
        Self { service: service.clone(), id: id.clone(), address: address.clone() }
    }
}

impl Suspects {
    /// A call to `instance` failed as calls to dead processes fail: refused, unreachable, timed out. Says whether it
    /// has become a suspect by that, so that the pool is to be made anew.
    pub fn failed(&mut self, instance: &Instance) -> bool {
        if instance.lifetime == Lifetime::Session {
            return false;
        }
        let failures = self.failures.entry(Key::of(instance)).or_default();
        *failures = failures.saturating_add(1);
        *failures == 1
    }

    /// A call to `instance` succeeded. Says whether it was a suspect until now.
    pub fn succeeded(&mut self, instance: &Instance) -> bool {
        !self.failures.is_empty() && self.failures.remove(&Key::of(instance)).is_some()
    }

    /// Whether `instance` is a suspect.
    #[must_use]
    pub fn contains(&self, instance: &Instance) -> bool {
        !self.failures.is_empty() && self.failures.contains_key(&Key::of(instance))
    }

    /// How often `instance` has failed since it last worked; 0 unless it is persistent.
    #[must_use]
    pub fn failures(&self, instance: &Instance) -> u32 {
        self.failures.get(&Key::of(instance)).copied().unwrap_or_default()
    }

    /// Forgets all suspects that are not among `instances`: the list does not grow beyond the view.
    pub fn retain<'a>(&mut self, instances: impl IntoIterator<Item = &'a Arc<Instance>>) {
        if self.failures.is_empty() {
            return;
        }
        let mut failures = std::mem::take(&mut self.failures);
        for instance in instances {
            self.failures.extend(failures.remove_entry(&Key::of(instance)));
        }
    }

    /// How many suspects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.failures.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Picks every instance with equal chance.
#[derive(Clone, Debug)]
pub struct Random {
    rng: SplitMix64,
}

impl Random {
    /// A generator of picks that repeats for equal seeds.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: SplitMix64::new(seed) }
    }

    /// One of the pool, or none if it is empty.
    pub fn pick<'a>(&mut self, pool: &'a Pool) -> Option<&'a Arc<Instance>> {
        let at = self.rng.below(pool.instances.len())?;
        pool.instances.get(at)
    }
}

/// Picks one after another, in the pool's order.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    next: usize,
}

impl RoundRobin {
    /// Starts at a place drawn from `seed`: clients that start together do not all begin with the same instance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { next: SplitMix64::new(seed).below(usize::MAX).unwrap_or_default() }
    }

    /// The next of the pool, or none if it is empty.
    pub fn pick<'a>(&mut self, pool: &'a Pool) -> Option<&'a Arc<Instance>> {
        let at = self.next.checked_rem(pool.instances.len())?;
        // Kept below the pool's size, the place never wraps in the middle of a round.
        self.next = at + 1;
        pool.instances.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(port: u16, lifetime: Lifetime, status: Status) -> Arc<Instance> {
        let mut instance = Instance::new("s", format!("i{port}"), Address::new("h", port).unwrap());
        (instance.lifetime, instance.status) = (lifetime, status);
        Arc::new(instance)
    }

    fn up(ports: std::ops::Range<u16>) -> Vec<Arc<Instance>> {
        ports.map(|port| instance(port, Lifetime::Session, Status::Up)).collect()
    }

    fn counts(picks: impl Iterator<Item = u16>) -> Vec<usize> {
        let mut counts = vec![0; 16];
        picks.for_each(|port| counts[usize::from(port)] += 1);
        counts
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        for instances in [vec![], vec![instance(1, Lifetime::Session, Status::Draining)]] {
            let pool = Pool::new(&instances, &Suspects::default());
            assert_eq!(Random::new(1).pick(&pool), None);
            assert_eq!(RoundRobin::new(1).pick(&pool), None);
        }
    }

    #[test]
    fn what_wants_no_calls_gets_none() {
        let mut instances = up(1..4);
        instances.push(instance(4, Lifetime::Session, Status::Draining));
        instances.push(instance(5, Lifetime::Persistent, Status::OutOfService));
        let pool = Pool::new(&instances, &Suspects::default());
        let mut random = Random::new(2);
        assert!((0..1000).all(|_| random.pick(&pool).unwrap().status == Status::Up));
        assert_eq!(pool.instances().len(), 3);
    }

    /// Ten instances and 100,000 picks: the chi-square of nine degrees of freedom exceeds 27.9 once in a thousand seeds.
    #[test]
    fn random_picks_are_even_and_repeat() {
        let pool = Pool::new(&up(1..11), &Suspects::default());
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..100_000).map(|_| random.pick(&pool).unwrap().address.port()).collect::<Vec<_>>()
        };
        let picks = draw(42);
        let square = |count: usize| (count as f64 - 10_000.0).powi(2) / 10_000.0;
        let chi: f64 = counts(picks.iter().copied())[1..11].iter().map(|count| square(*count)).sum();
        assert!(chi < 27.9, "{chi}");
        assert_eq!(picks, draw(42));
        assert_ne!(picks, draw(43));
    }

    #[test]
    fn round_robin_is_exact_and_starts_anywhere() {
        let pool = Pool::new(&up(1..8), &Suspects::default());
        for seed in 0..50 {
            let mut robin = RoundRobin::new(seed);
            let picks = (0..7 * 11).map(|_| robin.pick(&pool).unwrap().address.port());
            assert!(counts(picks)[1..8].iter().all(|count| *count == 11));
        }
        let mut starts: Vec<u16> =
            (0..50).map(|seed| RoundRobin::new(seed).pick(&pool).unwrap().address.port()).collect();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), 7);
    }

    #[test]
    fn round_robin_goes_on_when_the_pool_changes() {
        let (large, small) =
            (Pool::new(&up(1..8), &Suspects::default()), Pool::new(&up(1..3), &Suspects::default()));
        let mut robin = RoundRobin::new(3);
        for pool in [&large, &small, &Pool::default(), &large, &small] {
            for _ in 0..5 {
                assert_eq!(robin.pick(pool).is_some(), !pool.instances().is_empty());
            }
        }
    }

    #[test]
    fn a_persistent_instance_that_failed_is_passed_over_while_others_are_left() {
        let mut suspects = Suspects::default();
        let (dead, alive) =
            (instance(1, Lifetime::Persistent, Status::Up), instance(2, Lifetime::Persistent, Status::Up));
        let both = [Arc::clone(&dead), Arc::clone(&alive)];
        assert!(suspects.failed(&dead));
        assert!(!suspects.failed(&dead), "a suspect already");
        assert_eq!(suspects.failures(&dead), 2);
        assert_eq!(Pool::new(&both, &suspects).instances(), [Arc::clone(&alive)]);
        assert!(suspects.failed(&alive));
        assert_eq!(Pool::new(&both, &suspects).instances(), both, "better a suspect than nobody");
        assert!(suspects.succeeded(&alive) && !suspects.succeeded(&alive));
        assert_eq!(Pool::new(&both, &suspects).instances(), [Arc::clone(&alive)]);
        let moved = Instance { address: Address::new("h", 9).unwrap(), ..Instance::clone(&dead) };
        assert!(!suspects.contains(&moved));
        suspects.retain([&dead]);
        assert_eq!(suspects.len(), 1);
        suspects.retain([&alive]);
        assert!(suspects.is_empty());
    }

    #[test]
    fn an_instance_of_a_session_is_never_a_suspect() {
        let mut suspects = Suspects::default();
        let live = instance(1, Lifetime::Session, Status::Up);
        assert!(!suspects.failed(&live));
        assert!(suspects.is_empty() && !suspects.contains(&live));
    }
}
