//! Servers that cannot be had: named errors or waiting with backoff, never a storm of dials and never a burnt processor.

use crate::support::{on_every_version, run, within};
use menagerie::{
    Client,
    client::{Error, Who},
    path::PathError,
    session::{Fate, Loss, State, Violation},
};
use menagerie_ensemble::proxy::Proxy;
use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use tokio::time::Instant;

/// How long a client may look for a session here.
const PATIENCE: Duration = Duration::from_secs(3);

/// A listener that is no ZooKeeper: what it does with a connection, and how many there were.
struct Impostor {
    address: SocketAddr,
    dialled: Arc<AtomicUsize>,
}

impl Impostor {
    /// Its thread ends with the test process.
    fn start(behave: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let dialled = Arc::new(AtomicUsize::new(0));
        let counter = dialled.clone();
        let behave = Arc::new(behave);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Relaxed);
                let behave = behave.clone();
                thread::spawn(move || behave(stream));
            }
        });
        Impostor { address, dialled }
    }

    /// Accepts, reads, says nothing.
    fn silent() -> Self {
        Self::start(|mut stream| while matches!(stream.read(&mut [0; 256]), Ok(1..)) {})
    }

    /// Accepts and hangs up.
    fn closing() -> Self {
        Self::start(drop)
    }

    /// Answers whatever comes with what a web server says to it.
    fn http() -> Self {
        Self::start(|mut stream| {
            let _ = stream.read(&mut [0; 256]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        })
    }

    fn dialled(&self) -> usize {
        self.dialled.load(Relaxed)
    }
}

/// Connecting fails, and not before its time; the error and how long it took.
async fn refused(connect: &str) -> Error {
    let since = Instant::now();
    let builder = Client::builder(connect).unwrap().connect_timeout(PATIENCE);
    let error = within("end of connecting", builder.connect()).await.unwrap_err();
    let took = since.elapsed();
    assert!((PATIENCE..PATIENCE * 2).contains(&took), "{connect}: {error} after {took:?}");
    assert_eq!((error.who(), error.fate(), error.is_retryable()), (Who::Network, Fate::NotSent, true));
    error
}

/// Full jitter under a ceiling that doubles from 100 ms: this many dials of one server in `PATIENCE`, and not many more.
const DIALS: std::ops::RangeInclusive<usize> = 2..=25;

#[test]
fn all_hosts_down_is_a_named_error_in_time() {
    // The ports are free: their listeners are gone.
    let addresses: Vec<_> =
        (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).collect();
    let connect = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
    let error = run(refused(&connect));
    let mut named: Vec<_> = error.attempts().iter().map(|(server, loss)| (server.port, *loss)).collect();
    named.sort_by_key(|(port, _)| *port);
    let mut wanted: Vec<_> = addresses.iter().map(|address| (address.port(), Loss::Refused)).collect();
    wanted.sort_by_key(|(port, _)| *port);
    assert_eq!(named, wanted);
    let text = error.to_string();
    assert!(addresses.iter().all(|address| text.contains(&address.to_string())), "{text}");
}

#[test]
fn peers_that_are_no_zookeeper_are_named_and_not_hammered() {
    for (peer, loss) in [
        (Impostor::closing(), Loss::ClosedBeforeHandshake),
        // "HTTP" read as a length.
        (Impostor::http(), Loss::Violation(Violation::FrameLength(0x4854_5450))),
    ] {
        let error = run(refused(&peer.address.to_string()));
        assert_eq!(error.attempts().iter().map(|(_, loss)| *loss).collect::<Vec<_>>(), [loss], "{error}");
        assert!(DIALS.contains(&peer.dialled()), "{loss:?}: {} dials", peer.dialled());
    }
}

