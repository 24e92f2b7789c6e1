//! Histories that are right: a log, members that lag behind it, sessions that ask one member and move to another.
//!
//! A session's requests are done in order, at its member or at the head of the log; what its member tells it is on its way
//! in order, events among replies. A connection that goes takes along what is on its way.

use menagerie_history::{
    Answer, BAD_VERSION, EventKind, History, NO_NODE, NODE_EXISTS, Op, OpId, Outcome, Session, Stat, Value,
    WatchId, Zxid,
};
use std::collections::{BTreeMap, VecDeque};

/// A splitmix generator.
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

#[derive(Debug, Clone, Copy)]
struct Node {
    value: Value,
    stat: Stat,
}

/// The tree at every point of the log.
#[derive(Debug, Default)]
struct Tree {
    head: Zxid,
    paths: BTreeMap<String, Vec<(Zxid, Option<Node>)>>,
    /// By zxid, what happened.
    events: BTreeMap<Zxid, Vec<(String, EventKind)>>,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Tree {
    fn at(&self, path: &str, zxid: Zxid) -> Option<Node> {
        let states = self.paths.get(path)?;
        states.iter().rev().find(|(from, _)| *from <= zxid)?.1
    }

    fn now(&self, path: &str) -> Option<Node> {
        self.at(path, self.head)
    }

    fn put(&mut self, path: &str, node: Option<Node>) {
        self.paths.entry(path.to_owned()).or_default().push((self.head, node));
    }

    fn happens(&mut self, path: &str, kind: EventKind) {
        self.events.entry(self.head).or_default().push((path.to_owned(), kind));
    }

    fn children(&self, path: &str, zxid: Zxid) -> Vec<String> {
        let below = self.paths.keys().filter(|child| parent(child) == path && self.at(child, zxid).is_some());
        below.map(|child| child[path.len() + 1..].to_owned()).collect()
    }

    fn refusal(&self, op: &Op) -> Option<i32> {
        let node = op.path().and_then(|path| self.now(path));
        match op {
            Op::Create { mode, path, .. } if !mode.sequential && self.now(path).is_some() => {
                Some(NODE_EXISTS)
            }
            Op::Create { .. } => None,
            Op::Multi(steps) => steps.iter().find_map(|step| self.refusal(step)),
            Op::Set { version, .. } | Op::Delete { version, .. } | Op::Check { version, .. } => match node {
                None => Some(NO_NODE),
                Some(node) if *version != -1 && *version != node.stat.version => Some(BAD_VERSION),
                Some(_) => None,
            },
            _ => None,
        }
    }

    fn touch_parent(&mut self, path: &str) {
        if let Some(mut above) = self.now(parent(path)) {
            above.stat.pzxid = self.head;
            above.stat.cversion += 1;
            self.put(parent(path), Some(above));
        }
        self.happens(parent(path), EventKind::Children);
    }

    fn do_step(&mut self, op: &Op, session: Session) -> Answer {
        match op {
            Op::Create { path, value, mode } => {
                let number = self.now(parent(path)).map_or(0, |above| above.stat.cversion);
                let path = if mode.sequential { format!("{path}{number:010}") } else { path.clone() };
                let owner = if mode.ephemeral { session } else { 0 };
                let zxid = self.head;
                let stat = Stat { czxid: zxid, mzxid: zxid, pzxid: zxid, version: 0, cversion: 0, owner };
                self.touch_parent(&path);
                self.put(&path, Some(Node { value: *value, stat }));
                self.happens(&path, EventKind::Created);
                Answer::Created(path, Some(stat))
            }
            Op::Set { path, value, .. } => {
                let mut node = self.now(path).unwrap();
                (node.value, node.stat.mzxid, node.stat.version) = (*value, self.head, node.stat.version + 1);
                self.put(path, Some(node));
                self.happens(path, EventKind::Data);
                Answer::Stat(Some(node.stat))
            }
            Op::Delete { path, .. } => {
                self.put(path, None);
                self.touch_parent(path);
                self.happens(path, EventKind::Deleted);
                Answer::Done
            }
            _ => Answer::Done,
        }
    }

    /// Does a write at the head of the log.
    fn write(&mut self, op: &Op, session: Session) -> Result<Answer, i32> {
        if let Some(code) = self.refusal(op) {
            self.head += 1;
            return Err(code);
        }
        self.head += 1;
        Ok(match op {
            Op::Multi(steps) => Answer::Multi(steps.iter().map(|step| self.do_step(step, session)).collect()),
            one => self.do_step(one, session),
        })
    }

    fn read(&self, op: &Op, zxid: Zxid) -> Result<Answer, i32> {
        let node = op.path().and_then(|path| self.at(path, zxid));
        match (op, node) {
            (Op::Exists { .. }, node) => Ok(Answer::Stat(node.map(|node| node.stat))),
            (Op::Get { .. }, Some(node)) => Ok(Answer::Data(node.value, node.stat)),
            (Op::Children { path, .. }, Some(node)) => {
                Ok(Answer::Children(self.children(path, zxid), node.stat))
            }
            (Op::Get { .. } | Op::Children { .. }, None) => Err(NO_NODE),
            _ => Ok(Answer::Done),
        }
    }

    fn end(&mut self, session: Session) {
        self.head += 1;
        let own =
            self.paths.keys().filter(|path| self.now(path).is_some_and(|node| node.stat.owner == session));
        let own: Vec<String> = own.cloned().collect();
        own.iter().for_each(|path| drop(self.do_step(&Op::delete(path.as_str(), -1), session)));
    }
}

#[derive(Debug)]
enum Message {
    Reply(OpId, Outcome),
    Event(WatchId, EventKind, String, Option<Zxid>),
    Gap(WatchId),
}

#[derive(Debug, Clone)]
struct Watch {
    id: WatchId,
    by: OpId,
    path: String,
    child: bool,
    /// Lasting; `Some(true)` if recursive.
    lasting: Option<bool>,
    /// The state it was set with.
    shown: Option<Stat>,
}

#[derive(Debug)]
struct Client {
    id: Session,
    /// Where its member is.
    member: Zxid,
    asked: VecDeque<(OpId, Op, bool)>,
    wire: VecDeque<Message>,
    watches: Vec<Watch>,
    /// The last zxid that it was told.
    seen: Zxid,
}

/// How much the recorder knows, and how long the history is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) headers: bool,
    pub(crate) event_zxids: bool,
    pub(crate) clients: usize,
    pub(crate) steps: usize,
}

