//! The differential fuzzer on the command line: one line of figures, or a difference as short as it gets.

use clap::{Parser, ValueEnum};
use menagerie_differential::{
    fuzz::{Plan, Verdict, run},
    servers::{Servers, Subject},
};
use menagerie_ensemble::Version;
use std::{io, process::ExitCode};

/// Sends the same random operations to two servers and compares all that they say.
#[derive(Debug, Parser)]
struct Arguments {
    /// The Apache ZooKeeper that is right.
    #[arg(long, default_value = "3.9")]
    against: Release,
    /// The server that is tried.
    #[arg(long, default_value = "embedded")]
    subject: Tried,
    /// How many operations at least.
    #[arg(long, default_value_t = 10_000)]
    operations: usize,
    /// The seed of the first episode; each episode has the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often a sequence that the servers disagree over is tried again to make it shorter.
    #[arg(long, default_value_t = 400)]
    attempts: usize,
    /// After how many differences to stop.
    #[arg(long, default_value_t = 1)]
    findings: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Release {
    #[value(name = "3.8")]
    V3_8,
    #[value(name = "3.9")]
    V3_9,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tried {
    Embedded,
    #[value(name = "3.8")]
    V3_8,
    #[value(name = "3.9")]
    V3_9,
}

fn main() -> ExitCode {
    match compare(&Arguments::parse()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("differential: {why}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> io::Result<ExitCode> {
    let version = match arguments.against {
        Release::V3_8 => Version::V3_8,
        Release::V3_9 => Version::V3_9,
    };
    let subject = match arguments.subject {
        Tried::Embedded => Subject::Embedded,
        Tried::V3_8 => Subject::Real(Version::V3_8),
        Tried::V3_9 => Subject::Real(Version::V3_9),
    };
    let servers = Servers::start(version, subject)?;
    let Arguments { operations, attempts, .. } = *arguments;
    let mut plan = Plan { operations, seed: arguments.seed, attempts };
    for _ in 0..arguments.findings.max(1) {
        match run(servers.pair(), plan)? {
            Verdict::Differs(finding) => {
                println!("{finding}");
                plan.seed = finding.seed + 1;
            }
            Verdict::Agreed(census) => {
                println!("{subject:?} against {}: differences 0 in {census}", version.number());
                let missing = census.missing();
                missing.iter().for_each(|missing| println!("not enough: {missing}"));
                let clean = missing.is_empty() && plan.seed == arguments.seed;
                return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
        }
    }
    Ok(ExitCode::FAILURE)
}
