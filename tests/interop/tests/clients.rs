//! Each of other people's clients, on Apache ZooKeeper and on the embedded server.

use menagerie_ensemble::Version;
use menagerie_interop::{Program, Real, Target, run};
use std::io::{self, Write};

/// create to getChildren, sync, ping, getChildren2, multi, create2, reconfig, auth, closeSession. SASL is left out: it needs
/// a library that Debian's package only suggests, and neither server of these tests has a mechanism for it.
const KAZOO: &[i32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 100, -11];

/// All of [`KAZOO`]'s, checkWatches, removeWatches, createContainer, createTTL, multiRead, setWatches, getEphemerals,
/// getAllChildrenNumber, setWatches2, addWatch, whoAmI. SASL needs a mechanism and is left out.
const JAVA: &[i32] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 21, 22, 100, 101, 103, 104, 105, 106, 107, -11,
];

/// All of [`KAZOO`]'s, removeWatches, checkWatches, createContainer, createTTL, setWatches.
const C: &[i32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 21, 100, 101, -11];

/// What the framework has operations for: no multiRead, getEphemerals, getAllChildrenNumber or whoAmI.
const CURATOR: &[i32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 21, 100, 101, 105, 106, -11];

/// What the commands of `zkCli.sh` come to. It has none for create2, checkWatches and multiRead.
const ZK_CLI: &[i32] =
    &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 16, 18, 19, 21, 100, 101, 103, 104, 105, 106, 107, -11];

/// Runs `program` on `target`, prints the line of the table, and fails with all that is wrong.
fn prove(program: Result<Program, String>, target: Result<impl Target, String>, opcodes: &[i32]) {
    let (program, target) = match (program, target) {
        (Ok(program), Ok(target)) => (program, target),
        (Err(why), _) | (_, Err(why)) => panic!("{why}"),
    };
    let outcome = run(&program, &target);
    // Past the harness, which shows nothing of a test that passes.
    let _ = writeln!(io::stderr(), "{}", outcome.line(&target.name()));
    let complaints = outcome.complaints(opcodes);
    assert!(complaints.is_empty(), "{} on {}\n{complaints}", outcome.client, target.name());
}

#[test]
fn kazoo_of_bookworm_on_apache() {
    prove(Program::kazoo("kazoo"), Real::start(), KAZOO);
}

#[test]
fn kazoo_of_trixie_on_apache() {
    prove(Program::kazoo("kazoo-2").map(|program| program.named("kazoo-2")), Real::start(), KAZOO);
}

#[test]
fn java_client_3_8_on_apache() {
    prove(Program::java(Version::V3_8), Real::start(), JAVA);
}

#[test]
fn java_client_3_9_on_apache() {
    prove(Program::java(Version::V3_9), Real::start(), JAVA);
}

#[test]
fn c_client_on_apache() {
    prove(Program::c(), Real::start(), C);
}

#[test]
fn curator_on_apache() {
    prove(Program::curator(Version::V3_9), Real::start(), CURATOR);
}

#[test]
fn zk_cli_on_apache() {
    prove(Program::zk_cli(Version::V3_9), Real::start(), ZK_CLI);
}
