//! A server that does what the test says: the codec on an in-memory pipe.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use menagerie::Client;
use menagerie::client::{Builder, Io, Transport};
use menagerie::jute::{
    ConnectRequest, ConnectResponse, Create2Response, CreateResponse, Decode, Encode, ErrorCode,
    ErrorResponse, EventType, ExistsResponse, GetAclResponse, GetAllChildrenNumberResponse,
    GetChildren2Response, GetDataResponse, GetEphemeralsResponse, KeeperState, MultiResponse, OpCode,
    OpResult, ReplyBody, ReplyHeader, Request, RequestBody, SetAclResponse, SetDataResponse, Stat,
    SyncResponse, Ustring, WatcherEvent, WhoAmIResponse, Writer, Xid, split_frame,
};
use menagerie::session::Server as Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The id and the password of the first session that a server grants.
pub(crate) const SESSION: i64 = 0x0100_0000_0000_0042;
pub(crate) const PASSWORD: &[u8] = b"sixteen secrets!";

/// How long the script waits for the client before the test fails: longer than any of the client's own timers.
const PATIENCE: Duration = Duration::from_secs(120);

/// Long enough for whatever is on its way to arrive, and shorter than every timer of the client.
const MOMENT: Duration = Duration::from_millis(1);

/// The far end of every connection that the client dials, one at a time.
pub(crate) struct Server {
    dials: mpsc::UnboundedReceiver<DuplexStream>,
    stream: Option<DuplexStream>,
    input: BytesMut,
    /// Requests read and not answered yet, oldest first.
    unanswered: VecDeque<(Xid, OpCode)>,
    /// The last transaction; writes count it up.
    pub(crate) zxid: i64,
    /// What the next session gets.
    pub(crate) session_id: i64,
    /// The timeout granted.
    pub(crate) timeout: Duration,
    /// What it says of itself when it grants a session.
    pub(crate) read_only: bool,
    /// Pings that were answered on the way.
    pub(crate) pings: u32,
}

/// A transport that leads to a scripted server, through pipes that hold so many bytes.
pub(crate) fn pipe(len_bytes: usize) -> (Transport, Server) {
    pipe_through(len_bytes, |near| Box::new(near))
}

/// The same, with something around the client's end.
pub(crate) fn pipe_through<W>(len_bytes: usize, wrap: W) -> (Transport, Server)
where
    W: Fn(DuplexStream) -> Box<dyn Io> + Send + Sync + 'static,
{
    let (sender, dials) = mpsc::unbounded_channel();
    let transport = Transport::custom(move |_, _| {
        let (near, far) = duplex(len_bytes);
        let dialled = sender.send(far).map(|()| wrap(near));
        Box::pin(async { dialled.map_err(|_| io::ErrorKind::ConnectionRefused.into()) })
    });
    let server = Server {
        dials,
        stream: None,
        input: BytesMut::new(),
        unanswered: VecDeque::new(),
        zxid: 100,
        session_id: SESSION,
        timeout: Duration::from_secs(9),
        read_only: false,
        pings: 0,
    };
    (transport, server)
}

/// A builder for one host, `zk:2181`, behind a scripted server. Its session timeout is 9 s.
pub(crate) fn scripted() -> (Builder, Server) {
    let (transport, server) = pipe(1 << 20);
    let host = Host { host: "zk".to_owned(), port: 2181 };
    let builder = Builder::servers(vec![host]).session_timeout(Duration::from_secs(9)).seed(7);
    (builder.transport(transport), server)
}

/// A client that is connected, and its server.
pub(crate) async fn connected() -> (Client, Server) {
    connected_as(|builder| builder).await
}

/// Does not wait for the verdict on credentials, as `connect` would: the tests give it when they want to.
pub(crate) async fn connected_as(configure: impl FnOnce(Builder) -> Builder) -> (Client, Server) {
    let (builder, mut server) = scripted();
    let client = configure(builder).connect_lazy().expect("a runtime");
    server.accept().await;
    let seen = client.status();
    if seen.session_id.is_none() {
        timeout(PATIENCE, client.status_change(&seen)).await.expect("the server accepts");
    }
    (client, server)
}

