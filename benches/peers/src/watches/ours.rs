//! Watches of the client of this repository.

use anyhow::Result;
use menagerie::Client;
use menagerie::client::{Changed, WatchEvent, Watcher};
use menagerie::session::State;

use super::subject::round_of;
use super::{Kind, Link, SESSION_TIMEOUT, Subject, Tell, Teller};

/// A session of `menagerie`.
#[derive(Clone)]
pub struct Ours(Client);

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ours").finish_non_exhaustive()
    }
}

impl Subject for Ours {
    const NAME: &'static str = crate::compare::OURS;

    async fn connect(address: &str) -> Result<Self> {
        Ok(Self(Client::builder(address)?.session_timeout(SESSION_TIMEOUT).connect().await?))
    }

    fn link(&self) -> Link {
        match self.0.state() {
            State::Connected | State::ConnectedReadOnly => Link::Up,
            State::Ended(_) => Link::Over,
            _ => Link::Apart,
        }
    }

    fn state(&self) -> String {
        format!("{:?}", self.0.state())
    }

    fn session(&self) -> String {
        self.0.status().session_id.unwrap_or(0).to_string()
    }

    fn connections(&self) -> u64 {
        self.0.status().disconnects + u64::from(self.link() == Link::Up)
    }

    async fn ask(&self) -> Result<()> {
        self.0.exists("/").await?;
        Ok(())
    }

    async fn watch(self, kind: Kind, number: usize, teller: Teller) {
        let path = kind.path(number);
        let set = match kind {
            Kind::Data => self.0.get(path).watch().await.map(|read| Set::Once(read.2)),
            Kind::Exists => self.0.exists(path).watch().await.map(|read| Set::Once(read.1)),
            Kind::Children => self.0.children(path).watch().await.map(|read| Set::Once(read.2)),
            Kind::Persistent => self.0.watch(path).await.map(Set::Lasting),
            Kind::Recursive => self.0.watch(path).recursive().await.map(Set::Lasting),
        };
        let Ok(set) = set else { return teller.tell(Tell::Ended) };
        teller.tell(Tell::Set);
        match set {
            Set::Once(changed) => match changed.await {
                WatchEvent::Event { .. } => teller.tell(Tell::Event),
                _ => teller.tell(Tell::Ended),
            },
            Set::Lasting(watcher) => self.follow(watcher, &kind.changed(number), &teller).await,
        }
    }
}

enum Set {
    Once(Changed),
    Lasting(Watcher),
}

impl Ours {
    async fn follow(&self, mut watcher: Watcher, changed: &str, teller: &Teller) {
        while let Some(event) = watcher.next().await {
            match event {
                WatchEvent::Event { .. } => teller.tell(Tell::Event),
                WatchEvent::Gap => {
                    if let Ok((data, _)) = self.0.get(changed).await {
                        teller.tell(Tell::Gap(round_of(&data)));
                    }
                }
                _ => break,
            }
        }
        teller.tell(Tell::Ended);
    }
}
