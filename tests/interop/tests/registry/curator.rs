//! Apache Curator's service discovery, its cache and its provider; and what Spring Cloud ZooKeeper and Dubbo make of it.

use crate::{
    beside::{
        ODDER, ask, ask_json, discover, lasting, one, ours, peer, reaped, register, seen, told, update,
        within,
    },
    on_every_server,
};
use menagerie::registry::{
    Discovery, Instance, Lifetime, RegistrationState, Status, ZooKeeper,
    layout::{Curator, DubboApplication, SpringCloud},
    reconcile::ConflictKind,
    view::Change,
};
use menagerie_ensemble::Version;
use menagerie_interop::{Peer, Program};
use serde_json::{Value, json};

on_every_server!(it_finds_ours, we_find_its, a_twin_takes_ours, spring_cloud, dubbo_applications);

const MAP: &str = "java.lang.Object";
const SPRING: &str = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance";
const DUBBO: &str = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance";

/// Curator with its discovery open on the root of `ours`, for payloads of a class.
async fn curator(ours: &ZooKeeper, connect: &str, class: &str, base: &str) -> Peer {
    lasting(ours, base).await;
    let mut java = peer(Program::curator_registry(Version::V3_9), connect).await;
    ask(&mut java, format!("open {class} {base} true")).await;
    java
}

/// Until the peer's cache has what is wanted; the provider is then asked for the same.
async fn cached(java: &mut Peer, service: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let parse = |event: &str| serde_json::from_str::<Value>(event).unwrap();
    let event = told(java, what, |event| wanted(&parse(event))).await;
    let provided = ask_json(java, format!("provided {service}")).await;
    let cached = parse(&event);
    // The provider has a cache of its own, which may be a moment behind, and passes over what is not enabled.
    if provided != cached {
        let query = ask_json(java, format!("query {service}")).await;
        assert_eq!(query, cached, "what is in ZooKeeper");
    }
    cached
}

fn length(list: &Value) -> usize {
    list.as_array().unwrap().len()
}

async fn it_finds_ours(connect: String) {
    let ours = ours(&connect, Curator::at("/interop/curator").unwrap()).await;
    let mut java = curator(&ours, &connect, MAP, "/interop/curator").await;
    ask(&mut java, "watch web").await;
    let builder = Instance::builder("web").id("ours-1").host("10.0.0.1").port(80).version("1.2");
    let builder = builder.endpoint("ssl", "10.0.0.1:443".parse().unwrap()).metadata("region", "eu");
    let first = register(&ours, builder.metadata("odd", ODDER)).await;
    let found = cached(&mut java, "web", "ours", |list| length(list) == 1).await;
    let payload = json!({"menagerie.version": "1.2", "odd": ODDER, "region": "eu"});
    let time = first.instance().registered_at_ms.unwrap();
    let expected = json!({
        "name": "web", "id": "ours-1", "address": "10.0.0.1", "port": 80, "ssl": 443, "type": "DYNAMIC", "enabled": true,
        "uri": "https://10.0.0.1:80", "time": time, "class": "java.util.LinkedHashMap", "payload": payload,
    });
    assert_eq!(found[0], expected);
    assert_eq!(ask_json(&mut java, "pick web").await["id"], "ours-1");
    assert!(ask_json(&mut java, "names").await.as_array().unwrap().contains(&json!("web")));

    update(&first, |instance| drop(instance.metadata.insert("region", "us"))).await;
    cached(&mut java, "web", "the other region", |list| list[0]["payload"]["region"] == "us").await;

    // Out of service is not enabled, and the provider picks the other.
    let second = register(&ours, Instance::builder("web").id("ours-2").host("10.0.0.2").port(80)).await;
    update(&first, |instance| instance.status = Status::OutOfService).await;
    cached(&mut java, "web", "out of service", |list| list[0]["enabled"] == false && length(list) == 2).await;
    let picked = within("one picked", async {
        loop {
            let provided = ask_json(&mut java, "provided web").await;
            if length(&provided) == 1 {
                return ask_json(&mut java, "pick web").await;
            }
        }
    });
    assert_eq!(picked.await["id"], "ours-2");
    first.deregister().await.unwrap();
    cached(&mut java, "web", "the second alone", |list| length(list) == 1 && list[0]["id"] == "ours-2").await;
    second.deregister().await.unwrap();
    cached(&mut java, "web", "nobody", |list| length(list) == 0).await;
    directories_go(&ours, "/interop/curator").await;
    ours_of_other_kinds(&connect, &mut java).await;
}

