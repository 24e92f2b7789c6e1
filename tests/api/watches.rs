//! What a watch tells, in which order, and when it is taken back.

use menagerie::client::{WatchEvent, Watcher};
use menagerie::jute::{ErrorCode, ErrorResponse, EventType, OpCode, RequestBody};
use menagerie::limits::WATCH_BUFFER;
use menagerie::session::End;

use crate::support::{Server, connected, connected_as, poll_once, settle, soon};
use menagerie::Client;

fn event(event_type: EventType, path: &str) -> Option<(EventType, String)> {
    Some((event_type, path.to_owned()))
}

/// The event's type and path; `None` for gaps and ends.
fn told(event: &WatchEvent) -> Option<(EventType, String)> {
    match event {
        WatchEvent::Event { event_type, path, .. } => Some((*event_type, path.clone())),
        _ => None,
    }
}

async fn next(watcher: &mut Watcher) -> WatchEvent {
    soon(watcher.next()).await.expect("an event")
}

async fn watch(client: &Client, server: &mut Server, path: &str, whole: &str) -> Watcher {
    let (watcher, ()) = tokio::join!(client.watch(path).recursive(), async {
        server.expect(OpCode::ADD_WATCH, whole).await;
        server.reply(&ErrorResponse { err: ErrorCode::OK }).await;
    });
    watcher.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_event_is_there_before_a_later_reply_and_comes_once() {
    let (client, mut server) = connected().await;
    let watched = client.get("/a").watch().send();
    server.expect_gets(&["/a"]).await;
    server.reply_data("old").await;
    let (_, _, changed) = soon(watched).await.unwrap();
    let mut changed = Box::pin(changed);
    assert!(poll_once(&mut changed).await.is_pending());
    let read = client.get("/a").send();
    server.expect_gets(&["/a"]).await;
    for _ in 0..2 {
        server.notify(EventType::NODE_DATA_CHANGED, "/a").await;
    }
    server.reply_data("new").await;
    assert_eq!(soon(read).await.unwrap().0, "new");
    let std::task::Poll::Ready(first) = poll_once(&mut changed).await else { panic!("the reply came first") };
    assert_eq!(told(&first), event(EventType::NODE_DATA_CHANGED, "/a"));
    assert!(poll_once(&mut changed).await.is_pending());
    assert_eq!(client.stats().session.ignored_events, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_its_connection_and_marks_the_gap() {
    let (client, mut server) = connected().await;
    let mut watcher = watch(&client, &mut server, "/s", "/s").await;
    server.notify(EventType::NODE_CREATED, "/s/1").await;
    assert_eq!(told(&next(&mut watcher).await), event(EventType::NODE_CREATED, "/s/1"));
    server.cut();
    server.accept().await;
    let RequestBody::SetWatches2(watches) = server.expect(OpCode::SET_WATCHES2, "").await else { panic!() };
    assert_eq!(watches.persistent_recursive_watches.unwrap(), ["/s"]);
    server.reply(&()).await;
    server.notify(EventType::NODE_DELETED, "/s/1").await;
    assert_eq!(next(&mut watcher).await, WatchEvent::Gap);
    assert_eq!(told(&next(&mut watcher).await), event(EventType::NODE_DELETED, "/s/1"));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_becomes_exactly_one_gap() {
    let (client, mut server) = connected().await;
    let mut watcher = watch(&client, &mut server, "/s", "/s").await;
    for number in 0..WATCH_BUFFER + 100 {
        server.notify(EventType::NODE_CREATED, &format!("/s/{number}")).await;
    }
    settle().await;
    for number in 0..WATCH_BUFFER {
        let expected = event(EventType::NODE_CREATED, &format!("/s/{number}"));
        assert_eq!(told(&next(&mut watcher).await), expected);
    }
    assert_eq!(next(&mut watcher).await, WatchEvent::Gap);
    server.notify(EventType::NODE_CREATED, "/s/after").await;
    assert_eq!(told(&next(&mut watcher).await), event(EventType::NODE_CREATED, "/s/after"));
}

#[tokio::test(start_paused = true)]
async fn the_last_watcher_of_a_path_takes_the_watch_back() {
    let (client, mut server) = connected().await;
    let first = watch(&client, &mut server, "/s", "/s").await;
    let second = watch(&client, &mut server, "/s", "/s").await;
    drop(first);
    server.expect_nothing().await;
    drop(second);
    server.expect(OpCode::REMOVE_WATCHES, "/s").await;
    server.reply(&()).await;
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn below_a_chroot_events_are_told_by_the_handles_paths() {
    let (client, mut server) = connected_as(|builder| builder.chroot("/app")).await;
    assert_eq!(client.root(), "/app");
    let mut root = watch(&client, &mut server, "/", "/app").await;
    for (whole, path) in [("/app/x", "/x"), ("/app", "/"), ("/app/apple", "/apple"), ("/app/app", "/app")] {
        server.notify(EventType::NODE_DATA_CHANGED, whole).await;
        assert_eq!(told(&next(&mut root).await), event(EventType::NODE_DATA_CHANGED, path));
    }
    // `/apple` begins with the characters of `/app` and does not lie below it.
    let read = client.ephemerals("/").send();
    server.expect(OpCode::GET_EPHEMERALS, "/app").await;
    let ephemerals = ["/app/x", "/apple", "/app"].map(menagerie::jute::Ustring::from).to_vec();
    server.reply(&menagerie::jute::GetEphemeralsResponse { ephemerals: Some(ephemerals) }).await;
    assert_eq!(soon(read).await.unwrap(), ["/x", "/"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_is_told_and_the_stream_is_over() {
    let (client, mut server) = connected().await;
    let mut watcher = watch(&client, &mut server, "/s", "/s").await;
    let watched = client.exists("/a").watch().send();
    server.expect(OpCode::EXISTS, "/a").await;
    server.refuse(ErrorCode::NO_NODE).await;
    let (found, changed) = soon(watched).await.unwrap();
    assert_eq!(found, None);
    let (closed, ()) = tokio::join!(client.close(), server.expect_close());
    closed.unwrap();
    assert_eq!(soon(changed).await, WatchEvent::SessionEnded(End::Closed));
    assert_eq!(next(&mut watcher).await, WatchEvent::SessionEnded(End::Closed));
    assert_eq!(soon(watcher.next()).await, None);
}