#[test]
fn a_server_that_says_nothing_costs_its_share_of_the_timeout_only() {
    on_every_version("/refusals-silent", async |at| {
        let peer = Impostor::silent();
        let builder =
            Client::builder(&peer.address.to_string()).unwrap().session_timeout(Duration::from_secs(1));
        let error = builder.connect_timeout(PATIENCE).connect().await.unwrap_err();
        assert_eq!(error.attempts()[0].1, Loss::ConnectTimeout, "{error}");
        assert!((2..=4).contains(&peer.dialled()), "{} dials", peer.dialled());

        // Among others it holds nothing up, whoever's turn is first.
        for seed in 0..4 {
            let connect = format!("{},{}", peer.address, at.node.connect_string());
            let builder =
                Client::builder(&connect).unwrap().session_timeout(Duration::from_secs(4)).seed(seed);
            let since = Instant::now();
            let zk = builder.connect().await.unwrap();
            assert!(since.elapsed() < Duration::from_secs(3), "seed {seed}: {:?}", since.elapsed());
            zk.close().await.unwrap();
        }
    });
}

#[test]
fn one_unknown_host_spoils_nothing() {
    on_every_version("/refusals-unknown", async |at| {
        for seed in 0..4 {
            let connect = format!("no-such-host.invalid:2181,{}", at.node.connect_string());
            let zk = Client::builder(&connect).unwrap().seed(seed).connect().await.unwrap();
            zk.get("/").await.unwrap();
            zk.close().await.unwrap();
        }
    });
    let error = run(refused("no-such-host.invalid:2181"));
    assert_eq!(error.attempts()[0].1, Loss::NotFound, "{error}");
}

#[test]
fn bad_paths_and_bad_connect_strings_are_named_at_the_call() {
    on_every_version("/refusals-paths", async |at| {
        let proxy = Proxy::start(at.node.client_addr()).unwrap();
        let zk = Client::connect(&proxy.connect_string()).await.unwrap();
        let before = proxy.counts();
        let wanted = PathError::RelativeComponent(3);
        for error in [
            zk.get("/a/../b").await.map(drop).unwrap_err(),
            zk.set("/a/../b", "").await.map(drop).unwrap_err(),
            zk.create("/a/../b").parents().await.map(drop).unwrap_err(),
            zk.delete("/a/../b").await.unwrap_err(),
            zk.exists("/a/../b").send().await.map(drop).unwrap_err(),
            zk.children("/a/../b").watch().await.map(drop).unwrap_err(),
            zk.watch("/a/../b").await.map(drop).unwrap_err(),
            zk.acl("/a/../b").await.map(drop).unwrap_err(),
            zk.sync("/a/../b").get("/a").await.map(drop).unwrap_err(),
            zk.sync("/a").get("/a/../b").await.map(drop).unwrap_err(),
            zk.transaction().delete("/a/../b").commit().await.map(drop).unwrap_err(),
            zk.get_many(["/a/../b"]).await.map(drop).unwrap_err(),
            zk.delete_recursive("/a/../b").await.unwrap_err(),
            zk.chroot("/a/../b").map(drop).unwrap_err(),
        ] {
            assert_eq!((error.path_error(), error.who()), (Some(wanted), Who::Caller), "{error}");
            assert_eq!((error.fate(), error.is_retryable()), (Fate::NotSent, false));
        }
        let (requests, after) = (|op| before.frames(op), proxy.counts());
        let sent = after.requests.iter().filter(|(op, each)| **op != 11 && each.frames > requests(**op));
        assert_eq!(sent.count(), 0, "{after:?}");
        for bad in ["", "host:99999", "host/a/../b", "zk://host/?session_timeout=soon"] {
            assert!(Client::connect_lazy(bad).is_err(), "{bad:?}");
        }
    });
}

