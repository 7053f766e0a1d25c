"""Every operation that kazoo can send."""
from kazoo import exceptions as e
from kazoo.protocol.states import EventType, KazooState
from kazoo.security import ACL, CREATOR_ALL_ACL, Id, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE, make_acl, make_digest_acl

from harness import Events, abandon, break_connection, eventually, expect, raises


def create_get_exists(c):
    k = c.client()
    expect(k.create("/a", b"one"), "/a")
    data, stat = k.get("/a")
    expect(data, b"one")
    expect((stat.version, stat.cversion, stat.aversion, stat.dataLength, stat.numChildren, stat.ephemeralOwner),
           (0, 0, 0, 3, 0, 0), "stat")
    expect((stat.mzxid, stat.pzxid), (stat.czxid, stat.czxid), "zxids")
    expect(stat.ctime, stat.mtime)
    expect(stat.czxid > 0, True)
    expect(k.exists("/a"), stat)
    expect(k.exists("/none"), None)
    path, stat2 = k.create("/a/b", b"x", include_data=True)
    expect((path, stat2.czxid > stat.czxid, stat2.version), ("/a/b", True, 0))
    parent = k.exists("/a")
    expect((parent.cversion, parent.pzxid, parent.mzxid, parent.numChildren), (1, stat2.czxid, stat.mzxid, 1))


def create_refusals(c):
    k = c.client()
    k.create("/r")
    raises(e.NodeExistsError, k.create, "/r")
    raises(e.NoNodeError, k.create, "/r/x/y")
    k.create("/r/eph", ephemeral=True)
    raises(e.NoChildrenForEphemeralsError, k.create, "/r/eph/child")
    raises(e.InvalidACLError, k.create, "/r/acl", acl=[ACL(31, Id("nosuch", "x"))])
    raises(e.NodeExistsError, k.create, "/", b"")


def makepath_and_recursive_delete(c):
    k = c.client()
    k.create("/deep/er/most", b"x", makepath=True)
    k.ensure_path("/deep/er/most")
    k.ensure_path("/deep/er/other/one")
    k.delete("/deep", recursive=True)
    expect(k.exists("/deep"), None)


def sequential_names(c):
    k = c.client()
    k.create("/seq")
    expect(k.create("/seq/n-", sequence=True), "/seq/n-0000000000")
    expect(k.create("/seq/n-", sequence=True, ephemeral=True), "/seq/n-0000000001")
    k.create("/seq/plain")
    k.delete("/seq/n-0000000000")
    expect(k.create("/seq/", sequence=True), "/seq/0000000003")
    raises(e.NoNodeError, k.delete, "/seq/n-")


def ephemerals_go_with_their_session(c):
    k, other = c.client(), c.client()
    k.create("/eph", ephemeral=True)
    other.sync("/")
    expect(other.exists("/eph").ephemeralOwner, k.client_id[0])
    gone = Events()
    other.exists("/eph", watch=gone)
    k.stop()
    gone.wait((EventType.DELETED, "/eph"))
    expect(other.exists("/eph"), None)


def delete_and_versions(c):
    k = c.client()
    k.create("/d/c", makepath=True)
    raises(e.NotEmptyError, k.delete, "/d")
    raises(e.NoNodeError, k.delete, "/dd")
    raises(e.BadVersionError, k.delete, "/d/c", version=3)
    k.delete("/d/c", version=0)
    raises(e.NoNodeError, k.delete, "/d/c")
    k.delete("/d")
    raises(e.NoNodeError, k.get, "/d")
    raises(e.NoNodeError, k.get_children, "/d")


def set_and_versions(c):
    k = c.client()
    k.create("/s", b"")
    stat = k.set("/s", b"12")
    expect((stat.version, stat.dataLength, stat.mzxid > stat.czxid), (1, 2, True))
    raises(e.BadVersionError, k.set, "/s", b"", version=0)
    expect(k.set("/s", b"3", version=1).version, 2)
    raises(e.NoNodeError, k.set, "/none", b"")
    expect(k.get("/s"), (b"3", k.exists("/s")))


def null_is_not_empty(c):
    k = c.client()
    k.create("/null")
    k.set("/null", None)
    k.create("/empty", b"")
    expect(k.get("/empty")[0], b"")
    expect(k.get("/null")[0], None)
    expect(k.get("/null")[1].dataLength, 0)


