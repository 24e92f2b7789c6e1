//! The one cursor that reads bytes. It never reads past the frame and never allocates more than the frame holds.

use std::fmt;

use bytes::Bytes;

use crate::{DecodeError, DecodeErrorKind, Ustring};

/// A checked cursor over one frame's payload.
///
/// Buffers and strings come out as slices of the frame: no copy, but they keep the frame alive.
#[derive(Clone)]
pub struct Reader {
    frame: Bytes,
    offset: usize,
    record: &'static str,
}

/// A record that can be read from the wire.
pub trait Decode: Sized {
    /// The record's jute name, for errors.
    const RECORD: &'static str;

    /// Reads the record and leaves the cursor behind it.
    ///
    /// # Errors
    /// Names the record, field and offset that did not decode.
    fn decode(reader: &mut Reader) -> Result<Self, DecodeError>;

    /// Reads the record and refuses leftover bytes.
    ///
    /// # Errors
    /// As [`decode`](Decode::decode), and [`DecodeErrorKind::Trailing`].
    fn decode_exact(payload: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let record = reader.record()?;
        reader.finish(Self::RECORD)?;
        Ok(record)
    }
}

/// Without the bytes: frames carry passwords.
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("record", &self.record)
            .field("offset", &self.offset)
            .field("remaining", &self.remaining())
            .finish()
    }
}

impl Reader {
    /// A cursor at the start of `frame`, a payload without its four length bytes.
    #[must_use]
    pub fn new(frame: Bytes) -> Self {
        Self { frame, offset: 0, record: "frame" }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.frame.len().saturating_sub(self.offset)
    }

    /// The bytes not read yet, as a slice of the frame.
    #[must_use]
    pub fn rest(&self) -> Bytes {
        self.frame.slice(self.offset.min(self.frame.len())..)
    }

    /// All bytes not read yet, as a slice of the frame; nothing is left behind.
    #[must_use]
    pub fn take_rest(&mut self) -> Bytes {
        let rest = self.rest();
        self.offset = self.frame.len();
        rest
    }

    /// Reads a nested or top-level record.
    ///
    /// # Errors
    /// Those of the record.
    pub fn record<R: Decode>(&mut self) -> Result<R, DecodeError> {
        let outer = std::mem::replace(&mut self.record, R::RECORD);
        let result = R::decode(self);
        self.record = outer;
        result
    }

    /// Refuses leftover bytes.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Trailing`] if any are left.
    pub fn finish(&self, record: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            1 if cfg!(plant = "jute_swallow_trailing") => Ok(()),
            left => Err(DecodeError {
                record,
                field: "end",
                offset: self.offset,
                kind: DecodeErrorKind::Trailing(left),
            }),
        }
    }

    /// An error about `field` at the cursor.
    #[must_use]
    pub fn error(&self, field: &'static str, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { record: self.record, field, offset: self.offset, kind }
    }

    /// A 4-byte big-endian integer.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    pub fn int(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// An 8-byte big-endian integer.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    pub fn long(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// One byte; anything but zero is true, as in the reference decoder.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        self.array(field).map(|[byte]| byte != 0)
    }

    /// A length and that many bytes; `None` for the null buffer.
    ///
    /// # Errors
    /// [`DecodeErrorKind::BadLength`] or [`DecodeErrorKind::Truncated`].
    pub fn buffer(&mut self, field: &'static str) -> Result<Option<Bytes>, DecodeError> {
        let start = self.offset;
        let length = self.int(field)?;
        match usize::try_from(length) {
            Ok(length) => {
                self.take(field, length).map(Some).map_err(|error| DecodeError { offset: start, ..error })
            }
            Err(_) if length < -1 && cfg!(plant = "jute_trust_length") => Ok(None),
            Err(_) if length == -1 && cfg!(plant = "jute_null_is_empty") => Ok(Some(Bytes::new())),
            Err(_) if length == -1 => Ok(None),
            Err(_) => {
                self.offset = start;
                Err(self.error(field, DecodeErrorKind::BadLength(length)))
            }
        }
    }

    /// A length and that many bytes of UTF-8; null is kept apart from empty.
    ///
    /// # Errors
    /// As [`buffer`](Self::buffer), and [`DecodeErrorKind::BadUtf8`].
    pub fn ustring(&mut self, field: &'static str) -> Result<Ustring, DecodeError> {
        let offset = self.offset;
        let Some(bytes) = self.buffer(field)? else { return Ok(Ustring::NULL) };
        #[cfg(plant = "jute_trust_utf8")]
        let bytes = Bytes::from(String::from_utf8_lossy(&bytes).into_owned());
        Ustring::from_utf8(bytes).ok_or(DecodeError {
            record: self.record,
            field,
            offset,
            kind: DecodeErrorKind::BadUtf8,
        })
    }

    /// A count and that many elements; `None` for the null vector.
    ///
    /// `min_len_bytes` is the least an element takes on the wire. It bounds the count before anything is allocated.
    ///
    /// # Errors
    /// [`DecodeErrorKind::BadLength`], [`DecodeErrorKind::BadCount`] and those of the elements.
    pub fn vector<T>(
        &mut self,
        field: &'static str,
        min_len_bytes: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        #[cfg(plant = "jute_preallocate")]
        let claimed: Vec<T> = Vec::with_capacity(self.clone().int(field)?.clamp(0, 1 << 22) as usize);
        #[cfg(plant = "jute_preallocate")]
        std::hint::black_box(&claimed);
        let Some(count) = self.count(field, min_len_bytes)? else { return Ok(None) };
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// The count in front of a vector's elements, checked against the bytes left; `None` for the null vector.
    ///
    /// # Errors
    /// [`DecodeErrorKind::BadLength`] or [`DecodeErrorKind::BadCount`].
    pub fn count(&mut self, field: &'static str, min_len_bytes: usize) -> Result<Option<usize>, DecodeError> {
        let start = self.offset;
        let count = self.int(field)?;
        let left = self.remaining();
        let kind = match usize::try_from(count) {
            Ok(n) if n.saturating_mul(min_len_bytes.max(1)) <= left => return Ok(Some(n)),
            Ok(_) => DecodeErrorKind::BadCount { count, left },
            Err(_) if count == -1 => return Ok(None),
            Err(_) => DecodeErrorKind::BadLength(count),
        };
        self.offset = start;
        Err(self.error(field, kind))
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let found = self.frame.get(self.offset..).and_then(|rest| rest.first_chunk::<N>());
        let Some(bytes) = found else {
            return Err(self.error(field, DecodeErrorKind::Truncated { needed: N, left: self.remaining() }));
        };
        self.offset += N;
        Ok(*bytes)
    }

    fn take(&mut self, field: &'static str, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.remaining() {
            let kind = DecodeErrorKind::Truncated { needed: length, left: self.remaining() };
            return Err(self.error(field, kind));
        }
        let start = self.offset;
        self.offset += length;
        Ok(self.frame.slice(start..self.offset))
    }
}
