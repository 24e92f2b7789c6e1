//! Every small case of the rule, and the ways of [`Standing`] that are plain sequences.

use menagerie_jute::ErrorCode;

use super::*;
use crate::registry::ReadFailure;
use crate::registry::layout::ParentMode;
use crate::registry::limits::{BACKOFF_FIRST, BACKOFF_MOST, RECREATE_JITTER, TAKEOVER_WINDOW};

const MINE: i64 = 0x100;
const BEFORE: i64 = 0x99;
const OTHER: i64 = 0x200;
const TTL: i64 = -0x0100_0000_0000_0000 | 60_000;

#[expect(clippy::disallowed_methods, reason = "an arbitrary zero for virtual time")]
pub(super) fn zero() -> Instant {
    Instant::now()
}

pub(super) fn leaf(mode: LeafMode) -> Leaf {
    let (dir, name) = ("/root/svc".to_owned(), "svc-1".to_owned());
    Leaf { dir, name, data: Bytes::from_static(b"new"), mode, parents: ParentMode::Persistent }
}

fn seen(owner: i64, data: &'static str, same: bool) -> Observed {
    let stat = LeafStat { ephemeral_owner: owner, version: 7, czxid: 1, num_children: 0 };
    Observed::Present(Seen { stat, data: Bytes::from_static(data.as_bytes()), same })
}

fn known<'a>(leaf: &'a Leaf, want: Want, observed: &'a Observed) -> Known<'a> {
    Known {
        want,
        leaf,
        keep_persistent: false,
        session: Some(MINE),
        held: &[BEFORE],
        observed,
        twin: false,
        missing_parents: 0,
        takeover_at: None,
        write_at: None,
        quiet_until: None,
    }
}

fn conflict(kind: ConflictKind, owner: i64) -> Step {
    Step::WatchAndWait(Conflict { kind, owner })
}

#[test]
fn every_case_of_an_ephemeral_leaf() {
    use ConflictKind::{Foreign, KeptPersistent, Twin};
    let takeover = Step::TakeOver { version: 7 };
    let replace = Step::ReplacePersistent { version: 7 };
    let delete = Step::Delete { version: 7 };
    let set = Step::SetData { version: 7, data: Bytes::from_static(b"new") };
    // owner, same instance; then present wished: as is, after a twin, with keep_persistent; then absent wished.
    let table = [
        (MINE, true, [set.clone(), set.clone(), set.clone()], delete.clone()),
        (MINE, false, [set.clone(), set.clone(), set], delete.clone()),
        (BEFORE, true, [takeover.clone(), takeover.clone(), takeover.clone()], delete.clone()),
        (BEFORE, false, [takeover.clone(), takeover.clone(), takeover.clone()], delete),
        (OTHER, true, [takeover.clone(), conflict(Twin, OTHER), takeover], Step::Nothing),
        (
            OTHER,
            false,
            [conflict(Foreign, OTHER), conflict(Foreign, OTHER), conflict(Foreign, OTHER)],
            Step::Nothing,
        ),
        (0, true, [replace.clone(), replace.clone(), conflict(KeptPersistent, 0)], Step::Nothing),
        (0, false, [conflict(Foreign, 0), conflict(Foreign, 0), conflict(Foreign, 0)], Step::Nothing),
        (TTL, true, [replace.clone(), replace, conflict(KeptPersistent, TTL)], Step::Nothing),
    ];
    let leaf = leaf(LeafMode::Ephemeral);
    for (owner, same, present, absent) in table {
        let observed = seen(owner, "old", same);
        for ((twin, keep_persistent), step) in
            [(false, false), (true, false), (false, true)].into_iter().zip(present)
        {
            let case = Known { twin, keep_persistent, ..known(&leaf, Want::Present, &observed) };
            assert_eq!(decide(&case, zero()), step, "{case:?}");
        }
        for (twin, keep_persistent) in [(false, false), (true, false), (false, true), (true, true)] {
            let case = Known { twin, keep_persistent, ..known(&leaf, Want::Absent, &observed) };
            assert_eq!(decide(&case, zero()), absent, "{case:?}");
        }
    }
    let fits = seen(MINE, "new", true);
    assert_eq!(decide(&known(&leaf, Want::Present, &fits), zero()), Step::Nothing);
}

