//! What can become of a request other than a reply, and of a connection other than life.

use thiserror::Error;

use crate::jute::ErrorCode;

/// What is known about a request's effect. Never a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The server did it. (The answer was lost on our side: too large, or not readable.) Never said of a multi, whose
    /// answer says only inside whether it was done.
    Applied,
    /// The server answered that it did not do it.
    Refused,
    /// Not one byte of it left; it had no effect and never will.
    NotSent,
    /// It left, the answer did not come: it may have been done, and may still be.
    Unknown,
}

/// Why a request has no reply, and what is known about its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{cause} ({})", self.fate.describe())]
pub struct RequestError {
    /// Why.
    pub cause: Cause,
    /// What is known about the effect.
    pub fate: Fate,
}

/// Why a request has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The server answered with this code.
    #[error("the server answered {0}")]
    Server(ErrorCode),
    /// The connection went.
    #[error("connection lost: {0}")]
    ConnectionLost(Loss),
    /// No server was in reach for 4/3 of the session timeout. The session may live on.
    #[error("no server in reach for 4/3 of the session timeout")]
    SessionLost,
    /// The session is over; the request was submitted under it and ends with it.
    #[error("the session has ended: {0}")]
    SessionEnded(End),
    /// Its deadline passed.
    #[error("deadline passed")]
    Deadline,
    /// The caller cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// The bound on requests or bytes under way is reached.
    #[error("too many requests under way")]
    QueueFull,
    /// The request is over the outbound limit.
    #[error("request of {len} bytes is over the limit of {limit}")]
    RequestTooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The reply is over the inbound limit.
    #[error("reply of {len} bytes is over the limit of {limit}")]
    ReplyTooLarge {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// Why a connection went, or did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Loss {
    /// The name was not found.
    #[error("name not found")]
    NotFound,
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The network or the transport failed.
    #[error("network error")]
    Network,
    /// The peer closed the connection.
    #[error("closed by the server")]
    Closed,
    /// The server closed the connection without answering the handshake: it is behind this client (zxid ahead), has no
    /// quorum, or serves only read-only clients.
    #[error("closed before the handshake")]
    ClosedBeforeHandshake,
    /// The server refused the handshake.
    #[error("handshake refused")]
    HandshakeRefused,
    /// The attempt took longer than its share of the session timeout.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// Nothing was heard for two thirds of the session timeout.
    #[error("silence")]
    Silence,
    /// The peer broke the protocol.
    #[error("protocol violation: {0}")]
    Violation(Violation),
    /// The server does not know an operation that it was asked for, and closes the connection behind that answer.
    #[error("the server does not know an operation, and closes")]
    UnknownOperation,
    /// The server list no longer names this server.
    #[error("removed from the server list")]
    Removed,
    /// The server list grew, and it fell to this client to make room for others at its server.
    #[error("moving to a server that is new in the list")]
    Rebalanced,
    /// It led to a read-only server, and a read-write one was found.
    #[error("moving to a read-write server")]
    ReadWriteFound,
}

/// How the peer broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Violation {
    /// A frame length that is negative or beyond every limit. Peers that speak HTTP or TLS look like this.
    #[error("frame of {0} bytes")]
    FrameLength(i32),
    /// A frame too short for a reply header, or a record that does not decode.
    #[error("a frame that does not decode")]
    Malformed,
    /// The handshake was answered by something that is not an answer to it.
    #[error("not a handshake answer")]
    NotAHandshake,
    /// A reply that is not for the request at the head of the queue.
    #[error("reply out of order")]
    OutOfOrder,
    /// A reply although nothing was asked, or although the request has not left yet.
    #[error("reply to nothing")]
    Unsolicited,
}

/// How a session ended. There is no way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum End {
    /// The server said so.
    #[error("expired")]
    Expired,
    /// Credentials were refused.
    #[error("authentication failed")]
    AuthFailed,
    /// Closed by this client, and the server confirmed it.
    #[error("closed")]
    Closed,
    /// Closed by this client, without the server's word: ephemerals may live until the session times out.
    #[error("closed, unconfirmed")]
    ClosedUnconfirmed,
    /// It was resumed, and another client goes on using it: each attach takes it from the other. It was left to that one.
    #[error("in use by another client")]
    Contended,
}

impl Loss {
    /// Whether the connection would have gone on serving, and was left for a better one.
    pub(super) fn is_chosen(self) -> bool {
        matches!(self, Self::Removed | Self::Rebalanced | Self::ReadWriteFound)
    }
}

impl Fate {
    fn describe(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::NotSent => "not sent",
            Self::Unknown => "outcome unknown",
        }
    }
}
