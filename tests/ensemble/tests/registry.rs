//! The registry on real servers: what becomes of registrations and views when sessions, servers and strangers come and go.

#![expect(clippy::unwrap_used, reason = "a test fails by unwrapping, also in its helpers")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use menagerie::Client;
use menagerie::registry::layout::{GoMicro, Layout, Plain};
use menagerie::registry::reconcile::ConflictKind;
use menagerie::registry::view::Change;
use menagerie::registry::{
    self, Address, Balance, Discovery, Error, Instance, InstanceBuilder, Registered, Registration,
    RegistrationState, Registry, ServiceChanges, ZooKeeper,
};
use menagerie::session::{End, State};
use menagerie_ensemble::{Ensemble, Kazoo, Version, Znode, proxy::Counts, proxy::Proxy};
use serde_json::{Value, json};

const BUDGET: Duration = Duration::from_secs(30);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BUDGET, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {BUDGET:?}: {what}"),
    }
}

fn time(port: u16) -> InstanceBuilder {
    Instance::builder("time").id(format!("time-{port}")).host("10.0.0.1").port(port)
}

async fn zookeeper(connect: &str, layout: impl Layout + 'static) -> ZooKeeper {
    let builder = Client::builder(connect).unwrap().session_timeout(Duration::from_secs(4));
    ZooKeeper::new(within("a session", builder.connect()).await.unwrap(), layout)
}

async fn reached(registered: &Registered, wanted: impl Fn(RegistrationState) -> bool) {
    let mut events = registered.events();
    within("such a registration", async { while !wanted(events.next().await.unwrap().state) {} }).await;
}

async fn is_registered(registered: &Registered) {
    within("registered", registered.registered()).await.unwrap();
}

