//! Steps as requests, and what their answers mean.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::Client;
use crate::client::{Changed, Error, Transaction};
use crate::jute::{ErrorCode, Stat};
use crate::registry::ReadFailure;
use crate::registry::layout::{LeafMode, LeafStat, ParentMode};
use crate::registry::reconcile::{Op, Outcome};
use crate::session::{Cause, Fate};

/// A request on its way.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A leaf read with a watch on it.
pub(super) struct WatchedLeaf {
    /// Resolves at the leaf's next change; `None` if the watch was not set.
    pub(super) changed: Option<Changed>,
    pub(super) found: Result<Option<(Bytes, LeafStat)>, ReadFailure>,
}

/// Watches the leaf, unless `watched` already, and reads it.
pub(super) async fn read_leaf(client: Client, path: String, sync: bool, watched: bool) -> WatchedLeaf {
    let mut changed = None;
    let found = async {
        if sync {
            client.sync(path.as_str()).await?;
        }
        if !watched {
            // An exists watch hears of creation, data and deletion alike, whether or not the leaf is there.
            let (stat, watch) = client.exists(path.as_str()).watch().await?;
            changed = Some(watch);
            if stat.is_none() {
                return Ok(None);
            }
        }
        match client.get(path.as_str()).await {
            Ok((data, stat)) => Ok(Some((data, leaf_stat(&stat)))),
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let found: Result<_, Error> = found.await;
    WatchedLeaf { found: found.map_err(|error| read_failure(&error)), changed }
}

/// Writes: one operation as it is, several as a transaction. `whole` says that every directory above a leaf is among them.
pub(super) async fn write(client: Client, ops: Vec<Op>, whole: bool) -> Outcome {
    let result = match <[Op; 1]>::try_from(ops) {
        Ok([op]) => write_one(&client, op).await,
        Err(ops) => {
            if let [Op::Delete { path, version }, ..] = ops.as_slice() {
                if planted!("registry_takeover_in_two") {
                    let _ = client.delete(path.as_str()).version(*version).await;
                    return Outcome::Unknown;
                }
            }
            let transaction = ops.into_iter().fold(client.transaction(), add);
            transaction.commit().await.map(drop)
        }
    };
    let Err(error) = result else { return Outcome::Applied };
    if whole && error.code() == Some(ErrorCode::NO_NODE) {
        // Every parent was to be made and one is still missing: it is the chroot. The next try finds it.
        if let Err(other) = client.ensure_chroot().await {
            return outcome(&other);
        }
    }
    outcome(&error)
}

async fn write_one(client: &Client, op: Op) -> Result<(), Error> {
    match op {
        Op::CreateDir { path, mode: ParentMode::Container } => {
            client.create(path).container().await.map(drop)
        }
        Op::CreateDir { path, mode: ParentMode::Persistent } => client.create(path).await.map(drop),
        Op::Create { path, data, mode: LeafMode::Ephemeral } => {
            client.create(path).data(data).ephemeral().await.map(drop)
        }
        Op::Create { path, data, mode: LeafMode::Persistent } => {
            client.create(path).data(data).await.map(drop)
        }
        Op::Set { path, data, version } => client.set(path, data).version(version).await.map(drop),
        Op::Delete { path, version } => client.delete(path).version(version).await,
    }
}

fn add<'a>(transaction: Transaction<'a, 'static>, op: Op) -> Transaction<'a, 'static> {
    match op {
        Op::CreateDir { path, mode } => transaction.create_with(path, Bytes::new(), |create| match mode {
            ParentMode::Container => create.container(),
            ParentMode::Persistent => create,
        }),
        Op::Create { path, data, mode } => transaction.create_with(path, data, |create| match mode {
            LeafMode::Ephemeral => create.ephemeral(),
            LeafMode::Persistent => create,
        }),
        Op::Set { path, data, version } => transaction.set_version(path, data, version),
        Op::Delete { path, version } => transaction.delete_version(path, version),
    }
}

fn outcome(error: &Error) -> Outcome {
    if let Some(Cause::RequestTooLarge { .. }) = error.cause() {
        // It would be as large the next time: a refusal, for it must not be tried at once again.
        return Outcome::Refused { code: ErrorCode::BAD_ARGUMENTS, op: 0 };
    }
    match (error.fate(), error.code()) {
        (Fate::Refused, Some(code)) => Outcome::Refused { code, op: error.transaction_index().unwrap_or(0) },
        (Fate::NotSent, _) => Outcome::NotSent,
        // Applied with an answer that says nothing: what is there now is read either way.
        _ => Outcome::Unknown,
    }
}

pub(super) fn read_failure(error: &Error) -> ReadFailure {
    match (error.cause(), error.code()) {
        (Some(Cause::ReplyTooLarge { .. }), _) => ReadFailure::TooLarge,
        (_, Some(code)) => ReadFailure::Refused(code),
        _ if error.is_retryable() || error.is_session_lost() => ReadFailure::Lost,
        (Some(Cause::ConnectionLost(_) | Cause::SessionLost | Cause::Deadline), _) => ReadFailure::Lost,
        // An answer that makes no sense, or a request that cannot be made.
        _ => ReadFailure::Refused(ErrorCode::MARSHALLING_ERROR),
    }
}

pub(super) fn leaf_stat(stat: &Stat) -> LeafStat {
    LeafStat {
        ephemeral_owner: stat.ephemeral_owner,
        version: stat.version,
        czxid: stat.czxid,
        num_children: stat.num_children,
    }
}
