//! Whatever the peer sends and whenever the network breaks: no panic, every token comes back once, memory is bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use proptest::prelude::*;

use super::rig::{Rig, SESSION_ID, config, frame, get, notification, request};
use crate::jute::{ErrorCode, EventType, OpCode, Xid};
use crate::session::{Config, Event, Fate, Loss, Request, State, WatchKind};

#[test]
fn lengths_that_cannot_be_cost_the_connection() {
    for length in [-1, i32::MIN, i32::MAX, (64 << 20) + 1, 0, 15] {
        let mut rig = Rig::connected();
        rig.get(1);
        rig.sent();
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0; 16]);
        rig.feed(&bytes);
        assert_eq!(rig.session.state(), State::Disconnected, "frame of {length} bytes");
        assert_eq!(rig.fate(1), Some(Fate::Unknown));
    }
}

#[test]
fn a_broken_frame_does_not_take_the_whole_ones_before_it_along() {
    let mut rig = Rig::connected();
    rig.get(1);
    rig.get(2);
    rig.sent();
    let mut bytes = frame(Xid(1), 1, ErrorCode::OK, &()).to_vec();
    bytes.extend_from_slice(&(-5_i32).to_be_bytes());
    rig.feed(&bytes);
    assert!(rig.outcome(1).unwrap().is_ok());
    assert_eq!(rig.fate(2), Some(Fate::Unknown));
}

#[test]
fn facts_about_what_is_over_are_ignored() {
    let mut rig = Rig::connected();
    let old = rig.conn.unwrap();
    rig.cut();
    rig.connect();
    rig.session.handle_connection_lost(rig.now, old, Loss::Network);
    rig.session.handle_dial_failed(rig.now, old, Loss::Refused);
    rig.session.handle_connected(rig.now, old);
    rig.session.handle_written(rig.now, old, 1_000_000);
    let mut stale = BytesMut::from(&frame(Xid(1), 1, ErrorCode::OK, &())[..]);
    assert!(!rig.session.handle_input(rig.now, old, &mut stale));
    rig.drain();
    rig.get(1);
    assert_eq!((rig.session.state(), rig.sent().len()), (State::Connected, 1));
}

#[test]
fn one_look_at_the_input_works_on_one_batch_only() {
    let mut rig = Rig::connected();
    let conn = rig.conn.unwrap();
    let one = notification(EventType::NODE_CREATED, "/nobody/listens");
    let mut flood = BytesMut::new();
    while flood.len() < 1 << 20 {
        flood.extend_from_slice(&one);
    }
    let before = flood.len();
    assert!(rig.session.handle_input(rig.now, conn, &mut flood));
    assert!(before - flood.len() <= crate::limits::BATCH_LEN_BYTES);
}

/// What may happen, for proptest to string together.
#[derive(Debug, Clone)]
enum Step {
    Submit { solitary: bool, pipelined: bool, watch: bool, deadline_millis: Option<u16> },
    Cancel(u8),
    Pass(u16),
    Resolve(bool),
    Come(bool),
    Grant(i32, i64),
    Write(u16),
    Answer(ErrorCode),
    Notify(u8),
    Raw(Vec<u8>),
    Cut,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), any::<bool>(), any::<bool>(), proptest::option::of(0..4_000_u16)).prop_map(
            |(solitary, pipelined, watch, deadline_millis)| Step::Submit { solitary, pipelined, watch, deadline_millis }
        ),
        1 => any::<u8>().prop_map(Step::Cancel),
        3 => (0..5_000_u16).prop_map(Step::Pass),
        4 => prop::bool::weighted(0.9).prop_map(Step::Resolve),
        4 => prop::bool::weighted(0.9).prop_map(Step::Come),
        4 => prop_oneof![
            8 => Just((9_000, SESSION_ID)), 1 => Just((0, 0)), 1 => (any::<i32>(), Just(SESSION_ID)), 1 => Just((9_000, 1))
        ].prop_map(|(millis, id)| Step::Grant(millis, id)),
        4 => (0..300_u16).prop_map(Step::Write),
        5 => prop_oneof![
            5 => Just(ErrorCode::OK), 1 => Just(ErrorCode::NO_NODE), 1 => Just(ErrorCode::UNIMPLEMENTED),
            1 => any::<i32>().prop_map(ErrorCode),
        ].prop_map(Step::Answer),
        2 => (0..5_u8).prop_map(Step::Notify),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Raw),
        1 => Just(Step::Cut),
        1 => prop::bool::weighted(0.05).prop_map(|close| if close { Step::Close } else { Step::Cut }),
    ]
}

/// The peer and the ledger: which frames are on their way to it, and which tokens are still out.
struct World {
    rig: Rig,
    next_token: u32,
    ids: Vec<crate::session::RequestId>,
    /// Bytes that the transport has not taken yet, and bytes that the peer has not read yet.
    transport: crate::jute::Writer,
    wire: BytesMut,
    to_answer: std::collections::VecDeque<Xid>,
    submitted: u32,
    rejected: u32,
}

impl World {
    fn new() -> Self {
        let rig = Rig::new(Config { places: 20, ..config() });
        Self {
            rig,
            next_token: 0,
            ids: Vec::new(),
            transport: crate::jute::Writer::new(),
            wire: BytesMut::new(),
            to_answer: std::collections::VecDeque::new(),
            submitted: 0,
            rejected: 0,
        }
    }

