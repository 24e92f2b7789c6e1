//! Every bound and default of the registry, each with its reason.

use std::time::Duration;

/// Bytes of a service name or an instance id. A path of two of them stays far below the frame limit, and nobody's real
/// names come near.
pub const NAME_LEN_BYTES: usize = 1024;

/// Nesting of a JSON payload. go-micro describes nested request types; the deepest seen have about ten levels.
pub const JSON_DEPTH: usize = 64;

/// Bytes of one payload that is parsed: ZooKeeper's own default for the largest znode.
pub const PAYLOAD_LEN_BYTES: usize = 1024 * 1024;

/// Takeovers of one leaf within [`TAKEOVER_WINDOW`]: enough for restarts in a row, too few for a war between twins.
pub const TAKEOVERS: usize = 3;

/// The window in which takeovers are counted.
pub const TAKEOVER_WINDOW: Duration = Duration::from_secs(60);

/// Sessions of this process that are remembered as its own. A server forgets a session after its timeout, so more
/// than the last few can own no leaf any longer.
pub const SESSIONS_HELD: usize = 16;

/// Leaves are re-created after an expiry at a moment drawn from this span, so that a restarted ensemble does not get
/// every registration at once.
pub const RECREATE_JITTER: Duration = Duration::from_secs(1);

/// Refusals in a row that may be races with others and are tried again at once; further ones are paced.
pub const RACES_AT_ONCE: u32 = 4;

/// The first pause after a refused write, or after a leaf was deleted or changed by others twice within a minute.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// The longest pause between two tries of a standing wish.
pub const BACKOFF_MOST: Duration = Duration::from_secs(30);

/// Paths in the first multiRead of a view.
pub const CHUNK_FIRST: usize = 16;

/// Paths in the largest multiRead of a view.
pub const CHUNK_MOST: usize = 4096;

/// Bytes of paths in one multiRead: a quarter of what a server accepts as one request.
pub const CHUNK_REQUEST_LEN_BYTES: usize = 256 * 1024;

/// A reply below this lets the next multiRead be twice as long.
pub const CHUNK_GROW_BELOW_BYTES: usize = 256 * 1024;

/// A reply above this halves the next multiRead.
pub const CHUNK_SHRINK_ABOVE_BYTES: usize = 1024 * 1024;

/// Reads a view has under way at once: enough to keep a link busy, few enough for the chunk size to learn.
pub const READS_IN_FLIGHT: usize = 4;

/// How long a registration whose handle was dropped goes on trying to remove its leaf. By then every session that could
/// own it has usually ended, and the leaf with it.
pub const DROPPED_PATIENCE: Duration = Duration::from_secs(60);

/// How long `discover` waits for the first complete set: as long as a request may take.
pub const DISCOVER_TIMEOUT: Duration = crate::limits::REQUEST_DEADLINE;

/// How long `register` waits for a connection if the address to announce is that of the session's socket.
pub const ADDRESS_WAIT: Duration = crate::limits::CONNECT_TIMEOUT;

/// The first pause of a view whose read was refused; it doubles up to [`RETRY_MOST`].
pub const RETRY_FIRST: Duration = Duration::from_millis(100);

/// The longest pause of a view between reads that are refused.
pub const RETRY_MOST: Duration = Duration::from_secs(10);

/// The first pause before a suspect, a persistent instance that failed, is probed by one call; it doubles up to
/// [`PROBE_MOST`].
pub const PROBE_FIRST: Duration = Duration::from_millis(500);

/// The longest pause between two probes of a suspect: one that came back gets calls again within this time.
pub const PROBE_MOST: Duration = Duration::from_secs(2);

/// Of so many picks of one picker at most one is a probe, so that a list of dead instances costs few calls.
pub const PICKS_PER_PROBE: u32 = 20;

/// Failures in a row that eject an instance which lives by its registry's word.
pub const EJECT_CONSECUTIVE: u32 = 5;

/// The first ejection of an instance: short, since it may be the registry that has not heard of a restart yet. Each
/// further one is twice as long, up to [`EJECT_MOST`].
pub const EJECT_FIRST: Duration = Duration::from_secs(2);

/// The longest ejection.
pub const EJECT_MOST: Duration = Duration::from_secs(300);

/// A time without an ejection that takes one back from those which make the next one longer.
pub const EJECT_FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// The most that is ejected at a time, as a percentage of the instances that are up: beyond it the fault is more likely
/// ours or everybody's.
pub const EJECT_PERCENT: u32 = 50;

/// The window over which success rates are compared.
pub const EJECT_WINDOW: Duration = Duration::from_secs(10);

/// Calls that an instance must have had in a window for its success rate to mean something.
pub const EJECT_CALLS: u32 = 20;

/// By how many percentage points a success rate must lie below that of all others together. At [`EJECT_CALLS`] calls and
/// a common rate of 90 % that is 4.5 times what chance does.
pub const EJECT_POINTS: u32 = 30;

/// In which time a latency that is not confirmed by new calls falls to a third: as in Finagle, long enough to remember a
/// slow instance, short enough to try it again.
pub const LATENCY_DECAY: Duration = Duration::from_secs(10);

/// A failed call counts as so many times the present latency: an instance that fails fast is not taken for a fast one.
pub const FAILURE_LATENCY_FACTOR: u32 = 4;

/// The most a call can count as.
pub const LATENCY_MOST: Duration = Duration::from_secs(60);

/// In how many steps the share of an instance that warms up grows.
pub const WARM_UP_STEPS: u32 = 32;

/// The share an instance begins its warm-up with, as a percentage of its full one.
pub const WARM_UP_FIRST_PERCENT: u32 = 5;

/// How many percent of a zone's instances are enough to take all calls of their zone.
pub const ZONE_ENOUGH_PERCENT: u32 = 70;

/// Points of the hash ring for an instance of the usual weight: the shares of the key space then differ by a tenth, as a
/// rule; the busiest of a hundred has about a quarter more than its due.
pub const RING_POINTS: u32 = 100;

/// The most that one instance may carry under bounded loads, in percent of its share of all calls in flight.
pub const BOUND_PERCENT: u32 = 125;

/// Keys that a sticky view remembers; beyond it the one that came first is forgotten.
pub const STICKY_KEYS: usize = 65_536;
