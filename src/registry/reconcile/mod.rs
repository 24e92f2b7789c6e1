//! A registration as a standing wish: what to do next so that its leaf, and what stands beside it, becomes and stays as wished.
//!
//! [`decide`] is the rule for one place: a pure function from what is known to the next [`Step`]. [`Standing`] gathers what is known
//! of it from sessions, events, reads and replies. [`Standings`] holds one for each place of a registration, and says what is written
//! together: a [`Batch`]. None knows a client, a clock or a layout: whether a leaf stands for the same instance is told by
//! [`Layout::is_same`](super::layout::Layout::is_same).
//!
//! Whose a leaf is:
//!
//! | owner | payload | it is | present wished | absent wished |
//! |---|---|---|---|---|
//! | this session | any | ours | set the data if it differs | delete |
//! | an earlier session of this process | any | ours | take over | delete |
//! | another session | this instance | ours, left by a process that died | take over, at most 3 times a minute | leave |
//! | another session, which took it from us | this instance | a living twin's | conflict | leave |
//! | none (persistent) | this instance | a program's that never removes it | replace, or leave on demand | leave |
//! | anyone else | another instance | foreign | conflict | leave |
//!
//! "This instance" is for what stands beside a leaf: the same data ([`Role`]).
//!
//! To take over is one multi of `delete(version)` and `create`. ZooKeeper's delete compares the data version, not the
//! creating transaction: a leaf that is deleted and made anew by another between our read and our multi, with equal
//! version, is indistinguishable to the server. That window is one round trip and needs two other processes.

mod batch;
mod standing;
mod standings;

use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::batch::{Batch, Op, Write};
pub use self::standing::{Loss, Outcome, Standing, State};
pub use self::standings::{Due, Read, Role, Standings, Wished};
use super::layout::{Leaf, LeafMode, LeafStat};
use super::model::Lifetime;

/// What is wished of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// It is there, with the data, in the mode.
    Present,
    /// It is not there, as far as it is ours.
    Absent,
}

/// What was last read of a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Nothing, or something may have changed since.
    Unknown {
        /// Whether a write of unknown fate is behind it: the read must then follow a `sync`.
        sync: bool,
    },
    /// There was none.
    Absent,
    /// There was one.
    Present(Seen),
}

/// A leaf as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What matters of its stat.
    pub stat: LeafStat,
    /// Its payload.
    pub data: Bytes,
    /// Whether the layout says that it stands for the same instance.
    pub same: bool,
}

/// All that a decision depends on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Known<'a> {
    /// What is wished.
    pub want: Want,
    /// The leaf as wished.
    pub leaf: &'a Leaf,
    /// Whether a persistent leaf of this instance is left alone.
    pub keep_persistent: bool,
    /// The connected session.
    pub session: Option<i64>,
    /// Sessions that this process held before.
    pub held: &'a [i64],
    /// The leaf as last read.
    pub observed: &'a Observed,
    /// Whether a living twin has taken the leaf from us.
    pub twin: bool,
    /// How many directories above the leaf are known to be missing.
    pub missing_parents: usize,
    /// The moment from which a further takeover is within the limit.
    pub takeover_at: Option<Instant>,
    /// The moment from which the leaf may be written again, after an expiry or a disturbance.
    pub write_at: Option<Instant>,
    /// The moment from which anything may be asked again, after a refusal.
    pub quiet_until: Option<Instant>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// All is as wished. Watch the leaf.
    Nothing,
    /// Nothing can be done without a connection.
    AwaitSession,
    /// Read the leaf, and its stat, in this session.
    ReadBack {
        /// Send `sync` for the path first.
        sync: bool,
    },
    /// Create the leaf: alone, or in one multi behind these directories.
    Create {
        /// Directories to create first, the topmost first.
        parents: Vec<String>,
    },
    /// `multi[delete(version), create]` on a leaf that an earlier session of this instance left.
    TakeOver {
        /// The data version that was read.
        version: i32,
    },
    /// The same on a persistent leaf of this instance; worth a warning, for its writer never removes it.
    ReplacePersistent {
        /// The data version that was read.
        version: i32,
    },
    /// Set the data of our leaf.
    SetData {
        /// The data version that was read.
        version: i32,
        /// The data.
        data: Bytes,
    },
    /// Delete our leaf.
    Delete {
        /// The data version that was read.
        version: i32,
    },
    /// Somebody else's leaf is in the place. Watch it; an event is worth another read.
    WatchAndWait(Conflict),
    /// Too early: ask again after this time, or at the next event.
    Wait(Duration),
}

