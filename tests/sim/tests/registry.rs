//! Seeds of registrations and views, as many as a test may take. The release binary runs the many.

use menagerie_sim::registry::rare::{RARE, Sums};
use menagerie_sim::registry::{one, repeat};

/// Seeds of a test. Planted faults are caught among them (`tests/plants.d/sim-registry`).
const SEEDS: u64 = 8;

#[test]
fn no_registration_and_no_view_breaks_a_promise() {
    let mut sums = Sums::default();
    for seed in 0..SEEDS {
        match one(seed) {
            Ok((census, figures)) => sums.add(&census, &figures),
            Err(what) => panic!("seed {seed} {what}\nrepeat: {}", repeat(seed)),
        }
    }
    assert_eq!(sums.missing(), [], "of {RARE:?}: {sums}");
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
