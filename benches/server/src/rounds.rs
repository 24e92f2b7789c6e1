//! The order of it all: what is started, warmed up and measured, in interleaved pairs, several rounds over.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::frames::{Request, VALUE_LEN};
use crate::load::{self, Cost, Shape, Target};
use crate::process::{now, open_files, resident_bytes};
use crate::servers::{IN_PROCESS, Kind, Server};
use crate::table::{SPECS, Table};

/// Threads of the loader that open and close sessions.
const CHURNERS: usize = 4;

/// One request at a time costs both sides so much more that fewer will do.
const ALONE_SHARE: usize = 4;

/// What to run, how often and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Times that every pair is measured.
    pub rounds: usize,
    /// How long Apache is warmed up before its speed is measured.
    pub warm_up: Duration,
    /// The same for a server that needs none, and before memory is measured.
    pub short_warm_up: Duration,
    /// Znodes in memory.
    pub znodes: usize,
    /// Idle sessions.
    pub sessions: usize,
    /// Requests of a pipelined run.
    pub ops: usize,
    /// Connections of a pipelined run.
    pub connections: usize,
    /// Requests that each of them keeps unanswered.
    pub in_flight: usize,
    /// Sessions of a run that opens and closes them.
    pub churn: usize,
    /// Connections that watch one znode.
    pub watchers: usize,
    /// Changes of that znode in a run.
    pub changes: usize,
    /// The servers.
    pub kinds: Vec<Kind>,
    /// The rows.
    pub rows: Vec<String>,
}

impl Plan {
    /// Long enough to mean something.
    #[must_use]
    pub fn full() -> Self {
        Self {
            rounds: 5,
            warm_up: Duration::from_secs(30),
            short_warm_up: Duration::from_secs(2),
            znodes: 100_000,
            sessions: 5_000,
            ops: 100_000,
            connections: 8,
            in_flight: 64,
            churn: 4_000,
            watchers: 1_000,
            changes: 20,
            kinds: vec![Kind::Ours, Kind::Apache],
            rows: SPECS.iter().map(|spec| spec.name.to_owned()).collect(),
        }
    }

    /// A little of everything, once: whether it works, and nothing about speed.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            rounds: 1,
            warm_up: Duration::from_millis(500),
            short_warm_up: Duration::from_millis(100),
            znodes: 2_000,
            sessions: 100,
            ops: 2_000,
            churn: 40,
            watchers: 20,
            changes: 2,
            ..Self::full()
        }
    }

    fn wants(&self, row: &str) -> bool {
        self.rows.iter().any(|wanted| wanted == row)
    }

    fn wants_any(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.wants(row))
    }

    /// Nobody always runs first.
    fn order(&self, round: usize) -> Vec<Kind> {
        let mut kinds = self.kinds.clone();
        if round % 2 == 1 {
            kinds.reverse();
        }
        kinds
    }

    fn shape(&self, ops: usize) -> Shape {
        Shape { connections: self.connections, in_flight: self.in_flight, ops }
    }
}

/// Measures every row that is wanted.
///
/// # Errors
/// A server that fails, or too few open files.
pub fn run(plan: &Plan) -> Result<Table> {
    let needed = plan.sessions.max(plan.watchers) + 500;
    ensure!(open_files()? >= needed, "needs {needed} open files: raise `ulimit -n`");
    let mut table = Table::default();
    for round in 0..plan.rounds {
        eprintln!("start and memory: round {} of {}", round + 1, plan.rounds);
        for kind in plan.order(round) {
            starts(plan, kind, &mut table).with_context(|| format!("start of {}", kind.name()))?;
            memory(plan, kind, &mut table).with_context(|| format!("memory of {}", kind.name()))?;
        }
    }
    speeds(plan, &mut table)?;
    Ok(table)
}

fn starts(plan: &Plan, kind: Kind, table: &mut Table) -> Result<()> {
    if plan.wants_any(&["start", "start-cpu"]) {
        let (_, start) = Server::start(kind)?;
        table.add("start", kind, start.wall.as_secs_f64() * 1e3);
        table.add("start-cpu", kind, start.cpu.as_secs_f64() * 1e3);
    }
    if kind == Kind::Ours && plan.wants("start-in-process") {
        let output = Command::new(std::env::current_exe()?).arg(IN_PROCESS).output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let millis = printed.trim().parse().with_context(|| {
            format!("in-process printed {printed:?} {}", String::from_utf8_lossy(&output.stderr))
        })?;
        table.add("start-in-process", kind, millis);
    }
    Ok(())
}

fn memory(plan: &Plan, kind: Kind, table: &mut Table) -> Result<()> {
    if plan.wants_any(&["znode", "znode-heap"]) {
        let (server, _) = Server::start(kind)?;
        let target = prepared(plan, &server, plan.short_warm_up, Warmth::GENTLE)?;
        let grown = growth(&server, || load::create(target, plan.shape(plan.znodes)))?;
        let beside_data = |bytes: f64| bytes / plan.znodes as f64 - VALUE_LEN as f64;
        table.add("znode", kind, beside_data(grown.resident));
        if let Some(heap) = grown.heap {
            table.add("znode-heap", kind, beside_data(heap));
        }
    }
    if plan.wants_any(&["session", "session-heap"]) {
        let (server, _) = Server::start(kind)?;
        let target = prepared(plan, &server, plan.short_warm_up, Warmth::GENTLE)?;
        let grown = growth(&server, || load::sessions(target, plan.sessions))?;
        let each = |bytes: f64| bytes / plan.sessions as f64;
        table.add("session", kind, each(grown.resident));
        if let Some(heap) = grown.heap {
            table.add("session-heap", kind, each(heap));
        }
    }
    Ok(())
}

