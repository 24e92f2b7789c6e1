//! ZooKeeper clients side by side, against a server that does nothing but answer.
//!
//! Each client runs in a process of its own ([`drive`] inside the `peer` binary) against the `null-server`
//! process ([`null_server`]), so that the CPU time the kernel counts for it is its own. [`compare`] starts the
//! processes, interleaves them, and says which figures cannot be trusted.
//!
//! Nothing here knows ZooKeeper beyond the handful of frames in [`frames`]; nothing here judges a client by
//! absolute figures, since those belong to the machine.

pub mod args;
pub mod clients;
pub mod compare;
pub mod drive;
pub mod frames;
pub mod inbox;
pub mod meter;
pub mod null_server;
pub mod raw;
pub mod report;
#[cfg(feature = "ours")]
pub mod watches;
