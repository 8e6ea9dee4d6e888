"""A network that has been disturbed is as good as before, as soon as the laboratory says so."""

import unittest

from lab.healing import PAIRS
from lab.behaviour import can_be_direct
from lab.mobile import Mobile
from lab.probe import examine, punch
from lab.world import world


class Mobiles(unittest.TestCase):
    def test_after_each_disturbance_a_host_is_seen_from_where_it_is(self):
        world().echo_servers()
        for kind in sorted({kind for pair in PAIRS for kind in pair}):
            place = Mobile(world().builder, kind)
            for disturb in self.disturbances(place):
                with self.subTest(kind, disturbance=disturb.__name__):
                    before = place.site.public_address
                    disturb()
                    behaviour, address = examine(place.host)
                    self.assertEqual(behaviour, place.site.behaviour)
                    if address is not None:
                        self.assertEqual(address, place.site.public_address)
                    changes = disturb in (place.roams, place.is_renumbered)
                    self.assertEqual(place.site.public_address != before, changes)
            place.remove()

    def test_after_each_disturbance_checks_get_through_as_before(self):
        world().echo_servers()
        for pair in PAIRS:
            one, other = (Mobile(world().builder, kind) for kind in pair)
            expected = can_be_direct(one.site.behaviour, other.site.behaviour)
            for disturb in self.disturbances(one):
                with self.subTest(pair, disturbance=disturb.__name__):
                    disturb()
                    # A second time, since a busy machine may be too slow for the first.
                    punched = punch(one.host, other.host) or punch(one.host, other.host)
                    self.assertEqual(punched, expected)
            for place in (one, other):
                place.remove()

    def disturbances(self, place):
        def is_cut_off():
            place.is_cut_off(0.1)

        def is_unplugged():
            place.is_unplugged(0.1)

        return [is_cut_off, place.roams, place.is_renumbered, is_unplugged, place.roams]


if __name__ == "__main__":
    unittest.main()
