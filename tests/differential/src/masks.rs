//! What may differ between two right servers, in one table, and the renaming that takes it out of their answers.
//!
//! Whatever is not in the table is compared as it is.

use menagerie_ensemble::Version;
use menagerie_jute::{Acl, OpResult, Reply, ReplyBody, Stat, Ustring, Xid};
use std::{cmp::Ordering, collections::BTreeMap};

/// Something that is not compared as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Zxids count from the one that made the episode's base.
    Zxids,
    /// A time is named by the zxid whose time it is; it has to be the same wherever that zxid shows.
    Times,
    /// Sessions are numbered in their order of appearance.
    Sessions,
    /// Of a password the length counts.
    Passwords,
    /// Names of children, and paths of ephemerals, are sorted.
    Names,
    /// Entries of an access list that stand together and have the same scheme and permissions are sorted.
    AclRuns,
    /// The ids of a connection are sorted.
    Identities,
    /// Events that the end of a session brings are sorted.
    EventsOfAnEnd,
    /// What stands behind the error of a multiRead is not looked at.
    BehindErrors,
}

/// One line of the table: what, for which version, why.
type Line = (Mask, fn(Version) -> bool, &'static str);

fn always(_: Version) -> bool {
    true
}

/// The table.
pub const TABLE: [Line; 9] = [
    (Mask::Zxids, always, "two servers have lived through different histories before the episode"),
    (Mask::Times, always, "two servers read their clocks at different moments"),
    (Mask::Sessions, always, "a session's id is made of the time at which its server started"),
    (Mask::Passwords, always, "a password is meant not to be foreseen"),
    (Mask::Names, always, "the protocol promises no order; Java's is that of a hash set"),
    (Mask::AclRuns, always, "`auth` stands for the ids of a connection, which Java keeps in a hash set"),
    (Mask::Identities, always, "the ids of a connection have no order; Java keeps them in a hash set"),
    (Mask::EventsOfAnEnd, always, "ephemerals go in the order of a hash set, all under one zxid"),
    (Mask::BehindErrors, always, "Java sends the end of a list behind the error; no client reads it"),
];

/// The names that one server's numbers have in an episode.
#[derive(Debug)]
pub struct Names {
    masks: Vec<Mask>,
    start: i64,
    times: BTreeMap<i64, i64>,
    sessions: BTreeMap<i64, i64>,
}

impl Names {
    /// For an episode whose base was made by the transaction behind `start`.
    #[must_use]
    pub fn new(version: Version, start: i64) -> Self {
        let masks = TABLE.iter().filter(|(_, applies, _)| applies(version)).map(|(mask, ..)| *mask).collect();
        Self { masks, start, times: BTreeMap::new(), sessions: BTreeMap::new() }
    }

    /// Whether something is masked.
    #[must_use]
    pub fn has(&self, mask: Mask) -> bool {
        self.masks.contains(&mask)
    }

    /// Gives a session its number.
    pub fn meet(&mut self, session: i64) {
        let next = i64::try_from(self.sessions.len()).unwrap_or(i64::MAX);
        self.sessions.entry(session).or_insert(next + 1);
    }

    /// The name of a session.
    #[must_use]
    pub fn session(&self, session: i64) -> i64 {
        if self.has(Mask::Sessions) { *self.sessions.get(&session).unwrap_or(&session) } else { session }
    }

    fn zxid(&self, zxid: i64) -> i64 {
        if zxid > 0 && self.has(Mask::Zxids) { zxid - self.start } else { zxid }
    }

    /// The name of a time that is said to be that of `zxid`; another one if it was said otherwise before.
    fn time(&mut self, zxid: i64, time: i64) -> i64 {
        if zxid <= 0 || !self.has(Mask::Times) {
            return time;
        }
        let known = *self.times.entry(zxid).or_insert(time);
        if known == time { self.zxid(zxid) } else { i64::MIN + (time - known) }
    }

    fn stat(&mut self, stat: &mut Stat) {
        stat.ctime = self.time(stat.czxid, stat.ctime);
        stat.mtime = self.time(stat.mzxid, stat.mtime);
        stat.czxid = self.zxid(stat.czxid);
        stat.mzxid = self.zxid(stat.mzxid);
        stat.pzxid = self.zxid(stat.pzxid);
        stat.ephemeral_owner = self.session(stat.ephemeral_owner);
    }

    fn names(&self, names: Option<&mut Vec<Ustring>>) {
        if let Some(names) = names.filter(|_| self.has(Mask::Names)) {
            names.sort();
        }
    }

    fn acl(&self, acl: Option<&mut Vec<Acl>>) {
        let Some(acl) = acl.filter(|_| self.has(Mask::AclRuns)) else { return };
        let alike = |one: &Acl, other: &Acl| one.perms == other.perms && one.id.scheme == other.id.scheme;
        for run in acl.chunk_by_mut(alike) {
            run.sort_by(|one, other| one.id.id.cmp(&other.id.id));
        }
    }

    /// Renames what is in a reply or notification.
    pub fn rename(&mut self, reply: &mut Reply) {
        if reply.header.xid == Xid::NOTIFICATION || reply.header.err.0 == 0 {
            self.rename_body(&mut reply.body);
        } else if self.has(Mask::BehindErrors) {
            reply.body = ReplyBody::Empty;
        }
        reply.header.zxid = self.zxid(reply.header.zxid);
    }

    fn rename_body(&mut self, body: &mut ReplyBody) {
        match body {
            ReplyBody::Exists(body) => self.stat(&mut body.stat),
            ReplyBody::GetData(body) => self.stat(&mut body.stat),
            ReplyBody::SetData(body) => self.stat(&mut body.stat),
            ReplyBody::SetAcl(body) => self.stat(&mut body.stat),
            ReplyBody::Create2(body) | ReplyBody::CreateContainer(body) | ReplyBody::CreateTtl(body) => {
                self.stat(&mut body.stat);
            }
            ReplyBody::GetAcl(body) => {
                self.stat(&mut body.stat);
                self.acl(body.acl.as_mut());
            }
            ReplyBody::GetChildren(body) => self.names(body.children.as_mut()),
            ReplyBody::GetChildren2(body) => {
                self.stat(&mut body.stat);
                self.names(body.children.as_mut());
            }
            ReplyBody::GetEphemerals(body) => self.names(body.ephemerals.as_mut()),
            ReplyBody::WhoAmI(body) => {
                if let Some(ids) = body.client_info.as_mut().filter(|_| self.has(Mask::Identities)) {
                    ids.sort_by(|one, other| match one.auth_scheme.cmp(&other.auth_scheme) {
                        Ordering::Equal => one.user.cmp(&other.user),
                        unequal => unequal,
                    });
                }
            }
            ReplyBody::Multi(body) | ReplyBody::MultiRead(body) => {
                body.results.iter_mut().for_each(|result| self.rename_result(&mut result.result));
            }
            _ => {}
        }
    }

    fn rename_result(&mut self, result: &mut OpResult) {
        match result {
            OpResult::Create2(body) | OpResult::CreateContainer(body) | OpResult::CreateTtl(body) => {
                self.stat(&mut body.stat);
            }
            OpResult::SetData(body) => self.stat(&mut body.stat),
            OpResult::GetData(body) => self.stat(&mut body.stat),
            OpResult::GetChildren(body) => self.names(body.children.as_mut()),
            _ => {}
        }
    }
}
