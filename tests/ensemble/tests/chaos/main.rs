//! Real ensembles under fire: clients do everything at once while servers are killed and frozen and the network is broken,
//! and what they were told is checked against what ZooKeeper guarantees.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod chance;
mod disk;
mod faults;
mod herd;
mod lines;
mod mixed;
mod parted;
mod process;
mod record;
mod recorded;
mod requests;
mod rolling;
mod wiped;
mod worker;

use std::{
    env,
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long anything may take that is to happen at all.
pub(crate) const BUDGET: Duration = Duration::from_secs(90);

/// Whether there is time for the long runs.
pub(crate) fn long() -> bool {
    env::var_os("MENAGERIE_LONG").is_some()
}

/// The seed of this run; `MENAGERIE_SEED` repeats one, as far as real servers do.
pub(crate) fn seed() -> u64 {
    env::var("MENAGERIE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Runs `future` on a runtime of its own, and one at a time: several ensembles at once would be too much for a small
/// machine.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(future)
}
