//! All that one registration has in the tree: a [`Standing`] for each place, and what they do in common.
//!
//! Each place is decided on alone. In common they write: what is due at once goes in one multi, so that nobody sees half of it.
//! If that is refused, whatever for, each goes on alone until all rest, so that one place which cannot be had keeps no
//! other back. A registration that moves is a place more and a place less: the old leaf goes in the multi that makes the
//! new one, behind it, and never before. Knows what [`Standing`] knows, and nothing else.

use std::time::{Duration, Instant};

use menagerie_jute::ErrorCode;

use super::batch::{Batch, Write};
use super::{Conflict, Loss, Outcome, Seen, Standing, State, Step, Want};
use crate::registry::layout::{Further, Leaf, ParentMode};
use crate::registry::limits::{RECREATE_JITTER, SESSIONS_HELD};
use crate::registry::read_failure::ReadFailure;
use crate::registry::rng::SplitMix64;

/// What is wished of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wished {
    /// The znode as wished.
    pub leaf: Leaf,
    /// What it is to the registration.
    pub role: Role,
    /// Which instance of the registration it is for.
    pub of: usize,
    /// Whether it is to be there. What is not, for a while, is better wished absent than not at all: who took what from whom is
    /// remembered.
    pub want: Want,
}

/// What a znode is to a registration, and thus whose one is that is found in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It stands for an instance; the layout tells which.
    Instance,
    /// It stands beside, and goes with the registration. One with the same data is of the same registration.
    Own,
    /// Persistent, and shared with other registrations: made if it is missing, and never removed. One with the same data is as good.
    Shared,
    /// The same for an entry of a list that others have entries in, too.
    Entry(String),
}

impl Wished {
    /// The leaf that stands for an instance.
    #[must_use]
    pub fn instance(leaf: Leaf, of: usize) -> Self {
        Self::new(leaf, Role::Instance, of)
    }

    /// What stands beside it.
    #[must_use]
    pub fn further(further: Further, of: usize) -> Self {
        match further {
            Further::Leaf(leaf) => Self::new(leaf, Role::Own, of),
            Further::Shared(leaf) => Self::new(leaf, Role::Shared, of),
            Further::Listed { leaf, entry } => Self::new(leaf, Role::Entry(entry), of),
        }
    }

    fn new(leaf: Leaf, role: Role, of: usize) -> Self {
        Self { leaf, role, of, want: Want::Present }
    }
}

impl Role {
    /// Whether it is taken back with the registration. What is shared stays as it is.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        matches!(self, Self::Instance | Self::Own) || planted!("registry_shared_removed")
    }
}

/// All places of one registration.
///
/// - Facts: [`on_session`](Self::on_session), [`on_disconnected`](Self::on_disconnected), [`on_changed`](Self::on_changed),
///   [`on_read`](Self::on_read), [`on_written`](Self::on_written).
/// - Wish: [`wish`](Self::wish).
/// - Output: [`step`](Self::step), after every fact and wish, and when its wait has passed. What it says to read or write
///   is answered by exactly one `on_read` or `on_written`.
///
/// A place is named by its path. Time never runs backwards from call to call.
#[derive(Clone, Debug)]
pub struct Standings {
    /// Those that are wished, in the order in which they are written, and behind them those that are to go.
    places: Vec<Place>,
    keep_persistent: bool,
    session: Option<i64>,
    connected: bool,
    held: Vec<i64>,
    /// Whether a multi was refused: until all rest, each place is written alone.
    alone: bool,
    /// Whether this server knows no containers: it is older than 3.5. Directories are then plain ones.
    plain_parents: bool,
    losses: u64,
    last_loss: Option<Loss>,
    rng: SplitMix64,
}

#[derive(Clone, Debug)]
struct Place {
    path: String,
    role: Role,
    of: usize,
    want: Want,
    standing: Standing,
    /// It is wished no more, and goes when what is wished instead is there.
    leaving: bool,
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// What to read.
    pub reads: Vec<Read>,
    /// What to write: each batch is one request, and they are sent in this order.
    pub batches: Vec<Batch>,
    /// When to ask again if nothing happens before.
    pub wait: Option<Duration>,
}

