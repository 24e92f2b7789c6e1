//! What real servers make of registrations that are more than one znode, and of leaves that move.

#![expect(clippy::unwrap_used, reason = "a test fails by unwrapping, also in its helpers")]

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use menagerie::Client;
use menagerie::registry::layout::{DubboApplication, DubboInterface, Layout};
use menagerie::registry::{
    Discovery, Instance, InstanceBuilder, Registered, Registration, RegistrationState, Registry, ZooKeeper,
};
use menagerie::session::State;
use menagerie_ensemble::{Ensemble, Kazoo, Version, Znode, proxy::Proxy};

const BUDGET: Duration = Duration::from_secs(30);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BUDGET, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {BUDGET:?}: {what}"),
    }
}

fn wish() -> InstanceBuilder {
    Instance::builder("org.x.Demo").id("demo-1").host("10.0.0.1").port(20880)
}

async fn zookeeper(connect: &str, layout: impl Layout + 'static) -> ZooKeeper {
    let builder = Client::builder(connect).unwrap().session_timeout(Duration::from_secs(4));
    ZooKeeper::new(within("a session", builder.connect()).await.unwrap(), layout)
}

async fn registered(registry: &ZooKeeper) -> Registered {
    let registered = registry.register(wish()).await.unwrap();
    within("registered", registered.registered()).await.unwrap();
    registered
}

async fn tree(connect: &str, root: &'static str) -> BTreeMap<String, Znode> {
    let connect = connect.to_owned();
    tokio::task::spawn_blocking(move || Kazoo::find().unwrap().tree(&connect, root).unwrap()).await.unwrap()
}

/// Ends the client's session for real: the same session attached elsewhere, and closed there.
async fn expire(client: &Client, connect: &str) {
    let epoch = client.status().epoch;
    let thief = Client::builder(connect).unwrap().resume(client.credentials().unwrap());
    within("close", thief.connect().await.unwrap().close()).await.unwrap();
    let mut seen = client.status();
    within("the next session", async {
        while seen.epoch == epoch || seen.state != State::Connected {
            seen = client.status_change(&seen).await;
        }
    })
    .await;
}

/// Those that a registration has, below both roots.
async fn znodes(connect: &str) -> BTreeMap<String, Znode> {
    let mut all = tree(connect, "/services/org.x.Demo").await;
    all.extend(tree(connect, "/dubbo").await);
    let places = ["/services/org.x.Demo/", "/dubbo/metadata/org.x.Demo/", "/dubbo/mapping/"];
    all.retain(|path, _| places.iter().any(|place| path.starts_with(place)));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_znodes_of_a_registration_come_in_one_transaction() {
    for version in Version::ALL {
        let ensemble = Ensemble::standalone(version).unwrap();
        let connect = ensemble.connect_string();
        let layout = DubboApplication::new().serves("org.x.A", "g", "1.0").serves("org.x.B", "", "");
        let registry = zookeeper(&connect, layout).await;
        let demo = registered(&registry).await;
        let first = znodes(&connect).await;
        assert_eq!(first.len(), 4, "{first:?}");
        let czxid = first["/dubbo/mapping/org.x.A"].czxid;
        assert!(first.values().all(|znode| znode.czxid == czxid), "{first:?}");
        let session = registry.client().status().session_id.unwrap();
        assert_eq!(first["/services/org.x.Demo/10.0.0.1:20880"].ephemeral_owner, session);
        assert_eq!(first["/dubbo/mapping/org.x.B"].data.as_deref(), Some(&b"org.x.Demo"[..]));

        // What is shared outlives the session, and is not written again.
        expire(registry.client(), &connect).await;
        within("again", async {
            while demo.state() != RegistrationState::Registered || demo.status().losses == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let second = znodes(&connect).await;
        for (path, znode) in &second {
            let leaf = path.starts_with("/services/");
            assert_eq!((znode.czxid == first[path].czxid, znode.version), (!leaf, 0), "{path}");
        }
        within("deregister", demo.deregister()).await.unwrap();
        assert_eq!(znodes(&connect).await.len(), 3);
        within("close", registry.close()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaf_moves_in_one_transaction_also_behind_an_outage() {
    for version in Version::ALL {
        let ensemble = Ensemble::standalone(version).unwrap();
        let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
        let registry = zookeeper(&proxy.connect_string(), DubboInterface::new()).await;
        let demo = registered(&registry).await;
        let watching = zookeeper(&ensemble.connect_string(), DubboInterface::new()).await;
        let services = within("discovery", watching.discover("org.x.Demo")).await.unwrap();
        let mut changes = services.changes();
        assert_eq!(within("the set", changes.next()).await.unwrap().set.len(), 1);
        let update = |version: &str| {
            let mut instance = Instance::clone(&demo.instance());
            instance.version = version.to_owned();
            demo.update(instance).unwrap();
        };
        for (version, apart) in [("2.0", false), ("4.0", true)] {
            proxy.reset_counts();
            if apart {
                proxy.refuse().unwrap();
                update("3.0");
            }
            update(version);
            proxy.accept().unwrap();
            within("registered", demo.registered()).await.unwrap();
            assert_eq!(proxy.counts().frames(14), 1, "one multi");
            assert_eq!([1, 2, 15].map(|opcode| proxy.counts().frames(opcode)), [0; 3], "and nothing else");
            let tree = tree(&ensemble.connect_string(), "/dubbo/org.x.Demo/providers").await;
            let leaves: Vec<_> = tree.keys().filter(|path| path.contains("dubbo%3A%2F%2F")).collect();
            assert_eq!(leaves.len(), 1, "{leaves:?}");
            assert!(leaves[0].contains(&format!("version%3D{version}")), "{leaves:?}");
            // A reader never sees none.
            let change = within("the change", changes.next()).await.unwrap();
            assert_eq!(change.set.iter().map(|instance| &*instance.version).collect::<Vec<_>>(), [version]);
        }
        within("deregister", demo.deregister()).await.unwrap();
        assert!(within("the end", changes.next()).await.unwrap().set.is_empty());
    }
}