#[test]
fn every_case_of_a_persistent_leaf() {
    let leaf = leaf(LeafMode::Persistent);
    let set = Step::SetData { version: 7, data: Bytes::from_static(b"new") };
    let delete = Step::Delete { version: 7 };
    let foreign = |owner| conflict(ConflictKind::Foreign, owner);
    for (owner, data, same, present, absent) in [
        (0, "new", true, Step::Nothing, delete.clone()),
        (0, "old", true, set, delete.clone()),
        (0, "new", false, foreign(0), Step::Nothing),
        (MINE, "new", true, Step::TakeOver { version: 7 }, delete.clone()),
        (BEFORE, "new", true, Step::TakeOver { version: 7 }, delete),
        (OTHER, "new", true, Step::TakeOver { version: 7 }, Step::Nothing),
        (OTHER, "new", false, foreign(OTHER), Step::Nothing),
    ] {
        let observed = seen(owner, data, same);
        assert_eq!(decide(&known(&leaf, Want::Present, &observed), zero()), present, "{owner} {data} {same}");
        assert_eq!(decide(&known(&leaf, Want::Absent, &observed), zero()), absent, "{owner} {data} {same}");
    }
}

#[test]
fn without_a_leaf_or_a_connection() {
    let leaf = leaf(LeafMode::Ephemeral);
    for want in [Want::Present, Want::Absent] {
        for sync in [false, true] {
            let unknown = Observed::Unknown { sync };
            assert_eq!(decide(&known(&leaf, want, &unknown), zero()), Step::ReadBack { sync });
            let apart = Known { session: None, ..known(&leaf, want, &unknown) };
            assert_eq!(decide(&apart, zero()), Step::AwaitSession);
        }
    }
    let absent = Observed::Absent;
    assert_eq!(decide(&known(&leaf, Want::Absent, &absent), zero()), Step::Nothing);
    for (missing_parents, parents) in
        [(0, &[][..]), (1, &["/root/svc"]), (2, &["/root", "/root/svc"]), (9, &["/root", "/root/svc"])]
    {
        let case = Known { missing_parents, ..known(&leaf, Want::Present, &absent) };
        let parents = parents.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(decide(&case, zero()), Step::Create { parents });
    }
}

#[test]
fn what_is_too_early_waits() {
    let (leaf, now) = (leaf(LeafMode::Ephemeral), zero());
    let soon = Duration::from_millis(5);
    let (absent, mine, left, unknown) = (
        Observed::Absent,
        seen(MINE, "new", true),
        seen(BEFORE, "new", true),
        Observed::Unknown { sync: false },
    );
    let at = Some(now + soon);
    let wait = Step::Wait(soon);
    let write = |want, observed| decide(&Known { write_at: at, ..known(&leaf, want, observed) }, now);
    assert_eq!(write(Want::Present, &absent), wait);
    assert_eq!(write(Want::Present, &left), wait);
    assert_eq!(write(Want::Present, &mine), Step::Nothing);
    assert_eq!(write(Want::Present, &unknown), Step::ReadBack { sync: false });
    assert_eq!(write(Want::Absent, &mine), Step::Delete { version: 7 });
    let quiet = |want, observed| decide(&Known { quiet_until: at, ..known(&leaf, want, observed) }, now);
    assert_eq!(quiet(Want::Present, &unknown), wait);
    assert_eq!(quiet(Want::Absent, &mine), wait);
    assert_eq!(quiet(Want::Present, &mine), Step::Nothing);
    let spent = |observed| decide(&Known { takeover_at: at, ..known(&leaf, Want::Present, observed) }, now);
    assert_eq!(spent(&left), wait);
    assert_eq!(spent(&absent), Step::Create { parents: vec![] });
    let due = Known { write_at: at, quiet_until: at, takeover_at: at, ..known(&leaf, Want::Present, &left) };
    assert_eq!(decide(&due, now + soon), Step::TakeOver { version: 7 });
}

