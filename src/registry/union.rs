//! One view over several places: roots, layouts and ensembles side by side, as during a migration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::follow::Follow;
use super::limits::DISCOVER_TIMEOUT;
use super::names::{NamesKeeper, NamesSource, SeenNames, ServiceNames};
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
        if self.sources.is_empty() {
            return Ok(services);
        }
        let deadline = Instant::now() + DISCOVER_TIMEOUT;
        services.first(DISCOVER_TIMEOUT).await?;
        let is_all = |seen: &Seen| seen.ended.is_some() || seen.sources.iter().all(is_read);
        let all = async { while !is_all(&seen.borrow_and_update()) && seen.changed().await.is_ok() {} };
        // Whoever has not been read by then is said to be so; the others serve.
        let _ = tokio::time::timeout_at(deadline, all).await;
        Ok(services)
    }

    async fn listed(&self) -> Result<ServiceNames, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let list = |source: &ZooKeeper| Listed::new(source.layout().root(), source.listed(&runtime));
        let lists: Vec<Listed> = self.sources.iter().map(list).collect();
        let empty = SeenNames { names: Some(Arc::default()), ..SeenNames::default() };
        let (sender, mut seen) = watch::channel(if lists.is_empty() { empty } else { SeenNames::default() });
        let task = runtime.spawn(keep_names(lists, sender));
        let names = ServiceNames::new(seen.clone(), NamesKeeper::Task(task.abort_handle()));
        let deadline = Instant::now() + DISCOVER_TIMEOUT;
        names.first(DISCOVER_TIMEOUT).await?;
        let is_known = |source: &NamesSource| {
            source.services.is_some() || source.failure.is_some() || source.ended.is_some()
        };
        let all = async {
            while !seen.borrow_and_update().sources.iter().all(is_known) && seen.changed().await.is_ok() {}
        };
        // Whoever has not been listed by then is said to be so; the others are told.
        let _ = tokio::time::timeout_at(deadline, all).await;
        Ok(names)
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
        Box::pin(self.listed())
    }
}

/// The list of services of one source.
struct Listed {
    root: Arc<str>,
    follow: Follow<SeenNames>,
    seen: SeenNames,
    is_over: bool,
    _names: ServiceNames,
}

impl Listed {
    fn new(root: &str, names: ServiceNames) -> Self {
        let follow = Follow::new(names.receiver());
        Self { root: root.into(), follow, seen: SeenNames::default(), is_over: false, _names: names }
    }

    fn state(&self) -> NamesSource {
        NamesSource {
            root: Arc::clone(&self.root),
            services: self.seen.names.as_ref().map(|names| names.len()),
            stale_since: self.seen.stale_since,
            failure: self.seen.failure,
            ended: self.seen.ended,
        }
    }
}

/// Merges the lists with every change of one of them, until all have ended.
async fn keep_names(mut lists: Vec<Listed>, sender: watch::Sender<SeenNames>) {
    while lists.iter().any(|list| !list.is_over) {
        std::future::poll_fn(|cx| {
            let mut is_news = false;
            for list in lists.iter_mut().filter(|list| !list.is_over) {
                match list.follow.poll_value(cx) {
                    Poll::Ready(Some(seen)) => list.seen = seen,
                    Poll::Ready(None) => list.is_over = true,
                    Poll::Pending => continue,
                }
                is_news = true;
            }
            if is_news { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        sender.send_replace(merge_names(&lists));
    }
}

fn merge_names(lists: &[Listed]) -> SeenNames {
    let is_read = |list: &Listed| list.seen.names.is_some();
    let is_enough = if planted!("registry_union_waits_for_all") {
        lists.iter().all(is_read)
    } else {
        lists.iter().any(is_read)
    };
    let names = lists.iter().flat_map(|list| list.seen.names.iter().flat_map(|names| names.iter().cloned()));
    SeenNames {
        names: is_enough.then(|| Arc::new(names.collect())),
        stale_since: lists.iter().filter_map(|list| list.seen.stale_since).min(),
        failure: lists.iter().find_map(|list| list.seen.failure),
        ended: lists.iter().map(|list| list.seen.ended).reduce(|one, other| one.and(other)).flatten(),
        sources: lists.iter().map(Listed::state).collect(),
    }
}
