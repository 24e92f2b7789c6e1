//! Registering and discovering, whatever stands behind it: application code names no registry.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error as ThisError;
use tokio::sync::watch;

use super::layout::LayoutError;
use super::view::{Change, Invalid, Set};
use super::{AddressError, Instance, InstanceBuilder, InstanceError};
use crate::client;
use crate::jute::ErrorCode;

/// A future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Announces instances.
pub trait Registration: fmt::Debug + Send + Sync {
    /// Begins to keep an instance registered. The future is ready as soon as the wish stands; [`Registered::until_settled`]
    /// waits for what becomes of it.
    ///
    /// Dropping the future registers nothing.
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>>;
}

/// Follows services.
pub trait Discovery: fmt::Debug + Send + Sync {
    /// Begins to follow a service. The future is ready with the first complete set, which may be empty.
    ///
    /// Dropping the future stops following.
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>>;
}

/// What a registry can go wrong with.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The instance lacks something.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The address cannot be announced.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The layout has no place for it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// ZooKeeper, or the way to it.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The URL names no registry.
    #[error("{0:?} names no registry: begin with zk://, static: or memory:")]
    Scheme(String),
    /// No layout has that name.
    #[error("there is no layout {0:?}: it is go-micro or plain")]
    UnknownLayout(String),
    /// A fixed list takes no registrations.
    #[error("a fixed list of instances takes no registrations")]
    Fixed,
    /// An instance of the list is not one.
    #[error("{0:?} is not an instance: write SERVICE=HOST:PORT")]
    Listed(String),
    /// This process registers something at the same place already.
    #[error("{path} is registered by this process already")]
    Taken {
        /// The place.
        path: String,
    },
    /// There is no tokio runtime to keep it up on.
    #[error("there is no tokio runtime here")]
    NoRuntime,
}

/// What has become of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// Not there yet, or not known to be.
    Pending,
    /// There, as wished.
    Registered,
    /// Somebody else's registration is in its place; ours is made the moment that one goes.
    Conflict,
    /// The server refuses it; it is tried again, ever more slowly.
    Refused(ErrorCode),
    /// Withdrawn.
    Withdrawn,
    /// The client has ended, and what ends with a session with it.
    Ended,
}

/// What is wished of a registration.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Present(Box<Instance>),
    Absent,
}

/// A registration that is kept up until this handle is dropped or [deregistered](Self::deregister).
///
/// It is a standing wish: when the session expires it is made again, when somebody deletes it, too. Dropping the handle
/// withdraws it without waiting for the answer.
#[must_use = "dropping it withdraws the registration"]
#[derive(Debug)]
pub struct Registered {
    instance: Instance,
    wish: watch::Sender<Wish>,
    state: watch::Receiver<RegistrationState>,
}

impl Registered {
    pub(super) fn new(
        instance: Instance,
        wish: watch::Sender<Wish>,
        state: watch::Receiver<RegistrationState>,
    ) -> Self {
        Self { instance, wish, state }
    }

    /// The instance as wished, with its id and its address settled.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// What has become of it.
    #[must_use]
    pub fn state(&self) -> RegistrationState {
        self.state.borrow().clone()
    }

    /// Waits until its state is another than `seen`, and yields it. Cancel safe.
    pub async fn state_change(&mut self, seen: &RegistrationState) -> RegistrationState {
        let changed = self.state.wait_for(|state| state != seen).await.map(|state| state.clone());
        changed.unwrap_or(RegistrationState::Ended)
    }

    /// Waits until it is registered, in conflict, refused, withdrawn or ended. Cancel safe.
    pub async fn until_settled(&mut self) -> RegistrationState {
        self.state_change(&RegistrationState::Pending).await
    }

    /// Wishes it otherwise: the same id and place, other metadata, version, weight or status. The latest wish counts, also
    /// if it was changed while the connection was away.
    pub fn update(&mut self, change: impl FnOnce(&mut Instance)) {
        let (service, id) = (self.instance.service.clone(), self.instance.id.clone());
        let address = self.instance.address.clone();
        change(&mut self.instance);
        (self.instance.service, self.instance.id, self.instance.address) = (service, id, address);
        self.wish.send_replace(Wish::Present(Box::new(self.instance.clone())));
    }

    /// Withdraws it, and waits until it is gone: also across a reconnect.
    ///
    /// Dropping the future leaves the withdrawal going.
    pub async fn deregister(mut self) -> RegistrationState {
        self.wish.send_replace(Wish::Absent);
        let over = |state: &RegistrationState| {
            matches!(state, RegistrationState::Withdrawn | RegistrationState::Ended)
        };
        let last = self.state.wait_for(over).await.map(|state| state.clone());
        last.unwrap_or(RegistrationState::Ended)
    }
}

/// What is known of a service at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its instances.
    pub set: Arc<Set>,
    /// Since when this may be out of date: while the registry is away, the last good set stays.
    pub stale_since: Option<Instant>,
    /// Registrations that are none, and why.
    pub invalid: Arc<[Invalid]>,
}

/// A service being followed, until all handles are dropped. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Services {
    service: Arc<str>,
    snapshots: watch::Receiver<Snapshot>,
}

/// The changes of a service, one after the other. What happens between two looks is one change.
#[derive(Debug)]
pub struct Changes {
    snapshots: watch::Receiver<Snapshot>,
    seen: Arc<Set>,
}

impl Services {
    pub(super) fn new(service: &str, snapshots: watch::Receiver<Snapshot>) -> Self {
        Self { service: service.into(), snapshots }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What is known now. Never waits.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshots.borrow().clone()
    }

    /// The changes from now on; [`Changes::seen`] is what they start from.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mut snapshots = self.snapshots.clone();
        let seen = snapshots.borrow_and_update().set.clone();
        Changes { snapshots, seen }
    }
}

impl Changes {
    /// The set that the next change starts from.
    #[must_use]
    pub fn seen(&self) -> &Arc<Set> {
        &self.seen
    }

    /// The next change; `None` once nobody follows the service any more. Cancel safe.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            self.snapshots.changed().await.ok()?;
            let set = self.snapshots.borrow_and_update().set.clone();
            if Arc::ptr_eq(&set, &self.seen) {
                continue;
            }
            let before = std::mem::replace(&mut self.seen, set.clone());
            let change = Change::between(&before, set);
            if !change.is_empty() {
                return Some(change);
            }
        }
    }
}
