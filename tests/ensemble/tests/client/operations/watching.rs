//! Watches of every kind, live: which events, in which order, and how often.

use crate::support::on_every_version;
use menagerie::client::{WatchEvent, Watcher};
use menagerie::jute::{ErrorCode, EventType};
use menagerie_ensemble::Version;

const CREATED: EventType = EventType::NODE_CREATED;
const DELETED: EventType = EventType::NODE_DELETED;
const DATA: EventType = EventType::NODE_DATA_CHANGED;
const CHILDREN: EventType = EventType::NODE_CHILDREN_CHANGED;

/// The event without its zxid, which only some servers tell.
fn plain(event: WatchEvent) -> (EventType, String) {
    match event {
        WatchEvent::Event { event_type, path, .. } => (event_type, path),
        other => panic!("{other:?} instead of an event"),
    }
}

/// The watcher tells these events and no others.
async fn assert_told(watcher: &mut Watcher, wanted: &[(EventType, &str)]) {
    for (number, (event, path)) in wanted.iter().enumerate() {
        let told = plain(watcher.next().await.unwrap());
        assert_eq!(told, (*event, (*path).to_owned()), "event {number}");
    }
}

#[test]
fn one_shot_watches_fire_once_for_what_they_watch() {
    on_every_version("/watch-once", async |at| {
        let (zk, other) = (at.client().await, at.client().await);
        let (_, created) = zk.exists("/a").watch().await.unwrap();
        other.create("/a").await.unwrap();
        assert_eq!(plain(created.await), (CREATED, "/a".to_owned()));

        let (_, _, data) = zk.get("/a").watch().await.unwrap();
        let (_, there) = zk.exists("/a").watch().await.unwrap();
        let (_, _, children) = zk.children("/a").watch().await.unwrap();
        let (_, _, gone) = zk.children("/a").watch().await.unwrap();
        other.set("/a", "x").await.unwrap();
        other.set("/a", "y").await.unwrap();
        assert_eq!(
            (plain(data.await), plain(there.await)),
            ((DATA, "/a".to_owned()), (DATA, "/a".to_owned()))
        );
        other.create("/a/child").await.unwrap();
        assert_eq!(plain(children.await), (CHILDREN, "/a".to_owned()));
        assert_eq!(plain(gone.await), (CHILDREN, "/a".to_owned()));

        other.delete("/a/child").await.unwrap();
        let (_, _, data) = zk.get("/a").watch().await.unwrap();
        let (_, _, children) = zk.children("/a").watch().await.unwrap();
        other.delete("/a").await.unwrap();
        assert_eq!(
            (plain(data.await), plain(children.await)),
            ((DELETED, "/a".to_owned()), (DELETED, "/a".to_owned()))
        );
        // A read that fails sets no watch.
        assert_eq!(zk.get("/a").watch().await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
        assert_eq!(zk.children("/a").watch().await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
        let stats = zk.stats().session;
        assert_eq!((stats.ignored_events, stats.connects), (0, 1));
    });
}

#[test]
fn an_event_comes_before_the_answer_to_the_write_behind_it() {
    on_every_version("/watch-order", async |at| {
        let zk = at.client().await;
        zk.create("/a").await.unwrap();
        for number in 0..100 {
            let (_, _, changed) = zk.get("/a").watch().await.unwrap();
            let mut changed = Box::pin(changed);
            zk.set("/a", number.to_string()).await.unwrap();
            // The write was answered, so the event is there already.
            let event = std::future::poll_fn(|cx| std::task::Poll::Ready(changed.as_mut().poll(cx))).await;
            assert!(event.is_ready(), "round {number}");
        }
    });
}

#[test]
fn persistent_watches_tell_every_event_of_their_znode() {
    on_every_version("/watch-lasting", async |at| {
        let (zk, other) = (at.client().await, at.client().await);
        let mut watcher = zk.watch("/a").await.unwrap();
        for _ in 0..3 {
            other.create("/a").await.unwrap();
            other.set("/a", "x").await.unwrap();
            other.create("/a/b").await.unwrap();
            other.set("/a/b", "x").await.unwrap();
            other.delete("/a/b").await.unwrap();
            other.delete("/a").await.unwrap();
        }
        other.create("/a").await.unwrap();
        let round = [(CREATED, "/a"), (DATA, "/a"), (CHILDREN, "/a"), (CHILDREN, "/a"), (DELETED, "/a")];
        assert_told(&mut watcher, &round.repeat(3)).await;
        assert_told(&mut watcher, &[(CREATED, "/a")]).await;
        assert_eq!(watcher.path(), "/a");
    });
}

#[test]
fn recursive_watches_tell_every_event_below_too() {
    on_every_version("/watch-recursive", async |at| {
        let (zk, other) = (at.client().await, at.client().await);
        let mut watcher = zk.watch("/a").recursive().await.unwrap();
        other.create("/a/b/c").parents().await.unwrap();
        other.set("/a/b", "x").await.unwrap();
        other.create("/ab").await.unwrap();
        other.transaction().delete("/a/b/c").create("/a/d", "").set("/a/d", "x").commit().await.unwrap();
        other.delete("/a/d").await.unwrap();
        let wanted = [
            (CREATED, "/a"),
            (CREATED, "/a/b"),
            (CREATED, "/a/b/c"),
            (DATA, "/a/b"),
            (DELETED, "/a/b/c"),
            (CREATED, "/a/d"),
            (DATA, "/a/d"),
            (DELETED, "/a/d"),
        ];
        assert_told(&mut watcher, &wanted).await;
    });
}

#[test]
fn events_of_one_transaction_are_all_told_and_know_their_zxid_from_3_9_on() {
    on_every_version("/watch-zxid", async |at| {
        let zk = at.client().await;
        let mut watcher = zk.watch("/a").recursive().await.unwrap();
        zk.transaction().create("/a", "").create("/a/b", "").commit().await.unwrap();
        let stat = zk.exists("/a").await.unwrap().unwrap();
        let zxid = if at.version == Version::V3_8 { -1 } else { stat.czxid };
        for path in ["/a", "/a/b"] {
            let wanted = WatchEvent::Event { event_type: CREATED, path: path.to_owned(), zxid };
            assert_eq!(watcher.next().await, Some(wanted));
        }
    });
}

/// ZOOKEEPER-4466: before 3.9 a server keeps one mode for each path, and the last one wins.
#[test]
fn several_modes_on_one_path_do_not_take_each_others_events() {
    on_every_version("/watch-modes", async |at| {
        let (zk, other) = (at.client().await, at.client().await);
        zk.create("/a/b").parents().await.unwrap();
        let mut recursive = zk.watch("/a").recursive().await.unwrap();
        let mut lasting = zk.watch("/a").await.unwrap();
        let (_, _, data) = zk.get("/a").watch().await.unwrap();
        let (_, _, children) = zk.children("/a").watch().await.unwrap();
        other.set("/a/b", "x").await.unwrap();
        other.create("/a/c").await.unwrap();
        other.set("/a", "x").await.unwrap();
        other.set("/a/c", "x").await.unwrap();
        assert_eq!(
            (plain(data.await), plain(children.await)),
            ((DATA, "/a".to_owned()), (CHILDREN, "/a".to_owned()))
        );
        assert_told(&mut recursive, &[(DATA, "/a/b"), (CREATED, "/a/c"), (DATA, "/a"), (DATA, "/a/c")]).await;
        assert_told(&mut lasting, &[(CHILDREN, "/a"), (DATA, "/a")]).await;
        // The weaker one goes on when the stronger is taken back.
        drop(recursive);
        other.create("/a/d").await.unwrap();
        other.set("/a", "y").await.unwrap();
        assert_told(&mut lasting, &[(CHILDREN, "/a"), (DATA, "/a")]).await;
    });
}

#[test]
fn a_watch_that_is_dropped_leaves_the_server() {
    on_every_version("/watch-dropped", async |at| {
        let mine = at.client().await;
        let session = format!("0x{:x}", mine.status().session_id.unwrap());
        let watches = || {
            let by_session = at.node.four_letter_word("wchc").unwrap();
            let own = by_session.lines().skip_while(|line| *line != session).skip(1);
            own.take_while(|line| line.starts_with('\t')).count()
        };
        let kept = mine.watch("/kept").await.unwrap();
        let dropped = mine.watch("/dropped").recursive().await.unwrap();
        assert_eq!(watches(), 2);
        drop(dropped);
        menagerie_ensemble::eventually("watch taken back", crate::support::BUDGET, || match watches() {
            1 => Ok(()),
            count => Err(format!("{count} watches")),
        })
        .unwrap();
        drop(kept);
    });
}
