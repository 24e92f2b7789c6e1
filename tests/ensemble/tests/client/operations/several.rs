//! Several operations in one request, and many requests in a row.

use crate::support::on_every_version;
use menagerie::client::{ReadResult, StepResult};
use menagerie::jute::ErrorCode;
use menagerie::session::Fate;

#[test]
fn a_transaction_does_all_its_steps_in_order() {
    on_every_version("/several-commit", async |at| {
        let zk = at.client().await;
        zk.create("/old").data("0").await.unwrap();
        let session = zk.status().session_id.unwrap();
        let results = zk
            .transaction()
            .check("/old", 0)
            .create("/new", "1")
            .create_with("/new/e-", "2", |create| create.ephemeral().sequential())
            .create_with("/box", "", |create| create.container())
            .set_version("/old", "3", 0)
            .set("/new", "4")
            .delete_version("/old", 1)
            .commit()
            .await
            .unwrap();
        let [checked, new, ephemeral, container, set, _, deleted] = &results[..] else {
            panic!("{results:?}")
        };
        assert_eq!((checked, deleted), (&StepResult::Checked, &StepResult::Deleted));
        assert!(matches!(new, StepResult::Created { path, .. } if path == "/new"), "{new:?}");
        assert!(matches!(ephemeral, StepResult::Created { path, .. } if path == "/new/e-0000000000"));
        assert!(matches!(container, StepResult::Created { path, .. } if path == "/box"));
        assert!(matches!(set, StepResult::Set(stat) if stat.version == 1));

        let tree = at.tree();
        let paths: Vec<_> = tree.keys().map(String::as_str).collect();
        assert_eq!(paths, ["", "/box", "/new", "/new/e-0000000000"]);
        assert_eq!(tree["/new"].data.as_deref(), Some(&b"4"[..]));
        assert_eq!(tree["/new/e-0000000000"].ephemeral_owner, session);
        assert_eq!(tree["/new"].czxid, tree["/box"].czxid, "one transaction");
    });
}

#[test]
fn a_failing_transaction_names_the_step_and_does_nothing() {
    on_every_version("/several-refused", async |at| {
        let zk = at.client().await;
        zk.create("/a").data("0").await.unwrap();
        let before = at.tree();
        let missing = zk.transaction().set("/a", "1").create("/b", "").delete("/none").create("/c", "");
        let error = missing.commit().await.unwrap_err();
        assert_eq!((error.transaction_index(), error.code()), (Some(2), Some(ErrorCode::NO_NODE)));
        assert_eq!(error.fate(), Fate::Refused);
        let error = zk.transaction().check("/a", 7).set("/a", "1").commit().await.unwrap_err();
        assert_eq!((error.transaction_index(), error.code()), (Some(0), Some(ErrorCode::BAD_VERSION)));
        let error = zk.transaction().commit().await.unwrap_err();
        assert_eq!((error.transaction_index(), error.fate()), (None, Fate::NotSent));
        let error = zk.transaction().set("/a", "1").check("/a/", 0).commit().await.unwrap_err();
        assert!(error.path_error().is_some() && error.fate() == Fate::NotSent);
        assert_eq!(at.tree(), before);
    });
}

#[test]
fn bundled_reads_fail_one_by_one() {
    on_every_version("/several-reads", async |at| {
        let zk = at.client().await;
        zk.create("/a/x").data("ax").parents().await.unwrap();
        zk.create("/b").data("b").await.unwrap();
        let read = zk.get_many(["/a/x", "/none", "/b", "/a"]).await.unwrap();
        let data = |index: usize| match &read[index] {
            ReadResult::Data(data, _) => data.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((&data(0)[..], &data(2)[..], &data(3)[..]), (&b"ax"[..], &b"b"[..], &b""[..]));
        assert_eq!(read[1], ReadResult::Failed(ErrorCode::NO_NODE));
        let lists = zk.children_many(["/none", "/a", "/b"]).await.unwrap();
        assert_eq!(lists[0], ReadResult::Failed(ErrorCode::NO_NODE));
        assert!(matches!(&lists[1], ReadResult::Children(names) if names.to_vec() == ["x"]), "{lists:?}");
        assert!(matches!(&lists[2], ReadResult::Children(names) if names.is_empty()));
        let paths: Vec<_> = (0..2_000).map(|number| if number % 2 == 0 { "/b" } else { "/none" }).collect();
        let many = zk.get_many(paths).await.unwrap();
        let missing = many.iter().filter(|each| **each == ReadResult::Failed(ErrorCode::NO_NODE)).count();
        assert_eq!((many.len(), missing), (2_000, 1_000));
        assert!(zk.get_many(["/a", "b"]).await.unwrap_err().path_error().is_some());
    });
}

#[test]
fn a_pipeline_is_done_in_the_order_of_its_calls() {
    on_every_version("/several-pipeline", async |at| {
        let zk = at.client().await;
        zk.create("/counter").await.unwrap();
        let other = zk.clone();
        // Two handles of one session, writes and reads mixed: a read sees every write before it and none behind it.
        let mut sent = Vec::new();
        for number in 0..1_000_i32 {
            let writer = if number % 2 == 0 { &zk } else { &other };
            let write = writer.set("/counter", number.to_string()).send();
            sent.push((number, write, zk.get("/counter").send()));
        }
        for (number, write, read) in sent {
            assert_eq!(write.await.unwrap().version, number + 1);
            let (data, stat) = read.await.unwrap();
            assert_eq!((&data[..], stat.version), (number.to_string().as_bytes(), number + 1));
        }
        assert_eq!((at.tree()["/counter"].version, zk.stats().session.connects), (1_000, 1));
    });
}

#[test]
fn the_bound_on_requests_holds_back_or_refuses() {
    on_every_version("/several-bound", async |at| {
        let zk = at.builder().chroot(at.root()).places(4).connect().await.unwrap();
        zk.ensure_chroot().await.unwrap();
        let sent: Vec<_> = (0..100).map(|number| zk.create(format!("/n{number:03}")).send()).collect();
        let (mut created, mut refused) = (0, 0);
        for each in sent {
            match each.await {
                Ok(_) => created += 1,
                Err(error) => {
                    assert!(error.is_retryable() && error.fate() == Fate::NotSent, "{error}");
                    refused += 1;
                }
            }
        }
        assert!(created >= 4 && refused > 0 && created + refused == 100, "{created} {refused}");
        let waiting = (0..100).map(|number| {
            let zk = zk.clone();
            tokio::spawn(async move { zk.exists(format!("/n{number:03}")).await })
        });
        let mut there = 0;
        for each in waiting.collect::<Vec<_>>() {
            there += usize::from(each.await.unwrap().unwrap().is_some());
        }
        assert_eq!((there, at.tree().len() - 1), (created, created));
    });
}
