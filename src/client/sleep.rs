//! Notices that the machine slept. The clock that everything here is measured by stands still in a suspended machine
//! (`CLOCK_MONOTONIC`, on Linux), and the ensemble's does not: who wakes up would go on trusting a lease that ended hours ago.
//! The wall clock has gone on; it is read for its progress alone, and compared. A wall clock that is set forward looks the
//! same, and costs what the session does about it; one that is set back hides a sleep of that length.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tracing::warn;

use super::hub::{Core, Hub, now};
use crate::limits;

/// Both clocks, read at one moment: the wall clock between two looks at the other one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    before: Instant,
    wall: SystemTime,
    after: Instant,
}

/// Reads both clocks now and then, and compares their progress.
pub(super) struct Sleep {
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
    last: Reading,
}

impl Sleep {
    pub(super) fn new(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self { last: read(), read: Arc::new(read) }
    }

    /// How long the machine slept since the last look, at least; `None` if it did not.
    fn slept(&mut self) -> Option<Duration> {
        let now = (self.read)();
        let last = std::mem::replace(&mut self.last, now);
        let wall = now.wall.duration_since(last.wall).ok()?;
        // Whoever was held up between two clocks has not slept.
        let awake = now.after.saturating_duration_since(last.before);
        wall.checked_sub(awake).filter(|slept| *slept >= limits::SLEEP_NOTICED)
    }
}

/// The machine's clocks. Not the runtime's, which may be paused while the wall clock is not.
#[expect(clippy::disallowed_methods, reason = "this is where a sleep of the machine is noticed")]
pub(super) fn clocks() -> Reading {
    Reading { before: Instant::now(), wall: SystemTime::now(), after: Instant::now() }
}

impl Core {
    /// Tells the session if the machine slept.
    pub(super) fn notice_sleep(&mut self, now: Instant) -> Option<Duration> {
        let slept = self.sleep.slept().filter(|_| !planted!("client_sleep_unnoticed"))?;
        self.session.handle_paused(now, slept);
        Some(slept)
    }
}

impl Hub {
    /// Until when the session of this epoch, or the present one, certainly lives. Looks first whether the machine slept: who
    /// asks may be the first to wake up.
    pub(super) fn lease_until(&self, pinned: Option<u64>) -> Option<Instant> {
        let now = now();
        let mut core = self.lock();
        let slept = core.notice_sleep(now);
        let driver = slept.and_then(|_| core.wake());
        let until = if core.refuses(pinned).is_some() { None } else { core.session.lease_until() };
        drop(core);
        if let Some(driver) = driver {
            driver.wake();
        }
        warn_of(slept);
        until
    }
}

