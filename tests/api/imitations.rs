//! Registrations and views on every server that the embedded one imitates, in both layouts, and what they cost it: connections
//! are counted where the client dials and in the server's log.
//!
//! What a client may dial: once at first; once for each operation that the server does not know (it hangs up behind its answer),
//! in each session; once for each connection that it loses; twice for a session that has expired, the first of them to hear of
//! it; and while it finds nobody at most twice a second, behind two hasty passes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use menagerie::client::{Builder, Client, ReadResult, Transport, WatchEvent};
use menagerie::jute::{ErrorCode, OpCode};
use menagerie::registry::layout::{GoMicro, Layout, Plain};
use menagerie::registry::{
    Discovery, Instance, InstanceBuilder, Registered, Registration, Services, ZooKeeper,
};
use menagerie::session::{Server as Host, State};
use menagerie_server::{Like, Server, What};
use tokio::time::Instant;

use crate::support::{settle, soon};

const LIKES: [Like; 5] = [Like::V3_4, Like::V3_5, Like::V3_8, Like::V3_9, Like::Keeper];

/// Longer than everything that a client does by itself, session timeouts and the longest pauses included.
const PATIENCE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3_600);

/// One server, like another one, and the layout of what is registered there.
struct World {
    name: String,
    like: Like,
    plain: bool,
    server: Server,
}

/// A client, and the way to the server that only it takes.
struct Party {
    client: Client,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    dials: AtomicUsize,
    /// Dials find nobody.
    cut: AtomicBool,
}

/// A registration, and two views of it: the owner's and another client's.
struct Scene {
    world: World,
    owner: Party,
    reader: Party,
    registered: Registered,
    own: Services,
    services: Services,
}

async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for like in LIKES {
        for plain in [false, true] {
            let name = format!("{like:?}, {}", if plain { "plain" } else { "go-micro" });
            let server = Server::builder().like(like).start().await.unwrap();
            worlds.push(World { name, like, plain, server });
        }
    }
    worlds
}

fn wish(port: u16) -> InstanceBuilder {
    Instance::builder("time").id(format!("time-{port}")).host("10.0.0.1").port(port)
}

impl World {
    async fn party(&self) -> Party {
        let line = Arc::new(Line::default());
        let (connector, counted) = (self.server.connector(), line.clone());
        let transport = Transport::custom(move |_, _| {
            counted.dials.fetch_add(1, Relaxed);
            let (dial, cut) = (connector.connect(), counted.cut.load(Relaxed));
            async move { if cut { Err(io::ErrorKind::ConnectionRefused.into()) } else { dial.await } }
        });
        let host = Host { host: String::from("embedded"), port: 2181 };
        let client = Builder::servers(vec![host]).transport(transport).connect().await.unwrap();
        Party { client, line }
    }

    fn registry(&self, client: &Client) -> ZooKeeper {
        if self.plain { ZooKeeper::new(client, Plain::new()) } else { ZooKeeper::new(client, GoMicro::new()) }
    }

    fn layout(&self) -> Box<dyn Layout> {
        if self.plain { Box::new(Plain::new()) } else { Box::new(GoMicro::new()) }
    }

    /// The leaves of the service: data and owner of each.
    fn leaves(&self) -> BTreeMap<String, (Bytes, i64)> {
        let dir = format!("{}/", self.layout().service_dir("time").unwrap());
        let tree = self.server.tree().into_iter().filter(|node| node.path.starts_with(&dir));
        tree.map(|node| (node.path.to_string(), (node.data.unwrap_or_default(), node.stat.ephemeral_owner)))
            .collect()
    }

