//! The task that keeps one registration as wished: it hands facts to [`Standings`] and does what it says is due.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::watch;
use tokio::time::Sleep;

use super::requests::{Pending, WatchedLeaf, read_leaf, write};
use super::session::{Connected, Fact, Sessions, now};
use super::telling::{self, Telling};
use super::wish::{Wish, Wished};
use crate::Client;
use crate::client::Changed;
use crate::registry::layout::{Found, Layout};
use crate::registry::limits::DROPPED_PATIENCE;
use crate::registry::reconcile::{Batch, Outcome, Role, Seen, Standings, State};
use crate::registry::registered::{RegistrationState, RegistrationStatus};

/// Keeps one registration as wished until the wish is over or the client ends.
pub(super) struct Keeper {
    layout: Arc<dyn Layout>,
    standings: Standings,
    sessions: Sessions,
    /// A handle pinned to the connected session.
    session: Option<Client>,
    wished: Wished,
    status: watch::Sender<RegistrationStatus>,
    places: BTreeMap<String, Place>,
    writing: Vec<(Batch, Pending<Outcome>)>,
    pause: Option<Pin<Box<Sleep>>>,
    /// Set when the handle is gone: how long this alone keeps the client from ending.
    patience: Option<Pin<Box<Sleep>>>,
    writes: u64,
    telling: Telling,
}

/// What is under way at one place.
struct Place {
    wish: super::wish::Place,
    changed: Option<Changed>,
    reading: Option<Pending<WatchedLeaf>>,
}

/// Why the keeper was woken.
enum Woken {
    Session(Fact),
    Wish,
    Changed(String),
    Read(String, WatchedLeaf),
    Written(Batch, Outcome),
    PauseOver,
    PatienceOver,
}

impl Keeper {
    pub(super) fn new(
        client: &Client,
        layout: Arc<dyn Layout>,
        keep_persistent: bool,
        wished: watch::Receiver<Wish>,
        status: watch::Sender<RegistrationStatus>,
        telling: Telling,
    ) -> Self {
        let mut keeper = Self {
            layout,
            standings: Standings::new(keep_persistent, crate::client::seed()),
            sessions: Sessions::of(client),
            session: None,
            wished: Wished::new(wished),
            status,
            places: BTreeMap::new(),
            writing: Vec::new(),
            pause: None,
            patience: None,
            writes: 0,
            telling,
        };
        keeper.wish();
        keeper
    }

    pub(super) async fn run(mut self) {
        let last = loop {
            if self.act() {
                break RegistrationState::Withdrawn;
            }
            match std::future::poll_fn(|cx| self.poll_woken(cx)).await {
                Woken::Session(Fact::Ended(end)) => break RegistrationState::Ended(end),
                Woken::PatienceOver if planted!("registry_dropped_given_up") => {
                    break RegistrationState::Pending;
                }
                woken => self.learn(woken),
            }
        };
        // The places are free before anybody hears that the registration is over.
        let Self { places, wished, status, telling, .. } = self;
        let wish = wished.present.number;
        drop((places, wished));
        let before = *status.borrow();
        telling.turned(before, RegistrationStatus { state: last, ..before });
        status.send_modify(|status| (status.state, status.wish) = (last, wish));
    }

    /// Does what is to be done now. True if the wish is over and fulfilled.
    fn act(&mut self) -> bool {
        let due = self.standings.step(now());
        self.pause = due.wait.map(|span| Box::pin(tokio::time::sleep(span)));
        if let Some(client) = &self.session {
            for read in due.reads {
                if let Some(place) = self.places.get_mut(&read.path) {
                    let watched = place.changed.is_some();
                    place.reading = Some(Box::pin(read_leaf(client.clone(), read.path, read.sync, watched)));
                }
            }
            for batch in due.batches {
                telling::batch(&batch);
                self.writes += 1;
                let writing = write(client.clone(), batch.ops(), batch.makes_all_parents());
                self.writing.push((batch, Box::pin(writing)));
            }
        }
        let standings = &self.standings;
        self.places.retain(|path, _| standings.role(path).is_some());
        if self.wished.present.over && self.standings.state() == State::Withdrawn {
            return true;
        }
        self.telling.conflicts(self.standings.conflicts());
        self.publish();
        false
    }

