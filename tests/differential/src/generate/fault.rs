//! Operations that are meant to fail, each in a way of its own.

use super::Generator;
use crate::call::{At, Call};
use menagerie_jute::{Acl, AddWatchMode, CreateMode, OpCode, Perms, WatcherType};

/// Paths that no znode may have, below the base.
const BAD: [&str; 8] = ["/a//b", "/a/", "/./x", "/../x", "/x\u{1}", "/x\0y", "/x\u{e000}", "/x\u{7f}"];
/// Paths that no znode may have, or may not be deleted.
const BAD_PLAIN: [&str; 4] = ["noslash", "", "/zookeeper", "/zookeeper/quota"];

impl Generator {
    /// A request that probably fails.
    pub(super) fn fault(&mut self, slot: usize) -> Call {
        match self.chance.below(14) {
            0 => self.again(slot),
            1 => self.not_empty(slot),
            2 => self.below_ephemeral(slot),
            3 => self.bad_acl(slot),
            4 | 5 => self.bad_path(slot),
            6 => self.null_path(),
            7 => self.cut(),
            8 => Call::AddWatch { at: self.anywhere(slot), mode: AddWatchMode(7) },
            9 => {
                let op = *self
                    .chance
                    .pick(&[OpCode::CHECK_WATCHES, OpCode::REMOVE_WATCHES])
                    .unwrap_or(&OpCode::PING);
                Call::Watches { op, at: self.anywhere(slot), kind: WatcherType(9) }
            }
            10 => self.bad_create(slot),
            11 => self.forbidden(slot),
            12 => Call::SetData { at: self.existing(slot, Perms::WRITE), data: self.data(), version: 77 },
            _ => Call::Read { op: OpCode::GET_DATA, at: self.absent(slot), watch: true },
        }
    }

    /// A create of what is there.
    fn again(&mut self, slot: usize) -> Call {
        let at = self.existing(slot, Perms::ALL);
        let call = self.create_at(slot, OpCode::CREATE2, at);
        if let Call::Create { op, at, data, acl, ttl, .. } = call {
            return Call::Create { op, at, data, acl, ttl, flags: CreateMode::PERSISTENT };
        }
        call
    }

    fn not_empty(&mut self, slot: usize) -> Call {
        let mut at = At::Below(String::new());
        for _ in 0..10 {
            at = self.existing(slot, Perms::DELETE);
            if at.below().is_some_and(|path| !path.is_empty() && self.model.has_children(path)) {
                break;
            }
        }
        Call::Versioned { op: OpCode::DELETE, at, version: -1 }
    }

    fn below_ephemeral(&mut self, slot: usize) -> Call {
        let ephemerals: Vec<_> = self
            .model
            .nodes
            .iter()
            .filter(|(_, node)| node.owner.is_some())
            .map(|(path, _)| path.clone())
            .collect();
        let parent = self.chance.pick(&ephemerals).cloned().unwrap_or_default();
        self.create_at(slot, OpCode::CREATE, At::Below(format!("{parent}/below")))
    }

    fn bad_acl(&mut self, slot: usize) -> Call {
        let lists = [
            None,
            Some(Vec::new()),
            Some(vec![Acl::new(Perms::ALL, "digest", "nocolon")]),
            Some(vec![Acl::new(Perms::ALL, "digest", "a:b:c")]),
            Some(vec![Acl::new(Perms::ALL, "ip", "300.1.1.1")]),
            Some(vec![Acl::new(Perms::ALL, "ip", "127.0.0.1/33")]),
            Some(vec![Acl::new(Perms::ALL, "nonsense", "x")]),
            Some(vec![Acl::new(Perms::ALL, "world", "someone")]),
            Some(vec![Acl::new(Perms::ALL, "auth", "")]),
        ];
        let acl = self.chance.pick(&lists).cloned().flatten();
        if self.chance.percent(50) {
            return Call::SetAcl { at: self.existing(slot, Perms::ADMIN), acl, version: -1 };
        }
        let at = self.absent(slot);
        Call::Create { op: OpCode::CREATE, at, data: None, acl, flags: CreateMode::PERSISTENT, ttl: 0 }
    }

