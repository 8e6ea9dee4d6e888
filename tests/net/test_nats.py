"""The networks of this laboratory are what they are called."""

import unittest

from lab.behaviour import can_be_direct
from lab.probe import ADDRESSES, PORTS, Probe, examine, punch
from lab.sites import KINDS, PAIRS
from lab.world import world


class Nats(unittest.TestCase):
    def test_each_kind_of_site_maps_and_filters_as_its_name_says(self):
        world().echo_servers()
        for kind in KINDS:
            for site in (world().site(kind, 0), world().site(kind, 1)):
                with self.subTest(kind):
                    behaviour, address = examine(site.host)
                    self.assertEqual(str(behaviour), str(site.behaviour))
                    if address is not None:
                        self.assertEqual(address, site.public_address)

    def test_no_router_sends_back_what_a_host_sends_to_its_own_outside(self):
        world().echo_servers()
        server = (ADDRESSES[0], PORTS[0])
        for kind in ("full cone", "port restricted", "carrier"):
            with self.subTest(kind), Probe(world().site(kind, 0).host) as probe:
                outside = probe.seen_by(server)
                probe.socket.sendto(b"hello", outside)
                self.assertIsNone(probe.answer_from(outside, 0.1))

    def test_a_blocked_site_reaches_servers_by_tcp(self):
        site = world().site("udp blocked", 0)
        self.assertIn("ok", world().registry().health_seen_by(site.host))


class Expectations(unittest.TestCase):
    def test_a_direct_path_is_expected_exactly_where_checks_get_through(self):
        world().echo_servers()
        for one, other in PAIRS:
            with self.subTest(one=one, other=other):
                first, second = world().site(one, 0), world().site(other, 1)
                expected = can_be_direct(first.behaviour, second.behaviour)
                self.assertEqual(punch(first.host, second.host), expected)


if __name__ == "__main__":
    unittest.main()
