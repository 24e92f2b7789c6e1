//! Waiting for something that another process does: look, pause, look again, until a deadline.

#![expect(
    clippy::disallowed_methods,
    reason = "other processes run by the real clock, so waiting for them does too"
)]

use crate::{Error, Result};
use std::{
    thread,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(20);

/// Calls `look` until it returns a value, and returns that.
///
/// # Errors
/// When `within` has passed: `what` (the awaited thing, as a noun) and the last reason that `look` gave. `look`
/// is called at least once, and once more after the deadline.
pub fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let overdue = Instant::now() >= deadline;
        match look() {
            Ok(value) => return Ok(value),
            Err(last) if overdue => {
                return Err(Error::new(format!("no {what} within {within:?}; last: {last}")));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_first_value_and_names_the_last_reason() {
        let mut calls = 0;
        let value = eventually("third call", Duration::from_secs(30), || {
            calls += 1;
            if calls == 3 { Ok(calls) } else { Err(String::from("too early")) }
        });
        assert_eq!(value.unwrap(), 3);

        let never: Result<()> = eventually("miracle", Duration::ZERO, || Err(String::from("still water")));
        let text = never.unwrap_err().to_string();
        assert!(text.contains("no miracle") && text.contains("still water"), "{text}");
    }
}
