//! The crate `tokio-zookeeper`.

use anyhow::{Context, Result};
use tokio_zookeeper::{ZooKeeper, ZooKeeperBuilder};

use super::{Peer, SESSION_TIMEOUT};

/// A session of `tokio-zookeeper`.
#[derive(Debug, Clone)]
pub struct TokioZookeeper(ZooKeeper);

impl Peer for TokioZookeeper {
    const NAME: &'static str = "tokio-zookeeper";

    async fn connect(address: &str) -> Result<Self> {
        let address = address.parse().context("address")?;
        let mut builder = ZooKeeperBuilder::default();
        builder.set_timeout(SESSION_TIMEOUT);
        let (session, events) = builder.connect(&address).await?;
        // The session expects its events to have a receiver for as long as it lives: here, the process.
        std::mem::forget(events);
        Ok(Self(session))
    }

    async fn get(&self, path: &'static str) -> Result<usize> {
        let (data, _stat) = self.0.get_data(path).await?.context("no such node")?;
        Ok(data.len())
    }
}
