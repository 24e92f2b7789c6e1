//! Follows one service: the task around [`View`].

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tracing::{debug, warn};

use super::register::{failure, leaf_stat, now};
use super::{First, first, is_connected, is_over};
use crate::client::{Client, ReadResult, Status, WatchEvent, Watcher};
use crate::jute::ErrorCode;
use crate::registry::ReadFailure;
use crate::registry::api::{Error, Services, Snapshot};
use crate::registry::layout::Layout;
use crate::registry::limits;
use crate::registry::view::{Item, Read, View};

/// Starts following, and waits for the first complete set.
pub(super) async fn start(
    runtime: &Handle,
    client: Client,
    layout: Arc<dyn Layout>,
    service: &str,
) -> Result<Services, Error> {
    let view = View::new(layout, service)?;
    let (snapshots, receiver) = watch::channel(Snapshot::default());
    let (failed, failure) = oneshot::channel();
    let status = client.status();
    let follower =
        Follower { zk: client.session(), client, view, status, served: None, watcher: None, snapshots };
    runtime.spawn(follower.run(failed));
    let services = Services::new(service, receiver);
    match failure.await {
        Ok(error) => Err(error),
        // The sender goes with the first complete set.
        Err(_) => Ok(services),
    }
}

/// The task's state.
struct Follower {
    client: Client,
    /// Pinned to the session that the work is for.
    zk: Client,
    view: View,
    status: Status,
    /// The session that the view knows to be connected: its epoch and how often a connection had gone by then.
    served: Option<(u64, u64)>,
    watcher: Option<Watcher>,
    snapshots: watch::Sender<Snapshot>,
}

impl Follower {
    async fn run(mut self, first_failure: oneshot::Sender<Error>) {
        let mut first_failure = Some(first_failure);
        loop {
            self.follow_status(self.client.status());
            if is_over(&self.status) {
                return;
            }
            if let Err(error) = self.set_watch().await {
                if error.code() == Some(ErrorCode::UNIMPLEMENTED) {
                    warn!(%error, "following a service takes recursive watches, and with them ZooKeeper 3.6");
                    if let Some(first_failure) = first_failure.take() {
                        let _ = first_failure.send(error.into());
                    }
                    return;
                }
                debug!(%error, "could not watch");
            }
            self.read_all().await;
            if self.publish() {
                first_failure = None;
            }
            if self.snapshots.is_closed() {
                return;
            }
            self.idle().await;
        }
    }

    /// Tells the view of sessions and connections that came and went.
    fn follow_status(&mut self, status: Status) {
        self.status = status;
        let serving = (status.epoch, status.disconnects);
        if is_connected(&status) {
            if self.served.is_none_or(|(epoch, _)| epoch != status.epoch) {
                self.zk = self.client.session();
                self.watcher = None;
            }
            if self.served != Some(serving) && self.watcher.is_some() {
                self.view.on_connected();
                self.served = Some(serving);
            }
        } else if self.served.is_some_and(|served| served.1 != status.disconnects) {
            self.view.on_disconnected(now());
        }
    }

    /// One recursive watch, before anything is read.
    async fn set_watch(&mut self) -> Result<(), crate::client::Error> {
        if self.watcher.is_some() || !is_connected(&self.status) {
            return Ok(());
        }
        let dir = self.view.dir().to_owned();
        self.watcher = Some(self.zk.watch(dir).recursive().await?);
        self.served = Some((self.status.epoch, self.status.disconnects));
        self.view.on_connected();
        Ok(())
    }

