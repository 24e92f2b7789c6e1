//! The server list: whose turn it is, when a pass is over, and how long to wait before the next.

use std::time::Duration;

use super::chance::Chance;
use super::rebalance::Moving;
use super::{Address, Loss, Server};
use crate::limits;

/// The servers in the order drawn for this client, and how the present pass over them goes.
#[derive(Debug)]
pub(super) struct Servers {
    order: Vec<Server>,
    turn: usize,
    /// Attempts of this pass that failed.
    tried: usize,
    /// Whether all of them were closed before the handshake.
    all_behind: bool,
    /// Passes in a row that failed, and connections in a row that did not live for one ping.
    failures: u32,
    /// Where to go before anybody's turn.
    first: Option<(Server, Address)>,
    /// Set from a change of the list that makes this client move until it has arrived, or tried all.
    moving: Option<Moving>,
}

/// What a failed attempt means for the next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There are servers left in this pass.
    GoOn,
    /// The pass is over without success.
    PassFailed {
        /// Whether every server closed before the handshake.
        all_behind: bool,
    },
}

impl Servers {
    pub(super) fn new(servers: Vec<Server>, first: Option<(Server, Address)>, chance: &mut Chance) -> Self {
        let mut list =
            Self { order: servers, turn: 0, tried: 0, all_behind: true, failures: 0, first, moving: None };
        chance.shuffle(&mut list.order);
        list
    }

    /// The server whose turn it is, and its address if that is known; `None` if the list is empty.
    pub(super) fn next(&mut self, chance: &mut Chance) -> Option<(Server, Option<Address>)> {
        if let Some((server, address)) = self.first.take() {
            if self.has_had_its_turn(&server) {
                return Some((server, Some(address)));
            }
        }
        if let Some(server) = self.moving.as_mut().and_then(|moving| moving.next(chance)) {
            self.has_had_its_turn(&server);
            return Some((server, None));
        }
        self.moving = None;
        let server = self.at(self.turn)?;
        self.turn = self.turn.wrapping_add(1);
        Some((server, None))
    }

    /// Goes on behind this server; false if it is not in the list.
    fn has_had_its_turn(&mut self, server: &Server) -> bool {
        let at = self.order.iter().position(|listed| listed == server);
        self.turn = at.map_or(self.turn, |at| at + 1);
        at.is_some()
    }

    /// The server of this turn.
    pub(super) fn at(&self, turn: usize) -> Option<Server> {
        self.order.get(turn % self.order.len().max(1)).cloned()
    }

    /// Goes to this server next, whoever's turn it is; false if it is not in the list.
    pub(super) fn prefer(&mut self, server: Server, address: Address) -> bool {
        let listed = self.contains(&server);
        self.first = listed.then_some((server, address));
        listed
    }

    pub(super) fn first(&self) -> Option<&(Server, Address)> {
        self.first.as_ref()
    }

