//! What the rounds ask of a client, and what its watches tell.

use std::future::Future;

use anyhow::Result;
use tokio::sync::mpsc::UnboundedSender;

use super::Kind;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Connected.
    Up,
    /// Not connected; the session may live.
    Apart,
    /// The session is over and the client says so.
    Over,
}

/// What a watch tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// It is set.
    Set,
    /// An event of the watched znode.
    Event,
    /// The client said that events may be missing; the read that followed saw the change of this round, if it saw one.
    Gap(u64),
    /// It could not be set, or has ended without an event.
    Ended,
}

/// Where one watch tells it.
#[derive(Debug, Clone)]
pub struct Teller {
    pub(super) to: UnboundedSender<(usize, u64, Tell)>,
    pub(super) slot: usize,
    /// Which of the watches that this slot has had: an earlier one has no say any more.
    pub(super) generation: u64,
}

impl Teller {
    /// Tells it.
    pub fn tell(&self, tell: Tell) {
        // Nobody listens only when the run is over.
        let _ = self.to.send((self.slot, self.generation, tell));
    }
}

/// A client under test, at its documented settings.
pub trait Subject: Clone + Send + Sync + Sized + 'static {
    /// Its name in reports.
    const NAME: &'static str;

    /// Opens a session.
    ///
    /// # Errors
    /// Those of the client.
    fn connect(address: &str) -> impl Future<Output = Result<Self>> + Send;

    /// Where the session stands.
    fn link(&self) -> Link;

    /// The state it is in, in the client's word.
    fn state(&self) -> String;

    /// Which session it is.
    fn session(&self) -> String;

    /// Connections so far that a server accepted, as the client tells of them.
    fn connections(&self) -> u64;

    /// Asks the server for anything.
    ///
    /// # Errors
    /// Those of the client.
    fn ask(&self) -> impl Future<Output = Result<()>> + Send;

    /// Sets one watch as the client's documentation shows it, tells what it tells, and reads again where the
    /// documentation says so. Ends with the watch; dropping it takes the watch back.
    fn watch(self, kind: Kind, number: usize, teller: Teller) -> impl Future<Output = ()> + Send;
}

/// The round that a value stands for; 0 for any other value.
pub(super) fn round_of(data: &[u8]) -> u64 {
    std::str::from_utf8(data).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
