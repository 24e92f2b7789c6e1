//! Where chance comes from: a seed, and nothing else.

use std::time::Duration;

/// A splitmix64 generator: eight bytes of state, good enough to spread load, not to keep secrets.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Anything from nothing to just below `most`.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(if nanos == 0 { 0 } else { self.next() % nanos })
    }

    /// True `wins` times of `of`.
    pub(super) fn wins(&mut self, wins: u64, of: u64) -> bool {
        of > 0 && self.next() % of < wins
    }

    /// Every order with the same chance (Fisher and Yates).
    pub(super) fn shuffle<E>(&mut self, items: &mut [E]) {
        for last in (1..items.len()).rev() {
            let bound = last as u64 + 1;
            let chosen = usize::try_from(self.next() % bound).unwrap_or(last);
            items.swap(last, chosen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_first_about_as_often() {
        let mut first = [0_u32; 3];
        for seed in 0..3_000 {
            let mut order = [0, 1, 2];
            Chance::new(seed).shuffle(&mut order);
            first[order[0]] += 1;
        }
        assert!(first.iter().all(|&count| (900..1_100).contains(&count)), "{first:?}");
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let mut chance = Chance::new(7);
        assert_eq!(chance.up_to(Duration::ZERO), Duration::ZERO);
        assert!((0..1_000).all(|_| chance.up_to(Duration::from_millis(5)) < Duration::from_millis(5)));
    }
}
