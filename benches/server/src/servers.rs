//! The servers side by side, each a process of its own that ends with its handle, and with this process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use menagerie_ensemble::{Ensemble, Version};

use crate::frames::Request;
use crate::link::{Link, NARROW};
use crate::load::Target;
use crate::process::{Cpu, now};

/// The release of Apache ZooKeeper that is measured.
pub const APACHE: Version = Version::V3_9;

/// The largest heap of Apache ZooKeeper in MiB, the one its own start script gives it.
pub const HEAP_MIB: usize = 1_000;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(60);

/// How long one attempt at a server that is starting may take: it may lose a connection without a word.
const ATTEMPT: Duration = Duration::from_millis(500);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// A znode that every server has from the start.
pub const FIRST: &str = "/zookeeper";

/// What this program is told to be the embedded server.
pub const SERVE: &str = "serve";

/// What it is told to be the null server.
pub const NULL: &str = "null";

/// What it is told to start the embedded server in its own process, and say in how many milliseconds.
pub const IN_PROCESS: &str = "in-process";

/// Files in memory.
const SHM: &str = "/dev/shm";

const SCRATCH: &str = "menagerie-figures-";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The embedded server, in a process of its own.
    Ours,
    /// Apache ZooKeeper 3.9, standalone.
    Apache,
    /// Canned replies.
    Null,
}

impl Kind {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Apache => "apache",
            Self::Null => "null",
        }
    }
}

/// A running server. Dropped, it is ended.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    target: Target,
    process: Process,
}

/// What a start took, until the reply to the first getData.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Time on the clock.
    pub wall: Duration,
    /// CPU time of the server.
    pub cpu: Duration,
}

#[derive(Debug)]
enum Process {
    Program { _child: Bound },
    Java(Box<Java>),
}

impl Server {
    /// Starts a server and waits for its first reply.
    ///
    /// # Errors
    /// A server that is not installed, or does not answer within a minute.
    pub fn start(kind: Kind) -> Result<(Self, Start)> {
        let began = now();
        match kind {
            Kind::Apache => Java::start(),
            Kind::Ours => Self::spawn(kind, SERVE)?.answered(began),
            Kind::Null => Self::spawn(kind, NULL)?.answered(began),
        }
    }

    /// Which one it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// Has it give up what it does not need. Returns the bytes of its heap that are in use, where there is a
    /// collected heap to tell of and a `jcmd` to collect it.
    ///
    /// # Errors
    /// A `jcmd` that fails.
    pub fn collect(&self) -> Result<Option<f64>> {
        if self.kind != Kind::Apache || !jcmd_is_there() {
            return Ok(None);
        }
        let pid = self.target.pid.to_string();
        // Twice: what the first leaves to finalizers and cleaners is garbage by the second.
        jcmd(&pid, "GC.run")?;
        jcmd(&pid, "GC.run")?;
        let told = jcmd(&pid, "GC.heap_info")?;
        Ok(Some(heap_used(&told).with_context(|| format!("jcmd said {told}"))?))
    }

    /// This program again as a server, which says in its first line where it listens, and is killed when we end.
    fn spawn(kind: Kind, role: &str) -> Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(std::env::current_exe()?).arg(role);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = Bound(child.context("setpriv (of util-linux)")?);
        let stdout = process.0.stdout.take().context("no pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim_end().strip_prefix("listening on ");
        let address = address.and_then(|address| address.parse().ok());
        let address = address.with_context(|| format!("{role} printed {line:?}"))?;
        let target = Target { address, pid: process.0.id() };
        Ok(Self { kind, target, process: Process::Program { _child: process } })
    }

    fn answered(self, began: Instant) -> Result<(Self, Start)> {
        let address = self.target.address;
        while let Err(why) = first_reply(address, self.kind) {
            ensure!(
                now().duration_since(began) < START,
                "no answer from {}: {why:#}\n{}",
                self.kind.name(),
                self.last_words()
            );
            thread::sleep(PAUSE);
        }
        let wall = now().duration_since(began);
        let cpu = Cpu::of(self.target.pid)?.total();
        Ok((self, Start { wall, cpu }))
    }

