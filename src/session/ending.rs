//! When a connection goes, when contact is lost for long, and when it is all over: who is told what.

use std::time::Instant;

use super::link::{Connection, Leaving, Link};
use super::queue::{Committed, Entry, Owner, Waiting, take_waiting};
use super::{Action, Cause, ConnId, End, Event, Fate, Life, Loss, Notice, Session};
use crate::jute::Writer;
use crate::limits;

impl<T> Session<T> {
    /// The connection closed or failed.
    pub fn handle_connection_lost(&mut self, now: Instant, conn: ConnId, loss: Loss) {
        self.run_timers_but_silence(now);
        match &self.link {
            Link::Dialling { .. } => self.dial_failed(now, conn, loss),
            Link::Handshaking { conn: current, attempt, .. } if *current == conn => {
                let server = attempt.server.clone();
                let loss = if loss == Loss::Closed { Loss::ClosedBeforeHandshake } else { loss };
                self.attempt_failed(now, server, loss);
            }
            Link::Up(connection) if connection.conn == conn => self.lose(now, loss),
            _ => {}
        }
    }

    /// Gives up a connection that serves, for a better one: with the last answer that is under way, or after
    /// [`limits::LEAVE_WAIT`]. What is submitted until then waits for the next.
    pub(super) fn leave(&mut self, now: Instant, loss: Loss) {
        let Link::Up(connection) = &mut self.link else { return };
        if connection.pending.is_empty() || planted!("session_leaves_at_once") {
            return self.lose(now, loss);
        }
        let until = connection.leaving.map_or(now + limits::LEAVE_WAIT, |leaving| leaving.until);
        connection.leaving = Some(Leaving { loss, until });
    }

    /// Whether the connection is being left; then it goes with the last answer.
    pub(super) fn is_leaving(&mut self, now: Instant) -> bool {
        let Link::Up(connection) = &self.link else { return false };
        let Some(leaving) = connection.leaving else { return false };
        if connection.pending.is_empty() || leaving.until <= now {
            self.lose(now, leaving.loss);
        }
        true
    }

    /// The server list has changed again, and names the present server after all.
    pub(super) fn stay(&mut self, now: Instant) {
        let Link::Up(connection) = &mut self.link else { return };
        connection.leaving = connection.leaving.filter(|leaving| leaving.loss == Loss::ReadWriteFound);
        self.pump(now);
    }

    /// Gives the connection up, whoever closed it.
    pub(super) fn lose(&mut self, now: Instant, loss: Loss) {
        self.hang_up();
        self.end_search();
        let Link::Up(connection) = std::mem::replace(&mut self.link, Link::Off) else { return };
        let closed = loss == Loss::Closed && !planted!("session_theft_unnoticed");
        let row = self.contention.lost(now, self.timeout(), closed, connection.served);
        let lived = connection.has_lived(now, self.timeout()) && row < limits::CONTENDED;
        self.servers.connection_lost(lived);
        let is_clean = loss.is_chosen() && connection.pending.is_empty();
        self.fail_committed(*connection, Cause::ConnectionLost(loss));
        for waiting in take_waiting(&mut self.waiting, |waiting| {
            waiting.pipelined && !is_clean && !planted!("session_pipeline_with_holes")
        }) {
            self.fail_waiting(waiting, Cause::ConnectionLost(loss));
        }
        self.watches.disconnected();
        self.actions.push_back(Action::Event(Event::Disconnected { loss }));
        if self.closing.is_some() {
            return self.end(End::ClosedUnconfirmed);
        }
        if self.is_provisional() {
            // A session begun on a read-only server is known nowhere else.
            return self.end(End::Expired);
        }
        if row == limits::CONTENDED {
            self.actions.push_back(Action::Event(Event::Contended));
        }
        if row >= limits::CONTENDED_END && self.config.credentials.is_some() {
            // It was another's before, and is in use there.
            return self.end(End::Contended);
        }
        // All clients of a server that died come back at once; a short pause drawn by each spreads them.
        let pause = self
            .servers
            .backoff(self.longest_pause(now), &mut self.chance)
            .max(self.chance.up_to(limits::REJOIN_SPREAD));
        self.try_later(now, pause);
    }

    /// Nothing was heard of any server for 4/3 of the timeout. By its own clock the ensemble may have given the session
    /// up by now; whether it has is for it to say.
    pub(super) fn lose_contact(&mut self) {
        if planted!("session_expires_by_itself") {
            return self.end(End::Expired);
        }
        let Life::Established(established) = &mut self.life else { return };
        established.lost = true;
        self.servers.begin_pass();
        for waiting in std::mem::take(&mut self.waiting) {
            self.fail_waiting(waiting, Cause::SessionLost);
        }
        let actions = &mut self.actions;
        self.watches.gap_all(|watcher, notice| actions.push_back(Action::Notify { watcher, notice }));
        self.actions.push_back(Action::Event(Event::Lost));
    }

    /// Ends the session. Everything completes, everybody is told, nothing follows.
    pub(super) fn end(&mut self, end: End) {
        if matches!(self.life, Life::Ended(_)) {
            return;
        }
        self.hang_up();
        self.end_search();
        if let Link::Up(connection) = std::mem::replace(&mut self.link, Link::Off) {
            self.fail_committed(*connection, Cause::SessionEnded(end));
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.fail_waiting(waiting, Cause::SessionEnded(end));
        }
        for credential in std::mem::take(&mut self.auth) {
            let fate = if credential.sent { Fate::Unknown } else { Fate::NotSent };
            if let Some(token) = credential.token {
                self.complete(token, Cause::SessionEnded(end), fate);
            }
        }
        let actions = &mut self.actions;
        self.watches.end(&Notice::Ended(end), |watcher, notice| {
            actions.push_back(Action::Notify { watcher, notice })
        });
        self.life = Life::Ended(end);
        self.actions.push_back(Action::Event(Event::Ended(end)));
    }

    /// Wants the present connection closed, or its dialling given up; the link itself is the caller's to change.
    pub(super) fn hang_up(&mut self) {
        let conn = match &self.link {
            Link::Dialling { race, .. } => {
                return self.actions.extend(race.conns().map(|conn| Action::HangUp { conn }));
            }
            Link::Handshaking { conn, .. } => *conn,
            Link::Up(connection) => connection.conn,
            Link::Down { .. } | Link::Resolving { .. } | Link::Off => return,
        };
        self.actions.push_back(Action::HangUp { conn });
    }

    fn fail_committed(&mut self, mut connection: Connection<T>, cause: Cause) {
        for committed in std::mem::take(&mut connection.pending) {
            let fate = if connection.was_sent(committed.start) { Fate::Unknown } else { Fate::NotSent };
            let Committed { entry, .. } = committed;
            self.fail(entry, cause, fate);
        }
        for &(index, start) in &connection.auth_pending {
            if let Some(credential) = self.auth.get_mut(index) {
                credential.sent |= connection.was_sent(start);
            }
        }
        self.discard(std::mem::take(&mut connection.out));
    }

    pub(super) fn fail_waiting(&mut self, waiting: Waiting<T>, cause: Cause) {
        self.discard(waiting.frame);
        self.fail(waiting.entry, cause, Fate::NotSent);
    }

    pub(super) fn discard(&mut self, frame: Writer) {
        if !frame.is_empty() && !planted!("session_drops_under_lock") {
            self.debris.push(frame);
        }
    }

    pub(super) fn fail(&mut self, entry: Entry<T>, cause: Cause, fate: Fate) {
        self.free(entry.places);
        if let Owner::Caller(token) = entry.owner {
            self.complete(token, cause, fate);
        }
    }
}
