//! A ZooKeeper client that loses no watch and lies about no write, and a service registry on top of it.

#[cfg(feature = "client")]
pub mod client;
pub mod limits;
pub mod path;
#[cfg(feature = "registry")]
pub mod registry;
pub mod session;

#[cfg(feature = "client")]
pub use client::Client;
pub use menagerie_jute as jute;
