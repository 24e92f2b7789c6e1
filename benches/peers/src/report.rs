//! The one line that a measured process prints, and the comparison reads.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::meter::Window;

/// What one process measured over its window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The client, or `blaster`, `pingpong`, `noop`.
    pub client: String,
    /// `ct`, `mt` or `blocking`.
    pub runtime: String,
    /// `W1` or `W2`.
    pub workload: String,
    /// Operations completed in the window.
    pub ops: u64,
    /// Length of the window.
    pub seconds: f64,
    /// Operations per second of wall-clock time.
    pub ops_per_s: f64,
    /// Median time of one operation, if the process times each.
    pub p50_us: Option<f64>,
    /// 99th percentile of the same.
    pub p99_us: Option<f64>,
    /// User and system time of the whole process.
    pub cpu_us_per_op: f64,
    /// Calls of alloc and realloc, if the process counts them.
    pub allocs_per_op: Option<f64>,
    /// Bytes that these calls asked for.
    pub alloc_bytes_per_op: Option<f64>,
    /// Times that a thread gave up its CPU to wait.
    pub voluntary_switches_per_op: f64,
    /// How the process was built.
    pub profile: String,
}

/// Which run a report is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The client, or `blaster`, `pingpong`, `noop`.
    pub client: &'a str,
    /// `ct`, `mt` or `blocking`.
    pub runtime: &'a str,
    /// `W1` or `W2`.
    pub workload: &'a str,
    /// How the process was built.
    pub profile: &'a str,
    /// Whether the allocator counts.
    pub counted: bool,
}

impl Report {
    /// Divides what the window counted by its operations.
    ///
    /// # Errors
    /// A histogram that cannot be made; a fixed bound, so only without memory.
    pub fn new(subject: Subject<'_>, ops: u64, window: &Window, latencies_ns: &[u32]) -> Result<Self> {
        let per_op = |count: f64| count / ops.max(1) as f64;
        let percentiles = percentiles_us(latencies_ns)?;
        Ok(Self {
            client: subject.client.to_owned(),
            runtime: subject.runtime.to_owned(),
            workload: subject.workload.to_owned(),
            ops,
            seconds: window.wall.as_secs_f64(),
            ops_per_s: ops as f64 / window.wall.as_secs_f64().max(f64::MIN_POSITIVE),
            p50_us: percentiles.map(|(p50, _)| p50),
            p99_us: percentiles.map(|(_, p99)| p99),
            cpu_us_per_op: per_op(window.cpu.as_secs_f64() * 1e6),
            allocs_per_op: subject.counted.then(|| per_op(window.allocations)),
            alloc_bytes_per_op: subject.counted.then(|| per_op(window.allocated_bytes)),
            voluntary_switches_per_op: per_op(window.voluntary_switches),
            profile: subject.profile.to_owned(),
        })
    }

    /// Prints the report as one line of JSON on standard output.
    ///
    /// # Errors
    /// A closed standard output.
    pub fn print(&self) -> Result<()> {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(self)?).context("print the report")
    }
}

fn percentiles_us(latencies_ns: &[u32]) -> Result<Option<(f64, f64)>> {
    const SIGNIFICANT_DIGITS: u8 = 3;
    if latencies_ns.is_empty() {
        return Ok(None);
    }
    let mut histogram = Histogram::<u64>::new_with_max(u32::MAX.into(), SIGNIFICANT_DIGITS)?;
    for latency in latencies_ns {
        histogram.record(u64::from(*latency))?;
    }
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    Ok(Some((at(0.5), at(0.99))))
}

/// Nanoseconds, at most the four seconds that fit.
#[must_use]
pub fn nanos(latency: Duration) -> u32 {
    u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_by_the_operations_and_survives_the_round_trip() {
        let window = Window {
            wall: Duration::from_secs(2),
            cpu: Duration::from_millis(500),
            voluntary_switches: 1_000.0,
            allocations: 4_000.0,
            allocated_bytes: 1_000_000.0,
        };
        let subject =
            Subject { client: "noop", runtime: "ct", workload: "W1", profile: "release", counted: true };
        let latencies: Vec<u32> = (1..=1_000).map(|n| n * 1_000).collect();
        let report = Report::new(subject, 1_000, &window, &latencies).unwrap();
        assert_eq!(report.cpu_us_per_op, 500.0);
        assert_eq!(report.ops_per_s, 500.0);
        assert_eq!(report.allocs_per_op, Some(4.0));
        assert_eq!(report.alloc_bytes_per_op, Some(1_000.0));
        assert!((report.p50_us.unwrap() - 500.0).abs() < 1.0);
        assert!((report.p99_us.unwrap() - 990.0).abs() < 1.0);
        let line = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
        let uncounted = Report::new(Subject { counted: false, ..subject }, 1_000, &window, &[]).unwrap();
        assert_eq!((uncounted.allocs_per_op, uncounted.p50_us), (None, None));
    }
}
