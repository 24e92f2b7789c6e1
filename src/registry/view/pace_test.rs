//! Many views of one service at one change, instances that come and go, and ensembles that come back without them.

use std::collections::BTreeSet;

use super::tests::{name, path, there, zero};
use super::*;
use crate::registry::layout::Plain;
use crate::registry::limits::{HOLD_DOWN, RESYNC_SPREAD_MOST, SPREAD_FROM};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Answers all reads that the view wants at `now` as a directory of these hosts would, and says how many there were.
fn serve(view: &mut View, now: Instant, hosts: &[usize]) -> usize {
    let mut reads = 0;
    while let Some(read) = view.next_read(now) {
        reads += 1;
        match read {
            Read::Children { id, .. } => view.on_children(id, Ok(hosts.iter().map(|host| name(*host)))),
            Read::Data { id, paths } => {
                let there_now: BTreeSet<String> = hosts.iter().map(|host| path(*host)).collect();
                let item = |asked| match there_now.contains(asked) {
                    true => there(b""),
                    false => Err(ErrorCode::NO_NODE),
                };
                let items: Vec<Item> = paths.iter().map(item).collect();
                view.on_data(id, Ok((items, 100 * paths.len())));
            }
        }
    }
    reads
}

fn hosts(count: usize) -> Vec<usize> {
    (0..count).collect()
}

fn complete(count: usize, pace: Pace, seed: u64) -> View {
    let mut view = View::new(Arc::new(Plain::new()), "time", pace, seed).unwrap();
    view.set_session_timeout(TIMEOUT);
    view.on_connected();
    serve(&mut view, zero(), &hosts(count));
    assert_eq!(view.poll_change().unwrap().set.len(), count);
    assert_eq!(view.poll_timeout(), None);
    view
}

/// The moments of the views' reads until none waits, as spans since `now`.
fn reads(views: &mut [View], now: Instant, hosts: &[usize]) -> Vec<Duration> {
    let mut moments = Vec::new();
    for view in views {
        let mut at = now;
        loop {
            moments.extend(std::iter::repeat_n(at - now, serve(view, at, hosts)));
            match view.poll_timeout() {
                Some(due) if due < now + RESYNC_SPREAD_MOST => at = due,
                _ => break,
            }
        }
    }
    moments
}

/// The most of them within a tenth of the window, as a rate a second.
fn peak(moments: &[Duration], window: Duration) -> f64 {
    let tenth = window / 10;
    let mut buckets = vec![0u32; 11];
    for moment in moments {
        buckets[usize::try_from(moment.as_nanos() / tenth.as_nanos()).unwrap().min(10)] += 1;
    }
    f64::from(buckets.into_iter().max().unwrap()) / tenth.as_secs_f64()
}

/// J15: one read each, at most twice as many a second as if they were spread evenly over the window.
#[test]
fn a_thousand_views_read_once_each_and_spread_out() {
    for count in [SPREAD_FROM, 200] {
        let mut views: Vec<View> = (0..1000).map(|seed| complete(count, Pace::default(), seed)).collect();
        let window = Pace::default().change_window(count);
        assert!(window >= Duration::from_millis(64) && window <= Duration::from_secs(1));
        for view in &mut views {
            view.on_event(&path(3), EventType::NODE_DATA_CHANGED);
        }
        let moments = reads(&mut views, zero(), &hosts(count));
        assert_eq!(moments.len(), 1000);
        assert!(moments.iter().all(|moment| *moment < window));
        assert!(peak(&moments, window) <= 2.0 * 1000.0 / window.as_secs_f64(), "{}", peak(&moments, window));
    }
}

