//! A standalone server or an ensemble on loopback, and the knobs to start it with.

use crate::{
    Error, Network, Node, Result, Version,
    four_letter::Role,
    install,
    node::{Plan, Ports},
    slow_disk,
    wait::eventually,
};
use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// Starts of the whole ensemble, each with other ports, before a lost port counts as a failure.
const ATTEMPTS: usize = 5;
/// `super:secret`, as ZooKeeper's DigestAuthenticationProvider hashes it.
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// Marks a directory that a failed test left for its reader.
const KEPT: &str = "kept";

/// How to start servers; made by [`Ensemble::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    version: Version,
    nodes: usize,
    config: BTreeMap<String, String>,
    node_config: Vec<(usize, String, String)>,
    jvm: Vec<String>,
    heap_mib: usize,
    within: Duration,
    networked: bool,
    slow_disk: bool,
}

impl Builder {
    fn new(version: Version) -> Self {
        let config = [
            ("tickTime", "500"),
            ("initLimit", "20"),
            ("syncLimit", "5"),
            ("maxSessionTimeout", "60000"),
            ("maxClientCnxns", "0"),
            ("admin.enableServer", "false"),
            ("4lw.commands.whitelist", "*"),
            // Tests kill processes, not the machine: what was written to a file is there after a restart.
            ("forceSync", "no"),
        ];
        let jvm = [
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Dzookeeper.extendedTypesEnabled=true",
            // ZOOKEEPER-4925, in both versions: a node that caught up by DIFF, became leader and is rejoined by the
            // old leader makes that one forget committed transactions. Three kills suffice, and a test of a client
            // would blame the client. A full snapshot for every node that joins avoids it; no client sees the
            // difference.
            "-Dzookeeper.forceSnapshotSync=true",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        ];
        Builder {
            version,
            nodes: 1,
            config: config.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            node_config: Vec::new(),
            jvm: jvm.map(str::to_owned).to_vec(),
            heap_mib: 256,
            within: Duration::from_secs(60),
            networked: false,
            slow_disk: false,
        }
    }

