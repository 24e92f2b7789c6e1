//! Whether a figure may be trusted, judged by figures of the same clients from another machine.
//!
//! A machine that is twice as fast makes every client twice as cheap; a disturbed or mistaken measurement
//! makes one client cheaper than its neighbours. So each yardstick's figure is divided by its reference, and
//! one that lies a factor of two or more from the median of these quotients is void, to either side. A row
//! without a reference stands on the yardsticks: it is void if fewer than three of the four stand.

use crate::drive::Workload;

use super::stats::median;
use super::{Cell, Row};

const TOLERATED_FACTOR: f64 = 2.0;

const NEEDED: usize = 3;

/// Client CPU, µs per operation, of `(client, runtime)` in W1 on the server's CPU and W2 on another one.
/// From one shared two-CPU virtual machine; only the proportions matter.
const REFERENCE: [(&str, &str, f64, f64); 4] = [
    ("blaster", "blocking", 9.29, 0.22),
    ("zookeeper-async", "ct", 11.7, 3.78),
    ("tokio-zookeeper", "ct", 12.7, 2.41),
    ("zookeeper-client", "ct", 20.8, 6.57),
];

/// What a row's figures are worth.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// In proportion with the others.
    Stands,
    /// A yardstick this many times as dear as the others say it should be.
    OutOfProportion(f64),
    /// Only so many yardsticks of the workload stand.
    TooFewYardsticks(usize),
}

impl Standing {
    /// Nothing follows from the row.
    #[must_use]
    pub fn is_void(self) -> bool {
        self != Self::Stands
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stands => f.write_str("stands"),
            Self::OutOfProportion(factor) => write!(f, "VOID: {factor:.2} x its proportion"),
            Self::TooFewYardsticks(count) => write!(f, "VOID: {count} of {} yardsticks", REFERENCE.len()),
        }
    }
}

fn reference(cell: &Cell) -> Option<f64> {
    REFERENCE.iter().find(|(client, runtime, ..)| *client == cell.client && *runtime == cell.runtime).map(
        |(.., w1, w2)| match cell.workload {
            Workload::W1 => *w1,
            Workload::W2 => *w2,
        },
    )
}

/// Measured CPU over the reference, for a yardstick.
fn quotient(row: &Row) -> Option<f64> {
    Some(median(row.timed.iter().map(|sample| sample.report.cpu_us_per_op))? / reference(&row.cell)?)
}

/// The standing of `row` among all `rows`.
#[must_use]
pub fn standing(row: &Row, rows: &[Row]) -> Standing {
    let quotients: Vec<f64> =
        rows.iter().filter(|other| other.cell.workload == row.cell.workload).filter_map(quotient).collect();
    let Some(common) = median(quotients.iter().copied()) else { return Standing::TooFewYardsticks(0) };
    let in_proportion =
        |quotient: f64| (1.0 / TOLERATED_FACTOR..=TOLERATED_FACTOR).contains(&(quotient / common));
    let standing = quotients.iter().filter(|quotient| in_proportion(**quotient)).count();
    match quotient(row) {
        Some(quotient) if !in_proportion(quotient) => Standing::OutOfProportion(quotient / common),
        _ if standing < NEEDED => Standing::TooFewYardsticks(standing),
        _ => Standing::Stands,
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::row;
    use super::*;

    /// The yardsticks of W2 at `factors` of their references, and a row without a reference.
    fn rows(factors: [f64; 4]) -> Vec<Row> {
        let mut rows: Vec<Row> = REFERENCE
            .iter()
            .zip(factors)
            .map(|((client, runtime, _, w2), factor)| row(Workload::W2, client, runtime, &[w2 * factor]))
            .collect();
        rows.push(row(Workload::W2, "tokio-zookeeper", "mt", &[1.0]));
        // The other workload must not matter.
        rows.push(row(Workload::W1, "blaster", "blocking", &[1_000.0]));
        rows
    }

    fn standings(factors: [f64; 4]) -> Vec<Standing> {
        let rows = rows(factors);
        rows.iter().take(5).map(|row| standing(row, &rows)).collect()
    }

    #[test]
    fn a_faster_or_slower_machine_changes_nothing() {
        for speed in [0.1, 1.0, 30.0] {
            assert_eq!(standings([speed, speed * 1.5, speed, speed * 0.6]), [Standing::Stands; 5]);
        }
    }

    #[test]
    fn one_yardstick_out_of_proportion_is_void_alone_to_either_side() {
        for factor in [0.4, 2.5] {
            let judged = standings([1.0, 1.0, 1.0, factor]);
            assert_eq!(judged[3], Standing::OutOfProportion(factor));
            assert!([0, 1, 2, 4].iter().all(|at| judged[*at] == Standing::Stands), "{judged:?}");
        }
    }

    #[test]
    fn two_of_them_take_the_whole_workload_along() {
        let judged = standings([1.0, 1.0, 3.0, 0.3]);
        assert!(judged.iter().all(|standing| standing.is_void()), "{judged:?}");
        assert_eq!(judged[4], Standing::TooFewYardsticks(2));
    }

    #[test]
    fn without_yardsticks_nothing_stands() {
        let rows = [row(Workload::W1, "tokio-zookeeper", "mt", &[1.0])];
        assert_eq!(standing(&rows[0], &rows), Standing::TooFewYardsticks(0));
    }
}
