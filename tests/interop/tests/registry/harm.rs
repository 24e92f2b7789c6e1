//! Whose readers a foreign leaf breaks, as `clashes` warns: asked of the readers themselves.

use crate::{
    beside::{ask, ask_json, ours, peer},
    on_every_server,
};
use menagerie::registry::{
    ZooKeeper,
    layout::{Curator, GoMicro, Kind, SpringCloud},
};
use menagerie_ensemble::Version;
use menagerie_interop::{Peer, Program};
use serde_json::{Value, json};

on_every_server!(go_micros_readers, curators_readers);

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../../src/registry/layout/recorded/", $name, ".txt"))
    };
}

/// A leaf of every kind: its name and data, as recorded where they are.
fn leaves() -> Vec<(Kind, String, String)> {
    let recorded = [
        (Kind::GoMicro, recorded!("go-micro"), "server-4"),
        (Kind::Curator, recorded!("curator"), "map"),
        (Kind::SpringCloud, recorded!("spring-cloud"), "app-2"),
        (Kind::DubboInterface, recorded!("dubbo-java"), ""),
        (Kind::DubboApplication, recorded!("dubbo-application"), ""),
        (Kind::Registrator, recorded!("registrator"), ""),
        (Kind::ServerSet, recorded!("serverset"), ""),
        (Kind::Plain, recorded!("plain"), ""),
    ];
    let recorded = recorded.into_iter().map(|(kind, text, named)| {
        let lines: Vec<_> = text.split('\n').skip(1).collect();
        let is_wanted = |pair: &&[&str]| named.is_empty() || pair[0].contains(&format!("/{named} "));
        let pair = lines.chunks_exact(2).find(is_wanted).unwrap();
        let (path, _) = pair[0].rsplit_once(' ').unwrap();
        (kind, path.rsplit_once('/').unwrap().1.to_owned(), pair[1].to_owned())
    });
    let others = [
        (
            Kind::Kratos,
            "k",
            r#"{"id":"k","name":"k","version":"1","metadata":{},"endpoints":["grpc://10.0.0.1:90"]}"#,
        ),
        (Kind::Kitex, "10.0.0.1:90", r#"{"Weight":10,"Tags":{}}"#),
        (Kind::GoKit, "_c_0123456789abcdef0123456789abcdef-0000000001", "10.0.0.1:90"),
        (Kind::Nerve, "i-1_0000000001", r#"{"host":"h","port":1,"name":"x"}"#),
    ];
    recorded.chain(others.map(|(kind, name, data)| (kind, name.to_owned(), data.to_owned()))).collect()
}

/// Puts a leaf of another kind beside one that the reader has put into `dir` itself.
async fn put(registry: &ZooKeeper, dir: &str, name: &str, data: &str) {
    registry.client().create(format!("{dir}/{name}")).data(data.to_owned()).await.unwrap();
}

/// Whether `clashes` warns of what leaves of `kind` do to readers of the registry's own layout.
async fn is_warned(registry: &ZooKeeper, service: &str, kind: Kind) -> bool {
    let clashes = registry.clashes(service).await.unwrap();
    clashes.iter().any(|clash| clash.theirs == kind && clash.our_readers.is_some())
}

async fn go_micros_readers(connect: String) {
    let registry = ours(&connect, GoMicro::new()).await;
    let mut go = peer(Program::go("plugin"), &connect).await;
    for (kind, name, data) in leaves() {
        let service = format!("harm-{kind}");
        let wish = json!({
            "by": 4, "service": {"name": service, "version": "1"}, "node": {"id": "theirs", "address": "10.0.0.1:80"},
        });
        ask(&mut go, format!("register {wish}")).await;
        put(&registry, &format!("/micro-registry/{service}"), &name, &data).await;
        let harmed = go.ask(&format!("get {service}")).await.is_err();
        assert_eq!(is_warned(&registry, &service, kind).await, harmed, "{kind} {data}");
        // Another reader's list is read again by other tests.
        registry.client().delete_recursive(&format!("/micro-registry/{service}")).await.unwrap();
    }
}

/// Whether Curator's reader gives up on the whole service, or hands out an instance that nobody can call.
async fn fails(java: &mut Peer, service: &str) -> bool {
    match java.ask(&format!("query {service}")).await {
        Ok(found) => {
            let found: Value = serde_json::from_str(&found).unwrap();
            found.as_array().unwrap().iter().any(|instance| instance["address"].is_null())
        }
        Err(_) => true,
    }
}

async fn curators_readers(connect: String) {
    let mut java = peer(Program::curator_registry(Version::V3_9), &connect).await;
    let spring = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance";
    for (reader, class) in [(Kind::Curator, "java.lang.Object"), (Kind::SpringCloud, spring)] {
        let root = format!("/interop-harm/{reader}");
        let registry = match reader {
            Kind::Curator => ours(&connect, Curator::at(&root).unwrap()).await,
            _ => ours(&connect, SpringCloud::at(&root).unwrap()).await,
        };
        ask(&mut java, format!("open {class} {root} true")).await;
        for (kind, name, data) in leaves() {
            let service = format!("by-{kind}");
            ask(&mut java, format!("register {}", json!({"name": service, "id": "theirs", "port": 80})))
                .await;
            assert_eq!(ask_json(&mut java, format!("query {service}")).await[0]["port"], 80);
            // The classes of this test's own class path are on nobody else's.
            let unknown =
                if reader == Kind::Curator { data.replace("\"org.", "\"unknown.") } else { data.clone() };
            put(&registry, &format!("{root}/{service}"), &name, &unknown).await;
            let harmed = fails(&mut java, &service).await;
            registry.client().set(format!("{root}/{service}/{name}"), data).await.unwrap();
            assert_eq!(is_warned(&registry, &service, kind).await, harmed, "{reader} by {kind} {unknown}");
        }
    }
}
