//! Q: quotas.

use crate::multi;
use menagerie_conformance::{
    Row, Session, Setup, Target,
    jute::{Acl, CreateMode, ErrorCode, OpResult, Perms},
};

pub(crate) const ROWS: &[Row] = &[
    Row::new("Q1", "limits and usage are znodes below /zookeeper/quota", znodes).on(&Setup::QUOTA),
    Row::new("Q2", "the count includes the root of the quota", count).on(&Setup::QUOTA),
    Row::new("Q3", "only hard limits refuse; bytes by difference; deletes always pass", hard_limits)
        .on(&Setup::QUOTA),
    Row::new("Q4", "NOAUTH, then QUOTAEXCEEDED, then BADVERSION; NODEEXISTS before it", precedence)
        .on(&Setup::QUOTA),
    Row::new("Q5", "in multi it is a result, and a multi's operations are not added up", in_multi)
        .on(&Setup::QUOTA),
    Row::new("Q6", "usage is kept up to date with enforcement off", not_enforced),
];

const EXCEEDED: Option<ErrorCode> = Some(ErrorCode::QUOTA_EXCEEDED);

fn quota_path(path: &str) -> String {
    format!("/zookeeper/quota{path}")
}

/// Makes `path`, if it is not there, and sets limits for it.
pub(crate) fn limit(session: &mut Session, path: &str, limits: &str) {
    let _ = session.create(path, b"");
    let mut quota = "/zookeeper/quota".to_owned();
    for name in path.split('/').skip(1) {
        quota = format!("{quota}/{name}");
        let _ = session.create(&quota, b"");
    }
    session.create(&format!("{quota}/zookeeper_limits"), limits.as_bytes()).unwrap();
    session.create(&format!("{quota}/zookeeper_stats"), b"count=0,bytes=0").unwrap();
}

fn text(session: &mut Session, path: &str) -> String {
    String::from_utf8(session.get(path, false).unwrap().0.unwrap().to_vec()).unwrap()
}

/// Count and bytes, as the server has noted them.
fn usage(session: &mut Session, path: &str) -> (i64, i64) {
    let noted = text(session, &format!("{}/zookeeper_stats", quota_path(path)));
    let value = |key: &str| {
        let found = noted.split([',', ';', '=']).skip_while(|word| *word != key).nth(1);
        found.unwrap_or_else(|| panic!("no {key} in {noted}")).parse().unwrap()
    };
    (value("count"), value("bytes"))
}

fn znodes(t: &Target<'_>) {
    let mut s = t.session();
    let path = t.path("root");
    s.create(&path, b"12").unwrap();
    s.create(&format!("{path}/a"), b"345").unwrap();
    s.create(&format!("{path}/a/b"), b"6").unwrap();
    let limits = "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4";
    limit(&mut s, &path, limits);
    let noted = format!("{}/zookeeper_stats", quota_path(&path));
    assert_eq!(text(&mut s, &noted), "count=3,bytes=6", "counted when set");
    let stat = s.exists(&noted, false).unwrap();
    s.create(&format!("{path}/c"), b"78").unwrap();
    assert_eq!(usage(&mut s, &path), (4, 8));
    s.set(&format!("{path}/c"), b"", -1).unwrap();
    assert_eq!(usage(&mut s, &path), (4, 6));
    s.set(&path, b"12345", -1).unwrap();
    assert_eq!(usage(&mut s, &path), (4, 9));
    s.delete(&format!("{path}/a/b"), -1).unwrap();
    assert_eq!(usage(&mut s, &path), (3, 8));
    let now = s.exists(&noted, false).unwrap();
    assert_eq!((now.version, now.mzxid), (stat.version, stat.mzxid), "its Stat tells nothing of it");
    assert_eq!(text(&mut s, &format!("{}/zookeeper_limits", quota_path(&path))), limits);
    // The limits are read when they are needed.
    s.create(&format!("{path}/d"), b"").unwrap();
    assert_eq!(s.create(&format!("{path}/e"), b"").err(), EXCEEDED);
    s.set(&format!("{}/zookeeper_limits", quota_path(&path)), b"countHardLimit=5", -1).unwrap();
    s.create(&format!("{path}/e"), b"").unwrap();
    s.delete(&noted, -1).unwrap();
    s.delete(&format!("{}/zookeeper_limits", quota_path(&path)), -1).unwrap();
    for n in 0..5 {
        s.create(&format!("{path}/free{n}"), b"").unwrap();
    }
}

