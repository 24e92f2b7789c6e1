//! The search for a read-write server while the session is connected to a read-only one: servers are asked `isro`, one at a
//! time, over connections beside the session's own (`ClientCnxn.pingRwServer`). It never holds the session up, and it does
//! not know what a move costs: that is the loss of a connection, for which see `ending`.
//!
//! ```text
//!             pause over            resolved       pace allows it     `rw`          spread over
//!   Pausing ─────────────▶ Resolving ───────▶ Waiting ─────▶ Probing ───────▶ Found ─────────────▶ Off, and the connection
//!      ▲                       │ not found         ▲            │  │               │ no longer listed          is dropped
//!      │                       │                   └────────────┘  │               │
//!      │                       │              another address      │ anything else │
//!      └───────────────────────┴───────────────────────────────────┴───────────────┘
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::link::Link;
use super::{Action, Address, ConnId, DialId, Loss, Server, Session, pace};
use crate::limits;

/// Where the search stands.
#[derive(Debug)]
pub(super) struct Search {
    step: Step,
    /// Ceiling of the next pause.
    pause: Duration,
    /// Whose turn it is.
    turn: usize,
}

#[derive(Debug)]
enum Step {
    /// There is nothing to search for.
    Off,
    Pausing {
        until: Instant,
    },
    Resolving {
        dial: DialId,
        server: Server,
        until: Instant,
    },
    Probing {
        conn: ConnId,
        server: Server,
        address: Address,
        rest: VecDeque<Address>,
        until: Instant,
    },
    /// The next address is asked as soon as the pace of dials allows.
    Waiting {
        server: Server,
        rest: VecDeque<Address>,
        until: Instant,
    },
    /// The session moves there soon.
    Found {
        server: Server,
        address: Address,
        at: Instant,
    },
}

impl Search {
    /// `again`: a search before this one found a server. If that did not take the session, this one is in no hurry: else a
    /// server that answers `rw` and refuses sessions would end one after the other.
    pub(super) fn new(again: bool) -> Self {
        let pause = if again { limits::PROBE_PAUSE_MAX } else { limits::PROBE_PAUSE_MIN };
        Self { step: Step::Off, pause, turn: 0 }
    }

    pub(super) fn due_at(&self) -> Option<Instant> {
        match &self.step {
            Step::Off => None,
            Step::Pausing { until }
            | Step::Resolving { until, .. }
            | Step::Waiting { until, .. }
            | Step::Probing { until, .. } => Some(*until),
            Step::Found { at, .. } => Some(*at),
        }
    }
}

impl<T> Session<T> {
    /// What the server that was probed answered to `isro`: nothing, if it did not.
    pub fn handle_probe(&mut self, now: Instant, conn: ConnId, answer: &[u8]) {
        self.run_timers(now);
        match &self.search.step {
            Step::Probing { conn: current, server, address, .. } if *current == conn => {
                if answer == b"rw" || planted!("session_moves_for_any_answer") {
                    let (server, address) = (server.clone(), *address);
                    let at = now + self.chance.up_to(limits::MOVE_SPREAD);
                    self.search.step = Step::Found { server, address, at };
                } else {
                    self.probe_next(now);
                }
            }
            _ => {}
        }
    }

    /// The session has just been connected.
    pub(super) fn begin_search(&mut self, now: Instant, read_only: bool) {
        if !read_only {
            self.search = Search::new(false);
        } else if !planted!("session_stays_read_only") {
            self.pause_search(now);
        }
    }

    /// The connection that the search was for goes.
    pub(super) fn end_search(&mut self) {
        if let Step::Probing { conn, .. } = std::mem::replace(&mut self.search.step, Step::Off) {
            self.actions.push_back(Action::HangUp { conn });
        }
    }

    /// Waits for half the ceiling at least, and doubles it.
    fn pause_search(&mut self, now: Instant) {
        let ceiling = self.search.pause;
        let until = now + ceiling / 2 + self.chance.up_to(ceiling / 2);
        self.search.step = Step::Pausing { until };
        if !planted!("session_probes_without_end") {
            self.search.pause = (ceiling * 2).min(limits::PROBE_PAUSE_MAX);
        }
    }

    /// Does what is due.
    pub(super) fn search_on(&mut self, now: Instant) {
        if self.search.due_at().is_none_or(|at| at > now) {
            return;
        }
        if self.closing.is_some() {
            return self.end_search();
        }
        match std::mem::replace(&mut self.search.step, Step::Off) {
            Step::Off => {}
            Step::Pausing { .. } => self.resolve_for_probe(now),
            Step::Resolving { .. } => self.pause_search(now),
            Step::Waiting { server, rest, .. } => self.probe_address(now, server, rest),
            Step::Probing { conn, server, rest, .. } => {
                self.actions.push_back(Action::HangUp { conn });
                self.probe_address(now, server, rest);
            }
            Step::Found { server, address, .. } => {
                if self.servers.prefer(server, address) {
                    self.leave(now, Loss::ReadWriteFound);
                } else {
                    self.pause_search(now);
                }
            }
        }
    }

    fn resolve_for_probe(&mut self, now: Instant) {
        let Some(server) = self.servers.at(self.search.turn) else { return self.pause_search(now) };
        self.search.turn = self.search.turn.wrapping_add(1);
        let dial = DialId(self.next_id());
        let until = now + limits::PROBE_TIMEOUT;
        self.search.step = Step::Resolving { dial, server: server.clone(), until };
        self.actions.push_back(Action::Resolve { dial, server });
    }

    /// A name was looked up that was none of the connection's own.
    pub(super) fn probe_resolved(&mut self, now: Instant, dial: DialId, found: Result<Vec<Address>, Loss>) {
        let Step::Resolving { dial: current, server, .. } = &self.search.step else { return };
        if *current != dial {
            return;
        }
        let server = server.clone();
        // Where the session already is it needs not ask. A name alone may lead elsewhere the next time.
        let here = match &self.link {
            Link::Up(connection) if connection.address != Address::Name => Some(connection.address),
            _ => None,
        };
        let others = found.unwrap_or_default().into_iter().filter(|address| Some(*address) != here);
        let rest = others.take(limits::ADDRESSES_PER_NAME).collect();
        self.probe_address(now, server, rest);
    }

    /// The address under way did not say `rw`.
    fn probe_next(&mut self, now: Instant) {
        if let Step::Probing { server, rest, .. } = &mut self.search.step {
            let (server, rest) = (server.clone(), std::mem::take(rest));
            self.probe_address(now, server, rest);
        }
    }

    fn probe_address(&mut self, now: Instant, server: Server, mut rest: VecDeque<Address>) {
        if rest.is_empty() {
            return self.pause_search(now);
        }
        if let Some(until) = self.pace.quiet_at(pace::window(self.timeout())).filter(|at| *at > now) {
            self.search.step = Step::Waiting { server, rest, until };
            return;
        }
        let Some(address) = rest.pop_front() else { return };
        self.pace.dialled(now);
        let conn = ConnId(self.next_id());
        let until = now + limits::PROBE_TIMEOUT;
        self.stats.probes += 1;
        self.actions.push_back(Action::Probe { conn, server: server.clone(), address });
        self.search.step = Step::Probing { conn, server, address, rest, until };
    }
}
