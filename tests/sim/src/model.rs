//! What the log says: the znodes at every moment of it, and the events that came of it.
//!
//! It is told the entries of the log and knows neither the server's tree nor its watches, so that it can judge both.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use menagerie_jute::EventType;
use menagerie_server::core::{Change, Kind, Tree, Txn};

/// A znode as one entry left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// When it came.
    pub czxid: i64,
    /// When its data was set.
    pub mzxid: i64,
    /// When a child came or went.
    pub pzxid: i64,
    /// How often its data was set.
    pub version: i32,
    /// Its data.
    pub data: Option<Bytes>,
    /// The session it goes with, 0 for none.
    pub owner: i64,
}

/// Something that watches may be waiting for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// The entry.
    pub zxid: i64,
    /// Created, deleted or set.
    pub what: EventType,
    /// The znode.
    pub path: Arc<str>,
}

/// All that the log has said so far.
#[derive(Debug, Default)]
pub struct Model {
    live: BTreeMap<Arc<str>, State>,
    history: BTreeMap<Arc<str>, Vec<(i64, Option<State>)>>,
    events: Vec<Happened>,
    ephemerals: BTreeMap<i64, BTreeSet<Arc<str>>>,
    sessions: BTreeSet<i64>,
    /// The last entry.
    pub zxid: i64,
}

impl Model {
    /// The model of a fresh server, whose own znodes it takes as they are.
    #[must_use]
    pub fn new(tree: &Tree) -> Self {
        let mut model = Self::default();
        for (path, node) in tree.walk() {
            let stat = node.stat();
            let state = State {
                czxid: stat.czxid,
                mzxid: stat.mzxid,
                pzxid: stat.pzxid,
                version: stat.version,
                data: node.data().cloned(),
                owner: 0,
            };
            model.put(0, &Arc::from(&*path), Some(state));
        }
        model
    }

    /// Takes the next entry in.
    ///
    /// # Errors
    /// What in it cannot be.
    pub fn take(&mut self, txn: &Txn) -> Result<(), String> {
        if txn.zxid <= self.zxid {
            return Err(format!("entry {:#x} behind {:#x}", txn.zxid, self.zxid));
        }
        self.zxid = txn.zxid;
        match &txn.change {
            Change::OpenSession { .. } => {
                if !self.sessions.insert(txn.session) {
                    return Err(format!("session {:#x} begins twice", txn.session));
                }
            }
            Change::CloseSession => {
                self.sessions.remove(&txn.session);
                for path in self.ephemerals.remove(&txn.session).unwrap_or_default() {
                    self.delete(txn.zxid, &path)?;
                }
            }
            change => self.change(txn, change)?,
        }
        Ok(())
    }

    fn change(&mut self, txn: &Txn, change: &Change) -> Result<(), String> {
        match change {
            Change::Create(creation) => {
                let owner = match creation.kind {
                    Kind::Ephemeral { owner } => owner,
                    _ => 0,
                };
                if owner != 0 && !self.sessions.contains(&owner) {
                    return Err(format!("an ephemeral {} of a session that is over", creation.path));
                }
                let zxid = txn.zxid;
                let data = creation.data.clone();
                let state = State { czxid: zxid, mzxid: zxid, pzxid: zxid, version: 0, data, owner };
                self.create(zxid, &creation.path, state)
            }
            Change::Delete { path } => self.delete(txn.zxid, path),
            Change::SetData { path, data, version } => {
                let Some(known) = self.live.get(path) else { return Err(format!("{path} set, not there")) };
                if known.version.wrapping_add(1) != *version {
                    return Err(format!("{path} goes from version {} to {version}", known.version));
                }
                let state = State { mzxid: txn.zxid, version: *version, data: data.clone(), ..known.clone() };
                self.put(txn.zxid, path, Some(state));
                self.tell(txn.zxid, EventType::NODE_DATA_CHANGED, path);
                Ok(())
            }
            Change::Multi(changes) => changes.iter().try_for_each(|change| self.change(txn, change)),
            _ => Ok(()),
        }
    }

