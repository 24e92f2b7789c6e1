//! P10 to P20 without P14: who a connection is, and what a server can demand.

use crate::acl::{ALICE, world};
use menagerie_conformance::{
    Body, Row, Server, Session, Setup, Target,
    jute::{
        Acl, CreateMode, ErrorCode, GetDataRequest, GetSaslRequest, OpCode, Perms, ReconfigRequest,
        SetSaslResponse, Ustring, WhoAmIResponse,
    },
};

/// Nobody is asked for permission.
const OPEN_HOUSE: Setup = Setup { name: "skip-acl", skip_acl: true, ..Setup::PLAIN };
/// Reconfig is on.
const RECONFIG: Setup = Setup { name: "reconfig", reconfig: true, ..Setup::PLAIN };
/// Who has not authenticated by digest is sent away.
const ENFORCED: Setup = Setup { name: "enforced", required_scheme: Some("digest"), ..Setup::PLAIN };
/// SASL by DIGEST-MD5.
const SASL: Setup = Setup {
    name: "sasl",
    apache_jvm: &[
        "-Dzookeeper.authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        concat!("-Djava.security.auth.login.config=", env!("CARGO_MANIFEST_DIR"), "/tests/suite/jaas.conf"),
    ],
    ..Setup::PLAIN
};

pub(crate) const ROWS: &[Row] = &[
    Row::new("P10", "ids add up; again is harmless; data without a colon is taken", several_ids),
    Row::new("P11", "an unknown scheme or world is AUTHFAILED, then a hang-up; ip is taken", refused_schemes),
    Row::new("P12", "every connection has its address as an id, which CIDR lists match", address),
    Row::new("P13", "the super user passes every ACL", super_user),
    Row::new("P15", "sasl on a server without SASL is OK, with a null token", no_sasl),
    Row::new("P16", "a SASL token that fails: AUTHFAILED with a null token, then a hang-up", sasl_failure)
        .on(&SASL)
        .unreachable(&[(Server::Embedded, "it speaks no SASL, so there is no exchange that could fail")]),
    Row::new("P17", "a required scheme that is missing: -124, then a hang-up", enforced).on(&ENFORCED),
    Row::new("P18", "skipACL: no ACL is checked", skip_acl).on(&OPEN_HOUSE),
    Row::new("P19", "reconfig: -123 where it is off, UNIMPLEMENTED on a server that stands alone", reconfig),
    Row::new("P20", "whoAmI lists the ids of the connection", who_am_i),
];

fn who(session: &mut Session) -> Vec<(String, String)> {
    let answer: WhoAmIResponse = session.call(OpCode::WHO_AM_I, &Body(b"")).read().unwrap();
    let ids = answer.client_info.unwrap();
    let mut ids: Vec<_> =
        ids.iter().map(|id| (id.auth_scheme.as_str().to_owned(), id.user.as_str().to_owned())).collect();
    ids.sort();
    ids
}

fn several_ids(t: &Target<'_>) {
    let (mut s, mut other) = (t.session(), t.session());
    let [alice, colonless] = ["alice", "colonless"].map(|name| t.path(name));
    s.create_acl(&alice, b"", CreateMode::PERSISTENT, &[Acl::new(Perms::ALL, "digest", ALICE)]).unwrap();
    s.auth("digest", b"nocolon").unwrap();
    s.create_acl(&colonless, b"", CreateMode::PERSISTENT, Acl::CREATOR_ALL).unwrap();
    let listed = s.acl(&colonless).unwrap().0;
    assert!(listed[0].id.id.as_str().starts_with("nocolon:"), "{listed:?}");
    assert_eq!(s.get(&alice, false).err(), Some(ErrorCode::NO_AUTH));
    for _ in 0..3 {
        s.auth("digest", b"alice:secret").unwrap();
        s.get(&alice, false).unwrap();
        s.get(&colonless, false).unwrap();
    }
    s.create_acl(&t.path("both"), b"", CreateMode::PERSISTENT, Acl::CREATOR_ALL).unwrap();
    assert_eq!(s.acl(&t.path("both")).unwrap().0.len(), 2, "each id once");
    other.auth("digest", b"").unwrap();
    other.auth("digest", b":").unwrap();
    assert_eq!(other.get(&alice, false).err(), Some(ErrorCode::NO_AUTH));
    // They belong to the connection.
    let again = s.cut();
    let mut s = Session::open(t.dial(), &again).unwrap();
    assert_eq!(s.get(&alice, false).err(), Some(ErrorCode::NO_AUTH));
}

