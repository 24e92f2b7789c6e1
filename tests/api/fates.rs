//! What became of each request, and what is repeated.

use std::future::IntoFuture;
use std::time::Duration;

use menagerie::client::{Settled, Who};
use menagerie::jute::{
    Create2Response, CreateResponse, ErrorCode, ExistsResponse, GetChildren2Response, GetDataResponse,
    OpCode, RequestBody, SetDataResponse, Stat, SyncResponse, Ustring,
};
use menagerie::session::{Cause, Fate};
use tokio::time::Instant;

use crate::support::{SESSION, connected, connected_as, pipe, poll_once, scripted, settle, soon, stat};

#[tokio::test(start_paused = true)]
async fn an_awaited_write_that_was_not_sent_waits_for_the_next_connection() {
    let (client, mut server) = connected().await;
    server.cut();
    settle().await;
    let mut write = Box::pin(client.set("/a", "x").into_future());
    assert!(poll_once(&mut write).await.is_pending());
    // The handshake fails; what waits goes on waiting.
    server.hear().await;
    server.cut();
    server.accept().await;
    server.expect(OpCode::SET_DATA, "/a").await;
    server.reply(&SetDataResponse { stat: stat() }).await;
    assert_eq!(soon(write).await.unwrap(), stat());
}

#[tokio::test(start_paused = true)]
async fn a_write_of_which_no_byte_left_is_repeated() {
    // The pipe is full: what is committed behind the first write does not leave.
    let (transport, mut server) = pipe(256);
    let builder = scripted().0.transport(transport);
    let (client, _) = tokio::join!(builder.connect(), server.accept());
    let client = client.unwrap();
    let stuck = client.set("/stuck", vec![b'x'; 4_096]).send();
    settle().await;
    let mut write = Box::pin(client.set("/a", "x").into_future());
    let piped = client.set("/b", "x").send();
    assert!(poll_once(&mut write).await.is_pending());
    settle().await;
    server.cut();
    assert_eq!(soon(stuck).await.unwrap_err().fate(), Fate::Unknown);
    let error = soon(piped).await.unwrap_err();
    assert_eq!((error.fate(), error.is_retryable()), (Fate::NotSent, true));
    assert!(poll_once(&mut write).await.is_pending());
    server.accept().await;
    server.expect(OpCode::SET_DATA, "/a").await;
    server.reply(&SetDataResponse { stat: stat() }).await;
    soon(write).await.unwrap();
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_after_its_answer_was_lost() {
    let (client, mut server) = connected().await;
    let mut read = Box::pin(client.get("/a").into_future());
    assert!(poll_once(&mut read).await.is_pending());
    for _ in 0..3 {
        server.expect_gets(&["/a"]).await;
        server.cut();
        settle().await;
        assert!(poll_once(&mut read).await.is_pending());
        server.accept().await;
    }
    server.expect_gets(&["/a"]).await;
    server.reply_data("v").await;
    assert_eq!(soon(read).await.unwrap().0, "v");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_never_repeated() {
    let (client, mut server) = connected().await;
    let mut write = Box::pin(client.set("/a", "x").into_future());
    assert!(poll_once(&mut write).await.is_pending());
    server.expect(OpCode::SET_DATA, "/a").await;
    server.cut();
    let error = soon(write).await.unwrap_err();
    assert_eq!((error.fate(), error.who()), (Fate::Unknown, Who::Network));
    assert!(error.may_have_applied() && !error.is_retryable() && !error.is_session_lost());
    server.accept().await;
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_never_repeated_and_what_was_applied_is_a_prefix() {
    let (client, mut server) = connected().await;
    let sent: Vec<_> = (0..6).map(|number| client.set(format!("/{number}"), "x").send()).collect();
    let read = client.get("/read").send();
    for number in 0..6 {
        server.expect(OpCode::SET_DATA, &format!("/{number}")).await;
    }
    for _ in 0..2 {
        server.reply(&SetDataResponse { stat: stat() }).await;
    }
    settle().await;
    server.cut();
    settle().await;
    let apart = client.set("/apart", "x").send();
    let mut fates = Vec::new();
    for each in sent {
        fates.push(soon(each).await.map_or_else(|error| error.fate(), |_| Fate::Applied));
    }
    assert_eq!(fates, [&[Fate::Applied; 2][..], &[Fate::Unknown; 4]].concat());
    assert_eq!(soon(read).await.unwrap_err().fate(), Fate::Unknown);
    server.accept().await;
    server.expect(OpCode::SET_DATA, "/apart").await;
    server.reply(&SetDataResponse { stat: stat() }).await;
    soon(apart).await.unwrap();
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_line_or_without_a_connection_means_not_sent() {
    let (client, mut server) = connected_as(|builder| builder.places(1)).await;
    let started = Instant::now();
    let first = client.get("/first").send();
    let error = client.set("/line", "x").timeout(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!((error.cause(), error.fate()), (Some(Cause::Deadline), Fate::NotSent));
    assert!(error.to_string().starts_with("setData \"/line\": "), "{error}");
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    server.expect_gets(&["/first"]).await;
    server.reply_data("v").await;
    soon(first).await.unwrap();
    server.cut();
    settle().await;
    let started = Instant::now();
    let error = client.set("/apart", "x").timeout(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.cause(), error.fate()), (Some(Cause::Deadline), Fate::NotSent));
    assert!(started.elapsed() <= Duration::from_millis(1_002), "{:?}", started.elapsed());
    server.accept().await;
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_under_way_means_unknown_and_the_late_answer_is_swallowed() {
    let (client, mut server) = connected_as(|builder| builder.places(2)).await;
    let error = client.set("/late", "x").timeout(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!((error.cause(), error.fate()), (Some(Cause::Deadline), Fate::Unknown));
    server.expect(OpCode::SET_DATA, "/late").await;
    let read = client.get("/a").send();
    server.expect_gets(&["/a"]).await;
    server.reply(&SetDataResponse { stat: stat() }).await;
    server.reply_data("v").await;
    assert_eq!(soon(read).await.unwrap().0, "v");
    let _both = [client.get("/1").send(), client.get("/2").send()];
    server.expect_gets(&["/1", "/2"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_oversize_request_fails_alone() {
    let (client, mut server) = connected_as(|builder| builder.outbound_limit(1_000)).await;
    let error = client.set("/big", vec![0; 1_001]).await.unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::RequestTooLarge { limit: 1_000, .. })), "{error}");
    assert_eq!((error.fate(), error.who()), (Fate::NotSent, Who::Caller));
    let read = client.get("/a").send();
    server.expect_gets(&["/a"]).await;
    server.reply_data("v").await;
    soon(read).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_oversize_or_garbled_answer_fails_only_its_request() {
    let (client, mut server) = connected_as(|builder| builder.inbound_limit(1_000)).await;
    let [before, large, garbled, after] = ["/before", "/large", "/garbled", "/after"].map(|path| {
        let read = client.get(path).send();
        (path, read)
    });
    server.expect_gets(&[before.0, large.0, garbled.0, after.0]).await;
    server.reply_data("first").await;
    server.reply(&GetDataResponse { data: Some(vec![0; 5_000].into()), stat: stat() }).await;
    server.reply(&CreateResponse { path: Ustring::from("what?") }).await;
    server.reply_data("last").await;
    assert_eq!(soon(before.1).await.unwrap().0, "first");
    let error = soon(large.1).await.unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::ReplyTooLarge { limit: 1_000, .. })), "{error}");
    assert_eq!((error.fate(), error.who()), (Fate::Applied, Who::Library));
    let error = soon(garbled.1).await.unwrap_err();
    assert_eq!((error.fate(), error.who(), error.path()), (Fate::Applied, Who::Server, Some("/garbled")));
    assert_eq!(soon(after.1).await.unwrap().0, "last");
    assert_eq!(client.status().disconnects, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_create2_is_asked_to_create() {
    let (client, mut server) = connected().await;
    for round in 0..2 {
        let mut create = Box::pin(client.create("/a").data("x").into_future());
        assert!(poll_once(&mut create).await.is_pending());
        if round == 0 {
            server.expect(OpCode::CREATE2, "/a").await;
            server.refuse(ErrorCode::UNIMPLEMENTED).await;
            assert_eq!(server.next().await, None, "the server is about to close");
            server.accept().await;
        }
        // The second time the answer is known without asking.
        settle().await;
        assert!(poll_once(&mut create).await.is_pending());
        server.expect(OpCode::CREATE, "/a").await;
        server.reply(&CreateResponse { path: Ustring::from("/a") }).await;
        let created = soon(create).await.unwrap();
        assert_eq!((created.path.as_str(), created.stat), ("/a", None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads_the_fall_back_does_not_race_the_servers_close() {
    for _ in 0..10 {
        let (client, mut server) = connected().await;
        let creating = tokio::spawn(async move { client.create("/a").data("x").await });
        server.expect(OpCode::CREATE2, "/a").await;
        server.refuse(ErrorCode::UNIMPLEMENTED).await;
        // A server closes here. One that takes its time shows what the client would have sent into the closing socket.
        assert_eq!(server.next().await, None, "sent where its answer would be lost");
        server.accept().await;
        server.expect(OpCode::CREATE, "/a").await;
        server.reply(&CreateResponse { path: Ustring::from("/a") }).await;
        assert_eq!(creating.await.unwrap().unwrap().path, "/a");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_tell_their_code_and_are_no_loss() {
    let (client, mut server) = connected().await;
    let (deleted, ()) = tokio::join!(client.delete("/a").version(7), async {
        let RequestBody::Delete(request) = server.expect(OpCode::DELETE, "/a").await else { panic!() };
        assert_eq!(request.version, 7);
        server.refuse(ErrorCode::BAD_VERSION).await;
    });
    let error = deleted.unwrap_err();
    assert_eq!(
        (error.code(), error.fate(), error.who()),
        (Some(ErrorCode::BAD_VERSION), Fate::Refused, Who::Server)
    );
    let (found, ()) = tokio::join!(client.exists("/a"), async {
        server.expect(OpCode::EXISTS, "/a").await;
        server.refuse(ErrorCode::NO_NODE).await;
    });
    assert_eq!(found.unwrap(), None);
}

/// The children of a parent in which a protected znode was created, by this session or another.
async fn find_again(owner: i64) -> Result<menagerie::client::Created, menagerie::client::Error> {
    let (client, mut server) = connected().await;
    let create = client.create("/q/n-").ephemeral().sequential().protected();
    let (created, ()) = tokio::join!(create, async {
        let request = server.next().await.unwrap();
        let RequestBody::Create2(request) = request.body else { panic!("{request:?}") };
        let name = request.path.as_str().strip_prefix("/q/").unwrap().to_owned() + "0000000007";
        server.cut();
        server.accept().await;
        server.expect(OpCode::SYNC, "/q").await;
        server.reply(&SyncResponse { path: Ustring::from("/q") }).await;
        server.expect(OpCode::GET_CHILDREN2, "/q").await;
        let children = Some(vec![Ustring::from("other"), Ustring::from(name.as_str())]);
        server.reply(&GetChildren2Response { children, stat: stat() }).await;
        server.expect(OpCode::EXISTS, &format!("/q/{name}")).await;
        server.reply(&ExistsResponse { stat: Stat { ephemeral_owner: owner, ..stat() } }).await;
    });
    created
}

#[tokio::test(start_paused = true)]
async fn a_protected_znode_is_found_again_if_it_is_this_sessions() {
    let created = find_again(SESSION).await.unwrap();
    assert!(created.path.starts_with("/q/_c_") && created.path.ends_with("-n-0000000007"), "{created:?}");
    assert_eq!(find_again(SESSION + 1).await.unwrap_err().fate(), Fate::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_protected_create_keeps_its_fate_and_its_deadline_while_nobody_can_look() {
    // Nobody to ask: the deadline of the whole holds.
    let (client, mut server) = connected().await;
    let started = Instant::now();
    let create = client.create("/q/n").protected().timeout(Duration::from_secs(4));
    let (created, ()) = tokio::join!(create, async {
        assert_eq!(server.next().await.unwrap().header.op, OpCode::CREATE2);
        server.cut();
    });
    let error = created.unwrap_err();
    assert_eq!(error.fate(), Fate::Unknown, "{error}");
    assert!(error.to_string().starts_with("create2 "), "{error}");
    assert!(started.elapsed() <= Duration::from_secs(5), "{:?}", started.elapsed());
    // Looking fails: what became of the write is still unknown.
    let (client, mut server) = connected().await;
    let (created, ()) = tokio::join!(client.create("/q/n").protected(), async {
        assert_eq!(server.next().await.unwrap().header.op, OpCode::CREATE2);
        server.cut();
        server.accept().await;
        server.expect(OpCode::SYNC, "/q").await;
        server.reply(&SyncResponse { path: Ustring::from("/q") }).await;
        server.expect(OpCode::GET_CHILDREN2, "/q").await;
        server.refuse(ErrorCode::NO_AUTH).await;
    });
    let error = created.unwrap_err();
    assert_eq!(error.fate(), Fate::Unknown, "{error}");
    assert!(error.to_string().starts_with("create2 "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn missing_parents_are_created_from_the_top_down() {
    let (client, mut server) = connected().await;
    let (created, ()) = tokio::join!(client.create("/a/b/c").parents(), async {
        server.expect(OpCode::CREATE2, "/a/b/c").await;
        server.refuse(ErrorCode::NO_NODE).await;
        server.expect(OpCode::CREATE2, "/a").await;
        server.refuse(ErrorCode::NODE_EXISTS).await;
        for path in ["/a/b", "/a/b/c"] {
            server.expect(OpCode::CREATE2, path).await;
            server.reply(&Create2Response { path: Ustring::from(path), stat: stat() }).await;
        }
    });
    assert_eq!(created.unwrap().path, "/a/b/c");
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_lost_set_is_inferred_by_reading_it_back() {
    let before = stat();
    let written = Stat { mzxid: 200, version: before.version + 1, ..before };
    let twice = Stat { mzxid: 201, version: before.version + 2, ..before };
    for (found, settled) in
        [(written, Settled::Inferred), (before, Settled::NotApplied), (twice, Settled::Overtaken)]
    {
        let (client, mut server) = connected().await;
        let write = client.set("/a", "new").send();
        server.expect(OpCode::SET_DATA, "/a").await;
        server.cut();
        let lost = soon(write).await.unwrap_err();
        let (result, ()) = tokio::join!(client.settle_set(lost, &before, b"new"), async {
            server.accept().await;
            server.expect(OpCode::SYNC, "/a").await;
            server.expect(OpCode::GET_DATA, "/a").await;
            server.reply(&SyncResponse { path: Ustring::from("/a") }).await;
            server.reply(&GetDataResponse { data: Some("new".into()), stat: found }).await;
        });
        assert_eq!(result.unwrap(), settled);
    }
}
