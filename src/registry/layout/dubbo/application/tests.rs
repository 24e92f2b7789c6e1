//! Fixtures: instances as dubbo-go 3.3 writes them, recorded of a program with its structs (dubbo-go `08a4387b`). What Curator writes
//! for Java is in `recorded` too.

use bytes::Bytes;

use super::*;
use crate::registry::layout::LeafStat;

/// dubbo-go's members (`service_discovery.go`), as Go writes them: no `sslPort`, `serviceType`, `uriSpec`, and no time.
fn recorded() -> &'static str {
    include_str!("../../recorded/dubbo-go-application.txt").lines().last().unwrap()
}

fn read(text: &str) -> Instance {
    let data = Bytes::copy_from_slice(text.as_bytes());
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    DubboApplication::new().read("app", &Found { name: "10.0.0.5:20880", data: &data, stat }).unwrap()
}

#[test]
fn what_go_writes_is_read_and_written_back_to_the_byte() {
    let instance = read(recorded());
    assert_eq!(
        (&*instance.id, instance.metadata.get("dubbo.metadata.revision").unwrap()),
        ("10.0.0.5:20880", "8f2")
    );
    let leaf = DubboApplication::new().leaf(&instance).unwrap();
    assert_eq!(
        (leaf.path().as_str(), &leaf.data[..]),
        ("/services/app/10.0.0.5:20880", recorded().as_bytes())
    );
}

#[test]
fn ours_says_what_consumers_look_for() {
    let instance = Instance::new("app", "app-1", "[2001:db8::1]:20880".parse().unwrap());
    let leaf = DubboApplication::new().leaf(&instance).unwrap();
    assert_eq!(leaf.path(), "/services/app/2001:db8::1:20880");
    let payload = r#""payload":{"@class":"org.apache.dubbo.registry.zookeeper.ZookeeperInstance","id":"2001:db8::1:20880","name":"app","metadata":{"dubbo.endpoints":"[{\"port\":20880,\"protocol\":\"dubbo\"}]","dubbo.metadata.revision":"0","dubbo.metadata.storage-type":"remote","menagerie.id":"app-1"}}"#;
    let text = String::from_utf8(leaf.data.to_vec()).unwrap();
    assert!(text.contains(payload), "{text}");
}

#[test]
fn a_revision_describes_the_interfaces_and_each_lists_the_application() {
    let layout = DubboApplication::at("/s", "/d").unwrap().serves("org.x.Demo", "g", "1.0").serves(
        "org.x.Bare",
        "",
        "",
    );
    let instance = Instance::new("app", "app-1", "h:20880".parse().unwrap());
    let further = layout.further(&instance).unwrap();
    let [Further::Shared(leaf), Further::Listed { leaf: list, entry }, Further::Listed { .. }] = &further[..]
    else {
        panic!("{further:?}")
    };
    assert_eq!(
        (list.path().as_str(), entry.as_str(), leaf.dir.as_str()),
        ("/d/mapping/org.x.Demo", "app", "/d/metadata/app")
    );
    let text = String::from_utf8(leaf.data.to_vec()).unwrap();
    let expected = r#""services":{"g/org.x.Demo:1.0:dubbo":{"name":"org.x.Demo","group":"g","version":"1.0","protocol":"dubbo","port":20880,"path":"org.x.Demo","params":{}},"org.x.Bare:dubbo":{"#;
    assert!(text.starts_with("{\"app\":\"app\",\"revision\":\"") && text.contains(expected), "{text}");
    let told = String::from_utf8(layout.leaf(&instance).unwrap().data.to_vec()).unwrap();
    assert!(told.contains(&format!("\"dubbo.metadata.revision\":\"{}\"", leaf.name)));
    assert_eq!(DubboApplication::new().further(&instance), Ok(Vec::new()));
    let other = Instance::new("app", "app-1", "h:20881".parse().unwrap());
    assert_ne!(layout.revision(&other), leaf.name);
}

#[test]
fn lists_are_added_to_once() {
    for (list, now) in [("", Some("app")), ("app", None), ("a,app,b", None), ("apps", Some("apps,app"))] {
        assert_eq!(
            Further::listed(list.as_bytes(), "app"),
            now.map(|now| Bytes::copy_from_slice(now.as_bytes()))
        );
    }
}
