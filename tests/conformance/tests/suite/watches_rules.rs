//! W8 to W18: what an event looks like, when it comes, and which watches stand beside each other.

use crate::watching::{CHANGED, CREATED, DELETED, LISTED, Watch, seen, seen_before_reply};
use menagerie_conformance::{
    Body, Row, Target,
    jute::{
        Acl, AddWatchMode, AddWatchRequest, CreateMode, ErrorCode, EventType, GetDataRequest, KeeperState,
        OpCode, Perms, Reader, RemoveWatchesRequest, ReplyHeader, SetDataRequest, SetWatches, WatcherEvent,
        WatcherType,
    },
};

pub(crate) const ROWS: &[Row] = &[
    Row::new("W8", "a notification: xid -1, no error, type, state 3, path", notification_frame)
        .differs("ZOOKEEPER-4655: its zxid is that of the transaction from 3.9.0, -1 before"),
    Row::new("W9", "types 1 to 4, state SyncConnected", event_numbers),
    Row::new("W10", "a one-shot watch is gone when it fires", one_shot),
    Row::new("W11", "an event comes before the reply that causes it and any read that shows it", event_first),
    Row::new(
        "W12",
        "however many watches a connection has that tell of an event, it comes once",
        registered_often,
    ),
    Row::new("W13", "reads that fail set no watch, except exists of a missing znode", failed_reads),
    Row::new("W14", "addWatch knows modes 0 and 1, and looks at no path", add_watch_modes),
    Row::new("W15", "addWatch is answered by four zero bytes, setWatches and removeWatches by none", bodies),
    Row::new(
        "W16",
        "a recursive watch never tells of children lists; a child watch beside it does",
        no_lists,
    ),
    Row::new("W17", "the kinds of watches on one path do not touch each other", side_by_side)
        .differs("ZOOKEEPER-4466: before 3.9.0 the last kind set on a path replaces the others"),
    Row::new("W18", "a recursive watch on the root covers everything", root).alone(),
];

fn notification_frame(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let path = t.path("node");
    s.create(&path, b"").unwrap();
    for kind in [Watch::Data, Watch::Persistent] {
        kind.set(&mut watcher, &path);
        s.set(&path, b"", -1).unwrap();
        let frame = watcher.wire.frame();
        assert_eq!(frame.len(), 16 + 12 + path.len());
        let mut reader = Reader::new(frame);
        let header: ReplyHeader = reader.record().unwrap();
        let zxid = if t.since_3_9() { s.zxid } else { -1 };
        assert_eq!((header.xid.0, header.zxid, header.err.0), (-1, zxid, 0), "{kind:?}");
        let event: WatcherEvent = reader.record().unwrap();
        assert_eq!((event.event_type.0, event.state.0, event.path.as_str()), (3, 3, &*path));
        reader.finish("WatcherEvent").unwrap();
    }
}

fn event_numbers(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let (path, child) = (t.path("node"), t.path("node/child"));
    Watch::Persistent.set(&mut watcher, &path);
    s.create(&path, b"").unwrap();
    s.set(&path, b"", -1).unwrap();
    s.create(&child, b"").unwrap();
    s.delete(&child, -1).unwrap();
    s.delete(&path, -1).unwrap();
    let events = watcher.events_by_now();
    assert_eq!(events.iter().map(|event| event.kind.0).collect::<Vec<_>>(), [1, 3, 4, 4, 2]);
    assert!(events.iter().all(|event| event.state == KeeperState::SYNC_CONNECTED && event.path == path));
}