/// Less than the horizon of a session without contact, so that nobody doubts it; the server counts from its last word.
#[test]
fn a_session_outlives_an_outage_and_its_requests_wait() {
    on_every_version("/refusals-outage", async |at| {
        let proxy = Proxy::start(at.node.client_addr()).unwrap();
        let builder = Client::builder(&proxy.connect_string()).unwrap().chroot(at.root());
        let zk = builder.session_timeout(Duration::from_secs(8)).connect().await.unwrap();
        zk.ensure_chroot().await.unwrap();
        zk.create("/e").ephemeral().await.unwrap();
        let session = zk.status().session_id;
        proxy.refuse().unwrap();
        let late = zk.create("/late").timeout(Duration::from_millis(200)).await.unwrap_err();
        assert_eq!((late.fate(), late.is_retryable()), (Fate::NotSent, true), "{late}");
        let waiting = tokio::spawn({
            let zk = zk.clone();
            async move { zk.create("/waited").await }
        });
        while zk.stats().session.dials < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(zk.state(), State::Disconnected);
        proxy.accept().unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!((zk.status().session_id, zk.status().epoch), (session, 1));
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), ["", "/e", "/waited"]);
    });
}

/// Seconds that the idle process looks for its servers: thirty with `MENAGERIE_LONG`.
fn idle_seconds() -> u64 {
    if env::var_os("MENAGERIE_LONG").is_some() { 30 } else { 10 }
}

/// Runs itself once more as a process that does nothing but look for servers that are not there, and measures what that
/// process takes of a processor.
#[test]
fn looking_for_servers_takes_no_processor_to_speak_of() {
    const ROLE: &str = "MENAGERIE_TEST_LOOKS_FOR";
    if let Ok(connect) = env::var(ROLE) {
        look_for(&connect);
    }
    let peers = [Impostor::closing(), Impostor::http()];
    let connect = format!("127.0.0.1:1,{},{}", peers[0].address, peers[1].address);
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "refusals::looking_for_servers_takes_no_processor_to_speak_of", "--nocapture"])
        .env(ROLE, &connect)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("ticks ")).unwrap();
    let [ticks, waited, dials] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let (ticks, dials): (u64, usize) = (ticks.parse().unwrap(), dials.parse().unwrap());
    let at_peers: usize = peers.iter().map(Impostor::dialled).sum();
    println!(
        "{ticks} ticks of 10 ms in {} s, {dials} dials, {at_peers} of them at the peers",
        idle_seconds()
    );
    // One per cent of a second is a tick.
    assert!(ticks <= idle_seconds(), "{ticks} ticks of 10 ms in {} s", idle_seconds());
    assert!(output.status.success() && waited == "true" && dials >= at_peers, "{line}");
    // A pass dials each server once, and there are few passes: the pause behind one is drawn from up to 100 ms, doubling up to
    // a third of the session timeout, 3.3 s. That makes six in the first seconds and then one in 1.7 s, give or take a few.
    let most = 15 + usize::try_from(idle_seconds()).unwrap();
    assert!((2..=2 * most).contains(&at_peers), "{at_peers} dials");
}

/// Looks for servers until a request has waited long enough, and ends the process.
fn look_for(connect: &str) -> ! {
    run(async {
        let zk = Client::connect_lazy(connect).unwrap();
        let error = zk.get("/").timeout(Duration::from_secs(idle_seconds())).await.unwrap_err();
        println!("\nticks {} {} {}", ticks(), error.fate() == Fate::NotSent, zk.stats().session.dials);
    });
    std::process::exit(0)
}

/// Time of processor that this process has taken, in ticks of 10 ms (`proc_pid_stat`, fields 14 and 15).
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_server_that_comes_late_is_found() {
    on_every_version("/refusals-late", async |at| {
        let proxy = Proxy::start(at.node.client_addr()).unwrap();
        proxy.refuse().unwrap();
        let zk = Client::connect_lazy(&proxy.connect_string()).unwrap();
        let asked = zk.clone();
        let asking = tokio::spawn(async move { asked.get("/").await });
        while zk.stats().session.dials < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(zk.state(), State::Connecting);
        proxy.accept().unwrap();
        asking.await.unwrap().unwrap();
    });
}
