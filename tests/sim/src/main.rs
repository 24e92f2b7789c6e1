//! The simulation on the command line: a line of figures for many seeds, or what happened in one.

use std::process::ExitCode;
use std::thread;

use clap::Parser;
use menagerie_sim::census::Totals;
use menagerie_sim::registry::{self, rare::Sums};
use menagerie_sim::seeds::{Finding, LINES, many};
use menagerie_sim::world::{run, run_as};

/// Simulated seconds that a second of CPU time must be good for.
const SPEED: u64 = 1_000;

/// Seeds of which each rare state is demanded.
const DEMANDING: u64 = 100;

/// The same where whole clients are not run: what is rarest is reached by two seeds of so many.
const MANY: u64 = 2_000;

/// Runs ensembles and clients under virtual time, and judges every step.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs registrations and views above the sessions instead.
    #[arg(long)]
    registry: bool,
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many threads.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Runs one seed and shows what happened.
    #[arg(long)]
    seed: Option<u64>,
    /// Lines shown of it.
    #[arg(long, default_value_t = LINES)]
    lines: usize,
    /// Prints simulated seconds for each second of CPU time, of so many seeds with 3 members and 8 clients.
    #[arg(long)]
    speed: bool,
    /// After how many findings a thread stops.
    #[arg(long, default_value_t = 5)]
    findings: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) if arguments.registry => show_registry(seed, arguments.lines),
        None if arguments.registry => registry_figures(&arguments),
        Some(seed) => show(seed, arguments.lines),
        None if arguments.speed => speed(&arguments),
        None => figures(&arguments),
    }
}

fn show(seed: u64, lines: usize) -> ExitCode {
    let outcome = run(seed, lines);
    print!("{}", outcome.trace);
    println!("{:?}", outcome.census);
    match outcome.violation {
        Some(what) => {
            println!("seed {seed} {what}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn show_registry(seed: u64, lines: usize) -> ExitCode {
    let registry::Run { outcome, figures } = registry::run(seed, lines);
    print!("{}", outcome.trace);
    println!("{figures:?} hash {:#x}", outcome.census.hash);
    match outcome.violation {
        Some(what) => {
            println!("seed {seed} {what}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn registry_figures(arguments: &Arguments) -> ExitCode {
    let (mut sums, mut violations) = (Sums::default(), 0);
    for seed in arguments.from..arguments.from + arguments.seeds {
        match registry::one(seed) {
            Ok((census, figures)) => sums.add(&census, &figures),
            Err(what) => {
                violations += 1;
                println!("seed {seed} {what}\nrepeat: {}", registry::repeat(seed));
                if violations >= arguments.findings {
                    break;
                }
            }
        }
    }
    // So many seeds must reach what is rare; a handful need not.
    let missing = if arguments.seeds >= DEMANDING { sums.missing() } else { Vec::new() };
    missing
        .iter()
        .for_each(|rare| println!("seed {} and all behind it seldom reach {rare:?}", arguments.from));
    println!("{sums}, violations {violations};");
    if violations == 0 && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What this thread has had of the CPU, in nanoseconds.
fn cpu_time() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn speed(arguments: &Arguments) -> ExitCode {
    let Some(before) = cpu_time() else {
        println!("this system does not tell the CPU time of a thread");
        return ExitCode::FAILURE;
    };
    let mut totals = Totals::default();
    for seed in arguments.from..arguments.from + arguments.seeds {
        let outcome = run_as(seed, 0, |plan| (plan.members, plan.clients) = (3, 8));
        if let Some(what) = outcome.violation {
            println!("seed {seed} {what}");
            return ExitCode::FAILURE;
        }
        totals.add(&outcome.census);
    }
    let millis = cpu_time().map_or(0, |after| after.saturating_sub(before)) / 1_000_000;
    let each = totals.simulated_seconds() * 1_000 / millis.max(1);
    println!(
        "seeds {} of 3 members and 8 clients, simulated seconds {}, CPU milliseconds {millis}, simulated seconds for each CPU second {each}",
        arguments.seeds,
        totals.simulated_seconds()
    );
    if each >= SPEED { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn figures(arguments: &Arguments) -> ExitCode {
    let (from, seeds, most) = (arguments.from, arguments.seeds, arguments.findings);
    let threads = arguments.threads.max(1);
    let mut totals = Totals::default();
    let mut findings: Vec<Finding> = Vec::new();
    let mut died = 0;
    thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|thread| {
                let step = usize::try_from(threads).unwrap_or(1);
                scope.spawn(move || many((from + thread..from + seeds).step_by(step), most))
            })
            .collect();
        for run in runs {
            match run.join() {
                Ok((run_totals, run_findings)) => {
                    totals.merge(run_totals);
                    findings.extend(run_findings);
                }
                Err(_) => died += 1,
            }
        }
    });
    findings.iter().for_each(|finding| println!("{finding}"));
    // So many seeds must reach what is rare; a handful need not.
    let missing = if seeds >= MANY { totals.missing() } else { Vec::new() };
    missing.iter().for_each(|state| println!("seed {from} and all behind it seldom reach {state:?}"));
    if died > 0 {
        println!("seed {from} or one behind it ended its thread by a panic");
    }
    println!("{totals}");
    let holds = findings.is_empty() && missing.is_empty() && died == 0;
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
