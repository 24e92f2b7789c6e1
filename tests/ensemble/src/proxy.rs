//! A TCP proxy between a client and a node, to break the network in ways that can be named.
//!
//! It knows of the protocol only where a frame ends, a request's opcode, and xid −1, which marks a notification. It
//! keeps at most 64 KiB per direction and connection: a held direction stops reading, as a stuck network would.

mod pump;
mod scanner;

use crate::{Result, ports::Port, wait::eventually};
use pump::{Link, pump};
use std::{
    collections::BTreeMap,
    io, mem,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

const DIAL: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_secs(10);

/// One way through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: replies and notifications.
    ToClient,
}

/// Requests of one opcode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// How many frames.
    pub frames: u64,
    /// Their bytes in all, without the length fields.
    pub bytes: u64,
    /// The bytes of the longest.
    pub longest: usize,
}

/// What has gone through since the start, or since [`Proxy::reset_counts`]. A frame is counted before its first byte
/// is passed on, so a reply that a client has seen is counted, and so is its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// ConnectRequests.
    pub handshakes: u64,
    /// Every later frame to the server by opcode, pings (11) included.
    pub requests: BTreeMap<i32, Requests>,
    /// Frames to the client with a xid other than −1, pings included, without ConnectResponses.
    pub replies: u64,
    /// Notifications passed on.
    pub notifications: u64,
    /// Notifications kept back.
    pub withheld: u64,
    /// Streams that are not ZooKeeper's, such as four-letter words; counted once a direction.
    pub opaque: u64,
    /// Bytes passed to servers.
    pub bytes_to_server: u64,
    /// Bytes passed to clients.
    pub bytes_to_client: u64,
}

impl Counts {
    /// Frames of `opcode`.
    pub fn frames(&self, opcode: i32) -> u64 {
        self.requests.get(&opcode).map_or(0, |requests| requests.frames)
    }
}

/// A proxy in front of one address. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of loopback and forwards to `upstream`, which need not be there yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let port = Port::claim()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let shared =
            Arc::new(Shared { upstream, address, control: Mutex::default(), changed: Condvar::new() });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept_loop(&shared)
        });
        let proxy = Proxy { port, shared, acceptor: Some(acceptor) };
        proxy.wait_listening(true)?;
        Ok(proxy)
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.number()))
    }

    /// [`addr`](Self::addr) as a connect string.
    pub fn connect_string(&self) -> String {
        self.addr().to_string()
    }

    /// Passes nothing more in this direction, on connections present and future. A chunk whose passing had begun may
    /// still arrive.
    pub fn hold(&self, direction: Direction) {
        self.shared.change(|control| control.way(direction).held = true);
    }

    /// Ends [`hold`](Self::hold): what was kept arrives now, in order.
    pub fn resume(&self, direction: Direction) {
        self.shared.change(|control| control.way(direction).held = false);
    }

    /// Every chunk (at most 64 KiB) waits so long before it is passed on; zero ends it, also for a chunk
    /// that waits.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.shared.change(|control| control.way(direction).delay = delay);
    }

    /// Passes so many bytes more in this direction, over all connections, and then closes the connection whose byte would
    /// come next. One connection dies of it; it counts from here.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.shared.change(|control| control.way(direction).cut_after = Some(bytes));
    }

    /// Mixes the byte at `at` (below 12, the length field included) of the next frame in this direction with `xor`. One
    /// frame suffers; a handshake is none.
    pub fn corrupt(&self, direction: Direction, at: usize, xor: u8) {
        self.shared.change(|control| control.way(direction).corrupt = Some((at, xor)));
    }

    /// Passes every byte by itself (`true`), or as it comes (`false`).
    pub fn split(&self, direction: Direction, split: bool) {
        self.shared.change(|control| control.way(direction).split = split);
    }

    /// Takes back what is to come in this direction: a cut at a byte, a byte to be corrupted.
    pub fn heal(&self, direction: Direction) {
        self.shared.change(|control| {
            let way = control.way(direction);
            (way.cut_after, way.corrupt) = (None, None);
        });
    }

    /// Keeps back every notification from now on (`true`), or none (`false`). What was kept back is lost.
    pub fn withhold_notifications(&self, withhold: bool) {
        self.shared.change(|control| control.withhold = withhold);
    }

    /// Closes every connection, both sides; how many there were. New ones are accepted.
    pub fn cut(&self) -> usize {
        let mut control = self.shared.lock();
        let links = mem::take(&mut control.links);
        links.values().for_each(|link| link.cut());
        self.shared.changed.notify_all();
        links.len()
    }

    /// Closes the listening socket, so that dialling is refused, and every connection.
    ///
    /// # Errors
    /// When the socket is not closed within ten seconds.
    pub fn refuse(&self) -> Result<()> {
        self.shared.change(|control| control.refusing = true);
        self.shared.wake_acceptor();
        self.wait_listening(false)?;
        self.cut();
        Ok(())
    }

    /// Listens again on the same port after [`refuse`](Self::refuse).
    ///
    /// # Errors
    /// When the port cannot be had within ten seconds.
    pub fn accept(&self) -> Result<()> {
        self.shared.change(|control| control.refusing = false);
        self.wait_listening(true)
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.lock().links.len()
    }

    /// What has gone through.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts.clone()
    }

    /// Starts counting from zero, and returns what there was.
    pub fn reset_counts(&self) -> Counts {
        mem::take(&mut self.shared.lock().counts)
    }

    /// Waits until `wanted` holds of the counts, and returns them.
    ///
    /// # Errors
    /// When `within` has passed.
    pub fn wait_counts(&self, within: Duration, wanted: impl Fn(&Counts) -> bool) -> Result<Counts> {
        eventually("such counts at the proxy", within, || {
            let counts = self.counts();
            if wanted(&counts) { Ok(counts) } else { Err(format!("{counts:?}")) }
        })
    }

    fn wait_listening(&self, wanted: bool) -> Result<()> {
        eventually("change of the listening socket", SETTLE, || {
            let listening = self.shared.lock().listening;
            if listening == wanted { Ok(()) } else { Err(format!("listening: {listening}")) }
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|control| control.closed = true);
        self.shared.wake_acceptor();
        self.cut();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        // One that the acceptor had just taken.
        self.cut();
    }
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    address: SocketAddr,
    control: Mutex<Control>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Control {
    to_server: Way,
    to_client: Way,
    withhold: bool,
    refusing: bool,
    listening: bool,
    closed: bool,
    counts: Counts,
    next_link: u64,
    /// Connections that are open; one that was cut is not among them.
    links: BTreeMap<u64, Arc<Link>>,
}

#[derive(Debug, Default)]
struct Way {
    held: bool,
    delay: Duration,
    split: bool,
    /// Bytes that still pass before a cut.
    cut_after: Option<u64>,
    corrupt: Option<(usize, u8)>,
}

impl Control {
    fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Control)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Cuts one link, and wakes a pump of it that waits at the gate.
    fn cut(&self, link: &Link) {
        self.change(|_| link.cut());
    }

    fn wait<'guard>(&self, guard: MutexGuard<'guard, Control>) -> MutexGuard<'guard, Control> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_timeout_while<'guard>(
        &self,
        guard: MutexGuard<'guard, Control>,
        longest: Duration,
        condition: impl FnMut(&mut Control) -> bool,
    ) -> MutexGuard<'guard, Control> {
        let waited = self.changed.wait_timeout_while(guard, longest, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The acceptor sleeps in the kernel; a connection wakes it to look at the flags.
    fn wake_acceptor(&self) {
        let _ = TcpStream::connect_timeout(&self.address, DIAL);
    }
}

