//! Thousands of watches on long paths: none is lost with a connection, whatever happens while it is away.

use crate::support::{At, BUDGET, on_every_version};
use menagerie::{
    Client,
    client::{Changed, WatchEvent, Watcher},
    jute::{EventType, OpCode},
};
use menagerie_ensemble::proxy::{Counts, Direction, Proxy};
use std::{future::Future, task::Poll, time::Duration};

/// Watches of each kind.
const WATCHES: usize = 2_000;
/// Length of each path on the server, in bytes.
const PATH_LEN_BYTES: usize = 200;
/// Longest `SetWatches` frame.
const BATCH_LEN_BYTES: usize = 128 << 10;
/// Requests in a pipeline at once.
const WINDOW: usize = 500;

/// The path of a number below a chroot, so long that with the chroot it has the length that is wanted.
fn path(at: &At, kind: &str, number: usize) -> String {
    let head = format!("/{kind}-{number:04}-");
    let padding = PATH_LEN_BYTES - at.root().len() - head.len();
    format!("{head}{}", "x".repeat(padding))
}

async fn write_all(zk: &Client, paths: &[String], data: Option<&'static str>) {
    for window in paths.chunks(WINDOW) {
        match data {
            None => {
                let sent: Vec<_> = window.iter().map(|path| zk.create(path.as_str()).send()).collect();
                for each in sent {
                    each.await.unwrap();
                }
            }
            Some(data) => {
                let sent: Vec<_> = window.iter().map(|path| zk.set(path.as_str(), data).send()).collect();
                for each in sent {
                    each.await.unwrap();
                }
            }
        }
    }
}

async fn watch_once(zk: &Client, paths: &[String]) -> Vec<Changed> {
    let mut all = Vec::new();
    for window in paths.chunks(WINDOW) {
        let sent: Vec<_> = window.iter().map(|path| zk.get(path.as_str()).watch().send()).collect();
        for each in sent {
            all.push(each.await.unwrap().2);
        }
    }
    all
}

async fn watch_lasting(zk: &Client, paths: &[String]) -> Vec<Watcher> {
    let mut all = Vec::new();
    for path in paths {
        all.push(zk.watch(path.as_str()).await.unwrap());
    }
    all
}

/// What is there already; `None` if nothing is.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn is_change_of(event: &WatchEvent, wanted: &str) -> bool {
    let changed = EventType::NODE_DATA_CHANGED;
    matches!(event, WatchEvent::Event { event_type, path, .. } if *event_type == changed && path == wanted)
}

/// Every other path, from the one with this number on.
fn every_other(paths: &[String], from: usize) -> Vec<String> {
    paths.iter().skip(from).step_by(2).cloned().collect()
}

fn assert_batches(counts: &Counts) {
    for op in [OpCode::SET_WATCHES, OpCode::SET_WATCHES2] {
        let requests = counts.requests[&op.0];
        // 2,000 paths of 200 bytes and their lengths are 408,000 bytes: four batches at least.
        assert!(requests.frames >= 4, "{op} came in {} frames", requests.frames);
        assert!(requests.longest <= BATCH_LEN_BYTES, "{op} has a frame of {} bytes", requests.longest);
        assert!(requests.bytes >= (WATCHES * (4 + PATH_LEN_BYTES)) as u64, "{op} names too few paths");
    }
}

/// A client of a proxy, and one beside it.
async fn pair(at: &At) -> (Proxy, Client, Client) {
    let proxy = Proxy::start(at.node.client_addr()).unwrap();
    let builder = Client::builder(&proxy.connect_string()).unwrap().chroot(at.root());
    let zk = builder.session_timeout(Duration::from_secs(15)).connect().await.unwrap();
    zk.ensure_chroot().await.unwrap();
    let other = at.builder().chroot(at.root()).connect().await.unwrap();
    (proxy, zk, other)
}

#[test]
fn thousands_of_watches_survive_a_cut() {
    on_every_version("/watches-many", async |at| {
        let (proxy, zk, other) = pair(&at).await;
        let once: Vec<_> = (0..WATCHES).map(|number| path(&at, "once", number)).collect();
        let lasting: Vec<_> = (0..WATCHES).map(|number| path(&at, "lasting", number)).collect();
        assert!(once.iter().chain(&lasting).all(|path| path.len() + at.root().len() == PATH_LEN_BYTES));
        write_all(&other, &once, None).await;
        write_all(&other, &lasting, None).await;
        let changed = watch_once(&zk, &once).await;
        let mut watchers = watch_lasting(&zk, &lasting).await;
        proxy.reset_counts();

        proxy.refuse().unwrap();
        for paths in [&once, &lasting] {
            write_all(&other, &every_other(paths, 0), Some("while apart")).await;
        }
        proxy.accept().unwrap();
        // A request that is answered is behind all batches: every watch is armed again.
        zk.sync("/").await.unwrap();
        assert_batches(&proxy.counts());
        for paths in [&once, &lasting] {
            write_all(&other, &every_other(paths, 1), Some("afterwards")).await;
        }

        for (path, changed) in once.iter().zip(changed) {
            assert!(is_change_of(&changed.await, path), "{path}");
        }
        for (number, (path, watcher)) in lasting.iter().zip(&mut watchers).enumerate() {
            assert_eq!(watcher.next().await, Some(WatchEvent::Gap), "{path}");
            if number % 2 == 1 {
                assert!(is_change_of(&watcher.next().await.unwrap(), path), "{path}");
            }
        }
        zk.sync("/").await.unwrap();
        for watcher in &mut watchers {
            assert_eq!(at_once(watcher.next()).await, None);
        }
        let (counts, stats) = (proxy.counts(), zk.stats().session);
        // Nothing came that nobody waited for: each one-shot watch fired once.
        assert_eq!((stats.ignored_events, zk.status().disconnects, zk.status().epoch), (0, 1, 1));
        assert_eq!(counts.notifications, (WATCHES + WATCHES / 2) as u64);
    });
}

