//! M: multi and multiRead.

use crate::watching::{CHANGED, CREATED, DELETED, LISTED, Watch, seen};
use menagerie_conformance::{
    Answer, Body, Row, Session, Setup, Target, create_request, create_ttl_request,
    jute::{
        Acl, CheckVersionRequest, CreateMode, DeleteRequest, Encode, ErrorCode, GetChildrenRequest,
        GetDataRequest, MultiHeader, MultiRequest, MultiResponse, MultiResult, Op, OpCode, OpResult, Perms,
        SetDataRequest, Ustring, Writer,
    },
};
use std::time::Duration;

/// An ensemble whose sessions stay on their server until they need more.
const LOCAL_SESSIONS: Setup = Setup {
    name: "local-sessions",
    nodes: 3,
    apache_config: &[("localSessionsEnabled", "true"), ("localSessionsUpgradingEnabled", "true")],
    ..Setup::PLAIN
};

pub(crate) const ROWS: &[Row] = &[
    Row::new("M1", "one result for each operation, in order, then the terminator", results)
        .differs("ZOOKEEPER-4026: create2 answers a Stat inside multi from 3.8.2 and 3.9.0"),
    Row::new("M2", "a failure: header 0, then 0 before it, its code, and -2 behind it", failed_results),
    Row::new("M3", "a failed multi leaves nothing behind but its zxid", atomic).alone(),
    Row::new("M4", "later operations see earlier ones", later_see_earlier),
    Row::new("M5", "sequential znodes of one multi get consecutive numbers", consecutive_numbers),
    Row::new("M6", "Stats show the multi's zxid and each its own version", stats_between),
    Row::new("M7", "an empty multi is OK, empty, and takes a zxid", empty).alone(),
    Row::new("M8", "check alone works, and needs READ", check_alone),
    Row::new("M9", "reads, mixtures, unknown operations, truncated: MARSHALLINGERROR", malformed),
    Row::new("M10", "NOAUTH, QUOTAEXCEEDED and the like are results, not headers", errors_are_results)
        .on(&Setup::QUOTA),
    Row::new("M11", "events of a multi come in its order, with its zxid", events_in_order)
        .differs("ZOOKEEPER-4655: a notification carries the zxid of its transaction from 3.9.0"),
    Row::new("M12", "a one-shot watch fires once for a multi, a recursive one for each operation", events_once),
    Row::new("M13", "multiRead reads data and children, with an error for each item", multi_read),
    Row::new("M14", "an ephemeral created by a multi makes a local session global", upgrade).on(&LOCAL_SESSIONS),
    Row::new("M15", "a bad flag inside multi is MARSHALLINGERROR", bad_flag)
        .differs("ZOOKEEPER-4026: the flags of a create inside multi are looked at when it is decoded, from 3.8.2 and 3.9.0"),
];

pub(crate) fn create(path: &str, mode: CreateMode) -> Op {
    Op::Create(create_request(path, b"", mode, Acl::OPEN))
}

pub(crate) fn set(path: &str, data: &[u8], version: i32) -> Op {
    let data = Some(bytes::Bytes::copy_from_slice(data));
    Op::SetData(SetDataRequest { path: Ustring::from(path), data, version })
}

pub(crate) fn delete(path: &str, version: i32) -> Op {
    Op::Delete(DeleteRequest { path: Ustring::from(path), version })
}

pub(crate) fn check(path: &str, version: i32) -> Op {
    Op::Check(CheckVersionRequest { path: Ustring::from(path), version })
}

fn read_data(path: &str, watch: bool) -> Op {
    Op::GetData(GetDataRequest { path: Ustring::from(path), watch })
}

fn read_children(path: &str, watch: bool) -> Op {
    Op::GetChildren(GetChildrenRequest { path: Ustring::from(path), watch })
}

/// The codes of a failed multi, whose headers must repeat them.
fn codes(answer: &Answer) -> Vec<i32> {
    let answer: MultiResponse = answer.read().unwrap();
    assert_eq!(answer.end, MultiHeader::END);
    let code = |result: &MultiResult| match &result.result {
        OpResult::Error(error) => {
            assert_eq!(result.err, error.err, "the header of a result says something else");
            error.err.0
        }
        done => panic!("{done:?} in a multi that failed"),
    };
    answer.results.iter().map(code).collect()
}