fn found(owner: i64, czxid: i64) -> Result<Option<Seen>, ReadFailure> {
    let stat = LeafStat { ephemeral_owner: owner, version: 0, czxid, num_children: 0 };
    Ok(Some(Seen { stat, data: Bytes::from_static(b"new"), same: true }))
}

/// A registration that has just succeeded in session `MINE`.
fn registered(now: Instant) -> Standing {
    let mut standing = Standing::new(leaf(LeafMode::Ephemeral), false, 1);
    assert_eq!(standing.step(now), Step::AwaitSession);
    standing.on_session(MINE, now);
    assert_eq!(standing.step(now), Step::ReadBack { sync: false });
    assert_eq!(standing.step(now), Step::Nothing, "one step at a time");
    standing.on_read(Ok(None), now);
    assert_eq!(standing.step(now), Step::Create { parents: vec![] });
    standing.on_written(Outcome::Applied, now);
    assert_eq!(standing.step(now), Step::Nothing);
    assert_eq!(standing.state(), State::Registered);
    standing
}

fn read_back(standing: &mut Standing, read: Result<Option<Seen>, ReadFailure>, now: Instant) -> Step {
    assert!(matches!(standing.step(now), Step::ReadBack { .. }));
    standing.on_read(read, now);
    standing.step(now)
}

#[test]
fn missing_directories_are_made_with_the_leaf() {
    let now = zero();
    let mut standing = Standing::new(leaf(LeafMode::Ephemeral), false, 1);
    let no_node = |op| Outcome::Refused { code: ErrorCode::NO_NODE, op };
    standing.on_session(MINE, now);
    assert_eq!(read_back(&mut standing, Ok(None), now), Step::Create { parents: vec![] });
    standing.on_written(no_node(0), now);
    assert_eq!(standing.step(now), Step::Create { parents: vec!["/root/svc".into()] });
    standing.on_written(no_node(0), now);
    assert_eq!(standing.step(now), Step::Create { parents: vec!["/root".into(), "/root/svc".into()] });
    standing.on_written(Outcome::Refused { code: ErrorCode::NODE_EXISTS, op: 0 }, now);
    assert_eq!(standing.step(now), Step::Create { parents: vec!["/root/svc".into()] });
    standing.on_written(Outcome::Refused { code: ErrorCode::NODE_EXISTS, op: 0 }, now);
    assert_eq!(standing.step(now), Step::Create { parents: vec![] });
    standing.on_written(Outcome::Applied, now);
    assert_eq!(standing.step(now), Step::Nothing);
}

#[test]
fn a_reconnect_of_the_same_session_writes_nothing() {
    let now = zero();
    let mut standing = registered(now);
    standing.on_disconnected();
    assert_eq!(standing.step(now), Step::AwaitSession);
    standing.on_session(MINE, now);
    assert_eq!(read_back(&mut standing, found(MINE, 1), now), Step::Nothing);
    assert_eq!(standing.state(), State::Registered);
}

#[test]
fn an_expired_registration_comes_back_within_the_jitter() {
    let now = zero();
    let mut standing = registered(now);
    standing.on_session(MINE + 1, now);
    let Step::Wait(wait) = read_back(&mut standing, Ok(None), now) else { panic!("no jitter") };
    assert!(wait < RECREATE_JITTER);
    assert_eq!(standing.step(now + wait), Step::Create { parents: vec![] });
    let mut early = registered(now);
    early.on_session(MINE + 1, now);
    let later = now + RECREATE_JITTER;
    assert_eq!(read_back(&mut early, found(MINE, 1), later), Step::TakeOver { version: 0 });
    early.on_written(Outcome::Applied, later);
    assert_eq!(read_back(&mut early, found(MINE + 1, 2), later), Step::Nothing);
}

