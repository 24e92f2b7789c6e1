#![doc = include_str!("../README.md")]

/// Whether this fault is planted, for a test that must see it. False, and gone, in every build without `--cfg plants`.
macro_rules! planted {
    ($name:literal) => {
        cfg!(plants) && crate::plants::is($name)
    };
}

pub mod core;
mod plants;

pub use menagerie_jute as jute;
