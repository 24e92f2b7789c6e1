//! Answers that servers of several kinds and versions give to the same question, and some that none should give.

use menagerie::client::StepResult;
use menagerie::jute::{
    CheckVersionRequest, Create2Response, CreateResponse, Encode, ErrorCode, ErrorResponse, EventType,
    MultiHeader, OpCode, SetDataResponse, Writer,
};
use menagerie::session::Fate;

use crate::support::{Server, connected, soon, stat};

/// A record with other bytes behind it.
struct Longer<T>(T, &'static [u8]);

impl<T: Encode> Encode for Longer<T> {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        out.raw(self.1);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_a_known_answer_are_ignored() {
    let (client, mut server) = connected().await;
    let (set, listed, created) =
        (client.set("/a", "x").send(), client.children("/a").send(), client.exists("/a").send());
    server.expect(OpCode::SET_DATA, "/a").await;
    server.expect(OpCode::GET_CHILDREN2, "/a").await;
    server.expect(OpCode::EXISTS, "/a").await;
    server.reply(&Longer(SetDataResponse { stat: stat() }, b"later")).await;
    let children = menagerie::jute::GetChildren2Response { children: None, stat: stat() };
    server.reply(&Longer(children, &[0; 9])).await;
    server.reply(&Longer(menagerie::jute::ExistsResponse { stat: stat() }, b"!")).await;
    assert_eq!(soon(set).await.unwrap(), stat());
    assert!(soon(listed).await.unwrap().0.is_empty());
    assert_eq!(soon(created).await.unwrap(), Some(stat()));
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_set_by_an_answer_with_a_body_and_by_one_without() {
    for with_body in [true, false] {
        let (client, mut server) = connected().await;
        let (watcher, ()) = tokio::join!(client.watch("/a"), async {
            server.expect(OpCode::ADD_WATCH, "/a").await;
            match with_body {
                true => server.reply(&ErrorResponse { err: ErrorCode::OK }).await,
                false => server.reply(&()).await,
            }
        });
        let mut watcher = watcher.unwrap();
        server.notify(EventType::NODE_CREATED, "/a").await;
        assert!(soon(watcher.next()).await.is_some(), "with a body: {with_body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_request_fails_alone_and_may_be_tried_again() {
    let (client, mut server) = connected().await;
    let (write, read) = (client.set("/a", "x").send(), client.get("/a").send());
    server.expect(OpCode::SET_DATA, "/a").await;
    server.expect(OpCode::GET_DATA, "/a").await;
    server.refuse(ErrorCode::THROTTLED_OP).await;
    server.reply_data("v").await;
    let error = soon(write).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (Some(ErrorCode::THROTTLED_OP), true));
    assert_eq!((soon(read).await.unwrap().0, client.status().disconnects), ("v".into(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_taken_is_told_and_not_tried_for_ever() {
    // A znode with the next number was made by hand: the server's counter does not pass it, and every try collides.
    let (client, mut server) = connected().await;
    let (created, ()) = tokio::join!(client.create("/a/n-").sequential(), async {
        server.expect(OpCode::CREATE2, "/a/n-").await;
        server.refuse(ErrorCode::NODE_EXISTS).await;
        server.expect_nothing().await;
    });
    assert_eq!(created.unwrap_err().code(), Some(ErrorCode::NODE_EXISTS));
}

#[tokio::test(start_paused = true)]
async fn a_number_that_overflowed_is_told_as_it_is() {
    for name in ["/a/n--2147483648", "/a/n-0000000000"] {
        let (client, mut server) = connected().await;
        let (created, ()) = tokio::join!(client.create("/a/n-").sequential(), async {
            server.expect(OpCode::CREATE2, "/a/n-").await;
            server.reply(&Create2Response { path: name.into(), stat: stat() }).await;
        });
        assert_eq!(created.unwrap().path, name);
    }
}

/// The answer to a multi, item by item.
struct Items(Vec<(OpCode, Box<dyn Encode>)>, bool);

impl Encode for Items {
    fn encode(&self, out: &mut Writer) {
        for (op, item) in &self.0 {
            MultiHeader { op: *op, done: false, err: ErrorCode::OK }.encode(out);
            item.encode(out);
        }
        if self.1 {
            MultiHeader::END.encode(out);
        }
    }
}

async fn expect_multi(server: &mut Server) {
    assert_eq!(server.next().await.unwrap().header.op, OpCode::MULTI);
}

#[tokio::test(start_paused = true)]
async fn a_create_in_a_transaction_is_answered_with_a_stat_or_without() {
    let answers: [(OpCode, Box<dyn Encode>, bool); 2] = [
        (OpCode::CREATE2, Box::new(Create2Response { path: "/a".into(), stat: stat() }), true),
        (OpCode::CREATE, Box::new(CreateResponse { path: "/a".into() }), false),
    ];
    for (op, answer, with_stat) in answers {
        let (client, mut server) = connected().await;
        let committing = client.transaction().create("/a", "x").check("/b", 1).commit().send();
        expect_multi(&mut server).await;
        server.reply(&Items(vec![(op, answer), (OpCode::CHECK, Box::new(()))], true)).await;
        let results = soon(committing).await.unwrap();
        assert_eq!(
            results.first(),
            Some(&StepResult::Created { path: "/a".into(), stat: with_stat.then(stat) })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_transaction_that_is_none_fails_it_and_nobody_else() {
    let check = || CheckVersionRequest { path: "/a", version: 1 };
    let broken: [Items; 7] = [
        Items(vec![(OpCode(4711), Box::new(check()))], true),
        Items(vec![(OpCode::CHECK, Box::new(())), (OpCode(-9), Box::new(()))], true),
        Items(vec![(OpCode::CHECK, Box::new(()))], false),
        Items(vec![(OpCode::CREATE2, Box::new(stat()))], true),
        // Results that are fewer, more, or of another kind than the steps.
        Items(Vec::new(), true),
        Items(vec![(OpCode::CHECK, Box::new(())), (OpCode::CHECK, Box::new(()))], true),
        Items(vec![(OpCode::DELETE, Box::new(()))], true),
    ];
    for answer in broken {
        let (client, mut server) = connected().await;
        let committing = client.transaction().check("/a", 1).commit().send();
        let read = client.get("/b").send();
        expect_multi(&mut server).await;
        server.expect(OpCode::GET_DATA, "/b").await;
        server.reply(&answer).await;
        server.reply_data("v").await;
        let error = soon(committing).await.unwrap_err();
        assert_eq!((error.fate(), error.is_session_lost()), (Fate::Unknown, false), "{error}");
        assert_eq!(soon(read).await.unwrap().0, "v");
        assert_eq!(client.status().disconnects, 0);
    }
}
