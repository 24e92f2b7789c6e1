//! What can be wrong with bytes.

use thiserror::Error;

/// Why a record did not decode: which record and field, at which byte of the frame's payload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{record}.{field} at byte {offset}: {kind}")]
pub struct DecodeError {
    /// The record being read, by its jute name.
    pub record: &'static str,
    /// The field being read, by its jute name.
    pub field: &'static str,
    /// Offset of the field's first byte in the payload (the four length bytes do not count).
    pub offset: usize,
    /// What was wrong there.
    pub kind: DecodeErrorKind,
}

/// What was wrong with the bytes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The frame ends inside the field.
    #[error("needs {needed} bytes, {left} left")]
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes the frame still has.
        left: usize,
    },
    /// A length or count that no encoder writes: negative and not -1.
    #[error("length {0}")]
    BadLength(i32),
    /// A vector claims more elements than the bytes left could hold.
    #[error("count {count}, but only {left} bytes left")]
    BadCount {
        /// Elements claimed.
        count: i32,
        /// Bytes the frame still has.
        left: usize,
    },
    /// A ustring that is not UTF-8.
    #[error("not UTF-8")]
    BadUtf8,
    /// Bytes after the end of the record, where none are allowed.
    #[error("{0} bytes left over")]
    Trailing(usize),
    /// A type that cannot stand at this place, such as an unknown operation inside a multi.
    #[error("type {0} cannot stand here")]
    BadType(i32),
    /// A frame length that is negative or over the limit.
    #[error("frame of {length} bytes, limit {limit}")]
    BadFrame {
        /// The length as it stood on the wire.
        length: i32,
        /// The limit in force.
        limit: usize,
    },
}