def acls_by_digest(c):
    k, stranger = c.client(), c.client()
    k.add_auth("digest", "me:secret")
    k.create("/mine", b"x", acl=[make_digest_acl("me", "secret", all=True)])
    stranger.sync("/")
    for call in (stranger.get, stranger.get_children, lambda p: stranger.set(p, b""), lambda p: stranger.create(p + "/c"),
                 lambda p: stranger.set_acls(p, OPEN_ACL_UNSAFE)):
        raises(e.NoAuthError, call, "/mine")
    k.create("/mine/child")
    raises(e.NoAuthError, stranger.delete, "/mine/child")
    stranger.add_auth("digest", "me:wrong")
    raises(e.NoAuthError, stranger.get, "/mine")
    stranger.add_auth("digest", "me:secret")
    expect(stranger.get("/mine")[0], b"x", "with a second identity")


def acls_by_auth_world_ip(c):
    k, stranger = c.client(), c.client()
    raises(e.InvalidACLError, k.create, "/auth", acl=CREATOR_ALL_ACL)
    k.add_auth("digest", "me:secret")
    k.create("/auth", acl=CREATOR_ALL_ACL)
    acls, stat = k.get_acls("/auth")
    expect(acls, [make_digest_acl("me", "secret", all=True)])
    k.create("/world", acl=READ_ACL_UNSAFE)
    raises(e.NoAuthError, k.set, "/world", b"")
    expect(k.get("/world")[0], b"")
    k.create("/ip", acl=[make_acl("ip", "127.0.0.0/8", all=True)])
    k.create("/farip", acl=[make_acl("ip", "10.1.2.3", all=True)])
    stranger.sync("/")
    stranger.set("/ip", b"y")
    raises(e.NoAuthError, stranger.set, "/farip", b"y")


def set_acls_and_versions(c):
    k = c.client()
    k.create("/acl")
    expect(k.get_acls("/acl")[0], OPEN_ACL_UNSAFE)
    before = k.exists("/acl")
    stat = k.set_acls("/acl", [make_acl("world", "anyone", read=True, admin=True)], version=0)
    expect((stat.aversion, stat.version, stat.mzxid), (1, 0, before.mzxid))
    raises(e.BadVersionError, k.set_acls, "/acl", OPEN_ACL_UNSAFE, version=0)
    raises(e.NoAuthError, k.set, "/acl", b"")
    raises(e.NoNodeError, k.set_acls, "/none", OPEN_ACL_UNSAFE)
    raises(e.InvalidACLError, k.set_acls, "/acl", [])


def auth_with_an_unknown_scheme_ends_the_connection(c):
    k = c.client()
    raises(e.AuthFailedError, k.add_auth, "nosuch", "x:y")


def superuser(c):
    k, boss = c.client(), c.client()
    k.add_auth("digest", "me:secret")
    k.create("/closed", b"x", acl=CREATOR_ALL_ACL)
    boss.sync("/")
    raises(e.NoAuthError, boss.get, "/closed")
    boss.add_auth("digest", "super:test")
    expect(boss.get("/closed")[0], b"x")
    boss.delete("/closed")


def sasl(c):
    options = {"mechanism": "DIGEST-MD5", "username": "alice", "password": "secret"}
    k, stranger = c.client(sasl_options=options), c.client()
    k.create("/sasl", b"x", acl=[make_acl("sasl", "alice", all=True)])
    stranger.sync("/")
    raises(e.NoAuthError, stranger.get, "/sasl")
    break_connection(k)
    expect(k.retry(k.get, "/sasl")[0], b"x", "data over a new connection")
    wrong = c.unstarted(c.root, sasl_options=dict(options, password="wrong"))
    states = []
    wrong.add_listener(states.append)
    wrong.start_async()  # start itself, woken late, calls the refusal a timeout
    eventually(lambda: KazooState.LOST in states, "a wrong password is refused")


def children(c):
    k = c.client()
    k.create("/ch")
    expect(k.get_children("/ch"), [])
    for name in ("b", "a", "c"):
        k.create("/ch/" + name)
    expect(sorted(k.get_children("/ch")), ["a", "b", "c"])
    names, stat = k.get_children("/ch", include_data=True)
    expect((sorted(names), stat.numChildren, stat.cversion), (["a", "b", "c"], 3, 3))


