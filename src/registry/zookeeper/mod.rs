//! The registry on ZooKeeper: what [`Standing`] and [`View`](super::view::View) ask for, done with a client.
//!
//! The client follows: after an expiry it goes on with a new session, and every registration and view with it. What is
//! done for one session goes through a handle pinned to it, so nothing begun under one session is finished under another.

mod discover;
mod names;
mod neighbours;
mod register;
mod requests;
mod session;
mod watching;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use self::names::Names;
use self::register::{Keeper, Wish};
use super::address::{ADVERTISE_ADDRESS, Given, POD_IP, settle};
use super::layout::{Clash, Layout};
use super::limits::{ADDRESS_WAIT, DISCOVER_TIMEOUT};
use super::reconcile::Standing;
use super::registered::{Registered, RegistrationStatus};
use super::services::{Seen, Services, Source};
use super::traits::{BoxFuture, Discovery, Registration, Registry};
use super::{Error, InstanceBuilder};
use crate::Client;
use crate::session::State;

/// Services on ZooKeeper, in one [`Layout`], through one client.
///
/// Registrations are ephemeral znodes of the client's session, so closing the client, or the end of the process, ends
/// them. Dropping this ends nothing: registrations and views live as long as their handles, and the client with them.
#[derive(Clone, Debug)]
pub struct ZooKeeper {
    client: Client,
    layout: Arc<dyn Layout>,
    keep_persistent: bool,
    one_shot: bool,
    names: Names,
}

impl ZooKeeper {
    /// The registry of this client's ensemble, below its chroot. The chroot is created if it is missing when the first
    /// instance is registered.
    #[must_use]
    pub fn new(client: impl Into<Client>, layout: impl Layout + 'static) -> Self {
        Self::with_options(client.into(), Arc::new(layout), false, false)
    }

    pub(super) fn with_options(
        client: Client,
        layout: Arc<dyn Layout>,
        keep_persistent: bool,
        one_shot: bool,
    ) -> Self {
        Self { client, layout, keep_persistent, one_shot, names: Names::default() }
    }

    /// Leaves persistent registrations of the same instance alone, as a [`Conflict`](super::reconcile::Conflict), instead
    /// of replacing them by ephemeral ones.
    #[must_use]
    pub fn keep_persistent(mut self) -> Self {
        self.keep_persistent = true;
        self
    }

    /// Watches by one-shot watches on every server, as it does by itself on servers before 3.6: for ensembles behind
    /// something that does not know recursive watches.
    #[must_use]
    pub fn one_shot_watches(mut self) -> Self {
        self.one_shot = true;
        self
    }

    /// The client beneath.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whose readers would be harmed by leaves of this layout in the directory of `service`, or by what stands there among
    /// other readers of it: told from its children and the payloads of the first of them. [`register`](Registration::register) asks
    /// it too, beside everything else it does, and warns.
    ///
    /// # Errors
    /// [`Error::Layout`] if the service has no directory, [`Error::Client`] if it cannot be read. One that is missing harms nobody.
    pub async fn clashes(&self, service: &str) -> Result<Vec<Clash>, Error> {
        Ok(neighbours::clashes(&self.client, &*self.layout, self.layout.service_dir(service)?).await?)
    }

    async fn settled(&self, builder: InstanceBuilder) -> Result<super::Instance, Error> {
        let env = |name: &str| std::env::var(name).ok();
        if needs_socket(builder.given(), env) && self.client.local_addr().is_none() {
            // Without an address in time, settling says what to do about it.
            let _ = tokio::time::timeout(ADDRESS_WAIT, connected(&self.client)).await;
        }
        let (address, source) = settle(builder.given(), env, self.client.local_addr())?;
        let mut instance = builder.build(address, super::entropy())?;
        if self.layout.tells_time() && instance.registered_at_ms.is_none() {
            instance.registered_at_ms = wall_clock_ms();
        }
        tracing::debug!(service = %instance.service, id = %instance.id, address = %instance.address, ?source, "address settled");
        Ok(instance)
    }

    async fn registered(&self, builder: InstanceBuilder) -> Result<Registered, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let instance = Arc::new(self.settled(builder).await?);
        let leaf = self.layout.leaf(&instance)?;
        let dir = leaf.dir.clone();
        let place = self.names.claim(&leaf, &instance.service)?;
        let keeps = self.layout.keeps_leaf(&instance);
        let wish =
            Wish { instance: Arc::clone(&instance), data: keeps.then(|| leaf.data.clone()), over: false };
        let (wishes, wished) = watch::channel(wish);
        let (status, receiver) = watch::channel(RegistrationStatus::PENDING);
        let control = register::Wishes { layout: Arc::clone(&self.layout), path: leaf.path(), wishes };
        let standing = Standing::new(leaf, self.keep_persistent, crate::client::seed());
        let keeper = Keeper::new(&self.client, Arc::clone(&self.layout), standing, wished, status, place);
        runtime.spawn(keeper.run());
        runtime.spawn(neighbours::warn(self.client.clone(), Arc::clone(&self.layout), dir));
        Ok(Registered::new(Box::new(control), instance, receiver))
    }

    async fn discovered(&self, service: &str) -> Result<Services, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let (sender, seen) = watch::channel(Seen::default());
        let follower = discover::Follower::new(&self.client, &self.layout, service, self.one_shot, sender);
        let task = runtime.spawn(follower.map_err(Error::from)?.run());
        let services = Services::new(service, seen, Source::Task(task.abort_handle()));
        services.first(DISCOVER_TIMEOUT).await?;
        Ok(services)
    }
}

/// Milliseconds since 1970. Nothing is decided by them.
#[expect(clippy::disallowed_methods, reason = "for display only, in layouts whose own writers say it")]
fn wall_clock_ms() -> Option<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

fn needs_socket(given: &Given, env: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| env(name).is_some_and(|value| !value.trim().is_empty());
    given.host.is_none() && !set(ADVERTISE_ADDRESS) && !set(POD_IP)
}

/// Waits until the client is connected, or has ended.
async fn connected(client: &Client) {
    let mut seen = client.status();
    while !matches!(seen.state, State::Connected | State::ConnectedReadOnly | State::Ended(_)) {
        seen = client.status_change(&seen).await;
    }
}

impl Registration for ZooKeeper {
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>> {
        Box::pin(self.registered(instance))
    }
}

impl Discovery for ZooKeeper {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let service = service.to_owned();
        Box::pin(async move { self.discovered(&service).await })
    }
}

impl Registry for ZooKeeper {
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(self.client.close().await?) })
    }
}
