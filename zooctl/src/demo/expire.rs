//! Ends somebody's session for real: whoever has its id and password can.

use std::time::Duration;

use anyhow::{Result, ensure};
use menagerie::session::{Credentials, Server};
use menagerie_jute::{
    ConnectRequest, ConnectResponse, Encode as _, OpCode, Reader, RequestHeader, Writer, Xid,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer to a handshake that is read, in bytes.
const ANSWER_LEN_BYTES: usize = 1_024;

/// Takes the session over on a connection of its own, and closes it: ConnectRequest and closeSession in one segment.
pub(super) async fn expire(server: &Server, credentials: &Credentials) -> Result<()> {
    timeout(PATIENCE, close(server, credentials)).await?
}

async fn close(server: &Server, credentials: &Credentials) -> Result<()> {
    let mut stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
    let mut out = Writer::new();
    let frame = out.frame();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        time_out: 10_000,
        session_id: credentials.session_id,
        passwd: Some(credentials.password.clone()),
        read_only: Some(false),
    };
    request.encode(&mut out);
    out.close(frame);
    let frame = out.frame();
    RequestHeader { xid: Xid(1), op: OpCode::CLOSE_SESSION }.encode(&mut out);
    out.close(frame);
    stream.write_all(&out.into_bytes()).await?;
    let len = usize::try_from(stream.read_i32().await?).unwrap_or(usize::MAX);
    ensure!(len <= ANSWER_LEN_BYTES, "the server answered with {len} bytes");
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer).await?;
    let response: ConnectResponse = Reader::new(answer.into()).record()?;
    ensure!(response.session_id == credentials.session_id, "the session was gone before it could be expired");
    // The server closes once the session is.
    let mut rest = Vec::new();
    (&mut stream).take(ANSWER_LEN_BYTES as u64).read_to_end(&mut rest).await?;
    Ok(())
}
