"""Healing, what takes minutes to show: `make test-net-long`. These tests run beside each other, too."""

import unittest

from healing.changes import HOMES, forgetting_test, without_network
from healing.slow_paths import SlowUplink
from lab import binary, targets
from lab.at_once import AtOnce
from lab.healing import PAIRS, HealingCase
from lab.pairs import add_tests
from lab.world import world

MESSAGES = 200
"""Of 60 KB, over an uplink of 256 kbit/s."""

FORGOTTEN_EVERY_SECONDS = 60

WITHOUT_NETWORK_SECONDS = 60


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class LongHealing(HealingCase):
    """What `test_healing` does in a shorter time."""

    def test_a_slow_uplink_with_a_deep_queue_is_no_reason_for_alarm(self):
        SlowUplink(self).fill(MESSAGES)

    def test_all_networks_are_lost_for_a_minute_and_another_one_comes(self):
        """Messages are kept for longer: by default they would be given up at the same moment."""
        self.heal(
            f"no network for {WITHOUT_NETWORK_SECONDS} s", HOMES, without_network(WITHOUT_NETWORK_SECONDS),
            targets.AFTER_MOVE, rate=20, RECOVERY_TIMEOUT="120",
        )


add_tests(LongHealing, "routers forget", PAIRS[1:5], forgetting_test(FORGOTTEN_EVERY_SECONDS))


def load_tests(_loader, tests, _pattern):
    """The protocol of `unittest`: what this module has in place of its tests."""
    return AtOnce([tests], lambda: world().settings())
