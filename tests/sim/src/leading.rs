//! From a member's proposal to an entry of the log, and from the log to the members; and the time of the sessions.

use menagerie_jute::ErrorCode;
use menagerie_server::core::{
    Caller, Change, Proposal, ProposalId, Txn, Wish, due_for_reaping, prepare, prepare_reaping,
};

use crate::agenda::{Event, MILLI, Time};
use crate::census::State;
use crate::ensemble::{Entry, Queued, Role, Token, Tracked, Word};
use crate::world::World;

impl World {
    /// A member's server wants something of its leader.
    pub(crate) fn propose(&mut self, member: usize, proposal: Proposal) {
        let latency = self.member_latency();
        let (now, instant) = (self.now, self.instant());
        let one = &mut self.ensemble.members[member];
        match one.role {
            Role::Following(_) if matches!(proposal.wish, Wish::Sync) && planted!("sim_sync_at_once") => {
                one.core.handle_synced(proposal.id, instant);
            }
            Role::Leading(_) => self.lead(member, member, proposal),
            Role::Following(_) => {
                let at = one.outbox.back().map_or(0, |(at, _)| *at).max(now + latency);
                one.outbox.push_back((at, proposal));
                self.agenda.at(at, Event::ToLeader(member));
            }
            _ => {}
        }
    }

    /// What a member asked arrives at its leader, if there is a way.
    pub(crate) fn leader_hears(&mut self, member: usize) {
        while let Some(leader) = self.leader_of(member) {
            if self.ensemble.members[member].cut > 0 || self.ensemble.members[leader].cut > 0 {
                return;
            }
            let outbox = &mut self.ensemble.members[member].outbox;
            if outbox.front().is_none_or(|(at, _)| *at > self.now) {
                return;
            }
            if let Some((_, proposal)) = outbox.pop_front() {
                self.lead(leader, member, proposal);
            }
        }
    }

    /// The leader that a member follows, if it is one still.
    pub(crate) fn leader_of(&self, member: usize) -> Option<usize> {
        let Role::Following(epoch) = self.ensemble.members[member].role else { return None };
        let leads = |one: &crate::ensemble::Member| one.role == Role::Leading(epoch);
        self.ensemble.members.iter().position(leads)
    }

    /// A leader takes a proposal.
    fn lead(&mut self, leader: usize, from: usize, proposal: Proposal) {
        let token = self.token_of(from, &proposal);
        if self.ensemble.leader != Some(leader) {
            return self.lead_deposed(leader, from, &proposal);
        }
        self.mix(&[31, from as u64, proposal.session.unsigned_abs()]);
        match proposal.wish {
            Wish::Attach { timeout_millis } => {
                let granted = self.attach(from, proposal.session, timeout_millis);
                self.say(from, Word::Attached(proposal.id, granted));
            }
            Wish::Sync if self.ensemble.queue.is_empty() => {
                if !self.ensemble.has_quorum() {
                    self.census.reach(State::SyncByDeposed);
                }
                self.say(from, Word::Synced(proposal.id));
            }
            _ => {
                let tracked = self.ensemble.tracked.get_mut(&proposal.session);
                let fenced = match tracked {
                    Some(tracked) => *tracked.owner.get_or_insert(from) != from,
                    None => false,
                };
                let fenced = fenced && !planted!("sim_no_fence");
                let Proposal { id, session, ids, wish, .. } = proposal;
                self.enqueue(Queued {
                    origin: Some((from, id)),
                    session,
                    ids,
                    wish,
                    token,
                    fenced,
                    ..Queued::default()
                });
            }
        }
    }

    /// A leader that nobody follows any more: it still answers what needs no quorum.
    fn lead_deposed(&mut self, leader: usize, from: usize, proposal: &Proposal) {
        if matches!(proposal.wish, Wish::Sync) && from == leader {
            self.census.reach(State::SyncByDeposed);
            let now = self.instant();
            self.ensemble.members[leader].core.handle_synced(proposal.id, now);
        }
    }

    fn enqueue(&mut self, queued: Queued) {
        let latency = self.member_latency() + self.member_latency();
        let due = self.ensemble.last_due.max(self.now + latency);
        self.ensemble.last_due = due;
        let replicated = self.ensemble.has_quorum();
        self.ensemble.queue.push_back(Queued { due, replicated, ..queued });
        self.agenda.at(due, Event::Quorum);
    }

    /// The oldest proposals are acknowledged, if there is a quorum.
    pub(crate) fn quorum(&mut self) {
        let Some(leader) = self.ensemble.leader else { return };
        while self.ensemble.has_quorum()
            && self.ensemble.queue.front().is_some_and(|queued| queued.due <= self.now)
        {
            let Some(queued) = self.ensemble.queue.pop_front() else { return };
            self.commit(leader, queued);
        }
        self.flush_member(leader);
    }

