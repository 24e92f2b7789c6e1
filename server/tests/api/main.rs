//! The server through its front door: frames on streams without sockets, under a paused clock.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, also in its helpers"
)]

mod bounds;
mod handles;
mod lives;
mod requests;
mod script;
mod sessions;
mod support;
mod tcp;
mod watches;
mod words;
