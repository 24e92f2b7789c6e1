//! Faults: what each does to the network, to a member or to a client, and how it ends.

use crate::agenda::{Event, MILLI, SECOND, Time, Way};
use crate::plan::Fault;
use crate::world::World;

/// How far a member's wall clock may be from the true time, either way.
const JUMP_MILLIS: i64 = 90_000;

/// A fault that lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    pub(crate) fault: Fault,
    pub(crate) client: usize,
    pub(crate) member: usize,
    pub(crate) wire: Option<usize>,
    pub(crate) over: bool,
}

impl World {
    /// The next fault happens, and the one after it is put down.
    pub(crate) fn next_fault(&mut self) {
        if self.healed {
            return;
        }
        let gap = self.chance.around(self.plan.fault_gap);
        self.agenda.at(self.now + gap.max(MILLI), Event::Fault);
        let Some(fault) = self.chance.weighted(&self.plan.faults) else { return };
        let client = self.chance.index(self.plan.clients);
        let member = self.chance.index(self.plan.members);
        let mut active = Active { fault, client, member, wire: self.clients[client].wire, over: false };
        *self.census.faults.entry(fault).or_default() += 1;
        self.line(format!("fault {fault:?} client {client} member {member}"));
        self.mix(&[50, fault as u64, client as u64, member as u64]);
        let lasts = self.begin_fault(&mut active);
        if lasts > 0 {
            self.faults.push(active);
            self.agenda.at(self.now + lasts, Event::FaultEnds(self.faults.len() - 1));
        }
    }

    /// Begins it and says how long it lasts; 0 if it is over at once.
    fn begin_fault(&mut self, active: &mut Active) -> Time {
        let Active { fault, client, member, wire, .. } = *active;
        let timeout = self.clients[client].timeout;
        let short = self.chance.between(20 * MILLI, 2 * SECOND);
        let long = self.chance.between(SECOND, timeout * 2);
        let lasts = if self.chance.percent(50) { short } else { long };
        match fault {
            Fault::Reset | Fault::Close | Fault::Garbage => {
                self.hit_wire(fault, wire);
                return 0;
            }
            Fault::ClockJumps => {
                let jump = self.chance.below(2 * JUMP_MILLIS.unsigned_abs());
                self.ensemble.members[member].clock_millis = i64::try_from(jump).unwrap_or(0) - JUMP_MILLIS;
                return 0;
            }
            Fault::Expire => {
                self.kill_session(client);
                return 0;
            }
            Fault::Stall => {
                if let Some(wire) = wire {
                    self.wires[wire].up.stalled += 1;
                    self.wires[wire].down.stalled += 1;
                    self.census.hits += 1;
                }
            }
            Fault::LosesRequests => self.path(client, member).up += 1,
            Fault::LosesAnswers => self.path(client, member).down += 1,
            Fault::CutOff | Fault::CutOffLong => {
                self.census.hits += u64::from(wire.is_some());
                for member in 0..self.plan.members {
                    self.path(client, member).up += 1;
                    self.path(client, member).down += 1;
                }
                if fault == Fault::CutOffLong {
                    return timeout + self.chance.between(0, 2 * timeout);
                }
            }
            Fault::Refuse => self.ensemble.members[member].refuses += 1,
            Fault::Swallow => self.ensemble.members[member].swallows += 1,
            Fault::Slow => self.clients[client].slow += 40 * MILLI,
            Fault::NamesHang => self.clients[client].names_hang += 1,
            Fault::NamesFail => self.clients[client].names_fail += 1,
            Fault::NamesMove => self.clients[client].names_move += 1,
            Fault::Pause => self.clients[client].paused += 1,
            Fault::Lag => self.ensemble.members[member].lag += 300 * MILLI,
            Fault::Throttle => {
                let now = self.instant();
                self.ensemble.members[member].core.pause(None, now);
                self.census.hits += self.ensemble.members[member].wires.len() as u64;
            }
            _ => return self.begin_member_fault(active, lasts),
        }
        lasts
    }

    fn begin_member_fault(&mut self, active: &mut Active, lasts: Time) -> Time {
        if matches!(active.fault, Fault::LeaderCrash | Fault::IsolateLeader) {
            active.member = self.ensemble.leader.unwrap_or(active.member);
        }
        let member = active.member;
        match active.fault {
            Fault::Crash | Fault::LeaderCrash => {
                self.census.hits += self.ensemble.members[member].wires.len() as u64;
                self.crash(member);
            }
            Fault::Isolate | Fault::IsolateLeader => self.cut_off(member),
            Fault::AllCrash | Fault::NoQuorum => {
                for member in self.gone(active) {
                    self.census.hits += self.ensemble.members[member].wires.len() as u64;
                    self.crash(member);
                }
            }
            _ => {}
        }
        let longest = if self.plan.apart { 6 } else { 2 };
        lasts + self.chance.between(0, longest * self.ensemble.patience())
    }

