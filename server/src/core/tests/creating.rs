//! create and its kin: what is checked, in which order, and what comes of it.

use super::*;

const P: CreateMode = CreateMode::PERSISTENT;
const SEQ: CreateMode = CreateMode::PERSISTENT_SEQUENTIAL;

#[test]
fn parents_come_first_and_names_once() {
    let mut world = World::new();
    assert_eq!(world.create("/a/b", P), Err(ErrorCode::NO_NODE));
    world.made("/a");
    world.made("/a/b");
    for taken in ["/a/b", "/", "/zookeeper"] {
        assert_eq!(world.create(taken, P), Err(ErrorCode::NODE_EXISTS), "{taken}");
    }
}

#[test]
fn ephemerals_have_no_children() {
    let mut world = World::new();
    assert_eq!(world.create("/e", CreateMode::EPHEMERAL), Ok("/e".into()));
    for mode in [P, CreateMode::EPHEMERAL, SEQ] {
        assert_eq!(world.create("/e/x", mode), Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS));
    }
}

#[test]
fn numbers_count_creates_and_never_come_twice() {
    let mut world = World::new();
    world.made("/a");
    assert_eq!(world.create("/a/s", SEQ), Ok("/a/s0000000000".into()));
    assert_eq!(world.create("/a/s", SEQ), Ok("/a/s0000000001".into()));
    assert_eq!(world.delete("/a/s0000000001", -1), Ok(String::new()));
    assert_eq!(world.create("/a/s", SEQ), Ok("/a/s0000000002".into()), "deletes do not count");
    world.made("/a/plain");
    assert_eq!(world.create("/a/s", SEQ), Ok("/a/s0000000004".into()), "every create counts");
    assert_eq!(world.create("/a/", SEQ), Ok("/a/0000000005".into()));
    assert_eq!(world.create("/", SEQ), Ok("/0000000001".into()), "one below the root before it");
    world.made("/a/t0000000008");
    assert_eq!(world.create("/a/u", SEQ), Ok("/a/u0000000007".into()));
    assert_eq!(world.create("/a/t", SEQ), Err(ErrorCode::NODE_EXISTS));
    assert_eq!(world.create("/a/v", SEQ), Ok("/a/v0000000008".into()), "a refused one takes no number");
}

#[test]
fn numbers_wrap_to_negative_ones() {
    let mut world = World::new();
    world.made("/a");
    world.tree.node_mut("/a").unwrap().creates = i32::MAX;
    assert_eq!(world.create("/a/s", SEQ), Ok("/a/s2147483647".into()));
    assert_eq!(world.create("/a/s", SEQ), Ok("/a/s-2147483648".into()));
    world.tree.node_mut("/a").unwrap().creates = -1;
    assert_eq!(world.create("/a/s", SEQ), Ok("/a/s-000000001".into()));
}

#[test]
fn paths_are_checked_where_the_real_server_checks_them() {
    let mut world = World::new();
    world.made("/a");
    let bad = [
        "",
        "a",
        "a/b",
        "/a/",
        "//",
        "/a/./b",
        "/a/..",
        "/x\0",
        "/\u{1}",
        "/\u{9f}",
        "/\u{e000}",
        "/\u{fff0}",
        "/🦀",
    ];
    for path in bad {
        // What has a parent that is not there falls over that.
        let expected =
            if path == "a/b" || path == "/a/./b" { ErrorCode::NO_NODE } else { ErrorCode::BAD_ARGUMENTS };
        assert_eq!(world.create(path, P), Err(expected), "{path:?}");
    }
    for path in ["/...", "/ ", "/é", "/a/.b"] {
        world.made(path);
    }
    assert_eq!(world.create("/a//x", P), Err(ErrorCode::NO_NODE), "its parent is /a/, which is no znode");
    assert_eq!(world.create("/none/x\0", P), Err(ErrorCode::BAD_ARGUMENTS), "NUL before the parent");
    let null = CreateRequest { path: Ustring::NULL, ..create("", P) };
    assert_eq!(world.write(&RequestBody::Create(null)), Answer::Refused(ErrorCode::MARSHALLING_ERROR));
}

