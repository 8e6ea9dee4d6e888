"""Processes that are away for a while: the registry, and the sidecar itself when its machine sleeps."""

import contextlib
import signal
import statistics
import time
import unittest

from lab import binary, targets
from lab.flow import Conversation
from lab.healing import HealingCase, Meeting, mobiles, new_registry
from lab.sidecar import Sidecar

SIDECARS = 20
HOSTS = 4
AWAY_SECONDS = 10
PATIENCE_SECONDS = 45

SLEEP_SECONDS = 20


@unittest.skipUnless(binary.knows("MESH"), "this sidecar connects to everybody")
class RegistryOutage(unittest.TestCase):
    def test_sidecars_find_back_to_a_registry_that_was_away_and_talk_meanwhile(self):
        registry = new_registry(self)
        hosts = [place.host for place in mobiles(self, *["public"] * HOSTS)]
        settings = {**registry.settings(), "MESH": "lazy"}
        sidecars = [Sidecar(hosts[number % HOSTS], "peer", settings) for number in range(SIDECARS)]
        with contextlib.ExitStack() as running:
            for sidecar in sidecars:
                running.callback(sidecar.kill)
            for sidecar in sidecars:
                sidecar.until_registered(15)
            couples = zip(sidecars[::2], sidecars[1::2])
            talks = [running.enter_context(Conversation(one, other, rate=20)) for one, other in couples]
            started = time.monotonic()
            for talk in talks:
                self.assertTrue(talk.until_it_flows(started, 15))
            flowing = time.monotonic()
            registry.kill()
            time.sleep(AWAY_SECONDS)
            registry.start()
            back = time.monotonic()
            times = sorted(sidecar.until_registered(PATIENCE_SECONDS) - back for sidecar in sidecars)
            silence = max(talk.longest_silence(flowing) for talk in talks)
            tallies = [talk.settled() for talk in talks]
        print(
            f"\n| registry away for {AWAY_SECONDS} s | {SIDECARS} sidecars registered again after, median "
            f"{targets.seconds(statistics.median(times))} | last {targets.seconds(times[-1])} "
            f"| longest silence {targets.seconds(silence)} |"
        )
        self.assertTrue(all(tally.is_clean() for tally in tallies), "\n".join(map(str, tallies)))
        targets.AFTER_REGISTRY.check(times)
        targets.UNDISTURBED.check([silence])


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class Sleep(HealingCase):
    """A process that is stopped sees time leap, as on a machine that wakes up."""

    def test_a_sidecar_that_wakes_up_declares_nobody_dead(self):
        self.sleep("one sleeps", sleepers=1)

    def test_two_sidecars_that_wake_up_at_once_declare_nobody_dead(self):
        self.sleep("both sleep", sleepers=2)

    def sleep(self, what, sleepers):
        pair = ("port restricted", "port restricted")
        with Meeting(mobiles(self, *pair), new_registry(self)) as meeting:
            asleep = [meeting.one, meeting.other][:sleepers]

            def disturb():
                for sidecar in asleep:
                    sidecar.process.send_signal(signal.SIGSTOP)
                time.sleep(SLEEP_SECONDS)
                for sidecar in asleep:
                    sidecar.process.send_signal(signal.SIGCONT)
                return time.monotonic()

            found = meeting.measure(disturb, rate=20)
            for sidecar, peer in meeting.both_ways():
                self.assertEqual(sidecar.statistics_of(peer).get("state"), "connected")
            self.rows[what, 0, pair] = found.row(f"{what} {SLEEP_SECONDS} s", *pair)
            for sidecar in asleep:
                self.assertEqual(sidecar.heard_so_far("peer_disconnected"), [])
        targets.AFTER_SLEEP.check(found.gaps)
        self.assertTrue(found.tally.is_clean(), found.row(what, *pair))
