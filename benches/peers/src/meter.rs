//! What the kernel and the allocator have counted for this process, at one moment and over a window.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;
use stats_alloc::INSTRUMENTED_SYSTEM;

/// The one place that reads the clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "measuring time is what this package is for")]
pub fn now() -> Instant {
    Instant::now()
}

/// CPU time, user and system together: their split is sampled at ticks, the sum is exact.
#[must_use]
pub fn cpu_time(usage: &Usage) -> Duration {
    duration(usage.user_time()) + duration(usage.system_time())
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// The counters of this process at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    at: Instant,
    cpu: Duration,
    voluntary_switches: i64,
    allocations: usize,
    allocated_bytes: usize,
}

/// The counters of this process over a window.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Wall-clock time.
    pub wall: Duration,
    /// CPU time of all threads.
    pub cpu: Duration,
    /// Times that a thread gave up its CPU to wait.
    pub voluntary_switches: f64,
    /// Calls of alloc and realloc. Zero unless the process counts them.
    pub allocations: f64,
    /// Bytes that these calls asked for; a realloc counts by what it grew.
    pub allocated_bytes: f64,
}

impl Snapshot {
    /// Reads all counters. Allocates nothing.
    ///
    /// # Errors
    /// A failing getrusage.
    pub fn take() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
        let heap = INSTRUMENTED_SYSTEM.stats();
        Ok(Self {
            at: now(),
            cpu: cpu_time(&usage),
            voluntary_switches: usage.voluntary_context_switches(),
            allocations: heap.allocations + heap.reallocations,
            allocated_bytes: heap.bytes_allocated,
        })
    }

    /// What was counted from `self` to `end`.
    #[must_use]
    pub fn until(&self, end: &Self) -> Window {
        Window {
            wall: end.at.duration_since(self.at),
            cpu: end.cpu.saturating_sub(self.cpu),
            voluntary_switches: (end.voluntary_switches - self.voluntary_switches) as f64,
            allocations: end.allocations.saturating_sub(self.allocations) as f64,
            allocated_bytes: end.allocated_bytes.saturating_sub(self.allocated_bytes) as f64,
        }
    }
}

/// Refuses to measure what nobody would ship.
///
/// # Errors
/// A build with debug assertions.
pub fn require_release_build() -> Result<&'static str> {
    anyhow::ensure!(!cfg!(debug_assertions), "figures of a debug build mean nothing: build with --release");
    Ok("release")
}
