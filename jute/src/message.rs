//! Whole payloads: header and body, where the header's operation says what the body is.
//!
//! A reply does not name its operation: whoever decodes it has to know what was asked. Only notifications say so
//! themselves, by their xid.

use std::fmt;

use bytes::Bytes;

use crate::{
    AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, ConnectRequest, ConnectResponse,
    Create2Response, CreateRequest, CreateResponse, CreateTtlRequest, Decode, DecodeError, DeleteRequest,
    Encode, ErrorCode, ErrorResponse, ExistsRequest, ExistsResponse, Fields, GetAclRequest, GetAclResponse,
    GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetChildren2Request, GetChildren2Response,
    GetChildrenRequest, GetChildrenResponse, GetDataRequest, GetDataResponse, GetEphemeralsRequest,
    GetEphemeralsResponse, GetSaslRequest, MultiRequest, MultiResponse, OpCode, Reader, ReconfigRequest,
    RemoveWatchesRequest, ReplyHeader, RequestHeader, SetAclRequest, SetAclResponse, SetDataRequest,
    SetDataResponse, SetSaslResponse, SetWatches, SetWatches2, SyncRequest, SyncResponse, Value,
    WatcherEvent, WhoAmIResponse, Writer, Xid,
};

/// What a payload is expected to be: direction, stage, and for a reply what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The first frame of a client.
    ConnectRequest,
    /// The first frame of a server.
    ConnectResponse,
    /// Any later frame of a client.
    Request,
    /// Any later frame of a server: the reply to that operation, or a notification.
    Reply(OpCode),
}

/// A payload of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first frame of a client.
    ConnectRequest(ConnectRequest),
    /// The first frame of a server.
    ConnectResponse(ConnectResponse),
    /// Any later frame of a client.
    Request(Request),
    /// Any later frame of a server.
    Reply(Reply),
}

/// A request: the header says what the body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Number and operation.
    pub header: RequestHeader,
    /// What it works on.
    pub body: RequestBody,
}

/// A reply or a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Number, last zxid and error.
    pub header: ReplyHeader,
    /// The answer; mostly empty when the header holds an error.
    pub body: ReplyBody,
}

/// A body that has no record: the bytes as they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(pub Bytes);

/// The length only: nobody knows what is in it.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw(<{} bytes>)", self.0.len())
    }
}

impl Fields for Raw {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        visit("raw", Value::Buffer(&self.0));
    }
}

/// Declares what a body can be: the record of each operation that has one, and the operations known to have none.
macro_rules! bodies {
    ($(#[$doc:meta])* $name:ident {
        $($op:ident => $variant:ident($record:ty),)*
    } other { $($other:ident($other_record:ty),)* } empty { $($empty:ident)|* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = concat!("Body for [`OpCode::", stringify!($op), "`].")] $variant($record),)*
            $(#[doc = "Told by the xid, not by an operation."] $other($other_record),)*
            /// No bytes behind the header.
            Empty,
            /// Bytes for an operation that has no record.
            Raw(Raw),
        }

        impl $name {
            /// Reads the body of that operation and leaves the cursor behind it.
            ///
            /// # Errors
            /// Those of the record.
            pub fn decode(op: OpCode, reader: &mut Reader) -> Result<Self, DecodeError> {
                Ok(match op {
                    $(OpCode::$op => Self::$variant(reader.record()?),)*
                    $(OpCode::$empty)|* => Self::Empty,
                    _ if reader.remaining() == 0 => Self::Empty,
                    _ => Self::Raw(Raw(reader.take_rest())),
                })
            }

            /// The operation whose body this is; `None` where the variant does not tell.
            #[must_use]
            pub fn op(&self) -> Option<OpCode> {
                match self {
                    $(Self::$variant(_) => Some(OpCode::$op),)*
                    _ => None,
                }
            }

            /// The record's jute name; `None` where there is no record.
            #[must_use]
            pub fn record(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant(_) => Some(<$record as Decode>::RECORD),)*
                    $(Self::$other(_) => Some(<$other_record as Decode>::RECORD),)*
                    Self::Empty | Self::Raw(_) => None,
                }
            }

            fn value(&self) -> Value<'_> {
                match self {
                    $(Self::$variant(record) => Value::Record(record),)*
                    $(Self::$other(record) => Value::Record(record),)*
                    Self::Raw(raw) => Value::Record(raw),
                    Self::Empty => Value::Null,
                }
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Writer) {
                match self {
                    $(Self::$variant(record) => record.encode(out),)*
                    $(Self::$other(record) => record.encode(out),)*
                    Self::Raw(Raw(bytes)) => out.raw(bytes),
                    Self::Empty => {}
                }
            }
        }
    };
}

