//! The server list: whose turn it is, when a pass is over, and how long to wait before the next.

use std::time::Duration;

use super::chance::Chance;
use super::{Loss, Server};
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
    pub(super) fn new(servers: Vec<Server>, chance: &mut Chance) -> Self {
        let mut list = Self { order: servers, turn: 0, tried: 0, all_behind: true, failures: 0 };
        chance.shuffle(&mut list.order);
        list
    }

    /// The server whose turn it is; `None` if the list is empty.
    pub(super) fn next(&mut self) -> Option<Server> {
        let server = self.order.get(self.turn % self.order.len().max(1))?.clone();
        self.turn = self.turn.wrapping_add(1);
        Some(server)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn contains(&self, server: &Server) -> bool {
        self.order.contains(server)
    }

    /// Puts another list in place of this one.
    pub(super) fn replace(&mut self, servers: Vec<Server>, chance: &mut Chance) {
        *self = Self { failures: self.failures, ..Self::new(servers, chance) };
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

    /// How long to wait before the next attempt: full jitter under an exponential ceiling.
    pub(super) fn backoff(&self, timeout: Duration, chance: &mut Chance) -> Duration {
        if planted!("session_no_backoff") {
            return Duration::ZERO;
        }
        let ceiling = limits::BACKOFF_BASE.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        chance.up_to(ceiling.min(limits::BACKOFF_CAP).min(timeout / 3))
    }

    /// How long to wait behind a pass without success: the same, but from the second in a row on so long that dials are
    /// rare.
    pub(super) fn pause(&self, timeout: Duration, chance: &mut Chance) -> Duration {
        let backoff = self.backoff(timeout, chance);
        let rare = self.failures > 1 && !planted!("session_no_backoff") && !planted!("session_hasty_passes");
        if rare { backoff.max(self.spacing(timeout)) } else { backoff }
    }

    /// What keeps a client at two dials a second, and at two a second for each server.
    fn spacing(&self, timeout: Duration) -> Duration {
        let hosts = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        let spaced = limits::DIAL_SPACING.saturating_mul(hosts).max(2 * limits::DIAL_SPACING);
        spaced.min(limits::BACKOFF_CAP).min(timeout / 3)
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
        let mut servers = Servers::new(three(), &mut Chance::new(1));
        let mut seen: Vec<String> = Vec::new();
        for verdict in [Verdict::GoOn, Verdict::GoOn, Verdict::PassFailed { all_behind: false }] {
            seen.push(servers.next().unwrap().host);
            assert_eq!(servers.attempt_failed(Loss::Refused), verdict);
        }
        seen.sort();
        assert_eq!(seen, ["a", "b", "c"]);
    }

    #[test]
    fn one_other_failure_means_not_all_are_behind() {
        let mut servers = Servers::new(three(), &mut Chance::new(1));
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
    fn a_client_that_finds_nobody_does_not_dial_all_the_time() {
        for (hosts, timeout) in [(1, 30), (3, 30), (5, 60)] {
            let list = (0..hosts).map(|host| Server { host: host.to_string(), port: 2181 }).collect();
            let mut chance = Chance::new(hosts);
            let mut servers = Servers::new(list, &mut chance);
            let (mut now, mut passes) = (Duration::ZERO, Vec::new());
            while now < Duration::from_secs(120) {
                passes.push(now);
                let last = (0..hosts).map(|_| servers.attempt_failed(Loss::Refused)).last();
                assert_eq!(last, Some(Verdict::PassFailed { all_behind: false }));
                now += servers.pause(Duration::from_secs(timeout), &mut chance);
            }
            let within = |first: &Duration| {
                passes
                    .iter()
                    .filter(|pass| *pass >= first && **pass < *first + Duration::from_secs(1))
                    .count()
            };
            assert!(passes.iter().all(|first| within(first) <= 2), "{hosts}: {passes:?}");
            let dials = passes.len() as u64 * hosts;
            assert!(dials <= 2 * 120, "{hosts}: {dials} dials");
        }
    }

    #[test]
    fn backoff_grows_to_its_cap_and_a_connection_that_lived_resets_it() {
        let timeout = Duration::from_secs(60);
        let longest = |servers: &Servers| {
            let mut chance = Chance::new(3);
            (0..500).map(|_| servers.backoff(timeout, &mut chance)).max().unwrap()
        };
        let mut servers = Servers::new(three(), &mut Chance::new(1));
        let mut last = Duration::ZERO;
        for _ in 0..6 {
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
