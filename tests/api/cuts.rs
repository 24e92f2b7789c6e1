//! Transports that take and give bytes as they please: the driver makes of them what the session is told.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use menagerie::client::WatchEvent;
use menagerie::jute::{ErrorCode, EventType, GetChildren2Response, OpCode, Ustring};
use menagerie::session::State;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::support::{pipe_through, scripted, settle, soon, stat};

/// Gives and takes so many bytes at a time, and breaks at a write when so many have been taken in all.
struct Picky {
    inner: DuplexStream,
    at_once: usize,
    left: usize,
}

impl AsyncRead for Picky {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.at_once.min(buf.remaining());
        let mut few = buf.take(most);
        let read = Pin::new(&mut self.inner).poll_read(cx, &mut few);
        let filled = few.filled().to_vec();
        buf.put_slice(&filled);
        read
    }
}

impl AsyncWrite for Picky {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = bytes.len().min(self.at_once).min(self.left);
        if most == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes.get(..most).unwrap_or_default());
        if let Poll::Ready(Ok(len)) = written {
            self.left -= len;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_come_and_go_in_any_pieces_mean_the_same() {
    for at_once in [1, 2, 3, 7, 19, 64] {
        let picky = move |inner| Box::new(Picky { inner, at_once, left: usize::MAX }) as _;
        let (transport, mut server) = pipe_through(1 << 16, picky);
        let (client, _) = tokio::join!(scripted().0.transport(transport).connect(), server.accept());
        let client = client.unwrap();
        let (get, set) = (client.get("/a").watch().send(), client.set("/a", vec![b'x'; 300]).send());
        let list = client.children("/a").send();
        server.expect(OpCode::GET_DATA, "/a").await;
        server.expect(OpCode::SET_DATA, "/a").await;
        server.expect(OpCode::GET_CHILDREN2, "/a").await;
        server.reply_data("a value of some length").await;
        server.notify(EventType::NODE_DATA_CHANGED, "/a").await;
        server.refuse(ErrorCode::BAD_VERSION).await;
        let children = Some(vec![Ustring::from("one"), Ustring::from("two")]);
        server.reply(&GetChildren2Response { children, stat: stat() }).await;
        let (data, _, changed) = soon(get).await.unwrap();
        assert_eq!(data, "a value of some length", "{at_once} at once");
        assert!(matches!(soon(changed).await, WatchEvent::Event { path, .. } if path == "/a"));
        assert_eq!(soon(set).await.unwrap_err().code(), Some(ErrorCode::BAD_VERSION));
        assert_eq!(soon(list).await.unwrap().0.to_vec(), ["one", "two"]);
        assert_eq!((client.state(), client.status().disconnects), (State::Connected, 0));
    }
}

/// Bytes of a `ConnectRequest`, of two auth packets, and of a read, with their lengths.
const GREETING: usize = 49;
const AUTHS: usize = 66;
const READ: usize = 19;

#[tokio::test(start_paused = true)]
async fn a_write_that_breaks_at_any_byte_of_the_credentials_wedges_nothing() {
    for broken in 0..AUTHS + READ {
        let dials = Arc::new(AtomicUsize::new(0));
        let picky = move |inner| {
            let second = dials.fetch_add(1, Ordering::Relaxed) == 1;
            let left = if second { GREETING + broken } else { usize::MAX };
            Box::new(Picky { inner, at_once: usize::MAX, left }) as _
        };
        let (transport, mut server) = pipe_through(1 << 16, picky);
        let builder = scripted().0.transport(transport).auth("digest", "u:1").auth("digest", "v:2");
        let client = builder.connect_lazy().unwrap();
        server.accept().await;
        for auth in ["u:1", "v:2"] {
            server.expect_auth("digest", auth).await;
            server.answer_auth(ErrorCode::OK).await;
        }
        server.cut();
        settle().await;
        let reader = client.clone();
        let reading = tokio::spawn(async move { reader.get("/a").await });
        server.accept().await;
        while server.next().await.is_some() {}
        server.accept().await;
        for auth in ["u:1", "v:2"] {
            server.expect_auth("digest", auth).await;
            server.answer_auth(ErrorCode::OK).await;
        }
        server.expect(OpCode::GET_DATA, "/a").await;
        server.reply_data("v").await;
        assert_eq!(soon(reading).await.unwrap().unwrap().0, "v", "broken at {broken}");
        assert_eq!((client.state(), client.status().disconnects), (State::Connected, 2));
    }
}
