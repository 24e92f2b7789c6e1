//! One blocking connection with a session: requests out, whole replies in, each looked at as far as its error code.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::frames::{PREFIX, Request, XID, int_at};

/// A server that says nothing for this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The timeout that every session asks for: longer than any of them stays silent.
pub const SESSION_TIMEOUT_MS: i32 = 40_000;

/// The xid of a notification.
const NOTIFICATION: i32 = -1;

/// Room for the replies to a window of requests.
pub const WIDE: usize = 64 * 1024;

/// Room for one reply at a time, where there are thousands of connections.
pub const NARROW: usize = 512;

/// A connection whose session is up.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    inbox: Inbox,
}

impl Link {
    /// Connects, and waits for the session. `room` bounds a reply.
    ///
    /// # Errors
    /// A server that does not accept, or does not grant a session.
    pub fn open(server: SocketAddr, room: usize) -> Result<Self> {
        Self::open_within(server, room, PATIENCE)
    }

    /// [`open`](Self::open) with a server that may take `patience` for each step.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(server: SocketAddr, room: usize, patience: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&server, patience).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut link = Self { stream, inbox: Inbox::new(room) };
        link.stream.write_all(Request::connect(SESSION_TIMEOUT_MS).bytes())?;
        let granted = link.next(|body| int_at(body, 4))?;
        ensure!(granted.is_some_and(|timeout| timeout > 0), "no session was granted");
        Ok(link)
    }

    /// Sends bytes that are whole requests.
    ///
    /// # Errors
    /// A connection that fails.
    pub fn send(&mut self, requests: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(requests)?)
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// A connection that fails, or a request that the server refuses.
    pub fn call(&mut self, request: &Request) -> Result<()> {
        self.send(request.bytes())?;
        self.next(accepted)?
    }

    /// Waits for the reply to a request sent before.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn reply(&mut self) -> Result<()> {
        self.next(accepted)?
    }

    /// Waits for a notification.
    ///
    /// # Errors
    /// A connection that fails, or a reply in its place.
    pub fn notification(&mut self) -> Result<()> {
        let xid = self.next(|body| int_at(body, 0))?;
        ensure!(xid == Some(NOTIFICATION), "a frame of xid {xid:?} in place of a notification");
        Ok(())
    }

    /// Reads once, and counts the replies that became whole by that.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn replies(&mut self) -> Result<usize> {
        self.fill()?;
        let mut replies = 0;
        while let Some(body) = self.inbox.frame()? {
            accepted(body)?;
            replies += 1;
        }
        Ok(replies)
    }

    /// Ends the session and waits until the server has closed the connection.
    ///
    /// # Errors
    /// A session that does not end.
    pub fn close(mut self) -> Result<()> {
        self.call(&Request::close())?;
        match self.stream.read(&mut [0; 8]) {
            Ok(0) => Ok(()),
            // Closing with unread bytes on either side is told as a reset.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            Ok(_) => bail!("bytes behind the reply to closeSession"),
            Err(error) => Err(error).context("wait for the close"),
        }
    }

    fn next<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> Result<T> {
        loop {
            if let Some(body) = self.inbox.frame()? {
                return Ok(look(body));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        let read = self.stream.read(self.inbox.space()?)?;
        ensure!(read > 0, "the server closed the connection");
        self.inbox.end += read;
        Ok(())
    }
}

/// A reply that is in its place and carries no error.
fn accepted(body: &[u8]) -> Result<()> {
    let (xid, code) = (int_at(body, 0), int_at(body, 4 + 8));
    ensure!(xid == Some(XID), "a frame of xid {xid:?} in place of a reply");
    ensure!(code == Some(0), "the server refused with {code:?}");
    Ok(())
}

/// Bytes read, cut into frames.
#[derive(Debug)]
struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn new(room: usize) -> Self {
        Self { bytes: vec![0; room], start: 0, end: 0 }
    }

    /// Where the next read goes, once all whole frames are taken.
    fn space(&mut self) -> Result<&mut [u8]> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let space = self.bytes.get_mut(self.end..).unwrap_or_default();
        ensure!(!space.is_empty(), "a frame of more bytes than there is room for");
        Ok(space)
    }

    fn frame(&mut self) -> Result<Option<&[u8]>> {
        let unread = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some(length) = int_at(unread, 0) else { return Ok(None) };
        let length = usize::try_from(length).context("a frame of negative length")?;
        let body = unread.get(PREFIX..).and_then(|rest| rest.get(..length));
        self.start += body.map_or(0, |_| PREFIX + length);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let stream: Vec<u8> =
            (1..=50_u8).flat_map(|n| [vec![0, 0, 0, n], vec![n; n.into()]].concat()).collect();
        for chunk_len in [1, 3, 7, 60] {
            let (mut inbox, mut next) = (Inbox::new(64), 1_u8);
            let mut rest = stream.as_slice();
            while !rest.is_empty() {
                let space = inbox.space().unwrap();
                let chunk;
                (chunk, rest) = rest.split_at(chunk_len.min(rest.len()).min(space.len()));
                space[..chunk.len()].copy_from_slice(chunk);
                inbox.end += chunk.len();
                while let Some(body) = inbox.frame().unwrap() {
                    assert_eq!(body, vec![next; next.into()]);
                    next += 1;
                }
            }
            assert_eq!(next, 51, "in chunks of {chunk_len}");
        }
    }

    #[test]
    fn errors_and_strangers_are_not_counted_as_replies() {
        let reply = |xid: i32, code: i32| {
            [xid.to_be_bytes().to_vec(), vec![0; 8], code.to_be_bytes().to_vec()].concat()
        };
        assert!(accepted(&reply(XID, 0)).is_ok());
        assert!(accepted(&reply(XID, -101)).is_err());
        assert!(accepted(&reply(-1, 0)).is_err());
        assert!(accepted(&[0; 7]).is_err());
    }
}
