//! The two stages of a request: waiting, encoded but without an xid; and committed, in the connection's buffer.

use std::collections::VecDeque;
use std::time::Instant;

use super::watches::{Arming, List};
use super::{LeaseId, RequestId};
use crate::jute::{OpCode, Writer, Xid};
use std::sync::Arc;

/// A request that no connection has taken yet.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) id: RequestId,
    pub(super) op: OpCode,
    /// The whole frame, with xid 0.
    pub(super) frame: Writer,
    pub(super) entry: Entry<T>,
    pub(super) pipelined: bool,
}

/// A request in a connection's buffer or beyond: it goes out whatever the caller does.
#[derive(Debug)]
pub(super) struct Committed<T> {
    pub(super) id: RequestId,
    pub(super) xid: Xid,
    pub(super) op: OpCode,
    /// Where its first byte stands in the stream of this connection.
    pub(super) start: u64,
    /// When it entered the buffer.
    pub(super) at: Instant,
    pub(super) entry: Entry<T>,
}

/// What a request carries through both stages.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) owner: Owner<T>,
    pub(super) deadline: Option<Instant>,
    pub(super) places: u32,
    pub(super) arming: Option<Box<Arming>>,
}

/// Who wants the answer.
#[derive(Debug)]
pub(super) enum Owner<T> {
    /// A caller.
    Caller(T),
    /// Nobody any more; the answer is swallowed.
    Tombstone,
    /// The session: these watches.
    Restore(Box<Batch>),
    /// The session: a watch to take back.
    Removal,
    /// The session: a lease to renew.
    Lease(LeaseId),
    /// The session: its own end.
    Close,
}

/// One `SetWatches` frame.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) paths: Vec<(List, Arc<str>)>,
    /// Whether it is the last of this connection: with its answer, every watch is armed again.
    pub(super) last: bool,
}

impl<T> Entry<T> {
    /// One of the session's own requests: no deadline, no place.
    pub(super) fn internal(owner: Owner<T>) -> Self {
        Self { owner, deadline: None, places: 0, arming: None }
    }

    /// Takes the caller's token out and leaves a tombstone; `None` if no caller waits.
    pub(super) fn bury(&mut self) -> Option<T> {
        if !matches!(self.owner, Owner::Caller(_)) {
            return None;
        }
        match std::mem::replace(&mut self.owner, Owner::Tombstone) {
            Owner::Caller(token) => Some(token),
            _ => None,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        matches!(self.owner, Owner::Caller(_)) && self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn pending_deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| matches!(self.owner, Owner::Caller(_)))
    }
}

/// Takes the waiting requests out that `leaves` picks, in order.
pub(super) fn take_waiting<T>(
    queue: &mut VecDeque<Waiting<T>>,
    mut leaves: impl FnMut(&Waiting<T>) -> bool,
) -> Vec<Waiting<T>> {
    if !queue.iter().any(&mut leaves) {
        return Vec::new();
    }
    let mut taken = Vec::new();
    for waiting in std::mem::take(queue) {
        if leaves(&waiting) {
            taken.push(waiting);
        } else {
            queue.push_back(waiting);
        }
    }
    taken
}

/// Takes the waiting requests out whose deadline has passed.
pub(super) fn overdue_waiting<T>(queue: &mut VecDeque<Waiting<T>>, now: Instant) -> Vec<Waiting<T>> {
    take_waiting(queue, |waiting| waiting.entry.is_due(now))
}

/// Buries the committed requests whose deadline has passed.
pub(super) fn overdue_committed<T>(queue: &mut VecDeque<Committed<T>>, now: Instant) -> Vec<T> {
    queue.iter_mut().filter(|committed| committed.entry.is_due(now)).filter_map(|c| c.entry.bury()).collect()
}

/// The earliest deadline in both queues.
pub(super) fn earliest_deadline<T>(
    waiting: &VecDeque<Waiting<T>>,
    committed: Option<&VecDeque<Committed<T>>>,
) -> Option<Instant> {
    let waiting = waiting.iter().filter_map(|each| each.entry.pending_deadline());
    let committed = committed.into_iter().flatten().filter_map(|each| each.entry.pending_deadline());
    waiting.chain(committed).min()
}
