//! What is done to an ensemble and to the way there, by chance. Everything blocks; it runs on a thread of its own.

use crate::{BUDGET, chance::Chance, worker::Shared};
use menagerie::{
    jute::{ConnectRequest, ConnectResponse, Encode, OpCode, Reader, RequestHeader, Writer, Xid},
    session::Credentials,
};
use menagerie_ensemble::{
    Ensemble, Network, Node, Result,
    proxy::{Direction, Proxy},
};
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::Ordering::Relaxed,
    thread,
    time::Duration,
};

/// Longest silence of a server that an expiry puts up with.
const SILENCE: Duration = Duration::from_secs(5);

/// Members that hear nothing from one another for so long part, by the harness's `tickTime` and `syncLimit`; and a tick.
const SYNC_LIMIT: Duration = Duration::from_secs(3);

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// What is broken, and by what.
#[derive(Debug)]
pub(crate) struct Faults<'e> {
    pub(crate) ensemble: &'e Ensemble,
    pub(crate) proxies: &'e [Proxy],
    pub(crate) shared: &'e Shared,
    pub(crate) chance: Chance,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Between two faults, in milliseconds, at most.
    pub(crate) pause: u64,
}

impl Faults<'_> {
    /// Breaks and heals until the clients are told to stop.
    pub(crate) fn run(mut self) -> BTreeMap<&'static str, u64> {
        // Each kind once, in an order of chance, and then by chance.
        let mut kinds: Vec<u64> = (0..KINDS).collect();
        for place in (1..kinds.len()).rev() {
            let other = usize::try_from(self.chance.below(u64::try_from(place).unwrap() + 1)).unwrap();
            kinds.swap(place, other);
        }
        while !self.shared.stop.load(Relaxed) {
            self.sleep(50, self.pause);
            let kind = kinds.pop().unwrap_or_else(|| self.chance.below(KINDS));
            let name = self.inflict(kind);
            *self.counts.entry(name).or_default() += 1;
            self.shared.inflicted.fetch_add(1, Relaxed);
        }
        self.counts
    }

    fn sleep(&mut self, from: u64, to: u64) {
        let millis = self.chance.between(from, to.max(from + 1));
        thread::sleep(Duration::from_millis(millis));
    }

    fn proxy(&mut self) -> usize {
        usize::try_from(self.chance.below(u64::try_from(self.proxies.len()).unwrap())).unwrap()
    }

    /// A member, every other time the leader.
    fn member(&mut self) -> &Node {
        if self.chance.one_in(2) {
            return self.ensemble.leader(BUDGET).unwrap();
        }
        let nodes = self.ensemble.nodes();
        let place = self.chance.below(u64::try_from(nodes.len()).unwrap());
        nodes.get(usize::try_from(place).unwrap()).unwrap()
    }

    /// One fault, from its beginning to its end.
    fn inflict(&mut self, kind: u64) -> &'static str {
        let direction = *DIRECTIONS.get(usize::from(self.chance.one_in(2))).unwrap();
        let place = self.proxy();
        let proxy = self.proxies.get(place).unwrap();
        match kind {
            0 => {
                proxy.cut();
                "cut"
            }
            1 => {
                self.proxies.iter().for_each(|proxy| {
                    proxy.cut();
                });
                "cut_all"
            }
            2 => {
                proxy.cut_after(direction, self.chance.below(3000));
                "cut_at_byte"
            }
            3 => {
                proxy.hold(direction);
                self.sleep(200, 5000);
                proxy.resume(direction);
                "stall"
            }
            4 => {
                let millis = self.chance.between(5, 250);
                proxy.delay(direction, Duration::from_millis(millis));
                self.sleep(300, 1500);
                proxy.delay(direction, Duration::ZERO);
                "delay"
            }
            5 => {
                // The sign of the length, or a bit of the xid: what a peer can notice. TCP's checksum is to find the rest.
                let at = if direction == Direction::ToServer || self.chance.one_in(2) { 0 } else { 4 };
                proxy.corrupt(direction, at, if at == 0 { 0x80 } else { 0x40 });
                "corrupt"
            }
            6 => {
                proxy.split(direction, true);
                self.sleep(300, 1000);
                proxy.split(direction, false);
                "split"
            }
            7 => {
                proxy.refuse().unwrap();
                self.sleep(200, 2000);
                proxy.accept().unwrap();
                "refuse"
            }
            8 => self.kill(),
            9 => self.freeze(),
            10 => self.lose_quorum(),
            11 => self.wipe(),
            12 => self.expire(),
            13 => self.part("leader_parted", |network, leader, _| network.isolate(leader)),
            14 => self.part("leader_unheard", |network, leader, follower| network.block(leader, follower)),
            _ => self.part("follower_unheard", |network, leader, follower| network.block(follower, leader)),
        }
    }

    /// Cuts members off from one another, for longer than a quorum lasts without a word or for less.
    fn part(&mut self, name: &'static str, cut: fn(&Network, usize, usize) -> Result<()>) -> &'static str {
        let (ensemble, shared) = (self.ensemble, self.shared);
        let leader = ensemble.leader(BUDGET).unwrap().id();
        let others: Vec<_> = ensemble.nodes().iter().map(Node::id).filter(|id| *id != leader).collect();
        let follower = others.get(usize::from(self.chance.one_in(2))).copied().unwrap();
        shared.recorder.leader_in_doubt(true);
        cut(ensemble.network(), leader, follower).unwrap();
        self.sleep(500, 6000);
        ensemble.network().heal().unwrap();
        // What was lost is sent again later and later: followers may give their leader up after the line is whole.
        thread::sleep(SYNC_LIMIT);
        ensemble.heal(BUDGET).unwrap();
        shared.recorder.leader_in_doubt(false);
        name
    }

    fn lose_quorum(&mut self) -> &'static str {
        let ensemble = self.ensemble;
        let leader = ensemble.leader(BUDGET).unwrap();
        let others = ensemble.nodes().iter().filter(|node| node.id() != leader.id());
        others.for_each(|node| node.kill().unwrap());
        self.sleep(300, 1500);
        ensemble.heal(BUDGET).unwrap();
        "quorum_loss"
    }

    /// The others have everything that was done, and stay.
    fn wipe(&mut self) -> &'static str {
        let follower = *self.ensemble.followers(BUDGET).unwrap().first().unwrap();
        follower.kill().unwrap();
        follower.wipe().unwrap();
        self.ensemble.heal(BUDGET).unwrap();
        "wipe"
    }

    fn kill(&mut self) -> &'static str {
        let ensemble = self.ensemble;
        self.member().kill().unwrap();
        self.sleep(100, 1500);
        ensemble.heal(BUDGET).unwrap();
        "kill"
    }

    fn freeze(&mut self) -> &'static str {
        let (ensemble, shared) = (self.ensemble, self.shared);
        shared.recorder.leader_in_doubt(true);
        self.member().freeze().unwrap();
        self.sleep(300, 5000);
        ensemble.heal(BUDGET).unwrap();
        shared.recorder.leader_in_doubt(false);
        "freeze"
    }

    /// Ends a session for real, behind its client's back.
    fn expire(&mut self) -> &'static str {
        let clients: Vec<_> = self.shared.clients.lock().unwrap().iter().flatten().cloned().collect();
        let place = self.chance.below(u64::try_from(clients.len().max(1)).unwrap());
        let client = clients.get(usize::try_from(place).unwrap());
        let Some(credentials) = client.and_then(|client| client.credentials()) else {
            return "expiry_missed";
        };
        drop(clients);
        let server = self.ensemble.leader(BUDGET).unwrap().client_addr();
        match expire(server, &credentials) {
            Ok(true) => {
                self.shared.recorder.ended(credentials.session_id, true);
                "expire"
            }
            _ => "expiry_missed",
        }
    }
}

const KINDS: u64 = 16;

fn frame(out: &mut Writer, record: &dyn Encode) {
    let frame = out.frame();
    record.encode(out);
    out.close(frame);
}

/// Takes a session over and closes it in one segment. True if the server confirmed both.
fn expire(server: SocketAddr, credentials: &Credentials) -> io::Result<bool> {
    let mut out = Writer::new();
    let handshake = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        time_out: 10_000,
        session_id: credentials.session_id,
        passwd: Some(credentials.password.clone()),
        read_only: Some(false),
    };
    frame(&mut out, &handshake);
    frame(&mut out, &RequestHeader { xid: Xid(1), op: OpCode::CLOSE_SESSION });
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.write_all(&out.into_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let Some(response) = answer.get(4..) else { return Ok(false) };
    let response = Reader::new(response.to_vec().into()).record::<ConnectResponse>();
    let taken = response.is_ok_and(|response| response.session_id == credentials.session_id);
    // Behind the handshake's answer, the reply to the close: a frame of a header.
    let close = answer.len().checked_sub(16).and_then(|from| answer.get(from..));
    Ok(taken
        && close.is_some_and(|reply| reply.starts_with(&1_i32.to_be_bytes()) && reply.ends_with(&[0; 4])))
}
