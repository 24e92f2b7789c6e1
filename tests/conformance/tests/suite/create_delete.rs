//! C, first half: create and delete, their paths, their order of refusals.

use menagerie_conformance::{
    Body, Row, Session, Setup, Target, Wire, connect_request, create_request, create_ttl_request,
    jute::{
        Acl, Create2Response, CreateMode, CreateResponse, ErrorCode, ExistsRequest, Op, OpCode, OpResult,
        Perms,
    },
    record_frame,
};

pub(crate) const NO_TTL: Setup =
    Setup { name: "no-ttl", extended_types: false, container_never_used_ms: 1_000, ..Setup::PLAIN };
const QUOTA: Setup = Setup::QUOTA;

pub(crate) const ROWS: &[Row] = &[
    Row::new("C1", "create answers a path, its younger sisters a path and a Stat", answers_of_creates),
    Row::new("C2", "no parent: NONODE", no_parent),
    Row::new("C3", "there already: NODEEXISTS, the root too", there_already),
    Row::new("C4", "below an ephemeral: NOCHILDRENFOREPHEMERALS", below_an_ephemeral),
    Row::new("C5", "sequential: ten digits of how many creates the parent has seen", sequence),
    Row::new("C6", "sequential behind a slash: the number alone", sequence_behind_a_slash),
    Row::new("C7", "a slash at the end: BADARGUMENTS", trailing_slash),
    Row::new(
        "C8",
        "a sequential name that is taken: NODEEXISTS, and the number is used again",
        sequence_collides,
    ),
    Row::new(
        "C9",
        "behind the largest number: the smallest in a transaction, and no number by itself",
        sequence_wraps,
    ),
    Row::new("C10", "what a path may be", paths),
    Row::new("C11", "reads do not look at the path's form", paths_of_reads).alone(),
    Row::new("C12", "the modes of create", modes),
    Row::new("C13", "TTL modes without the TTL operation: BADARGUMENTS", ttl_modes_without_ttl),
    Row::new("C14", "what cannot be deleted", undeletable),
    Row::new("C15", "delete: NONODE, then BADVERSION, then NOTEMPTY", delete_order),
    Row::new("C16", "users create and delete below /zookeeper", below_zookeeper),
    Row::new("C17", "no ACL, or an empty one: INVALIDACL, before the parent is looked for", no_acl),
    Row::new("C18", "the order of a create's refusals", create_order).on(&QUOTA),
    Row::new("C19", "createTTL: UNIMPLEMENTED when off", ttl_off).on(&NO_TTL),
    Row::new("C20", "createTTL with a mode without TTL", ttl_without_mode)
        .stricter("a TTL of -1 with such a mode is refused as any other; Apache logs it and dies of it"),
    Row::new(
        "C21",
        "createContainer with another mode, and other creates with the container's",
        container_modes,
    )
    .stricter("BADARGUMENTS; Apache makes what the operation says, whatever the mode"),
];

fn answers_of_creates(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("create");
    let create = create_request(&path, b"", CreateMode::PERSISTENT, Acl::OPEN);
    let made: CreateResponse = session.call(OpCode::CREATE, &create).read().unwrap();
    assert_eq!(made.path, path.as_str());
    let with_stat = [
        (OpCode::CREATE2, CreateMode::PERSISTENT),
        (OpCode::CREATE2, CreateMode::EPHEMERAL),
        (OpCode::CREATE_CONTAINER, CreateMode::CONTAINER),
    ];
    for (op, mode) in with_stat {
        let path = t.path(&format!("{op}-{mode}"));
        let made: Create2Response =
            session.call(op, &create_request(&path, b"abc", mode, Acl::OPEN)).read().unwrap();
        assert_eq!(
            (made.path.as_str(), made.stat.czxid, made.stat.data_length),
            (path.as_str(), session.zxid, 3)
        );
        assert_eq!(session.exists(&path, false).unwrap(), made.stat);
    }
    let path = t.path("ttl");
    let create = create_ttl_request(&path, CreateMode::PERSISTENT_WITH_TTL, 1_000_000);
    let made: Create2Response = session.call(OpCode::CREATE_TTL, &create).read().unwrap();
    assert_eq!((made.path.as_str(), made.stat), (path.as_str(), session.exists(&path, false).unwrap()));
}

