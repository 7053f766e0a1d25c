import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheBridge;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;

/** Curator's caches, old and new, and its persistent watcher. */
@SuppressWarnings("deprecation")
final class CuratorCaches {
    static void add(Map<String, Check> m) {
        m.put("curator PathChildrenCache", CuratorCaches::pathChildren);
        m.put("curator NodeCache", CuratorCaches::node);
        m.put("curator TreeCache", CuratorCaches::tree);
        m.put("curator CuratorCache", CuratorCaches::curatorCache);
        m.put("curator CuratorCache bridge", CuratorCaches::bridge);
        m.put("curator a cache holds what many writers leave", CuratorCaches::converges);
        m.put("curator PersistentWatcher", CuratorCaches::persistentWatcher);
    }

    private static void put(CuratorFramework f, String path, String data) throws Exception {
        f.create().orSetData().creatingParentsIfNeeded().forPath(path, data.getBytes());
    }

    private static void pathChildren(Context c) throws Exception {
        CuratorFramework f = c.curator(), other = c.curator();
        put(other, "/pcc/old", "1");
        f.sync().forPath("/pcc");
        PathChildrenCache cache = c.keep(new PathChildrenCache(f, "/pcc", true));
        List<String> seen = new CopyOnWriteArrayList<>();
        cache.getListenable().addListener((client, e) -> seen.add(e.getType() + (e.getData() == null ? "" : " " + e.getData().getPath())));
        cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
        Context.equal("initial", 1, cache.getCurrentData().size());
        put(other, "/pcc/new", "1");
        Context.eventually("added", () -> seen.contains("CHILD_ADDED /pcc/new"));
        put(other, "/pcc/new", "2");
        Context.eventually("updated", () -> seen.contains("CHILD_UPDATED /pcc/new"));
        Context.equal("data", "2".getBytes(), cache.getCurrentData("/pcc/new").getData());
        other.delete().forPath("/pcc/old");
        Context.eventually("removed", () -> seen.contains("CHILD_REMOVED /pcc/old"));
    }

    private static void node(Context c) throws Exception {
        CuratorFramework f = c.curator(), other = c.curator();
        NodeCache cache = c.keep(new NodeCache(f, "/nc/x"));
        cache.start(true);
        Context.equal("none", null, cache.getCurrentData());
        put(other, "/nc/x", "1");
        Context.eventually("made", () -> cache.getCurrentData() != null && new String(cache.getCurrentData().getData()).equals("1"));
        put(other, "/nc/x", "2");
        Context.eventually("set", () -> new String(cache.getCurrentData().getData()).equals("2"));
        other.delete().forPath("/nc/x");
        Context.eventually("gone", () -> cache.getCurrentData() == null);
    }

    private static void tree(Context c) throws Exception {
        CuratorFramework f = c.curator(), other = c.curator();
        put(other, "/tc/a/b", "1");
        f.sync().forPath("/tc");
        TreeCache cache = c.keep(new TreeCache(f, "/tc"));
        List<String> seen = new CopyOnWriteArrayList<>();
        cache.getListenable().addListener((client, e) -> seen.add(e.getType() + (e.getData() == null ? "" : " " + e.getData().getPath())));
        cache.start();
        Context.eventually("initialized", () -> seen.contains("INITIALIZED"));
        Context.equal("before", Arrays.asList("NODE_ADDED /tc", "NODE_ADDED /tc/a", "NODE_ADDED /tc/a/b", "INITIALIZED"), seen);
        put(other, "/tc/a/c", "1");
        put(other, "/tc/a/b", "2");
        Context.eventually("both seen", () -> seen.contains("NODE_ADDED /tc/a/c") && seen.contains("NODE_UPDATED /tc/a/b"));
        Context.equal("children", 2, cache.getCurrentChildren("/tc/a").size());
        other.delete().deletingChildrenIfNeeded().forPath("/tc/a");
        Context.eventually("removed", () -> seen.contains("NODE_REMOVED /tc/a") && cache.size() == 1);
    }

    private static void curatorCache(Context c) throws Exception {
        CuratorFramework f = c.curator(), other = c.curator();
        put(other, "/cache/a/b", "1");
        f.sync().forPath("/cache");
        CuratorCache cache = c.keep(CuratorCache.build(f, "/cache"));
        List<String> seen = new CopyOnWriteArrayList<>();
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(n -> seen.add("created " + n.getPath()))
                .forChanges((was, is) -> seen.add("changed " + is.getPath()))
                .forDeletes(n -> seen.add("deleted " + n.getPath()))
                .forInitialized(() -> seen.add("initialized")).build());
        cache.start();
        Context.eventually("initialized", () -> seen.contains("initialized"));
        Context.equal("size", 3, cache.size());
        put(other, "/cache/a/b", "2");
        put(other, "/cache/new", "1");
        Context.eventually("both seen", () -> seen.containsAll(Arrays.asList("changed /cache/a/b", "created /cache/new")));
        other.delete().forPath("/cache/a/b");
        Context.eventually("the delete is seen", () -> seen.contains("deleted /cache/a/b"));
        CuratorCache single = c.keep(CuratorCache.build(f, "/cache/new", CuratorCache.Options.SINGLE_NODE_CACHE));
        single.start();
        Context.eventually("a single node", () -> single.get("/cache/new").isPresent());
    }

    private static void bridge(Context c) throws Exception {
        CuratorFramework f = c.curator();
        put(f, "/bridge/x", "1");
        CuratorCacheBridge cache = c.keep(CuratorCache.bridgeBuilder(f, "/bridge").build());
        cache.start();
        Context.eventually("cached", () -> cache.get("/bridge/x").isPresent());
    }

    private static void converges(Context c) throws Exception {
        CuratorFramework f = c.curator();
        put(f, "/conv", "");
        CuratorCache cache = c.keep(CuratorCache.build(f, "/conv"));
        cache.start();
        CuratorFramework[] writers = {c.curator(), c.curator(), c.curator()};
        for (int i = 0; i < 300; i++) {
            CuratorFramework w = writers[i % 3];
            String path = "/conv/" + (i * 7 % 20);
            if (i % 5 == 4) {
                w.delete().quietly().forPath(path);
            } else {
                put(w, path, String.valueOf(i));
            }
        }
        f.sync().forPath("/conv");
        Map<String, String> want = new TreeMap<>();
        for (String name : f.getChildren().forPath("/conv")) {
            want.put("/conv/" + name, new String(f.getData().forPath("/conv/" + name)));
        }
        want.put("/conv", "");
        Context.eventually("the cache holds the tree", () -> {
            Map<String, String> got = new TreeMap<>();
            cache.stream().forEach(n -> got.put(n.getPath(), new String(n.getData())));
            return want.equals(got);
        });
    }

    private static void persistentWatcher(Context c) throws Exception {
        CuratorFramework f = c.curator();
        PersistentWatcher watcher = c.keep(new PersistentWatcher(f, "/pw", true));
        Events seen = new Events();
        watcher.getListenable().addListener(seen);
        List<String> resets = new CopyOnWriteArrayList<>();
        watcher.getResetListenable().addListener(() -> resets.add("reset"));
        watcher.start();
        Context.eventually("it is set", () -> !resets.isEmpty());
        put(f, "/pw/a", "1");
        put(f, "/pw/a", "2");
        seen.await("NodeCreated /pw", "NodeCreated /pw/a", "NodeDataChanged /pw/a");
    }
}
