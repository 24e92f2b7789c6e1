//! What must hold of registrations and views: at every step, and when everything has healed.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use menagerie::jute::EventType;
use menagerie::registry::RegistrationState;
use menagerie::registry::layout::{Found, Layout, LeafStat};
use menagerie::registry::limits::TAKEOVERS;
use menagerie::registry::reconcile::ConflictKind;

use super::processes::{Held, Place, Processes, Stood, wished};
use super::rare::{Figures, Rare};
use crate::agenda::{SECOND, Time};
use crate::model::State;
use crate::world::World;

/// A takeover is under way for so long at most, from the read that it rests on.
const UNDER_WAY: Time = 10 * SECOND;

/// Takeovers are counted as they are done, and may be done late: so much of their window is counted.
const WINDOW: Time = 30 * SECOND;

impl Processes {
    /// Looks at everybody.
    pub(crate) fn observe(&mut self, world: &mut World, figures: &mut Figures) {
        for client in 0..self.all.len() {
            let status = self.all[client].client.status();
            world.clients[client].id = status.session_id.unwrap_or(0);
            self.sessions.insert((client, self.all[client].life, world.clients[client].id));
        }
        if world.model.zxid != self.looked {
            self.times.push((world.now, world.model.zxid));
            self.read_log(world, figures);
            self.looked = world.model.zxid;
        }
        for client in 0..self.all.len() {
            let session = world.clients[client].id;
            let process = &mut self.all[client];
            for (place, held) in &mut process.held {
                let place = &self.places[*place];
                if let Some(what) = follow(held, &*self.layouts[place.layout], place, world, session, figures)
                {
                    world.fail(format!("c{client} {}: {what}", place.path));
                }
            }
        }
        self.observe_views(world, figures);
    }

    fn read_log(&mut self, world: &mut World, figures: &mut Figures) {
        let events = world.model.events_between(self.looked, world.model.zxid).to_vec();
        let mut deleted = BTreeSet::new();
        for event in events {
            if event.what == EventType::NODE_DELETED {
                if self.places.iter().any(|place| *place.dir == *event.path) {
                    self.gone_dirs.push(event.path.to_string());
                }
                deleted.insert((event.zxid, event.path));
            } else if event.what == EventType::NODE_CREATED {
                if self.gone_dirs.iter().any(|dir| **dir == *event.path) {
                    self.gone_dirs.retain(|dir| **dir != *event.path);
                    figures.reach(Rare::RootGoneAndBack);
                }
                if deleted.contains(&(event.zxid, event.path.clone())) {
                    figures.reach(Rare::Takeover);
                    self.count_takeover(world, event.zxid, &event.path);
                }
            }
        }
    }

    fn count_takeover(&mut self, world: &mut World, zxid: i64, path: &str) {
        let Some(owner) = world.model.state_at(path, zxid).map(|state| state.owner) else { return };
        let Some(client) = (0..self.all.len()).find(|client| world.clients[*client].id == owner) else {
            return;
        };
        if let Some(what) = self.wrongly_taken(world, client, zxid, path) {
            world.fail(what);
        }
        let key = (path.to_owned(), client, self.all[client].life);
        let times = self.takeovers.entry(key).or_default();
        times.push(world.now);
        times.retain(|time| time + WINDOW > world.now);
        if times.len() > TAKEOVERS {
            let many = times.len();
            world.fail(format!("c{client} takes {path} over {many} times in half a minute"));
        }
    }

    /// What is taken over is the same instance's, or was one's own, or it was so a while ago: the transaction names a version, and
    /// all leaves begin with the same one.
    fn wrongly_taken(&self, world: &World, client: usize, zxid: i64, path: &str) -> Option<String> {
        let before = world.model.state_at(path, zxid - 1)?;
        let place = self.places.iter().find(|place| *place.path == *path)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        let may_be_taken = |state: &State| {
            let data = state.data.clone().unwrap_or_default();
            state.version == before.version
                && (self.sessions.contains(&(client, self.all[client].life, state.owner))
                    || self.layouts[place.layout].is_same(&place.instance, &found(name, &data, state)))
        };
        let long_ago = self.long_ago(world.now, UNDER_WAY)?;
        let events = world.model.events_between(long_ago, zxid - 1).iter();
        let mut zxids = events.filter(|event| *event.path == *path).map(|event| event.zxid).chain([long_ago]);
        let lawful = zxids.any(|zxid| world.model.state_at(path, zxid).is_some_and(may_be_taken));
        (!lawful).then(|| format!("c{client} takes {path} over, which is another's"))
    }

    /// What is not as wished, if something is not.
    pub(crate) fn missing(&self, world: &World) -> Option<String> {
        if self.open.load(Ordering::Relaxed) > 0 {
            return Some(String::from("somebody still interferes"));
        }
        for (at, place) in self.places.iter().enumerate() {
            if let Some(what) = self.unfulfilled(world, at, place) {
                return Some(format!("{}: {what}", place.path));
            }
        }
        for (client, process) in self.all.iter().enumerate() {
            if let Some((place, _)) = process.leaving.iter().find(|(_, done)| !done.load(Ordering::Relaxed)) {
                return Some(format!("c{client} is not done leaving {}", self.places[*place].path));
            }
            for view in &process.views {
                if let Some(what) = self.differs(world, view) {
                    return Some(format!("the view of c{client} of {}: {what}", view.service));
                }
            }
        }
        None
    }