    /// How many servers; 1, the default, is a standalone one.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// A line of every server's `zoo.cfg`, instead of the default: `tickTime` 500 ms, `initLimit` 20, `syncLimit` 5,
    /// `maxSessionTimeout` 60,000 ms, `maxClientCnxns` 0, all four-letter words, no admin server, no fsync.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl ToString) -> Self {
        self.config.insert(key.to_owned(), value.to_string());
        self
    }

    /// A line of the `zoo.cfg` of node `id` (from 1) only.
    #[must_use]
    pub fn node_config(mut self, id: usize, key: &str, value: impl ToString) -> Self {
        self.node_config.push((id, key.to_owned(), value.to_string()));
        self
    }

    /// A flag of every Java virtual machine, such as `-Dreadonlymode.enabled=true`.
    #[must_use]
    pub fn jvm_flag(mut self, flag: &str) -> Self {
        self.jvm.push(flag.to_owned());
        self
    }

    /// The largest heap of a server in MiB; 256 unless set.
    #[must_use]
    pub fn heap_mib(mut self, heap_mib: usize) -> Self {
        self.heap_mib = heap_mib;
        self
    }

    /// Makes `digest` credentials `super:secret` all-powerful.
    #[must_use]
    pub fn super_user(self) -> Self {
        self.jvm_flag(&format!("-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}"))
    }

    /// Gives every server a network namespace and an address of its own: see [`Ensemble::network`]. It needs root.
    #[must_use]
    pub fn networked(mut self) -> Self {
        self.networked = true;
        self
    }

    /// Has every server wait for its disk, which [`Node::slow_down_disk`] then makes slow. It needs `cc`.
    #[must_use]
    pub fn slow_disk(mut self) -> Self {
        self.slow_disk = true;
        self.config("forceSync", "yes")
    }

    /// How long [`start`](Self::start) waits for a working ensemble; a minute unless set.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Starts all servers and waits until every one serves.
    ///
    /// # Errors
    /// When something is not installed, or a server does not serve in time; with the tails of the logs.
    pub fn start(self) -> Result<Ensemble> {
        let mut attempt = 1;
        loop {
            let ensemble = self.prepare()?;
            match ensemble.start_all(self.within) {
                Ok(()) => return Ok(ensemble),
                Err(_) if attempt < ATTEMPTS && ensemble.nodes.iter().any(Node::lost_a_port) => attempt += 1,
                Err(why) => return Err(why),
            }
        }
    }

    /// Like [`start`](Self::start), but starts no process: the nodes are there to be started one by one.
    ///
    /// # Errors
    /// When no port is free, a directory cannot be made, or a network that was wanted cannot be laid.
    pub fn prepare(&self) -> Result<Ensemble> {
        let directory = Directory::create()?;
        let ports = (0..self.nodes).map(|_| Ports::claim()).collect::<Result<Vec<_>>>()?;
        let slow_disk = if self.slow_disk { Some(slow_disk::build(&directory.path)?) } else { None };
        let network = if self.networked { Some(Network::lay(self.nodes)?) } else { None };
        let address = |id| network.as_ref().map_or(Ipv4Addr::LOCALHOST, |network| network.address(id));
        let peers = self.peers(&ports, address);
        let mut jvm = vec![format!("-Xmx{}m", self.heap_mib)];
        jvm.extend(self.jvm.iter().cloned());
        let nodes = ports.into_iter().zip(1..).map(|(ports, id)| {
            let mut config = self.config.clone();
            let own = self.node_config.iter().filter(|(node, ..)| *node == id);
            config.extend(own.map(|(_, key, value)| (key.clone(), value.clone())));
            let home = directory.path.join(format!("node-{id}"));
            let namespace = network.as_ref().map(|network| network.namespace(id));
            let plan = Plan {
                version: self.version,
                config,
                jvm: jvm.clone(),
                address: address(id),
                namespace,
                slow_disk: slow_disk.clone(),
            };
            Node::new(id, home, ports, peers.clone(), plan)
        });
        Ok(Ensemble { nodes: nodes.collect::<Result<_>>()?, directory, network })
    }

    fn peers(&self, ports: &[Ports], address: impl Fn(usize) -> Ipv4Addr) -> Vec<String> {
        if self.nodes == 1 {
            return Vec::new();
        }
        let line = |(ports, id): (&Ports, usize)| {
            format!("server.{id}={}:{}:{}", address(id), ports.quorum.number(), ports.election.number())
        };
        ports.iter().zip(1..).map(line).collect()
    }
}

/// Running servers. Dropping it kills them.
#[derive(Debug)]
pub struct Ensemble {
    nodes: Vec<Node>,
    directory: Directory,
    /// Behind the nodes, whose processes are to end before it does.
    network: Option<Network>,
}

impl Ensemble {
    /// Starts to describe servers of `version`.
    pub fn builder(version: Version) -> Builder {
        Builder::new(version)
    }

