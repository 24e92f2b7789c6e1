import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceInstanceBuilder;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.curator.x.discovery.ServiceType;
import org.apache.curator.x.discovery.UriSpec;
import org.apache.curator.x.discovery.details.JsonInstanceSerializer;
import org.apache.curator.x.discovery.details.ServiceCacheListener;

/**
 * Curator's service discovery, which does what it is asked line by line. Payloads are maps, or of the classes that Spring
 * Cloud ZooKeeper and Dubbo use; each of them builds its ServiceDiscovery as here.
 */
public final class CuratorRegistry<T> {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static CuratorRegistry<?> open;

    private final ServiceDiscovery<T> discovery;
    private final Class<T> payload;
    private final Map<String, ServiceCache<T>> caches = new HashMap<>();
    private final Map<String, ServiceProvider<T>> providers = new HashMap<>();

    private CuratorRegistry(CuratorFramework curator, String base, Class<T> payload, boolean compatible) throws Exception {
        this.payload = payload;
        discovery = ServiceDiscoveryBuilder.builder(payload).client(curator).basePath(base)
            .serializer(new JsonInstanceSerializer<>(payload, compatible)).build();
        discovery.start();
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework curator = CuratorFrameworkFactory.builder().connectString(System.getenv("INTEROP_CONNECT"))
            .sessionTimeoutMs(10_000).retryPolicy(new RetryNTimes(10, 100)).build();
        // A discovery that hears of the first connection deletes and makes again what has been registered by then.
        CountDownLatch connected = new CountDownLatch(1);
        curator.getConnectionStateListenable().addListener((client, state) -> connected.countDown());
        curator.start();
        connected.await();
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            try {
                say("= " + answer(curator, line));
            } catch (Throwable why) {
                why.printStackTrace();
                say(("! " + why).replace('\n', ' '));
            }
        }
        Runtime.getRuntime().halt(0);
    }

    private static synchronized void say(String line) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        System.out.write(bytes, 0, bytes.length);
        System.out.flush();
    }

    private static String answer(CuratorFramework curator, String line) throws Exception {
        String[] words = line.split(" ", 2);
        String rest = words.length > 1 ? words[1] : "";
        switch (words[0]) {
            case "version":
                return version();
            case "open": {
                // The class of payloads, the base path, and whether `enabled` is left out.
                String[] how = rest.split(" ");
                open = new CuratorRegistry<>(curator, how[1], Class.forName(how[0]), Boolean.parseBoolean(how[2]));
                return "open";
            }
            case "provide": {
                // The directory and the URL.
                String[] what = rest.split(" ");
                return DubboInterface.provide(curator, what[0], what[1]);
            }
            case "delete":
                curator.delete().forPath(rest);
                return "deleted";
            case "subscribe":
                DubboInterface.subscribe(curator, rest, urls -> say("* " + urls));
                return "subscribed";
            default:
                return open.answer(words[0], rest);
        }
    }

    /** The jar does not say, but the link beside it does. */
    private static String version() throws Exception {
        Path jar = Paths.get(ServiceDiscovery.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        try (DirectoryStream<Path> links = Files.newDirectoryStream(jar.getParent(), "curator-x-discovery-*.jar")) {
            String name = links.iterator().next().getFileName().toString();
            return name.replaceAll("curator-x-discovery-|\\.jar", "");
        }
    }

    private String answer(String verb, String rest) throws Exception {
        switch (verb) {
            case "register": {
                ServiceInstance<T> instance = instance(rest);
                discovery.registerService(instance);
                return instance.getId();
            }
            case "update":
                discovery.updateService(instance(rest));
                return "updated";
            case "unregister":
                discovery.unregisterService(instance(rest));
                return "unregistered";
            case "names":
                return JSON.writeValueAsString(new ArrayList<>(discovery.queryForNames()));
            case "query":
                return describe(discovery.queryForInstances(rest));
            case "watch":
                watch(rest);
                return "watching";
            case "cached":
                return describe(caches.get(rest).getInstances());
            case "provided":
                return describe(providers.get(rest).getAllInstances());
            case "pick": {
                ServiceInstance<T> picked = providers.get(rest).getInstance();
                return picked == null ? "null" : describe(picked).toString();
            }
            case "close":
                discovery.close();
                return "closed";
            default:
                throw new IllegalArgumentException(verb);
        }
    }

    /** A cache that tells of each change all that it then has, and a provider beside it. */
    private void watch(String name) throws Exception {
        ServiceProvider<T> provider = discovery.serviceProviderBuilder().serviceName(name).build();
        provider.start();
        providers.put(name, provider);
        ServiceCache<T> cache = discovery.serviceCacheBuilder().name(name).build();
        cache.addListener(new ServiceCacheListener() {
            @Override
            public void cacheChanged() {
                say("* " + describe(cache.getInstances()));
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {
            }
        });
        cache.start();
        caches.put(name, cache);
        say("* " + describe(cache.getInstances()));
    }

    private ServiceInstance<T> instance(String text) throws Exception {
        JsonNode json = JSON.readTree(text);
        ServiceInstanceBuilder<T> builder = ServiceInstance.<T>builder().name(json.get("name").asText())
            .id(json.get("id").asText()).address(json.path("address").asText("10.0.0.5"))
            .uriSpec(new UriSpec("{scheme}://{address}:{port}"))
            .serviceType(ServiceType.valueOf(json.path("type").asText("DYNAMIC")))
            .enabled(json.path("enabled").asBoolean(true));
        if (json.has("port")) {
            builder.port(json.get("port").asInt());
        }
        if (json.has("ssl")) {
            builder.sslPort(json.get("ssl").asInt());
        }
        if (json.has("time")) {
            builder.registrationTimeUTC(json.get("time").asLong());
        }
        if (json.has("payload")) {
            builder.payload(payload == Object.class ? payload.cast(plain(json.get("payload")))
                : JSON.treeToValue(json.get("payload"), payload));
        }
        return builder.build();
    }

    /** Payloads of the classes that Java has for them; what is mapped stays in its order. */
    private static Object plain(JsonNode json) {
        if (json.isObject()) {
            Map<String, Object> map = new LinkedHashMap<>();
            json.fields().forEachRemaining(field -> map.put(field.getKey(), plain(field.getValue())));
            return map;
        }
        if (json.isArray()) {
            List<Object> list = new ArrayList<>();
            json.forEach(item -> list.add(plain(item)));
            return list;
        }
        return json.isNumber() ? (Object) json.asLong() : json.asText();
    }

    private static <T> String describe(Collection<ServiceInstance<T>> instances) {
        List<ServiceInstance<T>> sorted = new ArrayList<>(instances);
        sorted.sort(Comparator.comparing(ServiceInstance::getId));
        ArrayNode list = JSON.createArrayNode();
        sorted.forEach(instance -> list.add(describe(instance)));
        return list.toString();
    }

    /** What Curator made of an instance, by its own getters. */
    private static <T> ObjectNode describe(ServiceInstance<T> instance) {
        ObjectNode json = JSON.createObjectNode();
        json.put("name", instance.getName()).put("id", instance.getId()).put("address", instance.getAddress());
        json.put("port", instance.getPort()).put("ssl", instance.getSslPort());
        json.put("type", String.valueOf(instance.getServiceType())).put("enabled", instance.isEnabled());
        json.put("uri", instance.buildUriSpec()).put("time", instance.getRegistrationTimeUTC());
        T payload = instance.getPayload();
        json.put("class", payload == null ? null : payload.getClass().getName());
        json.set("payload", JSON.valueToTree(payload));
        return json;
    }
}
