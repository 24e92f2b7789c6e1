//! What a pick costs beside drawing one random number, in the same run and on the same threads, while the set changes.
//!
//! ```text
//! cargo run --release --manifest-path benches/registry/Cargo.toml [-- [--smoke] [--rows pick,hash]]
//! ```
//!
//! prints a line of JSON for each row. Row `pick`: two threads pick through handles of their own while a third changes
//! the set 100 times a second; each thread draws and picks by turns, 4,096 of each, so that whatever else the machine
//! does hits both alike. `ratio` is all time spent picking by all time spent drawing, taking over the changes included;
//! turns of more than 4 ms, in which the thread did not run, are left out and counted. Row `hash`: ways of consistent
//! hashing side by side.

mod hashes;
mod picks;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

const USAGE: &str = "[--smoke] [--rows pick,hash]";

fn main() -> Result<()> {
    ensure!(!cfg!(debug_assertions), "figures of a debug build mean nothing: build with --release");
    let (mut time, mut rows) = (Duration::from_secs(3), vec!["pick".to_owned(), "hash".to_owned()]);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--smoke" => time = Duration::from_millis(200),
            "--rows" => {
                let value = words.next().with_context(|| format!("--rows needs a value; {USAGE}"))?;
                rows = value.split(',').map(str::to_owned).collect();
            }
            _ => bail!("unknown option {word}; {USAGE}"),
        }
    }
    let mut out = std::io::stdout();
    for row in rows {
        match row.as_str() {
            "pick" => picks::run(time, &mut |line| writeln!(out, "{line}").context("print"))?,
            "hash" => hashes::run(&mut |line| writeln!(out, "{line}").context("print"))?,
            _ => bail!("unknown row {row}; {USAGE}"),
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "what measures reads the clock")]
fn now() -> Instant {
    Instant::now()
}