fn no_parent(t: &Target<'_>) {
    let mut session = t.session();
    for mode in [CreateMode::PERSISTENT, CreateMode::EPHEMERAL, CreateMode::PERSISTENT_SEQUENTIAL] {
        assert_eq!(session.create_as(&t.path("no/child"), b"", mode), Err(ErrorCode::NO_NODE), "{mode}");
    }
    assert_eq!(session.create_container(&t.path("no/child")), Err(ErrorCode::NO_NODE));
    assert_eq!(session.exists(&t.path("no"), false), Err(ErrorCode::NO_NODE));
}

fn there_already(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    session.create(&path, b"first").unwrap();
    for mode in [CreateMode::PERSISTENT, CreateMode::EPHEMERAL] {
        assert_eq!(session.create_as(&path, b"second", mode), Err(ErrorCode::NODE_EXISTS));
    }
    assert_eq!(session.get(&path, false).unwrap().0.as_deref(), Some(&b"first"[..]));
    assert_eq!(session.create("/", b""), Err(ErrorCode::NODE_EXISTS));
    assert_eq!(session.create2("/", b"", CreateMode::EPHEMERAL), Err(ErrorCode::NODE_EXISTS));
}

fn below_an_ephemeral(t: &Target<'_>) {
    let mut session = t.session();
    session.create_as(&t.path("e"), b"", CreateMode::EPHEMERAL).unwrap();
    for mode in [CreateMode::PERSISTENT, CreateMode::EPHEMERAL, CreateMode::EPHEMERAL_SEQUENTIAL] {
        let made = session.create_as(&t.path("e/child"), b"", mode);
        assert_eq!(made, Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS), "{mode}");
    }
    assert_eq!(session.exists(&t.path("e"), false).unwrap().num_children, 0);
}

fn sequence(t: &Target<'_>) {
    let mut session = t.session();
    session.create(&t.path("p"), b"").unwrap();
    let next = |session: &mut Session, number: &str| {
        let made = session.create_as(&t.path("p/s-"), b"", CreateMode::PERSISTENT_SEQUENTIAL).unwrap();
        assert_eq!(made, t.path(&format!("p/s-{number}")));
    };
    next(&mut session, "0000000000");
    next(&mut session, "0000000001");
    next(&mut session, "0000000002");
    session.delete(&t.path("p/s-0000000001"), -1).unwrap();
    session.delete(&t.path("p/s-0000000002"), -1).unwrap();
    next(&mut session, "0000000003");
    session.create(&t.path("p/plain"), b"").unwrap();
    next(&mut session, "0000000005");
    // What is below a child, what fails and what other names there are makes no difference.
    session.create(&t.path("p/plain/below"), b"").unwrap();
    session.create(&t.path("p/plain"), b"").unwrap_err();
    session.set(&t.path("p"), b"", -1).unwrap();
    let made = session.create_as(&t.path("p/other"), b"", CreateMode::EPHEMERAL_SEQUENTIAL).unwrap();
    assert_eq!(made, t.path("p/other0000000006"));
    let (made, _) =
        session.create_ttl(&t.path("p/ttl"), CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL, 1_000_000).unwrap();
    assert_eq!(made, t.path("p/ttl0000000007"));
}

