//! W19 to W26: watches that are dropped, looked for and taken up again; who may be told; in which order.

use crate::watching::{CHANGED, CREATED, DELETED, LISTED, Watch, seen, seen_before_reply};
use menagerie_conformance::{
    Row, Session, Target,
    jute::{
        Acl, CreateMode, ErrorCode, EventType, OpCode, Perms, SetDataRequest, SetWatches, SetWatches2,
        WatcherType,
    },
};
use std::time::Duration;

pub(crate) const ROWS: &[Row] = &[
    Row::new("W19", "removeWatches drops the kinds it names, NOWATCHER if there is none", remove)
        .differs("ZOOKEEPER-4471, 4472: types tell kinds apart, and 4 and 5 exist, from 3.9.0"),
    Row::new("W20", "checkWatches looks for the same and drops nothing", look).differs(
        "ZOOKEEPER-4471, 4472: it looks at its own connection and the kind, and knows 4 and 5, from 3.9.0",
    ),
    Row::new("W21", "setWatches: what changed since fires, the rest is armed", catch_up),
    Row::new("W22", "what is caught up comes before the reply to setWatches", catch_up_first),
    Row::new(
        "W23",
        "setWatches2 arms persistent watches and catches up with nothing for them",
        persistent_again,
    ),
    Row::new("W24", "who may not read a znode is told nothing of it", withheld),
    Row::new(
        "W25",
        "events come in the order of their transactions, the znode's before its parent's",
        in_order,
    ),
    Row::new("W26", "watches go with their connection, and are counted no more", gone).alone(),
];

const TYPES: [i32; 5] = [1, 2, 3, 4, 5];
const OK: i32 = 0;
const NONE: i32 = -121;
const BAD: i32 = -5;

fn code(result: Result<(), ErrorCode>) -> i32 {
    result.err().map_or(OK, |code| code.0)
}

/// For each kind of watch that is held alone: what the types 1 to 5 are answered since 3.9, and before.
const ANSWERS: [(Watch, [i32; 5], [i32; 5]); 5] = [
    (Watch::Data, [NONE, OK, OK, NONE, NONE], [NONE, OK, OK, BAD, BAD]),
    (Watch::Exists, [NONE, OK, OK, NONE, NONE], [NONE, OK, OK, BAD, BAD]),
    (Watch::Child, [OK, NONE, OK, NONE, NONE], [OK, NONE, OK, BAD, BAD]),
    (Watch::Persistent, [NONE, NONE, OK, OK, NONE], [OK, OK, OK, BAD, BAD]),
    (Watch::Recursive, [NONE, NONE, OK, NONE, OK], [OK, OK, OK, BAD, BAD]),
];

fn remove(t: &Target<'_>) {
    let mut s = t.session();
    for (kind, since_3_9, before) in ANSWERS {
        let expected = if t.since_3_9() { since_3_9 } else { before };
        for (watcher_type, expected) in TYPES.into_iter().zip(expected) {
            let path = t.path(&format!("{kind:?}{watcher_type}"));
            let (mut watcher, mut other) = (t.session(), t.session());
            s.create(&path, b"").unwrap();
            kind.set(&mut watcher, &path);
            kind.set(&mut other, &path);
            let removed = code(watcher.remove_watches(&path, WatcherType(watcher_type)));
            assert_eq!(removed, expected, "{kind:?}, type {watcher_type}");
            s.set(&path, b"", -1).unwrap();
            s.create(&format!("{path}/c"), b"").unwrap();
            let all = seen(&mut other);
            let left = match (expected, kind, watcher_type) {
                (OK, Watch::Persistent, 1) => vec![(CHANGED, path.clone())],
                (OK, Watch::Persistent, 2) => vec![(LISTED, path.clone())],
                (OK, Watch::Recursive, 1) => all.clone(),
                (OK, ..) => Vec::new(),
                _ => all.clone(),
            };
            assert!(!all.is_empty(), "{kind:?}: others keep theirs");
            assert_eq!(seen(&mut watcher), left, "{kind:?}, type {watcher_type}: what is left");
        }
    }
    for bad in [-1, 0, 6, i32::MAX] {
        assert_eq!(code(s.remove_watches(t.base(), WatcherType(bad))), BAD, "type {bad}");
    }
    assert_eq!(code(s.remove_watches(&t.path("none"), WatcherType::ANY)), NONE);
}

