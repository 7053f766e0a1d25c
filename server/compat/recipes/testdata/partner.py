"""Does with kazoo's LockingQueue what each line of the input says, and answers it by its number."""
import sys

from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1])
client.start()
queues = {}
for line in sys.stdin:
    number, what, path, *more = line.split()
    queue = queues.setdefault(path, client.LockingQueue(path))
    answer = "unknown"
    if what == "put":
        queue.put(more[0].encode(), int(more[1]))
        answer = "done"
    elif what == "get":
        answer = queue.get(20).decode()
    elif what == "consume":
        answer = str(queue.consume())
    elif what == "release":
        answer = str(queue.release())
    print(number, answer, flush=True)
client.stop()
