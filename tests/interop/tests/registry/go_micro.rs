//! go-micro, by a Go program that makes the calls of its ZooKeeper plugin.

use crate::{
    beside::{ODDER, ask, ask_json, discover, one, ours, peer, register, seen, stays, told, update, within},
    on_every_server,
};
use menagerie::registry::{Instance, Lifetime, RpcEndpoint, RpcValue, layout::GoMicro};
use menagerie_interop::{Peer, Program};
use serde_json::{Value, json};

on_every_server!(it_finds_ours, we_find_its, it_meddles_with_ours);

/// With a slash in both names, which the plugin writes as `-`.
const SERVICE: &str = "interop/é%2f+~";

fn wish(by: u8, id: &str, metadata: &Value) -> String {
    let endpoint = json!({
        "name": "Greeter.Hello", "metadata": {"stream": "false"},
        "request": {"name": "Request", "type": "Request", "values": [{"name": "name", "type": "string", "values": null}]},
        "response": {"name": "Response", "type": "Response", "values": null},
    });
    let (address, port) = if by == 1 { ("10.0.0.9", 9090) } else { ("10.0.0.9:9090", 0) };
    let wish = json!({
        "by": by,
        "service": {"name": "interop/theirs", "version": "1.0", "metadata": {"m": "1"}, "endpoints": [endpoint]},
        "node": {"id": id, "address": address, "port": port, "metadata": metadata},
    });
    format!("register {wish}")
}

async fn we_find_its(connect: String) {
    let ours = ours(&connect, GoMicro::new()).await;
    let mut go = peer(Program::go("plugin"), &connect).await;
    let (_view, mut changes) = discover(&ours, "interop/theirs").await;

    assert_eq!(ask(&mut go, wish(4, "greeter/1", &json!({"protocol": "grpc"}))).await, "created");
    let change = seen(&mut changes, "the service of version 4", |change| one(change).is_some()).await;
    let instance = one(&change).unwrap();
    assert_eq!((&*instance.id, &*instance.version), ("greeter/1", "1.0"));
    assert_eq!(
        (instance.address.to_string().as_str(), instance.metadata.get("protocol").unwrap()),
        ("10.0.0.9:9090", "grpc")
    );
    assert_eq!((instance.lifetime, instance.rpc[0].name.as_str()), (Lifetime::Persistent, "Greeter.Hello"));
    assert_eq!(instance.rpc[0].request.as_ref().unwrap().values[0].kind, "string");

    // The same again is skipped; other metadata is set in place.
    assert_eq!(ask(&mut go, wish(4, "greeter/1", &json!({"protocol": "grpc"}))).await, "skipped");
    assert_eq!(ask(&mut go, wish(4, "greeter/1", &json!({"protocol": "http"}))).await, "set");
    let change = seen(&mut changes, "the other protocol", |change| !change.updated.is_empty()).await;
    let updated = &change.updated[0];
    assert_eq!(
        (updated.old.metadata.get("protocol").unwrap(), updated.new.metadata.get("protocol").unwrap()),
        ("grpc", "http")
    );

    // What other versions write is read alike.
    for by in [1, 2] {
        ask(&mut go, wish(by, &format!("by-{by}"), &json!({}))).await;
        let change = seen(&mut changes, "another version's", |change| !change.added.is_empty()).await;
        assert_eq!(change.added[0].address.to_string(), "10.0.0.9:9090");
    }
    for id in ["greeter/1", "by-1", "by-2"] {
        ask(&mut go, format!("deregister interop/theirs {id}")).await;
    }
    seen(&mut changes, "nobody", |change| change.set.is_empty()).await;
}

async fn get(go: &mut Peer) -> Value {
    ask_json(go, format!("get {SERVICE}")).await
}

/// A leaf that goes between the plugin's reads, such as another test's, fails its call: it is asked again.
async fn listed(go: &mut Peer) {
    let mut names = String::new();
    while !names.contains(&format!("{SERVICE:?}")) {
        names = go.ask("list").await.unwrap_or_default();
        tokio::task::yield_now().await;
    }
}

