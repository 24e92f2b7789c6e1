//! Four-letter words: the servers' own account of themselves.

use crate::{Error, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const CONNECT: Duration = Duration::from_secs(2);
/// How long a server may think before it answers.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// A reply is cut off here, in bytes.
const LONGEST: u64 = 64 << 20;

/// Asks the server at `address`, and returns everything it says until it closes; no silence may be longer than `silence`.
pub(crate) fn ask(address: SocketAddr, word: &str, silence: Duration) -> Result<String> {
    let asked = || {
        let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
        stream.set_read_timeout(Some(silence))?;
        stream.set_write_timeout(Some(silence))?;
        stream.write_all(word.as_bytes())?;
        let mut reply = Vec::new();
        stream.take(LONGEST).read_to_end(&mut reply)?;
        Ok(String::from_utf8_lossy(&reply).into_owned())
    };
    asked().map_err(|cause| Error::io(format!("asking {address} for {word}"), cause))
}

/// What part a server plays, from the `Mode:` line of `srvr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The only server there is.
    Standalone,
    /// Leads a quorum.
    Leader,
    /// Follows a leader, with a vote.
    Follower,
    /// Follows a leader, without a vote.
    Observer,
    /// Has no quorum and answers reads (`readonlymode.enabled`).
    ReadOnly,
}

impl Role {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "standalone" => Role::Standalone,
            "leader" => Role::Leader,
            "follower" => Role::Follower,
            "observer" => Role::Observer,
            "read-only" => Role::ReadOnly,
            _ => return None,
        })
    }
}

/// The reply to `srvr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srvr {
    /// The release, such as `3.8.0`.
    pub version: String,
    /// The last transaction that this server applied.
    pub zxid: i64,
    /// Open client connections, the asking one included.
    pub connections: u64,
    /// Requests read from clients and not yet answered.
    pub outstanding: u64,
    /// Packets received since the start, or since `srst`.
    pub received: u64,
    /// Packets sent since the start, or since `srst`.
    pub sent: u64,
    /// The part that this server plays.
    pub role: Role,
    /// Znodes, the system's own included.
    pub node_count: u64,
}

impl Srvr {
    pub(crate) fn parse(reply: &str) -> Result<Self> {
        let lines: BTreeMap<_, _> = reply.lines().filter_map(|line| line.split_once(": ")).collect();
        let line = |key: &str| {
            lines.get(key).copied().ok_or_else(|| Error::new(format!("srvr without `{key}`: {reply}")))
        };
        let number = |key: &str| -> Result<u64> {
            let text = line(key)?;
            text.parse().map_err(|_| Error::new(format!("srvr's `{key}` is `{text}`")))
        };
        let version = line("Zookeeper version")?;
        let mode = line("Mode")?;
        Ok(Srvr {
            version: version.split(['-', ',']).next().unwrap_or_default().to_owned(),
            zxid: hexadecimal(line("Zxid")?)?,
            connections: number("Connections")?,
            outstanding: number("Outstanding")?,
            received: number("Received")?,
            sent: number("Sent")?,
            role: Role::parse(mode).ok_or_else(|| Error::new(format!("srvr's mode is `{mode}`")))?,
            node_count: number("Node count")?,
        })
    }
}

/// Splits the reply to `mntr` into names and values.
pub(crate) fn parse_mntr(reply: &str) -> BTreeMap<String, String> {
    let pairs = reply.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One client connection, a line of the reply to `cons`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The client's end.
    pub peer: SocketAddr,
    /// The session on it, or `None` before a handshake (as with the connection that asks).
    pub session: Option<i64>,
    /// Every `key=value` of the line: `queued`, `recved`, `sent`, `to` (the timeout in milliseconds) and so on.
    pub fields: BTreeMap<String, String>,
}

impl Connection {
    pub(crate) fn parse_all(reply: &str) -> Result<Vec<Self>> {
        reply.lines().map(str::trim).filter(|line| !line.is_empty()).map(Self::parse).collect()
    }

    fn parse(line: &str) -> Result<Self> {
        let wrong = || Error::new(format!("a line of cons is `{line}`"));
        let (peer, rest) = line.trim_start_matches('/').rsplit_once('[').ok_or_else(wrong)?;
        let (_, fields) = rest.split_once('(').ok_or_else(wrong)?;
        let pairs = fields.trim_end_matches(')').split(',').filter_map(|pair| pair.split_once('='));
        let fields: BTreeMap<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let session = fields.get("sid").map(|text| hexadecimal(text)).transpose()?;
        Ok(Connection { peer: peer.parse().map_err(|_| wrong())?, session, fields })
    }
}

/// The reply to `wchs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSummary {
    /// Connections with at least one watch.
    pub connections: u64,
    /// Paths with at least one watch.
    pub paths: u64,
    /// Watches in all.
    pub watches: u64,
}

