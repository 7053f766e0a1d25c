"""Prints who holds Patroni's leader lock, by which session, since which zxid."""
import sys

from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1], timeout=5)
client.start(timeout=20)
data, stat = client.get("/service/demo/leader")
print(data.decode(), hex(stat.owner_session_id or 0), hex(stat.czxid))
client.stop()
