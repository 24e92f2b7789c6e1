//! What a row has: a server, a provider that can die, a consumer, and a stranger.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use menagerie::client::{Builder, Client, Transport};
use menagerie::registry::layout::{
    Curator, DubboApplication, DubboInterface, GoMicro, Kind, Layout, Plain, Registrator, ServerSet,
    SpringCloud,
};
use menagerie::registry::{
    Discovery, Instance, InstanceBuilder, Registered, Registration, ServiceEvent, ServiceEvents, Services,
    ZooKeeper,
};
use menagerie::session::{Server as Host, State};
use menagerie_server::{NodeView, Server};

use crate::support::{settle, soon};

/// The session timeout of every client.
pub(super) const TIMEOUT: Duration = Duration::from_secs(9);

/// One server, and one layout on it.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) kind: Kind,
    pub(super) layout: Box<dyn Layout>,
    /// Neither provides nor consumes: it makes and removes znodes as any program may.
    pub(super) stranger: Client,
}

/// A process that registers, and can die without a word.
pub(super) struct Process {
    pub(super) client: Client,
    pub(super) registry: ZooKeeper,
    dead: Arc<AtomicBool>,
}

/// The layout of each kind, at a root of its own where it has none.
fn layout(kind: Kind) -> Box<dyn Layout> {
    match kind {
        Kind::GoMicro => Box::new(GoMicro::new()),
        Kind::Curator => Box::new(Curator::at("/discovery").unwrap()),
        Kind::SpringCloud => Box::new(SpringCloud::new()),
        Kind::DubboInterface => Box::new(DubboInterface::new()),
        Kind::DubboApplication => Box::new(DubboApplication::new()),
        Kind::Registrator => Box::new(Registrator::at("/services").unwrap()),
        Kind::ServerSet => Box::new(ServerSet::at("/discovery/prod").unwrap()),
        Kind::Plain => Box::new(Plain::new()),
        other => panic!("{other} is not written"),
    }
}

fn registry(client: &Client, kind: Kind) -> ZooKeeper {
    match kind {
        Kind::GoMicro => ZooKeeper::new(client, GoMicro::new()),
        Kind::Curator => ZooKeeper::new(client, Curator::at("/discovery").unwrap()),
        Kind::SpringCloud => ZooKeeper::new(client, SpringCloud::new()),
        Kind::DubboInterface => ZooKeeper::new(client, DubboInterface::new()),
        Kind::DubboApplication => ZooKeeper::new(client, DubboApplication::new()),
        Kind::Registrator => ZooKeeper::new(client, Registrator::at("/services").unwrap()),
        Kind::ServerSet => ZooKeeper::new(client, ServerSet::at("/discovery/prod").unwrap()),
        Kind::Plain => ZooKeeper::new(client, Plain::new()),
        other => panic!("{other} is not written"),
    }
}

/// The instance that rows register. Its time is given, as what a process says of itself when it comes back.
pub(super) fn wish(port: u16) -> InstanceBuilder {
    let wish = Instance::builder("time").id(format!("time-{port}")).host("10.0.0.1").port(port);
    wish.registered_at_ms(1_700_000_000_000)
}

impl World {
    pub(super) async fn of(kind: Kind) -> Self {
        let server = Server::start().await.unwrap();
        let stranger = builder(&server, &Arc::default()).connect().await.unwrap();
        Self { server, kind, layout: layout(kind), stranger }
    }

    pub(super) async fn process(&self) -> Process {
        let process = self.lazy_process();
        soon(connected(&process.client)).await;
        process
    }

    /// One that does not wait until it is connected.
    pub(super) fn lazy_process(&self) -> Process {
        let dead = Arc::default();
        let client = builder(&self.server, &dead).connect_lazy().unwrap();
        Process { registry: registry(&client, self.kind), client, dead }
    }

    /// A view of the service by a process of its own.
    pub(super) async fn view(&self) -> Services {
        soon(self.process().await.registry.discover("time")).await.unwrap()
    }

    /// The leaf of a registration, if it is there.
    pub(super) fn leaf(&self, registered: &Registered) -> Option<NodeView> {
        let path = self.layout.leaf(&registered.instance()).unwrap().path();
        self.server.tree().into_iter().find(|node| *node.path == *path)
    }

    /// How often anything was written, sessions included.
    pub(super) fn writes(&self) -> i64 {
        self.server.zxid()
    }

    /// The directory of the service, made by a stranger.
    pub(super) async fn make_dir(&self) -> String {
        let dir = self.layout.service_dir("time").unwrap();
        self.stranger.create(dir.as_str()).parents().await.unwrap();
        dir
    }

    /// Whether readers of the layout hear of a status.
    pub(super) fn tells_status(&self) -> bool {
        self.layout.expresses_status()
    }
}

fn builder(server: &Server, dead: &Arc<AtomicBool>) -> Builder {
    let (connector, dead) = (server.connector(), Arc::clone(dead));
    let transport = Transport::custom(move |_, _| {
        let dialled = (!dead.load(Ordering::Relaxed)).then(|| connector.connect());
        Box::pin(async move {
            match dialled {
                Some(dialled) => dialled.await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    });
    let host = Host { host: String::from("embedded"), port: 2181 };
    Builder::servers(vec![host]).transport(transport).session_timeout(TIMEOUT)
}

async fn connected(client: &Client) {
    let mut seen = client.status();
    while seen.state != State::Connected {
        seen = client.status_change(&seen).await;
    }
}

impl Process {
    pub(super) fn session(&self) -> i64 {
        self.client.status().session_id.unwrap()
    }

    /// It is killed: its connection breaks, and nothing comes from it any more.
    pub(super) fn kill(&self, world: &World) {
        self.dead.store(true, Ordering::Relaxed);
        assert!(world.server.kill_connection(self.session()));
    }

    pub(super) async fn register(&self, wish: InstanceBuilder) -> Registered {
        let registered = soon(self.registry.register(wish)).await.unwrap();
        soon(registered.registered()).await.unwrap();
        registered
    }
}

/// Waits until something is so, by the server's and the client's own time.
pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            settle().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(120), waited).await.is_ok(), "not in time: {what}");
}

/// Waits until the view has instances at these ports and no other, and is fresh.
pub(super) async fn shows(services: &Services, ports: &[u16]) {
    until(&format!("a view of {ports:?}"), || {
        let set = services.snapshot();
        let mut found: Vec<u16> = set.iter().map(|instance| instance.address.port()).collect();
        found.sort_unstable();
        found == ports && services.health().is_fresh()
    })
    .await;
}

/// What the view tells within this time, one word each.
pub(super) async fn told(events: &mut ServiceEvents, within: Duration) -> Vec<&'static str> {
    let mut told = Vec::new();
    let _ = tokio::time::timeout(within, async {
        while let Some(event) = events.next().await {
            told.push(match event {
                ServiceEvent::Snapshot(_) => "snapshot",
                ServiceEvent::Added(_) => "added",
                ServiceEvent::Updated(_) => "updated",
                ServiceEvent::Removed(_) => "removed",
                ServiceEvent::Stale(_) => "stale",
                ServiceEvent::Fresh => "fresh",
                other => panic!("{other:?}"),
            });
        }
    })
    .await;
    told
}

/// Waits for a future that is to go on in the background meanwhile.
pub(super) fn started<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(future)
}

/// What a future has by now, if it has anything.
pub(super) async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::ZERO, future).await.ok()
}
