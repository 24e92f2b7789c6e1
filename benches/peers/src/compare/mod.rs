//! Starts the null server and every client in turn, several rounds over, and puts the figures side by side.
//!
//! Rounds are interleaved: whatever else the machine does falls on all clients alike, and ratios are taken
//! within a round before their median is. What a figure is worth is [`yardstick`]'s to say.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clients::{COMPARED, Noop, Peer};
use crate::drive::Workload;
use crate::meter::now;
use crate::report::Report;

pub mod machine;
pub mod process;
pub mod stats;
pub mod table;
pub mod yardstick;

use machine::{Load, Machine};
use process::{Binaries, Server};

/// The name of the floor in reports.
pub const FLOOR: &str = "blaster";

/// The name of our own client in reports.
pub const OURS: &str = "ours";

const PINGPONG: &str = "pingpong";

/// A counted run is not timed, so it may be shorter.
const COUNTED_SHARE: usize = 4;

/// The floor is so cheap that its window would be over before the clock has moved.
const FLOOR_W2_FACTOR: usize = 8;

/// What to run, how often and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Times that every client runs.
    pub rounds: usize,
    /// Operations of a run of W1.
    pub w1_ops: usize,
    /// Operations of a run of W2.
    pub w2_ops: usize,
    /// After this long, a single run is ended and the comparison fails.
    pub run_limit: Duration,
    /// After this long, no further run is started and the comparison fails.
    pub total_limit: Duration,
    /// Only whether everything works: one CPU is enough, and speed is not judged.
    pub smoke: bool,
}

impl Plan {
    /// Long enough to mean something: about a second for each run.
    #[must_use]
    pub fn full() -> Self {
        Self {
            rounds: 5,
            w1_ops: 40_000,
            w2_ops: 300_000,
            run_limit: Duration::from_secs(60),
            total_limit: Duration::from_secs(30 * 60),
            smoke: false,
        }
    }

    /// A few hundred operations of everything, once.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            rounds: 1,
            w1_ops: 300,
            w2_ops: 512,
            run_limit: Duration::from_secs(10),
            total_limit: Duration::from_secs(60),
            smoke: true,
        }
    }

    fn ops(&self, cell: &Cell) -> usize {
        match cell.workload {
            Workload::W1 => self.w1_ops,
            Workload::W2 if cell.client == FLOOR => self.w2_ops * FLOOR_W2_FACTOR,
            Workload::W2 => self.w2_ops,
        }
    }
}

/// One client on one runtime under one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Under which workload.
    pub workload: Workload,
    /// Which client.
    pub client: &'static str,
    /// On which runtime: `ct`, `mt` or `blocking`.
    pub runtime: &'static str,
}

impl Cell {
    /// Every cell of the comparison, in the order of the table.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for workload in [Workload::W1, Workload::W2] {
            cells.push(Self { workload, client: FLOOR, runtime: "blocking" });
            if workload == Workload::W1 {
                cells.push(Self { workload, client: PINGPONG, runtime: "ct" });
            }
            cells.push(Self { workload, client: Noop::NAME, runtime: "ct" });
            for runtime in ["ct", "mt"] {
                cells.extend(COMPARED.iter().map(|client| Self { workload, client, runtime }));
            }
        }
        cells
    }

    /// The name of its row.
    #[must_use]
    pub fn label(&self) -> String {
        match self.runtime {
            "blocking" => self.client.to_owned(),
            runtime => format!("{}/{runtime}", self.client),
        }
    }

    fn is_client(&self) -> bool {
        self.client == Noop::NAME || COMPARED.contains(&self.client)
    }

    /// W1 shares the server's CPU, which keeps the cost of waking another CPU out of the figure. W2 has a
    /// CPU of its own, and both if it has threads for both.
    fn cpu(&self, machine: &Machine) -> Option<usize> {
        match (self.workload, self.runtime) {
            (Workload::W1, _) => machine.server_cpu,
            (Workload::W2, "mt") => None,
            (Workload::W2, _) => machine.client_cpu,
        }
    }

    fn arguments(&self, address: &str, ops: usize) -> Vec<String> {
        let mut words = vec!["--connect".to_owned(), address.to_owned(), "--ops".to_owned(), ops.to_string()];
        if self.client != PINGPONG {
            words.extend(["--workload", self.workload.name()].map(str::to_owned));
        }
        if self.is_client() {
            words.extend(["--client", self.client, "--runtime", self.runtime].map(str::to_owned));
        }
        words
    }
}

