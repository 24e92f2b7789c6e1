//! A differential fuzzer: random sequences of valid operations, sent in lock-step to two ZooKeeper servers.
//!
//! Everything that the two say is compared: replies with their codes and bodies, notifications in their order among the
//! replies, and at the end the whole tree. What may differ between two right servers is renamed first, by the table in
//! [`masks`]; nothing else is overlooked. Neither our client nor our session stands between: frames go over plain blocking
//! sockets.
//!
//! - [`call`] is what can be sent, as data that can be sent again below another base path;
//! - [`generate`] makes it up, with a [`model`] of what exists, so that most of it succeeds;
//! - [`side`] is one server's half of an episode, [`episode`] runs both halves in lock-step;
//! - [`minimise`] drops operations from a sequence as long as the servers still disagree;
//! - [`census`] counts what occurred, and says what did not occur often enough;
//! - [`servers`] starts both, [`fuzz`] is the loop over episodes.
//!
//! Left out on purpose: internal operations, `check` outside of a multi, creates whose operation, flags and time to live
//! disagree, and all that depends on the passing of time (expiry, and the reaping of containers and TTL nodes).

pub mod call;
pub mod census;
pub mod chance;
pub mod episode;
pub mod fuzz;
pub mod generate;
pub mod masks;
pub mod minimise;
pub mod model;
pub mod servers;
pub mod side;
pub mod wire;