def transactions(c):
    k = c.client()
    t = k.transaction()
    t.create("/t", b"1")
    t.create("/t/seq-", sequence=True)
    t.create("/t/eph", ephemeral=True)
    t.check("/t", 0)
    t.set_data("/t", b"2", 0)
    t.check("/t", 1)
    t.delete("/t/eph", 0)
    got = t.commit()
    expect((got[0], got[1], got[2], got[3], got[4].version, got[6]), ("/t", "/t/seq-0000000000", "/t/eph", True, 1, True))
    data, stat = k.get("/t")
    expect((data, stat.czxid, stat.numChildren), (b"2", stat.mzxid, 1))


def failed_transactions_leave_nothing(c):
    k = c.client()
    k.create("/ft")
    t = k.transaction()
    t.create("/ft/a")
    t.check("/ft", 7)
    t.create("/ft/b")
    expect([type(r) for r in t.commit()], [e.RolledBackError, e.BadVersionError, e.RuntimeInconsistency])
    expect(k.get_children("/ft"), [])
    t = k.transaction()
    t.create("/ft/a/b")
    expect([type(r) for r in t.commit()], [e.NoNodeError])
    expect(k.transaction().commit(), [], "an empty transaction")
    expect(k.create("/ft/", sequence=True), "/ft/0000000000", "after rollbacks")


def sync_echoes_its_path(c):
    k = c.client()
    expect(k.sync("/"), "/")
    expect(k.sync("/not/there"), "/not/there")


def watches_fire_once(c):
    k, other = c.client(), c.client()
    data, absent, child = Events(), Events(), Events()
    k.create("/w", b"")
    expect(k.exists("/w/new", watch=absent), None)
    k.get("/w", watch=data)
    k.get_children("/w", watch=child)
    other.sync("/")
    other.set("/w", b"1")
    other.set("/w", b"2")
    other.create("/w/new")
    other.create("/w/more")
    k.sync("/")
    data.wait((EventType.CHANGED, "/w"))
    absent.wait((EventType.CREATED, "/w/new"))
    child.wait((EventType.CHILD, "/w"))


def watches_on_a_delete(c):
    k, other = c.client(), c.client()
    k.create("/wd/c", makepath=True)
    data, child, parent = Events(), Events(), Events()
    k.get("/wd/c", watch=data)
    k.get_children("/wd/c", watch=child)
    k.get_children("/wd", watch=parent)
    other.sync("/")
    other.delete("/wd/c")
    data.wait((EventType.DELETED, "/wd/c"))
    child.wait((EventType.DELETED, "/wd/c"))
    parent.wait((EventType.CHILD, "/wd"))


def an_event_comes_before_the_read_that_shows_it(c):
    k, other = c.client(), c.client()
    k.create("/order", b"0")
    for i in range(1, 50):
        seen = Events()
        k.get("/order", watch=seen)
        other.set("/order", b"%d" % i)
        while k.get("/order")[0] != b"%d" % i:
            pass
        seen.wait((EventType.CHANGED, "/order"))


def requests_in_flight_are_answered_in_order(c):
    k = c.client()
    k.create("/pipe", b"-1")
    writes, reads = [], []
    for i in range(500):
        writes.append(k.set_async("/pipe", b"%d" % i))
        reads.append(k.get_async("/pipe"))
    for i in range(500):
        expect(writes[i].get(timeout=20).version, i + 1)
        expect(reads[i].get(timeout=20)[0], b"%d" % i)


def large_data(c):
    k = c.client()
    blob = bytes(range(256)) * 3906 + b"x" * 64
    expect(len(blob), 1_000_000)
    k.create("/large", blob)
    expect(k.get("/large")[0], blob)
    k.set("/large", blob[::-1])
    expect(k.get("/large")[0], blob[::-1])
    k.delete("/large")


def too_large_data_ends_the_connection_not_the_session(c):
    k = c.client()
    session = k.client_id
    k.create("/toolarge", ephemeral=True)
    raises(e.ConnectionLoss, k.set, "/toolarge", b"x" * 1_048_600)
    eventually(lambda: k.connected, "connected again")
    expect(k.client_id, session)
    expect(k.retry(k.exists, "/toolarge").ephemeralOwner, session[0])


