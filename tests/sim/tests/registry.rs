//! Seeds of registrations and views, as many as a test may take. The release binary runs the many.

use std::sync::LazyLock;

use menagerie_sim::registry::rare::{RARE, Rare, Sums};
use menagerie_sim::registry::{one, repeat};

/// Seeds of a test. Planted faults are caught among them (`tests/plants.d/sim-registry`).
const SEEDS: u64 = 8;

/// What they came to; it is the first finding if there is one.
static RUNS: LazyLock<Result<Sums, String>> = LazyLock::new(|| {
    let mut sums = Sums::default();
    for seed in 0..SEEDS {
        let (census, figures) =
            one(seed).map_err(|what| format!("seed {seed} {what}\nrepeat: {}", repeat(seed)))?;
        sums.add(&census, &figures);
    }
    Ok(sums)
});

/// That went well, with that in it.
fn holds_with(rare: &[Rare]) {
    let sums = RUNS.as_ref().unwrap_or_else(|what| panic!("{what}"));
    let missing = sums.missing();
    assert!(!rare.iter().any(|rare| missing.contains(rare)), "of {rare:?}: {sums}");
}

#[test]
fn no_registration_and_no_view_breaks_a_promise() {
    holds_with(&RARE);
}

#[test]
fn what_expired_or_was_deleted_stands_again_and_a_reconnect_writes_nothing() {
    holds_with(&[Rare::BackAfterExpiry, Rare::BackAfterDeletion]);
}

#[test]
fn ours_is_taken_over_and_neither_a_strangers_nor_a_twins() {
    holds_with(&[Rare::Takeover, Rare::ForeignConflict, Rare::TwinConflict]);
}

#[test]
fn wishes_that_change_during_faults_are_fulfilled_once_they_heal() {
    holds_with(&[Rare::ConflictResolved, Rare::RootGoneAndBack]);
}

#[test]
fn a_view_drops_and_lacks_nothing_that_stays_across_outages() {
    holds_with(&[Rare::StaleThenFresh]);
}

#[test]
fn a_registry_seed_is_a_run_and_another_seed_is_another() {
    let hash = |seed| one(seed).unwrap_or_else(|what| panic!("seed {seed} {what}")).0;
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..3 {
        let (first, second) = (hash(seed), hash(seed));
        assert_eq!((first.hash, first.steps), (second.hash, second.steps), "seed {seed} runs in two ways");
        hashes.insert(first.hash);
    }
    assert_eq!(hashes.len(), 3);
}
