//! Credentials and data stay out of everything that is written for people.

use bytes::Bytes;
use menagerie_server::core::{Acls, Change, Creation, Kind, digest_id};
use menagerie_server::jute::*;
use menagerie_server::{Builder, Matcher, Rules, Server};

use crate::support::{Peer, creation, silent_here};

/// What stands in every secret, and nowhere else.
const SECRET: &str = "hunter2hunter2zz";

fn assert_kept(what: &str, shown: &str, password: &[u8]) {
    let hash = digest_id(format!("user:{SECRET}").as_bytes());
    let hash = hash.id.as_str().split(':').nth(1).unwrap().to_owned();
    let bytes = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    for (which, text) in [
        ("text", SECRET.to_owned()),
        ("bytes", bytes(SECRET.as_bytes())),
        ("hash", hash),
        ("password", bytes(password)),
    ] {
        assert!(!shown.contains(&text), "{what} shows the {which} of a secret");
    }
}

/// All that carries one, through a whole life: digest credentials, refused ones, a list with a digest, data, a session's password.
#[tokio::test(start_paused = true)]
async fn no_secret_is_in_what_is_shown() {
    let rules = Rules { super_digest: Some(format!("super:{SECRET}")), ..Rules::default() };
    let builder = Server::builder().rules(rules);
    assert_kept("Builder", &format!("{builder:?}"), b"none of these bytes");
    let server = builder.start().await.unwrap();
    let mut peer = Peer::here(&server).await;
    let password = peer.session.passwd.clone().unwrap();
    let auth = |scheme: &str| AuthPacket {
        auth_type: 0,
        scheme: scheme.into(),
        auth: Some(Bytes::from(format!("user:{SECRET}"))),
    };
    assert_eq!(peer.err(OpCode::AUTH, &auth("digest")).await, ErrorCode::OK);
    let id = digest_id(format!("user:{SECRET}").as_bytes());
    let acl = vec![Acl { perms: Perms::ALL, id: id.clone() }, Acl::new(Perms::ALL, "auth", "")];
    let data = Some(Bytes::from_static(SECRET.as_bytes()));
    let create = CreateRequest {
        data: data.clone(),
        acl: Some(acl.clone().into()),
        ..creation("/a", CreateMode::PERSISTENT)
    };
    assert_eq!(peer.err(OpCode::CREATE, &create).await, ErrorCode::OK);
    let set = SetAclRequest { path: "/a", acl: Some(acl.into()), version: -1 };
    assert_eq!(peer.err(OpCode::SET_ACL, &set).await, ErrorCode::OK);
    let set = SetDataRequest { path: "/a", data: data.clone(), version: -1 };
    assert_eq!(peer.err(OpCode::SET_DATA, &set).await, ErrorCode::OK);
    server.fail(Matcher::op(OpCode::SET_DATA), ErrorCode::THROTTLED_OP);
    assert_eq!(peer.err(OpCode::SET_DATA, &set).await, ErrorCode::THROTTLED_OP);
    let mut words = String::new();
    for word in menagerie_server::core::WORDS {
        let mut asking = silent_here(&server).await;
        asking.say(word.as_bytes()).await;
        words.push_str(&String::from_utf8(asking.rest().await.to_vec()).unwrap());
    }
    assert_eq!(peer.err(OpCode::AUTH, &auth("sasl")).await, ErrorCode::AUTH_FAILED);

    assert_kept("a word", &words, &password);
    assert_kept("trace", &server.trace(), &password);
    assert_kept("log", &format!("{:?}", server.log()), &password);
    assert_kept("requests", &format!("{:?}", server.requests()), &password);
    assert_kept("Server", &format!("{server:?}"), &password);
    assert_kept("sessions", &format!("{:?}", server.sessions()), &password);
    assert_kept("tree", &format!("{:?}", server.tree()), &password);
    server.with_tree(|tree| {
        assert_kept("Tree", &format!("{tree:?}"), &password);
        assert_kept("Znode", &format!("{:?}", tree.znode("/a")), &password);
    });
}

/// The entries of the core's log carry data and lists, and show neither.
#[test]
fn no_secret_is_in_an_entry_of_the_cores_log() {
    let id = digest_id(format!("user:{SECRET}").as_bytes());
    let acl: Acls = vec![Acl { perms: Perms::ALL, id }].into();
    let data = Some(Bytes::from_static(SECRET.as_bytes()));
    let creation = Creation {
        path: "/a".into(),
        data: data.clone(),
        acl: acl.clone(),
        kind: Kind::Persistent,
        with_stat: false,
    };
    let changes = [
        Change::Create(creation),
        Change::SetData { path: "/a".into(), data, version: 1 },
        Change::SetAcl { path: "/a".into(), acl, aversion: 1 },
    ];
    for change in changes {
        let multi = Change::Multi(vec![change.clone()]);
        assert_kept("Change", &format!("{change:?} {multi:?}"), b"none of these bytes");
    }
    assert_kept("Builder", &format!("{:?}", Builder::default()), b"none of these bytes");
}
