//! What a view has done so far.

use super::View;

/// Counts of a [`View`] since its beginning, and what it keeps from its set now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewStats {
    /// Reads begun, of lists and of data; one multiRead is one.
    pub reads: u64,
    /// Events heard.
    pub events: u64,
    /// How often everything was to be read again: reconnects, new sessions and gaps.
    pub gaps: u64,
    /// How often a child was found to stand for no instance.
    pub invalid: u64,
    /// Children that came and went too often, and are not read for the moment.
    pub held_down_now: usize,
    /// How often one was held down.
    pub held_down: u64,
    /// Instances that are not registered any more and kept for the moment.
    pub held_back_now: usize,
    /// How often a sudden loss was held back.
    pub held_back: u64,
}

impl ViewStats {
    /// The counts of both.
    pub(in crate::registry) fn plus(self, other: Self) -> Self {
        Self {
            reads: self.reads + other.reads,
            events: self.events + other.events,
            gaps: self.gaps + other.gaps,
            invalid: self.invalid + other.invalid,
            held_down_now: self.held_down_now + other.held_down_now,
            held_down: self.held_down + other.held_down,
            held_back_now: self.held_back_now + other.held_back_now,
            held_back: self.held_back + other.held_back,
        }
    }
}

impl View {
    /// What the view has done so far.
    #[must_use]
    pub fn stats(&self) -> ViewStats {
        let (held_down_now, held_down) = self.gate.held_down();
        let (held_back_now, held_back) = self.hold_back.held_back();
        ViewStats {
            reads: self.reads,
            events: self.events,
            gaps: self.gaps,
            invalid: self.invalid_seen,
            held_down_now,
            held_down,
            held_back_now,
            held_back,
        }
    }
}
