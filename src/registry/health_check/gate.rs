//! What is wished of an instance, given what its checks say; and the tasks that ask them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use super::probe::{Probe, shorten};
use super::rise_fall::{RiseFall, Turn};
use super::{CheckFailure, CheckReport, HealthCheck};
use crate::registry::address::Address;
use crate::registry::limits::CHECK_INTERVAL;
use crate::registry::model::{Instance, InstanceBuilder, Status};
use crate::registry::registered::{Control, Registered, RegistrationState};
use crate::registry::{BoxFuture, Error};

/// A registration with checks, about to be made.
pub(in crate::registry) struct Gating {
    runtime: Handle,
    checks: Vec<HealthCheck>,
    wished: (Status, Option<String>),
}

impl Gating {
    /// What to register at first, and what comes of it.
    pub(in crate::registry) fn new(
        instance: InstanceBuilder,
        checks: Vec<HealthCheck>,
    ) -> Result<(InstanceBuilder, Self), Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let (status, reason) = instance.wished_status();
        let gating = Self { runtime, checks, wished: (status, reason) };
        let wanting: Vec<_> = gating
            .checks
            .iter()
            .filter(|check| !check.counts.up_at_first)
            .map(|check| (check.label(), None))
            .collect();
        if status != Status::Up || wanting.is_empty() || planted!("health_gate_open") {
            return Ok((instance, gating));
        }
        Ok((instance.status(Status::OutOfService, reason_of(&wanting)), gating))
    }

    /// The same registration, with its checks behind it.
    pub(in crate::registry) fn around(self, registered: Registered) -> Registered {
        let Self { runtime, checks, wished: (status, status_reason) } = self;
        let mut wished = Instance::clone(&registered.instance());
        (wished.status, wished.status_reason) = (status, status_reason);
        let wished = Arc::new(wished);
        let checked = checks.iter().map(|check| Checked {
            name: check.label(),
            counted: RiseFall::new(check.counts, crate::client::seed()),
            fell: None,
        });
        let gate = Gate { wished: Arc::clone(&wished), checked: checked.collect(), is_over: false, moves: 0 };
        registered.behind(wished, |inner| {
            let shared = Arc::new(Shared { inner, gate: Mutex::new(gate) });
            let ask = |(at, check): (usize, HealthCheck)| {
                let asker =
                    Asker { shared: Arc::clone(&shared), at, probe: check.probe, timeout: check.timeout };
                runtime.spawn(asker.run()).abort_handle()
            };
            let tasks = checks.into_iter().enumerate().map(ask).collect();
            Box::new(Gated { shared, tasks })
        })
    }
}

/// What is known of one check.
#[derive(Debug)]
struct Checked {
    name: Arc<str>,
    counted: RiseFall,
    /// Why it fell, if it did and has not risen since.
    fell: Option<CheckFailure>,
}

/// What is wished, and what the checks say. Pure.
#[derive(Debug)]
struct Gate {
    wished: Arc<Instance>,
    checked: Vec<Checked>,
    /// Nothing is wished any more.
    is_over: bool,
    /// Moves with everything that the outcome depends on.
    moves: u64,
}

impl Gate {
    /// The instance as it is to be registered: out of service if it would be up and a check is not.
    fn outcome(&self) -> Arc<Instance> {
        let down = self.checked.iter().filter(|check| !check.counted.is_up());
        let down: Vec<_> = down.map(|check| (Arc::clone(&check.name), check.fell.clone())).collect();
        if self.wished.status != Status::Up || down.is_empty() || planted!("health_gate_open") {
            return Arc::clone(&self.wished);
        }
        let mut instance = Instance::clone(&self.wished);
        instance.status = Status::OutOfService;
        instance.status_reason = Some(reason_of(&down));
        Arc::new(instance)
    }

    fn on_answer(&mut self, at: usize, answer: Result<(), CheckFailure>) -> Option<Turn> {
        let check = self.checked.get_mut(at)?;
        let turn = check.counted.on_answer(answer)?;
        check.fell = check.counted.failure.clone();
        self.moves += 1;
        Some(turn)
    }
}

/// Which checks are down, and why; those without a failure have not passed yet.
fn reason_of(down: &[(Arc<str>, Option<CheckFailure>)]) -> String {
    let each = |(name, failure): &(Arc<str>, Option<CheckFailure>)| match failure {
        Some(failure) => format!("{name}: {failure}"),
        None => format!("{name}: has not passed yet"),
    };
    shorten(&format!("health check {}", down.iter().map(each).collect::<Vec<_>>().join("; ")))
}