    /// Whether the view says what the tree does, to the byte.
    fn shows(&self, services: &Services) -> bool {
        let leaf = |instance: &Arc<Instance>| self.layout().leaf(instance).unwrap();
        let seen: BTreeMap<_, _> = services.snapshot().iter().map(leaf).map(|l| (l.path(), l.data)).collect();
        services.stale_since().is_none()
            && seen == self.leaves().into_iter().map(|(path, (data, _))| (path, data)).collect()
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{}: {what}", self.name);
            settle().await;
        }
    }

    /// Connections that came, by the server's log.
    fn came(&self) -> usize {
        self.server.log().iter().filter(|entry| matches!(entry.what, What::Connected(_))).count()
    }

    /// Operations of the registry that this server does not know.
    fn unknown(&self, party: Role) -> usize {
        match (self.like, party) {
            (Like::V3_4 | Like::V3_5, Role::Reader) => 1,
            (Like::V3_4, Role::Owner) => 2,
            (Like::V3_5, Role::Owner) => 1,
            _ => 0,
        }
    }
}

#[derive(Clone, Copy)]
enum Role {
    /// It creates leaves and watches the service.
    Owner,
    /// It watches the service.
    Reader,
}

impl Party {
    fn dials(&self) -> usize {
        self.line.dials.load(Relaxed)
    }

    fn session(&self) -> i64 {
        self.client.status().session_id.unwrap_or(0)
    }
}

impl Scene {
    async fn set(world: World) -> Self {
        let (owner, reader) = (world.party().await, world.party().await);
        let registry = world.registry(&owner.client);
        let registered = soon(registry.register(wish(1))).await.unwrap();
        soon(registered.registered()).await.unwrap();
        let own = soon(registry.discover("time")).await.unwrap();
        let services = soon(world.registry(&reader.client).discover("time")).await.unwrap();
        let scene = Self { world, owner, reader, registered, own, services };
        scene.stands().await;
        scene
    }

    fn is_as_wished(&self) -> bool {
        let Self { world, owner, registered, own, services, .. } = self;
        let path = world.layout().leaf(&registered.instance()).unwrap().path();
        let owned = world.leaves().get(&path).is_some_and(|&(_, session)| session == owner.session());
        owned && world.shows(own) && world.shows(services)
    }

    /// The registration is the live session's and both views say what is there, and all of it stays so without a dial.
    async fn stands(&self) {
        self.world.until("the registration or a view is not as the tree", || self.is_as_wished()).await;
        let dials = self.dials();
        tokio::time::sleep(PATIENCE).await;
        assert!(self.is_as_wished(), "{}: it did not stay so", self.world.name);
        assert_eq!(dials, self.dials(), "{}: dials with nothing to do", self.world.name);
    }

    fn dials(&self) -> [usize; 2] {
        [self.owner.dials(), self.reader.dials()]
    }

