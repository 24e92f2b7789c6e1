//! The processes: providers and consumers with a client each, and a last one that interferes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use menagerie::Client;
use menagerie::registry::layout::{GoMicro, Layout, Plain};
use menagerie::registry::view::Set;
use menagerie::registry::{
    Address, Discovery, Instance, Registered, Registration, RegistrationStatus, Services, Status, ZooKeeper,
};

use super::ends::{Desk, connect_string, lock};
use crate::agenda::{Event, MILLI, SECOND, Time};
use crate::world::World;

/// Where an instance may stand.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) layout: usize,
    pub(crate) instance: Instance,
    pub(crate) path: String,
    pub(crate) dir: String,
}

/// A wish of a process.
pub(crate) struct Held {
    pub(crate) registered: Registered,
    /// What the wish was when its registration last stood.
    pub(crate) stood: Option<Stood>,
    pub(crate) last: Option<RegistrationStatus>,
    /// It was in conflict and has not stood since.
    pub(crate) contested: bool,
    /// Wishes, counted.
    pub(crate) wishes: u64,
}

/// A registration that stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stood {
    pub(crate) session: i64,
    pub(crate) wishes: u64,
    pub(crate) writes: u64,
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
}

/// A view of a process.
pub(crate) struct Viewing {
    pub(crate) layout: usize,
    pub(crate) service: String,
    pub(crate) services: Arc<Mutex<Option<Services>>>,
    pub(crate) last: Option<Arc<Set>>,
    pub(crate) stale: bool,
}

/// One process, in its present life.
pub(crate) struct Process {
    pub(crate) life: u64,
    pub(crate) client: Client,
    registries: Vec<ZooKeeper>,
    pub(crate) held: BTreeMap<usize, Held>,
    pub(crate) leaving: Vec<(usize, Arc<AtomicBool>)>,
    pub(crate) views: Vec<Viewing>,
}

/// All of them. The last registers nothing: it interferes.
pub(crate) struct Processes {
    pub(crate) all: Vec<Process>,
    pub(crate) layouts: Vec<Arc<dyn Layout>>,
    pub(crate) places: Vec<Place>,
    /// Up to which entry the log was looked through, and when which was the last.
    pub(crate) looked: i64,
    pub(crate) times: Vec<(Time, i64)>,
    pub(crate) takeovers: BTreeMap<(String, usize, u64), Vec<Time>>,
    pub(crate) gone_dirs: Vec<String>,
    /// Sessions of each process in its present life.
    pub(crate) sessions: BTreeSet<(usize, u64, i64)>,
    /// Deeds of the one who interferes that are not done.
    pub(crate) open: Arc<AtomicUsize>,
    count: u64,
}

fn address(host: usize) -> Option<Address> {
    format!("10.1.0.{host}:80").parse().ok()
}

fn places(layouts: &[Arc<dyn Layout>]) -> Vec<Place> {
    let mut places = Vec::new();
    for (layout, services) in [(0, &["time", "users/v2"][..]), (1, &["time"][..])] {
        for (at, service) in services.iter().enumerate() {
            for id in 0..2 {
                let Some(address) = address(1 + at * 10 + id) else { continue };
                let instance =
                    Instance::new(*service, format!("{}-{id}", service.replace('/', "-")), address);
                let Ok(leaf) = layouts[layout].leaf(&instance) else { continue };
                places.push(Place { layout, instance, path: leaf.path(), dir: leaf.dir });
            }
        }
    }
    places
}

