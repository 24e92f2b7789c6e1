//! What must hold of views: nothing that stays is dropped, a set is complete, and in the end a view is the tree.

use std::sync::Arc;

use menagerie::registry::Instance;
use menagerie::registry::layout::Layout;
use menagerie::registry::view::Set;

use super::ends::lock;
use super::processes::{Processes, Viewing};
use super::rare::{Figures, Rare};
use super::verdict::found;
use crate::agenda::{SECOND, Time};
use crate::world::World;

/// A leaf that was there for so long is known to whoever reads: no member, and no answer, is that late.
const KNOWN: Time = 40 * SECOND;

impl Processes {
    /// The last entry of so long ago.
    pub(crate) fn long_ago(&self, now: Time, ago: Time) -> Option<i64> {
        let long_ago = now.saturating_sub(ago);
        let behind = self.times.partition_point(|(time, _)| *time <= long_ago);
        behind.checked_sub(1).map(|at| self.times[at].1)
    }

    pub(crate) fn observe_views(&mut self, world: &mut World, figures: &mut Figures) {
        let since = self.long_ago(world.now, KNOWN);
        for (client, process) in self.all.iter_mut().enumerate() {
            for view in &mut process.views {
                let Some(services) = lock(&view.services).clone() else { continue };
                let stale = services.stale_since().is_some();
                if std::mem::replace(&mut view.stale, stale) && !stale {
                    figures.reach(Rare::StaleThenFresh);
                }
                let set = services.snapshot();
                let last = view.last.replace(set.clone());
                if last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &set)) {
                    continue;
                }
                figures.sets += 1;
                world.mix(&[62, client as u64, set.len() as u64]);
                let layout = &*self.layouts[view.layout];
                let Ok(dir) = layout.service_dir(&view.service) else { continue };
                let of = Of { layout, service: &view.service, dir: &dir };
                let wrong = last
                    .and_then(|last| of.dropped(world, &last, &set, since))
                    .or_else(|| of.lacking(world, &set, since?).filter(|_| !stale));
                if let Some(what) = wrong {
                    world.fail(format!("a view of c{client} {what}"));
                }
            }
        }
    }

    /// How a view is not the tree.
    pub(crate) fn differs(&self, world: &World, view: &Viewing) -> Option<String> {
        let Some(services) = lock(&view.services).clone() else { return Some(String::from("not there yet")) };
        if services.stale_since().is_some() {
            return Some(String::from("stale"));
        }
        let layout = &self.layouts[view.layout];
        let dir = layout.service_dir(&view.service).ok()?;
        let zxid = world.model.zxid;
        let mut expected: Vec<(String, Instance)> = Vec::new();
        for name in world.model.children_at(&dir, zxid) {
            let Some(state) = world.model.state_at(&format!("{dir}/{name}"), zxid) else { continue };
            let data = state.data.clone().unwrap_or_default();
            if let Ok(instance) = layout.read(&view.service, &found(name, &data, state)) {
                expected.push((name.to_owned(), instance));
            }
        }
        let set = services.snapshot();
        let shown: Vec<(String, Instance)> =
            set.entries().iter().map(|entry| (entry.leaf.to_string(), (*entry.instance).clone())).collect();
        (shown != expected)
            .then(|| format!("{} shown, {} in the tree, or they differ", shown.len(), expected.len()))
    }
}

/// Whose leaves a set is of.
struct Of<'a> {
    layout: &'a dyn Layout,
    service: &'a str,
    dir: &'a str,
}

impl Of<'_> {
    /// A leaf that is in the set no more, although it never went since it first was as shown, or for long.
    fn dropped(&self, world: &World, last: &Set, set: &Set, since: Option<i64>) -> Option<String> {
        let now = world.model.zxid;
        for entry in last.entries() {
            if set.entries().iter().any(|kept| kept.leaf == entry.leaf) {
                continue;
            }
            let path = format!("{}/{}", self.dir, entry.leaf);
            let mut seen = false;
            let mut went = false;
            for event in world.model.events_between(0, now).iter().filter(|event| *event.path == *path) {
                match world.model.state_at(&path, event.zxid) {
                    None => went |= seen && since.is_none_or(|since| event.zxid > since),
                    Some(state) if !seen => {
                        let data = state.data.clone().unwrap_or_default();
                        let read = self.layout.read(self.service, &found(&entry.leaf, &data, state));
                        seen = read.is_ok_and(|shown| shown == *entry.instance);
                    }
                    Some(_) => {}
                }
            }
            if seen && !went && world.model.state_at(&path, now).is_some() {
                return Some(format!("drops {path}, which was there all the time"));
            }
        }
        None
    }

    /// A leaf that was there for long and is not in the set.
    fn lacking(&self, world: &World, set: &Set, since: i64) -> Option<String> {
        let now = world.model.zxid;
        for name in world.model.children_at(self.dir, since) {
            let path = format!("{}/{name}", self.dir);
            let events = world.model.events_between(since, now);
            let mut times =
                events.iter().filter(|event| *event.path == *path).map(|event| event.zxid).chain([since]);
            let stayed = times.all(|zxid| {
                world.model.state_at(&path, zxid).is_some_and(|state| {
                    let data = state.data.clone().unwrap_or_default();
                    self.layout.read(self.service, &found(name, &data, state)).is_ok()
                })
            });
            if stayed && !set.entries().iter().any(|entry| *entry.leaf == *name) {
                return Some(format!("lacks {path}, which was there all the time"));
            }
        }
        None
    }
}
