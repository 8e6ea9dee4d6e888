"""Looking for servers must not delay a connection that does not need them."""

import unittest

from lab import binary, names, targets
from lab.encounter import Encounter, is_relayed
from lab.relay import PLAIN_PORT, SECRET
from lab.world import world

USELESS = [names.SILENT, names.UNKNOWN, names.UNANSWERED]
"""A host that does not answer, a name that there is not, a name of which the name server says nothing."""


@unittest.skipUnless(binary.knows("STUN_URL"), "this sidecar does not use STUN")
class Gathering(unittest.TestCase):
    def test_stun_servers_that_do_not_answer_cost_neighbours_no_time(self):
        self.connect("public", targets.HOST, STUN_URL=stun(USELESS), TURN_URL="")

    def test_relays_that_do_not_answer_cost_neighbours_no_time(self):
        relays = ",".join(f"turn:{name}:{PLAIN_PORT}" for name in USELESS)
        self.connect("public", targets.HOST, STUN_URL="none", TURN_URL=relays)

    def test_stun_servers_that_do_not_answer_cost_no_time_beside_one_that_does(self):
        servers = stun([*USELESS, names.TURN])
        self.connect("port restricted", targets.SERVER_REFLEXIVE, STUN_URL=servers, TURN_URL="")

    def test_two_homes_meet_with_the_help_of_a_stun_server_alone(self):
        servers = stun([names.TURN])
        self.connect("address restricted", targets.SERVER_REFLEXIVE, STUN_URL=servers, TURN_URL="")

    def connect(self, kind, target, **settings):
        world().relay()
        sites = [world().site(kind, index) for index in (0, 1)]
        settings = {"TURN_SECRET": SECRET, **world().registry().settings(), **settings}
        if not settings["TURN_URL"]:
            del settings["TURN_URL"], settings["TURN_SECRET"]
        times = []
        for _ in range(targets.RUNS):
            with Encounter(sites[0].host, sites[1].host, settings) as encounter:
                times.append(encounter.seconds_to_connect())
                encounter.exchange()
                self.assertFalse(is_relayed(encounter.ends()))
        targets.check(times, target)


def stun(servers):
    return ",".join(f"stun:{name}:{PLAIN_PORT}" for name in servers)


if __name__ == "__main__":
    unittest.main()