#[test]
fn after_a_restart_a_thousand_views_read_everything_again_spread_out() {
    let mut views: Vec<View> = (0..1000).map(|seed| complete(200, Pace::default(), seed)).collect();
    let window = Pace::default().resync_window(200);
    for view in &mut views {
        view.on_disconnected(zero());
        view.on_connected();
        assert_eq!(view.next_read(zero()), None);
    }
    // The connection goes once more, half way: what was drawn stands.
    let half = zero() + window / 2;
    let mut early = Vec::new();
    for view in &mut views {
        if view.poll_timeout().unwrap() < half {
            continue;
        }
        view.on_disconnected(half);
        view.on_connected();
        assert_eq!(view.next_read(half), None);
        assert!(view.poll_timeout().unwrap() < zero() + window);
        early.push(view.poll_timeout().unwrap());
    }
    assert!((400..600).contains(&early.len()));
    let moments = reads(&mut views, zero(), &hosts(200));
    let lists = moments.len() / 1000;
    assert!(moments.iter().all(|moment| *moment < window), "all within the window");
    assert!(peak(&moments, window) <= 2.0 * moments.len() as f64 / window.as_secs_f64());
    assert!(lists <= 6, "{lists} reads each");
}

#[test]
fn a_small_set_is_read_at_once_and_the_window_grows_to_its_bound() {
    let pace = Pace::default();
    assert_eq!(pace.change_window(SPREAD_FROM - 1), Duration::ZERO);
    assert!(pace.change_window(100) < pace.change_window(200));
    assert_eq!(pace.change_window(usize::MAX), Duration::from_secs(1));
    assert_eq!(pace.resync_window(usize::MAX), RESYNC_SPREAD_MOST);
    let mut view = complete(SPREAD_FROM - 1, pace, 1);
    view.on_event(&path(3), EventType::NODE_DATA_CHANGED);
    assert_eq!(serve(&mut view, zero(), &hosts(SPREAD_FROM - 1)), 1);
}

#[test]
fn changes_within_the_window_are_read_together() {
    let mut view = complete(200, Pace::default(), 5);
    for host in 0..50 {
        view.on_event(&path(host), EventType::NODE_DATA_CHANGED);
        view.on_event(&path(host), EventType::NODE_DATA_CHANGED);
        assert_eq!(view.next_read(zero()), None);
    }
    let due = view.poll_timeout().unwrap();
    assert_eq!(serve(&mut view, due, &hosts(200)), 1);
    assert_eq!(view.poll_timeout(), None);
}

/// J16: up and down every 200 ms for a minute.
#[test]
fn an_instance_that_comes_and_goes_changes_the_set_at_a_bounded_rate() {
    let mut view = complete(3, Pace::default(), 1);
    let (mut now, mut changes, mut up) = (zero(), 0, true);
    let mut flip = |view: &mut View, now: Instant, up: bool| {
        let kind = if up { EventType::NODE_CREATED } else { EventType::NODE_DELETED };
        view.on_event(&path(2), kind);
        serve(view, now, &hosts(if up { 3 } else { 2 }));
        changes += usize::from(view.poll_change().is_some());
    };
    for _ in 0..300 {
        now += Duration::from_millis(200);
        up = !up;
        flip(&mut view, now, up);
    }
    assert!(changes <= 5 + 60, "{changes} changes in a minute");
    let stats = view.stats();
    assert!(stats.held_down >= 50 && stats.held_down_now <= 1, "{stats:?}");
    assert_eq!(stats.events, 300);
    // It ends dead: that shows in time.
    view.on_event(&path(2), EventType::NODE_DELETED);
    let mut at = now;
    while view.set().unwrap().len() == 3 || view.poll_timeout().is_some() {
        serve(&mut view, at, &hosts(2));
        let Some(due) = view.poll_timeout() else { break };
        assert!(due <= now + HOLD_DOWN, "hidden for {:?}", due - now);
        at = due;
    }
    assert_eq!((view.set().unwrap().len(), view.stats().held_down_now), (2, 0));
    // Others are not held down with it, nor is it once it has been quiet.
    view.on_event(&path(1), EventType::NODE_DATA_CHANGED);
    assert_eq!(serve(&mut view, at, &hosts(2)), 1);
    let later = at + Duration::from_secs(11);
    for _ in 0..5 {
        view.on_event(&path(2), EventType::NODE_CREATED);
        assert_eq!(serve(&mut view, later, &hosts(3)), 1);
    }
}

