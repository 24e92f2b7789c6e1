//! Q: quotas.

use menagerie_conformance::{Row, Session};

pub(crate) const ROWS: &[Row] = &[];

/// Makes `path` and sets limits for it.
pub(crate) fn limit(session: &mut Session, path: &str, limits: &str) {
    session.create(path, b"").unwrap();
    let mut quota = "/zookeeper/quota".to_owned();
    for name in path.split('/').skip(1) {
        quota = format!("{quota}/{name}");
        let _ = session.create(&quota, b"");
    }
    session.create(&format!("{quota}/zookeeper_limits"), limits.as_bytes()).unwrap();
    session.create(&format!("{quota}/zookeeper_stats"), b"count=1,bytes=0").unwrap();
}
