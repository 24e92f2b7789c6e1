//! C, second half: containers and TTL nodes, and the rest about children and sizes.

use crate::create_delete::NO_TTL;
use bytes::Bytes;
use menagerie_conformance::{
    Row, Session, Target, create_request,
    jute::{
        Acl, CreateMode, ErrorCode, EventType, GetAllChildrenNumberRequest, GetAllChildrenNumberResponse,
        GetEphemeralsRequest, GetEphemeralsResponse, OpCode, SetDataRequest, SetDataResponse,
    },
    record_frame,
};
use std::time::{Duration, Instant};

pub(crate) const ROWS: &[Row] = &[
    Row::new("C22", "containers go once they had a child and have none", containers).on(&NO_TTL).slow(),
    Row::new("C23", "TTL nodes go when childless and untouched for their time", ttl_nodes).slow(),
    Row::new("C24", "reaping is a delete: watches, a zxid, and it loses against a child", reaping)
        .alone()
        .slow(),
    Row::new("C25", "getChildren lists all, getChildren2 adds the parent's Stat", children),
    Row::new("C26", "getAllChildrenNumber counts descendants, getEphemerals lists this session's", counts),
    Row::new("C27", "sync answers the path, whatever it is", sync),
    Row::new("C28", "the longest request is 0xfffff bytes", longest_request),
];

/// How long reaping may take: the servers look five times a second.
const SOON: Duration = Duration::from_secs(10);

fn wait_until_gone(session: &mut Session, path: &str) {
    session.wire.set_patience(SOON);
    let event = session.event();
    assert_eq!(event.what(), (EventType::NODE_DELETED, path));
}

fn containers(t: &Target<'_>) {
    let mut session = t.session();
    let [used, unused, filled] = ["used", "unused", "filled"].map(|name| t.path(name));
    let begun = Instant::now();
    for path in [&used, &unused, &filled] {
        session.create_container(path).unwrap();
    }
    session.create(&format!("{filled}/child"), b"").unwrap();
    session.create(&format!("{used}/child"), b"").unwrap();
    session.create(&t.path("plain"), b"").unwrap();
    session.create(&t.path("plain/child"), b"").unwrap();
    session.delete(&t.path("plain/child"), -1).unwrap();
    session.exists(&used, true).unwrap();
    session.delete(&format!("{used}/child"), -1).unwrap();
    wait_until_gone(&mut session, &used);
    // One that was never used has its own, longer time: a second here.
    if session.exists(&unused, true).is_ok() {
        wait_until_gone(&mut session, &unused);
    }
    assert!(begun.elapsed() > Duration::from_millis(900), "the unused one after {:?}", begun.elapsed());
    assert_eq!(session.children(t.base(), false).unwrap(), ["filled", "plain"]);
}

