//! delete, setData, setACL, the end of a session; and what all of them do to Stats.

use super::*;

#[test]
fn a_fresh_tree_is_as_the_real_one() {
    let world = World::new();
    let stat = |path: &str| world.stat(path);
    assert_eq!(stat("/"), Stat { cversion: -1, num_children: 1, ..Stat::default() });
    assert_eq!(stat("/zookeeper"), Stat { cversion: -2, num_children: 2, ..Stat::default() });
    assert_eq!(stat("/zookeeper/quota"), Stat::default());
    assert_eq!(stat("/zookeeper/config"), Stat { aversion: -1, ..Stat::default() });
    assert_eq!(&**world.tree.znode("/zookeeper/config").unwrap().acl(), Acl::READ);
    assert_eq!((world.tree.node_count(), world.tree.approximate_data_size()), (5, 44));
    let old = World::like(Like::V3_4);
    assert_eq!(old.stat("/zookeeper"), Stat { cversion: -1, num_children: 1, ..Stat::default() });
    assert_eq!((old.tree.node_count(), old.tree.approximate_data_size()), (4, 27));
}

#[test]
fn stats_move_as_the_tables_say() {
    let mut world = World::new();
    world.made("/a");
    let fresh =
        Stat { czxid: 3, mzxid: 3, pzxid: 3, ctime: 1000, mtime: 1000, data_length: 1, ..Stat::default() };
    assert_eq!(world.stat("/a"), fresh);
    world.time = 2000;
    world.set("/a", "four", 0).unwrap();
    let set = Stat { mzxid: 4, mtime: 2000, version: 1, data_length: 4, ..fresh };
    assert_eq!(world.stat("/a"), set);
    world.set_acl("/a", Acl::OPEN, 0).unwrap();
    assert_eq!(world.stat("/a"), Stat { aversion: 1, ..set });
    for path in ["/a/1", "/a/2", "/a/3"] {
        world.made(path);
    }
    world.set("/a/1", "child", -1).unwrap();
    let above = Stat { aversion: 1, cversion: 3, pzxid: 8, num_children: 3, ..set };
    assert_eq!(world.stat("/a"), above, "a child's data is no matter of its parent");
    world.delete("/a/2", 0).unwrap();
    assert_eq!(world.stat("/a"), Stat { cversion: 4, pzxid: 10, num_children: 2, ..above });
    world.delete("/a/1", -1).unwrap();
    world.delete("/a/3", -1).unwrap();
    world.delete("/a", -1).unwrap();
    world.made("/a");
    assert_eq!(world.stat("/a").cversion, 0, "a new znode");
}

#[test]
fn a_refused_write_takes_a_number_and_nothing_else() {
    let mut world = World::new();
    world.made("/a");
    let before: Vec<_> = world.tree.walk().map(|(path, znode)| (path, znode.stat())).collect();
    assert_eq!(world.create("/a", CreateMode::PERSISTENT), Err(ErrorCode::NODE_EXISTS));
    assert_eq!(world.delete("/b", -1), Err(ErrorCode::NO_NODE));
    assert_eq!(world.set("/a", "x", 7), Err(ErrorCode::BAD_VERSION));
    assert!(world.events().is_empty());
    assert_eq!(world.tree.zxid(), 6);
    assert_eq!(world.tree.walk().map(|(path, znode)| (path, znode.stat())).collect::<Vec<_>>(), before);
}

#[test]
fn delete_tells_the_first_fault() {
    let mut world = World::new();
    world.made("/a");
    world.made("/a/b");
    for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "", "a", "/a\0"] {
        assert_eq!(world.delete(path, -1), Err(ErrorCode::BAD_ARGUMENTS), "{path:?}");
    }
    assert_eq!(world.delete("/x/y", 9), Err(ErrorCode::NO_NODE));
    assert_eq!(world.delete("/x", 9), Err(ErrorCode::NO_NODE));
    assert_eq!(world.delete("/a/", -1), Err(ErrorCode::NO_NODE), "not validated, only not found");
    assert_eq!(world.delete("/a", 9), Err(ErrorCode::BAD_VERSION), "the version before the children");
    assert_eq!(world.delete("/a", 0), Err(ErrorCode::NOT_EMPTY));
    world.made("/zookeeper/mine");
    world.delete("/zookeeper/mine", 0).unwrap();
    let old = &mut World::like(Like::V3_4);
    assert_eq!(old.delete("/zookeeper/config", -1), Err(ErrorCode::NO_NODE));
}

#[test]
fn versions_are_compared_and_wrap() {
    let mut world = World::new();
    world.made("/a");
    assert_eq!(world.set("/a", "x", 1), Err(ErrorCode::BAD_VERSION));
    world.tree.node_mut("/a").unwrap().version = i32::MAX;
    world.set("/a", "x", i32::MAX).unwrap();
    assert_eq!(world.stat("/a").version, i32::MIN);
    world.tree.node_mut("/a").unwrap().version = -2;
    world.set("/a", "x", -2).unwrap();
    assert_eq!(world.stat("/a").version, -1, "3.9 does not skip it");
    world.set_acl("/a", Acl::OPEN, 0).unwrap();
    assert_eq!(world.set_acl("/a", Acl::OPEN, 0), Err(ErrorCode::BAD_VERSION));
    assert_eq!(world.set("relative", "x", -1), Err(ErrorCode::BAD_ARGUMENTS));
    assert_eq!(world.set_acl("/none", &[], -1), Err(ErrorCode::INVALID_ACL), "the list before the znode");
}

