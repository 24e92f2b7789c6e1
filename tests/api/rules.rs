//! What stands beside instances and changes what views show of them: weight vectors of server sets, Dubbo's configurators.

use menagerie::client::{Builder, Client, Transport};
use menagerie::jute::{ErrorCode, OpCode};
use menagerie::registry::layout::{Category, DubboInterface, Encoder, ServerSet};
use menagerie::registry::{Discovery, Instance, Registration, Services, Status, Union, ZooKeeper};
use menagerie::session::Server as Host;
use menagerie_server::{Matcher, Server};

use crate::support::{settle, soon};

async fn client(server: &Server) -> Client {
    let connector = server.connector();
    let transport = Transport::custom(move |_, _| connector.connect());
    let host = Host { host: String::from("embedded"), port: 2181 };
    Builder::servers(vec![host]).transport(transport).connect().await.unwrap()
}

/// The instances by port, each with its weight and whether it is up.
fn shown(services: &Services) -> Vec<(u16, u32, bool)> {
    let set = services.snapshot();
    let mut shown: Vec<_> =
        set.iter().map(|one| (one.address.port(), one.weight, one.status == Status::Up)).collect();
    shown.sort_unstable();
    shown
}

async fn until(services: &Services, wanted: &[(u16, u32, bool)]) {
    let waited = async {
        while shown(services) != wanted {
            settle().await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(120), waited).await;
    assert!(waited.is_ok(), "{:?} instead of {wanted:?}", shown(services));
}

#[tokio::test(start_paused = true)]
async fn weight_vectors_weigh_the_members_beside_them() {
    let server = Server::start().await.unwrap();
    let (owner, stranger) = (client(&server).await, client(&server).await);
    let layout = ServerSet::at("/discovery").unwrap();
    let registry = ZooKeeper::new(&owner, layout.clone());
    let mut kept = Vec::new();
    for port in [1, 2] {
        let wish = Instance::builder("svc").id(format!("member_000000000{port}")).host("h").port(port);
        let registered = soon(registry.register(wish.weight(u32::from(port)))).await.unwrap();
        soon(registered.registered()).await.unwrap();
        kept.push(registered);
    }
    let services = soon(ZooKeeper::new(&stranger, layout.clone()).discover("svc")).await.unwrap();
    until(&services, &[(1, 1, true), (2, 2, true)]).await;
    let writes: u64 = kept.iter().map(|registered| registered.status().writes).sum();
    let vector =
        |weight: &str| format!(r#"{{"vector":[{{"select":"inet=h:1","weight":{weight},"priority":1}}]}}"#);
    stranger.create("/discovery/svc/vector_0000000003").data(vector("0.5")).await.unwrap();
    until(&services, &[(1, 50, true), (2, 200, true)]).await;
    let before = services.snapshot();
    assert!(services.invalid().is_empty(), "a vector is no malformed member");
    stranger.create("/discovery/svc/vector_0000000004").data(vector("4")).await.unwrap();
    until(&services, &[(1, 200, true), (2, 200, true)]).await;
    let same = |port: usize| {
        std::ptr::eq(&*before.entries()[port].instance, &*services.snapshot().entries()[port].instance)
    };
    assert!(same(1) && !same(0), "who is weighed as before is the same");
    stranger.set("/discovery/svc/vector_0000000004", vector("0")).await.unwrap();
    until(&services, &[(1, 0, true), (2, 200, true)]).await;
    stranger.set("/discovery/svc/vector_0000000004", "{").await.unwrap();
    until(&services, &[(1, 50, true), (2, 200, true)]).await;
    assert_eq!(services.invalid()[0].leaf.as_ref(), "vector_0000000004");
    // So they do in a view of several.
    let union = Union::new([ZooKeeper::new(&owner, layout)]);
    until(&soon(union.discover("svc")).await.unwrap(), &[(1, 50, true), (2, 200, true)]).await;
    for number in [3, 4] {
        stranger.delete(format!("/discovery/svc/vector_000000000{number}")).await.unwrap();
    }
    until(&services, &[(1, 1, true), (2, 2, true)]).await;
    let total: u64 = kept.iter().map(|registered| registered.status().writes).sum();
    assert_eq!(total, writes, "nothing of it is written");
}

/// The name of a rule as Dubbo's console writes it.
fn rule(url: &str) -> String {
    let mut name = String::new();
    for byte in url.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                name.push(char::from(byte))
            }
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

#[tokio::test(start_paused = true)]
async fn dubbos_configurators_change_the_providers_beside_them() {
    let server = Server::start().await.unwrap();
    let (owner, stranger) = (client(&server).await, client(&server).await);
    let layout = DubboInterface::new().encoder(Encoder::Java);
    let registry = ZooKeeper::new(&owner, layout.clone());
    let mut kept = Vec::new();
    for port in [1, 2] {
        let wish = Instance::builder("org.x.Demo").host("10.0.0.5").port(port).weight(100);
        let registered = soon(registry.register(wish)).await.unwrap();
        soon(registered.registered()).await.unwrap();
        kept.push(registered);
    }
    let dir = layout.category_dir("org.x.Demo", Category::Configurators).unwrap();
    // A rule that is there already is in the first set: nobody is called before it is known whether he is out of service.
    let ban = format!(
        "{dir}/{}",
        rule("override://10.0.0.5:1/org.x.Demo?category=configurators&disabled=true&dynamic=false")
    );
    stranger.create(ban.as_str()).parents().await.unwrap();
    let services = soon(ZooKeeper::new(&stranger, layout.clone()).discover("org.x.Demo")).await.unwrap();
    assert_eq!(shown(&services), [(1, 100, false), (2, 100, true)]);
    assert!((0..20).all(|_| services.pick().unwrap().address.port() == 2));
    let weight = format!("{dir}/{}", rule("override://0.0.0.0/org.x.Demo?category=configurators&weight=30"));
    stranger.create(weight.as_str()).await.unwrap();
    until(&services, &[(1, 30, false), (2, 30, true)]).await;
    stranger.delete(ban.as_str()).await.unwrap();
    until(&services, &[(1, 30, true), (2, 30, true)]).await;
    for other in ["route://0.0.0.0/org.x.Demo?rule=x", "no rule"] {
        stranger.create(format!("{dir}/{}", rule(other))).await.unwrap();
    }
    soon(async {
        while services.invalid().len() != 2 {
            settle().await
        }
    })
    .await;
    // Rules outlive an outage, and what cannot be read of them changes nothing.
    server.stop().await.unwrap();
    while services.stale_since().is_none() {
        settle().await;
    }
    assert_eq!(shown(&services), [(1, 30, true), (2, 30, true)]);
    server.restart().await.unwrap();
    server.fail(Matcher::op(OpCode::GET_CHILDREN2).path(dir.as_str()).times(1000), ErrorCode::NO_AUTH);
    soon(async {
        while services.stale_since().is_some() || services.invalid().len() != 1 {
            settle().await
        }
    })
    .await;
    assert_eq!(shown(&services), [(1, 30, true), (2, 30, true)]);
    // Nor does a view wait for ever because of them.
    let late = soon(ZooKeeper::new(&stranger, layout).discover("org.x.Demo")).await.unwrap();
    assert_eq!(shown(&late), [(1, 100, true), (2, 100, true)]);
    assert!(late.invalid()[0].leaf.ends_with("/configurators"), "{:?}", late.invalid());
    server.forget_plans();
    until(&late, &[(1, 30, true), (2, 30, true)]).await;
    assert_eq!(kept.len(), 2);
}
