//! A view as single events, and what can be said of its state.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::follow::Follow;
use super::picker::PickStats;
use super::services::{Seen, Services, Source, now};
use super::view::{Change, Set, Updated, ViewStats};
use super::{Instance, ReadFailure};
use crate::session::End;

/// What happens to a view: see [`Services::events`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServiceEvent {
    /// The present set, first of all.
    Snapshot(Arc<Set>),
    /// An instance on a leaf that was not there before.
    Added(Arc<Instance>),
    /// An instance that differs on the same leaf.
    Updated(Updated),
    /// An instance whose leaf is not there any more.
    Removed(Arc<Instance>),
    /// Since then the set may be out of date.
    Stale(Instant),
    /// It is up to date again; what had changed has been told.
    Fresh,
}

/// Whether a view can be relied on: see [`Services::health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewHealth {
    /// It follows the registry.
    Fresh,
    /// It follows, but not everything can be read.
    Impaired(ReadFailure),
    /// The registry is away, or what it says is doubted: the set is as it was then.
    Stale(Instant),
    /// The registry's client has ended: nothing changes any more.
    Ended(End),
}

/// What a view has done and what it holds: see [`Services::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceStats {
    /// Reads, events, gaps and what was kept from the set.
    pub view: ViewStats,
    /// Instances in the set.
    pub instances: usize,
    /// Children that stand for no instance now.
    pub invalid_now: usize,
    /// Instances that are passed over while others are left.
    pub passed_over: usize,
    /// How old the set may be: zero while it is fresh.
    pub age: Duration,
    /// What was picked by this handle, its clones and its pickers.
    pub picks: PickStats,
}

/// How one of several sources of a view fares: see [`Services::sources`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceState {
    /// Its directory.
    pub place: Arc<str>,
    /// How many instances it has; `None` until it has been read for the first time.
    pub instances: Option<usize>,
    /// Since when it may be out of date.
    pub stale_since: Option<Instant>,
    /// Why a read of it last failed, until one succeeds.
    pub failure: Option<ReadFailure>,
}

impl ViewHealth {
    /// Whether the set is as the registry says.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        matches!(self, Self::Fresh)
    }
}

/// Whether what was published can be relied on.
pub(super) fn health_of(seen: &Seen) -> ViewHealth {
    match (seen.ended, seen.stale_since, seen.failure) {
        (Some(end), ..) => ViewHealth::Ended(end),
        (_, Some(since), _) => ViewHealth::Stale(since),
        (_, _, Some(failure)) => ViewHealth::Impaired(failure),
        _ => ViewHealth::Fresh,
    }
}

impl Services {
    /// The present set and then everything that happens to it, one by one. What passes between two polls of a slow reader is
    /// told as its outcome. Ends when the registry's client ends; until then it keeps the view going by itself.
    pub fn events(&self) -> ServiceEvents {
        let (seen, source) = self.parts();
        ServiceEvents {
            seen: Follow::new(seen),
            last: None,
            stale_since: None,
            told: VecDeque::new(),
            _source: source,
        }
    }

    /// Whether the view can be relied on.
    #[must_use]
    pub fn health(&self) -> ViewHealth {
        health_of(&self.parts().0.borrow())
    }

    /// What the view has done so far and what it holds. Never blocks.
    #[must_use]
    pub fn stats(&self) -> ServiceStats {
        let passed_over = self.passed_over().len();
        let (seen, _) = self.parts();
        let seen = seen.borrow();
        ServiceStats {
            view: seen.stats,
            instances: seen.set.as_ref().map_or(0, |set| set.len()),
            invalid_now: seen.invalid.len(),
            passed_over,
            age: seen.stale_since.map_or(Duration::ZERO, |since| now().saturating_duration_since(since)),
            picks: self.pick_stats(),
        }
    }

    /// How each source fares, if the view is one over several. Empty otherwise.
    #[must_use]
    pub fn sources(&self) -> Arc<[SourceState]> {
        self.parts().0.borrow().sources.clone()
    }
}

/// A stream of [`ServiceEvent`]: see [`Services::events`].
#[must_use = "streams do nothing unless polled"]
pub struct ServiceEvents {
    seen: Follow<Seen>,
    last: Option<Arc<Set>>,
    stale_since: Option<Instant>,
    /// Found out and not yet told: never more than one step from one set to another.
    told: VecDeque<ServiceEvent>,
    _source: Arc<Source>,
}

impl ServiceEvents {
    /// The next event; `None` behind the end.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<ServiceEvent> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<ServiceEvent>> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Poll::Ready(Some(event));
            }
            let Some(seen) = ready!(self.seen.poll_value(cx)) else { return Poll::Ready(None) };
            self.look(&seen);
        }
    }

    /// Stale is told before what differs, fresh behind it.
    fn look(&mut self, seen: &Seen) {
        let Some(set) = &seen.set else { return };
        let was = std::mem::replace(&mut self.stale_since, seen.stale_since);
        let Some(last) = self.last.replace(Arc::clone(set)) else {
            self.told.push_back(ServiceEvent::Snapshot(Arc::clone(set)));
            self.told.extend(seen.stale_since.map(ServiceEvent::Stale));
            return;
        };
        self.told.extend(seen.stale_since.filter(|_| was.is_none()).map(ServiceEvent::Stale));
        if !Arc::ptr_eq(&last, set) {
            let change = Change::between(&last, Arc::clone(set));
            self.told.extend(change.removed.into_iter().map(ServiceEvent::Removed));
            self.told.extend(change.updated.into_iter().map(ServiceEvent::Updated));
            self.told.extend(change.added.into_iter().map(ServiceEvent::Added));
        }
        if was.is_some() && seen.stale_since.is_none() && !planted!("registry_fresh_untold") {
            self.told.push_back(ServiceEvent::Fresh);
        }
    }
}

impl Stream for ServiceEvents {
    type Item = ServiceEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ServiceEvent>> {
        self.get_mut().poll_event(cx)
    }
}

impl fmt::Debug for ServiceEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceEvents").finish_non_exhaustive()
    }
}
