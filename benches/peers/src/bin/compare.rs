//! `compare [--smoke] [--rounds N] [--w1-ops N] [--w2-ops N] [--json FILE]`: builds what it needs, runs every
//! client against a null server of its own, and prints the tables.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::args::Args;
use peers::compare::machine::Machine;
use peers::compare::{Plan, run, table};
use peers::meter::require_release_build;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

fn main() -> Result<()> {
    let args = Args::from_env(&["--rounds", "--w1-ops", "--w2-ops", "--json"], &["--smoke"])?;
    require_release_build()?;
    let plan = plan(&args)?;
    build()?;
    let machine = Machine::look()?;
    let here = std::env::current_exe()?;
    let rows = run(&plan, &machine, here.parent().context("no directory")?.to_owned())?;
    write!(std::io::stdout(), "{}", table::markdown(&rows, &machine, !plan.smoke))?;
    if let Some(file) = args.get::<String>("--json")? {
        let text = serde_json::to_string_pretty(&table::json(&rows, &machine))?;
        std::fs::write(&file, text).with_context(|| format!("write {file}"))?;
    }
    Ok(())
}

fn plan(args: &Args) -> Result<Plan> {
    const ROUNDS: std::ops::RangeInclusive<usize> = 1..=50;
    const OPS: std::ops::RangeInclusive<usize> = 1..=10_000_000;
    let default = if args.has("--smoke") { Plan::smoke() } else { Plan::full() };
    let plan = Plan {
        rounds: args.get("--rounds")?.unwrap_or(default.rounds),
        w1_ops: args.get("--w1-ops")?.unwrap_or(default.w1_ops),
        w2_ops: args.get("--w2-ops")?.unwrap_or(default.w2_ops),
        ..default
    };
    ensure!(ROUNDS.contains(&plan.rounds), "--rounds is {ROUNDS:?}");
    ensure!(OPS.contains(&plan.w1_ops) && OPS.contains(&plan.w2_ops), "--w1-ops and --w2-ops are {OPS:?}");
    Ok(plan)
}

/// `cargo run` builds one binary; the comparison needs its siblings, with the same features.
fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--bins", "--manifest-path", MANIFEST]);
    #[cfg(feature = "ours")]
    command.args(["--features", "ours"]);
    let status = command.status().context("cargo build")?;
    ensure!(status.success(), "cargo build failed");
    Ok(())
}