impl Step {
    /// Whether it changes the tree.
    #[must_use]
    pub fn is_write(&self) -> bool {
        match self {
            Self::Create { .. } | Self::TakeOver { .. } | Self::ReplacePersistent { .. } => true,
            Self::SetData { .. } | Self::Delete { .. } => true,
            Self::Nothing
            | Self::AwaitSession
            | Self::ReadBack { .. }
            | Self::WatchAndWait(_)
            | Self::Wait(_) => false,
        }
    }

    fn is_takeover(&self) -> bool {
        matches!(self, Self::TakeOver { .. } | Self::ReplacePersistent { .. })
    }
}

/// A leaf that is not ours where ours should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Whose it is.
    pub kind: ConflictKind,
    /// The owner of the leaf: a session, or 0 for a persistent one.
    pub owner: i64,
}

/// Whose a leaf is that is in our place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictKind {
    /// Another instance's.
    Foreign,
    /// A living process registers the same instance and has taken our leaf.
    Twin,
    /// This instance's, persistent, and it is to be kept.
    KeptPersistent,
}

/// The next step towards the wish.
#[must_use]
pub fn decide(known: &Known<'_>, now: Instant) -> Step {
    let Some(session) = known.session else { return Step::AwaitSession };
    let step = match (known.observed, known.want) {
        (Observed::Unknown { sync }, _) => Step::ReadBack { sync: *sync },
        (Observed::Absent, Want::Absent) => Step::Nothing,
        (Observed::Absent, Want::Present) => Step::Create { parents: missing_parents(known) },
        (Observed::Present(seen), Want::Present) => wanted(known, session, seen),
        (Observed::Present(seen), Want::Absent) => unwanted(known, session, seen),
    };
    paced(known, step, now)
}

fn wanted(known: &Known<'_>, session: i64, seen: &Seen) -> Step {
    let version = seen.stat.version;
    let owner = seen.stat.ephemeral_owner;
    let conflict = |kind| Step::WatchAndWait(Conflict { kind, owner });
    let own = owner == session;
    let fits = match known.leaf.mode {
        LeafMode::Ephemeral => own,
        LeafMode::Persistent => seen.same && is_persistent(known, session, seen),
    };
    if fits {
        let data = known.leaf.data.clone();
        let is_so = seen.data == data && !planted!("registry_update_rewrites");
        let is_so = is_so || planted!("registry_never_set_back");
        return if is_so { Step::Nothing } else { Step::SetData { version, data } };
    }
    if own || known.held.contains(&owner) {
        return Step::TakeOver { version };
    }
    if !seen.same && !planted!("registry_foreign_takeover") {
        return conflict(ConflictKind::Foreign);
    }
    if seen.stat.lifetime() == Lifetime::Persistent {
        let keep = known.keep_persistent;
        return if keep {
            conflict(ConflictKind::KeptPersistent)
        } else {
            Step::ReplacePersistent { version }
        };
    }
    if known.twin && !planted!("registry_twin_takeover") {
        return conflict(ConflictKind::Twin);
    }
    Step::TakeOver { version }
}

/// A leaf that is to go goes only if this process made it: one of another session may be a living twin's.
fn unwanted(known: &Known<'_>, session: i64, seen: &Seen) -> Step {
    let owner = seen.stat.ephemeral_owner;
    let made = known.leaf.mode == LeafMode::Persistent && seen.same && is_persistent(known, session, seen);
    if owner == session || known.held.contains(&owner) || made {
        Step::Delete { version: seen.stat.version }
    } else {
        Step::Nothing
    }
}

/// Session ids are compared first: those of a server numbered 255 look like the owners of TTL znodes.
fn is_persistent(known: &Known<'_>, session: i64, seen: &Seen) -> bool {
    let owner = seen.stat.ephemeral_owner;
    owner != session && !known.held.contains(&owner) && seen.stat.lifetime() == Lifetime::Persistent
}

fn missing_parents(known: &Known<'_>) -> Vec<String> {
    let mut ancestors = known.leaf.ancestors();
    ancestors.split_off(ancestors.len().saturating_sub(known.missing_parents))
}

/// The step, or the wait until it is due.
fn paced(known: &Known<'_>, step: Step, now: Instant) -> Step {
    let asks = step.is_write() || matches!(step, Step::ReadBack { .. });
    let due = [
        known.quiet_until.filter(|_| asks),
        known.write_at.filter(|_| step.is_write() && known.want == Want::Present),
        known.takeover_at.filter(|_| step.is_takeover()),
    ];
    match due.into_iter().flatten().max() {
        Some(due) if due > now => Step::Wait(due - now),
        _ => step,
    }
}

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod standings_model_test;
#[cfg(test)]
mod standings_tests;
#[cfg(test)]
mod tests;
