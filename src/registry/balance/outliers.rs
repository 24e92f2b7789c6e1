//! When an instance is passed over for what its calls say, and for how long.

use std::time::{Duration, Instant};

use crate::registry::limits::{
    EJECT_CALLS, EJECT_CONSECUTIVE, EJECT_FIRST, EJECT_FORGIVEN_AFTER, EJECT_MOST, EJECT_PERCENT,
    EJECT_POINTS,
};

/// The rules by which instances are ejected, for a while, although their registration stands.
///
/// An instance is ejected after [`EJECT_CONSECUTIVE`] failures in a row, or when its success rate in a window of
/// [`EJECT_WINDOW`](crate::registry::limits::EJECT_WINDOW) lies [`EJECT_POINTS`] percentage points below that of all
/// others together. It comes back by itself, and goes again at the first failure before a success. Each ejection lasts
/// twice as long as the one before; every [`EJECT_FORGIVEN_AFTER`] without one takes one back. At most
/// [`EJECT_PERCENT`] of the instances are ejected at a time, and never the last.
///
/// ```
/// use menagerie::registry::{Balance, balance::{Balancing, Outliers}};
///
/// let strict = Balancing::new(Balance::Random).outliers(Outliers::new().consecutive(2).percent(20));
/// let none = Balancing::new(Balance::Random).outliers(Outliers::off());
/// # let _ = (strict, none);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outliers {
    /// 0 for never.
    consecutive: u32,
    by_success_rate: bool,
    first: Duration,
    most: Duration,
    percent: u32,
}

impl Default for Outliers {
    fn default() -> Self {
        Self::new()
    }
}

impl Outliers {
    /// The rules above.
    #[must_use]
    pub fn new() -> Self {
        Self {
            consecutive: EJECT_CONSECUTIVE,
            by_success_rate: true,
            first: EJECT_FIRST,
            most: EJECT_MOST,
            percent: EJECT_PERCENT,
        }
    }

    /// Nothing is ejected. Persistent instances that fail are suspects nevertheless.
    #[must_use]
    pub fn off() -> Self {
        Self { consecutive: 0, by_success_rate: false, ..Self::new() }
    }

    /// Ejects after so many failures in a row; 0 for never.
    #[must_use]
    pub fn consecutive(mut self, failures: u32) -> Self {
        self.consecutive = failures;
        self
    }

    /// Whether success rates are compared.
    #[must_use]
    pub fn by_success_rate(mut self, by_success_rate: bool) -> Self {
        self.by_success_rate = by_success_rate;
        self
    }

    /// How long the first ejection of an instance lasts, and the longest.
    #[must_use]
    pub fn lasting(mut self, first: Duration, most: Duration) -> Self {
        (self.first, self.most) = (first, most);
        self
    }

    /// How many percent of the instances may be ejected at a time. One may, unless this is 0 or there is no other.
    #[must_use]
    pub fn percent(mut self, percent: u32) -> Self {
        self.percent = percent;
        self
    }

    pub(super) fn is_by_success_rate(self) -> bool {
        self.by_success_rate && !planted!("balance_rates_uncompared")
    }

    /// Whether so many failures in a row are enough.
    pub(super) fn is_enough(self, failures: u32) -> bool {
        self.consecutive > 0 && failures >= self.consecutive
    }

    /// Whether one more may be ejected of `all`, of which `ejected` are already.
    pub(super) fn may_eject(self, ejected: usize, all: usize) -> bool {
        if planted!("balance_eject_the_last") {
            return true;
        }
        let percent = usize::try_from(self.percent.min(100)).unwrap_or(100);
        let most = (all * percent / 100).max(usize::from(percent > 0));
        ejected < most && ejected + 1 < all
    }

    /// Whether a success rate (successes and failures) is an outlier beside that of all others.
    pub(super) fn is_outlier(self, own: (u32, u32), others: (u64, u64)) -> bool {
        let own = (u64::from(own.0), u64::from(own.1));
        let percent = |(good, bad): (u64, u64)| (good * 100).checked_div(good + bad).unwrap_or(100);
        let calls = |(good, bad): (u64, u64)| good + bad;
        let is_enough = calls(own) >= u64::from(EJECT_CALLS) && calls(others) >= u64::from(EJECT_CALLS);
        self.by_success_rate && is_enough && percent(own) + u64::from(EJECT_POINTS) <= percent(others)
    }
}

/// How often an instance was ejected, as far as it is not forgiven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    times: u32,
    /// The end of the last ejection.
    until: Option<Instant>,
}

impl Record {
    /// The end of an ejection that begins `now`.
    pub(super) fn eject(&mut self, rules: Outliers, now: Instant) -> Instant {
        let calm = self.until.map_or(Duration::ZERO, |until| now.saturating_duration_since(until));
        let forgiven = calm.as_secs() / EJECT_FORGIVEN_AFTER.as_secs().max(1);
        if !planted!("balance_never_forgiven") {
            self.times = self.times.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        }
        let factor = 1u32.checked_shl(self.times.min(20)).unwrap_or(u32::MAX);
        let lasts = rules.first.saturating_mul(factor).min(rules.most);
        self.times = self.times.saturating_add(u32::from(!planted!("balance_ejections_alike")));
        *self.until.insert(now + lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ejections_grow_and_are_forgiven() {
        let rules = Outliers::new().lasting(Duration::from_secs(2), Duration::from_secs(30));
        let start = super::super::tests::zero();
        let mut record = Record::default();
        let mut now = start;
        let mut lasts = |now: &mut Instant, calm: u64| {
            let begins = *now + Duration::from_secs(calm);
            *now = record.eject(rules, begins);
            (*now - begins).as_secs()
        };
        let grown: Vec<u64> = (0..6).map(|_| lasts(&mut now, 1)).collect();
        assert_eq!(grown, [2, 4, 8, 16, 30, 30]);
        assert_eq!(lasts(&mut now, 4 * 60), 8, "four of six are forgiven");
        assert_eq!(lasts(&mut now, 3600), 2);
    }

    #[test]
    fn a_share_may_go_and_never_the_last() {
        let half = Outliers::new();
        let may = |all| (0..10).take_while(|ejected| half.may_eject(*ejected, all)).count();
        assert_eq!([may(0), may(1), may(2), may(3), may(4), may(10)], [0, 0, 1, 1, 2, 5]);
        let all = Outliers::new().percent(100);
        assert_eq!((0..10).take_while(|ejected| all.may_eject(*ejected, 5)).count(), 4);
        assert!(Outliers::new().percent(10).may_eject(0, 3), "one may always");
        assert!(!Outliers::new().percent(0).may_eject(0, 3));
    }

    #[test]
    fn rates_are_compared_with_the_others() {
        let rules = Outliers::new();
        assert!(rules.is_outlier((12, 8), (900, 100)));
        assert!(!rules.is_outlier((13, 7), (900, 100)), "within chance");
        assert!(!rules.is_outlier((0, 19), (900, 100)), "too few calls");
        assert!(!rules.is_outlier((0, 100), (10, 9)), "too few of others");
        assert!(!rules.is_outlier((10, 90), (100, 900)), "it is everybody's fault");
        assert!(!Outliers::off().is_outlier((0, 100), (1000, 0)));
        assert!(!Outliers::off().is_enough(u32::MAX) && rules.is_enough(EJECT_CONSECUTIVE));
    }
}
