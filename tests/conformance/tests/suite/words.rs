//! L: four-letter words.

use crate::watching::Watch;
use menagerie_conformance::{
    Row, Session, Setup, Target, Wire,
    jute::{CreateMode, ErrorCode, GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, OpCode},
};
use std::{collections::BTreeMap, net::TcpStream, time::Duration};

/// As a server comes: no list of words in its configuration.
const DEFAULT_WORDS: Setup = Setup { name: "default-words", four_letter_words: None, ..Setup::PLAIN };

pub(crate) const ROWS: &[Row] = &[
    Row::new("L1", "only srvr is allowed unless more is; the others are refused by name", white_list)
        .on(&DEFAULT_WORDS),
    Row::new("L2", "ruok says imok, isro says rw, without a line end", short_words),
    Row::new("L3", "srvr and stat: their lines, in order", srvr_and_stat).alone(),
    Row::new("L4", "mntr: keys and values", mntr).alone(),
    Row::new("L5", "cons, dump, envi, conf, wchs, wchc, wchp, crst, srst, dirs, gtmk, hash", other_words)
        .alone(),
    Row::new("L6", "an unknown word, or one after the handshake, is a bad length", bad_words),
    Row::new("L7", "a server that does not serve says so", not_serving).slow(),
];

fn white_list(t: &Target<'_>) {
    assert!(t.word("srvr").starts_with("Zookeeper version: "));
    for word in [
        "ruok", "isro", "stat", "mntr", "conf", "cons", "dump", "envi", "wchs", "wchc", "wchp", "crst",
        "srst", "dirs", "gtmk", "hash",
    ] {
        let refusal = format!("{word} is not executed because it is not in the whitelist.\n");
        assert_eq!(t.word(word), refusal);
    }
    assert_eq!(t.word("xxxx"), "", "an unknown word is a length");
}

fn short_words(t: &Target<'_>) {
    assert_eq!(t.word("ruok"), "imok");
    assert_eq!(t.word("isro"), "rw");
    assert_eq!(t.word("ruok\n"), "imok");
    let mut wire = t.dial();
    for byte in b"ruok" {
        wire.send_raw(&[*byte]);
    }
    assert_eq!(&wire.read_to_end()[..], b"imok", "byte by byte");
}

/// What stands behind `key` in its line.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(key));
    found.unwrap_or_else(|| panic!("no {key:?} in {text}"))
}

fn number(text: &str, key: &str) -> i64 {
    value(text, key).parse().unwrap_or_else(|why| panic!("{key}{}: {why}", value(text, key)))
}

/// Znodes of the tree as the words count them: the root twice, since it has two names.
fn znodes(session: &mut Session) -> i64 {
    let counted = session.call(OpCode::GET_ALL_CHILDREN_NUMBER, &GetAllChildrenNumberRequest { path: "/" });
    i64::from(counted.read::<GetAllChildrenNumberResponse>().unwrap().total_number) + 2
}