impl WatchSummary {
    pub(crate) fn parse(reply: &str) -> Result<Self> {
        let numbers: Vec<u64> = reply
            .split(|letter: char| !letter.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok())
            .collect();
        match *numbers {
            [connections, paths, watches] => Ok(WatchSummary { connections, paths, watches }),
            _ => Err(Error::new(format!("wchs says `{reply}`"))),
        }
    }
}

/// The reply to `dump`, as far as leader, follower and standalone server agree on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// Sessions that the server tracks. A follower tracks those of the whole ensemble.
    pub sessions: BTreeSet<i64>,
    /// The ephemeral znodes of each session that has any.
    pub ephemerals: BTreeMap<i64, BTreeSet<String>>,
}

impl Dump {
    pub(crate) fn parse(reply: &str) -> Result<Self> {
        let (tracker, rest) = reply
            .split_once("ephemeral nodes dump:")
            .ok_or_else(|| Error::new(format!("dump without ephemeral nodes: {reply}")))?;
        let (nodes, _) = rest.split_once("Connections dump:").unwrap_or((rest, ""));
        let mut dump = Dump::default();
        for word in tracker.split_whitespace().filter(|word| word.starts_with("0x")) {
            dump.sessions.insert(hexadecimal(word)?);
        }
        let mut owner = None;
        for line in nodes.lines().map(str::trim) {
            if let Some(session) = line.strip_suffix(':').filter(|line| line.starts_with("0x")) {
                owner = Some(hexadecimal(session)?);
            } else if let (Some(session), true) = (owner, line.starts_with('/')) {
                dump.ephemerals.entry(session).or_default().insert(line.to_owned());
            }
        }
        Ok(dump)
    }
}

/// Reads `0x1f`, as Java prints a long: the sign bit is a digit.
fn hexadecimal(text: &str) -> Result<i64> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let bits =
        u64::from_str_radix(digits, 16).map_err(|_| Error::new(format!("`{text}` is no zxid or session")));
    bits.map(|bits| i64::from_ne_bytes(bits.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srvr_is_read() {
        let reply = "Zookeeper version: 3.8.0-cafe, built on 2024-12-29 17:54 UTC\nLatency min/avg/max: 0/1.7/23\n\
            Received: 398\nSent: 448\nConnections: 2\nOutstanding: 0\nZxid: 0x1000000ee\nMode: follower\nNode count: 55\n";
        let srvr = Srvr::parse(reply).unwrap();
        assert_eq!((srvr.version.as_str(), srvr.role, srvr.zxid), ("3.8.0", Role::Follower, 0x1_0000_00ee));
        assert_eq!((srvr.received, srvr.sent, srvr.connections, srvr.node_count), (398, 448, 2, 55));
        let silent = "This ZooKeeper instance is not currently serving requests\n";
        assert!(Srvr::parse(silent).unwrap_err().to_string().contains("not currently serving"));
        assert!(Srvr::parse(&reply.replace("follower", "baffled")).is_err());
        assert!(Srvr::parse(&reply.replace("0x1000000ee", "0xfish")).is_err());
    }

    #[test]
    fn cons_is_read() {
        let reply = " /127.0.0.1:39208[1](queued=0,recved=4,sent=4,sid=0xff0000df265001b0,lop=GETC,to=10000)\n \
            /[0:0:0:0:0:0:0:1]:39300[0](queued=0,recved=1,sent=0)\n\n";
        let connections = Connection::parse_all(reply).unwrap();
        assert_eq!(connections.len(), 2);
        assert_eq!(connections[0].session, Some(-0x00ff_ff20_d9af_fe50));
        assert_eq!(connections[0].fields["to"], "10000");
        assert_eq!((connections[1].session, connections[1].peer.port()), (None, 39300));
        assert!(Connection::parse_all("what?\n").is_err());
    }

    #[test]
    fn wchs_mntr_and_dump_are_read() {
        let summary = WatchSummary::parse("1 connections watching 3 paths\nTotal watches:4\n").unwrap();
        assert_eq!(summary, WatchSummary { connections: 1, paths: 3, watches: 4 });
        assert!(WatchSummary::parse("none\n").is_err());
        assert_eq!(parse_mntr("zk_version\t3.8.0\nzk_watch_count\t2\n")["zk_watch_count"], "2");

        let standalone = "SessionTracker dump:\nSession Sets (1)/(1):\n1 expire at Sun Nov 22 08:26:41 UTC 2026:\n\
            \t0x1b\nephemeral nodes dump:\nSessions with Ephemerals (1):\n0x1b:\n\t/fl\n\t/a b\nConnections dump:\n\
            Connections Sets (1)/(1):\n1 expire at Sun Nov 22 08:26:43 UTC 2026:\n\tip: /127.0.0.1:9 sessionId: 0x1c\n";
        let dump = Dump::parse(standalone).unwrap();
        assert_eq!(dump.sessions, [0x1b].into());
        assert_eq!(dump.ephemerals, [(0x1b, ["/fl".to_owned(), "/a b".to_owned()].into())].into());
        assert!(Dump::parse("nothing\n").is_err());
    }
}
