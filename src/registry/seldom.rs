//! Words in the log that could come in every round or for every instance, and are said now and then.

use std::time::Instant;

use super::limits::WARN_EVERY;

/// Lets so many words through within [`WARN_EVERY`], from the first of them on.
#[derive(Debug)]
pub(super) struct Seldom {
    most: u32,
    since: Option<Instant>,
    said: u32,
}

/// One word.
impl Default for Seldom {
    fn default() -> Self {
        Self::at_most(1)
    }
}

impl Seldom {
    pub(super) fn at_most(most: u32) -> Self {
        Self { most, since: None, said: 0 }
    }

    /// Whether it is to be said now.
    pub(super) fn lets(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now >= since + WARN_EVERY) {
            (self.since, self.said) = (Some(now), 0);
        }
        self.said = self.said.saturating_add(1);
        self.said <= self.most || planted!("registry_log_floods")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(mut seldom: Seldom, steps: u32) -> Vec<bool> {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary zero for virtual time")]
        let zero = Instant::now();
        (0..steps).map(|step| seldom.lets(zero + WARN_EVERY / 4 * step)).collect()
    }

    #[test]
    fn a_word_is_said_once_and_again_after_a_while() {
        let expected = [true, false, false, false, true, false, false, false, true];
        assert_eq!(said(Seldom::default(), 9), expected);
    }

    #[test]
    fn so_many_are_said_together() {
        let expected = [true, true, true, false, true, true, true, false];
        assert_eq!(said(Seldom::at_most(3), 8), expected);
    }
}