/// Bytes more than before.
struct Growth {
    resident: f64,
    heap: Option<f64>,
}

/// What `work` leaves in the server while its result is held.
fn growth<T>(server: &Server, work: impl FnOnce() -> Result<T>) -> Result<Growth> {
    let look = || Ok::<_, anyhow::Error>((server.collect()?, resident_bytes(server.target().pid)?));
    let (heap_before, resident_before) = look()?;
    let held = work()?;
    let (heap, resident) = look()?;
    drop(held);
    let heap = heap.zip(heap_before).map(|(after, before)| after - before);
    Ok(Growth { resident: resident - resident_before, heap })
}

/// How much a warm-up does at a time.
#[derive(Clone, Copy)]
struct Warmth {
    ops: usize,
    sessions: usize,
}

impl Warmth {
    /// As what is measured.
    const FULL: Self = Self { ops: 20_000, sessions: 500 };

    /// So little that the memory it leaves behind does not count.
    const GENTLE: Self = Self { ops: 1_000, sessions: 50 };
}

/// The znodes that loads need, and some of every load.
fn prepared(plan: &Plan, server: &Server, warm_up: Duration, warmth: Warmth) -> Result<Target> {
    let target = server.target();
    load::prepare(target, plan.connections)?;
    let shape = plan.shape(plan.ops.min(warmth.ops));
    let began = now();
    while now().duration_since(began) < warm_up {
        load::pipelined(target, shape, |_| Request::get(load::NODE, false))?;
        load::pipelined(target, shape, |_| Request::set(load::NODE))?;
        load::create(target, shape)?;
        load::remove(target, shape)?;
        load::churn(target, CHURNERS, plan.churn.min(warmth.sessions))?;
        load::fan_out(target, plan.watchers.min(warmth.sessions), 1)?;
    }
    Ok(target)
}

/// The rows that run on servers that have been up for a while, one pair after the other.
fn speeds(plan: &Plan, table: &mut Table) -> Result<()> {
    let rows = ["get", "get-alone", "set", "create", "churn", "fan-out", "loader"];
    let wanted: Vec<&'static str> = rows.into_iter().filter(|row| plan.wants(row)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut servers = Vec::new();
    for kind in plan.kinds.iter().copied().chain([Kind::Null]) {
        eprintln!("warm-up of {}", kind.name());
        let (server, _) = Server::start(kind)?;
        let warm_up = if kind == Kind::Apache { plan.warm_up } else { plan.short_warm_up };
        if kind != Kind::Null {
            prepared(plan, &server, warm_up, Warmth::FULL)?;
        }
        servers.push(server);
    }
    for round in 0..plan.rounds {
        eprintln!("speed: round {} of {}", round + 1, plan.rounds);
        for row in &wanted {
            for server in in_order(&servers, round) {
                speed(plan, row, server, table)
                    .with_context(|| format!("{row} of {}", server.kind().name()))?;
            }
        }
    }
    Ok(())
}

fn in_order(servers: &[Server], round: usize) -> Vec<&Server> {
    let mut servers: Vec<_> = servers.iter().collect();
    if round % 2 == 1 {
        servers.reverse();
    }
    servers
}

fn speed(plan: &Plan, row: &'static str, server: &Server, table: &mut Table) -> Result<()> {
    let (kind, target, shape) = (server.kind(), server.target(), plan.shape(plan.ops));
    // The null server keeps no tree to create in, and its thread for each connection is dear where little is done at
    // a time; only it tells what the loader can do.
    let for_null = !matches!(row, "create" | "churn" | "get-alone");
    if (kind == Kind::Null && !for_null) || (kind != Kind::Null && row == "loader") {
        return Ok(());
    }
    let cost: Cost = match row {
        "get" | "loader" => load::pipelined(target, shape, |_| Request::get(load::NODE, false))?,
        "get-alone" => {
            let alone = Shape { in_flight: 1, ops: plan.ops / ALONE_SHARE, ..shape };
            load::pipelined(target, alone, |_| Request::get(load::NODE, false))?
        }
        "set" => load::pipelined(target, shape, |_| Request::set(load::NODE))?,
        "create" => {
            let cost = load::create(target, shape)?;
            load::remove(target, shape)?;
            cost
        }
        "churn" => load::churn(target, CHURNERS, plan.churn)?,
        _ => load::fan_out(target, plan.watchers, plan.changes)?,
    };
    let figure = match row {
        "fan-out" => cost.server_us(),
        "loader" => cost.per_second(),
        _ => cost.per_server_second(),
    };
    table.add(row, kind, figure);
    table.add_loader(row, kind, cost.loader_us());
    Ok(())
}