/// Asks by another client.
async fn kazoo(connect: &str, args: Value, script: &'static str) -> Value {
    let connect = connect.to_owned();
    tokio::task::spawn_blocking(move || Kazoo::find().unwrap().run(&connect, &args, script).unwrap())
        .await
        .unwrap()
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

/// Frames that change the tree: create, delete, setData, multi, create2, createContainer, createTTL.
fn writes(counts: &Counts) -> u64 {
    [1, 2, 5, 14, 15, 19, 21].iter().map(|opcode| counts.frames(*opcode)).sum()
}

async fn next(changes: &mut ServiceChanges) -> Change {
    within("a change", changes.next()).await.unwrap()
}

fn ids(change: &Change) -> Vec<String> {
    change.set.iter().map(|instance| instance.id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_layouts_are_written_byte_for_byte_and_discovered() {
    for version in Version::ALL {
        let ensemble = Ensemble::standalone(version).unwrap();
        let connect = ensemble.connect_string();
        let go_micro = zookeeper(&connect, GoMicro::new()).await;
        let first = go_micro.register(time(80).version("1.2.0")).await.unwrap();
        let plain = zookeeper(&connect, Plain::new()).await;
        let second = plain.register(time(81)).await.unwrap();
        is_registered(&first).await;
        is_registered(&second).await;

        let tree = tree(&connect, "/").await;
        let leaf = &tree["/micro-registry/time/time-80"];
        let expected = concat!(
            r#"{"name":"time","version":"1.2.0","metadata":null,"endpoints":null,"nodes":[{"metadata":"#,
            r#"{"broker":"http","protocol":"grpc","registry":"zookeeper","server":"grpc","transport":"grpc"},"#,
            r#""id":"time-80","address":"10.0.0.1:80"}]}"#
        );
        assert_eq!(String::from_utf8_lossy(leaf.data.as_deref().unwrap()), expected);
        let session = go_micro.client().status().session_id.unwrap();
        assert_eq!((leaf.ephemeral_owner, leaf.version), (session, 0));
        assert_eq!(tree["/micro-registry/time"].ephemeral_owner, 0);
        let leaf = &tree["/go_servers/10.0.0.1:81"];
        assert_eq!(leaf.data.as_deref().unwrap_or_default(), b"");
        assert_eq!(leaf.ephemeral_owner, plain.client().status().session_id.unwrap());

        // Each finds what the other side's layout holds, by another session.
        let services = within("discovery", go_micro.discover("time")).await.unwrap();
        let mut found = Instance::clone(&services.pick().unwrap());
        assert_eq!(
            (services.snapshot().len(), found.metadata.remove("protocol").as_deref()),
            (1, Some("grpc"))
        );
        found.metadata.clear();
        assert_eq!(found, *first.instance());
        let services = within("discovery", plain.discover("time")).await.unwrap();
        let found = services.pick().unwrap();
        assert_eq!((found.id.as_str(), &found.address), ("10.0.0.1:81", &second.instance().address));

        within("deregister", first.deregister()).await.unwrap();
        within("deregister", second.deregister()).await.unwrap();
        let left =
            kazoo(&connect, json!(null), "zk.sync('/')\nanswer(zk.get_children('/micro-registry/time'))")
                .await;
        assert_eq!(left, json!([]));
        within("close", go_micro.close()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_within_the_session_costs_no_write() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let registry = zookeeper(&proxy.connect_string(), GoMicro::new()).await;
    let registered = registry.register(time(80)).await.unwrap();
    is_registered(&registered).await;
    let before = tree(&ensemble.connect_string(), "/micro-registry").await;
    let (status, writes_before) = (registry.client().status(), registered.status().writes);

    proxy.reset_counts();
    for round in 1..=3 {
        assert_eq!(proxy.cut(), 1);
        let mut seen = registry.client().status();
        within("a reconnect", async {
            while seen.disconnects < status.disconnects + round || seen.state != State::Connected {
                seen = registry.client().status_change(&seen).await;
            }
        })
        .await;
        // The read that follows a reconnect: getData.
        proxy.wait_counts(BUDGET, |counts| counts.frames(4) >= round).unwrap();
    }
    reached(&registered, |state| state == RegistrationState::Registered).await;
    assert_eq!(writes(&proxy.counts()), 0);
    assert_eq!(registered.status().writes, writes_before);
    assert_eq!(tree(&ensemble.connect_string(), "/micro-registry").await, before);
    assert_eq!(registry.client().status().session_id, status.session_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_taken_up_again_after_it_was_lost_costs_no_write() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let registry = zookeeper(&ensemble.connect_string(), GoMicro::new()).await;
    let registered = registry.register(time(80)).await.unwrap();
    is_registered(&registered).await;
    let services = within("discovery", registry.discover("time")).await.unwrap();
    let before = tree(&ensemble.connect_string(), "/micro-registry").await;
    let session = registry.client().status().session_id;

    // A server that starts again gives every session its whole timeout.
    ensemble.node(1).kill().unwrap();
    let mut seen = registry.client().status();
    within("lost", async {
        while seen.state != State::Lost {
            seen = registry.client().status_change(&seen).await;
        }
    })
    .await;
    assert!(services.stale_since().is_some());
    assert_eq!(services.snapshot().len(), 1, "the last good set stays");
    ensemble.node(1).start().unwrap();
    within("the same session", async {
        while seen.state != State::Connected {
            seen = registry.client().status_change(&seen).await;
        }
    })
    .await;
    let mut changes = services.changes();
    assert_eq!(next(&mut changes).await.set.len(), 1);
    within("fresh", async {
        while services.stale_since().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(registry.client().status().session_id, session);
    assert_eq!(tree(&ensemble.connect_string(), "/micro-registry").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_session_is_followed_by_a_new_leaf_and_a_whole_view() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let connect = ensemble.connect_string();
    let (registry, watching) =
        (zookeeper(&connect, GoMicro::new()).await, zookeeper(&connect, GoMicro::new()).await);
    let first = registry.register(time(80)).await.unwrap();
    is_registered(&first).await;
    let services = within("discovery", watching.discover("time")).await.unwrap();
    let mut changes = services.changes();
    assert_eq!(ids(&next(&mut changes).await), ["time-80"]);

    // The session that registered: its leaf goes with it and comes back under the next.
    let old = registry.client().status().session_id.unwrap();
    let done = first.status().writes;
    expire(registry.client(), &connect).await;
    within("a new leaf", async {
        while first.status().writes == done || first.state() != RegistrationState::Registered {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let tree = tree(&connect, "/micro-registry").await;
    let owner = tree["/micro-registry/time/time-80"].ephemeral_owner;
    assert!(owner != old && Some(owner) == registry.client().status().session_id);

    // The session that watches: nothing goes, and what comes afterwards is seen.
    expire(watching.client(), &connect).await;
    let second = registry.register(time(81)).await.unwrap();
    // The leaf's coming and going under the first session may have been seen, or not.
    while ids(&next(&mut changes).await) != ["time-80", "time-81"] {}
    drop(second);
    assert_eq!(ids(&next(&mut changes).await), ["time-80"], "dropping the handle removes it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_delete_or_change_is_put_right() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let connect = ensemble.connect_string();
    let registry = zookeeper(&connect, GoMicro::new()).await;
    let registered = registry.register(time(80)).await.unwrap();
    is_registered(&registered).await;
    let path = "/micro-registry/time/time-80";
    let before = tree(&connect, "/micro-registry").await[path].clone();
    let done = registered.status().writes;
    kazoo(&connect, json!(path), "zk.delete(args)\nanswer(None)").await;
    within("written again", async {
        while registered.status().writes == done || registered.state() != RegistrationState::Registered {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let after = tree(&connect, "/micro-registry").await[path].clone();
    assert_eq!((&after.data, after.ephemeral_owner), (&before.data, before.ephemeral_owner));
    assert!(after.czxid > before.czxid);
    let done = registered.status().writes;
    kazoo(&connect, json!(path), "zk.set(args, b'x')\nanswer(None)").await;
    within("written again", async {
        while registered.status().writes == done || registered.state() != RegistrationState::Registered {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(tree(&connect, "/micro-registry").await[path].data, before.data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_leaf_is_a_conflict_until_it_goes_and_a_dead_persistent_one_is_replaced() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let connect = ensemble.connect_string();
    let make = "zk.create(args[0], args[1].encode(), makepath=True)\nanswer(None)";
    let stranger = r#"{"name":"time","version":"","metadata":null,"endpoints":[],"nodes":[{"id":"other","address":"h:1","metadata":{}}]}"#;
    kazoo(&connect, json!(["/micro-registry/time/time-80", stranger]), make).await;
    let registry = zookeeper(&connect, GoMicro::new()).await;
    let registered = registry.register(time(80)).await.unwrap();
    let conflict =
        |kind| move |state| matches!(state, RegistrationState::Conflict(conflict) if conflict.kind == kind);
    reached(&registered, conflict(ConflictKind::Foreign)).await;
    assert_eq!(registered.status().writes, 0);
    kazoo(&connect, json!("/micro-registry/time/time-80"), "zk.delete(args)\nanswer(None)").await;
    is_registered(&registered).await;

    // What the go-micro plugin leaves behind: the same instance, persistent.
    let dead = r#"{"name":"time","version":"","metadata":null,"endpoints":[],"nodes":[{"id":"time-81","address":"h:1","metadata":{}}]}"#;
    kazoo(&connect, json!(["/micro-registry/time/time-81", dead]), make).await;
    let keeping = zookeeper(&connect, GoMicro::new()).await.keep_persistent();
    let kept = keeping.register(time(81)).await.unwrap();
    reached(&kept, conflict(ConflictKind::KeptPersistent)).await;
    drop(kept);
    let replaced = registry.register(time(81)).await.unwrap();
    is_registered(&replaced).await;
    let owner = tree(&connect, "/micro-registry").await["/micro-registry/time/time-81"].ephemeral_owner;
    assert_eq!(Some(owner), registry.client().status().session_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deregistering_during_an_outage_is_done_after_it() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let registry = zookeeper(&proxy.connect_string(), Plain::new()).await;
    let registered = registry.register(time(80)).await.unwrap();
    is_registered(&registered).await;
    proxy.refuse().unwrap();
    let mut gone = tokio::spawn(registered.deregister());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut gone).await;
    assert!(early.is_err(), "it waits for the server");
    proxy.accept().unwrap();
    within("deregister", gone).await.unwrap().unwrap();
    let tree = tree(&ensemble.connect_string(), "/go_servers").await;
    assert_eq!(tree.keys().collect::<Vec<_>>(), ["/go_servers"]);
    // The place is free again.
    is_registered(&registry.register(time(80)).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_is_no_removal_and_the_living_twin_yields() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let connect = ensemble.connect_string();
    let watching = zookeeper(&connect, GoMicro::new()).await;
    let services = within("discovery", watching.discover("time")).await.unwrap();
    let mut changes = services.changes();
    assert!(next(&mut changes).await.set.is_empty());
    let (one, two) = (zookeeper(&connect, GoMicro::new()).await, zookeeper(&connect, GoMicro::new()).await);
    let first = one.register(time(80)).await.unwrap();
    is_registered(&first).await;
    assert_eq!(ids(&next(&mut changes).await), ["time-80"]);
    let second = two.register(time(80).version("2")).await.unwrap();
    is_registered(&second).await;
    let change = next(&mut changes).await;
    assert_eq!((change.updated.len(), change.removed.len(), change.added.len()), (1, 0, 0));
    let twin =
        |state| matches!(state, RegistrationState::Conflict(conflict) if conflict.kind == ConflictKind::Twin);
    reached(&first, twin).await;
    within("deregister", second.deregister()).await.unwrap();
    is_registered(&first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_changes_outlives_the_handle_it_came_from() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let connect = ensemble.connect_string();
    let registry = zookeeper(&connect, GoMicro::new()).await;
    let mut changes = registry.discover("time").await.unwrap().changes();
    assert!(next(&mut changes).await.set.is_empty());
    let registered = registry.register(time(80)).await.unwrap();
    assert_eq!(ids(&next(&mut changes).await), ["time-80"], "the stream ended with the handle");
    registered.deregister().await.unwrap();
    assert!(next(&mut changes).await.set.is_empty());
    registry.close().await.unwrap();
    assert!(within("the end", changes.next()).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_shot_watches_see_the_same_as_a_recursive_one() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let connect = ensemble.connect_string();
    let registry = zookeeper(&connect, GoMicro::new()).await;
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let url = format!("zk://{}?watches=one-shot&session_timeout=4s", proxy.connect_string());
    let watching = within("connect", registry::connect(&url)).await.unwrap();
    let services = within("discovery", watching.discover("time")).await.unwrap();
    let mut changes = services.changes();
    assert!(next(&mut changes).await.set.is_empty());
    let first = registry.register(time(80)).await.unwrap();
    assert_eq!(ids(&next(&mut changes).await), ["time-80"]);
    for version in ["2", "3"] {
        let mut instance = Instance::clone(&first.instance());
        instance.version = version.into();
        first.update(instance).unwrap();
        assert_eq!(next(&mut changes).await.updated[0].new.version, version);
    }
    let second = registry.register(time(81)).await.unwrap();
    assert_eq!(ids(&next(&mut changes).await), ["time-80", "time-81"]);
    proxy.cut();
    within("deregister", second.deregister()).await.unwrap();
    assert_eq!(ids(&next(&mut changes).await), ["time-80"]);
    within("deregister", first.deregister()).await.unwrap();
    assert!(next(&mut changes).await.set.is_empty());
    assert_eq!(proxy.counts().frames(106), 0, "no addWatch was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_fed_by_events_alone() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let registry = zookeeper(&ensemble.connect_string(), GoMicro::new()).await;
    let watching = zookeeper(&proxy.connect_string(), GoMicro::new()).await;
    let services = within("discovery", watching.discover("time")).await.unwrap();
    let mut changes = services.changes();
    assert!(next(&mut changes).await.set.is_empty());
    proxy.withhold_notifications(true);
    let registered = registry.register(time(80)).await.unwrap();
    is_registered(&registered).await;
    proxy.wait_counts(BUDGET, |counts| counts.withheld > 0).unwrap();
    assert!(services.snapshot().is_empty(), "nothing polls behind the events' back");
    // A reconnect reads everything again, whatever was withheld.
    proxy.withhold_notifications(false);
    proxy.cut();
    assert_eq!(ids(&next(&mut changes).await), ["time-80"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_instances_are_read_in_few_requests_and_picked_from() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let connect = ensemble.connect_string();
    let fill = "
zk.ensure_path('/go_servers')
t = None
for i in range(1000):
    if i % 100 == 0:
        if t: t.commit()
        t = zk.transaction()
    t.create('/go_servers/10.0.0.1:%d' % (1000 + i), b'')
t.commit()
zk.create('/go_servers/not-an-address', b'')
answer(None)";
    kazoo(&connect, json!(null), fill).await;
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let registry = zookeeper(&proxy.connect_string(), Plain::new()).await;
    let services =
        within("discovery", registry.discover("time")).await.unwrap().balanced(Balance::RoundRobin);
    assert_eq!(services.snapshot().len(), 1000);
    let invalid = services.invalid();
    assert_eq!((invalid.len(), &*invalid[0].leaf), (1, "not-an-address"));
    let counts = proxy.counts();
    assert!(counts.frames(22) + counts.frames(4) < 30, "{counts:?}");
    // All are persistent: one that fails is passed over.
    let dead = services.pick().unwrap();
    services.report_failure(&dead);
    assert!((0..2000).all(|_| services.pick().unwrap() != dead));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_stand_is_refused_before_anything_is_written() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let url = format!("zk://{}/not/there?session_timeout=4s", proxy.connect_string());
    let registry: Arc<dyn Registry> = within("connect", registry::connect(&url)).await.unwrap();
    let wildcard = registry.register(Instance::builder("time").host("0.0.0.0").port(80)).await;
    assert!(matches!(wildcard, Err(Error::Address(_))));
    let portless = registry.register(Instance::builder("time").host("h")).await;
    assert!(matches!(portless, Err(Error::Address(_))));
    assert!(matches!(registry.register(time(80).id("..")).await, Err(Error::Layout(_))));
    assert!(matches!(registry.discover("..").await, Err(Error::Layout(_))));
    assert_eq!(writes(&proxy.counts()), 0);

    // The address is that of the session's socket, and the chroot is made with the first leaf.
    let registered = registry.register(Instance::builder("x/y").port(80)).await.unwrap();
    assert_eq!(registered.instance().address, Address::new("127.0.0.1", 80).unwrap());
    is_registered(&registered).await;
    let again = registry.register(InstanceBuilder::from(Instance::clone(&registered.instance()))).await;
    assert!(matches!(again, Err(Error::Taken { .. })));
    let same_dir = registry.register(Instance::builder("x-y").port(81)).await;
    assert!(matches!(same_dir, Err(Error::SharedDirectory { .. })));
    let tree = tree(&ensemble.connect_string(), "/not").await;
    let leaf = format!("/not/there/micro-registry/x-y/{}", registered.instance().id.replace('/', "-"));
    assert!(tree.contains_key(&leaf), "{:?}", tree.keys());

    within("close", registry.close()).await.unwrap();
    reached(&registered, |state| state == RegistrationState::Ended(End::Closed)).await;
    within("deregister", registered.deregister()).await.unwrap();
}
