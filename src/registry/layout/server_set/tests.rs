//! Fixtures: members as Finagle's `ServerSetImpl` writes them by its Gson codec (finagle `4feb34cb`). What Twitter's own library for
//! Python writes is in `recorded`.

use bytes::Bytes;

use super::*;
use crate::registry::layout::LeafStat;

/// All fields of `ServiceInstance`, by the sources and the documentation of Finagle's server sets.
const FULL: &str = r#"{"serviceEndpoint":{"host":"h","port":1},"additionalEndpoints":{"http":{"host":"h","port":2}},"status":"ALIVE","shard":0,"metadata":{"k":"v"}}"#;

const BARE: &str =
    r#"{"serviceEndpoint":{"host":"10.0.0.1","port":8080},"additionalEndpoints":{},"status":"ALIVE"}"#;

fn layout() -> ServerSet {
    ServerSet::at("/discovery").unwrap()
}

fn read_named(name: &str, text: &str) -> Result<Instance, ReadError> {
    let data = Bytes::copy_from_slice(text.as_bytes());
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    layout().read("svc", &Found { name, data: &data, stat })
}

fn read(text: &str) -> Instance {
    read_named("member_0000000042", text).unwrap()
}

fn written(instance: &Instance) -> String {
    String::from_utf8(layout().leaf(instance).unwrap().data.to_vec()).unwrap()
}

#[test]
fn members_are_read_and_written_to_the_byte_from_the_model_alone() {
    for text in [FULL, BARE] {
        let instance = read(text);
        assert_eq!((written(&instance), instance.carried.as_ref()), (text.to_owned(), None));
        assert_eq!(layout().leaf(&instance).unwrap().path(), "/discovery/svc/member_0000000042");
    }
    let instance = read(FULL);
    assert_eq!(
        (instance.endpoints["http"].port(), instance.metadata.get("menagerie.shard").unwrap()),
        (2, "0")
    );
}

#[test]
fn only_alive_is_up_and_every_word_is_kept() {
    for (word, status) in [
        ("ALIVE", Status::Up),
        ("STOPPING", Status::Draining),
        ("STOPPED", Status::OutOfService),
        ("DEAD", Status::OutOfService),
        ("STARTING", Status::OutOfService),
        ("WARNING", Status::OutOfService),
        ("UNKNOWN", Status::OutOfService),
    ] {
        let text = BARE.replace("ALIVE", word);
        assert_eq!((read(&text).status, written(&read(&text))), (status, text));
    }
    // Readers read a member once: it has to go.
    let mut instance = read(BARE);
    instance.status = Status::Draining;
    assert!(!layout().keeps_leaf(&instance));
}

#[test]
fn ours_has_a_name_that_no_server_draws_and_the_id_beside() {
    let instance = Instance::new("svc", "svc-1", "[::1]:80".parse().unwrap());
    let leaf = layout().leaf(&instance).unwrap();
    let digits = leaf.name.strip_prefix("member_").unwrap();
    assert!(digits.len() == 10 && !sequence::is_drawn(digits) && is_member(&leaf.name), "{digits}");
    let expected = r#"{"serviceEndpoint":{"host":"::1","port":80},"additionalEndpoints":{},"status":"ALIVE","metadata":{"menagerie.id":"svc-1"}}"#;
    assert_eq!(written(&instance), expected);
    assert_eq!(read_named(&leaf.name, expected).unwrap().id, "svc-1");
    // Somebody else's copy under another number is an instance of its own.
    let copy = read_named("member_0000000001", expected).unwrap();
    assert_eq!((&*copy.id, written(&copy)), ("member_0000000001", expected.to_owned()));
}

#[test]
fn what_is_no_member_is_none() {
    for name in ["vector_0000000001", "member_", "member_x", "member", "member_-", "xmember_1"] {
        assert!(matches!(read_named(name, BARE), Err(ReadError::Name { .. })), "{name}");
    }
    assert!(read_named("member_-2147483648", BARE).is_ok());
}

#[test]
fn gsons_escapes_are_written() {
    let mut instance = read(BARE);
    instance.metadata.insert("k", "a=b'<");
    assert!(written(&instance).ends_with(r#""metadata":{"k":"a\u003db\u0027\u003c"}}"#));
}