#[test]
fn operation_flags_and_time_to_live_agree() {
    let mut world = World::new();
    let flags = [-1, 7, 9].map(CreateMode);
    for (at, mode) in flags.into_iter().enumerate() {
        assert_eq!(world.create(&format!("/a{at}"), mode), Err(ErrorCode::BAD_ARGUMENTS), "{mode:?}");
    }
    for mode in [CreateMode::CONTAINER, CreateMode::PERSISTENT_WITH_TTL] {
        assert_eq!(world.create("/a", mode), Err(ErrorCode::BAD_ARGUMENTS), "{mode:?} by op 1");
    }
    for mode in [P, SEQ, CreateMode::EPHEMERAL, CreateMode::PERSISTENT_WITH_TTL] {
        let answer = world.write(&RequestBody::CreateContainer(create("/a", mode)));
        assert_eq!(short(answer), Err(ErrorCode::BAD_ARGUMENTS), "{mode:?} by op 19");
        let answer = world.write(&RequestBody::CreateTtl(create_ttl("/a", mode, 0)));
        assert_eq!(short(answer), Err(ErrorCode::BAD_ARGUMENTS), "{mode:?} by op 21");
    }
    for ttl in [-1, 0, 1 << 40] {
        let request = create_ttl("/a", CreateMode::PERSISTENT_WITH_TTL, ttl);
        assert_eq!(
            short(world.write(&RequestBody::CreateTtl(request))),
            Err(ErrorCode::BAD_ARGUMENTS),
            "{ttl}"
        );
    }
    for (path, ttl) in [("/t1", 1), ("/t2", (1 << 40) - 1)] {
        let request = create_ttl(path, CreateMode::PERSISTENT_WITH_TTL, ttl);
        assert_eq!(short(world.write(&RequestBody::CreateTtl(request))), Ok(path.into()));
    }
    world.rules.extended_types = false;
    let request = create_ttl("/a", CreateMode::PERSISTENT_WITH_TTL, 0);
    assert_eq!(short(world.write(&RequestBody::CreateTtl(request))), Err(ErrorCode::UNIMPLEMENTED));
}

#[test]
fn the_oldest_server_knows_four_kinds() {
    let mut world = World::like(Like::V3_4);
    assert_eq!(world.create("/a", CreateMode::CONTAINER), Err(ErrorCode::BAD_ARGUMENTS));
    assert_eq!(world.create("/a", CreateMode::EPHEMERAL_SEQUENTIAL), Ok("/a0000000000".into()));
}

#[test]
fn create2_and_its_kin_answer_the_stat() {
    let mut world = World::new();
    world.made("/plain");
    let Answer::Created { stat: Some(stat), .. } =
        world.write(&RequestBody::Create2(create("/a", CreateMode::EPHEMERAL)))
    else {
        panic!("no Stat")
    };
    assert_eq!((stat, stat.ephemeral_owner), (world.stat("/a"), 1));
    let container = world.write(&RequestBody::CreateContainer(create("/c", CreateMode::CONTAINER)));
    assert!(matches!(container, Answer::Created { stat: Some(Stat { ephemeral_owner: 0, .. }), .. }));
    let passing = create_ttl("/t", CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL, 5);
    let passing = world.write(&RequestBody::CreateTtl(passing));
    assert!(matches!(passing, Answer::Created { stat: Some(Stat { ephemeral_owner: 0, .. }), .. }));
}

#[test]
fn the_first_of_two_faults_is_told() {
    let mut world = World::new();
    let shut = [Acl::new(Perms::READ, "world", "anyone")];
    world.made("/shut");
    world.made("/shut/x");
    assert_eq!(world.set_acl("/shut", &shut, -1), Ok(String::new()));
    let mut tell = |path: &str, acl: &'static [Acl], flags: i32| {
        let request = CreateRequest { acl: Some(acl.into()), ..create(path, CreateMode(flags)) };
        short(world.write(&RequestBody::Create(request))).unwrap_err()
    };
    assert_eq!(tell("bad", &[], 9), ErrorCode::BAD_ARGUMENTS, "flags before all");
    assert_eq!(tell("bad", &[], 0), ErrorCode::BAD_ARGUMENTS, "the path before the list");
    assert_eq!(tell("/none/x", &[], 0), ErrorCode::INVALID_ACL, "the list before the parent");
    assert_eq!(tell("/none/.", Acl::OPEN, 0), ErrorCode::NO_NODE, "the parent before the whole path");
    assert_eq!(tell("/shut/.", Acl::OPEN, 0), ErrorCode::NO_AUTH, "permission before the whole path");
    assert_eq!(tell("/shut/x", Acl::OPEN, 0), ErrorCode::NO_AUTH, "permission before existence");
}

#[test]
fn a_session_that_is_not_open_writes_nothing() {
    let mut world = World::new();
    world.append(2, Change::CloseSession);
    let body = RequestBody::Create(create("/a", CreateMode::EPHEMERAL));
    assert_eq!(world.write_as(2, &body), Answer::Refused(ErrorCode::SESSION_EXPIRED));
    assert_eq!(world.write_as(2, &set("/", "x", -1)), Answer::Refused(ErrorCode::SESSION_EXPIRED));
    assert_eq!(world.tree.zxid(), 5, "each took its number");
}
