//! The embedded server as its users have it: in a process that does little else, and in this one.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use menagerie_server::{Limits, Server};
use tokio::runtime::{Builder, Runtime};

use crate::frames::Request;
use crate::link::{Link, NARROW};
use crate::process::now;
use crate::servers::FIRST;

/// Listens on a free port, says where in its first line, and serves until it is killed. Defaults all, but as many
/// connections from one address as come.
///
/// # Errors
/// A port that cannot be had.
pub fn serve() -> Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let server = runtime.block_on(start())?;
    writeln!(std::io::stdout(), "listening on {}", server.local_addr())?;
    runtime.block_on(std::future::pending::<()>());
    Ok(())
}

/// How long `Server::start()` takes, until a client has its first reply. The runtime is there before, as in a test;
/// nothing else has run in this process.
///
/// # Errors
/// A server that does not answer.
pub fn start_in_process() -> Result<Duration> {
    let runtime: Runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let began = now();
    let server = runtime.block_on(Server::start()).context("start")?;
    Link::open(server.local_addr(), NARROW)?.call(&Request::get(FIRST, false))?;
    Ok(now().duration_since(began))
}

async fn start() -> Result<Server> {
    let mut limits = Limits::default();
    limits.connections_per_address = 0;
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Server::builder().listen(free).limits(limits).start().await.context("start")
}
