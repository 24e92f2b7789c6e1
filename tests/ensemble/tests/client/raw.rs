//! A connection without a client: handshakes by hand.

use menagerie::{
    jute::{ConnectRequest, ConnectResponse, Encode, OpCode, Reader, RequestHeader, Writer, Xid},
    session::Credentials,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longest silence of a server that a test puts up with.
const SILENCE: Duration = Duration::from_secs(20);

fn frame(out: &mut Writer, record: &dyn Encode) {
    let frame = out.frame();
    record.encode(out);
    out.close(frame);
}

/// Ends a session for real, behind its client's back: takes it over and closes it in one segment. Returns the session id
/// that the server answered with.
pub(crate) fn expire(server: SocketAddr, credentials: &Credentials) -> i64 {
    let mut out = Writer::new();
    let handshake = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        time_out: 10_000,
        session_id: credentials.session_id,
        passwd: Some(credentials.password.clone()),
        read_only: Some(false),
    };
    frame(&mut out, &handshake);
    frame(&mut out, &RequestHeader { xid: Xid(1), op: OpCode::CLOSE_SESSION });
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    stream.write_all(&out.into_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let mut reader = Reader::new(answer[4..].to_vec().into());
    reader.record::<ConnectResponse>().unwrap().session_id
}
