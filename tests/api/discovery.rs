//! Live views on the embedded server: from any state of their directory, through outages, and one by one.

use std::collections::BTreeSet;
use std::time::Duration;

use menagerie::client::{Builder, Client, Transport};
use menagerie::jute::{ErrorCode, OpCode};
use menagerie::registry::layout::{GoMicro, Plain};
use menagerie::registry::view::Pace;
use menagerie::registry::{
    Discovery, Error, Instance, InstanceBuilder, Registered, Registration, ServiceEvent, ServiceNames,
    Services, Union, ViewHealth, ZooKeeper,
};
use menagerie::session::{Server as Host, State};
use menagerie_server::{Matcher, Server};
use tokio::time::Instant;

use crate::support::{settle, soon};

async fn client(server: &Server) -> Client {
    builder(server).connect().await.unwrap()
}

fn builder(server: &Server) -> Builder {
    let connector = server.connector();
    let transport = Transport::custom(move |_, _| connector.connect());
    Builder::servers(vec![Host { host: String::from("embedded"), port: 2181 }]).transport(transport)
}

fn wish(port: u16) -> InstanceBuilder {
    Instance::builder("time").id(format!("time-{port}")).host("10.0.0.1").port(port)
}

async fn registered(registry: &ZooKeeper, port: u16) -> Registered {
    let registered = soon(registry.register(wish(port))).await.unwrap();
    soon(registered.registered()).await.unwrap();
    registered
}

/// Waits until the view has so many instances.
async fn until(services: &Services, count: usize) {
    let mut changes = services.changes();
    soon(async {
        while services.snapshot().len() != count {
            changes.next().await.expect("the view goes on");
        }
    })
    .await;
}

