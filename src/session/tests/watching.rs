//! Watches: set by their answers, told before anything later, whole across reconnects.

use super::rig::{Rig, Sent, config, frame, get, notification};
use crate::jute::{Decode, ErrorCode, EventType, OpCode, SetWatches, SetWatches2, Xid};
use crate::limits;
use crate::session::{Cause, Config, End, Notice, RequestId, State, WatchKind};

const DATA: (OpCode, WatchKind) = (OpCode::GET_DATA, WatchKind::Data);
const EXISTS: (OpCode, WatchKind) = (OpCode::EXISTS, WatchKind::Data);
const CHILD: (OpCode, WatchKind) = (OpCode::GET_CHILDREN2, WatchKind::Child);
const PERSISTENT: (OpCode, WatchKind) = (OpCode::ADD_WATCH, WatchKind::Persistent);
const RECURSIVE: (OpCode, WatchKind) = (OpCode::ADD_WATCH, WatchKind::Recursive);

/// Sets a watch whose answer is `err`, and yields the frame that asked for it.
fn set(rig: &mut Rig, (op, kind): (OpCode, WatchKind), path: &str, err: ErrorCode) -> (RequestId, Sent) {
    let token = u32::try_from(rig.done.len()).unwrap() + 1_000;
    let id = rig.watch(op, kind, path, token);
    let sent = rig.sent().pop().unwrap();
    rig.feed(&frame(sent.xid, 1, err, &()));
    (id, sent)
}

fn arm(rig: &mut Rig, kind: (OpCode, WatchKind), path: &str) -> RequestId {
    set(rig, kind, path, ErrorCode::OK).0
}

/// The events that this watcher was told, gaps as `None`.
fn told(rig: &Rig, id: RequestId) -> Vec<Option<(EventType, String)>> {
    let own = rig.notices.iter().filter(|(watcher, _)| *watcher == id.0);
    own.map(|(_, notice)| match notice {
        Notice::Event { event_type, path, .. } => Some((*event_type, path.as_str().to_owned())),
        Notice::Gap | Notice::NotWatched => None,
        Notice::Ended(end) => panic!("ended: {end}"),
    })
    .collect()
}

fn event(event_type: EventType, path: &str) -> Option<(EventType, String)> {
    Some((event_type, path.to_owned()))
}

use EventType as E;

#[test]
fn each_kind_is_told_what_concerns_it() {
    let all = [E::NODE_CREATED, E::NODE_DELETED, E::NODE_DATA_CHANGED, E::NODE_CHILDREN_CHANGED];
    for (kind, heard) in [
        (DATA, [true, true, true, false]),
        (EXISTS, [true, true, true, false]),
        (CHILD, [false, true, false, true]),
        (PERSISTENT, [true, true, true, true]),
        (RECURSIVE, [true, true, true, false]),
    ] {
        for (event_type, heard) in all.into_iter().zip(heard) {
            let mut rig = Rig::connected();
            let id = arm(&mut rig, kind, "/a");
            rig.notify(event_type, "/a");
            let expected = if heard { vec![event(event_type, "/a")] } else { Vec::new() };
            assert_eq!(told(&rig, id), expected, "{kind:?} and {event_type}");
        }
    }
}

#[test]
fn one_shot_watches_fire_once_and_lasting_ones_go_on() {
    let mut rig = Rig::connected();
    let once = arm(&mut rig, DATA, "/once");
    let lasting = arm(&mut rig, PERSISTENT, "/lasting");
    for _ in 0..3 {
        rig.notify(E::NODE_DATA_CHANGED, "/once");
        rig.notify(E::NODE_DATA_CHANGED, "/lasting");
    }
    assert_eq!((told(&rig, once).len(), told(&rig, lasting).len()), (1, 3));
}

#[test]
fn recursive_watches_hear_of_everything_below_even_from_the_root() {
    let mut rig = Rig::connected();
    let root = arm(&mut rig, RECURSIVE, "/");
    let app = arm(&mut rig, RECURSIVE, "/app");
    rig.notify(E::NODE_CREATED, "/app/x/y");
    rig.notify(E::NODE_CREATED, "/apple");
    assert_eq!(told(&rig, root), [event(E::NODE_CREATED, "/app/x/y"), event(E::NODE_CREATED, "/apple")]);
    assert_eq!(told(&rig, app), [event(E::NODE_CREATED, "/app/x/y")]);
}