#[test]
fn each_kind_of_one_shot_watch_catches_up_with_what_it_missed() {
    on_every_version("/watches-kinds", async |at| {
        let (proxy, zk, other) = pair(&at).await;
        for path in ["/data", "/gone", "/again", "/list", "/list-gone", "/same"] {
            other.create(path).await.unwrap();
        }
        let mut all = Vec::new();
        for path in ["/data", "/gone", "/again", "/same"] {
            all.push((path, zk.get(path).watch().await.unwrap().2));
        }
        for path in ["/list", "/list-gone"] {
            all.push((path, zk.children(path).watch().await.unwrap().2));
        }
        all.push(("/new", zk.exists("/new").watch().await.unwrap().1));
        let mut lasting = zk.watch("/list").recursive().await.unwrap();
        proxy.refuse().unwrap();
        let apart =
            other.transaction().set("/data", "x").delete("/gone").delete("/again").create("/again", "");
        let apart = apart.create("/list/child", "").delete("/list-gone").create("/new", "");
        apart.commit().await.unwrap();
        proxy.accept().unwrap();
        zk.sync("/").await.unwrap();
        let mut seen = Vec::new();
        for (path, changed) in all {
            match at_once(changed).await {
                Some(WatchEvent::Event { event_type, path: told, .. }) if told == path => {
                    seen.push((path, event_type))
                }
                None => {
                    assert_eq!(path, "/same", "it fires although nothing changed, or another does not fire")
                }
                other => panic!("{path}: {other:?}"),
            }
        }
        let (data, deleted) = (EventType::NODE_DATA_CHANGED, EventType::NODE_DELETED);
        let (children, created) = (EventType::NODE_CHILDREN_CHANGED, EventType::NODE_CREATED);
        let wanted = [
            ("/data", data),
            ("/gone", deleted),
            // Deleted and created anew is a change of data to a server.
            ("/again", data),
            ("/list", children),
            ("/list-gone", deleted),
            ("/new", created),
        ];
        assert_eq!(seen, wanted);
        assert_eq!(at_once(lasting.next()).await, Some(Some(WatchEvent::Gap)));
    });
}

#[test]
fn a_watch_is_armed_again_after_each_of_many_cuts() {
    on_every_version("/watches-flap", async |at| {
        let (proxy, zk, other) = pair(&at).await;
        other.create("/a").await.unwrap();
        let (_, _, changed) = zk.get("/a").watch().await.unwrap();
        let mut lasting = zk.watch("/b").await.unwrap();
        for round in 1..=4 {
            proxy.cut();
            zk.sync("/").await.unwrap();
            assert_eq!(zk.status().disconnects, round);
            assert_eq!(tokio::time::timeout(BUDGET, lasting.next()).await.unwrap(), Some(WatchEvent::Gap));
        }
        other.set("/a", "x").await.unwrap();
        assert!(is_change_of(&changed.await, "/a"));
    });
}

#[test]
fn a_cut_between_two_batches_loses_no_watch() {
    on_every_version("/watches-batches", async |at| {
        let (proxy, zk, other) = pair(&at).await;
        let once: Vec<_> = (0..WATCHES).map(|number| path(&at, "once", number)).collect();
        write_all(&other, &once, None).await;
        let changed = watch_once(&zk, &once).await;
        proxy.refuse().unwrap();
        write_all(&other, &every_other(&once, 0), Some("while apart")).await;
        proxy.reset_counts();
        proxy.delay(Direction::ToServer, Duration::from_millis(50));
        proxy.accept().unwrap();
        // The first batch is answered, and the answer tells a newer zxid; the last has not gone through.
        let counts = proxy.wait_counts(BUDGET, |counts| counts.replies > 0).unwrap();
        assert!(counts.frames(OpCode::SET_WATCHES.0) < 4, "{counts:?}");
        proxy.cut();
        proxy.delay(Direction::ToServer, Duration::ZERO);
        zk.sync("/").await.unwrap();
        write_all(&other, &every_other(&once, 1), Some("afterwards")).await;
        for (path, changed) in once.iter().zip(changed) {
            let event = tokio::time::timeout(Duration::from_secs(10), changed).await;
            assert!(is_change_of(&event.unwrap(), path), "{path}");
        }
        assert_eq!((zk.status().disconnects, zk.status().epoch), (2, 1));
    });
}
