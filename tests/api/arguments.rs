//! What is wrong with an argument is said at the call, before anything is sent.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use menagerie::Client;
use menagerie::client::{Error, Who};
use menagerie::path::PathError;
use menagerie::session::Fate;

use crate::support::connected;

type Failing<'a> = Pin<Box<dyn Future<Output = Option<Error>> + 'a>>;

macro_rules! calls {
    ($($op:literal: |$zk:ident, $path:ident| $call:expr;)*) => {
        &[$(($op, |$zk, $path| Box::pin(async move { $call.await.err() }))),*]
    };
}

type Call = fn(&'static Client, &'static str) -> Failing<'static>;

const CALLS: &[(&str, Call)] = calls! {
    "getData": |zk, path| zk.get(path);
    "getData": |zk, path| zk.get(path).watch();
    "getData": |zk, path| zk.get(path).send();
    "exists": |zk, path| zk.exists(path);
    "exists": |zk, path| zk.exists(path).watch();
    "setData": |zk, path| zk.set(path, "x");
    "delete": |zk, path| zk.delete(path);
    "delete": |zk, path| zk.delete_recursive(path);
    "create2": |zk, path| zk.create(path);
    "create2": |zk, path| zk.create(path).parents();
    "create2": |zk, path| zk.create(path).protected();
    "create2": |zk, path| zk.create(path).send();
    "createContainer": |zk, path| zk.create(path).container();
    "createTTL": |zk, path| zk.create(path).ttl(Duration::from_secs(1));
    "getChildren2": |zk, path| zk.children(path);
    "getChildren2": |zk, path| zk.children(path).watch();
    "getACL": |zk, path| zk.acl(path);
    "setACL": |zk, path| zk.set_acl(path, menagerie::jute::Acl::OPEN);
    "sync": |zk, path| zk.sync(path);
    "sync": |zk, path| zk.sync(path).get("/fine");
    "getData": |zk, path| zk.sync("/fine").get(path);
    "getAllChildrenNumber": |zk, path| zk.count_descendants(path);
    "addWatch": |zk, path| zk.watch(path);
    "addWatch": |zk, path| zk.watch(path).recursive();
    "multi": |zk, path| zk.transaction().create(path, "x").commit();
    "multi": |zk, path| zk.transaction().set(path, "x").commit();
    "multi": |zk, path| zk.transaction().delete(path).commit();
    "multi": |zk, path| zk.transaction().check(path, 1).commit();
    "multiRead": |zk, path| zk.get_many([path]);
    "multiRead": |zk, path| zk.children_many([path]);
};

#[tokio::test(start_paused = true)]
async fn a_path_that_is_none_fails_before_anything_is_sent() {
    let paths = [
        ("", PathError::Empty),
        ("a", PathError::Relative),
        ("/a/", PathError::TrailingSlash),
        ("/a//b", PathError::EmptyComponent(3)),
        ("/a/../b", PathError::RelativeComponent(3)),
        ("/a\0", PathError::Character { character: '\0', offset: 2 }),
    ];
    let (client, mut server) = connected().await;
    // The table's calls borrow the client for as long as they like.
    let client: &'static Client = Box::leak(Box::new(client));
    for (op, call) in CALLS {
        for (path, wrong) in paths {
            let error = call(client, path).await.expect("a refusal");
            assert_eq!(error.path_error(), Some(wrong), "{op} {path:?}");
            assert_eq!(error.path(), Some(path), "{op}");
            assert_eq!((error.who(), error.fate()), (Who::Caller, Fate::NotSent));
            assert!(error.to_string().starts_with(op), "{op}: {error}");
            assert!(!error.is_retryable());
        }
    }
    server.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn modes_that_exclude_each_other_are_refused() {
    let (client, mut server) = connected().await;
    let second = Duration::from_secs(1);
    let calls = [
        client.create("/a").container().ephemeral(),
        client.create("/a").container().sequential(),
        client.create("/a").container().ttl(second),
        client.create("/a").ephemeral().ttl(second),
        client.create("/a").ttl(Duration::ZERO),
        client.create("/a").ttl(Duration::from_micros(999)),
        client.create("/a").ttl(Duration::from_millis(1 << 40)),
        client.create("/a").ttl(Duration::MAX),
    ];
    for call in calls {
        let error = call.await.unwrap_err();
        assert_eq!((error.who(), error.fate(), error.path()), (Who::Caller, Fate::NotSent, Some("/a")));
    }
    assert_eq!(client.transaction().commit().await.unwrap_err().who(), Who::Caller);
    assert_eq!(client.reconfig("", "").await.unwrap_err().who(), Who::Caller);
    assert!(client.set_servers(Vec::new()).unwrap_err().connect_string_error().is_some());
    assert!(client.chroot("app").unwrap_err().path_error().is_some());
    server.expect_nothing().await;
}
