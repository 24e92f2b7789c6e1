//! Requests that change neither the tree nor a session: reads, sync, and what is asked about watches and identities.

use super::Like;
use super::connection::ConnectionId;
use super::log::Why;
use super::machine::Core;
use super::multi_read_body;
use super::watches::Kind;
use crate::jute::{
    AddWatchMode, ClientInfo, ErrorCode, ErrorResponse, ExistsResponse, GetAclResponse,
    GetAllChildrenNumberResponse, GetChildren2Response, GetChildrenResponse, GetDataResponse,
    GetEphemeralsResponse, Id, MultiRequest, Op, OpCode, OpResult, ReplyBody, RequestBody, SyncResponse,
    Ustring, WhoAmIResponse,
};

/// What a result costs beside its data, about.
const RESULT_COST_BYTES: usize = 100;

/// What became of one read of a multiRead.
type ReadResult = (OpCode, Result<OpResult, ErrorCode>);

impl Core {
    pub(super) fn read(
        &mut self,
        id: ConnectionId,
        session: i64,
        op: OpCode,
        body: &RequestBody,
    ) -> Result<ReplyBody, ErrorCode> {
        match body {
            RequestBody::GetData(read) => {
                let (data, stat) = self.tree.reads(self.access(id)).data(named(&read.path)?)?;
                self.watch_if(read.watch, id, &read.path, Kind::Data);
                Ok(ReplyBody::GetData(GetDataResponse { data, stat }))
            }
            RequestBody::Exists(read) => {
                let found = self.tree.reads(self.access(id)).exists(named(&read.path)?);
                // A znode that is not there can be watched all the same.
                let seen = found.is_ok()
                    || found == Err(ErrorCode::NO_NODE) && !planted!("server_missing_unwatched");
                self.watch_if(read.watch && seen, id, &read.path, Kind::Data);
                Ok(ReplyBody::Exists(ExistsResponse { stat: found? }))
            }
            RequestBody::GetChildren(read) => {
                let (children, _) = self.tree.reads(self.access(id)).children(named(&read.path)?)?;
                self.watch_if(read.watch, id, &read.path, Kind::Child);
                Ok(ReplyBody::GetChildren(GetChildrenResponse { children: Some(children) }))
            }
            RequestBody::GetChildren2(read) => {
                let (children, stat) = self.tree.reads(self.access(id)).children(named(&read.path)?)?;
                self.watch_if(read.watch, id, &read.path, Kind::Child);
                Ok(ReplyBody::GetChildren2(GetChildren2Response { children: Some(children), stat }))
            }
            RequestBody::GetAcl(read) => {
                let (acl, stat) = self.tree.reads(self.access(id)).acl(named(&read.path)?)?;
                Ok(ReplyBody::GetAcl(GetAclResponse { acl: Some(acl), stat }))
            }
            RequestBody::GetAllChildrenNumber(read) => {
                let total_number =
                    self.tree.reads(self.access(id)).all_children_number(named(&read.path)?)?;
                Ok(ReplyBody::GetAllChildrenNumber(GetAllChildrenNumberResponse { total_number }))
            }
            RequestBody::GetEphemerals(read) => {
                let found = self.tree.reads(self.access(id)).ephemerals(session, read.prefix_path.as_str());
                Ok(ReplyBody::GetEphemerals(GetEphemeralsResponse { ephemerals: Some(found) }))
            }
            RequestBody::MultiRead(multi) => match self.multi_read(id, multi)? {
                Some(results) => Ok(multi_read_body(self.rules.like, results)),
                None => {
                    self.drop_connection(id, Why::TooLarge);
                    Err(ErrorCode::SYSTEM_ERROR)
                }
            },
            RequestBody::Sync(sync) => Ok(ReplyBody::Sync(SyncResponse { path: sync.path.clone() })),
            _ if op == OpCode::WHO_AM_I => Ok(ReplyBody::WhoAmI(self.who_am_i(id))),
            _ if op == OpCode::PING => Ok(ReplyBody::Empty),
            _ => self.about_watches(id, body),
        }
    }

