import static org.apache.zookeeper.KeeperException.Code;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** Identities and ACLs with the Java client. */
final class Acls {
    static void add(Map<String, Check> m) {
        m.put("java ACL of a digest", Acls::digest);
        m.put("java ACL auth becomes the creator", Acls::auth);
        m.put("java ACLs of world and ip", Acls::worldAndIp);
        m.put("java each permission", Acls::permissions);
        m.put("java setACL and its versions", Acls::versions);
        m.put("java digests are hidden without ADMIN", Acls::hidden);
        m.put("java superuser", Acls::superuser);
        m.put("java whoAmI", Acls::whoAmI);
        m.put("java auth fails with an unknown scheme", Acls::unknownScheme);
        m.put("java identities outlive a connection", Acls::reconnect);
    }

    private static final byte[] ME = "me:secret".getBytes();

    private static List<ACL> only(int perms, String scheme, String id) {
        return Collections.singletonList(new ACL(perms, new Id(scheme, id)));
    }

    private static void digest(Context c) throws Exception {
        Client z = c.client(), stranger = c.client();
        String id = DigestAuthenticationProvider.generateDigest("me:secret");
        z.addAuthInfo("digest", ME);
        z.create("/mine", "x".getBytes(), only(Perms.ALL, "digest", id), CreateMode.PERSISTENT);
        z.make("/mine/child", "");
        stranger.sync();
        Context.refuses(Code.NOAUTH, () -> stranger.read("/mine"));
        Context.refuses(Code.NOAUTH, () -> stranger.getChildren("/mine", false));
        Context.refuses(Code.NOAUTH, () -> stranger.put("/mine", ""));
        Context.refuses(Code.NOAUTH, () -> stranger.make("/mine/y", ""));
        Context.refuses(Code.NOAUTH, () -> stranger.drop("/mine/child"));
        Context.refuses(Code.NOAUTH, () -> stranger.setACL("/mine", Ids.OPEN_ACL_UNSAFE, -1));
        Context.refuses(Code.NOAUTH, () -> stranger.getAllChildrenNumber("/mine"));
        stranger.addAuthInfo("digest", "me:wrong".getBytes());
        Context.refuses(Code.NOAUTH, () -> stranger.read("/mine"));
        stranger.addAuthInfo("digest", ME);
        Context.equal("data", "x", stranger.read("/mine"));
    }

