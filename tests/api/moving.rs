//! Clients that go from one server to another: from a read-only one, by a new list, past an address that leads nowhere.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use menagerie::Client;
use menagerie::client::{Builder, Transport, WatchEvent};
use menagerie::jute::{ErrorCode, OpCode, RequestBody, SetDataResponse};
use menagerie::session::{End, Fate, Server as Host, State};
use menagerie_server::Server;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{SESSION, scripted, settle, soon, stat};

fn hosts(names: &[&str]) -> Vec<Host> {
    names.iter().map(|name| Host { host: (*name).to_owned(), port: 2181 }).collect()
}

async fn until(client: &Client, wanted: State) {
    let mut seen = client.status();
    while seen.state != wanted {
        seen = soon(client.status_change(&seen)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_before_moves_from_a_read_only_server_and_keeps_its_watches() {
    let (builder, mut server) = scripted();
    let client = builder.read_only(true).connect_lazy().unwrap();
    assert_eq!(server.accept().await.read_only, Some(true));
    let watched = client.get("/w").watch().send();
    server.expect_gets(&["/w"]).await;
    server.reply_data("v").await;
    let (_, _, changed) = soon(watched).await.unwrap();
    server.cut();
    server.read_only = true;
    server.accept().await;
    server.expect(OpCode::SET_WATCHES, "").await;
    server.reply(&()).await;
    until(&client, State::ConnectedReadOnly).await;
    server.answer_probe(&["ro"]).await;
    server.answer_probe(&["nu", "ll"]).await;
    server.answer_probe(&[]).await;
    server.answer_probe(&["isro is not executed because it is not in the whitelist.\n"]).await;
    assert_eq!(client.status().state, State::ConnectedReadOnly);
    server.answer_probe(&["r", "w"]).await;
    server.read_only = false;
    assert_eq!(server.accept().await.session_id, SESSION);
    let RequestBody::SetWatches(watches) = server.expect(OpCode::SET_WATCHES, "").await else { panic!() };
    assert_eq!(watches.data_watches.unwrap(), ["/w"]);
    until(&client, State::Connected).await;
    assert_eq!((client.status().epoch, client.status().disconnects), (1, 2));
    drop(changed);
}

#[tokio::test(start_paused = true)]
async fn a_session_begun_on_a_read_only_server_is_followed_by_one_where_writes_are_taken() {
    // Whoever went anywhere would be right once in six times.
    for _ in 0..3 {
        from_a_reader_to_the_writer().await;
    }
}

async fn from_a_reader_to_the_writer() {
    let (reader, writer) = (
        Server::builder().read_only().start().await.unwrap(),
        Server::builder().server_id(2).start().await.unwrap(),
    );
    let is_up = Arc::new(AtomicBool::new(false));
    let (reads, writes, up) = (reader.connector(), writer.connector(), is_up.clone());
    let transport = Transport::custom(move |host, _port| {
        let (reads, writes) = (reads.clone(), writes.clone());
        let refused = host == "writer" && !up.load(Ordering::SeqCst);
        async move {
            match &*host {
                _ if refused => Err(io::ErrorKind::ConnectionRefused.into()),
                "writer" => writes.connect().await,
                _ => reads.connect().await,
            }
        }
    });
    let names = ["reader1", "reader2", "reader3", "reader4", "reader5", "writer"];
    let builder = Builder::servers(hosts(&names)).read_only(true).transport(transport);
    let client = soon(builder.connect()).await.unwrap();
    let (pinned, before) = (client.session(), client.status());
    assert_eq!(before.state, State::ConnectedReadOnly);
    let (_, _, changed) = client.get("/").watch().await.unwrap();
    let mut lasting = client.watch("/").await.unwrap();
    let refused = client.create("/x").await.unwrap_err();
    assert_eq!((refused.code(), refused.fate()), (Some(ErrorCode::NOT_READ_ONLY), Fate::Refused));
    is_up.store(true, Ordering::SeqCst);
    assert_eq!(soon(changed).await, WatchEvent::SessionEnded(End::Expired));
    let renewed = tokio::spawn(async move { lasting.next().await });
    until(&client, State::Connected).await;
    let status = client.status();
    assert_eq!((status.epoch, client.server().unwrap().host.as_str()), (before.epoch + 1, "writer"));
    assert_ne!(status.session_id, before.session_id);
    assert_eq!(soon(renewed).await.unwrap(), Some(WatchEvent::Gap));
    client.create("/x").await.unwrap();
    assert_eq!(pinned.get("/").await.unwrap_err().session_end(), Some(End::Expired));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_grows_moves_the_session_and_a_list_that_does_not_leaves_it() {
    let (builder, mut server) = scripted();
    let client = builder.connect_lazy().unwrap();
    server.accept().await;
    until(&client, State::Connected).await;
    client.set_servers(hosts(&["zk"])).unwrap();
    settle().await;
    assert_eq!(client.status().disconnects, 0);
    let many: Vec<_> = std::iter::once("zk".to_owned()).chain((1..1_000).map(|n| format!("zk{n}"))).collect();
    let under_way = client.set("/first", "x").send();
    server.expect(OpCode::SET_DATA, "/first").await;
    client.set_servers(many.iter().flat_map(|name| hosts(&[name.as_str()])).collect()).unwrap();
    let later = client.set("/second", "x").send();
    server.expect_nothing().await;
    server.reply(&SetDataResponse { stat: stat() }).await;
    soon(under_way).await.expect("it was answered before the move");
    assert_eq!(server.accept().await.session_id, SESSION, "999 of 1,000 clients move");
    server.expect(OpCode::SET_DATA, "/second").await;
    server.reply(&SetDataResponse { stat: stat() }).await;
    soon(later).await.expect("it waited for the move");
    until(&client, State::Connected).await;
    let moved = client.server().unwrap();
    assert!(moved.host != "zk" && many.contains(&moved.host));
    client.set_servers(vec![moved.clone()]).unwrap();
    settle().await;
    assert_eq!((client.server(), client.status().disconnects, client.status().epoch), (Some(moved), 1, 1));
}

#[tokio::test]
async fn an_address_that_swallows_everything_does_not_hold_up_the_other() {
    // A listener whose queue is full answers no more: on the loopback that is a black hole.
    let hole = TcpSocket::new_v4().unwrap();
    hole.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let hole = hole.listen(1).unwrap();
    let (black, mut queued) = (hole.local_addr().unwrap(), Vec::new());
    while let Ok(stream) = timeout(Duration::from_millis(500), TcpStream::connect(black)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "the queue has no end");
    }
    let server = Server::start().await.unwrap();
    let live = server.local_addr();
    let transport = Transport::tcp_resolved(move |_host, _port| async move { Ok(vec![black, live]) });
    let builder = Builder::servers(hosts(&["both"])).session_timeout(Duration::from_secs(60));
    let client = timeout(Duration::from_secs(20), builder.transport(transport).connect()).await;
    let client = client.expect("the attempt waits for the black hole").unwrap();
    assert_eq!((client.stats().session.dials, client.stats().session.connects), (2, 1));
    client.create("/x").await.unwrap();
    soon(client.close()).await.unwrap();
}
