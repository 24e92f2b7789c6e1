#![doc = include_str!("../README.md")]

/// Whether this fault is planted, for a test that must see it. False, and gone, in every build without `--cfg plants`.
macro_rules! planted {
    ($name:literal) => {
        cfg!(plants) && crate::plants::is($name)
    };
}

mod builder;
pub mod core;
mod handles;
mod hub;
mod link;
mod plants;
mod server;

pub use builder::Builder;
pub use core::{
    ConnectionId, Entry, Fault, Like, Limits, Matcher, Request, Rules, SessionView, WatchView, What, Why,
};
pub use handles::NodeView;
pub use menagerie_jute as jute;
pub use server::{Connector, Server};
