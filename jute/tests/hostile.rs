//! Bytes that no honest peer sends: always an error that says where, never a panic.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use bytes::{BufMut, Bytes, BytesMut};
use common::{encoded, from_hex, golden};
use menagerie_jute::*;
use proptest::prelude::*;

fn error_of<T: Decode + std::fmt::Debug>(hex: &str) -> DecodeError {
    T::decode_exact(from_hex(&hex.replace(' ', ""))).unwrap_err()
}

fn assert_error(error: &DecodeError, place: (&str, &str, usize), kind: DecodeErrorKind) {
    assert_eq!((error.record, error.field, error.offset), place);
    assert_eq!(error.kind, kind);
}

#[test]
fn lengths_that_no_encoder_writes() {
    use DecodeErrorKind::{BadLength, Truncated};
    let path = |length: &str| error_of::<GetDataRequest>(&format!("{length} 2f61 00"));
    let place = ("GetDataRequest", "path", 0);
    assert_error(&path("fffffffe"), place, BadLength(-2));
    assert_error(&path("80000000"), place, BadLength(i32::MIN));
    assert_error(&path("7fffffff"), place, Truncated { needed: 0x7fff_ffff, left: 3 });
    assert_error(&path("00000004"), place, Truncated { needed: 4, left: 3 });
    let data = error_of::<SetDataRequest>("00000001 2f 80000001 00000000");
    assert_error(&data, ("SetDataRequest", "data", 5), BadLength(i32::MIN + 1));
}

#[test]
fn counts_that_no_frame_could_hold() {
    use DecodeErrorKind::{BadCount, BadLength};
    let children = error_of::<GetChildrenResponse>("7fffffff 00000000");
    assert_error(&children, ("GetChildrenResponse", "children", 0), BadCount { count: i32::MAX, left: 4 });
    let negative = error_of::<GetChildrenResponse>("fffffffe");
    assert_error(&negative, ("GetChildrenResponse", "children", 0), BadLength(-2));
    let acl = error_of::<SetAclRequest>("00000001 2f 00000002 0000001f 00000000 00000000 00000000");
    assert_error(&acl, ("SetACLRequest", "acl", 5), BadCount { count: 2, left: 16 });
    let watches = error_of::<SetWatches2>("0000000000000001 ffffffff 00000000 00ffffff 00000000");
    assert_error(&watches, ("SetWatches2", "childWatches", 16), BadCount { count: 0xff_ffff, left: 4 });
}

#[test]
fn an_error_inside_a_nested_record_names_that_record() {
    let error = error_of::<GetAclResponse>("00000001 0000001f 00000001 ff 00000000");
    assert_error(&error, ("Id", "scheme", 8), DecodeErrorKind::BadUtf8);
    let cut = error_of::<ExistsResponse>("0000000000000001 0000");
    assert_error(&cut, ("Stat", "mzxid", 8), DecodeErrorKind::Truncated { needed: 8, left: 2 });
    assert_eq!(cut.to_string(), "Stat.mzxid at byte 8: needs 8 bytes, 2 left");
}

#[test]
fn text_that_is_not_utf8() {
    for bytes in ["ff", "c0af", "eda080", "f8808080", "e4b8"] {
        let error = error_of::<SyncResponse>(&format!("{:08x} {bytes}", bytes.len() / 2));
        assert_error(&error, ("SyncResponse", "path", 0), DecodeErrorKind::BadUtf8);
    }
    let event = "ffffffff ffffffffffffffff 00000000 00000001 00000003 00000001 ff".replace(' ', "");
    let error = Reply::decode(from_hex(&event), OpCode::PING).unwrap_err();
    assert_error(&error, ("WatcherEvent", "path", 24), DecodeErrorKind::BadUtf8);
}

#[test]
fn unknown_operations_in_a_multi_are_named() {
    for (op, header) in [(6, "00000006"), (-1, "ffffffff"), (101, "00000065")] {
        let error = error_of::<MultiRequest>(&format!("{header} 00 ffffffff"));
        assert_error(&error, ("MultiHeader", "type", 0), DecodeErrorKind::BadType(op));
    }
    let result = error_of::<MultiResponse>("00000002 00 00000000 0000000c 00 00000000");
    assert_error(&result, ("MultiHeader", "type", 9), DecodeErrorKind::BadType(12));
    let endless = error_of::<MultiResponse>("00000002 00 00000000");
    assert_error(&endless, ("MultiHeader", "type", 9), DecodeErrorKind::Truncated { needed: 4, left: 0 });
}

#[test]
fn multi_results_need_not_have_the_type_of_their_operation() {
    let created = OpResult::Create(CreateResponse { path: Ustring::from("/a") });
    let with_stat = OpResult::Create2(Create2Response { path: Ustring::from("/a"), stat: Stat::default() });
    let response = MultiResponse::new([created, with_stat, OpResult::Delete]);
    let reply = Reply { header: ReplyHeader::default(), body: ReplyBody::Multi(response) };
    assert_eq!(Reply::decode(encoded(&reply), OpCode::MULTI).unwrap(), reply);
}

#[test]
fn leftovers_are_an_error_or_are_returned() {
    let payload = from_hex("00000007000000090000000000000001616263");
    let error = Request::decode(payload.clone()).unwrap_err();
    let place = ("SyncRequest", "end", 12);
    assert_error(&error, place, DecodeErrorKind::Trailing(7));
    let (request, left) = Request::decode_lenient(payload).unwrap();
    assert_eq!(request.body, RequestBody::Sync(SyncRequest { path: Ustring::from("") }));
    assert_eq!(left, from_hex("00000001616263"));
}

