import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.CachedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicValue;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.zookeeper.CreateMode;

/** Curator's counters, values, kept nodes, groups and service discovery. */
final class CuratorNodes {
    static void add(Map<String, Check> m) {
        m.put("curator SharedCount and SharedValue", CuratorNodes::shared);
        m.put("curator DistributedAtomicLong loses no count", CuratorNodes::atomicLong);
        m.put("curator DistributedAtomicInteger, DistributedAtomicValue and CachedAtomicLong", CuratorNodes::atomicOthers);
        m.put("curator PersistentNode comes back", CuratorNodes::persistentNode);
        m.put("curator PersistentTtlNode", CuratorNodes::ttlNode);
        m.put("curator GroupMember", CuratorNodes::group);
        m.put("curator service discovery", CuratorNodes::discovery);
    }

    private static void shared(Context c) throws Exception {
        SharedCount a = c.keep(new SharedCount(c.curator(), "/count", 10)), b = c.keep(new SharedCount(c.curator(), "/count", 10));
        a.start();
        b.start();
        Context.equal("seed", 10, b.getCount());
        a.setCount(11);
        Context.eventually("seen", () -> b.getCount() == 11);
        Context.isTrue("compare and set", b.trySetCount(b.getVersionedValue(), 12));
        SharedValue value = c.keep(new SharedValue(c.curator(), "/value", "seed".getBytes()));
        value.start();
        value.setValue("new".getBytes());
        Context.equal("value", "new".getBytes(), value.getValue());
    }

    private static void atomicLong(Context c) throws Exception {
        List<Future<Void>> workers = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            CuratorFramework f = c.curator();
            DistributedAtomicLong n = new DistributedAtomicLong(f, "/long", new RetryNTimes(2, 5),
                    PromotedToLock.builder().lockPath("/long-lock").retryPolicy(new RetryNTimes(100, 5)).build());
            workers.add(c.inBackground(() -> {
                for (int k = 0; k < 20; k++) {
                    AtomicValue<Long> got = n.increment();
                    Context.isTrue("counted", got.succeeded() && got.postValue() == got.preValue() + 1);
                }
                return null;
            }));
        }
        for (Future<Void> w : workers) {
            Context.get(w);
        }
        CuratorFramework f = c.curator();
        f.sync().forPath("/long");
        Context.equal("count", 60L, new DistributedAtomicLong(f, "/long", new RetryNTimes(3, 5)).get().postValue());
    }

    private static void atomicOthers(Context c) throws Exception {
        CuratorFramework f = c.curator();
        DistributedAtomicInteger n = new DistributedAtomicInteger(f, "/int", new RetryNTimes(10, 5));
        Context.isTrue("initialized", n.initialize(5));
        Context.equal("initialized again", false, n.initialize(6));
        Context.equal("added", 8, n.add(3).postValue());
        Context.equal("compared", false, n.compareAndSet(5, 1).succeeded());
        DistributedAtomicValue value = new DistributedAtomicValue(f, "/value-of", new RetryNTimes(10, 5));
        value.forceSet("a".getBytes());
        Context.isTrue("compared and set", value.compareAndSet("a".getBytes(), "b".getBytes()).succeeded());
        Context.equal("value", "b".getBytes(), value.get().postValue());
        CachedAtomicLong cached = new CachedAtomicLong(new DistributedAtomicLong(f, "/cached", new RetryNTimes(10, 5)), 10);
        for (long i = 0; i < 25; i++) {
            Context.equal("next", i, cached.next().preValue());
        }
    }

    private static void persistentNode(Context c) throws Exception {
        CuratorFramework f = c.curator();
        PersistentNode node = c.keep(new PersistentNode(f, CreateMode.EPHEMERAL, false, "/pn", "1".getBytes()));
        node.start();
        Context.isTrue("made", node.waitForInitialCreate(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        CuratorFramework other = c.curator();
        for (int i = 0; i < 3; i++) {
            other.sync().forPath("/pn");
            other.delete().forPath("/pn");
            Context.eventually("it comes back", () -> other.checkExists().forPath("/pn") != null);
        }
        node.setData("2".getBytes());
        Context.equal("data", "2".getBytes(), f.getData().forPath("/pn"));
    }

    private static void ttlNode(Context c) throws Exception {
        CuratorFramework f = c.curator();
        PersistentTtlNode node = c.keep(new PersistentTtlNode(f, "/ptn/x", 1_500, "1".getBytes()));
        node.start();
        Context.isTrue("made", node.waitForInitialCreate(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        Context.eventually("its touch node", () -> f.getChildren().forPath("/ptn/x").size() == 1);
        node.close();
        Context.eventually("it goes when nobody touches it", () -> f.checkExists().forPath("/ptn/x") == null);
    }

    private static void group(Context c) throws Exception {
        GroupMember a = c.keep(new GroupMember(c.curator(), "/group", "a", "A".getBytes()));
        a.start();
        CuratorFramework dying = c.curator();
        GroupMember b = new GroupMember(dying, "/group", "b");
        b.start();
        Context.eventually("both", () -> a.getCurrentMembers().keySet().containsAll(Arrays.asList("a", "b")));
        b.close();
        Context.eventually("one", () -> a.getCurrentMembers().keySet().equals(Collections.singleton("a")));
    }

    private static ServiceDiscovery<Void> discovery(Context c, ServiceInstance<Void> self) throws Exception {
        ServiceDiscovery<Void> d = c.keep(ServiceDiscoveryBuilder.builder(Void.class).client(c.curator()).basePath("/services").thisInstance(self).build());
        d.start();
        return d;
    }

    private static void discovery(Context c) throws Exception {
        ServiceInstance<Void> one = ServiceInstance.<Void>builder().name("web").id("1").port(80).build();
        ServiceInstance<Void> two = ServiceInstance.<Void>builder().name("web").id("2").port(81).build();
        ServiceDiscovery<Void> a = discovery(c, one), b = discovery(c, two);
        Context.eventually("both instances", () -> a.queryForInstances("web").size() == 2);
        Context.isTrue("names", a.queryForNames().contains("web"));
        ServiceCache<Void> cache = c.keep(a.serviceCacheBuilder().name("web").build());
        cache.start();
        Context.equal("cached", 2, cache.getInstances().size());
        ServiceProvider<Void> provider = c.keep(a.serviceProviderBuilder().serviceName("web").build());
        provider.start();
        Context.eventually("provided", () -> provider.getAllInstances().size() == 2);
        b.unregisterService(two);
        Context.eventually("one is left", () -> cache.getInstances().size() == 1 && provider.getAllInstances().size() == 1);
        Context.equal("port", 80, provider.getInstance().getPort());
    }
}
