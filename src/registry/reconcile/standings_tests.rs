//! The ways of [`Standings`] that are plain sequences: together, alone, from place to place, and what was lost.

use menagerie_jute::ErrorCode;

use super::tests::zero;
use super::*;
use crate::registry::layout::{Further, ParentMode};
use crate::registry::limits::RECREATE_JITTER;

const MINE: i64 = 0x100;
const OTHER: i64 = 0x200;

fn leaf(dir: &str, name: &str, data: &'static str, mode: LeafMode) -> Leaf {
    let data = Bytes::from_static(data.as_bytes());
    Leaf { dir: dir.to_owned(), name: name.to_owned(), data, mode, parents: ParentMode::Persistent }
}

fn at(name: &str, data: &'static str) -> Wished {
    Wished::instance(leaf("/r/svc", name, data, LeafMode::Ephemeral), 0)
}

/// One of each kind that stands beside a leaf, and the leaf.
fn several(name: &str) -> Vec<Wished> {
    let shared = leaf("/r/meta", "rev", "described", LeafMode::Persistent);
    let list = leaf("/r/map", "list", "app", LeafMode::Persistent);
    let beside = leaf("/r/svc", "beside", "b", LeafMode::Ephemeral);
    vec![
        Wished::further(Further::Shared(shared), 0),
        Wished::further(Further::Listed { leaf: list, entry: "app".to_owned() }, 0),
        Wished::further(Further::Leaf(beside), 0),
        at(name, "v1"),
    ]
}

/// A registration of these places, all read and none there.
fn begun(places: Vec<Wished>, now: Instant) -> Standings {
    let mut standings = Standings::new(false, 1);
    standings.wish(places);
    assert_eq!(standings.step(now), Due::default());
    standings.on_session(MINE, now);
    standings
}

/// Reads everything that is due: found as `find` says.
fn read(standings: &mut Standings, now: Instant, find: impl Fn(&str) -> Option<Seen>) -> Due {
    let due = standings.step(now);
    assert!(!due.reads.is_empty() && due.batches.is_empty(), "{due:?}");
    for read in due.reads {
        standings.on_read(&read.path, Ok(find(&read.path)), now);
    }
    standings.step(now)
}

fn found(owner: i64, data: &'static str) -> Option<Seen> {
    let stat = LeafStat { ephemeral_owner: owner, version: 0, czxid: 1, num_children: 0 };
    Some(Seen { stat, data: Bytes::from_static(data.as_bytes()), same: true })
}

fn only(due: Due) -> Batch {
    assert!(due.reads.is_empty(), "{due:?}");
    let [batch] = <[Batch; 1]>::try_from(due.batches).unwrap();
    batch
}

/// What a batch does, an operation a line.
fn told(batch: &Batch) -> Vec<String> {
    let line = |op| match op {
        Op::CreateDir { path, .. } => format!("dir {path}"),
        Op::Create { path, .. } => format!("create {path}"),
        Op::Set { path, data, .. } => format!("set {path} {}", String::from_utf8_lossy(&data)),
        Op::Delete { path, .. } => format!("delete {path}"),
    };
    batch.ops().into_iter().map(line).collect()
}

fn apply(standings: &mut Standings, batch: &Batch, now: Instant) -> Due {
    standings.on_written(batch, Outcome::Applied, now);
    standings.step(now)
}

fn refuse(standings: &mut Standings, batch: &Batch, code: ErrorCode, op: usize, now: Instant) -> Due {
    standings.on_written(batch, Outcome::Refused { code, op }, now);
    standings.step(now)
}

/// All of it is there, and ours.
fn registered(places: Vec<Wished>, now: Instant) -> Standings {
    let mut standings = begun(places, now);
    let batch = only(read(&mut standings, now, |_| None));
    assert_eq!(apply(&mut standings, &batch, now), Due::default());
    assert_eq!(standings.state(), State::Registered);
    standings
}

#[test]
fn one_leaf_is_one_plain_create() {
    let now = zero();
    let mut standings = begun(vec![at("a", "v1")], now);
    assert_eq!(told(&only(read(&mut standings, now, |_| None))), ["create /r/svc/a"]);
}

