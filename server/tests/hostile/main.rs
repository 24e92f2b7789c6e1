//! Peers that mean harm, or know no better: the server answers as the real one does, or closes, and everybody else is served.
//!
//! What they can make it hold in memory stands in `tests/allocation.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod calm;
mod floods;
mod handshakes;
mod secrets;
mod sizes;
mod support;
mod turns;
