//! Finds out whether suspects are back: a TCP connect to each, ahead of the calls that a picker would risk.
//!
//! A persistent registration outlives its process, and nobody but those who call it finds out. [`Schedule`] decides, purely,
//! when a suspect is probed; the task runs only while there are suspects.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::debug;

use super::address::Address;
use super::balance::{PassedOver, Reason};
use super::limits::{PROBE_PATIENCE, PROBE_TICK, PROBES_AT_ONCE};
use super::model::Instance;
use super::picker::Shared;
use super::services::{Seen, now};

/// When one suspect is probed, and how long its answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Schedule {
    after: Duration,
    patience: Duration,
}

impl Schedule {
    /// Half way to the moment at which a call would be let through, and done before it: as pauses between those grow, so do
    /// these.
    fn of(now: Instant, call_at: Instant) -> Self {
        let left = call_at.saturating_duration_since(now);
        Self { after: left / 2, patience: (left / 4).clamp(PROBE_PATIENCE, PROBE_PATIENCE * 4) }
    }
}

/// The suspects of a view and those that are being probed.
#[derive(Default)]
struct Probes {
    under_way: JoinSet<(Arc<Instance>, bool)>,
    busy: BTreeSet<(String, Address)>,
}

/// Probes until no suspect is left, or nobody has the view any more.
pub(super) async fn run(shared: Weak<Shared>, seen: watch::Receiver<Seen>) {
    let mut probes = Probes::default();
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let suspects = suspects(&strong, &seen);
        if suspects.is_empty() && probes.under_way.is_empty() && strong.rests(|| suspects_of(&strong, &seen))
        {
            return;
        }
        for (instance, call_at) in suspects {
            probes.begin(instance, Schedule::of(now(), call_at));
        }
        drop(strong);
        // New suspects are looked for with every tick; there is one while there are any.
        let done = tokio::time::timeout(PROBE_TICK, probes.next()).await;
        let (Ok((instance, works)), Some(strong)) = (done, shared.upgrade()) else { continue };
        let (service, id, address) = (&instance.service, &instance.id, &instance.address);
        debug!(target: "menagerie::picks", %service, %id, %address, works, "a suspect was probed");
        if works && !planted!("registry_probes_unheard") {
            strong.report_success(&instance);
        } else {
            strong.report_failure(&instance);
        }
    }
}

fn suspects_of(shared: &Shared, seen: &watch::Receiver<Seen>) -> bool {
    !suspects(shared, seen).is_empty()
}

/// The suspects that are still in the view, and when a call would be let through to each.
fn suspects(shared: &Shared, seen: &watch::Receiver<Seen>) -> Vec<(Arc<Instance>, Instant)> {
    let set = seen.borrow().set.clone().unwrap_or_default();
    let is_there = |instance: &Arc<Instance>| set.iter().any(|one| Arc::ptr_eq(one, instance));
    let suspect = |over: PassedOver| match over.reason {
        Reason::Suspect { probe_at } => Some((over.instance, probe_at)),
        Reason::Ejected { .. } => None,
    };
    let all = shared.passed_over().into_iter().filter_map(suspect);
    all.filter(|(instance, _)| is_there(instance)).collect()
}

impl Probes {
    fn begin(&mut self, instance: Arc<Instance>, schedule: Schedule) {
        let key = (instance.id.clone(), instance.address.clone());
        if self.under_way.len() >= PROBES_AT_ONCE || !self.busy.insert(key) {
            return;
        }
        self.under_way.spawn(async move {
            tokio::time::sleep(schedule.after).await;
            let address = (instance.address.host(), instance.address.port());
            let connected = tokio::time::timeout(schedule.patience, TcpStream::connect(address)).await;
            let works = connected.is_ok_and(|connected| connected.is_ok());
            (instance, works)
        });
    }

    /// The next one that is done.
    ///
    /// Cancel safe.
    async fn next(&mut self) -> (Arc<Instance>, bool) {
        loop {
            match self.under_way.join_next().await {
                Some(Ok((instance, works))) => {
                    self.busy.remove(&(instance.id.clone(), instance.address.clone()));
                    return (instance, works);
                }
                // None panics or is aborted.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::registry::limits::{PROBE_FIRST, PROBE_MOST};
    use crate::registry::{Balance, Discovery, Fixed, Services};

    #[test]
    fn a_probe_is_over_before_a_call_would_be_risked_and_pauses_grow() {
        let now = now_for_tests();
        let mut last = Duration::ZERO;
        for pause in [PROBE_FIRST, PROBE_FIRST * 2, PROBE_MOST] {
            let schedule = Schedule::of(now, now + pause);
            assert!(schedule.after + schedule.patience < pause, "{schedule:?}");
            assert!(schedule.after > last);
            last = schedule.after;
        }
        assert_eq!(Schedule::of(now + PROBE_MOST, now).after, Duration::ZERO);
    }

    fn now_for_tests() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary zero for virtual time")]
        Instant::now()
    }

    /// A view of what listens at these addresses, persistent as go-micro's plugin registers it.
    async fn services(addresses: Vec<Address>) -> Services {
        let fixed = Fixed::new(BTreeMap::from([(String::from("time"), addresses)]));
        let services = fixed.discover("time").await.unwrap();
        services.probed_on(tokio::runtime::Handle::current()).balanced(Balance::RoundRobin)
    }

    /// Takes connections until the task is aborted, as a process does until it is killed.
    async fn listen(port: u16) -> (JoinHandle<()>, Address) {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let accept = async move { while listener.accept().await.is_ok() {} };
        (tokio::spawn(accept), address)
    }

    /// Calls whoever is picked for so long, and says how many calls to `dead` failed.
    async fn call(services: &Services, dead: &Address, span: Duration) -> usize {
        let mut failed = 0;
        let ends = tokio::time::Instant::now() + span;
        while tokio::time::Instant::now() < ends {
            let attempt = services.attempt().unwrap();
            let called = attempt.instance().address.clone();
            if TcpStream::connect((called.host(), called.port())).await.is_ok() {
                attempt.succeeded();
            } else {
                attempt.failed();
                failed += usize::from(called == *dead);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        failed
    }

    #[tokio::test]
    async fn one_that_died_gets_no_call_but_the_first_and_is_back_soon_after_it_returned() {
        let ((_lives, living), (dies, dying)) = (listen(0).await, listen(0).await);
        let services = services(vec![living, dying.clone()]).await;
        dies.abort();
        assert!(dies.await.is_err());
        let failed = call(&services, &dying, Duration::from_secs(4)).await;
        assert_eq!(failed, 1, "probes find out, and no call does");
        assert_eq!(services.passed_over().len(), 1);
        let (_back, _) = listen(dying.port()).await;
        let returned = tokio::time::Instant::now();
        while services.pick().unwrap().address != dying {
            assert!(returned.elapsed() < Duration::from_secs(3), "not back in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(services.passed_over().is_empty());
    }
}
