//! `zooctl server` and `zooctl demo` as their users run them: the real binary, with no ZooKeeper on the machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use menagerie::Client;
use menagerie::client::Error;
use menagerie_jute::ErrorCode;

fn zooctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zooctl"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A server that runs; it is killed with its handle.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = zooctl(&["server", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first.trim_end().strip_prefix("listening on ").map(str::to_owned);
        Self { child, address: address.unwrap_or_else(|| panic!("the first line is {first:?}")) }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.address).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_server_says_where_it_listens_and_serves() {
    let server = Running::start(&[]);
    let zk = server.client().await;
    zk.create("/a/b").data("v").parents().await.unwrap();
    assert_eq!(zk.get("/a/b").await.unwrap().0, "v");
    assert_eq!(zk.who_am_i().await.unwrap().len(), 1);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn a_server_ends_on_sigterm_with_success() {
    let mut server = Running::start(&[]);
    let zk = server.client().await;
    // The shell's own: nothing but Rust has to be in PATH.
    let pid = server.child.id().to_string();
    let killed = Command::new("/bin/sh").args(["-c", r#"kill "$0""#, &pid]).status().unwrap();
    assert!(killed.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    drop(zk);
}

#[tokio::test]
async fn an_imitation_lacks_what_that_server_lacks() {
    let server = Running::start(&["--version-like", "3.4"]);
    let zk = server.client().await;
    let code = |error: Error| error.code();
    assert_eq!(zk.who_am_i().await.map_err(code), Err(Some(ErrorCode::UNIMPLEMENTED)));
    // Without create2 the client makes do with create.
    assert_eq!(zk.create("/a").await.unwrap().path, "/a");
}

#[tokio::test]
async fn the_tick_bounds_session_timeouts() {
    let server = Running::start(&["--tick", "100ms"]);
    let zk = server.client().await;
    assert_eq!(zk.status().timeout.as_millis(), 2_000, "20 ticks, though 10 s were asked for");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = zooctl(&["server", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains(&format!("listening on {address}")), "{}", told(&output));
    assert!(output.stdout.is_empty(), "nothing listens, and nothing says so");
}

#[test]
fn wrong_options_are_refused_by_name() {
    for (option, value) in [("--tick", "2"), ("--version-like", "3.7"), ("--listen", "localhost")] {
        let output = zooctl(&["server", option, value]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{option} {value}");
        assert!(told(&output).contains(option), "{}", told(&output));
    }
}

/// The main job, in one command, from a fresh clone.
#[test]
fn the_demo_brings_its_own_server_and_succeeds() {
    for layout in ["go-micro", "plain"] {
        let output = zooctl(&["demo", "--quick", "--layout", layout]).output().unwrap();
        let account = told(&output);
        assert!(output.status.success(), "{account}");
        assert!(account.contains("started a server in memory"), "{account}");
        assert!(account.contains("every change was seen by the witness"), "{account}");
    }
}
