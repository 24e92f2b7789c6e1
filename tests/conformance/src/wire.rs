//! A connection by hand: frames in, frames out, and a deadline on every read.

use bytes::{Bytes, BytesMut};
use menagerie_jute::{
    ConnectRequest, ConnectResponse, Encode, OpCode, Reader, RequestHeader, Writer, Xid, split_frame,
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// The longest silence that a row puts up with, unless it says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// The longest frame that a row accepts.
const LONGEST_FRAME: usize = 8 << 20;

/// Bytes that stand for a record: a body that no record can be.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a>(pub &'a [u8]);

impl Encode for Body<'_> {
    fn encode(&self, out: &mut Writer) {
        out.raw(self.0);
    }
}

/// The handshake of a new session: no id, 16 zero bytes of password, the readOnly byte false.
#[must_use]
pub fn connect_request(time_out: i32) -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        time_out,
        session_id: 0,
        passwd: Some(Bytes::from_static(&[0; 16])),
        read_only: Some(false),
    }
}

/// One TCP connection to a server. Calls panic, with the reason, when the server does not do what they wait for.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
    patience: Duration,
}

impl Wire {
    /// Connects, and sends nothing.
    #[must_use]
    pub fn dial(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap_or_else(|why| panic!("dialling {server}: {why}"));
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, buffer: BytesMut::new(), patience: PATIENCE }
    }

    /// How long the reads from now on wait.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Sends bytes as they are. That the peer has hung up is not noticed here but by the next read.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Err(why) if !is_hang_up(why.kind()) => panic!("writing {} bytes: {why}", bytes.len()),
            _ => {}
        }
    }

    /// Sends a payload with its length in front.
    pub fn send_frame(&mut self, payload: &[u8]) {
        self.send_raw(&framed(&[&Body(payload)]));
    }

    /// Sends a record as a frame.
    pub fn send_record(&mut self, record: &dyn Encode) {
        self.send_raw(&framed(&[record]));
    }

    /// Sends a request.
    pub fn send_request(&mut self, xid: i32, op: OpCode, body: &dyn Encode) {
        self.send_raw(&request_frame(xid, op, body));
    }

    /// Shakes hands; `None` if the server hangs up instead of answering.
    #[track_caller]
    pub fn handshake(&mut self, request: &ConnectRequest) -> Option<ConnectResponse> {
        self.send_record(request);
        self.connect_response()
    }

    /// Reads the answer to a handshake that was sent; `None` if the server hangs up.
    #[track_caller]
    pub fn connect_response(&mut self) -> Option<ConnectResponse> {
        let frame = self.next_frame()?;
        let mut reader = Reader::new(frame.clone());
        let response = reader.record().unwrap_or_else(|why| panic!("{why} in {frame:?}"));
        reader.finish("ConnectResponse").unwrap();
        Some(response)
    }

    /// The next payload; `None` if the server hangs up, whether by FIN or by RST.
    #[track_caller]
    pub fn next_frame(&mut self) -> Option<Bytes> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(payload) = split_frame(&mut self.buffer, LONGEST_FRAME).unwrap() {
                return Some(payload);
            }
            if !self.fill(deadline) {
                assert!(self.buffer.is_empty(), "the server hung up inside a frame: {:?}", self.buffer);
                return None;
            }
        }
    }

    /// As [`next_frame`](Self::next_frame), from a server that may hang up inside a frame.
    #[track_caller]
    pub fn next_or_torn(&mut self) -> Option<Bytes> {
        let deadline = Instant::now() + self.patience;
        loop {
            match split_frame(&mut self.buffer, LONGEST_FRAME).unwrap() {
                Some(payload) => return Some(payload),
                None if self.fill(deadline) => {}
                None => return None,
            }
        }
    }

    /// The next payload. The server must not hang up.
    #[track_caller]
    pub fn frame(&mut self) -> Bytes {
        let Some(frame) = self.next_frame() else { panic!("the server hung up instead of sending a frame") };
        frame
    }

    /// The server must hang up without another byte.
    #[track_caller]
    pub fn expect_eof(&mut self) {
        let frame = self.next_frame();
        assert!(frame.is_none(), "the server should hang up and sends {frame:?}");
    }

    /// Whether nothing comes for that time: no frame, no hang-up. Only for rows where silence is what they are about.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.buffer.is_empty()
            && peeked.is_err_and(|why| matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// All bytes up to the hang-up.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Bytes {
        let deadline = Instant::now() + self.patience;
        while self.fill(deadline) {}
        self.buffer.split().freeze()
    }

    /// Closes both directions at once.
    pub fn cut(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Closes our direction only: the server reads an end of stream.
    pub fn finish_writing(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The socket, for rows about sockets.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends a last frame and waits for the hang-up, and minds nothing.
    pub(crate) fn leave(&mut self, frame: &[u8], patience: Duration) {
        let _ = self.stream.write_all(frame);
        let deadline = Instant::now() + patience;
        let mut chunk = [0; 16 << 10];
        let _ = self.stream.set_read_timeout(Some(patience));
        while Instant::now() < deadline && matches!(self.stream.read(&mut chunk), Ok(1..)) {}
    }

    /// Reads what there is, or waits for it; false at the end of the stream.
    #[track_caller]
    fn fill(&mut self, deadline: Instant) -> bool {
        let mut chunk = [0; 16 << 10];
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).unwrap();
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => true,
            Err(why) if is_hang_up(why.kind()) => false,
            Err(why) => panic!("nothing from the server for {:?}: {why}", self.patience),
        }
    }
}

fn is_hang_up(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe)
}

/// The records as one frame.
fn framed(records: &[&dyn Encode]) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    records.iter().for_each(|record| record.encode(&mut out));
    out.close(frame);
    out.into_bytes()
}

/// A record as it goes over the wire.
#[must_use]
pub fn record_frame(record: &dyn Encode) -> Bytes {
    framed(&[record])
}

/// A request as it goes over the wire.
#[must_use]
pub fn request_frame(xid: i32, op: OpCode, body: &dyn Encode) -> Bytes {
    framed(&[&RequestHeader { xid: Xid(xid), op }, body])
}
