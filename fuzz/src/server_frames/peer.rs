//! The other end of a connection: what it sent, frame by frame as a server must see it, and what it got for it.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use menagerie_jute::{
    AuthPacket, ConnectResponse, Decode, ErrorCode, GetSaslRequest, OpCode, Reader, Reply, ReplyBody,
    RequestHeader, Xid,
};
use menagerie_server::core::{ConnectionId, Like, WORDS};

/// A request that is not answered yet.
#[derive(Debug, Clone, Copy)]
struct Asked {
    header: RequestHeader,
    /// The connection ends with it, or with its answer.
    is_last: bool,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: ConnectionId,
    /// Bytes that were sent and are no whole frame yet.
    sent: BytesMut,
    /// Bytes that came and are no whole frame yet.
    received: BytesMut,
    /// Bytes that the server gave out and does not know to have left.
    pub(super) unwritten: usize,
    asked: VecDeque<Asked>,
    is_greeting_sent: bool,
    pub(super) response: Option<ConnectResponse>,
    /// A four-letter word was asked: what comes is text.
    is_word: bool,
    /// It sent what no connection survives.
    pub(super) is_bad: bool,
    /// It sent a request that cannot be told from a notification in the answers.
    is_wild: bool,
    pub(super) is_over: bool,
    last_zxid: i64,
    pub(super) events: u64,
    pub(super) replies: u64,
}

impl Peer {
    pub(super) fn new(id: ConnectionId) -> Self {
        Self {
            id,
            sent: BytesMut::new(),
            received: BytesMut::new(),
            unwritten: 0,
            asked: VecDeque::new(),
            is_greeting_sent: false,
            response: None,
            is_word: false,
            is_bad: false,
            is_wild: false,
            is_over: false,
            last_zxid: 0,
            events: 0,
            replies: 0,
        }
    }

    pub(super) fn session(&self) -> Option<i64> {
        self.response.as_ref().map(|response| response.session_id).filter(|id| *id != 0)
    }

    pub(super) fn has_unanswered(&self) -> bool {
        !self.asked.is_empty() && !self.is_wild
    }

    /// Whether nothing but the end can come.
    pub(super) fn must_end(&self) -> bool {
        let refused = self.response.as_ref().is_some_and(|response| response.session_id == 0);
        self.is_bad || self.is_word || refused || self.is_greeting_sent && self.response.is_none()
    }

    /// Bytes go to the server.
    pub(super) fn send(&mut self, bytes: &[u8], frame_len: usize) {
        if self.is_bad || self.is_word {
            return;
        }
        self.sent.extend_from_slice(bytes);
        while self.sent.len() >= 4 && !self.is_bad {
            let length: [u8; 4] = self.sent[..4].try_into().unwrap();
            if !self.is_greeting_sent && WORDS.iter().any(|word| word.as_bytes() == length) {
                self.is_word = true;
                return;
            }
            let length = i32::from_be_bytes(length);
            if length < 0 || length as usize > frame_len {
                self.is_bad = true;
            } else if self.sent.len() - 4 < length as usize {
                return;
            } else {
                self.sent.advance(4);
                let frame = self.sent.split_to(length as usize).freeze();
                self.send_frame(frame);
            }
        }
    }

    fn send_frame(&mut self, frame: Bytes) {
        if !std::mem::replace(&mut self.is_greeting_sent, true) {
            return;
        }
        let mut reader = Reader::new(frame);
        let Ok(header) = reader.record::<RequestHeader>() else {
            self.is_bad = true;
            return;
        };
        let is_misread = match header.op {
            OpCode::AUTH => reader.record::<AuthPacket>().is_err(),
            OpCode::SASL => reader.record::<GetSaslRequest>().is_err(),
            _ => false,
        };
        if is_misread {
            self.is_bad = true;
            return;
        }
        self.is_wild |= header.xid == Xid::NOTIFICATION;
        self.asked.push_back(Asked { header, is_last: header.op == OpCode::CLOSE_SESSION });
    }

    /// Bytes come from the server.
    pub(super) fn receive(&mut self, bytes: &[u8], like: Like, zxid: i64) {
        if self.is_word {
            assert!(self.response.is_none(), "a word in a session");
            return;
        }
        self.received.extend_from_slice(bytes);
        while self.received.len() >= 4 {
            let length = self.received.get_i32() as usize;
            assert!(self.received.len() >= length, "a frame comes in pieces");
            let frame = self.received.split_to(length).freeze();
            if self.response.is_none() {
                assert!(self.is_greeting_sent, "an answer to nothing");
                self.response = Some(ConnectResponse::decode_exact(frame).unwrap());
            } else if !self.is_wild {
                self.receive_frame(frame, like, zxid);
            }
        }
        assert!(self.received.is_empty());
    }

    fn receive_frame(&mut self, frame: Bytes, like: Like, zxid: i64) {
        let op = self.asked.front().map_or(OpCode::PING, |asked| asked.header.op);
        let reply = match Reply::decode(frame.clone(), op) {
            Ok(reply) => reply,
            // Keeper's failed reads are typed by their operation and have no body.
            Err(_) if like == Like::Keeper && op == OpCode::MULTI_READ => {
                Reply { header: Reader::new(frame).record().unwrap(), body: ReplyBody::Empty }
            }
            Err(error) => panic!("{error} in the answer to {op}"),
        };
        let header = reply.header;
        if header.zxid > 0 {
            assert!(header.zxid >= self.last_zxid, "{header:?} behind {:#x}", self.last_zxid);
            assert!(header.zxid <= zxid, "{header:?}, but the server is at {zxid:#x}");
            self.last_zxid = header.zxid;
        }
        if let ReplyBody::Notification(event) = reply.body {
            assert!(!event.path.is_null(), "{event:?}");
            self.events += 1;
            return;
        }
        let asked = self.asked.pop_front().expect("an answer to nothing");
        assert_eq!(header.xid, asked.header.xid, "answers out of order");
        self.replies += 1;
        self.is_bad |= asked.is_last && header.err == ErrorCode::OK;
        self.is_bad |= op == OpCode::AUTH && header.err == ErrorCode::AUTH_FAILED;
        self.is_bad |= header.err == ErrorCode::UNIMPLEMENTED && header.zxid == -1;
    }
}