/// What the handle and the tasks share.
struct Shared {
    inner: Registered,
    gate: Mutex<Gate>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wishes what is to be wished now, and yields the wish's number. It is done outside the lock, since others are woken by it;
    /// who comes late with an older outcome looks again.
    fn apply(&self) -> Result<u64, Error> {
        loop {
            let (moves, outcome) = {
                let gate = self.lock();
                (gate.moves, (!gate.is_over).then(|| gate.outcome()))
            };
            let control = self.inner.control();
            let number = match outcome {
                Some(instance) => control.update(&[instance])?,
                None => control.withdraw(),
            };
            if self.lock().moves == moves || planted!("health_late_wish") {
                return Ok(number);
            }
        }
    }

    fn own_address(&self) -> Address {
        self.lock().wished.address.clone()
    }

    /// Takes an answer in, and says how long after the asking the next one is due.
    fn answered(&self, at: usize, answer: Result<(), CheckFailure>) -> Duration {
        let (turn, pause, name) = {
            let mut gate = self.lock();
            let turn = gate.on_answer(at, answer.clone());
            let Some(check) = gate.checked.get_mut(at) else { return CHECK_INTERVAL };
            (turn, check.counted.pause(), Arc::clone(&check.name))
        };
        if let Some(turn) = turn {
            self.turned(turn, &name, answer.err().as_ref());
        }
        pause
    }

    fn turned(&self, turn: Turn, check: &str, failure: Option<&CheckFailure>) {
        let instance = self.inner.instance();
        let (service, id) = (&instance.service, &instance.id);
        match (turn, failure) {
            (Turn::Fell, Some(failure)) => {
                warn!(target: "menagerie::health", %service, %id, check, %failure, "a health check fell");
            }
            _ => info!(target: "menagerie::health", %service, %id, check, "a health check rose"),
        }
        let applied = self.apply();
        if let Some(error) = applied.err().filter(|_| !self.lock().is_over) {
            warn!(target: "menagerie::health", %service, %id, %error, "what a health check says cannot be registered");
        }
    }
}

/// The handle's side.
struct Gated {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

impl Control for Gated {
    fn update(&self, changed: &[Arc<Instance>]) -> Result<u64, Error> {
        // Checks gate a registration of one instance.
        let Some(instance) = changed.first() else { return self.shared.apply() };
        let before = {
            let mut gate = self.shared.lock();
            gate.moves += 1;
            std::mem::replace(&mut gate.wished, Arc::clone(instance))
        };
        self.shared.apply().inspect_err(|_| {
            let mut gate = self.shared.lock();
            gate.moves += 1;
            gate.wished = before;
        })
    }

    fn withdraw(&self) -> u64 {
        self.tasks.iter().for_each(AbortHandle::abort);
        let mut gate = self.shared.lock();
        gate.is_over = true;
        gate.moves += 1;
        drop(gate);
        // Withdrawing does not fail.
        self.shared.apply().unwrap_or_default()
    }

    fn drain_grace(&self) -> Duration {
        self.shared.inner.control().drain_grace()
    }

    fn checks(&self) -> Vec<CheckReport> {
        let report = |check: &Checked| CheckReport {
            name: Arc::clone(&check.name),
            is_up: check.counted.is_up(),
            runs: check.counted.runs,
            failures: check.counted.failures,
            turns: check.counted.turns,
            failure: check.counted.failure.clone(),
        };
        self.shared.lock().checked.iter().map(report).collect()
    }
}

/// Asks one check until it is aborted.
struct Asker {
    shared: Arc<Shared>,
    at: usize,
    probe: Arc<Probe>,
    timeout: Duration,
}

impl Asker {
    fn run(self) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut under_way = JoinSet::new();
            while !matches!(self.shared.inner.state(), RegistrationState::Ended(_)) {
                let began = Instant::now();
                let answer = self.ask(&mut under_way).await;
                let pause = self.shared.answered(self.at, answer);
                tokio::time::sleep_until(began + pause).await;
            }
        })
    }

    /// Asks in a task of its own, so that a panic ends only that. One that blocks cannot be ended: until it has come back
    /// nothing is asked, which is a failure each time.
    async fn ask(&self, under_way: &mut JoinSet<Result<(), CheckFailure>>) -> Result<(), CheckFailure> {
        while under_way.try_join_next().is_some() {}
        if !under_way.is_empty() {
            return Err(CheckFailure::TimedOut(self.timeout));
        }
        let (probe, own) = (Arc::clone(&self.probe), self.shared.own_address());
        under_way.spawn(async move { probe.ask(&own).await });
        match tokio::time::timeout(self.timeout, under_way.join_next()).await {
            Ok(Some(Ok(answer))) => answer,
            Ok(_) => Err(CheckFailure::Panicked),
            Err(_) => {
                under_way.abort_all();
                Err(CheckFailure::TimedOut(self.timeout))
            }
        }
    }
}
