//! Whatever is encoded decodes to itself: every record, every body, every null, on every way out of the writer.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::borrow::Cow;
use std::fmt::Debug;

use bytes::{Buf, Bytes};
use common::encoded;
use menagerie_jute::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Values of a type, nulls and unnamed codes included.
trait Sample: Debug + Clone + PartialEq + 'static {
    fn sample() -> BoxedStrategy<Self>;
}

macro_rules! samples {
    ($($type:ty: $strategy:expr;)*) => {
        $(impl Sample for $type {
            fn sample() -> BoxedStrategy<Self> {
                $strategy.boxed()
            }
        })*
    };
}

samples! {
    i32: any::<i32>();
    i64: any::<i64>();
    bool: any::<bool>();
    Option<bool>: any::<Option<bool>>();
    Option<Bytes>: option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from));
    Ustring: prop_oneof![
        1 => Just(Ustring::NULL),
        1 => Just(Ustring::from("")),
        1 => Just(Ustring::from_static("/static")),
        5 => any::<String>().prop_map(Ustring::from),
    ];
    Option<Vec<Ustring>>: option::of(vec(Ustring::sample(), 0..5));
    Option<Vec<Acl>>: option::of(vec(Acl::sample(), 0..4));
    Option<Vec<ClientInfo>>: option::of(vec(ClientInfo::sample(), 0..4));
    Option<Cow<'static, [Acl]>>: prop_oneof![
        1 => Just(Some(Cow::Borrowed(Acl::CREATOR_ALL))),
        3 => Option::<Vec<Acl>>::sample().prop_map(|list| list.map(Cow::Owned)),
    ];
    Xid: any::<i32>().prop_map(Xid);
    OpCode: any::<i32>().prop_map(OpCode);
    ErrorCode: any::<i32>().prop_map(ErrorCode);
    EventType: any::<i32>().prop_map(EventType);
    KeeperState: any::<i32>().prop_map(KeeperState);
    CreateMode: any::<i32>().prop_map(CreateMode);
    AddWatchMode: any::<i32>().prop_map(AddWatchMode);
    WatcherType: any::<i32>().prop_map(WatcherType);
    Perms: any::<i32>().prop_map(Perms);
    MultiOp: (ErrorCode::sample(), Op::sample()).prop_map(|(err, op)| MultiOp { err, op });
    MultiRequest: (vec(MultiOp::sample(), 0..5), end()).prop_map(|(ops, end)| MultiRequest { ops, end });
    MultiResult: (ErrorCode::sample(), OpResult::sample()).prop_map(|(err, result)| MultiResult { err, result });
    MultiResponse: (vec(MultiResult::sample(), 0..5), end())
        .prop_map(|(results, end)| MultiResponse { results, end });
}

/// A header that ends a multi, with whatever type and error.
fn end() -> impl Strategy<Value = MultiHeader> {
    MultiHeader::sample().prop_map(|header| MultiHeader { done: true, ..header })
}

/// Samples for records, a property for each, and their names.
macro_rules! records {
    ($($name:ident { $($field:ident),* })*) => {
        $(impl Sample for $name {
            fn sample() -> BoxedStrategy<Self> {
                ($(records!(@sample $field),)*).prop_map(|($($field,)*)| Self { $($field),* }).boxed()
            }
        })*

        const RECORDS: &[&str] = &[$(stringify!($name)),*];

        #[test]
        fn every_record_decodes_to_itself() {
            $(check::<$name>();)*
        }
    };
    (@sample $field:ident) => { Sample::sample() };
}

records! {
    ConnectRequest { protocol_version, last_zxid_seen, time_out, session_id, passwd, read_only }
    ConnectResponse { protocol_version, time_out, session_id, passwd, read_only }
    RequestHeader { xid, op }
    ReplyHeader { xid, zxid, err }
    MultiHeader { op, done, err }
    ErrorResponse { err }
    Stat {
        czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner, data_length, num_children, pzxid
    }
    CreateRequest { path, data, acl, flags }
    CreateTtlRequest { path, data, acl, flags, ttl }
    CreateResponse { path }
    Create2Response { path, stat }
    DeleteRequest { path, version }
    ExistsRequest { path, watch }
    ExistsResponse { stat }
    GetDataRequest { path, watch }
    GetDataResponse { data, stat }
    SetDataRequest { path, data, version }
    SetDataResponse { stat }
    CheckVersionRequest { path, version }
    GetChildrenRequest { path, watch }
    GetChildrenResponse { children }
    GetChildren2Request { path, watch }
    GetChildren2Response { children, stat }
    GetAllChildrenNumberRequest { path }
    GetAllChildrenNumberResponse { total_number }
    GetEphemeralsRequest { prefix_path }
    GetEphemeralsResponse { ephemerals }
    Id { scheme, id }
    Acl { perms, id }
    GetAclRequest { path }
    GetAclResponse { acl, stat }
    SetAclRequest { path, acl, version }
    SetAclResponse { stat }
    WatcherEvent { event_type, state, path }
    AddWatchRequest { path, mode }
    CheckWatchesRequest { path, watcher_type }
    RemoveWatchesRequest { path, watcher_type }
    SetWatches { relative_zxid, data_watches, exist_watches, child_watches }
    SetWatches2 {
        relative_zxid, data_watches, exist_watches, child_watches, persistent_watches, persistent_recursive_watches
    }
    AuthPacket { auth_type, scheme, auth }
    GetSaslRequest { token }
    SetSaslResponse { token }
    SyncRequest { path }
    SyncResponse { path }
    ClientInfo { auth_scheme, user }
    WhoAmIResponse { client_info }
    ReconfigRequest { joining_servers, leaving_servers, new_members, cur_config_id }
}

