//! Fixtures: the payload of a real Spring application, from issue 226 of spring-cloud-zookeeper, in Curator's JSON. What Curator
//! itself writes with a class of Spring's name is in `recorded`.

use bytes::Bytes;

use super::*;
use crate::registry::layout::LeafStat;

/// Payload and `uriSpec` as in spring-cloud-zookeeper#226; the members around them as Curator 5.4.0 writes them.
const UP_APP: &str = r#"{"name":"svc","id":"app-1","address":"10.0.0.5","port":8080,"sslPort":null,"payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","id":"app-1","name":"svc","metadata":{"instance_status":"UP"}},"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},{"value":"address","variable":true},{"value":":","variable":false},{"value":"port","variable":true}]}}"#;

fn read(text: &str) -> Instance {
    let data = Bytes::copy_from_slice(text.as_bytes());
    let stat = LeafStat { ephemeral_owner: 1, ..LeafStat::default() };
    SpringCloud::new().read("svc", &Found { name: "app-1", data: &data, stat }).unwrap()
}

fn written(instance: &Instance) -> String {
    String::from_utf8(SpringCloud::new().leaf(instance).unwrap().data.to_vec()).unwrap()
}

#[test]
fn the_real_payload_is_read_and_written_to_the_byte_from_the_model_alone() {
    let instance = read(UP_APP);
    assert_eq!((instance.carried.as_ref(), instance.status), (None, Status::Up));
    assert!(instance.metadata.is_empty());
    assert_eq!(
        (written(&instance), SpringCloud::new().leaf(&instance).unwrap().path()),
        (UP_APP.into(), "/services/svc/app-1".into())
    );
}

#[test]
fn the_status_is_a_word_in_the_metadata() {
    for (word, status) in [
        ("UP", Status::Up),
        (" ", Status::Up),
        ("OUT_OF_SERVICE", Status::OutOfService),
        ("DOWN", Status::OutOfService),
    ] {
        let text = UP_APP.replace("\"UP\"", &format!("\"{word}\""));
        assert_eq!((read(&text).status, written(&read(&text))), (status, text));
    }
    let mut instance = read(UP_APP);
    instance.status = Status::OutOfService;
    assert_eq!(written(&instance), UP_APP.replace("\"UP\"", "\"OUT_OF_SERVICE\""));
    // Its readers know two words, and an instance that drains wants nothing new.
    instance.status = Status::Draining;
    let metadata = r#""instance_status":"OUT_OF_SERVICE","menagerie.status":"draining""#;
    assert_eq!(written(&instance), UP_APP.replace("\"instance_status\":\"UP\"", metadata));
    assert_eq!(read(&written(&instance)).status, Status::Draining);
}

#[test]
fn springs_own_hints_are_the_models() {
    let text = UP_APP.replace("\"UP\"", r#""UP","weight":"3","zone":"z1""#);
    let instance = read(&text);
    assert_eq!((instance.weight, instance.zone.as_deref()), (3, Some("z1")));
    assert_eq!((written(&instance), instance.carried), (text, None));
}

#[test]
fn keys_with_a_meaning_are_refused() {
    let mut instance = read(UP_APP);
    instance.metadata.insert("instance_status", "UP");
    assert_eq!(
        SpringCloud::new().leaf(&instance),
        Err(LayoutError::Reserved { key: "instance_status".into() })
    );
}
