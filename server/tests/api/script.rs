//! The core survives any script: peers that say anything, tests that do anything, and time that jumps.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use menagerie_server::core::{Config, ConnectionId, Core, Fault, Like, Matcher, Rules, Transmit};
use menagerie_server::jute::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Accept(u8),
    Greet(usize, i64, Option<bool>),
    Resume(usize),
    Request(usize, i32, Vec<u8>),
    Read(usize, i32, &'static str),
    Create(usize, &'static str, i32),
    Bytes(usize, Vec<u8>),
    Take(usize),
    Written(usize, usize),
    Closed(usize),
    Wait(u64),
    Wish(u8, usize),
    Plan(u8, i32),
}

const PATHS: [&str; 6] = ["/", "/a", "/a/b", "", "/zookeeper/quota/a/zookeeper_limits", "x"];

fn step() -> impl Strategy<Value = Step> {
    let conn = 0_usize..6;
    let op = prop_oneof![-11..23_i32, 100..108_i32];
    let path = prop::sample::select(&PATHS[..]);
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        2 => any::<u8>().prop_map(Step::Accept),
        4 => (conn.clone(), -1..9_i64, any::<Option<bool>>()).prop_map(|(c, z, r)| Step::Greet(c, z, r)),
        1 => conn.clone().prop_map(Step::Resume),
        4 => (conn.clone(), op.clone(), bytes()).prop_map(|(c, o, b)| Step::Request(c, o, b)),
        6 => (conn.clone(), op.clone(), path.clone()).prop_map(|(c, o, p)| Step::Read(c, o, p)),
        6 => (conn.clone(), path, -1..7_i32).prop_map(|(c, p, f)| Step::Create(c, p, f)),
        1 => (conn.clone(), bytes()).prop_map(|(c, b)| Step::Bytes(c, b)),
        4 => conn.clone().prop_map(Step::Take),
        2 => (conn.clone(), 0_usize..200).prop_map(|(c, n)| Step::Written(c, n)),
        1 => conn.clone().prop_map(Step::Closed),
        2 => (0_u64..30_000).prop_map(Step::Wait),
        1 => (any::<u8>(), conn).prop_map(|(w, c)| Step::Wish(w, c)),
        1 => (any::<u8>(), op).prop_map(|(f, o)| Step::Plan(f, o)),
    ]
}

struct Run {
    core: Core,
    now: Instant,
    conns: Vec<ConnectionId>,
    granted: Vec<ConnectResponse>,
    taken: usize,
}

impl Run {
    fn input(&mut self, at: usize, bytes: &[u8]) {
        if let Some(id) = self.conns.get(at).copied() {
            self.core.handle_input(id, bytes, self.now);
        }
    }

