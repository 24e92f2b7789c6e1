//! Several operations in one.

use super::Generator;
use crate::call::{At, Call};
use menagerie_jute::{OpCode, Perms};

impl Generator {
    /// A transaction, most of which succeed.
    pub(super) fn multi(&mut self, slot: usize) -> Call {
        let mut calls = Vec::new();
        let count = self.chance.below(6);
        for _ in 0..count {
            let call = self.part(slot);
            calls.push(call);
        }
        // A set that follows a create of the same transaction, and a child below it.
        if let Some(Call::Create { at: At::Below(path), .. }) = calls.first().cloned() {
            if self.chance.percent(30) {
                calls.push(Call::SetData { at: At::Below(path.clone()), data: self.data(), version: 0 });
            }
            if self.chance.percent(20) {
                calls.push(self.create_at(slot, OpCode::CREATE, At::Below(format!("{path}/m"))));
            }
        }
        if self.chance.percent(8) {
            let at = self.existing(slot, Perms::READ);
            calls.push(Call::Versioned { op: OpCode::CHECK, at, version: 99 });
        }
        if self.chance.percent(3) {
            calls.push(Call::Read { op: OpCode::GET_DATA, at: At::Below(String::new()), watch: false });
        }
        Call::Multi { op: OpCode::MULTI, calls }
    }

    fn part(&mut self, slot: usize) -> Call {
        let ops = [
            (5, OpCode::CREATE),
            (3, OpCode::CREATE2),
            (1, OpCode::CREATE_CONTAINER),
            (1, OpCode::CREATE_TTL),
            (4, OpCode::SET_DATA),
            (3, OpCode::CHECK),
            (3, OpCode::DELETE),
        ];
        match self.chance.weighted(&ops).unwrap_or(OpCode::CHECK) {
            OpCode::SET_DATA => self.set_data(slot),
            OpCode::DELETE => match self.delete(slot) {
                delete @ Call::Versioned { .. } => delete,
                _ => self.set_data(slot),
            },
            op @ OpCode::CHECK => {
                let at = self.existing(slot, Perms::READ);
                let version = self.version(at.below().unwrap_or_default(), |node| node.version);
                Call::Versioned { op, at, version }
            }
            op => {
                let at = self.absent(slot);
                self.create_at(slot, op, at)
            }
        }
    }

    /// Several reads.
    pub(super) fn multi_read(&mut self, slot: usize) -> Call {
        let count = self.chance.below(5);
        let mut calls = Vec::new();
        for _ in 0..count {
            let op = if self.chance.percent(50) { OpCode::GET_DATA } else { OpCode::GET_CHILDREN };
            let at = if self.chance.percent(10) { self.anywhere(slot) } else { self.readable(slot) };
            let watch = self.chance.percent(20);
            calls.push(Call::Read { op, at, watch });
        }
        if self.chance.percent(4) {
            calls.push(self.set_data(slot));
        }
        Call::Multi { op: OpCode::MULTI_READ, calls }
    }
}
