import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Version;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.recipes.leader.LeaderElectionSupport;
import org.apache.zookeeper.recipes.lock.LockListener;
import org.apache.zookeeper.recipes.lock.WriteLock;
import org.apache.zookeeper.recipes.queue.DistributedQueue;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** The Java client: every operation it has, all kinds of watches, reconnects and the end of its session. */
final class JavaClient {
    private static final int TIMEOUT_MS = 10_000;
    private static ZooKeeper zk;

    /** A watcher that keeps events of znodes in one box and states of the connection in another. */
    private static final class Events implements Watcher {
        final Checks.Box<String> nodes = new Checks.Box<>();
        final Checks.Box<KeeperState> states = new Checks.Box<>();

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() == EventType.None) {
                states.put(event.getState());
            } else {
                nodes.put(event.getType() + " " + event.getPath().replace(Checks.ROOT, ""));
            }
        }

        /** Exactly these have come, in this order. */
        void are(String... wanted) throws InterruptedException {
            List<String> seen = nodes.await(wanted.length + " events", items -> items.size() >= wanted.length);
            Checks.equal(seen, Arrays.asList(wanted), "events");
        }
    }

    private static ZooKeeper connect(Events events, int timeout) throws Exception {
        return connect(Checks.CONNECT, events, timeout);
    }

    private static ZooKeeper connect(String address, Events events, int timeout) throws Exception {
        ZooKeeper client = new ZooKeeper(address, timeout, events);
        events.states.await("connection", seen -> seen.contains(KeeperState.SyncConnected));
        return client;
    }

    private static ZooKeeper connect() throws Exception {
        return connect(new Events(), TIMEOUT_MS);
    }

    private static String at(String name) {
        return Checks.ROOT + "/" + name;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    private static String create(String name, String data, CreateMode mode) throws Exception {
        return zk.create(at(name), bytes(data), Ids.OPEN_ACL_UNSAFE, mode);
    }

    private static String create(String name) throws Exception {
        return create(name, "", CreateMode.PERSISTENT);
    }

    private static List<String> sorted(List<String> names) {
        return names.stream().sorted().collect(Collectors.toList());
    }

    /** What a request that is only asynchronous came to; its path and result code. */
    private static String synced(String path) throws Exception {
        Checks.Box<String> answer = new Checks.Box<>();
        AsyncCallback.VoidCallback done = (code, name, context) -> answer.put(Code.get(code) + " " + name);
        zk.sync(path, done, null);
        return answer.await("answer to sync", items -> !items.isEmpty()).get(0);
    }

    private static void operations() {
        Checks.check("create_get_set_delete", () -> {
            Checks.equal(create("node", "one", CreateMode.PERSISTENT), at("node"), "path");
            Checks.raises(KeeperException.NodeExistsException.class, () -> create("node"));
            Stat stat = new Stat();
            Checks.equal(zk.getData(at("node"), false, stat), bytes("one"), "data");
            Checks.equal(stat.getVersion() + " " + stat.getDataLength() + " " + stat.getNumChildren(), "0 3 0", "stat");
            Checks.equal(zk.setData(at("node"), bytes("two"), 0).getVersion(), 1, "version");
            Checks.raises(KeeperException.BadVersionException.class, () -> zk.setData(at("node"), bytes("x"), 0));
            Checks.equal(zk.exists(at("node"), false).getVersion(), 1, "version");
            Checks.raises(KeeperException.NoNodeException.class, () -> create("no/parent"));
            zk.delete(at("node"), 1);
            Checks.equal(zk.exists(at("node"), false), null, "exists");
            Checks.raises(KeeperException.NoNodeException.class, () -> zk.getData(at("node"), false, null));
        });
        Checks.check("null_data_is_not_empty_data", () -> {
            zk.create(at("null"), null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            Checks.equal(zk.getData(at("null"), false, null), null, "data");
            zk.setData(at("null"), new byte[0], -1);
            Checks.equal(zk.getData(at("null"), false, null), new byte[0], "data");
        });
        Checks.check("create_with_its_stat", () -> {
            Stat stat = new Stat();
            zk.create(at("stat"), bytes("12345"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
            Checks.equal(zk.exists(at("stat"), false), stat, "stat");
        });
        Checks.check("every_mode_of_znode", () -> {
            create("modes");
            Checks.equal(create("modes/s-", "", CreateMode.PERSISTENT_SEQUENTIAL), at("modes/s-0000000000"), "path");
            create("modes/e", "", CreateMode.EPHEMERAL);
            Checks.equal(create("modes/es-", "", CreateMode.EPHEMERAL_SEQUENTIAL), at("modes/es-0000000002"), "path");
            Checks.equal(zk.exists(at("modes/e"), false).getEphemeralOwner(), zk.getSessionId(), "owner");
            Checks.raises(KeeperException.NoChildrenForEphemeralsException.class, () -> create("modes/e/child"));
            create("modes/c", "", CreateMode.CONTAINER);
            Checks.equal(zk.exists(at("modes/c"), false).getEphemeralOwner(), 0L, "owner of a container");
            Stat stat = new Stat();
            zk.create(at("modes/t"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat, 60_000);
            Checks.equal(stat.getEphemeralOwner(), 0L, "owner of a TTL znode");
            String path = zk.create(at("modes/ts-"), bytes(""), Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, stat, 1_000);
            Checks.equal(path, at("modes/ts-0000000005"), "path");
        });
        Checks.check("children_in_all_ways", () -> {
            create("family");
            create("family/b");
            create("family/a");
            create("family/a/grandchild");
            Checks.equal(sorted(zk.getChildren(at("family"), false)), Arrays.asList("a", "b"), "children");
            Stat stat = new Stat();
            Checks.equal(sorted(zk.getChildren(at("family"), false, stat)), Arrays.asList("a", "b"), "children");
            Checks.equal(stat.getNumChildren() + " " + stat.getCversion(), "2 2", "stat");
            Checks.equal(zk.getAllChildrenNumber(at("family")), 3, "all children");
            Checks.raises(KeeperException.NotEmptyException.class, () -> {
                zk.delete(at("family"), -1);
                return null;
            });
            create("family/ephemeral", "", CreateMode.EPHEMERAL);
            Checks.equal(zk.getEphemerals(at("family")), List.of(at("family/ephemeral")), "ephemerals below");
            Checks.equal(zk.getEphemerals().contains(at("family/ephemeral")), true, "among all ephemerals");
        });
        Checks.check("sync", () -> Checks.equal(synced(at("family")), "OK " + at("family"), "answer"));
        Checks.check("many_requests_at_once", () -> {
            create("many");
            Checks.Box<String> paths = new Checks.Box<>();
            AsyncCallback.StringCallback done = (code, path, context, name) -> paths.put(Code.get(code) + " " + name);
            List<String> wanted = new ArrayList<>();
            for (int number = 0; number < 1000; number++) {
                String path = at(String.format("many/%04d", number));
                wanted.add("OK " + path);
                zk.create(path, bytes("x"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, done, null);
            }
            Checks.equal(paths.await("thousand answers", seen -> seen.size() >= 1000), wanted, "answers in order");
            Checks.equal(zk.getChildren(at("many"), false).size(), 1000, "children");
        });
    }

    private static void access() {
        Checks.check("access_lists", () -> {
            create("acl");
            Stat stat = new Stat();
            Checks.equal(zk.getACL(at("acl"), stat), Ids.OPEN_ACL_UNSAFE, "acl");
            Checks.raises(KeeperException.BadVersionException.class,
                () -> zk.setACL(at("acl"), Ids.READ_ACL_UNSAFE, 9));
            List<ACL> here = Arrays.asList(new ACL(Perms.READ | Perms.ADMIN, Ids.ANYONE_ID_UNSAFE));
            Checks.equal(zk.setACL(at("acl"), here, 0).getAversion(), 1, "aversion");
            Checks.equal(zk.getACL(at("acl"), stat), here, "acl");
            Checks.raises(KeeperException.NoAuthException.class, () -> zk.setData(at("acl"), bytes("x"), -1));
            Checks.raises(KeeperException.InvalidACLException.class, () -> zk.create(at("bad"), bytes(""),
                Arrays.asList(new ACL(Perms.ALL, new Id("nobody", "knows"))), CreateMode.PERSISTENT));
        });
        Checks.check("credentials", () -> {
            ZooKeeper owner = connect();
            owner.addAuthInfo("digest", bytes("ann:secret"));
            owner.create(at("private"), bytes("mine"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            String digest = DigestAuthenticationProvider.generateDigest("ann:secret");
            Checks.equal(owner.getACL(at("private"), null).get(0).getId(), new Id("digest", digest), "owner");
            Checks.raises(KeeperException.NoAuthException.class, () -> zk.getData(at("private"), false, null));
            List<String> schemes = owner.whoAmI().stream().map(ClientInfo::getAuthScheme).sorted()
                .collect(Collectors.toList());
            Checks.equal(schemes, Arrays.asList("digest", "ip"), "schemes");
            owner.close();
            Checks.equal(zk.whoAmI().get(0).getUser(), "127.0.0.1", "user");
        });
        Checks.check("configuration", () -> {
            Checks.equal(zk.getConfig(false, new Stat()) != null, true, "configuration");
            ZooKeeperAdmin admin = new ZooKeeperAdmin(Checks.CONNECT, TIMEOUT_MS, event -> { });
            Checks.raises(KeeperException.ReconfigDisabledException.class,
                () -> admin.reconfigure("server.9=127.0.0.1:9:9:participant;127.0.0.1:9", null, null, -1, new Stat()));
            admin.close();
        });
        Checks.check("transactions", () -> {
            create("multi");
            List<OpResult> good = zk.multi(Arrays.asList(
                Op.check(at("multi"), 0),
                Op.create(at("multi/a"), bytes("a"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create(at("multi/e"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
                Op.create(at("multi/c"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
                Op.create(at("multi/t"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 60_000),
                Op.setData(at("multi"), bytes("1"), 0),
                Op.delete(at("multi/a"), 0)));
            Checks.equal(((OpResult.CreateResult) good.get(2)).getPath(), at("multi/e0000000001"), "path");
            Checks.equal(((OpResult.SetDataResult) good.get(5)).getStat().getVersion(), 1, "version");
            try {
                zk.transaction().create(at("multi/b"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
                    .check(at("multi"), 7).delete(at("multi/c"), -1).commit();
                throw new AssertionError("the transaction was applied");
            } catch (KeeperException.BadVersionException why) {
                List<Integer> codes = why.getResults().stream().map(one -> ((OpResult.ErrorResult) one).getErr())
                    .collect(Collectors.toList());
                Checks.equal(codes, Arrays.asList(0, -103, -2), "codes");
            }
            Checks.equal(zk.getChildren(at("multi"), false).size(), 3, "children");
        });
        Checks.check("reading_several_at_once", () -> {
            List<OpResult> read = zk.multi(Arrays.asList(Op.getData(at("stat")), Op.getChildren(at("family")),
                Op.getData(at("nobody"))));
            Checks.equal(((OpResult.GetDataResult) read.get(0)).getData(), bytes("12345"), "data");
            Checks.equal(sorted(((OpResult.GetChildrenResult) read.get(1)).getChildren()),
                Arrays.asList("a", "b", "ephemeral"), "children");
            Checks.equal(((OpResult.ErrorResult) read.get(2)).getErr(), Code.NONODE.intValue(), "error");
        });
    }

    private static void watches() {
        Checks.check("one_shot_watches", () -> {
            Events events = new Events();
            create("watched");
            zk.exists(at("later"), events);
            zk.getData(at("watched"), events, null);
            zk.getChildren(at("watched"), events);
            zk.setData(at("watched"), bytes("1"), -1);
            zk.setData(at("watched"), bytes("2"), -1);
            create("watched/child");
            create("watched/child2");
            create("later");
            zk.exists(at("watched/child"), events);
            zk.delete(at("watched/child"), -1);
            events.are("NodeDataChanged /watched", "NodeChildrenChanged /watched", "NodeCreated /later",
                "NodeDeleted /watched/child");
        });
        Checks.check("persistent_and_recursive_watches", () -> {
            Events flat = new Events();
            Events deep = new Events();
            create("lasting");
            zk.addWatch(at("lasting"), flat, AddWatchMode.PERSISTENT);
            create("lasting/child");
            zk.setData(at("lasting"), bytes("1"), -1);
            zk.setData(at("lasting"), bytes("2"), -1);
            flat.are("NodeChildrenChanged /lasting", "NodeDataChanged /lasting", "NodeDataChanged /lasting");
            create("deep");
            zk.addWatch(at("deep"), deep, AddWatchMode.PERSISTENT_RECURSIVE);
            create("deep/a");
            create("deep/a/b");
            zk.setData(at("deep/a/b"), bytes("1"), -1);
            zk.delete(at("deep/a/b"), -1);
            zk.setData(at("deep"), bytes("1"), -1);
            deep.are("NodeCreated /deep/a", "NodeCreated /deep/a/b", "NodeDataChanged /deep/a/b", "NodeDeleted /deep/a/b",
                "NodeDataChanged /deep");
            // One of two watchers: the server is asked whether there is a watch; both: it is told to remove them.
            Events second = new Events();
            zk.addWatch(at("lasting"), second, AddWatchMode.PERSISTENT);
            zk.removeWatches(at("lasting"), flat, Watcher.WatcherType.Any, false);
            zk.setData(at("lasting"), bytes("3"), -1);
            second.are("NodeDataChanged /lasting");
            flat.are("NodeChildrenChanged /lasting", "NodeDataChanged /lasting", "NodeDataChanged /lasting",
                "PersistentWatchRemoved /lasting");
            zk.removeAllWatches(at("deep"), Watcher.WatcherType.Any, false);
            create("deep/unseen");
            synced(at("deep"));
            Checks.equal(deep.nodes.items().size(), 6, "events after the removal");
            zk.removeAllWatches(at("lasting"), Watcher.WatcherType.Any, false);
            Checks.raises(KeeperException.NoWatcherException.class, () -> {
                zk.removeWatches(at("lasting"), second, Watcher.WatcherType.Any, false);
                return null;
            });
        });
        Checks.check("what_changed_meanwhile_is_told", () -> {
            Events states = new Events();
            Events events = new Events();
            create("away");
            create("away/gone");
            create("away/data");
            create("away/parent");
            create("away/quiet");
            ZooKeeper other = connect(Checks.REMOTE, states, TIMEOUT_MS);
            other.getData(at("away/data"), events, null);
            other.getData(at("away/gone"), events, null);
            other.getData(at("away/quiet"), events, null);
            other.exists(at("away/made"), events);
            other.getChildren(at("away/parent"), events);
            Checks.please("away");
            states.states.await("loss", seen -> seen.contains(KeeperState.Disconnected));
            zk.setData(at("away/data"), bytes("1"), -1);
            zk.delete(at("away/gone"), -1);
            create("away/made");
            create("away/parent/child");
            Checks.please("back");
            List<String> seen = events.nodes.await("four events", items -> items.size() >= 4);
            Checks.equal(sorted(seen), Arrays.asList("NodeChildrenChanged /away/parent", "NodeCreated /away/made",
                "NodeDataChanged /away/data", "NodeDeleted /away/gone"), "events");
            other.setData(at("away/quiet"), bytes("1"), -1);
            Checks.equal(events.nodes.await("a fifth", items -> items.size() == 5).get(4), "NodeDataChanged /away/quiet",
                "event");
            other.close();
        });
        Checks.check("one_shot_watches_outlive_a_connection", () -> reconnect(false));
        Checks.check("lasting_watches_outlive_a_connection", () -> reconnect(true));
    }

    /** Watches are set again after a loss: what changed meanwhile is told at once, what changes later as ever. */
    private static void reconnect(boolean lasting) throws Exception {
        String name = lasting ? "back-lasting" : "back";
        Events states = new Events();
        Events events = new Events();
        create(name);
        create(name + "-quiet");
        ZooKeeper other = connect(states, TIMEOUT_MS);
        other.getData(at(name), events, null);
        other.exists(at(name + "-quiet"), events);
        if (lasting) {
            other.addWatch(at(name + "-quiet"), events, AddWatchMode.PERSISTENT_RECURSIVE);
        }
        long session = other.getSessionId();
        Checks.please("drop");
        states.states.await("loss", seen -> seen.contains(KeeperState.Disconnected));
        states.states.await("return", seen -> seen.lastIndexOf(KeeperState.SyncConnected) > 1);
        Checks.equal(other.getSessionId(), session, "session");
        Checks.until("connection", () -> zk.getState().isConnected());
        Checks.until("write", () -> {
            try {
                return zk.setData(at(name), bytes("1"), -1) != null;
            } catch (KeeperException.ConnectionLossException why) {
                return false;
            }
        });
        events.are("NodeDataChanged /" + name);
        other.setData(at(name + "-quiet"), bytes("1"), -1);
        if (lasting) {
            create(name + "-quiet/child");
            events.are("NodeDataChanged /" + name, "NodeDataChanged /" + name + "-quiet",
                "NodeCreated /" + name + "-quiet/child");
        } else {
            events.are("NodeDataChanged /" + name, "NodeDataChanged /" + name + "-quiet");
        }
        other.close();
    }

    /** A lock that tells when it is acquired. */
    private static WriteLock lock(ZooKeeper client, Checks.Box<String> acquired) {
        return new WriteLock(client, at("lock"), Ids.OPEN_ACL_UNSAFE, new LockListener() {
            @Override
            public void lockAcquired() {
                acquired.put("acquired");
            }

            @Override
            public void lockReleased() {
            }
        });
    }

    /** ZooKeeper's own recipes. */
    private static void recipes() {
        Checks.check("a_lock_and_the_end_of_its_holder", () -> {
            create("lock");
            Checks.Box<String> mine = new Checks.Box<>();
            ZooKeeper other = connect();
            WriteLock theirs = lock(other, new Checks.Box<>());
            WriteLock ours = lock(zk, mine);
            Checks.equal(theirs.lock(), true, "acquired");
            Checks.equal(ours.lock(), false, "acquired by two");
            Checks.equal(mine.items(), List.of(), "acquired");
            Checks.expire(other.getSessionId(), other.getSessionPasswd());
            mine.await("lock", items -> items.contains("acquired"));
            Checks.equal(ours.isOwner(), true, "owner");
            ours.unlock();
            other.close();
        });
        Checks.check("a_queue", () -> {
            DistributedQueue queue = new DistributedQueue(zk, at("queue"), Ids.OPEN_ACL_UNSAFE);
            Checks.equal(queue.poll(), null, "item of an empty queue");
            queue.offer(bytes("first"));
            queue.offer(bytes("second"));
            Checks.equal(queue.peek(), bytes("first"), "item");
            Checks.equal(queue.take(), bytes("first"), "item");
            Checks.equal(queue.remove(), bytes("second"), "item");
        });
        Checks.check("an_election", () -> {
            create("election");
            ZooKeeper other = connect();
            LeaderElectionSupport first = candidate(zk, "first");
            Checks.until("leader", () -> "first".equals(first.getLeaderHostName()));
            LeaderElectionSupport second = candidate(other, "second");
            Checks.equal(second.getLeaderHostName(), "first", "leader");
            first.stop();
            Checks.until("next leader", () -> "second".equals(second.getLeaderHostName()));
            second.stop();
            other.close();
        });
    }

    private static LeaderElectionSupport candidate(ZooKeeper client, String name) {
        LeaderElectionSupport candidate = new LeaderElectionSupport();
        candidate.setZooKeeper(client);
        candidate.setRootNodeName(at("election"));
        candidate.setHostName(name);
        candidate.start();
        return candidate;
    }

    private static void sessions() {
        Checks.check("ephemerals_go_with_their_session", () -> {
            Events events = new Events();
            ZooKeeper other = connect();
            other.create(at("brief"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            Checks.equal(zk.exists(at("brief"), events) != null, true, "exists");
            other.close();
            events.are("NodeDeleted /brief");
        });
        Checks.check("an_expired_session_is_told", () -> {
            Events states = new Events();
            Events events = new Events();
            ZooKeeper other = connect(states, TIMEOUT_MS);
            other.create(at("lapsed"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            zk.exists(at("lapsed"), events);
            Checks.expire(other.getSessionId(), other.getSessionPasswd());
            events.are("NodeDeleted /lapsed");
            states.states.await("expiry", seen -> seen.contains(KeeperState.Expired));
            Checks.raises(KeeperException.SessionExpiredException.class, () -> other.exists("/", false));
            other.close();
        });
        Checks.check("a_session_moves_to_another_client", () -> {
            ZooKeeper first = connect();
            first.create(at("moved"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            Events states = new Events();
            long session = first.getSessionId();
            byte[] password = first.getSessionPasswd();
            // The first believes that it has expired and leaves without closing; or the two would take it from each other.
            first.getTestable().injectSessionExpiration();
            ZooKeeper second = new ZooKeeper(Checks.CONNECT, TIMEOUT_MS, states, session, password);
            states.states.await("connection", seen -> seen.contains(KeeperState.SyncConnected));
            Checks.equal(second.getSessionId(), session, "session");
            Checks.equal(second.getEphemerals(), List.of(at("moved")), "ephemerals");
            second.close();
            Checks.equal(zk.exists(at("moved"), false), null, "exists");
        });
        Checks.check("wrong_password_is_an_expired_session", () -> {
            Events states = new Events();
            ZooKeeper other = new ZooKeeper(Checks.CONNECT, TIMEOUT_MS, states, zk.getSessionId(), new byte[16]);
            states.states.await("expiry", seen -> seen.contains(KeeperState.Expired));
            other.close();
        });
        Checks.check("pings_keep_an_idle_session", () -> {
            Events states = new Events();
            ZooKeeper idle = connect(states, 3000);
            Checks.equal(idle.getSessionTimeout(), 3000, "timeout");
            idle.create(at("idle"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            Thread.sleep(3800);
            Checks.equal(states.states.items(), List.of(KeeperState.SyncConnected), "states");
            Checks.equal(zk.exists(at("idle"), false) != null, true, "exists after more than the timeout");
            idle.close();
        });
        Checks.check("a_restarted_server_keeps_data_and_sessions", () -> {
            Events states = new Events();
            ZooKeeper other = connect(states, TIMEOUT_MS);
            other.create(at("durable"), bytes("kept"), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            long session = other.getSessionId();
            Checks.please("restart");
            states.states.await("loss", seen -> seen.contains(KeeperState.Disconnected));
            states.states.await("return", seen -> seen.lastIndexOf(KeeperState.SyncConnected) > 1);
            Stat stat = new Stat();
            Checks.equal(other.getData(at("durable"), false, stat), bytes("kept"), "data");
            Checks.equal(stat.getEphemeralOwner(), session, "owner");
            other.close();
            Checks.until("connection", () -> zk.getState().isConnected());
        });
        Checks.check("closing_ends_the_session", () -> {
            ZooKeeper other = connect();
            Checks.equal(other.getEphemerals(), Collections.emptyList(), "ephemerals of a new session");
            zk.create(at("last"), bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            zk.close();
            Checks.equal(other.exists(at("last"), false), null, "exists");
            other.close();
        });
    }

    public static void main(String[] arguments) throws Exception {
        Checks.say("client ZooKeeper for Java " + Version.getVersion());
        zk = connect();
        zk.create(Checks.ROOT, bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        operations();
        access();
        watches();
        recipes();
        sessions();
        Checks.run();
    }

    private JavaClient() {
    }
}
