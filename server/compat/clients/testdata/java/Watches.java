import static org.apache.zookeeper.KeeperException.Code;

import java.util.Arrays;
import java.util.Map;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.WatcherType;

/** Watches of the Java client, also over a lost connection. */
final class Watches {
    static void add(Map<String, Check> m) {
        m.put("java watches fire once", Watches::once);
        m.put("java a delete fires data and child watches", Watches::onDelete);
        m.put("java reads that fail leave no watch", Watches::noneLeft);
        m.put("java a persistent watch stays", Watches::persistent);
        m.put("java a recursive watch sees all below", Watches::recursive);
        m.put("java an event comes before the read that shows it", Watches::order);
        m.put("java removeWatches", Watches::remove);
        m.put("java removeAllWatches", Watches::removeAll);
        m.put("java watches catch up after an outage", Watches::outage);
        m.put("java hundreds of watches are set again after an outage", Watches::manyAgain);
        m.put("java persistent watches go on after an outage", Watches::persistentOutage);
    }

    private static void once(Context c) throws Exception {
        Client z = c.client(), other = c.client();
        z.make("/w", "");
        Events data = new Events(), absent = new Events(), child = new Events();
        z.exists("/w/new", absent);
        z.getData("/w", data, null);
        z.getChildren("/w", child);
        other.sync();
        other.put("/w", "1");
        other.put("/w", "2");
        other.make("/w/new", "");
        other.make("/w/more", "");
        z.sync();
        data.await("NodeDataChanged /w");
        absent.await("NodeCreated /w/new");
        child.await("NodeChildrenChanged /w");
    }

    private static void onDelete(Context c) throws Exception {
        Client z = c.client();
        z.make("/wd", "");
        z.make("/wd/c", "");
        Events data = new Events(), child = new Events(), parent = new Events();
        z.getData("/wd/c", data, null);
        z.getChildren("/wd/c", child);
        z.getChildren("/wd", parent);
        z.drop("/wd/c");
        data.await("NodeDeleted /wd/c");
        child.await("NodeDeleted /wd/c");
        parent.await("NodeChildrenChanged /wd");
    }

    private static void noneLeft(Context c) throws Exception {
        Client z = c.client();
        Events failed = new Events();
        Context.refuses(Code.NONODE, () -> z.getData("/nl", failed, null));
        Context.refuses(Code.NONODE, () -> z.getChildren("/nl", failed));
        z.make("/nl", "");
        z.put("/nl", "1");
        z.sync();
        failed.await();
    }

    private static void persistent(Context c) throws Exception {
        Client z = c.client(), other = c.client();
        Events seen = new Events();
        z.addWatch("/p", seen, AddWatchMode.PERSISTENT);
        other.make("/p", "");
        other.put("/p", "1");
        other.make("/p/c", "");
        other.put("/p/c", "1");
        other.drop("/p/c");
        other.drop("/p");
        other.make("/p", "");
        seen.await("NodeCreated /p", "NodeDataChanged /p", "NodeChildrenChanged /p", "NodeChildrenChanged /p", "NodeDeleted /p", "NodeCreated /p");
    }

    private static void recursive(Context c) throws Exception {
        Client z = c.client(), other = c.client();
        Events seen = new Events();
        z.addWatch("/rec", seen, AddWatchMode.PERSISTENT_RECURSIVE);
        other.make("/rec", "");
        other.make("/rec/a", "");
        other.make("/rec/a/b", "");
        other.make("/recnot", "");
        other.put("/rec/a/b", "1");
        other.drop("/rec/a/b");
        other.drop("/rec/a");
        other.put("/rec", "1");
        seen.await("NodeCreated /rec", "NodeCreated /rec/a", "NodeCreated /rec/a/b", "NodeDataChanged /rec/a/b",
                "NodeDeleted /rec/a/b", "NodeDeleted /rec/a", "NodeDataChanged /rec");
    }

    private static void order(Context c) throws Exception {
        Client z = c.client(), other = c.client();
        z.make("/order", "0");
        for (int i = 1; i < 50; i++) {
            Events seen = new Events();
            z.getData("/order", seen, null);
            other.put("/order", String.valueOf(i));
            while (!z.read("/order").equals(String.valueOf(i))) {
                Thread.onSpinWait();
            }
            seen.await("NodeDataChanged /order");
        }
    }

    private static void remove(Context c) throws Exception {
        Client z = c.client();
        z.make("/rm", "");
        Events data = new Events(), child = new Events(), stays = new Events(), unknown = new Events();
        z.getData("/rm", data, null);
        z.getChildren("/rm", child);
        z.exists("/rm/x", stays);
        z.removeWatches("/rm", data, WatcherType.Data, false);
        data.await("DataWatchRemoved /rm");
        z.removeWatches("/rm", child, WatcherType.Children, false);
        child.await("ChildWatchRemoved /rm");
        Context.refuses(Code.NOWATCHER, () -> z.removeWatches("/rm", unknown, WatcherType.Any, false));
        z.put("/rm", "1");
        z.make("/rm/x", "");
        stays.await("NodeCreated /rm/x");
        data.await("DataWatchRemoved /rm");
        child.await("ChildWatchRemoved /rm");
    }

