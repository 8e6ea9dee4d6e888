#!/usr/bin/env python3
"""MB a second in messages of 60 KiB, one way, between ours and other stacks and between two of the same.

    throughput.py [--field BINARY] [STACK ...]     SIDECAR_BINARY names our program

What is compared takes turns, and the best of the rounds counts. Ends with 1 if messages to a stack are slower
than between two of it, or if something could not be measured.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
from functools import partial

from harness import messages
from harness.ends import PeerEnd, SidecarEnd
from harness.events import Failure
from harness.programs import Registry, binary
from harness.stacks import STACKS

# Of the stacks those whose programs can send many messages.
STACK_NAMES = ["aiortc", "chromium-plain", "libdatachannel", "pion"]

BYTES = 60 * 1024
TEXT = messages.of_bytes(BYTES)

# Those to which messages may be no slower than between two of them. Between two of the others a message may be faster,
# because it goes through two processes and not through four.
JUDGED = ["webrtc-rs", "aiortc", "chromium-plain"]

# How often two ends may fail to find each other: two of a stack do now and then.
ATTEMPTS = 3

# Messages at first and at most, and how many times as many at most from one attempt to the next.
FEWEST, MOST, GROWTH = 20, 50_000, 8

# The ratio that passes: two measurements of the same differ by this much.
BEARABLE = 0.9

COLUMNS = ["to it", "among themselves", "ratio", "from it", "two of ours", ""]


class Pair:
    """Two ends that a registry of their own has introduced to each other."""

    def __init__(self, first, second, directory):
        directory.mkdir(parents=True)
        self.programs = []
        try:
            registry = self._started(Registry(directory))
            self.ends = [
                self._started(start(name, registry=registry, directory=directory))
                for name, start in (("first", first), ("second", second))
            ]
            for end in self.ends:
                end.await_peer()
        except BaseException:
            self.close()
            raise

    def _started(self, program):
        self.programs.append(program)
        return program

    def close(self):
        for program in reversed(self.programs):
            program.kill()


class Way:
    """From one end of a pair to the other."""

    def __init__(self, pair, seconds, back=False):
        self.sender, self.receiver = reversed(pair.ends) if back else pair.ends
        self.rates = []
        self.count = FEWEST
        while True:
            took = self._send()
            if took >= seconds / 2 or self.count >= MOST:
                break
            growth = min(GROWTH, max(seconds / took, 1.5))
            self.count = min(int(self.count * growth), MOST)

    def measure(self):
        self.rates.append(self.count * BYTES / 1e6 / self._send())

    def _send(self):
        """Seconds until all have arrived."""
        self.receiver.become_receiver(self.sender)
        began = time.monotonic()
        self.sender.send_many(self.receiver, TEXT, self.count)
        return time.monotonic() - began

    def best(self):
        return max(self.rates)


def compare(ours, theirs, seconds, rounds, directory):
    """MB a second to them, among themselves, from them, and among two of ours."""
    with contextlib.ExitStack() as running:

        def pair(name, first, second):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    found = Pair(first, second, directory / f"{name}-{attempt}")
                    return running.enter_context(contextlib.closing(found))
                except Failure:
                    if attempt == ATTEMPTS:
                        raise

        mixed = pair("mixed", ours, theirs)
        ways = [
            Way(mixed, seconds),
            Way(pair("theirs", theirs, theirs), seconds),
            Way(mixed, seconds, back=True),
            Way(pair("ours", ours, ours), seconds),
        ]
        for _ in range(rounds):
            for way in ways:
                way.measure()
        return [way.best() for way in ways]


def makes(wanted, parser):
    """What is compared with: names, and what starts an end of it or tells why it is not there."""
    known = {stack.name: stack for stack in STACKS}
    if wanted.field:
        yield "webrtc-rs", partial(SidecarEnd, binary=wanted.field), None
    for name in wanted.stacks or STACK_NAMES:
        if name not in STACK_NAMES:
            parser.error(f"{name} is not one of {', '.join(STACK_NAMES)}")
        missing = known[name].missing()
        yield name, partial(PeerEnd, stack=known[name]), ", ".join(missing)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stacks", nargs="*", metavar="STACK", help=", ".join(STACK_NAMES))
    parser.add_argument("--field", metavar="BINARY", help="the tokio sidecar, which is on webrtc-rs")
    parser.add_argument("--seconds", type=float, default=2, help="about how long one way is used in a round")
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    if "SIDECAR_BINARY" not in os.environ:
        parser.error("SIDECAR_BINARY must name the sidecar to measure")
    ours = partial(SidecarEnd, binary=binary())
    passed = []
    print(f"{'MB/s':16}" + "".join(f"{column:>18}" for column in COLUMNS), flush=True)
    for name, theirs, missing in makes(wanted, parser):
        if missing:
            print(f"{name:16}  skipped, not installed: {missing}", flush=True)
            continue
        logs = pathlib.Path(tempfile.mkdtemp(prefix="throughput-"))
        try:
            to, among, back, own = compare(ours, theirs, wanted.seconds, wanted.rounds, logs)
        except Failure as failure:
            print(f"{name:16}  FAILED: {failure}\nwhat the programs have said is in {logs}", flush=True)
            passed.append(False)
            continue
        shutil.rmtree(logs)
        is_slower = to < BEARABLE * among
        verdict = "slower" if is_slower else "ok"
        passed.append(not is_slower or name not in JUDGED)
        cells = [f"{to:.1f}", f"{among:.1f}", f"{to / among:.2f}", f"{back:.1f}", f"{own:.1f}", verdict]
        print(f"{name:16}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
    sys.exit(0 if passed and all(passed) else 1)


if __name__ == "__main__":
    main()
