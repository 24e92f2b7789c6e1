//! ZooKeeper's log of transactions, for servers with a past that no client could have given them in a lifetime: a znode
//! after two thousand million changes.

use bytes::Bytes;
use menagerie_jute::{Acl, Encode, Writer};
use std::{fs, io, path::Path};

/// Writes a log into an empty data directory, from which `path` exists with that version, after so many creates of children.
pub(crate) fn write(data: &Path, path: &str, version: i32, creates: i32) -> io::Result<()> {
    let home = data.join("version-2");
    fs::create_dir_all(&home)?;
    fs::write(home.join("log.1"), log(path, version, creates))
}

/// As the class FileTxnLog describes it: a header, and for each transaction a checksum, a length, the transaction and the letter B.
fn log(path: &str, version: i32, creates: i32) -> Bytes {
    let mut log = Writer::new();
    log.raw(b"ZKLG");
    log.int(2);
    log.long(0);
    transaction(&mut log, 1, 1, |out| {
        out.ustring(path);
        out.buffer(Some(b""));
        out.vector(Some(Acl::OPEN), |out, acl| acl.encode(out));
        out.bool(false);
        out.int(1);
    });
    transaction(&mut log, 2, 5, |out| {
        out.ustring(path);
        out.buffer(Some(b""));
        out.int(version);
    });
    if creates > 0 {
        transaction(&mut log, 3, 1, |out| {
            out.ustring(&format!("{path}/last"));
            out.buffer(Some(b""));
            out.vector(Some(Acl::OPEN), |out, acl| acl.encode(out));
            out.bool(false);
            out.int(creates);
        });
    }
    log.into_bytes()
}

/// A header (session, xid, zxid, time, type) and a record.
fn transaction(log: &mut Writer, zxid: i64, kind: i32, record: impl FnOnce(&mut Writer)) {
    let mut entry = Writer::new();
    entry.long(0);
    entry.int(0);
    entry.long(zxid);
    entry.long(1_700_000_000_000);
    entry.int(kind);
    record(&mut entry);
    let entry = entry.into_bytes();
    log.long(adler32(&entry));
    log.buffer(Some(&entry));
    log.raw(b"B");
}

fn adler32(bytes: &[u8]) -> i64 {
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + i64::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}
