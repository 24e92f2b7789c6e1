//! Drives one client through one workload and measures the process while it does.
//!
//! The window opens when every task has been spawned and waits, and closes as the last one finishes; each
//! task writes its latencies into memory that it has touched before. So what the window counts belongs to
//! the client, but for the clock read per operation that the `noop` client shows.

use std::iter;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail, ensure};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use crate::args::Args;
use crate::clients::{Noop, Peer, TokioZookeeper, ZookeeperAsync, ZookeeperClient};
use crate::frames::{PATH, VALUE_LEN};
use crate::meter::{Snapshot, now, require_release_build};
use crate::report::{Report, Subject, nanos};

/// The pipelined requests of [`Workload::W2`].
pub const W2_IN_FLIGHT: usize = 256;

const MT_WORKERS: usize = 2;

/// Who asks how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One task, one get after the other.
    W1,
    /// [`W2_IN_FLIGHT`] tasks on one session, each one get after the other.
    W2,
}

impl Workload {
    /// Requests in flight.
    #[must_use]
    pub fn concurrency(self) -> usize {
        match self {
            Self::W1 => 1,
            Self::W2 => W2_IN_FLIGHT,
        }
    }

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1",
            Self::W2 => "W2",
        }
    }
}

impl FromStr for Workload {
    type Err = UnknownWorkload;

    fn from_str(text: &str) -> Result<Self, UnknownWorkload> {
        [Self::W1, Self::W2].into_iter().find(|known| known.name() == text).ok_or(UnknownWorkload)
    }
}

/// A workload that is neither W1 nor W2.
#[derive(Debug)]
pub struct UnknownWorkload;

impl std::fmt::Display for UnknownWorkload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a workload is W1 or W2")
    }
}

impl std::error::Error for UnknownWorkload {}

/// One run, as the command line asks for it.
#[derive(Debug)]
struct Run {
    runtime: String,
    workload: Workload,
    /// Operations of each task, at least one.
    ops_per_task: usize,
    address: String,
    profile: &'static str,
    counted: bool,
}

/// The whole of the `peer` binary: reads the command line, runs, prints one line of JSON. `counted` says
/// that the calling binary has installed the counting allocator.
///
/// # Errors
/// A wrong option, a debug build, or a client that fails.
pub fn main(counted: bool) -> Result<()> {
    let args = Args::from_env(&["--client", "--runtime", "--workload", "--ops", "--connect"], &[])?;
    let workload: Workload = args.need("--workload")?;
    let run = Run {
        runtime: args.need("--runtime")?,
        workload,
        ops_per_task: args.need::<usize>("--ops")?.div_ceil(workload.concurrency()).max(1),
        address: args.need("--connect")?,
        profile: require_release_build()?,
        counted,
    };
    let client: String = args.need("--client")?;
    match client.as_str() {
        Noop::NAME => measure::<Noop>(&run),
        #[cfg(feature = "ours")]
        crate::clients::Ours::NAME => measure::<crate::clients::Ours>(&run),
        TokioZookeeper::NAME => measure::<TokioZookeeper>(&run),
        ZookeeperAsync::NAME => measure::<ZookeeperAsync>(&run),
        ZookeeperClient::NAME => measure::<ZookeeperClient>(&run),
        other => bail!("unknown client {other}"),
    }
}

fn measure<P: Peer>(run: &Run) -> Result<()> {
    let runtime = runtime(&run.runtime)?;
    let report = runtime.block_on(async {
        let peer = P::connect(&run.address).await.with_context(|| format!("connect {}", P::NAME))?;
        drive(peer, run).await
    })?;
    report.print()?;
    // A client's background tasks may wait for ever; the process has said all it has to say.
    runtime.shutdown_background();
    Ok(())
}

fn runtime(name: &str) -> Result<Runtime> {
    let built = match name {
        "ct" => Builder::new_current_thread().enable_all().build(),
        "mt" => Builder::new_multi_thread().worker_threads(MT_WORKERS).enable_all().build(),
        other => bail!("unknown runtime {other}: ct or mt"),
    };
    built.context("start the runtime")
}

