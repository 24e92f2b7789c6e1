//! The registry on ZooKeeper: what [`Standings`](super::reconcile::Standings) and [`View`](super::view::View) ask for, done with a client.
//!
//! The client follows: after an expiry it goes on with a new session, and every registration and view with it. What is
//! done for one session goes through a handle pinned to it, so nothing begun under one session is finished under another.

mod discover;
mod disk;
mod listing;
mod neighbours;
mod places;
mod register;
mod requests;
mod session;
mod telling;
mod watching;
mod wish;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::debug;

use self::disk::Disk;
use self::listing::Lister;
use self::places::Places;
use self::register::Keeper;
use self::telling::Telling;
use self::wish::Wishes;
use super::address::{ADVERTISE_ADDRESS, Given, POD_IP, settle};
use super::health::{Ledger, RegistryHealth};
use super::layout::{Clash, Layout};
use super::limits::{ADDRESS_WAIT, DISCOVER_TIMEOUT};
use super::names::{NamesKeeper, SeenNames, ServiceNames};
use super::registered::{Registered, RegistrationStatus};
use super::services::{Seen, Services, Source};
use super::traits::{BoxFuture, Discovery, Registration, Registry};
use super::view::Pace;
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
    pace: Pace,
    probes: bool,
    saved_in: Option<Arc<Path>>,
    places: Places,
    ledger: Ledger,
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
        Self {
            client,
            layout,
            keep_persistent,
            one_shot,
            pace: Pace::default(),
            probes: true,
            saved_in: None,
            places: Places::default(),
            ledger: Ledger::default(),
        }
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

    /// Reads at another pace, and holds back other losses, in every view from here on.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Keeps the last set of every view in a file of this folder, for a start without ZooKeeper: if nothing has been read within
    /// [`COLD_START_AFTER`](super::limits::COLD_START_AFTER), the view begins with what was saved, stale since then. The
    /// folder must be there. Files are replaced as a whole; one that is not as this library writes it is refused, with a
    /// warning. Use [`Builder::connect_lazy`](crate::client::Builder::connect_lazy) for the client, since there may be
    /// nobody to connect to.
    #[must_use]
    pub fn saved_in(mut self, folder: impl AsRef<Path>) -> Self {
        self.saved_in = Some(folder.as_ref().into());
        self
    }

    /// Opens no connections to suspects: persistent instances to which calls failed. By default each is probed by a TCP
    /// connect, with growing pauses, so that no call has to find out whether it is back.
    #[must_use]
    pub fn without_probes(mut self) -> Self {
        self.probes = false;
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
        debug!(target: "menagerie::registration", service = %instance.service, id = %instance.id, address = %instance.address, ?source, "address settled");
        Ok(instance)
    }

    /// Registers several instances as one registration, as go-micro's plugin does with the nodes of a service: they come in one transaction, or
    /// where that is refused one by one, and [`Registered`] is about all of them. They may be of several services.
    ///
    /// Dropping the future before it is ready registers nothing.
    ///
    /// # Errors
    /// As [`register`](Registration::register), for any of them; [`Error::Nothing`] if there is none.
    pub async fn register_all(
        &self,
        instances: impl IntoIterator<Item = InstanceBuilder>,
    ) -> Result<Registered, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        if planted!("registry_waits_for_nobody") && self.client.status().state != State::Connected {
            return Err(Error::Ended(crate::session::End::ClosedUnconfirmed));
        }
        let mut settled = Vec::new();
        for builder in instances {
            settled.push(Arc::new(self.settled(builder).await?));
        }
        let [first, others @ ..] = &settled[..] else { return Err(Error::Nothing) };
        let mut dirs = BTreeSet::new();
        for instance in &settled {
            dirs.insert(self.layout.leaf(instance)?.dir);
        }
        let (control, wished) = Wishes::new(Arc::clone(&self.layout), self.places.clone(), &settled)?;
        let (status, receiver) = watch::channel(RegistrationStatus::PENDING);
        let keeper = Keeper::new(
            &self.client,
            Arc::clone(&self.layout),
            self.keep_persistent,
            wished,
            status,
            Telling::about(first),
        );
        runtime.spawn(keeper.run());
        for dir in dirs {
            runtime.spawn(neighbours::warn(self.client.clone(), Arc::clone(&self.layout), dir));
        }
        let registered = Registered::new(Box::new(control), Arc::clone(first), others.to_vec(), receiver);
        Ok(self.ledger.registered(registered))
    }

    /// A view of the service, which need not have been read.
    pub(super) fn followed(&self, service: &str, runtime: &Handle) -> Result<Services, Error> {
        let (sender, seen) = watch::channel(Seen::default());
        let pace = self.pace.clone();
        if let Some(folder) = &self.saved_in {
            let disk = Disk::new(folder, &self.layout, service)?;
            runtime.spawn(disk::keep(disk, sender.clone(), seen.clone()));
        }
        let follower =
            discover::Follower::new(&self.client, &self.layout, service, self.one_shot, pace, sender)?;
        let task = runtime.spawn(follower.run());
        let services = Services::new(service, seen, Source::Task(task.abort_handle()));
        let services = if self.probes { services.probed_on(runtime.clone()) } else { services };
        Ok(self.ledger.discovered(services))
    }

    async fn discovered(&self, service: &str) -> Result<Services, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let services = self.followed(service, &runtime)?;
        services.first(DISCOVER_TIMEOUT).await?;
        Ok(services)
    }

    /// The list of services, which need not have been read.
    pub(super) fn listed(&self, runtime: &Handle) -> ServiceNames {
        let (sender, seen) = watch::channel(SeenNames::default());
        let lister = Lister::new(&self.client, &self.layout, self.pace.clone(), sender);
        let task = runtime.spawn(lister.run());
        ServiceNames::new(seen, NamesKeeper::Task(task.abort_handle()))
    }

    pub(super) fn probes(&self) -> bool {
        self.probes
    }

    pub(super) fn layout(&self) -> &dyn Layout {
        &*self.layout
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
        Box::pin(self.register_all([instance]))
    }
}

impl Discovery for ZooKeeper {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let service = service.to_owned();
        Box::pin(async move { self.discovered(&service).await })
    }

    fn services(&self) -> BoxFuture<'_, Result<ServiceNames, Error>> {
        Box::pin(async move {
            let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
            let names = self.listed(&runtime);
            names.first(DISCOVER_TIMEOUT).await?;
            Ok(names)
        })
    }
}

impl Registry for ZooKeeper {
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(self.client.close().await?) })
    }

    fn health(&self) -> RegistryHealth {
        self.ledger.health(Some(self.client.status()))
    }
}
