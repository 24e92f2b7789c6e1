//! How many paths go into one multiRead.

use crate::registry::limits::{CHUNK_FIRST, CHUNK_GROW_BELOW_BYTES, CHUNK_MOST, CHUNK_SHRINK_ABOVE_BYTES};

/// The chunk size, learnt from the replies: doubled while they are small, halved when they are large or too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkSize(usize);

impl ChunkSize {
    pub(super) fn new() -> Self {
        Self(CHUNK_FIRST)
    }

    pub(super) fn paths(self) -> usize {
        self.0
    }

    /// A reply of `len_bytes` for `paths` paths. Only a full chunk says that a larger one would do.
    pub(super) fn on_reply(&mut self, paths: usize, len_bytes: usize) {
        if len_bytes > CHUNK_SHRINK_ABOVE_BYTES {
            self.0 = (paths / 2).clamp(1, self.0);
        } else if len_bytes < CHUNK_GROW_BELOW_BYTES && paths >= self.0 {
            self.0 = (self.0 * 2).min(CHUNK_MOST);
        }
    }

    /// No reply, for it would have been too large.
    pub(super) fn on_too_large(&mut self, paths: usize) {
        self.0 = (paths / 2).clamp(1, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_while_replies_are_small_and_halves_when_they_are_large() {
        let mut size = ChunkSize::new();
        assert_eq!(size.paths(), 16);
        size.on_reply(16, 1000);
        size.on_reply(32, CHUNK_GROW_BELOW_BYTES - 1);
        assert_eq!(size.paths(), 64);
        size.on_reply(63, 1000);
        size.on_reply(64, CHUNK_GROW_BELOW_BYTES);
        size.on_reply(64, CHUNK_SHRINK_ABOVE_BYTES);
        assert_eq!(size.paths(), 64);
        size.on_reply(64, CHUNK_SHRINK_ABOVE_BYTES + 1);
        assert_eq!(size.paths(), 32);
        size.on_too_large(32);
        size.on_too_large(1);
        assert_eq!(size.paths(), 1);
        size.on_reply(1, 100);
        assert_eq!(size.paths(), 2);
        for _ in 0..40 {
            size.on_reply(size.paths(), 0);
        }
        assert_eq!(size.paths(), CHUNK_MOST);
        // A chunk sent before others shrank the size does not make it grow.
        let mut size = ChunkSize(8);
        size.on_too_large(64);
        assert_eq!(size.paths(), 8);
    }
}
