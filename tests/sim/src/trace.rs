//! What happened, as one number, and as lines for people when asked for.

use std::collections::VecDeque;

/// The number, and the last lines.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: VecDeque<String>,
    most: usize,
}

impl Trace {
    /// Keeps so many lines.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: VecDeque::new(), most }
    }

    /// Mixes a number in.
    pub fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    /// Whether lines are kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.most > 0
    }

    /// A line.
    pub fn line(&mut self, line: String) {
        self.lines.push_back(line);
        if self.lines.len() > self.most {
            self.lines.pop_front();
        }
    }

    /// What everything comes to.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines, oldest first.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}
