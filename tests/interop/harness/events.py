"""JSON lines that a process says, with the time at which each came."""

import json
import threading
import time
from datetime import datetime
from dataclasses import dataclass


class Failure(Exception):
    """Something is not as it has to be; the text is for a person."""


@dataclass
class Event:
    position: int
    at: float
    body: dict
    line: bytes


class Events:
    """Everything that has been said so far; a thread reads on.

    `record` is a file that gets it all, for who looks into a failure. Positions count events, so that one can ask for what came after another.
    """

    def __init__(self, origin, lines, record):
        self.origin = origin
        self.heard = []
        self.ended = False
        self.news = threading.Condition()
        threading.Thread(target=self._read, args=(lines, record), daemon=True).start()

    def _read(self, lines, record):
        try:
            for line in lines:
                event = Event(len(self.heard), time.monotonic(), json.loads(line), line)
                with self.news:
                    self.heard.append(event)
                    self.news.notify_all()
                with open(record, "ab") as file:
                    file.write(f"{datetime.now():%H:%M:%S.%f} ".encode() + line)
        except (OSError, ValueError) as error:
            print(f"{self.origin}: {error}")
        with self.news:
            self.ended = True
            self.news.notify_all()

    def now(self):
        """The position after everything that was heard."""
        return len(self.heard) - 1

    def all(self, matches, after=-1):
        """Those that match, of what was heard after a position."""
        return [event for event in self.heard[after + 1 :] if matches(event.body)]

    def wait(self, what, matches, within=10, after=-1, count=1):
        """The first `count` that match after a position, in order; one alone is not in a list."""
        deadline = time.monotonic() + within
        with self.news:
            while True:
                found = self.all(matches, after)[:count]
                if len(found) == count:
                    return found[0] if count == 1 else found
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    cause = "ended" if self.ended else f"{within} s have passed"
                    short = f", {len(found)} of {count} came" if count > 1 else ""
                    raise Failure(f"{self.origin}: no {what}: {cause}{short}")
                self.news.wait(left)