#[test]
fn a_deleted_leaf_is_repaired_at_once_and_then_with_pauses() {
    let mut now = zero();
    let mut standing = registered(now);
    let mut waited = Vec::new();
    for _ in 0..12 {
        standing.on_changed();
        let mut step = read_back(&mut standing, Ok(None), now);
        let mut pause = Duration::ZERO;
        if let Step::Wait(wait) = step {
            (pause, now) = (wait, now + wait);
            step = standing.step(now);
        }
        assert_eq!(step, Step::Create { parents: vec![] });
        standing.on_written(Outcome::Applied, now);
        assert_eq!(standing.step(now), Step::Nothing);
        waited.push(pause);
    }
    assert_eq!(waited[0], Duration::ZERO);
    assert!(waited[1] >= Duration::from_millis(50) && waited[6] >= Duration::from_millis(1600));
    assert!(waited.iter().all(|pause| *pause <= BACKOFF_MOST));
}

#[test]
fn a_twin_that_takes_our_leaf_is_left_alone() {
    let now = zero();
    let mut standing = registered(now);
    standing.on_changed();
    assert_eq!(read_back(&mut standing, found(OTHER, 9), now), conflict(ConflictKind::Twin, OTHER));
    assert_eq!(standing.state(), State::Conflict(Conflict { kind: ConflictKind::Twin, owner: OTHER }));
    // Also under its next session, and under ours.
    standing.on_session(MINE + 1, now);
    let later = now + TAKEOVER_WINDOW;
    assert_eq!(
        read_back(&mut standing, found(OTHER + 1, 12), later),
        conflict(ConflictKind::Twin, OTHER + 1)
    );
    standing.on_changed();
    assert_eq!(read_back(&mut standing, Ok(None), later), Step::Create { parents: vec![] });
    standing.on_written(Outcome::Refused { code: ErrorCode::NODE_EXISTS, op: 0 }, later);
    assert_eq!(
        read_back(&mut standing, found(OTHER + 2, 15), later),
        conflict(ConflictKind::Twin, OTHER + 2)
    );
}

#[test]
fn a_twin_is_recognised_behind_a_lost_reply() {
    let now = zero();
    let mut standing = Standing::new(leaf(LeafMode::Ephemeral), false, 1);
    standing.on_session(MINE, now);
    assert_eq!(read_back(&mut standing, found(OTHER, 3), now), Step::TakeOver { version: 0 });
    standing.on_written(Outcome::Unknown, now);
    let mut lost = standing.clone();
    assert_eq!(lost.step(now), Step::ReadBack { sync: true });
    lost.on_read(found(OTHER, 3), now);
    assert_eq!(lost.step(now), Step::TakeOver { version: 0 }, "the same leaf: ours never arrived");
    assert_eq!(read_back(&mut standing, found(OTHER, 5), now), conflict(ConflictKind::Twin, OTHER));
}

#[test]
fn takeovers_are_counted_and_the_fourth_waits() {
    let now = zero();
    let mut standing = Standing::new(leaf(LeafMode::Ephemeral), false, 1);
    standing.on_session(MINE, now);
    for czxid in 0..3 {
        assert_eq!(read_back(&mut standing, found(OTHER + czxid, czxid), now), Step::TakeOver { version: 0 });
        standing.on_written(Outcome::Refused { code: ErrorCode::BAD_VERSION, op: 0 }, now);
    }
    assert_eq!(read_back(&mut standing, found(OTHER + 9, 9), now), Step::Wait(TAKEOVER_WINDOW));
    assert_eq!(standing.step(now + TAKEOVER_WINDOW), Step::TakeOver { version: 0 });
}

