//! The two traits that application code names, and the one function that picks what is behind them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::fixed::Fixed;
use super::health::RegistryHealth;
use super::health_check::{Gating, HealthCheck};
use super::memory::Memory;
use super::names::ServiceNames;
use super::registered::Registered;
use super::services::Services;
use super::url::RegistryUrl;
use super::zookeeper::ZooKeeper;
use super::{Error, InstanceBuilder};

/// A future on the heap, so that the traits can be objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes instances known.
pub trait Registration: fmt::Debug + Send + Sync {
    /// Wishes the instance to be registered until the handle is dropped. The future is ready when the wish stands: its
    /// address is settled (see [`settle`](super::address::settle)) and nothing speaks against it.
    /// [`Registered::registered`] waits until it is fulfilled. For an [`Instance`](super::Instance) that is complete
    /// already, pass `instance.into()`.
    ///
    /// Dropping the future before it is ready registers nothing.
    ///
    /// # Errors
    /// [`Error`] if the instance has no address, is incomplete, has no place in the layout, or is registered here
    /// already.
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>>;

    /// As [`register`](Self::register), but the instance is up only as long as all checks pass. Until then, and when one
    /// falls, it is wished [out of service](super::Status::OutOfService), the reason naming the check: it has no leaf
    /// where the layout has no word for that. An instance that is wished otherwise than up is left as it is wished.
    ///
    /// The checks run on the present runtime until the registration is withdrawn; [`Registered::checks`] tells where they
    /// stand.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), menagerie::registry::Error> {
    /// use menagerie::registry::{self, HealthCheck, Instance};
    ///
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    /// let port = listener.local_addr().expect("it is bound").port();
    /// let registry = registry::connect("memory:").await?;
    /// let instance = Instance::builder("time").host("127.0.0.1").port(port);
    /// let registered = registry.register_checked(instance, vec![HealthCheck::tcp().rise(1)]).await?;
    /// let services = registry.discover("time").await?;
    /// assert!(services.pick().is_none(), "not asked yet");
    /// let mut changes = services.changes();
    /// while services.pick().is_none() {
    ///     changes.next().await;
    /// }
    /// # assert!(registered.checks().iter().all(|check| check.is_up));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`register`](Self::register); [`Error::NoRuntime`].
    fn register_checked(
        &self,
        instance: InstanceBuilder,
        checks: Vec<HealthCheck>,
    ) -> BoxFuture<'_, Result<Registered, Error>> {
        Box::pin(async move {
            let (instance, gating) = Gating::new(instance, checks)?;
            Ok(gating.around(self.register(instance).await?))
        })
    }
}

/// Finds instances.
pub trait Discovery: fmt::Debug + Send + Sync {
    /// A live view of a service. The future is ready with the first complete set, even if that is empty.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::Layout`] if the name is none; [`Error::NotRead`] if nothing was read within
    /// [`DISCOVER_TIMEOUT`](super::limits::DISCOVER_TIMEOUT).
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>>;

    /// The services that there are, as a live list. The future is ready with the first one. A service whose directory
    /// was left behind empty is listed, and so is none of a layout whose root is the service. Where a name and its
    /// directory differ, as `a/b` and `a-b` in go-micro's layout, it is the directory's.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::NotRead`] if nothing was read within [`DISCOVER_TIMEOUT`](super::limits::DISCOVER_TIMEOUT).
    fn services(&self) -> BoxFuture<'_, Result<ServiceNames, Error>>;
}

/// Both at once.
pub trait Registry: Registration + Discovery {
    /// Ends the registry: what was registered through it and ends with its session is gone when the future is ready.
    ///
    /// Dropping the future does not take it back.
    ///
    /// # Errors
    /// [`Error::Client`] without ZooKeeper's word: registrations may live until the session times out.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// How it fares: its session, what is registered through it, and what is discovered. Never waits for the network.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), menagerie::registry::Error> {
    /// use menagerie::registry;
    ///
    /// let registry = registry::connect("static:time=10.0.0.1:80").await?;
    /// let times = registry.discover("time").await?;
    /// // What a readiness endpoint answers.
    /// let health = registry.health();
    /// let (status, body) = (if health.is_ready() { 200 } else { 503 }, health.to_string());
    /// assert_eq!((status, body.as_str()), (200, "good"));
    /// # drop(times);
    /// # Ok(())
    /// # }
    /// ```
    fn health(&self) -> RegistryHealth;
}

/// Opens the registry that a URL names, so that application code names none:
///
/// | URL | registry |
/// |---|---|
/// | `zk://[user:password@]host1,host2[/chroot][?options]` | ZooKeeper |
/// | `static:time=10.0.0.1:80,10.0.0.2:80;users=10.0.0.3:80` | a fixed list |
/// | `memory:` or `memory:name` | in this process |
///
/// Options of `zk:` are `layout` (`go-micro`, the default, or `plain`), `root` (the layout's directory), `keep_persistent`
/// (`true` leaves persistent registrations of the same instance alone), `watches` (`one-shot` for servers in front of which
/// something does not know recursive watches), and those of the client: `session_timeout`, `connect_timeout`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), menagerie::registry::Error> {
/// use menagerie::registry::{self, Instance};
///
/// let registry = registry::connect("memory:").await?;
/// let builder = Instance::builder("time").host("10.0.0.1").port(8080);
/// let registered = registry.register(builder).await?;
/// let services = registry.discover("time").await?;
/// let instance = services.pick().expect("it was just registered");
/// assert_eq!(instance.address.to_string(), "10.0.0.1:8080");
/// registered.deregister().await?;
/// assert!(services.snapshot().is_empty());
/// # Ok(())
/// # }
/// ```
///
/// Dropping the future gives up and leaves nothing behind.
///
/// # Errors
/// [`Error::Url`] if the URL is not one; [`Error::Client`] if there is no session within the connect timeout.
pub async fn connect(url: &str) -> Result<Arc<dyn Registry>, Error> {
    Ok(match RegistryUrl::parse(url)? {
        RegistryUrl::ZooKeeper(options) => {
            let client = crate::Client::connect(&options.client_url).await?;
            Arc::new(ZooKeeper::with_options(
                client,
                options.layout,
                options.keep_persistent,
                options.one_shot,
            ))
        }
        RegistryUrl::Static(services) => Arc::new(Fixed::new(services)),
        RegistryUrl::Memory(name) => Arc::new(Memory::named(&name)),
    })
}
