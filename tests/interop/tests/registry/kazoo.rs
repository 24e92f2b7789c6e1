//! Twitter's server sets and Registrator, by a Python program on kazoo that writes and reads their znodes.

use crate::{
    beside::{ODDER, ask, ask_json, discover, one, ours, peer, register, seen, stays, told, update},
    on_every_server,
};
use menagerie::registry::{
    Instance, Lifetime, Status,
    layout::{Registrator, ServerSet},
};
use menagerie_interop::Program;
use serde_json::{Value, json};

on_every_server!(server_sets, registrator);

async fn server_sets(connect: String) {
    let ours = ours(&connect, ServerSet::at("/interop/sets").unwrap()).await;
    let mut python = peer(Program::kazoo_registry("kazoo"), &connect).await;
    let set = "/interop/sets/web";

    // Theirs, live; what a member says never changes, so another state is another member.
    let (_view, mut changes) = discover(&ours, "web").await;
    let member = |status: &str| {
        json!({
            "serviceEndpoint": {"host": "10.0.0.5", "port": 8080},
            "additionalEndpoints": {"admin": {"host": "10.0.0.5", "port": 9990}}, "status": status, "shard": 3,
        })
    };
    let alive = ask(&mut python, format!("join {set} {}", member("ALIVE"))).await;
    let change = seen(&mut changes, "a member", |change| one(change).is_some()).await;
    let instance = one(&change).unwrap();
    assert_eq!(alive, format!("{set}/{}", instance.id));
    assert_eq!(
        (instance.address.to_string().as_str(), instance.lifetime),
        ("10.0.0.5:8080", Lifetime::Session)
    );
    assert_eq!((instance.endpoints["admin"].port(), instance.status), (9990, Status::Up));
    assert_eq!(instance.metadata.get("menagerie.shard").unwrap(), "3");
    let stopping = ask(&mut python, format!("join {set} {}", member("STOPPING"))).await;
    let change = seen(&mut changes, "a second member", |change| !change.added.is_empty()).await;
    assert_eq!(change.added[0].status, Status::Draining);
    for path in [alive, stopping] {
        ask(&mut python, format!("delete {path}")).await;
    }
    seen(&mut changes, "nobody", |change| change.set.is_empty()).await;
    // One that is killed goes with its session.
    let mut killed = peer(Program::kazoo_registry("kazoo-2"), &connect).await;
    ask(&mut killed, format!("join {set} {}", member("ALIVE"))).await;
    seen(&mut changes, "a third member", |change| one(change).is_some()).await;
    killed.kill().unwrap();
    seen(&mut changes, "its end", |change| change.set.is_empty()).await;

    // Ours: a member like any other, with what has no field of its own in the metadata.
    ask(&mut python, format!("watch {set}")).await;
    let builder = Instance::builder("web").id("ours").host("10.0.0.1").port(80).version("1.2");
    let builder = builder.endpoint("admin", "10.0.0.1:81".parse().unwrap()).metadata("odd", ODDER);
    let registered = register(&ours, builder).await;
    told(&mut python, "ours", |event| event.contains("10.0.0.1")).await;
    let members = ask_json(&mut python, format!("members {set}")).await;
    let (name, found) = members.as_object().unwrap().iter().next().unwrap();
    assert!(name.strip_prefix("member_").unwrap().parse::<u64>().is_ok(), "{name}");
    let expected = json!({
        "serviceEndpoint": {"host": "10.0.0.1", "port": 80}, "additionalEndpoints": {"admin": {"host": "10.0.0.1", "port": 81}},
        "status": "ALIVE", "metadata": {"menagerie.id": "ours", "menagerie.version": "1.2", "odd": ODDER},
    });
    assert_eq!(found, &expected);

    // Readers take what a member says as settled, so one that drains is removed.
    let mut draining = Instance::clone(&registered.instance());
    draining.status = Status::Draining;
    registered.update(draining).unwrap();
    told(&mut python, "none", |event| event == "{}").await;
    update(&registered, |instance| instance.status = Status::Up).await;
    told(&mut python, "ours again", |event| event.contains("10.0.0.1")).await;
    registered.deregister().await.unwrap();
    told(&mut python, "none any more", |event| event == "{}").await;
    stays(&ours, set).await;
}

fn service(port: u16, tags: &Value) -> Value {
    json!({
        "Name": "db", "IP": "10.1.1.1", "PublicPort": port, "PrivatePort": 6379, "ContainerID": "bbbbbbbbbbbb", "Tags": tags,
        "Attrs": {"region": "us2"},
    })
}

async fn registrator(connect: String) {
    let base = "/interop-registrator";
    let ours = ours(&connect, Registrator::at(base).unwrap()).await;
    let mut python = peer(Program::kazoo_registry("kazoo-2"), &connect).await;
    let (_view, mut changes) = discover(&ours, "db").await;
    ask(&mut python, format!("register {base} {}", service(10_000, &json!(["blue", "www"])))).await;
    let change = seen(&mut changes, "a container", |change| one(change).is_some()).await;
    let instance = one(&change).unwrap();
    assert_eq!((&*instance.id, instance.address.to_string().as_str()), ("10.1.1.1:10000", "10.1.1.1:10000"));
    assert_eq!(
        (instance.tags.join(","), instance.metadata.get("region").unwrap()),
        ("blue,www".to_owned(), "us2")
    );
    ask(&mut python, format!("register {base} {}", service(10_001, &json!([])))).await;
    seen(&mut changes, "a second container", |change| change.set.len() == 2).await;

    // Ours beside them, read as a consumer reads them: by the leaf's name, or by what it says.
    let builder = Instance::builder("db")
        .id("ours")
        .host("2001:db8::1")
        .port(6379)
        .tag("red")
        .metadata("region", "eu")
        .metadata("odd", ODDER);
    let registered = register(&ours, builder).await;
    let found = ask_json(&mut python, format!("consume {base} db")).await;
    let expected = json!({
        "Name": "db", "IP": "2001:db8::1", "PublicPort": 6379, "PrivatePort": 6379, "ContainerID": "ours", "Tags": ["red"],
        "Attrs": {"menagerie.id": "ours", "odd": ODDER, "region": "eu"},
    });
    assert_eq!((found.as_object().unwrap().len(), &found["2001:db8::1:6379"]), (3, &expected));
    update(&registered, |instance| instance.tags = vec!["green".to_owned()]).await;
    let found = ask_json(&mut python, format!("consume {base} db")).await;
    assert_eq!(found["2001:db8::1:6379"]["Tags"], json!(["green"]));
    registered.deregister().await.unwrap();
    let found = ask_json(&mut python, format!("consume {base} db")).await;
    assert!(found.as_object().unwrap().keys().all(|leaf| leaf.starts_with("10.1.1.1:")), "{found}");
    stays(&ours, base).await;

    // The last one to go takes the directory along, and ours make it again.
    for port in [10_000, 10_001] {
        ask(&mut python, format!("deregister {base} db 10.1.1.1:{port}")).await;
    }
    seen(&mut changes, "nobody", |change| change.set.is_empty()).await;
    let registered = register(&ours, Instance::builder("db").id("ours").host("10.0.0.1").port(6379)).await;
    seen(&mut changes, "ours", |change| one(change).is_some()).await;
    registered.deregister().await.unwrap();
}