impl Server {
    /// Waits for the client to dial and reads its handshake, without an answer.
    pub(crate) async fn hear(&mut self) -> ConnectRequest {
        self.stream = Some(timeout(PATIENCE, self.dials.recv()).await.expect("a dial").expect("a client"));
        self.input.clear();
        self.unanswered.clear();
        let payload = timeout(PATIENCE, self.payload()).await.expect("a handshake").expect("a handshake");
        ConnectRequest::decode_exact(payload).expect("a ConnectRequest")
    }

    /// Waits for the client to ask, over a connection beside its own, whether this server takes writes; answers in these
    /// pieces, and closes.
    pub(crate) async fn answer_probe(&mut self, pieces: &[&str]) {
        let mut probe = timeout(PATIENCE, self.dials.recv()).await.expect("a probe").expect("a client");
        let mut word = [0; 4];
        timeout(PATIENCE, probe.read_exact(&mut word)).await.expect("a word").expect("a word");
        assert_eq!(&word, b"isro");
        for piece in pieces {
            probe.write_all(piece.as_bytes()).await.expect("the client reads");
            tokio::time::sleep(MOMENT).await;
        }
    }

    /// Waits for the client to dial and grants a session, or the one it asks for.
    pub(crate) async fn accept(&mut self) -> ConnectRequest {
        let request = self.hear().await;
        let session_id = if request.session_id == 0 { self.session_id } else { request.session_id };
        self.grant(session_id).await;
        request
    }

    /// Answers the handshake with this session.
    pub(crate) async fn grant(&mut self, session_id: i64) {
        let time_out = i32::try_from(self.timeout.as_millis()).unwrap();
        self.answer_handshake(time_out, session_id).await;
    }

    /// Waits for the client to dial and says that its session has expired.
    pub(crate) async fn expire(&mut self) -> ConnectRequest {
        let request = self.hear().await;
        self.answer_handshake(0, 0).await;
        self.session_id += 1;
        request
    }

    async fn answer_handshake(&mut self, time_out: i32, session_id: i64) {
        let passwd = Some(Bytes::from_static(PASSWORD));
        let read_only = Some(self.read_only);
        let response = ConnectResponse { protocol_version: 0, time_out, session_id, passwd, read_only };
        self.send(&framed(&response)).await;
    }

