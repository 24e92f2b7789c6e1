//! A registry within one process: for tests, and for programs whose services all live in it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::address::settle;
use super::registered::{Control, Registered, RegistrationState, RegistrationStatus};
use super::services::{Seen, Services, Source};
use super::traits::{BoxFuture, Discovery, Registration, Registry};
use super::view::{Entry, Set};
use super::{Error, Instance, InstanceBuilder, entropy};

/// A registry in memory. Clones, and registries of the same name, are one.
///
/// An instance that is draining or out of service stays in the view with its status, and is not picked.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    services: Mutex<BTreeMap<String, Service>>,
}

#[derive(Debug, Default)]
struct Service {
    instances: BTreeMap<Arc<str>, Arc<Instance>>,
    seen: watch::Sender<Seen>,
}

/// The registries that have a name and are in use.
static NAMED: Mutex<BTreeMap<String, Weak<Shared>>> = Mutex::new(BTreeMap::new());

impl Memory {
    /// A registry of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry of that name in this process. It ends with the last handle on it.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = named.get(name).and_then(Weak::upgrade) {
            return Self { shared };
        }
        let memory = Self::new();
        named.insert(name.to_owned(), Arc::downgrade(&memory.shared));
        memory
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Service>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    fn publish(&self) {
        let entry = |(leaf, instance): (&Arc<str>, &Arc<Instance>)| Entry {
            leaf: Arc::clone(leaf),
            instance: Arc::clone(instance),
        };
        let set = Arc::new(Set::from_sorted(self.instances.iter().map(entry).collect()));
        self.seen.send_replace(Seen { set: Some(set), ..Seen::default() });
    }
}

/// The place of one registration.
struct Place {
    shared: Arc<Shared>,
    service: String,
    leaf: Arc<str>,
    status: watch::Sender<RegistrationStatus>,
    /// Set once: afterwards the place may be another's.
    withdrawn: AtomicBool,
}

impl Control for Place {
    fn update(&self, instance: &Arc<Instance>) -> Result<(), Error> {
        instance.check()?;
        if (instance.service.as_str(), instance.id.as_str()) != (self.service.as_str(), &*self.leaf) {
            let (from, to) = (place(&self.service, &self.leaf), place(&instance.service, &instance.id));
            return Err(Error::Moved { from, to });
        }
        if let Some(service) = self.shared.lock().get_mut(&self.service) {
            service.instances.insert(Arc::clone(&self.leaf), Arc::clone(instance));
            service.publish();
        }
        self.status.send_modify(|status| status.writes += 1);
        Ok(())
    }

    fn withdraw(&self) {
        if self.withdrawn.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(service) = self.shared.lock().get_mut(&self.service) {
            service.instances.remove(&self.leaf);
            service.publish();
        }
        self.status.send_modify(|status| status.state = RegistrationState::Withdrawn);
    }
}

fn place(service: &str, id: &str) -> String {
    format!("{service}/{id}")
}

impl Registration for Memory {
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>> {
        Box::pin(async move {
            let (address, _) = settle(instance.given(), |name| std::env::var(name).ok(), None)?;
            let instance = Arc::new(instance.build(address, entropy())?);
            let leaf: Arc<str> = instance.id.as_str().into();
            let mut services = self.shared.lock();
            let service = services.entry(instance.service.clone()).or_default();
            if service.instances.contains_key(&leaf) {
                return Err(Error::Taken { place: place(&instance.service, &leaf) });
            }
            service.instances.insert(Arc::clone(&leaf), Arc::clone(&instance));
            service.publish();
            drop(services);
            let state = RegistrationState::Registered;
            let (status, receiver) =
                watch::channel(RegistrationStatus { state, writes: 1, ..RegistrationStatus::PENDING });
            let (shared, service) = (Arc::clone(&self.shared), instance.service.clone());
            let place = Place { shared, service, leaf, status, withdrawn: AtomicBool::new(false) };
            Ok(Registered::new(Box::new(place), instance, receiver))
        })
    }
}