fn srvr_and_stat(t: &Target<'_>) {
    let mut s = t.session();
    s.create(&t.path("node"), b"").unwrap();
    let _reader = t.session();
    assert_eq!(t.word("srst"), "Server stats reset.\n");
    let zxid = (0..20).map(|_| s.ping().header.zxid).last().unwrap();
    // Apache counts a request only once it is on its way, so that one more may be done than begun for a moment.
    let srvr = t.eventually("moment of rest", Duration::from_secs(10), || {
        let told = t.word("srvr");
        (number(&told, "Outstanding: ") == 0).then_some(told)
    });
    let keys = ["Zookeeper version: ", "Latency min/avg/max: ", "Received: ", "Sent: ", "Connections: "];
    let keys = keys.into_iter().chain(["Outstanding: ", "Zxid: ", "Mode: ", "Node count: "]);
    let lines: Vec<_> = srvr.lines().collect();
    assert_eq!(lines.len(), keys.clone().count(), "{srvr}");
    assert!(keys.zip(&lines).all(|(key, line)| line.starts_with(key)), "{srvr}");
    assert!(srvr.ends_with('\n'));
    let version = value(&srvr, "Zookeeper version: ");
    assert!(version.starts_with("3.") && version.contains(", built on "), "{version}");
    let latency: Vec<f64> =
        value(&srvr, "Latency min/avg/max: ").split('/').map(|part| part.parse().unwrap()).collect();
    assert!(latency.len() == 3 && latency[0] <= latency[1] && latency[1] <= latency[2], "{srvr}");
    assert!(number(&srvr, "Received: ") >= 20 && number(&srvr, "Sent: ") >= 20, "{srvr}");
    assert_eq!(number(&srvr, "Connections: "), 3, "two sessions and the one who asks");
    assert_eq!(value(&srvr, "Zxid: "), format!("0x{zxid:x}"));
    assert_eq!(value(&srvr, "Mode: "), "standalone");
    assert_eq!(number(&srvr, "Node count: "), znodes(&mut s));

    let stat = t.word("stat");
    let (head, tail) = stat.split_once("\n\n").unwrap();
    let mut head = head.lines();
    assert_eq!(head.next(), srvr.lines().next());
    assert_eq!(head.next(), Some("Clients:"));
    let clients: Vec<_> = head.collect();
    assert_eq!(clients.len(), 3, "{stat}");
    for client in &clients {
        let (address, rest) = client.split_once('[').unwrap();
        assert!(address.starts_with(" /127.0.0.1:"), "{client}");
        let counts = rest[1..].strip_prefix("](").and_then(|rest| rest.strip_suffix(')')).unwrap();
        let keys: Vec<_> = counts.split(',').map(|count| count.split_once('=').unwrap().0).collect();
        assert_eq!(keys, ["queued", "recved", "sent"], "{client}");
    }
    // What the selector waits for stands in the brackets: 1 at rest, 0 while the server is at it.
    let port = format!(" /127.0.0.1:{}[", s.wire.stream().local_addr().unwrap().port());
    assert!(clients.iter().any(|client| client.starts_with(&port)), "{stat}");
    let shape =
        |text: &str| text.lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(shape(tail), shape(&srvr)[1..]);
}

fn mntr(t: &Target<'_>) {
    let mut s = t.session();
    s.create(&t.path("node"), b"12345").unwrap();
    s.create_as(&t.path("e1"), b"", CreateMode::EPHEMERAL).unwrap();
    s.create_as(&t.path("e2"), b"", CreateMode::EPHEMERAL).unwrap();
    let values = || {
        let told = t.word("mntr");
        let line =
            |line: &str| line.split_once('\t').map(|(key, value)| (key.to_owned(), value.trim().to_owned()));
        told.lines()
            .map(|text| line(text).unwrap_or_else(|| panic!("no tab in {text:?}")))
            .collect::<BTreeMap<_, _>>()
    };
    let before = values();
    Watch::Data.set(&mut s, &t.path("node"));
    Watch::Child.set(&mut s, t.base());
    s.set(&t.path("node"), b"123456789", -1).unwrap();
    Watch::Exists.set(&mut s, &t.path("node"));
    let told = t.eventually("moment of rest", Duration::from_secs(10), || {
        let told = values();
        (told["zk_outstanding_requests"] == "0").then_some(told)
    });
    let number = |of: &BTreeMap<String, String>, key: &str| {
        let value = of.get(key).unwrap_or_else(|| panic!("no {key} in {of:?}"));
        value.parse::<f64>().unwrap_or_else(|why| panic!("{key} is {value}: {why}"))
    };
    assert!(told["zk_version"].starts_with("3.") && told["zk_version"].contains(", built on "));
    assert_eq!(told["zk_server_state"], "standalone");
    let counted = znodes(&mut s);
    let exactly = [
        ("zk_znode_count", counted),
        ("zk_watch_count", 2),
        ("zk_ephemerals_count", 2),
        ("zk_num_alive_connections", 2),
        ("zk_global_sessions", 1),
        ("zk_local_sessions", 0),
    ];
    for (key, expected) in exactly {
        assert_eq!(told[key], expected.to_string(), "{key}");
    }
    let grown = number(&told, "zk_approximate_data_size") - number(&before, "zk_approximate_data_size");
    assert!((grown - 4.0).abs() < 0.5, "four bytes more: {grown}");
    for key in ["zk_packets_received", "zk_packets_sent"] {
        assert!(number(&told, key) >= number(&before, key) + 4.0, "{key}");
    }
    let latency = ["zk_min_latency", "zk_avg_latency", "zk_max_latency"].map(|key| number(&told, key));
    assert!(latency.is_sorted(), "{latency:?}");
    // What the machine says of the process, where it says anything.
    number(&told, "zk_open_file_descriptor_count");
    number(&told, "zk_max_file_descriptor_count");
    assert!(number(&told, "zk_uptime") >= 0.0);
}