    /// There is a connection: whoever was moving has arrived.
    pub(super) fn arrived(&mut self) {
        self.moving = None;
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn contains(&self, server: &Server) -> bool {
        self.order.contains(server)
    }

    /// Whether the list names these servers, in whatever order.
    pub(super) fn are(&self, servers: &[Server]) -> bool {
        let sorted = |servers: &[Server]| {
            let mut servers = servers.to_vec();
            servers.sort();
            servers
        };
        sorted(&self.order) == sorted(servers)
    }

    /// Puts another list in place of this one. `current` is the server that the client is at, or on its way to. True if it
    /// must go to another, which is the next.
    pub(super) fn replace(
        &mut self,
        servers: Vec<Server>,
        current: Option<&Server>,
        chance: &mut Chance,
    ) -> bool {
        // Who is between two servers counts as a client of the one that it would try next, if it is moving, and else of
        // the one that it tried last.
        let (current, is_next) = match (current, &mut self.moving) {
            (Some(current), _) => (Some(current.clone()), false),
            (None, Some(moving)) => (moving.next(chance), true),
            (None, None) => (self.at(self.turn.saturating_sub(1)), false),
        };
        let list = Self { failures: self.failures, ..Self::new(servers, self.first.take(), chance) };
        let before = std::mem::replace(self, list).order;
        self.moving = Moving::decide(&before, &self.order, current.as_ref(), chance);
        if current.is_some_and(|current| self.has_had_its_turn(&current)) {
            self.turn -= usize::from(is_next);
        }
        self.moving.is_some()
    }

    pub(super) fn attempt_failed(&mut self, loss: Loss) -> Verdict {
        self.tried += 1;
        self.all_behind &= loss == Loss::ClosedBeforeHandshake;
        if self.tried < self.order.len() {
            return Verdict::GoOn;
        }
        let all_behind = self.all_behind;
        self.failures = self.failures.saturating_add(1);
        self.begin_pass();
        Verdict::PassFailed { all_behind }
    }

    /// A connection that was up has gone. `lived` says whether it lived for one ping at least: only that wipes out the
    /// memory of failures, else a server that accepts and drops would be dialled in a hot loop.
    pub(super) fn connection_lost(&mut self, lived: bool) {
        self.failures = if lived { 0 } else { self.failures.saturating_add(1) };
        self.begin_pass();
    }

    /// Starts counting a pass anew.
    pub(super) fn begin_pass(&mut self) {
        self.tried = 0;
        self.all_behind = true;
    }

    /// How long to wait before the next attempt: full jitter under an exponential ceiling, and never more than
    /// `longest`.
    pub(super) fn backoff(&self, longest: Duration, chance: &mut Chance) -> Duration {
        if planted!("session_no_backoff") {
            return Duration::ZERO;
        }
        let ceiling = limits::BACKOFF_BASE.saturating_mul(1 << (2 * self.failures.saturating_sub(1).min(8)));
        chance.up_to(ceiling.min(limits::BACKOFF_CAP).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<Server> {
        ["a", "b", "c"].map(|host| Server { host: host.into(), port: 2181 }).to_vec()
    }

    #[test]
    fn a_pass_tries_every_server_once() {
        let mut chance = Chance::new(1);
        let mut servers = Servers::new(three(), None, &mut chance);
        let mut seen: Vec<String> = Vec::new();
        for verdict in [Verdict::GoOn, Verdict::GoOn, Verdict::PassFailed { all_behind: false }] {
            seen.push(servers.next(&mut chance).unwrap().0.host);
            assert_eq!(servers.attempt_failed(Loss::Refused), verdict);
        }
        seen.sort();
        assert_eq!(seen, ["a", "b", "c"]);
    }

    #[test]
    fn one_other_failure_means_not_all_are_behind() {
        let mut servers = Servers::new(three(), None, &mut Chance::new(1));
        servers.attempt_failed(Loss::ClosedBeforeHandshake);
        servers.attempt_failed(Loss::ConnectTimeout);
        let verdict = servers.attempt_failed(Loss::ClosedBeforeHandshake);
        assert_eq!(verdict, Verdict::PassFailed { all_behind: false });
        for _ in 0..2 {
            servers.attempt_failed(Loss::ClosedBeforeHandshake);
        }
        let verdict = servers.attempt_failed(Loss::ClosedBeforeHandshake);
        assert_eq!(verdict, Verdict::PassFailed { all_behind: true });
    }

    #[test]
    fn backoff_grows_to_its_cap_and_a_connection_that_lived_resets_it() {
        let timeout = Duration::from_secs(60);
        let longest = |servers: &Servers| {
            let mut chance = Chance::new(3);
            (0..500).map(|_| servers.backoff(timeout, &mut chance)).max().unwrap()
        };
        let mut servers = Servers::new(three(), None, &mut Chance::new(1));
        let mut last = Duration::ZERO;
        for _ in 0..5 {
            servers.connection_lost(false);
            assert!(longest(&servers) > last, "backoff does not grow");
            last = longest(&servers);
        }
        for _ in 0..40 {
            servers.connection_lost(false);
        }
        assert!(longest(&servers) <= limits::BACKOFF_CAP);
        assert!(longest(&servers) > limits::BACKOFF_CAP / 2);
        servers.connection_lost(true);
        assert!(longest(&servers) <= limits::BACKOFF_BASE);
    }
}
