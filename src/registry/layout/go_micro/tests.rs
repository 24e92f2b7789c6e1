//! Fixtures are bytes that programs wrote, as named; what is put together here is what no program writes.

use proptest::prelude::*;

use super::*;
use crate::registry::address::{Address, AddressError};
use crate::registry::layout::{JsonErrorKind, LeafStat};
use crate::registry::metadata::Metadata;
use crate::registry::model::{RpcEndpoint, RpcValue, Status};

/// Observed on a real server, written by go-micro v4.10.2 with the plugin of go-micro/plugins `60268888`.
const V4: &str = r#"{"name":"go.micro.srv/a","version":"1.0","metadata":{"m":"1"},"endpoints":null,"nodes":[{"metadata":{"protocol":"grpc"},"id":"a/1","address":"10.0.0.1:80"}]}"#;

/// Written by Go from the structs of go-micro v4, of a service with an endpoint; the forms of all versions are in the same file.
fn recorded() -> &'static str {
    include_str!("../recorded/go-micro.txt").lines().last().unwrap()
}

const SESSION: LeafStat = LeafStat { ephemeral_owner: 0x1000, version: 0, czxid: 1, num_children: 0 };

fn read_as(service: &str, name: &str, data: &[u8]) -> Result<Instance, ReadError> {
    GoMicro::new().read(service, &Found { name, data: &Bytes::copy_from_slice(data), stat: SESSION })
}