    /// A standalone server of `version` with the default configuration.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn standalone(version: Version) -> Result<Self> {
        Self::builder(version).start()
    }

    /// Three servers of `version` with the default configuration.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn three(version: Version) -> Result<Self> {
        Self::builder(version).nodes(3).start()
    }

    /// All nodes, node 1 first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Node `id`, from 1.
    ///
    /// # Panics
    /// When there is no such node.
    #[track_caller]
    pub fn node(&self, id: usize) -> &Node {
        match self.nodes.iter().find(|node| node.id() == id) {
            Some(node) => node,
            None => panic!("there is no node {id} among {}", self.nodes.len()),
        }
    }

    /// `host:port` of every node, separated by commas.
    pub fn connect_string(&self) -> String {
        self.nodes.iter().map(Node::connect_string).collect::<Vec<_>>().join(",")
    }

    /// The network between its members, if it was [`networked`](Builder::networked).
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn network(&self) -> &Network {
        match &self.network {
            Some(network) => network,
            None => panic!("the members have no network of their own"),
        }
    }

    /// The directory of all nodes.
    pub fn directory(&self) -> &Path {
        &self.directory.path
    }

    /// Waits until one running node leads a quorum that serves, and returns it. Frozen nodes are not asked.
    ///
    /// # Errors
    /// When `within` has passed.
    pub fn leader(&self, within: Duration) -> Result<&Node> {
        eventually("leader with a quorum", within, || {
            let roles = self.roles();
            let serving =
                roles.iter().filter(|(_, role)| matches!(role, Some(Role::Leader | Role::Follower)));
            let mut leaders = roles.iter().filter(|(_, role)| *role == Some(Role::Leader));
            match (leaders.next(), leaders.next()) {
                (Some((node, _)), None) if serving.count() * 2 > self.nodes.len() => Ok(*node),
                _ => Err(format!("roles are {:?}", roles.iter().map(|(_, role)| role).collect::<Vec<_>>())),
            }
        })
    }

    /// Waits for a leader as [`leader`](Self::leader) does, and returns the nodes that follow it at that moment.
    ///
    /// # Errors
    /// When `within` has passed.
    pub fn followers(&self, within: Duration) -> Result<Vec<&Node>> {
        self.leader(within)?;
        let roles = self.roles().into_iter();
        Ok(roles.filter(|(_, role)| *role == Some(Role::Follower)).map(|(node, _)| node).collect())
    }

    /// The node that `session` is connected to, asked of each by `cons`.
    pub fn node_of_session(&self, session: i64) -> Option<&Node> {
        let asked = self.nodes.iter().filter(|node| node.is_running() && !node.is_frozen());
        let mut asked = asked.filter_map(|node| Some((node, node.cons().ok()?)));
        asked.find(|(_, all)| all.iter().any(|one| one.session == Some(session))).map(|(node, _)| node)
    }

    /// Starts every node that does not run, thaws the frozen, and waits until all serve one leader. A leader that was
    /// frozen while another was elected serves on for a moment, and holds sessions that have moved.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn heal(&self, within: Duration) -> Result<()> {
        for node in self.nodes.iter().filter(|node| node.is_frozen() && node.is_running()) {
            node.thaw()?;
        }
        self.start_all(within)
    }

    fn start_all(&self, within: Duration) -> Result<()> {
        for node in self.nodes.iter().filter(|node| !node.is_running()) {
            node.start()?;
        }
        self.nodes.iter().try_for_each(|node| node.wait_serving(within).map(drop))?;
        if self.nodes.len() == 1 {
            return Ok(());
        }
        eventually("one leader of all", within, || {
            let roles: Vec<_> = self.roles().into_iter().map(|(_, role)| role).collect();
            let leaders = roles.iter().filter(|role| **role == Some(Role::Leader)).count();
            if leaders == 1 && roles.iter().all(Option::is_some) {
                return Ok(());
            }
            Err(format!("roles are {roles:?}"))
        })
    }

    fn roles(&self) -> Vec<(&Node, Option<Role>)> {
        let role = |node: &Node| {
            let answers = node.is_running() && !node.is_frozen();
            answers.then(|| node.srvr().ok()).flatten().map(|srvr| srvr.role)
        };
        self.nodes.iter().map(|node| (node, role(node))).collect()
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for node in &self.nodes {
            // It is killed again, by its own drop, if this could not be.
            let _ = node.kill();
        }
        if thread::panicking() {
            for node in &self.nodes {
                eprintln!("{}", node.log_tail());
            }
            self.directory.keep = true;
        }
    }
}

/// A directory that is removed with its handle, unless it is kept.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    keep: bool,
}

impl Directory {
    fn create() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let home = install::target_dir().join("ensemble");
        let name = format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = home.join(name);
        sweep(&home);
        fs::create_dir_all(&path)
            .map_err(|cause| Error::io(format!("creating {}", path.display()), cause))?;
        Ok(Directory { path, keep: false })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.keep {
            let _ = fs::write(self.path.join(KEPT), "");
            eprintln!("kept: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes what test processes left that were killed before they could.
fn sweep(home: &Path) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((pid, _)) = name.split_once('-') else { continue };
        if !Path::new("/proc").join(pid).exists() && !entry.path().join(KEPT).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
