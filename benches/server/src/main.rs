//! `server-figures [--smoke] [--rounds N] [--only ours|apache] [--rows a,b,c]`: starts both servers, measures them in
//! pairs, and prints a line of JSON for each row and a table.

use std::fs;
use std::io::Write;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use server_figures::rounds::{self, Plan};
use server_figures::servers::{APACHE, HEAP_MIB, IN_PROCESS, Kind, NULL, SERVE, jcmd_is_there};
use server_figures::table::SPECS;
use server_figures::{null, ours};

const USAGE: &str = "[--smoke] [--rounds N] [--only ours|apache] [--rows a,b,c]";

fn main() -> Result<()> {
    ensure!(!cfg!(debug_assertions), "figures of a debug build mean nothing: build with --release");
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some(NULL) => null::serve(),
        Some(SERVE) => ours::serve(),
        Some(IN_PROCESS) => {
            writeln!(std::io::stdout(), "{}", ours::start_in_process()?.as_secs_f64() * 1e3).context("print")
        }
        _ => compare(&words),
    }
}

fn compare(words: &[String]) -> Result<()> {
    let plan = plan(words)?;
    let table = rounds::run(&plan)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", machine(&plan))?;
    for row in table.json() {
        writeln!(out, "{row}")?;
    }
    writeln!(out, "\n{}", table.markdown()).context("print the table")?;
    table.check(&plan.rows, &[plan.kinds.as_slice(), &[Kind::Null]].concat())
}

/// What the figures were taken on, and of.
fn machine(plan: &Plan) -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu": model.map_or("unknown", |(_, name)| name),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "load": fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
        "apache": APACHE.number(),
        "heap_mib": HEAP_MIB,
        "collected": jcmd_is_there(),
        "plan": format!("{plan:?}"),
    })
}

fn plan(words: &[String]) -> Result<Plan> {
    let mut plan = match words.iter().any(|word| word == "--smoke") {
        true => Plan::smoke(),
        false => Plan::full(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value; {USAGE}"));
        match word.as_str() {
            "--smoke" => {}
            "--rounds" => plan.rounds = value()?.parse().context("--rounds")?,
            "--only" => plan.kinds = vec![kind(value()?)?],
            "--rows" => plan.rows = rows(value()?)?,
            _ => bail!("unknown option {word}; {USAGE}"),
        }
    }
    ensure!((1..=50).contains(&plan.rounds), "--rounds is 1 to 50");
    if !jcmd_is_there() {
        eprintln!("no jcmd (of the JDK): Apache's resident memory is taken uncollected, its heap not at all");
        plan.rows.retain(|row| !row.ends_with("-heap"));
    }
    Ok(plan)
}

fn kind(name: &str) -> Result<Kind> {
    [Kind::Ours, Kind::Apache].into_iter().find(|kind| kind.name() == name).context(USAGE)
}

fn rows(names: &str) -> Result<Vec<String>> {
    let rows: Vec<String> = names.split(',').map(str::to_owned).collect();
    let known = |row: &String| SPECS.iter().any(|spec| spec.name == row);
    ensure!(rows.iter().all(known), "the rows are {:?}", SPECS.map(|spec| spec.name));
    Ok(rows)
}
