//! One run: everything there is, and the loop that takes one event after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use menagerie_server::core::{Config, Core, Limits};

use crate::agenda::{Agenda, Event, SECOND, Time, Way};
use crate::census::{Census, State};
use crate::chance::Chance;
use crate::clients::Client;
use crate::ensemble::{Ensemble, Member, Role, Token, micros};
use crate::faults::Active;
use crate::ledger::Request;
use crate::model::Model;
use crate::plan::Plan;
use crate::record::Record;
use crate::trace::Trace;
use crate::wires::Wire;

/// The wall clock as the run begins.
const BEGAN_UNIX_MILLIS: i64 = 1_700_000_000_000;

/// More steps than any run takes.
pub(crate) const STEPS: u64 = 5_000_000;

/// What blocks the way from a client to a member, by how many faults.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) up: u32,
    pub(crate) down: u32,
}

/// What was found, if something was.
#[derive(Debug)]
pub struct Outcome {
    /// Figures.
    pub census: Census,
    /// What is wrong.
    pub violation: Option<String>,
    /// What happened, if lines were kept.
    pub trace: String,
}

/// Everything there is.
pub struct World {
    pub(crate) now: Time,
    pub(crate) epoch: Instant,
    pub(crate) chance: Chance,
    pub(crate) plan: Plan,
    pub(crate) agenda: Agenda,
    pub(crate) wires: Vec<Wire>,
    pub(crate) paths: Vec<Path>,
    pub(crate) clients: Vec<Client>,
    pub(crate) ensemble: Ensemble,
    pub(crate) model: Model,
    pub(crate) ledger: Vec<Request>,
    pub(crate) faults: Vec<Active>,
    pub(crate) census: Census,
    pub(crate) trace: Trace,
    pub(crate) violation: Option<String>,
    pub(crate) healed: bool,
    pub(crate) step: u64,
    pub(crate) killed: Vec<i64>,
    pub(crate) refused: Vec<i64>,
    /// Processes outside, and those of them that are to act.
    pub(crate) outside: usize,
    pub(crate) acts: Vec<usize>,
    pub(crate) record: Record,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// Runs a seed, and keeps so many lines of what happened.
#[must_use]
pub fn run(seed: u64, lines: usize) -> Outcome {
    run_as(seed, lines, |_| {})
}

/// The same by another plan than the seed draws.
#[must_use]
pub fn run_as(seed: u64, lines: usize, alter: impl FnOnce(&mut Plan)) -> Outcome {
    let mut world = World::new(seed, lines, alter);
    world.begin();
    world.play(Time::MAX);
    world.settle_down();
    world.outcome()
}

impl World {
    fn new(seed: u64, lines: usize, alter: impl FnOnce(&mut Plan)) -> Self {
        let mut chance = Chance::new(seed);
        let mut plan = Plan::draw(&mut chance);
        alter(&mut plan);
        Self::planned(chance, plan, epoch(), lines)
    }

    pub(crate) fn planned(mut chance: Chance, plan: Plan, epoch: Instant, lines: usize) -> Self {
        let members = (0..plan.members).map(|index| member(&plan, index, epoch)).collect::<Vec<_>>();
        let model = Model::new(members[0].core.tree());
        let rules = config(&plan, 0).rules;
        let ensemble = Ensemble {
            members,
            log: Vec::new(),
            epoch: 0,
            leader: None,
            queue: std::collections::VecDeque::new(),
            last_due: 0,
            tracked: std::collections::BTreeMap::new(),
            rules,
            tick: micros(plan.tick),
            electing: false,
        };
        let clients = (0..plan.clients).map(|_| Client::new(&plan, &mut chance)).collect();
        let paths = vec![Path::default(); plan.members * plan.clients];
        let census = Census { members: plan.members, clients: plan.clients, ..Census::default() };
        Self {
            now: 0,
            epoch,
            chance,
            plan,
            agenda: Agenda::default(),
            wires: Vec::new(),
            paths,
            clients,
            ensemble,
            model,
            ledger: Vec::new(),
            faults: Vec::new(),
            census,
            trace: Trace::new(lines),
            violation: None,
            healed: false,
            step: 0,
            killed: Vec::new(),
            refused: Vec::new(),
            outside: 0,
            acts: Vec::new(),
            record: Record::default(),
        }
    }

