"""Checks of a ZooKeeper service with kazoo: suite.py HOSTS operations|recipes|failover."""
import logging
import sys

import failover
import harness
import operations
import recipes

MODES = {"operations": operations.CHECKS, "recipes": recipes.CHECKS, "failover": failover.CHECKS}

if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    hosts, mode = sys.argv[1:3]
    sys.exit(harness.run(hosts, "kazoo-" + mode, MODES[mode]))
