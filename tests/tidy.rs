//! The invariants of the source tree, kept by reading it.
//!
//! A check is a pure function from a path and a text to the violations it sees; `planted` feeds each one a fault
//! that it must report, and the same text without the fault. What only cargo knows is asked of cargo.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

#[path = "tidy/faults.rs"]
mod faults;
#[path = "tidy/operations.rs"]
mod operations;
#[path = "tidy/registry.rs"]
mod registry;
#[path = "tidy/scrub.rs"]
mod scrub;

use scrub::{scrub, test_functions, without_tests, words};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    path::Path,
    process::Command,
};

type Check = fn(&str, &str) -> Vec<String>;

/// Every check that needs one file only.
const CHECKS: [(&str, Check); 11] = [
    ("unsafe_is_forbidden", unsafe_is_forbidden),
    ("lints_are_inherited", lints_are_inherited),
    ("the_cores_are_pure", the_cores_are_pure),
    ("imports_run_one_way", imports_run_one_way),
    ("nothing_is_silenced", nothing_is_silenced),
    ("nothing_panics", nothing_panics),
    ("files_are_short", files_are_short),
    ("limits_stand_together", limits_stand_together),
    ("msrv_stands_once", msrv_stands_once),
    ("words_are_ours", words_are_ours),
    ("tests_run_to_their_end", tests_run_to_their_end),
];

const LONGEST_FILE: usize = 600;

/// Code that is not a test's: the sources of a package.
fn is_source(path: &str) -> bool {
    path.ends_with(".rs")
        && ["src/", "jute/src/", "server/src/", "zooctl/src/"].iter().any(|home| path.starts_with(home))
}

fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.contains("/tests/") || matches!(name, "tests.rs" | "test.rs") || name.ends_with("_test.rs")
}

/// The code of a source file without comments, strings and tests; nothing of a file of tests.
fn product_code(path: &str, text: &str) -> String {
    if is_source(path) && !is_test_file(path) { without_tests(&scrub(text)) } else { String::new() }
}

fn unsafe_is_forbidden(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if path == "Cargo.toml" && !text.contains("unsafe_code = \"forbid\"") {
        found.push(String::from("the workspace does not forbid unsafe code"));
    }
    if !path.ends_with(".rs") {
        return found;
    }
    let code = scrub(text);
    let dense: String = code.split_whitespace().collect();
    let lifted = ["allow(unsafe_code", "expect(unsafe_code", "warn(unsafe_code"]
        .iter()
        .any(|lift| dense.contains(lift));
    if lifted || words(&code).any(|word| word == "unsafe") {
        found.push(String::from("names unsafe"));
    }
    found
}

/// Manifests of packages outside the workspace have an own `[workspace]` table and are not asked.
fn lints_are_inherited(path: &str, text: &str) -> Vec<String> {
    let is_manifest = path == "Cargo.toml" || path.ends_with("/Cargo.toml");
    let is_foreign = path != "Cargo.toml" && text.contains("[workspace]");
    if !is_manifest || is_foreign || text.contains("[lints]\nworkspace = true\n") {
        return Vec::new();
    }
    vec![String::from("does not inherit the workspace's lints")]
}

/// The session and the server's core take time as an argument and chance as a seed, and touch nothing of the world.
fn the_cores_are_pure(path: &str, text: &str) -> Vec<String> {
    let cores = ["src/session.rs", "src/session/", "server/src/core.rs", "server/src/core/"];
    if !cores.iter().any(|core| path.starts_with(core)) {
        return Vec::new();
    }
    let impure = ["tokio", "rand", "getrandom", "TcpStream", "UdpSocket", "thread", "process", "env"];
    let unsteady = ["SystemTime", "HashMap", "HashSet", "RandomState"];
    let code = scrub(text);
    let product = product_code(path, text);
    let named = words(&code).filter(|word| impure.contains(word));
    let mut found: Vec<_> = named.chain(words(&product).filter(|word| unsteady.contains(word))).collect();
    let dense: String = product.split_whitespace().collect();
    found.extend(["Instant::now", "std::fs"].iter().filter(|call| dense.contains(**call)));
    found.iter().map(|word| format!("a core names {word}")).collect()
}