/// A place to be read, with a watch on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The place.
    pub path: String,
    /// Send `sync` for the path first.
    pub sync: bool,
}

impl Standings {
    /// Nothing is wished yet. `seed` draws the jitter.
    #[must_use]
    pub fn new(keep_persistent: bool, seed: u64) -> Self {
        Self {
            places: Vec::new(),
            keep_persistent,
            session: None,
            connected: false,
            held: Vec::new(),
            alone: false,
            plain_parents: false,
            losses: 0,
            last_loss: None,
            rng: SplitMix64::new(seed),
        }
    }

    /// Wishes these places, in this order, and no other: no path twice. If none is wanted, the registration is withdrawn.
    pub fn wish(&mut self, wished: Vec<Wished>) {
        let mut before = std::mem::take(&mut self.places);
        let forgets = |wish: &Wished| wish.want == Want::Absent && planted!("registry_pause_forgets");
        for wish in wished.into_iter().filter(|wish| !forgets(wish)) {
            let path = wish.leaf.path();
            let place = match before.iter().position(|place| place.path == path) {
                Some(at) => {
                    let (role, of, want) = (wish.role, wish.of, wish.want);
                    Place { leaving: false, role, of, want, ..before.remove(at) }
                }
                None => self.begin(path, &wish),
            };
            self.places.push(place);
            let Some(Place { role, standing, want, .. }) = self.places.last_mut() else { continue };
            match role {
                _ if *want == Want::Absent => standing.withdraw(),
                // What it is to hold depends on what is there.
                Role::Entry(_) if standing.leaf().mode == wish.leaf.mode => {
                    standing.want(standing.leaf().data.clone());
                    standing.on_changed();
                }
                _ => standing.want_leaf(wish.leaf),
            }
        }
        for place in &mut before {
            place.leaving = true;
            place.standing.withdraw();
        }
        self.places.append(&mut before);
    }

    fn begin(&mut self, path: String, wish: &Wished) -> Place {
        let keep_persistent = self.keep_persistent && wish.role.is_owned();
        let mut standing = Standing::new(wish.leaf.clone(), keep_persistent, self.rng.next_u64());
        standing.join(self.session, self.connected, &self.held);
        Place { path, role: wish.role.clone(), of: wish.of, want: wish.want, standing, leaving: false }
    }