/// Samples for an enum of records: each variant by itself, so that none is left out by chance.
macro_rules! variants {
    ($($name:ident { $($variant:ident($record:ty)),* ; $($bare:ident),* })*) => {
        $(impl Sample for $name {
            fn sample() -> BoxedStrategy<Self> {
                proptest::strategy::Union::new(<$name as Variants>::variants()).boxed()
            }
        }

        impl Variants for $name {
            fn variants() -> Vec<BoxedStrategy<Self>> {
                vec![
                    $(<$record>::sample().prop_map($name::$variant).boxed(),)*
                    $(Just($name::$bare).boxed(),)*
                ]
            }
        })*
    };
}

trait Variants: Sample {
    fn variants() -> Vec<BoxedStrategy<Self>>;
}

variants! {
    Op {
        Create(CreateRequest), Create2(CreateRequest), CreateContainer(CreateRequest), CreateTtl(CreateTtlRequest),
        Delete(DeleteRequest), SetData(SetDataRequest), Check(CheckVersionRequest), GetChildren(GetChildrenRequest),
        GetData(GetDataRequest);
    }
    OpResult {
        Create(CreateResponse), Create2(Create2Response), CreateContainer(Create2Response), CreateTtl(Create2Response),
        SetData(SetDataResponse), GetChildren(GetChildrenResponse), GetData(GetDataResponse), Error(ErrorResponse);
        Delete, Check
    }
    RequestBody {
        Create(CreateRequest), Delete(DeleteRequest), Exists(ExistsRequest), GetData(GetDataRequest),
        SetData(SetDataRequest), GetAcl(GetAclRequest), SetAcl(SetAclRequest), GetChildren(GetChildrenRequest),
        Sync(SyncRequest), GetChildren2(GetChildren2Request), Check(CheckVersionRequest), Multi(MultiRequest),
        Create2(CreateRequest), Reconfig(ReconfigRequest), CheckWatches(CheckWatchesRequest),
        RemoveWatches(RemoveWatchesRequest), CreateContainer(CreateRequest), CreateTtl(CreateTtlRequest),
        MultiRead(MultiRequest), Auth(AuthPacket), SetWatches(SetWatches), Sasl(GetSaslRequest),
        GetEphemerals(GetEphemeralsRequest), GetAllChildrenNumber(GetAllChildrenNumberRequest),
        SetWatches2(SetWatches2), AddWatch(AddWatchRequest);
    }
    ReplyBody {
        Create(CreateResponse), Exists(ExistsResponse), GetData(GetDataResponse), SetData(SetDataResponse),
        GetAcl(GetAclResponse), SetAcl(SetAclResponse), GetChildren(GetChildrenResponse), Sync(SyncResponse),
        GetChildren2(GetChildren2Response), Multi(MultiResponse), Create2(Create2Response), Reconfig(GetDataResponse),
        CreateContainer(Create2Response), CreateTtl(Create2Response), MultiRead(MultiResponse), Sasl(SetSaslResponse),
        GetEphemerals(GetEphemeralsResponse), GetAllChildrenNumber(GetAllChildrenNumberResponse),
        AddWatch(ErrorResponse), WhoAmI(WhoAmIResponse), Notification(WatcherEvent);
    }
}

/// A repeatable run: the same cases every time.
fn run<T: Sample>(strategy: &BoxedStrategy<T>, cases: u32, test: impl Fn(T) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    TestRunner::new_with_rng(config, rng).run(strategy, test).unwrap_or_else(|error| panic!("{error}"));
}

fn check<T: Sample + Encode + Decode>() {
    run(&T::sample(), 128, |record| {
        let payload = encoded(&record);
        prop_assert_eq!(&T::decode_exact(payload.clone()).unwrap(), &record, "copied");
        prop_assert_eq!(T::decode_exact(spliced(&record)).unwrap(), record, "spliced");
        Ok(())
    });
}

/// The bytes as they leave a writer that splices values of a few bytes, consumed in odd steps.
fn spliced(record: &impl Encode) -> Bytes {
    let mut writer = Writer::with_spill(3);
    let frame = writer.frame();
    record.encode(&mut writer);
    let len = writer.close(frame);
    let pieces: Vec<u8> = writer.segments().flatten().copied().collect();
    let mut seen = Vec::new();
    while writer.has_remaining() {
        let chunk = writer.chunk();
        let step = chunk.len().min(7);
        seen.extend_from_slice(&chunk[..step]);
        writer.advance(step);
    }
    assert_eq!(pieces, seen, "the segments and the buffer differ");
    assert_eq!(seen[..4], u32::try_from(len).unwrap().to_be_bytes());
    assert_eq!(seen.len(), len + 4);
    Bytes::from(seen).slice(4..)
}

