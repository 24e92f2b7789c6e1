//! The task that keeps one leaf as wished: it hands facts to [`Standing`] and does the steps it says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::places::Place;
use super::requests::{Pending, WatchedLeaf, read_leaf, write};
use super::session::{Connected, Fact, Sessions, now};
use super::telling;
use crate::Client;
use crate::client::Changed;
use crate::registry::layout::{Found, Layout};
use crate::registry::limits::DROPPED_PATIENCE;
use crate::registry::reconcile::{Outcome, Seen, Standing, State, Step};
use crate::registry::registered::{Control, RegistrationState, RegistrationStatus};
use crate::registry::{Error, Instance};

/// What the handle wishes.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) instance: Arc<Instance>,
    /// The leaf's payload; `None` if there is to be no leaf.
    pub(super) data: Option<Bytes>,
    /// Whether nothing will be wished again.
    pub(super) over: bool,
}

/// The handle's side.
pub(super) struct Wishes {
    pub(super) layout: Arc<dyn Layout>,
    pub(super) path: String,
    pub(super) wishes: watch::Sender<Wish>,
}

impl Control for Wishes {
    fn update(&self, instance: &Arc<Instance>) -> Result<(), Error> {
        let leaf = self.layout.leaf(instance)?;
        let to = leaf.path();
        if to != self.path {
            return Err(Error::Moved { from: self.path.clone(), to });
        }
        let data = self.layout.keeps_leaf(instance).then_some(leaf.data);
        self.wishes.send_replace(Wish { instance: Arc::clone(instance), data, over: false });
        Ok(())
    }

    fn withdraw(&self) {
        self.wishes.send_if_modified(|wish| {
            let changes = !wish.over;
            if !planted!("registry_withdrawal_forgotten") {
                wish.data = None;
            }
            wish.over = true;
            changes
        });
    }
}

/// Keeps one leaf as wished until the wish is over or the client ends.
pub(super) struct Keeper {
    layout: Arc<dyn Layout>,
    standing: Standing,
    sessions: Sessions,
    /// A handle pinned to the connected session.
    session: Option<Client>,
    wished: Wished,
    status: watch::Sender<RegistrationStatus>,
    place: Place,
    changed: Option<Changed>,
    reading: Option<Pending<WatchedLeaf>>,
    writing: Option<Pending<Outcome>>,
    pause: Option<Pin<Box<Sleep>>>,
    writes: u64,
}

/// The keeper's side of the wish.
struct Wished {
    present: Wish,
    next: Pending<Option<watch::Receiver<Wish>>>,
    /// Set when the handle is gone: how long to go on.
    patience: Option<Pin<Box<Sleep>>>,
}

/// Why the keeper was woken.
enum Woken {
    Session(Fact),
    Wish,
    Changed,
    Read(WatchedLeaf),
    Written(Outcome),
    PauseOver,
    PatienceOver,
}

