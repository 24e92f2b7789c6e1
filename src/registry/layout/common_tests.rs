//! What holds of every layout alike.

use proptest::prelude::*;

use super::*;
use crate::registry::address::Address;
use crate::registry::model::{RpcEndpoint, RpcValue};

/// A layout and what it does not tell of an instance.
type Row = (Box<dyn Layout>, &'static [&'static str]);

const NO_STATUS: &[&str] = &["status", "status_reason"];

fn every_layout() -> Vec<Row> {
    let dubbo = DubboApplication::new().serves("org.x.Demo", "g", "1.0");
    vec![
        // Neither names an instance otherwise than by what its leaves hold.
        (Box::new(GoMicro::new()), &["rpc", "status", "status_reason"]),
        (Box::new(Curator::at("/c").unwrap()), &[]),
        (Box::new(Curator::at("/c").unwrap().sequential().payload_class("com.acme.P")), &[]),
        (Box::new(SpringCloud::new()), &[]),
        (Box::new(DubboInterface::new()), &["weight", "status", "status_reason"]),
        (
            Box::new(DubboInterface::new().encoder(Encoder::Go).protocol("tri")),
            &["weight", "status", "status_reason"],
        ),
        (Box::new(dubbo), NO_STATUS),
        (Box::new(Registrator::at("/r").unwrap()), NO_STATUS),
        (Box::new(ServerSet::at("/discovery").unwrap()), &[]),
        (
            Box::new(Plain::new()),
            &[
                "id",
                "endpoints",
                "rpc",
                "version",
                "metadata",
                "tags",
                "weight",
                "zone",
                "status",
                "status_reason",
                "registered_at_ms",
            ],
        ),
    ]
}

fn stat(owner: i64) -> LeafStat {
    LeafStat { ephemeral_owner: owner, ..LeafStat::default() }
}

fn read_back(layout: &dyn Layout, instance: &Instance, leaf: &Leaf) -> Instance {
    let owner = i64::from(leaf.mode == LeafMode::Ephemeral);
    let found = Found { name: &leaf.name, data: &leaf.data, stat: stat(owner) };
    assert!(layout.is_same(instance, &found), "{}", layout.name());
    layout.read(&instance.service, &found).unwrap()
}

fn stays_below(layout: &dyn Layout, path: &str) {
    crate::path::validate(path).unwrap();
    assert!(path.strip_prefix(layout.root()).is_some_and(|rest| rest.starts_with('/')), "{path}");
}

#[test]
fn every_spelling_of_a_host_comes_back() {
    // Brackets in names and payloads, or none, as each layout's own writers have it.
    for (layout, _) in every_layout() {
        for host in ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "time-1.svc.cluster.local"] {
            let address = Address::new(host, 8080).unwrap();
            let instance = Instance::new("time", "time-1", address.clone());
            let leaf = layout.leaf(&instance).unwrap();
            stays_below(&*layout, &leaf.path());
            assert_eq!(read_back(&*layout, &instance, &leaf).address, address, "{}", layout.name());
            let told = format!("{} {}", leaf.name, String::from_utf8_lossy(&leaf.data));
            let bracketed = match layout.name() {
                "go-micro" | "plain" => told.contains(&format!("{address}")),
                "dubbo" => told.contains(&DubboUrl::decode(&leaf.name).unwrap().host),
                "dubbo-application" | "registrator" => told.contains(&format!("{host}:8080 ")),
                _ => told.contains(&format!("\"{host}\"")),
            };
            assert!(bracketed, "{} {told}", layout.name());
        }
    }
}

