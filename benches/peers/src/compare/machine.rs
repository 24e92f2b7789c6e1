//! The machine under the measurement: its CPUs, its name, and what else it was doing.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::meter::{cpu_time, now};

/// What the figures were taken on.
#[derive(Debug, Default, serde::Serialize)]
pub struct Machine {
    /// Where the server runs; None if nothing is pinned.
    pub server_cpu: Option<usize>,
    /// Where a client runs that does not share the server's CPU.
    pub client_cpu: Option<usize>,
    /// CPUs this process may use.
    pub cpus: usize,
    /// As the kernel names it.
    pub cpu_model: String,
    /// The kernel's release.
    pub kernel: String,
    /// What the compiler says of itself.
    pub rustc: String,
}

impl Machine {
    /// Looks at this machine.
    ///
    /// # Errors
    /// A kernel that does not tell which CPUs may be used.
    pub fn look() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::this()).context("sched_getaffinity")?;
        let cpus: Vec<usize> =
            (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
        // With one CPU there is nothing to pin.
        let (server_cpu, client_cpu) = match cpus.as_slice() {
            [server, client, ..] => (Some(*server), Some(*client)),
            _ => (None, None),
        };
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let rustc = std::process::Command::new("rustc").arg("--version").output();
        Ok(Self {
            server_cpu,
            client_cpu,
            cpus: cpus.len(),
            cpu_model: model.map_or("unknown", |(_, name)| name).to_owned(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            rustc: rustc.map_or_else(
                |_| "unknown".to_owned(),
                |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            ),
        })
    }
}

/// The CPU time used by everyone and by us, from one moment on.
#[derive(Debug)]
pub struct Load {
    server: u32,
    at: Instant,
    everyone: Duration,
    ours: Duration,
    cpus: usize,
}

impl Load {
    /// Begins now. `server` is the process that counts as ours besides this one and its ended children.
    ///
    /// # Errors
    /// A /proc that cannot be read.
    pub fn begin(server: u32) -> Result<Self> {
        let (everyone, cpus) = everyone()?;
        Ok(Self { server, at: now(), everyone, ours: ours(server)?, cpus })
    }

    /// The share of all CPUs, 0 to 1, that others have used since. The kernel counts in ticks of 10 ms, so a
    /// run of a second is good to about two hundredths, and a much shorter one says nothing: None.
    ///
    /// # Errors
    /// A /proc that cannot be read.
    pub fn foreign_share(&self) -> Result<Option<f64>> {
        const SHORTEST: Duration = Duration::from_millis(200);
        let everyone = everyone()?.0.saturating_sub(self.everyone);
        let ours = ours(self.server)?.saturating_sub(self.ours);
        let elapsed = now().duration_since(self.at);
        if elapsed < SHORTEST {
            return Ok(None);
        }
        let available = elapsed.as_secs_f64() * self.cpus.max(1) as f64;
        Ok(Some((everyone.saturating_sub(ours).as_secs_f64() / available).min(1.0)))
    }
}

fn ours(server: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{server}/stat")).context("the server's /proc/PID/stat")?;
    let server = ticks(process_ticks(&text).context("the server's /proc/PID/stat")?)?;
    let own = cpu_time(&getrusage(UsageWho::RUSAGE_SELF)?);
    Ok(server + own + cpu_time(&getrusage(UsageWho::RUSAGE_CHILDREN)?))
}

fn everyone() -> Result<(Duration, usize)> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let (busy, cpus) = busy_ticks(&text).context("/proc/stat")?;
    Ok((ticks(busy)?, cpus))
}

fn ticks(count: u64) -> Result<Duration> {
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("CLK_TCK")?;
    Ok(Duration::from_secs_f64(count as f64 / per_second as f64))
}

/// User and system time: the 14th and 15th field, counted from behind the name, which may hold anything.
fn process_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Ticks in which any CPU did something, and the number of CPUs. Time in which the host ran somebody else
/// counts as busy: it was not ours.
fn busy_ticks(stat: &str) -> Option<(u64, usize)> {
    let total = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = total.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields.as_slice() else {
        return None;
    };
    let is_cpu = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    Some((user + nice + system + irq + softirq + steal, stat.lines().filter(is_cpu).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "cpu  10 1 20 500 60 2 3 4 0 0\ncpu0 5 1 10 250 30 1 1 2 0 0\ncpu1 5 0 10 250 30 1 2 2 0 0\n\
                    intr 7\n";
        assert_eq!(busy_ticks(stat), Some((40, 2)));
        assert_eq!(process_ticks("12 (a) b) R 1 1 1 0 -1 4 5 6 7 8 90 9 0 0 20 0 1 0"), Some(99));
    }

    #[test]
    fn nonsense_is_no_figure() {
        assert_eq!(busy_ticks("cpu  1 2 x"), None);
        assert_eq!(busy_ticks(""), None);
        assert_eq!(process_ticks("12 (a) R 1"), None);
    }

    #[test]
    fn this_machine_can_be_read() {
        let load = Load::begin(std::process::id()).unwrap();
        assert!(load.foreign_share().unwrap().is_none_or(|share| (0.0..=1.0).contains(&share)));
        assert!(Machine::look().unwrap().cpus >= 1);
    }
}
