//! The figures as tables for people and as JSON for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::machine::Machine;
use super::stats::{median, range};
use super::yardstick::standing;
use super::{FLOOR, OURS, Row, Sample};
use crate::clients::COMPARED;
use crate::drive::Workload;
use crate::report::Report;

const LOCKFILE: &str = include_str!("../../Cargo.lock");

/// The tables in Markdown: one for each workload, then our client against each of the others. `judged` adds
/// what each row is worth.
#[must_use]
pub fn markdown(rows: &[Row], machine: &Machine, judged: bool) -> String {
    let mut out = heading(rows, machine);
    for workload in [Workload::W1, Workload::W2] {
        out.push_str(&workload_table(workload, rows, judged));
    }
    out.push_str(&ours_table(rows, judged));
    out
}

/// Everything measured, with medians and standings, as one JSON value.
#[must_use]
pub fn json(rows: &[Row], machine: &Machine) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "workload": row.cell.workload.name(),
                "client": row.cell.client,
                "runtime": row.cell.runtime,
                "standing": standing(row, rows),
                "cpu_us_per_op": middle(&row.timed, |report| Some(report.cpu_us_per_op)),
                "cpu_over_floor": against(row, rows, FLOOR, "blocking"),
                "allocs_per_op": counted(row, |report| report.allocs_per_op),
                "timed": row.timed,
                "counted": row.counted,
            })
        })
        .collect();
    json!({ "machine": machine, "versions": versions(), "rows": rows })
}

fn heading(rows: &[Row], machine: &Machine) -> String {
    let versions: Vec<String> =
        versions().into_iter().map(|(name, version)| format!("{name} {version}")).collect();
    let rounds = rows.first().map_or(0, |row| row.timed.len());
    let foreign = || rows.iter().flat_map(|row| row.timed.iter().filter_map(|sample| sample.foreign_load));
    let foreign = match (median(foreign()), range(foreign())) {
        (Some(middle), Some((_, worst))) => format!("median {middle:.2}, at worst {worst:.2} of all CPUs"),
        _ => "runs too short to tell".to_owned(),
    };
    format!(
        "{} CPUs, {}, Linux {}, {}\n{}\n{rounds} rounds; foreign load: {foreign}\n",
        machine.cpus,
        machine.cpu_model,
        machine.kernel,
        machine.rustc,
        versions.join(", "),
    )
}

