//! What comes before a session, and what never becomes a frame.

use std::time::Duration;

use menagerie_server::jute::*;
use menagerie_server::{Limits, Server, What, Why};

use crate::support::{Peer, asking, framed, greeting, silent, silent_here};

fn short_greeting() -> Limits {
    let mut limits = Limits::default();
    limits.greeting = Duration::from_millis(100);
    limits
}

/// The first bytes of a connection that are no handshake, and no four-letter word.
fn no_handshakes() -> Vec<Vec<u8>> {
    let whole = framed(&[&greeting()]);
    let mut lying = whole.to_vec();
    // The password claims a gibibyte.
    lying[4 + 24..4 + 28].copy_from_slice(&[0x40, 0, 0, 0]);
    let mut negative = whole.to_vec();
    negative[4 + 24..4 + 28].copy_from_slice(&[0x80, 0, 0, 0]);
    vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0xff, 0xff, 0xff, 0xff],
        vec![0x80, 0, 0, 0],
        vec![0x7f, 0xff, 0xff, 0xff],
        vec![0, 0x10, 0, 0],
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 3, 1, 2, 3],
        asking(1, OpCode::PING, &()).to_vec(),
        lying,
        negative,
        b"what is this".to_vec(),
    ]
}

#[tokio::test]
async fn what_is_no_handshake_ends_without_a_word() {
    let server = Server::start().await.unwrap();
    for bytes in no_handshakes() {
        let mut peer = silent(server.local_addr()).await;
        peer.say(&bytes).await;
        assert_eq!(peer.rest().await, "", "{bytes:?}");
    }
    assert_eq!(server.sessions(), []);
    assert!(Peer::new(&server).await.is_served().await);
}

/// A length that cannot be is seen at once, not when its bytes have come.
#[tokio::test]
async fn a_length_that_cannot_be_ends_the_connection_and_not_the_session() {
    let server = Server::start().await.unwrap();
    for length in [-1, i32::MIN, i32::MAX, 0x10_0000] {
        let mut peer = Peer::new(&server).await;
        peer.say(&length.to_be_bytes()).await;
        assert_eq!(peer.rest().await, "", "{length}");
        let again = ConnectRequest {
            session_id: peer.session.session_id,
            passwd: peer.session.passwd.clone(),
            ..greeting()
        };
        let mut peer = silent(server.local_addr()).await.greeted(&again).await.expect("its session lives");
        assert!(peer.is_served().await);
    }
}

/// Never a byte, half a length, half a handshake: closed between once and twice the time for a handshake.
#[tokio::test]
async fn whoever_begins_and_says_no_more_is_closed() {
    let server = Server::builder().limits(short_greeting()).start().await.unwrap();
    let whole = framed(&[&greeting()]);
    let mut peers = Vec::new();
    for said in [0, 2, 4, 20, whole.len() - 1] {
        let mut peer = silent(server.local_addr()).await;
        peer.say(&whole[..said]).await;
        peers.push(peer);
    }
    for peer in &mut peers {
        assert_eq!(peer.rest().await, "");
    }
    let silent = |entry: &menagerie_server::Entry| entry.what == What::Closed(Why::Silent);
    assert_eq!(server.log().iter().filter(|entry| silent(entry)).count(), 5);
}

/// A drip of bytes buys no time: what counts is the frame.
#[tokio::test(start_paused = true)]
async fn a_drip_of_bytes_does_not_keep_a_session_alive() {
    let server = Server::start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    let big = asking(
        1,
        OpCode::SET_DATA,
        &SetDataRequest { path: "/a", data: Some(vec![7; 999].into()), version: 0 },
    );
    for byte in big.iter().take(30) {
        peer.say(&[*byte]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(server.sessions(), [], "its ten seconds and a tick are over");
    assert_eq!(peer.rest().await, "");

    let mut peer = silent_here(&server).await;
    let whole = framed(&[&greeting()]);
    for byte in whole.iter().take(30) {
        peer.say(&[*byte]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(peer.rest().await, "", "nor does it earn one");
}

/// One more than its address may have is accepted and closed, and a place that is given up is free.
#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let server = Server::start().await.unwrap();
    let most = Limits::default().connections_per_address;
    let mut peers = Vec::new();
    for _ in 0..most {
        peers.push(Peer::new(&server).await);
    }
    for _ in 0..20 {
        assert!(silent(server.local_addr()).await.greeted(&greeting()).await.is_none());
    }
    for peer in &mut peers {
        assert!(peer.is_served().await);
    }
    let mut last = peers.pop().unwrap();
    assert_eq!(last.err(OpCode::CLOSE_SESSION, &()).await, ErrorCode::OK);
    assert_eq!(last.rest().await, "");
    assert!(Peer::new(&server).await.is_served().await);
}
