import static org.apache.zookeeper.KeeperException.Code;

import java.util.Arrays;
import java.util.Map;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** Sessions of the Java client: kept, moved, closed, expired. */
final class Sessions {
    static void add(Map<String, Check> m) {
        m.put("java a session outlives its connection", Sessions::outlives);
        m.put("java a session moves to another client", Sessions::moves);
        m.put("java a wrong password is an expired session", Sessions::wrongPassword);
        m.put("java a closed session is expired", Sessions::closed);
        m.put("java ephemerals go with their session", Sessions::ephemerals);
        m.put("java a silent session expires", Sessions::expires);
        m.put("java the timeout is negotiated", Sessions::timeouts);
        m.put("java a read-only client is served", Sessions::readOnly);
        m.put("java updateServerList keeps the session", Sessions::otherServer);
    }

    private static void outlives(Context c) throws Exception {
        Proxy proxy = c.keep(new Proxy(c.hosts.split(",")[0]));
        Client z = c.through(proxy.address(), 0, null);
        z.awaitConnected();
        z.make("/kept", "", CreateMode.EPHEMERAL);
        long session = z.getSessionId();
        for (int i = 0; i < 2; i++) {
            proxy.cut();
            Context.eventually("disconnected", () -> z.events.state() == KeeperState.Disconnected);
            proxy.mend();
            z.awaitConnected();
            Context.equal("owner", session, z.exists("/kept", false).getEphemeralOwner());
            Context.equal("session", session, z.getSessionId());
        }
    }

    private static void moves(Context c) throws Exception {
        Proxy proxy = c.keep(new Proxy(c.hosts.split(",")[0]));
        Client z = c.through(proxy.address(), 0, null);
        z.awaitConnected();
        z.make("/moved", "", CreateMode.EPHEMERAL);
        proxy.cut();
        Client taker = c.through(c.hosts, z.getSessionId(), z.getSessionPasswd());
        taker.awaitConnected();
        Context.equal("session", z.getSessionId(), taker.getSessionId());
        Context.equal("owner", z.getSessionId(), taker.exists("/moved", false).getEphemeralOwner());
        taker.close();
        Client other = c.client();
        other.sync();
        Context.equal("after close", null, other.exists("/moved", false));
    }

    private static void expired(Client z) throws Exception {
        Context.eventually("told of the end", () -> z.events.was(KeeperState.Expired));
        Context.refuses(Code.SESSIONEXPIRED, () -> z.exists("/", false));
    }

    private static void wrongPassword(Context c) throws Exception {
        Client z = c.client();
        z.make("/guarded", "", CreateMode.EPHEMERAL);
        byte[] wrong = z.getSessionPasswd().clone();
        wrong[3] ^= 1;
        expired(c.through(c.hosts, z.getSessionId(), wrong));
        Context.isTrue("the owner keeps it", Context.retry(() -> z.exists("/guarded", false)) != null);
        expired(c.through(c.hosts, 0x1234567890L, new byte[16]));
    }

    private static void closed(Context c) throws Exception {
        Client z = c.client();
        z.close();
        expired(c.through(c.hosts, z.getSessionId(), z.getSessionPasswd()));
    }

    private static void ephemerals(Context c) throws Exception {
        Client z = c.client(), other = c.client();
        z.make("/eph", "");
        for (int i = 0; i < 100; i++) {
            z.make("/eph/" + i, "", CreateMode.EPHEMERAL);
        }
        other.sync();
        Context.equal("owner", z.getSessionId(), other.exists("/eph/7", false).getEphemeralOwner());
        Events gone = new Events();
        other.getData("/eph/7", gone, null);
        z.close();
        gone.await("NodeDeleted /eph/7");
        Context.equal("children", 0, other.exists("/eph", false).getNumChildren());
    }

    private static void expires(Context c) throws Exception {
        Proxy proxy = c.keep(new Proxy(c.hosts.split(",")[0]));
        Client z = new Client(proxy.address() + c.root, 2_000, 0, null), other = c.client();
        c.keep(z);
        z.make("/silent", "", CreateMode.EPHEMERAL);
        Events gone = new Events();
        other.sync();
        other.getData("/silent", gone, null);
        proxy.cut();
        gone.await("NodeDeleted /silent");
        proxy.mend();
        expired(z);
    }

    private static void timeouts(Context c) throws Exception {
        for (int asked : new int[] {900, 6_000, 10_000_000}) {
            Client z = new Client(c.hosts, asked, 0, null);
            c.keep(z);
            z.awaitConnected();
            int got = z.getSessionTimeout();
            Context.isTrue("asked for " + asked + " ms and got " + got, asked == 6_000 ? got == asked : got >= 1_000 && got <= 60_000);
        }
    }

    private static void readOnly(Context c) throws Exception {
        Events events = new Events();
        ZooKeeper z = c.keep(new ZooKeeper(c.hosts + c.root, Context.TIMEOUT_MS, events, true));
        Context.eventually("connected", () -> events.state() == KeeperState.SyncConnected);
        z.create("/by-read-only", null, org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    private static void otherServer(Context c) throws Exception {
        Client z = c.client();
        long session = z.getSessionId();
        z.make("/stays", "", CreateMode.EPHEMERAL);
        String here = ":" + z.server().getPort(), there = c.hosts.split(",")[0];
        for (String host : c.hosts.split(",")) {
            there = host.endsWith(here) ? there : host;
        }
        String to = there;
        z.updateServerList(to);
        Context.eventually("at " + to, () -> z.server() != null && to.endsWith(":" + z.server().getPort()) && z.getState().isConnected());
        Context.equal("owner", session, Context.retry(() -> z.exists("/stays", false)).getEphemeralOwner());
        Context.equal("session", session, z.getSessionId());
    }
}
