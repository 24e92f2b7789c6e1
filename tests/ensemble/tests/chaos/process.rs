//! A client's process stopped and killed: what it believes when it comes to itself, and what it leaves.

use crate::{BUDGET, run};
use menagerie::Client;
use menagerie_ensemble::{Ensemble, Version, bound_to_us, eventually, spawn_from_lasting_thread};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// The session timeout of `child/main.rs`.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
/// The server looks for expired sessions once a tick; and some time for a small machine.
const TICK: Duration = Duration::from_millis(500);
const SLACK: Duration = Duration::from_secs(2);

/// What it said once, and when that was read.
#[derive(Debug, Clone)]
struct Word {
    at: Instant,
    epoch: u64,
    session: i64,
    registered: bool,
    held: bool,
}

fn word(line: &str) -> Word {
    let words: Vec<_> = line.split(' ').collect();
    let (epoch, session) = (words[0].parse().unwrap(), words[1].parse().unwrap());
    Word {
        at: Instant::now(),
        epoch,
        session,
        registered: words[2] == "registered",
        held: words[3] == "held",
    }
}

/// The process, which ends with this.
struct Process {
    child: Child,
    words: Arc<Mutex<Vec<Word>>>,
}

impl Process {
    fn start(connect: &str) -> Self {
        let mut command = bound_to_us().unwrap();
        command.arg(env!("CARGO_BIN_EXE_menagerie_ensemble_child")).arg(connect).stdout(Stdio::piped());
        let mut child = spawn_from_lasting_thread(command).unwrap();
        let (out, words) = (child.stdout.take().unwrap(), Arc::<Mutex<Vec<Word>>>::default());
        let told = words.clone();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                told.lock().unwrap().push(word(&line));
            }
        });
        Process { child, words }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, name, &pid]).status().unwrap().success()
        );
    }

    fn words(&self) -> Vec<Word> {
        self.words.lock().unwrap().clone()
    }

    /// Waits until it says such a thing.
    fn says(&self, what: &str, wanted: impl Fn(&Word) -> bool) -> Word {
        let said = eventually(what, BUDGET, || {
            let words = self.words();
            words.iter().find(|word| wanted(word)).cloned().ok_or_else(|| format!("{:?}", words.last()))
        });
        said.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the lock is gone, by a watch.
async fn released(zk: &Client) -> Instant {
    loop {
        let (seen, changed) = zk.exists("/lock").watch().await.unwrap();
        if seen.is_none() {
            return Instant::now();
        }
        let _ = changed.await;
    }
}

async fn owners(zk: &Client) -> Vec<i64> {
    zk.sync("/").await.unwrap();
    let (names, _) = zk.children("/go_servers").await.unwrap();
    let mut owners = Vec::new();
    for name in names.to_vec() {
        owners.push(zk.get(format!("/go_servers/{name}")).await.unwrap().1.ephemeral_owner);
    }
    owners
}

fn begin(ensemble: &Ensemble) -> (Process, Word) {
    let process = Process::start(&ensemble.connect_string());
    let word = process.says("lock and registration", |word| word.registered && word.held);
    (process, word)
}

async fn stopped(version: Version) {
    let ensemble = Ensemble::three(version).unwrap();
    let witness = Client::connect(&ensemble.connect_string()).await.unwrap();
    let (process, first) = begin(&ensemble);
    assert_eq!(owners(&witness).await, [first.session]);
    process.signal("STOP");
    let gone = timeout(BUDGET, released(&witness)).await.unwrap();
    assert!(owners(&witness).await.is_empty());
    process.signal("CONT");
    let again = process.says("another session", |word| word.epoch == 2 && word.session != 0);
    assert_ne!(again.session, first.session);
    let deadline = Instant::now() + BUDGET;
    while owners(&witness).await != [again.session] {
        assert!(Instant::now() < deadline, "never registered again: {:?}", owners(&witness).await);
        tokio::time::sleep(TICK / 10).await;
    }
    process.says("registration", |word| word.registered && word.session == again.session);
    let (before, after): (Vec<_>, Vec<_>) = process.words().into_iter().partition(|word| word.at < gone);
    assert!(before.iter().any(|word| word.held) && after.iter().any(|word| word.epoch == 2), "{after:?}");
    assert!(!after.iter().any(|word| word.held), "it believes in what another may have: {after:?}");
    witness.close().await.unwrap();
}

async fn killed(version: Version) {
    let ensemble = Ensemble::three(version).unwrap();
    let witness = Client::connect(&ensemble.connect_string()).await.unwrap();
    let (mut process, first) = begin(&ensemble);
    assert_eq!(owners(&witness).await, [first.session]);
    let releasing = tokio::spawn({
        let witness = witness.clone();
        async move { released(&witness).await }
    });
    let since = Instant::now();
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    let took = timeout(BUDGET, releasing).await.unwrap().unwrap() - since;
    // The server counts from its last word, in whole ticks.
    assert!(took <= SESSION_TIMEOUT + 2 * TICK + SLACK, "gone after {took:?} only");
    assert!(owners(&witness).await.is_empty());
    witness.close().await.unwrap();
}

#[test]
fn a_process_that_was_stopped_too_long_does_not_believe_its_lease_and_registers_again() {
    run(stopped(Version::V3_9));
}

#[test]
fn a_process_that_is_killed_leaves_nothing_beyond_its_timeout() {
    run(killed(Version::V3_9));
}
