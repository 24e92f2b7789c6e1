//! Runs rows times servers, tells of each as libtest would, and goes red for a gap.

use crate::{Row, Server, lane::Lane};
use std::{
    any::Any,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io::Write,
    panic,
    process::ExitCode,
    sync::Mutex,
    thread,
    time::Instant,
};

/// Lanes, that is servers, that run at a time.
const LANES: usize = 6;
/// The check of the table itself; it judges whole runs only.
const INVENTORY: &str = "inventory::every_row_stands_once";

/// A cell of the table: a row on a server.
type Cell = (&'static str, Server);

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What the last panic of this thread said.
pub(crate) fn last_panic() -> String {
    PANIC.with_borrow(String::clone)
}

/// What the arguments ask for, in the words of libtest.
#[derive(Debug, Default)]
struct Wish {
    filters: Vec<String>,
    list: bool,
}

impl Wish {
    fn read() -> Self {
        let mut wish = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => wish.list = true,
                "--test-threads" | "--format" | "--color" | "--skip" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                filter => wish.filters.push(filter.to_lowercase()),
            }
        }
        wish
    }

    fn wants(&self, cell: Cell) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name(cell).contains(filter.as_str()))
    }
}

/// All of them, or the embedded one when it is told what to imitate.
fn servers() -> &'static [Server] {
    if std::env::var_os("MENAGERIE_LIKE").is_some() { &[Server::Embedded] } else { &Server::ALL }
}

fn name((row, server): Cell) -> String {
    format!("{}::{server}", row.to_lowercase())
}

/// How the cells fared.
#[derive(Debug, Default)]
struct Tally {
    results: BTreeMap<Cell, Option<String>>,
    times: Vec<(u128, Cell)>,
}

/// Runs every row of `tables` on every server: those that the program's arguments name, or all. Prints the result of each, the
/// cells that cannot be reached, and rows times servers.
///
/// A section is a letter and how many rows it has. In a run of everything, a row that `sections` counts and no table holds, one too many, one twice, or one that was not run on a server, is a failure.
#[must_use]
pub fn run(tables: &[&'static [Row]], sections: &[(&str, usize)]) -> ExitCode {
    let wish = Wish::read();
    let rows: Vec<&'static Row> = tables.iter().copied().flatten().collect();
    let cells = || rows.iter().flat_map(|row| servers().iter().map(|server| (*row, *server)));
    let (wanted, unwanted): (Vec<_>, Vec<_>) = cells()
        .filter(|cell| reason(*cell).is_none())
        .partition(|(row, server)| wish.wants((row.id, *server)));
    if wish.list {
        wanted.iter().for_each(|(row, server)| println!("{}: test", name((row.id, *server))));
        return ExitCode::SUCCESS;
    }
    let gaps = if wish.filters.is_empty() { gaps(&rows, sections) } else { Vec::new() };
    println!("\nrunning {} tests", wanted.len() + 1);
    tell(INVENTORY, gaps.is_empty());
    hear_panics();
    let began = Instant::now();
    let tally = Mutex::new(Tally::default());
    run_lanes(lanes(&wanted), &tally);
    let tally = tally.into_inner().unwrap();

    let lost = wanted.iter().filter(|(row, server)| !tally.results.contains_key(&(row.id, *server)));
    let lost: Vec<_> = lost.map(|(row, server)| name((row.id, *server))).collect();
    let bad: Vec<_> = tally.results.iter().filter_map(|(cell, why)| Some((*cell, why.as_ref()?))).collect();
    for (cell, why) in &bad {
        println!("\n---- {} ({})\n{why}", name(*cell), title(&rows, cell.0));
    }
    gaps.iter().for_each(|gap| println!("\n---- {INVENTORY}\n{gap}"));
    lost.iter().for_each(|cell| println!("\n---- {cell}\nwas not run"));
    slowest(&tally);
    report(&rows, &tally, wish.filters.is_empty());

    let failed = bad.len() + lost.len() + usize::from(!gaps.is_empty());
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        wanted.len() + 1 - failed,
        unwanted.len(),
        began.elapsed().as_secs_f64(),
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// Why the cell cannot be reached, if it cannot.
fn reason((row, server): (&Row, Server)) -> Option<&'static str> {
    row.unreachable.iter().find(|(on, _)| *on == server).map(|(_, why)| *why)
}

fn title(rows: &[&Row], id: &str) -> &'static str {
    rows.iter().find(|row| row.id == id).map_or("", |row| row.title)
}

