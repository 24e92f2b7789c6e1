//! Several writes under one number.

use super::*;

fn codes(answer: &Answer) -> &[ErrorCode] {
    match answer {
        Answer::RefusedMulti(codes) => codes,
        other => panic!("not refused as a multi: {other:?}"),
    }
}

fn plain(path: &str) -> Op {
    Op::Create(create(path, CreateMode::PERSISTENT))
}

fn numbered(path: &str) -> Op {
    Op::Create(create(path, CreateMode::PERSISTENT_SEQUENTIAL))
}

#[test]
fn later_operations_see_earlier_ones() {
    let mut world = World::new();
    let set = |version| Op::SetData(set_request("/a", "new", version));
    let ops = [
        plain("/a"),
        plain("/a/b"),
        set(0),
        set(1),
        check("/a", 2),
        delete("/a/b", 0),
        plain("/a/b"),
        plain("/c"),
        delete("/c", 0),
    ];
    let Answer::Multi(answers) = world.multi(ops) else { panic!("refused") };
    assert_eq!(answers.len(), 9);
    let zxid = world.tree.zxid();
    let versions = [&answers[2], &answers[3]].map(|answer| match answer {
        Answer::DataSet(stat) => (stat.version, stat.mzxid),
        other => panic!("{other:?}"),
    });
    assert_eq!(versions, [(1, zxid), (2, zxid)], "each its own version, all the same number");
    let (a, b) = (world.stat("/a"), world.stat("/a/b"));
    assert_eq!((a.czxid, a.pzxid, a.cversion, b.czxid), (zxid, zxid, 3, zxid));
    use EventType as E;
    let events = [
        (E::NODE_CREATED, "/a"),
        (E::NODE_CREATED, "/a/b"),
        (E::NODE_DATA_CHANGED, "/a"),
        (E::NODE_DATA_CHANGED, "/a"),
        (E::NODE_DELETED, "/a/b"),
        (E::NODE_CREATED, "/a/b"),
        (E::NODE_CREATED, "/c"),
        (E::NODE_DELETED, "/c"),
    ];
    assert_eq!(world.events(), events);
}

#[test]
fn a_failed_one_does_nothing_and_takes_no_numbers() {
    let mut world = World::new();
    world.made("/a");
    let (before, zxid) = (world.stat("/a"), world.tree.zxid());
    let answer = world.multi([numbered("/a/s"), check("/a", 0), delete("/none", -1), plain("/b")]);
    let (ok, none, behind) = (ErrorCode::OK, ErrorCode::NO_NODE, ErrorCode::RUNTIME_INCONSISTENCY);
    assert_eq!(codes(&answer), [ok, ok, none, behind]);
    assert_eq!((world.stat("/a"), world.tree.znode("/b").is_none()), (before, true));
    assert_eq!((world.tree.zxid(), world.events().len()), (zxid + 1, 0));
    assert_eq!(world.create("/a/s", CreateMode::PERSISTENT_SEQUENTIAL), Ok("/a/s0000000000".into()));
}

#[test]
fn every_check_of_a_single_write_is_made() {
    let mut world = World::new();
    world.made("/a");
    world.made("/a/b");
    let shut = [Acl::new(Perms::DELETE, "world", "anyone")];
    world.made("/shut");
    world.set_acl("/shut", &shut, -1).unwrap();
    let bad_acl = CreateRequest { acl: None, ..create("/x", CreateMode::PERSISTENT) };
    let cases = [
        (check("/none", -1), ErrorCode::NO_NODE),
        (check("/a", 5), ErrorCode::BAD_VERSION),
        (check("/shut", 5), ErrorCode::NO_AUTH),
        (check("a", 5), ErrorCode::BAD_ARGUMENTS),
        (delete("/a", 0), ErrorCode::NOT_EMPTY),
        (delete("/", 0), ErrorCode::BAD_ARGUMENTS),
        (plain("/a"), ErrorCode::NODE_EXISTS),
        (plain("/shut/x"), ErrorCode::NO_AUTH),
        (Op::Create(bad_acl), ErrorCode::INVALID_ACL),
        (Op::SetData(set_request("/shut", "", 5)), ErrorCode::NO_AUTH),
    ];
    for (op, code) in cases {
        assert_eq!(codes(&world.multi([op.clone()])), [code], "{op:?}");
    }
}

#[test]
fn numbers_follow_each_other() {
    let mut world = World::new();
    world.made("/q");
    let answer =
        world.multi([numbered("/q/a"), plain("/q/x"), numbered("/q/a"), delete("/q/x", -1), numbered("/q/")]);
    let Answer::Multi(answers) = answer else { panic!("refused") };
    let paths: Vec<_> = answers.into_iter().map(short).map(Result::unwrap).collect();
    assert_eq!(paths, ["/q/a0000000000", "/q/x", "/q/a0000000002", "", "/q/0000000003"]);
}

