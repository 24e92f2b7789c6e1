//! What can be wrong with a registry's URL, an instance or a service name, and what may go wrong on the way.

use std::time::Duration;

use thiserror::Error as ThisError;

use super::address::AddressError;
use super::health_check::HealthCheckError;
use super::layout::LayoutError;
use super::model::InstanceError;
use super::read_failure::ReadFailure;
use super::url::UrlError;
use crate::client;
use crate::session::End;

/// Why something was not registered or discovered. It is said at the call: once a wish stands, its
/// [`status`](super::Registered::status) tells what becomes of it.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The registry's URL is not one.
    #[error("the registry's URL: {0}")]
    Url(#[from] UrlError),
    /// There is no address to announce.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The instance is incomplete.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// What is to be checked cannot be.
    #[error(transparent)]
    HealthCheck(#[from] HealthCheckError),
    /// The layout has no place for it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// ZooKeeper, or the way to it.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// There is no instance among those to be registered.
    #[error("there is nothing to register")]
    Nothing,
    /// This registry keeps another registration at the same place already.
    #[error("{place:?} is registered here already")]
    Taken {
        /// The znode's path, or service and id.
        place: String,
    },
    /// Another service whose name leads to the same directory is registered here: their readers would mix them up. So
    /// it is with `x/y` and `x-y` in go-micro's layout, and with any two services of the plain one.
    #[error("{dir} is the directory of the service {service:?} already")]
    SharedDirectory {
        /// The directory.
        dir: String,
        /// The service that is registered in it.
        service: String,
    },
    /// An update may change everything but service and id: deregister the instance and register the other.
    #[error("the update would move the instance from {from:?} to {to:?}")]
    Moved {
        /// Where it is registered.
        from: String,
        /// Where the update belongs.
        to: String,
    },
    /// The service could not be read completely in time. It is tried no further.
    #[error("the service was not read within {waited:?}{}", because(*.failure))]
    NotRead {
        /// How long it was tried.
        waited: Duration,
        /// Why the last read failed, if one did.
        failure: Option<ReadFailure>,
    },
    /// The registry's client has ended, and with it all that was registered through it.
    #[error("the registry's client has ended: {0}")]
    Ended(End),
    /// There is no tokio runtime here.
    #[error("there is no tokio runtime here")]
    NoRuntime,
}

fn because(failure: Option<ReadFailure>) -> String {
    failure.map(|failure| format!(": {failure}")).unwrap_or_default()
}
