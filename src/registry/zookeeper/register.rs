//! Keeps one registration as wished: the task around [`Standing`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::{First, Place, first, is_connected, is_over, maybe};
use crate::client::{Changed, Client, Error, Status, Transaction};
use crate::jute::{ErrorCode, Stat};
use crate::registry::api::{Registered, RegistrationState, Wish};
use crate::registry::layout::{Found, Layout, Leaf, LeafMode, LeafStat, ParentMode};
use crate::registry::reconcile::{Outcome, Seen, Standing, State, Step};
use crate::registry::{Instance, ReadFailure};
use crate::session::Fate;

/// A registration about to be kept.
pub(super) struct Start {
    pub(super) client: Client,
    pub(super) layout: Arc<dyn Layout>,
    pub(super) instance: Instance,
    pub(super) leaf: Leaf,
    pub(super) place: Place,
}

impl Start {
    /// Starts its task.
    pub(super) fn on(self, runtime: &Handle) -> Registered {
        let Self { client, layout, instance, leaf, place } = self;
        let (wish, wishes) = watch::channel(Wish::Present(Box::new(instance.clone())));
        let (state, states) = watch::channel(RegistrationState::Pending);
        let keeper = Keeper {
            zk: client.session(),
            status: client.status(),
            client,
            layout,
            instance: instance.clone(),
            path: leaf.path(),
            standing: Standing::new(leaf, false, crate::client::seed()),
            served: None,
            changed: None,
            state,
            withdrawn: false,
            _place: place,
        };
        runtime.spawn(keeper.run(wishes));
        Registered::new(instance, wish, states)
    }
}

/// The task's state.
struct Keeper {
    client: Client,
    /// Pinned to the session that the work is for.
    zk: Client,
    layout: Arc<dyn Layout>,
    instance: Instance,
    path: String,
    standing: Standing,
    status: Status,
    /// The session that the machine knows to be connected: its epoch and how often a connection had gone by then.
    served: Option<(u64, u64)>,
    /// The watch on the leaf.
    changed: Option<Changed>,
    state: watch::Sender<RegistrationState>,
    withdrawn: bool,
    _place: Place,
}

impl Keeper {
    async fn run(mut self, mut wishes: watch::Receiver<Wish>) {
        let first = wishes.borrow_and_update().clone();
        self.follow_wish(&first);
        let mut wishes = Some(wishes);
        loop {
            self.follow_status(self.client.status());
            if is_over(&self.status) {
                self.state.send_replace(RegistrationState::Ended);
                return;
            }
            let step = self.standing.step(now());
            self.publish();
            if self.withdrawn && self.standing.state() == State::Withdrawn {
                return;
            }
            let pause = match step {
                Step::Nothing | Step::WatchAndWait(_) | Step::AwaitSession => None,
                Step::Wait(pause) => Some(pause),
                step => {
                    self.take(step).await;
                    continue;
                }
            };
            if self.idle(&mut wishes, pause).await.is_none() {
                // The handle is gone: withdraw, and end when that is done.
                self.withdrawn = true;
                self.standing.withdraw();
                wishes = None;
            }
        }
    }

    /// Waits for something to happen. `None` if the handle is gone.
    async fn idle(
        &mut self,
        wishes: &mut Option<watch::Receiver<Wish>>,
        pause: Option<Duration>,
    ) -> Option<()> {
        let nap = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let happened = {
            let wished = async {
                match wishes {
                    Some(wishes) => wishes.changed().await.map(|()| wishes.borrow_and_update().clone()),
                    None => std::future::pending().await,
                }
            };
            let outside = first(wished, self.client.status_change(&self.status), nap);
            first(maybe(&mut self.changed), outside, std::future::pending::<()>()).await
        };
        match happened {
            First::A(_) => {
                self.changed = None;
                self.standing.on_changed();
            }
            First::B(First::A(wish)) => self.follow_wish(&wish.ok()?),
            First::B(First::B(_) | First::C(())) | First::C(()) => {}
        }
        Some(())
    }

    fn follow_wish(&mut self, wish: &Wish) {
        match wish {
            Wish::Absent => {
                self.withdrawn = true;
                self.standing.withdraw();
            }
            Wish::Present(instance) => {
                self.instance = (**instance).clone();
                match self.layout.leaf(&self.instance) {
                    Ok(leaf) if self.layout.keeps_leaf(&self.instance) => self.standing.want(leaf.data),
                    Ok(_) => self.standing.withdraw(),
                    Err(error) => warn!(path = self.path, %error, "the changed registration has no place"),
                }
            }
        }
    }