fn one_shot(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    for (kind, name) in [(Watch::Exists, "exists"), (Watch::Data, "data")] {
        let path = t.path(name);
        s.create(&path, b"").unwrap();
        kind.set(&mut watcher, &path);
        s.set(&path, b"1", -1).unwrap();
        s.set(&path, b"2", -1).unwrap();
        s.delete(&path, -1).unwrap();
        assert_eq!(seen(&mut watcher), [(CHANGED, path.clone())], "{kind:?}");
        s.create(&path, b"").unwrap();
        kind.set(&mut watcher, &path);
        s.set(&path, b"3", -1).unwrap();
        assert_eq!(seen(&mut watcher), [(CHANGED, path)], "{kind:?} again");
    }
    let parent = t.path("child");
    s.create(&parent, b"").unwrap();
    Watch::Child.set(&mut watcher, &parent);
    s.create(&format!("{parent}/a"), b"").unwrap();
    s.create(&format!("{parent}/b"), b"").unwrap();
    assert_eq!(seen(&mut watcher), [(LISTED, parent)]);
    let missing = t.path("missing");
    Watch::Exists.set(&mut watcher, &missing);
    s.create(&missing, b"").unwrap();
    s.set(&missing, b"", -1).unwrap();
    assert_eq!(seen(&mut watcher), [(CREATED, missing)]);
}

fn event_first(t: &Target<'_>) {
    let (mut s, mut other) = (t.session(), t.session());
    let path = t.path("node");
    s.create(&path, b"0").unwrap();
    for kind in [Watch::Data, Watch::Persistent] {
        kind.set(&mut s, &path);
        s.set(&path, b"1", -1).unwrap();
        assert_eq!(seen_before_reply(&mut s), [(CHANGED, path.clone())], "{kind:?}: before the reply");
    }
    // Everything at once: each event stands in front of the first reply that knows of it.
    let set = SetDataRequest { path: path.as_str(), data: None, version: -1 };
    let get = GetDataRequest { path: path.as_str(), watch: true };
    for _ in 0..50 {
        s.send(OpCode::GET_DATA, &get);
        s.send(OpCode::SET_DATA, &set);
    }
    for _ in 0..50 {
        assert_eq!(s.answer().code(), ErrorCode::OK);
        assert_eq!(seen_before_reply(&mut s), []);
        assert_eq!(s.answer().code(), ErrorCode::OK);
        assert_eq!(seen_before_reply(&mut s), [(CHANGED, path.clone())]);
    }
    // A change of somebody else: whoever reads it has seen the event. 3.8 has made the watch a one-shot one by now.
    for round in 0..50 {
        let before = s.get(&path, true).unwrap().1.version;
        s.events();
        other.send(OpCode::SET_DATA, &set);
        loop {
            let version = s.get(&path, false).unwrap().1.version;
            let told = s.events().len();
            assert_eq!(told, usize::from(version > before), "round {round}");
            if told == 1 {
                break;
            }
        }
        assert_eq!(other.answer().code(), ErrorCode::OK);
    }
}

fn registered_often(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let path = t.path("node");
    s.create(&path, b"").unwrap();
    for kind in [Watch::Data, Watch::Data, Watch::Exists] {
        kind.set(&mut watcher, &path);
    }
    Watch::Child.set(&mut watcher, &path);
    watcher.children2(&path, true).unwrap();
    s.set(&path, b"", -1).unwrap();
    assert_eq!(seen(&mut watcher), [(CHANGED, path.clone())]);
    s.create(&t.path("node/child"), b"").unwrap();
    assert_eq!(seen(&mut watcher), [(LISTED, path.clone())]);
    s.set(&path, b"", -1).unwrap();
    assert_eq!(seen(&mut watcher), []);
    watcher.add_watch(&path, AddWatchMode::PERSISTENT).unwrap();
    watcher.add_watch(&path, AddWatchMode::PERSISTENT).unwrap();
    s.set(&path, b"", -1).unwrap();
    assert_eq!(seen(&mut watcher), [(CHANGED, path)], "persistent ones neither");

    let path = t.path("below");
    s.create(&path, b"").unwrap();
    Watch::Data.set(&mut watcher, &path);
    Watch::Child.set(&mut watcher, &path);
    Watch::Recursive.set(&mut watcher, t.base());
    Watch::Recursive.set(&mut watcher, "/");
    s.set(&path, b"", -1).unwrap();
    s.delete(&path, -1).unwrap();
    let own = |event: &(EventType, String)| event.1 == path;
    let events: Vec<_> = seen(&mut watcher).into_iter().filter(own).collect();
    assert_eq!(events, [(CHANGED, path.clone()), (DELETED, path.clone())], "nor those of ancestors");
}