fn process(world: &mut World, desk: &Desk, client: usize, life: u64) -> Option<Process> {
    let timeout = Duration::from_micros(world.clients[client].timeout);
    let builder = Client::builder(&connect_string(world.plan.members)).ok()?;
    let builder = builder.seed(world.chance.draw()).session_timeout(timeout);
    let zk = builder.transport(desk.transport(client, life)).connect_lazy().ok()?;
    let one_shot = world.chance.percent(20);
    let registry = |registry: ZooKeeper| if one_shot { registry.one_shot_watches() } else { registry };
    let registries = vec![
        registry(ZooKeeper::new(zk.clone(), GoMicro::new())),
        registry(ZooKeeper::new(zk.clone(), Plain::new())),
    ];
    let (held, leaving, views) = (BTreeMap::new(), Vec::new(), Vec::new());
    Some(Process { life, client: zk, registries, held, leaving, views })
}

impl Processes {
    pub(crate) fn new(world: &mut World, desk: &Desk) -> Self {
        let layouts: Vec<Arc<dyn Layout>> = vec![Arc::new(GoMicro::new()), Arc::new(Plain::new())];
        let places = places(&layouts);
        let all = (0..world.outside).filter_map(|client| process(world, desk, client, 0)).collect();
        Self {
            all,
            layouts,
            places,
            looked: 0,
            times: Vec::new(),
            takeovers: BTreeMap::new(),
            gone_dirs: Vec::new(),
            sessions: BTreeSet::new(),
            open: Arc::default(),
            count: 0,
        }
    }

    pub(crate) fn lives(&self) -> Vec<u64> {
        self.all.iter().map(|process| process.life).collect()
    }

    /// The process does something, unless all is over.
    pub(crate) fn act(&mut self, world: &mut World, desk: &Desk, client: usize) {
        if world.healed {
            return;
        }
        let wait = world.chance.around(3 * SECOND).max(MILLI);
        world.agenda.at(world.now + wait, Event::ClientActs(client));
        if client + 1 == self.all.len() {
            return self.interfere(world);
        }
        let place = world.chance.index(self.places.len());
        let deed = world.chance.below(100);
        world.line(format!("c{client}    deed {deed} at {}", self.places[place].path));
        world.mix(&[60, client as u64, deed, place as u64]);
        match deed {
            0..=44 if !self.all[client].held.contains_key(&place) => self.register(client, place),
            0..=69 => self.update(client, place, Status::Up),
            70..=74 => self.update(client, place, Status::Draining),
            75..=84 => self.deregister(client, place),
            85..=93 => self.view(client, place),
            94..=95 => self.all[client].views.clear(),
            _ => self.restart(world, desk, client),
        }
    }

    fn instance(&mut self, client: usize, place: usize, status: Status) -> Instance {
        self.count += 1;
        let mut instance = self.places[place].instance.clone();
        instance.metadata.insert(String::from("turn"), format!("{client}-{}", self.count));
        instance.status = status;
        instance
    }

    fn register(&mut self, client: usize, place: usize) {
        let instance = self.instance(client, place, Status::Up);
        let registry = self.all[client].registries[self.places[place].layout].clone();
        let mut registering = registry.register(instance.into());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        // With an address given, the wish stands at once; the place may still be taken by one that is leaving.
        if let std::task::Poll::Ready(Ok(registered)) = registering.as_mut().poll(&mut cx) {
            // Another registration, which counts anew.
            let life = self.all[client].life;
            self.takeovers.remove(&(self.places[place].path.clone(), client, life));
            let held = Held { registered, stood: None, last: None, contested: false, wishes: 0 };
            self.all[client].held.insert(place, held);
        }
    }

    fn update(&mut self, client: usize, place: usize, status: Status) {
        let instance = self.instance(client, place, status);
        if let Some(held) = self.all[client].held.get_mut(&place) {
            held.wishes += 1;
            // The place is the same, so it cannot be refused.
            let _ = held.registered.update(instance);
        }
    }

    fn deregister(&mut self, client: usize, place: usize) {
        let Some(held) = self.all[client].held.remove(&place) else { return };
        let done = Arc::new(AtomicBool::new(false));
        self.all[client].leaving.push((place, done.clone()));
        tokio::spawn(async move {
            if held.registered.deregister().await.is_ok() {
                done.store(true, Ordering::Relaxed);
            }
        });
    }