fn look(t: &Target<'_>) {
    let (mut s, mut other) = (t.session(), t.session());
    for (kind, since_3_9, before) in ANSWERS {
        let path = t.path(&format!("{kind:?}"));
        s.create(&path, b"").unwrap();
        let expected = if t.since_3_9() { since_3_9 } else { before };
        let ask = |s: &mut Session| TYPES.map(|n| code(s.check_watches(&path, WatcherType(n))));
        kind.set(&mut s, &path);
        assert_eq!(ask(&mut s), expected, "{kind:?}");
        assert_eq!(ask(&mut s), expected, "{kind:?}: nothing is dropped");
        let of_others = if t.since_3_9() { [NONE; 5] } else { before };
        assert_eq!(ask(&mut other), of_others, "{kind:?}: of another connection");
        s.remove_watches(&path, WatcherType::ANY).unwrap();
        let none = if t.since_3_9() { [NONE; 5] } else { [NONE, NONE, NONE, BAD, BAD] };
        assert_eq!(ask(&mut s), none, "{kind:?}: dropped");
    }
    for bad in [-1, 0, 6, i32::MAX] {
        assert_eq!(code(s.check_watches(t.base(), WatcherType(bad))), BAD, "type {bad}");
    }
}

/// The lists of a setWatches.
fn watches<'a>(since: i64, data: &[&'a str], exist: &[&'a str], child: &[&'a str]) -> SetWatches<&'a str> {
    SetWatches {
        relative_zxid: since,
        data_watches: Some(data.to_vec()),
        exist_watches: Some(exist.to_vec()),
        child_watches: Some(child.to_vec()),
    }
}

fn catch_up(t: &Target<'_>) {
    let mut s = t.session();
    let names = ["same", "set", "gone", "missing", "made", "grown"];
    let [same, set, gone, missing, made, grown] = names.map(|name| t.path(name));
    for path in [&same, &set, &gone, &grown] {
        s.create(path, b"").unwrap();
    }
    let since = s.zxid;
    s.set(&set, b"", -1).unwrap();
    s.delete(&gone, -1).unwrap();
    s.create(&made, b"").unwrap();
    s.create(&t.path("grown/child"), b"").unwrap();
    s.set_acl(&same, Acl::OPEN, -1).unwrap();

    let id = s.id;
    let again = s.cut();
    let mut s = Session::open(t.dial(), &again).unwrap();
    assert_eq!(s.id, id);
    s.set_watches(&watches(
        since,
        &[&same, &set, &gone, &missing, &grown],
        &[&same, &missing, &made],
        &[&same, &set, &gone, &grown],
    ));
    let events = s.events();
    assert!(events.iter().all(|event| event.zxid == -1), "what is caught up belongs to no transaction");
    assert_eq!(
        events.iter().map(menagerie_conformance::Event::what).collect::<Vec<_>>(),
        [
            (CHANGED, &*set),
            (DELETED, &*gone),
            (DELETED, &*missing),
            (CREATED, &*same),
            (CREATED, &*made),
            (DELETED, &*gone),
            (LISTED, &*grown),
        ]
    );

    // Armed are: data of same and grown, exists of missing, children of same and set. The others are used up.
    for path in [&same, &grown, &set] {
        s.set(path, b"", -1).unwrap();
    }
    for path in [&missing, &gone] {
        s.create(path, b"").unwrap();
    }
    for path in [&same, &set, &grown] {
        s.create(&format!("{path}/again"), b"").unwrap();
    }
    let expected =
        [(CHANGED, same.clone()), (CHANGED, grown), (CREATED, missing), (LISTED, same), (LISTED, set)];
    assert_eq!(seen(&mut s), expected);
}

