//! Leaves of every layout, as their own programs write them, told apart.

use bytes::Bytes;

use super::super::{LeafStat, Recognising};
use super::*;

/// Names and payloads, shortened where nothing is looked at.
const SEEN: [(&str, &str, Option<Kind>); 18] = [
    ("a-1", r#"{"name":"a","nodes":[{"id":"a/1","address":"h:1"}]}"#, Some(Kind::GoMicro)),
    (
        "id-1",
        r#"{"name":"s","id":"i","address":"h","port":1,"sslPort":null,"payload":null}"#,
        Some(Kind::Curator),
    ),
    ("id-1", r#"{"payload":{"@class":"java.util.LinkedHashMap"}}"#, Some(Kind::Curator)),
    (
        "id-1",
        r#"{"payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance"}}"#,
        Some(Kind::SpringCloud),
    ),
    (
        "h:1",
        r#"{"payload":{"@class":"org.apache.dubbo.registry.zookeeper.ZookeeperInstance"}}"#,
        Some(Kind::DubboApplication),
    ),
    ("tri%3A%2F%2Fh%3A1%2Fs%3Fa%3D1", "10.0.0.1", Some(Kind::DubboInterface)),
    ("10.1.1.1:1", r#"{"Name":"db","IP":"10.1.1.1","PublicPort":1}"#, Some(Kind::Registrator)),
    ("member_0000000001", "", Some(Kind::ServerSet)),
    ("x", r#"{"serviceEndpoint":{"host":"h","port":1}}"#, Some(Kind::ServerSet)),
    ("127.0.0.1:8001", "", Some(Kind::Plain)),
    ("id", r#"{"id":"1","name":"k","endpoints":["grpc://127.0.0.1:9000"]}"#, Some(Kind::Kratos)),
    ("10.0.0.1:1", r#"{"Weight":10,"Tags":{}}"#, Some(Kind::Kitex)),
    ("_c_0123456789abcdef0123456789abcdef-0000000001", "h:1", Some(Kind::GoKit)),
    ("base64_4_e30=_0000000001", "", Some(Kind::Nerve)),
    ("i-1_0000000001", r#"{"host":"h","port":1,"name":"x"}"#, Some(Kind::Nerve)),
    ("lock", "", None),
    ("x", "{\"nodes\":", None),
    ("x", "[1]", None),
];

fn data(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn every_layout_is_told_from_the_others() {
    for (name, text, kind) in SEEN {
        let data = data(text);
        let found = Found { name, data: &data, stat: LeafStat::default() };
        assert_eq!(Kind::of(&found), kind, "{name} {text}");
    }
    let huge = Bytes::from(vec![b'['; 2 << 20]);
    assert_eq!(Kind::of(&Found { name: "x", data: &huge, stat: LeafStat::default() }), None);
}

#[test]
fn who_would_be_harmed_is_named() {
    let datas: Vec<Bytes> = SEEN.iter().map(|(_, text, _)| data(text)).collect();
    let children = || {
        let found = SEEN.iter().zip(&datas);
        found.map(|((name, _, _), data)| Found { name, data, stat: LeafStat::default() })
    };
    let spring = clashes(&SpringCloud::new(), children());
    let of = |kind| spring.iter().find(|clash| clash.theirs == kind).unwrap();
    let dubbo = of(Kind::DubboApplication);
    assert_eq!((dubbo.leaves, dubbo.example.as_str()), (1, "h:1"));
    assert_eq!(dubbo.their_readers, Some("Dubbo throws for all instances of the application"));
    assert_eq!(dubbo.our_readers, Some("Spring Cloud throws for all instances of the service"));
    assert!(dubbo.to_string().contains("Dubbo throws") && dubbo.to_string().contains("\"h:1\""));
    assert!(spring.iter().all(|clash| clash.theirs != Kind::SpringCloud));
    // Server sets pass over what is no member, and Dubbo over what is no URL.
    let set =
        clashes(&ServerSet::at("/s").unwrap(), children().filter(|found| found.name.contains("tri%3A")));
    assert_eq!(set, []);
    let micro = clashes(&GoMicro::new(), children().filter(|found| found.name == "127.0.0.1:8001"));
    assert_eq!(micro[0].our_readers, Some("go-micro's GetService fails for all instances"));
}

#[test]
fn every_kind_that_is_read_has_its_layouts_name() {
    for (name, text, kind) in SEEN {
        let Some(kind) = kind else { continue };
        assert_eq!(Kind::named(kind.name()), Some(kind), "{name} {text}");
    }
    assert_eq!(Kind::named("x"), None);
}

#[test]
fn one_reader_reads_them_side_by_side() {
    let layout = Recognising::around(SpringCloud::new());
    for (name, text, id) in [
        ("a-1", r#"{"name":"svc","nodes":[{"id":"a/1","address":"h:1"}]}"#, "a/1"),
        ("h:1", r#"{"id":"h:1","address":"h","port":1,"payload":{"@class":"org.apache.dubbo.x"}}"#, "h:1"),
        ("h:2", r#"{"Name":"svc","IP":"h","PublicPort":2}"#, "h:2"),
        ("member_0000000001", r#"{"serviceEndpoint":{"host":"h","port":1}}"#, "member_0000000001"),
        ("h:3", "", "h:3"),
        ("dubbo%3A%2F%2Fh%3A4%2Fsvc", "", "h:4"),
        (
            "i",
            r#"{"id":"i","address":"h","port":1,"payload":{"@class":"org.springframework.cloud.zookeeper.x"}}"#,
            "i",
        ),
        ("j", r#"{"id":"j","address":"h","port":1,"sslPort":null}"#, "j"),
    ] {
        let data = data(text);
        let found = Found { name, data: &data, stat: LeafStat::default() };
        assert_eq!(layout.read("svc", &found).unwrap().id, id, "{text}");
    }
    let data = Bytes::new();
    let lock = Found { name: "lock", data: &data, stat: LeafStat::default() };
    assert_eq!(layout.read("svc", &lock), Err(ReadError::Empty));
    assert_eq!(layout.service_dir("svc").unwrap(), "/services/svc");
}

#[test]
fn what_is_written_is_read_as_ours_or_refused() {
    let layout = Recognising::around(Curator::at("/services").unwrap());
    let written = |id: &str| {
        let instance = Instance::new("time", id, "10.0.0.1:80".parse().unwrap());
        layout.leaf(&instance).map(|leaf| {
            let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
            let back = layout.read("time", &Found { name: &leaf.name, data: &leaf.data, stat }).unwrap();
            (back.id, back.address.to_string())
        })
    };
    let same = |id: &str| Ok((id.to_owned(), "10.0.0.1:80".to_owned()));
    // Looks like a URL without a port, which none of Dubbo's providers has.
    for id in ["time-1", "a%3A%2F%2F0.0.0.0%2Fx", "member_0000000001", "base64_x"] {
        assert_eq!(written(id), same(id), "{id}");
    }
    let refused = written("dubbo%3A%2F%2Fh%3A1%2Ftime").unwrap_err();
    assert!(matches!(refused, LayoutError::NotExpressible { what: "id", .. }), "{refused}");
}
