//! The connection's side of the state: from nothing over dialling and the handshake to a connection that is up.
//!
//! ```text
//!            retry_at                 resolved               connected
//!   Down ────────────▶ Resolving ──────────────▶ Dialling ──────────────▶ Handshaking ──────▶ Up
//!    ▲                     │ not found               │ refused, too long       │ refused      │ lost
//!    └─────────────────────┴─────────────────────────┴─────────────────────────┴──────────────┘
//!                                         Off: the session has ended
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::Committed;
use super::race::Race;
use super::watches::List;
use super::{Address, ConnId, DialId, Loss, Server};
use crate::jute::{Writer, Xid};
use crate::limits;

/// Where the connection stands.
#[derive(Debug)]
pub(super) enum Link<T> {
    /// No connection and none under way; `None` if there is no server to try.
    Down { retry_at: Option<Instant> },
    /// A name is being looked up.
    Resolving { dial: DialId, attempt: Attempt },
    /// Addresses are being dialled: the first that answers wins.
    Dialling { race: Race, attempt: Attempt },
    /// ConnectRequest is out, and nothing else may follow it until it is answered: the server answers an expired session
    /// and closes, and bytes it has not read would turn that close into a reset that swallows the answer.
    Handshaking { conn: ConnId, address: Address, out: Writer, enqueued: u64, written: u64, attempt: Attempt },
    /// Connected.
    Up(Box<Connection<T>>),
    /// Never again.
    Off,
}

/// One attempt to reach one server: a single deadline spans name, dialling and handshake.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) server: Server,
    pub(super) until: Instant,
}

/// A connection that is up, and all that goes with it when it goes.
#[derive(Debug)]
pub(super) struct Connection<T> {
    pub(super) conn: ConnId,
    pub(super) server: Server,
    pub(super) address: Address,
    pub(super) read_only: bool,
    /// Bytes that the driver has not taken yet.
    pub(super) out: Writer,
    /// Bytes that ever entered `out`, and bytes that the transport took.
    pub(super) enqueued: u64,
    pub(super) written: u64,
    /// Requests in wire order, the oldest first: replies come in this order.
    pub(super) pending: VecDeque<Committed<T>>,
    /// Auth packets not answered yet, in order: which of the session's, and where its first byte stands in the stream.
    pub(super) auth_pending: VecDeque<(usize, u64)>,
    pub(super) xid: Xid,
    pub(super) inbound: Inbound,
    /// Watches still to be re-armed; requests wait until it is `None`.
    pub(super) restore: Option<Restore>,
    /// The last request may be one that this server does not know: nothing goes behind it until it is answered.
    pub(super) alone: bool,
    /// Whether a frame came behind the handshake's answer.
    pub(super) served: bool,
    pub(super) removals: usize,
    /// Pings not answered yet.
    pub(super) pings: u32,
    pub(super) since: Instant,
    pub(super) heard: Instant,
    pub(super) wrote: Instant,
    /// Set when it is to be given up for a better one: nothing more is committed, and it goes with the last answer.
    pub(super) leaving: Option<Leaving>,
    /// Set when the read deadline was found overdue because we were late: one more read before the verdict.
    pub(super) reprieve: Option<Instant>,
}

/// What a connection is given up for, and how long at most what is under way is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) loss: Loss,
    pub(super) until: Instant,
}

/// Where the input stands between frames.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// Bytes of an oversize reply still to be thrown away.
    pub(super) discard: usize,
    /// Bytes of the incomplete frame that have been counted as a sign of life.
    pub(super) credited: usize,
}

/// How far the re-arming of watches has come.
#[derive(Debug)]
pub(super) struct Restore {
    /// The last zxid before the break, the same for every batch.
    pub(super) zxid: i64,
    pub(super) list: List,
    pub(super) after: Option<Arc<str>>,
}

impl<T> Connection<T> {
    /// Bytes that the transport has not taken yet.
    pub(super) fn backlog(&self) -> u64 {
        self.enqueued.saturating_sub(self.written)
    }

    /// When silence becomes a verdict: two thirds of the timeout after the last sign of life (`ClientCnxn.readTimeout`).
    pub(super) fn read_deadline(&self, timeout: Duration) -> Instant {
        let silence = (timeout * 2 / 3).max(limits::PING_INTERVAL_MIN * 2);
        self.reprieve.unwrap_or(self.heard + silence)
    }

    pub(super) fn ping_at(&self, timeout: Duration) -> Instant {
        self.wrote + ping_interval(timeout)
    }

    /// Whether it lived long enough to wipe out the memory of failures.
    pub(super) fn has_lived(&self, now: Instant, timeout: Duration) -> bool {
        now >= self.since + ping_interval(timeout)
    }
}

/// How long a connection may be idle before it is pinged: half the read deadline, and never more than ten seconds.
pub(super) fn ping_interval(timeout: Duration) -> Duration {
    (timeout / 3).clamp(limits::PING_INTERVAL_MIN, limits::PING_INTERVAL_MAX)
}
