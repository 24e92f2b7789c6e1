//! The rounds: set, take apart, change a half, put together, change the rest, listen, count.

use anyhow::{Context, Result};
use menagerie::Client;
use menagerie_ensemble::proxy::Proxy;
use tokio::task::block_in_place;

use super::{Link, Ours, Report, Side, ZookeeperClient, changes};
use crate::meter::now;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Watches of each kind.
    pub watches: usize,
    /// Disconnects.
    pub disconnects: u64,
}

/// Runs both clients through the rounds on one proxy, and then the control round. `server` is the address behind the proxy;
/// its tree is empty.
///
/// # Errors
/// The second client, the proxy, or a client that never connects.
pub async fn run(plan: Plan, proxy: &Proxy, server: &str) -> Result<Report> {
    let zk = Client::connect(server).await.context("the second client")?;
    changes::prepare(&zk, plan.watches).await.context("making the znodes")?;
    let mut ours = Side::<Ours>::connect(proxy.connect_string(), plan.watches).await?;
    let mut theirs = Side::<ZookeeperClient>::connect(proxy.connect_string(), plan.watches).await?;
    let apart = |number: usize| number % 2 == 0;
    let (early, late): (Vec<_>, Vec<_>) = (0..plan.watches).partition(|number| apart(*number));
    let mut longest_apart = std::time::Duration::ZERO;

    for round in 1..=plan.disconnects {
        tokio::join!(ours.begin(round), theirs.begin(round));
        let left = now();
        block_in_place(|| proxy.refuse())?;
        tokio::join!(ours.wait(Link::Apart), theirs.wait(Link::Apart));
        changes::change(&zk, round, &early).await.context("changes while apart")?;
        block_in_place(|| proxy.accept())?;
        longest_apart = longest_apart.max(now().duration_since(left));
        tokio::join!(ours.wait(Link::Up), theirs.wait(Link::Up));
        changes::change(&zk, round, &late).await.context("changes once back")?;
        tokio::join!(ours.listen(), theirs.listen());
        ours.count(apart);
        theirs.count(apart);
        tokio::join!(ours.check(), theirs.check());
        changes::tidy(&zk, plan.watches).await.context("tidying")?;
    }
    let counts = proxy.counts();

    let control = plan.disconnects + 1;
    tokio::join!(ours.begin(control), theirs.begin(control));
    proxy.withhold_notifications(true);
    changes::change(&zk, control, &(0..plan.watches).collect::<Vec<_>>()).await?;
    tokio::join!(ours.listen(), theirs.listen());
    ours.count_control();
    theirs.count_control();
    Ok(Report::new(plan, longest_apart, counts, vec![ours.accounts(plan), theirs.accounts(plan)]))
}
