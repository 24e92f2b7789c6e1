//! Dialling the addresses of one name, several at once: the next begins a short while after the last, while that goes on,
//! and the first that answers wins (RFC 8305). So a family of addresses that leads nowhere costs one such while, and not
//! the whole attempt. How often is for `pace` to say: of a name with many addresses, one attempt may reach a few, and the
//! next begins with the others. It knows nothing of names, nor of what is said once a connection stands.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::link::{Attempt, Link};
use super::{Action, Address, ConnId, Loss, Session};
use crate::limits;

/// The addresses of one name, and how far the dialling has come.
#[derive(Debug)]
pub(super) struct Race {
    /// Under way, the oldest first.
    dials: VecDeque<(ConnId, Address)>,
    rest: VecDeque<Address>,
    /// When the next address is dialled, whatever becomes of those under way.
    next_at: Option<Instant>,
    stagger: Duration,
}

impl Race {
    /// `dialled`: addresses that have had their turn, the last at the end.
    fn new(addresses: Vec<Address>, dialled: &VecDeque<Address>, time: Duration) -> Self {
        let mut rest = interleaved(addresses);
        let turn = |address: &Address| dialled.iter().position(|known| known == address);
        if !planted!("session_same_addresses_again") {
            rest.make_contiguous().sort_by_key(turn);
        }
        let count = u32::try_from(rest.len()).unwrap_or(u32::MAX).max(1);
        let stagger = limits::DIAL_STAGGER.min(time / count).max(limits::DIAL_STAGGER_MIN);
        Self { dials: VecDeque::new(), rest, next_at: None, stagger }
    }

    /// When there is something to do, at the end of the attempt at the latest.
    pub(super) fn due_at(&self, until: Instant) -> Instant {
        self.next_at.map_or(until, |at| at.min(until))
    }

    /// Takes a dial out, and yields where it led; `None` if it is not one of these.
    pub(super) fn take(&mut self, conn: ConnId) -> Option<Address> {
        let at = self.dials.iter().position(|(dialled, _)| *dialled == conn)?;
        self.dials.remove(at).map(|(_, address)| address)
    }

    /// What is being dialled.
    pub(super) fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.dials.iter().map(|(conn, _)| *conn)
    }
}

impl<T> Session<T> {
    /// Dials the first of these addresses; the others follow by and by.
    pub(super) fn begin_race(&mut self, now: Instant, attempt: Attempt, addresses: Vec<Address>) {
        let left = attempt.until.saturating_duration_since(now);
        if left.is_zero() {
            // We were late. What is dialled now would be given up at once.
            return self.attempt_failed(now, attempt.server, Loss::ConnectTimeout);
        }
        if addresses.is_empty() {
            return self.attempt_failed(now, attempt.server, Loss::NotFound);
        }
        self.link = Link::Dialling { race: Race::new(addresses, &self.dialled, left), attempt };
        self.dial_next(now);
    }

    /// Dials the next address, if one is left, as soon as the pace of dials allows.
    pub(super) fn dial_next(&mut self, now: Instant) {
        let free_at = self.free_to_dial_at();
        let conn = ConnId(self.next_id());
        let Link::Dialling { race, attempt } = &mut self.link else { return };
        if let Some(at) = free_at.filter(|at| *at > now) {
            race.next_at = Some(at);
            return;
        }
        let Some(address) = race.rest.pop_front() else { return };
        if race.dials.len() >= limits::DIALS_AT_ONCE {
            let oldest = race.dials.pop_front();
            self.actions.extend(oldest.map(|(conn, _)| Action::HangUp { conn }));
        }
        race.dials.push_back((conn, address));
        let more = !race.rest.is_empty() && !planted!("session_addresses_in_turn");
        race.next_at = more.then(|| now + race.stagger);
        self.stats.dials += 1;
        self.pace.dialled(now);
        if address != Address::Name {
            self.dialled.retain(|known| *known != address);
            if self.dialled.len() >= limits::DIALLED_ADDRESSES {
                self.dialled.pop_front();
            }
            self.dialled.push_back(address);
        }
        self.actions.push_back(Action::Dial { conn, server: attempt.server.clone(), address });
    }

    /// This address leads nowhere: on to the next, and if that was the last of them, or the last that the attempt has time
    /// for, to the next server.
    pub(super) fn dial_failed(&mut self, now: Instant, conn: ConnId, loss: Loss) {
        let Link::Dialling { race, attempt } = &mut self.link else { return };
        if race.take(conn).is_none() {
            return;
        }
        let (until, server) = (attempt.until, attempt.server.clone());
        let (is_last, is_alone) = (race.rest.is_empty(), race.dials.is_empty());
        if !is_last && self.free_to_dial_at().is_none_or(|at| at < until) {
            self.dial_next(now);
        } else if is_alone {
            self.attempt_failed(now, server, loss);
        }
    }
}

/// The families by turns, beginning with the first's, each in the resolver's order: the second address dialled is of the
/// other family, if there is one. Not more than [`limits::ADDRESSES_PER_NAME`].
fn interleaved(addresses: Vec<Address>) -> VecDeque<Address> {
    let is_v6 = |address: &Address| matches!(address, Address::Ip(ip) if ip.is_ipv6());
    let first = addresses.first().is_some_and(is_v6);
    let (mut same, mut other): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| is_v6(address) == first || planted!("session_families_apart"));
    let mut order = VecDeque::new();
    while order.len() < limits::ADDRESSES_PER_NAME && !(same.is_empty() && other.is_empty()) {
        order.extend(same.pop_front());
        order.extend(other.pop_front());
    }
    order.truncate(limits::ADDRESSES_PER_NAME);
    order
}
