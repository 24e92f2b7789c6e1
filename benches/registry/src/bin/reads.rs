//! What reading takes without a server: a leaf of each layout, and all that a view does for its first set.
//!
//! ```text
//! cargo run --release --manifest-path benches/registry/Cargo.toml --bin reads
//! ```
//!
//! prints a line of JSON for each row.

use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use menagerie::registry::Instance;
use menagerie::registry::layout::{
    Curator, DubboApplication, DubboInterface, Found, GoMicro, Layout, LeafStat, Plain, Registrator,
    ServerSet, SpringCloud,
};
use menagerie::registry::view::{Pace, Read, View};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// So few that a round is seldom interrupted.
const READS: u32 = 200;
const ROUNDS: u32 = 500;
/// Views that are made of each size; the best is printed.
const VIEWS: u32 = 20;

/// An instance that says of itself what a go-micro service does.
fn instance() -> Result<Instance> {
    let mut instance =
        Instance::new("large", "large-00000001-7c1e-4c1d-9d53-bb1c58a0c5f1", "10.0.0.1:8080".parse()?);
    instance.version = "latest".into();
    instance.metadata =
        [("protocol", "mucp"), ("server", "mucp"), ("transport", "http"), ("registry", "zookeeper")].into();
    Ok(instance)
}

fn layouts() -> Result<Vec<Box<dyn Layout>>> {
    Ok(vec![
        Box::new(GoMicro::new()),
        Box::new(Curator::at("/c")?),
        Box::new(SpringCloud::new()),
        Box::new(DubboInterface::new()),
        Box::new(DubboApplication::new()),
        Box::new(Registrator::at("/r")?),
        Box::new(ServerSet::at("/s")?),
        Box::new(Plain::new()),
    ])
}

fn measure(layout: &dyn Layout, is_ours: bool) -> Result<Value> {
    let instance = instance()?;
    let leaf = layout.leaf(&instance)?;
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    // What another program wrote, with a byte that we would not write.
    let data = if is_ours { leaf.data } else { Bytes::from([&leaf.data[..], b" "].concat()) };
    let found = Found { name: &leaf.name, data: &data, stat };
    let region = Region::new(ALLOCATOR);
    let read = layout.read("large", &found)?;
    let change = region.change();
    ensure!(read.carried.is_some() != is_ours, "what is carried is what differs");
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = now();
        for _ in 0..READS {
            black_box(layout.read("large", black_box(&found))?);
        }
        best = best.min(began.elapsed());
    }
    Ok(json!({
        "row": "read", "layout": layout.name(), "ours": is_ours, "payload_bytes": data.len(), "name_bytes": leaf.name.len(),
        "ns": u64::try_from((best / READS).as_nanos())?, "allocations": change.allocations + change.reallocations,
    }))
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "what measures reads the clock")]
    Instant::now()
}

/// All that a view of so many instances does from its first read to its first set, and what it keeps.
fn view(len: usize) -> Result<Value> {
    let layout = GoMicro::new();
    let mut leaves = Vec::with_capacity(len);
    for number in 0..len {
        let mut instance = instance()?;
        instance.id = format!("large-{number:08x}-7c1e-4c1d-9d53-bb1c58a0c5f1");
        let leaf = layout.leaf(&instance)?;
        leaves.push((leaf.name, leaf.data));
    }
    let layout: Arc<dyn Layout> = Arc::new(layout);
    let (mut best, mut kept) = (Duration::MAX, 0);
    for _ in 0..VIEWS {
        let region = Region::new(ALLOCATOR);
        let (view, took) = first_set(&layout, &leaves)?;
        best = best.min(took);
        let change = region.change();
        kept = change.bytes_allocated.saturating_sub(change.bytes_deallocated) / len;
        ensure!(view.set().is_some_and(|set| set.len() == len), "not all are there");
    }
    Ok(json!({
        "row": "view", "instances": len, "first_set_ms": (best.as_secs_f64() * 1e6).round() / 1e3, "bytes_an_instance": kept,
    }))
}

/// A view with its first set, and the time that it took, apart from making the answers.
fn first_set(layout: &Arc<dyn Layout>, leaves: &[(String, Bytes)]) -> Result<(View, Duration)> {
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    let (mut view, mut took) = (View::new(Arc::clone(layout), "large", Pace::default(), 7)?, Duration::ZERO);
    view.on_connected();
    let mut next = 0;
    loop {
        let began = now();
        let Some(read) = view.next_read(began) else { break };
        took += began.elapsed();
        match read {
            Read::Children { id, .. } => {
                let names = leaves.iter().map(|(name, _)| name);
                let began = now();
                view.on_children(id, Ok(names));
                took += began.elapsed();
            }
            Read::Data { id, paths } => {
                let data = leaves.get(next..next + paths.len()).unwrap_or_default();
                next += paths.len();
                let items = data.iter().map(|(_, data)| Ok((data.clone(), stat))).collect();
                let began = now();
                view.on_data(id, Ok((items, 300 * paths.len())));
                took += began.elapsed();
            }
        }
    }
    Ok((view, took))
}

fn main() -> Result<()> {
    ensure!(!cfg!(debug_assertions), "figures of a debug build mean nothing: build with --release");
    for layout in layouts()? {
        for is_ours in [true, false] {
            println!("{}", measure(&*layout, is_ours)?);
        }
    }
    for len in [10, 1_000, 10_000] {
        println!("{}", view(len)?);
    }
    Ok(())
}
