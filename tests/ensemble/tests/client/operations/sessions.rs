//! Sessions: closed, expired, handed on; chroots; and what is too large.

use crate::raw;
use crate::support::{At, on_every_version};
use menagerie::Client;
use menagerie::client::{OnExpiry, WatchEvent};
use menagerie::jute::{ErrorCode, EventType};
use menagerie::session::{Cause, Credentials, End, Fate, State};
use menagerie_ensemble::proxy::Proxy;
use std::time::Duration;

#[test]
fn closing_is_confirmed_and_takes_the_ephemerals_along() {
    on_every_version("/session-close", async |at| {
        let (zk, other) = (at.client().await, at.client().await);
        zk.create("/e").ephemeral().await.unwrap();
        zk.create("/p").await.unwrap();
        let (_, gone) = other.exists("/e").watch().await.unwrap();
        let last = zk.set("/p", "last").send();
        zk.close().await.unwrap();
        assert_eq!(last.await.unwrap().version, 1, "what was sent before the close is done before it");
        // The server's word came, so nothing is left to wait for.
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), ["", "/p"]);
        assert!(matches!(gone.await, WatchEvent::Event { event_type: EventType::NODE_DELETED, .. }));
        assert_eq!(zk.state(), State::Ended(End::Closed));
        let after = zk.get("/p").await.unwrap_err();
        assert_eq!((after.session_end(), after.fate()), (Some(End::Closed), Fate::NotSent));
        zk.close().await.unwrap();
    });
}

#[test]
fn the_last_handle_closes_the_session() {
    on_every_version("/session-drop", async |at| {
        let (zk, other) = (at.client().await, at.client().await);
        zk.create("/e").ephemeral().await.unwrap();
        let (_, gone) = other.exists("/e").watch().await.unwrap();
        let clone = zk.session();
        drop(zk);
        assert!(clone.exists("/e").await.unwrap().is_some());
        drop(clone);
        // Long before the session's ten seconds are over.
        let gone = tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
        assert!(matches!(gone, WatchEvent::Event { event_type: EventType::NODE_DELETED, .. }));
    });
}

#[test]
fn of_two_clients_of_one_session_the_one_that_began_it_keeps_it() {
    on_every_version("/session-twice", async |at| {
        let builder = at.builder().chroot(at.root()).session_timeout(Duration::from_secs(4));
        let zk = builder.clone().connect().await.unwrap();
        zk.create("/e").parents().ephemeral().await.unwrap();
        let credentials = zk.credentials().unwrap();
        let owner = credentials.session_id;
        let twin = builder.resume(credentials).connect().await.unwrap();
        let mut seen = twin.status();
        let ended = async {
            while !matches!(seen.state, State::Ended(_)) {
                seen = twin.status_change(&seen).await;
            }
            seen.state
        };
        let state = tokio::time::timeout(Duration::from_secs(120), ended).await.expect("not for ever");
        assert_eq!(state, State::Ended(End::Contended));
        assert_eq!(zk.get("/e").await.unwrap().1.ephemeral_owner, owner);
        assert_eq!((zk.status().epoch, zk.status().session_id), (1, Some(owner)));
        zk.close().await.unwrap();
    });
}

async fn expire(at: At, zk: &Client) {
    let credentials = zk.credentials().unwrap();
    assert_eq!(raw::expire(at.node.client_addr(), &credentials), credentials.session_id);
}

#[test]
fn after_an_expiry_a_handle_follows_and_a_pinned_one_ends() {
    on_every_version("/session-expiry", async |at| {
        let zk = at.client().await;
        let pinned = zk.session();
        zk.create("/e").ephemeral().await.unwrap();
        zk.create("/p").await.unwrap();
        let (_, _, once) = pinned.get("/p").watch().await.unwrap();
        let mut lasting = zk.watch("/p").await.unwrap();
        let mut bound = pinned.watch("/p").await.unwrap();
        let before = zk.status();
        expire(at, &zk).await;

        let mut status = before;
        while status.epoch == before.epoch || status.state != State::Connected {
            status = zk.status_change(&status).await;
        }
        assert_ne!(status.session_id, before.session_id);
        assert_eq!(status.epoch, before.epoch + 1);
        assert_eq!(pinned.state(), State::Ended(End::Expired));
        let ended = pinned.get("/p").await.unwrap_err();
        assert_eq!((ended.session_end(), ended.fate()), (Some(End::Expired), Fate::NotSent));
        assert!(pinned.credentials().is_none() && pinned.lease_until().is_none());
        assert!(zk.exists("/e").await.unwrap().is_none(), "an ephemeral goes with its session");
        zk.create("/e").ephemeral().await.unwrap();

        assert_eq!(once.await, WatchEvent::SessionEnded(End::Expired));
        assert_eq!(bound.next().await, Some(WatchEvent::SessionEnded(End::Expired)));
        assert_eq!(bound.next().await, None);
        assert_eq!(lasting.next().await, Some(WatchEvent::Gap));
        zk.set("/p", "x").await.unwrap();
        let event = lasting.next().await.unwrap();
        assert!(
            matches!(event, WatchEvent::Event { event_type: EventType::NODE_DATA_CHANGED, .. }),
            "{event:?}"
        );
        assert_eq!(at.tree()["/e"].ephemeral_owner, status.session_id.unwrap());
    });
}

#[test]
fn a_client_that_is_to_stop_ends_with_its_session() {
    on_every_version("/session-stop", async |at| {
        let zk = at.builder().on_expiry(OnExpiry::Stop).connect().await.unwrap();
        expire(at, &zk).await;
        let mut status = zk.status();
        while !matches!(status.state, State::Ended(_)) {
            status = zk.status_change(&status).await;
        }
        assert_eq!((status.state, status.epoch), (State::Ended(End::Expired), 1));
        assert_eq!(zk.get("/").await.unwrap_err().session_end(), Some(End::Expired));
    });
}

