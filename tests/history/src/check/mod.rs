//! The checks, and what they say.

mod children;
mod digest;
mod facts;
mod register;
mod render;
mod sessions;
mod timeline;
mod watches;

use crate::record::{History, Op};
use digest::Digest;
use facts::Facts;
use std::{collections::BTreeSet, fmt};

/// Violations that are told; more would not be read.
const MOST: usize = 20;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The record itself.
    Form,
    /// Real time and zxids agree.
    Order,
    /// The writes of a path make sense.
    Register,
    /// What was read was written.
    Fate,
    /// A transaction is one step.
    Multi,
    /// Refusals are true.
    Refusal,
    /// Reads of a session do not go back.
    Reads,
    /// A sync brings up to date.
    Sync,
    /// A session's writes are done in its order.
    Fifo,
    /// Ephemerals live as long as their sessions.
    Ephemeral,
    /// Sequence numbers.
    Sequence,
    /// Events come before changed values.
    Watch,
    /// Lists of children.
    Children,
}

/// Something that cannot have happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule it breaks.
    pub rule: Rule,
    /// What is wrong.
    pub what: String,
    /// The lines of the record that show it.
    pub excerpt: Vec<String>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Operations that were answered, done or refused.
    pub answered: usize,
    /// Of them, writes that were done.
    pub writes: usize,
    /// Of them, reads.
    pub reads: usize,
    /// Writes of unknown outcome.
    pub unknown: usize,
    /// Of them, those that were seen to have been done.
    pub unknown_seen: usize,
    /// Operations that were not sent.
    pub not_sent: usize,
    /// Watch events.
    pub events: usize,
    /// Syncs held to their bound.
    pub syncs: usize,
    /// Syncs that were not, since the leader was in doubt.
    pub syncs_excused: usize,
    /// Sessions.
    pub sessions: usize,
    /// Paths whose search was given up: nothing is said of them.
    pub undecided: usize,
}

/// What the checks say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong.
    pub violations: Vec<Violation>,
    /// How much was looked at.
    pub figures: Figures,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }
}

impl History {
    /// Checks all rules.
    #[must_use]
    pub fn check(&self) -> Report {
        let mut found = Findings::default();
        let mut digest = Digest::new(self, &mut found);
        let facts = Facts::gather(&mut digest, &mut found);
        let mut figures = digest.figures();
        for (path, known) in &facts.paths {
            if !register::check(&digest, path, known, &mut found) {
                figures.undecided += 1;
            }
        }
        sessions::check(&digest, &facts, &mut found);
        watches::check(&digest, &mut found);
        children::check(&digest, &facts, &mut found);
        children::sequences(&digest, &facts, &mut found);
        let syncs = digest.ops.iter().filter(|op| matches!(op.what, Op::Sync) && op.is_done());
        (figures.syncs_excused, figures.syncs) = syncs.fold((0, 0), |(excused, held), op| {
            if digest.is_doubtful(op) { (excused + 1, held) } else { (excused, held + 1) }
        });
        Report { violations: found.told(self), figures }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<(Rule, String, BTreeSet<usize>)>);

impl Findings {
    /// Notes a violation, with the lines that show it.
    fn add(&mut self, rule: Rule, what: String, lines: impl IntoIterator<Item = usize>) {
        if self.0.len() < MOST {
            self.0.push((rule, what, lines.into_iter().collect()));
        }
    }

    fn told(self, history: &History) -> Vec<Violation> {
        let tell = |(rule, what, lines): (Rule, String, BTreeSet<usize>)| {
            let excerpt = lines.into_iter().filter_map(|line| render::line(history, line)).collect();
            Violation { rule, what, excerpt }
        };
        self.0.into_iter().map(tell).collect()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.rule, self.what)?;
        self.excerpt.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.violations.iter().try_for_each(|violation| write!(f, "{violation}"))
    }
}
