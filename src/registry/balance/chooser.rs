//! One strategy out of all, as a picker holds it.

use std::sync::Arc;

use super::pool::Member;
use super::{Balance, LeastLoaded, Random, Roster, RoundRobin, Sticky, Weighted};

/// A strategy and where it stands.
#[derive(Debug)]
pub(in crate::registry) enum Chooser {
    Random(Random),
    RoundRobin(RoundRobin),
    Weighted(Box<Weighted>),
    LeastLoaded(LeastLoaded),
    /// Without a key, by chance.
    ConsistentHash(Random),
    /// The place of the present one is looked up at a change only.
    Sticky(Box<Sticky>, Option<usize>),
}

impl Chooser {
    pub(in crate::registry) fn new(balance: Balance, seed: u64) -> Self {
        match balance {
            Balance::Random => Self::Random(Random::new(seed)),
            Balance::RoundRobin => Self::RoundRobin(RoundRobin::new(seed)),
            Balance::Weighted => Self::Weighted(Box::new(Weighted::new(seed))),
            Balance::LeastLoaded => Self::LeastLoaded(LeastLoaded::new(seed)),
            Balance::ConsistentHash => Self::ConsistentHash(Random::new(seed)),
            Balance::Sticky => Self::Sticky(Box::new(Sticky::new(seed)), None),
        }
    }

    /// Takes another roster over.
    pub(in crate::registry) fn renew(&mut self, roster: &Roster) {
        match self {
            Self::RoundRobin(robin) => robin.renew(&roster.pool),
            Self::Weighted(weighted) => weighted.renew(&roster.pool),
            Self::Sticky(sticky, at) => *at = sticky.index(&roster.pool),
            Self::Random(_) | Self::LeastLoaded(_) | Self::ConsistentHash(_) => {}
        }
    }

    /// The next one of the roster that was taken over last.
    #[inline]
    pub(in crate::registry) fn pick<'a>(&mut self, roster: &'a Roster) -> Option<&'a Arc<Member>> {
        let pool = &*roster.pool;
        let at = match self {
            Self::Random(random) | Self::ConsistentHash(random) => random.index(pool)?,
            Self::RoundRobin(robin) => robin.index(pool)?,
            Self::Weighted(weighted) => weighted.index()?,
            Self::LeastLoaded(least) => least.index(pool)?,
            Self::Sticky(_, at) => (*at)?,
        };
        pool.members().get(at)
    }
}