    /// The paths of all places, those that are to go included.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.path.as_str())
    }

    /// What a place is to the registration.
    #[must_use]
    pub fn role(&self, path: &str) -> Option<&Role> {
        self.places.iter().find(|place| place.path == path).map(|place| &place.role)
    }

    /// What has become of the wish, as of the last step: a conflict if there is one in any place, registered if all is as wished.
    #[must_use]
    pub fn state(&self) -> State {
        let wished = || self.places.iter().filter(|place| !place.leaving);
        let conflicts = wished().filter_map(|place| match place.standing.state() {
            State::Conflict(conflict) => Some((place.role == Role::Instance, conflict)),
            _ => None,
        });
        if let Some((_, conflict)) = conflicts.max_by_key(|(instance, _)| *instance) {
            return State::Conflict(conflict);
        }
        if !self.places.iter().all(Place::is_fulfilled) {
            return State::Pending;
        }
        let any = wished().any(|place| place.want == Want::Present);
        if any { State::Registered } else { State::Withdrawn }
    }

    /// The places in which there is a conflict.
    pub fn conflicts(&self) -> impl Iterator<Item = (&str, Conflict)> {
        self.places.iter().filter(|place| !place.leaving).filter_map(|place| match place.standing.state() {
            State::Conflict(conflict) => Some((place.path.as_str(), conflict)),
            _ => None,
        })
    }

    /// Why the server last refused to read or write a place, until a write to that place succeeds.
    #[must_use]
    pub fn last_refusal(&self) -> Option<ErrorCode> {
        self.places.iter().find_map(|place| place.standing.last_refusal())
    }

    /// How often something was lost that had been as wished, and what was last.
    #[must_use]
    pub fn losses(&self) -> (u64, Option<Loss>) {
        (self.losses, self.last_loss)
    }

    /// A connection serves session `id`: the first, the same as before, or a new one after an expiry.
    pub fn on_session(&mut self, id: i64, now: Instant) {
        let mut write_at = now;
        if let Some(old) = self.session.replace(id).filter(|old| *old != id) {
            self.held.push(old);
            let surplus = self.held.len().saturating_sub(SESSIONS_HELD);
            self.held.drain(..surplus);
            self.plain_parents = false;
            // One moment for all, so that they can go in one multi again.
            write_at += self.rng.span(RECREATE_JITTER);
        }
        self.connected = true;
        for place in &mut self.places {
            place.standing.on_session_from(id, write_at);
        }
        self.note_losses();
    }

    /// The connection is gone; the session may live on.
    pub fn on_disconnected(&mut self) {
        self.connected = false;
        for place in &mut self.places {
            place.standing.on_disconnected();
        }
    }

    /// The watch of this place fired, or may have: an event or a gap.
    pub fn on_changed(&mut self, path: &str) {
        if let Some(place) = self.place(path) {
            place.standing.on_changed();
        }
    }

    /// The answer to a [`Read`]: the znode, or none. Whether it is the same is to be told for a [`Role::Instance`] alone.
    pub fn on_read(&mut self, path: &str, read: Result<Option<Seen>, ReadFailure>, now: Instant) {
        let Some(place) = self.place(path) else { return };
        let read = read.map(|seen| place.seen(seen));
        place.standing.on_read(read, now);
        self.note_losses();
    }

    /// The answer to a [`Batch`]; `op` of a refusal counts its operations.
    pub fn on_written(&mut self, batch: &Batch, outcome: Outcome, now: Instant) {
        if self.learns_of_no_containers(batch, outcome) {
            for write in &batch.writes {
                self.place(&write.path).into_iter().for_each(|place| place.standing.on_rolled_back());
            }
            return;
        }
        let mut blamed = None;
        if let Outcome::Refused { code, op } = outcome {
            let ends = matches!(code, ErrorCode::SESSION_EXPIRED | ErrorCode::SESSION_MOVED);
            blamed = batch.writes.get(batch.origin(op).0).filter(|_| !ends && batch.writes.len() > 1);
        }
        for write in &batch.writes {
            let Some(place) = self.places.iter_mut().find(|place| place.path == write.path) else { continue };
            match (blamed, outcome) {
                (Some(other), _) if other.path != write.path => place.standing.on_rolled_back(),
                (Some(_), Outcome::Refused { code, op }) => {
                    let op = batch.origin(op).1;
                    place.standing.on_written(Outcome::Refused { code, op }, now);
                    self.alone |= !place.standing.makes_parents() && !planted!("registry_refused_together");
                }
                _ => place.standing.on_written(outcome, now),
            }
        }
        self.note_losses();
    }

    /// An unknown operation fails a multi as a whole, whichever it was.
    fn learns_of_no_containers(&mut self, batch: &Batch, outcome: Outcome) -> bool {
        let Outcome::Refused { code, .. } = outcome else { return false };
        let unknown = matches!(code, ErrorCode::MARSHALLING_ERROR | ErrorCode::UNIMPLEMENTED);
        let learns = unknown && !self.plain_parents && batch.makes_containers();
        self.plain_parents |= learns;
        learns && !planted!("registry_containers_only")
    }

    fn place(&mut self, path: &str) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| place.path == path)
    }

    /// What befalls several places at once is one loss.
    fn note_losses(&mut self) {
        let losses = self.places.iter_mut().filter_map(|place| place.standing.take_loss());
        if let Some(loss) = losses.last().filter(|_| !planted!("registry_loss_unsaid")) {
            self.losses += 1;
            self.last_loss = Some(loss);
        }
    }

    /// What is to be done now.
    pub fn step(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        let mut writes = Vec::new();
        for place in self.places.iter_mut().filter(|place| !place.is_let_be()) {
            let Some(step) = place.standing.next_step(now) else { continue };
            if step.is_write() {
                writes.push((place.path.clone(), step));
                continue;
            }
            place.standing.take_step(&step, now);
            match step {
                Step::ReadBack { sync } => due.reads.push(Read { path: place.path.clone(), sync }),
                Step::Wait(span) => due.wait = Some(due.wait.map_or(span, |other| other.min(span))),
                _ => {}
            }
        }
        self.places.retain(|place| !place.is_gone());
        let busy = self.places.iter().any(|place| place.standing.is_busy());
        if !busy && writes.is_empty() && due.wait.is_none() {
            self.alone = false;
        }
        if busy && !self.alone {
            // Their answers may show that more is to be written with it.
            return due;
        }
        self.keep_until_replaced(&mut writes);
        due.batches = self.batches(writes, now);
        due
    }

    /// A leaf that is to go stays until the one that is wished for its instance is there, or comes in the same multi.
    fn keep_until_replaced(&self, writes: &mut Vec<(String, Step)>) {
        let comes = |place: &Place| {
            place.standing.state() == State::Registered
                || !self.alone && writes.iter().any(|(path, _)| *path == place.path)
        };
        let wished = self.places.iter().filter(|place| !place.leaving && place.want == Want::Present);
        let wished = wished.filter(|place| place.role == Role::Instance && !comes(place));
        let awaited: Vec<_> = wished.map(|place| place.of).collect();
        if planted!("registry_move_leaves_first") {
            return;
        }
        let stays = |path: &str| {
            let mut leaving = self.places.iter().filter(|place| place.leaving && place.path == path);
            leaving.any(|place| awaited.contains(&place.of))
        };
        writes.retain(|(path, _)| !stays(path));
    }

    fn batches(&mut self, writes: Vec<(String, Step)>, now: Instant) -> Vec<Batch> {
        let mut taken = Vec::with_capacity(writes.len());
        let plain_parents = self.plain_parents && !planted!("registry_containers_only");
        for (path, step) in writes {
            let Some(place) = self.place(&path) else { continue };
            place.standing.take_step(&step, now);
            let mut leaf = place.standing.leaf().clone();
            if plain_parents {
                leaf.parents = ParentMode::Persistent;
            }
            taken.push(Write { path, leaf, step });
        }
        if taken.is_empty() {
            return Vec::new();
        }
        if self.alone || planted!("registry_places_one_by_one") {
            return taken.into_iter().map(|write| Batch { writes: vec![write] }).collect();
        }
        vec![Batch { writes: taken }]
    }
}

