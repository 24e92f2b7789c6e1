//! The rows of processes, connections, sessions and servers that fail.

use std::time::Duration;

use menagerie::jute::OpCode;
use menagerie::registry::{Discovery, Error, Registration, RegistrationState};
use menagerie::session::State;
use tokio::time::Instant;

use super::world::{TIMEOUT, World, shows, told, until, wish};
use crate::support::{settle, soon};

/// A process that dies goes with its session, and comes back as soon as it does.
pub(super) async fn crash(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80)).await;
    shows(&services, &[80]).await;
    let mut events = services.events();
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["snapshot"]);
    let died = Instant::now();
    provider.kill(&world);
    shows(&services, &[]).await;
    assert!(died.elapsed() <= TIMEOUT * 2, "{:?}", died.elapsed());
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["removed"]);
    assert!(world.leaf(&registered).is_none());
    let again = world.process().await.register(wish(80)).await;
    shows(&services, &[80]).await;
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["added"]);
    assert!(world.leaf(&again).is_some());
}

/// A connection that is lost and found within its session costs no write, and no consumer hears of it.
pub(super) async fn loss(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80)).await;
    shows(&services, &[80]).await;
    let mut events = services.events();
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["snapshot"]);
    let (before, writes) = (world.leaf(&registered).unwrap().stat, world.writes());
    let session = provider.session();
    for _ in 0..3 {
        let lost = provider.client.status().disconnects;
        assert!(world.server.kill_connection(session));
        until("a reconnect", || {
            let status = provider.client.status();
            status.disconnects > lost && status.state == State::Connected
        })
        .await;
    }
    assert_eq!(told(&mut events, TIMEOUT * 3).await, [""; 0]);
    assert_eq!((provider.session(), world.writes()), (session, writes));
    assert_eq!(world.leaf(&registered).unwrap().stat, before);
    assert_eq!(registered.state(), RegistrationState::Registered);
}

/// An expired session takes its leaf along; the next one makes it again within the jitter, and views have it again.
pub(super) async fn expiry(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80).version("1")).await;
    shows(&services, &[80]).await;
    for _ in 0..2 {
        let (session, expired) = (provider.session(), Instant::now());
        assert!(world.server.expire(session));
        until("another session's leaf", || {
            world.leaf(&registered).is_some_and(|leaf| leaf.stat.ephemeral_owner != session)
        })
        .await;
        assert!(expired.elapsed() < Duration::from_secs(5), "{:?}", expired.elapsed());
        assert_eq!(world.leaf(&registered).unwrap().stat.ephemeral_owner, provider.session());
        soon(registered.registered()).await.unwrap();
        shows(&services, &[80]).await;
    }
    // So it is with the session of the consumer: nothing goes, and what comes is seen.
    let mut events = services.events();
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["snapshot"]);
    for session in world.server.sessions() {
        if session.id != provider.session() {
            world.server.expire(session.id);
        }
    }
    assert_eq!(told(&mut events, Duration::from_secs(30)).await, ["stale", "fresh"]);
    let _second = provider.register(wish(81)).await;
    shows(&services, &[80, 81]).await;
}

/// A leaf that somebody deletes is made again: at once the first time, then with pauses.
pub(super) async fn deletion(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80)).await;
    shows(&services, &[80]).await;
    let leaf = world.leaf(&registered).unwrap();
    for _ in 0..3 {
        let czxid = world.leaf(&registered).unwrap().stat.czxid;
        world.stranger.delete(&*leaf.path).await.unwrap();
        until("made again", || world.leaf(&registered).is_some_and(|leaf| leaf.stat.czxid > czxid)).await;
    }
    let again = world.leaf(&registered).unwrap();
    assert_eq!((again.data, again.stat.ephemeral_owner), (leaf.data, provider.session()));
    soon(registered.registered()).await.unwrap();
    shows(&services, &[80]).await;
}

/// The leaf of the process before, whose session has not ended yet, is taken over in one transaction: no consumer sees it go,
/// and the end of the old session takes nothing along.
pub(super) async fn stale_twin(world: World) {
    let (old, services) = (world.process().await, world.view().await);
    let _dead = old.register(wish(80)).await;
    let before = old.session();
    shows(&services, &[80]).await;
    let mut events = services.events();
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["snapshot"]);
    old.kill(&world);
    world.server.clear_log();
    let new = world.process().await;
    let registered = new.register(wish(80)).await;
    let ops: Vec<OpCode> = world.server.requests().iter().map(|request| request.op).collect();
    assert!(ops.contains(&OpCode::MULTI) && !ops.contains(&OpCode::DELETE), "{ops:?}");
    let leaf = world.leaf(&registered).unwrap().stat;
    assert_eq!(leaf.ephemeral_owner, new.session());
    assert_eq!(told(&mut events, TIMEOUT * 3).await, [""; 0]);
    assert!(world.server.sessions().iter().all(|session| session.id != before));
    assert_eq!(world.leaf(&registered).unwrap().stat, leaf);
    shows(&services, &[80]).await;
}

/// When the last instance goes the view is empty and fresh, says who went, and picks nobody; it sees the next one come, also
/// where the directory was removed meanwhile.
pub(super) async fn last_gone(world: World) {
    let (provider, services) = (world.process().await, world.view().await);
    let registered = provider.register(wish(80)).await;
    shows(&services, &[80]).await;
    let mut events = services.events();
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["snapshot"]);
    soon(registered.deregister()).await.unwrap();
    shows(&services, &[]).await;
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["removed"]);
    assert!(services.pick().is_none() && services.attempt().is_none());
    assert!(services.invalid().is_empty() && services.last_failure().is_none());
    // By now the server has reaped directories that are containers; the others go by a stranger's hand.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let dir = world.layout.service_dir("time").unwrap();
    let _ = world.stranger.delete(dir.as_str()).await;
    assert!(world.server.tree().iter().all(|node| *node.path != *dir));
    let _next = provider.register(wish(81)).await;
    shows(&services, &[81]).await;
    assert_eq!(told(&mut events, Duration::from_secs(1)).await, ["added"]);
}

/// Without ZooKeeper a registration is a wish that stands, and a view an error that says so in time; both are as wished once it
/// is there.
pub(super) async fn down_at_start(world: World) {
    world.server.stop().await.unwrap();
    let provider = world.lazy_process();
    let registered = soon(provider.registry.register(wish(80))).await.unwrap();
    let asked = Instant::now();
    let error = soon(world.lazy_process().registry.discover("time")).await.unwrap_err();
    assert!(matches!(error, Error::NotRead { .. }), "{error}");
    assert!(asked.elapsed() <= Duration::from_secs(60), "{:?}", asked.elapsed());
    assert_eq!((registered.state(), registered.status().writes), (RegistrationState::Pending, 0));
    world.server.restart().await.unwrap();
    soon(registered.registered()).await.unwrap();
    settle().await;
    shows(&world.view().await, &[80]).await;
}