fn failed_reads(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let path = t.path("missing");
    assert_eq!(watcher.get(&path, true).err(), Some(ErrorCode::NO_NODE));
    assert_eq!(watcher.children(&path, true).err(), Some(ErrorCode::NO_NODE));
    assert_eq!(watcher.children2(&path, true).err(), Some(ErrorCode::NO_NODE));
    s.create(&path, b"").unwrap();
    s.create(&format!("{path}/child"), b"").unwrap();
    assert_eq!(seen(&mut watcher), []);

    let path = t.path("closed");
    s.create_acl(&path, b"", CreateMode::PERSISTENT, &[Acl::new(Perms(30), "world", "anyone")]).unwrap();
    assert_eq!(watcher.get(&path, true).err(), Some(ErrorCode::NO_AUTH));
    assert_eq!(watcher.children(&path, true).err(), Some(ErrorCode::NO_AUTH));
    assert_eq!(watcher.children2(&path, true).err(), Some(ErrorCode::NO_AUTH));
    s.set_acl(&path, Acl::OPEN, -1).unwrap();
    s.set(&path, b"", -1).unwrap();
    s.create(&format!("{path}/child"), b"").unwrap();
    assert_eq!(seen(&mut watcher), []);

    let path = t.path("later");
    assert_eq!(watcher.exists(&path, true), Err(ErrorCode::NO_NODE));
    s.create(&path, b"").unwrap();
    assert_eq!(seen(&mut watcher), [(CREATED, path)]);
}

fn add_watch_modes(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    for mode in [-1, 2, 5, i32::MAX] {
        let refused = watcher.add_watch(t.base(), AddWatchMode(mode));
        assert_eq!(refused, Err(ErrorCode::MARSHALLING_ERROR), "mode {mode}");
    }
    for path in ["", "no-slash", "//", "/trailing/", "/a/../b", "/\u{0}"] {
        for mode in [AddWatchMode::PERSISTENT, AddWatchMode::PERSISTENT_RECURSIVE] {
            watcher.add_watch(path, mode).unwrap();
        }
    }
    let (path, below) = (t.path("missing"), t.path("far/below"));
    watcher.add_watch(&path, AddWatchMode::PERSISTENT).unwrap();
    watcher.add_watch(&t.path("far"), AddWatchMode::PERSISTENT_RECURSIVE).unwrap();
    s.create(&path, b"").unwrap();
    s.create(&t.path("far"), b"").unwrap();
    s.create(&below, b"").unwrap();
    assert_eq!(seen(&mut watcher), [(CREATED, path), (CREATED, t.path("far")), (CREATED, below)]);
}

fn bodies(t: &Target<'_>) {
    let mut s = t.session();
    for mode in [AddWatchMode::PERSISTENT, AddWatchMode::PERSISTENT_RECURSIVE] {
        let added = s.call(OpCode::ADD_WATCH, &AddWatchRequest { path: t.base(), mode });
        assert_eq!((added.code(), &added.body[..]), (ErrorCode::OK, &[0; 4][..]));
    }
    let any = RemoveWatchesRequest { path: t.base(), watcher_type: WatcherType::ANY };
    for op in [OpCode::CHECK_WATCHES, OpCode::REMOVE_WATCHES] {
        let answer = s.call(op, &any);
        assert_eq!((answer.code(), &answer.body[..]), (ErrorCode::OK, &[][..]), "{op}");
    }
    let none: SetWatches<&str> = SetWatches {
        relative_zxid: 0,
        data_watches: Some(Vec::new()),
        exist_watches: Some(Vec::new()),
        child_watches: Some(Vec::new()),
    };
    let answer = s.call_as(-8, OpCode::SET_WATCHES, &none);
    assert_eq!((answer.code(), &answer.body[..]), (ErrorCode::OK, &[][..]));
    let two = [0; 28];
    let answer = s.call_as(-8, OpCode::SET_WATCHES2, &Body(&two));
    assert_eq!((answer.code(), &answer.body[..]), (ErrorCode::OK, &[][..]));
}

