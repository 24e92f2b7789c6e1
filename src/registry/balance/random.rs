//! Chance, and one after another.

use std::sync::Arc;

use super::pool::{Member, Pool};
use super::weighted::Weighted;
use crate::registry::rng::SplitMix64;

/// Picks by chance, every member as often as its share says. Constant time, one random number.
///
/// ```
/// # use std::sync::Arc;
/// # use menagerie::registry::{Instance, balance::{Pool, Random}};
/// # let instance = Arc::new(Instance::new("time", "a", "10.0.0.1:80".parse().unwrap()));
/// let pool = Pool::even(&[instance]);
/// let (mut one, mut other) = (Random::new(7), Random::new(7));
/// let id = |member: Option<&Arc<_>>| member.map(|member: &Arc<menagerie::registry::balance::Member>| member.instance().id.clone());
/// assert_eq!(id(one.pick(&pool)), id(other.pick(&pool)), "equal seeds, equal picks");
/// assert!(one.pick(&Pool::default()).is_none());
/// ```
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
    pub fn pick<'a>(&mut self, pool: &'a Pool) -> Option<&'a Arc<Member>> {
        pool.members().get(self.index(pool)?)
    }

    #[inline]
    pub(super) fn index(&mut self, pool: &Pool) -> Option<usize> {
        pool.draw(&mut self.rng)
    }
}

/// Picks one after another, in the pool's order. Constant time while all shares are the same; where they differ, because of
/// a warm-up or of zones, it picks as [`Weighted`] does.
///
/// ```
/// # use std::sync::Arc;
/// # use menagerie::registry::{Instance, balance::{Pool, RoundRobin}};
/// # let instance = |id: &str| Arc::new(Instance::new("time", id, "10.0.0.1:80".parse().unwrap()));
/// let pool = Arc::new(Pool::even(&[instance("a"), instance("b")]));
/// let mut robin = RoundRobin::new(1);
/// let picks: Vec<_> = (0..4).filter_map(|_| robin.pick(&pool)).map(|member| member.instance().id.clone()).collect();
/// assert_ne!(picks[0], picks[1]);
/// assert_eq!(picks[..2], picks[2..]);
/// ```
#[derive(Clone, Debug)]
pub struct RoundRobin {
    next: usize,
    weighted: Weighted,
}

impl RoundRobin {
    /// Starts at a place drawn from `seed`: clients that start together do not all begin with the same instance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let next = SplitMix64::new(seed).below(usize::MAX).unwrap_or_default();
        Self { next, weighted: Weighted::new(seed) }
    }

    /// The next of the pool, or none if it is empty.
    pub fn pick<'a>(&mut self, pool: &'a Arc<Pool>) -> Option<&'a Arc<Member>> {
        self.renew(pool);
        pool.members().get(self.index(pool)?)
    }

    pub(super) fn renew(&mut self, pool: &Arc<Pool>) {
        if !pool.is_even() {
            self.weighted.renew(pool);
        }
    }

    #[inline]
    pub(super) fn index(&mut self, pool: &Pool) -> Option<usize> {
        if !pool.is_even() {
            return self.weighted.index();
        }
        let len = pool.len();
        // Kept below the pool's size, the place never wraps in the middle of a round.
        let at = if self.next < len { self.next } else { self.next.checked_rem(len)? };
        self.next = at + usize::from(!planted!("balance_robin_stuck"));
        Some(at)
    }
}
