//! What is known of one leaf, gathered from sessions, events, reads and replies.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use menagerie_jute::ErrorCode;

use super::{Conflict, Known, Observed, Seen, Step, Want, decide};
use crate::registry::layout::{Leaf, LeafMode, LeafStat};
use crate::registry::limits::{
    BACKOFF_FIRST, BACKOFF_MOST, RACES_AT_ONCE, RECREATE_JITTER, SESSIONS_HELD, TAKEOVER_WINDOW, TAKEOVERS,
};
use crate::registry::read_failure::ReadFailure;
use crate::registry::rng::SplitMix64;

/// A wish for one leaf and what is known of it.
///
/// - Facts: [`on_session`](Self::on_session), [`on_disconnected`](Self::on_disconnected),
///   [`on_changed`](Self::on_changed), [`on_read`](Self::on_read), [`on_written`](Self::on_written).
/// - Wishes: [`want`](Self::want), [`withdraw`](Self::withdraw).
/// - Output: [`step`](Self::step), after every fact and wish, and when a [`Step::Wait`] has passed. A step that reads or
///   writes is answered by exactly one `on_read` or `on_written`, whatever became of it; until then there is no other.
///
/// The leaf is watched from the first step on. Time never runs backwards from call to call.
#[derive(Clone, Debug)]
pub struct Standing {
    leaf: Leaf,
    want: Want,
    keep_persistent: bool,
    session: Option<i64>,
    connected: bool,
    held: Vec<i64>,
    observed: Observed,
    /// Counts changes: what was asked before one says nothing about after it.
    changes: u64,
    asked: Option<Asked>,
    /// The session under which the leaf is known to have been ours.
    confirmed: Option<i64>,
    twin: bool,
    /// A create of unknown fate, and the leaf it meant to replace.
    doubtful: Option<Option<i64>>,
    /// Whether the leaf was as wished since the wish was last changed.
    settled: bool,
    /// What was last lost, until it is taken.
    loss: Option<Loss>,
    missing_parents: usize,
    takeovers: VecDeque<Instant>,
    disturbances: VecDeque<Instant>,
    failures: u32,
    last_refusal: Option<ErrorCode>,
    write_at: Option<Instant>,
    quiet_until: Option<Instant>,
    state: State,
    rng: SplitMix64,
}

/// A step under way.
#[derive(Clone, Debug)]
struct Asked {
    step: Step,
    changes: u64,
    /// The session it was asked in: a late reply does not speak for the next one.
    session: Option<i64>,
    /// The data a write carries: the wish may change before its reply comes.
    data: Bytes,
    /// The creating transaction of the leaf that the step was decided on.
    czxid: Option<i64>,
}

/// What has become of a registration, for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is not known to be as wished.
    Pending,
    /// The leaf is there as wished.
    Registered,
    /// Somebody else's leaf is in the place.
    Conflict(Conflict),
    /// It is withdrawn, and no leaf of this process is there.
    Withdrawn,
}

/// How a registration was lost that had been as wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Its session ended, and the leaf with it.
    Expired,
    /// Somebody deleted the leaf.
    Deleted,
    /// Somebody set other data.
    Changed,
    /// A living process that registers the same instance has taken the leaf.
    Taken,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server did it.
    Applied,
    /// The server refused it and nothing of it was done.
    Refused {
        /// Why.
        code: ErrorCode,
        /// Which operation of a multi, counted from 0; 0 for a single one.
        op: usize,
    },
    /// It never left this process.
    NotSent,
    /// It was sent and its answer was lost.
    Unknown,
}

impl Standing {
    /// The wish that `leaf` is there. `seed` draws the jitter.
    #[must_use]
    pub fn new(leaf: Leaf, keep_persistent: bool, seed: u64) -> Self {
        Self {
            leaf,
            want: Want::Present,
            keep_persistent,
            session: None,
            connected: false,
            held: Vec::new(),
            observed: Observed::Unknown { sync: false },
            changes: 0,
            asked: None,
            confirmed: None,
            twin: false,
            doubtful: None,
            settled: false,
            loss: None,
            missing_parents: 0,
            takeovers: VecDeque::new(),
            disturbances: VecDeque::new(),
            failures: 0,
            last_refusal: None,
            write_at: None,
            quiet_until: None,
            state: State::Pending,
            rng: SplitMix64::new(seed),
        }
    }

