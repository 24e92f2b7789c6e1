//! Several writes under one number: all of them, or nothing.

use std::collections::BTreeMap;

use super::prepare::{Wish, is_known};
use super::rules::Like;
use super::stage::Stage;
use super::txn::Change;
use crate::jute::{ErrorCode, MultiRequest, Op, OpCode};

/// What a multi comes to.
pub(super) fn prepare(mut stage: Stage<'_>, request: &MultiRequest) -> Change {
    let like = stage.rules.like;
    if !request.ops.iter().all(|op| is_readable(like, &op.op)) {
        return Change::Refused(ErrorCode::MARSHALLING_ERROR);
    }
    stage.changed = Some(BTreeMap::new());
    let mut changes = Vec::with_capacity(request.ops.len());
    for op in &request.ops {
        match stage.part(&op.op) {
            Ok(change) => changes.push(change),
            Err(ErrorCode::MARSHALLING_ERROR) => return Change::Refused(ErrorCode::MARSHALLING_ERROR),
            Err(_) if planted!("server_multi_not_rolled_back") => break,
            Err(code) => return refused(changes.len(), code, request.ops.len()),
        }
    }
    Change::Multi(changes)
}

/// 0 for what stood before the one that failed, -2 for what stands behind it.
fn refused(before: usize, code: ErrorCode, all: usize) -> Change {
    let mut codes = vec![ErrorCode::OK; before];
    codes.push(code);
    codes.resize(all, ErrorCode::RUNTIME_INCONSISTENCY);
    Change::RefusedMulti(codes)
}

/// Whether a server of that version can read the operation; over one that it cannot the whole multi fails.
fn is_readable(like: Like, op: &Op) -> bool {
    let first = match op.op() {
        OpCode::CREATE | OpCode::DELETE | OpCode::SET_DATA | OpCode::CHECK => Like::V3_4,
        OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => Like::V3_5,
        OpCode::CREATE2 => Like::V3_8,
        _ => return false,
    };
    let flags = match op {
        Op::Create(request) | Op::Create2(request) | Op::CreateContainer(request) => request.flags,
        Op::CreateTtl(request) => request.flags,
        _ => return like >= first,
    };
    like >= first && is_known(like, flags)
}

impl Stage<'_> {
    fn part(&mut self, op: &Op) -> Result<Change, ErrorCode> {
        match op {
            Op::Create(request) | Op::Create2(request) | Op::CreateContainer(request) => {
                self.create(&Wish::top(op.op(), request).in_multi())
            }
            Op::CreateTtl(request) => self.create(&Wish::with_ttl(request).in_multi()),
            Op::Delete(request) => self.delete(request),
            Op::SetData(request) => self.set_data(request),
            Op::Check(request) => self.check(request),
            _ => Err(ErrorCode::MARSHALLING_ERROR),
        }
    }
}
