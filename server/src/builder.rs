//! How a server is made.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Server;
use crate::core::{Allowed, Config, Like, Limits, Rules};

/// Settles what a [`Server`] is like.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use menagerie_server::{Like, Server};
///
/// let server = Server::builder().like(Like::V3_8).tick(Duration::from_millis(500)).start().await?;
/// assert_ne!(server.local_addr().port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder starts nothing until `start`"]
pub struct Builder {
    listen: SocketAddr,
    seed: Option<u64>,
    config: Config,
}

/// Without the seed.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("listen", &self.listen)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), seed: None, config: Config::default() }
    }
}

impl Builder {
    /// Where to listen; port 0 takes a free one. 127.0.0.1:0 by default: whoever reaches the port can do anything.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Which server to behave like.
    pub fn like(mut self, like: Like) -> Self {
        self.config.rules.like = like;
        self
    }

    /// All switches of the real server, the imitated version included.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.config.rules = rules;
        self
    }

    /// All limits, the tick included: what `tick` and `session_timeouts` said before is gone.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// The unit of session time: timeouts are granted from 2 to 20 ticks, and end at ticks. Two seconds by default.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.config.limits.tick = tick;
        self
    }

    /// Shortest and longest session timeout granted, in place of 2 and 20 ticks.
    pub fn session_timeouts(mut self, least: Duration, most: Duration) -> Self {
        self.config.limits.min_session_timeout = Some(least);
        self.config.limits.max_session_timeout = Some(most);
        self
    }

    /// How often containers and znodes with a time to live are looked at; a minute by default, a millisecond at least (which
    /// keeps a paused clock busy).
    pub fn reap_interval(mut self, interval: Duration) -> Self {
        self.config.reap_interval = interval;
        self
    }

    /// Which four-letter words are answered; all by default. The real server's default is `srvr` only. Words that
    /// there are none of are passed over.
    pub fn words<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.config.words = Allowed::only(words);
        self
    }

    /// Begins as a read-only server.
    pub fn read_only(mut self) -> Self {
        self.config.read_only = true;
        self
    }

    /// What passwords of sessions are made from; by chance without it.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// First byte of the ids of sessions; 1 by default, as of a real server that stands alone.
    pub fn server_id(mut self, id: u8) -> Self {
        self.config.server_id = id;
        self
    }

    /// Starts the server on the current tokio runtime. It listens when this returns.
    ///
    /// # Errors
    /// Those of listening, and that there is no runtime.
    ///
    /// # Panics
    /// On a runtime without I/O or time (`enable_all` turns both on).
    pub async fn start(self) -> io::Result<Server> {
        let Self { listen, seed, config } = self;
        let seed = seed.unwrap_or_else(chance);
        Server::start_with(listen, Config { seed, ..config }, unix_millis()).await
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where a seed comes from")]
fn chance() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one look at the wall clock; from here on tokio's time counts"
)]
fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
