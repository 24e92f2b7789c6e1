//! The view against a service of its own making: each test plays the server by hand.

use bytes::Bytes;

use super::*;
use crate::registry::layout::{DubboInterface, GoMicro, LeafStat, Plain};
use crate::registry::limits::{CHUNK_FIRST, CHUNK_GROW_BELOW_BYTES, RULES};
use crate::registry::model::{Lifetime, Status};

const SESSION: LeafStat = LeafStat { ephemeral_owner: 0x1000, version: 0, czxid: 1, num_children: 0 };

/// An arbitrary zero for virtual time, the same for a whole test.
pub(super) fn zero() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary zero for virtual time")]
    static ZERO: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *ZERO
}

pub(super) fn plain() -> View {
    View::new(Arc::new(Plain::new()), "time", Pace::default(), 1).unwrap()
}

fn children(view: &mut View) -> ReadId {
    match view.next_read(zero()) {
        Some(Read::Children { id, path }) if path == "/go_servers" => id,
        other => panic!("expected the list: {other:?}"),
    }
}

fn data(view: &mut View) -> (ReadId, Vec<String>) {
    match view.next_read(zero()) {
        Some(Read::Data { id, paths }) => (id, paths),
        other => panic!("expected data: {other:?}"),
    }
}

pub(super) fn name(host: usize) -> String {
    format!("10.0.{}.{}:80", host / 256, host % 256)
}

pub(super) fn path(host: usize) -> String {
    format!("/go_servers/{}", name(host))
}

pub(super) fn there(payload: &'static [u8]) -> Item {
    Ok((Bytes::from_static(payload), SESSION))
}

fn present(view: &mut View, paths: usize) {
    let (id, asked) = data(view);
    assert_eq!(asked.len(), paths);
    view.on_data(id, Ok((vec![there(b""); paths], 100 * paths)));
}

/// A view of `hosts` instances that has just become complete.
fn complete(hosts: usize) -> View {
    let mut view = plain();
    view.on_connected();
    let id = children(&mut view);
    view.on_children(id, Ok((0..hosts).map(name)));
    assert!(hosts <= CHUNK_FIRST && view.set().is_none());
    present(&mut view, hosts);
    assert_eq!(view.poll_change().unwrap().added.len(), hosts);
    assert_eq!((view.next_read(zero()), view.poll_change()), (None, None));
    view
}

fn names(view: &View) -> Vec<String> {
    view.set().unwrap().iter().map(|instance| instance.address.to_string()).collect()
}

#[test]
fn an_empty_service_is_known_to_be_empty_only_after_a_read() {
    for reply in [Ok(Vec::<String>::new()), Err(ReadFailure::Refused(ErrorCode::NO_NODE))] {
        let mut view = plain();
        assert_eq!((view.next_read(zero()), view.set()), (None, None));
        view.on_connected();
        let id = children(&mut view);
        assert_eq!((view.next_read(zero()), view.poll_change()), (None, None));
        view.on_children(id, reply);
        let change = view.poll_change().unwrap();
        assert!(change.set.is_empty() && change.is_empty());
        assert_eq!(view.poll_change(), None);
    }
}

#[test]
fn the_first_set_is_complete() {
    let mut view = plain();
    view.on_connected();
    let id = children(&mut view);
    view.on_event(&path(99), EventType::NODE_CREATED);
    view.on_children(id, Ok((0..40).map(name).chain([name(99)])));
    let mut reads = Vec::new();
    while let Some(Read::Data { id, paths }) = view.next_read(zero()) {
        reads.push((id, paths.len()));
    }
    assert_eq!(reads.iter().map(|(_, paths)| paths).sum::<usize>(), 41);
    for (at, (id, paths)) in reads.iter().enumerate() {
        assert_eq!(view.set(), None, "published before chunk {at}");
        view.on_data(*id, Ok((vec![there(b""); *paths], 10)));
    }
    assert_eq!(view.poll_change().unwrap().added.len(), 41);
}

#[test]
fn a_gap_during_the_first_list_does_not_make_the_set_incomplete() {
    let mut view = plain();
    view.on_connected();
    let early = children(&mut view);
    view.on_gap();
    view.on_children(early, Ok([name(1), name(2)]));
    let late = children(&mut view);
    view.on_children(late, Ok([name(1), name(2)]));
    assert_eq!(view.set(), None);
    present(&mut view, 2);
    assert_eq!(names(&view).len(), 2);
}

