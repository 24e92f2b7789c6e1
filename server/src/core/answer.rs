//! What the writer hears: the answer to a change, and what it looks like on the wire.

use std::sync::Arc;

use super::rules::Like;
use super::txn::TreeEvent;
use crate::jute::{
    Create2Response, CreateResponse, Encode, ErrorCode, ErrorResponse, MultiHeader, MultiResponse,
    MultiResult, OpCode, OpResult, Raw, ReplyBody, SetAclResponse, SetDataResponse, Stat, Ustring, Writer,
};

/// What applying an entry of the log made known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// To whoever asked for it.
    pub answer: Answer,
    /// To whoever watches, in the order of delivery.
    pub events: Vec<TreeEvent>,
}

/// How a change came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A session began or ended, a znode was deleted, a version was right: nothing to tell.
    Done(OpCode),
    /// A znode was created.
    Created {
        /// Full path, with its number if it is sequential.
        path: Arc<str>,
        /// For create2 and its kin.
        stat: Option<Stat>,
    },
    /// Data was set.
    DataSet(Stat),
    /// An access control list was set.
    AclSet(Stat),
    /// All operations of a multi were done: an answer to each.
    Multi(Vec<Answer>),
    /// Nothing was done.
    Refused(ErrorCode),
    /// Nothing of a multi was done: 0 before the operation that failed, its code, -2 behind it.
    RefusedMulti(Vec<ErrorCode>),
}

impl Answer {
    /// The reply header's error, and the body behind it. A failed multi is a success to its header.
    #[must_use]
    pub fn into_reply(self) -> (ErrorCode, ReplyBody) {
        let body = match self {
            Self::Done(_) => ReplyBody::Empty,
            Self::Created { path, stat: None } => {
                ReplyBody::Create(CreateResponse { path: Ustring::from(&*path) })
            }
            Self::Created { path, stat: Some(stat) } => {
                ReplyBody::Create2(Create2Response { path: Ustring::from(&*path), stat })
            }
            Self::DataSet(stat) => ReplyBody::SetData(SetDataResponse { stat }),
            Self::AclSet(stat) => ReplyBody::SetAcl(SetAclResponse { stat }),
            Self::Multi(answers) => {
                ReplyBody::Multi(MultiResponse::new(answers.into_iter().map(Self::into_result)))
            }
            Self::Refused(code) => return (code, ReplyBody::Empty),
            Self::RefusedMulti(codes) => {
                let results = codes.into_iter().map(|err| OpResult::Error(ErrorResponse { err }));
                ReplyBody::Multi(MultiResponse::new(results))
            }
        };
        (ErrorCode::OK, body)
    }

    /// As one of the results of a multi.
    fn into_result(self) -> OpResult {
        match self {
            Self::Created { path, stat: None } => {
                OpResult::Create(CreateResponse { path: Ustring::from(&*path) })
            }
            Self::Created { path, stat: Some(stat) } => {
                OpResult::Create2(Create2Response { path: Ustring::from(&*path), stat })
            }
            Self::DataSet(stat) => OpResult::SetData(SetDataResponse { stat }),
            Self::Done(OpCode::DELETE) => OpResult::Delete,
            Self::Done(_) => OpResult::Check,
            Self::Refused(err) => OpResult::Error(ErrorResponse { err }),
            // Nothing of this can stand in a multi.
            Self::AclSet(_) | Self::Multi(_) | Self::RefusedMulti(_) => {
                OpResult::Error(ErrorResponse { err: ErrorCode::MARSHALLING_ERROR })
            }
        }
    }
}

/// The body that answers a multiRead: of each read its operation, and its result or error.
///
/// ClickHouse Keeper leaves a failed read the type of its operation and sends no record behind that header.
#[must_use]
pub fn multi_read_body(like: Like, reads: Vec<(OpCode, Result<OpResult, ErrorCode>)>) -> ReplyBody {
    let error = |err| OpResult::Error(ErrorResponse { err });
    if like != Like::Keeper {
        let results = reads.into_iter().map(|(_, result)| result.unwrap_or_else(error));
        return ReplyBody::MultiRead(MultiResponse::new(results));
    }
    let mut out = Writer::new();
    for (op, result) in reads {
        match result {
            Ok(result) => MultiResult::from(result).encode(&mut out),
            Err(err) => MultiHeader { op, done: false, err }.encode(&mut out),
        }
    }
    MultiHeader::END.encode(&mut out);
    ReplyBody::Raw(Raw(out.into_bytes()))
}