/// A history in the making.
#[derive(Debug)]
struct World {
    chance: Chance,
    shape: Shape,
    tree: Tree,
    clients: Vec<Client>,
    next_session: Session,
    next_value: Value,
    next_watch: WatchId,
    /// The operations that set watches, once answered.
    setters: BTreeMap<WatchId, OpId>,
    history: History,
    now: u64,
}

/// A history that a right ensemble and right clients may have.
pub(crate) fn valid(seed: u64, shape: Shape) -> History {
    let mut world = World {
        chance: Chance(seed),
        shape,
        tree: Tree::default(),
        clients: Vec::new(),
        next_session: 0x100,
        next_value: 1,
        next_watch: 1,
        setters: BTreeMap::new(),
        history: History::new(),
        now: 0,
    };
    world.tree.head = 1 << 32;
    for _ in 0..shape.clients {
        world.join();
    }
    for path in ["/e", "/s"] {
        world.ask(0, Op::create(path, 0), false);
        world.settle(0);
    }
    for _ in 0..shape.steps {
        world.step();
    }
    for client in 0..world.clients.len() {
        world.settle(client);
        world.ask(client, Op::Sync, false);
        world.settle(client);
        for path in PATHS {
            world.ask(client, Op::get(path), false);
            world.settle(client);
        }
        world.ask(client, Op::children("/s"), false);
        world.settle(client);
    }
    world.history
}

const PATHS: [&str; 6] = ["/a", "/b", "/c", "/e/0", "/e/1", "/s"];

impl World {
    fn join(&mut self) {
        self.next_session += 1;
        let (id, member) = (self.next_session, self.tree.head);
        let (asked, wire, watches) = (VecDeque::new(), VecDeque::new(), Vec::new());
        self.clients.push(Client { id, member, asked, wire, watches, seen: 0 });
    }

    fn step(&mut self) {
        self.now += 1;
        let client = self.chance.below(self.clients.len());
        match self.chance.below(100) {
            0..30 if self.clients[client].asked.len() < 4 => {
                let op = self.wish();
                let pipelined = self.chance.one_in(2);
                // What is not pipelined is asked alone here: its place in line would be a guess otherwise.
                self.ask(client, op, pipelined);
            }
            0..60 => self.process(client),
            60..92 => self.deliver(client),
            92..97 => {
                let by = i64::try_from(self.chance.below(4)).unwrap();
                self.advance(client, by);
            }
            97..99 => self.reconnect(client),
            _ => self.finish(client),
        }
    }

