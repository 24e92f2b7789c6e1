//! Random interleavings of one [`Standing`], other processes and lost replies, on one znode in memory.

use menagerie_jute::ErrorCode;
use proptest::prelude::*;

use super::tests::{leaf, zero};
use super::*;
use crate::registry::ReadFailure;
use crate::registry::limits::{TAKEOVER_WINDOW, TAKEOVERS};

const DIRECTORIES: usize = 2;

/// Who wrote a leaf, and thus whose payload it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Us,
    /// Another process with our instance id.
    Twin,
    /// A process with another id in the same place.
    Foreign,
    /// A program that registers our instance persistently.
    Plugin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    writer: Writer,
    owner: i64,
    version: i32,
    czxid: i64,
    data: Bytes,
    /// Our session from which a twin took the leaf.
    taken_from: Option<i64>,
}

/// What happens next. Steps of ours go out, are executed and are answered one by one, with anything between.
#[derive(Clone, Debug)]
enum Act {
    /// All three of the following, undisturbed.
    Progress,
    Issue,
    Execute,
    Answer,
    LoseRequest,
    LoseReply,
    Reconnect,
    Expire,
    Deliver,
    TwinTakes,
    TwinGoes,
    ForeignCreates,
    ForeignGoes,
    PluginCreates,
    SomebodyDeletes,
    SomebodySets,
    DirectoryGoes,
    Want(u8),
    Withdraw,
    Pass(u16),
}

#[derive(Clone, Debug)]
enum Answer {
    Read(Option<Seen>),
    Written(Result<(), (ErrorCode, usize)>),
}

struct World {
    standing: Standing,
    now: Instant,
    node: Option<Node>,
    directories: usize,
    zxid: i64,
    session: i64,
    twin_session: i64,
    event: bool,
    asked: Option<Step>,
    answer: Option<Answer>,
    writes: usize,
    takeovers: Vec<Instant>,
    /// The newest leaf that a read of ours has found.
    read_czxid: i64,
    withdrawn: bool,
}

impl World {
    fn new(keep_persistent: bool, directories: usize, seed: u64) -> Self {
        let now = zero();
        let mut standing = Standing::new(leaf(LeafMode::Ephemeral), keep_persistent, seed);
        standing.on_session(1, now);
        Self {
            standing,
            now,
            node: None,
            directories,
            zxid: 0,
            session: 1,
            twin_session: 1_000_000,
            event: false,
            asked: None,
            answer: None,
            writes: 0,
            takeovers: Vec::new(),
            read_czxid: 0,
            withdrawn: false,
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Progress => {
                self.execute();
                self.answer();
                self.issue();
            }
            Act::Issue => self.issue(),
            Act::Execute => self.execute(),
            Act::Answer => self.answer(),
            Act::LoseRequest => self.lose(false),
            Act::LoseReply => self.lose(true),
            Act::Reconnect => {
                self.lose(false);
                self.standing.on_disconnected();
                assert_eq!(self.standing.step(self.now), Step::AwaitSession);
                self.standing.on_session(self.session, self.now);
            }
            Act::Expire => {
                self.lose(false);
                self.remove(|node, session| node.owner == session);
                self.session += 1;
                self.event = false;
                self.standing.on_session(self.session, self.now);
            }
            Act::Deliver => self.deliver(),
            Act::Want(version) => {
                self.withdrawn = false;
                self.standing.want(Bytes::copy_from_slice(&[*version]));
            }
            Act::Withdraw => {
                self.withdrawn = true;
                self.standing.withdraw();
            }
            Act::Pass(millis) => self.now += Duration::from_millis((*millis).into()),
            others => self.others(others),
        }
    }