    /// The leaf as wished.
    #[must_use]
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// What has become of the wish, as of the last step.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Why the server last refused to read or write the leaf, until a write succeeds. Races are no refusals.
    #[must_use]
    pub fn last_refusal(&self) -> Option<ErrorCode> {
        self.last_refusal
    }

    /// What was lost since this was last asked: each is told once.
    pub fn take_loss(&mut self) -> Option<Loss> {
        self.loss.take()
    }

    /// Wishes the leaf to be there with this data. A wish for another path is another `Standing`:
    /// [`Standings`](super::Standings) keeps several.
    pub fn want(&mut self, data: Bytes) {
        self.leaf.data = data;
        self.rewish(Want::Present);
    }

    /// Wishes the leaf to be there like this, at the same path.
    pub(super) fn want_leaf(&mut self, leaf: Leaf) {
        if leaf.mode != self.leaf.mode {
            self.on_changed();
        }
        self.leaf = leaf;
        self.rewish(Want::Present);
    }

    /// What the leaf is to hold follows from what was read there.
    pub(super) fn set_data(&mut self, data: Bytes) {
        self.leaf.data = data;
    }

    /// Where it stands for which a registration of longer standing begins to wish: sessions held before, and the present one.
    pub(super) fn join(&mut self, session: Option<i64>, connected: bool, held: &[i64]) {
        self.held = held.to_vec();
        (self.session, self.connected) = (session, connected);
    }

    /// Wishes the leaf to be gone: done when [`state`](Self::state) says withdrawn.
    pub fn withdraw(&mut self) {
        self.rewish(Want::Absent);
    }

    fn rewish(&mut self, want: Want) {
        self.want = want;
        self.settled = false;
        self.state = State::Pending;
        self.failures = 0;
        self.quiet_until = None;
    }

    /// A connection serves session `id`: the first, the same as before, or a new one after an expiry.
    pub fn on_session(&mut self, id: i64, now: Instant) {
        let is_new = self.session.is_some_and(|old| old != id);
        let jitter = if is_new { self.rng.span(RECREATE_JITTER) } else { Duration::ZERO };
        self.on_session_from(id, now + jitter);
    }

    /// The same; a new session writes from `write_at` on.
    pub(super) fn on_session_from(&mut self, id: i64, write_at: Instant) {
        self.connected = true;
        self.on_changed();
        match self.session {
            Some(old) if old == id => {
                if planted!("registry_write_on_reconnect") {
                    self.observed = Observed::Absent;
                }
            }
            Some(old) => {
                let went = self.confirmed == Some(old) && self.leaf.mode == LeafMode::Ephemeral;
                if went && self.want == Want::Present {
                    self.loss = Some(Loss::Expired);
                }
                self.remember(old);
                self.write_at = Some(write_at);
                self.settled = false;
                self.state = State::Pending;
            }
            None => {}
        }
        self.session = Some(id);
    }

    fn remember(&mut self, session: i64) {
        self.held.push(session);
        let surplus = self.held.len().saturating_sub(SESSIONS_HELD);
        self.held.drain(..surplus);
    }

    /// The connection is gone; the session may live on.
    pub fn on_disconnected(&mut self) {
        self.connected = false;
    }

    /// The leaf's watch fired, or may have: an event or a gap.
    pub fn on_changed(&mut self) {
        self.changes += 1;
        self.forget(false);
    }

    /// A write of unknown fate stays one until a read has followed a `sync`.
    fn forget(&mut self, sync: bool) {
        let before = matches!(self.observed, Observed::Unknown { sync: true });
        self.observed = Observed::Unknown { sync: sync || before };
    }

    /// The next step. Does nothing while one is unanswered.
    pub fn step(&mut self, now: Instant) -> Step {
        let Some(step) = self.next_step(now) else { return Step::Nothing };
        self.take_step(&step, now);
        step
    }