fn refused_schemes(t: &Target<'_>) {
    for scheme in ["nobody", "world", "", "auth", "Digest"] {
        let mut s = t.session();
        assert_eq!(s.auth(scheme, b"alice:secret"), Err(ErrorCode::AUTH_FAILED), "{scheme}");
        s.expect_eof();
        // The session is none the worse for it.
        let mut s = Session::open(t.dial(), &s.reattach_request()).unwrap();
        s.get("/", false).unwrap();
    }
    let mut s = t.session();
    s.auth("ip", b"").unwrap();
    s.auth("ip", b"10.1.2.3").unwrap();
    s.get("/", false).unwrap();
    assert_eq!(who(&mut s), [("ip".to_owned(), "127.0.0.1".to_owned())]);
}

fn address(t: &Target<'_>) {
    let mut s = t.session();
    let cases = [
        ("127.0.0.1", true),
        ("127.0.0.2", false),
        ("127.0.0.1/32", true),
        ("127.0.0.2/32", false),
        ("127.0.0.2/30", true),
        ("127.0.0.4/30", false),
        ("127.255.255.255/8", true),
        ("126.0.0.1/8", false),
        ("255.0.0.1/1", false),
        ("10.0.0.0/0", true),
    ];
    for (at, (id, allowed)) in cases.into_iter().enumerate() {
        let path = t.path(&format!("node{at}"));
        s.create_acl(&path, b"", CreateMode::PERSISTENT, &[Acl::new(Perms::READ, "ip", id)]).unwrap();
        assert_eq!(s.get(&path, false).is_ok(), allowed, "{id}");
        assert_eq!(s.set(&path, b"", -1), Err(ErrorCode::NO_AUTH), "{id}");
        assert_eq!(
            s.acl(&path).map(|got| got.0[0].id.id.as_str() == id),
            if allowed { Ok(true) } else { Err(ErrorCode::NO_AUTH) }
        );
    }
}

fn super_user(t: &Target<'_>) {
    let (mut s, mut root) = (t.session(), t.session());
    let path = t.path("closed");
    s.create_acl(&path, b"", CreateMode::PERSISTENT, &world(Perms(0))).unwrap();
    root.auth("digest", b"super:wrong").unwrap();
    assert_eq!(root.get(&path, false).err(), Some(ErrorCode::NO_AUTH));
    root.auth("digest", b"super:secret").unwrap();
    root.get(&path, false).unwrap();
    root.set(&path, b"", -1).unwrap();
    root.create(&t.path("closed/child"), b"").unwrap();
    root.children(&path, false).unwrap();
    root.delete(&t.path("closed/child"), -1).unwrap();
    assert_eq!(root.acl(&path).unwrap().0, world(Perms(0)));
    root.set_acl(&path, Acl::OPEN, -1).unwrap();
    s.get(&path, false).unwrap();
    root.get("/zookeeper/config", false).unwrap();
}

fn no_sasl(t: &Target<'_>) {
    let mut s = t.session();
    for token in [&b""[..], b"hello"] {
        let token = bytes::Bytes::from_static(token);
        let answer = s.call(OpCode::SASL, &GetSaslRequest { token: Some(token) });
        assert_eq!(answer.header.zxid, 0);
        assert_eq!(answer.read::<SetSaslResponse>().unwrap().token, None);
    }
    s.get("/", false).unwrap();
}