fn count(t: &Target<'_>) {
    let mut s = t.session();
    let path = t.path("root");
    limit(&mut s, &path, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3");
    s.create(&format!("{path}/a"), b"").unwrap();
    s.create_as(&format!("{path}/a/e"), b"", CreateMode::EPHEMERAL).unwrap();
    let third = format!("{path}/c");
    assert_eq!(s.create(&third, b"").err(), EXCEEDED);
    assert_eq!(s.create2(&third, b"", CreateMode::PERSISTENT_SEQUENTIAL).err(), EXCEEDED);
    assert_eq!(s.create_container(&third).err(), EXCEEDED);
    assert_eq!(s.create(&format!("{path}/a/deep"), b"").err(), EXCEEDED);
    s.set(&format!("{path}/a"), b"any length", -1).unwrap();
    s.delete(&format!("{path}/a/e"), -1).unwrap();
    s.create(&third, b"").unwrap();
    assert_eq!(usage(&mut s, &path), (3, 10));
    s.create(&format!("{path}-beside"), b"").unwrap();
}

fn hard_limits(t: &Target<'_>) {
    let mut s = t.session();
    let soft = t.path("soft");
    limit(&mut s, &soft, "count=2,bytes=5=;byteHardLimit=-1;countHardLimit=-1");
    for n in 0..3 {
        s.create(&format!("{soft}/{n}"), b"12345").unwrap();
    }
    s.set(&soft, b"12345678", -1).unwrap();
    assert_eq!(usage(&mut s, &soft), (4, 23));

    let hard = t.path("hard");
    let a = format!("{hard}/a");
    limit(&mut s, &hard, "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1");
    assert_eq!(s.create(&a, b"12345678901").err(), EXCEEDED, "11 of 10");
    s.create(&a, b"123456").unwrap();
    s.create(&format!("{hard}/b"), b"1234").unwrap();
    assert_eq!(s.create(&format!("{hard}/c"), b"1").err(), EXCEEDED, "1 of 0");
    s.create(&format!("{hard}/c"), b"").unwrap();
    assert_eq!(s.set(&a, b"1234567", -1).err(), EXCEEDED, "one more");
    s.set(&a, b"654321", -1).unwrap();
    s.set(&a, b"1", -1).unwrap();
    s.set(&a, b"123456", -1).unwrap();
    s.delete(&format!("{hard}/b"), -1).unwrap();
    s.set(&hard, b"1234", -1).unwrap();
    assert_eq!(usage(&mut s, &hard), (3, 10));

    // Over limits that came later: even less data is refused, since what is left is weighed. Deletes are not.
    s.set(&format!("{}/zookeeper_limits", quota_path(&hard)), b"byteHardLimit=3;countHardLimit=1", -1)
        .unwrap();
    assert_eq!(s.set(&a, b"1234567", -1).err(), EXCEEDED);
    assert_eq!(s.create(&format!("{hard}/d"), b"").err(), EXCEEDED);
    assert_eq!(s.set(&a, b"12345", -1).err(), EXCEEDED);
    s.set(&a, b"abcdef", -1).unwrap();
    s.delete(&format!("{hard}/c"), -1).unwrap();
    s.delete(&a, -1).unwrap();
    assert_eq!(usage(&mut s, &hard), (1, 4));
}

fn precedence(t: &Target<'_>) {
    let mut s = t.session();
    let root = t.path("root");
    let [closed, open] = ["closed", "open"].map(|name| format!("{root}/{name}"));
    s.create(&root, b"").unwrap();
    s.create_acl(&closed, b"", CreateMode::PERSISTENT, &[Acl::new(Perms(29), "world", "anyone")]).unwrap();
    s.create(&open, b"").unwrap();
    s.create_as(&format!("{root}/e"), b"", CreateMode::EPHEMERAL).unwrap();
    s.create_acl(&format!("{root}/read"), b"", CreateMode::PERSISTENT, Acl::READ).unwrap();
    limit(&mut s, &root, "count=-1,bytes=-1=;byteHardLimit=0;countHardLimit=1");
    assert_eq!(s.set(&closed, b"1", 9).err(), Some(ErrorCode::NO_AUTH));
    assert_eq!(s.set(&open, b"1", 9).err(), EXCEEDED);
    assert_eq!(s.set(&open, b"", 9).err(), Some(ErrorCode::BAD_VERSION));
    assert_eq!(s.set(&format!("{root}/none"), b"1", -1).err(), Some(ErrorCode::NO_NODE));
    assert_eq!(s.create(&open, b"").err(), Some(ErrorCode::NODE_EXISTS));
    assert_eq!(s.create(&format!("{root}/new"), b"").err(), EXCEEDED);
    assert_eq!(s.create(&format!("{root}/."), b"").err(), Some(ErrorCode::BAD_ARGUMENTS));
    assert_eq!(s.create(&format!("{root}/none/x"), b"").err(), Some(ErrorCode::NO_NODE));
    assert_eq!(s.create(&format!("{root}/e/x"), b"").err(), Some(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS));
    assert_eq!(s.create(&format!("{root}/read/x"), b"").err(), Some(ErrorCode::NO_AUTH));
    assert_eq!(s.delete(&open, 9).err(), Some(ErrorCode::BAD_VERSION));
}

fn in_multi(t: &Target<'_>) {
    let mut s = t.session();
    let root = t.path("root");
    limit(&mut s, &root, "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3");
    let new = |name: &str| multi::create(&format!("{root}/{name}"), CreateMode::PERSISTENT);
    let error = |result: &OpResult| match result {
        OpResult::Error(error) => error.err.0,
        _ => 1,
    };
    let mut codes = |ops: Vec<_>| s.multi(ops).unwrap().iter().map(error).collect::<Vec<_>>();
    // Each is weighed against what is applied: one of three, whatever stands in front of it.
    assert_eq!(codes(vec![new("a"), new("b"), new("c"), new("d")]), [1; 4]);
    assert_eq!(codes(vec![multi::check(&root, -1), new("e"), new("f")]), [0, -125, -2]);
    assert_eq!(
        codes(vec![multi::delete(&format!("{root}/a"), -1), new("e")]),
        [0, -125],
        "nor what it frees"
    );
    let a = format!("{root}/a");
    assert_eq!(codes(vec![multi::set(&a, b"12345678901", -1)]), [-125]);
    assert_eq!(codes(vec![multi::set(&a, b"1234567890", -1), multi::set(&root, b"1234567890", -1)]), [1, 1]);
    assert_eq!(usage(&mut s, &root), (5, 20));
}

fn not_enforced(t: &Target<'_>) {
    let mut s = t.session();
    let root = t.path("root");
    limit(&mut s, &root, "count=1,bytes=1=;byteHardLimit=1;countHardLimit=1");
    let child = format!("{root}/child");
    s.create(&child, b"1234").unwrap();
    assert_eq!(usage(&mut s, &root), (2, 4));
    s.multi([multi::set(&child, b"123", -1), multi::create(&t.path("root/x"), CreateMode::EPHEMERAL)])
        .unwrap();
    assert_eq!(usage(&mut s, &root), (3, 3));
    s.delete(&child, -1).unwrap();
    assert_eq!(usage(&mut s, &root), (2, 0));
    s.close();
    assert_eq!(usage(&mut t.session(), &root), (1, 0), "an ephemeral that went with its session");
}
