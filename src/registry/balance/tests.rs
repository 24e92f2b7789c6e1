//! The strategies: how picks are spread under seeds, and what a change of the pool moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::registry::limits::{BOUND_PERCENT, STICKY_KEYS};
use crate::registry::model::{Instance, Status};
use crate::registry::rng::SplitMix64;

#[expect(clippy::disallowed_methods, reason = "an arbitrary zero for virtual time")]
pub(super) fn zero() -> Instant {
    Instant::now()
}

pub(super) fn instance(id: usize, weight: u32) -> Arc<Instance> {
    let mut instance = Instance::new("s", format!("i{id:04}"), "h:1".parse().unwrap());
    instance.weight = weight;
    Arc::new(instance)
}

fn weighted(weights: &[u32]) -> Arc<Pool> {
    let instances: Vec<_> = weights.iter().enumerate().map(|(id, weight)| instance(id, *weight)).collect();
    Arc::new(Pool::by_weight(&instances))
}

fn even(len: usize) -> Arc<Pool> {
    weighted(&vec![1; len])
}

/// The pool without those members, which keeps what is known of the others.
fn without(pool: &Pool, gone: impl Fn(usize) -> bool) -> Arc<Pool> {
    let stay = pool.members().iter().zip(pool.shares()).enumerate().filter(|(at, _)| !gone(*at));
    let (members, shares) = stay.map(|(_, (member, share))| (Arc::clone(member), u128::from(*share))).unzip();
    Arc::new(Pool::new(members, shares))
}

fn place(member: &Member) -> usize {
    member.instance().id[1..].parse().unwrap()
}

fn counts(len: usize, picks: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut counts = vec![0; len];
    picks.for_each(|at| counts[at] += 1);
    counts
}

/// How far counts are from what weights make one expect. Of `n` free counts, `n + 3.1 * sqrt(2 n) + 6` is exceeded less
/// than once in a thousand seeds.
fn is_as_expected(counts: &[usize], weights: &[u32]) -> bool {
    let (total, weight) = (counts.iter().sum::<usize>() as f64, weights.iter().sum::<u32>() as f64);
    let expected = weights.iter().map(|own| total * f64::from(*own) / weight);
    let square = |(count, expected): (&usize, f64)| match expected {
        0.0 => {
            if *count == 0 {
                0.0
            } else {
                f64::INFINITY
            }
        }
        _ => (*count as f64 - expected).powi(2) / expected,
    };
    let chi: f64 = counts.iter().zip(expected).map(square).sum();
    let free = weights.iter().filter(|weight| **weight > 0).count() as f64 - 1.0;
    chi < free + 3.1 * (2.0 * free).sqrt() + 6.0
}

#[test]
fn nothing_is_picked_from_nothing() {
    let mut draining = Instance::clone(&instance(1, 1));
    draining.status = Status::Draining;
    for pool in [Pool::default(), Pool::even(&[Arc::new(draining)])] {
        let pool = Arc::new(pool);
        assert!(Random::new(1).pick(&pool).is_none());
        assert!(RoundRobin::new(1).pick(&pool).is_none());
        assert!(Weighted::new(1).pick(&pool).is_none());
        assert!(LeastLoaded::new(1).pick(&pool).is_none());
        assert!(Sticky::new(1).pick(&pool).is_none());
        assert!(Sticky::new(1).pick_for(&pool, 1).is_none());
        assert!(Ring::new(pool.members()).owner(1).is_none());
    }
}

#[test]
fn random_picks_are_spread_by_shares_and_repeat() {
    for weights in [&[1; 10][..], &[1, 2, 3, 4, 0, 10, 100], &[7], &[1, 1_000_000]] {
        let pool = weighted(weights);
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..100_000).map(|_| place(random.pick(&pool).unwrap())).collect::<Vec<_>>()
        };
        let picks = draw(42);
        assert!(is_as_expected(&counts(weights.len(), picks.iter().copied()), weights), "{weights:?}");
        assert_eq!(picks, draw(42));
        assert!(picks != draw(43) || weights.len() < 3);
    }
}

#[test]
fn round_robin_is_exact_and_starts_anywhere() {
    let pool = even(7);
    let mut starts = Vec::new();
    for seed in 0..50 {
        let mut robin = RoundRobin::new(seed);
        let picks: Vec<_> = (0..7 * 11).map(|_| place(robin.pick(&pool).unwrap())).collect();
        starts.push(picks[0]);
        assert!(counts(7, picks.into_iter()).iter().all(|count| *count == 11));
    }
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 7);
}

#[test]
fn round_robin_goes_on_when_the_pool_changes() {
    let mut robin = RoundRobin::new(3);
    for pool in [even(7), even(2), Arc::default(), weighted(&[1, 2, 3]), even(7), even(2)] {
        for _ in 0..5 {
            assert_eq!(robin.pick(&pool).is_some(), !pool.is_empty());
        }
    }
}

