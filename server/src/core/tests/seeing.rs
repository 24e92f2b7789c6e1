//! Reads.

use super::*;

#[test]
fn reads_validate_nothing() {
    let mut world = World::new();
    world.made("/a");
    let reads = world.tree.reads(world.access());
    for path in ["a", "/a/", "//", "/b", "/a\0"] {
        assert_eq!(reads.data(path), Err(ErrorCode::NO_NODE), "{path:?}");
        assert_eq!(reads.children(path), Err(ErrorCode::NO_NODE), "{path:?}");
    }
    assert_eq!(reads.exists("/a/"), Err(ErrorCode::NO_NODE));
    assert_eq!(reads.exists("/a\0"), Err(ErrorCode::BAD_ARGUMENTS));
    assert_eq!(reads.exists(""), reads.exists("/"), "another name of the root");
}

#[test]
fn children_are_names_and_come_with_the_stat() {
    let mut world = World::new();
    for path in ["/a", "/a/c", "/a/b", "/a/b/d"] {
        world.made(path);
    }
    let reads = world.tree.reads(world.access());
    let (names, stat) = reads.children("/a").unwrap();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(stat, world.stat("/a"));
    assert_eq!(reads.all_children_number("/a"), Ok(3));
    assert_eq!(reads.all_children_number("/"), Ok(4 + 3));
    assert_eq!(reads.all_children_number("/a/c"), Ok(0));
    assert_eq!(reads.all_children_number(""), Ok(4 + 3 + 1), "the root is below its other name");
}

#[test]
fn a_session_finds_its_ephemerals_by_text() {
    let mut world = World::new();
    world.made("/a");
    for path in ["/a/x", "/ab"] {
        world.create(path, CreateMode::EPHEMERAL).unwrap();
    }
    let reads = world.tree.reads(world.access());
    for all in ["", "/", "  ", "/\u{1}"] {
        assert_eq!(reads.ephemerals(1, all), ["/a/x", "/ab"], "{all:?}");
    }
    assert_eq!(reads.ephemerals(1, "/a"), ["/a/x", "/ab"]);
    assert_eq!(reads.ephemerals(1, "/a/"), ["/a/x"]);
    assert!(reads.ephemerals(2, "").is_empty());
}

#[test]
fn a_walk_sees_every_znode_before_its_children() {
    let mut world = World::new();
    for path in ["/b", "/a", "/a/c", "/a-"] {
        world.made(path);
    }
    let paths: Vec<_> = world.tree.walk().map(|(path, _)| path.to_string()).collect();
    let expected = ["/", "/a", "/a/c", "/a-", "/b", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"];
    assert_eq!(paths, expected);
    assert_eq!(paths.len() + 1, world.tree.node_count());
}

#[test]
fn depth_costs_no_stack() {
    let mut world = World::new();
    let mut path = String::new();
    for _ in 0..3000 {
        path.push_str("/x");
        world.made(&path);
    }
    let copy = world.tree.clone();
    assert_eq!(copy.reads(world.access()).all_children_number("/"), Ok(3003));
    assert_eq!(copy.walk().count(), 3004);
}

#[test]
fn a_hundred_thousand_children_are_many_but_fine() {
    let mut world = World::new();
    world.made("/p");
    let mut answers = (0..100_000).map(|_| world.create("/p/", CreateMode::EPHEMERAL_SEQUENTIAL));
    assert!(answers.all(|answer| answer.is_ok()));
    assert_eq!(world.stat("/p").num_children, 100_000);
    world.append(1, Change::CloseSession);
    assert_eq!((world.applied.events.len(), world.stat("/p").num_children), (100_000, 0));
}
