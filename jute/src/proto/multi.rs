//! Transactions and bundled reads: a stream of header and record, ended by a header.

use crate::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest, Decode,
    DecodeError, DecodeErrorKind, DeleteRequest, Elements, Encode, ErrorCode, ErrorResponse, Fields,
    GetChildrenRequest, GetChildrenResponse, GetDataRequest, GetDataResponse, MultiHeader, OpCode, Reader,
    SetDataRequest, SetDataResponse, Text, Ustring, Value, Writer,
};

/// Body of multi and multiRead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiRequest<S = Ustring> {
    /// The operations, in order.
    pub ops: Vec<MultiOp<S>>,
    /// What stands behind the last: [`MultiHeader::END`] from every known client.
    pub end: MultiHeader,
}

/// One operation and what its header says besides the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiOp<S = Ustring> {
    /// -1 from every known client.
    pub err: ErrorCode,
    /// The operation.
    pub op: Op<S>,
}

/// Answers multi and multiRead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiResponse {
    /// The results, in the order of the operations.
    pub results: Vec<MultiResult>,
    /// What stands behind the last: [`MultiHeader::END`] from every known server.
    pub end: MultiHeader,
}

/// One result and what its header says besides the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiResult {
    /// 0, or the error that [`OpResult::Error`] repeats.
    pub err: ErrorCode,
    /// The result.
    pub result: OpResult,
}