fn other_words(t: &Target<'_>) {
    let mut s = t.session();
    s.create_as(&t.path("e"), b"", CreateMode::EPHEMERAL).unwrap();
    // The words about watches do not count those of children.
    Watch::Child.set(&mut s, t.base());
    Watch::Data.set(&mut s, &t.path("e"));
    Watch::Exists.set(&mut s, &t.path("missing"));
    let id = format!("0x{:x}", s.id);
    let port = s.wire.stream().local_addr().unwrap().port();
    sessions_and_connections(t, &id, port);
    watches(t, &id);

    let conf = t.word("conf");
    for key in ["secureClientPort", "dataDir", "dataDirSize", "dataLogDir", "dataLogSize", "serverId"] {
        value(&conf, &format!("{key}="));
    }
    value(&conf, "clientPortListenBacklog=");
    assert_eq!(value(&conf, "clientPort="), t.addr().port().to_string());
    let limits = [
        ("tickTime", 500),
        ("maxClientCnxns", 0),
        ("minSessionTimeout", 1_000),
        ("maxSessionTimeout", 10_000),
    ];
    for (key, expected) in limits {
        assert_eq!(number(&conf, &format!("{key}=")), expected, "{conf}");
    }
    let envi = t.word("envi");
    assert!(envi.starts_with("Environment:\nzookeeper.version=3."), "{envi}");
    for key in ["host.name=", "os.name=", "user.dir="] {
        value(&envi, key);
    }
    let dirs = t.word("dirs");
    assert!(number(&dirs, "datadir_size: ") >= 0 && number(&dirs, "logdir_size: ") >= 0);
    assert_eq!(dirs.lines().count(), 2);
    assert_eq!(t.word("gtmk"), "306");
    for line in t.word("hash").lines() {
        let (zxid, digest) = line.split_once(": ").unwrap();
        assert!(zxid.parse::<i64>().is_ok() || i64::from_str_radix(zxid, 16).is_ok(), "{zxid}");
        assert!(digest.parse::<i64>().is_ok(), "{digest}");
    }
    assert_eq!(t.word("crst"), "Connection stats reset.\n");
    assert_eq!(t.word("srst"), "Server stats reset.\n");
    assert!(number(&t.word("srvr"), "Received: ") <= 4, "the counts begin again");
}

