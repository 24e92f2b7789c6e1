//! Steps as requests, and what their answers mean.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::Client;
use crate::client::{Changed, Error};
use crate::jute::{ErrorCode, Stat};
use crate::registry::ReadFailure;
use crate::registry::layout::{Leaf, LeafMode, LeafStat, ParentMode};
use crate::registry::reconcile::{Outcome, Step};
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

/// Does a step that writes.
pub(super) async fn write(client: Client, leaf: Leaf, step: Step) -> Outcome {
    let path = leaf.path();
    let result = match step {
        Step::Create { parents } if parents.is_empty() => {
            let create = client.create(path).data(leaf.data);
            match leaf.mode {
                LeafMode::Ephemeral => create.ephemeral().await.map(drop),
                LeafMode::Persistent => create.await.map(drop),
            }
        }
        Step::Create { parents } => create_with_parents(&client, &leaf, parents).await,
        Step::TakeOver { version } | Step::ReplacePersistent { version } => {
            if planted!("registry_takeover_in_two") {
                let _ = client.delete(path.as_str()).version(version).await;
                return Outcome::Unknown;
            }
            let transaction = client.transaction().delete_version(path.as_str(), version);
            let transaction = transaction.create_with(path.as_str(), leaf.data, |create| match leaf.mode {
                LeafMode::Ephemeral => create.ephemeral(),
                LeafMode::Persistent => create,
            });
            transaction.commit().await.map(drop)
        }
        Step::SetData { version, data } => client.set(path, data).version(version).await.map(drop),
        Step::Delete { version } => client.delete(path).version(version).await,
        _ => return Outcome::NotSent,
    };
    result.map_or_else(|error| outcome(&error), |()| Outcome::Applied)
}

async fn create_with_parents(client: &Client, leaf: &Leaf, parents: Vec<String>) -> Result<(), Error> {
    let whole = parents.len() == leaf.ancestors().len();
    let mut transaction = client.transaction();
    for parent in parents {
        transaction = transaction.create_with(parent, Bytes::new(), |create| match leaf.parents {
            ParentMode::Container => create.container(),
            ParentMode::Persistent => create,
        });
    }
    let transaction = transaction.create_with(leaf.path(), leaf.data.clone(), |create| match leaf.mode {
        LeafMode::Ephemeral => create.ephemeral(),
        LeafMode::Persistent => create,
    });
    let result = transaction.commit().await.map(drop);
    match result {
        // Every parent was to be made and one is still missing: it is the chroot. The next try finds it.
        Err(error) if whole && error.code() == Some(ErrorCode::NO_NODE) => {
            client.ensure_chroot().await?;
            Err(error)
        }
        result => result,
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
