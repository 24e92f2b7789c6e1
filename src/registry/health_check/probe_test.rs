//! One asking, of real listeners on loopback that behave badly.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::probe::Probe;
use super::target::{HttpTarget, TcpTarget};
use super::*;

/// Far beyond what any of these takes, for what must not hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough for loopback, short enough to wait for.
const PROMPT: Duration = Duration::from_millis(200);

async fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    (listener, address)
}

/// Serves every connection so, behind the whole request.
async fn serve<F, R>(answer: F) -> (JoinHandle<()>, Address)
where
    F: Fn(TcpStream, String) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let (listener, address) = listener().await;
    let serving = async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            answer(stream, String::from_utf8(request).unwrap()).await;
        }
    };
    (tokio::spawn(serving), address)
}

/// What comes of one GET, if anything does within the time that a check has.
async fn get(address: &Address, limit: Duration) -> Result<(), CheckFailure> {
    let probe = Probe::Http(HttpTarget::parse("/health?full=1").unwrap());
    match tokio::time::timeout(limit, probe.ask(address)).await {
        Ok(answer) => answer,
        Err(_) => Err(CheckFailure::TimedOut(limit)),
    }
}

/// The same of a server that says this and closes.
async fn answered(text: &'static str) -> Result<(), CheckFailure> {
    let (server, address) = serve(move |mut stream, request| async move {
        assert!(request.starts_with("GET /health?full=1 HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        stream.write_all(text.as_bytes()).await.unwrap();
    })
    .await;
    let answer = get(&address, PATIENCE).await;
    server.abort();
    answer
}

#[tokio::test]
async fn a_success_passes_and_nothing_else_does() {
    assert_eq!(answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await, Ok(()));
    assert_eq!(answered("HTTP/1.0 204 No Content\r\n\r\n").await, Ok(()));
    for (text, failure) in [
        ("HTTP/1.1 500 Internal Server Error\r\n\r\n", CheckFailure::Status(500)),
        ("HTTP/1.1 429 Too Many Requests\r\n\r\n", CheckFailure::Status(429)),
        ("HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", CheckFailure::Redirected(302)),
        ("HTTP/1.1 200 OK\r\nContent-Le", CheckFailure::CutShort),
        ("", CheckFailure::CutShort),
        ("220 mail ESMTP\r\n", CheckFailure::NotHttp),
    ] {
        assert_eq!(answered(text).await, Err(failure), "{text}");
    }
}

#[tokio::test]
async fn who_says_nothing_or_too_little_is_not_waited_for() {
    let (hung, address) = serve(|stream, _| async move {
        let _held = stream;
        std::future::pending().await
    })
    .await;
    assert_eq!(get(&address, PROMPT).await, Err(CheckFailure::TimedOut(PROMPT)));
    hung.abort();
    // One byte at a time: each is in time, and the whole is not.
    let (slow, address) = serve(|mut stream, _| async move {
        stream.set_nodelay(true).unwrap();
        for byte in "HTTP/1.1 200 OK\r\nA: b".bytes().chain(std::iter::repeat(b'b')) {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(get(&address, PROMPT).await, Err(CheckFailure::TimedOut(PROMPT)));
    slow.abort();
}

#[tokio::test]
async fn a_body_of_a_gigabyte_is_not_read() {
    let (written, mut total) = tokio::sync::mpsc::unbounded_channel();
    let (server, address) = serve(move |mut stream, _| {
        let written = written.clone();
        async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30);
            stream.write_all(head.as_bytes()).await.unwrap();
            let (mut sent, piece) = (0, vec![b'x'; 64 * 1024]);
            while sent < 1_u64 << 30 && stream.write_all(&piece).await.is_ok() {
                sent += 64 * 1024;
            }
            let _ = written.send(sent);
        }
    })
    .await;
    assert_eq!(get(&address, PATIENCE).await, Ok(()));
    let sent = tokio::time::timeout(PATIENCE, total.recv()).await.expect("the check hangs up").unwrap();
    assert!(sent < 1 << 26, "{sent} bytes went into the pipe");
    server.abort();
}

#[tokio::test]
async fn a_head_without_an_end_is_given_up() {
    let (server, address) = serve(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nA: ").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    assert_eq!(get(&address, PATIENCE).await, Err(CheckFailure::HeadTooLong));
    server.abort();
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_refuses() {
    let (listener, address) = listener().await;
    let tcp = Probe::Tcp(TcpTarget::Own);
    assert_eq!(tcp.ask(&address).await, Ok(()), "nobody has to accept");
    assert_eq!(Probe::Tcp(TcpTarget::At(address.clone())).ask(&"h:1".parse().unwrap()).await, Ok(()));
    drop(listener);
    let refused = Err(CheckFailure::Connect(ErrorKind::ConnectionRefused));
    assert_eq!(tcp.ask(&address).await, refused);
    assert_eq!(get(&address, PATIENCE).await, refused);
}
