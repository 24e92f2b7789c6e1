//! What becomes of the list of a directory's children.

use std::sync::Arc;

use menagerie_jute::ErrorCode;

use super::View;
use super::child::{Child, Marked};
use super::read::{ReadId, is_child_name};
use crate::registry::read_failure::ReadFailure;

impl View {
    /// The answer to [`Read::Children`](super::Read::Children). No node is an answer too: no children.
    pub fn on_children<N: AsRef<str>>(
        &mut self,
        id: ReadId,
        names: Result<impl IntoIterator<Item = N>, ReadFailure>,
    ) {
        let Some(read) = self.in_flight.remove(&id) else { return };
        self.list_asked = false;
        match names {
            Ok(names) => {
                self.listed(read.begun, names.into_iter().map(|name| Arc::from(name.as_ref())).collect())
            }
            Err(ReadFailure::Refused(ErrorCode::NO_NODE)) => self.listed(read.begun, Vec::new()),
            Err(failure) => self.pause(failure),
        }
        self.publish();
    }

    fn listed(&mut self, begun: u64, mut names: Vec<Arc<str>>) {
        self.last_failure = None;
        self.list_dirty = self.list_dirty.filter(|mark| *mark > begun);
        names.sort_unstable();
        names.dedup();
        let missing = |name: &&Arc<str>| names.binary_search(name).is_err();
        let gone: Vec<Arc<str>> = self.children.keys().filter(missing).cloned().collect();
        let resync = self.resync.as_ref().is_some_and(|resync| begun > resync.mark);
        let mut new = Vec::new();
        for name in names {
            match self.children.contains_key(&name) {
                false if is_child_name(&name) => new.push(name),
                false => self.mark(&name, Marked::ByRead),
                true if resync => self.owe(&name),
                true => {}
            }
        }
        self.add(new, resync);
        // Missing in a list is a reason to look, not to remove: it may be older than what is known.
        for name in gone {
            if is_child_name(&name) { self.mark(&name, Marked::ByRead) } else { self.remove(&name) }
        }
    }

    /// Children that are not known yet, in the order of their names. They are read at once.
    fn add(&mut self, names: Vec<Arc<str>>, resync: bool) {
        self.queue.extend(names.iter().cloned());
        if let Some(resync) = self.resync.as_mut().filter(|_| resync) {
            resync.owed += names.len();
        }
        self.clock += 1;
        let child =
            |name| (name, Child { dirty: Some(self.clock), queued: true, owed: resync, ..Child::unread() });
        if names.len() < self.children.len() / 8 {
            self.children.extend(names.into_iter().map(child));
        } else {
            // Builds the map anew, and so without searching it.
            self.children.append(&mut names.into_iter().map(child).collect());
        }
    }
}