fn catch_up_first(t: &Target<'_>) {
    let (mut s, mut other) = (t.session(), t.session());
    let paths: Vec<_> = (0..100).map(|n| t.path(&format!("n{n}"))).collect();
    paths.iter().for_each(|path| drop(s.create(path, b"").unwrap()));
    let all: Vec<&str> = paths.iter().map(String::as_str).collect();
    s.set_watches(&watches(0, &all, &[], &all[..10]));
    assert_eq!(s.events().len(), 110, "made since: data and children have changed");
    assert_eq!(seen(&mut s), []);
    let since = s.zxid;
    s.set_watches(&watches(since, &all, &[], &[]));
    assert_eq!(s.events(), [], "nothing has changed since");
    other.set(&paths[0], b"", -1).unwrap();
    assert_eq!(seen(&mut s), [(CHANGED, paths[0].clone())]);
    // Requests behind it are answered behind it.
    s.wire.send_request(-8, OpCode::SET_WATCHES, &watches(since, &all[..2], &[], &[]));
    let set = SetDataRequest { path: paths[5].as_str(), data: None, version: -1 };
    s.send(OpCode::SET_DATA, &set);
    let answer = s.answer();
    assert_eq!((answer.header.xid.0, answer.code()), (-8, ErrorCode::OK));
    assert_eq!(seen_before_reply(&mut s), [(CHANGED, paths[0].clone())]);
    assert_eq!(s.answer().code(), ErrorCode::OK);
    assert_eq!(seen_before_reply(&mut s), [(CHANGED, paths[5].clone())], "armed by the first setWatches");
}

fn persistent_again(t: &Target<'_>) {
    let (mut s, mut other) = (t.session(), t.session());
    let [one, all, data] = ["one", "all", "data"].map(|name| t.path(name));
    for path in [&one, &all, &data] {
        other.create(path, b"").unwrap();
    }
    let missing = t.path("missing");
    let request: SetWatches2<&str> = SetWatches2 {
        relative_zxid: 0,
        data_watches: Some(vec![&data]),
        exist_watches: Some(vec![&missing]),
        child_watches: Some(Vec::new()),
        persistent_watches: Some(vec![&one, &missing]),
        persistent_recursive_watches: Some(vec![&all]),
    };
    s.call_as(-8, OpCode::SET_WATCHES2, &request).nothing().unwrap();
    assert_eq!(seen_before_reply(&mut s), [(CHANGED, data)], "only the one-shot watch catches up");
    for _ in 0..2 {
        other.set(&one, b"", -1).unwrap();
        other.create(&format!("{one}/c"), b"").unwrap();
        other.delete(&format!("{one}/c"), -1).unwrap();
        other.create(&format!("{all}/c"), b"").unwrap();
        other.delete(&format!("{all}/c"), -1).unwrap();
        let c = format!("{all}/c");
        let lists = (LISTED, one.clone());
        let expected = [(CHANGED, one.clone()), lists.clone(), lists, (CREATED, c.clone()), (DELETED, c)];
        assert_eq!(seen(&mut s), expected);
    }
    other.create(&missing, b"").unwrap();
    other.set(&missing, b"", -1).unwrap();
    assert_eq!(seen(&mut s), [(CREATED, missing.clone()), (CHANGED, missing)], "one event for both kinds");
}

