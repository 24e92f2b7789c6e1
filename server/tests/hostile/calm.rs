//! What somebody who does no harm notices of those who do.
//!
//! Server and client share one thread, and what the client waits is counted by the processor time of that thread: other programs
//! on the machine make no difference, and what the server does for others in between does. Those who do harm have threads of
//! their own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use menagerie_server::jute::*;
use menagerie_server::{Limits, Server};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{Peer, asking, creation, framed, greeting};

/// Requests of a round, calm or not.
const ASKED: usize = 1_000;
/// Rounds of each kind, one after the other.
const ROUNDS: usize = 3;
/// A machine that does much else may slow down one half of a measurement, but not each time.
const ATTEMPTS: usize = 6;
/// How much longer than calm the slowest percent may take.
const TIMES: u64 = 10;

/// A way to do harm, over and over.
type Harm = fn(SocketAddr) -> std::io::Result<()>;

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    Ok(stream)
}

fn words(address: SocketAddr) -> std::io::Result<()> {
    for word in ["mntr", "wchp", "dump", "cons", "ruok"] {
        let mut stream = connect(address)?;
        stream.write_all(word.as_bytes())?;
        stream.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

fn no_handshakes(address: SocketAddr) -> std::io::Result<()> {
    for bytes in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08whatever"] {
        let mut stream = connect(address)?;
        stream.write_all(bytes)?;
        let _ = stream.read(&mut [0; 64]);
    }
    Ok(())
}

/// Begins, and leaves without a word.
fn half_open(address: SocketAddr) -> std::io::Result<()> {
    let whole = framed(&[&greeting()]);
    let mut stream = connect(address)?;
    stream.write_all(whole.get(..20).unwrap_or_default())?;
    Ok(())
}

fn session(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = connect(address)?;
    stream.write_all(&framed(&[&greeting()]))?;
    stream.read_exact(&mut [0; 40])?;
    Ok(stream)
}

/// Asks for as much as it can send, and reads nothing.
fn no_reader(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = session(address)?;
    let many = asking(1, OpCode::GET_CHILDREN, &GetChildrenRequest { path: "/", watch: false }).repeat(2_000);
    // It ends when the server no longer reads.
    while stream.write_all(&many).is_ok() {}
    Ok(())
}

/// Watches everything, reads nothing, and has it changed.
///
/// An event is written to each of its watchers as soon as an answer would be. What a change costs the others grows with the number
/// of those that are told of it, at the real server too; here they are eight, told by two at once.
fn slow_watchers(address: SocketAddr) -> std::io::Result<()> {
    let mut watchers = Vec::new();
    let watch = AddWatchRequest { path: "/", mode: AddWatchMode::PERSISTENT_RECURSIVE };
    for _ in 0..4 {
        let mut stream = session(address)?;
        stream.write_all(&asking(1, OpCode::ADD_WATCH, &watch))?;
        watchers.push(stream);
    }
    let mut writer = session(address)?;
    let set = asking(1, OpCode::SET_DATA, &SetDataRequest { path: "/0", data: None, version: -1 });
    for _ in 0..100 {
        writer.write_all(&set)?;
        let _ = writer.read(&mut [0; 4_096])?;
    }
    Ok(())
}

fn processor_time() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// What each of a round's requests waited, in nanoseconds, sorted. Every other one asks for a list, as those do who do harm.
async fn round(peer: &mut Peer) -> Vec<u64> {
    let mut waited = Vec::new();
    for at in 0..ASKED {
        let before = processor_time();
        let code = if at % 2 == 0 {
            peer.err(OpCode::EXISTS, &ExistsRequest { path: "/0", watch: false }).await
        } else {
            peer.err(OpCode::GET_CHILDREN, &GetChildrenRequest { path: "/", watch: false }).await
        };
        assert_eq!(code, ErrorCode::OK);
        waited.push(processor_time() - before);
    }
    waited.sort_unstable();
    waited
}

/// The slowest percent begins here.
fn p99(waited: &[u64]) -> u64 {
    waited[waited.len() * 99 / 100]
}

fn middle(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// The middle of the rounds' slowest percents: calm, and with two who do harm; and how often harm was done.
async fn measured(harm: Harm) -> (u64, u64, u64) {
    let mut limits = Limits::default();
    (limits.connections_per_address, limits.output_max) = (0, 256 << 10);
    let server = Server::builder().limits(limits).start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    for at in 0..100 {
        assert_eq!(
            peer.err(OpCode::CREATE, &creation(&format!("/{at}"), CreateMode::EPHEMERAL)).await,
            ErrorCode::OK
        );
    }
    let (mut calm, mut harmed, mut done) = (Vec::new(), Vec::new(), 0);
    round(&mut peer).await;
    for _ in 0..ROUNDS {
        calm.push(p99(&round(&mut peer).await));
        let harming = Harming::begin(harm, server.local_addr());
        // As many rounds as it takes for harm to have been done, and one if it was quick.
        loop {
            harmed.push(p99(&round(&mut peer).await));
            if harming.done.load(Ordering::Relaxed) >= 2 {
                break;
            }
        }
        done += harming.done.load(Ordering::Relaxed);
        harming.end(&mut peer).await;
    }
    (middle(calm), middle(harmed), done)
}

/// Two threads that do harm.
struct Harming {
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Harming {
    fn begin(harm: Harm, address: SocketAddr) -> Self {
        let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let one = || {
            let (is_over, done) = (is_over.clone(), done.clone());
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    // What the server closes on the way is as it should be.
                    let _ = harm(address);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let threads = vec![one(), one()];
        Self { is_over, done, threads }
    }

    /// The server has to go on until they are through with it.
    async fn end(self, peer: &mut Peer) {
        self.is_over.store(true, Ordering::Relaxed);
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            assert!(peer.is_served().await);
        }
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

async fn assert_calm(what: &str, harm: Harm) {
    let micros = |nanos: u64| nanos / 1_000;
    for _ in 0..ATTEMPTS {
        let (calm, harmed, done) = measured(harm).await;
        let (calm_micros, micros) = (micros(calm), micros(harmed));
        println!("{what}: p99 {micros} us of processor time, calm {calm_micros} us ({done} times)");
        if harmed <= TIMES * calm {
            return;
        }
    }
    panic!("{what}: not once within {TIMES} times calm");
}

#[tokio::test]
async fn words_do_not_hold_up_the_others() {
    assert_calm("four-letter words", words).await;
}

#[tokio::test]
async fn connections_that_are_none_do_not_hold_up_the_others() {
    assert_calm("no handshakes", no_handshakes).await;
    assert_calm("half-open connections", half_open).await;
}

#[tokio::test]
async fn readers_that_do_not_read_do_not_hold_up_the_others() {
    assert_calm("requests without a reader", no_reader).await;
}

#[tokio::test]
async fn slow_watchers_do_not_hold_up_the_others() {
    assert_calm("slow watchers", slow_watchers).await;
}
