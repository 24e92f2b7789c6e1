//! Whole ensembles with many clients, in one thread, under virtual time, from a seed: the place where every promise is attacked.
//!
//! The clients are the library's sessions, the members are the server's cores; both are pure, so that a seed is a run, whatever the
//! machine. Between them stand a network that has TCP's manners and no better ones, and a log that is kept as an ensemble keeps it.
//! Each seed draws which faults there are and how often, everything is judged against the log at every step, then everything
//! heals, and what is left must be well. At its end the history of every seed, debug builds' too, is checked without the log.
//!
//! One seed in seven keeps members apart for long (`Plan::apart`): sessions are short, connections are reset right behind the
//! handshake, and some clients only read, which a member that is cut off goes on answering. One in four has servers like 3.8.
//! A client without a session's past has none of its zxids either. Clients' processes stand still and then have everything at
//! once; members' wall clocks jump by up to a minute and a half, and nothing but the age of znodes depends on them.
//!
//! Not here: TLS and SASL, the client above the session, and a disk that loses what it was given.
//!
//! - [`plan`] is what a seed draws; [`world`] is a run, one event of the [`agenda`] after the other;
//! - [`ensemble`] is the log and the members; `leading` is the way to the log and back, `roles` who leads and who is gone;
//! - `wires` is the network, `clients` drive the sessions, `workload` is what they do, `faults` what goes wrong;
//! - [`model`] is what the log says, [`ledger`] what was asked, `judge` holds one against the other;
//! - [`registry`] puts whole clients with registrations and views in place of the bare sessions;
//! - `record` is what the clients knew, for the checker of histories, which knows nothing of the log;
//! - [`census`] counts what occurred, [`trace`] is what a run comes to as one number, and what of it a violation concerns.
//!
//! `--seed N` shows a run: of one that breaks a promise, the lines that name the same clients, requests, sessions, zxids or paths
//! come first. `--speed` tells simulated seconds for each second of CPU time. `tests/faults.rs` has each kind of fault alone.

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
pub mod registry;
mod roles;
pub mod seeds;
pub mod trace;
mod wires;
mod workload;
pub mod world;
