//! Whose watches outlive a connection: our client and `zookeeper-client` at once, on one fault proxy before a real
//! server, with the same watches, the same disconnects and the same changes by a second client.
//!
//! Knows what a watch owes its user, and no client: those stand behind [`Subject`]. [`run`] does the rounds, a
//! [`Side`](side::Side) keeps one client's accounts, [`Report`] prints them.

mod changes;
mod ours;
mod report;
mod rounds;
mod side;
mod subject;
mod zookeeper_client;

use std::time::Duration;

use serde::Serialize;

pub use ours::Ours;
pub use report::{Accounts, Report, Row};
pub use rounds::{Plan, run};
pub use side::{Side, Tally};
pub use subject::{Link, Subject, Tell, Teller};
pub use zookeeper_client::ZookeeperClient;

/// Length of every watched path.
const PATH_LEN_BYTES: usize = 200;

/// Asked for by both. Long beside the time apart, also on a machine with much else to do: a session that a server has
/// rightly given up says nothing about watches.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// The kinds of watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One-shot, set by reading data; the change is other data.
    Data,
    /// One-shot, set by asking for a znode that is missing; the change is its creation.
    Exists,
    /// One-shot, set by reading children; the change is a child that comes or goes.
    Children,
    /// Lasting, on one znode; the change is other data.
    Persistent,
    /// Lasting, on a znode and everything below; the change is other data of a child.
    Recursive,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Data, Self::Exists, Self::Children, Self::Persistent, Self::Recursive];

    /// Its name in paths and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Exists => "exists",
            Self::Children => "children",
            Self::Persistent => "persistent",
            Self::Recursive => "recursive",
        }
    }

    /// Whether it goes on after an event.
    #[must_use]
    pub fn lasts(self) -> bool {
        matches!(self, Self::Persistent | Self::Recursive)
    }

    /// The znode that is watched.
    #[must_use]
    pub fn path(self, number: usize) -> String {
        let head = format!("/{}/{number:05}-", self.name());
        let padding = PATH_LEN_BYTES.saturating_sub(head.len());
        format!("{head}{}", "x".repeat(padding))
    }

    /// The znode that is changed, and that tells a reader which round's change it has seen last.
    #[must_use]
    pub fn changed(self, number: usize) -> String {
        let path = self.path(number);
        if matches!(self, Self::Children | Self::Recursive) { format!("{path}/c") } else { path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watched_paths_have_the_promised_length_and_are_distinct() {
        let mut all: Vec<_> = Kind::ALL.iter().flat_map(|kind| (0..50).map(|n| kind.path(n))).collect();
        assert!(all.iter().all(|path| path.len() == PATH_LEN_BYTES));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 250);
    }
}
