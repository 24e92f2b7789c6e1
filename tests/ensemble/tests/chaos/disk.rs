//! Slow disks: every write waits for them, and nothing else does.

use crate::{BUDGET, run};
use menagerie::{Client, client::OnExpiry};
use menagerie_ensemble::{Ensemble, Version};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const DELAY: Duration = Duration::from_millis(300);
const WRITES: i32 = 8;

/// Writes one after the other; the fastest.
async fn work(zk: &Client) -> Duration {
    let mut fastest = BUDGET;
    for _ in 0..WRITES {
        let since = Instant::now();
        zk.set("/n", "x").await.unwrap();
        fastest = fastest.min(since.elapsed());
    }
    fastest
}

async fn slow(version: Version) {
    let ensemble = Ensemble::builder(version).nodes(3).slow_disk().start().unwrap();
    let builder = Client::builder(&ensemble.connect_string()).unwrap();
    let builder = builder.session_timeout(Duration::from_secs(4)).on_expiry(OnExpiry::Stop);
    let zk = builder.connect().await.unwrap();
    zk.create("/n").await.unwrap();
    let (before, well) = (zk.status(), work(&zk).await);
    ensemble.nodes().iter().for_each(|node| node.slow_down_disk(DELAY).unwrap());
    let slowly = timeout(BUDGET, work(&zk)).await.unwrap();
    println!("disk: a write takes {slowly:?} at least, and took {well:?}");
    assert!(slowly >= DELAY, "{slowly:?}: the disks were not slow");
    assert_eq!(zk.get("/n").await.unwrap().1.version, 2 * WRITES);
    assert_eq!(zk.status(), before);
    ensemble.nodes().iter().for_each(|node| node.slow_down_disk(Duration::ZERO).unwrap());
    zk.close().await.unwrap();
}

#[test]
fn slow_disks_cost_time_and_nothing_else() {
    run(slow(Version::V3_9));
}
