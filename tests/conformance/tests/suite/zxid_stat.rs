//! Z: zxids, versions and Stats.

use bytes::Bytes;
use menagerie_conformance::create_request;
use menagerie_conformance::{
    Body, Row, Session, Setup, Target,
    jute::{
        Acl, CreateMode, DeleteRequest, ErrorCode, GetDataRequest, GetDataResponse, Op, OpCode, OpResult,
        Perms, SetDataRequest, SetDataResponse, Stat,
    },
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FRESH: Setup = Setup { name: "fresh", ..Setup::PLAIN };

pub(crate) const ROWS: &[Row] = &[
    Row::new("Z1", "every write takes the next zxid, a failed one too", failed_writes_take_zxids)
        .alone()
        .differs("3.9 decodes a write before it takes a zxid for it, 3.8 behind that"),
    Row::new("Z2", "all operations of a multi have one zxid", multi_has_one_zxid).alone(),
    Row::new("Z3", "reads are answered with the last zxid, which never goes back", zxids_of_reads).alone(),
    Row::new("Z4", "the Stat of a new znode", fresh_stat),
    Row::new("Z5", "what setData changes in the Stat, and what not", stat_after_set),
    Row::new("Z6", "what a child's coming and going changes in the parent's Stat", stat_after_children),
    Row::new("Z7", "cversion is twice the creates minus the children", cversion),
    Row::new("Z8", "the tree of a new server", fresh_tree).on(&FRESH).alone(),
    Row::new("Z9", "a child's data does not touch the parent's Stat", stat_after_childs_data),
    Row::new("Z10", "setACL changes aversion and nothing else", stat_after_set_acl),
    Row::new("Z11", "versions must be equal, or -1", version_checks),
    Row::new("Z12", "the version after the largest is the smallest", version_wraps),
    Row::new("Z13", "a znode made anew begins anew", made_anew),
    Row::new("Z14", "ephemeralOwner is the session, and 0 for every other kind", ephemeral_owner),
    Row::new("Z15", "null data stays null, empty data stays empty", null_data),
    Row::new("Z16", "dataLength and numChildren are exact", lengths),
    Row::new("Z17", "the root can be read and written", root).alone(),
];

fn failed_writes_take_zxids(t: &Target<'_>) {
    let mut session = t.session();
    let (path, none) = (t.path("n"), t.path("none"));
    session.create(&path, b"").unwrap();
    let mut last = session.zxid;
    assert_eq!(session.exists(&path, false).unwrap().czxid, last);
    let mut step = |session: &mut Session, what: &str| {
        last += 1;
        assert_eq!(session.zxid, last, "{what}");
        assert_eq!(session.ping().header.zxid, last, "ping behind {what}");
    };
    session.set(&path, b"", -1).unwrap();
    step(&mut session, "setData");
    assert_eq!(session.create(&path, b""), Err(ErrorCode::NODE_EXISTS));
    step(&mut session, "create of one that is there");
    assert_eq!(session.delete(&none, -1), Err(ErrorCode::NO_NODE));
    step(&mut session, "delete of none");
    assert_eq!(session.set(&path, b"", 77), Err(ErrorCode::BAD_VERSION));
    step(&mut session, "setData of another version");
    assert_eq!(session.set_acl(&none, Acl::OPEN, -1), Err(ErrorCode::NO_NODE));
    step(&mut session, "setACL of none");
    assert_eq!(session.create("nopath", b""), Err(ErrorCode::BAD_ARGUMENTS));
    step(&mut session, "create without a path");
    let results = session.multi([Op::Create(create_request(&path, b"", CreateMode::PERSISTENT, Acl::OPEN))]);
    assert!(matches!(results.unwrap()[..], [OpResult::Error(_)]));
    step(&mut session, "failed multi");
    session.delete(&path, 1).unwrap();
    step(&mut session, "delete");

    // What does not decode is no attempt since 3.9, which decodes before it counts; a multi counts first.
    let mut misread = |op, takes| {
        assert_eq!(session.call(op, &Body(b"\0\0")).code(), ErrorCode::MARSHALLING_ERROR);
        assert_eq!(session.zxid, last + i64::from(takes), "{op} that does not decode");
        last = session.zxid;
    };
    for op in [
        OpCode::CREATE,
        OpCode::CREATE2,
        OpCode::CREATE_TTL,
        OpCode::DELETE,
        OpCode::SET_DATA,
        OpCode::SET_ACL,
    ] {
        misread(op, !t.since_3_9());
    }
    misread(OpCode::MULTI, true);
    misread(OpCode::RECONFIG, false);
}

fn multi_has_one_zxid(t: &Target<'_>) {
    let mut session = t.session();
    let paths = [t.path("a"), t.path("b"), t.path("b/c")];
    session.ping();
    let before = session.zxid;
    let create = |path: &String| Op::Create(create_request(path, b"", CreateMode::PERSISTENT, Acl::OPEN));
    let set = Op::SetData(SetDataRequest { path: paths[0].as_str().into(), data: None, version: 0 });
    let results = session.multi(paths.iter().map(create).chain([set])).unwrap();
    assert_eq!((results.len(), session.zxid), (4, before + 1));
    let stats = paths.map(|path| session.exists(&path, false).unwrap());
    for stat in stats {
        assert_eq!((stat.czxid, stat.mzxid), (before + 1, before + 1));
    }
    assert_eq!((stats[1].pzxid, session.exists(t.base(), false).unwrap().pzxid), (before + 1, before + 1));
}

fn zxids_of_reads(t: &Target<'_>) {
    let (mut reader, mut writer) = (t.session(), t.session());
    let path = t.path("n");
    writer.create(&path, b"").unwrap();
    for round in 0..50 {
        writer.set(&path, b"", round).unwrap();
        reader.get(&path, false).unwrap();
        assert_eq!(reader.zxid, writer.zxid, "a read");
        reader.exists(&t.path("none"), false).unwrap_err();
        assert_eq!(reader.zxid, writer.zxid, "a failed read");
        reader.children(&path, false).unwrap();
        assert_eq!(reader.zxid, writer.zxid, "a list");
    }
    let mut last = 0;
    for _ in 0..50 {
        writer.send(OpCode::SET_DATA, &SetDataRequest { path: path.as_str(), data: None, version: -1 });
        reader.get(&path, false).unwrap();
        assert!(reader.zxid >= last);
        last = reader.zxid;
    }
    for _ in 0..50 {
        assert_eq!(writer.answer().code(), ErrorCode::OK);
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn fresh_stat(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    let before = now_ms();
    let (_, answered) = session.create2(&path, b"12345", CreateMode::PERSISTENT).unwrap();
    let after = now_ms();
    let zxid = session.zxid;
    let stat = session.exists(&path, false).unwrap();
    assert_eq!(stat, answered);
    let wanted = Stat {
        czxid: zxid,
        mzxid: zxid,
        pzxid: zxid,
        ctime: stat.ctime,
        mtime: stat.ctime,
        data_length: 5,
        ..Stat::default()
    };
    assert_eq!(stat, wanted);
    // By the server's clock, which may be set a little differently.
    assert!(
        (before - 500..=after + 500).contains(&stat.ctime),
        "{} between {before} and {after}",
        stat.ctime
    );
}

fn stat_after_set(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    session.create(&path, b"same").unwrap();
    session.create(&t.path("n/child"), b"").unwrap();
    let first = session.exists(&path, false).unwrap();
    t.eventually("later time", Duration::from_secs(5), || (now_ms() > first.mtime + 5).then_some(()));
    let begun = now_ms();
    let answered = session.set(&path, b"same", 0).unwrap();
    let zxid = session.zxid;
    let second = session.exists(&path, false).unwrap();
    assert_eq!(answered, second);
    assert!(second.mtime >= begun - 500 && second.mtime > first.mtime);
    assert_eq!(second, Stat { version: 1, mzxid: zxid, mtime: second.mtime, ..first });
    let third = session.set(&path, b"longer than before", -1).unwrap();
    assert_eq!((third.version, third.data_length, third.pzxid), (2, 18, first.pzxid));
}

fn stat_after_children(t: &Target<'_>) {
    let mut session = t.session();
    let parent = t.path("p");
    session.create(&parent, b"data").unwrap();
    let first = session.exists(&parent, false).unwrap();
    session.create(&t.path("p/c"), b"").unwrap();
    let zxid = session.zxid;
    let second = session.exists(&parent, false).unwrap();
    assert_eq!(second, Stat { pzxid: zxid, cversion: 1, num_children: 1, ..first });
    session.delete(&t.path("p/c"), -1).unwrap();
    let zxid = session.zxid;
    let third = session.exists(&parent, false).unwrap();
    assert_eq!(third, Stat { pzxid: zxid, cversion: 2, num_children: 0, ..first });
    // Neither a grandchild nor an attempt counts.
    session.create(&t.path("p/c"), b"").unwrap();
    let fourth = session.exists(&parent, false).unwrap();
    session.create(&t.path("p/c/d"), b"").unwrap();
    session.create(&t.path("p/c"), b"").unwrap_err();
    session.delete(&t.path("p/c"), -1).unwrap_err();
    assert_eq!(session.exists(&parent, false).unwrap(), fourth);
}

fn cversion(t: &Target<'_>) {
    let mut session = t.session();
    let parent = t.path("p");
    session.create(&parent, b"").unwrap();
    let check = |session: &mut Session, creates: i32, children: i32| {
        let stat = session.exists(&parent, false).unwrap();
        assert_eq!((stat.cversion, stat.num_children), (2 * creates - children, children));
    };
    for n in 0..6 {
        check(&mut session, n, n);
        session.create(&t.path(&format!("p/{n}")), b"").unwrap();
    }
    session.delete(&t.path("p/3"), -1).unwrap();
    check(&mut session, 6, 5);
    for (creates, n) in [(7, 3), (8, 9)] {
        session.create(&t.path(&format!("p/{n}")), b"").unwrap();
        check(&mut session, creates, creates - 1);
    }
    for n in [0, 1, 2] {
        session.delete(&t.path(&format!("p/{n}")), -1).unwrap();
    }
    check(&mut session, 8, 4);
}

fn fresh_tree(t: &Target<'_>) {
    let count = t.word("srvr");
    assert_eq!(count.lines().find_map(|line| line.strip_prefix("Node count: ")), Some("5"), "{count}");
    let mut session = t.session();
    let (children, root) = session.children2("/", false).unwrap();
    assert_eq!(children, ["zookeeper"]);
    let wanted = Stat { cversion: -1, num_children: 1, ..Stat::default() };
    assert_eq!(root, wanted);
    assert_eq!(session.children("/zookeeper", false).unwrap(), ["config", "quota"]);
    for path in ["/zookeeper/config", "/zookeeper/quota"] {
        let (children, stat) = session.children2(path, false).unwrap();
        assert_eq!((children.len(), stat.version, stat.czxid), (0, 0, 0), "{path}");
    }
}

fn stat_after_childs_data(t: &Target<'_>) {
    let mut session = t.session();
    session.create(&t.path("p"), b"").unwrap();
    session.create(&t.path("p/c"), b"").unwrap();
    let before = session.exists(&t.path("p"), false).unwrap();
    session.set(&t.path("p/c"), b"x", -1).unwrap();
    session.set_acl(&t.path("p/c"), Acl::READ, -1).unwrap();
    assert_eq!(session.exists(&t.path("p"), false).unwrap(), before);
}

fn stat_after_set_acl(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    session.create(&path, b"x").unwrap();
    session.create(&t.path("n/child"), b"").unwrap();
    let before = session.exists(&path, false).unwrap();
    let answered = session.set_acl(&path, Acl::OPEN, 0).unwrap();
    assert_eq!(answered, Stat { aversion: 1, ..before });
    assert_eq!(session.exists(&path, false).unwrap(), answered);
    let all_but_admin = [Acl::new(Perms(15), "world", "anyone")];
    assert_eq!(session.set_acl(&path, &all_but_admin, -1).unwrap(), Stat { aversion: 2, ..before });
}

fn version_checks(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    session.create(&path, b"").unwrap();
    for (version, wanted) in [
        (0, Ok(1)),
        (0, Err(ErrorCode::BAD_VERSION)),
        (-1, Ok(2)),
        (3, Err(ErrorCode::BAD_VERSION)),
        (-2, Err(ErrorCode::BAD_VERSION)),
        (2, Ok(3)),
    ] {
        assert_eq!(session.set(&path, b"", version).map(|stat| stat.version), wanted, "setData of {version}");
    }
    for version in [2, 4, 0, -2, i32::MAX] {
        assert_eq!(session.delete(&path, version), Err(ErrorCode::BAD_VERSION), "delete of {version}");
    }
    for (version, wanted) in
        [(0, Ok(1)), (0, Err(ErrorCode::BAD_VERSION)), (-1, Ok(2)), (3, Err(ErrorCode::BAD_VERSION))]
    {
        let set = session.set_acl(&path, Acl::OPEN, version).map(|stat| stat.aversion);
        assert_eq!(set, wanted, "setACL of {version}");
    }
    session.delete(&path, 3).unwrap();
    session.create(&path, b"").unwrap();
    session.set(&path, b"", -1).unwrap();
    session.delete(&path, -1).unwrap();
}

fn version_wraps(t: &Target<'_>) {
    let own = t.start_aged("/z12", i32::MAX - 1, 0);
    let mut session = own.session();
    for version in [i32::MAX, i32::MIN, i32::MIN + 1] {
        assert_eq!(session.set("/z12", b"", version.wrapping_sub(1)).unwrap().version, version);
    }
}

fn made_anew(t: &Target<'_>) {
    let mut session = t.session();
    let parent = t.path("p");
    session.create(&parent, b"").unwrap();
    session.set(&parent, b"x", -1).unwrap();
    session.set_acl(&parent, Acl::OPEN, -1).unwrap();
    session.create_as(&t.path("p/s"), b"", CreateMode::PERSISTENT_SEQUENTIAL).unwrap();
    session.delete(&t.path("p/s0000000000"), -1).unwrap();
    session.delete(&parent, -1).unwrap();
    session.create(&parent, b"").unwrap();
    let zxid = session.zxid;
    let stat = session.exists(&parent, false).unwrap();
    assert_eq!((stat.version, stat.cversion, stat.aversion), (0, 0, 0));
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), (zxid, zxid, zxid));
    let made = session.create_as(&t.path("p/s"), b"", CreateMode::PERSISTENT_SEQUENTIAL).unwrap();
    assert_eq!(made, t.path("p/s0000000000"));
}

fn ephemeral_owner(t: &Target<'_>) {
    let mut session = t.session();
    let id = session.id;
    let modes = [
        (CreateMode::PERSISTENT, 0),
        (CreateMode::EPHEMERAL, id),
        (CreateMode::PERSISTENT_SEQUENTIAL, 0),
        (CreateMode::EPHEMERAL_SEQUENTIAL, id),
    ];
    for (mode, owner) in modes {
        let (path, answered) = session.create2(&t.path(&format!("n{}", mode.0)), b"", mode).unwrap();
        assert_eq!(answered.ephemeral_owner, owner, "{mode}");
        assert_eq!(session.exists(&path, false).unwrap().ephemeral_owner, owner, "{mode}");
    }
    let (container, answered) = session.create_container(&t.path("container")).unwrap();
    let (ttl, answered_ttl) =
        session.create_ttl(&t.path("ttl"), CreateMode::PERSISTENT_WITH_TTL, 100_000).unwrap();
    assert_eq!((answered.ephemeral_owner, answered_ttl.ephemeral_owner), (0, 0));
    for path in [container, ttl] {
        assert_eq!(session.get(&path, false).unwrap().1.ephemeral_owner, 0, "{path}");
    }
}

fn null_data(t: &Target<'_>) {
    let mut session = t.session();
    for (name, data) in [("null", None), ("empty", Some(Bytes::new()))] {
        let path = t.path(name);
        let mut create = create_request(&path, b"", CreateMode::PERSISTENT, Acl::OPEN);
        create.data = data.clone();
        assert_eq!(session.call(OpCode::CREATE, &create).code(), ErrorCode::OK);
        let (got, stat) = session.get(&path, false).unwrap();
        assert_eq!((got, stat.data_length), (data.clone(), 0), "created {name}");
        session.set(&path, b"x", -1).unwrap();
        let set = session
            .call(OpCode::SET_DATA, &SetDataRequest { path: path.as_str(), data: data.clone(), version: -1 });
        assert_eq!(set.read::<SetDataResponse>().unwrap().stat.data_length, 0);
        let got = session.call(OpCode::GET_DATA, &GetDataRequest { path: path.as_str(), watch: false });
        assert_eq!(got.read::<GetDataResponse>().unwrap().data, data, "set {name}");
    }
}

fn lengths(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    session.create(&path, b"").unwrap();
    for length in [0, 1, 1_000, 1_000_000, 3] {
        let stat = session.set(&path, &vec![b'x'; length], -1).unwrap();
        assert_eq!(usize::try_from(stat.data_length).unwrap(), length);
        assert_eq!(session.get(&path, false).unwrap().0.unwrap().len(), length);
    }
    for n in 0..20 {
        assert_eq!(session.exists(&path, false).unwrap().num_children, n);
        session.create_as(&t.path("n/c"), b"", CreateMode::EPHEMERAL_SEQUENTIAL).unwrap();
    }
    for path in session.children(&path, false).unwrap() {
        session.delete(&t.path(&format!("n/{path}")), -1).unwrap();
    }
    assert_eq!(session.exists(&path, false).unwrap().num_children, 0);
}

fn root(t: &Target<'_>) {
    let mut session = t.session();
    let before = session.exists("/", false).unwrap();
    let stat = session.set("/", b"of the root", before.version).unwrap();
    assert_eq!((stat.version, stat.mzxid), (before.version + 1, session.zxid));
    assert_eq!(session.get("/", false).unwrap().0.as_deref(), Some(&b"of the root"[..]));
    let (acl, stat) = session.acl("/").unwrap();
    assert_eq!(acl, Acl::OPEN);
    assert_eq!(session.set_acl("/", Acl::OPEN, stat.aversion).unwrap().aversion, stat.aversion + 1);
    session.set("/", b"", -1).unwrap();
    let answer = session.call(OpCode::DELETE, &DeleteRequest { path: "/", version: -1 });
    assert_eq!(answer.code(), ErrorCode::BAD_ARGUMENTS);
}
