//! A registry within the process: for tests, and for programs that are their own service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::api::{
    BoxFuture, Discovery, Error, Registered, Registration, RegistrationState, Services, Snapshot, Wish,
};
use super::view::{Entry, Set};
use super::{Instance, InstanceBuilder, Status, address};

/// A registry within the process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<String, Service>>>);

/// One service: its instances by id, and what is published of them.
#[derive(Debug, Default)]
struct Service {
    instances: BTreeMap<String, Arc<Instance>>,
    snapshots: watch::Sender<Snapshot>,
}

impl Memory {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Service>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an instance in, or takes it out.
    fn put(&self, service: &str, id: &str, instance: Option<Arc<Instance>>) {
        let (sender, snapshot) = {
            let mut services = self.lock();
            let service = services.entry(service.to_owned()).or_default();
            match instance {
                Some(instance) => service.instances.insert(id.to_owned(), instance),
                None => service.instances.remove(id),
            };
            let entries = service
                .instances
                .iter()
                .map(|(id, instance)| Entry { leaf: id.as_str().into(), instance: instance.clone() });
            let set = Arc::new(Set::from_sorted(entries.collect()));
            (service.snapshots.clone(), Snapshot { set, ..Snapshot::default() })
        };
        sender.send_replace(snapshot);
    }

    async fn keep(
        self,
        first: Instance,
        mut wishes: watch::Receiver<Wish>,
        state: watch::Sender<RegistrationState>,
    ) {
        while wishes.changed().await.is_ok() {
            match wishes.borrow_and_update().clone() {
                Wish::Absent => break,
                Wish::Present(instance) => {
                    let there = (instance.status == Status::Up).then(|| Arc::new(*instance));
                    self.put(&first.service, &first.id, there);
                }
            }
        }
        self.put(&first.service, &first.id, None);
        state.send_replace(RegistrationState::Withdrawn);
    }
}

impl Registration for Memory {
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>> {
        Box::pin(async move {
            let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
            let (address, _) = address::settle(instance.given(), |name| std::env::var(name).ok(), None)?;
            let instance = instance.build(address, super::entropy())?;
            let taken =
                self.lock().get(&instance.service).is_some_and(|it| it.instances.contains_key(&instance.id));
            if taken {
                return Err(Error::Taken { path: format!("{}/{}", instance.service, instance.id) });
            }
            let there = (instance.status == Status::Up).then(|| Arc::new(instance.clone()));
            self.put(&instance.service, &instance.id, there);
            let (wish, wishes) = watch::channel(Wish::Present(Box::new(instance.clone())));
            let (state, states) = watch::channel(RegistrationState::Registered);
            runtime.spawn(self.clone().keep(instance.clone(), wishes, state));
            Ok(Registered::new(instance, wish, states))
        })
    }
}

impl Discovery for Memory {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let receiver = self.lock().entry(service.to_owned()).or_default().snapshots.subscribe();
        let services = Services::new(service, receiver);
        Box::pin(async move { Ok(services) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(port: u16) -> InstanceBuilder {
        Instance::builder("clock").host("127.0.0.1").port(port)
    }

    #[tokio::test]
    async fn what_is_registered_is_discovered_until_it_is_withdrawn() {
        let registry = Memory::new();
        let services = registry.discover("clock").await.unwrap();
        let mut changes = services.changes();
        let mut first = registry.register(instance(1)).await.unwrap();
        assert_eq!(changes.next().await.unwrap().added.len(), 1);
        first.update(|instance| instance.version = "2".to_owned());
        assert_eq!(changes.next().await.unwrap().updated[0].new.version, "2");
        first.update(|instance| instance.status = Status::Draining);
        assert_eq!(changes.next().await.unwrap().removed.len(), 1);
        let second = registry.register(instance(2)).await.unwrap();
        assert_eq!(changes.next().await.unwrap().added.len(), 1);
        assert_eq!(second.deregister().await, RegistrationState::Withdrawn);
        assert!(changes.next().await.unwrap().set.is_empty());
    }

    #[tokio::test]
    async fn a_dropped_handle_withdraws_and_an_id_is_taken_once() {
        let registry = Memory::new();
        let kept = registry.register(instance(1).id("one")).await.unwrap();
        let again = registry.register(instance(2).id("one")).await;
        assert!(matches!(again, Err(Error::Taken { .. })));
        let services = registry.discover("clock").await.unwrap();
        let mut changes = services.changes();
        assert_eq!(changes.seen().len(), 1);
        drop(kept);
        assert!(changes.next().await.unwrap().set.is_empty());
    }
}
