//! Health checks that gate a registration: the instance is up as long as all of them pass.
//!
//! A [`HealthCheck`] says what is asked, how often, and how many answers in a row make a difference.
//! [`Registration::register_checked`](super::Registration::register_checked) takes some of them along. When one falls the
//! instance is wished out of service, with the reason: where the layout has a word for that it is written, elsewhere the
//! leaf goes, and the wish stays. When all are up again it is wished as before.
//!
//! Three heights again: [`rise_fall`] counts, purely; [`gate`] knows what to wish, and wishes it; [`probe`] and [`http`]
//! touch sockets. None of them knows a layout or a session: what they wish goes through [`Registered`](super::Registered).

mod gate;
mod http;
mod probe;
mod rise_fall;
mod target;

#[cfg(test)]
mod gate_test;
#[cfg(test)]
mod probe_test;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::gate::Gating;
pub use self::probe::CheckFailure;
use self::probe::Probe;
pub use self::target::HealthCheckError;
use self::target::{HttpTarget, TcpTarget};
use super::address::Address;
use super::limits::{
    CHECK_FALL, CHECK_INTERVAL, CHECK_INTERVAL_LEAST, CHECK_JITTER_PERCENT, CHECK_RISE, CHECK_TIMEOUT,
};

/// One check of an instance's health, by the process that registers it.
///
/// Down at first: nothing is called before it has passed. Then it takes so many failures in a row to bring it down
/// ([`fall`](Self::fall)), and so many successes to bring it up ([`rise`](Self::rise)); while either is in the making,
/// it is asked again after [`CHECK_TURNING`](super::limits::CHECK_TURNING) instead of the whole interval.
///
/// ```
/// use std::time::Duration;
/// use menagerie::registry::HealthCheck;
///
/// let checks = vec![
///     HealthCheck::http("/health")?.every(Duration::from_secs(2)).fall(2),
///     HealthCheck::custom("queue", || async { Ok::<(), std::io::Error>(()) }).up_at_first(),
/// ];
/// assert!(HealthCheck::http("https://127.0.0.1/health").is_err(), "there is no TLS in here");
/// # Ok::<(), menagerie::registry::HealthCheckError>(())
/// ```
#[derive(Clone)]
#[must_use = "a check does nothing until it is registered with"]
pub struct HealthCheck {
    name: Option<Arc<str>>,
    probe: Arc<Probe>,
    timeout: Duration,
    pub(super) counts: Counts,
}

/// How often a check is asked, and how many answers make a difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) interval: Duration,
    pub(super) jitter_percent: u32,
    pub(super) rise: u32,
    pub(super) fall: u32,
    pub(super) up_at_first: bool,
}

/// Where a check stands: see [`Registered::checks`](super::Registered::checks).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The check's name.
    pub name: Arc<str>,
    /// Whether it lets the instance be up.
    pub is_up: bool,
    /// How often it was asked.
    pub runs: u64,
    /// How often it failed.
    pub failures: u64,
    /// How often it rose or fell.
    pub turns: u64,
    /// Why it failed when last asked; `None` if it passed, or was not asked yet.
    pub failure: Option<CheckFailure>,
}

impl HealthCheck {
    /// Passes if the instance's own address takes a TCP connection. Nothing is sent.
    pub fn tcp() -> Self {
        Self::new(Probe::Tcp(TcpTarget::Own))
    }

    /// The same of another address: the one that a process listens on, where that is not the one it announces.
    pub fn tcp_at(address: Address) -> Self {
        Self::new(Probe::Tcp(TcpTarget::At(address)))
    }

    /// Passes if a GET is answered with a status from 200 to 299. The target is a path at the instance's own address
    /// (`/health?full=1`) or a whole URL (`http://127.0.0.1:8081/health`).
    ///
    /// The request is HTTP/1.1 with `Connection: close`. Of the answer the head is read, up to
    /// [`CHECK_HEAD_LEN_BYTES`](super::limits::CHECK_HEAD_LEN_BYTES), and not the body. Redirects are not followed: they
    /// fail, since they would check something else.
    ///
    /// # Errors
    /// [`HealthCheckError::Https`] for `https:`: check with [`custom`](Self::custom) and an HTTP client of yours. Others
    /// if the target is neither a path nor a URL.
    pub fn http(target: &str) -> Result<Self, HealthCheckError> {
        Ok(Self::new(Probe::Http(HttpTarget::parse(target)?)))
    }

    /// Passes if what `check` returns does. Its error's text shows as the reason, so it must hold no secret.
    ///
    /// It runs in a task of its own, so that a panic is a failure like others. One that has not ended in time is
    /// aborted and asked again; one that blocks its thread is not asked again before it has come back.
    pub fn custom<F, R, E>(name: impl Into<Arc<str>>, check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        Self::new(Probe::custom(check)).named(name)
    }

    fn new(probe: Probe) -> Self {
        let counts = Counts {
            interval: CHECK_INTERVAL,
            jitter_percent: CHECK_JITTER_PERCENT,
            rise: CHECK_RISE,
            fall: CHECK_FALL,
            up_at_first: false,
        };
        Self { name: None, probe: Arc::new(probe), timeout: CHECK_TIMEOUT, counts }
    }

    /// What it is called in reasons, reports and the log; otherwise what it asks.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The time from the beginning of one asking to the next; [`CHECK_INTERVAL`](super::limits::CHECK_INTERVAL) unless
    /// told, [`CHECK_INTERVAL_LEAST`](super::limits::CHECK_INTERVAL_LEAST) at least.
    pub fn every(mut self, interval: Duration) -> Self {
        self.counts.interval = interval.max(CHECK_INTERVAL_LEAST);
        self
    }

    /// By how many percent at most an interval is longer or shorter, at random, so that many instances do not ask what they
    /// share at the same moment; [`CHECK_JITTER_PERCENT`](super::limits::CHECK_JITTER_PERCENT) unless told, 50 at most.
    pub fn jitter_percent(mut self, percent: u32) -> Self {
        self.counts.jitter_percent = percent.min(50);
        self
    }

    /// How long an answer may take, from looking the name up to the end of the answer's head;
    /// [`CHECK_TIMEOUT`](super::limits::CHECK_TIMEOUT) unless told.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many successes in a row bring it up; [`CHECK_RISE`](super::limits::CHECK_RISE) unless told, 1 at least.
    pub fn rise(mut self, successes: u32) -> Self {
        self.counts.rise = successes.max(1);
        self
    }

    /// How many failures in a row bring it down; [`CHECK_FALL`](super::limits::CHECK_FALL) unless told, 1 at least.
    pub fn fall(mut self, failures: u32) -> Self {
        self.counts.fall = failures.max(1);
        self
    }

    /// Up before it was asked: the instance is registered at once, and goes if the check falls.
    pub fn up_at_first(mut self) -> Self {
        self.counts.up_at_first = true;
        self
    }

    fn label(&self) -> Arc<str> {
        self.name.clone().unwrap_or_else(|| self.probe.label().into())
    }
}

impl fmt::Debug for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("HealthCheck");
        out.field("name", &self.label())
            .field("timeout", &self.timeout)
            .field("counts", &self.counts)
            .finish()
    }
}