    fn others(&mut self, act: &Act) {
        match act {
            Act::TwinTakes if self.directories == DIRECTORIES => {
                // The twin follows the same rules: it takes what has its id and belongs to another session.
                let old = self.node.take();
                let free = old.as_ref().is_none_or(|node| node.writer == Writer::Us);
                if !free {
                    self.node = old;
                    return;
                }
                self.twin_session += 1;
                let taken_from = old.map(|node| node.owner).filter(|owner| *owner == self.session);
                self.put(Node { taken_from, ..self.fresh(Writer::Twin, self.twin_session) });
            }
            Act::TwinGoes => self.remove(|node, _| node.writer == Writer::Twin),
            Act::ForeignCreates if self.directories == DIRECTORIES && self.node.is_none() => {
                self.put(self.fresh(Writer::Foreign, 2_000_000));
            }
            Act::ForeignGoes => self.remove(|node, _| node.writer == Writer::Foreign),
            Act::PluginCreates if self.directories == DIRECTORIES && self.node.is_none() => {
                self.put(self.fresh(Writer::Plugin, 0));
            }
            Act::SomebodyDeletes => self.remove(|_, _| true),
            Act::SomebodySets => {
                if let Some(mut node) = self.node.clone() {
                    node.version += 1;
                    node.data = Bytes::from_static(b"overwritten");
                    self.put(node);
                }
            }
            Act::DirectoryGoes if self.node.is_none() => {
                self.directories = self.directories.saturating_sub(1)
            }
            _ => {}
        }
    }

    fn fresh(&self, writer: Writer, owner: i64) -> Node {
        let data = Bytes::from_static(b"theirs");
        Node { writer, owner, version: 0, czxid: self.zxid + 1, data, taken_from: None }
    }

    fn put(&mut self, node: Node) {
        self.zxid += 1;
        self.node = Some(node);
        self.event = true;
    }

    fn remove(&mut self, which: impl Fn(&Node, i64) -> bool) {
        if self.node.as_ref().is_some_and(|node| which(node, self.session)) {
            self.zxid += 1;
            self.node = None;
            self.event = true;
        }
    }

    fn deliver(&mut self) {
        if std::mem::take(&mut self.event) {
            self.standing.on_changed();
        }
    }

    fn issue(&mut self) {
        if self.asked.is_some() || self.answer.is_some() {
            return;
        }
        let step = self.standing.step(self.now);
        if step.is_takeover() {
            self.takeovers.push(self.now);
        }
        if step.is_write() || matches!(step, Step::ReadBack { .. }) {
            self.writes += usize::from(step.is_write());
            self.asked = Some(step);
        }
    }

    fn execute(&mut self) {
        let Some(step) = self.asked.take() else { return };
        if let (Step::ReadBack { .. }, Some(node)) = (&step, &self.node) {
            self.read_czxid = node.czxid;
        }
        self.answer = Some(match &step {
            Step::ReadBack { .. } => Answer::Read(self.node.as_ref().map(|node| Seen {
                stat: LeafStat {
                    ephemeral_owner: node.owner,
                    version: node.version,
                    czxid: node.czxid,
                    num_children: 0,
                },
                data: node.data.clone(),
                same: node.writer != Writer::Foreign,
            })),
            write => Answer::Written(self.write(write)),
        });
    }

    fn write(&mut self, step: &Step) -> Result<(), (ErrorCode, usize)> {
        let data = self.standing.leaf().data.clone();
        let ours = Node { data, ..self.fresh(Writer::Us, self.session) };
        let version = match step {
            Step::Create { parents } => return self.create(parents.len(), ours),
            Step::TakeOver { version } | Step::ReplacePersistent { version } => version,
            Step::SetData { version, .. } | Step::Delete { version } => version,
            other => panic!("{other:?} is no write"),
        };
        let node = self.node.clone().ok_or((ErrorCode::NO_NODE, 0))?;
        if node.version != *version {
            return Err((ErrorCode::BAD_VERSION, 0));
        }
        // A leaf made after our read, with the version of the one before it, is the window that the module's documentation
        // names: no client can close it.
        if node.czxid <= self.read_czxid {
            let allowed = match node.writer {
                Writer::Us => true,
                Writer::Twin | Writer::Plugin => step.is_takeover(),
                Writer::Foreign => false,
            };
            assert!(allowed, "{step:?} hits a leaf that was read as another's: {node:?}");
        }
        if step.is_takeover() {
            let second = node.taken_from == Some(self.session) && node.czxid <= self.read_czxid;
            assert!(!second, "a second takeover from a twin");
            self.put(ours);
        } else if let Step::SetData { data, .. } = step {
            self.put(Node { version: node.version + 1, data: data.clone(), ..node });
        } else {
            self.remove(|_, _| true);
        }
        Ok(())
    }

