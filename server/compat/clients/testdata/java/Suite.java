import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** Checks of a ZooKeeper service with the Java client and with Curator: Suite HOSTS operations|recipes|failover. */
public final class Suite {
    public static void main(String[] args) throws Exception {
        String hosts = args[0], mode = args[1];
        Map<String, Check> checks = new LinkedHashMap<>();
        switch (mode) {
            case "operations":
                Operations.add(checks);
                Acls.add(checks);
                Sasl.add(checks);
                Watches.add(checks);
                Sessions.add(checks);
                CuratorOperations.add(checks);
                break;
            case "recipes":
                Recipes.add(checks);
                CuratorLocks.add(checks);
                CuratorLeaders.add(checks);
                CuratorCaches.add(checks);
                CuratorQueues.add(checks);
                CuratorNodes.add(checks);
                break;
            case "failover":
                Failover.add(checks);
                break;
            default:
                throw new IllegalArgumentException(mode);
        }
        System.exit(Context.run(hosts, "java-" + mode, checks) ? 0 : 1); // threads of broken clients may be left
    }
}