    fn view(&mut self, client: usize, place: usize) {
        if self.all[client].views.len() >= 3 {
            return;
        }
        let (layout, service) = (self.places[place].layout, self.places[place].instance.service.clone());
        let services = Arc::new(Mutex::new(None));
        let (registry, slot) = (self.all[client].registries[layout].clone(), services.clone());
        let name = service.clone();
        tokio::spawn(async move {
            // Until the first complete set is there; nobody waits for it any more once the view is dropped.
            while Arc::strong_count(&slot) > 1 {
                match registry.discover(&name).await {
                    Ok(found) => {
                        *lock(&slot) = Some(found);
                        return;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        self.all[client].views.push(Viewing { layout, service, services, last: None, stale: false });
    }

    /// The process dies without a word, and another takes its place with the same wishes.
    fn restart(&mut self, world: &mut World, desk: &Desk, client: usize) {
        world.line(format!("c{client}    dies and comes back"));
        world.kill_outside(client);
        let life = self.all[client].life + 1;
        let Some(new) = process(world, desk, client, life) else { return };
        let old = std::mem::replace(&mut self.all[client], new);
        for place in old.held.keys() {
            self.register(client, *place);
        }
    }

    fn interfere(&mut self, world: &mut World) {
        let at = world.chance.index(self.places.len());
        let deed = world.chance.below(16);
        let other = self.instance(99, at, Status::Up);
        let place = &self.places[at];
        world.line(format!("third  deed {deed} at {}", place.path));
        world.mix(&[61, deed, at as u64]);
        let client = self.all[self.all.len() - 1].client.clone();
        let (path, dir) = (place.path.clone(), place.dir.clone());
        let layout = &self.layouts[place.layout];
        let own = layout.leaf(&other).map(|leaf| leaf.data).unwrap_or_default();
        let mut foreign = other;
        foreign.id.push_str("-not");
        let foreign = layout.leaf(&foreign).map(|leaf| leaf.data).unwrap_or_default();
        let open = self.open.clone();
        open.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            meddle(&client, deed, path, dir, own, foreign).await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Does a deed, whatever becomes of it.
async fn meddle(client: &Client, deed: u64, path: String, dir: String, own: Bytes, foreign: Bytes) {
    let _ = match deed {
        0..=2 => client.delete(path).await.map(drop),
        3..=5 => client.set(path, own).await.map(drop),
        6 | 7 => client.create(path).data(own).parents().await.map(drop),
        8 => client.create(path).data(foreign).ephemeral().parents().await.map(drop),
        9 | 10 => {
            let _ = client.delete(path.as_str()).await;
            client.create(path).data(foreign).ephemeral().parents().await.map(drop)
        }
        11 => client.create(format!("{dir}/no-instance")).data(&b"{"[..]).parents().await.map(drop),
        12 => client.delete(format!("{dir}/no-instance")).await.map(drop),
        13 => {
            contest(client, &path, &own).await;
            Ok(())
        }
        _ => {
            fell(client, &dir).await;
            Ok(())
        }
    };
}

/// Puts a lasting leaf of the same instance in place of what is there, again and again.
async fn contest(client: &Client, path: &str, own: &Bytes) {
    for _ in 0..8 {
        let _ = client.delete(path).await;
        let _ = client.create(path).data(own.clone()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Deletes a directory with all that is in it.
async fn fell(client: &Client, dir: &str) {
    let Ok((children, _)) = client.children(dir).await else { return };
    for name in children.iter() {
        let _ = client.delete(format!("{dir}/{name}")).await;
    }
    let _ = client.delete(dir).await;
}

/// The payload that a wish comes to.
pub(crate) fn wished(layout: &dyn Layout, instance: &Instance) -> Option<Bytes> {
    layout.keeps_leaf(instance).then(|| layout.leaf(instance).map(|leaf| leaf.data).unwrap_or_default())
}