    fn unfulfilled(&self, world: &World, at: usize, place: &Place) -> Option<String> {
        let layout = &self.layouts[place.layout];
        let leaf = world.model.state_at(&place.path, world.model.zxid);
        let last = self.all.len() - 1;
        let mut wishers = 0;
        let mut stands = 0;
        for (client, process) in self.all.iter().enumerate() {
            let session = world.clients[client].id;
            let owns = leaf.is_some_and(|leaf| leaf.owner == session && session != 0);
            let held = process.held.get(&at);
            let state = held.map(|held| held.registered.state());
            let wish = held.and_then(|held| wished(&**layout, &held.registered.instance()));
            match (wish, state) {
                (None, Some(state)) if state != RegistrationState::Withdrawn => {
                    return Some(format!("c{client} wants no leaf and is {state:?}"));
                }
                (None, _) if owns && client != last => return Some(format!("c{client} has a leaf unwished")),
                (Some(data), Some(state)) => {
                    wishers += 1;
                    match state {
                        RegistrationState::Registered if !owns => {
                            return Some(format!("c{client} has no leaf"));
                        }
                        RegistrationState::Registered
                            if leaf.and_then(|leaf| leaf.data.clone()) != Some(data) =>
                        {
                            return Some(format!("the leaf of c{client} says something else"));
                        }
                        RegistrationState::Registered => stands += 1,
                        RegistrationState::Conflict(_) if !owns && leaf.is_some() => {}
                        state => return Some(format!("c{client} is {state:?}, the leaf {leaf:?}")),
                    }
                }
                _ => {}
            }
        }
        if wishers > 0 && stands == 0 {
            return self.explained(world, place, leaf);
        }
        let dead =
            leaf.is_some_and(|leaf| leaf.owner != 0 && !world.clients.iter().any(|one| one.id == leaf.owner));
        dead.then(|| String::from("a leaf of nobody who lives"))
    }

    /// Nobody stands: then it is another's.
    fn explained(&self, world: &World, place: &Place, leaf: Option<&State>) -> Option<String> {
        let Some(leaf) = leaf else { return Some(String::from("nobody has it")) };
        let third = world.clients[self.all.len() - 1].id;
        let data = leaf.data.clone().unwrap_or_default();
        let name = place.path.rsplit('/').next().unwrap_or_default();
        let same = self.layouts[place.layout].is_same(&place.instance, &found(name, &data, leaf));
        // One who put its own in place of ours is a twin, or a stranger; what lasts is a stranger's.
        let foreign = leaf.owner == third || (!same && leaf.owner == 0);
        (!foreign).then(|| format!("nobody has it, and it is nobody else's: {leaf:?}"))
    }
}

pub(crate) fn found<'a>(name: &'a str, data: &'a Bytes, state: &State) -> Found<'a> {
    let stat = LeafStat {
        ephemeral_owner: state.owner,
        version: state.version,
        czxid: state.czxid,
        num_children: 0,
    };
    Found { name, data, stat }
}

/// Follows one registration; says what is wrong with its last step.
fn follow(
    held: &mut Held,
    layout: &dyn Layout,
    place: &Place,
    world: &mut World,
    session: i64,
    figures: &mut Figures,
) -> Option<String> {
    let status = held.registered.status();
    let data = wished(layout, &held.registered.instance());
    let leaf = world.model.state_at(&place.path, world.model.zxid);
    // A wish that its keeper has not heard of yet is none that stands.
    let now = leaf.filter(|leaf| leaf.owner == session && leaf.data == data).map(|leaf| Stood {
        session,
        wishes: held.wishes,
        writes: status.writes,
        czxid: leaf.czxid,
        mzxid: leaf.mzxid,
    });
    let before = held.stood;
    if let (Some(before), Some(now)) = (before, now) {
        if now.writes > before.writes && (Stood { writes: before.writes, ..now }) == before {
            return Some(String::from("a write although the leaf is as it was"));
        }
    }
    let last = held.last.replace(status);
    if status.state == RegistrationState::Registered {
        if std::mem::take(&mut held.contested) {
            figures.reach(Rare::ConflictResolved);
        }
        if let (Some(before), Some(now)) = (before, now) {
            if before.session != now.session {
                figures.reach(Rare::BackAfterExpiry);
            } else if before.czxid != now.czxid {
                figures.reach(Rare::BackAfterDeletion);
            }
        }
        held.stood = now.or(before);
    }
    if last.is_some_and(|last| last != status) {
        world.mix(&[63, status.writes]);
        world.line(format!("       {} is {:?}", place.path, status.state));
        if let RegistrationState::Conflict(conflict) = status.state {
            held.contested = true;
            figures.reach(match conflict.kind {
                ConflictKind::Twin => Rare::TwinConflict,
                _ => Rare::ForeignConflict,
            });
        }
    }
    None
}
