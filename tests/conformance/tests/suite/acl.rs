//! P1 to P9 and P14: who may do what, and which lists are lists.

use crate::multi;
use menagerie_conformance::{
    Row, Session, Target, create_request, create_ttl_request,
    jute::{
        Acl, CreateMode, ErrorCode, GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, OpCode,
        OpResult, Perms, SetAclRequest,
    },
};

pub(crate) const ROWS: &[Row] = &[
    Row::new("P1", "which permission each operation needs, and on which znode", needed)
        .differs("ZOOKEEPER-2590: exists needs READ from 3.8.4 and 3.9.2"),
    Row::new("P2", "a znode's own ACL does not protect it from deletion", own_acl),
    Row::new("P3", "ACLs are not inherited", not_inherited),
    Row::new("P4", "NOAUTH comes before BADVERSION, NODEEXISTS and NONODE of the child", precedence),
    Row::new("P5", "getACL without ADMIN masks digests", masked),
    Row::new("P6", "duplicates go, the order and any permission bits stay", kept_as_given),
    Row::new("P7", "unknown schemes and bad ids are INVALIDACL", invalid),
    Row::new("P8", "scheme auth stands for all ids of the connection", scheme_auth),
    Row::new("P9", "a digest id is user:base64(sha1(user:password))", digest),
    Row::new("P14", "setACL checks aversion; the config znode has -1 and is open to READ", acl_version),
];

/// `alice:secret`, as the server calls it.
pub(crate) const ALICE: &str = "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=";

pub(crate) fn world(perms: Perms) -> Vec<Acl> {
    vec![Acl::new(perms, "world", "anyone")]
}

/// An operation on a znode, which has a child, and what it came to.
type Try = fn(&mut Session, &str) -> Result<(), ErrorCode>;

fn of_multi(result: Result<Vec<OpResult>, ErrorCode>) -> Result<(), ErrorCode> {
    match result?.first() {
        Some(OpResult::Error(error)) => Err(error.err),
        _ => Ok(()),
    }
}

/// What it takes, the operation, and its name.
const NEEDS: [(&str, Perms, Try); 17] = [
    ("getData", Perms::READ, |s, p| s.get(p, false).map(drop)),
    ("getChildren", Perms::READ, |s, p| s.children(p, false).map(drop)),
    ("getChildren2", Perms::READ, |s, p| s.children2(p, false).map(drop)),
    ("getAllChildrenNumber", Perms::READ, |s, p| {
        let counted = s.call(OpCode::GET_ALL_CHILDREN_NUMBER, &GetAllChildrenNumberRequest { path: p });
        counted.read::<GetAllChildrenNumberResponse>().map(drop)
    }),
    ("check", Perms::READ, |s, p| of_multi(s.multi([multi::check(p, -1)]))),
    ("setData", Perms::WRITE, |s, p| s.set(p, b"", -1).map(drop)),
    ("setData in multi", Perms::WRITE, |s, p| of_multi(s.multi([multi::set(p, b"", -1)]))),
    ("create", Perms::CREATE, |s, p| s.create(&format!("{p}/1"), b"").map(drop)),
    ("create2", Perms::CREATE, |s, p| {
        s.create2(&format!("{p}/2"), b"", CreateMode::EPHEMERAL_SEQUENTIAL).map(drop)
    }),
    ("createContainer", Perms::CREATE, |s, p| s.create_container(&format!("{p}/3")).map(drop)),
    ("createTTL", Perms::CREATE, |s, p| {
        let request = create_ttl_request(&format!("{p}/4"), CreateMode::PERSISTENT_WITH_TTL, 60_000);
        match s.call(OpCode::CREATE_TTL, &request).code() {
            ErrorCode::OK => Ok(()),
            code => Err(code),
        }
    }),
    ("create in multi", Perms::CREATE, |s, p| {
        of_multi(s.multi([multi::create(&format!("{p}/5"), CreateMode::PERSISTENT)]))
    }),
    ("delete", Perms::DELETE, |s, p| s.delete(&format!("{p}/old1"), -1)),
    ("delete in multi", Perms::DELETE, |s, p| of_multi(s.multi([multi::delete(&format!("{p}/old2"), -1)]))),
    ("getACL", Perms(17), |s, p| s.acl(p).map(drop)),
    ("setACL", Perms::ADMIN, |s, p| s.set_acl(p, &world(Perms::ALL), -1).map(drop)),
    ("nothing", Perms::ALL, |s, p| s.sync(p).map(drop)),
];

