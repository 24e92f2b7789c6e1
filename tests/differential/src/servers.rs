//! The two servers of a run, configured alike.

use crate::episode::Pair;
use menagerie_ensemble::{Ensemble, Version};
use std::{io, net::SocketAddr};

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
}

/// How often a real server looks for containers and TTL nodes to reap: never, in a run.
const REAP_EVERY_MILLIS: &str = "86400000";

impl Servers {
    /// Starts both.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(version: Version, subject: Subject) -> io::Result<Self> {
        let reference = real(version)?;
        let subject = match subject {
            Subject::Real(version) => Tried::Real(real(version)?),
            Subject::Embedded => return Err(io::Error::other("not built yet")),
        };
        Ok(Self { version, reference, subject })
    }

    /// Where they listen.
    #[must_use]
    pub fn pair(&self) -> Pair {
        let subject = match &self.subject {
            Tried::Real(ensemble) => address(ensemble),
        };
        Pair { reference: address(&self.reference), subject, version: self.version }
    }
}

fn address(ensemble: &Ensemble) -> SocketAddr {
    ensemble.node(1).client_addr()
}

fn real(version: Version) -> io::Result<Ensemble> {
    Ensemble::builder(version)
        .super_user()
        .jvm_flag("-Dzookeeper.enforceQuota=true")
        .jvm_flag(&format!("-Dznode.container.checkIntervalMs={REAP_EVERY_MILLIS}"))
        .start()
        .map_err(io::Error::other)
}