/// As `DYNAMIC_SEQUENTIAL`, `STATIC` and `PERMANENT`.
async fn ours_of_other_kinds(connect: &str, java: &mut Peer) {
    let curator = Curator::at("/interop/curator").unwrap();
    let kinds = [
        (curator.clone().sequential(), Lifetime::Session, "DYNAMIC_SEQUENTIAL"),
        (curator.clone(), Lifetime::Persistent, "STATIC"),
        (curator.permanent(), Lifetime::Persistent, "PERMANENT"),
    ];
    for (layout, lifetime, kind) in kinds {
        // Also of another alphabet, and with what URLs escape.
        let name = format!("{kind}-é%2f+~");
        let ours = ours(connect, layout).await;
        let builder = Instance::builder(&name).id("one").host("2001:db8::1").port(80).lifetime(lifetime);
        let registered = register(&ours, builder).await;
        let found = ask_json(java, format!("query {name}")).await;
        assert_eq!((&found[0]["id"], &found[0]["type"]), (&json!("one"), &json!(kind)));
        assert_eq!((&found[0]["name"], &found[0]["address"]), (&json!(name), &json!("2001:db8::1")));
        registered.deregister().await.unwrap();
        assert_eq!(ask_json(java, format!("query {name}")).await, json!([]));
    }
}

/// Directories that we make are containers, as Curator's own are.
async fn directories_go(ours: &ZooKeeper, root: &str) {
    let alone = register(ours, Instance::builder("alone").id("ours").host("10.0.0.1").port(80)).await;
    alone.deregister().await.unwrap();
    reaped(ours, &format!("{root}/alone")).await;
}

fn is_named(change: &Change, id: &str) -> bool {
    one(change).is_some_and(|instance| instance.id == id)
}

async fn we_find_its(connect: String) {
    let ours = ours(&connect, Curator::at("/interop/theirs").unwrap()).await;
    let mut java = curator(&ours, &connect, MAP, "/interop/theirs").await;
    let (_view, mut changes) = discover(&ours, "web").await;
    let services = ours.services().await.unwrap();
    let mut names = services.changes();
    let mut wish = json!({
        "name": "web", "id": "theirs", "address": "10.0.0.5", "port": 8080, "ssl": 8443, "time": 1_700_000_000_000_u64,
        "payload": {"region": "eu"},
    });
    ask(&mut java, format!("register {wish}")).await;
    let change = seen(&mut changes, "theirs", |change| is_named(change, "theirs")).await;
    let instance = one(&change).unwrap();
    assert_eq!(
        (instance.address.to_string().as_str(), instance.lifetime),
        ("10.0.0.5:8080", Lifetime::Session)
    );
    assert_eq!((instance.registered_at_ms, instance.status), (Some(1_700_000_000_000), Status::Up));
    assert_eq!((instance.metadata.get("region").unwrap(), instance.endpoints["ssl"].port()), ("eu", 8443));

    within("its name", async { while !names.next().await.unwrap().names.contains("web") {} }).await;

    wish["payload"]["region"] = json!("us");
    ask(&mut java, format!("update {wish}")).await;
    let change = seen(&mut changes, "an update", |change| !change.updated.is_empty()).await;
    let updated = &change.updated[0];
    assert_eq!(
        (updated.old.metadata.get("region").unwrap(), updated.new.metadata.get("region").unwrap()),
        ("eu", "us")
    );
    ask(&mut java, format!("unregister {wish}")).await;
    seen(&mut changes, "nobody", |change| change.set.is_empty()).await;
    // The server removes its directory.
    within("no name", async { while names.next().await.unwrap().names.contains("web") {} }).await;

    // The other kinds: one whose leaf's name the server ends, and two that outlive their session.
    let kinds = [
        ("DYNAMIC_SEQUENTIAL", Lifetime::Session),
        ("STATIC", Lifetime::Persistent),
        ("PERMANENT", Lifetime::Persistent),
    ];
    for (kind, lifetime) in kinds {
        wish["type"] = json!(kind);
        wish["id"] = json!(kind);
        ask(&mut java, format!("register {wish}")).await;
        let change = seen(&mut changes, kind, |change| !change.added.is_empty()).await;
        assert_eq!((&*change.added[0].id, change.added[0].lifetime), (kind, lifetime));
    }
    // Closing takes along all but what is static or drawn; without the compatible mode it says what is enabled.
    ask(&mut java, format!("open {MAP} /interop/theirs false")).await;
    wish["type"] = json!("DYNAMIC");
    wish["enabled"] = json!(false);
    wish["id"] = json!("disabled");
    ask(&mut java, format!("register {wish}")).await;
    let change = seen(&mut changes, "one that is not enabled", |change| !change.added.is_empty()).await;
    assert_eq!((&*change.added[0].id, change.added[0].status), ("disabled", Status::OutOfService));
    ask(&mut java, "close").await;
    seen(&mut changes, "its end", |change| change.set.iter().all(|instance| instance.id != "disabled")).await;
}