/// Declares what can stand in a multi: operations or results, each with the type that announces it; first those with a
/// record, then those without.
macro_rules! alternatives {
    ($(#[$doc:meta])* $name:ident<$($text:ident)?> {
        $($(#[$variant_doc:meta])* $variant:ident($type:ty) = $op:ident,)*
        ;
        $($(#[$bare_doc:meta])* $bare:ident = $bare_op:ident,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name<$($text = Ustring)?> {
            $($(#[$variant_doc])* $variant($type),)*
            $($(#[$bare_doc])* $bare,)*
        }

        impl<$($text)?> $name<$($text)?> {
            /// The type that announces it.
            #[must_use]
            pub fn op(&self) -> OpCode {
                match self {
                    $(Self::$variant(_) => OpCode::$op,)*
                    $(Self::$bare => OpCode::$bare_op,)*
                }
            }
        }

        /// The record alone, without the header in front.
        impl<$($text: Text)?> Encode for $name<$($text)?> {
            fn encode(&self, out: &mut Writer) {
                match self {
                    $(Self::$variant(record) => record.encode(out),)*
                    $(Self::$bare => out.raw(&[]),)*
                }
            }
        }

        impl $name {
            /// Reads what `header`, read at `header_at`, announces.
            fn read(header: MultiHeader, header_at: usize, reader: &mut Reader) -> Result<Self, DecodeError> {
                Ok(match header.op {
                    $(OpCode::$op => Self::$variant(reader.record()?),)*
                    $(OpCode::$bare_op => Self::$bare,)*
                    OpCode(unknown) => {
                        return Err(DecodeError {
                            record: MultiHeader::RECORD,
                            field: "type",
                            offset: header_at,
                            kind: DecodeErrorKind::BadType(unknown),
                        });
                    }
                })
            }

            fn value(&self) -> Value<'_> {
                match self {
                    $(Self::$variant(record) => Value::Record(record),)*
                    $(Self::$bare => Value::Null,)*
                }
            }
        }
    };
}

alternatives! {
    /// An operation of a multi (writes and check) or of a multiRead (reads). Servers refuse a mixture.
    Op<S> {
        /// Create a znode.
        Create(CreateRequest<S>) = CREATE,
        /// Create a znode; servers from 3.7.2, 3.8.2 and 3.9 answer its stat.
        Create2(CreateRequest<S>) = CREATE2,
        /// Create a container.
        CreateContainer(CreateRequest<S>) = CREATE_CONTAINER,
        /// Create a znode with a time to live.
        CreateTtl(CreateTtlRequest<S>) = CREATE_TTL,
        /// Delete a znode.
        Delete(DeleteRequest<S>) = DELETE,
        /// Set data.
        SetData(SetDataRequest<S>) = SET_DATA,
        /// Check a version.
        Check(CheckVersionRequest<S>) = CHECK,
        /// List children.
        GetChildren(GetChildrenRequest<S>) = GET_CHILDREN,
        /// Read data.
        GetData(GetDataRequest<S>) = GET_DATA,
        ;
    }
}

alternatives! {
    /// The result of one operation. Its type is the server's choice and need not be that of the operation: a container is
    /// answered as create2, and old servers answer create2 as create.
    OpResult<> {
        /// A znode was created.
        Create(CreateResponse) = CREATE,
        /// A znode was created; with its stat.
        Create2(Create2Response) = CREATE2,
        /// As create2; no known server answers it.
        CreateContainer(Create2Response) = CREATE_CONTAINER,
        /// As create2; no known server answers it.
        CreateTtl(Create2Response) = CREATE_TTL,
        /// Data was set.
        SetData(SetDataResponse) = SET_DATA,
        /// Children.
        GetChildren(GetChildrenResponse) = GET_CHILDREN,
        /// Data.
        GetData(GetDataResponse) = GET_DATA,
        /// The operation failed, or did not happen: 0 in front of the one that failed, -2 behind it.
        Error(ErrorResponse) = ERROR,
        ;
        /// A znode was deleted.
        Delete = DELETE,
        /// The version was right.
        Check = CHECK,
    }
}

impl<S> MultiOp<S> {
    /// The header in front of the operation.
    #[must_use]
    pub fn header(&self) -> MultiHeader {
        MultiHeader { op: self.op.op(), done: false, err: self.err }
    }
}

impl<S> From<Op<S>> for MultiOp<S> {
    fn from(op: Op<S>) -> Self {
        Self { err: MultiHeader::END.err, op }
    }
}

impl<S> MultiRequest<S> {
    /// These operations, with the headers that every known client sends.
    pub fn new(ops: impl IntoIterator<Item = Op<S>>) -> Self {
        Self { ops: ops.into_iter().map(MultiOp::from).collect(), end: MultiHeader::END }
    }
}

impl MultiResult {
    /// The header in front of the result.
    #[must_use]
    pub fn header(&self) -> MultiHeader {
        MultiHeader { op: self.result.op(), done: false, err: self.err }
    }
}

/// With the header's error taken from the result.
impl From<OpResult> for MultiResult {
    fn from(result: OpResult) -> Self {
        let err = if let OpResult::Error(error) = &result { error.err } else { ErrorCode::OK };
        Self { err, result }
    }
}

impl MultiResponse {
    /// These results, with the headers that every known server sends.
    pub fn new(results: impl IntoIterator<Item = OpResult>) -> Self {
        Self { results: results.into_iter().map(MultiResult::from).collect(), end: MultiHeader::END }
    }
}

/// An operation with its header, for who streams operations instead of collecting them.
impl<S: Text> Encode for MultiOp<S> {
    fn encode(&self, out: &mut Writer) {
        self.header().encode(out);
        self.op.encode(out);
    }
}

impl<S: Text> Encode for MultiRequest<S> {
    fn encode(&self, out: &mut Writer) {
        self.ops.iter().for_each(|op| op.encode(out));
        self.end.encode(out);
    }
}

/// A result with its header.
impl Encode for MultiResult {
    fn encode(&self, out: &mut Writer) {
        self.header().encode(out);
        self.result.encode(out);
    }
}

impl Encode for MultiResponse {
    fn encode(&self, out: &mut Writer) {
        self.results.iter().for_each(|result| result.encode(out));
        self.end.encode(out);
    }
}

impl Decode for MultiRequest {
    const RECORD: &'static str = "MultiRequest";

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let (ops, end) = stream(reader, |header, at, reader| {
            Ok(MultiOp { err: header.err, op: Op::read(header, at, reader)? })
        })?;
        Ok(Self { ops, end })
    }
}

impl Decode for MultiResponse {
    const RECORD: &'static str = "MultiResponse";

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let (results, end) = stream(reader, |header, at, reader| {
            Ok(MultiResult { err: header.err, result: OpResult::read(header, at, reader)? })
        })?;
        Ok(Self { results, end })
    }
}

/// Reads headers and what they announce, up to the header that says it is the last.
fn stream<T>(
    reader: &mut Reader,
    mut item: impl FnMut(MultiHeader, usize, &mut Reader) -> Result<T, DecodeError>,
) -> Result<(Vec<T>, MultiHeader), DecodeError> {
    let mut items = Vec::new();
    loop {
        let at = reader.offset();
        let header: MultiHeader = reader.record()?;
        if header.done {
            return Ok((items, header));
        }
        if planted!("fuzz_record") && items.len() == 6 && header.op == OpCode::CREATE_TTL {
            panic!("planted: fuzz_record");
        }
        items.push(item(header, at, reader)?);
    }
}

impl Fields for MultiOp {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        visit("header", Value::Record(&self.header()));
        visit("record", self.op.value());
    }
}

impl Fields for MultiResult {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        visit("header", Value::Record(&self.header()));
        visit("record", self.result.value());
    }
}

impl Fields for MultiRequest {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        visit("ops", Value::List(&self.ops));
        visit("end", Value::Record(&self.end));
    }
}

impl Fields for MultiResponse {
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value<'_>)) {
        visit("ops", Value::List(&self.results));
        visit("end", Value::Record(&self.end));
    }
}

impl Elements for Vec<MultiOp> {
    fn elements(&self, visit: &mut dyn FnMut(Value<'_>)) {
        self.iter().for_each(|op| visit(Value::Record(op)));
    }
}

impl Elements for Vec<MultiResult> {
    fn elements(&self, visit: &mut dyn FnMut(Value<'_>)) {
        self.iter().for_each(|result| visit(Value::Record(result)));
    }
}
