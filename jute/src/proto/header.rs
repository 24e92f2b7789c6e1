//! What stands in front of every body after the handshake.

use crate::field::record;
use crate::{ErrorCode, OpCode, Xid};

record! {
    /// In front of every request.
    #[derive(Copy)]
    struct RequestHeader {
        /// Comes back in the reply.
        xid: Xid = "xid",
        /// What is asked for.
        op: OpCode = "type",
    }
}

record! {
    /// In front of every reply and notification.
    #[derive(Copy)]
    struct ReplyHeader {
        /// That of the request; -1 for a notification.
        xid: Xid = "xid",
        /// The last transaction applied when the reply was made: for a write, its own.
        zxid: i64 = "zxid",
        /// 0, or what went wrong; then there is mostly no body.
        err: ErrorCode = "err",
    }
}

record! {
    /// In front of every operation and result of a multi, and behind the last.
    #[derive(Copy)]
    struct MultiHeader {
        /// Which operation, or -1.
        op: OpCode = "type",
        /// Whether this is the end.
        done: bool = "done",
        /// In results 0 or the error; -1 otherwise.
        err: ErrorCode = "err",
    }
}

record! {
    /// A body that is an error code: of addWatch, and of a failed operation in a multi.
    #[derive(Copy)]
    struct ErrorResponse {
        /// The code.
        err: ErrorCode = "err",
    }
}

impl MultiHeader {
    /// What stands behind the last operation or result.
    pub const END: Self = Self { op: OpCode::ERROR, done: true, err: ErrorCode(-1) };

    /// What stands in front of an operation.
    #[must_use]
    pub const fn request(op: OpCode) -> Self {
        Self { op, done: false, err: ErrorCode(-1) }
    }
}