/// Curator deletes whoever has an instance's id. That is noticed, and not fought about; and over when Curator's goes.
async fn a_twin_takes_ours(connect: String) {
    let ours = ours(&connect, Curator::at("/interop/twins").unwrap()).await;
    let mut java = curator(&ours, &connect, MAP, "/interop/twins").await;
    let registered = register(&ours, Instance::builder("web").id("twin").host("10.0.0.1").port(80)).await;
    let mut events = registered.events();
    let wish = json!({"name": "web", "id": "twin", "port": 8080});
    // It deletes and creates, twice at most: if ours is made again in between both times, it has lost and does not say so.
    let taken = async {
        while ask_json(&mut java, "query web").await[0]["port"] != 8080 {
            ask(&mut java, format!("unregister {wish}")).await;
            ask(&mut java, format!("register {wish}")).await;
        }
    };
    within("taken", taken).await;
    let is_twin =
        |state| matches!(state, RegistrationState::Conflict(conflict) if conflict.kind == ConflictKind::Twin);
    within("a conflict", async { while !is_twin(events.next().await.unwrap().state) {} }).await;
    assert_eq!(ask_json(&mut java, "query web").await[0]["port"], 8080);
    ask(&mut java, format!("unregister {wish}")).await;
    within("ours again", registered.registered()).await.unwrap();
    assert_eq!(ask_json(&mut java, "query web").await[0]["port"], 80);
    registered.deregister().await.unwrap();
}

/// What of an instance Spring's and Dubbo's readers look at.
fn metadata(list: &Value) -> &Value {
    &list[0]["payload"]["metadata"]
}

async fn spring_cloud(connect: String) {
    let ours = ours(&connect, SpringCloud::at("/interop/spring").unwrap()).await;
    let mut java = curator(&ours, &connect, SPRING, "/interop/spring").await;
    ask(&mut java, "watch orders").await;
    let builder = Instance::builder("orders")
        .id("ours")
        .host("10.0.0.1")
        .port(80)
        .zone("z1")
        .weight(3)
        .metadata("odd", ODDER);
    let registered = register(&ours, builder).await;
    let found = cached(&mut java, "orders", "ours", |list| length(list) == 1).await;
    let expected = json!({
        "id": "ours", "name": "orders", "metadata": {"instance_status": "UP", "odd": ODDER, "weight": "3", "zone": "z1"},
    });
    assert_eq!((&found[0]["class"], &found[0]["payload"]), (&json!(SPRING), &expected));
    assert_eq!(found[0]["uri"], "http://10.0.0.1:80");
    update(&registered, |instance| instance.status = Status::Draining).await;
    let out = |list: &Value| metadata(list)["instance_status"] == "OUT_OF_SERVICE";
    cached(&mut java, "orders", "out of service", out).await;
    registered.deregister().await.unwrap();
    cached(&mut java, "orders", "nobody", |list| length(list) == 0).await;

    // Theirs: registered, taken out of service as `setStatus` does, and removed.
    let (_view, mut changes) = discover(&ours, "orders").await;
    let mut wish = json!({
        "name": "orders", "id": "theirs", "port": 8080,
        "payload": {"id": "theirs", "name": "orders", "metadata": {"instance_status": "UP", "k": "v"}},
    });
    ask(&mut java, format!("register {wish}")).await;
    let change = seen(&mut changes, "theirs", |change| is_named(change, "theirs")).await;
    let instance = one(&change).unwrap();
    assert_eq!((instance.status, instance.metadata.get("k").unwrap()), (Status::Up, "v"));
    assert_eq!(instance.address.to_string(), "10.0.0.5:8080");
    wish["payload"]["metadata"]["instance_status"] = json!("OUT_OF_SERVICE");
    ask(&mut java, format!("update {wish}")).await;
    let change = seen(&mut changes, "out of service", |change| !change.updated.is_empty()).await;
    assert_eq!(
        (change.updated[0].old.status, change.updated[0].new.status),
        (Status::Up, Status::OutOfService)
    );
    ask(&mut java, format!("unregister {wish}")).await;
    seen(&mut changes, "nobody", |change| change.set.is_empty()).await;
    other_payloads_break_it(&mut java, &connect, "/interop/spring", "orders").await;
    directories_go(&ours, "/interop/spring").await;
}