#[test]
fn a_watch_is_set_exactly_by_the_answers_that_set_one() {
    for (kind, err, sets) in [
        (DATA, ErrorCode::NO_NODE, false),
        (DATA, ErrorCode::NO_AUTH, false),
        (EXISTS, ErrorCode::NO_NODE, true),
        (EXISTS, ErrorCode::NO_AUTH, false),
        (CHILD, ErrorCode::NO_NODE, false),
        (PERSISTENT, ErrorCode::MARSHALLING_ERROR, false),
    ] {
        let mut rig = Rig::connected();
        let (id, _) = set(&mut rig, kind, "/a", err);
        rig.notify(E::NODE_CREATED, "/a");
        assert_eq!(told(&rig, id).len(), usize::from(sets), "{kind:?} answered {err}");
    }
}

#[test]
fn an_event_right_behind_the_answer_finds_its_watcher_and_comes_before_later_answers() {
    let mut rig = Rig::connected();
    let id = rig.watch(OpCode::GET_DATA, WatchKind::Data, "/a", 1);
    rig.get(2);
    rig.sent();
    let mut bytes = frame(Xid(1), 1, ErrorCode::OK, &()).to_vec();
    bytes.extend_from_slice(&notification(E::NODE_DATA_CHANGED, "/a"));
    bytes.extend_from_slice(&frame(Xid(2), 2, ErrorCode::OK, &()));
    rig.feed(&bytes);
    let expected = ["done 1".to_owned(), format!("notice {}", id.0), "done 2".to_owned()];
    assert_eq!(rig.order[rig.order.len() - 3..], expected);
}

