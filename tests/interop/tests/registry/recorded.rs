//! The fixtures of the layouts: what was recorded of a program is what it writes today.
//!
//! The files of `src/registry/layout/recorded` hold znodes, each with its path, its lifetime and its bytes. The layouts' own tests
//! read them. `MENAGERIE_RECORD=1` writes them anew.

use crate::{
    beside::{ask, is_recorded, leaves, ours, peer},
    dubbo::URL,
};
use menagerie::registry::{ZooKeeper, layout::Plain};
use menagerie_ensemble::Version;
use menagerie_interop::{Embedded, Peer, Program, Real, Target};
use serde_json::{Value, json};
use std::future::Future;

/// What writers escape, each in its way.
const ODD: &str = "a<b>&'c'=\"d\"\\ \u{1} é \u{2028}";

/// Runs a recording on a real server.
fn recording<F: Future<Output = ()>>(record: impl FnOnce(ZooKeeper, String) -> F) {
    recording_on(Real::reaping(Version::V3_9), record);
}

fn recording_on<F: Future<Output = ()>>(
    target: Result<impl Target, String>,
    record: impl FnOnce(ZooKeeper, String) -> F,
) {
    crate::beside::on(target, |connect| async move {
        let reader = ours(&connect, Plain::new()).await;
        record(reader, connect).await;
    });
}

async fn wish(peer: &mut Peer, verb: &str, wish: Value) {
    ask(peer, format!("{verb} {wish}")).await;
}

async fn curator(connect: &str, class: &str) -> (Peer, String) {
    let mut java = peer(Program::curator_registry(Version::V3_9), connect).await;
    let version = ask(&mut java, "version").await;
    let named = if class.contains("ZookeeperInstance") {
        format!(", with a class named {class}")
    } else {
        String::new()
    };
    (java, format!("# Written by Curator {version}{named}.\n"))
}

#[test]
fn of_curator() {
    recording(|reader, connect| async move {
        let (mut java, mut text) = curator(&connect, "").await;
        ask(&mut java, "open java.lang.Object /recorded/curator true").await;
        let time = 1_700_000_000_000_u64;
        for kind in ["DYNAMIC", "DYNAMIC_SEQUENTIAL", "PERMANENT", "STATIC"] {
            let id = kind.to_lowercase();
            wish(
                &mut java,
                "register",
                json!({"name": "svc", "id": id, "port": 8080, "time": time, "type": kind}),
            )
            .await;
        }
        let payloads = [
            ("list", json!(["a", "b"])),
            ("long", json!(7)),
            ("map", json!({"k": "v"})),
            ("odd", json!({"k": ODD})),
            ("text", json!("text")),
        ];
        for (id, payload) in payloads {
            let instance = json!({"name": "svc", "id": id, "port": 8080, "time": time, "payload": payload});
            wish(&mut java, "register", instance).await;
        }
        for (id, address) in [("ipv6", "2001:db8::1"), ("name", "host.example.org")] {
            let instance = json!({"name": "svc", "id": id, "address": address, "port": 8080, "time": time});
            wish(&mut java, "register", instance).await;
        }
        wish(
            &mut java,
            "register",
            json!({"name": "svc", "id": "ssl", "port": 80, "ssl": 443, "time": time}),
        )
        .await;
        wish(&mut java, "register", json!({"name": "svc", "id": "ssl-only", "ssl": 443, "time": time})).await;
        ask(&mut java, "open java.lang.Object /recorded/curator false").await;
        for enabled in [true, false] {
            let id = format!("enabled-{enabled}");
            let instance = json!({"name": "svc", "id": id, "port": 80, "time": time, "enabled": enabled});
            wish(&mut java, "register", instance).await;
        }
        text.push_str(&leaves(&reader, "/recorded/curator").await);
        is_recorded("curator", &text);
    });
}

#[test]
fn of_curator_with_springs_payload() {
    recording(|reader, connect| async move {
        let class = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance";
        let (mut java, mut text) = curator(&connect, class).await;
        ask(&mut java, format!("open {class} /recorded/spring true")).await;
        for metadata in [
            json!({"instance_status": "UP"}),
            json!({"instance_status": "OUT_OF_SERVICE"}),
            json!({"instance_status": "UP", "zone": "z1", "weight": "3", "k": ODD}),
            json!({}),
        ] {
            let id = format!(
                "app-{}",
                metadata.as_object().unwrap().len() + usize::from(metadata["instance_status"] == "UP")
            );
            let payload = json!({"id": id, "name": "svc", "metadata": metadata});
            let time = 1_700_000_000_000_u64;
            wish(
                &mut java,
                "register",
                json!({"name": "svc", "id": id, "port": 80, "time": time, "payload": payload}),
            )
            .await;
        }
        text.push_str(&leaves(&reader, "/recorded/spring").await);
        is_recorded("spring-cloud", &text);
    });
}

#[test]
fn of_curator_with_dubbos_payload() {
    recording(|reader, connect| async move {
        let class = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance";
        let (mut java, mut text) = curator(&connect, class).await;
        ask(&mut java, format!("open {class} /recorded/dubbo true")).await;
        let metadata = json!({
            "dubbo.endpoints": r#"[{"port":20880,"protocol":"dubbo"}]"#, "dubbo.metadata.revision": "8f2",
            "dubbo.metadata.storage-type": "local", "k": ODD,
        });
        let payload = json!({"id": "10.0.0.5:20880", "name": "shop", "metadata": metadata});
        let time = 1_700_000_000_000_u64;
        let instance =
            json!({"name": "shop", "id": "10.0.0.5:20880", "port": 20880, "time": time, "payload": payload});
        wish(&mut java, "register", instance).await;
        text.push_str(&leaves(&reader, "/recorded/dubbo").await);
        is_recorded("dubbo-application", &text);
    });
}

