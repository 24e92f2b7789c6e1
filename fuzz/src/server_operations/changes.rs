//! What writes do to the model, and what is answered.

use bytes::Bytes;
use menagerie_jute::{
    Create2Response, CreateResponse, ErrorCode, ErrorResponse, EventType, MultiResponse, OpResult, Perms,
    ReplyBody, SetAclResponse, SetDataResponse, Stat,
};

use super::model::{End, Model, Znode, parent_of, require};

/// Which create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Create2,
    Container,
    Ttl(i64),
}

/// A write.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Create {
        path: &'static str,
        kind: Kind,
        is_ephemeral: bool,
        is_sequential: bool,
        data: Option<Bytes>,
        perms: Perms,
    },
    Delete {
        path: &'static str,
        version: i32,
    },
    Set {
        path: &'static str,
        data: Option<Bytes>,
        version: i32,
    },
    SetAcl {
        path: &'static str,
        perms: Perms,
        version: i32,
    },
    Check {
        path: &'static str,
        version: i32,
    },
    Multi(Vec<Write>),
}

/// What one write comes to.
enum Done {
    Created(String, Option<Stat>, Kind),
    Deleted,
    Set(Stat),
    AclSet(Stat),
    Checked,
}

fn next(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    require(expected == -1 || expected == current, ErrorCode::BAD_VERSION)?;
    Ok(current + 1)
}

impl Model {
    /// A write under the next number: the error and the body of its answer.
    pub(super) fn write(&mut self, session: i64, write: &Write) -> (ErrorCode, ReplyBody) {
        self.zxid += 1;
        let answer = match write {
            Write::Multi(parts) => Ok(self.multi(session, parts)),
            one => self.one(session, one).map(Done::into_reply),
        };
        self.tell();
        answer.map_or_else(|code| (code, ReplyBody::Empty), |body| (ErrorCode::OK, body))
    }

    fn multi(&mut self, session: i64, parts: &[Write]) -> ReplyBody {
        let before = self.znodes.clone();
        let mut results = Vec::new();
        for part in parts {
            match self.one(session, part) {
                Ok(done) => results.push(done.into_result()),
                Err(code) => {
                    self.znodes = before;
                    self.changes.clear();
                    let mut codes = vec![ErrorCode::OK; results.len()];
                    codes.push(code);
                    codes.resize(parts.len(), ErrorCode::RUNTIME_INCONSISTENCY);
                    let errors = codes.into_iter().map(|err| OpResult::Error(ErrorResponse { err }));
                    return ReplyBody::Multi(MultiResponse::new(errors));
                }
            }
        }
        ReplyBody::Multi(MultiResponse::new(results))
    }

    fn one(&mut self, session: i64, write: &Write) -> Result<Done, ErrorCode> {
        let (zxid, time) = (self.zxid, self.time);
        match write {
            Write::Create { .. } => self.create(session, write),
            Write::Delete { path, version } => self.delete(path, *version),
            Write::Set { path, data, version } => {
                let znode = self.find(path, Perms::WRITE)?;
                let (version, perms) = (next(znode.stat.version, *version)?, znode.perms);
                let znode = self.at(path);
                znode.data.clone_from(data);
                (znode.stat.version, znode.stat.mzxid, znode.stat.mtime) = (version, zxid, time);
                self.note(EventType::NODE_DATA_CHANGED, path, perms);
                Ok(Done::Set(self.stat(path)))
            }
            Write::SetAcl { path, perms, version } => {
                let aversion = next(self.find(path, Perms::ADMIN)?.stat.aversion, *version)?;
                let znode = self.at(path);
                (znode.stat.aversion, znode.perms) = (aversion, *perms);
                Ok(Done::AclSet(self.stat(path)))
            }
            Write::Check { path, version } => {
                next(self.find(path, Perms::READ)?.stat.version, *version)?;
                Ok(Done::Checked)
            }
            Write::Multi(_) => unreachable!("a multi in a multi"),
        }
    }

