import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/**
 * Clients that live on while servers die. Prints `READY ADDRESS`, the server that it is on, and goes on until its input
 * ends; then nothing may have been lost.
 */
final class Failover {
    private static final int AT_LEAST = 50; // writes
    private static final int PACE_MS = 10; // between the writes of one writer
    private static final int AFTER_MS = 90_000; // for a write that was under way

    static void add(Map<String, Check> m) {
        m.put("java and curator: sessions live and nothing is lost", Failover::all);
    }

    private static volatile boolean over;

    private static void all(Context c) throws Exception {
        Raw raw = new Raw(c);
        Curators curators = new Curators(c);
        System.out.println("READY 127.0.0.1:" + raw.z.server().getPort());
        while (System.in.read() >= 0) {
            // until the servers have stopped dying
        }
        over = true;
        raw.check();
        curators.check();
    }

    /** The Java client: a log, a count, an ephemeral node and watches. */
    private static final class Raw {
        final Client z, writer, other;
        final long session;
        final Future<List<String>> writing;
        final Future<Integer> counting;
        final Events data = new Events(), child = new Events(), persistent = new Events(), recursive = new Events();

        Raw(Context c) throws Exception {
            z = c.client();
            writer = c.client();
            other = c.client();
            session = z.getSessionId();
            for (String path : Arrays.asList("/log", "/watched", "/tree")) {
                z.make(path, "");
            }
            z.make("/cas", "0");
            z.make("/ephemeral", "", CreateMode.EPHEMERAL);
            z.getData("/watched", data, null);
            z.getChildren("/watched", child);
            z.addWatch("/persistent", persistent, AddWatchMode.PERSISTENT);
            z.addWatch("/tree", recursive, AddWatchMode.PERSISTENT_RECURSIVE);
            writer.sync();
            writing = c.inBackground(this::write);
            counting = c.inBackground(this::count);
        }

        /** Creates nodes with names of their own and returns those acknowledged. */
        private List<String> write() throws Exception {
            List<String> acked = new ArrayList<>();
            long last = 0;
            while (!over || acked.size() < AT_LEAST) {
                String name = String.format("/log/n-%06d", acked.size());
                try {
                    Stat stat = new Stat();
                    writer.create(name, name.getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
                    Context.isTrue("czxid rises", stat.getCzxid() > last);
                    last = stat.getCzxid();
                } catch (KeeperException.ConnectionLossException e) {
                    Thread.sleep(PACE_MS);
                    continue; // whether it was done shows when it is tried again
                } catch (KeeperException.NodeExistsException e) {
                    // by the try before
                }
                acked.add(name);
                Context.equal("own write", name, Context.retry(() -> writer.read(name)));
                Thread.sleep(PACE_MS);
            }
            return acked;
        }

        /** Raises a number by compare and set. */
        private int count() throws Exception {
            int n = 0, version = 0;
            while (!over) {
                byte[] next = String.valueOf(n + 1).getBytes();
                try {
                    version = writer.setData("/cas", next, version).getVersion();
                    n++;
                } catch (KeeperException.ConnectionLossException e) {
                    Stat stat = new Stat();
                    int was = n;
                    n = Integer.parseInt(new String(Context.retry(() -> {
                        writer.sync();
                        return writer.getData("/cas", false, stat);
                    })));
                    Context.isTrue("the count went from " + was + " to " + n, n == was || n == was + 1);
                    version = stat.getVersion();
                }
                Thread.sleep(PACE_MS);
            }
            return n;
        }

        void check() throws Exception {
            List<String> acked = writing.get(AFTER_MS, TimeUnit.MILLISECONDS);
            int counted = counting.get(AFTER_MS, TimeUnit.MILLISECONDS);
            Context.equal("expired", false, z.events.was(KeeperState.Expired) || writer.events.was(KeeperState.Expired));
            Context.equal("session", session, z.getSessionId());
            Stat ephemeral = Context.retry(() -> z.exists("/ephemeral", false));
            Context.isTrue("the ephemeral node is there", ephemeral != null && ephemeral.getEphemeralOwner() == session);
            Context.retry(() -> {
                z.sync();
                return null;
            });
            Context.equal("count", String.valueOf(counted), Context.retry(() -> z.read("/cas")));
            for (String name : acked) {
                Context.equal("acknowledged", name, Context.retry(() -> z.read(name)));
            }
            Set<String> there = new HashSet<>();
            for (String name : Context.retry(() -> z.getChildren("/log", false))) {
                there.add("/log/" + name);
            }
            Context.equal("nodes", new HashSet<>(acked), there);
            watches();
        }

        private void watches() throws Exception {
            Context.retry(() -> other.put("/watched", "1"));
            Context.retry(() -> other.make("/watched/x", ""));
            Context.retry(() -> other.make("/persistent", ""));
            Context.retry(() -> other.make("/tree/x", ""));
            data.await("NodeDataChanged /watched");
            child.await("NodeChildrenChanged /watched");
            persistent.await("NodeCreated /persistent");
            recursive.await("NodeCreated /tree/x");
        }
    }

