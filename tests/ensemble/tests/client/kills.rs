//! Servers killed and frozen under load: the session survives, and what was said of each write is true.
//!
//! Each write has a name of its own, so that the tree tells how often it was done. kazoo reads the tree.

use crate::support::{BUDGET, figures, run, within};
use menagerie::{
    Client,
    client::Error,
    session::{Fate, State},
};
use menagerie_ensemble::{Ensemble, Kazoo, Node, Version};
use serde_json::json;
use std::{
    collections::BTreeMap,
    env,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

const SESSION_TIMEOUT: Duration = Duration::from_secs(8);
/// Requests under way as a server is killed, at least.
const IN_FLIGHT: usize = 200;
/// Requests under way that the load keeps up.
const LOAD: usize = 400;
/// A deadline that passes while there is no connection.
const SHORT: Duration = Duration::from_millis(50);
const EPHEMERALS: usize = 10;

/// How a server is taken away.
#[derive(Clone, Copy, Debug)]
enum Kill {
    InUse,
    Leader,
    FreezeInUse,
    FreezeLeader,
}

const KILLS: [Kill; 4] = [Kill::InUse, Kill::Leader, Kill::FreezeInUse, Kill::FreezeLeader];

/// What the client said of the writes of one number.
#[derive(Clone, Copy, Debug)]
struct Told {
    number: u64,
    /// Creation of `/q/NUMBER-` with digits behind it.
    sequential: Fate,
    /// Creation of `/n/NUMBER`.
    create: Fate,
    /// Its data, once.
    set: Fate,
    /// Creation of what is there already.
    again: Fate,
}

impl Told {
    fn all(&self) -> [Fate; 4] {
        [self.sequential, self.create, self.set, self.again]
    }
}

fn fate<T>(result: Result<T, Error>) -> Fate {
    result.map_or_else(|error| error.fate(), |_| Fate::Applied)
}

/// The writes of one number: most in a pipeline, every fourth awaited one by one, every tenth with little time.
async fn write(zk: Client, number: u64) -> Told {
    let time = if number % 10 == 0 { SHORT } else { BUDGET / 2 };
    let data = vec![b'x'; if number % 7 == 3 { 40_000 } else { 10 }];
    let sequential = zk.create(format!("/q/{number}-")).sequential().data(data).timeout(time);
    let create = zk.create(format!("/n/{number}")).timeout(time);
    let set = zk.set(format!("/n/{number}"), number.to_string()).timeout(time);
    let again = zk.create("/n").timeout(time);
    if number % 4 == 1 {
        let (sequential, create) = (fate(sequential.await), fate(create.await));
        return Told { number, sequential, create, set: fate(set.await), again: fate(again.await) };
    }
    let (sequential, create, set, again) = (sequential.send(), create.send(), set.send(), again.send());
    let (sequential, create) = (fate(sequential.await), fate(create.await));
    Told { number, sequential, create, set: fate(set.await), again: fate(again.await) }
}

/// Numbered writes on their way.
struct Load {
    zk: Client,
    next: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    fn spawn(&self, count: u64) -> Vec<JoinHandle<Told>> {
        let first = self.next.fetch_add(count, Relaxed);
        (first..first + count).map(|number| tokio::spawn(write(self.zk.clone(), number))).collect()
    }

    /// Keeps so many requests under way until it is told to stop.
    async fn keep_up(self: Arc<Self>) -> Vec<JoinHandle<Told>> {
        let mut spawned = Vec::new();
        while !self.stop.load(Relaxed) {
            if self.zk.stats().in_flight < LOAD {
                spawned.extend(self.spawn(25));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        spawned
    }
}

/// What one kill showed.
struct Round {
    told: Vec<Told>,
    in_flight: usize,
    /// From the kill to the next write that is answered.
    gap: Duration,
    /// As much of it as the client took after the ensemble had a leader again.
    own_gap: Duration,
}

async fn kill(ensemble: &Arc<Ensemble>, load: &Arc<Load>, how: Kill) -> Round {
    let zk = &load.zk;
    let session = zk.status().session_id.unwrap();
    let node: &Node = match how {
        Kill::InUse | Kill::FreezeInUse => ensemble.node_of_session(session).unwrap(),
        Kill::Leader | Kill::FreezeLeader => ensemble.leader(BUDGET).unwrap(),
    };
    load.stop.store(false, Relaxed);
    let keeping = tokio::spawn(load.clone().keep_up());
    while zk.stats().in_flight < LOAD {
        tokio::task::yield_now().await;
    }
    let before = zk.status();
    let (since, in_flight) = (Instant::now(), zk.stats().in_flight);
    match how {
        Kill::InUse | Kill::Leader => node.kill().unwrap(),
        Kill::FreezeInUse | Kill::FreezeLeader => node.freeze().unwrap(),
    }
    load.stop.store(true, Relaxed);
    let recovered = tokio::task::spawn_blocking({
        let ensemble = ensemble.clone();
        move || ensemble.leader(BUDGET).map(|_| since.elapsed())
    });
    let mut running = keeping.await.unwrap();
    let mut status = before;
    while status.disconnects == before.disconnects {
        status = zk.status_change(&status).await;
    }
    running.extend(load.spawn(60));
    while let Err(error) = zk.set("/probe", "x").await {
        assert!(!error.is_session_lost(), "{how:?}: {error}");
    }
    let gap = since.elapsed();
    let own_gap = gap.saturating_sub(recovered.await.unwrap().unwrap());
    assert!(own_gap < 2 * SESSION_TIMEOUT, "{how:?}: {own_gap:?} although there was a leader");
    let mut told = Vec::new();
    for each in running {
        told.push(each.await.unwrap());
    }
    ensemble.heal(BUDGET).unwrap();
    let (node, numbers) = (node.id(), told.len());
    println!(
        "  {how:?} of node {node}: {in_flight} in flight, {numbers} numbers, gap {gap:?}, own {own_gap:?}"
    );
    Round { told, in_flight, gap, own_gap }
}

/// How often each write was done, as kazoo counts: names behind `/q/NUMBER-`, and the version of `/n/NUMBER`.
struct Tree {
    sequential: BTreeMap<u64, u32>,
    version: BTreeMap<u64, i64>,
    ephemerals: BTreeMap<String, (i64, i64)>,
}

fn read_back(connect: &str) -> Tree {
    let script = "
zk.sync('/')
names = zk.get_children('/n')
found = [(name, zk.get_async('/n/' + name)) for name in names]
nodes = [[int(name), got.get()[1].version, got.get()[0].decode()] for name, got in found]
ephemerals = {name: zk.get('/e/' + name)[1] for name in zk.get_children('/e')}
answer([[int(name.split('-')[0]) for name in zk.get_children('/q')], nodes,
        {name: [stat.ephemeralOwner, stat.czxid] for name, stat in ephemerals.items()}])";
    let answer = Kazoo::find().unwrap().run(connect, &json!(null), script).unwrap();
    let mut tree =
        Tree { sequential: BTreeMap::new(), version: BTreeMap::new(), ephemerals: BTreeMap::new() };
    for number in answer[0].as_array().unwrap() {
        *tree.sequential.entry(number.as_u64().unwrap()).or_default() += 1;
    }
    for node in answer[1].as_array().unwrap() {
        let (number, version) = (node[0].as_u64().unwrap(), node[1].as_i64().unwrap());
        let wanted = if version == 0 { String::new() } else { number.to_string() };
        assert_eq!(node[2].as_str().unwrap(), wanted, "the data of /n/{number} in version {version}");
        tree.version.insert(number, version);
    }
    for (name, seen) in answer[2].as_object().unwrap() {
        tree.ephemerals.insert(name.clone(), (seen[0].as_i64().unwrap(), seen[1].as_i64().unwrap()));
    }
    tree
}

/// Whether `times` fits what was said: applied is once, refused and not sent are never, unknown is at most once.
fn is_true(fate: Fate, times: i64) -> bool {
    match fate {
        Fate::Applied => times == 1,
        Fate::Refused | Fate::NotSent => times == 0,
        Fate::Unknown => times == 0 || times == 1,
    }
}

fn check(told: &[Told], tree: &Tree) {
    for each in told {
        let sequential = tree.sequential.get(&each.number).copied().unwrap_or(0);
        assert!(is_true(each.sequential, sequential.into()), "{sequential} of /q/{}: {each:?}", each.number);
        let version = tree.version.get(&each.number);
        assert!(
            is_true(each.create, version.is_some().into()),
            "/n/{} is {version:?}: {each:?}",
            each.number
        );
        let sets = version.copied().unwrap_or(0);
        assert!(is_true(each.set, sets), "/n/{} was set {sets} times: {each:?}", each.number);
        assert_ne!(each.again, Fate::Applied, "{each:?}");
    }
    let known: std::collections::BTreeSet<_> = told.iter().map(|each| each.number).collect();
    let strangers =
        tree.sequential.keys().chain(tree.version.keys()).filter(|number| !known.contains(number));
    assert_eq!(strangers.count(), 0, "a write that nobody heard of");
}

async fn survive(version: Version, rounds: usize) {
    let ensemble = Arc::new(Ensemble::three(version).unwrap());
    ensemble.leader(BUDGET).unwrap();
    let builder = Client::builder(&ensemble.connect_string()).unwrap().session_timeout(SESSION_TIMEOUT);
    let zk = builder.connect().await.unwrap();
    for path in ["/n", "/q", "/e", "/probe"] {
        zk.create(path).await.unwrap();
    }
    for number in 0..EPHEMERALS {
        zk.create(format!("/e/{number}")).ephemeral().await.unwrap();
    }
    let session = zk.status().session_id.unwrap();
    let before = read_back(&ensemble.connect_string()).ephemerals;
    let load = Arc::new(Load { zk: zk.clone(), next: AtomicU64::new(0), stop: AtomicBool::new(false) });
    let (mut told, mut in_flight) = (Vec::new(), usize::MAX);
    let (mut gap, mut own_gap) = (Duration::ZERO, Duration::ZERO);
    for how in KILLS.into_iter().cycle().take(rounds) {
        let round = within("end of a round", kill(&ensemble, &load, how)).await;
        told.extend(round.told);
        (in_flight, gap) = (in_flight.min(round.in_flight), gap.max(round.gap));
        own_gap = own_gap.max(round.own_gap);
        let status = zk.status();
        assert_eq!((status.session_id, status.epoch), (Some(session), 1), "after {how:?}");
    }
    assert_eq!(told.len() as u64, load.next.load(Relaxed), "every request completes");
    assert_eq!((zk.stats().in_flight, zk.state()), (0, State::Connected));
    let tree = read_back(&ensemble.connect_string());
    check(&told, &tree);
    assert_eq!(tree.ephemerals, before, "ephemerals stay, and are the same ones");
    assert!(before.len() == EPHEMERALS && before.values().all(|(owner, _)| *owner == session));

    let count = |fate| told.iter().flat_map(Told::all).filter(|each| *each == fate).count();
    let counts = [Fate::Applied, Fate::Refused, Fate::NotSent, Fate::Unknown].map(count);
    let [applied, refused, not_sent, unknown] = counts;
    let millis = |gap: Duration| u64::try_from(gap.as_millis()).unwrap();
    let line = json!({
        "version": version.number(), "kills": rounds, "least_in_flight": in_flight, "applied": applied,
        "refused": refused, "not_sent": not_sent, "unknown": unknown, "longest_gap_ms": millis(gap),
        "longest_own_gap_ms": millis(own_gap),
    });
    figures(&ensemble, &format!("kills-{}", version.number()), &line);
    assert!(in_flight >= IN_FLIGHT && counts.iter().all(|count| *count > 0), "{line}");
}

/// So many kills, five times as many with `MENAGERIE_LONG`: every kind of kill equally often.
fn rounds(times_of_each: usize) -> usize {
    let factor = if env::var_os("MENAGERIE_LONG").is_some() { 5 } else { 1 };
    KILLS.len() * times_of_each * factor
}

/// One test for all versions: two ensembles at once would be too much for a small machine.
#[test]
fn every_fate_is_true_when_servers_die() {
    for (version, times_of_each) in [(Version::V3_8, 2), (Version::V3_9, 3)] {
        run(survive(version, rounds(times_of_each)));
    }
}
