"""Two sidecars that meet: how long it took, what passed between them, and by which way."""

import sys
import time

from .sidecar import Sidecar
from .waiting import until

CONNECT_SECONDS = 15
DELIVERY_SECONDS = 20

IMPROVEMENT_SECONDS = 10
"""How long a connection may take to leave a relay for a direct path."""

MESSAGES = 100
PADDING = "x" * 1000


class Encounter:
    """A sidecar on each of two hosts, both just started."""

    def __init__(self, host, other, settings, others_settings=None, launcher=()):
        """`launcher`: the command that runs the first."""
        self.one = Sidecar(host, "alice", settings, launcher)
        self.other = Sidecar(other, "bob", others_settings or settings)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        for sidecar in (self.one, self.other):
            if failure is None:
                sidecar.stop()
            else:
                sidecar.kill()
                print(f"\n{sidecar.account()}", file=sys.stderr)

    def seconds_to_connect(self, patience=CONNECT_SECONDS):
        """From the start of the first process until both agents know that they are connected."""
        first = self.one.until_peer("peer_connected", self.other, patience)
        second = self.other.until_peer("peer_connected", self.one, patience)
        return max(first, second) - self.one.started

    def exchange(self, pace=0, seconds=DELIVERY_SECONDS):
        """Sends messages both ways, with so many seconds between two; raises unless all arrive in time,
        each once and in order."""
        for number in range(MESSAGES):
            for sender, receiver in self.both_ways():
                sender.send(receiver, numbered(number))
            time.sleep(pace)
        for sender, receiver in self.both_ways():
            arrived = receiver.messages_from(sender, MESSAGES, seconds)
            numbers = [message["payload"]["number"] for message in arrived]
            if numbers != list(range(MESSAGES)):
                raise AssertionError(f"{receiver.peer_id} got {numbers}")

    def both_ways(self):
        return (self.one, self.other), (self.other, self.one)

    def ends(self):
        """The kinds of the ends of the path, as each side's `stats` tell them."""
        return [
            ends
            for sender, receiver in self.both_ways()
            if (ends := sender.ends_of_path_to(receiver)) is not None
        ]

    def ends_when(self, wanted):
        """The ends as soon as both sides' are as wanted; or as they are when it takes too long."""
        seen = []

        def are_wanted():
            seen.append(self.ends())
            return len(seen[-1]) == 2 and wanted(seen[-1])

        until(are_wanted, IMPROVEMENT_SECONDS)
        return seen[-1]


def numbered(number):
    return {"type": "ping", "payload": {"number": number, "padding": PADDING}}


def is_relayed(ends):
    """Whether either side knows of a relay between them."""
    return any("relay" in pair for pair in ends)


EXCHANGED_BYTES = 2 * MESSAGES * len(PADDING)


class Traffic:
    """What a relay and its clients had to say to each other while messages were exchanged, in bytes, by
    transport."""

    def __init__(self, carried):
        self.carried = carried

    @classmethod
    def during(cls, relay, exchange):
        """What the relay carries during an exchange."""
        before = relay.carried()
        exchange()
        after = relay.carried()
        return cls({transport: after[transport] - before[transport] for transport in after})

    def is_direct(self):
        """Whether the messages went past the relay; None if some did and some did not."""
        total = sum(self.carried.values())
        if total < EXCHANGED_BYTES / 4:
            return True
        return False if total >= EXCHANGED_BYTES else None

    def way(self):
        """By which transports clients used the relay; `direct` if the messages went past it."""
        if self.is_direct():
            return "direct"
        return " and ".join(
            transport for transport, count in self.carried.items() if count > EXCHANGED_BYTES / 4
        )

    def __str__(self):
        return ", ".join(f"{transport} {count}" for transport, count in self.carried.items())