#[test]
fn weight_nothing_is_nothing_unless_all_have_it() {
    let (some, none) = (weighted(&[0, 2, 0, 1]), weighted(&[0, 0, 0]));
    let (mut random, mut smooth) = (Random::new(1), Weighted::new(1));
    let mut picks = |pool: &Arc<Pool>| {
        let (mut one, mut other) = (vec![0; 4], vec![0; 4]);
        for _ in 0..3000 {
            one[place(random.pick(pool).unwrap())] += 1;
            other[place(smooth.pick(pool).unwrap())] += 1;
        }
        (one, other)
    };
    let (chance, exact) = picks(&some);
    assert_eq!((chance[0], chance[2], &exact[..]), (0, 0, &[0, 2000, 0, 1000][..]));
    let (chance, exact) = picks(&none);
    assert!(chance[..3].iter().all(|count| *count > 900));
    assert_eq!(exact, [1000, 1000, 1000, 0]);
}

#[test]
fn weighted_picks_are_spread_evenly() {
    let pool = weighted(&[5, 1, 1]);
    let mut smooth = Weighted::new(9);
    let picks: Vec<_> = (0..7000).map(|_| place(smooth.pick(&pool).unwrap())).collect();
    for round in picks.windows(7).skip(7) {
        let heavy = round.iter().filter(|at| **at == 0).count();
        assert!((4..=6).contains(&heavy), "{round:?}");
    }
}

#[test]
fn clients_that_start_together_do_not_begin_with_the_same() {
    let pool = even(100);
    let first = |seed| place(Weighted::new(seed).pick(&pool).unwrap());
    let mut starts: Vec<_> = (0..1000).map(first).collect();
    starts.sort_unstable();
    starts.dedup();
    assert!(starts.len() > 95, "{}", starts.len());
}

/// Weights 1 to 10, the last one leaving and coming back every 20 picks or so: all shares stay what they are.
#[test]
fn a_changed_pool_keeps_its_places() {
    let weights: Vec<u32> = (1..=10).collect();
    let whole = weighted(&weights);
    let smaller = without(&whole, |at| at == 9);
    let (mut smooth, mut rng) = (Weighted::new(5), SplitMix64::new(1));
    let (mut picked, mut steps, mut is_whole) = ([0usize; 10], [0usize; 2], true);
    for _ in 0..90_000 {
        is_whole ^= rng.below(20) == Some(0);
        let pool = if is_whole { &whole } else { &smaller };
        picked[place(smooth.pick(pool).unwrap())] += 1;
        steps[usize::from(is_whole)] += 1;
    }
    for (at, count) in picked.into_iter().enumerate() {
        let per_weight = steps[1] as f64 / 55.0 + if at < 9 { steps[0] as f64 / 45.0 } else { 0.0 };
        let due = per_weight * (at + 1) as f64;
        // The last one, and those of about the same weight, may lose and gain a pick at a change.
        let tolerance = if at < 7 { 0.003 } else { 0.1 };
        assert!(
            (count as f64 - due).abs() < due * tolerance,
            "{at}: {count} instead of {due}, of {picked:?}"
        );
    }
    // A newcomer gets no more than its share from the start.
    let mut smooth = Weighted::new(6);
    (0..100).for_each(|_| assert!(smooth.pick(&smaller).is_some()));
    let early = (0..10).filter(|_| place(smooth.pick(&whole).unwrap()) == 9).count();
    assert!(early <= 3, "{early} of the first ten");
}

#[test]
fn the_better_of_two_is_taken() {
    let pool = even(10);
    let mut least = LeastLoaded::new(1);
    // Number 0 answers in 100 ms, the rest in 10 ms.
    for member in pool.members() {
        let slow = place(member) == 0;
        member.load().succeeded(Duration::from_millis(if slow { 100 } else { 10 }), 0);
    }
    let picks = (0..10_000).map(|_| place(least.pick(&pool).unwrap()));
    let picks = counts(10, picks);
    assert_eq!(picks[0], 0, "it loses against every other");
    assert!(picks[1..].iter().all(|count| (900..1350).contains(count)), "{picks:?}");
    // One that is called but has not answered is told by its calls.
    let mut in_flight = vec![0; 10];
    let pool = even(10);
    for _ in 0..1000 {
        let member = least.pick(&pool).unwrap();
        member.load().begin();
        in_flight[place(member)] += 1;
    }
    let (least, most) = (in_flight.iter().min().unwrap(), in_flight.iter().max().unwrap());
    assert!(most - least < 10, "{in_flight:?}");
}