fn payload(instance: &Instance) -> String {
    String::from_utf8(GoMicro::new().leaf(instance).unwrap().data.to_vec()).unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn the_observed_payload_of_v4_is_read_and_written_back_to_the_byte() {
    let instance = read_as("go.micro.srv/a", "a-1", V4.as_bytes()).unwrap();
    assert_eq!((instance.id.as_str(), instance.version.as_str()), ("a/1", "1.0"));
    assert_eq!(instance.address, address("10.0.0.1:80"));
    assert_eq!(instance.metadata, Metadata::from([("protocol", "grpc")]));
    let leaf = GoMicro::new().leaf(&instance).unwrap();
    assert_eq!(leaf.path(), "/micro-registry/go.micro.srv-a/a-1");
    assert_eq!(leaf.data, V4);
    assert_eq!((leaf.mode, leaf.parents), (LeafMode::Ephemeral, ParentMode::Persistent));
}

#[test]
fn a_new_instance_is_written_as_v4_writes_it() {
    let builder = Instance::builder("go.micro.srv/a").id("a/1").version("1.0").metadata("k", "<v>&\u{2028}");
    let instance = builder.build(address("10.0.0.1:80"), [0; 16]).unwrap();
    let expected = r#"{"name":"go.micro.srv/a","version":"1.0","metadata":null,"endpoints":null,"nodes":[{"metadata":{"broker":"http","k":"\u003cv\u003e\u0026\u2028","protocol":"grpc","registry":"zookeeper","server":"grpc","transport":"grpc"},"id":"a/1","address":"10.0.0.1:80"}]}"#;
    assert_eq!(payload(&instance), expected);
    assert_eq!(GoMicro::new().leaf(&instance).unwrap().path(), "/micro-registry/go.micro.srv-a/a-1");
}

#[test]
fn metadata_of_its_own_goes_before_the_defaults() {
    let builder = Instance::builder("s").metadata("protocol", "http").metadata("transport", "quic");
    let instance = builder.build(address("10.0.0.1:80"), [0; 16]).unwrap();
    let leaf = GoMicro::at("/other/root").unwrap().protocol("mucp").broker("nats").leaf(&instance).unwrap();
    let written = read_as("s", &leaf.name, &leaf.data).unwrap().metadata;
    let expected = [
        ("broker", "nats"),
        ("protocol", "http"),
        ("registry", "zookeeper"),
        ("server", "mucp"),
        ("transport", "quic"),
    ];
    assert_eq!(written, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert_eq!(leaf.path(), "/other/root/s/s-00000000-0000-4000-8000-000000000000");
}

#[test]
fn endpoints_are_read_into_the_model() {
    let instance = read_as("recorded/greeter", "server-4", recorded().as_bytes()).unwrap();
    let field = RpcValue { name: "name".into(), kind: "string".into(), values: Vec::new() };
    let endpoint = RpcEndpoint {
        name: "Greeter.Hello".into(),
        request: Some(RpcValue { name: "Request".into(), kind: "Request".into(), values: vec![field] }),
        response: Some(RpcValue { name: "Response".into(), kind: "Response".into(), values: Vec::new() }),
        metadata: Metadata::new(),
    };
    assert_eq!(instance.rpc, [endpoint]);
}

#[test]
fn a_change_keeps_the_form_and_everything_unknown() {
    let v1 = r#"{"x":[1e400],"name":"s","nodes":[{"id":"i","port":80,"address":"::1","y":null}],"metadata":{"b":"2","a":"1"}}"#;
    let mut instance = read_as("s", "i", v1.as_bytes()).unwrap();
    assert_eq!(payload(&instance), v1);
    instance.address = address("[::2]:81");
    instance.version = "2".to_owned();
    instance.metadata.insert("k", "v");
    let expected = r#"{"x":[1e400],"name":"s","nodes":[{"id":"i","port":81,"address":"::2","y":null,"metadata":{"k":"v"}}],"metadata":{"b":"2","a":"1"},"version":"2"}"#;
    assert_eq!(payload(&instance), expected);
}

#[test]
fn what_go_micro_has_no_field_for_travels_in_metadata() {
    let builder = Instance::builder("s")
        .id("i")
        .weight(7)
        .zone("z,1")
        .tag("a\"b")
        .tag("c")
        .registered_at_ms(1_700_000_000_000);
    let builder = builder.endpoint("admin", address("[::1]:81")).endpoint("metrics", address("h:82"));
    let instance = builder.build(address("10.0.0.1:80"), [0; 16]).unwrap();
    let back = read_as("s", "i", payload(&instance).as_bytes()).unwrap();
    assert_eq!((back.weight, back.zone.as_deref(), &back.tags), (7, Some("z,1"), &instance.tags));
    assert_eq!((back.registered_at_ms, &back.endpoints), (instance.registered_at_ms, &instance.endpoints));
    assert_eq!(back.metadata.len(), 5);
    assert_eq!(payload(&back), payload(&instance));
}

#[test]
fn metadata_that_only_looks_like_ours_stays() {
    let text = r#"{"name":"s","version":"","metadata":null,"endpoints":null,"nodes":[{"metadata":{"menagerie.endpoint.x":"nowhere","menagerie.registered_at_ms":"-1","menagerie.tags":"[1]","menagerie.weight":"1"},"id":"i","address":"h:1"}]}"#;
    let instance = read_as("s", "i", text.as_bytes()).unwrap();
    assert_eq!((instance.weight, instance.metadata.len()), (1, 4));
    assert_eq!(payload(&instance), text);
}

#[test]
fn the_payloads_name_decides_and_a_collision_is_reported() {
    let other = |service: &str| ReadError::OtherService { service: service.to_owned() };
    assert_eq!(GoMicro::new().service_dir("x/y"), GoMicro::new().service_dir("x-y"));
    let text = V4.replace("go.micro.srv/a", "x/y");
    assert_eq!(read_as("x-y", "a-1", text.as_bytes()), Err(other("x/y")));
    assert_eq!(read_as("x/y", "a-1", text.as_bytes()).unwrap().service, "x/y");
    let data = Bytes::from(text);
    let found = Found { name: "a-1", data: &data, stat: SESSION };
    assert_eq!(GoMicro::new().service_of(&found), Ok(Some("x/y".to_owned())));
    let long = V4.replace("go.micro.srv/a", &"x".repeat(5000));
    assert_eq!(read_as("s", "a-1", long.as_bytes()), Err(other(&"x".repeat(64))));
}

#[test]
fn identity_is_the_payloads_service_and_id() {
    let ours = Instance::builder("x/y").id("a/1").build(address("10.0.0.9:9"), [0; 16]).unwrap();
    let same = |name: &str, text: &str| {
        GoMicro::new()
            .is_same(&ours, &Found { name, data: &Bytes::copy_from_slice(text.as_bytes()), stat: SESSION })
    };
    assert!(same("a-1", &V4.replace("go.micro.srv/a", "x/y")));
    assert!(!same("a-1", &V4.replace("go.micro.srv/a", "x-y")));
    assert!(!same("a-1", &V4.replace("go.micro.srv/a", "x/y").replace("a/1", "a-1")));
    assert!(!same("a-1", "") && !same("a-1", "{}"));
}

#[test]
fn of_several_nodes_the_leafs_own_is_taken_and_the_others_are_kept() {
    let text = r#"{"name":"s","nodes":[{"id":"other","address":"h:1"},{"id":"a/1","address":"h:2"}]}"#;
    let instance = read_as("s", "a-1", text.as_bytes()).unwrap();
    assert_eq!(instance.address, address("h:2"));
    assert_eq!(payload(&instance), text);
    assert_eq!(read_as("s", "third", text.as_bytes()), Err(ReadError::Field { field: "nodes" }));
}

#[test]
fn malformed_payloads_are_refused_by_name() {
    let field = |field| ReadError::Field { field };
    let node = |node: &str| format!(r#"{{"name":"s","nodes":[{node}]}}"#);
    for (text, error) in [
        (String::new(), ReadError::Empty),
        ("null".to_owned(), field("nodes")),
        ("[]".to_owned(), field("nodes")),
        (r#"{"name":"s","nodes":null}"#.to_owned(), field("nodes")),
        (r#"{"name":7,"nodes":[{"id":"i","address":"h:1"}]}"#.to_owned(), field("name")),
        (r#"{"nodes":[{"id":"i","address":"h:1"}]}"#.to_owned(), field("name")),
        (node(r#"{"address":"h:1"}"#), field("id")),
        (node(r#"{"id":"i"}"#), field("address")),
        (node(r#"{"id":"i","address":"h","port":"80"}"#), field("port")),
        (node(r#"{"id":"i","address":"h","port":65536}"#), field("port")),
        (node(r#"{"id":"i","address":"h","port":8e1}"#), field("port")),
        (node(r#"{"id":"i","address":"h:1","metadata":[]}"#), field("metadata")),
        (node(r#"{"id":"i","address":"h:1","metadata":{"k":1}}"#), field("metadata")),
        (
            node(r#"{"id":"i","address":"0.0.0.0:1"}"#),
            AddressError::Wildcard { host: "0.0.0.0".into() }.into(),
        ),
        (node(r#"{"id":"i","address":"queue"}"#), AddressError::NoPort { host: "queue".into() }.into()),
        (node(r#"{"id":"i","address":"h","port":0}"#), AddressError::NoPort { host: "h".into() }.into()),
    ] {
        assert_eq!(read_as("s", "i", text.as_bytes()), Err(error), "{text}");
    }
    assert!(
        matches!(read_as("s", "i", b"{\"name\":NaN}"), Err(ReadError::Json(error)) if error.kind == JsonErrorKind::Unexpected)
    );
    assert!(
        matches!(read_as("s", "i", &[b'['; 4096]), Err(ReadError::Json(error)) if error.kind == JsonErrorKind::TooDeep)
    );
    let huge = vec![b' '; PAYLOAD_LEN_BYTES + 1];
    assert_eq!(read_as("s", "i", &huge), Err(ReadError::TooLarge { len_bytes: huge.len() }));
    let parent = LeafStat { num_children: 2, ..SESSION };
    let data = Bytes::from_static(V4.as_bytes());
    let found = Found { name: "a-1", data: &data, stat: parent };
    assert_eq!(GoMicro::new().read("go.micro.srv/a", &found), Err(ReadError::Directory));
}

#[test]
fn hostile_names_never_leave_the_root() {
    let layout = GoMicro::new();
    for bad in ["", ".", "..", "a\nb", "\u{85}"] {
        assert!(
            matches!(layout.service_dir(bad), Err(LayoutError::BadName { what: "service", .. })),
            "{bad:?}"
        );
        let leaf = layout.leaf(&Instance::new("s", bad, address("h:1")));
        assert!(leaf.is_err(), "{bad:?}");
    }
    for (name, dir) in [
        ("../..", "/micro-registry/..-.."),
        ("/etc", "/micro-registry/-etc"),
        ("%2e%2e", "/micro-registry/%2e%2e"),
    ] {
        assert_eq!(layout.service_dir(name).unwrap(), dir);
    }
}

#[test]
fn a_payload_beyond_a_znode_is_refused_before_it_is_sent() {
    let instance = Instance::builder("s")
        .metadata("k", "v".repeat(PAYLOAD_LEN_BYTES))
        .build(address("h:1"), [0; 16])
        .unwrap();
    assert!(matches!(GoMicro::new().leaf(&instance), Err(LayoutError::TooLarge { .. })));
}

#[test]
fn the_plugins_persistent_leaves_are_read_as_such() {
    let data = Bytes::from_static(V4.as_bytes());
    let found = Found { name: "a-1", data: &data, stat: LeafStat::default() };
    let instance = GoMicro::new().read("go.micro.srv/a", &found).unwrap();
    assert_eq!(instance.lifetime, Lifetime::Persistent);
    assert_eq!(GoMicro::new().leaf(&instance).unwrap().mode, LeafMode::Persistent);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z<>&/\"\\\\\u{2028}é]{0,6}", any::<String>()]
}

fn any_value() -> impl Strategy<Value = RpcValue> {
    let leaf = (any_text(), any_text()).prop_map(|(name, kind)| RpcValue { name, kind, values: Vec::new() });
    leaf.prop_recursive(3, 8, 3, |inner| {
        (any_text(), any_text(), prop::collection::vec(inner, 0..3))
            .prop_map(|(name, kind, values)| RpcValue { name, kind, values })
    })
}

fn any_instance() -> impl Strategy<Value = Instance> {
    let names = (
        "[a-z./<-]{1,8}",
        "[a-z/&]{1,8}",
        prop_oneof![Just("10.0.0.1:80"), Just("[::1]:65535"), Just("h:1")],
    );
    let maps =
        (prop::collection::btree_map(any_text(), any_text(), 0..4), prop::collection::vec(any_text(), 0..3));
    let rpc = prop::option::of((any_text(), prop::option::of(any_value()), prop::option::of(any_value())));
    let rest = (any_text(), any::<u32>(), prop::option::of(any_text()), prop::option::of(any::<u64>()));
    (names, maps, rpc, rest).prop_map(
        |((service, id, place), (metadata, tags), rpc, (version, weight, zone, at))| {
            let mut instance = Instance::new(service, id, address(place));
            (instance.metadata, instance.tags, instance.version, instance.weight) =
                (metadata.into(), tags, version, weight);
            (instance.zone, instance.registered_at_ms) = (zone, at);
            let endpoint = |(name, request, response)| RpcEndpoint {
                name,
                request,
                response,
                metadata: Metadata::new(),
            };
            instance.rpc = rpc.map(endpoint).into_iter().collect();
            instance.status = Status::Up;
            instance
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_written_back_the_same(instance in any_instance()) {
        let layout = GoMicro::new();
        if let Ok(leaf) = layout.leaf(&instance) {
            prop_assert_eq!(leaf.path().matches('/').count(), 3);
            let found = Found { name: &leaf.name, data: &leaf.data, stat: SESSION };
            let mut back = layout.read(&instance.service, &found).unwrap();
            prop_assert!(layout.is_same(&instance, &found));
            prop_assert_eq!(&back.carried, &None);
            prop_assert_eq!(layout.leaf(&back).unwrap(), leaf);
            for (key, _) in layout.defaults() {
                if !instance.metadata.contains_key(key) {
                    back.metadata.remove(key);
                }
            }
            prop_assert_eq!(back, instance);
        }
    }

    #[test]
    fn arbitrary_payloads_never_panic(name in ".{0,8}", data in prop::collection::vec(any::<u8>(), 0..128)) {
        let _ = read_as("s", &name, &data);
    }

    #[test]
    fn damaged_payloads_are_refused_or_written_back(at in 0..V4.len(), byte: u8) {
        let mut data = V4.as_bytes().to_vec();
        data[at] = byte;
        if let Ok(instance) = read_as("go.micro.srv/a", "a-1", &data) {
            match GoMicro::new().leaf(&instance) {
                Ok(leaf) => prop_assert_eq!(read_as("go.micro.srv/a", &leaf.name, &leaf.data).unwrap().address, instance.address),
                Err(error) => prop_assert!(matches!(error, LayoutError::BadName { what: "id", .. }), "{}", error),
            }
        }
    }
}
