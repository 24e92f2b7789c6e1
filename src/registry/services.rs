//! The handle on a live view of a service, and picking from it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::balance::{Pool, Random, RoundRobin, Suspects};
use super::follow::Follow;
use super::view::{Change, Invalid, Set};
use super::{Error, Instance, ReadFailure};
use crate::session::End;

/// A live view of one service: its instances as last read, kept up to date in the background.
///
/// While ZooKeeper is away the last good set stays, marked by [`stale_since`](Self::stale_since). Cheap to clone; clones
/// share what they know of failures. The view ends with the last of them and of their [`changes`](Self::changes).
#[derive(Clone)]
pub struct Services {
    service: Arc<str>,
    seen: watch::Receiver<Seen>,
    balancer: Arc<Mutex<Balancer>>,
    source: Arc<Source>,
}

/// What a view publishes.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// `None` until the first complete set.
    pub(super) set: Option<Arc<Set>>,
    pub(super) stale_since: Option<Instant>,
    pub(super) invalid: Arc<[Invalid]>,
    pub(super) failure: Option<ReadFailure>,
    /// How the registry's client ended, behind which nothing comes.
    pub(super) ended: Option<End>,
}

/// What keeps a view going until its last handle and stream are dropped.
#[derive(Debug)]
pub(super) enum Source {
    /// A task of this view.
    Task(AbortHandle),
    /// The list is here, and nothing changes it.
    Fixed { _sender: watch::Sender<Seen> },
    /// A registry of this process, which lives as long.
    Owner { _owner: Arc<dyn fmt::Debug + Send + Sync> },
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

/// How [`Services::pick`] chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Balance {
    /// Every instance with equal chance.
    #[default]
    Random,
    /// One after another.
    RoundRobin,
}

#[derive(Debug)]
enum Strategy {
    Random(Random),
    RoundRobin(RoundRobin),
}

#[derive(Debug)]
struct Balancer {
    strategy: Strategy,
    suspects: Suspects,
    /// What the pool was made of; `None` makes it anew.
    made_of: Option<Arc<Set>>,
    pool: Pool,
}

impl Services {
    pub(super) fn new(service: &str, seen: watch::Receiver<Seen>, source: Source) -> Self {
        let balancer = Arc::new(Mutex::new(Balancer::new(Balance::default())));
        Self { service: service.into(), seen, balancer, source: Arc::new(source) }
    }

    /// The same view, picked from in another way, and with a fresh mind about failures.
    #[must_use]
    pub fn balanced(&self, balance: Balance) -> Self {
        Self { balancer: Arc::new(Mutex::new(Balancer::new(balance))), ..self.clone() }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The instances as last read. Never blocks.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Set> {
        self.seen.borrow().set.clone().unwrap_or_default()
    }

    /// The present set and then every change: what differs from the one before, with old and new. A slow reader gets
    /// several changes as one; what came and went between does not show. The first item is the step from nothing to the
    /// present set.
    ///
    /// Ends when the registry's client ends. Until then it needs no handle: it keeps the view going by itself.
    pub fn changes(&self) -> ServiceChanges {
        let source = (!planted!("registry_stream_without_view")).then(|| self.source.clone());
        ServiceChanges { seen: Follow::new(self.seen.clone()), last: None, _source: source }
    }

    /// Since when the set may be out of date because ZooKeeper was away; `None` while it is not. By tokio's clock.
    #[must_use]
    pub fn stale_since(&self) -> Option<Instant> {
        self.seen.borrow().stale_since
    }

    /// What stands among the instances and is none, and why.
    #[must_use]
    pub fn invalid(&self) -> Arc<[Invalid]> {
        self.seen.borrow().invalid.clone()
    }

    /// Why a read last failed, until one succeeds.
    #[must_use]
    pub fn last_failure(&self) -> Option<ReadFailure> {
        self.seen.borrow().failure
    }

    /// An instance for the next call: one that wants calls, not a suspect if others are left; `None` if there is none.
    #[must_use]
    pub fn pick(&self) -> Option<Arc<Instance>> {
        let set = self.snapshot();
        self.balancer().pick(set)
    }

    /// A call to `instance` failed as calls to dead processes fail: refused, unreachable, timed out. A persistent
    /// instance then is a suspect, passed over while others are left, until a call succeeds or it leaves the view. One
    /// that ends with its session is not: ZooKeeper removes it.
    pub fn report_failure(&self, instance: &Instance) {
        let mut balancer = self.balancer();
        if balancer.suspects.failed(instance) {
            balancer.made_of = None;
        }
    }

    /// A call to `instance` succeeded: it is no suspect.
    pub fn report_success(&self, instance: &Instance) {
        let mut balancer = self.balancer();
        if balancer.suspects.succeeded(instance) {
            balancer.made_of = None;
        }
    }

    fn balancer(&self) -> std::sync::MutexGuard<'_, Balancer> {
        self.balancer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first complete set.
    pub(super) async fn first(&self, waited: Duration) -> Result<(), Error> {
        let mut seen = self.seen.clone();
        let first = async {
            while seen.borrow_and_update().set.is_none() {
                if seen.changed().await.is_err() {
                    let end = seen.borrow().ended;
                    return Err(Error::Ended(end.unwrap_or(End::ClosedUnconfirmed)));
                }
            }
            Ok(())
        };
        match tokio::time::timeout(waited, first).await {
            Ok(result) => result,
            Err(_) => Err(Error::NotRead { waited, failure: self.last_failure() }),
        }
    }
}

impl Balancer {
    fn new(balance: Balance) -> Self {
        let seed = crate::client::seed();
        let strategy = match balance {
            Balance::Random => Strategy::Random(Random::new(seed)),
            Balance::RoundRobin => Strategy::RoundRobin(RoundRobin::new(seed)),
        };
        Self { strategy, suspects: Suspects::default(), made_of: None, pool: Pool::default() }
    }

    fn pick(&mut self, set: Arc<Set>) -> Option<Arc<Instance>> {
        if !self.made_of.as_ref().is_some_and(|made_of| Arc::ptr_eq(made_of, &set)) {
            self.suspects.retain(set.iter());
            self.pool = Pool::new(set.iter(), &self.suspects);
            self.made_of = Some(set);
        }
        let picked = match &mut self.strategy {
            Strategy::Random(random) => random.pick(&self.pool),
            Strategy::RoundRobin(robin) => robin.pick(&self.pool),
        };
        picked.cloned()
    }
}

/// A stream of [`Change`]: see [`Services::changes`].
#[must_use = "streams do nothing unless polled"]
pub struct ServiceChanges {
    seen: Follow<Seen>,
    last: Option<Arc<Set>>,
    /// What keeps the view going.
    _source: Option<Arc<Source>>,
}

impl ServiceChanges {
    /// The next change; `None` behind the end.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Change> {
        std::future::poll_fn(|cx| self.poll_change(cx)).await
    }

    fn poll_change(&mut self, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        loop {
            let Some(seen) = ready!(self.seen.poll_value(cx)) else { return Poll::Ready(None) };
            let Some(set) = seen.set else { continue };
            let last = self.last.replace(set.clone());
            let change = Change::between(&last.clone().unwrap_or_default(), set);
            if last.is_none() || !change.is_empty() {
                return Poll::Ready(Some(change));
            }
        }
    }
}

impl Stream for ServiceChanges {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        self.get_mut().poll_change(cx)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Services");
        out.field("service", &self.service).field("seen", &*self.seen.borrow()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServiceChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceChanges").finish_non_exhaustive()
    }
}
