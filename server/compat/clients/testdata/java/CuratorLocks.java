import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Locker;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.framework.recipes.shared.SharedCount;

/** Curator's locks, semaphores and barriers. */
final class CuratorLocks {
    private static final int WORKERS = 3, ROUNDS = 8;

    static void add(Map<String, Check> m) {
        m.put("curator InterProcessMutex excludes", c -> counted(c, "/mutex", f -> new InterProcessMutex(f, "/mutex/lock")));
        m.put("curator InterProcessSemaphoreMutex excludes", c -> counted(c, "/semmutex", f -> new InterProcessSemaphoreMutex(f, "/semmutex/lock")));
        m.put("curator the write lock excludes", c -> counted(c, "/wlock", f -> new InterProcessReadWriteLock(f, "/wlock/lock").writeLock()));
        m.put("curator InterProcessMultiLock excludes",
                c -> counted(c, "/multi", f -> new InterProcessMultiLock(f, Arrays.asList("/multi/lock1", "/multi/lock2"))));
        m.put("curator a mutex is reentrant and can be revoked", CuratorLocks::mutex);
        m.put("curator InterProcessReadWriteLock", CuratorLocks::readWrite);
        m.put("curator InterProcessSemaphoreV2", CuratorLocks::semaphore);
        m.put("curator DistributedBarrier", CuratorLocks::barrier);
        m.put("curator DistributedDoubleBarrier", CuratorLocks::doubleBarrier);
    }

    /** Lets several clients count in a node, each read and write apart, and wants no count lost. */
    private static void counted(Context c, String path, Function<CuratorFramework, InterProcessLock> lock) throws Exception {
        c.curator().create().creatingParentsIfNeeded().forPath(path, "0".getBytes());
        List<Future<Void>> workers = new ArrayList<>();
        for (int i = 0; i < WORKERS; i++) {
            CuratorFramework f = c.curator();
            f.sync().forPath(path);
            InterProcessLock mine = lock.apply(f);
            workers.add(c.inBackground(() -> {
                for (int k = 0; k < ROUNDS; k++) {
                    try (Locker held = new Locker(mine, Context.WITHIN_MS, TimeUnit.MILLISECONDS)) {
                        int n = Integer.parseInt(new String(f.getData().forPath(path)));
                        f.setData().forPath(path, String.valueOf(n + 1).getBytes());
                    }
                }
                return null;
            }));
        }
        for (Future<Void> w : workers) {
            Context.get(w);
        }
        CuratorFramework f = c.curator();
        f.sync().forPath(path);
        Context.equal("count", String.valueOf(WORKERS * ROUNDS), new String(f.getData().forPath(path)));
    }

    private static boolean tries(InterProcessLock lock) throws Exception {
        return lock.acquire(100, TimeUnit.MILLISECONDS);
    }

    private static void mutex(Context c) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(c.curator(), "/im");
        CuratorFramework other = c.curator();
        InterProcessMutex theirs = new InterProcessMutex(other, "/im");
        CompletableFuture<Void> revoked = new CompletableFuture<>();
        mine.makeRevocable(l -> revoked.complete(null));
        Context.isTrue("acquired", mine.acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        mine.acquire();
        mine.release();
        Context.isTrue("still held", mine.isOwnedByCurrentThread());
        other.sync().forPath("/im");
        Context.equal("another gets it", false, tries(theirs));
        Revoker.attemptRevoke(other, theirs.getParticipantNodes().iterator().next());
        Context.get(revoked);
        mine.release();
        Context.isTrue("another gets it", theirs.acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        theirs.release();
    }

    private static void readWrite(Context c) throws Exception {
        InterProcessReadWriteLock a = new InterProcessReadWriteLock(c.curator(), "/irw"), b = new InterProcessReadWriteLock(c.curator(), "/irw");
        Context.isTrue("a reads", a.readLock().acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        Context.isTrue("b reads", b.readLock().acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        Context.equal("a writes", false, c.inBackground(() -> tries(a.writeLock())).get());
        a.readLock().release();
        b.readLock().release();
        Context.isTrue("b writes", b.writeLock().acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        Context.isTrue("b reads under its own write lock", b.readLock().acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        Context.equal("a reads", false, tries(a.readLock()));
        b.writeLock().release();
        Context.isTrue("a reads", a.readLock().acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
    }

    private static void semaphore(Context c) throws Exception {
        InterProcessSemaphoreV2 a = new InterProcessSemaphoreV2(c.curator(), "/sem", 3), b = new InterProcessSemaphoreV2(c.curator(), "/sem", 3);
        Collection<Lease> two = a.acquire(2);
        Lease third = b.acquire();
        Context.equal("a fourth", null, b.acquire(100, TimeUnit.MILLISECONDS));
        Future<Lease> waiting = c.inBackground(() -> b.acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        a.returnAll(two);
        Context.isTrue("a lease comes free", Context.get(waiting) != null);
        Context.equal("holders", 2, b.getParticipantNodes().size());
        b.returnLease(third);
        SharedCount count = c.keep(new SharedCount(c.curator(), "/sem-count", 1));
        count.start();
        InterProcessSemaphoreV2 counted = new InterProcessSemaphoreV2(c.curator(), "/sem-counted", count);
        Context.isTrue("one", counted.acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS) != null);
        Context.equal("two", null, counted.acquire(100, TimeUnit.MILLISECONDS));
        count.setCount(2);
        Context.isTrue("two of two", counted.acquire(Context.WITHIN_MS, TimeUnit.MILLISECONDS) != null);
    }

    private static void barrier(Context c) throws Exception {
        CuratorFramework f = c.curator(), other = c.curator();
        DistributedBarrier barrier = new DistributedBarrier(f, "/barrier"), waiter = new DistributedBarrier(other, "/barrier");
        barrier.setBarrier();
        other.sync().forPath("/barrier");
        Context.equal("opened", false, waiter.waitOnBarrier(100, TimeUnit.MILLISECONDS));
        Future<Boolean> waiting = c.inBackground(() -> waiter.waitOnBarrier(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        barrier.removeBarrier();
        Context.equal("opened", true, Context.get(waiting));
    }

    private static void doubleBarrier(Context c) throws Exception {
        List<Future<Boolean>> members = new ArrayList<>();
        for (int i = 0; i < WORKERS; i++) {
            DistributedDoubleBarrier b = new DistributedDoubleBarrier(c.curator(), "/double", WORKERS);
            members.add(c.inBackground(() -> b.enter(Context.WITHIN_MS, TimeUnit.MILLISECONDS) && b.leave(Context.WITHIN_MS, TimeUnit.MILLISECONDS)));
        }
        for (Future<Boolean> m : members) {
            Context.equal("entered and left", true, Context.get(m));
        }
    }
}
