//! Building frames: small fields are copied into one buffer, large values travel beside it as segments of their own.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Text;

/// A record that can be written to the wire.
pub trait Encode {
    /// Appends the record.
    fn encode(&self, out: &mut Writer);
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Writer) {
        (**self).encode(out);
    }
}

/// A body of no bytes: what `ping`, `closeSession` and `whoAmI` carry.
impl Encode for () {
    fn encode(&self, _: &mut Writer) {}
}

/// Encoded bytes: one buffer, and the values of at least [`spill`](Writer::with_spill) bytes spliced into it uncopied.
///
/// It is also the [`Buf`] that a driver writes from, vectored where the transport can.
#[derive(Default)]
pub struct Writer {
    tail: BytesMut,
    /// Value, and how many bytes of `tail` (counted from `consumed`) stand before it.
    spliced: VecDeque<(u64, Bytes)>,
    /// Bytes of `tail` ever consumed: what positions in `spliced` are relative to.
    consumed: u64,
    spliced_len: usize,
    spill: usize,
}

/// Without the bytes: frames carry passwords.
impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("len", &self.len()).field("spliced_len", &self.spliced_len).finish()
    }
}

/// An open frame: where its length goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    tail_at: usize,
    len_at: usize,
    spliced_at: usize,
}

/// What [`Writer::segments`] yields: the bytes in wire order, piece by piece.
#[derive(Debug)]
pub struct Segments<'a> {
    writer: &'a Writer,
    next: usize,
    tail_from: usize,
    value_due: bool,
}

impl Writer {
    /// A writer that copies every value.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that splices values of at least `spill_len_bytes` instead of copying them.
    #[must_use]
    pub fn with_spill(spill_len_bytes: usize) -> Self {
        Self { spill: spill_len_bytes, ..Self::default() }
    }

    /// All bytes waiting in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tail.len() + self.spliced_len
    }

    /// Whether nothing waits in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory the buffer holds, waiting or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.tail.capacity()
    }

    /// A 4-byte big-endian integer.
    pub fn int(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    /// An 8-byte big-endian integer.
    pub fn long(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    /// One byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.tail.put_u8(value.into());
    }

    /// A buffer, copied; `None` is the null buffer.
    pub fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.int(-1),
            Some(bytes) => {
                self.length(bytes.len());
                self.tail.put_slice(bytes);
            }
        }
    }

    /// A buffer, spliced in uncopied when it is large enough.
    pub fn bytes(&mut self, value: Option<&Bytes>) {
        match value {
            Some(bytes) if self.spill > 0 && bytes.len() >= self.spill => {
                self.length(bytes.len());
                let position = self.consumed + self.tail.len() as u64;
                #[cfg(plant = "jute_splice_misplaced")]
                let position = position - 1;
                self.spliced.push_back((position, bytes.clone()));
                self.spliced_len += bytes.len();
            }
            other => self.buffer(other.map(|bytes| &**bytes)),
        }
    }

    /// A string; null is kept apart from empty.
    pub fn ustring<S: Text + ?Sized>(&mut self, value: &S) {
        match value.pieces() {
            None => self.int(-1),
            Some([head, tail]) => {
                self.length(head.len().saturating_add(tail.len()));
                self.tail.put_slice(head.as_bytes());
                self.tail.put_slice(tail.as_bytes());
            }
        }
    }

    /// A vector; `None` is the null vector.
    pub fn vector<T>(&mut self, value: Option<&[T]>, mut element: impl FnMut(&mut Self, &T)) {
        match value {
            None => self.int(-1),
            Some(elements) => {
                self.length(elements.len());
                for each in elements {
                    element(self, each);
                }
            }
        }
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    /// A length or count. What does not fit 31 bits is written as the largest that does; such a frame is far over every
    /// frame limit and never leaves the process.
    fn length(&mut self, len: usize) {
        self.int(i32::try_from(len).unwrap_or(i32::MAX));
    }

    /// Opens a frame: leaves room for its length.
    #[must_use]
    pub fn frame(&mut self) -> Frame {
        let open = Frame { tail_at: self.tail.len(), len_at: self.len(), spliced_at: self.spliced.len() };
        self.int(0);
        open
    }

    /// Closes a frame: writes its length, which it also returns (in bytes, without the four length bytes).
    pub fn close(&mut self, frame: Frame) -> usize {
        let len = self.len().saturating_sub(frame.len_at).saturating_sub(4);
        self.patch(frame.tail_at, i32::try_from(len).unwrap_or(i32::MAX));
        len
    }

    /// Takes back everything written since the frame was opened.
    pub fn abandon(&mut self, frame: Frame) {
        self.tail.truncate(frame.tail_at);
        for (_, value) in self.spliced.drain(frame.spliced_at.min(self.spliced.len())..) {
            self.spliced_len = self.spliced_len.saturating_sub(value.len());
        }
    }

    /// Overwrites the integer at `offset` bytes of the copied part.
    pub fn patch(&mut self, offset: usize, value: i32) {
        if let Some(slot) = self.tail.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<4>()) {
            *slot = value.to_be_bytes();
        }
    }

    /// Overwrites the last bytes of the copied part: a flag at the end of a record.
    pub fn patch_end(&mut self, bytes: &[u8]) {
        let start = self.tail.len().checked_sub(bytes.len());
        if let Some(slot) = start.and_then(|start| self.tail.get_mut(start..)) {
            slot.copy_from_slice(bytes);
        }
    }

    /// Appends all of `other`.
    pub fn append(&mut self, other: Self) {
        let shift = self.consumed + self.tail.len() as u64;
        for (position, value) in other.spliced {
            self.spliced_len += value.len();
            self.spliced.push_back((shift + (position - other.consumed), value));
        }
        if self.tail.is_empty() && self.spliced.is_empty() && self.tail.capacity() < other.tail.len() {
            self.tail = other.tail;
        } else {
            self.tail.put_slice(&other.tail);
        }
    }

    /// The bytes in wire order, piece by piece.
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        Segments { writer: self, next: 0, tail_from: 0, value_due: false }
    }

    /// All bytes in one piece, copied if values were spliced in.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if self.spliced.is_empty() {
            return self.tail.freeze();
        }
        let len = self.len();
        self.copy_to_bytes(len)
    }

    /// Empties the writer and gives back its memory beyond `keep_len_bytes`.
    pub fn shrink(&mut self, keep_len_bytes: usize) {
        if self.is_empty() && self.tail.capacity() > keep_len_bytes {
            self.tail = BytesMut::new();
        }
    }

    /// How many bytes of `tail` stand before the next spliced value.
    fn before_value(&self) -> usize {
        match self.spliced.front() {
            Some((position, _)) => {
                usize::try_from(position.saturating_sub(self.consumed)).unwrap_or(usize::MAX)
            }
            None => self.tail.len(),
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let writer = self.writer;
            if self.value_due {
                self.value_due = false;
                let (_, value) = writer.spliced.get(self.next)?;
                self.next += 1;
                return Some(value);
            }
            let until = match writer.spliced.get(self.next) {
                Some((position, _)) => usize::try_from(position.saturating_sub(writer.consumed)).ok()?,
                None => writer.tail.len(),
            };
            self.value_due = self.next < writer.spliced.len();
            let from = std::mem::replace(&mut self.tail_from, until);
            match writer.tail.get(from..until) {
                Some([]) | None if self.value_due => {}
                Some([]) | None => return None,
                Some(piece) => return Some(piece),
            }
        }
    }
}

