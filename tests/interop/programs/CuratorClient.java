import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.cache.TreeCacheEvent;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** Curator: the framework's operations, its recipes and service discovery, reconnects and expiry. */
final class CuratorClient {
    private static final ExecutorService THREADS = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        return thread;
    });
    private static CuratorFramework curator;

    private static CuratorFramework connect() throws Exception {
        return connect(10_000);
    }

    private static CuratorFramework connect(int timeout) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder().connectString(Checks.CONNECT).sessionTimeoutMs(timeout)
            .connectionTimeoutMs(10_000).retryPolicy(new RetryNTimes(100, 100)).waitForShutdownTimeoutMs(0).build();
        client.start();
        if (!client.blockUntilConnected(30, TimeUnit.SECONDS)) {
            throw new AssertionError("no connection");
        }
        return client;
    }

    private static String at(String name) {
        return Checks.ROOT + "/" + name;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    private static <T> T within(Future<T> future) throws Exception {
        return future.get(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS);
    }

    private static <T> Future<T> later(Callable<T> task) {
        return THREADS.submit(task);
    }

    private static String event(WatchedEvent event) {
        return event.getType() + " " + event.getPath().replace(Checks.ROOT, "");
    }

    private static void synced(CuratorFramework client, String path) throws Exception {
        Checks.Box<Integer> answers = new Checks.Box<>();
        client.sync().inBackground((self, event) -> answers.put(event.getResultCode())).forPath(path);
        Checks.equal(answers.await("answer to sync", items -> !items.isEmpty()).get(0), 0, "code of sync");
    }

    private static void framework() {
        Checks.check("operations", () -> {
            Checks.equal(curator.create().forPath(at("node"), bytes("one")), at("node"), "path");
            Checks.raises(KeeperException.NodeExistsException.class, () -> curator.create().forPath(at("node")));
            Stat stat = new Stat();
            Checks.equal(curator.getData().storingStatIn(stat).forPath(at("node")), bytes("one"), "data");
            Checks.equal(curator.setData().withVersion(0).forPath(at("node"), bytes("two")).getVersion(), 1, "version");
            Checks.raises(KeeperException.BadVersionException.class,
                () -> curator.setData().withVersion(0).forPath(at("node"), bytes("x")));
            Checks.equal(curator.create().orSetData().forPath(at("node"), bytes("three")), at("node"), "path");
            Checks.equal(curator.checkExists().forPath(at("node")).getVersion(), 2, "version");
            curator.create().creatingParentsIfNeeded().forPath(at("a/b/c"));
            curator.create().creatingParentContainersIfNeeded().storingStatIn(stat).forPath(at("x/y"), bytes("12345"));
            Checks.equal(stat.getDataLength(), 5, "length");
            Checks.equal(curator.getChildren().storingStatIn(stat).forPath(at("a")), List.of("b"), "children");
            curator.create().withTtl(60_000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(at("ttl"));
            curator.delete().guaranteed().deletingChildrenIfNeeded().forPath(at("a"));
            Checks.equal(curator.checkExists().forPath(at("a")), null, "exists");
            String path = curator.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(at("p-"));
            Checks.equal(path.startsWith(at("_c_")) && path.matches(".*p-[0-9]{10}"), true, "protected " + path);
            synced(curator, at("node"));
        });
        Checks.check("operations_in_the_background", () -> {
            Checks.Box<String> answers = new Checks.Box<>();
            for (int number = 0; number < 100; number++) {
                curator.create().inBackground((client, event) -> answers.put(event.getType() + " " + event.getResultCode()))
                    .forPath(at("node/" + number));
            }
            List<String> seen = answers.await("hundred answers", items -> items.size() >= 100);
            Checks.equal(seen.stream().distinct().collect(Collectors.toList()), List.of("CREATE 0"), "answers");
            Checks.equal(curator.getChildren().forPath(at("node")).size(), 100, "children");
        });
        Checks.check("access_and_credentials", () -> {
            Checks.equal(curator.getACL().forPath(at("node")), Ids.OPEN_ACL_UNSAFE, "acl");
            curator.setACL().withACL(Ids.READ_ACL_UNSAFE).forPath(at("node"));
            Checks.raises(KeeperException.NoAuthException.class, () -> curator.setData().forPath(at("node"), bytes("x")));
            CuratorFramework owner = CuratorFrameworkFactory.builder().connectString(Checks.CONNECT)
                .authorization("digest", bytes("ann:secret")).retryPolicy(new RetryNTimes(10, 100)).build();
            owner.start();
            owner.create().withACL(Ids.CREATOR_ALL_ACL).forPath(at("private"), bytes("mine"));
            Checks.raises(KeeperException.NoAuthException.class, () -> curator.getData().forPath(at("private")));
            Checks.equal(owner.getData().forPath(at("private")), bytes("mine"), "data");
            owner.close();
        });
        Checks.check("transactions", () -> {
            List<CuratorTransactionResult> results = curator.transaction().forOperations(
                curator.transactionOp().create().forPath(at("multi"), bytes("0")),
                curator.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(at("multi/s-")),
                curator.transactionOp().setData().withVersion(0).forPath(at("multi"), bytes("1")),
                curator.transactionOp().check().withVersion(1).forPath(at("multi")));
            Checks.equal(results.get(1).getResultPath(), at("multi/s-0000000000"), "path");
            Checks.raises(KeeperException.BadVersionException.class, () -> curator.transaction().forOperations(
                curator.transactionOp().delete().forPath(at("multi/s-0000000000")),
                curator.transactionOp().check().withVersion(7).forPath(at("multi"))));
            Checks.equal(curator.getChildren().forPath(at("multi")).size(), 1, "children");
        });
        Checks.check("configuration", () -> {
            curator.getConfig().forEnsemble();
            Checks.raises(KeeperException.ReconfigDisabledException.class, () -> curator.reconfig()
                .joining("server.9=127.0.0.1:9:9:participant;127.0.0.1:9").fromConfig(-1).forEnsemble());
        });
        Checks.check("watches", () -> {
            Checks.Box<String> events = new Checks.Box<>();
            Watcher watcher = event -> events.put(event(event));
            curator.create().forPath(at("watched"));
            curator.getData().usingWatcher(watcher).forPath(at("watched"));
            curator.setData().forPath(at("watched"), bytes("1"));
            curator.setData().forPath(at("watched"), bytes("2"));
            events.await("event", items -> items.size() == 1);
            curator.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher(watcher).forPath(at("watched"));
            curator.create().forPath(at("watched/child"));
            curator.delete().forPath(at("watched/child"));
            List<String> seen = events.await("three events", items -> items.size() >= 3);
            Checks.equal(seen, Arrays.asList("NodeDataChanged /watched", "NodeCreated /watched/child",
                "NodeDeleted /watched/child"), "events");
            curator.watchers().remove(watcher).ofType(Watcher.WatcherType.Any).forPath(at("watched"));
            curator.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(watcher).forPath(at("watched"));
            curator.watchers().removeAll().ofType(Watcher.WatcherType.Any).forPath(at("watched"));
            curator.setData().forPath(at("watched"), bytes("3"));
            synced(curator, at("watched"));
            Checks.equal(events.items().lastIndexOf("NodeDataChanged /watched"), 0, "last change that was told");
        });
    }

    private static void locks() {
        Checks.check("mutex_and_the_end_of_its_holder", () -> {
            CuratorFramework other = connect();
            InterProcessMutex theirs = new InterProcessMutex(other, at("mutex"));
            InterProcessMutex mine = new InterProcessMutex(curator, at("mutex"));
            theirs.acquire();
            theirs.acquire();
            Checks.equal(mine.acquire(50, TimeUnit.MILLISECONDS), false, "acquired by two");
            theirs.release();
            Future<Boolean> waiting = later(() -> mine.acquire(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS));
            Checks.until("second participant", () -> mine.getParticipantNodes().size() == 2);
            Checks.equal(waiting.isDone(), false, "acquired while held");
            ZooKeeper session = other.getZookeeperClient().getZooKeeper();
            Checks.expire(session.getSessionId(), session.getSessionPasswd());
            Checks.equal(within(waiting), true, "acquired after expiry");
            other.close();
        });
        Checks.check("other_locks", () -> {
            InterProcessReadWriteLock shared = new InterProcessReadWriteLock(curator, at("shared"));
            shared.readLock().acquire();
            Checks.equal(within(later(() -> shared.writeLock().acquire(50, TimeUnit.MILLISECONDS))), false, "write lock");
            Checks.equal(within(later(() -> shared.readLock().acquire(1, TimeUnit.SECONDS))), true, "second read lock");
            InterProcessSemaphoreMutex single = new InterProcessSemaphoreMutex(curator, at("single"));
            single.acquire();
            Checks.equal(within(later(() -> new InterProcessSemaphoreMutex(curator, at("single"))
                .acquire(50, TimeUnit.MILLISECONDS))), false, "acquired by two");
            single.release();
            InterProcessMultiLock both = new InterProcessMultiLock(curator, Arrays.asList(at("l1"), at("l2")));
            both.acquire();
            both.release();
            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(curator, at("semaphore"), 2);
            Lease first = semaphore.acquire();
            Lease second = semaphore.acquire();
            Checks.equal(semaphore.acquire(50, TimeUnit.MILLISECONDS), null, "third lease");
            semaphore.returnLease(first);
            Checks.equal(semaphore.acquire(30, TimeUnit.SECONDS) != null, true, "lease after one came back");
            semaphore.returnLease(second);
        });
        Checks.check("leaders", () -> {
            CuratorFramework other = connect();
            LeaderLatch theirs = new LeaderLatch(other, at("latch"), "theirs");
            theirs.start();
            Checks.equal(theirs.await(30, TimeUnit.SECONDS), true, "leader");
            LeaderLatch mine = new LeaderLatch(curator, at("latch"), "mine");
            mine.start();
            Checks.until("second participant", () -> mine.getParticipants().size() == 2);
            Checks.equal(mine.hasLeadership() + " " + mine.getLeader().getId(), "false theirs", "leadership");
            theirs.close();
            Checks.equal(mine.await(30, TimeUnit.SECONDS), true, "leader after the first left");
            mine.close();
            other.close();
            Checks.Box<String> led = new Checks.Box<>();
            LeaderSelector selector = new LeaderSelector(curator, at("selector"), new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) {
                    led.put("led");
                }
            });
            selector.start();
            led.await("leadership", items -> items.size() == 1);
            selector.close();
        });
        Checks.check("barriers", () -> {
            DistributedBarrier barrier = new DistributedBarrier(curator, at("barrier"));
            barrier.setBarrier();
            Future<Boolean> waiting = later(() -> barrier.waitOnBarrier(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS));
            barrier.removeBarrier();
            Checks.equal(within(waiting), true, "barrier down");
            Future<Boolean> one = later(() -> pass(at("double")));
            Future<Boolean> two = later(() -> pass(at("double")));
            Checks.equal(within(one) && within(two), true, "both have passed");
        });
    }

    private static boolean pass(String path) throws Exception {
        DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(curator, path, 2);
        return barrier.enter(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS)
            && barrier.leave(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS);
    }

    private static void data() {
        Checks.check("counters", () -> {
            SharedCount count = new SharedCount(curator, at("count"), 5);
            count.start();
            Checks.equal(count.trySetCount(count.getVersionedValue(), 6), true, "set");
            SharedCount other = new SharedCount(curator, at("count"), 0);
            other.start();
            Checks.equal(other.getCount(), 6, "count");
            count.setCount(7);
            Checks.until("count of 7", () -> other.getCount() == 7);
            count.close();
            other.close();
            DistributedAtomicLong number = new DistributedAtomicLong(curator, at("number"), new RetryNTimes(10, 10));
            Checks.equal(number.add(40L).succeeded() && number.increment().succeeded(), true, "added");
            Checks.equal(number.get().postValue(), 41L, "number");
        });
        Checks.check("queues", () -> {
            SimpleDistributedQueue simple = new SimpleDistributedQueue(curator, at("simple"));
            simple.offer(bytes("first"));
            simple.offer(bytes("second"));
            Checks.equal(simple.take(), bytes("first"), "item");
            Checks.equal(simple.poll(30, TimeUnit.SECONDS), bytes("second"), "item");
            Checks.Box<String> taken = new Checks.Box<>();
            DistributedQueue<String> queue = QueueBuilder.builder(curator, new QueueConsumer<String>() {
                @Override
                public void consumeMessage(String message) {
                    taken.put(message);
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {
                }
            }, new QueueSerializer<String>() {
                @Override
                public byte[] serialize(String item) {
                    return bytes(item);
                }

                @Override
                public String deserialize(byte[] item) {
                    return new String(item, java.nio.charset.StandardCharsets.UTF_8);
                }
            }, at("jobs")).lockPath(at("jobs-lock")).buildQueue();
            queue.start();
            queue.put("one");
            queue.put("two");
            Checks.equal(taken.await("two jobs", items -> items.size() == 2), Arrays.asList("one", "two"), "jobs");
            queue.close();
        });
        Checks.check("caches", () -> {
            curator.create().forPath(at("cached"), bytes("0"));
            Checks.Box<String> told = new Checks.Box<>();
            CuratorCache cache = CuratorCache.build(curator, at("cached"));
            cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(node -> told.put("created " + node.getPath().replace(Checks.ROOT, "")))
                .forChanges((before, after) -> told.put("changed " + new String(after.getData())))
                .forDeletes(node -> told.put("deleted " + node.getPath().replace(Checks.ROOT, "")))
                .forInitialized(() -> told.put("ready")).build());
            cache.start();
            told.await("begin", items -> items.contains("ready"));
            NodeCache node = new NodeCache(curator, at("cached"));
            node.start(true);
            Checks.equal(node.getCurrentData().getData(), bytes("0"), "node");
            PathChildrenCache children = new PathChildrenCache(curator, at("cached"), true);
            children.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            Checks.Box<String> tree = new Checks.Box<>();
            TreeCache whole = new TreeCache(curator, at("cached"));
            whole.getListenable().addListener((client, event) -> {
                if (event.getType() == TreeCacheEvent.Type.NODE_ADDED) {
                    tree.put(event.getData().getPath().replace(Checks.ROOT, ""));
                }
            });
            whole.start();
            tree.await("root", items -> items.contains("/cached"));
            curator.create().forPath(at("cached/child"), bytes("c"));
            curator.setData().forPath(at("cached"), bytes("1"));
            told.await("change", items -> items.contains("changed 1"));
            Checks.until("child", () -> children.getCurrentData(at("cached/child")) != null);
            Checks.until("data", () -> Arrays.equals(node.getCurrentData().getData(), bytes("1")));
            tree.await("child", items -> items.contains("/cached/child"));
            curator.delete().forPath(at("cached/child"));
            List<String> seen = told.await("end", items -> items.contains("deleted /cached/child"));
            Checks.equal(seen, Arrays.asList("created /cached", "ready", "created /cached/child", "changed 1",
                "deleted /cached/child"), "told");
            Checks.until("end of the child", () -> children.getCurrentData().isEmpty());
            whole.close();
            children.close();
            node.close();
            cache.close();
        });
        Checks.check("standing_nodes", () -> {
            PersistentNode node = new PersistentNode(curator, CreateMode.EPHEMERAL, false, at("standing"), bytes("here"));
            node.start();
            Checks.equal(node.waitForInitialCreate(30, TimeUnit.SECONDS), true, "created");
            curator.delete().forPath(at("standing"));
            Checks.until("node again", () -> curator.checkExists().forPath(at("standing")) != null);
            node.close();
            PersistentTtlNode lasting = new PersistentTtlNode(curator, at("touched"), 60_000, bytes("here"));
            lasting.start();
            Checks.equal(lasting.waitForInitialCreate(30, TimeUnit.SECONDS), true, "created");
            lasting.close();
            GroupMember member = new GroupMember(curator, at("group"), "me");
            member.start();
            Checks.until("member", () -> curator.checkExists().forPath(at("group/me")) != null);
            Checks.equal(member.getCurrentMembers().keySet().contains("me"), true, "members");
            member.close();
            Checks.Box<String> events = new Checks.Box<>();
            PersistentWatcher watcher = new PersistentWatcher(curator, at("group"), true);
            watcher.getListenable().addListener(event -> events.put(event(event)));
            Checks.Box<String> set = new Checks.Box<>();
            watcher.getResetListenable().addListener(() -> set.put("set"));
            watcher.start();
            set.await("watch", items -> !items.isEmpty());
            curator.create().forPath(at("group/other"));
            events.await("event", items -> items.contains("NodeCreated /group/other"));
            watcher.close();
        });
        Checks.check("service_discovery", () -> {
            ServiceInstance<Void> instance = ServiceInstance.<Void>builder().name("web").id("one").address("127.0.0.1")
                .port(8080).build();
            ServiceDiscovery<Void> discovery = ServiceDiscoveryBuilder.builder(Void.class).client(curator)
                .basePath(at("services")).build();
            discovery.start();
            ServiceCache<Void> cache = discovery.serviceCacheBuilder().name("web").build();
            cache.start();
            ServiceProvider<Void> provider = discovery.serviceProviderBuilder().serviceName("web").build();
            provider.start();
            discovery.registerService(instance);
            Checks.until("instance in the cache", () -> cache.getInstances().size() == 1);
            Checks.until("instance", () -> provider.getInstance() != null);
            Checks.equal(provider.getInstance().getPort(), 8080, "port");
            Checks.equal(discovery.queryForNames().contains("web"), true, "name");
            discovery.unregisterService(instance);
            Checks.until("end of the instance", () -> cache.getInstances().isEmpty());
            provider.close();
            cache.close();
            discovery.close();
        });
    }

    private static void sessions() {
        Checks.check("a_lost_connection", () -> {
            Checks.Box<ConnectionState> states = new Checks.Box<>();
            Checks.Box<String> events = new Checks.Box<>();
            CuratorFramework other = connect();
            other.getConnectionStateListenable().addListener((client, state) -> states.put(state));
            other.create().withMode(CreateMode.EPHEMERAL).forPath(at("survivor"));
            other.checkExists().usingWatcher((Watcher) event -> {
                if (event.getPath() != null) {
                    events.put(event(event));
                }
            }).forPath(at("survivor"));
            long session = other.getZookeeperClient().getZooKeeper().getSessionId();
            Checks.please("drop");
            List<ConnectionState> seen = states.await("reconnection", all -> all.contains(ConnectionState.RECONNECTED));
            Checks.equal(seen.contains(ConnectionState.SUSPENDED), true, "suspended before");
            Checks.equal(other.getZookeeperClient().getZooKeeper().getSessionId(), session, "session");
            curator.setData().forPath(at("survivor"), bytes("1"));
            Checks.equal(events.await("event", items -> !items.isEmpty()).get(0), "NodeDataChanged /survivor", "event");
            other.close();
        });
        Checks.check("lasting_watches_outlive_a_connection", () -> {
            Checks.Box<ConnectionState> states = new Checks.Box<>();
            Checks.Box<String> events = new Checks.Box<>();
            CuratorFramework other = connect();
            other.getConnectionStateListenable().addListener((client, state) -> states.put(state));
            other.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher((Watcher) event -> {
                if (event.getPath() != null) {
                    events.put(event(event));
                }
            }).forPath(at("x"));
            Checks.please("restart");
            states.await("reconnection", seen -> seen.contains(ConnectionState.RECONNECTED));
            // The answer comes behind that to the request that sets the watches again.
            synced(other, at("x"));
            curator.create().orSetData().forPath(at("x/later"));
            Checks.equal(events.await("event", items -> !items.isEmpty()).get(0), "NodeCreated /x/later", "event");
            other.close();
        });
        Checks.check("pings_keep_an_idle_session", () -> {
            Checks.Box<ConnectionState> states = new Checks.Box<>();
            CuratorFramework idle = connect(3000);
            idle.getConnectionStateListenable().addListener((client, state) -> states.put(state));
            idle.create().withMode(CreateMode.EPHEMERAL).forPath(at("idle"));
            Thread.sleep(3800);
            Checks.equal(states.items().contains(ConnectionState.SUSPENDED), false, "suspended");
            Checks.equal(curator.checkExists().forPath(at("idle")) != null, true, "exists after more than the timeout");
            idle.close();
        });
        Checks.check("an_expired_session_and_the_next", () -> {
            Checks.Box<ConnectionState> states = new Checks.Box<>();
            CuratorFramework other = connect();
            other.getConnectionStateListenable().addListener((client, state) -> states.put(state));
            PersistentNode node = new PersistentNode(other, CreateMode.EPHEMERAL, false, at("again"), bytes("here"));
            node.start();
            Checks.equal(node.waitForInitialCreate(30, TimeUnit.SECONDS), true, "created");
            ZooKeeper session = other.getZookeeperClient().getZooKeeper();
            long before = session.getSessionId();
            Checks.expire(before, session.getSessionPasswd());
            states.await("loss", seen -> seen.contains(ConnectionState.LOST));
            states.await("return", seen -> seen.contains(ConnectionState.RECONNECTED));
            Checks.until("node of the next session", () -> {
                Stat stat = curator.checkExists().forPath(at("again"));
                return stat != null && stat.getEphemeralOwner() != before;
            });
            node.close();
            other.close();
        });
        Checks.check("closing_ends_the_session", () -> {
            CuratorFramework other = connect();
            curator.create().withMode(CreateMode.EPHEMERAL).forPath(at("last"));
            curator.close();
            Checks.equal(other.checkExists().forPath(at("last")), null, "exists");
            other.close();
        });
    }

    /** The jar does not say, but the link beside it does. */
    private static String version() throws Exception {
        java.net.URL jar = CuratorFramework.class.getProtectionDomain().getCodeSource().getLocation();
        for (String name : new java.io.File(jar.toURI()).getParentFile().list()) {
            if (name.matches("curator-framework-.*\\.jar")) {
                return name.replaceAll("curator-framework-|\\.jar", "");
            }
        }
        throw new AssertionError("no version beside " + jar);
    }

    public static void main(String[] arguments) throws Exception {
        String version = version();
        Checks.say("client Curator " + version + " on ZooKeeper for Java " + org.apache.zookeeper.Version.getVersion());
        curator = connect();
        curator.create().forPath(Checks.ROOT);
        framework();
        locks();
        data();
        sessions();
        Checks.run();
    }

    private CuratorClient() {
    }
}
