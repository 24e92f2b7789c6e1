//! Who may do what: ACLs, credentials, and the operations that tell of the session and the server.

use crate::support::{BUDGET, on_every_version, run, within};
use menagerie::Client;
use menagerie::client::{CONFIG_NODE, WatchEvent};
use menagerie::jute::{Acl, ErrorCode, EventType, Perms};
use menagerie::session::{End, Fate};
use menagerie_ensemble::{Ensemble, Kazoo, Version};
use serde_json::json;
use std::collections::BTreeSet;

#[test]
fn digest_credentials_open_what_an_acl_closes() {
    on_every_version("/access-digest", async |at| {
        let zk = at.client().await;
        let stranger = at.client().await;
        zk.add_auth("digest", "ann:secret").await.unwrap();
        zk.create("/mine").data("x").acl(Acl::CREATOR_ALL).await.unwrap();
        let (acl, stat) = zk.acl("/mine").await.unwrap();
        assert_eq!((acl[0].perms, acl[0].id.scheme.as_str(), stat.aversion), (Perms::ALL, "digest", 0));
        assert!(acl[0].id.id.as_str().starts_with("ann:"));

        for refused in [
            stranger.get("/mine").await.map(drop),
            stranger.set("/mine", "y").await.map(drop),
            stranger.create("/mine/child").await.map(drop),
            stranger.set_acl("/mine", Acl::OPEN).await.map(drop),
        ] {
            let error = refused.unwrap_err();
            assert_eq!((error.code(), error.fate()), (Some(ErrorCode::NO_AUTH), Fate::Refused));
        }
        let readable: Vec<_> = Acl::READ.iter().chain(&acl).cloned().collect();
        let stale = zk.set_acl("/mine", readable.clone()).version(5).await.unwrap_err();
        assert_eq!(stale.code(), Some(ErrorCode::BAD_VERSION));
        assert_eq!(zk.set_acl("/mine", readable).version(0).await.unwrap().aversion, 1);
        assert_eq!(&stranger.get("/mine").await.unwrap().0[..], b"x");
        let (seen, _) = stranger.acl("/mine").await.unwrap();
        assert!(seen.iter().any(|entry| entry.id.id.as_str() == "ann:x"), "{seen:?}");
        assert_eq!(stranger.set("/mine", "y").await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
        stranger.add_auth("digest", "ann:secret").await.unwrap();
        stranger.set("/mine", "y").await.unwrap();

        // kazoo, with the same words, is the same person.
        let script = "
zk.add_auth('digest', 'ann:secret')
answer([zk.get(args)[0].decode(), [acl.id.scheme for acl in zk.get_acls(args)[0]]])";
        let path = format!("{}/mine", at.root());
        let seen = Kazoo::find().unwrap().run(&at.node.connect_string(), &json!(path), script).unwrap();
        assert_eq!(seen, json!(["y", ["world", "digest"]]));
    });
}

#[test]
fn credentials_are_presented_again_on_every_connection() {
    on_every_version("/access-again", async |at| {
        let proxy = menagerie_ensemble::proxy::Proxy::start(at.node.client_addr()).unwrap();
        let zk = Client::builder(&proxy.connect_string()).unwrap().auth("digest", "ann:secret");
        let zk = zk.chroot(at.root()).connect().await.unwrap();
        zk.ensure_chroot().await.unwrap();
        zk.create("/mine").acl(Acl::CREATOR_ALL).await.unwrap();
        zk.add_auth("digest", "bob:hidden").await.unwrap();
        proxy.cut();
        zk.get("/mine").await.unwrap();
        let who: BTreeSet<_> =
            zk.who_am_i().await.unwrap().into_iter().map(|who| who.user.as_str().to_owned()).collect();
        assert!(who.contains("ann") && who.contains("bob"), "{who:?}");
        assert_eq!(proxy.counts().handshakes, 2);
    });
}

#[test]
fn credentials_that_no_scheme_takes_end_the_session() {
    on_every_version("/access-bad", async |at| {
        let zk = at.client().await;
        let error = zk.add_auth("no-such-scheme", "x").await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::AUTH_FAILED), "{error}");
        let after = zk.get("/").await.unwrap_err();
        assert_eq!((after.session_end(), after.fate()), (Some(End::AuthFailed), Fate::NotSent));
        let refused = at.builder().auth("no-such-scheme", "x").connect().await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::AUTH_FAILED), "{refused}");
    });
}