    private static void auth(Context c) throws Exception {
        Client z = c.client();
        Context.refuses(Code.INVALIDACL, () -> z.create("/auth", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
        z.addAuthInfo("digest", ME);
        z.addAuthInfo("digest", "also:me".getBytes());
        z.create("/auth", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        List<ACL> want = new ArrayList<>();
        for (String user : Arrays.asList("me:secret", "also:me")) {
            want.addAll(only(Perms.ALL, "digest", DigestAuthenticationProvider.generateDigest(user)));
        }
        List<ACL> got = z.getACL("/auth", new Stat());
        Context.isTrue("both identities in " + got, got.size() == 2 && got.containsAll(want));
    }

    private static void worldAndIp(Context c) throws Exception {
        Client z = c.client();
        z.create("/world", null, Ids.READ_ACL_UNSAFE, CreateMode.PERSISTENT);
        Context.refuses(Code.NOAUTH, () -> z.put("/world", ""));
        z.getData("/world", false, null);
        z.create("/ip", null, only(Perms.ALL, "ip", "127.0.0.1"), CreateMode.PERSISTENT);
        z.create("/net", null, only(Perms.ALL, "ip", "127.0.0.0/8"), CreateMode.PERSISTENT);
        z.create("/far", null, only(Perms.ALL, "ip", "10.0.0.0/8"), CreateMode.PERSISTENT);
        z.put("/ip", "");
        z.put("/net", "");
        Context.refuses(Code.NOAUTH, () -> z.put("/far", ""));
        for (String bad : Arrays.asList("world:you", "ip:1.2.3", "ip:1.2.3.4/33", "digest:nocolon", "nosuch:x")) {
            int colon = bad.indexOf(':');
            Context.refuses(Code.INVALIDACL,
                    () -> z.create("/bad", null, only(Perms.ALL, bad.substring(0, colon), bad.substring(colon + 1)), CreateMode.PERSISTENT));
        }
    }

    private static void permissions(Context c) throws Exception {
        Client z = c.client();
        int[] each = {Perms.READ, Perms.WRITE, Perms.CREATE, Perms.DELETE, Perms.ADMIN};
        for (int perm : each) {
            String path = "/perm" + perm;
            z.make(path, "");
            z.make(path + "/old", "");
            z.setACL(path, only(perm, "world", "anyone"), -1);
            allowed(perm == Perms.READ, () -> z.getData(path, false, null));
            allowed(perm == Perms.READ, () -> z.getChildren(path, false));
            allowed(perm == Perms.WRITE, () -> z.put(path, "1"));
            allowed(perm == Perms.CREATE, () -> z.make(path + "/new", ""));
            allowed(perm == Perms.DELETE, () -> z.drop(path + "/old"));
            allowed(perm == Perms.READ || perm == Perms.ADMIN, () -> z.getACL(path, new Stat()));
            allowed(perm == Perms.ADMIN, () -> z.setACL(path, only(perm, "world", "anyone"), -1));
        }
    }

    private static void allowed(boolean want, Context.Action call) throws Exception {
        if (want) {
            call.run();
        } else {
            Context.refuses(Code.NOAUTH, call);
        }
    }

    private static void versions(Context c) throws Exception {
        Client z = c.client();
        z.make("/acl", "");
        Stat before = z.exists("/acl", false);
        Stat stat = z.setACL("/acl", Ids.OPEN_ACL_UNSAFE, 0);
        Context.equal("aversion", 1, stat.getAversion());
        Context.isTrue("nothing else", stat.getVersion() == 0 && stat.getMzxid() == before.getMzxid());
        Context.refuses(Code.BADVERSION, () -> z.setACL("/acl", Ids.OPEN_ACL_UNSAFE, 0));
        Context.refuses(Code.NONODE, () -> z.setACL("/none", Ids.OPEN_ACL_UNSAFE, -1));
        Context.equal("ACL", Ids.OPEN_ACL_UNSAFE, z.getACL("/acl", stat));
        Context.equal("stat", z.exists("/acl", false), stat);
    }

    private static void hidden(Context c) throws Exception {
        Client z = c.client();
        z.addAuthInfo("digest", ME);
        List<ACL> acl = new ArrayList<>(only(Perms.ALL, "digest", DigestAuthenticationProvider.generateDigest("me:secret")));
        acl.addAll(Ids.READ_ACL_UNSAFE);
        z.create("/hidden", null, acl, CreateMode.PERSISTENT);
        Client stranger = c.client();
        stranger.sync();
        acl.set(0, new ACL(Perms.ALL, new Id("digest", "me:x")));
        Context.equal("to a stranger", acl, stranger.getACL("/hidden", new Stat()));
    }

    private static void superuser(Context c) throws Exception {
        Client z = c.client(), boss = c.client();
        z.addAuthInfo("digest", ME);
        z.create("/closed", "x".getBytes(), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        boss.sync();
        Context.refuses(Code.NOAUTH, () -> boss.read("/closed"));
        boss.addAuthInfo("digest", "super:test".getBytes());
        Context.equal("data", "x", boss.read("/closed"));
        boss.setACL("/closed", Ids.OPEN_ACL_UNSAFE, -1);
    }

    private static void whoAmI(Context c) throws Exception {
        Client z = c.client();
        z.addAuthInfo("digest", ME);
        z.sync();
        List<String> got = new ArrayList<>();
        for (ClientInfo info : z.whoAmI()) {
            got.add(info.getAuthScheme() + ":" + info.getUser());
        }
        Context.equal("identities", Arrays.asList("digest:me", "ip:127.0.0.1"), Operations.sorted(got));
    }

    private static void unknownScheme(Context c) throws Exception {
        Client z = c.client();
        z.addAuthInfo("nosuch", "x".getBytes());
        Context.eventually("told that auth failed", () -> z.events.was(Watcher.Event.KeeperState.AuthFailed));
        Context.refuses(Code.AUTHFAILED, () -> z.exists("/", false));
    }

    private static void reconnect(Context c) throws Exception {
        Proxy proxy = c.keep(new Proxy(c.hosts.split(",")[0]));
        Client z = c.through(proxy.address(), 0, null);
        z.awaitConnected();
        z.addAuthInfo("digest", ME);
        z.create("/again", "x".getBytes(), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        proxy.cut();
        Context.eventually("disconnected", () -> z.events.state() == Watcher.Event.KeeperState.Disconnected);
        proxy.mend();
        z.awaitConnected();
        Context.equal("data", "x", z.read("/again"));
    }
}
