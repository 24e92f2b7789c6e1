//! The other end of a connection: what it has read, what it owes answers to, and what no client may write to it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use menagerie::session::ConnId;
use menagerie_jute::{ConnectRequest, Decode, OpCode, Request, Xid};

use super::ledger::Ledger;

/// One connection as the server sees it.
pub(super) struct Peer {
    pub(super) conn: ConnId,
    /// Connections of one run, counted.
    pub(super) number: u64,
    /// Whether a handshake answer, or something in its place, went out.
    pub(super) answered: bool,
    /// Bytes that the transport took from the session, and bytes of them that arrived.
    taken_len: u64,
    arrived_len: u64,
    /// Frames that have not arrived whole.
    under_way: VecDeque<Asked>,
    /// Frames that arrived and have no answer yet.
    pub(super) asked: VecDeque<Asked>,
    last_xid: i32,
    /// Requests of the session's own, all in all.
    own_len: usize,
    /// Bytes sent to the session that it has not taken.
    pub(super) input: BytesMut,
}

/// One frame of the session's.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) xid: Xid,
    /// The token in it, if a caller asked.
    pub(super) token: Option<u32>,
    start: u64,
    end: u64,
}

impl Asked {
    /// A request of the session's own that takes a turn in the queue.
    fn is_own(&self) -> bool {
        self.token.is_none() && self.xid.is_ordinary()
    }
}

impl Peer {
    pub(super) fn new(conn: ConnId, number: u64) -> Self {
        Self {
            conn,
            number,
            answered: false,
            taken_len: 0,
            arrived_len: 0,
            under_way: VecDeque::new(),
            asked: VecDeque::new(),
            last_xid: 0,
            own_len: 0,
            input: BytesMut::new(),
        }
    }

    /// The transport takes whole frames.
    pub(super) fn take(&mut self, bytes: &Bytes, ledger: &mut Ledger) {
        let mut rest = bytes.clone();
        while let Some(length) = rest.first_chunk::<4>().map(|length| i32::from_be_bytes(*length)) {
            let len = usize::try_from(length).expect("a frame of negative length");
            assert!(rest.len() >= 4 + len, "a frame without its end");
            let frame = rest.split_to(4 + len);
            let start = self.taken_len;
            self.taken_len += frame.len() as u64;
            let asked = self.read(&frame.slice(4..), start, ledger);
            self.under_way.push_back(asked);
        }
        assert!(rest.is_empty(), "less than a length");
    }

    fn read(&mut self, payload: &Bytes, start: u64, ledger: &mut Ledger) -> Asked {
        let end = self.taken_len;
        if start == 0 {
            let request =
                ConnectRequest::decode_exact(payload.clone()).expect("a ConnectRequest comes first");
            assert!(request.protocol_version == 0 && request.read_only.is_some());
            return Asked { xid: Xid(0), token: None, start, end };
        }
        assert!(self.answered || ledger.wild, "something is written before the handshake is answered");
        let int = |at: usize| i32::from_be_bytes(*payload[at..].first_chunk().unwrap());
        let (xid, op) = (Xid(int(0)), OpCode(int(4)));
        let token = token_in(payload);
        match op {
            OpCode::PING => assert_eq!(xid, Xid::PING),
            OpCode::AUTH => assert_eq!(xid, Xid::AUTH),
            _ => {
                assert!(xid.is_ordinary() && xid.0 > self.last_xid, "{xid:?} behind {}", self.last_xid);
                self.last_xid = xid.0;
            }
        }
        if token.is_none() || op == OpCode::AUTH {
            Request::decode(payload.clone()).expect("the session's own requests decode");
        }
        if let Some(entry) = token.and_then(|token| ledger.token(token)) {
            assert!(entry.frame.is_none() || op == OpCode::AUTH, "written twice");
            assert_eq!(entry.op, op);
            entry.frame = Some((self.number, start));
        }
        let asked = Asked { xid, token, start, end };
        self.own_len += usize::from(asked.is_own());
        asked
    }

    /// So many bytes could arrive.
    pub(super) fn backlog(&self) -> usize {
        usize::try_from(self.taken_len - self.arrived_len).unwrap()
    }

    /// That many bytes arrive.
    pub(super) fn arrive(&mut self, len: usize, ledger: &mut Ledger) {
        self.arrived_len += len as u64;
        for asked in &self.under_way {
            if asked.start >= self.arrived_len {
                break;
            }
            if let Some(entry) = asked.token.and_then(|token| ledger.token(token)) {
                entry.seen = true;
            }
        }
        while self.under_way.front().is_some_and(|asked| asked.end <= self.arrived_len) {
            let asked = self.under_way.pop_front().unwrap();
            if asked.start > 0 {
                self.asked.push_back(asked);
            }
        }
    }

    /// Requests of the session's own that wait for an answer, or for arrival. Behind bytes that are no answer, real ones
    /// are not read as such: then any may still be waiting.
    pub(super) fn own(&self, wild: bool) -> usize {
        let waiting = self.under_way.iter().chain(&self.asked).filter(|asked| asked.is_own()).count();
        if wild { self.own_len } else { waiting }
    }
}

/// The token that a caller's request carries at the end of its path, or a credential at its end: `#` and eight digits.
fn token_in(payload: &[u8]) -> Option<u32> {
    let at = payload.iter().rposition(|&byte| byte == b'#')?;
    let digits = payload.get(at + 1..at + 9)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
