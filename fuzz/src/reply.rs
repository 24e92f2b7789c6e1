//! The client's reading of answers: whatever a server says to whichever operation, the call ends, and the next one works.

use std::future::IntoFuture;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use menagerie::client::{Builder, Client, Error, ReadStep, Transport};
use menagerie::jute::{
    Acl, ConnectResponse, Encode, ErrorCode, GetDataResponse, OpCode, Reader, Reply, ReplyHeader,
    RequestHeader, Writer, Xid,
};
use menagerie::session::{Server, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use crate::wire::framed;

/// What answers say, `OK` most often.
const CODES: [ErrorCode; 16] = [
    ErrorCode::OK,
    ErrorCode::OK,
    ErrorCode::OK,
    ErrorCode::OK,
    ErrorCode::OK,
    ErrorCode::OK,
    ErrorCode::NO_NODE,
    ErrorCode::NODE_EXISTS,
    ErrorCode::NOT_EMPTY,
    ErrorCode::BAD_VERSION,
    ErrorCode::NO_AUTH,
    ErrorCode::UNIMPLEMENTED,
    ErrorCode::NO_WATCHER,
    ErrorCode::THROTTLED_OP,
    ErrorCode::AUTH_FAILED,
    ErrorCode(-4711),
];

/// Longer than any deadline of the client, by a clock that jumps.
const PATIENCE: Duration = Duration::from_secs(600);

/// The first byte says which operation, and its highest bit whether below a chroot; then come the answers, one after the other: a code, a length
/// (255 for all that is left) and so many bytes.
pub fn reply(data: &[u8]) {
    let Some((&which, answers)) = data.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(run(which, Bytes::copy_from_slice(answers)));
}

async fn run(which: u8, answers: Bytes) {
    let (dialled, dials) = mpsc::unbounded_channel();
    let transport = Transport::custom(move |_, _| {
        let (near, far) = duplex(1 << 20);
        let sent = dialled.send(far).map(|()| near);
        async { sent.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused)) }
    });
    let servers = vec![Server { host: "zk".to_owned(), port: 2181 }];
    let builder = Builder::servers(servers).transport(transport).seed(7);
    let peer = tokio::spawn(Peer { dials, answers: answers.clone(), given: 0 }.serve());
    let client = builder.connect().await.expect("a session");
    let handle = if which & 0x80 == 0 { client.clone() } else { client.chroot("/app").expect("a path") };
    let outcome = soon(ask(&handle, which & 0x7f)).await;
    if let Some((op, outcome)) = &outcome {
        as_jute_reads(*op, outcome, &answers);
    }
    if !matches!(client.state(), State::Ended(_)) {
        let (data, _) = soon(client.get("/after")).await.expect("the next call is not the worse for it");
        assert_eq!(data, "v");
        assert_eq!(client.stats().in_flight, 0);
    }
    drop(handle);
    let _ = soon(client.close()).await;
    drop(client);
    peer.abort();
}

async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it ends")
}

/// What was asked and whether it was answered, for the operations that decode one record and no more.
type Asked = Option<(OpCode, Result<(), Error>)>;

/// Asks, and looks at everything that an answer yields.
async fn ask(zk: &Client, which: u8) -> Asked {
    match which {
        0..=15 => return single(zk, which).await,
        16..=31 => several(zk, which).await,
        _ => others(zk, which).await,
    }
    None
}

fn seen<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Result<(), Error> {
    match outcome {
        Ok(value) => {
            assert!(!format!("{value:?}").is_empty());
            Ok(())
        }
        Err(error) => {
            assert!(!format!("{error} {error:?}").is_empty());
            let _ =
                (error.who(), error.code(), error.fate(), error.cause(), error.is_retryable(), error.path());
            assert!(!(error.is_session_lost() && error.code() == Some(ErrorCode::NO_NODE)));
            Err(error)
        }
    }
}