/// What `clashes` warns of: a reader for one class refuses all instances of a service for one with another.
async fn other_payloads_break_it(java: &mut Peer, connect: &str, root: &str, service: &str) {
    let other = ours(connect, Curator::at(root).unwrap().payload_class("org.example.Unknown")).await;
    let builder = Instance::builder(service).id("foreign").host("10.0.0.9").port(80).metadata("k", "v");
    let registered = register(&other, builder).await;
    let refused = java.ask(&format!("query {service}")).await.unwrap_err();
    assert!(refused.contains("InvalidTypeIdException"), "{refused}");
    registered.deregister().await.unwrap();
}

/// From an interface to the address, as Dubbo's consumers find their way: beside an application that was listed before.
async fn it_resolves_ours(connect: &str, java: &mut Peer) {
    let metadata = "/interop/dubbo-metadata";
    let layout = DubboApplication::at("/interop/dubbo", metadata).unwrap().serves("org.x.Demo", "g", "1.0");
    let ours = ours(connect, layout).await;
    ask(java, format!("map {metadata} org.x.Demo other")).await;
    let registered = register(&ours, Instance::builder("shop").id("ours").host("10.0.0.1").port(20880)).await;
    let expected = json!([{
        "application": "shop", "key": "g/org.x.Demo:1.0:dubbo", "address": "10.0.0.1:20880", "protocol": "dubbo",
        "path": "org.x.Demo",
    }]);
    let resolved =
        async { while ask_json(java, format!("resolve {metadata} org.x.Demo")).await != expected {} };
    within("resolved", resolved).await;
    ask(java, format!("map {metadata} org.x.Demo third")).await;
    let (list, _) = ours.client().get(format!("{metadata}/mapping/org.x.Demo")).await.unwrap();
    assert_eq!(&list[..], b"other,shop,third");
    registered.deregister().await.unwrap();
    assert_eq!(ask_json(java, format!("resolve {metadata} org.x.Demo")).await, json!([]));
}

async fn dubbo_applications(connect: String) {
    let layout = DubboApplication::at("/interop/dubbo", "/interop/dubbo-metadata").unwrap();
    let ours = ours(&connect, layout).await;
    let mut java = curator(&ours, &connect, DUBBO, "/interop/dubbo").await;
    ask(&mut java, "watch shop").await;
    let registered = register(&ours, Instance::builder("shop").id("ours").host("10.0.0.1").port(20880)).await;
    let found = cached(&mut java, "shop", "ours", |list| length(list) == 1).await;
    assert_eq!((&found[0]["class"], &found[0]["id"]), (&json!(DUBBO), &json!("10.0.0.1:20880")));
    let endpoints: Value =
        serde_json::from_str(metadata(&found)["dubbo.endpoints"].as_str().unwrap()).unwrap();
    assert_eq!(endpoints, json!([{"port": 20880, "protocol": "dubbo"}]));
    assert_eq!(metadata(&found)["dubbo.metadata.revision"], "0");
    registered.deregister().await.unwrap();
    cached(&mut java, "shop", "nobody", |list| length(list) == 0).await;
    it_resolves_ours(&connect, &mut java).await;

    let (_view, mut changes) = discover(&ours, "shop").await;
    let mut wish = json!({
        "name": "shop", "id": "10.0.0.5:20880", "port": 20880,
        "payload": {
            "id": "10.0.0.5:20880", "name": "shop",
            "metadata": {"dubbo.metadata.revision": "8f2", "dubbo.metadata.storage-type": "local"},
        },
    });
    ask(&mut java, format!("register {wish}")).await;
    let change = seen(&mut changes, "theirs", |change| is_named(change, "10.0.0.5:20880")).await;
    assert_eq!(one(&change).unwrap().metadata.get("dubbo.metadata.revision").unwrap(), "8f2");
    wish["payload"]["metadata"]["dubbo.metadata.revision"] = json!("8f3");
    ask(&mut java, format!("update {wish}")).await;
    let change = seen(&mut changes, "the next revision", |change| !change.updated.is_empty()).await;
    assert_eq!(change.updated[0].new.metadata.get("dubbo.metadata.revision").unwrap(), "8f3");
    ask(&mut java, format!("unregister {wish}")).await;
    seen(&mut changes, "nobody", |change| change.set.is_empty()).await;
    directories_go(&ours, "/interop/dubbo").await;
}
