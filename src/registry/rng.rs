//! A splitmix64 generator: chance that repeats, from a seed that the caller gives.

use std::time::Duration;

/// The state of one generator. Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, each as likely as the next to within `bound / 2^64`; `None` below zero choices.
    pub(crate) fn below(&mut self, bound: usize) -> Option<usize> {
        let wide = u128::from(self.next_u64()) * (bound as u128);
        if bound == 0 { None } else { usize::try_from(wide >> 64).ok() }
    }

    /// A number below `bound`, or 0 if that is 0.
    pub(crate) fn up_to(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// A span drawn evenly from zero up to, and without, `most`.
    pub(crate) fn span(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let drawn = (u128::from(self.next_u64()) * u128::from(nanos)) >> 64;
        Duration::from_nanos(u64::try_from(drawn).unwrap_or(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_splitmix64s() {
        // The reference outputs for seed 1234567, from the generator's published description.
        let mut rng = SplitMix64::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn bounds_hold() {
        let mut rng = SplitMix64::new(7);
        assert_eq!((rng.below(0), rng.up_to(0)), (None, 0));
        assert!((0..1000).all(|_| rng.up_to(3) < 3));
        assert!((0..1000).all(|_| rng.below(3).unwrap() < 3));
        assert_eq!(rng.span(Duration::ZERO), Duration::ZERO);
        assert!((0..1000).all(|_| rng.span(Duration::from_millis(5)) < Duration::from_millis(5)));
    }
}
