//! What a view of a service on a real Apache ZooKeeper 3.9 keeps in the heap, by the allocator's word.
//!
//! ```text
//! cargo run --release --manifest-path benches/registry/Cargo.toml --bin memory
//! ```
//!
//! prints a line of JSON. It needs Apache ZooKeeper below `target/zookeeper` (`tests/unpack`) and Java.

use std::time::Duration;

use anyhow::Result;
use menagerie::Client;
use peak_alloc::PeakAlloc;
use registry_figures::{discover, fill, start};
use serde_json::json;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

fn main() -> Result<()> {
    let (ensemble, runtime) = start()?;
    runtime.block_on(run(&ensemble.connect_string()))
}

/// Once its session has given its buffers back.
async fn run(connect: &str) -> Result<()> {
    let writer = Client::connect(connect).await?;
    let instances = fill(&writer, "large", 10_000).await?.len();
    let client = Client::connect(connect).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = ALLOCATED.current_usage();
    let services = discover(&client, "large").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let bytes = ALLOCATED.current_usage().saturating_sub(before) / instances;
    let metadata = services.snapshot().iter().next().map_or(0, |one| one.metadata.len());
    println!(
        "{}",
        json!({"row": "memory", "instances": instances, "metadata_each": metadata, "bytes_an_instance": bytes,
            "at_most": 1024, "holds": bytes < 1024})
    );
    Ok(client.close().await?)
}
