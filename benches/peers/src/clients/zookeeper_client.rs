//! The crate `zookeeper-client`.

use anyhow::Result;
use zookeeper_client::Client;

use super::{Peer, SESSION_TIMEOUT};

/// A session of `zookeeper-client`.
#[derive(Clone)]
pub struct ZookeeperClient(Client);

impl std::fmt::Debug for ZookeeperClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ZookeeperClient").finish_non_exhaustive()
    }
}

impl Peer for ZookeeperClient {
    const NAME: &'static str = "zookeeper-client";

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(Client::connector().with_session_timeout(SESSION_TIMEOUT).connect(address).await?))
    }

    async fn get(&self, path: &'static str) -> Result<usize> {
        let (data, _stat) = self.0.get_data(path).await?;
        Ok(data.len())
    }
}
