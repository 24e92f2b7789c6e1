//! Dubbo at the level of interfaces, by a Java program on Curator and by a Go program, each with its language's own encoder;
//! and at the level of applications as Go writes it. Java's applications are in `curator`.

use crate::{
    beside::{ask, discover, one, ours, peer, register, seen, stays, told, update},
    on_every_server,
};
use menagerie::registry::{
    Instance, Lifetime, ZooKeeper,
    layout::{DubboApplication, DubboInterface, Encoder},
};
use menagerie_ensemble::Version;
use menagerie_interop::{Peer, Program};

on_every_server!(interfaces_with_java, interfaces_with_go, applications_with_go);

/// With characters that the encoders treat differently, and one that makes a directory's name be encoded.
pub(super) const URL: &str = "dubbo://10.0.0.5:20880/org.x.Demo$Inner?anyhost=true&application=app&deprecated=false&dubbo=2.0.2&dynamic=true&generic=false&interface=org.x.Demo$Inner&methods=sayHello,sayBye&pid=7&release=3.2.0&side=provider&timestamp=1700000000000&version=1.0*~";

async fn interfaces_with_java(connect: String) {
    let java = peer(Program::curator_registry(Version::V3_8), &connect).await;
    interfaces(&connect, java, "/interop-dubbo-java", Encoder::Java).await;
}

async fn interfaces_with_go(connect: String) {
    let go = peer(Program::go("dubbo"), &connect).await;
    interfaces(&connect, go, "/interop-dubbo-go", Encoder::Go).await;
}

async fn interfaces(connect: &str, mut dubbo: Peer, root: &str, encoder: Encoder) {
    let ours =
        ours(connect, DubboInterface::at(root).unwrap().encoder(encoder).consumes("org.x.Other")).await;
    let dir = format!("{root}/org.x.Demo%24Inner/providers");
    let (_view, mut changes) = discover(&ours, "org.x.Demo$Inner").await;
    let leaf = ask(&mut dubbo, format!("provide {dir} {URL}")).await;
    let change = seen(&mut changes, "a provider", |change| one(change).is_some()).await;
    let instance = one(&change).unwrap();
    assert_eq!((&*instance.id, instance.address.to_string().as_str()), ("10.0.0.5:20880", "10.0.0.5:20880"));
    assert_eq!((&*instance.version, instance.registered_at_ms), ("1.0*~", Some(1_700_000_000_000)));
    assert_eq!(
        (instance.lifetime, instance.metadata.get("methods").unwrap()),
        (Lifetime::Session, "sayHello,sayBye")
    );
    // A change is another leaf.
    let weighed = URL.replace("&version=", "&weight=50&version=");
    let other = ask(&mut dubbo, format!("provide {dir} {weighed}")).await;
    seen(&mut changes, "another weight", |change| change.added.iter().any(|instance| instance.weight == 50))
        .await;
    for leaf in [leaf, other] {
        ask(&mut dubbo, format!("delete {leaf}")).await;
    }
    seen(&mut changes, "nobody", |change| change.set.is_empty()).await;
    it_finds_ours(&ours, &mut dubbo, &dir, &format!("{root}/org.x.Other/consumers")).await;
}

async fn it_finds_ours(ours: &ZooKeeper, dubbo: &mut Peer, dir: &str, consumers: &str) {
    ask(dubbo, format!("subscribe {dir}")).await;
    let builder =
        Instance::builder("org.x.Demo$Inner").id("ours").host("10.0.0.1").port(20880).version("1.0*~");
    let builder = builder.weight(50).metadata("methods", "a b,c").registered_at_ms(1_700_000_000_000);
    let registered = register(ours, builder).await;
    let url = told(dubbo, "ours", |event| event.contains("10.0.0.1")).await;
    let expected = concat!(
        "dubbo://10.0.0.1:20880/org.x.Demo$Inner?application=menagerie&deprecated=false&dubbo=2.0.2&dynamic=true",
        "&generic=false&interface=org.x.Demo$Inner&menagerie.id=ours&methods=a b,c&side=provider",
        "&timestamp=1700000000000&version=1.0*~&weight=50"
    );
    assert_eq!(url, expected);
    // Another weight is another leaf, and the first one goes.
    update(&registered, |instance| instance.weight = 7).await;
    let moved = |event: &str| event.contains("weight=7") && !event.contains("weight=50");
    told(dubbo, "ours at its new place alone", moved).await;
    ask(dubbo, format!("subscribe {consumers}")).await;
    let consumer = "consumer://10.0.0.1/org.x.Other?application=menagerie&category=consumers&check=false&interface=org.x.Other";
    told(dubbo, "what ours consumes", |event| event.starts_with(consumer)).await;
    registered.deregister().await.unwrap();
    told(dubbo, "no provider or no consumer", str::is_empty).await;
    told(dubbo, "neither", str::is_empty).await;
    stays(ours, dir).await;
}

async fn applications_with_go(connect: String) {
    let root = "/interop-dubbo-applications";
    let ours = ours(&connect, DubboApplication::at(root, "/interop-dubbo-go").unwrap()).await;
    let mut go = peer(Program::go("dubbo"), &connect).await;
    let (_view, mut changes) = discover(&ours, "shop").await;
    let leaf = ask(&mut go, format!("announce {root} shop 10.0.0.5:20880 8f2")).await;
    let change = seen(&mut changes, "an instance", |change| one(change).is_some()).await;
    assert_eq!(one(&change).unwrap().address.to_string(), "10.0.0.5:20880");
    assert_eq!(one(&change).unwrap().metadata.get("dubbo.metadata.revision").unwrap(), "8f2");
    // It is deleted and made again, and is not missed meanwhile for longer than that.
    ask(&mut go, format!("announce {root} shop 10.0.0.5:20880 8f3")).await;
    let is_next = |instance: &std::sync::Arc<Instance>| {
        instance.metadata.get("dubbo.metadata.revision").unwrap() == "8f3"
    };
    seen(&mut changes, "the next revision", |change| change.set.iter().any(is_next)).await;
    ask(&mut go, format!("delete {leaf}")).await;
    seen(&mut changes, "nobody", |change| change.set.is_empty()).await;
}
