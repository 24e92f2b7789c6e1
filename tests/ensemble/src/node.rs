//! One server: its directory, its ports, its configuration, its process.

use crate::{
    Error, Result, Version,
    four_letter::{self, Connection, Dump, Role, Srvr, WatchSummary, parse_mntr},
    install,
    ports::Port,
    process::Process,
    wait::eventually,
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
/// How long an answer may take of a server that starts, before it is asked anew.
const BEGINNING: Duration = Duration::from_millis(500);
/// Lines of the log that an error or a failed test shows.
const TAIL: usize = 60;

/// The ports that one server listens on.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) client: Port,
    pub(crate) quorum: Port,
    pub(crate) election: Port,
}

impl Ports {
    pub(crate) fn claim() -> Result<Self> {
        Ok(Ports { client: Port::claim()?, quorum: Port::claim()?, election: Port::claim()? })
    }
}

/// What a server is to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    /// The lines of `zoo.cfg` but for its directory, ports and peers.
    pub(crate) config: BTreeMap<String, String>,
    /// Flags of the Java virtual machine.
    pub(crate) jvm: Vec<String>,
    /// Where it listens.
    pub(crate) address: Ipv4Addr,
    /// The network namespace that it runs in, unless it is the host's.
    pub(crate) namespace: Option<String>,
    /// The library that makes its disk slow.
    pub(crate) slow_disk: Option<PathBuf>,
}

/// One ZooKeeper server. All methods take `&self`: a test may break a node from another thread.
#[derive(Debug)]
pub struct Node {
    id: usize,
    version: Version,
    directory: PathBuf,
    address: Ipv4Addr,
    namespace: Option<String>,
    slow_disk: Option<PathBuf>,
    ports: Ports,
    /// The `server.N` lines; empty for a standalone server.
    peers: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: BTreeMap<String, String>,
    jvm: Vec<String>,
    /// Whether `config` differs from the file. A server with `reconfigEnabled` rewrites its file, so it is left
    /// alone unless a test changed something.
    unwritten: bool,
    frozen: bool,
    process: Option<Process>,
}

impl Node {
    pub(crate) fn new(
        id: usize,
        directory: PathBuf,
        ports: Ports,
        peers: Vec<String>,
        plan: Plan,
    ) -> Result<Self> {
        let Plan { version, config, jvm, address, namespace, slow_disk } = plan;
        let data = directory.join("data");
        fs::create_dir_all(&data)
            .map_err(|cause| Error::io(format!("creating {}", data.display()), cause))?;
        let state = State { config, jvm, unwritten: true, frozen: false, process: None };
        Ok(Node {
            id,
            version,
            directory,
            address,
            namespace,
            slow_disk,
            ports,
            peers,
            state: Mutex::new(state),
        })
    }

    /// The number in `server.N` and `myid`, from 1.
    pub fn id(&self) -> usize {
        self.id
    }

