//! Sessions that go from one real member to another: by a new server list, and out of a member that has lost its quorum.

use std::time::Duration;

use menagerie::{
    Client,
    client::WatchEvent,
    jute::{ErrorCode, EventType},
    session::{Server, State},
};
use menagerie_ensemble::{Ensemble, Node, Role, Version};

use crate::support::{BUDGET, run, within};

const SESSION_TIMEOUT: Duration = Duration::from_secs(8);

fn server(node: &Node) -> Server {
    Server { host: node.client_addr().ip().to_string(), port: node.client_addr().port() }
}

async fn until(zk: &Client, wanted: State) {
    let mut seen = zk.status();
    while seen.state != wanted {
        seen = within("change", zk.status_change(&seen)).await;
    }
}

/// A new list that does not name the present server, ten times round the ensemble: the same session, its ephemeral and
/// its watch are there each time.
#[test]
fn a_session_follows_its_server_list_around_three_members() {
    let ensemble = Ensemble::three(Version::V3_9).unwrap();
    run(async {
        let first = Client::builder(&ensemble.node(1).connect_string()).unwrap();
        let zk = first.session_timeout(SESSION_TIMEOUT).connect().await.unwrap();
        zk.create("/mine").ephemeral().await.unwrap();
        zk.create("/watched").await.unwrap();
        let session = zk.status().session_id;
        for round in 1..=10 {
            let (_, _, changed) = zk.get("/watched").watch().await.unwrap();
            let node = ensemble.node(round % 3 + 1);
            let disconnects = zk.status().disconnects;
            zk.set_servers(vec![server(node)]).unwrap();
            within("move", async {
                while zk.status().disconnects == disconnects || zk.server() != Some(server(node)) {
                    zk.status_change(&zk.status()).await;
                }
            })
            .await;
            assert_eq!((zk.status().session_id, zk.status().epoch), (session, 1));
            let mine = zk.exists("/mine").await.unwrap().expect("its ephemeral");
            assert_eq!(Some(mine.ephemeral_owner), session);
            zk.set("/watched", format!("{round}")).await.unwrap();
            let WatchEvent::Event { event_type, .. } = within("event", changed).await else {
                panic!("no event")
            };
            assert_eq!(event_type, EventType::NODE_DATA_CHANGED);
        }
        // The same member among others: nobody was taken away, and the session may stay or move, but not end.
        zk.set_servers(ensemble.nodes().iter().map(server).collect()).unwrap();
        zk.set("/watched", "end").await.unwrap();
        assert_eq!((zk.status().session_id, zk.status().epoch), (session, 1));
    });
}

/// Two of three members die; the third serves readers. A client that takes that reads there, and is told that it may not
/// write; when the quorum is back it writes, in a session of its own.
#[test]
fn a_client_of_a_read_only_member_writes_once_the_quorum_is_back() {
    let ensemble = Ensemble::builder(Version::V3_9)
        .nodes(3)
        .jvm_flag("-Dreadonlymode.enabled=true")
        .config("localSessionsEnabled", true)
        .start()
        .unwrap();
    run(async {
        let writer = Client::connect(&ensemble.connect_string()).await.unwrap();
        writer.create("/seen").data("before").await.unwrap();
        writer.sync("/seen").await.unwrap();
        writer.close().await.unwrap();
    });
    ensemble.node(2).kill().unwrap();
    ensemble.node(3).kill().unwrap();
    let alone = ensemble.node(1).wait_for_role(BUDGET, |role| role == Role::ReadOnly).unwrap();
    assert_eq!(alone, Role::ReadOnly);
    run(async {
        let builder = Client::builder(&ensemble.connect_string()).unwrap().read_only(true);
        let zk = builder.session_timeout(SESSION_TIMEOUT).connect().await.unwrap();
        let before = zk.status();
        assert_eq!((before.state, zk.server()), (State::ConnectedReadOnly, Some(server(ensemble.node(1)))));
        assert_eq!(zk.get("/seen").await.unwrap().0, "before");
        assert_eq!(zk.set("/seen", "x").await.unwrap_err().code(), Some(ErrorCode::NOT_READ_ONLY));
        ensemble.node(2).start().unwrap();
        ensemble.node(3).start().unwrap();
        until(&zk, State::Connected).await;
        let after = zk.status();
        assert!(after.epoch > before.epoch && after.session_id != before.session_id);
        zk.set("/seen", "after").await.unwrap();
        assert_eq!(zk.get("/seen").await.unwrap().0, "after");
    });
}
