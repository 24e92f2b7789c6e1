//! One program on one target: its lines are read, its requests to the test are carried out, its checks are counted.

#![expect(clippy::disallowed_methods, reason = "programs are other processes and run by the real clock")]

use crate::{Program, name_of};
use menagerie_ensemble::{bound_to_us, spawn_from_lasting_thread};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// For a whole program; the slowest takes a fifth of it.
const BUDGET: Duration = Duration::from_secs(150);

/// A server that does what a program asks its test for.
pub trait Target {
    /// Which one, for people.
    fn name(&self) -> String;
    /// `host:port`.
    fn connect_string(&self) -> String;
    /// `host:port` of another way to it, which can be out of reach.
    fn remote_connect_string(&self) -> String;
    /// Closes the other way (`true`) and its connections, or opens it again.
    ///
    /// # Errors
    /// When it cannot be done, in words.
    fn set_remote_away(&self, away: bool) -> Result<(), String>;
    /// Closes every connection; sessions live on.
    ///
    /// # Errors
    /// When it cannot be done, in words.
    fn drop_connections(&self) -> Result<(), String>;
    /// Is away for a moment, and comes back at the same address with its data and sessions.
    ///
    /// # Errors
    /// When it cannot be done, in words.
    fn restart(&self) -> Result<(), String>;
    /// Ends a session behind its client's back.
    ///
    /// # Errors
    /// When it cannot be done, in words.
    fn expire(&self, session: i64, password: &[u8]) -> Result<(), String>;
    /// How often each opcode has been received and answered.
    ///
    /// # Errors
    /// When there is no record, in words.
    fn opcodes(&self) -> Result<BTreeMap<i32, u64>, String>;
}

/// What came of a program.
#[derive(Debug)]
pub struct Outcome {
    /// Which client, of which version, as it says itself.
    pub client: String,
    /// The checks that hold.
    pub passed: BTreeSet<String>,
    /// The checks that do not, each with its reason.
    pub failed: Vec<String>,
    /// Everything else that is wrong: an exit code, a missing line, a request that could not be carried out.
    pub wrong: Vec<String>,
    /// How often the target received and answered each opcode.
    pub opcodes: BTreeMap<i32, u64>,
    /// How long it took.
    pub took: Duration,
    /// Its last words on both outputs.
    said: String,
}

impl Outcome {
    /// One line: client, checks, time, and opcodes with their counts.
    pub fn line(&self, target: &str) -> String {
        let mut line = format!(
            "interop | {} | {target} | {} checks | {:.1} s |",
            self.client,
            self.passed.len(),
            self.took.as_secs_f64()
        );
        for (opcode, count) in &self.opcodes {
            let _ = write!(line, " {}:{count}", name_of(*opcode));
        }
        line
    }

    /// All that is wrong, with the program's words below it; empty when all is well. `wanted` are the opcodes that the
    /// client can send: each must have been received and answered, and no other.
    pub fn complaints(&self, wanted: &[i32]) -> String {
        let mut found = self.wrong.clone();
        found.extend(self.failed.iter().cloned());
        let received = |opcode: &&i32| self.opcodes.contains_key(opcode);
        for opcode in wanted.iter().filter(|opcode| !received(opcode)) {
            found.push(format!("{} ({opcode}) was not received and answered", name_of(*opcode)));
        }
        for opcode in self.opcodes.keys().filter(|opcode| !wanted.contains(opcode)) {
            found.push(format!("{} ({opcode}) was received and is not in the list", name_of(*opcode)));
        }
        if found.is_empty() {
            String::new()
        } else {
            format!("{}\n--- it said\n{}", found.join("\n"), self.said)
        }
    }
}

/// A child that ends with its handle.
#[derive(Debug)]
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

enum Line {
    Out(String),
    Err(String),
}

