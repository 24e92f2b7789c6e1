//! Smoothly by shares: earliest deadline first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use super::pool::{Member, Pool};
use crate::registry::rng::SplitMix64;

/// How far apart the deadlines of a member with share 1 lie.
const STRIDE: u64 = 1 << 40;

/// Picks each member as often as its share says, evenly spread: of shares 5, 1 and 1 the first comes at every step but two
/// of seven, and never seven times in fourteen. Logarithmic time, no random number.
///
/// Every member has a deadline that moves on by the inverse of its share whenever it is picked; the earliest is next. When
/// the pool changes, those that stay keep their deadlines, and those that come get one within their first round: a change
/// neither restarts the rounds nor sends everybody to the newcomer.
///
/// ```
/// # use std::sync::Arc;
/// # use menagerie::registry::{Instance, balance::{Pool, Weighted}};
/// let instance = |id: &str, weight| {
///     let mut instance = Instance::new("time", id, "10.0.0.1:80".parse().unwrap());
///     instance.weight = weight;
///     Arc::new(instance)
/// };
/// let pool = Arc::new(Pool::by_weight(&[instance("a", 2), instance("b", 1), instance("off", 0)]));
/// let mut weighted = Weighted::new(1);
/// let picks: Vec<_> = (0..300).filter_map(|_| weighted.pick(&pool)).map(|member| member.instance().id.clone()).collect();
/// assert_eq!(picks.iter().filter(|id| *id == "a").count(), 200);
/// assert!(!picks.contains(&"off".to_owned()));
/// ```
#[derive(Clone, Debug)]
pub struct Weighted {
    rng: SplitMix64,
    /// What the deadlines are those of.
    pool: Arc<Pool>,
    /// Deadlines, the earliest first, and whose they are.
    deadlines: BinaryHeap<Reverse<(u64, u32)>>,
    /// By how much a member's deadline moves.
    strides: Vec<u64>,
}

impl Weighted {
    /// A sequence of picks that repeats for equal seeds. The seed decides who is first, so that clients that start together do
    /// not all begin with the same instance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (deadlines, strides) = (BinaryHeap::new(), Vec::new());
        Self { rng: SplitMix64::new(seed), pool: Arc::default(), deadlines, strides }
    }

    /// The next of the pool, or none if it is empty. Another pool than the last one is taken over first, in linear time.
    pub fn pick<'a>(&mut self, pool: &'a Arc<Pool>) -> Option<&'a Arc<Member>> {
        self.renew(pool);
        pool.members().get(self.index()?)
    }

    /// Takes the places over from the last pool.
    pub(super) fn renew(&mut self, pool: &Arc<Pool>) {
        if Arc::ptr_eq(&self.pool, pool) {
            return;
        }
        let now = self.deadlines.peek().map_or(0, |Reverse((deadline, _))| *deadline);
        let mut due = vec![None; self.pool.len()];
        for Reverse((deadline, at)) in &self.deadlines {
            if let Some(due) = due.get_mut(*at as usize) {
                *due = Some(deadline - now);
            }
        }
        let strides: Vec<u64> = pool.shares().iter().map(|share| stride(*share)).collect();
        let mut olds = self.pool.members().iter().zip(due.iter().zip(&self.strides)).peekable();
        let mut deadlines = Vec::with_capacity(pool.len());
        for ((at, member), stride) in (0u32..).zip(pool.members()).zip(&strides) {
            while olds.next_if(|(old, _)| old.leaf < member.leaf).is_some() {}
            let old = olds.next_if(|(old, _)| old.is(member)).filter(|_| !planted!("balance_place_lost"));
            let rest = match old {
                Some((_, (Some(due), old_stride))) => rescaled(*due, *old_stride, *stride),
                _ => self.rng.below(usize::try_from(*stride).unwrap_or(usize::MAX)).unwrap_or(0) as u64,
            };
            if *stride > 0 {
                deadlines.push(Reverse((rest, at)));
            }
        }
        self.deadlines = deadlines.into();
        self.strides = strides;
        self.pool = Arc::clone(pool);
    }

    #[inline]
    pub(super) fn index(&mut self) -> Option<usize> {
        let mut first = self.deadlines.peek_mut()?;
        let Reverse((deadline, at)) = *first;
        let stride = self.strides.get(at as usize)?;
        let Some(next) = deadline.checked_add(*stride) else {
            drop(first);
            self.rebase(deadline);
            return self.index();
        };
        *first = Reverse((next, at));
        // Sifts it down.
        drop::<PeekMut<'_, _>>(first);
        Some(at as usize)
    }

    /// Counts the deadlines from `now` on, before they leave the numbers: once in 2^24 picks at the soonest.
    #[cold]
    fn rebase(&mut self, now: u64) {
        let rebased =
            |Reverse((deadline, at)): Reverse<(u64, u32)>| Reverse((deadline.saturating_sub(now), at));
        self.deadlines = std::mem::take(&mut self.deadlines).into_iter().map(rebased).collect();
    }
}

fn stride(share: u64) -> u64 {
    STRIDE.checked_div(share).unwrap_or_default()
}

/// What is left of a round whose length changes.
fn rescaled(rest: u64, old: u64, new: u64) -> u64 {
    let wide = (u128::from(rest) * u128::from(new)).checked_div(u128::from(old)).unwrap_or_default();
    u64::try_from(wide).unwrap_or(new).min(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Instance;

    fn pool(weights: &[(&str, u32)]) -> Arc<Pool> {
        let instance = |(id, weight): &(&str, u32)| {
            let mut instance = Instance::new("s", *id, "h:1".parse().unwrap());
            instance.weight = *weight;
            Arc::new(instance)
        };
        Arc::new(Pool::by_weight(&weights.iter().map(instance).collect::<Vec<_>>()))
    }

    #[test]
    fn deadlines_at_the_end_of_the_numbers_go_on_from_zero() {
        let pool = pool(&[("a", 3), ("b", 1)]);
        let mut weighted = Weighted::new(3);
        weighted.renew(&pool);
        let far = |Reverse((deadline, at))| Reverse((deadline + (u64::MAX - 3 * STRIDE), at));
        weighted.deadlines = std::mem::take(&mut weighted.deadlines).into_iter().map(far).collect();
        let picks: Vec<_> = (0..400_000).map(|_| weighted.index().unwrap()).collect();
        let share = picks.iter().filter(|at| **at == 0).count();
        assert!((299_999..=300_001).contains(&share), "{share}");
    }
}
