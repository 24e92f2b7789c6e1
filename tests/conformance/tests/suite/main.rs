//! The rows: what any ZooKeeper server does, one sentence and one function each.
//!
//! `cargo test -p menagerie-conformance` runs every row on every server; `-- embedded` runs them on the embedded one only, which needs
//! no Java; `-- s2::v3_8` runs one row on one server, `-- s2::` one row on all three. With `MENAGERIE_LIKE=3.8` in the environment
//! the embedded one imitates 3.8 and is the only one that runs.
//!
//! # How to add a row
//!
//! 1. Write a function `fn what_it_checks(t: &Target<'_>)` in the file of its section. It works below [`Target::path`], which is this
//!    row's alone, and panics when something is not as it says. It cannot know which server it runs on.
//! 2. Put `Row::new("S2", "the sentence", what_it_checks)` in that file's `ROWS`. If 3.8.0 and 3.9.3 differ, say by which ticket with
//!    `.differs(..)`; then `t.since_3_9()` may be asked. If the embedded server is stricter on purpose, say how with
//!    `.stricter(..)`; then `t.is_stricter()` may be asked.
//! 3. A row that counts zxids, connections or znodes is `.alone()`. One that needs another configuration is `.on(&SETUP)`: rows on
//!    the same [`Setup`](menagerie_conformance::Setup) share a server. One that waits for seconds is `.slow()`, so that it starts first.
//!    Never sleep to decide: wait for the event, or ask for a ping, behind which no earlier event can come.
//!
//! The run goes red when a row of [`SECTIONS`] is missing, stands twice, or was not run on a server.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a row fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "rows about time measure it by the real clock")]

mod acl;
mod acl_auth;
mod create_delete;
mod multi;
mod quotas;
mod reaping;
mod requests;
mod sessions;
mod watches;
mod watches_again;
mod watches_rules;
mod watching;
mod words;
mod zxid_stat;

use std::process::ExitCode;

/// The sections and how many rows each has: sessions, zxids and stats, create and delete, multi, watches, ACLs, quotas,
/// four-letter words.
const SECTIONS: &[(&str, usize)] =
    &[("S", 36), ("Z", 17), ("C", 28), ("M", 15), ("W", 26), ("P", 20), ("Q", 6), ("L", 7)];

fn main() -> ExitCode {
    let tables = [
        sessions::ROWS,
        requests::ROWS,
        zxid_stat::ROWS,
        create_delete::ROWS,
        reaping::ROWS,
        multi::ROWS,
        watches::ROWS,
        watches_rules::ROWS,
        watches_again::ROWS,
        acl::ROWS,
        acl_auth::ROWS,
        quotas::ROWS,
        words::ROWS,
    ];
    menagerie_conformance::run(&tables, SECTIONS)
}
