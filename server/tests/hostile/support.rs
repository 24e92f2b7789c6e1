//! A peer that says what bytes it likes, over TCP or a stream without sockets.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use menagerie_server::Server;
use menagerie_server::jute::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything here takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Both kinds of streams.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) struct Peer {
    pub(crate) stream: Box<dyn Stream>,
    buffer: BytesMut,
    pub(crate) session: ConnectResponse,
    xid: i32,
}

/// The records, one behind the other, in one frame.
pub(crate) fn framed(parts: &[&dyn Encode]) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    parts.iter().for_each(|part| part.encode(&mut out));
    out.close(frame);
    out.into_bytes()
}

pub(crate) fn asking(xid: i32, op: OpCode, body: &dyn Encode) -> Bytes {
    framed(&[&RequestHeader { xid: Xid(xid), op }, &body])
}

pub(crate) fn greeting() -> ConnectRequest {
    ConnectRequest { time_out: 10_000, passwd: Some(Bytes::from_static(&[0; 16])), ..Default::default() }
}

pub(crate) fn creation(path: &str, flags: CreateMode) -> CreateRequest<&str> {
    CreateRequest { path, data: Some(Bytes::from_static(b"x")), acl: Some(Acl::OPEN.into()), flags }
}

/// A connection over TCP on which nothing was said.
pub(crate) async fn silent(address: SocketAddr) -> Peer {
    Peer::over(TcpStream::connect(address).await.unwrap())
}

/// As [`silent`], without sockets.
pub(crate) async fn silent_here(server: &Server) -> Peer {
    Peer::over(server.connector().connect().await.unwrap())
}

impl Peer {
    fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: BytesMut::new(), session: Default::default(), xid: 0 }
    }

    /// With a session, over TCP.
    pub(crate) async fn new(server: &Server) -> Self {
        silent(server.local_addr()).await.greeted(&greeting()).await.expect("a session")
    }

    /// With a session, without sockets.
    pub(crate) async fn here(server: &Server) -> Self {
        silent_here(server).await.greeted(&greeting()).await.expect("a session")
    }

    /// `None` if the server hangs up without a word.
    pub(crate) async fn greeted(mut self, request: &ConnectRequest) -> Option<Self> {
        self.say(&framed(&[request])).await;
        self.session = ConnectResponse::decode_exact(self.frame().await?).unwrap();
        Some(self)
    }

    /// The server may have hung up: then nobody hears it.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("takes it");
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = split_frame(&mut self.buffer, usize::MAX).unwrap() {
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.buffer);
            match tokio::time::timeout(PATIENCE, read).await.expect("says something") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Everything until the end of the stream, which may be a reset.
    pub(crate) async fn rest(&mut self) -> Bytes {
        let all = async { while !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(0) | Err(_)) {} };
        tokio::time::timeout(PATIENCE, all).await.expect("ends");
        self.buffer.split().freeze()
    }

    pub(crate) async fn send(&mut self, op: OpCode, body: &dyn Encode) {
        self.xid += 1;
        let frame = asking(self.xid, op, body);
        self.say(&frame).await;
    }

    /// The answer to the request that was sent last; `None` if the server hangs up instead.
    pub(crate) async fn call(&mut self, op: OpCode, body: &dyn Encode) -> Option<Reply> {
        self.send(op, body).await;
        loop {
            let reply = Reply::decode(self.frame().await?, op).unwrap();
            if reply.header.xid != Xid::NOTIFICATION {
                assert_eq!(reply.header.xid, Xid(self.xid));
                return Some(reply);
            }
        }
    }

    pub(crate) async fn err(&mut self, op: OpCode, body: &dyn Encode) -> ErrorCode {
        self.call(op, body).await.expect("an answer").header.err
    }

    pub(crate) async fn create(&mut self, path: &str, flags: CreateMode) -> ErrorCode {
        self.err(OpCode::CREATE, &creation(path, flags)).await
    }

    /// Whether it is served.
    pub(crate) async fn is_served(&mut self) -> bool {
        self.call(OpCode::EXISTS, &ExistsRequest { path: "/", watch: false }).await.is_some()
    }
}
