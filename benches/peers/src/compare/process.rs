//! Starting, bounding and ending the processes of the comparison, each by its own handle.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::report::Report;

/// How long the server may take to listen, or to end.
const SERVER_PATIENCE: Duration = Duration::from_secs(10);

/// Where the programs are.
#[derive(Debug)]
pub struct Binaries {
    directory: PathBuf,
}

impl Binaries {
    /// The programs in `directory`.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Runs a program to its end and reads its report, the last line it prints.
    ///
    /// # Errors
    /// A program that is not there, fails, prints no report, or is not done after `limit`, when it is killed.
    pub fn run(
        &self,
        name: &str,
        arguments: &[String],
        cpu: Option<usize>,
        limit: Duration,
    ) -> Result<Report> {
        let mut child = self.command(name, cpu)?.args(arguments).stdin(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().context("no pipe")?;
        let printed = within(limit, stdout, |mut stdout| {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        if printed.is_err() {
            // It may have ended by itself in this moment; either way it is waited for below.
            drop(child.kill());
        }
        let status = child.wait()?;
        let printed = printed.with_context(|| format!("{name} was killed"))?;
        ensure!(status.success(), "{name} failed: {status}");
        let line = printed.lines().last().with_context(|| format!("{name} printed nothing"))?;
        serde_json::from_str(line).with_context(|| format!("{name} printed {line}"))
    }

    fn command(&self, name: &str, cpu: Option<usize>) -> Result<Command> {
        let program = self.directory.join(name);
        ensure!(program.is_file(), "{} is not built", program.display());
        let mut command = match cpu {
            None => Command::new(program),
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.arg("-c").arg(cpu.to_string()).arg(program);
                command
            }
        };
        command.stdout(Stdio::piped());
        Ok(command)
    }
}

/// Does `read` on a thread of its own and gives up on it after `limit`; the thread ends with the process
/// whose output it reads.
fn within<T: Send + 'static>(
    limit: Duration,
    stdout: ChildStdout,
    read: impl FnOnce(ChildStdout) -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    // Nobody receives once the limit has passed.
    thread::spawn(move || drop(sender.send(read(stdout))));
    match receiver.recv_timeout(limit) {
        Ok(outcome) => Ok(outcome?),
        Err(_) => bail!("no answer after {limit:?}"),
    }
}

/// A running null server. Dropped, it is ended.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts the null server on a free port.
    ///
    /// # Errors
    /// A server that does not say where it listens.
    pub fn start(binaries: &Binaries, cpu: Option<usize>) -> Result<Self> {
        let mut command = binaries.command("null-server", cpu)?;
        let child =
            command.stdin(Stdio::piped()).spawn().context("null-server (by taskset of util-linux)")?;
        let mut server = Self { child, address: String::new() };
        let stdout = server.child.stdout.take().context("no pipe")?;
        let line = within(SERVER_PATIENCE, stdout, |stdout| {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        })?;
        let address = line.trim_end().strip_prefix("listening on ");
        server.address = address.with_context(|| format!("null-server printed {line:?}"))?.to_owned();
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process; taskset becomes the server and keeps the id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes the server's standard input and waits for it to end.
    ///
    /// # Errors
    /// A server that had ended before, or that ended in error.
    pub fn stop(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "null-server ended by itself");
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "null-server failed: {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended and waited for, unless something went wrong before `stop`.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh() -> (Binaries, Vec<String>) {
        (Binaries::new("/bin".into()), vec!["-c".to_owned()])
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_its_limit() {
        let (binaries, mut arguments) = sh();
        arguments.push("exec sleep 600".to_owned());
        let error = binaries.run("sh", &arguments, None, Duration::from_millis(50)).unwrap_err();
        assert!(format!("{error:#}").contains("killed"), "{error:#}");
    }

    #[test]
    fn failure_silence_and_nonsense_are_told_apart() {
        for (script, expected) in
            [("exit 3", "failed"), ("true", "printed nothing"), ("echo hello", "printed hello")]
        {
            let (binaries, mut arguments) = sh();
            arguments.push(script.to_owned());
            let error = binaries.run("sh", &arguments, None, SERVER_PATIENCE).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
        let error = sh().0.run("no-such-program", &[], None, SERVER_PATIENCE).unwrap_err();
        assert!(error.to_string().contains("not built"), "{error:#}");
    }
}
