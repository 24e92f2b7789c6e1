//! How often the client touches its transport.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use menagerie::client::{Io, Transport};
use menagerie::session::Server as Host;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::support::{pipe_through, soon};

const IN_FLIGHT: u32 = 256;
const ROUNDS: u32 = 100;

#[derive(Default)]
struct Touches {
    reads: AtomicU32,
    writes: AtomicU32,
}

struct Counting(DuplexStream, Arc<Touches>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.1.reads.fetch_add(1, Relaxed);
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.writes.fetch_add(1, Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn requests_sent_together_share_their_reads_and_writes() {
    let touches = Arc::new(Touches::default());
    let counted = touches.clone();
    let wrap = move |stream| Box::new(Counting(stream, counted.clone())) as Box<dyn Io>;
    let (transport, mut server): (Transport, _) = pipe_through(1 << 20, wrap);
    let host = Host { host: "zk".to_owned(), port: 2181 };
    let builder = menagerie::client::Builder::servers(vec![host]).transport(transport);
    let (client, _) = tokio::join!(builder.connect(), server.accept());
    let client = client.unwrap();
    for _ in 0..ROUNDS {
        let sent: Vec<_> = (0..IN_FLIGHT).map(|_| client.get("/a").send()).collect();
        server.answer_batch(IN_FLIGHT).await;
        for each in sent {
            soon(each).await.unwrap();
        }
    }
    let per_op = |count: &AtomicU32| f64::from(count.load(Relaxed)) / f64::from(IN_FLIGHT * ROUNDS);
    let (reads, writes) = (per_op(&touches.reads), per_op(&touches.writes));
    assert!(reads <= 0.05 && writes <= 0.05, "{reads} reads and {writes} writes an operation");
}
