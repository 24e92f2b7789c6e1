//! Everything at once, and then the history.

use crate::{
    BUDGET,
    chance::Chance,
    faults::Faults,
    long,
    record::Recorder,
    run, seed,
    worker::{Shared, prepare, read_everything, work},
};
use menagerie_ensemble::{
    Ensemble, Version, eventually,
    proxy::{Direction, Proxy},
};
use menagerie_history::{Figures, Report};
use serde_json::json;
use std::{
    collections::BTreeMap,
    env, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

const WORKERS: usize = 8;

/// How a run is to be.
#[derive(Debug, Clone, Copy)]
struct Plan {
    time: Duration,
    /// Between two faults, in milliseconds, at most.
    pause: u64,
    least_faults: u64,
    least_operations_per_second: u64,
}

fn plan() -> Plan {
    if long() {
        let time = Duration::from_secs(600);
        return Plan { time, pause: 3000, least_faults: 100, least_operations_per_second: 500 };
    }
    let time = Duration::from_secs(20);
    Plan { time, pause: 500, least_faults: 16, least_operations_per_second: 50 }
}

async fn chaos(version: Version) {
    let (plan, seed) = (plan(), seed());
    let ensemble = Arc::new(Ensemble::builder(version).nodes(3).networked().start().unwrap());
    let proxies: Vec<_> =
        ensemble.nodes().iter().map(|node| Proxy::start(node.client_addr()).unwrap()).collect();
    let connect: Vec<_> = proxies.iter().map(Proxy::connect_string).collect();
    let shared = Arc::new(Shared {
        recorder: Recorder::new(),
        connect: connect.join(","),
        stop: AtomicBool::new(false),
        disconnects: AtomicU64::new(0),
        inflicted: AtomicU64::new(0),
        clients: Mutex::new(vec![None; WORKERS]),
    });
    prepare(&shared).await;
    let (proxies, since) = (Arc::new(proxies), Instant::now());
    let faults = tokio::task::spawn_blocking({
        let (ensemble, proxies, shared) = (ensemble.clone(), proxies.clone(), shared.clone());
        let (chance, counts, pause) = (Chance::new(seed, 9_999), BTreeMap::new(), plan.pause);
        move || {
            let (ensemble, proxies, shared) = (&*ensemble, &proxies[..], &*shared);
            Faults { ensemble, proxies, shared, chance, counts, pause }.run()
        }
    });
    let workers: Vec<_> =
        (0..WORKERS).map(|number| tokio::spawn(work(shared.clone(), number, seed))).collect();
    tokio::time::sleep(plan.time).await;
    // On a slow machine they take longer.
    let late = Instant::now() + BUDGET;
    while shared.inflicted.load(Relaxed) < plan.least_faults && Instant::now() < late {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shared.stop.store(true, Relaxed);
    let faults = faults.await.unwrap();
    proxies.iter().for_each(mend);
    ensemble.network().heal().unwrap();
    ensemble.heal(BUDGET).unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    let took = since.elapsed();
    confirm_ends(&ensemble, &shared);
    read_everything(&shared).await;
    let history = std::mem::take(&mut shared.recorder.book().history);
    let (lines, checking) = (history.len(), Instant::now());
    let report = history.check();
    let checked = checking.elapsed();
    tell(&ensemble, &shared, &report, &faults, took, checked, lines, version);
    assert!(report.is_sound(), "seed {seed}:\n{report}");
    demand(&plan, &report.figures, &faults, took);
}

/// Ends what a fault left half done: cuts that are to come and bytes that are to be corrupted.
fn mend(proxy: &Proxy) {
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.resume(direction);
        proxy.heal(direction);
    }
}

/// Waits until the sessions that are over as far as their clients know are over at the server too.
fn confirm_ends(ensemble: &Ensemble, shared: &Shared) {
    let open: Vec<_> = shared.recorder.book().open_ends.keys().copied().collect();
    eventually("end of the sessions that their clients gave up", BUDGET, || {
        let leader = ensemble.leader(BUDGET).map_err(|why| why.to_string())?;
        let dump = leader.dump().map_err(|why| why.to_string())?;
        let alive = open.iter().filter(|session| dump.sessions.contains(session)).count();
        if alive == 0 { Ok(()) } else { Err(format!("{alive} live")) }
    })
    .unwrap();
    open.into_iter().for_each(|session| shared.recorder.ended(session, true));
}

#[expect(clippy::too_many_arguments, reason = "one line of figures has many")]
fn tell(
    ensemble: &Ensemble,
    shared: &Shared,
    report: &Report,
    faults: &BTreeMap<&'static str, u64>,
    took: Duration,
    checked: Duration,
    lines: usize,
    version: Version,
) {
    let figures = report.figures;
    let operations = figures.answered + figures.unknown + figures.not_sent;
    let line = json!({
        "version": version.number(), "seed": seed(), "seconds": took.as_secs(),
        "operations": operations,
        "per_second": per_second(&figures, took),
        "writes": figures.writes, "reads": figures.reads, "unknown": figures.unknown,
        "unknown_seen_done": figures.unknown_seen, "not_sent": figures.not_sent,
        "events": figures.events, "sessions": figures.sessions,
        "disconnects": shared.disconnects.load(Relaxed),
        "syncs_held": figures.syncs, "syncs_excused": figures.syncs_excused,
        "faults": faults.values().sum::<u64>(), "by_kind": faults,
        "lines": lines, "check_ms": u64::try_from(checked.as_millis()).unwrap(),
        "undecided": figures.undecided, "violations": report.violations.len(),
    });
    println!("chaos: {line}");
    let target = ensemble.directory().ancestors().nth(2).unwrap().join("figures");
    fs::create_dir_all(&target).unwrap();
    fs::write(target.join(format!("chaos-{}.json", version.number())), format!("{line}\n")).unwrap();
}

fn per_second(figures: &Figures, took: Duration) -> u64 {
    u64::try_from(figures.answered).unwrap() / took.as_secs().max(1)
}

fn demand(plan: &Plan, figures: &Figures, faults: &BTreeMap<&'static str, u64>, took: Duration) {
    assert!(figures.unknown > 0 && figures.events > 0 && figures.syncs > 0, "{figures:?}");
    assert_eq!(figures.undecided, 0);
    assert!(faults.values().sum::<u64>() >= plan.least_faults, "{faults:?}");
    assert!(per_second(figures, took) >= plan.least_operations_per_second, "{figures:?} in {took:?}");
}

/// One version each time, both in a long run; `MENAGERIE_CHAOS=3.8` picks one.
#[test]
fn a_history_under_fire_is_one_that_zookeeper_allows() {
    let wanted =
        env::var("MENAGERIE_CHAOS").unwrap_or_else(|_| String::from(if long() { "3." } else { "3.9" }));
    let versions: Vec<_> =
        Version::ALL.into_iter().filter(|version| version.number().starts_with(&wanted)).collect();
    assert!(!versions.is_empty(), "no such version: {wanted}");
    versions.into_iter().for_each(|version| run(chaos(version)));
}
