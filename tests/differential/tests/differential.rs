//! The embedded server against Apache ZooKeeper, and the fuzzer against itself: it must be silent where nothing differs, and
//! speak where something does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use menagerie_differential::{
    census::Census,
    fuzz::{Finding, Plan, Verdict, run},
    servers::{Servers, Subject},
};
use menagerie_ensemble::Version;

/// Enough to find each fault that is planted in the server.
const OPERATIONS: usize = 10_000;

fn verdict(version: Version, subject: Subject, operations: usize) -> Verdict {
    let servers = Servers::start(version, subject).unwrap();
    run(servers.pair(), Plan { operations, seed: 1, attempts: 60 }).unwrap()
}

/// They agree, and all that can occur did occur.
fn assert_agreement(version: Version, subject: Subject) {
    let census = agreed(version, subject, OPERATIONS);
    assert_eq!(census.missing(), Vec::<String>::new());
    println!("{subject:?} against {}: differences 0 in {census}", version.number());
}

fn agreed(version: Version, subject: Subject, operations: usize) -> Census {
    match verdict(version, subject, operations) {
        Verdict::Differs(finding) => panic!("{finding}"),
        Verdict::Agreed(census) => {
            assert!(census.operations >= operations);
            census
        }
    }
}

fn finding(version: Version, subject: Subject) -> Finding {
    match verdict(version, subject, OPERATIONS) {
        Verdict::Differs(finding) => *finding,
        Verdict::Agreed(census) => panic!("two that differ agree in {census}"),
    }
}

#[test]
fn the_embedded_server_and_3_9_agree() {
    assert_agreement(Version::V3_9, Subject::Embedded);
}

#[test]
fn the_embedded_server_and_3_8_agree() {
    assert_agreement(Version::V3_8, Subject::Embedded);
}

#[test]
fn two_of_the_same_release_agree() {
    // Too few for all that can occur.
    let census = agreed(Version::V3_9, Subject::Real(Version::V3_9), 3_000);
    assert!(census.succeeded * 100 >= census.operations * 60, "{census}");
}

#[test]
fn two_releases_are_told_apart_by_a_few_operations() {
    let finding = finding(Version::V3_9, Subject::Real(Version::V3_8));
    let minimal = finding.minimal.as_ref().unwrap();
    assert!(minimal.steps.len() <= 12, "{finding}");
    assert_ne!(minimal.difference.reference, minimal.difference.subject);
    assert!(finding.to_string().contains("* "), "{finding}");
}
