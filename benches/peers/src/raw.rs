//! The floor: frames made in advance, replies counted and not read. No client can cost less.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::drive::Workload;
use crate::frames::{connect_request, get_request};
use crate::inbox::Inbox;
use crate::meter::{Snapshot, Window, now};
use crate::report::nanos;

/// Operations done, what they cost, and how long each took (W1 only: in W2 replies are only counted).
#[derive(Debug)]
pub struct Blast {
    /// Operations in the window.
    pub ops: usize,
    /// What was counted meanwhile.
    pub window: Window,
    /// One place for each operation of W1.
    pub latencies_ns: Vec<u32>,
}

/// Sends `ops` gets over one blocking socket, after a tenth of that as warm-up.
///
/// # Errors
/// A connection that fails or ends early.
pub fn blast(address: &str, workload: Workload, ops: usize) -> Result<Blast> {
    let mut link = Link::connect(address)?;
    let mut latencies_ns = match workload {
        Workload::W1 => vec![u32::MAX; ops],
        Workload::W2 => Vec::new(),
    };
    link.pass(workload, ops.div_ceil(10), &mut vec![0; ops.div_ceil(10)])?;
    let begin = Snapshot::take()?;
    link.pass(workload, ops, &mut latencies_ns)?;
    let window = begin.until(&Snapshot::take()?);
    Ok(Blast { ops, window, latencies_ns })
}

struct Link {
    stream: TcpStream,
    inbox: Inbox,
    /// A full window of requests, back to back.
    requests: Vec<u8>,
    request_len: usize,
}

impl Link {
    fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        let request = get_request(1);
        let mut link = Self {
            stream,
            inbox: Inbox::default(),
            requests: request.repeat(Workload::W2.concurrency()),
            request_len: request.len(),
        };
        link.stream.write_all(&connect_request())?;
        while link.receive()? == 0 {}
        Ok(link)
    }

    fn pass(&mut self, workload: Workload, ops: usize, latencies_ns: &mut [u32]) -> Result<()> {
        match workload {
            Workload::W1 => self.one_by_one(latencies_ns),
            Workload::W2 => self.pipelined(ops),
        }
    }

    fn one_by_one(&mut self, latencies_ns: &mut [u32]) -> Result<()> {
        let mut before = now();
        for latency in latencies_ns {
            self.send(1)?;
            while self.receive()? == 0 {}
            let after = now();
            *latency = nanos(after.duration_since(before));
            before = after;
        }
        Ok(())
    }

    fn pipelined(&mut self, ops: usize) -> Result<()> {
        let mut unsent = ops;
        let mut unanswered = ops;
        let mut places = Workload::W2.concurrency();
        while unanswered > 0 {
            let batch = places.min(unsent);
            self.send(batch)?;
            unsent -= batch;
            let replies = self.receive()?;
            ensure!(replies <= unanswered, "more replies than requests");
            unanswered -= replies;
            places = places - batch + replies;
        }
        Ok(())
    }

    fn send(&mut self, requests: usize) -> Result<()> {
        let bytes =
            self.requests.get(..requests * self.request_len).context("more requests than prepared")?;
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads once and counts the frames that became whole.
    fn receive(&mut self) -> Result<usize> {
        let read = self.stream.read(self.inbox.space())?;
        ensure!(read > 0, "the server closed the connection");
        self.inbox.filled(read);
        let mut frames = 0;
        loop {
            match self.inbox.next_frame() {
                Ok(Some(_)) => frames += 1,
                Ok(None) => return Ok(frames),
                Err(_) => bail!("a frame of an impossible length"),
            }
        }
    }
}

/// Writes a get and reads its reply, `ops` times, on tokio's socket in one task: what the runtime makes of
/// W1 before any client.
///
/// # Errors
/// A connection that fails or ends early.
pub async fn ping_pong(address: &str, ops: usize) -> Result<Blast> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut inbox = Inbox::default();
    exchange(&mut stream, &mut inbox, &connect_request()).await?;
    let request = get_request(1);
    let mut latencies_ns = vec![u32::MAX; ops];
    for _ in 0..ops.div_ceil(10) {
        exchange(&mut stream, &mut inbox, &request).await?;
    }
    let begin = Snapshot::take()?;
    let mut before = now();
    for latency in &mut latencies_ns {
        exchange(&mut stream, &mut inbox, &request).await?;
        let after = now();
        *latency = nanos(after.duration_since(before));
        before = after;
    }
    let window = begin.until(&Snapshot::take()?);
    Ok(Blast { ops, window, latencies_ns })
}

async fn exchange(stream: &mut tokio::net::TcpStream, inbox: &mut Inbox, request: &[u8]) -> Result<()> {
    stream.write_all(request).await?;
    loop {
        let read = stream.read(inbox.space()).await?;
        ensure!(read > 0, "the server closed the connection");
        inbox.filled(read);
        match inbox.next_frame() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(_) => bail!("a frame of an impossible length"),
        }
    }
}