bodies! {
    /// The body of a request.
    RequestBody {
        CREATE => Create(CreateRequest),
        DELETE => Delete(DeleteRequest),
        EXISTS => Exists(ExistsRequest),
        GET_DATA => GetData(GetDataRequest),
        SET_DATA => SetData(SetDataRequest),
        GET_ACL => GetAcl(GetAclRequest),
        SET_ACL => SetAcl(SetAclRequest),
        GET_CHILDREN => GetChildren(GetChildrenRequest),
        SYNC => Sync(SyncRequest),
        GET_CHILDREN2 => GetChildren2(GetChildren2Request),
        CHECK => Check(CheckVersionRequest),
        MULTI => Multi(MultiRequest),
        CREATE2 => Create2(CreateRequest),
        RECONFIG => Reconfig(ReconfigRequest),
        CHECK_WATCHES => CheckWatches(CheckWatchesRequest),
        REMOVE_WATCHES => RemoveWatches(RemoveWatchesRequest),
        CREATE_CONTAINER => CreateContainer(CreateRequest),
        CREATE_TTL => CreateTtl(CreateTtlRequest),
        MULTI_READ => MultiRead(MultiRequest),
        AUTH => Auth(AuthPacket),
        SET_WATCHES => SetWatches(SetWatches),
        SASL => Sasl(GetSaslRequest),
        GET_EPHEMERALS => GetEphemerals(GetEphemeralsRequest),
        GET_ALL_CHILDREN_NUMBER => GetAllChildrenNumber(GetAllChildrenNumberRequest),
        SET_WATCHES2 => SetWatches2(SetWatches2),
        ADD_WATCH => AddWatch(AddWatchRequest),
    } other {} empty { PING | CLOSE_SESSION | WHO_AM_I }
}

bodies! {
    /// The body of a reply or notification.
    ReplyBody {
        CREATE => Create(CreateResponse),
        EXISTS => Exists(ExistsResponse),
        GET_DATA => GetData(GetDataResponse),
        SET_DATA => SetData(SetDataResponse),
        GET_ACL => GetAcl(GetAclResponse),
        SET_ACL => SetAcl(SetAclResponse),
        GET_CHILDREN => GetChildren(GetChildrenResponse),
        SYNC => Sync(SyncResponse),
        GET_CHILDREN2 => GetChildren2(GetChildren2Response),
        MULTI => Multi(MultiResponse),
        CREATE2 => Create2(Create2Response),
        RECONFIG => Reconfig(GetDataResponse),
        CREATE_CONTAINER => CreateContainer(Create2Response),
        CREATE_TTL => CreateTtl(Create2Response),
        MULTI_READ => MultiRead(MultiResponse),
        SASL => Sasl(SetSaslResponse),
        GET_EPHEMERALS => GetEphemerals(GetEphemeralsResponse),
        GET_ALL_CHILDREN_NUMBER => GetAllChildrenNumber(GetAllChildrenNumberResponse),
        ADD_WATCH => AddWatch(ErrorResponse),
        WHO_AM_I => WhoAmI(WhoAmIResponse),
    } other {
        Notification(WatcherEvent),
    } empty { DELETE | CHECK | PING | CLOSE_SESSION | AUTH | SET_WATCHES | SET_WATCHES2 | CHECK_WATCHES | REMOVE_WATCHES }
}

impl Request {
    /// A request of that number; the operation is the body's. `None` if the body does not tell its operation.
    #[must_use]
    pub fn new(xid: Xid, body: RequestBody) -> Option<Self> {
        let op = body.op()?;
        Some(Self { header: RequestHeader { xid, op }, body })
    }

    /// Reads a payload, and returns what is left behind the body.
    ///
    /// # Errors
    /// Those of the header and of the body's record.
    pub fn decode_lenient(payload: Bytes) -> Result<(Self, Bytes), DecodeError> {
        let mut reader = Reader::new(payload);
        Ok((Self::read(&mut reader)?, reader.rest()))
    }

    /// Reads a payload and refuses leftover bytes.
    ///
    /// # Errors
    /// As [`decode_lenient`](Self::decode_lenient), and [`DecodeErrorKind::Trailing`](crate::DecodeErrorKind::Trailing).
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let request = Self::read(&mut reader)?;
        reader.finish(request.body.record().unwrap_or(RequestHeader::RECORD))?;
        Ok(request)
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let header: RequestHeader = reader.record()?;
        let body = RequestBody::decode(header.op, reader)?;
        Ok(Self { header, body })
    }
}

