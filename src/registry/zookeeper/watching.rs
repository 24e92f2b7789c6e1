//! The watches of a view: one recursive watch, or one-shot watches where the server knows no other.

use std::collections::BTreeMap;
use std::future::Future;
use std::task::{Context, Poll, ready};

use tokio::task::{AbortHandle, JoinSet};

use super::requests::Pending;
use crate::Client;
use crate::client::{Changed, Error, WatchEvent, Watcher};
use crate::jute::{ErrorCode, EventType};

/// What the watches of one session tell.
pub(super) enum Watches {
    /// Being set.
    Setting(Pending<Result<Watcher, Error>>),
    /// One watch for all.
    Recursive(Watcher),
    /// Set along with every read.
    OneShot(OneShots),
}

/// What a view hears of its watches.
pub(super) enum Heard {
    /// They are set: what is read from now on is watched.
    Set,
    /// They could not be set; the same may succeed later.
    NotSet(Error),
    /// Something happened to a path.
    Event(String, EventType),
    /// Events may be missing.
    Gap,
}

impl Watches {
    pub(super) fn set(client: Client, dir: String, one_shot: bool) -> Self {
        if one_shot {
            return Self::OneShot(OneShots::default());
        }
        Self::Setting(Box::pin(async move { client.watch(dir).recursive().await }))
    }

    pub(super) fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        match self {
            Self::Setting(setting) => Poll::Ready(match ready!(setting.as_mut().poll(cx)) {
                Ok(watcher) => {
                    *self = Self::Recursive(watcher);
                    Heard::Set
                }
                Err(error)
                    if error.code() == Some(ErrorCode::UNIMPLEMENTED)
                        && !planted!("registry_insists_on_watch") =>
                {
                    *self = Self::OneShot(OneShots { announced: true, ..OneShots::default() });
                    Heard::Set
                }
                Err(error) => Heard::NotSet(error),
            }),
            Self::Recursive(watcher) => {
                let event = ready!(std::pin::pin!(watcher.next()).poll(cx));
                match event {
                    // As if the session had begun here.
                    Some(WatchEvent::NotWatched) if !planted!("registry_waits_unwatched") => {
                        *self = Self::OneShot(OneShots { announced: true, ..OneShots::default() });
                        Poll::Ready(Heard::Set)
                    }
                    Some(event) => heard(event).map_or(Poll::Pending, Poll::Ready),
                    None => Poll::Pending,
                }
            }
            Self::OneShot(watches) => watches.poll_heard(cx),
        }
    }

    /// The one-shot watches, if it is those: reads are then to set them.
    pub(super) fn one_shots(&mut self) -> Option<&mut OneShots> {
        match self {
            Self::OneShot(watches) => Some(watches),
            _ => None,
        }
    }
}

/// The end of the session is told by the session.
fn heard(event: WatchEvent) -> Option<Heard> {
    match event {
        WatchEvent::Event { event_type, path, .. } => Some(Heard::Event(path, event_type)),
        WatchEvent::Gap | WatchEvent::NotWatched => Some(Heard::Gap),
        WatchEvent::SessionEnded(_) => None,
    }
}

/// One-shot watches by path, each awaited by a task, so that thousands cost nothing while they are silent.
#[derive(Debug, Default)]
pub(super) struct OneShots {
    announced: bool,
    waiting: JoinSet<(String, WatchEvent)>,
    by_path: BTreeMap<String, AbortHandle>,
}

impl OneShots {
    /// Takes a watch over. An older one of the path is given up: both would tell the same.
    pub(super) fn keep(&mut self, path: String, changed: Changed) {
        self.keep_waiting(path, changed);
    }

    fn keep_waiting(&mut self, path: String, changed: impl Future<Output = WatchEvent> + Send + 'static) {
        let task_path = path.clone();
        let task = self.waiting.spawn(async move { (task_path, changed.await) });
        if let Some(older) = self.by_path.insert(path, task) {
            older.abort();
        }
    }

    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        if !std::mem::replace(&mut self.announced, true) {
            return Poll::Ready(Heard::Set);
        }
        loop {
            match ready!(self.waiting.poll_join_next_with_id(cx)) {
                Some(Ok((id, (path, event)))) => {
                    // A newer one of the path may have been kept after this one had fired.
                    if self.by_path.get(&path).is_some_and(|task| task.id() == id) {
                        self.by_path.remove(&path);
                    }
                    if let Some(heard) = heard(event) {
                        return Poll::Ready(heard);
                    }
                }
                // Given up for a newer one.
                Some(Err(_)) => {}
                // `poll_join_next` registers no waker when nothing is there; keeping another one is followed by a poll.
                None => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use super::*;

    #[tokio::test]
    async fn a_watch_that_fired_before_it_was_replaced_does_not_hide_its_successor() {
        let mut watches = OneShots { announced: true, ..OneShots::default() };
        watches.keep_waiting("/a".to_owned(), ready(WatchEvent::Gap));
        // It fires, and is not looked at before the next read has set another.
        tokio::task::yield_now().await;
        watches.keep_waiting("/a".to_owned(), pending());
        assert!(matches!(poll_fn(|cx| watches.poll_heard(cx)).await, Heard::Gap));
        watches.keep_waiting("/a".to_owned(), pending());
        while watches.waiting.len() > 1 {
            tokio::task::yield_now().await;
            let polled = poll_fn(|cx| Poll::Ready(watches.poll_heard(cx))).await;
            assert!(polled.is_pending());
        }
    }
}
