//! The lease: until when this session certainly has not been given up by its ensemble.
//!
//! A ping, a read or a sync proves only that one member lives: a follower cut off from its leader goes on answering
//! them while the leader already gives the session's locks away. A write is answered by the quorum. It need not have
//! refreshed the session at the leader by itself (followers report their sessions once a tick), so the lease runs from
//! the last but one answered write, the two a third of the timeout apart.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LeaseId;
use crate::jute::{CheckVersionRequest, Encode, MultiHeader, Writer};

/// Held leases, and the answered writes that prove them.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: BTreeMap<LeaseId, Held>,
    renew_at: Option<Instant>,
    /// Send times of answered writes, oldest first: the one the lease runs from, then those that may follow it.
    proofs: VecDeque<Instant>,
    latest: Option<Instant>,
    /// The clock stood still before this: how old what was sent earlier is, nobody knows.
    believed_from: Option<Instant>,
}

/// What keeps a lease: the znode that must still be there.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) path: Arc<str>,
    pub(super) version: i32,
}

/// How many send times are kept between the last but one and the last.
const PROOFS: u32 = 32;

impl Leases {
    pub(super) fn hold(&mut self, now: Instant, lease: LeaseId, held: Held) {
        self.held.insert(lease, held);
        self.renew_at = Some(now);
    }

    pub(super) fn release(&mut self, lease: LeaseId) {
        self.held.remove(&lease);
        if self.held.is_empty() {
            self.renew_at = None;
        }
    }

    /// When the leases want renewal; `None` if there are none.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.renew_at
    }

    /// The leases to renew now, if it is time.
    pub(super) fn due(&mut self, now: Instant, timeout: Duration) -> Vec<(LeaseId, Held)> {
        if self.renew_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.renew_at = Some(now + timeout / 3);
        self.held.iter().map(|(&lease, held)| (lease, held.clone())).collect()
    }

    /// A write of this session, sent at `sent`, was answered by the quorum.
    pub(super) fn proved(&mut self, sent: Instant, timeout: Duration) {
        if self.believed_from.is_some_and(|from| sent < from) {
            return;
        }
        let spacing = timeout / (3 * PROOFS);
        if self.proofs.back().is_none_or(|&last| sent >= last + spacing) {
            self.proofs.push_back(sent);
        }
        self.latest = self.latest.max(Some(sent));
        let Some(latest) = self.latest else { return };
        while self.proofs.get(1).is_some_and(|&second| second + timeout / 3 <= latest) {
            self.proofs.pop_front();
        }
    }

    /// The clock stood still for `slept`: what was proved is older by that. Renewals are due at once.
    pub(super) fn stood_still(&mut self, now: Instant, slept: Duration) {
        let older = |at: Instant| at.checked_sub(slept);
        self.proofs = self.proofs.iter().copied().filter_map(older).collect();
        self.latest = self.latest.and_then(older);
        self.believed_from = Some(now);
        self.renew_at = self.renew_at.map(|at| at.min(now));
    }

    /// Until when the session certainly lives; `None` before two writes proved it.
    pub(super) fn until(&self, timeout: Duration) -> Option<Instant> {
        let (&base, latest) = (self.proofs.front()?, self.latest?);
        (base + timeout / 3 <= latest).then(|| base + timeout)
    }
}

/// A multi of one check: a quorum write that changes nothing.
pub(super) struct Renewal<'a>(pub(super) &'a Held);

impl Encode for Renewal<'_> {
    fn encode(&self, out: &mut Writer) {
        MultiHeader::request(crate::jute::OpCode::CHECK).encode(out);
        CheckVersionRequest { path: &*self.0.path, version: self.0.version }.encode(out);
        MultiHeader::END.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(9);

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn one_write_proves_nothing() {
        let start = crate::session::tests::epoch();
        let mut leases = Leases::default();
        leases.proved(start, T);
        leases.proved(at(start, 2_900), T);
        assert_eq!(leases.until(T), None);
    }

    #[test]
    fn the_lease_runs_from_a_write_a_third_of_the_timeout_before_the_last() {
        let start = crate::session::tests::epoch();
        let mut leases = Leases::default();
        for millis in [0, 3_000] {
            leases.proved(at(start, millis), T);
        }
        assert_eq!(leases.until(T), Some(at(start, 9_000)));
        leases.proved(at(start, 5_000), T);
        assert_eq!(leases.until(T), Some(at(start, 9_000)));
        leases.proved(at(start, 6_100), T);
        assert_eq!(leases.until(T), Some(at(start, 12_000)));
    }

    #[test]
    fn a_flood_of_writes_keeps_few_proofs_and_a_fresh_lease() {
        let start = crate::session::tests::epoch();
        let mut leases = Leases::default();
        for millis in 0..30_000 {
            leases.proved(at(start, millis), T);
            assert!(leases.proofs.len() <= PROOFS as usize + 2);
        }
        let until = leases.until(T).unwrap();
        assert!(until <= at(start, 29_999 - 3_000 + 9_000));
        assert!(until >= at(start, 29_999 - 3_000 - 100 + 9_000));
    }

    #[test]
    fn an_answer_that_comes_late_does_not_turn_the_lease_back() {
        let start = crate::session::tests::epoch();
        let mut leases = Leases::default();
        for millis in [0, 3_000, 6_000, 1_000] {
            leases.proved(at(start, millis), T);
        }
        assert_eq!(leases.until(T), Some(at(start, 12_000)));
    }
}
