//! `pingpong --ops N --connect ADDRESS`: W1 on a bare tokio socket, current_thread, as one line of JSON.

use peers::args::Args;
use peers::meter::require_release_build;
use peers::raw::ping_pong;
use peers::report::{Report, Subject};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::from_env(&["--ops", "--connect"], &[])?;
    let profile = require_release_build()?;
    let done = ping_pong(&args.need::<String>("--connect")?, args.need("--ops")?).await?;
    let subject = Subject { client: "pingpong", runtime: "ct", workload: "W1", profile, counted: false };
    Report::new(subject, u64::try_from(done.ops)?, &done.window, &done.latencies_ns)?.print()
}
