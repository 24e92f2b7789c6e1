//! One view over several places: roots, layouts and ensembles side by side, as during a migration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::follow::Follow;
use super::limits::DISCOVER_TIMEOUT;
use super::names::{NamesKeeper, SeenNames, ServiceNames};
use super::services::{Seen, Services, Source};
use super::traits::{BoxFuture, Discovery};
use super::view::{Entry, Invalid, Set, ViewStats};
use super::zookeeper::ZooKeeper;
use super::{Error, SourceState};

/// Finds the instances of a service in several registries at once.
///
/// Of instances with the same id that of the earliest source counts, and the others stand in for it as soon as it is gone.
/// Each source keeps its own staleness ([`Services::sources`]); the view is stale since the first of them is. A leaf's name in the
/// [`Set`] is its source's number and its own name, such as `000/time-1`.
#[derive(Clone, Debug)]
pub struct Union {
    sources: Arc<[ZooKeeper]>,
}

impl Union {
    /// The union of these, the first taking precedence over the second, and so on. A source may be the same client with another
    /// layout or root.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = ZooKeeper>) -> Self {
        Self { sources: sources.into_iter().collect() }
    }

    async fn discovered(&self, service: &str) -> Result<Services, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let mut parts = Vec::with_capacity(self.sources.len());
        for source in self.sources.iter() {
            let place: Arc<str> = source.layout().service_dir(service)?.into();
            parts.push(Part::new(place, source.followed(service, &runtime)?));
        }
        let (sender, mut seen) = watch::channel(Seen::default());
        let task = runtime.spawn(keep(parts, sender));
        let services = Services::new(service, seen.clone(), Source::Task(task.abort_handle()));
        let probes = self.sources.iter().any(ZooKeeper::probes);
        let services = if probes { services.probed_on(runtime) } else { services };
        let all = async {
            let is_read = |seen: &Seen| seen.ended.is_some() || seen.sources.iter().all(is_read);
            while seen.borrow_and_update().sources.is_empty() || !is_read(&seen.borrow()) {
                if seen.changed().await.is_err() {
                    return;
                }
            }
        };
        // Whoever has not been read by then is said to be so; the others serve.
        let waited = tokio::time::timeout(DISCOVER_TIMEOUT, all).await;
        if self.sources.is_empty() || (waited.is_err() && services.has_set()) {
            return Ok(services);
        }
        services.first(std::time::Duration::ZERO).await.map(|()| services)
    }
}

fn is_read(source: &SourceState) -> bool {
    source.instances.is_some()
}

/// One source of a view.
struct Part {
    place: Arc<str>,
    follow: Follow<Seen>,
    seen: Seen,
    is_over: bool,
    _services: Services,
}

impl Part {
    fn new(place: Arc<str>, services: Services) -> Self {
        let (seen, _) = services.parts();
        Self { place, follow: Follow::new(seen), seen: Seen::default(), is_over: false, _services: services }
    }
}

/// Merges the sources with every change of one of them, until all have ended.
async fn keep(mut parts: Vec<Part>, sender: watch::Sender<Seen>) {
    let mut merged: Option<Arc<Set>> = None;
    while parts.iter().any(|part| !part.is_over) {
        std::future::poll_fn(|cx| {
            let mut is_news = false;
            for part in parts.iter_mut().filter(|part| !part.is_over) {
                match part.follow.poll_value(cx) {
                    Poll::Ready(Some(seen)) => part.seen = seen,
                    Poll::Ready(None) => part.is_over = true,
                    Poll::Pending => continue,
                }
                is_news = true;
            }
            if is_news { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let seen = merge(&parts, merged.as_ref());
        merged.clone_from(&seen.set);
        sender.send_replace(seen);
    }
}

fn merge(parts: &[Part], last: Option<&Arc<Set>>) -> Seen {
    let mut by_id: BTreeMap<&str, Entry> = BTreeMap::new();
    for (number, part) in parts.iter().enumerate() {
        for entry in part.seen.set.iter().flat_map(|set| set.entries()) {
            let leaf = || format!("{number:03}/{}", entry.leaf).into();
            let new = || Entry { leaf: leaf(), instance: Arc::clone(&entry.instance) };
            if planted!("registry_union_backwards") {
                by_id.insert(&entry.instance.id, new());
            }
            by_id.entry(&entry.instance.id).or_insert_with(new);
        }
    }
    let mut entries: Vec<Entry> = by_id.into_values().collect();
    entries.sort_unstable_by(|one, other| one.leaf.cmp(&other.leaf));
    let set = Arc::new(Set::from_sorted(entries));
    // An equal set stays the same one, which makes it cheap to follow.
    let set = last.filter(|last| ***last == *set).cloned().unwrap_or(set);
    let invalid: Vec<Invalid> = parts.iter().flat_map(|part| part.seen.invalid.iter().cloned()).collect();
    let state = |part: &Part| SourceState {
        place: Arc::clone(&part.place),
        instances: part.seen.set.as_ref().map(|set| set.len()),
        stale_since: part.seen.stale_since,
        failure: part.seen.failure,
    };
    let is_any_read = parts.iter().any(|part| part.seen.set.is_some());
    Seen {
        set: is_any_read.then_some(set),
        stale_since: parts.iter().filter_map(|part| part.seen.stale_since).min(),
        invalid: invalid.into(),
        failure: parts.iter().find_map(|part| part.seen.failure),
        stats: parts.iter().fold(ViewStats::default(), |sum, part| sum.plus(part.seen.stats)),
        sources: parts.iter().map(state).collect(),
        ended: parts.iter().map(|part| part.seen.ended).reduce(|one, other| one.and(other)).flatten(),
    }
}

impl Discovery for Union {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let service = service.to_owned();
        Box::pin(async move { self.discovered(&service).await })
    }

    fn services(&self) -> BoxFuture<'_, Result<ServiceNames, Error>> {
        Box::pin(async move {
            let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
            let mut lists = Vec::with_capacity(self.sources.len());
            for source in self.sources.iter() {
                lists.push(source.services().await?);
            }
            let (sender, seen) = watch::channel(SeenNames::default());
            let task = runtime.spawn(keep_names(lists, sender));
            let names = ServiceNames::new(seen, NamesKeeper::Task(task.abort_handle()));
            names.first(DISCOVER_TIMEOUT).await?;
            Ok(names)
        })
    }
}

async fn keep_names(lists: Vec<ServiceNames>, sender: watch::Sender<SeenNames>) {
    let mut follows: Vec<_> = lists.iter().map(|list| (Follow::new(list.receiver()), false)).collect();
    loop {
        let all: Vec<SeenNames> = lists.iter().map(|list| list.receiver().borrow().clone()).collect();
        let names = all.iter().flat_map(|seen| seen.names.iter().flat_map(|names| names.iter().cloned()));
        sender.send_replace(SeenNames {
            names: Some(Arc::new(names.collect())),
            stale_since: all.iter().filter_map(|seen| seen.stale_since).min(),
            failure: all.iter().find_map(|seen| seen.failure),
            ended: all.iter().map(|seen| seen.ended).reduce(|one, other| one.and(other)).flatten(),
        });
        if follows.iter().all(|(_, is_over)| *is_over) {
            return;
        }
        std::future::poll_fn(|cx| {
            let mut is_news = false;
            for (follow, is_over) in follows.iter_mut().filter(|(_, is_over)| !is_over) {
                if let Poll::Ready(value) = follow.poll_value(cx) {
                    *is_over = value.is_none();
                    is_news = true;
                }
            }
            if is_news { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