#[test]
fn a_payload_changed_apart_is_written_once() {
    let now = zero();
    let mut standing = registered(now);
    standing.on_disconnected();
    standing.want(Bytes::from_static(b"v2"));
    standing.want(Bytes::from_static(b"v3"));
    assert_eq!(standing.step(now), Step::AwaitSession);
    standing.on_session(MINE, now);
    let set = Step::SetData { version: 0, data: Bytes::from_static(b"v3") };
    assert_eq!(read_back(&mut standing, found(MINE, 1), now), set);
    standing.on_written(Outcome::Applied, now);
    assert_eq!(standing.step(now), Step::Nothing);
}

#[test]
fn a_wish_that_changes_under_way_is_not_forgotten() {
    let now = zero();
    let mut standing = Standing::new(leaf(LeafMode::Ephemeral), false, 1);
    standing.on_session(MINE, now);
    assert!(matches!(read_back(&mut standing, Ok(None), now), Step::Create { .. }));
    standing.want(Bytes::from_static(b"v2"));
    standing.on_written(Outcome::Applied, now);
    assert_eq!(standing.step(now), Step::SetData { version: 0, data: Bytes::from_static(b"v2") });
}

#[test]
fn withdrawn_apart_is_deleted_with_the_next_connection() {
    let now = zero();
    let mut standing = registered(now);
    standing.on_disconnected();
    standing.withdraw();
    assert_eq!(standing.step(now), Step::AwaitSession);
    assert_eq!(standing.state(), State::Pending);
    let mut expired = standing.clone();
    standing.on_session(MINE, now);
    assert_eq!(read_back(&mut standing, found(MINE, 1), now), Step::Delete { version: 0 });
    standing.on_written(Outcome::Refused { code: ErrorCode::NO_NODE, op: 0 }, now);
    assert_eq!(standing.step(now), Step::Nothing);
    assert_eq!(standing.state(), State::Withdrawn);
    expired.on_session(MINE + 1, now);
    assert_eq!(read_back(&mut expired, found(MINE, 1), now), Step::Delete { version: 0 });
    expired.on_written(Outcome::Unknown, now);
    assert_eq!(expired.step(now), Step::ReadBack { sync: true });
    expired.on_read(Ok(None), now);
    assert_eq!(expired.step(now), Step::Nothing);
    assert_eq!(expired.state(), State::Withdrawn);
}

#[test]
fn refusals_back_off_and_are_told() {
    let mut now = zero();
    let mut standing = Standing::new(leaf(LeafMode::Ephemeral), false, 1);
    standing.on_session(MINE, now);
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert!(matches!(read_back(&mut standing, Ok(None), now), Step::Create { .. }));
        standing.on_written(Outcome::Refused { code: ErrorCode::NO_AUTH, op: 0 }, now);
        let Step::Wait(wait) = standing.step(now) else { panic!("asked again at once") };
        waits.push(wait);
        now += wait;
    }
    assert_eq!(standing.last_refusal(), Some(ErrorCode::NO_AUTH));
    assert!(waits[0] <= BACKOFF_FIRST, "{waits:?}");
    assert!(waits[11] >= BACKOFF_MOST / 2 && waits[11] <= BACKOFF_MOST, "{waits:?}");
}

#[test]
fn answers_nobody_asked_for_are_ignored() {
    let now = zero();
    let mut standing = registered(now);
    standing.on_read(Ok(None), now);
    standing.on_written(Outcome::Unknown, now);
    assert_eq!(standing.step(now), Step::Nothing);
    standing.on_changed();
    assert_eq!(standing.step(now), Step::ReadBack { sync: false });
    standing.on_written(Outcome::Applied, now);
    standing.on_changed();
    standing.on_read(Ok(None), now);
    assert_eq!(standing.step(now), Step::ReadBack { sync: false }, "begun before the event");
}