fn workload_table(workload: Workload, rows: &[Row], judged: bool) -> String {
    let title = match workload {
        Workload::W1 => "W1: one get after the other, client on the server's CPU",
        Workload::W2 => "W2: 256 gets in flight, ct on a CPU of its own, mt anywhere",
    };
    let mut out = format!(
        "\n## {title}\n\n| client | CPU µs/op (min–max) | ÷ floor | p50 µs | p99 µs | ops/s | allocs/op | bytes/op \
         | switches/op | foreign |{0}\n|---|---|---|---|---|---|---|---|---|---|{1}\n",
        if judged { " standing |" } else { "" },
        if judged { "---|" } else { "" },
    );
    for row in rows.iter().filter(|row| row.cell.workload == workload) {
        let (least, most) =
            range(row.timed.iter().map(|sample| sample.report.cpu_us_per_op)).unwrap_or_default();
        let columns = [
            row.cell.label(),
            format!(
                "{} ({least:.2}–{most:.2})",
                figure(middle(&row.timed, |report| Some(report.cpu_us_per_op)), 2)
            ),
            figure(against(row, rows, FLOOR, "blocking"), 2),
            figure(middle(&row.timed, |report| report.p50_us), 1),
            figure(middle(&row.timed, |report| report.p99_us), 1),
            figure(middle(&row.timed, |report| Some(report.ops_per_s)), 0),
            figure(counted(row, |report| report.allocs_per_op), 2),
            figure(counted(row, |report| report.alloc_bytes_per_op), 0),
            figure(middle(&row.timed, |report| Some(report.voluntary_switches_per_op)), 3),
            figure(median(row.timed.iter().filter_map(|sample| sample.foreign_load)), 2),
        ];
        let verdict = if judged { format!(" {} |", standing(row, rows)) } else { String::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {} |{verdict}", columns.join(" | "));
    }
    out
}

/// Our CPU over theirs, round by round, for the same runtime. A void row stays in the list, marked: leaving
/// out a peer because it did too well would flatter us.
fn ours_table(rows: &[Row], judged: bool) -> String {
    let mut out = "\n## ours ÷ peer, CPU per operation, median of the rounds' ratios\n\n".to_owned();
    let mine: Vec<&Row> = rows.iter().filter(|row| row.cell.client == OURS).collect();
    if mine.is_empty() {
        out.push_str("Not measured: built without the feature `ours`.\n");
        return out;
    }
    out.push_str("| workload | runtime | peer | ours ÷ peer | |\n|---|---|---|---|---|\n");
    for row in mine {
        let runtime = row.cell.runtime;
        for peer in COMPARED.iter().filter(|peer| **peer != OURS) {
            let is_void = rows.iter().any(|other| {
                other.cell.workload == row.cell.workload
                    && other.cell.runtime == runtime
                    && [*peer, OURS].contains(&other.cell.client)
                    && standing(other, rows).is_void()
            });
            let _ = writeln!(
                out,
                "| {} | {runtime} | {peer} | {} | {} |",
                row.cell.workload.name(),
                figure(against(row, rows, peer, runtime), 2),
                if judged && is_void { "VOID" } else { "" },
            );
        }
    }
    out
}

/// The median over the rounds of this row's CPU divided by another row's.
fn against(row: &Row, rows: &[Row], client: &str, runtime: &str) -> Option<f64> {
    let other = rows.iter().find(|other| {
        (other.cell.workload, other.cell.client, other.cell.runtime) == (row.cell.workload, client, runtime)
    })?;
    median(
        row.timed
            .iter()
            .zip(&other.timed)
            .map(|(mine, theirs)| mine.report.cpu_us_per_op / theirs.report.cpu_us_per_op),
    )
}

fn middle(samples: &[Sample], figure: impl Fn(&Report) -> Option<f64>) -> Option<f64> {
    median(samples.iter().filter_map(|sample| figure(&sample.report)))
}

fn counted(row: &Row, figure: impl Fn(&Report) -> Option<f64>) -> Option<f64> {
    median(row.counted.iter().filter_map(figure))
}

fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

/// The peers and the runtime below them, as locked.
fn versions() -> Vec<(&'static str, &'static str)> {
    ["tokio", "tokio-zookeeper", "zookeeper-async", "zookeeper-client"]
        .into_iter()
        .filter_map(|name| {
            let (_, after) = LOCKFILE.split_once(&format!("name = \"{name}\"\nversion = \""))?;
            Some((name, after.split_once('"')?.0))
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Cell;
    use super::*;

    /// A row whose rounds cost `cpu_us_per_op` each.
    pub(crate) fn row(
        workload: Workload,
        client: &'static str,
        runtime: &'static str,
        cpu_us_per_op: &[f64],
    ) -> Row {
        let report = |cpu_us_per_op| Report {
            client: client.to_owned(),
            runtime: runtime.to_owned(),
            workload: workload.name().to_owned(),
            ops: 1,
            seconds: 1.0,
            ops_per_s: 1.0,
            p50_us: None,
            p99_us: None,
            cpu_us_per_op,
            allocs_per_op: None,
            alloc_bytes_per_op: None,
            voluntary_switches_per_op: 0.0,
            profile: "release".to_owned(),
        };
        let timed = cpu_us_per_op
            .iter()
            .map(|cpu| Sample { report: report(*cpu), foreign_load: Some(0.25) })
            .collect();
        Row { cell: Cell { workload, client, runtime }, timed, counted: Vec::new() }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let rows = [
            row(Workload::W1, "blaster", "blocking", &[1.0, 10.0, 2.0]),
            row(Workload::W1, "tokio-zookeeper", "ct", &[3.0, 20.0, 4.0]),
            row(Workload::W1, OURS, "ct", &[1.5, 30.0, 2.0]),
        ];
        assert_eq!(against(&rows[1], &rows, FLOOR, "blocking"), Some(2.0));
        assert_eq!(against(&rows[2], &rows, "tokio-zookeeper", "ct"), Some(0.5));
        assert_eq!(against(&rows[2], &rows, "tokio-zookeeper", "mt"), None);
        let text = markdown(&rows, &Machine::default(), true);
        assert!(text.contains("| W1 | ct | tokio-zookeeper | 0.50 | VOID |"), "{text}");
        assert!(text.contains("foreign load: median 0.25"), "{text}");
    }

    #[test]
    fn a_smoke_test_gives_no_verdict() {
        let rows = [row(Workload::W1, "blaster", "blocking", &[1.0])];
        assert!(markdown(&rows, &Machine::default(), true).contains("VOID"));
        assert!(!markdown(&rows, &Machine::default(), false).contains("VOID"));
        assert!(markdown(&rows, &Machine::default(), true).contains("Not measured"));
    }

    #[test]
    fn all_versions_are_found_and_json_carries_the_standing() {
        assert_eq!(versions().len(), 4);
        let rows = [row(Workload::W1, "blaster", "blocking", &[1.0])];
        assert_eq!(json(&rows, &Machine::default())["rows"][0]["standing"]["too-few-yardsticks"], json!(1));
    }
}
