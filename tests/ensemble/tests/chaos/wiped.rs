//! An ensemble that lost its data: a client from its future.

use crate::{BUDGET, run};
use menagerie::{
    Client,
    session::{Fate, State},
};
use menagerie_ensemble::{Ensemble, Version};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

/// Every member closes on a client that has seen more than it: that ends the session, and not before no member can have
/// it. What was asked meanwhile is not done in the new world.
async fn wiped(version: Version) {
    let ensemble = Arc::new(Ensemble::three(version).unwrap());
    let builder = Client::builder(&ensemble.connect_string()).unwrap().session_timeout(SESSION_TIMEOUT);
    let zk = builder.connect().await.unwrap();
    for number in 0..20 {
        zk.create(format!("/old-{number}")).await.unwrap();
    }
    let (before, pinned) = (zk.status(), zk.session());
    ensemble.nodes().iter().for_each(|node| {
        node.kill().unwrap();
        node.wipe().unwrap();
    });
    let restarting = tokio::task::spawn_blocking({
        let ensemble = ensemble.clone();
        move || ensemble.heal(BUDGET).unwrap()
    });
    let waiting = pinned.set("/old-0", "from the past").timeout(BUDGET).send();
    let mut status = before;
    while status.epoch == 1 || status.state != State::Connected {
        status = timeout(BUDGET, zk.status_change(&status)).await.unwrap();
    }
    restarting.await.unwrap();
    let lost = waiting.await.unwrap_err();
    assert!(matches!(lost.fate(), Fate::NotSent | Fate::Unknown), "{lost}");
    assert!(pinned.get("/old-0").await.unwrap_err().is_session_lost());
    assert_eq!(status.epoch, 2);
    assert_ne!(status.session_id, before.session_id);
    zk.create("/new").await.unwrap();
    let (names, _) = zk.children("/").await.unwrap();
    let mut names = names.to_vec();
    names.sort();
    assert_eq!(names, ["new", "zookeeper"]);
}

#[test]
fn a_client_from_the_future_begins_anew() {
    run(wiped(Version::V3_9));
}
