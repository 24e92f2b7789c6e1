//! The record that all clients of a run share.

use menagerie_history::{EventKind, History, Op, OpId, Outcome, Session, Value, WatchId, Zxid};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// Shared by clone.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    book: Arc<Mutex<Book>>,
    since: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) history: History,
    value: Value,
    watch: WatchId,
    /// Sessions whose end nobody confirmed yet.
    pub(crate) open_ends: BTreeMap<Session, ()>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Recorder { book: Arc::default(), since: Instant::now() }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap()
    }

    /// A value that no other write has.
    pub(crate) fn value(&self) -> Value {
        let mut book = self.book();
        book.value += 1;
        book.value
    }

    /// The number of a watch.
    pub(crate) fn watch(&self) -> WatchId {
        let mut book = self.book();
        book.watch += 1;
        book.watch
    }

    pub(crate) fn invoked(&self, session: Session, what: Op) -> OpId {
        let at = self.at();
        self.book().history.invoked(at, session, what)
    }

    /// Notes a request of a pipeline and hands it over; nobody notes anything in between.
    pub(crate) fn sent<T>(&self, session: Session, what: Op, send: impl FnOnce() -> T) -> (OpId, T) {
        let at = self.at();
        let mut book = self.book();
        let op = book.history.sent(at, session, what);
        (op, send())
    }

    pub(crate) fn completed(&self, op: OpId, outcome: Outcome) {
        let at = self.at();
        self.book().history.completed(at, op, outcome);
    }

    pub(crate) fn event(
        &self,
        session: Session,
        watch: WatchId,
        kind: EventKind,
        path: String,
        zxid: Option<Zxid>,
    ) {
        let at = self.at();
        self.book().history.event(at, session, watch, kind, path, zxid);
    }

    pub(crate) fn gap(&self, session: Session, watch: WatchId) {
        let at = self.at();
        self.book().history.gap(at, session, watch);
    }

    /// A session is over: by the server's own word, or as far as its client knows.
    pub(crate) fn ended(&self, session: Session, certain: bool) {
        let at = self.at();
        let mut book = self.book();
        book.history.ended(at, session, certain);
        if certain {
            book.open_ends.remove(&session);
        } else {
            book.open_ends.insert(session, ());
        }
    }

    pub(crate) fn leader_in_doubt(&self, doubt: bool) {
        let at = self.at();
        let history = &mut self.book().history;
        if doubt { history.leader_in_doubt(at) } else { history.leader_certain(at) }
    }
}
