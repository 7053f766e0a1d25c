import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.retry.RetryOneTime;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;

/** Does with Curator what each line of the input says, and answers it by its number. */
final class Partner {
    private static final int WAIT_MS = 20_000, TRY_MS = 300;

    private final CuratorFramework curator;
    private final Map<String, InterProcessReadWriteLock> readWrites = new HashMap<>();
    private final Map<String, InterProcessMutex> mutexes = new HashMap<>();
    private final Map<String, Collection<Lease>> leases = new HashMap<>();
    private final Map<String, LeaderLatch> latches = new HashMap<>();
    private final Map<String, DistributedDoubleBarrier> doubles = new HashMap<>();
    private final Map<String, GroupMember> members = new HashMap<>();

    private Partner(CuratorFramework curator) {
        this.curator = curator;
    }

    public static void main(String[] args) throws Exception {
        try (CuratorFramework f = CuratorFrameworkFactory.newClient(args[0], new RetryOneTime(100))) {
            f.start();
            f.blockUntilConnected();
            Partner p = new Partner(f);
            BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                String[] words = line.split(" ");
                String answer;
                try {
                    answer = p.does(words[1], words[2], Arrays.copyOfRange(words, 3, words.length));
                } catch (Exception e) {
                    answer = "failed: " + e;
                }
                System.out.println(words[0] + " " + answer);
            }
        }
    }

    private String does(String what, String path, String[] more) throws Exception {
        InterProcessMutex mutex = mutexes.computeIfAbsent(path, p -> new InterProcessMutex(curator, p));
        InterProcessReadWriteLock readWrite = readWrites.computeIfAbsent(path, p -> new InterProcessReadWriteLock(curator, p));
        switch (what) {
            case "lock": return acquire(mutex, WAIT_MS);
            case "trylock": return acquire(mutex, TRY_MS);
            case "unlock": return release(mutex);
            case "write": return acquire(readWrite.writeLock(), WAIT_MS);
            case "trywrite": return acquire(readWrite.writeLock(), TRY_MS);
            case "unwrite": return release(readWrite.writeLock());
            case "read": return acquire(readWrite.readLock(), WAIT_MS);
            case "tryread": return acquire(readWrite.readLock(), TRY_MS);
            case "unread": return release(readWrite.readLock());
            case "lease": return lease(path, Integer.parseInt(more[0]), Integer.parseInt(more[1]), WAIT_MS);
            case "trylease": return lease(path, Integer.parseInt(more[0]), Integer.parseInt(more[1]), TRY_MS);
            case "unlease":
                new InterProcessSemaphoreV2(curator, path, 1).returnAll(leases.remove(path));
                return "done";
            case "latch":
                latches.put(path, new LeaderLatch(curator, path, more[0]));
                latches.get(path).start();
                return "done";
            case "await":
                return latches.get(path).await(WAIT_MS, TimeUnit.MILLISECONDS) ? "yes" : "no";
            case "leader": return latches.get(path).getLeader().getId();
            case "resign":
                latches.remove(path).close();
                return "done";
            case "add":
                return "" + new DistributedAtomicLong(curator, path, new RetryOneTime(1)).add(Long.parseLong(more[0])).postValue();
            case "raise":
                new DistributedBarrier(curator, path).setBarrier();
                return "done";
            case "lower":
                new DistributedBarrier(curator, path).removeBarrier();
                return "done";
            case "wait":
                return new DistributedBarrier(curator, path).waitOnBarrier(WAIT_MS, TimeUnit.MILLISECONDS) ? "yes" : "no";
            case "enter":
                doubles.put(path, new DistributedDoubleBarrier(curator, path, Integer.parseInt(more[0])));
                return doubles.get(path).enter(WAIT_MS, TimeUnit.MILLISECONDS) ? "yes" : "no";
            case "leave":
                return doubles.remove(path).leave(WAIT_MS, TimeUnit.MILLISECONDS) ? "yes" : "no";
            case "join":
                members.put(path, new GroupMember(curator, path, more[0], "theirs".getBytes()));
                members.get(path).start();
                return "done";
            case "members": return new TreeSet<>(members.get(path).getCurrentMembers().keySet()).toString();
            case "register": return register(path, more[0], more[1]);
            case "find": return find(path, more[0]);
            default: return "unknown";
        }
    }

    private static String acquire(InterProcessLock lock, int ms) throws Exception {
        return lock.acquire(ms, TimeUnit.MILLISECONDS) ? "yes" : "no";
    }

    private static String release(InterProcessLock lock) throws Exception {
        lock.release();
        return "done";
    }

    private String lease(String path, int n, int size, int ms) throws Exception {
        Collection<Lease> got = new InterProcessSemaphoreV2(curator, path, size).acquire(n, ms, TimeUnit.MILLISECONDS);
        if (got == null) {
            return "no";
        }
        leases.put(path, got);
        return "yes";
    }

    private ServiceDiscovery<Void> discovery(String root) throws Exception {
        ServiceDiscovery<Void> d = ServiceDiscoveryBuilder.builder(Void.class).client(curator).basePath(root).build();
        d.start();
        return d;
    }

    private String register(String root, String service, String id) throws Exception {
        discovery(root).registerService(ServiceInstance.<Void>builder().name(service).id(id).address("10.0.0.2").port(2).build());
        return "done";
    }

    private String find(String root, String service) throws Exception {
        List<String> found = new ArrayList<>();
        for (ServiceInstance<Void> in : discovery(root).queryForInstances(service)) {
            found.add(in.getId() + "@" + in.getAddress() + ":" + in.getPort());
        }
        return new TreeSet<>(found).toString();
    }
}