    fn about_watches(&mut self, id: ConnectionId, body: &RequestBody) -> Result<ReplyBody, ErrorCode> {
        let known = match body {
            RequestBody::AddWatch(watch) => {
                let kind = match watch.mode {
                    AddWatchMode::PERSISTENT => Kind::Persistent,
                    AddWatchMode::PERSISTENT_RECURSIVE => Kind::Recursive,
                    _ => return Err(ErrorCode::MARSHALLING_ERROR),
                };
                if watch.path.is_null() {
                    return Err(ErrorCode::MARSHALLING_ERROR);
                }
                self.watch(id, watch.path.as_str(), kind);
                return Ok(ReplyBody::AddWatch(ErrorResponse { err: ErrorCode::OK }));
            }
            RequestBody::SetWatches(set) => {
                let lists = [&set.data_watches, &set.exist_watches, &set.child_watches, &None, &None];
                self.restore_watches(id, set.relative_zxid, lists);
                return Ok(ReplyBody::Empty);
            }
            RequestBody::SetWatches2(set) => {
                let lists = [
                    &set.data_watches,
                    &set.exist_watches,
                    &set.child_watches,
                    &set.persistent_watches,
                    &set.persistent_recursive_watches,
                ];
                self.restore_watches(id, set.relative_zxid, lists);
                return Ok(ReplyBody::Empty);
            }
            // Before 3.9 the question went to a map that takes no null.
            RequestBody::CheckWatches(watch) if watch.path.is_null() && self.rules.like < Like::V3_9 => None,
            RequestBody::CheckWatches(watch) => self.watches.has(id, watch.path.as_str(), watch.watcher_type),
            RequestBody::RemoveWatches(watch) => {
                self.watches.remove(id, watch.path.as_str(), watch.watcher_type)
            }
            _ => return Err(ErrorCode::MARSHALLING_ERROR),
        };
        match known {
            Some(true) => Ok(ReplyBody::Empty),
            Some(false) => Err(ErrorCode::NO_WATCHER),
            None => Err(ErrorCode::MARSHALLING_ERROR),
        }
    }

    /// Reads only, each with a result of its own, and none of them watches. `None` if the answer would be larger than any may be.
    fn multi_read(
        &self,
        id: ConnectionId,
        multi: &MultiRequest,
    ) -> Result<Option<Vec<ReadResult>>, ErrorCode> {
        let reads = self.tree.reads(self.access(id));
        let mut results = Vec::with_capacity(multi.ops.len());
        let mut len = 0_usize;
        for op in &multi.ops {
            let result = match &op.op {
                Op::GetData(read) => reads
                    .data(named(&read.path)?)
                    .map(|(data, stat)| OpResult::GetData(GetDataResponse { data, stat })),
                Op::GetChildren(read) => reads.children(named(&read.path)?).map(|(children, _)| {
                    OpResult::GetChildren(GetChildrenResponse { children: Some(children) })
                }),
                _ => return Err(ErrorCode::MARSHALLING_ERROR),
            };
            if planted!("server_multi_read_all_or_none") {
                result.as_ref().map_err(|code| *code)?;
            }
            len = len.saturating_add(result.as_ref().map_or(RESULT_COST_BYTES, result_len));
            if len > self.limits.answer_len && !planted!("server_answer_unbounded") {
                return Ok(None);
            }
            results.push((op.op.op(), result));
        }
        Ok(Some(results))
    }

    fn who_am_i(&self, id: ConnectionId) -> WhoAmIResponse {
        let info = |id: &Id| {
            let user = match id.scheme.as_str() {
                "digest" if !planted!("server_who_tells_hash") => {
                    id.id.as_str().split(':').next().unwrap_or_default()
                }
                _ => id.id.as_str(),
            };
            ClientInfo { auth_scheme: id.scheme.clone(), user: Ustring::from(user) }
        };
        WhoAmIResponse { client_info: Some(self.access(id).ids.iter().map(info).collect()) }
    }

    fn watch_if(&mut self, wanted: bool, id: ConnectionId, path: &Ustring, kind: Kind) {
        if wanted {
            self.watch(id, path.as_str(), kind);
        }
    }
}

/// The real server fails over a null path; the empty one is the root.
fn named(path: &Ustring) -> Result<&str, ErrorCode> {
    path.text().ok_or(ErrorCode::MARSHALLING_ERROR)
}

/// Bytes of a result that the tree is asked for, about. Names cost as much again in memory until they are written.
fn result_len(result: &OpResult) -> usize {
    let more = match result {
        OpResult::GetData(read) => read.data.as_ref().map_or(0, bytes::Bytes::len),
        OpResult::GetChildren(read) => {
            let names = read.children.iter().flatten();
            names.map(|name| name.as_str().len() + RESULT_COST_BYTES).sum()
        }
        _ => 0,
    };
    RESULT_COST_BYTES.saturating_add(more)
}