#[test]
fn a_session_knows_its_ephemerals_and_its_names() {
    on_every_version("/access-own", async |at| {
        let (zk, other) = (at.client().await, at.client().await);
        zk.create("/a/b/c").parents().await.unwrap();
        zk.create("/a/b/e").ephemeral().await.unwrap();
        zk.create("/ab").ephemeral().await.unwrap();
        other.create("/a/other").ephemeral().await.unwrap();
        let own = zk.ephemerals("/a").await.unwrap().into_iter().collect::<BTreeSet<_>>();
        assert_eq!(own, ["/a/b/e".to_owned(), "/ab".to_owned()].into());
        assert_eq!(zk.ephemerals("/a/").await.unwrap(), ["/a/b/e"]);
        assert!(zk.ephemerals("/none").await.unwrap().is_empty());
        assert!(zk.ephemerals("a").await.unwrap_err().path_error().is_some());
        assert_eq!(zk.count_descendants("/a").await.unwrap(), 4);
        assert_eq!(zk.count_descendants("/none").await.unwrap_err().code(), Some(ErrorCode::NO_NODE));
        let who = zk.who_am_i().await.unwrap();
        assert!(who.iter().any(|who| (who.auth_scheme.as_str(), who.user.as_str()) == ("ip", "127.0.0.1")));
        zk.sync("/none").await.unwrap();
        zk.close().await.unwrap();
        assert_eq!(at.tree().into_keys().collect::<Vec<_>>(), ["", "/a", "/a/b", "/a/b/c", "/a/other"]);
    });
}

#[test]
fn what_a_server_cannot_do_is_refused_once_and_keeps_the_connection() {
    on_every_version("/access-unable", async |at| {
        let zk = at.client().await;
        let (config, _) = zk.config().await.unwrap();
        assert!(config.is_empty(), "a standalone server has no configuration");
        for _ in 0..3 {
            let error = zk.reconfig("", "2").await.unwrap_err();
            assert_eq!((error.code(), error.fate()), (Some(ErrorCode::UNIMPLEMENTED), Fate::Refused));
        }
        assert_eq!(zk.reconfig("", "").await.unwrap_err().fate(), Fate::NotSent);
        let stats = zk.stats().session;
        assert_eq!((stats.connects, stats.dials, zk.status().disconnects), (1, 1, 0));
    });
}

#[test]
fn the_configuration_is_read_watched_and_changed() {
    for version in Version::ALL {
        let builder = Ensemble::builder(version).nodes(3).super_user();
        let ensemble =
            builder.config("reconfigEnabled", true).config("standaloneEnabled", false).start().unwrap();
        ensemble.leader(BUDGET).unwrap();
        run(within("change of the configuration", reconfigure(&ensemble)));
    }
}

async fn reconfigure(ensemble: &Ensemble) {
    // A follower is to leave; that the leader goes would be another test.
    let leaving = ensemble.followers(BUDGET).unwrap()[0].id().to_string();
    let leader = ensemble.leader(BUDGET).unwrap();
    let connect = format!("{}/app", leader.connect_string());
    let zk = Client::connect(&connect).await.unwrap();
    assert_eq!(zk.reconfig("", &leaving).await.unwrap_err().code(), Some(ErrorCode::NO_AUTH));
    zk.add_auth("digest", "super:secret").await.unwrap();
    let (before, _, changed) = zk.config().watch().await.unwrap();
    let text = String::from_utf8(before.to_vec()).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("server.")).count(), 3, "{text}");
    let version = text.lines().find_map(|line| line.strip_prefix("version=")).unwrap();
    let version = i64::from_str_radix(version, 16).unwrap();

    let stale = zk.reconfig("", &leaving).version(version + 1).await.unwrap_err();
    assert_eq!(stale.code(), Some(ErrorCode::BAD_VERSION));
    let nobody = zk.reconfig("", "1,2,3").await.unwrap_err();
    assert!(
        matches!(nobody.code(), Some(ErrorCode::BAD_ARGUMENTS | ErrorCode::NEW_CONFIG_NO_QUORUM)),
        "{nobody}"
    );
    let nonsense = zk.reconfig("server.9=nonsense", "").await.unwrap_err();
    assert_eq!((nonsense.code(), nonsense.fate()), (Some(ErrorCode::BAD_ARGUMENTS), Fate::Refused));

    let (after, _) = zk.reconfig("", &leaving).version(version).await.unwrap();
    let text = String::from_utf8(after.to_vec()).unwrap();
    assert!(!text.contains(&format!("server.{leaving}=")), "{text}");
    let event = changed.await;
    let WatchEvent::Event { event_type, path, .. } = &event else { panic!("{event:?}") };
    // The configuration is below no chroot, and its event is not stripped of one.
    assert_eq!((*event_type, path.as_str()), (EventType::NODE_DATA_CHANGED, CONFIG_NODE));
    let members: Vec<_> = text.lines().filter(|line| line.starts_with("server.")).collect();
    assert_eq!(members.len(), 2);
    zk.reconfig_members(&members.join(",")).await.unwrap();
    let read = "answer(zk.get('/zookeeper/config')[0].decode())";
    let seen = Kazoo::find().unwrap().run(&leader.connect_string(), &json!(null), read).unwrap();
    assert!(members.iter().all(|line| seen.as_str().unwrap().contains(line)), "{seen}");
}
