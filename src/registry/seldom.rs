//! A word in the log that could come in every round, and is said now and then.

use std::time::Instant;

use super::limits::WARN_EVERY;

/// Lets one word through, and the next after [`WARN_EVERY`].
#[derive(Debug, Default)]
pub(super) struct Seldom(Option<Instant>);

impl Seldom {
    /// Whether it is to be said now.
    pub(super) fn lets(&mut self, now: Instant) -> bool {
        let is_early = self.0.is_some_and(|said| now < said + WARN_EVERY) && !planted!("registry_log_floods");
        if !is_early {
            self.0 = Some(now);
        }
        !is_early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_said_once_and_again_after_a_while() {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary zero for virtual time")]
        let zero = Instant::now();
        let mut seldom = Seldom::default();
        let said: Vec<bool> = (0..6).map(|step| seldom.lets(zero + WARN_EVERY / 2 * step)).collect();
        assert_eq!(said, [true, false, true, false, true, false]);
    }
}
