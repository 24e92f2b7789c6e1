import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;

/**
 * Dubbo's registry of interfaces as Dubbo for Java makes its calls, on Curator: all of an instance stands in the leaf's
 * name, a URL as java.net.URLEncoder encodes it. Dubbo itself is not packaged by Debian.
 */
final class DubboInterface {
    /** An ephemeral leaf in persistent directories; one that is there is replaced. */
    static String provide(CuratorFramework curator, String dir, String url) throws Exception {
        for (int end = dir.indexOf('/', 1); end > 0; end = dir.indexOf('/', end + 1)) {
            persistent(curator, dir.substring(0, end));
        }
        persistent(curator, dir);
        String leaf = dir + "/" + URLEncoder.encode(url, StandardCharsets.UTF_8.name());
        byte[] host = url.replaceAll("^[a-z]*://|[:/].*", "").getBytes(StandardCharsets.UTF_8);
        try {
            curator.create().withMode(CreateMode.EPHEMERAL).forPath(leaf, host);
        } catch (KeeperException.NodeExistsException there) {
            curator.delete().forPath(leaf);
            curator.create().withMode(CreateMode.EPHEMERAL).forPath(leaf, host);
        }
        return leaf;
    }

    private static void persistent(CuratorFramework curator, String path) throws Exception {
        if (curator.checkExists().forPath(path) == null) {
            curator.create().forPath(path, new byte[0]);
        }
    }

    /** Tells the URLs in a directory, and again whenever its children have changed. */
    static void subscribe(CuratorFramework curator, String dir, Consumer<String> tell) throws Exception {
        tell(tell, curator.getChildren().usingWatcher((CuratorWatcher) event -> {
            if (event.getPath() != null) {
                subscribe(curator, dir, tell);
            }
        }).forPath(dir));
    }

    private static void tell(Consumer<String> tell, List<String> names) throws Exception {
        TreeSet<String> urls = new TreeSet<>();
        for (String name : names) {
            urls.add(URLDecoder.decode(name, StandardCharsets.UTF_8.name()));
        }
        tell.accept(String.join(" ", urls));
    }

    private DubboInterface() {
    }
}
