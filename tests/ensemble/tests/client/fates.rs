//! What is said of writes whose answers, or whose bytes, a cut connection swallowed.

use crate::support::{At, BUDGET, on_every_version};
use menagerie::Client;
use menagerie::client::Settled;
use menagerie::jute::OpCode;
use menagerie::session::{Cause, Fate, Loss};
use menagerie_ensemble::proxy::{Direction, Proxy};
use std::time::Duration;
use tokio::time::Instant;

/// Waits until so many requests of this kind came through the proxy.
async fn passed(proxy: &Proxy, op: OpCode, frames: u64) {
    let enough = || proxy.counts().frames(op.0) >= frames;
    let all = async {
        while !enough() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BUDGET, all).await.unwrap();
}

async fn through(proxy: &Proxy, at: &At) -> Client {
    let builder = Client::builder(&proxy.connect_string()).unwrap().chroot(at.root());
    let zk = builder.connect().await.unwrap();
    zk.ensure_chroot().await.unwrap();
    zk
}

#[test]
fn a_write_whose_answer_is_lost_is_unknown_and_not_repeated() {
    on_every_version("/fates-lost", async |at| {
        let proxy = Proxy::start(at.node.client_addr()).unwrap();
        let (zk, other) = (through(&proxy, &at).await, at.client().await);
        let before = zk.create("/a").data("0").await.unwrap().stat.unwrap();
        proxy.reset_counts();
        proxy.hold(Direction::ToClient);
        let waiting = tokio::spawn({
            let zk = zk.clone();
            async move { (zk.set("/a", "1").await, zk.create("/s-").sequential().await) }
        });
        let pipelined = zk.create("/p-").sequential().send();
        passed(&proxy, OpCode::SET_DATA, 1).await;
        passed(&proxy, OpCode::CREATE2, 1).await;
        // Another session sees both done, while this one has heard of neither.
        let (mut changed, mut data) = (true, Vec::new());
        while changed {
            data = other.sync("/a").get("/a").await.unwrap().0.to_vec();
            let children = other.children("/").await.unwrap().0;
            changed = data != b"1" || !children.iter().any(|name| name.starts_with("p-"));
        }
        assert_eq!(data, b"1");
        proxy.cut();
        proxy.resume(Direction::ToClient);
        let error = pipelined.await.unwrap_err();
        assert_eq!((error.fate(), error.is_retryable()), (Fate::Unknown, false), "{error}");
        let (set, create) = waiting.await.unwrap();
        let lost = set.unwrap_err();
        assert_eq!((lost.fate(), lost.path(), lost.may_have_applied()), (Fate::Unknown, Some("/a"), true));
        // The one behind it was never on the way, and goes out over the next connection.
        assert_eq!(create.unwrap().path, "/s-0000000002");
        assert_eq!(zk.settle_set(lost, &before, b"1").await.unwrap(), Settled::Inferred);
        let tree = at.tree();
        let paths: Vec<_> = tree.keys().map(String::as_str).collect();
        assert_eq!(paths, ["", "/a", "/p-0000000001", "/s-0000000002"]);
        assert_eq!(tree["/a"].version, 1);
        assert_eq!(zk.status().disconnects, 1);
    });
}

#[test]
fn a_lost_delete_and_a_lost_protected_create_are_found_out() {
    on_every_version("/fates-settled", async |at| {
        let proxy = Proxy::start(at.node.client_addr()).unwrap();
        let (zk, other) = (through(&proxy, &at).await, at.client().await);
        let before = zk.create("/a").await.unwrap().stat.unwrap();
        let (_, gone) = other.exists("/a").watch().await.unwrap();
        proxy.hold(Direction::ToClient);
        let delete = zk.delete("/a").send();
        gone.await;
        let (_, _, came) = other.children("/").watch().await.unwrap();
        let create = tokio::spawn({
            let zk = zk.clone();
            async move { zk.create("/lock-").ephemeral().sequential().protected().await }
        });
        came.await;
        proxy.cut();
        proxy.resume(Direction::ToClient);
        let lost = delete.await.unwrap_err();
        assert_eq!(lost.fate(), Fate::Unknown);
        assert_eq!(zk.settle_delete(lost, &before).await.unwrap(), Settled::Inferred);
        let created = create.await.unwrap().unwrap();
        let tree = at.tree();
        assert_eq!(tree.keys().map(String::as_str).collect::<Vec<_>>(), ["", created.path.as_str()]);
        assert_eq!(tree[&created.path].ephemeral_owner, zk.status().session_id.unwrap());
    });
}

