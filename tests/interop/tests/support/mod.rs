//! What both test binaries share.

#![allow(dead_code, reason = "each binary uses its part: the newest client is in no table")]

use menagerie_interop::{Program, Target, run};
use std::io::{self, Write};

/// create to getChildren, sync, ping, getChildren2, multi, create2, reconfig, auth, closeSession. SASL is left out: it needs
/// a library that Debian's package only suggests, and neither server of these tests has a mechanism for it.
pub(crate) const KAZOO: &[i32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 100, -11];

/// Names every client and version that `tests/clients.rs` runs.
const TABLE: &str = include_str!("../../README.md");

/// [`prove`] for a client that the table names; and fails if it says that it is another.
pub(crate) fn prove_named(
    program: Result<Program, String>,
    target: Result<impl Target, String>,
    opcodes: &[i32],
) {
    let client = prove(program, target, opcodes);
    assert!(TABLE.contains(&format!("\n| {client} |")), "tests/interop/README.md does not name {client}");
}

/// Runs `program` on `target`, prints the line of the table, and fails with all that is wrong.
pub(crate) fn prove(
    program: Result<Program, String>,
    target: Result<impl Target, String>,
    opcodes: &[i32],
) -> String {
    let (program, target) = match (program, target) {
        (Ok(program), Ok(target)) => (program, target),
        (Err(why), _) | (_, Err(why)) => panic!("{why}"),
    };
    let outcome = run(&program, &target);
    // Past the harness, which shows nothing of a test that passes.
    let _ = writeln!(io::stderr(), "{}", outcome.line(&target.name()));
    let complaints = outcome.complaints(opcodes);
    assert!(complaints.is_empty(), "{} on {}\n{complaints}", outcome.client, target.name());
    outcome.client
}
