//! Every member restarted in its turn, under load.

use crate::{BUDGET, long, run};
use menagerie::{
    Client,
    client::{OnExpiry, WatchEvent},
    jute::EventType,
    registry::{Instance, Registration, ZooKeeper, layout::Plain},
    session::Fate,
};
use menagerie_ensemble::{Ensemble, Version};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::timeout;

const CLIENTS: usize = 20;
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes on and on; how many were done, and how many perhaps.
async fn load(zk: Client, stop: Arc<AtomicBool>, number: usize) -> (i32, i32) {
    let path = format!("/load-{number}");
    zk.create(&path).await.unwrap();
    let (mut done, mut perhaps) = (0, 0);
    while !stop.load(Relaxed) {
        match zk.set(&path, "x").timeout(BUDGET).await {
            Ok(_) => done += 1,
            Err(error) if error.fate() == Fate::Unknown => perhaps += 1,
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_, stat) = zk.get(&path).await.unwrap();
    assert!((done..=done + perhaps).contains(&stat.version), "{done} done, {perhaps} perhaps: {stat:?}");
    (done, perhaps)
}

async fn rolling(version: Version) {
    let ensemble = Arc::new(Ensemble::three(version).unwrap());
    let connect = ensemble.connect_string();
    let (stop, mut clients, mut loads, mut kept) = (Arc::default(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..CLIENTS {
        let builder = Client::builder(&connect).unwrap().session_timeout(SESSION_TIMEOUT);
        let zk = builder.on_expiry(OnExpiry::Stop).connect().await.unwrap();
        let registry = ZooKeeper::new(zk.clone(), Plain::new());
        let instance = Instance::builder("roll")
            .id(format!("i-{number}"))
            .host("10.0.0.1")
            .port(u16::try_from(number + 80).unwrap());
        let registered = registry.register(instance).await.unwrap();
        timeout(BUDGET, registered.registered()).await.unwrap().unwrap();
        loads.push(tokio::spawn(load(zk.clone(), Arc::clone(&stop), number)));
        kept.push((registry, registered));
        clients.push((zk.status(), zk));
    }
    let witness = Client::builder(&connect).unwrap().connect().await.unwrap();
    let mut watcher = witness.watch("/go_servers").recursive().await.unwrap();
    let (before, _) = witness.children("/go_servers").await.unwrap();
    assert_eq!(before.len(), CLIENTS);
    let restarting = tokio::task::spawn_blocking({
        let ensemble = ensemble.clone();
        move || {
            ensemble.nodes().iter().for_each(|node| {
                node.restart(BUDGET).unwrap();
                ensemble.heal(BUDGET).unwrap();
            });
        }
    });
    restarting.await.unwrap();
    stop.store(true, Relaxed);
    let (mut done, mut perhaps) = (0, 0);
    for each in loads {
        let (more, unknown) = timeout(BUDGET, each).await.unwrap().unwrap();
        (done, perhaps) = (done + more, perhaps + unknown);
    }
    let disconnects: u64 = clients.iter().map(|(_, zk)| zk.status().disconnects).sum();
    println!("rolling: {done} writes done, {perhaps} perhaps, {disconnects} disconnects");
    for (before, zk) in &clients {
        let now = zk.status();
        assert_eq!((now.session_id, now.epoch), (before.session_id, before.epoch), "a session was lost");
    }
    witness.sync("/go_servers").await.unwrap();
    let (after, _) = witness.children("/go_servers").await.unwrap();
    assert_eq!(after.len(), CLIENTS, "registrations were lost");
    while let Ok(Some(event)) = timeout(Duration::ZERO, watcher.next()).await {
        let lost = matches!(event, WatchEvent::Event { event_type: EventType::NODE_DELETED, .. });
        assert!(!lost, "a registration went and came: {event:?}");
    }
    for name in after.to_vec() {
        let (_, stat) = witness.get(format!("/go_servers/{name}")).await.unwrap();
        let ours = clients.iter().any(|(_, zk)| zk.status().session_id == Some(stat.ephemeral_owner));
        assert!(ours && stat.version == 0, "{name}: {stat:?}");
    }
    assert!(disconnects >= u64::try_from(CLIENTS).unwrap(), "{disconnects}: nothing was shown");
}

#[test]
fn a_rolling_restart_under_load_ends_no_session_and_loses_no_registration() {
    let versions: &[Version] = if long() { &Version::ALL } else { &[Version::V3_9] };
    versions.iter().for_each(|version| run(rolling(*version)));
}
