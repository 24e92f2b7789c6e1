//! Every bound and default of the registry, each with its reason.

use std::time::Duration;

/// Bytes of a service name or an instance id. A path of two of them stays far below the frame limit, and nobody's real
/// names come near.
pub const NAME_LEN_BYTES: usize = 1024;

/// Nesting of a JSON payload. go-micro describes nested request types; the deepest seen have about ten levels.
pub const JSON_DEPTH: usize = 64;

/// Bytes of one payload that is parsed: ZooKeeper's own default for the largest znode.
pub const PAYLOAD_LEN_BYTES: usize = 1024 * 1024;

/// Bytes of a leaf's name in a layout that says all in it: Dubbo's URLs with hundreds of methods have a few thousand, and the
/// list of a hundred such children still fits a frame.
pub const LEAF_LEN_BYTES: usize = 16 * 1024;

/// How long readers may go on calling an instance whose leaf is gone, in layouts whose readers watch: an event and a read.
pub const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// The same for Spring Cloud, whose load balancer keeps what it read for 35 s.
pub const SPRING_DRAIN_GRACE: Duration = Duration::from_secs(40);

/// The same for Dubbo, whose consumers put a change off for 5 s.
pub const DUBBO_DRAIN_GRACE: Duration = Duration::from_secs(10);

/// The same for server sets: Finagle keeps what vanished for one epoch of 10 s, which may have just begun.
pub const FINAGLE_DRAIN_GRACE: Duration = Duration::from_secs(20);

/// Children of a directory that are looked at before a registration in it, for leaves of other layouts: those of one layout
/// mostly stand together, and few are enough to tell.
pub const NEIGHBOURS_READ: usize = 8;

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

/// How long a registration whose handle was dropped keeps a client that has no other handle, to remove its leaf. By then every
/// session that could own it has usually ended, and the leaf with it.
pub const DROPPED_PATIENCE: Duration = Duration::from_secs(60);

/// How long `discover` waits for the first complete set: as long as a request may take.
pub const DISCOVER_TIMEOUT: Duration = crate::limits::REQUEST_DEADLINE;

/// How long `register` waits for a connection if the address to announce is that of the session's socket.
pub const ADDRESS_WAIT: Duration = crate::limits::CONNECT_TIMEOUT;

/// The first pause of a view whose read was refused; it doubles up to [`RETRY_MOST`].
pub const RETRY_FIRST: Duration = Duration::from_millis(100);

/// The longest pause of a view between reads that are refused.
pub const RETRY_MOST: Duration = Duration::from_secs(10);

/// Views of fewer instances than this read at once after an event: even a thousand of them ask a server for less than it
/// answers in a tenth of a second.
pub const SPREAD_FROM: usize = 32;

/// A view of `n` instances reads at a moment drawn from a window of `n` times this. It is the time in which a
/// server sends one instance, about 300 bytes, to a thousand views at 150 MB/s: so they can all be served within the window.
pub const SPREAD_EACH: Duration = Duration::from_millis(2);

/// The longest window after a change: so much later, at most, a removal shows because of it.
pub const CHANGE_SPREAD_MOST: Duration = Duration::from_secs(1);

/// The longest window before everything is read again, after a reconnect or a gap.
pub const RESYNC_SPREAD_MOST: Duration = Duration::from_secs(10);

/// Events in a row, each within [`FLAP_QUIET`] of the one before, for which an instance is read at once: a restart makes
/// two or three, a takeover two.
pub const FLAP_TURNS: u32 = 5;

/// An instance without an event for so long comes and goes no more.
pub const FLAP_QUIET: Duration = Duration::from_secs(10);

/// The least time between two reads of an instance that comes and goes: long against a health check's period, short
/// against any failover, for by so much the end of one that is dead may show later.
pub const HOLD_DOWN: Duration = Duration::from_secs(1);

/// Names whose events are counted at once, for [`HOLD_DOWN`]; beyond it all counts begin anew.
pub const FLAPS_WATCHED: usize = 4096;

/// If more than this share of a set, in percent, is gone after a gap, the loss is held back for one session timeout:
/// failures of single hosts stay below it, and an ensemble that came back before its clients exceeds it.
pub const HOLD_BACK_PERCENT: u32 = 50;

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

/// The least time between two warnings of one view about children that stand for no instance.
pub const WARN_EVERY: Duration = Duration::from_secs(60);

/// Fewer instances than this that go one by one, after everything was read again, are no sudden loss: the last of a small
/// service may leave.
pub const HOLD_BACK_FROM: usize = 3;

/// How often new suspects are looked for while there are any.
pub const PROBE_TICK: Duration = Duration::from_millis(100);

/// The least time that a suspect has to take a connection: many times a round trip within a data centre. It grows to four
/// times as much with the pauses.
pub const PROBE_PATIENCE: Duration = Duration::from_millis(120);

/// Suspects of one view that are probed at the same time.
pub const PROBES_AT_ONCE: usize = 64;

/// Bytes of a saved set: some hundred thousand instances.
pub const SNAPSHOT_LEN_BYTES: usize = 64 * 1024 * 1024;

/// How long a view waits for ZooKeeper before it begins with the set that was saved last: most sessions begin within it.
pub const COLD_START_AFTER: Duration = Duration::from_secs(1);

/// The least time between two savings of one view's set.
pub const SAVE_EVERY: Duration = Duration::from_secs(5);

/// From one asking of a health check to the next: with the other defaults an instance that refuses connections is out of
/// service within 6.5 s, one that hangs within 11.5 s, and nobody notices the checks among the calls.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The shortest interval that a check may be given: none asks in a hot loop.
pub const CHECK_INTERVAL_LEAST: Duration = Duration::from_millis(10);

/// How long a health check waits for its answer: what takes longer on the same machine is as good as dead to callers.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Successes in a row that bring a check up: one may be the last of a process that is about to fail. As in HAProxy.
pub const CHECK_RISE: u32 = 2;

/// Failures in a row that bring a check down: one may be a pause, three are none. As in HAProxy.
pub const CHECK_FALL: u32 = 3;

/// After how long a check is asked again while it is about to rise or fall, if its interval is longer.
pub const CHECK_TURNING: Duration = Duration::from_millis(500);

/// By how many percent an interval between checks is longer or shorter.
pub const CHECK_JITTER_PERCENT: u32 = 10;

/// Bytes of an answer's head that a health check reads: what servers themselves accept as a head, mostly.
pub const CHECK_HEAD_LEN_BYTES: usize = 16 * 1024;

/// Bytes of a reason why an instance is out of service: a line, for it may be written to ZooKeeper.
pub const CHECK_REASON_LEN_BYTES: usize = 256;