#[test]
fn a_session_is_handed_on_by_its_credentials() {
    on_every_version("/session-resume", async |at| {
        at.client().await.close().await.unwrap();
        let proxy = Proxy::start(at.node.client_addr()).unwrap();
        let zk = Client::builder(&proxy.connect_string()).unwrap().chroot(at.root());
        let zk = zk.on_expiry(OnExpiry::Stop).connect().await.unwrap();
        zk.create("/e").ephemeral().await.unwrap();
        let credentials = zk.credentials().unwrap();
        // Two that hold one session evict each other; the first is kept away.
        proxy.refuse().unwrap();
        assert!(!format!("{credentials:?}").contains(&format!("{:?}", credentials.password)));
        let second = at.builder().chroot(at.root()).resume(credentials.clone());
        let second = second.on_expiry(OnExpiry::Stop).connect().await.unwrap();
        assert_eq!(second.status().session_id, Some(credentials.session_id));
        second.create("/f").ephemeral().await.unwrap();
        let tree = at.tree();
        assert!(["/e", "/f"].iter().all(|path| tree[*path].ephemeral_owner == credentials.session_id));
        second.close().await.unwrap();
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), [""]);
        proxy.accept().unwrap();
        assert_eq!(zk.get("/").await.unwrap_err().session_end(), Some(End::Expired));
    });
}

#[test]
fn a_wrong_password_expires_and_leaves_the_session_alone() {
    on_every_version("/session-password", async |at| {
        let zk = at.client().await;
        zk.create("/e").ephemeral().await.unwrap();
        let Credentials { session_id, .. } = zk.credentials().unwrap();
        let forged = Credentials { session_id, password: vec![7; 16].into(), last_zxid: 0 };
        let thief = at.builder().resume(forged.clone()).on_expiry(OnExpiry::Stop).connect().await;
        let error = thief.unwrap_err();
        assert_eq!((error.session_end(), error.fate()), (Some(End::Expired), Fate::NotSent), "{error}");
        // One that follows begins a session of its own.
        let own = at.builder().resume(forged).connect_lazy().unwrap();
        let follower = own.clone();
        let asked = menagerie_ensemble::eventually("session of its own", crate::support::BUDGET, || {
            let status = follower.status();
            if status.state == State::Connected { Ok(status) } else { Err(format!("{status:?}")) }
        });
        assert_ne!(asked.unwrap().session_id, Some(session_id));
        zk.get("/e").await.unwrap();
        assert_eq!((at.tree()["/e"].ephemeral_owner, zk.status().epoch), (session_id, 1));
    });
}

#[test]
fn a_chroot_is_stripped_from_everything() {
    on_every_version("/session-chroot", async |at| {
        let whole = at.whole().await;
        let zk = at.client().await.chroot("/app").unwrap();
        zk.ensure_chroot().await.unwrap();
        assert_eq!(zk.root(), format!("{}/app", at.root()));
        let mut watcher = zk.watch("/").recursive().await.unwrap();
        let (_, _, children) = zk.children("/").watch().await.unwrap();
        assert_eq!(zk.create("/a-").sequential().await.unwrap().path, "/a-0000000000");
        let step =
            zk.transaction().create_with("/b", "", |create| create.ephemeral()).commit().await.unwrap();
        assert!(format!("{step:?}").contains("\"/b\""), "{step:?}");
        assert_eq!(zk.ephemerals("/").await.unwrap(), ["/b"]);
        let error = zk.get("/none").await.unwrap_err();
        assert_eq!(error.path(), Some("/none"));
        assert!(matches!(children.await, WatchEvent::Event { path, .. } if path == "/"));
        for wanted in ["/a-0000000000", "/b"] {
            let event = watcher.next().await.unwrap();
            assert!(matches!(&event, WatchEvent::Event { path, .. } if path == wanted), "{event:?}");
        }
        let full = format!("{}/app/b", at.root());
        assert!(whole.exists(full.as_str()).await.unwrap().is_some());
        assert!(zk.chroot("b").is_err());
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), ["", "/app", "/app/a-0000000000", "/app/b"]);
    });
}

#[test]
fn what_is_too_large_fails_alone() {
    on_every_version("/session-oversize", async |at| {
        let zk = at.builder().chroot(at.root()).inbound_limit(100_000).connect().await.unwrap();
        zk.ensure_chroot().await.unwrap();
        let body = zk.create("/large").data(vec![1; 1_100_000]).await.unwrap_err();
        assert!(matches!(body.cause(), Some(Cause::RequestTooLarge { .. })), "{body}");
        assert_eq!(body.fate(), Fate::NotSent);
        zk.create("/large").data(vec![1; 900_000]).await.unwrap();
        let before = zk.exists("/large").send();
        let too_large = zk.get("/large").send();
        let behind: Vec<_> = (0..50).map(|_| zk.exists("/large").send()).collect();
        assert!(before.await.unwrap().is_some());
        let error = too_large.await.unwrap_err();
        let Some(Cause::ReplyTooLarge { len, limit }) = error.cause() else { panic!("{error}") };
        assert!(len > 900_000 && limit == 100_000 && error.fate() == Fate::Applied);
        for each in behind {
            assert!(each.await.unwrap().is_some());
        }
        let stats = zk.stats().session;
        assert_eq!((stats.connects, stats.oversize_replies), (1, 1));
        assert_eq!(zk.get("/none").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
        assert_eq!(at.tree()["/large"].data.as_ref().unwrap().len(), 900_000);
    });
}
