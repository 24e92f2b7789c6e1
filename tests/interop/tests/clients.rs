//! Each of other people's clients, on Apache ZooKeeper and on the embedded server.

mod support;

use menagerie_ensemble::Version;
use menagerie_interop::{Embedded, Program, Real};
use support::{KAZOO, prove_named};

/// All of [`KAZOO`]'s, checkWatches, removeWatches, createContainer, createTTL, multiRead, setWatches, getEphemerals,
/// getAllChildrenNumber, setWatches2, addWatch, whoAmI. SASL needs a mechanism and is left out.
const JAVA: &[i32] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 21, 22, 100, 101, 103, 104, 105, 106, 107, -11,
];

/// All of [`KAZOO`]'s, removeWatches, checkWatches, createContainer, createTTL, setWatches.
const C: &[i32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 21, 100, 101, -11];

/// What the framework has operations for: no multiRead, getEphemerals, getAllChildrenNumber or whoAmI.
const CURATOR: &[i32] =
    &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 21, 100, 101, 105, 106, -11];

/// What the commands of `zkCli.sh` come to. It has none for create2, checkWatches and multiRead.
const ZK_CLI: &[i32] =
    &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 16, 18, 19, 21, 100, 101, 103, 104, 105, 106, 107, -11];

/// A test for each target: the real server proves the program, the program proves the embedded server.
macro_rules! client {
    ($name:ident, $program:expr, $opcodes:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn on_apache() {
                prove_named($program, Real::start(), $opcodes);
            }

            #[test]
            fn on_the_embedded_server() {
                prove_named($program, Embedded::start(), $opcodes);
            }
        }
    };
}

client!(kazoo_of_bookworm, Program::kazoo("kazoo"), KAZOO);
client!(kazoo_of_trixie, Program::kazoo("kazoo-2"), KAZOO);
client!(java_client_of_3_8, Program::java(Version::V3_8), JAVA);
client!(java_client_of_3_9, Program::java(Version::V3_9), JAVA);
client!(c_client, Program::c(), C);
client!(curator, Program::curator(Version::V3_9), CURATOR);
client!(zk_cli, Program::zk_cli(Version::V3_9), ZK_CLI);
