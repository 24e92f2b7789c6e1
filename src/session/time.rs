//! What becomes due when.

use std::time::{Duration, Instant};

use super::link::Link;
use super::queue::{earliest_deadline, overdue_committed, overdue_waiting};
use super::{Cause, End, Fate, Life, Loss, Session};
use crate::limits;

impl<T> Session<T> {
    /// Does what is due. A call too early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run_timers(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` if nothing will become due by itself.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.life, Life::Ended(_)) {
            return None;
        }
        let timeout = self.timeout();
        let link = match &self.link {
            Link::Down { retry_at } => *retry_at,
            Link::Resolving { attempt, .. } | Link::Handshaking { attempt, .. } => Some(attempt.until),
            Link::Dialling { race, attempt } => Some(race.due_at(attempt.until)),
            Link::Up(connection) => {
                let quiet = connection.read_deadline(timeout).min(connection.ping_at(timeout));
                Some(connection.leaving.map_or(quiet, |leaving| quiet.min(leaving.until)))
            }
            Link::Off => None,
        };
        let renewal = if self.may_send_own() { self.leases.renew_at() } else { None };
        let contact = self.contact_lost_at();
        let times = [link, contact, self.no_deadline_before, renewal, self.closing, self.search.due_at()];
        times.into_iter().flatten().min()
    }

    /// The machine slept for `slept`, and the clock that `now` is of stood still meanwhile, while the ensemble's went on. So
    /// nothing that was measured by it is believed: the lease ends that much earlier, and what is under way proves
    /// nothing. Whether the connection stands is found out at once: by a ping, to be answered within a third of the timeout,
    /// or by the next attempt. If nothing slept after all (a wall clock that was set looks the same), that is all it costs.
    pub fn handle_paused(&mut self, now: Instant, slept: Duration) {
        self.run_timers(now);
        if matches!(self.life, Life::Ended(_)) || planted!("session_sleep_forgotten") {
            return;
        }
        self.leases.stood_still(now, slept);
        let timeout = self.timeout();
        match &mut self.link {
            Link::Up(connection) => {
                let patience = (timeout / 3).max(limits::PING_INTERVAL_MIN * 2);
                let until = connection.read_deadline(timeout).min(now + patience);
                connection.reprieve = Some(until);
                self.ping(now);
                self.pump(now);
            }
            Link::Down { retry_at: Some(at) } if *at > now => self.try_next(now),
            _ => {}
        }
    }

    pub(super) fn run_timers(&mut self, now: Instant) {
        // One verdict may make another due at once: silence drops the connection, and that may have been the last
        // contact within the horizon. Each step of such a chain happens once.
        for _ in 0..LONGEST_CHAIN {
            if self.poll_timeout().is_none_or(|at| at > now) {
                return;
            }
            self.run_timers_but_silence(now);
            self.check_silence(now);
        }
    }

    /// For facts that may themselves be the sign of life whose absence would be the verdict.
    pub(super) fn run_timers_but_silence(&mut self, now: Instant) {
        if matches!(self.life, Life::Ended(_)) {
            return;
        }
        if self.no_deadline_before.is_some_and(|at| at <= now) {
            self.expire_requests(now);
        }
        if self.contact_lost_at().is_some_and(|at| at <= now) {
            self.lose_contact();
        }
        if self.closing.is_some_and(|at| at <= now) {
            return self.end(End::ClosedUnconfirmed);
        }
        self.check_attempt(now);
        let timeout = self.timeout();
        if matches!(&self.link, Link::Up(connection) if connection.ping_at(timeout) <= now) {
            self.ping(now);
        }
        if self.leases.renew_at().is_some_and(|at| at <= now) {
            self.pump(now);
        }
        self.search_on(now);
        self.is_leaving(now);
    }

    /// Attempts that took too long, and pauses that are over.
    fn check_attempt(&mut self, now: Instant) {
        match &self.link {
            Link::Down { retry_at: Some(at) } if *at <= now => self.begin_attempt(now),
            Link::Dialling { attempt, .. } if attempt.until <= now => {
                let server = attempt.server.clone();
                self.hang_up();
                self.attempt_failed(now, server, Loss::ConnectTimeout);
            }
            Link::Dialling { race, attempt } if race.due_at(attempt.until) <= now => self.dial_next(now),
            Link::Resolving { attempt, .. } if attempt.until <= now => {
                let server = attempt.server.clone();
                self.attempt_failed(now, server, Loss::ConnectTimeout);
            }
            Link::Handshaking { attempt, .. } if attempt.until <= now => {
                self.handshake_failed(now, Loss::ConnectTimeout);
            }
            _ => {}
        }
    }

    /// Drops a connection on which nothing was heard for too long. If it is we who are late, the answer may be waiting
    /// to be read: one more read comes first.
    fn check_silence(&mut self, now: Instant) {
        let timeout = self.timeout();
        let Link::Up(connection) = &mut self.link else { return };
        let deadline = connection.read_deadline(timeout);
        if deadline > now {
            return;
        }
        if connection.reprieve.is_none() && now > deadline + limits::LATE_SLACK {
            connection.reprieve = Some(now + limits::LATE_SLACK);
            return;
        }
        self.lose(now, Loss::Silence);
    }

    /// When silence of all servers makes contact lost: 4/3 of the timeout after the last word (`ClientCnxn`, 3.9.3).
    fn contact_lost_at(&self) -> Option<Instant> {
        match (&self.life, &self.link) {
            (_, Link::Up(_) | Link::Off) => None,
            (Life::Established(established), _) if !established.lost => {
                Some(established.heard + contact_horizon(established.timeout))
            }
            _ => None,
        }
    }

    /// How long the session may live without a word from here: its timeout, counted from the last word of a server.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        match &self.life {
            Life::Established(established) => {
                Some((established.heard + established.timeout).saturating_duration_since(now))
            }
            _ => None,
        }
    }

    /// Completes the requests whose deadline has passed: waiting ones were not sent, committed ones may have been.
    fn expire_requests(&mut self, now: Instant) {
        for waiting in overdue_waiting(&mut self.waiting, now) {
            self.fail_waiting(waiting, Cause::Deadline);
        }
        let committed = match &mut self.link {
            Link::Up(connection) => overdue_committed(&mut connection.pending, now),
            _ => Vec::new(),
        };
        for token in committed {
            self.complete(token, Cause::Deadline, Fate::Unknown);
        }
        let pending = match &self.link {
            Link::Up(connection) => Some(&connection.pending),
            _ => None,
        };
        let earliest = earliest_deadline(&self.waiting, pending);
        self.no_deadline_before = earliest.map(|at| at.max(now + limits::DEADLINE_GRAIN));
    }
}

/// A move to a read-write server, silence, contact lost, next attempt, and one to spare.
const LONGEST_CHAIN: usize = 5;

fn contact_horizon(timeout: Duration) -> Duration {
    timeout * 4 / 3
}