#[test]
fn all_places_are_written_in_one_transaction_with_the_directories_they_lack() {
    let now = zero();
    let mut standings = begun(several("a"), now);
    let mut batch = only(read(&mut standings, now, |_| None));
    let plain = ["create /r/meta/rev", "create /r/map/list", "create /r/svc/beside", "create /r/svc/a"];
    assert_eq!(told(&batch), plain);
    // The server names the first operation that lacks a directory; each is told once.
    let mut refusals = 0;
    while let Some(op) = told(&batch).iter().position(|line| {
        let dir = line.rsplit_once('/').unwrap().0.rsplit_once(' ').unwrap().1;
        !dir.is_empty() && !told(&batch).contains(&format!("dir {dir}"))
    }) {
        refusals += 1;
        batch = only(refuse(&mut standings, &batch, ErrorCode::NO_NODE, op, now));
    }
    let whole = [
        "dir /r",
        "dir /r/meta",
        "create /r/meta/rev",
        "dir /r/map",
        "create /r/map/list",
        "dir /r/svc",
        "create /r/svc/beside",
        "create /r/svc/a",
    ];
    assert_eq!((told(&batch), refusals), (whole.map(str::to_owned).to_vec(), 4));
    assert!(batch.makes_all_parents());
    assert_eq!(apply(&mut standings, &batch, now), Due::default());
    assert_eq!(standings.state(), State::Registered);
}

#[test]
fn a_refused_transaction_is_followed_by_single_writes() {
    let now = zero();
    let mut standings = begun(several("a"), now);
    let batch = only(read(&mut standings, now, |_| None));
    // Somebody was faster with what is shared: it is read again, and the others do not wait for that.
    let due = refuse(&mut standings, &batch, ErrorCode::NODE_EXISTS, 0, now);
    assert_eq!(due.reads, [Read { path: "/r/meta/rev".to_owned(), sync: false }]);
    let lines: Vec<_> = due.batches.iter().map(told).collect();
    assert_eq!(lines, [["create /r/map/list"], ["create /r/svc/beside"], ["create /r/svc/a"]]);
    for batch in &due.batches {
        standings.on_written(batch, Outcome::Applied, now);
    }
    standings.on_read("/r/meta/rev", Ok(found(0, "described")), now);
    assert_eq!(standings.step(now), Due::default());
    assert_eq!(standings.state(), State::Registered);
    // And together again the next time.
    standings.on_session(MINE + 1, now);
    let later = now + RECREATE_JITTER;
    let batch = only(read(&mut standings, later, |path| match path {
        "/r/meta/rev" => found(0, "described"),
        "/r/map/list" => found(0, "app"),
        _ => None,
    }));
    assert_eq!(told(&batch), ["create /r/svc/beside", "create /r/svc/a"]);
}

#[test]
fn a_place_that_cannot_be_had_keeps_no_other_back() {
    let now = zero();
    let mut standings = begun(several("a"), now);
    let batch = only(read(&mut standings, now, |_| None));
    let due = refuse(&mut standings, &batch, ErrorCode::NO_AUTH, 2, now);
    assert_eq!((due.batches.len(), due.wait.is_some()), (3, true));
    for batch in &due.batches {
        standings.on_written(batch, Outcome::Applied, now);
    }
    assert_eq!((standings.state(), standings.last_refusal()), (State::Pending, Some(ErrorCode::NO_AUTH)));
    // Another instance's: said, and left.
    let mut standings = begun(several("a"), now);
    let theirs = |path: &str| found(OTHER, "theirs").filter(|_| path == "/r/svc/beside");
    let batch = only(read(&mut standings, now, theirs));
    assert_eq!(told(&batch).len(), 3);
    apply(&mut standings, &batch, now);
    let conflict = Conflict { kind: ConflictKind::Foreign, owner: OTHER };
    assert_eq!(standings.state(), State::Conflict(conflict));
    assert_eq!(standings.conflicts().collect::<Vec<_>>(), [("/r/svc/beside", conflict)]);
}

#[test]
fn a_move_creates_the_new_leaf_and_deletes_the_old_one_in_one_transaction() {
    let now = zero();
    let mut standings = registered(several("a"), now);
    standings.wish(several("b"));
    // The list is looked at too, for the wish is new.
    let batch = only(read(&mut standings, now, |path| found(0, "app").filter(|_| path == "/r/map/list")));
    assert_eq!(told(&batch), ["create /r/svc/b", "delete /r/svc/a"]);
    assert_eq!(standings.state(), State::Pending);
    assert_eq!(apply(&mut standings, &batch, now), Due::default());
    assert_eq!(standings.state(), State::Registered);
    assert!(!standings.paths().any(|path| path == "/r/svc/a"));
}

