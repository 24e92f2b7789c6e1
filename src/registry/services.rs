//! The handle on a live view of a service, and picking from it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::balance::{Balancing, PassedOver};
use super::events::SourceState;
use super::follow::{self, Follow, Published};
use super::picker::{Attempt, PickStats, Picker, Shared};
use super::view::{Change, Invalid, Set, ViewStats};
use super::{Error, Instance, ReadFailure};
use crate::session::End;

/// A live view of one service: its instances as last read, kept up to date in the background.
///
/// While ZooKeeper is away the last good set stays, marked by [`stale_since`](Self::stale_since). Cheap to clone; clones
/// share what they know of failures. The view ends with the last of them, of their [`changes`](Self::changes) and of their
/// [`picker`](Self::picker)s.
#[derive(Clone)]
pub struct Services {
    service: Arc<str>,
    seen: watch::Receiver<Seen>,
    shared: Arc<Shared>,
    /// Who picks for those that have no picker of their own.
    picker: Arc<Mutex<Picker>>,
    source: Arc<Source>,
    /// Where suspects are probed, if they are.
    prober: Option<Handle>,
}

/// What a view publishes.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// `None` until the first complete set.
    pub(super) set: Option<Arc<Set>>,
    pub(super) stale_since: Option<Instant>,
    pub(super) invalid: Arc<[Invalid]>,
    pub(super) failure: Option<ReadFailure>,
    pub(super) stats: ViewStats,
    /// How each source fares, if there are several.
    pub(super) sources: Arc<[SourceState]>,
    /// How the registry's client ended, behind which nothing comes.
    pub(super) ended: Option<End>,
}

pub(super) type Source = follow::Source<Seen>;

impl Published for Seen {
    fn is_read(&self) -> bool {
        self.set.is_some()
    }

    fn failure(&self) -> Option<ReadFailure> {
        self.failure
    }

    fn ended(&self) -> Option<End> {
        self.ended
    }
}

impl Services {
    pub(super) fn new(service: &str, seen: watch::Receiver<Seen>, source: Source) -> Self {
        Self::with(service.into(), seen, Balancing::default(), Arc::new(source), None)
    }

    fn with(
        service: Arc<str>,
        seen: watch::Receiver<Seen>,
        balancing: Balancing,
        source: Arc<Source>,
        prober: Option<Handle>,
    ) -> Self {
        let shared = Shared::new(balancing);
        let shared = Arc::new(match &prober {
            Some(runtime) => shared.probed_on(runtime.clone(), seen.clone()),
            None => shared,
        });
        let picker = Picker::new(seen.clone(), Arc::clone(&shared), Arc::clone(&source));
        Self { service, seen, shared, picker: Arc::new(Mutex::new(picker)), source, prober }
    }

    /// The same view, picked from in another way, and with a fresh mind about failures and load. A
    /// [`Balance`](super::Balance) will do.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), menagerie::registry::Error> {
    /// use menagerie::registry::{self, Balance, balance::{Balancing, Filter}};
    ///
    /// let registry = registry::connect("static:time=10.0.0.1:80,10.0.0.2:80").await?;
    /// let services = registry.discover("time").await?.balanced(Balance::RoundRobin);
    /// assert_ne!(services.pick(), services.pick());
    /// let new = services.balanced(Balancing::new(Balance::Weighted).filter(Filter::new().version("2")));
    /// assert_eq!(new.pick(), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn balanced(&self, balancing: impl Into<Balancing>) -> Self {
        let (service, seen, source) = (self.service.clone(), self.seen.clone(), self.source.clone());
        Self::with(service, seen, balancing.into(), source, self.prober.clone())
    }

    /// The same view, whose suspects are probed by a task on `runtime`, with a fresh mind.
    pub(super) fn probed_on(self, runtime: Handle) -> Self {
        Self::with(self.service, self.seen, Balancing::default(), self.source, Some(runtime))
    }

    /// A handle to pick with on one thread, without a lock and without counting references: for callers to whom
    /// [`pick`](Self::pick) is too slow. It knows of failures and load what this one knows.
    #[must_use]
    pub fn picker(&self) -> Picker {
        Picker::new(self.seen.clone(), Arc::clone(&self.shared), Arc::clone(&self.source))
    }

    /// What the view publishes, and what keeps it going.
    pub(super) fn parts(&self) -> (watch::Receiver<Seen>, Arc<Source>) {
        (self.seen.clone(), Arc::clone(&self.source))
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

    /// An instance for the next call: one that wants calls, neither a suspect nor ejected if others are left; `None` if
    /// there is none. Now and then it is a suspect all the same, as a probe.
    #[must_use]
    pub fn pick(&self) -> Option<Arc<Instance>> {
        self.shared_picker().pick().cloned()
    }

    /// An instance for a call that belongs to `key`: see [`Picker::pick_for`].
    #[must_use]
    pub fn pick_for(&self, key: impl AsRef<[u8]>) -> Option<Arc<Instance>> {
        self.shared_picker().pick_for(key).cloned()
    }

    /// An instance for the next call, as an [`Attempt`] that reports what becomes of it.
    pub fn attempt(&self) -> Option<Attempt> {
        self.shared_picker().attempt()
    }

    /// An instance for a call that belongs to `key`, as an [`Attempt`]: see [`Picker::attempt_for`].
    pub fn attempt_for(&self, key: impl AsRef<[u8]>) -> Option<Attempt> {
        self.shared_picker().attempt_for(key)
    }

    /// A call to `instance` failed as calls to dead processes fail: refused, unreachable, timed out.
    ///
    /// A persistent instance then is a suspect, passed over while others are left, until a call to it succeeds, it is
    /// registered anew, or it leaves the view. After a pause a call is let through as a probe. One that ends with its
    /// session is no suspect, since ZooKeeper removes it; it may be ejected for a while: see
    /// [`Outliers`](super::balance::Outliers).
    ///
    /// Searches the instances, quickly where their ids are their leaves' names; an [`Attempt`] knows where it belongs.
    pub fn report_failure(&self, instance: &Instance) {
        self.shared.told(false);
        self.shared.report_failure(instance);
    }

    /// A call to `instance` succeeded: it is no suspect.
    pub fn report_success(&self, instance: &Instance) {
        self.shared.told(true);
        self.shared.report_success(instance);
    }

    /// Who is up and yet passed over while others are left, and why: suspects, and instances that are ejected. As of
    /// the last pick or report.
    #[must_use]
    pub fn passed_over(&self) -> Vec<PassedOver> {
        self.shared.passed_over()
    }

    /// What was picked, and what became of it.
    pub(super) fn pick_stats(&self) -> PickStats {
        self.shared.pick_stats()
    }

    fn shared_picker(&self) -> std::sync::MutexGuard<'_, Picker> {
        self.picker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first complete set.
    pub(super) async fn first(&self, waited: Duration) -> Result<(), Error> {
        follow::first(self.seen.clone(), waited).await
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

/// The clock of the runtime, so that a paused one pauses what is said of ages too.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
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