    fn wish(&mut self) -> Op {
        let path = PATHS[self.chance.below(5)];
        let ephemeral = path.starts_with("/e/");
        self.next_value += 1;
        let value = self.next_value;
        let version = if self.chance.one_in(3) { i32::try_from(self.chance.below(3)).unwrap() } else { -1 };
        self.next_watch += 1;
        let watch = self.chance.one_in(2).then_some(self.next_watch);
        match self.chance.below(18) {
            0..3 => Op::create_with(path, value, ephemeral, false),
            3..6 => Op::set(path, value, version),
            6..8 => Op::delete(path, version),
            8 => Op::create_with("/s/n-", value, self.chance.one_in(2), true),
            9 => {
                self.next_value += 1;
                Op::Multi(vec![Op::set("/a", value, -1), Op::set("/b", self.next_value, -1)])
            }
            10 => Op::Multi(vec![Op::delete("/a", -1), Op::create("/c", value)]),
            11 => Op::Sync,
            12 => Op::Children { path: "/s".into(), watch },
            13 => Op::Watch { path: path.into(), recursive: self.chance.one_in(2), watch: self.next_watch },
            14 => Op::Exists { path: path.into(), watch },
            _ => Op::Get { path: path.into(), watch },
        }
    }

    fn ask(&mut self, client: usize, op: Op, pipelined: bool) {
        let id = self.clients[client].id;
        let op_id = match pipelined {
            true => self.history.sent(self.now, id, op.clone()),
            false => self.history.invoked(self.now, id, op.clone()),
        };
        self.clients[client].asked.push_back((op_id, op, pipelined));
    }

    /// The client's member takes in so many more transactions, and its watches fire.
    fn advance(&mut self, client: usize, by: Zxid) {
        let to = (self.clients[client].member + by).min(self.tree.head);
        for zxid in self.clients[client].member + 1..=to {
            self.clients[client].member = zxid;
            for (path, kind) in self.tree.events.get(&zxid).cloned().unwrap_or_default() {
                self.fire(client, &path, kind, Some(zxid));
            }
        }
    }

    fn fire(&mut self, client: usize, path: &str, kind: EventKind, zxid: Option<Zxid>) {
        let zxid = zxid.filter(|_| self.shape.event_zxids);
        let client = &mut self.clients[client];
        let fires = |watch: &Watch| match watch.lasting {
            Some(true) => {
                kind != EventKind::Children
                    && (path == watch.path || path.starts_with(&format!("{}/", watch.path)))
            }
            Some(false) => path == watch.path,
            None if watch.path != path => false,
            None if watch.child => matches!(kind, EventKind::Children | EventKind::Deleted),
            None => kind != EventKind::Children,
        };
        for watch in client.watches.iter().filter(|watch| fires(watch)) {
            client.wire.push_back(Message::Event(watch.id, kind, path.to_owned(), zxid));
        }
        client.watches.retain(|watch| watch.lasting.is_some() || !fires(watch));
    }

    /// The next request is done, and its reply is on its way.
    fn process(&mut self, client: usize) {
        let Some((id, op, _)) = self.clients[client].asked.pop_front() else { return };
        let session = self.clients[client].id;
        let done = if op.is_write() || op == Op::Sync {
            let done = if op == Op::Sync { Ok(Answer::Done) } else { self.tree.write(&op, session) };
            self.advance(client, Zxid::MAX >> 1);
            done
        } else {
            self.tree.read(&op, self.clients[client].member)
        };
        let member = self.clients[client].member;
        let headers = self.shape.headers;
        let outcome = match done {
            Ok(answer) => {
                self.set_watch(client, id, &op, &answer);
                let answer = if headers { answer } else { forgetful(answer) };
                Outcome::Done { answer, zxid: headers.then_some(member) }
            }
            Err(code) => Outcome::Refused(code),
        };
        self.clients[client].wire.push_back(Message::Reply(id, outcome));
    }

    fn set_watch(&mut self, client: usize, by: OpId, op: &Op, answer: &Answer) {
        let shown = match answer {
            Answer::Stat(stat) => *stat,
            Answer::Data(_, stat) | Answer::Children(_, stat) => Some(*stat),
            _ => None,
        };
        let watch = match op {
            Op::Get { path, watch: Some(id) } | Op::Exists { path, watch: Some(id) } => {
                Watch { id: *id, by, path: path.clone(), child: false, lasting: None, shown }
            }
            Op::Children { path, watch: Some(id) } => {
                Watch { id: *id, by, path: path.clone(), child: true, lasting: None, shown }
            }
            Op::Watch { path, recursive, watch } => Watch {
                id: *watch,
                by,
                path: path.clone(),
                child: false,
                lasting: Some(*recursive),
                shown: None,
            },
            _ => return,
        };
        self.setters.insert(watch.id, by);
        self.clients[client].watches.push(watch);
    }

