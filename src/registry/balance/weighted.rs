//! Smoothly by shares, without chance.

use std::sync::Arc;

use super::pool::{Member, Pool};
use crate::registry::rng::SplitMix64;

/// How far a class whose shares sum up to 1 moves at each of its turns.
const STRIDE: u64 = 1 << 60;

/// Picks each member as often as its share says, evenly spread: of shares 5, 1 and 1 the first comes at every step but two
/// of seven, and never seven times in a row. No random number; constant time, but for the number of *classes*.
///
/// Members whose shares differ by less than the factor two are in one class, so there are few: one if all weigh about
/// the same, and at most 21. The class whose turn comes first is next (earliest deadline first, by the sums of shares).
/// Within a class they are visited in a circle; a visit is worth a member's share of the greatest in the class, and one
/// that has saved up a whole pick is picked, at every other visit at the latest.
///
/// When the pool changes, those that stay keep what they have saved and their places in the circle, and those that come
/// begin somewhere within their first pick: a change neither restarts the rounds nor sends everybody to the newcomer.
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
/// assert!((199..=201).contains(&picks.iter().filter(|id| *id == "a").count()));
/// assert!(!picks.contains(&"off".to_owned()));
/// ```
#[derive(Clone, Debug)]
pub struct Weighted {
    rng: SplitMix64,
    /// What the classes are made of.
    pool: Arc<Pool>,
    classes: Vec<Class>,
}

/// Members with about the same share.
#[derive(Clone, Debug, Default)]
struct Class {
    /// When its turn is, in strides of all.
    turn: u64,
    stride: u64,
    /// The greatest share of a member, and what a pick costs.
    price: u64,
    circle: Vec<Place>,
    /// Who in the circle is visited next.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    at: u32,
    share: u64,
    /// Below the price.
    saved: u64,
}

impl Weighted {
    /// A sequence of picks that repeats for equal seeds. The seed decides who is first, so that clients that start
    /// together do not all begin with the same instance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: SplitMix64::new(seed), pool: Arc::default(), classes: Vec::new() }
    }

    /// The next of the pool, or none if it is empty. Another pool than the last one is taken over first, in linear time.
    pub fn pick<'a>(&mut self, pool: &'a Arc<Pool>) -> Option<&'a Arc<Member>> {
        self.renew(pool);
        pool.members().get(self.index()?)
    }

    #[inline]
    pub(super) fn index(&mut self) -> Option<usize> {
        let class = match self.classes.as_mut_slice() {
            [only] => return only.visit(),
            classes => classes.iter_mut().min_by_key(|class| class.turn)?,
        };
        let Some(turn) = class.turn.checked_add(class.stride) else {
            self.rebase();
            return self.index();
        };
        class.turn = turn;
        class.visit()
    }

    /// Counts turns from the first one on, before they leave the numbers: once in millions of picks.
    #[cold]
    fn rebase(&mut self) {
        let first = self.classes.iter().map(|class| class.turn).min().unwrap_or_default();
        self.classes.iter_mut().for_each(|class| class.turn -= first);
    }

    /// Takes the places over from the last pool.
    pub(super) fn renew(&mut self, pool: &Arc<Pool>) {
        if Arc::ptr_eq(&self.pool, pool) {
            return;
        }
        self.rebase();
        let old = self.old_places(pool);
        let mut classes = classes(pool.shares());
        for class in &mut classes {
            let survivor = class.circle.iter().find_map(|place| *old.get(place.at as usize)?);
            match survivor.and_then(|(was_in, _)| self.classes.get(was_in)) {
                Some(was) => {
                    class.turn = rescaled(was.turn, was.stride, class.stride);
                    class.next = self.next_of(was, class, pool);
                }
                None => {
                    class.turn = self.rng.up_to(class.stride);
                    class.next = self.rng.below(class.circle.len()).unwrap_or_default();
                }
            }
            for place in &mut class.circle {
                let old = old.get(place.at as usize).copied().flatten();
                place.saved = match old.and_then(|(was_in, saved)| Some((self.classes.get(was_in)?, saved))) {
                    Some((was, saved)) => rescaled(saved, was.price, class.price),
                    None => self.rng.up_to(class.price),
                };
            }
        }
        self.classes = classes;
        self.pool = Arc::clone(pool);
    }

    /// For each member of `pool`, the class it was in and what it has saved, if it was there.
    fn old_places(&self, pool: &Pool) -> Vec<Option<(usize, u64)>> {
        let mut saved = vec![None; self.pool.len()];
        for (was_in, class) in self.classes.iter().enumerate() {
            for place in &class.circle {
                if let Some(saved) = saved.get_mut(place.at as usize) {
                    *saved = Some((was_in, place.saved));
                }
            }
        }
        let mut olds = self.pool.members().iter().zip(saved).peekable();
        let of = |member: &Arc<Member>| {
            while olds.next_if(|(old, _)| old.leaf < member.leaf).is_some() {}
            let old = olds.next_if(|(old, _)| old.is(member)).filter(|_| !planted!("balance_place_lost"));
            old.and_then(|(_, saved)| saved)
        };
        pool.members().iter().map(of).collect()
    }

    /// Where the circle of `class` goes on that of `was`: at the one who was next there, or who stands behind it.
    fn next_of(&self, was: &Class, class: &Class, pool: &Pool) -> usize {
        let leaf = |pool: &Pool, place: &Place| {
            pool.members().get(place.at as usize).map(|member| member.leaf.clone())
        };
        let next = was.circle.get(was.next).or(was.circle.first()).and_then(|place| leaf(&self.pool, place));
        let behind = class.circle.partition_point(|place| leaf(pool, place) < next);
        if behind < class.circle.len() { behind } else { 0 }
    }
}

