//! What is told, and when it happened.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use tokio::time::Instant;

/// Tells what happens, with the seconds since the beginning.
#[derive(Debug, Clone)]
pub(super) struct Account {
    begun: Instant,
}

impl Account {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now() }
    }

    /// One line. If nobody reads any more, the demo goes on: its exit code still counts.
    pub(super) fn say(&self, text: fmt::Arguments<'_>) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let _ = writeln!(std::io::stdout(), "{seconds:7.2} s  {text}");
    }

    /// A heading, after a pause in which the last act can be read.
    pub(super) async fn act(&self, pause: Duration, text: &str) {
        tokio::time::sleep(pause).await;
        let _ = writeln!(std::io::stdout(), "\n== {text}");
    }
}
