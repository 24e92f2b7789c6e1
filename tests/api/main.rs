//! The client's public API against a scripted server, under a paused clock.
//!
//! The server is the codec on an in-memory pipe: a test says what it reads and what it answers, step by step. Time moves
//! only while everybody waits, so deadlines are met to the millisecond and no sleep decides anything.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, also in its helpers"
)]

mod answers;
mod arguments;
mod callbacks;
mod cancel;
mod cancel_registry;
mod connecting;
mod cuts;
mod discovery;
mod embedded;
mod fates;
mod fencing;
mod health;
mod health_checks;
mod imitations;
mod lifecycle;
mod matrix;
mod moving;
mod order;
mod outages;
mod outside;
mod parents;
mod registering;
mod registry;
mod secrets;
mod sessions;
mod support;
mod traffic;
mod watches;
mod words;
