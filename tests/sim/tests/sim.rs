//! Seeds of the simulation, as many as a test may take, and what makes them worth something: that they repeat, and that they reach
//! what they are for. The release binary runs the many.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use menagerie_sim::census::{Census, State};
use menagerie_sim::seeds::{many, one};

/// Seeds of a test. Planted faults are caught among them (`tests/plants.d/sim`).
const SEEDS: u64 = 160;

#[test]
fn no_promise_is_broken() {
    let (totals, findings) = many(0..SEEDS, 1);
    if let Some(finding) = findings.first() {
        panic!("{finding}\n{totals}");
    }
    assert!(totals.simulated_seconds() > 100 * SEEDS, "{totals}");
}

fn census(seed: u64) -> Census {
    one(seed).unwrap_or_else(|finding| panic!("{finding}"))
}

#[test]
fn a_seed_is_a_run_and_another_seed_is_another() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let (first, second) = (census(seed), census(seed));
        assert_eq!((first.hash, first.steps), (second.hash, second.steps), "seed {seed} runs in two ways");
        hashes.insert(first.hash);
    }
    assert_eq!(hashes.len(), 20);
}

#[test]
fn the_commonest_of_the_rare_states_are_reached() {
    let runs: Vec<Census> = (0..40).map(census).collect();
    let often = [
        State::UnknownFate,
        State::Lost,
        State::LostThenReattached,
        State::Expired,
        State::ExpiredByLeader,
        State::NoQuorum,
        State::LeaderChange,
        State::ZxidAhead,
        State::Moved,
        State::Gap,
        State::Leased,
        State::Resumed,
    ];
    for state in often {
        assert!(runs.iter().any(|run| run.states.contains_key(&state)), "{state:?} is never reached");
    }
    assert!(runs.iter().filter(|run| run.counts()).count() > 36, "most seeds are worth counting");
}
