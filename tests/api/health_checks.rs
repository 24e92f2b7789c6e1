//! Registrations that health checks gate, on the embedded server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use menagerie::client::{Builder, Client, Transport};
use menagerie::registry::layout::{GoMicro, Layout, SpringCloud};
use menagerie::registry::{
    Discovery, HealthCheck, Instance, Registered, Registration, RegistrationState, Services, Status,
    ZooKeeper,
};
use menagerie::session::Server as Host;
use menagerie_server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::soon;

async fn client(server: &Server) -> Client {
    let connector = server.connector();
    let transport = Transport::custom(move |_, _| connector.connect());
    let host = Host { host: String::from("embedded"), port: 2181 };
    Builder::servers(vec![host]).transport(transport).connect().await.unwrap()
}

/// A check that passes as long as the switch is on.
fn switch(on: bool) -> (Arc<AtomicBool>, HealthCheck) {
    let passes = Arc::new(AtomicBool::new(on));
    let asked = Arc::clone(&passes);
    let check = HealthCheck::custom("disk", move || {
        let passes = asked.load(Ordering::SeqCst);
        async move { if passes { Ok(()) } else { Err("it is full") } }
    });
    (passes, check)
}

async fn checked(
    server: &Server,
    layout: impl Layout + Clone + 'static,
    check: HealthCheck,
) -> (Registered, Services) {
    let providers = ZooKeeper::new(&client(server).await, layout.clone());
    let wish = Instance::builder("time").id("time-1").host("127.0.0.1").port(1);
    let registered = soon(providers.register_checked(wish, vec![check])).await.unwrap();
    let consumers = ZooKeeper::new(&client(server).await, layout);
    (registered, soon(consumers.discover("time")).await.unwrap())
}

async fn until(services: &Services, wanted: impl Fn(&Services) -> bool) {
    let mut changes = services.changes();
    soon(async {
        while !wanted(services) {
            changes.next().await.expect("the view goes on");
        }
    })
    .await;
}

fn count(wanted: usize) -> impl Fn(&Services) -> bool {
    move |services| services.snapshot().len() == wanted
}

#[tokio::test(start_paused = true)]
async fn where_a_layout_knows_no_status_an_instance_is_there_only_while_its_check_passes() {
    let server = Server::start().await.unwrap();
    let (disk, check) = switch(false);
    let (registered, services) = checked(&server, GoMicro::new(), check).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!server.tree().iter().any(|node| node.path.ends_with("/time-1")), "it was never written");
    assert_eq!(registered.state(), RegistrationState::Withdrawn);
    for _ in 0..3 {
        disk.store(true, Ordering::SeqCst);
        until(&services, count(1)).await;
        soon(registered.registered()).await.unwrap();
        let writes = registered.status().writes;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(registered.status().writes, writes, "a check that goes on passing writes nothing");
        disk.store(false, Ordering::SeqCst);
        until(&services, count(0)).await;
    }
    disk.store(true, Ordering::SeqCst);
    until(&services, count(1)).await;
    // The wish goes on through an expiry, and the check with it.
    let owner = server.sessions().iter().find(|session| !session.ephemerals.is_empty()).unwrap().id;
    let writes = registered.status().writes;
    let mut events = registered.events();
    server.expire(owner);
    soon(async {
        while !events
            .next()
            .await
            .is_some_and(|status| status.state == RegistrationState::Registered && status.writes > writes)
        {
        }
    })
    .await;
    until(&services, count(1)).await;
    soon(registered.deregister()).await.unwrap();
    until(&services, count(0)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(services.snapshot().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_a_layout_knows_a_status_it_stays_and_says_so() {
    let server = Server::start().await.unwrap();
    let (disk, check) = switch(false);
    let (_registered, services) = checked(&server, SpringCloud::new(), check).await;
    let status = |services: &Services| services.snapshot().iter().next().map(|instance| instance.status);
    until(&services, |services| status(services) == Some(Status::OutOfService)).await;
    assert!(services.pick().is_none());
    disk.store(true, Ordering::SeqCst);
    until(&services, |services| status(services) == Some(Status::Up)).await;
    assert!(services.pick().is_some());
    disk.store(false, Ordering::SeqCst);
    until(&services, |services| status(services) == Some(Status::OutOfService)).await;
    assert_eq!(services.snapshot().len(), 1);
}

/// By the clock, since a real socket is asked.
#[tokio::test]
async fn an_instance_that_answers_500_vanishes_and_returns_when_it_answers_200() {
    let server = Server::start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let well = Arc::new(AtomicBool::new(true));
    let is_well = Arc::clone(&well);
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let status = if is_well.load(Ordering::SeqCst) { "200 OK" } else { "500 No" };
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await;
        }
    });
    let check = HealthCheck::http(&format!("http://127.0.0.1:{port}/health")).unwrap();
    let check = check.every(Duration::from_millis(20));
    let (registered, services) = checked(&server, GoMicro::new(), check).await;
    until(&services, count(1)).await;
    well.store(false, Ordering::SeqCst);
    until(&services, count(0)).await;
    assert!(registered.checks().iter().all(|check| !check.is_up));
    well.store(true, Ordering::SeqCst);
    until(&services, count(1)).await;
    serving.abort();
    until(&services, count(0)).await;
}
