//! One check's answers, counted: how many in a row make it rise or fall, and when it is asked next. Pure.
//!
//! ```text
//!            `rise` successes in a row
//!        ┌──────────────────────────────►┐
//!      down                             up
//!        └◄──────────────────────────────┘
//!             `fall` failures in a row
//! ```

use std::time::Duration;

use super::{CheckFailure, Counts};
use crate::registry::limits::CHECK_TURNING;
use crate::registry::rng::SplitMix64;

/// Where one check stands.
#[derive(Debug)]
pub(super) struct RiseFall {
    counts: Counts,
    is_up: bool,
    /// Answers in a row that speak against where it stands.
    against: u32,
    pub(super) runs: u64,
    pub(super) failures: u64,
    pub(super) turns: u64,
    /// The last answer, if that was a failure.
    pub(super) failure: Option<CheckFailure>,
    rng: SplitMix64,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Rose,
    Fell,
}

impl RiseFall {
    pub(super) fn new(counts: Counts, seed: u64) -> Self {
        Self {
            counts,
            is_up: counts.up_at_first,
            against: 0,
            runs: 0,
            failures: 0,
            turns: 0,
            failure: None,
            rng: SplitMix64::new(seed),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    /// Takes one answer in.
    pub(super) fn on_answer(&mut self, answer: Result<(), CheckFailure>) -> Option<Turn> {
        let passed = answer.is_ok();
        self.failure = answer.err();
        self.runs += 1;
        self.failures += u64::from(!passed);
        if passed == self.is_up {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let enough = if self.is_up { self.counts.fall } else { self.counts.rise };
        if self.against < enough && !planted!("health_turns_at_once") {
            return None;
        }
        self.against = 0;
        self.turns += 1;
        self.is_up = passed;
        Some(if passed { Turn::Rose } else { Turn::Fell })
    }

    /// The time from the beginning of the last asking to that of the next.
    pub(super) fn pause(&mut self) -> Duration {
        let interval = self.counts.interval;
        let most = interval * self.counts.jitter_percent / 100;
        let jittered = interval - most + self.rng.span(most * 2);
        if self.against > 0 { jittered.min(CHECK_TURNING) } else { jittered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: Counts = Counts {
        interval: Duration::from_secs(10),
        jitter_percent: 10,
        rise: 2,
        fall: 3,
        up_at_first: false,
    };

    /// What each answer changes; `+` is a success, `-` a failure.
    fn turns(counts: Counts, answers: &str) -> String {
        let mut check = RiseFall::new(counts, 1);
        let turn = |answer| match check.on_answer(if answer == '+' {
            Ok(())
        } else {
            Err(CheckFailure::CutShort)
        }) {
            Some(Turn::Rose) => 'R',
            Some(Turn::Fell) => 'F',
            None => '.',
        };
        answers.chars().map(turn).collect()
    }

    #[test]
    fn only_so_many_in_a_row_make_a_difference() {
        for (up_at_first, answers, expected) in [
            (false, "++", ".R"),
            (false, "+-++", "...R"),
            (false, "-----", "....."),
            (true, "++++", "...."),
            (true, "---", "..F"),
            (true, "--+--+---", "........F"),
            (true, "---+-++---", "..F...R..F"),
        ] {
            assert_eq!(turns(Counts { up_at_first, ..COUNTS }, answers), expected, "{answers}");
        }
        let once = Counts { rise: 1, fall: 1, ..COUNTS };
        assert_eq!(turns(once, "+-+-"), "RFRF");
    }

    /// Every sequence of ten answers, against the rule as a sentence.
    #[test]
    fn it_is_up_exactly_if_the_last_run_that_was_long_enough_was_of_successes() {
        for bits in 0..1024_u32 {
            let answers: Vec<bool> = (0..10).map(|at| bits >> at & 1 == 1).collect();
            let mut check = RiseFall::new(COUNTS, 1);
            let (mut expected, mut run) = (false, (false, 0));
            for &passed in &answers {
                run = if run.0 == passed { (passed, run.1 + 1) } else { (passed, 1) };
                if run.1 >= if passed { COUNTS.rise } else { COUNTS.fall } {
                    expected = passed;
                }
                let was = check.is_up();
                let turn = check.on_answer(if passed { Ok(()) } else { Err(CheckFailure::CutShort) });
                assert_eq!((check.is_up(), turn.is_some()), (expected, was != expected), "{answers:?}");
                assert_eq!(check.failure.is_none(), passed);
            }
        }
    }

    #[test]
    fn it_is_asked_at_its_interval_and_sooner_while_a_turn_is_in_the_making() {
        let mut check = RiseFall::new(COUNTS, 1);
        let pauses: Vec<Duration> = (0..1000).map(|_| check.pause()).collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(9) && *most <= Duration::from_secs(11), "{least:?} {most:?}");
        assert!(*most - *least > Duration::from_millis(1900), "the jitter is used: {least:?} {most:?}");
        check.on_answer(Ok(()));
        assert_eq!(check.pause(), CHECK_TURNING);
        check.on_answer(Ok(()));
        assert!(check.pause() > CHECK_TURNING, "it has risen");
        let mut steady = RiseFall::new(Counts { jitter_percent: 0, ..COUNTS }, 1);
        assert_eq!(steady.pause(), COUNTS.interval);
        let quick = Counts { interval: CHECK_TURNING / 2, jitter_percent: 0, ..COUNTS };
        let mut quick = RiseFall::new(quick, 1);
        quick.on_answer(Ok(()));
        assert_eq!(quick.pause(), CHECK_TURNING / 2, "never later than at the interval");
    }
}