async fn single(zk: &Client, which: u8) -> Asked {
    let (op, outcome) = match which {
        0 => (OpCode::GET_DATA, seen(zk.get("/a").await)),
        1 => (OpCode::EXISTS, seen(zk.exists("/a").await)),
        2 => {
            let listed = zk.children("/a").await;
            if let Ok((children, _)) = &listed {
                assert_eq!(children.iter().map(str::to_owned).collect::<Vec<_>>(), children.to_vec());
                assert_eq!(
                    (children.to_vec().is_empty(), children.into_iter().len()),
                    (children.is_empty(), children.len())
                );
                assert_eq!(children.contains("a"), children.iter().any(|name| name == "a"));
            }
            (OpCode::GET_CHILDREN2, seen(listed))
        }
        3 => (OpCode::SET_DATA, seen(zk.set("/a", "x").version(3).await)),
        4 => (OpCode::GET_ACL, seen(zk.acl("/a").await)),
        5 => (OpCode::SET_ACL, seen(zk.set_acl("/a", Acl::OPEN).version(1).await)),
        6 => (OpCode::WHO_AM_I, seen(zk.who_am_i().await)),
        7 => (OpCode::GET_ALL_CHILDREN_NUMBER, seen(zk.count_descendants("/a").await)),
        8 => (OpCode::GET_EPHEMERALS, seen(zk.ephemerals("/a").await)),
        9 => (OpCode::CREATE2, seen(zk.create("/a").data("x").send().await)),
        _ => return None,
    };
    Some((op, outcome))
}

async fn several(zk: &Client, which: u8) {
    match which {
        16 => {
            let all = zk.transaction().create("/a", "x").set("/b", "y").delete("/c").check("/d", 1);
            let all = all.create_with("/e", "z", |create| create.ephemeral().sequential().acl(Acl::READ));
            if let Ok(results) = all.set_version("/f", "", 2).delete_version("/g", 3).commit().await {
                assert_eq!(results.len(), 7);
            }
        }
        17 => {
            let one = zk.transaction().create_with("/e", "z", |create| create.ttl(Duration::from_secs(5)));
            let one = one.create_with("/c", "", |create| create.container()).timeout(Duration::from_secs(9));
            drop(seen(one.commit().await));
        }
        18 => {
            if let Ok(results) = zk.get_many(["/a", "/b", "/c"]).await {
                assert_eq!(results.len(), 3);
                results.into_iter().for_each(|result| drop(seen(result.into_data())));
            }
        }
        19 => drop(seen(zk.children_many(["/a", "/b"]).await)),
        20 => {
            let steps = vec![ReadStep::Get("/a".into()), ReadStep::Children("/b".into())];
            drop(seen(zk.read_many(steps).await));
        }
        21 => drop(seen(zk.sync("/a").get("/a").await)),
        22 => drop(seen(zk.delete_recursive("/a").await)),
        23 => drop(seen(zk.create("/a/b/c").data("x").parents().await)),
        24 => drop(seen(zk.create("/a/n-").ephemeral().sequential().protected().await)),
        25 => drop(seen(zk.create("/a").container().await)),
        26 => drop(seen(zk.create("/a").ttl(Duration::from_secs(1)).sequential().await)),
        27 => drop(seen(zk.create("/a").ephemeral().acl(Acl::READ).timeout(Duration::from_secs(9)).await)),
        28 => drop(seen(zk.create("/a").ephemeral().ttl(Duration::from_secs(1)).await)),
        29 => drop(seen(zk.transaction().commit().await)),
        30 => drop(seen(zk.get_many(["/a", "bad"]).await)),
        _ => drop(seen(zk.ensure_chroot().await)),
    }
}

async fn others(zk: &Client, which: u8) {
    match which {
        32 => drop(seen(zk.get("/a").watch().await)),
        33 => drop(seen(zk.exists("/a").watch().await)),
        34 => drop(seen(zk.children("/a").watch().await)),
        35 => drop(seen(zk.config().await)),
        36 => drop(seen(zk.config().watch().await)),
        37 => drop(seen(zk.reconfig("server.1=a:1:2;3", "2").version(4).await)),
        38 => drop(seen(zk.reconfig_members("server.1=a:1:2;3").await)),
        39 => drop(seen(zk.watch("/a").await)),
        40 => drop(seen(zk.watch("/a").recursive().await)),
        41 => drop(seen(zk.delete("/a").version(3).await)),
        42 => drop(seen(zk.sync("/a").await)),
        43 => drop(seen(zk.add_auth("digest", "u:p").await)),
        44 => drop(seen(zk.set("relative", "x").await)),
        45 => {
            assert!(!format!("{:?} {:?}", zk.create("/a").data("x"), zk.set("/a", "x")).is_empty());
            let steps = zk.transaction().create("/a", "x").set("/b", "y").delete("/c").check("/d", 1);
            assert!(!format!("{steps:?}").is_empty());
        }
        _ => {}
    }
}

