//! `examples/pseudo-cluster`, as its page tells it, but on free ports and with its files below the target directory.

#![expect(clippy::unwrap_used, reason = "a test fails by unwrapping, also in its helpers")]

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use menagerie_ensemble::{Kazoo, Port};

struct Cluster {
    script: PathBuf,
    data: PathBuf,
    ports: Vec<Port>,
}

impl Cluster {
    fn new() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script = here.join("../../examples/pseudo-cluster/cluster").canonicalize().unwrap();
        let data =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pseudo-cluster-{}", std::process::id()));
        let ports = std::iter::repeat_with(|| Port::claim().unwrap()).take(9).collect();
        Self { script, data, ports }
    }

    /// What a command says, if it succeeds.
    fn run(&self, command: &str) -> Result<String, String> {
        let ports: Vec<_> = self.ports.iter().map(|port| port.number().to_string()).collect();
        let output = Command::new(&self.script)
            .arg(command)
            .env("PSEUDO_CLUSTER_DATA", &self.data)
            .env("PSEUDO_CLUSTER_PORTS", ports.join(" "))
            .env_remove("CLASSPATH")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(said) } else { Err(format!("{command}: {said}{complained}")) }
    }

    fn address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.ports.get(node - 1).unwrap().number())
    }

    fn pid(&self, node: usize) -> String {
        std::fs::read_to_string(self.data.join(format!("{node}.pid"))).unwrap().trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.run("stop") {
            eprintln!("{error}");
        }
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Each node's role, from a line `node 1 (127.0.0.1:2181): follower`.
fn roles(cluster: &Cluster, said: &str) -> Vec<String> {
    let line = |node: usize| {
        let start = format!("node {node} ({}): ", cluster.address(node));
        said.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    };
    (1..=3).map(|node| line(node).unwrap_or_else(|| panic!("nothing of node {node} in {said}"))).collect()
}

#[test]
fn it_starts_tells_roles_writes_at_one_node_reads_at_another_and_stops() {
    let cluster = Cluster::new();
    let started = roles(&cluster, &cluster.run("start").unwrap());
    let mut sorted = started.clone();
    sorted.sort();
    assert_eq!(sorted, ["follower", "follower", "leader"]);
    assert_eq!(roles(&cluster, &cluster.run("roles").unwrap()), started);

    let said = cluster.run("try").unwrap();
    let (first, third) = (cluster.address(1), cluster.address(3));
    assert!(said.contains(&format!("{first}: wrote version 1")), "{said}");
    let read = format!("{third}: read version 1 behind a sync: b\"written at the first node\"");
    assert!(said.contains(&read), "{said}");
    let tree = Kazoo::find().unwrap().tree(&third, "/").unwrap();
    let left: Vec<_> = tree.keys().filter(|path| !path.starts_with("/zookeeper")).collect();
    assert_eq!(left, ["/"], "it leaves something behind");

    let pids: Vec<_> = (1..=3).map(|node| cluster.pid(node)).collect();
    let said = cluster.run("stop").unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), ["node 1 stopped", "node 2 stopped", "node 3 stopped"]);
    for (pid, node) in pids.iter().zip(1..) {
        assert!(!Path::new("/proc").join(pid).exists(), "node {node} runs on");
        assert!(TcpStream::connect(cluster.address(node)).is_err(), "somebody listens for node {node}");
        assert!(!cluster.data.join(format!("{node}.pid")).exists());
    }
    assert_eq!(cluster.run("stop").unwrap(), "", "there is nothing to stop any more");
}

#[test]
fn without_other_ports_it_is_the_articles() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pseudo-cluster");
    for node in 1..=3 {
        let config = std::fs::read_to_string(here.join(format!("zoo{node}.cfg"))).unwrap();
        for line in
            [&format!("clientPort=218{node}"), "server.1=127.0.0.1:2888:3888", "server.3=127.0.0.1:2890:3890"]
        {
            assert!(config.lines().any(|each| each == line), "{line} is not in zoo{node}.cfg");
        }
    }
}
