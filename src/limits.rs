//! Every bound and every default, in one table, each with its reason.

use std::time::Duration;

/// Session timeout asked for. Servers usually grant 4 to 40 s (2 to 20 ticks of 2 s); ten seconds survive a leader
/// election and a long pause of a JVM neighbour, and still free the locks of the dead soon.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take in all, waiting for a connection included.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// Requests that may wait or be under way at once. The reference server stops reading from its clients at 1,000
/// outstanding; ten thousand fill any pipe and keep the queue's memory in sight.
pub const PLACES: u32 = 10_000;

/// Encoded bytes that may wait or be under way at once, if every place is taken.
pub const IN_FLIGHT_LEN_BYTES: usize = 64 << 20;

/// Places that a request of this many encoded bytes takes, so that [`PLACES`] bounds both requests and bytes.
#[must_use]
pub fn places(len_bytes: usize) -> u32 {
    let per_place = IN_FLIGHT_LEN_BYTES / PLACES as usize;
    u32::try_from(len_bytes / per_place).unwrap_or(PLACES).saturating_add(1).min(PLACES)
}

/// Largest reply that is kept. Servers do send more than the 1 MiB they accept: 15,000 children make 1.5 MB.
pub const INBOUND_FRAME_LEN_BYTES: usize = 4 << 20;

/// Largest reply that is read past and thrown away to keep the connection; a longer one costs the connection.
pub const DISCARDED_FRAME_LEN_BYTES: usize = 64 << 20;

/// Largest request. It is what a server with the default `jute.maxbuffer` accepts; one byte more and it hangs up.
pub const OUTBOUND_FRAME_LEN_BYTES: usize = 1_048_575;

/// A batch of paths in `SetWatches`, and the most input that is worked on under one lock. The Java client batches at the
/// same size (`ClientCnxn.SET_WATCHES_MAX_LENGTH`).
pub const BATCH_LEN_BYTES: usize = 128 << 10;

/// Values from this size on travel as segments of their own; below it a copy is cheaper than a second piece.
pub const SPILL_LEN_BYTES: usize = 16 << 10;

/// Connect attempt with a live session: never less than this, however many servers there are.
pub const CONNECT_ATTEMPT_MIN: Duration = Duration::from_millis(250);

/// A name's next address is dialled this long after the last, while that goes on (RFC 8305, section 5, recommends the same):
/// what a black-holed family of addresses costs. Shorter where the attempt would end before the last address's turn.
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);

/// Addresses are never dialled closer together than this, however little time is left.
pub const DIAL_STAGGER_MIN: Duration = Duration::from_millis(10);

/// Addresses of one name dialled at once. The oldest is given up for the next: it has had this many staggers.
pub const DIALS_AT_ONCE: usize = 4;

/// First pause between probes for a read-write server, from a read-only one; doubles with every probe
/// (`ClientCnxn.minPingRwTimeout`).
pub const PROBE_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Longest pause between probes (`ClientCnxn.maxPingRwTimeout`): a partition may last for hours.
pub const PROBE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long the look-up of a probe's server may take, and then each of its addresses (`ClientCnxn.pingRwServer`).
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of a probe's answer that are read: `rw`, `ro` or `null`. What is longer is a refusal.
pub const PROBE_ANSWER_LEN_BYTES: usize = 4;

/// Once a read-write server is found, each client waits up to this long before it moves there: all clients of a read-only
/// server search at once, and find the same.
pub const MOVE_SPREAD: Duration = Duration::from_secs(1);

/// How long a connection that is given up for a better one waits for what is under way: most answers come sooner, and a
/// server that is slow for longer is no reason to stay.
pub const LEAVE_WAIT: Duration = Duration::from_secs(2);

/// First backoff after a whole pass over the servers has failed; four times as long with every further pass, which takes a
/// while of its own ([`DIAL_WINDOW`]). The first two passes bridge an election.
pub const BACKOFF_BASE: Duration = Duration::from_millis(100);

/// Longest backoff (a third of the session timeout, if that is shorter).
pub const BACKOFF_CAP: Duration = Duration::from_secs(10);

/// Dials of one client within one [`DIAL_WINDOW`], those of probes and of several addresses of one name included. Two: the
/// server that comes next after the one that died is tried at once, and the second one with it.
pub const DIALS_A_WINDOW: usize = 2;

