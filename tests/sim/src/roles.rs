//! Who leads, who follows, who is gone: what becomes of members.

use crate::agenda::{Event, MILLI, SECOND};
use crate::census::State;
use crate::ensemble::{Role, Tracked};
use crate::world::World;

impl World {
    /// A member stops serving: its connections go.
    pub(crate) fn stop_serving(&mut self, member: usize, role: Role) {
        let now = self.instant();
        let one = &mut self.ensemble.members[member];
        let was_leading = matches!(one.role, Role::Leading(_));
        if one.role == Role::ReadOnly {
            one.core.set_read_only(false, now);
        }
        one.role = role;
        one.looks += 1;
        one.inbox.clear();
        one.outbox.clear();
        one.core.stop(now);
        one.core.take_touched();
        let looks = one.looks;
        self.line(format!("role  member {member} {role:?}"));
        self.mix(&[40, member as u64]);
        self.flush_member(member);
        if was_leading {
            for other in 0..self.ensemble.members.len() {
                // The connections to it close: whoever is not cut off knows at once.
                if self.leader_of(other).is_none()
                    && matches!(self.ensemble.members[other].role, Role::Following(_))
                {
                    if self.ensemble.members[other].cut == 0 {
                        self.stop_serving(other, Role::Looking);
                    } else {
                        let (cuts, patience) = (self.ensemble.members[other].cuts, self.ensemble.patience());
                        let at = self.now + self.chance.between(0, patience);
                        self.agenda.at(at, Event::GivesUp(other, cuts));
                    }
                }
            }
        }
        if role == Role::Looking {
            if self.plan.read_only {
                let wait = 2 * self.ensemble.tick + self.chance.between(0, 2 * SECOND);
                self.agenda.at(self.now + wait, Event::GoesReadOnly(member, looks));
            }
            self.look_for_leader();
        }
        if !self.ensemble.has_quorum() {
            self.lose_quorum();
        }
    }

    /// The leader has no quorum any more: it gives up in a while, unless they come back.
    fn lose_quorum(&mut self) {
        let reachable =
            self.ensemble.members.iter().filter(|one| one.role != Role::Down && one.cut == 0).count();
        if reachable < self.ensemble.majority() {
            self.census.reach(State::NoQuorum);
        }
        let Some(leader) = self.ensemble.leader else { return };
        if matches!(self.ensemble.members[leader].role, Role::Leading(_)) {
            let patience = self.ensemble.patience();
            let at = self.now + patience / 2 + self.chance.between(0, patience / 2);
            let cuts = self.ensemble.members[leader].cuts;
            self.agenda.at(at, Event::GivesUp(leader, cuts));
        }
    }

    /// A member is cut off from the others.
    pub(crate) fn cut_off(&mut self, member: usize) {
        let one = &mut self.ensemble.members[member];
        one.cut += 1;
        one.cuts += 1;
        let cuts = one.cuts;
        self.line(format!("role  member {member} is cut off"));
        let patience = self.ensemble.patience();
        let mut gives_up = vec![(member, cuts)];
        for other in 0..self.ensemble.members.len() {
            if self.leader_of(other) == Some(member) {
                gives_up.push((other, self.ensemble.members[other].cuts));
            }
        }
        for (member, cuts) in gives_up {
            let least = if self.plan.apart { patience * 3 / 4 } else { 100 * MILLI };
            let at = self.now + self.chance.between(least, patience);
            self.agenda.at(at, Event::GivesUp(member, cuts));
        }
        if !self.ensemble.has_quorum() {
            self.lose_quorum();
        }
    }

    /// There is a way to the others again.
    pub(crate) fn reconnect(&mut self, member: usize) {
        let one = &mut self.ensemble.members[member];
        one.cut = one.cut.saturating_sub(1);
        if one.cut > 0 {
            return;
        }
        self.line(format!("role  member {member} is back"));
        // The pings that waited are answered with everything else that did.
        if let Some(leader) = self.ensemble.leader {
            self.report_touched(leader);
        }
        for other in 0..self.ensemble.members.len() {
            self.agenda.at(self.now, Event::FromLeader(other));
            self.agenda.at(self.now, Event::ToLeader(other));
        }
        self.agenda.at(self.now, Event::Quorum);
        self.look_for_leader();
    }

    /// Silence has lasted too long, if it has.
    pub(crate) fn gives_up(&mut self, member: usize, cuts: u64) {
        let one = &self.ensemble.members[member];
        match one.role {
            Role::Following(_) if one.cuts == cuts => {
                let leader = self.leader_of(member);
                let hears =
                    leader.is_some_and(|leader| self.ensemble.members[leader].cut == 0) && one.cut == 0;
                if !hears {
                    self.stop_serving(member, Role::Looking);
                }
            }
            Role::Leading(epoch) => {
                let current = self.ensemble.leader == Some(member) && epoch == self.ensemble.epoch;
                if !current || !self.ensemble.has_quorum() {
                    self.stop_serving(member, Role::Looking);
                }
            }
            _ => {}
        }
    }

    /// Those who look for a leader find the one there is, or elect one soon.
    pub(crate) fn look_for_leader(&mut self) {
        if !std::mem::replace(&mut self.ensemble.electing, true) {
            let wait = self.chance.between(200 * MILLI, 2 * SECOND);
            self.agenda.at(self.now + wait, Event::Election);
        }
    }

