//! Limits and usage.

use super::*;

/// A world with `/q`, one child, and a quota on it.
fn world(limits: &str, enforce_quota: bool) -> World {
    let mut world = World::with(Rules { enforce_quota, ..Rules::default() });
    world.made("/q");
    world.made("/q/a");
    world.made("/zookeeper/quota/q");
    let node = |name: &str, data: &str| {
        let request = create(&format!("/zookeeper/quota/q/{name}"), CreateMode::PERSISTENT);
        RequestBody::Create(CreateRequest { data: Some(Bytes::copy_from_slice(data.as_bytes())), ..request })
    };
    world.write(&node("zookeeper_limits", limits));
    world.write(&node("zookeeper_stats", "count=0,bytes=0"));
    world
}

const USAGE: &str = "/zookeeper/quota/q/zookeeper_stats";

#[test]
fn usage_is_counted_once_and_then_kept() {
    let mut world = world("count=-1,bytes=-1", false);
    assert_eq!(world.text(USAGE), "count=2,bytes=2", "what was there, the root of it too");
    let stat = world.stat(USAGE);
    world.made("/q/b");
    world.made("/q/b/c");
    assert_eq!(world.events(), [(EventType::NODE_CREATED, "/q/b/c")], "nobody hears of usage");
    world.set("/q/b/c", "four", -1).unwrap();
    assert_eq!(world.text(USAGE), "count=4,bytes=7");
    world.delete("/q/b/c", -1).unwrap();
    world.made("/other");
    assert_eq!(world.text(USAGE), "count=3,bytes=3");
    assert_eq!(world.stat(USAGE), Stat { data_length: 15, ..stat });
    world.create("/q/e", CreateMode::EPHEMERAL).unwrap();
    world.append(1, Change::CloseSession);
    assert_eq!(world.text(USAGE), "count=3,bytes=3");
}

#[test]
fn soft_limits_refuse_nothing() {
    let mut world = world("count=1,bytes=1", true);
    world.made("/q/b");
    world.set("/q/b", "longer", -1).unwrap();
}

#[test]
fn hard_limits_refuse() {
    let mut world = world("count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3", true);
    world.made("/q/b");
    assert_eq!(world.create("/q/c", CreateMode::PERSISTENT), Err(ErrorCode::QUOTA_EXCEEDED));
    assert_eq!(world.create("/q/a", CreateMode::PERSISTENT), Err(ErrorCode::NODE_EXISTS), "existence first");
    world.set("/q/b", "12345678", -1).unwrap();
    assert_eq!(
        world.set("/q/b", "123456789", 7),
        Err(ErrorCode::QUOTA_EXCEEDED),
        "the quota before the version"
    );
    assert_eq!(world.set("/q/b", "1", 7), Err(ErrorCode::BAD_VERSION));
    world.delete("/q/b", -1).unwrap();
    world.made("/q/c");
    assert_eq!(world.text(USAGE), "count=3,bytes=3");
}

#[test]
fn without_enforcement_limits_are_text() {
    let mut world = world("count=-1,bytes=-1,countHardLimit=0", false);
    world.made("/q/b");
    assert_eq!(world.text(USAGE), "count=3,bytes=3");
}

#[test]
fn a_multi_is_not_summed_up_before_it_is_applied() {
    let mut world = world("count=-1,bytes=-1=;countHardLimit=3", true);
    let plain = |path| Op::Create(create(path, CreateMode::PERSISTENT));
    assert!(
        matches!(world.multi([plain("/q/b"), plain("/q/c")]), Answer::Multi(_)),
        "each has room by itself"
    );
    assert_eq!(world.text(USAGE), "count=4,bytes=4");
    let refused = Answer::RefusedMulti(vec![ErrorCode::OK, ErrorCode::QUOTA_EXCEEDED]);
    assert_eq!(world.multi([delete("/q/c", -1), plain("/q/d")]), refused);
}

#[test]
fn the_nearest_quota_counts_and_a_removed_one_does_not() {
    let mut world = world("count=-1,bytes=-1=;countHardLimit=2", true);
    for path in [
        "/zookeeper/quota/q/a",
        "/zookeeper/quota/q/a/zookeeper_limits",
        "/zookeeper/quota/q/a/zookeeper_stats",
    ] {
        world.made(path);
    }
    world.made("/q/a/b");
    assert_eq!(world.text("/zookeeper/quota/q/a/zookeeper_stats"), "count=2,bytes=2");
    assert_eq!(world.text(USAGE), "count=2,bytes=2");
    assert_eq!(world.create("/q/b", CreateMode::PERSISTENT), Err(ErrorCode::QUOTA_EXCEEDED));
    world.delete("/zookeeper/quota/q/zookeeper_limits", -1).unwrap();
    world.made("/q/b");
    assert_eq!(world.text(USAGE), "count=2,bytes=2");
}

#[test]
fn nonsense_in_them_harms_nothing() {
    let mut world = world("==,;;count;bytes=x=countHardLimit=\u{1}", true);
    world.set(USAGE, ",;=\0", -1).unwrap();
    world.made("/q/b");
    assert_eq!(world.text(USAGE), "count=0,bytes=0", "from -1 each, and one znode and one byte more");
    world.made("/q/c");
    let null = SetDataRequest { data: None, ..set_request(USAGE, "", -1) };
    world.write(&RequestBody::SetData(null));
    world.made("/q/d");
    assert_eq!(world.text(USAGE), "count=0,bytes=0");
    world.delete(USAGE, -1).unwrap();
    world.made("/q/e");
}
