import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;

/** Curator's two ways to elect a leader. */
final class CuratorLeaders {
    static void add(Map<String, Check> m) {
        m.put("curator LeaderLatch", CuratorLeaders::latch);
        m.put("curator LeaderLatch passes on when its session ends", CuratorLeaders::lostLatch);
        m.put("curator LeaderSelector", CuratorLeaders::selector);
    }

    private static LeaderLatch latch(Context c, CuratorFramework f, String path, String id) throws Exception {
        LeaderLatch latch = new LeaderLatch(f, path, id);
        latch.start();
        c.keep(() -> {
            if (latch.getState() == LeaderLatch.State.STARTED) {
                latch.close();
            }
        });
        return latch;
    }

    private static void latch(Context c) throws Exception {
        LeaderLatch a = latch(c, c.curator(), "/latch", "a");
        Context.isTrue("a leads", a.await(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        LeaderLatch b = latch(c, c.curator(), "/latch", "b");
        Context.eventually("both take part", () -> b.getParticipants().size() == 2);
        Context.equal("leader", "a", b.getLeader().getId());
        Context.equal("b leads", false, b.hasLeadership());
        a.close();
        Context.isTrue("b leads", b.await(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
    }

    private static void lostLatch(Context c) throws Exception {
        CuratorFramework dying = c.curator();
        LeaderLatch a = latch(c, dying, "/lost", "a");
        Context.isTrue("a leads", a.await(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        LeaderLatch b = latch(c, c.curator(), "/lost", "b");
        dying.getZookeeperClient().getZooKeeper().close();
        Context.isTrue("b leads", b.await(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
    }

    private static void selector(Context c) throws Exception {
        LinkedBlockingQueue<String> led = new LinkedBlockingQueue<>();
        AtomicInteger leaders = new AtomicInteger();
        List<LeaderSelector> all = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            String name = "s" + i;
            LeaderSelector s = c.keep(new LeaderSelector(c.curator(), "/selector", new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) {
                    led.add(leaders.incrementAndGet() == 1 ? name : "two at once");
                    leaders.decrementAndGet();
                }
            }));
            s.setId(name);
            s.autoRequeue();
            all.add(s);
            s.start();
        }
        Context.eventually("each leads in turn", () -> led.size() >= 9 && led.containsAll(List.of("s0", "s1", "s2")));
        Context.equal("two at once", false, led.contains("two at once"));
        Context.eventually("all take part", () -> all.get(0).getParticipants().size() == 3);
    }
}
