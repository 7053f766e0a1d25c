import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.net.InetSocketAddress;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.Stat;

/** The Java client with its events kept, and short forms of what checks do most. */
final class Client extends ZooKeeper {
    final Events events;

    Client(String connect, int timeoutMs, long session, byte[] password) throws Exception {
        this(connect, timeoutMs, session, password, new Events());
    }

    private Client(String connect, int timeoutMs, long session, byte[] password, Events events) throws Exception {
        super(connect, timeoutMs, events, session, password == null ? new byte[16] : password);
        this.events = events;
    }

    private Client(String connect, ZKClientConfig config, Events events) throws Exception {
        super(connect, Context.TIMEOUT_MS, events, config);
        this.events = events;
    }

    /** A client with a configuration of its own. */
    static Client configured(String connect, ZKClientConfig config) throws Exception {
        return new Client(connect, config, new Events());
    }

    void awaitConnected() throws Exception {
        Context.eventually("connected", () -> getState().isConnected() && (events.state() == Watcher.Event.KeeperState.SyncConnected
                || events.state() == Watcher.Event.KeeperState.SaslAuthenticated));
    }

    InetSocketAddress server() {
        return (InetSocketAddress) testableRemoteSocketAddress();
    }

    String make(String path, String data) throws Exception {
        return make(path, data, CreateMode.PERSISTENT);
    }

    String make(String path, String data, CreateMode mode) throws Exception {
        return create(path, data == null ? null : data.getBytes("UTF-8"), Ids.OPEN_ACL_UNSAFE, mode);
    }

    String make(String path, String data, CreateMode mode, long ttlMs) throws Exception {
        return create(path, data.getBytes("UTF-8"), Ids.OPEN_ACL_UNSAFE, mode, new Stat(), ttlMs);
    }

    Stat put(String path, String data) throws Exception {
        return setData(path, data.getBytes("UTF-8"), -1);
    }

    String read(String path) throws Exception {
        byte[] data = getData(path, false, null);
        return data == null ? null : new String(data, "UTF-8");
    }

    void drop(String path) throws Exception {
        delete(path, -1);
    }

    /** Waits until this client's server has all that was written before. */
    void sync() throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        sync("/", (rc, path, ctx) -> done.countDown(), null);
        Context.isTrue("synced", done.await(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
    }
}
