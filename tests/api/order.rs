//! In which order requests leave, and how many may be under way.

use std::future::IntoFuture;
use std::time::Duration;

use menagerie::jute::{OpCode, SetDataResponse};
use menagerie::limits;
use menagerie::session::{Cause, Fate};

use crate::support::{connected, connected_as, poll_once, soon, stat};

#[tokio::test(start_paused = true)]
async fn sent_requests_leave_in_the_order_of_the_calls_and_match_their_replies() {
    let (client, mut server) = connected().await;
    let first = client.get("/1").send();
    let write = client.set("/2", "x").send();
    let last = client.get("/3").send();
    server.expect(OpCode::GET_DATA, "/1").await;
    server.expect(OpCode::SET_DATA, "/2").await;
    server.expect(OpCode::GET_DATA, "/3").await;
    server.reply_data("one").await;
    server.reply(&SetDataResponse { stat: stat() }).await;
    server.reply_data("three").await;
    // Awaited in another order than sent: each has its own answer.
    assert_eq!(soon(last).await.unwrap().0, "three");
    assert_eq!(soon(write).await.unwrap(), stat());
    assert_eq!(soon(first).await.unwrap().0, "one");
}

#[tokio::test(start_paused = true)]
async fn awaited_calls_of_several_tasks_leave_in_the_order_of_their_first_poll() {
    let (client, mut server) = connected().await;
    let mut tasks = Vec::new();
    for number in 0..50 {
        let client = client.clone();
        tasks.push(tokio::spawn(async move { client.get(format!("/{number}")).await.unwrap().0 }));
        tokio::task::yield_now().await;
    }
    for number in 0..50 {
        server.expect(OpCode::GET_DATA, &format!("/{number}")).await;
    }
    for value in ["even", "odd"].iter().cycle().take(50) {
        server.reply_data(value).await;
    }
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(soon(task).await.unwrap(), ["even", "odd"][number % 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_a_pipeline_fails_and_awaited_calls_stand_in_line() {
    let (client, mut server) = connected_as(|builder| builder.places(2)).await;
    let sent = [client.get("/1").send(), client.get("/2").send()];
    let error = soon(client.get("/refused").send()).await.unwrap_err();
    assert_eq!((error.cause(), error.fate()), (Some(Cause::QueueFull), Fate::NotSent));
    assert!(error.is_retryable());
    assert_eq!(error.path(), Some("/refused"));
    let mut third = Box::pin(client.get("/3").into_future());
    let mut fourth = Box::pin(client.get("/4").into_future());
    assert!(poll_once(&mut third).await.is_pending());
    assert!(poll_once(&mut fourth).await.is_pending());
    server.expect_gets(&["/1", "/2"]).await;
    server.expect_nothing().await;
    server.reply_data("1").await;
    server.expect_nothing().await;
    // The free place is kept for the first in line, although it has not been polled since.
    assert!(poll_once(&mut fourth).await.is_pending());
    assert_eq!(client.get("/5").send().await.unwrap_err().cause(), Some(Cause::QueueFull));
    assert!(poll_once(&mut third).await.is_pending());
    server.expect_gets(&["/3"]).await;
    server.reply_data("2").await;
    server.expect_nothing().await;
    assert!(poll_once(&mut fourth).await.is_pending());
    server.expect_gets(&["/4"]).await;
    server.reply_data("3").await;
    server.reply_data("4").await;
    assert_eq!(soon(third).await.unwrap().0, "3");
    assert_eq!(soon(fourth).await.unwrap().0, "4");
    for each in sent {
        soon(each).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn ready_reserves_a_place() {
    let (client, mut server) = connected_as(|builder| builder.places(1)).await;
    let place = client.ready().await.unwrap();
    assert_eq!(client.get("/x").send().await.unwrap_err().cause(), Some(Cause::QueueFull));
    let read = client.get("/a").send_in(place);
    let mut ready = Box::pin(client.ready());
    assert!(poll_once(&mut ready).await.is_pending());
    server.expect_gets(&["/a"]).await;
    server.reply_data("v").await;
    assert_eq!(soon(read).await.unwrap().0, "v");
    drop(soon(ready).await.unwrap());
    drop(client.ready().await.unwrap());
    // A reservation with which nothing can be done is given back.
    let place = client.ready().await.unwrap();
    assert!(client.get("no path").send_in(place).await.unwrap_err().path_error().is_some());
    drop(soon(client.ready()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_large_request_takes_several_places_and_gives_them_back() {
    let data = vec![b'x'; 3 * limits::IN_FLIGHT_LEN_BYTES / limits::PLACES as usize];
    let (client, mut server) = connected_as(|builder| builder.places(5)).await;
    for _ in 0..3 {
        let write = client.set("/big", data.clone()).send();
        let read = client.get("/small").send();
        assert_eq!(client.get("/x").send().await.unwrap_err().cause(), Some(Cause::QueueFull));
        server.expect(OpCode::SET_DATA, "/big").await;
        server.expect(OpCode::GET_DATA, "/small").await;
        server.reply(&SetDataResponse { stat: stat() }).await;
        server.reply_data("v").await;
        soon(write).await.unwrap();
        soon(read).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_all_places_goes_out_alone_and_starves_nobody() {
    let data = vec![b'x'; 900_000];
    let (client, mut server) = connected_as(|builder| builder.places(2)).await;
    let read = client.get("/before").send();
    let mut write = Box::pin(client.set("/big", data).timeout(Duration::from_secs(5)).into_future());
    assert!(poll_once(&mut write).await.is_pending());
    server.expect_gets(&["/before"]).await;
    server.reply_data("v").await;
    soon(read).await.unwrap();
    let (written, ()) = tokio::join!(write, async {
        server.expect(OpCode::SET_DATA, "/big").await;
        server.reply(&SetDataResponse { stat: stat() }).await;
    });
    written.unwrap();
}

#[tokio::test(start_paused = true)]
async fn with_one_place_sync_and_get_take_all_there_are() {
    for places in [1, 2, 3] {
        let (client, mut server) = connected_as(|builder| builder.places(places)).await;
        let started = tokio::time::Instant::now();
        let long = format!("/{}", "x".repeat(2 * limits::IN_FLIGHT_LEN_BYTES / limits::PLACES as usize));
        for path in ["/a", &long] {
            let (read, ()) = tokio::join!(client.sync(path).get(path), async {
                server.expect(OpCode::SYNC, path).await;
                server.expect(OpCode::GET_DATA, path).await;
                server.reply(&menagerie::jute::SyncResponse { path: path.into() }).await;
                server.reply_data("v").await;
            });
            assert_eq!(read.unwrap().0, "v");
        }
        assert!(started.elapsed() < Duration::from_secs(1));
        let all: Vec<_> = (0..places).map(|_| client.get("/b").send()).collect();
        let beyond = client.get("/b").send();
        assert_eq!(
            soon(beyond).await.unwrap_err().cause(),
            Some(Cause::QueueFull),
            "places were made or lost"
        );
        for _ in &all {
            server.expect_gets(&["/b"]).await;
            server.reply_data("v").await;
        }
        for read in all {
            soon(read).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sync_and_get_wait_in_line_and_no_longer_than_they_may() {
    let (client, mut server) = connected_as(|builder| builder.places(2)).await;
    let held = client.get("/held").send();
    let waited = client.sync("/a").timeout(Duration::from_secs(3)).get("/a");
    let error = soon(waited).await.unwrap_err();
    assert_eq!((error.cause(), error.fate()), (Some(Cause::Deadline), Fate::NotSent));
    let mut waits = Box::pin(client.sync("/a").get("/a"));
    assert!(poll_once(&mut waits).await.is_pending());
    server.expect_gets(&["/held"]).await;
    server.expect_nothing().await;
    server.reply_data("v").await;
    soon(held).await.unwrap();
    let (read, ()) = tokio::join!(waits, async {
        server.expect(OpCode::SYNC, "/a").await;
        server.expect(OpCode::GET_DATA, "/a").await;
        server.reply(&menagerie::jute::SyncResponse { path: "/a".into() }).await;
        server.reply_data("w").await;
    });
    assert_eq!(read.unwrap().0, "w");
}
