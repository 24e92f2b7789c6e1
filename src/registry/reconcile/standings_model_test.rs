//! Random interleavings of one [`Standings`] with moves, other processes and lost replies, on a small tree in memory.

use std::collections::{BTreeMap, BTreeSet};

use menagerie_jute::ErrorCode;
use proptest::prelude::*;

use super::tests::zero;
use super::*;
use crate::registry::ReadFailure;
use crate::registry::layout::{Further, ParentMode};

const OWN: &str = "/root/own/o";
const LIST: &str = "/root/map/list";
/// Beyond every id of ours.
const STRANGER: i64 = 2_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    owner: i64,
    version: i32,
    czxid: i64,
    data: Bytes,
    /// Whether another instance wrote it.
    foreign: bool,
}

/// What the registration is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// Which path the leaf has.
    at: u8,
    data: u8,
    revision: u8,
}

/// What happens next. Reads and batches go out, are executed in order and are answered one by one, with anything between.
#[derive(Clone, Debug)]
enum Act {
    Progress,
    Issue,
    Execute,
    Answer,
    LoseRequests,
    LoseReplies,
    Reconnect,
    Expire,
    Deliver,
    ForeignCreates(u8),
    ForeignsGo,
    SomebodyDeletes(u8),
    SomebodySets(u8),
    OthersEnter(u8),
    OtherShares(u8),
    DirectoriesGo,
    Wish(Shape),
    /// These places, and none of them is wanted now.
    Pause(Shape),
    Withdraw,
    Pass(u16),
}

#[derive(Clone, Debug)]
enum Asked {
    Read(Read),
    /// And, if an instance was wished when it was issued, how often somebody had deleted something.
    Write(Batch, Option<usize>),
}

#[derive(Clone, Debug)]
enum Answer {
    Read(String, Option<Seen>),
    Written(Batch, Outcome),
}

struct World {
    standings: Standings,
    now: Instant,
    tree: BTreeMap<String, Node>,
    dirs: BTreeSet<String>,
    zxid: i64,
    session: i64,
    wished: Option<Shape>,
    events: BTreeSet<String>,
    asked: Vec<Asked>,
    answers: Vec<Answer>,
    writes: usize,
    /// The newest znode that a read of ours has found in each place.
    read: BTreeMap<String, i64>,
    entered: BTreeSet<String>,
    deletions: usize,
}

fn path_at(at: u8) -> String {
    format!("/root/svc/i{}", at % 3)
}

fn shared_at(revision: u8) -> String {
    format!("/root/meta/r{}", revision % 2)
}

/// Whichever of the paths.
fn path_of(which: u8) -> String {
    match which % 6 {
        4 => OWN.to_owned(),
        5 => shared_at(which / 6),
        at => path_at(at),
    }
}

fn leaf(path: &str, data: impl Into<Bytes>, mode: LeafMode) -> Leaf {
    let (dir, name) = path.rsplit_once('/').unwrap();
    let (dir, name) = (dir.to_owned(), name.to_owned());
    Leaf { dir, name, data: data.into(), mode, parents: ParentMode::Persistent }
}

/// The places of a registration of this shape.
fn places(shape: Shape) -> Vec<Wished> {
    let list = leaf(LIST, "app", LeafMode::Persistent);
    let data = vec![shape.data];
    vec![
        Wished::further(
            Further::Shared(leaf(&shared_at(shape.revision), "described", LeafMode::Persistent)),
            0,
        ),
        Wished::further(Further::Listed { leaf: list, entry: "app".to_owned() }, 0),
        Wished::further(Further::Leaf(leaf(OWN, "beside", LeafMode::Ephemeral)), 0),
        Wished::instance(leaf(&path_at(shape.at), data, LeafMode::Ephemeral), 0),
    ]
}

