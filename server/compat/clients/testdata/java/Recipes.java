import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.recipes.leader.LeaderElectionSupport;
import org.apache.zookeeper.recipes.lock.LockListener;
import org.apache.zookeeper.recipes.lock.WriteLock;
import org.apache.zookeeper.recipes.queue.DistributedQueue;

/** The recipes that come with ZooKeeper. */
final class Recipes {
    static void add(Map<String, Check> m) {
        m.put("java recipe WriteLock", Recipes::lock);
        m.put("java recipe DistributedQueue", Recipes::queue);
        m.put("java recipe LeaderElectionSupport", Recipes::election);
    }

    private static void lock(Context c) throws Exception {
        c.client().make("/wl", "");
        LinkedBlockingQueue<String> turns = new LinkedBlockingQueue<>();
        List<WriteLock> locks = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            String name = "lock" + i;
            Client z = c.client();
            z.sync();
            WriteLock lock = new WriteLock(z, "/wl", Ids.OPEN_ACL_UNSAFE, new LockListener() {
                @Override
                public void lockAcquired() {
                    turns.add(name);
                }

                @Override
                public void lockReleased() {
                }
            });
            locks.add(lock);
            lock.lock();
        }
        for (int i = 0; i < 3; i++) {
            Context.equal("turn", "lock" + i, turns.poll(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
            Context.isTrue("owner", locks.get(i).isOwner());
            Context.equal("more turns", 0, turns.size());
            locks.get(i).unlock();
        }
    }

    private static void queue(Context c) throws Exception {
        DistributedQueue a = new DistributedQueue(c.client(), "/dq", Ids.OPEN_ACL_UNSAFE);
        DistributedQueue b = new DistributedQueue(c.client(), "/dq", Ids.OPEN_ACL_UNSAFE);
        for (int i = 0; i < 10; i++) {
            a.offer(("e" + i).getBytes());
        }
        Context.equal("peek", "e0".getBytes(), a.peek());
        Context.equal("element", "e0".getBytes(), a.element());
        Context.equal("remove", "e0".getBytes(), a.remove());
        for (int i = 1; i < 10; i++) {
            Context.equal("poll", ("e" + i).getBytes(), a.poll());
        }
        Context.equal("empty", null, a.poll());
        try {
            a.remove();
            throw new AssertionError("removed nothing");
        } catch (NoSuchElementException e) {
            // as it should be
        }
        Future<byte[]> taken = c.inBackground(b::take);
        a.offer("late".getBytes());
        Context.equal("take", "late".getBytes(), Context.get(taken));
    }

    private static void election(Context c) throws Exception {
        c.client().make("/el", "");
        LinkedBlockingQueue<String> elected = new LinkedBlockingQueue<>();
        List<LeaderElectionSupport> all = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            LeaderElectionSupport s = new LeaderElectionSupport();
            Client z = c.client();
            z.sync();
            s.setZooKeeper(z);
            s.setRootNodeName("/el");
            String name = "host" + i;
            s.setHostName(name);
            s.addListener(event -> {
                if (event == LeaderElectionSupport.EventType.ELECTED_COMPLETE) {
                    elected.add(name);
                }
            });
            all.add(s);
            s.start();
        }
        for (int i = 0; i < 3; i++) {
            Context.equal("elected", "host" + i, elected.poll(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
            LeaderElectionSupport last = all.get(2);
            String leader = "host" + i;
            Context.eventually("its name is known", () -> leader.equals(last.getLeaderHostName()));
            Context.equal("nobody else", Arrays.asList(), new ArrayList<>(elected));
            all.get(i).stop();
        }
    }
}
