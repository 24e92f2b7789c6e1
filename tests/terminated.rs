//! What readers see of a process that is told to end, interrupted or killed: `examples/drained-service`, run as a child of this
//! binary, and the embedded server in it.
//!
//! A binary of its own, since it is its own child: signals are a process's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "other processes take real time")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use menagerie::jute::OpCode;
use menagerie_server::{Server, What};

#[path = "../examples/drained-service/main.rs"]
mod drained_service;

const CHILD: &str = "MENAGERIE_TEST_CHILD";

const GRACE: Duration = Duration::from_secs(1);

/// The shortest that the server grants, and the longest until it notices that one is over.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

fn main() -> std::process::ExitCode {
    if std::env::var_os(CHILD).is_some() {
        // Ends with its parent, whose end of the pipe closes.
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(9);
        });
        return drained_service::main();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    for signal in ["TERM", "INT"] {
        asked_to_end(&server, signal);
        println!("SIG{signal}: drained, and gone after the grace");
    }
    killed(&server);
    println!("SIGKILL: gone with the session");
    std::process::ExitCode::SUCCESS
}

fn asked_to_end(server: &Server, signal: &str) {
    let mut service = Service::start(server);
    until("it is registered", || leaves(server) == 1);
    server.clear_log();
    service.send(signal);
    until("the leaf is gone", || leaves(server) == 0);
    let status = service.wait();
    assert!(status.success(), "{status}");
    assert!(server.sessions().is_empty(), "the session was closed, not left");
    assert_eq!(service.said(), ["draining", "gone"]);
    let (drained, gone) = (at(server, OpCode::SET_DATA), at(server, OpCode::DELETE));
    assert!(gone - drained >= GRACE, "said at {drained:?}, gone at {gone:?}");
}

/// When the server answered the first such request that was made since its log was cleared.
fn at(server: &Server, op: OpCode) -> Duration {
    let log = server.log();
    let entry = log.iter().find(|entry| matches!(&entry.what, What::Request(request) if request.op == op));
    entry.unwrap_or_else(|| panic!("no {op}: {log:#?}")).at
}

fn killed(server: &Server) {
    let mut service = Service::start(server);
    until("it is registered", || leaves(server) == 1);
    let begun = Instant::now();
    service.send("KILL");
    assert!(!service.wait().success());
    until("the session is over", || leaves(server) == 0);
    // It was heard of up to a third of the timeout before it was killed.
    assert!(begun.elapsed() >= SESSION_TIMEOUT / 2, "gone after {:?}", begun.elapsed());
}

/// How many leaves the service has.
fn leaves(server: &Server) -> usize {
    server.tree().iter().filter(|node| node.path.starts_with("/services/time/")).count()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < NOTICED_WITHIN, "not within {NOTICED_WITHIN:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Service {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Service {
    fn start(server: &Server) -> Self {
        let timeout = SESSION_TIMEOUT.as_secs();
        let url = format!("zk://{}/?layout=spring-cloud&session_timeout={timeout}s", server.connect_string());
        let grace = GRACE.as_secs().to_string();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([&url, "time", &grace]).env(CHILD, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut service = Self { child, said };
        let mut line = String::new();
        service.said.read_line(&mut line).unwrap();
        assert!(line.starts_with("serving time at 127.0.0.1:"), "{line}");
        service
    }

    fn send(&mut self, signal: &str) {
        assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
        let pid = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < NOTICED_WITHIN, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has said since it served.
    fn said(&mut self) -> Vec<String> {
        self.said.by_ref().lines().map(Result::unwrap).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
