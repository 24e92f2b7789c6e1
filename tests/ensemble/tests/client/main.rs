//! The client on real Apache ZooKeeper servers: every operation, and what it says of each when servers die.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod fates;
mod kills;
mod moving;
mod operations;
mod raw;
mod refusals;
mod support;
mod watches;