impl World {
    fn new(seed: u64) -> Self {
        let now = zero();
        let mut standings = Standings::new(false, seed);
        let first = Shape { at: 0, data: 0, revision: 0 };
        standings.wish(places(first));
        standings.on_session(1, now);
        Self {
            standings,
            now,
            tree: BTreeMap::new(),
            dirs: BTreeSet::new(),
            zxid: 0,
            session: 1,
            wished: Some(first),
            events: BTreeSet::new(),
            asked: Vec::new(),
            answers: Vec::new(),
            writes: 0,
            read: BTreeMap::new(),
            entered: BTreeSet::new(),
            deletions: 0,
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Progress => {
                self.execute();
                self.answer(true);
                self.issue();
            }
            Act::Issue => drop(self.issue()),
            Act::Execute => self.execute(),
            Act::Answer => self.answer(false),
            Act::LoseRequests => self.lose(false),
            Act::LoseReplies => self.lose(true),
            Act::Reconnect => self.lose(false),
            Act::Expire => {
                self.lose(false);
                self.remove(|_, node, session| node.owner == session);
                self.session += 1;
                self.events.clear();
                self.standings.on_session(self.session, self.now);
            }
            Act::Deliver => self.deliver(),
            Act::Wish(shape) => {
                self.wished = Some(*shape);
                self.standings.wish(places(*shape));
            }
            Act::Pause(shape) => {
                self.wished = None;
                let absent = |wished| Wished { want: Want::Absent, ..wished };
                self.standings.wish(places(*shape).into_iter().map(absent).collect());
            }
            Act::Withdraw => {
                self.wished = None;
                self.standings.wish(Vec::new());
            }
            Act::Pass(millis) => self.now += Duration::from_millis((*millis).into()),
            others => self.others(others),
        }
    }

    fn others(&mut self, act: &Act) {
        match act {
            Act::ForeignCreates(which) => self.create(&path_of(*which), STRANGER, "theirs", true),
            Act::ForeignsGo => self.remove(|_, node, _| node.foreign),
            Act::SomebodyDeletes(which) => {
                let path = path_of(*which);
                self.remove(|other, _, _| *other == path);
                self.deletions += 1;
            }
            Act::SomebodySets(which) => {
                let path = path_of(*which);
                self.set(&path, |_| "overwritten".to_owned());
                // What is shared and differs is another's: nobody sets it right.
                let node = self.tree.get_mut(&path);
                node.into_iter().for_each(|node| node.foreign |= path.starts_with("/root/meta"));
            }
            Act::OthersEnter(which) => {
                let entry = format!("other{which}");
                self.create(LIST, 0, "", false);
                let list = |old: &str| match Further::listed(old.as_bytes(), &entry) {
                    Some(list) => String::from_utf8(list.to_vec()).unwrap(),
                    None => old.to_owned(),
                };
                self.set(LIST, list);
                if self.tree.contains_key(LIST) {
                    self.entered.insert(entry);
                }
            }
            Act::OtherShares(revision) => self.create(&shared_at(*revision), 0, "described", false),
            Act::DirectoriesGo => {
                let used = |dir: &String| self.tree.keys().any(|path| path.starts_with(&format!("{dir}/")));
                self.dirs = self.dirs.iter().filter(|dir| used(dir)).cloned().collect();
            }
            other => panic!("{other:?}"),
        }
    }

    fn create(&mut self, path: &str, owner: i64, data: &'static str, foreign: bool) {
        let dir = path.rsplit_once('/').unwrap().0;
        if self.dirs.contains(dir) && !self.tree.contains_key(path) {
            self.zxid += 1;
            let data = Bytes::from_static(data.as_bytes());
            self.tree.insert(path.to_owned(), Node { owner, version: 0, czxid: self.zxid, data, foreign });
            self.events.insert(path.to_owned());
        }
    }

    fn set(&mut self, path: &str, change: impl FnOnce(&str) -> String) {
        let Some(node) = self.tree.get_mut(path) else { return };
        node.data = change(std::str::from_utf8(&node.data).unwrap_or("")).into();
        node.version += 1;
        self.events.insert(path.to_owned());
    }

    fn remove(&mut self, which: impl Fn(&String, &Node, i64) -> bool) {
        let session = self.session;
        let events = &mut self.events;
        self.tree.retain(|path, node| {
            let goes = which(path, node, session);
            events.extend(goes.then(|| path.clone()));
            !goes
        });
    }

    fn deliver(&mut self) {
        for path in std::mem::take(&mut self.events) {
            self.standings.on_changed(&path);
        }
    }

    fn issue(&mut self) -> Option<Duration> {
        let due = self.standings.step(self.now);
        self.asked.extend(due.reads.into_iter().map(Asked::Read));
        self.writes += due.batches.len();
        let wished = self.wished.map(|_| self.deletions);
        self.asked.extend(due.batches.into_iter().map(|batch| Asked::Write(batch, wished)));
        due.wait
    }

