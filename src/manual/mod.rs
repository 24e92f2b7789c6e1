//! The manual: what to expect of ZooKeeper through this client, and why it is so.
//!
//! The items' own pages say what each call does. These chapters say what holds between them.
//!
//! | chapter | answers |
//! |---|---|
//! | [`first_hour`] | how to connect, read, write, watch, and shut down |
//! | [`sessions`] | what a session is, when it ends, what ends with it, and what may be trusted meanwhile |
//! | [`watches`] | which watch to take, what it promises, and what a gap asks of you |
//! | [`errors_and_retries`] | what became of a request, what is repeated by itself, and what you may repeat |
//! | `from_go_micro` | what becomes of each call of go-micro's ZooKeeper plugin, and what is not carried |
//! | `from_spring_cloud` | the same for Spring Cloud ZooKeeper |
//! | `from_curator` | the same for Curator's service discovery |
//! | `registering` (feature `registry`) | what a registration does by itself, what it tells its owner, and how to leave without a failed call |
//! | `balancing` (feature `registry`) | which strategy to take, what to report, and what happens to an instance that fails |
//! | `operations` (feature `registry`) | every metric, event, line in the log and error: what it means, and what to do |
//! | [`testing`] | how to test against a ZooKeeper in the same process, and make it misbehave |
//! | [`defaults`] | every default and every bound, with its reason |
//!
//! Where a chapter tells what ZooKeeper does, it names the release or the ticket; all of it was seen on Apache ZooKeeper 3.8
//! or 3.9, or stands in their sources.

#[cfg(feature = "registry")]
pub mod balancing;
pub mod defaults;
pub mod errors_and_retries;
pub mod first_hour;
#[cfg(feature = "registry")]
pub mod from_curator;
#[cfg(feature = "registry")]
pub mod from_go_micro;
#[cfg(feature = "registry")]
pub mod from_spring_cloud;
#[cfg(feature = "registry")]
pub mod operations;
#[cfg(feature = "registry")]
pub mod registering;
pub mod sessions;
pub mod testing;
pub mod watches;
