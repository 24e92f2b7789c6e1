//! `tests/REGISTRY.md`, held against the rows of the matrix and the tests on a real server.

use std::collections::{BTreeMap, BTreeSet};

use super::scrub::{scrub, test_functions};

const PAGE: &str = "tests/REGISTRY.md";
const MATRIX: &str = "tests/api/matrix/mod.rs";

/// What is wrong with the page: `rows` are those of the matrix with their files, `is_test` tells whether a file has that test.
fn violations(
    page: &str,
    layouts: &BTreeSet<String>,
    rows: &BTreeMap<String, String>,
    is_test: impl Fn(&str, &str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let (_, listed) = page.split_once("\nLayouts: ").unwrap_or_default();
    let listed: BTreeSet<String> =
        listed.lines().next().unwrap_or_default().split('`').map(str::to_owned).collect();
    found.extend(layouts.difference(&listed).map(|layout| format!("the layout {layout} is not named")));
    let mut missing: BTreeSet<&String> = rows.keys().collect();
    let table = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    for line in table.filter(|line| !line.starts_with("row |")) {
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [row, happens, becomes, embedded, real] = cells[..] else {
            found.push(format!("a row has {} cells: {line}", cells.len()));
            continue;
        };
        if !missing.remove(&row.to_owned()) {
            found.push(format!("{row} is no row of the matrix, or stands there twice"));
        }
        if happens.is_empty() || becomes.is_empty() {
            found.push(format!("{row} does not say what happens and what becomes of it"));
        }
        if rows.get(row).is_some_and(|file| file != embedded) {
            found.push(format!("{row} is not in {embedded}"));
        }
        if !real.is_empty() && !is_test(real, row) {
            found.push(format!("{real} has no test {row}"));
        }
    }
    found.extend(missing.into_iter().map(|row| format!("{row} is missing")));
    found
}

/// The layouts and the rows that the matrix makes tests of.
fn matrix(text: &str) -> (BTreeSet<String>, BTreeMap<String, String>) {
    let layouts = text.lines().filter_map(|line| line.trim().strip_prefix("rows_of!(")?.split(',').next());
    let (_, rows) = text.split_once("\nmatrix! {").unwrap_or_default();
    let rows = rows.lines().filter_map(|line| line.trim().split_once("::"));
    let file = |file: &str| format!("tests/api/matrix/{file}.rs");
    (layouts.map(str::to_owned).collect(), rows.map(|(name, row)| (row.to_owned(), file(name))).collect())
}

#[test]
fn every_row_of_the_matrix_has_its_place() {
    let tree = super::tree();
    let (layouts, rows) = matrix(&tree[MATRIX]);
    assert!(layouts.len() == 8 && rows.len() >= 15, "{layouts:?} {rows:?}");
    let found = violations(&tree[PAGE], &layouts, &rows, |file, test| {
        tree.get(file).is_some_and(|text| test_functions(&scrub(text)).iter().any(|(name, _)| name == test))
    });
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_page_of_rows_that_is_wrong_is_seen() {
    let (layouts, rows) = matrix("rows_of!(x, K);\nmatrix! {\n    f::a\n    f::b\n}\n");
    let page = "\nLayouts: `x`.\n| a | h | b | `tests/api/matrix/f.rs` | `r.rs` |\n| b | h | b | `tests/api/matrix/f.rs` | |\n";
    let seen = |page: &str| violations(page, &layouts, &rows, |file, test| (file, test) == ("r.rs", "a"));
    assert_eq!(seen(page), Vec::<String>::new());
    for (good, bad) in [
        ("`x`", "`y`"),
        ("| a |", "| c |"),
        ("| b | h", "| a | h"),
        ("| b | h |", "| b |  |"),
        ("f.rs` | |", "g.rs` | |"),
        ("f.rs` | |", "f.rs` | `r.rs` |"),
        ("| h | b | `tests/api/matrix/f.rs` | |", "| h |"),
    ] {
        assert!(!seen(&page.replacen(good, bad, 1)).is_empty(), "{bad} is not seen");
    }
}
