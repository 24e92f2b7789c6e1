//! Defaults: every one that you may want to change, and every bound, with its reason.
//!
//! The numbers stand in [`limits`](crate::limits), each with its reason; this page says how they hang together. `T` is the
//! session timeout.
//!
//! # What a builder sets
//!
//! | option | default | why |
//! |---|---|---|
//! | [`session_timeout`](crate::client::Builder::session_timeout) | 10 s | survives a leader election and a long pause of a busy machine, and still frees the locks of the dead soon. Servers grant 4 to 40 s unless configured otherwise |
//! | [`request_timeout`](crate::client::Builder::request_timeout) | 30 s | longer than an outage that the session survives, so that a short one shows as a slow answer and not as an error; and an end, because other clients wait for ever |
//! | [`connect_timeout`](crate::client::Builder::connect_timeout) | 30 s | several passes over the servers; only [`connect`](crate::Client::connect) uses it |
//! | [`on_expiry`](crate::client::Builder::on_expiry) | follow | most callers read and write on their own account; what means one session takes a [pinned handle](crate::Client::session) |
//! | [`read_only`](crate::client::Builder::read_only) | no | a server without a quorum may show a past that the rest has left behind |
//! | [`chroot`](crate::client::Builder::chroot) | none | never created by itself: a typing error would make a second, empty world |
//! | [`places`](crate::client::Builder::places) | 10,000 | a reference server stops reading from its clients at 1,000 outstanding requests; this fills any pipe and keeps memory in sight |
//! | [`inbound_limit`](crate::client::Builder::inbound_limit) | 4 MiB | servers send more than the 1 MiB that they accept: 15,000 children make 1.5 MB |
//! | [`outbound_limit`](crate::client::Builder::outbound_limit) | 1,048,575 bytes | what a server with the default `jute.maxbuffer` accepts; one more and it hangs up |
//! | [`transport`](crate::client::Builder::transport) | TCP with `TCP_NODELAY` | a request is small and somebody waits for it |
//! | [`on_runtime`](crate::client::Builder::on_runtime), [`on_own_thread`](crate::client::Builder::on_own_thread) | the runtime that `connect` is called in | no thread that nobody asked for |
//! | [`seed`](crate::client::Builder::seed) | drawn anew | a thousand clients must not try the servers in one order |
//!
//! Znodes are persistent, empty and open to everyone ([`Acl::OPEN`](crate::jute::Acl::OPEN)) unless you say otherwise, as in
//! ZooKeeper's own tools. Versions are not checked unless you name one.
//!
//! # What follows from the session timeout
//!
//! | what | when | why |
//! |---|---|---|
//! | ping | after T/3 without a request, at most 10 s | a lost one can be noticed before the read deadline; routers forget idle connections |
//! | read deadline | 2/3 T of silence | leaves a third to reach another server; the Java client's rule |
//! | connect attempt, live session | T/3 shared by all servers, at least 250 ms | every server gets its turn before the session is gone |
//! | connect attempt, new session | T shared by all servers, at least 250 ms | nothing is at stake yet |
//! | backoff behind a failed pass | at random up to 100 ms, then up to four times as long behind each further one, up to the lesser of 10 s and T/3 | an ensemble that comes back is not met by everyone at once; a live session has no more time than that |
//! | dials | at most two within any second, or any T/3 if that is shorter; several addresses of one name and probes for a read-write server count as well | behind a loss the next two servers are tried at once, the third a second later; servers that come up have to answer what thousands of clients dial in vain |
//! | first dial after a loss | at random within 50 ms | all clients of a server that died come at once |
//! | next address of a name | 250 ms after the last, while that goes on; sooner if the attempt has less time for each | what a black-holed family of addresses costs |
//! | probe for a read-write server, while on a read-only one | at random within 100 ms, doubling up to 60 s; each has 1 s | the Java client's pauses, with jitter |
//! | move to the one found | at random within 1 s | all clients of the member find it at once |
//! | leaving a server by choice | with its last answer, after 2 s at most | a move fails nothing that a server answers in time |
//! | lease renewal | every T/3 while one is held | two proofs lie a third of T apart |
//! | *Lost* | 4/3 T without contact | T, and the share of it that the server's clock may be behind |
//! | asking for the session without its zxid | after *Lost*, when all servers have closed on the handshake for 3/2 T, and 10 s at least | servers that elect or start close too; a deposed leader has noticed by then, and a session that could not be taken up has expired before the next time |
//! | another client uses the session | 4 connections in a row that served and were closed, each within T of the one before; after 10 the one that resumed it ends | a rolling restart closes three |
//! | the machine slept | the wall clock came half a second further than the monotonic one | no sleep is shorter, no clock that is slewed gets there |
//!
//! T is what the server granted. Asked for is always what you set.
//!
//! The memory of failures is wiped by a connection that lived for one ping, not by one that was merely accepted: a server that
//! accepts and drops would be dialled in a hot loop.
//!
//! # Bounds on memory and work
//!
//! | bound | default | beyond it |
//! |---|---|---|
//! | [`PLACES`](crate::limits::PLACES), [`IN_FLIGHT_LEN_BYTES`](crate::limits::IN_FLIGHT_LEN_BYTES) | 10,000 requests or 64 MiB | wait in line, or `QueueFull` |
//! | [`WATCH_BUFFER`](crate::limits::WATCH_BUFFER) | 1,024 unread events a watcher | one gap |
//! | [`ABANDONED_WATCHES`](crate::limits::ABANDONED_WATCHES) | 1,000 one-shot watches that nobody waits for | taken back from the server |
//! | [`DISCARDED_FRAME_LEN_BYTES`](crate::limits::DISCARDED_FRAME_LEN_BYTES) | 64 MiB read past | the connection is given up |
//! | [`BATCH_LEN_BYTES`](crate::limits::BATCH_LEN_BYTES) | 128 KiB of watch paths in one request, or of input in one go | the next batch |
//! | [`CREDENTIALS`](crate::limits::CREDENTIALS) | 64 a session | `QueueFull` |
//! | [`ADDRESSES_PER_NAME`](crate::limits::ADDRESSES_PER_NAME) | 16 | the rest is not tried |
//! | [`DIALS_AT_ONCE`](crate::limits::DIALS_AT_ONCE) | 4 addresses of one name | the oldest is given up for the next |
//! | [`PROBE_ANSWER_LEN_BYTES`](crate::limits::PROBE_ANSWER_LEN_BYTES) | 4 bytes of a probe's answer | not read |
//! | [`CLOSE_WAIT`](crate::limits::CLOSE_WAIT) | 5 s | closed, unconfirmed |
//!
//! # From the environment
//!
//! [`Client::from_env`](crate::Client::from_env) reads `MENAGERIE_CONNECT`, `MENAGERIE_SESSION_TIMEOUT`,
//! `MENAGERIE_CONNECT_TIMEOUT`, `MENAGERIE_REQUEST_TIMEOUT`, `MENAGERIE_AUTH` and `MENAGERIE_READ_ONLY`. Durations are
//! written `500ms`, `10s`, `2m`, or as bare seconds. A bad value is an error that names its variable, never a default.
