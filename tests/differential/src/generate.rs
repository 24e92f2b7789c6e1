//! What to do next, by chance and by what probably exists: most of it succeeds, the rest fails in every way that a client can
//! bring about.

mod fault;
mod transaction;

use crate::{
    call::{At, Call, Offer, Step},
    chance::Chance,
    episode::{Episode, Outcome},
    model::{Model, SUPER, USERS, is_sequential, parent},
    side::Item,
};
use bytes::Bytes;
use menagerie_jute::{Acl, AddWatchMode, CreateMode, ErrorCode, OpCode, Perms, WatcherType, Xid};

/// Places for sessions in an episode.
pub const SLOTS: usize = 4;
/// The longest run of requests that one session sends at once.
const BURST: usize = 10;
/// What makes an operation nobody knows.
const UNKNOWN: OpCode = OpCode(77);

/// The znode that an episode works below.
#[must_use]
pub fn base() -> Call {
    Call::Create {
        op: OpCode::CREATE,
        at: At::Below(String::new()),
        data: Some(Bytes::new()),
        acl: Some(Acl::OPEN.to_vec()),
        flags: CreateMode::PERSISTENT,
        ttl: 0,
    }
}

/// Makes up steps.
#[derive(Debug)]
pub struct Generator {
    chance: Chance,
    /// What probably exists.
    pub model: Model,
    /// The last zxid that the servers told, counted from the start.
    pub zxid: i64,
    /// Whether some access lists forbid things.
    guarded: bool,
}

impl Generator {
    /// For an episode.
    #[must_use]
    pub fn new(seed: u64, base_len: usize) -> Self {
        let mut chance = Chance::new(seed);
        let guarded = chance.percent(70);
        Self { chance, model: Model::new(SLOTS, base_len), zxid: 0, guarded }
    }

    /// What an episode begins with: sometimes a quota on what is below `~/q`.
    pub fn first(&mut self) -> Vec<Step> {
        let mut steps = vec![Step::Connect { slot: 0, timeout_millis: 40_000 }];
        if self.chance.percent(30) {
            let limits = "count=12,bytes=200,countHardLimit=14,byteHardLimit=240";
            let nodes = [
                (At::Below("/q".to_owned()), ""),
                (At::Quota(String::new()), ""),
                (At::Quota("/q".to_owned()), ""),
                (At::Quota("/q/zookeeper_limits".to_owned()), limits),
                (At::Quota("/q/zookeeper_stats".to_owned()), "count=1,bytes=0"),
            ];
            steps.extend(nodes.map(|(at, data)| {
                let data = Some(Bytes::from_static(data.as_bytes()));
                let acl = Some(Acl::OPEN.to_vec());
                let call =
                    Call::Create { op: OpCode::CREATE, at, data, acl, flags: CreateMode::PERSISTENT, ttl: 0 };
                Step::Request { slot: 0, call }
            }));
        }
        for step in &steps {
            if let Step::Request { slot, call } = step {
                self.model.assume(*slot, call);
            }
        }
        steps
    }

    /// The steps that follow: all of one session.
    pub fn go_on(&mut self) -> Vec<Step> {
        let slot = self.chance.below(SLOTS);
        let Some(session) = self.model.sessions.get(slot).cloned() else { return Vec::new() };
        if !session.alive {
            let timeout_millis = *self.chance.pick(&[30_000, 40_000, 45_001, 100_000]).unwrap_or(&30_000);
            return match self.chance.below(8) {
                0 => vec![Step::Attach { slot, offer: Offer::Right }],
                _ => vec![Step::Connect { slot, timeout_millis }],
            };
        }
        if !session.attached {
            return self.come_back(slot);
        }
        match self.chance.below(100) {
            0..=2 => vec![Step::Drop { slot }],
            3 => self.taken_over(slot),
            4..=5 => self.bare(slot, OpCode::CLOSE_SESSION),
            6..=10 => vec![Step::Request { slot, call: self.auth() }],
            11 => {
                let op = if self.chance.percent(50) { OpCode::SASL } else { UNKNOWN };
                self.bare(slot, op)
            }
            _ => {
                let count = 1 + self.chance.below(BURST);
                (0..count).map(|_| self.request(slot)).collect()
            }
        }
    }

