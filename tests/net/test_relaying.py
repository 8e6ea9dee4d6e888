"""Connections that go through a relay: how it is reached, who may use it, and what happens when it dies."""

import time
import unittest

from lab import binary, names, routers, targets
from lab.encounter import Encounter, Traffic, is_relayed
from lab.relay import PASSWORD, PLAIN_PORT, USER
from lab.sidecar import Sidecar
from lab.waiting import until
from lab.world import world

REPAIR_SECONDS = 30
"""How long messages may take to find another relay when theirs has died."""

COMPLAINT_SECONDS = 15
"""How long a wrong password may take to be reported."""

QUIET_SECONDS = 10
"""How long nothing more is said about it."""


@unittest.skipUnless(binary.knows("TURN_URL"), "this sidecar does not use TURN")
class Relaying(unittest.TestCase):
    def test_symmetric_routers_are_crossed_by_a_relay_over_udp(self):
        sites = [world().site("symmetric", index) for index in (0, 1)]
        self.relay_by("udp3478", *(site.host for site in sites))

    def test_a_relay_that_is_named_by_its_address_is_used_over_udp_where_udp_passes(self):
        """No name has to be looked up, so the relay can be asked before the sockets are there."""
        sites = [world().site("symmetric", index) for index in (0, 1)]
        url = f"turn:{world().relay().address}:{PLAIN_PORT}"
        before = world().relay().carried()
        self.relay("udp3478", *(site.host for site in sites), TURN_URL=url)
        after = world().relay().carried()
        self.assertEqual(after["tcp3478"] - before["tcp3478"], 0)

    def test_a_blocked_site_uses_a_relay_over_tcp_and_tls(self):
        blocked, public = world().site("udp blocked", 0), world().site("public", 0)
        for way in ("tcp3478", "tls5349", "tls443"):
            with self.subTest(way):
                self.relay_by(way, blocked.host, public.host)

    def test_a_relay_of_no_transport_is_tried_over_tcp_where_udp_gets_no_answer(self):
        sites = [world().site("udp blocked", index) for index in (0, 1)]
        url = f"turn:{world().relay().name}:{PLAIN_PORT}"
        self.relay("tcp3478", *(site.host for site in sites), TURN_URL=url)

    def test_a_network_that_lets_out_only_the_web_uses_a_relay_on_its_port(self):
        sites = [world().builder.home("web only", None, routers.WEB_ONLY) for _ in range(2)]
        self.relay_by("tls443", *(site.host for site in sites))

    def test_two_homes_of_one_carrier_that_does_not_send_back_use_a_relay(self):
        homes = world().builder.behind_a_carrier("one carrier", None, routers.PORT_RESTRICTED, homes=2)
        self.relay_by("udp3478", *homes.hosts)

    def test_the_relay_policy_shows_the_peer_no_other_address(self):
        sites = [world().site("public", index) for index in (0, 1)]
        sites[1].host.nft(f"""
            table ip peer {{
                counter datagrams {{}}
                chain input {{
                    type filter hook input priority filter;
                    ip saddr {sites[0].public_address} counter name datagrams
                }}
            }}
        """)
        self.relay("udp3478", *(site.host for site in sites), ICE_TRANSPORT_POLICY="relay")
        self.assertEqual(sites[1].host.counters("peer"), {"datagrams": 0})

    def test_static_credentials_open_a_relay(self):
        sites = [world().site("symmetric", index) for index in (0, 1)]
        settings = static_settings(PASSWORD)
        with Encounter(*(site.host for site in sites), settings) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
            self.assertTrue(is_relayed(encounter.ends()))

    def test_a_wrong_password_is_said_once_and_hinders_nothing_else(self):
        sites = [world().site("port restricted", index) for index in (0, 1)]
        password = "not the password"
        settings = static_settings(password)
        with Encounter(*(site.host for site in sites), settings) as encounter:
            encounter.seconds_to_connect()
            encounter.exchange()
            complaints = until_complaint(encounter.one, names.STATIC_TURN)
            # That it is not said again can only be seen by waiting.
            time.sleep(QUIET_SECONDS)
            self.assertEqual(complaints, complaints_about(encounter.one, names.STATIC_TURN))
            self.assertEqual(len(complaints), 1, complaints)
            self.assertNotIn(password, "\n".join(encounter.one.log_lines()))

    def test_several_peers_share_one_allocation(self):
        relay = world().relay()
        sites = [world().site(kind, index) for kind in ("symmetric", "public") for index in (0, 1)]
        settings = world().settings(TURN_URL=relay.url("udp3478"), ICE_TRANSPORT_POLICY="relay")
        already = len(relay.allocations())
        peers = [Sidecar(site.host, "peer", settings) for site in sites]
        for peer in peers:
            for other in peers:
                if other is not peer:
                    peer.until_peer("peer_connected", other, 15)
        for peer in peers:
            peer.stop()
        made = len(relay.allocations()) - already
        # A sidecar that the machine lets wait for seconds may look for a better relay once. One for each
        # peer would be as many as this.
        self.assertLess(made, len(peers) * (len(peers) - 1))
        self.assertGreaterEqual(made, len(peers))

    def test_messages_find_another_relay_when_theirs_dies(self):
        relays = [world().relay(), world().second_relay()]
        sites = [world().site("symmetric", index) for index in (0, 1)]
        settings = world().settings(TURN_URL=",".join(relay.url("udp3478") for relay in relays))
        with Encounter(*(site.host for site in sites), settings) as encounter:
            encounter.seconds_to_connect()
            used = [relay for relay in relays if not Traffic.during(relay, encounter.exchange).is_direct()]
            self.assertTrue(used)
            used[0].kill()
            try:
                encounter.exchange(seconds=REPAIR_SECONDS)
            finally:
                used[0].start()

    def relay_by(self, way, one, other):
        self.relay(way, one, other, TURN_URL=world().relay().url(way))

    def relay(self, way, one, other, **settings):
        """Connects through the one relay, in time, and checks that it is reached this way only."""
        times = []
        for _ in range(targets.RUNS):
            with Encounter(one, other, world().settings(**settings)) as encounter:
                times.append(encounter.seconds_to_connect())
                traffic = Traffic.during(world().relay(), encounter.exchange)
                self.assertTrue(is_relayed(encounter.ends()))
                self.assertEqual(traffic.way(), way, traffic)
        targets.check(times, targets.RELAYED)


def static_settings(password):
    """The settings for the relay that knows one user, with a password for him."""
    settings = world().settings(
        TURN_URL=world().static_relay().url("udp3478"), TURN_USERNAME=USER, TURN_PASSWORD=password
    )
    del settings["TURN_SECRET"]
    return settings


def complaints_about(sidecar, name):
    """What it has logged about a server that a person should read."""
    loud = (line for line in sidecar.log_lines() if " WARN " in line or " ERROR " in line)
    return [line for line in loud if name in line]


def until_complaint(sidecar, name):
    """The first complaint, and whatever comes with it."""
    return until(lambda: complaints_about(sidecar, name), COMPLAINT_SECONDS)


if __name__ == "__main__":
    unittest.main()