/// Runs `program` on `target`; everything that goes wrong is in the outcome.
pub fn run(program: &Program, target: &dyn Target) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome {
        client: program.name.clone(),
        passed: BTreeSet::new(),
        failed: Vec::new(),
        wrong: Vec::new(),
        opcodes: BTreeMap::new(),
        took: Duration::ZERO,
        said: String::new(),
    };
    if let Err(why) = converse(program, target, &mut outcome, began + BUDGET) {
        outcome.wrong.push(why);
    }
    match target.opcodes() {
        Ok(opcodes) => outcome.opcodes = opcodes,
        Err(why) => outcome.wrong.push(why),
    }
    outcome.took = began.elapsed();
    outcome
}

fn converse(
    program: &Program,
    target: &dyn Target,
    outcome: &mut Outcome,
    deadline: Instant,
) -> Result<(), String> {
    let mut command = bound_to_us().map_err(|why| why.to_string())?;
    command.arg(&program.executable).args(&program.arguments).envs(program.environment.iter().cloned());
    command.env("INTEROP_CONNECT", target.connect_string()).env("INTEROP_ROOT", program.root());
    command.env("INTEROP_REMOTE", target.remote_connect_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH", "PYTHONHOME"] {
        command.env_remove(variable);
    }
    let mut child = Guard(spawn_from_lasting_thread(command).map_err(|why| why.to_string())?);
    let lines = lines_of(&mut child.0);
    let mut stdin = child.0.stdin.take().ok_or("the program has no stdin")?;
    let mut announced = None;
    while let Some(line) = next(&lines, deadline)? {
        let text = match line {
            Line::Err(text) => {
                let _ = writeln!(outcome.said, "{text}");
                continue;
            }
            Line::Out(text) => text,
        };
        let _ = writeln!(outcome.said, "{text}");
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match word {
            "client" => outcome.client = rest.to_owned(),
            "ok" if !outcome.passed.insert(rest.to_owned()) => {
                outcome.wrong.push(format!("{rest} was checked twice"));
            }
            "FAILED" => outcome.failed.push(rest.to_owned()),
            "checked" => announced = rest.parse::<usize>().ok(),
            "do" => {
                let answer = carry_out(rest, target).err().unwrap_or_else(|| "done".to_owned());
                let _ = writeln!(outcome.said, "        {answer}");
                writeln!(stdin, "{}", answer.replace('\n', " "))
                    .map_err(|why| format!("answering: {why}"))?;
            }
            _ => {}
        }
    }
    if announced != Some(outcome.passed.len() + outcome.failed.len()) || outcome.passed.is_empty() {
        let (passed, failed) = (outcome.passed.len(), outcome.failed.len());
        outcome
            .wrong
            .push(format!("{announced:?} checks were announced, {passed} held and {failed} did not"));
    }
    let status = child.0.wait().map_err(|why| format!("waiting for the program: {why}"))?;
    if !status.success() {
        outcome.wrong.push(format!("the program ended with {status}"));
    }
    Ok(())
}

fn carry_out(wish: &str, target: &dyn Target) -> Result<(), String> {
    let words: Vec<_> = wish.split(' ').collect();
    match *words.as_slice() {
        ["drop"] => target.drop_connections(),
        ["away"] => target.set_remote_away(true),
        ["back"] => target.set_remote_away(false),
        ["restart"] => target.restart(),
        ["expire", session, password] => {
            let session = u64::from_str_radix(session, 16).map_err(|why| format!("{session}: {why}"))?;
            target.expire(i64::from_be_bytes(session.to_be_bytes()), &bytes_of_hex(password)?)
        }
        _ => Err(format!("`{wish}` is no request")),
    }
}

fn bytes_of_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(|| format!("{text} is no hex"))?;
    Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

fn lines_of(child: &mut Child) -> Receiver<Line> {
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, sender.clone(), Line::Out);
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, sender, Line::Err);
    }
    lines
}

fn forward(from: impl Read + Send + 'static, to: mpsc::Sender<Line>, kind: fn(String) -> Line) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to.send(kind(String::from_utf8_lossy(&line).into_owned())).is_err() {
                break;
            }
        }
    });
}

