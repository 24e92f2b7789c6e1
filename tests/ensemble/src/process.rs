//! One child process that cannot outlive the test process.
//!
//! `setpriv --pdeathsig KILL` has the kernel kill the child when its parent dies. The kernel means the parent
//! *thread*, and a test's thread ends with the test; so one thread that lives as long as the process starts every
//! child. Signals are sent through `sh`: the standard library can only kill, and only by process id.

use crate::{Error, Result, install, wait::eventually};
use std::{
    ffi::OsString,
    fs, io,
    path::PathBuf,
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
/// For the kernel to carry out a signal.
const SIGNAL: Duration = Duration::from_secs(10);
/// `exec`s its arguments, unless the parent died before `setpriv` had asked to be told.
const GUARD: &str = r#"test "$PPID" = "$0" && exec "$@""#;

/// A running or ended child. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    child: Mutex<Child>,
}

impl Process {
    /// Starts `program` with `arguments` in `directory`, both outputs appended to `log`.
    pub(crate) fn spawn(
        program: PathBuf,
        arguments: Vec<OsString>,
        directory: &PathBuf,
        log: &PathBuf,
        variables: &[(&str, PathBuf)],
    ) -> Result<Self> {
        let output = fs::OpenOptions::new().create(true).append(true).open(log);
        let output = output.map_err(|cause| Error::io(format!("opening {}", log.display()), cause))?;
        let second = output.try_clone().map_err(|cause| Error::io("sharing the log", cause))?;
        let mut command = bound_to_us()?;
        command.arg(program).args(arguments).current_dir(directory);
        command.stdin(Stdio::null()).stdout(output).stderr(second);
        for variable in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"] {
            command.env_remove(variable);
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let child = spawn_from_lasting_thread(command)?;
        Ok(Process { pid: child.id(), child: Mutex::new(child) })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The exit status, or `None` while it runs.
    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        self.lock().try_wait().ok().flatten()
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&self) -> Result<()> {
        let mut child = self.lock();
        let killed = child.kill().and_then(|()| child.wait());
        killed.map(drop).map_err(|cause| Error::io(format!("killing process {}", self.pid), cause))
    }

    /// SIGTERM, then SIGKILL when it still runs ten seconds later. A frozen process is thawed to obey.
    pub(crate) fn stop(&self) -> Result<()> {
        if self.exited().is_some() {
            return Ok(());
        }
        self.signal("TERM")?;
        self.signal("CONT")?;
        let ended = eventually("end after SIGTERM", GRACE, || match self.exited() {
            Some(_) => Ok(()),
            None => Err(String::from("still running")),
        });
        ended.or_else(|_| self.kill())
    }

    /// SIGSTOP, and waits until every thread stands still.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.signal("STOP")?;
        self.wait_for_threads("stop of every thread", |state| matches!(state, 'T' | 't'))
    }

    /// SIGCONT, and waits until every thread may run.
    pub(crate) fn thaw(&self) -> Result<()> {
        self.signal("CONT")?;
        self.wait_for_threads("resumption of every thread", |state| !matches!(state, 'T' | 't'))
    }

    fn signal(&self, name: &str) -> Result<()> {
        // Under the lock nobody reaps the child, so the number cannot have passed to another process.
        let mut child = self.lock();
        if let Ok(Some(status)) = child.try_wait() {
            return Err(Error::new(format!("process {} has ended ({status}): no SIG{name}", self.pid)));
        }
        let pid = self.pid.to_string();
        let sent = Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, name, &pid]).output();
        match sent {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                Err(Error::new(format!("SIG{name} to process {pid}: {said}")))
            }
            Err(cause) => Err(Error::io(format!("SIG{name} to process {pid}"), cause)),
        }
    }

    fn wait_for_threads(&self, what: &str, wanted: impl Fn(char) -> bool) -> Result<()> {
        eventually(what, SIGNAL, || {
            let states = thread_states(self.pid).map_err(|cause| cause.to_string())?;
            if !states.is_empty() && states.iter().all(|state| wanted(*state)) {
                return Ok(());
            }
            Err(format!("thread states {states:?}"))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.kill();
    }
}

/// A command that runs its further arguments, and is killed when this process ends. Start it by
/// [`spawn_from_lasting_thread`].
///
/// # Errors
/// When `setpriv` is not installed.
pub fn bound_to_us() -> Result<Command> {
    let mut command = Command::new(install::program("setpriv")?);
    command.args(["--pdeathsig", "KILL", "--", "/bin/sh", "-c", GUARD]).arg(process::id().to_string());
    Ok(command)
}

struct Job {
    command: Command,
    reply: mpsc::Sender<io::Result<Child>>,
}

/// Starts `command` from a thread that ends only with the process.
///
/// # Errors
/// When it cannot be started.
pub fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for mut job in inbox {
                let _ = job.reply.send(job.command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (reply, answer) = mpsc::channel();
    let sent = spawner.lock().unwrap_or_else(PoisonError::into_inner).send(Job { command, reply });
    sent.map_err(|_| Error::new("the starting thread has ended"))?;
    let child = answer.recv().map_err(|_| Error::new("the starting thread has ended"))?;
    child.map_err(|cause| Error::io("starting a process", cause))
}

/// One letter per thread, as `/proc` shows it: `T` is stopped.
fn thread_states(pid: u32) -> io::Result<Vec<char>> {
    let mut states = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
        // The name before the state is in parentheses and may hold any byte.
        states.extend(stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next()));
    }
    Ok(states)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, path::Path};

    fn spawn_sleeper() -> Process {
        let directory = env::temp_dir();
        Process::spawn("sleep".into(), vec!["1000".into()], &directory, &PathBuf::from("/dev/null"), &[])
            .unwrap()
    }

    fn is_alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn ends_with_its_handle() {
        let sleeper = spawn_sleeper();
        let pid = sleeper.pid();
        assert!(is_alive(pid) && sleeper.exited().is_none());
        drop(sleeper);
        assert!(!is_alive(pid));
    }

    #[test]
    fn lives_on_when_the_thread_that_asked_for_it_ends() {
        let sleeper = thread::spawn(spawn_sleeper).join().unwrap();
        // Anything the kernel would send at the thread's end has arrived once this later child has come and gone.
        drop(spawn_sleeper());
        assert!(sleeper.exited().is_none());
    }

    #[test]
    fn freezes_thaws_and_stops() {
        let sleeper = spawn_sleeper();
        sleeper.freeze().unwrap();
        assert_eq!(thread_states(sleeper.pid()).unwrap(), ['T']);
        sleeper.thaw().unwrap();
        sleeper.freeze().unwrap();
        sleeper.stop().unwrap();
        assert!(sleeper.exited().is_some());
        assert!(sleeper.freeze().unwrap_err().to_string().contains("has ended"));
    }
}
