//! The harness itself, on real servers: what it promises to the tests that stand on it.

#![expect(clippy::unwrap_used, reason = "a test fails by unwrapping, also in its helpers")]

use menagerie_ensemble::{Ensemble, Kazoo, Node, Role, Version, eventually, proxy::Proxy};
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
fn a_session_shows_where_it_is_and_what_it_owns() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let (node, kazoo) = (ensemble.node(1), Kazoo::find().unwrap());
    let proxy = Proxy::start(node.client_addr()).unwrap();
    let (through, direct) = (proxy.connect_string(), node.connect_string());
    let holder = thread::spawn(move || {
        let script = "
import threading
go = threading.Event()
zk.exists('/go', watch=lambda event: go.set())
zk.create('/held', b'x', ephemeral=True)
answer([zk.client_id[0], go.wait(60)])";
        Kazoo::find().unwrap().run(&through, &json!(null), script).unwrap()
    });
    let owner = eventually("ephemeral", BUDGET, || {
        let tree = kazoo.tree(&direct, "/held").map_err(|why| why.to_string())?;
        tree.get("/held").map(|znode| znode.ephemeral_owner).ok_or_else(|| String::from("none yet"))
    });
    let session = owner.unwrap();
    let dump = node.dump().unwrap();
    assert!(dump.sessions.contains(&session));
    assert_eq!(dump.ephemerals[&session], ["/held".to_owned()].into());
    assert_eq!(ensemble.node_of_session(session).map(Node::id), Some(1));
    assert!(ensemble.node_of_session(session + 1).is_none());
    assert_eq!(node.wchs().unwrap().watches, 1);

    create(&direct, "/go", "");
    assert_eq!(holder.join().unwrap(), json!([session, true]));
    let dump = node.dump().unwrap();
    assert!(!dump.ephemerals.contains_key(&session) && !dump.sessions.contains(&session));
    let counts = proxy.counts();
    assert_eq!((counts.handshakes, counts.notifications), (1, 1));
    // create, exists, closeSession
    assert_eq!([1, 3, -11].map(|opcode| counts.frames(opcode)), [1, 1, 1]);
}

#[test]
fn a_proxy_that_withholds_keeps_an_event_from_a_real_client() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    proxy.withhold_notifications(true);
    let script = "
import threading
fired = threading.Event()
zk.exists('/w', watch=lambda event: fired.set())
zk.create('/w', b'')
# The answer to a later request comes behind the event.
zk.get('/w')
answer(fired.wait(0.2))";
    let fired = Kazoo::find().unwrap().run(&proxy.connect_string(), &json!(null), script).unwrap();
    assert_eq!((fired, proxy.counts().withheld), (json!(false), 1));
}

#[test]
fn the_super_user_passes_every_acl() {
    let ensemble = Ensemble::builder(Version::V3_9).super_user().start().unwrap();
    let script = "
from kazoo.security import make_digest_acl
zk.create('/locked', b'x', acl=[make_digest_acl('somebody', 'else', all=True)])
def may_read():
    try:
        zk.get('/locked')
        return True
    except NoAuthError:
        return False
before = may_read()
zk.add_auth('digest', 'super:secret')
answer([before, may_read()])";
    let answer = Kazoo::find().unwrap().run(&ensemble.connect_string(), &json!(null), script).unwrap();
    assert_eq!(answer, json!([false, true]));
}

#[test]
fn what_a_script_says_when_it_fails_is_in_the_error() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let (kazoo, connect) = (Kazoo::find().unwrap(), ensemble.connect_string());
    let raised = kazoo.run(&connect, &json!(null), "zk.get('/nowhere')").unwrap_err();
    assert!(raised.to_string().contains("NoNodeError"), "{raised}");
    let silent = kazoo.run(&connect, &json!(null), "pass").unwrap_err();
    assert!(silent.to_string().contains("no JSON"), "{silent}");
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
        assert_eq!(second.srvr().unwrap().role, Role::Follower, "the old leader is not in the ranks yet");

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