/// What is wrong with the table itself.
fn gaps(rows: &[&Row], sections: &[(&str, usize)]) -> Vec<String> {
    let ids =
        |(letter, count): &(&str, usize)| (1..=*count).map(|n| format!("{letter}{n}")).collect::<Vec<_>>();
    let wanted: BTreeSet<String> = sections.iter().flat_map(ids).collect();
    let held: BTreeSet<String> = rows.iter().map(|row| row.id.to_owned()).collect();
    let missing: Vec<_> = wanted.difference(&held).cloned().collect();
    let mut gaps = Vec::new();
    if !missing.is_empty() {
        gaps.push(format!("{} of {} rows are missing: {}", missing.len(), wanted.len(), missing.join(" ")));
    }
    gaps.extend(held.difference(&wanted).map(|id| format!("{id} is no row of the reference")));
    if held.len() != rows.len() {
        gaps.push(format!("{} rows stand twice", rows.len() - held.len()));
    }
    gaps
}

/// Rows by the server they share; those that take longest first, the plain ones before all others.
fn lanes(cells: &[(&'static Row, Server)]) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    for &(row, server) in cells {
        match lanes.iter_mut().find(|lane| lane.takes(server, row)) {
            Some(lane) => lane.rows.push(row),
            None => lanes.push(Lane { server, setup: row.setup, alone: row.alone, rows: vec![row] }),
        }
    }
    lanes.iter_mut().for_each(|lane| lane.rows.sort_by_key(|row| !row.slow));
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.rows.len()));
    lanes
}

fn run_lanes(lanes: Vec<Lane>, tally: &Mutex<Tally>) {
    let left = Mutex::new(lanes.into_iter());
    let hear = |server: Server, row: &'static Row, began: Instant, why: Option<String>| {
        let mut tally = tally.lock().unwrap();
        tell(&name((row.id, server)), why.is_none());
        tally.times.push((began.elapsed().as_millis(), (row.id, server)));
        tally.results.insert((row.id, server), why);
    };
    let next = || left.lock().unwrap().next();
    let work = || {
        while let Some(lane) = next() {
            lane.run(&hear);
        }
    };
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(work);
        }
    });
}

fn tell(name: &str, good: bool) {
    let _ = writeln!(std::io::stdout(), "test {name} ... {}", if good { "ok" } else { "FAILED" });
}

/// The tables at the end: what cannot be reached, what is stricter, what differs, what took long, rows times servers.
fn report(rows: &[&'static Row], tally: &Tally, whole: bool) {
    if !whole {
        return;
    }
    let notes = |what: &str, note: fn(&Row) -> Option<&'static str>| {
        println!("\n{what}:");
        for row in rows {
            if let Some(note) = note(row) {
                println!("  {:4} {}: {note}", row.id, row.title);
            }
        }
    };
    notes("rows where the embedded server is stricter on purpose", |row| row.stricter);
    notes("rows where 3.8.0 and 3.9.3 differ", |row| row.differs);
    let closed: Vec<_> = rows
        .iter()
        .flat_map(|row| servers().iter().map(|server| (*row, *server)))
        .filter(|cell| reason(*cell).is_some())
        .collect();
    if !closed.is_empty() {
        println!("\nnot reachable:");
    }
    for (row, server) in &closed {
        println!("  {:4} {server}: {}", row.id, reason((*row, *server)).unwrap_or_default());
    }
    let passed = tally.results.values().filter(|why| why.is_none()).count();
    let servers = servers().len();
    print!(
        "conformance: {} rows x {servers} servers = {} runs, {passed} passed",
        rows.len(),
        rows.len() * servers
    );
    println!(
        "{}",
        if closed.is_empty() { String::new() } else { format!(", {} not reachable", closed.len()) }
    );
}

fn slowest(tally: &Tally) {
    let mut times = tally.times.clone();
    times.sort();
    let slowest: Vec<_> =
        times.iter().rev().take(8).map(|(millis, cell)| format!("{} {millis} ms", name(*cell))).collect();
    println!("\nslowest: {}", slowest.join(", "));
}

/// Keeps what a panic says for the end of the run, instead of printing it among the results.
fn hear_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = format!("{} (at {place})", words(info.payload()));
        PANIC.set(text);
    }));
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}