    fn execute(&mut self) {
        for asked in std::mem::take(&mut self.asked) {
            let answer = match asked {
                Asked::Read(read) => {
                    let node = self.tree.get(&read.path);
                    if let Some(node) = node {
                        self.read.insert(read.path.clone(), node.czxid);
                    }
                    let seen = node.map(|node| Seen {
                        stat: LeafStat {
                            ephemeral_owner: node.owner,
                            version: node.version,
                            czxid: node.czxid,
                            num_children: 0,
                        },
                        data: node.data.clone(),
                        same: !node.foreign,
                    });
                    Answer::Read(read.path, seen)
                }
                Asked::Write(batch, wished) => {
                    let stood = self.is_listed();
                    let outcome = self.write(&batch);
                    // What somebody deletes while our request is on its way is gone.
                    let kept = stood && wished == Some(self.deletions);
                    assert!(!kept || self.is_listed(), "a reader sees none: {batch:?}");
                    self.check_entries();
                    Answer::Written(batch, outcome)
                }
            };
            self.answers.push(answer);
        }
    }

    /// Whether readers find the instance, under any session.
    fn is_listed(&self) -> bool {
        self.tree.iter().any(|(path, node)| path.starts_with("/root/svc/") && !node.foreign)
    }

    /// All operations, or none.
    fn write(&mut self, batch: &Batch) -> Outcome {
        let (tree, dirs, zxid) = (self.tree.clone(), self.dirs.clone(), self.zxid + 1);
        let mut touched = Vec::new();
        for (op, what) in batch.ops().iter().enumerate() {
            match self.write_one(what, zxid) {
                Ok(path) => touched.push(path),
                Err(code) => {
                    (self.tree, self.dirs) = (tree, dirs);
                    return Outcome::Refused { code, op };
                }
            }
        }
        self.zxid = zxid;
        self.events.extend(touched);
        Outcome::Applied
    }

    fn write_one(&mut self, op: &Op, zxid: i64) -> Result<String, ErrorCode> {
        match op {
            Op::CreateDir { path, .. } | Op::Create { path, .. } => {
                let dir = path.rsplit_once('/').unwrap().0;
                if !dir.is_empty() && !self.dirs.contains(dir) {
                    return Err(ErrorCode::NO_NODE);
                }
                if self.dirs.contains(path) || self.tree.contains_key(path) {
                    return Err(ErrorCode::NODE_EXISTS);
                }
            }
            Op::Set { path, version, .. } | Op::Delete { path, version } => {
                let node = self.tree.get(path).ok_or(ErrorCode::NO_NODE)?;
                if node.version != *version {
                    return Err(ErrorCode::BAD_VERSION);
                }
                let known = self.read.get(path).is_some_and(|read| node.czxid <= *read);
                assert!(!(node.foreign && known), "{op:?} hits what was read as another's");
                let shared = path == LIST || path.starts_with("/root/meta");
                assert!(!(shared && matches!(op, Op::Delete { .. })), "{op:?} takes what is shared");
            }
        }
        Ok(match op {
            Op::CreateDir { path, .. } => {
                self.dirs.insert(path.clone());
                path.clone()
            }
            Op::Create { path, data, mode } => {
                let owner = if *mode == LeafMode::Ephemeral { self.session } else { 0 };
                let node = Node { owner, version: 0, czxid: zxid, data: data.clone(), foreign: false };
                self.tree.insert(path.clone(), node);
                path.clone()
            }
            Op::Set { path, data, .. } => {
                let node = self.tree.get_mut(path).unwrap();
                (node.data, node.version) = (data.clone(), node.version + 1);
                path.clone()
            }
            Op::Delete { path, .. } => {
                self.tree.remove(path);
                path.clone()
            }
        })
    }

    fn check_entries(&self) {
        let Some(node) = self.tree.get(LIST) else { return };
        let list = std::str::from_utf8(&node.data).unwrap();
        let entries: Vec<_> = list.split(',').collect();
        for entry in &self.entered {
            assert!(entries.contains(&entry.as_str()), "{entry} is lost: {list}");
        }
        assert!(entries.iter().filter(|entry| **entry == "app").count() <= 1, "{list}");
    }

    fn answer(&mut self, all: bool) {
        let count = if all { self.answers.len() } else { self.answers.len().min(1) };
        for answer in self.answers.drain(..count).collect::<Vec<_>>() {
            // A session sends the event of a change before the reply to anything later.
            self.deliver();
            match answer {
                Answer::Read(path, seen) => self.standings.on_read(&path, Ok(seen), self.now),
                Answer::Written(batch, outcome) => self.standings.on_written(&batch, outcome, self.now),
            }
        }
    }