impl Class {
    /// Goes round until one has saved up a pick.
    #[inline]
    fn visit(&mut self) -> Option<usize> {
        loop {
            if self.next >= self.circle.len() {
                self.next = 0;
            }
            let place = self.circle.get_mut(self.next)?;
            self.next += 1;
            place.saved += place.share;
            if place.saved >= self.price {
                place.saved -= self.price;
                return Some(place.at as usize);
            }
        }
    }
}

/// Members by the magnitude of their shares, without those that have none.
fn classes(shares: &[u64]) -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    classes.resize_with(u64::BITS as usize, Class::default);
    for ((at, share), class) in (0u32..).zip(shares).map(|pair| (pair, pair.1.checked_ilog2())) {
        let class = class.and_then(|magnitude| classes.get_mut(magnitude as usize));
        if let Some(class) = class {
            class.circle.push(Place { at, share: *share, saved: 0 });
            class.price = class.price.max(*share);
        }
    }
    classes.retain(|class| !class.circle.is_empty());
    for class in &mut classes {
        let sum: u64 = class.circle.iter().map(|place| place.share).sum();
        class.stride = STRIDE.checked_div(sum).unwrap_or(STRIDE);
    }
    classes
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

    #[test]
    fn turns_at_the_end_of_the_numbers_go_on_from_zero() {
        let instance = |(id, weight): (&str, u32)| {
            let mut instance = Instance::new("s", id, "h:1".parse().unwrap());
            instance.weight = weight;
            Arc::new(instance)
        };
        let pool = Arc::new(Pool::by_weight(&[("a", 3), ("b", 1)].map(instance)));
        let mut weighted = Weighted::new(3);
        weighted.renew(&pool);
        weighted.classes.iter_mut().for_each(|class| class.turn += u64::MAX - (STRIDE >> 12));
        let picks: Vec<_> = (0..400_000).map(|_| weighted.index().unwrap()).collect();
        let share = picks.iter().filter(|at| **at == 0).count();
        assert!((299_998..=300_002).contains(&share), "{share}");
        assert!(weighted.classes.iter().all(|class| class.turn < u64::MAX / 2));
    }
}