/// One measured run.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Sample {
    /// What the process said.
    pub report: Report,
    /// Share of all CPUs that was busy with neither this process nor the server nor the comparison;
    /// None for a run too short to tell.
    pub foreign_load: Option<f64>,
}

/// All runs of a cell, one for each round.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was run.
    pub cell: Cell,
    /// Timed runs.
    pub timed: Vec<Sample>,
    /// Runs that counted allocations; none for what is not a client.
    pub counted: Vec<Report>,
}

/// Runs the plan with the binaries in `directory`.
///
/// # Errors
/// A client that fails, or hangs beyond the plan's limits; fewer than two CPUs, unless the plan is a smoke
/// test; a smoke test whose counting does not count.
pub fn run(plan: &Plan, machine: &Machine, directory: PathBuf) -> Result<Vec<Row>> {
    ensure!(plan.smoke || machine.client_cpu.is_some(), "needs two CPUs to keep server and client apart");
    let binaries = Binaries::new(directory);
    let server = Server::start(&binaries, machine.server_cpu)?;
    let mut rows: Vec<Row> =
        Cell::all().into_iter().map(|cell| Row { cell, timed: Vec::new(), counted: Vec::new() }).collect();
    let began = now();
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        // Nobody always runs first, or always behind the same neighbour's heat.
        let (before, from) = rows.split_at_mut(round * 3 % Cell::all().len());
        for row in from.iter_mut().chain(before) {
            ensure!(now().duration_since(began) < plan.total_limit, "not done after {:?}", plan.total_limit);
            measure(row, plan, machine, &binaries, &server)
                .with_context(|| format!("{} {}", row.cell.workload.name(), row.cell.label()))?;
        }
    }
    server.stop()?;
    if plan.smoke {
        check_counting(&rows)?;
    }
    Ok(rows)
}

fn measure(
    row: &mut Row,
    plan: &Plan,
    machine: &Machine,
    binaries: &Binaries,
    server: &Server,
) -> Result<()> {
    let cell = row.cell;
    let cpu = cell.cpu(machine);
    let ops = plan.ops(&cell);
    let timed_binary = if cell.is_client() { "peer" } else { cell.client };
    let load = Load::begin(server.pid())?;
    let report = binaries.run(timed_binary, &cell.arguments(server.address(), ops), cpu, plan.run_limit)?;
    row.timed.push(Sample { report, foreign_load: load.foreign_share()? });
    if cell.is_client() {
        let arguments = cell.arguments(server.address(), ops.div_ceil(COUNTED_SHARE));
        row.counted.push(binaries.run("peer-counted", &arguments, cpu, plan.run_limit)?);
    }
    Ok(())
}

/// The harness must allocate nothing in the window, and a client that decodes a value must allocate.
fn check_counting(rows: &[Row]) -> Result<()> {
    for row in rows {
        let label = row.cell.label();
        for report in &row.counted {
            let allocations = report.allocs_per_op.context("a counted run without a count")?;
            if row.cell.client == Noop::NAME {
                ensure!(allocations == 0.0, "the harness itself allocates: {allocations} per operation");
            } else {
                ensure!(
                    (0.1..100.0).contains(&allocations),
                    "{label}: {allocations} allocations per operation"
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_runs_both_workloads_on_both_runtimes() {
        let cells = Cell::all();
        for client in COMPARED {
            assert_eq!(cells.iter().filter(|cell| cell.client == *client).count(), 4, "{client}");
        }
    }

    #[test]
    fn a_harness_that_allocates_or_does_not_count_is_caught() {
        let counted = |client: &'static str, allocations: Option<f64>| {
            let mut row = table::tests::row(Workload::W1, client, "ct", &[1.0]);
            row.counted = row.timed.iter().map(|sample| sample.report.clone()).collect();
            row.counted[0].allocs_per_op = allocations;
            check_counting(&[row]).is_ok()
        };
        assert!(counted("noop", Some(0.0)) && counted("tokio-zookeeper", Some(4.0)));
        assert!(!counted("noop", Some(0.01)));
        assert!(!counted("tokio-zookeeper", Some(0.0)));
        assert!(!counted("tokio-zookeeper", None));
    }

    #[test]
    fn placement_keeps_w1_on_the_servers_cpu_and_w2_off_it() {
        let machine = Machine { server_cpu: Some(4), client_cpu: Some(6), ..Machine::default() };
        for cell in Cell::all() {
            let expected = match (cell.workload, cell.runtime) {
                (Workload::W1, _) => Some(4),
                (Workload::W2, "mt") => None,
                (Workload::W2, _) => Some(6),
            };
            assert_eq!(cell.cpu(&machine), expected, "{}", cell.label());
        }
    }
}
