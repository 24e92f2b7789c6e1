//! Registrations of several znodes, and leaves that move, while requests are cut off, sessions end and the server comes and goes, from
//! seeds: when all is well again, the tree is as wished and nothing is written any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use menagerie::client::{Builder, Client, Transport};
use menagerie::jute::OpCode;
use menagerie::registry::layout::{DubboApplication, DubboInterface, Further, GoMicro, Layout};
use menagerie::registry::{Instance, InstanceBuilder, Registered, Status, ZooKeeper};
use menagerie::session::Server as Host;
use menagerie_server::{Matcher, Server};
use tokio::time::Instant;

use crate::support::{settle, soon};

const SEEDS: u64 = 60;

const DEEDS: usize = 40;

/// Longer than every pause, jitter and session timeout together.
const HEALED_WITHIN: Duration = Duration::from_secs(180);

/// The directories in which only the registration has leaves.
const OWN: [&str; 4] =
    ["/dubbo/time/providers/", "/dubbo/org.x.Other/consumers/", "/services/time/", "/micro-registry/time/"];

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 31)) % bound
    }
}

struct World {
    server: Server,
    client: Client,
    layout: Arc<dyn Layout>,
    registered: Registered,
    chance: Chance,
}

fn wish(port: u16) -> InstanceBuilder {
    Instance::builder("time").id(format!("time-{port}")).host("10.0.0.1").port(port).registered_at_ms(1)
}

impl World {
    async fn new(seed: u64) -> Self {
        let server = Server::start().await.unwrap();
        let connector = server.connector();
        let transport = Transport::custom(move |_, _| connector.connect());
        let host = Host { host: String::from("embedded"), port: 2181 };
        let client = Builder::servers(vec![host]).transport(transport).seed(seed).connect().await.unwrap();
        let application = || DubboApplication::new().serves("org.x.A", "", "").serves("org.x.B", "", "");
        let interface = || DubboInterface::new().consumes("org.x.Other");
        let (registry, layout, nodes): (_, Arc<dyn Layout>, u16) = match seed % 3 {
            0 => (ZooKeeper::new(&client, interface()), Arc::new(interface()), 2),
            1 => (ZooKeeper::new(&client, application()), Arc::new(application()), 1),
            _ => (ZooKeeper::new(&client, GoMicro::new()), Arc::new(GoMicro::new()), 3),
        };
        let registered = soon(registry.register_all((1..=nodes).map(wish))).await.unwrap();
        Self { server, client, layout, registered, chance: Chance(seed) }
    }

    async fn deed(&mut self, number: usize) {
        match self.chance.below(12) {
            0..=3 => self.update(|instance| instance.version = number.to_string()),
            4 => self.update(|instance| instance.status = Status::OutOfService),
            5 => self.update(|instance| instance.status = Status::Up),
            6 => self.server.cut_before(Matcher::any()),
            7 => self.server.cut_after(Matcher::any()),
            8 => drop(self.client.status().session_id.map(|session| self.server.expire(session))),
            9 => drop(self.server.kill_connections()),
            10 => self.delete().await,
            _ => {
                self.server.stop().await.unwrap();
                self.pause().await;
                self.server.restart().await.unwrap();
            }
        }
        self.pause().await;
    }

    async fn pause(&mut self) {
        // Mostly within what is under way, at times until all is done.
        let most = match self.chance.below(3) {
            0 => 2,
            1 => 50,
            _ => 5_000,
        };
        tokio::time::sleep(Duration::from_millis(self.chance.below(most))).await;
    }

    fn update(&mut self, change: impl FnOnce(&mut Instance)) {
        let mut all = self.registered.instances();
        let which = usize::try_from(self.chance.below(all.len() as u64)).unwrap();
        let mut instance = Instance::clone(&all.swap_remove(which));
        change(&mut instance);
        self.registered.update(instance).unwrap();
    }

    /// Somebody deletes one of ours, if he can.
    async fn delete(&mut self) {
        let Some(path) = self.own().into_keys().next() else { return };
        let _ = tokio::time::timeout(Duration::from_secs(1), self.client.delete(path.as_str())).await;
    }

    /// The leaves of the registration's own, and their data.
    fn own(&self) -> BTreeMap<String, Bytes> {
        let leaves = self.server.tree().into_iter();
        let leaves = leaves.filter(|node| OWN.iter().any(|dir| node.path.starts_with(dir)));
        leaves.map(|node| (node.path.to_string(), node.data.unwrap_or_default())).collect()
    }

    /// Those that there are to be.
    fn wished(&self) -> BTreeMap<String, Bytes> {
        let mut wished = BTreeMap::new();
        for instance in self.registered.instances() {
            let beside = self.layout.further(&instance).unwrap().into_iter();
            let beside = beside.filter_map(|further| match further {
                Further::Leaf(leaf) => Some(leaf),
                _ => None,
            });
            for leaf in beside.chain([self.layout.leaf(&instance).unwrap()]) {
                wished.insert(leaf.path(), leaf.data);
            }
        }
        wished
    }

    fn writes(&self) -> usize {
        let changing = [OpCode::CREATE, OpCode::CREATE2, OpCode::DELETE, OpCode::SET_DATA, OpCode::MULTI];
        self.server.requests().iter().filter(|request| changing.contains(&request.op)).count()
    }

    async fn until(&self, seed: u64, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let (own, wished) = (self.own(), self.wished());
            let status = self.registered.status();
            assert!(begun.elapsed() < HEALED_WITHIN, "seed {seed}, {what}: {own:#?} {wished:#?} {status:?}");
            settle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happened_the_tree_is_as_wished_when_all_is_well_again() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed).await;
        for number in 0..DEEDS {
            world.deed(number).await;
        }
        world.server.forget_plans();
        for instance in world.registered.instances() {
            let mut up = Instance::clone(&instance);
            up.status = Status::Up;
            world.registered.update(up).unwrap();
        }
        soon(world.registered.registered()).await.unwrap();
        world.until(seed, "as wished", |world| world.own() == world.wished()).await;
        soon(world.registered.registered()).await.unwrap();
        let writes = world.writes();
        world.server.kill_connections();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!((world.writes(), world.own()), (writes, world.wished()), "seed {seed}, at rest");
        let World { server, registered, client, .. } = world;
        soon(registered.deregister()).await.unwrap();
        let left = server.tree().iter().any(|node| OWN.iter().any(|dir| node.path.starts_with(dir)));
        assert!(!left, "seed {seed}, deregistered");
        drop(client);
    }
}