    fn create(&mut self, session: i64, write: &Write) -> Result<Done, ErrorCode> {
        let Write::Create { path, kind, is_ephemeral, is_sequential, data, perms } = write else {
            unreachable!("no create")
        };
        let (zxid, time) = (self.zxid, self.time);
        let parent_path = parent_of(path);
        let parent = self.find(parent_path, Perms::CREATE)?;
        let path = if *is_sequential { format!("{path}{:010}", parent.creates) } else { (*path).to_owned() };
        require(!self.znodes.contains_key(&path), ErrorCode::NODE_EXISTS)?;
        require(parent.stat.ephemeral_owner == 0, ErrorCode::NO_CHILDREN_FOR_EPHEMERALS)?;
        let parent = self.at(parent_path);
        parent.creates += 1;
        parent.stat.cversion += 1;
        parent.stat.pzxid = zxid;
        let ephemeral_owner = if *is_ephemeral { session } else { 0 };
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            ephemeral_owner,
            ..Stat::default()
        };
        let end = match kind {
            Kind::Create | Kind::Create2 => End::Never,
            Kind::Container => End::Emptied,
            Kind::Ttl(millis) => End::Idle(*millis),
        };
        self.znodes.insert(path.clone(), Znode { stat, data: data.clone(), creates: 0, perms: *perms, end });
        self.note(EventType::NODE_CREATED, &path, *perms);
        let stat = (*kind != Kind::Create).then(|| self.stat(&path));
        Ok(Done::Created(path, stat, *kind))
    }

    fn delete(&mut self, path: &str, version: i32) -> Result<Done, ErrorCode> {
        let special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        require(!special.contains(&path), ErrorCode::BAD_ARGUMENTS)?;
        self.find(parent_of(path), Perms::DELETE)?;
        next(self.znodes.get(path).ok_or(ErrorCode::NO_NODE)?.stat.version, version)?;
        require(self.names(path).is_empty(), ErrorCode::NOT_EMPTY)?;
        self.remove(path);
        Ok(Done::Deleted)
    }

    pub(super) fn remove(&mut self, path: &str) {
        let perms = self.znodes.remove(path).unwrap().perms;
        let zxid = self.zxid;
        let parent = self.at(parent_of(path));
        parent.stat.cversion += 1;
        parent.stat.pzxid = zxid;
        self.note(EventType::NODE_DELETED, path, perms);
    }

    /// A session ends, and its ephemerals with it, by path.
    pub(super) fn end(&mut self, session: i64) {
        self.zxid += 1;
        let owned =
            |(path, znode): (&String, &Znode)| (znode.stat.ephemeral_owner == session).then(|| path.clone());
        for path in self.znodes.iter().filter_map(owned).collect::<Vec<_>>() {
            self.remove(&path);
        }
        self.tell();
    }

    /// Containers that were used and are empty go, and what was idle for too long, each under a number of its own.
    pub(super) fn reap(&mut self) {
        let is_due = |(path, znode): (&String, &Znode)| {
            let ends = match znode.end {
                End::Never => false,
                End::Emptied => znode.creates > 0,
                End::Idle(millis) => self.time - znode.stat.mtime > millis,
            };
            (ends && self.names(path).is_empty()).then(|| path.clone())
        };
        for path in self.znodes.iter().filter_map(is_due).collect::<Vec<_>>() {
            self.zxid += 1;
            self.remove(&path);
            self.tell();
        }
    }
}

impl Done {
    fn into_reply(self) -> ReplyBody {
        match self {
            Self::Created(path, None, _) => ReplyBody::Create(CreateResponse { path: path.into() }),
            Self::Created(path, Some(stat), kind) => {
                let response = Create2Response { path: path.into(), stat };
                match kind {
                    Kind::Container => ReplyBody::CreateContainer(response),
                    Kind::Ttl(_) => ReplyBody::CreateTtl(response),
                    Kind::Create | Kind::Create2 => ReplyBody::Create2(response),
                }
            }
            Self::Set(stat) => ReplyBody::SetData(SetDataResponse { stat }),
            Self::AclSet(stat) => ReplyBody::SetAcl(SetAclResponse { stat }),
            Self::Deleted | Self::Checked => ReplyBody::Empty,
        }
    }

    fn into_result(self) -> OpResult {
        match self {
            Self::Created(path, None, _) => OpResult::Create(CreateResponse { path: path.into() }),
            Self::Created(path, Some(stat), _) => {
                OpResult::Create2(Create2Response { path: path.into(), stat })
            }
            Self::Set(stat) => OpResult::SetData(SetDataResponse { stat }),
            Self::Deleted => OpResult::Delete,
            Self::Checked => OpResult::Check,
            Self::AclSet(_) => unreachable!("no multi sets lists"),
        }
    }
}
