//! A ZooKeeper client that loses no watch and lies about no write, and a service registry on top of it.

pub mod limits;
pub mod session;

pub use menagerie_jute as jute;
