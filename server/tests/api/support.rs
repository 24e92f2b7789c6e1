//! A client that is nothing but frames, on a stream without sockets.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use menagerie_server::jute::*;
use menagerie_server::{Connector, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Longer than anything in these tests takes; the clock is paused.
const PATIENCE: Duration = Duration::from_secs(3600);

pub(crate) struct Peer {
    pub(crate) stream: DuplexStream,
    buffer: BytesMut,
    pub(crate) session: ConnectResponse,
    xid: i32,
    /// What was asked and not answered yet.
    asked: std::collections::VecDeque<(i32, OpCode)>,
    pub(crate) events: Vec<WatcherEvent>,
}

pub(crate) fn greeting(timeout_millis: i32) -> ConnectRequest {
    ConnectRequest {
        time_out: timeout_millis,
        passwd: Some(Bytes::from_static(&[0; 16])),
        read_only: Some(false),
        ..Default::default()
    }
}

pub(crate) fn resuming(session: &ConnectResponse) -> ConnectRequest {
    ConnectRequest {
        session_id: session.session_id,
        passwd: session.passwd.clone(),
        ..greeting(session.time_out)
    }
}

pub(crate) fn framed(record: &impl Encode) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    record.encode(&mut out);
    out.close(frame);
    out.into_bytes()
}

/// A connection on which nothing was said.
pub(crate) async fn silent(connector: &Connector) -> Peer {
    let stream = connector.connect().await.unwrap();
    Peer {
        stream,
        buffer: BytesMut::new(),
        session: Default::default(),
        xid: 0,
        asked: Default::default(),
        events: vec![],
    }
}

impl Peer {
    /// With a session of ten seconds.
    pub(crate) async fn new(server: &Server) -> Self {
        Self::greeted(server, &greeting(10_000)).await.expect("a session")
    }

    /// `None` if the server hangs up without a word.
    pub(crate) async fn greeted(server: &Server, request: &ConnectRequest) -> Option<Self> {
        let mut peer = silent(&server.connector()).await;
        peer.raw(&framed(request)).await;
        peer.session = ConnectResponse::decode_exact(peer.frame().await?).unwrap();
        Some(peer)
    }

    pub(crate) fn id(&self) -> i64 {
        self.session.session_id
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let written = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("takes it");
        written.unwrap();
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

    /// Everything until the end of the stream, as text.
    pub(crate) async fn text(mut self) -> String {
        let mut text = Vec::new();
        tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut text)).await.expect("ends").unwrap();
        String::from_utf8(text).unwrap()
    }

    pub(crate) async fn send(&mut self, op: OpCode, body: &impl Encode) {
        let xid = match op {
            OpCode::PING => Xid::PING.0,
            OpCode::AUTH => Xid::AUTH.0,
            _ => {
                self.xid += 1;
                self.xid
            }
        };
        self.asked.push_back((xid, op));
        let header = RequestHeader { xid: Xid(xid), op };
        self.raw(&framed(&Pair(header, body))).await;
    }

    /// The answer to the oldest request without one. Events before it are kept. `None` at the end of the stream.
    pub(crate) async fn answer(&mut self) -> Option<Reply> {
        loop {
            let frame = self.frame().await?;
            let op = self.asked.front().map_or(OpCode::PING, |(_, op)| *op);
            let reply = Reply::decode(frame, op).unwrap();
            match reply.body {
                ReplyBody::Notification(event) => self.events.push(event),
                _ => {
                    let (xid, _) = self.asked.pop_front().expect("was asked");
                    assert_eq!(reply.header.xid.0, xid);
                    return Some(reply);
                }
            }
        }
    }

    pub(crate) async fn call(&mut self, op: OpCode, body: &impl Encode) -> Option<Reply> {
        self.send(op, body).await;
        self.answer().await
    }

    /// As [`call`](Self::call), and the error of the answer.
    pub(crate) async fn err(&mut self, op: OpCode, body: &impl Encode) -> ErrorCode {
        self.call(op, body).await.expect("an answer").header.err
    }

    pub(crate) async fn create(&mut self, path: &str, flags: CreateMode) -> ErrorCode {
        self.err(OpCode::CREATE, &creation(path, flags)).await
    }

    pub(crate) async fn set(&mut self, path: &str, data: &'static str) -> ErrorCode {
        self.err(OpCode::SET_DATA, &setting(path, data)).await
    }

    pub(crate) async fn get(&mut self, path: &str, watch: bool) -> Option<Bytes> {
        let reply = self.call(OpCode::GET_DATA, &GetDataRequest { path, watch }).await.expect("an answer");
        match reply.body {
            ReplyBody::GetData(found) => found.data,
            _ => None,
        }
    }

    pub(crate) async fn exists(&mut self, path: &str, watch: bool) -> bool {
        self.err(OpCode::EXISTS, &ExistsRequest { path, watch }).await == ErrorCode::OK
    }

    pub(crate) async fn ping(&mut self) -> Option<Reply> {
        self.call(OpCode::PING, &()).await
    }

    /// The events that came until a ping was answered, as text.
    pub(crate) async fn heard(&mut self) -> Vec<String> {
        self.ping().await.expect("an answer");
        let events = std::mem::take(&mut self.events);
        events.iter().map(|event| format!("{} {}", event.event_type, event.path)).collect()
    }

    /// The next event, however long it takes.
    pub(crate) async fn event(&mut self) -> WatcherEvent {
        let frame = self.frame().await.expect("an event");
        match Reply::decode(frame, OpCode::PING).unwrap().body {
            ReplyBody::Notification(event) => event,
            other => panic!("{other:?} is no event"),
        }
    }
}

pub(crate) fn creation(path: &str, flags: CreateMode) -> CreateRequest<&str> {
    CreateRequest { path, data: Some(Bytes::from_static(b"x")), acl: Some(Acl::OPEN.into()), flags }
}

pub(crate) fn setting(path: &str, data: &'static str) -> SetDataRequest<String> {
    SetDataRequest { path: path.to_owned(), data: Some(Bytes::from_static(data.as_bytes())), version: -1 }
}

/// One record behind the other.
struct Pair<'a, B>(RequestHeader, &'a B);

impl<B: Encode> Encode for Pair<'_, B> {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

/// A body of bytes as they are.
pub(crate) struct Bare(pub(crate) &'static [u8]);

impl Encode for Bare {
    fn encode(&self, out: &mut Writer) {
        out.raw(self.0);
    }
}

/// A body of any bytes.
pub(crate) struct Loose<'a>(pub(crate) &'a [u8]);

impl Encode for Loose<'_> {
    fn encode(&self, out: &mut Writer) {
        out.raw(self.0);
    }
}
