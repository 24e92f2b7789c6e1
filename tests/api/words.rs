//! What errors say, and what nothing ever says: credentials and data.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use menagerie::Client;
use menagerie::jute::{ErrorCode, ErrorResponse, MultiResponse, OpCode, OpResult};
use menagerie::session::Fate;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{connected, pipe, settle, soon};

#[tokio::test(start_paused = true)]
async fn a_failed_transaction_names_the_path_that_is_to_blame() {
    let (client, mut server) = connected().await;
    let sent = client.transaction().check("/a", 3).set("/b", "x").delete("/c").commit().send();
    server.expect(OpCode::MULTI, "").await;
    let code = |err| OpResult::Error(ErrorResponse { err });
    let codes = [ErrorCode::OK, ErrorCode::BAD_VERSION, ErrorCode::RUNTIME_INCONSISTENCY];
    server.reply(&MultiResponse::new(codes.map(code))).await;
    let error = soon(sent).await.unwrap_err();
    assert_eq!((error.transaction_index(), error.path()), (Some(1), Some("/b")));
    assert_eq!((error.code(), error.fate()), (Some(ErrorCode::BAD_VERSION), Fate::Refused));
    let error = client.transaction().check("/a", 3).delete("/c/").commit().await.unwrap_err();
    assert_eq!(error.path(), Some("/c/"));
    let error = client.get_many(["/a", "c"]).await.unwrap_err();
    assert_eq!(error.path(), Some("c"));
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_read_may_be_tried_again_whatever_became_of_it() {
    let (client, mut server) = connected().await;
    let (read, write) = (client.get("/a").send(), client.set("/a", "x").send());
    server.expect(OpCode::GET_DATA, "/a").await;
    server.expect(OpCode::SET_DATA, "/a").await;
    server.cut();
    let (read, write) = (soon(read).await.unwrap_err(), soon(write).await.unwrap_err());
    assert_eq!((read.fate(), write.fate()), (Fate::Unknown, Fate::Unknown));
    assert!(read.is_retryable() && !write.is_retryable());
}

/// Keeps everything that is logged, at every level.
struct Everything(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut Line(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = self.0.lock().unwrap();
        event.record(&mut Line(&mut text));
        text.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn no_credentials_and_no_data_are_ever_shown() {
    let log = Arc::new(Mutex::new(String::new()));
    let _guard = tracing::subscriber::set_default(Everything(log.clone()));
    let (transport, mut server) = pipe(1 << 20);
    let builder = Client::builder("zk://user:hidden-url@zk").unwrap();
    let builder = builder.transport(transport).auth("digest", "user:hidden-builder");
    let mut shown = format!("{builder:?}");
    let client = builder.connect_lazy().unwrap();
    server.accept().await;
    for auth in ["user:hidden-url", "user:hidden-builder"] {
        server.expect_auth("digest", auth).await;
        server.answer_auth(ErrorCode::OK).await;
    }
    let (create, transaction) =
        (client.create("/a").data("hidden-data"), client.transaction().set("/a", "hidden-data"));
    write!(shown, "{create:?} {transaction:?}").unwrap();
    let set = client.set("/a", "hidden-data");
    write!(shown, "{set:?}").unwrap();
    let sent = set.send();
    write!(shown, "{sent:?}").unwrap();
    server.expect(OpCode::SET_DATA, "/a").await;
    server.refuse(ErrorCode::NO_AUTH).await;
    let error = soon(sent).await.unwrap_err();
    write!(shown, "{error} {error:?} {client:?} {:?} {:?}", client.status(), client.credentials()).unwrap();
    let (late, ()) = tokio::join!(client.add_auth("digest", "user:hidden-late"), async {
        server.expect_auth("digest", "user:hidden-late").await;
        server.answer_auth(ErrorCode::AUTH_FAILED).await;
    });
    let error = late.unwrap_err();
    write!(shown, "{error} {error:?} {client:?}").unwrap();
    let bad = Client::connect_lazy("zk://user:hidden%zz@zk").unwrap_err();
    write!(shown, "{bad} {bad:?}").unwrap();
    settle().await;
    let log = log.lock().unwrap();
    assert!(log.contains("zk:2181"), "nothing was logged: {log}");
    for text in [shown.as_str(), log.as_str()] {
        assert!(!text.contains("hidden") && !text.contains("sixteen secrets"), "{text}");
    }
}