    fn bad_path(&mut self, slot: usize) -> Call {
        let plain = self.chance.percent(40);
        let at = if plain {
            At::Plain((*self.chance.pick(&BAD_PLAIN).unwrap_or(&"noslash")).to_owned())
        } else {
            At::Below((*self.chance.pick(&BAD).unwrap_or(&"/a//b")).to_owned())
        };
        match self.chance.below(5) {
            // A number behind it would make a good path of some, outside of the base.
            0 => Call::Create {
                op: OpCode::CREATE,
                at,
                data: self.data(),
                acl: Some(Acl::OPEN.to_vec()),
                flags: CreateMode::PERSISTENT,
                ttl: 0,
            },
            1 => Call::Versioned { op: OpCode::DELETE, at, version: -1 },
            // What the server keeps for itself can be written, which would leave traces.
            2 if !plain => Call::SetData { at, data: self.data(), version: -1 },
            3 if !plain => Call::SetAcl { at, acl: Some(self.acl(slot)), version: -1 },
            4 if !plain => Call::Read { op: OpCode::EXISTS, at, watch: true },
            _ => Call::Multi {
                op: OpCode::MULTI,
                calls: vec![Call::Versioned { op: OpCode::DELETE, at, version: -1 }],
            },
        }
    }

    /// Not inside a multi, over which 3.8 loses a number, and not of addWatch: Java would keep a watch on nothing.
    fn null_path(&mut self) -> Call {
        let at = At::Null;
        let (version, watch) = (-1, self.chance.percent(50));
        let reads = [OpCode::EXISTS, OpCode::GET_DATA, OpCode::GET_CHILDREN, OpCode::GET_CHILDREN2];
        let paths = [OpCode::GET_ACL, OpCode::GET_ALL_CHILDREN_NUMBER, OpCode::GET_EPHEMERALS, OpCode::SYNC];
        let watches = [OpCode::CHECK_WATCHES, OpCode::REMOVE_WATCHES];
        let one = |chance: &mut crate::chance::Chance, of: &[OpCode]| {
            chance.pick(of).copied().unwrap_or(OpCode::SYNC)
        };
        match self.chance.below(8) {
            0 => Call::Read { op: one(&mut self.chance, &reads), at, watch },
            1 => Call::Versioned { op: OpCode::DELETE, at, version },
            2 => Call::SetData { at, data: None, version },
            3 => Call::SetAcl { at, acl: Some(Acl::OPEN.to_vec()), version },
            4 => Call::Path { op: one(&mut self.chance, &paths), at },
            5 => Call::Watches { op: one(&mut self.chance, &watches), at, kind: WatcherType::ANY },
            6 => self.create_at(0, OpCode::CREATE2, at),
            _ => {
                let calls = vec![Call::Read { op: OpCode::GET_DATA, at, watch: false }];
                Call::Multi { op: OpCode::MULTI_READ, calls }
            }
        }
    }

    fn cut(&mut self) -> Call {
        let ops = [
            OpCode::CREATE,
            OpCode::DELETE,
            OpCode::EXISTS,
            OpCode::GET_DATA,
            OpCode::SET_DATA,
            OpCode::GET_CHILDREN,
            OpCode::MULTI,
            OpCode::CHECK_WATCHES,
            OpCode::ADD_WATCH,
            OpCode::SET_WATCHES,
            OpCode::MULTI_READ,
        ];
        Call::Cut { op: *self.chance.pick(&ops).unwrap_or(&OpCode::EXISTS) }
    }

    fn bad_create(&mut self, slot: usize) -> Call {
        let at = self.absent(slot);
        let (flags, op, ttl) = match self.chance.below(3) {
            0 => (CreateMode(9), OpCode::CREATE, 0),
            1 => (CreateMode::PERSISTENT_WITH_TTL, OpCode::CREATE_TTL, -5),
            _ => (CreateMode::PERSISTENT_WITH_TTL, OpCode::CREATE_TTL, 1 << 40),
        };
        Call::Create { op, at, data: self.data(), acl: Some(Acl::OPEN.to_vec()), flags, ttl }
    }

    /// Something at a znode that the session has no right to, if there is one.
    fn forbidden(&mut self, slot: usize) -> Call {
        let closed = |path: &&String| !self.model.may(slot, path, Perms::READ);
        let paths: Vec<_> = self.model.nodes.keys().filter(closed).cloned().collect();
        let at = At::Below(self.chance.pick(&paths).cloned().unwrap_or_default());
        match self.chance.below(4) {
            // With two reasons to fail, the first in the server's order counts.
            0 => Call::SetData {
                at,
                data: self.data(),
                version: if self.chance.percent(60) { 77 } else { -1 },
            },
            1 => {
                let version = if self.chance.percent(60) { 77 } else { -1 };
                Call::SetAcl { at, acl: Some(Acl::OPEN.to_vec()), version }
            }
            2 => Call::Path { op: OpCode::GET_ACL, at },
            _ => Call::Read { op: OpCode::GET_DATA, at, watch: true },
        }
    }
}