    /// The next request, pings answered and left out; `None` once the client has closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Request> {
        timeout(PATIENCE, self.next_request()).await.expect("the client asks or hangs up")
    }

    async fn next_request(&mut self) -> Option<Request> {
        loop {
            let request = Request::decode(self.payload().await?).expect("the client writes whole requests");
            match request.header.xid {
                Xid::PING => {
                    self.pings += 1;
                    self.send(&answer(Xid::PING, self.zxid, ErrorCode::OK, &())).await;
                }
                Xid::AUTH => return Some(request),
                xid => {
                    self.unanswered.push_back((xid, request.header.op));
                    return Some(request);
                }
            }
        }
    }

    /// The next request, which must be this one.
    pub(crate) async fn expect(&mut self, op: OpCode, path: &str) -> RequestBody {
        let request = self.next().await.expect("the connection is open");
        assert_eq!((request.header.op, path_of(&request.body).as_str()), (op, path), "{request:?}");
        request.body
    }

    /// The next requests, which must be these.
    pub(crate) async fn expect_gets(&mut self, paths: &[&str]) {
        for path in paths {
            self.expect(OpCode::GET_DATA, path).await;
        }
    }

    /// Answers the oldest request.
    pub(crate) async fn reply(&mut self, body: &dyn Encode) {
        let (xid, op) = self.unanswered.pop_front().expect("a request waits for its answer");
        self.zxid += i64::from(op.is_write());
        self.send(&answer(xid, self.zxid, ErrorCode::OK, body)).await;
    }

    /// Answers the oldest request, a getData, with this value.
    pub(crate) async fn reply_data(&mut self, data: &'static str) {
        self.reply(&GetDataResponse { data: Some(Bytes::from_static(data.as_bytes())), stat: stat() }).await;
    }

    /// Refuses the oldest request.
    pub(crate) async fn refuse(&mut self, code: ErrorCode) {
        let (xid, _) = self.unanswered.pop_front().expect("a request waits for its answer");
        // What a server does not know it answers with zxid -1.
        let zxid = if code == ErrorCode::UNIMPLEMENTED { -1 } else { self.zxid };
        self.send(&answer(xid, zxid, code, &())).await;
    }

    /// Judges credentials.
    pub(crate) async fn answer_auth(&mut self, code: ErrorCode) {
        self.send(&answer(Xid::AUTH, 0, code, &())).await;
    }

    pub(crate) async fn notify(&mut self, event_type: EventType, path: &str) {
        self.send(&notification(event_type, path)).await;
    }

    /// Reads the handshake's companions: an `addauth` with this content.
    pub(crate) async fn expect_auth(&mut self, scheme: &str, auth: &str) {
        let request = self.next().await.expect("the connection is open");
        let RequestBody::Auth(packet) = request.body else { panic!("{request:?} is no auth packet") };
        assert_eq!((packet.scheme.as_str(), packet.auth.as_deref()), (scheme, Some(auth.as_bytes())));
        assert_eq!(request.header.xid, Xid::AUTH);
    }

    /// Answers everything that was read, and nothing more arrives.
    pub(crate) async fn expect_nothing(&mut self) {
        if let Ok(request) = timeout(MOMENT, self.next()).await {
            panic!("{request:?} although nothing was asked");
        }
    }

    /// The client closes the session, and hears that it is closed.
    pub(crate) async fn expect_close(&mut self) {
        self.expect(OpCode::CLOSE_SESSION, "").await;
        self.reply(&()).await;
        assert_eq!(self.next().await, None, "the client hangs up behind it");
    }

    /// The connection goes.
    pub(crate) fn cut(&mut self) {
        self.stream = None;
    }

    /// Writes these bytes, in one piece.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let stream = self.stream.as_mut().expect("a connection");
        // A client that has hung up hears nothing any more; what it did is for the test to find out.
        let _ = timeout(PATIENCE, stream.write_all(bytes)).await.expect("the client reads");
    }

    async fn payload(&mut self) -> Option<Bytes> {
        loop {
            if let Some(payload) = split_frame(&mut self.input, usize::MAX).expect("a frame") {
                return Some(payload);
            }
            let stream = self.stream.as_mut().expect("a connection");
            match stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// A record as a frame.
fn framed(record: &dyn Encode) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    record.encode(&mut out);
    out.close(frame);
    out.into_bytes()
}

pub(crate) fn answer(xid: Xid, zxid: i64, err: ErrorCode, body: &dyn Encode) -> Bytes {
    let mut out = Writer::new();
    let frame = out.frame();
    ReplyHeader { xid, zxid, err }.encode(&mut out);
    body.encode(&mut out);
    out.close(frame);
    out.into_bytes()
}

pub(crate) fn notification(event_type: EventType, path: &str) -> Bytes {
    let event = WatcherEvent { event_type, state: KeeperState::SYNC_CONNECTED, path: Ustring::from(path) };
    answer(Xid::NOTIFICATION, -1, ErrorCode::OK, &event)
}

/// The stat that every znode of the scripted server has.
pub(crate) fn stat() -> Stat {
    Stat { czxid: 7, mzxid: 8, pzxid: 7, version: 3, ..Stat::default() }
}

/// The path that a request is about; for a multi that of its first step.
pub(crate) fn path_of(body: &RequestBody) -> String {
    let path = match body {
        RequestBody::Create(it) | RequestBody::Create2(it) | RequestBody::CreateContainer(it) => &it.path,
        RequestBody::CreateTtl(it) => &it.path,
        RequestBody::Delete(it) => &it.path,
        RequestBody::Exists(it) => &it.path,
        RequestBody::GetData(it) => &it.path,
        RequestBody::SetData(it) => &it.path,
        RequestBody::GetAcl(it) => &it.path,
        RequestBody::SetAcl(it) => &it.path,
        RequestBody::GetChildren(it) => &it.path,
        RequestBody::GetChildren2(it) => &it.path,
        RequestBody::Sync(it) => &it.path,
        RequestBody::AddWatch(it) => &it.path,
        RequestBody::RemoveWatches(it) => &it.path,
        RequestBody::GetAllChildrenNumber(it) => &it.path,
        RequestBody::GetEphemerals(it) => &it.prefix_path,
        _ => return String::new(),
    };
    path.as_str().to_owned()
}

/// Polls once, with the test's own waker.
pub(crate) async fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Waits for a future that is due, and fails if it is not.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("a future that completes")
}

