//! The near ends of wires whose clients are whole processes: streams for the library's own driver, whose bytes the world carries.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use menagerie::client::Transport;
use menagerie::session::Loss;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::world::host;

/// Where an end stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Dialling,
    Open,
    Refused,
    Closed,
    Reset,
}

/// One end, shared by the driver's stream and the world.
#[derive(Debug)]
pub(crate) struct End {
    /// The process, and which of its lives.
    pub(crate) client: usize,
    pub(crate) life: u64,
    pub(crate) member: String,
    pub(crate) stage: Stage,
    /// Nobody holds the stream any more.
    pub(crate) gone: bool,
    pub(crate) wire: Option<usize>,
    pub(crate) outgoing: BytesMut,
    incoming: BytesMut,
    waker: Option<Waker>,
    /// It stands on the desk.
    noted: bool,
}

/// A shared end.
pub(crate) type Shared = Arc<Mutex<End>>;

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the processes have done since the world last looked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    ends: Vec<Shared>,
    waker: Option<Waker>,
}

impl Desk {
    fn note(&self, end: &Shared) {
        if std::mem::replace(&mut lock(end).noted, true) {
            return;
        }
        let mut notes = lock(&self.0);
        notes.ends.push(end.clone());
        let waker = notes.waker.take();
        drop(notes);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the notes, in their order.
    pub(crate) fn take(&self) -> Vec<Shared> {
        let ends = std::mem::take(&mut lock(&self.0).ends);
        ends.iter().for_each(|end| lock(end).noted = false);
        ends
    }

    /// Ready when there are notes.
    pub(crate) fn poll_noted(&self, cx: &Context<'_>) -> Poll<()> {
        let mut notes = lock(&self.0);
        if !notes.ends.is_empty() {
            return Poll::Ready(());
        }
        notes.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// A transport into this world for one life of a process.
    pub(crate) fn transport(&self, client: usize, life: u64) -> Transport {
        let desk = self.clone();
        Transport::custom(move |member, _port| {
            let end = Arc::new(Mutex::new(End {
                client,
                life,
                member,
                stage: Stage::Dialling,
                gone: false,
                wire: None,
                outgoing: BytesMut::new(),
                incoming: BytesMut::new(),
                waker: None,
                noted: false,
            }));
            desk.note(&end);
            Dialling(Some(Stream { end, desk: desk.clone() }))
        })
    }
}

struct Dialling(Option<Stream>);

impl Future for Dialling {
    type Output = io::Result<Stream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(stream) = &self.0 else { return Poll::Pending };
        let mut end = lock(&stream.end);
        let stage = end.stage;
        if stage == Stage::Dialling {
            end.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(end);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        Poll::Ready(self.0.take().filter(|_| stage != Stage::Refused).ok_or_else(refused))
    }
}

/// What the driver reads and writes.
struct Stream {
    end: Shared,
    desk: Desk,
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut end = lock(&self.end);
        if !end.incoming.is_empty() {
            let len = end.incoming.len().min(buf.remaining());
            buf.put_slice(&end.incoming[..len]);
            end.incoming.advance(len);
            return Poll::Ready(Ok(()));
        }
        match end.stage {
            Stage::Closed => Poll::Ready(Ok(())),
            Stage::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            _ => {
                end.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut end = lock(&self.end);
        if end.stage == Stage::Reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        end.outgoing.extend_from_slice(bytes);
        drop(end);
        self.desk.note(&self.end);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        lock(&self.end).gone = true;
        self.desk.note(&self.end);
    }
}

fn wake(mut end: MutexGuard<'_, End>) {
    let waker = end.waker.take();
    drop(end);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Bytes for the process.
pub(crate) fn arrive(end: &Shared, bytes: &[u8]) {
    let mut end = lock(end);
    end.incoming.extend_from_slice(bytes);
    wake(end);
}

/// The end is open, refused, or over.
pub(crate) fn become_stage(end: &Shared, stage: Stage) {
    let mut end = lock(end);
    end.stage = stage;
    wake(end);
}

/// How a loss looks from the near end.
pub(crate) fn stage_of(loss: Loss) -> Stage {
    if loss == Loss::Closed { Stage::Closed } else { Stage::Reset }
}

/// The members as a connect string.
pub(crate) fn connect_string(members: usize) -> String {
    (0..members).map(|member| format!("{}:2181", host(member))).collect::<Vec<_>>().join(",")
}