    /// Whatever ends the session of a place.
    pub fn goodbye(&mut self, slot: usize) -> Vec<Step> {
        let Some(session) = self.model.sessions.get(slot).filter(|session| session.alive) else {
            return Vec::new();
        };
        let attach = (!session.attached).then_some(Step::Attach { slot, offer: Offer::Right });
        let close = Step::Request { slot, call: Call::Bare { op: OpCode::CLOSE_SESSION } };
        attach.into_iter().chain([close]).collect()
    }

    /// Takes notice of what steps came to.
    pub fn learn(&mut self, steps: &[Step], outcome: &Outcome, episode: &Episode) {
        let Some(first) = steps.first() else { return };
        let slot = first.slot();
        let granted = outcome.own.iter().any(|item| matches!(item, Item::Session { .. }));
        match first {
            Step::Attach { offer: Offer::Right, .. } if outcome.own.contains(&Item::Refused) => {
                self.model.end(slot)
            }
            Step::Connect { .. } | Step::Attach { .. } if granted => {
                self.model.detach(slot);
                if let Some(session) = self.model.sessions.get_mut(slot) {
                    (session.alive, session.attached) = (true, true);
                }
            }
            Step::Connect { .. } | Step::Attach { .. } => {}
            Step::Drop { .. } => self.model.detach(slot),
            Step::Request { .. } => self.learn_answers(slot, steps, &outcome.own),
        }
        self.model.notice(slot, &outcome.own);
        outcome.others.iter().for_each(|(slot, items)| self.model.notice(*slot, items));
        if !episode.is_connected(slot) {
            self.model.detach(slot);
        }
        self.zxid = episode.last_zxid();
    }

    fn learn_answers(&mut self, slot: usize, steps: &[Step], items: &[Item]) {
        let answers = items.iter().filter_map(|item| match item {
            Item::Reply(reply, _) if reply.header.xid != Xid::NOTIFICATION => Some(reply),
            _ => None,
        });
        for (call, reply) in steps.iter().filter_map(Step::call).zip(answers) {
            match call {
                Call::Bare { op: OpCode::CLOSE_SESSION } => self.model.end(slot),
                Call::Auth { text, .. } if reply.header.err == ErrorCode::OK => {
                    self.model.identify(slot, text)
                }
                _ => self.model.learn(slot, call, reply),
            }
        }
    }

    fn bare(&mut self, slot: usize, op: OpCode) -> Vec<Step> {
        vec![Step::Request { slot, call: Call::Bare { op } }]
    }

    fn come_back(&mut self, slot: usize) -> Vec<Step> {
        match self.chance.below(10) {
            0 => vec![Step::Attach { slot, offer: Offer::WrongPassword }],
            1 => vec![Step::Attach { slot, offer: Offer::ZxidAhead }],
            _ => self.taken_over(slot),
        }
    }

    fn taken_over(&mut self, slot: usize) -> Vec<Step> {
        let mut steps = vec![Step::Attach { slot, offer: Offer::Right }];
        if self.chance.percent(70) {
            steps.push(Step::Request { slot, call: self.set_watches() });
        }
        steps
    }

    fn auth(&mut self) -> Call {
        let (scheme, text) = match self.chance.below(20) {
            0 => ("nonsense", "a:b"),
            1 => ("digest", SUPER),
            2 => ("ip", ""),
            3 => ("digest", "nobody"),
            4 => ("world", "anyone"),
            _ => ("digest", self.chance.pick(&USERS).map_or("u0:p0", |(text, _)| *text)),
        };
        Call::Auth { scheme: scheme.to_owned(), text: text.to_owned() }
    }