fn accept_loop(shared: &Arc<Shared>) {
    loop {
        let mut control = shared.lock();
        while control.refusing && !control.closed {
            control = shared.wait(control);
        }
        if control.closed {
            return;
        }
        drop(control);
        match TcpListener::bind(shared.address) {
            Ok(listener) => accept_from(shared, &listener),
            // Somebody's outgoing connection may hold the port for a moment.
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
        shared.change(|control| control.listening = false);
    }
}

/// Accepts until the proxy is to refuse or ends.
fn accept_from(shared: &Arc<Shared>, listener: &TcpListener) {
    shared.change(|control| control.listening = true);
    for client in listener.incoming() {
        let mut control = shared.lock();
        if control.refusing || control.closed {
            return;
        }
        control.counts.accepted += 1;
        drop(control);
        if let Ok(client) = client {
            let shared = Arc::clone(shared);
            thread::spawn(move || serve(&shared, client));
        }
    }
}

/// Dials the server for one client and pumps both ways until both have ended.
fn serve(shared: &Arc<Shared>, client: TcpStream) {
    let Ok(link) = open(shared, client) else { return };
    let link = Arc::new(link);
    let mut control = shared.lock();
    if control.refusing || control.closed {
        return;
    }
    let number = control.next_link;
    control.next_link += 1;
    control.links.insert(number, Arc::clone(&link));
    drop(control);

    let back = thread::spawn({
        let (shared, link) = (Arc::clone(shared), Arc::clone(&link));
        move || pump(&shared, &link, Direction::ToClient)
    });
    pump(shared, &link, Direction::ToServer);
    let _ = back.join();
    shared.cut(&link);
    shared.lock().links.remove(&number);
}

fn open(shared: &Shared, client: TcpStream) -> io::Result<Link> {
    let server = TcpStream::connect_timeout(&shared.upstream, DIAL).inspect_err(|_| {
        let _ = client.shutdown(Shutdown::Both);
    })?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok(Link::new(client, server))
}

#[cfg(test)]
mod tests;