#[test]
fn the_old_leaf_stays_until_the_new_one_is_there() {
    let now = zero();
    let mut standings = registered(vec![at("a", "v1")], now);
    standings.wish(vec![at("b", "v2")]);
    let batch = only(read(&mut standings, now, |_| None));
    let due = refuse(&mut standings, &batch, ErrorCode::NODE_EXISTS, 0, now);
    assert_eq!((due.reads.len(), due.batches.len()), (1, 0), "the old one goes alone");
    let theirs = Seen { same: false, ..found(OTHER, "theirs").unwrap() };
    standings.on_read("/r/svc/b", Ok(Some(theirs)), now);
    assert_eq!(standings.step(now), Due::default());
    assert!(matches!(standings.state(), State::Conflict(_)));
    // They go.
    standings.on_changed("/r/svc/b");
    let batch = only(read(&mut standings, now, |_| None));
    assert_eq!(told(&batch), ["create /r/svc/b"], "alone until all rest");
    let batch = only(apply(&mut standings, &batch, now));
    assert_eq!(told(&batch), ["delete /r/svc/a"]);
    apply(&mut standings, &batch, now);
    assert_eq!(standings.state(), State::Registered);
}

#[test]
fn instances_of_one_registration_come_together_and_go_alone() {
    let now = zero();
    let of = |name, of| Wished { of, ..at(name, "v1") };
    let mut standings = begun(vec![of("a", 0), of("b", 1)], now);
    let theirs = |path: &str| {
        let seen = found(OTHER, "theirs").filter(|_| path == "/r/svc/b");
        seen.map(|seen| Seen { same: false, ..seen })
    };
    let mut both = standings.clone();
    assert_eq!(told(&only(read(&mut both, now, |_| None))), ["create /r/svc/a", "create /r/svc/b"]);
    let batch = only(read(&mut standings, now, theirs));
    apply(&mut standings, &batch, now);
    // The first moves, and then wants no calls: the conflict is the second's.
    standings.wish(vec![of("c", 0), of("b", 1)]);
    let batch = only(read(&mut standings, now, theirs));
    assert_eq!(told(&batch), ["create /r/svc/c", "delete /r/svc/a"]);
    apply(&mut standings, &batch, now);
    standings.wish(vec![of("b", 1)]);
    assert_eq!(told(&only(standings.step(now))), ["delete /r/svc/c"]);
}

#[test]
fn what_is_not_wanted_for_a_while_remembers_who_took_it() {
    let now = zero();
    let mut standings = registered(several("a"), now);
    // A twin takes the leaf.
    standings.on_changed("/r/svc/a");
    read(&mut standings, now, |_| found(OTHER, "v1"));
    let twin = |state| matches!(state, State::Conflict(Conflict { kind: ConflictKind::Twin, .. }));
    assert!(twin(standings.state()));
    let absent = |wished: Wished| Wished { want: Want::Absent, ..wished };
    standings.wish(several("a").into_iter().map(absent).collect());
    let batch = only(standings.step(now));
    assert_eq!(told(&batch), ["delete /r/svc/beside"], "what is shared stays, and the twin's");
    assert_eq!(apply(&mut standings, &batch, now), Due::default());
    assert_eq!(standings.state(), State::Withdrawn);
    standings.wish(several("a"));
    let due = standings.step(now);
    assert_eq!((due.reads.len(), due.batches.len()), (1, 0), "the list");
    standings.on_read("/r/map/list", Ok(found(0, "app")), now);
    assert_eq!(told(&only(standings.step(now))), ["create /r/svc/beside"]);
    assert!(twin(standings.state()), "it is not taken back");
}

#[test]
fn moves_while_apart_come_to_one_and_the_last_counts() {
    let now = zero();
    let mut standings = registered(vec![at("a", "v1")], now);
    standings.on_disconnected();
    standings.wish(vec![at("b", "v2")]);
    standings.wish(vec![at("c", "v3")]);
    assert_eq!(standings.step(now), Due::default());
    let mut expired = standings.clone();
    standings.on_session(MINE, now);
    let old = |path: &str| found(MINE, "v1").filter(|_| path == "/r/svc/a");
    let batch = only(read(&mut standings, now, old));
    assert_eq!(told(&batch), ["create /r/svc/c", "delete /r/svc/a"]);
    // The old session has ended meanwhile: its leaf with it, or it is on its last legs.
    let later = now + RECREATE_JITTER;
    expired.on_session(MINE + 1, now);
    let mut gone = expired.clone();
    assert_eq!(told(&only(read(&mut gone, later, |_| None))), ["create /r/svc/c"]);
    assert_eq!(told(&only(read(&mut expired, later, old))), ["create /r/svc/c", "delete /r/svc/a"]);
}

