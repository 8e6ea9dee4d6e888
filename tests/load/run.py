#!/usr/bin/env python3
"""How the registry holds: `run.py [idle] [restart] [soak]`, these three unless some are named, and `[shared] [stores]`.

idle     IDLE_SOCKETS WebSockets (10,000) that do nothing, plain and with TLS: memory for each.
restart  SIDECARS sidecars (1,000) of ours on one registry that ends and starts again: how long until all are
         back, what it takes of processor and memory.
soak     SOAK_SECONDS (120) of clients that come, talk, go and misbehave, while every introduction is counted.
shared   SHARED_PEERS WebSockets (280) and SHARED_SIDECARS sidecars (20) at three registries over one Redis: one
         registry is killed, the store is stopped and comes back. Only when it is named.
stores   Redis behind TLS, found by Sentinels, silent, emptied. Only when it is named.

Prints a line for each figure; fails when something is lost or grows.
"""

import asyncio
import os
import resource
import sys

import idle
import restart
import shared
import soak
import stores

PARTS = {"idle": idle.run, "restart": restart.run, "soak": soak.run}
# These need a program that was built with the feature `redis`, and `redis-server`.
OTHERS = {"shared": shared.run, "stores": stores.run}


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"{os.cpu_count()} processors, load {load}")
    names = sys.argv[1:] or list(PARTS)
    failures = []
    for name in names:
        try:
            asyncio.run({**PARTS, **OTHERS}[name]())
        except AssertionError as failure:
            failures.append(name)
            print(f"{name}: FAILED: {failure}")
    sys.exit(bool(failures))


main()