    /// Whether a step is unanswered.
    pub(super) fn is_busy(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether the next create is to make directories that were found missing.
    pub(super) fn makes_parents(&self) -> bool {
        self.missing_parents > 0
    }

    /// The step that is due, unless one is unanswered. It is not taken yet.
    pub(super) fn next_step(&mut self, now: Instant) -> Option<Step> {
        if self.asked.is_some() {
            return None;
        }
        for times in [&mut self.takeovers, &mut self.disturbances] {
            times.retain(|&at| now.saturating_duration_since(at) < TAKEOVER_WINDOW);
        }
        Some(decide(&self.known(), now))
    }

    fn known(&self) -> Known<'_> {
        let most = if planted!("registry_endless_takeovers") { usize::MAX } else { TAKEOVERS };
        let spent = self.takeovers.len().checked_sub(most);
        let oldest = spent.and_then(|at| self.takeovers.get(at));
        Known {
            want: self.want,
            leaf: &self.leaf,
            keep_persistent: self.keep_persistent,
            session: self.session.filter(|_| self.connected),
            held: &self.held,
            observed: &self.observed,
            twin: self.twin,
            missing_parents: self.missing_parents,
            takeover_at: oldest.map(|&at| at + TAKEOVER_WINDOW),
            write_at: self.write_at,
            quiet_until: self.quiet_until,
        }
    }