#[test]
fn a_second_move_takes_back_the_first() {
    let now = zero();
    let mut standings = registered(vec![at("a", "v1")], now);
    standings.wish(vec![at("b", "v2")]);
    let batch = only(read(&mut standings, now, |_| None));
    standings.wish(vec![at("c", "v3")]);
    // The first is under way: only the new place is looked at.
    let due = standings.step(now);
    assert_eq!((due.reads.len(), due.batches.len()), (1, 0));
    standings.on_read("/r/svc/c", Ok(None), now);
    let batch = only(apply(&mut standings, &batch, now));
    assert_eq!(told(&batch), ["create /r/svc/c", "delete /r/svc/b"]);
    // Back where it is just being taken away: nobody was told that it is gone.
    standings.wish(vec![at("b", "v2")]);
    let batch = only(apply(&mut standings, &batch, now));
    assert_eq!(told(&batch), ["create /r/svc/b", "delete /r/svc/c"]);
}

#[test]
fn what_is_shared_stays_when_the_registration_goes() {
    let now = zero();
    let mut standings = registered(several("a"), now);
    standings.wish(Vec::new());
    let batch = only(standings.step(now));
    assert_eq!(told(&batch), ["delete /r/svc/beside", "delete /r/svc/a"]);
    // One is gone already: the other is not kept by that.
    let due = refuse(&mut standings, &batch, ErrorCode::NO_NODE, 0, now);
    assert_eq!(told(&only(due.clone())), ["delete /r/svc/a"]);
    apply(&mut standings, &due.batches[0], now);
    assert_eq!(standings.state(), State::Withdrawn);
}

#[test]
fn the_same_wish_again_writes_nothing() {
    let now = zero();
    let mut standings = registered(several("a"), now);
    standings.wish(several("a"));
    let due = read(&mut standings, now, |path| found(0, "x,app").filter(|_| path == "/r/map/list"));
    assert_eq!((due, standings.state()), (Due::default(), State::Registered));
}

#[test]
fn an_entry_is_put_into_the_list_as_it_is_then() {
    let now = zero();
    let mut standings = begun(several("a"), now);
    let list = |path: &str| found(0, "x,apps").filter(|_| path == "/r/map/list");
    let batch = only(read(&mut standings, now, list));
    assert!(told(&batch).contains(&"set /r/map/list x,apps,app".to_owned()), "{:?}", told(&batch));
    // Another was faster: the list is read again.
    let due = refuse(&mut standings, &batch, ErrorCode::BAD_VERSION, 1, now);
    assert_eq!(due.reads.len(), 1);
    standings.on_read("/r/map/list", Ok(found(0, "x,apps,y")), now);
    let due = standings.step(now);
    assert_eq!(told(&only(due)), ["set /r/map/list x,apps,y,app"]);
}

#[test]
fn losses_are_counted_and_say_how() {
    let now = zero();
    let mut standings = registered(several("a"), now);
    assert_eq!(standings.losses(), (0, None));
    standings.on_session(MINE, now);
    read(&mut standings, now, |path| match path {
        "/r/meta/rev" => found(0, "described"),
        "/r/map/list" => found(0, "app"),
        "/r/svc/beside" => found(MINE, "b"),
        _ => found(MINE, "v1"),
    });
    assert_eq!(
        (standings.losses(), standings.state()),
        ((0, None), State::Registered),
        "a reconnect is none"
    );
    standings.on_changed("/r/svc/a");
    let batch = only(read(&mut standings, now, |_| None));
    assert_eq!((standings.losses(), standings.state()), ((1, Some(Loss::Deleted)), State::Pending));
    apply(&mut standings, &batch, now);
    standings.on_changed("/r/svc/a");
    let later = now + Duration::from_secs(120);
    let batch = only(read(&mut standings, later, |_| found(MINE, "theirs")));
    assert_eq!(standings.losses(), (2, Some(Loss::Changed)));
    apply(&mut standings, &batch, later);
    standings.on_session(MINE + 1, later);
    assert_eq!(standings.losses(), (3, Some(Loss::Expired)), "one for two leaves");
    let mut standings = registered(vec![at("a", "v1")], now);
    standings.on_changed("/r/svc/a");
    read(&mut standings, now, |_| found(OTHER, "v1"));
    assert_eq!(standings.losses(), (1, Some(Loss::Taken)));
    assert!(matches!(standings.state(), State::Conflict(Conflict { kind: ConflictKind::Twin, .. })));
}