/// J18: the directory is missing, made, emptied as a reaper does it, and made again, above and below the root.
#[tokio::test(start_paused = true)]
async fn a_view_follows_its_directory_from_any_state() {
    for one_shot in [false, true] {
        let server = Server::start().await.unwrap();
        let writer = client(&server).await;
        let reader = builder(&server).chroot("/far/away").connect().await.unwrap();
        let registry = ZooKeeper::new(&reader, Plain::at("/deep/go_servers").unwrap());
        let registry = if one_shot { registry.one_shot_watches() } else { registry };
        let services = soon(registry.discover("time")).await.unwrap();
        assert_eq!((services.snapshot().len(), services.health()), (0, ViewHealth::Fresh));
        let root = "/far/away/deep/go_servers";
        for round in 0..3 {
            writer.create(format!("{root}/10.0.0.1:1")).parents().await.unwrap();
            until(&services, 1).await;
            writer.create(format!("{root}/10.0.0.1:2")).await.unwrap();
            until(&services, 2).await;
            writer.delete(format!("{root}/10.0.0.1:1")).await.unwrap();
            writer.delete(format!("{root}/10.0.0.1:2")).await.unwrap();
            until(&services, 0).await;
            writer.delete(root).await.unwrap();
            if round > 0 {
                writer.delete("/far/away/deep").await.unwrap();
                writer.delete("/far/away").await.unwrap();
            }
            settle().await;
        }
        assert_eq!((services.snapshot().len(), services.health()), (0, ViewHealth::Fresh));
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_zookeeper_costs_no_pick_and_no_write() {
    let server = Server::start().await.unwrap();
    let (owner, reader) = (client(&server).await, client(&server).await);
    let providers = ZooKeeper::new(&owner, GoMicro::new());
    let mut kept = Vec::new();
    for port in 1..=40 {
        kept.push(registered(&providers, port).await);
    }
    let services = soon(ZooKeeper::new(&reader, GoMicro::new()).discover("time")).await.unwrap();
    until(&services, 40).await;
    let mut events = services.events();
    assert!(matches!(soon(events.next()).await, Some(ServiceEvent::Snapshot(set)) if set.len() == 40));
    let before = services.snapshot();
    let writes = server.zxid();
    server.stop().await.unwrap();
    while services.stale_since().is_none() {
        settle().await;
    }
    let mut picked = BTreeSet::new();
    for _ in 0..10_000 {
        let pick = services.pick().expect("the last view");
        assert!(before.iter().any(|one| *one == pick) && matches!(services.health(), ViewHealth::Stale(_)));
        picked.insert(pick.id.clone());
        tokio::time::sleep(Duration::from_millis(360)).await;
    }
    assert_eq!((picked.len(), services.snapshot().len()), (40, 40));
    assert!(services.stats().age >= Duration::from_secs(3599));
    assert!(matches!(soon(events.next()).await, Some(ServiceEvent::Stale(_))));
    server.clear_log();
    server.restart().await.unwrap();
    // Somebody else is faster than all of them: one more, and none of the old.
    let stranger = client(&server).await;
    let payload = server.tree().iter().find(|node| node.path.ends_with("/time-1")).unwrap().data.clone();
    let payload = String::from_utf8(payload.unwrap().to_vec()).unwrap().replace("time-1", "time-99");
    stranger.create("/micro-registry/time/time-99").data(payload).await.unwrap();
    let mut seen = reader.status();
    while seen.state != State::Connected {
        seen = soon(reader.status_change(&seen)).await;
    }
    let accepted = Instant::now();
    let window = Pace::default().resync_window(40);
    assert!(window > Duration::ZERO);
    let Some(ServiceEvent::Added(added)) = soon(events.next()).await else { panic!("not the difference") };
    assert_eq!(added.id, "time-99");
    assert_eq!(soon(events.next()).await, Some(ServiceEvent::Fresh));
    assert!(accepted.elapsed() <= Duration::from_secs(1) + window, "{:?}", accepted.elapsed());
    assert_eq!(services.health(), ViewHealth::Fresh);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(
        server.zxid(),
        writes + 2,
        "nobody wrote but the stranger, who began a session and made a znode"
    );
    assert_eq!(services.snapshot().len(), 41);
    let lists = server.requests().iter().filter(|request| request.op == OpCode::GET_CHILDREN2).count();
    assert_eq!(lists, 1, "everything is read once");
}

#[tokio::test(start_paused = true)]
async fn events_come_one_by_one_with_old_and_new() {
    let server = Server::start().await.unwrap();
    let (owner, reader) = (client(&server).await, client(&server).await);
    let providers = ZooKeeper::new(&owner, GoMicro::new());
    let services = soon(ZooKeeper::new(&reader, GoMicro::new()).discover("time")).await.unwrap();
    let mut events = services.events();
    assert!(matches!(soon(events.next()).await, Some(ServiceEvent::Snapshot(set)) if set.is_empty()));
    let one = registered(&providers, 1).await;
    assert!(matches!(soon(events.next()).await, Some(ServiceEvent::Added(added)) if added.id == "time-1"));
    let mut newer = Instance::clone(&one.instance());
    newer.version = "2".into();
    one.update(newer).unwrap();
    let Some(ServiceEvent::Updated(updated)) = soon(events.next()).await else { panic!("no update") };
    assert_eq!((updated.old.version.as_str(), updated.new.version.as_str()), ("", "2"));
    server.kill_connection(reader.status().session_id.unwrap());
    assert!(matches!(soon(events.next()).await, Some(ServiceEvent::Stale(_))));
    assert_eq!(
        soon(events.next()).await,
        Some(ServiceEvent::Fresh),
        "and nothing between, for nothing differs"
    );
    soon(one.deregister()).await.unwrap();
    assert!(matches!(soon(events.next()).await, Some(ServiceEvent::Removed(gone)) if gone.version == "2"));
    soon(reader.close()).await.unwrap();
    while let Some(event) = soon(events.next()).await {
        assert!(matches!(event, ServiceEvent::Stale(_)), "{event:?}");
    }
    assert!(matches!(services.health(), ViewHealth::Ended(_)));
}

#[tokio::test(start_paused = true)]
async fn the_list_of_services_follows_the_root() {
    let server = Server::start().await.unwrap();
    let (writer, reader) = (client(&server).await, client(&server).await);
    let names = soon(ZooKeeper::new(&reader, GoMicro::new()).services()).await.unwrap();
    let mut changes = names.changes();
    assert!(soon(changes.next()).await.unwrap().names.is_empty(), "the root is missing");
    writer.create("/micro-registry/time").parents().await.unwrap();
    let change = soon(changes.next()).await.unwrap();
    assert_eq!((change.added, change.removed), (vec![String::from("time")], vec![]));
    server.kill_connections();
    soon(async { while writer.create("/micro-registry/users").await.is_err() {} }).await;
    let change = soon(changes.next()).await.unwrap();
    assert_eq!((change.added, change.names.len()), (vec![String::from("users")], 2));
    writer.delete("/micro-registry/time").await.unwrap();
    assert_eq!(soon(changes.next()).await.unwrap().removed, ["time"]);
    writer.delete("/micro-registry/users").await.unwrap();
    writer.delete("/micro-registry").await.unwrap();
    assert_eq!(soon(changes.next()).await.unwrap().removed, ["users"]);
    writer.create("/micro-registry/again").parents().await.unwrap();
    assert_eq!(soon(changes.next()).await.unwrap().added, ["again"]);
    assert_eq!((names.stale_since(), names.last_failure()), (None, None));
    soon(reader.close()).await.unwrap();
    while soon(changes.next()).await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_view_over_two_roots_prefers_the_first_and_knows_which_is_stale() {
    let (old, new) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    let (first, second) = (client(&new).await, client(&old).await);
    let mut providers = Vec::new();
    for (at, version) in [(&first, "new"), (&second, "old")] {
        let registry = ZooKeeper::new(at, GoMicro::new());
        let one = soon(registry.register(wish(1).version(version))).await.unwrap();
        soon(one.registered()).await.unwrap();
        providers.push(one);
    }
    second.create("/go_servers/10.0.0.9:9").parents().await.unwrap();
    let sources = [
        ZooKeeper::new(&first, GoMicro::new()),
        ZooKeeper::new(&second, GoMicro::new()),
        ZooKeeper::new(&second, Plain::new()),
    ];
    let union = Union::new(sources);
    let services = soon(union.discover("time")).await.unwrap();
    let versions =
        |services: &Services| services.snapshot().iter().map(|one| one.version.clone()).collect::<Vec<_>>();
    assert_eq!(versions(&services), ["new", ""]);
    let places: Vec<_> =
        services.sources().iter().map(|one| (one.place.to_string(), one.instances)).collect();
    let micro = String::from("/micro-registry/time");
    assert_eq!(places, [(micro.clone(), Some(1)), (micro, Some(1)), ("/go_servers".to_owned(), Some(1))]);
    // The first is gone: the second stands in for it.
    soon(providers.remove(0).deregister()).await.unwrap();
    let mut events = services.events();
    while versions(&services) != ["old", ""] {
        soon(events.next()).await.unwrap();
    }
    new.stop().await.unwrap();
    while services.health() == ViewHealth::Fresh {
        soon(events.next()).await.unwrap();
    }
    let stale: Vec<bool> = services.sources().iter().map(|one| one.stale_since.is_some()).collect();
    assert_eq!(stale, [true, false, false]);
    assert_eq!(services.snapshot().len(), 2);
    let names = soon(Union::new([ZooKeeper::new(&second, GoMicro::new())]).services()).await.unwrap();
    assert_eq!(names.snapshot().iter().collect::<Vec<_>>(), ["time"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_without_zookeeper_begins_with_what_was_saved() {
    let folder = std::env::temp_dir().join(format!("menagerie-saved-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let server = Server::start().await.unwrap();
    let owner = client(&server).await;
    let registry = ZooKeeper::new(&owner, GoMicro::new()).saved_in(&folder);
    let kept = registered(&registry, 1).await;
    let services = soon(registry.discover("time")).await.unwrap();
    until(&services, 1).await;
    let saved = || std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    soon(async {
        while saved().iter().all(|file| file.extension().unwrap() != "json") {
            settle().await
        }
    })
    .await;
    drop(services);
    server.stop().await.unwrap();
    let lazy = builder(&server).connect_lazy().unwrap();
    let registry = ZooKeeper::new(&lazy, GoMicro::new()).saved_in(&folder);
    let services = soon(registry.discover("time")).await.unwrap();
    assert_eq!(services.pick().unwrap().id, "time-1");
    assert!(matches!(services.health(), ViewHealth::Stale(_)), "{:?}", services.health());
    let mut events = services.events();
    assert!(matches!(soon(events.next()).await, Some(ServiceEvent::Snapshot(set)) if set.len() == 1));
    assert!(matches!(soon(events.next()).await, Some(ServiceEvent::Stale(_))));
    server.restart().await.unwrap();
    assert_eq!(soon(events.next()).await, Some(ServiceEvent::Fresh), "nothing differs");
    drop((services, events));
    // A file that is none is not used.
    let hostile = folder.join("hostile");
    std::fs::create_dir(&hostile).unwrap();
    for file in saved().iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
        std::fs::write(hostile.join(file.file_name().unwrap()), "{}").unwrap();
    }
    server.stop().await.unwrap();
    let lazy = builder(&server).connect_lazy().unwrap();
    let registry = ZooKeeper::new(&lazy, GoMicro::new()).saved_in(&hostile);
    let nothing = soon(registry.discover("time")).await.unwrap_err();
    assert!(matches!(nothing, Error::NotRead { .. }), "{nothing}");
    drop(kept);
    // A set may be on its way to the disk still.
    soon(async {
        while std::fs::remove_dir_all(&folder).is_err() {
            settle().await
        }
    })
    .await;
}

/// One source that cannot be listed does not hide what the others have, and is named.
#[tokio::test(start_paused = true)]
async fn a_list_over_several_sources_says_which_of_them_cannot_be_listed() {
    let (up, refusing, down) =
        (Server::start().await.unwrap(), Server::start().await.unwrap(), Server::start().await.unwrap());
    let writer = client(&up).await;
    writer.create("/micro-registry/time").parents().await.unwrap();
    refusing.fail(Matcher::op(OpCode::GET_CHILDREN2).path("/micro-registry").times(1000), ErrorCode::NO_AUTH);
    let lazy = builder(&down).connect_lazy().unwrap();
    down.stop().await.unwrap();
    let sources =
        [&writer, &client(&refusing).await, &lazy].map(|client| ZooKeeper::new(client, GoMicro::new()));
    let names = soon(Union::new(sources).services()).await.unwrap();
    assert_eq!(names.snapshot().iter().collect::<Vec<_>>(), ["time"]);
    let told = |names: &ServiceNames| {
        let sources = names.sources();
        sources.iter().map(|one| (one.services, one.failure.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(told(&names), [(Some(1), false), (None, true), (None, false)]);
    assert!(
        names.sources().iter().all(|one| &*one.root == "/micro-registry") && names.stale_since().is_some()
    );
    // They join as they come.
    refusing.forget_plans();
    down.restart().await.unwrap();
    let other = client(&down).await;
    other.create("/micro-registry/users").parents().await.unwrap();
    soon(async {
        while names.snapshot().len() != 2 || told(&names)[1].1 {
            settle().await;
        }
    })
    .await;
    assert_eq!(told(&names), [(Some(1), false), (Some(0), false), (Some(1), false)]);
    // Where none can be listed, that is the answer.
    down.stop().await.unwrap();
    let error = soon(Union::new([ZooKeeper::new(&lazy, GoMicro::new())]).services()).await.unwrap_err();
    assert!(matches!(error, Error::NotRead { waited, .. } if waited > Duration::ZERO), "{error}");
    assert_eq!(soon(Union::new([]).services()).await.unwrap().snapshot().len(), 0);
}
