//! Subtrees: deleting one, and finding out what became of a write whose answer was lost.

use super::{Client, Error, Kind, ReadResult};
use crate::jute::{ErrorCode, OpCode, Stat};
use crate::path;
use crate::session::Fate;

/// What became of a write whose answer was lost, as far as reading can tell: inferred, not told by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// The znode looks as the write would have left it.
    Inferred,
    /// It does not: the write was not done, and the session's old connection is fenced off, so it never will be.
    NotApplied,
    /// It looks like neither: another write came between.
    Overtaken,
}

impl Client {
    /// Deletes a znode and everything below it, the deepest first. What others delete meanwhile is fine; what they create
    /// meanwhile is deleted too, up to a bound of tries.
    ///
    /// Not atomic. Dropping the future leaves part of the subtree.
    ///
    /// # Errors
    /// `NoAuth`, `BadArguments` for the root and ZooKeeper's own znodes, `NotEmpty` if others create faster than this
    /// deletes, and what any request may meet.
    pub async fn delete_recursive(&self, path: &str) -> Result<(), Error> {
        path::validate(path).map_err(|error| Error::new(error).at(OpCode::DELETE, path))?;
        let mut stack = vec![path.to_owned()];
        let mut refills = 0;
        while let Some(next) = stack.last().cloned() {
            match self.delete_settled(&next).await {
                Ok(()) => {
                    stack.pop();
                }
                Err(error) if error.code() == Some(ErrorCode::NOT_EMPTY) && refills < REFILLS => {
                    refills += 1;
                    match self.children(next.as_str()).await {
                        Ok((children, _)) => {
                            stack.extend(children.iter().map(|name| path::join(&next, name)));
                        }
                        Err(error) if error.code() == Some(ErrorCode::NO_NODE) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Deletes one znode; if the answer is lost, tries again: that the znode is gone is what is wanted.
    async fn delete_settled(&self, path: &str) -> Result<(), Error> {
        loop {
            match self.delete(path).await {
                Err(error) if error.code() == Some(ErrorCode::NO_NODE) => return Ok(()),
                Err(error) if error.fate() == Fate::Unknown && !error.is_session_lost() => {}
                result => return result,
            }
        }
    }

    /// Finds out what became of a `set` of unknown fate: syncs and reads back, in the same session. `before` is the stat
    /// that the data had before the write.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// The given error, if it is not of unknown fate or its session is over; and what reading may meet.
    pub async fn settle_set(&self, lost: Error, before: &Stat, data: &[u8]) -> Result<Settled, Error> {
        let Some(path) = settleable(&lost) else { return Err(lost) };
        let pinned = self.session();
        match pinned.sync(path.as_str()).get(&path).await {
            Ok((_, stat)) if stat.mzxid == before.mzxid => Ok(Settled::NotApplied),
            Ok((found, stat)) if found == data && stat.version == before.version.wrapping_add(1) => {
                Ok(Settled::Inferred)
            }
            Ok(_) => Ok(Settled::Overtaken),
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => Ok(Settled::Overtaken),
            Err(error) => Err(error),
        }
    }

    /// Finds out what became of a `delete` of unknown fate; otherwise as [`settle_set`](Self::settle_set).
    ///
    /// # Errors
    /// As [`settle_set`](Self::settle_set).
    pub async fn settle_delete(&self, lost: Error, before: &Stat) -> Result<Settled, Error> {
        let Some(path) = settleable(&lost) else { return Err(lost) };
        let pinned = self.session();
        match pinned.sync(path.as_str()).get(&path).await {
            Ok((_, stat)) if stat.czxid == before.czxid => Ok(Settled::NotApplied),
            Ok(_) => Ok(Settled::Overtaken),
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => Ok(Settled::Inferred),
            Err(error) => Err(error),
        }
    }
}

/// How often a subtree that fills up again is listed again, in all.
const REFILLS: usize = 100_000;

fn settleable(lost: &Error) -> Option<String> {
    let unknown = lost.fate() == Fate::Unknown && !lost.is_session_lost();
    lost.path().filter(|_| unknown).map(str::to_owned)
}

/// Bundled reads and errors are told apart here so that callers need not.
impl ReadResult {
    /// Data and stat, if that is what was read.
    ///
    /// # Errors
    /// The server's code for this read.
    pub fn into_data(self) -> Result<(bytes::Bytes, Stat), Error> {
        match self {
            Self::Data(data, stat) => Ok((data, stat)),
            Self::Failed(code) => Err(Error::new(Kind::Read(code))),
            Self::Children(_) => Err(Error::new(Kind::Unexpected("children where data was read"))),
        }
    }
}
