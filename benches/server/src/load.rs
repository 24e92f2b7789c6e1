//! What the servers bear, and what it costs them. The loader is a handful of threads on blocking sockets that send
//! requests laid out before and count the replies.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::frames::Request;
use crate::link::{Link, NARROW, WIDE};
use crate::process::{Cpu, now, own_thread};

/// Between the last reply and the look at the server's CPU time: what it still does for the requests belongs to them.
const SETTLING: Duration = Duration::from_millis(50);

/// The same for a single change, of which there are many.
const SETTLING_SHORTLY: Duration = Duration::from_millis(5);

/// The znode that is read and written.
pub const NODE: &str = "/figures";

/// The server under load.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
}

/// How many requests go out, and how.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Connections, each with a thread of the loader.
    pub connections: usize,
    /// Requests that each connection keeps unanswered.
    pub in_flight: usize,
    /// Requests in all.
    pub ops: usize,
}

/// What a load took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Requests, or notifications.
    pub ops: f64,
    /// CPU time of the server.
    pub server: Duration,
    /// CPU time of the loader's threads.
    pub loader: Duration,
    /// Time on the clock.
    pub wall: Duration,
}

impl Cost {
    /// Operations for a second of the server's CPU time.
    #[must_use]
    pub fn per_server_second(&self) -> f64 {
        self.ops / self.server.as_secs_f64().max(1e-9)
    }

    /// Microseconds of the server's CPU time for an operation.
    #[must_use]
    pub fn server_us(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.ops.max(1.0)
    }

    /// Microseconds of the loader's CPU time for an operation.
    #[must_use]
    pub fn loader_us(&self) -> f64 {
        self.loader.as_secs_f64() * 1e6 / self.ops.max(1.0)
    }

    /// Operations for a second on the clock.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.ops / self.wall.as_secs_f64().max(1e-9)
    }
}

/// Sends `ops` requests on open connections, pipelined. `request` says what a connection sends, by its number.
///
/// # Errors
/// A connection that fails, or a request that is refused.
pub fn pipelined(target: Target, shape: Shape, request: impl Fn(usize) -> Request) -> Result<Cost> {
    let mut lanes = Vec::new();
    for number in 0..shape.connections {
        lanes.push((Link::open(target.address, WIDE)?, request(number)));
    }
    let each = shape.ops.div_ceil(shape.connections);
    let (before, began) = (Cpu::of(target.pid)?, now());
    let loader = on_threads(&mut lanes, |(link, request)| pump(link, request, each, shape.in_flight))?;
    let wall = now().duration_since(began);
    thread::sleep(SETTLING);
    let server = before.until_now(target.pid)?;
    for (link, _) in lanes {
        link.close()?;
    }
    Ok(Cost { ops: (each * shape.connections) as f64, server, loader, wall })
}

/// Keeps `in_flight` requests unanswered until `ops` are done.
fn pump(link: &mut Link, request: &Request, ops: usize, in_flight: usize) -> Result<()> {
    let (mut sent, mut done) = (0, 0);
    let mut batch = Vec::new();
    while done < ops {
        batch.clear();
        let due = (done + in_flight).min(ops);
        for number in sent..due {
            request.append(number, &mut batch)?;
        }
        sent = due;
        link.send(&batch)?;
        done += link.replies()?;
        ensure!(done <= sent, "more replies than requests");
    }
    Ok(())
}

/// Opens and closes `ops` sessions, one after the other on each of `threads` threads.
///
/// # Errors
/// A session that cannot be opened, or does not close.
pub fn churn(target: Target, threads: usize, ops: usize) -> Result<Cost> {
    let each = ops.div_ceil(threads);
    let (before, began) = (Cpu::of(target.pid)?, now());
    let loader = on_threads(&mut vec![(); threads], |()| {
        (0..each).try_for_each(|_| Link::open(target.address, NARROW)?.close())
    })?;
    let wall = now().duration_since(began);
    thread::sleep(SETTLING);
    Ok(Cost { ops: (each * threads) as f64, server: before.until_now(target.pid)?, loader, wall })
}

/// Changes [`NODE`] `changes` times before `watchers` connections that each watch it. Only the change and its
/// notifications are counted: setting the watches anew is not.
///
/// # Errors
/// A watcher that is not told.
pub fn fan_out(target: Target, watchers: usize, changes: usize) -> Result<Cost> {
    let mut writer = Link::open(target.address, NARROW)?;
    let mut links = sessions(target, watchers)?;
    let (watch, set) = (Request::get(NODE, true), Request::set(NODE));
    let mut cost = Cost::default();
    for _ in 0..changes {
        links.iter_mut().try_for_each(|link| link.send(watch.bytes()))?;
        links.iter_mut().try_for_each(Link::reply)?;
        thread::sleep(SETTLING_SHORTLY);
        let (before, own, began) = (Cpu::of(target.pid)?, own_thread()?, now());
        writer.call(&set)?;
        links.iter_mut().try_for_each(Link::notification)?;
        cost.wall += now().duration_since(began);
        cost.loader += own_thread()?.saturating_sub(own);
        thread::sleep(SETTLING_SHORTLY);
        cost.server += before.until_now(target.pid)?;
        cost.ops += watchers as f64;
    }
    links.into_iter().try_for_each(Link::close)?;
    writer.close()?;
    Ok(cost)
}

/// Opens `count` sessions and leaves them alone.
///
/// # Errors
/// A session that cannot be opened.
pub fn sessions(target: Target, count: usize) -> Result<Vec<Link>> {
    (0..count).map(|_| Link::open(target.address, NARROW)).collect()
}

/// Makes the znode that is read and written, and a parent for each connection that creates.
///
/// # Errors
/// A server that has them already, or refuses.
pub fn prepare(target: Target, parents: usize) -> Result<()> {
    let mut link = Link::open(target.address, NARROW)?;
    link.call(&Request::create(NODE))?;
    for number in 0..parents {
        link.call(&Request::create(&parent(number)))?;
    }
    link.close()
}

/// Makes znodes of a hundred bytes, spread over the connections' parents.
///
/// # Errors
/// As [`pipelined`].
pub fn create(target: Target, shape: Shape) -> Result<Cost> {
    pipelined(target, shape, |number| Request::create_numbered(&format!("{}/n", parent(number))))
}

/// Removes what [`create`] of the same shape made.
///
/// # Errors
/// As [`pipelined`].
pub fn remove(target: Target, shape: Shape) -> Result<Cost> {
    pipelined(target, shape, |number| Request::delete_numbered(&format!("{}/n", parent(number))))
}

fn parent(number: usize) -> String {
    format!("{NODE}/{number:02}")
}

/// Does `work` with each item on a thread of its own. Returns the CPU time that they took together.
fn on_threads<T: Send>(items: &mut [T], work: impl Fn(&mut T) -> Result<()> + Sync) -> Result<Duration> {
    let timed = |item: &mut T| {
        let before = own_thread()?;
        work(item)?;
        Ok(own_thread()?.saturating_sub(before))
    };
    thread::scope(|scope| {
        let timed = &timed;
        let threads: Vec<_> = items.iter_mut().map(|item| scope.spawn(move || timed(item))).collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread failed"))?);
        joined.collect::<Vec<_>>().into_iter().sum()
    })
}
