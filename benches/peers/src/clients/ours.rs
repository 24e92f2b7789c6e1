//! The client of this repository.

use anyhow::Result;
use menagerie::Client;

use super::Peer;

/// A session of `menagerie`.
#[derive(Clone)]
pub struct Ours(Client);

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ours").finish_non_exhaustive()
    }
}

impl Peer for Ours {
    const NAME: &'static str = crate::compare::OURS;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(Client::connect(address).await?))
    }

    async fn get(&self, path: &'static str) -> Result<usize> {
        let (data, _stat) = self.0.get(path).await?;
        Ok(data.len())
    }
}
