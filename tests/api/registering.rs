//! What becomes of a registration while it lives: several places, moves, drains, losses and the end. On the embedded server.

use std::collections::BTreeMap;
use std::time::Duration;

use menagerie::client::{Builder, Client, Transport};
use menagerie::jute::OpCode;
use menagerie::registry::layout::{DubboApplication, DubboInterface, GoMicro, Layout, Plain, SpringCloud};
use menagerie::registry::reconcile::{ConflictKind, Loss};
use menagerie::registry::{
    Discovery, Error, Instance, InstanceBuilder, Registered, Registration, RegistrationState, Status,
    ZooKeeper,
};
use menagerie::session::{Server as Host, State};
use menagerie_server::{Like, Matcher, NodeView, Server};
use tokio::time::Instant;

use crate::support::{poll_once, settle, soon};

const HOUR: Duration = Duration::from_secs(3_600);

struct World {
    server: Server,
    client: Client,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await.unwrap();
        let client = client(&server).await;
        Self { server, client }
    }

    fn registry(&self, layout: impl Layout + 'static) -> ZooKeeper {
        ZooKeeper::new(&self.client, layout)
    }

    async fn registered(&self, layout: impl Layout + 'static, builder: InstanceBuilder) -> Registered {
        let registered = soon(self.registry(layout).register(builder)).await.unwrap();
        soon(registered.registered()).await.unwrap();
        registered
    }

    /// All znodes below `root` without children, by path.
    fn leaves(&self, root: &str) -> BTreeMap<String, NodeView> {
        let below = self.server.tree().into_iter();
        let below = below.filter(|node| node.path.starts_with(root) && node.stat.num_children == 0);
        below.map(|node| (node.path.to_string(), node)).collect()
    }

    /// The names and data of the providers of `time` in Dubbo's layout.
    fn providers(&self) -> Vec<String> {
        self.leaves("/dubbo/time/providers/").into_keys().collect()
    }

    fn session(&self) -> i64 {
        self.client.status().session_id.unwrap()
    }

    /// The requests that change something, by the server's log.
    fn writes(&self) -> Vec<OpCode> {
        let changing = [OpCode::CREATE, OpCode::CREATE2, OpCode::CREATE_CONTAINER, OpCode::DELETE];
        let ops = self.server.requests().into_iter().map(|request| request.op);
        ops.filter(|op| changing.contains(op) || [OpCode::SET_DATA, OpCode::MULTI].contains(op)).collect()
    }

    /// Nobody is in reach while `meanwhile` goes on; sessions are as they were before.
    async fn outage(&self, meanwhile: impl AsyncFnOnce()) {
        self.server.stop().await.unwrap();
        settle().await;
        meanwhile().await;
        self.server.restart().await.unwrap();
    }

    /// Ends the session and waits for the next.
    async fn expire(&self) {
        let epoch = self.client.status().epoch;
        assert!(self.server.expire(self.session()));
        let mut seen = self.client.status();
        while seen.epoch == epoch || seen.state != State::Connected {
            seen = soon(self.client.status_change(&seen)).await;
        }
    }
}

async fn client(server: &Server) -> Client {
    let connector = server.connector();
    let transport = Transport::custom(move |_, _| connector.connect());
    let host = Host { host: String::from("embedded"), port: 2181 };
    Builder::servers(vec![host]).transport(transport).connect().await.unwrap()
}

fn wish() -> InstanceBuilder {
    Instance::builder("time").id("time-1").host("10.0.0.1").port(1)
}

fn changed(registered: &Registered, change: impl FnOnce(&mut Instance)) -> Instance {
    let mut instance = Instance::clone(&registered.instance());
    change(&mut instance);
    instance
}

fn versioned(registered: &Registered, version: &str) -> Instance {
    changed(registered, |instance| instance.version = version.to_owned())
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
        settle().await;
    }
}

fn described() -> DubboApplication {
    DubboApplication::new().serves("org.x.A", "", "").serves("org.x.B", "", "")
}

