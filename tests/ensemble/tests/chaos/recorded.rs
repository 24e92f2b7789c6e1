//! A few things done to one client on purpose, recorded and checked: what the mixed run meets by chance happens here for
//! certain.

use crate::{
    BUDGET,
    chance::Chance,
    record::Recorder,
    requests::ask,
    run,
    worker::{Life, builder},
};
use menagerie::jute::OpCode;
use menagerie_ensemble::{
    Ensemble, Version,
    proxy::{Direction, Proxy},
};
use menagerie_history::{Answer, Op, Outcome};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const ROUNDS: usize = 6;

async fn life(connect: &str, recorder: &Recorder) -> Life {
    let zk = builder(connect).connect().await.unwrap();
    Life::begin(zk, recorder.clone(), Chance::new(0, 0))
}

/// Waits until so many requests of this kind came through.
async fn passed(proxy: &Proxy, op: OpCode, frames: u64) {
    let deadline = Instant::now() + BUDGET;
    while proxy.counts().frames(op.0) < frames {
        assert!(Instant::now() < deadline, "{:?}", proxy.counts());
        sleep(Duration::from_millis(2)).await;
    }
}

/// Reads until this write is there.
async fn seen(reader: &mut Life, path: &str, value: u64) {
    let deadline = Instant::now() + BUDGET;
    loop {
        reader.does(Op::Sync).await;
        let outcome = reader.does(Op::get(path)).await;
        if matches!(outcome, Outcome::Done { answer: Answer::Data(data, _), .. } if data == value) {
            return;
        }
        assert!(Instant::now() < deadline, "{path} is never {value}");
    }
}

/// Writes whose answers a cut swallows while others see them done, and changes while the client is apart from its
/// watches.
async fn round(recorder: &Recorder, proxy: &Proxy, cut: &mut Life, other: &mut Life) {
    let watch = recorder.watch();
    cut.does(Op::Get { path: "/r/0".to_owned(), watch: Some(watch) }).await;
    cut.does(Op::get("/r/1")).await;
    proxy.reset_counts();
    proxy.hold(Direction::ToClient);
    let (piped, awaited) = (recorder.value(), recorder.value());
    let mut flights = Vec::new();
    for what in [Op::set("/r/2", piped, -1), Op::create_with("/q/n-", recorder.value(), false, true)] {
        let zk = &cut.zk;
        let (op, flight) = recorder.sent(cut.session, what.clone(), || ask(zk, &what, true));
        flights.push((op, what, flight));
    }
    let what = Op::set("/r/3", awaited, -1);
    let op = recorder.invoked(cut.session, what.clone());
    let waiting = tokio::spawn(ask(&cut.zk, &what, false));
    passed(proxy, OpCode::SET_DATA, 2).await;
    passed(proxy, OpCode::CREATE2, 1).await;
    seen(other, "/r/2", piped).await;
    seen(other, "/r/3", awaited).await;
    for path in ["/r/0", "/r/1"] {
        other.does(Op::set(path, recorder.value(), -1)).await;
    }
    proxy.cut();
    proxy.resume(Direction::ToClient);
    for (op, what, flight) in flights {
        cut.finish(op, what, flight).await;
    }
    cut.finish(op, what, Box::pin(async { waiting.await.unwrap() })).await;
    for life in [cut, other] {
        life.does(Op::Sync).await;
        for path in ["/r/0", "/r/1", "/r/2", "/r/3"] {
            life.does(Op::get(path)).await;
        }
        if let Outcome::Done { answer: Answer::Children(names, _), .. } = life.does(Op::children("/q")).await
        {
            for name in names {
                life.does(Op::get(format!("/q/{name}"))).await;
            }
        }
    }
}

async fn cuts(version: Version) {
    let ensemble = Ensemble::standalone(version).unwrap();
    let node = ensemble.node(1);
    let proxy = Proxy::start(node.client_addr()).unwrap();
    let recorder = Recorder::new();
    let mut other = life(&node.connect_string(), &recorder).await;
    let mut cut = life(&proxy.connect_string(), &recorder).await;
    for path in ["/r", "/q", "/r/0", "/r/1", "/r/2", "/r/3"] {
        other.does(Op::create(path, 0)).await;
    }
    // An operation that a server has not answered yet goes out alone.
    cut.does(Op::create("/r/4", recorder.value())).await;
    cut.watch_lastingly(1).await;
    for _ in 0..ROUNDS {
        round(&recorder, &proxy, &mut cut, &mut other).await;
    }
    cut.end().await;
    other.end().await;
    let report = recorder.book().history.check();
    assert!(report.is_sound(), "{version}:\n{report}");
    let figures = report.figures;
    assert_eq!((figures.unknown, figures.unknown_seen), (3 * ROUNDS, 3 * ROUNDS), "{figures:?}");
    // One of the one-shot watch, at least, whatever the lasting one heard before the cut.
    assert!(figures.events >= ROUNDS, "{figures:?}");
}

/// A pipeline whose first request goes out alone, since the server has not answered its operation yet: a cut takes along
/// what waits behind it.
async fn holes(version: Version) {
    let ensemble = Ensemble::standalone(version).unwrap();
    let node = ensemble.node(1);
    let proxy = Proxy::start(node.client_addr()).unwrap();
    let recorder = Recorder::new();
    let mut other = life(&node.connect_string(), &recorder).await;
    other.does(Op::create("/r", 0)).await;
    let mut cut = life(&proxy.connect_string(), &recorder).await;
    proxy.hold(Direction::ToClient);
    let mut flights = Vec::new();
    for number in 0..5 {
        let path = format!("/r/{number}");
        let value = recorder.value();
        let what = if number == 0 { Op::create(path, value) } else { Op::set("/r", value, -1) };
        let zk = &cut.zk;
        let (op, flight) = recorder.sent(cut.session, what.clone(), || ask(zk, &what, true));
        flights.push((op, what, flight));
    }
    passed(&proxy, OpCode::CREATE2, 1).await;
    proxy.cut();
    proxy.resume(Direction::ToClient);
    let mut lost = Vec::new();
    for (op, what, flight) in flights {
        lost.push(cut.finish(op, what, flight).await);
    }
    for life in [&mut cut, &mut other] {
        life.does(Op::Sync).await;
        life.does(Op::get("/r")).await;
        life.does(Op::get("/r/0")).await;
    }
    cut.end().await;
    other.end().await;
    let report = recorder.book().history.check();
    assert!(report.is_sound(), "{version}:\n{report}");
    assert_eq!(lost.first(), Some(&Outcome::Unknown));
    assert!(lost.iter().skip(1).all(|outcome| *outcome == Outcome::NotSent), "{lost:?}");
}

#[test]
fn what_waits_behind_a_lost_request_is_lost_with_it() {
    run(holes(Version::V3_9));
}

#[test]
fn what_cuts_swallow_is_told_truly() {
    Version::ALL.into_iter().for_each(|version| run(cuts(version)));
}