#[test]
fn every_multi_decodes_to_itself() {
    check::<MultiRequest>();
    check::<MultiResponse>();
    for variant in Op::variants() {
        run(&variant, 32, |op| {
            let request = MultiRequest::new([op.clone(), op]);
            prop_assert_eq!(MultiRequest::decode_exact(encoded(&request)).unwrap(), request);
            Ok(())
        });
    }
    for variant in OpResult::variants() {
        run(&variant, 32, |result| {
            let response = MultiResponse::new([result.clone(), result]);
            prop_assert_eq!(MultiResponse::decode_exact(encoded(&response)).unwrap(), response);
            Ok(())
        });
    }
}

#[test]
fn every_request_decodes_to_itself() {
    for variant in RequestBody::variants() {
        run(&variant, 32, |body| {
            let request = Request::new(Xid(7), body).unwrap();
            prop_assert_eq!(Request::decode(encoded(&request)).unwrap(), request.clone());
            prop_assert_eq!(Request::decode(spliced(&request)).unwrap(), request);
            Ok(())
        });
    }
}

#[test]
fn every_reply_decodes_to_itself() {
    for variant in ReplyBody::variants() {
        run(&variant, 32, |body| {
            let op = body.op().unwrap_or(OpCode::PING);
            let xid = if body.op().is_some() { Xid(7) } else { Xid::NOTIFICATION };
            let reply = Reply { header: ReplyHeader { xid, zxid: 9, err: ErrorCode::OK }, body };
            prop_assert_eq!(Reply::decode(encoded(&reply), op).unwrap(), reply);
            Ok(())
        });
    }
}

#[test]
fn requests_encode_the_same_from_any_text() {
    run(&(<(String, String)>::arbitrary().boxed()), 128, |(chroot, path)| {
        let whole = format!("{chroot}{path}");
        let owned = encoded(&GetDataRequest { path: Ustring::from(whole.clone()), watch: true });
        prop_assert_eq!(&encoded(&GetDataRequest { path: &whole[..], watch: true }), &owned);
        prop_assert_eq!(encoded(&GetDataRequest { path: Joined(&chroot, &path), watch: true }), owned);
        let owned = SetWatches { data_watches: Some(vec![Ustring::from(whole)]), ..SetWatches::default() };
        let data_watches = Some(vec![Joined(&chroot, &path)]);
        let borrowed =
            SetWatches { relative_zxid: 0, data_watches, exist_watches: None, child_watches: None };
        prop_assert_eq!(encoded(&borrowed), encoded(&owned));
        Ok(())
    });
}

impl Sample for (String, String) {
    fn sample() -> BoxedStrategy<Self> {
        any::<Self>().boxed()
    }
}

/// The records of the sources are the records tested here.
#[test]
fn no_record_is_left_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/proto");
    let mut declared: Vec<String> = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let blocks = source.split("record! {").skip(1);
        declared.extend(blocks.map(|block| {
            let (_, rest) = block.split_once("struct ").unwrap();
            rest.chars().take_while(char::is_ascii_alphanumeric).collect()
        }));
    }
    declared.sort();
    declared.dedup(); // `Id` stands there once more, as a planted fault.
    let mut tested: Vec<_> = RECORDS.iter().map(ToString::to_string).collect();
    tested.sort();
    assert_eq!(declared, tested);
}

#[test]
fn predefined_access_lists_are_what_servers_know() {
    let lists = [Acl::OPEN, Acl::READ, Acl::CREATOR_ALL].map(<[Acl]>::to_vec);
    let entry = |perms, scheme: &str, id: &str| vec![Acl::new(Perms(perms), scheme, id)];
    assert_eq!(lists, [entry(31, "world", "anyone"), entry(1, "world", "anyone"), entry(31, "auth", "")]);
}

#[test]
fn credentials_stay_out_of_debug() {
    let secret = || Some(Bytes::from_static(b"hunter2hunter2zz"));
    let connect = ConnectRequest { passwd: secret(), ..ConnectRequest::default() };
    let mut writer = Writer::new();
    connect.encode(&mut writer);
    let shown = [
        format!("{:?}", Reader::new(encoded(&connect))),
        format!("{writer:?}"),
        format!("{:?}", RequestBody::Auth(AuthPacket { auth: secret(), ..AuthPacket::default() })),
        format!("{connect:?}"),
        format!("{:?}", ConnectResponse { passwd: secret(), ..ConnectResponse::default() }),
        format!("{:?}", GetSaslRequest { token: secret() }),
        format!("{:?}", SetSaslResponse { token: secret() }),
        format!("{:?}", Raw(secret().unwrap())),
    ];
    for text in shown {
        assert!(!text.contains("hunter2") && !text.contains("104, 117"), "{text}");
    }
    assert!(format!("{connect:?}").contains("<16 bytes>"));
}
