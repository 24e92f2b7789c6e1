//! What the session wants done, and what it tells.

use std::time::Duration;

use super::{Address, ConnId, DialId, End, LeaseId, Loss, Notice, Outcome, Server, WatcherId};
use crate::jute::ErrorCode;
#[cfg(doc)]
use crate::limits;

/// One output. Outputs are done in the order in which they come.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action<T> {
    /// Look up this server's name, then call `handle_resolved`.
    Resolve {
        /// The look-up.
        dial: DialId,
        /// The server.
        server: Server,
    },
    /// Dial this address, then call `handle_connected` or `handle_dial_failed`.
    Dial {
        /// The connection to be.
        conn: ConnId,
        /// The server, for transports that need its name.
        server: Server,
        /// The address.
        address: Address,
    },
    /// Dial this address beside the connection that stands, write `isro`, read to the end of the answer but no more than
    /// [`limits::PROBE_ANSWER_LEN_BYTES`], close, and call `handle_probe`.
    Probe {
        /// The probe's connection.
        conn: ConnId,
        /// The server, for transports that need its name.
        server: Server,
        /// The address.
        address: Address,
    },
    /// Close this connection, or give up dialling or probing it. No fact about it is wanted any more.
    HangUp {
        /// The connection.
        conn: ConnId,
    },
    /// Hand this back to whoever submitted it.
    Complete {
        /// The caller's token.
        token: T,
        /// How the request ended.
        outcome: Outcome,
    },
    /// Put this into the watcher's buffer, before any later output is done.
    Notify {
        /// The watcher.
        watcher: WatcherId,
        /// What it is told.
        notice: Notice,
    },
    /// Something happened to the session.
    Event(Event),
}

/// What happens to a session. Repeats are never reported; the terminal one comes once and last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A server accepted the session.
    Connected {
        /// The server.
        server: Server,
        /// The session's id.
        session_id: i64,
        /// The negotiated timeout.
        timeout: Duration,
        /// Whether the server is read-only.
        read_only: bool,
        /// Whether the session existed before (a re-attach), or has just begun.
        reattached: bool,
    },
    /// The connection went. The session probably lives.
    Disconnected {
        /// Why.
        loss: Loss,
    },
    /// An attempt to reach a server failed.
    AttemptFailed {
        /// The server.
        server: Server,
        /// Why.
        loss: Loss,
    },
    /// No contact for 4/3 of the timeout: pending requests and watches were told. The session may still live, and is
    /// offered once more at the next contact.
    Lost,
    /// [`limits::CONTENDED`] connections in a row served and were closed by the server, each within a session timeout of
    /// the one before, without any other trouble: another client seems to use this session. From here on the pauses
    /// grow whatever a connection does in between; a session that was resumed ends after [`limits::CONTENDED_END`].
    Contended,
    /// The server refused to renew a lease: its znode is gone or has another version.
    LeaseRefused {
        /// The lease.
        lease: LeaseId,
        /// The server's code.
        code: ErrorCode,
    },
    /// The session ended. Nothing follows.
    Ended(End),
}
