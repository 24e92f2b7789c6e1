//! Making a client: from a connect string, a URL, the environment, or piece by piece.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use super::connect_string::{self, ConnectString, ConnectStringError};
use super::driver::Driver;
use super::follow::{Next, OnExpiry};
use super::hub::Hub;
use super::transport::Transport;
use super::{Client, Error, Guard, Kind};
use crate::limits;
use crate::session::{Auth, Config, Credentials, Outcome, Server};

/// A client in the making.
#[must_use = "a builder does nothing until it connects"]
#[derive(Clone)]
pub struct Builder {
    config: Config,
    chroot: String,
    transport: Transport,
    on_expiry: OnExpiry,
    request_timeout: Duration,
    connect_timeout: Duration,
    home: Home,
}

/// Where the client's task runs.
#[derive(Clone)]
enum Home {
    /// On the runtime that `connect` is called in.
    Here,
    /// On this one.
    Runtime(Handle),
    /// On a thread of its own.
    Thread,
}

impl Builder {
    /// From a connect string: `host1:2181,host2:2181/chroot`, or
    /// `zk://user:password@host1,host2/chroot?session_timeout=10s`.
    ///
    /// # Errors
    /// What is wrong with it, before anything is dialled.
    pub fn new(connect_string: &str) -> Result<Self, Error> {
        let parsed: ConnectString =
            connect_string.parse().map_err(|error: ConnectStringError| Error::new(error))?;
        let mut builder = Self::servers(parsed.servers);
        builder.chroot = parsed.chroot;
        builder.config.auth.extend(parsed.auth);
        builder.config.timeout = parsed.session_timeout.unwrap_or(builder.config.timeout);
        builder.connect_timeout = parsed.connect_timeout.unwrap_or(builder.connect_timeout);
        builder.config.read_only = parsed.read_only.unwrap_or(false);
        Ok(builder)
    }

    /// From a list of servers.
    pub fn servers(servers: Vec<Server>) -> Self {
        Self {
            config: Config::new(servers, seed()),
            chroot: String::new(),
            transport: Transport::tcp(),
            on_expiry: OnExpiry::default(),
            request_timeout: limits::REQUEST_DEADLINE,
            connect_timeout: limits::CONNECT_TIMEOUT,
            home: Home::Here,
        }
    }