/// What a view of ten that has been apart sees when it comes back to `left` of them.
fn back(left: usize, pace: Pace) -> View {
    let mut view = complete(10, pace, 1);
    view.on_disconnected(zero());
    view.on_connected();
    serve(&mut view, zero(), &hosts(left));
    view
}

/// J10.
#[test]
fn a_sudden_loss_after_a_gap_is_held_back_for_one_session_timeout() {
    let mut view = back(4, Pace::default());
    assert_eq!((view.set().unwrap().len(), view.poll_change()), (10, None));
    assert_eq!(view.stale_since(), Some(zero()), "it is said to be doubtful");
    assert_eq!((view.stats().held_back_now, view.stats().held_back), (6, 1));
    // One comes back, another one is new, and one of those that are there goes.
    view.on_event(&path(7), EventType::NODE_CREATED);
    view.on_event(&path(12), EventType::NODE_CREATED);
    view.on_event(&path(3), EventType::NODE_DELETED);
    serve(&mut view, zero(), &[0, 1, 2, 7, 12]);
    assert_eq!(
        (view.set().unwrap().len(), view.stats().held_back_now),
        (11, 6),
        "what is kept is kept to the end"
    );
}

#[test]
fn what_is_held_back_goes_with_the_end_of_the_session_timeout() {
    let mut view = back(4, Pace::default());
    let due = view.poll_timeout().unwrap();
    assert_eq!(due, zero() + TIMEOUT);
    serve(&mut view, due - Duration::from_millis(1), &hosts(4));
    assert_eq!(view.set().unwrap().len(), 10);
    serve(&mut view, due, &hosts(4));
    let change = view.poll_change().unwrap();
    assert_eq!((change.removed.len(), change.set.len(), view.stale_since()), (6, 4, None));
    assert_eq!((view.stats().held_back_now, view.poll_timeout()), (0, None));
    // Behind it every loss is believed.
    for host in 0..4 {
        view.on_event(&path(host), EventType::NODE_DELETED);
    }
    serve(&mut view, due, &[]);
    assert_eq!(view.set().unwrap().len(), 0);
}

#[test]
fn a_loss_of_half_or_less_or_without_a_gap_is_believed_at_once() {
    assert_eq!(back(5, Pace::default()).set().unwrap().len(), 5);
    let never = Pace { hold_back_percent: 100, ..Pace::default() };
    assert_eq!(back(0, never).set().unwrap().len(), 0);
    let mut view = complete(10, Pace::default(), 1);
    for host in 0..10 {
        view.on_event(&path(host), EventType::NODE_DELETED);
    }
    serve(&mut view, zero(), &[]);
    assert_eq!((view.set().unwrap().len(), view.stale_since()), (0, None));
}

#[test]
fn a_loss_that_comes_bit_by_bit_after_a_gap_is_held_back_from_the_share_on() {
    let mut view = back(10, Pace::default());
    for host in 0..10 {
        view.on_event(&path(host), EventType::NODE_DELETED);
        serve(&mut view, zero(), &(host + 1..10).collect::<Vec<_>>());
        assert_eq!(view.set().unwrap().len(), (9 - host).max(5));
    }
    serve(&mut view, zero() + TIMEOUT, &[]);
    assert_eq!(view.set().unwrap().len(), 0);
}

#[test]
fn the_last_of_a_small_service_may_leave_soon_after_a_gap() {
    let mut view = complete(1, Pace::default(), 1);
    view.on_disconnected(zero());
    view.on_connected();
    serve(&mut view, zero(), &[0]);
    assert_eq!(view.stale_since(), None);
    view.on_event(&path(0), EventType::NODE_DELETED);
    serve(&mut view, zero(), &[]);
    assert_eq!(view.set().unwrap().len(), 0);
    // Found missing by the reading itself it is doubted.
    let mut view = complete(1, Pace::default(), 1);
    view.on_gap();
    serve(&mut view, zero(), &[]);
    assert_eq!((view.set().unwrap().len(), view.stale_since()), (1, Some(zero())));
}