def ten_thousand_children(c):
    k = c.client()
    k.create("/many")
    names = ["child-%05d" % i for i in range(10_000)]
    for at in range(0, len(names), 1000):
        t = k.transaction()
        for name in names[at:at + 1000]:
            t.create("/many/" + name)
        expect([r for r in t.commit() if isinstance(r, Exception)], [])
    expect(sorted(k.get_children("/many")), names)
    expect(k.exists("/many").numChildren, 10_000)
    for at in range(0, len(names), 1000):
        t = k.transaction()
        for name in names[at:at + 1000]:
            t.delete("/many/" + name)
        t.commit()
    k.delete("/many")


def unicode_paths(c):
    k = c.client()
    k.create("/straße", b"")
    for name in ("日本語", "a b", "Ω"):
        k.create("/straße/" + name, name.encode())
        expect(k.get("/straße/" + name)[0], name.encode())
    expect(sorted(k.get_children("/straße")), sorted(["日本語", "a b", "Ω"]))


def bad_paths(c):
    k = c.client()
    for path in ("/nul\x00", "/a\x01b", "/private\uf8ff", "/emoji-😀"):
        raises(e.BadArgumentsError, k.create, path)
    outside = c.unstarted("")
    outside.start(timeout=20)
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        raises((e.BadArgumentsError), outside.delete, path)
    raises(e.NoAuthError, outside.set, "/zookeeper/config", b"")
    outside.get("/zookeeper/config")
    expect(set(outside.get_children("/zookeeper")) >= {"config", "quota"}, True)


def chroot(c):
    k, inner = c.client(), None
    k.create("/chroot")
    inner = c.client("/chroot")
    expect(inner.create("/x"), "/x")
    seen = Events()
    inner.get("/x", watch=seen)
    k.sync("/")
    expect(k.get_children("/chroot"), ["x"])
    k.set("/chroot/x", b"1")
    seen.wait((EventType.CHANGED, "/x"))
    expect(inner.create("/s-", sequence=True), "/s-0000000001")
    expect(sorted(inner.get_children("/")), ["s-0000000001", "x"])


def a_broken_connection_keeps_its_session(c):
    k = c.client()
    session, states = k.client_id, []
    k.create("/kept", ephemeral=True)
    k.add_listener(states.append)
    break_connection(k)
    eventually(lambda: states[-2:] == [KazooState.SUSPENDED, KazooState.CONNECTED], "reconnected, saw %s" % states)
    expect(k.client_id, session)
    expect(k.retry(k.exists, "/kept").ephemeralOwner, session[0])


def a_session_moves_to_another_client(c):
    k = c.client()
    session = k.client_id
    k.create("/moved", ephemeral=True)
    abandon(k)
    taker = c.client(client_id=session)
    expect(taker.client_id, session)
    expect(taker.exists("/moved").ephemeralOwner, session[0])


def a_wrong_password_is_an_expired_session(c):
    k = c.client()
    sid, password = k.client_id
    k.create("/guarded", ephemeral=True)
    thief = c.unstarted(c.root, client_id=(sid, b"\x07" * 16))
    thief.start(timeout=20)  # kazoo takes a new session when the old one is refused
    expect(thief.client_id[0] != sid, True, "another session")
    expect(k.retry(k.exists, "/guarded").ephemeralOwner, sid)


def a_closed_session_is_expired_to_others(c):
    k = c.client()
    old = k.client_id
    taker = c.unstarted(c.root, client_id=old)
    k.stop()
    taker.start(timeout=20)
    expect(taker.client_id != old, True, "a new session")


def an_expired_session_takes_its_ephemerals(c):
    k, other = c.client(timeout=2.0), c.client()
    k.create("/expiring", ephemeral=True)
    gone = Events()
    other.sync("/")
    other.get("/expiring", watch=gone)
    abandon(k)
    gone.wait((EventType.DELETED, "/expiring"))


def four_letter_words(c):
    k = c.client()
    expect(k.command(b"ruok"), "imok")
    expect("Mode: " in k.command(b"srvr"), True)
    expect(k.server_version()[:2] >= (3, 4), True)


CHECKS = [v for v in list(globals().values()) if callable(v) and getattr(v, "__module__", "") == __name__]
