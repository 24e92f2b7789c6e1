//! The manual's chapter on operations, held against the code: every metric, event and error has its row, and no row is left of
//! what is gone. Lines of the log are looked for by `tests/tidy/operations.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::balance::Reason;
use super::layout::{JsonErrorKind, LayoutError, ReadError};
use super::reconcile::{ConflictKind, Loss as RegistrationLoss};
use super::view::InvalidReason;
use super::*;
use crate::client::{BUCKETS, Metric, OperationStats, Stats, WatchEvent, prometheus};
use crate::jute::OpCode;
use crate::session::{self, Cause, End, Loss, State};

const CHAPTER: &str = include_str!("../manual/operations.rs");

/// For each type a function that names a value's variant, which does not compile if one is missing, and the names.
macro_rules! variants {
    ($($kind:ident { $($variant:ident),+ $(,)? })+) => {
        $({
            fn name(value: &$kind) -> &'static str {
                match value {
                    $($kind::$variant { .. } => stringify!($variant),)+
                }
            }
            let _ = name;
        })+
        vec![$($(concat!(stringify!($kind), "::", stringify!($variant))),+),+]
    };
}

fn variants_of_events() -> Vec<&'static str> {
    variants! {
        Verdict { Good, Impaired, Bad }
        Trouble { Session, Registration, View }
        State { Connecting, Connected, ConnectedReadOnly, Disconnected, Lost, Ended }
        End { Expired, AuthFailed, Closed, ClosedUnconfirmed, Contended }
        WatchEvent { Event, Gap, NotWatched, SessionEnded }
        RegistrationState { Pending, Registered, Conflict, Withdrawn, Ended }
        ConflictKind { Foreign, Twin, KeptPersistent }
        RegistrationLoss { Expired, Deleted, Changed, Taken }
        ServiceEvent { Snapshot, Added, Updated, Removed, Stale, Fresh }
        ViewHealth { Fresh, Impaired, Stale, Ended }
        Reason { Suspect, Ejected }
    }
}

fn variants_of_errors() -> Vec<&'static str> {
    variants! {
        Error {
            Url, Address, Instance, HealthCheck, Layout, Client, Nothing, Taken, SharedDirectory, Moved, NotRead, Ended,
            NoRuntime,
        }
        UrlError { Scheme, Value, Root, List, Twice, Address }
        AddressError { NoHost, NoPort, PortZero, Wildcard, BadHost, BadPort, Environment }
        InstanceError { NoService, NoId, TooLong, TooDeep }
        LayoutError { Instance, BadName, TooLarge, NameTooLong, Reserved, NotExpressible }
        ReadError { Empty, TooLarge, Json, Field, Address, OtherService, Name, Directory }
        JsonErrorKind { Truncated, Unexpected, Trailing, TooDeep }
        InvalidReason { Malformed, NoAuth, TooLarge, Refused, Name }
        ReadFailure { Lost, Refused, TooLarge }
        SavedError { TooLarge, Damaged, Json, Field, Other, Leaf, Layout }
        HealthCheckError { Https, NotHttp, Credentials, BadCharacter, TooLong, Address }
        CheckFailure {
            Connect, Lost, CutShort, TimedOut, NotHttp, HeadTooLong, Redirected, Status, Said, Panicked,
        }
        Loss {
            NotFound, Refused, Network, Closed, ClosedBeforeHandshake, HandshakeRefused, ConnectTimeout, Silence,
            Violation, UnknownOperation, Removed, Rebalanced, ReadWriteFound,
        }
        Cause {
            Server, ConnectionLost, SessionLost, SessionEnded, Deadline, Cancelled, QueueFull, RequestTooLarge,
            ReplyTooLarge,
        }
    }
}

/// What the rows of the chapter's tables are about: the first code span of each that `is_meant` takes.
fn rows(chapter: &str, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("//! | "));
    let first = rows.filter_map(|row| row.split(" | ").next()?.split('`').nth(1));
    first.filter(|name| is_meant(name)).map(str::to_owned).collect()
}

