//! Row `read`: what it takes to make an instance of a leaf, in each layout.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use menagerie::registry::Instance;
use menagerie::registry::layout::{
    Curator, DubboApplication, DubboInterface, Found, GoMicro, Layout, LeafStat, Plain, Registrator,
    ServerSet, SpringCloud,
};
use serde_json::{Value, json};
use stats_alloc::Region;

use crate::{ALLOCATOR, now};

const READS: u32 = 10_000;
const ROUNDS: u32 = 20;

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

/// Reads a leaf of each layout: one that we wrote, and one of which the payload is kept.
pub(crate) fn run(print: &mut dyn FnMut(Value) -> Result<()>) -> Result<()> {
    for layout in layouts()? {
        for is_ours in [true, false] {
            print(measure(&*layout, is_ours)?)?;
        }
    }
    Ok(())
}
