//! What becomes of registrations and views when sessions end, move, or the ensemble starts from nothing: on the embedded server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use menagerie::client::{Builder, Client, Transport};
use menagerie::registry::layout::GoMicro;
use menagerie::registry::{Discovery, Instance, InstanceBuilder, Registration, Services, ZooKeeper};
use menagerie::session::{Server as Host, State};
use menagerie_server::Server;

use crate::support::{settle, soon};

/// Whichever server stands at the address now.
type Place = Arc<Mutex<Arc<Server>>>;

async fn place() -> Place {
    Arc::new(Mutex::new(Arc::new(Server::start().await.unwrap())))
}

fn server(place: &Place) -> Arc<Server> {
    place.lock().unwrap().clone()
}

async fn client(place: &Place) -> Client {
    let place = place.clone();
    let transport = Transport::custom(move |_, _| server(&place).connector().connect());
    let host = Host { host: String::from("embedded"), port: 2181 };
    Builder::servers(vec![host]).transport(transport).connect().await.unwrap()
}

fn wish(port: u16) -> InstanceBuilder {
    Instance::builder("time").host("10.0.0.1").port(port)
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

#[tokio::test(start_paused = true)]
async fn a_view_whose_session_expires_disturbs_no_other() {
    let place = place().await;
    let (first, second, owner) = (client(&place).await, client(&place).await, client(&place).await);
    let registry = ZooKeeper::new(&owner, GoMicro::new());
    let registered = soon(registry.register(wish(1))).await.unwrap();
    soon(registered.registered()).await.unwrap();
    let expired = soon(ZooKeeper::new(&first, GoMicro::new()).discover("time")).await.unwrap();
    let other = soon(ZooKeeper::new(&second, GoMicro::new()).discover("time")).await.unwrap();
    let (before, ends) = (other.snapshot(), first.status().epoch);
    assert!(server(&place).expire(first.status().session_id.unwrap()));
    let mut seen = first.status();
    while seen.epoch == ends || seen.state != State::Connected {
        assert_eq!(expired.snapshot().len(), 1, "the last good set stays");
        seen = soon(first.status_change(&seen)).await;
    }
    for _ in 0..100 {
        settle().await;
    }
    assert!(Arc::ptr_eq(&before, &other.snapshot()), "the other view was touched");
    assert!(other.stale_since().is_none());
    let more = soon(registry.register(wish(2))).await.unwrap();
    soon(more.registered()).await.unwrap();
    until(&expired, 2).await;
    until(&other, 2).await;
}

#[tokio::test(start_paused = true)]
async fn foreign_clocks_change_nothing() {
    let place = place().await;
    let client = client(&place).await;
    let registry = ZooKeeper::new(&client, GoMicro::new());
    let mut registered = Vec::new();
    for (port, millis) in [(1, 0), (2, 1), (3, u64::MAX)] {
        let one = soon(registry.register(wish(port).registered_at_ms(millis))).await.unwrap();
        soon(one.registered()).await.unwrap();
        registered.push(one);
    }
    let services = soon(registry.discover("time")).await.unwrap();
    until(&services, 3).await;
    let mut picked: Vec<_> = (0..100).filter_map(|_| services.pick()).map(|one| one.address.port()).collect();
    assert_eq!(picked.len(), 100);
    picked.sort_unstable();
    picked.dedup();
    assert_eq!(picked, [1, 2, 3], "all are picked, whenever they say they came");
}

#[tokio::test(start_paused = true)]
async fn an_ensemble_that_starts_from_nothing_gets_its_registrations_back() {
    let place = place().await;
    let (owner, reader) = (client(&place).await, client(&place).await);
    for number in 0..20 {
        owner.create(format!("/ballast-{number}")).await.unwrap();
    }
    let registry = ZooKeeper::new(&owner, GoMicro::new());
    let registered = soon(registry.register(wish(1))).await.unwrap();
    soon(registered.registered()).await.unwrap();
    let services = soon(ZooKeeper::new(&reader, GoMicro::new()).discover("time")).await.unwrap();
    assert_eq!(services.snapshot().len(), 1);
    let new = Arc::new(Server::start().await.unwrap());
    let old = std::mem::replace(&mut *place.lock().unwrap(), new);
    old.stop().await.unwrap();
    let begun = tokio::time::Instant::now();
    let leaves =
        || server(&place).tree().iter().filter(|node| node.path.starts_with("/micro-registry/time/")).count();
    while leaves() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(300), "not registered again");
        // A view may find out first that nothing is there: that is how it is then.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    soon(registered.registered()).await.unwrap();
    assert_eq!((leaves(), owner.status().epoch), (1, 2));
    until(&services, 1).await;
    let more = soon(registry.register(wish(2))).await.unwrap();
    soon(more.registered()).await.unwrap();
    until(&services, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_moved_comes_back_on_one_connection() {
    let place = place().await;
    let zk = client(&place).await;
    zk.create("/a").await.unwrap();
    zk.create("/mine").ephemeral().await.unwrap();
    let before = zk.status();
    for _ in 0..3 {
        assert!(server(&place).move_session(before.session_id.unwrap()));
        let lost = zk.set("/a", "x").send().await;
        assert!(lost.is_err_and(|error| error.may_have_applied()), "closed without a word");
        let (data, _) = zk.get("/a").await.unwrap();
        assert!(data.is_empty(), "a write on the old connection was done");
        assert_eq!(server(&place).sessions().len(), 1);
        assert!(server(&place).sessions()[0].connection.is_some());
    }
    assert_eq!(
        (zk.status().session_id, zk.status().disconnects),
        (before.session_id, before.disconnects + 3)
    );
    assert!(zk.exists("/mine").await.unwrap().is_some());
}