    /// From the environment: `MENAGERIE_CONNECT` (a connect string or URL; `127.0.0.1:2181` if it is not set),
    /// `MENAGERIE_SESSION_TIMEOUT`, `MENAGERIE_CONNECT_TIMEOUT`, `MENAGERIE_REQUEST_TIMEOUT` (as `10s` or `500ms`),
    /// `MENAGERIE_AUTH` (`user:password`, scheme digest) and `MENAGERIE_READ_ONLY`.
    ///
    /// # Errors
    /// What is wrong with a value.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let duration = |name: &'static str| {
            var(name).map(|text| connect_string::duration(name, &text)).transpose().map_err(Error::new)
        };
        let mut builder = Self::new(var("MENAGERIE_CONNECT").as_deref().unwrap_or("127.0.0.1:2181"))?;
        builder.config.timeout = duration("MENAGERIE_SESSION_TIMEOUT")?.unwrap_or(builder.config.timeout);
        builder.connect_timeout = duration("MENAGERIE_CONNECT_TIMEOUT")?.unwrap_or(builder.connect_timeout);
        builder.request_timeout = duration("MENAGERIE_REQUEST_TIMEOUT")?.unwrap_or(builder.request_timeout);
        if let Some(auth) = var("MENAGERIE_AUTH") {
            builder = builder.auth("digest", auth);
        }
        if let Some(text) = var("MENAGERIE_READ_ONLY") {
            builder.config.read_only =
                connect_string::flag("MENAGERIE_READ_ONLY", &text).map_err(Error::new)?;
        }
        Ok(builder)
    }

    /// Session timeout to ask for; the server grants what it allows. The default is
    /// [`limits::SESSION_TIMEOUT`].
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// How long [`connect`](Self::connect) waits for the first session. The default is [`limits::CONNECT_TIMEOUT`].
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take in all, unless it says otherwise. The default is [`limits::REQUEST_DEADLINE`].
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Every path of the client lies below this one. It is not created by itself; see [`Client::ensure_chroot`]. What is no
    /// path is an error of [`connect`](Self::connect).
    pub fn chroot(mut self, chroot: &str) -> Self {
        self.chroot = if chroot == "/" { String::new() } else { chroot.to_owned() };
        self
    }

    /// Credentials presented on every connection, ahead of everything else: `("digest", "user:password")`. Scheme `digest`
    /// sends the password as it is: over plain TCP to another machine that is warned of, once a client.
    pub fn auth(mut self, scheme: &str, auth: impl Into<Bytes>) -> Self {
        self.config.auth.push(Auth { scheme: scheme.to_owned(), auth: auth.into() });
        self
    }

    /// Whether a read-only server will do: one without a quorum that serves reads. The default is no. From there the client
    /// searches for one that takes writes, and goes over to it; see [the manual](crate::manual::sessions#read-only-servers)
    /// for what that means to a session that began on the read-only one.
    pub fn read_only(mut self, allowed: bool) -> Self {
        self.config.read_only = allowed;
        self
    }

    /// What to do when the session expires. The default is to follow with a new one.
    pub fn on_expiry(mut self, on_expiry: OnExpiry) -> Self {
        self.on_expiry = on_expiry;
        self
    }

    /// Attaches to a session begun elsewhere ([`Client::credentials`]), instead of beginning one. No server that is behind
    /// [`last_zxid`](Credentials::last_zxid) takes it up, so reads do not go back in time. Its watches and authentication do
    /// not come along: they belong to connections.
    ///
    /// Whoever used the session before must have stopped: if it goes on, each attach takes the session from the other. That is
    /// noticed, and this client ends with [`End::Contended`](crate::session::End::Contended), without closing the session.
    pub fn resume(mut self, credentials: Credentials) -> Self {
        self.config.credentials = Some(credentials);
        self
    }

    /// Places for requests that wait or are under way; a short one takes one. The default is [`limits::PLACES`].
    pub fn places(mut self, places: u32) -> Self {
        self.config.places = places.max(1);
        self
    }

    /// Largest reply that is kept, in bytes; at most [`limits::DISCARDED_FRAME_LEN_BYTES`]. The default is
    /// [`limits::INBOUND_FRAME_LEN_BYTES`].
    pub fn inbound_limit(mut self, len_bytes: usize) -> Self {
        self.config.inbound_frame_len_bytes = len_bytes.min(limits::DISCARDED_FRAME_LEN_BYTES);
        self
    }

    /// Largest request, in bytes: the servers' `jute.maxbuffer`. The default is
    /// [`limits::OUTBOUND_FRAME_LEN_BYTES`].
    pub fn outbound_limit(mut self, len_bytes: usize) -> Self {
        self.config.outbound_frame_len_bytes = len_bytes;
        self
    }

    /// Another way to reach servers than plain TCP.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Runs the client's task on this runtime.
    pub fn on_runtime(mut self, runtime: Handle) -> Self {
        self.home = Home::Runtime(runtime);
        self
    }

    /// Runs the client's task on a thread of its own, where nothing else can keep it from its heartbeats: a task that
    /// blocks a single-thread runtime for a session timeout costs the session.
    pub fn on_own_thread(mut self) -> Self {
        self.home = Home::Thread;
        self
    }

    /// Where chance comes from: the order of servers and jitter. For runs that are to repeat.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// Connects, and waits for the first session.
    ///
    /// Dropping the future gives up and closes.
    ///
    /// # Errors
    /// No session within the connect timeout: with what each host had to say. Wrong credentials. No runtime.
    pub async fn connect(self) -> Result<Client, Error> {
        let waited = self.connect_timeout;
        let (client, verdicts) = self.start()?;
        client.first_session(waited, verdicts).await?;
        Ok(client)
    }

    /// Yields a client at once; it connects by itself, and requests wait for that within their deadlines.
    ///
    /// # Errors
    /// A chroot that is not a path, no server, or no runtime to run on.
    pub fn connect_lazy(self) -> Result<Client, Error> {
        self.start().map(|(client, _)| client)
    }

    /// Yields a client, and what the server will say of each of its credentials.
    fn start(mut self) -> Result<(Client, Vec<oneshot::Receiver<Outcome>>), Error> {
        if self.config.servers.is_empty() {
            return Err(Error::new(ConnectStringError::NoHost));
        }
        if !self.chroot.is_empty() {
            crate::path::validate(&self.chroot)
                .map_err(|error| Error::new(ConnectStringError::Chroot(error)))?;
        }
        if planted!("client_thread_shared") {
            self.home = Home::Here;
        }
        let (runtime, thread) = match &self.home {
            Home::Here => (Handle::try_current().map_err(|_| Error::new(Kind::NoRuntime))?, None),
            Home::Runtime(handle) => (handle.clone(), None),
            Home::Thread => {
                let (runtime, thread) = own_thread().map_err(|error| Error::new(Kind::Thread(error)))?;
                (runtime, Some(thread))
            }
        };
        let follows = self.on_expiry == OnExpiry::Follow;
        let several = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
        let template = self.config.clone();
        let auth = std::mem::take(&mut self.config.auth);
        let hub = Arc::new(Hub::new(self.config, follows, self.request_timeout, runtime.clone()));
        let verdicts = auth.into_iter().map(|auth| hub.add_auth(None, auth)).collect::<Result<_, _>>();
        let driver = Driver::new(hub.clone(), self.transport, Next::new(template), several);
        match thread {
            None => drop(runtime.spawn(driver)),
            // A thread that has gone takes the driver with it, which tells everybody who waits.
            Some(thread) => drop(thread.send(driver)),
        }
        let guard = Arc::new(Guard(hub.clone()));
        let client = Client { hub, _guard: Some(guard), chroot: self.chroot.into(), pinned: None };
        Ok((client, verdicts.map_err(Error::new)?))
    }
}

