//! One connection: what came in and is not handled, what is to go out, and whose it is.
//!
//! This module knows frames and nothing of what they mean.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};

use super::ip_id;
use super::member::Pending;
use crate::jute::{Encode, ErrorCode, Id, OpCode, ReplyHeader, Writer, Xid};

/// Values from this size on go out as segments of their own; below it a copy is cheaper than a second piece.
const SPILL_LEN_BYTES: usize = 16 << 10;

/// What an identity costs beside its text, about.
const IDENTITY_COST_BYTES: usize = 100;

/// Which connection. A number that was given back comes again under another generation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    index: u32,
    generation: u32,
}

impl ConnectionId {
    pub(super) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    pub(super) fn index(self) -> usize {
        self.index as usize
    }

    pub(super) fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}.{}", self.index, self.generation)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a driver is to do with a connection.
#[derive(Debug)]
pub enum Transmit {
    /// Nothing now.
    Wait,
    /// Write this, and say so with `handle_written` as it leaves.
    Write(Writer),
    /// Close it; the core has forgotten it.
    HangUp,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing came yet.
    Greeting,
    /// It speaks for this session.
    Session(i64),
    /// Nothing more is read; what waits still goes out.
    Ending,
}

/// When a frame may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// In its turn.
    No,
    /// Not before this, in milliseconds since the core began; what comes behind it waits too.
    Until(u64),
}

/// What `cons` tells. Times in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    pub(super) since_unix: i64,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) last_op: OpCode,
    pub(super) last_xid: Xid,
    pub(super) last_zxid: i64,
    /// When the last reply was made, since the core began.
    pub(super) last_reply: u64,
    /// It asked by a four-letter word.
    pub(super) is_word: bool,
}

#[derive(Debug)]
struct Held {
    until: u64,
    frame: Writer,
}

pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    pub(super) stage: Stage,
    /// Who it is, by the rules of each scheme.
    pub(super) ids: Vec<Id>,
    ids_len: usize,
    /// A test holds it: nothing is read and nothing written.
    pub(super) paused: bool,
    /// Requests of it wait for its next turn.
    pub(super) is_behind: bool,
    /// In the line of those that the driver is to look at.
    pub(super) queued: bool,
    /// When it is closed if it has no session, or has not taken its last bytes.
    pub(super) due: Option<u64>,
    pub(super) tally: Tally,
    pub(super) input: BytesMut,
    /// What the leader was asked for, and what waits behind it.
    pub(super) pending: VecDeque<Pending>,
    ready: Writer,
    /// Bytes that the driver took and did not write yet.
    taken: usize,
    held: VecDeque<Held>,
    held_len: usize,
}

/// Without what is in its buffers, and who it is.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, stage, paused, .. } = self;
        f.debug_struct("Connection")
            .field("peer", peer)
            .field("stage", stage)
            .field("paused", paused)
            .field("unwritten", &self.unwritten())
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, since_unix: i64, due: u64) -> Self {
        Self {
            peer,
            stage: Stage::Greeting,
            ids: vec![ip_id(peer.ip())],
            ids_len: 0,
            paused: false,
            is_behind: false,
            queued: false,
            due: Some(due),
            tally: Tally {
                since_unix,
                received: 0,
                sent: 0,
                last_op: OpCode::NOTIFICATION,
                last_xid: Xid(0),
                last_zxid: 0,
                last_reply: 0,
                is_word: false,
            },
            input: BytesMut::new(),
            pending: VecDeque::new(),
            ready: Writer::with_spill(SPILL_LEN_BYTES),
            taken: 0,
            held: VecDeque::new(),
            held_len: 0,
        }
    }

    /// It is this from now on too; false if so many identities cost more than `most` bytes.
    pub(super) fn identify(&mut self, id: Id, most: usize) -> bool {
        if self.ids.contains(&id) {
            return true;
        }
        let len = self
            .ids_len
            .saturating_add(id.scheme.as_str().len() + id.id.as_str().len() + IDENTITY_COST_BYTES);
        let fits = len <= most || planted!("server_identities_unbounded");
        if fits {
            self.ids_len = len;
            self.ids.push(id);
        }
        fits
    }

    pub(super) fn session(&self) -> Option<i64> {
        match self.stage {
            Stage::Session(id) => Some(id),
            Stage::Greeting | Stage::Ending => None,
        }
    }

    /// All bytes that wait to leave, wherever they are.
    pub(super) fn unwritten(&self) -> usize {
        self.ready.len() + self.taken + self.held_len
    }

    /// Replies and events that a test holds back.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn reply(&mut self, header: ReplyHeader, body: &impl Encode, hold: Hold) {
        let body = (header.err == ErrorCode::OK).then_some(body);
        let before = if planted!("server_reply_first") {
            std::mem::replace(&mut self.ready, Writer::with_spill(SPILL_LEN_BYTES)).into_bytes()
        } else {
            Bytes::new()
        };
        self.frame(hold, |out| {
            let frame = out.frame();
            header.encode(out);
            if let Some(body) = body {
                body.encode(out);
            }
            out.close(frame);
        });
        self.ready.raw(&before);
    }

    /// A frame that is encoded already, length and all.
    pub(super) fn encoded(&mut self, frame: &Bytes, hold: Hold) {
        self.frame(hold, |out| out.raw(frame));
    }

    /// Bytes that are no frame.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.ready.raw(bytes);
    }

    pub(super) fn frame(&mut self, hold: Hold, write: impl FnOnce(&mut Writer)) {
        self.tally.sent += 1;
        let until = match hold {
            Hold::No if self.held.is_empty() => return write(&mut self.ready),
            Hold::No => 0,
            Hold::Until(until) => until,
        };
        let mut frame = Writer::with_spill(SPILL_LEN_BYTES);
        write(&mut frame);
        self.held_len += frame.len();
        self.held.push_back(Held { until, frame });
    }

    /// Lets go of what was held until `now`, and of all that waits behind it only.
    pub(super) fn release(&mut self, now: u64) {
        while self.held.front().is_some_and(|held| held.until <= now) {
            let Some(held) = self.held.pop_front() else { return };
            self.held_len -= held.frame.len();
            self.ready.append(held.frame);
        }
    }

    /// When the next frame is let go of.
    pub(super) fn next_release(&self) -> Option<u64> {
        self.held.front().map(|held| held.until)
    }

    /// What is held for ever never leaves, nor does what is behind it. Says when the last of the rest does.
    pub(super) fn forget_withheld(&mut self) -> u64 {
        let kept = self.held.iter().take_while(|held| held.until != u64::MAX).count();
        self.held.truncate(kept);
        self.held_len = self.held.iter().map(|held| held.frame.len()).sum();
        self.held.iter().map(|held| held.until).max().unwrap_or(0)
    }

    pub(super) fn written(&mut self, len: usize) {
        self.taken = self.taken.saturating_sub(len);
    }

    pub(super) fn has_output(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The bytes that may leave. Their memory goes with them: an idle connection keeps none.
    pub(super) fn take_output(&mut self) -> Writer {
        let output = std::mem::replace(&mut self.ready, Writer::with_spill(SPILL_LEN_BYTES));
        self.taken += output.len();
        output
    }

    /// Whether all has left.
    pub(super) fn is_drained(&self) -> bool {
        self.unwritten() == 0
    }
}
