//! The registry beside the systems that it shares ZooKeeper with: each finds what the other registers, and sees it change.
//!
//! Every test runs on the embedded server and on both real ones. The other side is a [`Peer`](menagerie_interop::Peer): Curator's
//! own service discovery, or a program on somebody else's client that makes the calls of a system which Debian does not
//! package. `README.md` says which is which. The tests of `recorded` hold the bytes that peers write against the fixtures of the
//! layouts.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod beside;
mod curator;
mod dubbo;
mod go_demo;
mod go_micro;
mod harm;
mod kazoo;
mod mortal;
mod recorded;

/// Runs tests on every server there is.
macro_rules! on_every_server {
    ($($test:ident),*) => {
        mod on_the_embedded_server {
            $(#[test] fn $test() { crate::beside::on(menagerie_interop::Embedded::reaping(), super::$test); })*
        }
        mod on_apache_3_8 {
            use menagerie_ensemble::Version;
            $(#[test] fn $test() { crate::beside::on(menagerie_interop::Real::reaping(Version::V3_8), super::$test); })*
        }
        mod on_apache_3_9 {
            use menagerie_ensemble::Version;
            $(#[test] fn $test() { crate::beside::on(menagerie_interop::Real::reaping(Version::V3_9), super::$test); })*
        }
    };
}
use on_every_server;