    fn create(&mut self, zxid: i64, path: &Arc<str>, state: State) -> Result<(), String> {
        if self.live.contains_key(path) {
            return Err(format!("{path} created twice"));
        }
        if state.owner != 0 {
            self.ephemerals.entry(state.owner).or_default().insert(path.clone());
        }
        self.put(zxid, path, Some(state));
        self.touch_parent(zxid, path)?;
        self.tell(zxid, EventType::NODE_CREATED, path);
        Ok(())
    }

    fn delete(&mut self, zxid: i64, path: &Arc<str>) -> Result<(), String> {
        let Some(known) = self.live.get(path) else { return Err(format!("{path} deleted, not there")) };
        let owner = known.owner;
        if let Some(paths) = self.ephemerals.get_mut(&owner) {
            paths.remove(path);
        }
        self.put(zxid, path, None);
        self.touch_parent(zxid, path)?;
        self.tell(zxid, EventType::NODE_DELETED, path);
        Ok(())
    }

    fn touch_parent(&mut self, zxid: i64, path: &str) -> Result<(), String> {
        let above = parent(path).ok_or("the root has no parent")?;
        let Some((above, state)) = self.live.get_key_value(above) else {
            return Err(format!("{path} has no parent"));
        };
        let (above, state) = (above.clone(), State { pzxid: zxid, ..state.clone() });
        self.put(zxid, &above, Some(state));
        Ok(())
    }

    fn put(&mut self, zxid: i64, path: &Arc<str>, state: Option<State>) {
        let history = self.history.entry(path.clone()).or_default();
        history.retain(|(at, _)| *at != zxid || zxid == 0);
        history.push((zxid, state.clone()));
        match state {
            Some(state) => self.live.insert(path.clone(), state),
            None => self.live.remove(path),
        };
    }

    fn tell(&mut self, zxid: i64, what: EventType, path: &Arc<str>) {
        self.events.push(Happened { zxid, what, path: path.clone() });
    }

    /// A znode as it was when that entry was the last.
    #[must_use]
    pub fn state_at(&self, path: &str, zxid: i64) -> Option<&State> {
        let history = self.history.get(path)?;
        let behind = history.partition_point(|(at, _)| *at <= zxid);
        history.get(behind.checked_sub(1)?)?.1.as_ref()
    }

    /// The names of its children when that entry was the last.
    #[must_use]
    pub fn children_at(&self, path: &str, zxid: i64) -> BTreeSet<&str> {
        let prefix = if path == "/" { String::from("/") } else { format!("{path}/") };
        let below = self.history.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let below = below.map(|(path, _)| &**path).take_while(|path| path.starts_with(&prefix));
        let names = below.filter_map(|path| path.strip_prefix(prefix.as_str()).map(|name| (path, name)));
        names
            .filter(|(path, name)| {
                !name.is_empty() && !name.contains('/') && self.state_at(path, zxid).is_some()
            })
            .map(|(_, name)| name)
            .collect()
    }

    /// What happened behind `after`, up to `until`.
    #[must_use]
    pub fn events_between(&self, after: i64, until: i64) -> &[Happened] {
        let from = self.events.partition_point(|event| event.zxid <= after);
        let to = self.events.partition_point(|event| event.zxid <= until);
        self.events.get(from..to.max(from)).unwrap_or_default()
    }

    /// Whether the log knows the session as alive.
    #[must_use]
    pub fn is_alive(&self, session: i64) -> bool {
        self.sessions.contains(&session)
    }

    /// How a tree that took all entries differs from what they say.
    #[must_use]
    pub fn difference(&self, tree: &Tree) -> Option<String> {
        let mut count = 0;
        for (path, node) in tree.walk() {
            count += 1;
            let stat = node.stat();
            let Some(state) = self.live.get(&*path) else {
                return Some(format!("{path} should not be there"));
            };
            let seen = (stat.czxid, stat.mzxid, stat.pzxid, stat.version, stat.ephemeral_owner);
            if seen != (state.czxid, state.mzxid, state.pzxid, state.version, state.owner)
                || node.data() != state.data.as_ref()
            {
                return Some(format!("{path} is {seen:?}, not {state:?}"));
            }
        }
        (count != self.live.len()).then(|| format!("{count} znodes, not {}", self.live.len()))
    }

    /// How many znodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Never: the root is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }
}

/// The path one level up.
#[must_use]
pub fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}
