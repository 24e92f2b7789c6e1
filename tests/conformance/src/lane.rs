//! Rows that share a server: it starts with the first of them and ends with the last.

use crate::{Row, Server, Session, Setup, Target, Wire, connect_request, embedded::Embedded, journal};
use menagerie_ensemble::{Builder, Ensemble, Version};
use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

/// Rows of one server that run at a time, unless they want to be alone. Most of their time they wait.
const SIDE_BY_SIDE: usize = 6;

/// A running server.
#[derive(Debug)]
pub enum Running {
    /// Ours.
    Embedded(Embedded),
    /// A real one, or an ensemble.
    Apache(Ensemble),
}

impl Running {
    pub(crate) fn start(server: Server, setup: &Setup) -> Result<Self, String> {
        let Some(version) = server.version() else { return Embedded::start(setup).map(Self::Embedded) };
        let started = apache(version, setup).start();
        started.map(Self::Apache).map_err(|why| format!("{server} ({}): {why}", setup.name))
    }

    /// A server where `path` has that version, and so many children were created below it.
    pub(crate) fn start_aged(server: Server, path: &str, version: i32, creates: i32) -> Result<Self, String> {
        let Some(release) = server.version() else {
            let embedded = Embedded::start(&Setup::PLAIN)?;
            let made = Session::open(Wire::dial(embedded.addr()), &connect_request(10_000))
                .unwrap()
                .create(path, b"");
            assert!(made.is_ok() && embedded.server().age(path, version, creates), "making {path}: {made:?}");
            return Ok(Self::Embedded(embedded));
        };
        // There is a log and no snapshot, as with a server of long ago.
        let trusting = apache(release, &Setup::PLAIN).jvm_flag("-Dzookeeper.snapshot.trust.empty=true");
        let ensemble = trusting.prepare().map_err(|why| why.to_string())?;
        let node = ensemble.node(1);
        journal::write(&node.directory().join("data"), path, version, creates)
            .map_err(|why| why.to_string())?;
        let started = node.start().and_then(|()| node.wait_serving(Duration::from_secs(60)));
        started.map_err(|why| why.to_string())?;
        Ok(Self::Apache(ensemble))
    }

    /// A server that runs and does not serve: of a real one, the first of three that are not there.
    pub(crate) fn start_not_serving(server: Server) -> Result<Self, String> {
        let Some(version) = server.version() else {
            let embedded = Embedded::start(&Setup::PLAIN)?;
            embedded.server().set_serving(false);
            return Ok(Self::Embedded(embedded));
        };
        let ensemble = apache(version, &Setup { nodes: 3, ..Setup::PLAIN }).prepare();
        let ensemble = ensemble.and_then(|ensemble| ensemble.node(1).start().map(|()| ensemble));
        ensemble.map(Self::Apache).map_err(|why| why.to_string())
    }

    /// Where it, or the first of several, listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        match self {
            Self::Embedded(server) => server.addr(),
            Self::Apache(ensemble) => ensemble.node(1).client_addr(),
        }
    }

    /// A new session of 10 seconds.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::open(Wire::dial(self.addr()), &connect_request(10_000)).unwrap()
    }

    /// The embedded server itself, for its handles.
    #[must_use]
    pub fn embedded(&self) -> Option<&menagerie_server::Server> {
        match self {
            Self::Embedded(embedded) => Some(embedded.server()),
            Self::Apache(_) => None,
        }
    }

    /// The handle of a real server.
    #[must_use]
    pub fn ensemble(&self) -> Option<&Ensemble> {
        match self {
            Self::Embedded(_) => None,
            Self::Apache(ensemble) => Some(ensemble),
        }
    }
}

/// How to start real servers of that setup.
fn apache(version: Version, setup: &Setup) -> Builder {
    let mut builder = Ensemble::builder(version)
        .nodes(setup.nodes)
        .config("tickTime", setup.tick_ms)
        .config("maxSessionTimeout", -1)
        .config("maxClientCnxns", setup.max_client_cnxns)
        .config("4lw.commands.whitelist", setup.four_letter_words.unwrap_or("srvr"))
        .config("reconfigEnabled", setup.reconfig)
        .jvm_flag(&format!("-Dzookeeper.extendedTypesEnabled={}", setup.extended_types))
        .jvm_flag(&format!("-Dzookeeper.enforceQuota={}", setup.enforce_quota))
        .jvm_flag(&format!("-Dznode.container.checkIntervalMs={}", setup.container_check_ms))
        .jvm_flag(&format!("-Dznode.container.maxNeverUsedIntervalMs={}", setup.container_never_used_ms));
    if let Some(limit) = setup.outstanding_limit {
        builder = builder.jvm_flag(&format!("-Dzookeeper.globalOutstandingLimit={limit}"));
    }
    if setup.skip_acl {
        builder = builder.jvm_flag("-Dzookeeper.skipACL=yes");
    }
    if let Some(scheme) = setup.required_scheme {
        builder = builder.jvm_flag("-Dzookeeper.enforce.auth.enabled=true");
        builder = builder.jvm_flag(&format!("-Dzookeeper.enforce.auth.schemes={scheme}"));
    }
    if setup.super_user {
        builder = builder.super_user();
    }
    for (key, value) in setup.apache_config {
        builder = builder.config(key, value);
    }
    for flag in setup.apache_jvm {
        builder = builder.jvm_flag(flag);
    }
    builder
}

/// Rows for one server.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) server: Server,
    pub(crate) setup: &'static Setup,
    pub(crate) alone: bool,
    pub(crate) rows: Vec<&'static Row>,
}

impl Lane {
    /// Whether `row` on `server` belongs here.
    pub(crate) fn takes(&self, server: Server, row: &Row) -> bool {
        self.server == server && self.setup.name == row.setup.name && self.alone == row.alone
    }

    /// Runs all rows, and tells of each as it ends: `None` for good, or what went wrong.
    pub(crate) fn run(&self, tell: &(dyn Fn(Server, &'static Row, Instant, Option<String>) + Sync)) {
        let began = Instant::now();
        let running = match Running::start(self.server, self.setup) {
            Ok(running) => running,
            Err(why) => {
                return self.rows.iter().for_each(|row| tell(self.server, row, began, Some(why.clone())));
            }
        };
        let left = Mutex::new(self.rows.iter().copied());
        let next = || left.lock().unwrap().next();
        let work = || {
            while let Some(row) = next() {
                let began = Instant::now();
                tell(self.server, row, began, self.check(row, &running));
            }
        };
        thread::scope(|scope| {
            let workers = if self.alone { 1 } else { SIDE_BY_SIDE.min(self.rows.len()) };
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
    }

    fn check(&self, row: &Row, running: &Running) -> Option<String> {
        let checked = catch_unwind(AssertUnwindSafe(|| {
            let target = Target::new(row, self.server, running);
            if self.alone {
                target.wait_until_quiet();
            }
            (row.check)(&target);
        }));
        checked.err().map(|_| crate::runner::last_panic())
    }
}
