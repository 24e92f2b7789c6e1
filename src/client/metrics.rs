//! Snapshots as single values with names, for whatever collects them. No metrics crate is taken on for it: a caller walks the
//! list into the one in use, or writes it out by [`prometheus`].
//!
//! Names and labels follow Prometheus's rules: counters end in `_total`, units are seconds, and what has no value is left
//! out. The manual's `operations` chapter says of each what it means.

use std::fmt::Write as _;

use super::stats::{OperationStats, Stats};
use super::{Client, Status};
use crate::session::{self, State};

/// One value of a snapshot.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, such as `menagerie_client_disconnects_total`.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: MetricKind,
    /// What it is about, such as `("service", "time")`.
    pub labels: Vec<(&'static str, String)>,
    /// The value. Counts are exact up to 2^53.
    pub value: f64,
}

/// How a [`Metric`] moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// It grows, and begins anew with what it counts: a session, a view, a registration.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Metric {
    pub(crate) fn counter(name: &'static str, value: u64) -> Self {
        Self { name, kind: MetricKind::Counter, labels: Vec::new(), value: float(value) }
    }

    pub(crate) fn gauge(name: &'static str, value: f64) -> Self {
        Self { name, kind: MetricKind::Gauge, labels: Vec::new(), value }
    }

    /// 1 or 0.
    pub(crate) fn flag(name: &'static str, is_set: bool) -> Self {
        Self::gauge(name, float(u64::from(is_set)))
    }

    /// A gauge that counts.
    pub(crate) fn level(name: &'static str, value: usize) -> Self {
        Self::gauge(name, float(u64::try_from(value).unwrap_or(u64::MAX)))
    }

    pub(crate) fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
fn float(value: u64) -> f64 {
    value as f64
}

/// The text that Prometheus collects: all values of one name together, in the order in which the names come first.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), menagerie::client::Error> {
/// use menagerie::client::{Client, prometheus};
///
/// let zk = Client::connect_lazy("127.0.0.1:1")?;
/// let page = prometheus(&zk.metrics());
/// assert!(page.contains("# TYPE menagerie_client_connected gauge\nmenagerie_client_connected 0\n"));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn prometheus(metrics: &[Metric]) -> String {
    let mut names: Vec<&'static str> = Vec::new();
    for metric in metrics {
        if !names.contains(&metric.name) {
            names.push(metric.name);
        }
    }
    let mut page = String::new();
    for name in names {
        let mut same = metrics.iter().filter(|metric| metric.name == name).peekable();
        let kind = match same.peek().map(|metric| metric.kind) {
            Some(MetricKind::Counter) => "counter",
            _ => "gauge",
        };
        // Writing to a String does not fail.
        let _ = writeln!(page, "# TYPE {name} {kind}");
        for metric in same {
            let _ = writeln!(page, "{name}{} {}", labels(metric), metric.value);
        }
    }
    page
}

fn labels(metric: &Metric) -> String {
    let one = |(name, value): &(&str, String)| format!("{name}=\"{}\"", escaped(value));
    let all: Vec<_> = metric.labels.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

/// Names of services come from others: none ends its quotes or its line.
fn escaped(value: &str) -> String {
    if planted!("metrics_labels_raw") {
        return value.to_owned();
    }
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Client {
    /// Where the client stands and what it has done, as single values. Never waits for the network.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let mut all = self.status().metrics();
        all.extend(self.stats().metrics());
        all
    }
}

impl Status {
    fn metrics(&self) -> Vec<Metric> {
        let Self { state, epoch, disconnects, session_id: _, timeout } = *self;
        let is_connected = matches!(state, State::Connected | State::ConnectedReadOnly);
        vec![
            Metric::flag("menagerie_client_connected", is_connected),
            Metric::flag("menagerie_client_read_only", state == State::ConnectedReadOnly),
            Metric::flag("menagerie_client_ended", matches!(state, State::Ended(_))),
            Metric::counter("menagerie_client_sessions_total", epoch),
            Metric::counter("menagerie_client_disconnects_total", disconnects),
            Metric::gauge("menagerie_client_session_timeout_seconds", timeout.as_secs_f64()),
        ]
    }
}

impl Stats {
    /// The same as single values.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let Self { session, in_flight, operations } = self;
        let mut all = vec![Metric::level("menagerie_client_in_flight", *in_flight)];
        all.extend(session_metrics(session));
        all.extend(operations.iter().flat_map(OperationStats::metrics));
        all
    }
}