fn withheld(t: &Target<'_>) {
    let (mut owner, mut stranger, mut friend) = (t.session(), t.session(), t.session());
    owner.auth("digest", b"w24:secret").unwrap();
    friend.auth("digest", b"w24:secret").unwrap();
    let [node, parent] = ["node", "parent"].map(|name| t.path(name));
    for path in [&node, &parent] {
        owner.create(path, b"").unwrap();
    }
    for s in [&mut stranger, &mut friend] {
        Watch::Data.set(s, &node);
        Watch::Child.set(s, &parent);
        Watch::Recursive.set(s, t.base());
    }
    for path in [&node, &parent] {
        owner.set_acl(path, Acl::CREATOR_ALL, -1).unwrap();
    }
    let child = format!("{parent}/open");
    owner.set(&node, b"", -1).unwrap();
    owner.create(&child, b"").unwrap();
    owner.delete(&node, -1).unwrap();
    let expected = [
        (CHANGED, node.clone()),
        (CREATED, child.clone()),
        (LISTED, parent.clone()),
        (DELETED, node.clone()),
    ];
    assert_eq!(seen(&mut friend), expected);
    assert_eq!(
        seen(&mut stranger),
        [(CREATED, child.clone())],
        "the child is open, its parent's list is not"
    );

    // The one-shot watches are used up all the same.
    owner.set_acl(&parent, Acl::OPEN, -1).unwrap();
    owner.create(&node, b"").unwrap();
    owner.set(&node, b"", -1).unwrap();
    owner.delete(&child, -1).unwrap();
    let expected = [(CREATED, node.clone()), (CHANGED, node.clone()), (DELETED, child)];
    assert_eq!(seen(&mut stranger), expected, "each once, for the recursive watch");

    // A closed znode in an open parent: its events are withheld, those of the parent's list are not.
    let closed = format!("{parent}/closed");
    Watch::Child.set(&mut stranger, &parent);
    Watch::Exists.set(&mut stranger, &closed);
    let not_read = [Acl::new(Perms(30), "world", "anyone"), Acl::new(Perms::ALL, "auth", "")];
    owner.create_acl(&closed, b"", CreateMode::PERSISTENT, &not_read).unwrap();
    assert_eq!(seen(&mut stranger), [(LISTED, parent.clone())]);
    owner.delete(&closed, -1).unwrap();
    assert_eq!(seen(&mut stranger), []);
    let since = stranger.zxid - 1_000;
    owner.create_acl(&closed, b"", CreateMode::PERSISTENT, Acl::CREATOR_ALL).unwrap();
    seen(&mut stranger);
    stranger.set_watches(&watches(since, &[&closed], &[&closed], &[&closed]));
    let caught_up = seen_before_reply(&mut stranger);
    assert_eq!(
        caught_up,
        [(CHANGED, closed.clone()), (CREATED, closed.clone()), (LISTED, closed)],
        "unchecked"
    );
}

fn in_order(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let (parent, node) = (t.path("p"), t.path("p/n"));
    s.create(&parent, b"").unwrap();
    Watch::Child.set(&mut watcher, &parent);
    Watch::Exists.set(&mut watcher, &node);
    s.create(&node, b"").unwrap();
    assert_eq!(seen(&mut watcher), [(CREATED, node.clone()), (LISTED, parent.clone())], "create");
    Watch::Child.set(&mut watcher, &parent);
    Watch::Child.set(&mut watcher, &node);
    Watch::Data.set(&mut watcher, &node);
    s.delete(&node, -1).unwrap();
    assert_eq!(seen(&mut watcher), [(DELETED, node.clone()), (LISTED, parent.clone())], "delete");
    Watch::Persistent.set(&mut watcher, &parent);
    Watch::Recursive.set(&mut watcher, &node);
    let mut expected: Vec<(EventType, String)> = Vec::new();
    for _ in 0..20 {
        s.create(&node, b"").unwrap();
        s.set(&node, b"", -1).unwrap();
        s.set(&parent, b"", -1).unwrap();
        s.delete(&node, -1).unwrap();
        let (node, parent) = (|kind| (kind, node.clone()), |kind| (kind, parent.clone()));
        expected.extend([node(CREATED), parent(LISTED), node(CHANGED), parent(CHANGED)]);
        expected.extend([node(DELETED), parent(LISTED)]);
    }
    assert_eq!(seen(&mut watcher), expected);
}

fn gone(t: &Target<'_>) {
    let counted = || t.word("wchs");
    let none = "0 connections watching 0 paths\nTotal watches:0";
    assert_eq!(counted().trim(), none);
    let (mut first, mut second) = (t.session(), t.session());
    Watch::Data.set(&mut first, t.base());
    Watch::Exists.set(&mut first, &t.path("missing"));
    Watch::Recursive.set(&mut second, t.base());
    Watch::Persistent.set(&mut second, &t.path("other"));
    assert_eq!(counted().trim(), "2 connections watching 3 paths\nTotal watches:4");
    second.close();
    assert_eq!(counted().trim(), "1 connections watching 2 paths\nTotal watches:2");
    let again = first.cut();
    t.eventually("end of the watches", Duration::from_secs(10), || (counted().trim() == none).then_some(()));
    let mut first = Session::open(t.dial(), &again).unwrap();
    first.set(t.base(), b"", -1).unwrap();
    first.create(&t.path("missing"), b"").unwrap();
    assert_eq!(seen(&mut first), [], "the session lives on, its watches do not");
    assert_eq!(counted().trim(), none);
}