fn sequence_behind_a_slash(t: &Target<'_>) {
    let mut session = t.session();
    session.create(&t.path("p"), b"").unwrap();
    let made = session.create_as(&t.path("p/"), b"", CreateMode::PERSISTENT_SEQUENTIAL).unwrap();
    assert_eq!(made, t.path("p/0000000000"));
    let made = session.create_as("/", b"", CreateMode::EPHEMERAL_SEQUENTIAL).unwrap();
    let digits = made.strip_prefix('/').unwrap();
    assert!(digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{made}");
}

fn trailing_slash(t: &Target<'_>) {
    let mut session = t.session();
    session.create(&t.path("p"), b"").unwrap();
    for path in [t.path("p/"), t.path("new/")] {
        let wanted = if path.ends_with("new/") { ErrorCode::NO_NODE } else { ErrorCode::BAD_ARGUMENTS };
        assert_eq!(session.create(&path, b""), Err(wanted), "{path}");
    }
}

fn sequence_collides(t: &Target<'_>) {
    let mut session = t.session();
    session.create(&t.path("p"), b"").unwrap();
    session.create(&t.path("p/s0000000001"), b"").unwrap();
    for _ in 0..2 {
        let made = session.create_as(&t.path("p/s"), b"", CreateMode::PERSISTENT_SEQUENTIAL);
        assert_eq!(made, Err(ErrorCode::NODE_EXISTS));
    }
    let made = session.create_as(&t.path("p/other"), b"", CreateMode::PERSISTENT_SEQUENTIAL).unwrap();
    assert_eq!(made, t.path("p/other0000000001"));
    let made = session.create_as(&t.path("p/s"), b"", CreateMode::PERSISTENT_SEQUENTIAL).unwrap();
    assert_eq!(made, t.path("p/s0000000002"));
}

/// The documentation says that the counter overflows. It does where the next create is prepared before the first is applied, as in
/// a multi; what is applied never sets a counter back, so it then stays at the largest number.
fn sequence_wraps(t: &Target<'_>) {
    let own = t.start_aged("/c9", 0, i32::MAX);
    let mut session = own.session();
    let create = |path| Op::Create(create_request(path, b"", CreateMode::PERSISTENT_SEQUENTIAL, Acl::OPEN));
    let made = session.multi(["/c9/m", "/c9/m"].map(create)).unwrap();
    let made: Vec<_> = made
        .iter()
        .map(|result| match result {
            OpResult::Create(made) => made.path.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(made, ["/c9/m2147483647", "/c9/m-2147483648"]);
    let made = session.create_as("/c9/s", b"", CreateMode::PERSISTENT_SEQUENTIAL);
    assert_eq!(made.as_deref(), Ok("/c9/s2147483647"));
    let made = session.create_as("/c9/s", b"", CreateMode::PERSISTENT_SEQUENTIAL);
    assert_eq!(made, Err(ErrorCode::NODE_EXISTS));
}

fn paths(t: &Target<'_>) {
    let mut session = t.session();
    let base = t.base().to_owned();
    session.create(&t.path("p"), b"").unwrap();
    let mut bad: Vec<String> = ["p/.", "p/.."].map(|bad| t.path(bad)).to_vec();
    let signs = [
        '\0',
        '\u{1}',
        '\u{1f}',
        '\u{7f}',
        '\u{9f}',
        '\u{e000}',
        '\u{f8ff}',
        '\u{fff0}',
        '\u{ffff}',
        '\u{fffd}',
        '\u{1f600}',
    ];
    bad.extend(signs.iter().map(|sign| t.path(&format!("p/a{sign}b"))));
    for path in &bad {
        assert_eq!(session.create(path, b""), Err(ErrorCode::BAD_ARGUMENTS), "{path:?}");
    }
    // In the middle of a path, what no path may have is a parent that is not there.
    for path in ["p//", "/", "/p", "p/./x", "p//x"] {
        assert_eq!(session.create(&t.path(path), b""), Err(ErrorCode::NO_NODE), "{path:?}");
    }
    for path in ["", "n", "é", "//", "//n", "/.", "/.."] {
        assert_eq!(session.create(path, b""), Err(ErrorCode::BAD_ARGUMENTS), "{path:?}");
    }
    let mut body = vec![0, 0, 0, u8::try_from(base.len() + 2).unwrap()];
    body.extend(base.bytes().chain([b'/', 0xff]));
    body.extend_from_slice(&record_frame(&create_request("", b"", CreateMode::PERSISTENT, Acl::OPEN))[8..]);
    let made = session.call(OpCode::CREATE, &Body(&body)).nothing();
    assert_eq!(made, Err(ErrorCode::BAD_ARGUMENTS), "not UTF-8");
    for name in
        ["...", " ", "é", "~", "\u{a0}", "a.b", ".a", "..a", "\u{d7ff}", "\u{f900}", "\u{ffef}", "-", "%2F"]
    {
        assert_eq!(
            session.create(&t.path(&format!("p/{name}")), b""),
            Ok(t.path(&format!("p/{name}"))),
            "{name:?}"
        );
    }
}

fn paths_of_reads(t: &Target<'_>) {
    let mut session = t.session();
    session.create(&t.path("a"), b"").unwrap();
    for path in ["a", "c11/a", "//", "/..", &t.path("a/"), &t.path("/a"), &t.path("./a")] {
        assert_eq!(session.exists(path, false), Err(ErrorCode::NO_NODE), "exists {path:?}");
        assert_eq!(session.get(path, false), Err(ErrorCode::NO_NODE), "getData {path:?}");
        assert_eq!(session.children(path, false), Err(ErrorCode::NO_NODE), "getChildren {path:?}");
        assert_eq!(session.acl(path), Err(ErrorCode::NO_NODE), "getACL {path:?}");
    }
    assert_eq!(session.exists("", false).unwrap().czxid, 0);
    let of_root = session.children("", false).unwrap();
    assert!(["c11", "zookeeper"].iter().all(|name| of_root.iter().any(|child| child == name)), "{of_root:?}");
    let zero = ExistsRequest { path: "/a\0b", watch: false };
    assert_eq!(session.call(OpCode::EXISTS, &zero).nothing(), Err(ErrorCode::BAD_ARGUMENTS));
}

fn modes(t: &Target<'_>) {
    let mut session = t.session();
    let id = session.id;
    for (mode, owner, sequential) in [(0, 0, false), (1, id, false), (2, 0, true), (3, id, true)] {
        let asked = t.path(&format!("m{mode}"));
        let (made, stat) = session.create2(&asked, b"", CreateMode(mode)).unwrap();
        assert_eq!((made != asked, stat.ephemeral_owner), (sequential, owner), "mode {mode}");
    }
    session.create_container(&t.path("m4")).unwrap();
    session.create_ttl(&t.path("m5"), CreateMode(5), 1_000_000).unwrap();
    let (made, _) = session.create_ttl(&t.path("m6"), CreateMode(6), 1_000_000).unwrap();
    assert_eq!(made.len(), t.path("m6").len() + 10);
    for mode in [7, 9, -1, 8, i32::MAX, i32::MIN] {
        let path = t.path("none");
        assert_eq!(session.create_as(&path, b"", CreateMode(mode)), Err(ErrorCode::BAD_ARGUMENTS), "{mode}");
        assert_eq!(session.create2(&path, b"", CreateMode(mode)), Err(ErrorCode::BAD_ARGUMENTS), "{mode}");
        assert_eq!(session.create_ttl(&path, CreateMode(mode), 1), Err(ErrorCode::BAD_ARGUMENTS), "{mode}");
    }
}

fn ttl_modes_without_ttl(t: &Target<'_>) {
    let mut session = t.session();
    for mode in [CreateMode::PERSISTENT_WITH_TTL, CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL] {
        let create = create_request(&t.path("n"), b"", mode, Acl::OPEN);
        for op in [OpCode::CREATE, OpCode::CREATE2, OpCode::CREATE_CONTAINER] {
            assert_eq!(session.call(op, &create).nothing(), Err(ErrorCode::BAD_ARGUMENTS), "{op} {mode}");
        }
    }
    assert_eq!(session.children(t.base(), false).unwrap(), [""; 0]);
}

fn undeletable(t: &Target<'_>) {
    let mut session = t.session();
    for path in ["/", "/zookeeper", "/zookeeper/quota", "", "a"] {
        assert_eq!(session.delete(path, -1), Err(ErrorCode::BAD_ARGUMENTS), "{path:?}");
    }
}

fn delete_order(t: &Target<'_>) {
    let mut session = t.session();
    let path = t.path("n");
    assert_eq!(session.delete(&path, 5), Err(ErrorCode::NO_NODE));
    assert_eq!(session.delete(&t.path("no/n"), 5), Err(ErrorCode::NO_NODE));
    session.create(&path, b"").unwrap();
    session.create(&t.path("n/child"), b"").unwrap();
    assert_eq!(session.delete(&path, 5), Err(ErrorCode::BAD_VERSION));
    assert_eq!(session.delete(&path, 0), Err(ErrorCode::NOT_EMPTY));
    assert_eq!(session.delete(&path, -1), Err(ErrorCode::NOT_EMPTY));
    session.delete(&t.path("n/child"), -1).unwrap();
    session.delete(&path, 0).unwrap();
    assert_eq!(session.exists(&path, false), Err(ErrorCode::NO_NODE));
}

fn below_zookeeper(t: &Target<'_>) {
    let mut session = t.session();
    for (path, mode) in
        [("/zookeeper/foo", CreateMode::PERSISTENT), ("/zookeeper/bar", CreateMode::EPHEMERAL)]
    {
        session.create_as(path, b"", mode).unwrap();
        session.set(path, b"x", 0).unwrap();
        session.delete(path, 1).unwrap();
    }
    session.create("/zookeeper/foo", b"").unwrap();
    session.create("/zookeeper/foo/bar", b"").unwrap();
    session.delete("/zookeeper/foo/bar", -1).unwrap();
    session.delete("/zookeeper/foo", -1).unwrap();
}

fn no_acl(t: &Target<'_>) {
    let mut session = t.session();
    for acl in [None, Some(Vec::new())] {
        for path in [t.path("n"), t.path("no/n")] {
            let mut create = create_request(&path, b"", CreateMode::PERSISTENT, Acl::OPEN);
            create.acl = acl.clone().map(Into::into);
            for op in [OpCode::CREATE, OpCode::CREATE2] {
                assert_eq!(session.call(op, &create).nothing(), Err(ErrorCode::INVALID_ACL), "{op} {path}");
            }
        }
        let mut create = create_ttl_request(&t.path("n"), CreateMode::PERSISTENT_WITH_TTL, 1_000);
        create.acl = acl.map(Into::into);
        assert_eq!(session.call(OpCode::CREATE_TTL, &create).nothing(), Err(ErrorCode::INVALID_ACL));
    }
}

/// Two things are wrong with each create, and the first is told.
fn create_order(t: &Target<'_>) {
    let mut session = t.session();
    let read_only = [Acl::new(Perms::READ, "world", "anyone")];
    session.create_acl(&t.path("locked"), b"", CreateMode::PERSISTENT, Acl::OPEN).unwrap();
    session.create(&t.path("locked/there"), b"").unwrap();
    session.set_acl(&t.path("locked"), &read_only, -1).unwrap();
    session.create_as(&t.path("e"), b"", CreateMode::EPHEMERAL).unwrap();
    session.create(&t.path("full"), b"").unwrap();
    session.create(&t.path("full/there"), b"").unwrap();
    session.create_as(&t.path("full/e"), b"", CreateMode::EPHEMERAL).unwrap();
    let limits = format!("/zookeeper/quota{}", t.path("full"));
    let parents = limits.match_indices('/').map(|(at, _)| at).skip(3).map(|at| &limits[..at]);
    for path in parents.chain([limits.as_str()]) {
        session.create(path, b"").unwrap();
    }
    let text = b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3";
    session.create(&format!("{limits}/zookeeper_limits"), text).unwrap();
    session.create(&format!("{limits}/zookeeper_stats"), b"count=3,bytes=0").unwrap();

    let (bad_mode, plain) = (CreateMode(9), CreateMode::PERSISTENT);
    let cases: [(&str, &str, CreateMode, &[Acl], ErrorCode); 10] = [
        ("a zero before the ACL and the parent", "no/\0", plain, &[], ErrorCode::BAD_ARGUMENTS),
        ("a mode before the path and the ACL", "no/.", bad_mode, &[], ErrorCode::BAD_ARGUMENTS),
        ("an ACL before the parent", "no/n", plain, &[], ErrorCode::INVALID_ACL),
        ("an ACL before the full path", "./.", plain, &[], ErrorCode::INVALID_ACL),
        ("the parent before the full path", "no/.", plain, Acl::OPEN, ErrorCode::NO_NODE),
        ("permission before the full path", "locked/.", plain, Acl::OPEN, ErrorCode::NO_AUTH),
        ("permission before existence", "locked/there", plain, Acl::OPEN, ErrorCode::NO_AUTH),
        ("the full path before an ephemeral parent", "e/.", plain, Acl::OPEN, ErrorCode::BAD_ARGUMENTS),
        ("existence before the quota", "full/there", plain, Acl::OPEN, ErrorCode::NODE_EXISTS),
        (
            "an ephemeral parent before the quota",
            "full/e/n",
            plain,
            Acl::OPEN,
            ErrorCode::NO_CHILDREN_FOR_EPHEMERALS,
        ),
    ];
    for (what, name, mode, acl, code) in cases {
        assert_eq!(session.create_acl(&t.path(name), b"", mode, acl), Err(code), "{what}");
    }
    assert_eq!(session.create(&t.path("full/n"), b""), Err(ErrorCode::QUOTA_EXCEEDED));
    let null_path = create_request("", b"", plain, &[]);
    assert_eq!(
        session.call(OpCode::CREATE, &null_path).nothing(),
        Err(ErrorCode::BAD_ARGUMENTS),
        "the path before the ACL"
    );
    assert_eq!(session.create_ttl(&t.path("no/n"), CreateMode(5), 0), Err(ErrorCode::BAD_ARGUMENTS));
}

fn ttl_off(t: &Target<'_>) {
    let mut session = t.session();
    for mode in [CreateMode::PERSISTENT_WITH_TTL, CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL] {
        for ttl in [1, 1_000_000, 0] {
            assert_eq!(
                session.create_ttl(&t.path("n"), mode, ttl),
                Err(ErrorCode::UNIMPLEMENTED),
                "{mode} {ttl}"
            );
        }
    }
    assert!(session.exists("/", false).is_ok(), "the connection stays");
}

fn ttl_without_mode(t: &Target<'_>) {
    let mut session = t.session();
    for mode in [CreateMode::PERSISTENT, CreateMode::EPHEMERAL, CreateMode::CONTAINER] {
        for ttl in [0, 1_000] {
            let made = session.create_ttl(&t.path("n"), mode, ttl);
            assert_eq!(made, Err(ErrorCode::BAD_ARGUMENTS), "{mode} {ttl}");
        }
    }
    // No TTL, and no mode that has one: Apache finds nothing wrong, logs it, and dies of applying it. So another server.
    let own = t.start(&Setup::PLAIN);
    let session = || Session::open(Wire::dial(own.addr()), &connect_request(4_000)).unwrap();
    let (mut session, mut bystander) = (session(), session());
    let create = create_ttl_request("/n", CreateMode::PERSISTENT, -1);
    if t.is_stricter() {
        assert_eq!(session.call(OpCode::CREATE_TTL, &create).nothing(), Err(ErrorCode::BAD_ARGUMENTS));
        assert_eq!(bystander.exists("/n", false), Err(ErrorCode::NO_NODE));
    } else {
        session.send(OpCode::CREATE_TTL, &create);
        session.expect_eof();
        bystander.expect_eof();
    }
}

fn container_modes(t: &Target<'_>) {
    let mut session = t.session();
    for (op, mode) in [
        (OpCode::CREATE_CONTAINER, CreateMode::PERSISTENT),
        (OpCode::CREATE_CONTAINER, CreateMode::EPHEMERAL),
        (OpCode::CREATE, CreateMode::CONTAINER),
        (OpCode::CREATE2, CreateMode::CONTAINER),
    ] {
        let path = t.path(&format!("{op}-{mode}"));
        let made = session.call(op, &create_request(&path, b"", mode, Acl::OPEN));
        if t.is_stricter() {
            assert_eq!(made.nothing(), Err(ErrorCode::BAD_ARGUMENTS), "{op} {mode}");
            assert_eq!(session.exists(&path, false), Err(ErrorCode::NO_NODE));
        } else {
            assert_eq!(made.code(), ErrorCode::OK, "{op} {mode}");
            let owner = session.exists(&path, false).unwrap().ephemeral_owner;
            assert_eq!(owner, 0, "{op} {mode}");
        }
    }
}