#[test]
fn a_takeover_removes_nothing() {
    let mut view = complete(2);
    view.on_event(&path(1), EventType::NODE_DELETED);
    view.on_event(&path(1), EventType::NODE_CREATED);
    assert_eq!((names(&view).len(), view.poll_change()), (2, None));
    present(&mut view, 1);
    assert_eq!((view.poll_change(), view.next_read(zero())), (None, None));
}

#[test]
fn a_deleted_child_goes_with_the_read_after_its_event() {
    let mut view = complete(2);
    view.on_event(&path(1), EventType::NODE_DELETED);
    assert_eq!(names(&view).len(), 2);
    let (id, paths) = data(&mut view);
    assert_eq!(paths, [path(1)]);
    view.on_data(id, Ok((vec![Err(ErrorCode::NO_NODE)], 10)));
    let change = view.poll_change().unwrap();
    assert_eq!((change.removed[0].address.to_string(), change.set.len()), (name(1), 1));
}

#[test]
fn no_node_from_a_read_begun_before_an_event_is_not_believed() {
    let mut view = complete(1);
    view.on_event(&path(0), EventType::NODE_DELETED);
    let (id, _) = data(&mut view);
    view.on_event(&path(0), EventType::NODE_CREATED);
    assert_eq!(view.next_read(zero()), None, "one read of a child at a time");
    view.on_data(id, Ok((vec![Err(ErrorCode::NO_NODE)], 10)));
    assert_eq!((names(&view).len(), view.poll_change()), (1, None));
    present(&mut view, 1);
    assert_eq!(view.poll_change(), None);
}

#[test]
fn an_update_carries_old_and_new() {
    let mut view = complete(2);
    view.on_event(&path(1), EventType::NODE_DATA_CHANGED);
    let (id, _) = data(&mut view);
    view.on_data(id, Ok((vec![there(b"v2")], 10)));
    let change = view.poll_change().unwrap();
    let [updated] = &change.updated[..] else { panic!("{change:?}") };
    assert_eq!((updated.old.carried.is_none(), updated.new.carried.is_some()), (true, true));
    assert!(change.added.is_empty() && change.removed.is_empty());
}

#[test]
fn while_apart_the_last_good_set_stays_and_says_since_when() {
    let now = zero();
    let mut view = complete(3);
    view.on_event(&path(0), EventType::NODE_DATA_CHANGED);
    let (lost, _) = data(&mut view);
    view.on_disconnected(now);
    view.on_disconnected(now + Duration::from_secs(9));
    view.on_data(lost, Ok((vec![Err(ErrorCode::NO_NODE)], 10)));
    assert_eq!((names(&view).len(), view.stale_since(), view.next_read(zero())), (3, Some(now), None));
    view.on_connected();
    let id = children(&mut view);
    view.on_children(id, Ok([name(0), name(1), name(7)]));
    assert_eq!((view.poll_change(), view.stale_since()), (None, Some(now)));
    let (id, paths) = data(&mut view);
    let item = |path: &String| if *path == self::path(2) { Err(ErrorCode::NO_NODE) } else { there(b"") };
    view.on_data(id, Ok((paths.iter().map(item).collect(), 10)));
    let change = view.poll_change().unwrap();
    assert_eq!((change.added.len(), change.removed.len(), change.updated.len()), (1, 1, 0));
    assert_eq!(view.stale_since(), None);
}

#[test]
fn an_error_never_empties_the_set() {
    let mut view = complete(2);
    for failure in [ReadFailure::Refused(ErrorCode::NO_AUTH), ReadFailure::TooLarge, ReadFailure::Lost] {
        view.on_event("/go_servers", EventType::NODE_CHILDREN_CHANGED);
        let id = children(&mut view);
        view.on_children(id, Err::<Vec<String>, _>(failure));
        assert_eq!(
            (names(&view).len(), view.last_failure(), view.next_read(zero())),
            (2, Some(failure), None)
        );
        view.retry();
        let id = children(&mut view);
        view.on_children(id, Ok([name(0), name(1)]));
        assert_eq!((view.poll_change(), view.last_failure(), view.is_paused()), (None, None, false));
    }
    view.on_event(&path(0), EventType::NODE_DATA_CHANGED);
    let (id, _) = data(&mut view);
    view.on_data(id, Ok((vec![Err(ErrorCode::THROTTLED_OP)], 10)));
    assert_eq!((names(&view).len(), view.is_paused(), view.invalid().count()), (2, true, 0));
    view.retry();
    present(&mut view, 1);
}