    fn submit(&mut self, solitary: bool, pipelined: bool, watch: bool, deadline_millis: Option<u16>) {
        self.next_token += 1;
        self.submitted += 1;
        let op = if solitary { OpCode::WHO_AM_I } else { OpCode::EXISTS };
        let path = "/watched";
        let body = get(path);
        let deadline = deadline_millis.map(|millis| self.rig.now + Duration::from_millis(millis.into()));
        let kind = if pipelined { WatchKind::Child } else { WatchKind::Data };
        let wish = watch.then_some(crate::session::WatchWish { kind, path });
        let request = Request { deadline, pipelined, watch: wish, ..request(op, &body) };
        match self.rig.try_submit(request, self.next_token) {
            Ok(id) => self.ids.push(id),
            Err(rejected) => {
                assert_eq!((rejected.token, rejected.error.fate), (self.next_token, Fate::NotSent));
                self.rejected += 1;
            }
        }
    }

    fn write(&mut self, most: usize) {
        if self.transport.is_empty() {
            self.rig.session.poll_transmit(&mut self.transport);
        }
        let Some(conn) = self.rig.conn else { return };
        let taken = self.transport.len().min(most);
        self.wire.extend_from_slice(&self.transport.copy_to_bytes(taken));
        self.rig.session.handle_written(self.rig.now, conn, taken);
        while let Some(length) = self.wire.first_chunk::<4>().map(|l| i32::from_be_bytes(*l)) {
            let len = usize::try_from(length).unwrap();
            if self.wire.len() < 4 + len {
                break;
            }
            let frame = self.wire.split_to(4 + len);
            let xid = i32::from_be_bytes(*frame[4..].first_chunk().unwrap());
            if self.rig.session.state() == State::Connected && xid != 0 {
                self.to_answer.push_back(Xid(xid));
            }
        }
        self.rig.drain();
    }

    fn new_connection(&mut self) {
        self.transport = crate::jute::Writer::new();
        self.wire.clear();
        self.to_answer.clear();
    }

    fn forget_connection(&mut self) {
        if self.rig.conn.is_none() {
            self.new_connection();
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Submit { solitary, pipelined, watch, deadline_millis } => {
                self.submit(solitary, pipelined, watch, deadline_millis);
            }
            Step::Cancel(which) => {
                if let Some(&id) = self.ids.get(usize::from(which)) {
                    self.rig.session.cancel(self.rig.now, id);
                    self.rig.drain();
                }
            }
            Step::Pass(millis) => self.rig.millis(millis.into()),
            Step::Resolve(found) => {
                if let Some((dial, _)) = self.rig.lookups.pop_back() {
                    let found =
                        if found { Ok(vec![crate::session::Address::Name]) } else { Err(Loss::NotFound) };
                    self.rig.session.handle_resolved(self.rig.now, dial, found);
                    self.rig.drain();
                }
            }
            Step::Come(comes) => {
                if let Some((conn, _)) = self.rig.dials.pop_back() {
                    if comes {
                        self.rig.session.handle_connected(self.rig.now, conn);
                        self.rig.conn = Some(conn);
                        self.rig.forget_input();
                        self.new_connection();
                    } else {
                        self.rig.session.handle_dial_failed(self.rig.now, conn, Loss::Refused);
                    }
                    self.rig.drain();
                }
            }
            Step::Grant(millis, id) => {
                if !matches!(self.rig.session.state(), State::Connected) {
                    self.write(usize::MAX);
                    self.rig.grant(millis, id);
                }
            }
            Step::Write(most) => self.write(most.into()),
            Step::Answer(err) => {
                if let Some(xid) = self.to_answer.pop_front() {
                    self.rig.feed(&frame(xid, 7, err, &()));
                }
            }
            Step::Notify(event_type) => self.rig.notify(EventType(event_type.into()), "/watched"),
            Step::Raw(bytes) => self.rig.feed(&bytes),
            Step::Cut => {
                if self.rig.conn.is_some() {
                    self.rig.cut();
                }
            }
            Step::Close => {
                self.rig.session.close(self.rig.now);
                self.rig.drain();
            }
        }
        self.forget_connection();
    }

    fn check(&self) {
        let mut seen = BTreeMap::new();
        for (token, _) in &self.rig.done {
            *seen.entry(token).or_insert(0) += 1;
        }
        assert!(seen.values().all(|&times| times == 1), "a token came back twice");
        assert!(self.rig.session.in_flight() <= 20 + 64, "{} in flight", self.rig.session.in_flight());
        let ends = self.rig.events.iter().filter(|event| matches!(event, Event::Ended(_))).count();
        assert!(ends <= 1, "ended {ends} times");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_token_comes_back_once(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
        // Close, and whatever is still out comes back.
        world.rig.session.close(world.rig.now);
        world.rig.drain();
        world.rig.pass(crate::limits::CLOSE_WAIT);
        world.check();
        let back = u32::try_from(world.rig.done.len()).unwrap() + world.rejected;
        prop_assert_eq!(back, world.submitted);
        prop_assert!(matches!(world.rig.session.state(), State::Ended(_)));
        prop_assert_eq!(world.rig.session.in_flight(), 0);
    }

    #[test]
    fn segments_make_no_difference(sizes in prop::collection::vec(1..40_usize, 1..80)) {
        let mut bytes = Vec::new();
        for index in 1..=20 {
            bytes.extend_from_slice(&notification(EventType::NODE_DATA_CHANGED, "/a"));
            bytes.extend_from_slice(&frame(Xid(index), i64::from(index), ErrorCode::OK, &()));
        }
        let mut whole = Rig::connected();
        let mut cut = Rig::connected();
        for rig in [&mut whole, &mut cut] {
            (1..=20).for_each(|token| { rig.get(token); });
            rig.sent();
        }
        whole.feed(&bytes);
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            cut.feed(piece);
            rest = after;
        }
        prop_assert_eq!(whole.order, cut.order);
        prop_assert_eq!(whole.done, cut.done);
    }
}
