//! Which services there are, as a live list.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use tokio::sync::watch;

use super::follow::{self, Follow, Published};
use super::{Error, ReadFailure};
use crate::session::End;

/// The names of all services, kept up to date in the background. While ZooKeeper is away the last list stays.
///
/// Cheap to clone. It ends with the last clone and the last of their [`changes`](Self::changes).
#[derive(Clone)]
pub struct ServiceNames {
    seen: watch::Receiver<SeenNames>,
    keeper: Arc<NamesKeeper>,
}

/// What a list publishes.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenNames {
    /// `None` until the first list.
    pub(super) names: Option<Arc<BTreeSet<String>>>,
    pub(super) stale_since: Option<Instant>,
    pub(super) failure: Option<ReadFailure>,
    pub(super) ended: Option<End>,
    /// How each source fares, if there are several.
    pub(super) sources: Arc<[NamesSource]>,
}

/// How one of several sources of a list of services fares: see [`ServiceNames::sources`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamesSource {
    /// The root whose children are listed.
    pub root: Arc<str>,
    /// How many services it has; `None` until it has been listed for the first time.
    pub services: Option<usize>,
    /// Since when its list may be out of date.
    pub stale_since: Option<Instant>,
    /// Why it could not be listed last, until it can.
    pub failure: Option<ReadFailure>,
    /// How its client ended, if it has.
    pub ended: Option<End>,
}

pub(super) type NamesKeeper = follow::Source<SeenNames>;

impl Published for SeenNames {
    fn is_read(&self) -> bool {
        self.names.is_some()
    }

    fn failure(&self) -> Option<ReadFailure> {
        self.failure
    }

    fn ended(&self) -> Option<End> {
        self.ended
    }
}

/// The step from one list of names to a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamesChange {
    /// The list after the step.
    pub names: Arc<BTreeSet<String>>,
    /// Names that were not in the list before.
    pub added: Vec<String>,
    /// Names that are not in the list any more.
    pub removed: Vec<String>,
}

impl ServiceNames {
    pub(super) fn new(seen: watch::Receiver<SeenNames>, keeper: NamesKeeper) -> Self {
        Self { seen, keeper: Arc::new(keeper) }
    }

    pub(super) fn receiver(&self) -> watch::Receiver<SeenNames> {
        self.seen.clone()
    }

    /// The names as last read. Never blocks.
    #[must_use]
    pub fn snapshot(&self) -> Arc<BTreeSet<String>> {
        self.seen.borrow().names.clone().unwrap_or_default()
    }

    /// Since when the list may be out of date; `None` while it is not. By tokio's clock.
    #[must_use]
    pub fn stale_since(&self) -> Option<Instant> {
        self.seen.borrow().stale_since
    }

    /// Why the list could not be read last, until it can.
    #[must_use]
    pub fn last_failure(&self) -> Option<ReadFailure> {
        self.seen.borrow().failure
    }

    /// How each source fares, if the list is one over several: which of them could not be listed. Empty otherwise.
    #[must_use]
    pub fn sources(&self) -> Arc<[NamesSource]> {
        self.seen.borrow().sources.clone()
    }

    /// The step from nothing to the present list, and then every change. A slow reader gets several as one. Ends when the
    /// registry's client ends.
    pub fn changes(&self) -> NamesChanges {
        let (seen, keeper) = (Follow::new(self.seen.clone()), Arc::clone(&self.keeper));
        NamesChanges { seen, last: None, _keeper: keeper }
    }

    /// Waits for the first list.
    pub(super) async fn first(&self, waited: Duration) -> Result<(), Error> {
        follow::first(self.seen.clone(), waited).await
    }
}

/// A stream of [`NamesChange`]: see [`ServiceNames::changes`].
#[must_use = "streams do nothing unless polled"]
pub struct NamesChanges {
    seen: Follow<SeenNames>,
    last: Option<Arc<BTreeSet<String>>>,
    _keeper: Arc<NamesKeeper>,
}

impl NamesChanges {
    /// The next change; `None` behind the end.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<NamesChange> {
        std::future::poll_fn(|cx| self.poll_change(cx)).await
    }

    fn poll_change(&mut self, cx: &mut Context<'_>) -> Poll<Option<NamesChange>> {
        loop {
            let Some(seen) = ready!(self.seen.poll_value(cx)) else { return Poll::Ready(None) };
            let Some(names) = seen.names else { continue };
            let first = self.last.is_none();
            let last = self.last.replace(Arc::clone(&names)).unwrap_or_default();
            let added: Vec<String> = names.difference(&last).cloned().collect();
            let removed: Vec<String> = last.difference(&names).cloned().collect();
            if first || !added.is_empty() || !removed.is_empty() {
                return Poll::Ready(Some(NamesChange { names, added, removed }));
            }
        }
    }
}

impl Stream for NamesChanges {
    type Item = NamesChange;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NamesChange>> {
        self.get_mut().poll_change(cx)
    }
}

impl fmt::Debug for ServiceNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceNames").field("seen", &*self.seen.borrow()).finish_non_exhaustive()
    }
}

impl fmt::Debug for NamesChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamesChanges").finish_non_exhaustive()
    }
}