/// What is missing in the chapter, listed twice, or not there any more.
fn differences(listed: &[String], there: &[&str]) -> Vec<String> {
    let (once, known): (BTreeSet<&str>, BTreeSet<&str>) =
        (listed.iter().map(String::as_str).collect(), there.iter().copied().collect());
    let missing = known.difference(&once).map(|name| format!("{name} is not listed"));
    let gone = once.difference(&known).map(|name| format!("{name} is listed and not there"));
    let twice = once.iter().filter(|name| listed.iter().filter(|each| each == *name).count() > 1);
    missing.chain(gone).chain(twice.map(|name| format!("{name} is listed twice"))).collect()
}

#[test]
fn every_event_and_error_has_its_row() {
    let mut there = variants_of_events();
    there.extend(variants_of_errors());
    let listed = rows(CHAPTER, |name| name.contains("::") && !name.starts_with("menagerie"));
    // There are two of that name; the chapter tells them apart by the module.
    let one = |name: &String| name.replace("reconcile::Loss::", "RegistrationLoss::");
    let listed: Vec<_> = listed.iter().map(one).collect();
    assert_eq!(differences(&listed, &there), Vec::<String>::new());
}

/// Everything that can be counted, once.
async fn all_metrics() -> Vec<Metric> {
    let client = crate::Client::connect_lazy("127.0.0.1:1").unwrap();
    let operations =
        vec![OperationStats { op: Some(OpCode::GET_DATA), ok: 1, failed: 1, latency: [1; BUCKETS] }];
    let mut all = client.metrics();
    all.extend(Stats { session: session::Stats::default(), in_flight: 0, operations }.metrics());
    let registry = Memory::new();
    let check = HealthCheck::custom("c", || async { Ok::<(), &str>(()) });
    let wish = Instance::builder("s").host("h").port(1);
    all.extend(registry.register_checked(wish, vec![check]).await.unwrap().metrics());
    all.extend(registry.discover("s").await.unwrap().metrics());
    all.extend(registry.health().metrics());
    all
}

#[tokio::test]
async fn every_metric_has_its_row_and_is_of_the_kind_that_it_says() {
    let all = all_metrics().await;
    let there: Vec<_> = all.iter().map(|metric| metric.name).collect();
    let listed = rows(CHAPTER, |name| name.starts_with("menagerie_"));
    assert_eq!(differences(&listed, &there), Vec::<String>::new());
    for metric in &all {
        let kind = if metric.kind == crate::client::MetricKind::Counter { "counter" } else { "gauge" };
        let labels: Vec<_> = metric.labels.iter().map(|(name, _)| *name).collect();
        let row = format!("//! | `{}` | {kind} | {} |", metric.name, labels.join(", "));
        assert!(CHAPTER.lines().any(|line| line.starts_with(&row)), "no row begins with {row}");
    }
    assert!(prometheus(&all).len() > all.len());
}

#[test]
fn rows_that_lack_or_linger_are_seen() {
    let chapter = "//! | [`E::A`](e) | x |\n//! | `E::B` | y |\n//! | `E::B` | z |\nE::C\n";
    let listed = rows(chapter, |name| name.starts_with("E::"));
    assert_eq!(listed, ["E::A", "E::B", "E::B"]);
    let found = differences(&listed, &["E::B", "E::C"]);
    assert_eq!(found, ["E::C is not listed", "E::A is listed and not there", "E::B is listed twice"]);
}

/// The chapter's numbers are those of the limits.
#[test]
fn what_it_says_of_bounds_is_so() {
    assert_eq!(limits::CHECK_HEAD_LEN_BYTES, 16 * 1024);
    assert_eq!(limits::NAME_LEN_BYTES, 1024);
    assert_eq!(
        (limits::CHECK_TIMEOUT, limits::CHECK_TURNING),
        (Duration::from_secs(2), Duration::from_millis(500))
    );
    assert_eq!((limits::CHECK_RISE, limits::CHECK_FALL, limits::JSON_DEPTH), (2, 3, 64));
    assert_eq!(limits::SNAPSHOT_LEN_BYTES, 64 << 20);
    assert_eq!(limits::WARN_EVERY, Duration::from_secs(60));
}
