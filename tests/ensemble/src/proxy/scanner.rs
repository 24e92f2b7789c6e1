//! Cuts a byte stream into ZooKeeper frames without keeping them: of each frame only the first twelve bytes are held
//! back until it is known whether the frame may pass.

/// Length field, xid, and for a request the opcode.
const HEAD: usize = 12;
/// A longer frame is none: a four-letter word, or another protocol.
const LONGEST: i32 = 64 << 20;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// ConnectRequest or ConnectResponse.
    Handshake,
    /// Any later frame. `kind` is a request's opcode, and part of the zxid in a reply. Missing fields of a frame
    /// too short for them are zero.
    Packet { xid: i32, kind: i32 },
    /// The stream is no ZooKeeper stream; this and everything after it passes unread.
    Opaque,
}

/// What is to be done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Drop,
    /// It passes with the byte at this place of its head, the length field included, mixed with this one.
    Corrupt(usize, u8),
}

/// The state between two chunks of one direction of one connection.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    held: Vec<u8>,
    /// Bytes of the current frame behind its head that are still to come.
    left: usize,
    dropping: bool,
    opaque: bool,
    shaken: bool,
}

impl Scanner {
    /// Takes `chunk`, asks `judge` about every frame whose head is complete (with its length in bytes, without the
    /// length field), and appends what may pass to `out`.
    pub(super) fn scan(
        &mut self,
        chunk: &[u8],
        out: &mut Vec<u8>,
        mut judge: impl FnMut(Head, usize) -> Verdict,
    ) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.opaque {
                out.extend_from_slice(rest);
                return;
            }
            if self.left > 0 {
                let (body, behind) = rest.split_at(self.left.min(rest.len()));
                self.left -= body.len();
                rest = behind;
                if !self.dropping {
                    out.extend_from_slice(body);
                }
                continue;
            }
            let (byte, behind) = rest.split_at(1);
            self.held.extend_from_slice(byte);
            rest = behind;
            self.judge_head(out, &mut judge);
        }
    }

    fn judge_head(&mut self, out: &mut Vec<u8>, judge: &mut impl FnMut(Head, usize) -> Verdict) {
        let Some(claimed) = int(&self.held, 0) else { return };
        let Some(length) = usize::try_from(claimed).ok().filter(|_| claimed <= LONGEST) else {
            self.opaque = true;
            judge(Head::Opaque, 0);
            out.append(&mut self.held);
            return;
        };
        let wanted = HEAD.min(4 + length);
        if self.held.len() < wanted {
            return;
        }
        let head = if self.shaken {
            Head::Packet { xid: int(&self.held, 4).unwrap_or(0), kind: int(&self.held, 8).unwrap_or(0) }
        } else {
            Head::Handshake
        };
        self.shaken = true;
        self.left = 4 + length - wanted;
        let verdict = judge(head, length);
        self.dropping = verdict == Verdict::Drop;
        if let Verdict::Corrupt(at, xor) = verdict {
            self.held.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= xor);
        }
        if self.dropping {
            self.held.clear();
        } else {
            out.append(&mut self.held);
        }
    }
}

fn int(bytes: &[u8], at: usize) -> Option<i32> {
    let field = bytes.get(at..at + 4)?;
    Some(i32::from_be_bytes(field.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        frame
    }

    fn packet(xid: i32, kind: i32, tail: &[u8]) -> Vec<u8> {
        frame(&[&xid.to_be_bytes(), &kind.to_be_bytes(), tail].concat())
    }

    /// Everything that passes and every head, when the stream arrives in chunks of `size` bytes.
    fn scan(stream: &[u8], size: usize, drop_xid: i32) -> (Vec<u8>, Vec<(Head, usize)>) {
        let (mut scanner, mut out, mut heads) = (Scanner::default(), Vec::new(), Vec::new());
        for chunk in stream.chunks(size) {
            scanner.scan(chunk, &mut out, |head, length| {
                heads.push((head, length));
                match head {
                    Head::Packet { xid, .. } if xid == drop_xid => Verdict::Drop,
                    _ => Verdict::Pass,
                }
            });
        }
        (out, heads)
    }

    #[test]
    fn frames_are_found_and_dropped_whole_at_every_chunk_size() {
        let shake = frame(&[0; 45]);
        let (first, second) = (packet(1, 4, b"abc"), packet(-1, -1, &[7; 40]));
        let (third, short) = (packet(2, 101, b""), frame(b""));
        let stream = [&shake[..], &first, &second, &short, &third].concat();
        let passing = [&shake[..], &first, &short, &third].concat();
        for size in 1..=stream.len() {
            let (out, heads) = scan(&stream, size, -1);
            assert_eq!(out, passing, "chunks of {size}");
            let expected = [
                (Head::Handshake, 45),
                (Head::Packet { xid: 1, kind: 4 }, 11),
                (Head::Packet { xid: -1, kind: -1 }, 48),
                (Head::Packet { xid: 0, kind: 0 }, 0),
                (Head::Packet { xid: 2, kind: 101 }, 8),
            ];
            assert_eq!(heads, expected, "chunks of {size}");
        }
    }

    #[test]
    fn a_byte_of_a_head_is_corrupted_and_no_other() {
        let stream = [frame(&[0; 45]), packet(1, 4, b"abc"), packet(2, 4, b"abc")].concat();
        let (mut scanner, mut out) = (Scanner::default(), Vec::new());
        for chunk in stream.chunks(5) {
            scanner.scan(chunk, &mut out, |head, _| match head {
                Head::Packet { xid: 1, .. } => Verdict::Corrupt(4, 0x40),
                _ => Verdict::Pass,
            });
        }
        let mut expected = stream.clone();
        expected[49 + 4] ^= 0x40;
        assert_eq!(out, expected);
    }

    #[test]
    fn the_handshake_is_never_taken_for_a_notification() {
        let shake = frame(&[0xff; 45]);
        assert_eq!(scan(&shake, 7, -1).0, shake);
    }

    #[test]
    fn a_four_letter_word_and_a_negative_length_pass_unread() {
        for stream in [&b"srvr"[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 30]] {
            let (out, heads) = scan(stream, 3, -1);
            assert_eq!(out, stream);
            assert_eq!(heads, [(Head::Opaque, 0)]);
        }
    }
}