fn needed(t: &Target<'_>) {
    let mut s = t.session();
    for (name, takes, attempt) in NEEDS {
        for bit in (0..5).map(|bit| Perms(1 << bit)) {
            let path = t.path(&format!("{name}{}", bit.0));
            s.create(&path, b"").unwrap();
            s.create(&format!("{path}/old1"), b"").unwrap();
            s.create(&format!("{path}/old2"), b"").unwrap();
            s.set_acl(&path, &world(bit), -1).unwrap();
            let expected = if takes.contains(bit) { Ok(()) } else { Err(ErrorCode::NO_AUTH) };
            assert_eq!(attempt(&mut s, &path), expected, "{name} with {bit:?}");
        }
    }
    for bit in (0..5).map(|bit| Perms(1 << bit)) {
        let path = t.path(&format!("exists{}", bit.0));
        s.create_acl(&path, b"", CreateMode::PERSISTENT, &world(bit)).unwrap();
        let allowed = bit == Perms::READ || !t.since_3_9();
        let expected = if allowed { None } else { Some(ErrorCode::NO_AUTH) };
        assert_eq!(s.exists(&path, false).err(), expected, "exists with {bit:?}");
    }
    assert_eq!(s.exists(&t.path("none"), false), Err(ErrorCode::NO_NODE));
}

fn own_acl(t: &Target<'_>) {
    let (mut owner, mut stranger) = (t.session(), t.session());
    owner.auth("digest", b"alice:secret").unwrap();
    let path = t.path("node");
    for acl in [Acl::CREATOR_ALL.to_vec(), world(Perms(0))] {
        owner.create_acl(&path, b"", CreateMode::PERSISTENT, &acl).unwrap();
        assert_eq!(stranger.get(&path, false).err(), Some(ErrorCode::NO_AUTH));
        stranger.delete(&path, -1).unwrap();
    }
    let child = t.path("closed/child");
    owner.create_acl(&t.path("closed"), b"", CreateMode::PERSISTENT, &world(Perms(23))).unwrap();
    stranger.create(&child, b"").unwrap();
    assert_eq!(stranger.delete(&child, -1), Err(ErrorCode::NO_AUTH), "DELETE of the parent is what counts");
}

fn not_inherited(t: &Target<'_>) {
    let mut s = t.session();
    let (parent, child) = (t.path("parent"), t.path("parent/child"));
    s.create_acl(&parent, b"", CreateMode::PERSISTENT, &world(Perms::CREATE | Perms::ADMIN)).unwrap();
    s.create(&child, b"").unwrap();
    assert_eq!(s.children(&parent, false).err(), Some(ErrorCode::NO_AUTH));
    s.get(&child, false).unwrap();
    s.set(&child, b"", -1).unwrap();
    assert_eq!(s.acl(&child).unwrap().0, Acl::OPEN);
    s.create(&t.path("parent/child/grandchild"), b"").unwrap();
    s.set_acl(&parent, Acl::OPEN, -1).unwrap();
    s.set_acl(&parent, Acl::READ, -1).unwrap();
    assert_eq!(s.acl(&child).unwrap().0, Acl::OPEN);
}

fn precedence(t: &Target<'_>) {
    let mut s = t.session();
    let (closed, child, missing) = (t.path("closed"), t.path("closed/child"), t.path("closed/missing"));
    s.create(&closed, b"").unwrap();
    s.create(&child, b"").unwrap();
    s.create(&t.path("closed/child/below"), b"").unwrap();
    s.set_acl(&child, &world(Perms::CREATE | Perms::DELETE), -1).unwrap();
    s.set_acl(&closed, &world(Perms::READ), -1).unwrap();
    let no = Some(ErrorCode::NO_AUTH);
    assert_eq!(s.set(&closed, b"", 9).err(), no, "setData, before BADVERSION");
    assert_eq!(s.set_acl(&closed, Acl::OPEN, 9).err(), no, "setACL, before BADVERSION");
    assert_eq!(s.create(&child, b"").err(), no, "create, before NODEEXISTS");
    assert_eq!(s.delete(&child, 9).err(), no, "delete, before BADVERSION");
    assert_eq!(s.delete(&child, -1).err(), no, "delete, before NOTEMPTY");
    assert_eq!(s.delete(&missing, -1).err(), no, "delete, before NONODE");
    let checked = s.multi([multi::check(&child, 9)]);
    assert_eq!(of_multi(checked).err(), no, "check, before BADVERSION");
    // And what comes before NOAUTH.
    assert_eq!(s.set_acl(&closed, &[], -1).err(), Some(ErrorCode::INVALID_ACL));
    let no_acl = create_request(&missing, b"", CreateMode::PERSISTENT, &[]);
    assert_eq!(s.call(OpCode::CREATE, &no_acl).code(), ErrorCode::INVALID_ACL);
    assert_eq!(s.create(&t.path("closed/none/child"), b"").err(), Some(ErrorCode::NO_NODE));
    assert_eq!(s.create(&t.path("closed/."), b"").err(), no, "the name is looked at later");
}

