//! From what is known to the set that is published: instances as the rules beside them have them.

use std::sync::Arc;

use super::child::{Child, Held};
use super::read::{Invalid, InvalidReason};
use super::set::{Entry, Set};
use super::{ReadFailure, View};
use crate::registry::Instance;
use crate::registry::layout::{Found, LeafStat, Rule};
use crate::registry::limits::RULES;

/// Rules that stand in a directory of their own, all in their names.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) dir: Option<String>,
    /// `None` until it has been listed.
    rules: Option<Vec<Arc<Rule>>>,
    pub(super) invalid: Vec<Invalid>,
}

impl Beside {
    pub(super) fn new(dir: Option<String>) -> Self {
        Self { dir, rules: None, invalid: Vec::new() }
    }

    /// Whether there are to be rules that are not known yet: whoever they take out of service is not to be shown before.
    fn is_awaited(&self) -> bool {
        self.dir.is_some() && self.rules.is_none() && !planted!("layout_rules_not_awaited")
    }
}

impl View {
    /// The names in [`rules_dir`](Self::rules_dir), or why they are not known. Without a directory there are none. Rules that
    /// were known stay while they cannot be listed.
    pub fn on_rules<N: AsRef<str>>(&mut self, names: Result<impl IntoIterator<Item = N>, ReadFailure>) {
        let (mut rules, mut invalid) = (Vec::new(), Vec::new());
        match names {
            Ok(names) => {
                for name in names {
                    match self.rule_of(name.as_ref(), rules.len()) {
                        Ok(rule) => rules.extend(rule.map(Arc::new)),
                        Err(reason) => invalid.push(Invalid { leaf: name.as_ref().into(), reason }),
                    }
                }
            }
            Err(failure) => {
                let reason = match failure {
                    ReadFailure::Refused(code) => InvalidReason::Refused(code),
                    ReadFailure::TooLarge => InvalidReason::TooLarge,
                    ReadFailure::Lost => return,
                };
                rules = self.beside.rules.take().unwrap_or_default();
                invalid.push(Invalid { leaf: self.beside.dir.as_deref().unwrap_or_default().into(), reason });
            }
        }
        if self.beside.invalid != invalid {
            self.invalid_seen += u64::try_from(invalid.len()).unwrap_or(u64::MAX);
            self.invalid_version += 1;
            self.beside.invalid = invalid;
        }
        self.changed |= self.beside.rules.as_ref().is_none_or(|before| *before != rules);
        self.beside.rules = Some(rules);
        self.publish();
    }

    fn rule_of(&self, name: &str, count: usize) -> Result<Option<Rule>, InvalidReason> {
        if count >= RULES {
            return Err(InvalidReason::TooMany);
        }
        let found = Found { name, data: &bytes::Bytes::new(), stat: LeafStat::default() };
        Ok(self.layout.rule(&found)?)
    }

    /// What a child stands for.
    pub(super) fn hold(&mut self, found: &Found<'_>) -> Held {
        let error = match self.layout.read(&self.service, found) {
            Ok(mut instance) => {
                // Most instances of a service say the same of themselves.
                instance.metadata.share(&self.last_metadata);
                self.last_metadata.clone_from(&instance.metadata);
                return Held::Instance(Arc::new(instance));
            }
            Err(error) => error,
        };
        match self.layout.rule(found) {
            // Where rules have a directory, they stand nowhere else.
            _ if self.beside.dir.is_some() => Held::invalid(error),
            Ok(Some(rule)) => Held::Rule(Arc::new(rule)),
            Ok(None) => Held::invalid(error),
            Err(error) => Held::invalid(error),
        }
    }

    /// All rules that are known.
    fn rules(&self) -> Vec<Arc<Rule>> {
        let among = self.children.values().filter_map(|child| match &child.held {
            Held::Rule(rule) => Some(rule),
            _ => None,
        });
        among.chain(self.beside.rules.iter().flatten()).take(RULES).cloned().collect()
    }

    /// An instance as the rules have it. One that was shown like that keeps its place in memory.
    fn ruled(&self, rules: &[Arc<Rule>], leaf: &str, instance: &Arc<Instance>) -> Arc<Instance> {
        let ruled = if rules.is_empty() { None } else { Rule::applied(rules, leaf, instance) };
        let Some(ruled) = ruled else { return Arc::clone(instance) };
        let shown = self.current.as_ref().and_then(|set| {
            let at = set.entries().binary_search_by(|entry| (*entry.leaf).cmp(leaf)).ok()?;
            set.entries().get(at)
        });
        shown
            .filter(|shown| *shown.instance == ruled)
            .map_or_else(|| Arc::new(ruled), |shown| Arc::clone(&shown.instance))
    }

    /// Makes the set of what is known, unless it is known in part only.
    pub(super) fn publish(&mut self) {
        if let Some(resync) = &self.resync {
            let listed = self.list_dirty.is_none_or(|mark| mark > resync.mark);
            if !listed || resync.owed > 0 && !planted!("registry_partial_set") {
                return;
            }
            self.resync = None;
            // What is held back can be known to be so only now.
            self.changed |= self.current.is_some();
        }
        if self.beside.is_awaited() {
            return;
        }
        if std::mem::take(&mut self.changed) || self.current.is_none() {
            let set = Arc::new(self.assemble());
            if set.is_empty() && self.current.is_some() && planted!("registry_last_kept") {
                return;
            }
            self.current = Some(set);
        }
        self.stale_since = self.stale_since.filter(|_| !self.connected || self.hold_back.held_back().0 > 0);
    }

    fn assemble(&mut self) -> Set {
        let rules = self.rules();
        let entry = |(leaf, child): (&Arc<str>, &Child)| {
            let instance = self.ruled(&rules, leaf, child.instance()?);
            Some(Entry { leaf: Arc::clone(leaf), instance })
        };
        let mut entries: Vec<Entry> = self.children.iter().filter_map(entry).collect();
        if let Some(current) = &self.current {
            let registered = |leaf: &str| self.children.get(leaf).and_then(Child::instance).is_some();
            let kept = self.hold_back.keep(current, registered);
            if !kept.is_empty() {
                entries.extend(kept);
                entries.sort_unstable_by(|one, other| one.leaf.cmp(&other.leaf));
            }
        }
        Set::from_sorted(entries)
    }
}