/// The next line; `None` when both outputs have ended.
fn next(lines: &Receiver<Line>, deadline: Instant) -> Result<Option<Line>, String> {
    match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(line) => Ok(Some(line)),
        Err(RecvTimeoutError::Disconnected) => Ok(None),
        Err(RecvTimeoutError::Timeout) => Err(format!("the program did not end within {BUDGET:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A server that only keeps what it is asked for.
    #[derive(Default)]
    struct Asked(Mutex<Vec<String>>);

    impl Asked {
        fn note(&self, what: String) -> Result<(), String> {
            self.0.lock().unwrap().push(what);
            Ok(())
        }
    }

    impl Target for Asked {
        fn name(&self) -> String {
            "nothing".to_owned()
        }
        fn connect_string(&self) -> String {
            "127.0.0.1:1".to_owned()
        }
        fn remote_connect_string(&self) -> String {
            "127.0.0.1:2".to_owned()
        }
        fn set_remote_away(&self, away: bool) -> Result<(), String> {
            self.note(format!("away {away}"))
        }
        fn drop_connections(&self) -> Result<(), String> {
            self.note("drop".to_owned())
        }
        fn restart(&self) -> Result<(), String> {
            Err("it stays\nup".to_owned())
        }
        fn expire(&self, session: i64, password: &[u8]) -> Result<(), String> {
            self.note(format!("{session} {password:?}"))
        }
        fn opcodes(&self) -> Result<BTreeMap<i32, u64>, String> {
            Ok(BTreeMap::from([(1, 2), (11, 5)]))
        }
    }

    fn shell(script: &str) -> (Outcome, Vec<String>) {
        let program = Program {
            name: "script".to_owned(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
        };
        let asked = Asked::default();
        let outcome = run(&program, &asked);
        (outcome, asked.0.into_inner().unwrap())
    }

    const GOOD: &str = "echo client It 1.0; echo ok one; echo ok two; echo checked 2";

    #[test]
    fn a_good_program_has_no_complaints_and_its_wishes_are_carried_out() {
        let ask = r#"for what in drop away back "expire ffffffffffffffff 00ff" restart nonsense; do
            echo "do $what"; read answer; echo "$answer" >&2; done"#;
        let (outcome, asked) = shell(&format!("{GOOD}; {ask}"));
        assert_eq!(outcome.complaints(&[1, 11]), "");
        assert_eq!((outcome.client.as_str(), outcome.passed.len()), ("It 1.0", 2));
        assert!(
            outcome.line("nothing").contains("It 1.0 | nothing | 2 checks"),
            "{}",
            outcome.line("nothing")
        );
        assert!(outcome.line("nothing").ends_with("create:2 ping:5"), "{}", outcome.line("nothing"));
        assert_eq!(asked, ["drop", "away true", "away false", "-1 [0, 255]"]);
        for answer in ["done\n", "it stays up\n", "`nonsense` is no request\n"] {
            assert!(outcome.said.contains(answer), "{}", outcome.said);
        }
    }

    #[test]
    fn everything_else_is_a_complaint() {
        let bad = [
            ("echo ok one; echo 'FAILED two: 1 is not 2'; echo checked 2", "two: 1 is not 2"),
            ("echo ok one; echo checked 2", "Some(2) checks were announced, 1 held"),
            ("echo ok one", "None checks were announced"),
            ("echo checked 0", "0 held"),
            ("echo ok one; echo ok one; echo checked 1", "one was checked twice"),
            ("echo ok one; echo checked 1; exit 3", "ended with exit status: 3"),
            ("echo ok one; echo checked 1; kill -9 $$", "ended with signal: 9"),
        ];
        for (script, complaint) in bad {
            let complaints = shell(script).0.complaints(&[1, 11]);
            assert!(complaints.contains(complaint), "{script}: {complaints}");
        }
        let (outcome, _) = shell(GOOD);
        assert!(outcome.complaints(&[1]).contains("ping (11) was received and is not in the list"));
        assert!(outcome.complaints(&[1, 2, 11]).contains("delete (2) was not received and answered"));
    }
}
