//! The manual's table of log lines, held against the calls that write them: each call names one of the stable targets, each has its
//! row, and no row is left of what is not said any more.

use std::collections::BTreeSet;

use super::scrub::{scrub, words};
use super::{is_source, is_test_file, tree};

const CHAPTER: &str = "src/manual/operations.rs";

/// One line of the log: where it is said, its level and its text.
type Line = (String, String, String);

/// The lines that a source file of the library writes; a target that is missing is empty.
fn written(text: &str) -> Vec<Line> {
    // Blanked letter by letter, so that places agree.
    let (letters, code): (Vec<char>, Vec<char>) = (text.chars().collect(), scrub(text).chars().collect());
    let mut found = Vec::new();
    for level in ["trace", "debug", "info", "warn", "error"] {
        let call: Vec<char> = format!("{level}!(").chars().collect();
        for at in 0..code.len().saturating_sub(call.len()) {
            let begins = at == 0 || !(code[at - 1].is_alphanumeric() || code[at - 1] == '_');
            if !begins || code[at..at + call.len()] != call[..] {
                continue;
            }
            let (target, message) = arguments(&letters, &code, at + call.len());
            found.push((target, level.to_owned(), message));
        }
    }
    found
}

/// The target and the message of a call whose arguments begin at `from`: its first and its last string.
fn arguments(letters: &[char], code: &[char], from: usize) -> (String, String) {
    let mut depth = 1;
    let end = (from..code.len()).find(|at| {
        depth += match code[*at] {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    let call: String = letters[from..end.unwrap_or(code.len())].iter().collect();
    let strings: Vec<&str> = call.split('"').skip(1).step_by(2).collect();
    let has_target = call.trim_start().starts_with("target:");
    let target = strings.first().filter(|_| has_target).copied().unwrap_or_default();
    (target.to_owned(), strings.last().copied().unwrap_or_default().to_owned())
}

/// The rows of the chapter that are about lines of the log.
fn listed(chapter: &str) -> Vec<Line> {
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("//! | `menagerie::"));
    let cells = |row: &str| {
        let mut cells = row.split(" | ").map(|cell| cell.trim_matches([' ', '|', '`']).to_owned());
        Some((format!("menagerie::{}", cells.next()?), cells.next()?, cells.next()?))
    };
    rows.filter_map(cells).collect()
}

fn differences(written: &[Line], listed: &[Line]) -> Vec<String> {
    let (said, told): (BTreeSet<_>, BTreeSet<_>) = (written.iter().collect(), listed.iter().collect());
    let missing = said.difference(&told).map(|line| format!("{line:?} is not listed"));
    let gone = told.difference(&said).map(|line| format!("{line:?} is listed, and nobody says it"));
    missing.chain(gone).collect()
}

#[test]
fn every_line_of_the_log_has_its_row_in_the_manual() {
    let files = tree();
    let is_of_the_library = |path: &str| path.starts_with("src/") && is_source(path) && !is_test_file(path);
    let sources = files.iter().filter(|(path, _)| is_of_the_library(path));
    let written: Vec<_> = sources.flat_map(|(_, text)| written(text)).collect();
    assert!(written.len() > 30, "read the wrong files: {written:?}");
    let found = differences(&written, &listed(&files[CHAPTER]));
    assert!(found.is_empty(), "{CHAPTER}:\n{}", found.join("\n"));
}

/// The public enums of a source file that are errors, or events by their name: all of these have variants that somebody meets.
fn meant_for_the_table(text: &str) -> Vec<String> {
    let code = scrub(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("pub enum ") {
        let name = words(&code[at..]).nth(2).unwrap_or_default();
        let derived = code[..at].rsplit("#[derive(").next().unwrap_or_default();
        let is_its_own = !derived.contains('}') && !derived.contains(';');
        let is_error = is_its_own && derived.split(")]").next().is_some_and(|list| list.contains("Error"));
        if is_error || ["Event", "Error", "Failure"].iter().any(|end| name.ends_with(end)) {
            found.push(name.to_owned());
        }
    }
    found
}

#[test]
fn every_error_and_event_of_the_registry_stands_in_the_manual() {
    let files = tree();
    let sources = files.iter().filter(|(path, _)| path.starts_with("src/registry/") && is_source(path));
    let meant: Vec<_> = sources.flat_map(|(_, text)| meant_for_the_table(text)).collect();
    assert!(meant.len() > 8, "read the wrong files: {meant:?}");
    let has_rows = |name: &String| files[CHAPTER].contains(&format!("//! | [`{name}::"));
    let missing: Vec<_> = meant.iter().filter(|name| !has_rows(name)).collect();
    assert!(missing.is_empty(), "{CHAPTER} has no rows for {missing:?}");

    let source = "#[derive(Debug, Error)]\n#[non_exhaustive]\npub enum A {\n X }\n#[derive(Debug)]\npub enum B { Y }\n\
                  pub enum CEvent { Z }\n#[derive(Error)] struct D;\npub enum E { W }";
    assert_eq!(meant_for_the_table(source), ["A", "CEvent"]);
}

#[test]
fn a_line_that_is_not_listed_or_names_no_target_is_seen() {
    let source = "fn a() {\n warn!(target: \"menagerie::x\", n = f(1), \"it broke\");\n tracing::info!(%a, \"fine\");\n \
                  // debug!(\"no call\")\n let s = \"error!(no call)\";\n prewarn!(\"neither\");\n}";
    let written = written(source);
    let line = |target: &str, level: &str, text: &str| (target.to_owned(), level.to_owned(), text.to_owned());
    assert_eq!(written, [line("", "info", "fine"), line("menagerie::x", "warn", "it broke")]);
    let rows =
        "//! | `menagerie::x` | warn | it broke | n | a | b |\n//! | `menagerie::x` | warn | gone | | | |\n";
    let found = differences(&written, &listed(rows));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("fine") && found[1].contains("gone"), "{found:?}");
}