#[test]
fn events_nobody_waits_for_or_nobody_knows_are_counted() {
    let mut rig = Rig::connected();
    arm(&mut rig, DATA, "/a");
    rig.notify(E::NODE_CREATED, "/elsewhere");
    rig.notify(EventType(99), "/a");
    rig.notify(E::NODE_CREATED, "");
    rig.feed(&frame(Xid::NOTIFICATION, -1, ErrorCode::OK, &Raw(b"\0\0\0\x03\0\0\0\x03\xff\xff\xff\xff")));
    rig.feed(&frame(Xid::NOTIFICATION, -1, ErrorCode::OK, &Raw(b"\0\0\0\x03\0\0\0\x03\0\0\0\x02/\xff")));
    let stats = rig.session.stats();
    assert_eq!((stats.ignored_events, stats.garbled_events), (4, 1));
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn after_a_reconnect_every_watch_is_set_again_before_anything_else() {
    let mut rig = Rig::connected();
    for (kind, path) in
        [(DATA, "/data"), (CHILD, "/child"), (PERSISTENT, "/persistent"), (RECURSIVE, "/recursive")]
    {
        arm(&mut rig, kind, path);
    }
    set(&mut rig, EXISTS, "/missing", ErrorCode::NO_NODE);
    rig.get(1);
    let xid = rig.one_sent().xid;
    rig.reply(xid, 70, &());
    rig.cut();
    rig.get(2);
    rig.connect();
    let sent = rig.one_sent();
    assert_eq!(sent.op, OpCode::SET_WATCHES);
    let one_shot = SetWatches::decode_exact(sent.body).unwrap();
    assert_eq!(one_shot.relative_zxid, 70);
    assert_eq!(texts(one_shot.data_watches), ["/data"]);
    assert_eq!(texts(one_shot.exist_watches), ["/missing"]);
    assert_eq!(texts(one_shot.child_watches), ["/child"]);
    assert!(sent.xid.is_ordinary());
    rig.reply(sent.xid, 90, &());
    let sent = rig.one_sent();
    assert_eq!(sent.op, OpCode::SET_WATCHES2);
    let lasting = SetWatches2::decode_exact(sent.body).unwrap();
    assert_eq!(lasting.relative_zxid, 70);
    assert_eq!(texts(lasting.persistent_watches), ["/persistent"]);
    assert_eq!(texts(lasting.persistent_recursive_watches), ["/recursive"]);
    rig.reply(sent.xid, 90, &());
    assert_eq!(rig.one_sent().op, OpCode::GET_DATA);
}

#[test]
fn lasting_watches_get_a_gap_when_they_are_set_again_and_one_shot_ones_do_not() {
    let mut rig = Rig::connected();
    let once = arm(&mut rig, DATA, "/a");
    let lasting = arm(&mut rig, PERSISTENT, "/b");
    rig.cut();
    rig.get(1);
    rig.connect();
    assert!(rig.notices.is_empty(), "a gap before the watch is back would be followed by a silence");
    for _ in 0..2 {
        let xid = rig.one_sent().xid;
        rig.reply(xid, 5, &());
    }
    assert_eq!((told(&rig, once), told(&rig, lasting)), (vec![], vec![None]));
    let xid = rig.one_sent().xid;
    rig.reply(xid, 6, &());
    assert_eq!(rig.order[rig.order.len() - 2..], [format!("notice {}", lasting.0), "done 1".to_owned()]);
    rig.notify(E::NODE_DATA_CHANGED, "/a");
    rig.notify(E::NODE_DATA_CHANGED, "/b");
    assert_eq!((told(&rig, once).len(), told(&rig, lasting).len()), (1, 2));
}

#[test]
fn watches_come_back_in_batches_with_one_zxid_and_xids_of_their_own() {
    let mut rig = Rig::connected();
    let count = 2_000;
    for index in 0..count {
        arm(&mut rig, DATA, &long_path("data", index));
        arm(&mut rig, PERSISTENT, &long_path("persistent", index));
    }
    rig.cut();
    rig.connect();
    let mut seen = [Vec::new(), Vec::new()];
    let mut xids = Vec::new();
    while rig.session.stats().watch_batches < 100 {
        let sent = rig.sent();
        if sent.is_empty() {
            break;
        }
        for batch in sent {
            assert!(batch.len_bytes <= limits::BATCH_LEN_BYTES, "a batch of {} bytes", batch.len_bytes);
            xids.push(batch.xid);
            if batch.op == OpCode::SET_WATCHES {
                seen[0].extend(texts(SetWatches::decode_exact(batch.body).unwrap().data_watches));
            } else {
                seen[1].extend(texts(SetWatches2::decode_exact(batch.body).unwrap().persistent_watches));
            }
            rig.reply(batch.xid, 1_000, &());
        }
    }
    for (paths, kind) in seen.iter_mut().zip(["data", "persistent"]) {
        paths.sort();
        let mut expected: Vec<_> = (0..count).map(|index| long_path(kind, index)).collect();
        expected.sort();
        assert_eq!(*paths, expected);
    }
    assert!(xids.len() >= 6 && xids.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(rig.session.last_zxid(), 1, "SetWatches moved lastZxid");
}

#[test]
fn a_break_between_two_batches_repeats_all_with_the_old_zxid() {
    let mut rig = Rig::connected();
    for index in 0..1_000 {
        arm(&mut rig, DATA, &long_path("data", index));
    }
    rig.cut();
    rig.connect();
    let first = rig.sent().remove(0);
    rig.reply(first.xid, 500, &());
    rig.cut();
    rig.connect();
    let again = SetWatches::decode_exact(rig.sent().remove(0).body).unwrap();
    assert_eq!(again.relative_zxid, 1);
    assert_eq!(again.data_watches, SetWatches::decode_exact(first.body).unwrap().data_watches);
}

#[test]
fn a_refused_batch_becomes_gaps_and_an_old_server_is_not_asked_again() {
    let mut rig = Rig::new(Config { servers: super::rig::servers(&["only"]), ..config() });
    rig.connect();
    let once = arm(&mut rig, DATA, "/a");
    let lasting = arm(&mut rig, PERSISTENT, "/b");
    rig.cut();
    for round in 1..=3 {
        rig.connect();
        let sent = rig.one_sent();
        assert_eq!(sent.op, OpCode::SET_WATCHES);
        rig.reply(sent.xid, 5, &());
        if round == 1 {
            let sent = rig.one_sent();
            assert_eq!(sent.op, OpCode::SET_WATCHES2);
            rig.refuse(sent.xid, -1, ErrorCode::UNIMPLEMENTED);
        }
        assert!(rig.take_bytes().is_empty(), "an operation known to be unknown was sent");
        assert_eq!(told(&rig, lasting).len(), round);
        assert_eq!(rig.notices.last(), Some(&(lasting.0, Notice::NotWatched)), "nobody watches for it here");
        if round > 1 {
            rig.cut();
        }
    }
    rig.connect();
    let sent = rig.one_sent();
    rig.reply(sent.xid, 5, &());
    assert_eq!(told(&rig, once), []);
    rig.notify(E::NODE_DATA_CHANGED, "/a");
    assert_eq!(told(&rig, once).len(), 1);
}

#[test]
fn on_a_path_with_a_lasting_watch_weaker_ones_are_served_from_it() {
    let mut rig = Rig::connected();
    let lasting = arm(&mut rig, PERSISTENT, "/a");
    let (data, sent) = set(&mut rig, DATA, "/a", ErrorCode::OK);
    assert_eq!(sent.body.last(), Some(&0), "before 3.9 this flag would take the persistent watch away");
    let (child, sent) = set(&mut rig, CHILD, "/a", ErrorCode::OK);
    assert_eq!(sent.body.last(), Some(&0));
    for event_type in [E::NODE_DATA_CHANGED, E::NODE_CHILDREN_CHANGED, E::NODE_DATA_CHANGED] {
        rig.notify(event_type, "/a");
    }
    assert_eq!(told(&rig, data), [event(E::NODE_DATA_CHANGED, "/a")]);
    assert_eq!(told(&rig, child), [event(E::NODE_CHILDREN_CHANGED, "/a")]);
    assert_eq!(told(&rig, lasting).len(), 3);
}

#[test]
fn a_recursive_mode_serves_persistent_and_child_watches_of_its_path() {
    let mut rig = Rig::connected();
    let recursive = arm(&mut rig, RECURSIVE, "/a");
    let (persistent, sent) = set(&mut rig, PERSISTENT, "/a", ErrorCode::OK);
    assert_eq!(sent.body.last(), Some(&1), "addWatch(persistent) would take the recursive mode away");
    let (child, _) = set(&mut rig, CHILD, "/a", ErrorCode::OK);
    rig.notify(E::NODE_CREATED, "/a/b");
    rig.notify(E::NODE_CHILDREN_CHANGED, "/a");
    rig.notify(E::NODE_CREATED, "/a/b/c");
    assert_eq!(told(&rig, child), [event(E::NODE_CHILDREN_CHANGED, "/a")]);
    assert_eq!(told(&rig, persistent), [event(E::NODE_CHILDREN_CHANGED, "/a")]);
    assert_eq!(told(&rig, recursive).len(), 2);
}

/// Found by the simulation: the event was lost.
#[test]
fn what_comes_before_the_answer_to_a_recursive_watch_is_of_the_persistent_one() {
    let mut rig = Rig::connected();
    let persistent = arm(&mut rig, PERSISTENT, "/a");
    rig.watch(OpCode::ADD_WATCH, WatchKind::Recursive, "/a", 900);
    let asked = rig.one_sent();
    rig.notify(E::NODE_CHILDREN_CHANGED, "/a");
    assert_eq!(told(&rig, persistent), [event(E::NODE_CHILDREN_CHANGED, "/a")]);
    rig.reply(asked.xid, 2, &());
    rig.notify(E::NODE_CREATED, "/a/b");
    assert_eq!(told(&rig, persistent).len(), 2);
}

#[test]
fn one_shot_watches_served_from_a_lasting_one_catch_up_after_a_reconnect() {
    let mut rig = Rig::connected();
    arm(&mut rig, PERSISTENT, "/a");
    set(&mut rig, DATA, "/a", ErrorCode::OK);
    rig.cut();
    rig.connect();
    let first = rig.one_sent();
    assert_eq!(first.op, OpCode::SET_WATCHES);
    rig.reply(first.xid, 5, &());
    assert_eq!(rig.one_sent().op, OpCode::SET_WATCHES2, "the stronger mode must come last");
}

#[test]
fn several_watchers_of_one_path_are_all_told() {
    let mut rig = Rig::connected();
    let ids: Vec<_> = (0..3).map(|_| arm(&mut rig, DATA, "/a")).collect();
    rig.notify(E::NODE_DATA_CHANGED, "/a");
    assert!(ids.iter().all(|&id| told(&rig, id).len() == 1));
}

#[test]
fn the_server_watch_is_taken_back_when_the_last_watcher_goes() {
    let mut rig = Rig::connected();
    let first = arm(&mut rig, PERSISTENT, "/a");
    let second = arm(&mut rig, PERSISTENT, "/a");
    rig.session.unwatch(rig.now, first.watcher());
    assert!(rig.take_bytes().is_empty());
    rig.session.unwatch(rig.now, second.watcher());
    let removal = rig.one_sent();
    assert_eq!((removal.op, removal.body.last()), (OpCode::REMOVE_WATCHES, Some(&3)));
    rig.refuse(removal.xid, 1, ErrorCode::NO_WATCHER);
    rig.notify(E::NODE_DATA_CHANGED, "/a");
    assert_eq!((told(&rig, first), rig.session.state()), (vec![], State::Connected));
    arm(&mut rig, PERSISTENT, "/a");
    rig.notify(E::NODE_DATA_CHANGED, "/a");
    assert_eq!(rig.notices.len(), 1);
}

#[test]
fn a_watch_being_set_is_not_taken_back_under_its_setter() {
    let mut rig = Rig::connected();
    let first = arm(&mut rig, PERSISTENT, "/a");
    let second = rig.watch(OpCode::ADD_WATCH, WatchKind::Persistent, "/a", 2);
    let xid = rig.one_sent().xid;
    rig.session.unwatch(rig.now, first.watcher());
    assert!(rig.take_bytes().is_empty());
    rig.reply(xid, 1, &());
    assert!(rig.take_bytes().is_empty());
    rig.notify(E::NODE_DATA_CHANGED, "/a");
    assert_eq!(told(&rig, second).len(), 1);
}

#[test]
fn a_cancelled_watch_is_heard_by_nobody_and_taken_back() {
    let mut rig = Rig::connected();
    arm(&mut rig, PERSISTENT, "/other");
    let id = rig.watch(OpCode::GET_DATA, WatchKind::Data, "/a", 1);
    let xid = rig.one_sent().xid;
    rig.session.cancel(rig.now, id);
    rig.reply(xid, 1, &());
    assert_eq!(rig.one_sent().op, OpCode::REMOVE_WATCHES);
}

#[test]
fn watches_nobody_waits_for_stay_bounded() {
    let mut rig = Rig::connected();
    let mut removals = 0;
    for index in 0..3 * limits::ABANDONED_WATCHES {
        let id = rig.watch(OpCode::GET_DATA, WatchKind::Data, &format!("/n{index}"), 1);
        let sent = rig.sent();
        rig.done.clear();
        for frame in &sent {
            removals += usize::from(frame.op == OpCode::REMOVE_WATCHES);
            rig.reply(frame.xid, 1, &());
        }
        rig.session.unwatch(rig.now, id.watcher());
    }
    assert!(removals >= limits::ABANDONED_WATCHES, "{removals} taken back");
}

#[test]
fn lost_contact_is_a_gap_and_the_end_is_told_to_everybody() {
    let mut rig = Rig::connected();
    let once = arm(&mut rig, DATA, "/a");
    let lasting = arm(&mut rig, RECURSIVE, "/b");
    rig.cut();
    rig.millis(12_100);
    assert_eq!((told(&rig, once), told(&rig, lasting)), (vec![None], vec![None]));
    rig.notices.clear();
    rig.lookups.drain(..rig.lookups.len() - 1);
    rig.accept_next();
    rig.grant(0, 0);
    assert_eq!(rig.notices, [(lasting.0, Notice::Ended(End::Expired))]);
}

fn long_path(kind: &str, index: usize) -> String {
    format!("/{kind}/{index:0>width$}", width = 198 - kind.len())
}

fn texts(paths: Option<Vec<crate::jute::Ustring>>) -> Vec<String> {
    paths.unwrap().iter().map(ToString::to_string).collect()
}

struct Raw(&'static [u8]);

impl crate::jute::Encode for Raw {
    fn encode(&self, out: &mut crate::jute::Writer) {
        out.raw(self.0);
    }
}

#[test]
fn an_oversize_reply_that_says_no_node_sets_the_exist_watch_it_tells_of() {
    let mut rig = Rig::new(Config { inbound_frame_len_bytes: 100, ..config() });
    rig.connect();
    let id = rig.watch(OpCode::EXISTS, WatchKind::Data, "/a", 1);
    let asked = rig.one_sent();
    rig.feed(&frame(asked.xid, 1, ErrorCode::NO_NODE, &get(&"/long".repeat(40))));
    assert_eq!(rig.cause(1), Some(Cause::Server(ErrorCode::NO_NODE)));
    rig.notify(EventType::NODE_CREATED, "/a");
    let told: Vec<_> = rig.notices.iter().map(|(watcher, _)| *watcher).collect();
    assert_eq!(told, [id.watcher().0]);
}