    fn publish(&self) {
        let (losses, last_loss) = self.standings.losses();
        let new = RegistrationStatus {
            state: self.standings.state().into(),
            writes: self.writes,
            refusal: self.standings.last_refusal(),
            wish: self.wished.present.number,
            losses,
            last_loss,
        };
        let before = *self.status.borrow();
        self.status.send_if_modified(|status| std::mem::replace(status, new) != new);
        self.telling.turned(before, new);
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
        for (path, place) in &mut self.places {
            if poll(&mut place.changed, cx).is_ready() {
                return Poll::Ready(Woken::Changed(path.clone()));
            }
        }
        for (path, place) in &mut self.places {
            if let Poll::Ready(read) = poll(&mut place.reading, cx) {
                return Poll::Ready(Woken::Read(path.clone(), read));
            }
        }
        for at in 0..self.writing.len() {
            let polled = self.writing.get_mut(at).map(|(_, writing)| writing.as_mut().poll(cx));
            if let Some(Poll::Ready(outcome)) = polled {
                return Poll::Ready(Woken::Written(self.writing.remove(at).0, outcome));
            }
        }
        if poll(&mut self.pause, cx).is_ready() {
            return Poll::Ready(Woken::PauseOver);
        }
        poll(&mut self.patience, cx).map(|()| Woken::PatienceOver)
    }

    fn learn(&mut self, woken: Woken) {
        match woken {
            Woken::Session(Fact::Connected(connected)) => self.connected(connected),
            Woken::Session(_) => {
                self.session = None;
                self.standings.on_disconnected();
            }
            Woken::Wish => {
                if self.wished.is_abandoned() && self.patience.is_none() {
                    self.patience = Some(Box::pin(tokio::time::sleep(DROPPED_PATIENCE)));
                }
                self.wish();
            }
            Woken::Changed(_) if planted!("registry_deletion_unseen") => {}
            Woken::Changed(path) => self.standings.on_changed(&path),
            Woken::Read(path, read) => self.read(&path, read),
            Woken::Written(batch, outcome) => self.standings.on_written(&batch, outcome, now()),
            Woken::PauseOver => {}
            Woken::PatienceOver if planted!("registry_dropped_keeps_client") => {}
            Woken::PatienceOver => {
                self.session = self.session.as_ref().map(Client::uncounted);
                self.sessions.let_go();
            }
        }
    }

    /// Takes over what is wished now.
    fn wish(&mut self) {
        let wished = self.wished.present.places.clone();
        self.standings.wish(wished.iter().map(|place| place.wished.clone()).collect());
        for wish in wished {
            let path = wish.wished.leaf.path();
            match self.places.get_mut(&path) {
                Some(place) => place.wish = wish,
                None => drop(self.places.insert(path, Place { wish, changed: None, reading: None })),
            }
        }
    }

    fn connected(&mut self, connected: Connected) {
        if connected.is_new && self.session_was_known() && planted!("registry_expiry_not_followed") {
            return;
        }
        if connected.is_new {
            // Watches end with their session.
            self.places.values_mut().for_each(|place| place.changed = None);
        }
        self.standings.on_session(connected.session_id, now());
        self.session = Some(connected.client);
    }

    fn session_was_known(&self) -> bool {
        self.writes > 0
    }

    fn read(&mut self, path: &str, read: WatchedLeaf) {
        let Some(place) = self.places.get_mut(path) else { return };
        if read.changed.is_some() {
            place.changed = read.changed;
        }
        let wish = &place.wish;
        let seen = |(data, stat)| {
            let found = Found { name: &wish.wished.leaf.name, data: &data, stat };
            let same = wish.wished.role == Role::Instance && self.layout.is_same(&wish.instance, &found);
            Seen { stat, data, same }
        };
        self.standings.on_read(path, read.found.map(|found| found.map(seen)), now());
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