    /// The connection breaks: before the requests under way reached the server, or after they were executed.
    fn lose(&mut self, executed: bool) {
        if executed {
            self.execute();
        }
        self.standings.on_disconnected();
        for answer in std::mem::take(&mut self.answers) {
            match answer {
                Answer::Read(path, _) => self.standings.on_read(&path, Err(ReadFailure::Lost), self.now),
                Answer::Written(batch, _) => self.standings.on_written(&batch, Outcome::Unknown, self.now),
            }
        }
        for asked in std::mem::take(&mut self.asked) {
            match asked {
                Asked::Read(read) => self.standings.on_read(&read.path, Err(ReadFailure::Lost), self.now),
                Asked::Write(batch, _) => self.standings.on_written(&batch, Outcome::Unknown, self.now),
            }
        }
        assert_eq!(self.standings.step(self.now), Due::default(), "without a connection");
        self.standings.on_session(self.session, self.now);
    }

    /// Runs our side alone until it rests.
    fn rest(&mut self) {
        for _ in 0..400 {
            self.execute();
            self.answer(true);
            self.deliver();
            let wait = self.issue();
            match wait {
                _ if !self.asked.is_empty() => {}
                Some(wait) => self.now += wait,
                None => return,
            }
        }
        panic!("no rest: {:?}", self.standings);
    }

    fn check_wish(&self) {
        let ours: Vec<_> = self.tree.iter().filter(|(_, node)| node.owner == self.session).collect();
        let Some(shape) = self.wished else {
            assert_eq!((ours, self.standings.state()), (Vec::new(), State::Withdrawn));
            return;
        };
        assert_eq!(self.standings.state(), State::Registered);
        let paths: BTreeSet<_> = ours.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, BTreeSet::from([OWN.to_owned(), path_at(shape.at)]));
        assert_eq!(&self.tree[&path_at(shape.at)].data[..], [shape.data]);
        assert_eq!(&self.tree[&shared_at(shape.revision)].data[..], b"described");
        let list = self.tree[LIST].data.clone();
        assert!(list.split(|byte| *byte == b',').any(|entry| entry == b"app"));
    }
}

fn any_shape() -> impl Strategy<Value = Shape> {
    (0u8..3, 0u8..3, 0u8..2).prop_map(|(at, data, revision)| Shape { at, data, revision })
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        // Most of the time our own side makes progress, so that the others meet it in every state.
        24 => Just(Act::Progress),
        2 => Just(Act::Issue),
        2 => Just(Act::Execute),
        2 => Just(Act::Answer),
        1 => Just(Act::LoseRequests),
        1 => Just(Act::LoseReplies),
        1 => Just(Act::Reconnect),
        1 => Just(Act::Expire),
        2 => Just(Act::Deliver),
        2 => any::<u8>().prop_map(Act::ForeignCreates),
        1 => Just(Act::ForeignsGo),
        2 => any::<u8>().prop_map(Act::SomebodyDeletes),
        1 => any::<u8>().prop_map(Act::SomebodySets),
        1 => (0u8..3).prop_map(Act::OthersEnter),
        1 => (0u8..2).prop_map(Act::OtherShares),
        1 => Just(Act::DirectoriesGo),
        4 => any_shape().prop_map(Act::Wish),
        1 => any_shape().prop_map(Act::Pause),
        1 => Just(Act::Withdraw),
        2 => (0u16..2000).prop_map(Act::Pass),
    ]
}

/// At least 2,000 cases; more by `PROPTEST_CASES`.
fn cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(2000), ..config }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn all_places_are_kept_and_a_move_is_never_seen_as_an_absence(
        acts in prop::collection::vec(any_act(), 0..80),
        seed: u64,
    ) {
        let mut world = World::new(seed);
        for act in &acts {
            world.act(act);
        }
        // The others leave for good; what is ours must come true, and then nothing must be written any more.
        world.remove(|_, node, _| node.foreign);
        world.rest();
        world.check_wish();
        let (writes, tree) = (world.writes, world.tree.clone());
        world.act(&Act::Reconnect);
        world.rest();
        prop_assert_eq!((world.writes, &world.tree), (writes, &tree));
        world.check_wish();
    }
}