    fn create(&mut self, parents: usize, node: Node) -> Result<(), (ErrorCode, usize)> {
        let missing = DIRECTORIES - self.directories;
        if parents < missing {
            return Err((ErrorCode::NO_NODE, 0));
        }
        if parents > missing {
            return Err((ErrorCode::NODE_EXISTS, 0));
        }
        if self.node.is_some() {
            return Err((ErrorCode::NODE_EXISTS, parents));
        }
        self.directories = DIRECTORIES;
        self.put(node);
        Ok(())
    }

    fn answer(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        // A session sends the event of a change before the reply to anything later.
        self.deliver();
        match answer {
            Answer::Read(seen) => self.standing.on_read(Ok(seen), self.now),
            Answer::Written(Ok(())) => self.standing.on_written(Outcome::Applied, self.now),
            Answer::Written(Err((code, op))) => {
                self.standing.on_written(Outcome::Refused { code, op }, self.now);
            }
        }
    }

    /// The connection breaks under a step: before it reached the server, or after it was executed.
    fn lose(&mut self, executed: bool) {
        if executed {
            self.execute();
        }
        let was = (self.asked.take(), self.answer.take());
        match was {
            (Some(Step::ReadBack { .. }), _) | (_, Some(Answer::Read(_))) => {
                self.standing.on_read(Err(ReadFailure::Lost), self.now);
            }
            (None, None) => return,
            _ => self.standing.on_written(Outcome::Unknown, self.now),
        }
        self.standing.on_disconnected();
        self.standing.on_session(self.session, self.now);
    }

    /// Runs our side alone until it rests.
    fn rest(&mut self) {
        for _ in 0..200 {
            self.execute();
            self.answer();
            self.deliver();
            match self.standing.step(self.now) {
                Step::Nothing | Step::WatchAndWait(_) => return,
                Step::Wait(wait) => self.now += wait,
                step => {
                    self.writes += usize::from(step.is_write());
                    self.takeovers.extend(step.is_takeover().then_some(self.now));
                    self.asked = Some(step);
                }
            }
        }
        panic!("no rest after 200 steps: {:?}", self.standing);
    }

    fn check_takeovers(&self) {
        for (at, first) in self.takeovers.iter().enumerate() {
            let within = self.takeovers[at..].iter().filter(|other| **other - *first < TAKEOVER_WINDOW);
            assert!(within.count() <= TAKEOVERS, "{:?}", self.takeovers);
        }
    }

    fn check_wish(&self) {
        let ours = self.node.as_ref().filter(|node| node.owner == self.session);
        if self.withdrawn {
            assert_eq!(ours, None);
            assert_eq!(self.standing.state(), State::Withdrawn);
        } else {
            let ours = ours.expect("registered");
            assert_eq!((&ours.data, ours.writer), (&self.standing.leaf().data, Writer::Us));
            assert_eq!(self.standing.state(), State::Registered);
        }
    }
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        // Most of the time our own side makes progress, so that the others meet it in every state.
        20 => Just(Act::Progress),
        2 => Just(Act::Issue),
        2 => Just(Act::Execute),
        2 => Just(Act::Answer),
        1 => Just(Act::LoseRequest),
        1 => Just(Act::LoseReply),
        1 => Just(Act::Reconnect),
        1 => Just(Act::Expire),
        2 => Just(Act::Deliver),
        2 => Just(Act::TwinTakes),
        1 => Just(Act::TwinGoes),
        1 => Just(Act::ForeignCreates),
        1 => Just(Act::ForeignGoes),
        1 => Just(Act::PluginCreates),
        1 => Just(Act::SomebodyDeletes),
        1 => Just(Act::SomebodySets),
        1 => Just(Act::DirectoryGoes),
        1 => any::<u8>().prop_map(Act::Want),
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
    fn the_wish_is_kept_and_nobody_else_is_harmed(
        acts in prop::collection::vec(any_act(), 0..80),
        keep_persistent: bool,
        directories in 0..=DIRECTORIES,
        seed: u64,
    ) {
        let mut world = World::new(keep_persistent, directories, seed);
        for act in &acts {
            world.act(act);
        }
        // The others leave for good; what is ours must come true, and then nothing must be written any more.
        world.remove(|node, _| node.writer != Writer::Us);
        world.rest();
        world.check_takeovers();
        world.check_wish();
        let (writes, node) = (world.writes, world.node.clone());
        world.act(&Act::Reconnect);
        world.rest();
        prop_assert_eq!((world.writes, &world.node), (writes, &node));
        world.check_wish();
    }
}
