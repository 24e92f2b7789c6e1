//! Single znodes: exists, get, set, delete.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::engine::private::Described;
use super::engine::{Answer, Call, check_path};
use super::watch::Changed;
use super::{Client, Error, under};
use crate::jute::{
    DeleteRequest, Encode, ErrorCode, ExistsRequest, ExistsResponse, GetDataRequest, GetDataResponse, OpCode,
    SetDataRequest, SetDataResponse, Stat,
};
use crate::limits;
use crate::session::{Cause, RequestError, WatchKind};

/// Reads data and stat. Yields `(Bytes, Stat)`; null data reads as empty.
#[derive(Debug)]
pub struct Get<'a>(Cow<'a, str>);

/// As [`Get`], with a watch. Yields `(Bytes, Stat, Changed)`.
#[derive(Debug)]
pub struct GetWatched<'a>(Get<'a>);

/// Looks whether a znode is there. Yields `Option<Stat>`.
#[derive(Debug)]
pub struct Exists<'a>(Cow<'a, str>);

/// As [`Exists`], with a watch, which is set whether or not the znode is there. Yields `(Option<Stat>, Changed)`.
#[derive(Debug)]
pub struct ExistsWatched<'a>(Exists<'a>);

/// Replaces data. Yields the new `Stat`.
pub struct Set<'a> {
    path: Cow<'a, str>,
    data: Bytes,
    version: i32,
}

/// Deletes a znode without children.
#[derive(Debug)]
pub struct Delete<'a> {
    path: Cow<'a, str>,
    version: i32,
}

impl Client {
    /// Reads a znode's data and stat.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, and what any request may meet.
    pub fn get<'a>(&'a self, path: impl Into<Cow<'a, str>>) -> Call<'a, Get<'a>> {
        Call::new(self, Get(path.into()))
    }

    /// Looks whether a znode is there. (From 3.8.4 and 3.9.2 on it takes the permission to read, ZOOKEEPER-2590.)
    ///
    /// # Errors
    /// What any request may meet.
    pub fn exists<'a>(&'a self, path: impl Into<Cow<'a, str>>) -> Call<'a, Exists<'a>> {
        Call::new(self, Exists(path.into()))
    }

    /// Replaces a znode's data, whatever its version; see [`version`](Call::<Set>::version).
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, `BadVersion`, `QuotaExceeded`, and what any request may meet. If the answer is lost the
    /// outcome is unknown, and nothing is repeated; [`Client::settle_set`] finds out what became of it.
    pub fn set<'a>(&'a self, path: impl Into<Cow<'a, str>>, data: impl Into<Bytes>) -> Call<'a, Set<'a>> {
        Call::new(self, Set { path: path.into(), data: data.into(), version: -1 })
    }

    /// Deletes a znode, whatever its version; see [`version`](Call::<Delete>::version).
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, `BadVersion`, `NotEmpty`, and what any request may meet.
    pub fn delete<'a>(&'a self, path: impl Into<Cow<'a, str>>) -> Call<'a, Delete<'a>> {
        Call::new(self, Delete { path: path.into(), version: -1 })
    }
}

impl<'a> Call<'a, Get<'a>> {
    /// Sets a watch with the read: it resolves once the data is set or the znode deleted.
    pub fn watch(self) -> Call<'a, GetWatched<'a>> {
        self.map(GetWatched)
    }
}

impl<'a> Call<'a, Exists<'a>> {
    /// Sets a watch with the look: it resolves once the znode is created, its data set, or it is deleted.
    pub fn watch(self) -> Call<'a, ExistsWatched<'a>> {
        self.map(ExistsWatched)
    }
}

impl<'a> Call<'a, Set<'a>> {
    /// Only if the znode's data has this version.
    pub fn version(self, version: i32) -> Call<'a, Set<'a>> {
        self.map(|set| Set { version, ..set })
    }
}

impl<'a> Call<'a, Delete<'a>> {
    /// Only if the znode's data has this version.
    pub fn version(self, version: i32) -> Call<'a, Delete<'a>> {
        self.map(|delete| Delete { version, ..delete })
    }
}

/// The data's length only: it may be a secret.
impl fmt::Debug for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, data, version } = self;
        write!(f, "Set {{ path: {path:?}, data: <{} bytes>, version: {version} }}", data.len())
    }
}

