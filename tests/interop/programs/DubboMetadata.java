import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.nio.charset.StandardCharsets;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.data.Stat;

/**
 * From an interface to who serves it, as a consumer of Dubbo 3 finds its way with Curator: the list of applications, their
 * instances, and what the revision of each says that it serves. Dubbo itself is not packaged by Debian.
 */
final class DubboMetadata {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Adds an application to the list of an interface's, by version, whoever else does so. */
    static void map(CuratorFramework curator, String root, String name, String application) throws Exception {
        String path = root + "/mapping/" + name;
        if (curator.checkExists().forPath(path) == null) {
            curator.create().creatingParentsIfNeeded().forPath(path, application.getBytes(StandardCharsets.UTF_8));
            return;
        }
        Stat stat = new Stat();
        String list = text(curator.getData().storingStatIn(stat).forPath(path));
        byte[] longer = (list + "," + application).getBytes(StandardCharsets.UTF_8);
        curator.setData().withVersion(stat.getVersion()).forPath(path, longer);
    }

    static <T> String resolve(CuratorFramework curator, ServiceDiscovery<T> discovery, String root, String name) throws Exception {
        ArrayNode found = JSON.createArrayNode();
        for (String application : text(curator.getData().forPath(root + "/mapping/" + name)).split(",")) {
            for (ServiceInstance<T> instance : discovery.queryForInstances(application)) {
                JsonNode metadata = JSON.valueToTree(instance.getPayload()).get("metadata");
                String revision = metadata.get("dubbo.metadata.revision").asText();
                JsonNode info = JSON.readTree(curator.getData().forPath(root + "/metadata/" + application + "/" + revision));
                if (!info.get("app").asText().equals(application) || !info.get("revision").asText().equals(revision)) {
                    throw new IllegalStateException("not of " + application + " at " + revision + ": " + info);
                }
                info.get("services").fields().forEachRemaining(service -> {
                    if (service.getValue().get("name").asText().equals(name)) {
                        found.addObject().put("application", application).put("key", service.getKey())
                            .put("address", instance.getAddress() + ":" + service.getValue().get("port").asInt())
                            .put("protocol", service.getValue().get("protocol").asText())
                            .put("path", service.getValue().get("path").asText());
                    }
                });
            }
        }
        return found.toString();
    }

    private static String text(byte[] data) {
        return new String(data, StandardCharsets.UTF_8);
    }

    private DubboMetadata() {
    }
}
