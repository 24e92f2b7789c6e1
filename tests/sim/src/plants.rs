//! Faults on purpose: `tests/plants` builds once with `--cfg plants` and names one fault for each run of the tests.

use std::sync::OnceLock;

/// Whether `MENAGERIE_PLANT` names this fault.
pub(crate) fn is(name: &str) -> bool {
    static PLANTED: OnceLock<String> = OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("MENAGERIE_PLANT").unwrap_or_default()) == name
}
