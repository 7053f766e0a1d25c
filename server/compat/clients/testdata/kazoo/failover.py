"""Clients that live on while servers die. Prints `READY ADDRESS`, the server that it is on, and
goes on until its input ends; then nothing may have been lost."""
import sys
import threading

from kazoo.exceptions import ConnectionLoss, NodeExistsError, OperationTimeoutError, SessionExpiredError
from kazoo.protocol.states import EventType, KazooState

from harness import Events, WITHIN, eventually, expect, in_background

LOST = (ConnectionLoss, OperationTimeoutError)
PACE = 0.01  # seconds between the writes of one writer
AT_LEAST = 50  # writes


def sessions_live_and_nothing_is_lost(c):
    k, over = c.client(), threading.Event()
    session, states = k.client_id, []
    k.add_listener(states.append)
    k.create("/log")
    k.create("/cas", b"0")
    k.create("/ephemeral", ephemeral=True)
    writing = in_background(write_log, c.client(), over)
    counting = in_background(count_up, c.client(), over)
    watching = watch_all(c, k)
    lock, rival = k.Lock("/lock", "holder"), c.client()
    lock.acquire()
    rivalling = in_background(rival.Lock("/lock", "rival").acquire)
    eventually(lambda: len(k.retry(lock.contenders)) == 2, "the rival waits")
    party = c.client()
    party.Party("/party", "guest").join()

    print("READY %s:%d" % k._connection._socket.getpeername()[:2], flush=True)
    sys.stdin.read()
    over.set()

    acked, unknown = writing(90)
    counted = counting(90)
    eventually(lambda: k.connected, "connected")
    expect(KazooState.LOST in states, False, "a session was lost, states %s" % states)
    expect(k.client_id, session)
    k.retry(k.sync, "/")
    expect(k.retry(k.exists, "/ephemeral").ephemeralOwner, session[0])
    expect(int(k.retry(k.get, "/cas")[0]), counted, "count")
    lost = [name for name in acked if k.retry(k.get, "/log/" + name)[0] != name.encode()]
    expect(lost, [], "acknowledged and not there")
    extra = set(k.retry(k.get_children, "/log")) - set(acked) - set(unknown)
    expect(extra, set(), "there and never written")
    watching()
    expect(list(k.Party("/party")), ["guest"])
    expect(k.retry(lock.contenders), ["holder", "rival"])
    k.retry(lock.release)
    expect(rivalling(), True, "the rival has the lock")


def write_log(k, over):
    """Creates nodes with names of their own; returns those acknowledged and those that may be there."""
    acked, unknown, last = [], [], 0
    while not over.wait(PACE) or len(acked) < AT_LEAST:
        name, tried = "n-%06d" % (len(acked) + len(unknown)), False
        while True:
            try:
                path, stat = k.create("/log/" + name, name.encode(), include_data=True)
                if stat.czxid <= last:
                    raise AssertionError("czxid %x after %x" % (stat.czxid, last))
                last = stat.czxid
                acked.append(name)
            except LOST:
                if over.is_set():
                    unknown.append(name)
                else:
                    tried = True
                    eventually(lambda: k.connected, "connected again")
                    continue
            except NodeExistsError:
                expect(tried, True, "a node that nobody else makes")
                acked.append(name)
            break
        expect(k.retry(k.get, "/log/" + acked[-1])[0], acked[-1].encode(), "own write")
    return acked, unknown


def count_up(k, over):
    """Raises a number by compare and set; returns it."""
    n, version = 0, 0
    while not over.wait(PACE):
        try:
            version = k.set("/cas", b"%d" % (n + 1), version=version).version
            n += 1
        except LOST:
            data, stat = k.retry(k.get, "/cas")
            k.retry(k.sync, "/cas")
            data, stat = k.retry(k.get, "/cas")
            expect(int(data) - n in (0, 1), True, "the count went from %d to %s" % (n, data))
            n, version = int(data), stat.version
    return n


def watch_all(c, k):
    """Leaves watches before the storm, and returns what changes all and demands the events."""
    other = c.client()
    k.create("/watched", b"0")
    k.create("/bystander", b"0")
    data, children = [], []
    k.DataWatch("/watched", lambda value, stat: data.append(value))
    k.ChildrenWatch("/watched", lambda names: children.append(sorted(names)))
    k.ensure_path("/tree")
    cached = k.exists("/tree")

    def demand():
        other.retry(other.set, "/watched", b"after")
        other.retry(other.create, "/watched/child")
        eventually(lambda: data[-1] == b"after", "the data watch fires, saw %s" % data)
        eventually(lambda: children[-1] == ["child"], "the children watch fires, saw %s" % children)
        seen = Events()
        k.retry(k.exists, "/bystander", watch=seen)
        other.retry(other.delete, "/bystander")
        seen.wait((EventType.DELETED, "/bystander"))
        expect(k.exists("/tree"), cached)
    return demand


CHECKS = [sessions_live_and_nothing_is_lost]