impl Place {
    /// Whether it is left as it is: shared, and wanted no more.
    fn is_let_be(&self) -> bool {
        (self.leaving || self.want == Want::Absent) && !self.role.is_owned()
    }

    fn is_gone(&self) -> bool {
        let is_gone = self.standing.state() == State::Withdrawn || self.is_let_be();
        self.leaving && is_gone && !self.standing.is_busy()
    }

    fn is_fulfilled(&self) -> bool {
        match self.want {
            _ if self.leaving => false,
            Want::Present => self.standing.state() == State::Registered,
            Want::Absent => self.is_let_be() || self.standing.state() == State::Withdrawn,
        }
    }

    /// Whether what was read is the same, for what is not told by the layout; and what it is to hold then.
    fn seen(&mut self, seen: Option<Seen>) -> Option<Seen> {
        match (&self.role, seen) {
            (Role::Instance, seen) => seen,
            (Role::Own | Role::Shared, seen) => {
                seen.map(|seen| Seen { same: seen.data == self.standing.leaf().data, ..seen })
            }
            (Role::Entry(entry), seen) => {
                let list = seen.as_ref().map(|seen| seen.data.clone()).unwrap_or_default();
                if !planted!("registry_entry_replaces_list") {
                    self.standing.set_data(Further::listed(&list, entry).unwrap_or(list));
                }
                seen.map(|seen| Seen { same: true, ..seen })
            }
        }
    }
}
