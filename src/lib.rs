#![cfg_attr(all(feature = "client", feature = "registry"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "client", feature = "registry")),
    doc = "The parts of Menagerie, a ZooKeeper client and service registry, that the chosen features leave."
)]

/// Whether this fault is planted, for a test that must see it. False, and gone, in every build without `--cfg plants`.
macro_rules! planted {
    ($name:literal) => {
        cfg!(plants) && crate::plants::is($name)
    };
}

#[cfg(feature = "client")]
pub mod client;
pub mod limits;
#[cfg(feature = "client")]
pub mod manual;
pub mod path;
mod plants;
#[cfg(feature = "registry")]
pub mod registry;
pub mod session;

#[cfg(feature = "client")]
pub use client::Client;
pub use menagerie_jute as jute;
