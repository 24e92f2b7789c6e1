//! One client after the other, each with a session of its own, that does everything there is to do.

use crate::{
    chance::Chance,
    record::Recorder,
    requests::{Flight, ask},
};
use menagerie::{
    Client,
    client::{Builder, Changed, OnExpiry, WatchEvent, Watcher},
    jute::EventType,
    session::{End, State},
};
use menagerie_history::{Answer, EventKind, Op, OpId, Outcome, Session, WatchId, Zxid};
use std::{
    collections::VecDeque,
    future::{Future, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Znodes that everybody writes and reads.
pub(crate) const REGISTERS: u64 = 24;
/// Names of ephemerals that everybody wants.
pub(crate) const EPHEMERALS: u64 = 8;
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// One-shot watches that one client keeps.
const WATCHES: usize = 10;

/// What all workers of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) recorder: Recorder,
    pub(crate) connect: String,
    pub(crate) stop: AtomicBool,
    pub(crate) disconnects: AtomicU64,
    /// Faults so far.
    pub(crate) inflicted: AtomicU64,
    /// The client that each worker has now.
    pub(crate) clients: Mutex<Vec<Option<Client>>>,
}

/// A session and what it watches.
pub(crate) struct Life {
    pub(crate) zk: Client,
    pub(crate) session: Session,
    recorder: Recorder,
    chance: Chance,
    once: VecDeque<(WatchId, Changed)>,
    lasting: Vec<(WatchId, Watcher)>,
    /// Sequential znodes of its own that are to be deleted again.
    own: VecDeque<String>,
}

/// What the future yields if it is ready.
async fn at_once<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = ready(()) => None,
    }
}

pub(crate) fn builder(connect: &str) -> Builder {
    let builder = Client::builder(connect).unwrap().session_timeout(SESSION_TIMEOUT);
    builder.on_expiry(OnExpiry::Stop).request_timeout(Duration::from_secs(20))
}

/// Works until it is told to stop, with as many sessions as it takes.
pub(crate) async fn work(shared: Arc<Shared>, number: usize, seed: u64) {
    let mut generation = 0;
    while !shared.stop.load(Relaxed) {
        let stream = u64::try_from(number).unwrap() + 1000 * generation;
        generation += 1;
        let Ok(zk) = builder(&shared.connect).connect_timeout(Duration::from_secs(5)).connect().await else {
            continue;
        };
        let mut life = Life::begin(zk.clone(), shared.recorder.clone(), Chance::new(seed, stream));
        shared.clients.lock().unwrap()[number] = Some(zk.clone());
        life.watch_lastingly(number).await;
        while !shared.stop.load(Relaxed) && life.lives() {
            life.round().await;
            // Enough is enough: the servers have the same processors.
            tokio::time::sleep(Duration::from_millis(life.chance.below(80))).await;
        }
        shared.clients.lock().unwrap()[number] = None;
        shared.disconnects.fetch_add(zk.status().disconnects, Relaxed);
        life.end().await;
    }
}

impl Life {
    pub(crate) fn begin(zk: Client, recorder: Recorder, chance: Chance) -> Self {
        let session = zk.status().session_id.unwrap();
        let (once, lasting, own) = (VecDeque::new(), Vec::new(), VecDeque::new());
        Life { zk, session, recorder, chance, once, lasting, own }
    }

    fn lives(&self) -> bool {
        !matches!(self.zk.state(), State::Ended(_))
    }

    /// Closes, or notes how it ended.
    pub(crate) async fn end(mut self) {
        if self.lives() {
            let op = self.recorder.invoked(self.session, Op::Close);
            let closed = self.zk.close().await;
            self.hear().await;
            let confirmed = closed.is_ok() && self.zk.state() == State::Ended(End::Closed);
            self.recorder
                .completed(op, if confirmed { Outcome::done(Answer::Done) } else { Outcome::Unknown });
            if !confirmed {
                self.recorder.ended(self.session, false);
            }
            return;
        }
        self.hear().await;
        self.recorder.ended(self.session, false);
    }

    pub(crate) async fn watch_lastingly(&mut self, number: usize) {
        let (path, recursive) = match number % 4 {
            0 => ("/r", true),
            1 => ("/r/1", false),
            2 => ("/e", true),
            _ => return,
        };
        let watch = self.recorder.watch();
        let what = Op::Watch { path: path.to_owned(), recursive, watch };
        let op = self.recorder.invoked(self.session, what);
        let call = self.zk.watch(path);
        let set = if recursive { call.recursive().await } else { call.await };
        self.hear().await;
        match set {
            Ok(watcher) => {
                self.recorder.completed(op, Outcome::done(Answer::Done));
                self.lasting.push((watch, watcher));
            }
            Err(_) => self.recorder.completed(op, Outcome::Unknown),
        }
    }

    /// A pipeline, or one request that is awaited.
    async fn round(&mut self) {
        if self.chance.one_in(3) {
            let what = self.wish();
            self.does(what).await;
            return;
        }
        let wishes: Vec<_> = (0..self.chance.between(2, 24)).map(|_| self.wish()).collect();
        let mut flights = Vec::new();
        for what in wishes {
            let (zk, recorder) = (&self.zk, &self.recorder);
            let (op, flight) = recorder.sent(self.session, what.clone(), || ask(zk, &what, true));
            flights.push((op, what, flight));
        }
        for (op, what, flight) in flights {
            self.finish(op, what, flight).await;
        }
    }