    /// The next message arrives.
    fn deliver(&mut self, client: usize) {
        let Some(message) = self.clients[client].wire.pop_front() else { return };
        let session = self.clients[client].id;
        match message {
            Message::Reply(op, outcome) => {
                if let Outcome::Done { zxid: Some(zxid), .. } = &outcome {
                    self.clients[client].seen = *zxid;
                }
                self.history.completed(self.now, op, outcome);
            }
            Message::Event(watch, kind, path, zxid) => {
                self.history.event(self.now, session, watch, kind, path, zxid);
            }
            Message::Gap(watch) => self.history.gap(self.now, session, watch),
        }
    }

    fn settle(&mut self, client: usize) {
        while !self.clients[client].asked.is_empty() || !self.clients[client].wire.is_empty() {
            self.process(client);
            self.deliver(client);
        }
    }

    /// The connection goes; of what was asked, a part is done yet, and a part was never sent.
    fn lose(&mut self, client: usize) {
        let lost: Vec<_> = self.clients[client].wire.drain(..).collect();
        let mut lost_events = Vec::new();
        for message in lost {
            match message {
                Message::Reply(op, _) => {
                    // A watch whose read was never answered is not the client's.
                    self.clients[client].watches.retain(|watch| watch.by != op);
                    self.history.completed(self.now, op, Outcome::Unknown);
                }
                // The client knows what it watches.
                Message::Event(watch, _, path, _) => lost_events.push((watch, path)),
                // That is the client's own word.
                Message::Gap(watch) => self.history.gap(self.now, self.clients[client].id, watch),
            }
        }
        for (watch, path) in lost_events {
            self.restore_later(client, watch, path);
        }
        let sent = self.chance.below(self.clients[client].asked.len() + 1);
        let asked: Vec<_> = self.clients[client].asked.drain(..).collect();
        for (index, (op, what, _)) in asked.iter().enumerate() {
            let arrives = index < sent && self.chance.one_in(2);
            if arrives && what.is_write() {
                let session = self.clients[client].id;
                let _ = self.tree.write(what, session);
            }
            if !arrives {
                let outcome = |index| if index < sent { Outcome::Unknown } else { Outcome::NotSent };
                let rest = asked.iter().enumerate().skip(index);
                rest.for_each(|(index, (op, ..))| self.history.completed(self.now, *op, outcome(index)));
                return;
            }
            self.history.completed(self.now, *op, Outcome::Unknown);
        }
    }

    /// An event that was lost on the way: the watch counts as set still, with a state that differs from any.
    fn restore_later(&mut self, client: usize, id: WatchId, path: String) {
        let watches = &mut self.clients[client].watches;
        if watches.iter().all(|watch| watch.id != id) {
            let shown = Some(Stat { mzxid: -1, ..Stat::default() });
            let by = self.setters[&id];
            watches.push(Watch { id, by, path, child: false, lasting: None, shown });
        }
    }

    /// A new connection, to a member that is not behind what the client saw, and its watches are set again.
    fn reconnect(&mut self, client: usize) {
        self.lose(client);
        // No server watches for it meanwhile.
        let watches = std::mem::take(&mut self.clients[client].watches);
        self.advance(client, Zxid::MAX >> 1);
        self.restore(client, watches);
    }

    /// What differs is told by a gap; lasting watches have one in any case.
    fn restore(&mut self, client: usize, watches: Vec<Watch>) {
        for watch in watches {
            let (now, id) = (self.tree.at(&watch.path, self.tree.head), watch.id);
            let now = now.map(|node| node.stat);
            let differs = watch.child || now.map(|stat| stat.mzxid) != watch.shown.map(|stat| stat.mzxid);
            if watch.lasting.is_some() || differs {
                self.clients[client].wire.push_back(Message::Gap(id));
            }
            if watch.lasting.is_some() || !differs {
                self.clients[client].watches.push(watch);
            }
        }
    }

    /// The session ends, and another takes its place.
    fn finish(&mut self, client: usize) {
        self.lose(client);
        let session = self.clients[client].id;
        self.tree.end(session);
        self.history.ended(self.now, session, true);
        self.next_session += 1;
        let (id, member) = (self.next_session, self.tree.head);
        let (asked, wire, watches) = (VecDeque::new(), VecDeque::new(), Vec::new());
        self.clients[client] = Client { id, member, asked, wire, watches, seen: 0 };
    }
}

/// What a server before 3.8.2 tells of creations in a transaction.
fn forgetful(answer: Answer) -> Answer {
    let forget = |answer| match answer {
        Answer::Created(path, _) => Answer::Created(path, None),
        other => other,
    };
    match answer {
        Answer::Multi(answers) => Answer::Multi(answers.into_iter().map(forget).collect()),
        other => other,
    }
}
