//! The handshake: the first frame each way, without a header.

use bytes::Bytes;

use crate::field::record;

record! {
    /// Opens a session, or takes one up again.
    secret struct ConnectRequest {
        /// Always 0.
        protocol_version: i32 = "protocolVersion",
        /// The largest zxid this client has seen; 0 if none. A server that is behind it hangs up.
        last_zxid_seen: i64 = "lastZxidSeen",
        /// The session timeout wished for, in milliseconds.
        time_out: i32 = "timeOut",
        /// 0 for a new session.
        session_id: i64 = "sessionId",
        /// 16 bytes: zero for a new session.
        passwd: Option<Bytes> = "passwd",
        /// Whether a read-only server will do; `None` if the frame ends before it, as before 3.4.
        read_only: Option<bool> = "readOnly",
    }
}

record! {
    /// The session, or its refusal.
    secret struct ConnectResponse {
        /// 0.
        protocol_version: i32 = "protocolVersion",
        /// The timeout granted, in milliseconds; 0 or less when the session is refused.
        time_out: i32 = "timeOut",
        /// The session's id; 0 when it is refused.
        session_id: i64 = "sessionId",
        /// 16 bytes; zero when the session is refused.
        passwd: Option<Bytes> = "passwd",
        /// Whether the server is read-only; `None` if the frame ends before it: servers answer it only when asked.
        read_only: Option<bool> = "readOnly",
    }
}
