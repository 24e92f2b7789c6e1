//! How a service's instances are picked, in a caller's words.

use std::time::Duration;

use super::filter::Filter;
use super::outliers::Outliers;

/// How the next instance is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Balance {
    /// By chance, all alike: see [`Random`](super::Random).
    #[default]
    Random,
    /// One after another: see [`RoundRobin`](super::RoundRobin).
    RoundRobin,
    /// As often as the instances' weights say, evenly spread: see [`Weighted`](super::Weighted).
    Weighted,
    /// The better of two by latency and calls under way: see [`LeastLoaded`](super::LeastLoaded). For calls made as
    /// [`attempt`](crate::registry::Services::attempt)s.
    LeastLoaded,
    /// A key's calls go to the same instance from everywhere: see [`Ring`](super::Ring). With
    /// [`attempt_for`](crate::registry::Services::attempt_for) none gets much more than its share at a time. Neither
    /// zones nor warm-up move keys.
    ConsistentHash,
    /// One instance, or one for each key, as long as it can be picked: see [`Sticky`](super::Sticky).
    Sticky,
}

impl Balance {
    /// Whether shares begin with the instances' weights.
    pub(super) fn heeds_weights(self) -> bool {
        !matches!(self, Self::Random | Self::RoundRobin)
    }
}

/// A strategy and what it works with. A [`Balance`] alone is one too: nothing filtered, no zones, no warm-up, outliers
/// ejected.
///
/// ```
/// use std::time::Duration;
/// use menagerie::registry::{Balance, balance::{Balancing, Filter}};
///
/// let balancing = Balancing::new(Balance::LeastLoaded)
///     .filter(Filter::new().version("2"))
///     .zone_first("eu-1a")
///     .warm_up(Duration::from_secs(30));
/// # let _ = balancing;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Balancing {
    pub(super) balance: Balance,
    pub(super) filter: Filter,
    pub(super) zone: Option<String>,
    pub(super) warm_up: Duration,
    pub(super) outliers: Outliers,
    pub(super) seed: Option<u64>,
}

impl From<Balance> for Balancing {
    fn from(balance: Balance) -> Self {
        Self::new(balance)
    }
}

impl Balancing {
    /// The strategy alone.
    #[must_use]
    pub fn new(balance: Balance) -> Self {
        Self { balance, ..Self::default() }
    }

    /// Picks only what the filter lets through.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Prefers instances in this zone, the caller's own, as long as there are enough of them; then the other zones take
    /// what it cannot bear. *Enough* is [`ZONE_ENOUGH_PERCENT`](crate::registry::limits::ZONE_ENOUGH_PERCENT) of its
    /// own instances that are up, trusted or not, and of what the zones have on average: it counts on callers that are
    /// spread over the zones evenly. Does not apply to [`Balance::ConsistentHash`].
    #[must_use]
    pub fn zone_first(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Lets the share of a new instance grow over this time, from
    /// [`WARM_UP_FIRST_PERCENT`](crate::registry::limits::WARM_UP_FIRST_PERCENT) to the whole. It counts from the
    /// moment at which this program first could pick it, since the clocks of those who register are not ours; what is
    /// there at the start is warm. Does not apply to [`Balance::ConsistentHash`]. None unless given.
    #[must_use]
    pub fn warm_up(mut self, time: Duration) -> Self {
        self.warm_up = time;
        self
    }

    /// By which rules instances are ejected.
    #[must_use]
    pub fn outliers(mut self, outliers: Outliers) -> Self {
        self.outliers = outliers;
        self
    }

    /// Makes picks repeat: the pickers of one view then draw their seeds from this one, in the order in which they are
    /// made. For tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    pub(in crate::registry) fn balance(&self) -> Balance {
        self.balance
    }

    /// The seed, or else the one that `chance` gives.
    pub(in crate::registry) fn seed_or(&self, chance: impl FnOnce() -> u64) -> u64 {
        self.seed.unwrap_or_else(chance)
    }
}
