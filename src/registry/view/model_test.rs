//! Random interleavings of changes, events, reads and outages against a tree in memory.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::tests::zero;

use super::*;
use crate::registry::Instance;
use crate::registry::layout::{LayoutError, Leaf, LeafStat, Plain, ReadError};

const DIR: &str = "/go_servers";

/// Names below this one are never deleted, only written and taken over: no published set may lack them.
const LIVING: u8 = 3;
const NAMES: u8 = 8;

/// The plain layout with payloads that can be malformed.
#[derive(Debug)]
struct Strict(Plain);

impl Layout for Strict {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn root(&self) -> &str {
        self.0.root()
    }

    fn service_dir(&self, service: &str) -> Result<String, LayoutError> {
        self.0.service_dir(service)
    }

    fn leaf(&self, instance: &Instance) -> Result<Leaf, LayoutError> {
        self.0.leaf(instance)
    }

    fn read(&self, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
        if &found.data[..] == b"bad" { Err(ReadError::Empty) } else { self.0.read(service, found) }
    }

    fn service_of(&self, found: &Found<'_>) -> Result<Option<String>, ReadError> {
        self.0.service_of(found)
    }

    fn is_same(&self, instance: &Instance, found: &Found<'_>) -> bool {
        self.0.is_same(instance, found)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Znode {
    Good(u8),
    Bad,
    Denied,
    Huge,
}

#[derive(Clone, Debug)]
enum Act {
    Put(u8, Znode),
    Delete(u8),
    /// Deleted and created in one transaction.
    TakeOver(u8),
    Issue,
    Execute,
    Deliver,
    Gap,
    Disconnect,
    Connect,
    Poll,
    /// Time passes.
    Wait(u64),
}

enum Message {
    Event(String, EventType),
    Children(ReadId, Vec<String>),
    Data(ReadId, Result<(Vec<Item>, usize), ReadFailure>),
}

struct World {
    view: View,
    now: Instant,
    tree: BTreeMap<String, Znode>,
    connected: bool,
    issued: VecDeque<Read>,
    /// What the server has sent, in its order.
    sent: VecDeque<Message>,
    /// The announced changes, added up.
    mirror: BTreeMap<String, Arc<Instance>>,
    living: BTreeSet<String>,
}

fn name(host: u8) -> String {
    format!("10.0.0.{host}:80")
}

impl World {
    fn new(hosts: u8, pace: Pace) -> Self {
        Self {
            view: View::new(Arc::new(Strict(Plain::new())), "time", pace, 1).unwrap(),
            now: zero(),
            tree: (0..hosts.max(LIVING)).map(|host| (name(host), Znode::Good(0))).collect(),
            connected: false,
            issued: VecDeque::new(),
            sent: VecDeque::new(),
            mirror: BTreeMap::new(),
            living: (0..LIVING).map(name).collect(),
        }
    }

    fn event(&mut self, name: &str, kind: EventType) {
        if self.connected {
            self.sent.push_back(Message::Event(format!("{DIR}/{name}"), kind));
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Put(host, znode) => {
                self.put(name(*host), if *host < LIVING { Znode::Good(9) } else { znode.clone() })
            }
            Act::Delete(host) if *host >= LIVING && self.tree.remove(&name(*host)).is_some() => {
                self.event(&name(*host), EventType::NODE_DELETED);
            }
            Act::TakeOver(host) if self.tree.contains_key(&name(*host)) => {
                self.event(&name(*host), EventType::NODE_DELETED);
                self.event(&name(*host), EventType::NODE_CREATED);
            }
            Act::Issue => self.issued.extend(self.view.next_read(self.now)),
            Act::Execute => self.execute(),
            Act::Deliver => self.deliver(),
            Act::Gap if self.connected => {
                self.sent.retain(|message| !matches!(message, Message::Event(..)));
                self.view.on_gap();
            }
            Act::Disconnect if self.connected => {
                self.connected = false;
                self.issued.clear();
                self.sent.clear();
                self.view.on_disconnected(self.now);
            }
            Act::Connect if !self.connected => {
                self.connected = true;
                self.view.on_connected();
            }
            Act::Poll => self.poll(),
            Act::Wait(millis) => self.now += Duration::from_millis(*millis),
            _ => {}
        }
        self.check();
    }

    fn put(&mut self, name: String, znode: Znode) {
        let kind = if self.tree.contains_key(&name) {
            EventType::NODE_DATA_CHANGED
        } else {
            EventType::NODE_CREATED
        };
        self.event(&name, kind);
        self.tree.insert(name, znode);
    }

    fn execute(&mut self) {
        let message = match self.issued.pop_front() {
            None => return,
            Some(Read::Children { id, .. }) => Message::Children(id, self.tree.keys().cloned().collect()),
            Some(Read::Data { id, paths }) => Message::Data(id, self.read(&paths)),
        };
        self.sent.push_back(message);
    }

    fn read(&self, paths: &[String]) -> Result<(Vec<Item>, usize), ReadFailure> {
        let znodes = paths.iter().map(|path| self.tree.get(path.strip_prefix("/go_servers/").unwrap()));
        let item = |znode: Option<&Znode>| match znode {
            Some(Znode::Good(version)) => {
                Ok(Ok((Bytes::copy_from_slice(&[version + 1]), LeafStat::default())))
            }
            Some(Znode::Bad) => Ok(Ok((Bytes::from_static(b"bad"), LeafStat::default()))),
            Some(Znode::Denied) => Ok(Err(ErrorCode::NO_AUTH)),
            Some(Znode::Huge) => Err(ReadFailure::TooLarge),
            None => Ok(Err(ErrorCode::NO_NODE)),
        };
        znodes.map(item).collect::<Result<Vec<Item>, _>>().map(|items| (items, 100 * paths.len()))
    }

    fn deliver(&mut self) {
        match self.sent.pop_front() {
            None => {}
            Some(Message::Event(path, kind)) => self.view.on_event(&path, kind),
            Some(Message::Children(id, names)) => self.view.on_children(id, Ok(names)),
            Some(Message::Data(id, reply)) => self.view.on_data(id, reply),
        }
    }

    fn poll(&mut self) {
        let Some(change) = self.view.poll_change() else { return };
        let leaf = |instance: &Arc<Instance>| instance.address.to_string();
        for gone in &change.removed {
            assert_eq!(self.mirror.remove(&leaf(gone)).as_ref(), Some(gone));
        }
        for come in &change.added {
            assert_eq!(self.mirror.insert(leaf(come), Arc::clone(come)), None);
        }
        for updated in &change.updated {
            let old = self.mirror.insert(leaf(&updated.new), Arc::clone(&updated.new));
            assert_eq!(old.as_ref(), Some(&updated.old));
        }
        assert!(change.set.iter().eq(self.mirror.values()), "the deltas do not add up to the set");
    }

    fn check(&self) {
        let Some(set) = self.view.set() else { return };
        let published: BTreeSet<String> = set.entries().iter().map(|entry| entry.leaf.to_string()).collect();
        assert!(self.living.is_subset(&published), "a living instance is missing: {published:?}");
    }

    fn settle(&mut self) {
        self.act(&Act::Connect);
        for _ in 0..500 {
            self.act(&Act::Issue);
            if self.issued.is_empty() && self.sent.is_empty() {
                match self.view.poll_timeout() {
                    Some(due) => self.now = self.now.max(due),
                    None => return self.act(&Act::Poll),
                }
            }
            self.act(&Act::Execute);
            self.act(&Act::Deliver);
        }
        panic!("no rest after 500 rounds");
    }

    fn check_settled(&self) {
        let valid = |znode: &Znode| matches!(znode, Znode::Good(_));
        let good: BTreeMap<&str, u8> = self
            .tree
            .iter()
            .filter_map(|(name, znode)| match znode {
                Znode::Good(version) => Some((name.as_str(), version + 1)),
                _ => None,
            })
            .collect();
        let payload =
            |entry: &Entry| entry.instance.carried.as_ref().map(|carried| carried.payload[0]).unwrap();
        let seen: BTreeMap<&str, u8> =
            self.view.set().unwrap().entries().iter().map(|entry| (&*entry.leaf, payload(entry))).collect();
        assert_eq!(seen, good);
        let invalid: Vec<String> = self.view.invalid().map(|invalid| invalid.leaf.to_string()).collect();
        let others: Vec<&String> =
            self.tree.iter().filter(|(_, znode)| !valid(znode)).map(|(name, _)| name).collect();
        assert_eq!(invalid.iter().collect::<Vec<_>>(), others);
        assert_eq!((self.view.stale_since(), self.view.last_failure()), (None, None));
    }
}

fn any_znode() -> impl Strategy<Value = Znode> {
    prop_oneof![5 => (0u8..9).prop_map(Znode::Good), 1 => Just(Znode::Bad), 1 => Just(Znode::Denied), 1 => Just(Znode::Huge)]
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..NAMES, any_znode()).prop_map(|(host, znode)| Act::Put(host, znode)),
        2 => (0..NAMES).prop_map(Act::Delete),
        2 => (0..NAMES).prop_map(Act::TakeOver),
        6 => Just(Act::Issue),
        6 => Just(Act::Execute),
        10 => Just(Act::Deliver),
        1 => Just(Act::Gap),
        1 => Just(Act::Disconnect),
        2 => Just(Act::Connect),
        2 => Just(Act::Poll),
        1 => (0u64..1500).prop_map(Act::Wait),
    ]
}

/// Windows and holds of all kinds, also for sets as small as here.
fn any_pace() -> impl Strategy<Value = Pace> {
    (0usize..9, 0u64..400, 0u64..1500, 0u32..120).prop_map(|(from, each, hold_down, percent)| Pace {
        spread_from: from,
        spread_each: Duration::from_millis(each),
        hold_down: Duration::from_millis(hold_down),
        hold_back_percent: percent,
        ..Pace::default()
    })
}

/// At least 2,000 cases; more by `PROPTEST_CASES`.
fn cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(2000), ..config }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn after_quiet_the_view_is_the_tree_and_before_it_nobody_living_is_missing(
        hosts in 0..NAMES,
        pace in any_pace(),
        acts in prop::collection::vec(any_act(), 0..120),
    ) {
        let mut world = World::new(hosts, pace);
        for act in &acts {
            world.act(act);
        }
        world.settle();
        world.check_settled();
    }
}
