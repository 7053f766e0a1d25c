"""Every recipe that kazoo ships."""
import datetime
import threading

from kazoo.exceptions import LockTimeout
from kazoo.protocol.states import EventType
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.recipe.watchers import PatientChildrenWatch

from harness import WITHIN, eventually, expect, in_background, raises

WORKERS, ROUNDS = 3, 8


def counted_under(c, path, guard):
    """Lets several clients count in a node, each read and write apart, and wants no count lost."""
    k = c.client()
    k.create(path, b"0", makepath=True)

    def work(client):
        for _ in range(ROUNDS):
            with guard(client):
                client.set(path, b"%d" % (int(client.get(path)[0]) + 1))
    for join in [in_background(work, c.client()) for _ in range(WORKERS)]:
        join()
    expect(int(k.get(path)[0]), WORKERS * ROUNDS, "count")


def lock_excludes(c):
    counted_under(c, "/lock-count", lambda client: client.Lock("/lock", "worker"))


def lock_order_and_timeout(c):
    a, b = c.client(), c.client()
    first, second = a.Lock("/lock-order", "first"), b.Lock("/lock-order", "second")
    expect(first.acquire(), True)
    expect(second.acquire(blocking=False), False)
    raises(LockTimeout, second.acquire, timeout=0.2)
    waiting = in_background(second.acquire)
    eventually(lambda: first.contenders() == ["first", "second"], "both contend")
    first.release()
    expect(waiting(), True)
    second.release()
    expect(second.contenders(), [])


def lock_passes_on_when_its_session_ends(c):
    a, b = c.client(), c.client()
    a.Lock("/lock-lost").acquire()
    waiting = in_background(b.Lock("/lock-lost").acquire)
    a.stop()
    expect(waiting(), True)


def lock_cancelled_and_left(c):
    a, b = c.client(), c.client()
    held = a.Lock("/lock-cancel")
    held.acquire()
    wanted = b.Lock("/lock-cancel")
    waiting = in_background(wanted.acquire)
    eventually(lambda: len(held.contenders()) == 2, "both contend")
    wanted.cancel()
    raises(Exception, waiting)
    eventually(lambda: len(held.contenders()) == 1, "one contends")


def read_locks_share_and_write_locks_exclude(c):
    clients = [c.client() for _ in range(4)]
    readers = [k.ReadLock("/rw", "r") for k in clients[:2]]
    writer, late = clients[2].WriteLock("/rw", "w"), clients[3].ReadLock("/rw", "late")
    for r in readers:
        expect(r.acquire(), True)
    expect(writer.acquire(blocking=False), False)
    waiting = in_background(writer.acquire)
    eventually(lambda: len(writer.contenders()) == 3, "the writer waits")
    expect(late.acquire(blocking=False), False, "a reader behind a writer")
    readers[0].release()
    readers[1].release()
    expect(waiting(), True)
    expect(late.acquire(blocking=False), False)
    writer.release()
    expect(late.acquire(timeout=WITHIN), True)


def write_lock_excludes(c):
    counted_under(c, "/write-count", lambda client: client.WriteLock("/write"))


def semaphore(c):
    clients = [c.client() for _ in range(3)]
    sems = [k.Semaphore("/sem", "id%d" % i, max_leases=2) for i, k in enumerate(clients)]
    expect(sems[0].acquire(), True)
    expect(sems[1].acquire(), True)
    expect(sems[2].acquire(blocking=False), False)
    expect(sorted(sems[2].lease_holders()), ["id0", "id1"])
    waiting = in_background(sems[2].acquire)
    sems[0].release()
    expect(waiting(), True)
    raises(ValueError, clients[0].Semaphore("/sem", max_leases=3).acquire)


def barrier(c):
    k, other = c.client(), c.client()
    k.Barrier("/barrier").create()
    other.sync("/")
    expect(other.Barrier("/barrier").wait(0.2), False)
    waiting = in_background(other.Barrier("/barrier").wait, WITHIN)
    expect(k.Barrier("/barrier").remove(), True)
    expect(waiting(), True)
    expect(k.Barrier("/barrier").remove(), False)


