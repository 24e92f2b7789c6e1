//! Watches: one event, or a stream of them with its gaps marked.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::engine::private::Described;
use super::engine::{Answer, Call, Execute};
use super::hub::{Hub, Ticket};
use super::watch_buffer::WatchBuffer;
use super::{Client, Error, under};
use crate::jute::{AddWatchMode, AddWatchRequest, Encode, EventType, OpCode};
use crate::path;
use crate::session::{End, Notice, WatchKind};

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The watched thing happened.
    Event {
        /// What.
        event_type: EventType,
        /// To which znode, as this handle names it.
        path: String,
        /// In which transaction, where the server tells it (from 3.9 on, and not of what was missed while apart); else -1.
        zxid: i64,
    },
    /// Events may be missing here: read again. A one-shot watch ends with it, a lasting one goes on.
    Gap,
    /// Only of a lasting watch: events may be missing, and none comes from here on. The server that the session has come to is too
    /// old for lasting watches (before 3.6), or refused this one. Read again, and watch by one-shot watches; or wait: at the next
    /// server that takes the watch it goes on, and yields a [`Gap`](Self::Gap).
    NotWatched,
    /// The session ended, and the watch with it.
    SessionEnded(End),
}

/// A future of the one event of a one-shot watch. Dropping it takes the watch back.
///
/// It outlives connections. It resolves with [`WatchEvent::Gap`] when contact was lost for 4/3 of the session timeout, and
/// with [`WatchEvent::SessionEnded`] at the session's end.
#[must_use = "dropping it takes the watch back"]
pub struct Changed {
    watching: Option<Watching>,
}

/// A stream of the events of a lasting watch. Dropping it takes the watch back.
///
/// It outlives connections and, with a handle that follows, sessions: after either, a [`WatchEvent::Gap`] says that
/// events may be missing. Unread events are bounded by [`limits::WATCH_BUFFER`](crate::limits::WATCH_BUFFER); what does
/// not fit becomes one gap.
#[must_use = "dropping it takes the watch back"]
pub struct Watcher {
    client: Client,
    path: String,
    kind: WatchKind,
    watching: Option<Watching>,
    /// Setting the watch again under a new session.
    renewal: Option<Renewal>,
    over: bool,
}

/// Yields the session it was tried under, and how that went.
type Renewal = Pin<Box<dyn Future<Output = (u64, Result<Watching, Error>)> + Send>>;

/// A watch that is set, until it is dropped.
struct Watching {
    hub: Arc<Hub>,
    ticket: Ticket,
    buffer: Arc<WatchBuffer>,
    chroot: Arc<str>,
}

/// Sets a lasting watch. Yields a [`Watcher`].
#[derive(Debug)]
pub struct Watch<'a> {
    path: Cow<'a, str>,
    kind: WatchKind,
}

/// The operation beneath [`Watch`]. Yields the set watch.
#[derive(Debug)]
pub struct AddWatch<'a>(Watch<'a>);

impl Client {
    /// Sets a lasting watch: creation, deletion, data and children of this znode. It needs no znode to be there.
    /// (Servers from 3.6 on.)
    ///
    /// # Errors
    /// `Unimplemented` on older servers, and what any request may meet.
    pub fn watch<'p>(&self, path: impl Into<Cow<'p, str>>) -> WatchCall<'_, 'p> {
        WatchCall { client: self, watch: Watch { path: path.into(), kind: WatchKind::Persistent } }
    }
}

/// A lasting watch about to be set, when awaited. Dropping the future before it is ready leaves no watch behind.
#[must_use = "it does nothing until it is awaited"]
#[derive(Debug)]
pub struct WatchCall<'a, 'p> {
    client: &'a Client,
    watch: Watch<'p>,
}

impl WatchCall<'_, '_> {
    /// Everything below the znode too: creation, deletion and data; changes of children show as creations and deletions.
    pub fn recursive(mut self) -> Self {
        self.watch.kind = WatchKind::Recursive;
        self
    }
}

impl<'a, 'p> IntoFuture for WatchCall<'a, 'p> {
    type Output = Result<Watcher, Error>;
    type IntoFuture = SettingWatch<'a, 'p>;

    fn into_future(self) -> SettingWatch<'a, 'p> {
        let (path, kind) = (self.watch.path.clone().into_owned(), self.watch.kind);
        let watcher =
            Watcher { client: self.client.clone(), path, kind, watching: None, renewal: None, over: false };
        SettingWatch {
            adding: Call::new(self.client, AddWatch(self.watch)).into_future(),
            watcher: Some(watcher),
        }
    }
}

/// The future of [`Client::watch`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct SettingWatch<'a, 'p> {
    adding: Execute<'a, AddWatch<'p>>,
    watcher: Option<Watcher>,
}

