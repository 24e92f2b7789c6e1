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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream as Blocking};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::NullServer;
    use crate::drive::Workload;
    use crate::frames::{connect_request, get_request};
    use crate::raw::{blast, ping_pong};

    /// A server on a thread that ends with the test process.
    fn server() -> SocketAddr {
        let mut server = NullServer::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        thread::spawn(move || server.run().unwrap());
        address
    }

    fn session(address: SocketAddr) -> Blocking {
        let mut stream = Blocking::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&connect_request()).unwrap();
        stream.read_exact(&mut [0; 4 + 37]).unwrap();
        stream
    }

    #[test]
    fn the_raw_clients_get_as_many_replies_as_they_ask_for() {
        let address = server().to_string();
        for (workload, ops) in [(Workload::W1, 50), (Workload::W2, 5_000), (Workload::W2, 1)] {
            assert_eq!(blast(&address, workload, ops).unwrap().ops, ops);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = runtime.block_on(ping_pong(&address, 50)).unwrap();
        assert!(done.latencies_ns.iter().all(|latency| *latency < u32::MAX));
    }

    #[test]
    fn replies_keep_order_and_number_for_a_client_that_reads_late() {
        const REQUESTS: i32 = 100_000;
        let mut stream = session(server());
        let mut writer = stream.try_clone().unwrap();
        let (done, writing) = mpsc::channel();
        thread::spawn(move || {
            let requests: Vec<u8> = (1..=REQUESTS).flat_map(get_request).collect();
            writer.write_all(&requests).unwrap();
            done.send(()).unwrap();
        });
        // Until all is sent or both sides are full; the outcome is the same either way.
        let _ = writing.recv_timeout(Duration::from_millis(300));
        let mut reply = [0; 192];
        for xid in 1..=REQUESTS {
            stream.read_exact(&mut reply).unwrap();
            assert_eq!(reply[4..8], xid.to_be_bytes());
        }
    }

    #[test]
    fn hostile_bytes_end_their_connection_and_no_other() {
        let address = server();
        let mut bystander = session(address);
        let short = [0, 0, 0, 2, 9, 9];
        let negative = [255, 255, 255, 255];
        let huge = [127, 255, 255, 255];
        for bytes in [&short[..], &negative, &huge] {
            for mut stream in [Blocking::connect(address).unwrap(), session(address)] {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                stream.write_all(bytes).unwrap();
                assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0);
            }
        }
        bystander.write_all(&get_request(3)).unwrap();
        bystander.read_exact(&mut [0; 192]).unwrap();
    }

    #[test]
    fn a_closed_session_is_answered_then_hung_up() {
        let mut stream = session(server());
        let close = [[0, 0, 0, 8], [0, 0, 0, 1], (-11_i32).to_be_bytes()].concat();
        stream.write_all(&[close, get_request(2)].concat()).unwrap();
        let mut answered = Vec::new();
        // The request behind the goodbye may turn the hang-up into a reset.
        drop(stream.read_to_end(&mut answered));
        assert_eq!(answered.len(), 20);
    }
}