    /// Reads what the view wants, events first.
    async fn read_all(&mut self) {
        while let Some(read) = self.view.next_read() {
            match read {
                Read::Children { id, path } => {
                    let names = match self.zk.children(path).await {
                        Ok((children, _)) => Ok(children.to_vec()),
                        Err(error) if error.code() == Some(ErrorCode::NO_NODE) => Ok(Vec::new()),
                        Err(error) => Err(failure(&error)),
                    };
                    self.hear_events();
                    self.view.on_children(id, names);
                }
                Read::Data { id, paths } => {
                    let zk = self.zk.clone();
                    let data = read_data(&zk, &paths).await;
                    self.hear_events();
                    self.view.on_data(id, data);
                }
            }
            self.follow_status(self.client.status());
        }
    }

    /// Takes the events that are there, without waiting.
    fn hear_events(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut over = false;
        while let Some(event) = peek(watcher) {
            over |= hear(&mut self.view, event);
        }
        if over {
            self.watcher = None;
        }
    }

    /// Publishes what the view shows now. True once it shows a complete set.
    fn publish(&mut self) -> bool {
        let _ = self.view.poll_change();
        let Some(set) = self.view.set().cloned() else { return false };
        let stale_since = self.view.stale_since();
        let invalid: Arc<[_]> = self.view.invalid().collect();
        self.snapshots.send_if_modified(|snapshot| {
            let same = Arc::ptr_eq(&snapshot.set, &set)
                && snapshot.stale_since == stale_since
                && snapshot.invalid == invalid;
            *snapshot = Snapshot { set, stale_since, invalid };
            !same
        });
        true
    }

    /// Waits for something to happen.
    async fn idle(&mut self) {
        let paused = self.view.is_paused();
        let event = async {
            match &mut self.watcher {
                Some(watcher) => watcher.next().await,
                None => pending().await,
            }
        };
        let nap = async {
            match paused {
                true => tokio::time::sleep(limits::VIEW_RETRY).await,
                false => pending().await,
            }
        };
        let outside = first(self.client.status_change(&self.status), self.snapshots.closed(), nap);
        match first(event, outside, pending::<()>()).await {
            First::A(Some(event)) => {
                if hear(&mut self.view, event) {
                    self.watcher = None;
                }
                self.hear_events();
            }
            First::A(None) => self.watcher = None,
            First::B(First::C(())) => self.view.retry(),
            First::B(_) | First::C(()) => {}
        }
    }
}

/// Reads several znodes in one request, or one by itself; yields the length of what came, too.
async fn read_data(zk: &Client, paths: &[String]) -> Result<(Vec<Item>, usize), ReadFailure> {
    if let [path] = paths {
        let item = match zk.get(path.as_str()).await {
            Ok((data, stat)) => Ok((data, leaf_stat(&stat))),
            Err(error) => match error.code() {
                Some(code) => Err(code),
                None => return Err(failure(&error)),
            },
        };
        let len = item.as_ref().map_or(0, |(data, _): &(Bytes, _)| data.len());
        return Ok((vec![item], len));
    }
    let results = zk.get_many(paths.iter().map(String::as_str)).await.map_err(|error| failure(&error))?;
    let mut len = 0;
    let items = results.into_iter().map(|result| match result {
        ReadResult::Data(data, stat) => {
            len += data.len() + limits::ITEM_LEN_BYTES;
            Ok((data, leaf_stat(&stat)))
        }
        ReadResult::Failed(code) => Err(code),
        ReadResult::Children(_) => Err(ErrorCode::MARSHALLING_ERROR),
    });
    Ok((items.collect(), len))
}

/// Hands one event to the view. True if the watch is over.
fn hear(view: &mut View, event: WatchEvent) -> bool {
    match event {
        WatchEvent::Event { event_type, path, .. } => view.on_event(&path, event_type),
        WatchEvent::Gap => view.on_gap(),
        WatchEvent::SessionEnded(_) => return true,
    }
    false
}

/// The next event, if it is there.
fn peek(watcher: &mut Watcher) -> Option<WatchEvent> {
    let next = watcher.next();
    let mut next = pin!(next);
    let waker = std::task::Waker::noop();
    match next.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        Poll::Ready(event) => event,
        Poll::Pending => None,
    }
}