/// Where one answer was given to one question, it is read exactly if the codec reads it.
fn as_jute_reads(op: OpCode, outcome: &Result<(), Error>, answers: &Bytes) {
    let mut answers = answers.clone();
    let Some((ErrorCode::OK, body)) = next_answer(&mut answers) else { return };
    let payload =
        [&framed(&[&ReplyHeader { xid: Xid(1), zxid: 5, err: ErrorCode::OK }])[4..], &body].concat();
    let read = Reply::decode_lenient(payload.into(), op).is_ok();
    assert_eq!(outcome.is_ok(), read, "{op:?} is read by one and not by the other: {outcome:?}");
}

/// The next answer of the script: its code and its body.
fn next_answer(answers: &mut Bytes) -> Option<(ErrorCode, Bytes)> {
    let [code, len] = *answers.first_chunk()?;
    answers.advance(2);
    let len = if len == 255 { answers.len() } else { usize::from(len).min(answers.len()) };
    Some((CODES[usize::from(code) % CODES.len()], answers.split_to(len)))
}

/// The server: says what the script says, and when that is over that there is nothing.
struct Peer {
    dials: mpsc::UnboundedReceiver<DuplexStream>,
    answers: Bytes,
    given: u32,
}

impl Peer {
    async fn serve(mut self) {
        while let Some(stream) = self.dials.recv().await {
            // Whatever goes wrong on a connection, there may be another.
            let _ = self.connection(stream).await;
        }
    }

    async fn connection(&mut self, mut stream: DuplexStream) -> io::Result<()> {
        let mut input = BytesMut::new();
        let _greeting = payload(&mut stream, &mut input).await?;
        let granted = ConnectResponse {
            protocol_version: 0,
            time_out: 10_000,
            session_id: 0x0100_0000_0000_0042,
            passwd: Some(Bytes::from_static(&[7; 16])),
            read_only: Some(false),
        };
        let granted = framed(&[&granted]);
        stream.write_all(&granted).await?;
        loop {
            let request = payload(&mut stream, &mut input).await?;
            let answer = self.answer(request);
            stream.write_all(&answer).await?;
        }
    }

    fn answer(&mut self, request: Bytes) -> Bytes {
        let mut reader = Reader::new(request);
        let Ok(RequestHeader { xid, op }) = reader.record() else {
            panic!("the client writes whole requests")
        };
        let body = reader.rest();
        let own =
            matches!(op, OpCode::PING | OpCode::CLOSE_SESSION | OpCode::SET_WATCHES | OpCode::SET_WATCHES2);
        let header = |err: ErrorCode| ReplyHeader {
            xid,
            zxid: if err == ErrorCode::UNIMPLEMENTED { -1 } else { 5 },
            err,
        };
        if own {
            return framed(&[&header(ErrorCode::OK)]);
        }
        if body.windows(6).any(|window| window == b"/after") {
            let data = Some(Bytes::from_static(b"v"));
            return framed(&[&header(ErrorCode::OK), &GetDataResponse { data, stat: Default::default() }]);
        }
        self.given += 1;
        let (code, body) = match self.given {
            0..=64 => next_answer(&mut self.answers).unwrap_or((ErrorCode::NO_NODE, Bytes::new())),
            _ => (ErrorCode::NO_NODE, Bytes::new()),
        };
        framed(&[&header(code), &Raw(body)])
    }
}

/// Bytes as they are.
struct Raw(Bytes);

impl Encode for Raw {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.0);
    }
}

async fn payload(stream: &mut DuplexStream, input: &mut BytesMut) -> io::Result<Bytes> {
    loop {
        if let Ok(Some(payload)) = menagerie::jute::split_frame(input, usize::MAX) {
            return Ok(payload);
        }
        if stream.read_buf(input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
