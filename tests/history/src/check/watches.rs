//! Watches: what changed is told before it is read, and a one-shot watch tells once.

use super::{
    Findings, Rule,
    digest::{Digest, Operation},
};
use crate::record::{Entry, EventKind, Op, Session, Stat, WatchId, Zxid};
use std::collections::BTreeMap;

/// What a watch listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Child,
    Lasting { recursive: bool },
}

/// One watch that is set.
#[derive(Debug)]
struct Watch<'d> {
    id: WatchId,
    kind: Kind,
    path: &'d str,
    /// The operation that set it.
    by: &'d Operation<'d>,
    /// What the read that set it showed.
    shown: Option<Stat>,
    /// By path: what a lasting watch has told, and what its session has seen change.
    told: BTreeMap<&'d str, Told>,
}

#[derive(Debug, Default)]
struct Told {
    events: usize,
    zxids: Vec<Zxid>,
    /// An event came whose zxid was not told.
    nameless: bool,
    changes: usize,
    /// The operation that last showed the znode, and how.
    last: Option<(usize, Option<Stat>)>,
}

impl Watch<'_> {
    fn covers(&self, path: &str) -> bool {
        let below =
            || self.path == "/" || path.strip_prefix(self.path).is_some_and(|rest| rest.starts_with('/'));
        path == self.path || (self.kind == Kind::Lasting { recursive: true } && below())
    }
}

pub(crate) fn check(digest: &Digest<'_>, found: &mut Findings) {
    let mut watches: BTreeMap<Session, Vec<Watch<'_>>> = BTreeMap::new();
    let mut fired: BTreeMap<WatchId, usize> = BTreeMap::new();
    for (line, (_, entry)) in digest.history.lines.iter().enumerate() {
        match entry {
            Entry::Completed { op, .. } => {
                let op = &digest.ops[op.0];
                let mine = watches.entry(op.session).or_default();
                for watch in mine.iter_mut() {
                    look(digest, watch, op, found);
                }
                // What fired before the line of the read that set it is over.
                mine.extend(set_by(op).filter(|watch| !fired.contains_key(&watch.id)));
            }
            Entry::Event { session, watch, kind, path, zxid } => {
                let Some(setter) = digest.watches.get(watch).map(|op| &digest.ops[op.0]) else {
                    found.add(Rule::Form, format!("watch {watch} was never set"), [line]);
                    continue;
                };
                let mine = watches.entry(*session).or_default();
                if matches!(setter.what, Op::Watch { .. }) {
                    if let Some(watch) = mine.iter_mut().find(|known| known.id == *watch) {
                        tell(watch, *kind, path, *zxid);
                    }
                } else if let Some(before) = fired.insert(*watch, line) {
                    found.add(
                        Rule::Watch,
                        format!("watch {watch} fired twice"),
                        [setter.invoked, before, line],
                    );
                }
                mine.retain(|known| known.id != *watch || matches!(known.kind, Kind::Lasting { .. }));
            }
            Entry::Gap { session, watch } => {
                let mine = watches.entry(*session).or_default();
                mine.retain(|known| known.id != *watch || matches!(known.kind, Kind::Lasting { .. }));
                mine.iter_mut().filter(|known| known.id == *watch).for_each(|known| known.told.clear());
                fired.insert(*watch, line);
            }
            Entry::Ended { session, .. } => drop(watches.remove(session)),
            Entry::Invoked { .. } | Entry::Doubt(_) => {}
        }
    }
}

/// The watch that an operation sets.
fn set_by<'d>(op: &'d Operation<'d>) -> impl Iterator<Item = Watch<'d>> {
    let shown = op.shown().first().and_then(|(_, stat)| *stat);
    let set = match op.what {
        Op::Get { path, watch: Some(watch) } | Op::Exists { path, watch: Some(watch) } => {
            Some((*watch, Kind::Data, path))
        }
        Op::Children { path, watch: Some(watch) } => Some((*watch, Kind::Child, path)),
        Op::Watch { path, watch, recursive } => Some((*watch, Kind::Lasting { recursive: *recursive }, path)),
        _ => None,
    };
    let set = set.filter(|_| op.is_done());
    set.map(|(id, kind, path)| Watch { id, kind, path, by: op, shown, told: BTreeMap::new() }).into_iter()
}

fn tell<'d>(watch: &mut Watch<'d>, kind: EventKind, path: &'d str, zxid: Option<Zxid>) {
    if kind == EventKind::Children {
        return;
    }
    let told = watch.told.entry(path).or_default();
    told.events += 1;
    told.nameless |= zxid.is_none();
    told.zxids.extend(zxid);
}

/// Whether the second state is later than the first, so that a data watch has something to tell.
fn differs(first: Option<Stat>, second: Option<Stat>) -> bool {
    match (first, second) {
        (None, None) => false,
        (Some(first), Some(second)) => second.mzxid > first.mzxid,
        _ => true,
    }
}

/// An operation has completed: does it show a change that a watch has not told?
fn look<'d>(digest: &Digest<'_>, watch: &mut Watch<'d>, op: &'d Operation<'d>, found: &mut Findings) {
    for (path, stat) in op.shown() {
        if !watch.covers(path) || !watch.by.comes_before(op) {
            continue;
        }
        let changed = match watch.kind {
            Kind::Data => differs(watch.shown, stat),
            Kind::Child => match (watch.shown, stat) {
                (Some(first), Some(second)) => second.pzxid > first.pzxid || second.czxid > first.czxid,
                (Some(_), None) => true,
                _ => false,
            },
            Kind::Lasting { .. } => {
                if let Some(last) = untold(digest, watch, op, path, stat) {
                    let what =
                        format!("{} shows a change of {path} that watch {} has not told", op.id, watch.id);
                    found.add(Rule::Watch, what, [watch.by.invoked, last, op.invoked, op.completed]);
                }
                continue;
            }
        };
        if changed {
            let what = format!("{} shows a change of {path} that watch {} has not told", op.id, watch.id);
            let lines = [watch.by.invoked, watch.by.completed, op.invoked, op.completed];
            found.add(Rule::Watch, what, lines);
        }
    }
}

/// The line at which the znode was last shown, if it changed since and a lasting watch did not tell.
fn untold<'d>(
    digest: &Digest<'_>,
    watch: &mut Watch<'d>,
    op: &'d Operation<'d>,
    path: &'d str,
    stat: Option<Stat>,
) -> Option<usize> {
    let told = watch.told.entry(path).or_default();
    let Some((last, before)) = told.last else {
        told.last = Some((op.id.0, stat));
        return None;
    };
    let last = &digest.ops[last];
    if !last.comes_before(op) || !differs(before, stat) {
        return None;
    }
    told.last = Some((op.id.0, stat));
    told.changes += 1;
    let named = stat.is_none_or(|stat| told.nameless || told.zxids.contains(&stat.mzxid));
    (told.events < told.changes || !named).then_some(last.completed)
}