#[test]
fn hostile_names_stay_below_the_root_or_are_refused_by_name() {
    let long = "x".repeat(200_000);
    let names = [
        "..",
        ".",
        "",
        "a/b",
        "../..",
        "/etc",
        "a\nb",
        "\0",
        "\u{85}",
        "\u{202e}gnp.exe",
        "%2f",
        "%2e%2e",
        " ",
        "...",
        "a?b",
        "a&b;c=d",
        "\u{1f600}",
        "é",
        "_c_x",
        &long,
    ];
    for (layout, _) in every_layout() {
        for name in names {
            let mut instance = Instance::new(name, "id", "10.0.0.1:80".parse().unwrap());
            if let Ok(leaf) = layout.leaf(&instance) {
                stays_below(&*layout, &leaf.path());
                assert_eq!(read_back(&*layout, &instance, &leaf).service, name, "{}", layout.name());
            }
            (instance.service, instance.id) = ("time".to_owned(), name.to_owned());
            if let Ok(leaf) = layout.leaf(&instance) {
                stays_below(&*layout, &leaf.path());
                assert_eq!(leaf.path().matches('/').count(), leaf.dir.matches('/').count() + 1);
                let back = read_back(&*layout, &instance, &leaf);
                assert!(back.id == name || layout.name() == "plain", "{} {name:?}", layout.name());
            }
        }
        for refused in ["", "..", ".", long.as_str()] {
            assert!(layout.service_dir(refused).is_err(), "{} {:.9}", layout.name(), refused);
        }
    }
}

#[test]
fn bad_payloads_are_refused_by_name_and_never_kept() {
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let payloads: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        b"{\"port\":NaN}".to_vec(),
        br#"{"address":"h","port":"NaN","id":"i","IP":"h","PublicPort":"x","serviceEndpoint":{"host":"h","port":[]}}"#.to_vec(),
        br#"{"address":"0.0.0.0","port":80,"id":"i","IP":"*","PublicPort":1,"serviceEndpoint":{"host":"::","port":1}}"#.to_vec(),
        br#"{"address":"h","port":65536,"id":"i","IP":"h","PublicPort":-1,"serviceEndpoint":{"host":"h","port":0}}"#.to_vec(),
        nested,
        vec![b' '; PAYLOAD_LEN_BYTES],
        vec![b' '; PAYLOAD_LEN_BYTES + 1],
    ];
    for (layout, _) in every_layout() {
        // Those two say all in the name.
        if matches!(layout.name(), "dubbo" | "plain") {
            let huge = Bytes::from(vec![b'x'; PAYLOAD_LEN_BYTES + 1]);
            let name = if layout.name() == "plain" { "h:1" } else { "dubbo%3A%2F%2Fh%3A1%2Fs" };
            let found = Found { name, data: &huge, stat: stat(1) };
            assert!(matches!(layout.read("s", &found), Err(ReadError::TooLarge { .. })));
            continue;
        }
        for payload in &payloads {
            let data = Bytes::copy_from_slice(payload);
            let found = Found { name: "member_0000000001", data: &data, stat: stat(1) };
            let error = layout.read("s", &found).unwrap_err();
            assert!(!error.to_string().is_empty() && error.to_string().len() < 300);
            assert!(!layout.is_same(&Instance::new("s", "i", "h:1".parse().unwrap()), &found));
        }
        let parent = LeafStat { num_children: 1, ..stat(1) };
        let data = Bytes::from_static(b"{}");
        let found = Found { name: "member_0000000001", data: &data, stat: parent };
        assert_eq!(layout.read("s", &found), Err(ReadError::Directory));
    }
}

#[test]
fn payloads_and_names_beyond_their_bounds_are_refused_before_they_are_sent() {
    for (layout, _) in every_layout().into_iter().filter(|(layout, _)| layout.name() != "plain") {
        let mut instance = Instance::new("s", "i", "h:1".parse().unwrap());
        instance.metadata.insert("k", "v".repeat(PAYLOAD_LEN_BYTES));
        let error = layout.leaf(&instance).unwrap_err();
        assert!(matches!(error, LayoutError::TooLarge { .. } | LayoutError::NameTooLong { .. }), "{error}");
    }
}

#[test]
fn readers_are_waited_for_as_long_as_they_take() {
    let graces =
        every_layout().into_iter().map(|(layout, _)| (layout.name(), layout.drain_grace().as_secs()));
    let graces: std::collections::BTreeMap<_, _> = graces.collect();
    assert_eq!(
        (graces["spring-cloud"], graces["dubbo"], graces["serverset"], graces["plain"]),
        (40, 10, 20, 5)
    );
    assert!(graces.values().all(|seconds| *seconds >= 5));
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z<>/\"\\\\\u{2028}é]{0,6}",
        "[ -~]{0,8}",
        any::<String>(),
        "menagerie\\.(weight|tags|id|zone|rpc|status|version|shard|path|protocol)",
        Just("@class".to_owned()),
        Just("instance_status".to_owned()),
        Just("zone".to_owned()),
        Just("weight".to_owned()),
        Just("7".to_owned()),
        Just("draining".to_owned()),
        Just("shard".to_owned()),
    ]
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![Just("10.0.0.1:80"), Just("[2001:db8::1]:65535"), Just("h-1.example:1")]
        .prop_map(|text| text.parse().unwrap())
}

