//! The head of an HTTP/1 answer, read piece by piece and no further. Pure.

use super::CheckFailure;
use crate::registry::address::Address;
use crate::registry::limits::CHECK_HEAD_LEN_BYTES;

/// A GET of this path and query.
pub(super) fn request(address: &Address, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: menagerie-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
}

/// What has come of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    seen: Vec<u8>,
    read_len_bytes: usize,
}

impl Head {
    /// Takes a piece in. The answer's status once its head is whole; what comes behind it is thrown away.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<Option<u16>, CheckFailure> {
        self.read_len_bytes += piece.len();
        // An end that is not here yet may have begun with the last three bytes.
        let mut from = self.seen.len().saturating_sub(3);
        self.seen.extend_from_slice(piece);
        loop {
            let begins = b"HTTP/1.".iter().zip(&self.seen).all(|(expected, byte)| expected == byte);
            if !begins {
                return Err(CheckFailure::NotHttp);
            }
            let Some(end) = end_of_head(self.seen.get(from..).unwrap_or_default()) else { break };
            let status = status(&self.seen).ok_or(CheckFailure::NotHttp)?;
            if status >= 200 {
                return Ok(Some(status));
            }
            // Of a provisional answer another follows.
            self.seen.drain(..from + end);
            from = 0;
        }
        if self.read_len_bytes >= CHECK_HEAD_LEN_BYTES && !planted!("health_head_unbounded") {
            return Err(CheckFailure::HeadTooLong);
        }
        Ok(None)
    }
}

/// Where the head ends: behind its first empty line, with or without carriage returns.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let crlf = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    let lf = bytes.windows(2).position(|window| window == b"\n\n").map(|at| at + 2);
    crlf.into_iter().chain(lf).min()
}

/// The status of `HTTP/1.x NNN reason`.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line.get(..12)?).ok()?;
    let (version, code) = line.split_once(' ')?;
    let is_version = version.len() == 8 && version.ends_with(|minor: char| minor.is_ascii_digit());
    let is_code = code.len() == 3 && code.bytes().all(|digit| digit.is_ascii_digit());
    code.parse().ok().filter(|status| is_version && is_code && *status >= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome of an answer that arrives in pieces of so many bytes.
    fn read(answer: &[u8], piece: usize) -> Result<Option<u16>, CheckFailure> {
        let mut head = Head::default();
        let mut last = Ok(None);
        for piece in answer.chunks(piece) {
            last = head.read(piece);
            if !matches!(last, Ok(None)) {
                break;
            }
        }
        last
    }

    #[test]
    fn the_request_is_one_head_with_a_host() {
        let request = request(&"[::1]:80".parse().unwrap(), "/health?x");
        assert!(request.starts_with("GET /health?x HTTP/1.1\r\nHost: [::1]:80\r\n"), "{request}");
        assert!(request.ends_with("Connection: close\r\n\r\n"));
        assert_eq!(end_of_head(request.as_bytes()), Some(request.len()));
    }

    #[test]
    fn a_status_is_known_with_the_whole_head_however_it_is_cut() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", Ok(Some(200))),
            ("HTTP/1.0 204 \r\n\r\n", Ok(Some(204))),
            ("HTTP/1.1 500\n\n", Ok(Some(500))),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", Ok(Some(302))),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", Ok(None)),
            ("HTTP/1.1 103 Early Hints\r\n\r\n", Ok(None)),
            ("", Ok(None)),
            ("HTTP/2 200\r\n\r\n", Err(CheckFailure::NotHttp)),
            ("SSH-2.0-OpenSSH", Err(CheckFailure::NotHttp)),
            ("\x15\x03\x01", Err(CheckFailure::NotHttp)),
            ("HTTP/1.1 +20 OK\r\n\r\n", Err(CheckFailure::NotHttp)),
            ("HTTP/1.1 099 ?\r\n\r\n", Err(CheckFailure::NotHttp)),
            ("HTTP/1.1\r\n\r\n", Err(CheckFailure::NotHttp)),
        ] {
            for piece in 1..=answer.len().max(1) {
                assert_eq!(read(answer.as_bytes(), piece), expected, "{answer:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_head_without_an_end_is_given_up() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(2 * CHECK_HEAD_LEN_BYTES));
        let mut head = Head::default();
        let outcomes: Vec<_> = endless.as_bytes().chunks(1024).map(|piece| head.read(piece)).collect();
        assert!(outcomes.contains(&Err(CheckFailure::HeadTooLong)));
        let provisional = "HTTP/1.1 100 Continue\r\n\r\n".repeat(2 * CHECK_HEAD_LEN_BYTES / 25);
        assert_eq!(read(provisional.as_bytes(), 1024), Err(CheckFailure::HeadTooLong));
    }
}
