//! The server as its owner sees it: started, stopped, dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinHandle};

use crate::builder::Builder;
use crate::core::{Config, Core};
use crate::hub::Hub;
use crate::link;

/// Bytes that a stream of a [`Connector`] holds in each direction.
const STREAM_LEN_BYTES: usize = 32 << 10;

/// Connections that the system may hold before they are accepted.
const BACKLOG: u32 = 1_024;

/// How long to wait after an accept that failed: of files there may be more soon.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// A ZooKeeper-compatible server in this process, in memory, for development and tests.
///
/// It listens from [`start`](Self::start) on, and is gone when dropped. Whoever drops it in a panic gets to see what happened
/// last: the trace of requests goes to stderr.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = menagerie_server::Server::start().await?;
/// println!("connect to {}", server.connect_string());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    pub(crate) hub: Arc<Hub>,
    address: SocketAddr,
    listening: Mutex<Listening>,
    timer: AbortHandle,
    acceptor: std::sync::Mutex<Option<AbortHandle>>,
}

/// Whether the port is listened on, or only kept.
#[derive(Debug)]
enum Listening {
    Up(JoinHandle<()>),
    Down(Option<TcpSocket>),
}

/// Connections to a [`Server`] without sockets. Cheap to clone; it does not keep the server.
///
/// Each stream is a connection, as if from 127.0.0.1. For a client that takes a closure as its transport:
///
/// ```
/// # use std::{future::Future, io, pin::Pin};
/// # use tokio::io::{AsyncRead, AsyncWrite};
/// # trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
/// # impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}
/// # type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;
/// # struct Transport;
/// # impl Transport { fn custom(_: impl Fn(String, u16) -> Dialling + Send + Sync + 'static) -> Self { Self } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// # let server = menagerie_server::Server::start().await?;
/// let connector = server.connector();
/// let transport = Transport::custom(move |_host, _port| {
///     let dial = connector.connect();
///     Box::pin(async move { Ok(Box::new(dial.await?) as Box<dyn Io>) })
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    hub: std::sync::Weak<Hub>,
    ports: Arc<AtomicU16>,
}

impl Server {
    /// A server as Apache ZooKeeper 3.9 on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of listening.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A server to be settled.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) async fn start_with(
        listen: SocketAddr,
        mut config: Config,
        unix_millis: i64,
    ) -> io::Result<Self> {
        let listener = bind(listen)?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        config.client_port = address.port();
        let core = Core::new(config, tokio::time::Instant::now().into_std(), unix_millis);
        let hub = Arc::new(Hub::new(core));
        let keeper = hub.clone();
        let timer = tokio::spawn(async move { keeper.keep_time().await }).abort_handle();
        let acceptor = tokio::spawn(accept(hub.clone(), listener));
        Ok(Self {
            hub,
            address,
            acceptor: std::sync::Mutex::new(Some(acceptor.abort_handle())),
            listening: Mutex::new(Listening::Up(acceptor)),
            timer,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What clients take: host and port.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// A way to it without sockets, which works under a paused tokio clock.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector { hub: Arc::downgrade(&self.hub), ports: Arc::new(AtomicU16::new(1)) }
    }

    /// Stops it: connections are closed and new ones refused, until [`restart`](Self::restart). Data and sessions stay, and the
    /// sessions' time stands still. The port stays taken.
    ///
    /// # Errors
    /// Those of keeping the port.
    pub async fn stop(&self) -> io::Result<()> {
        let mut listening = self.listening.lock().await;
        if let Listening::Up(acceptor) = &mut *listening {
            acceptor.abort();
            let _ = acceptor.await;
            self.hub.set_up(false);
            self.hub.with(|core, now| core.stop(now));
            *listening = Listening::Down(Some(bind(self.address)?));
        }
        Ok(())
    }

    /// Starts it again on the same port, with all data and sessions; every session has its whole timeout from here on.
    ///
    /// # Errors
    /// Those of listening.
    pub async fn restart(&self) -> io::Result<()> {
        self.stop().await?;
        let mut listening = self.listening.lock().await;
        if let Listening::Down(socket) = &mut *listening {
            let socket = socket.take().map_or_else(|| bind(self.address), Ok)?;
            let listener = socket.listen(BACKLOG)?;
            self.hub.with(|core, now| core.restart(now));
            self.hub.set_up(true);
            let acceptor = tokio::spawn(accept(self.hub.clone(), listener));
            if let Ok(mut slot) = self.acceptor.lock() {
                *slot = Some(acceptor.abort_handle());
            }
            *listening = Listening::Up(acceptor);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.trace());
        }
        self.timer.abort();
        if let Some(acceptor) = self.acceptor.lock().ok().and_then(|mut slot| slot.take()) {
            acceptor.abort();
        }
        self.hub.set_up(false);
        self.hub.with(|core, now| core.stop(now));
    }
}

impl Connector {
    /// A new connection.
    ///
    /// # Errors
    /// `ConnectionRefused` while the server is stopped, and when it is gone.
    pub fn connect(&self) -> impl Future<Output = io::Result<DuplexStream>> + Send + use<> {
        let Self { hub, ports } = self.clone();
        async move {
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let hub = hub.upgrade().ok_or_else(refused)?;
            let port = ports.fetch_add(1, Ordering::Relaxed);
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let id = hub.open(peer).ok_or_else(refused)?;
            let (ours, theirs) = tokio::io::duplex(STREAM_LEN_BYTES);
            tokio::spawn(link::drive(hub, id, ours));
            Ok(theirs)
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of before that linger do not keep the port from us.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(hub: Arc<Hub>, listener: TcpListener) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        if let Some(id) = hub.open(peer) {
            tokio::spawn(link::drive(hub.clone(), id, stream));
        }
        // One at a time: those that are here have their turn between two that come.
        if !planted!("server_accepts_in_bulk") {
            tokio::task::yield_now().await;
        }
    }
}