    pub(super) fn take_step(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Nothing => {
                self.settled = true;
                self.failures = 0;
                self.state = match self.want {
                    Want::Present => State::Registered,
                    Want::Absent => State::Withdrawn,
                };
            }
            Step::WatchAndWait(conflict) => self.state = State::Conflict(*conflict),
            Step::Wait(_) if self.want == Want::Present && self.observed == Observed::Absent => {
                self.state = State::Pending;
            }
            _ if step.is_write() => self.state = State::Pending,
            _ => {}
        }
        if step.is_takeover() {
            self.takeovers.push_back(now);
        }
        if step.is_write() || matches!(step, Step::ReadBack { .. }) {
            let czxid = match &self.observed {
                Observed::Present(seen) => Some(seen.stat.czxid),
                _ => None,
            };
            let data = self.leaf.data.clone();
            self.asked =
                Some(Asked { step: step.clone(), changes: self.changes, session: self.session, data, czxid });
        }
    }

    /// The answer to [`Step::ReadBack`]: the leaf, or none.
    ///
    /// Without a connection only [`ReadFailure::Lost`] makes sense; the read is then repeated with the next one.
    pub fn on_read(&mut self, read: Result<Option<Seen>, ReadFailure>, now: Instant) {
        let Some(asked) = self.asked.take_if(|asked| !asked.step.is_write()) else { return };
        let found = match read {
            Ok(found) => found,
            Err(ReadFailure::Lost) => return self.raced(now),
            Err(ReadFailure::TooLarge) => return self.back_off(now),
            Err(ReadFailure::Refused(code)) => {
                self.last_refusal = Some(code);
                return self.back_off(now);
            }
        };
        // Even what is out of date tells who has held the leaf.
        match &found {
            Some(seen) => self.judge(seen, now),
            None => {
                self.doubtful = None;
                if self.settled && self.want == Want::Present {
                    self.loss = Some(Loss::Deleted);
                    self.disturbed(now);
                }
            }
        }
        if asked.changes == self.changes {
            self.observed = found.map_or(Observed::Absent, Observed::Present);
        }
    }

    /// Draws from a leaf that was read whether it is ours, a twin's, or was changed by others.
    fn judge(&mut self, seen: &Seen, now: Instant) {
        let owner = seen.stat.ephemeral_owner;
        if self.session == Some(owner) {
            if self.settled && self.want == Want::Present && seen.data != self.leaf.data {
                self.loss = Some(Loss::Changed);
                self.disturbed(now);
            }
            self.confirmed = self.session;
            self.twin = false;
            self.doubtful = None;
        } else if seen.same && owner != 0 && !self.held.contains(&owner) {
            // Held under this very session and now another's; or made anew while our own create was in doubt, which may
            // have succeeded and been taken.
            let taken = self.confirmed.is_some() && self.confirmed == self.session;
            let replaced = self.doubtful.is_some_and(|aim| aim != Some(seen.stat.czxid));
            if taken && !self.twin && self.want == Want::Present {
                self.loss = Some(Loss::Taken);
                self.settled = false;
            }
            self.twin |= taken || replaced;
        }
    }

    /// Others undo our work: the first time within a minute is repaired at once, further ones with growing pauses.
    fn disturbed(&mut self, now: Instant) {
        self.settled = false;
        let before = u32::try_from(self.disturbances.len()).unwrap_or(u32::MAX);
        self.write_at = before.checked_sub(1).map(|exponent| now + self.pause(exponent));
        self.disturbances.push_back(now);
    }

    /// The answer to a step that writes.
    pub fn on_written(&mut self, outcome: Outcome, now: Instant) {
        let Some(asked) = self.asked.take_if(|asked| asked.step.is_write()) else { return };
        match outcome {
            Outcome::Applied => self.applied(&asked),
            Outcome::Refused { code, op } => self.refused(&asked, code, op, now),
            Outcome::NotSent => self.raced(now),
            Outcome::Unknown => {
                self.forget(true);
                if !matches!(asked.step, Step::SetData { .. } | Step::Delete { .. }) {
                    self.doubtful = Some(asked.czxid);
                }
            }
        }
    }

    /// The step was part of a multi that failed for another part of it: nothing was done, and nothing speaks against it.
    pub(super) fn on_rolled_back(&mut self) {
        if self.asked.take().is_some_and(|asked| asked.step.is_takeover()) {
            self.takeovers.pop_back();
        }
    }

    fn applied(&mut self, asked: &Asked) {
        self.failures = 0;
        self.last_refusal = None;
        self.quiet_until = None;
        self.write_at = None;
        self.missing_parents = 0;
        let ours = |version| {
            let ephemeral = self.leaf.mode == LeafMode::Ephemeral;
            let ephemeral_owner = asked.session.filter(|_| ephemeral).unwrap_or_default();
            let stat = LeafStat { ephemeral_owner, version, ..LeafStat::default() };
            Observed::Present(Seen { stat, data: asked.data.clone(), same: true })
        };
        let after = match &asked.step {
            Step::Create { .. } => ours(0),
            Step::SetData { version, .. } => ours(version.wrapping_add(1)),
            Step::Delete { .. } => Observed::Absent,
            // Taken from another session: worth a look at what is there now.
            _ => Observed::Unknown { sync: false },
        };
        self.confirmed = asked.session.filter(|_| !matches!(asked.step, Step::Delete { .. }));
        if !matches!(asked.step, Step::SetData { .. }) {
            self.twin = false;
            self.doubtful = None;
        }
        if asked.changes == self.changes {
            self.observed = after;
        }
    }

    fn refused(&mut self, asked: &Asked, code: ErrorCode, op: usize, now: Instant) {
        if let Step::Create { parents } = &asked.step {
            let directories = self.leaf.ancestors().len();
            match code {
                ErrorCode::NO_NODE if parents.len() < directories => {
                    self.missing_parents = parents.len() + 1;
                    return;
                }
                ErrorCode::NODE_EXISTS if op < parents.len() => {
                    self.missing_parents = parents.len() - 1 - op;
                    return self.raced(now);
                }
                _ => {}
            }
        }
        self.missing_parents = 0;
        match (&asked.step, code) {
            (Step::Delete { .. }, ErrorCode::NO_NODE) => self.applied(asked),
            (_, ErrorCode::NO_NODE | ErrorCode::NODE_EXISTS | ErrorCode::BAD_VERSION) => {
                self.forget(false);
                self.raced(now);
            }
            (_, ErrorCode::SESSION_EXPIRED | ErrorCode::SESSION_MOVED) => {
                self.forget(false);
                self.connected = false;
            }
            _ => {
                self.last_refusal = Some(code);
                self.forget(false);
                self.back_off(now);
            }
        }
    }

    /// Somebody was faster. That is no reason to wait unless it goes on.
    fn raced(&mut self, now: Instant) {
        self.failures += 1;
        if let Some(exponent) = self.failures.checked_sub(RACES_AT_ONCE) {
            self.quiet_until = Some(now + self.pause(exponent));
        }
    }

    fn back_off(&mut self, now: Instant) {
        let pause = self.pause(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.quiet_until = Some(now + pause);
    }

    /// Between half of and the whole of the first pause doubled `exponent` times.
    fn pause(&mut self, exponent: u32) -> Duration {
        let whole = BACKOFF_FIRST.saturating_mul(1 << exponent.min(16)).min(BACKOFF_MOST);
        whole / 2 + self.rng.span(whole / 2)
    }
}
