//! What the kernel counts for a process: CPU time and resident memory.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// The one place that reads the clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "measuring time is what this package is for")]
pub fn now() -> Instant {
    Instant::now()
}

/// The CPU time of a process at one moment: of each thread to the nanosecond, of all together to the tick.
#[derive(Debug)]
pub struct Cpu {
    threads: BTreeMap<u32, u64>,
    all: Duration,
}

impl Cpu {
    /// Reads the counters of process `pid`.
    ///
    /// # Errors
    /// A process that is gone.
    pub fn of(pid: u32) -> Result<Self> {
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")? {
            let task = task?;
            let id = task.file_name().to_string_lossy().parse()?;
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            threads.insert(id, nanos(&text).context("schedstat")?);
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let per_second = sysconf(SysconfVar::CLK_TCK)?.context("CLK_TCK")?;
        let all = ticks(&stat).context("stat")? as f64 / per_second as f64;
        Ok(Self { threads, all: Duration::from_secs_f64(all) })
    }

    /// The CPU time from `self` to `end`, by threads. By ticks if a thread has ended, whose time is in no thread's
    /// count any more, or if ticks show that threads came and went in between.
    #[must_use]
    pub fn until(&self, end: &Self) -> Duration {
        const COARSE: Duration = Duration::from_millis(40);
        let by_ticks = end.all.saturating_sub(self.all);
        if self.threads.keys().any(|id| !end.threads.contains_key(id)) {
            return by_ticks;
        }
        let used = |(id, ns): (&u32, &u64)| ns.saturating_sub(self.threads.get(id).copied().unwrap_or(0));
        let by_threads = Duration::from_nanos(end.threads.iter().map(used).sum());
        if by_ticks > by_threads + by_threads / 20 + COARSE { by_ticks } else { by_threads }
    }

    /// [`until`](Self::until) now.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn until_now(&self, pid: u32) -> Result<Duration> {
        Ok(self.until(&Self::of(pid)?))
    }

    /// All of it since the process began: at least what its threads have used that live, to the nanosecond.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.all.max(Duration::from_nanos(self.threads.values().sum()))
    }
}

/// The CPU time of the calling thread since it began.
///
/// # Errors
/// A kernel that does not tell.
pub fn own_thread() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("schedstat")?;
    Ok(Duration::from_nanos(nanos(&text).context("schedstat")?))
}

/// Bytes of memory that process `pid` occupies.
///
/// # Errors
/// A process that is gone.
pub fn resident_bytes(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    resident_kib(&status).map(|kib| kib * 1024.0).context("no VmRSS")
}

/// How many files this process, and what it starts, may have open.
///
/// # Errors
/// A kernel that does not tell.
pub fn open_files() -> Result<usize> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).context("no limit")?;
    let soft = line.split_whitespace().next().context("no soft limit")?;
    Ok(soft.parse().unwrap_or(usize::MAX))
}

fn resident_kib(status: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

fn nanos(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// User and system time: the 14th and 15th field, counted from behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(threads: &[(u32, u64)], all_ms: u64) -> Cpu {
        Cpu { threads: threads.iter().copied().collect(), all: Duration::from_millis(all_ms) }
    }

    #[test]
    fn threads_count_to_the_nanosecond_while_they_live() {
        let start = cpu(&[(1, 100), (2, 50)], 0);
        assert_eq!(start.until(&cpu(&[(1, 130), (2, 55), (3, 7)], 0)), Duration::from_nanos(42));
        assert_eq!(start.until(&cpu(&[(1, 130)], 20)), Duration::from_millis(20));
        assert_eq!(start.until(&cpu(&[(1, 130), (2, 55)], 900)), Duration::from_millis(900));
        assert_eq!(start.total(), Duration::from_nanos(150));
    }

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(ticks("12 (a) b) R 1 1 1 0 -1 4 5 6 7 8 90 9 0 0 20 0 1 0"), Some(99));
        assert_eq!(nanos("1200 30 4\n"), Some(1200));
        assert_eq!(resident_kib("VmHWM:\t 9 kB\nVmRSS:\t    1234 kB\n"), Some(1234.0));
        assert!(open_files().unwrap() > 10);
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000.0);
        let own = std::process::id();
        assert!(Cpu::of(own).unwrap().threads.contains_key(&own));
        assert!(own_thread().unwrap() > Duration::ZERO);
    }
}
