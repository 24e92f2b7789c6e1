//! Every bound and every default of the server, in one table, each with its reason.

use std::time::Duration;

/// What the server grants and what it bears. Sizes are in bytes.
///
/// A connection holds at most two frames and a batch of input, `output_mark` and one answer more (or `output_max`, if it is
/// notifications that wait), `watched_len` and `identities_len`. One answer is at most `answer_len`, or the names of one znode's
/// children, of one session's ephemerals, or what a four-letter word lists.
///
/// Sessions have no bound of their own, as at the real server: they cost about 300 bytes each, and whoever leaves them behind has
/// them for their timeout and a tick.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The unit of session time (`tickTime`). The sample configurations of the real server have two seconds.
    pub tick: Duration,
    /// Shortest session timeout granted; `None` is two ticks.
    pub min_session_timeout: Option<Duration>,
    /// Longest session timeout granted; `None` is twenty ticks.
    pub max_session_timeout: Option<Duration>,
    /// Connections from one address (`maxClientCnxns`); one more is accepted and closed. 0 is no limit.
    pub connections_per_address: usize,
    /// Connections in all (`maxCnxns`); 0 is no limit, as at the real server.
    pub connections: usize,
    /// Largest frame taken (`jute.maxbuffer`). Frames sent are not limited, as at the real server.
    pub frame_len: usize,
    /// Answers that one connection may have outstanding before the server stops reading from it (`globalOutstandingLimit`).
    pub outstanding: usize,
    /// Bytes waiting to be written to one connection from which on the server reads no more requests from it.
    pub output_mark: usize,
    /// Bytes waiting to be written to one connection at which it is dropped. Only notifications get there, since requests stop
    /// at the mark. The real server has no such bound and grows until it dies.
    pub output_max: usize,
    /// How long a connection may be without a session. It is closed between this and twice this later.
    pub greeting: Duration,
    /// Entries that the log of requests keeps.
    pub log: usize,
    /// Largest answer to a multiRead, which can ask for the same znode fifty thousand times in one frame; who asks for more is
    /// dropped. The real server has no such bound, and dies of it.
    pub answer_len: usize,
    /// Bytes that the identities of one connection may cost, about 100 each beside the name; credentials that would add more are
    /// refused. The real server has no such bound.
    pub identities_len: usize,
    /// Bytes that the watches of one connection may cost, about 200 each beside the path; at one more it is dropped. The real server
    /// has no such bound.
    pub watched_len: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(2),
            min_session_timeout: None,
            max_session_timeout: None,
            connections_per_address: 60,
            connections: 0,
            frame_len: 0xf_ffff,
            outstanding: 1_000,
            output_mark: 1 << 20,
            output_max: 8 << 20,
            greeting: Duration::from_secs(10),
            log: 4_096,
            answer_len: 64 << 20,
            identities_len: 64 << 10,
            watched_len: 256 << 20,
        }
    }
}

impl Limits {
    /// One tick in milliseconds, at least one.
    pub(super) fn tick_millis(&self) -> u64 {
        millis(self.tick).max(1)
    }

    /// Shortest session timeout granted, in milliseconds.
    pub(super) fn min_timeout_millis(&self) -> i32 {
        let millis = self.min_session_timeout.map_or(self.tick_millis().saturating_mul(2), millis);
        i32::try_from(millis).unwrap_or(i32::MAX).max(1)
    }

    /// Longest session timeout granted, in milliseconds.
    pub(super) fn max_timeout_millis(&self) -> i32 {
        let millis = self.max_session_timeout.map_or(self.tick_millis().saturating_mul(20), millis);
        i32::try_from(millis).unwrap_or(i32::MAX).max(self.min_timeout_millis())
    }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
