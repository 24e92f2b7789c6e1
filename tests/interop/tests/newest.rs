//! The newest kazoo there is, of the Python package index: on a longer run only, since tomorrow it is another one.

mod support;

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