#[test]
fn what_no_byte_left_of_was_not_sent_and_is_not_there() {
    on_every_version("/fates-unsent", async |at| {
        let proxy = Proxy::start(at.node.client_addr()).unwrap();
        let zk = through(&proxy, &at).await;
        // Far more than the sockets on the way hold while the proxy passes nothing on.
        proxy.hold(Direction::ToServer);
        let body = vec![b'x'; 500_000];
        let sent: Vec<_> =
            (0..60).map(|number| zk.create(format!("/n{number:02}")).data(body.clone()).send()).collect();
        proxy.wait_counts(BUDGET, |counts| counts.frames(OpCode::CREATE2.0) > 0).unwrap();
        let waiting = tokio::spawn({
            let zk = zk.clone();
            async move { zk.create("/awaited").await }
        });
        while zk.stats().in_flight < 61 {
            tokio::task::yield_now().await;
        }
        proxy.cut();
        proxy.resume(Direction::ToServer);
        let mut fates = Vec::new();
        for each in sent {
            fates.push(each.await.map_or_else(|error| error.fate(), |_| Fate::Applied));
        }
        waiting.await.unwrap().unwrap();
        let tree = at.tree();
        let there = |number: usize| tree.contains_key(&format!("/n{number:02}"));
        let unsent = fates.iter().position(|fate| *fate == Fate::NotSent).unwrap();
        // In a pipeline what was sent is a prefix; of the rest nothing was.
        assert!(unsent > 0 && fates[..unsent].iter().all(|fate| *fate == Fate::Unknown), "{fates:?}");
        assert!(fates[unsent..].iter().all(|fate| *fate == Fate::NotSent), "{fates:?}");
        assert!((unsent..60).all(|number| !there(number)) && tree.contains_key("/awaited"));
    });
}

#[test]
fn a_pipeline_that_is_cut_is_done_up_to_one_place() {
    on_every_version("/fates-pipeline", async |at| {
        const REQUESTS: usize = 9_000;
        let proxy = Proxy::start(at.node.client_addr()).unwrap();
        let zk = through(&proxy, &at).await;
        proxy.reset_counts();
        let sent: Vec<_> = (0..REQUESTS).map(|number| zk.create(format!("/{number:04}")).send()).collect();
        proxy.wait_counts(BUDGET, |counts| counts.replies >= 500).unwrap();
        proxy.cut();
        let mut fates = Vec::new();
        for each in sent {
            fates.push(each.await.map_or_else(|error| error.fate(), |_| Fate::Applied));
        }
        // A later request, so that the old connection is fenced off and what is there is there for good.
        zk.sync("/").await.unwrap();
        let tree = at.tree();
        let there = (0..REQUESTS).take_while(|number| tree.contains_key(&format!("/{number:04}"))).count();
        let count = |wanted: Fate| fates.iter().filter(|fate| **fate == wanted).count();
        let (applied, unknown) = (count(Fate::Applied), count(Fate::Unknown));
        println!("{applied} applied, {unknown} unknown, {} not sent, {there} there", count(Fate::NotSent));
        assert_eq!(tree.len() - 1, there, "what was done is a beginning of what was sent");
        assert!(fates.is_sorted_by_key(|fate| match fate {
            Fate::Applied => 0,
            Fate::Unknown => 1,
            Fate::NotSent => 2,
            Fate::Refused => 3,
        }));
        assert!(500 <= applied && applied <= there && there <= applied + unknown && unknown > 0);
        assert_eq!(count(Fate::Refused), 0);
    });
}

#[test]
fn a_peer_that_falls_silent_is_left_in_time_and_the_session_lives_on() {
    on_every_version("/fates-silence", async |at| {
        let proxies =
            [Proxy::start(at.node.client_addr()).unwrap(), Proxy::start(at.node.client_addr()).unwrap()];
        let connect = format!("{},{}", proxies[0].addr(), proxies[1].addr());
        let timeout = Duration::from_secs(6);
        let zk = Client::builder(&connect).unwrap().chroot(at.root()).session_timeout(timeout);
        let zk = zk.connect().await.unwrap();
        zk.ensure_chroot().await.unwrap();
        zk.create("/e").ephemeral().await.unwrap();
        let before = zk.status();
        let in_use = proxies.iter().find(|proxy| proxy.open_connections() > 0).unwrap();
        in_use.hold(Direction::ToClient);
        let since = Instant::now();
        let write = zk.create("/lost").send();
        let read = zk.get("/e");
        let (read, write) = (read.await, write.await);
        let took = since.elapsed();
        // Two thirds of the timeout after the last word, and then another way; long before the session's end.
        assert!((timeout / 2..timeout).contains(&took), "{took:?}");
        read.unwrap();
        let lost = write.unwrap_err();
        assert_eq!((lost.cause(), lost.fate()), (Some(Cause::ConnectionLost(Loss::Silence)), Fate::Unknown));
        let after = zk.status();
        assert_eq!((after.session_id, after.epoch, after.disconnects), (before.session_id, 1, 1));
        assert_eq!(at.tree()["/e"].ephemeral_owner, before.session_id.unwrap());
    });
}