/// A value as it is handed out: small ones are copied, so that they do not keep a whole read buffer alive.
pub(super) fn value(data: Option<Bytes>) -> Bytes {
    match data {
        Some(data) if data.len() < limits::COPIED_VALUE_LEN_BYTES => Bytes::copy_from_slice(&data),
        Some(data) => data,
        None => Bytes::new(),
    }
}

fn data_and_stat(answer: Answer<'_>) -> Result<(Bytes, Stat), Error> {
    let GetDataResponse { data, stat } = answer.record()?;
    Ok((value(data), stat))
}

impl Described for Get<'_> {
    type Output = (Bytes, Stat);

    fn op(&self) -> OpCode {
        OpCode::GET_DATA
    }

    fn path(&self) -> &str {
        &self.0
    }

    fn is_read(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Error> {
        check_path(&self.0)
    }

    fn with_body<R>(&self, chroot: &str, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&GetDataRequest { path: under(chroot, &self.0), watch: false })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        data_and_stat(answer)
    }
}

impl Described for GetWatched<'_> {
    type Output = (Bytes, Stat, Changed);

    fn op(&self) -> OpCode {
        OpCode::GET_DATA
    }

    fn path(&self) -> &str {
        self.0.path()
    }

    fn is_read(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }

    fn watch(&self) -> Option<WatchKind> {
        Some(WatchKind::Data)
    }

    fn with_body<R>(&self, chroot: &str, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&GetDataRequest { path: under(chroot, self.path()), watch: true })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let changed = Changed::of(&answer);
        let (data, stat) = data_and_stat(answer)?;
        Ok((data, stat, changed))
    }
}

/// No znode is an answer, not an error.
fn stat_if_there(answer: Answer<'_>) -> Result<Option<Stat>, Error> {
    match answer.outcome {
        Err(RequestError { cause: Cause::Server(ErrorCode::NO_NODE), .. }) => Ok(None),
        _ => answer.record::<ExistsResponse>().map(|response| Some(response.stat)),
    }
}

impl Described for Exists<'_> {
    type Output = Option<Stat>;

    fn op(&self) -> OpCode {
        OpCode::EXISTS
    }

    fn path(&self) -> &str {
        &self.0
    }

    fn is_read(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Error> {
        check_path(&self.0)
    }

    fn with_body<R>(&self, chroot: &str, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&ExistsRequest { path: under(chroot, &self.0), watch: false })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        stat_if_there(answer)
    }
}

impl Described for ExistsWatched<'_> {
    type Output = (Option<Stat>, Changed);

    fn op(&self) -> OpCode {
        OpCode::EXISTS
    }

    fn path(&self) -> &str {
        self.0.path()
    }

    fn is_read(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }

    fn watch(&self) -> Option<WatchKind> {
        Some(WatchKind::Data)
    }

    fn with_body<R>(&self, chroot: &str, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&ExistsRequest { path: under(chroot, self.path()), watch: true })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let changed = Changed::of(&answer);
        Ok((stat_if_there(answer)?, changed))
    }
}

impl Described for Set<'_> {
    type Output = Stat;

    fn op(&self) -> OpCode {
        OpCode::SET_DATA
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn is_read(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), Error> {
        check_path(&self.path)
    }

    fn len_bytes(&self) -> usize {
        self.path.len() + self.data.len() + 64
    }

    fn with_body<R>(&self, chroot: &str, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        let (path, data) = (under(chroot, &self.path), Some(self.data.clone()));
        use_body(&SetDataRequest { path, data, version: self.version })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        answer.record::<SetDataResponse>().map(|response| response.stat)
    }
}

impl Described for Delete<'_> {
    type Output = ();

    fn op(&self) -> OpCode {
        OpCode::DELETE
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn is_read(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), Error> {
        check_path(&self.path)
    }

    fn with_body<R>(&self, chroot: &str, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        // The root is nobody's to delete; below a chroot it must not come to mean the chroot (`ZooKeeper.delete`).
        let chroot = if self.path == "/" { "" } else { chroot };
        use_body(&DeleteRequest { path: under(chroot, &self.path), version: self.version })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        answer.reply().map(|_| ())
    }
}
