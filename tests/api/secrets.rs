//! No secret shows in what is printed.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use menagerie::client::{Builder, Transport};
use menagerie::jute::{ErrorCode, OpCode};
use menagerie::registry::layout::GoMicro;
use menagerie::registry::{HealthCheck, Instance, Registration, RegistrationState, ZooKeeper};
use menagerie::session::Credentials;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{PASSWORD, connected_as, soon};

const SECRETS: [&str; 4] = ["hunter2", "classified", "sixteen secrets", "of another here"];

fn shows_nothing(printed: &str) {
    for secret in SECRETS {
        assert!(!printed.contains(secret), "{secret:?} shows in {printed}");
        // Nor as the list of its bytes.
        let bytes = format!("{:?}", secret.as_bytes());
        assert!(!printed.contains(bytes.trim_matches(['[', ']'])), "{secret:?} shows in {printed}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_can_be_printed_shows_passwords_credentials_or_data() {
    let credentials =
        Credentials { session_id: 7, password: Bytes::from_static(b"of another here!"), last_zxid: 99 };
    shows_nothing(&format!("{credentials:?}"));
    let builder = Builder::new("zk://u:hunter2@a").unwrap().auth("digest", "v:hunter2").resume(credentials);
    shows_nothing(&format!("{builder:?}"));
    let (client, mut server) = connected_as(|builder| builder.auth("digest", "u:hunter2")).await;
    server.expect_auth("digest", "u:hunter2").await;
    server.answer_auth(ErrorCode::OK).await;
    let exported = client.credentials().unwrap();
    assert_eq!(&*exported.password, PASSWORD);
    shows_nothing(&format!("{client:?} {exported:?} {:?} {:?}", client.status(), client.stats()));
    let sent = client.set("/a", "classified").send();
    shows_nothing(&format!("{sent:?}"));
    server.expect(OpCode::SET_DATA, "/a").await;
    server.refuse(ErrorCode::NO_AUTH).await;
    let error = soon(sent).await.unwrap_err();
    shows_nothing(&format!("{error} {error:?}"));
    let error = Builder::new("zk://u:hunter2%zz@a").unwrap_err();
    shows_nothing(&format!("{error} {error:?}"));
    // A call about to be made, with its data and with its ACL.
    shows_nothing(&format!("{:?}", client.set("/a", "classified")));
    shows_nothing(&format!("{:?}", client.create("/a").data("classified")));
    shows_nothing(&format!("{:?}", client.transaction().set("/a", "classified").create("/b", "classified")));
}

/// Writes every event down.
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Log(self.0.clone()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Log(self.0.clone()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Log(self.0.clone()));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// All that is logged from here on, whoever does.
fn log() -> Arc<Mutex<String>> {
    static LOG: OnceLock<Arc<Mutex<String>>> = OnceLock::new();
    // For the whole process: tests on other threads would switch call sites off that they meet first without a subscriber.
    let begin = || {
        let log = Arc::new(Mutex::new(String::new()));
        tracing::subscriber::set_global_default(Log(log.clone())).unwrap();
        log
    };
    LOG.get_or_init(begin).clone()
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_whole_life_shows_none_either() {
    let log = log();
    let (client, mut server) = connected_as(|builder| builder.auth("digest", "u:hunter2")).await;
    server.expect_auth("digest", "u:hunter2").await;
    let sent = client.set("/a", "classified").send();
    server.expect(OpCode::SET_DATA, "/a").await;
    server.cut();
    drop(soon(sent).await);
    server.hear().await;
    server.cut();
    server.expire().await;
    server.accept().await;
    server.expect_auth("digest", "u:hunter2").await;
    let (closed, ()) = tokio::join!(client.close(), server.expect_close());
    closed.unwrap();
    let log = log.lock().unwrap().clone();
    for told in ["connected", "disconnected", "could not connect", "session ended"] {
        assert!(log.contains(told), "{told:?} is not in {log}");
    }
    shows_nothing(&log);
}

#[tokio::test(start_paused = true)]
async fn nor_does_the_log_of_a_registration() {
    let log = log();
    let server = menagerie_server::Server::start().await.unwrap();
    let connector = server.connector();
    let transport = Transport::custom(move |_, _| connector.connect());
    let client =
        Builder::new("zk://u:hunter2@embedded").unwrap().transport(transport).connect().await.unwrap();
    let registry = ZooKeeper::new(&client, GoMicro::new());
    let wish = Instance::builder("time").id("time-1").host("127.0.0.1").port(1).metadata("key", "classified");
    let checks = vec![
        HealthCheck::http("http://127.0.0.1:1/health?token=hunter2").unwrap().up_at_first().fall(2),
        HealthCheck::custom("disk", || async { Ok::<(), &str>(()) }).up_at_first(),
    ];
    let registered = soon(registry.register_checked(wish, checks)).await.unwrap();
    soon(registered.registered()).await.unwrap();
    let mut other = Instance::clone(&registered.instance());
    other.metadata.insert(String::from("other"), String::from("classified too"));
    registered.update(other).unwrap();
    let mut events = registered.events();
    soon(async { while events.next().await.unwrap().state != RegistrationState::Withdrawn {} }).await;
    shows_nothing(&format!("{registry:?} {:?}", registered.checks()));
    soon(registered.deregister()).await.unwrap();
    let log = log.lock().unwrap().clone();
    for told in [
        "address settled",
        "registered",
        "set data",
        "a health check fell",
        "nothing is registered, as wished",
    ] {
        assert!(log.contains(told), "{told:?} is not in {log}");
    }
    shows_nothing(&log);
}
