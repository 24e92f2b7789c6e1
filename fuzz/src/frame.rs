//! Bytes to frames to messages, in the fuzzer's own segments and limits, in both directions.

use bytes::{Bytes, BytesMut};
use menagerie_jute::{
    DecodeError, DecodeErrorKind, Expected, LENGTH_LEN_BYTES, Message, OpCode, Reply, ReplyBody, Request,
    RequestBody, split_frame,
};

use crate::wire::{assert_canonical, assert_places, encoded, spliced, walk};

/// What replies are decoded as, one after the other: every operation that has a reply, and some that have none.
const REPLIES: [i32; 33] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 100, 101, 102, 103, 104,
    105, 106, 107, -10, -11, 4711,
];

/// The first four bytes say how the rest is read: the direction and what comes first, the operation of the first reply,
/// the limit on frames, and how the bytes come in.
pub fn frame(data: &[u8]) {
    let Some((&[mode, op, limit, segment], bytes)) = data.split_first_chunk() else { return };
    let peer = Peer { replies: mode & 1 != 0, handshake: mode & 2 != 0, first_op: op.into() };
    // One mode spares the fuzzer the length, and so reaches the records sooner.
    if mode & 4 != 0 {
        return message(&Bytes::copy_from_slice(bytes), peer.expected(0));
    }
    let limit = usize::from(limit) << (mode >> 4 & 7);
    let (whole, left) = split(bytes, limit, bytes.len());
    assert_eq!(
        split(bytes, limit, usize::from(segment)),
        (whole.clone(), left),
        "segments make a difference"
    );
    for (index, payload) in whole.iter().enumerate() {
        assert!(payload.len() <= limit);
        message(payload, peer.expected(index));
    }
}

/// Who speaks.
struct Peer {
    replies: bool,
    handshake: bool,
    first_op: usize,
}

impl Peer {
    fn expected(&self, index: usize) -> Expected {
        match (self.replies, self.handshake && index == 0) {
            (false, true) => Expected::ConnectRequest,
            (true, true) => Expected::ConnectResponse,
            (false, false) => Expected::Request,
            (true, false) => Expected::Reply(OpCode(REPLIES[(self.first_op + index) % REPLIES.len()])),
        }
    }
}

/// What is left behind the last whole frame, and the error there if there is one.
type Left = (Bytes, Option<DecodeError>);

/// The frames in `bytes`, which come in segments of `segment` bytes.
fn split(bytes: &[u8], limit: usize, segment: usize) -> (Vec<Bytes>, Left) {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for (index, piece) in bytes.chunks(segment.max(1)).enumerate() {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            match split_frame(&mut buffer, limit) {
                Ok(Some(payload)) => {
                    assert_eq!(before, buffer.len() + LENGTH_LEN_BYTES + payload.len());
                    frames.push(payload);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(before, buffer.len(), "an error took bytes away");
                    assert!(matches!(error.kind, DecodeErrorKind::BadFrame { .. }));
                    assert_places(&error, before);
                    buffer.extend_from_slice(bytes.get((index + 1) * segment.max(1)..).unwrap_or_default());
                    return (frames, (buffer.freeze(), Some(error)));
                }
            }
        }
    }
    (frames, (buffer.freeze(), None))
}

/// One payload: strict and lenient decoding agree, and what decodes encodes to what it was.
fn message(payload: &Bytes, expected: Expected) {
    let strict = Message::decode(payload.clone(), expected);
    let (message, left) = match Message::decode_lenient(payload.clone(), expected) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert_places(&error, payload.len());
            assert_eq!(strict, Err(error), "strict decoding is not of the same mind");
            return;
        }
    };
    let read = payload.len() - left.len();
    assert_eq!(payload.slice(read..), left, "what is left is not the end of the payload");
    match strict {
        Ok(strict) => assert!(left.is_empty() && strict == message),
        Err(error) => {
            assert_places(&error, payload.len());
            assert_eq!(error.kind, DecodeErrorKind::Trailing(left.len()), "{error}");
        }
    }
    let again = encoded(&message);
    assert_canonical(&payload[..read], &again);
    assert_eq!(again, spliced(&message, 5, 3), "spliced values make a difference");
    assert_eq!(Message::decode(again, expected).as_ref(), Ok(&message), "decodes to something else");
    by_direction(payload, expected, &message, &left);
    describe(&message);
}

/// Who knows the direction decodes the same.
fn by_direction(payload: &Bytes, expected: Expected, message: &Message, left: &Bytes) {
    match message {
        Message::Request(request) => {
            assert_eq!(
                Request::decode_lenient(payload.clone()).as_ref(),
                Ok(&(request.clone(), left.clone()))
            );
        }
        Message::Reply(reply) => {
            let Expected::Reply(op) = expected else { panic!("a reply that nobody expected") };
            assert_eq!(
                Reply::decode_lenient(payload.clone(), op).as_ref(),
                Ok(&(reply.clone(), left.clone()))
            );
        }
        _ => {}
    }
}

/// What printers and loggers ask of a message.
fn describe(message: &Message) {
    assert!(walk(message) > 0);
    let (op, record) = match message {
        Message::Request(request) => (request.body.op(), request.body.record()),
        Message::Reply(reply) => (reply.body.op(), reply.body.record()),
        _ => return,
    };
    let bare = match message {
        Message::Request(request) => matches!(request.body, RequestBody::Empty | RequestBody::Raw(_)),
        Message::Reply(reply) => matches!(reply.body, ReplyBody::Empty | ReplyBody::Raw(_)),
        _ => false,
    };
    assert_eq!(bare, record.is_none());
    assert!(op.is_none_or(|op| op.name().is_some()), "a record for an operation without a name");
    if let Message::Request(request) = message {
        let made = Request::new(request.header.xid, request.body.clone());
        assert!(made.map_or(bare, |made| made == *request), "made from its body it is another");
    }
    assert!(!format!("{message:?}").is_empty());
}