    /** Curator: a lock that is held, a leader, a cache, a kept node and a count. */
    private static final class Curators {
        final CuratorFramework f, other;
        final InterProcessMutex held, wanted;
        final LeaderLatch leads, follows;
        final CuratorCache cache;
        final PersistentNode kept;
        final Future<Long> counting;
        final List<ConnectionState> states = Collections.synchronizedList(new ArrayList<>());

        Curators(Context c) throws Exception {
            f = c.curator();
            other = c.curator();
            f.getConnectionStateListenable().addListener((client, state) -> states.add(state));
            held = new InterProcessMutex(f, "/mutex");
            wanted = new InterProcessMutex(other, "/mutex");
            held.acquire();
            leads = c.keep(new LeaderLatch(f, "/latch", "first"));
            leads.start();
            Context.isTrue("leads", leads.await(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
            follows = c.keep(new LeaderLatch(other, "/latch", "second"));
            follows.start();
            f.create().forPath("/cached");
            cache = c.keep(CuratorCache.build(f, "/cached"));
            cache.start();
            kept = c.keep(new PersistentNode(f, CreateMode.EPHEMERAL, false, "/kept", new byte[0]));
            kept.start();
            DistributedAtomicLong n = new DistributedAtomicLong(other, "/long", new RetryNTimes(5, 10));
            counting = c.inBackground(() -> count(n));
        }

        /** The least that the count must be: an increment whose answer was lost may have been done. */
        private long count(DistributedAtomicLong n) throws Exception {
            long sure = 0;
            while (!over || sure < AT_LEAST) {
                AtomicValue<Long> got = n.increment();
                if (got.succeeded()) {
                    Context.isTrue("the count rises", got.postValue() > sure);
                    sure++;
                }
                other.create().orSetData().forPath("/cached/" + sure % 10, String.valueOf(sure).getBytes());
                Thread.sleep(PACE_MS);
            }
            return sure;
        }

        void check() throws Exception {
            long sure = counting.get(AFTER_MS, TimeUnit.MILLISECONDS);
            Context.equal("a session was lost", false, states.contains(ConnectionState.LOST));
            f.sync().forPath("/");
            Context.isTrue("no increment is lost", new DistributedAtomicLong(f, "/long", new RetryNTimes(5, 10)).get().postValue() >= sure);
            Context.isTrue("the lock is held", held.isAcquiredInThisProcess());
            Context.equal("another gets the lock", false, wanted.acquire(200, TimeUnit.MILLISECONDS));
            held.release();
            Context.isTrue("another gets the lock", wanted.acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
            Context.eventually("one leads", () -> leads.hasLeadership() ^ follows.hasLeadership());
            Context.isTrue("the kept node", f.checkExists().forPath("/kept") != null);
            other.create().orSetData().forPath("/cached/last", new byte[0]);
            Context.eventually("the cache holds the tree", () -> {
                for (String name : other.getChildren().forPath("/cached")) {
                    byte[] want = other.getData().forPath("/cached/" + name);
                    if (!cache.get("/cached/" + name).map(n -> Arrays.equals(want, n.getData())).orElse(false)) {
                        return false;
                    }
                }
                return true;
            });
        }
    }
}