def double_barrier(c):
    inside, lock = [], threading.Lock()

    def pass_through(client, name):
        b = client.DoubleBarrier("/double", WORKERS, name)
        b.enter()
        with lock:
            inside.append(name)
        b.leave()
        return len(inside)  # nobody leaves before all have entered
    got = [join() for join in [in_background(pass_through, c.client(), "w%d" % i) for i in range(WORKERS)]]
    expect(got, [WORKERS] * WORKERS)


def counter(c):
    clients = [c.client() for _ in range(WORKERS)]

    def count(client):
        n = client.Counter("/counter")
        for _ in range(ROUNDS):
            n += 2
            n -= 1
        return n
    for join in [in_background(count, k) for k in clients]:
        join()
    clients[0].sync("/counter")
    expect(clients[0].Counter("/counter").value, WORKERS * ROUNDS)
    f = clients[0].Counter("/float", default=1.0)
    f += 0.5
    expect(f.value, 1.5)
    s = clients[0].Counter("/curator", support_curator=True)
    s += 258
    expect((s.value, clients[0].get("/curator")[0]), (258, b"\x00\x00\x01\x02"))


def election(c):
    led, together = [], threading.Lock()

    def lead(name):
        if not together.acquire(blocking=False):
            raise AssertionError("two leaders at once")
        led.append(name)
        together.release()
    joins = [in_background(k.Election("/election", "e%d" % i).run, lead, "e%d" % i)
             for i, k in enumerate(c.client() for _ in range(WORKERS))]
    for join in joins:
        join()
    expect(sorted(led), ["e%d" % i for i in range(WORKERS)])


def party(c):
    a, b = c.client(), c.client()
    mine, theirs = a.Party("/party", "alice"), b.Party("/party", "bob")
    mine.join()
    theirs.join()
    b.sync("/party")
    expect((sorted(theirs), len(theirs)), (["alice", "bob"], 2))
    a.stop()
    eventually(lambda: list(theirs) == ["bob"], "alice has left")
    theirs.leave()
    expect(len(theirs), 0)


def shallow_party(c):
    a, b = c.client(), c.client()
    mine, theirs = a.ShallowParty("/shallow", "alice"), b.ShallowParty("/shallow", "bob")
    mine.join()
    theirs.join()
    b.sync("/shallow")
    expect(sorted(theirs), ["alice", "bob"])
    mine.leave()
    b.sync("/shallow")
    expect(list(theirs), ["bob"])


def queue(c):
    k, other = c.client(), c.client()
    q = k.Queue("/queue")
    expect(q.get(), None)
    for value, priority in ((b"b", 100), (b"c", 100), (b"d", 200), (b"a", 10)):
        q.put(value, priority)
    expect(len(q), 4)
    other.sync("/queue")
    expect([other.Queue("/queue").get() for _ in range(5)], [b"a", b"b", b"c", b"d", None])


def locking_queue(c):
    a, b = c.client(), c.client()
    mine, theirs = a.LockingQueue("/locking"), b.LockingQueue("/locking")
    mine.put_all([b"one", b"two"])
    mine.put(b"first", priority=1)
    expect(mine.get(timeout=WITHIN), b"first")
    expect(mine.holds_lock(), True)
    b.sync("/locking")
    expect(theirs.get(timeout=WITHIN), b"one")
    expect(mine.consume(), True)
    expect(theirs.release(), True)
    expect(mine.get(timeout=WITHIN), b"one")
    a.stop()  # gives its entry back
    got = []
    while len(got) < 2:
        got.append(theirs.get(timeout=WITHIN))
        expect(theirs.consume(), True)
    expect(sorted(got), [b"one", b"two"])
    expect(theirs.get(timeout=0.2), None)


def leases(c):
    a, b, now = c.client(), c.client(), [datetime.datetime(2020, 1, 1)]
    hour = datetime.timedelta(hours=1)

    def lease(k, who):
        k.sync("/lease")
        return bool(k.NonBlockingLease("/lease", hour, who, utcnow=lambda: now[0]))
    expect((lease(a, "a"), lease(b, "b"), lease(a, "a")), (True, False, True))
    now[0] += 2 * hour
    expect((lease(b, "b"), lease(a, "a")), (True, False))

    def multi(k, who):
        k.sync("/multilease")
        return bool(k.MultiNonBlockingLease(2, "/multilease", hour, who, utcnow=lambda: now[0]))
    expect([multi(k, who) for k, who in ((a, "1"), (b, "2"), (a, "3"), (b, "1"))], [True, True, False, True])


