//! The handle on a registration.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::follow::Follow;
use super::reconcile::{Conflict, Loss, State};
use super::{CheckReport, Error, Instance, Status};
use crate::jute::ErrorCode;
use crate::session::End;

/// A standing wish that an instance be registered.
///
/// As long as this handle lives, the registry keeps the instance registered: it comes back after an expired session and
/// after somebody deleted it, and a reconnect within the session costs no write. [`registering`](crate::manual::registering) says what it
/// does when.
///
/// Dropping the handle withdraws the wish: the registration is removed in the background, after an outage too, as long as the client has
/// other handles, and without any for [`DROPPED_PATIENCE`](super::limits::DROPPED_PATIENCE). If the runtime ends before, it goes with its session.
/// [`deregister`](Self::deregister) waits for it; [`drain`](Self::drain) serves on for a grace first.
#[must_use = "dropping it withdraws the registration"]
pub struct Registered {
    control: Box<dyn Control>,
    wished: Mutex<Wished>,
    status: watch::Receiver<RegistrationStatus>,
}

/// What was last wished.
struct Wished {
    first: Arc<Instance>,
    others: Vec<Arc<Instance>>,
    number: u64,
}

/// What a registry does for a handle.
pub(super) trait Control: Send + Sync {
    /// Registers these instead of those with the same ids. Yields the number of the wish, which its status names when it knows
    /// of it.
    fn update(&self, changed: &[Arc<Instance>]) -> Result<u64, Error>;

    /// Registers nothing any more. May come twice.
    fn withdraw(&self) -> u64;

    /// How long readers may go on calling an instance that has said that it drains.
    fn drain_grace(&self) -> Duration {
        Duration::ZERO
    }

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
    /// Which wish this is about: it grows with every [`Registered::update`].
    pub wish: u64,
    /// How often it was lost after it had been as wished. It only grows.
    pub losses: u64,
    /// How it was last lost.
    pub last_loss: Option<Loss>,
}

