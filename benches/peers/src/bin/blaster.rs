//! `blaster --workload W1|W2 --ops N --connect ADDRESS`: the floor under every client, as one line of JSON.

use peers::args::Args;
use peers::drive::Workload;
use peers::meter::require_release_build;
use peers::raw::blast;
use peers::report::{Report, Subject};

fn main() -> anyhow::Result<()> {
    let args = Args::from_env(&["--workload", "--ops", "--connect"], &[])?;
    let profile = require_release_build()?;
    let workload: Workload = args.need("--workload")?;
    let done = blast(&args.need::<String>("--connect")?, workload, args.need("--ops")?)?;
    let subject = Subject {
        client: "blaster",
        runtime: "blocking",
        workload: workload.name(),
        profile,
        counted: false,
    };
    Report::new(subject, u64::try_from(done.ops)?, &done.window, &done.latencies_ns)?.print()
}
