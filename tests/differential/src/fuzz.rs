//! The loop over episodes.

use crate::{
    call::{Call, Step},
    census::Census,
    chance::Chance,
    episode::{Episode, Pair, Stop, run_len},
    generate::{Generator, SLOTS},
    minimise::{Minimal, minimise},
    side::Item,
};
use std::{fmt, io};

/// Requests in an episode: at least so many, and up to as many more.
const EPISODE: usize = 200;
const EPISODE_SPREAD: usize = 300;

/// How long and from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many operations at least.
    pub operations: usize,
    /// The seed of the first episode; each episode has the next.
    pub seed: u64,
    /// How often a sequence may be tried again to make it shorter.
    pub attempts: usize,
}

/// The servers disagree.
#[derive(Debug)]
pub struct Finding {
    /// Of the episode.
    pub seed: u64,
    /// Operations of the run up to there.
    pub operations: usize,
    /// As it was seen first.
    pub seen: String,
    /// The shortest sequence found; `None` if it did not happen again.
    pub minimal: Option<Minimal>,
}

/// What a run came to.
#[derive(Debug)]
pub enum Verdict {
    /// They agree in all.
    Agreed(Census),
    /// They do not.
    Differs(Box<Finding>),
}

/// Runs episodes until there were enough operations, or the servers disagree.
///
/// # Errors
/// When a server does not play along.
pub fn run(pair: Pair, plan: Plan) -> io::Result<Verdict> {
    let mut census = Census::default();
    let mut bases = 0..;
    let mut base = || format!("/d{}-{}", plan.seed, bases.next().unwrap_or(0));
    for seed in plan.seed.. {
        if census.operations >= plan.operations {
            break;
        }
        let mut episode = Episode::begin(pair, &base())?;
        let result = play(&mut episode, seed, &mut census).and_then(|()| episode.compare_trees());
        episode.abandon();
        match result {
            Ok(()) => census.episodes += 1,
            Err(Stop::Failure(why)) => return Err(why),
            Err(Stop::Difference(seen)) => {
                let minimal = minimise(pair, &episode.steps, plan.attempts, &mut base)?;
                let operations = census.operations;
                let finding = Finding { seed, operations, seen: seen.to_string(), minimal };
                return Ok(Verdict::Differs(Box::new(finding)));
            }
        }
    }
    Ok(Verdict::Agreed(census))
}

/// One episode up to the end of all its sessions.
fn play(episode: &mut Episode, seed: u64, census: &mut Census) -> Result<(), Stop> {
    let mut generator = Generator::new(seed, episode.base_len());
    let until = census.operations + EPISODE + Chance::new(seed).below(EPISODE_SPREAD);
    let mut steps = generator.first();
    while census.operations < until {
        run_all(episode, &mut generator, census, &steps)?;
        steps = generator.go_on();
    }
    let goodbyes: Vec<Step> = (0..SLOTS).flat_map(|slot| generator.goodbye(slot)).collect();
    run_all(episode, &mut generator, census, &goodbyes)
}

fn run_all(
    episode: &mut Episode,
    generator: &mut Generator,
    census: &mut Census,
    steps: &[Step],
) -> Result<(), Stop> {
    let mut rest = steps;
    while !rest.is_empty() {
        let (run, behind) = rest.split_at(run_len(rest));
        let outcome = episode.run(run)?;
        let calls: Vec<Call> = run.iter().filter_map(Step::call).cloned().collect();
        census.count(&calls, &outcome.own);
        census.attached += usize::from(
            matches!(run, [Step::Attach { .. }]) && matches!(outcome.own.first(), Some(Item::Session { .. })),
        );
        outcome.others.iter().for_each(|(_, items)| census.count_events(items));
        generator.learn(run, &outcome, episode);
        rest = behind;
    }
    Ok(())
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, after {} operations of the run:", self.seed, self.operations)?;
        let Some(minimal) = &self.minimal else {
            write!(f, "{}", self.seen)?;
            return writeln!(f, "This did not happen again when the same was sent once more.");
        };
        let mut sent = std::collections::BTreeMap::<usize, i32>::new();
        for (at, step) in minimal.steps.iter().enumerate() {
            let xid = sent.entry(step.slot()).or_default();
            match step {
                Step::Request { slot, call } => {
                    *xid += 1;
                    writeln!(f, "{at:4}  place {slot}, xid {xid}: {call:?}")?;
                }
                other => writeln!(f, "{at:4}  {other:?}")?,
            }
        }
        write!(f, "disagree: {}", minimal.difference)
    }
}