    fn request(&mut self, slot: usize) -> Step {
        let call = if self.chance.percent(9) { self.fault(slot) } else { self.valid(slot) };
        self.model.assume(slot, &call);
        Step::Request { slot, call }
    }

    fn valid(&mut self, slot: usize) -> Call {
        let ops = [
            (13, OpCode::CREATE),
            (9, OpCode::DELETE),
            (8, OpCode::EXISTS),
            (8, OpCode::GET_DATA),
            (10, OpCode::SET_DATA),
            (4, OpCode::GET_ACL),
            (4, OpCode::SET_ACL),
            (4, OpCode::GET_CHILDREN),
            (2, OpCode::SYNC),
            (1, OpCode::PING),
            (5, OpCode::GET_CHILDREN2),
            (9, OpCode::MULTI),
            (1, OpCode::RECONFIG),
            (3, OpCode::CHECK_WATCHES),
            (3, OpCode::REMOVE_WATCHES),
            (4, OpCode::MULTI_READ),
            (1, OpCode::SET_WATCHES),
            (2, OpCode::GET_EPHEMERALS),
            (2, OpCode::GET_ALL_CHILDREN_NUMBER),
            (5, OpCode::ADD_WATCH),
            (2, OpCode::WHO_AM_I),
        ];
        let watch = self.chance.percent(50);
        match self.chance.weighted(&ops).unwrap_or(OpCode::PING) {
            OpCode::CREATE => self.create(slot),
            OpCode::DELETE => self.delete(slot),
            OpCode::SET_DATA => self.set_data(slot),
            OpCode::SET_ACL => self.set_acl(slot),
            op @ OpCode::EXISTS => {
                let at = if self.chance.percent(35) {
                    self.absent(slot)
                } else {
                    self.existing(slot, Perms::READ)
                };
                Call::Read { op, at, watch }
            }
            op @ (OpCode::GET_DATA | OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2) => {
                Call::Read { op, at: self.readable(slot), watch }
            }
            op @ (OpCode::GET_ACL | OpCode::GET_ALL_CHILDREN_NUMBER) => {
                Call::Path { op, at: self.existing(slot, Perms::READ) }
            }
            op @ (OpCode::SYNC | OpCode::GET_EPHEMERALS) => Call::Path { op, at: self.anywhere(slot) },
            OpCode::MULTI => self.multi(slot),
            OpCode::MULTI_READ => self.multi_read(slot),
            op @ (OpCode::CHECK_WATCHES | OpCode::REMOVE_WATCHES) => self.watches(slot, op),
            OpCode::SET_WATCHES => self.set_watches(),
            OpCode::ADD_WATCH => {
                let modes = [AddWatchMode::PERSISTENT, AddWatchMode::PERSISTENT_RECURSIVE];
                let mode = *self.chance.pick(&modes).unwrap_or(&AddWatchMode::PERSISTENT);
                Call::AddWatch { at: self.anywhere(slot), mode }
            }
            op => Call::Bare { op },
        }
    }

    /// A znode that probably exists, and that the session probably has a right to.
    fn existing(&mut self, slot: usize, perms: Perms) -> At {
        let mut path = String::new();
        for _ in 0..4 {
            let at = self.chance.below(self.model.nodes.len());
            path = self.model.nodes.keys().nth(at).cloned().unwrap_or_default();
            if self.model.may(slot, &path, perms) {
                break;
            }
        }
        At::Below(path)
    }

    /// As [`existing`](Self::existing) to read, or one of the server's own that tell of the quota.
    fn readable(&mut self, slot: usize) -> At {
        if self.model.nodes.contains_key("/q") && self.chance.percent(8) {
            let name = if self.chance.percent(80) { "zookeeper_stats" } else { "zookeeper_limits" };
            return At::Quota(format!("/q/{name}"));
        }
        if self.chance.percent(2) {
            let path = if self.chance.percent(50) { "/zookeeper/config" } else { "/zookeeper" };
            return At::Plain(path.to_owned());
        }
        self.existing(slot, Perms::READ)
    }

