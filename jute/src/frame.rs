//! Framing: four bytes of length, then that many bytes of payload. The length does not count itself.

use bytes::{Buf, Bytes, BytesMut};

use crate::{DecodeError, DecodeErrorKind};

/// The bytes of length in front of each payload.
pub const LENGTH_LEN_BYTES: usize = 4;

/// Splits the first whole payload off `buffer`, which keeps what comes behind it; `None` if it is not whole yet.
///
/// The payload is a slice of the buffer: nothing is copied, and nothing is allocated on the word of a length.
///
/// ```
/// let mut buffer = bytes::BytesMut::from(&b"\0\0\0\x02hi\0\0"[..]);
/// assert_eq!(menagerie_jute::split_frame(&mut buffer, 1024)?.as_deref(), Some(&b"hi"[..]));
/// assert_eq!(menagerie_jute::split_frame(&mut buffer, 1024)?, None);
/// # Ok::<(), menagerie_jute::DecodeError>(())
/// ```
///
/// # Errors
/// [`DecodeErrorKind::BadFrame`] for a length that is negative or over `limit_len_bytes`, as soon as its four bytes are
/// there. The buffer is left as it is; the connection is beyond repair.
pub fn split_frame(buffer: &mut BytesMut, limit_len_bytes: usize) -> Result<Option<Bytes>, DecodeError> {
    let Some(length) = buffer.first_chunk::<LENGTH_LEN_BYTES>() else { return Ok(None) };
    let length = checked_length(i32::from_be_bytes(*length), limit_len_bytes)?;
    if buffer.len() - LENGTH_LEN_BYTES < length {
        if cfg!(plant = "jute_reserve_claimed") {
            buffer.reserve(length);
        }
        return Ok(None);
    }
    buffer.advance(LENGTH_LEN_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// The length as a number of bytes, if a frame may have it.
pub(crate) fn checked_length(length: i32, limit_len_bytes: usize) -> Result<usize, DecodeError> {
    let slack = usize::from(cfg!(plant = "jute_frame_limit"));
    usize::try_from(length).ok().filter(|len| *len <= limit_len_bytes.saturating_add(slack)).ok_or(
        DecodeError {
            record: "frame",
            field: "length",
            offset: 0,
            kind: DecodeErrorKind::BadFrame { length, limit: limit_len_bytes },
        },
    )
}