impl RegistrationStatus {
    pub(super) const PENDING: Self = Self {
        state: RegistrationState::Pending,
        writes: 0,
        refusal: None,
        wish: 0,
        losses: 0,
        last_loss: None,
    };
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
        first: Arc<Instance>,
        others: Vec<Arc<Instance>>,
        status: watch::Receiver<RegistrationStatus>,
    ) -> Self {
        Self { control, wished: Mutex::new(Wished { first, others, number: 0 }), status }
    }

    fn wished(&self) -> MutexGuard<'_, Wished> {
        self.wished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same registration behind another control, which is made of this handle.
    pub(super) fn behind(
        self,
        instance: Arc<Instance>,
        control: impl FnOnce(Self) -> Box<dyn Control>,
    ) -> Self {
        let status = self.status.clone();
        let others = self.wished().others.clone();
        Self::new(control(self), instance, others, status)
    }

    /// What does it, for who stands before it.
    pub(super) fn control(&self) -> &dyn Control {
        &*self.control
    }

    /// What tells where it stands.
    pub(super) fn receiver(&self) -> watch::Receiver<RegistrationStatus> {
        self.status.clone()
    }

    /// Where the health checks stand that gate the registration, in the order in which they were given: see
    /// [`register_checked`](super::Registration::register_checked). Never blocks.
    #[must_use]
    pub fn checks(&self) -> Vec<CheckReport> {
        self.control.checks()
    }

    /// The instance as it is wished to be registered, its address and id settled; the first of several.
    #[must_use]
    pub fn instance(&self) -> Arc<Instance> {
        Arc::clone(&self.wished().first)
    }

    /// All instances of the registration: more than one after [`register_all`](super::ZooKeeper::register_all) alone.
    #[must_use]
    pub fn instances(&self) -> Vec<Arc<Instance>> {
        let wished = self.wished();
        std::iter::once(&wished.first).chain(&wished.others).cloned().collect()
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

    /// Where it stands now and then at every change: the latest each time, so a slow reader misses what passed, but not that it did:
    /// [`losses`](RegistrationStatus::losses) count. Ends when the registration is over. What each state asks of its owner stands in
    /// [`registering`](crate::manual::registering).
    pub fn events(&self) -> RegistrationEvents {
        RegistrationEvents(Follow::new(self.status.clone()))
    }

    /// Waits until it is registered as it was last wished.
    ///
    /// Cancel safe: the wish stands either way.
    ///
    /// # Errors
    /// [`Error::Ended`] if the registry's client ended first.
    pub async fn registered(&self) -> Result<(), Error> {
        let wish = self.wished().number;
        self.reached(wish, |state| state == RegistrationState::Registered).await
    }

    async fn reached(&self, wish: u64, wanted: impl Fn(RegistrationState) -> bool) -> Result<(), Error> {
        let mut status = self.status.clone();
        loop {
            let RegistrationStatus { state, wish: known, .. } = *status.borrow_and_update();
            match state {
                state if (known >= wish || planted!("registry_stale_state")) && wanted(state) => {
                    return Ok(());
                }
                RegistrationState::Ended(end) => return Err(Error::Ended(end)),
                _ => {}
            }
            if status.changed().await.is_err() {
                return Err(Error::Ended(End::ClosedUnconfirmed));
            }
        }
    }

    /// Wishes the instance to be registered like this from now on: other metadata, another status, another address. Returns at
    /// once; [`registered`](Self::registered) waits for it. Of several updates before ZooKeeper is in reach the last one is written. An
    /// instance that is draining or out of service is removed where the layout has no word for that, and comes back
    /// when it is up.
    ///
    /// Where the layout says in the leaf's name what has changed, as Dubbo's does, the new leaf is created and the old one deleted in one
    /// transaction; if that is refused, the old one stays until the new one is there.
    ///
    /// # Errors
    /// [`Error::Moved`] if it is another service or id; [`Error::Layout`] if it cannot be registered; [`Error::Taken`] if this
    /// registry keeps another registration where it would go. Nothing changes then.
    pub fn update(&self, instance: Instance) -> Result<(), Error> {
        self.update_all(vec![instance])
    }

    fn update_all(&self, changed: Vec<Instance>) -> Result<(), Error> {
        let changed: Vec<_> = changed.into_iter().map(Arc::new).collect();
        // Outside the lock: it may wake somebody who asks this handle.
        let number = self.control.update(&changed)?;
        let mut wished = self.wished();
        wished.number = wished.number.max(number);
        for instance in changed {
            let Wished { first, others, .. } = &mut *wished;
            let mut all = std::iter::once(first).chain(others);
            let is_same =
                |other: &&mut Arc<Instance>| (&other.service, &other.id) == (&instance.service, &instance.id);
            all.find(is_same).into_iter().for_each(|other| *other = Arc::clone(&instance));
        }
        Ok(())
    }

    /// How long [`drain`](Self::drain) serves on: what readers of the layout need to hear of it.
    #[must_use]
    pub fn drain_grace(&self) -> Duration {
        self.control.drain_grace()
    }

    /// Takes the instance out of service without a failed call: says that it drains, waits for
    /// [`drain_grace`](Self::drain_grace), and deregisters. Serve on until it is ready.
    ///
    /// See [`drain_for`](Self::drain_for).
    ///
    /// # Errors
    /// As [`deregister`](Self::deregister).
    pub async fn drain(self) -> Result<(), Error> {
        let grace = self.drain_grace();
        self.drain_for(grace).await
    }

    /// The same with another grace. It begins when the registry has the status, or has removed the leaf in a layout without a
    /// word for it. For that it waits no longer than the grace: while ZooKeeper is away, nobody hears of it anyway. Then it
    /// deregisters, for as long as that takes: bound it by a timeout if the process has to end.
    ///
    /// Dropping the future is as dropping the handle, at whatever moment: no grace, and the leaf goes in the background.
    ///
    /// # Errors
    /// As [`deregister`](Self::deregister), and as [`update`](Self::update) if the layout refuses the status; it is
    /// deregistered at once then.
    pub async fn drain_for(self, grace: Duration) -> Result<(), Error> {
        let mut up = self.instances();
        up.retain(|instance| instance.status == Status::Up && !planted!("registry_drain_unsaid"));
        if !up.is_empty() {
            let draining = |up: &Arc<Instance>| Instance { status: Status::Draining, ..Instance::clone(up) };
            self.update_all(up.iter().map(draining).collect())?;
        }
        let wish = self.wished().number;
        let told = self.reached(wish, |state| state != RegistrationState::Pending);
        let _ = timeout(grace, told).await;
        let grace = if planted!("registry_drain_hasty") { Duration::ZERO } else { grace };
        // Ends early only with the client.
        let _ = timeout(grace, self.reached(wish, |_| false)).await;
        self.deregister().await
    }

    /// Withdraws the registration and waits until it is gone: for as long as it takes, also through an outage. The wish goes
    /// first, so nothing registers it again. That there is nothing to remove is success.
    ///
    /// Dropping the future is as dropping the handle: it goes on in the background.
    ///
    /// # Errors
    /// [`Error::Ended`] if the registry's client ended first. The registration ends with its session then.
    pub async fn deregister(self) -> Result<(), Error> {
        let wish = self.control.withdraw();
        // The client's end is success too if its session was closed: nothing of it is left.
        match self.reached(wish, |state| state == RegistrationState::Withdrawn).await {
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
