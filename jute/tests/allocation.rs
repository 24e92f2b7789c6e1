//! Decoding allocates in proportion to the bytes that are there, not to the numbers they claim.
//!
//! A binary of its own with one thread, so that nothing else allocates while it measures.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use bytes::{BufMut, Bytes, BytesMut};
use common::golden;
use menagerie_jute::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes allocated at once for one byte of payload. The worst case: a multi result without a record is 9 bytes on the wire and
/// 128 in memory, and a vector that grows holds three times what is in it while it moves.
const PER_BYTE: usize = 48;
/// For what does not depend on the payload.
const BASE: usize = 1024;

/// Measures a kind of input; returns how many inputs it measured.
type Measure = fn() -> usize;

fn main() {
    let measures: [(&str, Measure); 5] = [
        ("golden frames with hostile numbers", hostile_golden),
        ("claimed counts", claimed_counts),
        ("the densest honest frames", dense),
        ("frame lengths", frame_lengths),
        ("borrowed requests, encoded", borrowed_requests),
    ];
    for (name, measure) in measures {
        println!("{name}: {} measured, none over the bound", measure());
    }
}

/// Runs `decode` and holds the memory it took against the bytes it was given.
fn within<T>(len: usize, what: &str, decode: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = decode();
    let taken = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(taken <= PER_BYTE * len + BASE, "{what}: {taken} bytes allocated for {len}");
    result
}

fn message(payload: Bytes, expected: Expected, what: &str) -> Result<Message, DecodeError> {
    within(payload.len(), what, || Message::decode(payload, expected))
}

fn hostile_golden() -> usize {
    let mut measured = 0;
    for frame in golden() {
        for at in 0..frame.payload.len().saturating_sub(3) {
            for hostile in [i32::MAX, 0x0010_0000, 0x0000_ffff] {
                let mut payload = BytesMut::from(&frame.payload[..]);
                payload[at..at + 4].copy_from_slice(&hostile.to_be_bytes());
                drop(message(payload.freeze(), frame.expected, &frame.name));
                measured += 1;
            }
        }
    }
    measured
}

/// Every vector there is, with counts from just too many to absurd.
fn claimed_counts() -> usize {
    let vectors: [(Expected, usize); 7] = [
        (Expected::Reply(OpCode::GET_CHILDREN), 0),
        (Expected::Reply(OpCode::GET_EPHEMERALS), 0),
        (Expected::Reply(OpCode::GET_ACL), 0),
        (Expected::Reply(OpCode::WHO_AM_I), 0),
        (Expected::Reply(OpCode::GET_CHILDREN2), 0),
        (Expected::Request, 8), // SetWatches: relativeZxid
        (Expected::Request, 0), // SetACL: an empty path, below
    ];
    let mut measured = 0;
    for (expected, skip) in vectors {
        for count in [2, 100, 1 << 16, 1 << 20, i32::MAX] {
            let mut payload = BytesMut::new();
            match expected {
                Expected::Request => {
                    payload.put_i32(1);
                    payload.put_i32(if skip == 8 { OpCode::SET_WATCHES.0 } else { OpCode::SET_ACL.0 });
                    payload.put_bytes(0, skip.max(4));
                }
                _ => payload.put_bytes(0, 16),
            }
            payload.put_i32(count);
            payload.put_bytes(0, 7);
            let error = message(payload.freeze(), expected, "claimed count").unwrap_err();
            assert!(matches!(error.kind, DecodeErrorKind::BadCount { .. }), "{error}");
            measured += 1;
        }
    }
    measured
}

/// As many of the smallest elements as fit.
fn dense() -> usize {
    const COUNT: i32 = 10_000;
    let header = [0; 16];
    let vector = |element: &[u8]| {
        let mut payload = BytesMut::from(&header[..]);
        payload.put_i32(COUNT);
        (0..COUNT).for_each(|_| payload.put_slice(element));
        payload.freeze()
    };
    let check = [0, 0, 0, 13, 0, 0, 0, 0, 0];
    let end = [255, 255, 255, 255, 1, 255, 255, 255, 255];
    let mut multi = BytesMut::from(&header[..]);
    (0..COUNT).for_each(|_| multi.put_slice(&check));
    multi.put_slice(&end);
    let frames = [
        (vector(&[255; 4]), OpCode::GET_CHILDREN),
        (vector(&[255; 8]), OpCode::WHO_AM_I),
        (multi.freeze(), OpCode::MULTI),
    ];
    let measured = frames.len();
    for (payload, op) in frames {
        message(payload, Expected::Reply(op), "dense").unwrap();
    }
    measured
}

fn frame_lengths() -> usize {
    let lengths = [-1, i32::MIN, i32::MAX, 1 << 30, 4 << 20];
    for length in lengths {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        // The limit is above the claim: even then nothing is set aside for bytes that are not there.
        let split = within(4, "frame length", || split_frame(&mut buffer, 1 << 31));
        assert!(!matches!(split, Ok(Some(_))));
    }
    lengths.len()
}

/// A request encodes from borrowed parts into a warm writer without allocating at all.
fn borrowed_requests() -> usize {
    const COUNT: usize = 100;
    let mut out = Writer::with_spill(1 << 14);
    let warm = out.frame();
    out.raw(&[0; 1 << 16]);
    out.abandon(warm);
    let data = Bytes::from_static(&[1; 100]);
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    for _ in 0..COUNT {
        let frame = out.frame();
        RequestHeader { xid: Xid(1), op: OpCode::CREATE }.encode(&mut out);
        let (data, acl) = (Some(data.clone()), Some(Acl::CREATOR_ALL.into()));
        CreateRequest { path: Joined("/chroot", "/path"), data, acl, flags: CreateMode::EPHEMERAL }
            .encode(&mut out);
        GetDataRequest { path: "/path", watch: true }.encode(&mut out);
        out.close(frame);
    }
    assert_eq!(ALLOCATOR.peak_usage(), before, "encoding allocated");
    COUNT
}
