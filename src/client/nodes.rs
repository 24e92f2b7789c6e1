//! Single znodes: exists, get, set, delete.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::engine::private::Described;
use super::engine::{Answer, Call};
use super::watch::Changed;
use super::watched::{Watchable, Watched};
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
pub type GetWatched<'a> = Watched<Get<'a>>;

/// Looks whether a znode is there. Yields `Option<Stat>`.
#[derive(Debug)]
pub struct Exists<'a>(Cow<'a, str>);

/// As [`Exists`], with a watch, which is set whether or not the znode is there. Yields `(Option<Stat>, Changed)`.
pub type ExistsWatched<'a> = Watched<Exists<'a>>;

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
    pub fn get<'p>(&self, path: impl Into<Cow<'p, str>>) -> Call<'_, Get<'p>> {
        Call::new(self, Get(path.into()))
    }

    /// Looks whether a znode is there. (From 3.8.4 and 3.9.2 on it takes the permission to read, ZOOKEEPER-2590.)
    ///
    /// # Errors
    /// What any request may meet.
    pub fn exists<'p>(&self, path: impl Into<Cow<'p, str>>) -> Call<'_, Exists<'p>> {
        Call::new(self, Exists(path.into()))
    }

    /// Replaces a znode's data, whatever its version; see [`version`](Call::<Set>::version).
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, `BadVersion`, `QuotaExceeded`, and what any request may meet. If the answer is lost the
    /// outcome is unknown, and nothing is repeated; [`Client::settle_set`] finds out what became of it.
    pub fn set<'p>(&self, path: impl Into<Cow<'p, str>>, data: impl Into<Bytes>) -> Call<'_, Set<'p>> {
        Call::new(self, Set { path: path.into(), data: data.into(), version: -1 })
    }

    /// Deletes a znode, whatever its version; see [`version`](Call::<Delete>::version).
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, `BadVersion`, `NotEmpty`, and what any request may meet.
    pub fn delete<'p>(&self, path: impl Into<Cow<'p, str>>) -> Call<'_, Delete<'p>> {
        Call::new(self, Delete { path: path.into(), version: -1 })
    }
}

impl<'a, 'p> Call<'a, Get<'p>> {
    /// Sets a watch with the read: it resolves once the data is set or the znode deleted.
    pub fn watch(self) -> Call<'a, GetWatched<'p>> {
        self.map(Watched)
    }
}

impl<'a, 'p> Call<'a, Exists<'p>> {
    /// Sets a watch with the look: it resolves once the znode is created, its data set, or it is deleted.
    pub fn watch(self) -> Call<'a, ExistsWatched<'p>> {
        self.map(Watched)
    }
}

impl<'a, 'p> Call<'a, Set<'p>> {
    /// Only if the znode's data has this version.
    pub fn version(self, version: i32) -> Call<'a, Set<'p>> {
        self.map(|set| Set { version, ..set })
    }
}

impl<'a, 'p> Call<'a, Delete<'p>> {
    /// Only if the znode's data has this version.
    pub fn version(self, version: i32) -> Call<'a, Delete<'p>> {
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

    fn with_body<R>(&self, chroot: &str, watch: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&GetDataRequest { path: under(chroot, &self.0), watch })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        data_and_stat(answer)
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

    fn with_body<R>(&self, chroot: &str, watch: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&ExistsRequest { path: under(chroot, &self.0), watch })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        stat_if_there(answer)
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

    fn len_bytes(&self) -> usize {
        self.path.len() + self.data.len() + 64
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
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

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        // The root is nobody's to delete; below a chroot it must not come to mean the chroot (`ZooKeeper.delete`).
        let chroot = if self.path == "/" { "" } else { chroot };
        use_body(&DeleteRequest { path: under(chroot, &self.path), version: self.version })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        answer.reply().map(|_| ())
    }
}

impl Watchable for Get<'_> {
    type Watched = (Bytes, Stat, Changed);
    const KIND: WatchKind = WatchKind::Data;

    fn with_changed((data, stat): Self::Output, changed: Changed) -> Self::Watched {
        (data, stat, changed)
    }
}

impl Watchable for Exists<'_> {
    type Watched = (Option<Stat>, Changed);
    const KIND: WatchKind = WatchKind::Data;

    fn with_changed(stat: Self::Output, changed: Changed) -> Self::Watched {
        (stat, changed)
    }
}