fn ttl_nodes(t: &Target<'_>) {
    let mut session = t.session();
    for ttl in [0, -1, 1 << 40, i64::MIN, i64::MAX] {
        let made = session.create_ttl(&t.path("bad"), CreateMode::PERSISTENT_WITH_TTL, ttl);
        assert_eq!(made, Err(ErrorCode::BAD_ARGUMENTS), "a TTL of {ttl}");
    }
    for (name, ttl) in [("long", (1 << 40) - 1), ("minute", 60_000)] {
        session.create_ttl(&t.path(name), CreateMode::PERSISTENT_WITH_TTL, ttl).unwrap();
    }
    let [short, renewed, parent] = ["short", "renewed", "parent"].map(|name| t.path(name));
    session.create_ttl(&parent, CreateMode::PERSISTENT_WITH_TTL, 500).unwrap();
    session.create(&format!("{parent}/child"), b"").unwrap();
    let begun = Instant::now();
    session.create_ttl(&short, CreateMode::PERSISTENT_WITH_TTL, 3_000).unwrap();
    session.exists(&short, true).unwrap();
    session.create_ttl(&renewed, CreateMode::PERSISTENT_WITH_TTL, 3_000).unwrap();
    while begun.elapsed() < Duration::from_millis(1_500) {
        session.get(&renewed, false).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let set = Instant::now();
    session.set(&renewed, b"again", -1).unwrap();
    wait_until_gone(&mut session, &short);
    assert!(begun.elapsed() >= Duration::from_millis(3_000), "gone after {:?}", begun.elapsed());
    session.exists(&renewed, true).unwrap();
    wait_until_gone(&mut session, &renewed);
    assert!(set.elapsed() >= Duration::from_millis(3_000), "gone {:?} after it was set", set.elapsed());
    assert_eq!(session.children(t.base(), false).unwrap(), ["long", "minute", "parent"]);
    session.exists(&parent, true).unwrap();
    session.delete(&format!("{parent}/child"), -1).unwrap();
    wait_until_gone(&mut session, &parent);
}

fn reaping(t: &Target<'_>) {
    let mut session = t.session();
    let container = t.path("container");
    session.create_container(&container).unwrap();
    session.create(&format!("{container}/child"), b"").unwrap();
    session.children(&container, true).unwrap();
    session.get(&container, true).unwrap();
    session.children(t.base(), true).unwrap();
    session.delete(&format!("{container}/child"), -1).unwrap();
    assert_eq!(session.event().what(), (EventType::NODE_CHILDREN_CHANGED, container.as_str()));
    let before = session.zxid;
    assert_eq!(session.event().what(), (EventType::NODE_DELETED, container.as_str()));
    assert_eq!(session.event().what(), (EventType::NODE_CHILDREN_CHANGED, t.base()));
    assert_eq!(session.exists(t.base(), false).unwrap().pzxid, before + 1);
    assert_eq!(session.zxid, before + 1);
    // A child that comes as the container is about to go: one of the two wins, and no child is ever without a parent.
    session.create_container(&container).unwrap();
    let child = format!("{container}/child");
    let begun = Instant::now();
    let mut alive = true;
    while begun.elapsed() < Duration::from_millis(1_500) && alive {
        match session.create(&child, b"") {
            Ok(_) => session.delete(&child, -1).unwrap(),
            Err(code) => {
                assert_eq!(code, ErrorCode::NO_NODE);
                alive = false;
            }
        }
    }
    assert_eq!(session.exists(&container, false).is_ok(), alive);
    let (container, child) = (t.path("second"), t.path("second/child"));
    session.create_container(&container).unwrap();
    session.create(&child, b"").unwrap();
    session.exists(&container, true).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(700) {
        assert!(session.exists(&child, false).is_ok());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(session.events(), []);
}

fn children(t: &Target<'_>) {
    let mut session = t.session();
    let names: Vec<_> = (0..10).map(|n| format!("c{n}")).collect();
    for name in names.iter().rev() {
        session.create(&t.path(name), b"").unwrap();
    }
    session.create(&t.path("c0/below"), b"").unwrap();
    assert_eq!(session.children(t.base(), false).unwrap(), names);
    let (listed, stat) = session.children2(t.base(), false).unwrap();
    assert_eq!(listed, names);
    assert_eq!(stat, session.exists(t.base(), false).unwrap());
    assert_eq!(session.children(&t.path("c1"), false).unwrap(), [""; 0]);
    assert_eq!(session.children2(&t.path("none"), false), Err(ErrorCode::NO_NODE));
}

fn descendants(session: &mut Session, path: &str) -> Result<i32, ErrorCode> {
    let counted = session.call(OpCode::GET_ALL_CHILDREN_NUMBER, &GetAllChildrenNumberRequest { path });
    counted.read::<GetAllChildrenNumberResponse>().map(|counted| counted.total_number)
}

fn ephemerals(session: &mut Session, prefix_path: &str) -> Vec<String> {
    let listed = session.call(OpCode::GET_EPHEMERALS, &GetEphemeralsRequest { prefix_path });
    let listed = listed.read::<GetEphemeralsResponse>().unwrap().ephemerals.unwrap();
    let mut paths: Vec<_> = listed.iter().map(|path| path.as_str().to_owned()).collect();
    paths.sort();
    paths
}

fn counts(t: &Target<'_>) {
    let (mut session, mut other) = (t.session(), t.session());
    for name in ["a", "a/b", "a/b/c", "ab", "a/d"] {
        session.create(&t.path(name), b"").unwrap();
    }
    for (path, count) in [(t.base().to_owned(), 5), (t.path("a"), 3), (t.path("a/b/c"), 0), (t.path("ab"), 0)]
    {
        assert_eq!(descendants(&mut session, &path), Ok(count), "{path}");
    }
    assert_eq!(descendants(&mut session, &t.path("none")), Err(ErrorCode::NO_NODE));
    assert!(descendants(&mut session, "/").unwrap() > 8);

    let mine = ["a/e1", "ab/e2", "e3"].map(|name| t.path(name));
    for path in &mine {
        session.create_as(path, b"", CreateMode::EPHEMERAL).unwrap();
    }
    other.create_as(&t.path("a/other"), b"", CreateMode::EPHEMERAL).unwrap();
    assert_eq!(ephemerals(&mut session, "/"), mine);
    assert_eq!(ephemerals(&mut session, ""), mine);
    assert_eq!(ephemerals(&mut session, &t.path("a")), mine[..2], "by text, not by component");
    assert_eq!(ephemerals(&mut session, &t.path("a/")), mine[..1]);
    assert_eq!(ephemerals(&mut session, &t.path("none")), [""; 0]);
    assert_eq!(ephemerals(&mut other, "/"), [t.path("a/other")]);
}

fn sync(t: &Target<'_>) {
    let mut session = t.session();
    for path in ["/", t.base(), &t.path("none"), "no path", "", "//", "/a/../b", "/\u{1}"] {
        assert_eq!(session.sync(path).as_deref(), Ok(path));
    }
}

fn longest_request(t: &Target<'_>) {
    const LONGEST: usize = 0xf_ffff;
    let mut session = t.session();
    let path = t.path("n");
    session.create(&path, b"").unwrap();
    let set = |data: usize| SetDataRequest {
        path: path.as_str(),
        data: Some(Bytes::from(vec![b'x'; data])),
        version: -1,
    };
    let around = record_frame(&set(0)).len() - 4 + 8;
    let stat = session.call(OpCode::SET_DATA, &set(LONGEST - around)).read::<SetDataResponse>().unwrap().stat;
    assert_eq!(usize::try_from(stat.data_length).unwrap(), LONGEST - around);
    session.send(OpCode::SET_DATA, &set(LONGEST - around + 1));
    session.expect_eof();
    let mut session = t.session();
    assert_eq!(session.exists(&path, false).unwrap().version, 1);
    let create = create_request(&t.path("large"), &vec![b'x'; 1 << 20], CreateMode::PERSISTENT, Acl::OPEN);
    session.send(OpCode::CREATE, &create);
    session.expect_eof();
    assert_eq!(t.session().exists(&t.path("large"), false), Err(ErrorCode::NO_NODE));
}
