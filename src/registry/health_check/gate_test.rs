//! Checks and the wish behind them, under a paused clock, on a registry in memory.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::registry::limits::CHECK_TURNING;
use crate::registry::registered::{Control, RegistrationStatus};
use crate::registry::{Discovery, Error, Instance, Memory, Registered, Registration, Services, Status};

/// Whether a check is to pass.
#[derive(Clone)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn new(passes: bool) -> Self {
        Self(Arc::new(AtomicBool::new(passes)))
    }

    fn set(&self, passes: bool) {
        self.0.store(passes, Ordering::SeqCst);
    }

    fn check(&self, name: &str) -> HealthCheck {
        let passes = Arc::clone(&self.0);
        HealthCheck::custom(name.to_owned(), move || {
            let passes = passes.load(Ordering::SeqCst);
            async move { if passes { Ok(()) } else { Err("no disk\nleft") } }
        })
    }
}

async fn registered(checks: Vec<HealthCheck>) -> (Registered, Services) {
    let registry = Memory::new();
    let services = registry.discover("time").await.unwrap();
    let instance = Instance::builder("time").id("a").host("10.0.0.1").port(1);
    (registry.register_checked(instance, checks).await.unwrap(), services)
}

fn shown(services: &Services) -> (Status, Option<String>) {
    let set = services.snapshot();
    let instance = set.iter().next().expect("it is registered");
    (instance.status, instance.status_reason.clone())
}

