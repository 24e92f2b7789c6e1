//! Counters and latencies, readable without any metrics crate.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::jute::OpCode;
use crate::session;

/// Operations that are told apart; the last takes all others.
const OPS: [OpCode; 10] = [
    OpCode::CREATE2,
    OpCode::DELETE,
    OpCode::EXISTS,
    OpCode::GET_DATA,
    OpCode::SET_DATA,
    OpCode::GET_CHILDREN2,
    OpCode::SYNC,
    OpCode::MULTI,
    OpCode::MULTI_READ,
    OpCode::ADD_WATCH,
];

/// Buckets of a latency histogram: bucket `n` counts what took less than `2^n` microseconds, the last everything above.
pub const BUCKETS: usize = 26;

#[derive(Debug, Default)]
pub(super) struct Counters {
    ops: [Op; OPS.len() + 1],
}

#[derive(Debug, Default)]
struct Op {
    ok: AtomicU64,
    failed: AtomicU64,
    latency: [AtomicU64; BUCKETS],
}

/// What a client has done so far.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// The present session's counters.
    pub session: session::Stats,
    /// Requests waiting or under way.
    pub in_flight: usize,
    /// By operation; those without any are left out.
    pub operations: Vec<OperationStats>,
}

/// What one kind of operation has done so far.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OperationStats {
    /// The operation; `None` for all that are not told apart.
    pub op: Option<OpCode>,
    /// How many succeeded.
    pub ok: u64,
    /// How many failed, whatever the reason.
    pub failed: u64,
    /// How many took less than `2^n` microseconds from submission to answer, not counting those below.
    pub latency: [u64; BUCKETS],
}

impl Counters {
    pub(super) fn record(&self, op: OpCode, took: Duration, ok: bool) {
        let op = if op == OpCode::CREATE { OpCode::CREATE2 } else { op };
        let index = OPS.iter().position(|&each| each == op).unwrap_or(OPS.len());
        let Some(counters) = self.ops.get(index) else { return };
        if ok { &counters.ok } else { &counters.failed }.fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = usize::try_from(u64::BITS - micros.leading_zeros()).unwrap_or(BUCKETS).min(BUCKETS - 1);
        if let Some(bucket) = counters.latency.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn operations(&self) -> Vec<OperationStats> {
        let named = OPS.iter().copied().map(Some).chain([None]);
        let all = named.zip(&self.ops).map(|(op, counters)| OperationStats {
            op,
            ok: counters.ok.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            latency: std::array::from_fn(|index| {
                counters.latency.get(index).map_or(0, |bucket| bucket.load(Relaxed))
            }),
        });
        all.filter(|each| each.ok + each.failed > 0).collect()
    }
}

impl OperationStats {
    /// An upper bound of the latency that this share of the requests, from 0 to 1, stayed under.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let total: u64 = self.latency.iter().sum();
        let mut seen = 0;
        for (bucket, count) in self.latency.iter().enumerate() {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "a share of a count needs no more than 52 bits")]
            if seen as f64 >= share * total as f64 && seen > 0 {
                return Duration::from_micros(1 << bucket);
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_powers_of_two() {
        let counters = Counters::default();
        for micros in [0, 1, 3, 100, 1_000_000_000_000] {
            counters.record(OpCode::GET_DATA, Duration::from_micros(micros), true);
        }
        counters.record(OpCode::WHO_AM_I, Duration::ZERO, false);
        let all = counters.operations();
        let get = all.iter().find(|each| each.op == Some(OpCode::GET_DATA)).unwrap();
        assert_eq!((get.ok, get.failed, get.latency.iter().sum::<u64>()), (5, 0, 5));
        assert_eq!((get.latency[0], get.latency[1], get.latency[2], get.latency[7]), (1, 1, 1, 1));
        assert_eq!(get.quantile(0.5), Duration::from_micros(4));
        assert_eq!(all.iter().find(|each| each.op.is_none()).unwrap().failed, 1);
    }
}
