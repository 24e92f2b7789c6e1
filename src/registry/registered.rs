//! The handle on a registration.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::watch;

use super::follow::Follow;
use super::reconcile::{Conflict, State};
use super::{CheckReport, Error, Instance};
use crate::jute::ErrorCode;
use crate::session::End;

/// A standing wish that an instance be registered.
///
/// As long as this handle lives, the registry keeps the instance registered: it comes back after an expired session and
/// after somebody deleted it, and a reconnect within the session costs no write. Dropping the handle withdraws the wish:
/// the registration is removed in the background as far as ZooKeeper is in reach within
/// [`DROPPED_PATIENCE`](super::limits::DROPPED_PATIENCE). [`deregister`](Self::deregister) waits for it.
#[must_use = "dropping it withdraws the registration"]
pub struct Registered {
    control: Box<dyn Control>,
    instance: Mutex<Arc<Instance>>,
    status: watch::Receiver<RegistrationStatus>,
}

/// What a registry does for a handle.
pub(super) trait Control: Send + Sync {
    /// Registers this instead.
    fn update(&self, instance: &Arc<Instance>) -> Result<(), Error>;

    /// Registers nothing any more. May come twice.
    fn withdraw(&self);

    /// Where the health checks stand that gate the registration.
    fn checks(&self) -> Vec<CheckReport> {
        Vec::new()
    }
}

/// Whether an instance stays where it is registered, and can be.
pub(super) fn check_stays(service: &str, id: &str, instance: &Instance) -> Result<(), Error> {
    instance.check()?;
    if (instance.service.as_str(), instance.id.as_str()) == (service, id) {
        return Ok(());
    }
    Err(Error::Moved { from: format!("{service}/{id}"), to: format!("{}/{}", instance.service, instance.id) })
}

/// Where a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// It is not known to be as wished: being done, or ZooKeeper is away, or it refuses.
    Pending,
    /// It was as wished when last looked at.
    Registered,
    /// Somebody else's is in the place. It is done the moment that one goes.
    Conflict(Conflict),
    /// Nothing of ours is there, and nothing is wished: deregistered, or the instance wants no calls.
    Withdrawn,
    /// The registry's client has ended. Nothing more will be done.
    Ended(End),
}

/// Where a registration stands, and what it took to get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrationStatus {
    /// Where it stands.
    pub state: RegistrationState,
    /// How many writes the registry has tried for it. It only grows, so a state that passed between two looks shows here.
    pub writes: u64,
    /// Why the server last refused a read or write for it, until a write succeeds.
    pub refusal: Option<ErrorCode>,
}

impl RegistrationStatus {
    pub(super) const PENDING: Self = Self { state: RegistrationState::Pending, writes: 0, refusal: None };
}

impl From<State> for RegistrationState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Registered => Self::Registered,
            State::Conflict(conflict) => Self::Conflict(conflict),
            State::Withdrawn => Self::Withdrawn,
        }
    }
}

impl Registered {
    pub(super) fn new(
        control: Box<dyn Control>,
        instance: Arc<Instance>,
        status: watch::Receiver<RegistrationStatus>,
    ) -> Self {
        Self { control, instance: Mutex::new(instance), status }
    }

    /// The same registration behind another control, which is made of this handle.
    pub(super) fn behind(
        self,
        instance: Arc<Instance>,
        control: impl FnOnce(Self) -> Box<dyn Control>,
    ) -> Self {
        let status = self.status.clone();
        Self::new(control(self), instance, status)
    }

    /// What tells where it stands.
    pub(super) fn receiver(&self) -> watch::Receiver<RegistrationStatus> {
        self.status.clone()
    }

    /// Withdraws the wish, as dropping the handle does.
    pub(super) fn withdraw(&self) {
        self.control.withdraw();
    }

    /// Where the health checks stand that gate the registration, in the order in which they were given: see
    /// [`register_checked`](super::Registration::register_checked). Never blocks.
    #[must_use]
    pub fn checks(&self) -> Vec<CheckReport> {
        self.control.checks()
    }

    /// The instance as it is wished to be registered, its address and id settled.
    #[must_use]
    pub fn instance(&self) -> Arc<Instance> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it stands now. Never blocks.
    #[must_use]
    pub fn state(&self) -> RegistrationState {
        self.status().state
    }

    /// Where it stands now, with counters. Never blocks.
    #[must_use]
    pub fn status(&self) -> RegistrationStatus {
        *self.status.borrow()
    }

    /// Where it stands now and then at every change: the latest each time, so a slow reader misses what passed. Ends
    /// when the registration is over.
    pub fn events(&self) -> RegistrationEvents {
        RegistrationEvents(Follow::new(self.status.clone()))
    }

    /// Waits until it is registered.
    ///
    /// Cancel safe: the wish stands either way.
    ///
    /// # Errors
    /// [`Error::Ended`] if the registry's client ended first.
    pub async fn registered(&self) -> Result<(), Error> {
        self.reached(|state| state == RegistrationState::Registered).await
    }

    async fn reached(&self, wanted: impl Fn(RegistrationState) -> bool) -> Result<(), Error> {
        let mut status = self.status.clone();
        loop {
            let state = status.borrow_and_update().state;
            match state {
                state if wanted(state) => return Ok(()),
                RegistrationState::Ended(end) => return Err(Error::Ended(end)),
                _ => {}
            }
            if status.changed().await.is_err() {
                return Err(Error::Ended(End::ClosedUnconfirmed));
            }
        }
    }

    /// Wishes the instance to be registered like this from now on: other metadata, another status. Returns at once;
    /// [`status`](Self::status) tells when it is done. An instance that is draining or out of service is removed where
    /// the layout has no word for that, and comes back when it is up.
    ///
    /// # Errors
    /// [`Error::Moved`] if it would be registered elsewhere; [`Error::Layout`] if it cannot be. Nothing changes then.
    pub fn update(&self, instance: Instance) -> Result<(), Error> {
        let instance = Arc::new(instance);
        self.control.update(&instance)?;
        *self.instance.lock().unwrap_or_else(PoisonError::into_inner) = instance;
        Ok(())
    }

    /// Withdraws the registration and waits until it is gone: for as long as it takes, also through an outage. That
    /// there is nothing to remove is success.
    ///
    /// Dropping the future is as dropping the handle: it goes on in the background for a while.
    ///
    /// # Errors
    /// [`Error::Ended`] if the registry's client ended first. The registration ends with its session then.
    pub async fn deregister(self) -> Result<(), Error> {
        self.control.withdraw();
        // The client's end is success too if its session was closed: nothing of it is left.
        match self.reached(|state| state == RegistrationState::Withdrawn).await {
            Err(Error::Ended(End::Closed | End::Expired)) => Ok(()),
            result => result,
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.control.withdraw();
    }
}

/// A stream of [`RegistrationStatus`]: see [`Registered::events`].
#[must_use = "streams do nothing unless polled"]
pub struct RegistrationEvents(Follow<RegistrationStatus>);

impl RegistrationEvents {
    /// The next; `None` behind the end.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<RegistrationStatus> {
        std::future::poll_fn(|cx| self.0.poll_value(cx)).await
    }
}

impl Stream for RegistrationEvents {
    type Item = RegistrationStatus;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_value(cx)
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Registered");
        out.field("instance", &self.instance()).field("status", &self.status()).finish_non_exhaustive()
    }
}

impl fmt::Debug for RegistrationEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationEvents").finish_non_exhaustive()
    }
}
