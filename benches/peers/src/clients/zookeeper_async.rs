//! The crate `zookeeper-async`.

use std::sync::Arc;

use anyhow::Result;
use zookeeper_async::ZooKeeper;

use super::{Peer, SESSION_TIMEOUT};

/// A session of `zookeeper-async`.
#[derive(Clone)]
pub struct ZookeeperAsync(Arc<ZooKeeper>);

impl std::fmt::Debug for ZookeeperAsync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ZookeeperAsync").finish_non_exhaustive()
    }
}

impl Peer for ZookeeperAsync {
    const NAME: &'static str = "zookeeper-async";

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(Arc::new(ZooKeeper::connect(address, SESSION_TIMEOUT, |_event| {}).await?)))
    }

    async fn get(&self, path: &'static str) -> Result<usize> {
        let (data, _stat) = self.0.get_data(path, false).await?;
        Ok(data.len())
    }
}
