//! What views cost on a real Apache ZooKeeper 3.9: the first full reading, one change, many services, and many consumers
//! at one change.
//!
//! ```text
//! cargo run --release --manifest-path benches/registry/Cargo.toml --bin views
//! ```
//!
//! prints a line of JSON for each row. It needs Apache ZooKeeper below `target/zookeeper` (`tests/unpack`) and Java.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use menagerie::Client;
use menagerie::registry::layout::{Found, GoMicro, Layout, LeafStat};
use menagerie::registry::view::Pace;
use menagerie::registry::{Discovery, ServiceStats, Services, ZooKeeper};
use registry_figures::{discover, fill, instance, millis, now, start};
use serde_json::json;
use tokio::task::JoinSet;

/// Repetitions of what is timed; the best is printed.
const ROUNDS: usize = 30;

fn main() -> Result<()> {
    let (ensemble, runtime) = start()?;
    runtime.block_on(run(&ensemble.connect_string()))
}

async fn run(connect: &str) -> Result<()> {
    let writer = Client::connect(connect).await?;
    let paths = fill(&writer, "large", 10_000).await?;
    first_view(connect, &paths).await?;
    if std::env::args().any(|word| word == "--first") {
        return Ok(());
    }
    one_change(&writer, connect, &paths).await?;
    many_services(&writer, connect).await?;
    many_consumers(&writer, connect).await
}

/// The whole service by a view, and by one pipelined getData for each instance.
async fn first_view(connect: &str, paths: &[String]) -> Result<()> {
    let (mut view, mut each, mut reads) = (Duration::MAX, Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let client = Client::connect(connect).await?;
        let began = now();
        let services = discover(&client, "large").await?;
        view = view.min(began.elapsed());
        ensure!(services.snapshot().len() == paths.len(), "not all are there");
        reads = services.stats().view.reads;
        let began = now();
        let mut sent = Vec::with_capacity(paths.len());
        for path in paths {
            sent.push(client.get(path.as_str()).send_in(client.ready().await?));
        }
        for reply in sent {
            reply.await?;
        }
        each = each.min(began.elapsed());
        client.close().await?;
    }
    let decode = decoding()?;
    // The watch is one request more.
    let (requests, share) = (reads + 1, view.as_secs_f64() / each.as_secs_f64());
    println!(
        "{}",
        json!({"row": "first view", "instances": paths.len(), "view_ms": millis(view), "pipelined_get_data_ms": millis(each), "decoding_ms": millis(decode),
            "share": (share * 1e3).round() / 1e3, "share_at_most": 0.1, "requests": requests, "requests_at_most": 150,
            "holds": share <= 0.1 && requests <= 150})
    );
    Ok(())
}

/// What it takes to make instances of that many payloads, which is part of a view's first reading and not of the others.
fn decoding() -> Result<Duration> {
    let layout = GoMicro::new();
    let leaf = layout.leaf(&instance("large", 1)?)?;
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = now();
        for _ in 0..10_000 {
            let found = Found { name: &leaf.name, data: &leaf.data, stat };
            std::hint::black_box(layout.read("large", &found)?);
        }
        best = best.min(began.elapsed());
    }
    Ok(best)
}

/// Waits until the view has seen the change after `before`.
async fn changed(services: &Services, before: ServiceStats) -> Result<ServiceStats> {
    let mut changes = services.changes();
    let wait = async {
        changes.next().await;
        changes.next().await
    };
    if services.stats().view.reads == before.view.reads {
        tokio::time::timeout(Duration::from_secs(30), wait).await.context("no change")?;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(services.stats())
}

async fn one_change(writer: &Client, connect: &str, paths: &[String]) -> Result<()> {
    let client = Client::connect(connect).await?;
    let services = discover(&client, "large").await?;
    let small = fill(writer, "small", 10).await?;
    let others = discover(&client, "small").await?;
    for (services, paths) in [(&others, &small[..]), (&services, paths)] {
        let before = services.stats();
        let path = paths.first().context("no instance")?;
        let (data, _) = writer.get(path.as_str()).await?;
        let newer = String::from_utf8(data.to_vec())?.replace("latest", "newest");
        writer.set(path.as_str(), newer).await?;
        let after = changed(services, before).await?;
        let (events, reads) = (after.view.events - before.view.events, after.view.reads - before.view.reads);
        println!(
            "{}",
            json!({"row": "one change", "instances": paths.len(), "events": events, "reads": reads,
                "holds": events == 1 && (1..=2).contains(&reads)})
        );
    }
    Ok(client.close().await?)
}

async fn many_services(writer: &Client, connect: &str) -> Result<()> {
    const SERVICES: usize = 2000;
    for number in 0..SERVICES {
        fill(writer, &format!("service-{number}"), 10).await?;
    }
    let client = Client::connect(connect).await?;
    let registry = Arc::new(ZooKeeper::new(&client, GoMicro::new()));
    let began = now();
    let mut views = JoinSet::new();
    for number in 0..SERVICES {
        let registry = Arc::clone(&registry);
        views.spawn(async move { registry.discover(&format!("service-{number}")).await });
    }
    let (mut instances, mut requests, mut kept) = (0, 0, Vec::new());
    while let Some(view) = views.join_next().await {
        let services = view??;
        instances += services.snapshot().len();
        requests += services.stats().view.reads + 1;
        kept.push(services);
    }
    println!(
        "{}",
        json!({"row": "many services", "services": SERVICES, "instances": instances, "first_views_ms": millis(began.elapsed()),
            "requests": requests, "holds": instances == SERVICES * 10})
    );
    drop(kept);
    Ok(client.close().await?)
}

async fn many_consumers(writer: &Client, connect: &str) -> Result<()> {
    const CONSUMERS: usize = 1000;
    const INSTANCES: usize = 200;
    let paths = fill(writer, "watched", INSTANCES).await?;
    let mut consumers = Vec::with_capacity(CONSUMERS);
    for _ in 0..CONSUMERS {
        let client = Client::connect(connect).await?;
        let services = discover(&client, "watched").await?;
        consumers.push((client, services));
    }
    let mut waits = JoinSet::new();
    for (_, services) in &consumers {
        let (mut changes, before) = (services.changes(), services.stats());
        changes.next().await;
        let services = services.clone();
        waits.spawn(async move {
            changes.next().await;
            (now(), services.stats().view.reads - before.view.reads)
        });
    }
    let began = now();
    writer.delete(paths.first().context("no instance")?.as_str()).await?;
    let (mut moments, mut most_reads) = (Vec::new(), 0);
    while let Some(seen) = waits.join_next().await {
        let (moment, reads) = seen?;
        moments.push(moment.saturating_duration_since(began));
        most_reads = most_reads.max(reads);
    }
    let window = Pace::default().change_window(INSTANCES);
    let tenth = window / 10;
    let mut buckets = std::collections::BTreeMap::<u128, u32>::new();
    for moment in &moments {
        *buckets.entry(moment.as_nanos() / tenth.as_nanos()).or_default() += 1;
    }
    let peak = f64::from(buckets.values().copied().max().unwrap_or_default()) / tenth.as_secs_f64();
    let bound = 2.0 * 1000.0 / window.as_secs_f64();
    let last = moments.iter().max().copied().unwrap_or_default();
    println!(
        "{}",
        json!({"row": "one change", "consumers": CONSUMERS, "instances": INSTANCES, "window_ms": millis(window),
            "reads_each_at_most": most_reads, "peak_a_second": peak.round(), "peak_at_most": bound, "last_ms": millis(last),
            "holds": most_reads <= 1 && peak <= bound})
    );
    Ok(())
}
