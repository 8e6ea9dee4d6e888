"""Paths that are slow: little room with a deep queue before it, and long round trips."""

import os
import threading
import time
import unittest

from lab import binary, delay, targets
from lab.healing import HealingCase, Meeting, mobiles, new_registry
from lab.world import world

RATE_KBIT = 256
QUEUE_BYTES = 1_200_000
BURST_BYTES = 3000

MESSAGE_BYTES = 60_000
MESSAGES = 30

GOODPUT = 0.8
"""Of the link's rate."""

PING_SECONDS = 1

STAYS_SECONDS = 30


class SlowUplink:
    """Two sidecars, one of which has a slow uplink with a deep queue."""

    def __init__(self, case):
        self.places = mobiles(case, "public", "public")
        self.registry = new_registry(case)
        self.case = case
        narrow = self.places[0]
        narrow.host.run(
            "tc", "qdisc", "add", "dev", narrow.interface, "root", "tbf",
            "rate", f"{RATE_KBIT}kbit", "burst", str(BURST_BYTES), "limit", str(QUEUE_BYTES),
        )

    def fill(self, count):
        """Sends so many large messages up, and small ones down meanwhile; checks that nobody takes the queue for the end
        of the connection, and prints how much of the link was used."""
        seconds_at_full_rate = count * MESSAGE_BYTES * 8 / RATE_KBIT / 1000
        with Meeting(self.places, self.registry) as meeting:
            started = time.monotonic()
            done = threading.Event()
            workers = [
                threading.Thread(target=work, daemon=True)
                for work in (lambda: send_large(meeting, count), lambda: send_small(meeting, done))
            ]
            for worker in workers:
                worker.start()
            arrived = meeting.other.messages_from(meeting.one, count, 2 * seconds_at_full_rate + 10)
            goodput = seconds_at_full_rate / (time.monotonic() - started)
            done.set()
            for worker in workers:
                worker.join()
            numbers = [message["payload"]["number"] for message in arrived]
            self.case.assertEqual(numbers, list(range(count)))
            disconnects = [sidecar.heard_so_far("peer_disconnected") for sidecar, _ in meeting.both_ways()]
            restarts = [sidecar.restarts_of(peer) for sidecar, peer in meeting.both_ways()]
            print(
                f"\n| slow uplink, {RATE_KBIT} kbit/s | {count} messages of {MESSAGE_BYTES} bytes "
                f"| goodput {goodput:.0%} | disconnects {disconnects} | restarts {restarts} |"
            )
            self.case.assertEqual(disconnects, [[], []])
            self.case.assertEqual(restarts, [0, 0])
            self.case.assertEqual([sidecar.heard_so_far("error") for sidecar, _ in meeting.both_ways()], [[], []])
            self.case.assertGreaterEqual(goodput, GOODPUT)


def send_large(meeting, count):
    for number in range(count):
        payload = {"number": number, "padding": "z" * MESSAGE_BYTES}
        meeting.one.send(meeting.other, {"type": "large", "payload": payload})


def send_small(meeting, done):
    while not done.wait(PING_SECONDS):
        meeting.other.send(meeting.one, {"type": "small", "payload": None})


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

    @targets.unsettled
    def test_a_slow_uplink_with_a_deep_queue_is_no_reason_for_alarm(self):
        SlowUplink(self).fill( MESSAGES)

    def test_a_round_trip_of_1500_ms_is_no_reason_for_alarm(self):
        self.stay(1.5)

    @targets.unsettled
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
