//! No secret shows in what is printed.

use bytes::Bytes;
use menagerie::client::Builder;
use menagerie::jute::{ErrorCode, OpCode};
use menagerie::session::Credentials;

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
    let credentials = Credentials { session_id: 7, password: Bytes::from_static(b"of another here!") };
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
