//! W1 to W7: which operation fires which watch.

use crate::{
    multi,
    watching::{CHANGED, CREATED, DELETED, Happening, LISTED, Watch, seen},
};
use menagerie_conformance::{
    Row, Session, Target,
    jute::{Acl, CreateMode, ErrorCode, EventType},
};
use std::time::Duration;

pub(crate) const ROWS: &[Row] = &[
    Row::new("W1", "create: NodeCreated of the znode, NodeChildrenChanged of its parent", create),
    Row::new("W2", "setData: NodeDataChanged of the znode, nothing of its parent", set_data),
    Row::new("W3", "delete: one NodeDeleted of the znode, NodeChildrenChanged of its parent", delete),
    Row::new("W4", "a grandchild comes and goes: only recursive watches tell of it", grandchild),
    Row::new("W5", "setACL, check, sync, a failed operation and a failed multi fire nothing", nothing),
    Row::new("W6", "the end of a session fires as deletes of its ephemerals, at one zxid", session_end)
        .slow()
        .differs("ZOOKEEPER-4655: a notification carries the zxid of its transaction from 3.9.0"),
    Row::new("W7", "containers and TTL nodes that are reaped fire as deletes", reaping).slow(),
];

/// What one kind of watch, on one path, sees.
type Case = (Watch, &'static str, &'static [(EventType, &'static str)]);

/// Something that a session does to a path.
type Act = fn(&mut Session, &str);

fn check(t: &Target<'_>, what: &Happening, cases: &[Case]) {
    for (kind, on, expected) in cases {
        what.check(t, *kind, on, expected);
    }
}

fn parent(session: &mut Session, base: &str) {
    session.create(&format!("{base}/p"), b"").unwrap();
}

fn parent_and_node(session: &mut Session, base: &str) {
    parent(session, base);
    session.create(&format!("{base}/p/n"), b"").unwrap();
}

fn create(t: &Target<'_>) {
    let create = Happening {
        name: "create",
        prepare: parent,
        act: |session, base| drop(session.create(&format!("{base}/p/n"), b"").unwrap()),
    };
    check(
        t,
        &create,
        &[
            (Watch::Exists, "/p/n", &[(CREATED, "/p/n")]),
            (Watch::Exists, "/p", &[]),
            (Watch::Data, "/p", &[]),
            (Watch::Child, "/p", &[(LISTED, "/p")]),
            (Watch::Child, "", &[]),
            (Watch::Persistent, "/p/n", &[(CREATED, "/p/n")]),
            (Watch::Persistent, "/p", &[(LISTED, "/p")]),
            (Watch::Persistent, "", &[]),
            (Watch::Recursive, "/p/n", &[(CREATED, "/p/n")]),
            (Watch::Recursive, "/p", &[(CREATED, "/p/n")]),
            (Watch::Recursive, "", &[(CREATED, "/p/n")]),
            (Watch::Recursive, "/q", &[]),
        ],
    );
    let of_any_kind: [Act; 5] = [
        |session, path| drop(session.create2(path, b"", CreateMode::PERSISTENT).unwrap()),
        |session, path| drop(session.create_as(path, b"", CreateMode::EPHEMERAL).unwrap()),
        |session, path| drop(session.create_container(path).unwrap()),
        |session, path| drop(session.create_ttl(path, CreateMode::PERSISTENT_WITH_TTL, 60_000).unwrap()),
        |session, path| drop(session.multi([multi::create(path, CreateMode::PERSISTENT)]).unwrap()),
    ];
    let mut session = t.session();
    for (at, make) in of_any_kind.into_iter().enumerate() {
        let path = t.path(&format!("kind{at}"));
        Watch::Exists.set(&mut session, &path);
        Watch::Child.set(&mut session, t.base());
        make(&mut session, &path);
        assert_eq!(seen(&mut session), [(CREATED, path), (LISTED, t.base().to_owned())], "kind {at}");
    }
    Watch::Exists.set(&mut session, &t.path("s-0000000000"));
    Watch::Persistent.set(&mut session, t.base());
    let made = session.create_as(&t.path("s-"), b"", CreateMode::EPHEMERAL_SEQUENTIAL).unwrap();
    assert_eq!(seen(&mut session), [(LISTED, t.base().to_owned())], "under its name, which is {made}");
}

fn set_data(t: &Target<'_>) {
    let set = Happening {
        name: "set",
        prepare: |session, base| {
            parent_and_node(session, base);
            session.create(&format!("{base}/p/n/below"), b"").unwrap();
        },
        // The same data is a change too.
        act: |session, base| assert!(session.set(&format!("{base}/p/n"), b"", -1).is_ok()),
    };
    check(
        t,
        &set,
        &[
            (Watch::Exists, "/p/n", &[(CHANGED, "/p/n")]),
            (Watch::Data, "/p/n", &[(CHANGED, "/p/n")]),
            (Watch::Child, "/p/n", &[]),
            (Watch::Data, "/p", &[]),
            (Watch::Child, "/p", &[]),
            (Watch::Data, "/p/n/below", &[]),
            (Watch::Persistent, "/p/n", &[(CHANGED, "/p/n")]),
            (Watch::Persistent, "/p", &[]),
            (Watch::Recursive, "/p/n/below", &[]),
            (Watch::Recursive, "/p/n", &[(CHANGED, "/p/n")]),
            (Watch::Recursive, "/p", &[(CHANGED, "/p/n")]),
            (Watch::Recursive, "", &[(CHANGED, "/p/n")]),
        ],
    );
}

fn delete(t: &Target<'_>) {
    let delete = Happening {
        name: "delete",
        prepare: parent_and_node,
        act: |session, base| session.delete(&format!("{base}/p/n"), -1).unwrap(),
    };
    check(
        t,
        &delete,
        &[
            (Watch::Exists, "/p/n", &[(DELETED, "/p/n")]),
            (Watch::Data, "/p/n", &[(DELETED, "/p/n")]),
            (Watch::Child, "/p/n", &[(DELETED, "/p/n")]),
            (Watch::Data, "/p", &[]),
            (Watch::Child, "/p", &[(LISTED, "/p")]),
            (Watch::Persistent, "/p/n", &[(DELETED, "/p/n")]),
            (Watch::Persistent, "/p", &[(LISTED, "/p")]),
            (Watch::Recursive, "/p/n", &[(DELETED, "/p/n")]),
            (Watch::Recursive, "/p", &[(DELETED, "/p/n")]),
            (Watch::Recursive, "", &[(DELETED, "/p/n")]),
        ],
    );
    let mut session = t.session();
    let path = t.path("both");
    session.create(&path, b"").unwrap();
    Watch::Data.set(&mut session, &path);
    Watch::Child.set(&mut session, &path);
    session.delete(&path, -1).unwrap();
    assert_eq!(seen(&mut session), [(DELETED, path.clone())], "data and child watch: one event");
    session.create(&path, b"").unwrap();
    session.create(&format!("{path}/child"), b"").unwrap();
    assert_eq!(seen(&mut session), [], "both are used up");
}

fn grandchild(t: &Target<'_>) {
    let come = Happening {
        name: "come",
        prepare: parent_and_node,
        act: |session, base| drop(session.create(&format!("{base}/p/n/g"), b"").unwrap()),
    };
    let go = Happening {
        name: "go",
        prepare: |session, base| {
            parent_and_node(session, base);
            session.create(&format!("{base}/p/n/g"), b"").unwrap();
        },
        act: |session, base| session.delete(&format!("{base}/p/n/g"), -1).unwrap(),
    };
    for kind in Watch::ALL {
        let recursive = kind == Watch::Recursive;
        come.check(t, kind, "/p", if recursive { &[(CREATED, "/p/n/g")] } else { &[] });
        go.check(t, kind, "/p", if recursive { &[(DELETED, "/p/n/g")] } else { &[] });
    }
}

fn nothing(t: &Target<'_>) {
    let silent: [(&str, Act); 9] = [
        ("setACL", |s, p| assert!(s.set_acl(p, Acl::OPEN, -1).is_ok())),
        ("check", |s, p| drop(s.multi([multi::check(p, -1)]).unwrap())),
        ("sync", |s, p| drop(s.sync(p).unwrap())),
        ("setData", |s, p| assert_eq!(s.set(p, b"", 9), Err(ErrorCode::BAD_VERSION))),
        ("create", |s, p| assert_eq!(s.create(p, b""), Err(ErrorCode::NODE_EXISTS))),
        ("delete", |s, p| assert_eq!(s.delete(p, 9), Err(ErrorCode::BAD_VERSION))),
        ("delete missing", |s, p| assert_eq!(s.delete(&format!("{p}/x"), -1), Err(ErrorCode::NO_NODE))),
        ("multi", |s, p| {
            let new = multi::create(&format!("{p}/new"), CreateMode::PERSISTENT);
            s.multi([multi::set(p, b"", -1), new, multi::check(p, 99)]).unwrap();
        }),
        ("reads", |s, p| {
            s.get(p, false).unwrap();
            s.children2(p, false).unwrap();
            s.acl(p).unwrap();
        }),
    ];
    let (mut actor, mut other) = (t.session(), t.session());
    for (at, kind) in Watch::ALL.into_iter().enumerate() {
        let path = t.path(&format!("node{at}"));
        actor.create(&path, b"").unwrap();
        for (name, act) in silent {
            kind.set(&mut other, &path);
            kind.set(&mut actor, &path);
            act(&mut actor, &path);
            assert_eq!(seen(&mut actor), [], "{name}, {kind:?}, own");
            assert_eq!(seen(&mut other), [], "{name}, {kind:?}");
        }
    }
    assert!(actor.acl(&t.path("node0")).unwrap().1.aversion > 0);
}

/// Two ephemerals below two parents, and a plain znode; who watches all of it sees this.
fn ephemerals(t: &Target<'_>, name: &str) -> (Session, Session, [String; 2], Vec<(EventType, String)>) {
    let (mut owner, mut watcher) = (t.session_of(if name == "expiry" { 3_000 } else { 10_000 }), t.session());
    let base = t.path(name);
    owner.create(&base, b"").unwrap();
    let parents = ["p", "q"].map(|parent| format!("{base}/{parent}"));
    let mut expected = Vec::new();
    for parent in &parents {
        owner.create(parent, b"").unwrap();
        owner.create(&format!("{parent}/stays"), b"").unwrap();
        owner.create_as(&format!("{parent}/e"), b"", CreateMode::EPHEMERAL).unwrap();
        Watch::Data.set(&mut watcher, &format!("{parent}/e"));
        Watch::Child.set(&mut watcher, &format!("{parent}/e"));
        Watch::Child.set(&mut watcher, parent);
        expected.push((DELETED, format!("{parent}/e")));
        expected.push((LISTED, parent.clone()));
    }
    (owner, watcher, parents, expected)
}

fn session_end(t: &Target<'_>) {
    for how in ["close", "expiry"] {
        let (owner, mut watcher, parents, mut expected) = ephemerals(t, how);
        if how == "close" {
            owner.close();
        } else {
            owner.cut();
        }
        watcher.wire.set_patience(Duration::from_secs(20));
        let first = std::iter::from_fn(|| Some(watcher.event())).take(4).collect::<Vec<_>>();
        assert_eq!(seen(&mut watcher), [], "{how}: no more than that");
        let got: Vec<_> = first.iter().map(|event| (event.kind, event.path.clone())).collect();
        // Which ephemeral goes first is not said.
        if got != expected {
            expected.rotate_left(2);
        }
        assert_eq!(got, expected, "{how}");
        let [p, q] = parents.map(|parent| watcher.exists(&parent, false).unwrap());
        assert_eq!(p.pzxid, q.pzxid, "{how}: one transaction");
        let zxid = if t.since_3_9() { p.pzxid } else { -1 };
        assert!(first.iter().all(|event| event.zxid == zxid), "{how}: {first:?}");
    }
}

fn reaping(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let kinds: [(&str, Act); 2] = [
        ("container", |s, path| {
            s.create_container(path).unwrap();
            s.create(&format!("{path}/child"), b"").unwrap();
        }),
        ("ttl", |s, path| {
            s.create_ttl(path, CreateMode::PERSISTENT_WITH_TTL, 1_000).unwrap();
            s.create(&format!("{path}/child"), b"").unwrap();
        }),
    ];
    for (name, make) in kinds {
        let parent = t.path(name);
        let node = format!("{parent}/node");
        s.create(&parent, b"").unwrap();
        make(&mut s, &node);
        Watch::Data.set(&mut watcher, &node);
        Watch::Child.set(&mut watcher, &parent);
        let mut all = t.session();
        Watch::Recursive.set(&mut all, &parent);
        s.delete(&format!("{node}/child"), -1).unwrap();
        let events: Vec<_> = std::iter::from_fn(|| Some(watcher.event())).take(2).collect();
        let what: Vec<_> = events.iter().map(|event| event.what()).collect();
        assert_eq!(what, [(DELETED, &*node), (LISTED, &*parent)], "{name}");
        assert_eq!(seen(&mut watcher), [], "{name}");
        assert_eq!(seen(&mut all), [(DELETED, format!("{node}/child")), (DELETED, node.clone())], "{name}");
        assert_eq!(s.exists(&node, false), Err(ErrorCode::NO_NODE));
    }
}
