//! Which operations each server is known to answer. A server that does not know an operation closes the connection, so
//! what is not known yet goes out alone, and what was refused is never tried there again.

use std::collections::BTreeMap;

use super::{Address, Server};
use crate::jute::OpCode;
use crate::limits;

/// What is known of an operation at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ability {
    /// It answers it, or every release does.
    Answers,
    /// Nobody has asked yet.
    Untried,
    /// It does not know it.
    Refuses,
}

/// What is known of the operations of the servers met so far.
#[derive(Debug, Default)]
pub(super) struct Abilities {
    known: BTreeMap<(Server, Address), Known>,
}

/// One bit an opcode; those that may be missing lie between 15 and 107.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    answers: u128,
    refuses: u128,
}

impl Abilities {
    /// What is known of `op` at this server.
    pub(super) fn of(&self, server: &Server, address: Address, op: OpCode) -> Ability {
        let Some(bit) = bit(op) else { return Ability::Answers };
        match self.get(server, address) {
            Some(known) if known.refuses & bit != 0 => Ability::Refuses,
            Some(known) if known.answers & bit != 0 => Ability::Answers,
            _ => Ability::Untried,
        }
    }

    /// Whether the server has answered anything that 3.4 does not know.
    pub(super) fn is_modern(&self, server: &Server, address: Address) -> bool {
        self.get(server, address).is_some_and(|known| known.answers != 0)
    }

    pub(super) fn learn(&mut self, server: &Server, address: Address, op: OpCode, answers: bool) {
        let Some(bit) = bit(op) else { return };
        if self.known.len() >= limits::REMEMBERED_ADDRESSES && self.get(server, address).is_none() {
            self.known.pop_first();
        }
        let known = self.known.entry((server.clone(), address)).or_default();
        if answers {
            known.answers |= bit;
        } else {
            known.refuses |= bit;
        }
    }

    fn get(&self, server: &Server, address: Address) -> Option<&Known> {
        if self.known.is_empty() {
            return None;
        }
        self.known.get(&(server.clone(), address))
    }
}

/// The bit of an operation that some releases lack; `None` for those that all have.
fn bit(op: OpCode) -> Option<u128> {
    match op.0 {
        100..=102 => None,
        code @ 15..=127 => Some(1 << code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_server_refuses_another_may_answer() {
        let mut abilities = Abilities::default();
        let [old, new] = ["old", "new"].map(|host| Server { host: host.into(), port: 1 });
        abilities.learn(&old, Address::Name, OpCode::ADD_WATCH, false);
        abilities.learn(&new, Address::Name, OpCode::ADD_WATCH, true);
        assert_eq!(abilities.of(&old, Address::Name, OpCode::ADD_WATCH), Ability::Refuses);
        assert_eq!(abilities.of(&new, Address::Name, OpCode::ADD_WATCH), Ability::Answers);
        assert_eq!(abilities.of(&new, Address::Name, OpCode::WHO_AM_I), Ability::Untried);
        assert_eq!(abilities.of(&old, Address::Name, OpCode::SET_WATCHES), Ability::Answers);
        assert!(abilities.is_modern(&new, Address::Name) && !abilities.is_modern(&old, Address::Name));
    }

    #[test]
    fn memory_is_bounded() {
        let mut abilities = Abilities::default();
        for port in 0..1_000 {
            let server = Server { host: "many".into(), port };
            abilities.learn(&server, Address::Name, OpCode::CREATE2, true);
        }
        assert_eq!(abilities.known.len(), limits::REMEMBERED_ADDRESSES);
    }
}
