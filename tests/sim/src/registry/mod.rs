//! Registrations and views above the sessions, whole: the library's client and registry run as they are, on a runtime whose clock
//! stands still unless everybody waits, and their bytes go through the world's wires, with the world's faults.
//!
//! A seed is a run here too: one thread, one order, seeds from the seed. What is due falls on whole milliseconds, as the runtime's
//! timers do. A process that dies is cut off for good; what is left of it in memory is heard by nobody.
//!
//! - `ends` are the streams, `carry` is the world's side of them; `processes` is what is done, `verdict` what must hold of registrations,
//!   `shown` of views;
//! - [`rare`] counts what is seldom and must be reached.

mod carry;
pub(crate) mod ends;
mod processes;
pub mod rare;
mod shown;
mod verdict;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use self::carry::some_connection;
use self::ends::Desk;
use self::processes::Processes;
use self::rare::{Figures, Rare};
use crate::agenda::{SECOND, Time};
use crate::chance::Chance;
use crate::plan::{Fault, Plan};
use crate::world::{Outcome, STEPS, World};

/// How long behind the last fault everything is as wished, at most: the window of takeovers, the longest pause, and what it takes
/// sessions of the dead to expire and the living to connect.
const CONVERGES: Time = 60 * SECOND + 30 * SECOND + 60 * SECOND;

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    /// As of any run.
    pub outcome: Outcome,
    /// What the registry went through.
    pub figures: Figures,
}

/// The world with its processes.
struct Play {
    world: World,
    processes: Processes,
    desk: Desk,
    conn: menagerie::session::ConnId,
    figures: Figures,
}

/// Runs a seed, and keeps so many lines of what happened.
///
/// # Panics
/// If there is no runtime to be had.
#[must_use]
pub fn run(seed: u64, lines: usize) -> Run {
    menagerie::client::fix_seeds(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    #[expect(clippy::expect_used, reason = "without a runtime there is nothing to simulate")]
    let runtime = runtime.expect("a runtime");
    runtime.block_on(played(seed, lines))
}

async fn played(seed: u64, lines: usize) -> Run {
    let epoch = tokio::time::Instant::now().into_std();
    let mut chance = Chance::new(seed ^ 0x7265_6769_7374_7279);
    let mut plan = Plan::draw(&mut chance);
    // A process that stands still, and nonsense on the wire, are for sessions alone; names are not looked up here.
    plan.faults.retain(|(_, fault)| !matches!(fault, Fault::Pause | Fault::Garbage | Fault::NamesMove));
    plan.clients = plan.clients.min(5);
    plan.lateness = 0;
    let mut world = World::planned(chance, plan, epoch, lines);
    world.outside = world.clients.len();
    world.begin();
    let desk = Desk::default();
    #[expect(clippy::expect_used, reason = "a session without a connection dials")]
    let conn = some_connection(epoch).expect("a session dials");
    let processes = Processes::new(&mut world, &desk);
    let mut play = Play { world, processes, desk, conn, figures: Figures::default() };
    play.until(|play| play.world.healed).await;
    play.converge().await;
    let Play { world, figures, .. } = play;
    Run { outcome: world.outcome(), figures }
}

impl Play {
    fn time(&self) -> Time {
        self.world.time_of(tokio::time::Instant::now().into_std())
    }

    /// Takes events and what the processes do until that holds, or something is wrong.
    async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        while self.world.violation.is_none() && !holds(self) {
            self.world.now = self.time();
            self.pass();
            if self.world.step > STEPS {
                return self.world.fail(String::from("it goes round and round"));
            }
            self.rest().await;
        }
    }

    fn pass(&mut self) {
        let now = self.world.now;
        self.world.attend(&self.desk, self.conn, &self.processes.lives());
        while self.world.agenda.next_time().is_some_and(|time| time <= now) {
            let Some((_, event)) = self.world.agenda.pop() else { break };
            self.world.step += 1;
            self.world.take(event);
        }
        for client in std::mem::take(&mut self.world.acts) {
            self.processes.act(&mut self.world, &self.desk, client);
        }
        self.processes.observe(&mut self.world, &mut self.figures);
    }

    /// Lets everybody else run, up to the next event.
    async fn rest(&self) {
        let next = self.world.agenda.next_time().unwrap_or(self.world.now + SECOND);
        let next: Instant = self.world.epoch + Duration::from_micros(next.min(self.world.now + SECOND / 4));
        let mut sleep = pin!(tokio::time::sleep_until(next.into()));
        poll_fn(|cx| match self.desk.poll_noted(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => sleep.as_mut().poll(cx),
        })
        .await;
    }

    /// Everything has healed: the wishes are fulfilled in time, and stay so.
    async fn converge(&mut self) {
        let healed = self.world.now;
        let mut since = None;
        while self.world.violation.is_none() {
            let until = self.world.now + SECOND / 2;
            self.until(|play| play.world.now >= until).await;
            let missing = match self.world.all_serve() {
                true => self.processes.missing(&self.world),
                false => Some(String::from("the ensemble does not serve")),
            };
            match missing {
                None => {
                    let first = *since.get_or_insert(self.world.now);
                    if self.world.now >= first + 10 * SECOND {
                        self.figures.settled = first - healed;
                        return self.world.judge_healed();
                    }
                }
                Some(what) if since.is_some() => self.world.fail(format!("it was well, and then {what}")),
                Some(what) if self.world.now > healed + CONVERGES => {
                    self.world.fail(format!("long behind the last fault {what}"));
                }
                Some(_) => {}
            }
        }
    }
}

/// Runs a seed; a panic is a finding like any other.
///
/// # Errors
/// What is wrong.
pub fn one(seed: u64) -> Result<(crate::census::Census, Figures), String> {
    match catch_unwind(AssertUnwindSafe(|| run(seed, 0))) {
        Ok(Run { outcome: Outcome { census, violation: None, .. }, figures }) => Ok((census, figures)),
        Ok(Run { outcome: Outcome { violation: Some(what), .. }, .. }) => Err(what),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(format!(
                "panic: {}",
                text.or_else(|| panic.downcast_ref().copied()).unwrap_or("of some kind")
            ))
        }
    }
}

/// How a seed is repeated.
#[must_use]
pub fn repeat(seed: u64) -> String {
    format!("cargo run --release -p menagerie-sim -- --registry --seed {seed}")
}

impl Figures {
    fn reach(&mut self, rare: Rare) {
        *self.reached.entry(rare).or_default() += 1;
    }
}