async fn until(services: &Services, wanted: Status) {
    let mut changes = services.changes();
    let seen = async {
        while shown(services).0 != wanted {
            changes.next().await.expect("the view goes on");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("in time");
}

#[tokio::test(start_paused = true)]
async fn it_is_up_only_while_all_checks_pass_and_says_which_does_not() {
    let (disk, queue) = (Switch::new(true), Switch::new(false));
    let (registered, services) = registered(vec![disk.check("disk"), queue.check("queue")]).await;
    let (status, reason) = shown(&services);
    assert_eq!(status, Status::OutOfService, "nothing was asked yet");
    assert_eq!(reason.unwrap(), "health check disk: has not passed yet; queue: has not passed yet");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(shown(&services).1.unwrap(), "health check queue: has not passed yet");
    queue.set(true);
    until(&services, Status::Up).await;
    assert_eq!(shown(&services), (Status::Up, None));
    disk.set(false);
    until(&services, Status::OutOfService).await;
    assert_eq!(shown(&services).1.unwrap(), "health check disk: no disk left");
    let reports = registered.checks();
    let states: Vec<_> = reports.iter().map(|check| (&*check.name, check.is_up)).collect();
    assert_eq!(states, [("disk", false), ("queue", true)]);
    assert_eq!((reports[0].turns, reports[1].turns, reports[0].failures), (2, 1, 3));
    assert_eq!(reports[0].failure, Some(CheckFailure::Said("no disk left".into())));
    disk.set(true);
    until(&services, Status::Up).await;
    assert_eq!(registered.instance().status, Status::Up, "what is wished has not changed");
}

#[tokio::test(start_paused = true)]
async fn it_falls_and_rises_within_the_time_that_the_limits_say() {
    let disk = Switch::new(true);
    let check = disk.check("disk").every(Duration::from_secs(10)).jitter_percent(0);
    let began = Instant::now();
    let (_registered, services) = registered(vec![check]).await;
    until(&services, Status::Up).await;
    assert!(began.elapsed() <= CHECK_TURNING + Duration::from_millis(10), "{:?}", began.elapsed());
    disk.set(false);
    let broke = Instant::now();
    until(&services, Status::OutOfService).await;
    let took = broke.elapsed();
    assert!(took > 2 * CHECK_TURNING && took <= Duration::from_secs(10) + 2 * CHECK_TURNING, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_owner_wishes_goes_before_what_the_checks_say() {
    let disk = Switch::new(true);
    let (registered, services) = registered(vec![disk.check("disk").up_at_first()]).await;
    assert_eq!(shown(&services), (Status::Up, None), "up before it was asked");
    let mut draining = Instance::clone(&registered.instance());
    (draining.status, draining.status_reason) = (Status::Draining, Some(String::from("a release")));
    registered.update(draining).unwrap();
    disk.set(false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(shown(&services), (Status::Draining, Some(String::from("a release"))));
    let mut up = Instance::clone(&registered.instance());
    (up.status, up.status_reason, up.version) = (Status::Up, None, String::from("2"));
    registered.update(up).unwrap();
    assert_eq!(shown(&services).0, Status::OutOfService, "a check is down");
    assert_eq!(services.snapshot().iter().next().unwrap().version, "2");
    let mut moved = Instance::clone(&registered.instance());
    moved.id = String::from("b");
    assert!(registered.update(moved).is_err());
    disk.set(true);
    until(&services, Status::Up).await;
    assert_eq!(services.snapshot().iter().next().unwrap().id, "a");
}

#[tokio::test(start_paused = true)]
async fn no_check_brings_back_what_was_withdrawn() {
    let disk = Switch::new(false);
    let (registered, services) = registered(vec![disk.check("disk")]).await;
    registered.deregister().await.unwrap();
    assert!(services.snapshot().is_empty());
    disk.set(true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(services.snapshot().is_empty());
}

/// A registry under which the owner wishes something else at the very moment at which a check has risen.
struct Meanwhile {
    outer: Arc<Mutex<Option<Registered>>>,
    wished: Arc<Mutex<Vec<(String, Status)>>>,
}

impl Control for Meanwhile {
    fn update(&self, changed: &[Arc<Instance>]) -> Result<u64, Error> {
        let instance = &changed[0];
        let outer = self.outer.lock().unwrap().take();
        if let Some(outer) = outer.filter(|_| instance.version.is_empty()) {
            outer.update(Instance { version: String::from("2"), ..Instance::clone(&outer.instance()) })?;
            *self.outer.lock().unwrap() = Some(outer);
        }
        self.wished.lock().unwrap().push((instance.version.clone(), instance.status));
        Ok(0)
    }

    fn withdraw(&self) -> u64 {
        0
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_late_with_an_older_wish_looks_again() {
    let (outer, wished) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
    let inner = Meanwhile { outer: Arc::clone(&outer), wished: Arc::clone(&wished) };
    let wish = Instance::builder("time").id("a").host("10.0.0.1").port(1);
    let (_, gating) = Gating::new(wish, vec![Switch::new(true).check("disk")]).unwrap();
    let instance = Arc::new(Instance::new("time", "a", "10.0.0.1:1".parse().unwrap()));
    let (_status, receiver) = watch::channel(RegistrationStatus::PENDING);
    *outer.lock().unwrap() =
        Some(gating.around(Registered::new(Box::new(inner), instance, Vec::new(), receiver)));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let wished = wished.lock().unwrap().clone();
    assert!(wished.contains(&(String::new(), Status::Up)), "the older one came: {wished:?}");
    assert_eq!(wished.last(), Some(&(String::from("2"), Status::Up)), "{wished:?}");
}

#[tokio::test(start_paused = true)]
async fn checks_that_panic_or_hang_are_down_and_harm_nobody_else() {
    let (bad, good) = (Arc::new(AtomicU32::new(0)), Switch::new(true));
    let asked = Arc::clone(&bad);
    let bad = HealthCheck::custom("bad", move || {
        let turn = asked.fetch_add(1, Ordering::SeqCst);
        async move {
            match turn {
                0..4 => panic!("on purpose"),
                4..8 => std::future::pending().await,
                _ => Ok::<(), &str>(()),
            }
        }
    });
    let (registered, services) = registered(vec![bad.up_at_first(), good.check("good").up_at_first()]).await;
    until(&services, Status::OutOfService).await;
    assert_eq!(shown(&services).1.unwrap(), "health check bad: the check panicked");
    let hung = Some(CheckFailure::TimedOut(CHECK_TIMEOUT));
    let seen = async {
        while registered.checks()[0].failure != hung {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("a check that hangs times out");
    until(&services, Status::Up).await;
    assert_eq!(registered.checks()[1].turns, 0);
}

#[tokio::test(start_paused = true)]
async fn reasons_stay_short_and_names_hold_no_query() {
    let loud = HealthCheck::custom("loud", || async { Err::<(), _>("ü".repeat(10_000)) }).up_at_first();
    let (_registered, services) = registered(vec![loud]).await;
    until(&services, Status::OutOfService).await;
    let reason = shown(&services).1.unwrap();
    assert!(reason.len() <= 256 && reason.starts_with("health check loud: ü"), "{reason}");
    let secret = HealthCheck::http("http://h/health?token=hunter2").unwrap();
    assert_eq!(&*secret.label(), "http h:80/health");
    assert_eq!(&*HealthCheck::http("/health").unwrap().label(), "http /health");
    assert_eq!(&*HealthCheck::tcp().label(), "tcp");
    assert_eq!(&*HealthCheck::tcp().named("port").label(), "port");
    assert!(!format!("{secret:?}").contains("hunter2"));
}

#[tokio::test]
async fn intervals_and_counts_have_their_least() {
    let check = HealthCheck::tcp().every(Duration::ZERO).rise(0).fall(0).jitter_percent(1000);
    let counts = check.counts;
    assert_eq!((counts.interval, counts.rise, counts.fall), (CHECK_INTERVAL_LEAST, 1, 1));
    assert_eq!(counts.jitter_percent, 50);
}
