//! S: the handshake, sessions, and how requests are answered.

use menagerie_conformance::{Row, Target, connect_request, jute::ConnectRequest};

pub(crate) const ROWS: &[Row] = &[
    Row::new("S1", "a new session: id, 16 bytes of password, readOnly if asked", new_session),
    Row::new("S2", "the timeout is clamped to 2 to 20 ticks", timeout_clamp),
    Row::new(
        "S20",
        "a new session and its end take a zxid each; reads, pings, auth and setWatches none",
        zxids_of_sessions,
    )
    .alone(),
];

fn new_session(t: &Target<'_>) {
    for (read_only, length) in [(Some(false), 37), (Some(true), 37), (None, 36)] {
        let mut wire = t.dial();
        wire.send_record(&ConnectRequest { read_only, ..connect_request(4_000) });
        let frame = wire.frame();
        assert_eq!(frame.len(), length, "{read_only:?}");
    }
    let mut wire = t.dial();
    let response = wire.handshake(&connect_request(4_000)).unwrap();
    assert_eq!((response.protocol_version, response.time_out), (0, 4_000));
    assert_ne!(response.session_id, 0);
    assert_eq!(response.passwd.unwrap().len(), 16);
    assert_eq!(response.read_only, Some(false));
}

fn timeout_clamp(t: &Target<'_>) {
    for (wished, granted) in [(1, 1_000), (0, 1_000), (-5, 1_000), (4_321, 4_321), (1_000_000_000, 10_000)] {
        assert_eq!(t.session_of(wished).timeout_ms, granted, "for {wished}");
    }
}

fn zxids_of_sessions(t: &Target<'_>) {
    let mut first = t.session();
    let before = first.ping().header.zxid;
    let second = t.session();
    assert_eq!(first.ping().header.zxid, before + 1);
    second.close();
    assert_eq!(first.ping().header.zxid, before + 2);
    first.get("/", true).unwrap();
    first.children("/", false).unwrap();
    first.auth("digest", b"a:b").unwrap();
    first.sync("/").unwrap();
    assert_eq!(first.ping().header.zxid, before + 2);
}
