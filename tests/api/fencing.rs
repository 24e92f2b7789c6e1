//! A handle that is pinned to a session cannot reach into the next one.

use menagerie::jute::OpCode;
use menagerie::session::{End, State};

use crate::support::{connected, settle, soon};

#[tokio::test(start_paused = true)]
async fn a_pinned_handle_holds_no_lease_of_the_next_session_and_does_not_close_it() {
    let (client, mut server) = connected().await;
    let pinned = client.session();
    let held = pinned.hold_lease("/lock", 0);
    server.expect(OpCode::MULTI, "").await;
    server.cut();
    server.expire().await;
    assert_eq!(server.accept().await.session_id, 0);
    settle().await;
    assert_eq!((client.state(), pinned.state()), (State::Connected, State::Ended(End::Expired)));
    let late = pinned.hold_lease("/lock", 0);
    assert!(held.is_refused() && late.is_refused());
    soon(pinned.close()).await.unwrap();
    server.expect_nothing().await;
    assert_eq!(client.state(), State::Connected);
    // Through a handle that follows, both do what they say.
    let held = client.hold_lease("/lock", 0);
    server.expect(OpCode::MULTI, "").await;
    assert!(!held.is_refused());
}
