//! The better of two: power of two choices.

use std::sync::Arc;

use super::pool::{Member, Pool};
use crate::registry::rng::SplitMix64;

/// Draws two members by their shares and takes the one where one more call costs less: latency (a [`PeakEwma`]) times calls
/// under way. While the latency of one of them is not known, the one with fewer calls. Constant time, two random
/// numbers.
///
/// It lives on what callers report; without reports it is random.
///
/// ```
/// # use std::sync::Arc;
/// # use menagerie::registry::{Instance, balance::{LeastLoaded, Pool}};
/// # let instance = |id: &str| Arc::new(Instance::new("time", id, "10.0.0.1:80".parse().unwrap()));
/// let pool = Pool::even(&[instance("busy"), instance("idle")]);
/// (0..10).for_each(|_| pool.members()[0].load().begin());
/// let mut least = LeastLoaded::new(1);
/// assert!((0..100).all(|_| least.pick(&pool).unwrap().instance().id == "idle"));
/// ```
///
/// [`PeakEwma`]: super::PeakEwma
#[derive(Clone, Debug)]
pub struct LeastLoaded {
    rng: SplitMix64,
}

impl LeastLoaded {
    /// A generator of pairs that repeats for equal seeds.
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
        let (one, other) = self.pair(pool)?;
        let load = |at: usize| pool.members().get(at).map(|member| &*member.load);
        let is_first = load(one)?.costs_at_most(load(other)?);
        Some(if is_first || planted!("balance_first_of_two") { one } else { other })
    }

    /// Two members; the same one twice if there is one only, or hardly another.
    fn pair(&mut self, pool: &Pool) -> Option<(usize, usize)> {
        let one = pool.draw(&mut self.rng)?;
        if pool.is_even() {
            let other = self.rng.below(pool.len() - 1).map_or(one, |at| at + usize::from(at >= one));
            return Some((one, other));
        }
        let mut others = (0..4).filter_map(|_| pool.draw(&mut self.rng));
        Some((one, others.find(|other| *other != one).unwrap_or(one)))
    }
}