/// jute <- session <- client <- registry <- zooctl, and jute <- the server's core <- the server; never back, and never across.
fn imports_run_one_way(path: &str, text: &str) -> Vec<String> {
    let above: &[&str] = match path {
        _ if !path.ends_with(".rs") => return Vec::new(),
        _ if path.starts_with("src/session") => &["client", "registry"],
        _ if path.starts_with("src/client") => &["registry"],
        _ => &[],
    };
    let foreign: &[&str] = match path {
        _ if path.starts_with("jute/src/") => &["menagerie", "menagerie_server", "zooctl"],
        _ if path.starts_with("server/src/") => &["menagerie", "zooctl", "menagerie_ensemble"],
        _ if path.starts_with("src/") => &["menagerie_server", "zooctl", "menagerie_ensemble"],
        // Beside other registries stands ours.
        _ if path.starts_with("tests/interop/tests/registry/") => &["zooctl"],
        _ if path.starts_with("tests/ensemble/src/") || path.starts_with("tests/interop/") => {
            &["menagerie", "menagerie_jute", "zooctl"]
        }
        _ if path.starts_with("tests/conformance/") => &["menagerie", "zooctl"],
        _ => &[],
    };
    let code = scrub(text);
    let upward =
        scrub::modules_of_the_crate(&code).into_iter().filter(|module| above.contains(&module.as_str()));
    let crates = words(&code).filter(|word| foreign.contains(word)).map(str::to_owned);
    let outside = modules_outside_the_core(path, &code);
    upward.chain(crates).chain(outside).map(|name| format!("imports {name}, which is above it")).collect()
}

/// What the server's core reaches of its crate besides itself and the codec.
fn modules_outside_the_core(path: &str, code: &str) -> Vec<String> {
    if !path.starts_with("server/src/core") {
        return Vec::new();
    }
    let mut modules = scrub::modules_of_the_crate(&code.replace("super::", ""));
    modules.retain(|module| !matches!(module.as_str(), "core" | "jute"));
    modules
}

/// `expect` fails when it is no longer needed; `allow` stays for ever. A module that several test binaries share may
/// allow dead code: each uses its part.
fn nothing_is_silenced(path: &str, text: &str) -> Vec<String> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let mut dense: String = scrub(text).split_whitespace().collect();
    if path.contains("tests/") {
        dense = dense.replace("#![allow(dead_code,", "");
    }
    let silenced = ["#[allow(", "#![allow("].iter().filter(|attribute| dense.contains(**attribute));
    let mut found: Vec<_> = silenced.map(|attribute| format!("{attribute}..)] instead of expect")).collect();
    let product: String = product_code(path, text).split_whitespace().collect();
    for lint in ["unwrap_used", "expect_used", "indexing_slicing", "too_many_lines"] {
        if product.contains(&format!("clippy::{lint}")) {
            found.push(format!("lifts clippy::{lint} outside tests"));
        }
    }
    found
}

/// A fault planted for a check to find (`cfg!(plant = ..)`) says so.
fn nothing_panics(path: &str, text: &str) -> Vec<String> {
    let text = text.replace("panic!(\"planted: ", "planted(\"");
    let dense: String = product_code(path, &text).split_whitespace().collect();
    let calls = ["panic!(", "unreachable!(", "unimplemented!(", "process::exit("];
    let found = calls.iter().filter(|call| dense.contains(**call) && !path.starts_with("zooctl/"));
    found.map(|call| format!("calls {call})")).collect()
}

fn files_are_short(path: &str, text: &str) -> Vec<String> {
    let is_code = path.ends_with(".rs") || text.starts_with("#!");
    let lines = text.lines().count();
    if !is_code || lines <= LONGEST_FILE {
        return Vec::new();
    }
    vec![format!("has {lines} lines; {LONGEST_FILE} are enough")]
}

/// Times and their reasons stand in a file `limits.rs`, where they can be read together.
fn limits_stand_together(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("src/") || path.ends_with("limits.rs") {
        return Vec::new();
    }
    let product = product_code(path, text);
    let lines = product.lines().filter(|line| line.contains("const ") && line.contains(": Duration ="));
    lines.map(|line| format!("a limit outside limits.rs: {}", line.trim())).collect()
}

