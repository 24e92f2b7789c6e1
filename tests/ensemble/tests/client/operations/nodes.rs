//! Single znodes: read, written, deleted, with and without versions; and subtrees.

use crate::support::on_every_version;
use menagerie::jute::ErrorCode;
use menagerie::session::Fate;
use menagerie_ensemble::Kazoo;
use serde_json::json;

#[test]
fn data_is_read_and_written_by_version() {
    on_every_version("/nodes-data", async |at| {
        let zk = at.client().await;
        zk.create("/a").data("one").await.unwrap();
        let (data, first) = zk.get("/a").await.unwrap();
        assert_eq!((&data[..], first.version, first.data_length), (&b"one"[..], 0, 3));
        let second = zk.set("/a", "two").version(0).await.unwrap();
        assert_eq!((second.version, second.czxid), (1, first.czxid));
        assert!(second.mzxid > first.mzxid);
        let stale = zk.set("/a", "three").version(0).await.unwrap_err();
        assert_eq!((stale.code(), stale.fate()), (Some(ErrorCode::BAD_VERSION), Fate::Refused));
        assert_eq!(stale.path(), Some("/a"));
        assert_eq!(zk.set("/a", "four").await.unwrap().version, 2);
        let large = vec![7; 1_000_000];
        zk.set("/a", large.clone()).await.unwrap();
        assert_eq!(zk.sync("/a").get("/a").await.unwrap().0, large);
        assert_eq!(zk.set("/b", "x").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
        assert_eq!(zk.get("/b").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
        assert!(zk.exists("/b").await.unwrap().is_none());
        assert_eq!(zk.exists("/a").await.unwrap().unwrap().version, 3);

        let tree = at.tree();
        assert_eq!((tree["/a"].data.as_ref(), tree["/a"].version), (Some(&large), 3));
        assert_eq!(tree["/a"].czxid, first.czxid);
    });
}

#[test]
fn null_and_empty_data_of_another_client_read_as_empty() {
    on_every_version("/nodes-null", async |at| {
        let zk = at.client().await;
        let script = "
zk.create(args + '/null', None)
zk.create(args + '/empty', b'')
answer(None)";
        Kazoo::find().unwrap().run(&at.node.connect_string(), &json!(at.root()), script).unwrap();
        for path in ["/null", "/empty"] {
            let (data, stat) = zk.get(path).await.unwrap();
            assert_eq!((data.len(), stat.data_length), (0, 0), "{path}");
        }
        let tree = at.tree();
        assert_eq!((tree["/null"].data.as_deref(), tree["/empty"].data.as_deref()), (None, Some(&b""[..])));
    });
}

#[test]
fn deleting_goes_by_version_and_never_takes_children_along() {
    on_every_version("/nodes-delete", async |at| {
        let zk = at.client().await;
        zk.create("/a/b").parents().await.unwrap();
        assert_eq!(zk.delete("/a").await.unwrap_err().code(), Some(ErrorCode::NOT_EMPTY));
        assert_eq!(zk.delete("/a/b").version(1).await.unwrap_err().code(), Some(ErrorCode::BAD_VERSION));
        zk.delete("/a/b").version(0).await.unwrap();
        assert_eq!(zk.delete("/a/b").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
        // Below a chroot the root is still nobody's to delete.
        let root = zk.delete("/").await.unwrap_err();
        assert_eq!((root.code(), root.fate()), (Some(ErrorCode::BAD_ARGUMENTS), Fate::Refused));
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), ["", "/a"]);
    });
}

#[test]
fn a_subtree_is_deleted_and_its_neighbours_stay() {
    on_every_version("/nodes-recursive", async |at| {
        let zk = at.client().await;
        for path in ["/a/b/c/d", "/a/b/e", "/a/f", "/ab"] {
            zk.create(path).parents().await.unwrap();
        }
        for number in 0..50 {
            zk.create(format!("/a/b/n{number}")).await.unwrap();
        }
        zk.delete_recursive("/a").await.unwrap();
        zk.delete_recursive("/a").await.unwrap();
        // Refused before anything is lost: the root, also of a chroot, and what is no path.
        assert_eq!(zk.delete_recursive("/").await.unwrap_err().code(), Some(ErrorCode::BAD_ARGUMENTS));
        assert!(zk.delete_recursive("/a/..").await.unwrap_err().path_error().is_some());
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), ["", "/ab"]);
    });
}

#[test]
fn children_come_with_the_stat_of_their_parent() {
    on_every_version("/nodes-children", async |at| {
        let zk = at.client().await;
        let names: Vec<_> = (0..300).map(|number| format!("child-{number:03}-\u{e9}")).collect();
        let created: Vec<_> = names.iter().map(|name| zk.create(format!("/{name}")).send()).collect();
        for each in created {
            each.await.unwrap();
        }
        let (children, stat) = zk.children("/").await.unwrap();
        let mut found = children.to_vec();
        found.sort();
        assert_eq!((found, stat.num_children, stat.cversion), (names.clone(), 300, 300));
        assert!(zk.children(format!("/{}", names[0])).await.unwrap().0.is_empty());
        assert_eq!(zk.children("/none").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
        assert_eq!(zk.count_descendants("/").await.unwrap(), 300);
        assert_eq!(at.tree().len(), 301);
    });
}
