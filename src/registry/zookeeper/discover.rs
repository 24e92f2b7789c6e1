//! The task that keeps one view: it hands facts to [`View`] and does the reads it asks for.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::watch;
use tokio::time::Sleep;
use tracing::{debug, warn};

use super::requests::{Pending, leaf_stat, read_failure};
use super::session::{Connected, Fact, Sessions, now};
use super::watching::{Heard, Watches};
use crate::Client;
use crate::client::{Changed, Children, Error, ReadResult};
use crate::jute::ErrorCode;
use crate::registry::ReadFailure;
use crate::registry::layout::{Layout, LayoutError};
use crate::registry::limits::{RETRY_FIRST, RETRY_MOST};
use crate::registry::seldom::Seldom;
use crate::registry::services::Seen;
use crate::registry::view::{Invalid, Item, Pace, Read, ReadId, View, ViewStats};

/// Characters of a leaf's name that are shown in the log: a Dubbo URL has thousands.
const LEAF_SHOWN: usize = 128;

/// Facts that are taken in before the view acts on them.
const FACTS_AT_ONCE: usize = 256;

/// Keeps one view until the client ends, or it is aborted because nobody has a handle on the view any more.
pub(super) struct Follower {
    view: View,
    sessions: Sessions,
    /// A handle pinned to the connected session.
    session: Option<Client>,
    watches: Option<Watches>,
    one_shot: bool,
    reads: Vec<Pending<Answer>>,
    retry: Option<Pin<Box<Sleep>>>,
    /// When the view is to be asked again, and that.
    timer: Option<(tokio::time::Instant, Pin<Box<Sleep>>)>,
    /// The list of what is no instance that was published last.
    invalid_version: u64,
    /// What was logged last: whether the view is stale, and what it had done.
    told: (bool, ViewStats),
    /// When children that stand for no instance were last told of in the log.
    warned: Seldom,
    /// The same of failures to watch or read.
    troubled: Seldom,
    /// Why the watch could not be set, until it is.
    not_watched: Option<ReadFailure>,
    /// Failed reads in a row.
    failures: u32,
    seen: watch::Sender<Seen>,
}

/// What came of a read, and the watches it set.
struct Answer {
    outcome: ReadOutcome,
    watches: Vec<(String, Changed)>,
}

enum ReadOutcome {
    Children(ReadId, Result<Children, ReadFailure>),
    Data(ReadId, Result<(Vec<Item>, usize), ReadFailure>),
}

/// Why the follower was woken.
enum Woken {
    Session(Fact),
    Heard(Heard),
    Read(Answer),
    Retry,
    /// Something has waited long enough.
    Due,
}

impl Follower {
    pub(super) fn new(
        client: &Client,
        layout: &Arc<dyn Layout>,
        service: &str,
        one_shot: bool,
        pace: Pace,
        seen: watch::Sender<Seen>,
    ) -> Result<Self, LayoutError> {
        Ok(Self {
            view: View::new(Arc::clone(layout), service, pace, crate::client::seed())?,
            sessions: Sessions::of(client),
            session: None,
            watches: None,
            one_shot,
            reads: Vec::new(),
            retry: None,
            timer: None,
            invalid_version: 0,
            warned: Seldom::default(),
            troubled: Seldom::default(),
            told: (false, ViewStats::default()),
            not_watched: None,
            failures: 0,
            seen,
        })
    }

    pub(super) async fn run(mut self) {
        loop {
            let woken = std::future::poll_fn(|cx| self.poll_woken(cx)).await;
            if self.woken(woken).is_break() {
                return;
            }
            // All that is known already, before anything is read because of a part of it: a reconnect and the gap that
            // it makes are one reason to read.
            for _ in 0..FACTS_AT_ONCE {
                let more = std::future::poll_fn(|cx| match self.poll_woken(cx) {
                    Poll::Ready(woken) => Poll::Ready(Some(woken)),
                    Poll::Pending => Poll::Ready(None),
                });
                let Some(woken) = more.await else { break };
                if self.woken(woken).is_break() {
                    return;
                }
            }
            self.act();
            self.arm();
            self.publish();
        }
    }