fn failing(session: &mut Session, ops: impl IntoIterator<Item = Op>) -> Vec<i32> {
    codes(&session.call(OpCode::MULTI, &MultiRequest::new(ops)))
}

fn results(t: &Target<'_>) {
    let mut s = t.session();
    let path = |name: &str| t.path(name);
    let answer = s.call(
        OpCode::MULTI,
        &MultiRequest::new([
            create(&path("a"), CreateMode::PERSISTENT),
            Op::Create2(create_request(&path("b"), b"1", CreateMode::PERSISTENT, Acl::OPEN)),
            Op::CreateContainer(create_request(&path("c"), b"", CreateMode::CONTAINER, Acl::OPEN)),
            Op::CreateTtl(create_ttl_request(&path("d"), CreateMode::PERSISTENT_WITH_TTL, 60_000)),
            set(&path("a"), b"12", 0),
            check(&path("a"), 1),
            delete(&path("a"), 1),
        ]),
    );
    let zxid = answer.header.zxid;
    let answer: MultiResponse = answer.read().unwrap();
    assert_eq!(answer.end, MultiHeader::END);
    assert!(answer.results.iter().all(|result| result.err == ErrorCode::OK));
    let results: Vec<OpResult> = answer.results.into_iter().map(|result| result.result).collect();
    let [made, made2, container, ttl, set, check, gone] = &results[..] else { panic!("{results:?}") };
    assert!(matches!(made, OpResult::Create(made) if made.path.as_str() == path("a")), "{made:?}");
    match made2 {
        OpResult::Create2(made) if t.since_3_9() => {
            assert_eq!((made.path.as_str(), made.stat.czxid), (&*path("b"), zxid));
            assert_eq!(made.stat.data_length, 1);
        }
        OpResult::Create(made) if !t.since_3_9() => assert_eq!(made.path.as_str(), path("b")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(container, OpResult::Create2(made) if made.path.as_str() == path("c")), "{container:?}");
    assert!(matches!(ttl, OpResult::Create2(made) if made.stat.ephemeral_owner == 0), "{ttl:?}");
    assert!(
        matches!(set, OpResult::SetData(set) if (set.stat.version, set.stat.mzxid) == (1, zxid)),
        "{set:?}"
    );
    assert_eq!((check, gone), (&OpResult::Check, &OpResult::Delete));
}

fn failed_results(t: &Target<'_>) {
    let mut s = t.session();
    s.create(&t.path("there"), b"").unwrap();
    let good = |n: usize| create(&t.path(&format!("new{n}")), CreateMode::PERSISTENT);
    let bad = || create(&t.path("there"), CreateMode::PERSISTENT);
    for (at, expected) in [(0, [-110, -2, -2]), (1, [0, -110, -2]), (2, [0, 0, -110])] {
        let ops = (0..3).map(|n| if n == at { bad() } else { good(n) });
        assert_eq!(failing(&mut s, ops), expected, "failing at {at}");
    }
    let two_bad = [bad(), delete(&t.path("none"), -1)];
    assert_eq!(failing(&mut s, two_bad), [-110, -2], "the first failure is the one told of");
    assert_eq!(s.children(t.base(), false).unwrap(), ["there"]);
}

fn atomic(t: &Target<'_>) {
    let mut s = t.session();
    let mut watcher = t.session();
    let before = s.create2(&t.path("node"), b"old", CreateMode::PERSISTENT).unwrap().1;
    Watch::Data.set(&mut watcher, &t.path("node"));
    Watch::Child.set(&mut watcher, t.base());
    let parent = s.exists(t.base(), false).unwrap();
    let zxid = s.ping().header.zxid;
    let answer = s.call(
        OpCode::MULTI,
        &MultiRequest::new([
            set(&t.path("node"), b"new", -1),
            create(&t.path("n"), CreateMode::PERSISTENT_SEQUENTIAL),
            create(&t.path("node/child"), CreateMode::EPHEMERAL),
            delete(&t.path("none"), -1),
        ]),
    );
    assert_eq!(answer.header.zxid, zxid + 1);
    assert_eq!(codes(&answer), [0, 0, 0, -101]);
    assert_eq!(s.ping().header.zxid, zxid + 1, "a failed multi takes one zxid");
    let (data, stat) = s.get(&t.path("node"), false).unwrap();
    assert_eq!((data.as_deref(), stat), (Some(&b"old"[..]), before));
    assert_eq!(s.exists(t.base(), false).unwrap(), parent);
    assert_eq!(seen(&mut watcher), []);
    let made = s.create_as(&t.path("n"), b"", CreateMode::PERSISTENT_SEQUENTIAL).unwrap();
    assert_eq!(made, t.path("n0000000001"), "no sequence number is lost");
    assert_eq!(s.children(&t.path("node"), false).unwrap(), [""; 0]);
    assert_eq!(seen(&mut watcher), [(LISTED, t.base().to_owned())], "the watches still stand");
}

fn later_see_earlier(t: &Target<'_>) {
    let mut s = t.session();
    let (a, b, c) = (t.path("a"), t.path("a/b"), t.path("a/b/c"));
    let family = [&a, &b, &c].map(|path| create(path, CreateMode::PERSISTENT));
    assert_eq!(s.multi(family).unwrap().len(), 3);
    assert_eq!(s.children(&b, false).unwrap(), ["c"]);

    let again = [delete(&c, 0), create(&c, CreateMode::EPHEMERAL), check(&c, 0)];
    assert!(matches!(&s.multi(again).unwrap()[..], [OpResult::Delete, OpResult::Create(_), OpResult::Check]));
    let zxid = s.zxid;
    let stat = s.exists(&c, false).unwrap();
    assert_eq!((stat.ephemeral_owner, stat.czxid), (s.id, zxid));

    let versions = [set(&a, b"1", 0), set(&a, b"2", 1), check(&a, 2), set(&a, b"3", 2)];
    assert!(s.multi(versions).unwrap().iter().all(|result| !matches!(result, OpResult::Error(_))));
    assert_eq!(s.get(&a, false).unwrap().1.version, 3);

    assert_eq!(failing(&mut s, [delete(&b, -1)]), [-111]);
    assert_eq!(
        s.multi([delete(&c, -1), delete(&b, -1), delete(&a, -1)]).unwrap(),
        [OpResult::Delete, OpResult::Delete, OpResult::Delete]
    );
    assert_eq!(
        failing(&mut s, [create(&a, CreateMode::EPHEMERAL), create(&b, CreateMode::PERSISTENT)]),
        [0, -108]
    );
    assert_eq!(
        failing(&mut s, [create(&a, CreateMode::PERSISTENT), delete(&a, -1), check(&a, -1)]),
        [0, 0, -101]
    );
}

fn consecutive_numbers(t: &Target<'_>) {
    let mut s = t.session();
    let next = || create(&t.path("n-"), CreateMode::PERSISTENT_SEQUENTIAL);
    let plain = create(&t.path("plain"), CreateMode::PERSISTENT);
    let made: Vec<String> = s
        .multi([next(), next(), plain, create(&t.path("e-"), CreateMode::EPHEMERAL_SEQUENTIAL), next()])
        .unwrap()
        .into_iter()
        .map(|made| match made {
            OpResult::Create(made) => made.path.as_str().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = ["n-0000000000", "n-0000000001", "plain", "e-0000000003", "n-0000000004"];
    assert_eq!(made, expected.map(|name| t.path(name)));
    assert_eq!(
        s.create_as(&t.path("n-"), b"", CreateMode::PERSISTENT_SEQUENTIAL).unwrap(),
        t.path("n-0000000005")
    );
}

fn stats_between(t: &Target<'_>) {
    let mut s = t.session();
    let path = t.path("node");
    s.create(&path, b"").unwrap();
    let ops = ["xxx", "xxxxxx", "xxxxxxxxx"].into_iter().zip(0..);
    let ops = ops.map(|(data, version)| set(&path, data.as_bytes(), version));
    let results = s.multi(ops).unwrap();
    let zxid = s.zxid;
    let stats: Vec<_> = results
        .iter()
        .map(|result| match result {
            OpResult::SetData(set) => (set.stat.mzxid, set.stat.version),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(stats, [(zxid, 1), (zxid, 2), (zxid, 3)]);
    let stat = s.get(&path, false).unwrap().1;
    assert_eq!((stat.mzxid, stat.version, stat.data_length), (zxid, 3, 9));
}

fn empty(t: &Target<'_>) {
    let mut s = t.session();
    let zxid = s.ping().header.zxid;
    let answer = s.call(OpCode::MULTI, &MultiRequest::<Ustring>::new([]));
    assert_eq!(answer.header.zxid, zxid + 1);
    let answer: MultiResponse = answer.read().unwrap();
    assert_eq!(answer, MultiResponse::new([]));
}

fn check_alone(t: &Target<'_>) {
    let mut s = t.session();
    s.create(&t.path("node"), b"").unwrap();
    assert_eq!(s.multi([check(&t.path("node"), 0)]).unwrap(), [OpResult::Check]);
    assert_eq!(s.multi([check(&t.path("node"), -1)]).unwrap(), [OpResult::Check]);
    assert_eq!(failing(&mut s, [check(&t.path("node"), 1)]), [-103]);
    assert_eq!(failing(&mut s, [check(&t.path("none"), 0)]), [-101]);
    for (perms, expected) in [(Perms::READ, None), (Perms(30), Some(-102))] {
        let path = t.path(&format!("with{}", perms.0));
        s.create_acl(&path, b"", CreateMode::PERSISTENT, &[Acl::new(perms, "world", "anyone")]).unwrap();
        match expected {
            None => assert_eq!(s.multi([check(&path, 0)]).unwrap(), [OpResult::Check]),
            Some(code) => assert_eq!(failing(&mut s, [check(&path, 7)]), [code], "before BADVERSION"),
        }
    }
}

/// The bytes of a multi: operations, perhaps not all of them, and whatever stands behind them.
fn stream(parts: &[&dyn Encode]) -> Vec<u8> {
    let mut out = Writer::new();
    parts.iter().for_each(|part| part.encode(&mut out));
    out.into_bytes().to_vec()
}

fn malformed(t: &Target<'_>) {
    let mut s = t.session();
    let new = |name: &str| create(&t.path(name), CreateMode::PERSISTENT);
    let reads = MultiRequest::new([read_data(t.base(), false), read_children(t.base(), false)]);
    let mixed = MultiRequest::new([new("mixed"), read_data(t.base(), false)]);
    let mixed_late = MultiRequest::new([read_data(t.base(), false), new("mixed-late")]);
    let unknown = MultiHeader { op: OpCode(77), done: false, err: ErrorCode(-1) };
    let exists = MultiHeader { op: OpCode::EXISTS, ..unknown };
    let whole = stream(&[&MultiRequest::new([new("cut")])]);
    let bodies = [
        ("reads", stream(&[&reads])),
        ("a write, then a read", stream(&[&mixed])),
        ("a read, then a write", stream(&[&mixed_late])),
        ("an unknown operation", stream(&[&unknown, &MultiHeader::END])),
        ("exists", stream(&[&exists, &MultiHeader::END])),
        ("nothing", Vec::new()),
        ("no terminator", whole[..whole.len() - 9].to_vec()),
        ("half a terminator", whole[..whole.len() - 4].to_vec()),
        ("half an operation", whole[..20].to_vec()),
    ];
    for (what, body) in bodies {
        let answer = s.call(OpCode::MULTI, &Body(&body));
        assert_eq!(answer.nothing(), Err(ErrorCode::MARSHALLING_ERROR), "{what}");
        assert_eq!(
            s.children(t.base(), false).unwrap(),
            [""; 0],
            "{what}: nothing is applied, the connection lives"
        );
    }
}

fn errors_are_results(t: &Target<'_>) {
    let mut s = t.session();
    let path = |name: &str| t.path(name);
    s.create(&path("parent"), b"").unwrap();
    s.create(&path("parent/child"), b"").unwrap();
    s.create_as(&path("ephemeral"), b"", CreateMode::EPHEMERAL).unwrap();
    s.create_acl(&path("closed"), b"", CreateMode::PERSISTENT, Acl::READ).unwrap();
    crate::quotas::limit(&mut s, &path("limited"), "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1");
    let new = |name: &str| create(&path(name), CreateMode::PERSISTENT);
    let no_acl = Op::Create(create_request(&path("no-acl"), b"", CreateMode::PERSISTENT, &[]));
    let unnamed = Op::Create(create_request(&path("."), b"", CreateMode::PERSISTENT, Acl::OPEN));
    let cases = [
        (new("parent"), ErrorCode::NODE_EXISTS),
        (new("none/child"), ErrorCode::NO_NODE),
        (new("ephemeral/child"), ErrorCode::NO_CHILDREN_FOR_EPHEMERALS),
        (new("closed/child"), ErrorCode::NO_AUTH),
        (new("limited/child"), ErrorCode::QUOTA_EXCEEDED),
        (no_acl, ErrorCode::INVALID_ACL),
        (unnamed, ErrorCode::BAD_ARGUMENTS),
        (set(&path("closed"), b"", -1), ErrorCode::NO_AUTH),
        (set(&path("none"), b"", -1), ErrorCode::NO_NODE),
        (set(&path("parent"), b"", 9), ErrorCode::BAD_VERSION),
        (delete(&path("parent"), -1), ErrorCode::NOT_EMPTY),
        (delete(&path("parent"), 9), ErrorCode::BAD_VERSION),
        (delete(&path("none"), -1), ErrorCode::NO_NODE),
        (delete("/", -1), ErrorCode::BAD_ARGUMENTS),
        (check(&path("parent"), 9), ErrorCode::BAD_VERSION),
    ];
    for (op, code) in cases {
        let what = format!("{op:?}");
        assert_eq!(failing(&mut s, [check(t.base(), -1), op]), [0, code.0], "{what}");
    }
}

fn events_in_order(t: &Target<'_>) {
    let (mut s, mut watcher) = (t.session(), t.session());
    let (a, b) = (t.path("a"), t.path("b"));
    s.create(&a, b"").unwrap();
    Watch::Recursive.set(&mut watcher, t.base());
    let ops = [
        create(&b, CreateMode::PERSISTENT),
        set(&a, b"1", -1),
        set(&b, b"1", -1),
        set(&a, b"2", -1),
        delete(&a, -1),
        create(&a, CreateMode::PERSISTENT),
    ];
    s.multi(ops).unwrap();
    let expected = [(CREATED, &b), (CHANGED, &a), (CHANGED, &b), (CHANGED, &a), (DELETED, &a), (CREATED, &a)];
    let events = watcher.events_by_now();
    assert_eq!(events.iter().map(|event| (event.kind, &event.path)).collect::<Vec<_>>(), expected);
    let zxid = if t.since_3_9() { s.zxid } else { -1 };
    assert!(events.iter().all(|event| event.zxid == zxid), "{events:?}");
}

fn events_once(t: &Target<'_>) {
    let (mut s, mut once, mut always) = (t.session(), t.session(), t.session());
    let node = t.path("node");
    s.create(&node, b"").unwrap();
    Watch::Data.set(&mut once, &node);
    Watch::Child.set(&mut once, t.base());
    Watch::Recursive.set(&mut always, t.base());
    Watch::Data.set(&mut s, &node);
    let ops = || {
        [
            set(&node, b"1", -1),
            set(&node, b"2", -1),
            create(&t.path("x"), CreateMode::PERSISTENT),
            delete(&t.path("x"), -1),
            delete(&node, -1),
            create(&node, CreateMode::PERSISTENT),
        ]
    };
    s.multi(ops()).unwrap();
    let own: Vec<_> = s.events().into_iter().map(|event| (event.kind, event.path)).collect();
    assert_eq!(own, [(CHANGED, node.clone())], "in front of the reply");
    assert_eq!(seen(&mut once), [(CHANGED, node.clone()), (LISTED, t.base().to_owned())]);
    let x = t.path("x");
    let all = [
        (CHANGED, &node),
        (CHANGED, &node),
        (CREATED, &x),
        (DELETED, &x),
        (DELETED, &node),
        (CREATED, &node),
    ];
    assert_eq!(seen(&mut always), all.map(|(kind, path)| (kind, path.clone())));
    s.multi(ops()).unwrap();
    assert_eq!(seen(&mut once), []);
    assert_eq!(seen(&mut always).len(), 6);
}

fn multi_read(t: &Target<'_>) {
    let mut s = t.session();
    let node = t.path("node");
    s.create(&node, b"data").unwrap();
    s.create(&t.path("node/child"), b"").unwrap();
    s.create_acl(
        &t.path("closed"),
        b"",
        CreateMode::PERSISTENT,
        &[Acl::new(Perms::WRITE, "world", "anyone")],
    )
    .unwrap();
    let zxid = s.zxid;
    let stat = s.exists(&node, false).unwrap();
    let answer = s.call(
        OpCode::MULTI_READ,
        &MultiRequest::new([
            read_data(&node, true),
            read_data(&t.path("none"), false),
            read_children(&node, true),
            read_data(&t.path("closed"), false),
            read_children(&t.path("none"), false),
            read_data(&node, false),
        ]),
    );
    assert!(answer.header.zxid >= zxid);
    let answer: MultiResponse = answer.read().unwrap();
    assert_eq!(answer.end, MultiHeader::END);
    let told = |result: &MultiResult| match &result.result {
        OpResult::GetData(got) => {
            assert_eq!((result.err, got.stat), (ErrorCode::OK, stat));
            format!("data {:?}", got.data.as_deref().map(String::from_utf8_lossy))
        }
        OpResult::GetChildren(got) => format!("children {}", got.children.as_ref().unwrap().len()),
        OpResult::Error(error) => {
            assert_eq!(result.err, error.err);
            format!("error {}", error.err.0)
        }
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = answer.results.iter().map(told).collect();
    let data = "data Some(\"data\")";
    assert_eq!(told, [data, "error -101", "children 1", "error -102", "error -101", data]);
    s.set(&node, b"", -1).unwrap();
    s.delete(&t.path("node/child"), -1).unwrap();
    assert_eq!(seen(&mut s), [], "its watch flag is not honoured");
    let nothing = s.call(OpCode::MULTI_READ, &MultiRequest::<Ustring>::new([]));
    assert_eq!(nothing.read::<MultiResponse>().unwrap(), MultiResponse::new([]));
}

fn upgrade(t: &Target<'_>) {
    let sessions = || {
        let told = t.word("mntr");
        ["zk_local_sessions\t", "zk_global_sessions\t"].map(|key| {
            let value = told.lines().find_map(|line| line.strip_prefix(key));
            value.unwrap_or_else(|| panic!("no {key} in {told}")).trim().parse::<usize>().unwrap()
        })
    };
    let mut s = t.session();
    let node = t.path("node");
    assert_eq!(sessions().iter().sum::<usize>(), 1, "the session is local or global");
    s.multi([create(&node, CreateMode::EPHEMERAL)]).unwrap();
    assert_eq!(s.exists(&node, false).unwrap().ephemeral_owner, s.id);
    assert_eq!(sessions(), [0, 1], "the session is global");
    let id = s.id;
    let again = s.cut();
    let mut s = Session::open(t.dial(), &again).unwrap();
    assert_eq!((s.id, s.exists(&node, false).unwrap().ephemeral_owner), (id, id));
    s.close();
    let mut other = t.session();
    t.eventually("end of the ephemeral", Duration::from_secs(10), || other.exists(&node, false).err());
}

fn bad_flag(t: &Target<'_>) {
    let mut s = t.session();
    for flags in [-1, 7, 9, i32::MAX] {
        let request = || create_request(&t.path("node"), b"", CreateMode(flags), Acl::OPEN);
        let ops = [
            Op::Create(request()),
            Op::Create2(request()),
            Op::CreateContainer(request()),
            Op::CreateTtl(create_ttl_request(&t.path("node"), CreateMode(flags), 60_000)),
        ];
        for op in ops {
            let early = t.since_3_9() && op.op() != OpCode::CREATE_TTL;
            let what = format!("{} with flags {flags}", op.op());
            let answer = s.call(OpCode::MULTI, &MultiRequest::new([op, check(t.base(), -1)]));
            if early {
                assert_eq!(answer.nothing(), Err(ErrorCode::MARSHALLING_ERROR), "{what}");
            } else {
                assert_eq!(codes(&answer), [-8, -2], "{what}");
            }
        }
    }
    let alone = create_request(&t.path("node"), b"", CreateMode(9), Acl::OPEN);
    assert_eq!(s.call(OpCode::CREATE, &alone).nothing(), Err(ErrorCode::BAD_ARGUMENTS), "unlike alone");
    assert_eq!(s.children(t.base(), false).unwrap(), [""; 0]);
}
