//! How often a client dials: whatever it is looking for, no more than [`limits::DIALS_A_WINDOW`] dials lie within one
//! [`limits::DIAL_WINDOW`]. Every dial and every probe asks here first, so that holds whatever servers, names and the
//! network do. It knows nothing of why somebody dials.

use std::time::{Duration, Instant};

use crate::limits;

/// The last dials of a client. A session that takes another's place takes this over, so that the bound holds for both
/// together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// The oldest first.
    last: [Option<Instant>; limits::DIALS_A_WINDOW],
}

impl Pace {
    /// No dial may come before this moment; `None` if none stands in the way.
    pub(super) fn free_at(&self, window: Duration) -> Option<Instant> {
        let unpaced = planted!("session_dials_unpaced");
        self.last.first().copied().flatten().map(|oldest| oldest + window).filter(|_| !unpaced)
    }

    /// No probe may come before this moment: only where nothing was dialled for a whole window, so that the first dial
    /// behind the loss of a connection never has to wait for one.
    pub(super) fn quiet_at(&self, window: Duration) -> Option<Instant> {
        let unpaced = planted!("session_probes_unpaced");
        self.last.last().copied().flatten().map(|latest| latest + window).filter(|_| !unpaced)
    }

    /// Something is dialled now.
    pub(super) fn dialled(&mut self, now: Instant) {
        self.last.rotate_left(1);
        if let Some(latest) = self.last.last_mut() {
            *latest = Some(now);
        }
    }
}

/// What the bound counts over: less for sessions so short that they would not outlive the wait for a third server.
pub(super) fn window(timeout: Duration) -> Duration {
    limits::DIAL_WINDOW.min(timeout / 3)
}