    /// The members that are gone while it lasts.
    fn gone(&self, active: &Active) -> Vec<usize> {
        let members = self.plan.members;
        let count = if active.fault == Fault::AllCrash { members } else { members / 2 + 1 };
        (0..count).map(|offset| (active.member + offset) % members).collect()
    }

    fn path(&mut self, client: usize, member: usize) -> &mut crate::world::Path {
        &mut self.paths[client * self.plan.members + member]
    }

    fn hit_wire(&mut self, fault: Fault, wire: Option<usize>) {
        let Some(wire) = wire.filter(|wire| self.wires[*wire].open) else { return };
        self.census.hits += 1;
        match fault {
            Fault::Reset => self.reset(wire),
            Fault::Close => {
                self.send(wire, Way::Up, crate::wires::Piece::Close);
                self.send(wire, Way::Down, crate::wires::Piece::Close);
            }
            _ => {
                let client = self.wires[wire].client;
                self.clients[client].garbage += 1;
            }
        }
    }

    fn kill_session(&mut self, client: usize) {
        let session = self.clients[client].id;
        if self.ensemble.tracked.contains_key(&session) && self.ensemble.leader.is_some() {
            self.census.hits += u64::from(self.clients[client].wire.is_some());
            self.killed.push(session);
            self.expire(session);
        }
    }

    /// It is over.
    pub(crate) fn fault_ends(&mut self, fault: usize) {
        let Some(active) = self.faults.get_mut(fault) else { return };
        if std::mem::replace(&mut active.over, true) {
            return;
        }
        let active = *active;
        let Active { fault, client, member, wire, .. } = active;
        self.line(format!("over  {fault:?} client {client} member {member}"));
        match fault {
            Fault::Stall => {
                if let Some(wire) = wire {
                    self.wires[wire].up.stalled -= 1;
                    self.wires[wire].down.stalled -= 1;
                    self.agenda.at(self.now, Event::Deliver(wire, Way::Up));
                    self.agenda.at(self.now, Event::Deliver(wire, Way::Down));
                }
            }
            Fault::LosesRequests => self.path(client, member).up -= 1,
            Fault::LosesAnswers => self.path(client, member).down -= 1,
            Fault::CutOff | Fault::CutOffLong => {
                for member in 0..self.plan.members {
                    self.path(client, member).up -= 1;
                    self.path(client, member).down -= 1;
                }
            }
            Fault::Refuse => self.ensemble.members[member].refuses -= 1,
            Fault::Swallow => self.ensemble.members[member].swallows -= 1,
            Fault::Slow => self.clients[client].slow -= 40 * MILLI,
            Fault::NamesHang => self.clients[client].names_hang -= 1,
            Fault::NamesFail => self.clients[client].names_fail -= 1,
            Fault::NamesMove => self.clients[client].names_move -= 1,
            Fault::Pause => self.wake_client(client),
            Fault::Lag => self.ensemble.members[member].lag -= 300 * MILLI,
            Fault::Throttle => {
                let now = self.instant();
                self.ensemble.members[member].core.resume(None, now);
                self.flush_member(member);
            }
            Fault::Crash | Fault::LeaderCrash => self.start(member),
            Fault::Isolate | Fault::IsolateLeader => self.reconnect(member),
            Fault::AllCrash | Fault::NoQuorum => {
                for member in self.gone(&active) {
                    self.start(member);
                }
            }
            Fault::Reset | Fault::Close | Fault::Garbage | Fault::Expire | Fault::ClockJumps => {}
        }
        self.unblock(|wire| wire.client == client);
        if planted!("sim_unsteady_order") {
            self.shake();
        }
    }

    /// What an unsteady order would do: a map with keys of its own decides.
    fn shake(&mut self) {
        let map: std::collections::HashMap<usize, ()> = (0..64).map(|key| (key, ())).collect();
        let first = map.keys().next().copied().unwrap_or(0);
        self.agenda.at(self.now + first as u64, Event::Quorum);
        self.mix(&[first as u64]);
    }

    /// Nothing goes wrong from here on, and clients only wait.
    pub(crate) fn heal(&mut self) {
        self.line(String::from("heal"));
        self.healed = true;
        for fault in 0..self.faults.len() {
            self.fault_ends(fault);
        }
    }
}
