"""Paths that are slow: uplinks with a low rate and a deep queue before it, and long round trips."""

import itertools
import os
import threading
import time
import unittest

from lab import binary, delay, targets
from lab.encounter import Encounter
from lab.healing import HealingCase, Meeting, mobiles, new_registry
from lab.world import world

QUEUE_BYTES = 1_200_000
BURST_BYTES = 3000

LARGE_BYTES = 60_000
ALL_SIZES = (1, LARGE_BYTES, 100, 20_000, 1000, 5000)
FULL_SECONDS = 55
"""How long the link is kept full."""

GOODPUT = 0.85
"""Of the link's rate, headers not counted."""

PING_SECONDS = 0.7
PING_WORST = 3.0

STAYS_SECONDS = 30

READY_SECONDS = 10

FIRST_SECONDS = 60
"""How long the first attempt may take over a round trip of 3 s, of which it needs about ten, and the registry four."""


class SlowUplink:
    """Two sidecars, one of which has a slow uplink with a deep queue."""

    def __init__(self, case, kbit):
        self.places = mobiles(case, "public", "public")
        self.registry = new_registry(case)
        self.case = case
        self.kbit = kbit
        narrow = self.places[0]
        narrow.host.run(
            "tc", "qdisc", "add", "dev", narrow.interface, "root", "tbf",
            "rate", f"{kbit}kbit", "burst", str(BURST_BYTES), "limit", str(QUEUE_BYTES),
        )

    def fill(self, sizes):
        """Sends messages of these sizes up, and pings down meanwhile; checks that nobody takes the queue for the end of
        the connection, and that pings do not wait in it. Prints how much of the link was used."""
        count = round(FULL_SECONDS * self.kbit * 1000 / 8 * len(sizes) / sum(sizes))
        cycle = list(itertools.islice(itertools.cycle(sizes), count))
        seconds_at_full_rate = sum(cycle) * 8 / self.kbit / 1000
        with Meeting(self.places, self.registry) as meeting:
            started = time.monotonic()
            pings = Pings(meeting)
            feeder = threading.Thread(target=feed, args=(meeting, cycle), daemon=True)
            feeder.start()
            arrived = meeting.other.messages_from(meeting.one, count, 2 * seconds_at_full_rate + 10)
            goodput = seconds_at_full_rate / (time.monotonic() - started)
            feeder.join()
            worst = pings.end()
            numbers = [message["payload"]["number"] for message in arrived]
            self.case.assertEqual(numbers, list(range(count)))
            disconnects = [sidecar.heard_so_far("peer_disconnected") for sidecar, _ in meeting.both_ways()]
            restarts = [sidecar.restarts_of(peer) for sidecar, peer in meeting.both_ways()]
            what = f"{LARGE_BYTES} bytes" if len(sizes) == 1 else "all sizes"
            print(
                f"\n| slow uplink, {self.kbit} kbit/s | {count} messages of {what} | goodput {goodput:.0%} "
                f"| worst ping {worst:.2f} s | disconnects {disconnects} | restarts {restarts} |"
            )
            self.case.assertEqual(disconnects, [[], []])
            self.case.assertEqual(restarts, [0, 0])
            self.case.assertEqual([sidecar.heard_so_far("error") for sidecar, _ in meeting.both_ways()], [[], []])
            self.case.assertGreaterEqual(goodput, GOODPUT)
            self.case.assertLess(worst, PING_WORST * targets.SLACK)


class Pings:
    """Small messages against the stream, each of which is answered when the other agent has taken it."""

    def __init__(self, meeting):
        self.meeting = meeting
        self.sent = []
        self.done = threading.Event()
        self.sender = threading.Thread(target=self.send, daemon=True)
        self.sender.start()

    def send(self):
        message = {"type": "small", "payload": None}
        while not self.done.wait(PING_SECONDS):
            command = f"ping {len(self.sent)}"
            self.sent.append((command, time.monotonic()))
            self.meeting.other.tell("send", {"target_peer": self.meeting.one.peer_id, "message": message}, id=command)

    def end(self):
        """Sends no more. Returns the longest time that one waited for its answer."""
        self.done.set()
        self.sender.join()
        return max(self.answered(command) - at for command, at in self.sent)

    def answered(self, command):
        return self.meeting.other.until(lambda event: event.get("id") == command, 10, f"answer to {command}")[0]