#[test]
fn ephemerals_made_in_it_have_no_children_either() {
    let mut world = World::new();
    let ephemeral = Op::Create(create("/e", CreateMode::EPHEMERAL));
    let answer = world.multi([ephemeral, plain("/e/x")]);
    assert_eq!(codes(&answer), [ErrorCode::OK, ErrorCode::NO_CHILDREN_FOR_EPHEMERALS]);
}

#[test]
fn what_does_not_decode_there_fails_it_whole() {
    let mut world = World::new();
    let refused = Answer::Refused(ErrorCode::MARSHALLING_ERROR);
    let read = Op::GetData(GetDataRequest { path: "/".into(), watch: false });
    assert_eq!(world.multi([plain("/a"), read]), refused, "a read among writes");
    assert_eq!(world.multi([plain("/a"), Op::Create(create("/b", CreateMode(9)))]), refused, "unknown flags");
    assert_eq!(world.multi([Op::Delete(DeleteRequest::default())]), refused, "a null path");
    assert!(world.tree.znode("/a").is_none());
    assert_eq!(world.multi([]), Answer::Multi(Vec::new()), "an empty one is fine");
    assert_eq!(world.tree.zxid(), 6);
}

#[test]
fn create2_in_it_is_answered_by_version() {
    let create2 = || Op::Create2(create("/a", CreateMode::PERSISTENT));
    let container = || Op::CreateContainer(create("/c", CreateMode::CONTAINER));
    let stats = |like, op: Op| match World::like(like).multi([op]) {
        Answer::Multi(answers) => match &answers[..] {
            [Answer::Created { stat, .. }] => Some(stat.is_some()),
            other => panic!("{other:?}"),
        },
        _ => None,
    };
    let likes = [Like::V3_4, Like::V3_5, Like::V3_8, Like::V3_9];
    assert_eq!(likes.map(|like| stats(like, create2())), [None, None, Some(false), Some(true)]);
    assert_eq!(likes.map(|like| stats(like, container())), [None, Some(true), Some(true), Some(true)]);
}

#[test]
fn the_flag_alone_makes_a_container_in_it() {
    let mut world = World::new();
    let answer =
        world.multi([Op::Create(create("/c", CreateMode::CONTAINER)), plain("/c/x"), delete("/c/x", -1)]);
    let Answer::Multi(answers) = answer else { panic!("refused") };
    assert!(matches!(answers[0], Answer::Created { stat: Some(_), .. }));
    assert_eq!(super::super::due_for_reaping(&world.tree, &world.rules, 0), ["/c".into()]);
    let ttl = Op::CreateTtl(create_ttl("/t", CreateMode::PERSISTENT_WITH_TTL, 0));
    assert_eq!(codes(&world.multi([ttl])), [ErrorCode::BAD_ARGUMENTS]);
    let plain_ttl = Op::Create(create("/t", CreateMode::PERSISTENT_WITH_TTL));
    assert_eq!(codes(&world.multi([plain_ttl])), [ErrorCode::BAD_ARGUMENTS]);
}

#[test]
fn results_have_the_types_of_the_real_server() {
    let mut world = World::new();
    let ops = [
        plain("/a"),
        Op::SetData(set_request("/a", "", -1)),
        check("/a", 1),
        delete("/a", 1),
        Op::Create2(create("/b", CreateMode::PERSISTENT)),
    ];
    let types = |answer: Answer| match answer.into_reply() {
        (ErrorCode::OK, ReplyBody::Multi(response)) => {
            response.results.iter().map(|result| (result.result.op(), result.err)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let done = [OpCode::CREATE, OpCode::SET_DATA, OpCode::CHECK, OpCode::DELETE, OpCode::CREATE2]
        .map(|op| (op, ErrorCode::OK));
    assert_eq!(types(world.multi(ops)), done);
    let failed =
        [ErrorCode::OK, ErrorCode::NO_NODE, ErrorCode::RUNTIME_INCONSISTENCY].map(|err| (OpCode::ERROR, err));
    assert_eq!(types(world.multi([plain("/c"), check("/none", 0), plain("/d")])), failed);
}

#[test]
fn a_keeper_types_failed_reads_by_their_operation() {
    use super::super::multi_read_body;
    let reads = || {
        vec![
            (OpCode::GET_DATA, Err(ErrorCode::NO_NODE)),
            (OpCode::GET_CHILDREN, Ok(OpResult::GetChildren(GetChildrenResponse::default()))),
        ]
    };
    let bytes = |like| {
        let mut out = Writer::new();
        multi_read_body(like, reads()).encode(&mut out);
        out.into_bytes()
    };
    let error =
        [&(-1i32).to_be_bytes()[..], &[0], &(-101i32).to_be_bytes(), &(-101i32).to_be_bytes()].concat();
    assert_eq!(bytes(Like::V3_9).slice(..13), error);
    let typed = [&4i32.to_be_bytes()[..], &[0], &(-101i32).to_be_bytes(), &8i32.to_be_bytes()].concat();
    assert_eq!(bytes(Like::Keeper).slice(..13), typed);
    assert_eq!(bytes(Like::Keeper).len() + 4, bytes(Like::V3_9).len());
}
