//! Members cut off from one another, while clients reach them all: who holds a lock must stop believing in it before the
//! rest of the ensemble gives it to another, whatever its own member still answers.

use crate::{BUDGET, long, run};
use menagerie::{
    Client,
    client::OnExpiry,
    session::{End, State},
};
use menagerie_ensemble::{Ensemble, Network, Node, Result, Version};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
const LOCK: &str = "/lock";

/// How the members part, given the holder's member and the others.
type Cut = fn(&Network, usize, &[usize]) -> Result<()>;

fn both_ways(network: &Network, own: usize, _: &[usize]) -> Result<()> {
    network.isolate(own)
}

/// The holder's member is heard and hears nothing.
fn hears_nothing(network: &Network, own: usize, others: &[usize]) -> Result<()> {
    others.iter().try_for_each(|other| network.block(*other, own))
}

/// The holder's member hears and is not heard.
fn is_not_heard(network: &Network, own: usize, others: &[usize]) -> Result<()> {
    others.iter().try_for_each(|other| network.block(own, *other))
}

async fn client(connect: &str) -> Client {
    let builder = Client::builder(connect).unwrap().session_timeout(SESSION_TIMEOUT);
    builder.on_expiry(OnExpiry::Stop).connect_timeout(BUDGET).connect().await.unwrap()
}

/// The latest end of the lease that the holder ever believed in, and the reads that its member answered last.
#[derive(Debug, Default)]
struct Believed {
    lease_until: Option<Instant>,
    read: Option<Instant>,
    zxid: i64,
}

/// Reads what it can and notes what it believes, until its session is over.
async fn hold(zk: Client) -> Believed {
    let mut believed = Believed::default();
    while !matches!(zk.state(), State::Ended(_)) {
        if let Ok((_, stat)) = zk.get("/beat").timeout(Duration::from_millis(200)).await {
            assert!(
                stat.mzxid >= believed.zxid,
                "reads went back from {:#x} to {:#x}",
                believed.zxid,
                stat.mzxid
            );
            believed.zxid = stat.mzxid;
            believed.read = Some(Instant::now());
        }
        believed.lease_until = believed.lease_until.max(zk.lease_until().map(Instant::from));
        sleep(Duration::from_millis(20)).await;
    }
    believed
}

/// Takes the lock as soon as it is free, writing all the while, and yields when.
async fn take(zk: &Client) -> Instant {
    loop {
        // An answer proves that the lock was free at some time since then, so that is the earliest of its taking.
        let asked = Instant::now();
        if zk.create(LOCK).data("other").ephemeral().await.is_ok() {
            return asked;
        }
        let _ = zk.set("/beat", "other").timeout(Duration::from_secs(1)).await;
        sleep(Duration::from_millis(20)).await;
    }
}

/// A client of one member holds a lock; that member is cut off; a client of the others takes the lock over. Whether the holder
/// was still answered when its lease had run out.
async fn part(ensemble: &Ensemble, own: &Node, cut: Cut) -> bool {
    let others: Vec<_> = ensemble.nodes().iter().filter(|node| node.id() != own.id()).collect();
    let connect: Vec<_> = others.iter().map(|node| node.connect_string()).collect();
    let (holder, other) = (client(&own.connect_string()).await, client(&connect.join(",")).await);
    let _ = other.create("/beat").await;
    holder.create(LOCK).data("holder").ephemeral().await.unwrap();
    // Its writes give it a lease. From then on it reads only: behind a write that is never answered, a server answers nothing.
    while holder.lease_until().is_none_or(|until| Instant::from(until) < Instant::now()) {
        holder.set(LOCK, "holder").await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let session = holder.status().session_id.unwrap();
    let holding = tokio::spawn(hold(holder.clone()));
    let ids: Vec<_> = others.iter().map(|node| node.id()).collect();
    cut(ensemble.network(), own.id(), &ids).unwrap();
    let taken = timeout(BUDGET, take(&other)).await.unwrap();
    // Heard by nobody for longer than its lease may last.
    let apart = Instant::now() + SESSION_TIMEOUT / 2;
    while Instant::now() < apart {
        assert!(
            holder.lease_until().is_none_or(|until| Instant::from(until) < Instant::now()),
            "two holders"
        );
        sleep(Duration::from_millis(20)).await;
    }
    ensemble.network().heal().unwrap();
    let believed = timeout(BUDGET, holding).await.unwrap().unwrap();
    assert_eq!(holder.state(), State::Ended(End::Expired));
    let until = believed.lease_until.unwrap();
    assert!(until <= taken, "the lease was believed for {:?} after another had the lock", until - taken);
    let (data, stat) = other.get(LOCK).await.unwrap();
    assert_eq!((&data[..], stat.ephemeral_owner), (&b"other"[..], other.status().session_id.unwrap()));
    assert_ne!(stat.ephemeral_owner, session);
    other.close().await.unwrap();
    ensemble.heal(BUDGET).unwrap();
    believed.read.is_some_and(|read| read > until)
}

/// A follower answers pings and reads for as long as it may be without its leader: longer than a session lasts here.
async fn followers(version: Version, cuts: &[Cut]) {
    let ensemble = Ensemble::builder(version).nodes(3).networked().config("syncLimit", 14).start().unwrap();
    let ensemble = Arc::new(ensemble);
    let mut answered = 0;
    for cut in cuts {
        let follower = *ensemble.followers(BUDGET).unwrap().first().unwrap();
        answered += usize::from(part(&ensemble, follower, *cut).await);
    }
    assert!(answered > 0, "no member answered its client after the end of the lease: nothing was shown");
}

async fn leaders(version: Version, cuts: &[Cut]) {
    let ensemble = Ensemble::builder(version).nodes(3).networked().start().unwrap();
    for cut in cuts {
        let leader = ensemble.leader(BUDGET).unwrap();
        part(&ensemble, leader, *cut).await;
    }
}

const CUTS: [Cut; 3] = [both_ways, hears_nothing, is_not_heard];

fn versions() -> &'static [Version] {
    if long() { &Version::ALL } else { &[Version::V3_9] }
}

#[test]
fn nobody_holds_a_lock_on_the_word_of_a_follower_that_lost_its_leader() {
    let cuts = if long() { &CUTS[..] } else { &CUTS[1..2] };
    versions().iter().for_each(|version| run(followers(*version, cuts)));
}

#[test]
fn nobody_holds_a_lock_on_the_word_of_a_leader_that_lost_its_followers() {
    let cuts = if long() { &CUTS[..] } else { &CUTS[..1] };
    versions().iter().for_each(|version| run(leaders(*version, cuts)));
}
