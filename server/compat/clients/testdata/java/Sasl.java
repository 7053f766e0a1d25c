import static org.apache.zookeeper.KeeperException.Code;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import javax.security.auth.login.AppConfigurationEntry;
import javax.security.auth.login.Configuration;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.server.auth.DigestLoginModule;

/** SASL DIGEST-MD5 of the Java client, as the user alice, whom the servers know. */
final class Sasl {
    static void add(Map<String, Check> m) {
        Configuration.setConfiguration(new Users());
        m.put("java SASL", Sasl::authenticates);
        m.put("java SASL with a wrong password fails", Sasl::wrongPassword);
    }

    /** Has a login for a client that asks for one by its name, and none for others. */
    private static final class Users extends Configuration {
        @Override
        public AppConfigurationEntry[] getAppConfigurationEntry(String name) {
            if (!name.startsWith("password:")) {
                return null;
            }
            Map<String, String> options = Map.of("username", "alice", "password", name.substring("password:".length()));
            return new AppConfigurationEntry[] {new AppConfigurationEntry(DigestLoginModule.class.getName(),
                    AppConfigurationEntry.LoginModuleControlFlag.REQUIRED, options)};
        }
    }

    private static Client alice(Context c, String connect, String password) throws Exception {
        ZKClientConfig config = new ZKClientConfig();
        config.setProperty(ZKClientConfig.LOGIN_CONTEXT_NAME_KEY, "password:" + password);
        return c.keep(Client.configured(connect + c.root, config));
    }

    private static void authenticates(Context c) throws Exception {
        Proxy proxy = c.keep(new Proxy(c.hosts.split(",")[0]));
        Client z = alice(c, proxy.address(), "secret");
        z.awaitConnected();
        List<ACL> hers = Collections.singletonList(new ACL(Perms.ALL, new Id("sasl", "alice")));
        z.create("/sasl", "x".getBytes(), hers, CreateMode.PERSISTENT);
        List<String> ids = new ArrayList<>();
        for (ClientInfo info : z.whoAmI()) {
            ids.add(info.getAuthScheme() + ":" + info.getUser());
        }
        Context.isTrue("alice is among " + ids, ids.contains("sasl:alice"));
        z.create("/sasl-auth", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        Context.equal("auth", hers, z.getACL("/sasl-auth", null));
        Client stranger = c.client();
        stranger.sync();
        Context.refuses(Code.NOAUTH, () -> stranger.read("/sasl"));

        proxy.cut();
        Context.eventually("disconnected", () -> z.events.state() == KeeperState.Disconnected);
        proxy.mend();
        z.awaitConnected();
        Context.equal("data, after an outage", "x", Context.retry(() -> z.read("/sasl")));
    }

    private static void wrongPassword(Context c) throws Exception {
        Client z = alice(c, c.hosts, "wrong");
        Context.eventually("told that it failed", () -> z.events.was(KeeperState.AuthFailed));
    }
}
