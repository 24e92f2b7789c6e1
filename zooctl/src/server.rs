//! `zooctl server`: the embedded server as a program of its own, for development and tests.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use menagerie_server::{Like, Limits, Rules};

/// A ZooKeeper-compatible server in memory, for development and tests.
///
/// Any ZooKeeper client can talk to it. What it holds is gone when it ends, and there is one of it: production runs on Apache
/// ZooKeeper. The first line of its output is `listening on ADDR`. It ends, with exit code 0, on SIGINT and SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Where to listen; port 0 takes a free one. Whoever reaches the port can do anything.
    #[arg(long, default_value = "127.0.0.1:2181")]
    listen: SocketAddr,
    /// The unit of session time, as 2s or 500ms: timeouts are granted from 2 to 20 ticks.
    #[arg(long, default_value = "2s", value_parser = duration)]
    tick: Duration,
    /// Which server to behave like, where they differ.
    #[arg(long, value_enum, default_value_t = Version::V3_9)]
    version_like: Version,
    /// Connections from one address; 0 is no limit.
    #[arg(long, default_value_t = 60)]
    max_client_cnxns: usize,
    /// Enforces hard quotas.
    #[arg(long)]
    enforce_quota: bool,
    /// Who passes every ACL: `super:` and the base64 SHA-1 of `super:PASSWORD`.
    #[arg(long)]
    super_digest: Option<String>,
    /// Serves readers only, as a member of an ensemble without a quorum.
    #[arg(long)]
    read_only: bool,
}

/// The servers that can be imitated.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Version {
    /// Apache ZooKeeper 3.4
    #[value(name = "3.4")]
    V3_4,
    /// Apache ZooKeeper 3.5
    #[value(name = "3.5")]
    V3_5,
    /// Apache ZooKeeper 3.8
    #[value(name = "3.8")]
    V3_8,
    /// Apache ZooKeeper 3.9
    #[value(name = "3.9")]
    V3_9,
    /// ClickHouse Keeper
    Keeper,
}

impl Version {
    fn like(self) -> Like {
        match self {
            Self::V3_4 => Like::V3_4,
            Self::V3_5 => Like::V3_5,
            Self::V3_8 => Like::V3_8,
            Self::V3_9 => Like::V3_9,
            Self::Keeper => Like::Keeper,
        }
    }
}

impl Server {
    pub(crate) fn run(self) -> Result<ExitCode> {
        // One lock stands in front of the tree: a second thread would only wait for it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<ExitCode> {
        let mut limits = Limits::default();
        limits.connections_per_address = self.max_client_cnxns;
        let rules = Rules {
            like: self.version_like.like(),
            enforce_quota: self.enforce_quota,
            super_digest: self.super_digest,
            ..Rules::default()
        };
        let mut builder = menagerie_server::Server::builder()
            .listen(self.listen)
            .rules(rules)
            .limits(limits)
            .tick(self.tick);
        if self.read_only {
            builder = builder.read_only();
        }
        // Before anybody can know that it listens, and so before anybody wants it to end.
        let end = end()?;
        let server = builder.start().await.with_context(|| format!("listening on {}", self.listen))?;
        let address = server.local_addr();
        if !address.ip().is_loopback() {
            eprintln!("zooctl: {address} can be reached from other machines, and asks nobody who they are");
        }
        let mut out = std::io::stdout();
        // Nobody may be left to read it; the server is there all the same.
        let _ = writeln!(out, "listening on {address}").and_then(|()| out.flush());
        end.await;
        Ok(ExitCode::SUCCESS)
    }
}

/// Waits for the wish to end.
#[cfg(unix)]
fn end() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Waits for the wish to end.
#[cfg(not(unix))]
fn end() -> Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Reads `2s` or `500ms`.
fn duration(text: &str) -> Result<Duration> {
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(millis), _) => millis.parse().ok().map(Duration::from_millis),
        (None, Some(seconds)) => seconds.parse().ok().map(Duration::from_secs),
        (None, None) => None,
    };
    match parsed {
        Some(duration) if (1..=3_600_000).contains(&duration.as_millis()) => Ok(duration),
        Some(_) => bail!("from 1ms to 3600s"),
        None => bail!("a whole number of seconds or milliseconds, as 2s or 500ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_bounds() {
        assert_eq!(duration("2s").unwrap(), Duration::from_secs(2));
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        for bad in ["", "2", "s", "-1s", "1.5s", "0ms", "0s", "3601s", "99999999999999999999s", "2m", "１s"]
        {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