fn no_lists(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let (path, child) = (t.path("node"), t.path("node/child"));
    s.create(&path, b"").unwrap();
    Watch::Recursive.set(&mut watcher, &path);
    s.create(&child, b"").unwrap();
    s.delete(&child, -1).unwrap();
    assert_eq!(seen(&mut watcher), [(CREATED, child.clone()), (DELETED, child.clone())]);
    Watch::Child.set(&mut watcher, &path);
    s.create(&child, b"").unwrap();
    s.delete(&child, -1).unwrap();
    assert_eq!(
        seen(&mut watcher),
        [(CREATED, child.clone()), (LISTED, path), (DELETED, child)],
        "the child watch fires once, beside the recursive one"
    );
}

/// What a connection with watches of these kinds on one path, set in that order, sees of two setData and a child that
/// comes and goes.
fn together(t: &Target<'_>, kinds: &[Watch]) -> Vec<(EventType, String)> {
    let (mut s, mut watcher) = (t.session(), t.session());
    let path = t.path(&kinds.iter().map(|kind| format!("{kind:?}")).collect::<String>());
    s.create(&path, b"").unwrap();
    kinds.iter().for_each(|kind| kind.set(&mut watcher, &path));
    s.set(&path, b"1", -1).unwrap();
    s.set(&path, b"2", -1).unwrap();
    s.create(&format!("{path}/c"), b"").unwrap();
    s.delete(&format!("{path}/c"), -1).unwrap();
    let from = t.base().len() + 1;
    let relative = |path: &str| path[from..].split_once('/').map_or(".", |(_, child)| child).to_owned();
    seen(&mut watcher).into_iter().map(|(kind, path)| (kind, relative(&path))).collect()
}

fn side_by_side(t: &Target<'_>) {
    use Watch::{Child, Data, Persistent, Recursive};
    type Events<'a> = &'a [(EventType, &'a str)];
    let (set, list) = ((CHANGED, "."), (LISTED, "."));
    let (come, go) = ((CREATED, "c"), (DELETED, "c"));
    // The kinds in the order in which they are set, what is told since 3.9, and before.
    let cases: [(&[Watch], Events<'_>, Events<'_>); 6] = [
        (&[Data, Persistent], &[set, set, list, list], &[set, set, list, list]),
        (&[Persistent, Data], &[set, set, list, list], &[set, list, list]),
        (&[Persistent, Child], &[set, set, list, list], &[set, set, list]),
        (&[Recursive, Data], &[set, set, come, go], &[set, go]),
        (&[Child, Recursive], &[set, set, come, list, go], &[set, set, come, go]),
        (&[Recursive, Persistent], &[set, set, come, list, go, list], &[set, set, list, list]),
    ];
    for (kinds, since_3_9, before) in cases {
        let expected = if t.since_3_9() { since_3_9 } else { before };
        let got = together(t, kinds);
        let got: Vec<_> = got.iter().map(|(kind, path)| (*kind, path.as_str())).collect();
        assert_eq!(got, expected, "{kinds:?}");
    }
}

fn root(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let base = t.base().to_owned();
    Watch::Recursive.set(&mut watcher, "/");
    let deep = t.path("deep");
    let system = format!("/zookeeper{base}");
    s.create(&deep, b"").unwrap();
    s.create(&system, b"").unwrap();
    s.set("/zookeeper/quota", b"", -1).unwrap();
    s.set("/", b"", -1).unwrap();
    s.delete(&system, -1).unwrap();
    s.create_as(&t.path("deep/e"), b"", CreateMode::EPHEMERAL).unwrap();
    s.close();
    let quota = "/zookeeper/quota".to_owned();
    let e = t.path("deep/e");
    assert_eq!(
        seen(&mut watcher),
        [
            (CREATED, deep),
            (CREATED, system.clone()),
            (CHANGED, quota),
            (CHANGED, "/".to_owned()),
            (DELETED, system),
            (CREATED, e.clone()),
            (DELETED, e),
        ]
    );
}