fn session_metrics(stats: &session::Stats) -> [Metric; 10] {
    // Without `..`: what is counted later is told later, or this does not compile.
    let session::Stats {
        connects,
        dials,
        probes,
        violations,
        ignored_replies,
        ignored_events,
        garbled_events,
        oversize_replies,
        watch_batches,
        pings,
    } = *stats;
    [
        Metric::counter("menagerie_session_connects_total", connects),
        Metric::counter("menagerie_session_dials_total", dials),
        Metric::counter("menagerie_session_probes_total", probes),
        Metric::counter("menagerie_session_violations_total", violations),
        Metric::counter("menagerie_session_ignored_replies_total", ignored_replies),
        Metric::counter("menagerie_session_ignored_events_total", ignored_events),
        Metric::counter("menagerie_session_garbled_events_total", garbled_events),
        Metric::counter("menagerie_session_oversize_replies_total", oversize_replies),
        Metric::counter("menagerie_session_watch_batches_total", watch_batches),
        Metric::counter("menagerie_session_pings_total", pings),
    ]
}

impl OperationStats {
    fn metrics(&self) -> Vec<Metric> {
        let Self { op, ok, failed, latency } = self;
        let op = op.map_or_else(|| String::from("other"), |op| op.to_string());
        let outcome = |outcome: &str, count| {
            Metric::counter("menagerie_operations_total", count).label("op", &op).label("outcome", outcome)
        };
        let mut all = vec![outcome("ok", *ok), outcome("failed", *failed)];
        let mut below = 0;
        for (bucket, count) in latency.iter().enumerate() {
            below += count;
            let is_last = bucket + 1 == latency.len();
            let bound = if is_last { String::from("+Inf") } else { seconds(bucket) };
            all.push(
                Metric::counter("menagerie_operation_latency_seconds_bucket", below)
                    .label("op", &op)
                    .label("le", bound),
            );
        }
        all
    }
}

/// The bound of a bucket of latencies.
fn seconds(bucket: usize) -> String {
    std::time::Duration::from_micros(1 << bucket).as_secs_f64().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::BUCKETS;
    use crate::jute::OpCode;

    #[test]
    fn one_name_stands_once_and_no_label_breaks_out() {
        let one = |service: &str| Metric::counter("x_total", 1).label("service", service);
        let page = prometheus(&[one("a"), Metric::flag("y", true), one("b\"} 9\nz 1 \\")]);
        let expected = "# TYPE x_total counter\nx_total{service=\"a\"} 1\nx_total{service=\"b\\\"} 9\\nz 1 \\\\\"} 1\n# TYPE y gauge\ny 1\n";
        assert_eq!(page, expected);
    }

    #[test]
    fn latencies_add_up_from_bucket_to_bucket() {
        let mut latency = [0; BUCKETS];
        (latency[0], latency[3], latency[BUCKETS - 1]) = (1, 2, 4);
        let stats = OperationStats { op: Some(OpCode::GET_DATA), ok: 6, failed: 1, latency };
        let page = prometheus(&stats.metrics());
        for line in [
            "menagerie_operations_total{op=\"getData\",outcome=\"ok\"} 6",
            "menagerie_operations_total{op=\"getData\",outcome=\"failed\"} 1",
            "menagerie_operation_latency_seconds_bucket{op=\"getData\",le=\"0.000001\"} 1",
            "menagerie_operation_latency_seconds_bucket{op=\"getData\",le=\"0.000008\"} 3",
            "menagerie_operation_latency_seconds_bucket{op=\"getData\",le=\"+Inf\"} 7",
        ] {
            assert!(page.lines().any(|each| each == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn names_follow_the_rules() {
        let operations = vec![OperationStats { op: None, ok: 1, failed: 0, latency: [0; BUCKETS] }];
        let stats = Stats { session: session::Stats::default(), in_flight: 0, operations };
        for Metric { name, kind, .. } in stats.metrics() {
            assert!(
                name.starts_with("menagerie_") && name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())
            );
            let counts = name.ends_with("_total") || name.ends_with("_bucket");
            assert_eq!(counts, kind == MetricKind::Counter, "{name}");
        }
    }
}