/// A thread with a runtime of its own, which runs the driver that it is sent.
fn own_thread() -> io::Result<(Handle, mpsc::Sender<Driver>)> {
    let (tell, told) = mpsc::channel();
    let (give, given) = mpsc::channel::<Driver>();
    // The runtime is made and dropped over there: a caller inside a runtime must not drop one.
    let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Err(error) => drop(tell.send(Err(error))),
        Ok(runtime) => {
            drop(tell.send(Ok(runtime.handle().clone())));
            if let Ok(driver) = given.recv() {
                runtime.block_on(driver);
            }
        }
    };
    std::thread::Builder::new().name("zookeeper".to_owned()).spawn(run)?;
    let runtime = told.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))??;
    Ok((runtime, give))
}

thread_local! {
    /// What seeds are drawn from on this thread, if not from chance.
    static FIXED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Draws every seed from this one, on this thread and from now on: for simulations, whose runs must repeat.
#[doc(hidden)]
pub fn fix_seeds(from: u64) {
    FIXED.set(Some(from));
}

/// A seed that differs from client to client.
#[expect(clippy::disallowed_methods, reason = "this is where chance enters; from here on it is a number")]
pub(crate) fn seed() -> u64 {
    match FIXED.get() {
        Some(fixed) => {
            // Odd steps meet every number once.
            let next = fixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            FIXED.set(Some(next));
            next ^ (next >> 31)
        }
        None => RandomState::new().build_hasher().finish(),
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("chroot", &self.chroot)
            .field("transport", &self.transport)
            .field("on_expiry", &self.on_expiry)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_where_and_how() {
        let vars = |name: &str| match name {
            "MENAGERIE_CONNECT" => Some("a,b:1/app".to_owned()),
            "MENAGERIE_SESSION_TIMEOUT" => Some("4s".to_owned()),
            "MENAGERIE_AUTH" => Some("u:p".to_owned()),
            _ => None,
        };
        let builder = Builder::from_vars(vars).unwrap();
        assert_eq!((builder.config.servers.len(), builder.chroot.as_str()), (2, "/app"));
        assert_eq!(builder.config.timeout, Duration::from_secs(4));
        assert_eq!(builder.config.auth[0].auth, "u:p");
        let default = Builder::from_vars(|_| None).unwrap();
        assert_eq!(default.config.servers[0].to_string(), "127.0.0.1:2181");
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        let vars = |name: &str| (name == "MENAGERIE_SESSION_TIMEOUT").then(|| "soon".to_owned());
        let error = Builder::from_vars(vars).unwrap_err();
        assert!(error.to_string().contains("MENAGERIE_SESSION_TIMEOUT"), "{error}");
    }

    #[test]
    fn outside_a_runtime_connecting_is_a_named_error() {
        let error = Builder::new("127.0.0.1:1").unwrap().connect_lazy().unwrap_err();
        assert!(error.is_no_runtime());
    }
}
