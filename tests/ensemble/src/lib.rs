//! Real Apache ZooKeeper servers for tests: start them, break them, and read them back with another client.
//!
//! Knows processes, files and sockets of this machine. Does not know Menagerie: no crate of the workspace is used
//! here, so a misreading of the protocol cannot be on both sides of a test. Everything blocks; an asynchronous test
//! calls it from `spawn_blocking`, or where nothing else needs the thread.
//!
//! ```no_run
//! use menagerie_ensemble::{Ensemble, Version};
//! use std::time::Duration;
//!
//! # fn main() -> menagerie_ensemble::Result<()> {
//! let ensemble = Ensemble::builder(Version::V3_8).nodes(3).config("maxSessionTimeout", 60_000).start()?;
//! let leader = ensemble.leader(Duration::from_secs(10))?;
//! leader.kill()?;
//! let next = ensemble.leader(Duration::from_secs(20))?;
//! assert_ne!(leader.id(), next.id());
//! # Ok(()) }
//! ```
//!
//! By default all members are on loopback. [`Builder::networked`] gives each a network namespace, so that they can be cut off
//! from one another ([`Network`]).
//!
//! Processes end when their handle is dropped, also in a panic, and when the test process itself is killed. They
//! are addressed by process id, never by name. Files are below the workspace's `target/ensemble`; they are removed
//! with the handle, unless a test is panicking: then the logs are printed and the directory stays.
//!
//! ZooKeeper itself is unpacked by `tests/unpack`, which `tests/run` calls.

mod ensemble;
mod error;
mod four_letter;
mod install;
mod kazoo;
mod network;
mod node;
mod ports;
mod process;
pub mod proxy;
mod slow_disk;
mod wait;

pub use ensemble::{Builder, Ensemble};
pub use error::{Error, Result};
pub use four_letter::{Connection, Dump, Role, Srvr, WatchSummary};
pub use install::{Version, program, target_dir};
pub use kazoo::{Kazoo, Znode};
pub use network::Network;
pub use node::Node;
pub use ports::Port;
pub use process::{bound_to_us, spawn_from_lasting_thread};
pub use wait::eventually;
