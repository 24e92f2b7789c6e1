//! A fixed read buffer that hands out whole frames: many per read, and no allocation after the first.

use crate::frames::MAX_BODY;

const PREFIX: usize = 4;

/// Bytes read from a socket, cut into frames.
#[derive(Debug)]
pub struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// A frame that claims more than [`MAX_BODY`] bytes, or a negative number of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Oversize;

impl Default for Inbox {
    fn default() -> Self {
        Self { bytes: vec![0; 2 * MAX_BODY].into(), start: 0, end: 0 }
    }
}

impl Inbox {
    /// Where the next read goes. Never empty once all whole frames have been taken.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.bytes.len() - self.end < PREFIX + MAX_BODY {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// The first `count` bytes of [`Inbox::space`] have been read into.
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// The body of the next whole frame.
    ///
    /// # Errors
    /// A length outside `0..=MAX_BODY`; the stream has no frames from here on.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, Oversize> {
        let unread = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((prefix, rest)) = unread.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let len = usize::try_from(i32::from_be_bytes(*prefix)).map_err(|_| Oversize)?;
        if len > MAX_BODY {
            return Err(Oversize);
        }
        let body = rest.get(..len);
        self.start += body.map_or(0, |_| PREFIX + len);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(inbox: &mut Inbox, bytes: &[u8]) {
        inbox.space()[..bytes.len()].copy_from_slice(bytes);
        inbox.filled(bytes.len());
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let stream: Vec<u8> = (0..2_000_u32)
            .flat_map(|n| {
                let len = usize::try_from(n % 300).unwrap();
                [u32::try_from(len).unwrap().to_be_bytes().to_vec(), vec![n.to_be_bytes()[3]; len]].concat()
            })
            .collect();
        for chunk_len in [1, 3, 7, 191, 192, 65_000] {
            let mut inbox = Inbox::default();
            let mut frames = 0_u32;
            for chunk in stream.chunks(chunk_len) {
                put(&mut inbox, chunk);
                while let Some(body) = inbox.next_frame().unwrap() {
                    assert_eq!(body.len(), usize::try_from(frames % 300).unwrap());
                    assert!(body.iter().all(|byte| *byte == frames.to_be_bytes()[3]));
                    frames += 1;
                }
            }
            assert_eq!(frames, 2_000, "in chunks of {chunk_len}");
        }
    }

    #[test]
    fn the_longest_frame_fits_behind_any_leftover() {
        let mut inbox = Inbox::default();
        let mut bytes = vec![0, 0, 0, 1, 9];
        bytes.extend(u32::try_from(MAX_BODY).unwrap().to_be_bytes());
        put(&mut inbox, &bytes);
        assert_eq!(inbox.next_frame(), Ok(Some(&[9][..])));
        assert_eq!(inbox.next_frame(), Ok(None));
        put(&mut inbox, &vec![1; MAX_BODY]);
        assert_eq!(inbox.next_frame().unwrap().map(<[u8]>::len), Some(MAX_BODY));
    }

    #[test]
    fn absurd_lengths_are_refused() {
        for prefix in [[255, 255, 255, 255], [0, 1, 0, 1], [127, 255, 255, 255]] {
            let mut inbox = Inbox::default();
            put(&mut inbox, &prefix);
            assert_eq!(inbox.next_frame(), Err(Oversize));
        }
    }
}