#[tokio::test(start_paused = true)]
async fn all_znodes_of_a_registration_come_in_one_transaction() {
    let world = World::new().await;
    let registered = world.registered(described(), wish()).await;
    let leaves: Vec<_> = ["/services/time/", "/dubbo/metadata/time/", "/dubbo/mapping/"]
        .iter()
        .flat_map(|root| world.leaves(root).into_values())
        .collect();
    assert_eq!(leaves.len(), 4);
    let first = leaves[0].stat.czxid;
    assert!(leaves.iter().all(|leaf| leaf.stat.czxid == first), "{leaves:?}");
    let mapping = &world.leaves("/dubbo/mapping/")["/dubbo/mapping/org.x.A"];
    assert_eq!((mapping.data.as_deref(), mapping.stat.ephemeral_owner), (Some(&b"time"[..]), 0));
    // What others need too stays.
    soon(registered.deregister()).await.unwrap();
    assert_eq!((world.leaves("/services/time/").len(), world.leaves("/dubbo/").len()), (0, 3));
    // A second instance finds it there and writes its leaf alone.
    world.server.clear_log();
    let _second = world.registered(described(), wish()).await;
    let writes = world.writes();
    assert!(writes.iter().all(|op| *op == OpCode::CREATE2 || *op == OpCode::MULTI), "{writes:?}");
    assert!(writes.len() <= 2, "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn the_nodes_of_one_registration_come_together_and_each_is_kept() {
    let world = World::new().await;
    let registry = world.registry(GoMicro::new());
    let node = |port: u16| wish().id(format!("time-{port}")).port(port);
    let registered = soon(registry.register_all([node(1), node(2), node(3)])).await.unwrap();
    soon(registered.registered()).await.unwrap();
    let leaves = || world.leaves("/micro-registry/time/");
    let czxids = || leaves().values().map(|leaf| leaf.stat.czxid).collect::<Vec<_>>();
    assert!(czxids().len() == 3 && czxids().iter().all(|czxid| *czxid == czxids()[0]), "{:?}", leaves());
    world.server.clear_log();
    let mut second = Instance::clone(&registered.instances()[1]);
    second.version = "2".to_owned();
    registered.update(second.clone()).unwrap();
    assert_eq!((registered.instances().len(), &*registered.instances()[1]), (3, &second));
    soon(registered.registered()).await.unwrap();
    assert_eq!(world.writes(), [OpCode::SET_DATA], "one of three");
    let mut other = second.clone();
    other.id = "time-4".to_owned();
    assert!(matches!(registered.update(other), Err(Error::Moved { .. })));
    // One wants no calls; then the session ends, and the other two come back together.
    second.status = Status::OutOfService;
    registered.update(second).unwrap();
    until("one is gone", || leaves().len() == 2).await;
    world.expire().await;
    soon(registered.registered()).await.unwrap();
    until("both again", || czxids().len() == 2 && czxids()[0] == czxids()[1]).await;
    soon(registered.drain_for(Duration::from_secs(1))).await.unwrap();
    assert!(leaves().is_empty());
    // One refused spoils all, and none is kept.
    let twice = soon(registry.register_all([node(1), node(1)])).await;
    assert!(matches!(twice, Err(Error::Taken { .. })), "{twice:?}");
    assert!(matches!(soon(registry.register_all([])).await, Err(Error::Nothing)));
    drop(soon(registry.register(node(1))).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn every_imitated_server_takes_all_znodes() {
    for like in [Like::V3_4, Like::V3_5, Like::V3_8, Like::V3_9, Like::Keeper] {
        let server = Server::builder().like(like).start().await.unwrap();
        let client = client(&server).await;
        let world = World { server, client };
        let registered = world.registered(described(), wish()).await;
        assert_eq!(
            (world.leaves("/services/time/").len(), world.leaves("/dubbo/").len()),
            (1, 3),
            "{like:?}"
        );
        world.expire().await;
        soon(registered.registered()).await.unwrap();
        until("again", || world.leaves("/services/time/").len() == 1).await;
        soon(registered.deregister()).await.unwrap();
        assert!(world.leaves("/services/time/").is_empty(), "{like:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_transaction_cannot_have_is_left_and_the_rest_is_written() {
    let world = World::new().await;
    let revision = {
        let leaf = described().further(&Instance::new("time", "time-1", "10.0.0.1:1".parse().unwrap()));
        let menagerie::registry::layout::Further::Shared(leaf) = leaf.unwrap().remove(0) else { panic!() };
        leaf.path()
    };
    world.client.create(revision.as_str()).data("another's").parents().await.unwrap();
    let registered = soon(world.registry(described()).register(wish())).await.unwrap();
    until("the rest", || world.leaves("/services/time/").len() == 1 && world.leaves("/dubbo/").len() == 3)
        .await;
    let conflict = |state| matches!(state, RegistrationState::Conflict(c) if c.kind == ConflictKind::Foreign);
    until("a conflict", || conflict(registered.state())).await;
    assert_eq!(world.leaves("/dubbo/metadata/")[&revision].data.as_deref(), Some(&b"another's"[..]));
    // It goes: ours comes the moment after.
    world.client.delete(revision.as_str()).await.unwrap();
    soon(registered.registered()).await.unwrap();
    assert_ne!(world.leaves("/dubbo/metadata/")[&revision].data.as_deref(), Some(&b"another's"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_of_unknown_fate_is_looked_at_and_not_repeated() {
    for executed in [false, true] {
        let world = World::new().await;
        drop(world.registered(described(), wish()).await);
        until("gone", || world.leaves("/services/time/").is_empty()).await;
        let matcher = || Matcher::op(OpCode::CREATE2);
        if executed {
            world.server.cut_after(matcher())
        } else {
            world.server.cut_before(matcher())
        }
        world.server.clear_log();
        let registered = world.registered(described(), wish()).await;
        assert_eq!(registered.status().writes, if executed { 1 } else { 2 });
        assert_eq!(world.leaves("/services/time/").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_beside_a_leaf_is_kept_and_goes_with_it() {
    let world = World::new().await;
    let layout = || DubboInterface::new().consumes("org.x.Other");
    let registered = world.registered(layout(), wish()).await;
    let consumers = || world.leaves("/dubbo/org.x.Other/consumers/");
    let consumer = consumers().into_keys().next().unwrap();
    world.client.delete(consumer.as_str()).await.unwrap();
    until("created again", || consumers().contains_key(&consumer)).await;
    soon(registered.registered()).await.unwrap();
    assert_eq!(registered.status().last_loss, Some(Loss::Deleted));
    let old = world.session();
    world.expire().await;
    let ours = |leaf: &NodeView| leaf.stat.ephemeral_owner == world.session();
    until("both again", || {
        let leaves = [consumers(), world.leaves("/dubbo/time/providers/")];
        leaves.iter().all(|leaves| leaves.len() == 1 && leaves.values().all(ours))
    })
    .await;
    assert_ne!(world.session(), old);
    soon(registered.deregister()).await.unwrap();
    assert!(consumers().is_empty() && world.providers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_update_that_moves_the_leaf_is_one_transaction() {
    let world = World::new().await;
    let registered = world.registered(DubboInterface::new(), wish()).await;
    let services = soon(world.registry(DubboInterface::new()).discover("time")).await.unwrap();
    let mut changes = services.changes();
    soon(changes.next()).await.unwrap();
    let before = world.providers();
    world.server.clear_log();
    registered.update(versioned(&registered, "2.0")).unwrap();
    assert_eq!(registered.instance().version, "2.0");
    soon(registered.registered()).await.unwrap();
    assert_eq!(world.writes(), [OpCode::MULTI]);
    let after = world.leaves("/dubbo/time/providers/");
    assert!(after.len() == 1 && !after.contains_key(&before[0]));
    // The old one went with the transaction that made the new one, so no reader ever saw none.
    let dir = world.server.tree().into_iter().find(|node| &*node.path == "/dubbo/time/providers").unwrap();
    assert_eq!(dir.stat.pzxid, after.values().next().unwrap().stat.czxid);
    let change = soon(changes.next()).await.unwrap();
    assert_eq!(change.set.iter().map(|instance| &*instance.version).collect::<Vec<_>>(), ["2.0"]);
    let other = changed(&registered, |instance| instance.id = "time-2".to_owned());
    assert!(matches!(registered.update(other), Err(Error::Moved { .. })));
    soon(registered.deregister()).await.unwrap();
    assert!(world.providers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn moves_in_a_row_and_apart_leave_the_last_one() {
    let world = World::new().await;
    let registered = world.registered(DubboInterface::new(), wish()).await;
    for version in ["2", "3", "4"] {
        registered.update(versioned(&registered, version)).unwrap();
        tokio::task::yield_now().await;
    }
    soon(registered.registered()).await.unwrap();
    let is_only = |version: &str| {
        let providers = world.providers();
        providers.len() == 1 && providers[0].contains(&format!("version%3D{version}"))
    };
    until("the last", || is_only("4")).await;
    world
        .outage(async || {
            registered.update(versioned(&registered, "5")).unwrap();
            settle().await;
            registered.update(versioned(&registered, "6")).unwrap();
        })
        .await;
    world.server.clear_log();
    soon(registered.registered()).await.unwrap();
    assert!(is_only("6"), "{:?}", world.providers());
    assert_eq!(world.writes(), [OpCode::MULTI], "the latest, once");
    // The same while the session ends.
    world.server.expire(world.session());
    registered.update(versioned(&registered, "7")).unwrap();
    soon(registered.registered()).await.unwrap();
    until("the last", || is_only("7")).await;
    let owner = world.leaves("/dubbo/time/providers/").into_values().next().unwrap().stat.ephemeral_owner;
    assert_eq!(owner, world.session());
}

#[tokio::test(start_paused = true)]
async fn a_move_to_a_place_that_is_taken_waits_and_keeps_the_old_leaf() {
    let world = World::new().await;
    let registered = world.registered(Plain::new(), wish()).await;
    world.client.create("/go_servers/10.0.0.1:2").data("?").await.unwrap();
    let other = client(&world.server).await;
    let taken = ZooKeeper::new(&other, Plain::new());
    let second = soon(taken.register(wish().port(3))).await.unwrap();
    soon(second.registered()).await.unwrap();
    world.server.clear_log();
    let to = |port: u16| {
        changed(&registered, |instance| instance.address = format!("10.0.0.1:{port}").parse().unwrap())
    };
    registered.update(to(2)).unwrap();
    soon(registered.registered()).await.unwrap();
    // A persistent leaf of our address is replaced, as at any registration.
    let leaves = world.leaves("/go_servers/");
    assert_eq!(
        leaves.keys().map(String::as_str).collect::<Vec<_>>(),
        ["/go_servers/10.0.0.1:2", "/go_servers/10.0.0.1:3"]
    );
    assert_eq!(leaves["/go_servers/10.0.0.1:2"].stat.ephemeral_owner, world.session());
    // Two of one registry do not take each other's place.
    let registry = world.registry(Plain::new());
    let first = soon(registry.register(wish().port(5))).await.unwrap();
    let second = soon(registry.register(wish().id("time-6").port(6))).await.unwrap();
    let onto = changed(&second, |instance| instance.address = "10.0.0.1:5".parse().unwrap());
    assert!(matches!(second.update(onto.clone()), Err(Error::Taken { .. })));
    soon(first.deregister()).await.unwrap();
    second.update(onto).unwrap();
    soon(second.registered()).await.unwrap();
    until("moved", || !world.leaves("/go_servers/").contains_key("/go_servers/10.0.0.1:6")).await;
    // The place that was left is free.
    let again = soon(registry.register(wish().id("time-7").port(6))).await.unwrap();
    soon(again.registered()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_writes_nothing_and_the_latest_counts() {
    let world = World::new().await;
    let registered = world.registered(GoMicro::new(), wish()).await;
    world.server.clear_log();
    registered.update(Instance::clone(&registered.instance())).unwrap();
    soon(registered.registered()).await.unwrap();
    assert_eq!(world.writes(), []);
    world
        .outage(async || {
            for version in ["2", "3"] {
                registered.update(versioned(&registered, version)).unwrap();
                settle().await;
            }
        })
        .await;
    soon(registered.registered()).await.unwrap();
    assert_eq!(world.writes(), [OpCode::SET_DATA]);
    let leaf = &world.leaves("/micro-registry/time/")["/micro-registry/time/time-1"];
    assert!(String::from_utf8_lossy(leaf.data.as_deref().unwrap()).contains(r#""version":"3""#));
    assert_eq!(leaf.stat.version, 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_says_so_serves_on_for_the_grace_and_goes() {
    let world = World::new().await;
    let registered = world.registered(SpringCloud::new(), wish()).await;
    assert_eq!(registered.drain_grace(), Duration::from_secs(40));
    let begun = Instant::now();
    let draining = tokio::spawn(registered.drain());
    let leaf = || world.leaves("/services/time/").into_values().next();
    let says = |leaf: Option<NodeView>, what: &str| {
        leaf.is_some_and(|leaf| String::from_utf8_lossy(leaf.data.as_deref().unwrap()).contains(what))
    };
    until("it says so", || says(leaf(), "OUT_OF_SERVICE")).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    tokio::time::sleep_until(begun + Duration::from_secs(39)).await;
    assert!(says(leaf(), "OUT_OF_SERVICE") && !draining.is_finished());
    soon(draining).await.unwrap().unwrap();
    assert!(leaf().is_none());
    assert!(begun.elapsed() < Duration::from_secs(42), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn where_readers_know_no_status_a_drain_takes_the_leaf_at_once() {
    let world = World::new().await;
    let registered = world.registered(GoMicro::new(), wish()).await;
    let mut events = registered.events();
    let begun = Instant::now();
    let draining = tokio::spawn(registered.drain_for(Duration::from_secs(7)));
    until("gone", || world.leaves("/micro-registry/time/").is_empty()).await;
    assert!(begun.elapsed() < Duration::from_secs(1) && !draining.is_finished());
    soon(draining).await.unwrap().unwrap();
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(7) && took < Duration::from_secs(8), "{took:?}");
    while let Some(status) = events.next().await {
        assert_ne!(status.state, RegistrationState::Registered);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_dropped_deregisters_at_once() {
    for polls in 0..30 {
        let world = World::new().await;
        let registered = world.registered(SpringCloud::new(), wish()).await;
        let mut draining = Box::pin(registered.drain());
        for _ in 0..polls {
            assert!(poll_once(&mut draining).await.is_pending());
            settle().await;
        }
        drop(draining);
        let begun = Instant::now();
        until("gone", || world.leaves("/services/time/").is_empty()).await;
        assert!(begun.elapsed() < Duration::from_secs(1), "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_through_an_outage_waits_for_the_grace_and_goes_when_it_can() {
    let world = World::new().await;
    let registered = world.registered(SpringCloud::new(), wish()).await;
    let mut draining = Box::pin(registered.drain());
    world
        .outage(async || {
            let begun = Instant::now();
            while begun.elapsed() < HOUR {
                assert!(poll_once(&mut draining).await.is_pending());
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        })
        .await;
    soon(draining).await.unwrap();
    assert!(world.leaves("/services/time/").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_in_an_outage_is_gone_behind_it_however_long_that_was() {
    for dropped in [true, false] {
        let world = World::new().await;
        let registered = world.registered(GoMicro::new(), wish()).await;
        let session = world.session();
        let mut deregistering = None;
        world
            .outage(async || {
                if dropped {
                    drop(registered);
                } else {
                    deregistering = Some(tokio::spawn(registered.deregister()));
                }
                tokio::time::sleep(HOUR).await;
            })
            .await;
        // The session is taken up again, and the leaf with it.
        until("gone", || world.leaves("/micro-registry/time/").is_empty()).await;
        assert_eq!(world.session(), session);
        if let Some(task) = deregistering {
            soon(task).await.unwrap().unwrap();
        }
        tokio::time::sleep(HOUR).await;
        assert!(world.leaves("/micro-registry/time/").is_empty(), "nobody registers it again");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_keeps_no_client_for_ever() {
    let world = World::new().await;
    let registered = world.registered(GoMicro::new(), wish()).await;
    let World { server, client } = world;
    server.stop().await.unwrap();
    drop(server);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    drop((registered, client));
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(tasks() > 0, "it still waits for the server");
    tokio::time::sleep(Duration::from_secs(60)).await;
    until("the client ends", || tasks() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_is_gone_already_is_deregistered() {
    let world = World::new().await;
    let registered = world.registered(GoMicro::new(), wish()).await;
    let leaf = "/micro-registry/time/time-1";
    // Between the deregistration and its delete somebody else deletes the leaf.
    world.server.withhold(Matcher::op(OpCode::DELETE));
    let other = client(&world.server).await;
    let deregistering = tokio::spawn(registered.deregister());
    until("under way", || world.leaves(leaf).is_empty()).await;
    drop(other.create(leaf).await);
    other.delete(leaf).await.unwrap();
    world.server.release();
    soon(deregistering).await.unwrap().unwrap();
    let registered = world.registered(GoMicro::new(), wish()).await;
    world.server.pause_session(world.session());
    other.delete(leaf).await.unwrap();
    let deregistering = tokio::spawn(registered.deregister());
    settle().await;
    world.server.resume();
    soon(deregistering).await.unwrap().unwrap();
    assert!(world.leaves(leaf).is_empty(), "the wish went first");
}

#[tokio::test(start_paused = true)]
async fn the_owner_hears_of_every_loss_and_of_what_came_of_it() {
    let world = World::new().await;
    let registered = soon(world.registry(GoMicro::new()).register(wish())).await.unwrap();
    let mut events = registered.events();
    let first = soon(events.next()).await.unwrap();
    assert_eq!((first.state, first.losses), (RegistrationState::Pending, 0));
    let mut reached = async |wanted: fn(RegistrationState) -> bool| {
        let mut status = soon(events.next()).await.unwrap();
        while !wanted(status.state) {
            status = soon(events.next()).await.unwrap();
        }
        (status.losses, status.last_loss)
    };
    let is_registered = |state| state == RegistrationState::Registered;
    let is_lost = |state| state == RegistrationState::Pending;
    assert_eq!(reached(is_registered).await, (0, None), "registered");
    world.server.expire(world.session());
    assert_eq!(reached(is_lost).await, (1, Some(Loss::Expired)), "lost");
    assert_eq!(reached(is_registered).await, (1, Some(Loss::Expired)), "restored");
    let leaf = "/micro-registry/time/time-1";
    world.client.set(leaf, "?").await.unwrap();
    assert_eq!(reached(is_registered).await, (2, Some(Loss::Changed)), "restored");
    world.client.delete(leaf).await.unwrap();
    assert_eq!(reached(is_registered).await, (3, Some(Loss::Deleted)), "restored");
    // A twin takes it, and goes.
    let other = client(&world.server).await;
    let twin = soon(ZooKeeper::new(&other, GoMicro::new()).register(wish())).await.unwrap();
    let is_conflict = |state| matches!(state, RegistrationState::Conflict(c) if c.kind == ConflictKind::Twin);
    assert_eq!(reached(is_conflict).await, (4, Some(Loss::Taken)), "conflict");
    soon(twin.deregister()).await.unwrap();
    assert_eq!(reached(is_registered).await, (4, Some(Loss::Taken)), "restored");
    registered.update(changed(&registered, |instance| instance.status = Status::OutOfService)).unwrap();
    reached(|state| state == RegistrationState::Withdrawn).await;
    // A connection that is lost and found again is no loss.
    world.server.kill_connections();
    soon(registered.deregister()).await.unwrap();
    assert_eq!(reached(|state| state == RegistrationState::Withdrawn).await.0, 4);
}