impl Discovery for Memory {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let mut services = self.shared.lock();
        let known = services.entry(service.to_owned()).or_default();
        if known.seen.borrow().set.is_none() {
            known.publish();
        }
        let owner: Arc<Shared> = Arc::clone(&self.shared);
        let services = Services::new(service, known.seen.subscribe(), Source::Owner { _owner: owner });
        Box::pin(async move { Ok(services) })
    }
}

impl Registry for Memory {
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use futures_core::Stream;

    use super::*;
    use crate::registry::connect;

    fn builder(id: &str, port: u16) -> InstanceBuilder {
        Instance::builder("time").id(id).host("10.0.0.1").port(port)
    }

    #[tokio::test]
    async fn what_is_registered_is_discovered_until_it_is_dropped() {
        let registry = connect("memory:").await.unwrap();
        let services = registry.discover("time").await.unwrap();
        let mut changes = services.changes();
        assert!(changes.next().await.unwrap().set.is_empty());
        let first = registry.register(builder("a", 1)).await.unwrap();
        let second = registry.register(builder("b", 2)).await.unwrap();
        let change = changes.next().await.unwrap();
        assert_eq!((change.added.len(), change.removed.len(), change.set.len()), (2, 0, 2));
        let updated = Instance { version: "2".into(), ..Instance::clone(&first.instance()) };
        first.update(updated.clone()).unwrap();
        let change = changes.next().await.unwrap();
        assert_eq!((change.updated[0].old.version.as_str(), &*change.updated[0].new), ("", &updated));
        drop(first);
        assert_eq!(changes.next().await.unwrap().removed[0].id, "a");
        second.deregister().await.unwrap();
        assert_eq!(changes.next().await.unwrap().removed[0].id, "b");
        assert!(services.pick().is_none());
    }

    #[tokio::test]
    async fn a_stream_of_changes_outlives_the_handle_and_the_registry_it_came_from() {
        let mut changes = connect("memory:").await.unwrap().discover("time").await.unwrap().changes();
        assert!(changes.next().await.unwrap().set.is_empty());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut changes).poll_next(&mut cx).is_pending(), "the stream ended with the handle");
        let registry = connect("memory:outlived").await.unwrap();
        let mut changes = registry.discover("time").await.unwrap().changes();
        let _registered = registry.register(builder("a", 1)).await.unwrap();
        assert_eq!(changes.next().await.unwrap().added.len(), 1);
    }

    #[tokio::test]
    async fn a_place_is_taken_once_and_free_again_after_it_was_left() {
        let registry = Memory::new();
        let first = registry.register(builder("a", 1)).await.unwrap();
        assert!(matches!(registry.register(builder("a", 2)).await, Err(Error::Taken { .. })));
        let moved = Instance { id: "b".into(), ..Instance::clone(&first.instance()) };
        assert!(matches!(first.update(moved), Err(Error::Moved { .. })));
        assert_eq!(first.instance().id, "a");
        first.deregister().await.unwrap();
        let again = registry.register(builder("a", 2)).await.unwrap();
        assert_eq!(registry.discover("time").await.unwrap().snapshot().len(), 1);
        let mut events = again.events();
        assert_eq!(events.next().await.unwrap().state, RegistrationState::Registered);
        drop(again);
        assert_eq!(events.next().await.unwrap().state, RegistrationState::Withdrawn);
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn registries_of_one_name_are_one_and_others_are_others() {
        let (one, other) = (connect("memory:shared").await.unwrap(), Memory::named("shared"));
        let _kept = one.register(builder("a", 1)).await.unwrap();
        assert_eq!(other.discover("time").await.unwrap().snapshot().len(), 1);
        assert!(Memory::named("else").discover("time").await.unwrap().snapshot().is_empty());
        assert!(Memory::new().discover("time").await.unwrap().snapshot().is_empty());
    }
}
