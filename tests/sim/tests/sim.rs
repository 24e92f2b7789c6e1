//! Seeds.

#[test]
fn a_seed_is_a_run() {}
