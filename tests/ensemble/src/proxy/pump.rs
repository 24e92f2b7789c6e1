//! One direction of one connection: read a chunk, wait at the gate, look at the frames, pass on what may pass.

use super::{
    Direction, Shared,
    scanner::{Head, Scanner, Verdict},
};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
};

const CHUNK: usize = 64 << 10;
const NOTIFICATION: i32 = -1;

/// The two sockets of one proxied connection.
#[derive(Debug)]
pub(super) struct Link {
    client: TcpStream,
    server: TcpStream,
    cut: AtomicBool,
}

impl Link {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> Self {
        Link { client, server, cut: AtomicBool::new(false) }
    }

    /// Closes both sides; a pump that reads, writes or waits on them ends.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::ToServer => (&self.client, &self.server),
            Direction::ToClient => (&self.server, &self.client),
        }
    }
}

/// Passes bytes in `direction` until the source ends or the link is cut. An orderly end is passed on, behind the
/// last byte; an error ends both ways.
pub(super) fn pump(shared: &Shared, link: &Link, direction: Direction) {
    let (mut source, mut sink) = link.ends(direction);
    let mut scanner = Scanner::default();
    let (mut chunk, mut passing) = (vec![0; CHUNK], Vec::new());
    loop {
        let read = match source.read(&mut chunk) {
            Ok(read) => read,
            Err(_) => return shared.cut(link),
        };
        if !pass_gate(shared, link, direction) {
            return;
        }
        if read == 0 {
            let _ = sink.shutdown(Shutdown::Write);
            return;
        }
        passing.clear();
        let arrived = chunk.get(..read).unwrap_or_default();
        scanner.scan(arrived, &mut passing, |head, length| judge(shared, direction, head, length));
        let cut = cut_short(shared, direction, &mut passing);
        count_bytes(shared, direction, passing.len());
        let split = shared.lock().way(direction).split;
        let mut pieces = passing.chunks(if split { 1 } else { CHUNK });
        let written = pieces.try_for_each(|piece| sink.write_all(piece));
        if written.is_err() || cut {
            return shared.cut(link);
        }
    }
}

/// Leaves of the bytes what passes before a cut; true if the cut comes here.
fn cut_short(shared: &Shared, direction: Direction, passing: &mut Vec<u8>) -> bool {
    let mut control = shared.lock();
    let way = control.way(direction);
    let Some(left) = way.cut_after else { return false };
    let len = u64::try_from(passing.len()).unwrap_or(u64::MAX);
    let cut = left < len;
    way.cut_after = (!cut).then_some(left.saturating_sub(len));
    if cut {
        passing.truncate(usize::try_from(left).unwrap_or(usize::MAX));
    }
    cut
}

/// Waits out the delay, and while the direction is held; false when the link was cut meanwhile.
fn pass_gate(shared: &Shared, link: &Link, direction: Direction) -> bool {
    let mut control = shared.lock();
    let delay = control.way(direction).delay;
    if !delay.is_zero() {
        control = shared.wait_timeout_while(control, delay, |control| {
            let over = link.is_cut() || control.closed || control.way(direction).delay.is_zero();
            !over
        });
    }
    while control.way(direction).held && !link.is_cut() && !control.closed {
        control = shared.wait(control);
    }
    !link.is_cut() && !control.closed
}

fn judge(shared: &Shared, direction: Direction, head: Head, length: usize) -> Verdict {
    let mut control = shared.lock();
    let withhold = control.withhold;
    let corrupt = match head {
        Head::Packet { .. } => control.way(direction).corrupt.take(),
        _ => None,
    };
    let counts = &mut control.counts;
    match (direction, head) {
        (_, Head::Opaque) => counts.opaque += 1,
        (Direction::ToServer, Head::Handshake) => counts.handshakes += 1,
        (Direction::ToClient, Head::Handshake) => {}
        (Direction::ToServer, Head::Packet { kind, .. }) => {
            let requests = counts.requests.entry(kind).or_default();
            requests.frames += 1;
            requests.bytes += u64::try_from(length).unwrap_or(u64::MAX);
            requests.longest = requests.longest.max(length);
        }
        (Direction::ToClient, Head::Packet { xid: NOTIFICATION, .. }) if withhold => {
            counts.withheld += 1;
            return Verdict::Drop;
        }
        (Direction::ToClient, Head::Packet { xid: NOTIFICATION, .. }) => counts.notifications += 1,
        (Direction::ToClient, Head::Packet { .. }) => counts.replies += 1,
    }
    corrupt.map_or(Verdict::Pass, |(at, xor)| Verdict::Corrupt(at, xor))
}

fn count_bytes(shared: &Shared, direction: Direction, bytes: usize) {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let counts = &mut shared.lock().counts;
    match direction {
        Direction::ToServer => counts.bytes_to_server += bytes,
        Direction::ToClient => counts.bytes_to_client += bytes,
    }
}
