"""Each kind of site with each: whether the two connect, by which way, and how fast."""

import statistics
import unittest

from lab import binary, targets
from lab.behaviour import can_be_direct
from lab.encounter import EXCHANGED_BYTES, Encounter, Traffic, is_relayed
from lab.pairs import add_tests
from lab.sites import PAIRS
from lab.world import world


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class Pairs(unittest.TestCase):
    rows = {}

    @classmethod
    def tearDownClass(cls):
        print("\n" + "\n".join(table(cls.rows)))

    def meet(self, *kinds):
        sites = [world().site(kind, index) for index, kind in enumerate(kinds)]
        direct = can_be_direct(*(site.behaviour for site in sites))
        times = []
        ways = set()
        for run in range(targets.RUNS):
            # The one that starts last offers: each side does in turn.
            order = 1 if run % 2 == 0 else -1
            first, second = (site.host for site in sites[::order])
            with Encounter(first, second, world().settings()) as encounter:
                times.append(encounter.seconds_to_connect())
                ends = encounter.ends_when(lambda ends: is_relayed(ends) != direct)[::order]
                traffic = Traffic.during(world().relay(), encounter.exchange)
                self.assertEqual(is_relayed(ends), not direct, ends)
                self.assertEqual(traffic.is_direct(), direct, f"of {EXCHANGED_BYTES} bytes: {traffic}")
                ways.add((shown(ends), traffic.way()))
        self.rows[kinds] = ways, times
        if not direct:
            targets.check(times, targets.RELAYED)
        elif set(kinds) == {"public"}:
            targets.check(times, targets.HOST)
        else:
            targets.check(times, targets.SERVER_REFLEXIVE)


def shown(ends):
    return " and ".join(f"{local} to {remote}" for local, remote in ends)


def table(rows):
    """What was found for each pair that connected by the right way, in Markdown."""
    yield f"| | | Path, as each side tells it | At the relay | Median of {targets.RUNS} | Messages |"
    yield "|---|---|---|---|---|---|"
    for kinds in sorted(rows, key=PAIRS.index):
        ways, times = rows[kinds]
        told = "; ".join(sorted({ends for ends, _ in ways}))
        counted = "; ".join(sorted({way for _, way in ways}))
        median = targets.milliseconds(statistics.median(times))
        yield f"| {kinds[0]} | {kinds[1]} | {told} | {counted} | {median} | all, both ways |"


add_tests(Pairs, "pair", PAIRS, lambda pair: lambda case: case.meet(*pair))


if __name__ == "__main__":
    unittest.main()
