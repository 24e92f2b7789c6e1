//! Fixtures: what Registrator v7 wrote to a real server.

use bytes::Bytes;

use super::*;
use crate::registry::layout::LeafStat;

/// Written by Registrator v7.4 (`6bfadbc6`) to ZooKeeper 3.8.0.
const LIVE: &str = r#"{"Name":"db","IP":"10.1.1.1","PublicPort":10000,"PrivatePort":6379,"ContainerID":"bbbbbbbbbbbb","Tags":[],"Attrs":{}}"#;

/// The same with the tags and attributes that it was seen to write.
const TAGGED: &str = r#"{"Name":"db","IP":"10.1.1.1","PublicPort":10000,"PrivatePort":6379,"ContainerID":"bbbbbbbbbbbb","Tags":["blue","www"],"Attrs":{"region":"us2"}}"#;

fn registrator() -> Registrator {
    Registrator::at("/services").unwrap()
}

fn read(text: &str) -> Instance {
    let data = Bytes::copy_from_slice(text.as_bytes());
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    registrator().read("db", &Found { name: "10.1.1.1:10000", data: &data, stat }).unwrap()
}

#[test]
fn the_recorded_payloads_are_read_and_written_back_to_the_byte() {
    for text in [LIVE, TAGGED] {
        let instance = read(text);
        assert_eq!(
            (&*instance.id, instance.address.to_string()),
            ("10.1.1.1:10000", "10.1.1.1:10000".to_owned())
        );
        let leaf = registrator().leaf(&instance).unwrap();
        assert_eq!((leaf.path().as_str(), &leaf.data[..]), ("/services/db/10.1.1.1:10000", text.as_bytes()));
    }
    let instance = read(TAGGED);
    assert_eq!(
        (instance.tags.join(","), instance.metadata.get("region").unwrap()),
        ("blue,www".to_owned(), "us2")
    );
}

#[test]
fn a_change_keeps_the_rest() {
    let mut instance = read(TAGGED);
    instance.tags.pop();
    instance.weight = 3;
    let expected = TAGGED.replace(",\"www\"", "").replace("\"us2\"}", "\"us2\",\"menagerie.weight\":\"3\"}");
    assert_eq!(registrator().leaf(&instance).unwrap().data, expected);
}

#[test]
fn ours_says_the_same_and_its_id() {
    let instance = Instance::new("db", "db-1", "[2001:db8::1]:80".parse().unwrap());
    let leaf = registrator().leaf(&instance).unwrap();
    let expected = r#"{"Name":"db","IP":"2001:db8::1","PublicPort":80,"PrivatePort":80,"ContainerID":"db-1","Tags":[],"Attrs":{"menagerie.id":"db-1"}}"#;
    assert_eq!((leaf.path().as_str(), &leaf.data[..]), ("/services/db/2001:db8::1:80", expected.as_bytes()));
}

#[test]
fn the_address_is_the_identity() {
    let data = Bytes::from_static(LIVE.as_bytes());
    let found = Found { name: "10.1.1.1:10000", data: &data, stat: LeafStat::default() };
    let same =
        |address: &str| registrator().is_same(&Instance::new("db", "x", address.parse().unwrap()), &found);
    assert!(same("10.1.1.1:10000") && !same("10.1.1.1:10001"));
}