fn masked(t: &Target<'_>) {
    let (mut owner, mut stranger) = (t.session(), t.session());
    owner.auth("digest", b"alice:secret").unwrap();
    let path = t.path("node");
    let mut acl = vec![Acl::new(Perms::ALL, "digest", ALICE), Acl::new(Perms::READ, "digest", "bob:hash")];
    acl.extend(world(Perms::READ));
    acl.push(Acl::new(Perms::WRITE, "ip", "10.0.0.1"));
    owner.create_acl(&path, b"", CreateMode::PERSISTENT, &acl).unwrap();
    assert_eq!(owner.acl(&path).unwrap().0, acl, "with ADMIN");
    let mut hidden = acl.clone();
    hidden[0] = Acl::new(Perms::ALL, "digest", "alice:x");
    hidden[1] = Acl::new(Perms::READ, "digest", "bob:x");
    assert_eq!(stranger.acl(&path).unwrap().0, hidden, "with READ");
    acl[2] = Acl::new(Perms::WRITE, "world", "anyone");
    owner.set_acl(&path, &acl, -1).unwrap();
    assert_eq!(stranger.acl(&path).err(), Some(ErrorCode::NO_AUTH), "with neither");
    acl[2] = Acl::new(Perms::ADMIN, "world", "anyone");
    owner.set_acl(&path, &acl, -1).unwrap();
    assert_eq!(stranger.acl(&path).unwrap().0, acl, "ADMIN alone");
}

fn kept_as_given(t: &Target<'_>) {
    let mut s = t.session();
    let path = t.path("node");
    let given = [
        Acl::new(Perms::ALL, "digest", "z:1"),
        Acl::new(Perms::ALL, "world", "anyone"),
        Acl::new(Perms::ALL, "digest", "z:1"),
        Acl::new(Perms::READ, "digest", "z:1"),
        Acl::new(Perms(0), "digest", "a:1"),
        Acl::new(Perms(255), "digest", "a:1"),
        Acl::new(Perms(-1), "ip", "127.0.0.1"),
        Acl::new(Perms::ALL, "world", "anyone"),
    ];
    let mut kept = given.to_vec();
    kept.remove(7);
    kept.remove(2);
    s.create_acl(&path, b"", CreateMode::PERSISTENT, &given).unwrap();
    assert_eq!(s.acl(&path).unwrap().0, kept, "create");
    s.set_acl(&path, &given[1..], -1).unwrap();
    assert_eq!(s.acl(&path).unwrap().0, &given[1..7], "setACL");
}

fn invalid(t: &Target<'_>) {
    let mut s = t.session();
    let path = t.path("node");
    s.create(&path, b"").unwrap();
    let bad = [
        ("nobody", "x"),
        ("", "x"),
        ("world", "someone"),
        ("world", ""),
        ("digest", "alice"),
        ("digest", "alice:"),
        ("digest", "a:b:c"),
        ("digest", ""),
        ("digest", ":"),
        ("digest", "::b"),
        ("ip", "localhost"),
        ("ip", "1.2.3"),
        ("ip", "1.2.3.256"),
        ("ip", "1.2.3.4/33"),
        ("ip", "1.2.3.4/-1"),
        ("ip", "1.2.3.4/x"),
        ("ip", "1.2.3.4/"),
        ("ip", "1.2.3.4/8/9"),
        ("ip", "1.2.3.4.5"),
        ("ip", "1..3.4"),
        ("ip", " 1.2.3.4"),
        ("ip", "1.2.3.4."),
        ("super", "x"),
    ];
    let refused = Some(ErrorCode::INVALID_ACL);
    let mut lists: Vec<Vec<Acl>> =
        bad.iter().map(|(scheme, id)| vec![Acl::new(Perms::ALL, *scheme, *id)]).collect();
    lists.push(Vec::new());
    lists.push(vec![Acl::new(Perms::ALL, "world", "anyone"), Acl::new(Perms::ALL, "nobody", "x")]);
    for acl in lists {
        let made = s.create_acl(&t.path("new"), b"", CreateMode::PERSISTENT, &acl);
        assert_eq!(made.err(), refused, "create with {acl:?}");
        assert_eq!(s.set_acl(&path, &acl, -1).err(), refused, "setACL with {acl:?}");
    }
    let null = SetAclRequest { path: path.as_str(), acl: None, version: -1 };
    assert_eq!(s.call(OpCode::SET_ACL, &null).code(), ErrorCode::INVALID_ACL);
    let good = ["1.2.3.4", "1.2.3.4/0", "1.2.3.4/32", "01.2.3.004", "1.2.3.4/08", "+1.2.3.4/+8"];
    let good =
        good.map(|id| ("ip", id)).into_iter().chain(["a:b", ":b", "a:b:", "a: "].map(|id| ("digest", id)));
    for (scheme, id) in good {
        let acl = [Acl::new(Perms::READ, scheme, id), Acl::new(Perms::ALL, "world", "anyone")];
        s.set_acl(&path, &acl, -1).unwrap_or_else(|code| panic!("{scheme}:{id}: {code}"));
        assert_eq!(s.acl(&path).unwrap().0, acl);
    }
}