    fn woken(&mut self, woken: Woken) -> ControlFlow<()> {
        match woken {
            Woken::Session(Fact::Ended(end)) => {
                debug!(target: "menagerie::discovery", %end, dir = self.view.dir(), "the view ends with its client");
                self.view.on_disconnected(now());
                self.publish();
                self.seen.send_modify(|seen| seen.ended = Some(end));
                return ControlFlow::Break(());
            }
            Woken::Session(Fact::Connected(connected)) => self.connected(connected),
            Woken::Session(Fact::Disconnected) => self.disconnected(),
            Woken::Heard(heard) => self.heard(heard),
            Woken::Read(answer) => self.answered(answer),
            Woken::Retry => self.again(),
            Woken::Due => self.timer = None,
        }
        ControlFlow::Continue(())
    }

    /// What the session is comes first, then events, then answers: an event is known before the answer to any read that
    /// the server did after it.
    fn poll_woken(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        if let Poll::Ready(fact) = self.sessions.poll_fact(cx) {
            return Poll::Ready(Woken::Session(fact));
        }
        if let Some(watches) = &mut self.watches {
            if let Poll::Ready(heard) = watches.poll_heard(cx) {
                return Poll::Ready(Woken::Heard(heard));
            }
        }
        for at in 0..self.reads.len() {
            let answer = self.reads.get_mut(at).map(|read| read.as_mut().poll(cx));
            if let Some(Poll::Ready(answer)) = answer {
                drop(self.reads.swap_remove(at));
                return Poll::Ready(Woken::Read(answer));
            }
        }
        if self.retry.as_mut().is_some_and(|retry| retry.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Woken::Retry);
        }
        match &mut self.timer {
            Some((_, sleep)) => sleep.as_mut().poll(cx).map(|()| Woken::Due),
            None => Poll::Pending,
        }
    }

    /// Sets the timer to when the view wants it.
    fn arm(&mut self) {
        let due = self.view.poll_timeout().map(tokio::time::Instant::from_std);
        match (&mut self.timer, due) {
            (Some((at, _)), Some(due)) if *at == due => {}
            (_, None) => self.timer = None,
            (timer, Some(due)) => *timer = Some((due, Box::pin(tokio::time::sleep_until(due)))),
        }
    }

    fn disconnected(&mut self) {
        if self.session.take().is_some() {
            self.reads.clear();
            self.retry = None;
        }
        self.view.on_disconnected(now());
        if planted!("registry_view_emptied") {
            self.seen.send_modify(|seen| seen.set = Some(Arc::default()));
        }
    }

    fn connected(&mut self, connected: Connected) {
        self.disconnected();
        self.failures = 0;
        let client = connected.client;
        self.view.set_session_timeout(client.status().timeout);
        if connected.is_new || self.watches.is_none() {
            let dir = self.view.dir().to_owned();
            self.watches = Some(Watches::set(client.clone(), dir, self.one_shot));
        } else if !matches!(self.watches, Some(Watches::Setting(_))) {
            // The session takes its watches along; what was missed meanwhile is read.
            self.view.on_connected();
        }
        self.session = Some(client);
    }

    fn heard(&mut self, heard: Heard) {
        self.not_watched = None;
        match heard {
            Heard::Set if self.session.is_some() => self.view.on_connected(),
            // Set on a connection that has gone since: the next one begins with a reading of everything.
            Heard::Set => {}
            Heard::NotSet(error) => {
                if self.troubled.lets(now()) {
                    warn!(target: "menagerie::discovery", %error, dir = self.view.dir(), "the service cannot be watched");
                }
                self.watches = None;
                self.not_watched = Some(read_failure(&error));
                self.pause();
            }
            Heard::Event(path, event_type) => self.view.on_event(&path, event_type),
            Heard::Gap => self.view.on_gap(),
        }
    }

    fn answered(&mut self, answer: Answer) {
        if let Some(watches) = self.watches.as_mut().and_then(Watches::one_shots) {
            for (path, changed) in answer.watches {
                watches.keep(path, changed);
            }
        }
        match answer.outcome {
            ReadOutcome::Children(id, names) => {
                self.view.on_children(id, names.as_ref().map(Children::iter).map_err(|failure| *failure));
            }
            ReadOutcome::Data(id, reply) => self.view.on_data(id, reply),
        }
        if self.view.is_paused() {
            self.pause();
        } else {
            self.failures = 0;
        }
    }

    /// Waits before what failed is tried again, longer each time.
    fn pause(&mut self) {
        if self.retry.is_none() {
            let span = RETRY_FIRST.saturating_mul(1 << self.failures.min(16)).min(RETRY_MOST);
            self.failures += 1;
            self.retry = Some(Box::pin(tokio::time::sleep(span)));
        }
    }

    fn again(&mut self) {
        self.retry = None;
        match &self.session {
            Some(client) if self.watches.is_none() => {
                let dir = self.view.dir().to_owned();
                self.watches = Some(Watches::set(client.clone(), dir, self.one_shot));
            }
            _ => self.view.retry(),
        }
    }

    /// Begins all reads that the view wants.
    fn act(&mut self) {
        let Some(client) = &self.session else { return };
        let watching = self.watches.as_mut().and_then(Watches::one_shots).is_some();
        while let Some(read) = self.view.next_read(now()) {
            let client = client.clone();
            self.reads.push(match (read, watching) {
                (Read::Children { id, path }, false) => Box::pin(list(client, id, path)),
                (Read::Children { id, path }, true) => Box::pin(list_watched(client, id, path)),
                (Read::Data { id, paths }, false) => Box::pin(read_all(client, id, paths)),
                (Read::Data { id, paths }, true) => Box::pin(read_each_watched(client, id, paths)),
            });
        }
    }

    fn publish(&mut self) {
        let changed = self.view.poll_change().is_some();
        let (stale_since, failure) = (self.view.stale_since(), self.not_watched.or(self.view.last_failure()));
        let stats = self.view.stats();
        self.tell(stale_since.is_some(), stats);
        self.tell_failure(self.view.last_failure());
        let version = self.view.invalid_version();
        let invalid = (std::mem::replace(&mut self.invalid_version, version) != version)
            .then(|| self.view.invalid().collect::<Vec<_>>());
        if let Some(invalid) = &invalid {
            self.warn_of(invalid);
        }
        let view = &self.view;
        self.seen.send_if_modified(|seen| {
            // A set from disk stands until there is a better one, with its own age.
            let is_cold = view.set().is_none() && seen.set.is_some();
            let stale_since = if is_cold { seen.stale_since } else { stale_since };
            let same = seen.stale_since == stale_since && seen.failure == failure && invalid.is_none();
            if changed {
                seen.set = view.set().cloned();
            }
            (seen.stale_since, seen.failure, seen.stats) = (stale_since, failure, stats);
            if let Some(invalid) = invalid {
                seen.invalid = invalid.into();
            }
            changed || !same
        });
    }
}

