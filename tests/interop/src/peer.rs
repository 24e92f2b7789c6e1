//! A program that is asked line by line: one that uses a registry as another system does.
//!
//! A request is a line on its stdin. It answers each with a line on stdout, `= ANSWER` or `! WHY NOT`, and tells at any
//! time what it has seen happen: `* WHAT`. Everything else it says is kept for whoever has to find out what went wrong.

use crate::{Program, run::Guard};
use menagerie_ensemble::{bound_to_us, spawn_from_lasting_thread};
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    process::{ChildStdin, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::timeout,
};

/// For one answer or one event; the slowest is a session's start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program at work. It ends with this handle, by its process id.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Guard,
    stdin: ChildStdin,
    answers: UnboundedReceiver<Result<String, String>>,
    events: UnboundedReceiver<String>,
    said: Arc<Mutex<String>>,
}

impl Peer {
    /// Starts `program` with the address of a server.
    ///
    /// # Errors
    /// When it does not start, in words.
    pub fn start(program: &Program, connect: &str) -> Result<Self, String> {
        let mut command = bound_to_us().map_err(|why| why.to_string())?;
        command.arg(&program.executable).args(&program.arguments).envs(program.environment.iter().cloned());
        command.env("INTEROP_CONNECT", connect);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for variable in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH", "PYTHONHOME"]
        {
            command.env_remove(variable);
        }
        let mut child = Guard(spawn_from_lasting_thread(command).map_err(|why| why.to_string())?);
        let missing = || format!("{} has no stdin or output", program.name);
        let stdin = child.0.stdin.take().ok_or_else(missing)?;
        let (answering, answers) = mpsc::unbounded_channel();
        let (telling, events) = mpsc::unbounded_channel();
        let said = Arc::default();
        listen(child.0.stdout.take().ok_or_else(missing)?, &said, Some((answering, telling)));
        listen(child.0.stderr.take().ok_or_else(missing)?, &said, None);
        Ok(Peer { name: program.name.clone(), child, stdin, answers, events, said })
    }

    /// Has it do something, and yields its answer.
    ///
    /// # Errors
    /// When it says that it could not, or nothing, in words.
    pub async fn ask(&mut self, request: &str) -> Result<String, String> {
        writeln!(self.stdin, "{request}").map_err(|why| self.complaint(request, &why.to_string()))?;
        match timeout(PATIENCE, self.answers.recv()).await {
            Ok(Some(answer)) => answer.map_err(|why| self.complaint(request, &why)),
            Ok(None) => Err(self.complaint(request, "it has ended")),
            Err(_) => Err(self.complaint(request, "no answer")),
        }
    }

    /// The next thing that it has seen happen.
    ///
    /// # Errors
    /// When nothing comes, in words.
    pub async fn event(&mut self) -> Result<String, String> {
        match timeout(PATIENCE, self.events.recv()).await {
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err(self.complaint("an event", "it has ended")),
            Err(_) => Err(self.complaint("an event", "none came")),
        }
    }

    /// Ends it as a power cut would: no goodbye to anybody.
    ///
    /// # Errors
    /// When it has ended before, in words.
    pub fn kill(&mut self) -> Result<(), String> {
        let killed = self.child.0.kill().and_then(|()| self.child.0.wait());
        killed.map(drop).map_err(|why| self.complaint("kill -9", &why.to_string()))
    }

    fn complaint(&self, request: &str, why: &str) -> String {
        format!("{}: {request}: {why}\n--- it said\n{}", self.name, locked(&self.said))
    }
}

type Senders = (UnboundedSender<Result<String, String>>, UnboundedSender<String>);

/// Passes on what is said, until the output ends. Only that on stdout means anything.
fn listen(output: impl Read + Send + 'static, said: &Arc<Mutex<String>>, to: Option<Senders>) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let _ = writeln!(locked(&said), "{line}");
            let Some((answers, events)) = &to else { continue };
            // Nobody hears what is said after the handle is gone.
            match line.split_at_checked(2) {
                Some(("= ", answer)) => drop(answers.send(Ok(answer.to_owned()))),
                Some(("! ", why)) => drop(answers.send(Err(why.to_owned()))),
                Some(("* ", event)) => drop(events.send(event.to_owned())),
                _ => {}
            }
        }
    });
}

fn locked(said: &Mutex<String>) -> MutexGuard<'_, String> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Peer {
        let program = Program {
            name: "script".to_owned(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
        };
        Peer::start(&program, "127.0.0.1:1").unwrap()
    }

    #[tokio::test]
    async fn answers_and_events_are_kept_apart_and_all_words_are_in_complaints() {
        let mut peer = shell(
            "echo noise; while read line; do echo \"* saw $line\"; case $line in
             bad) echo wrong >&2; echo '! it is bad' ;; *) echo \"= $INTEROP_CONNECT $line\" ;; esac; done",
        );
        assert_eq!(peer.ask("good").await.as_deref(), Ok("127.0.0.1:1 good"));
        let complaint = peer.ask("bad").await.unwrap_err();
        assert!(
            complaint.starts_with("script: bad: it is bad\n") && complaint.contains("noise"),
            "{complaint}"
        );
        assert_eq!(
            (peer.event().await.as_deref(), peer.event().await.as_deref()),
            (Ok("saw good"), Ok("saw bad"))
        );
        peer.kill().unwrap();
        assert!(peer.ask("good").await.unwrap_err().contains("script: good: "));
        assert!(peer.event().await.unwrap_err().contains("it has ended"));
    }
}