    /// Makes an entry of a proposal.
    pub(crate) fn commit(&mut self, leader: usize, queued: Queued) {
        let Queued { origin, session, ids, wish, token, fenced, .. } = queued;
        let change = match &wish {
            Wish::Sync => {
                if let Some((from, id)) = origin {
                    self.say(from, Word::Synced(id));
                }
                return;
            }
            Wish::Attach { .. } => return,
            Wish::Open { timeout_millis } => {
                let timeout = u64::try_from(*timeout_millis).unwrap_or(0) * MILLI;
                let due = self.ensemble.due(self.now, timeout);
                let owner = origin.map(|(from, _)| from);
                let tracked = Tracked { timeout, due, owner, ending: false };
                self.ensemble.tracked.insert(session, tracked);
                Change::OpenSession { timeout_millis: *timeout_millis }
            }
            Wish::Close if !self.model.is_alive(session) => Change::Refused(ErrorCode::SESSION_EXPIRED),
            Wish::Close => {
                self.ensemble.tracked.remove(&session);
                if origin.is_none() {
                    self.judge_expiry(session);
                }
                Change::CloseSession
            }
            Wish::Write(_) if fenced => {
                self.census.reach(State::SessionMoved);
                Change::Refused(ErrorCode::SESSION_MOVED)
            }
            Wish::Write(body) => {
                let caller = Caller { session, ids: &ids };
                prepare(self.ensemble.members[leader].core.tree(), &self.ensemble.rules, caller, body)
            }
        };
        self.append(leader, session, change, origin, token);
    }

    fn append(
        &mut self,
        leader: usize,
        session: i64,
        change: Change,
        origin: Option<(usize, ProposalId)>,
        token: Option<Token>,
    ) {
        let base = self.ensemble.epoch << 32;
        let last = self.ensemble.log.last().map_or(0, |entry| entry.txn.zxid);
        let zxid = last.max(base) + 1;
        let txn = Txn { zxid, time: self.unix_millis(leader), session, change };
        self.census.entries += 1;
        self.mix(&[32, zxid.unsigned_abs()]);
        if let Err(what) = self.model.take(&txn) {
            self.fail(format!("the log is wrong: {what}"));
        }
        if session == 0 {
            self.note_reaped(&txn.change, zxid);
        }
        if let Some(token) = token {
            self.judge_logged(token, &txn);
        }
        if self.trace.is_on() {
            self.line(format!("log   {zxid:#x} {} {session:#x} {}", named(token), described(&txn.change)));
        }
        self.ensemble.log.push(Entry { txn, origin });
        let index = self.ensemble.log.len() - 1;
        for member in 0..self.ensemble.members.len() {
            if member == leader || self.leader_of(member) == Some(leader) {
                self.say(member, Word::Commit(index));
            }
        }
    }

    /// A leader's word to a member; what it says to itself is heard at once.
    pub(crate) fn say(&mut self, member: usize, word: Word) {
        if matches!(self.ensemble.members[member].role, Role::Leading(_)) {
            return self.hear(member, word);
        }
        let latency = self.member_latency();
        let now = self.now;
        let one = &mut self.ensemble.members[member];
        let at = one.inbox.back().map_or(0, |(at, _)| *at).max(now + latency + one.lag);
        one.inbox.push_back((at, word));
        self.agenda.at(at, Event::FromLeader(member));
    }

    /// What the leader said arrives at a member, if there is a way.
    pub(crate) fn member_hears(&mut self, member: usize) {
        let Some(leader) = self.leader_of(member) else { return };
        if self.ensemble.members[member].cut > 0 || self.ensemble.members[leader].cut > 0 {
            return;
        }
        loop {
            let inbox = &mut self.ensemble.members[member].inbox;
            if inbox.front().is_none_or(|(at, _)| *at > self.now) {
                break;
            }
            if let Some((_, word)) = inbox.pop_front() {
                self.hear(member, word);
            }
        }
        self.flush_member(member);
    }

    fn hear(&mut self, member: usize, word: Word) {
        let now = self.instant();
        let one = &mut self.ensemble.members[member];
        match word {
            Word::Commit(index) => {
                let Some(entry) = self.ensemble.log.get(index) else { return };
                let origin = entry.origin.filter(|(from, _)| *from == member).map(|(_, id)| id);
                one.applied = index + 1;
                one.core.handle_committed(&entry.txn, origin, now);
                if let Change::CloseSession = entry.txn.change {
                    let session = entry.txn.session;
                    if one.core.tree().ephemerals(session).next().is_some() {
                        self.fail(format!("ephemerals of {session:#x} outlive it at member {member}"));
                    }
                }
            }
            Word::Attached(id, granted) => one.core.handle_attached(id, granted, now),
            Word::Synced(id) => one.core.handle_synced(id, now),
        }
    }

