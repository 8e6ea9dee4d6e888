#!/usr/bin/env python3
"""A soak: ten sidecars whose agents send at random, while all goes wrong that may. `make soak MINUTES=5`.

Sidecars are killed, ended, stopped and started again; agents are slow, leave and come back; the registry ends and
returns; the network's address changes, if root runs this. In the end everything works again, and the account has to be
right: each message that was accepted has arrived once and in order, or its sender was told. Memory and descriptors are
what they were. SOAK_SEED repeats a schedule.
"""

import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "load"))

import network  # noqa: E402
from account import Account  # noqa: E402
from client import Registry  # noqa: E402
from node import Node  # noqa: E402

SIDECARS = 10
# Longest time until all are connected, and all commands are answered, once everything works again.
SETTLING = 150
# What a sidecar may hold more in the end than in the beginning: what its allocator keeps, and sockets of lanes.
MORE_BYTES = 40 * 1024 * 1024
MORE_FILES = 16


def schedule(seconds, seed, has_addresses):
    """What goes wrong: when, what, whose, for how long, and a number for the rest. The same seed gives the same."""
    chance = random.Random(seed)
    weights = {"kill": 2, "end": 1, "stop": 3, "slow": 4, "leave": 3, "registry": 1, "address": 1}
    planned, at = [], 0.0
    while at < seconds:
        what = chance.choices(list(weights), list(weights.values()))[0]
        row = (at, what, chance.randrange(SIDECARS), chance.uniform(0.2, 8), chance.randrange(6))
        if what != "address" or has_addresses:
            planned.append(row)
        at += chance.uniform(0.1, 1.5)
    return planned


class Soak:
    def __init__(self, minutes, seed):
        self.seconds = minutes * 60
        self.directory = tempfile.mkdtemp(prefix="soak-")
        self.account = Account()
        self.address = network.Address() if os.environ.get(network.MARK) else None
        interface = network.INTERFACE if self.address else "lo"
        self.registry = Registry("--open")
        self.registry_returns = None
        settings = {"INTERFACES": interface, "RUST_LOG": "info"}
        names = [f"s{number}" for number in range(SIDECARS)]
        self.nodes = []
        for number, name in enumerate(names):
            seed_of_node = f"{seed} {number}"
            node = Node(name, self.directory, self.registry.port, settings, self.account, seed_of_node)
            node.others = [other for other in names if other != name]
            self.nodes.append(node)
        self.schedule = schedule(self.seconds, seed, bool(self.address))
        # What is to be done later: when, to whom, what.
        self.later = []
        self.counts = {}

    def run(self):
        for node in self.nodes:
            node.start()
        self.await_all("all connected at the start", self.all_connected)
        before = self.measure()
        for node in self.nodes:
            node.is_sending = True
        began = time.monotonic()
        for at, what, who, lasts, detail in self.schedule:
            self.wait(began + at - time.monotonic())
            self.harm(what, self.nodes[who], lasts, detail)
        self.settle()
        after = self.measure()
        words, faults = self.account.close()
        done = ", ".join(f"{what} {count}" for what, count in sorted(self.counts.items()))
        print(f"harm: {done}")
        print(f"account: {words}")
        for what, unit, most, index in (("memory", 2**20, MORE_BYTES, 0), ("descriptors", 1, MORE_FILES, 1)):
            first, last = ([row[index] for row in rows] for rows in (before, after))
            print(
                f"{what}: {min(first) / unit:.1f} to {max(first) / unit:.1f} at the start,"
                f" {min(last) / unit:.1f} to {max(last) / unit:.1f} at the end"
            )
            if max(last) > max(first) + most:
                faults.append(f"{what} has grown")
        return faults

    def measure(self):
        return [(node.memory(), node.open_files()) for node in self.nodes]

    def harm(self, what, node, time_until, detail):
        """One more thing goes wrong, for so long, unless what it needs is not there now."""
        # What is planned for it already comes first.
        if what not in ("registry", "address") and any(who is node for _, who, _ in self.later):
            return
        if what in ("kill", "end") and sum(not other.is_running() for other in self.nodes) >= 2:
            return
        if what == "kill":
            node.end(signal.SIGKILL)
            self.plan(time_until, node, node.start)
        elif what == "end":
            node.end(signal.SIGTERM)
            self.plan(time_until, node, node.start)
        elif what == "stop":
            process = node.process
            process.send_signal(signal.SIGSTOP)
            self.plan(time_until, node, lambda: process.send_signal(signal.SIGCONT))
        elif what == "slow":
            node.delay = [0.001, 0.01, 0.1][detail % 3]
            self.plan(time_until, node, lambda: setattr(node, "delay", 0.0))
        elif what == "leave":
            node.leave()
            self.plan(time_until, node, node.arrive)
        elif what == "address":
            self.address.change()
        elif any(who is self.registry for _, who, _ in self.later):
            return
        else:
            self.registry.stop([signal.SIGTERM, signal.SIGKILL][detail % 2])
            self.plan(time_until, self.registry, self.registry.start)
        self.counts[what] = self.counts.get(what, 0) + 1

    def plan(self, seconds, who, what):
        self.later.append((time.monotonic() + seconds, who, what))

    def wait(self, seconds):
        """Waits, and does meanwhile what was planned."""
        until = time.monotonic() + seconds
        while True:
            due = [entry for entry in self.later if entry[0] <= time.monotonic()]
            self.later = [entry for entry in self.later if entry not in due]
            for _, _, what in due:
                what()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    def settle(self):
        """Everything works again, until all is answered."""
        while self.later:
            self.wait(0.5)
        for node in self.nodes:
            node.is_sending = False
            node.delay = 0.0
        self.await_all("every command answered", lambda: not self.account.unanswered())
        self.await_all("all connected at the end", self.all_connected)
        # Late acknowledgements, and what is freed a little later.
        time.sleep(5)

    def all_connected(self):
        return all(node.agent.connected >= set(node.others) for node in self.nodes)

    def await_all(self, what, is_so):
        began = time.monotonic()
        while not is_so():
            if time.monotonic() > began + SETTLING:
                unanswered = len(self.account.unanswered())
                raise AssertionError(f"not within {SETTLING} s: {what} ({unanswered} unanswered; {self.directory})")
            time.sleep(0.1)
        print(f"{what} after {time.monotonic() - began:.1f} s", flush=True)

    def close(self):
        for node in self.nodes:
            if node.is_running():
                node.process.send_signal(signal.SIGCONT)
                node.end(signal.SIGKILL)
        if self.registry.process.poll() is None:
            self.registry.end()


def main():
    has_network = network.enter()
    minutes = float(os.environ.get("MINUTES", "5"))
    seed = os.environ.get("SOAK_SEED") or str(random.randrange(10**9))
    changes = "addresses change" if has_network else "addresses stay, for want of root"
    print(f"{SIDECARS} sidecars for {minutes:g} minutes, {changes}; again with SOAK_SEED={seed}", flush=True)
    soak = Soak(minutes, seed)
    try:
        faults = soak.run()
    except AssertionError as failure:
        faults = [str(failure)]
    finally:
        soak.close()
    for fault in faults[:20]:
        print(f"FAILED: {fault}")
    if faults:
        print(f"the logs are in {soak.directory}")
        sys.exit(1)
    shutil.rmtree(soak.directory, ignore_errors=True)


main()