    /// The release that it runs.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where clients connect.
    pub fn client_addr(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.ports.client.number()))
    }

    /// [`client_addr`](Self::client_addr) as a connect string.
    pub fn connect_string(&self) -> String {
        self.client_addr().to_string()
    }

    /// Its directory: `zoo.cfg`, `data/`, `log`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process id, while there is a process.
    pub fn pid(&self) -> Option<u32> {
        self.state().process.as_ref().map(Process::pid)
    }

    /// Whether its process runs (frozen counts as running).
    pub fn is_running(&self) -> bool {
        self.state().process.as_ref().is_some_and(|process| process.exited().is_none())
    }

    /// Whether it was frozen and not thawed since.
    pub fn is_frozen(&self) -> bool {
        self.state().frozen
    }

    /// Starts the process. Does not wait until it serves.
    ///
    /// # Errors
    /// When it runs already, or ZooKeeper, Java or `setpriv` is not there.
    pub fn start(&self) -> Result<()> {
        let mut state = self.state();
        if state.process.as_ref().is_some_and(|process| process.exited().is_none()) {
            return Err(Error::new(format!("node {} runs already", self.id)));
        }
        if state.unwritten {
            self.write_config(&state.config)?;
            state.unwritten = false;
        }
        let java = install::program("java")?;
        let arguments = self.java_arguments(&state.jvm)?;
        let (program, arguments) = match &self.namespace {
            None => (java, arguments),
            Some(namespace) => (install::program("ip")?, within(namespace, java, arguments)),
        };
        let preloaded = self.slow_disk.iter();
        let variables: Vec<_> = preloaded
            .flat_map(|library| [("LD_PRELOAD", library.clone()), ("SLOW_DISK", self.disk_path())])
            .collect();
        state.frozen = false;
        state.process =
            Some(Process::spawn(program, arguments, &self.directory, &self.log_path(), &variables)?);
        Ok(())
    }

    /// Waits until it serves clients in any role but read-only, and returns that role.
    ///
    /// # Errors
    /// When `within` has passed, or as soon as the process has ended; with the tail of its log.
    pub fn wait_serving(&self, within: Duration) -> Result<Role> {
        self.wait_for_role(within, |role| role != Role::ReadOnly)
    }

    /// Waits until it plays a role that `wanted` accepts, and returns that role.
    ///
    /// # Errors
    /// As [`wait_serving`](Self::wait_serving).
    pub fn wait_for_role(&self, within: Duration, wanted: impl Fn(Role) -> bool) -> Result<Role> {
        let what = format!("service by node {}", self.id);
        let waited = eventually(&what, within, || {
            if !self.is_running() {
                return Ok(Err(Error::new(format!("node {} does not run", self.id))));
            }
            // A server that has only just begun to listen may lose a word for ever: ask again soon.
            let asked = four_letter::ask(self.client_addr(), "srvr", BEGINNING);
            match asked.and_then(|reply| Srvr::parse(&reply)) {
                Ok(srvr) if wanted(srvr.role) => Ok(Ok(srvr.role)),
                Ok(srvr) => Err(format!("it is {:?}", srvr.role)),
                Err(why) => Err(why.to_string()),
            }
        });
        waited.and_then(|role| role).map_err(|why| Error::new(format!("{why}\n{}", self.log_tail())))
    }

    /// SIGTERM, and SIGKILL ten seconds later; waits for the end. Nothing to do when it does not run.
    ///
    /// # Errors
    /// When a signal cannot be sent.
    pub fn stop(&self) -> Result<()> {
        let mut state = self.state();
        state.frozen = false;
        state.process.take().map_or(Ok(()), |process| process.stop())
    }

    /// SIGKILL, as `kill -9`; waits for the end. Nothing to do when it does not run.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill(&self) -> Result<()> {
        let mut state = self.state();
        state.frozen = false;
        state.process.take().map_or(Ok(()), |process| process.kill())
    }

    /// SIGSTOP: the process keeps its sockets and does nothing. Returns when every thread stands still.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        let mut state = self.state();
        self.running(&state)?.freeze()?;
        state.frozen = true;
        Ok(())
    }

    /// SIGCONT: the process goes on where it was frozen.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        let mut state = self.state();
        self.running(&state)?.thaw()?;
        state.frozen = false;
        Ok(())
    }

    /// Stops it if it runs, starts it with the data it has, and waits until it serves. In an ensemble that needs a
    /// quorum of the others; otherwise use [`start`](Self::start).
    ///
    /// # Errors
    /// As [`stop`](Self::stop), [`start`](Self::start) and [`wait_serving`](Self::wait_serving).
    pub fn restart(&self, within: Duration) -> Result<Role> {
        self.stop()?;
        self.start()?;
        self.wait_serving(within)
    }

    /// Makes every word to its disk take so long, from now on, if the ensemble was begun with
    /// [`slow_disk`](crate::Builder::slow_disk).
    ///
    /// # Errors
    /// When its directory cannot be written to.
    pub fn slow_down_disk(&self, delay: Duration) -> Result<()> {
        write(&self.disk_path(), &delay.as_millis().to_string())
    }

    /// Removes its data, snapshots and logs of transactions, but not its configuration.
    ///
    /// # Errors
    /// When it runs.
    pub fn wipe(&self) -> Result<()> {
        if self.is_running() {
            return Err(Error::new(format!("node {} runs: stop it before wiping its data", self.id)));
        }
        let data = self.directory.join("data/version-2");
        if !data.exists() {
            return Ok(());
        }
        fs::remove_dir_all(&data).map_err(|cause| Error::io(format!("removing {}", data.display()), cause))
    }

    /// Sets a line of `zoo.cfg` for the next start.
    pub fn set_config(&self, key: &str, value: impl ToString) {
        let mut state = self.state();
        state.config.insert(key.to_owned(), value.to_string());
        state.unwritten = true;
    }

    /// Adds a flag of the Java virtual machine for the next start.
    pub fn add_jvm_flag(&self, flag: &str) {
        self.state().jvm.push(flag.to_owned());
    }

    /// Sends a four-letter word and returns the reply.
    ///
    /// # Errors
    /// When nobody accepts within 2 s, or the reply stops for 5 s.
    pub fn four_letter_word(&self, word: &str) -> Result<String> {
        four_letter::ask(self.client_addr(), word, four_letter::ANSWER)
    }

    /// `srvr`: release, zxid, role, counters.
    ///
    /// # Errors
    /// As [`four_letter_word`](Self::four_letter_word), and while the server has no quorum.
    pub fn srvr(&self) -> Result<Srvr> {
        Srvr::parse(&self.four_letter_word("srvr")?)
    }

    /// `mntr`: every metric by name, such as `zk_watch_count`.
    ///
    /// # Errors
    /// As [`four_letter_word`](Self::four_letter_word).
    pub fn mntr(&self) -> Result<BTreeMap<String, String>> {
        Ok(parse_mntr(&self.four_letter_word("mntr")?))
    }

    /// `cons`: every client connection.
    ///
    /// # Errors
    /// As [`four_letter_word`](Self::four_letter_word), and when a line is not understood.
    pub fn cons(&self) -> Result<Vec<Connection>> {
        Connection::parse_all(&self.four_letter_word("cons")?)
    }

    /// `wchs`: how many watches there are.
    ///
    /// # Errors
    /// As [`cons`](Self::cons).
    pub fn wchs(&self) -> Result<WatchSummary> {
        WatchSummary::parse(&self.four_letter_word("wchs")?)
    }

    /// `dump`: sessions and their ephemerals.
    ///
    /// # Errors
    /// As [`cons`](Self::cons).
    pub fn dump(&self) -> Result<Dump> {
        Dump::parse(&self.four_letter_word("dump")?)
    }

    /// `isro`: whether it serves reads only.
    ///
    /// # Errors
    /// As [`four_letter_word`](Self::four_letter_word), and when it says neither `ro` nor `rw`.
    pub fn is_read_only(&self) -> Result<bool> {
        match self.four_letter_word("isro")?.as_str() {
            "ro" => Ok(true),
            "rw" => Ok(false),
            other => Err(Error::new(format!("isro says `{other}`"))),
        }
    }

    /// Everything that all its processes wrote.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let read = fs::read(self.log_path()).map_err(|cause| Error::io("reading the log", cause))?;
        Ok(String::from_utf8_lossy(&read).into_owned())
    }

    pub(crate) fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n");
        format!("--- node {}: {}\n{tail}\n---", self.id, self.log_path().display())
    }

    /// Whether its last start failed because somebody else took a port in the moment between.
    pub(crate) fn lost_a_port(&self) -> bool {
        self.log().is_ok_and(|log| log.contains("Address already in use"))
    }

    fn java_arguments(&self, flags: &[String]) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = vec!["-cp".into(), self.version.class_path()?.into()];
        arguments.extend(flags.iter().map(OsString::from));
        let mut scratch = OsString::from("-Djava.io.tmpdir=");
        scratch.push(&self.directory);
        arguments.extend([scratch, MAIN.into(), self.config_path().into()]);
        Ok(arguments)
    }

    fn write_config(&self, config: &BTreeMap<String, String>) -> Result<()> {
        let mut text = String::new();
        for (key, value) in config {
            let _ = writeln!(text, "{key}={value}");
        }
        let _ = writeln!(text, "dataDir={}", self.directory.join("data").display());
        let _ = writeln!(text, "clientPortAddress={}", self.address);
        let _ = writeln!(text, "clientPort={}", self.ports.client.number());
        for peer in &self.peers {
            let _ = writeln!(text, "{peer}");
        }
        write(&self.config_path(), &text)?;
        write(&self.directory.join("data/myid"), &self.id.to_string())
    }

    fn running<'state>(&self, state: &'state State) -> Result<&'state Process> {
        state.process.as_ref().ok_or_else(|| Error::new(format!("node {} does not run", self.id)))
    }

    fn config_path(&self) -> PathBuf {
        self.directory.join("zoo.cfg")
    }

    fn disk_path(&self) -> PathBuf {
        self.directory.join("disk-delay")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `ip` is told to become `program` in a network namespace.
fn within(namespace: &str, program: PathBuf, arguments: Vec<OsString>) -> Vec<OsString> {
    let first = ["netns", "exec", namespace].map(OsString::from).into_iter();
    first.chain([program.into_os_string()]).chain(arguments).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|cause| Error::io(format!("writing {}", path.display()), cause))
}