fn scheme_auth(t: &Target<'_>) {
    let mut s = t.session();
    let path = t.path("node");
    let auth = |id: &'static str| vec![Acl::new(Perms::ALL, "auth", id)];
    let none = s.create_acl(&path, b"", CreateMode::PERSISTENT, &auth(""));
    assert_eq!(none, Err(ErrorCode::INVALID_ACL), "the connection's address is no id of this kind");
    s.auth("digest", b"alice:secret").unwrap();
    s.create_acl(&path, b"", CreateMode::PERSISTENT, &auth("its text is ignored")).unwrap();
    assert_eq!(s.acl(&path).unwrap().0, [Acl::new(Perms::ALL, "digest", ALICE)]);
    s.auth("digest", b"bob:other").unwrap();
    s.set_acl(&path, &[Acl::new(Perms::READ, "auth", ""), Acl::new(Perms::ALL, "world", "anyone")], -1)
        .unwrap();
    let acl = s.acl(&path).unwrap().0;
    let mut readers: Vec<_> = acl[..2].iter().map(|entry| entry.id.id.as_str().to_owned()).collect();
    readers.sort();
    assert_eq!(readers[0], ALICE);
    assert!(readers[1].starts_with("bob:"), "{readers:?}");
    assert!(acl[..2].iter().all(|entry| (entry.perms, entry.id.scheme.as_str()) == (Perms::READ, "digest")));
    assert_eq!(acl[2..], world(Perms::ALL));
    let made = s.multi([multi::create(&t.path("x"), CreateMode::PERSISTENT)]).unwrap();
    assert_eq!(made.len(), 1);
}

fn digest(t: &Target<'_>) {
    let (mut s, mut alice, mut other) = (t.session(), t.session(), t.session());
    let path = t.path("node");
    s.create_acl(&path, b"", CreateMode::PERSISTENT, &[Acl::new(Perms::ALL, "digest", ALICE)]).unwrap();
    for wrong in ["alice:other", "alice:secret ", "bob:secret", "alice:"] {
        other.auth("digest", wrong.as_bytes()).unwrap();
        assert_eq!(other.get(&path, false).err(), Some(ErrorCode::NO_AUTH), "{wrong}");
    }
    alice.auth("digest", b"alice:secret").unwrap();
    alice.get(&path, false).unwrap();
    alice.set(&path, b"", -1).unwrap();
    alice.set_acl(&path, Acl::OPEN, -1).unwrap();
    // The password may hold colons; the id ends at the first.
    other.auth("digest", "müller:a:b".as_bytes()).unwrap();
    let closed = t.path("colons");
    alice.auth("digest", "müller:a:b".as_bytes()).unwrap();
    alice.create_acl(&closed, b"", CreateMode::PERSISTENT, Acl::CREATOR_ALL).unwrap();
    assert!(other.acl(&closed).unwrap().0.iter().any(|entry| entry.id.id.as_str().starts_with("müller:")));
}

fn acl_version(t: &Target<'_>) {
    let mut s = t.session();
    let path = t.path("node");
    s.create(&path, b"").unwrap();
    s.set(&path, b"", -1).unwrap();
    assert_eq!(
        s.set_acl(&path, Acl::OPEN, 1),
        Err(ErrorCode::BAD_VERSION),
        "its data's version does not count"
    );
    assert_eq!(s.set_acl(&path, Acl::OPEN, 0).unwrap().aversion, 1);
    assert_eq!(s.set_acl(&path, Acl::OPEN, 0), Err(ErrorCode::BAD_VERSION));
    assert_eq!(s.set_acl(&path, Acl::OPEN, -1).unwrap().aversion, 2);
    assert_eq!(s.set_acl(&t.path("none"), Acl::OPEN, 7), Err(ErrorCode::NO_NODE));
    let (acl, stat) = s.acl("/zookeeper/config").unwrap();
    assert_eq!((&acl[..], stat.aversion), (Acl::READ, -1));
    s.get("/zookeeper/config", false).unwrap();
    for code in [
        s.set("/zookeeper/config", b"", -1).err(),
        s.create("/zookeeper/config/x", b"").err(),
        s.set_acl("/zookeeper/config", Acl::OPEN, -1).err(),
    ] {
        assert_eq!(code, Some(ErrorCode::NO_AUTH));
    }
}
