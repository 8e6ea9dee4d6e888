"""How long it may take to connect, in seconds, as a median, on a machine that does nothing else."""

import math
import os
import statistics
from dataclasses import dataclass

HOST = 0.030
SERVER_REFLEXIVE = 0.200
RELAYED = 0.500

RUNS = 5
"""Of how many the median is taken."""

SLACK = float(os.environ.get("TIME_SLACK", "5"))
"""By what factor the targets may be missed, since the machine may be busy: 1 for a measurement."""


def check(times, target):
    """Raises if the median is far over its target."""
    median = statistics.median(times)
    if median > target * SLACK:
        shown = ", ".join(milliseconds(seconds) for seconds in times)
        raise AssertionError(
            f"connected in {milliseconds(median)} ({shown}); the target is {milliseconds(target)}, "
            f"and TIME_SLACK allows {SLACK:g} times as much"
        )


def milliseconds(seconds):
    return f"{seconds * 1000:.0f} ms"


HEAL_RUNS = int(os.environ.get("HEAL_RUNS", "1"))
"""How often each network is disturbed for a measurement of healing."""


@dataclass(frozen=True)
class Healing:
    """How long it may take until messages flow again after a network is good again, in seconds."""

    median: float
    worst: float

    def check(self, gaps):
        median = statistics.median(gaps)
        if median > self.median * SLACK or max(gaps) > self.worst * SLACK:
            shown = ", ".join(seconds(gap) for gap in gaps)
            raise AssertionError(
                f"healed in {shown}; the targets are {seconds(self.median)} in the median and {seconds(self.worst)} "
                f"at worst, and {SLACK:g} times as much is allowed"
            )


AFTER_CUT = Healing(2, 5)
AFTER_MOVE = Healing(2, 5)
AFTER_NEW_ADDRESS = Healing(1, 3)
AFTER_REGISTRY = Healing(2, 2)
AFTER_SLEEP = Healing(3, 3)
UNDISTURBED = Healing(1, 1)
"""While something changes that is none of the connection's business."""


def seconds(gap):
    return "not healed" if math.isinf(gap) else f"{gap:.2f} s"
