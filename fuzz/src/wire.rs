//! What the targets share: encoding, and what is held against every record that decodes.

use bytes::{Buf, Bytes};
use menagerie_jute::{DecodeError, Elements, Encode, Fields, Value, Writer};

/// The record's bytes without a frame around them.
pub(crate) fn encoded(record: &dyn Encode) -> Bytes {
    let mut out = Writer::new();
    record.encode(&mut out);
    out.into_bytes()
}

/// The record as a whole frame, length included.
pub(crate) fn framed(parts: &[&dyn Encode]) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    parts.iter().for_each(|part| part.encode(&mut out));
    out.close(frame);
    out.into_bytes()
}

/// The record's bytes from a writer that splices values of `spill` bytes and more, read in steps of `step` bytes.
pub(crate) fn spliced(record: &dyn Encode, spill: usize, step: usize) -> Bytes {
    let mut out = Writer::with_spill(spill);
    let frame = out.frame();
    record.encode(&mut out);
    let len = out.close(frame);
    assert_eq!(out.len(), len + 4, "the frame's length is not that of its bytes");
    let pieces: Vec<u8> = out.segments().flatten().copied().collect();
    let mut read = Vec::with_capacity(out.len());
    while out.has_remaining() {
        let chunk = out.chunk();
        let taken = chunk.len().min(step.max(1));
        read.extend_from_slice(&chunk[..taken]);
        out.advance(taken);
    }
    assert_eq!(pieces, read, "segments and buffer differ");
    assert_eq!(read[..4], u32::try_from(len).unwrap().to_be_bytes(), "the length in front of the frame");
    Bytes::from(read).slice(4..)
}

/// What was decoded from `original` encodes to `again`: the same bytes, but for a bool that was neither 0 nor 1.
pub(crate) fn assert_canonical(original: &[u8], again: &[u8]) {
    assert_eq!(original.len(), again.len(), "encodes to another length");
    for (at, (&before, &after)) in original.iter().zip(again).enumerate() {
        assert!(before == after || (before > 1 && after == 1), "byte {at} was {before} and is {after}");
    }
}

/// An error says where: in which record, and at which byte of the frame.
pub(crate) fn assert_places(error: &DecodeError, frame_len: usize) {
    assert!(!error.record.is_empty() && !error.field.is_empty(), "{error:?}");
    assert!(error.offset <= frame_len, "{error} lies behind {frame_len} bytes");
    assert!(error.to_string().starts_with(error.record));
}

/// Walks everything that a printer would print. How many values there are.
pub(crate) fn walk(record: &dyn Fields) -> usize {
    let mut seen = 0;
    record.fields(&mut |name, value| {
        assert!(!name.is_empty());
        seen += walk_value(value);
    });
    seen
}

fn walk_value(value: Value<'_>) -> usize {
    match value {
        Value::Record(record) => walk(record),
        Value::List(list) => walk_list(list),
        _ => 1,
    }
}

fn walk_list(list: &dyn Elements) -> usize {
    let mut seen = 1;
    list.elements(&mut |value| seen += walk_value(value));
    seen
}
