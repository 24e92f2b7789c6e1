//! The rows of an undisturbed life: registered, changed, drained, deregistered.

use std::time::Duration;

use menagerie::registry::layout::Kind;
use menagerie::registry::{Address, Discovery, Instance, RegistrationState, Status};
use tokio::time::Instant;

use super::world::{TIMEOUT, World, now, shows, started, told, until, wish};
use crate::support::{settle, soon};

/// What is registered stands in the tree to the byte that the layout says, and is discovered whole, but for the fields that the
/// layout says it does not tell.
pub(super) async fn register(world: World) {
    let provider = world.process().await;
    let wish = wish(80).version("1.2.0").metadata("k", "v").tag("blue").weight(7).zone("z-1");
    let registered = provider.register(wish.endpoint("admin", "10.0.0.1:81".parse().unwrap())).await;
    let wished = registered.instance();
    let (leaf, node) = (world.layout.leaf(&wished).unwrap(), world.leaf(&registered).unwrap());
    assert_eq!(node.data.unwrap_or_default(), leaf.data);
    assert_eq!(node.stat.ephemeral_owner, provider.session());
    let services = world.view().await;
    shows(&services, &[80]).await;
    let found = services.pick().unwrap();
    let lost = world.layout.lost(&wished).unwrap();
    let kept = |field: &str, is_kept: bool| assert!(is_kept || lost.contains(&field), "{field} is lost");
    kept("id", found.id == wished.id);
    kept("address", found.address == wished.address);
    kept("version", found.version == wished.version);
    kept("metadata", wished.metadata.iter().all(|(key, value)| found.metadata.get(key) == Some(value)));
    kept("tags", found.tags == wished.tags);
    kept("weight", found.weight == wished.weight);
    kept("zone", found.zone == wished.zone);
    kept("endpoints", found.endpoints == wished.endpoints);
    kept("registered_at_ms", found.registered_at_ms == wished.registered_at_ms);
    assert_eq!((found.service.as_str(), found.status), ("time", Status::Up));
    assert_eq!(lost.is_empty(), world.kind != Kind::Plain, "{lost:?}");
}

/// IPv4, IPv6 and a host name come back, however the layout brackets them.
pub(super) async fn addresses(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    for (number, host) in
        ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "time-1.svc.cluster.local"].iter().enumerate()
    {
        let registered = provider.register(wish(80).id(format!("time-{number}")).host(*host)).await;
        let expected = Address::new(host, 80).unwrap();
        until(host, || services.snapshot().iter().any(|one| one.address == expected)).await;
        let leaf = world.leaf(&registered).unwrap();
        let (name, data) = (leaf.path.rsplit('/').next().unwrap(), leaf.data.unwrap_or_default());
        let spelled = spelling(world.kind, host);
        assert!(
            name.contains(&spelled) || String::from_utf8_lossy(&data).contains(&spelled),
            "{spelled} {name}"
        );
        soon(registered.deregister()).await.unwrap();
        shows(&services, &[]).await;
    }
}

/// How the programs of this layout write a host and the port 80: not ours to choose.
fn spelling(kind: Kind, host: &str) -> String {
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match kind {
        Kind::GoMicro | Kind::Plain => format!("{bracketed}:80"),
        Kind::DubboInterface => {
            format!("%2F{}%3A80%2F", bracketed.replace('[', "%5B").replace(']', "%5D").replace(':', "%3A"))
        }
        Kind::Registrator | Kind::DubboApplication => format!("{host}:80"),
        _ => format!("\"{host}\""),
    }
}

fn version(instance: &Instance, version: &str) -> Instance {
    let mut newer = instance.clone();
    newer.version = version.to_owned();
    newer
}

/// A change is one write, of the same leaf, and none if nothing changed. Of Dubbo's interfaces the name says all: there another
/// leaf comes and the old one goes, in one transaction, and no set is without both.
pub(super) async fn update(world: World) {
    let provider = world.process().await;
    let registered = provider.register(wish(80).version("1")).await;
    let services = world.view().await;
    shows(&services, &[80]).await;
    let (mut events, mut changes) = (services.events(), services.changes());
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["snapshot"]);
    let (before, writes) = (world.leaf(&registered).unwrap(), world.writes());
    let newer = version(&registered.instance(), "2");
    registered.update(newer.clone()).unwrap();
    let mut heard = told(&mut events, Duration::from_secs(5)).await;
    while let Some(Some(change)) = now(changes.next()).await {
        assert_eq!(change.set.len(), 1, "{change:?}");
    }
    let after = world.leaf(&registered).unwrap();
    if world.kind == Kind::Plain {
        assert_eq!((heard, world.writes()), (Vec::new(), writes), "a leaf says nothing but the address");
    } else if world.kind == Kind::DubboInterface {
        heard.sort_unstable();
        assert_eq!(heard, ["added", "removed"]);
        assert!(after.path != before.path && world.server.tree().iter().all(|node| node.path != before.path));
    } else {
        assert_eq!(heard, ["updated"]);
        assert_eq!((after.stat.czxid, after.stat.version), (before.stat.czxid, before.stat.version + 1));
    }
    if world.kind != Kind::Plain {
        assert_eq!((services.pick().unwrap().version.as_str(), world.writes()), ("2", writes + 1));
    }
    let writes = world.writes();
    registered.update(newer).unwrap();
    assert_eq!(told(&mut events, Duration::from_secs(5)).await, [""; 0]);
    assert_eq!(world.writes(), writes, "nothing changed");
}

