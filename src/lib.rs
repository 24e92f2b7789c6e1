//! A ZooKeeper client that loses no watch and lies about no write, and a service registry on top of it.

/// Whether this fault is planted, for a test that must see it. False, and gone, in every build without `--cfg plants`.
macro_rules! planted {
    ($name:literal) => {
        cfg!(plants) && crate::plants::is($name)
    };
}

#[cfg(feature = "client")]
pub mod client;
pub mod limits;
pub mod path;
mod plants;
#[cfg(feature = "registry")]
pub mod registry;
pub mod session;

#[cfg(feature = "client")]
pub use client::Client;
pub use menagerie_jute as jute;