fn sessions_and_connections(t: &Target<'_>, id: &str, port: u16) {
    let cons = t.word("cons");
    assert!(cons.ends_with("\n\n"), "{cons:?}");
    let lines: Vec<_> = cons.trim_end().lines().collect();
    assert_eq!(lines.len(), 2, "the session and the one who asks: {cons}");
    let own = lines.iter().find(|line| line.starts_with(&format!(" /127.0.0.1:{port}["))).unwrap();
    let fields: Vec<_> = own.split_once('(').unwrap().1.trim_end_matches(')').split(',').collect();
    let keys: Vec<_> = fields.iter().map(|field| field.split_once('=').unwrap().0).collect();
    assert_eq!(
        keys,
        [
            "queued", "recved", "sent", "sid", "lop", "est", "to", "lcxid", "lzxid", "lresp", "llat",
            "minlat", "avglat", "maxlat"
        ]
    );
    assert_eq!(fields[3..5], [&*format!("sid={id}"), "lop=EXIS"]);
    assert_eq!((fields[6], fields[7]), ("to=10000", "lcxid=0x4"));
    let asking = lines.iter().find(|line| **line != *own).unwrap();
    assert!(asking.ends_with("[0](queued=0,recved=1,sent=0)"), "{asking}");

    let dump = t.word("dump");
    let mut sections = dump.split("ephemeral nodes dump:\n");
    let sessions = sections.next().unwrap();
    assert!(sessions.starts_with("SessionTracker dump:\nSession Sets ("), "{dump}");
    assert!(sessions.contains(" expire at ") && sessions.contains(&format!("\n\t{id}\n")), "{dump}");
    let (ephemerals, connections) = sections.next().unwrap().split_once("Connections dump:\n").unwrap();
    assert_eq!(ephemerals, format!("Sessions with Ephemerals (1):\n{id}:\n\t{}\n", t.path("e")));
    assert!(connections.starts_with("Connections Sets ("), "{dump}");
    assert!(connections.contains(&format!("\tip: /127.0.0.1:{port} sessionId: {id}\n")), "{dump}");
}

fn watches(t: &Target<'_>, id: &str) {
    let (e, missing) = (t.path("e"), t.path("missing"));
    assert_eq!(t.word("wchs"), "1 connections watching 2 paths\nTotal watches:2\n");
    let sorted = |text: String| {
        let mut lines: Vec<_> = text.trim_end().lines().map(str::to_owned).collect();
        lines[1..].sort();
        lines
    };
    assert_eq!(sorted(t.word("wchc")), [id, &format!("\t{e}"), &format!("\t{missing}")]);
    let wchp = t.word("wchp");
    for path in [&e, &missing] {
        assert!(wchp.contains(&format!("{path}\n\t{id}\n")), "{wchp}");
    }
    assert_eq!(wchp.trim_end().lines().count(), 4, "{wchp}");
}

fn bad_words(t: &Target<'_>) {
    for word in ["xxxx", "RUOK", "kill", "rouk", "HTTP", "\u{0}\u{10}\u{0}\u{0}"] {
        assert_eq!(t.word(word), "", "{word:?}");
    }
    for word in ["ruok", "srvr", "mntr"] {
        let mut s = t.session();
        s.wire.send_raw(word.as_bytes());
        s.expect_eof();
    }
    let mut s = t.session();
    assert_eq!(s.get(&t.path("none"), false).err(), Some(ErrorCode::NO_NODE), "others are not touched");
}

fn not_serving(t: &Target<'_>) {
    const SORRY: &str = "This ZooKeeper instance is not currently serving requests\n";
    let server = t.start_not_serving();
    t.eventually("listening", Duration::from_secs(30), || TcpStream::connect(server.addr()).ok());
    let ask = |word: &str| {
        let mut wire = Wire::dial(server.addr());
        wire.send_raw(word.as_bytes());
        String::from_utf8(wire.read_to_end().to_vec()).unwrap()
    };
    assert_eq!(ask("ruok"), "imok", "it is there all the same");
    assert_eq!(ask("isro"), "null");
    for word in
        ["srvr", "stat", "mntr", "conf", "cons", "dump", "wchs", "wchc", "wchp", "crst", "srst", "dirs"]
    {
        assert_eq!(ask(word), SORRY, "{word}");
    }
    assert_eq!(ask("hash"), SORRY.trim_end());
    assert_eq!(ask("gtmk"), "306");
    assert!(ask("envi").starts_with("Environment:\n"));
}