impl Follower {
    /// Logs what has become of the view since it was looked at last.
    fn tell(&mut self, is_stale: bool, stats: ViewStats) {
        let dir = self.view.dir();
        let (was_stale, before) = std::mem::replace(&mut self.told, (is_stale, stats));
        match (was_stale, is_stale) {
            (false, true) => debug!(target: "menagerie::discovery", dir, "the view is stale"),
            (true, false) => {
                debug!(target: "menagerie::discovery", dir, instances = self.view.set().map_or(0, |set| set.len()), "the view is fresh")
            }
            _ => {}
        }
        if stats.held_back > before.held_back {
            warn!(target: "menagerie::discovery", dir, instances = stats.held_back_now, "a sudden loss after a gap is held back");
        }
        if stats.held_down > before.held_down {
            debug!(target: "menagerie::discovery", dir, children = stats.held_down_now, "children that come and go are held down");
        }
    }

    /// Says that reads fail, while there is a connection to read by.
    fn tell_failure(&mut self, failure: Option<ReadFailure>) {
        let Some(failure) = failure.filter(|failure| *failure != ReadFailure::Lost) else { return };
        if self.seen.borrow().failure != Some(failure) && self.troubled.lets(now()) {
            warn!(target: "menagerie::discovery", dir = self.view.dir(), %failure, "the service cannot be read completely");
        }
    }

    /// Says which children stand for no instance, as often as is of use.
    fn warn_of(&mut self, invalid: &[Invalid]) {
        let Some(first) = invalid.first().filter(|_| self.warned.lets(now())) else { return };
        let leaf: String = first.leaf.chars().take(LEAF_SHOWN).collect();
        warn!(
            target: "menagerie::discovery", dir = self.view.dir(),
            count = invalid.len(),
            seen = self.view.invalid_seen(),
            leaf = %leaf.escape_debug(),
            reason = %first.reason,
            "children that stand for no instance are skipped"
        );
    }
}

async fn list(client: Client, id: ReadId, path: String) -> Answer {
    let names = client.children(path).await.map(|(children, _)| children);
    let outcome = ReadOutcome::Children(id, names.map_err(|error| read_failure(&error)));
    Answer { outcome, watches: Vec::new() }
}

