//! Makes a sequence that the servers disagree over as short as it will get, by leaving out operations and trying again.

use crate::{
    call::Step,
    episode::{Difference, Episode, Pair, Stop},
};
use std::io;

/// The most attempts that are made.
const ATTEMPTS: usize = 600;

/// What was found.
#[derive(Debug)]
pub struct Minimal {
    /// The steps that are left.
    pub steps: Vec<Step>,
    /// What the servers disagree in.
    pub difference: Difference,
}

/// Leaves out what can be left out. `base` names a fresh base for each attempt. `None` if the servers agree when the whole is
/// done again.
///
/// # Errors
/// When a server does not play along.
pub fn minimise(pair: Pair, steps: &[Step], mut base: impl FnMut() -> String) -> io::Result<Option<Minimal>> {
    let mut attempts = 0;
    let mut attempt = |steps: &[Step]| {
        attempts += 1;
        match Episode::replay(pair, &base(), steps) {
            Err(Stop::Difference(difference)) => Ok((attempts, Some(*difference))),
            Err(Stop::Failure(why)) => Err(why),
            Ok(()) => Ok((attempts, None)),
        }
    };
    let (_, Some(difference)) = attempt(steps)? else { return Ok(None) };
    let mut best = Minimal { steps: steps.to_vec(), difference };
    let mut part = best.steps.len().div_ceil(2);
    while part > 0 {
        let mut shorter = false;
        let mut from = 0;
        while from < best.steps.len() {
            let (before, rest) = best.steps.split_at(from);
            let tried = [before, rest.get(part..).unwrap_or_default()].concat();
            let (attempts, found) = attempt(&tried)?;
            if let Some(difference) = found {
                // What comes behind the difference has no part in it.
                best = Minimal { steps: tried, difference };
                shorter = true;
            } else {
                from += part;
            }
            if attempts >= ATTEMPTS {
                return Ok(Some(best));
            }
        }
        if !shorter || part > 1 {
            part = if part == 1 { 0 } else { part.div_ceil(2) };
        }
    }
    Ok(Some(best))
}
