"""Waits for what nothing reports."""

import time


def until(is_so, seconds, pause=0.05):
    """Looks again and again, with so many seconds between two looks, until it is so, or for as long as it may take.
    Returns the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := is_so()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer
