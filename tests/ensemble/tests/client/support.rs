//! What the tests share: a server of each version, a runtime, waiting with a deadline.

use menagerie::{Client, client::Builder};
use menagerie_ensemble::{Ensemble, Kazoo, Node, Version, Znode};
use serde_json::Value;
use std::{collections::BTreeMap, fs, future::Future, sync::OnceLock, time::Duration};

/// How long anything may take that is to happen at all.
pub(crate) const BUDGET: Duration = Duration::from_secs(60);

/// One server and a root of the test's own on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) version: Version,
    pub(crate) node: &'static Node,
    root: &'static str,
}

impl At {
    /// A builder for the whole tree of the server.
    pub(crate) fn builder(&self) -> Builder {
        Client::builder(&self.node.connect_string()).unwrap()
    }

    /// A client of the whole tree.
    pub(crate) async fn whole(&self) -> Client {
        self.builder().connect().await.unwrap()
    }

    /// A client below the test's root, which is there.
    pub(crate) async fn client(&self) -> Client {
        let client = self.builder().chroot(self.root).connect().await.unwrap();
        client.ensure_chroot().await.unwrap();
        client
    }

    /// The test's tree as kazoo sees it; paths are below the test's root, which is the empty one.
    pub(crate) fn tree(&self) -> BTreeMap<String, Znode> {
        let tree = Kazoo::find().unwrap().tree(&self.node.connect_string(), self.root).unwrap();
        let below = |path: String| path.strip_prefix(self.root).unwrap().to_owned();
        tree.into_iter().map(|(path, znode)| (below(path), znode)).collect()
    }

    /// The path of the test's root on the server.
    pub(crate) fn root(&self) -> &'static str {
        self.root
    }
}

/// The server of this version that all tests share. It ends with the process.
fn standing(version: Version) -> &'static Ensemble {
    static SERVERS: [OnceLock<Ensemble>; 2] = [const { OnceLock::new() }; 2];
    let place = Version::ALL.iter().position(|each| *each == version).unwrap();
    SERVERS[place].get_or_init(|| {
        let builder = Ensemble::builder(version).super_user().config("reconfigEnabled", true);
        builder.jvm_flag("-Dznode.container.checkIntervalMs=500").start().unwrap()
    })
}

/// Runs `body` on a standalone server of every version, below `root`.
pub(crate) fn on_every_version(root: &'static str, body: impl AsyncFn(At)) {
    for version in Version::ALL {
        let at = At { version, node: standing(version).node(1), root };
        println!("{root} on {version}");
        run(async { within("the whole test", body(at)).await });
    }
}

/// Runs `future` on a runtime of its own; other tasks have two more threads.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(future)
}

/// Waits for `future`, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BUDGET, future).await {
        Ok(value) => value,
        Err(_) => panic!("no {what} within {BUDGET:?}"),
    }
}

/// Prints one line of figures, and keeps it in `target/figures/NAME.json`.
pub(crate) fn figures(ensemble: &Ensemble, name: &str, line: &Value) {
    println!("{name}: {line}");
    let target = ensemble.directory().ancestors().nth(2).unwrap().join("figures");
    fs::create_dir_all(&target).unwrap();
    fs::write(target.join(format!("{name}.json")), format!("{line}\n")).unwrap();
}
