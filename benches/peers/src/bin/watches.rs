//! `watches [--watches N] [--disconnects N]`: our client and `zookeeper-client` on one fault proxy before a real
//! Apache ZooKeeper 3.9, as a line of JSON for each client and kind of watch, and a table. It fails if our client lost a
//! watch or its session, or if a loss made on purpose is not seen.

use std::io::Write;

use anyhow::{Result, ensure};
use menagerie_ensemble::proxy::Proxy;
use menagerie_ensemble::{Ensemble, Version};
use peers::args::Args;
use peers::watches::{Plan, run};

fn main() -> Result<()> {
    let args = Args::from_env(&["--watches", "--disconnects"], &[])?;
    let plan = Plan {
        watches: args.get("--watches")?.unwrap_or(1_500),
        disconnects: args.get("--disconnects")?.unwrap_or(10),
    };
    ensure!((2..=5_000).contains(&plan.watches), "--watches is 2 to 5,000");
    ensure!((1..=1_000).contains(&plan.disconnects), "--disconnects is 1 to 1,000");
    let ensemble = Ensemble::builder(Version::V3_9).heap_mib(512).start()?;
    let node = ensemble.node(1);
    let proxy = Proxy::start(node.client_addr())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(plan, &proxy, &node.connect_string()))?;
    write!(std::io::stdout(), "{}\n{}", report.json()?, report.table()?)?;
    report.judge()
}
