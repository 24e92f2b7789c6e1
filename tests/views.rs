//! What reading costs in memory: allocations for a leaf in each layout, and what a view keeps of each instance.
//!
//! A binary of its own with one thread, so that nothing else allocates while it measures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::System;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use menagerie::registry::Instance;
use menagerie::registry::layout::{
    Curator, DubboApplication, DubboInterface, Found, GoMicro, Layout, LeafStat, Plain, Registrator,
    ServerSet, SpringCloud,
};
use menagerie::registry::view::{Pace, Read, View};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const STAT: LeafStat = LeafStat { ephemeral_owner: 1, version: 0, czxid: 1, num_children: 0 };

/// The aim for each instance of a view.
const BYTES_AN_INSTANCE: usize = 1024;

fn main() {
    allocations();
    // Metadata that all share, and of each its own.
    for (own, at_most) in [(false, 650), (true, 900)] {
        memory(own, at_most);
    }
}

/// Each layout, and how often an allocator may be asked for one instance of it: for its texts, for the steps between
/// them and the payload, and never for the payload anew.
fn layouts() -> Vec<(Box<dyn Layout>, usize)> {
    vec![
        (Box::new(GoMicro::new()), 14),
        (Box::new(Curator::at("/c").unwrap()), 24),
        (Box::new(SpringCloud::new()), 25),
        (Box::new(DubboInterface::new()), 30),
        (Box::new(DubboApplication::new()), 48),
        (Box::new(Registrator::at("/r").unwrap()), 20),
        (Box::new(ServerSet::at("/s").unwrap()), 18),
        (Box::new(Plain::new()), 4),
    ]
}

fn instance(number: u16) -> Instance {
    let address = format!("10.0.{}.{}:8080", number / 256, number % 256).parse().unwrap();
    let mut instance =
        Instance::new("large", format!("large-{number:08x}-7c1e-4c1d-9d53-bb1c58a0c5f1"), address);
    instance.version = "latest".into();
    instance.metadata =
        [("protocol", "mucp"), ("server", "mucp"), ("transport", "http"), ("registry", "zookeeper")].into();
    instance
}

fn allocations() {
    for (layout, at_most) in layouts() {
        let leaf = layout.leaf(&instance(1)).unwrap();
        let found = Found { name: &leaf.name, data: &leaf.data, stat: STAT };
        let region = Region::new(ALLOCATOR);
        let read = layout.read("large", &found).unwrap();
        let change = region.change();
        assert_eq!(read.carried, None, "{}", layout.name());
        let count = change.allocations + change.reallocations;
        assert!(count <= at_most, "{}: {count} allocations for an instance", layout.name());
        println!("{}: {count} allocations for an instance", layout.name());
    }
}

/// What a view of 10,000 instances keeps, by the allocator's word.
fn memory(own: bool, at_most: usize) {
    const LEN: u16 = 10_000;
    let layout = GoMicro::new();
    let leaf = |number| {
        let mut instance = instance(number);
        if own {
            instance.metadata.insert("started", format!("2026-01-01T00:00:{number}"));
        }
        let leaf = layout.leaf(&instance).unwrap();
        (leaf.name, leaf.data)
    };
    let leaves: Vec<(String, Bytes)> = (0..LEN).map(leaf).collect();
    let region = Region::new(ALLOCATOR);
    let view = first_set(Arc::new(GoMicro::new()), &leaves);
    let change = region.change();
    assert_eq!(view.set().unwrap().len(), leaves.len());
    let bytes = change.bytes_allocated.saturating_sub(change.bytes_deallocated) / leaves.len();
    assert!(
        bytes <= at_most && at_most < BYTES_AN_INSTANCE,
        "{bytes} bytes for an instance, metadata its own: {own}"
    );
    println!("{bytes} bytes for an instance, metadata its own: {own}");
}

fn first_set(layout: Arc<dyn Layout>, leaves: &[(String, Bytes)]) -> View {
    let mut view = View::new(layout, "large", Pace::default(), 7).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a time is needed, whichever")]
    let now = Instant::now();
    view.on_connected();
    let mut rest = leaves.iter();
    while let Some(read) = view.next_read(now) {
        match read {
            Read::Children { id, .. } => view.on_children(id, Ok(leaves.iter().map(|(name, _)| name))),
            Read::Data { id, paths } => {
                let items: Vec<_> =
                    rest.by_ref().take(paths.len()).map(|(_, data)| Ok((data.clone(), STAT))).collect();
                view.on_data(id, Ok((items, 300 * paths.len())));
            }
        }
    }
    view
}
