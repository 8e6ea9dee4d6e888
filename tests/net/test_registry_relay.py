"""Each kind of site with each, where the registry is the only server: it tells addresses and relays, too."""

import unittest

from lab import binary, targets
from lab.behaviour import can_be_direct
from lab.encounter import Encounter, is_relayed
from lab.pairs import add_tests
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