/// What [`DIALS_A_WINDOW`] counts over: any second, or any third of the session timeout, if that is shorter. Whole ensembles
/// restart under thousands of clients; what each of them dials in vain, the servers that come up have to answer.
pub const DIAL_WINDOW: Duration = Duration::from_secs(1);

/// Pings are never further apart than this, whatever the session timeout: NAT tables forget idle connections.
pub const PING_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Pings are never closer than this, however absurd the negotiated timeout.
pub const PING_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// How late a timer may be handled before the lateness is put down to us and not to the server.
pub const LATE_SLACK: Duration = Duration::from_millis(100);

/// How much further the wall clock must have come than the monotonic one before the machine is taken to have slept: no
/// sleep is shorter, and no clock that is slewed gets there between two looks.
pub const SLEEP_NOTICED: Duration = Duration::from_millis(500);

/// Connections in a row that served and were closed by the server, before another client is taken to use the same session.
/// Three are a rolling restart of an ensemble.
pub const CONTENDED: u32 = 4;

/// After so many of them the one that resumed the session leaves it to the one that began it, or it would go on for ever.
pub const CONTENDED_END: u32 = 10;

/// How long `close` waits for the server's word.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Input that counts as a sign of life although its frame is not complete: a large reply on a slow line must survive, a
/// byte a second must not.
pub const PROGRESS_LEN_BYTES: usize = 16 << 10;

/// Session passwords have 16 bytes; what is longer than this is not one.
pub const PASSWORD_LEN_BYTES: usize = 64;

/// Addresses tried for one name; a resolver that answers more is not believed.
pub const ADDRESSES_PER_NAME: usize = 16;

/// Addresses of which is remembered that they were dialled: an attempt that has not the time for all addresses of its name
/// begins with those that were dialled the longest ago.
pub const DIALLED_ADDRESSES: usize = 64;

/// Addresses whose abilities are remembered.
pub const REMEMBERED_ADDRESSES: usize = 64;

/// Removals of watches under way at once.
pub const REMOVALS_IN_FLIGHT: usize = 16;

/// One-shot watches that nobody waits for any more and that the server may go on holding, before they are taken back
/// even at the risk of finding out that the server is too old to (which costs the connection once).
pub const ABANDONED_WATCHES: usize = 1_000;

/// Events that a watcher may leave unread. What comes after becomes one gap.
pub const WATCH_BUFFER: usize = 1_024;

/// After the loss of a connection that had lived, each client waits up to this long before it dials again: all clients of
/// a server that died come back at once.
pub const REJOIN_SPREAD: Duration = Duration::from_millis(50);

/// Credentials that one session presents.
pub const CREDENTIALS: usize = 64;

/// Deadlines of requests are looked at no more often than this, however many there are.
pub const DEADLINE_GRAIN: Duration = Duration::from_millis(1);

/// What a read buffer is made for. Replies are slices of it.
pub const READ_LEN_BYTES: usize = 64 << 10;

/// A read buffer with less room than this is replaced.
pub const READ_SPARE_LEN_BYTES: usize = 8 << 10;

/// Values below this are copied out of the read buffer: a slice of a hundred bytes would keep all of it alive.
pub const COPIED_VALUE_LEN_BYTES: usize = 4 << 10;

/// Pieces handed to one vectored write.
pub const WRITE_SEGMENTS: usize = 16;

/// How long `connect` waits for the first session.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Read buffers kept while replies are still slices of them.
pub const READ_POOL: usize = 4;

/// How often missing parents are created for one znode: containers among them may be reaped in between.
pub const PARENT_ROUNDS: usize = 10;

/// Nobody waits longer: sums with the present must not overflow.
pub const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// How long at least every server must have closed on the handshake, after contact was lost, before the client asks whether
/// the ensemble is behind it for good, and between two times that it asks: servers that start or elect close in the same way.
/// A deposed leader that has not noticed yet could only give a wrong answer within `syncLimit` ticks, 10 s by default. One and a half session
/// timeouts, if that is longer: a session that is known and cannot be taken up has expired before the next time.
pub const BEHIND_MIN: Duration = Duration::from_secs(10);
