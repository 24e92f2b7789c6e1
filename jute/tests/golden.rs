//! Frames of real servers and clients decode to what they are known to say, and encode back to the same bytes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Golden, encoded, golden, record_json};
use menagerie_jute::{DecodeErrorKind, Message};

#[test]
fn every_frame_decodes_to_its_fields_and_back_to_its_bytes() {
    let mut checked = 0;
    for frame in golden().iter().filter(|frame| frame.note.is_none()) {
        let message = decode(frame);
        // As text, so that the order of fields counts too.
        assert_eq!(record_json(&message).to_string(), frame.fields.to_string(), "{}", frame.name);
        assert_eq!(encoded(&message), frame.payload, "{} does not encode to the same bytes", frame.name);
        checked += 1;
    }
    assert_eq!(checked, 724);
}

#[test]
fn exactly_four_frames_are_odd() {
    let frames = golden();
    assert_eq!(frames.len(), 728);
    let odd: Vec<_> =
        frames.iter().filter_map(|frame| Some((frame.name.as_str(), frame.note.as_deref()?))).collect();
    assert_eq!(
        odd,
        [
            ("raw/multi_bad_optype/multi", "malformed"),
            ("raw/getData_truncated/getData", "malformed"),
            ("raw/create_truncated/create", "malformed"),
            ("raw/bool_nonzero_true/exists", "non-canonical"),
        ]
    );
}

#[test]
fn malformed_frames_fail_where_they_are_malformed() {
    let error = |name: &str| {
        let frame = golden().into_iter().find(|frame| frame.name == name).unwrap();
        Message::decode(frame.payload, frame.expected).unwrap_err()
    };
    let multi = error("raw/multi_bad_optype/multi");
    assert_eq!((multi.record, multi.field, multi.offset), ("MultiHeader", "type", 8));
    assert_eq!(multi.kind, DecodeErrorKind::BadType(77));
    let path = error("raw/getData_truncated/getData");
    assert_eq!((path.record, path.field, path.offset), ("GetDataRequest", "path", 8));
    assert_eq!(path.kind, DecodeErrorKind::Truncated { needed: 50, left: 2 });
    let create = error("raw/create_truncated/create");
    assert_eq!((create.record, create.field, create.offset), ("CreateRequest", "data", 14));
    assert_eq!(create.kind, DecodeErrorKind::Truncated { needed: 4, left: 0 });
}

#[test]
fn a_non_canonical_frame_decodes_but_encodes_to_other_bytes() {
    let frames = golden();
    let frame = frames.iter().find(|frame| frame.note.as_deref() == Some("non-canonical")).unwrap();
    let message = decode(frame);
    assert_eq!(record_json(&message), frame.fields);
    let (head, bool) = frame.payload.split_at(frame.payload.len() - 1);
    assert_eq!(bool, [2]);
    assert_eq!(encoded(&message), [head, &[1]].concat());
}

#[test]
fn every_frame_leaves_nothing_and_returns_what_stands_behind_it() {
    for frame in golden().iter().filter(|frame| frame.note.is_none()) {
        let (_, left) = Message::decode_lenient(frame.payload.clone(), frame.expected).unwrap();
        assert!(left.is_empty(), "{} left {left:?}", frame.name);
        if format!("{:?}", decode(frame)).contains("Raw(") {
            continue; // A body without a record takes all there is.
        }
        let longer = [&frame.payload[..], b"\xee"].concat();
        match Message::decode_lenient(longer.clone().into(), frame.expected) {
            Ok((_, left)) if left == b"\xee"[..] => {}
            // The byte after a frame without readOnly is readOnly; the one after an unknown operation is its body.
            Ok((message, left)) => {
                assert!(left.is_empty(), "{} left {left:?}", frame.name);
                assert_ne!(message, decode(frame), "{} swallowed a byte", frame.name);
                continue;
            }
            Err(error) => panic!("{}: {error}", frame.name),
        }
        let error = Message::decode(longer.into(), frame.expected).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Trailing(1), "{}", frame.name);
        assert_eq!(error.offset, frame.payload.len(), "{}", frame.name);
    }
}

fn decode(frame: &Golden) -> Message {
    Message::decode(frame.payload.clone(), frame.expected)
        .unwrap_or_else(|error| panic!("{} does not decode: {error}", frame.name))
}
