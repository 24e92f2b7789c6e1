//! Row `pick`: the cost of a pick on each of two threads while the set changes.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use menagerie::registry::balance::Balancing;
use menagerie::registry::{Balance, Discovery, Instance, Memory, Picker, Registered, Registration, Services};
use serde_json::{Value, json};

use crate::now;

/// Draws, and picks, in one turn.
const TURN: u32 = 4096;
/// A turn that took longer did not run all the time.
const INTERRUPTED: Duration = Duration::from_millis(4);
const THREADS: usize = 2;
const BETWEEN_CHANGES: Duration = Duration::from_millis(10);

/// Picks by a thread's own handle, or by the one that all share.
type Turn = fn(&mut Picker, &Services);

/// What is done in a turn, by its name, and what it may cost at most beside a draw; 0 where nothing is aimed at.
struct Row {
    name: &'static str,
    balancing: Balancing,
    at_most: u32,
    turn: Turn,
}

fn rows() -> Vec<Row> {
    let row =
        |name, balance: Balance, at_most, turn: Turn| Row { name, balancing: balance.into(), at_most, turn };
    let mut warming = row("weighted, one warming up", Balance::Weighted, 0, pick);
    warming.balancing = warming.balancing.warm_up(Duration::from_secs(3600));
    vec![
        row("random", Balance::Random, 10, pick),
        row("round robin", Balance::RoundRobin, 10, pick),
        row("sticky", Balance::Sticky, 10, pick),
        row("weighted", Balance::Weighted, 30, pick),
        row("consistent hash, by key", Balance::ConsistentHash, 30, pick_for),
        row("least loaded", Balance::LeastLoaded, 30, pick),
        row("random, by the shared handle", Balance::Random, 0, pick_shared),
        row("sticky, by key", Balance::Sticky, 0, pick_for),
        warming,
        row("attempt, random", Balance::Random, 0, attempt),
        row("attempt, least loaded", Balance::LeastLoaded, 0, attempt),
        row("attempt, consistent hash, by key", Balance::ConsistentHash, 0, attempt_for),
    ]
}

fn pick(picker: &mut Picker, _: &Services) {
    for _ in 0..TURN {
        black_box(picker.pick());
    }
}

fn pick_shared(_: &mut Picker, services: &Services) {
    for _ in 0..TURN {
        black_box(services.pick());
    }
}

fn pick_for(picker: &mut Picker, _: &Services) {
    for key in 0..TURN {
        black_box(picker.pick_for(key.to_le_bytes()));
    }
}

fn attempt(picker: &mut Picker, _: &Services) {
    for _ in 0..TURN {
        if let Some(attempt) = black_box(picker.attempt()) {
            attempt.succeeded();
        }
    }
}

fn attempt_for(picker: &mut Picker, _: &Services) {
    for key in 0..TURN {
        if let Some(attempt) = black_box(picker.attempt_for(key.to_le_bytes())) {
            attempt.succeeded();
        }
    }
}

/// A splitmix64 generator: the random number that a pick is measured by.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Time spent on each of the two.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    drawing: Duration,
    picking: Duration,
    turns: u32,
    interrupted: u32,
}

/// Draws and picks by turns until told to stop.
fn by_turns(services: &Services, turn: Turn, stop: &AtomicBool) -> Spent {
    let mut picker = services.picker();
    let (mut spent, mut state) = (Spent::default(), 7);
    while !stop.load(Ordering::Relaxed) {
        let begin = now();
        for _ in 0..TURN {
            black_box(draw(&mut state));
        }
        let between = now();
        turn(&mut picker, services);
        let (drawing, picking) = (between - begin, between.elapsed());
        if drawing.max(picking) > INTERRUPTED {
            spent.interrupted += 1;
            continue;
        }
        spent.turns += 1;
        spent.drawing += drawing;
        spent.picking += picking;
    }
    spent
}

/// Changes the set in turn: an instance gets another weight, one leaves, one comes.
async fn change(registry: &Memory, all: &mut Vec<Registered>, time: Duration) -> Result<u32> {
    let (begin, mut changes) = (now(), 0u32);
    while begin.elapsed() < time {
        match changes % 3 {
            0 => {
                let first = all.first().context("an instance")?;
                let mut instance = Instance::clone(&first.instance());
                instance.weight = 1 + changes % 7;
                first.update(instance)?;
            }
            1 => drop(all.pop()),
            _ => all.push(registry.register(builder(changes + 100_000)).await?),
        }
        changes += 1;
        let next = BETWEEN_CHANGES * changes;
        tokio::time::sleep(next.saturating_sub(begin.elapsed())).await;
    }
    Ok(changes)
}

fn builder(id: u32) -> menagerie::registry::InstanceBuilder {
    Instance::builder("s").id(format!("s-{id}")).host("10.0.0.1").port(80).weight(1 + id % 5)
}

async fn measure(row: &Row, len: u32, time: Duration) -> Result<Value> {
    let registry = Memory::new();
    let mut all = Vec::new();
    for id in 0..len {
        all.push(registry.register(builder(id)).await?);
    }
    let services: Services = registry.discover("s").await?.balanced(row.balancing.clone());
    let stop = AtomicBool::new(false);
    let (changes, spent) = std::thread::scope(|scope| -> Result<_> {
        let start = |_| scope.spawn(|| by_turns(&services, row.turn, &stop));
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        let changer = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let changes = runtime.block_on(change(&registry, &mut all, time));
            stop.store(true, Ordering::Relaxed);
            changes
        });
        let changes = changer.join().map_err(|_| anyhow!("the changes panicked"))??;
        let joined =
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked")));
        Ok((changes, joined.collect::<Result<Vec<_>>>()?))
    })?;
    let turns: u32 = spent.iter().map(|spent| spent.turns).sum();
    let sum = |of: fn(&Spent) -> Duration| spent.iter().map(of).sum::<Duration>().as_secs_f64();
    let (drawing, picking) = (sum(|spent| spent.drawing), sum(|spent| spent.picking));
    let nanos = |total: f64| (total * 1e11 / (f64::from(turns) * f64::from(TURN))).round() / 100.0;
    let ratio = (picking / drawing * 100.0).round() / 100.0;
    let aim = (row.at_most > 0).then_some(row.at_most);
    Ok(json!({
        "row": "pick", "strategy": row.name, "instances": len, "ratio": ratio,
        "at_most": aim, "holds": aim.map(|most| ratio <= f64::from(most)),
        "pick_ns": nanos(picking), "draw_ns": nanos(drawing), "threads": THREADS,
        "picks": u64::from(turns) * u64::from(TURN),
        "changes_per_s": (f64::from(changes) / time.as_secs_f64()).round(),
        "interrupted": spent.iter().map(|spent| spent.interrupted).sum::<u32>(),
    }))
}

/// Measures all rows, each with few, many and very many instances.
pub(crate) fn run(time: Duration, print: &mut dyn FnMut(Value) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    for row in rows() {
        for len in [10, 100, 1000] {
            print(runtime.block_on(measure(&row, len, time))?)?;
        }
    }
    Ok(())
}
