//! One connection's task: bytes between a stream and the core. It decides nothing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::core::ConnectionId;
use crate::hub::{Done, Hub, Turn};
use crate::jute::Writer;

/// The most that is read at once. It is the core's batch: no longer work is done under its lock.
const BATCH_LEN_BYTES: usize = 64 << 10;

/// Slices of one vectored write.
const SLICES: usize = 16;

/// How long the peer of a closed connection may take to close its side. Bytes of it that nobody reads would reset the connection, and
/// take the last answers along.
const LINGER: Duration = Duration::from_secs(1);

thread_local! {
    /// Where bytes are read to: one buffer a thread, so that idle connections hold none.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Link<S> {
    hub: Arc<Hub>,
    id: ConnectionId,
    stream: S,
    output: Writer,
    written: usize,
    wants_input: bool,
}

/// Moves bytes until the connection is over.
pub(crate) async fn drive<S: AsyncRead + AsyncWrite + Unpin>(hub: Arc<Hub>, id: ConnectionId, stream: S) {
    let mut link = Link { hub, id, stream, output: Writer::new(), written: 0, wants_input: true };
    if poll_fn(|cx| link.poll(cx)).await.is_err() {
        link.hub.closed(id);
        return;
    }
    let mut stream = link.stream;
    let _ = tokio::time::timeout(LINGER, async {
        stream.shutdown().await?;
        poll_fn(|cx| poll_end(&mut stream, cx)).await
    })
    .await;
}

/// Reads and forgets, until there is nothing to come.
fn poll_end<S: AsyncRead + Unpin>(stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.resize(BATCH_LEN_BYTES, 0);
        loop {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Ready once the core has no more use for the connection, or with an error once the peer has gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.poll_write(cx)?;
            let turn = self.poll_turn(cx)?;
            let Some(turn) = turn else { return Poll::Pending };
            self.wants_input = turn.wants_input;
            if turn.is_over {
                return Poll::Ready(Ok(()));
            }
            if let Some(output) = turn.output {
                self.output = output;
            }
            if turn.has_work {
                self.poll_write(cx)?;
                if planted!("server_turns_at_once") {
                    cx.waker().wake_by_ref();
                } else {
                    // Not before the runtime has looked for what came from others: a task that wakes itself has sixty turns first.
                    let _ = pin!(tokio::task::yield_now()).poll(cx);
                }
                return Poll::Pending;
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.output.has_remaining() {
            match write_some(&mut self.stream, &mut self.output, cx) {
                Poll::Ready(Ok(len)) => self.written += len,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    /// Reads what there is and has a turn with the core; `None` if there is nothing to do until something wakes the task.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> io::Result<Option<Turn>> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(BATCH_LEN_BYTES, 0);
            let mut buffer = ReadBuf::new(scratch);
            let read = if self.wants_input {
                Pin::new(&mut self.stream).poll_read(cx, &mut buffer)
            } else {
                Poll::Pending
            };
            let input = buffer.filled();
            match read {
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) if input.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            let written = std::mem::take(&mut self.written);
            let is_blocked = self.output.has_remaining();
            let turn = self.hub.turn(self.id, cx.waker(), &Done { written, input, is_blocked });
            let goes_on = turn.is_over
                || turn.has_work
                || turn.output.is_some()
                || !input.is_empty()
                || turn.wants_input && !self.wants_input;
            self.wants_input = turn.wants_input;
            Ok(goes_on.then_some(turn))
        })
    }
}

fn write_some<S: AsyncWrite + Unpin>(
    stream: &mut S,
    output: &mut Writer,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut slices = [io::IoSlice::new(&[]); SLICES];
    let used = output.chunks_vectored(&mut slices);
    let len = ready!(Pin::new(stream).poll_write_vectored(cx, slices.get(..used).unwrap_or_default()))?;
    if len == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    output.advance(len);
    Poll::Ready(Ok(len))
}
