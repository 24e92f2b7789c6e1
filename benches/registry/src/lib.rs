//! What the figures of views are taken with: an Apache ZooKeeper 3.9, and instances registered in it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use menagerie::Client;
use menagerie::registry::layout::{GoMicro, Layout};
use menagerie::registry::{Discovery, Instance, Services, ZooKeeper};
use menagerie_ensemble::{Ensemble, Version};
use tokio::runtime::Runtime;

/// A server with the defaults of its machine, and a runtime.
///
/// # Errors
/// In a debug build, and if the server does not start.
pub fn start() -> Result<(Ensemble, Runtime)> {
    ensure!(!cfg!(debug_assertions), "figures of a debug build mean nothing: build with --release");
    // The tests' servers take the collector and the compiler that start fastest: here, the defaults.
    let ensemble = Ensemble::builder(Version::V3_9)
        .heap_mib(512)
        .jvm_flag("-XX:-UseSerialGC")
        .jvm_flag("-XX:TieredStopAtLevel=4")
        .config("forceSync", "no")
        .config("maxClientCnxns", 0)
        .start()
        .context("Apache ZooKeeper")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok((ensemble, runtime))
}

/// An instance as a go-micro service registers itself.
///
/// # Errors
/// None: its address is one.
pub fn instance(service: &str, number: usize) -> Result<Instance> {
    let address = format!("10.{}.{}.{}:8080", number / 65_536, number / 256 % 256, number % 256).parse()?;
    let mut instance =
        Instance::new(service, format!("{service}-{number:08x}-7c1e-4c1d-9d53-bb1c58a0c5f1"), address);
    instance.version = "latest".into();
    for (key, value) in
        [("protocol", "mucp"), ("server", "mucp"), ("transport", "http"), ("registry", "zookeeper")]
    {
        instance.metadata.insert(key, value);
    }
    Ok(instance)
}

/// Registers so many, 500 a transaction, and gives their paths.
///
/// # Errors
/// Those of the server.
pub async fn fill(client: &Client, service: &str, count: usize) -> Result<Vec<String>> {
    let layout = GoMicro::new();
    let first = layout.leaf(&instance(service, 0)?)?;
    for dir in first.ancestors() {
        if client.exists(dir.as_str()).await?.is_none() {
            client.create(dir.as_str()).await?;
        }
    }
    let mut paths = Vec::with_capacity(count);
    for start in (0..count).step_by(500) {
        let mut transaction = client.transaction();
        for number in start..(start + 500).min(count) {
            let leaf = layout.leaf(&instance(service, number)?)?;
            paths.push(leaf.path());
            transaction = transaction.create_with(leaf.path(), leaf.data, |create| create.ephemeral());
        }
        transaction.commit().await?;
    }
    Ok(paths)
}

/// The clock.
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "what measures reads the clock")]
    Instant::now()
}

/// In milliseconds, to the microsecond.
pub fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

/// A view in go-micro's layout.
///
/// # Errors
/// Whatever stands in the way of a first set.
pub async fn discover(client: &Client, service: &str) -> Result<Services> {
    Ok(ZooKeeper::new(client, GoMicro::new()).discover(service).await?)
}
