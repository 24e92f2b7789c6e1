//! Fixtures: URLs by Dubbo's own rules (`URL.java` and `URLEncoder`; dubbo `324c6255`, dubbo-go `08a4387b`). What Java's and Go's own
//! encoders write is in `recorded`.

use bytes::Bytes;

use super::*;
use crate::registry::layout::LeafStat;

/// A provider's URL with Dubbo's usual parameters, encoded by Java's rules.
const JAVA: &str = "dubbo%3A%2F%2F10.0.0.5%3A20880%2Forg.x.Demo%3Fanyhost%3Dtrue%26application%3Dapp%26deprecated%3Dfalse%26dubbo%3D2.0.2%26dynamic%3Dtrue%26generic%3Dfalse%26interface%3Dorg.x.Demo%26methods%3DsayHello%2CsayBye%26pid%3D7%26release%3D3.2.0%26side%3Dprovider%26timestamp%3D1700000000000%26version%3D1.0*%7E";

fn read_with(layout: &DubboInterface, name: &str) -> Result<Instance, ReadError> {
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    layout.read("org.x.Demo", &Found { name, data: &Bytes::from_static(b"10.0.0.5"), stat })
}

fn read(name: &str) -> Instance {
    read_with(&DubboInterface::new(), name).unwrap()
}

#[test]
fn a_providers_url_is_read_and_written_to_the_byte() {
    let instance = read(JAVA);
    assert_eq!(
        (&*instance.id, instance.address.to_string()),
        ("10.0.0.5:20880", "10.0.0.5:20880".to_owned())
    );
    assert_eq!(
        (&*instance.version, instance.registered_at_ms, instance.weight),
        ("1.0*~", Some(1_700_000_000_000), 100)
    );
    assert_eq!(instance.metadata.get("methods").unwrap(), "sayHello,sayBye");
    let leaf = DubboInterface::new().leaf(&instance).unwrap();
    assert_eq!(
        (&*leaf.dir, &*leaf.name, &leaf.data[..]),
        ("/dubbo/org.x.Demo/providers", JAVA, &b"10.0.0.5"[..])
    );
    assert_eq!((instance.carried, leaf.parents), (None, ParentMode::Persistent));
}

#[test]
fn gos_names_are_read_kept_and_written_on_demand() {
    let go = JAVA.replace('*', "%2A").replace("%7E", "~");
    let instance = read(&go);
    assert_eq!(&*instance.version, "1.0*~");
    assert_eq!(DubboInterface::new().leaf(&instance).unwrap().name, go);
    let mut bare = read(JAVA);
    bare.carried = None;
    assert_eq!(DubboInterface::new().encoder(Encoder::Go).leaf(&bare).unwrap().name, go);
}

#[test]
fn a_change_keeps_the_rest_of_the_url() {
    let name = JAVA.replace("dubbo%3A%2F%2F", "tri%3A%2F%2Fu%3Ap%40").replace("pid%3D7", "flag%26pid%3D7");
    let mut instance = read(&name);
    assert_eq!(instance.metadata.get("menagerie.protocol").unwrap(), "tri");
    assert_eq!(DubboInterface::new().leaf(&instance).unwrap().name, name);
    instance.weight = 50;
    let leaf = DubboInterface::new().leaf(&instance).unwrap();
    let url = DubboUrl::decode(&leaf.name).unwrap();
    assert_eq!((url.user.as_deref(), &*url.protocol, &*url.parameters["weight"]), (Some("u:p"), "tri", "50"));
    assert_eq!(url.parameters.len(), DubboUrl::decode(&name).unwrap().parameters.len() + 1);
}

/// Found by the fuzz target: the weight went over a parameter that was none.
#[test]
fn a_change_over_a_parameter_that_is_none_is_refused() {
    let name = JAVA.replace("pid%3D7", "weight%3Dheavy");
    let mut instance = read(&name);
    assert_eq!((instance.weight, instance.metadata.get("weight").unwrap()), (100, "heavy"));
    instance.weight = 50;
    assert_eq!(DubboInterface::new().leaf(&instance), Err(LayoutError::Reserved { key: "weight".into() }));
}

#[test]
fn ipv6_is_bracketed_and_read_bare() {
    let instance = Instance::new("org.x.Demo", "i", "[2001:db8::1]:20880".parse().unwrap());
    let leaf = DubboInterface::new().leaf(&instance).unwrap();
    assert!(
        leaf.name.starts_with("dubbo%3A%2F%2F%5B2001%3Adb8%3A%3A1%5D%3A20880%2Forg.x.Demo%3F"),
        "{}",
        leaf.name
    );
    let bare = leaf.name.replace("%5B", "").replace("%5D", "");
    assert_eq!(read(&bare).address, instance.address);
}