def feed(meeting, sizes):
    for number, size in enumerate(sizes):
        payload = {"number": number, "padding": "z" * size}
        meeting.one.send(meeting.other, {"type": "large", "payload": payload})


class DistantPlace:
    """A home behind a long cable."""

    def __init__(self, case, one_way):
        self.site = world().builder.build("port restricted")
        self.host = delay.DistantMachine(f"distant-{self.site.public_address}", one_way)
        self.site.access.connect(self.host, "eth0")
        case.addCleanup(self.site.remove)
        case.addCleanup(self.host.remove)


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class SlowPaths(HealingCase):
    """Nobody takes a slow path for a dead one."""

    def test_large_messages_on_256_kbit_with_a_deep_queue(self):
        SlowUplink(self, 256).fill([LARGE_BYTES])

    def test_messages_of_all_sizes_on_256_kbit_with_a_deep_queue(self):
        SlowUplink(self, 256).fill(ALL_SIZES)

    def test_large_messages_on_1_mbit_with_a_deep_queue(self):
        SlowUplink(self, 1000).fill([LARGE_BYTES])

    def test_messages_of_all_sizes_on_1_mbit_with_a_deep_queue(self):
        SlowUplink(self, 1000).fill(ALL_SIZES)

    def test_a_round_trip_of_1500_ms_is_no_reason_for_alarm(self):
        self.stay(1.5)

    def test_a_round_trip_of_3000_ms_is_no_reason_for_alarm(self):
        self.stay(3.0)

    def stay(self, round_trip):
        """Two connect, and talk for a while."""
        if not os.access(delay.DEVICE, os.R_OK | os.W_OK):
            self.skipTest(f"{delay.DEVICE} may not be used")

        def nothing(*_):
            started = time.monotonic()
            time.sleep(STAYS_SECONDS)
            return started

        places = [DistantPlace(self, round_trip / 2), *mobiles(self, "port restricted")]
        # The longest is a lost datagram's second way.
        calm = targets.Healing(round_trip, 2 * round_trip)
        found = self.heal_places(
            f"round trip {round_trip} s", ("port restricted", "port restricted"), places, nothing, calm,
            rate=10, patience=60,
        )
        self.assertEqual((found.disconnects, found.restarts), (0, 0))

    def test_over_a_round_trip_of_3000_ms_the_first_attempt_succeeds(self):
        """The registry is as far, and something is to be sent from the start."""
        if not os.access(delay.DEVICE, os.R_OK | os.W_OK):
            self.skipTest(f"{delay.DEVICE} may not be used")
        distant = DistantPlace(self, 1.5)
        (near,) = mobiles(self, "port restricted")
        settings = {**world().settings(**new_registry(self).settings()), "MESH": "lazy"}
        with Encounter(distant.host, near.host, settings) as encounter:
            sender, receiver = encounter.one, encounter.other
            sender.until(lambda event: event["type"] == "ready", READY_SECONDS, "ready")
            sender.tell("connect", {"target_peer_id": receiver.peer_id}, id="connect")
            sender.tell("send", {"target_peer": receiver.peer_id, "message": {"type": "early"}}, id="send")
            receiver.messages_from(sender, 1, FIRST_SECONDS)
            for command in ("connect", "send"):
                sender.until(lambda event: event.get("id") == command, FIRST_SECONDS, f"answer to {command}")
            print(f"\n| round trip 3.0 s | delivered after {time.monotonic() - encounter.one.started:.1f} s |")
            for sidecar, peer in encounter.both_ways():
                self.assertEqual(sidecar.heard_so_far("error"), [])
                self.assertEqual(sidecar.restarts_of(peer), 0)
                # An attempt that has failed is told in the log alone.
                self.assertEqual([line for line in sidecar.log_lines() if "no connection to" in line], [])