pub(super) fn warn_of(slept: Option<Duration>) {
    if let Some(slept) = slept {
        warn!(target: "menagerie::client", ?slept, "the machine slept, or its clock was set: looking whether the session lives");
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use bytes::{Bytes, BytesMut};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::client::{Builder, Client, Transport};
    use crate::jute::{
        ConnectResponse, Encode, ErrorCode, MultiHeader, OpCode, ReplyHeader, Request, Writer, Xid,
        split_frame,
    };
    use crate::session::{Server as Host, State};

    const T: Duration = Duration::from_secs(9);

    const A_DAY: u64 = 86_400_000;

    /// How far the wall clock is ahead of the runtime's, in milliseconds.
    type Ahead = Arc<AtomicU64>;

    /// A server that grants a session and answers pings and renewals of leases, for as long as somebody asks.
    async fn serve(mut stream: DuplexStream) {
        let (mut input, mut zxid, mut greeted) = (BytesMut::new(), 100, false);
        while stream.read_buf(&mut input).await.is_ok_and(|len| len > 0) {
            while let Some(payload) = split_frame(&mut input, usize::MAX).unwrap() {
                let mut out = Writer::new();
                let frame = out.frame();
                if std::mem::replace(&mut greeted, true) {
                    let header = Request::decode(payload).unwrap().header;
                    zxid += i64::from(header.op == OpCode::MULTI);
                    ReplyHeader { xid: header.xid, zxid, err: ErrorCode::OK }.encode(&mut out);
                    if header.xid != Xid::PING {
                        MultiHeader { op: OpCode::CHECK, done: false, err: ErrorCode::OK }.encode(&mut out);
                        MultiHeader::END.encode(&mut out);
                    }
                } else {
                    let passwd = Some(Bytes::from_static(b"sixteen secrets!"));
                    let (protocol_version, time_out, session_id, read_only) = (0, 9_000, 7, Some(false));
                    ConnectResponse { protocol_version, time_out, session_id, passwd, read_only }
                        .encode(&mut out);
                }
                out.close(frame);
                stream.write_all(&out.into_bytes()).await.unwrap();
            }
        }
    }

    /// A client that holds a lease, on a machine whose wall clock is ours.
    async fn holder() -> (Client, Ahead) {
        let host = Host { host: String::from("embedded"), port: 2181 };
        let builder = Builder::servers(vec![host]).session_timeout(T).seed(1);
        let transport = Transport::custom(|_host, _port| async {
            let (near, far) = duplex(1 << 16);
            tokio::spawn(serve(far));
            Ok(near)
        });
        let client = builder.transport(transport).connect().await.unwrap();
        let (ahead, begun) = (Ahead::new(AtomicU64::new(A_DAY)), now());
        let shared = ahead.clone();
        let clocks = move || {
            let wall = SystemTime::UNIX_EPOCH + (now() - begun);
            let wall = wall + Duration::from_millis(shared.load(Ordering::Relaxed));
            Reading { before: now(), wall, after: now() }
        };
        client.hub.lock().sleep = Sleep::new(clocks);
        std::mem::forget(client.hold_lease("/lock", 0));
        tokio::time::sleep(T / 2).await;
        assert!(holds(&client));
        (client, ahead)
    }

    fn holds(client: &Client) -> bool {
        client.lease_until().is_some_and(|until| until > now())
    }

    fn pings(client: &Client) -> u64 {
        client.hub.lock().session.stats().pings
    }

    async fn moment() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_does_not_believe_its_lease_and_asks_at_once() {
        let (client, ahead) = holder().await;
        let before = pings(&client);
        ahead.fetch_add(3_600_000, Ordering::Relaxed);
        assert!(!holds(&client), "a lease from before the sleep");
        moment().await;
        assert_eq!(pings(&client), before + 1);
        assert_eq!((client.state(), client.status().disconnects), (State::Connected, 0));
        assert!(!holds(&client), "one write proves nothing");
        tokio::time::sleep(T / 3).await;
        assert!(holds(&client), "proved anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_is_noticed_by_the_clients_own_timer() {
        let (client, ahead) = holder().await;
        ahead.fetch_add(3_600_000, Ordering::Relaxed);
        tokio::time::sleep(T / 3).await;
        let believed = client.hub.lock().session.lease_until();
        assert!(believed.is_none_or(|until| until <= now()), "nobody asked, and nobody looked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_is_set_costs_a_ping_and_so_much_of_the_lease() {
        let (client, ahead) = holder().await;
        let (lease, before) = (client.lease_until().unwrap(), pings(&client));
        for (millis, lost, asked) in [(0, 0, 0), (499, 0, 0), (2_499, 2_000, 1)] {
            // Back by a day, on by a little, on by two seconds.
            ahead.store(millis, Ordering::Relaxed);
            assert_eq!(client.lease_until(), Some(lease - Duration::from_millis(lost)), "{millis} ms");
            assert!(holds(&client));
            moment().await;
            assert_eq!(pings(&client), before + asked, "{millis} ms");
        }
        tokio::time::sleep(T).await;
        assert!(holds(&client));
        assert_eq!((client.state(), client.status().disconnects), (State::Connected, 0));
    }

    #[test]
    fn who_is_held_up_between_two_clocks_has_not_slept() {
        let begun = now();
        let mut readings = vec![(9_000, 9_000, 9_000), (5_000, 8_000, 8_000), (0, 0, 3_000)];
        let readings = std::sync::Mutex::new(std::mem::take(&mut readings));
        let mut sleep = Sleep::new(move || {
            let (before, wall, after) = readings.lock().unwrap().pop().unwrap();
            let at = Duration::from_millis;
            Reading {
                before: begun + at(before),
                wall: SystemTime::UNIX_EPOCH + at(wall),
                after: begun + at(after),
            }
        });
        assert_eq!((sleep.slept(), sleep.slept()), (None, None));
    }
}
