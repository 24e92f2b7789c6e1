//! Twitter's own Python library for server sets: what it joins, we find, and the other way round.

use crate::beside::{ask, ask_json, discover, is_recorded, leaves, one, ours, peer, register, seen, told};
use menagerie::registry::{Instance, Status, layout::ServerSet};
use menagerie_interop::Program;
use serde_json::json;

pub(crate) async fn server_sets(connect: String) {
    let ours = ours(&connect, ServerSet::at("/interop/twitter").unwrap()).await;
    let mut python = peer(Program::twitter_server_sets(), &connect).await;
    let set = "/interop/twitter/web";
    let (_view, mut changes) = discover(&ours, "web").await;
    let wish =
        json!({"endpoint": ["10.0.0.5", 8080], "additional": {"admin": ["10.0.0.5", 9990]}, "shard": 3});
    let id: u64 = ask(&mut python, format!("join {set} {wish}")).await.parse().unwrap();
    let change = seen(&mut changes, "a member", |change| one(change).is_some()).await;
    let instance = one(&change).unwrap();
    assert_eq!((&*instance.id, instance.status), (&*format!("member_{id:010}"), Status::Up));
    assert_eq!(
        (instance.address.to_string().as_str(), instance.endpoints["admin"].port()),
        ("10.0.0.5:8080", 9990)
    );
    assert_eq!(instance.metadata.get("menagerie.shard").unwrap(), "3");
    let version = ask(&mut python, "version").await;
    let text =
        format!("# Written by twitter.common.zookeeper {version}, Twitter's own library for Python.\n");
    is_recorded("serverset-twitter", &(text + &leaves(&ours, set).await));

    ask(&mut python, format!("watch {set}")).await;
    told(&mut python, "its own", |event| event.starts_with("joined") && event.contains("10.0.0.5:8080"))
        .await;
    let builder = Instance::builder("web").id("ours").host("10.0.0.1").port(80);
    let builder = builder.endpoint("admin", "10.0.0.1:81".parse().unwrap()).metadata("menagerie.shard", "7");
    let registered = register(&ours, builder).await;
    told(&mut python, "ours", |event| event.starts_with("joined") && event.contains("10.0.0.1:80")).await;
    let members = ask_json(&mut python, format!("members {set}")).await;
    let found =
        members.as_array().unwrap().iter().find(|member| member["endpoint"] == "10.0.0.1:80").unwrap();
    assert_eq!((&found["status"], &found["shard"]), (&json!("ALIVE"), &json!(7)));
    assert_eq!(found["additional"], json!({"admin": "10.0.0.1:81"}));
    assert!(found["member"].is_u64(), "{found}");
    assert_eq!(ask(&mut python, format!("cancel {set} {id}")).await, "True");
    seen(&mut changes, "ours alone", |change| one(change).is_some_and(|instance| instance.id == "ours"))
        .await;
    registered.deregister().await.unwrap();
    // It tells of nobody who leaves, not of its own members either; but whoever asks does not find us.
    assert_eq!(ask_json(&mut python, format!("members {set}")).await, json!([]));
}