/// Lists with a watch; on a directory that is missing, with a watch for its creation.
async fn list_watched(client: Client, id: ReadId, path: String) -> Answer {
    let mut watches = Vec::new();
    let names = loop {
        match client.children(path.as_str()).watch().await {
            Ok((children, _, changed)) => {
                watches.push((path, changed));
                break Ok(children);
            }
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => {
                match client.exists(path.as_str()).watch().await {
                    Ok((None, changed)) => {
                        watches.push((path, changed));
                        break Ok(Children::default());
                    }
                    // It was created between the two.
                    Ok((Some(_), _)) => {}
                    Err(error) => break Err(read_failure(&error)),
                }
            }
            Err(error) => break Err(read_failure(&error)),
        }
    };
    Answer { outcome: ReadOutcome::Children(id, names), watches }
}

/// Reads all by one request; a lone one by its own, whose limit is the larger.
async fn read_all(client: Client, id: ReadId, paths: Vec<String>) -> Answer {
    let reply = match &paths[..] {
        [path] => one(client.get(path.as_str()).await.map(|(data, stat)| ReadResult::Data(data, stat))),
        _ => match client.get_many(paths.iter().map(String::as_str)).await {
            Ok(results) => Ok(results.into_iter().map(item).collect()),
            Err(error) if error.code() == Some(ErrorCode::UNIMPLEMENTED) => each(&client, &paths).await,
            Err(error) => Err(error),
        },
    };
    Answer { outcome: data(id, reply), watches: Vec::new() }
}

/// Reads one by one, as many on their way at once as there are places: for servers that know no bundles.
async fn each(client: &Client, paths: &[String]) -> Result<Vec<Item>, Error> {
    let mut sent = Vec::with_capacity(paths.len());
    for path in paths {
        sent.push(client.get(path.as_str()).send_in(client.ready().await?));
    }
    let mut items = Vec::with_capacity(paths.len());
    for reply in sent {
        items.extend(one(reply.await.map(|(data, stat)| ReadResult::Data(data, stat)))?);
    }
    Ok(items)
}

async fn read_each_watched(client: Client, id: ReadId, paths: Vec<String>) -> Answer {
    let mut sent = Vec::with_capacity(paths.len());
    for path in &paths {
        match client.ready().await {
            Ok(place) => sent.push(client.get(path.clone()).watch().send_in(place)),
            Err(error) => return Answer { outcome: data(id, Err(error)), watches: Vec::new() },
        }
    }
    let (mut items, mut watches) = (Vec::with_capacity(paths.len()), Vec::new());
    for (path, reply) in paths.into_iter().zip(sent) {
        let read = reply.await.map(|(data, stat, changed)| {
            watches.push((path, changed));
            ReadResult::Data(data, stat)
        });
        match one(read) {
            Ok(item) => items.extend(item),
            Err(error) => return Answer { outcome: data(id, Err(error)), watches },
        }
    }
    Answer { outcome: data(id, Ok(items)), watches }
}

/// A refusal of one znode is an answer; everything else fails the read.
fn one(read: Result<ReadResult, Error>) -> Result<Vec<Item>, Error> {
    match read {
        Ok(result) => Ok(vec![item(result)]),
        Err(error) => match error.code() {
            Some(code @ (ErrorCode::NO_NODE | ErrorCode::NO_AUTH)) => Ok(vec![Err(code)]),
            _ => Err(error),
        },
    }
}

fn item(result: ReadResult) -> Item {
    match result {
        ReadResult::Data(data, stat) => Ok((data, leaf_stat(&stat))),
        ReadResult::Failed(code) => Err(code),
        ReadResult::Children(_) => Err(ErrorCode::MARSHALLING_ERROR),
    }
}

fn data(id: ReadId, reply: Result<Vec<Item>, Error>) -> ReadOutcome {
    // What a reply takes beside the data: header, stat and lengths of each.
    const FRAMING_LEN_BYTES: usize = 96;
    let len_bytes = |item: &Item| FRAMING_LEN_BYTES + item.as_ref().map_or(0, |(data, _)| data.len());
    let reply = reply.map(|items| {
        let len_bytes = items.iter().map(len_bytes).sum();
        (items, len_bytes)
    });
    ReadOutcome::Data(id, reply.map_err(|error| read_failure(&error)))
}