    private static void removeAll(Context c) throws Exception {
        Client z = c.client();
        z.make("/ra", "");
        Events data = new Events(), persistent = new Events(), recursive = new Events();
        z.getData("/ra", data, null);
        z.removeAllWatches("/ra", WatcherType.Any, false);
        z.addWatch("/ra/p", persistent, AddWatchMode.PERSISTENT);
        z.removeAllWatches("/ra/p", WatcherType.Any, false);
        z.addWatch("/ra/r", recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        z.removeWatches("/ra/r", recursive, WatcherType.Any, false);
        z.put("/ra", "1");
        z.make("/ra/p", "");
        z.make("/ra/r", "");
        data.await("DataWatchRemoved /ra");
        persistent.await("PersistentWatchRemoved /ra/p");
        recursive.await("PersistentWatchRemoved /ra/r");
    }

    private interface Watching {
        void by(Client z) throws Exception;
    }

    /** Lets a client watch, and change run while that client has no connection. */
    private static void cutOff(Context c, Watching watch, Context.Action change) throws Exception {
        Proxy proxy = c.keep(new Proxy(c.hosts.split(",")[0]));
        Client z = c.through(proxy.address(), 0, null);
        z.awaitConnected();
        long session = z.getSessionId();
        z.sync();
        watch.by(z);
        proxy.cut();
        Context.eventually("disconnected", () -> z.events.state() == Watcher.Event.KeeperState.Disconnected);
        change.run();
        proxy.mend();
        z.awaitConnected();
        Context.equal("session", session, z.getSessionId());
        z.sync();
    }

    private static void outage(Context c) throws Exception {
        Client other = c.client();
        other.make("/o", "");
        for (String name : Arrays.asList("set", "deleted", "kept", "children", "gone", "remade")) {
            other.make("/o/" + name, "");
        }
        Map<String, Events> on = Map.of("set", new Events(), "deleted", new Events(), "made", new Events(), "kept", new Events(),
                "children", new Events(), "gone", new Events(), "remade", new Events());
        cutOff(c, z -> {
            for (String name : Arrays.asList("set", "deleted", "kept", "remade")) {
                z.getData("/o/" + name, on.get(name), null);
            }
            z.exists("/o/made", on.get("made"));
            z.getChildren("/o/children", on.get("children"));
            z.getChildren("/o/gone", on.get("gone"));
        }, () -> {
            other.put("/o/set", "1");
            other.drop("/o/deleted");
            other.make("/o/made", "");
            other.make("/o/children/c", "");
            other.drop("/o/gone");
            other.drop("/o/remade");
            other.make("/o/remade", "");
        });
        on.get("set").await("NodeDataChanged /o/set");
        on.get("deleted").await("NodeDeleted /o/deleted");
        on.get("made").await("NodeCreated /o/made");
        on.get("children").await("NodeChildrenChanged /o/children");
        on.get("gone").await("NodeDeleted /o/gone");
        String told = on.get("remade").first(); // ZooKeeper compares with the node that is there, others tell what happened first
        Context.isTrue("remade, told of " + told, told.equals("NodeDataChanged /o/remade") || told.equals("NodeDeleted /o/remade"));
        on.get("kept").await();
        other.put("/o/kept", "1");
        on.get("kept").await("NodeDataChanged /o/kept");
    }

    private static void manyAgain(Context c) throws Exception {
        Client other = c.client();
        String longName = "x".repeat(900); // so that they fill several packets
        other.make("/set-again", "");
        Events seen = new Events();
        cutOff(c, z -> {
            for (int i = 0; i < 400; i++) {
                z.exists("/set-again/" + i + longName, seen);
            }
        }, () -> {
            for (int i = 0; i < 200; i++) {
                other.make("/set-again/" + i + longName, "");
            }
        });
        Context.eventually("200 events", () -> seen.seen().size() == 200);
        for (int i = 200; i < 400; i++) {
            other.make("/set-again/" + i + longName, "");
        }
        Context.eventually("400 events", () -> seen.seen().size() == 400);
    }

    private static void persistentOutage(Context c) throws Exception {
        Client other = c.client();
        other.make("/po", "");
        Events persistent = new Events(), recursive = new Events();
        cutOff(c, z -> {
            z.addWatch("/po", persistent, AddWatchMode.PERSISTENT);
            z.addWatch("/por", recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        }, () -> other.put("/po", "missed"));
        int missed = persistent.seen().size(); // ZooKeeper makes up for nothing, others tell what was missed
        Context.isTrue("one change was missed, told of " + persistent.seen(), missed <= 1);
        other.put("/po", "1");
        other.make("/por", "");
        other.make("/por/x", "");
        persistent.await(missed == 0 ? new String[] {"NodeDataChanged /po"} : new String[] {"NodeDataChanged /po", "NodeDataChanged /po"});
        recursive.await("NodeCreated /por", "NodeCreated /por/x");
    }
}
