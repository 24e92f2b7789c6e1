//! What a row sees: one server, a place of its own in the tree, and how to speak to it.

use crate::{Row, Session, Setup, Wire, connect_request, embedded::like, lane::Running};
use menagerie_ensemble::{Ensemble, Version};
use menagerie_jute::ErrorCode;
use menagerie_server::Like;
use std::{
    cell::OnceCell,
    fmt,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

/// The servers of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// Ours, in this process.
    Embedded,
    /// Apache ZooKeeper 3.8.0, as Debian patches it.
    V3_8,
    /// Apache ZooKeeper 3.9.3.
    V3_9,
}

impl Server {
    /// Every server.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::V3_8, Self::V3_9];

    /// The real one's version.
    #[must_use]
    pub fn version(self) -> Option<Version> {
        match self {
            Self::Embedded => None,
            Self::V3_8 => Some(Version::V3_8),
            Self::V3_9 => Some(Version::V3_9),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::V3_8 => "v3_8",
            Self::V3_9 => "v3_9",
        })
    }
}

/// A running server, as one row sees it.
#[derive(Debug)]
pub struct Target<'a> {
    row: &'a Row,
    server: Server,
    running: &'a Running,
    base: OnceCell<String>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(row: &'a Row, server: Server, running: &'a Running) -> Self {
        Self { row, server, running, base: OnceCell::new() }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.running.addr()
    }

    /// Where each server of the ensemble listens; one address for one server.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        let nodes = self.ensemble().map(Ensemble::nodes).unwrap_or_default();
        let addrs: Vec<_> = nodes.iter().map(menagerie_ensemble::Node::client_addr).collect();
        if addrs.is_empty() { vec![self.addr()] } else { addrs }
    }

    /// Whether this is the embedded server, which is stricter in this row.
    ///
    /// # Panics
    /// When the row's entry does not say [`Row::stricter`]: then it may not tell servers apart.
    #[must_use]
    pub fn is_stricter(&self) -> bool {
        assert!(self.row.stricter.is_some(), "row {} is not marked as stricter", self.row.id);
        self.server == Server::Embedded
    }

    /// Whether the server is, or imitates, 3.9 and not 3.8.
    ///
    /// # Panics
    /// When the row's entry does not say [`Row::differs`]: then it may not tell versions apart.
    #[must_use]
    pub fn since_3_9(&self) -> bool {
        assert!(self.row.differs.is_some(), "row {} is not marked as one where versions differ", self.row.id);
        match self.server {
            Server::Embedded => like() >= Like::V3_9,
            server => server == Server::V3_9,
        }
    }

    /// A znode for this row alone, which is made at the first call.
    #[must_use]
    pub fn base(&self) -> &str {
        self.base.get_or_init(|| {
            let path = format!("/{}", self.row.id.to_lowercase());
            let made = self.session().create(&path, b"");
            assert!(matches!(made, Ok(_) | Err(ErrorCode::NODE_EXISTS)), "making {path}: {made:?}");
            path
        })
    }

    /// A path below [`base`](Self::base).
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.base())
    }

    /// A connection on which nothing has been said.
    #[must_use]
    pub fn dial(&self) -> Wire {
        Wire::dial(self.addr())
    }

    /// A new session of 10 seconds.
    #[must_use]
    pub fn session(&self) -> Session {
        self.session_of(10_000)
    }

    /// A new session of that timeout.
    #[must_use]
    pub fn session_of(&self, timeout_ms: i32) -> Session {
        Session::open(self.dial(), &connect_request(timeout_ms))
            .unwrap_or_else(|| panic!("{} refuses a new session", self.server))
    }

    /// Another server of the same kind, for rows that stop it or need several. It ends with its handle.
    #[must_use]
    pub fn start(&self, setup: &Setup) -> Running {
        Running::start(self.server, setup).unwrap_or_else(|why| panic!("{why}"))
    }

    /// A new session of 10 seconds on a server that the row has started.
    #[must_use]
    pub fn session_on(&self, running: &Running) -> Session {
        Session::open(Wire::dial(running.addr()), &connect_request(10_000))
            .unwrap_or_else(|| panic!("{} refuses a new session", self.server))
    }

    /// A server where `path`, below the root, has that version, and so many children were created below it.
    #[must_use]
    pub fn start_aged(&self, path: &str, version: i32, creates: i32) -> Running {
        Running::start_aged(self.server, path, version, creates).unwrap_or_else(|why| panic!("{why}"))
    }

    /// A server that runs and does not serve, for as long as its handle lives.
    #[must_use]
    pub fn start_not_serving(&self) -> Running {
        Running::start_not_serving(self.server).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The embedded server itself, for its handles; `None` for a real one.
    #[must_use]
    pub fn embedded(&self) -> Option<&menagerie_server::Server> {
        self.running.embedded()
    }

    /// The handle of the real server; `None` for the embedded one.
    #[must_use]
    pub fn ensemble(&self) -> Option<&Ensemble> {
        self.running.ensemble()
    }

    /// The server, for rows about starting and stopping.
    #[must_use]
    pub fn running(&self) -> &Running {
        self.running
    }

    /// Sends a four-letter word and returns what comes back before the server hangs up.
    #[must_use]
    pub fn word(&self, word: &str) -> String {
        let mut wire = self.dial();
        wire.send_raw(word.as_bytes());
        String::from_utf8(wire.read_to_end().to_vec()).unwrap()
    }

    /// Looks again and again until there is a value, or `within` has passed.
    ///
    /// # Panics
    /// When the time is over; with what was waited for.
    #[track_caller]
    pub fn eventually<T>(&self, what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        loop {
            let overdue = Instant::now() >= deadline;
            match look() {
                Some(value) => return value,
                None if overdue => panic!("no {what} within {within:?}"),
                None => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Waits until the server holds no session: what a row that counts must begin with.
    pub(crate) fn wait_until_quiet(&self) {
        self.eventually("end of all sessions", Duration::from_secs(12), || {
            let words = self.word("mntr");
            words.lines().any(|line| line.trim() == "zk_global_sessions\t0").then_some(())
        });
    }
}
