//! What the log says of registrations and views: each turn once, under a target that stays, and nothing in every round.

use std::time::Duration;

use menagerie::client::{Builder, Client, Transport};
use menagerie::registry::layout::GoMicro;
use menagerie::registry::limits::EJECT_CONSECUTIVE;
use menagerie::registry::{
    Discovery, Instance, InstanceBuilder, Memory, Registered, Registration, RegistrationState, Services,
    Status, ZooKeeper,
};
use menagerie::session::Server as Host;
use menagerie_server::Server;

use crate::log::log;
use crate::support::{settle, soon};

const REGISTRATION: &str = "menagerie::registration";
const DISCOVERY: &str = "menagerie::discovery";

async fn client(server: &Server) -> Client {
    let connector = server.connector();
    let transport = Transport::custom(move |_, _| connector.connect());
    let host = Host { host: String::from("embedded"), port: 2181 };
    Builder::servers(vec![host]).transport(transport).connect().await.unwrap()
}

fn wish(service: &str) -> InstanceBuilder {
    Instance::builder(service).id(format!("{service}-1")).host("10.0.0.1").port(1)
}

/// Waits until the registration stands so, behind so many losses.
async fn until(registered: &Registered, state: RegistrationState, losses: u64) {
    let mut events = registered.events();
    soon(async {
        loop {
            let status = events.next().await.expect("the registration goes on");
            if (status.state, status.losses) == (state, losses) {
                return;
            }
        }
    })
    .await;
}

async fn count(services: &Services, instances: usize) {
    let mut changes = services.changes();
    soon(async {
        while services.snapshot().len() != instances {
            changes.next().await.expect("the view goes on");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_turn_of_a_registration_is_told_once() {
    let log = log();
    let server = Server::start().await.unwrap();
    let (owner, stranger) = (client(&server).await, client(&server).await);
    let registry = ZooKeeper::new(&owner, GoMicro::new());
    let registered = soon(registry.register(wish("told"))).await.unwrap();
    until(&registered, RegistrationState::Registered, 0).await;
    server.expire(owner.status().session_id.unwrap());
    until(&registered, RegistrationState::Registered, 1).await;
    stranger.delete("/micro-registry/told/told-1").await.unwrap();
    until(&registered, RegistrationState::Registered, 2).await;
    let mut instance = Instance::clone(&registered.instance());
    instance.status = Status::OutOfService;
    registered.update(instance.clone()).unwrap();
    until(&registered, RegistrationState::Withdrawn, 2).await;
    // Somebody else is faster.
    let theirs = "{\"name\":\"told\",\"nodes\":[{\"id\":\"other\",\"address\":\"10.0.0.9:1\"}]}";
    stranger.create("/micro-registry/told/told-1").data(theirs).await.unwrap();
    instance.status = Status::Up;
    registered.update(instance).unwrap();
    soon(async {
        while !matches!(registered.state(), RegistrationState::Conflict(_)) {
            settle().await;
        }
    })
    .await;
    // The conflict lasts, and is looked at again with each of their writes.
    for _ in 0..5 {
        stranger.set("/micro-registry/told/told-1", theirs).await.unwrap();
        settle().await;
    }
    stranger.delete("/micro-registry/told/told-1").await.unwrap();
    until(&registered, RegistrationState::Registered, 2).await;
    soon(registered.deregister()).await.unwrap();
    let lines = log.lines(REGISTRATION, "told-1");
    let turns: Vec<_> = lines.iter().filter(|line| !line.starts_with("DEBUG")).map(String::as_str).collect();
    let about = "service=\"told\" id=\"told-1\"";
    let taken = "path=\"/micro-registry/told/told-1\" kind=Foreign owner=\"0x0\"";
    let conflict = format!("WARN [somebody else's znode is in a registration's place] {taken}");
    assert_eq!(
        turns,
        [
            format!("INFO [registered] {about}"),
            format!("WARN [a registration was lost, and is made again] {about} loss=Expired"),
            format!("INFO [registered] {about}"),
            format!("WARN [a registration was lost, and is made again] {about} loss=Deleted"),
            format!("INFO [registered] {about}"),
            format!("INFO [nothing is registered, as wished] {about}"),
            conflict,
            format!("INFO [registered] {about}"),
            format!("INFO [nothing is registered, as wished] {about}"),
        ]
    );
    let writes = lines.iter().filter(|line| line.contains("[a write of a registration]")).count();
    assert!(writes >= 5, "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn each_turn_of_a_view_is_told_once_and_what_repeats_is_not() {
    let log = log();
    let server = Server::start().await.unwrap();
    let (reader, writer) = (client(&server).await, client(&server).await);
    let dir = "/micro-registry/viewed";
    let services = soon(ZooKeeper::new(&reader, GoMicro::new()).discover("viewed")).await.unwrap();
    let good = "{\"name\":\"viewed\",\"nodes\":[{\"id\":\"a\",\"address\":\"10.0.0.1:1\"}]}";
    writer.create(format!("{dir}/a")).data(good).parents().await.unwrap();
    count(&services, 1).await;
    for round in 0..20 {
        writer.create(format!("{dir}/bad-{round}")).data("no JSON, and hunter2").await.unwrap();
        settle().await;
    }
    for _ in 0..3 {
        server.stop().await.unwrap();
        while services.stale_since().is_none() {
            settle().await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.restart().await.unwrap();
        while services.stale_since().is_some() {
            settle().await;
        }
    }
    let lines = log.lines(DISCOVERY, "viewed");
    let told = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    // It begins stale, as long as nothing was read.
    assert_eq!((told("[the view is stale]"), told("[the view is fresh]")), (4, 4), "{lines:#?}");
    let skipped = told("[children that stand for no instance are skipped]");
    assert_eq!(skipped, 1, "20 came within the minute: {lines:#?}");
    assert_eq!(lines.len(), 9, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn half_of_a_hundred_ejected_are_counted_and_some_are_told() {
    let log = log();
    let registry = Memory::new();
    let mut kept = Vec::new();
    for port in 1..=100 {
        let wish = Instance::builder("failing").id(format!("failing-{port}")).host("10.0.0.1").port(port);
        kept.push(registry.register(wish).await.unwrap());
    }
    let services = registry.discover("failing").await.unwrap();
    for instance in services.snapshot().iter() {
        // Picked so that it is known.
        assert!(services.pick().is_some());
        for _ in 0..EJECT_CONSECUTIVE {
            services.report_failure(instance);
        }
    }
    assert_eq!(services.stats().picks.ejected, 50);
    let told = |text: &str| {
        log.lines("menagerie::picks", "failing-").iter().filter(|line| line.contains(text)).count()
    };
    assert_eq!(told("WARN [calls fail: ejected]"), 10);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let instance = services.snapshot().iter().next().unwrap().clone();
        services.report_failure(&instance);
    }
    assert!(told("WARN [calls fail: ejected]") > 10, "after a while it is said again");
}
