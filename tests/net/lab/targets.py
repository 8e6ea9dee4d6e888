"""How long it may take to connect, in seconds, as a median, on a machine that does nothing else."""

import os
import statistics

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
