"""Messages that flow steadily between two sidecars, with the fate of each of them."""

import bisect
import collections
import itertools
import operator
import threading
import time
from dataclasses import dataclass, field

from .waiting import until

RATE = 200
"""Messages a second, each way."""

SETTLE_SECONDS = 70
"""How long the last messages may take until they are answered: `RECOVERY_TIMEOUT`, and some."""

ARRIVAL_SECONDS = 2
"""How much later than its answer a message may be read here."""


class Flow:
    """One way. Each message has a number, and its command an id, so that it is answered."""

    names = itertools.count(1)

    def __init__(self, sender, receiver, rate, padding):
        self.name = f"flow{next(self.names)}"
        self.sender = sender
        self.receiver = receiver
        self.pause = 1 / rate
        self.padding = "x" * padding
        self.sent = 0
        self.answers = {}
        self.arrivals = []
        self.stopped = threading.Event()
        sender.listeners.append(self.take_answer)
        receiver.listeners.append(self.take_message)
        self.thread = threading.Thread(target=self.feed, daemon=True)

    def feed(self):
        """Sends in time; what could not be written in time, because the sidecar took nothing, is left out."""
        due = time.monotonic()
        while not self.stopped.wait(max(0, due - time.monotonic())):
            try:
                self.sender.write(self.line(self.sent))
            except OSError:
                return
            self.sent += 1
            due = max(due + self.pause, time.monotonic() - self.pause)

    def line(self, number):
        return (
            f'{{"type":"send","id":"{self.name} {number}","payload":{{"target_peer":"{self.receiver.peer_id}",'
            f'"message":{{"type":"{self.name}","payload":{{"number":{number},"padding":"{self.padding}"}}}}}}}}'
        )

    def take_answer(self, _, event):
        identity = event.get("id")
        if not isinstance(identity, str) or identity.split()[0] != self.name:
            return False
        code = "ok" if event["type"] == "ok" else event["payload"]["code"]
        self.answers[int(identity.split()[1])] = code
        return True

    def take_message(self, moment, event):
        if event["type"] != "message" or event["payload"]["message"]["type"] != self.name:
            return False
        self.arrivals.append((moment, event["payload"]["message"]["payload"]["number"]))
        return True

    def first_after(self, moment):
        """When the first message after a moment arrived, or None."""
        index = bisect.bisect_right(self.arrivals, moment, key=operator.itemgetter(0))
        return self.arrivals[index][0] if index < len(self.arrivals) else None

    def longest_silence(self, since, end):
        """The longest time without an arrival between two moments, in seconds."""
        moments = [since, *(moment for moment, _ in self.arrivals if since < moment < end), end]
        return max(later - earlier for earlier, later in zip(moments, moments[1:]))

    def tally(self):
        """What became of the messages."""
        tally = Tally(sent=self.sent)
        seen = set()
        highest = -1
        for _, number in list(self.arrivals):
            tally.doubled += number in seen
            tally.disordered += number not in seen and number < highest
            seen.add(number)
            highest = max(highest, number)
        answers = [self.answers.get(number, "unanswered") for number in range(self.sent)]
        tally.errors = collections.Counter(code for code in answers if code != "ok")
        # Of what was refused the agent knows; nothing may vanish of the rest.
        tally.lost = sum(
            code in ("ok", "unanswered") and number not in seen for number, code in enumerate(answers)
        )
        return tally


@dataclass
class Tally:
    """Counts of messages."""

    sent: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    errors: collections.Counter = field(default_factory=collections.Counter)

    def __add__(self, other):
        return Tally(
            self.sent + other.sent,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.disordered + other.disordered,
            self.errors + other.errors,
        )

    def is_clean(self):
        """Whether every message arrived, once and in order."""
        return not (self.lost or self.doubled or self.disordered or self.errors)

    def __str__(self):
        errors = ", ".join(f"{count} {code}" for code, count in sorted(self.errors.items())) or "0"
        return f"{self.sent} | {self.lost} | {self.doubled} | {self.disordered} | {errors}"


class Conversation:
    """A flow each way between two sidecars, while the `with` statement lasts."""

    def __init__(self, one, other, rate=RATE, padding=0):
        self.flows = [Flow(one, other, rate, padding), Flow(other, one, rate, padding)]

    def __enter__(self):
        for flow in self.flows:
            flow.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for flow in self.flows:
            flow.stopped.set()

    def until_it_flows(self, since, seconds):
        """Waits until after a moment a message has arrived each way, for so many seconds; returns whether they have."""
        return until(lambda: None not in [flow.first_after(since) for flow in self.flows], seconds, pause=0.005)

    def longest_silence(self, since, end=None):
        """The longest time without an arrival, of either way, from a moment on."""
        end = end or time.monotonic()
        return max(flow.longest_silence(since, end) for flow in self.flows)

    def settled(self, seconds=SETTLE_SECONDS):
        """Sends no more, waits until everything is answered and arrived, or for so long, and returns the tally."""
        self.stop()
        until(self.is_answered, seconds, pause=0.02)
        # The answer to the last message may be read before the message, by another thread of this process.
        until(lambda: not self.tally().lost, ARRIVAL_SECONDS, pause=0.1)
        return self.tally()

    def is_answered(self):
        return all(len(flow.answers) == flow.sent and not flow.thread.is_alive() for flow in self.flows)

    def tally(self):
        return self.flows[0].tally() + self.flows[1].tally()
