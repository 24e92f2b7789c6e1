//! What errors say: whom to blame, and whether to try again.

use menagerie::jute::{ErrorCode, ErrorResponse, MultiResponse, OpCode, OpResult};
use menagerie::session::Fate;

use crate::support::{connected, soon};

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