#[test]
fn a_slow_instance_is_tried_again_after_a_while() {
    let pool = even(2);
    let mut least = LeastLoaded::new(1);
    pool.members()[0].load().succeeded(Duration::from_secs(1), 0);
    pool.members()[1].load().succeeded(Duration::from_millis(10), 0);
    let slow = |least: &mut LeastLoaded| place(least.pick(&pool).unwrap()) == 0;
    assert!((0..30_000).step_by(1000).all(|now| {
        pool.members()[1].load().succeeded(Duration::from_millis(10), now);
        !slow(&mut least)
    }));
    let tried = (30_000..90_000).step_by(1000).any(|now| {
        pool.members()[1].load().succeeded(Duration::from_millis(10), now);
        slow(&mut least)
    });
    assert!(tried);
}

fn owners(ring: &Ring, keys: u64) -> Vec<usize> {
    (0..keys).map(|key| place(ring.owner(hash(&key.to_le_bytes())).unwrap())).collect()
}

#[test]
fn the_ring_is_shared_by_weight() {
    let weights = [4, 2, 1, 0, 4, 4];
    let ring = Ring::new(weighted(&weights).members());
    let counts = counts(6, owners(&ring, 60_000).into_iter());
    for (count, weight) in counts.iter().zip(weights) {
        let due = 60_000 * weight as usize / 15;
        assert!(count.abs_diff(due) * 3 <= due, "{counts:?}");
    }
}

#[test]
fn keys_have_the_hashes_they_always_had() {
    let known: Vec<u64> =
        ["", "a", "user 1", "a key of more than eight bytes"].map(|key| hash(key.as_bytes())).into();
    let always = [
        14_087_677_454_934_409_008,
        1_704_250_071_669_194_000,
        4_009_434_078_306_357_206,
        6_193_398_010_629_197_153,
    ];
    assert_eq!(known, always);
    // Every bit of the key moves about half of the bits of its hash.
    for bit in 0..128u32 {
        let mut key = [7u8; 16];
        key[bit as usize / 8] ^= 1 << (bit % 8);
        let differ = (hash(&key) ^ hash(&[7; 16])).count_ones();
        assert!((16..=48).contains(&differ), "{bit}: {differ}");
    }
}

#[test]
fn a_sticky_choice_stays_while_it_can() {
    let whole = even(10);
    let mut sticky = Sticky::new(1);
    let first = place(sticky.pick(&whole).unwrap());
    assert!((0..100).all(|_| place(sticky.pick(&whole).unwrap()) == first));
    let others = without(&whole, |at| at != first && at % 2 == 0);
    assert_eq!(place(sticky.pick(&others).unwrap()), first);
    let gone = without(&whole, |at| at == first);
    let second = place(sticky.pick(&gone).unwrap());
    assert_ne!(second, first);
    assert_eq!(place(sticky.pick(&whole).unwrap()), second, "it does not go back");
    assert!((0..10).filter(|seed| place(Sticky::new(*seed).pick(&whole).unwrap()) == first).count() < 8);
}

#[test]
fn sticky_keys_stay_apart_and_are_bounded() {
    let (whole, mut sticky) = (even(10), Sticky::new(1));
    let before: Vec<_> = (0..1000).map(|key| place(sticky.pick_for(&whole, key).unwrap())).collect();
    assert!(is_as_expected(&counts(10, before.iter().copied()), &[1; 10]));
    let gone = without(&whole, |at| at == 3);
    for (key, before) in (0..).zip(&before) {
        let now = place(sticky.pick_for(&gone, key).unwrap());
        assert!(if *before == 3 { now != 3 } else { now == *before });
    }
    for key in 0..STICKY_KEYS as u64 + 1000 {
        sticky.pick_for(&whole, key).unwrap();
    }
    assert_eq!(sticky.len(), STICKY_KEYS);
}

