//! A client in a process of its own, for tests that stop and kill it: registers an instance, holds a lock with a lease, and
//! prints what it believes twenty times a second, one line each:
//!
//! ```text
//! EPOCH SESSION registered|pending held|free
//! ```
//!
//! `held` says that the lock is its own and its lease has not run out, asked as the line is printed.

use menagerie::{
    Client,
    registry::{Instance, Registration, RegistrationState, ZooKeeper, layout::Plain},
};
use std::{env, error::Error, io::Write, time::Duration};

const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
const BEAT: Duration = Duration::from_millis(50);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let connect = env::args().nth(1).ok_or("usage: menagerie_ensemble_child CONNECT")?;
    let zk = Client::builder(&connect)?.session_timeout(SESSION_TIMEOUT).connect().await?;
    let registry = ZooKeeper::new(zk.clone(), Plain::new());
    let registered =
        registry.register(Instance::builder("held").id("child").host("10.0.0.1").port(80)).await?;
    // The lock is of the first session only.
    let pinned = zk.session();
    pinned.create("/lock").ephemeral().await?;
    let _lease = pinned.hold_lease("/lock", 0);
    let mut beat = tokio::time::interval(BEAT);
    loop {
        let status = zk.status();
        let state =
            if registered.state() == RegistrationState::Registered { "registered" } else { "pending" };
        let held = pinned.lease_until().is_some_and(|until| until > std_now());
        let held = if held { "held" } else { "free" };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} {} {state} {held}", status.epoch, status.session_id.unwrap_or(0))?;
        out.flush()?;
        drop(out);
        beat.tick().await;
    }
}

fn std_now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
