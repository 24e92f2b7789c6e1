//! The article's demo: `/go_servers/IP:PORT`, a random pick, `timestamp` in, `host:time` out.

use crate::{
    beside::{BUDGET, answering, ask, ask_json, call, discover, ours, peer, register, seen},
    on_every_server,
};
use menagerie::registry::{Balance, Instance, Lifetime, layout::Plain};
use menagerie_interop::Program;
use std::collections::BTreeSet;

on_every_server!(both_serve_and_both_call);

async fn both_serve_and_both_call(connect: String) {
    let ours = ours(&connect, Plain::new()).await;
    let mut go = peer(Program::go("demo"), &connect).await;
    let (view, mut changes) = discover(&ours, "time").await;
    let theirs = [ask(&mut go, "serve").await, ask(&mut go, "serve").await];
    let at = answering().await;
    let builder = Instance::builder("time").host(at.ip().to_string()).port(at.port());
    let registered = register(&ours, builder).await;
    let all = BTreeSet::from([theirs[0].clone(), theirs[1].clone(), at.to_string()]);
    let change = seen(&mut changes, "all three", |change| change.set.len() == 3).await;
    let lasting = change.set.iter().filter(|instance| instance.lifetime == Lifetime::Persistent);
    assert_eq!(lasting.map(|instance| instance.id.clone()).collect::<BTreeSet<_>>(), theirs.into());

    // We call all of them, and each says where it is.
    let services = view.balanced(Balance::RoundRobin);
    let mut called = BTreeSet::new();
    for _ in 0..3 {
        let address = services.pick().unwrap().address.to_string();
        let answer = tokio::time::timeout(BUDGET, call(&address)).await.unwrap().unwrap();
        assert!(answer.starts_with(&format!("{address}:")), "{answer}");
        called.insert(address);
    }
    assert_eq!(called, all);

    // It calls all of them, at random: 100 calls miss one of three once in 10^17 times.
    let servers: BTreeSet<String> = serde_json::from_value(ask_json(&mut go, "servers").await).unwrap();
    assert_eq!(servers, all);
    let mut answered = BTreeSet::new();
    for _ in 0..100 {
        let answer = ask(&mut go, "call").await;
        answered.extend(all.iter().filter(|address| answer.starts_with(&format!("{address}:"))).cloned());
    }
    assert_eq!(answered, all);
    registered.deregister().await.unwrap();
    let left: BTreeSet<String> = serde_json::from_value(ask_json(&mut go, "servers").await).unwrap();
    assert!(left.len() == 2 && !left.contains(&at.to_string()), "{left:?}");
}