    fn framed(&mut self, at: usize, head: Option<i32>, body: &impl Encode) {
        let mut out = Writer::new();
        let frame = out.frame();
        if let Some(op) = head {
            RequestHeader { xid: Xid(1), op: OpCode(op) }.encode(&mut out);
        }
        body.encode(&mut out);
        out.close(frame);
        self.input(at, &out.into_bytes());
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Accept(last) => {
                let peer = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last % 3), 9));
                self.conns.push(self.core.accept(peer, self.now));
                if self.conns.len() > 6 {
                    self.conns.remove(0);
                }
            }
            Step::Greet(at, last_zxid_seen, read_only) => {
                let (last_zxid_seen, read_only) = (*last_zxid_seen, *read_only);
                let request =
                    ConnectRequest { last_zxid_seen, read_only, time_out: 6_000, ..Default::default() };
                self.framed(*at, None, &request);
            }
            Step::Resume(at) => {
                let Some(granted) = self.granted.last() else { return };
                let request = ConnectRequest {
                    session_id: granted.session_id,
                    passwd: granted.passwd.clone(),
                    ..ConnectRequest::default()
                };
                self.framed(*at, None, &request);
            }
            Step::Request(at, op, bytes) => self.framed(*at, Some(*op), &crate::support::Loose(bytes)),
            Step::Read(at, op, path) => {
                self.framed(*at, Some(*op), &GetDataRequest { path: *path, watch: true });
            }
            Step::Create(at, path, flags) => {
                let create = CreateRequest {
                    path: *path,
                    data: Some(Bytes::from_static(b"count=1,bytes=2")),
                    acl: Some(Acl::OPEN.into()),
                    flags: CreateMode(*flags),
                };
                self.framed(*at, Some(OpCode::CREATE2.0), &create);
            }
            Step::Bytes(at, bytes) => self.input(*at, bytes),
            Step::Take(at) => self.take(*at),
            Step::Written(at, len) => {
                if let Some(id) = self.conns.get(*at).copied() {
                    self.core.handle_written(id, *len, self.now);
                }
            }
            Step::Closed(at) => {
                if let Some(id) = self.conns.get(*at).copied() {
                    self.core.handle_closed(id, self.now);
                }
            }
            Step::Wait(millis) => {
                self.now += Duration::from_millis(*millis);
                self.core.handle_timeout(self.now);
            }
            Step::Wish(wish, at) => self.wish(*wish, *at),
            Step::Plan(fault, op) => {
                let fault = match fault % 5 {
                    0 => Fault::Fail(ErrorCode::NO_AUTH),
                    1 => Fault::CutBefore,
                    2 => Fault::CutAfter,
                    3 => Fault::Delay(Duration::from_millis(700)),
                    _ => Fault::Withhold,
                };
                self.core.plan(Matcher::op(OpCode(*op)).times(2), fault);
            }
        }
    }

    fn take(&mut self, at: usize) {
        let Some(id) = self.conns.get(at).copied() else { return };
        if let Transmit::Write(out) = self.core.poll_transmit(id) {
            self.taken += out.len();
            let bytes = out.into_bytes();
            if let Ok(granted) = ConnectResponse::decode_exact(bytes.slice(4.min(bytes.len())..)) {
                self.granted.push(granted);
            }
            self.core.handle_written(id, bytes.len(), self.now);
        }
    }

    fn wish(&mut self, wish: u8, at: usize) {
        let sessions = self.core.sessions();
        let session = sessions.get(at).map_or(77, |session| session.id);
        match wish % 9 {
            0 => drop(self.core.expire(session, self.now)),
            1 => drop(self.core.kill(Some(session), self.now)),
            2 => drop(self.core.pause(None, self.now)),
            3 => drop(self.core.resume(None, self.now)),
            4 => self.core.release(self.now),
            5 => self.core.set_read_only(at % 2 == 0, self.now),
            6 => drop(self.core.move_session(session, self.now)),
            7 => self.core.stop(self.now),
            _ => self.core.restart(self.now),
        }
    }

    /// What holds whatever was done.
    fn check(&self) {
        let sessions = self.core.sessions();
        for watch in self.core.watches() {
            assert!(sessions.iter().any(|session| session.id == watch.session), "a watch without a session");
        }
        for session in &sessions {
            for path in &session.ephemerals {
                assert!(self.core.tree().znode(path).is_some());
            }
        }
        let owned: usize = sessions.iter().map(|session| session.ephemerals.len()).sum();
        assert_eq!(self.core.tree().ephemerals_count(), owned, "an ephemeral without a session");
        assert!(self.core.poll_timeout() > self.now - Duration::from_secs(1));
    }
}

proptest! {
    #[test]
    fn the_core_survives_any_script(
        steps in prop::collection::vec(step(), 1..120),
        like in prop::sample::select(vec![Like::V3_4, Like::V3_5, Like::V3_8, Like::V3_9, Like::Keeper]),
    ) {
        let now = tokio::time::Instant::now().into_std();
        let play = || {
            let mut config = Config::default();
            config.rules = Rules { like, enforce_quota: true, ..Rules::default() };
            let core = Core::new(config, now, 1_700_000_000_000);
            let mut run = Run { core, now, conns: vec![], granted: vec![], taken: 0 };
            for step in &steps {
                run.step(step);
                run.core.handle_timeout(run.now);
                run.check();
            }
            (run.core.trace(usize::MAX), run.taken)
        };
        prop_assert_eq!(play(), play(), "the same twice");
    }
}
