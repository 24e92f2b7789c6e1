//! One connection to a server: whole frames over a blocking socket. Knows the handshake and no operation.

use bytes::{Bytes, BytesMut};
use menagerie_jute::{ConnectRequest, ConnectResponse, Decode, Encode, Writer, split_frame};
use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// How long a server may stay silent before that counts as its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest frame a server may send.
const FRAME_LIMIT: usize = 16 << 20;
const READ_LEN: usize = 32 << 10;

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A frame.
    Frame(Bytes),
    /// The end of the stream.
    Closed,
    /// Nothing, for too long.
    Silence,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    input: BytesMut,
    /// What is to be sent.
    pub out: Writer,
}

impl Connection {
    /// Dials.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn dial(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, input: BytesMut::new(), out: Writer::new() })
    }

    /// Offers a session and returns the verdict; `None` if the server hangs up, or says something else.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn handshake(&mut self, request: &ConnectRequest) -> io::Result<Option<ConnectResponse>> {
        let frame = self.out.frame();
        request.encode(&mut self.out);
        self.out.close(frame);
        self.flush();
        match self.receive()? {
            Incoming::Frame(frame) => Ok(ConnectResponse::decode_exact(frame).ok()),
            Incoming::Closed | Incoming::Silence => Ok(None),
        }
    }

    /// Sends what is to be sent. A peer that does not take it will be noticed when its answer is missing.
    pub fn flush(&mut self) {
        let out = std::mem::take(&mut self.out).into_bytes();
        let _ = self.stream.write_all(&out);
    }

    /// The next frame.
    ///
    /// # Errors
    /// When the length of a frame is impossible.
    pub fn receive(&mut self) -> io::Result<Incoming> {
        loop {
            match split_frame(&mut self.input, FRAME_LIMIT) {
                Ok(Some(frame)) => return Ok(Incoming::Frame(frame)),
                Ok(None) => {}
                Err(why) => return Err(io::Error::other(why.to_string())),
            }
            let mut chunk = [0; READ_LEN];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Incoming::Closed),
                Ok(read) => self.input.extend_from_slice(chunk.get(..read).unwrap_or_default()),
                Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(Incoming::Silence);
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                // A reset is an end as well.
                Err(_) => return Ok(Incoming::Closed),
            }
        }
    }

    /// Says that nothing more will come, and waits until the server has hung up: by then it has forgotten the
    /// connection's watches.
    pub fn hang_up(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        while let Ok(Incoming::Frame(_)) = self.receive() {}
    }
}
