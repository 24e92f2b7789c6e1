//! Four-letter words, in the shapes that monitoring parses.

use menagerie_server::jute::*;
use menagerie_server::{Like, Server};

use crate::support::{Peer, silent};

async fn ask(server: &Server, word: &str) -> String {
    let mut peer = silent(&server.connector()).await;
    peer.raw(word.as_bytes()).await;
    peer.text().await
}

/// As when the recordings were made: a session with an ephemeral, a data watch and a child watch.
async fn busy() -> (Server, Peer) {
    let server = Server::builder().like(Like::V3_8).start().await.unwrap();
    let mut peer = Peer::new(&server).await;
    peer.create("/fl", CreateMode::EPHEMERAL).await;
    peer.get("/fl", true).await;
    peer.err(OpCode::GET_CHILDREN, &GetChildrenRequest { path: "/", watch: true }).await;
    (server, peer)
}

/// A text with every number as `#`, every date as `DATE`.
fn shape(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let line = match line.split_once(" expire at ") {
            Some((count, _)) => format!("{count} expire at DATE:"),
            None => line.to_owned(),
        };
        let mut shape = String::new();
        let hex = line.contains("0x");
        for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let (word, end) =
                word.split_at(word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
            let is_number = word.starts_with(|c: char| c.is_ascii_digit())
                && word.chars().all(|c| c.is_ascii_digit() || hex && (c.is_ascii_hexdigit() || c == 'x'));
            shape.push_str(if is_number { "#" } else { word });
            shape.push_str(end);
        }
        shape
    };
    text.split('\n').map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn short_words_have_short_answers() {
    let (server, _peer) = busy().await;
    for (word, answer) in [
        ("ruok", "imok"),
        ("isro", "rw"),
        ("gtmk", "306"),
        ("srst", "Server stats reset.\n"),
        ("crst", "Connection stats reset.\n"),
        ("wchs", "1 connections watching 1 paths\nTotal watches:1\n"),
        ("dirs", "datadir_size: 0\nlogdir_size: 0\n"),
    ] {
        assert_eq!(ask(&server, word).await, answer, "{word}");
    }
    server.set_read_only(true);
    assert_eq!(ask(&server, "isro").await, "ro");
}

#[tokio::test(start_paused = true)]
async fn srvr_and_stat_have_the_real_lines() {
    let (server, _peer) = busy().await;
    let numbers = [
        "Latency min/avg/max: #/#.#/#",
        "Received: #",
        "Sent: #",
        "Connections: #",
        "Outstanding: #",
        "Zxid: #",
        "Mode: standalone",
        "Node count: #",
        "",
    ];
    let srvr = ask(&server, "srvr").await;
    assert!(srvr.starts_with("Zookeeper version: 3.8.0-menagerie, built on "), "{srvr}");
    assert_eq!(shape(&srvr)[1..], numbers);
    assert!(srvr.contains("Zxid: 0x2\n") && srvr.contains("Node count: 6\n"), "{srvr}");
    let stat = shape(&ask(&server, "stat").await);
    assert_eq!(stat[1], "Clients:");
    assert_eq!(stat[2], " /#.#.#.#:#[#](queued=#,recved=#,sent=#)");
    assert_eq!(stat[4], "");
    assert_eq!(stat[5..], numbers);
}

#[tokio::test(start_paused = true)]
async fn connections_and_sessions_are_listed() {
    let (server, peer) = busy().await;
    let sid = format!("{:#x}", peer.id());
    let cons = ask(&server, "cons").await;
    assert_eq!(
        shape(&cons)[0],
        " /#.#.#.#:#[#](queued=#,recved=#,sent=#,sid=#,lop=GETC,est=#,to=#,lcxid=#,lzxid=#,lresp=#,llat=#,minlat=#,avglat=#,maxlat=#)"
    );
    assert!(
        cons.contains(&format!("sid={sid},lop=GETC")) && cons.contains("to=10000,lcxid=0x3,lzxid=0x2"),
        "{cons}"
    );
    assert!(cons.ends_with("recved=1,sent=0)\n\n"), "{cons}");
    assert_eq!(ask(&server, "wchc").await, format!("{sid}\n\t/fl\n\n"));
    assert_eq!(ask(&server, "wchp").await, format!("/fl\n\t{sid}\n\n"));
    let dump = ask(&server, "dump").await;
    assert_eq!(
        shape(&dump),
        [
            "SessionTracker dump:",
            "Session Sets (#)/(#):",
            "# expire at DATE:",
            "\t#",
            "ephemeral nodes dump:",
            "Sessions with Ephemerals (#):",
            "#:",
            "\t/fl",
            "Connections dump:",
            "Connections Sets (#)/(#):",
            "# expire at DATE:",
            "\tip: /#.#.#.#:# sessionId: #",
            "# expire at DATE:",
            "\tip: /#.#.#.#:# sessionId: #",
            "",
        ],
        "{dump}"
    );
}

#[tokio::test(start_paused = true)]
async fn mntr_and_conf_are_keys_and_values() {
    let (server, _peer) = busy().await;
    let mntr = ask(&server, "mntr").await;
    for line in [
        "zk_server_state\tstandalone",
        "zk_znode_count\t6",
        "zk_watch_count\t2",
        "zk_ephemerals_count\t1",
        "zk_global_sessions\t1",
    ] {
        assert!(mntr.lines().any(|it| it == line), "{line} in {mntr}");
    }
    assert!(mntr.lines().all(|line| line.starts_with("zk_") && line.contains('\t')));
    let conf = ask(&server, "conf").await;
    let port = server.local_addr().port();
    for line in [
        &*format!("clientPort={port}"),
        "tickTime=2000",
        "maxClientCnxns=60",
        "minSessionTimeout=4000",
        "maxSessionTimeout=40000",
    ] {
        assert!(conf.lines().any(|it| it == line), "{line} in {conf}");
    }
    assert!(ask(&server, "envi").await.starts_with("Environment:\nzookeeper.version=3.8.0-"));
}

#[tokio::test(start_paused = true)]
async fn words_that_are_not_listed_say_so_and_unknown_ones_are_lengths() {
    let server = Server::builder().words(["srvr"]).start().await.unwrap();
    assert_eq!(ask(&server, "mntr").await, "mntr is not executed because it is not in the whitelist.\n");
    assert!(ask(&server, "srvr").await.starts_with("Zookeeper version"));
    assert_eq!(ask(&server, "xxxx").await, "");
    let mut peer = Peer::new(&server).await;
    peer.raw(b"ruok").await;
    assert_eq!(peer.frame().await, None, "behind a handshake it is a length too");
}
