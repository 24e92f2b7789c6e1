//! Apache ZooKeeper as a target: one server of a version for all tests of the process, and proxies for each.

use crate::{embedded::REAPING, run::Target};
use menagerie_ensemble::{Builder, Ensemble, Version, proxy::Proxy};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

/// Longest silence of the server when a session is ended.
const SILENCE: Duration = Duration::from_secs(20);
/// Of ending a session whose owner takes it back.
const ATTEMPTS: usize = 50;
const CLOSE_SESSION: i32 = -11;

/// The one of its kind, while anybody uses it.
type Shared = Mutex<Weak<Ensemble>>;

/// The real server behind a proxy of its own: cuts and counts are this target's only.
#[derive(Debug)]
pub struct Real {
    version: Version,
    server: Arc<Ensemble>,
    proxy: Proxy,
    /// In front of the other, which counts for both.
    remote: Proxy,
}

impl Real {
    /// Starts a server of the newer version unless another test of this process is using it.
    ///
    /// # Errors
    /// When it does not start, in words.
    pub fn start() -> Result<Self, String> {
        static SHARED: Shared = Shared::new(Weak::new());
        Self::share(&SHARED, Version::V3_9, None)
    }

    /// The same with a server of `version` that looks for empty containers at the pace of `REAPING`.
    ///
    /// # Errors
    /// When it does not start, in words.
    pub fn reaping(version: Version) -> Result<Self, String> {
        static SHARED: [Shared; 2] = [const { Shared::new(Weak::new()) }; 2];
        let [older, newer] = &SHARED;
        let flag = format!("-Dznode.container.checkIntervalMs={}", REAPING.as_millis());
        Self::share(if version == Version::V3_8 { older } else { newer }, version, Some(&flag))
    }

    fn share(shared: &Shared, version: Version, flag: Option<&str>) -> Result<Self, String> {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let server = match shared.upgrade() {
            Some(server) => server,
            None => {
                let builder = Ensemble::builder(version);
                let builder = flag.into_iter().fold(builder, Builder::jvm_flag);
                let started = Arc::new(builder.start().map_err(|why| why.to_string())?);
                *shared = Arc::downgrade(&started);
                started
            }
        };
        drop(shared);
        let proxy = Proxy::start(address(&server)?).map_err(|why| why.to_string())?;
        let remote = Proxy::start(proxy.addr()).map_err(|why| why.to_string())?;
        Ok(Real { version, server, proxy, remote })
    }
}

fn address(server: &Ensemble) -> Result<SocketAddr, String> {
    server.connect_string().parse().map_err(|why| format!("{}: {why}", server.connect_string()))
}

impl Target for Real {
    fn name(&self) -> String {
        format!("Apache ZooKeeper {}", self.version)
    }

    fn connect_string(&self) -> String {
        self.proxy.connect_string()
    }

    fn remote_connect_string(&self) -> String {
        self.remote.connect_string()
    }

    fn set_remote_away(&self, away: bool) -> Result<(), String> {
        let done = if away { self.remote.refuse() } else { self.remote.accept() };
        done.map_err(|why| why.to_string())
    }

    fn drop_connections(&self) -> Result<(), String> {
        match self.proxy.cut() {
            0 => Err("there was no connection".to_owned()),
            _ => Ok(()),
        }
    }

    /// The server is shared, so it is only out of reach: clients see refused connections.
    fn restart(&self) -> Result<(), String> {
        self.proxy.refuse().and_then(|()| self.proxy.accept()).map_err(|why| why.to_string())
    }

    fn expire(&self, session: i64, password: &[u8]) -> Result<(), String> {
        take_over_and_close(address(&self.server)?, session, password)
    }

    /// The proxy counts a request before it passes it on, and does not pair it with its reply; but a client that goes on
    /// after its call has been answered.
    fn opcodes(&self) -> Result<BTreeMap<i32, u64>, String> {
        let counts = self.proxy.counts();
        Ok(counts.requests.iter().map(|(opcode, requests)| (*opcode, requests.frames)).collect())
    }
}

/// Ends the session as nobody but its owner could: attaches by its credentials and closes it. The owner may take it back in
/// between, so this is repeated until the server does not know the session.
fn take_over_and_close(server: SocketAddr, session: i64, password: &[u8]) -> Result<(), String> {
    let out = handshake_and_close(session, password)?;
    let mut answer = Vec::new();
    for _ in 0..ATTEMPTS {
        answer.clear();
        let talked = TcpStream::connect(server).and_then(|mut stream| {
            stream.set_read_timeout(Some(SILENCE))?;
            stream.write_all(&out)?;
            stream.read_to_end(&mut answer)
        });
        // The owner's return resets this connection.
        if talked.is_err() {
            continue;
        }
        // Length, protocol version and timeout come before the session id of the answer.
        if answer.get(12..20) == Some(&[0; 8]) {
            return Ok(());
        }
    }
    Err(format!("the server still knows {session:#x}: {answer:?}"))
}

fn handshake_and_close(session: i64, password: &[u8]) -> Result<Vec<u8>, String> {
    let length = i32::try_from(password.len()).map_err(|why| why.to_string())?;
    let mut connect = [&0_i32.to_be_bytes()[..], &0_i64.to_be_bytes(), &10_000_i32.to_be_bytes()].concat();
    connect.extend([&session.to_be_bytes()[..], &length.to_be_bytes(), password, &[0]].concat());
    let close = [1_i32.to_be_bytes(), CLOSE_SESSION.to_be_bytes()].concat();
    let mut out = Vec::new();
    for frame in [connect, close] {
        let length = i32::try_from(frame.len()).map_err(|why| why.to_string())?;
        out.extend(length.to_be_bytes());
        out.extend(frame);
    }
    Ok(out)
}
