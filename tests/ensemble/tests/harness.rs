//! The harness itself, on real servers: what it promises to the tests that stand on it.

#![expect(clippy::unwrap_used, reason = "a test fails by unwrapping, also in its helpers")]

use menagerie_ensemble::{Ensemble, Kazoo, Role, Version, eventually, proxy::Proxy};
use serde_json::json;
use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    panic,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const BUDGET: Duration = Duration::from_secs(60);

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn create(connect: &str, path: &str, data: &str) {
    let script = "zk.create(args[0], args[1].encode(), makepath=True)\nanswer(None)";
    Kazoo::find().unwrap().run(connect, &json!([path, data]), script).unwrap();
}

#[test]
fn every_version_starts_alone_and_says_which_it_is() {
    for version in Version::ALL {
        let ensemble = Ensemble::standalone(version).unwrap();
        let node = ensemble.node(1);
        let srvr = node.srvr().unwrap();
        assert_eq!((srvr.version.as_str(), srvr.role), (version.number(), Role::Standalone));
        assert!(!node.is_read_only().unwrap());
        assert!(node.mntr().unwrap()["zk_version"].starts_with(version.number()));
        assert_eq!(node.wchs().unwrap().watches, 0);
        assert!(node.cons().unwrap().iter().all(|connection| connection.session.is_none()));
    }
}

#[test]
fn kazoo_reads_back_what_there_is_and_data_outlives_a_restart_but_not_a_wipe() {
    for version in Version::ALL {
        let ensemble = Ensemble::standalone(version).unwrap();
        let (node, kazoo) = (ensemble.node(1), Kazoo::find().unwrap());
        let connect = ensemble.connect_string();
        create(&connect, "/top/leaf", "a \u{e9}");
        let before = kazoo.tree(&connect, "/top").unwrap();
        let paths: Vec<_> = before.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/top", "/top/leaf"]);
        assert_eq!(before["/top/leaf"].data.as_deref(), Some("a \u{e9}".as_bytes()));
        assert_eq!((before["/top"].children, before["/top/leaf"].ephemeral_owner), (1, 0));

        let pid = node.pid().unwrap();
        node.restart(BUDGET).unwrap();
        assert!(!is_alive(pid) && node.pid().unwrap() != pid);
        assert_eq!(kazoo.tree(&connect, "/top").unwrap(), before);

        assert!(node.wipe().unwrap_err().to_string().contains("runs"));
        node.kill().unwrap();
        node.wipe().unwrap();
        node.start().unwrap();
        node.wait_serving(BUDGET).unwrap();
        assert!(kazoo.tree(&connect, "/top").unwrap().is_empty());
    }
}

#[test]
fn a_session_and_its_ephemerals_show_in_cons_and_dump() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let script = "
import socket
path = zk.create('/e', b'x', ephemeral=True)
zk.exists('/e', watch=lambda event: None)
def ask(word):
    with socket.create_connection(args) as asking:
        asking.sendall(word)
        return b''.join(iter(lambda: asking.recv(65536), b'')).decode()
answer([zk.client_id[0], ask(b'cons'), ask(b'dump'), ask(b'wchs')])";
    let address = ensemble.node(1).client_addr();
    let args = json!([address.ip().to_string(), address.port()]);
    let answer = Kazoo::find().unwrap().run(&proxy.connect_string(), &args, script).unwrap();
    let session = answer[0].as_i64().unwrap();
    assert!(answer[1].as_str().unwrap().contains(&format!("sid=0x{session:x}")));
    assert!(answer[2].as_str().unwrap().contains(&format!("0x{session:x}:\n\t/e")));
    assert!(answer[3].as_str().unwrap().contains("Total watches:1"));
    // The session is closed, and its znode gone.
    let dump = ensemble.node(1).dump().unwrap();
    assert!(!dump.ephemerals.contains_key(&session) && !dump.sessions.contains(&session));
    let counts = proxy.counts();
    assert_eq!((counts.handshakes, counts.frames(1), counts.frames(3), counts.frames(-11)), (1, 1, 1, 1));
}

