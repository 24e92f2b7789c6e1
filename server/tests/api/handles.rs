//! Each handle as a test would use it.

use std::time::Duration;

use menagerie_server::jute::*;
use menagerie_server::{Fault, Matcher, Server, What};
use tokio::time::Instant;

use crate::support::{Peer, creation, greeting, resuming, setting};

const SET: OpCode = OpCode::SET_DATA;

/// A server, and a session on it that made `/a`.
async fn with_a() -> (Server, Peer) {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    assert_eq!(peer.create("/a", CreateMode::PERSISTENT).await, ErrorCode::OK);
    (server, peer)
}

fn data_of(server: &Server, path: &str) -> Option<String> {
    let tree = server.tree();
    let node = tree.iter().find(|node| &*node.path == path)?;
    Some(String::from_utf8_lossy(node.data.as_deref().unwrap_or_default()).into_owned())
}

#[tokio::test(start_paused = true)]
async fn a_session_can_be_expired() {
    let (server, mut watcher) = with_a().await;
    let mut owner = Peer::new(&server).await;
    owner.create("/a/mine", CreateMode::EPHEMERAL).await;
    watcher.exists("/a/mine", true).await;

    assert!(server.expire(owner.id()));

    assert_eq!(watcher.heard().await, ["NodeDeleted /a/mine"]);
    assert_eq!(owner.frame().await, None);
    let back = Peer::greeted(&server, &resuming(&owner.session)).await.unwrap();
    assert_eq!(back.id(), 0, "it learns when it comes back");
    assert!(!server.expire(owner.id()), "there is none any more");
}