async fn drive<P: Peer>(peer: P, run: &Run) -> Result<Report> {
    let concurrency = run.workload.concurrency();
    warm_up(&peer, concurrency, run.ops_per_task.div_ceil(10)).await?;
    let gate = Arc::new(Gate::new(concurrency));
    let tasks: Vec<_> =
        iter::repeat_with(|| tokio::spawn(measured_task(peer.clone(), Arc::clone(&gate), run.ops_per_task)))
            .take(concurrency)
            .collect();
    let mut latencies = Vec::with_capacity(concurrency * run.ops_per_task);
    gate.barrier.wait().await;
    let begin = Snapshot::take()?;
    gate.barrier.wait().await;
    for task in tasks {
        latencies.extend(task.await??);
    }
    let end = gate.end.get().context("no task closed the window")?.as_ref();
    let end = end.map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let subject = Subject {
        client: P::NAME,
        runtime: &run.runtime,
        workload: run.workload.name(),
        profile: run.profile,
        counted: run.counted,
    };
    Report::new(subject, u64::try_from(latencies.len())?, &begin.until(end), &latencies)
}

/// Opens and closes the window.
#[derive(Debug)]
struct Gate {
    barrier: Barrier,
    running: AtomicUsize,
    end: OnceLock<Result<Snapshot>>,
}

impl Gate {
    fn new(tasks: usize) -> Self {
        Self { barrier: Barrier::new(tasks + 1), running: AtomicUsize::new(tasks), end: OnceLock::new() }
    }

    /// One task is done, well or not; the last one closes the window.
    fn leave(&self) {
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end.get_or_init(Snapshot::take);
        }
    }
}

/// A tenth of the work, unmeasured: buffers have grown and code is in the cache when the window opens.
async fn warm_up<P: Peer>(peer: &P, concurrency: usize, ops_per_task: usize) -> Result<()> {
    let tasks: Vec<JoinHandle<Result<()>>> = iter::repeat_with(|| {
        let mut latencies = vec![0; ops_per_task];
        let peer = peer.clone();
        tokio::spawn(async move { read_repeatedly(&peer, &mut latencies).await })
    })
    .take(concurrency)
    .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn measured_task<P: Peer>(peer: P, gate: Arc<Gate>, ops: usize) -> Result<Vec<u32>> {
    // Not zero: zeroed memory would be mapped lazily, and its page faults would fall into the window.
    let mut latencies = vec![u32::MAX; ops];
    gate.barrier.wait().await;
    gate.barrier.wait().await;
    let outcome = read_repeatedly(&peer, &mut latencies).await;
    gate.leave();
    outcome.map(|()| latencies)
}

/// One get for each place in `latencies_ns`. The end of one is the start of the next: one clock read each.
async fn read_repeatedly<P: Peer>(peer: &P, latencies_ns: &mut [u32]) -> Result<()> {
    let mut before = now();
    for latency in latencies_ns {
        let len = peer.get(PATH).await?;
        ensure!(len == VALUE_LEN, "a value of {len} bytes instead of {VALUE_LEN}");
        let after = now();
        *latency = nanos(after.duration_since(before));
        before = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers `left` times, then with a value of the wrong length.
    #[derive(Clone)]
    struct Flaky(Arc<AtomicUsize>);

    impl Peer for Flaky {
        const NAME: &'static str = "flaky";

        async fn connect(_address: &str) -> Result<Self> {
            Ok(Self(Arc::new(AtomicUsize::new(usize::MAX))))
        }

        async fn get(&self, _path: &'static str) -> Result<usize> {
            tokio::task::yield_now().await;
            let left = self.0.fetch_sub(1, Ordering::Relaxed);
            Ok(if left == 0 { VALUE_LEN + 1 } else { VALUE_LEN })
        }
    }

    fn run(workload: Workload, ops_per_task: usize) -> Run {
        Run {
            runtime: "ct".to_owned(),
            workload,
            ops_per_task,
            address: String::new(),
            profile: "test",
            counted: false,
        }
    }

    #[test]
    fn every_operation_is_counted_and_timed() {
        for (workload, ops) in [(Workload::W1, 30), (Workload::W2, 30 * 256)] {
            for name in ["ct", "mt"] {
                let report = runtime(name).unwrap().block_on(drive(Noop, &run(workload, 30))).unwrap();
                assert_eq!(report.ops, ops);
                assert!(report.p99_us.unwrap() < 4e6, "a place in the table was never written");
                assert_eq!(report.allocs_per_op, None);
            }
        }
    }

    #[test]
    fn a_failing_client_fails_the_run_in_warm_up_and_in_the_window() {
        for answers in [10, 1_000] {
            let peer = Flaky(Arc::new(AtomicUsize::new(answers)));
            let error = runtime("ct").unwrap().block_on(drive(peer, &run(Workload::W2, 30))).unwrap_err();
            assert!(error.to_string().contains("101 bytes"), "{error:#}");
        }
    }

    #[test]
    fn names_are_checked() {
        assert!("W3".parse::<Workload>().is_err());
        assert!(runtime("threads").is_err());
    }
}