#[test]
fn three_nodes_survive_the_kill_and_the_freezing_of_their_leader() {
    for version in Version::ALL {
        let ensemble = Ensemble::three(version).unwrap();
        let first = ensemble.leader(BUDGET).unwrap();
        assert_eq!(ensemble.followers(BUDGET).unwrap().len(), 2);
        create(&ensemble.connect_string(), "/kept", "1");

        first.kill().unwrap();
        assert!(!first.is_running() && first.srvr().is_err());
        let second = ensemble.leader(BUDGET).unwrap();
        assert_ne!(second.id(), first.id());
        create(&ensemble.connect_string(), "/kept/2", "2");
        ensemble.heal(BUDGET).unwrap();

        second.freeze().unwrap();
        assert!(second.is_running() && second.is_frozen());
        let third = ensemble.leader(BUDGET).unwrap();
        assert_ne!(third.id(), second.id());
        second.thaw().unwrap();
        ensemble.heal(BUDGET).unwrap();
        let after = eventually("old leader in the ranks", BUDGET, || {
            let role = second.srvr().map_err(|why| why.to_string())?.role;
            if role == Role::Follower { Ok(role) } else { Err(format!("{role:?}")) }
        });
        assert_eq!(after.unwrap(), Role::Follower);

        for node in ensemble.nodes() {
            let tree = Kazoo::find().unwrap().tree(&node.connect_string(), "/kept").unwrap();
            assert_eq!(tree.keys().map(String::as_str).collect::<Vec<_>>(), ["/kept", "/kept/2"]);
        }
    }
}

#[test]
fn a_node_without_quorum_is_read_only_when_configured_so() {
    let ensemble = Ensemble::builder(Version::V3_9)
        .nodes(3)
        .jvm_flag("-Dreadonlymode.enabled=true")
        .config("localSessionsEnabled", true)
        .node_config(2, "maxSessionTimeout", 7777)
        .start()
        .unwrap();
    assert!(ensemble.node(2).four_letter_word("conf").unwrap().contains("maxSessionTimeout=7777"));
    ensemble.node(2).kill().unwrap();
    ensemble.node(3).kill().unwrap();
    let role = ensemble.node(1).wait_for_role(BUDGET, |role| role == Role::ReadOnly).unwrap();
    assert_eq!(role, Role::ReadOnly);
    assert!(ensemble.node(1).is_read_only().unwrap());
}

#[test]
fn nothing_is_left_after_drop_and_after_a_panic() {
    let ensemble = Ensemble::three(Version::V3_8).unwrap();
    let pids: BTreeSet<_> = ensemble.nodes().iter().map(|node| node.pid().unwrap()).collect();
    let directory = ensemble.directory().to_owned();
    assert!(pids.len() == 3 && pids.iter().all(|pid| is_alive(*pid)) && directory.exists());
    ensemble.node(1).freeze().unwrap();
    drop(ensemble);
    assert!(!pids.iter().any(|pid| is_alive(*pid)) && !directory.exists());

    let (mut pid, mut kept) = (0, None);
    let panicked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
        pid = ensemble.node(1).pid().unwrap();
        kept = Some(ensemble.directory().to_owned());
        panic!("on purpose: the log of the server is printed below");
    }));
    assert!(panicked.is_err() && !is_alive(pid));
    let kept = kept.unwrap();
    assert!(kept.join("node-1/log").exists());
    std::fs::remove_dir_all(kept).unwrap();
}

#[test]
fn a_server_that_cannot_start_says_why_at_once() {
    let refused =
        Ensemble::builder(Version::V3_8).config("tickTime", "soon").within(BUDGET).start().unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("does not run") && text.contains("NumberFormatException"), "{text}");
}

/// Runs itself once more as the process that is killed: that one starts a server, says its number and waits.
#[test]
fn servers_end_when_the_test_process_is_killed() {
    const ROLE: &str = "ENSEMBLE_TEST_IS_KILLED";
    if env::var_os(ROLE).is_some() {
        let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
        println!("\npid {}", ensemble.node(1).pid().unwrap());
        loop {
            thread::park();
        }
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "servers_end_when_the_test_process_is_killed", "--nocapture"])
        .env(ROLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let server = lines.find_map(|line| line.strip_prefix("pid ")?.parse().ok()).unwrap();
    assert!(is_alive(server));
    victim.kill().unwrap();
    victim.wait().unwrap();
    let gone =
        eventually(
            "end of the server",
            BUDGET,
            || if is_alive(server) { Err(String::new()) } else { Ok(()) },
        );
    gone.unwrap();
}
