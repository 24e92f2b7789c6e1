//! Probes: a session that is served by a read-only member asks others beside its connection whether they write.

use menagerie::session::{Address, ConnId, Server};

use crate::agenda::{Event, Probe};
use crate::census::State;
use crate::ensemble::Role;
use crate::world::{World, host};

impl World {
    /// A session wants a member probed. Some probes are never answered, as the driver's dial may hang.
    pub(crate) fn probe(&mut self, client: usize, conn: ConnId, server: &Server, address: Address) {
        self.judge_pace(client);
        let drawn = self.chance.weighted(&[
            (12, Some(Probe::True)),
            (1, Some(Probe::Boasts)),
            (1, Some(Probe::Nonsense)),
            (1, Some(Probe::Nobody)),
            (1, None),
        ]);
        let serial = self.clients[client].serial;
        let member = (0..self.plan.members).find(|member| host(*member) == server.host).unwrap_or(0);
        let probe = drawn.flatten();
        if probe != Some(Probe::True) {
            self.census.reach(State::ProbeMisled);
        }
        self.line(format!("c{client}    probes member {member}: {probe:?}"));
        let Some(probe) = probe.filter(|_| address == Address::Name) else { return };
        let at = self.now + self.latency(client) * 2;
        self.agenda.at(at, Event::Probed(client, serial, conn, member, probe));
    }

    /// The answer is there, if there is a way.
    pub(crate) fn probed(&mut self, client: usize, serial: u64, conn: ConnId, member: usize, probe: Probe) {
        let event = Event::Probed(client, serial, conn, member, probe);
        if self.clients[client].serial != serial || self.is_still(client, event) {
            return;
        }
        let path = self.paths[client * self.plan.members + member];
        let one = &self.ensemble.members[member];
        if path.up > 0 || path.down > 0 || one.swallows > 0 {
            return;
        }
        let refuses = one.role == Role::Down || one.refuses > 0;
        let answer: &[u8] = match (probe, one.role) {
            (Probe::Nobody, _) => b"",
            _ if refuses => b"",
            (Probe::Boasts, _) | (_, Role::Leading(_) | Role::Following(_)) if probe != Probe::Nonsense => {
                b"rw"
            }
            (Probe::Nonsense, _) => b"r\0wrw",
            (_, Role::ReadOnly) => b"ro",
            _ => b"null",
        };
        let now = self.instant();
        self.mix(&[12, client as u64, member as u64, answer.len() as u64]);
        if let Some(session) = &mut self.clients[client].session {
            session.handle_probe(now, conn, answer);
        }
        self.settle(client);
    }
}
