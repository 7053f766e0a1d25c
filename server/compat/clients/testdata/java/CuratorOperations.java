import static org.apache.zookeeper.KeeperException.Code;

import java.io.ByteArrayInputStream;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.WatcherRemoveCuratorFramework;
import org.apache.curator.framework.api.BackgroundCallback;
import org.apache.curator.framework.api.CuratorEvent;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.api.transaction.OperationType;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.quorum.flexible.QuorumMaj;

/** Curator's framework: builders, background calls, transactions, watchers. */
final class CuratorOperations {
    static void add(Map<String, Check> m) {
        m.put("curator creates every kind of node", CuratorOperations::create);
        m.put("curator create with protection", CuratorOperations::protection);
        m.put("curator idempotent writes", CuratorOperations::idempotent);
        m.put("curator reads and writes", CuratorOperations::readWrite);
        m.put("curator delete", CuratorOperations::delete);
        m.put("curator in the background", CuratorOperations::background);
        m.put("curator transactions", CuratorOperations::transactions);
        m.put("curator a failed transaction", CuratorOperations::failedTransaction);
        m.put("curator ACLs", CuratorOperations::acls);
        m.put("curator watchers", CuratorOperations::watchers);
        m.put("curator persistent watchers", CuratorOperations::persistentWatchers);
        m.put("curator removes watches", CuratorOperations::removeWatches);
        m.put("curator namespaces and containers", CuratorOperations::namespaces);
        m.put("curator getConfig", CuratorOperations::config);
    }

    private static void create(Context c) throws Exception {
        CuratorFramework f = c.curator();
        Context.equal("parents", "/cc/a/b", f.create().creatingParentsIfNeeded().forPath("/cc/a/b", "x".getBytes()));
        for (CreateMode mode : CreateMode.values()) {
            String path = "/cc/" + mode + "-";
            String made = mode.isTTL() ? f.create().withTtl(60_000).withMode(mode).forPath(path) : f.create().withMode(mode).forPath(path);
            Context.equal("sequential", mode.isSequential(), made.length() > path.length());
            Context.equal("ephemeral", mode.isEphemeral(), f.checkExists().forPath(made).getEphemeralOwner() != 0);
        }
        Stat stat = new Stat();
        f.create().storingStatIn(stat).forPath("/cc/stat", "12".getBytes());
        Context.equal("stat", f.checkExists().forPath("/cc/stat"), stat);
        f.create().compressed().forPath("/cc/zip", new byte[10_000]);
        Context.isTrue("compressed", f.checkExists().forPath("/cc/zip").getDataLength() < 1_000);
        Context.equal("decompressed", new byte[10_000], f.getData().decompressed().forPath("/cc/zip"));
        Context.refuses(Code.NODEEXISTS, () -> f.create().forPath("/cc/stat"));
        f.create().orSetData().forPath("/cc/stat", "set".getBytes());
        Context.equal("set", "set".getBytes(), f.getData().forPath("/cc/stat"));
    }

    private static void protection(Context c) throws Exception {
        CuratorFramework f = c.curator();
        f.create().forPath("/cp");
        String path = f.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/cp/n-");
        Context.isTrue("protected name " + path, path.matches("/cp/_c_[0-9a-f-]{36}-n-0000000000"));
    }

    private static void idempotent(Context c) throws Exception {
        CuratorFramework f = c.curator();
        f.create().idempotent().forPath("/ci", "1".getBytes());
        f.create().idempotent().forPath("/ci", "1".getBytes());
        Context.refuses(Code.NODEEXISTS, () -> f.create().idempotent().forPath("/ci", "2".getBytes()));
        f.setData().idempotent().withVersion(0).forPath("/ci", "2".getBytes());
        f.setData().idempotent().withVersion(0).forPath("/ci", "2".getBytes());
        f.delete().idempotent().withVersion(1).forPath("/ci");
        f.delete().idempotent().withVersion(1).forPath("/ci");
    }

    private static void readWrite(Context c) throws Exception {
        CuratorFramework f = c.curator();
        f.create().forPath("/rw", "0".getBytes());
        Stat stat = new Stat();
        Context.equal("data", "0".getBytes(), f.getData().storingStatIn(stat).forPath("/rw"));
        Context.equal("version", 1, f.setData().withVersion(stat.getVersion()).forPath("/rw", "1".getBytes()).getVersion());
        Context.refuses(Code.BADVERSION, () -> f.setData().withVersion(0).forPath("/rw", new byte[0]));
        f.create().forPath("/rw/k", new byte[0]);
        Context.equal("children", Arrays.asList("k"), f.getChildren().storingStatIn(stat).forPath("/rw"));
        Context.equal("none", null, f.checkExists().forPath("/none"));
        f.sync().forPath("/rw");
        f.setData().compressed().forPath("/rw/k", new byte[5_000]);
        Context.equal("decompressed", new byte[5_000], f.getData().decompressed().forPath("/rw/k"));
    }