    /// Tells the machine of sessions and connections that came and went.
    fn follow_status(&mut self, status: Status) {
        self.status = status;
        let serving = (status.epoch, status.disconnects);
        match status.session_id {
            Some(session) if is_connected(&status) && self.served != Some(serving) => {
                if self.served.is_none_or(|(epoch, _)| epoch != status.epoch) {
                    self.zk = self.client.session();
                    self.changed = None;
                }
                self.served = Some(serving);
                self.standing.on_session(session, now());
            }
            _ if !is_connected(&status)
                && self.served.is_some_and(|served| served.1 != status.disconnects) =>
            {
                self.standing.on_disconnected();
            }
            _ => {}
        }
    }

    fn publish(&self) {
        let state = match (self.standing.state(), self.standing.last_refusal()) {
            (State::Registered, _) => RegistrationState::Registered,
            (State::Conflict(_), _) => RegistrationState::Conflict,
            (State::Withdrawn, _) => RegistrationState::Withdrawn,
            (_, Some(code)) => RegistrationState::Refused(code),
            _ => RegistrationState::Pending,
        };
        self.state.send_if_modified(|current| {
            let modified = *current != state;
            *current = state;
            modified
        });
    }

    async fn take(&mut self, step: Step) {
        debug!(path = self.path, ?step, "registering");
        let zk = self.zk.clone();
        let (path, leaf) = (self.path.clone(), self.standing.leaf().clone());
        let written = match step {
            Step::ReadBack { sync } => {
                let read = self.read(&zk, sync).await;
                return self.standing.on_read(read, now());
            }
            Step::Create { parents } if parents.is_empty() => {
                let create = zk.create(path.as_str()).data(leaf.data.clone());
                let create = if leaf.mode == LeafMode::Ephemeral { create.ephemeral() } else { create };
                create.await.map(|_| ())
            }
            Step::Create { parents } => {
                let transaction =
                    parents.into_iter().fold(zk.transaction(), |transaction, parent| {
                        let container = leaf.parents == ParentMode::Container;
                        transaction.create_with(parent, "", |create| {
                            if container { create.container() } else { create }
                        })
                    });
                create_leaf(transaction, &path, &leaf).commit().await.map(|_| ())
            }
            Step::TakeOver { version } | Step::ReplacePersistent { version } => {
                let transaction = zk.transaction().delete_version(path.as_str(), version);
                create_leaf(transaction, &path, &leaf).commit().await.map(|_| ())
            }
            Step::SetData { version, data } => zk.set(path.as_str(), data).version(version).await.map(|_| ()),
            Step::Delete { version } => zk.delete(path.as_str()).version(version).await,
            _ => Ok(()),
        };
        self.standing.on_written(outcome(written), now());
    }

    /// Reads the leaf behind a watch on it, so that nothing after the read is missed.
    async fn read(&mut self, zk: &Client, sync: bool) -> Result<Option<Seen>, ReadFailure> {
        let path = self.path.as_str();
        if sync {
            zk.sync(path).await.map_err(|error| failure(&error))?;
        }
        let (there, changed) = zk.exists(path).watch().await.map_err(|error| failure(&error))?;
        self.changed = Some(changed);
        if there.is_none() {
            return Ok(None);
        }
        match zk.get(path).await {
            Ok((data, stat)) => Ok(Some(self.seen(data, leaf_stat(&stat)))),
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    fn seen(&self, data: Bytes, stat: LeafStat) -> Seen {
        let name = crate::path::parent(&self.path).map_or(0, |parent| parent.len() + 1);
        let found = Found { name: self.path.get(name..).unwrap_or_default(), data: &data, stat };
        let same = self.layout.is_same(&self.instance, &found);
        Seen { stat, data, same }
    }
}

fn create_leaf<'a, 'p>(transaction: Transaction<'a, 'p>, path: &str, leaf: &Leaf) -> Transaction<'a, 'p> {
    transaction.create_with(path.to_owned(), leaf.data.clone(), |create| {
        if leaf.mode == LeafMode::Ephemeral { create.ephemeral() } else { create }
    })
}

fn outcome(written: Result<(), Error>) -> Outcome {
    match written {
        Ok(()) => Outcome::Applied,
        Err(error) => match (error.code(), error.fate()) {
            (Some(code), Fate::Refused) => {
                Outcome::Refused { code, op: error.transaction_index().unwrap_or(0) }
            }
            (_, Fate::NotSent) => Outcome::NotSent,
            (_, Fate::Applied) => Outcome::Applied,
            _ => Outcome::Unknown,
        },
    }
}

pub(super) fn leaf_stat(stat: &Stat) -> LeafStat {
    let Stat { ephemeral_owner, version, czxid, num_children, .. } = *stat;
    LeafStat { ephemeral_owner, version, czxid, num_children }
}

pub(super) fn failure(error: &Error) -> ReadFailure {
    use crate::session::Cause;
    match (error.cause(), error.code()) {
        (Some(Cause::ReplyTooLarge { .. }), _) => ReadFailure::TooLarge,
        (_, Some(code)) => ReadFailure::Refused(code),
        _ => ReadFailure::Lost,
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
