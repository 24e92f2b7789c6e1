//! The world's side of the ends: dials, bytes and closes of processes become what they are of any other client.

use menagerie::session::{Action, Address, Config, ConnId, Loss, Server, Session};

use super::ends::{Desk, Shared, Stage, become_stage, lock, stage_of};
use crate::agenda::{Event, Way};
use crate::ensemble::Role;
use crate::wires::{Piece, Wire};
use crate::world::{World, host};

/// The name of some connection: wires have one, and that of a process is its own driver's affair.
pub(crate) fn some_connection(now: std::time::Instant) -> Option<ConnId> {
    let mut session: Session<()> = Session::new(Config::new(vec![Server { host: host(0), port: 1 }], 1), now);
    session.handle_timeout(now);
    loop {
        match session.poll_action()? {
            Action::Resolve { dial, .. } => session.handle_resolved(now, dial, Ok(vec![Address::Name])),
            Action::Dial { conn, .. } => return Some(conn),
            _ => {}
        }
    }
}

impl World {
    pub(crate) fn is_outside(&self, client: usize) -> bool {
        client < self.outside
    }

    /// Takes in what the processes did. Those of past lives are not heard any more.
    pub(crate) fn attend(&mut self, desk: &Desk, conn: ConnId, lives: &[u64]) {
        for shared in desk.take() {
            let mut end = lock(&shared);
            let (client, lives_on) = (end.client, lives[end.client] == end.life);
            let (stage, gone, wire) = (end.stage, end.gone, end.wire);
            let bytes = end.outgoing.split().freeze();
            let member = (0..self.plan.members).find(|member| host(*member) == end.member).unwrap_or(0);
            drop(end);
            match wire {
                None if gone || !lives_on || stage != Stage::Dialling => {}
                None if self.clients[client].names_hang > 0 => {}
                None => self.dial_outside(client, member, conn, &shared),
                Some(wire) => {
                    if !bytes.is_empty() && self.wires[wire].open && lives_on {
                        self.mix(&[12, wire as u64, bytes.len() as u64]);
                        self.send(wire, Way::Up, Piece::Bytes(bytes));
                    }
                    if gone {
                        self.forget_outside(client, wire);
                        self.close_wire(wire);
                    }
                }
            }
        }
    }

    fn dial_outside(&mut self, client: usize, member: usize, conn: ConnId, end: &Shared) {
        let serial = self.clients[client].serial;
        let mut wire = Wire::new(client, serial, conn, member);
        // Nobody reads its frames along.
        wire.garbled = true;
        wire.outside = Some(end.clone());
        self.wires.push(wire);
        let wire = self.wires.len() - 1;
        lock(end).wire = Some(wire);
        let latency = self.latency(client) * 2;
        self.agenda.at(self.now + latency, Event::DialledOutside(wire));
    }

    pub(crate) fn dialled_outside(&mut self, wire: usize) {
        let Some(end) = self.wires[wire].outside.clone().filter(|_| self.wires[wire].open) else { return };
        let (client, member) = (self.wires[wire].client, self.wires[wire].member);
        let path = self.paths[client * self.plan.members + member];
        let one = &self.ensemble.members[member];
        let refuses = one.role == Role::Down || one.refuses > 0 || self.clients[client].names_fail > 0;
        if path.up > 0 || path.down > 0 || one.swallows > 0 || lock(&end).gone {
            return;
        }
        self.mix(&[11, client as u64, member as u64]);
        if refuses {
            self.wires[wire].open = false;
            return become_stage(&end, Stage::Refused);
        }
        self.accept(wire);
        self.clients[client].wire = Some(wire);
        become_stage(&end, Stage::Open);
    }

    pub(crate) fn loses_outside(&mut self, client: usize, wire: usize, loss: Loss) {
        self.wires[wire].open = false;
        self.forget_outside(client, wire);
        if let Some(end) = &self.wires[wire].outside {
            become_stage(end, stage_of(loss));
        }
    }

    fn forget_outside(&mut self, client: usize, wire: usize) {
        if self.clients[client].wire == Some(wire) {
            self.clients[client].wire = None;
        }
    }

    /// The process of that client is gone: its connections close.
    pub(crate) fn kill_outside(&mut self, client: usize) {
        for wire in 0..self.wires.len() {
            if self.wires[wire].client == client && self.wires[wire].open {
                self.close_wire(wire);
            }
        }
        self.clients[client].wire = None;
        self.clients[client].serial += 1;
    }
}