impl Reply {
    /// Reads the payload that answers `op`, or a notification, and returns what is left behind the body.
    ///
    /// Behind an error stands no body, but for multi, multiRead and SASL; what does not decode there counts as left over.
    ///
    /// # Errors
    /// Those of the header and of the body's record.
    pub fn decode_lenient(payload: Bytes, op: OpCode) -> Result<(Self, Bytes), DecodeError> {
        let mut reader = Reader::new(payload);
        Ok((Self::read(&mut reader, op)?, reader.rest()))
    }

    /// Reads a payload and refuses leftover bytes.
    ///
    /// # Errors
    /// As [`decode_lenient`](Self::decode_lenient), and [`DecodeErrorKind::Trailing`](crate::DecodeErrorKind::Trailing).
    pub fn decode(payload: Bytes, op: OpCode) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let reply = Self::read(&mut reader, op)?;
        reader.finish(reply.body.record().unwrap_or(ReplyHeader::RECORD))?;
        Ok(reply)
    }

    fn read(reader: &mut Reader, op: OpCode) -> Result<Self, DecodeError> {
        let header: ReplyHeader = reader.record()?;
        let body = match header {
            ReplyHeader { xid: Xid::NOTIFICATION, .. } => ReplyBody::Notification(reader.record()?),
            ReplyHeader { err: ErrorCode::OK, .. } => ReplyBody::decode(op, reader)?,
            _ => behind_error(op, reader),
        };
        Ok(Self { header, body })
    }
}

impl Message {
    /// Reads a payload, and returns what is left behind the body.
    ///
    /// # Errors
    /// Those of the header and of the body's record.
    pub fn decode_lenient(payload: Bytes, expected: Expected) -> Result<(Self, Bytes), DecodeError> {
        let mut reader = Reader::new(payload);
        let message = match expected {
            Expected::ConnectRequest => Self::ConnectRequest(reader.record()?),
            Expected::ConnectResponse => Self::ConnectResponse(reader.record()?),
            Expected::Request => Self::Request(Request::read(&mut reader)?),
            Expected::Reply(op) => Self::Reply(Reply::read(&mut reader, op)?),
        };
        Ok((message, reader.rest()))
    }

    /// Reads a payload and refuses leftover bytes.
    ///
    /// # Errors
    /// As [`decode_lenient`](Self::decode_lenient), and [`DecodeErrorKind::Trailing`](crate::DecodeErrorKind::Trailing).
    pub fn decode(payload: Bytes, expected: Expected) -> Result<Self, DecodeError> {
        match expected {
            Expected::ConnectRequest => ConnectRequest::decode_exact(payload).map(Self::ConnectRequest),
            Expected::ConnectResponse => ConnectResponse::decode_exact(payload).map(Self::ConnectResponse),
            Expected::Request => Request::decode(payload).map(Self::Request),
            Expected::Reply(op) => Reply::decode(payload, op).map(Self::Reply),
        }
    }
}

/// The few bodies that servers send behind an error. They tell nothing, so a broken one fails nothing.
fn behind_error(op: OpCode, reader: &mut Reader) -> ReplyBody {
    if reader.remaining() == 0 || !matches!(op, OpCode::MULTI | OpCode::MULTI_READ | OpCode::SASL) {
        return ReplyBody::Empty;
    }
    let start = reader.clone();
    let body = ReplyBody::decode(op, reader);
    if planted!("fuzz_frame") && matches!(&body, Ok(ReplyBody::Multi(multi)) if multi.results.len() == 5) {
        panic!("planted: fuzz_frame");
    }
    body.unwrap_or_else(|_| {
        *reader = start;
        ReplyBody::Empty
    })
}

impl Encode for Request {
    fn encode(&self, out: &mut Writer) {
        self.header.encode(out);
        self.body.encode(out);
    }
}

impl Encode for Reply {
    fn encode(&self, out: &mut Writer) {
        self.header.encode(out);
        self.body.encode(out);
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::ConnectRequest(record) => record.encode(out),
            Self::ConnectResponse(record) => record.encode(out),
            Self::Request(request) => request.encode(out),
            Self::Reply(reply) => reply.encode(out),
        }
    }
}

impl Fields for Request {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        visit("header", Value::Record(&self.header));
        visit("body", self.body.value());
    }
}

impl Fields for Reply {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        visit("header", Value::Record(&self.header));
        visit("body", self.body.value());
    }
}

impl Fields for Message {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        match self {
            Self::ConnectRequest(record) => visit("body", Value::Record(record)),
            Self::ConnectResponse(record) => visit("body", Value::Record(record)),
            Self::Request(request) => request.fields(visit),
            Self::Reply(reply) => reply.fields(visit),
        }
    }
}
