//! Fixtures: bytes that Curator 5.4.0 wrote to a real server, and its documented serializer modes.

use bytes::Bytes;

use super::*;
use crate::registry::layout::{LeafMode, LeafStat};
use crate::registry::model::Lifetime;

/// Written by Curator 5.4.0's `ServiceDiscovery` to ZooKeeper 3.8.0.
const LIVE: &str = r#"{"name":"svc","id":"id-1","address":"10.0.0.5","port":8080,"sslPort":null,"payload":null,"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},{"value":"address","variable":true},{"value":":","variable":false},{"value":"port","variable":true}]}}"#;

fn curator() -> Curator {
    Curator::at("/discovery").unwrap()
}

fn read_named(layout: &Curator, name: &str, text: &str) -> Result<Instance, ReadError> {
    let data = Bytes::copy_from_slice(text.as_bytes());
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    layout.read("svc", &Found { name, data: &data, stat })
}

fn read(text: &str) -> Instance {
    read_named(&curator(), "id-1", text).unwrap()
}

fn written(layout: &Curator, instance: &Instance) -> String {
    String::from_utf8(layout.leaf(instance).unwrap().data.to_vec()).unwrap()
}

#[test]
fn the_recorded_payload_is_read_and_written_to_the_byte_from_the_model_alone() {
    let instance = read(LIVE);
    assert_eq!(instance.carried, None);
    assert_eq!((&*instance.id, instance.address.to_string()), ("id-1", "10.0.0.5:8080".to_owned()));
    assert_eq!((instance.registered_at_ms, instance.status), (Some(1_700_000_000_000), Status::Up));
    let leaf = curator().leaf(&instance).unwrap();
    assert_eq!((leaf.path().as_str(), &leaf.data[..]), ("/discovery/svc/id-1", LIVE.as_bytes()));
    assert_eq!((leaf.mode, leaf.parents), (LeafMode::Ephemeral, ParentMode::Container));
}

#[test]
fn disabled_is_out_of_service_and_absent_is_enabled() {
    // JsonInstanceSerializer out of its compatible mode appends `enabled` (CURATOR-275).
    let enabled = LIVE.replace("]}}", "]},\"enabled\":true}");
    assert_eq!((read(&enabled).status, written(&curator(), &read(&enabled))), (Status::Up, enabled.clone()));
    let disabled = enabled.replace("\"enabled\":true", "\"enabled\":false");
    let mut instance = read(&disabled);
    assert_eq!(instance.status, Status::OutOfService);
    instance.status = Status::Up;
    assert_eq!(written(&curator(), &instance), LIVE);
    instance.status = Status::Draining;
    let draining = written(&curator(), &instance);
    assert!(
        draining.contains(r#""payload":{"@class":"java.util.LinkedHashMap","menagerie.status":"draining"}"#),
        "{draining}"
    );
    assert!(draining.ends_with(",\"enabled\":false}"));
}

#[test]
fn every_payload_jackson_writes_is_kept() {
    for payload in [
        r#""text""#,
        "7",
        r#"["java.lang.Long",7]"#,
        r#"["java.util.ArrayList",["a","b"]]"#,
        r#"{"@class":"java.util.LinkedHashMap","k":"v"}"#,
        r#"{"@class":"fq.Name","n":1.50,"s":"v","o":{"x":[]}}"#,
    ] {
        let text =
            LIVE.replace("\"payload\":null", &format!("\"payload\":{payload}")).replace("8080", "8080 ");
        let mut instance = read(&text);
        assert_eq!(written(&curator(), &instance), text);
        instance.address = "[2001:db8::1]:81".parse().unwrap();
        let moved = written(&curator(), &instance);
        assert!(moved.contains(payload) && moved.contains("\"2001:db8::1\",\"port\":81,"), "{moved}");
    }
    let text = LIVE.replace("\"payload\":null", r#""payload":{"@class":"fq.Name","n":1,"s":"v"}"#);
    let mut instance = read(&text);
    assert_eq!(instance.metadata.get("s").unwrap(), "v");
    instance.metadata.insert("t", "w");
    let expected = text.replace("\"s\":\"v\"", "\"s\":\"v\",\"t\":\"w\"");
    assert_eq!(written(&curator(), &instance), expected);
}

#[test]
fn only_an_ssl_port_is_an_address_too() {
    let text = LIVE.replace("\"port\":8080,\"sslPort\":null", "\"port\":null,\"sslPort\":8443");
    let instance = read(&text);
    assert_eq!((instance.address.port(), instance.endpoints["ssl"].port()), (8443, 8443));
    assert_eq!(written(&curator(), &instance), text);
    let both = LIVE.replace("\"sslPort\":null", "\"sslPort\":8443");
    let instance = read(&both);
    assert_eq!((instance.address.port(), instance.endpoints["ssl"].port()), (8080, 8443));
    assert_eq!((written(&curator(), &instance), instance.carried), (both, None));
}

#[test]
fn what_dubbo_go_leaves_out_is_not_missed() {
    let text = r#"{"name":"svc","id":"id-1","address":"10.0.0.5","port":1,"payload":null}"#;
    let instance = read(text);
    assert_eq!((instance.registered_at_ms, written(&curator(), &instance)), (None, text.to_owned()));
}

#[test]
fn sequential_leaves_have_one_name_each_and_others_are_instances_of_their_own() {
    let layout = curator().sequential();
    let instance = Instance::new("svc", "id-1", "h:1".parse().unwrap());
    let leaf = layout.leaf(&instance).unwrap();
    let digits = leaf.name.strip_prefix("id-1").unwrap();
    assert!(digits.len() == 10 && digits.parse::<i32>().is_err(), "{digits}");
    assert!(written(&layout, &instance).contains(r#""id":"id-1""#));
    assert!(written(&layout, &instance).contains(r#""serviceType":"DYNAMIC_SEQUENTIAL""#));
    // One that is not sequential at all keeps its id. Found by the fuzz target.
    assert_eq!(read_named(&layout, "id-1000000p007", LIVE).unwrap().id, "id-1");
    let drawn = LIVE.replace("DYNAMIC", "DYNAMIC_SEQUENTIAL");
    for name in ["id-10000000003", "id-10000000004", "id-1-2147483648"] {
        let other = read_named(&layout, name, &drawn).unwrap();
        assert_eq!((&*other.id, layout.leaf(&other).unwrap().name), (name, name.to_owned()));
        assert_eq!(written(&layout, &other), drawn);
    }
}

#[test]
fn persistent_instances_are_static_or_permanent() {
    let mut instance = read(LIVE);
    instance.lifetime = Lifetime::Persistent;
    assert!(written(&curator(), &instance).contains("\"STATIC\""));
    assert!(written(&curator().permanent(), &instance).contains("\"PERMANENT\""));
    assert_eq!(curator().leaf(&instance).unwrap().mode, LeafMode::Persistent);
}

#[test]
fn what_java_would_refuse_is_refused_here() {
    let mut instance = read(LIVE);
    for millis in [0, u64::MAX] {
        instance.registered_at_ms = Some(millis);
        assert!(matches!(curator().leaf(&instance), Err(LayoutError::NotExpressible { .. })));
    }
    instance.registered_at_ms = None;
    instance.metadata.insert("@class", "x");
    assert_eq!(curator().leaf(&instance), Err(LayoutError::Reserved { key: "@class".into() }));
    assert!(matches!(curator().service_dir("a/b"), Err(LayoutError::BadName { .. })));
}
