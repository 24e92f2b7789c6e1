//! Whole ensembles with many clients, in one thread, under virtual time, from a seed: the place where every promise is attacked.
//!
//! The clients are the library's sessions, the members are the server's cores; both are pure, so that a seed is a run, whatever the
//! machine. Between them stand a network that has TCP's manners and no better ones, and a log that is kept as an ensemble keeps it.
//! Each seed draws which faults there are and how often, everything is judged against the log at every step, then everything
//! heals, and what is left must be well.
//!
//! - [`plan`] is what a seed draws; [`world`] is a run, one event of the [`agenda`] after the other;
//! - [`ensemble`] is the log and the members; `leading` is the way to the log and back, `roles` who leads and who is gone;
//! - `wires` is the network, `clients` drive the sessions, `workload` is what they do, `faults` what goes wrong;
//! - [`model`] is what the log says, [`ledger`] what was asked, `judge` holds one against the other;
//! - `record` is what the clients knew, for the checker of histories, which knows nothing of the log;
//! - [`census`] counts what occurred, [`trace`] is what a run comes to as one number.

#![expect(
    clippy::indexing_slicing,
    reason = "places in lists that never shrink are handed around; a wrong one is a fault of the simulation"
)]

/// Whether this fault is planted, for a test that must see it. False, and gone, in every build without `--cfg plants`.
macro_rules! planted {
    ($name:literal) => {
        cfg!(plants) && crate::plants::is($name)
    };
}

pub mod agenda;
pub mod census;
pub mod chance;
mod clients;
pub mod ensemble;
mod faults;
mod judge;
mod leading;
pub mod ledger;
pub mod model;
pub mod plan;
mod plants;
mod probes;
mod record;
mod roles;
pub mod seeds;
pub mod trace;
mod wires;
mod workload;
pub mod world;
