//! Makes a sequence that the servers disagree over as short as it will get, by leaving out operations and trying again.

use crate::{
    call::{Call, Step},
    episode::{Difference, Episode, Pair, Stop},
};
use std::io;

/// What was found.
#[derive(Debug)]
pub struct Minimal {
    /// The steps that are left.
    pub steps: Vec<Step>,
    /// What the servers disagree in.
    pub difference: Difference,
}

/// Tries sequences, so many times at most.
struct Search<B> {
    pair: Pair,
    base: B,
    left: usize,
}

/// Leaves out what can be left out, in at most so many attempts. `base` names a fresh base for each. `None` if the servers
/// agree when the whole is done again.
///
/// # Errors
/// When a server does not play along.
pub fn minimise(
    pair: Pair,
    steps: &[Step],
    attempts: usize,
    base: impl FnMut() -> String,
) -> io::Result<Option<Minimal>> {
    let mut search = Search { pair, base, left: attempts.max(1) };
    let Some(mut best) = search.attempt(steps.to_vec())? else { return Ok(None) };
    let mut part = best.steps.len().div_ceil(2);
    while part > 0 && search.left > 0 {
        let shorter = search.without_parts(&mut best, part)?;
        part = match (part, shorter) {
            (1, true) => 1,
            (1, false) => 0,
            _ => part.div_ceil(2),
        };
    }
    search.within_steps(&mut best)?;
    search.without_parts(&mut best, 1)?;
    Ok(Some(best))
}

impl<B: FnMut() -> String> Search<B> {
    /// The sequence, if the servers disagree over it. What stands behind the disagreement has no part in it.
    fn attempt(&mut self, mut steps: Vec<Step>) -> io::Result<Option<Minimal>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match Episode::replay(self.pair, &(self.base)(), &steps) {
            Ok(()) => Ok(None),
            Err(Stop::Failure(why)) => Err(why),
            Err(Stop::Difference(difference)) => {
                steps.truncate(difference.end);
                Ok(Some(Minimal { steps, difference: *difference }))
            }
        }
    }

    /// Tries to do without each `part` steps in a row; whether that worked for any.
    fn without_parts(&mut self, best: &mut Minimal, part: usize) -> io::Result<bool> {
        let (mut shorter, mut from) = (false, 0);
        while from < best.steps.len() {
            let (before, rest) = best.steps.split_at(from);
            let tried = [before, rest.get(part..).unwrap_or_default()].concat();
            match self.attempt(tried)? {
                Some(found) => {
                    *best = found;
                    shorter = true;
                }
                None => from += part,
            }
        }
        Ok(shorter)
    }

    /// Tries to do without single operations of multis, and single paths of setWatches.
    fn within_steps(&mut self, best: &mut Minimal) -> io::Result<()> {
        let mut at = 0;
        while let Some(step) = best.steps.get(at) {
            let mut shorter = None;
            for simpler in simpler(step) {
                let mut tried = best.steps.clone();
                if let Some(place) = tried.get_mut(at) {
                    *place = simpler;
                }
                shorter = self.attempt(tried)?;
                if shorter.is_some() {
                    break;
                }
            }
            match shorter {
                Some(found) => *best = found,
                None => at += 1,
            }
        }
        Ok(())
    }
}

/// The step with one thing less, for each thing that it has.
fn simpler(step: &Step) -> Vec<Step> {
    let Step::Request { slot, call } = step else { return Vec::new() };
    let request = |call| Step::Request { slot: *slot, call };
    match call {
        Call::Multi { op, calls } => (0..calls.len())
            .map(|gone| {
                let mut calls = calls.clone();
                calls.remove(gone);
                request(Call::Multi { op: *op, calls })
            })
            .collect(),
        Call::SetWatches { op, since, lists } => {
            let places =
                lists.iter().enumerate().flat_map(|(list, paths)| (0..paths.len()).map(move |at| (list, at)));
            places
                .map(|(list, gone)| {
                    let mut lists = lists.clone();
                    if let Some(paths) = lists.get_mut(list) {
                        paths.remove(gone);
                    }
                    request(Call::SetWatches { op: *op, since: *since, lists })
                })
                .collect()
        }
        _ => Vec::new(),
    }
}
