//! What reads of the model answer, and what they leave watched.

use menagerie_jute::{
    Acl, ErrorCode, ErrorResponse, EventType, ExistsResponse, GetAclResponse, GetAllChildrenNumberResponse,
    GetChildren2Response, GetChildrenResponse, GetDataResponse, GetEphemeralsResponse, MultiResponse,
    OpResult, Perms, ReplyBody, SyncResponse, Ustring,
};

use super::model::{CHILD, DATA, Model, PERSISTENT, RECURSIVE, int, require};

/// A request that changes no znode.
#[derive(Debug, Clone)]
pub(super) enum Read {
    Exists {
        path: &'static str,
        watch: bool,
    },
    Data {
        path: &'static str,
        watch: bool,
    },
    Children {
        path: &'static str,
        watch: bool,
    },
    Children2 {
        path: &'static str,
        watch: bool,
    },
    Acl(&'static str),
    Count(&'static str),
    Ephemerals(&'static str),
    Sync(&'static str),
    Ping,
    /// Data, or the children's names.
    Multi(Vec<(&'static str, bool)>),
    AddWatch {
        path: &'static str,
        recursive: bool,
    },
    /// By the number of its kind.
    CheckWatches {
        path: &'static str,
        kind: i32,
    },
    RemoveWatches {
        path: &'static str,
        kind: i32,
    },
    /// Data, exist, child, persistent and recursive watches.
    SetWatches {
        zxid: i64,
        lists: [Vec<&'static str>; 5],
    },
}

impl Model {
    pub(super) fn read(&mut self, session: i64, read: &Read) -> Result<ReplyBody, ErrorCode> {
        match read {
            Read::Exists { path, watch } => {
                let found = self.find(path, Perms::READ).map(|_| self.stat(path));
                if found.is_ok() || found == Err(ErrorCode::NO_NODE) {
                    self.watch(session, path, *watch, DATA);
                }
                found.map(|stat| ReplyBody::Exists(ExistsResponse { stat }))
            }
            Read::Data { path, watch } => {
                let data = self.find(path, Perms::READ)?.data.clone();
                self.watch(session, path, *watch, DATA);
                Ok(ReplyBody::GetData(GetDataResponse { data, stat: self.stat(path) }))
            }
            Read::Children { path, watch } => {
                let children = Some(self.children(path)?);
                self.watch(session, path, *watch, CHILD);
                Ok(ReplyBody::GetChildren(GetChildrenResponse { children }))
            }
            Read::Children2 { path, watch } => {
                let children = Some(self.children(path)?);
                self.watch(session, path, *watch, CHILD);
                Ok(ReplyBody::GetChildren2(GetChildren2Response { children, stat: self.stat(path) }))
            }
            Read::Acl(path) => {
                let perms = self.find(path, Perms::READ | Perms::ADMIN)?.perms;
                let acl = Some(vec![Acl::new(perms, "world", "anyone")]);
                Ok(ReplyBody::GetAcl(GetAclResponse { acl, stat: self.stat(path) }))
            }
            Read::Count(path) => {
                self.find(path, Perms::READ)?;
                let start = format!("{}/", path.trim_end_matches('/'));
                let below = self.znodes.keys().filter(|path| path.len() > 1 && path.starts_with(&start));
                let total_number = int(below.count());
                Ok(ReplyBody::GetAllChildrenNumber(GetAllChildrenNumberResponse { total_number }))
            }
            Read::Ephemerals(prefix) => {
                let prefix = if *prefix == "/" { "" } else { prefix };
                let owned = self.znodes.iter().filter(|(path, znode)| {
                    znode.stat.ephemeral_owner == session && path.starts_with(prefix)
                });
                let ephemerals = Some(owned.map(|(path, _)| Ustring::from(path.as_str())).collect());
                Ok(ReplyBody::GetEphemerals(GetEphemeralsResponse { ephemerals }))
            }
            Read::Sync(path) => Ok(ReplyBody::Sync(SyncResponse { path: (*path).into() })),
            Read::Ping => Ok(ReplyBody::Empty),
            Read::Multi(reads) => Ok(self.multi_read(reads)),
            _ => self.about_watches(session, read),
        }
    }

    fn about_watches(&mut self, session: i64, read: &Read) -> Result<ReplyBody, ErrorCode> {
        match read {
            Read::AddWatch { path, recursive } => {
                self.watch(session, path, true, if *recursive { RECURSIVE } else { PERSISTENT });
                return Ok(ReplyBody::AddWatch(ErrorResponse { err: ErrorCode::OK }));
            }
            Read::CheckWatches { path, kind } => {
                let bits = bits(*kind).ok_or(ErrorCode::MARSHALLING_ERROR)?;
                let watched = self.watchers[&session].watches.get(*path).copied().unwrap_or(0);
                require(watched & bits != 0, ErrorCode::NO_WATCHER)?;
            }
            Read::RemoveWatches { path, kind } => {
                let bits = bits(*kind).ok_or(ErrorCode::MARSHALLING_ERROR)?;
                let watcher = self.watchers.get_mut(&session).unwrap();
                require(watcher.clear(path, bits), ErrorCode::NO_WATCHER)?;
            }
            Read::SetWatches { zxid, lists } => self.set_watches(session, *zxid, lists),
            other => unreachable!("{other:?} is no such request"),
        }
        Ok(ReplyBody::Empty)
    }

    fn watch(&mut self, session: i64, path: &str, wanted: bool, bits: u8) {
        if wanted {
            self.watchers.get_mut(&session).unwrap().add(path, bits);
        }
    }

    fn children(&self, path: &str) -> Result<Vec<Ustring>, ErrorCode> {
        self.find(path, Perms::READ)?;
        Ok(self.names(path).into_iter().map(Ustring::from).collect())
    }

    fn multi_read(&self, reads: &[(&'static str, bool)]) -> ReplyBody {
        let one = |(path, names): &(&'static str, bool)| {
            let found = if *names {
                self.children(path)
                    .map(|names| OpResult::GetChildren(GetChildrenResponse { children: Some(names) }))
            } else {
                self.find(path, Perms::READ).map(|znode| {
                    OpResult::GetData(GetDataResponse { data: znode.data.clone(), stat: self.stat(path) })
                })
            };
            found.unwrap_or_else(|err| OpResult::Error(ErrorResponse { err }))
        };
        ReplyBody::MultiRead(MultiResponse::new(reads.iter().map(one)))
    }

    /// What changed since is told at once, the rest is watched.
    fn set_watches(
        &mut self,
        session: i64,
        zxid: i64,
        [data, exist, child, persistent, recursive]: &[Vec<&'static str>; 5],
    ) {
        let missed = |seen: Option<i64>, change| match seen {
            None => Some(EventType::NODE_DELETED),
            Some(seen) => (seen > zxid).then_some(change),
        };
        let mut all = Vec::new();
        for path in data {
            let seen = self.znodes.get(*path).map(|znode| znode.stat.mzxid);
            all.push((path, missed(seen, EventType::NODE_DATA_CHANGED), DATA));
        }
        for path in exist {
            all.push((path, self.znodes.get(*path).map(|_| EventType::NODE_CREATED), DATA));
        }
        for path in child {
            let seen = self.znodes.get(*path).map(|znode| znode.stat.pzxid);
            all.push((path, missed(seen, EventType::NODE_CHILDREN_CHANGED), CHILD));
        }
        all.extend(persistent.iter().map(|path| (path, None, PERSISTENT)));
        all.extend(recursive.iter().map(|path| (path, None, RECURSIVE)));
        let watcher = self.watchers.get_mut(&session).unwrap();
        for (path, event, bits) in all {
            match event {
                Some(event) => watcher.heard.push_back((event, (*path).to_owned(), -1)),
                None => watcher.add(path, bits),
            }
        }
    }
}

/// The bits of a kind of watch, as from 3.9.
fn bits(kind: i32) -> Option<u8> {
    Some(match kind {
        1 => CHILD,
        2 => DATA,
        3 => u8::MAX,
        4 => PERSISTENT,
        5 => RECURSIVE,
        _ => return None,
    })
}
