import static org.apache.zookeeper.KeeperException.Code;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** What the Java client writes and reads. */
final class Operations {
    static void add(Map<String, Check> m) {
        m.put("java create, exists, getData", Operations::create);
        m.put("java create is refused", Operations::refused);
        m.put("java sequential names", Operations::sequential);
        m.put("java containers go when empty", Operations::containers);
        m.put("java TTL nodes go when idle", Operations::ttl);
        m.put("java delete", Operations::delete);
        m.put("java setData", Operations::set);
        m.put("java null is not empty", Operations::nullData);
        m.put("java children", Operations::children);
        m.put("java multi", Operations::multi);
        m.put("java a failed multi leaves nothing", Operations::failedMulti);
        m.put("java multi of reads", Operations::multiRead);
        m.put("java transaction", Operations::transaction);
        m.put("java sync", Operations::sync);
        m.put("java getEphemerals", Operations::ephemerals);
        m.put("java getAllChildrenNumber", Operations::allChildren);
        m.put("java requests in flight are answered in order", Operations::inOrder);
        m.put("java 1,000,000 bytes", Operations::large);
        m.put("java 10,000 children", Operations::manyChildren);
        m.put("java unicode", Operations::unicode);
        m.put("java chroot", Operations::chroot);
        m.put("java the nodes of the service", Operations::reserved);
    }

    private static void create(Context c) throws Exception {
        Client z = c.client();
        Stat made = new Stat();
        Context.equal("path", "/a", z.create("/a", "one".getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, made));
        Stat stat = new Stat();
        Context.equal("data", "one".getBytes(), z.getData("/a", false, stat));
        Context.equal("stat of create", stat, made);
        Context.equal("stat of exists", stat, z.exists("/a", false));
        Context.equal("none", null, z.exists("/none", false));
        Context.isTrue("zxids", stat.getCzxid() > 0 && stat.getCzxid() == stat.getMzxid() && stat.getCzxid() == stat.getPzxid());
        Context.isTrue("times", stat.getCtime() == stat.getMtime() && Math.abs(stat.getCtime() - System.currentTimeMillis()) < 60_000);
        Context.equal("numbers", Arrays.asList(0, 0, 0, 3, 0),
                Arrays.asList(stat.getVersion(), stat.getCversion(), stat.getAversion(), stat.getDataLength(), stat.getNumChildren()));
        z.make("/a/b", "");
        Stat parent = z.exists("/a", false);
        Context.equal("parent", Arrays.asList(0, 1, 1), Arrays.asList(parent.getVersion(), parent.getCversion(), parent.getNumChildren()));
        Context.isTrue("parent's zxids", parent.getMzxid() == stat.getMzxid() && parent.getPzxid() == z.exists("/a/b", false).getCzxid());
    }

    private static void refused(Context c) throws Exception {
        Client z = c.client();
        z.make("/r", "");
        Context.refuses(Code.NODEEXISTS, () -> z.make("/r", ""));
        Context.refuses(Code.NODEEXISTS, () -> z.make("/", ""));
        Context.refuses(Code.NONODE, () -> z.make("/r/x/y", ""));
        z.make("/r/e", "", CreateMode.EPHEMERAL);
        Context.refuses(Code.NOCHILDRENFOREPHEMERALS, () -> z.make("/r/e/x", ""));
        Context.refuses(Code.INVALIDACL, () -> z.create("/r/acl", null, Collections.emptyList(), CreateMode.PERSISTENT));
    }

