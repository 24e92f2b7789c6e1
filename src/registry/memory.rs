//! A registry within one process: for tests, and for programs whose services all live in it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::address::settle;
use super::health::{Ledger, RegistryHealth};
use super::names::{NamesKeeper, SeenNames, ServiceNames};
use super::registered::{Control, Registered, RegistrationState, RegistrationStatus, check_stays};
use super::services::{Seen, Services, Source};
use super::traits::{BoxFuture, Discovery, Registration, Registry};
use super::view::{Entry, Set};
use super::{Error, Instance, InstanceBuilder, entropy};
use crate::session::End;

/// A registry in memory. Clones, and registries of the same name, know the same instances.
///
/// An instance that is draining or out of service stays in the view with its status, and is not picked. Closing one ends
/// what was registered through it and its clones, and leaves what came through others of its name.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    shared: Arc<Shared>,
    own: Arc<Mutex<Own>>,
    ledger: Ledger,
}

/// What one registry and its clones registered.
#[derive(Debug, Default)]
struct Own {
    closed: bool,
    places: Vec<Weak<Place>>,
}

#[derive(Debug, Default)]
struct Shared {
    services: Mutex<BTreeMap<String, Service>>,
    names: watch::Sender<SeenNames>,
}

#[derive(Debug, Default)]
struct Service {
    instances: BTreeMap<Arc<str>, Arc<Instance>>,
    version: u64,
    published: Arc<Published>,
}

/// What the views of a service see.
#[derive(Debug, Default)]
struct Published {
    seen: watch::Sender<Seen>,
    /// Moves only within the sender's critical section.
    version: AtomicU64,
}

/// A set on its way to the views, outside of the registry's lock: it wakes those who wait.
#[must_use = "the views do not see it before it is published"]
struct Publication {
    to: Arc<Published>,
    version: u64,
    set: Arc<Set>,
}

impl Publication {
    /// Unless a later one was faster.
    fn publish(self) {
        self.to.seen.send_if_modified(|seen| {
            let is_later = self.to.version.fetch_max(self.version, Ordering::Relaxed) < self.version;
            if is_later {
                *seen = Seen { set: Some(self.set), ..Seen::default() };
            }
            is_later
        });
    }
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
            return Self { shared, ..Self::default() };
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

    /// Tells those who follow the list of services, if it has changed.
    fn publish_names(&self) {
        self.names.send_if_modified(|seen| {
            let services = self.lock();
            let inhabited = services.iter().filter(|(_, service)| !service.instances.is_empty());
            let names = inhabited.map(|(name, _)| name.clone()).collect();
            let differs = seen.names.as_deref() != Some(&names);
            if differs {
                seen.names = Some(Arc::new(names));
            }
            differs
        });
    }
}

impl Service {
    /// Its instances have changed.
    fn changed(&mut self) -> Publication {
        let entry = |(leaf, instance): (&Arc<str>, &Arc<Instance>)| Entry {
            leaf: Arc::clone(leaf),
            instance: Arc::clone(instance),
        };
        self.version += 1;
        Publication {
            to: Arc::clone(&self.published),
            version: self.version,
            set: Arc::new(Set::from_sorted(self.instances.iter().map(entry).collect())),
        }
    }
}

/// The place of one registration.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    service: String,
    leaf: Arc<str>,
    status: watch::Sender<RegistrationStatus>,
    /// Set once: afterwards the place may be another's.
    withdrawn: AtomicBool,
}

impl Control for Arc<Place> {
    fn update(&self, changed: &[Arc<Instance>]) -> Result<u64, Error> {
        let [instance] = changed else { return Ok(0) };
        check_stays(&self.service, &self.leaf, instance)?;
        let mut services = self.shared.lock();
        if self.withdrawn.load(Ordering::Acquire) {
            return Err(Error::Ended(End::Closed));
        }
        let service = services.entry(self.service.clone()).or_default();
        service.instances.insert(Arc::clone(&self.leaf), Arc::clone(instance));
        let publication = service.changed();
        drop(services);
        publication.publish();
        self.status.send_modify(|status| status.writes += 1);
        Ok(0)
    }

    fn withdraw(&self) -> u64 {
        self.end(RegistrationState::Withdrawn);
        0
    }
}

impl Place {
    /// Removes the instance, once.
    fn end(&self, state: RegistrationState) {
        let mut services = self.shared.lock();
        if self.withdrawn.swap(true, Ordering::AcqRel) {
            return;
        }
        let service = services.entry(self.service.clone()).or_default();
        service.instances.remove(&self.leaf);
        let publication = service.changed();
        drop(services);
        publication.publish();
        self.shared.publish_names();
        self.status.send_modify(|status| status.state = state);
    }
}

