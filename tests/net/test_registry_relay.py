"""Each kind of site with each, where the registry is the only server: it tells addresses and relays, too."""

import unittest

from lab import binary, targets
from lab.behaviour import can_be_direct
from lab.encounter import Encounter, is_relayed
from lab.pairs import add_tests
from lab.registry import Registry
from lab.sites import PAIRS
from lab.world import world

REPAIR_SECONDS = 30
"""How long messages may take when the registry has come back."""


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class RegistryRelay(unittest.TestCase):
    def meet(self, *kinds, **settings):
        """Connects them, and checks that the path is as good as it can be."""
        sites = [world().site(kind, index) for index, kind in enumerate(kinds)]
        only_relayed = settings.get("ICE_TRANSPORT_POLICY") == "relay"
        direct = not only_relayed and can_be_direct(*(site.behaviour for site in sites))
        all_settings = {**world().relaying_registry().settings(), **settings}
        with Encounter(*(site.host for site in sites), all_settings) as encounter:
            seconds = encounter.seconds_to_connect()
            ends = encounter.ends_when(lambda ends: is_relayed(ends) != direct)
            encounter.exchange()
            self.assertEqual(is_relayed(ends), not direct, ends)
        if not direct:
            targets.check([seconds], targets.RELAYED)

    def test_two_symmetric_routers_with_the_relay_policy(self):
        self.meet("symmetric", "symmetric", ICE_TRANSPORT_POLICY="relay")

    def test_a_relay_with_several_addresses_sends_from_the_one_that_it_lends(self):
        """A peer is nearer to its second address than to the one that its client has come to, and that it lends."""
        internet = world().internet
        addresses = [next(internet.free) for _ in range(2)]
        machine = internet.server("relay-with-two", *addresses)
        registry = Registry(machine, addresses[0], arguments=("--relay", "--relay-listen", "0.0.0.0:3478"))
        self.addCleanup(registry.remove)
        sites = [world().site("symmetric", 0), world().site("public", 1)]
        machine.ip("route", "add", sites[1].public_address, "dev", "eth0", "src", addresses[1])
        relayed = {**registry.settings(), "ICE_TRANSPORT_POLICY": "relay"}
        direct = {**registry.settings(), "ICE_SERVERS_FROM_REGISTRY": "off", "STUN_URL": "none"}
        with Encounter(*(site.host for site in sites), relayed, direct) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
            lent = encounter.one.statistics_of(encounter.other)["path"]["local"]
            seen = encounter.other.statistics_of(encounter.one)["path"]["remote"]
            self.assertEqual((lent["kind"], lent["address"]), (seen["kind"], seen["address"]))

    def test_messages_find_the_relay_again_when_the_registry_was_away(self):
        """What it has lent is gone then, and so is the secret of its logins."""
        sites = [world().site("symmetric", index) for index in (0, 1)]
        registry = world().relaying_registry()
        with Encounter(*(site.host for site in sites), registry.settings()) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
            registry.kill()
            registry.start()
            encounter.exchange(seconds=REPAIR_SECONDS)
            self.assertTrue(is_relayed(encounter.ends()))


add_tests(RegistryRelay, "pair", PAIRS, lambda pair: lambda case: case.meet(*pair))


if __name__ == "__main__":
    unittest.main()