def children_watch(c):
    k, other, seen = c.client(), c.client(), []
    k.ensure_path("/cw")
    k.ChildrenWatch("/cw", lambda names: seen.append(sorted(names)))
    expect(seen, [[]])
    other.sync("/cw")
    other.create("/cw/a")
    eventually(lambda: seen[-1] == ["a"], "a is seen")
    other.create("/cw/b")
    eventually(lambda: seen[-1] == ["a", "b"], "b is seen")
    other.delete("/cw/a")
    eventually(lambda: seen[-1] == ["b"], "a is gone")


def children_watch_with_events(c):
    k, seen = c.client(), []
    k.ensure_path("/cwe")
    k.ChildrenWatch("/cwe", lambda names, event: seen.append(event and event.type), send_event=True)
    k.create("/cwe/a")
    eventually(lambda: seen == [None, EventType.CHILD], "the event")


def data_watch(c):
    k, other, seen = c.client(), c.client(), []
    k.DataWatch("/dw", lambda data, stat: seen.append((data, stat and stat.version)))
    expect(seen, [(None, None)])
    other.create("/dw", b"1")
    eventually(lambda: seen[-1] == (b"1", 0), "the node is made")
    other.set("/dw", b"2")
    eventually(lambda: seen[-1] == (b"2", 1), "it is set")
    other.delete("/dw")
    eventually(lambda: seen[-1] == (None, None), "it is gone")
    other.create("/dw", b"3")
    eventually(lambda: seen[-1] == (b"3", 0), "it is back")


def patient_children_watch(c):
    k = c.client()
    k.ensure_path("/patient/a")
    names, change = PatientChildrenWatch(k, "/patient", time_boundary=0.1).start().get(timeout=WITHIN)
    expect(names, ["a"])
    k.create("/patient/b")
    change.get(timeout=WITHIN)


def tree_cache(c):
    k, other, seen = c.client(), c.client(), []
    k.ensure_path("/tc/a/b")
    cache = TreeCache(k, "/tc")
    cache.listen(lambda event: seen.append((event.event_type, event.event_data and event.event_data.path)))
    cache.start()
    eventually(lambda: (TreeEvent.INITIALIZED, None) in seen, "initialized")
    expect({p for kind, p in seen if kind == TreeEvent.NODE_ADDED}, {"/tc", "/tc/a", "/tc/a/b"})
    other.sync("/tc")
    other.create("/tc/a/new", b"n")
    eventually(lambda: cache.get_data("/tc/a/new") is not None, "a node is added")
    other.set("/tc/a/new", b"m")
    eventually(lambda: cache.get_data("/tc/a/new").data == b"m", "it is updated")
    expect(cache.get_children("/tc/a"), frozenset(["b", "new"]))
    other.delete("/tc/a", recursive=True)
    eventually(lambda: (TreeEvent.NODE_REMOVED, "/tc/a") in seen, "it is removed")
    cache.close()


def set_partitioner(c):
    members, parts = [c.client() for _ in range(2)], range(5)

    def drive(partitioners, until):
        def step():
            for p in partitioners:
                if p.release:
                    p.release_set()
                elif p.allocating:
                    p.wait_for_acquire(0.1)
                elif p.failed:
                    raise AssertionError("a partitioner failed")
            return until()
        eventually(step, "partitioned")
    make = [lambda k=k, i=i: k.SetPartitioner("/partition", parts, time_boundary=0.2, identifier="m%d" % i)
            for i, k in enumerate(members)]
    first = make[0]()
    drive([first], lambda: first.acquired and len(list(first)) == 5)
    second = make[1]()
    both = [first, second]
    drive(both, lambda: all(p.acquired for p in both) and len(list(first)) < 5)
    expect(sorted(list(first) + list(second)), list(parts))
    second.finish()
    drive([first], lambda: first.acquired and len(list(first)) == 5)
    first.finish()


CHECKS = [v for v in list(globals().values())
          if callable(v) and getattr(v, "__module__", "") == __name__ and v is not counted_under]
