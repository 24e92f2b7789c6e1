//! Many sessions at once: a whole ensemble restarts under them, and every one of them must come back, without a stampede.

use crate::{BUDGET, long, run};
use menagerie::{
    Client,
    client::{OnExpiry, Transport},
    session::State,
};
use menagerie_ensemble::{Ensemble, Version};
use serde_json::json;
use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};

const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// Connecting at once, while they are made.
const BATCH: usize = 50;
/// Lists of its sessions that the leader is asked for.
const LISTINGS: usize = 10;
/// How long the ensemble is away before it is started again.
const AWAY: Duration = Duration::from_secs(4);

/// One client, and when it dialled.
struct Member {
    zk: Client,
    session: i64,
    dials: Arc<Mutex<Vec<Instant>>>,
}

impl Member {
    async fn join(connect: &str, number: usize) -> Self {
        let dials: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let transport = Transport::custom({
            let dials = dials.clone();
            move |host: String, port: u16| {
                dials.lock().unwrap().push(Instant::now());
                async move { TcpStream::connect((host, port)).await }
            }
        });
        let builder = Client::builder(connect).unwrap().session_timeout(SESSION_TIMEOUT).transport(transport);
        let builder = builder.on_expiry(OnExpiry::Stop).connect_timeout(BUDGET);
        let zk = builder.connect().await.unwrap();
        zk.create(format!("/herd/{number}")).ephemeral().await.unwrap();
        let session = zk.status().session_id.unwrap();
        dials.lock().unwrap().clear();
        Member { zk, session, dials }
    }

    /// Waits until it is connected, or until it is not; yields when.
    async fn until(&self, connected: bool) -> Instant {
        let mut status = self.zk.status();
        while (status.state == State::Connected) != connected {
            assert!(!matches!(status.state, State::Ended(_)), "{status:?}");
            status = self.zk.status_change(&status).await;
        }
        Instant::now()
    }
}

/// The most that lie within one second, and how many there are.
fn busiest_second(dials: &[Instant]) -> usize {
    let within = |first: &Instant| {
        dials.iter().filter(|dial| *dial >= first && **dial < *first + Duration::from_secs(1)).count()
    };
    dials.iter().map(within).max().unwrap_or(0)
}

/// So many sessions, each with an ephemeral.
async fn gather(connect: &str, sessions: usize) -> Vec<Member> {
    let mut herd = Vec::new();
    while herd.len() < sessions {
        let batch = herd.len()..(herd.len() + BATCH).min(sessions);
        let joining: Vec<_> = batch
            .map(|number| {
                let connect = connect.to_owned();
                tokio::spawn(async move { Member::join(&connect, number).await })
            })
            .collect();
        for member in joining {
            herd.push(member.await.unwrap());
        }
    }
    herd
}

/// Sessions that the leader does not have, or whose clients have another. A listing is not made at one moment: a session that
/// a ping moves from one tick's set to another's while they are printed is missing, so each is to be in one of several.
fn expired(ensemble: &Ensemble, herd: &[Member]) -> usize {
    let mut missing: Vec<_> = herd.iter().map(|member| member.session).collect();
    for _ in 0..LISTINGS {
        let dump = ensemble.leader(BUDGET).unwrap().dump().unwrap();
        missing.retain(|session| !dump.sessions.contains(session));
    }
    let others = herd.iter().filter(|member| member.zk.status().session_id != Some(member.session));
    missing.len() + others.count()
}

async fn restart(version: Version, sessions: usize) {
    let ensemble = Arc::new(Ensemble::builder(version).nodes(3).heap_mib(512).start().unwrap());
    let connect = ensemble.connect_string();
    let first = Client::connect(&connect).await.unwrap();
    first.create("/herd").await.unwrap();
    first.close().await.unwrap();
    let herd = gather(&connect, sessions).await;
    let herd = Arc::new(herd);
    ensemble.nodes().iter().for_each(|node| node.kill().unwrap());
    for member in herd.iter() {
        tokio::time::timeout(BUDGET, member.until(false)).await.unwrap();
    }
    let gone = Instant::now();
    let coming: Vec<_> = (0..sessions)
        .map(|place| {
            let herd = herd.clone();
            tokio::spawn(async move { herd[place].until(true).await })
        })
        .collect();
    let restarting = tokio::task::spawn_blocking({
        let ensemble = ensemble.clone();
        move || {
            std::thread::sleep(AWAY);
            ensemble.heal(BUDGET).unwrap();
            Instant::now()
        }
    });
    let mut back = Vec::new();
    for each in coming {
        back.push(tokio::time::timeout(BUDGET, each).await.unwrap().unwrap());
    }
    let healed = restarting.await.unwrap();
    back.sort_unstable();
    let witness = Client::connect(&connect).await.unwrap();
    witness.sync("/herd").await.unwrap();
    let (there, _) = witness.children("/herd").await.unwrap();
    let expired = expired(&ensemble, &herd);
    let dials: Vec<_> = herd.iter().map(|member| member.dials.lock().unwrap().clone()).collect();
    let away = back[0].duration_since(gone);
    let comes_back = back[sessions - 1].duration_since(back[0]);
    let most = dials.iter().map(Vec::len).max().unwrap();
    let busiest = dials.iter().map(|dials| busiest_second(dials)).max().unwrap();
    let line = json!({
        "version": version.number(), "sessions": sessions, "expired": expired, "ephemerals": there.len(),
        "first_back_ms": millis(away), "all_back_ms": millis(back[sessions - 1].duration_since(gone)),
        "healed_ms": millis(healed.duration_since(gone)),
        "reattached_per_second": u128::try_from(sessions).unwrap() * 1000 / comes_back.as_millis().max(1),
        "most_dials_of_one": most,
        "most_dials_of_one_in_a_second": busiest,
        "dials": dials.iter().map(Vec::len).sum::<usize>(),
    });
    println!("herd: {line}");
    let target = ensemble.directory().ancestors().nth(2).unwrap().join("figures");
    fs::create_dir_all(&target).unwrap();
    fs::write(target.join(format!("herd-{}.json", version.number())), format!("{line}\n")).unwrap();
    assert_eq!((expired, there.len()), (0, sessions), "{line}");
    assert!(busiest <= 2, "too many dials: {line}");
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

#[test]
fn nobody_is_lost_when_the_whole_ensemble_restarts() {
    run(restart(Version::V3_9, if long() { 2_000 } else { 200 }));
}
