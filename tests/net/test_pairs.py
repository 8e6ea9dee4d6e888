"""Each kind of site with each: whether the two connect, by which way, and how fast."""

import statistics
import unittest

from lab import binary, targets
from lab.behaviour import can_be_direct
from lab.encounter import EXCHANGED_BYTES, Encounter, Traffic, is_relayed
from lab.sites import PAIRS
from lab.world import world


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class Pairs(unittest.TestCase):
    rows = []

    @classmethod
    def tearDownClass(cls):
        print("\n" + "\n".join(table(cls.rows)))

    def meet(self, kind, others_kind):
        site = world().site(kind, 0)
        other = world().site(others_kind, 1)
        direct = can_be_direct(site.behaviour, other.behaviour)
        times = []
        ways = set()
        for _ in range(targets.RUNS):
            with Encounter(site.host, other.host, world().settings()) as encounter:
                times.append(encounter.seconds_to_connect())
                ends = encounter.ends_when(lambda ends: is_relayed(ends) != direct)
                traffic = Traffic.during(world().relay(), encounter.exchange)
                self.assertEqual(is_relayed(ends), not direct, ends)
                self.assertEqual(traffic.is_direct(), direct, f"of {EXCHANGED_BYTES} bytes: {traffic}")
                ways.add((shown(ends), traffic.way()))
        self.rows.append((kind, others_kind, ways, times))
        if not direct:
            targets.check(times, targets.RELAYED)
        elif kind == others_kind == "public":
            targets.check(times, targets.HOST)
        else:
            targets.check(times, targets.SERVER_REFLEXIVE)


def shown(ends):
    return " and ".join(f"{local} to {remote}" for local, remote in ends)


def table(rows):
    """What was found for each pair that connected by the right way, in Markdown."""
    yield "| | | Path, as each side tells it | At the relay | Median of 5 | Messages |"
    yield "|---|---|---|---|---|---|"
    for kind, others_kind, ways, times in rows:
        told = "; ".join(sorted({ends for ends, _ in ways}))
        counted = "; ".join(sorted({way for _, way in ways}))
        median = targets.milliseconds(statistics.median(times))
        yield f"| {kind} | {others_kind} | {told} | {counted} | {median} | all, both ways |"


def test_of(kind, others_kind):
    return lambda case: case.meet(kind, others_kind)


for pair in PAIRS:
    setattr(Pairs, f"test_{' meets '.join(pair)}".replace(" ", "_"), test_of(*pair))


if __name__ == "__main__":
    unittest.main()
