//! A Go program that is registered as go-micro's plugin does it, persistently, and is killed: nobody takes its leaf away.

use crate::{
    beside::{answering, ask, call, discover, ours, peer, register, seen},
    on_every_server,
};
use menagerie::registry::{Balance, Instance, Services, layout::GoMicro};
use menagerie_interop::Program;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

on_every_server!(a_killed_one_gets_no_calls_and_is_back_with_its_return);

/// From the first failed call to the last one risked, and from the process's return to its first call.
const ALLOWED: Duration = Duration::from_secs(3);
/// How long it stays away after that: several times the pause between probes.
const AWAY: Duration = Duration::from_secs(6);
/// Between the calls of our consumer.
const PACE: Duration = Duration::from_millis(5);

/// Calls whoever is picked, and says whom, and whether it answered.
async fn one_call(services: &Services) -> (String, bool) {
    let attempt = services.attempt().unwrap();
    let address = attempt.instance().address.to_string();
    tokio::time::sleep(PACE).await;
    match call(&address).await {
        Ok(answer) if answer.starts_with(&format!("{address}:")) => {
            attempt.succeeded();
            (address, true)
        }
        _ => {
            attempt.failed();
            (address, false)
        }
    }
}

/// Calls until `address` answers, and says how long that took.
async fn until_answered(services: &Services, address: &str) -> Duration {
    let began = Instant::now();
    while one_call(services).await != (address.to_owned(), true) {
        assert!(began.elapsed() < crate::beside::BUDGET, "{address} never answers");
    }
    began.elapsed()
}

async fn a_killed_one_gets_no_calls_and_is_back_with_its_return(connect: String) {
    let ours = ours(&connect, GoMicro::new()).await;
    let at = answering().await;
    let living = Instance::builder("mortal").id("living").host(at.ip().to_string()).port(at.port());
    let _living = register(&ours, living).await;
    let mut go = peer(Program::go("plugin"), &connect).await;
    let address = ask(&mut go, "serve 127.0.0.1:0").await;
    let wish = json!({
        "by": 4, "service": {"name": "mortal", "version": "1"},
        "node": {"id": "mortal-1", "address": address, "metadata": {"protocol": "grpc"}},
    });
    assert_eq!(ask(&mut go, format!("register {wish}")).await, "created");
    let (view, mut changes) = discover(&ours, "mortal").await;
    seen(&mut changes, "both", |change| change.set.len() == 2).await;
    let services = view.balanced(Balance::RoundRobin);
    until_answered(&services, &address).await;

    go.kill().unwrap();
    let mut first_failure = None;
    let mut calls = 0;
    while first_failure.is_none_or(|first: Instant| first.elapsed() < ALLOWED + AWAY) {
        let began = Instant::now();
        let (called, answered) = one_call(&services).await;
        assert!(answered || called == address, "the living one failed");
        calls += 1;
        if called == address {
            assert!(!answered, "it is dead");
            let first = *first_failure.get_or_insert(began);
            assert!(began.duration_since(first) < ALLOWED, "a call goes to it {:?} later", began - first);
        }
    }
    assert!(calls > 100, "{calls} calls are no load");
    assert_eq!(services.snapshot().len(), 2, "its leaf is still there");

    // Back at its address; its leaf is as it was until it registers, which changes nothing in it.
    let mut go = peer(Program::go("plugin"), &connect).await;
    ask(&mut go, format!("serve {address}")).await;
    let took = until_answered(&services, &address).await;
    assert!(took < ALLOWED, "back after {took:?}");
    assert_eq!(ask(&mut go, format!("register {wish}")).await, "set");
    until_answered(&services, &address).await;
}
