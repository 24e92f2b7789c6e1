//! Faults on purpose, for the fuzzers: one build with `--cfg plants` holds all, and each run names one.

use std::sync::OnceLock;

/// Whether `MENAGERIE_PLANT` names this fault.
pub(crate) fn is(name: &str) -> bool {
    static PLANTED: OnceLock<String> = OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("MENAGERIE_PLANT").unwrap_or_default()) == name
}