    private static void delete(Context c) throws Exception {
        CuratorFramework f = c.curator();
        f.create().creatingParentsIfNeeded().forPath("/cd/a/b");
        Context.refuses(Code.NOTEMPTY, () -> f.delete().forPath("/cd"));
        Context.refuses(Code.BADVERSION, () -> f.delete().withVersion(9).forPath("/cd/a/b"));
        f.delete().guaranteed().deletingChildrenIfNeeded().forPath("/cd");
        Context.refuses(Code.NONODE, () -> f.delete().forPath("/cd"));
        f.delete().quietly().forPath("/cd");
    }

    /** What a background call answers. */
    private static final class Answer implements BackgroundCallback {
        private final CompletableFuture<CuratorEvent> event = new CompletableFuture<>();

        @Override
        public void processResult(CuratorFramework client, CuratorEvent e) {
            event.complete(e);
        }

        CuratorEvent get() throws Exception {
            return event.get(Context.WITHIN_MS, TimeUnit.MILLISECONDS);
        }
    }

    private static void background(Context c) throws Exception {
        CuratorFramework f = c.curator();
        Answer create = new Answer(), get = new Answer(), set = new Answer(), children = new Answer();
        Answer exists = new Answer(), acl = new Answer(), sync = new Answer(), delete = new Answer(), missing = new Answer();
        f.create().creatingParentsIfNeeded().inBackground(create, "context").forPath("/bg/x", "1".getBytes());
        Context.equal("name", "/bg/x", create.get().getName());
        Context.equal("context", "context", create.get().getContext());
        f.setData().inBackground(set).forPath("/bg/x", "2".getBytes());
        f.getData().inBackground(get).forPath("/bg/x");
        f.getChildren().inBackground(children).forPath("/bg");
        f.checkExists().inBackground(exists).forPath("/none");
        f.getACL().inBackground(acl).forPath("/bg");
        f.sync().inBackground(sync).forPath("/bg");
        f.delete().inBackground(delete).forPath("/bg/x");
        f.getData().inBackground(missing).forPath("/none");
        Context.equal("set", 1, set.get().getStat().getVersion());
        Context.equal("get", "2".getBytes(), get.get().getData());
        Context.equal("children", Arrays.asList("x"), children.get().getChildren());
        Context.equal("exists", Code.NONODE.intValue(), exists.get().getResultCode());
        Context.equal("ACL", Ids.OPEN_ACL_UNSAFE, acl.get().getACLList());
        Context.equal("sync", 0, sync.get().getResultCode());
        Context.equal("delete", 0, delete.get().getResultCode());
        Context.equal("missing", Code.NONODE.intValue(), missing.get().getResultCode());
    }

