//! Every public future, dropped after every number of polls: nobody else may notice.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use menagerie::Client;
use menagerie::client::Error;
use menagerie::jute::{Acl, ErrorCode, EventType, OpCode};
use menagerie::session::{End, Fate, State};
use tokio::time::timeout;

use crate::support::{Server, connected, connected_as, poll_once, scripted, settle, soon, stat};

type Doing<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A future by name, and what the server refuses of its requests first.
type Case = (&'static str, fn(&Client) -> Doing<'_>, &'static [ErrorCode]);

macro_rules! doing {
    ($zk:ident => $future:expr) => {
        |$zk| Box::pin(async move { drop($future.await) })
    };
}

const NO_NODE: &[ErrorCode] = &[ErrorCode::NO_NODE];

const CASES: &[Case] = &[
    ("get", doing!(zk => zk.get("/a")), &[]),
    ("get watched", doing!(zk => zk.get("/a").watch()), &[]),
    ("get watched, sent", doing!(zk => zk.get("/a").watch().send()), &[]),
    ("get watched, refused", doing!(zk => zk.get("/a").watch()), NO_NODE),
    ("exists", doing!(zk => zk.exists("/a")), &[]),
    ("exists watched", doing!(zk => zk.exists("/a").watch()), &[]),
    ("exists watched, missing", doing!(zk => zk.exists("/a").watch()), NO_NODE),
    ("children", doing!(zk => zk.children("/a")), &[]),
    ("children watched", doing!(zk => zk.children("/a").watch()), &[]),
    ("config watched", doing!(zk => zk.config().watch()), &[]),
    ("set", doing!(zk => zk.set("/a", "x")), &[]),
    ("delete", doing!(zk => zk.delete("/a")), &[]),
    ("create", doing!(zk => zk.create("/a")), &[]),
    ("create, old", doing!(zk => zk.create("/a")), &[ErrorCode::UNIMPLEMENTED]),
    ("create with parents", doing!(zk => zk.create("/a/b/c").parents()), NO_NODE),
    ("create protected", doing!(zk => zk.create("/a/n-").sequential().protected()), &[]),
    ("container", doing!(zk => zk.create("/a").container()), &[]),
    ("ttl", doing!(zk => zk.create("/a").ttl(Duration::from_secs(1))), &[]),
    ("acl", doing!(zk => zk.acl("/a")), &[]),
    ("set acl", doing!(zk => zk.set_acl("/a", Acl::OPEN)), &[]),
    ("who am i", doing!(zk => zk.who_am_i()), &[]),
    ("sync", doing!(zk => zk.sync("/a")), &[]),
    ("sync and get", doing!(zk => zk.sync("/a").get("/a")), &[]),
    ("count", doing!(zk => zk.count_descendants("/a")), &[]),
    ("ephemerals", doing!(zk => zk.ephemerals("/a")), &[]),
    ("transaction", doing!(zk => zk.transaction().check("/a", 1).commit()), &[]),
    ("get many", doing!(zk => zk.get_many(["/a", "/b"])), &[]),
    ("reconfig", doing!(zk => zk.reconfig("", "3")), &[]),
    ("delete recursively", doing!(zk => zk.delete_recursive("/a")), &[ErrorCode::NOT_EMPTY]),
    ("ready", doing!(zk => zk.ready()), &[]),
    ("add auth", doing!(zk => zk.add_auth("digest", "u:p")), &[]),
    ("create, sent", doing!(zk => zk.create("/a").send()), &[]),
    ("children many", doing!(zk => zk.children_many(["/a", "/b"])), &[]),
    ("config", doing!(zk => zk.config()), &[]),
    ("reconfig members", doing!(zk => zk.reconfig_members("")), &[]),
    (
        "get in a reserved place",
        doing!(zk => async { zk.get("/a").send_in(zk.ready().await.unwrap()).await }),
        &[],
    ),
    ("ensure chroot", doing!(zk => async { zk.chroot("/a/b").unwrap().ensure_chroot().await }), NO_NODE),
    ("watch", doing!(zk => zk.watch("/a")), &[]),
    ("watch recursively", doing!(zk => zk.watch("/a").recursive()), &[]),
    (
        "changed",
        |zk| {
            Box::pin(async move {
                if let Ok((_, _, changed)) = zk.get("/a").watch().await {
                    changed.await;
                }
            })
        },
        &[],
    ),
    (
        "next",
        |zk| {
            Box::pin(async move {
                if let Ok(mut watcher) = zk.watch("/a").await {
                    watcher.next().await;
                }
            })
        },
        &[],
    ),
];

const PLACES: u32 = 3;

/// Polls so many times, drops, and looks what is left. True if the future completed before.
async fn dropped_after(case: &Case, polls: usize, crowded: bool, answered: bool) -> bool {
    let (client, mut server) = connected_as(|builder| builder.places(PLACES)).await;
    let mut refusals = case.2.to_vec();
    let crowd: Vec<_> = (0..PLACES * u32::from(crowded)).map(|_| client.get("/crowd").send()).collect();
    let mut doing = (case.1)(&client);
    let mut completed = false;
    for poll in 0..polls {
        if poll_once(&mut doing).await.is_ready() {
            completed = true;
            break;
        }
        if (answered || poll + 1 < polls) && !server.answer(&mut refusals).await {
            server.notify(EventType::NODE_DATA_CHANGED, "/a").await;
        }
        settle().await;
    }
    drop(doing);
    drop(crowd);
    while server.answer(&mut refusals).await {}
    settle().await;
    assert_eq!(client.stats().in_flight, 0, "{} leaves requests behind", case.0);
    nobody_noticed(&client, &mut server, case.0).await;
    completed
}

/// Every place is free, replies match their requests, and no watch is re-armed.
async fn nobody_noticed(client: &Client, server: &mut Server, name: &str) {
    let sent: Vec<_> = (0..PLACES).map(|number| client.get(format!("/{number}")).send()).collect();
    server.expect_gets(&["/0", "/1", "/2"]).await;
    for value in ["zero", "one", "two"] {
        server.reply_data(value).await;
    }
    for (read, value) in sent.into_iter().zip(["zero", "one", "two"]) {
        let (data, _) = soon(read).await.unwrap_or_else(|error| panic!("after {name}: {error}"));
        assert_eq!(data, value, "after {name}");
    }
    server.cut();
    server.accept().await;
    let _read = client.get("/again").send();
    let mut first = server.next().await.unwrap();
    if first.header.op == OpCode::AUTH {
        first = server.next().await.unwrap();
    }
    assert_eq!(first.header.op, OpCode::GET_DATA, "{name} leaves a watch behind");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_leaves_nothing_behind() {
    for case in CASES {
        for (crowded, answered) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut polls = 0;
            while !dropped_after(case, polls, crowded, answered).await {
                polls += 1;
                assert!(polls < 60, "{} never completes", case.0);
            }
            assert!(polls > 0, "{} does something without being polled", case.0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_settling_leaves_nothing_behind() {
    for deletes in [false, true] {
        let mut polls = 0;
        loop {
            let (client, mut server) = connected_as(|builder| builder.places(PLACES)).await;
            let lost = lost_write(&client, &mut server, deletes).await;
            let mut settling: Doing<'_> = Box::pin(async {
                let before = stat();
                let _ = match deletes {
                    false => client.settle_set(lost, &before, b"x").await,
                    true => client.settle_delete(lost, &before).await,
                };
            });
            let mut completed = false;
            for _ in 0..polls {
                completed = completed || poll_once(&mut settling).await.is_ready();
                while !completed && server.answer(&mut Vec::new()).await {}
                settle().await;
            }
            drop(settling);
            while server.answer(&mut Vec::new()).await {}
            nobody_noticed(&client, &mut server, "settling").await;
            if completed {
                break;
            }
            polls += 1;
            assert!(polls < 20, "it never completes");
        }
        assert!(polls > 0);
    }
}

/// A write whose answer is lost; the client is connected again.
async fn lost_write(client: &Client, server: &mut Server, deletes: bool) -> Error {
    let lost = async {
        match deletes {
            false => client.set("/a", "x").await.unwrap_err(),
            true => client.delete("/a").await.unwrap_err(),
        }
    };
    let (lost, ()) = tokio::join!(lost, async {
        server.next().await.unwrap();
        server.cut();
        server.accept().await;
    });
    assert_eq!(lost.fate(), Fate::Unknown);
    lost
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connect_hangs_up_at_every_stage() {
    for stage in 0..3 {
        let (builder, mut server) = scripted();
        let mut connecting = Box::pin(builder.connect());
        assert!(poll_once(&mut connecting).await.is_pending());
        if stage > 0 {
            server.hear().await;
        }
        if stage > 1 {
            server.grant(server.session_id).await;
            settle().await;
        }
        drop(connecting);
        match stage {
            2 => server.expect_close().await,
            1 => assert_eq!(server.next().await, None),
            _ => assert!(timeout(Duration::from_secs(60), server.hear_anything()).await.unwrap().is_none()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_close_still_closes() {
    let (client, mut server) = connected().await;
    let mut closing = Box::pin(client.close());
    assert!(poll_once(&mut closing).await.is_pending());
    drop(closing);
    server.expect_close().await;
    assert_eq!(client.state(), State::Ended(End::Closed));
    soon(client.close()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_for_a_change_of_state_misses_none() {
    let (client, mut server) = connected().await;
    let seen = client.status();
    for _ in 0..3 {
        let mut waiting = Box::pin(client.status_change(&seen));
        assert_eq!(poll_once(&mut waiting).await, Poll::Pending);
    }
    server.cut();
    settle().await;
    assert_eq!(soon(client.status_change(&seen)).await.state, State::Disconnected);
}