    /// Members without a leader join the one there is, or elect one if they are enough.
    pub(crate) fn election(&mut self) {
        self.ensemble.electing = false;
        let looks = |role: Role| matches!(role, Role::Looking | Role::ReadOnly);
        let members = 0..self.ensemble.members.len();
        let free: Vec<usize> = members
            .filter(|member| {
                self.ensemble.members[*member].cut == 0 && looks(self.ensemble.members[*member].role)
            })
            .collect();
        if free.is_empty() {
            return;
        }
        let leads = self.ensemble.leader.filter(|leader| {
            let one = &self.ensemble.members[*leader];
            one.cut == 0 && one.role == Role::Leading(self.ensemble.epoch)
        });
        if leads.is_some() {
            for member in free {
                let wait = self.chance.between(50 * MILLI, SECOND);
                self.agenda.at(self.now + wait, Event::Joins(member));
            }
        } else if free.len() >= self.ensemble.majority() {
            self.elect(&free);
        }
    }

    fn elect(&mut self, free: &[usize]) {
        let leader = free[self.chance.index(free.len())];
        self.census.reach(State::LeaderChange);
        self.catch_up(leader);
        self.salvage(leader);
        self.ensemble.epoch += 1;
        self.ensemble.leader = Some(leader);
        self.ensemble.last_due = self.now;
        let epoch = self.ensemble.epoch;
        self.line(format!("role  member {leader} leads epoch {epoch}"));
        self.mix(&[41, leader as u64, epoch.unsigned_abs()]);
        self.serve(leader, Role::Leading(epoch));
        let sessions: Vec<(i64, i32)> = self.ensemble.members[leader].core.tree().sessions().collect();
        self.ensemble.tracked.clear();
        for (session, timeout_millis) in sessions {
            let timeout = u64::try_from(timeout_millis).unwrap_or(0) * MILLI;
            let due = self.ensemble.due(self.now, timeout);
            self.ensemble.tracked.insert(session, Tracked { timeout, due, owner: None, ending: false });
        }
        for member in free.iter().filter(|member| **member != leader) {
            // Enough of them at once that there is a quorum.
            self.joins(*member);
        }
    }

    /// Of what the old leader had taken, a beginning may have reached enough of the others.
    fn salvage(&mut self, leader: usize) {
        let queue = std::mem::take(&mut self.ensemble.queue);
        let replicated = queue.iter().take_while(|queued| queued.replicated).count();
        let survive = self.chance.index(replicated + 1);
        if queue.len() > survive {
            self.census.reach(State::LostWithLeader);
        }
        if survive > 0 {
            self.census.reach(State::SurvivedLeader);
        }
        let role = self.ensemble.members[leader].role;
        // It takes the entries in as a leader does, with nobody connected to it.
        self.ensemble.members[leader].role = Role::Leading(self.ensemble.epoch);
        for queued in queue.into_iter().take(survive) {
            self.commit(leader, queued);
        }
        self.ensemble.members[leader].role = role;
    }

    /// A member finds the leader.
    pub(crate) fn joins(&mut self, member: usize) {
        let one = &self.ensemble.members[member];
        if one.cut > 0 || !matches!(one.role, Role::Looking | Role::ReadOnly) {
            return;
        }
        let leads = self.ensemble.leader.is_some_and(|leader| {
            let leader = &self.ensemble.members[leader];
            leader.cut == 0 && leader.role == Role::Leading(self.ensemble.epoch)
        });
        if !leads {
            return self.look_for_leader();
        }
        self.catch_up(member);
        self.serve(member, Role::Following(self.ensemble.epoch));
        self.agenda.at(self.now, Event::Quorum);
    }

    fn serve(&mut self, member: usize, role: Role) {
        let now = self.instant();
        let base = self.ensemble.epoch << 32;
        let one = &mut self.ensemble.members[member];
        if one.role == Role::ReadOnly {
            one.core.set_read_only(false, now);
        }
        one.role = role;
        one.looks += 1;
        one.inbox.clear();
        one.outbox.clear();
        let zxid = one.core.zxid().max(base);
        one.core.set_zxid(zxid, now);
        one.core.restart(now);
        self.line(format!("role  member {member} {role:?}"));
        self.mix(&[42, member as u64]);
        self.flush_member(member);
    }

    /// A member that has found no leader for long serves readers.
    pub(crate) fn goes_read_only(&mut self, member: usize, looks: u64) {
        let now = self.instant();
        let one = &mut self.ensemble.members[member];
        if one.role != Role::Looking || one.looks != looks {
            return;
        }
        one.role = Role::ReadOnly;
        one.core.restart(now);
        one.core.set_read_only(true, now);
        self.line(format!("role  member {member} serves readers"));
        self.flush_member(member);
    }

    /// A member's process dies.
    pub(crate) fn crash(&mut self, member: usize) {
        self.ensemble.members[member].down += 1;
        if self.ensemble.members[member].role != Role::Down {
            self.stop_serving(member, Role::Down);
        }
    }

    /// It is started again.
    pub(crate) fn start(&mut self, member: usize) {
        let one = &mut self.ensemble.members[member];
        one.down = one.down.saturating_sub(1);
        if one.down == 0 && one.role == Role::Down {
            one.role = Role::Looking;
            one.looks += 1;
            let looks = one.looks;
            if self.plan.read_only {
                self.agenda.at(self.now + 2 * self.ensemble.tick, Event::GoesReadOnly(member, looks));
            }
            self.look_for_leader();
        }
    }
}
