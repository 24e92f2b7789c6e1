//! The task that keeps the list of services: the children of a layout's root, watched and listed again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::watch;
use tokio::time::Sleep;
use tracing::{debug, warn};

use super::requests::{Pending, read_failure};
use super::session::{Fact, Sessions, now};
use crate::Client;
use crate::client::{Changed, Children, Error};
use crate::jute::ErrorCode;
use crate::registry::layout::Layout;
use crate::registry::limits::{RETRY_FIRST, RETRY_MOST};
use crate::registry::names::SeenNames;
use crate::registry::rng::SplitMix64;
use crate::registry::seldom::Seldom;
use crate::registry::view::Pace;

type Listed = (Result<Children, Error>, Option<Changed>);

/// Keeps one list until the client ends, or it is aborted because nobody has a handle on it any more.
pub(super) struct Lister {
    layout: Arc<dyn Layout>,
    sessions: Sessions,
    session: Option<Client>,
    listing: Option<Pending<Listed>>,
    changed: Option<Changed>,
    /// When to list again: spread out after a change, and with pauses after a failure.
    again: Option<Pin<Box<Sleep>>>,
    failures: u32,
    /// When a failure was last told of in the log.
    troubled: Seldom,
    pace: Pace,
    rng: SplitMix64,
    seen: watch::Sender<SeenNames>,
}

enum Woken {
    Session(Fact),
    Changed,
    Listed(Listed),
    Again,
}

impl Lister {
    pub(super) fn new(
        client: &Client,
        layout: &Arc<dyn Layout>,
        pace: Pace,
        seen: watch::Sender<SeenNames>,
    ) -> Self {
        Self {
            layout: Arc::clone(layout),
            sessions: Sessions::of(client),
            session: None,
            listing: None,
            changed: None,
            again: None,
            failures: 0,
            troubled: Seldom::default(),
            pace,
            rng: SplitMix64::new(crate::client::seed()),
            seen,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match std::future::poll_fn(|cx| self.poll_woken(cx)).await {
                Woken::Session(Fact::Ended(end)) => {
                    debug!(target: "menagerie::discovery", %end, root = self.layout.root(), "the list of services ends with its client");
                    self.disconnected();
                    self.seen.send_modify(|seen| seen.ended = Some(end));
                    return;
                }
                Woken::Session(Fact::Connected(connected)) => {
                    self.disconnected();
                    self.failures = 0;
                    self.session = Some(connected.client);
                    let window = self.pace.resync_window(self.known());
                    self.list_after(window);
                }
                Woken::Session(Fact::Disconnected) => self.disconnected(),
                Woken::Changed => {
                    self.changed = None;
                    let window = self.pace.change_window(self.known());
                    self.list_after(window);
                }
                Woken::Again => self.list(),
                Woken::Listed((names, changed)) => self.listed(names, changed),
            }
        }
    }

    fn poll_woken(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        if let Poll::Ready(fact) = self.sessions.poll_fact(cx) {
            return Poll::Ready(Woken::Session(fact));
        }
        if self.changed.as_mut().is_some_and(|changed| Pin::new(changed).poll(cx).is_ready()) {
            return Poll::Ready(Woken::Changed);
        }
        if let Some(Poll::Ready(listed)) = self.listing.as_mut().map(|listing| listing.as_mut().poll(cx)) {
            self.listing = None;
            return Poll::Ready(Woken::Listed(listed));
        }
        match &mut self.again {
            Some(again) => again.as_mut().poll(cx).map(|()| Woken::Again),
            None => Poll::Pending,
        }
    }

    fn known(&self) -> usize {
        self.seen.borrow().names.as_ref().map_or(0, |names| names.len())
    }

    fn disconnected(&mut self) {
        (self.session, self.listing, self.changed, self.again) = (None, None, None, None);
        self.seen.send_if_modified(|seen| {
            let is_new = seen.stale_since.is_none();
            seen.stale_since.get_or_insert(now());
            is_new
        });
    }

    fn list_after(&mut self, window: std::time::Duration) {
        self.again = Some(Box::pin(tokio::time::sleep(self.rng.span(window))));
    }

    fn list(&mut self) {
        self.again = None;
        let Some(client) = self.session.clone() else { return };
        self.listing = Some(Box::pin(list_watched(client, self.layout.root().to_owned())));
    }

    fn listed(&mut self, names: Result<Children, Error>, changed: Option<Changed>) {
        self.changed = changed;
        match names {
            Ok(children) => {
                self.failures = 0;
                let names = children.iter().filter_map(|dir| self.layout.service_at(dir)).collect();
                self.seen.send_if_modified(|seen| {
                    let differs = seen.names.as_deref() != Some(&names);
                    let is_news = differs || seen.stale_since.is_some() || seen.failure.is_some();
                    if differs {
                        seen.names = Some(Arc::new(names));
                    }
                    (seen.stale_since, seen.failure) = (None, None);
                    is_news
                });
            }
            Err(error) => {
                if self.troubled.lets(now()) {
                    warn!(target: "menagerie::discovery", %error, root = self.layout.root(), "the services cannot be listed");
                }
                self.seen.send_modify(|seen| seen.failure = Some(read_failure(&error)));
                let span = RETRY_FIRST.saturating_mul(1 << self.failures.min(16)).min(RETRY_MOST);
                self.failures += 1;
                self.again = Some(Box::pin(tokio::time::sleep(span)));
            }
        }
    }
}

/// Lists with a watch; a root that is missing with a watch for its creation.
async fn list_watched(client: Client, root: String) -> Listed {
    loop {
        match client.children(root.as_str()).watch().await {
            Ok((children, _, changed)) => return (Ok(children), Some(changed)),
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => {
                match client.exists(root.as_str()).watch().await {
                    Ok((None, changed)) => return (Ok(Children::default()), Some(changed)),
                    // It was created between the two.
                    Ok((Some(_), _)) => {}
                    Err(error) => return (Err(error), None),
                }
            }
            Err(error) => return (Err(error), None),
        }
    }
}
