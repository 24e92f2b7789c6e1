//! `tests/FAULTS.md`, held against the tree: every case stands there once, and what is said to test it does.

use std::collections::{BTreeMap, BTreeSet};

use super::scrub::{scrub, test_functions};

/// The groups of cases, and how many each has.
const GROUPS: [(char, usize); 11] = [
    ('A', 26),
    ('B', 22),
    ('C', 15),
    ('D', 17),
    ('E', 15),
    ('F', 14),
    ('G', 22),
    ('H', 11),
    ('I', 12),
    ('J', 22),
    ('K', 5),
];

/// Most cases that one test may stand for, and most that do not apply.
const CASES_A_TEST: usize = 3;
const NOT_APPLICABLE: usize = 12;

const KINDS: [&str; 5] = ["unit", "simulated", "proxy", "ensemble", "fuzz"];

/// The rows of the page's tables: their cells.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    cells.filter(|cells| cells.len() == 4 && cells[0].chars().any(|c| c.is_ascii_digit()))
}

/// What is wrong with the page, where `is_run` tells whether a file has a test of that name (for `fuzz`, a function).
fn violations(
    page: &str,
    groups: &[(char, usize)],
    mut is_run: impl FnMut(&str, &str, &str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut missing: BTreeSet<String> = groups
        .iter()
        .flat_map(|(group, count)| (1..=*count).map(move |number| format!("{group}{number}")))
        .collect();
    let (mut stands_for, mut not_applicable) = (BTreeMap::<(&str, &str), usize>::new(), 0);
    for cells in rows(page) {
        let (id, place) = (cells[0], cells[3]);
        if !missing.remove(id) {
            found.push(format!("{id} is no case, or stands there twice"));
        }
        if cells[1].trim().is_empty() || cells[2].trim().is_empty() {
            found.push(format!("{id} does not say what goes wrong and what is expected"));
        }
        if let Some(why) = place.strip_prefix("n/a: ") {
            not_applicable += 1;
            found.extend(why.contains("::").then(|| format!("{id} does not apply, and is tested")));
            found.extend(why.trim().is_empty().then(|| format!("{id} does not say why it does not apply")));
            continue;
        }
        for entry in place.split(", ") {
            let Some((kind, file, test)) = named(entry) else {
                found.push(format!("{id}: {entry} is not KIND `FILE::TEST`"));
                continue;
            };
            if !is_run(kind, file, test) {
                found.push(format!("{id}: {file} has no test {test}"));
            }
            *stands_for.entry((file, test)).or_default() += 1;
        }
    }
    found.extend(missing.into_iter().map(|id| format!("{id} is missing")));
    let overworked = stands_for.into_iter().filter(|(_, cases)| *cases > CASES_A_TEST);
    found.extend(overworked.map(|((file, test), cases)| format!("{file}::{test} stands for {cases} cases")));
    if not_applicable > NOT_APPLICABLE {
        found.push(format!("{not_applicable} cases do not apply; {NOT_APPLICABLE} are enough"));
    }
    found
}

/// The parts of "KIND `FILE::TEST`".
fn named(entry: &str) -> Option<(&str, &str, &str)> {
    let (kind, test) = entry.split_once(' ')?;
    let (file, name) = test.strip_prefix('`')?.strip_suffix('`')?.rsplit_once("::")?;
    KINDS.contains(&kind).then_some((kind, file, name))
}

#[test]
fn every_fault_has_its_place() {
    let tree = super::tree();
    let mut tests = BTreeMap::new();
    let found = violations(&tree["tests/FAULTS.md"], &GROUPS, |kind, file, test| {
        let Some(text) = tree.get(file) else { return false };
        if kind == "fuzz" {
            return text.contains(&format!("pub fn {test}(data: &[u8])"));
        }
        let names: &BTreeSet<String> = tests
            .entry(file.to_owned())
            .or_insert_with(|| test_functions(&scrub(text)).into_iter().map(|(name, _)| name).collect());
        names.contains(test)
    });
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_page_of_faults_that_is_wrong_is_seen() {
    const PAGE: &str = "| A1 | f | e | unit `a.rs::x`, fuzz `b.rs::y` |\n| A2 | f | e | proxy `b.rs::y` |\n| B1 | f | e | n/a: why |\n";
    let groups = [('A', 2), ('B', 1)];
    let seen = |page: &str| {
        violations(page, &groups, |_, file, test| matches!((file, test), ("a.rs", "x") | ("b.rs", "y")))
    };
    assert_eq!(seen(PAGE), Vec::<String>::new());
    for (good, bad) in [
        ("| A2 |", "| A1 |"),
        ("| A2 |", "| A3 |"),
        ("A2 | f |", "A2 |   |"),
        ("unit `a.rs::x`", "unit `a.rs::z`"),
        ("unit `a.rs::x`", "unit `c.rs::x`"),
        ("unit `a.rs::x`", "guess `a.rs::x`"),
        ("unit `a.rs::x`", "unit a.rs"),
        ("proxy `b.rs::y`", "open"),
        ("n/a: why", "n/a: why, unit `a.rs::x`"),
        ("n/a: why", "n/a: "),
        ("| B1 |", "| C1 |"),
    ] {
        assert!(!seen(&PAGE.replacen(good, bad, 1)).is_empty(), "{bad} is not seen");
    }
    let many = |place: &str, count: usize| {
        (1..=count).map(|n| format!("| A{n} | f | e | {place} |\n")).collect::<String>()
    };
    let seen = |page: &str, count| violations(page, &[('A', count)], |_, _, _| true);
    assert_eq!(
        (seen(&many("unit `a.rs::x`", 3), 3).len(), seen(&many("unit `a.rs::x`", 4), 4).len()),
        (0, 1)
    );
    assert_eq!((seen(&many("n/a: why", 12), 12).len(), seen(&many("n/a: why", 13), 13).len()), (0, 1));
}