#[tokio::test(start_paused = true)]
async fn connections_can_be_killed_and_sessions_come_back() {
    let (server, mut peer) = with_a().await;
    let mut other = Peer::new(&server).await;
    assert!(server.kill_connection(peer.id()));
    assert_eq!(peer.frame().await, None);
    assert!(other.ping().await.is_some());
    assert_eq!(server.kill_connections(), 1);
    assert_eq!(other.frame().await, None);
    assert_eq!(Peer::greeted(&server, &resuming(&other.session)).await.unwrap().id(), other.id());
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_answers_but_not_time() {
    let (server, mut peer) = with_a().await;
    server.pause();
    peer.send(SET, &setting("/a", "y")).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(data_of(&server, "/a").as_deref(), Some("x"), "not even read");
    server.resume();
    assert_eq!(peer.answer().await.unwrap().header.err, ErrorCode::OK);

    assert!(server.pause_session(peer.id()));
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(server.sessions(), []);
    assert_eq!(peer.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_the_port_the_data_and_the_sessions() {
    let (server, mut peer) = with_a().await;
    let address = server.local_addr();
    server.stop().await.unwrap();
    assert_eq!(peer.frame().await, None);
    assert!(server.connector().connect().await.is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    server.restart().await.unwrap();
    assert_eq!(server.local_addr(), address);
    assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    let mut back = Peer::greeted(&server, &resuming(&peer.session)).await.unwrap();
    assert_eq!(back.id(), peer.id(), "its time stood still");
    assert!(back.exists("/a", false).await);
}

#[tokio::test(start_paused = true)]
async fn an_operation_can_be_cut_off_before_it_happens() {
    let (server, mut peer) = with_a().await;
    server.cut_before(Matcher::op(SET).path("/a"));
    assert!(peer.call(SET, &setting("/a", "y")).await.is_none());
    assert_eq!(data_of(&server, "/a").as_deref(), Some("x"));
}

#[tokio::test(start_paused = true)]
async fn an_operation_can_be_cut_off_after_it_happened() {
    let (server, mut peer) = with_a().await;
    server.cut_after(Matcher::op(SET).path("/a"));
    assert!(peer.call(SET, &setting("/a", "y")).await.is_none());
    assert_eq!(data_of(&server, "/a").as_deref(), Some("y"));
    let mut back = Peer::greeted(&server, &resuming(&peer.session)).await.unwrap();
    assert_eq!(back.set("/a", "z").await, ErrorCode::OK, "once");
}

#[tokio::test(start_paused = true)]
async fn an_operation_can_fail() {
    let (server, mut peer) = with_a().await;
    server.fail(Matcher::op(SET).after(1).times(2), ErrorCode::NO_AUTH);
    let mut codes = Vec::new();
    for data in ["1", "2", "3", "4"] {
        codes.push(peer.set("/a", data).await);
    }
    assert_eq!(codes, [ErrorCode::OK, ErrorCode::NO_AUTH, ErrorCode::NO_AUTH, ErrorCode::OK]);
    assert_eq!(server.planned(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_late_and_what_is_behind_it_waits() {
    let (server, mut peer) = with_a().await;
    server.delay(Matcher::op(SET), Duration::from_secs(3));
    let began = Instant::now();
    peer.send(SET, &setting("/a", "y")).await;
    peer.send(OpCode::EXISTS, &ExistsRequest { path: "/a", watch: false }).await;
    peer.answer().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 3);
    peer.answer().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_can_be_late() {
    let (server, mut peer) = with_a().await;
    server.delay(Matcher::op(OpCode::CLOSE_SESSION), Duration::from_secs(30));
    let began = Instant::now();
    assert_eq!(peer.err(OpCode::CLOSE_SESSION, &()).await, ErrorCode::OK);
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(peer.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_notification_can_be_withheld() {
    let (server, mut writer) = with_a().await;
    let mut watcher = Peer::new(&server).await;
    watcher.get("/a", true).await;
    server.withhold(Matcher::event().path("/a").session(watcher.id()));
    writer.set("/a", "y").await;
    watcher.send(OpCode::PING, &()).await;
    assert!(tokio::time::timeout(Duration::from_secs(5), watcher.frame()).await.is_err(), "not a byte");
    server.release();
    assert_eq!(watcher.event().await.event_type, EventType::NODE_DATA_CHANGED);
    assert!(watcher.answer().await.is_some(), "and what waited behind it");
}

#[tokio::test(start_paused = true)]
async fn plans_can_be_forgotten() {
    let (server, mut peer) = with_a().await;
    server.plan(Matcher::any().always(), Fault::Fail(ErrorCode::SYSTEM_ERROR));
    assert_eq!(peer.set("/a", "y").await, ErrorCode::SYSTEM_ERROR);
    server.forget_plans();
    assert_eq!(peer.set("/a", "y").await, ErrorCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_server_can_be_read_only() {
    let (server, mut peer) = with_a().await;
    server.set_read_only(true);
    assert_eq!(peer.frame().await, None);
    assert!(Peer::greeted(&server, &greeting(10_000)).await.is_none(), "did not ask for it");
    let mut reader = ConnectRequest { read_only: Some(true), ..greeting(10_000) };
    let mut reading = Peer::greeted(&server, &reader).await.unwrap();
    assert_eq!(reading.session.read_only, Some(true));
    assert!(reading.exists("/a", false).await);
    for (op, body) in [(SET, setting("/a", "y")), (OpCode::SYNC, setting("/a", "y"))] {
        assert_eq!(reading.err(op, &body).await, ErrorCode::NOT_READ_ONLY, "{op}");
    }
    assert_eq!(reading.err(OpCode::CLOSE_SESSION, &()).await, ErrorCode::OK);
    tokio::time::sleep(Duration::from_secs(60)).await;

    server.set_read_only(false);
    reader.read_only = Some(false);
    let mut back = Peer::greeted(&server, &resuming(&peer.session)).await.unwrap();
    assert_eq!((back.id(), back.session.read_only), (peer.id(), Some(false)));
    assert_eq!(back.set("/a", "y").await, ErrorCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_session_can_move_away_and_come_back() {
    let (server, mut peer) = with_a().await;
    assert!(server.move_session(peer.id()));
    assert!(peer.ping().await.is_none(), "closed without a word");
    assert_eq!(Peer::greeted(&server, &resuming(&peer.session)).await.unwrap().id(), peer.id());
}

#[tokio::test(start_paused = true)]
async fn the_number_of_the_last_transaction_can_be_set_back() {
    let (server, mut peer) = with_a().await;
    let seen = peer.ping().await.unwrap().header.zxid;
    assert_eq!(seen, server.zxid());
    server.set_zxid(1);
    let ahead = ConnectRequest { last_zxid_seen: seen, ..resuming(&peer.session) };
    assert!(Peer::greeted(&server, &ahead).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn requests_are_logged_with_what_became_of_them() {
    let (server, mut peer) = with_a().await;
    server.clear_log();
    peer.set("/none", "secret data").await;
    let multi = MultiRequest::new([
        Op::SetData(setting("/a", "y")),
        Op::Create(creation("/b", CreateMode::EPHEMERAL).owned()),
    ]);
    peer.err(OpCode::MULTI, &multi).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].op, &*requests[0].path, requests[0].err), (SET, "/none", ErrorCode::NO_NODE));
    assert_eq!(requests[0].details.data_len, Some(11));
    assert_eq!(requests[1].details.ops, [(SET, String::from("/a")), (OpCode::CREATE, String::from("/b"))]);
    let trace = server.trace();
    assert!(trace.contains("setData /none at version -1 11 B -> NoNode"), "{trace}");
    assert!(!trace.contains("secret data"));
}

trait Owned {
    fn owned(self) -> CreateRequest<String>;
}

impl Owned for CreateRequest<&str> {
    fn owned(self) -> CreateRequest<String> {
        CreateRequest { path: self.path.to_owned(), data: self.data, acl: self.acl, flags: self.flags }
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_and_watches_and_the_tree_can_be_looked_at() {
    let (server, mut peer) = with_a().await;
    peer.create("/a/e", CreateMode::EPHEMERAL).await;
    peer.get("/a", true).await;
    let sessions = server.sessions();
    assert_eq!(sessions.len(), 1);
    assert_eq!((sessions[0].id, sessions[0].timeout_millis), (peer.id(), 10_000));
    assert_eq!(sessions[0].ephemerals.iter().map(|path| &**path).collect::<Vec<_>>(), ["/a/e"]);
    assert!(sessions[0].connection.is_some());
    let watches = server.watches();
    assert_eq!(watches.len(), 1);
    assert!(&*watches[0].path == "/a" && watches[0].data && !watches[0].child);
    assert_eq!(watches[0].session, peer.id());
    assert_eq!(data_of(&server, "/a/e").as_deref(), Some("x"));
    assert_eq!(server.with_tree(|tree| tree.node_count()), 7);
}

/// A log is no leak: it keeps so many entries and no more.
#[tokio::test(start_paused = true)]
async fn the_log_is_bounded() {
    let mut limits = menagerie_server::Limits::default();
    limits.log = 10;
    let server = Server::builder().limits(limits).start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    for _ in 0..20 {
        peer.ping().await.unwrap();
    }
    assert_eq!(server.log().len(), 10);
    assert!(server.log().iter().all(|entry| matches!(entry.what, What::Request(_))));
}

#[test]
fn a_panic_shows_what_happened() {
    let test = std::env::current_exe().unwrap();
    let run = std::process::Command::new(test)
        .args(["--exact", "handles::panics_when_told", "--nocapture"])
        .env("MENAGERIE_SERVER_PANICS", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success());
    assert!(stderr.contains("create /a persistent 1 B -> Ok"), "{stderr}");
}

#[tokio::test]
async fn panics_when_told() {
    let (_server, _peer) = with_a().await;
    assert!(std::env::var_os("MENAGERIE_SERVER_PANICS").is_none(), "told to");
}
