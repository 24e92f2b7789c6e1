//! The clients under test, each behind the one operation of the workloads. One file a client: what it takes
//! to connect and to read a value, as its documentation shows it, and nothing tuned.

use std::future::Future;
use std::time::Duration;

use anyhow::Result;

mod noop;
#[cfg(feature = "ours")]
mod ours;
mod tokio_zookeeper;
mod zookeeper_async;
mod zookeeper_client;

pub use noop::Noop;
#[cfg(feature = "ours")]
pub use ours::Ours;
pub use tokio_zookeeper::TokioZookeeper;
pub use zookeeper_async::ZookeeperAsync;
pub use zookeeper_client::ZookeeperClient;

/// The names of the clients that are compared.
pub const COMPARED: &[&str] = &[
    #[cfg(feature = "ours")]
    Ours::NAME,
    TokioZookeeper::NAME,
    ZookeeperAsync::NAME,
    ZookeeperClient::NAME,
];

/// Asked for by every client that lets one ask, so that all ping equally seldom.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// A connected client, cheap to clone into every task.
pub trait Peer: Clone + Send + Sync + Sized + 'static {
    /// Its name on the command line and in reports.
    const NAME: &'static str;

    /// Opens a session at `address`, a socket address.
    ///
    /// # Errors
    /// Those of the client.
    fn connect(address: &str) -> impl Future<Output = Result<Self>> + Send;

    /// Reads the value at `path` and returns its length in bytes.
    ///
    /// # Errors
    /// Those of the client.
    fn get(&self, path: &'static str) -> impl Future<Output = Result<usize>> + Send;
}