    pub(crate) fn begin(&mut self) {
        self.line(format!("plan  {:?}", self.plan));
        self.agenda.at(0, Event::Election);
        self.ensemble.electing = true;
        self.agenda.at(self.ensemble.tick / 2, Event::Tick);
        self.agenda.at(self.plan.active, Event::Heal);
        for client in 0..self.clients.len() {
            let at = self.chance.between(0, SECOND);
            self.agenda.at(at, Event::ClientActs(client));
        }
        let at = self.chance.between(SECOND, 2 * SECOND + self.plan.fault_gap);
        self.agenda.at(at, Event::Fault);
    }

    /// Takes events until that time, or until everything has healed.
    fn play(&mut self, until: Time) {
        let is_healed = self.healed;
        while self.violation.is_none() && is_healed == self.healed {
            let Some((time, event)) = self.agenda.pop() else { return };
            if time > until {
                self.now = until;
                return self.agenda.at(time, event);
            }
            self.now = self.now.max(time);
            self.step += 1;
            self.take(event);
            self.note_doubt();
            if self.step > STEPS {
                self.fail(String::from("it goes round and round"));
            }
        }
    }

    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::ClientActs(client) if self.is_outside(client) => self.acts.push(client),
            Event::ClientTimer(client) => self.client_timer(client),
            Event::ClientActs(client) => self.client_acts(client),
            Event::Resolved(client, serial, dial) => self.resolved(client, serial, dial),
            Event::Dialled(client, serial, conn) => self.dialled(client, serial, conn),
            Event::DialledOutside(wire) => self.dialled_outside(wire),
            Event::Probed(client, serial, conn, member, probe) => {
                self.probed(client, serial, conn, member, probe);
            }
            Event::Deliver(wire, way) => self.deliver(wire, way),
            Event::TakeMore(wire) => {
                self.take_more(wire);
                self.settle(self.wires[wire].client);
            }
            Event::MemberTimer(member) => self.member_timer(member),
            Event::FromLeader(member) => self.member_hears(member),
            Event::ToLeader(member) => {
                self.leader_hears(member);
                if let Some(leader) = self.ensemble.leader {
                    self.flush_member(leader);
                }
            }
            Event::Quorum => self.quorum(),
            Event::Tick => self.tick(),
            Event::GivesUp(member, cuts) => self.gives_up(member, cuts),
            Event::Election => self.election(),
            Event::Joins(member) => self.joins(member),
            Event::GoesReadOnly(member, looks) => self.goes_read_only(member, looks),
            Event::Fault => self.next_fault(),
            Event::FaultEnds(fault) => self.fault_ends(fault),
            Event::Heal => self.heal(),
        }
    }

    fn member_timer(&mut self, member: usize) {
        let now = self.instant();
        let one = &mut self.ensemble.members[member];
        if one.armed > self.now {
            return;
        }
        one.core.handle_timeout(now);
        self.flush_member(member);
    }

    /// Everything has healed: the ensemble serves again, and so do the sessions, or they are over.
    fn settle_down(&mut self) {
        if self.violation.is_some() {
            return;
        }
        let limit = self.now + 4 * self.ensemble.patience() + 20 * SECOND;
        while self.violation.is_none() && !self.all_serve() {
            if self.now > limit {
                return self.fail(String::from("the ensemble does not heal: the simulation is at fault"));
            }
            self.play(self.now + SECOND / 4);
        }
        let longest = self.clients.iter().map(|client| client.timeout).max().unwrap_or(SECOND);
        self.play(self.now + 3 * longest);
        if self.violation.is_none() {
            self.judge_healed();
        }
        if self.violation.is_none() {
            self.judge_history();
        }
    }

    pub(crate) fn all_serve(&self) -> bool {
        let epoch = self.ensemble.epoch;
        let serves =
            |one: &Member| matches!(one.role, Role::Leading(of) | Role::Following(of) if of == epoch);
        self.ensemble.has_quorum() && self.ensemble.members.iter().all(serves)
    }

    pub(crate) fn outcome(mut self) -> Outcome {
        self.census.simulated = self.now;
        self.census.steps = self.step;
        self.census.hash = self.trace.hash();
        for request in &self.ledger {
            if request.fate == Some(menagerie::session::Fate::Unknown) && request.is_write() {
                let state = match request.logged {
                    Some((_, None)) => State::UnknownApplied,
                    _ => State::UnknownNotApplied,
                };
                self.census.reach(state);
            }
        }
        let trace = self.trace.text(self.violation.as_deref());
        Outcome { census: self.census, violation: self.violation, trace }
    }

    /// A promise was broken.
    pub(crate) fn fail(&mut self, what: String) {
        self.line(format!("WRONG {what}"));
        if self.violation.is_none() {
            self.violation = Some(format!("at {:.6} s: {what}", seconds(self.now)));
        }
    }

    pub(crate) fn line(&mut self, line: String) {
        if self.trace.is_on() {
            self.trace.line(format!("{:>12.6} {line}", seconds(self.now)));
        }
    }

    pub(crate) fn mix(&mut self, values: &[u64]) {
        self.trace.mix(self.now);
        for value in values {
            self.trace.mix(*value);
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        self.epoch + Duration::from_micros(self.now)
    }

    pub(crate) fn time_of(&self, instant: Instant) -> Time {
        let since = instant.saturating_duration_since(self.epoch);
        // A timer is not early: round up.
        u64::try_from(since.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX / 4)
    }

    /// By a member's own clock.
    pub(crate) fn unix_millis(&self, member: usize) -> i64 {
        self.ensemble.members[member].clock_millis
            + BEGAN_UNIX_MILLIS
            + i64::try_from(self.now / 1_000).unwrap_or(0)
    }

    pub(crate) fn request(&self, token: Token) -> &Request {
        &self.ledger[token as usize]
    }

    /// Wakes whatever waits on the wires that this is true of.
    pub(crate) fn unblock(&mut self, concerned: impl Fn(&Wire) -> bool) {
        for wire in 0..self.wires.len() {
            let one = &self.wires[wire];
            let waits = !one.up.pieces.is_empty() || !one.down.pieces.is_empty();
            if waits && concerned(one) {
                self.agenda.at(self.now, Event::Deliver(wire, Way::Up));
                self.agenda.at(self.now, Event::Deliver(wire, Way::Down));
            }
        }
    }
}