#[test]
fn the_root_is_written_like_any_other() {
    let mut world = World::new();
    world.set("/", "data", -1).unwrap();
    world.set_acl("/", Acl::OPEN, 0).unwrap();
    let stat = world.stat("/");
    assert_eq!((stat.version, stat.aversion, stat.data_length, stat.mzxid), (1, 1, 4, 3));
}

#[test]
fn null_is_kept_and_is_not_empty() {
    let mut world = World::new();
    let null = |path: &str| CreateRequest { data: None, ..create(path, CreateMode::PERSISTENT) };
    world.write(&RequestBody::Create(null("/null")));
    world.made("/set");
    world.write(&RequestBody::SetData(SetDataRequest { data: None, ..set_request("/set", "", -1) }));
    world.set("/zookeeper/quota", "", -1).unwrap();
    for path in ["/null", "/set"] {
        assert_eq!(
            (world.tree.znode(path).unwrap().data(), world.stat(path).data_length),
            (None, 0),
            "{path}"
        );
    }
    assert_eq!(world.tree.znode("/zookeeper/quota").unwrap().data(), Some(&Bytes::new()));
}

#[test]
fn events_name_the_znode_and_carry_both_lists() {
    let mut world = World::new();
    world.made("/a");
    assert_eq!(world.events(), [(EventType::NODE_CREATED, "/a")]);
    let event = &world.applied.events[0];
    assert_eq!((&*event.acl, event.parent_acl.as_deref()), (Acl::OPEN, Some(Acl::OPEN)));
    let read = [Acl::READ[0].clone()];
    world.set_acl("/a", &read, -1).unwrap();
    assert!(world.events().is_empty());
    world.rules.skip_acl = true;
    world.set("/a", "", -1).unwrap();
    assert_eq!(world.events(), [(EventType::NODE_DATA_CHANGED, "/a")]);
    assert_eq!(world.applied.events[0].parent_acl, None);
    world.delete("/a", -1).unwrap();
    assert_eq!(world.events(), [(EventType::NODE_DELETED, "/a")]);
    assert_eq!(&*world.applied.events[0].acl, &read, "as it was");
}

#[test]
fn a_sessions_ephemerals_go_at_once() {
    let mut world = World::new();
    world.made("/p");
    for path in ["/p/b", "/p/a", "/c"] {
        world.create(path, CreateMode::EPHEMERAL).unwrap();
    }
    world.write_as(2, &RequestBody::Create(create("/p/other", CreateMode::EPHEMERAL)));
    let owners: Vec<(i64, Vec<_>)> =
        world.tree.owners().map(|(id, paths)| (id, paths.map(|path| path.to_string()).collect())).collect();
    let expected = [(1, vec!["/c", "/p/a", "/p/b"]), (2, vec!["/p/other"])];
    assert_eq!(owners, expected.map(|(id, paths)| (id, paths.into_iter().map(str::to_owned).collect())));
    assert_eq!(world.tree.ephemerals_count(), 4);
    world.append(1, Change::CloseSession);
    let gone = ["/c", "/p/a", "/p/b"].map(|path| (EventType::NODE_DELETED, path));
    assert_eq!(world.events(), gone);
    assert_eq!((world.stat("/p").pzxid, world.stat("/p").num_children), (world.tree.zxid(), 1));
    assert_eq!(world.tree.session(1), None);
    assert_eq!(world.tree.sessions().collect::<Vec<_>>(), [(2, 4000)]);
    assert_eq!(world.tree.ephemerals(1).count(), 0);
}

#[test]
fn a_deleted_ephemeral_is_forgotten_by_its_session() {
    let mut world = World::new();
    world.create("/e", CreateMode::EPHEMERAL).unwrap();
    world.delete("/e", -1).unwrap();
    world.made("/e");
    world.append(1, Change::CloseSession);
    assert!(world.tree.znode("/e").is_some(), "another znode of that name, and nobody's");
}

#[test]
fn counts_come_back_to_where_they_were() {
    let mut world = World::new();
    let fresh = (world.tree.node_count(), world.tree.approximate_data_size(), world.tree.acls.len());
    let mine = [Acl::new(Perms::ALL, "ip", "10.0.0.1"), Acl::OPEN[0].clone()];
    for path in ["/a", "/a/b", "/a/b/c"] {
        world.made(path);
        world.set(path, "some data", -1).unwrap();
        world.set_acl(path, &mine, -1).unwrap();
    }
    assert_eq!(world.tree.approximate_data_size(), fresh.1 + 2 + 4 + 6 + 3 * 9);
    assert_eq!(world.tree.acls.len(), fresh.2 + 1, "one list, however many have it");
    for path in ["/a/b/c", "/a/b", "/a"] {
        world.delete(path, -1).unwrap();
    }
    assert_eq!((world.tree.node_count(), world.tree.approximate_data_size(), world.tree.acls.len()), fresh);
}

#[test]
fn reconfig_and_what_is_no_write() {
    let mut world = World::new();
    let reconfig = RequestBody::Reconfig(ReconfigRequest::default());
    assert_eq!(world.write(&reconfig), Answer::Refused(ErrorCode::RECONFIG_DISABLED));
    world.rules.reconfig_enabled = true;
    assert_eq!(world.write(&reconfig), Answer::Refused(ErrorCode::UNIMPLEMENTED));
    let check = RequestBody::Check(CheckVersionRequest { path: "/".into(), version: -1 });
    assert_eq!(world.write(&check), Answer::Refused(ErrorCode::UNIMPLEMENTED));
    assert_eq!(world.write(&RequestBody::Empty), Answer::Refused(ErrorCode::UNIMPLEMENTED));
}