/// Members that come and go.
fn some_of(len: usize) -> impl Strategy<Value = (Vec<bool>, Vec<bool>)> {
    let mask = || proptest::collection::vec(any::<bool>(), len);
    (mask(), mask())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What holds for every strategy: somebody is picked if somebody can be, and only who is in the pool with a share.
    #[test]
    fn whoever_is_picked_can_be_picked(
        weights in proptest::collection::vec(prop_oneof![Just(0u32), 1..10u32, Just(u32::MAX)], 0..40),
        seed: u64,
        key: u64,
    ) {
        let pool = weighted(&weights);
        let (mut random, mut robin, mut smooth) = (Random::new(seed), RoundRobin::new(seed), Weighted::new(seed));
        let (mut least, mut sticky, ring) = (LeastLoaded::new(seed), Sticky::new(seed), Ring::new(pool.members()));
        for step in 0..50 {
            let picks = [
                random.pick(&pool), robin.pick(&pool), smooth.pick(&pool), least.pick(&pool),
                sticky.pick(&pool), sticky.pick_for(&pool, key), ring.owner(key.wrapping_mul(step)),
            ];
            for pick in picks {
                prop_assert_eq!(pick.is_some(), !weights.is_empty());
                let weight = pick.map_or(1, |member| member.instance().weight);
                prop_assert!(weight > 0 || weights.iter().all(|weight| *weight == 0));
            }
        }
    }

    /// The part of every member in any stretch of picks is its share, to within two picks: one for its class, one within.
    #[test]
    fn weighted_picks_are_exact(weights in proptest::collection::vec(1..20u32, 1..12), seed: u64) {
        let pool = weighted(&weights);
        let mut smooth = Weighted::new(seed);
        let total: u32 = weights.iter().sum();
        let picks = counts(weights.len(), (0..total * 10).map(|_| place(smooth.pick(&pool).unwrap())));
        for (count, weight) in picks.iter().zip(&weights) {
            prop_assert!(count.abs_diff(*weight as usize * 10) <= 2, "{:?} of {:?}", picks, weights);
        }
    }

    /// Only keys whose owner went, or that a newcomer gains, are moved; and a ring that was changed is the ring made anew.
    #[test]
    fn a_change_moves_as_little_as_it_can((before, after) in some_of(20)) {
        let whole = even(20);
        let (old_pool, new_pool) = (without(&whole, |at| !before[at]), without(&whole, |at| !after[at]));
        let old = Ring::new(old_pool.members());
        let new = old.with(new_pool.members());
        prop_assert_eq!(&new, &Ring::new(new_pool.members()));
        let keys = if old_pool.is_empty() || new_pool.is_empty() { 0 } else { 500 };
        for (was, is) in owners(&old, keys).into_iter().zip(owners(&new, keys)) {
            prop_assert!(was == is || !after[was] || !before[is], "moved from {was} to {is}, both of which stayed");
        }
    }

    /// Who is passed over for a while is as good as gone, for the keys of the others.
    #[test]
    fn whoever_is_passed_over_moves_only_its_own_keys((open, _) in some_of(12)) {
        let whole = even(12);
        let ring = Ring::new(whole.members());
        let closed = Ring::new(without(&whole, |at| !open[at]).members());
        for key in 0..200u64 {
            let hash = hash(&key.to_le_bytes());
            let found = ring.find(hash, |at, _| open[at]).map(|member| place(member));
            prop_assert_eq!(found, closed.owner(hash).map(|member| place(member)));
        }
    }

    /// However keys are chosen, nobody carries more than its share and a quarter of what is under way, rounded up.
    #[test]
    fn loads_are_bounded(
        weights in proptest::collection::vec(1..5u32, 1..12),
        keys in proptest::collection::vec(0..3u64, 1..300),
        ends: u64,
    ) {
        let pool = weighted(&weights);
        let ring = Ring::new(pool.members());
        let total = ring.points_of(|_| true);
        let mut under_way: Vec<Arc<Member>> = Vec::new();
        for (step, key) in (0usize..).zip(keys) {
            let hash = hash(&key.to_le_bytes());
            let member = Arc::clone(ring.find_bounded(hash, under_way.len() as u64, total, |_| true).unwrap());
            member.load().begin();
            under_way.push(member.clone());
            let points = ring.points_of(|at| at == place(&member));
            let most = (under_way.len() as u64 * points * u64::from(BOUND_PERCENT)).div_ceil(total * 100);
            prop_assert!(u64::from(member.load().in_flight()) <= most);
            if ends >> (step % 64) & 1 == 1 {
                under_way.swap_remove(step % under_way.len()).load().end();
            }
        }
    }

    /// A pool that changes under any strategy never breaks it, nor lets it pick who is gone.
    #[test]
    fn strategies_follow_every_change(masks in proptest::collection::vec(some_of(8), 1..12), seed: u64) {
        let whole = weighted(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let (mut robin, mut smooth, mut sticky) = (RoundRobin::new(seed), Weighted::new(seed), Sticky::new(seed));
        for (mask, _) in masks {
            let pool = without(&whole, |at| !mask[at]);
            for step in 0..10 {
                for pick in [robin.pick(&pool), smooth.pick(&pool), sticky.pick(&pool), sticky.pick_for(&pool, step)] {
                    prop_assert_eq!(pick.is_some(), !pool.is_empty());
                    prop_assert!(pick.is_none_or(|member| mask[place(member)]));
                }
            }
        }
    }
}

#[test]
fn the_measure_of_chance_tells_skewed_from_even() {
    assert!(is_as_expected(&[2550, 2450, 2480, 2520], &[1; 4]));
    assert!(!is_as_expected(&[2700, 2300, 2500, 2500], &[1; 4]));
    assert!(!is_as_expected(&[2500, 2500, 1], &[1, 1, 0]));
}
