//! What a session is made from.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::{Address, Pace, Server};
use crate::limits;

/// What a session is made from. Plain data.
#[derive(Debug, Clone)]
pub struct Config {
    /// The ensemble. Tried in an order drawn from `seed`.
    pub servers: Vec<Server>,
    /// Where to begin, before anybody's turn: the read-write server that the session before this one ended for. A server
    /// that is not among `servers` is ignored.
    pub first: Option<(Server, Address)>,
    /// Session timeout to ask for. The same is asked at every connect, whatever was negotiated before.
    pub timeout: Duration,
    /// Whether a read-only server will do. A session on one searches for a read-write one, and moves; if it was begun there,
    /// no other server knows it, and it ends for the next to begin at [`Session::heading`](super::Session::heading).
    pub read_only: bool,
    /// A session to attach to, instead of beginning one.
    pub credentials: Option<Credentials>,
    /// The last transaction that this client has seen, in this session or one before it; 0 for none. That of
    /// `credentials` counts too, if it is later.
    pub last_zxid: i64,
    /// When the session before this one dialled ([`Session::pace`](super::Session::pace)); the default is that nobody did.
    pub pace: Pace,
    /// Credentials presented on every connection.
    pub auth: Vec<Auth>,
    /// Places for requests that wait or are under way. A short request takes one, a long one more.
    pub places: u32,
    /// Largest reply that is kept, in bytes.
    pub inbound_frame_len_bytes: usize,
    /// Largest request, in bytes.
    pub outbound_frame_len_bytes: usize,
    /// Where chance comes from: the order of servers, and jitter.
    pub seed: u64,
}

/// What it takes to go on with a session elsewhere: keep it secret, it is the session. Plain fields, to be stored as one likes.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The session's id.
    pub session_id: i64,
    /// The session's password.
    pub password: Bytes,
    /// The last transaction that the session has seen: no server that is behind it may take the session up, so reads
    /// do not go back in time. 0 if it is not known; then they may.
    pub last_zxid: i64,
}

/// An `addauth`: a scheme and what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// `digest`, for example.
    pub scheme: String,
    /// `user:password`, for example.
    pub auth: Bytes,
}

impl Config {
    /// The defaults of [`limits`] for these servers.
    #[must_use]
    pub fn new(servers: Vec<Server>, seed: u64) -> Self {
        Self {
            servers,
            first: None,
            timeout: limits::SESSION_TIMEOUT,
            read_only: false,
            credentials: None,
            last_zxid: 0,
            pace: Pace::default(),
            auth: Vec::new(),
            places: limits::PLACES,
            inbound_frame_len_bytes: limits::INBOUND_FRAME_LEN_BYTES,
            outbound_frame_len_bytes: limits::OUTBOUND_FRAME_LEN_BYTES,
            seed,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session_id, last_zxid, .. } = self;
        write!(f, "Credentials {{ session_id: 0x{session_id:x}, password: .., last_zxid: 0x{last_zxid:x} }}")
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth {{ scheme: {:?}, auth: .. }}", self.scheme)
    }
}
