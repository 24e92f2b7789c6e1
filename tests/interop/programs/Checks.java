import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Predicate;

/** What the Java programs share; the lines are those of checks.py. */
final class Checks {
    static final String CONNECT = System.getenv("INTEROP_CONNECT");
    static final String REMOTE = System.getenv("INTEROP_REMOTE");
    static final String ROOT = System.getenv("INTEROP_ROOT");
    static final long DEADLINE_MS = 30_000;

    private static final Map<String, Check> CHECKS = new LinkedHashMap<>();
    private static final BufferedReader STDIN = new BufferedReader(new InputStreamReader(System.in));

    interface Check {
        void run() throws Exception;
    }

    static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    static void check(String name, Check check) {
        CHECKS.put(name, check);
    }

    /** Has the test do something to the server, and waits until it is done. */
    static void please(String what) throws Exception {
        say("do " + what);
        String answer = STDIN.readLine();
        if (!"done".equals(answer)) {
            throw new AssertionError("the test could not " + what + ": " + answer);
        }
    }

    static void expire(long session, byte[] password) throws Exception {
        StringBuilder hex = new StringBuilder();
        for (byte one : password) {
            hex.append(String.format("%02x", one));
        }
        please(String.format("expire %016x %s", session, hex));
    }

    static void equal(Object seen, Object wanted, String what) {
        boolean same = seen instanceof byte[] && wanted instanceof byte[]
            ? Arrays.equals((byte[]) seen, (byte[]) wanted)
            : Objects.equals(seen, wanted);
        if (!same) {
            throw new AssertionError(what + " is " + show(seen) + ", not " + show(wanted));
        }
    }

    private static String show(Object value) {
        return value instanceof byte[] ? Arrays.toString((byte[]) value) : String.valueOf(value);
    }

    static void raises(Class<? extends Throwable> kind, Callable<?> call) throws Exception {
        Object value;
        try {
            value = call.call();
        } catch (Exception why) {
            if (kind.isInstance(why)) {
                return;
            }
            throw why;
        }
        throw new AssertionError(kind.getSimpleName() + " was not raised; the answer was " + value);
    }

    /** Collects what callbacks are given. */
    static final class Box<T> {
        private final List<T> items = new ArrayList<>();

        synchronized void put(T item) {
            items.add(item);
            notifyAll();
        }

        synchronized List<T> items() {
            return new ArrayList<>(items);
        }

        /** Until {@code wanted} is true of the items, which are returned. */
        synchronized List<T> await(String what, Predicate<List<T>> wanted) throws InterruptedException {
            long deadline = System.currentTimeMillis() + DEADLINE_MS;
            while (!wanted.test(items)) {
                long left = deadline - System.currentTimeMillis();
                if (left <= 0) {
                    throw new AssertionError("no " + what + " within " + DEADLINE_MS + " ms; there were " + items);
                }
                wait(left);
            }
            return items();
        }
    }

    /** Looks until {@code wanted} is true, for what no callback tells. */
    static void until(String what, Callable<Boolean> wanted) throws Exception {
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        while (!wanted.call()) {
            if (System.currentTimeMillis() > deadline) {
                throw new AssertionError("no " + what + " within " + DEADLINE_MS + " ms");
            }
            Thread.sleep(10);
        }
    }

    static void run() {
        int failed = 0;
        for (Map.Entry<String, Check> check : CHECKS.entrySet()) {
            try {
                check.getValue().run();
                say("ok " + check.getKey());
            } catch (Throwable why) {
                failed++;
                why.printStackTrace();
                say(("FAILED " + check.getKey() + ": " + why).replace('\n', ' '));
            }
        }
        say("checked " + CHECKS.size());
        Runtime.getRuntime().halt(failed == 0 ? 0 : 1);
    }

    private Checks() {
    }
}