#[test]
fn a_reply_that_is_too_short_leaves_the_rest_to_be_read() {
    let mut view = complete(2);
    view.on_event(&path(0), EventType::NODE_DATA_CHANGED);
    view.on_event(&path(1), EventType::NODE_DATA_CHANGED);
    let (id, _) = data(&mut view);
    view.on_data(id, Ok((vec![there(b"")], 10)));
    assert!(view.is_paused());
    view.retry();
    assert_eq!(data(&mut view).1, [path(1)]);
}

#[test]
fn what_is_no_instance_is_skipped_counted_and_listed() {
    let mut view = View::new(Arc::new(GoMicro::new()), "x-y", Pace::default(), 1).unwrap();
    view.on_connected();
    let Some(Read::Children { id, .. }) = view.next_read(zero()) else { panic!("no list") };
    view.on_children(id, Ok(["a", "b", "c", "d", "..", "e/f"]));
    let (id, paths) = data(&mut view);
    assert_eq!(paths.len(), 4);
    let payload = |service: &str| {
        let text = format!(r#"{{"name":"{service}","nodes":[{{"id":"i","address":"h:1"}}]}}"#);
        Ok((Bytes::from(text), LeafStat::default()))
    };
    view.on_data(id, Ok((vec![payload("x-y"), payload("x/y"), there(b"NaN"), Err(ErrorCode::NO_AUTH)], 10)));
    let set = view.set().unwrap();
    assert_eq!(set.iter().map(|instance| instance.lifetime).collect::<Vec<_>>(), [Lifetime::Persistent]);
    let reasons: Vec<String> =
        view.invalid().map(|invalid| format!("{}: {}", invalid.leaf, invalid.reason)).collect();
    assert_eq!(
        reasons,
        [
            "..: its name is none that a child can have",
            "b: it belongs to the service \"x/y\"",
            "c: the payload is not JSON: unexpected byte at byte 0",
            "d: its ACL does not let us read it",
            "e/f: its name is none that a child can have",
        ]
    );
    assert_eq!(view.invalid_seen(), 5);
    // Read again they are the same, not more of them; and what is gone is listed no longer.
    view.on_gap();
    let Some(Read::Children { id, .. }) = view.next_read(zero()) else { panic!("no list") };
    view.on_children(id, Ok(["a", "b"]));
    let (id, _) = data(&mut view);
    let gone = Err(ErrorCode::NO_NODE);
    view.on_data(id, Ok((vec![payload("x-y"), payload("x/y"), gone.clone(), gone], 10)));
    assert_eq!(
        (view.invalid().count(), view.invalid_seen(), view.poll_change().unwrap().set.len()),
        (1, 5, 1)
    );
}

#[test]
fn a_child_too_large_to_read_is_found_and_skipped_alone() {
    let mut view = plain();
    view.on_connected();
    let id = children(&mut view);
    view.on_children(id, Ok((0..64).map(name)));
    let huge = path(37);
    let mut reads = 0;
    while let Some(read) = view.next_read(zero()) {
        let Read::Data { id, paths } = read else { panic!("listed twice") };
        reads += 1;
        if paths.contains(&huge) {
            view.on_data(id, Err(ReadFailure::TooLarge));
        } else {
            view.on_data(id, Ok((vec![there(b""); paths.len()], 100)));
        }
    }
    let invalid: Vec<Invalid> = view.invalid().collect();
    assert_eq!((names(&view).len(), invalid.len()), (63, 1));
    assert_eq!((&*invalid[0].leaf, &invalid[0].reason), (name(37).as_str(), &InvalidReason::TooLarge));
    assert!(reads < 40, "{reads}");
    view.on_event(&huge, EventType::NODE_DATA_CHANGED);
    assert_eq!(view.next_read(zero()), None, "a view of so many waits");
    let due = view.poll_timeout().unwrap();
    let Some(Read::Data { id, .. }) = view.next_read(due) else { panic!("not read when it was due") };
    view.on_data(id, Ok((vec![there(b"")], 100)));
    assert_eq!((names(&view).len(), view.invalid().count()), (64, 0));
}

#[test]
fn ten_thousand_instances_take_few_reads() {
    let mut view = plain();
    view.on_connected();
    let id = children(&mut view);
    view.on_children(id, Ok((0..10_000).map(name)));
    let mut reads = Vec::new();
    while let Some(Read::Data { id, paths }) = view.next_read(zero()) {
        reads.push(paths.len());
        view.on_data(id, Ok((vec![there(b""); paths.len()], 400 * paths.len())));
    }
    assert_eq!(view.set().unwrap().len(), 10_000);
    assert_eq!(reads[..5], [16, 32, 64, 128, 256]);
    assert!(reads.iter().all(|paths| 400 * paths < 2 * CHUNK_GROW_BELOW_BYTES), "{reads:?}");
    assert!(reads.len() <= 20, "{reads:?}");
}

#[test]
fn events_elsewhere_ask_for_nothing() {
    let mut view = complete(1);
    for path in [
        "/",
        "/go_servers2",
        "/go_servers2/x",
        "/go_servers/a/b",
        "/go_servers/",
        "/go_servers/..",
        "go_servers",
        "",
    ] {
        view.on_event(path, EventType::NODE_CREATED);
    }
    view.on_event("/go_servers", EventType::NODE_DATA_CHANGED);
    view.on_event(&path(9), EventType::NODE_DELETED);
    assert_eq!(view.next_read(zero()), None);
    view.on_children(ReadId(77), Ok([name(5)]));
    view.on_data(ReadId(78), Err(ReadFailure::TooLarge));
    assert_eq!((view.next_read(zero()), names(&view).len()), (None, 1));
}

/// Whoever is out of service by a rule is not shown before it is known.
#[test]
fn the_first_set_waits_for_the_rules_beside_it() {
    let banned = "override%3A%2F%2F0.0.0.0%2Ftime%3Fdisabled%3Dtrue";
    let lost = || Err::<[&str; 0], _>(ReadFailure::Lost);
    let refused = || Err(ReadFailure::Refused(ErrorCode::NO_AUTH));
    for (rules, status, invalid) in [
        (Ok(vec![banned]), Status::OutOfService, 0),
        (Ok(vec!["x", banned]), Status::OutOfService, 1),
        (Ok(vec![]), Status::Up, 0),
        (refused(), Status::Up, 1),
    ] {
        let mut view = View::new(Arc::new(DubboInterface::new()), "time", Pace::default(), 1).unwrap();
        assert_eq!(view.rules_dir(), Some("/dubbo/time/configurators"));
        view.on_connected();
        let Some(Read::Children { id, .. }) = view.next_read(zero()) else { panic!("no list") };
        view.on_children(id, Ok(["dubbo%3A%2F%2Fh%3A1%2Ftime"]));
        present(&mut view, 1);
        view.on_rules(lost());
        assert_eq!((view.poll_change(), view.set()), (None, None));
        view.on_rules(rules);
        assert_eq!(view.poll_change().unwrap().set.iter().next().unwrap().status, status);
        assert_eq!(view.invalid().count(), invalid);
        // Equal rules are no change; what is known stays while they cannot be listed.
        view.on_rules(lost());
        view.on_rules(refused());
        assert_eq!((view.poll_change(), view.invalid().count()), (None, 1));
    }
}

#[test]
fn rules_without_end_are_applied_up_to_a_bound() {
    let mut view = View::new(Arc::new(DubboInterface::new()), "time", Pace::default(), 1).unwrap();
    let rule = |number| format!("override%3A%2F%2F0.0.0.0%2Ftime%3Fweight%3D{number}");
    view.on_rules(Ok((0..RULES + 3).map(rule)));
    let left_out = view.invalid().filter(|one| one.reason == InvalidReason::TooMany).count();
    assert_eq!((left_out, view.invalid().count()), (3, 3));
}