    private static void transactions(Context c) throws Exception {
        CuratorFramework f = c.curator();
        List<CuratorTransactionResult> got = f.transaction().forOperations(
                f.transactionOp().create().forPath("/ct", "1".getBytes()),
                f.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/ct/s-"),
                f.transactionOp().create().withTtl(60_000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/ct/t"),
                f.transactionOp().check().withVersion(0).forPath("/ct"),
                f.transactionOp().setData().withVersion(0).forPath("/ct", "2".getBytes()),
                f.transactionOp().delete().forPath("/ct/t"));
        Context.equal("path", "/ct/s-0000000000", got.get(1).getResultPath());
        Context.equal("version", 1, got.get(4).getResultStat().getVersion());
        Context.equal("type", OperationType.DELETE, got.get(5).getType());
        Context.equal("children", Arrays.asList("s-0000000000"), f.getChildren().forPath("/ct"));
        old(f);
    }

    @SuppressWarnings("deprecation")
    private static void old(CuratorFramework f) throws Exception {
        Collection<CuratorTransactionResult> got = f.inTransaction().create().forPath("/ct/old").and().check().forPath("/ct").and().commit();
        Context.equal("results", 2, got.size());
    }

    private static void failedTransaction(Context c) throws Exception {
        CuratorFramework f = c.curator();
        f.create().forPath("/cf");
        Context.refuses(Code.BADVERSION, () -> f.transaction().forOperations(
                f.transactionOp().create().forPath("/cf/a"), f.transactionOp().setData().withVersion(5).forPath("/cf", new byte[0])));
        Context.equal("children", Arrays.asList(), f.getChildren().forPath("/cf"));
    }

    private static void acls(Context c) throws Exception {
        CuratorFramework f = c.curator(CuratorFrameworkFactory.builder().authorization("digest", "me:secret".getBytes()));
        CuratorFramework stranger = c.curator();
        f.create().withACL(Ids.CREATOR_ALL_ACL).forPath("/ca", "x".getBytes());
        stranger.sync().forPath("/");
        Context.refuses(Code.NOAUTH, () -> stranger.getData().forPath("/ca"));
        Context.equal("ACL", 1, f.getACL().forPath("/ca").size());
        f.setACL().withVersion(0).withACL(Ids.READ_ACL_UNSAFE).forPath("/ca");
        stranger.sync().forPath("/");
        Context.equal("data", "x".getBytes(), stranger.getData().forPath("/ca"));
    }

    private static void watchers(Context c) throws Exception {
        CuratorFramework f = c.curator();
        f.create().forPath("/cw", new byte[0]);
        Events data = new Events(), children = new Events(), absent = new Events();
        f.getData().usingWatcher(data).forPath("/cw");
        f.getChildren().usingWatcher(children).forPath("/cw");
        f.checkExists().usingWatcher(absent).forPath("/cw/new");
        List<String> listened = new CopyOnWriteArrayList<>();
        f.getCuratorListenable().addListener((client, event) -> listened.add(event.getType() + " " + event.getPath()));
        f.create().forPath("/cw/new");
        f.setData().forPath("/cw", "1".getBytes());
        data.await("NodeDataChanged /cw");
        children.await("NodeChildrenChanged /cw");
        absent.await("NodeCreated /cw/new");
        f.checkExists().watched().forPath("/cw/none");
        f.create().forPath("/cw/none");
        Context.eventually("a listener is told", () -> listened.contains("WATCHED /cw/none"));
    }

    private static void persistentWatchers(Context c) throws Exception {
        CuratorFramework f = c.curator();
        Events persistent = new Events(), recursive = new Events();
        f.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(persistent).forPath("/cpw");
        f.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher(recursive).forPath("/cpr");
        for (String root : Arrays.asList("/cpw", "/cpr")) {
            f.create().forPath(root);
            f.create().forPath(root + "/x");
            f.setData().forPath(root, new byte[0]);
            f.setData().forPath(root + "/x", new byte[0]);
        }
        persistent.await("NodeCreated /cpw", "NodeChildrenChanged /cpw", "NodeDataChanged /cpw");
        recursive.await("NodeCreated /cpr", "NodeCreated /cpr/x", "NodeDataChanged /cpr", "NodeDataChanged /cpr/x");
    }

    private static void removeWatches(Context c) throws Exception {
        CuratorFramework f = c.curator();
        f.create().forPath("/crm");
        Events seen = new Events(), all = new Events();
        f.getData().usingWatcher(seen).forPath("/crm");
        f.watchers().remove(seen).ofType(Watcher.WatcherType.Data).forPath("/crm");
        seen.await("DataWatchRemoved /crm");
        f.getChildren().usingWatcher(all).forPath("/crm");
        f.watches().removeAll().forPath("/crm");
        all.await("ChildWatchRemoved /crm");
        Context.refuses(Code.NOWATCHER, () -> f.watches().removeAll().forPath("/crm"));
        WatcherRemoveCuratorFramework remover = f.newWatcherRemoveCuratorFramework();
        Events removed = new Events();
        remover.getData().usingWatcher(removed).forPath("/crm");
        remover.removeWatchers();
        removed.await("DataWatchRemoved /crm");
        f.setData().forPath("/crm", "1".getBytes());
        f.create().forPath("/crm/x");
        f.sync().forPath("/");
        all.await("ChildWatchRemoved /crm");
    }

    private static void namespaces(Context c) throws Exception {
        CuratorFramework f = c.curator();
        CuratorFramework inner = f.usingNamespace(f.getNamespace() + "/ns/deep");
        inner.create().forPath("/x");
        Context.isTrue("made", f.checkExists().forPath("/ns/deep/x") != null);
        f.createContainers("/container/of");
        f.create().creatingParentContainersIfNeeded().forPath("/c2/inner/x");
        f.delete().forPath("/c2/inner/x");
        Context.eventually("the containers are gone", () -> f.checkExists().forPath("/c2") == null);
    }

    private static void config(Context c) throws Exception {
        CuratorFramework f = c.curator();
        int servers = c.hosts.split(",").length;
        Stat stat = new Stat();
        byte[] got = f.getConfig().storingStatIn(stat).forEnsemble();
        Context.equal("stat", stat.getDataLength(), got.length);
        if (servers == 1) {
            return; // which may name nobody
        }
        Context.eventually("a configuration", () -> f.getConfig().forEnsemble().length > 0);
        got = f.getConfig().forEnsemble();
        Properties lines = new Properties();
        lines.load(new ByteArrayInputStream(got));
        QuorumMaj config = new QuorumMaj(lines);
        Context.equal("servers", servers, config.getAllMembers().size());
        if (config.getVersion() > 0) { // others Curator does not take up
            Context.eventually("Curator knows the servers", () -> f.getCurrentConfig().getAllMembers().size() == servers);
        }
    }
}