    /// Asks, awaits and notes one operation.
    pub(crate) async fn does(&mut self, what: Op) -> Outcome {
        let op = self.recorder.invoked(self.session, what.clone());
        let flight = ask(&self.zk, &what, false);
        self.finish(op, what, flight).await
    }

    pub(crate) async fn finish(&mut self, op: OpId, what: Op, flight: Flight) -> Outcome {
        let (outcome, changed) = flight.await;
        self.hear().await;
        if let (Op::Create { mode, .. }, Outcome::Done { answer: Answer::Created(path, _), .. }) =
            (&what, &outcome)
        {
            if mode.sequential {
                self.own.push_back(path.clone());
            }
        }
        self.recorder.completed(op, outcome.clone());
        let watch = match what {
            Op::Get { watch, .. } | Op::Exists { watch, .. } | Op::Children { watch, .. } => watch,
            _ => None,
        };
        self.once.extend(watch.zip(changed));
        while self.once.len() > WATCHES {
            if let Some((watch, changed)) = self.once.pop_front() {
                self.recorder.gap(self.session, watch);
                drop(changed);
            }
        }
        outcome
    }

    /// Notes all that the watches have to tell so far.
    async fn hear(&mut self) {
        for _ in 0..self.once.len() {
            let Some((watch, mut changed)) = self.once.pop_front() else { break };
            match at_once(&mut changed).await {
                Some(event) => note(&self.recorder, self.session, watch, event),
                None => self.once.push_back((watch, changed)),
            }
        }
        for (watch, watcher) in &mut self.lasting {
            while let Some(Some(event)) = at_once(watcher.next()).await {
                note(&self.recorder, self.session, *watch, event);
            }
        }
    }

    fn wish(&mut self) -> Op {
        let chance = &mut self.chance;
        let register = format!("/r/{}", chance.below(REGISTERS));
        let ephemeral = format!("/e/{}", chance.below(EPHEMERALS));
        let version = if chance.one_in(8) { i32::try_from(chance.below(4)).unwrap() } else { -1 };
        let watched = chance.one_in(3);
        let value = self.recorder.value();
        let watch = watched.then(|| self.recorder.watch());
        match chance.below(100) {
            0..22 => Op::set(register, value, version),
            22..26 => Op::create(register, value),
            26..29 => Op::delete(register, version),
            29..35 => {
                let other = format!("/r/{}", chance.below(REGISTERS));
                let second = self.recorder.value();
                let last = if other == register {
                    Op::create(format!("/q/m{second}"), second)
                } else {
                    Op::set(other, second, -1)
                };
                Op::Multi(vec![Op::set(register, value, -1), last])
            }
            35..38 => Op::Multi(vec![Op::delete(register.as_str(), -1), Op::create(register, value)]),
            38..42 => Op::create_with(ephemeral, value, true, false),
            42..44 => Op::delete(ephemeral, -1),
            44..48 => match self.own.pop_front() {
                Some(path) if self.own.len() > 2 => Op::delete(path, -1),
                kept => {
                    self.own.extend(kept);
                    Op::create_with("/q/n-", value, chance.one_in(2), true)
                }
            },
            48..51 => Op::Sync,
            51..54 => Op::Children { path: "/q".to_owned(), watch },
            54..60 => Op::Exists { path: ephemeral, watch },
            60..66 => Op::Get { path: ephemeral, watch },
            66..74 => Op::Exists { path: register, watch },
            _ => Op::Get { path: register, watch },
        }
    }
}

fn note(recorder: &Recorder, session: Session, watch: WatchId, event: WatchEvent) {
    match event {
        WatchEvent::Event { event_type, path, zxid } => {
            let kind = match event_type {
                EventType::NODE_CREATED => EventKind::Created,
                EventType::NODE_DELETED => EventKind::Deleted,
                EventType::NODE_DATA_CHANGED => EventKind::Data,
                EventType::NODE_CHILDREN_CHANGED => EventKind::Children,
                other => panic!("an event of {other:?}"),
            };
            let zxid: Option<Zxid> = Some(zxid).filter(|zxid| *zxid > 0);
            recorder.event(session, watch, kind, path, zxid);
        }
        // With its session the watch ends too, which is told of the session.
        _ => recorder.gap(session, watch),
    }
}

/// Reads everything behind a sync, with a client of its own, and notes it.
pub(crate) async fn read_everything(shared: &Shared) {
    let zk = builder(&shared.connect).connect_timeout(crate::BUDGET).connect().await.unwrap();
    let mut life = Life::begin(zk, shared.recorder.clone(), Chance::new(0, 0));
    let mut wishes = vec![Op::Sync, Op::children("/q")];
    wishes.extend((0..REGISTERS).map(|register| Op::get(format!("/r/{register}"))));
    wishes.extend((0..EPHEMERALS).map(|ephemeral| Op::get(format!("/e/{ephemeral}"))));
    for what in wishes {
        let outcome = life.does(what).await;
        if let Outcome::Done { answer: Answer::Children(names, _), .. } = outcome {
            for name in names {
                life.does(Op::get(format!("/q/{name}"))).await;
            }
        }
    }
    life.end().await;
}

/// Creates what the workers work on.
pub(crate) async fn prepare(shared: &Shared) {
    let zk = builder(&shared.connect).connect_timeout(crate::BUDGET).connect().await.unwrap();
    let mut life = Life::begin(zk, shared.recorder.clone(), Chance::new(0, 1));
    let parents = ["/r", "/e", "/q"].map(str::to_owned).into_iter();
    for path in parents.chain((0..REGISTERS).map(|register| format!("/r/{register}"))) {
        life.does(Op::create(path, 0)).await;
    }
    life.end().await;
}