    /// Takes in all that the log has, without a word to anybody.
    pub(crate) fn catch_up(&mut self, member: usize) {
        let now = self.instant();
        let one = &mut self.ensemble.members[member];
        for entry in self.ensemble.log.iter().skip(one.applied) {
            one.core.handle_committed(&entry.txn, None, now);
        }
        one.applied = self.ensemble.log.len();
    }

    fn attach(&mut self, from: usize, session: i64, timeout_millis: i32) -> Option<i32> {
        let timeout = u64::try_from(timeout_millis).unwrap_or(0) * MILLI;
        let due = self.ensemble.due(self.now, timeout);
        let known = self.ensemble.tracked.get_mut(&session).filter(|tracked| !tracked.ending);
        let Some(tracked) = known else {
            // A leader that has proposed a session's end says so, even if it never gets its quorum.
            self.refused.push(session);
            return None;
        };
        if tracked.owner.is_some_and(|owner| owner != from) {
            self.census.reach(State::Moved);
        }
        *tracked = Tracked { timeout, due, owner: Some(from), ending: false };
        Some(timeout_millis)
    }

    /// The leader heard of a session.
    pub(crate) fn touch(&mut self, session: i64) {
        let now = self.now;
        let Some(tracked) = self.ensemble.tracked.get(&session) else { return };
        let due = self.ensemble.due(now, tracked.timeout);
        if let Some(tracked) = self.ensemble.tracked.get_mut(&session) {
            tracked.due = tracked.due.max(due);
        }
    }

    /// Half a tick: members tell of whom they heard, and the leader ends the sessions that nobody heard of.
    pub(crate) fn tick(&mut self) {
        self.agenda.at(self.now + self.ensemble.tick / 2, Event::Tick);
        let Some(leader) = self.ensemble.leader else { return };
        self.report_touched(leader);
        let overdue = self.ensemble.tracked.iter().filter(|(_, one)| one.due <= self.now && !one.ending);
        let overdue: Vec<i64> = overdue.map(|(session, _)| *session).collect();
        for session in overdue {
            self.expire(session);
        }
        if self.now % (16 * self.ensemble.tick) == 0 {
            self.reap(leader);
        }
    }

    /// Members answer the leader's pings with the sessions that they heard of.
    pub(crate) fn report_touched(&mut self, leader: usize) {
        if self.ensemble.members[leader].cut > 0 {
            return;
        }
        for member in 0..self.ensemble.members.len() {
            if self.leader_of(member) == Some(leader) && self.ensemble.members[member].cut == 0 {
                for session in self.ensemble.members[member].core.take_touched() {
                    self.touch(session);
                }
            }
        }
    }

    /// The leader proposes the end of a session.
    pub(crate) fn expire(&mut self, session: i64) {
        let Some(tracked) = self.ensemble.tracked.get_mut(&session) else { return };
        if std::mem::replace(&mut tracked.ending, true) {
            return;
        }
        self.census.reach(State::ExpiredByLeader);
        self.enqueue(Queued { session, wish: Wish::Close, ..Queued::default() });
    }

    fn reap(&mut self, leader: usize) {
        if !self.ensemble.has_quorum() || !self.ensemble.queue.is_empty() {
            return;
        }
        let tree = self.ensemble.members[leader].core.tree();
        let due = due_for_reaping(tree, &self.ensemble.rules, self.unix_millis(leader));
        for path in due {
            let change = prepare_reaping(self.ensemble.members[leader].core.tree(), &path);
            self.append(leader, 0, change, None, None);
        }
        self.flush_member(leader);
    }

    fn member_latency(&mut self) -> Time {
        let (least, most) = self.plan.member_latency;
        self.chance.between(least, most)
    }
}

fn named(token: Option<Token>) -> String {
    token.map_or_else(|| String::from("-"), |token| format!("t{token}"))
}

fn described(change: &Change) -> String {
    match change {
        Change::Create(creation) => format!("create {} {:?}", creation.path, creation.kind),
        Change::Delete { path } => format!("delete {path}"),
        Change::SetData { path, version, .. } => format!("set {path} to version {version}"),
        Change::Multi(changes) => changes.iter().map(|one| format!("[{}]", described(one))).collect(),
        other => format!("{other:?}"),
    }
}
