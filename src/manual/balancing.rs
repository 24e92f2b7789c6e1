//! Balancing: which strategy to take, what to report, and what happens to an instance that fails.
//!
//! A view of a service ([`Services`](crate::registry::Services)) picks an instance for each call. It picks only what wants calls: an
//! instance that is draining or out of service is never picked, even if no other is left.
//!
//! # Which strategy
//!
//! | you have | take | because |
//! |---|---|---|
//! | nothing special | [`Random`](crate::registry::Balance::Random), the default | nothing to go wrong: no state, no order that many clients could fall into together |
//! | few callers with many calls each | [`RoundRobin`](crate::registry::Balance::RoundRobin) | exactly even, for one handle at least |
//! | instances of different sizes | [`Weighted`](crate::registry::Balance::Weighted) | as often as the weights say, evenly spread. Weight 0 gets nothing, unless all have it |
//! | calls that differ in length, instances that are slow at times | [`LeastLoaded`](crate::registry::Balance::LeastLoaded) | the better of two avoids the slow without sending everybody to the fastest |
//! | caches: the same key is to come to the same instance, from every client | [`ConsistentHash`](crate::registry::Balance::ConsistentHash) | keys move only from an instance that goes, or to one that comes |
//! | state at one instance, for one client: a session, a cursor | [`Sticky`](crate::registry::Balance::Sticky) | stays while the instance can be picked; nobody moves when others come |
//!
//! All but the last two heed [zones](crate::registry::balance::Balancing::zone_first) and
//! [warm-up](crate::registry::balance::Balancing::warm_up) whenever they pick, `Sticky` when it chooses. `Random` and `RoundRobin` ignore weights.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), menagerie::registry::Error> {
//! use std::time::Duration;
//! use menagerie::registry::{self, Balance, balance::{Balancing, Filter}};
//!
//! let registry = registry::connect("static:users=10.0.0.1:80,10.0.0.2:80").await?;
//! let users = registry.discover("users").await?.balanced(
//!     Balancing::new(Balance::LeastLoaded)
//!         .filter(Filter::new().tag("blue"))
//!         .zone_first("eu-1a")
//!         .warm_up(Duration::from_secs(30)),
//! );
//! assert!(users.pick().is_none(), "nothing here is blue");
//! # Ok(())
//! # }
//! ```
//!
//! # What to report
//!
//! [`attempt`](crate::registry::Services::attempt) picks as `pick` does, and gives a call in the making: it counts as under way until it is
//! dropped. `succeeded()` and `failed()` end it and tell how. *Failed* is what dead or broken processes do: refused,
//! unreachable, no answer in time, an answer that only a broken one gives. "Not found" is a success. Dropped without a
//! word, because the caller gave up for reasons of its own, it counts as neither. Those who keep `pick` may say the
//! same with `report_success` and `report_failure`.
//!
//! Without reports all strategies work, but `LeastLoaded` is random then, loads are not bounded, and nobody is passed over.
//!
//! # What happens to an instance that fails
//!
//! | it | then | until |
//! |---|---|---|
//! | is persistent, and a call failed | it is a *suspect*: its process may have died long ago, and nobody removes the leaf | a call to it succeeds, or it is registered anew. After 0.5 s, later 2 s, one call is let through as a probe; at most one pick in 20 |
//! | ends with its session, and 5 calls in a row failed | it is *ejected*, although ZooKeeper says that it lives | 2 s are over; twice as long with each further time, 5 minutes at most; a minute of calm takes one time back. Behind it the first failure is enough, until a success |
//! | had a success rate 30 points below that of the others, in 10 s and at least 20 calls | the same | the same |
//!
//! Suspects and ejected instances are passed over *while others are left*: if nobody is trusted, the ejected are picked, and the suspects if
//! there is nobody else. At most half of the instances are ejected, and never the last. All of this is
//! [`Outliers`](crate::registry::balance::Outliers)' to set, or to switch off.
//!
//! [`passed_over`](crate::registry::Services::passed_over) lists them with the reason, and the log warns of each
//! ejection.
//!
//! A failed call is not repeated for you. Whether it may be is a question of the protocol that you speak; if it may, a second
//! `attempt` usually finds another instance.
//!
//! # What it costs
//!
//! `Services::pick` takes a lock and counts a reference. Where that is too much, give each thread a
//! [`picker`](crate::registry::Services::picker): it borrows instances, and as long as nothing changes it only reads two counters that others
//! write. Measure it on your machine, while the set changes 100 times a second:
//!
//! ```text
//! cargo run --release --manifest-path benches/registry/Cargo.toml
//! ```
//!
//! Pickers and clones of one view share what they know of failures and load;
//! [`balanced`](crate::registry::Services::balanced) begins with a fresh mind.
