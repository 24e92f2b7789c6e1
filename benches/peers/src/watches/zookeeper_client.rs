//! Watches of the crate `zookeeper-client`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use zookeeper_client::{AddWatchMode, Client, EventType, OneshotWatcher, PersistentWatcher, SessionState};

use super::subject::round_of;
use super::{Kind, Link, SESSION_TIMEOUT, Subject, Tell, Teller};

/// A session of `zookeeper-client`.
#[derive(Clone)]
pub struct ZookeeperClient {
    client: Client,
    connections: Arc<AtomicU64>,
}

impl std::fmt::Debug for ZookeeperClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZookeeperClient").finish_non_exhaustive()
    }
}

impl Subject for ZookeeperClient {
    const NAME: &'static str = "zookeeper-client";

    async fn connect(address: &str) -> Result<Self> {
        let client = Client::connector().with_session_timeout(SESSION_TIMEOUT).connect(address).await?;
        let connections = Arc::new(AtomicU64::new(1));
        let mut states = client.state_watcher();
        let counted = connections.clone();
        let mut last = states.state();
        // Ends by itself with the session. States may coalesce, so it counts too few sooner than too many.
        tokio::spawn(async move {
            while !matches!(last, SessionState::Expired | SessionState::Closed | SessionState::AuthFailed) {
                let state = states.changed().await;
                if state == SessionState::SyncConnected {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                last = state;
            }
        });
        Ok(Self { client, connections })
    }

    fn link(&self) -> Link {
        match self.client.state() {
            SessionState::SyncConnected | SessionState::ConnectedReadOnly => Link::Up,
            SessionState::Disconnected => Link::Apart,
            _ => Link::Over,
        }
    }

    fn state(&self) -> String {
        format!("{:?}", self.client.state())
    }

    fn session(&self) -> String {
        self.client.session_id().to_string()
    }

    fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    async fn ask(&self) -> Result<()> {
        self.client.check_stat("/").await?;
        Ok(())
    }

    async fn watch(self, kind: Kind, number: usize, teller: Teller) {
        let path = &kind.path(number);
        let set = match kind {
            Kind::Data => self.client.get_and_watch_data(path).await.map(|read| Set::Once(read.2)),
            Kind::Exists => self.client.check_and_watch_stat(path).await.map(|read| Set::Once(read.1)),
            Kind::Children => self.client.list_and_watch_children(path).await.map(|read| Set::Once(read.1)),
            Kind::Persistent => self.client.watch(path, AddWatchMode::Persistent).await.map(Set::Lasting),
            Kind::Recursive => {
                self.client.watch(path, AddWatchMode::PersistentRecursive).await.map(Set::Lasting)
            }
        };
        let Ok(set) = set else { return teller.tell(Tell::Ended) };
        teller.tell(Tell::Set);
        match set {
            Set::Once(watcher) => match watcher.changed().await.event_type {
                EventType::Session => teller.tell(Tell::Ended),
                _ => teller.tell(Tell::Event),
            },
            Set::Lasting(watcher) => self.follow(watcher, &kind.changed(number), &teller).await,
        }
    }
}

enum Set {
    Once(OneshotWatcher),
    Lasting(PersistentWatcher),
}

impl ZookeeperClient {
    /// `PersistentWatcher::changed`: "callers should rebuild their knowledge" after Disconnected and the SyncConnected
    /// that follows it. That pair is its gap.
    async fn follow(&self, mut watcher: PersistentWatcher, changed: &str, teller: &Teller) {
        loop {
            let event = watcher.changed().await;
            match (event.event_type, event.session_state) {
                (EventType::Session, SessionState::Disconnected) => {}
                (EventType::Session, SessionState::SyncConnected) => {
                    if let Ok((data, _)) = self.client.get_data(changed).await {
                        teller.tell(Tell::Gap(round_of(&data)));
                    }
                }
                (EventType::Session, _) => break,
                _ => teller.tell(Tell::Event),
            }
        }
        teller.tell(Tell::Ended);
    }
}
