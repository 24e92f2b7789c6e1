//! The port: taken from the start, and free again at the end.

use std::time::Duration;

use menagerie_server::jute::*;
use menagerie_server::{Builder, Rules, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{framed, greeting};

#[tokio::test]
async fn a_server_listens_from_the_start_and_not_beyond_its_end() {
    let server = Server::start().await.unwrap();
    let address = server.local_addr();
    assert!(address.ip().is_loopback());
    assert_eq!(server.connect_string(), address.to_string());
    let other = Server::start().await.unwrap();
    assert_ne!(other.local_addr(), address);

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"ruok").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "imok");

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&framed(&greeting(10_000))).await.unwrap();
    let mut answer = [0; 41];
    stream.read_exact(&mut answer).await.unwrap();
    drop(server);
    assert!(matches!(stream.read(&mut answer).await, Ok(0) | Err(_)));
    let gone = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    assert_eq!(other.sessions(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_at_once_lose_nothing() {
    let server = Server::start().await.unwrap();
    let address = server.local_addr();
    let one = |number: usize| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&framed(&greeting(10_000))).await.unwrap();
        let mut answer = [0; 41];
        stream.read_exact(&mut answer).await.unwrap();
        let mut requests = Vec::new();
        for at in 0..200 {
            let path = format!("/n{number}-{at}");
            let create = crate::support::creation(&path, CreateMode::PERSISTENT);
            let body = RequestBody::Create(CreateRequest {
                path: path.as_str().into(),
                data: create.data,
                acl: create.acl,
                flags: create.flags,
            });
            requests.extend_from_slice(&framed(&Request::new(Xid(at), body).unwrap()));
        }
        stream.write_all(&requests).await.unwrap();
        let mut buffer = bytes::BytesMut::new();
        for at in 0..200 {
            let frame = loop {
                if let Some(frame) = split_frame(&mut buffer, 1 << 20).unwrap() {
                    break frame;
                }
                assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
            };
            let reply = Reply::decode(frame, OpCode::CREATE).unwrap();
            assert_eq!((reply.header.xid, reply.header.err), (Xid(at), ErrorCode::OK));
        }
    };
    let tasks: Vec<_> = (0..20).map(|number| tokio::spawn(one(number))).collect();
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
    }
    assert_eq!(server.zxid(), 20 + 20 * 200);
    assert_eq!(server.with_tree(|tree| tree.node_count()), 5 + 20 * 200);
}

#[test]
fn what_settles_a_server_shows_no_secret() {
    let rules = Rules { super_digest: Some(String::from("super:a-digest")), ..Rules::default() };
    let shown = format!("{:?}", Builder::default().seed(77_777).rules(rules));
    assert!(!shown.contains("77777") && !shown.contains("a-digest"), "{shown}");
}
