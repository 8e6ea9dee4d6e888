"""What happens to networks, and how soon messages flow again: cuts, moves, new addresses, and a registry that is away."""

import unittest

from lab import binary, targets
from lab.at_once import load_tests  # noqa: F401
from lab.healing import DIRECT_PAIRS, PAIRS, HealingCase
from lab.mobile import Mobile


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class Healing(HealingCase):
    """The network of one of two is disturbed."""


DISTURBANCES = {
    "cut for 30 s": (lambda place, _: place.is_cut_off(), targets.AFTER_CUT),
    "moves to another network": (lambda place, _: place.roams(), targets.AFTER_MOVE),
    "new public address": (lambda place, _: place.is_renumbered(), targets.AFTER_NEW_ADDRESS),
}

def test_of(what, pair, *disturbance, **options):
    return lambda case: case.heal(what, pair, *disturbance, **options)


def add(what, pair, test):
    setattr(Healing, f"test_{what}: {' meets '.join(pair)}".replace(" ", "_"), test)


for what, disturbance in DISTURBANCES.items():
    for pair in PAIRS:
        add(what, pair, test_of(what, pair, *disturbance))


if __name__ == "__main__":
    unittest.main()
