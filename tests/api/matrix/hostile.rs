//! The rows of what others write: payloads that are none, a place that is taken, names that lead astray.

use std::time::Duration;

use menagerie::registry::layout::Kind;
use menagerie::registry::{Discovery, Error, Registration, RegistrationState, reconcile::ConflictKind};

use super::world::{World, shows, until, wish};
use crate::support::soon;

/// A megabyte less what a request has around it: the longest payload that a server takes.
const LONGEST: usize = 1024 * 1024 - 1024;

/// Payloads that stand for no instance, in any layout.
fn payloads() -> Vec<Vec<u8>> {
    let address = r#""name":"time","id":"time-9","host":"h","IP":"h","address":"h","Name":"time""#;
    let nan = format!("{{{address},\"port\":NaN,\"PublicPort\":NaN}}");
    let words = format!(
        "{{{address},\"port\":\"80\",\"PublicPort\":\"x\",\"nodes\":[{{\"id\":\"x\"}}],\"serviceEndpoint\":{{\"port\":[]}}}}"
    );
    let twice = "{\"port\":1,\"port\":0,\"nodes\":[],\"nodes\":{},\"name\":1,\"name\":\"time\"}";
    vec![
        Vec::new(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        nan.into_bytes(),
        words.into_bytes(),
        twice.as_bytes().to_vec(),
        [vec![b'['; 100_000], vec![b']'; 100_000]].concat(),
        [b"\"".to_vec(), vec![b'x'; LONGEST], b"\"".to_vec()].concat(),
    ]
}

/// Children that are no instances are skipped, counted and listed; whoever is one is served, and a place beside them is as good.
pub(super) async fn malformed(world: World) {
    let dir = world.make_dir().await;
    // In two layouts the name says all; in server sets it has to be a member's for the payload to matter.
    let name = |number: usize| match world.kind {
        Kind::DubboInterface => format!("dubbo%3A%2F%2Fh%3A{number}0000000%2Ftime"),
        Kind::ServerSet => format!("member_000000000{number}"),
        _ => format!("bad-{number}"),
    };
    let payloads = payloads();
    for (number, payload) in payloads.iter().enumerate() {
        world.stranger.create(format!("{dir}/{}", name(number))).data(payload.clone()).await.unwrap();
    }
    let provider = world.process().await;
    let _first = provider.register(wish(80)).await;
    let services = world.view().await;
    shows(&services, &[80]).await;
    let invalid = services.invalid();
    assert_eq!(
        (invalid.len(), services.stats().invalid_now),
        (payloads.len(), payloads.len()),
        "{invalid:?}"
    );
    for one in invalid.iter() {
        let reason = one.reason.to_string();
        assert!(one.leaf.starts_with(&name(0)[..3]) && (1..300).contains(&reason.len()), "{one:?}");
    }
    assert_eq!(services.pick().unwrap().address.port(), 80);
    let _second = provider.register(wish(81)).await;
    shows(&services, &[80, 81]).await;
    for number in 0..payloads.len() {
        world.stranger.delete(format!("{dir}/{}", name(number))).await.unwrap();
    }
    until("nothing is listed any more", || services.invalid().is_empty()).await;
    shows(&services, &[80, 81]).await;
}

/// Somebody else's leaf in our place is left as it is, told as a conflict, and the place taken the moment it is free. A plain
/// leaf is whoever's address it is, and Dubbo's name says all: what stands there stands for us, and is replaced by a leaf
/// that ends with its session.
pub(super) async fn taken(world: World) {
    let dir = world.make_dir().await;
    let provider = world.process().await;
    let wished = wish(80).build("10.0.0.1:80".parse().unwrap(), [0; 16]).unwrap();
    let leaf = world.layout.leaf(&wished).unwrap();
    assert_eq!(leaf.dir, dir);
    let garbage = if world.kind == Kind::Plain { "" } else { "not ours" };
    world.stranger.create(leaf.path()).data(garbage).await.unwrap();
    let registered = soon(provider.registry.register(wish(80))).await.unwrap();
    if matches!(world.kind, Kind::Plain | Kind::DubboInterface) {
        soon(registered.registered()).await.unwrap();
    } else {
        until("a conflict", || {
            matches!(registered.state(), RegistrationState::Conflict(conflict) if conflict.kind == ConflictKind::Foreign)
        })
        .await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let found = world.leaf(&registered).unwrap();
        assert_eq!((found.data.as_deref(), found.stat.version), (Some(garbage.as_bytes()), 0));
        assert_eq!(registered.status().writes, 0);
        world.stranger.delete(leaf.path()).await.unwrap();
        soon(registered.registered()).await.unwrap();
    }
    let found = world.leaf(&registered).unwrap();
    assert_eq!((found.data.unwrap_or_default(), found.stat.ephemeral_owner), (leaf.data, provider.session()));
}

/// Names that a server takes and a careless reader trips over.
const CHILDREN: [&str; 11] = [
    "\u{202e}gnp.exe",
    "%2e%2e",
    "%2F..%2Fetc",
    "...",
    " ",
    "a&b;c=d",
    "é",
    "$(reboot)",
    "_c_x",
    "member_x",
    "0.0.0.0:80",
];

/// Children with hostile names cost nobody anything: all are looked at, none is called that is no instance.
pub(super) async fn names_of_others(world: World) {
    let provider = world.process().await;
    let registered = provider.register(wish(80)).await;
    let (dir, data) = (
        world.layout.service_dir("time").unwrap(),
        world.leaf(&registered).unwrap().data.unwrap_or_default(),
    );
    let long = "x".repeat(200_000);
    // With garbage, and with the payload of the one that lives.
    for data in [&b"?"[..], &data[..]] {
        for name in CHILDREN.into_iter().chain([long.as_str()]) {
            world.stranger.create(format!("{dir}/{name}")).data(data.to_vec()).await.unwrap();
        }
        let services = world.view().await;
        until("all are looked at", || {
            services.snapshot().len() + services.invalid().len() == CHILDREN.len() + 2
        })
        .await;
        assert!(services.health().is_fresh());
        for one in services.snapshot().iter() {
            assert_eq!(
                (one.address.to_string().as_str(), one.service.as_str()),
                ("10.0.0.1:80", "time"),
                "{one:?}"
            );
        }
        assert!(services.pick().is_some());
        for name in CHILDREN.into_iter().chain([long.as_str()]) {
            world.stranger.delete(format!("{dir}/{name}")).await.unwrap();
        }
        shows(&services, &[80]).await;
    }
}

/// How many levels a leaf stands below the root.
fn depth(kind: Kind) -> usize {
    match kind {
        Kind::Plain => 1,
        Kind::DubboInterface => 3,
        _ => 2,
    }
}

/// Names of ours that are hostile are refused by name, or stand below the root, are found again under the same name, and go
/// without a trace.
pub(super) async fn names_of_ours(world: World) {
    let long = "x".repeat(200_000);
    let names = ["", ".", "..", "../..", "/etc", "a/b", "a\nb", "\0", "\u{85}", "\u{1f600}", long.as_str()];
    let provider = world.process().await;
    let mut refused = 0;
    for name in names.into_iter().chain(CHILDREN) {
        for (service, id) in [(name, "time-80"), ("time", name)] {
            let mut wish = menagerie::registry::Instance::builder(service).host("10.0.0.1").port(80);
            wish = wish.id(id);
            let registered = match soon(provider.registry.register(wish)).await {
                Ok(registered) => registered,
                Err(error) => {
                    assert!(matches!(error, Error::Layout(_) | Error::Instance(_)), "{error}");
                    assert!((1..400).contains(&error.to_string().len()), "{name:.9}: {error}");
                    // These two write a slash in another way.
                    let slashes = matches!(world.kind, Kind::GoMicro | Kind::DubboInterface);
                    assert!(name != "a/b" || !slashes, "{error}");
                    refused += 1;
                    continue;
                }
            };
            soon(registered.registered()).await.unwrap();
            let path = world.leaf(&registered).unwrap().path;
            assert!(path.starts_with(&format!("{}/", world.layout.root())), "{path}");
            let below: Vec<&str> = path[world.layout.root().len() + 1..].split('/').collect();
            assert!(below.iter().all(|part| !matches!(*part, "." | "..")), "{path}");
            assert_eq!(below.len(), depth(world.kind), "{path}");
            let services = soon(provider.registry.discover(service)).await.unwrap();
            until("it is found", || services.snapshot().len() == 1).await;
            let found = services.pick().unwrap();
            assert_eq!(found.service, service);
            assert!(found.id == id || world.kind == Kind::Plain, "{:?} for {id:?}", found.id);
            soon(registered.deregister()).await.unwrap();
            assert!(world.server.tree().iter().all(|node| node.path != path));
        }
    }
    let outside = |path: &str| {
        let root = world.layout.root();
        !(path == "/" || path.starts_with("/zookeeper") || root.starts_with(path) || path.starts_with(root))
    };
    let tree = world.server.tree();
    assert!(tree.iter().all(|node| !outside(&node.path)), "{tree:?}");
    assert!(refused >= 6, "{refused}");
}