#[test]
fn every_category_has_its_directory_and_consumers_their_leaves() {
    let layout = DubboInterface::at("/group").unwrap();
    for category in Category::ALL {
        let dir = layout.category_dir("org.x.Demo$Inner", category).unwrap();
        assert_eq!(dir, format!("/group/org.x.Demo%24Inner/{}", category.dir()));
    }
    let leaf =
        layout.consumer("org.x.Demo", "10.0.0.9", [("application".into(), "a".into())].into()).unwrap();
    let expected = "consumer%3A%2F%2F10.0.0.9%2Forg.x.Demo%3Fapplication%3Da%26category%3Dconsumers%26check%3Dfalse%26interface%3Dorg.x.Demo%26side%3Dconsumer";
    assert_eq!(leaf.path(), format!("/group/org.x.Demo/consumers/{expected}"));
    let url = DubboUrl::decode(&leaf.name).unwrap();
    assert_eq!((&*url.protocol, &*url.host, url.port), ("consumer", "10.0.0.9", None));
    assert_eq!(
        read_with(&layout, &leaf.name),
        Err(ReadError::Name { why: "its protocol is none of a provider" })
    );
}

#[test]
fn a_provider_that_consumes_has_a_leaf_beside_its_own() {
    let layout = DubboInterface::new().consumes("org.x.Other").consumes("org.x.Other");
    let instance = Instance::new("org.x.Demo", "i", "[2001:db8::1]:1".parse().unwrap());
    let further = layout.further(&instance).unwrap();
    let [Further::Leaf(leaf)] = &further[..] else { panic!("{further:?}") };
    assert_eq!((leaf.dir.as_str(), leaf.mode), ("/dubbo/org.x.Other/consumers", LeafMode::Ephemeral));
    let url = DubboUrl::decode(&leaf.name).unwrap();
    assert_eq!((&*url.host, &*url.parameters["menagerie.id"]), ("2001:db8::1", "i"));
}

#[test]
fn another_interface_is_another_service() {
    let other = JAVA.replace("org.x.Demo%26", "org.x.Other%26");
    let error = ReadError::OtherService { service: "org.x.Other".into() };
    assert_eq!(read_with(&DubboInterface::new(), &other), Err(error));
    let data = Bytes::new();
    let found = Found { name: &other, data: &data, stat: LeafStat::default() };
    assert_eq!(DubboInterface::new().service_of(&found), Ok(Some("org.x.Other".to_owned())));
}

#[test]
fn what_separates_parameters_is_refused() {
    let mut instance = Instance::new("org.x.Demo", "i", "h:1".parse().unwrap());
    for (key, value) in [("k", "a&b"), ("k", "a;b"), ("a=b", "v"), ("", "v")] {
        instance.metadata = [(key.to_owned(), value.to_owned())].into();
        let error = DubboInterface::new().leaf(&instance).unwrap_err();
        assert!(matches!(error, LayoutError::NotExpressible { .. }), "{key}={value} {error}");
    }
    for key in ["interface", "timestamp", "dubbo.tag", "weight", "version"] {
        instance.metadata = [(key.to_owned(), "7".to_owned())].into();
        assert_eq!(DubboInterface::new().leaf(&instance), Err(LayoutError::Reserved { key: key.into() }));
    }
    instance.metadata.clear();
    instance.service = "a?b".into();
    assert!(matches!(DubboInterface::new().leaf(&instance), Err(LayoutError::NotExpressible { .. })));
}

#[test]
fn directories_beside_the_interfaces_are_none() {
    let layout = DubboInterface::new();
    assert_eq!(layout.service_at("org.x.Demo%24Inner").as_deref(), Some("org.x.Demo$Inner"));
    for dir in ["metadata", "mapping", "config", "%zz"] {
        assert_eq!(layout.service_at(dir), None, "{dir}");
    }
}

#[test]
fn what_is_no_provider_is_none_also_among_providers() {
    let data = Bytes::new();
    for protocol in ["override", "absent", "empty", "consumer", "route", "condition", "script"] {
        let name = format!("{protocol}%3A%2F%2F10.0.0.5%3A20880%2Forg.x.Demo%3Fdisabled%3Dtrue");
        let found = Found { name: &name, data: &data, stat: LeafStat::default() };
        let refused = DubboInterface::new().read("org.x.Demo", &found);
        assert_eq!(refused, Err(ReadError::Name { why: "its protocol is none of a provider" }), "{protocol}");
        let instance = Instance::new("org.x.Demo", "i", "10.0.0.5:20880".parse().unwrap());
        let written = DubboInterface::new().protocol(protocol).leaf(&instance);
        assert!(matches!(written, Err(LayoutError::NotExpressible { what: "protocol", .. })), "{protocol}");
    }
}
