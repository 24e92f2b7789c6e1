//! Framing as `tokio_util` codec: payloads in, payloads or records out.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::frame::checked_length;
use crate::{DecodeError, Encode, Writer, split_frame};

/// Cuts a byte stream into payloads, and frames payloads and records.
#[derive(Debug, Clone, Copy)]
pub struct FrameCodec {
    limit_len_bytes: usize,
}

/// Why a framed stream failed. It cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The transport failed, or ended inside a frame.
    #[error("transport: {0}")]
    Io(#[from] io::Error),
    /// A length was negative or over the limit: one received, or that of a frame to be sent.
    #[error("{0}")]
    Frame(#[from] DecodeError),
}

impl FrameCodec {
    /// A codec that refuses payloads of more than `limit_len_bytes`, both ways.
    #[must_use]
    pub fn new(limit_len_bytes: usize) -> Self {
        Self { limit_len_bytes }
    }
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        Ok(split_frame(buffer, self.limit_len_bytes)?)
    }
}

/// Frames a payload.
impl Encoder<Bytes> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, payload: Bytes, buffer: &mut BytesMut) -> Result<(), CodecError> {
        let length = i32::try_from(payload.len()).unwrap_or(i32::MAX);
        checked_length(length, self.limit_len_bytes)?;
        buffer.reserve(payload.len().saturating_add(crate::LENGTH_LEN_BYTES));
        buffer.put_i32(length);
        buffer.put_slice(&payload);
        Ok(())
    }
}

/// Encodes and frames a record.
impl<T: Encode> Encoder<&T> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, record: &T, buffer: &mut BytesMut) -> Result<(), CodecError> {
        let mut payload = Writer::new();
        record.encode(&mut payload);
        Encoder::<Bytes>::encode(self, payload.into_bytes(), buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeErrorKind, SyncRequest};

    fn kind(error: &CodecError) -> Option<DecodeErrorKind> {
        match error {
            CodecError::Frame(error) => Some(error.kind),
            CodecError::Io(_) => None,
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let (mut codec, mut buffer) = (FrameCodec::new(8), BytesMut::new());
        codec.encode(Bytes::from_static(b"12345678"), &mut buffer).unwrap();
        codec.encode(&SyncRequest { path: "/abc" }, &mut buffer).unwrap();
        buffer.put_slice(&[0, 0]);
        assert_eq!(codec.decode(&mut buffer).unwrap().unwrap(), "12345678");
        assert_eq!(codec.decode(&mut buffer).unwrap().unwrap(), &b"\0\0\0\x04/abc"[..]);
        assert!(codec.decode(&mut buffer).unwrap().is_none());
        assert!(matches!(codec.decode_eof(&mut buffer), Err(CodecError::Io(_))), "it ended inside a frame");
    }

    #[test]
    fn both_ways_are_limited() {
        let (mut codec, mut buffer) = (FrameCodec::new(8), BytesMut::new());
        let error = codec.encode(Bytes::from_static(b"123456789"), &mut buffer).unwrap_err();
        assert_eq!(kind(&error), Some(DecodeErrorKind::BadFrame { length: 9, limit: 8 }));
        assert!(buffer.is_empty());
        buffer.put_i32(9);
        let error = codec.decode(&mut buffer).unwrap_err();
        assert_eq!(kind(&error), Some(DecodeErrorKind::BadFrame { length: 9, limit: 8 }));
    }
}