    private static void sequential(Context c) throws Exception {
        Client z = c.client();
        z.make("/s", "");
        Context.equal("first", "/s/n-0000000000", z.make("/s/n-", "", CreateMode.PERSISTENT_SEQUENTIAL));
        Context.equal("ephemeral", "/s/n-0000000001", z.make("/s/n-", "", CreateMode.EPHEMERAL_SEQUENTIAL));
        z.drop("/s/n-0000000000");
        Context.equal("TTL", "/s/n-0000000002", z.make("/s/n-", "", CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, 60_000));
        Context.equal("no prefix", "/s/0000000003", z.make("/s/", "", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void containers(Context c) throws Exception {
        Client z = c.client();
        z.make("/c", "", CreateMode.CONTAINER);
        Context.equal("owner", 0L, z.exists("/c", false).getEphemeralOwner());
        z.make("/c/x", "");
        z.drop("/c/x");
        Context.eventually("the container is gone", () -> z.exists("/c", false) == null);
    }

    private static void ttl(Context c) throws Exception {
        Client z = c.client();
        z.make("/t", "", CreateMode.PERSISTENT_WITH_TTL, 300);
        z.make("/long", "", CreateMode.PERSISTENT_WITH_TTL, 600_000);
        Context.equal("owner", 0L, z.exists("/long", false).getEphemeralOwner());
        Context.eventually("the node is gone", () -> z.exists("/t", false) == null);
        Context.isTrue("the other stays", z.exists("/long", false) != null);
    }

    private static void delete(Context c) throws Exception {
        Client z = c.client();
        z.make("/d", "");
        z.make("/d/c", "");
        Context.refuses(Code.NOTEMPTY, () -> z.drop("/d"));
        Context.refuses(Code.NONODE, () -> z.drop("/none"));
        Context.refuses(Code.BADVERSION, () -> z.delete("/d/c", 3));
        z.delete("/d/c", 0);
        Stat parent = z.exists("/d", false);
        Context.equal("cversion", 2, parent.getCversion());
        z.drop("/d");
        Context.refuses(Code.NONODE, () -> z.read("/d"));
        Context.refuses(Code.NONODE, () -> z.getChildren("/d", false));
    }

    private static void set(Context c) throws Exception {
        Client z = c.client();
        z.make("/s2", "");
        Stat stat = z.setData("/s2", "12".getBytes(), 0);
        Context.equal("version", 1, stat.getVersion());
        Context.equal("length", 2, stat.getDataLength());
        Context.isTrue("mzxid", stat.getMzxid() > stat.getCzxid());
        Context.refuses(Code.BADVERSION, () -> z.setData("/s2", null, 0));
        Context.equal("any version", 2, z.setData("/s2", "3".getBytes(), -1).getVersion());
        Context.refuses(Code.NONODE, () -> z.put("/none", ""));
        Context.equal("data", "3", z.read("/s2"));
    }

    private static void nullData(Context c) throws Exception {
        Client z = c.client();
        z.make("/null", null);
        z.make("/empty", "");
        Context.equal("null", null, z.getData("/null", false, null));
        Context.equal("empty", new byte[0], z.getData("/empty", false, null));
        Context.equal("length", 0, z.exists("/null", false).getDataLength());
        z.setData("/empty", null, -1);
        Context.equal("null again", null, z.getData("/empty", false, null));
    }

    private static void children(Context c) throws Exception {
        Client z = c.client();
        z.make("/ch", "");
        Context.equal("none", Collections.emptyList(), z.getChildren("/ch", false));
        for (String name : Arrays.asList("b", "a", "c")) {
            z.make("/ch/" + name, "");
        }
        Stat stat = new Stat();
        Context.equal("names", Arrays.asList("a", "b", "c"), sorted(z.getChildren("/ch", false, stat)));
        Context.equal("stat", z.exists("/ch", false), stat);
        Context.equal("count", 3, stat.getNumChildren());
    }

    static List<String> sorted(List<String> names) {
        List<String> out = new ArrayList<>(names);
        Collections.sort(out);
        return out;
    }

    private static void multi(Context c) throws Exception {
        Client z = c.client();
        List<OpResult> got = z.multi(Arrays.asList(
                Op.create("/m", "1".getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create("/m/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                Op.create("/m/e", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL),
                Op.create("/m/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
                Op.create("/m/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 60_000),
                Op.check("/m", 0),
                Op.setData("/m", "2".getBytes(), 0),
                Op.check("/m", 1),
                Op.delete("/m/e", 0)));
        // Results of a multi keep the chroot: the client does not take it off there.
        Context.equal("path", c.root + "/m", ((OpResult.CreateResult) got.get(0)).getPath());
        Context.equal("sequence", c.root + "/m/s-0000000000", ((OpResult.CreateResult) got.get(1)).getPath());
        Context.equal("container", c.root + "/m/c", ((OpResult.CreateResult) got.get(3)).getPath());
        Context.equal("TTL", c.root + "/m/t", ((OpResult.CreateResult) got.get(4)).getPath());
        Context.equal("version", 1, ((OpResult.SetDataResult) got.get(6)).getStat().getVersion());
        Stat stat = new Stat();
        z.getData("/m", false, stat);
        Context.equal("one zxid", stat.getCzxid(), stat.getMzxid());
        Context.equal("names", Arrays.asList("c", "s-0000000000", "t"), sorted(z.getChildren("/m", false)));
        Context.equal("nothing", Collections.emptyList(), z.multi(Collections.emptyList()));
    }

    private static void failedMulti(Context c) throws Exception {
        Client z = c.client();
        z.make("/f", "");
        try {
            z.multi(Arrays.asList(
                    Op.create("/f/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                    Op.check("/f", 7),
                    Op.delete("/f/a", -1)));
            throw new AssertionError("no exception");
        } catch (KeeperException e) {
            Context.equal("code", Code.BADVERSION, e.code());
            List<Integer> codes = new ArrayList<>();
            for (OpResult r : e.getResults()) {
                codes.add(((OpResult.ErrorResult) r).getErr());
            }
            Context.equal("codes", Arrays.asList(0, -103, -2), codes);
        }
        Context.equal("children", Collections.emptyList(), z.getChildren("/f", false));
        Context.equal("sequence", "/f/0000000000", z.make("/f/", "", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void multiRead(Context c) throws Exception {
        Client z = c.client();
        z.make("/mr", "x");
        z.make("/mr/k", null);
        List<OpResult> got = z.multi(Arrays.asList(
                Op.getData("/mr"), Op.getChildren("/mr"), Op.getData("/none"), Op.getData("/mr/k"), Op.getChildren("/none")));
        Context.equal("data", "x".getBytes(), ((OpResult.GetDataResult) got.get(0)).getData());
        Context.equal("stat", z.exists("/mr", false), ((OpResult.GetDataResult) got.get(0)).getStat());
        Context.equal("children", Arrays.asList("k"), ((OpResult.GetChildrenResult) got.get(1)).getChildren());
        Context.equal("no node", -101, ((OpResult.ErrorResult) got.get(2)).getErr());
        Context.equal("null", null, ((OpResult.GetDataResult) got.get(3)).getData());
        Context.equal("no parent", -101, ((OpResult.ErrorResult) got.get(4)).getErr());
    }

    private static void transaction(Context c) throws Exception {
        Client z = c.client();
        z.transaction().create("/tr", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT).setData("/tr", "1".getBytes(), 0).check("/tr", 1).commit();
        Context.equal("data", "1", z.read("/tr"));
        Context.refuses(Code.NOTEMPTY, () -> z.transaction().delete("/", -1).commit());
    }

    private static void sync(Context c) throws Exception {
        Client z = c.client();
        CompletableFuture<String> echoed = new CompletableFuture<>();
        z.sync("/not/there", (rc, path, ctx) -> echoed.complete(rc + path), null);
        Context.equal("echo", "0/not/there", echoed.get(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        Client writer = c.client();
        for (int i = 0; i < 20; i++) {
            writer.make("/sync-" + i, "");
            z.sync();
            Context.isTrue("seen after sync", z.exists("/sync-" + i, false) != null);
        }
    }

    private static void ephemerals(Context c) throws Exception {
        Client z = c.client();
        z.make("/ge", "");
        z.make("/ge/a", "", CreateMode.EPHEMERAL);
        z.make("/ge2", "", CreateMode.EPHEMERAL);
        // These paths the client leaves as they are at the server, with the chroot.
        List<String> all = sorted(z.getEphemerals());
        Context.equal("all", Arrays.asList(c.root + "/ge/a", c.root + "/ge2"), all);
        Context.equal("below", Arrays.asList(c.root + "/ge/a"), z.getEphemerals(c.root + "/ge/a"));
        Context.equal("of another", Collections.emptyList(), c.client().getEphemerals());
    }

    private static void allChildren(Context c) throws Exception {
        Client z = c.client();
        for (String path : Arrays.asList("/n", "/n/a", "/n/a/b", "/n/c")) {
            z.make(path, "");
        }
        Context.equal("below /n", 3, z.getAllChildrenNumber("/n"));
        Context.equal("below /n/c", 0, z.getAllChildrenNumber("/n/c"));
        Context.refuses(Code.NONODE, () -> z.getAllChildrenNumber("/none"));
    }

    private static void inOrder(Context c) throws Exception {
        Client z = c.client();
        z.make("/pipe", "-1");
        List<CompletableFuture<String>> reads = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            CompletableFuture<String> read = new CompletableFuture<>();
            z.setData("/pipe", String.valueOf(i).getBytes(), i, (rc, path, ctx, stat) -> { }, null);
            z.getData("/pipe", false, (rc, path, ctx, data, stat) -> read.complete(rc + ":" + new String(data)), null);
            reads.add(read);
        }
        for (int i = 0; i < 500; i++) {
            Context.equal("read " + i, "0:" + i, reads.get(i).get(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        }
    }

    private static void large(Context c) throws Exception {
        Client z = c.client();
        byte[] blob = new byte[1_000_000];
        for (int i = 0; i < blob.length; i++) {
            blob[i] = (byte) (i * 31);
        }
        z.create("/large", blob, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Context.equal("data", blob, z.getData("/large", false, null));
        long session = z.getSessionId();
        Context.refuses(Code.CONNECTIONLOSS, () -> z.setData("/large", new byte[1_048_576], -1));
        Context.retry(() -> z.setData("/large", null, -1));
        Context.equal("session", session, z.getSessionId());
    }

    private static void manyChildren(Context c) throws Exception {
        Client z = c.client();
        z.make("/many", "");
        for (int i = 0; i < 10; i++) {
            List<Op> ops = new ArrayList<>();
            for (int k = 0; k < 1000; k++) {
                ops.add(Op.create("/many/child-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL));
            }
            z.multi(ops);
        }
        List<String> names = sorted(z.getChildren("/many", false));
        Context.equal("count", 10_000, names.size());
        Context.equal("last", "child-0000009999", names.get(9_999));
        Context.equal("descendants", 10_000, z.getAllChildrenNumber("/many"));
        for (int i = 0; i < 10; i++) {
            List<Op> ops = new ArrayList<>();
            for (String name : names.subList(i * 1000, (i + 1) * 1000)) {
                ops.add(Op.delete("/many/" + name, 0));
            }
            z.multi(ops);
        }
        z.drop("/many");
    }

    private static void unicode(Context c) throws Exception {
        Client z = c.client();
        List<String> names = sorted(Arrays.asList("straße", "日本語", "a b", "Ωμέγα"));
        z.make("/u", "");
        for (String name : names) {
            z.make("/u/" + name, name);
            Context.equal("data", name, z.read("/u/" + name));
        }
        Context.equal("names", names, sorted(z.getChildren("/u", false)));
    }

    private static void chroot(Context c) throws Exception {
        Client z = c.client();
        z.make("/chroot", "");
        Client inner = c.client("/chroot");
        Context.equal("path", "/x", inner.make("/x", ""));
        Events seen = new Events();
        inner.getData("/x", seen, null);
        z.put("/chroot/x", "1");
        seen.await("NodeDataChanged /x");
        Context.equal("in a multi", c.root + "/chroot/y", ((OpResult.CreateResult) inner.multi(Arrays.asList(
                Op.create("/y", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT))).get(0)).getPath());
        Context.equal("root", Arrays.asList("x", "y"), sorted(inner.getChildren("/", false)));
        z.make("/chrootless", "");
        Client missing = c.client("/chrootless/none");
        Context.refuses(Code.NONODE, () -> missing.make("/x", ""));
    }

    private static void reserved(Context c) throws Exception {
        Client z = c.outside();
        for (String path : Arrays.asList("/zookeeper", "/zookeeper/quota", "/zookeeper/config")) {
            Context.refuses(Code.BADARGUMENTS, () -> z.drop(path));
        }
        Context.isTrue("/zookeeper", z.getChildren("/zookeeper", false).containsAll(Arrays.asList("config", "quota")));
        Context.refuses(Code.NOAUTH, () -> z.put("/zookeeper/config", ""));
        Context.isTrue("a configuration, if an empty one", z.getConfig(false, new Stat()) != null);
        if (c.hosts.contains(",")) { // a server on its own may name nobody
            Context.eventually("the configuration names the servers and has a version", () -> {
                String config = new String(z.getConfig(false, new Stat()));
                return config.contains("server.1=") && config.contains("server.3=") && config.contains("version=");
            });
        }
    }
}