    /// A path that probably does not exist, below a parent that the session probably may create in.
    fn absent(&mut self, slot: usize) -> At {
        const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "ab", "é"];
        for _ in 0..6 {
            let At::Below(parent) = self.existing(slot, Perms::CREATE) else { continue };
            let crowded = self.model.nodes.len() > 60 || parent.matches('/').count() > 3;
            let lasting = self.model.nodes.get(&parent).is_some_and(|node| node.owner.is_none());
            let path = format!("{parent}/{}", self.chance.pick(&NAMES).unwrap_or(&"a"));
            if lasting && !crowded && !self.model.nodes.contains_key(&path) {
                return At::Below(path);
            }
        }
        At::Below(format!("/x{}", self.chance.below(50)))
    }

    fn anywhere(&mut self, slot: usize) -> At {
        if self.chance.percent(25) { self.absent(slot) } else { self.existing(slot, Perms::ALL) }
    }

    fn data(&mut self) -> Option<Bytes> {
        match self.chance.below(12) {
            0 => None,
            1 => Some(Bytes::new()),
            _ => {
                let len = self.chance.below(40);
                Some((0..len).map(|_| b'a' + u8::try_from(self.chance.below(26)).unwrap_or(0)).collect())
            }
        }
    }

    fn acl(&mut self, slot: usize) -> Vec<Acl> {
        if !self.guarded || self.chance.percent(75) {
            return Acl::OPEN.to_vec();
        }
        let user = self.chance.pick(&USERS).map_or("", |(_, id)| *id);
        let perms = Perms(i32::try_from(self.chance.below(32)).unwrap_or(31));
        let known = self.model.sessions.get(slot).is_some_and(|session| !session.users.is_empty());
        match self.chance.below(7) {
            0 => vec![Acl::new(Perms::ALL, "digest", user)],
            1 => vec![Acl::new(Perms::READ, "world", "anyone"), Acl::new(Perms::ALL, "digest", user)],
            2 => vec![Acl::new(Perms::ALL, "ip", "127.0.0.1")],
            3 => vec![Acl::new(perms, "ip", "127.0.0.0/8"), Acl::new(perms, "ip", "10.0.0.0/8")],
            4 => vec![Acl::new(perms, "world", "anyone"), Acl::new(perms, "world", "anyone")],
            _ if known => vec![Acl::new(Perms::ALL, "auth", ""), Acl::new(Perms::READ, "world", "anyone")],
            _ => Acl::OPEN.to_vec(),
        }
    }

    fn create(&mut self, slot: usize) -> Call {
        let mut at = self.absent(slot);
        if self.chance.percent(10) {
            at = At::Below(format!("/q/n{}", self.chance.below(30)));
        }
        let op = *self
            .chance
            .pick(&[
                OpCode::CREATE,
                OpCode::CREATE,
                OpCode::CREATE2,
                OpCode::CREATE2,
                OpCode::CREATE_CONTAINER,
                OpCode::CREATE_TTL,
            ])
            .unwrap_or(&OpCode::CREATE);
        self.create_at(slot, op, at)
    }

    fn create_at(&mut self, slot: usize, op: OpCode, at: At) -> Call {
        let flags: &[CreateMode] = match op {
            OpCode::CREATE_CONTAINER => &[CreateMode::CONTAINER],
            OpCode::CREATE_TTL => {
                &[CreateMode::PERSISTENT_WITH_TTL, CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL]
            }
            _ => &[
                CreateMode::PERSISTENT,
                CreateMode::PERSISTENT,
                CreateMode::EPHEMERAL,
                CreateMode::PERSISTENT_SEQUENTIAL,
                CreateMode::EPHEMERAL_SEQUENTIAL,
            ],
        };
        let flags = *self.chance.pick(flags).unwrap_or(&CreateMode::PERSISTENT);
        let at = match at {
            // Only a number, no name.
            At::Below(path) if is_sequential(flags) && self.chance.percent(15) => {
                At::Below(format!("{}/", parent(&path)))
            }
            at => at,
        };
        let ttl = if op == OpCode::CREATE_TTL { 1_000_000 } else { 0 };
        Call::Create { op, at, data: self.data(), acl: Some(self.acl(slot)), flags, ttl }
    }

    fn delete(&mut self, slot: usize) -> Call {
        let mut found = None;
        for _ in 0..8 {
            let At::Below(path) = self.existing(slot, Perms::ALL) else { continue };
            if !path.is_empty()
                && !self.model.has_children(&path)
                && self.model.may(slot, parent(&path), Perms::DELETE)
            {
                found = Some(path);
                break;
            }
        }
        let Some(path) = found else { return Call::Bare { op: OpCode::WHO_AM_I } };
        let version = self.version(&path, |node| node.version);
        Call::Versioned { op: OpCode::DELETE, at: At::Below(path), version }
    }

    fn version(&mut self, path: &str, of: fn(&crate::model::Node) -> i32) -> i32 {
        let known = self.model.nodes.get(path).map_or(-1, of);
        match self.chance.below(20) {
            0 => known + 1,
            1..=8 => known,
            _ => -1,
        }
    }

    fn set_data(&mut self, slot: usize) -> Call {
        if self.model.nodes.contains_key("/q") && self.chance.percent(5) {
            return self.set_limits();
        }
        let at = self.existing(slot, Perms::WRITE);
        let version = self.version(at.below().unwrap_or_default(), |node| node.version);
        Call::SetData { at, data: self.data(), version }
    }

    fn set_limits(&mut self) -> Call {
        const LIMITS: [&str; 5] = [
            "count=12,bytes=200,countHardLimit=14,byteHardLimit=240",
            "count=2,bytes=20",
            "count=-1,bytes=-1,byteHardLimit=120,countHardLimit=-1",
            "count=-1,bytes=-1,byteHardLimit=-1,countHardLimit=6",
            "count=100;bytes=-1;byteHardLimit=-1;countHardLimit=-1",
        ];
        let text = *self.chance.pick(&LIMITS).unwrap_or(&"");
        let at = At::Quota("/q/zookeeper_limits".to_owned());
        Call::SetData { at, data: Some(Bytes::from_static(text.as_bytes())), version: -1 }
    }

    fn set_acl(&mut self, slot: usize) -> Call {
        let at = self.existing(slot, Perms::ADMIN);
        let version = self.version(at.below().unwrap_or_default(), |node| node.aversion);
        // The base stays open, or soon nothing succeeds.
        let acl = if at.below() == Some("") { Acl::OPEN.to_vec() } else { self.acl(slot) };
        Call::SetAcl { at, acl: Some(acl), version }
    }

    fn watches(&mut self, slot: usize, op: OpCode) -> Call {
        let known = self.model.sessions.get(slot).map(|session| session.watches.clone()).unwrap_or_default();
        let (at, kind) = match self.chance.pick(&known) {
            Some(known) if self.chance.percent(90) => known.clone(),
            _ => (self.anywhere(slot), WatcherType::ANY),
        };
        let kind = if self.chance.percent(60) {
            kind
        } else {
            WatcherType(1 + i32::try_from(self.chance.below(5)).unwrap_or(0))
        };
        Call::Watches { op, at, kind }
    }

    fn set_watches(&mut self) -> Call {
        let since = if self.chance.percent(40) {
            self.zxid
        } else {
            let zxid = usize::try_from(self.zxid).unwrap_or(0);
            i64::try_from(self.chance.below(zxid + 1)).unwrap_or(0)
        };
        let op = if self.chance.percent(50) { OpCode::SET_WATCHES } else { OpCode::SET_WATCHES2 };
        let mut lists: [Vec<At>; 5] = Default::default();
        for list in &mut lists {
            let count = self.chance.below(4);
            list.extend((0..count).map(|_| self.anywhere(0)));
        }
        Call::SetWatches { op, since, lists }
    }
}
