//! A second opinion: kazoo, the Python client, reads a tree back so that no test trusts our own client's word.

use crate::{Error, Result, install, process};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

/// Put before every script: a connected client `zk`, the arguments `args`, and `answer(value)` for the result.
const PRELUDE: &str = r#"
import json, logging, os, sys
logging.basicConfig(level=logging.ERROR)
from kazoo.client import KazooClient
from kazoo.exceptions import *
args = json.loads(os.environ["ENSEMBLE_ARGS"])
zk = KazooClient(hosts=os.environ["ENSEMBLE_CONNECT"], timeout=10.0)
def answer(value):
    json.dump(value, sys.stdout)
zk.start(timeout=30)
"#;

const EPILOGUE: &str = "\nzk.stop()\nzk.close()\n";

/// Walks the tree level by level and prints a list of znodes. A znode that goes while it is read is left out.
const TREE: &str = r#"
zk.sync("/")
out = []
level = [args]
while level:
    asked = [(path, zk.get_async(path), zk.get_children_async(path)) for path in level]
    level = []
    for path, data, children in asked:
        try:
            (data, stat), children = data.get(), children.get()
        except NoNodeError:
            continue
        out.append({"path": path, "data": None if data is None else data.hex(), "czxid": stat.czxid,
                    "mzxid": stat.mzxid, "pzxid": stat.pzxid, "ctime": stat.ctime, "mtime": stat.mtime,
                    "version": stat.version, "cversion": stat.cversion, "aversion": stat.aversion,
                    "owner": stat.ephemeralOwner, "children": len(children)})
        level.extend(path.rstrip("/") + "/" + child for child in children)
answer(out)
"#;

/// A znode as kazoo saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// The data; `None` when the server holds null.
    pub data: Option<Vec<u8>>,
    /// The owning session of an ephemeral znode, 0 otherwise: servers do not tell containers and TTL nodes from others.
    pub ephemeral_owner: i64,
    /// Changes of the data.
    pub version: i64,
    /// Changes of the list of children.
    pub cversion: i64,
    /// Changes of the ACL.
    pub aversion: i64,
    /// The transaction that created it.
    pub czxid: i64,
    /// The transaction that last changed its data.
    pub mzxid: i64,
    /// The transaction that last changed its list of children.
    pub pzxid: i64,
    /// When it was created, in milliseconds since 1970.
    pub ctime: i64,
    /// When its data last changed, in milliseconds since 1970.
    pub mtime: i64,
    /// How many children it has.
    pub children: i64,
}

/// kazoo on this machine.
#[derive(Clone, Debug)]
pub struct Kazoo {
    python: PathBuf,
    packages: PathBuf,
}

impl Kazoo {
    /// Finds Python and the unpacked kazoo.
    ///
    /// # Errors
    /// When one of them is missing; the message says what to do.
    pub fn find() -> Result<Self> {
        // Debian's own Python is the one that Debian's kazoo is made for.
        let debian = PathBuf::from("/usr/bin/python3");
        let python = if debian.is_file() { debian } else { install::program("python3")? };
        Ok(Kazoo { python, packages: install::kazoo_packages()? })
    }

    /// Runs `script` with a connected `zk` (a `KazooClient` on `connect`) and `args`, and returns what it passed to
    /// `answer(value)`, which it must call once.
    ///
    /// # Errors
    /// When kazoo cannot connect within 30 s, when the script raises, or when it answers no JSON; the message holds
    /// what Python wrote to stderr.
    pub fn run(&self, connect: &str, args: &Value, script: &str) -> Result<Value> {
        let mut command = process::bound_to_us()?;
        command.arg(&self.python).args(["-B", "-"]);
        command.env("PYTHONPATH", &self.packages).env_remove("PYTHONHOME");
        command.env("ENSEMBLE_CONNECT", connect).env("ENSEMBLE_ARGS", args.to_string());
        let output = feed(command, format!("{PRELUDE}{script}{EPILOGUE}"))?;
        let said = String::from_utf8_lossy(&output.1);
        serde_json::from_slice(&output.0)
            .map_err(|why| Error::new(format!("kazoo answered no JSON ({why}): {said}")))
    }

    /// Reads `root` and everything below it, after a `sync`. A missing `root` yields an empty map.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn tree(&self, connect: &str, root: &str) -> Result<BTreeMap<String, Znode>> {
        let list = self.run(connect, &Value::from(root), TREE)?;
        let entries = list.as_array().into_iter().flatten();
        entries
            .map(|entry| znode(entry).ok_or_else(|| Error::new(format!("kazoo's znode is {entry}"))))
            .collect()
    }
}

/// Runs `command` with `input` on stdin; stdout and stderr of a success.
fn feed(mut command: Command, input: String) -> Result<(Vec<u8>, Vec<u8>)> {
    let failed = |cause| Error::io("running python3", cause);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process::spawn_from_lasting_thread(command)?;
    let stdin = child.stdin.take();
    let writer = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().map_err(failed)?;
    // A script that ends before it has read its text has its own message on stderr.
    let _ = writer.join();
    if output.status.success() {
        return Ok((output.stdout, output.stderr));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("python3 ended with {}: {said}", output.status)))
}

fn znode(entry: &Value) -> Option<(String, Znode)> {
    let number = |name: &str| entry.get(name)?.as_i64();
    let data = match entry.get("data")? {
        Value::Null => None,
        text => Some(bytes_of_hex(text.as_str()?)?),
    };
    let znode = Znode {
        data,
        ephemeral_owner: number("owner")?,
        version: number("version")?,
        cversion: number("cversion")?,
        aversion: number("aversion")?,
        czxid: number("czxid")?,
        mzxid: number("mzxid")?,
        pzxid: number("pzxid")?,
        ctime: number("ctime")?,
        mtime: number("mtime")?,
        children: number("children")?,
    };
    Some((entry.get("path")?.as_str()?.to_owned(), znode))
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
    digits?.chunks(2).map(|pair| Some(pair.first()? << 4 | pair.get(1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_and_half_a_byte_is_refused() {
        assert_eq!(bytes_of_hex("00ff7a"), Some(vec![0, 255, 0x7a]));
        assert_eq!(bytes_of_hex(""), Some(Vec::new()));
        assert_eq!(bytes_of_hex("0f1"), None);
        assert_eq!(bytes_of_hex("zz"), None);
    }
}