async fn it_finds_ours(connect: String) {
    let ours = ours(&connect, GoMicro::new()).await;
    let mut go = peer(Program::go("plugin"), &connect).await;
    let procedure = RpcEndpoint {
        name: "Greeter.Hello".to_owned(),
        request: Some(RpcValue {
            name: "Request".to_owned(),
            kind: "Request".to_owned(),
            values: Vec::new(),
        }),
        ..RpcEndpoint::default()
    };
    let first = Instance::builder(SERVICE).id("ours/1").host("10.0.0.1").port(80).version("1.0");
    let first = register(&ours, first.rpc(procedure).metadata("region", "eu").metadata("odd", ODDER)).await;
    ask(&mut go, format!("watch {SERVICE}")).await;
    told(&mut go, "ours", |event| event.starts_with("create") && event.contains("\"ours/1\"")).await;

    // By version, with what go-micro's clients filter on.
    let second = Instance::builder(SERVICE).id("ours/2").host("2001:db8::2").port(80).version("2.0");
    let second = register(&ours, second).await;
    told(&mut go, "the second", |event| event.starts_with("create") && event.contains("\"ours/2\"")).await;
    let found = get(&mut go).await;
    let service = &found["1.0"];
    assert_eq!(
        (&service["name"], &service["endpoints"][0]["name"]),
        (&json!(SERVICE), &json!("Greeter.Hello"))
    );
    assert_eq!(service["endpoints"][0]["request"]["type"], "Request");
    let expected = json!({
        "broker": "http", "odd": ODDER, "protocol": "grpc", "region": "eu", "registry": "zookeeper", "server": "grpc",
        "transport": "grpc",
    });
    let node = json!({"id": "ours/1", "address": "10.0.0.1:80", "port": 0, "metadata": expected});
    assert_eq!(service["nodes"], json!([node]));
    assert_eq!(found["2.0"]["nodes"][0]["address"], "[2001:db8::2]:80");
    within("listed", listed(&mut go)).await;

    // The plugin's watcher does not look at data: a change in place is seen by whoever asks.
    update(&first, |instance| drop(instance.metadata.insert("region", "us"))).await;
    assert_eq!(get(&mut go).await["1.0"]["nodes"][0]["metadata"]["region"], "us");
    first.deregister().await.unwrap();
    told(&mut go, "one less", |event| event.starts_with("override") && event.contains("\"ours/2\"")).await;
    second.deregister().await.unwrap();
    told(&mut go, "none", |event| event == "create null").await;
    assert_eq!(get(&mut go).await, json!({}));
    stays(&ours, "/micro-registry/interop-é%2f+~").await;
}

/// Where a service's only node is, as the plugin reads it.
async fn address(go: &mut Peer, service: &str) -> Value {
    let found = ask_json(go, format!("get {service}")).await;
    found["1"]["nodes"][0]["address"].clone()
}

/// The plugin deletes and overwrites without a look at whose a leaf is. Ours is made again, and set back.
async fn it_meddles_with_ours(connect: String) {
    let ours = ours(&connect, GoMicro::new()).await;
    let mut go = peer(Program::go("plugin"), &connect).await;
    let service = "interop-meddled";
    let wish = json!({
        "by": 4, "service": {"name": service, "version": "1"}, "node": {"id": "ours", "address": "10.0.0.9:90"},
    });
    // Its own leaf of that id is of a process that has ended, for all that anybody can know.
    assert_eq!(ask(&mut go, format!("register {wish}")).await, "created");
    let builder = Instance::builder(service).id("ours").host("10.0.0.1").port(80).version("1");
    let registered = register(&ours, builder).await;
    assert_eq!(address(&mut go, service).await, "10.0.0.1:80");
    let leaf = format!("/micro-registry/{service}/ours");
    let session = ours.client().status().session_id.unwrap();
    let is_ours = async || {
        ours.client().exists(&leaf).await.unwrap().is_some_and(|stat| stat.ephemeral_owner == session)
    };
    assert!(is_ours().await, "a persistent leaf of our id is replaced");

    ask(&mut go, format!("deregister {service} ours")).await;
    let again = async { while !is_ours().await {} };
    within("made again", again).await;
    assert_eq!(ask(&mut go, format!("register {wish}")).await, "set");
    let back = async { while address(&mut go, service).await != "10.0.0.1:80" {} };
    within("set back", back).await;
    assert!(is_ours().await);
    registered.deregister().await.unwrap();
    stays(&ours, &format!("/micro-registry/{service}")).await;
}