impl Keeper {
    pub(super) fn new(
        client: &Client,
        layout: Arc<dyn Layout>,
        mut standing: Standing,
        wished: watch::Receiver<Wish>,
        status: watch::Sender<RegistrationStatus>,
        place: Place,
    ) -> Self {
        let wished = Wished::new(wished);
        wished.present.tell(&mut standing);
        Self {
            layout,
            standing,
            sessions: Sessions::of(client),
            session: None,
            wished,
            status,
            place,
            changed: None,
            reading: None,
            writing: None,
            pause: None,
            writes: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let last = loop {
            if self.act() {
                break RegistrationState::Withdrawn;
            }
            match std::future::poll_fn(|cx| self.poll_woken(cx)).await {
                Woken::Session(Fact::Ended(end)) => break RegistrationState::Ended(end),
                Woken::PatienceOver => break RegistrationState::Pending,
                woken => self.learn(woken),
            }
        };
        // The place is free before anybody hears that the registration is over.
        let Self { place, status, standing, .. } = self;
        drop(place);
        let before = status.borrow().state;
        telling::turned(&standing.leaf().path(), before, last);
        status.send_modify(|status| status.state = last);
    }

    /// Does what is to be done now. True if the wish is over and fulfilled.
    fn act(&mut self) -> bool {
        if self.reading.is_some() || self.writing.is_some() {
            // Another wish may have come while it is under way.
            self.publish();
            return false;
        }
        let step = self.standing.step(now());
        self.pause = match step {
            Step::Wait(span) => Some(Box::pin(tokio::time::sleep(span))),
            _ => None,
        };
        if let Some(client) = self.session.clone() {
            let leaf = self.standing.leaf();
            if let Step::ReadBack { sync } = step {
                self.reading = Some(Box::pin(read_leaf(client, leaf.path(), sync, self.changed.is_some())));
            } else if step.is_write() {
                telling::step(&leaf.path(), &step);
                self.writes += 1;
                self.writing = Some(Box::pin(write(client, leaf.clone(), step)));
            }
        }
        if self.wished.present.over && self.standing.state() == State::Withdrawn {
            return true;
        }
        self.publish();
        false
    }

    fn publish(&self) {
        let new = RegistrationStatus {
            state: self.standing.state().into(),
            writes: self.writes,
            refusal: self.standing.last_refusal(),
        };
        let before = self.status.borrow().state;
        self.status.send_if_modified(|status| std::mem::replace(status, new) != new);
        telling::turned(&self.standing.leaf().path(), before, new.state);
    }

    /// What the session is comes first, then wishes, then events, then answers: an event is known before the answer to
    /// anything that the server did after it.
    fn poll_woken(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        if let Poll::Ready(fact) = self.sessions.poll_fact(cx) {
            return Poll::Ready(Woken::Session(fact));
        }
        if self.wished.poll_wish(cx).is_ready() {
            return Poll::Ready(Woken::Wish);
        }
        if poll(&mut self.changed, cx).is_ready() {
            return Poll::Ready(Woken::Changed);
        }
        if let Poll::Ready(read) = poll(&mut self.reading, cx) {
            return Poll::Ready(Woken::Read(read));
        }
        if let Poll::Ready(outcome) = poll(&mut self.writing, cx) {
            return Poll::Ready(Woken::Written(outcome));
        }
        if poll(&mut self.pause, cx).is_ready() {
            return Poll::Ready(Woken::PauseOver);
        }
        poll(&mut self.wished.patience, cx).map(|()| Woken::PatienceOver)
    }

    fn learn(&mut self, woken: Woken) {
        match woken {
            Woken::Session(Fact::Connected(connected)) => self.connected(connected),
            Woken::Session(_) => {
                self.session = None;
                self.standing.on_disconnected();
            }
            Woken::Wish => self.wished.present.tell(&mut self.standing),
            Woken::Changed => self.standing.on_changed(),
            Woken::Read(read) => self.read(read),
            Woken::Written(outcome) => self.standing.on_written(outcome, now()),
            Woken::PauseOver | Woken::PatienceOver => {}
        }
    }

    fn connected(&mut self, connected: Connected) {
        if connected.is_new && self.session_was_known() && planted!("registry_expiry_not_followed") {
            return;
        }
        if connected.is_new {
            // Watches end with their session.
            self.changed = None;
        }
        self.standing.on_session(connected.session_id, now());
        self.session = Some(connected.client);
    }

    fn session_was_known(&self) -> bool {
        self.writes > 0
    }

    fn read(&mut self, read: WatchedLeaf) {
        if read.changed.is_some() {
            self.changed = read.changed;
        }
        let name = self.standing.leaf().name.clone();
        let seen = |(data, stat)| {
            let same =
                self.layout.is_same(&self.wished.present.instance, &Found { name: &name, data: &data, stat });
            Seen { stat, data, same }
        };
        let found = read.found.map(|found| found.map(seen));
        self.standing.on_read(found, now());
    }
}

/// Polls what may be there, and takes it away when it is done.
fn poll<F: Future + Unpin>(future: &mut Option<F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    let Some(running) = future else { return Poll::Pending };
    let polled = Pin::new(running).poll(cx);
    if polled.is_ready() {
        *future = None;
    }
    polled
}

impl Wish {
    fn tell(&self, standing: &mut Standing) {
        match &self.data {
            Some(data) => standing.want(data.clone()),
            None => standing.withdraw(),
        }
    }
}

impl Wished {
    fn new(mut receiver: watch::Receiver<Wish>) -> Self {
        let present = receiver.borrow_and_update().clone();
        Self { present, next: next_wish(receiver), patience: None }
    }

    /// Ready when something else is wished. Without a handle nothing more is, and time runs.
    fn poll_wish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.patience.is_some() {
            return Poll::Pending;
        }
        match std::task::ready!(self.next.as_mut().poll(cx)) {
            Some(mut receiver) => {
                self.present = receiver.borrow_and_update().clone();
                self.next = next_wish(receiver);
            }
            None => {
                if !planted!("registry_withdrawal_forgotten") {
                    self.present.data = None;
                }
                self.present.over = true;
                self.patience = Some(Box::pin(tokio::time::sleep(DROPPED_PATIENCE)));
            }
        }
        Poll::Ready(())
    }
}

fn next_wish(mut receiver: watch::Receiver<Wish>) -> Pending<Option<watch::Receiver<Wish>>> {
    Box::pin(async move { receiver.changed().await.ok().map(|()| receiver) })
}
