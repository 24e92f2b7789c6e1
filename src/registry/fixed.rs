//! A registry that is a list: for configuration files, and for networks without a registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use super::address::{Address, settle};
use super::health::{Ledger, RegistryHealth};
use super::names::{NamesKeeper, SeenNames, ServiceNames};
use super::registered::{Control, Registered, RegistrationState, RegistrationStatus, check_stays};
use super::services::{Seen, Services, Source};
use super::traits::{BoxFuture, Discovery, Registration, Registry};
use super::view::{Entry, Set};
use super::{Error, Instance, InstanceBuilder, Lifetime, entropy};

/// A fixed list of addresses by service.
///
/// Its instances are persistent: nobody removes one that died, so one whose calls fail is a suspect. Registering writes
/// nothing: an instance whose address is listed is registered already, and any other stays
/// [`Pending`](RegistrationState::Pending), with a warning in the log.
#[derive(Debug)]
pub struct Fixed {
    services: BTreeMap<String, Arc<Set>>,
    ledger: Ledger,
}

impl Fixed {
    /// The registry that knows these addresses. An address that a service lists twice counts once.
    #[must_use]
    pub fn new(services: BTreeMap<String, Vec<Address>>) -> Self {
        let set = |service: &str, addresses: Vec<Address>| {
            let entry = |address: Address| {
                let leaf: Arc<str> = address.to_string().into();
                let mut instance = Instance::new(service, &*leaf, address);
                instance.lifetime = Lifetime::Persistent;
                (leaf.clone(), Entry { leaf, instance: Arc::new(instance) })
            };
            let entries: BTreeMap<_, _> = addresses.into_iter().map(entry).collect();
            Arc::new(Set::from_sorted(entries.into_values().collect()))
        };
        let services = services.into_iter().map(|(service, addresses)| {
            let set = set(&service, addresses);
            (service, set)
        });
        Self { services: services.collect(), ledger: Ledger::default() }
    }

    fn list(&self, service: &str) -> Arc<Set> {
        self.services.get(service).cloned().unwrap_or_default()
    }
}

/// Nothing changes a fixed list; an instance is on it or not.
struct Listed {
    list: Arc<Set>,
    service: String,
    id: String,
    status: watch::Sender<RegistrationStatus>,
}

/// Where an instance stands, with a warning if it is not on the list.
fn state(list: &Set, instance: &Instance) -> RegistrationState {
    if list.iter().any(|other| other.address == instance.address) {
        return RegistrationState::Registered;
    }
    warn!(target: "menagerie::registration", service = %instance.service, address = %instance.address, "not in the fixed list of instances");
    RegistrationState::Pending
}

impl Control for Listed {
    fn update(&self, changed: &[Arc<Instance>]) -> Result<u64, Error> {
        let [instance] = changed else { return Ok(0) };
        check_stays(&self.service, &self.id, instance)?;
        let state = state(&self.list, instance);
        self.status.send_modify(|status| status.state = state);
        Ok(0)
    }

    fn withdraw(&self) -> u64 {
        self.status.send_modify(|status| status.state = RegistrationState::Withdrawn);
        0
    }
}

impl Registration for Fixed {
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>> {
        Box::pin(async move {
            let (address, _) = settle(instance.given(), |name| std::env::var(name).ok(), None)?;
            let instance = Arc::new(instance.build(address, entropy())?);
            let list = self.list(&instance.service);
            let state = state(&list, &instance);
            let (status, receiver) =
                watch::channel(RegistrationStatus { state, ..RegistrationStatus::PENDING });
            let listed = Listed { list, service: instance.service.clone(), id: instance.id.clone(), status };
            Ok(self.ledger.registered(Registered::new(Box::new(listed), instance, Vec::new(), receiver)))
        })
    }
}

impl Discovery for Fixed {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let (sender, seen) = watch::channel(Seen { set: Some(self.list(service)), ..Seen::default() });
        let services =
            self.ledger.discovered(Services::new(service, seen, Source::Fixed { _sender: sender }));
        Box::pin(async move { Ok(services) })
    }

    fn services(&self) -> BoxFuture<'_, Result<ServiceNames, Error>> {
        let names = self.services.keys().cloned().collect();
        let (sender, seen) =
            watch::channel(SeenNames { names: Some(Arc::new(names)), ..SeenNames::default() });
        let names = ServiceNames::new(seen, NamesKeeper::Fixed { _sender: sender });
        Box::pin(async move { Ok(names) })
    }
}

impl Registry for Fixed {
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn health(&self) -> RegistryHealth {
        self.ledger.health(None)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use futures_core::Stream;

    use super::*;
    use crate::registry::{Balance, connect};

    #[tokio::test]
    async fn a_list_is_discovered_and_its_dead_are_passed_over() {
        let registry = connect("static:time=h:2,h:1,h:2;other=h:3").await.unwrap();
        let services = registry.discover("time").await.unwrap().balanced(Balance::RoundRobin);
        let first = services.changes().next().await.unwrap();
        assert_eq!((first.added.len(), services.snapshot().len()), (2, 2));
        let dead = services.pick().unwrap();
        services.report_failure(&dead);
        let picks: Vec<_> = (0..4).map(|_| services.pick().unwrap()).collect();
        assert!(picks.iter().all(|pick| pick != &dead && pick.lifetime == Lifetime::Persistent));
        services.report_success(&dead);
        let picks: Vec<_> = (0..4).map(|_| services.pick().unwrap()).collect();
        assert_eq!(picks.iter().filter(|pick| **pick == dead).count(), 2);
        assert!(registry.discover("unknown").await.unwrap().pick().is_none());
    }

    #[tokio::test]
    async fn a_stream_of_changes_outlives_the_handle_it_came_from() {
        let registry = connect("static:time=h:1").await.unwrap();
        let mut changes = registry.discover("time").await.unwrap().changes();
        assert_eq!(changes.next().await.unwrap().added.len(), 1);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut changes).poll_next(&mut cx).is_pending(), "the stream ended with the handle");
    }

    #[tokio::test]
    async fn registering_looks_whether_the_address_is_listed() {
        let registry = connect("static:time=h:1").await.unwrap();
        let listed = registry.register(Instance::builder("time").host("h").port(1)).await.unwrap();
        assert_eq!(listed.state(), RegistrationState::Registered);
        let mut moved = Instance::clone(&listed.instance());
        moved.address = "h:2".parse().unwrap();
        listed.update(moved.clone()).unwrap();
        assert_eq!(listed.state(), RegistrationState::Pending, "nobody will call it there");
        moved.id = "other".into();
        assert!(matches!(listed.update(moved), Err(Error::Moved { .. })));
        listed.deregister().await.unwrap();
        let other = registry.register(Instance::builder("time").host("h").port(2)).await.unwrap();
        assert_eq!(other.state(), RegistrationState::Pending);
        let wildcard = registry.register(Instance::builder("time").host("0.0.0.0").port(2)).await;
        assert!(matches!(wildcard, Err(Error::Address(_))));
        registry.close().await.unwrap();
    }
}
