//! Every public future of the registry, dropped after every number of polls: what was wished stands, and nothing else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use menagerie::client::{Builder, Client, Transport};
use menagerie::registry::layout::Plain;
use menagerie::registry::{
    Discovery, Instance, InstanceBuilder, Registered, Registration, Registry, Services, ZooKeeper,
};
use menagerie::session::Server as Host;
use menagerie_server::Server;

use crate::support::{poll_once, settle, soon};

type Doing = Pin<Box<dyn Future<Output = ()>>>;

/// A client of an embedded server, and what a case needs of it.
struct World {
    server: Server,
    client: Client,
    registry: Arc<ZooKeeper>,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await.unwrap();
        let connector = server.connector();
        let transport = Transport::custom(move |_, _| connector.connect());
        let host = Host { host: String::from("embedded"), port: 2181 };
        let builder = Builder::servers(vec![host]).transport(transport);
        let client = builder.request_timeout(Duration::from_secs(5)).connect().await.unwrap();
        let registry = Arc::new(ZooKeeper::new(&client, Plain::new()));
        Self { server, client, registry }
    }

    async fn registered(&self) -> Registered {
        let registered = soon(self.registry.register(wish(1))).await.unwrap();
        soon(registered.registered()).await.unwrap();
        registered
    }

    async fn discovered(&self) -> Services {
        soon(self.registry.discover("time")).await.unwrap()
    }

    fn leaves(&self) -> usize {
        self.server.tree().iter().filter(|node| node.path.starts_with("/go_servers/")).count()
    }
}

fn wish(port: u16) -> InstanceBuilder {
    Instance::builder("time").host("10.0.0.1").port(port)
}

/// What a case leaves when its future and all handles are gone: so many leaves.
struct Case {
    name: &'static str,
    /// Handles that outlive the future, and the future.
    begin: fn(&World, Option<Registered>, Option<Services>) -> Doing,
    registered: bool,
    discovered: bool,
}

const CASES: [Case; 8] = [
    Case {
        name: "register",
        begin: |world, _, _| {
            let registry = world.registry.clone();
            Box::pin(async move { drop(registry.register(wish(1)).await) })
        },
        registered: false,
        discovered: false,
    },
    Case {
        name: "registered",
        begin: |world, _, _| {
            let registry = world.registry.clone();
            Box::pin(async move {
                let registered = registry.register(wish(1)).await.unwrap();
                drop(registered.registered().await);
            })
        },
        registered: false,
        discovered: false,
    },
    Case {
        name: "deregister",
        begin: |_, registered, _| Box::pin(async move { drop(registered.unwrap().deregister().await) }),
        registered: true,
        discovered: false,
    },
    Case {
        name: "drain",
        begin: |_, registered, _| {
            Box::pin(async move { drop(registered.unwrap().drain_for(Duration::from_millis(5)).await) })
        },
        registered: true,
        discovered: false,
    },
    Case {
        name: "events of a registration",
        begin: |_, registered, _| {
            Box::pin(async move {
                let registered = registered.unwrap();
                let mut events = registered.events();
                let _ = events.next().await;
                let mut drained = Instance::clone(&registered.instance());
                drained.status = menagerie::registry::Status::Draining;
                registered.update(drained).unwrap();
                let _ = events.next().await;
            })
        },
        registered: true,
        discovered: false,
    },
    Case {
        name: "discover",
        begin: |world, _, _| {
            let registry = world.registry.clone();
            Box::pin(async move { drop(registry.discover("time").await) })
        },
        registered: false,
        discovered: false,
    },
    Case {
        name: "changes of a view",
        begin: |world, _, services| {
            let registry = world.registry.clone();
            Box::pin(async move {
                let mut changes = services.unwrap().changes();
                let registered = registry.register(wish(2)).await.unwrap();
                registered.registered().await.unwrap();
                while changes.next().await.is_some_and(|change| change.set.is_empty()) {}
            })
        },
        registered: false,
        discovered: true,
    },
    Case {
        name: "close",
        begin: |world, registered, _| {
            let registry = world.registry.clone();
            Box::pin(async move {
                let _registered = registered;
                drop(registry.close().await);
            })
        },
        registered: true,
        discovered: true,
    },
];

/// Polls so many times, drops it and every handle, and looks what is left. True if the future completed before.
async fn dropped_after(case: &Case, polls: usize) -> bool {
    let world = World::new().await;
    let registered = if case.registered { Some(world.registered().await) } else { None };
    let services = if case.discovered { Some(world.discovered().await) } else { None };
    let mut doing = (case.begin)(&world, registered, services);
    let mut completed = false;
    for _ in 0..polls {
        if poll_once(&mut doing).await.is_ready() {
            completed = true;
            break;
        }
        settle().await;
    }
    drop(doing);
    // Requests under way are answered, and what is to be taken back is taken back.
    for _ in 0..20 {
        settle().await;
    }
    assert_eq!(world.leaves(), 0, "{} leaves a registration, dropped after {polls} polls", case.name);
    assert_eq!(
        world.client.stats().in_flight,
        0,
        "{} leaves requests, dropped after {polls} polls",
        case.name
    );
    if case.name == "close" && polls > 0 {
        assert!(world.server.sessions().is_empty(), "a dropped close still closes");
    } else {
        // One-shot watches that nobody waits for are left to fire; lasting ones are taken back.
        let mut lasting = world.server.watches();
        lasting.retain(|watch| watch.persistent || watch.recursive);
        assert_eq!(lasting, [], "{} leaves watches, dropped after {polls} polls", case.name);
        // Nobody else noticed, and the place is free.
        let again = world.registered().await;
        assert_eq!((world.leaves(), world.discovered().await.snapshot().len()), (1, 1));
        soon(again.deregister()).await.unwrap();
        assert_eq!(world.leaves(), 0);
    }
    completed
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_of_the_registry_leaves_nothing_behind() {
    for case in &CASES {
        let mut polls = 0;
        while !dropped_after(case, polls).await {
            polls += 1;
            assert!(polls < 60, "{} never completes", case.name);
        }
        assert!(polls > 0, "{} does something without being polled", case.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connect_of_a_registry_leaves_nothing_behind() {
    // Nobody listens there: it goes on trying as long as it is polled.
    let mut connecting = Box::pin(menagerie::registry::connect("zk://127.0.0.1:1?connect_timeout=20s"));
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for _ in 0..5 {
        assert!(poll_once(&mut connecting).await.is_pending());
        settle().await;
        assert!(tasks() > 0);
    }
    drop(connecting);
    // What looks names up is a thread of the runtime's own and may still be at it; the client's task is not.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while tasks() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the client goes on");
        settle().await;
    }
}