#[test]
fn a_broken_body_behind_an_error_fails_nothing() {
    let header = "00000007000000000000000a";
    for op in [OpCode::MULTI, OpCode::MULTI_READ, OpCode::SASL, OpCode::GET_DATA] {
        let payload = from_hex(&format!("{header}fffffffb0000"));
        let (reply, left) = Reply::decode_lenient(payload.clone(), op).unwrap();
        assert_eq!((reply.header.err, reply.body), (ErrorCode::MARSHALLING_ERROR, ReplyBody::Empty));
        assert_eq!(left, Bytes::from_static(&[0, 0]));
        assert_eq!(Reply::decode(payload, op).unwrap_err().kind, DecodeErrorKind::Trailing(2));
    }
}

#[test]
fn every_truncation_of_every_golden_frame_fails_inside_it() {
    let (mut failed, mut shorter) = (0, 0);
    for frame in golden().iter().filter(|frame| frame.note.is_none()) {
        for len in 0..frame.payload.len() {
            let payload = frame.payload.slice(..len);
            match Message::decode(payload.clone(), frame.expected) {
                Err(error) => {
                    assert!(error.offset <= len, "{} cut to {len}: {error}", frame.name);
                    assert!(!error.record.is_empty() && !error.field.is_empty());
                    failed += 1;
                }
                Ok(message) => {
                    assert!(may_end_early(&message), "{} cut to {len} decodes", frame.name);
                    assert_eq!(encoded(&message), payload);
                    shorter += 1;
                }
            }
        }
    }
    // What may end early: 53 handshakes in front of readOnly, 3 replies in front of the body behind an error, and the 10 bytes
    // of the bodies without a record.
    assert_eq!((failed, shorter), (28_795, 53 + 3 + 10));
}

/// Whether cutting some frame can leave this whole message.
fn may_end_early(message: &Message) -> bool {
    match message {
        Message::ConnectRequest(record) => record.read_only.is_none(),
        Message::ConnectResponse(record) => record.read_only.is_none(),
        Message::Request(request) => request.header.op == OpCode::DELETE_CONTAINER,
        Message::Reply(reply) => reply.header.err != ErrorCode::OK && reply.body == ReplyBody::Empty,
    }
}

#[test]
fn every_golden_frame_survives_any_four_hostile_bytes_anywhere() {
    const HOSTILE: [i32; 7] = [-1, -2, i32::MIN, i32::MAX, 0x00ff_ffff, 0, 1];
    for frame in golden() {
        for at in 0..frame.payload.len().saturating_sub(3) {
            for hostile in HOSTILE {
                let mut payload = BytesMut::from(&frame.payload[..]);
                payload[at..at + 4].copy_from_slice(&hostile.to_be_bytes());
                survive(payload.freeze(), frame.expected);
            }
        }
    }
}

/// Decodes, and holds what came out to its own encoding. Only odd booleans may encode to other bytes.
fn survive(payload: Bytes, expected: Expected) {
    match Message::decode_lenient(payload.clone(), expected) {
        Ok((message, left)) => {
            let again = encoded(&message);
            assert_eq!(again.len() + left.len(), payload.len());
            assert_eq!(Message::decode(again, expected).unwrap(), message);
        }
        Err(error) => assert!(error.offset <= payload.len(), "{error}"),
    }
}

fn expectations() -> impl Strategy<Value = Expected> {
    let op =
        prop_oneof![(-12..=22).prop_map(OpCode), (99..=108).prop_map(OpCode), any::<i32>().prop_map(OpCode)];
    prop_oneof![
        Just(Expected::ConnectRequest),
        Just(Expected::ConnectResponse),
        Just(Expected::Request),
        op.prop_map(Expected::Reply),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_decode_or_fail(
        header in prop_oneof![Just(vec![]), (1..23_u8).prop_map(|op| vec![0, 0, 0, 1, 0, 0, 0, op])],
        body in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 1 => Just(255), 2 => any::<u8>()], 0..120),
        expected in expectations(),
    ) {
        survive([header, body].concat().into(), expected);
    }
}

#[test]
fn frames_come_out_whole_and_in_order_however_they_arrive() {
    let mut wire = BytesMut::new();
    for payload in ["", "one", "three"] {
        wire.put_i32(i32::try_from(payload.len()).unwrap());
        wire.put_slice(payload.as_bytes());
    }
    for step in 1..wire.len() {
        let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
        for piece in wire.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(payload) = split_frame(&mut buffer, 5).unwrap() {
                seen.push(payload);
            }
        }
        assert_eq!(seen, ["", "one", "three"], "in steps of {step}");
        assert!(buffer.is_empty());
    }
}

#[test]
fn frame_lengths_are_refused_before_anything_else() {
    for (length, limit) in [(-1, 10), (i32::MIN, usize::MAX), (11, 10), (i32::MAX, 1 << 20)] {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        let error = split_frame(&mut buffer, limit).unwrap_err();
        assert_error(&error, ("frame", "length", 0), DecodeErrorKind::BadFrame { length, limit });
        assert_eq!(buffer.len(), 4);
    }
    let mut buffer = BytesMut::from(&[0, 0, 0, 10][..]);
    assert_eq!(split_frame(&mut buffer, 10).unwrap(), None);
}
