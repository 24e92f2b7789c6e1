//! Two clients with one session, resumed here and still in use there: each attach makes the server close the other's
//! connection, which comes back and does the same. No server says so; what it looks like is a connection that serves and is closed
//! by the server, again and again, without any other trouble. It knows nothing of why, so it counts.

use std::time::{Duration, Instant};

/// How often in a row the connection was taken away.
#[derive(Debug, Default)]
pub(super) struct Contention {
    row: u32,
    last: Option<Instant>,
}

impl Contention {
    /// A connection was lost. Yields how many in a row served and were closed by the server, each within a session timeout of
    /// the one before. The first two need not have served: nobody asked them to.
    pub(super) fn lost(&mut self, now: Instant, timeout: Duration, closed: bool, served: bool) -> u32 {
        let taken = closed && (served || self.row < 2);
        let goes_on = self.last.is_some_and(|last| now <= last + timeout);
        self.row = match (taken, goes_on) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => self.row.saturating_add(1),
        };
        self.last = Some(now);
        self.row
    }

    /// There is other trouble.
    pub(super) fn forget(&mut self) {
        self.row = 0;
    }

    /// Whether the last connections may have been taken away: then the next one is asked for a sign that it serves, which
    /// tells another client from a server that accepts and hangs up.
    pub(super) fn suspects(&self) -> bool {
        self.row > 1
    }
}