impl Memory {
    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, instance: &Arc<Instance>) -> Result<(Arc<Place>, Publication), Error> {
        let leaf: Arc<str> = instance.id.as_str().into();
        let mut own = self.own();
        if own.closed {
            return Err(Error::Ended(End::Closed));
        }
        let mut services = self.shared.lock();
        let service = services.entry(instance.service.clone()).or_default();
        if service.instances.contains_key(&leaf) {
            return Err(Error::Taken { place: format!("{}/{leaf}", instance.service) });
        }
        service.instances.insert(Arc::clone(&leaf), Arc::clone(instance));
        let publication = service.changed();
        drop(services);
        let state = RegistrationState::Registered;
        let place = Arc::new(Place {
            shared: Arc::clone(&self.shared),
            service: instance.service.clone(),
            leaf,
            status: watch::Sender::new(RegistrationStatus {
                state,
                writes: 1,
                ..RegistrationStatus::PENDING
            }),
            withdrawn: AtomicBool::new(false),
        });
        own.places.retain(|place| place.strong_count() > 0);
        own.places.push(Arc::downgrade(&place));
        Ok((place, publication))
    }
}

impl Registration for Memory {
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>> {
        Box::pin(async move {
            let (address, _) = settle(instance.given(), |name| std::env::var(name).ok(), None)?;
            let instance = Arc::new(instance.build(address, entropy())?);
            let (place, publication) = self.claim(&instance)?;
            let held = planted!("registry_wakes_under_lock").then(|| self.shared.lock());
            publication.publish();
            drop(held);
            self.shared.publish_names();
            let status = place.status.subscribe();
            Ok(self.ledger.registered(Registered::new(Box::new(place), instance, Vec::new(), status)))
        })
    }
}

impl Discovery for Memory {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let closed = self.own().closed;
        let mut services = self.shared.lock();
        let known = services.entry(service.to_owned()).or_default();
        let first = (known.version == 0).then(|| known.changed());
        let seen = known.published.seen.subscribe();
        drop(services);
        if let Some(first) = first {
            first.publish();
        }
        let owner: Arc<Shared> = Arc::clone(&self.shared);
        let services = self.ledger.discovered(Services::new(service, seen, Source::Owner { _owner: owner }));
        Box::pin(async move { if closed { Err(Error::Ended(End::Closed)) } else { Ok(services) } })
    }

    fn services(&self) -> BoxFuture<'_, Result<ServiceNames, Error>> {
        self.shared.publish_names();
        let owner: Arc<Shared> = Arc::clone(&self.shared);
        let names = ServiceNames::new(self.shared.names.subscribe(), NamesKeeper::Owner { _owner: owner });
        let closed = self.own().closed;
        Box::pin(async move { if closed { Err(Error::Ended(End::Closed)) } else { Ok(names) } })
    }
}

impl Registry for Memory {
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        let places = {
            let mut own = self.own();
            own.closed = true;
            std::mem::take(&mut own.places)
        };
        for place in places.iter().filter_map(Weak::upgrade) {
            place.end(RegistrationState::Ended(End::Closed));
        }
        Box::pin(async { Ok(()) })
    }

    fn health(&self) -> RegistryHealth {
        self.ledger.health(None)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
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
    async fn a_drain_takes_no_time_where_everybody_sees_it_at_once() {
        let registry = Memory::new();
        let services = registry.discover("time").await.unwrap();
        let registered = registry.register(builder("a", 1)).await.unwrap();
        assert_eq!(registered.drain_grace(), std::time::Duration::ZERO);
        let mut draining = Box::pin(registered.drain_for(std::time::Duration::from_secs(3600)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(draining.as_mut().poll(&mut cx).is_pending());
        assert_eq!(services.snapshot().iter().next().unwrap().status, crate::registry::Status::Draining);
        assert!(services.pick().is_none());
        drop(draining);
        assert!(services.snapshot().is_empty());
        registry.register(builder("a", 1)).await.unwrap().drain().await.unwrap();
        assert!(services.snapshot().is_empty());
    }

    #[tokio::test]
    async fn closing_a_registry_ends_what_was_registered_through_it_alone() {
        let (one, other) = (connect("memory:closed").await.unwrap(), Memory::named("closed"));
        let services = other.discover("time").await.unwrap();
        let first = one.register(builder("a", 1)).await.unwrap();
        let second = other.register(builder("b", 2)).await.unwrap();
        one.close().await.unwrap();
        assert_eq!(services.snapshot().iter().map(|each| each.id.clone()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(first.state(), RegistrationState::Ended(End::Closed));
        assert_eq!(second.state(), RegistrationState::Registered);
        let instance = Instance::clone(&first.instance());
        assert!(matches!(first.update(instance), Err(Error::Ended(End::Closed))));
        assert!(matches!(one.register(builder("c", 3)).await, Err(Error::Ended(End::Closed))));
        assert!(matches!(one.discover("time").await, Err(Error::Ended(End::Closed))));
        first.deregister().await.unwrap();
        assert_eq!(services.snapshot().len(), 1);
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
