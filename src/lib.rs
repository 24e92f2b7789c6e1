//! A ZooKeeper client that loses no watch and lies about no write, and a service registry on top of it.

#[cfg(feature = "registry")]
pub mod registry;
