//! The registry's health and its metrics, on the embedded server: what a readiness endpoint and a collector of metrics would see.

use std::collections::BTreeMap;

use menagerie::client::{Builder, Client, Metric, Transport, prometheus};
use menagerie::registry::layout::GoMicro;
use menagerie::registry::{
    Discovery, HealthCheck, Instance, InstanceBuilder, Registration, RegistrationState, Registry,
    RegistryHealth, Trouble, Verdict, ZooKeeper,
};
use menagerie::session::{End, Server as Host, State};
use menagerie_server::Server;

use crate::support::{settle, soon};

async fn client(server: &Server) -> Client {
    let connector = server.connector();
    let transport = Transport::custom(move |_, _| connector.connect());
    let host = Host { host: String::from("embedded"), port: 2181 };
    Builder::servers(vec![host]).transport(transport).connect().await.unwrap()
}

fn wish(service: &str) -> InstanceBuilder {
    Instance::builder(service).id(format!("{service}-1")).host("10.0.0.1").port(1)
}

async fn until(registry: &ZooKeeper, wanted: Verdict) -> RegistryHealth {
    soon(async {
        while registry.health().verdict() != wanted {
            settle().await;
        }
    })
    .await;
    registry.health()
}

#[tokio::test(start_paused = true)]
async fn an_outage_impairs_a_registry_and_does_not_make_it_unready() {
    let server = Server::start().await.unwrap();
    let registry = ZooKeeper::new(&client(&server).await, GoMicro::new());
    let registered = soon(registry.register(wish("time"))).await.unwrap();
    let services = soon(registry.discover("time")).await.unwrap();
    let health = until(&registry, Verdict::Good).await;
    assert_eq!((health.registrations.len(), health.views.len(), health.to_string().as_str()), (1, 1, "good"));
    server.stop().await.unwrap();
    let health = until(&registry, Verdict::Impaired).await;
    assert!(health.is_ready(), "{health}");
    assert!(
        health.troubles().iter().any(|trouble| matches!(trouble, Trouble::Session(State::Disconnected))),
        "{health}"
    );
    server.restart().await.unwrap();
    until(&registry, Verdict::Good).await;
    drop(services);
    soon(registered.deregister()).await.unwrap();
    let health = registry.health();
    assert!(health.registrations.is_empty() && health.views.is_empty(), "{health:?}");
    soon(registry.close()).await.unwrap();
    let health = registry.health();
    assert_eq!(
        (health.verdict(), health.troubles()),
        (Verdict::Bad, vec![Trouble::Session(State::Ended(End::Closed))])
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_place_is_taken_is_not_ready() {
    let server = Server::start().await.unwrap();
    let writer = client(&server).await;
    let theirs = "{\"name\":\"time\",\"nodes\":[{\"id\":\"other\",\"address\":\"10.0.0.9:1\"}]}";
    writer.create("/micro-registry/time/time-1").data(theirs).parents().await.unwrap();
    let registry = ZooKeeper::new(&client(&server).await, GoMicro::new());
    let registered = soon(registry.register(wish("time"))).await.unwrap();
    let health = until(&registry, Verdict::Bad).await;
    assert!(matches!(registered.state(), RegistrationState::Conflict(_)));
    assert!(!health.is_ready() && health.to_string().contains("taken"), "{health}");
    writer.delete("/micro-registry/time/time-1").await.unwrap();
    until(&registry, Verdict::Good).await;
}

/// The values by name and labels, as the page for Prometheus has them.
fn values(metrics: &[Metric]) -> BTreeMap<String, String> {
    let page = prometheus(metrics);
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| (name.into(), value.into())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_happens_shows_in_the_metrics() {
    let server = Server::start().await.unwrap();
    let registry = ZooKeeper::new(&client(&server).await, GoMicro::new());
    let check = HealthCheck::custom("disk", || async { Ok::<(), &str>(()) }).up_at_first();
    let registered = soon(registry.register_checked(wish("time"), vec![check])).await.unwrap();
    soon(registered.registered()).await.unwrap();
    let services = soon(registry.discover("time")).await.unwrap();
    assert!(services.pick().is_some());
    let mut metrics = registry.client().metrics();
    metrics.extend(registered.metrics());
    metrics.extend(services.metrics());
    metrics.extend(registry.health().metrics());
    let values = values(&metrics);
    let about = "service=\"time\",id=\"time-1\"";
    for (name, value) in [
        ("menagerie_client_connected", "1"),
        ("menagerie_client_sessions_total", "1"),
        ("menagerie_session_connects_total", "1"),
        (&format!("menagerie_registration_state{{state=\"registered\",{about}}}"), "1"),
        (&format!("menagerie_registration_state{{state=\"pending\",{about}}}"), "0"),
        (&format!("menagerie_health_check_up{{check=\"disk\",{about}}}"), "1"),
        ("menagerie_view_instances{service=\"time\"}", "1"),
        ("menagerie_view_fresh{service=\"time\"}", "1"),
        ("menagerie_picks_total{service=\"time\"}", "1"),
        ("menagerie_registry_ready", "1"),
    ] {
        assert_eq!(values.get(name).map(String::as_str), Some(value), "{name} in {values:#?}");
    }
    assert!(values.keys().any(|name| name.starts_with("menagerie_operations_total{op=\"multiRead\"")
        || name.starts_with("menagerie_operations_total{op=\"getData\"")));
}
