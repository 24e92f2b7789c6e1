//! Many seeds, one after the other, and what is said of one that found something.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::census::{Census, Totals};
use crate::world::{Outcome, run};

/// Lines of a trace that are shown.
pub const LINES: usize = 150;

/// A seed that found something.
#[derive(Debug)]
pub struct Finding {
    /// The seed.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
}

/// Runs one seed. A panic is a finding like any other.
///
/// # Errors
/// What is wrong.
pub fn one(seed: u64) -> Result<Census, Finding> {
    match catch_unwind(AssertUnwindSafe(|| run(seed, 0))) {
        Ok(Outcome { census, violation: None, .. }) => Ok(census),
        Ok(Outcome { violation: Some(what), .. }) => Err(Finding { seed, what }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let what = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Err(Finding { seed, what: format!("panic: {what}") })
        }
    }
}

/// Runs these seeds, up to so many findings.
pub fn many(seeds: impl Iterator<Item = u64>, most: usize) -> (Totals, Vec<Finding>) {
    let (mut totals, mut findings) = (Totals::default(), Vec::new());
    for seed in seeds {
        match one(seed) {
            Ok(census) => totals.add(&census),
            Err(finding) => {
                totals.violations += 1;
                findings.push(finding);
                if findings.len() >= most {
                    break;
                }
            }
        }
    }
    (totals, findings)
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "seed {} {}\nrepeat: cargo run --release -p menagerie-sim -- --seed {}",
            self.seed, self.what, self.seed
        )
    }
}
