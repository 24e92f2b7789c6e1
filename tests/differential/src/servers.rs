//! The two servers of a run, configured alike.

use crate::episode::Pair;
use menagerie_ensemble::{Ensemble, Version};
use menagerie_server::{Like, Rules, Server};
use std::{
    io,
    net::SocketAddr,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::oneshot;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The server of this workspace, behaving like the reference.
    Embedded,
    /// Another Apache ZooKeeper, for a run that must not find anything.
    Real(Version),
}

/// Two servers that run. Dropping it ends them.
#[derive(Debug)]
pub struct Servers {
    version: Version,
    reference: Ensemble,
    subject: Tried,
}

#[derive(Debug)]
enum Tried {
    Real(Ensemble),
    Embedded(Embedded),
}

/// The server of this workspace, on a runtime and a thread of its own.
#[derive(Debug)]
struct Embedded {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How often a server looks for containers and TTL nodes to reap: never, in a run.
const REAP_EVERY: Duration = Duration::from_secs(86_400);
/// The tick of both servers.
const TICK: Duration = Duration::from_millis(500);
/// The longest session timeout they grant.
const MAX_SESSION_TIMEOUT: Duration = Duration::from_secs(60);
/// `super:secret`, which the harness makes all-powerful on a real server.
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

impl Servers {
    /// Starts both.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(version: Version, subject: Subject) -> io::Result<Self> {
        let reference = real(version)?;
        let subject = match subject {
            Subject::Real(version) => Tried::Real(real(version)?),
            Subject::Embedded => Tried::Embedded(Embedded::start(version)?),
        };
        Ok(Self { version, reference, subject })
    }

    /// Where they listen.
    #[must_use]
    pub fn pair(&self) -> Pair {
        let subject = match &self.subject {
            Tried::Real(ensemble) => address(ensemble),
            Tried::Embedded(embedded) => embedded.address,
        };
        Pair { reference: address(&self.reference), subject, version: self.version }
    }
}

impl Embedded {
    fn start(version: Version) -> io::Result<Self> {
        let (started, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                match embedded(version).await {
                    Ok(server) => {
                        let _ = started.send(Ok(server.local_addr()));
                        // An error means that the handle is gone, which says the same.
                        let _ = stopped.await;
                    }
                    Err(why) => drop(started.send(Err(why))),
                }
            });
        });
        let address = address.recv().map_err(io::Error::other)??;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Whether it panicked, the run has shown.
            let _ = thread.join();
        }
    }
}

/// Configured as [`real`] is.
async fn embedded(version: Version) -> io::Result<Server> {
    let like = match version {
        Version::V3_8 => Like::V3_8,
        Version::V3_9 => Like::V3_9,
    };
    let super_digest = Some(SUPER_DIGEST.to_owned());
    let rules = Rules { like, enforce_quota: true, super_digest, ..Rules::default() };
    Server::builder()
        .rules(rules)
        .tick(TICK)
        .session_timeouts(TICK * 2, MAX_SESSION_TIMEOUT)
        .reap_interval(REAP_EVERY)
        .start()
        .await
}

fn address(ensemble: &Ensemble) -> SocketAddr {
    ensemble.node(1).client_addr()
}

fn real(version: Version) -> io::Result<Ensemble> {
    Ensemble::builder(version)
        .super_user()
        .config("tickTime", TICK.as_millis())
        .config("maxSessionTimeout", MAX_SESSION_TIMEOUT.as_millis())
        .jvm_flag("-Dzookeeper.enforceQuota=true")
        .jvm_flag(&format!("-Dznode.container.checkIntervalMs={}", REAP_EVERY.as_millis()))
        .start()
        .map_err(io::Error::other)
}
