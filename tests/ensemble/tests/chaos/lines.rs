//! Bad lines between a client and its server: packets lost by chance, and so few bits a second that answers take long.

use crate::{BUDGET, run};
use menagerie::{Client, client::OnExpiry, jute::Stat, session::Fate};
use menagerie_ensemble::{Ensemble, Version};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Of a hundred packets, each way.
const LOSS: u8 = 10;
const ROUNDS: usize = 30;
const PIPELINE: usize = 20;
/// Bits a second.
const THIN: u32 = 8_000;
const THIN_SESSION: Duration = Duration::from_secs(4);
/// Half a minute on a thin line.
const BULK: usize = 30_000;

async fn client(ensemble: &Ensemble, session_timeout: Duration) -> Client {
    let builder = Client::builder(&ensemble.connect_string()).unwrap().session_timeout(session_timeout);
    builder.on_expiry(OnExpiry::Stop).connect().await.unwrap()
}

/// Writes in pipelines; how long the slowest took, and the count of the znode's changes.
async fn work(zk: &Client) -> (Duration, i32) {
    let mut slowest = Duration::ZERO;
    for _ in 0..ROUNDS {
        let since = Instant::now();
        let sent: Vec<_> = (0..PIPELINE).map(|number| zk.set("/n", number.to_string()).send()).collect();
        for each in sent {
            each.await.unwrap();
        }
        slowest = slowest.max(since.elapsed());
    }
    let (_, stat) = zk.get("/n").await.unwrap();
    (slowest, stat.version)
}

async fn loss(version: Version) {
    let ensemble = Ensemble::builder(version).networked().start().unwrap();
    let zk = client(&ensemble, Duration::from_secs(30)).await;
    zk.create("/n").await.unwrap();
    let before = zk.status();
    let (well, _) = work(&zk).await;
    ensemble.network().lose(1, LOSS).unwrap();
    let (badly, changes) = timeout(BUDGET, work(&zk)).await.unwrap();
    let lost = ensemble.network().dropped(1).unwrap();
    ensemble.network().heal().unwrap();
    println!("loss: {lost} packets; slowest pipeline {badly:?}, without loss {well:?}");
    assert!(lost >= 5, "{lost} packets lost: nothing was shown");
    // Each write was done once, on one connection.
    assert_eq!(usize::try_from(changes).unwrap(), 2 * ROUNDS * PIPELINE);
    let after = zk.status();
    assert_eq!((after.session_id, after.disconnects), (before.session_id, before.disconnects));
    zk.close().await.unwrap();
}

async fn thin(version: Version) {
    let ensemble = Ensemble::builder(version).networked().start().unwrap();
    let zk = client(&ensemble, THIN_SESSION).await;
    zk.create("/bulk").data(vec![b'x'; BULK]).await.unwrap();
    zk.create("/small").await.unwrap();
    let before = zk.status();
    ensemble.network().thin(THIN).unwrap();
    // Small requests and pings get through, for longer than a session lasts without them.
    let until = Instant::now() + THIN_SESSION + THIN_SESSION / 2;
    let mut answered = 0;
    while Instant::now() < until {
        let _: Stat = zk.set("/small", "s").await.unwrap();
        answered += 1;
        tokio::time::sleep(THIN_SESSION / 8).await;
    }
    assert_eq!(zk.status(), before);
    // What fills the line for longer than silence may last costs the connection, and is told truly.
    let bulk = zk.get("/bulk").timeout(BUDGET).send().await;
    ensemble.network().widen().unwrap();
    let lost = bulk.map(|(data, _)| data.len()).unwrap_err();
    assert_eq!(lost.fate(), Fate::Unknown, "{lost}");
    let (data, _) = timeout(BUDGET, zk.get("/bulk")).await.unwrap().unwrap();
    let after = zk.status();
    println!("thin: {answered} small requests at {THIN} bits a second; then {lost}");
    assert_eq!(data.len(), BULK);
    assert_eq!((after.session_id, after.disconnects > before.disconnects), (before.session_id, true));
    zk.close().await.unwrap();
}

#[test]
fn lost_packets_cost_time_and_nothing_else() {
    run(loss(Version::V3_9));
}

#[test]
fn a_thin_line_carries_pings_and_breaks_cleanly_under_more() {
    run(thin(Version::V3_9));
}
