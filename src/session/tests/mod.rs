//! The session under virtual time, against a peer that speaks through the codec.

use std::time::Instant;

/// The one moment that everything else is counted from.
#[expect(clippy::disallowed_methods, reason = "tests need one moment to count from")]
pub(super) fn epoch() -> Instant {
    Instant::now()
}