fn any_rpc() -> impl Strategy<Value = Vec<RpcEndpoint>> {
    let value = (any_text(), any_text()).prop_map(|(name, kind)| RpcValue { name, kind, values: Vec::new() });
    let endpoint = (any_text(), prop::option::of(value)).prop_map(|(name, request)| RpcEndpoint {
        name,
        request,
        ..RpcEndpoint::default()
    });
    prop::collection::vec(endpoint, 0..2)
}

fn any_instance() -> impl Strategy<Value = Instance> {
    let names = ("[a-zA-Z.$]{1,8}|[ -~]{1,8}", "[a-z0-9-]{1,12}|member_[0-9]{10}|[ -~]{1,9}", any_address());
    let maps = (
        prop::collection::btree_map(any_text(), any_text(), 0..4),
        prop::collection::vec(any_text(), 0..3),
        prop::collection::btree_map(prop_oneof![Just("ssl".to_owned()), any_text()], any_address(), 0..3),
        any_rpc(),
    );
    let status = prop_oneof![Just(Status::Up), Just(Status::Draining), Just(Status::OutOfService)];
    let rest = (
        any_text(),
        prop_oneof![Just(1), any::<u32>()],
        prop::option::of(any_text()),
        prop::option::of(any::<u64>()),
        (status, prop::option::of(any_text()), any::<bool>()),
    );
    (names, maps, rest).prop_map(|((service, id, address), (metadata, tags, endpoints, rpc), rest)| {
        let mut instance = Instance::new(service, id, address);
        (instance.metadata, instance.tags, instance.endpoints, instance.rpc) =
            (metadata.into(), tags, endpoints, rpc);
        (instance.version, instance.weight, instance.zone, instance.registered_at_ms, _) = rest.clone();
        let (status, reason, persistent) = rest.4;
        (instance.status, instance.status_reason) = (status, reason);
        if persistent {
            instance.lifetime = Lifetime::Persistent;
        }
        instance
    })
}

proptest! {
    // Each case is ten layouts'.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everything_comes_back_or_is_refused_by_name(instance in any_instance()) {
        for (layout, lost) in every_layout() {
            let leaf = match layout.leaf(&instance) {
                Ok(leaf) => leaf,
                Err(error) => {
                    prop_assert!(!error.to_string().is_empty());
                    continue;
                }
            };
            stays_below(&*layout, &leaf.path());
            let really = layout.lost(&instance).unwrap();
            prop_assert!(really.iter().all(|field| lost.contains(field)), "{} {:?} {:?}", layout.name(), really, instance);
            let back = read_back(&*layout, &instance, &leaf);
            prop_assert_eq!(&back.carried, &None, "{}", layout.name());
            // Bytes: twice the same.
            if layout.name() != "plain" {
                prop_assert_eq!(&layout.leaf(&back).unwrap().data, &leaf.data);
            }
            prop_assert_eq!(layout.leaf(&back).unwrap().path(), leaf.path(), "{}", layout.name());
        }
    }

    #[test]
    fn weights_come_back_but_for_dubbos_hundred(weight: u32) {
        let mut instance = Instance::new("s", "i", "h:1".parse().unwrap());
        instance.weight = weight;
        let leaf = DubboInterface::new().leaf(&instance).unwrap();
        prop_assert_eq!(read_back(&DubboInterface::new(), &instance, &leaf).weight, if weight == 1 { 100 } else { weight });
    }

    #[test]
    fn arbitrary_children_never_panic(name in "\\PC{0,12}|member_[0-9]{10}", data in prop::collection::vec(any::<u8>(), 0..96)) {
        let data = Bytes::from(data);
        let found = Found { name: &name, data: &data, stat: stat(1) };
        for (layout, _) in every_layout() {
            let _ = layout.read("s", &found);
        }
        let _ = Kind::of(&found);
    }
}
