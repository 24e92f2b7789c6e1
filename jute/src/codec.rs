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