    /// Neither client dialled more often than `most` since, beside once for each operation that the server does not know.
    fn bounded(&self, since: [usize; 2], most: usize) {
        for ((now, before), role) in self.dials().into_iter().zip(since).zip([Role::Owner, Role::Reader]) {
            let (dials, most) = (now - before, most + self.world.unknown(role));
            assert!(dials <= most, "{}: {dials} dials, and not {most}", self.world.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn registrations_and_views_live_through_reconnects_on_every_imitation() {
    for world in worlds().await {
        let scene = Scene::set(world).await;
        let (world, server) = (&scene.world, &scene.world.server);
        let first = [Role::Owner, Role::Reader].map(|role| 1 + world.unknown(role));
        assert_eq!(scene.dials(), first, "{}", world.name);
        assert_eq!(world.came(), first.iter().sum::<usize>(), "{}", world.name);
        let (writes, sessions) = (scene.registered.status().writes, server.sessions().len());
        for round in 1..=10 {
            let (dials, came) = (scene.dials(), world.came());
            assert_eq!(server.kill_connections(), 2, "{}", world.name);
            let dials = dials.map(|dials| dials + 1);
            world.until("nobody comes back", || scene.dials() == dials).await;
            scene.stands().await;
            assert_eq!(scene.dials(), dials, "{}: round {round}", world.name);
            assert_eq!(world.came(), came + 2, "{}: round {round}", world.name);
        }
        assert_eq!(scene.registered.status().writes, writes, "{}: a reconnect costs no write", world.name);
        assert_eq!(server.sessions().len(), sessions, "{}", world.name);
    }
}

#[tokio::test(start_paused = true)]
async fn registrations_and_views_live_through_expiries_on_every_imitation() {
    for world in worlds().await {
        let scene = Scene::set(world).await;
        for _ in 0..3 {
            let (dials, before) = (scene.dials(), [scene.owner.session(), scene.reader.session()]);
            for session in before {
                assert!(scene.world.server.expire(session), "{}", scene.world.name);
            }
            let moved = || {
                let [owner, reader] = before;
                ![owner, 0].contains(&scene.owner.session()) && ![reader, 0].contains(&scene.reader.session())
            };
            scene.world.until("the session did not end", moved).await;
            scene.stands().await;
            scene.bounded(dials, 2);
            assert_eq!(scene.world.leaves().len(), 1, "{}", scene.world.name);
        }
        assert_eq!(scene.owner.client.status().epoch, 4, "{}", scene.world.name);
        assert_eq!(scene.world.server.sessions().len(), 2, "{}: sessions left over", scene.world.name);
    }
}

#[tokio::test(start_paused = true)]
async fn registrations_and_views_live_through_restarts_on_every_imitation() {
    for world in worlds().await {
        let scene = Scene::set(world).await;
        let session = scene.owner.session();
        for away in [1, 30, 300] {
            let dials = scene.dials();
            scene.world.server.stop().await.unwrap();
            tokio::time::sleep(Duration::from_secs(away)).await;
            scene.world.server.restart().await.unwrap();
            scene.stands().await;
            scene.bounded(dials, 4 + 2 * usize::try_from(away).unwrap());
            assert_eq!(scene.owner.session(), session, "{}: the server kept it", scene.world.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn views_see_what_changed_while_apart_on_every_imitation() {
    for world in worlds().await {
        let scene = Scene::set(world).await;
        let (world, reader) = (&scene.world, &scene.reader);
        let registry = world.registry(&scene.owner.client);
        let gone = soon(registry.register(wish(2))).await.unwrap();
        soon(gone.registered()).await.unwrap();
        scene.stands().await;
        let (dials, session) = (scene.dials(), reader.session());
        // The server counts from here: from an earlier ping the session might not outlive two attempts in vain.
        soon(reader.client.exists("/").into_future()).await.unwrap();
        reader.line.cut.store(true, Relaxed);
        assert!(world.server.kill_connection(session), "{}", world.name);
        let mut changed = Instance::clone(&scene.registered.instance());
        changed.metadata.insert("zone", "b");
        scene.registered.update(changed).unwrap();
        soon(gone.deregister()).await.unwrap();
        let come = soon(registry.register(wish(3))).await.unwrap();
        soon(come.registered()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(scene.services.stale_since().is_some(), "{}", world.name);
        reader.line.cut.store(false, Relaxed);
        scene.stands().await;
        scene.bounded(dials, 4 + 2 * 4);
        assert_eq!(reader.session(), session, "{}: within the session", world.name);
        // What comes after the reconnect is heard as well, and within it nobody dials.
        let dials = scene.dials();
        soon(come.deregister()).await.unwrap();
        world.until("a change after the reconnect", || world.shows(&scene.services)).await;
        assert_eq!((world.leaves().len(), dials), (1, scene.dials()), "{}", world.name);
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_nothing_costs_pings_only_on_every_imitation() {
    for world in worlds().await {
        let scene = Scene::set(world).await;
        let (dials, server) = (scene.dials(), &scene.world.server);
        let begun = Instant::now();
        while begun.elapsed() < HOUR {
            server.clear_log();
            tokio::time::sleep(HOUR / 12).await;
            assert_eq!(scene.world.came(), 0, "{}", scene.world.name);
            let mut asked = server.requests().into_iter().map(|request| request.op);
            assert_eq!(asked.find(|&op| op != OpCode::PING), None, "{}", scene.world.name);
        }
        assert_eq!(scene.dials(), dials, "{}", scene.world.name);
        assert!(scene.is_as_wished(), "{}", scene.world.name);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_a_server_does_not_know_costs_one_connection_however_many_views_want_it() {
    for world in worlds().await {
        let reader = world.party().await;
        let registry = world.registry(&reader.client);
        let mut views = Vec::new();
        for number in 0..20 {
            views.push(soon(registry.discover(&format!("service-{number}"))).await.unwrap());
        }
        let (dials, most) = (reader.dials(), 1 + world.unknown(Role::Reader));
        assert!(dials <= most, "{}: {dials} dials, and not {most}", world.name);
        assert_eq!(world.came(), dials, "{}", world.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_session_in_place_of_the_old_one_ends_that_one_honestly() {
    let world = World {
        name: "Keeper".into(),
        like: Like::Keeper,
        plain: false,
        server: Server::builder().like(Like::Keeper).start().await.unwrap(),
    };
    let scene = Scene::set(world).await;
    let (client, server) = (&scene.owner.client, &scene.world.server);
    let (pinned, before) = (client.session(), client.status());
    let (_, _, changed) = pinned.get("/").watch().await.unwrap();
    client.create("/mine").ephemeral().await.unwrap();
    let dials = scene.dials();
    server.clear_log();
    assert!(server.expire(before.session_id.unwrap()));
    assert!(matches!(soon(changed).await, WatchEvent::SessionEnded(_)));
    let error = pinned.get("/").await.unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    let mut seen = client.status();
    while seen.epoch == before.epoch || seen.state != State::Connected {
        seen = soon(client.status_change(&seen)).await;
    }
    let opened: Vec<_> =
        server.log().into_iter().filter(|entry| matches!(entry.what, What::Opened { .. })).collect();
    // The one that was given in place of the old one is not taken for it, nor for the next.
    assert_eq!(opened.len(), 2);
    assert_eq!(seen.session_id, opened.last().map(|entry| entry.session));
    assert!(client.exists("/mine").await.unwrap().is_none());
    scene.stands().await;
    scene.bounded(dials, 2);
    assert_eq!(server.sessions().len(), 2, "what nobody took is over by its time");
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_in_a_bundle_spoils_no_other_on_any_imitation() {
    for world in worlds().await {
        let client = world.party().await.client;
        client.create("/a").data("x").await.unwrap();
        match client.get_many(["/a", "/none", "/a"]).await {
            Ok(found) => {
                assert!(world.like >= Like::V3_8, "{}", world.name);
                let [ReadResult::Data(first, _), ReadResult::Failed(code), ReadResult::Data(last, _)] =
                    &found[..]
                else {
                    panic!("{}: {found:?}", world.name)
                };
                assert_eq!((&**first, *code, &**last), (&b"x"[..], ErrorCode::NO_NODE, &b"x"[..]));
            }
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode::UNIMPLEMENTED), "{}: {error}", world.name);
                assert!(world.like < Like::V3_8, "{}", world.name);
            }
        }
    }
}

/// As in an ensemble whose members are replaced one by one, forwards or backwards.
#[tokio::test(start_paused = true)]
async fn views_hear_of_changes_when_their_server_gives_way_to_one_of_another_release() {
    for world in worlds().await {
        let scene = Scene::set(world).await;
        let (world, session) = (&scene.world, scene.reader.session());
        let registry = world.registry(&scene.owner.client);
        for (port, like) in (2..).zip(LIKES.into_iter().rev().chain(LIKES)) {
            let (dials, name) = (scene.dials(), format!("{} to {like:?}", world.name));
            world.server.imitate(like);
            world.until(&name, || scene.dials().iter().zip(dials).all(|(now, before)| *now > before)).await;
            scene.stands().await;
            let more = soon(registry.register(wish(port))).await.unwrap();
            soon(more.registered()).await.unwrap();
            world.until(&name, || world.shows(&scene.own) && world.shows(&scene.services)).await;
            soon(more.deregister()).await.unwrap();
            world.until(&name, || world.shows(&scene.own) && world.shows(&scene.services)).await;
            // The one that comes, and those that learn what the server does not know: to set lasting watches, and again.
            let spent = scene.dials().iter().zip(dials).map(|(now, before)| now - before).max().unwrap();
            assert!(spent <= 4, "{name}: {spent} dials");
            assert_eq!(scene.reader.session(), session, "{name}");
        }
    }
}