/// Of what was changed while ZooKeeper was away the latest is written, once.
pub(super) async fn update_apart(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80).version("1")).await;
    shows(&services, &[80]).await;
    let writes = world.writes();
    world.server.stop().await.unwrap();
    until("stale", || services.stale_since().is_some()).await;
    for number in 2..=5 {
        registered.update(version(&registered.instance(), &number.to_string())).unwrap();
    }
    world.server.restart().await.unwrap();
    shows(&services, &[80]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let says = world.kind != Kind::Plain;
    assert_eq!(world.writes(), writes + i64::from(says));
    assert_eq!(services.pick().unwrap().version == "5", says);
}

/// A status is told to readers that know one, and otherwise the leaf goes; the wish stays, and up again is up again.
pub(super) async fn status(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80)).await;
    shows(&services, &[80]).await;
    let up = Instance::clone(&registered.instance());
    for status in [Status::Draining, Status::OutOfService] {
        let mut changed = up.clone();
        (changed.status, changed.status_reason) = (status, Some(String::from("deploy")));
        registered.update(changed).unwrap();
        until("no picks", || services.pick().is_none()).await;
        if world.tells_status() {
            until("told", || services.snapshot().iter().any(|one| one.status == status)).await;
            assert_eq!(services.snapshot().iter().next().unwrap().status_reason.as_deref(), Some("deploy"));
            assert_eq!(registered.state(), RegistrationState::Registered);
        } else {
            shows(&services, &[]).await;
            assert!(world.leaf(&registered).is_none());
            assert_eq!(registered.state(), RegistrationState::Withdrawn);
        }
        registered.update(up.clone()).unwrap();
        soon(registered.registered()).await.unwrap();
        until("picked again", || services.pick().is_some_and(|one| one.status == Status::Up)).await;
        shows(&services, &[80]).await;
    }
}

/// Who drains is picked no more, serves on for as long as readers of the layout may take to hear of it, and goes. An outage
/// makes it no longer.
pub(super) async fn drain(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80)).await;
    shows(&services, &[80]).await;
    let (path, grace) = (world.leaf(&registered).unwrap().path, world.layout.drain_grace());
    assert!(grace >= Duration::from_secs(5) && registered.drain_grace() == grace, "{grace:?}");
    let (began, drained) = (Instant::now(), started(registered.drain()));
    until("no picks", || services.pick().is_none()).await;
    assert!(!drained.is_finished() && began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    soon(drained).await.unwrap().unwrap();
    assert!((grace..grace + Duration::from_secs(5)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(world.server.tree().iter().all(|node| node.path != path));
    shows(&services, &[]).await;
    let again = provider.register(wish(80)).await;
    world.server.stop().await.unwrap();
    until("stale", || services.stale_since().is_some()).await;
    let drained = started(again.drain());
    tokio::time::sleep(grace * 3).await;
    world.server.restart().await.unwrap();
    soon(drained).await.unwrap().unwrap();
    shows(&services, &[]).await;
    assert!(world.server.tree().iter().all(|node| node.path != path));
}

/// The leaf goes, and the place is free again.
pub(super) async fn deregister(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80)).await;
    shows(&services, &[80]).await;
    let path = world.leaf(&registered).unwrap().path;
    soon(registered.deregister()).await.unwrap();
    assert!(world.server.tree().iter().all(|node| node.path != path));
    shows(&services, &[]).await;
    drop(provider.register(wish(80)).await);
    shows(&services, &[]).await;
}

/// What is deregistered while ZooKeeper is away is deleted once it is back, and never comes again.
pub(super) async fn deregister_apart(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80)).await;
    shows(&services, &[80]).await;
    let path = world.leaf(&registered).unwrap().path;
    world.server.stop().await.unwrap();
    until("stale", || services.stale_since().is_some()).await;
    let gone = started(registered.deregister());
    settle().await;
    assert!(!gone.is_finished(), "it waits for ZooKeeper");
    world.server.restart().await.unwrap();
    soon(gone).await.unwrap().unwrap();
    shows(&services, &[]).await;
    tokio::time::sleep(TIMEOUT * 3).await;
    assert!(world.server.tree().iter().all(|node| node.path != path));
    assert!(provider.registry.discover("time").await.unwrap().snapshot().is_empty());
}
