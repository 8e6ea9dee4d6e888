"""The registry and relays are reached although the name server answers for IPv4 only, or knows nothing of the name, or
some of its addresses are dead."""

import contextlib
import unittest

from lab import names
from lab.registry import ADDRESS, PORT
from lab.relay import PLAIN_PORT, SECRET
from lab.sidecar import Sidecar
from lab.world import world

SECONDS = 5
"""A second for the system's own try, at the exchange and at the WebSocket, and the rest for a busy machine."""

DEAD_SECONDS = 3
"""A quarter of a second for the dead address before the live one, each time, and the rest for a busy machine."""


@contextlib.contextmanager
def dead_ipv6():
    """A host with IPv6, where what it sends to some addresses is lost without a word."""
    host = world().site("public", 0).host
    interface = next(iter(host.cables))
    host.give_ipv6(interface, "2001:db8::2/64")
    # Neighbours are known, so that nobody says that there are none.
    for address in names.DEAD_ADDRESSES:
        host.ip("-6", "neighbour", "add", address, "lladdr", "02:00:00:00:00:99", "dev", interface)
    host.ip("-6", "route", "add", names.DEAD_NETWORK, "dev", interface)
    try:
        yield host
    finally:
        host.take_ipv6(interface)


class LookUps(unittest.TestCase):
    def test_a_name_server_that_fails_for_ipv6(self):
        self.connect(names.HALF_FAILING)

    def test_a_name_server_that_says_nothing_for_ipv6(self):
        self.connect(names.HALF_SILENT)

    def test_a_name_that_only_multicast_knows(self):
        names.answer_by_multicast(world().registry().machine, names.BY_MULTICAST, ADDRESS)
        self.connect(names.BY_MULTICAST)

    def test_dead_ipv6_addresses_before_a_live_one(self):
        with dead_ipv6() as host:
            self.connect(names.DEAD_FIRST, host, DEAD_SECONDS)

    def test_dead_ipv6_addresses_of_a_relay_over_tcp(self):
        world().relay()
        url = f"turn:{names.TURN_DEAD_FIRST}:{PLAIN_PORT}?transport=tcp"
        settings = {**world().registry().settings(), "TURN_URL": url, "TURN_SECRET": SECRET}
        settings["ICE_TRANSPORT_POLICY"] = "relay"
        with dead_ipv6() as host:
            sidecar = Sidecar(host, "seeker", settings)
            peer = Sidecar(world().site("public", 1).host, "sought", {**settings, "TURN_URL": url})
            try:
                found = sidecar.until_peer("peer_connected", peer, DEAD_SECONDS + 15)
                self.assertLess(found - peer.started, DEAD_SECONDS)
            finally:
                sidecar.stop()
                peer.stop()

    def connect(self, name, host=None, seconds=SECONDS):
        world().registry()
        settings = {
            "SIGNALING_URL": f"ws://{name}:{PORT}/ws",
            "TOKEN_URL": f"http://{name}:{PORT}/api/token",
        }
        sidecar = Sidecar(host or world().site("public", 0).host, "seeker", settings)
        try:
            events = []

            def is_connected(event):
                events.append(event)
                registry = event["payload"].get("registry" if event["type"] == "ready" else "state")
                return event["type"] in ("ready", "registry") and registry == "connected"

            moment, _ = sidecar.until(is_connected, seconds + 15, "registry")
            self.assertLess(moment - sidecar.started, seconds, events)
            failures = [event for event in events if event["payload"].get("state") == "disconnected"]
            self.assertEqual(failures, [], "the first try succeeds")
        finally:
            sidecar.stop()


if __name__ == "__main__":
    unittest.main()
