//! How the bytes travel: TCP by default, or whatever the user brings.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};

use super::plain_text::Ends;
use crate::limits;
use crate::session::{Address, Loss, Server};

/// A two-way stream of bytes.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

/// A dial under way.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// A name being looked up by the caller's own means.
type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// How a client reaches its servers.
#[derive(Clone, Default)]
pub struct Transport(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    Tcp,
    TcpResolved(Arc<dyn Fn(String, u16) -> Resolving + Send + Sync>),
    Custom(Arc<dyn Fn(String, u16) -> Dialling + Send + Sync>),
}

/// An open connection. TCP does not pay for a box.
pub(super) enum Connection {
    Tcp(TcpStream),
    Custom(Box<dyn Io>),
}

/// A name being looked up.
pub(super) type Lookup = Pin<Box<dyn Future<Output = Result<Vec<Address>, Loss>> + Send>>;

/// An address being dialled.
pub(super) type Dial = Pin<Box<dyn Future<Output = Result<Connection, Loss>> + Send>>;

/// A server being asked whether it takes writes; comes out as its answer, or as nothing.
pub(super) type Probe = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

impl Transport {
    /// TCP with `TCP_NODELAY`, names looked up by the system on every attempt.
    #[must_use]
    pub fn tcp() -> Self {
        Self::default()
    }

    /// The same, with names looked up by calling `resolve` with a host and a port: for a name service of one's own. It is
    /// called on every attempt, and covered by the session's own deadlines. Several addresses are dialled in this order, the
    /// families by turns, each a quarter of a second after the last; the first that answers wins.
    ///
    /// ```
    /// use menagerie::client::Transport;
    ///
    /// let zookeepers = Transport::tcp_resolved(|_host, port| async move { Ok(vec![([10, 0, 0, 1], port).into()]) });
    /// ```
    pub fn tcp_resolved<F, R>(resolve: F) -> Self
    where
        F: Fn(String, u16) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Self(Kind::TcpResolved(Arc::new(move |host, port| Box::pin(resolve(host, port)))))
    }

    /// Dials by calling `dial` with a host and a port. The session's own deadlines cover it; it is dropped when they pass.
    ///
    /// ```
    /// use menagerie::client::Transport;
    /// use tokio::net::UnixStream;
    ///
    /// let through_a_socket = Transport::custom(|_host, _port| UnixStream::connect("/run/zookeeper"));
    /// ```
    pub fn custom<F, D, S>(dial: F) -> Self
    where
        F: Fn(String, u16) -> D + Send + Sync + 'static,
        D: Future<Output = io::Result<S>> + Send + 'static,
        S: Io + 'static,
    {
        Self(Kind::Custom(Arc::new(move |host, port| {
            let dialling = dial(host, port);
            Box::pin(async move { dialling.await.map(|stream| Box::new(stream) as Box<dyn Io>) })
        })))
    }

    pub(super) fn lookup(&self, server: &Server) -> Lookup {
        match &self.0 {
            Kind::Tcp => {
                let (host, port) = (server.host.clone(), server.port);
                Box::pin(async move {
                    let found = lookup_host((host, port)).await.map_err(|_| Loss::NotFound)?;
                    Ok(found.map(Address::Ip).collect())
                })
            }
            Kind::TcpResolved(resolve) => {
                let resolving = resolve(server.host.clone(), server.port);
                Box::pin(async move {
                    let found = resolving.await.map_err(|_| Loss::NotFound)?;
                    Ok(found.into_iter().map(Address::Ip).collect())
                })
            }
            Kind::Custom(_) => Box::pin(async { Ok(vec![Address::Name]) }),
        }
    }

    pub(super) fn dial(&self, server: &Server, address: Address) -> Dial {
        match (&self.0, address) {
            (Kind::Custom(dial), _) => {
                let dialling = dial(server.host.clone(), server.port);
                Box::pin(async move { dialling.await.map(Connection::Custom).map_err(|error| loss(&error)) })
            }
            (Kind::Tcp | Kind::TcpResolved(_), Address::Ip(address)) => Box::pin(async move {
                let stream = TcpStream::connect(address).await.map_err(|error| loss(&error))?;
                stream.set_nodelay(true).map_err(|error| loss(&error))?;
                Ok(Connection::Tcp(stream))
            }),
            (Kind::Tcp | Kind::TcpResolved(_), Address::Name) => Box::pin(async { Err(Loss::NotFound) }),
        }
    }

    pub(super) fn probe(&self, server: &Server, address: Address) -> Probe {
        let dial = self.dial(server, address);
        Box::pin(async move { ask_isro(dial).await.unwrap_or_default() })
    }
}

/// Asks `isro` over a connection of its own. The server closes behind its answer.
async fn ask_isro(dial: Dial) -> io::Result<Vec<u8>> {
    let mut connection = dial.await.map_err(io::Error::other)?;
    let mut word: &[u8] = b"isro";
    while !word.is_empty() {
        let written = poll_fn(|cx| connection.poll_write(cx, &[IoSlice::new(word)])).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        word = word.get(written..).unwrap_or_default();
    }
    poll_fn(|cx| connection.poll_flush(cx)).await?;
    let mut answer = Vec::new();
    connection.take(limits::PROBE_ANSWER_LEN_BYTES as u64).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// What an I/O error means for the session.
pub(super) fn loss(error: &io::Error) -> Loss {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Loss::Refused,
        io::ErrorKind::TimedOut => Loss::ConnectTimeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Loss::Closed
        }
        _ => Loss::Network,
    }
}

impl Connection {
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, slices) {
            (Self::Tcp(stream), [one]) => Pin::new(stream).poll_write(cx, one),
            (Self::Tcp(stream), many) => Pin::new(stream).poll_write_vectored(cx, many),
            (Self::Custom(stream), [one]) => Pin::new(stream).poll_write(cx, one),
            (Self::Custom(stream), many) => Pin::new(stream).poll_write_vectored(cx, many),
        }
    }

    /// Whether what was written may still be held back. A socket never does.
    pub(super) fn buffers(&self) -> bool {
        matches!(self, Self::Custom(_))
    }

    /// Both ends, where the transport is known to have them.
    pub(super) fn ends(&self) -> Option<Ends> {
        let Self::Tcp(stream) = self else { return None };
        Some(Ends { near: stream.local_addr().ok()?, far: stream.peer_addr().ok()? })
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Custom(stream) => Pin::new(stream).poll_flush(cx),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Custom(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Tcp => "Transport::tcp()",
            Kind::TcpResolved(_) => "Transport::tcp_resolved(..)",
            Kind::Custom(_) => "Transport::custom(..)",
        })
    }
}
