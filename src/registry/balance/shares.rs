//! What share of the calls each instance gets: its weight, less while it warms up, more in the caller's zone.

use std::time::Duration;

use crate::registry::limits::{WARM_UP_FIRST_PERCENT, ZONE_ENOUGH_PERCENT};

/// A whole share of one instance of weight 1, in parts fine enough for percentages of percentages.
const WHOLE: u128 = 10_000;

/// An instance as zones see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zoned<'a> {
    pub(super) zone: Option<&'a str>,
    /// Its share among all that are up, whether it can be picked or not.
    pub(super) share: u128,
    pub(super) can_be_picked: bool,
}

/// The share of an instance that has been there for `age`: it grows evenly from [`WARM_UP_FIRST_PERCENT`] to the whole.
/// Weight 0 stays 0.
pub(super) fn warmed(weight: u32, age: Duration, warm_up: Duration) -> u128 {
    let whole = u128::from(weight) * WHOLE;
    if age >= warm_up || planted!("balance_no_warm_up") {
        return whole;
    }
    let grown = (age.as_millis() * 100).checked_div(warm_up.as_millis()).unwrap_or(100);
    let part = (whole * grown.max(u128::from(WARM_UP_FIRST_PERCENT))) / 100;
    part.max(u128::from(weight > 0))
}

/// The shares of all instances, 0 for those that cannot be picked, where `local` is the caller's zone.
///
/// The local zone gets all calls while it has *enough*: [`ZONE_ENOUGH_PERCENT`] of its own instances that are up, and
/// of what the zones have on average (by shares). Below, it gets the part of the calls that it can bear in this sense,
/// and the others share the rest. Instances without a zone are among the others.
pub(super) fn zone_first(all: &[Zoned<'_>], local: &str) -> Vec<u128> {
    let is_local = |zoned: &&Zoned<'_>| zoned.zone == Some(local);
    let can_be_picked = |zoned: &&Zoned<'_>| zoned.can_be_picked;
    let sum = |shares: &mut dyn Iterator<Item = &Zoned<'_>>| shares.map(|zoned| zoned.share).sum::<u128>();
    let mut zones: Vec<_> = all.iter().filter_map(|zoned| zoned.zone).collect();
    zones.sort_unstable();
    zones.dedup();
    let here = sum(&mut all.iter().filter(is_local).filter(can_be_picked));
    let there = sum(&mut all.iter().filter(|zoned| !is_local(zoned)).filter(can_be_picked));
    let zoned = sum(&mut all.iter().filter(|zoned| zoned.zone.is_some()));
    let average = zoned.checked_div(zones.len() as u128).unwrap_or_default();
    let expected = sum(&mut all.iter().filter(is_local)).max(average);
    // What the local zone gets, of a whole.
    let enough = (expected * u128::from(ZONE_ENOUGH_PERCENT) / 100).max(1);
    let stays = match (here, there) {
        (0, _) => 0,
        (_, 0) => WHOLE,
        _ if planted!("balance_zone_never_overflows") => WHOLE,
        _ => (here * WHOLE / enough).min(WHOLE),
    };
    // Each side's shares are multiplied with the other's sum, so that the sides are as `stays` to the rest.
    let share = |zoned: &Zoned<'_>| match (zoned.can_be_picked, zoned.zone == Some(local)) {
        (false, _) => 0,
        (true, true) => zoned.share * stays * there.max(1),
        (true, false) => zoned.share * (WHOLE - stays) * here.max(1),
    };
    all.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What part of all calls goes to the local zone `a`, in percent.
    fn stays(instances: &[(&str, u128, bool)]) -> u128 {
        let zoned = |(zone, share, can_be_picked): &(&'static str, u128, bool)| Zoned {
            zone: Some(*zone).filter(|zone| !zone.is_empty()),
            share: *share,
            can_be_picked: *can_be_picked,
        };
        let instances: Vec<(&'static str, u128, bool)> = instances
            .iter()
            .map(|(zone, share, up)| {
                let zone = ["a", "b", "c"].into_iter().find(|known| known == zone).unwrap_or("");
                (zone, *share, *up)
            })
            .collect();
        let shares = zone_first(&instances.iter().map(zoned).collect::<Vec<_>>(), "a");
        let local = instances.iter().zip(&shares).filter(|((zone, ..), _)| *zone == "a");
        let (here, all) = (local.map(|(_, share)| *share).sum::<u128>(), shares.iter().sum::<u128>());
        (here * 100 + all / 2).checked_div(all).unwrap_or(0)
    }

    #[test]
    fn a_zone_with_enough_keeps_its_calls_and_shares_what_it_cannot_bear() {
        let zone = |name: &'static str, up: usize, down: usize| {
            let instances = [vec![(name, 1000, true); up], vec![(name, 1000, false); down]];
            instances.concat()
        };
        let shared = |zones: &[Vec<(&'static str, u128, bool)>]| stays(&zones.concat());
        assert_eq!(shared(&[zone("a", 10, 0), zone("b", 10, 0)]), 100);
        assert_eq!(shared(&[zone("a", 7, 3), zone("b", 10, 0)]), 100, "enough");
        assert_eq!(shared(&[zone("a", 6, 4), zone("b", 10, 0)]), 86, "six sevenths");
        assert_eq!(shared(&[zone("a", 1, 9), zone("b", 10, 0)]), 14);
        assert_eq!(shared(&[zone("a", 0, 9), zone("b", 10, 0)]), 0);
        assert_eq!(shared(&[zone("a", 1, 9), zone("b", 0, 10)]), 100, "nobody else is left");
        assert_eq!(shared(&[zone("a", 2, 0), zone("b", 10, 0)]), 48, "two of six on average");
        assert_eq!(shared(&[zone("a", 10, 0), zone("b", 1, 0), zone("", 4, 0)]), 100);
        assert_eq!(shared(&[zone("b", 1, 0), zone("", 4, 0)]), 0);
        assert_eq!(shared(&[]), 0);
    }

    #[test]
    fn a_share_grows_evenly_and_never_from_nothing() {
        let warm_up = Duration::from_secs(100);
        let at = |secs| warmed(2, Duration::from_secs(secs), warm_up) / 200;
        assert_eq!([at(0), at(4), at(25), at(50), at(99), at(100), at(1000)], [5, 5, 25, 50, 99, 100, 100]);
        assert_eq!(warmed(0, Duration::ZERO, warm_up), 0);
        assert_eq!(warmed(1, Duration::ZERO, Duration::ZERO), WHOLE);
    }

    proptest! {
        #[test]
        fn whoever_can_be_picked_is_picked_and_nobody_else(
            instances in proptest::collection::vec((0..4usize, 1..u64::MAX >> 12, any::<bool>()), 0..20),
        ) {
            let zones = [None, Some("a"), Some("b"), Some("c")];
            let zoned: Vec<_> = instances.iter().map(|(zone, share, can_be_picked)| Zoned {
                zone: zones[*zone], share: u128::from(*share), can_be_picked: *can_be_picked,
            }).collect();
            let shares = zone_first(&zoned, "a");
            let picked = shares.iter().any(|share| *share > 0);
            prop_assert_eq!(picked, zoned.iter().any(|zoned| zoned.can_be_picked));
            prop_assert!(zoned.iter().zip(&shares).all(|(zoned, share)| zoned.can_be_picked || *share == 0));
        }
    }
}
