//! What a znode costs in memory beside its data. Prints the figures, and fails over more than promised.
//!
//! A binary of its own with one thread, so that nothing else allocates while it measures.

use bytes::Bytes;
use menagerie_server::core::{Caller, Change, Creation, Kind, Like, Rules, Tree, Txn, prepare};
use menagerie_server::jute::{Acl, CreateMode, CreateRequest, RequestBody};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const ZNODES: usize = 100_000;
const DATA_LEN: usize = 100;
/// Bytes a znode beside its data, as asked of the allocator.
const MOST: usize = 400;

/// The path to ask for, by number.
type Path = fn(usize) -> String;

fn main() {
    let shapes: [(&str, Path, i32); 4] = [
        ("children of one", |at| format!("/p/node-{at:010}"), 0),
        (
            "a hundred a parent",
            |at| {
                format!("/p/{:04}/node-{:010}", at / 101, at % 101)
                    .trim_end_matches("/node-0000000000")
                    .into()
            },
            0,
        ),
        ("numbered by the tree", |_| String::from("/p/node-"), 2),
        ("ephemerals", |at| format!("/p/node-{at:010}"), 1),
    ];
    for (name, path, mode) in shapes {
        let before = ALLOCATOR.current_usage();
        let tree = grown(path, mode);
        let each = (ALLOCATOR.current_usage() - before) / ZNODES - DATA_LEN;
        println!(
            "{ZNODES} znodes, {name}: {each} bytes each beside {DATA_LEN} of data, resident {} KiB",
            resident_kib()
        );
        assert!(tree.node_count() > ZNODES && each <= MOST, "{each} bytes a znode are too many");
    }
}

/// A tree made by requests whose data are slices of larger frames, as they come from the network.
fn grown(path: Path, mode: i32) -> Tree {
    let (mut tree, rules) = (Tree::new(Like::V3_9), Rules::default());
    let parent = Creation {
        path: "/p".into(),
        data: None,
        acl: Acl::OPEN.into(),
        kind: Kind::Persistent,
        with_stat: false,
    };
    append(&mut tree, Change::OpenSession { timeout_millis: 1 });
    append(&mut tree, Change::Create(parent));
    for at in 0..ZNODES {
        let frame = Bytes::from(vec![b'x'; 4096]);
        let (path, data) = (path(at).into(), Some(frame.slice(64..64 + DATA_LEN)));
        let request = CreateRequest { path, data, acl: Some(Acl::OPEN.into()), flags: CreateMode(mode) };
        let change = prepare(&tree, &rules, Caller { session: 1, ids: &[] }, &RequestBody::Create(request));
        append(&mut tree, change);
    }
    tree
}

fn append(tree: &mut Tree, change: Change) {
    let txn = Txn { zxid: tree.zxid() + 1, time: 1, session: 1, change };
    tree.apply(&txn);
}

fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}