/// Lets everything that is on its way arrive.
pub(crate) async fn settle() {
    tokio::time::sleep(MOMENT).await;
}

impl Server {
    /// Reads one request, if there is one, and answers it: with the first of these codes if it can be refused so, or as a
    /// server would on which every znode is there and no child. False if nothing was asked.
    pub(crate) async fn answer(&mut self, refusals: &mut Vec<ErrorCode>) -> bool {
        let Ok(Some(request)) = timeout(MOMENT, self.next()).await else { return false };
        if request.header.op == OpCode::AUTH {
            self.answer_auth(ErrorCode::OK).await;
        } else if path_of(&request.body).starts_with("/a") && !refusals.is_empty() {
            let code = refusals.remove(0);
            self.refuse(code).await;
            if code == ErrorCode::UNIMPLEMENTED {
                // The client does not wait for the close that would come now.
                self.accept().await;
            }
        } else {
            self.reply(&success(&request.body)).await;
        }
        true
    }

    /// Reads so many reads of data and answers them in one piece.
    pub(crate) async fn answer_batch(&mut self, count: u32) {
        let body = GetDataResponse { data: Some(Bytes::from_static(b"v")), stat: stat() };
        for _ in 0..count {
            self.expect(OpCode::GET_DATA, "/a").await;
        }
        let zxid = self.zxid;
        let answers = self.unanswered.drain(..).map(|(xid, _)| answer(xid, zxid, ErrorCode::OK, &body));
        let batch: Vec<u8> = answers.flatten().collect();
        self.send(&batch).await;
    }

    /// Waits for a dial; `None` if the client has gone without one.
    pub(crate) async fn hear_anything(&mut self) -> Option<()> {
        let mut stream = self.dials.recv().await?;
        let mut byte = [0];
        matches!(stream.read(&mut byte).await, Ok(1)).then_some(())
    }
}

/// What a server answers on which all is well.
fn success(asked: &RequestBody) -> ReplyBody {
    let path = Ustring::from(path_of(asked));
    let stat = stat();
    match asked {
        RequestBody::Create(_) => ReplyBody::Create(CreateResponse { path }),
        RequestBody::Create2(_) | RequestBody::CreateContainer(_) | RequestBody::CreateTtl(_) => {
            ReplyBody::Create2(Create2Response { path, stat })
        }
        RequestBody::Exists(_) => ReplyBody::Exists(ExistsResponse { stat }),
        RequestBody::GetData(_) | RequestBody::Reconfig(_) => {
            ReplyBody::GetData(GetDataResponse { data: None, stat })
        }
        RequestBody::SetData(_) => ReplyBody::SetData(SetDataResponse { stat }),
        RequestBody::GetAcl(_) => ReplyBody::GetAcl(GetAclResponse { acl: None, stat }),
        RequestBody::SetAcl(_) => ReplyBody::SetAcl(SetAclResponse { stat }),
        RequestBody::GetChildren2(_) => {
            ReplyBody::GetChildren2(GetChildren2Response { children: None, stat })
        }
        RequestBody::Sync(_) => ReplyBody::Sync(SyncResponse { path }),
        RequestBody::Multi(multi) => {
            ReplyBody::Multi(MultiResponse::new(multi.ops.iter().map(|_| OpResult::Check)))
        }
        RequestBody::MultiRead(multi) => {
            let read = OpResult::GetData(GetDataResponse { data: None, stat });
            ReplyBody::MultiRead(MultiResponse::new(multi.ops.iter().map(|_| read.clone())))
        }
        RequestBody::GetEphemerals(_) => ReplyBody::GetEphemerals(GetEphemeralsResponse::default()),
        RequestBody::GetAllChildrenNumber(_) => {
            ReplyBody::GetAllChildrenNumber(GetAllChildrenNumberResponse { total_number: 1 })
        }
        RequestBody::AddWatch(_) => ReplyBody::AddWatch(ErrorResponse { err: ErrorCode::OK }),
        RequestBody::Empty => ReplyBody::WhoAmI(WhoAmIResponse { client_info: None }),
        _ => ReplyBody::Empty,
    }
}