    /// What a server that failed has to say for itself; a program says it on our own standard error.
    fn last_words(&self) -> String {
        match &self.process {
            Process::Program { .. } => String::new(),
            Process::Java(java) => java.ensemble.node(1).log().unwrap_or_default(),
        }
    }
}

/// One connection, one session, one read.
fn first_reply(address: SocketAddr, kind: Kind) -> Result<()> {
    let patience = if kind == Kind::Apache { ATTEMPT } else { START };
    Link::open_within(address, NARROW, patience)?.call(&Request::get(FIRST, false))
}

/// A child that is killed with its handle.
#[derive(Debug)]
struct Bound(Child);

impl Drop for Bound {
    fn drop(&mut self) {
        // Already ended, unless nothing went wrong.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A standalone Apache ZooKeeper on the virtual machine's own defaults, with its files in memory.
#[derive(Debug)]
struct Java {
    ensemble: Ensemble,
    /// Dropped last.
    _scratch: Scratch,
}

impl Java {
    fn start() -> Result<(Server, Start)> {
        let ensemble = Ensemble::builder(APACHE)
            .heap_mib(HEAP_MIB)
            // The tests' servers take the collector and the compiler that start fastest: here, the defaults.
            .jvm_flag("-XX:-UseSerialGC")
            .jvm_flag("-XX:TieredStopAtLevel=4")
            .jvm_flag("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .config("tickTime", 2_000)
            .config("forceSync", "no")
            .config("maxClientCnxns", 0)
            .prepare()?;
        let scratch = Scratch::create()?;
        let node = ensemble.node(1);
        let data = node.directory().join("data");
        fs::remove_dir(&data).context("the node's empty data directory")?;
        std::os::unix::fs::symlink(&scratch.0, &data)?;
        let began = now();
        node.start()?;
        let target = Target { address: node.client_addr(), pid: node.pid().context("no process")? };
        let process = Process::Java(Box::new(Self { ensemble, _scratch: scratch }));
        Server { kind: Kind::Apache, target, process }.answered(began)
    }
}

/// A directory in memory, removed with its handle.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        sweep()?;
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(SHM).join(format!("{SCRATCH}{pid}-{count}"));
        fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Removes what processes left that were killed before they could.
fn sweep() -> Result<()> {
    for entry in fs::read_dir(SHM)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(SCRATCH).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
    Ok(())
}

/// Whether a Java program can be told to collect: a JDK has `jcmd`, a JRE may not.
#[must_use]
pub fn jcmd_is_there() -> bool {
    Command::new("jcmd").arg("-h").output().is_ok()
}

fn jcmd(pid: &str, command: &str) -> Result<String> {
    let output = Command::new("jcmd").args([pid, command]).output().context("jcmd (of the JDK)")?;
    ensure!(output.status.success(), "jcmd {command}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first `used` is the heap's; the metaspace follows.
fn heap_used(told: &str) -> Option<f64> {
    let (_, rest) = told.split_once("used ")?;
    let (kib, _) = rest.split_once('K')?;
    Some(kib.parse::<f64>().ok()? * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_is_read_off_what_jcmd_says() {
        let told = "42:\n garbage-first heap   total 65536K, used 12345K [0x1, 0x2)\n  region size 1024K\n \
                    Metaspace       used 9K, committed 10K\n";
        assert_eq!(heap_used(told), Some(12_345.0 * 1024.0));
        assert_eq!(heap_used("no such process"), None);
    }

    #[test]
    fn a_directory_in_memory_goes_with_its_handle() {
        let scratch = Scratch::create().unwrap();
        let path = scratch.0.clone();
        sweep().unwrap();
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }
}