impl Buf for Writer {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.segments().next().unwrap_or_default()
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 && !self.is_empty() {
            let plain = self.before_value().min(self.tail.len()).min(count);
            if plain > 0 {
                self.tail.advance(plain);
                self.consumed += plain as u64;
                count -= plain;
                continue;
            }
            let Some((_, value)) = self.spliced.front_mut() else { return };
            let part = value.len().min(count);
            value.advance(part);
            self.spliced_len -= part;
            count -= part;
            if value.is_empty() {
                self.spliced.pop_front();
            }
        }
        if self.is_empty() {
            self.consumed = 0;
        }
    }

    fn chunks_vectored<'a>(&'a self, slots: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slot, piece) in slots.iter_mut().zip(self.segments()) {
            *slot = IoSlice::new(piece);
            used += 1;
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Writer {
        let mut writer = Writer::with_spill(4);
        let frame = writer.frame();
        writer.int(7);
        writer.bytes(Some(&Bytes::from_static(b"large")));
        writer.bytes(Some(&Bytes::from_static(b"abc")));
        writer.bytes(Some(&Bytes::from_static(b"huge one")));
        assert_eq!(writer.close(frame), 4 + 4 + 5 + 4 + 3 + 4 + 8);
        writer
    }

    const WIRE: &[u8] = b"\0\0\0\x20\0\0\0\x07\0\0\0\x05large\0\0\0\x03abc\0\0\0\x08huge one";

    #[test]
    fn splices_stand_where_they_were_written() {
        let joined: Vec<u8> = sample().segments().flatten().copied().collect();
        assert_eq!(joined, WIRE);
        assert_eq!(&sample().into_bytes()[..], WIRE);
    }

    #[test]
    fn every_way_of_consuming_yields_the_same_bytes() {
        for step in 1..=WIRE.len() {
            let mut writer = sample();
            let mut seen = Vec::new();
            while writer.has_remaining() {
                let chunk = writer.chunk();
                let take = chunk.len().min(step);
                seen.extend_from_slice(&chunk[..take]);
                writer.advance(take);
            }
            assert_eq!(seen, WIRE, "in steps of {step}");
        }
    }

    #[test]
    fn append_keeps_the_order_behind_a_half_written_writer() {
        let mut writer = sample();
        writer.advance(10);
        writer.append(sample());
        let joined: Vec<u8> = writer.segments().flatten().copied().collect();
        assert_eq!(joined, [&WIRE[10..], WIRE].concat());
    }

    #[test]
    fn an_abandoned_frame_leaves_nothing() {
        let mut writer = sample();
        let frame = writer.frame();
        writer.bytes(Some(&Bytes::from_static(b"never sent")));
        writer.abandon(frame);
        assert_eq!(&writer.into_bytes()[..], WIRE);
    }
}
