"""The network of one of two is disturbed: how soon do messages flow again, with the registry and without?"""

import unittest

from lab import binary, targets
from lab.healing import DIRECT_PAIRS, PAIRS, HealingCase
from lab.pairs import add_tests


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class Disturbances(HealingCase):
    """Cuts, moves and new addresses."""


def cut(seconds):
    return lambda place, _: place.is_cut_off(seconds)


def unplugged(seconds):
    return lambda place, _: place.is_unplugged(seconds)


def moves(place, _):
    return place.roams()


def renumbered(place, _):
    return place.is_renumbered()


def both_move(place, other):
    place.roams()
    return other.roams()


def add(what, pairs, disturb, target, **options):
    """Adds a test for each pair."""

    def test_of(pair):
        def test(case):
            case.heal(what, pair, disturb, target, **options)

        return test

    add_tests(Disturbances, what, pairs, test_of)


# SCTP's timer doubles, so that by itself it tries again 31 s after the beginning of a cut: soon after the end of
# the longer one, and long after that of the shorter.
add("cut for 30 s", PAIRS, cut(30), targets.AFTER_CUT)
add("cut for 20 s", PAIRS[1:], cut(20), targets.AFTER_CUT)
add("cut for 20 s without registry", DIRECT_PAIRS, cut(20), targets.AFTER_CUT, registry_away=True)
add("unplugged for 20 s", (PAIRS[1], PAIRS[4]), unplugged(20), targets.AFTER_CUT)
add("moves", PAIRS, moves, targets.AFTER_MOVE)
add("moves without registry beside a third", PAIRS, moves, targets.AFTER_MOVE, registry_away=True, third=True)
add("both move", PAIRS, both_move, targets.AFTER_MOVE)
# A public host is its own router.
add("new address", PAIRS[:1], renumbered, targets.AFTER_MOVE)
add("new address", PAIRS[1:], renumbered, targets.AFTER_NEW_ADDRESS)
add(
    "new address without registry beside a third", PAIRS, renumbered, targets.AFTER_MOVE,
    registry_away=True, third=True,
)