fn seconds(time: Time) -> f64 {
    Duration::from_micros(time).as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "one moment to count from; nothing depends on which")]
fn epoch() -> Instant {
    Instant::now()
}

fn config(plan: &Plan, index: usize) -> Config {
    let mut limits = Limits::default();
    limits.tick = plan.tick;
    limits.log = 0;
    limits.connections_per_address = 0;
    let mut config = Config::default();
    config.limits = limits;
    config.rules.like = plan.like;
    config.seed = 7;
    config.server_id = u8::try_from(index + 1).unwrap_or(1);
    config
}

fn member(plan: &Plan, index: usize, epoch: Instant) -> Member {
    let mut core = Core::new(config(plan, index), epoch, BEGAN_UNIX_MILLIS).into_member();
    core.stop(epoch);
    Member {
        core,
        role: Role::Looking,
        applied: 0,
        inbox: std::collections::VecDeque::new(),
        outbox: std::collections::VecDeque::new(),
        cut: 0,
        cuts: 0,
        looks: 0,
        down: 0,
        refuses: 0,
        swallows: 0,
        lag: 0,
        wires: std::collections::BTreeMap::new(),
        armed: Time::MAX,
        clock_millis: 0,
    }
}

/// The name of a member in connect strings.
#[must_use]
pub fn host(member: usize) -> String {
    format!("m{member}")
}

/// A path that many share.
#[must_use]
pub fn shared(path: &str) -> Arc<str> {
    Arc::from(path)
}
