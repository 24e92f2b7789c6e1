//! Which instance gets the next call.
//!
//! A [`Pool`] is what can be picked from, with a share for each instance: made when the set changes, or what is known of
//! failures, and not when somebody picks. A strategy picks from it: [`Random`], [`RoundRobin`], [`Weighted`],
//! [`LeastLoaded`], [`Ring`], [`Sticky`]. All of it is pure: chance is a seed, time an argument, and what became of a
//! call is told by the caller. [`Services`](crate::registry::Services) and [`Picker`](crate::registry::Picker) put it
//! behind a live view; [`Balancing`] says how.
//!
//! | strategy | pick | at a change of n instances | heeds weights |
//! |---|---|---|---|
//! | [`Random`] | constant, one random number | linear, once for all pickers | no |
//! | [`RoundRobin`] | constant; as `Weighted` while shares differ | none; linear for each picker while they differ | no |
//! | [`Weighted`] | constant, times up to 21 magnitudes of weights | linear for each picker | yes |
//! | [`LeastLoaded`] | constant, two random numbers | linear, once for all pickers | yes |
//! | [`Ring`] | constant on average | linear in 100 n, once for all pickers | yes |
//! | [`Sticky`] | constant; by key, a lock and two searches | a search for each picker | yes, when it chooses |

mod alias;
mod balancing;
mod chooser;
mod filter;
mod health;
mod least_loaded;
mod load;
mod outliers;
mod pool;
mod random;
mod ring;
mod roster;
mod shares;
mod sticky;
mod weighted;

pub use self::balancing::{Balance, Balancing};
pub use self::filter::Filter;
pub use self::health::{PassedOver, Reason};
pub use self::least_loaded::LeastLoaded;
pub use self::load::{Load, PeakEwma};
pub use self::outliers::Outliers;
pub use self::pool::{Member, Pool};
pub use self::random::{Random, RoundRobin};
pub use self::ring::{Ring, hash};
pub use self::sticky::Sticky;
pub use self::weighted::Weighted;

pub(super) use self::chooser::Chooser;
pub(super) use self::roster::{Roster, Rosters};

#[cfg(test)]
mod health_test;
#[cfg(test)]
mod tests;
