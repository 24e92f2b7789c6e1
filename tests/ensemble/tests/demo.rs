//! `zooctl demo` on real ensembles: it succeeds where everything works, and fails where a change goes unseen.

#![expect(clippy::unwrap_used, reason = "a test fails by unwrapping, also in its helpers")]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use menagerie_ensemble::proxy::Proxy;
use menagerie_ensemble::{Ensemble, Version};

/// The program, built once: a test binary of another package is not handed it by cargo.
fn zooctl() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let path = BUILT.get_or_init(|| {
        let built =
            Command::new(env!("CARGO")).args(["build", "--quiet", "--locked", "-p", "zooctl"]).status();
        assert!(built.unwrap().success(), "zooctl does not build");
        let test = std::env::current_exe().unwrap();
        test.parent().unwrap().parent().unwrap().join("zooctl")
    });
    path.clone()
}

fn demo(connect: &str, more: &[&str]) -> Output {
    let mut command = Command::new(zooctl());
    command.args(["demo", "--quick", "--connect", connect]).args(more);
    command.output().unwrap()
}

fn account(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn it_succeeds_on_three_nodes_in_both_layouts_and_leaves_nothing_behind() {
    let ensemble = Ensemble::three(Version::V3_9).unwrap();
    for layout in ["go-micro", "plain"] {
        let connect = format!("{}/{layout}", ensemble.connect_string());
        let output = demo(&connect, &["--layout", layout]);
        let text = account(&output);
        assert!(output.status.success(), "{text}");
        for act in
            ["three instances come", "one instance goes", "is cut", "session expires", "the same session"]
        {
            assert!(text.contains(act), "{act:?} is missing in\n{text}");
        }
    }
    let tree = menagerie_ensemble::Kazoo::find().unwrap().tree(&ensemble.connect_string(), "/").unwrap();
    let left: Vec<_> = tree.keys().filter(|path| !path.starts_with("/zookeeper")).collect();
    assert_eq!(left, ["/", "/go-micro", "/plain"]);
}

#[test]
fn it_fails_when_the_events_are_withheld() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let connect = proxy.connect_string();
    assert!(demo(&connect, &[]).status.success(), "the proxy alone makes it fail");
    proxy.withhold_notifications(true);
    let output = demo(&connect, &["--patience", "4"]);
    let text = account(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAILED: the witness sees"), "{text}");
}

#[test]
fn it_fails_by_name_where_nobody_listens() {
    let output = demo("127.0.0.1:1", &["--patience", "1"]);
    let text = account(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("127.0.0.1:1: connection refused"), "{text}");
}
