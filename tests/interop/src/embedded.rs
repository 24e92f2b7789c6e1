//! The embedded server as a target: its own handles do what programs ask for, its own log shows the requests.

use crate::run::Target;
use menagerie_ensemble::proxy::Proxy;
use menagerie_server::{Builder, Limits, Server};
use std::{collections::BTreeMap, time::Duration};
use tokio::runtime::Runtime;

/// As the real server of these tests is configured.
const TICK: Duration = Duration::from_millis(500);
const LONGEST_SESSION: Duration = Duration::from_secs(60);
/// How often servers look for empty containers where a test waits for that.
pub(crate) const REAPING: Duration = Duration::from_millis(200);
/// More than any program sends; less would lose the beginning.
const LOG: usize = 100_000;

/// A server of this process.
#[derive(Debug)]
pub struct Embedded {
    remote: Proxy,
    server: Server,
    runtime: Runtime,
}

impl Embedded {
    /// Starts it, on a runtime of its own.
    ///
    /// # Errors
    /// When it cannot listen, in words.
    pub fn start() -> Result<Self, String> {
        Self::run(Server::builder())
    }

    /// One that looks for empty containers at the pace of `REAPING`.
    ///
    /// # Errors
    /// When it cannot listen, in words.
    pub fn reaping() -> Result<Self, String> {
        Self::run(Server::builder().reap_interval(REAPING))
    }

    fn run(builder: Builder) -> Result<Self, String> {
        let words = |why: std::io::Error| format!("starting the embedded server: {why}");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(words)?;
        let mut limits = Limits::default();
        limits.tick = TICK;
        limits.max_session_timeout = Some(LONGEST_SESSION);
        limits.log = LOG;
        let server = runtime.block_on(builder.limits(limits).start()).map_err(words)?;
        let remote = Proxy::start(server.local_addr()).map_err(|why| why.to_string())?;
        Ok(Embedded { remote, server, runtime })
    }
}

impl Target for Embedded {
    fn name(&self) -> String {
        "embedded".to_owned()
    }

    fn connect_string(&self) -> String {
        self.server.connect_string()
    }

    fn remote_connect_string(&self) -> String {
        self.remote.connect_string()
    }

    fn set_remote_away(&self, away: bool) -> Result<(), String> {
        let done = if away { self.remote.refuse() } else { self.remote.accept() };
        done.map_err(|why| why.to_string())
    }

    fn drop_connections(&self) -> Result<(), String> {
        match self.server.kill_connections() {
            0 => Err("there was no connection".to_owned()),
            _ => Ok(()),
        }
    }

    fn restart(&self) -> Result<(), String> {
        self.runtime.block_on(self.server.restart()).map_err(|why| format!("restarting: {why}"))
    }

    fn expire(&self, session: i64, _password: &[u8]) -> Result<(), String> {
        if self.server.expire(session) { Ok(()) } else { Err(format!("there is no session {session:#x}")) }
    }

    /// The log has a request once it is answered.
    fn opcodes(&self) -> Result<BTreeMap<i32, u64>, String> {
        let requests = self.server.requests();
        if requests.len() >= LOG {
            return Err("the log of requests was too short".to_owned());
        }
        let mut opcodes = BTreeMap::new();
        for request in requests {
            *opcodes.entry(request.op.0).or_default() += 1;
        }
        Ok(opcodes)
    }
}
