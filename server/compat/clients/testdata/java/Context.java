import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooDefs.Ids;

/** What a check gets: clients of the service, closed after it, whose paths begin below a root of the suite. */
final class Context {
    static final int WITHIN_MS = 20_000;
    private static final int AT_ONCE = 6; // checks, most of which wait most of the time
    static final int TIMEOUT_MS = 15_000;
    static final int RETRY_MS = 60_000; // of a service whose servers die

    final String hosts, root;
    private final List<AutoCloseable> opened = new ArrayList<>();
    private final ExecutorService threads = Executors.newCachedThreadPool(r -> {
        Thread t = new Thread(r);
        t.setDaemon(true);
        return t;
    });

    Context(String hosts, String name) {
        this.hosts = hosts;
        this.root = "/compat-" + name + "-" + ProcessHandle.current().pid();
    }

    /** Runs the checks, some at a time, and prints `ok NAME` or `FAIL NAME: why` for each. */
    static boolean run(String hosts, String name, Map<String, Check> checks) throws Exception {
        Context setup = new Context(hosts, name);
        setup.outside().create(setup.root, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        setup.close();
        ExecutorService pool = Executors.newFixedThreadPool(AT_ONCE);
        List<Future<Boolean>> results = new ArrayList<>();
        for (Map.Entry<String, Check> e : checks.entrySet()) {
            results.add(pool.submit(() -> passes(hosts, name, e.getKey(), e.getValue())));
        }
        boolean fine = true;
        for (Future<Boolean> r : results) {
            fine &= r.get();
        }
        return fine;
    }

    private static boolean passes(String hosts, String name, String label, Check check) {
        Context c = new Context(hosts, name);
        try {
            check.run(c);
            System.out.println("ok " + label);
            return true;
        } catch (Throwable t) {
            System.out.println("FAIL " + label + ": " + t + " at " + places(t));
            return false;
        } finally {
            c.close();
        }
    }

    private static String places(Throwable t) {
        StringBuilder out = new StringBuilder();
        for (Throwable at = t; at != null; at = at.getCause()) {
            for (StackTraceElement e : at.getStackTrace()) {
                if (e.getClassName().indexOf('.') < 0) {
                    out.append(e.getFileName()).append(':').append(e.getLineNumber()).append(' ');
                }
            }
        }
        return out.toString().trim();
    }

    /** A connected client. */
    Client client() throws Exception {
        return client("");
    }

    Client client(String chroot) throws Exception {
        return connected(new Client(hosts + root + chroot, TIMEOUT_MS, 0, null));
    }

    /** A client of another connect string, as that of a Proxy, which does not wait until it is connected. */
    Client through(String connect, long session, byte[] password) throws Exception {
        return keep(new Client(connect + root, TIMEOUT_MS, session, password));
    }

    Client outside() throws Exception {
        return connected(new Client(hosts, TIMEOUT_MS, 0, null));
    }

    private Client connected(Client client) throws Exception {
        keep(client);
        client.awaitConnected();
        return client;
    }

    CuratorFramework curator() throws Exception {
        return curator(CuratorFrameworkFactory.builder());
    }

    /** A started Curator with the root as its namespace. */
    CuratorFramework curator(CuratorFrameworkFactory.Builder builder) throws Exception {
        CuratorFramework f = keep(builder.connectString(hosts).sessionTimeoutMs(TIMEOUT_MS).namespace(root.substring(1))
                .retryPolicy(new RetryForever(50)).build());
        f.start();
        isTrue("connected", f.blockUntilConnected(WITHIN_MS, TimeUnit.MILLISECONDS));
        return f;
    }

    <T extends AutoCloseable> T keep(T closed) {
        opened.add(closed);
        return closed;
    }

    <T> Future<T> inBackground(Callable<T> call) {
        return threads.submit(call);
    }

    static <T> T get(Future<T> future) throws Exception {
        return future.get(WITHIN_MS, TimeUnit.MILLISECONDS);
    }

    void close() {
        for (int i = opened.size() - 1; i >= 0; i--) {
            try {
                opened.get(i).close();
            } catch (Exception e) {
                // what a check has broken on purpose
            }
        }
        threads.shutdownNow();
    }

    static void equal(String what, Object want, Object got) {
        boolean same = want instanceof byte[] && got instanceof byte[]
                ? Arrays.equals((byte[]) want, (byte[]) got) : Objects.equals(want, got);
        if (!same) {
            throw new AssertionError(what + " is " + show(got) + ", want " + show(want));
        }
    }

    static void isTrue(String what, boolean condition) {
        if (!condition) {
            throw new AssertionError("not so: " + what);
        }
    }

    private static String show(Object o) {
        return o instanceof byte[] ? Arrays.toString(Arrays.copyOf((byte[]) o, Math.min(64, ((byte[]) o).length))) : String.valueOf(o);
    }

    interface Action {
        void run() throws Exception;
    }

    static void refuses(KeeperException.Code code, Action call) throws Exception {
        try {
            call.run();
        } catch (KeeperException e) {
            equal("code", code, e.code());
            return;
        }
        throw new AssertionError("no exception, want " + code);
    }

    /** Calls again while the connection is lost. */
    static <T> T retry(Callable<T> call) throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(RETRY_MS);
        while (true) {
            try {
                return call.call();
            } catch (KeeperException.ConnectionLossException e) {
                isTrue("connected again, in time", System.nanoTime() < end);
                Thread.sleep(10);
            }
        }
    }

    static void eventually(String what, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(WITHIN_MS);
        while (!condition.call()) {
            isTrue(what + ", in time", System.nanoTime() < end);
            Thread.sleep(10);
        }
    }
}