fn skip_acl(t: &Target<'_>) {
    let (mut owner, mut stranger) = (t.session(), t.session());
    owner.auth("digest", b"alice:secret").unwrap();
    let path = t.path("closed");
    owner.create_acl(&path, b"", CreateMode::PERSISTENT, Acl::CREATOR_ALL).unwrap();
    stranger.get(&path, false).unwrap();
    stranger.exists(&path, false).unwrap();
    stranger.set(&path, b"", -1).unwrap();
    stranger.create(&t.path("closed/child"), b"").unwrap();
    stranger.delete(&t.path("closed/child"), -1).unwrap();
    assert_eq!(stranger.acl(&path).unwrap().0, [Acl::new(Perms::ALL, "digest", ALICE)], "nothing is masked");
    stranger.set_acl(&path, &world(Perms(0)), -1).unwrap();
    stranger.children(&path, false).unwrap();
    assert_eq!(
        stranger.set_acl(&path, &[], -1),
        Err(ErrorCode::INVALID_ACL),
        "a list must be one all the same"
    );
}

fn who_am_i(t: &Target<'_>) {
    let mut s = t.session();
    let ip = ("ip".to_owned(), "127.0.0.1".to_owned());
    let digest = |user: &str| ("digest".to_owned(), user.to_owned());
    assert_eq!(who(&mut s), std::slice::from_ref(&ip));
    s.auth("digest", b"alice:secret").unwrap();
    s.auth("digest", b"bob:other").unwrap();
    assert_eq!(who(&mut s), [digest("alice"), digest("bob"), ip.clone()], "without secrets");
    s.auth("digest", b"super:secret").unwrap();
    let all = who(&mut s);
    assert!(all.contains(&("super".to_owned(), String::new())), "{all:?}");
    let again = s.cut();
    let mut s = Session::open(t.dial(), &again).unwrap();
    assert_eq!(who(&mut s), [ip]);
}

fn sasl_failure(t: &Target<'_>) {
    let mut s = t.session();
    let mut step = |token: &'static [u8]| {
        s.call(OpCode::SASL, &GetSaslRequest { token: Some(bytes::Bytes::from_static(token)) })
    };
    let challenge: SetSaslResponse = step(b"").read().unwrap();
    assert!(challenge.token.unwrap().starts_with(b"realm=\"zk-sasl-md5\""));
    let refused = step(b"username=\"bob\",response=00000000000000000000000000000000");
    assert_eq!((refused.code(), refused.header.zxid), (ErrorCode::AUTH_FAILED, 0));
    assert_eq!(&refused.body[..], [0xff; 4], "a null token");
    s.expect_eof();
    let mut s = t.session();
    s.get("/", false).unwrap();
}

fn enforced(t: &Target<'_>) {
    let read = GetDataRequest { path: "/", watch: false };
    for (xid, op) in [(1, OpCode::GET_DATA), (-2, OpCode::PING), (1, OpCode::CLOSE_SESSION), (1, OpCode(77))]
    {
        let mut s = t.session();
        let refused = s.call_as(xid, op, &read);
        assert_eq!(refused.nothing(), Err(ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH), "{op}");
        s.expect_eof();
    }
    let mut s = t.session();
    s.auth("digest", b"alice:secret").unwrap();
    s.get("/", false).unwrap();
    let again = s.cut();
    let mut s = Session::open(t.dial(), &again).unwrap();
    assert_eq!(s.call(OpCode::GET_DATA, &read).code(), ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
    s.expect_eof();
}

fn reconfig(t: &Target<'_>) {
    let request = || ReconfigRequest {
        joining_servers: Ustring::from("server.2=127.0.0.1:1:2;3"),
        leaving_servers: Ustring::NULL,
        new_members: Ustring::NULL,
        cur_config_id: -1,
    };
    let mut s = t.session();
    assert_eq!(s.call(OpCode::RECONFIG, &request()).nothing(), Err(ErrorCode::RECONFIG_DISABLED));
    s.get("/", false).unwrap();
    let enabled = t.start(&RECONFIG);
    let mut s = t.session_on(&enabled);
    assert_eq!(s.call(OpCode::RECONFIG, &request()).nothing(), Err(ErrorCode::UNIMPLEMENTED));
    s.get("/", false).unwrap();
}
