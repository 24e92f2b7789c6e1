//! Containers, and znodes with a time to live.

use super::super::due_for_reaping;
use super::*;

fn due(world: &World, now_millis: i64) -> Vec<String> {
    due_for_reaping(&world.tree, &world.rules, now_millis).iter().map(|path| path.to_string()).collect()
}

fn container(world: &mut World, path: &str) {
    let answer = world.write(&RequestBody::CreateContainer(create(path, CreateMode::CONTAINER)));
    assert_eq!(short(answer), Ok(path.to_owned()));
}

#[test]
fn a_container_goes_once_it_was_used_and_is_empty() {
    let mut world = World::new();
    container(&mut world, "/c");
    assert!(due(&world, i64::MAX).is_empty(), "never used");
    world.made("/c/x");
    assert!(due(&world, i64::MAX).is_empty(), "in use");
    world.delete("/c/x", -1).unwrap();
    assert_eq!(due(&world, 0), ["/c"]);
    assert_eq!(world.reap("/c"), Ok(String::new()));
    assert_eq!(world.events(), [(EventType::NODE_DELETED, "/c")]);
    assert!(due(&world, 0).is_empty());
    assert_eq!(world.reap("/c"), Err(ErrorCode::NO_NODE));
}

#[test]
fn one_never_used_goes_when_told_to() {
    let mut world = World::with(Rules { max_never_used_millis: 100, ..Rules::default() });
    container(&mut world, "/c");
    assert!(due(&world, 1100).is_empty());
    assert_eq!(due(&world, 1101), ["/c"]);
}

#[test]
fn time_to_live_runs_from_the_last_write_of_data() {
    let mut world = World::new();
    let request = create_ttl("/t", CreateMode::PERSISTENT_WITH_TTL, 50);
    world.write(&RequestBody::CreateTtl(request));
    assert!(due(&world, 1050).is_empty());
    assert_eq!(due(&world, 1051), ["/t"]);
    world.time = 1040;
    world.set("/t", "", -1).unwrap();
    assert!(due(&world, 1051).is_empty());
    world.time = 1080;
    world.made("/t/x");
    assert!(due(&world, 5000).is_empty(), "it has a child");
    world.delete("/t/x", -1).unwrap();
    assert_eq!(due(&world, 1091), ["/t"], "children do not renew it");
}

#[test]
fn a_child_that_came_meanwhile_saves_it() {
    let mut world = World::new();
    container(&mut world, "/c");
    world.made("/c/x");
    world.delete("/c/x", -1).unwrap();
    assert_eq!(due(&world, 0), ["/c"]);
    world.made("/c/y");
    let zxid = world.tree.zxid();
    assert_eq!(world.reap("/c"), Err(ErrorCode::NOT_EMPTY));
    assert_eq!(world.tree.zxid(), zxid + 1);
}

#[test]
fn nothing_else_is_reaped() {
    let mut world = World::new();
    world.made("/p");
    world.create("/e", CreateMode::EPHEMERAL).unwrap();
    for path in ["/p", "/e", "/zookeeper/config"] {
        assert_eq!(world.reap(path), Err(ErrorCode::BAD_VERSION), "{path}");
    }
    assert_eq!(world.reap("/"), Err(ErrorCode::NOT_EMPTY));
    assert_eq!(world.reap("none"), Err(ErrorCode::NO_NODE));
}

#[test]
fn no_list_protects_from_it() {
    let mut world = World::new();
    world.made("/shut");
    container(&mut world, "/shut/c");
    world.made("/shut/c/x");
    world.delete("/shut/c/x", -1).unwrap();
    world.set_acl("/shut", Acl::READ, -1).unwrap();
    assert_eq!(world.delete("/shut/c", -1), Err(ErrorCode::NO_AUTH));
    assert_eq!(world.reap("/shut/c"), Ok(String::new()));
}
