//! What the Python package index has: the newest kazoo there is, which tomorrow is another one, and Twitter's own library for
//! server sets. On a longer run only.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

#[path = "registry/beside.rs"]
mod beside;
mod support;
#[path = "registry/twitter.rs"]
mod twitter;

use menagerie_interop::{Embedded, Program, Real};
use support::{KAZOO, prove};

#[test]
fn kazoo_on_apache() {
    prove(Program::newest_kazoo(), Real::start(), KAZOO);
}

#[test]
fn kazoo_on_the_embedded_server() {
    prove(Program::newest_kazoo(), Embedded::start(), KAZOO);
}

#[test]
fn twitters_server_sets_beside_ours_on_apache() {
    beside::on(Real::start(), twitter::server_sets);
}

#[test]
fn twitters_server_sets_beside_ours_on_the_embedded_server() {
    beside::on(Embedded::start(), twitter::server_sets);
}