#[test]
fn of_the_go_program_with_go_micros_structs() {
    recording(|reader, connect| async move {
        let mut go = peer(Program::go("plugin"), &connect).await;
        let version = ask(&mut go, "version").await;
        let mut text = format!(
            "# Written by {version}'s encoding/json, by a program with the structs of go-micro 1.0, 2 and 4, whose calls are the plugin's.\n"
        );
        let value = json!({"name": "name", "type": "string", "values": null});
        let endpoint = json!({
            "name": "Greeter.Hello", "request": {"name": "Request", "type": "Request", "values": [value]},
            "response": {"name": "Response", "type": "Response", "values": null}, "metadata": {},
        });
        for by in [1, 2, 4] {
            let (address, port) = if by == 1 { ("10.0.0.3", 8080) } else { ("10.0.0.3:8080", 0) };
            let metadata = json!({"broker": "http", "protocol": "grpc", "registry": "zookeeper", "odd": ODD});
            let bare = json!({"name": "recorded/greeter", "version": "latest"});
            let full = json!({
                "name": "recorded/greeter", "version": "1", "metadata": {"m": "1"}, "endpoints": [endpoint],
            });
            let server = json!({
                "broker": "http", "odd": ODD, "protocol": "grpc", "registry": "zookeeper", "server": "grpc", "transport": "grpc",
            });
            let served = json!({"name": "recorded/greeter", "version": "2", "endpoints": [endpoint]});
            for (kind, service, metadata) in
                [("bare", bare, Value::Null), ("full", full, metadata), ("server", served, server)]
            {
                let id = format!("{kind}/{by}");
                let node = json!({"id": id, "address": address, "port": port, "metadata": metadata});
                wish(&mut go, "register", json!({"by": by, "service": service, "node": node})).await;
            }
        }
        text.push_str(&leaves(&reader, "/micro-registry/recorded-greeter").await);
        is_recorded("go-micro", &text);
    });
}

#[test]
fn of_the_go_demo() {
    // On a server of its own: the demo has one directory, whose servers another test calls.
    recording_on(Embedded::reaping(), |reader, connect| async move {
        let mut go = peer(Program::go("demo"), &connect).await;
        let version = ask(&mut go, "version").await;
        let address = ask(&mut go, "serve").await;
        let written = leaves(&reader, "/go_servers").await.replace(&address, "127.0.0.1:50001");
        is_recorded(
            "plain",
            &format!(
                "# Written by a {version} program that is the article's demo; the port is any.\n{written}"
            ),
        );
    });
}

#[test]
fn of_the_programs_on_kazoo() {
    recording(|reader, connect| async move {
        let mut python = peer(Program::kazoo_registry("kazoo"), &connect).await;
        let written_by = |what: &str| format!("# Written by a program on kazoo, {what}.\n");
        let endpoint = |port: u16| json!({"host": "10.0.0.5", "port": port});
        let mut member =
            json!({"serviceEndpoint": endpoint(80), "additionalEndpoints": {}, "status": "ALIVE"});
        wish(&mut python, "join /recorded/sets/svc", member.clone()).await;
        member["additionalEndpoints"] = json!({"http": endpoint(81), "admin": endpoint(82)});
        member["status"] = json!("STOPPING");
        member["shard"] = json!(0);
        member["metadata"] = json!({"k": "v"});
        wish(&mut python, "join /recorded/sets/svc", member).await;
        let text = written_by("as Finagle's documentation and sources have members")
            + &leaves(&reader, "/recorded/sets").await;
        is_recorded("serverset", &text);
        for (ip, tags, attrs) in [
            ("10.1.1.1", json!([]), json!({})),
            ("2001:db8::1", json!(["blue", "www"]), json!({"region": "us2"})),
        ] {
            let service = json!({
                "Name": "db", "IP": ip, "PublicPort": 10_000, "PrivatePort": 6379, "ContainerID": "bbbbbbbbbbbb", "Tags": tags,
                "Attrs": attrs,
            });
            wish(&mut python, "register /recorded-registrator", service).await;
        }
        let text = written_by("as Registrator 7.4's sources make its calls")
            + &leaves(&reader, "/recorded-registrator").await;
        is_recorded("registrator", &text);
    });
}

#[test]
fn of_dubbos_urls() {
    recording(|reader, connect| async move {
        let (mut java, text) = curator(&connect, "").await;
        ask(&mut java, format!("provide /recorded-java/org.x.Demo%24Inner/providers {URL}")).await;
        let text = text.replace(
            ".\n",
            "'s client, by a program that encodes names with java.net.URLEncoder as Dubbo does.\n",
        );
        is_recorded("dubbo-java", &(text + &leaves(&reader, "/recorded-java").await));
        let mut go = peer(Program::go("dubbo"), &connect).await;
        let version = ask(&mut go, "version").await;
        ask(&mut go, format!("provide /recorded-go/org.x.Demo%24Inner/providers {URL}")).await;
        let text = format!(
            "# Written by a {version} program that encodes names with url.QueryEscape as dubbo-go does.\n"
        );
        is_recorded("dubbo-go", &(text + &leaves(&reader, "/recorded-go").await));
        ask(&mut go, "announce /recorded-applications app 10.0.0.5:20880 8f2").await;
        let text =
            format!("# Written by {version}'s encoding/json, by a program with the structs of dubbo-go.\n");
        is_recorded("dubbo-go-application", &(text + &leaves(&reader, "/recorded-applications").await));
    });
}
