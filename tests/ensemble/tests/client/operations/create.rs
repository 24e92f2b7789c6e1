//! Creating: every mode, with parents, protected; and what is refused before or by the server.

use crate::support::on_every_version;
use menagerie::client::WatchEvent;
use menagerie::jute::{Acl, ErrorCode, EventType};
use menagerie::session::Fate;
use std::time::Duration;

#[test]
fn every_mode_is_created_as_kazoo_sees_it() {
    on_every_version("/create-modes", async |at| {
        let zk = at.client().await;
        let session = zk.status().session_id.unwrap();
        let hour = Duration::from_secs(3600);
        let plain = zk.create("/plain").data("one").await.unwrap();
        assert_eq!((plain.path.as_str(), plain.stat.unwrap().version), ("/plain", 0));
        zk.create("/empty").await.unwrap();
        let ephemeral = zk.create("/ephemeral").ephemeral().await.unwrap();
        assert_eq!(ephemeral.stat.unwrap().ephemeral_owner, session);
        zk.create("/container").container().await.unwrap();
        zk.create("/ttl").data("t").ttl(hour).await.unwrap();
        let sequence = [
            zk.create("/seq/n-").sequential().parents().await.unwrap().path,
            zk.create("/seq/n-").sequential().ephemeral().await.unwrap().path,
            zk.create("/seq/").sequential().await.unwrap().path,
            zk.create("/seq/t-").sequential().ttl(hour).await.unwrap().path,
        ];
        let wanted = ["/seq/n-0000000000", "/seq/n-0000000001", "/seq/0000000002", "/seq/t-0000000003"];
        assert_eq!(sequence, wanted);

        let tree = at.tree();
        let owner = |path: &str| tree[path].ephemeral_owner;
        assert_eq!(tree["/plain"].data.as_deref(), Some(&b"one"[..]));
        // Empty, and not null: other clients tell them apart.
        assert_eq!(tree["/empty"].data.as_deref(), Some(&b""[..]));
        assert_eq!((owner("/plain"), owner("/empty"), owner("/ephemeral")), (0, 0, session));
        // The server does not tell containers and times to live from others in a stat; the next test does.
        assert_eq!((owner("/container"), owner("/ttl")), (0, 0));
        let owners: Vec<_> = sequence.iter().map(|path| owner(path)).collect();
        assert_eq!(owners, [0, session, 0, 0]);
        assert_eq!(tree.len(), 11);
    });
}

#[test]
fn containers_and_short_lived_znodes_go_by_themselves() {
    on_every_version("/create-transient", async |at| {
        let zk = at.client().await;
        let short = Duration::from_millis(1);
        zk.create("/box").container().await.unwrap();
        zk.create("/short").ttl(short).await.unwrap();
        let steps = zk.transaction().create_with("/box-2", "", |create| create.container());
        let steps = steps.create_with("/short-", "", |create| create.ttl(short).sequential());
        steps.create("/stays", "").commit().await.unwrap();
        zk.create("/box/child").await.unwrap();
        zk.create("/box-2/child").await.unwrap();
        let mut going = Vec::new();
        for path in ["/box", "/box-2", "/short", "/short-0000000003"] {
            let (stat, gone) = zk.exists(path).watch().await.unwrap();
            going.extend(stat.map(|_| gone));
        }
        assert!(going.len() >= 2, "a container stays while it has a child");
        zk.delete("/box/child").await.unwrap();
        zk.delete("/box-2/child").await.unwrap();
        for gone in going {
            let gone = gone.await;
            assert!(
                matches!(gone, WatchEvent::Event { event_type: EventType::NODE_DELETED, .. }),
                "{gone:?}"
            );
        }
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), ["", "/stays"]);
    });
}

#[test]
fn parents_are_made_when_missing_and_left_when_there() {
    on_every_version("/create-parents", async |at| {
        // The root is missing too: it is a parent like any other.
        let zk = at.builder().chroot(at.root()).connect().await.unwrap();
        zk.create("/a/b/c").data("leaf").parents().await.unwrap();
        zk.create("/a/b/d").parents().await.unwrap();
        let again = zk.create("/a/b/d").parents().await.unwrap_err();
        assert_eq!((again.code(), again.fate()), (Some(ErrorCode::NODE_EXISTS), Fate::Refused));
        let tree = at.tree();
        assert_eq!(
            tree.keys().map(String::as_str).collect::<Vec<_>>(),
            ["", "/a", "/a/b", "/a/b/c", "/a/b/d"]
        );
        assert_eq!(tree["/a/b/c"].data.as_deref(), Some(&b"leaf"[..]));
        assert!(["", "/a", "/a/b"].iter().all(|path| tree[*path].ephemeral_owner == 0));
    });
}

#[test]
fn a_protected_znode_carries_a_mark_and_keeps_its_name() {
    on_every_version("/create-protected", async |at| {
        let zk = at.client().await;
        let first = zk.create("/lock-").protected().sequential().ephemeral().await.unwrap().path;
        let second = zk.create("/lock-").protected().sequential().ephemeral().await.unwrap().path;
        for (path, digits) in [(&first, "0000000000"), (&second, "0000000001")] {
            let (mark, name) = path.split_at("/_c_".len() + 32);
            assert!(
                mark.starts_with("/_c_") && mark[4..].chars().all(|digit| digit.is_ascii_hexdigit()),
                "{path}"
            );
            assert_eq!(name, format!("-lock-{digits}"));
        }
        let tree = at.tree();
        assert!(tree.contains_key(&first) && tree.contains_key(&second) && tree.len() == 3);
    });
}

#[test]
fn what_cannot_be_created_is_refused_by_name() {
    on_every_version("/create-refused", async |at| {
        let zk = at.client().await;
        zk.create("/there").ephemeral().await.unwrap();
        let refused = [
            (zk.create("/there").await, ErrorCode::NODE_EXISTS),
            (zk.create("/nowhere/child").await, ErrorCode::NO_NODE),
            (zk.create("/there/child").await, ErrorCode::NO_CHILDREN_FOR_EPHEMERALS),
            (zk.create("/acl").acl(Vec::<Acl>::new()).await, ErrorCode::INVALID_ACL),
            (zk.create("/acl").acl(Acl::CREATOR_ALL).await, ErrorCode::INVALID_ACL),
        ];
        for (result, code) in refused {
            let error = result.unwrap_err();
            assert_eq!((error.code(), error.fate()), (Some(code), Fate::Refused), "{error}");
        }
        let asked = zk.stats().session.connects;
        let unsent = [
            zk.create("/a/../b").await,
            zk.create("/a/").await,
            zk.create("relative").await,
            zk.create("/a\u{1}").sequential().await,
            zk.create("/c").container().ephemeral().await,
            zk.create("/t").ttl(Duration::from_secs(1)).ephemeral().await,
            zk.create("/t").ttl(Duration::ZERO).await,
        ];
        for result in unsent {
            let error = result.unwrap_err();
            assert_eq!((error.code(), error.fate()), (None, Fate::NotSent), "{error}");
        }
        assert_eq!(zk.stats().session.connects, asked);
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), ["", "/there"]);
    });
}