impl Future for SettingWatch<'_, '_> {
    type Output = Result<Watcher, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let set = ready!(Pin::new(&mut self.adding).poll(cx));
        let Some(mut watcher) = self.watcher.take() else { return Poll::Pending };
        Poll::Ready(set.map(|SetWatch(watching)| {
            watcher.watching = Some(watching);
            watcher
        }))
    }
}

/// A watch that is set, on its way to its owner.
pub struct SetWatch(Watching);

impl Watching {
    fn of(answer: &Answer<'_>) -> Self {
        Self {
            hub: answer.hub.clone(),
            ticket: answer.ticket,
            buffer: answer.listener.clone().unwrap_or_default(),
            chroot: answer.chroot.into(),
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<WatchEvent> {
        Poll::Ready(match ready!(self.buffer.poll_pop(cx)) {
            Notice::Gap => WatchEvent::Gap,
            Notice::NotWatched => WatchEvent::NotWatched,
            Notice::Ended(end) => WatchEvent::SessionEnded(end),
            Notice::Event { event_type, path, zxid } => {
                let full = path.as_str();
                let path = path::strip(&self.chroot, full).unwrap_or(full).to_owned();
                WatchEvent::Event { event_type, path, zxid }
            }
        })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.hub.unwatch(self.ticket);
    }
}

impl Changed {
    pub(super) fn of(answer: &Answer<'_>) -> Self {
        let sets = answer.sets_watch();
        Self { watching: sets.then(|| Watching::of(answer)) }
    }
}

impl Future for Changed {
    type Output = WatchEvent;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        let Some(watching) = &self.watching else { return Poll::Pending };
        let event = ready!(watching.poll(cx));
        self.watching = None;
        Poll::Ready(event)
    }
}

impl Watcher {
    /// The next event; `None` behind the end.
    ///
    /// Cancel safe: nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The watched path, as this handle names it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            if let Some(renewal) = &mut self.renewal {
                let (epoch, renewed) = ready!(renewal.as_mut().poll(cx));
                self.renewal = None;
                match renewed {
                    Ok(watching) => {
                        self.watching = Some(watching);
                        return Poll::Ready(Some(WatchEvent::Gap));
                    }
                    Err(error) => match error.session_end() {
                        Some(End::Expired) if self.client.follows() => self.renew(epoch),
                        None if error.is_retryable() || error.may_have_applied() => self.renew(epoch - 1),
                        end => return self.end(end.unwrap_or(End::ClosedUnconfirmed)),
                    },
                }
                continue;
            }
            let Some(watching) = &self.watching else { return self.end(End::ClosedUnconfirmed) };
            match ready!(watching.poll(cx)) {
                WatchEvent::SessionEnded(End::Expired) if self.client.follows() => {
                    let epoch = watching.ticket.epoch;
                    self.renew(epoch);
                }
                WatchEvent::SessionEnded(end) => return self.end(end),
                event => return Poll::Ready(Some(event)),
            }
        }
    }

    fn end(&mut self, end: End) -> Poll<Option<WatchEvent>> {
        self.over = true;
        self.watching = None;
        Poll::Ready(Some(WatchEvent::SessionEnded(end)))
    }

    /// Sets the watch again under the session that follows the one of `epoch`.
    fn renew(&mut self, epoch: u64) {
        let (client, path, kind) = (self.client.clone(), self.path.clone(), self.kind);
        self.watching = None;
        self.renewal = Some(Box::pin(async move {
            let current = client.session_after(epoch).await;
            let pinned = Client { pinned: Some(current), ..client };
            let add = AddWatch(Watch { path: Cow::Owned(path), kind });
            (current, Call::new(&pinned, add).await.map(|SetWatch(watching)| watching))
        }));
    }
}

impl Stream for Watcher {
    type Item = WatchEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.get_mut().poll_event(cx)
    }
}

impl Described for AddWatch<'_> {
    type Output = SetWatch;

    fn op(&self) -> OpCode {
        OpCode::ADD_WATCH
    }

    fn path(&self) -> &str {
        &self.0.path
    }

    fn watch(&self) -> Option<WatchKind> {
        Some(self.0.kind)
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        let mode = AddWatchMode(i32::from(self.0.kind == WatchKind::Recursive));
        use_body(&AddWatchRequest { path: under(chroot, &self.0.path), mode })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let watching = Watching::of(&answer);
        // The body is an error code on Apache's server and nothing on others; the header has said it all.
        answer.reply()?;
        Ok(SetWatch(watching))
    }
}

impl fmt::Debug for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").finish_non_exhaustive()
    }
}

impl fmt::Debug for SetWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetWatch").finish_non_exhaustive()
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("path", &self.path).field("kind", &self.kind).finish_non_exhaustive()
    }
}
