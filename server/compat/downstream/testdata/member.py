"""Is a member of a serverset, at the port given, until SIGTERM asks it to leave."""
import json
import signal
import sys

from kazoo.client import KazooClient

hosts, port = sys.argv[1], int(sys.argv[2])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
client = KazooClient(hosts=hosts, timeout=4)
client.start(timeout=60)
endpoint = {"host": "127.0.0.1", "port": port}
member = {"serviceEndpoint": endpoint, "additionalEndpoints": {}, "status": "ALIVE", "shard": 0}
client.create("/services/demo/member_", json.dumps(member).encode(), ephemeral=True, sequence=True, makepath=True)
signal.sigwait({signal.SIGTERM})
client.stop()
