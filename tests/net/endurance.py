"""What takes minutes to show: `make test-net-long`."""

import time
import unittest

from lab import binary, names, routers
from lab.access import Access
from lab.encounter import Encounter, Traffic, is_relayed
from lab.relay import PLAIN_PORT, Relay
from lab.world import world

RUN_SECONDS = 300
MESSAGES_A_SECOND = 20

SHORT_SECONDS = 60
"""How long credentials, nonces and allocations last."""

FORGETFUL_SECONDS = 20
"""After this long without a datagram a router forgets a host's port."""

IDLE_SECONDS = 60


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use STUN and TURN")
class Endurance(unittest.TestCase):
    def test_messages_flow_through_a_relay_whose_credentials_and_nonces_last_a_minute(self):
        relay = Relay(
            world().internet, names.STRICT_TURN, world().authority(),
            stale_nonce=SHORT_SECONDS, max_allocate_lifetime=SHORT_SECONDS,
        )
        access = Access(world().internet, relay, SHORT_SECONDS)
        settings = {**world().registry().settings(), **access.settings(), "ICE_TRANSPORT_POLICY": "relay"}
        one, other = (world().site("port restricted", index).host for index in (0, 1))
        with Encounter(one, other, settings) as encounter:
            encounter.seconds_to_connect()
            started = time.monotonic()
            while time.monotonic() - started < RUN_SECONDS:
                traffic = Traffic.during(relay, lambda: encounter.exchange(pace=1 / MESSAGES_A_SECOND))
                self.assertFalse(traffic.is_direct(), traffic)
            self.assertTrue(is_relayed(encounter.ends()))
            for sidecar in (encounter.one, encounter.other):
                restarts = sidecar.ask("stats")["payload"]["peers"][0]["restarts"]
                print(f"\n{sidecar.peer_id}: {restarts} restarts; credentials given: {access.given}")
                warnings = [line for line in sidecar.log_lines() if " WARN " in line]
                self.assertEqual(warnings, [])

    def test_a_connection_that_is_idle_outlives_the_memory_of_its_routers(self):
        sites = [world().builder.home("forgetful", None, routers.PORT_RESTRICTED) for _ in range(2)]
        for site in sites:
            for state in ("", "_stream"):
                site.router.sysctl(f"netfilter/nf_conntrack_udp_timeout{state}", str(FORGETFUL_SECONDS))
        settings = {
            **world().registry().settings(),
            "STUN_URL": f"stun:{world().relay().name}:{PLAIN_PORT}",
        }
        with Encounter(*(site.host for site in sites), settings) as encounter:
            encounter.seconds_to_connect()
            time.sleep(IDLE_SECONDS)
            for sidecar in (encounter.one, encounter.other):
                sidecar.ask("list_peers")
                lost = [event for _, event in sidecar.kept if event["type"] == "peer_disconnected"]
                self.assertEqual(lost, [])
            encounter.exchange()
            self.assertFalse(is_relayed(encounter.ends()))


if __name__ == "__main__":
    unittest.main()