fn msrv_stands_once(path: &str, text: &str) -> Vec<String> {
    let is_member = path.ends_with("/Cargo.toml") && !text.contains("[workspace]");
    if is_member && text.lines().any(|line| line.starts_with("rust-version =")) {
        return vec![String::from("states a rust-version instead of the workspace's")];
    }
    Vec::new()
}

/// Neither notes to ourselves nor places that only some machines have.
fn words_are_ours(path: &str, text: &str) -> Vec<String> {
    // Split, so that this file is clean.
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
        concat!("shared", "/"),
        concat!("/wo", "rk/"),
        concat!("index.", "crates.io"),
        concat!("py", "pi.org"),
        concat!("deb.", "debian.org"),
        concat!("pkg", ".dev"),
    ];
    if path == "Cargo.lock" || path.ends_with("/Cargo.lock") {
        return Vec::new();
    }
    banned.iter().filter(|word| text.contains(**word)).map(|word| format!("says {word}")).collect()
}

/// A test that may return early may have checked nothing.
fn tests_run_to_their_end(path: &str, text: &str) -> Vec<String> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let code = scrub(text);
    let mut found = Vec::new();
    for (name, body) in test_functions(&code) {
        let early =
            |line: &str| matches!(line.trim(), "return;" | "return Ok(());") || line.contains("{ return; }");
        if body.lines().any(early) {
            found.push(format!("test {name} returns early"));
        }
    }
    // Rows of the conformance suite are tests without the attribute.
    if path.starts_with("tests/conformance/tests/") && code.lines().any(|line| line.trim() == "return;") {
        found.push(String::from("a row returns early"));
    }
    if scrub::has_ignored_test(&code) {
        found.push(String::from("a test is ignored"));
    }
    found
}

/// Every text file that is tracked (by git; in an archive without git, every file), by its path below the root.
fn tree() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
    let paths = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8(output.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect()
        }
        _ => walk(root),
    };
    // What is not UTF-8 is data; what is tracked and gone is about to be removed.
    let read = |path: String| Some((fs::read_to_string(root.join(&path)).ok()?, path));
    let files: BTreeMap<_, _> = paths.into_iter().filter_map(read).map(|(text, path)| (path, text)).collect();
    assert!(files.len() > 20 && files.contains_key("src/lib.rs"), "read the wrong tree: {:?}", files.keys());
    files
}

