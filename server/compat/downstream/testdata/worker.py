"""Is one of the workers that OpenStack's tooz coordinates, until SIGTERM.

It stands for leader of their group, and counts in a file under a lock that all
share; each reads the number before it writes the next. Prints what happens.
"""
import os
import signal
import sys

from tooz import coordination

hosts, name, counter = sys.argv[1:]
GROUP = b"workers"
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))


def say(*words):
    print(*words, flush=True)


def count():
    with open(counter) as file:
        number = int(file.read()) + 1
    with open(counter + "." + name, "w") as file:
        file.write(str(number))
    os.rename(file.name, counter)
    say("count", number)


me = coordination.get_coordinator(f"zookeeper://{hosts}?timeout=4", name.encode())
me.start(start_heart=True)
try:
    me.create_group(GROUP).get()
except coordination.GroupAlreadyExist:
    pass
me.join_group(GROUP).get()
me.watch_elected_as_leader(GROUP, lambda event: say("leads"))
lock = me.get_lock(b"counter")
members = None
while not asked:
    try:
        me.run_watchers()
        # tooz counts the lock of the leader, which is beside them, as one of them.
        now = sorted(member.decode() for member in me.get_members(GROUP).get() - {b"leader"})
        if now != members:
            members = now
            say("members", ",".join(members))
        with lock:
            count()
    except Exception as failure:
        say("error", type(failure).__name__, failure)
me.stop()
