//! The server that does nothing but answer: one thread, epoll, canned replies, one write per read.
//!
//! It knows no znodes and keeps no state but the number of sessions; what a client sets, it forgets.

use std::io::{self, ErrorKind, Read, Write};

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::frames::{After, Canned};
use crate::inbox::Inbox;

const LISTENER: Token = Token(usize::MAX);

/// A bound listener and the connections it has accepted.
#[derive(Debug)]
pub struct NullServer {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    canned: Canned,
}

impl NullServer {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// An address that does not parse or cannot be bound.
    pub fn bind(address: &str) -> Result<Self> {
        let address = address.parse().with_context(|| format!("address {address}"))?;
        let mut listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener, connections: Vec::new(), canned: Canned::default() })
    }

    /// Where clients connect to.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// A failing epoll. A failing connection only ends that connection.
    pub fn run(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(slot) => self.serve(slot),
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The connection went before it was taken; the listener is sound.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let free = self.connections.iter().position(Option::is_none);
            let slot = free.unwrap_or(self.connections.len());
            self.poll.registry().register(
                &mut stream,
                Token(slot),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            let connection = Some(Connection::new(stream));
            match self.connections.get_mut(slot) {
                Some(place) => *place = connection,
                None => self.connections.push(connection),
            }
        }
    }

    fn serve(&mut self, slot: usize) {
        let Some(place) = self.connections.get_mut(slot) else { return };
        let Some(connection) = place else { return };
        // Dropping the stream closes it, which also takes it out of epoll.
        if matches!(connection.advance(&mut self.canned), Ok(After::Close) | Err(_)) {
            *place = None;
        }
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    inbox: Inbox,
    output: Vec<u8>,
    written: usize,
    has_session: bool,
    after_output: After,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            inbox: Inbox::default(),
            output: Vec::new(),
            written: 0,
            has_session: false,
            after_output: After::KeepOpen,
        }
    }

    /// Reads, answers and writes until the socket has no more to give or to take. Replies that the socket
    /// does not take hold back the reading, so a client that does not read cannot make the server grow.
    fn advance(&mut self, canned: &mut Canned) -> io::Result<After> {
        loop {
            if !self.flush()? {
                return Ok(After::KeepOpen);
            }
            if self.after_output == After::Close {
                return Ok(After::Close);
            }
            let space = self.inbox.space();
            let wanted = space.len();
            let read = match self.stream.read(space) {
                Ok(0) => return Ok(After::Close),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(After::KeepOpen),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.inbox.filled(read);
            self.answer_all(canned)?;
            // A short read has emptied the socket: epoll reports what comes next, so no read for WouldBlock.
            if read < wanted && self.flush()? && self.after_output == After::KeepOpen {
                return Ok(After::KeepOpen);
            }
        }
    }

    fn answer_all(&mut self, canned: &mut Canned) -> io::Result<()> {
        let malformed = |what: &str| io::Error::new(ErrorKind::InvalidData, what);
        while let Some(body) = self.inbox.next_frame().map_err(|_| malformed("frame length"))? {
            if !self.has_session {
                canned.connect(body, &mut self.output).map_err(|_| malformed("connect request"))?;
                self.has_session = true;
                continue;
            }
            self.after_output =
                canned.answer(body, &mut self.output).map_err(|_| malformed("request header"))?;
            if self.after_output == After::Close {
                break;
            }
        }
        Ok(())
    }

    /// Writes what is waiting; false if the socket is full.
    fn flush(&mut self) -> io::Result<bool> {
        while let Some(rest) = self.output.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(true)
    }
}