fn walk(root: &Path) -> Vec<String> {
    let (mut paths, mut todo) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if entry.file_name() == ".git" {
                continue;
            }
            if kind.is_dir() && entry.file_name() != "target" {
                todo.push(entry.path());
            } else if kind.is_file() {
                paths.push(entry.path().strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    paths
}

#[test]
fn the_tree_is_tidy() {
    let mut found = Vec::new();
    for (path, text) in tree() {
        for (name, check) in CHECKS {
            found.extend(check(&path, &text).into_iter().map(|what| format!("{path}: {what} ({name})")));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_check_sees_a_planted_fault_and_nothing_else() {
    let long = format!("#!/bin/sh\n{}", "x\n".repeat(LONGEST_FILE));
    let mut seen = BTreeSet::new();
    for (name, path, bad, good) in PLANTS.iter().copied() {
        let check = CHECKS.iter().find(|(known, _)| *known == name).unwrap().1;
        let bad = if name == "files_are_short" { long.as_str() } else { bad };
        assert!(!check(path, bad).is_empty(), "{name} does not see: {bad}");
        assert_eq!(check(path, good), Vec::<String>::new(), "{name} sees in: {good}");
        seen.insert(name);
    }
    assert_eq!(seen.len(), CHECKS.len(), "a check without a planted fault");
}

/// Test binaries of a package with `autotests` off that its manifest does not name: they would never run.
fn unlisted_tests(manifest: &str, files: &[&str]) -> Vec<String> {
    if !manifest.contains("autotests = false") {
        return Vec::new();
    }
    let listed = |file: &str| manifest.contains(&format!("path = \"{file}\""));
    files.iter().filter(|file| !listed(file)).map(|file| format!("{file} is no [[test]]")).collect()
}

/// Whether `file`, below a package's `tests/`, is a binary's root.
fn is_test_root(file: &str) -> bool {
    let parts: Vec<_> = file.split('/').collect();
    file.ends_with(".rs") && (parts.len() == 2 || parts.len() == 3 && parts[2] == "main.rs")
}

#[test]
fn every_test_file_is_run() {
    let files = tree();
    let mut found = Vec::new();
    for (path, text) in
        files.iter().filter(|(path, _)| *path == "Cargo.toml" || path.ends_with("/Cargo.toml"))
    {
        let home = path.strip_suffix("Cargo.toml").unwrap();
        let tests =
            files.keys().filter_map(|file| file.strip_prefix(home)).filter(|file| file.starts_with("tests/"));
        let roots: Vec<_> = tests.filter(|file| is_test_root(file)).collect();
        found.extend(unlisted_tests(text, &roots));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));

    let manifest = "autotests = false\n[[test]]\npath = \"tests/a.rs\"\n";
    assert_eq!(unlisted_tests(manifest, &["tests/a.rs", "tests/b.rs"]), ["tests/b.rs is no [[test]]"]);
    assert!(
        is_test_root("tests/a.rs") && is_test_root("tests/sim/main.rs") && !is_test_root("tests/sim/a.rs")
    );
}

/// Paths that a page names, in links and in code spans, and that are not there.
fn missing_files(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    let links =
        links.filter(|link| !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:"));
    let homes = ["src/", "tests/", "jute/", "zooctl/", "examples/", "benches/", "fuzz/", ".ci/"];
    let spans = text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
    let spans = spans
        .filter(|span| homes.iter().any(|home| span.starts_with(home)) && !span.contains(['*', '{', '<']));
    // What stands behind a file's name is something in it.
    let spans = spans.map(|span| span.split("::").next().unwrap_or(span));
    links.chain(spans).filter(|path| !exists(path)).map(|path| format!("{path} is not there")).collect()
}

#[test]
fn pages_name_only_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for (path, text) in tree().iter().filter(|(path, _)| path.ends_with(".md")) {
        let home = root.join(path).parent().unwrap().to_owned();
        let missing = missing_files(text, |file| home.join(file).exists() || root.join(file).exists());
        found.extend(missing.into_iter().map(|what| format!("{path}: {what}")));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));

    let page = "[a](src/a.rs) [b](https://b/) `src/c.rs` `cargo run` `tests/run --long` [d](d.md#e) `src/**`";
    let missing = missing_files(page, |file| file == "tests/run");
    assert_eq!(missing, ["src/a.rs is not there", "d.md is not there", "src/c.rs is not there"]);
}

/// Every place that states the oldest Rust: the workspace's manifest, clippy's configuration, the README.
fn msrv_disagreements(manifest: &str, clippy: &str, readme: &str) -> Vec<String> {
    let quoted = |text: &str, key: &str| -> Option<String> {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split('"').nth(1).map(str::to_owned)
    };
    let Some(msrv) = quoted(manifest, "rust-version = ") else {
        return vec![String::from("the workspace states no rust-version")];
    };
    let mut found = Vec::new();
    if quoted(clippy, "msrv = ").as_ref() != Some(&msrv) {
        found.push(format!("clippy.toml's msrv is not {msrv}"));
    }
    let named = readme.split("Rust 1.").skip(1);
    let named = named.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    found.extend(
        named.filter(|minor| format!("1.{minor}") != msrv).map(|minor| format!("README says Rust 1.{minor}")),
    );
    found
}

#[test]
fn msrv_is_the_same_wherever_it_stands() {
    let files = tree();
    let found = msrv_disagreements(&files["Cargo.toml"], &files["clippy.toml"], &files["README.md"]);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let manifest = "rust-version = \"1.85\"";
    assert_eq!(msrv_disagreements(manifest, "msrv = \"1.84\"", "Rust 1.80 or later").len(), 2);
    assert_eq!(msrv_disagreements(manifest, "msrv = \"1.85\"", "Rust 1.85 or later"), Vec::<String>::new());
}

fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The foreign packages among the lines of `cargo tree --prefix none`.
fn foreign_packages(tree: &str) -> BTreeSet<String> {
    let names = tree.lines().filter_map(|line| line.split(" (").next()).map(str::trim);
    names.filter(|line| !line.is_empty() && !line.starts_with("menagerie")).map(str::to_owned).collect()
}

/// Packages that bind or build C, or run a tool in the build. `windows-sys` is declarations only.
fn native(packages: &BTreeSet<String>) -> Vec<&String> {
    let is_native = |name: &str| {
        matches!(name, "cc" | "cmake" | "bindgen" | "pkg-config" | "vcpkg" | "autotools" | "prost-build")
            || name.ends_with("-sys") && name != "windows-sys"
    };
    packages.iter().filter(|package| package.split(' ').next().is_some_and(is_native)).collect()
}

#[test]
fn dependencies_stay_few_and_without_c() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let library = packages.iter().find(|package| package["name"] == "menagerie").unwrap();
    let features = library["features"].as_object().unwrap();
    let is_there = |module: &str| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        source.join(module).exists() || source.join(format!("{module}.rs")).exists()
    };
    assert!(
        features.contains_key("client") || !is_there("client"),
        "src/client exists and feature `client` does not"
    );

    let feature_sets = ["", "client", "registry", "default"];
    for feature in
        feature_sets.into_iter().filter(|feature| feature.is_empty() || features.contains_key(*feature))
    {
        let bounds = if matches!(feature, "registry" | "default") { [28, 28] } else { [17, 20] };
        for (target, most) in [None, Some("all")].into_iter().zip(bounds) {
            let mut arguments =
                vec!["tree", "-p", "menagerie", "--no-default-features", "--features", feature];
            arguments.extend(["-e", "normal,build", "--prefix", "none"]);
            arguments.extend(target.map(|target| ["--target", target]).into_iter().flatten());
            let found = foreign_packages(&cargo(&arguments));
            let what = format!("feature `{feature}`, target {}", target.unwrap_or("here"));
            // Past libtest's capture: the number is to be seen also when it is good.
            let _ = writeln!(io::stderr(), "dependencies of {what}: {}", found.len());
            assert!(found.len() <= most, "{what}: {} packages: {found:#?}", found.len());
            assert_eq!(native(&found), Vec::<&String>::new(), "{what}");
        }
    }

    let planted = "menagerie v0.1.0 (/x)\nbytes v1.0.0\nbytes v1.0.0 (*)\ncc v1.2.0\nlz4-sys v1.0.0\n\nwindows-sys v0.6.0\n";
    let planted = foreign_packages(planted);
    assert_eq!(planted.len(), 4);
    assert_eq!(native(&planted), ["cc v1.2.0", "lz4-sys v1.0.0"]);
}

/// What a test author takes on with the embedded server as a dev-dependency.
#[test]
fn the_server_brings_few_dependencies() {
    let arguments =
        ["tree", "-p", "menagerie-server", "-e", "normal,build", "--prefix", "none", "--target", "all"];
    let found = foreign_packages(&cargo(&arguments));
    let _ = writeln!(io::stderr(), "dependencies of menagerie-server, target all: {}", found.len());
    assert!((1..=20).contains(&found.len()), "{} packages: {found:#?}", found.len());
    assert_eq!(native(&found), Vec::<&String>::new());
}

/// For each check: a path, a text with a fault that it must report, and the same without the fault.
const PLANTS: &[(&str, &str, &str, &str)] = &[
    ("unsafe_is_forbidden", "Cargo.toml", "[workspace]", "unsafe_code = \"forbid\""),
    ("unsafe_is_forbidden", "src/a.rs", "unsafe { x() }", "// unsafe\nlet s = \"unsafe\";"),
    ("unsafe_is_forbidden", "src/a.rs", "#![allow(unsafe_code)]", "#![forbid(unsafe_code)]"),
    ("unsafe_is_forbidden", "tests/a.rs", "#![expect(unsafe_code)]", "#![deny(unsafe_code)]"),
    ("lints_are_inherited", "x/Cargo.toml", "[package]\n", "[lints]\nworkspace = true\n"),
    ("the_cores_are_pure", "src/session/a.rs", "use tokio::time;", "//! knows nothing of tokio"),
    ("the_cores_are_pure", "src/session/a.rs", "let t = Instant::now();", "let t: Instant = now;"),
    ("the_cores_are_pure", "src/session/a.rs", "Instant :: now ( )", "use std::time::Instant;"),
    ("the_cores_are_pure", "src/session/a.rs", "HashMap::new()", "BTreeMap::new()"),
    ("the_cores_are_pure", "src/session.rs", "std::thread::spawn", "thread_count"),
    ("the_cores_are_pure", "src/session/tests/a.rs", "tokio::test", "Instant::now()"),
    ("the_cores_are_pure", "server/src/core/tree.rs", "use tokio::time;", "use std::net::IpAddr;"),
    ("the_cores_are_pure", "server/src/core/tree.rs", "HashMap::new()", "BTreeMap::new()"),
    ("imports_run_one_way", "src/session/a.rs", "use crate::client::Client;", "use crate::jute;"),
    ("imports_run_one_way", "src/client/a.rs", "use menagerie_server::Server;", "use crate::jute;"),
    ("imports_run_one_way", "server/src/net.rs", "use menagerie::path;", "use crate::core::Tree;"),
    (
        "imports_run_one_way",
        "server/src/core/a.rs",
        "use crate::net::Driver;",
        "use crate::{core::Tree, jute::Stat};",
    ),
    (
        "imports_run_one_way",
        "server/src/core/a.rs",
        "use crate::{net, jute};",
        "use super::super::tree::Tree;",
    ),
    ("nothing_panics", "server/src/a.rs", "panic!(\"x\")", "\"panic!(x)\""),
    ("imports_run_one_way", "src/session/a.rs", "use crate::{a::b, client::C};", "use crate::{a::{client}};"),
    ("imports_run_one_way", "src/client/a.rs", "use super::super::registry::R;", "use crate::session::S;"),
    ("imports_run_one_way", "jute/src/a.rs", "use menagerie::Client;", "use menagerie_jute::Stat;"),
    (
        "imports_run_one_way",
        "tests/ensemble/src/a.rs",
        "use menagerie_jute::X;",
        "use menagerie_ensemble::X;",
    ),
    ("imports_run_one_way", "tests/conformance/src/a.rs", "use menagerie::Client;", "use menagerie_jute::X;"),
    (
        "nothing_is_silenced",
        "tests/a.rs",
        "#![allow(unused, reason = \"x\")]",
        "#![allow(dead_code, reason = \"x\")]",
    ),
    (
        "nothing_is_silenced",
        "src/a.rs",
        "#[expect(clippy::unwrap_used)]",
        "#[expect(clippy::disallowed_methods)]",
    ),
    ("nothing_panics", "src/b.rs", "panic!(\"x\")", "if cfg!(plant = \"a\") { panic!(\"planted: a\") }"),
    ("nothing_panics", "src/a.rs", "panic!(\"x\")", "#[cfg(test)]\nmod tests { fn f() { panic!(\"x\") } }"),
    ("nothing_panics", "jute/src/a.rs", "unreachable!()", "\"unreachable!()\""),
    ("limits_stand_together", "src/a.rs", "const T: Duration = S;", "let t: Duration = limits::T;"),
    (
        "limits_stand_together",
        "src/b/a.rs",
        "pub const T: Duration = S;",
        "#[cfg(test)]\nmod t { const T: Duration = S; }",
    ),
    ("msrv_stands_once", "a/Cargo.toml", "rust-version = \"1.80\"", "rust-version.workspace = true"),
    ("words_are_ours", "README.md", concat!("FIX", "ME later"), "later"),
    ("words_are_ours", "src/a.rs", concat!("dbg", "!(x)"), "debug!(x)"),
    ("words_are_ours", "tests/run", concat!("../shared", "/x"), "../x"),
    (
        "tests_run_to_their_end",
        "tests/conformance/tests/suite/a.rs",
        "    return;\n",
        "    return Some(1);\n",
    ),
    (
        "tests_run_to_their_end",
        "tests/a.rs",
        "#[test]\nfn a() {\n if x {\n return;\n }\n}",
        "fn a() {\n return;\n}",
    ),
    (
        "tests_run_to_their_end",
        "tests/a.rs",
        "#[tokio::test]\nasync fn a() {\n return;\n}",
        "#[test]\nfn a() {}",
    ),
    (
        "tests_run_to_their_end",
        "tests/a.rs",
        "#[test]\n#[ignore]\nfn a() {}",
        "#[test]\n#[must_use]\nfn a() {}",
    ),
    ("tests_run_to_their_end", "tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}", "// #[ignore]"),
    (
        "tests_run_to_their_end",
        "tests/a.rs",
        "#[test]\nfn a() { if x { return; } b() }",
        "#[test]\nfn a() { b() }",
    ),
    ("files_are_short", "tests/long", "", ""),
];
